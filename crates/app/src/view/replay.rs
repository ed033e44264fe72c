//! The recorded documents of one flow, put through its rules once more: held against what was delivered, or under other mappings.

use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use selvedge_flow::{Before, Engine, Plan, Replay, Trial};
use selvedge_model::{FlowName, people::MapEntry, replay::tally::ReplayTally};
use selvedge_store::{Result, StoreError};
use serde::Serialize;
use tokio::sync::Semaphore;

use crate::config::words::Moment;

/// Documents that one look takes; what goes further is for the command line.
pub const DOCUMENTS_MAX: usize = 5_000;
/// Records shown of those that would go otherwise.
const EXAMPLES_MAX: usize = 20;
/// A replay takes a processor and a reader of the store; one at a time.
static ROOM: Semaphore = Semaphore::const_new(1);

/// What they would come to.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ReplayView {
    /// Of which flow.
    pub flow: FlowName,
    /// Documents that arrived since.
    pub since: Timestamp,
    /// Where there are more documents than one look takes: when the last one arrived that was looked at.
    pub until: Option<Timestamp>,
    /// What would be different.
    pub tally: ReplayTally,
    /// What delivering again would do; nothing for mappings that are not in force.
    pub deliverable: Option<Deliverable>,
}

/// What delivering again would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Deliverable {
    /// Records that pass the gate now, and otherwise than they went.
    pub records: u64,
    /// They would be held, or left out by a rule: delivering them again would change nothing.
    pub would_not_pass: u64,
    /// They pass, and are more than one delivery takes, or owe nothing.
    pub left_out: u64,
}

/// Why there is nothing to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// What was asked does not make sense; why, in a sentence.
    Unclear(String),
    /// Somebody else's replay is under way.
    Busy,
}

impl Unfit {
    /// The flow has no records of its own.
    pub fn of_stock(flow: &FlowName) -> Self {
        Self::Unclear(format!("Figures of stock are worked out, not replayed; {flow} has nothing to replay."))
    }

    /// In a sentence.
    pub fn says(&self) -> &str {
        match self {
            Self::Unclear(why) => why,
            Self::Busy => "Another replay is under way. Nothing was compared; try again in a moment.",
        }
    }
}

/// Since when, in whatever way it was written: `7d`, or an instant with its offset.
///
/// # Errors
/// What is unclear about it.
pub fn since(text: &str, now: Timestamp) -> std::result::Result<Timestamp, Unfit> {
    match text.trim().parse::<Moment>() {
        Ok(since) => Ok(since.instant(now)),
        Err(unclear) => Err(Unfit::Unclear(format!("{unclear}. Write it as 7d, 12h or 2026-11-01T00:00:00Z."))),
    }
}

/// What the documents of a flow would come to by the rules that run: with other entries in the mapping tables against those in
/// force, or, where there are none, against what was delivered. With the records that would be delivered again.
///
/// # Errors
/// The store's; inside: why there is nothing to see.
pub async fn replay(
    engine: &Arc<Engine>,
    flow: &FlowName,
    since: Timestamp,
    entries: Option<Vec<MapEntry>>,
) -> Result<std::result::Result<(ReplayView, Plan), Unfit>> {
    if !engine.setup().flows.iter().any(|one| one.name == *flow) {
        return Ok(Err(Unfit::of_stock(flow)));
    }
    let Ok(permit) = ROOM.try_acquire() else { return Ok(Err(Unfit::Busy)) };
    let (engine, flow) = (Arc::clone(engine), flow.clone());
    // In a task of its own, so that whoever goes away does not make room for a second one beside it.
    let task = tokio::spawn(async move {
        let _permit = permit;
        let (store, brand) = (&engine.setup().store, engine.setup().brand.clone());
        let under = |mappings| Trial { engine: Arc::clone(&engine), mappings };
        let (before, mappings) = match entries {
            None => (Before::Delivered, None),
            Some(entries) => {
                (Before::Rules(under(None)), Some(Arc::new(store.read(move |view| view.mappings_with(&brand, entries)).await?)))
            }
        };
        let in_force = mappings.is_none();
        let replay = Replay { before, after: under(mappings), since, flow: Some(flow.clone()) };
        let (mut tally, mut plan) = (ReplayTally::default(), Plan::new(DOCUMENTS_MAX, None));
        let until = replay
            .each(store, DOCUMENTS_MAX, |one| {
                plan.add(&one);
                tally.add(one.flow.as_str(), one.key.as_str(), one.worth, one.effect, EXAMPLES_MAX);
            })
            .await?;
        let (records, would_not_pass, left_out) = (plan.ids.len() as u64, plan.would_not_pass, plan.left_out);
        let deliverable = in_force.then_some(Deliverable { records, would_not_pass, left_out });
        Ok::<_, StoreError>((ReplayView { flow, since, until, tally, deliverable }, plan))
    });
    task.await.map_err(|error| StoreError::Broke(error.to_string()))?.map(Ok)
}
