//! The story of an obligation: what was done, when, and what came of it.

use jiff::Timestamp;
use selvedge_model::ObligationId;

use crate::{Result, Tx, View};

/// One line of a story.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct AttemptRow {
    /// When.
    pub at: Timestamp,
    /// Which verb: `capture`, `gate`, `deliver`, `find`, `confirm`, `release`, `dismiss`.
    pub verb: String,
    /// What came of it, in a word: `cleared`, `held`, `delivered`, `unanswered`, `confirmed` …
    pub outcome: String,
    /// In a sentence; redacted and at most 2,000 characters.
    pub detail: String,
}

impl Tx<'_> {
    /// Adds a line.
    pub fn tell(&self, _id: ObligationId, _verb: &str, _outcome: &str, _detail: &str, _at: Timestamp) -> Result<()> {
        todo!("helper")
    }
}

impl View<'_> {
    /// The lines of one obligation, oldest first.
    pub fn story(&self, _id: ObligationId) -> Result<Vec<AttemptRow>> {
        todo!("helper")
    }
}
