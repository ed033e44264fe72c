//! 3 · Deliver, in shadow mode: look, read, compare, and write nothing.
//!
//! A flow in shadow mode is given nothing to write with (`engine::Hand`), and its rows go from cleared to compared by a
//! move of their own: never through sending, so that neither a crash nor a change of mode can find a write of theirs to
//! repeat. What another integration made is found, too, where the target offers a way (`Sink::find_alike`).
//!
//! Here also: what a flow is given that was off, or was not there, while others captured from its source.

use futures_util::stream::StreamExt;
use selvedge_connector::{Encoded, Fault, Priority, Raw, Standing};
use selvedge_model::{
    AnyRecord, ExternalId, Kind, Mode, Problem, RecordId,
    compare::{Cause, Difference, compare},
    obligation::{Event, State},
    replay::{Comparison, Verdict},
};
use selvedge_store::{
    Result,
    obligations::{FlowSide, ObligationRow, Step},
};

use crate::{
    backoff::{after, next_try},
    confirm::other_values,
    engine::{Engine, Flow, unless_moved},
    gate::hold,
    pauses,
    stock::demand::{counting, delivered},
};

/// Rows compared in one batch, per slot.
const BATCH_PER_SLOT: usize = 8;
/// Rows entered in one transaction when a flow is given what it missed.
const CATCH_UP_BATCH: usize = 500;

/// What a look came to.
enum Look {
    Compared(Comparison, String),
    Held(Vec<Problem>),
}

/// A document that was found.
struct Document {
    raw: Raw,
    found_by: &'static str,
    /// Others that are called the same.
    others: Vec<ExternalId>,
}

impl Engine {
    /// Compares every cleared row that is due; returns how many.
    pub(crate) async fn compare_cleared(&self, flow: &Flow) -> Result<usize> {
        let parallel = flow.setup.parallel.max(1);
        let mut done = 0;
        while !self.is_stopping() && !self.paused(&flow.setup.to) {
            let (brand, name, now) = (self.brand().clone(), flow.setup.name.clone(), self.now());
            let limit = parallel * BATCH_PER_SLOT;
            let rows = self.store().read(move |view| pauses::due(view, &brand, &name, now, limit)).await?;
            if rows.is_empty() {
                break;
            }
            done += rows.len();
            let mut looks =
                futures_util::stream::iter(rows.into_iter().map(|row| self.compare_one(flow, row))).buffer_unordered(parallel);
            while let Some(result) = looks.next().await {
                result?;
            }
        }
        Ok(done)
    }

    async fn compare_one(&self, flow: &Flow, row: ObligationRow) -> Result<()> {
        let owed = row.clone();
        let record = self.store().read(move |view| view.owed(&owed)).await?;
        let look = match self.look_at(flow, &row, &record).await? {
            Ok(look) => look,
            Err(Fault::Refused { problems, .. }) => Look::Held(problems),
            Err(fault) => {
                self.note_trouble(&flow.setup.to, &fault).await?;
                let now = self.now();
                let due_at = match &fault {
                    Fault::Throttled { wait: Some(wait), .. } => after(now, *wait),
                    _ => next_try(&flow.setup, self.setup().seed, row.id, row.retries, now),
                };
                let why = fault.to_string();
                return self.store().write(move |tx| unless_moved(tx.postpone(row.id, due_at, Some(&why))).map(|_| ())).await;
            }
        };
        self.note_well(&flow.setup.to).await?;
        let (brand, name, now, counting) = (self.brand().clone(), flow.setup.name.clone(), self.now(), counting(self.setup()));
        self.store()
            .write(move |tx| {
                let moved = match &look {
                    Look::Held(problems) => hold(tx, &brand, &name, row.id, "compare", problems, now),
                    Look::Compared(comparison, note) => tx.compared(row.id, comparison, note, now).and_then(|()| {
                        // Whoever brought it there: the source has taken it in.
                        if comparison.target.is_some() { delivered(tx, &counting, &name, row.record, now) } else { Ok(()) }
                    }),
                };
                unless_moved(moved).map(|_| ())
            })
            .await
    }

    async fn look_at(&self, flow: &Flow, row: &ObligationRow, record: &AnyRecord) -> Result<std::result::Result<Look, Fault>> {
        let (brand, to, kind, key) = (self.brand().clone(), flow.setup.to.clone(), row.kind, row.key.clone());
        let bound = self.store().read(move |view| view.binding(&brand, &to, kind, &key)).await?;
        let standing = match self.standing_there(flow, record, bound).await {
            Ok(standing) => standing,
            Err(fault) => return Ok(Err(fault)),
        };
        let own = standing.as_ref().map(|standing| &standing.raw);
        // What must stand first and does not is made by another flow; until then nothing can be said of the request.
        let is_open = flow.sink.needs(record).is_some_and(|need| row.values.by_key(&need.table, &need.key_text).is_none());
        let encoded = if is_open {
            None
        } else {
            match self.needed(flow, record, &row.values).await {
                Ok(needed) => Some(flow.sink.encode(record, &row.values, Standing { own, needed: needed.as_ref() })),
                Err(fault) => return Ok(Err(fault)),
            }
        };
        Ok(Ok(match standing {
            None => missing(flow, record, encoded),
            Some(standing) => self.standing(flow, row, record, standing, encoded),
        }))
    }

    /// The record's document at the target: by its id, by our key, or by what else names it.
    async fn standing_there(
        &self,
        flow: &Flow,
        record: &AnyRecord,
        bound: Option<ExternalId>,
    ) -> std::result::Result<Option<Document>, Fault> {
        let (id, found_by, others) = match bound {
            Some(id) => (id, "its id", Vec::new()),
            None => match flow.sink.find(record).await? {
                Some(found) => (found.id, "our key", Vec::new()),
                None => {
                    let mut alike = flow.sink.find_alike(record).await?.into_iter().map(|found| found.id);
                    let Some(first) = alike.next() else { return Ok(None) };
                    (first, "what the shop calls it", alike.collect())
                }
            },
        };
        let raws = flow.mirror.fetch(std::slice::from_ref(&id), Priority::Orders).await?;
        Ok(raws.into_iter().next().map(|raw| Document { raw, found_by, others }))
    }

    fn standing(
        &self,
        flow: &Flow,
        row: &ObligationRow,
        record: &AnyRecord,
        standing: Document,
        encoded: Option<std::result::Result<Encoded, Vec<Problem>>>,
    ) -> Look {
        let id = standing.raw.id.clone();
        let actual = flow.mirror.decode(&standing.raw, &row.values);
        let mut differences = match &actual.record {
            Some(there) => {
                let mut differences = compare(record, there, flow.sink.carries());
                differences.extend(other_values(&row.values, &actual.values));
                differences
            }
            None => {
                let why =
                    actual.problems.first().map_or("what stands there could not be read", |problem| problem.message.as_str());
                vec![difference(Cause::Missing, "a document", why)]
            }
        };
        if !standing.others.is_empty() {
            let ids: Vec<&str> = std::iter::once(&id).chain(&standing.others).map(ExternalId::as_str).collect();
            differences.push(difference(Cause::Duplicate, "one document", &ids.join(", ")));
        }
        let (verdict, note) = match (differences.as_slice(), encoded) {
            ([], _) => (Verdict::Equal, format!("{id}, found by {}, stands as it should", standing.found_by)),
            (some, Some(Err(problems))) => {
                let why = problems.first().map_or("", |problem| problem.message.as_str());
                (Verdict::Change, format!("{}, and the target would not take the change: {why}", told(&id, &standing, some)))
            }
            (some, _) => (Verdict::Change, told(&id, &standing, some)),
        };
        let found_by = standing.found_by.to_owned();
        Look::Compared(Comparison { verdict, target: Some(id), found_by, differences }, note)
    }

    /// Gives each flow what was captured from its source while it was off or not there. In shadow mode it is due; a live
    /// flow does not write on its own account what it never was asked for: that is left out by a rule, and a person may
    /// have it go through the gate.
    pub(crate) async fn catch_up(&self) -> Result<()> {
        for flow in &self.flows {
            let side =
                FlowSide { flow: flow.setup.name.clone(), from: flow.setup.from.clone(), kind: flow.setup.kind, off: false };
            let (brand, asked) = (self.brand().clone(), side.clone());
            let missed = self
                .store()
                .read(move |view| {
                    Ok(view.balance(&brand, std::slice::from_ref(&asked), None)?.iter().any(|b| b.difference() > 0))
                })
                .await?;
            if !missed {
                continue;
            }
            let mut last = RecordId(0);
            loop {
                let (brand, side, mode, now) = (self.brand().clone(), side.clone(), flow.setup.mode, self.now());
                let counting = counting(self.setup());
                let entered = self
                    .store()
                    .write(move |tx| {
                        let entered = tx.catch_up(&brand, &side, last, CATCH_UP_BATCH, now)?;
                        for row in entered.iter().filter(|row| mode == Mode::Live && row.state == State::Captured) {
                            let step = Step { note: Some(MISSED.to_owned()), ..Step::default() };
                            tx.step(row.id, Event::Exclude, &step, now)?;
                            crate::stock::demand::excluded(tx, &counting, &side.flow, row.record, now)?;
                            tx.tell(row.id, "capture", "excluded", MISSED, now)?;
                        }
                        Ok(entered)
                    })
                    .await?;
                match entered.last() {
                    Some(row) => last = row.record,
                    None => break,
                }
            }
        }
        Ok(())
    }
}

/// Why a live flow leaves out what it missed.
pub const MISSED: &str = "flow.missed version 1: captured while this flow was off or not there";

fn difference(cause: Cause, expected: &str, actual: &str) -> Difference {
    Difference {
        cause,
        path: "document".to_owned(),
        expected: Some(expected.to_owned()),
        actual: Some(actual.to_owned()),
        money: None,
    }
}

fn told(id: &ExternalId, standing: &Document, differences: &[Difference]) -> String {
    let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    let said: Vec<String> = differences
        .iter()
        .take(10)
        .map(|d| format!("{}: {} here, {} there", d.path, side(&d.expected), side(&d.actual)))
        .collect();
    format!("{id}, found by {}, stands differently: {}", standing.found_by, said.join("; "))
}

/// Nothing stands there.
fn missing(flow: &Flow, record: &AnyRecord, encoded: Option<std::result::Result<Encoded, Vec<Problem>>>) -> Look {
    let none = |verdict, note: String| {
        Look::Compared(Comparison { verdict, target: None, found_by: String::new(), differences: Vec::new() }, note)
    };
    let to = &flow.setup.to;
    match encoded {
        _ if record.is_cancelled() => none(Verdict::Equal, format!("cancelled, and nothing of it stands at {to}")),
        Some(Ok(Encoded::Nothing)) => none(Verdict::Equal, format!("{to} needs no document for it")),
        Some(Ok(Encoded::Put(request))) => none(Verdict::Create, format!("nothing of it stands at {to}: {}", request.what)),
        Some(Err(problems)) => Look::Held(problems),
        None => {
            let first = if record.kind() == Kind::Order { "its customer" } else { "what must stand first" };
            none(Verdict::Create, format!("nothing of it stands at {to}, nor does {first}"))
        }
    }
}
