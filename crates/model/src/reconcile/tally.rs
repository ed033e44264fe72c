//! The sentence of completeness, in figures: what the source told is agreed, open, excluded or in flight, in documents and in money.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Match, Verdict};
use crate::{
    money::{Currency, Money},
    records::Kind,
    statement::Entry,
};

/// Documents and their money, per currency, in minor units. Wide enough for any sum of amounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// Documents.
    pub count: u64,
    /// Gross amounts.
    pub money: BTreeMap<Currency, i128>,
}

impl Sum {
    /// Takes in a document.
    pub fn add(&mut self, entry: &Entry) {
        self.count += 1;
        if let Some(gross) = entry.gross() {
            self.money(gross);
        }
    }

    fn money(&mut self, money: Money) {
        let sum = self.money.entry(money.currency()).or_default();
        *sum = sum.saturating_add(i128::from(money.minor()));
    }

    /// The same with another taken in.
    #[must_use]
    pub fn with(mut self, other: &Sum) -> Sum {
        self.count += other.count;
        for (currency, minor) in &other.money {
            let sum = self.money.entry(*currency).or_default();
            *sum = sum.saturating_add(*minor);
        }
        self
    }

    /// Whether both are the same; a currency without money is none.
    pub fn meets(&self, other: &Sum) -> bool {
        let plain =
            |sum: &Sum| sum.money.iter().filter(|(_, minor)| **minor != 0).map(|(c, m)| (*c, *m)).collect::<BTreeMap<_, _>>();
        self.count == other.count && plain(self) == plain(other)
    }
}

/// What became of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// What the source told in the window, counted as it was read and before anything was paired.
    pub told: Sum,
    /// Documents that are there and could not be read.
    pub unread: u64,
    /// What the flows never captured, of what was told. Nothing where no flow takes this kind.
    pub uncaptured: u64,
    /// It stands at the target and both say the same.
    pub agreed: Sum,
    /// Somebody has to look.
    pub open: Sum,
    /// By rule (with its version): it need not stand there.
    pub excluded: BTreeMap<String, Sum>,
    /// It need not be there yet.
    pub in_flight: Sum,
    /// What stands at the target alone, or more than once.
    pub alone_there: Sum,
    /// What differs within the tolerance.
    pub tolerated: u64,
    /// What the target told in the window.
    pub there: Sum,
}

impl Tally {
    /// Everything that got a verdict.
    pub fn judged(&self) -> Sum {
        self.excluded.values().fold(self.agreed.clone().with(&self.open).with(&self.in_flight), Sum::with)
    }

    /// Whether the sentence is true: nothing that was told has no verdict, and everything could be read.
    pub fn meets(&self) -> bool {
        self.unread == 0 && self.told.meets(&self.judged())
    }
}

/// What became of every kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tallies(pub BTreeMap<String, Tally>);

impl Tallies {
    /// That of one kind.
    pub fn of(&mut self, kind: Kind) -> &mut Tally {
        self.0.entry(kind.word().to_owned()).or_default()
    }

    /// Takes in a match: every document of the source in it once, by its verdict. `inside` says whether a document lies in the window.
    pub fn add(&mut self, found: &Match, inside: impl Fn(&Entry) -> bool) {
        let Some(kind) = found.kind() else { return };
        let tally = self.of(kind);
        tally.tolerated += found.tolerated.len() as u64;
        if found.ours.is_empty() {
            for entry in &found.theirs {
                tally.alone_there.add(entry);
            }
            return;
        }
        for entry in found.ours.iter().filter(|entry| inside(entry)) {
            match &found.verdict {
                Verdict::Agreed => tally.agreed.add(entry),
                Verdict::Open => tally.open.add(entry),
                Verdict::InFlight { .. } => tally.in_flight.add(entry),
                Verdict::Excluded { rule, version, .. } => {
                    tally.excluded.entry(format!("{} v{version}", rule.word())).or_default().add(entry);
                }
            }
        }
    }

    /// Whether every sentence is true.
    pub fn meet(&self) -> bool {
        self.0.values().all(Tally::meets)
    }
}
