//! What people are told of exceptions: alerts, and the messages that are owed for them.
//!
//! An alert lives as long as its exception is open. A message to a channel is an obligation: its states are those of every
//! obligation, and it moves by the same table (`selvedge_model::obligation`). So an alert is not lost in a crash, is not sent twice
//! where a channel can tell, and what was told to whom can be looked up ([`messages`]).

mod links;
mod messages;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use selvedge_model::{
    AlertId, Brand, ExceptionId,
    alert::{ChannelName, Event, Severity, Standing},
};

use crate::{
    Result, StoreError, Tx, View,
    packing::{limit, micros, moment, moment_maybe, short, unreadable},
};

pub use messages::{ChannelCount, MessageRow, MessageStep, NewMessage};

/// The longest name of who acknowledged.
const ACTOR_CHARS_MAX: usize = 200;

/// One alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertRow {
    /// Its row.
    pub id: AlertId,
    /// About what.
    pub exception: ExceptionId,
    /// Which route has it.
    pub route: String,
    /// How far it has come.
    pub standing: Standing,
    /// When its route looks at it next.
    pub due_at: Option<Timestamp>,
    /// When it was acknowledged, and by whom.
    pub acknowledged: Option<(Timestamp, String)>,
    /// When it was over.
    pub resolved_at: Option<Timestamp>,
}

macro_rules! select_alerts {
    ($rest:literal) => {
        concat!(
            "SELECT id, exception_id, route, severity, opened_at, due_at, steps_told, told_severity, first_told_at, last_told_at, ",
            "unreached, acknowledged_at, acknowledged_by, resolved_at FROM alerts ",
            $rest
        )
    };
}

fn severity(word: &str) -> Result<Severity> {
    Severity::from_word(word).ok_or_else(|| unreadable("a severity", word))
}

fn alert_row(row: &Row<'_>) -> Result<AlertRow> {
    let told: Option<String> = row.get(7)?;
    let acknowledged = moment_maybe(row.get(11)?)?.zip(row.get(12)?);
    Ok(AlertRow {
        id: AlertId(row.get(0)?),
        exception: ExceptionId(row.get(1)?),
        route: row.get(2)?,
        standing: Standing {
            opened_at: moment(row.get(4)?)?,
            severity: severity(&row.get::<_, String>(3)?)?,
            told_severity: told.as_deref().map(severity).transpose()?,
            steps_told: usize::try_from(row.get::<_, i64>(6)?).unwrap_or_default(),
            first_told_at: moment_maybe(row.get(8)?)?,
            last_told_at: moment_maybe(row.get(9)?)?,
            acknowledged: acknowledged.is_some(),
            unreached: row.get(10)?,
        },
        due_at: moment_maybe(row.get(5)?)?,
        acknowledged,
        resolved_at: moment_maybe(row.get(13)?)?,
    })
}

impl Tx<'_> {
    /// A route takes an exception. `opened_at` is the start of its clock.
    ///
    /// # Errors
    /// The database's when the exception has an open alert already.
    pub fn open_alert(
        &self,
        brand: &Brand,
        exception: ExceptionId,
        route: &str,
        severity: Severity,
        opened_at: Timestamp,
    ) -> Result<AlertId> {
        let sql = "INSERT INTO alerts (brand, exception_id, route, severity, opened_at, due_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5)";
        self.connection.prepare_cached(sql)?.execute(params![
            brand.as_str(),
            exception.0,
            route,
            severity.word(),
            micros(opened_at)
        ])?;
        Ok(AlertId(self.connection.last_insert_rowid()))
    }

    /// It is as bad as this now, and belongs to this route. What is worse than what was told before is told anew, whoever looked after it.
    pub fn reweigh_alert(&self, id: AlertId, route: &str, severity: Severity, worse: bool, now: Timestamp) -> Result<()> {
        // Another route looks at it from where it stands.
        let sql = "UPDATE alerts SET severity = ?2, route = ?3,
                     due_at = CASE WHEN route <> ?3 AND acknowledged_at IS NULL THEN ?4 ELSE due_at END
                   WHERE id = ?1 AND resolved_at IS NULL";
        self.connection.prepare_cached(sql)?.execute(params![id.0, severity.word(), route, micros(now)])?;
        if worse {
            let sql = "UPDATE alerts SET due_at = ?2, acknowledged_at = NULL, acknowledged_by = NULL WHERE id = ?1 AND resolved_at IS NULL";
            self.connection.prepare_cached(sql)?.execute(params![id.0, micros(now)])?;
        }
        Ok(())
    }

    /// When its route looks at it next; never, unless it becomes worse.
    pub fn alert_look_at(&self, id: AlertId, at: Option<Timestamp>) -> Result<()> {
        let sql = "UPDATE alerts SET due_at = ?2 WHERE id = ?1 AND resolved_at IS NULL";
        self.connection.prepare_cached(sql)?.execute(params![id.0, at.map(micros)])?;
        Ok(())
    }

    /// A step of its route was told; it is looked at once more for what follows.
    pub fn alert_told(&self, id: AlertId, event: Event, step: usize, now: Timestamp) -> Result<()> {
        // What is told anew begins anew with the first step.
        let anew = matches!(event, Event::Opened | Event::Digest);
        let sql = "UPDATE alerts SET steps_told = ?2, told_severity = severity, unreached = 0, last_told_at = ?4, due_at = ?4,
                     first_told_at = CASE WHEN ?3 OR first_told_at IS NULL THEN ?4 ELSE first_told_at END
                   WHERE id = ?1 AND resolved_at IS NULL";
        self.connection.prepare_cached(sql)?.execute(params![id.0, limit(step + 1), anew, micros(now)])?;
        Ok(())
    }

    /// What was told of it last reached nobody: its route looks at once for the next step.
    pub fn alert_unreached(&self, id: AlertId, now: Timestamp) -> Result<()> {
        let sql =
            "UPDATE alerts SET unreached = 1, due_at = ?2 WHERE id = ?1 AND resolved_at IS NULL AND acknowledged_at IS NULL";
        self.connection.prepare_cached(sql)?.execute(params![id.0, micros(now)])?;
        Ok(())
    }

    /// Somebody looks after these; returns those that were open and that nobody looked after.
    pub fn acknowledge_alerts(&self, brand: &Brand, ids: &[AlertId], by: &str, now: Timestamp) -> Result<Vec<AlertId>> {
        let sql = "UPDATE alerts SET acknowledged_at = ?3, acknowledged_by = ?4, due_at = NULL
                   WHERE id = ?1 AND brand = ?2 AND resolved_at IS NULL AND acknowledged_at IS NULL";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut done = Vec::new();
        for id in ids {
            if statement.execute(params![id.0, brand.as_str(), micros(now), short(by, ACTOR_CHARS_MAX)])? > 0 {
                done.push(*id);
            }
        }
        Ok(done)
    }

    /// Its exception has closed.
    pub fn resolve_alert(&self, id: AlertId, now: Timestamp) -> Result<()> {
        let sql = "UPDATE alerts SET resolved_at = ?2, due_at = NULL WHERE id = ?1 AND resolved_at IS NULL";
        self.connection.prepare_cached(sql)?.execute(params![id.0, micros(now)])?;
        Ok(())
    }

    /// Forgets alerts and messages that were over before an instant, at most so many of each; how many messages.
    pub fn forget_alerts(&self, brand: &Brand, before: Timestamp, limit_rows: usize) -> Result<usize> {
        let old =
            "SELECT id FROM alert_messages WHERE brand = ?1 AND settled_at < ?2 AND state <> 'held' ORDER BY settled_at LIMIT ?3";
        let values = params![brand.as_str(), micros(before), limit(limit_rows)];
        for table in ["alert_links", "alert_items"] {
            let sql = format!("DELETE FROM {table} WHERE message_id IN ({old})");
            self.connection.prepare_cached(&sql)?.execute(values)?;
        }
        let forgotten =
            self.connection.prepare_cached(&format!("DELETE FROM alert_messages WHERE id IN ({old})"))?.execute(values)?;
        let sql = "DELETE FROM alerts WHERE id IN (SELECT a.id FROM alerts a WHERE a.brand = ?1 AND a.resolved_at < ?2
                     AND NOT EXISTS (SELECT 1 FROM alert_items i WHERE i.alert_id = a.id) ORDER BY a.resolved_at LIMIT ?3)";
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(forgotten)
    }
}

impl View<'_> {
    /// Alerts that their routes have to look at, the longest due first.
    pub fn alerts_due(&self, brand: &Brand, now: Timestamp, limit_rows: usize) -> Result<Vec<AlertRow>> {
        let sql = select_alerts!("WHERE brand = ?1 AND due_at <= ?2 AND due_at IS NOT NULL ORDER BY due_at, id LIMIT ?3");
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.query_and_then(params![brand.as_str(), micros(now), limit(limit_rows)], alert_row)?.collect()
    }

    /// Alerts whose exception is open.
    pub fn open_alerts(&self, brand: &Brand) -> Result<Vec<AlertRow>> {
        let mut statement =
            self.connection.prepare_cached(select_alerts!("WHERE brand = ?1 AND resolved_at IS NULL ORDER BY id"))?;
        statement.query_and_then([brand.as_str()], alert_row)?.collect()
    }

    /// Alerts, open ones first, then the newest; open ones only unless `all`. `after` is the last one of the page before.
    pub fn alerts(&self, brand: &Brand, all: bool, after: Option<AlertId>, limit_rows: usize) -> Result<Vec<AlertRow>> {
        let sql = select_alerts!(
            "WHERE brand = ?1 AND (?2 OR resolved_at IS NULL)
               AND (?3 IS NULL OR (resolved_at IS NOT NULL, -id) > (SELECT resolved_at IS NOT NULL, -id FROM alerts WHERE id = ?3))
             ORDER BY resolved_at IS NOT NULL, id DESC LIMIT ?4"
        );
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.query_and_then(params![brand.as_str(), all, after.map(|id| id.0), limit(limit_rows)], alert_row)?.collect()
    }

    /// One alert of a brand.
    pub fn alert(&self, brand: &Brand, id: AlertId) -> Result<AlertRow> {
        let mut statement = self.connection.prepare_cached(select_alerts!("WHERE id = ?1 AND brand = ?2"))?;
        let mut rows = statement.query(params![id.0, brand.as_str()])?;
        rows.next()?.map(alert_row).unwrap_or_else(|| Err(StoreError::Absent(id.to_string())))
    }

    /// When the last alert of an exception was over.
    pub fn last_alert_end(&self, exception: ExceptionId) -> Result<Option<Timestamp>> {
        let sql = "SELECT max(resolved_at) FROM alerts WHERE exception_id = ?1 AND resolved_at IS NOT NULL";
        moment_maybe(self.connection.prepare_cached(sql)?.query_row([exception.0], |row| row.get(0))?)
    }

    /// The channels that were told of an alert, or are about to be.
    pub fn channels_told(&self, id: AlertId) -> Result<Vec<ChannelName>> {
        let sql = "SELECT DISTINCT m.channel FROM alert_items i JOIN alert_messages m ON m.id = i.message_id
                   WHERE i.alert_id = ?1 AND m.event IN ('opened', 'escalated', 'repeated', 'digest')
                     AND m.state NOT IN ('excluded', 'superseded', 'dismissed') ORDER BY m.channel";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([id.0], |row| row.get(0).map(ChannelName))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The open exceptions of a brand that have no open alert, and the open alerts whose exception has closed.
    pub fn alerts_behind(&self, brand: &Brand) -> Result<(Vec<ExceptionId>, Vec<AlertId>)> {
        let sql = "SELECT e.id FROM exceptions e WHERE e.brand = ?1 AND e.open = 1
                     AND NOT EXISTS (SELECT 1 FROM alerts a WHERE a.exception_id = e.id AND a.resolved_at IS NULL) ORDER BY e.id";
        let mut statement = self.connection.prepare_cached(sql)?;
        let opened =
            statement.query_map([brand.as_str()], |row| row.get(0).map(ExceptionId))?.collect::<rusqlite::Result<_>>()?;
        let sql = "SELECT a.id FROM alerts a JOIN exceptions e ON e.id = a.exception_id
                   WHERE a.brand = ?1 AND a.resolved_at IS NULL AND e.open = 0 ORDER BY a.id";
        let mut statement = self.connection.prepare_cached(sql)?;
        let closed = statement.query_map([brand.as_str()], |row| row.get(0).map(AlertId))?.collect::<rusqlite::Result<_>>()?;
        Ok((opened, closed))
    }
}

impl Tx<'_> {
    /// Whether an alert still has to be told: it is open, and nobody looks after it.
    pub(crate) fn is_pressing(&self, id: AlertId) -> Result<bool> {
        let sql = "SELECT resolved_at IS NULL AND acknowledged_at IS NULL FROM alerts WHERE id = ?1";
        Ok(self.connection.prepare_cached(sql)?.query_row([id.0], |row| row.get(0)).optional()?.unwrap_or(false))
    }
}
