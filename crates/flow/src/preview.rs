//! What a release would do, before anybody does it: the gate looks at what is held, with the mappings as they are or with one
//! more, and nothing is written.

use std::{collections::BTreeMap, sync::Arc};

use schemars::JsonSchema;
use selvedge_model::{ExceptionId, FlowName, Kind, Money, ObligationId, RecordKey, people::MapEntry};
use selvedge_store::{Result, StoreError, View, obligations::ObligationRow};
use serde::Serialize;

use crate::{
    engine::{Engine, Flow},
    gate::{Decision, Look, Words},
    ports::AnySink,
};

/// Of how many held records the gate is asked.
const ASKED_MAX: usize = 200;

/// What the gate would say of what an exception holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Preview {
    /// How much it holds.
    pub records: u64,
    /// What that is worth, an amount for each currency.
    pub money: Vec<Money>,
    /// People behind it.
    pub customers: u64,
    /// Of how many the gate was asked, the oldest: fewer where it holds very many, none where it holds no records but
    /// figures, promises or halves.
    pub asked: u64,
    /// Of these, how many would pass.
    pub passes: u64,
    /// How many would wait for something else to stand first, or for their time.
    pub waits: u64,
    /// How many a rule would leave out.
    pub excluded: u64,
    /// How many would be held again, by cause.
    pub held: Vec<HeldAgain>,
    /// Which goes first, where one does.
    pub canary: Option<Canary>,
}

/// A cause by which records would be held again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HeldAgain {
    /// The root cause.
    pub cause: String,
    /// What is wrong.
    pub message: String,
    /// How many of those that the gate was asked of.
    pub records: u64,
}

/// The record that goes first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Canary {
    /// Its obligation.
    pub obligation: ObligationId,
    /// Of which kind.
    pub kind: Kind,
    /// Our key.
    pub key: RecordKey,
}

/// What is foreseen of one record.
enum Foreseen {
    Passes,
    Waits,
    Excluded,
    Held { cause: String, message: String },
}

fn foreseen(decision: Decision) -> Foreseen {
    match decision {
        Decision::Clear(_) | Decision::Need(_) => Foreseen::Passes,
        Decision::Hold(problems) => match problems.into_iter().next() {
            Some(first) => Foreseen::Held { cause: first.cause, message: first.message },
            None => Foreseen::Waits,
        },
        Decision::HoldBy(_, exception, why) => Foreseen::Held { cause: exception.to_string(), message: why },
        Decision::Exclude { .. } | Decision::Split { .. } => Foreseen::Excluded,
        // What did not read is read again first.
        Decision::Later { .. } | Decision::WaitFor(..) | Decision::Decode(_) => Foreseen::Waits,
        Decision::Claiming(_, decision) | Decision::Overtaken(_, decision) => foreseen(*decision),
    }
}

/// What the gate of one flow looks with.
struct Gate {
    flow: Flow,
    beside: Vec<crate::gate::Beside>,
    shops: Vec<(selvedge_model::ConnectionName, Option<jiff::Timestamp>)>,
}

impl Engine {
    /// What a release of an exception would do now, or once this mapping is set. At most the oldest 200 records are asked of.
    ///
    /// # Errors
    /// [`StoreError::Absent`] when there is no such exception.
    pub async fn preview(&self, id: ExceptionId, entry: Option<MapEntry>) -> Result<Preview> {
        let brand = self.brand().clone();
        if !self.store().read(move |view| view.is_exception_of(&brand, id)).await? {
            return Err(StoreError::Absent(id.to_string()));
        }
        let gates: BTreeMap<FlowName, Gate> = self
            .flows
            .iter()
            .map(|flow| {
                let gate = Gate { flow: flow.clone(), beside: self.beside(flow), shops: self.shops(&flow.setup.to) };
                (flow.setup.name.clone(), gate)
            })
            .collect();
        let flows: Vec<_> = self.flows.iter().map(|f| (f.setup.name.clone(), f.setup.to.clone())).collect();
        let sources: Vec<_> = self.flows.iter().map(|f| (f.setup.from.clone(), f.setup.kind)).collect();
        let (brand, now) = (self.brand().clone(), self.now());
        self.store()
            .read(move |view| {
                view.exception(id)?;
                let set = entry.map(|entry| view.mappings_with(&brand, [entry])).transpose()?;
                let radius = view.radius(id)?;
                let mut preview = Preview {
                    records: radius.records,
                    money: radius.money,
                    customers: radius.customers,
                    asked: 0,
                    passes: 0,
                    waits: 0,
                    excluded: 0,
                    held: Vec::new(),
                    canary: None,
                };
                let mut held: BTreeMap<String, HeldAgain> = BTreeMap::new();
                let mut firsts = Vec::new();
                for obligation in view.held_ids(id, ASKED_MAX)? {
                    let row = view.obligation(obligation)?;
                    preview.asked += 1;
                    // Held on account of another: it goes with that one.
                    if row.waits_for.is_some() {
                        preview.waits += 1;
                        continue;
                    }
                    firsts.push(Canary { obligation: row.id, kind: row.kind, key: row.key.clone() });
                    let Some(gate) = gates.get(&row.flow) else {
                        preview.waits += 1;
                        continue;
                    };
                    let sink: Arc<dyn AnySink> = Arc::clone(&gate.flow.sink);
                    let look = Look {
                        view,
                        brand: &brand,
                        setup: &gate.flow.setup,
                        beside: &gate.beside,
                        flows: &flows,
                        shops: &gate.shops,
                        sources: &sources,
                        sink: sink.as_ref(),
                        words: set.as_ref().map_or(Words::InForce, Words::Among),
                        now,
                    };
                    match foreseen(asked(view, &look, &row)?) {
                        Foreseen::Passes => preview.passes += 1,
                        Foreseen::Waits => preview.waits += 1,
                        Foreseen::Excluded => preview.excluded += 1,
                        Foreseen::Held { cause, message } => {
                            held.entry(cause.clone()).or_insert(HeldAgain { cause, message, records: 0 }).records += 1;
                        }
                    }
                }
                preview.held = held.into_values().collect();
                preview.held.sort_by_key(|again| std::cmp::Reverse(again.records));
                if firsts.len() > 1 {
                    preview.canary = firsts.into_iter().next();
                }
                Ok(preview)
            })
            .await
    }
}

fn asked(view: &View<'_>, look: &Look<'_>, row: &ObligationRow) -> Result<Decision> {
    match view.record(row.record) {
        Ok(record) => look.decide(row, record),
        Err(StoreError::Absent(_)) => Ok(Decision::Later { after: std::time::Duration::ZERO, why: String::new() }),
        Err(other) => Err(other),
    }
}
