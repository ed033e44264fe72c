//! Mapping tables, who changed what, and the targets' own lists.

use jiff::Timestamp;
use selvedge_model::{Brand, ConnectionName, gate::Lookup};

use crate::{Result, Tx, View};

/// One mapped value.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct MappingRow {
    /// For which target.
    pub connection: String,
    /// Which table.
    pub table: String,
    /// Compound key as text: `market=2,method=express`. `*` is the table's default: it answers
    /// whatever has no entry of its own; a table without one means "must exist".
    pub key: String,
    /// The target's id.
    pub value: String,
    /// Who set it.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// One change of a mapping.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct MappingChange {
    /// The entry as `table key`.
    pub entry: String,
    /// Before; `None` when it is new.
    pub before: Option<String>,
    /// After; `None` when it was removed.
    pub after: Option<String>,
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// How a lookup was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MappingAnswer {
    /// By a mapping (its own entry or the table's default), or by an active list entry of exactly this name.
    Is(String),
    /// Several active list entries have this name.
    Ambiguous(Vec<String>),
    /// The one list entry of this name is inactive.
    Inactive(String),
    /// By nothing.
    Nothing,
}

impl Tx<'_> {
    /// Sets (or with `None` removes) a mapping and keeps the change.
    pub fn map(&self, _brand: &Brand, _connection: &ConnectionName, _table: &str, _key: &str, _value: Option<&str>, _by: &str, _at: Timestamp) -> Result<()> {
        todo!("helper")
    }

    /// Adds a page of a target's list: (id, name, active). `generation` marks the pass.
    pub fn list_entries(&self, _connection: &ConnectionName, _table: &str, _entries: &[(String, String, bool)], _generation: i64) -> Result<()> {
        todo!("helper")
    }

    /// Ends a pass over a list: entries of older passes are gone at the target.
    pub fn list_complete(&self, _connection: &ConnectionName, _table: &str, _generation: i64, _at: Timestamp) -> Result<()> {
        todo!("helper")
    }
}

impl View<'_> {
    /// Answers a lookup: own entry, then (if the lookup allows) the target's entry of the same name, then the table's default `*`.
    pub fn answer(&self, _brand: &Brand, _connection: &ConnectionName, _lookup: &Lookup) -> Result<MappingAnswer> {
        todo!("helper")
    }

    /// All mappings of a brand.
    pub fn mappings(&self, _brand: &Brand) -> Result<Vec<MappingRow>> {
        todo!("helper")
    }

    /// The changes, newest first.
    pub fn mapping_history(&self, _brand: &Brand, _limit: usize) -> Result<Vec<MappingChange>> {
        todo!("helper")
    }

    /// When a list was last read whole.
    pub fn list_read_at(&self, _connection: &ConnectionName, _table: &str) -> Result<Option<Timestamp>> {
        todo!("helper")
    }

    /// How many entries a list holds.
    pub fn list_count(&self, _connection: &ConnectionName, _table: &str) -> Result<u64> {
        todo!("helper")
    }
}
