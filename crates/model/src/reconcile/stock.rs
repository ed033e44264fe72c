//! What a shop shows against what its source has: one item in one place.
//!
//! A figure is no document: it is true at one instant. What changed a moment ago may be on its way; what shows more than there is
//! sells what nobody has; what shows less may be a buffer, where one is kept.

use jiff::Timestamp;

use super::{Finding, How, Match, Rule, Terms, Unheard, Verdict, Why, family::until};
use crate::{
    compare::Cause,
    forensics::stock::{Quantity, SourceQuantities, which_quantity},
    statement::{Entry, Stage, Units},
};

/// What becomes of one item in one place.
pub(super) fn judge(ours: &[&Entry], theirs: &[&Entry], terms: &Terms, now: Timestamp) -> Option<Match> {
    let have = ours.iter().filter_map(|entry| entry.units).reduce(together);
    let shown = theirs.iter().find(|entry| entry.stage != Stage::Void).and_then(|entry| entry.units);
    let unlisted = shown.is_none() && item(ours).is_some_and(|sku| terms.unlisted.contains(sku));
    let mut in_transit = false;
    let finding = match (have, shown) {
        (Some(have), Some(shown)) => {
            // An order that does not stand at the source is promised by the shop alone: another difference tells of it.
            let unheard = item(ours).and_then(|sku| terms.unheard.get(sku)).copied().unwrap_or_default();
            let free = have.free.saturating_sub(have.kept_back.unwrap_or(0));
            let told = unheard != Unheard::default()
                && shown.available == free.saturating_sub(unheard.promised).saturating_add(unheard.freed).max(0);
            // Which of these orders are of this place, and which of those on their way the figures know of already, nobody says: any
            // part of them explains the gap until they are settled.
            let moving = item(ours).and_then(|sku| terms.in_transit.get(sku)).copied().unwrap_or(0);
            let most = unheard.promised.saturating_add(moving);
            in_transit = (-unheard.freed..=most).contains(&free.max(0).saturating_sub(shown.available));
            figures(&have, &shown, terms).filter(|_| !told)
        }
        (None, Some(shown)) if shown.available > 0 => Some(told(
            Cause::Orphan,
            Why::ForeignStock,
            0,
            shown.available,
            format!("{} shown of an item that the source does not keep", shown.available),
        )),
        (Some(have), None) if have.free > 0 && !unlisted => Some(told(
            Cause::Missing,
            Why::ItemMissing,
            have.free,
            0,
            format!("{} could be sold, and the item is not shown", have.free),
        )),
        _ => None,
    };
    let one = |entries: &[&Entry]| entries.iter().map(|entry| (*entry).clone()).collect::<Vec<_>>();
    let changed = ours.iter().chain(theirs).filter_map(|entry| entry.updated_at).max();
    let fresh = changed.map(|at| until(at, terms.allowance)).filter(|fresh| *fresh > now);
    let key = ours.first().or(theirs.first()).and_then(|entry| entry.family());
    let moves = in_transit || key.is_some_and(|key| terms.moving.contains(key.as_str()));
    let fresh = fresh.or_else(|| moves.then(|| until(now, terms.allowance)));
    let (verdict, findings) = match (finding, fresh) {
        (None, _) if unlisted => {
            let why = "the target lists no such item".to_owned();
            (Verdict::Excluded { rule: Rule::Unlisted, version: Rule::VERSION, why }, Vec::new())
        }
        (None, _) => (Verdict::Agreed, Vec::new()),
        (Some(_), Some(until)) => (Verdict::InFlight { until }, Vec::new()),
        (Some(finding), None) => (Verdict::Open, vec![finding]),
    };
    // An item that only the shop lists, with nothing to sell, is nobody's.
    (have.is_some() || verdict != Verdict::Agreed).then(|| Match {
        ours: one(ours),
        theirs: one(theirs),
        how: How::Key,
        verdict,
        findings,
        tolerated: Vec::new(),
        exception: None,
    })
}

/// By how much more than is free is shown; what nobody keeps has nothing free.
pub fn gap(ours: &[Entry], theirs: &[Entry]) -> i64 {
    let have = ours.iter().filter_map(|entry| entry.units).reduce(together).map_or(0, |units| units.free.max(0));
    let shown = theirs.iter().find(|entry| entry.stage != Stage::Void).and_then(|entry| entry.units);
    shown.map_or(0, |units| units.available.max(0)).saturating_sub(have)
}

/// Whether a gap was but of the moment: it is gone, has shrunk, or has turned. One that stays or grows is none of the moment's.
pub const fn moves(before: i64, now: i64) -> bool {
    before.signum() != now.signum() || now.unsigned_abs() < before.unsigned_abs()
}

/// The item that entries of stock are about.
fn item<'a>(entries: &[&'a Entry]) -> Option<&'a crate::id::Sku> {
    entries.first().and_then(|entry| entry.lines.first()).map(|line| &line.sku)
}

/// By how much less than there is is shown, over many items: how large a buffer is, where nobody says.
#[derive(Clone, Debug, Default)]
pub struct Shortfall {
    short: std::collections::BTreeMap<i64, u64>,
}

/// So many items must be seen before what is usual is known.
const ITEMS_LEAST: u64 = 200;
/// Different shortfalls that are counted apart; a larger one counts as this.
const SHORT_MAX: i64 = 100_000;

impl Shortfall {
    /// Takes in an item.
    pub fn observe(&mut self, found: &Match) {
        let have = found.ours.iter().filter_map(|entry| entry.units).reduce(together);
        let shown = found.theirs.first().and_then(|entry| entry.units);
        if let (Some(have), Some(shown)) = (have, shown) {
            let short = have.free.max(0).saturating_sub(shown.available).clamp(0, SHORT_MAX);
            if have.free > 0 {
                *self.short.entry(short).or_default() += 1;
            }
        }
    }

    /// What is at most usual: twice what all but one in a hundred have, and a little.
    pub fn most(&self) -> Option<i64> {
        let all: u64 = self.short.values().sum();
        if all < ITEMS_LEAST {
            return None;
        }
        let mut seen = 0;
        let (usual, _) = self.short.iter().find(|(_, count)| {
            seen += **count;
            seen * 100 >= all * 99
        })?;
        Some(usual * 2 + 2)
    }
}

/// The figures of several places as one.
fn together(one: Units, other: Units) -> Units {
    Units {
        on_hand: one.on_hand.saturating_add(other.on_hand),
        committed: one.committed.saturating_add(other.committed),
        back_ordered: one.back_ordered.saturating_add(other.back_ordered),
        available: one.available.saturating_add(other.available),
        free: one.free.saturating_add(other.free),
        incoming: one.incoming.saturating_add(other.incoming),
        // One place shows what several have: one buffer.
        kept_back: one.kept_back.or(other.kept_back),
    }
}

fn figures(have: &Units, shown: &Units, terms: &Terms) -> Option<Finding> {
    let free = have.free.max(0);
    if shown.available == free || shown.available <= 0 && free == 0 {
        return None;
    }
    let expected = free.saturating_sub(have.kept_back.unwrap_or(0)).max(0);
    if shown.available == expected {
        return None;
    }
    // Nobody says how large the buffer is: what is usual for all the others is one.
    let usual = terms.short_most.map_or(shown.available > 0, |most| free.saturating_sub(shown.available) <= most);
    if shown.available < free && terms.buffered && have.kept_back.is_none() && usual {
        return None;
    }
    let source = SourceQuantities {
        available: free,
        on_hand: have.on_hand,
        committed: have.committed,
        back_ordered: have.back_ordered,
        on_order: have.incoming,
        available_everywhere: free,
        on_hand_everywhere: have.on_hand,
        ..SourceQuantities::default()
    };
    // A shop that takes the figure for a physical one subtracts its own promises from it.
    let figures = [shown.available, shown.on_hand].into_iter().filter(|figure| *figure != free);
    let reading = figures.flat_map(|figure| which_quantity(&source, figure)).find(|quantity| is_on_hand(*quantity));
    let (why, detail) = match reading {
        Some(quantity) => (
            Why::OnHand,
            format!("{} is shown; {free} is free to sell. {}", shown.available, quantity.told().trim_end_matches('.')),
        ),
        None => (
            Why::ForeignStock,
            format!("{} is shown, and {free} is free to sell: no quantity of the source gives this figure", shown.available),
        ),
    };
    Some(told(Cause::Quantity, why, free, shown.available, detail))
}

/// Whether it counts what is promised, or not there yet, as free.
const fn is_on_hand(quantity: Quantity) -> bool {
    matches!(
        quantity,
        Quantity::OnHand
            | Quantity::OnHandLessCommitted
            | Quantity::WithOnOrder
            | Quantity::OnHandWithOnOrder
            | Quantity::OnHandWithInTransit
            | Quantity::WithInTransit
            | Quantity::OnHandEverywhere
    )
}

fn told(cause: Cause, why: Why, free: i64, shown: i64, detail: String) -> Finding {
    Finding {
        cause,
        why,
        path: "available".to_owned(),
        expected: Some(free.to_string()),
        actual: Some(shown.to_string()),
        money: None,
        detail,
        fix: why.fix().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use proptest::prelude::*;

    use super::*;
    use crate::{
        id::{ExternalId, RecordKey, Sku},
        reconcile::{Tolerance, words::Words},
        records::Kind,
        statement::EntryLine,
    };

    fn terms(buffered: bool) -> Terms {
        Terms {
            kinds: vec![Kind::Stock],
            tolerance: Tolerance::default(),
            allowance: Duration::from_secs(600),
            late_after: Duration::from_secs(3_600),
            late_since: None,
            exclude_markets: Vec::new(),
            shared: Vec::new(),
            parts_only: false,
            short_most: None,
            buffered,
            unheard: BTreeMap::new(),
            in_transit: BTreeMap::new(),
            moving: std::collections::BTreeSet::new(),
            unlisted: std::collections::BTreeSet::new(),
            rates: crate::tax::rates::RateBook::default(),
            words: Words::default(),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn level(on_hand: i64, committed: i64, incoming: i64) -> Entry {
        let free = on_hand - committed;
        let units = Units { on_hand, committed, back_ordered: 0, available: free, free, incoming, kept_back: None };
        let bare = Entry::bare(Kind::Stock, ExternalId::new("7"), at(0));
        Entry { key: Some(RecordKey::new("COAT @ 10")), units: Some(units), ..bare }
    }

    /// What a shop shows; it has promised so many of them itself.
    fn shown(available: i64, physical: i64) -> Entry {
        let units = Units { on_hand: physical, available, free: available, ..Units::default() };
        Entry { units: Some(units), ..level(0, 0, 0) }
    }

    /// Units that orders want, or below nought gave up, of which the source has not heard.
    fn wants(units: i64) -> Unheard {
        Unheard { promised: units.max(0), freed: (-units).max(0) }
    }

    fn said(ours: &[&Entry], theirs: &[&Entry], buffered: bool) -> Option<(&'static str, Option<Why>, Option<String>)> {
        let found = judge(ours, theirs, &terms(buffered), at(1_000))?;
        let finding = found.findings.first();
        Some((found.verdict.word(), finding.map(|finding| finding.why), finding.and_then(|finding| finding.actual.clone())))
    }

    #[test]
    fn what_is_free_is_what_may_be_shown() {
        let agreed = Some(("agreed", None, None));
        assert_eq!(said(&[&level(10, 3, 0)], &[&shown(7, 9)], false), agreed);
        assert_eq!(said(&[&level(2, 5, 0)], &[&shown(0, 4)], false), agreed, "promised beyond what is there is none to sell");
        assert_eq!(said(&[&level(2, 5, 0)], &[&shown(-3, 0)], false), agreed);
        assert_eq!(said(&[&level(4, 0, 0), &level(9, 6, 0)], &[&shown(7, 7)], false), agreed, "two places that feed one");
        assert_eq!(said(&[], &[&shown(0, 0)], false), None, "nothing to sell of an item that nobody keeps");
        assert_eq!(said(&[&level(0, 0, 0)], &[], false), agreed);
    }

    #[test]
    fn a_quantity_of_the_source_that_is_not_the_free_one_is_named() {
        let open = |why, shown: &str| Some(("open", Some(why), Some(shown.to_owned())));
        assert_eq!(said(&[&level(10, 3, 5)], &[&shown(10, 10)], false), open(Why::OnHand, "10"), "on hand");
        assert_eq!(said(&[&level(10, 3, 5)], &[&shown(15, 15)], false), open(Why::OnHand, "15"), "on hand and on its way in");
        assert_eq!(said(&[&level(10, 3, 5)], &[&shown(12, 12)], false), open(Why::OnHand, "12"), "free and on its way in");
        // Taken for a physical figure: the shop has taken its own two promises off.
        assert_eq!(said(&[&level(10, 3, 5)], &[&shown(8, 10)], false), open(Why::OnHand, "8"));
        assert_eq!(said(&[&level(10, 3, 5)], &[&shown(11, 11)], false), open(Why::ForeignStock, "11"));
        assert_eq!(said(&[&level(10, 0, 0)], &[&shown(11, 11)], false), open(Why::ForeignStock, "11"), "nothing to mistake");
        assert_eq!(said(&[], &[&shown(4, 4)], false), open(Why::ForeignStock, "4"));
        assert_eq!(said(&[&level(4, 0, 0)], &[], false), open(Why::ItemMissing, "0"));
        let off = Entry { stage: Stage::Void, ..shown(4, 4) };
        assert_eq!(said(&[&level(4, 0, 0)], &[&off], false), open(Why::ItemMissing, "0"), "switched off, it is not shown");
    }

    #[test]
    fn a_buffer_hides_units_and_never_makes_any() {
        assert_eq!(said(&[&level(10, 3, 0)], &[&shown(5, 5)], true), Some(("agreed", None, None)));
        assert_eq!(said(&[&level(10, 3, 0)], &[&shown(5, 5)], false).unwrap().0, "open");
        assert_eq!(said(&[&level(10, 3, 0)], &[&shown(8, 8)], true).unwrap().0, "open");
    }

    #[test]
    fn what_an_order_wants_that_the_source_has_not_heard_of_is_told_by_its_own_difference() {
        let coat = Sku::new("COAT");
        let line = EntryLine { sku: coat.clone(), quantity: 0, unit: None, net: None, tax: None, rate: None, component: false };
        let ours = Entry { lines: vec![line], ..level(10, 3, 0) };
        let verdict = |unheard: i64, shows: i64| {
            let terms = Terms { unheard: BTreeMap::from([(coat.clone(), wants(unheard))]), ..terms(false) };
            judge(&[&ours], &[&shown(shows, shows)], &terms, at(1_000)).unwrap().verdict
        };
        let later = Verdict::InFlight { until: at(1_600) };
        assert_eq!((verdict(2, 5), verdict(2, 7), verdict(9, 0)), (Verdict::Agreed, Verdict::Agreed, Verdict::Agreed));
        assert_eq!((verdict(-2, 9), verdict(0, 9)), (Verdict::Agreed, Verdict::Open));
        assert_eq!((verdict(2, 6), verdict(-2, 8)), (later.clone(), later), "one of the two is of another place");
        assert_eq!((verdict(2, 4), verdict(2, 8), verdict(-2, 10)), (Verdict::Open, Verdict::Open, Verdict::Open));
    }

    #[test]
    fn a_second_look_tells_what_moves_what_is_on_its_way_and_what_is_not_sold_there() {
        let coat = Sku::new("COAT");
        let line = EntryLine { sku: coat.clone(), quantity: 0, unit: None, net: None, tax: None, rate: None, component: false };
        let ours = Entry { lines: vec![line], ..level(10, 3, 0) };
        let later = Verdict::InFlight { until: at(1_600) };
        let verdict = |terms: &Terms, theirs: &[&Entry]| judge(&[&ours], theirs, terms, at(1_000)).unwrap().verdict;
        let moving = Terms { moving: ["COAT @ 10".to_owned()].into(), ..terms(false) };
        assert_eq!(verdict(&moving, &[&shown(9, 9)]), later);
        assert_eq!(verdict(&moving, &[&shown(7, 7)]), Verdict::Agreed, "nothing is in flight that agrees");
        let transit = |units: i64, unheard: i64, shows: i64| {
            let terms = Terms {
                in_transit: BTreeMap::from([(coat.clone(), units)]),
                unheard: BTreeMap::from([(coat.clone(), wants(unheard))]),
                ..terms(false)
            };
            verdict(&terms, &[&shown(shows, shows)])
        };
        assert_eq!((transit(2, 0, 6), transit(2, 0, 5)), (later.clone(), later.clone()));
        assert_eq!((transit(2, 0, 4), transit(2, 0, 8)), (Verdict::Open, Verdict::Open));
        assert_eq!((transit(2, 1, 4), transit(2, 1, 3)), (later.clone(), Verdict::Open), "on top of what is not heard of at all");
        // What nobody keeps and still moves is told by nobody yet, and has not gone.
        let orphan = judge(&[], &[&shown(4, 4)], &moving, at(1_000)).unwrap();
        assert_eq!((orphan.verdict, orphan.ours.len(), orphan.theirs.len()), (later, 0, 1));
        let unlisted = Terms { unlisted: [coat.clone()].into(), ..terms(false) };
        assert!(matches!(verdict(&unlisted, &[]), Verdict::Excluded { rule: Rule::Unlisted, .. }));
        assert_eq!(verdict(&unlisted, &[&shown(9, 9)]), Verdict::Open, "what is shown is listed");
    }

    #[test]
    fn a_gap_of_the_moment_closes_and_one_that_stays_or_grows_is_none() {
        let of = |have: i64, shows: i64| gap(&[level(have, 0, 0)], &[shown(shows, shows)]);
        assert_eq!((of(9, 7), of(-3, 5), of(-4, 5), of(3, -2)), (-2, 5, 5, -3), "what is promised twice is not free twice");
        assert_eq!((gap(&[], &[shown(4, 4)]), gap(&[level(4, 0, 0)], &[])), (4, -4));
        assert!(moves(-1, 0) && moves(3, 2) && moves(-2, 1), "gone, shrunk, turned");
        assert!(!moves(5, 5) && !moves(5, 6) && !moves(-2, -2) && !moves(-2, -4));
    }

    #[test]
    fn what_moved_a_moment_ago_may_be_on_its_way() {
        let moved = |second| Entry { updated_at: Some(at(second)), ..level(10, 3, 0) };
        let verdict = |ours: &Entry| judge(&[ours], &[&shown(9, 9)], &terms(false), at(1_000)).unwrap().verdict;
        assert_eq!(verdict(&moved(401)), Verdict::InFlight { until: at(1_001) });
        assert_eq!(verdict(&moved(400)), Verdict::Open, "the allowance is over");
    }

    proptest! {
        #[test]
        fn nothing_but_the_free_figure_agrees(on_hand in 0_i64..50, committed in 0_i64..60, incoming in 0_i64..20, shows in 0_i64..80) {
            let verdict = said(&[&level(on_hand, committed, incoming)], &[&shown(shows, shows)], false).unwrap().0;
            let free = (on_hand - committed).max(0);
            prop_assert_eq!(verdict, if shows == free { "agreed" } else { "open" });
        }
    }
}
