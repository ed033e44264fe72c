//! Acts that wait for a second person, and which acts do.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use selvedge_model::{
    ApprovalId, Brand, PersonId,
    people::{Act, FourEyes},
};

use crate::{
    Result, StoreError, Tx, View,
    packing::{limit, micros, moment, moment_maybe, short, unreadable},
};

/// How long an act waits.
pub const PENDING_FOR: Duration = Duration::from_secs(7 * 24 * 3600);
/// Acts of a brand that wait at once.
const PENDING_MAX: i64 = 500;
/// The longest reason, in characters.
const REASON_CHARS_MAX: usize = 500;

/// How an asked-for act stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nobody has decided.
    Pending,
    /// Nobody has decided in time.
    Expired,
    /// Allowed, and to be done by whoever asked: signing, which is done at the command line.
    Approved,
    /// Turned down.
    Rejected,
    /// Approved and done.
    Done,
}

impl State {
    /// What people read.
    pub const fn name(self) -> &'static str {
        match self {
            State::Pending => "waits",
            State::Expired => "expired",
            State::Approved => "approved, to be done",
            State::Rejected => "rejected",
            State::Done => "approved and done",
        }
    }
}

/// One act that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Approval {
    /// Which.
    pub id: ApprovalId,
    /// What is to be done.
    pub act: Act,
    /// Who asked; `None` at the command line.
    pub asker: Option<PersonId>,
    /// Who asked, as the audit log names them.
    pub asked_by: String,
    /// When.
    pub asked_at: Timestamp,
    /// Until when it can be decided, and, once approved, done.
    pub expires_at: Timestamp,
    /// How it stands.
    pub state: State,
    /// Who decided.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Timestamp>,
    /// Why it was rejected.
    pub reason: Option<String>,
}

/// What a second person says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision<'a> {
    /// It is done at once.
    Done,
    /// Its asker may do it.
    Approved,
    /// It is not done, and why.
    Rejected(&'a str),
}

const APPROVAL: &str =
    "SELECT id, act, asker, asked_by, asked_at, expires_at, state, decided_by, decided_at, reason FROM approvals";

fn approval(row: &Row<'_>, now: Timestamp) -> Result<Approval> {
    let (act, state): (String, String) = (row.get(1)?, row.get(6)?);
    let asker: Option<i64> = row.get(2)?;
    let expires_at = moment(row.get(5)?)?;
    let over = expires_at <= now;
    Ok(Approval {
        id: ApprovalId(row.get(0)?),
        act: serde_json::from_str(&act).map_err(|error| unreadable("an act that waits", error))?,
        asker: asker.map(PersonId),
        asked_by: row.get(3)?,
        asked_at: moment(row.get(4)?)?,
        expires_at,
        state: match state.as_str() {
            "pending" | "approved" if over => State::Expired,
            "pending" => State::Pending,
            "approved" => State::Approved,
            "rejected" => State::Rejected,
            "done" => State::Done,
            other => return Err(unreadable("the state of an approval", format!("{other:?} is none"))),
        },
        decided_by: row.get(7)?,
        decided_at: moment_maybe(row.get(8)?)?,
        reason: row.get(9)?,
    })
}

impl View<'_> {
    /// Which acts take a second person.
    pub fn four_eyes(&self, brand: &Brand) -> Result<FourEyes> {
        let sql = "SELECT acts FROM four_eyes WHERE brand = ?1";
        let found = self.connection.prepare_cached(sql)?.query_row([brand.as_str()], |row| row.get::<_, String>(0)).optional()?;
        // What no longer reads must not open what was shut.
        found.map_or_else(
            || Ok(FourEyes::default()),
            |text| serde_json::from_str(&text).map_err(|error| unreadable("which acts take two people", error)),
        )
    }

    /// What was asked for, newest first: only what waits, or all; those before one of them.
    pub fn approvals(
        &self,
        brand: &Brand,
        all: bool,
        before: Option<ApprovalId>,
        limit_rows: usize,
        now: Timestamp,
    ) -> Result<Vec<Approval>> {
        let which = if all { "" } else { "AND state = 'pending' AND expires_at > ?3" };
        let sql = format!("{APPROVAL} WHERE brand = ?1 {which} AND ?3 = ?3 AND id < ?4 ORDER BY id DESC LIMIT ?2");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let before = before.map_or(i64::MAX, |id| id.0);
        let values = params![brand.as_str(), limit(limit_rows), micros(now), before];
        statement.query_and_then(values, |row| approval(row, now))?.collect()
    }

    /// One of them.
    pub fn approval(&self, brand: &Brand, id: ApprovalId, now: Timestamp) -> Result<Approval> {
        let mut statement = self.connection.prepare_cached(&format!("{APPROVAL} WHERE brand = ?1 AND id = ?2"))?;
        let found = statement.query_and_then(params![brand.as_str(), id.0], |row| approval(row, now))?.next().transpose()?;
        found.ok_or_else(|| StoreError::Absent(format!("approval {id}")))
    }

    /// An approval of exactly this act, asked for by this person, that has not been used.
    pub fn approved(&self, brand: &Brand, act: &Act, asked_by: &str, now: Timestamp) -> Result<Option<Approval>> {
        let sql = format!(
            "{APPROVAL} WHERE brand = ?1 AND state = 'approved' AND act = ?2 AND asked_by = ?3 AND expires_at > ?4 ORDER BY id"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let values = params![brand.as_str(), written(act)?, asked_by, micros(now)];
        statement.query_and_then(values, |row| approval(row, now))?.next().transpose()
    }
}

fn written(act: &Act) -> Result<String> {
    serde_json::to_string(act).map_err(|error| unreadable("an act", error))
}

impl Tx<'_> {
    /// Says which acts take a second person.
    pub fn set_four_eyes(&self, brand: &Brand, acts: &FourEyes) -> Result<()> {
        let text = serde_json::to_string(acts).map_err(|error| unreadable("which acts take two people", error))?;
        let sql = "INSERT INTO four_eyes (brand, acts) VALUES (?1, ?2) ON CONFLICT (brand) DO UPDATE SET acts = excluded.acts";
        self.connection.prepare_cached(sql)?.execute(params![brand.as_str(), text])?;
        Ok(())
    }

    /// Asks for an act. The same act by the same person is asked for once.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when too many wait.
    pub fn ask(&self, brand: &Brand, act: &Act, asker: Option<PersonId>, asked_by: &str, now: Timestamp) -> Result<ApprovalId> {
        let (text, asker, at) = (written(act)?, asker.map(|id| id.0), micros(now));
        let sql =
            "SELECT id FROM approvals WHERE brand = ?1 AND state = 'pending' AND act = ?2 AND asked_by = ?3 AND expires_at > ?4";
        let values = params![brand.as_str(), text, asked_by, at];
        if let Some(id) = self.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0)).optional()? {
            return Ok(ApprovalId(id));
        }
        let sql = "SELECT count(*) FROM approvals WHERE brand = ?1 AND state = 'pending' AND expires_at > ?2";
        let waiting: i64 = self.connection.prepare_cached(sql)?.query_row(params![brand.as_str(), at], |row| row.get(0))?;
        if waiting >= PENDING_MAX {
            return Err(StoreError::Taken(format!(
                "every one of the {PENDING_MAX} places for acts that wait for a second person"
            )));
        }
        let until = at.saturating_add(i64::try_from(PENDING_FOR.as_micros()).unwrap_or(0));
        let sql = "INSERT INTO approvals (brand, act, asker, asked_by, asked_at, expires_at, state) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'pending')";
        self.connection.prepare_cached(sql)?.execute(params![brand.as_str(), text, asker, asked_by, at, until])?;
        Ok(ApprovalId(self.connection.last_insert_rowid()))
    }

    /// Decides what waits. Of two who decide at once, one does.
    ///
    /// # Errors
    /// [`StoreError::Decided`] when it does not wait any more.
    pub fn decide(&self, brand: &Brand, id: ApprovalId, decision: Decision<'_>, by: &str, now: Timestamp) -> Result<()> {
        let (state, reason) = match decision {
            Decision::Done => ("done", None),
            Decision::Approved => ("approved", None),
            Decision::Rejected(reason) => ("rejected", Some(short(reason, REASON_CHARS_MAX))),
        };
        let sql = "UPDATE approvals SET state = ?3, decided_by = ?4, decided_at = ?5, reason = ?6
                   WHERE brand = ?1 AND id = ?2 AND state = 'pending' AND expires_at > ?5";
        let values = params![brand.as_str(), id.0, state, by, micros(now), reason];
        if self.connection.prepare_cached(sql)?.execute(values)? == 0 {
            let how = self.approval(brand, id, now)?.state.name();
            return Err(StoreError::Decided { id, how });
        }
        Ok(())
    }

    /// An approved act is done by its asker: the approval is used up.
    ///
    /// # Errors
    /// [`StoreError::Decided`] when it was used already, or has expired.
    pub fn use_approval(&self, brand: &Brand, id: ApprovalId, now: Timestamp) -> Result<()> {
        let sql = "UPDATE approvals SET state = 'done' WHERE brand = ?1 AND id = ?2 AND state = 'approved' AND expires_at > ?3";
        if self.connection.prepare_cached(sql)?.execute(params![brand.as_str(), id.0, micros(now)])? == 0 {
            let how = self.approval(brand, id, now)?.state.name();
            return Err(StoreError::Decided { id, how });
        }
        Ok(())
    }
}
