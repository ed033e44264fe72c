//! What the last pre-flight of each flow found, in the words in which people read it.

use schemars::JsonSchema;
use selvedge_model::gate::preflight::{Gap, Preflight, ValueList};
use serde::Serialize;

/// A value that would stop orders.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct GapView {
    /// What, and why.
    #[serde(flatten)]
    pub gap: Gap,
    /// The money of the orders that carried it, as text per currency.
    pub money: Vec<String>,
    /// In a sentence.
    pub message: String,
    /// What the last days would have been like.
    pub carried_words: String,
    /// What to do.
    pub remedy: String,
    /// For each suggestion the command that would take it. Nobody but a person runs it.
    pub commands: Vec<String>,
}

/// What one look found.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PreflightView {
    /// All of it but the gaps.
    #[serde(flatten)]
    pub found: Preflight,
    /// The gaps, the most orders first.
    pub gaps: Vec<GapView>,
}

impl From<Preflight> for PreflightView {
    fn from(mut found: Preflight) -> Self {
        let gaps = std::mem::take(&mut found.gaps);
        let view = |gap: Gap| GapView {
            money: gap.carried.money.values().map(ToString::to_string).collect(),
            message: gap.message(&found.to),
            carried_words: gap.carried.words(found.days),
            remedy: gap.remedy(&found.to),
            commands: gap.suggestions.iter().map(|near| gap.command(&found.to, &near.id)).collect(),
            gap,
        };
        let gaps = gaps.into_iter().map(view).collect();
        Self { found, gaps }
    }
}

impl PreflightView {
    /// `5 markets, 3 shipping methods, …`.
    pub fn values(&self) -> String {
        let value = |(list, count): (&ValueList, &u64)| format!("{count} {}", list.words());
        self.found.values.iter().map(value).collect::<Vec<_>>().join(", ")
    }
}
