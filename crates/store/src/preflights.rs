//! What the last pre-flight of each flow found.

use jiff::Timestamp;
use rusqlite::params;
use selvedge_model::{Brand, gate::preflight::Preflight};

use crate::{
    Result, Tx, View,
    packing::{micros, moment_maybe, pack, unpack, unreadable},
};

impl Tx<'_> {
    /// Keeps what was found; it takes the place of what was found before.
    pub fn keep_preflight(&self, brand: &Brand, found: &Preflight) -> Result<()> {
        let body = serde_json::to_vec(found).map_err(|e| unreadable("a pre-flight", e))?;
        let sql = "INSERT INTO preflights (brand, flow, at, body) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT (brand, flow) DO UPDATE SET at = excluded.at, body = excluded.body";
        self.connection.prepare_cached(sql)?.execute(params![
            brand.as_str(),
            found.flow.as_str(),
            micros(found.at),
            pack(&body)
        ])?;
        Ok(())
    }
}

impl View<'_> {
    /// The last of each flow, by the flow's name.
    pub fn preflights(&self, brand: &Brand) -> Result<Vec<Preflight>> {
        let mut statement = self.connection.prepare_cached("SELECT body FROM preflights WHERE brand = ?1 ORDER BY flow")?;
        let mut rows = statement.query([brand.as_str()])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let body = unpack("a pre-flight", row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?)?;
            found.push(serde_json::from_slice(&body).map_err(|e| unreadable("a pre-flight", e))?);
        }
        Ok(found)
    }

    /// When the last one was.
    pub fn preflight_at(&self, brand: &Brand) -> Result<Option<Timestamp>> {
        let sql = "SELECT max(at) FROM preflights WHERE brand = ?1";
        moment_maybe(self.connection.prepare_cached(sql)?.query_row([brand.as_str()], |row| row.get(0))?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::samples::{at, brand, connection, flow, memory};

    #[tokio::test]
    async fn the_last_one_of_each_flow_is_kept() {
        let store = memory().await;
        store
            .write(|tx| {
                assert_eq!((tx.preflight_at(&brand())?, tx.preflights(&brand())?), (None, Vec::new()));
                let found = |name: &str, second: i64, orders: u64| Preflight {
                    flow: name.into(),
                    from: connection("shop"),
                    to: connection("erp"),
                    at: at(second),
                    days: 30,
                    orders,
                    values: BTreeMap::new(),
                    unlisted: BTreeMap::new(),
                    partial: false,
                    lookups: 0,
                    gaps: Vec::new(),
                    unused: Vec::new(),
                    dangling: Vec::new(),
                };
                tx.keep_preflight(&brand(), &found(flow().as_str(), 5, 1))?;
                tx.keep_preflight(&brand(), &found("a", 6, 2))?;
                tx.keep_preflight(&brand(), &found(flow().as_str(), 7, 3))?;
                tx.keep_preflight(&"other".into(), &found("a", 99, 4))?;
                assert_eq!(tx.preflights(&brand())?, [found("a", 6, 2), found(flow().as_str(), 7, 3)]);
                assert_eq!(tx.preflight_at(&brand())?, Some(at(7)));
                Ok(())
            })
            .await
            .unwrap();
    }
}
