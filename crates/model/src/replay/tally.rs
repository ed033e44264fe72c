//! Changed fields of many records, counted. Bounded: what has no room of its own is counted together.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Change, Comparison, Effect, Verdict};
use crate::{compare::Difference, money::Money, problem::Problem};

/// How many fields, and how many reasons, are counted apart.
const ROOMS_MAX: usize = 500;
/// The room for what has none of its own.
const OTHERS: &str = "(others)";

/// Amounts by currency.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Sums(BTreeMap<String, Money>);

impl Sums {
    /// Adds an amount. A sum that would pass what an amount can hold stands still.
    pub fn add(&mut self, amount: Money) {
        let sum = self.0.entry(amount.currency().code().to_owned()).or_insert(Money::from_minor(0, amount.currency()));
        *sum = sum.plus(amount).unwrap_or(*sum);
    }

    /// The sums, by currency code.
    pub fn iter(&self) -> impl Iterator<Item = Money> {
        self.0.values().copied()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One field that changed in some records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FieldCount {
    /// In how many records.
    pub records: u64,
    /// How much money that moves.
    pub money: Sums,
    /// The record of which the two values below are.
    pub example: String,
    /// Before, or ours.
    pub before: Option<String>,
    /// After, or theirs.
    pub after: Option<String>,
}

/// Changed fields by path; numbers of lines are left out (`lines[].tax`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Fields(BTreeMap<String, FieldCount>);

impl Fields {
    /// Counts the changes of one record.
    pub fn add(&mut self, record: &str, changes: &[Change]) {
        let mut of_record: BTreeMap<String, Vec<&Change>> = BTreeMap::new();
        for change in changes {
            of_record.entry(without_places(&change.path)).or_default().push(change);
        }
        for (path, changes) in of_record {
            let room = if self.0.contains_key(&path) || self.0.len() < ROOMS_MAX { path } else { OTHERS.to_owned() };
            let field = self.0.entry(room).or_default();
            if let Some(first) = changes.first().filter(|_| field.records == 0) {
                field.example = record.to_owned();
                field.before.clone_from(&first.before);
                field.after.clone_from(&first.after);
            }
            field.records = field.records.saturating_add(1);
            changes.iter().filter_map(|change| change.money).for_each(|amount| field.money.add(amount));
        }
    }

    /// The fields, those that changed in most records first.
    pub fn top(&self) -> Vec<(&str, &FieldCount)> {
        let mut fields: Vec<(&str, &FieldCount)> = self.0.iter().map(|(path, count)| (path.as_str(), count)).collect();
        fields.sort_by(|a, b| b.1.records.cmp(&a.1.records).then(a.0.cmp(b.0)));
        fields
    }
}

fn without_places(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('[') {
        out.push_str(before);
        match after.split_once(']') {
            Some((place, further)) if place.chars().all(|c| c.is_ascii_digit()) => {
                out.push_str("[]");
                rest = further;
            }
            _ => {
                out.push('[');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Reasons, and how many records have each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Reasons(BTreeMap<String, u64>);

impl Reasons {
    fn add(&mut self, reason: &str) {
        let room = if self.0.contains_key(reason) || self.0.len() < ROOMS_MAX { reason } else { OTHERS };
        let count = self.0.entry(room.to_owned()).or_default();
        *count = count.saturating_add(1);
    }

    fn add_all(&mut self, problems: &[Problem]) {
        problems.iter().for_each(|problem| self.add(&problem.cause));
    }

    /// The reasons, the most frequent first.
    pub fn top(&self) -> Vec<(&str, u64)> {
        let mut reasons: Vec<(&str, u64)> = self.0.iter().map(|(reason, count)| (reason.as_str(), *count)).collect();
        reasons.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        reasons
    }
}

/// One record that would go otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Example {
    /// In which flow.
    pub flow: String,
    /// Which record.
    pub key: String,
    /// How.
    pub foreseen: Effect,
}

/// What a changed configuration does to recorded documents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ReplayTally {
    /// Records looked at, each once for every flow that wants it.
    pub records: u64,
    /// As before.
    pub same: u64,
    /// They go either way, with another content.
    pub changed: u64,
    /// They went, and would be held.
    pub newly_held: u64,
    /// They were held, and would go.
    pub newly_passing: u64,
    /// Left out, waiting, or held for another reason than before.
    pub otherwise: u64,
    /// Amounts that change: the sum of after minus before.
    pub money_moved: Sums,
    /// What the newly held records are worth.
    pub money_newly_held: Sums,
    /// What the newly passing records are worth.
    pub money_newly_passing: Sums,
    /// Which fields change.
    pub fields: Fields,
    /// Why records are newly held.
    pub held_for: Reasons,
    /// Why records were held that would pass.
    pub were_held_for: Reasons,
    /// Some of the records that would go otherwise.
    pub examples: Vec<Example>,
}

impl ReplayTally {
    /// Adds a record and what it is worth; at most so many are kept as examples.
    pub fn add(&mut self, flow: &str, key: &str, worth: Option<Money>, effect: Effect, examples_max: usize) {
        self.records = self.records.saturating_add(1);
        let one = |count: &mut u64| *count = count.saturating_add(1);
        match &effect {
            Effect::Same => return one(&mut self.same),
            Effect::Changed { fields } => {
                one(&mut self.changed);
                self.fields.add(key, fields);
                fields.iter().filter_map(|field| field.money).for_each(|amount| self.money_moved.add(amount));
            }
            Effect::NewlyHeld { problems } => {
                one(&mut self.newly_held);
                self.held_for.add_all(problems);
                worth.into_iter().for_each(|amount| self.money_newly_held.add(amount));
            }
            Effect::NewlyPassing { problems } => {
                one(&mut self.newly_passing);
                self.were_held_for.add_all(problems);
                worth.into_iter().for_each(|amount| self.money_newly_passing.add(amount));
            }
            Effect::Otherwise { .. } => one(&mut self.otherwise),
        }
        if self.examples.len() < examples_max {
            self.examples.push(Example { flow: flow.to_owned(), key: key.to_owned(), foreseen: effect });
        }
    }

    /// Whether nothing would change.
    pub fn is_identical(&self) -> bool {
        self.records == self.same
    }
}

/// One record that stands otherwise than we would have it, or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShadowExample {
    /// Which record.
    pub key: String,
    /// What it is worth.
    pub worth: Option<Money>,
    /// What was found.
    #[serde(flatten)]
    pub comparison: Comparison,
}

/// What a flow in shadow mode found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ShadowTally {
    /// Records that stand as we would have them.
    pub equal: u64,
    /// Records that stand otherwise.
    pub change: u64,
    /// Records that do not stand at all.
    pub create: u64,
    /// Amounts that differ: the sum of theirs minus ours.
    pub money_differs: Sums,
    /// What is worth what stands otherwise.
    pub worth_change: Sums,
    /// What is worth what is missing.
    pub worth_create: Sums,
    /// Which fields differ.
    pub fields: Fields,
    /// Some that differ or are missing.
    pub examples: Vec<ShadowExample>,
}

impl ShadowTally {
    /// Adds a record; at most so many are kept as examples.
    pub fn add(&mut self, key: &str, worth: Option<Money>, comparison: &Comparison, examples_max: usize) {
        let one = |count: &mut u64| *count = count.saturating_add(1);
        match comparison.verdict {
            Verdict::Equal => return one(&mut self.equal),
            Verdict::Change => {
                one(&mut self.change);
                worth.into_iter().for_each(|amount| self.worth_change.add(amount));
                let changes: Vec<Change> = comparison.differences.iter().map(change).collect();
                changes.iter().filter_map(|change| change.money).for_each(|amount| self.money_differs.add(amount));
                self.fields.add(key, &changes);
            }
            Verdict::Create => {
                one(&mut self.create);
                worth.into_iter().for_each(|amount| self.worth_create.add(amount));
            }
        }
        if self.examples.len() < examples_max {
            self.examples.push(ShadowExample { key: key.to_owned(), worth, comparison: comparison.clone() });
        }
    }
}

fn change(difference: &Difference) -> Change {
    Change {
        path: difference.path.clone(),
        before: difference.expected.clone(),
        after: difference.actual.clone(),
        money: difference.money,
    }
}
