//! Raw bytes as they came, before anyone tried to understand them; notices and deliveries.

use jiff::Timestamp;
use selvedge_model::{Brand, CaptureId, ConnectionName, ExternalId, Kind};

use crate::{Result, Tx, View};

/// A raw document to keep.
#[derive(Clone, Debug)]
pub struct NewCapture {
    /// Whose.
    pub brand: Brand,
    /// Through which connection.
    pub connection: ConnectionName,
    /// Said to be of which kind.
    pub kind: Kind,
    /// Their id.
    pub external_id: ExternalId,
    /// Their *as of*, where they state one.
    pub version: Option<Timestamp>,
    /// The bytes; stored compressed.
    pub body: Vec<u8>,
    /// Which way it came: `feed`, `webhook`, `poll`, `sweep`.
    pub via: &'static str,
    /// When.
    pub received_at: Timestamp,
}

/// What became of a raw document on arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// New or changed: waits to be decoded.
    New(CaptureId),
    /// Byte for byte what the latest capture of this document holds: counted, not kept.
    Same(CaptureId),
    /// Its *as of* lies before the latest capture's: kept for evidence, never decoded into a record.
    Stale(CaptureId),
}

/// A raw document that waits to be decoded.
#[derive(Clone, Debug)]
pub struct CaptureRow {
    /// Its row.
    pub id: CaptureId,
    /// Through which connection.
    pub connection: ConnectionName,
    /// Its kind.
    pub kind: Kind,
    /// Their id.
    pub external_id: ExternalId,
    /// Their *as of*.
    pub version: Option<Timestamp>,
    /// The bytes, as they came.
    pub body: Vec<u8>,
    /// Which way it came.
    pub via: String,
    /// When.
    pub received_at: Timestamp,
}

/// Word that a document is new or has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeRow {
    /// Row number.
    pub id: i64,
    /// Kind.
    pub kind: Kind,
    /// Their id.
    pub external_id: ExternalId,
    /// When we heard.
    pub heard_at: Timestamp,
}

impl Tx<'_> {
    /// Keeps a raw document, unless the latest capture of it is the same.
    pub fn capture(&self, _new: &NewCapture) -> Result<Arrived> {
        todo!("helper")
    }

    /// Marks a capture as decoded.
    pub fn capture_decoded(&self, _id: CaptureId) -> Result<()> {
        todo!("helper")
    }

    /// Keeps a webhook delivery as it came. `false` when the same bytes were delivered before
    /// (then only the counter moves).
    pub fn delivery(&self, _brand: &Brand, _connection: &ConnectionName, _body: &[u8], _at: Timestamp) -> Result<bool> {
        todo!("helper")
    }

    /// Notes that a document is to be fetched; one pending notice per document is enough.
    pub fn notice(&self, _brand: &Brand, _connection: &ConnectionName, _kind: Kind, _id: &ExternalId, _at: Timestamp) -> Result<()> {
        todo!("helper")
    }

    /// Strikes out notices of documents that were captured after the notice was heard; returns how many.
    pub fn notices_overtaken(&self, _brand: &Brand, _connection: &ConnectionName) -> Result<u64> {
        todo!("helper")
    }

    /// Strikes out notices that were seen to.
    pub fn notices_done(&self, _ids: &[i64]) -> Result<()> {
        todo!("helper")
    }
}

impl View<'_> {
    /// Raw documents that wait to be decoded, oldest first.
    pub fn captures_due(&self, _brand: &Brand, _limit: usize) -> Result<Vec<CaptureRow>> {
        todo!("helper")
    }

    /// Pending notices heard before `heard_before`, oldest first.
    pub fn notices_due(&self, _brand: &Brand, _connection: &ConnectionName, _heard_before: Timestamp, _limit: usize) -> Result<Vec<NoticeRow>> {
        todo!("helper")
    }

    /// The *as of* of the latest capture of each of these documents, where there is one: for a
    /// sweep to tell what was missed. Answers in the order asked; `None` = never captured;
    /// `Some(None)` = captured, no *as of* stated.
    pub fn captured_versions(&self, _brand: &Brand, _connection: &ConnectionName, _kind: Kind, _ids: &[ExternalId]) -> Result<Vec<Option<Option<Timestamp>>>> {
        todo!("helper")
    }

    /// The bytes of one capture.
    pub fn capture_body(&self, _id: CaptureId) -> Result<Vec<u8>> {
        todo!("helper")
    }
}
