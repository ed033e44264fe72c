//! Exceptions: one per root cause, with what it holds.

use schemars::JsonSchema;
use std::{cmp::Reverse, collections::BTreeMap};

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use selvedge_model::{
    Brand, ConnectionName, Currency, ExceptionId, FlowName, Money, ObligationId, Problem,
    impact::{Deadline, DeadlineKind, Radius},
    obligation::{Event, State, next},
    owners::Owner,
    team::Team,
};

use crate::{
    Result, StoreError, Tx, View,
    events::EventKind,
    packing::{count, limit, micros, moment, moment_maybe, short, unreadable},
    records::money,
    releases::RELEASED_WHOLE,
};

/// Longest texts of a problem, in characters.
const TEXT_CHARS_MAX: usize = 2_000;
const PATH_CHARS_MAX: usize = 300;
/// The evidence on which an exception closes that held something.
pub(crate) const SETTLED: &str = "everything it held has settled";
/// How many exceptions are read at once at most.
const LIST_MAX: i64 = 10_000;

/// All columns of an [`ExceptionRow`], from `exceptions e`.
macro_rules! select_exceptions {
    ($rest:literal) => {
        concat!(
            "SELECT e.id, e.flow, e.rule, e.path, e.value, e.message, e.remedy, e.cause, e.open, e.first_seen_at, e.last_seen_at, ",
            "e.closed_at, e.closed_why, e.team, e.person, e.customers, e.deadline_at, e.deadline_kind, e.impact, e.snoozed_until, ",
            "e.snoozed_why, e.release_stage, e.release_by, e.records, e.money, e.weighed_at IS NULL OR e.weigh_at <= 1, e.behind, e.rank ",
            "FROM exceptions e ",
            $rest
        )
    };
}
pub(crate) use select_exceptions;

/// One exception.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ExceptionRow {
    /// Its row.
    pub id: ExceptionId,
    /// In which flow; empty for one about a connection.
    pub flow: FlowName,
    /// The first problem met: rule, path, value, message, remedy, cause.
    pub problem: Problem,
    /// Open, or closed.
    pub open: bool,
    /// How many obligations it holds now.
    pub count: u64,
    /// When it was first met.
    pub first_seen_at: Timestamp,
    /// When it was last met.
    pub last_seen_at: Timestamp,
    /// When and why it closed.
    pub closed: Option<String>,
    /// Money held, an amount for each currency.
    pub money: Vec<Money>,
    /// What waits behind it, as it was last weighed: of trouble with a connection, which holds nothing itself.
    pub behind: Option<Radius>,
    /// Who owns it.
    pub owner: Owner,
    /// People behind what it holds, as it was last weighed.
    pub customers: u64,
    /// When it costs more, as it was last weighed.
    pub deadline: Option<Deadline>,
    /// By what it is ranked, as it was last weighed.
    pub impact: u64,
    /// Until when it is snoozed, and why.
    pub snoozed: Option<Snooze>,
    /// What of it is on its way first, where it is released step by step, and who asked for that.
    pub releasing: Option<Releasing>,
}

/// Snoozed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct Snooze {
    /// Until when.
    pub until: Timestamp,
    /// For what reason.
    pub why: String,
}

/// Where a release stands that goes step by step.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct Releasing {
    /// What of it is on its way.
    pub stage: Stage,
    /// Who asked for it.
    pub by: String,
}

/// The two steps of such a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// One record, alone.
    Canary,
    /// The others, some at a time.
    Rest,
}

impl Stage {
    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Stage::Canary => "canary",
            Stage::Rest => "rest",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Stage::Canary, Stage::Rest].into_iter().find(|stage| stage.word() == word)
    }
}

/// Amounts as they are kept of an exception: minor units by currency.
pub(crate) fn money_text(money: &[Money]) -> Result<String> {
    let amounts: BTreeMap<&str, i64> = money.iter().map(|amount| (amount.currency().code(), amount.minor())).collect();
    serde_json::to_string(&amounts).map_err(|error| unreadable("the money of an exception", error))
}

pub(crate) fn money_of(text: &str) -> Result<Vec<Money>> {
    let amounts: BTreeMap<String, i64> =
        serde_json::from_str(text).map_err(|error| unreadable("the money of an exception", error))?;
    let known = amounts.into_iter().map(|(code, minor)| {
        let currency = Currency::from_code(&code).ok_or_else(|| unreadable("the money of an exception", code))?;
        Ok(Money::from_minor(minor, currency))
    });
    known.collect()
}

/// Where a held row goes by this event.
fn from_held(id: ExceptionId, event: Event) -> Result<State> {
    next(State::Held, event).ok_or_else(|| StoreError::Absent(format!("move by {event:?} for what {id} holds")))
}

impl Tx<'_> {
    /// The open exception for this root cause in this flow, made if there is none (a closed one
    /// with the same cause is opened again with its history).
    pub fn raise(&self, brand: &Brand, flow: &FlowName, problem: &Problem, now: Timestamp) -> Result<ExceptionId> {
        let at = micros(now);
        let sql = "SELECT id, open FROM exceptions WHERE brand = ?1 AND flow = ?2 AND cause = ?3";
        let known = self.connection.prepare_cached(sql)?.query_row([brand.as_str(), flow.as_str(), &problem.cause], |row| {
            Ok((ExceptionId(row.get(0)?), row.get::<_, bool>(1)?))
        });
        if let Some((id, open)) = known.optional()? {
            if open {
                let sql = "UPDATE exceptions SET last_seen_at = max(last_seen_at, ?2) WHERE id = ?1";
                self.connection.prepare_cached(sql)?.execute(params![id.0, at])?;
            } else {
                self.reopen(id, now)?;
            }
            return Ok(id);
        }
        let sql = "INSERT INTO exceptions (brand, flow, cause, rule, path, value, message, remedy, open, first_seen_at, last_seen_at, team)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1, ?9, ?9, ?10)";
        self.connection.prepare_cached(sql)?.execute(params![
            brand.as_str(),
            flow.as_str(),
            problem.cause,
            problem.rule,
            short(&problem.path, PATH_CHARS_MAX),
            problem.value.as_deref().map(|value| short(value, PATH_CHARS_MAX)),
            short(&problem.message, TEXT_CHARS_MAX),
            short(&problem.remedy, TEXT_CHARS_MAX),
            at,
            Team::of(&problem.rule).word(),
        ])?;
        let id = ExceptionId(self.connection.last_insert_rowid());
        self.tell_exception(id, EventKind::Opened, "", &problem.message, now)?;
        Ok(id)
    }

    /// The same for trouble that stands by itself (a connection that refuses us): it stays open
    /// though it holds nothing, until [`Tx::settle_standing`].
    pub fn raise_standing(&self, brand: &Brand, flow: &FlowName, problem: &Problem, now: Timestamp) -> Result<ExceptionId> {
        let id = self.raise(brand, flow, problem, now)?;
        self.connection.prepare_cached("UPDATE exceptions SET standing = 1 WHERE id = ?1 AND standing = 0")?.execute([id.0])?;
        Ok(id)
    }

    /// The same for trouble whose figures change while it stands: it is told in its newest words.
    pub fn raise_standing_anew(&self, brand: &Brand, flow: &FlowName, problem: &Problem, now: Timestamp) -> Result<ExceptionId> {
        let id = self.raise_standing(brand, flow, problem, now)?;
        let sql = "UPDATE exceptions SET value = ?2, message = ?3, remedy = ?4 WHERE id = ?1";
        self.connection.prepare_cached(sql)?.execute(params![
            id.0,
            problem.value.as_deref().map(|value| short(value, PATH_CHARS_MAX)),
            short(&problem.message, TEXT_CHARS_MAX),
            short(&problem.remedy, TEXT_CHARS_MAX),
        ])?;
        Ok(id)
    }

    /// Standing trouble is over: closes it with this evidence, unless it still holds something
    /// (then it closes as any other does). Nothing happens if there is none with this cause.
    pub fn settle_standing(&self, brand: &Brand, cause: &str, why: &str, now: Timestamp) -> Result<()> {
        let sql = "UPDATE exceptions SET standing = 0 WHERE brand = ?1 AND cause = ?2 AND open = 1 AND standing = 1 RETURNING id";
        let mut statement = self.connection.prepare_cached(sql)?;
        let settled = statement
            .query_map([brand.as_str(), cause], |row| row.get(0).map(ExceptionId))?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        for id in settled {
            self.close_if_empty(id, why, now)?;
        }
        Ok(())
    }

    /// Standing trouble of a flow whose cause begins like this and that was last seen before an instant is over.
    pub fn settle_unseen(
        &self,
        brand: &Brand,
        flow: &FlowName,
        causes: &str,
        seen_before: Timestamp,
        why: &str,
        now: Timestamp,
    ) -> Result<()> {
        let sql = "SELECT cause FROM exceptions WHERE brand = ?1 AND flow = ?2 AND open = 1 AND standing = 1
                     AND last_seen_at < ?3 AND substr(cause, 1, length(?4)) = ?4";
        let mut statement = self.connection.prepare_cached(sql)?;
        let over = statement
            .query_map(params![brand.as_str(), flow.as_str(), micros(seen_before), causes], |row| row.get::<_, String>(0))?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        over.iter().try_for_each(|cause| self.settle_standing(brand, cause, why, now))
    }

    /// Something is held by it (again), so it is open.
    pub(crate) fn reopen(&self, id: ExceptionId, now: Timestamp) -> Result<()> {
        let sql = "UPDATE exceptions SET open = 1, closed_at = NULL, closed_why = NULL, last_seen_at = max(last_seen_at, ?2),
                     weigh_at = 0, weighed_at = NULL, told_records = 0 WHERE id = ?1 AND open = 0";
        if self.connection.prepare_cached(sql)?.execute(params![id.0, micros(now)])? > 0 {
            self.tell_exception(id, EventKind::Reopened, "", "it was met again", now)?;
        }
        Ok(())
    }

    pub(crate) fn close_if_empty(&self, id: ExceptionId, why: &str, now: Timestamp) -> Result<bool> {
        let sql = "UPDATE exceptions SET open = 0, closed_at = ?2, closed_why = ?3
                   WHERE id = ?1 AND open = 1 AND standing = 0 AND NOT EXISTS (SELECT 1 FROM obligations WHERE exception_id = ?1)
                   AND NOT EXISTS (SELECT 1 FROM stock_figures WHERE exception_id = ?1)
                   AND NOT EXISTS (SELECT 1 FROM stock_held_levels WHERE exception_id = ?1)
                   AND NOT EXISTS (SELECT 1 FROM promises WHERE exception_id = ?1)
                   AND NOT EXISTS (SELECT 1 FROM halves WHERE exception_id = ?1)";
        let closed = self.connection.prepare_cached(sql)?.execute(params![id.0, micros(now), short(why, TEXT_CHARS_MAX)])? > 0;
        if closed {
            self.lay_down(id, why, now)?;
        }
        Ok(closed)
    }

    /// What is closed weighs nothing, sleeps no more and releases nothing; its history says on what evidence it closed.
    fn lay_down(&self, id: ExceptionId, why: &str, now: Timestamp) -> Result<()> {
        // It settled before anybody took the last step of its release.
        if self.stage(id)?.is_some() {
            self.tell_exception(id, EventKind::Released, "", RELEASED_WHOLE, now)?;
        }
        let sql = "UPDATE exceptions SET records = 0, customers = 0, money = '{}', behind = 0, deadline_at = NULL, deadline_kind = NULL, impact = 0, rank = 0,
                     weigh_at = NULL, snoozed_until = NULL, snoozed_why = NULL, release_stage = NULL, release_by = NULL, release_until = NULL
                   WHERE id = ?1";
        self.connection.prepare_cached(sql)?.execute([id.0])?;
        self.connection.prepare_cached("DELETE FROM release_watches WHERE exception_id = ?1")?.execute([id.0])?;
        self.rank_cause(id)?;
        self.tell_exception(id, EventKind::Closed, "", why, now)
    }

    pub(crate) fn must_exist(&self, id: ExceptionId) -> Result<()> {
        let there = self
            .connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM exceptions WHERE id = ?1)")?
            .query_row([id.0], |row| row.get(0))?;
        if there { Ok(()) } else { Err(StoreError::Absent(id.to_string())) }
    }

    /// Sends what it holds back to the gate, with a limit the oldest only; returns how many. Rows
    /// held on account of another go with that one and are not counted against the limit. The
    /// exception closes when the last of them has settled elsewhere, so here only if it held nothing.
    pub fn release(&self, id: ExceptionId, limit_rows: Option<usize>, now: Timestamp) -> Result<u64> {
        self.must_exist(id)?;
        // Whoever releases outright does not wait for a canary any more.
        self.end_release(id)?;
        let to = from_held(id, Event::Release)?;
        let released = match limit_rows {
            None => {
                self.tell_held(id.0, "release", to.word(), &format!("{id} was released"), now)?;
                // Who is held on another's account goes on waiting for it: that one is released just now.
                let sql = "UPDATE obligations SET state = ?2, settled_at = NULL, retries = 0, due_at = CASE WHEN waits_for IS NULL THEN ?3 END
                           WHERE exception_id = ?1 AND state = 'held'";
                self.connection.prepare_cached(sql)?.execute(params![id.0, to.word(), micros(now)])? as u64
            }
            Some(limit_rows) => {
                let sql = "SELECT id FROM obligations WHERE exception_id = ?1 AND state = 'held' AND waits_for IS NULL ORDER BY captured_at, id LIMIT ?2";
                let mut statement = self.connection.prepare_cached(sql)?;
                let rows = statement.query_map(params![id.0, limit(limit_rows)], |row| row.get(0).map(ObligationId))?;
                let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
                let mut released = 0;
                for row in rows {
                    released += self.release_row(id, row, now)?;
                }
                released
            }
        };
        let released = released
            + self.stock_release(id, now)?
            + self.stock_accept(id)?
            + self.promises_look(id, now)?
            + self.halves_look(id, now)?;
        if released == 0 && limit_rows != Some(0) {
            self.close_if_empty(id, "it was released and held nothing", now)?;
        }
        Ok(released)
    }

    /// Sends one row that an exception holds back to the gate, with those that are held on its account; how many.
    pub(crate) fn release_row(&self, id: ExceptionId, row: ObligationId, now: Timestamp) -> Result<u64> {
        let to = from_held(id, Event::Release)?;
        let sql = "UPDATE obligations SET state = ?2, settled_at = NULL, retries = 0, due_at = ?3 WHERE id = ?1";
        self.connection.prepare_cached(sql)?.execute(params![row.0, to.word(), micros(now)])?;
        self.tell(row, "release", to.word(), &format!("{id} was released in part"), now)?;
        Ok(1 + self.release_with(row, now)?)
    }

    /// Lets everything it holds go, with a reason; returns how many. Orders among it are not taken off stock any more:
    /// whoever dismisses one says that the source has it by other means, or never will.
    pub fn dismiss(&self, id: ExceptionId, reason: &str, now: Timestamp) -> Result<u64> {
        self.must_exist(id)?;
        self.end_release(id)?;
        let to = from_held(id, Event::Dismiss)?;
        self.tell_held(id.0, "dismiss", to.word(), reason, now)?;
        self.stock_count_held_no_more(id, now)?;
        self.parts_let_go(id)?;
        let sql = "UPDATE obligations SET state = ?2, settled_at = ?3, exception_id = NULL, waits_for = NULL, note = ?4
                   WHERE exception_id = ?1 AND state = 'held'";
        let dismissed =
            self.connection.prepare_cached(sql)?.execute(params![id.0, to.word(), micros(now), short(reason, TEXT_CHARS_MAX)])?;
        Ok(dismissed as u64
            + self.stock_let_go(id, now)?
            + self.stock_drop_held(id)?
            + self.promises_drop(id)?
            + self.halves_let_go(id)?)
    }

    /// Closes the open exceptions of a brand that hold nothing any more and whose released rows
    /// have all settled; returns them.
    pub fn close_empty(&self, brand: &Brand, now: Timestamp) -> Result<Vec<ExceptionId>> {
        let why = SETTLED;
        // Nothing closes of which nothing has moved since it was weighed.
        let sql = "UPDATE exceptions SET open = 0, closed_at = ?2, closed_why = ?3
                   WHERE brand = ?1 AND open = 1 AND weigh_at IS NOT NULL AND weigh_at <= 1 AND standing = 0
                   AND NOT EXISTS (SELECT 1 FROM obligations WHERE exception_id = exceptions.id)
                   AND NOT EXISTS (SELECT 1 FROM stock_figures WHERE exception_id = exceptions.id)
                   AND NOT EXISTS (SELECT 1 FROM stock_held_levels WHERE exception_id = exceptions.id)
                   AND NOT EXISTS (SELECT 1 FROM promises WHERE exception_id = exceptions.id)
                   AND NOT EXISTS (SELECT 1 FROM halves WHERE exception_id = exceptions.id) RETURNING id";
        let mut statement = self.connection.prepare_cached(sql)?;
        let closed = statement.query_map(params![brand.as_str(), micros(now), why], |row| row.get(0).map(ExceptionId))?;
        let closed = closed.collect::<rusqlite::Result<Vec<_>>>()?;
        for id in &closed {
            self.lay_down(*id, why, now)?;
        }
        Ok(closed)
    }
}

impl View<'_> {
    /// Exceptions, the ones that hold most first; open ones only unless `all`. At most 10,000: whoever shows them reads them
    /// page by page, ranked ([`View::desk`]).
    pub fn exceptions(&self, brand: &Brand, all: bool) -> Result<Vec<ExceptionRow>> {
        let sql = if all {
            select_exceptions!("WHERE e.brand = ?1 ORDER BY e.id LIMIT ?2")
        } else {
            select_exceptions!("WHERE e.brand = ?1 AND e.open = 1 ORDER BY e.id LIMIT ?2")
        };
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_and_then(params![brand.as_str(), LIST_MAX], |row| self.exception_row(row))?;
        let mut rows = rows.collect::<Result<Vec<_>>>()?;
        rows.sort_by_key(|row| (Reverse((row.open, row.count, row.last_seen_at)), row.id));
        Ok(rows)
    }

    /// How many open exceptions have a rule that begins with one of these.
    pub fn open_with(&self, brand: &Brand, beginnings: &[&str]) -> Result<u64> {
        let sql = "SELECT count(*) FROM exceptions WHERE brand = ?1 AND open = 1 AND EXISTS (
                     SELECT 1 FROM json_each(?2) b WHERE substr(rule, 1, length(b.value)) = b.value)";
        let beginnings = String::from_utf8(crate::records::json(&beginnings)?).unwrap_or_default();
        Ok(count(self.connection.prepare_cached(sql)?.query_row(params![brand.as_str(), beginnings], |row| row.get(0))?))
    }

    /// Whether an exception is of this brand: an id alone could be anybody's.
    pub fn is_exception_of(&self, brand: &Brand, id: ExceptionId) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM exceptions WHERE id = ?1 AND brand = ?2)";
        Ok(self.connection.prepare_cached(sql)?.query_row(params![id.0, brand.as_str()], |row| row.get(0))?)
    }

    /// One exception.
    pub fn exception(&self, id: ExceptionId) -> Result<ExceptionRow> {
        let mut statement = self.connection.prepare_cached(select_exceptions!("WHERE e.id = ?1"))?;
        let mut rows = statement.query([id.0])?;
        rows.next()?.map(|row| self.exception_row(row)).unwrap_or_else(|| Err(StoreError::Absent(id.to_string())))
    }

    pub(crate) fn exception_row(&self, row: &Row<'_>) -> Result<ExceptionRow> {
        let id = ExceptionId(row.get(0)?);
        let (open, rule): (bool, String) = (row.get(8)?, row.get(2)?);
        let closed = moment_maybe(row.get(11)?)?.zip(row.get::<_, Option<String>>(12)?);
        let team = row.get::<_, Option<String>>(13)?.and_then(|word| Team::from_word(&word)).unwrap_or_else(|| Team::of(&rule));
        let kind: Option<String> = row.get(17)?;
        let deadline = moment_maybe(row.get(16)?)?.zip(kind.as_deref().and_then(DeadlineKind::from_word));
        let text = |column| row.get::<_, Option<String>>(column).map(Option::unwrap_or_default);
        let snoozed = match moment_maybe(row.get(19)?)? {
            Some(until) => Some(Snooze { until, why: text(20)? }),
            None => None,
        };
        let releasing = match Stage::from_word(&text(21)?) {
            Some(stage) => Some(Releasing { stage, by: text(22)? }),
            None => None,
        };
        // What has moved since it was weighed is counted; everything else is as it was weighed.
        let moved: bool = row.get::<_, Option<bool>>(25)?.unwrap_or(false);
        let weighed =
            Radius { money: money_of(&row.get::<_, String>(24)?)?, customers: count(row.get(15)?), records: count(row.get(23)?) };
        let behind = row.get::<_, bool>(26)?.then(|| weighed.clone());
        let held = match (open && moved, &behind) {
            (true, _) => {
                let records = self.held_count(id)?;
                Radius { records, money: if records > 0 { self.money_held(id)? } else { Vec::new() }, ..weighed }
            }
            (false, Some(_)) => Radius::default(),
            (false, None) => weighed,
        };
        Ok(ExceptionRow {
            id,
            flow: FlowName(row.get(1)?),
            problem: Problem {
                rule,
                path: row.get(3)?,
                value: row.get(4)?,
                message: row.get(5)?,
                remedy: row.get(6)?,
                cause: row.get(7)?,
            },
            open,
            count: held.records,
            first_seen_at: moment(row.get(9)?)?,
            last_seen_at: moment(row.get(10)?)?,
            closed: closed.map(|(at, why)| format!("{at}: {why}")),
            money: held.money,
            customers: if behind.is_some() { 0 } else { held.customers },
            behind,
            owner: Owner { team, person: row.get(14)? },
            deadline: deadline.map(|(at, kind)| Deadline { at, kind }),
            impact: count(row.get(18)?),
            snoozed,
            releasing,
        })
    }

    /// How many things it holds just now.
    pub(crate) fn held_count(&self, id: ExceptionId) -> Result<u64> {
        let sql = "SELECT (SELECT count(*) FROM obligations WHERE exception_id = ?1 AND state = 'held')
                   + (SELECT count(*) FROM stock_figures WHERE exception_id = ?1 AND state = 'held')
                   + (SELECT count(*) FROM stock_held_levels WHERE exception_id = ?1)
                   + (SELECT count(*) FROM promises WHERE exception_id = ?1) + (SELECT count(*) FROM halves WHERE exception_id = ?1)";
        Ok(self.connection.prepare_cached(sql)?.query_row([id.0], |row| row.get(0).map(count))?)
    }

    /// What it holds is worth just now, an amount for each currency.
    pub(crate) fn money_held(&self, id: ExceptionId) -> Result<Vec<Money>> {
        let sql = "SELECT currency, sum(amount_minor) FROM (
                     SELECT currency, amount_minor FROM obligations WHERE exception_id = ?1 AND state = 'held' AND currency IS NOT NULL
                     UNION ALL SELECT currency, amount_minor FROM promises WHERE exception_id = ?1 AND currency IS NOT NULL
                     UNION ALL SELECT currency, amount_minor FROM halves WHERE exception_id = ?1 AND currency IS NOT NULL)
                   GROUP BY currency ORDER BY currency";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_and_then([id.0], |row| {
            let code: String = row.get(0)?;
            money(row.get(1)?, Some(&code))
        })?;
        rows.filter_map(Result::transpose).collect()
    }

    /// The open exceptions with this cause, whatever the flow.
    pub fn exceptions_by_cause(&self, brand: &Brand, cause: &str) -> Result<Vec<ExceptionId>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT id FROM exceptions WHERE brand = ?1 AND open = 1 AND cause = ?2 ORDER BY id")?;
        let rows = statement.query_map([brand.as_str(), cause], |row| row.get(0).map(ExceptionId))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The open exceptions whose cause begins like this: which, in which flow, and the cause. At most 10,000.
    pub fn open_causes(&self, brand: &Brand, prefix: &str) -> Result<Vec<(ExceptionId, FlowName, String)>> {
        let sql = "SELECT id, flow, cause FROM exceptions WHERE brand = ?1 AND open = 1 AND cause >= ?2 AND cause < ?3 ORDER BY cause LIMIT ?4";
        let mut statement = self.connection.prepare_cached(sql)?;
        let past = format!("{prefix}\u{10FFFF}");
        let rows = statement.query_map(params![brand.as_str(), prefix, past, LIST_MAX], |row| {
            Ok((ExceptionId(row.get(0)?), FlowName(row.get(1)?), row.get(2)?))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The same, of the flows that lead to one connection. Where a flow leads is known once an engine has started with it; until
    /// then it may lead anywhere.
    pub fn open_causes_at(
        &self,
        brand: &Brand,
        target: &ConnectionName,
        prefix: &str,
    ) -> Result<Vec<(ExceptionId, FlowName, String)>> {
        let sql = "SELECT e.id, e.flow, e.cause FROM exceptions e
                   WHERE e.brand = ?1 AND e.open = 1 AND e.cause >= ?2 AND e.cause < ?3
                     AND NOT EXISTS (SELECT 1 FROM flow_targets t WHERE t.brand = ?1 AND t.flow = e.flow AND t.target <> ?5)
                   ORDER BY e.cause LIMIT ?4";
        let mut statement = self.connection.prepare_cached(sql)?;
        let past = format!("{prefix}\u{10FFFF}");
        let rows = statement.query_map(params![brand.as_str(), prefix, past, LIST_MAX, target.as_str()], |row| {
            Ok((ExceptionId(row.get(0)?), FlowName(row.get(1)?), row.get(2)?))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The newest obligation that it holds.
    pub fn newest_held(&self, id: ExceptionId) -> Result<Option<ObligationId>> {
        let sql = "SELECT max(id) FROM obligations WHERE exception_id = ?1 AND state = 'held'";
        Ok(self.connection.prepare_cached(sql)?.query_row([id.0], |row| row.get::<_, Option<i64>>(0))?.map(ObligationId))
    }

    /// What it holds, oldest first: the obligation and our key of its record.
    pub fn held_by(&self, id: ExceptionId, limit_rows: usize) -> Result<Vec<(ObligationId, String)>> {
        let sql = "SELECT id, key FROM obligations WHERE exception_id = ?1 AND state = 'held' ORDER BY captured_at, id LIMIT ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(params![id.0, limit(limit_rows)], |row| Ok((ObligationId(row.get(0)?), row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        obligations::Step,
        samples::{World, at, brand, flow},
    };

    fn unmapped(value: &str) -> Problem {
        Problem::new("mapping.shipping_item", "shipping_method", "has no entry", "add it").cause(value)
    }

    impl World {
        async fn hold(&self, key: &str, problem: Problem) -> (ObligationId, ExceptionId) {
            let id = self.order(key).await;
            self.tx(move |tx| {
                let exception = tx.raise(&brand(), &flow(), &problem, at(110))?;
                tx.step(id, Event::Hold, &Step { exception: Some(exception), ..Step::default() }, at(110))?;
                Ok((id, exception))
            })
            .await
        }
    }

    #[tokio::test]
    async fn one_cause_is_one_exception_with_its_money() {
        let world = World::new().await;
        let (_, one) = world.hold("1", unmapped("method=x")).await;
        let (_, same) = world.hold("2", unmapped("method=x")).await;
        let (_, other) = world.hold("3", unmapped("method=y")).await;
        assert_eq!(one, same);
        world
            .tx(move |tx| {
                let rows = tx.exceptions(&brand(), false)?;
                assert_eq!(rows.iter().map(|row| (row.id, row.count)).collect::<Vec<_>>(), [(one, 2), (other, 1)]);
                // Orders 1 and 2 are worth 1.00 and 2.00.
                assert_eq!(rows[0].money.iter().map(Money::to_string).collect::<Vec<_>>(), ["3.00 EUR"]);
                assert_eq!(rows[0].problem, unmapped("method=x"));
                assert_eq!(tx.exceptions_by_cause(&brand(), "mapping.shipping_item:method=y")?, [other]);
                assert_eq!(tx.held_by(one, 10)?.iter().map(|(_, key)| key.as_str()).collect::<Vec<_>>(), ["1", "2"]);
                assert_eq!(tx.held_by(one, 1)?.len(), 1);
                assert!(tx.exceptions(&"other".into(), true)?.is_empty());
                assert!(matches!(tx.exception(ExceptionId(99)), Err(StoreError::Absent(_))));
                assert!(matches!(tx.release(ExceptionId(99), None, at(1)), Err(StoreError::Absent(_))));
                Ok(())
            })
            .await;
        world.balanced().await;
    }

    #[tokio::test]
    async fn it_closes_when_what_it_held_has_settled_and_opens_again() {
        let world = World::new().await;
        let (id, exception) = world.hold("1", unmapped("method=x")).await;
        world
            .tx(move |tx| {
                assert!(tx.close_empty(&brand(), at(111))?.is_empty());
                assert_eq!(tx.release(exception, None, at(120))?, 1);
                let row = tx.obligation(id)?;
                assert_eq!((row.state, row.exception, row.due_at), (State::Captured, None, at(120)));
                assert_eq!(tx.story(id)?.last().unwrap().verb, "release");
                assert_eq!(tx.released_from(id)?, [exception]);
                // On its way again, nothing is proven yet: still open, holding nothing.
                assert!(tx.close_empty(&brand(), at(121))?.is_empty());
                assert_eq!(tx.release(exception, None, at(121))?, 0);
                assert_eq!((tx.exception(exception)?.open, tx.exception(exception)?.count), (true, 0));
                for event in [Event::Clear, Event::Claim, Event::Answer, Event::Confirm] {
                    tx.step(id, event, &Step::default(), at(122))?;
                }
                assert_eq!(tx.close_empty(&brand(), at(123))?, [exception]);
                let row = tx.exception(exception)?;
                assert!(!row.open && row.closed.unwrap().ends_with("everything it held has settled"));
                assert!(tx.exceptions(&brand(), false)?.is_empty());
                assert_eq!(tx.exceptions(&brand(), true)?.len(), 1);
                // The same cause is the same exception, with its history.
                assert_eq!(tx.raise(&brand(), &flow(), &unmapped("method=x"), at(200))?, exception);
                let row = tx.exception(exception)?;
                assert_eq!((row.open, row.closed, row.first_seen_at, row.last_seen_at), (true, None, at(110), at(200)));
                assert_ne!(tx.raise(&brand(), &"customers".into(), &unmapped("method=x"), at(200))?, exception);
                Ok(())
            })
            .await;
        world.balanced().await;
    }

    #[tokio::test]
    async fn a_canary_goes_first() {
        let world = World::new().await;
        let mut ids = Vec::new();
        for key in ["1", "2", "3"] {
            ids.push(world.hold(key, unmapped("method=x")).await);
        }
        let exception = ids[0].1;
        world
            .tx(move |tx| {
                assert_eq!(tx.release(exception, Some(1), at(120))?, 1);
                assert_eq!(tx.obligation(ids[0].0)?.state, State::Captured);
                assert_eq!(tx.exception(exception)?.count, 2);
                assert_eq!(tx.dismiss(exception, "anna: samples", at(121))?, 2);
                let row = tx.obligation(ids[2].0)?;
                assert_eq!((row.state, row.note.as_deref(), row.exception), (State::Dismissed, Some("anna: samples"), None));
                assert!(tx.close_empty(&brand(), at(122))?.is_empty());
                tx.step(ids[0].0, Event::Exclude, &Step::default(), at(123))?;
                assert_eq!(tx.close_empty(&brand(), at(124))?, [exception]);
                Ok(())
            })
            .await;
        world.balanced().await;
    }

    #[tokio::test]
    async fn standing_trouble_stays_until_it_is_settled() {
        let world = World::new().await;
        world
            .tx(|tx| {
                let problem = Problem::new("connection.credentials", "connections.erp", "refused", "renew").cause("erp");
                let none = FlowName::default();
                let id = tx.raise_standing(&brand(), &none, &problem, at(1))?;
                assert_eq!(tx.raise_standing(&brand(), &none, &problem, at(2))?, id);
                assert!(tx.close_empty(&brand(), at(3))?.is_empty());
                assert_eq!(tx.release(id, None, at(3))?, 0);
                assert!(tx.exception(id)?.open);
                tx.settle_standing(&brand(), "no.such:cause", "", at(4))?;
                tx.settle_standing(&brand(), &problem.cause, "it answers again", at(5))?;
                assert!(tx.exception(id)?.closed.unwrap().ends_with("it answers again"));
                tx.raise_standing(&brand(), &none, &problem, at(6))?;
                assert!(tx.exception(id)?.open);
                assert!(tx.close_empty(&brand(), at(7))?.is_empty());
                let worse = Problem { message: "refused again".into(), ..problem.clone() };
                assert_eq!(tx.raise_standing(&brand(), &none, &worse, at(8))?, id);
                assert_eq!(tx.exception(id)?.problem.message, "refused");
                assert_eq!(tx.raise_standing_anew(&brand(), &none, &worse, at(9))?, id);
                assert_eq!(tx.exception(id)?.problem.message, "refused again");
                Ok(())
            })
            .await;
    }
}
