//! Attribution: which lines of the order a shipment's units belong to.
//!
//! Some warehouses give our line id back, some only a SKU. Units of a SKU belong to the oldest line that
//! still wants some; units of a bundle's own SKU belong to its components. No line ever gets more than
//! was ordered: what is too much is a problem, and nothing of the shipment goes on until a person has
//! looked.

use std::collections::BTreeMap;

use crate::{
    id::{ExternalId, Sku},
    problem::Problem,
    records::{LineKind, Order, OrderLine, Shipment, ShipmentLine, ShippedBundle},
};

/// Units per line of the order that other shipments took already.
pub type Taken = BTreeMap<ExternalId, u32>;

/// The lines of a shipment, each with its line of the order; the same line at most once.
///
/// # Errors
/// Everything that does not fit the order.
pub fn attribute(order: &Order, taken: &Taken, shipment: &Shipment) -> Result<Vec<ShipmentLine>, Vec<Problem>> {
    let mut left: BTreeMap<&ExternalId, u32> = shippable(order)
        .map(|line| (&line.id, line.quantity.saturating_sub(taken.get(&line.id).copied().unwrap_or(0))))
        .collect();
    let mut given: Vec<(&OrderLine, u32)> = Vec::new();
    let mut problems = Vec::new();
    // Lines that name theirs come first, or a SKU could take what another line asks for by its id.
    let named = shipment.lines.iter().enumerate().filter(|(_, line)| line.order_line.is_some());
    let others = shipment.lines.iter().enumerate().filter(|(_, line)| line.order_line.is_none());
    for (index, line) in named.chain(others) {
        match candidates(order, line) {
            Err(unknown) => problems.push(unknown(index, order, shipment)),
            Ok(candidates) => {
                for (sku, units, lines) in candidates {
                    let mut wanted = units;
                    for of_order in lines {
                        let Some(open) = left.get_mut(&of_order.id) else { continue };
                        let now = wanted.min(*open);
                        if now > 0 {
                            *open -= now;
                            wanted -= now;
                            given.push((of_order, now));
                        }
                    }
                    if wanted > 0 {
                        problems.push(too_many(index, order, shipment, &sku, wanted));
                    }
                }
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut lines: Vec<ShipmentLine> = Vec::new();
    // In the order's own order, so that the same shipment always reads the same.
    for of_order in shippable(order) {
        let quantity: u32 = given.iter().filter(|(line, _)| line.id == of_order.id).map(|(_, units)| *units).sum();
        if quantity > 0 {
            lines.push(ShipmentLine { order_line: Some(of_order.id.clone()), sku: of_order.sku.clone(), quantity });
        }
    }
    Ok(lines)
}

/// The bundles that the attributed lines of a shipment belong to, with the whole bundles that it completes: as many as
/// all that has left makes, less those that other shipments (`whole`, by the bundle's line) completed already. So the
/// sum over all shipments is what has left whole, in whatever order they are told.
pub fn bundles(order: &Order, taken: &Taken, whole: &Taken, lines: &[ShipmentLine]) -> Vec<ShippedBundle> {
    let here = |id: &ExternalId| -> u32 {
        lines.iter().filter(|line| line.order_line.as_ref() == Some(id)).map(|line| line.quantity).sum()
    };
    let mut found = Vec::new();
    for bundle in order.lines.iter().filter(|line| line.kind == LineKind::Bundle) {
        let parts: Vec<&OrderLine> = order
            .lines
            .iter()
            .filter(|line| line.kind == LineKind::BundleItem && line.bundle.as_ref() == Some(&bundle.id) && line.quantity > 0)
            .collect();
        if !parts.iter().any(|part| here(&part.id) > 0) {
            continue;
        }
        let made = |part: &&OrderLine| {
            let left = u64::from(taken.get(&part.id).copied().unwrap_or(0)) + u64::from(here(&part.id));
            left * u64::from(bundle.quantity) / u64::from(part.quantity)
        };
        let all = parts.iter().map(made).min().unwrap_or(0).min(u64::from(bundle.quantity));
        let all = u32::try_from(all).unwrap_or(bundle.quantity);
        found.push(ShippedBundle {
            line: bundle.id.clone(),
            sku: bundle.sku.clone(),
            quantity: all.saturating_sub(whole.get(&bundle.id).copied().unwrap_or(0)),
            parts: parts.into_iter().map(|part| part.id.clone()).collect(),
        });
    }
    found
}

/// The lines of which units can leave a warehouse.
pub fn shippable(order: &Order) -> impl Iterator<Item = &OrderLine> {
    order.lines.iter().filter(|line| matches!(line.kind, LineKind::Product | LineKind::BundleItem))
}

/// Units that the order still wants, by line: what was ordered less what was shipped.
pub fn outstanding(order: &Order, taken: &Taken) -> Vec<(ExternalId, Sku, u32)> {
    shippable(order)
        .filter_map(|line| {
            let open = line.quantity.saturating_sub(taken.get(&line.id).copied().unwrap_or(0));
            (open > 0).then(|| (line.id.clone(), line.sku.clone(), open))
        })
        .collect()
}

type Unknown = fn(usize, &Order, &Shipment) -> Problem;
/// A SKU, how many units of it, and the lines that may take them, the oldest first.
type Candidates<'a> = Vec<(Sku, u32, Vec<&'a OrderLine>)>;

fn candidates<'a>(order: &'a Order, line: &ShipmentLine) -> Result<Candidates<'a>, Unknown> {
    if let Some(id) = &line.order_line {
        let of_order = order.lines.iter().find(|other| other.id == *id).ok_or(unknown_line as Unknown)?;
        if of_order.kind == LineKind::Bundle {
            return bundle_units(order, of_order, line.quantity);
        }
        // Another item under the line's own id is a substitution: never guessed.
        if of_order.sku != line.sku {
            return Err(substituted);
        }
        return Ok(vec![(line.sku.clone(), line.quantity, vec![of_order])]);
    }
    let same: Vec<&OrderLine> = shippable(order).filter(|other| other.sku == line.sku).collect();
    if !same.is_empty() {
        return Ok(vec![(line.sku.clone(), line.quantity, same)]);
    }
    match order.lines.iter().find(|other| other.kind == LineKind::Bundle && other.sku == line.sku) {
        Some(bundle) => bundle_units(order, bundle, line.quantity),
        None => Err(unknown_sku),
    }
}

/// What so many bundles are in units of their components.
fn bundle_units<'a>(order: &'a Order, bundle: &OrderLine, bundles: u32) -> Result<Candidates<'a>, Unknown> {
    let parts = order.lines.iter().filter(|line| line.kind == LineKind::BundleItem && line.bundle.as_ref() == Some(&bundle.id));
    let mut found = Vec::new();
    for part in parts {
        let divides =
            bundle.quantity > 0 && (u64::from(part.quantity) * u64::from(bundles)).is_multiple_of(bundle.quantity.into());
        if !divides {
            return Err(unknown_sku);
        }
        let units = u64::from(part.quantity) * u64::from(bundles) / u64::from(bundle.quantity);
        found.push((part.sku.clone(), u32::try_from(units).unwrap_or(u32::MAX), vec![part]));
    }
    if found.is_empty() { Err(unknown_sku) } else { Ok(found) }
}

const LOOK: &str = "Compare the shipment at the warehouse with the order. If the warehouse mends it, its next message takes the \
                    place of this one; dismiss this with a reason if the units did leave and nothing more is to follow.";

fn told(index: usize, shipment: &Shipment) -> (String, String) {
    let line = shipment.lines.get(index);
    (format!("lines[{index}]"), line.map(|line| format!("{} × {}", line.quantity, line.sku)).unwrap_or_default())
}

fn unknown_line(index: usize, order: &Order, shipment: &Shipment) -> Problem {
    let (path, what) = told(index, shipment);
    let id = shipment.lines.get(index).and_then(|line| line.order_line.as_ref()).map(ToString::to_string).unwrap_or_default();
    Problem::new("shipment.line_unknown", path, format!("order {} has no line {id} ({what})", order.number), LOOK)
        .value(id)
        .cause(shipment.key.as_str())
}

fn unknown_sku(index: usize, order: &Order, shipment: &Shipment) -> Problem {
    let (path, what) = told(index, shipment);
    Problem::new("shipment.sku_unknown", path, format!("{what} was shipped and is not in order {}", order.number), LOOK)
        .value(what)
        .cause(shipment.key.as_str())
}

fn substituted(index: usize, order: &Order, shipment: &Shipment) -> Problem {
    let (path, what) = told(index, shipment);
    Problem::new("shipment.substituted", path, format!("{what} was shipped for another item of order {}", order.number), LOOK)
        .value(what)
        .cause(shipment.key.as_str())
}

fn too_many(index: usize, order: &Order, shipment: &Shipment, sku: &Sku, units: u32) -> Problem {
    let (path, _) = told(index, shipment);
    Problem::new(
        "shipment.over",
        path,
        format!("{units} units of {sku} more were shipped than order {} still wants", order.number),
        LOOK,
    )
    .value(sku.as_str())
    .cause(shipment.key.as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        id::RecordKey,
        records::ShipmentStatus,
        samples::{bundle, line, order},
    };

    fn shipment(lines: &[(Option<&str>, &str, u32)]) -> Shipment {
        let line = |(id, sku, quantity): &(Option<&str>, &str, u32)| ShipmentLine {
            order_line: id.map(ExternalId::new),
            sku: Sku::new(*sku),
            quantity: *quantity,
        };
        Shipment {
            key: RecordKey::new("1001.w.1"),
            id: ExternalId::new("1"),
            order: RecordKey::new("1001"),
            status: ShipmentStatus::Shipped,
            shipped_at: None,
            updated_at: "2026-02-04T09:00:00Z".parse().unwrap(),
            warehouse: None,
            lines: lines.iter().map(line).collect(),
            short: Vec::new(),
            parcels: Vec::new(),
            captured: None,
            bundles: Vec::new(),
        }
    }

    fn told(lines: &[(Option<&str>, &str, u32)], taken: &[(&str, u32)]) -> Result<Vec<(String, u32)>, String> {
        let lines_of = [
            vec![line("1", "A", 2, 100), line("2", "B", 1, 100), line("3", "A", 3, 100)],
            bundle("4", 2, 100, &[("C", 1), ("D", 2)]),
        ];
        let order = order(lines_of.concat());
        let taken = taken.iter().map(|(id, units)| (ExternalId::new(*id), *units)).collect();
        match attribute(&order, &taken, &shipment(lines)) {
            Ok(lines) => Ok(lines.into_iter().map(|l| (l.order_line.unwrap().to_string(), l.quantity)).collect()),
            Err(problems) => Err(problems[0].rule.clone()),
        }
    }

    fn units(pairs: &[(&str, u32)]) -> Result<Vec<(String, u32)>, String> {
        Ok(pairs.iter().map(|(id, units)| ((*id).to_owned(), *units)).collect())
    }

    #[test]
    fn a_sku_belongs_to_the_oldest_line_that_still_wants_it() {
        assert_eq!(told(&[(None, "A", 3)], &[]), units(&[("1", 2), ("3", 1)]));
        assert_eq!(told(&[(None, "A", 2)], &[("1", 1)]), units(&[("1", 1), ("3", 1)]));
        assert_eq!(told(&[(None, "A", 1), (None, "A", 2)], &[]), units(&[("1", 2), ("3", 1)]));
    }

    #[test]
    fn a_line_that_names_its_own_goes_before_one_that_does_not() {
        assert_eq!(told(&[(None, "A", 3), (Some("1"), "A", 2)], &[]), units(&[("1", 2), ("3", 3)]));
    }

    #[test]
    fn a_bundle_is_units_of_its_components() {
        assert_eq!(told(&[(None, "SET-4", 1)], &[]), units(&[("4-0", 1), ("4-1", 2)]));
        assert_eq!(told(&[(Some("4"), "SET-4", 2)], &[]), units(&[("4-0", 2), ("4-1", 4)]));
        assert_eq!(told(&[(None, "SET-4", 1)], &[("4-1", 3)]), Err("shipment.over".into()));
    }

    #[test]
    fn a_bundle_is_complete_with_the_last_of_its_parts() {
        let order = order(bundle("4", 3, 100, &[("C", 1), ("D", 2)]));
        let part = |id: &str, units: u32| ShipmentLine { order_line: Some(id.into()), sku: Sku::new("x"), quantity: units };
        let taken = |pairs: &[(&str, u32)]| pairs.iter().map(|(id, units)| (ExternalId::new(*id), *units)).collect::<Taken>();
        let completes = |before: &[(&str, u32)], whole: u32, now: &[ShipmentLine]| {
            bundles(&order, &taken(before), &taken(&[("4", whole)]), now).iter().map(|bundle| bundle.quantity).collect::<Vec<_>>()
        };
        assert_eq!(completes(&[], 0, &[part("4-0", 2)]), [0]);
        assert_eq!(completes(&[("4-0", 2)], 0, &[part("4-1", 3)]), [1]);
        assert_eq!(completes(&[("4-0", 2), ("4-1", 3)], 1, &[part("4-0", 1), part("4-1", 3)]), [2]);
        // A parcel that is looked at again after the others finds what they have completed.
        assert_eq!(completes(&[("4-0", 1), ("4-1", 6)], 3, &[part("4-0", 2)]), [0]);
        assert_eq!(completes(&[], 0, &[part("9", 1)]), Vec::<u32>::new());
    }

    #[test]
    fn what_does_not_fit_is_never_guessed() {
        assert_eq!(told(&[(None, "A", 6)], &[]), Err("shipment.over".into()));
        assert_eq!(told(&[(Some("1"), "A", 2)], &[("1", 1)]), Err("shipment.over".into()));
        assert_eq!(told(&[(Some("1"), "B", 1)], &[]), Err("shipment.substituted".into()));
        assert_eq!(told(&[(Some("9"), "A", 1)], &[]), Err("shipment.line_unknown".into()));
        assert_eq!(told(&[(None, "X", 1)], &[]), Err("shipment.sku_unknown".into()));
    }

    proptest! {
        /// However the parts of a bundle leave, the shipments together complete what has left whole, and never more.
        #[test]
        fn shipments_complete_every_bundle_once(
            sold in 1_u32..5,
            per in prop::collection::vec(1_u32..4, 1..4),
            cuts in prop::collection::vec((0_usize..3, 1_u32..5), 0..30),
        ) {
            let names = ["C", "D", "E"];
            let parts: Vec<(&str, u32)> = per.iter().enumerate().map(|(at, units)| (names[at], *units)).collect();
            let order = order(bundle("4", sold, 100, &parts));
            let (mut taken, mut whole) = (Taken::new(), Taken::new());
            let rest = per.iter().enumerate().map(|(at, units)| (at, sold * units));
            for (at, units) in cuts.into_iter().filter(|(at, _)| *at < per.len()).chain(rest) {
                let id = ExternalId::new(format!("4-{at}"));
                let units = units.min(sold * per[at] - taken.get(&id).copied().unwrap_or(0));
                let lines = [ShipmentLine { order_line: Some(id.clone()), sku: Sku::new(names[at]), quantity: units }];
                for one in bundles(&order, &taken, &whole, &lines) {
                    *whole.entry(one.line).or_default() += one.quantity;
                }
                *taken.entry(id).or_default() += units;
                let left = per.iter().enumerate().map(|(at, units)| taken.get(&ExternalId::new(format!("4-{at}"))).copied().unwrap_or(0) / units);
                prop_assert_eq!(whole.get(&ExternalId::new("4")).copied().unwrap_or(0), left.min().unwrap());
            }
            prop_assert_eq!(whole.get(&ExternalId::new("4")).copied(), Some(sold));
        }

        /// However an order leaves in parts, no line ships more than was ordered, and in the end nothing is outstanding.
        #[test]
        fn parts_never_ship_more_than_the_whole(
            wanted in prop::collection::vec((0_usize..3, 1_u32..6), 1..6),
            cuts in prop::collection::vec((0_usize..3, 1_u32..4), 0..30),
        ) {
            let names = ["A", "B", "C"];
            let lines = wanted.iter().enumerate().map(|(at, (sku, units))| line(&at.to_string(), names[*sku], *units, 100));
            let order = order(lines.collect());
            let mut taken = Taken::new();
            let rest = |taken: &Taken| outstanding(&order, taken).into_iter().map(|(_, sku, units)| (sku, units));
            for (sku, units) in cuts {
                let open: u32 = rest(&taken).filter(|(known, _)| known.as_str() == names[sku]).map(|(_, units)| units).sum();
                let parts = attribute(&order, &taken, &shipment(&[(None, names[sku], units)]));
                prop_assert_eq!(parts.is_ok(), wanted.iter().any(|(known, _)| *known == sku) && units <= open);
                for part in parts.unwrap_or_default() {
                    *taken.entry(part.order_line.unwrap()).or_default() += part.quantity;
                }
            }
            let left: Vec<(Sku, u32)> = rest(&taken).collect();
            let last: Vec<(Option<&str>, &str, u32)> = left.iter().map(|(sku, units)| (None, sku.as_str(), *units)).collect();
            for part in attribute(&order, &taken, &shipment(&last)).unwrap() {
                *taken.entry(part.order_line.unwrap()).or_default() += part.quantity;
            }
            for line in &order.lines {
                prop_assert_eq!(taken.get(&line.id).copied().unwrap_or(0), line.quantity);
            }
        }
    }
}
