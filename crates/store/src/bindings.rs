//! Our key ↔ their id, per connection.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use selvedge_model::{Brand, ConnectionName, ExternalId, Kind, RecordKey};

use crate::{Result, Tx, View, packing::micros};

impl Tx<'_> {
    /// Ties our key to their id on one connection; a second call moves the tie.
    pub fn bind(
        &self,
        brand: &Brand,
        connection: &ConnectionName,
        kind: Kind,
        key: &RecordKey,
        id: &ExternalId,
        at: Timestamp,
    ) -> Result<()> {
        let sql = "INSERT INTO bindings (brand, kind, key, connection, external_id, bound_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                   ON CONFLICT (brand, kind, key, connection) DO UPDATE SET external_id = excluded.external_id, bound_at = excluded.bound_at
                   WHERE external_id <> excluded.external_id";
        let values = params![brand.as_str(), kind.word(), key.as_str(), connection.as_str(), id.as_str(), micros(at)];
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    /// Forgets under which id a record stands there: it is known to be gone.
    pub fn unbind(&self, brand: &Brand, connection: &ConnectionName, kind: Kind, key: &RecordKey) -> Result<()> {
        let sql = "DELETE FROM bindings WHERE brand = ?1 AND kind = ?2 AND key = ?3 AND connection = ?4";
        self.connection.prepare_cached(sql)?.execute([brand.as_str(), kind.word(), key.as_str(), connection.as_str()])?;
        Ok(())
    }
}

impl View<'_> {
    /// Their id for our key.
    pub fn binding(&self, brand: &Brand, connection: &ConnectionName, kind: Kind, key: &RecordKey) -> Result<Option<ExternalId>> {
        let sql = "SELECT external_id FROM bindings WHERE brand = ?1 AND kind = ?2 AND key = ?3 AND connection = ?4";
        let values = params![brand.as_str(), kind.word(), key.as_str(), connection.as_str()];
        Ok(self.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0).map(ExternalId)).optional()?)
    }

    /// Our key for their id.
    pub fn bound_to(&self, brand: &Brand, connection: &ConnectionName, kind: Kind, id: &ExternalId) -> Result<Option<RecordKey>> {
        let sql = "SELECT key FROM bindings WHERE brand = ?1 AND connection = ?2 AND kind = ?3 AND external_id = ?4";
        let values = params![brand.as_str(), connection.as_str(), kind.word(), id.as_str()];
        Ok(self.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0).map(RecordKey)).optional()?)
    }

    /// All ties of a record: connection and their id.
    pub fn bindings_of(&self, brand: &Brand, kind: Kind, key: &RecordKey) -> Result<Vec<(ConnectionName, ExternalId)>> {
        let sql = "SELECT connection, external_id FROM bindings WHERE brand = ?1 AND kind = ?2 AND key = ?3 ORDER BY connection";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(params![brand.as_str(), kind.word(), key.as_str()], |row| {
            Ok((ConnectionName(row.get(0)?), ExternalId(row.get(1)?)))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

#[cfg(test)]
mod tests {
    use selvedge_model::Kind;

    use crate::samples::{at, brand, connection, memory};

    #[tokio::test]
    async fn a_second_tie_moves_the_first_and_brands_do_not_meet() {
        let store = memory().await;
        store
            .write(|tx| {
                let (erp, wms) = (connection("erp"), connection("wms"));
                let bind = |connection, id: &str| tx.bind(&brand(), connection, Kind::Order, &"1".into(), &id.into(), at(1));
                bind(&erp, "901")?;
                bind(&wms, "w1")?;
                bind(&erp, "902")?;
                assert_eq!(tx.binding(&brand(), &erp, Kind::Order, &"1".into())?, Some("902".into()));
                assert_eq!(tx.bound_to(&brand(), &erp, Kind::Order, &"902".into())?, Some("1".into()));
                assert_eq!(tx.bound_to(&brand(), &erp, Kind::Order, &"901".into())?, None);
                assert_eq!(tx.binding(&brand(), &erp, Kind::Customer, &"1".into())?, None);
                assert_eq!(tx.binding(&"other".into(), &erp, Kind::Order, &"1".into())?, None);
                assert_eq!(tx.bindings_of(&brand(), Kind::Order, &"1".into())?, [(erp, "902".into()), (wms, "w1".into())]);
                Ok(())
            })
            .await
            .unwrap();
    }
}
