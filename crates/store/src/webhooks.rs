//! How far each outgoing webhook has been told the feed of events, and whether it comes through.

use std::collections::BTreeMap;

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
        let sql = "SELECT stream, at, id FROM webhook_cursors WHERE brand = ?1 AND webhook = ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let places = statement.query_and_then(params![brand.as_str(), webhook], |row| {
            let word: String = row.get(0)?;
            let stream = Stream::ALL.into_iter().find(|stream| stream.word() == word);
            Ok((stream.ok_or_else(|| unreadable("a stream of events", word))?, Place { at: row.get(1)?, id: row.get(2)? }))
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
    pub fn feed_waiting(&self, brand: &Brand, stream: Stream, after: Place) -> Result<u64> {
        let sql = match stream {
            Stream::Exceptions => {
                "SELECT count(*) FROM (SELECT 1 FROM exception_events WHERE brand = ?1 AND (?2 = ?2) AND id > ?3 LIMIT ?4)"
            }
            Stream::Acts => "SELECT count(*) FROM (SELECT 1 FROM audit WHERE brand = ?1 AND (?2 = ?2) AND number > ?3 LIMIT ?4)",
            Stream::Records => {
                "SELECT count(*) FROM (SELECT 1 FROM obligations INDEXED BY obligations_by_settling
                 WHERE brand = ?1 AND settled_at IS NOT NULL AND (settled_at, id) > (?2, ?3) LIMIT ?4)"
            }
        };
        let most = limit(usize::try_from(WAITING_MAX).unwrap_or(usize::MAX));
        let values = params![brand.as_str(), after.at, after.id, most];
        Ok(self.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0).map(count))?)
    }
}

impl Tx<'_> {
    /// Begins a webhook, or a stream of it, at the end of the feed: it is told of what happens from now on.
    pub fn begin_webhook(&self, brand: &Brand, webhook: &str, streams: &[Stream], now: Timestamp) -> Result<()> {
        let sql = "INSERT INTO webhooks (brand, webhook, due_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
        self.connection.prepare_cached(sql)?.execute(params![brand.as_str(), webhook, micros(now)])?;
        let sql =
            "INSERT INTO webhook_cursors (brand, webhook, stream, at, id) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
        for stream in streams {
            let end = self.feed_end(brand, *stream, now)?;
            let values = params![brand.as_str(), webhook, stream.word(), end.at, end.id];
            self.connection.prepare_cached(sql)?.execute(values)?;
        }
        Ok(())
    }

    /// Puts a webhook behind a place of a stream.
    pub fn move_webhook(&self, brand: &Brand, webhook: &str, stream: Stream, place: Place) -> Result<()> {
        let sql = "UPDATE webhook_cursors SET at = ?4, id = ?5 WHERE brand = ?1 AND webhook = ?2 AND stream = ?3";
        let values = params![brand.as_str(), webhook, stream.word(), place.at, place.id];
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
                assert_eq!(row.places, [(Stream::Acts, Place { at: 0, id: 1 })].into());
                tx.audit(&brand(), "ada", "mapping.set", "erp", "after", at(3))?;
                assert_eq!(tx.feed_waiting(&brand(), Stream::Acts, row.places[&Stream::Acts])?, 1);
                tx.webhook_missed(&brand(), "bi", "503", at(9))?;
                tx.webhook_missed(&brand(), "bi", "500", at(20))?;
                let row = tx.webhook(&brand(), "bi")?.unwrap();
                assert_eq!((row.tries, row.said.as_str(), row.due_at), (2, "500", at(20)));
                // A stream that is wanted later begins later; what stands is not moved.
                tx.begin_webhook(&brand(), "bi", &[Stream::Acts, Stream::Records], at(30))?;
                tx.move_webhook(&brand(), "bi", Stream::Acts, Place { at: 0, id: 2 })?;
                tx.webhook_took(&brand(), "bi", 1, at(31))?;
                let row = tx.webhook(&brand(), "bi")?.unwrap();
                assert_eq!((row.tries, row.said.as_str(), row.taken, row.taken_at), (0, "", 1, Some(at(31))));
                assert_eq!(row.places[&Stream::Acts], Place { at: 0, id: 2 });
                assert_eq!(row.places[&Stream::Records].at, 30_000_000);
                for (stream, place) in row.places {
                    assert_eq!(tx.feed_waiting(&brand(), stream, place)?, 0, "{stream:?}");
                }
                Ok(())
            })
            .await
            .unwrap();
    }
}
