//! What each reading has proven to cover.

use jiff::Timestamp;
use selvedge_model::{Brand, ConnectionName, Interval, Kind};

use crate::{Result, Tx, View};

/// One proven interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenRow {
    /// Which way: `poll`, `sweep`.
    pub via: String,
    /// What it covered.
    pub interval: Interval,
    /// How many documents it saw.
    pub seen: u64,
    /// How many of them were news.
    pub news: u64,
    /// When it was proven.
    pub at: Timestamp,
}

impl Tx<'_> {
    /// Records that every page of this interval was read and kept.
    pub fn prove(&self, _brand: &Brand, _connection: &ConnectionName, _kind: Kind, _row: &ProvenRow) -> Result<()> {
        todo!("helper")
    }
}

impl View<'_> {
    /// The end of what is proven without a hole by this way, counted from the first proven interval.
    pub fn proven_until(&self, _brand: &Brand, _connection: &ConnectionName, _kind: Kind, _via: &str) -> Result<Option<Timestamp>> {
        todo!("helper")
    }

    /// Stretches that lie between proven intervals and are covered by none.
    pub fn holes(&self, _brand: &Brand, _connection: &ConnectionName, _kind: Kind) -> Result<Vec<Interval>> {
        todo!("helper")
    }

    /// The last proven intervals, newest first.
    pub fn proven(&self, _brand: &Brand, _connection: &ConnectionName, _kind: Kind, _limit: usize) -> Result<Vec<ProvenRow>> {
        todo!("helper")
    }
}
