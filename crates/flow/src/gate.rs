//! 2 · Gate: runs the rules of `model::gate`: cleared, held by one exception, excluded, or not yet.
//!
//! The decision is taken on a consistent view and written in one transaction per batch; a row that
//! a newer revision overtook in between is left to that revision.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use selvedge_model::{
    AnyRecord, Brand, ConnectionName, ExceptionId, Kind, ObligationId, Problem, RecordKey,
    gate::{
        Lookup, Values,
        rules::{self, OrderPolicy, Standing},
    },
    obligation::{Event, State},
};
use selvedge_store::{
    Result, Tx, View,
    captures::CaptureRow,
    mappings::MappingAnswer,
    obligations::{ObligationRow, Step},
    records::{NewRecord, RecordRow},
};

use crate::{
    backoff::after,
    capture::enter,
    engine::{Engine, Flow, unless_moved},
    ports::AnySink,
};

/// Rows decided in one batch.
const BATCH: usize = 100;
/// When a record that is "not yet" is looked at again although the source said nothing.
const NOT_YET: Duration = Duration::from_secs(3600);
/// When a row that needs a list which was never read is looked at again.
const LIST_UNREAD: Duration = Duration::from_secs(1);

/// What the gate decided about one row.
enum Decision {
    Clear(Values),
    Hold(Vec<Problem>),
    /// An exception that holds something this row needs holds this row, too.
    HoldBy(ExceptionId, String),
    Exclude {
        rule: &'static str,
        version: u32,
        reason: String,
    },
    Later {
        after: Duration,
        why: String,
    },
    /// Another record must stand at the target first.
    Need(Box<NewRecord>),
    /// The raw bytes are to be decoded again.
    Decode(Box<CaptureRow>),
}

impl Engine {
    /// Decides rows that are due; returns how many.
    pub(crate) async fn gate(&self, flow: &Flow) -> Result<usize> {
        let (brand, name, now) = (self.brand().clone(), flow.setup.name.clone(), self.now());
        let (sink, policy, to) = (Arc::clone(&flow.sink), flow.setup.policy.clone(), flow.setup.to.clone());
        let decided = self
            .store()
            .read(move |view| {
                let look = Look { view, brand: &brand, to: &to, sink: sink.as_ref(), policy: &policy };
                let mut decided = Vec::new();
                for row in view.due(&brand, &name, State::Captured, now, BATCH)? {
                    decided.push((row.clone(), look.decide(&row)?));
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
    to: &'a ConnectionName,
    sink: &'a dyn AnySink,
    policy: &'a OrderPolicy,
}

impl Look<'_> {
    fn decide(&self, row: &ObligationRow) -> Result<Decision> {
        let record = self.view.record(row.record)?;
        if matches!(record.record, AnyRecord::Unreadable(_)) && self.was_released(row)? {
            return self.decode_again(row, record);
        }
        if !record.problems.is_empty() {
            return Ok(Decision::Hold(record.problems));
        }
        let handed_over = self.view.binding(self.brand, self.to, row.kind, &row.key)?.is_some()
            || self.view.ever_attempted(self.brand, &row.flow, &row.key)?;
        if let AnyRecord::Order(order) = &record.record {
            match rules::check_order(order, self.policy, handed_over) {
                Standing::Fit => {}
                Standing::Unfit(problems) => return Ok(Decision::Hold(problems)),
                Standing::Excluded { rule, version, reason } => return Ok(Decision::Exclude { rule, version, reason }),
                Standing::NotYet(why) => return Ok(Decision::Later { after: NOT_YET, why }),
            }
        }
        self.resolve(&record)
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
    fn resolve(&self, record: &RecordRow) -> Result<Decision> {
        let mut values = Values::default();
        let mut problems: BTreeMap<String, Problem> = BTreeMap::new();
        for lookup in self.sink.lookups(&record.record) {
            let problem = match self.view.answer(self.brand, self.to, &lookup)? {
                MappingAnswer::Is(value) => {
                    values.set(&lookup.table, lookup.key_text(), value);
                    continue;
                }
                _ if lookup.optional => continue,
                MappingAnswer::Nothing if lookup.same_name && self.view.list_read_at(self.to, &lookup.table)?.is_none() => {
                    let why = format!("the list of {} at {} has not been read yet", lookup.table, self.to);
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
        if let Some(need) = self.sink.needs(&record.record) {
            let (kind, key) = (need.record.kind(), need.record.key());
            match self.view.binding(self.brand, self.to, kind, &key)? {
                Some(id) => values.set(&need.table, need.key_text, id.as_str()),
                None => return self.need(record, need.record, kind, &key),
            }
        }
        Ok(Decision::Clear(values))
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
            Decision::Clear(values) => {
                tx.step(row.id, Event::Clear, &Step { values: Some(values.clone()), ..Step::default() }, now)?;
                tx.tell(row.id, "gate", "cleared", "", now)
            }
            Decision::Hold(problems) => hold(tx, brand, flow, row.id, "gate", problems, now),
            Decision::HoldBy(exception, why) => {
                tx.step(row.id, Event::Hold, &Step { exception: Some(*exception), ..Step::default() }, now)?;
                tx.tell(row.id, "gate", "held", why, now)
            }
            Decision::Exclude { rule, version, reason } => {
                let note = format!("{rule} version {version}: {reason}");
                tx.step(row.id, Event::Exclude, &Step { note: Some(note.clone()), ..Step::default() }, now)?;
                crate::stock::demand::excluded(tx, &needs.owing.counting, flow, row.record, now)?;
                tx.tell(row.id, "gate", "excluded", &note, now)
            }
            Decision::Later { after: wait, why } => tx.postpone(row.id, after(now, *wait), Some(why)),
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
