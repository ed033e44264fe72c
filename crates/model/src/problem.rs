//! A finding about data: what, where, by which rule, and what to do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One finding. Wrong data is not an error: a record with problems is a normal outcome, it is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The rule that found it, as `area.rule`: `address.country`, `mapping.shipping_item`,
    /// `totals.sum`. Each has a page under `docs/exceptions/`.
    pub rule: String,
    /// Where in the record: `shipping.country`, `lines[3].sku`.
    pub path: String,
    /// The value found there, shortened; `None` when it is missing.
    pub value: Option<String>,
    /// What is wrong, in a sentence.
    pub message: String,
    /// What a person does about it, in a sentence.
    pub remedy: String,
    /// Root cause, normalised so that the same cause in many records is one exception:
    /// `mapping.shipping_item:market=2,method=express`.
    pub cause: String,
}

impl Problem {
    /// A finding whose root cause is the rule itself.
    pub fn new(rule: &str, path: impl Into<String>, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            rule: rule.to_owned(),
            path: path.into(),
            value: None,
            message: message.into(),
            remedy: remedy.into(),
            cause: rule.to_owned(),
        }
    }

    /// The same, naming the value found (shortened to 200 characters).
    #[must_use]
    pub fn value(mut self, value: impl Into<String>) -> Self {
        let value: String = value.into();
        self.value = Some(value.chars().take(200).collect());
        self
    }

    /// The same, grouped under `rule:detail`: one exception per detail instead of one per rule.
    #[must_use]
    pub fn cause(mut self, detail: impl AsRef<str>) -> Self {
        self.cause = format!("{}:{}", self.rule, detail.as_ref());
        self
    }
}
