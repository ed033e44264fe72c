//! Writes of the API that came with a key: each is done once, and answered the same each time it is sent.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use selvedge_model::Brand;

use crate::{
    Result, Tx,
    packing::{limit, micros, moment, pack, unpack, unreadable},
};

/// For how long an answer is kept.
pub const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);
/// A request that has been under way for longer was cut off by the end of its process, and is done again. Nothing takes so long that
/// is still under way: a request waits for the writer for a minute at most.
const UNDER_WAY_MAX: Duration = Duration::from_secs(600);

/// A write with its key.
#[derive(Clone, Debug)]
pub struct KeyedRequest {
    /// Whose.
    pub brand: Brand,
    /// Who asked.
    pub actor: String,
    /// The sender's key.
    pub key: String,
    /// What was asked: method, address and body, hashed.
    pub request: [u8; 32],
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing: it is under way from now on.
    Nothing,
    /// It was answered with this status and this body.
    Answered(u16, Vec<u8>),
    /// It is under way.
    UnderWay,
    /// It came with another request before.
    Other,
}

impl Tx<'_> {
    /// Begins a request, unless its key is known.
    pub fn begin_request(&self, asked: &KeyedRequest, now: Timestamp) -> Result<Known> {
        let sql = "SELECT request, asked_at, status, answer FROM idempotency_keys WHERE brand = ?1 AND actor = ?2 AND key = ?3";
        type Found = (Vec<u8>, i64, Option<u16>, Option<Vec<u8>>);
        let found: Option<Found> = self
            .connection
            .prepare_cached(sql)?
            .query_row(params![asked.brand.as_str(), asked.actor, asked.key], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
            .optional()?;
        if let Some((request, asked_at, status, answer)) = found {
            let age = Duration::try_from(now.duration_since(moment(asked_at)?)).unwrap_or_default();
            match (status, answer) {
                _ if age >= KEPT_FOR => {}
                _ if request != asked.request => return Ok(Known::Other),
                (Some(status), Some(answer)) => return Ok(Known::Answered(status, unpack("a kept answer", &answer)?)),
                _ if age < UNDER_WAY_MAX => return Ok(Known::UnderWay),
                _ => {}
            }
        }
        let sql = "INSERT OR REPLACE INTO idempotency_keys (brand, actor, key, request, asked_at) VALUES (?1, ?2, ?3, ?4, ?5)";
        let values = params![asked.brand.as_str(), asked.actor, asked.key, asked.request, micros(now)];
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(Known::Nothing)
    }

    /// Keeps the answer of one that is under way.
    pub fn answer_request(&self, asked: &KeyedRequest, status: u16, answer: &[u8]) -> Result<()> {
        let sql = "UPDATE idempotency_keys SET status = ?5, answer = ?6
                   WHERE brand = ?1 AND actor = ?2 AND key = ?3 AND request = ?4 AND status IS NULL";
        let values = params![asked.brand.as_str(), asked.actor, asked.key, asked.request, status, pack(answer)];
        match self.connection.prepare_cached(sql)?.execute(values)? {
            1 => Ok(()),
            _ => Err(unreadable("an idempotency key", "its request is not under way any more")),
        }
    }

    /// Forgets one that came to nothing: it may be sent again.
    pub fn forget_request(&self, asked: &KeyedRequest) -> Result<()> {
        let sql = "DELETE FROM idempotency_keys WHERE brand = ?1 AND actor = ?2 AND key = ?3 AND request = ?4 AND status IS NULL";
        let values = params![asked.brand.as_str(), asked.actor, asked.key, asked.request];
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    /// Forgets what is kept for long enough; how many.
    pub fn forget_requests(&self, brand: &Brand, now: Timestamp, limit_rows: usize) -> Result<u64> {
        let sql = "DELETE FROM idempotency_keys WHERE (brand, actor, key) IN
                       (SELECT brand, actor, key FROM idempotency_keys WHERE brand = ?1 AND asked_at < ?2 LIMIT ?3)";
        let before = now - jiff::SignedDuration::try_from(KEPT_FOR).unwrap_or_default();
        Ok(self.connection.prepare_cached(sql)?.execute(params![brand.as_str(), micros(before), limit(limit_rows)])? as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{at, brand, memory};

    fn asked(key: &str, request: u8) -> KeyedRequest {
        KeyedRequest { brand: brand(), actor: "ada".to_owned(), key: key.to_owned(), request: [request; 32] }
    }

    #[tokio::test]
    async fn a_key_is_good_for_one_request_and_for_a_day() {
        let store = memory().await;
        store
            .write(|tx| {
                let one = asked("k", 1);
                assert_eq!(tx.begin_request(&one, at(0))?, Known::Nothing);
                assert_eq!(tx.begin_request(&one, at(599))?, Known::UnderWay);
                assert_eq!(tx.begin_request(&asked("k", 2), at(1))?, Known::Other);
                assert_eq!(tx.begin_request(&KeyedRequest { actor: "bo".to_owned(), ..one.clone() }, at(1))?, Known::Nothing);
                tx.answer_request(&one, 200, b"{}")?;
                assert!(tx.answer_request(&one, 200, b"{}").is_err(), "it is answered once");
                assert_eq!(tx.begin_request(&one, at(3600))?, Known::Answered(200, b"{}".to_vec()));
                assert_eq!(tx.begin_request(&asked("k", 2), at(3600))?, Known::Other);
                assert_eq!(tx.begin_request(&asked("k", 2), at(86_400))?, Known::Nothing, "a day later it is anybody's");
                Ok(())
            })
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn what_came_to_nothing_or_was_cut_off_is_done_again() {
        let store = memory().await;
        store
            .write(|tx| {
                let one = asked("k", 1);
                assert_eq!(tx.begin_request(&one, at(0))?, Known::Nothing);
                tx.forget_request(&one)?;
                assert_eq!(tx.begin_request(&one, at(1))?, Known::Nothing);
                assert_eq!(tx.begin_request(&one, at(601))?, Known::Nothing, "its process has ended");
                assert_eq!(tx.begin_request(&asked("l", 1), at(86_000))?, Known::Nothing);
                assert_eq!(tx.forget_requests(&brand(), at(86_400 + 602), 100)?, 1);
                assert_eq!(tx.begin_request(&asked("l", 1), at(86_030))?, Known::UnderWay, "and no other");
                Ok(())
            })
            .await
            .unwrap();
    }
}
