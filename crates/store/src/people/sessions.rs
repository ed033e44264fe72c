//! Who is signed in, in which browser.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use selvedge_model::{Brand, PersonId, SessionId};

use super::{Person, Proof};
use crate::{
    Result, Tx, View,
    packing::{micros, moment, short},
};

/// A session ends when it was not used for so long.
pub const IDLE_MAX: Duration = Duration::from_secs(2 * 3600);
/// A session ends so long after it began: a working day.
pub const AGE_MAX: Duration = Duration::from_secs(12 * 3600);
/// How long the second step of a log-in may take.
pub const SECOND_STEP_MAX: Duration = Duration::from_secs(5 * 60);
/// Uses are kept to the minute.
const USED_EVERY: Duration = Duration::from_secs(60);
/// Sessions of one person; a further one ends the oldest.
const SESSIONS_MAX: i64 = 50;
/// Longest name of a browser that is kept, in characters.
const AGENT_CHARS_MAX: usize = 200;

/// How much of a log-in is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The password; the authenticator app is still asked. It opens nothing else.
    Password,
    /// Everything.
    All,
}

/// Where a log-in comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The address.
    pub address: String,
    /// What the browser calls itself.
    pub agent: String,
}

/// One session.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Session {
    /// Which.
    pub id: SessionId,
    /// Whose.
    pub person: PersonId,
    /// When it began.
    pub made_at: Timestamp,
    /// When it was last used, to the minute.
    pub used_at: Timestamp,
    /// From where it was opened.
    pub address: String,
    /// What the browser called itself.
    pub agent: String,
}

/// A session that was looked up by its cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which.
    pub id: SessionId,
    /// Whose, with what they are to the brand.
    pub person: Person,
    /// Whether its use should be noted.
    pub stale: bool,
}

/// The instant before which something is over.
fn before(now: Timestamp, age: Duration) -> i64 {
    micros(now).saturating_sub(i64::try_from(age.as_micros()).unwrap_or(i64::MAX))
}

impl View<'_> {
    /// The session that a cookie proves, if it is still good and proven this far.
    pub fn session(&self, brand: &Brand, cookie: &Proof, step: Step, now: Timestamp) -> Result<Option<Found>> {
        let (idle, age) = match step {
            Step::Password => (SECOND_STEP_MAX, SECOND_STEP_MAX),
            Step::All => (IDLE_MAX, AGE_MAX),
        };
        let sql =
            "SELECT id, person, used_at < ?5 FROM sessions WHERE hash = ?1 AND proven = ?2 AND used_at > ?3 AND made_at > ?4";
        let values = params![cookie.hash(), step == Step::All, before(now, idle), before(now, age), before(now, USED_EVERY)];
        let found = self.connection.prepare_cached(sql)?.query_row(values, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        let Some((id, person, stale)) = found.optional()? else { return Ok(None) };
        let person = self.person(brand, PersonId(person))?;
        Ok(person.disabled_at.is_none().then_some(Found { id: SessionId(id), person, stale }))
    }

    /// A person's open sessions, newest first.
    pub fn sessions(&self, person: PersonId, now: Timestamp) -> Result<Vec<Session>> {
        let sql = "SELECT id, person, made_at, used_at, address, agent FROM sessions
                   WHERE person = ?1 AND proven = 1 AND used_at > ?2 AND made_at > ?3 ORDER BY id DESC";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_and_then(params![person.0, before(now, IDLE_MAX), before(now, AGE_MAX)], |row| {
            Ok(Session {
                id: SessionId(row.get(0)?),
                person: PersonId(row.get(1)?),
                made_at: moment(row.get(2)?)?,
                used_at: moment(row.get(3)?)?,
                address: row.get(4)?,
                agent: row.get(5)?,
            })
        })?;
        rows.collect()
    }
}

impl Tx<'_> {
    /// Opens a session; what its cookie is to hold. What is over anyway goes.
    pub fn open_session(&self, person: PersonId, step: Step, origin: &Origin, now: Timestamp) -> Result<(SessionId, Proof)> {
        self.connection
            .prepare_cached("DELETE FROM sessions WHERE used_at <= ?1 OR made_at <= ?2 OR (proven = 0 AND made_at <= ?3)")?
            .execute(params![before(now, IDLE_MAX), before(now, AGE_MAX), before(now, SECOND_STEP_MAX)])?;
        let sql =
            "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE person = ?1 ORDER BY id DESC LIMIT -1 OFFSET ?2)";
        self.connection.prepare_cached(sql)?.execute(params![person.0, SESSIONS_MAX - 1])?;
        let cookie = Proof::fresh();
        let sql =
            "INSERT INTO sessions (person, hash, proven, made_at, used_at, address, agent) VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6)";
        self.connection.prepare_cached(sql)?.execute(params![
            person.0,
            cookie.hash(),
            step == Step::All,
            micros(now),
            short(&origin.address, AGENT_CHARS_MAX),
            short(&origin.agent, AGENT_CHARS_MAX),
        ])?;
        Ok((SessionId(self.connection.last_insert_rowid()), cookie))
    }

    /// Notes that a session was used.
    pub fn use_session(&self, id: SessionId, now: Timestamp) -> Result<()> {
        let sql = "UPDATE sessions SET used_at = max(used_at, ?2) WHERE id = ?1";
        self.connection.prepare_cached(sql)?.execute(params![id.0, micros(now)])?;
        Ok(())
    }

    /// Ends one session of a person; whether there was one.
    pub fn revoke_session(&self, person: PersonId, id: SessionId) -> Result<bool> {
        let sql = "DELETE FROM sessions WHERE id = ?1 AND person = ?2";
        Ok(self.connection.prepare_cached(sql)?.execute(params![id.0, person.0])? > 0)
    }

    /// Ends all sessions of a person but one; how many.
    pub fn revoke_sessions(&self, person: PersonId, but: Option<SessionId>) -> Result<u64> {
        let sql = "DELETE FROM sessions WHERE person = ?1 AND id IS NOT ?2";
        Ok(self.connection.prepare_cached(sql)?.execute(params![person.0, but.map(|id| id.0)])? as u64)
    }
}
