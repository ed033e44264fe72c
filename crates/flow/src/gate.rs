//! 2 · Gate: runs the rules of `model::gate`: cleared, held by one exception, excluded, or not yet.
//!
//! The decision is taken on a consistent view and written in one transaction per batch; a row that
//! a newer revision overtook in between is left to that revision.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use selvedge_connector::Needed;
use selvedge_model::{
    AnyRecord, Brand, ConnectionName, ExceptionId, FlowName, Kind, ObligationId, Problem, RecordKey,
    gate::{
        Lookup, Values,
        rules::{self, Standing},
    },
    obligation::{Event, State},
};
use selvedge_store::{
    Result, Tx, View,
    captures::CaptureRow,
    mappings::MappingAnswer,
    obligations::{ObligationRow, Step},
    records::{NewRecord, RecordRow},
    routed::RoutedLine,
};

use crate::{
    FlowSetup,
    backoff::after,
    capture::enter,
    engine::{Engine, Flow, unless_moved},
    ports::AnySink,
    prepare::{Bench, Prepared, Ready},
};

/// Rows decided in one batch.
const BATCH: usize = 100;
/// When a record that is "not yet" is looked at again although the source said nothing.
const NOT_YET: Duration = Duration::from_secs(3600);
/// When a row that needs a list which was never read is looked at again.
const LIST_UNREAD: Duration = Duration::from_secs(1);

/// What the gate decided about one row.
enum Decision {
    Clear(Box<Cleared>),
    Hold(Vec<Problem>),
    /// An exception that holds something this row needs holds this row, too.
    HoldBy(ExceptionId, String),
    Exclude {
        rule: &'static str,
        version: u32,
        reason: String,
        routed: Vec<RoutedLine>,
    },
    Later {
        after: Duration,
        why: String,
    },
    /// Another record must stand at the target first.
    Need(Box<NewRecord>),
    /// The document of another obligation must stand at the target first.
    WaitFor(ObligationId, String),
    /// The raw bytes are to be decoded again.
    Decode(Box<CaptureRow>),
}

/// What a row that may pass takes along.
struct Cleared {
    values: Values,
    /// The record as it was made ready, where it does not go as it came.
    ready: Option<Ready>,
}

impl Engine {
    /// Decides rows that are due; returns how many.
    pub(crate) async fn gate(&self, flow: &Flow) -> Result<usize> {
        let (brand, name, now) = (self.brand().clone(), flow.setup.name.clone(), self.now());
        let (sink, setup) = (Arc::clone(&flow.sink), flow.setup.clone());
        let beside: Vec<(FlowName, Kind)> =
            self.flows.iter().filter(|f| f.setup.to == flow.setup.to).map(|f| (f.setup.name.clone(), f.setup.kind)).collect();
        let flows: Vec<(FlowName, ConnectionName)> =
            self.flows.iter().map(|f| (f.setup.name.clone(), f.setup.to.clone())).collect();
        // What one flow gives a shipment the next must see, or two warehouses' shipments would be given the same units.
        let _turn = if flow.setup.kind == Kind::Shipment { Some(self.shipments_gate.lock().await) } else { None };
        let decided = self
            .store()
            .read(move |view| {
                let look = Look { view, brand: &brand, setup: &setup, beside: &beside, flows: &flows, sink: sink.as_ref(), now };
                let mut decided = Vec::new();
                let mut orders = BTreeSet::new();
                for row in view.due(&brand, &name, State::Captured, now, BATCH)? {
                    let record = view.record(row.record)?;
                    // Two shipments of one order share what it still wants: the second sees what the first was given.
                    let of_order = record.record.order().filter(|_| row.kind == Kind::Shipment);
                    if of_order.is_none_or(|order| orders.insert(order.clone())) {
                        let decision = look.decide(&row, record)?;
                        decided.push((row, decision));
                    }
                }
                Ok(decided)
            })
            .await?;
        let count = decided.len();
        if count == 0 {
            return Ok(0);
        }
        let decided: Vec<(ObligationRow, Written)> =
            decided.into_iter().map(|(row, decision)| (row, self.prepare(decision))).collect();
        let owing = self.owing();
        let customers = self
            .flows
            .iter()
            .find(|f| f.setup.kind == Kind::Customer && f.setup.to == flow.setup.to)
            .map(|f| f.setup.name.clone());
        let (brand, flow_name) = (self.brand().clone(), flow.setup.name.clone());
        self.store()
            .write(move |tx| {
                for (row, written) in &decided {
                    let needs = Needs { flow: customers.as_ref(), owing: &owing };
                    unless_moved(write_down(tx, &brand, &flow_name, row, written, &needs, now))?;
                }
                Ok(())
            })
            .await?;
        Ok(count)
    }

    /// Decoding needs the connectors, so it happens between the view and the transaction.
    fn prepare(&self, decision: Decision) -> Written {
        match decision {
            Decision::Decode(capture) => Written::Decoded(Box::new(self.decode_one(*capture).0)),
            other => Written::Plain(other),
        }
    }
}

enum Written {
    Plain(Decision),
    Decoded(Box<NewRecord>),
}

/// What a decision is taken on.
struct Look<'a> {
    view: &'a View<'a>,
    brand: &'a Brand,
    setup: &'a FlowSetup,
    /// The flows to the same target, and what they bring there.
    beside: &'a [(FlowName, Kind)],
    /// Every flow with the connection that it leads to.
    flows: &'a [(FlowName, ConnectionName)],
    sink: &'a dyn AnySink,
    now: Timestamp,
}

impl Look<'_> {
    fn decide(&self, row: &ObligationRow, record: RecordRow) -> Result<Decision> {
        if matches!(record.record, AnyRecord::Unreadable(_)) && self.was_released(row)? {
            return self.decode_again(row, record);
        }
        if !record.problems.is_empty() {
            return Ok(Decision::Hold(record.problems));
        }
        let handed_over = self.view.binding(self.brand, &self.setup.to, row.kind, &row.key)?.is_some()
            || self.view.ever_attempted(self.brand, &row.flow, &row.key)?;
        if let AnyRecord::Order(order) = &record.record {
            match rules::check_order(order, &self.setup.policy, handed_over) {
                Standing::Fit => {}
                Standing::Unfit(problems) => return Ok(Decision::Hold(problems)),
                Standing::Excluded { rule, version, reason } => {
                    return Ok(Decision::Exclude { rule, version, reason, routed: Vec::new() });
                }
                Standing::NotYet(why) => return Ok(Decision::Later { after: NOT_YET, why }),
            }
        }
        if record.record.is_cancelled() && !handed_over {
            let reason = "taken back before it was handed over".to_owned();
            return Ok(Decision::Exclude { rule: "status.cancelled", version: 1, reason, routed: Vec::new() });
        }
        let bench = Bench { view: self.view, brand: self.brand, flow: &self.setup.name, flows: self.flows, now: self.now };
        match bench.prepare(row, &record, self.setup, handed_over)? {
            Prepared::AsItIs => self.resolve(&record, None),
            Prepared::As(ready) => self.resolve(&record, Some(*ready)),
            Prepared::Unfit(problems) => Ok(Decision::Hold(problems)),
            Prepared::Excluded { rule, version, reason, routed } => Ok(Decision::Exclude { rule, version, reason, routed }),
            Prepared::Later { after, why } => Ok(Decision::Later { after, why }),
        }
    }

    /// Whether a person sent the row back to the gate after it had been held.
    fn was_released(&self, row: &ObligationRow) -> Result<bool> {
        Ok(self.view.story(row.id)?.iter().any(|line| line.outcome == "held"))
    }

    fn decode_again(&self, row: &ObligationRow, record: RecordRow) -> Result<Decision> {
        let Some(capture) = record.capture else { return Ok(Decision::Hold(record.problems)) };
        Ok(Decision::Decode(Box::new(CaptureRow {
            id: capture,
            connection: record.connection,
            kind: row.kind,
            external_id: selvedge_model::ExternalId::new(row.key.as_str()),
            version: record.version,
            body: self.view.capture_body(capture)?,
            via: "release".to_owned(),
            received_at: record.received_at,
        })))
    }

    /// Every mapped value, and the record that must stand first.
    fn resolve(&self, record: &RecordRow, ready: Option<Ready>) -> Result<Decision> {
        let goes = ready.as_ref().map_or(&record.record, |ready| &ready.record);
        let mut values = Values::default();
        let mut problems: BTreeMap<String, Problem> = BTreeMap::new();
        for lookup in self.sink.lookups(goes) {
            let problem = match self.view.answer(self.brand, &self.setup.to, &lookup)? {
                MappingAnswer::Is(value) => {
                    values.set(&lookup.table, lookup.key_text(), value);
                    continue;
                }
                _ if lookup.optional => continue,
                MappingAnswer::Nothing
                    if lookup.same_name && self.view.list_read_at(&self.setup.to, &lookup.table)?.is_none() =>
                {
                    let why = format!("the list of {} at {} has not been read yet", lookup.table, self.setup.to);
                    return Ok(Decision::Later { after: LIST_UNREAD, why });
                }
                MappingAnswer::Nothing => lookup.missing(),
                MappingAnswer::Inactive(id) => inactive(&lookup, &id),
                MappingAnswer::Ambiguous(ids) => ambiguous(&lookup, &ids),
            };
            problems.entry(problem.cause.clone()).or_insert(problem);
        }
        if !problems.is_empty() {
            return Ok(Decision::Hold(problems.into_values().collect()));
        }
        if let Some(need) = self.sink.needs(goes) {
            let (kind, key) = match &need.what {
                Needed::Record(needed) => (needed.kind(), needed.key()),
                Needed::Document { kind, key } => (*kind, key.clone()),
            };
            match (self.view.binding(self.brand, &self.setup.to, kind, &key)?, need.what) {
                (Some(id), _) => values.set(&need.table, need.key_text, id.as_str()),
                (None, Needed::Record(needed)) => return self.need(record, needed, kind, &key),
                (None, Needed::Document { .. }) => return self.document(kind, &key),
            }
        }
        Ok(Decision::Clear(Box::new(Cleared { values, ready })))
    }

    /// A document that another flow brings here: waited for, or why it never comes.
    fn document(&self, kind: Kind, key: &RecordKey) -> Result<Decision> {
        let brings = |flow: &FlowName| self.beside.iter().any(|(name, of)| name == flow && *of == kind);
        let rows = self.view.obligations_of(self.brand, kind, key)?;
        let Some(newest) = rows.iter().rev().find(|row| brings(&row.flow)) else {
            return Ok(Decision::Hold(vec![never_comes(kind, key, &self.setup.to, "no flow brings it there")]));
        };
        Ok(match (newest.state, newest.exception) {
            (State::Held, Some(exception)) => Decision::HoldBy(exception, format!("{kind} {key} is held by {exception}")),
            (state, _) if state.in_flight() => Decision::WaitFor(newest.id, format!("for {kind} {key} to stand first")),
            // Settled, and yet nothing stands: it was left out on purpose.
            (state, _) => {
                let why = format!("it is {} there: {}", state.word(), newest.note.as_deref().unwrap_or("nothing is said why"));
                Decision::Hold(vec![never_comes(kind, key, &self.setup.to, &why)])
            }
        })
    }

    fn need(&self, record: &RecordRow, needed: AnyRecord, kind: Kind, key: &RecordKey) -> Result<Decision> {
        for other in self.view.obligations_of(self.brand, kind, key)? {
            if let (State::Held, Some(exception)) = (other.state, other.exception) {
                return Ok(Decision::HoldBy(exception, format!("{kind} {key} is held by {exception}")));
            }
        }
        Ok(Decision::Need(Box::new(NewRecord {
            brand: self.brand.clone(),
            connection: record.connection.clone(),
            capture: record.capture,
            record: needed,
            problems: Vec::new(),
            version: record.version,
            received_at: record.received_at,
        })))
    }
}

fn never_comes(kind: Kind, key: &RecordKey, to: &ConnectionName, why: &str) -> Problem {
    Problem::new(
        "needed.missing",
        "",
        format!("{kind} {key} does not stand at {to}, and this needs it: {why}"),
        "Bring it there (a flow of that kind, or by hand and release), or dismiss this with a reason.",
    )
    .value(key.as_str())
    .cause(key.as_str())
}

fn inactive(lookup: &Lookup, id: &str) -> Problem {
    let mut problem = lookup.missing();
    problem.message = format!("{} stands for {id} there, which is inactive", lookup.key_text());
    problem.remedy =
        format!("Make {id} active there, or map another: selvedge mappings set {} '{}' ID", lookup.table, lookup.key_text());
    problem
}

fn ambiguous(lookup: &Lookup, ids: &[String]) -> Problem {
    let mut problem = lookup.missing();
    problem.message = format!("{} could stand for any of {}", lookup.key_text(), ids.join(", "));
    problem.remedy = format!("Say which: selvedge mappings set {} '{}' ID", lookup.table, lookup.key_text());
    problem
}

/// What is needed to owe a record that must stand first.
struct Needs<'a> {
    flow: Option<&'a selvedge_model::FlowName>,
    owing: &'a crate::capture::Owing,
}

fn write_down(
    tx: &Tx<'_>,
    brand: &Brand,
    flow: &selvedge_model::FlowName,
    row: &ObligationRow,
    written: &Written,
    needs: &Needs<'_>,
    now: Timestamp,
) -> Result<()> {
    match written {
        Written::Decoded(new) if matches!(new.record, AnyRecord::Unreadable(_)) => {
            hold(tx, brand, flow, row.id, "gate", &new.problems, now)
        }
        // A record at last: its first revision takes the place of the stand-in.
        Written::Decoded(new) => enter(tx, needs.owing, brand, new, now),
        Written::Plain(decision) => match decision {
            Decision::Clear(cleared) => {
                let mut step = Step { values: Some(cleared.values.clone()), ..Step::default() };
                if let Some(ready) = &cleared.ready {
                    if !tx.route(brand, &row.key, &ready.routed, now)? {
                        return tx.postpone(row.id, now, None);
                    }
                    step.prepared = Some(ready.record.clone());
                }
                tx.step(row.id, Event::Clear, &step, now)?;
                if let Some(ready) = &cleared.ready {
                    for remark in &ready.remarks {
                        tx.tell(row.id, "gate", "remarked", remark, now)?;
                    }
                    tx.forget_accepted(brand, flow, &row.key, &ready.forgotten)?;
                    if let Some(promise) = &ready.promise {
                        tx.promise(promise, now)?;
                    } else if let Some(order) = ready.record.order() {
                        // A shipment was given its lines, or an order was taken back.
                        tx.promise_moved(brand, order, now)?;
                    }
                }
                tx.tell(row.id, "gate", "cleared", "", now)
            }
            Decision::Hold(problems) => hold(tx, brand, flow, row.id, "gate", problems, now),
            Decision::HoldBy(exception, why) => {
                tx.step(row.id, Event::Hold, &Step { exception: Some(*exception), ..Step::default() }, now)?;
                tx.tell(row.id, "gate", "held", why, now)
            }
            Decision::Exclude { rule, version, reason, routed } => {
                if !tx.route(brand, &row.key, routed, now)? {
                    return tx.postpone(row.id, now, None);
                }
                let note = format!("{rule} version {version}: {reason}");
                tx.step(row.id, Event::Exclude, &Step { note: Some(note.clone()), ..Step::default() }, now)?;
                crate::stock::demand::excluded(tx, &needs.owing.counting, flow, row.record, now)?;
                tx.tell(row.id, "gate", "excluded", &note, now)
            }
            Decision::Later { after: wait, why } => tx.postpone(row.id, after(now, *wait), Some(why)),
            Decision::WaitFor(other, why) => {
                tx.wait_for(row.id, *other)?;
                tx.tell(row.id, "gate", "waits", why, now)
            }
            Decision::Need(new) => {
                enter(tx, needs.owing, brand, new, now)?;
                let Some(needed) =
                    needs.flow.map(|flow| tx.obligation_latest(brand, flow, &new.record.key())).transpose()?.flatten()
                else {
                    let problem = Problem::new(
                        "flow.missing",
                        "",
                        format!(
                            "{} {} must stand at the target first, and no flow brings it there",
                            new.record.kind(),
                            new.record.key()
                        ),
                        "Add a flow of that kind with the same target, or map a generic one.",
                    );
                    return hold(tx, brand, flow, row.id, "gate", &[problem], now);
                };
                if needed.state == State::Confirmed {
                    // Confirmed since the view was taken.
                    return tx.postpone(row.id, now, None);
                }
                tx.wait_for(row.id, needed.id)?;
                tx.tell(row.id, "gate", "waits", &format!("for {} {} to stand first", new.record.kind(), new.record.key()), now)
            }
            Decision::Decode(_) => Ok(()),
        },
    }
}

/// Holds a row by the exception of its first problem; the story names them all.
pub(crate) fn hold(
    tx: &Tx<'_>,
    brand: &Brand,
    flow: &selvedge_model::FlowName,
    id: ObligationId,
    verb: &str,
    problems: &[Problem],
    now: Timestamp,
) -> Result<()> {
    let Some(first) = problems.first() else { return Ok(()) };
    let exception = tx.raise(brand, flow, first, now)?;
    tx.step(id, Event::Hold, &Step { exception: Some(exception), ..Step::default() }, now)?;
    let all: Vec<String> = problems
        .iter()
        .map(|p| match &p.value {
            Some(value) => format!("{} at {} ({value}): {} {}", p.rule, p.path, p.message, p.remedy),
            None => format!("{} at {}: {} {}", p.rule, p.path, p.message, p.remedy),
        })
        .collect();
    tx.tell(id, verb, "held", &all.join(" · "), now)
}
