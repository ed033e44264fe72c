//! Canonical records and their revisions.

use jiff::Timestamp;
use selvedge_model::{AnyRecord, Brand, CaptureId, ConnectionName, Kind, Problem, RecordId, RecordKey};

use crate::{Result, Tx, View};

/// A decoded record.
#[derive(Clone, Debug)]
pub struct NewRecord {
    /// Whose.
    pub brand: Brand,
    /// From which connection.
    pub connection: ConnectionName,
    /// From which raw bytes; `None` for a record derived from another one (an order's customer).
    pub capture: Option<CaptureId>,
    /// The record.
    pub record: AnyRecord,
    /// What decoding found.
    pub problems: Vec<Problem>,
    /// Its *as of*.
    pub version: Option<Timestamp>,
    /// When its raw bytes arrived.
    pub received_at: Timestamp,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// A new revision.
    Revision(RecordId, u32),
    /// Equal in content to the latest revision (whatever bytes it came in): no news.
    Same(RecordId, u32),
}

/// One revision.
#[derive(Clone, Debug)]
pub struct RecordRow {
    /// Its row.
    pub id: RecordId,
    /// From which connection.
    pub connection: ConnectionName,
    /// Counted from 1.
    pub revision: u32,
    /// The record.
    pub record: AnyRecord,
    /// What decoding found.
    pub problems: Vec<Problem>,
    /// Its *as of*.
    pub version: Option<Timestamp>,
    /// When it arrived.
    pub received_at: Timestamp,
    /// From which raw bytes.
    pub capture: Option<CaptureId>,
}

/// A line of a list of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordLine {
    /// Our key.
    pub key: RecordKey,
    /// Latest revision.
    pub revision: u32,
    /// When the latest arrived.
    pub received_at: Timestamp,
    /// Gross amount and currency as text, for orders.
    pub amount: String,
    /// Who, for orders.
    pub who: String,
}

impl Tx<'_> {
    /// Adds a revision, unless the latest one has the same content.
    pub fn put_record(&self, _new: &NewRecord) -> Result<Recorded> {
        todo!("helper")
    }
}

impl View<'_> {
    /// One revision.
    pub fn record(&self, _id: RecordId) -> Result<RecordRow> {
        todo!("helper")
    }

    /// All revisions of a record, oldest first.
    pub fn revisions(&self, _brand: &Brand, _kind: Kind, _key: &RecordKey) -> Result<Vec<RecordRow>> {
        todo!("helper")
    }

    /// The newest records of a kind whose key, name, e-mail or SKU contains `search` (empty = all).
    pub fn records(&self, _brand: &Brand, _kind: Kind, _search: &str, _limit: usize) -> Result<Vec<RecordLine>> {
        todo!("helper")
    }
}
