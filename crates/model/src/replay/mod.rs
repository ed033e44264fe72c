//! What would be different: one record under two sets of rules, or one record here and at its target.
//!
//! A flow in shadow mode compares what it owes with what stands ([`Comparison`]); a replay compares what two
//! configurations make of one recorded document ([`Outcome`], [`compare`]). Both come to changed fields, and
//! changed fields of many records are counted by [`tally`].

pub mod tally;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    compare::{self, Carries, Difference},
    gate::Values,
    id::ExternalId,
    money::Money,
    problem::Problem,
    records::{AnyRecord, ProductFields},
};

/// What a live flow would have done with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing: it stands as it should.
    Equal,
    /// Changed the document that stands there.
    Change,
    /// Made it: nothing stands there.
    Create,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Verdict; 3] = [Verdict::Equal, Verdict::Change, Verdict::Create];

    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Verdict::Equal => "equal",
            Verdict::Change => "change",
            Verdict::Create => "create",
        }
    }

    /// The verdict with this word.
    pub fn from_word(word: &str) -> Option<Verdict> {
        Verdict::ALL.into_iter().find(|verdict| verdict.word() == word)
    }
}

/// What a flow in shadow mode found at its target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// What a live flow would have done.
    pub verdict: Verdict,
    /// Their id of the document, where one stands.
    pub target: Option<ExternalId>,
    /// How it was found; empty when none stands.
    pub found_by: String,
    /// What it says otherwise than we.
    pub differences: Vec<Difference>,
}

/// What a flow makes of a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It passes the gate.
    Goes {
        /// As it goes.
        record: Box<AnyRecord>,
        /// The target's words for its values.
        values: Values,
        /// The request that makes it stand where nothing stands yet; none where that cannot be said without reading
        /// another document at the target.
        request: Option<Value>,
    },
    /// An exception would take it.
    Held {
        /// Why.
        problems: Vec<Problem>,
    },
    /// A rule keeps it out, or other records take its place.
    Excluded {
        /// Why.
        reason: String,
    },
    /// It would wait.
    Waits {
        /// For what.
        reason: String,
    },
}

/// One field that two outcomes have otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// Where: `lines[0].tax`, `tax_code country=SE,rate=25`, `request.item.items[0].taxCode.id`.
    pub path: String,
    /// Before.
    pub before: Option<String>,
    /// After.
    pub after: Option<String>,
    /// How much money it moves (after minus before), where it moves any.
    pub money: Option<Money>,
}

/// What two outcomes of one record come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    /// The same.
    Same,
    /// It goes either way, and goes otherwise.
    Changed {
        /// In what.
        fields: Vec<Change>,
    },
    /// It went, and would be held.
    NewlyHeld {
        /// Why.
        problems: Vec<Problem>,
    },
    /// It was held, and would go.
    NewlyPassing {
        /// Why it was held.
        problems: Vec<Problem>,
    },
    /// It goes on in another way: held for another reason, left out, or waiting.
    Otherwise {
        /// Before, in a sentence.
        before: String,
        /// After, in a sentence.
        after: String,
    },
}

/// Longest text of one side of a change, in characters.
const TEXT_CHARS_MAX: usize = 200;

/// What a changed configuration does to a record.
pub fn compare(before: &Outcome, after: &Outcome) -> Effect {
    if before == after {
        return Effect::Same;
    }
    match (before, after) {
        (
            Outcome::Goes { record: was, values: were, request: sent },
            Outcome::Goes { record: is, values: are, request: sends },
        ) => {
            let mut fields = changed_records(was, is);
            fields.extend(changed_values(were, are));
            if let (Some(sent), Some(sends)) = (sent, sends) {
                fields.extend(changed_json("request", sent, sends));
            }
            if fields.is_empty() { Effect::Same } else { Effect::Changed { fields } }
        }
        (Outcome::Goes { .. }, Outcome::Held { problems }) => Effect::NewlyHeld { problems: problems.clone() },
        (Outcome::Held { problems }, Outcome::Goes { .. }) => Effect::NewlyPassing { problems: problems.clone() },
        _ => {
            let (before, after) = (before.sentence(), after.sentence());
            if before == after { Effect::Same } else { Effect::Otherwise { before, after } }
        }
    }
}

impl Outcome {
    /// What becomes of the record, in a sentence.
    pub fn sentence(&self) -> String {
        match self {
            Outcome::Goes { .. } => "goes".to_owned(),
            Outcome::Held { problems } => {
                let causes: Vec<&str> = problems.iter().map(|problem| problem.cause.as_str()).collect();
                format!("held: {}", causes.join(", "))
            }
            Outcome::Excluded { reason } => format!("left out: {reason}"),
            Outcome::Waits { reason } => format!("waits: {reason}"),
        }
    }
}

/// Every field of a record that a comparison knows.
const EVERYTHING: Carries = Carries {
    amounts: true,
    line_tax: true,
    shipping_address: true,
    billing_address: true,
    customer: true,
    status: true,
    shipping_charge: true,
    placed_on: true,
    tracking: true,
    captured: true,
    bundles: true,
    disposition: true,
    reference: true,
    product: ProductFields::ALL,
};

fn changed_records(before: &AnyRecord, after: &AnyRecord) -> Vec<Change> {
    let changed = compare::compare(before, after, EVERYTHING).into_iter();
    changed.map(|d| Change { path: d.path, before: d.expected, after: d.actual, money: d.money }).collect()
}

fn changed_values(before: &Values, after: &Values) -> Vec<Change> {
    let all = |values: &Values| -> BTreeMap<(String, String), String> {
        values.iter().map(|(table, key, value)| ((table.to_owned(), key.to_owned()), value.to_owned())).collect()
    };
    let (were, are) = (all(before), all(after));
    let keys: std::collections::BTreeSet<&(String, String)> = were.keys().chain(are.keys()).collect();
    keys.into_iter()
        .filter(|key| were.get(*key) != are.get(*key))
        .map(|key| Change {
            path: format!("{} {}", key.0, key.1),
            before: were.get(key).cloned(),
            after: are.get(key).cloned(),
            money: None,
        })
        .collect()
}

/// The leaves in which two documents differ. Lines are compared by position: one encoder wrote both.
pub fn changed_json(at: &str, before: &Value, after: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    walk(at, Some(before), Some(after), &mut changes);
    changes
}

fn walk(at: &str, before: Option<&Value>, after: Option<&Value>, changes: &mut Vec<Change>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Some(Value::Object(_)) | None, Some(Value::Object(_))) | (Some(Value::Object(_)), None) => {
            let (empty, there) = (serde_json::Map::new(), |side: Option<&Value>| side.and_then(Value::as_object).cloned());
            let (was, is) = (there(before).unwrap_or_else(|| empty.clone()), there(after).unwrap_or(empty));
            let keys: std::collections::BTreeSet<&String> = was.keys().chain(is.keys()).collect();
            for key in keys {
                walk(&format!("{at}.{key}"), was.get(key), is.get(key), changes);
            }
        }
        (Some(Value::Array(was)), Some(Value::Array(is))) => {
            for place in 0..was.len().max(is.len()) {
                walk(&format!("{at}[{place}]"), was.get(place), is.get(place), changes);
            }
        }
        _ => {
            let text = |side: Option<&Value>| side.map(shown);
            changes.push(Change { path: at.to_owned(), before: text(before), after: text(after), money: None });
        }
    }
}

fn shown(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.chars().take(TEXT_CHARS_MAX).collect()
}
