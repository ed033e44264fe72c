//! Every human act, in a hash chain that can be verified offline.

use jiff::Timestamp;
use selvedge_model::Brand;

use crate::{Result, Tx, View};

/// One act.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct AuditRow {
    /// Counted from 1.
    pub number: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What: `mapping.set`, `exception.release` …
    pub action: String,
    /// On what.
    pub subject: String,
    /// In a sentence.
    pub detail: String,
    /// BLAKE3 over the previous hash and this row, hex.
    pub hash: String,
}

impl Tx<'_> {
    /// Adds an act.
    pub fn audit(&self, _brand: &Brand, _actor: &str, _action: &str, _subject: &str, _detail: &str, _at: Timestamp) -> Result<()> {
        todo!("helper")
    }
}

impl View<'_> {
    /// The acts, newest first.
    pub fn audit_rows(&self, _brand: &Brand, _limit: usize) -> Result<Vec<AuditRow>> {
        todo!("helper")
    }

    /// Recomputes the chain; the number of the first act that does not fit, if any.
    pub fn audit_broken_at(&self, _brand: &Brand) -> Result<Option<i64>> {
        todo!("helper")
    }
}
