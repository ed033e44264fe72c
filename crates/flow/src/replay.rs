//! What the gate and the encoder would make of recorded documents, under one set of rules and under another.
//!
//! Nothing is written, nobody is asked: the raw bytes are decoded anew, decided on a view of the store and encoded as if
//! nothing stood at the target yet. Both sides see the same store, so only the rules and the mappings make a difference.
//! What has to stand first and does not is taken to stand: the replay asks about the rules, not about the day.

use std::sync::Arc;

use jiff::Timestamp;
use selvedge_connector::{Encoded, Needed, Standing};
use selvedge_model::{
    AnyRecord, CaptureId, FlowName, Kind, Money, ObligationId, Problem, RecordId, RecordKey,
    obligation::State,
    replay::{Effect, Outcome, compare},
};
use selvedge_store::{
    Result, Store, View,
    captures::CaptureRow,
    mappings::MappingSet,
    obligations::ObligationRow,
    records::{NewRecord, RecordRow},
};
use serde_json::json;

use crate::{
    engine::{Engine, Flow},
    gate::{Decision, Look, Words},
};

/// Captures replayed in one look at the store: their bytes stay a few megabytes.
const PAGE: usize = 50;

/// One set of rules: a wired engine that nobody runs, and the mappings that it would be given.
#[derive(Clone)]
pub struct Trial {
    /// The rules.
    pub engine: Arc<Engine>,
    /// The mappings; those in force if `None`.
    pub mappings: Option<Arc<MappingSet>>,
}

/// What one record comes to in one flow.
#[derive(Clone, Debug)]
pub struct Foreseen {
    /// The flow.
    pub flow: FlowName,
    /// Of which kind.
    pub kind: Kind,
    /// Our key.
    pub key: RecordKey,
    /// What it is worth.
    pub worth: Option<Money>,
    /// What becomes of it.
    pub outcome: Outcome,
}

/// What the new rules are held against.
#[derive(Clone)]
pub enum Before {
    /// Other rules.
    Rules(Trial),
    /// What was delivered, or held, when it was.
    Delivered,
}

/// One record that was replayed.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// The flow.
    pub flow: FlowName,
    /// Our key.
    pub key: RecordKey,
    /// What it is worth.
    pub worth: Option<Money>,
    /// What the new rules do to it.
    pub effect: Effect,
    /// Its newest obligation in that flow, where there is one.
    pub obligation: Option<ObligationId>,
    /// Whether the new rules let it pass.
    pub passes: bool,
}

/// Recorded documents under other rules.
#[derive(Clone)]
pub struct Replay {
    /// The rules as they were.
    pub before: Before,
    /// The rules as they would be.
    pub after: Trial,
    /// Documents that arrived since.
    pub since: Timestamp,
    /// Only this flow.
    pub flow: Option<FlowName>,
}

/// How far a page of captures went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reached {
    capture: CaptureId,
    received_at: Timestamp,
    documents: usize,
}

impl Replay {
    /// Replays up to `documents_max` documents, the oldest first. `None` if that was all of them; else when the last one that was
    /// looked at arrived.
    ///
    /// # Errors
    /// The store's.
    pub async fn each(&self, store: &Store, documents_max: usize, mut take: impl FnMut(Replayed)) -> Result<Option<Timestamp>> {
        let (mut last, mut documents) = (None::<Reached>, 0);
        loop {
            let (replay, after) = (self.clone(), last.map_or(CaptureId(0), |last| last.capture));
            let limit = documents_max.saturating_sub(documents).min(PAGE);
            let (page, reached) = store
                .read(move |view| {
                    let mut page = Vec::new();
                    let reached = replay.page(view, after, limit, &mut |one| page.push(one))?;
                    Ok((page, reached))
                })
                .await?;
            match (reached, last) {
                (None, _) => return Ok(None),
                (Some(_), Some(last)) if limit == 0 => return Ok(Some(last.received_at)),
                (Some(reached), _) => {
                    page.into_iter().for_each(&mut take);
                    documents = documents.saturating_add(reached.documents);
                    last = Some(reached);
                }
            }
        }
    }

    /// Replays the next page of captures; how far it went, unless there was nothing. A page of none only looks whether there is more.
    fn page(&self, view: &View<'_>, after: CaptureId, limit: usize, each: &mut dyn FnMut(Replayed)) -> Result<Option<Reached>> {
        let brand = self.after.engine.brand();
        let from = self.flow.as_ref().and_then(|flow| self.after.engine.flows.iter().find(|one| one.setup.name == *flow));
        let from = from.map(|flow| &flow.setup.from);
        let captures = view.captures_since(brand, from, self.since, after, limit.max(1))?;
        let reached =
            captures.last().map(|last| Reached { capture: last.id, received_at: last.received_at, documents: captures.len() });
        if limit == 0 {
            return Ok(reached);
        }
        for capture in &captures {
            let then = self.after.foresee(view, capture)?;
            let now = match &self.before {
                Before::Rules(trial) => trial.foresee(view, capture)?,
                Before::Delivered => Vec::new(),
            };
            // A flow that one of the two does not have, or has switched off, has nothing to be compared with.
            for then in then.into_iter().filter(|then| self.flow.as_ref().is_none_or(|flow| *flow == then.flow)) {
                let newest = view.obligation_latest(brand, &then.flow, &then.key)?;
                let before = match &self.before {
                    Before::Rules(_) => {
                        now.iter().find(|now| now.flow == then.flow && now.key == then.key).map(|now| now.outcome.clone())
                    }
                    Before::Delivered => newest.as_ref().map(|row| self.after.delivered(view, row)).transpose()?.flatten(),
                };
                let Some(before) = before else { continue };
                each(Replayed {
                    effect: compare(&before, &then.outcome),
                    obligation: newest.map(|row| row.id),
                    passes: matches!(then.outcome, Outcome::Goes { .. }),
                    flow: then.flow,
                    key: then.key,
                    worth: then.worth,
                });
            }
        }
        Ok(reached)
    }
}

impl Trial {
    /// What each flow would do with a recorded document, if it came now.
    ///
    /// # Errors
    /// The store's.
    pub fn foresee(&self, view: &View<'_>, capture: &CaptureRow) -> Result<Vec<Foreseen>> {
        let mut all = Vec::new();
        for new in self.engine.decode_one(capture.clone()) {
            for flow in &self.engine.flows {
                if flow.setup.from == new.connection && flow.setup.kind == new.record.kind() {
                    self.in_flow(view, flow, new.clone(), &mut all)?;
                }
            }
        }
        Ok(all)
    }

    fn in_flow(&self, view: &View<'_>, flow: &Flow, new: NewRecord, all: &mut Vec<Foreseen>) -> Result<()> {
        let (kind, key, worth) = (new.record.kind(), new.record.key(), worth(&new.record));
        let outcome = self.outcome(view, flow, &new)?;
        if let Outcome::Goes { record, .. } = &outcome
            && let Some(Needed::Record(first)) = flow.sink.needs(record).map(|need| need.what)
            && let Some(bringing) = self.engine.flows.iter().find(|f| f.setup.to == flow.setup.to && f.setup.kind == first.kind())
        {
            self.in_flow(view, bringing, NewRecord { record: first, problems: Vec::new(), ..new }, all)?;
        }
        all.push(Foreseen { flow: flow.setup.name.clone(), kind, key, worth, outcome });
        Ok(())
    }

    fn outcome(&self, view: &View<'_>, flow: &Flow, new: &NewRecord) -> Result<Outcome> {
        let engine = &self.engine;
        let beside = engine.beside(flow);
        let flows: Vec<_> = engine.flows.iter().map(|f| (f.setup.name.clone(), f.setup.to.clone())).collect();
        let shops = engine.shops(&flow.setup.to);
        let sources: Vec<_> = engine.flows.iter().map(|f| (f.setup.from.clone(), f.setup.kind)).collect();
        let look = Look {
            view,
            brand: engine.brand(),
            setup: &flow.setup,
            beside: &beside,
            flows: &flows,
            shops: &shops,
            sources: &sources,
            sink: flow.sink.as_ref(),
            words: Words::Foreseen(self.mappings.as_deref()),
            now: engine.now(),
        };
        let row = match view.obligation_latest(engine.brand(), &flow.setup.name, &new.record.key())? {
            Some(row) => row,
            None => never_owed(flow, new),
        };
        let record = RecordRow {
            id: row.record,
            connection: new.connection.clone(),
            revision: row.revision,
            record: new.record.clone(),
            problems: new.problems.clone(),
            version: new.version,
            received_at: new.received_at,
            capture: new.capture,
        };
        Ok(told(flow, look.decide(&row, record)?, new))
    }

    /// What was made of an obligation when it went, or why it did not go.
    fn delivered(&self, view: &View<'_>, row: &ObligationRow) -> Result<Option<Outcome>> {
        let Some(flow) = self.engine.flows.iter().find(|flow| flow.setup.name == row.flow) else { return Ok(None) };
        Ok(Some(match (row.state, row.exception) {
            (State::Held, Some(exception)) => Outcome::Held { problems: vec![view.exception(exception)?.problem] },
            (State::Captured, _) => Outcome::Waits { reason: row.note.clone().unwrap_or_default() },
            (State::Excluded | State::Dismissed | State::Superseded | State::Held, _) => {
                Outcome::Excluded { reason: row.note.clone().unwrap_or_default() }
            }
            _ => {
                let record = view.owed(row)?;
                let request = request(flow, &record, &row.values).unwrap_or_default();
                Outcome::Goes { record: Box::new(record), values: row.values.clone(), request }
            }
        }))
    }
}

fn worth(record: &AnyRecord) -> Option<Money> {
    match record {
        AnyRecord::Order(order) => Some(order.totals.gross),
        AnyRecord::CreditNote(credit) => Some(credit.totals.gross),
        AnyRecord::Refund(refund) => Some(refund.amount),
        _ => None,
    }
}

/// An obligation for a record that nobody was ever owed.
fn never_owed(flow: &Flow, new: &NewRecord) -> ObligationRow {
    ObligationRow {
        id: ObligationId(0),
        flow: flow.setup.name.clone(),
        kind: new.record.kind(),
        key: new.record.key(),
        record: RecordId(0),
        revision: 1,
        state: State::Captured,
        attempts: 0,
        retries: 0,
        target: None,
        exception: None,
        values: Default::default(),
        note: None,
        captured_at: new.received_at,
        due_at: new.received_at,
        settled_at: None,
        waits_for: None,
    }
}

fn told(flow: &Flow, decision: Decision, new: &NewRecord) -> Outcome {
    match decision {
        Decision::Clear(cleared) => {
            let record = cleared.ready.map_or_else(|| new.record.clone(), |ready| ready.record);
            match request(flow, &record, &cleared.values) {
                Ok(request) => Outcome::Goes { record: Box::new(record), values: cleared.values, request },
                Err(problems) => Outcome::Held { problems },
            }
        }
        Decision::Hold(problems) => Outcome::Held { problems },
        Decision::HoldBy(_, _, why) => {
            Outcome::Held { problems: vec![Problem::new("needed.held", "", why, "Release what it needs.")] }
        }
        Decision::Exclude { rule, version, reason, .. } => {
            Outcome::Excluded { reason: format!("{rule} version {version}: {reason}") }
        }
        Decision::Split { reason, .. } => Outcome::Excluded { reason },
        Decision::Later { why, .. } | Decision::WaitFor(_, why) => Outcome::Waits { reason: why },
        Decision::Need(first) => {
            Outcome::Waits { reason: format!("for {} {} to stand first", first.record.kind(), first.record.key()) }
        }
        Decision::Decode(_) => Outcome::Held { problems: new.problems.clone() },
        Decision::Claiming(_, decision) | Decision::Overtaken(_, decision) => told(flow, *decision, new),
    }
}

/// The request that would make the record stand. None where the target needs no document, or where the request cannot be
/// written without another document at hand.
fn request(
    flow: &Flow,
    record: &AnyRecord,
    values: &selvedge_model::gate::Values,
) -> std::result::Result<Option<serde_json::Value>, Vec<Problem>> {
    let reads_another = flow
        .sink
        .needs(record)
        .is_some_and(|need| matches!(need.what, Needed::Document { .. } | Needed::Record(AnyRecord::Return(_))));
    match flow.sink.encode(record, values, Standing::default()) {
        Ok(Encoded::Put(request)) => Ok(Some(json!({ "method": request.method, "path": request.path, "body": request.body }))),
        Ok(Encoded::Nothing) => Ok(None),
        Err(_) if reads_another => Ok(None),
        Err(problems) => Err(problems),
    }
}
