//! What it means when the shop shows something else than what should stand there.
//!
//! A row tells whether somebody wrote, or nobody did and the source moved; and what was written shows which mistake
//! a foreign writer makes. Any one figure can be equal to another by chance: many with one cause are a pattern.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the shop shows of one SKU at one warehouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// Whether the source has something else left than when the figure was last worked out, own orders apart.
    pub moved: bool,
    /// Whether something else is kept back, or counted as not taken in, than then.
    pub lapsed: bool,
    /// Whether a write of this row is under way or owed.
    pub in_flight: bool,
}

/// Why a row drifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// As it should, or as far off as the shop's own orders put it.
    Agreed,
    /// Not yet as it should; it is being worked on.
    InFlight,
    /// Nobody wrote and the source did not move: what is kept back, or counted as not taken in, is something else by
    /// now, as time has passed. It has to be worked out again, and nothing drifted.
    Outdated,
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
        Some(false) if row.moved => Cause::MissedUpdate,
        Some(false) if row.lapsed => return Standing::Outdated,
        Some(false) => Cause::Unexplained,
        _ if row.on_hand_sent() => Cause::OnHandSentAsAvailable,
        _ if row.sellable_sent() => Cause::SellableSentAsPhysical,
        Some(true) => Cause::ForeignWrite,
        None => Cause::Unexplained,
    };
    Standing::Drift { cause, units: row.excess() }
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
            moved: false,
            lapsed: false,
            in_flight: false,
        }
    }

    fn drift(cause: Cause, units: i64) -> Standing {
        Standing::Drift { cause, units }
    }

    #[test]
    fn each_way_to_stand_is_named() {
        type Case = (&'static str, fn(&mut Row), Standing);
        let cases: [Case; 29] = [
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
            (
                "nought should be sold, and the source moved",
                |r| (r.free, r.figure, r.moved) = (-4, 3, true),
                drift(Cause::MissedUpdate, 10),
            ),
            (
                "the last one went at the source",
                |r| (r.figure, r.free, r.shown, r.verified, r.moved) = (3, 0, shown(4, 3), Some(shown(4, 3)), true),
                drift(Cause::MissedUpdate, 1),
            ),
            (
                "a first one came to the source",
                |r| (r.figure, r.free, r.shown, r.verified, r.moved) = (4, 1, shown(3, 3), Some(shown(3, 3)), true),
                drift(Cause::MissedUpdate, -1),
            ),
            ("one fewer, without an order", |r| (r.figure, r.free, r.moved) = (12, 9, true), drift(Cause::MissedUpdate, 1)),
            ("written lower", |r| r.shown = shown(7, 3), drift(Cause::ForeignWrite, -6)),
            ("on its way", |r| (r.shown, r.in_flight) = (shown(20, 3), true), Standing::InFlight),
            (
                "more taken than ordered",
                |r| (r.shown, r.own_since_figure) = (shown(10, 3), 2),
                drift(Cause::SellableSentAsPhysical, -3),
            ),
            ("the source moved", |r| (r.figure, r.free, r.moved) = (9, 6, true), drift(Cause::MissedUpdate, 4)),
            ("the source moved up", |r| (r.figure, r.free, r.moved) = (15, 12, true), drift(Cause::MissedUpdate, -2)),
            (
                "it moved, and a shipment lowered both",
                |r| (r.figure, r.free, r.shown, r.moved) = (5, 4, shown(11, 1), true),
                drift(Cause::MissedUpdate, 6),
            ),
            (
                "it moved, and more left the shelf than was shipped",
                |r| (r.figure, r.free, r.shown, r.moved) = (5, 4, shown(10, 1), true),
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
            ("an order was counted twice for a while", |r| (r.figure, r.free, r.lapsed) = (15, 12, true), Standing::Outdated),
            (
                "less is kept back, and the source moved",
                |r| (r.figure, r.free, r.lapsed, r.moved) = (15, 12, true, true),
                drift(Cause::MissedUpdate, -2),
            ),
            (
                "less is kept back, and somebody wrote",
                |r| (r.figure, r.free, r.lapsed, r.shown) = (15, 12, true, shown(20, 3)),
                drift(Cause::ForeignWrite, 5),
            ),
        ];
        for (name, change, standing) in cases {
            let mut row = right();
            change(&mut row);
            assert_eq!(classify(&row), standing, "{name}");
        }
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
                    moved: true,
                    lapsed: true,
                    in_flight: false,
                };
                assert_ne!(classify(&row), Standing::Agreed);
            }
        }
    }
}
