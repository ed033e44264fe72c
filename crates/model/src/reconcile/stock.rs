//! What a shop shows against what its source has: one item in one place.
//!
//! A figure is no document: it is true at one instant. What changed a moment ago may be on its way; what shows more than there is
//! sells what nobody has; what shows less may be a buffer, where one is kept.

use jiff::Timestamp;

use super::{Finding, How, Match, Terms, Verdict, Why, family::until};
use crate::{
    compare::Cause,
    statement::{Entry, Stage, Units},
};

/// What becomes of one item in one place.
pub(super) fn judge(ours: &[&Entry], theirs: &[&Entry], terms: &Terms, now: Timestamp) -> Option<Match> {
    let have = ours.iter().filter_map(|entry| entry.units).reduce(together);
    let shown = theirs.iter().find(|entry| entry.stage != Stage::Void).and_then(|entry| entry.units);
    let finding = match (have, shown) {
        (Some(have), Some(shown)) => {
            // An order that does not stand at the source is promised by the shop alone: another difference tells of it.
            let unheard = item(ours).and_then(|sku| terms.unheard.get(sku)).copied().unwrap_or(0);
            let told = unheard != 0
                && shown.available == have.free.saturating_sub(have.kept_back.unwrap_or(0)).saturating_sub(unheard).max(0);
            figures(&have, &shown, terms).filter(|_| !told)
        }
        (None, Some(shown)) if shown.available > 0 => Some(told(
            Cause::Orphan,
            Why::ForeignStock,
            0,
            shown.available,
            format!("{} shown of an item that the source does not keep", shown.available),
        )),
        (Some(have), None) if have.free > 0 => Some(told(
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
    let (verdict, findings) = match (finding, fresh) {
        (None, _) => (Verdict::Agreed, Vec::new()),
        (Some(_), Some(until)) => (Verdict::InFlight { until }, Vec::new()),
        (Some(finding), None) => (Verdict::Open, vec![finding]),
    };
    // An item that only the shop lists, with nothing to sell, is nobody's.
    (have.is_some() || verdict == Verdict::Open).then(|| Match {
        ours: one(ours),
        theirs: one(theirs),
        how: How::Key,
        verdict,
        findings,
        tolerated: Vec::new(),
        exception: None,
    })
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
    let usual = terms.short_most.is_none_or(|most| free.saturating_sub(shown.available) <= most);
    if shown.available < free && terms.buffered && have.kept_back.is_none() && usual {
        return None;
    }
    // What the source could have been read as: the first that gives this figure, and is another than what is free.
    let readings = [
        (have.on_hand, Why::OnHand, "what is on hand there, promised units included"),
        (have.on_hand.saturating_add(have.incoming), Why::OnHand, "what is on hand and on its way in"),
        (free.saturating_add(have.incoming), Why::OnHand, "what is free and on its way in"),
    ];
    let reading = readings.into_iter().find(|(units, ..)| {
        // A shop that takes the figure for a physical one subtracts its own promises from it.
        *units != free && (*units == shown.available || *units == shown.on_hand && shown.on_hand != free)
    });
    let (why, detail) = match reading {
        Some((units, why, what)) => (why, format!("{} is shown; {free} is free to sell. {units} is {what}", shown.available)),
        None => (
            Why::ForeignStock,
            format!("{} is shown, and {free} is free to sell: no quantity of the source gives this figure", shown.available),
        ),
    };
    Some(told(Cause::Quantity, why, free, shown.available, detail))
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
