//! Flows as a whole: paused by a person, how much they brought by the hour, how old what they have under way is.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use schemars::JsonSchema;
use selvedge_model::{Brand, ConnectionName, ExceptionId, FlowName, Interval, Kind, ObligationId, RecordKey, obligation::State};

use crate::{
    Result, Tx, View,
    packing::{count, limit, micros, moment, moment_maybe, short},
};

/// Longest reason, in characters.
const REASON_CHARS_MAX: usize = 500;
/// Microseconds of an hour.
const HOUR: i64 = 3_600_000_000;

/// That a flow is paused.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct Pause {
    /// Which.
    pub flow: FlowName,
    /// Since when.
    pub at: Timestamp,
    /// Who paused it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// One of the newest rows of a flow.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct RecentRow {
    /// The obligation.
    pub id: ObligationId,
    /// Our key of its record.
    pub key: RecordKey,
    /// Which revision.
    pub revision: u32,
    /// Where it stands.
    pub state: State,
    /// When it was captured.
    pub captured_at: Timestamp,
    /// When it settled.
    pub settled_at: Option<Timestamp>,
    /// What holds it, while it is held.
    pub exception: Option<ExceptionId>,
}

impl Tx<'_> {
    /// Keeps where each configured flow leads, in place of what was kept before.
    pub fn keep_flow_targets(&self, brand: &Brand, targets: &[(FlowName, ConnectionName)]) -> Result<()> {
        self.connection.prepare_cached("DELETE FROM flow_targets WHERE brand = ?1")?.execute([brand.as_str()])?;
        let mut keep = self.connection.prepare_cached("INSERT INTO flow_targets (brand, flow, target) VALUES (?1, ?2, ?3)")?;
        for (flow, target) in targets {
            keep.execute([brand.as_str(), flow.as_str(), target.as_str()])?;
        }
        Ok(())
    }

    /// Pauses a flow; whether it was not paused before.
    pub fn pause_flow(&self, brand: &Brand, flow: &FlowName, by: &str, reason: &str, now: Timestamp) -> Result<bool> {
        let sql = "INSERT INTO flow_pauses (brand, flow, at, actor, reason) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
        let values = params![brand.as_str(), flow.as_str(), micros(now), by, short(reason, REASON_CHARS_MAX)];
        Ok(self.connection.prepare_cached(sql)?.execute(values)? > 0)
    }

    /// Resumes a flow; the pause that ended.
    pub fn resume_flow(&self, brand: &Brand, flow: &FlowName) -> Result<Option<Pause>> {
        let pause = self.flow_pause(brand, flow)?;
        let sql = "DELETE FROM flow_pauses WHERE brand = ?1 AND flow = ?2";
        self.connection.prepare_cached(sql)?.execute([brand.as_str(), flow.as_str()])?;
        Ok(pause)
    }
}

impl View<'_> {
    /// That a flow delivers nothing: it is paused, or it is the flow of customers of a flow of orders that is.
    pub fn flow_rests(&self, brand: &Brand, flow: &FlowName) -> Result<Option<Pause>> {
        match (self.flow_pause(brand, flow)?, flow.comes_with()) {
            (None, Some(orders)) => self.flow_pause(brand, &orders),
            (own, _) => Ok(own),
        }
    }

    /// That a person has paused a flow by its name, if somebody has.
    pub fn flow_pause(&self, brand: &Brand, flow: &FlowName) -> Result<Option<Pause>> {
        let sql = "SELECT at, actor, reason FROM flow_pauses WHERE brand = ?1 AND flow = ?2";
        let found = self
            .connection
            .prepare_cached(sql)?
            .query_row([brand.as_str(), flow.as_str()], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?)));
        let Some((at, by, reason)) = found.optional()? else { return Ok(None) };
        Ok(Some(Pause { flow: flow.clone(), at: moment(at)?, by, reason }))
    }

    /// All flows that are paused.
    pub fn flow_pauses(&self, brand: &Brand) -> Result<Vec<Pause>> {
        let sql = "SELECT flow, at, actor, reason FROM flow_pauses WHERE brand = ?1 ORDER BY flow";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([brand.as_str()])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(Pause { flow: FlowName(row.get(0)?), at: moment(row.get(1)?)?, by: row.get(2)?, reason: row.get(3)? });
        }
        Ok(found)
    }

    /// How many rows of a flow were confirmed or compared in each of the last hours, oldest first; the last one is the hour that
    /// `now` is in.
    pub fn done_per_hour(&self, brand: &Brand, flow: &FlowName, now: Timestamp, hours: usize) -> Result<Vec<u64>> {
        let last = micros(now).div_euclid(HOUR) * HOUR;
        let first = last - HOUR * (limit(hours) - 1);
        let sql =
            "SELECT (hour - ?3) / 3600000000, done FROM flow_hours WHERE brand = ?1 AND flow = ?2 AND hour >= ?3 AND hour <= ?4";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![brand.as_str(), flow.as_str(), first, last])?;
        let mut counts = vec![0; hours];
        while let Some(row) = rows.next()? {
            let place: i64 = row.get(0)?;
            if let Some(hour) = usize::try_from(place).ok().and_then(|place| counts.get_mut(place)) {
                *hour = count(row.get(1)?);
            }
        }
        Ok(counts)
    }

    /// When the last record of a kind came from a connection.
    pub fn last_received(&self, brand: &Brand, connection: &ConnectionName, kind: Kind) -> Result<Option<Timestamp>> {
        let sql = "SELECT max(received_at) FROM records WHERE brand = ?1 AND connection = ?2 AND kind = ?3";
        let values = params![brand.as_str(), connection.as_str(), kind.word()];
        moment_maybe(self.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0))?)
    }

    /// How many revisions of a kind ever came from a connection.
    pub fn received(&self, brand: &Brand, connection: &ConnectionName, kind: Kind) -> Result<u64> {
        let sql = "SELECT number FROM record_counts WHERE brand = ?1 AND connection = ?2 AND kind = ?3";
        let values = params![brand.as_str(), connection.as_str(), kind.word()];
        let number = self.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0).map(count)).optional()?;
        Ok(number.unwrap_or(0))
    }

    /// How many came in a window.
    pub fn received_in(&self, brand: &Brand, connection: &ConnectionName, kind: Kind, window: Interval) -> Result<u64> {
        let sql = "SELECT count(*) FROM records WHERE brand = ?1 AND connection = ?2 AND kind = ?3 AND received_at >= ?4 AND received_at < ?5";
        let values = params![brand.as_str(), connection.as_str(), kind.word(), micros(window.from), micros(window.to)];
        Ok(self.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0).map(count))?)
    }

    /// When the oldest of what a flow has under way was captured.
    pub fn oldest_under_way(&self, brand: &Brand, flow: &FlowName) -> Result<Option<Timestamp>> {
        let sql = "SELECT min(captured_at) FROM obligations WHERE brand = ?1 AND flow = ?2 AND state = ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut oldest = None::<i64>;
        for state in State::ALL.into_iter().filter(|state| state.in_flight()) {
            let one: Option<i64> = statement.query_row(params![brand.as_str(), flow.as_str(), state.word()], |row| row.get(0))?;
            oldest = oldest.into_iter().chain(one).min();
        }
        moment_maybe(oldest)
    }

    /// The rows of a flow that were captured last, the newest first: those of each state, merged, because the index that has them
    /// in order has them by state.
    pub fn recent(&self, brand: &Brand, flow: &FlowName, limit_rows: usize) -> Result<Vec<RecentRow>> {
        let settled = "SELECT id, key, revision, captured_at, settled_at, exception_id FROM obligations
                       WHERE brand = ?1 AND flow = ?2 AND state = ?3 AND due_at IS NULL ORDER BY captured_at DESC LIMIT ?4";
        let under_way = "SELECT id, key, revision, captured_at, settled_at, exception_id FROM obligations
                         WHERE brand = ?1 AND flow = ?2 AND state = ?3 ORDER BY captured_at DESC LIMIT ?4";
        let mut found = Vec::new();
        for state in State::ALL {
            let mut statement = self.connection.prepare_cached(if state.settled() { settled } else { under_way })?;
            let mut rows = statement.query(params![brand.as_str(), flow.as_str(), state.word(), limit(limit_rows)])?;
            while let Some(row) = rows.next()? {
                found.push(RecentRow {
                    id: ObligationId(row.get(0)?),
                    key: RecordKey(row.get(1)?),
                    revision: row.get(2)?,
                    state,
                    captured_at: moment(row.get(3)?)?,
                    settled_at: moment_maybe(row.get(4)?)?,
                    exception: row.get::<_, Option<i64>>(5)?.filter(|_| state == State::Held).map(ExceptionId),
                });
            }
        }
        found.sort_by_key(|row| std::cmp::Reverse((row.captured_at, row.id)));
        found.truncate(limit_rows);
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use selvedge_model::obligation::Event;

    use super::*;
    use crate::{
        obligations::Step,
        samples::{World, at, brand, connection, flow, memory},
    };

    #[tokio::test]
    async fn a_pause_stands_until_it_is_taken_back() {
        let store = memory().await;
        store
            .write(|tx| {
                assert!(tx.pause_flow(&brand(), &flow(), "anna", "the books are closed", at(100))?);
                assert!(!tx.pause_flow(&brand(), &flow(), "bo", "again", at(200))?, "who paused it first stays named");
                let pause = tx.flow_pause(&brand(), &flow())?.unwrap();
                assert_eq!((pause.by.as_str(), pause.reason.as_str(), pause.at), ("anna", "the books are closed", at(100)));
                assert_eq!(tx.flow_pauses(&brand())?, std::slice::from_ref(&pause));
                assert!(tx.flow_pauses(&"other".into())?.is_empty());
                assert_eq!(tx.resume_flow(&brand(), &flow())?, Some(pause));
                assert_eq!(tx.resume_flow(&brand(), &flow())?, None);
                Ok(())
            })
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn hours_are_counted_as_rows_are_confirmed_and_forty_days_are_kept() {
        let world = World::new().await;
        let (one, two) = (world.order("1").await, world.order("2").await);
        world
            .tx(move |tx| {
                let hour = 3_600;
                for (id, when) in [(one, at(10 * hour + 5)), (two, at(12 * hour + 1))] {
                    for event in [Event::Clear, Event::Claim, Event::Answer, Event::Confirm] {
                        tx.step(id, event, &Step::default(), when)?;
                    }
                }
                let now = at(12 * hour + 59);
                assert_eq!(tx.done_per_hour(&brand(), &flow(), now, 4)?, [0, 1, 0, 1]);
                // Once more through the gate is once more work.
                for event in [Event::Renew, Event::Clear, Event::Claim, Event::Answer, Event::Confirm] {
                    tx.step(one, event, &Step::default(), now)?;
                }
                assert_eq!(tx.done_per_hour(&brand(), &flow(), now, 1)?, [2]);
                assert_eq!(tx.oldest_under_way(&brand(), &flow())?, None);
                let recent = tx.recent(&brand(), &flow(), 5)?;
                assert_eq!(
                    recent.iter().map(|row| (row.id, row.state)).collect::<Vec<_>>(),
                    [(two, State::Confirmed), (one, State::Confirmed)]
                );
                assert_eq!(tx.last_received(&brand(), &connection("shop"), Kind::Order)?, Some(at(100)));
                let received_in = |from, to| {
                    let window = Interval { from: at(from), to: at(to) };
                    tx.received_in(&brand(), &connection("shop"), Kind::Order, window)
                };
                assert_eq!((received_in(100, 101)?, received_in(101, 999)?, received_in(0, 100)?), (2, 0, 0));
                assert_eq!(tx.received(&brand(), &connection("shop"), Kind::Order)?, 2);
                assert_eq!(tx.received(&brand(), &connection("shop"), Kind::Return)?, 0);
                let late = at(60 * 24 * hour);
                for event in [Event::Renew, Event::Clear, Event::Claim, Event::Answer, Event::Confirm] {
                    tx.step(one, event, &Step::default(), late)?;
                }
                let kept: i64 = tx.connection.query_row("SELECT count(*) FROM flow_hours", [], |row| row.get(0))?;
                assert_eq!(kept, 1);
                Ok(())
            })
            .await;
    }
}
