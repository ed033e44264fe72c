//! A release that goes step by step: one record first, the rest only when that one has come through, and no further than the
//! first surprise.
//!
//! The exception's row says how far it is and `release_watches` which rows are under way; each step is one transaction. So a
//! process that ends in between loses nothing: the next one goes on from what is written.

use jiff::Timestamp;
use rusqlite::params;
use selvedge_model::{Brand, ExceptionId, ObligationId, RecordKey, obligation::State};

use crate::{
    Result, Tx, View,
    events::EventKind,
    exceptions::Stage,
    obligations::state_of,
    packing::{count, limit, micros},
};

/// Said when nothing is left of a release.
pub(crate) const RELEASED_WHOLE: &str = "everything that was held when the release began has gone through";

/// How a release began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// This record goes first, alone.
    Canary(ObligationId, RecordKey),
    /// There was nothing to try first with: so many went at once.
    AtOnce(u64),
    /// One is on its way already.
    UnderWay,
}

/// What one step of a release did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stepped {
    /// Something of it is still on its way.
    Waits,
    /// So many more went to the gate.
    Further(u64),
    /// Everything that was held when it began has gone through, or says nothing.
    Done,
    /// A record did not come through; the rest stays held.
    Surprise(ObligationId),
}

/// A row that is watched, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The row.
    pub id: ObligationId,
    /// Our key of its record.
    pub key: RecordKey,
    /// Where it stands.
    pub state: State,
    /// What holds it, where something does.
    pub held_by: Option<ExceptionId>,
}

impl View<'_> {
    /// The exceptions of a brand that are being released step by step.
    pub fn releasing(&self, brand: &Brand) -> Result<Vec<ExceptionId>> {
        let sql = "SELECT id FROM exceptions WHERE brand = ?1 AND release_stage IS NOT NULL ORDER BY id";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([brand.as_str()], |row| row.get(0).map(ExceptionId))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// What of an exception is under way and watched.
    pub fn watched(&self, id: ExceptionId) -> Result<Vec<Watched>> {
        let sql = "SELECT o.id, o.key, o.state, CASE o.state WHEN 'held' THEN o.exception_id END FROM release_watches w
                   JOIN obligations o ON o.id = w.obligation_id WHERE w.exception_id = ?1 ORDER BY o.id";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_and_then([id.0], |row| {
            Ok(Watched {
                id: ObligationId(row.get(0)?),
                key: RecordKey(row.get(1)?),
                state: state_of(&row.get::<_, String>(2)?)?,
                held_by: row.get::<_, Option<i64>>(3)?.map(ExceptionId),
            })
        })?;
        rows.collect()
    }

    /// How many held rows of an exception could go first: those that are not held on account of another.
    fn firsts(&self, id: ExceptionId) -> Result<u64> {
        let sql = "SELECT count(*) FROM (SELECT 1 FROM obligations WHERE exception_id = ?1 AND state = 'held' AND waits_for IS NULL LIMIT 2)";
        Ok(self.connection.prepare_cached(sql)?.query_row([id.0], |row| row.get(0).map(count))?)
    }
}

impl Tx<'_> {
    /// Begins to release what an exception holds, one record first. Where there is nothing to try first with (one record, or
    /// no record at all but figures, promises or halves), everything goes at once.
    ///
    /// # Errors
    /// [`crate::StoreError::Absent`].
    pub fn begin_release(&self, id: ExceptionId, actor: &str, now: Timestamp) -> Result<Begun> {
        self.must_exist(id)?;
        if self.stage(id)?.is_some() {
            return Ok(Begun::UnderWay);
        }
        if self.firsts(id)? < 2 {
            let released = self.release(id, None, now)?;
            if released > 0 {
                self.tell_exception(id, EventKind::Released, actor, &format!("{released} at once"), now)?;
            }
            return Ok(Begun::AtOnce(released));
        }
        let sql = "UPDATE exceptions SET release_stage = ?2, release_by = ?3, release_until = ?4 WHERE id = ?1";
        self.connection.prepare_cached(sql)?.execute(params![id.0, Stage::Canary.word(), actor, micros(now)])?;
        let sent = self.send(id, 1, now)?;
        let canary = self.watched(id)?.into_iter().next();
        match canary {
            Some(canary) if sent > 0 => {
                self.tell_exception(id, EventKind::CanarySent, actor, &format!("{} goes first, alone", canary.key), now)?;
                Ok(Begun::Canary(canary.id, canary.key))
            }
            _ => {
                self.end_release(id)?;
                Ok(Begun::AtOnce(0))
            }
        }
    }

    /// One step of a release that is under way, no more than `batch` records further.
    pub fn step_release(&self, id: ExceptionId, batch: usize, now: Timestamp) -> Result<Stepped> {
        let Some(stage) = self.stage(id)? else { return Ok(Stepped::Done) };
        let watched = self.watched(id)?;
        if let Some(bad) = watched.iter().find(|row| row.state == State::Held) {
            let by = match bad.held_by {
                Some(by) if by != id => format!("{by}: {}", self.exception(by)?.problem.message),
                _ => "the same again".to_owned(),
            };
            let left = self.held_count(id)?;
            let said = format!("{} was not confirmed but held by {by}. Nothing more is released; {left} held here", bad.key);
            self.tell_exception(id, EventKind::Surprise, "", &said, now)?;
            self.end_release(id)?;
            return Ok(Stepped::Surprise(bad.id));
        }
        if watched.iter().any(|row| row.state.in_flight()) {
            return Ok(Stepped::Waits);
        }
        self.connection.prepare_cached("DELETE FROM release_watches WHERE exception_id = ?1")?.execute([id.0])?;
        let passed = watched.iter().filter(|row| matches!(row.state, State::Confirmed | State::Compared));
        let (mut stage, mut size) = (stage, batch);
        if let Some(canary) = passed.clone().next().filter(|_| stage == Stage::Canary) {
            let sql = "UPDATE exceptions SET release_stage = ?2 WHERE id = ?1";
            self.connection.prepare_cached(sql)?.execute(params![id.0, Stage::Rest.word()])?;
            let left = self.held_count(id)?;
            let said = format!("{} stands there and is equal; the rest follows: {left}", canary.key);
            self.tell_exception(id, EventKind::CanaryPassed, "", &said, now)?;
            stage = Stage::Rest;
        } else if stage == Stage::Canary {
            // Superseded, excluded or let go meanwhile: it says nothing about the fix, and the next one is tried.
            size = 1;
        }
        let further = self.send(id, size, now)?;
        if further > 0 {
            if stage == Stage::Canary {
                let next = self.watched(id)?.into_iter().next().map(|row| row.key.0).unwrap_or_default();
                self.tell_exception(
                    id,
                    EventKind::CanarySent,
                    "",
                    &format!("the first said nothing; now {next} goes alone"),
                    now,
                )?;
            }
            return Ok(Stepped::Further(further));
        }
        self.tell_exception(id, EventKind::Released, "", RELEASED_WHOLE, now)?;
        self.end_release(id)?;
        Ok(Stepped::Done)
    }

    /// Sends one row that an exception holds back to the gate, by itself: it was edited.
    ///
    /// # Errors
    /// [`crate::StoreError::Absent`] when the exception does not hold it, or holds it on account of another.
    pub fn release_one(&self, id: ExceptionId, row: ObligationId, now: Timestamp) -> Result<u64> {
        let held = self.obligation(row)?;
        if held.exception != Some(id) || held.state != State::Held || held.waits_for.is_some() {
            return Err(crate::StoreError::Absent(format!("{row} that {id} holds by itself")));
        }
        self.release_row(id, row, now)
    }

    /// Stops watching: nothing more is released by itself.
    pub fn end_release(&self, id: ExceptionId) -> Result<()> {
        let sql = "UPDATE exceptions SET release_stage = NULL, release_by = NULL, release_until = NULL WHERE id = ?1 AND release_stage IS NOT NULL";
        if self.connection.prepare_cached(sql)?.execute([id.0])? > 0 {
            self.connection.prepare_cached("DELETE FROM release_watches WHERE exception_id = ?1")?.execute([id.0])?;
        }
        Ok(())
    }

    pub(crate) fn stage(&self, id: ExceptionId) -> Result<Option<Stage>> {
        let sql = "SELECT release_stage FROM exceptions WHERE id = ?1";
        let word: Option<String> = self.connection.prepare_cached(sql)?.query_row([id.0], |row| row.get(0))?;
        Ok(word.and_then(|word| Stage::from_word(&word)))
    }

    /// Sends so many of what was held when the release began back to the gate, oldest first, and watches them. What came
    /// back meanwhile is not sent again.
    fn send(&self, id: ExceptionId, rows_max: usize, now: Timestamp) -> Result<u64> {
        let sql = "SELECT o.id FROM obligations o JOIN exceptions e ON e.id = o.exception_id
                   WHERE o.exception_id = ?1 AND o.state = 'held' AND o.waits_for IS NULL AND o.settled_at <= e.release_until
                   ORDER BY o.captured_at, o.id LIMIT ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(params![id.0, limit(rows_max)], |row| row.get(0).map(ObligationId))?;
        let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        let mut sent = 0;
        for row in rows {
            sent += self.release_row(id, row, now)?;
            let sql = "INSERT OR IGNORE INTO release_watches (exception_id, obligation_id) VALUES (?1, ?2)";
            self.connection.prepare_cached(sql)?.execute([id.0, row.0])?;
        }
        Ok(sent)
    }
}

#[cfg(test)]
mod tests {
    use selvedge_model::{Problem, obligation::Event};

    use super::*;
    use crate::{
        obligations::Step,
        samples::{World, at, brand, flow},
    };

    fn unmapped() -> Problem {
        Problem::new("mapping.shipping_item", "shipping_method", "has no entry", "add it").cause("method=x")
    }

    async fn holding(world: &World, keys: &[&str]) -> (ExceptionId, Vec<ObligationId>) {
        let mut ids = Vec::new();
        for key in keys {
            ids.push(world.order(key).await);
        }
        let rows = ids.clone();
        let exception = world
            .tx(move |tx| {
                let exception = tx.raise(&brand(), &flow(), &unmapped(), at(110))?;
                for id in rows {
                    tx.step(id, Event::Hold, &Step { exception: Some(exception), ..Step::default() }, at(110))?;
                }
                Ok(exception)
            })
            .await;
        (exception, ids)
    }

    fn confirm(tx: &Tx<'_>, id: ObligationId) -> Result<()> {
        for event in [Event::Clear, Event::Claim, Event::Answer, Event::Confirm] {
            tx.step(id, event, &Step::default(), at(130))?;
        }
        Ok(())
    }

    fn kinds(tx: &Tx<'_>, id: ExceptionId) -> Vec<EventKind> {
        tx.exception_events(id, 100).unwrap().into_iter().map(|event| event.kind).collect()
    }

    #[tokio::test]
    async fn one_goes_first_and_the_rest_follows_in_batches() {
        let world = World::new().await;
        let (exception, ids) = holding(&world, &["1", "2", "3", "4"]).await;
        world
            .tx(move |tx| {
                assert_eq!(tx.begin_release(exception, "anna", at(120))?, Begun::Canary(ids[0], "1".into()));
                assert_eq!(tx.begin_release(exception, "anna", at(120))?, Begun::UnderWay);
                assert_eq!(tx.releasing(&brand())?, [exception]);
                assert_eq!(tx.step_release(exception, 2, at(121))?, Stepped::Waits);
                assert_eq!(tx.exception(exception)?.count, 3);
                confirm(tx, ids[0])?;
                assert_eq!(tx.step_release(exception, 2, at(131))?, Stepped::Further(2));
                assert_eq!(tx.exception(exception)?.releasing.unwrap().stage, Stage::Rest);
                confirm(tx, ids[1])?;
                assert_eq!(tx.step_release(exception, 2, at(132))?, Stepped::Waits);
                confirm(tx, ids[2])?;
                assert_eq!(tx.step_release(exception, 2, at(133))?, Stepped::Further(1));
                confirm(tx, ids[3])?;
                assert_eq!(tx.step_release(exception, 2, at(134))?, Stepped::Done);
                assert!(tx.releasing(&brand())?.is_empty());
                assert_eq!(tx.close_empty(&brand(), at(135))?, [exception]);
                use EventKind::{CanaryPassed, CanarySent, Closed, Opened, Released};
                assert_eq!(kinds(tx, exception), [Opened, CanarySent, CanaryPassed, Released, Closed]);
                Ok(())
            })
            .await;
        world.balanced().await;
    }

    #[tokio::test]
    async fn a_surprise_stops_it_and_what_says_nothing_does_not() {
        let world = World::new().await;
        let (exception, ids) = holding(&world, &["1", "2", "3", "4"]).await;
        world
            .tx(move |tx| {
                tx.begin_release(exception, "anna", at(120))?;
                // Left out by a rule: it proves nothing.
                tx.step(ids[0], Event::Exclude, &Step::default(), at(121))?;
                assert_eq!(tx.step_release(exception, 10, at(122))?, Stepped::Further(1));
                assert_eq!(tx.exception(exception)?.releasing.unwrap().stage, Stage::Canary);
                let other = Problem::new("target.refused", "", "no such item", "make it").cause("item");
                let second = tx.raise(&brand(), &flow(), &other, at(123))?;
                tx.step(ids[1], Event::Hold, &Step { exception: Some(second), ..Step::default() }, at(123))?;
                assert_eq!(tx.step_release(exception, 10, at(124))?, Stepped::Surprise(ids[1]));
                assert_eq!((tx.exception(exception)?.count, tx.exception(exception)?.releasing), (2, None));
                assert_eq!(tx.step_release(exception, 10, at(125))?, Stepped::Done);
                let last = tx.exception_events(exception, 1)?.remove(0);
                assert_eq!(last.kind, EventKind::Surprise);
                assert!(last.detail.contains("no such item"), "{}", last.detail);

                // Mended again: what was held then goes along, and what comes back the same is a surprise, not a circle.
                assert!(matches!(tx.begin_release(exception, "anna", at(126))?, Begun::Canary(id, _) if id == ids[2]));
                tx.step(ids[2], Event::Hold, &Step { exception: Some(exception), ..Step::default() }, at(127))?;
                assert_eq!(tx.step_release(exception, 10, at(128))?, Stepped::Surprise(ids[2]));
                assert_eq!(tx.exception(exception)?.count, 2);

                // A person who says so releases everything at once.
                assert_eq!(tx.release(exception, None, at(129))?, 2);
                assert!(tx.watched(exception)?.is_empty());
                Ok(())
            })
            .await;
        world.balanced().await;
    }

    #[tokio::test]
    async fn with_one_record_there_is_nothing_to_try_first() {
        let world = World::new().await;
        let (exception, ids) = holding(&world, &["1"]).await;
        world
            .tx(move |tx| {
                assert_eq!(tx.begin_release(exception, "anna", at(120))?, Begun::AtOnce(1));
                assert_eq!(tx.obligation(ids[0])?.state, State::Captured);
                assert_eq!(tx.begin_release(exception, "anna", at(120))?, Begun::AtOnce(0));
                assert_eq!(kinds(tx, exception), [EventKind::Opened, EventKind::Released]);
                Ok(())
            })
            .await;
    }
}
