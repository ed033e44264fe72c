//! The history of each exception: what became of it, by whom, line by line.

use jiff::Timestamp;
use rusqlite::{Row, params};
use schemars::JsonSchema;
use selvedge_model::{Brand, ExceptionId};

use crate::{
    Result, Tx, View,
    packing::{limit, micros, moment, short, unreadable},
};

/// Longest detail, in characters.
const DETAIL_CHARS_MAX: usize = 2_000;
/// How many lines of the engine's own are kept of one exception, the newest: one that comes and goes for years stays bounded. What
/// people did is kept.
const OWN_LINES_MAX: i64 = 500;

/// What became of an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// It was met for the first time.
    Opened,
    /// Twice as many records hang on it as when this was last said: it holds them, or they wait behind it or differ.
    Grew,
    /// A person gave it to another owner.
    HandedOver,
    /// A person said something about it.
    Commented,
    /// A person snoozed it.
    Snoozed,
    /// It is back among the others.
    Woke,
    /// What it held went back to the gate.
    Released,
    /// One record went back to the gate, alone.
    CanarySent,
    /// That one came through.
    CanaryPassed,
    /// One did not come through: the rest stays held.
    Surprise,
    /// A person let go what it held.
    Dismissed,
    /// A person set the mapping that it asked for.
    Mapped,
    /// A person edited a record that it holds.
    Edited,
    /// Both ends that it says disagree were read once more because a person asked, or could not be read.
    LookedAgain,
    /// It closed, on this evidence.
    Closed,
    /// It was met again.
    Reopened,
}

impl EventKind {
    const ALL: [EventKind; 16] = [
        EventKind::Opened,
        EventKind::Grew,
        EventKind::HandedOver,
        EventKind::Commented,
        EventKind::Snoozed,
        EventKind::Woke,
        EventKind::Released,
        EventKind::CanarySent,
        EventKind::CanaryPassed,
        EventKind::Surprise,
        EventKind::Dismissed,
        EventKind::Mapped,
        EventKind::Edited,
        EventKind::LookedAgain,
        EventKind::Closed,
        EventKind::Reopened,
    ];

    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            EventKind::Opened => "opened",
            EventKind::Grew => "grew",
            EventKind::HandedOver => "handed_over",
            EventKind::Commented => "commented",
            EventKind::Snoozed => "snoozed",
            EventKind::Woke => "woke",
            EventKind::Released => "released",
            EventKind::CanarySent => "canary_sent",
            EventKind::CanaryPassed => "canary_passed",
            EventKind::Surprise => "surprise",
            EventKind::Dismissed => "dismissed",
            EventKind::Mapped => "mapped",
            EventKind::Edited => "edited",
            EventKind::LookedAgain => "looked_again",
            EventKind::Closed => "closed",
            EventKind::Reopened => "reopened",
        }
    }

    /// What people read.
    pub const fn name(self) -> &'static str {
        match self {
            EventKind::HandedOver => "handed over",
            EventKind::CanarySent => "canary sent",
            EventKind::CanaryPassed => "canary passed",
            EventKind::LookedAgain => "looked again",
            EventKind::Reopened => "opened again",
            other => other.word(),
        }
    }
}

/// One line of a history.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct ExceptionEvent {
    /// Its row: grows with what came after what, over all exceptions.
    pub id: i64,
    /// Of which exception.
    pub exception: ExceptionId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
    /// Who; empty for the engine.
    pub actor: String,
    /// In a sentence.
    pub detail: String,
}

fn event_row(row: &Row<'_>) -> Result<ExceptionEvent> {
    let word: String = row.get(3)?;
    let kind = EventKind::ALL
        .into_iter()
        .find(|kind| kind.word() == word)
        .ok_or_else(|| unreadable("an event of an exception", word))?;
    Ok(ExceptionEvent {
        id: row.get(0)?,
        exception: ExceptionId(row.get(1)?),
        at: moment(row.get(2)?)?,
        kind,
        actor: row.get(4)?,
        detail: row.get(5)?,
    })
}

impl Tx<'_> {
    /// Adds a line to the history of an exception; `actor` is empty for what the engine did by itself.
    pub fn tell_exception(&self, id: ExceptionId, kind: EventKind, actor: &str, detail: &str, now: Timestamp) -> Result<()> {
        let sql = "INSERT INTO exception_events (brand, exception_id, at, kind, actor, detail)
                   SELECT brand, id, ?2, ?3, ?4, ?5 FROM exceptions WHERE id = ?1";
        let detail = short(detail, DETAIL_CHARS_MAX);
        self.connection.prepare_cached(sql)?.execute(params![id.0, micros(now), kind.word(), actor, detail])?;
        if actor.is_empty() {
            let sql = "DELETE FROM exception_events WHERE exception_id = ?1 AND actor = '' AND id <= (
                         SELECT id FROM exception_events WHERE exception_id = ?1 AND actor = '' ORDER BY id DESC LIMIT 1 OFFSET ?2)";
            self.connection.prepare_cached(sql)?.execute(params![id.0, OWN_LINES_MAX])?;
        }
        Ok(())
    }
}

impl View<'_> {
    /// The history of one exception, oldest first; the newest of a very long one.
    pub fn exception_events(&self, id: ExceptionId, limit_rows: usize) -> Result<Vec<ExceptionEvent>> {
        let sql = "SELECT id, exception_id, at, kind, actor, detail FROM exception_events WHERE exception_id = ?1 ORDER BY id DESC LIMIT ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut lines = statement.query_and_then(params![id.0, limit(limit_rows)], event_row)?.collect::<Result<Vec<_>>>()?;
        lines.reverse();
        Ok(lines)
    }

    /// What became of a brand's exceptions after a line, oldest first: for whoever tells people of it.
    pub fn exception_events_after(&self, brand: &Brand, after: i64, limit_rows: usize) -> Result<Vec<ExceptionEvent>> {
        let sql = "SELECT id, exception_id, at, kind, actor, detail FROM exception_events WHERE brand = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.query_and_then(params![brand.as_str(), after, limit(limit_rows)], event_row)?.collect()
    }
}

#[cfg(test)]
mod tests {
    use selvedge_model::Problem;

    use super::*;
    use crate::samples::{World, at, brand, flow};

    #[tokio::test]
    async fn a_history_is_bounded_and_keeps_what_people_did() {
        World::new()
            .await
            .tx(|tx| {
                let problem = Problem::new("order.amounts", "", "do not add up", "ask").cause("x");
                let id = tx.raise(&brand(), &flow(), &problem, at(1))?;
                tx.tell_exception(id, EventKind::Commented, "anna", "asked finance", at(2))?;
                for second in 0..OWN_LINES_MAX {
                    tx.tell_exception(id, EventKind::Grew, "", "more", at(3 + second))?;
                }
                let history = tx.exception_events(id, 1_000)?;
                let (first, last) = (&history[0], &history[history.len() - 1]);
                assert_eq!((history.len(), first.kind, first.actor.as_str()), (501, EventKind::Commented, "anna"));
                assert_eq!(last.at, at(2 + OWN_LINES_MAX));
                assert_eq!(tx.exception_events(id, 2)?.len(), 2);
                let news = tx.exception_events_after(&brand(), first.id, 10)?;
                assert_eq!((news.len(), news[0].exception, news[0].kind), (10, id, EventKind::Grew));
                assert!(tx.exception_events_after(&"other".into(), 0, 10)?.is_empty());
                for kind in EventKind::ALL {
                    tx.tell_exception(id, kind, "anna", "", at(900))?;
                }
                Ok(())
            })
            .await;
    }
}
