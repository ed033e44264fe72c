//! Log-ins that failed, and how long the next one has to wait.
//!
//! Waits double, from a second to five minutes, and are counted apart for each address and for each account. Strangers who
//! guess at an account make strangers wait, not its person: from where a person has signed in lately, only what fails
//! there counts. And nobody is shut out for good: the longest wait is five minutes, and a day without a failure forgets all.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use selvedge_model::{PersonId, people::Email};

use crate::{
    Result, Tx, View,
    packing::{micros, moment},
};

/// So many failures in a row cost nothing: people mistype. An address may stand for a whole office.
const FREE_ACCOUNT: u32 = 4;
const FREE_ADDRESS: u32 = 12;
/// The first wait; each further failure doubles it.
const WAIT_FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
pub const WAIT_MAX: Duration = Duration::from_secs(300);
/// After so long without a failure it is all forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Rows that are kept; past that, the oldest go.
const ROWS_MAX: i64 = 20_000;
/// How long an address is known after a log-in, and how many of a person are.
const KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
const KNOWN_MAX: i64 = 20;

/// Who tries to sign in, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// As whom, if it is an e-mail address at all.
    pub email: Option<Email>,
    /// From where: an address, or for IPv6 the network that one subscriber has.
    pub address: String,
}

impl Attempt {
    /// What the attempt counts for: kind, key, and how many failures are free.
    fn counts(&self, known: bool) -> Vec<(&'static str, String, u32)> {
        let mut counts = vec![("address", self.address.clone(), FREE_ADDRESS)];
        counts.extend(self.email.as_ref().map(|email| match known {
            true => ("known", format!("{email} {}", self.address), FREE_ACCOUNT),
            false => ("account", email.as_str().to_owned(), FREE_ACCOUNT),
        }));
        counts
    }
}

fn ago(now: Timestamp, age: Duration) -> i64 {
    micros(now).saturating_sub(i64::try_from(age.as_micros()).unwrap_or(i64::MAX))
}

/// How long the next attempt waits after so many failures in a row.
fn wait(failures: u32, free: u32) -> Duration {
    match failures.checked_sub(free) {
        None | Some(0) => Duration::ZERO,
        Some(over) => WAIT_FIRST.saturating_mul(1 << (over - 1).min(16)).min(WAIT_MAX),
    }
}

impl View<'_> {
    /// From when on an attempt is looked at; `None`: at once.
    pub fn login_waits(&self, attempt: &Attempt, now: Timestamp) -> Result<Option<Timestamp>> {
        let mut until = None;
        for (kind, key, _) in attempt.counts(self.is_known(attempt, now)?) {
            let sql = "SELECT next_at FROM login_failures WHERE kind = ?1 AND key = ?2 AND next_at > ?3";
            let next =
                self.connection.prepare_cached(sql)?.query_row(params![kind, key, micros(now)], |row| row.get(0)).optional()?;
            until = until.max(next.map(moment).transpose()?);
        }
        Ok(until)
    }

    fn is_known(&self, attempt: &Attempt, now: Timestamp) -> Result<bool> {
        let Some(email) = &attempt.email else { return Ok(false) };
        let sql = "SELECT EXISTS (SELECT 1 FROM known_addresses k JOIN people p ON p.id = k.person WHERE p.email = ?1 AND k.address = ?2 AND k.at > ?3)";
        let values = params![email.as_str(), attempt.address, ago(now, KNOWN_FOR)];
        Ok(self.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0))?)
    }
}

impl Tx<'_> {
    /// An attempt failed. How many have failed in a row for what it counts for, the most of them; told once each has passed
    /// what is free, so that a series can be audited at its start.
    pub fn login_failed(&self, attempt: &Attempt, now: Timestamp) -> Result<Option<u32>> {
        self.connection.prepare_cached("DELETE FROM login_failures WHERE last_at <= ?1")?.execute([ago(now, FORGOTTEN_AFTER)])?;
        let mut series = None;
        for (kind, key, free) in attempt.counts(self.is_known(attempt, now)?) {
            let sql = "INSERT INTO login_failures (kind, key, count, last_at, next_at) VALUES (?1, ?2, 1, ?3, ?3)
                       ON CONFLICT (kind, key) DO UPDATE SET count = min(count + 1, 1000), last_at = excluded.last_at RETURNING count";
            let count: u32 = self.connection.prepare_cached(sql)?.query_row(params![kind, key, micros(now)], |row| row.get(0))?;
            let wait = i64::try_from(wait(count, free).as_micros()).unwrap_or(0);
            let sql = "UPDATE login_failures SET next_at = ?3 WHERE kind = ?1 AND key = ?2";
            self.connection.prepare_cached(sql)?.execute(params![kind, key, micros(now).saturating_add(wait)])?;
            if count == free + 1 {
                series = series.max(Some(count));
            }
        }
        let sql = "DELETE FROM login_failures WHERE (kind, key) IN (SELECT kind, key FROM login_failures ORDER BY last_at DESC LIMIT -1 OFFSET ?1)";
        self.connection.prepare_cached(sql)?.execute([ROWS_MAX])?;
        Ok(series)
    }

    /// An attempt succeeded: what failed before is forgotten for this account, and the address is known from now on. What has
    /// failed at the address stays: one good account must not let somebody guess at others.
    pub fn login_succeeded(&self, person: PersonId, attempt: &Attempt, now: Timestamp) -> Result<()> {
        for (kind, key, _) in
            attempt.counts(true).into_iter().chain(attempt.counts(false)).filter(|(kind, ..)| *kind != "address")
        {
            self.connection
                .prepare_cached("DELETE FROM login_failures WHERE kind = ?1 AND key = ?2")?
                .execute(params![kind, key])?;
        }
        let sql = "INSERT INTO known_addresses (person, address, at) VALUES (?1, ?2, ?3) ON CONFLICT (person, address) DO UPDATE SET at = excluded.at";
        self.connection.prepare_cached(sql)?.execute(params![person.0, attempt.address, micros(now)])?;
        let sql = "DELETE FROM known_addresses WHERE person = ?1 AND address NOT IN
                   (SELECT address FROM known_addresses WHERE person = ?1 ORDER BY at DESC LIMIT ?2)";
        self.connection.prepare_cached(sql)?.execute(params![person.0, KNOWN_MAX])?;
        Ok(())
    }
}
