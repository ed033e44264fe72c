//! What is owed: claim, move, the balance equation.
//!
//! Every change of state goes through `selvedge_model::obligation::next`; here it is given its
//! surroundings. What holds at the end of each call:
//!
//! - A row that waits for another is never due, and is freed, held or handed on with it: nothing
//!   waits for ever. Held on the account of another, it keeps `waits_for`.
//! - A row that could still be written (captured, cleared, held) has no newer revision beside it:
//!   it was superseded when the newer one came, or as soon as its own write was settled. So an
//!   older revision never overwrites a newer one, however late it is released.

use schemars::JsonSchema;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use selvedge_model::{
    AnyRecord, Brand, ConnectionName, ExceptionId, ExternalId, FlowName, Interval, Kind, ObligationId, RecordId, RecordKey,
    gate::Values,
    obligation::{Event, State, next},
};

use crate::{
    Result, StoreError, Tx, View,
    captures::kind_of,
    packing::{count, limit, micros, moment, moment_maybe, pack, short, unpack, unreadable},
    records::{form_and_body, from_form, from_json, json},
};

/// Longest note, in characters.
const NOTE_CHARS_MAX: usize = 2_000;
/// How many rows of one record are read at most.
const ROWS_OF_RECORD_MAX: i64 = 500;
/// How long before the first stretch of [`View::confirmed_per_slot`] rows are looked for.
const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;
/// How far a chain of waiting rows is followed: far past any that a flow makes.
const CHAIN_MAX: usize = 100;

/// All columns of an [`ObligationRow`], from `obligations o`.
macro_rules! select_rows {
    ($rest:literal) => {
        concat!(
            "SELECT o.id, o.flow, o.kind, o.key, o.record_id, o.revision, o.state, o.attempts, o.retries, o.target, o.exception_id, ",
            "o.mapped, o.note, o.captured_at, o.due_at, o.settled_at, o.waits_for FROM obligations o ",
            $rest
        )
    };
}

/// Due, and no older revision of the same record in flight. Of rows that agree in both times the
/// index gives the older row first.
macro_rules! due_rows {
    () => {
        select_rows!(
            "WHERE o.brand = ?1 AND o.flow = ?2 AND o.state = ?3 AND o.due_at <= ?4 AND NOT EXISTS (
               SELECT 1 FROM obligations older WHERE older.brand = o.brand AND older.flow = o.flow AND older.key = o.key
               AND older.revision < o.revision AND older.settled_at IS NULL)
             ORDER BY o.due_at, o.captured_at LIMIT ?5"
        )
    };
}

/// Rows in a settled state that were captured in a window: one stretch of the index.
macro_rules! settled_in {
    () => {
        "SELECT count(*) FROM obligations
         WHERE brand = ?1 AND flow = ?2 AND state = ?3 AND due_at IS NULL AND captured_at >= ?4 AND captured_at < ?5"
    };
}

/// The same in a state that is under way, where those due stand by when they are.
macro_rules! under_way_in {
    () => {
        "SELECT count(*) FROM obligations WHERE brand = ?1 AND flow = ?2 AND state = ?3 AND captured_at >= ?4 AND captured_at < ?5"
    };
}

/// A debt to enter.
#[derive(Clone, Debug)]
pub struct NewObligation {
    /// Whose.
    pub brand: Brand,
    /// In which flow.
    pub flow: FlowName,
    /// Kind of record.
    pub kind: Kind,
    /// Our key.
    pub key: RecordKey,
    /// The revision owed.
    pub record: RecordId,
    /// Its number.
    pub revision: u32,
    /// When the raw bytes arrived: the start of its clock.
    pub captured_at: Timestamp,
}

/// One debt.
#[derive(Clone, Debug)]
pub struct ObligationRow {
    /// Its row.
    pub id: ObligationId,
    /// In which flow.
    pub flow: FlowName,
    /// Kind of record.
    pub kind: Kind,
    /// Our key.
    pub key: RecordKey,
    /// The revision owed.
    pub record: RecordId,
    /// Its number.
    pub revision: u32,
    /// Where it stands.
    pub state: State,
    /// How often a write was tried (claims).
    pub attempts: u32,
    /// Consecutive times the present step did not come through; back-off grows with it. `postpone`
    /// and `Event::Postpone` add one, a claim leaves it (it is the same step tried again), every
    /// other move to another state resets it.
    pub retries: u32,
    /// Their id, once known.
    pub target: Option<ExternalId>,
    /// The exception that holds it.
    pub exception: Option<ExceptionId>,
    /// What the gate resolved.
    pub values: Values,
    /// Why it is excluded (rule and version), dismissed (reason), or what it last met with.
    pub note: Option<String>,
    /// Start of its clock.
    pub captured_at: Timestamp,
    /// Not to be looked at before. For a settled row, when it settled; for one that waits for another, the start of its clock.
    pub due_at: Timestamp,
    /// When it settled.
    pub settled_at: Option<Timestamp>,
    /// The obligation that must be confirmed first; for a held row, the one on whose account it is held.
    pub waits_for: Option<ObligationId>,
}

/// What a step changes besides the state.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// When it is next due; now if not given.
    pub due_at: Option<Timestamp>,
    /// Their id.
    pub target: Option<ExternalId>,
    /// What the gate resolved.
    pub values: Option<Values>,
    /// The record as the gate made it ready for this target, where it does not go as it is.
    pub prepared: Option<AnyRecord>,
    /// The exception that takes it (with `Event::Hold`).
    pub exception: Option<ExceptionId>,
    /// A note.
    pub note: Option<String>,
}

/// The equation of one flow: captured = confirmed + compared + in flight + held + excluded + superseded + dismissed.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct Balance {
    /// In which flow.
    pub flow: String,
    /// Revisions that were captured for the flow, counted from the records and never from the obligations; for a flow that is off,
    /// over everything, what had been entered.
    pub captured: u64,
    /// Read back and equal.
    pub confirmed: u64,
    /// Looked for and compared in shadow mode; nothing was written.
    pub compared: u64,
    /// A verb still has work with them.
    pub in_flight: u64,
    /// An exception owns them.
    pub held: u64,
    /// A named rule keeps them out.
    pub excluded: u64,
    /// A newer revision took their place.
    pub superseded: u64,
    /// A person let them go.
    pub dismissed: u64,
}

impl Balance {
    /// Captured minus the sum of the rest: zero, or something was lost or made up.
    pub fn difference(&self) -> i128 {
        i128::from(self.captured)
            - [self.confirmed, self.compared, self.in_flight, self.held, self.excluded, self.superseded, self.dismissed]
                .into_iter()
                .map(i128::from)
                .sum::<i128>()
    }
}

/// Which of a flow's records it wants, for the count of captured revisions.
#[derive(Clone, Debug)]
pub struct FlowSide {
    /// The flow.
    pub flow: FlowName,
    /// The connection that its records come from.
    pub from: ConnectionName,
    /// Their kind.
    pub kind: Kind,
    /// Whether it is off: what is captured meanwhile is none of its business, and only what it was owed before is counted.
    pub off: bool,
}

/// Where a row stands, and whether a newer revision stands beside it.
struct Standing {
    state: State,
    newer: Option<(ObligationId, i64)>,
}

fn moved(id: ObligationId, state: State, event: Event) -> Result<State> {
    next(state, event).ok_or(StoreError::Move { id, state, event })
}

impl Tx<'_> {
    /// Enters a debt and supersedes older revisions that have no write under way. Entering the
    /// same (flow, key, revision) again gives the row that is there.
    ///
    /// # Errors
    /// [`StoreError::Absent`] when there is no such record.
    pub fn owe(&self, new: &NewObligation, now: Timestamp) -> Result<ObligationId> {
        let (brand, flow, key) = (new.brand.as_str(), new.flow.as_str(), new.key.as_str());
        let sql = "INSERT INTO obligations (brand, flow, kind, key, revision, record_id, state, due_at, captured_at, amount_minor, currency)
                   SELECT ?1, ?2, ?3, ?4, ?5, r.id, ?6, ?7, ?8, r.amount_minor, r.currency FROM records r WHERE r.id = ?9
                   ON CONFLICT (brand, flow, key, revision) DO NOTHING";
        let values = params![
            brand,
            flow,
            new.kind.word(),
            key,
            new.revision,
            State::Captured.word(),
            micros(now),
            micros(new.captured_at),
            new.record.0
        ];
        if self.connection.prepare_cached(sql)?.execute(values)? == 0 {
            let sql = "SELECT id FROM obligations WHERE brand = ?1 AND flow = ?2 AND key = ?3 AND revision = ?4";
            let id = self.connection.prepare_cached(sql)?.query_row(params![brand, flow, key, new.revision], |row| row.get(0));
            return id.optional()?.map(ObligationId).ok_or_else(|| StoreError::Absent(new.record.to_string()));
        }
        let id = ObligationId(self.connection.last_insert_rowid());
        let sql = "SELECT id, revision, state FROM obligations WHERE brand = ?1 AND flow = ?2 AND key = ?3 AND id <> ?4";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut others = statement.query(params![brand, flow, key, id.0])?;
        let (mut newest, mut older) = (None::<(i64, ObligationId)>, Vec::new());
        while let Some(row) = others.next()? {
            let (other, revision, state): (i64, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let state = state_of(&state)?;
            if revision > i64::from(new.revision) {
                newest = newest.max(Some((revision, ObligationId(other))));
            } else if next(state, Event::Supersede).is_some() {
                older.push((ObligationId(other), state));
            }
        }
        drop(others);
        for (other, state) in older {
            self.supersede(other, state, id, i64::from(new.revision), now)?;
        }
        if let Some((revision, newer)) = newest {
            // Entered late, as for a flow that is new: the newer revision is what counts.
            self.supersede(id, State::Captured, newer, revision, now)?;
        }
        Ok(id)
    }

    /// Gives way to a newer revision; who waited for this row waits for that one.
    fn supersede(&self, id: ObligationId, state: State, newer: ObligationId, revision: i64, now: Timestamp) -> Result<State> {
        let to = moved(id, state, Event::Supersede)?;
        let sql = "UPDATE obligations SET state = ?2, settled_at = ?3, due_at = NULL, exception_id = NULL, waits_for = NULL WHERE id = ?1";
        self.connection.prepare_cached(sql)?.execute(params![id.0, to.word(), micros(now)])?;
        self.tell(id, "capture", to.word(), &format!("revision {revision} took its place ({newer})"), now)?;
        let waiters = self.waiters(id)?;
        if !waiters.is_empty() {
            self.free_waiters(id, now)?;
            for waiter in waiters {
                match self.wait_for_at(waiter, newer, Some(now)) {
                    // The newer revision itself waited for this one, or for somebody who did: nobody waits in a circle, it goes on.
                    Err(StoreError::Unreadable { .. }) | Ok(()) => {}
                    Err(other) => return Err(other),
                }
            }
        }
        Ok(to)
    }

    /// Claims up to `limit` cleared rows that are due, oldest first, and notes for each that a write
    /// is about to leave (`Event::Claim`, `attempts` + 1). Never two revisions of one record at
    /// once: a row is left alone while an older revision of its record is in flight.
    pub fn claim(&self, brand: &Brand, flow: &FlowName, now: Timestamp, limit_rows: usize) -> Result<Vec<ObligationRow>> {
        let mut rows = self.due(brand, flow, State::Cleared, now, limit_rows)?;
        let sql = "UPDATE obligations SET state = ?2, attempts = attempts + 1, due_at = ?3 WHERE id = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        for row in &mut rows {
            row.state = moved(row.id, row.state, Event::Claim)?;
            row.attempts = row.attempts.saturating_add(1);
            row.due_at = now;
            statement.execute(params![row.id.0, row.state.word(), micros(now)])?;
        }
        Ok(rows)
    }

    /// After a crash: every `Sending` row becomes `Unanswered`, due now. Returns how many.
    pub fn recover(&self, brand: &Brand, now: Timestamp) -> Result<u64> {
        let sql = "SELECT id FROM obligations WHERE brand = ?1 AND flow = ?2 AND state = ?3 LIMIT 1000";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut recovered = 0;
        for flow in self.flows(brand)? {
            loop {
                let rows = statement
                    .query_map(params![brand.as_str(), flow, State::Sending.word()], |row| row.get(0).map(ObligationId))?;
                let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
                if rows.is_empty() {
                    break;
                }
                for id in rows {
                    let to = self.step(id, Event::LoseAnswer, &Step::default(), now)?;
                    self.tell(
                        id,
                        "deliver",
                        to.word(),
                        "the program ended before the answer was noted; it looks before it sends again",
                        now,
                    )?;
                    recovered += 1;
                }
            }
        }
        Ok(recovered)
    }

    /// Moves a row by the table of moves and returns where it stands then. Confirming, excluding or
    /// dismissing it frees the rows that wait for it; holding it holds them with it, under the same
    /// exception. A row that comes back to where it could be written again although a newer
    /// revision stands beside it is superseded at once, and `Superseded` is returned.
    ///
    /// # Errors
    /// [`crate::StoreError::Move`]; [`crate::StoreError::Absent`] for a row that is not there, or
    /// for `Event::Hold` without an exception.
    pub fn step(&self, id: ObligationId, event: Event, change: &Step, now: Timestamp) -> Result<State> {
        let standing = self.standing(id)?;
        let to = moved(id, standing.state, event)?;
        let exception = change.exception.filter(|_| to == State::Held);
        if to == State::Held && exception.is_none() {
            return Err(StoreError::Absent(format!("exception to hold {id}")));
        }
        let at = micros(now);
        let values = change.values.as_ref().map(|values| json(values).map(|json| pack(&json))).transpose()?;
        let sql = "UPDATE obligations SET state = ?2, due_at = ?3, settled_at = ?4,
                     attempts = attempts + ?5, retries = CASE ?6 WHEN 0 THEN 0 WHEN 1 THEN retries ELSE retries + 1 END,
                     target = coalesce(?7, target), mapped = coalesce(?8, mapped), note = coalesce(?9, note),
                     exception_id = CASE ?10 WHEN 0 THEN NULL ELSE coalesce(?11, exception_id) END, waits_for = NULL,
                     prepared_form = CASE ?12 WHEN 0 THEN prepared_form ELSE ?13 END, prepared = CASE ?12 WHEN 0 THEN prepared ELSE ?14 END
                   WHERE id = ?1";
        let prepared = change.prepared.as_ref().map(form_and_body).transpose()?;
        self.connection.prepare_cached(sql)?.execute(params![
            id.0,
            to.word(),
            to.in_flight().then(|| change.due_at.map_or(at, micros)),
            to.settled().then_some(at),
            i64::from(event == Event::Claim),
            match event {
                Event::Claim => 1,
                Event::Postpone => 2,
                _ => 0,
            },
            change.target.as_ref().map(ExternalId::as_str),
            values,
            change.note.as_deref().map(|note| short(note, NOTE_CHARS_MAX)),
            // Once held, a row remembers by what until it settles: the exception closes after that.
            i64::from(to.in_flight() || to == State::Held),
            exception.map(|exception| exception.0),
            // Each passage through the gate says anew how the record goes.
            i64::from(event == Event::Clear),
            prepared.as_ref().map(|(form, _)| *form),
            prepared.as_ref().map(|(_, body)| pack(body)),
        ])?;
        if let Some((newer, revision)) = standing.newer.filter(|_| next(to, Event::Supersede).is_some()) {
            return self.supersede(id, to, newer, revision, now);
        }
        match (event, exception) {
            (Event::Hold, Some(exception)) => {
                self.reopen(exception, now)?;
                self.hold_waiters(id, exception, now)?;
            }
            // Superseded by hand, that is by a record under another key: nobody here to hand them on to.
            (Event::Confirm | Event::Compare | Event::Exclude | Event::Dismiss | Event::Supersede, _) => {
                self.free_waiters(id, now)?
            }
            (Event::Release, _) => self.release_waiters(id, now)?,
            _ => {}
        }
        Ok(to)
    }

    /// Leaves the state as it is and looks again at `due_at` (`retries` + 1).
    ///
    /// # Errors
    /// [`crate::StoreError::Move`] when the row has settled meanwhile.
    pub fn postpone(&self, id: ObligationId, due_at: Timestamp, note: Option<&str>) -> Result<()> {
        let sql = "UPDATE obligations SET retries = retries + 1, due_at = CASE WHEN waits_for IS NULL THEN ?2 END, note = coalesce(?3, note)
                   WHERE id = ?1 AND settled_at IS NULL";
        let note = note.map(|note| short(note, NOTE_CHARS_MAX));
        if self.connection.prepare_cached(sql)?.execute(params![id.0, micros(due_at), note])? == 0 {
            return Err(StoreError::Move { id, state: self.standing(id)?.state, event: Event::Postpone });
        }
        Ok(())
    }

    /// Leaves the state and the count of retries as they are and looks again at `due_at`: for a
    /// look that itself did not come through.
    pub fn look_again(&self, id: ObligationId, due_at: Timestamp) -> Result<()> {
        let sql = "UPDATE obligations SET due_at = ?2 WHERE id = ?1 AND settled_at IS NULL AND waits_for IS NULL";
        self.connection.prepare_cached(sql)?.execute(params![id.0, micros(due_at)])?;
        Ok(())
    }

    /// Lets a row wait until another is confirmed. If that one is held, this one is held with it;
    /// if a newer revision took its place, this one waits for that; if it has settled in any other
    /// way, this one does not wait and stays due.
    ///
    /// # Errors
    /// [`crate::StoreError::Move`] when the row has settled or is being written meanwhile;
    /// [`crate::StoreError::Unreadable`] when the two would wait for each other.
    pub fn wait_for(&self, id: ObligationId, other: ObligationId) -> Result<()> {
        self.wait_for_at(id, other, None)
    }

    /// `now` only dates the hold; without it, it is dated by the exception's last sighting.
    fn wait_for_at(&self, id: ObligationId, other: ObligationId, now: Option<Timestamp>) -> Result<()> {
        let mine = self.standing(id)?;
        // A row with a write under way keeps newer revisions of its record back: if it waited, it
        // could wait for one of them.
        if !matches!(mine.state, State::Captured | State::Cleared) {
            return Err(StoreError::Move { id, state: mine.state, event: Event::Postpone });
        }
        let (mut other, mut theirs) = (other, self.standing(other)?);
        if let (State::Superseded, Some((newest, _))) = (theirs.state, theirs.newer) {
            (other, theirs) = (newest, self.standing(newest)?);
        }
        let mut chain = Some(other);
        for _ in 0..CHAIN_MAX {
            let Some(link) = chain else { break };
            if link == id {
                return Err(unreadable(&id.to_string(), format!("it would wait for {other}, which waits for it")));
            }
            let sql = "SELECT waits_for FROM obligations WHERE id = ?1";
            let further: Option<i64> = self.connection.prepare_cached(sql)?.query_row([link.0], |row| row.get(0))?;
            chain = further.map(ObligationId);
        }
        if theirs.state.in_flight() {
            let sql = "UPDATE obligations SET waits_for = ?2, due_at = NULL WHERE id = ?1";
            self.connection.prepare_cached(sql)?.execute([id.0, other.0])?;
        } else if theirs.state == State::Held {
            let sql = "SELECT o.exception_id, e.last_seen_at FROM obligations o JOIN exceptions e ON e.id = o.exception_id WHERE o.id = ?1";
            let (exception, seen): (i64, i64) =
                self.connection.prepare_cached(sql)?.query_row([other.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let now = now.map_or_else(|| moment(seen), Ok)?;
            self.hold_with(id, mine.state, other, ExceptionId(exception), now)?;
        }
        Ok(())
    }

    fn standing(&self, id: ObligationId) -> Result<Standing> {
        let sql = "SELECT o.state, n.id, n.revision FROM obligations o
                   LEFT JOIN obligations n ON n.brand = o.brand AND n.flow = o.flow AND n.key = o.key AND n.revision > o.revision
                   WHERE o.id = ?1 ORDER BY n.revision DESC LIMIT 1";
        let found: Option<(String, Option<i64>, Option<i64>)> = self
            .connection
            .prepare_cached(sql)?
            .query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let (state, newer, revision) = found.ok_or_else(|| StoreError::Absent(id.to_string()))?;
        Ok(Standing { state: state_of(&state)?, newer: newer.map(ObligationId).zip(revision) })
    }

    fn waiters(&self, id: ObligationId) -> Result<Vec<ObligationId>> {
        let mut statement = self.connection.prepare_cached("SELECT id FROM obligations WHERE waits_for = ?1 ORDER BY id")?;
        let rows = statement.query_map([id.0], |row| row.get(0).map(ObligationId))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Who waits for a row that needs waiting for no more is due; who was held on its account goes back to the gate.
    fn free_waiters(&self, id: ObligationId, now: Timestamp) -> Result<()> {
        self.release_waiters(id, now)?;
        let sql = "UPDATE obligations SET waits_for = NULL, due_at = ?2 WHERE waits_for = ?1";
        self.connection.prepare_cached(sql)?.execute(params![id.0, micros(now)])?;
        Ok(())
    }

    /// Who is held on account of a row goes on waiting for it, and so do those who wait for them.
    pub(crate) fn release_waiters(&self, id: ObligationId, now: Timestamp) -> Result<()> {
        self.release_with(id, now).map(|_| ())
    }

    pub(crate) fn release_with(&self, id: ObligationId, now: Timestamp) -> Result<u64> {
        let sql = "UPDATE obligations SET state = ?2, settled_at = NULL, retries = 0 WHERE id = ?1";
        let mut released = 0;
        for waiter in self.waiters(id)? {
            let state = self.standing(waiter)?.state;
            if state == State::Held {
                let to = moved(waiter, state, Event::Release)?;
                self.connection.prepare_cached(sql)?.execute(params![waiter.0, to.word()])?;
                self.tell(waiter, "release", to.word(), &format!("{id}, on whose account it was held, goes on"), now)?;
                released += 1 + self.release_with(waiter, now)?;
            }
        }
        Ok(released)
    }

    fn hold_waiters(&self, id: ObligationId, exception: ExceptionId, now: Timestamp) -> Result<()> {
        for waiter in self.waiters(id)? {
            let state = self.standing(waiter)?.state;
            if state.in_flight() {
                self.hold_with(waiter, state, id, exception, now)?;
            }
        }
        Ok(())
    }

    fn hold_with(
        &self,
        id: ObligationId,
        state: State,
        other: ObligationId,
        exception: ExceptionId,
        now: Timestamp,
    ) -> Result<()> {
        let to = moved(id, state, Event::Hold)?;
        let sql = "UPDATE obligations SET state = ?2, settled_at = ?3, due_at = NULL, retries = 0, exception_id = ?4, waits_for = ?5 WHERE id = ?1";
        self.connection.prepare_cached(sql)?.execute(params![id.0, to.word(), micros(now), exception.0, other.0])?;
        self.tell(id, "gate", to.word(), &format!("it needs {other}, which {exception} holds"), now)?;
        self.hold_waiters(id, exception, now)
    }
}

impl View<'_> {
    /// Rows in a state that are due, oldest first, an older unsettled revision of the same record first.
    /// Rows that wait for another are left out.
    pub fn due(
        &self,
        brand: &Brand,
        flow: &FlowName,
        state: State,
        now: Timestamp,
        limit_rows: usize,
    ) -> Result<Vec<ObligationRow>> {
        let mut statement = self.connection.prepare_cached(due_rows!())?;
        let values = params![brand.as_str(), flow.as_str(), state.word(), micros(now), limit(limit_rows)];
        statement.query_and_then(values, obligation_row)?.collect()
    }

    /// Rows of a flow that the gate has not decided and that wait for no other, due or not: in the order in which they came.
    pub fn undecided(&self, brand: &Brand, flow: &FlowName, limit_rows: usize) -> Result<Vec<ObligationRow>> {
        let sql =
            select_rows!("WHERE o.brand = ?1 AND o.flow = ?2 AND o.state = ?3 AND o.due_at IS NOT NULL ORDER BY o.id LIMIT ?4");
        let mut statement = self.connection.prepare_cached(sql)?;
        let values = params![brand.as_str(), flow.as_str(), State::Captured.word(), limit(limit_rows)];
        statement.query_and_then(values, obligation_row)?.collect()
    }

    /// The flows that anything was ever owed in: few, and found by as many seeks.
    pub(crate) fn flows(&self, brand: &Brand) -> Result<Vec<String>> {
        let mut statement = self.connection.prepare_cached("SELECT min(flow) FROM obligations WHERE brand = ?1 AND flow > ?2")?;
        let mut flows = Vec::new();
        let mut last = String::new();
        while let Some(flow) = statement.query_row([brand.as_str(), &last], |row| row.get::<_, Option<String>>(0))? {
            last.clone_from(&flow);
            flows.push(flow);
        }
        Ok(flows)
    }

    /// The rows of a flow's newest revisions that are not confirmed, after an id: what the target may not have taken in.
    pub fn unconfirmed(
        &self,
        brand: &Brand,
        flow: &FlowName,
        after: ObligationId,
        limit_rows: usize,
    ) -> Result<Vec<ObligationRow>> {
        let sql = select_rows!(
            "JOIN records r ON r.id = o.record_id AND r.latest = 1
             WHERE o.brand = ?1 AND o.flow = ?2 AND o.id > ?3 AND o.state NOT IN ('confirmed', 'superseded') ORDER BY o.id LIMIT ?4"
        );
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.query_and_then(params![brand.as_str(), flow.as_str(), after.0, limit(limit_rows)], obligation_row)?.collect()
    }

    /// The next instant at which anything of the brand falls due, if anything is in flight. A row
    /// that waits for another falls due with that one.
    pub fn next_due(&self, brand: &Brand) -> Result<Option<Timestamp>> {
        let sql = "SELECT min(due_at) FROM obligations WHERE brand = ?1 AND flow = ?2 AND state = ?3 AND due_at IS NOT NULL";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut earliest = None::<i64>;
        for flow in self.flows(brand)? {
            for state in State::ALL.into_iter().filter(|state| state.in_flight()) {
                let due: Option<i64> = statement.query_row([brand.as_str(), &flow, state.word()], |row| row.get(0))?;
                earliest = earliest.into_iter().chain(due).min();
            }
        }
        moment_maybe(earliest)
    }

    /// What is to stand at the target: the record as the gate made it ready, or as it came.
    ///
    /// # Errors
    /// [`StoreError::Absent`] when there is no such row.
    pub fn owed(&self, row: &ObligationRow) -> Result<AnyRecord> {
        match self.prepared(row.id)? {
            Some(prepared) => Ok(prepared),
            None => Ok(self.record(row.record)?.record),
        }
    }

    /// The record as the gate made it ready for this target, where it does not go as it came.
    pub fn prepared(&self, id: ObligationId) -> Result<Option<AnyRecord>> {
        let sql = "SELECT prepared_form, prepared FROM obligations WHERE id = ?1";
        let found: Option<(Option<String>, Option<Vec<u8>>)> =
            self.connection.prepare_cached(sql)?.query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        match found {
            Some((Some(form), Some(body))) => from_form(&form, &unpack("a prepared record", &body)?).map(Some),
            _ => Ok(None),
        }
    }

    /// One row.
    pub fn obligation(&self, id: ObligationId) -> Result<ObligationRow> {
        let mut statement = self.connection.prepare_cached(select_rows!("WHERE o.id = ?1"))?;
        let mut rows = statement.query([id.0])?;
        rows.next()?.map(obligation_row).unwrap_or_else(|| Err(StoreError::Absent(id.to_string())))
    }

    /// All rows for a record, by flow, then revision; the newest 500 of a flow if there are more.
    pub fn obligations_of(&self, brand: &Brand, kind: Kind, key: &RecordKey) -> Result<Vec<ObligationRow>> {
        let sql =
            select_rows!("WHERE o.brand = ?1 AND o.flow = ?2 AND o.key = ?3 AND o.kind = ?4 ORDER BY o.revision DESC LIMIT ?5");
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut all = Vec::new();
        for flow in self.flows(brand)? {
            let values = params![brand.as_str(), flow, key.as_str(), kind.word(), ROWS_OF_RECORD_MAX];
            let mut rows = statement.query_and_then(values, obligation_row)?.collect::<Result<Vec<_>>>()?;
            rows.reverse();
            all.append(&mut rows);
        }
        Ok(all)
    }

    /// The newest row of a flow for a record.
    pub fn obligation_latest(&self, brand: &Brand, flow: &FlowName, key: &RecordKey) -> Result<Option<ObligationRow>> {
        let sql = select_rows!("WHERE o.brand = ?1 AND o.flow = ?2 AND o.key = ?3 ORDER BY o.revision DESC LIMIT 1");
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([brand.as_str(), flow.as_str(), key.as_str()])?;
        rows.next()?.map(obligation_row).transpose()
    }

    /// Whether any revision of the record was ever claimed in this flow, or seen at its target: then a document may
    /// stand there though no id is bound.
    pub fn ever_attempted(&self, brand: &Brand, flow: &FlowName, key: &RecordKey) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM obligations WHERE brand = ?1 AND flow = ?2 AND key = ?3 AND (attempts > 0 OR target IS NOT NULL))";
        Ok(self.connection.prepare_cached(sql)?.query_row([brand.as_str(), flow.as_str(), key.as_str()], |row| row.get(0))?)
    }

    /// The equation for each flow, over what was captured in the window (everything if `None`).
    pub fn balance(&self, brand: &Brand, flows: &[FlowSide], window: Option<Interval>) -> Result<Vec<Balance>> {
        let mut balances = Vec::with_capacity(flows.len());
        for side in flows {
            let counts = match window {
                None => self.state_counts(brand, &side.flow)?,
                Some(window) => self.state_counts_in(brand, &side.flow, window)?,
            };
            // Counted from the records, so that an obligation that was lost shows as a difference. A flow that is off captures nothing
            // any more: what came since for others is none of its.
            let captured = match (side.off, window) {
                (false, None) => self.received(brand, &side.from, side.kind)?,
                (false, Some(window)) => self.received_in(brand, &side.from, side.kind, window)?,
                (true, None) => counts.iter().map(|(_, rows)| rows).sum(),
                (true, Some(window)) => self.entered_in(brand, side, window)?,
            };
            let mut balance = Balance { flow: side.flow.0.clone(), captured, ..Balance::default() };
            for (state, rows) in counts {
                let place = match state {
                    State::Captured | State::Cleared | State::Sending | State::Unanswered | State::Delivered => {
                        &mut balance.in_flight
                    }
                    State::Confirmed => &mut balance.confirmed,
                    State::Compared => &mut balance.compared,
                    State::Held => &mut balance.held,
                    State::Superseded => &mut balance.superseded,
                    State::Excluded => &mut balance.excluded,
                    State::Dismissed => &mut balance.dismissed,
                };
                *place += rows;
            }
            balances.push(balance);
        }
        Ok(balances)
    }

    /// Records of a window that a flow had entered before it was switched off.
    fn entered_in(&self, brand: &Brand, side: &FlowSide, window: Interval) -> Result<u64> {
        let sql = "SELECT count(*) FROM records r WHERE brand = ?1 AND connection = ?2 AND kind = ?3 AND received_at >= ?4 AND received_at < ?5
                   AND EXISTS (SELECT 1 FROM obligations o WHERE o.brand = r.brand AND o.flow = ?6 AND o.key = r.key AND o.revision = r.revision)";
        let (from, to) = (micros(window.from), micros(window.to));
        let values = params![brand.as_str(), side.from.as_str(), side.kind.word(), from, to, side.flow.as_str()];
        Ok(self.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0).map(count))?)
    }

    /// Rows of a flow by state; only states that some row is in, in the model's order. What has settled is known from running counts,
    /// so that years of it cost nothing.
    pub fn state_counts(&self, brand: &Brand, flow: &FlowName) -> Result<Vec<(State, u64)>> {
        let settled = "SELECT number FROM settled_counts WHERE brand = ?1 AND flow = ?2 AND state = ?3";
        let under_way = "SELECT count(*) FROM obligations WHERE brand = ?1 AND flow = ?2 AND state = ?3";
        by_state(|state| {
            let sql = if state.settled() { settled } else { under_way };
            let values = [brand.as_str(), flow.as_str(), state.word()];
            Ok(self.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0)).optional()?)
        })
    }

    /// The same of the rows that were captured in a window, each looked at.
    fn state_counts_in(&self, brand: &Brand, flow: &FlowName, window: Interval) -> Result<Vec<(State, u64)>> {
        by_state(|state| {
            let sql = if state.settled() { settled_in!() } else { under_way_in!() };
            let values = params![brand.as_str(), flow.as_str(), state.word(), micros(window.from), micros(window.to)];
            Ok(self.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0)).optional()?)
        })
    }

    /// How many rows of a flow were confirmed in each of the last `slots` stretches of length `slot`,
    /// oldest first; the last one ends at `now`. Rows captured more than a day before the first
    /// stretch are left out, so that the cost follows the traffic and not the age of the store.
    pub fn confirmed_per_slot(
        &self,
        brand: &Brand,
        flow: &FlowName,
        now: Timestamp,
        slot: Duration,
        slots: usize,
    ) -> Result<Vec<u64>> {
        let slot = i64::try_from(slot.as_micros()).unwrap_or(i64::MAX).max(1);
        let to = micros(now);
        let from = to.saturating_sub(slot.saturating_mul(limit(slots)));
        let sql = "SELECT (settled_at - ?4 - 1) / ?6, count(*) FROM obligations
                   WHERE brand = ?1 AND flow = ?2 AND state = ?3 AND due_at IS NULL AND captured_at >= ?7
                   AND settled_at > ?4 AND settled_at <= ?5 GROUP BY 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let values =
            params![brand.as_str(), flow.as_str(), State::Confirmed.word(), from, to, slot, from.saturating_sub(DAY_MICROS)];
        let mut rows = statement.query(values)?;
        let mut counts = vec![0; slots];
        while let Some(row) = rows.next()? {
            let place: i64 = row.get(0)?;
            if let Some(slot) = usize::try_from(place).ok().and_then(|place| counts.get_mut(place)) {
                *slot = count(row.get(1)?);
            }
        }
        Ok(counts)
    }

    /// How long confirmed rows took from capture to confirmed, in milliseconds: p50 and p99, each
    /// the value of a real row (nearest rank), over the `newest`.
    pub fn latency(&self, brand: &Brand, flow: &FlowName, newest: usize) -> Result<Option<(u64, u64)>> {
        let sql = "SELECT settled_at - captured_at FROM obligations
                   WHERE brand = ?1 AND flow = ?2 AND state = ?3 AND due_at IS NULL ORDER BY captured_at DESC LIMIT ?4";
        let mut statement = self.connection.prepare_cached(sql)?;
        let values = params![brand.as_str(), flow.as_str(), State::Confirmed.word(), limit(newest)];
        let mut taken = statement.query_map(values, |row| row.get(0).map(count))?.collect::<rusqlite::Result<Vec<u64>>>()?;
        taken.sort_unstable();
        let rank = |percent: usize| {
            let place = (taken.len() * percent).div_ceil(100).saturating_sub(1);
            taken.get(place).map(|micros| micros / 1_000)
        };
        Ok(rank(50).zip(rank(99)))
    }
}

fn by_state(rows: impl Fn(State) -> Result<Option<i64>>) -> Result<Vec<(State, u64)>> {
    let mut counts = Vec::new();
    for state in State::ALL {
        counts.extend(rows(state)?.filter(|rows| *rows > 0).map(|rows| (state, count(rows))));
    }
    counts.sort();
    Ok(counts)
}

pub(crate) fn state_of(word: &str) -> Result<State> {
    State::from_word(word).ok_or_else(|| unreadable("the state of an obligation", word))
}

fn obligation_row(row: &Row<'_>) -> Result<ObligationRow> {
    let (kind, state): (String, String) = (row.get(2)?, row.get(6)?);
    let state = state_of(&state)?;
    let mapped: Option<Vec<u8>> = row.get(11)?;
    let captured_at = moment(row.get(13)?)?;
    let settled_at = moment_maybe(row.get(15)?)?;
    Ok(ObligationRow {
        id: ObligationId(row.get(0)?),
        flow: FlowName(row.get(1)?),
        kind: kind_of(&kind)?,
        key: RecordKey(row.get(3)?),
        record: RecordId(row.get(4)?),
        revision: row.get(5)?,
        state,
        attempts: row.get(7)?,
        retries: row.get(8)?,
        target: row.get::<_, Option<String>>(9)?.map(ExternalId),
        exception: row.get::<_, Option<i64>>(10)?.filter(|_| state == State::Held).map(ExceptionId),
        values: mapped
            .map(|packed| from_json("mapped values", &unpack("mapped values", &packed)?))
            .transpose()?
            .unwrap_or_default(),
        note: row.get(12)?,
        captured_at,
        due_at: moment_maybe(row.get(14)?)?.or(settled_at).unwrap_or(captured_at),
        settled_at,
        waits_for: row.get::<_, Option<i64>>(16)?.map(ObligationId),
    })
}

#[cfg(test)]
mod tests {
    use selvedge_model::Problem;

    use super::*;
    use crate::samples::{World, at, brand, flow};

    fn held_by(exception: ExceptionId) -> Step {
        Step { exception: Some(exception), ..Step::default() }
    }

    #[tokio::test]
    async fn one_row_from_captured_to_confirmed() {
        let world = World::new().await;
        let id = world.order("1").await;
        world
            .tx(move |tx| {
                let row = tx.obligation(id)?;
                assert_eq!((row.state, row.attempts, row.captured_at, row.due_at), (State::Captured, 0, at(100), at(100)));
                assert!(tx.due(&brand(), &flow(), State::Captured, at(99), 10)?.is_empty());
                assert_eq!(tx.due(&brand(), &flow(), State::Captured, at(100), 10)?.len(), 1);
                assert!(matches!(
                    tx.step(id, Event::Claim, &Step::default(), at(101)),
                    Err(StoreError::Move { state: State::Captured, .. })
                ));

                let mut values = Values::default();
                values.set("item", "sku=1", "98");
                let cleared = Step { values: Some(values.clone()), note: Some("all mapped".into()), ..Step::default() };
                assert_eq!(tx.step(id, Event::Clear, &cleared, at(102))?, State::Cleared);
                assert_eq!(tx.claim(&brand(), &flow(), at(101), 10)?.len(), 0);
                let claimed = tx.claim(&brand(), &flow(), at(103), 10)?;
                assert_eq!(
                    (claimed.len(), claimed[0].state, claimed[0].attempts, &claimed[0].values),
                    (1, State::Sending, 1, &values)
                );
                assert!(tx.claim(&brand(), &flow(), at(103), 10)?.is_empty());
                let answered = Step { target: Some("901".into()), due_at: Some(at(110)), ..Step::default() };
                tx.step(id, Event::Answer, &answered, at(104))?;
                assert_eq!(tx.next_due(&brand())?, Some(at(110)));
                assert!(tx.due(&brand(), &flow(), State::Delivered, at(109), 10)?.is_empty());
                tx.step(id, Event::Confirm, &Step::default(), at(110))?;
                let row = tx.obligation(id)?;
                assert_eq!(
                    (row.state, row.settled_at, row.target, row.note.as_deref()),
                    (State::Confirmed, Some(at(110)), Some("901".into()), Some("all mapped"))
                );
                assert_eq!(row.values, values);
                assert_eq!(tx.next_due(&brand())?, None);
                assert_eq!(tx.latency(&brand(), &flow(), 9)?, Some((10_000, 10_000)));
                // Confirmed at second 110: in the stretch that ends there, and in none that begins there.
                let per_second = |now| tx.confirmed_per_slot(&brand(), &flow(), at(now), Duration::from_secs(1), 3);
                assert_eq!(per_second(110)?, [0, 0, 1]);
                assert_eq!(per_second(112)?, [1, 0, 0]);
                assert_eq!(per_second(113)?, [0, 0, 0]);
                assert_eq!(per_second(109)?, [0, 0, 0]);
                assert!(matches!(tx.postpone(id, at(120), None), Err(StoreError::Move { .. })));
                assert!(matches!(tx.obligation(ObligationId(99)), Err(StoreError::Absent(_))));
                Ok(())
            })
            .await;
        world.balanced().await;
    }

    #[tokio::test]
    async fn back_off_counts_what_did_not_come_through() {
        let world = World::new().await;
        let id = world.order("1").await;
        world
            .tx(move |tx| {
                let retries = || tx.obligation(id).unwrap().retries;
                tx.postpone(id, at(150), Some("the shop is slow"))?;
                assert_eq!(retries(), 1);
                assert!(tx.due(&brand(), &flow(), State::Captured, at(149), 10)?.is_empty());
                tx.step(id, Event::Clear, &Step::default(), at(150))?;
                assert_eq!(retries(), 0);
                for n in 1..=3 {
                    tx.claim(&brand(), &flow(), at(200), 1)?;
                    tx.step(id, Event::Postpone, &Step::default(), at(200))?;
                    assert_eq!((retries(), tx.obligation(id)?.attempts), (n, n));
                }
                tx.claim(&brand(), &flow(), at(200), 1)?;
                tx.step(id, Event::Answer, &Step::default(), at(200))?;
                assert_eq!(retries(), 0);
                Ok(())
            })
            .await;
    }

    #[tokio::test]
    async fn a_newer_revision_supersedes_what_has_no_write_under_way() {
        let world = World::new().await;
        let one = world.order("1").await;
        assert_eq!(world.owe_again(one).await, one);
        let two = world.order("1").await;
        world
            .tx(move |tx| {
                assert_eq!(tx.obligation(one)?.state, State::Superseded);
                assert_eq!(tx.story(one)?[0].outcome, "superseded");
                tx.step(two, Event::Clear, &Step::default(), at(100))?;
                tx.claim(&brand(), &flow(), at(100), 9)?;
                Ok(())
            })
            .await;
        // The second is being sent: the third waits for it, whatever state it gets to.
        let three = world.order("1").await;
        world
            .tx(move |tx| {
                assert_eq!(tx.obligation(two)?.state, State::Sending);
                assert!(tx.due(&brand(), &flow(), State::Captured, at(999), 9)?.is_empty());
                tx.step(two, Event::LoseAnswer, &Step::default(), at(101))?;
                assert!(tx.due(&brand(), &flow(), State::Captured, at(999), 9)?.is_empty());
                // Nothing arrived: now it certainly has no write under way, and gives way.
                assert_eq!(tx.step(two, Event::FindNothing, &Step::default(), at(102))?, State::Superseded);
                assert_eq!(
                    tx.due(&brand(), &flow(), State::Captured, at(999), 9)?.iter().map(|row| row.id).collect::<Vec<_>>(),
                    [three]
                );
                assert!(tx.ever_attempted(&brand(), &flow(), &"1".into())?);
                assert!(!tx.ever_attempted(&brand(), &flow(), &"2".into())?);
                assert_eq!(tx.obligation_latest(&brand(), &flow(), &"1".into())?.map(|row| row.id), Some(three));
                let all = tx.obligations_of(&brand(), Kind::Order, &"1".into())?;
                assert_eq!(all.iter().map(|row| row.id).collect::<Vec<_>>(), [one, two, three]);
                assert!(tx.obligations_of(&brand(), Kind::Customer, &"1".into())?.is_empty());
                Ok(())
            })
            .await;
        world.balanced().await;
    }

    #[tokio::test]
    async fn an_older_revision_is_never_held_beside_a_newer_one() {
        let world = World::new().await;
        let one = world.order("1").await;
        world
            .tx(move |tx| {
                tx.step(one, Event::Clear, &Step::default(), at(100))?;
                tx.claim(&brand(), &flow(), at(100), 9)?;
                tx.step(one, Event::Answer, &Step::default(), at(101)).map(|_| ())
            })
            .await;
        let two = world.order("1").await;
        world
            .tx(move |tx| {
                assert!(matches!(tx.step(one, Event::Hold, &Step::default(), at(102)), Err(StoreError::Absent(_))));
                let exception = tx.raise(&brand(), &flow(), &Problem::new("compare.net", "net", "differs", "look"), at(102))?;
                // Held and released later, it would overwrite the newer one.
                assert_eq!(tx.step(one, Event::Hold, &held_by(exception), at(102))?, State::Superseded);
                assert_eq!(tx.release(exception, None, at(103))?, 0);
                assert_eq!(tx.due(&brand(), &flow(), State::Captured, at(999), 9)?[0].id, two);
                Ok(())
            })
            .await;
        world.balanced().await;
    }

    #[tokio::test]
    async fn a_crash_turns_sending_into_unanswered() {
        let world = World::new().await;
        let (one, two) = (world.order("1").await, world.order("2").await);
        world
            .tx(move |tx| {
                for id in [one, two] {
                    tx.step(id, Event::Clear, &Step::default(), at(100))?;
                }
                tx.claim(&brand(), &flow(), at(100), 1)?;
                assert_eq!(tx.recover(&"other".into(), at(200))?, 0);
                assert_eq!(tx.recover(&brand(), at(200))?, 1);
                assert_eq!(tx.obligation(two)?.state, State::Cleared);
                let row = tx.obligation(one)?;
                assert_eq!((row.state, row.due_at, row.attempts), (State::Unanswered, at(200), 1));
                assert_eq!(tx.story(one)?.last().unwrap().outcome, "unanswered");
                assert_eq!(tx.recover(&brand(), at(200))?, 0);
                assert_eq!(tx.state_counts(&brand(), &flow())?, [(State::Cleared, 1), (State::Unanswered, 1)]);
                Ok(())
            })
            .await;
    }

    #[tokio::test]
    async fn nothing_waits_for_ever() {
        // What happens to the row that is waited for, and what then becomes of the one that waits.
        for (ends, state, due) in [
            ("confirm", State::Captured, true),
            ("exclude", State::Captured, true),
            ("supersede", State::Captured, false),
            ("hold", State::Held, false),
            ("hold, release", State::Captured, false),
            ("hold, release, confirm", State::Captured, true),
            ("hold, canary", State::Captured, false),
            ("hold, supersede", State::Captured, false),
            ("hold, supersede, confirm", State::Captured, true),
            ("hold, dismiss", State::Dismissed, false),
            ("hold, dismiss one", State::Captured, true),
            ("hold, release one", State::Captured, false),
        ] {
            let world = World::new().await;
            let (first, waiter) = (world.order("1").await, world.order("2").await);
            world.tx(move |tx| tx.wait_for(waiter, first)).await;
            let mut first = first;
            for event in ends.split(", ") {
                let exception = move |tx: &Tx<'_>| tx.raise(&brand(), &flow(), &Problem::new("a.b", "", "m", "r"), at(110));
                if event == "supersede" {
                    first = world.order("1").await;
                    continue;
                }
                let id = first;
                world
                    .tx(move |tx| {
                        let step = |event, change: &Step| tx.step(id, event, change, at(120)).map(|_| ());
                        match event {
                            "confirm" => {
                                step(Event::Clear, &Step::default())?;
                                step(Event::Claim, &Step::default())?;
                                step(Event::Answer, &Step::default())?;
                                step(Event::Confirm, &Step::default())
                            }
                            "exclude" => step(Event::Exclude, &Step::default()),
                            "hold" => step(Event::Hold, &held_by(exception(tx)?)),
                            "release" => tx.release(exception(tx)?, None, at(120)).map(|count| assert_eq!(count, 2)),
                            "canary" => tx.release(exception(tx)?, Some(1), at(120)).map(|count| assert_eq!(count, 2)),
                            "dismiss" => tx.dismiss(exception(tx)?, "anna: no", at(120)).map(|count| assert_eq!(count, 2)),
                            "release one" => step(Event::Release, &Step::default()),
                            "dismiss one" => step(Event::Dismiss, &Step::default()),
                            other => panic!("{other}"),
                        }
                    })
                    .await;
            }
            world
                .tx(move |tx| {
                    let row = tx.obligation(waiter)?;
                    assert_eq!(row.state, state, "{ends}");
                    let due_now = tx.due(&brand(), &flow(), State::Captured, at(999), 9)?.iter().any(|row| row.id == waiter);
                    assert_eq!(due_now, due, "{ends}");
                    // Whoever is neither due nor settled waits for a row in flight.
                    if state.in_flight() && !due {
                        let other = tx.obligation(row.waits_for.unwrap())?;
                        assert!(other.state.in_flight(), "{ends}: {:?}", other.state);
                        assert_eq!(other.id, first, "{ends}");
                    }
                    Ok(())
                })
                .await;
            world.balanced().await;
        }
    }

    #[tokio::test]
    async fn waiting_for_what_has_settled() {
        let world = World::new().await;
        let (first, second, third) = (world.order("1").await, world.order("2").await, world.order("3").await);
        let newer = world.order("1").await;
        world
            .tx(move |tx| {
                // The first was superseded: the newer revision is waited for.
                tx.wait_for(second, first)?;
                assert_eq!(tx.obligation(second)?.waits_for, Some(newer));
                assert!(matches!(tx.wait_for(newer, second), Err(StoreError::Unreadable { .. })));
                assert!(matches!(tx.wait_for(newer, newer), Err(StoreError::Unreadable { .. })));
                // Whoever asks for a held one is held with it, and whoever waits for that one too.
                let exception = tx.raise(&brand(), &flow(), &Problem::new("a.b", "", "m", "r"), at(110))?;
                tx.step(newer, Event::Hold, &held_by(exception), at(111))?;
                tx.wait_for(third, newer)?;
                for id in [newer, second, third] {
                    let row = tx.obligation(id)?;
                    assert_eq!((row.state, row.exception), (State::Held, Some(exception)));
                }
                assert!(matches!(tx.wait_for(third, newer), Err(StoreError::Move { .. })));
                assert_eq!(tx.release(exception, None, at(112))?, 3);
                tx.step(newer, Event::Exclude, &Step::default(), at(113))?;
                tx.wait_for(third, newer)?;
                assert_eq!(tx.obligation(third)?.waits_for, None);
                // A write under way waits for nothing: newer revisions wait for it already.
                tx.step(third, Event::Clear, &Step::default(), at(114))?;
                tx.claim(&brand(), &flow(), at(114), 9)?;
                assert!(matches!(tx.wait_for(third, second), Err(StoreError::Move { state: State::Sending, .. })));
                Ok(())
            })
            .await;
        world.balanced().await;
    }

    #[tokio::test]
    async fn the_balance_shows_what_was_lost_and_what_was_made_up() {
        let world = World::new().await;
        let (id, second) = (world.order("1").await, world.order("2").await);
        let side = world.side();
        world
            .tx(move |tx| {
                let whole = tx.balance(&brand(), std::slice::from_ref(&side), None)?;
                assert_eq!((whole[0].captured, whole[0].in_flight, whole[0].difference()), (2, 2, 0));
                let window = |from, to| Some(Interval { from: at(from), to: at(to) });
                assert_eq!(tx.balance(&brand(), std::slice::from_ref(&side), window(100, 101))?[0].captured, 2);
                let before = tx.balance(&brand(), std::slice::from_ref(&side), window(0, 100))?;
                assert_eq!((before[0].captured, before[0].in_flight), (0, 0));
                // A flow that is off owes what it had entered, and not what comes for others.
                let off = FlowSide { flow: "late".into(), off: true, ..side.clone() };
                for window in [None, window(0, 999)] {
                    let balance = &tx.balance(&brand(), std::slice::from_ref(&off), window)?[0];
                    assert_eq!((balance.captured, balance.difference()), (0, 0));
                    let off = FlowSide { off: true, ..side.clone() };
                    let balance = &tx.balance(&brand(), &[off], window)?[0];
                    assert_eq!((balance.captured, balance.difference()), (2, 0));
                }
                // Lose one behind the store's back: it shows, and so does a settled one, and a record.
                tx.connection.execute("DELETE FROM obligations WHERE id = ?1", [id.0])?;
                let difference =
                    |window| tx.balance(&brand(), std::slice::from_ref(&side), window).map(|found| found[0].difference());
                assert_eq!((difference(None)?, difference(window(0, 999))?), (1, 1));
                tx.step(second, Event::Exclude, &Step::default(), at(101))?;
                assert_eq!(tx.state_counts(&brand(), &flow())?, [(State::Excluded, 1)]);
                tx.connection.execute_batch("DELETE FROM attempts; DELETE FROM settlings")?;
                tx.connection.execute("DELETE FROM obligations WHERE id = ?1", [second.0])?;
                assert_eq!((tx.state_counts(&brand(), &flow())?, difference(None)?), (Vec::new(), 2));
                tx.connection.execute("DELETE FROM records WHERE key = '1'", [])?;
                assert_eq!((difference(None)?, difference(window(0, 999))?), (1, 1));
                Ok(())
            })
            .await;
    }

    #[tokio::test]
    async fn owing_for_a_record_that_is_not_there_is_refused() {
        let world = World::new().await;
        let refused = world
            .store
            .write(|tx| {
                let new = NewObligation {
                    brand: brand(),
                    flow: flow(),
                    kind: Kind::Order,
                    key: "1".into(),
                    record: RecordId(77),
                    revision: 1,
                    captured_at: at(1),
                };
                tx.owe(&new, at(1))
            })
            .await;
        assert!(matches!(refused, Err(StoreError::Absent(_))));
    }

    #[tokio::test]
    async fn the_plans_use_the_indexes() {
        let world = World::new().await;
        world
            .tx(|tx| {
                let plan = |sql: &str| {
                    let mut statement = tx.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
                    let count = statement.parameter_count();
                    let rows = statement.query_map(rusqlite::params_from_iter(vec![1; count]), |row| row.get::<_, String>(3)).unwrap();
                    rows.map(|row| row.unwrap()).collect::<Vec<_>>().join("; ")
                };
                let due = plan(due_rows!());
                assert!(due.contains("obligations_by_state (brand=? AND flow=? AND state=? AND due_at<?)"), "{due}");
                assert!(due.contains("(brand=? AND flow=? AND key=? AND revision<?)") && !due.contains("TEMP B-TREE"), "{due}");
                let latency = plan(
                    "SELECT settled_at - captured_at FROM obligations
                     WHERE brand = ?1 AND flow = ?2 AND state = ?3 AND due_at IS NULL ORDER BY captured_at DESC LIMIT ?4",
                );
                assert!(latency.contains("COVERING INDEX obligations_by_state") && !latency.contains("TEMP B-TREE"), "{latency}");
                let counts = plan(settled_in!());
                let seek = "COVERING INDEX obligations_by_state (brand=? AND flow=? AND state=? AND due_at=? AND captured_at>? AND captured_at<?)";
                assert!(counts.contains(seek), "{counts}");
                let counts = plan(under_way_in!());
                assert!(counts.contains("COVERING INDEX obligations_by_state (brand=? AND flow=? AND state=?)"), "{counts}");
                let flows = plan("SELECT min(flow) FROM obligations WHERE brand = ?1 AND flow > ?2");
                assert!(flows.contains("(brand=? AND flow>?)"), "{flows}");
                Ok(())
            })
            .await;
    }
}
