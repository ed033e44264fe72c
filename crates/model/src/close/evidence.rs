//! What a close rests on: the statements that were read, each with a digest of what it said.

use jiff::Timestamp;

use crate::{id::ConnectionName, moment::Interval, records::Kind};

/// One statement that was read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Of which connection.
    pub connection: ConnectionName,
    /// Which documents.
    pub kind: Kind,
    /// Which stretch of time it covers.
    pub window: Interval,
    /// When it was read.
    pub read_at: Timestamp,
    /// Calls that it took.
    pub calls: u64,
    /// Documents in it.
    pub entries: u64,
    /// BLAKE3 over its entries, hex.
    pub digest: String,
}
