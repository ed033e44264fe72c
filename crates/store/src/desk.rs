//! The desk: what each exception comes to, whose it is, and the list of them, ranked, page by page.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use selvedge_model::{
    Brand, ExceptionId, FlowName, Money, ObligationId,
    impact::{Deadline, Radius},
    owners::Owner,
    team::Team,
};

use crate::{
    Result, Tx, View,
    events::EventKind,
    exceptions::{ExceptionRow, SETTLED, money_of, money_text, select_exceptions},
    packing::{count, limit, micros, moment, moment_maybe, short, signed},
    records::money,
};

/// Of how many held rows the people are told apart; each further one counts as somebody of their own.
const PEOPLE_ROWS_MAX: i64 = 10_000;
/// Rows looked through for one page, so that a filter which few pass stays quick: the next page goes on from there.
const SCAN_MAX: usize = 2_000;
/// Longest reason, in characters.
const REASON_CHARS_MAX: usize = 500;
/// Of how many that have just moved the totals are counted.
const MOVED_MAX: i64 = 100;
/// From how many on growth is told.
const TOLD_MIN: u64 = 10;

/// What was found of an exception when it was weighed.
#[derive(Clone, Debug)]
pub struct Weighed {
    /// What it reaches.
    pub radius: Radius,
    /// Whether that waits behind it and is not held by it.
    pub behind: bool,
    /// When it costs more.
    pub deadline: Option<Deadline>,
    /// By what it is ranked.
    pub impact: u64,
    /// When time alone changes that next.
    pub again_at: Option<Timestamp>,
    /// Whose it is by the rules; who was given it by a person keeps it.
    pub owner: Owner,
}

/// Which of them are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shelf {
    /// Those that need somebody now, by the impact of their root cause, the highest first.
    #[default]
    Open,
    /// Those that are snoozed, the next to wake first.
    Snoozed,
    /// Those that are closed, the newest first.
    Closed,
}

/// Which exceptions are asked for; what is empty leaves nothing out.
#[derive(Clone, Debug, Default)]
pub struct DeskFilter {
    /// On which shelf.
    pub shelf: Shelf,
    /// Of which team.
    pub team: Option<Team>,
    /// Of one of these, who are one person: an owner is named by an e-mail address or by a name.
    pub person: Option<Vec<String>>,
    /// How the rule begins.
    pub rule: String,
    /// In one of these flows; for one about a connection, that its cause ends with the connection.
    pub flows: Option<Vec<FlowName>>,
    /// About this connection, where its cause names one: beside the flows.
    pub connection: Option<String>,
    /// What its words contain, in any case.
    pub text: String,
}

/// Where a page ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    rank: i64,
    /// Of one rank, the impact.
    impact: i64,
    id: i64,
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.rank, self.impact, self.id)
    }
}

impl std::str::FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let parts: Vec<Option<i64>> = text.split('.').map(|part| part.parse().ok()).collect();
        match *parts.as_slice() {
            [Some(rank), Some(impact), Some(id)] => Ok(Cursor { rank, impact, id }),
            _ => Err("This page of the list does not read; begin again with the first.".to_owned()),
        }
    }
}

/// One page of the list.
#[derive(Clone, Debug)]
pub struct DeskPage {
    /// The exceptions.
    pub rows: Vec<ExceptionRow>,
    /// Where the next page begins, if there may be more.
    pub next: Option<Cursor>,
}

/// What all open exceptions come to together, as they were last weighed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeskTotals {
    /// Open and not snoozed.
    pub open: u64,
    /// Snoozed.
    pub snoozed: u64,
    /// What all of these hold.
    pub records: u64,
    /// What that is worth, an amount for each currency.
    pub money: Vec<Money>,
}

/// Adds an amount to the sum of its currency.
pub fn add(sums: &mut Vec<Money>, amount: Money) {
    match sums.iter_mut().find(|sum| sum.currency() == amount.currency()) {
        // Past what a sum can be there is nothing left to add.
        Some(sum) => *sum = sum.plus(amount).unwrap_or(*sum),
        None => sums.push(amount),
    }
}

impl DeskFilter {
    /// Whether an exception is asked for, on whichever shelf it is.
    pub fn fits(&self, row: &ExceptionRow) -> bool {
        let of_flow = |flows: &Vec<FlowName>| flows.contains(&row.flow);
        let of_connection = |name: &String| {
            row.flow.as_str().is_empty() && row.problem.cause.strip_suffix(name.as_str()).is_some_and(|rest| rest.ends_with(':'))
        };
        let wanted = self.text.to_lowercase();
        let words = [&row.problem.message, &row.problem.cause, &row.problem.remedy];
        self.team.is_none_or(|team| row.owner.team == team)
            && self.person.as_ref().is_none_or(|names| row.owner.person.as_ref().is_some_and(|person| names.contains(person)))
            && row.problem.rule.starts_with(&self.rule)
            && (self.flows.is_none() && self.connection.is_none()
                || self.flows.as_ref().is_some_and(of_flow)
                || self.connection.as_ref().is_some_and(of_connection))
            && (wanted.is_empty() || words.iter().any(|text| text.to_lowercase().contains(&wanted)))
    }
}

impl View<'_> {
    /// One page of the desk.
    pub fn desk(&self, brand: &Brand, filter: &DeskFilter, after: Option<Cursor>, limit_rows: usize) -> Result<DeskPage> {
        let (sql, first) = match filter.shelf {
            Shelf::Open => (
                select_exceptions!(
                    "WHERE e.brand = ?1 AND e.open = 1 AND e.snoozed_until IS NULL AND (e.rank, e.impact, e.id) < (?2, ?5, ?3)
                     ORDER BY e.rank DESC, e.impact DESC, e.id DESC LIMIT ?4"
                ),
                Cursor { rank: i64::MAX, impact: i64::MAX, id: i64::MAX },
            ),
            Shelf::Snoozed => (
                select_exceptions!(
                    "WHERE e.brand = ?1 AND e.open = 1 AND e.snoozed_until IS NOT NULL AND (e.snoozed_until, e.id) > (?2, ?3)
                     AND ?5 = ?5 ORDER BY e.snoozed_until, e.id LIMIT ?4"
                ),
                Cursor { rank: i64::MIN, impact: 0, id: i64::MIN },
            ),
            Shelf::Closed => (
                select_exceptions!(
                    "WHERE e.brand = ?1 AND e.open = 0 AND (e.closed_at, e.id) < (?2, ?3)
                     AND ?5 = ?5 ORDER BY e.closed_at DESC, e.id DESC LIMIT ?4"
                ),
                Cursor { rank: i64::MAX, impact: 0, id: i64::MAX },
            ),
        };
        let after = after.unwrap_or(first);
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut found = statement.query(params![brand.as_str(), after.rank, after.id, limit(SCAN_MAX), after.impact])?;
        let (mut rows, mut scanned) = (Vec::new(), 0);
        let mut last = after;
        while let Some(row) = found.next()? {
            if rows.len() == limit_rows {
                return Ok(DeskPage { rows, next: Some(last) });
            }
            scanned += 1;
            let one = self.exception_row(row)?;
            let (rank, impact) = match filter.shelf {
                Shelf::Open => (row.get(27)?, row.get(18)?),
                Shelf::Snoozed => (row.get(19)?, 0),
                Shelf::Closed => (row.get(11)?, 0),
            };
            last = Cursor { rank, impact, id: one.id.0 };
            if filter.fits(&one) {
                rows.push(one);
            }
        }
        Ok(DeskPage { rows, next: (scanned == SCAN_MAX).then_some(last) })
    }

    /// How many open exceptions need somebody now.
    pub fn desk_count(&self, brand: &Brand) -> Result<u64> {
        let sql = "SELECT count(*) FROM exceptions WHERE brand = ?1 AND open = 1 AND snoozed_until IS NULL";
        Ok(self.connection.prepare_cached(sql)?.query_row([brand.as_str()], |row| row.get(0).map(count))?)
    }

    /// What all open exceptions come to together. Those of which something has just moved are counted, the first hundred of
    /// them; the others are as they were weighed.
    pub fn desk_totals(&self, brand: &Brand) -> Result<DeskTotals> {
        let sql = "SELECT count(*) FILTER (WHERE snoozed_until IS NULL), count(snoozed_until),
                     coalesce(sum(records) FILTER (WHERE behind = 0 AND (weigh_at IS NULL OR weigh_at > 1)), 0) FROM exceptions WHERE brand = ?1 AND open = 1";
        let mut totals = self.connection.prepare_cached(sql)?.query_row([brand.as_str()], |row| {
            Ok(DeskTotals {
                open: count(row.get(0)?),
                snoozed: count(row.get(1)?),
                records: count(row.get(2)?),
                money: Vec::new(),
            })
        })?;
        let sql = "SELECT json_group_object(currency, minor) FROM (
                     SELECT m.key AS currency, sum(m.value) AS minor FROM exceptions e, json_each(e.money) m
                     WHERE e.brand = ?1 AND e.open = 1 AND e.records > 0 AND e.behind = 0 AND (e.weigh_at IS NULL OR e.weigh_at > 1) GROUP BY m.key)";
        let text: String = self.connection.prepare_cached(sql)?.query_row([brand.as_str()], |row| row.get(0))?;
        totals.money = money_of(&text)?;
        let sql = "SELECT id FROM exceptions WHERE brand = ?1 AND open = 1 AND weigh_at IS NOT NULL AND weigh_at <= 1 LIMIT ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let moved = statement.query_map(params![brand.as_str(), MOVED_MAX], |row| row.get(0).map(ExceptionId))?;
        for id in moved.collect::<rusqlite::Result<Vec<_>>>()? {
            totals.records = totals.records.saturating_add(self.held_count(id)?);
            self.money_held(id)?.into_iter().for_each(|amount| add(&mut totals.money, amount));
        }
        totals.money.sort_by_key(|amount| amount.currency());
        Ok(totals)
    }

    /// Open exceptions that are due to be weighed, those first of which something has moved. A large one rests a while in between:
    /// counting it costs.
    pub fn to_weigh(&self, brand: &Brand, now: Timestamp, limit_rows: usize) -> Result<Vec<ExceptionId>> {
        let sql = "SELECT id FROM exceptions WHERE brand = ?1 AND open = 1 AND weigh_at IS NOT NULL AND weigh_at <= ?2
                   AND (weighed_at IS NULL OR weighed_at + max(records - 1000, 0) * 1000 <= ?2) ORDER BY weigh_at LIMIT ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows =
            statement.query_map(params![brand.as_str(), micros(now), limit(limit_rows)], |row| row.get(0).map(ExceptionId))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// What an exception reaches just now.
    pub fn radius(&self, id: ExceptionId) -> Result<Radius> {
        // A shipment names nobody: its order does. A product has no customer.
        let sql =
            "SELECT count(DISTINCT CASE WHEN kind = 'product' THEN NULL WHEN who <> '' THEN who ELSE order_key END), count(*)
                   FROM (SELECT r.kind, r.who, r.order_key FROM obligations o JOIN records r ON r.id = o.record_id
                         WHERE o.exception_id = ?1 AND o.state = 'held' LIMIT ?2)";
        let (people, seen) = self
            .connection
            .prepare_cached(sql)?
            .query_row(params![id.0, PEOPLE_ROWS_MAX], |row| Ok((count(row.get(0)?), count(row.get(1)?))))?;
        let sql = "SELECT (SELECT count(*) FROM obligations WHERE exception_id = ?1 AND state = 'held'),
                     (SELECT count(DISTINCT key) FROM promises WHERE exception_id = ?1)
                     + (SELECT count(DISTINCT key) FROM halves WHERE exception_id = ?1)";
        let (rows, orders) =
            self.connection.prepare_cached(sql)?.query_row([id.0], |row| Ok((count(row.get(0)?), count(row.get(1)?))))?;
        Ok(Radius {
            money: self.money_held(id)?,
            customers: people.saturating_add(rows.saturating_sub(seen)).saturating_add(orders),
            records: self.held_count(id)?,
        })
    }

    /// What a flow has under way, the first 10,000 records of it: what waits behind a connection that does not answer.
    pub fn under_way(&self, brand: &Brand, flow: &FlowName) -> Result<Radius> {
        let sql = "SELECT o.currency, o.amount_minor, CASE WHEN r.kind = 'product' THEN NULL WHEN r.who <> '' THEN r.who ELSE r.order_key END
                   FROM obligations o JOIN records r ON r.id = o.record_id WHERE o.brand = ?1 AND o.flow = ?2
                   AND o.state IN ('captured', 'cleared', 'sending', 'unanswered', 'delivered') LIMIT ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![brand.as_str(), flow.as_str(), PEOPLE_ROWS_MAX])?;
        let (mut radius, mut people) = (Radius::default(), BTreeSet::new());
        while let Some(row) = rows.next()? {
            radius.records += 1;
            people.extend(row.get::<_, Option<String>>(2)?);
            let currency: Option<String> = row.get(0)?;
            if let Some(amount) = money(row.get(1)?, currency.as_deref())? {
                add(&mut radius.money, amount);
            }
        }
        radius.customers = people.len() as u64;
        Ok(radius)
    }

    /// By when the first of the orders that an exception tells of was promised to have left.
    pub fn promised_first(&self, id: ExceptionId) -> Result<Option<Timestamp>> {
        let sql = "SELECT min(dispatch_by) FROM promises WHERE exception_id = ?1";
        moment_maybe(self.connection.prepare_cached(sql)?.query_row([id.0], |row| row.get(0))?)
    }

    /// Exceptions whose time to wake has come.
    pub fn to_wake(&self, brand: &Brand, now: Timestamp) -> Result<Vec<ExceptionId>> {
        let sql = "SELECT id FROM exceptions WHERE brand = ?1 AND open = 1 AND snoozed_until IS NOT NULL AND snoozed_until <= ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(params![brand.as_str(), micros(now)], |row| row.get(0).map(ExceptionId))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

impl Tx<'_> {
    /// An exception is about to be weighed: what moves from here on marks it anew.
    pub fn begin_weighing(&self, id: ExceptionId) -> Result<()> {
        self.connection.prepare_cached("UPDATE exceptions SET weigh_at = 1 WHERE id = ?1 AND open = 1")?.execute([id.0])?;
        Ok(())
    }

    /// A root cause ranks by all that hangs on it at its target, in whichever flows: what is open and not snoozed of it ranks alike.
    pub(crate) fn rank_cause(&self, id: ExceptionId) -> Result<()> {
        let sql = "WITH one AS (SELECT e.brand, e.cause, e.flow, t.target FROM exceptions e
                     LEFT JOIN flow_targets t ON t.brand = e.brand AND t.flow = e.flow WHERE e.id = ?1)
                   SELECT e.id, e.impact, e.rank FROM one JOIN exceptions e ON e.brand = one.brand AND e.cause = one.cause AND e.open = 1
                     LEFT JOIN flow_targets t ON t.brand = e.brand AND t.flow = e.flow
                   WHERE e.snoozed_until IS NULL AND (e.flow = one.flow OR t.target = one.target)";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows =
            statement.query_map([id.0], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)))?;
        let all = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        let sum = all.iter().fold(0_i64, |sum, (_, impact, _)| sum.saturating_add(*impact));
        for (id, ..) in all.iter().filter(|(.., rank)| *rank != sum) {
            self.connection.prepare_cached("UPDATE exceptions SET rank = ?2 WHERE id = ?1")?.execute([*id, sum])?;
        }
        Ok(())
    }

    /// Keeps what was found; tells when twice as much hangs on it as it last said, wakes it when twice as much does as when it was
    /// snoozed, and closes it when everything that it held has settled.
    pub fn weigh(&self, id: ExceptionId, found: &Weighed, now: Timestamp) -> Result<()> {
        let sql = "UPDATE exceptions SET records = ?2, customers = ?3, money = ?4, deadline_at = ?5, deadline_kind = ?6, impact = ?7,
                     weighed_at = ?8, weigh_at = CASE weigh_at WHEN 1 THEN ?9 ELSE weigh_at END,
                     team = CASE handed_over WHEN 0 THEN ?10 ELSE team END, person = CASE handed_over WHEN 0 THEN ?11 ELSE person END, behind = ?12
                   WHERE id = ?1 AND open = 1 RETURNING told_records, snoozed_until IS NOT NULL, snoozed_records";
        let values = params![
            id.0,
            signed(found.radius.records),
            signed(found.radius.customers),
            money_text(&found.radius.money)?,
            found.deadline.map(|deadline| micros(deadline.at)),
            found.deadline.map(|deadline| deadline.kind.word()),
            signed(found.impact),
            micros(now),
            found.again_at.map(micros),
            found.owner.team.word(),
            found.owner.person,
            found.behind,
        ];
        let kept = self
            .connection
            .prepare_cached(sql)?
            .query_row(values, |row| Ok((count(row.get(0)?), row.get::<_, bool>(1)?, count(row.get(2)?))));
        let Some((told, snoozed, snoozed_records)) = kept.optional()? else { return Ok(()) };
        self.rank_cause(id)?;
        let records = found.radius.records;
        let so_many = if found.behind { format!("{records} are at stake now") } else { format!("it holds {records} now") };
        if told == 0 || records >= told.saturating_mul(2) {
            if told > 0 && records >= TOLD_MIN {
                self.tell_exception(id, EventKind::Grew, "", &format!("{so_many}, {told} before"), now)?;
            }
            let sql = "UPDATE exceptions SET told_records = ?2 WHERE id = ?1";
            self.connection.prepare_cached(sql)?.execute(params![id.0, signed(records)])?;
        }
        let wakes_from = match snoozed_records {
            // A queue behind a connection is empty at one moment and not at the next: that alone is nothing new.
            0 if found.behind => TOLD_MIN,
            before => before.saturating_mul(2),
        };
        if snoozed && records > 0 && records >= wakes_from {
            self.wake(id, "", &format!("{so_many}, {snoozed_records} when it was snoozed"), now)?;
        }
        // What stands by itself is settled by whoever raised it.
        if records == 0 && !found.behind {
            // Seen here first, it is closed here: it is not marked any more.
            self.close_if_empty(id, SETTLED, now)?;
        }
        Ok(())
    }

    /// Gives an exception to an owner, for good: the rules of the config have no say in it any more.
    ///
    /// # Errors
    /// [`crate::StoreError::Absent`].
    pub fn hand_over(&self, id: ExceptionId, to: &Owner, actor: &str, note: &str, now: Timestamp) -> Result<()> {
        self.must_exist(id)?;
        let sql = "UPDATE exceptions SET team = ?2, person = ?3, handed_over = 1 WHERE id = ?1";
        self.connection.prepare_cached(sql)?.execute(params![id.0, to.team.word(), to.person])?;
        let said = if note.is_empty() { format!("to {to}") } else { format!("to {to}: {note}") };
        self.tell_exception(id, EventKind::HandedOver, actor, &said, now)
    }

    /// Snoozes an open exception until an instant.
    ///
    /// # Errors
    /// [`crate::StoreError::Absent`] when there is none that is open.
    pub fn snooze(&self, id: ExceptionId, until: Timestamp, why: &str, actor: &str, now: Timestamp) -> Result<()> {
        let sql = "SELECT behind, records FROM exceptions WHERE id = ?1";
        let kept = self.connection.prepare_cached(sql)?.query_row([id.0], |row| Ok((row.get(0)?, count(row.get(1)?))));
        let records = match kept.optional()? {
            Some((true, at_stake)) => at_stake,
            _ => self.held_count(id)?,
        };
        let sql = "UPDATE exceptions SET snoozed_until = ?2, snoozed_why = ?3, snoozed_records = ?4 WHERE id = ?1 AND open = 1";
        let done = self.connection.prepare_cached(sql)?.execute(params![
            id.0,
            micros(until),
            short(why, REASON_CHARS_MAX),
            signed(records)
        ])?;
        if done == 0 {
            return Err(crate::StoreError::Absent(format!("open exception {id}")));
        }
        self.rank_cause(id)?;
        // It is told in words of its own when it wakes, so it says until when here.
        self.tell_exception(id, EventKind::Snoozed, actor, &format!("until {}: {why}", moment(micros(until))?), now)
    }

    /// Puts it back among the others; nothing happens when it is there.
    pub fn wake(&self, id: ExceptionId, actor: &str, why: &str, now: Timestamp) -> Result<()> {
        let sql = "UPDATE exceptions SET snoozed_until = NULL, snoozed_why = NULL WHERE id = ?1 AND snoozed_until IS NOT NULL";
        if self.connection.prepare_cached(sql)?.execute([id.0])? > 0 {
            self.rank_cause(id)?;
            self.tell_exception(id, EventKind::Woke, actor, why, now)?;
            // What was put off with it is due by its own plan again.
            let sql = "UPDATE alerts SET due_at = ?2 WHERE exception_id = ?1 AND resolved_at IS NULL AND due_at > ?2";
            self.connection.prepare_cached(sql)?.execute(params![id.0, micros(now)])?;
        }
        Ok(())
    }

    /// Keeps what a person says about an exception.
    ///
    /// # Errors
    /// [`crate::StoreError::Absent`].
    pub fn comment(&self, id: ExceptionId, actor: &str, text: &str, now: Timestamp) -> Result<()> {
        self.must_exist(id)?;
        self.tell_exception(id, EventKind::Commented, actor, text, now)
    }
}

impl View<'_> {
    /// The obligations that an exception holds, oldest first, by id alone.
    pub fn held_ids(&self, id: ExceptionId, limit_rows: usize) -> Result<Vec<ObligationId>> {
        Ok(self.held_by(id, limit_rows)?.into_iter().map(|(obligation, _)| obligation).collect())
    }
}

#[cfg(test)]
mod tests;
