//! Calls spent, per connection and purpose.

use selvedge_model::{Brand, ConnectionName};

use crate::{Result, Tx, View};

impl Tx<'_> {
    /// Adds to a counter.
    pub fn add_calls(&self, _brand: &Brand, _connection: &ConnectionName, _purpose: &str, _count: u64) -> Result<()> {
        todo!("helper")
    }
}

impl View<'_> {
    /// All counters: connection, purpose, calls.
    pub fn calls(&self, _brand: &Brand) -> Result<Vec<(String, String, u64)>> {
        todo!("helper")
    }
}
