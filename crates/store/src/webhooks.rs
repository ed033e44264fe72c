//! How far each outgoing webhook has been told the feed of events, and whether it comes through.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use schemars::JsonSchema;
use selvedge_model::{
    Brand,
    feed::{Place, Stream},
};

use crate::{
    Result, Tx, View,
    packing::{count, limit, micros, moment, moment_maybe, short, unreadable},
};

/// Longest text that is kept of an answer, in characters.
const SAID_CHARS_MAX: usize = 500;
/// Events that wait are counted so far.
pub const WAITING_MAX: u64 = 10_000;

/// Where one webhook stands.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct WebhookRow {
    /// By its name in the config.
    pub webhook: String,
    /// How often in a row it did not come through.
    pub tries: u32,
    /// It is not tried before this.
    pub due_at: Timestamp,
    /// Events that it took, ever.
    pub taken: u64,
    /// When it took the last one.
    pub taken_at: Option<Timestamp>,
    /// What was answered when one was not taken; empty while all are.
    pub said: String,
    /// Behind which event it stands, by stream.
    #[serde(skip)]
    pub places: BTreeMap<Stream, Place>,
}

impl View<'_> {
    /// One webhook; none until it was begun.
    pub fn webhook(&self, brand: &Brand, webhook: &str) -> Result<Option<WebhookRow>> {
        let sql = "SELECT tries, due_at, taken, taken_at, said FROM webhooks WHERE brand = ?1 AND webhook = ?2";
        type Found = (u32, i64, i64, Option<i64>, String);
        let found: Option<Found> = self
            .connection
            .prepare_cached(sql)?
            .query_row(params![brand.as_str(), webhook], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
            })
            .optional()?;
        let Some((tries, due_at, taken, taken_at, said)) = found else { return Ok(None) };
        let sql = "SELECT stream, id FROM webhook_cursors WHERE brand = ?1 AND webhook = ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let places = statement.query_and_then(params![brand.as_str(), webhook], |row| {
            let word: String = row.get(0)?;
            let stream = Stream::ALL.into_iter().find(|stream| stream.word() == word);
            let stream = stream.ok_or_else(|| unreadable("a stream of events", word))?;
            Ok((stream, Place { stream, id: row.get(1)? }))
        })?;
        Ok(Some(WebhookRow {
            webhook: webhook.to_owned(),
            tries,
            due_at: moment(due_at)?,
            taken: count(taken),
            taken_at: moment_maybe(taken_at)?,
            said,
            places: places.collect::<Result<_>>()?,
        }))
    }

    /// How many events of a stream come after a place, whatever their types; counted up to [`WAITING_MAX`].
    pub fn feed_waiting(&self, brand: &Brand, after: Place) -> Result<u64> {
        let sql = match after.stream {
            Stream::Exceptions => "SELECT count(*) FROM (SELECT 1 FROM exception_events WHERE brand = ?1 AND id > ?2 LIMIT ?3)",
            Stream::Acts => "SELECT count(*) FROM (SELECT 1 FROM audit WHERE brand = ?1 AND number > ?2 LIMIT ?3)",
            Stream::Records => "SELECT count(*) FROM (SELECT 1 FROM settlings WHERE brand = ?1 AND id > ?2 LIMIT ?3)",
        };
        let most = limit(usize::try_from(WAITING_MAX).unwrap_or(usize::MAX));
        let values = params![brand.as_str(), after.id, most];
        Ok(self.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0).map(count))?)
    }
}

impl Tx<'_> {
    /// Begins a webhook, or a stream of it, at the end of the feed: it is told of what happens from now on.
    pub fn begin_webhook(&self, brand: &Brand, webhook: &str, streams: &[Stream], now: Timestamp) -> Result<()> {
        let sql = "INSERT INTO webhooks (brand, webhook, due_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
        self.connection.prepare_cached(sql)?.execute(params![brand.as_str(), webhook, micros(now)])?;
        let sql = "INSERT INTO webhook_cursors (brand, webhook, stream, id) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
        for stream in streams {
            let end = self.feed_end(brand, *stream)?;
            let values = params![brand.as_str(), webhook, stream.word(), end.id];
            self.connection.prepare_cached(sql)?.execute(values)?;
        }
        Ok(())
    }

    /// Forgets the webhooks, and streams of one, that are configured no more: one that comes back begins anew. The names of those
    /// that are gone as a whole.
    pub fn keep_webhooks(&self, brand: &Brand, configured: &BTreeMap<String, Vec<Stream>>) -> Result<Vec<String>> {
        let sql = "SELECT webhook, stream FROM webhook_cursors WHERE brand = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([brand.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut gone = BTreeSet::new();
        for (webhook, word) in rows.collect::<rusqlite::Result<Vec<(String, String)>>>()? {
            let streams = configured.get(&webhook);
            if streams.is_none() {
                gone.insert(webhook.clone());
            }
            if !streams.is_some_and(|streams| streams.iter().any(|stream| stream.word() == word)) {
                let sql = "DELETE FROM webhook_cursors WHERE brand = ?1 AND webhook = ?2 AND stream = ?3";
                self.connection.prepare_cached(sql)?.execute(params![brand.as_str(), webhook, word])?;
            }
        }
        for webhook in &gone {
            let sql = "DELETE FROM webhooks WHERE brand = ?1 AND webhook = ?2";
            self.connection.prepare_cached(sql)?.execute(params![brand.as_str(), webhook])?;
        }
        Ok(gone.into_iter().collect())
    }

    /// Puts a webhook behind a place of a stream.
    pub fn move_webhook(&self, brand: &Brand, webhook: &str, place: Place) -> Result<()> {
        let sql = "UPDATE webhook_cursors SET id = ?4 WHERE brand = ?1 AND webhook = ?2 AND stream = ?3";
        let values = params![brand.as_str(), webhook, place.stream.word(), place.id];
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    /// It took so many events: it comes through.
    pub fn webhook_took(&self, brand: &Brand, webhook: &str, events: u64, now: Timestamp) -> Result<()> {
        let sql = "UPDATE webhooks SET tries = 0, said = '', due_at = ?4, taken = taken + ?3, taken_at = ?4 WHERE brand = ?1 AND webhook = ?2";
        let events = i64::try_from(events).unwrap_or(i64::MAX);
        self.connection.prepare_cached(sql)?.execute(params![brand.as_str(), webhook, events, micros(now)])?;
        Ok(())
    }

    /// It did not take one, said this, and is tried again then.
    pub fn webhook_missed(&self, brand: &Brand, webhook: &str, said: &str, due_at: Timestamp) -> Result<()> {
        let sql = "UPDATE webhooks SET tries = tries + 1, said = ?3, due_at = ?4 WHERE brand = ?1 AND webhook = ?2";
        let said = short(said, SAID_CHARS_MAX);
        self.connection.prepare_cached(sql)?.execute(params![brand.as_str(), webhook, said, micros(due_at)])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{at, brand, memory};

    #[tokio::test]
    async fn a_webhook_begins_at_the_end_and_goes_on_from_its_place() {
        let store = memory().await;
        store
            .write(|tx| {
                tx.audit(&brand(), "ada", "mapping.set", "erp", "before", at(1))?;
                assert_eq!(tx.webhook(&brand(), "bi")?, None);
                tx.begin_webhook(&brand(), "bi", &[Stream::Acts], at(2))?;
                let row = tx.webhook(&brand(), "bi")?.unwrap();
                assert_eq!((row.tries, row.taken, row.taken_at, row.due_at), (0, 0, None, at(2)));
                assert_eq!(row.places, [(Stream::Acts, Place { stream: Stream::Acts, id: 1 })].into());
                tx.audit(&brand(), "ada", "mapping.set", "erp", "after", at(3))?;
                assert_eq!(tx.feed_waiting(&brand(), row.places[&Stream::Acts])?, 1);
                tx.webhook_missed(&brand(), "bi", "503", at(9))?;
                tx.webhook_missed(&brand(), "bi", "500", at(20))?;
                let row = tx.webhook(&brand(), "bi")?.unwrap();
                assert_eq!((row.tries, row.said.as_str(), row.due_at), (2, "500", at(20)));
                // A stream that is wanted later begins later; what stands is not moved.
                tx.begin_webhook(&brand(), "bi", &[Stream::Acts, Stream::Records], at(30))?;
                tx.move_webhook(&brand(), "bi", Place { stream: Stream::Acts, id: 2 })?;
                tx.webhook_took(&brand(), "bi", 1, at(31))?;
                let row = tx.webhook(&brand(), "bi")?.unwrap();
                assert_eq!((row.tries, row.said.as_str(), row.taken, row.taken_at), (0, "", 1, Some(at(31))));
                assert_eq!(row.places[&Stream::Acts].id, 2);
                assert!(row.places.contains_key(&Stream::Records));
                for place in row.places.into_values() {
                    assert_eq!(tx.feed_waiting(&brand(), place)?, 0, "{place}");
                }
                // What is configured no more is forgotten: the stream, then the whole.
                let acts = [("bi".to_owned(), vec![Stream::Acts])].into();
                assert!(tx.keep_webhooks(&brand(), &acts)?.is_empty());
                assert_eq!(tx.webhook(&brand(), "bi")?.unwrap().places.len(), 1);
                assert_eq!(tx.keep_webhooks(&brand(), &BTreeMap::new())?, ["bi"]);
                assert_eq!(tx.webhook(&brand(), "bi")?, None);
                Ok(())
            })
            .await
            .unwrap();
    }
}
