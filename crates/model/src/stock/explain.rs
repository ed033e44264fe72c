//! The terms of a figure as lines to be read, each with its time and where it comes from.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::availability::{Basis, Terms};
use crate::id::Sku;

/// What a line states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Term {
    /// Physically at the source.
    OnHand,
    /// Promised there, and there. Taken off.
    Committed,
    /// Promised there, and not there. Taken off.
    BackOrdered,
    /// Asked for there by orders that nobody has approved yet. Taken off.
    PendingApproval,
    /// A sum: what is left at the source.
    Net,
    /// Ordered in the shop, not taken in by the source. Taken off.
    NotTakenIn,
    /// The same, as parts of kits. Taken off.
    ThroughKits,
    /// Held back. Taken off.
    Buffer,
    /// May not be sold. Taken off.
    NotForSale,
    /// A sum: free to sell.
    Free,
    /// What lifts a figure below nought to nought.
    LiftedToNought,
    /// Allocated by the shop itself. Added.
    Allocated,
    /// A sum: what is written.
    Figure,
}

impl Term {
    /// Whether it is the sum of the lines above it and not a term by itself.
    pub fn is_sum(self) -> bool {
        matches!(self, Term::Net | Term::Free | Term::Figure)
    }
}

/// One line of an explanation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// What it states.
    pub term: Term,
    /// The part of the kit that it speaks of; `None`: the SKU that was asked for.
    pub part: Option<Sku>,
    /// Units, with the sign that they have in the sum.
    pub units: i64,
    /// As of when it is known, where that is one instant.
    pub as_of: Option<Timestamp>,
    /// Where it comes from, in words.
    pub origin: String,
}

/// How a figure comes about. The lines without a part that are no sums add up to the last line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Explained {
    /// In the order in which they are added.
    pub lines: Vec<Line>,
}

impl Terms {
    /// The lines that lead to what is free, and, where it is known what the shop has allocated and as
    /// of when, to the figure that is written.
    pub fn explain(&self, allocated: Option<(i64, Timestamp)>) -> Explained {
        let mut lines = Vec::new();
        self.tell(None, &mut lines);
        if let Some((allocated, as_of)) = allocated {
            let mut line = |term, units, as_of, origin: &str| {
                lines.push(Line { term, part: None, units, as_of, origin: origin.to_owned() });
            };
            if self.free() < 0 {
                line(Term::LiftedToNought, self.free().saturating_neg(), None, "no figure is below nought");
            }
            line(Term::Allocated, allocated.max(0), Some(as_of), "the shop subtracts these by itself");
            line(Term::Figure, self.figure(allocated), None, "physical units to write");
        }
        Explained { lines }
    }

    fn tell(&self, part: Option<&Sku>, lines: &mut Vec<Line>) {
        let net_origin = match &self.basis {
            Basis::Level { origin, .. } => origin.clone(),
            Basis::NotKept => "the source keeps none of it here".to_owned(),
            Basis::Part { sku, units, terms } => {
                terms.tell(Some(sku), lines);
                format!("{} free of {sku}, the scarcest part, at {units} a kit", terms.free())
            }
            Basis::NoParts => "a kit without parts".to_owned(),
        };
        let mut line = |term, units, as_of, origin: String| lines.push(Line { term, part: part.cloned(), units, as_of, origin });
        // Lines of a kit's part lead to its net, which then stands for itself.
        if let Basis::Level { on_hand, committed, back_ordered, pending_approval, origin } = &self.basis {
            line(Term::OnHand, *on_hand, Some(self.net_as_of), origin.clone());
            line(Term::Committed, committed.saturating_neg(), Some(self.net_as_of), origin.clone());
            line(Term::BackOrdered, back_ordered.saturating_neg(), Some(self.net_as_of), origin.clone());
            line(Term::PendingApproval, pending_approval.saturating_neg(), Some(self.net_as_of), origin.clone());
        }
        line(Term::Net, self.net, Some(self.net_as_of), net_origin);
        let orders = "shop orders that the source had not taken in";
        let own = self.not_taken_in.saturating_sub(self.through_kits);
        line(Term::NotTakenIn, own.saturating_neg(), Some(self.not_taken_in_as_of), orders.to_owned());
        if self.through_kits > 0 {
            let origin = format!("{orders}, of kits that contain it");
            line(Term::ThroughKits, self.through_kits.saturating_neg(), Some(self.not_taken_in_as_of), origin);
        }
        line(Term::Buffer, self.buffer.saturating_neg(), None, self.buffer_origin.clone());
        if !self.for_sale {
            let left = self.net.saturating_sub(self.not_taken_in.max(0)).saturating_sub(self.buffer.max(0));
            line(Term::NotForSale, left.max(0).saturating_neg(), None, "the source says that it may not be sold".to_owned());
        }
        line(Term::Free, self.free(), None, "free to sell".to_owned());
    }
}

impl Explained {
    /// The sum of the terms of the SKU that was asked for; what the last line states. The net figure
    /// of a kit, or of what is not kept, stands by itself.
    pub fn sum(&self) -> i64 {
        let own = || self.lines.iter().filter(|line| line.part.is_none());
        let stated = own().any(|line| line.term == Term::OnHand);
        own()
            .filter(|line| !line.term.is_sum() || line.term == Term::Net && !stated)
            .fold(0, |sum: i64, line| sum.saturating_add(line.units))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn terms(basis: Basis, net: i64) -> Terms {
        Terms {
            net,
            net_as_of: at(100),
            basis,
            not_taken_in: 5,
            through_kits: 3,
            not_taken_in_as_of: at(200),
            buffer: 1,
            buffer_origin: "1 unit, the default".to_owned(),
            for_sale: true,
        }
    }

    fn level(on_hand: i64) -> Basis {
        Basis::Level {
            on_hand: on_hand + 2,
            committed: 4,
            back_ordered: 1,
            pending_approval: 2,
            origin: "item 101 at place 7".to_owned(),
        }
    }

    fn said(explained: &Explained) -> Vec<(Term, Option<&str>, i64)> {
        explained.lines.iter().map(|line| (line.term, line.part.as_ref().map(Sku::as_str), line.units)).collect()
    }

    #[test]
    fn every_term_of_a_plain_item_is_a_line() {
        let explained = terms(level(20), 15).explain(Some((6, at(300))));
        assert_eq!(
            said(&explained),
            [
                (Term::OnHand, None, 22),
                (Term::Committed, None, -4),
                (Term::BackOrdered, None, -1),
                (Term::PendingApproval, None, -2),
                (Term::Net, None, 15),
                (Term::NotTakenIn, None, -2),
                (Term::ThroughKits, None, -3),
                (Term::Buffer, None, -1),
                (Term::Free, None, 9),
                (Term::Allocated, None, 6),
                (Term::Figure, None, 15),
            ]
        );
        assert_eq!(explained.sum(), 15);
        assert_eq!(explained.lines[0].as_of, Some(at(100)));
        assert_eq!(explained.lines[5].as_of, Some(at(200)));
        assert_eq!(explained.lines[9].as_of, Some(at(300)));
        let text = serde_json::to_string(&explained.lines[0]).unwrap();
        assert!(text.contains(r#""term":"on_hand""#) && text.contains("item 101 at place 7"), "{text}");
    }

    #[test]
    fn a_kit_shows_its_scarcest_part_first() {
        let part = terms(level(20), 15);
        let basis = Basis::Part { sku: Sku::new("A"), units: 2, terms: Box::new(part) };
        let kit = Terms { not_taken_in: 0, through_kits: 0, ..terms(basis, 4) };
        let explained = kit.explain(None);
        assert_eq!(
            said(&explained)[4..],
            [
                (Term::Net, Some("A"), 15),
                (Term::NotTakenIn, Some("A"), -2),
                (Term::ThroughKits, Some("A"), -3),
                (Term::Buffer, Some("A"), -1),
                (Term::Free, Some("A"), 9),
                (Term::Net, None, 4),
                (Term::NotTakenIn, None, 0),
                (Term::Buffer, None, -1),
                (Term::Free, None, 3),
            ]
        );
        assert_eq!(explained.sum(), 3);
    }

    #[test]
    fn what_may_not_be_sold_and_what_is_short_say_so() {
        let barred = Terms { for_sale: false, ..terms(level(20), 15) }.explain(Some((6, at(300))));
        assert!(said(&barred).contains(&(Term::NotForSale, None, -9)));
        assert_eq!(barred.sum(), 6);
        let short = terms(level(3), -2).explain(Some((6, at(300))));
        assert!(said(&short).contains(&(Term::LiftedToNought, None, 8)));
        assert_eq!(short.sum(), 6);
        assert_eq!(terms(level(3), -2).explain(None).sum(), -8);
        let none = terms(level(11), 6).explain(Some((6, at(300))));
        assert!(said(&none).iter().all(|(term, ..)| *term != Term::LiftedToNought), "nought needs no lifting");
    }
}
