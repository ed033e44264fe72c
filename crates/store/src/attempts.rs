//! The story of an obligation: what was done, when, and what came of it.

use jiff::Timestamp;
use rusqlite::params;
use selvedge_model::{ExceptionId, ObligationId};

use crate::{
    Result, Tx, View,
    packing::{micros, moment, short},
};

/// Longest detail, in characters.
const DETAIL_CHARS_MAX: usize = 2_000;
/// How many lines of one story are read at most, the newest.
const STORY_LINES_MAX: i64 = 1_000;

/// One line of a story.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct AttemptRow {
    /// When.
    pub at: Timestamp,
    /// Which verb: `capture`, `gate`, `deliver`, `find`, `confirm`, `release`, `dismiss`.
    pub verb: String,
    /// What came of it, in a word: `cleared`, `held`, `delivered`, `unanswered`, `confirmed` …
    pub outcome: String,
    /// In a sentence; redacted and at most 2,000 characters.
    pub detail: String,
}

impl Tx<'_> {
    /// Adds a line. The detail is cut to 2,000 characters; redacting it is the caller's part.
    pub fn tell(&self, id: ObligationId, verb: &str, outcome: &str, detail: &str, at: Timestamp) -> Result<()> {
        let sql = "INSERT INTO attempts (obligation_id, number, at, verb, outcome, detail)
                   VALUES (?1, (SELECT coalesce(max(number), 0) + 1 FROM attempts WHERE obligation_id = ?1), ?2, ?3, ?4, ?5)";
        self.connection.prepare_cached(sql)?.execute(params![
            id.0,
            micros(at),
            verb,
            outcome,
            short(detail, DETAIL_CHARS_MAX)
        ])?;
        Ok(())
    }

    /// The same line for everything that an exception holds.
    pub(crate) fn tell_held(&self, exception: i64, verb: &str, outcome: &str, detail: &str, at: Timestamp) -> Result<()> {
        let sql = "INSERT INTO attempts (obligation_id, number, at, verb, outcome, detail)
                   SELECT o.id, (SELECT coalesce(max(a.number), 0) + 1 FROM attempts a WHERE a.obligation_id = o.id), ?2, ?3, ?4, ?5
                   FROM obligations o WHERE o.exception_id = ?1 AND o.state = 'held'";
        self.connection.prepare_cached(sql)?.execute(params![
            exception,
            micros(at),
            verb,
            outcome,
            short(detail, DETAIL_CHARS_MAX)
        ])?;
        Ok(())
    }
}

impl View<'_> {
    /// The exceptions out of which a person has let an obligation go, by its story.
    pub fn released_from(&self, id: ObligationId) -> Result<Vec<ExceptionId>> {
        let released = self.story(id)?.into_iter().filter(|line| line.verb == "release");
        // A line begins with what held it; another obligation's id there is one on whose account it was held.
        let mut from: Vec<ExceptionId> =
            released.filter_map(|line| line.detail.split(' ').next().and_then(|word| word.parse().ok())).collect();
        from.dedup();
        Ok(from)
    }

    /// The lines of one obligation, oldest first; the newest 1,000 of a very long story.
    pub fn story(&self, id: ObligationId) -> Result<Vec<AttemptRow>> {
        let sql = "SELECT at, verb, outcome, detail FROM attempts WHERE obligation_id = ?1 ORDER BY number DESC LIMIT ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_and_then(params![id.0, STORY_LINES_MAX], |row| {
            Ok(AttemptRow { at: moment(row.get(0)?)?, verb: row.get(1)?, outcome: row.get(2)?, detail: row.get(3)? })
        })?;
        let mut lines = rows.collect::<Result<Vec<_>>>()?;
        lines.reverse();
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use crate::samples::{World, at};

    #[tokio::test]
    async fn a_story_is_told_in_order_and_bounded() {
        let world = World::new().await;
        let id = world.order("1").await;
        let story = world
            .tx(move |tx| {
                tx.tell(id, "capture", "captured", "revision 1", at(1))?;
                tx.tell(id, "gate", "held", &"å".repeat(5_000), at(2))?;
                tx.story(id)
            })
            .await;
        assert_eq!(story.iter().map(|line| line.verb.as_str()).collect::<Vec<_>>(), ["capture", "gate"]);
        assert_eq!(story[1].detail.chars().count(), 2_000);
        assert_eq!(story[0].at, at(1));
    }
}
