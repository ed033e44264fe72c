//! What is kept for how long. Content goes when its time is over; that it was there, and its digest, stay. What is not settled
//! is kept however old it is: nobody could deliver or decide on it without.

use std::collections::HashSet;

use jiff::Timestamp;
use rusqlite::params;
use selvedge_model::{Brand, RecordId, obligation::State, privacy::words_of};

use crate::{
    Result, Tx, View,
    packing::{limit, micros, pack},
};

impl View<'_> {
    /// Records and documents of everything that is in flight or held.
    fn unsettled(&self, brand: &Brand) -> Result<(HashSet<i64>, HashSet<i64>)> {
        let sql = "SELECT o.record_id, r.capture_id FROM obligations o JOIN records r ON r.id = o.record_id
                   WHERE o.brand = ?1 AND o.flow = ?2 AND o.state = ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        let (mut records, mut captures) = (HashSet::new(), HashSet::new());
        for flow in self.flows(brand)? {
            for state in State::ALL.into_iter().filter(|state| state.in_flight() || *state == State::Held) {
                let mut rows = statement.query([brand.as_str(), &flow, state.word()])?;
                while let Some(row) = rows.next()? {
                    records.insert(row.get(0)?);
                    captures.extend(row.get::<_, Option<i64>>(1)?);
                }
            }
        }
        Ok((records, captures))
    }

    /// What is older than this and still has its content, by one of the indexes of what is kept; without what is left out.
    fn expired(&self, sql: &str, brand: &Brand, before: Timestamp, left_out: &HashSet<i64>, rows: usize) -> Result<Vec<i64>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let found = statement.query_map(params![brand.as_str(), micros(before)], |row| row.get(0))?;
        let found = found.filter(|id| !matches!(id, Ok(id) if left_out.contains(id)));
        Ok(found.take(rows).collect::<rusqlite::Result<_>>()?)
    }
}

impl Tx<'_> {
    /// Erases the bytes of documents that came before this, so many at most; how many.
    pub fn expire_documents(&self, brand: &Brand, before: Timestamp, rows: usize, now: Timestamp) -> Result<u64> {
        let sql = "SELECT id FROM captures WHERE brand = ?1 AND received_at < ?2 AND erased_at IS NULL AND state <> 'due' ORDER BY received_at";
        let (_, unsettled) = self.unsettled(brand)?;
        let ids = self.expired(sql, brand, before, &unsettled, rows)?;
        self.overwriting(|| {
            let sql = "UPDATE captures SET body = ?2, erased_at = ?3 WHERE id = ?1";
            let mut statement = self.connection.prepare_cached(sql)?;
            for id in &ids {
                statement.execute(params![id, pack(b""), micros(now)])?;
            }
            Ok(ids.len() as u64)
        })
    }

    /// The same for webhook deliveries.
    pub fn expire_webhooks(&self, brand: &Brand, before: Timestamp, rows: usize, now: Timestamp) -> Result<u64> {
        let sql =
            "SELECT id FROM deliveries WHERE brand = ?1 AND received_at < ?2 AND erased_at IS NULL ORDER BY received_at LIMIT ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        let ids = statement.query_map(params![brand.as_str(), micros(before), limit(rows)], |row| row.get(0))?;
        let ids = ids.collect::<rusqlite::Result<Vec<i64>>>()?;
        self.erase_deliveries(&ids, now)
    }

    /// Takes what tells who somebody is out of records that came before this, and out of their stories; how many records.
    pub fn expire_people(&self, brand: &Brand, before: Timestamp, rows: usize, now: Timestamp) -> Result<u64> {
        let sql = "SELECT id FROM records WHERE brand = ?1 AND received_at < ?2 AND erased_at IS NULL AND form NOT IN ('product', 'refund', 'unreadable') ORDER BY received_at";
        let (unsettled, _) = self.unsettled(brand)?;
        let ids = self.expired(sql, brand, before, &unsettled, rows)?;
        self.overwriting(|| {
            for id in &ids {
                let words = words_of(&self.record(RecordId(*id))?.record);
                self.erase_story(RecordId(*id), &words)?;
                self.erase_record(RecordId(*id), now)?;
            }
            Ok(ids.len() as u64)
        })
    }
}
