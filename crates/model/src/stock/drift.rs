//! What it means when the shop shows something else than what should stand there.
//!
//! One row tells whether somebody wrote, or nobody did and the source moved. Which mistake a foreign
//! writer makes shows only over many rows: any one figure can be equal to another by chance.

use serde::{Deserialize, Serialize};

/// Fewer rows that tell one hypothesis from the others make no pattern.
pub const PATTERN_ROWS_MIN: u64 = 10;

/// Of the rows that could fit, at least so many in a hundred must.
pub const PATTERN_FIT_PERCENT: u64 = 80;

/// What the shop shows of one SKU at one warehouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Units that it takes for physically there.
    pub physical: i64,
    /// Units that its orders hold.
    pub allocated: i64,
    /// Units that it would still sell.
    pub free: i64,
}

/// What the source states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Physically there.
    pub on_hand: i64,
    /// Promised.
    pub committed: i64,
    /// What it calls available; many cut it at nought.
    pub available: i64,
    /// What is left when every promise is kept; signed.
    pub net: i64,
}

/// One row that was read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The physical units that should stand there, with what the shop has allocated as it is shown.
    pub figure: i64,
    /// Free to sell; signed.
    pub free: i64,
    /// What stands there.
    pub shown: Shown,
    /// What stood there when it was last read back and right; `None`: never.
    pub verified: Option<Shown>,
    /// What the source states.
    pub source: Source,
    /// Units of the shop's own orders since `verified`.
    pub own_since_verified: i64,
    /// Units of those that `figure` and `free` do not know of yet.
    pub own_since_figure: i64,
    /// Whether a write of this row is under way or owed.
    pub in_flight: bool,
}

/// Why a row drifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Somebody else wrote: the physical units changed, and neither we nor a shipment did it. A return
    /// that was put back on the shelf in the shop looks the same.
    ForeignWrite,
    /// Nobody wrote, and the source moved: we should have.
    MissedUpdate,
    /// The source's on hand stands there, though less is available: its promises to others are sold again.
    OnHandSentAsAvailable,
    /// What is free stands there as physical: the shop's allocations are subtracted twice.
    SellableSentAsPhysical,
    /// None of these.
    Unexplained,
}

/// How a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// As it should, or as far off as the shop's own orders put it.
    Agreed,
    /// Not yet as it should; it is being worked on.
    InFlight,
    /// Off.
    Drift {
        /// Why.
        cause: Cause,
        /// Units that the shop would sell beyond what is free; below nought, that it would not sell though it could.
        units: i64,
    },
}

impl Row {
    /// Units that the shop would sell beyond what is free.
    fn excess(&self) -> i64 {
        self.shown.free.saturating_sub(self.free.max(0))
    }

    /// Orders that we do not know of yet take from what the shop shows as free, and leave its physical units alone.
    fn agrees(&self) -> bool {
        let taken = self.excess().saturating_neg();
        self.shown.physical == self.figure || (0..=self.own_since_figure.max(0)).contains(&taken)
    }

    /// Whether somebody wrote the physical units since they were last right; `None` when they never were.
    /// A shipment lowers physical and allocated units alike, so units that are no longer allocated
    /// explain as much of a fall.
    fn written(&self) -> Option<bool> {
        let verified = self.verified?;
        let fall = verified.physical.saturating_sub(self.shown.physical);
        let released = verified.allocated.saturating_add(self.own_since_verified.max(0)).saturating_sub(self.shown.allocated);
        Some(fall != 0 && !(1..=released).contains(&fall))
    }

    /// Whether what should be free is something else than when the row was last right, own orders apart.
    fn source_moved(&self) -> bool {
        self.verified.is_some_and(|verified| {
            let least = verified.free.saturating_sub(self.own_since_verified.max(0));
            !(least.max(0)..=verified.free.max(0)).contains(&self.free.max(0))
        })
    }

    fn on_hand_sent(&self) -> bool {
        self.source.available < self.source.on_hand && self.shown.physical == self.source.on_hand
    }

    fn sellable_sent(&self) -> bool {
        self.shown.allocated > 0 && self.shown.physical == self.free.max(0)
    }
}

/// How a row stands, and why.
pub fn classify(row: &Row) -> Standing {
    if row.agrees() {
        return Standing::Agreed;
    }
    if row.in_flight {
        return Standing::InFlight;
    }
    let cause = match row.written() {
        Some(false) if row.source_moved() => Cause::MissedUpdate,
        Some(false) => Cause::Unexplained,
        _ if row.on_hand_sent() => Cause::OnHandSentAsAvailable,
        _ if row.sellable_sent() => Cause::SellableSentAsPhysical,
        Some(true) => Cause::ForeignWrite,
        None => Cause::Unexplained,
    };
    Standing::Drift { cause, units: row.excess() }
}

/// One cause that explains most of what could be explained by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pattern {
    /// The cause.
    pub cause: Cause,
    /// Rows that show exactly what it would make them show.
    pub fit: u64,
    /// Rows in which it would show something else than what should stand there, and than every other cause would.
    pub could_fit: u64,
    /// Rows looked at.
    pub rows: u64,
}

/// Looks for one cause behind many rows: every row that was read back, those that agree included, as they
/// speak against it. A cause is named when at least [`PATTERN_ROWS_MIN`] rows can tell it from the truth
/// and from the other causes, and [`PATTERN_FIT_PERCENT`] of a hundred of those fit.
///
/// A foreign write without a rule to it predicts nothing, so it is named by its share alone: of the rows
/// that were once right, as many must have been written since.
pub fn pattern(rows: &[Row]) -> Option<Pattern> {
    const PREDICTING: [Cause; 3] = [Cause::OnHandSentAsAvailable, Cause::SellableSentAsPhysical, Cause::MissedUpdate];
    let count = |what: &dyn Fn(&Row) -> bool| rows.iter().filter(|row| what(row)).count() as u64;
    let named = |cause, fit: u64, could_fit: u64| {
        let enough = could_fit >= PATTERN_ROWS_MIN && fit.saturating_mul(100) >= could_fit.saturating_mul(PATTERN_FIT_PERCENT);
        enough.then_some(Pattern { cause, fit, could_fit, rows: rows.len() as u64 })
    };
    let mut best: Option<Pattern> = None;
    for cause in PREDICTING {
        let tells = |row: &Row| {
            predicted(cause, row).is_some_and(|physical| {
                physical != row.figure
                    && PREDICTING.iter().all(|other| *other == cause || predicted(*other, row) != Some(physical))
            })
        };
        let fits = |row: &Row| tells(row) && predicted(cause, row) == Some(row.shown.physical);
        let found = named(cause, count(&fits), count(&tells));
        best = best.into_iter().chain(found).max_by_key(|pattern| pattern.fit);
    }
    let written = |row: &Row| !row.agrees() && !row.in_flight && row.written() == Some(true);
    best.or_else(|| named(Cause::ForeignWrite, count(&written), count(&|row| row.verified.is_some())))
}

/// The physical units that would stand there if this were the cause.
fn predicted(cause: Cause, row: &Row) -> Option<i64> {
    match cause {
        Cause::OnHandSentAsAvailable => Some(row.source.on_hand),
        Cause::SellableSentAsPhysical => Some(row.free.max(0)),
        Cause::MissedUpdate => row.verified.map(|verified| verified.physical),
        Cause::ForeignWrite | Cause::Unexplained => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(physical: i64, allocated: i64) -> Shown {
        Shown { physical, allocated, free: physical - allocated }
    }

    /// Free 10 as the source has it (on hand 18, 5 promised elsewhere, 3 to us), 3 allocated: 13 should stand there.
    fn right() -> Row {
        Row {
            figure: 13,
            free: 10,
            shown: shown(13, 3),
            verified: Some(shown(13, 3)),
            source: Source { on_hand: 18, committed: 8, available: 10, net: 10 },
            own_since_verified: 0,
            own_since_figure: 0,
            in_flight: false,
        }
    }

    fn drift(cause: Cause, units: i64) -> Standing {
        Standing::Drift { cause, units }
    }

    #[test]
    fn each_way_to_stand_is_named() {
        type Case = (&'static str, fn(&mut Row), Standing);
        let cases: [Case; 26] = [
            ("right", |_| {}, Standing::Agreed),
            ("never verified and right", |r| r.verified = None, Standing::Agreed),
            ("an order since", |r| (r.shown, r.own_since_verified) = (shown(13, 5), 2), Standing::Agreed),
            ("shipped since", |r| r.shown = shown(11, 1), Standing::Agreed),
            (
                "ordered since, which we do not know of, and others shipped",
                |r| (r.shown, r.own_since_figure) = (shown(11, 3), 2),
                Standing::Agreed,
            ),
            (
                "two fewer are offered, and we know of every order",
                |r| (r.shown, r.own_since_verified) = (shown(11, 3), 2),
                drift(Cause::Unexplained, -2),
            ),
            ("sold short, and nought stands there", |r| (r.free, r.figure, r.shown) = (-4, 3, shown(3, 3)), Standing::Agreed),
            ("written by another", |r| r.shown = shown(20, 3), drift(Cause::ForeignWrite, 7)),
            (
                "written, where nought should be sold",
                |r| (r.free, r.figure, r.shown) = (-4, 3, shown(9, 3)),
                drift(Cause::ForeignWrite, 6),
            ),
            ("nought should be sold, and the source moved", |r| (r.free, r.figure) = (-4, 3), drift(Cause::MissedUpdate, 10)),
            (
                "the last one went at the source",
                |r| (r.figure, r.free, r.shown, r.verified) = (3, 0, shown(4, 3), Some(shown(4, 3))),
                drift(Cause::MissedUpdate, 1),
            ),
            (
                "a first one came to the source",
                |r| (r.figure, r.free, r.shown, r.verified) = (4, 1, shown(3, 3), Some(shown(3, 3))),
                drift(Cause::MissedUpdate, -1),
            ),
            ("one fewer, without an order", |r| (r.figure, r.free) = (12, 9), drift(Cause::MissedUpdate, 1)),
            ("written lower", |r| r.shown = shown(7, 3), drift(Cause::ForeignWrite, -6)),
            ("on its way", |r| (r.shown, r.in_flight) = (shown(20, 3), true), Standing::InFlight),
            (
                "more taken than ordered",
                |r| (r.shown, r.own_since_figure) = (shown(10, 3), 2),
                drift(Cause::SellableSentAsPhysical, -3),
            ),
            ("the source moved", |r| (r.figure, r.free) = (9, 6), drift(Cause::MissedUpdate, 4)),
            ("the source moved up", |r| (r.figure, r.free) = (15, 12), drift(Cause::MissedUpdate, -2)),
            (
                "it moved, and a shipment lowered both",
                |r| (r.figure, r.free, r.shown) = (5, 4, shown(11, 1)),
                drift(Cause::MissedUpdate, 6),
            ),
            (
                "it moved, and more left the shelf than was shipped",
                |r| (r.figure, r.free, r.shown) = (5, 4, shown(10, 1)),
                drift(Cause::ForeignWrite, 5),
            ),
            (
                "only our own orders make the difference, and the shop lost their allocation",
                |r| (r.figure, r.free, r.own_since_verified) = (11, 8, 2),
                drift(Cause::Unexplained, 2),
            ),
            ("on hand", |r| r.shown = shown(18, 3), drift(Cause::OnHandSentAsAvailable, 5)),
            ("on hand, never right", |r| (r.shown, r.verified) = (shown(18, 3), None), drift(Cause::OnHandSentAsAvailable, 5)),
            (
                "on hand, with all of it available",
                |r| (r.shown, r.source.available) = (shown(18, 3), 18),
                drift(Cause::ForeignWrite, 5),
            ),
            (
                "what is free as physical",
                |r| (r.shown, r.verified) = (shown(10, 3), None),
                drift(Cause::SellableSentAsPhysical, -3),
            ),
            ("anything, never right", |r| (r.shown, r.verified) = (shown(99, 3), None), drift(Cause::Unexplained, 86)),
        ];
        for (name, change, standing) in cases {
            let mut row = right();
            change(&mut row);
            assert_eq!(classify(&row), standing, "{name}");
        }
    }

    /// Rows that differ in every way, and what `physical` makes of each.
    fn rows(count: i64, physical: fn(&Row) -> i64) -> Vec<Row> {
        (0..count)
            .map(|n| {
                let (free, allocated, promised) = (20 + n, 1 + n % 3, 5 + n % 4);
                let mut row = Row {
                    figure: free + allocated,
                    free,
                    shown: shown(0, allocated),
                    verified: Some(shown(free + allocated + 40, allocated)),
                    source: Source { on_hand: free + promised, committed: promised, available: free, net: free },
                    own_since_verified: 0,
                    own_since_figure: 0,
                    in_flight: false,
                };
                row.shown = shown(physical(&row), allocated);
                row
            })
            .collect()
    }

    #[test]
    fn a_pattern_names_the_cause_behind_many_rows() {
        let named = |rows: &[Row]| pattern(rows).map(|p| (p.cause, p.fit, p.could_fit));
        assert_eq!(named(&rows(12, |r| r.source.on_hand)), Some((Cause::OnHandSentAsAvailable, 12, 12)));
        assert_eq!(named(&rows(12, |r| r.free)), Some((Cause::SellableSentAsPhysical, 12, 12)));
        assert_eq!(named(&rows(12, |r| r.verified.unwrap().physical)), Some((Cause::MissedUpdate, 12, 12)));
        assert_eq!(named(&rows(12, |r| r.figure + 500)), Some((Cause::ForeignWrite, 12, 12)));
        assert_eq!(named(&rows(12, |r| r.figure)), None);
        assert_eq!(pattern(&rows(12, |r| r.free)).unwrap().rows, 12);
        assert_eq!(named(&[]), None);
    }

    #[test]
    fn a_pattern_needs_rows_that_tell_it_apart_and_most_of_them() {
        let sent = |r: &Row| r.source.on_hand;
        assert_eq!(pattern(&rows(9, sent)), None);
        assert!(pattern(&rows(10, sent)).is_some());
        // Eight of ten fit, and the other two are right.
        let mut most = rows(10, sent);
        most[..2].iter_mut().for_each(|row| row.shown = shown(row.figure, row.shown.allocated));
        assert_eq!(pattern(&most).map(|p| (p.fit, p.could_fit)), Some((8, 10)));
        most[2].shown = shown(most[2].figure, most[2].shown.allocated);
        assert_eq!(pattern(&most), None);
        // Where on hand is what should stand there, or what was missed, it says nothing.
        let mut mute = rows(20, sent);
        for (n, row) in mute.iter_mut().enumerate() {
            match n % 2 {
                0 => (row.figure, row.verified) = (row.source.on_hand, None),
                _ => row.verified = Some(shown(row.source.on_hand, row.shown.allocated)),
            }
        }
        assert_eq!(pattern(&mute), None);
        let mut waiting = rows(12, |r| r.figure + 500);
        waiting.iter_mut().for_each(|row| row.in_flight = true);
        assert_eq!(pattern(&waiting), None);
    }

    #[test]
    fn the_ends_of_what_can_be_held_do_not_wrap() {
        let end = |n| Shown { physical: n, allocated: n, free: n };
        for (a, b) in [(i64::MIN, i64::MAX), (i64::MAX, i64::MIN)] {
            let source = Source { on_hand: a, committed: b, available: b, net: a };
            for own in [0, a, b] {
                let row = Row {
                    figure: b,
                    free: b,
                    shown: end(a),
                    verified: Some(end(b)),
                    source,
                    own_since_verified: own,
                    own_since_figure: own.min(0),
                    in_flight: false,
                };
                assert_ne!(classify(&row), Standing::Agreed);
                assert_eq!(pattern(&[row]), None);
            }
        }
    }
}
