//! The sentence of completeness, in figures: what the source told is agreed, open, excluded or in flight, in documents and in money.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Family, Match, Terms, Verdict,
    family::{aside, inside},
};
use crate::{
    moment::Interval,
    money::{Currency, Money},
    records::Kind,
    statement::{Entry, Stage},
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
#[serde(default)]
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
    /// What the target told in the window, counted as it was read; what is called off there counts for nothing.
    pub there: Sum,
    /// Of that, what stands for a document of the source.
    pub there_paired: Sum,
    /// Of that, what is nobody's business in this window: the partner of what lies outside it, the target's own, made a moment ago.
    pub there_aside: Sum,
    /// Documents that both ends told, in the window and around it, counted page by page when they were read.
    pub read: u64,
    /// The same, counted when they were judged.
    pub seen: u64,
}

impl Tally {
    /// Everything that got a verdict.
    pub fn judged(&self) -> Sum {
        self.excluded.values().fold(self.agreed.clone().with(&self.open).with(&self.in_flight), Sum::with)
    }

    /// Everything of the target that was accounted for.
    pub fn accounted(&self) -> Sum {
        self.there_paired.clone().with(&self.alone_there).with(&self.there_aside)
    }

    /// Documents that were read and are in none of these figures: passed over at either end.
    pub fn left_over(&self) -> u64 {
        let told = self.told.count.abs_diff(self.judged().count);
        self.read.abs_diff(self.seen).max(told).max(self.there.count.abs_diff(self.accounted().count))
    }

    /// Whether the sentence is true: everything could be read, nothing that was read was passed over, nothing that the source told
    /// has no verdict, and nothing that the target told is left over.
    pub fn meets(&self) -> bool {
        self.unread == 0 && self.read == self.seen && self.told.meets(&self.judged()) && self.there.meets(&self.accounted())
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

    /// Takes in a family and what became of it. What was told is counted from the family, before anything is asked of the matches:
    /// a document without a verdict, at either end, shows.
    pub fn add(&mut self, family: &Family, matches: &[Match], window: &Interval, terms: &Terms, now: Timestamp) {
        for entry in family.ours.iter().chain(&family.theirs) {
            self.of(entry.kind).seen += 1;
        }
        for entry in family.ours.iter().filter(|entry| terms.kinds.contains(&entry.kind) && inside(entry, window)) {
            self.of(entry.kind).told.add(entry);
        }
        let (mut paired, mut alone) = (BTreeSet::new(), BTreeSet::new());
        for found in matches {
            self.verdict(found, window);
            let accounted = if found.ours.is_empty() { &mut alone } else { &mut paired };
            accounted.extend(found.theirs.iter().map(|entry| (entry.kind, &entry.id)));
        }
        let counts = |entry: &&Entry| terms.kinds.contains(&entry.kind) && entry.stage != Stage::Void && inside(entry, window);
        for entry in family.theirs.iter().filter(counts) {
            let id = (entry.kind, &entry.id);
            let tally = self.of(entry.kind);
            tally.there.add(entry);
            if paired.contains(&id) {
                tally.there_paired.add(entry);
            } else if alone.contains(&id) {
                tally.alone_there.add(entry);
            } else if aside(entry, family, window, terms, now) {
                tally.there_aside.add(entry);
            }
        }
    }

    fn verdict(&mut self, found: &Match, window: &Interval) {
        let Some(kind) = found.kind() else { return };
        let tally = self.of(kind);
        tally.tolerated += found.tolerated.len() as u64;
        for entry in found.ours.iter().filter(|entry| inside(entry, window)) {
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
