//! What is free to sell, term by term.
//!
//! ```text
//! free to sell = net - units of shop orders that the source had not taken in - buffer
//! figure sent  = what is free, not below nought + what the shop itself has allocated
//! ```
//!
//! The figure has the allocated units on top because the shop takes *physical* units and subtracts
//! its own allocations by itself.
//!
//! A kit is not kept. It has as many as its scarcest part gives, and what orders of kits still want of
//! a part is missing from that part, whichever kit it goes into. So a kit's own orders weigh on its
//! parts and not on it a second time.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    id::Sku,
    records::{Kit, StockLevel},
};

/// How many kits may lie inside each other. More is taken for a kit that contains itself, and has no stock.
const KIT_DEPTH_MAX: usize = 8;

/// What a buffer holds back, and which rule says so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserve {
    /// Units; below nought counts as nought.
    pub units: i64,
    /// The rule, in words.
    pub origin: String,
}

/// Units of shop orders that the source has not taken in, as they were ordered: a kit under its own SKU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotTakenIn {
    /// Units by SKU; below nought counts as nought.
    pub units: BTreeMap<Sku, i64>,
    /// Every order of the shop until this instant is in it.
    pub as_of: Timestamp,
}

impl NotTakenIn {
    fn of(&self, sku: &Sku) -> i64 {
        self.units.get(sku).copied().unwrap_or(0).max(0)
    }
}

/// The terms of what is free to sell of one SKU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Terms {
    /// What is left when every promise that the source knows is kept; signed. Of a kit: how many the
    /// scarcest part gives, after all that is taken off the part.
    pub net: i64,
    /// Everything until this instant is in `net`. Of a kit: the oldest of its parts.
    pub net_as_of: Timestamp,
    /// Where `net` comes from.
    pub basis: Basis,
    /// Units of shop orders that the source had not taken in. Nought for a kit: its parts have them.
    pub not_taken_in: i64,
    /// How many of these are parts of kits.
    pub through_kits: i64,
    /// Every order of the shop until this instant is in `not_taken_in`.
    pub not_taken_in_as_of: Timestamp,
    /// Units that are held back.
    pub buffer: i64,
    /// The rule that holds them back.
    pub buffer_origin: String,
    /// Whether it may be sold at all; if not, nothing is free.
    pub for_sale: bool,
}

/// Where a net figure comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The source states it.
    Level {
        /// Physically there.
        on_hand: i64,
        /// Promised and there.
        committed: i64,
        /// Promised and not there.
        back_ordered: i64,
        /// Asked for by orders that nobody has approved yet.
        pending_approval: i64,
        /// Which item and where, in the source's ids.
        origin: String,
    },
    /// The source keeps none of it at this place.
    NotKept,
    /// A kit, by its scarcest part (the first of them on a tie).
    Part {
        /// The part.
        sku: Sku,
        /// Units of it in one kit.
        units: i64,
        /// Its own terms.
        terms: Box<Terms>,
    },
    /// A kit without parts, or one that contains itself: there is none of it.
    NoParts,
}

impl Terms {
    /// Units free to sell; below nought when more is promised than is there. A term only ever takes
    /// away: free never exceeds net.
    pub fn free(&self) -> i64 {
        let free = self.net.saturating_sub(self.not_taken_in.max(0)).saturating_sub(self.buffer.max(0));
        if self.for_sale { free } else { free.min(0) }
    }

    /// The physical units to write when the shop has allocated so many. Never below what is
    /// allocated: the shop would lift it silently.
    pub fn figure(&self, allocated: i64) -> i64 {
        self.free().max(0).saturating_add(allocated.max(0))
    }
}

/// The levels and kits of one place, ready to be asked for many SKUs.
#[derive(Debug)]
pub struct Picture<'a> {
    levels: HashMap<&'a Sku, &'a StockLevel>,
    /// Every kit down to what is really kept, each part once.
    kits: HashMap<&'a Sku, Vec<(&'a Sku, i64)>>,
    /// The kits that a part goes into, with its units in one of each.
    used_in: HashMap<&'a Sku, Vec<(&'a Sku, i64)>>,
    as_of: Timestamp,
}

impl<'a> Picture<'a> {
    /// The picture that these levels of one place give; a later level of the same SKU wins. `as_of`:
    /// the instant before the reading began, which is what holds of rows that the source leaves out.
    pub fn new(levels: &'a [StockLevel], kits: &'a [Kit], as_of: Timestamp) -> Self {
        let stated: HashMap<&Sku, &Kit> = kits.iter().map(|kit| (&kit.sku, kit)).collect();
        let mut resolved = HashMap::new();
        let mut used_in: HashMap<&Sku, Vec<(&Sku, i64)>> = HashMap::new();
        for (&sku, kit) in &stated {
            let mut parts = Vec::new();
            if !take_apart(kit, 1, &stated, 0, &mut parts) {
                parts.clear();
            }
            for (part, units) in &parts {
                used_in.entry(part).or_default().push((sku, *units));
            }
            resolved.insert(sku, parts);
        }
        let levels = levels.iter().map(|level| (&level.sku, level)).collect();
        Self { levels, kits: resolved, used_in, as_of }
    }

    /// The terms of one SKU; `None` when it is no kit and the source has no row of it here, which a
    /// reading that broke off looks like, too. `reserve` is asked for the buffer of a SKU and its net
    /// figure, of parts as of kits: what it holds back of both is held back twice.
    pub fn terms(&self, sku: &Sku, orders: &NotTakenIn, reserve: &dyn Fn(&Sku, i64) -> Reserve) -> Option<Terms> {
        match self.kits.get(sku) {
            Some(parts) => Some(self.kit(sku, parts, orders, reserve)),
            None => self.levels.contains_key(sku).then(|| self.item(sku, orders, reserve)),
        }
    }

    fn item(&self, sku: &Sku, orders: &NotTakenIn, reserve: &dyn Fn(&Sku, i64) -> Reserve) -> Terms {
        let level = self.levels.get(sku);
        let net = level.map_or(0, |level| level.free());
        let through_kits = self
            .used_in
            .get(sku)
            .into_iter()
            .flatten()
            .fold(0_i64, |sum, (kit, units)| sum.saturating_add(orders.of(kit).saturating_mul(*units)));
        let Reserve { units, origin } = reserve(sku, net);
        Terms {
            net,
            net_as_of: level.map_or(self.as_of, |level| level.as_of),
            basis: level.map_or(Basis::NotKept, |level| Basis::Level {
                on_hand: level.on_hand,
                committed: level.committed,
                back_ordered: level.back_ordered,
                pending_approval: level.pending_approval,
                origin: format!("item {} at place {}", level.item, level.location),
            }),
            not_taken_in: orders.of(sku).saturating_add(through_kits),
            through_kits,
            not_taken_in_as_of: orders.as_of,
            buffer: units.max(0),
            buffer_origin: origin,
            for_sale: level.is_none_or(|level| level.active),
        }
    }

    fn kit(&self, sku: &Sku, parts: &[(&Sku, i64)], orders: &NotTakenIn, reserve: &dyn Fn(&Sku, i64) -> Reserve) -> Terms {
        let mut as_of: Option<Timestamp> = None;
        let mut scarcest: Option<(i64, Basis)> = None;
        for &(part, units) in parts {
            let terms = self.item(part, orders, reserve);
            as_of = Some(as_of.map_or(terms.net_as_of, |oldest| oldest.min(terms.net_as_of)));
            let gives = terms.free().div_euclid(units);
            if scarcest.as_ref().is_none_or(|(least, _)| gives < *least) {
                scarcest = Some((gives, Basis::Part { sku: part.clone(), units, terms: Box::new(terms) }));
            }
        }
        let (net, basis) = scarcest.unwrap_or((0, Basis::NoParts));
        let Reserve { units, origin } = reserve(sku, net);
        Terms {
            net,
            net_as_of: as_of.unwrap_or(self.as_of),
            basis,
            not_taken_in: 0,
            through_kits: 0,
            not_taken_in_as_of: orders.as_of,
            buffer: units.max(0),
            buffer_origin: origin,
            for_sale: self.levels.get(sku).is_none_or(|level| level.active),
        }
    }
}

/// Adds the kept parts of `times` kits; says whether that came to an end.
fn take_apart<'a>(
    kit: &'a Kit,
    times: i64,
    kits: &HashMap<&'a Sku, &'a Kit>,
    depth: usize,
    parts: &mut Vec<(&'a Sku, i64)>,
) -> bool {
    if depth >= KIT_DEPTH_MAX {
        return false;
    }
    kit.parts.iter().all(|part| {
        // A part of no units would leave the kit without a bound; one is the least that a part can be.
        let units = part.units.max(1).saturating_mul(times);
        if let Some(inner) = kits.get(&part.sku) {
            return take_apart(inner, units, kits, depth + 1, parts);
        }
        match parts.iter_mut().find(|(sku, _)| *sku == &part.sku) {
            Some((_, sum)) => *sum = sum.saturating_add(units),
            None => parts.push((&part.sku, units)),
        }
        true
    })
}

/// The terms of one SKU, for who asks for one only; [`Picture`] is for many.
pub fn terms(
    sku: &Sku,
    levels: &[StockLevel],
    kits: &[Kit],
    as_of: Timestamp,
    orders: &NotTakenIn,
    reserve: &dyn Fn(&Sku, i64) -> Reserve,
) -> Option<Terms> {
    Picture::new(levels, kits, as_of).terms(sku, orders, reserve)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::{ExternalId, LocationId},
        records::KitPart,
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn level(sku: &str, on_hand: i64, committed: i64, back_ordered: i64) -> StockLevel {
        StockLevel {
            sku: Sku::new(sku),
            location: LocationId::new("7"),
            item: ExternalId::new("101"),
            as_of: at(100),
            changed_at: None,
            on_hand,
            committed,
            back_ordered,
            pending_approval: 0,
            available: on_hand.saturating_sub(committed).max(0),
            incoming: 0,
            active: true,
            unit_value: None,
            categories: Vec::new(),
        }
    }

    fn kit(sku: &str, parts: &[(&str, i64)]) -> Kit {
        let parts = parts.iter().map(|(sku, units)| KitPart { sku: Sku::new(*sku), units: *units }).collect();
        Kit { sku: Sku::new(sku), item: ExternalId::new("900"), parts }
    }

    fn orders(units: &[(&str, i64)]) -> NotTakenIn {
        NotTakenIn { units: units.iter().map(|(sku, units)| (Sku::new(*sku), *units)).collect(), as_of: at(200) }
    }

    fn none(_: &Sku, _: i64) -> Reserve {
        Reserve::default()
    }

    #[test]
    fn free_and_figure_of_a_plain_item() {
        // on hand, committed, back ordered, not taken in, buffer, allocated → free, figure
        let table = [
            (10, 3, 0, 2, 1, 4, 4, 8),
            (10, 0, 0, 0, 0, 0, 10, 10),
            (5, 5, 3, 0, 0, 2, -3, 2),
            (5, 0, 0, 9, 0, 9, -4, 9),
            (5, 0, 0, 2, 9, 2, -6, 2),
        ];
        for (on_hand, committed, back_ordered, not_taken_in, buffer, allocated, free, figure) in table {
            let levels = [level("A", on_hand, committed, back_ordered)];
            let orders = orders(&[("A", not_taken_in)]);
            let reserve = |_: &Sku, _: i64| Reserve { units: buffer, origin: "rule".to_owned() };
            let terms = terms(&Sku::new("A"), &levels, &[], at(90), &orders, &reserve).unwrap();
            assert_eq!((terms.free(), terms.figure(allocated)), (free, figure), "{terms:?}");
        }
    }

    #[test]
    fn what_may_not_be_sold_is_not_free_and_what_is_promised_stays_promised() {
        let mut level = level("A", 10, 3, 0);
        level.active = false;
        let terms = terms(&Sku::new("A"), &[level], &[], at(90), &orders(&[]), &none).unwrap();
        assert_eq!((terms.net, terms.free(), terms.figure(2)), (7, 0, 2));
    }

    #[test]
    fn a_kit_has_what_its_scarcest_part_gives() {
        let mut levels = [level("A", 10, 0, 0), level("B", 7, 0, 0), level("C", 100, 0, 0)];
        levels[2].as_of = at(50);
        let kits = [kit("K", &[("A", 2), ("B", 3), ("C", 1)]), kit("L", &[("B", 1), ("A", 1)])];
        let picture = Picture::new(&levels, &kits, at(90));
        let of = |sku: &str, orders: &NotTakenIn| picture.terms(&Sku::new(sku), orders, &none).unwrap();

        let terms = of("K", &orders(&[]));
        assert_eq!((terms.free(), terms.net_as_of), (2, at(50)));
        assert!(matches!(&terms.basis, Basis::Part { sku, units: 3, .. } if sku.as_str() == "B"));

        // One K (2 A, 3 B), two L (2 A, 2 B) and one A that the source does not know of.
        let waiting = orders(&[("K", 1), ("L", 2), ("A", 1)]);
        assert_eq!((of("A", &waiting).free(), of("A", &waiting).through_kits), (10 - 2 - 2 - 1, 4));
        assert_eq!(of("B", &waiting).free(), 7 - 3 - 2);
        assert_eq!(of("K", &waiting).free(), 0);
        assert_eq!(of("L", &waiting).free(), 2);
        assert_eq!(of("K", &waiting).not_taken_in, 0, "the parts have it");
        let tie = of("L", &orders(&[("A", 3)])).basis;
        assert!(matches!(&tie, Basis::Part { sku, .. } if sku.as_str() == "B"), "the first of two that give seven");
        // Three B short: one kit of three is short, and so is two thirds of one.
        assert_eq!(of("K", &orders(&[("B", 8)])).free(), -1);
        assert_eq!(of("K", &orders(&[("B", 8)])).figure(4), 4);
    }

    #[test]
    fn the_kits_own_buffer_comes_off_last() {
        let levels = [level("A", 10, 0, 0)];
        let kits = [kit("K", &[("A", 2)])];
        let reserve =
            |sku: &Sku, net: i64| Reserve { units: if sku.as_str() == "K" { net - 2 } else { 1 }, origin: "rule".to_owned() };
        let terms = terms(&Sku::new("K"), &levels, &kits, at(90), &orders(&[]), &reserve).unwrap();
        assert_eq!((terms.net, terms.buffer, terms.free()), (4, 2, 2));
    }

    #[test]
    fn kits_in_kits_and_kits_that_make_no_sense() {
        let levels = [level("A", 12, 0, 0)];
        let kits = [
            kit("OUTER", &[("INNER", 2), ("A", 1)]),
            kit("INNER", &[("A", 2)]),
            kit("SELF", &[("SELF", 1), ("A", 1)]),
            kit("EMPTY", &[]),
            kit("MISSING", &[("A", 1), ("Z", 1)]),
            kit("NOUGHT", &[("A", 0)]),
        ];
        let picture = Picture::new(&levels, &kits, at(90));
        let of = |sku: &str, orders: &NotTakenIn| picture.terms(&Sku::new(sku), orders, &none);
        assert_eq!(of("OUTER", &orders(&[])).unwrap().free(), 2);
        assert_eq!(of("A", &orders(&[("OUTER", 1)])).unwrap().free(), 7);
        for sku in ["SELF", "EMPTY"] {
            let terms = of(sku, &orders(&[])).unwrap();
            assert_eq!((terms.free(), terms.net_as_of), (0, at(90)), "{sku}");
            assert_eq!(terms.basis, Basis::NoParts);
        }
        let missing = of("MISSING", &orders(&[])).unwrap();
        assert_eq!((missing.free(), missing.net_as_of), (0, at(90)));
        assert_eq!(of("NOUGHT", &orders(&[])).unwrap().free(), 12);
        assert_eq!(of("Z", &orders(&[])), None);
        assert_eq!(of("a", &orders(&[])), None, "byte for byte");
    }

    #[test]
    fn figures_at_the_ends_of_what_can_be_held_do_not_wrap() {
        let levels = [level("A", i64::MAX, 0, 0), level("B", i64::MIN, i64::MAX, 1)];
        let kits = [kit("K", &[("A", i64::MAX)])];
        let picture = Picture::new(&levels, &kits, at(90));
        let waiting = orders(&[("K", i64::MAX), ("B", i64::MAX), ("A", -5)]);
        let of = |sku: &str| picture.terms(&Sku::new(sku), &waiting, &none).unwrap();
        assert_eq!(of("A").free(), 0);
        assert_eq!(of("A").figure(i64::MAX), i64::MAX);
        assert_eq!(of("B").free(), i64::MIN);
        assert_eq!(of("B").figure(-3), 0);
    }
}
