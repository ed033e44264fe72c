//! Calls spent, per connection and purpose.

use rusqlite::params;
use selvedge_model::{Brand, ConnectionName};

use crate::{
    Result, Tx, View,
    packing::{count, signed},
};

impl Tx<'_> {
    /// Adds to a counter.
    pub fn add_calls(&self, brand: &Brand, connection: &ConnectionName, purpose: &str, calls: u64) -> Result<()> {
        let sql = "INSERT INTO calls (brand, connection, purpose, count) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT (brand, connection, purpose) DO UPDATE SET count = count + excluded.count";
        self.connection.prepare_cached(sql)?.execute(params![brand.as_str(), connection.as_str(), purpose, signed(calls)])?;
        Ok(())
    }
}

impl View<'_> {
    /// All counters: connection, purpose, calls.
    pub fn calls(&self, brand: &Brand) -> Result<Vec<(String, String, u64)>> {
        let sql = "SELECT connection, purpose, count FROM calls WHERE brand = ?1 ORDER BY connection, purpose";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([brand.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2).map(count)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

#[cfg(test)]
mod tests {
    use crate::samples::{brand, connection, memory};

    #[tokio::test]
    async fn counters_add_up() {
        let store = memory().await;
        let calls = store
            .write(|tx| {
                tx.add_calls(&brand(), &connection("erp"), "orders", 2)?;
                tx.add_calls(&brand(), &connection("erp"), "orders", 3)?;
                tx.add_calls(&brand(), &connection("erp"), "lists", 1)?;
                tx.add_calls(&"other".into(), &connection("erp"), "lists", 7)?;
                tx.calls(&brand())
            })
            .await
            .unwrap();
        assert_eq!(calls, [("erp".to_owned(), "lists".to_owned(), 1), ("erp".to_owned(), "orders".to_owned(), 5)]);
    }
}
