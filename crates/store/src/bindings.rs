//! Our key ↔ their id, per connection.

use jiff::Timestamp;
use selvedge_model::{Brand, ConnectionName, ExternalId, Kind, RecordKey};

use crate::{Result, Tx, View};

impl Tx<'_> {
    /// Ties our key to their id on one connection; a second call moves the tie.
    pub fn bind(&self, _brand: &Brand, _connection: &ConnectionName, _kind: Kind, _key: &RecordKey, _id: &ExternalId, _at: Timestamp) -> Result<()> {
        todo!("helper")
    }
}

impl View<'_> {
    /// Their id for our key.
    pub fn binding(&self, _brand: &Brand, _connection: &ConnectionName, _kind: Kind, _key: &RecordKey) -> Result<Option<ExternalId>> {
        todo!("helper")
    }

    /// All ties of a record: connection and their id.
    pub fn bindings_of(&self, _brand: &Brand, _kind: Kind, _key: &RecordKey) -> Result<Vec<(ConnectionName, ExternalId)>> {
        todo!("helper")
    }
}
