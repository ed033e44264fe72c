//! What is kept for how long. Content goes when its time is over; that it was there, and its digest, stay. What is not settled
//! is kept however old it is: nobody could deliver or decide on it without.

use std::collections::HashSet;

use jiff::Timestamp;
use rusqlite::params;
use selvedge_model::{
    Brand, RecordId,
    obligation::State,
    privacy::{Sought, unmistakable, words_of},
};

use crate::{
    Result, Tx, View,
    packing::{limit, micros, pack},
    privacy::Erased,
};

/// Records whose people are to be forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpiredPeople {
    /// Which.
    pub records: Vec<RecordId>,
    /// The texts that tell who they are, as far as they are no other's.
    pub sought: Sought,
}

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

    /// Records that came before this and still tell who somebody is, so many at most, and what they tell.
    pub fn expired_people(&self, brand: &Brand, before: Timestamp, rows: usize) -> Result<ExpiredPeople> {
        let sql = "SELECT id FROM records WHERE brand = ?1 AND received_at < ?2 AND erased_at IS NULL AND form NOT IN ('product', 'refund', 'unreadable') ORDER BY received_at";
        let (unsettled, _) = self.unsettled(brand)?;
        let records: Vec<RecordId> = self.expired(sql, brand, before, &unsettled, rows)?.into_iter().map(RecordId).collect();
        let mut words = Vec::new();
        let sql = "SELECT before, after FROM edits WHERE brand = ?1 AND key = ?2";
        let mut edits = self.connection.prepare_cached(sql)?;
        for id in &records {
            let record = self.record(*id)?.record;
            words.extend(words_of(&record));
            // What somebody typed over it names people, too.
            let mut typed = edits.query(params![brand.as_str(), record.key().as_str()])?;
            while let Some(row) = typed.next()? {
                words.extend([row.get::<_, Option<String>>(0)?, row.get(1)?].into_iter().flatten());
            }
        }
        Ok(ExpiredPeople { records, sought: Sought::of(&unmistakable(&words)) })
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

    /// Takes what tells who somebody is out of these records, out of their stories and out of what is closed of what reconciliation
    /// found about them; how much. One that is in flight or held by now is left, and one whose person is gone already.
    ///
    /// What was written about anything comes first ([`Tx::erase_texts`]): after this nobody is found by name any more.
    pub fn expire_people(&self, brand: &Brand, expired: &ExpiredPeople, now: Timestamp) -> Result<Erased> {
        let (unsettled, _) = self.unsettled(brand)?;
        self.overwriting(|| {
            let mut erased = Erased::default();
            for id in expired.records.iter().filter(|id| !unsettled.contains(&id.0)) {
                let record = self.record(*id)?.record;
                let words = words_of(&record);
                erased.texts += self.erase_story(*id, &words)?;
                if let Some(order) = record.order() {
                    erased.texts += self.erase_differences(brand, order, &words, true)?;
                }
                erased.records += u64::from(self.erase_record(*id, now)?);
            }
            Ok(erased)
        })
    }
}
