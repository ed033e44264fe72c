//! Records that are delivered again because somebody asked on a page or over the API: one run a flow at a time, watched here.
//!
//! The engine does the work as always. What is kept here is how far a run is; a restart ends it where it stands, and what was not
//! delivered yet is found by the next replay.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use schemars::JsonSchema;
use selvedge_flow::{Patience, Redelivered, Redelivering, actions::Actions};
use selvedge_model::FlowName;
use selvedge_store::{Result, StoreError};
use serde::Serialize;

use crate::{
    people::Who,
    serve::App,
    view::replay::{Unfit, replay},
};

/// Records that go first, alone.
pub(crate) const CANARY: usize = 5;
/// How often a run is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// One run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Redelivery {
    /// Of which flow.
    pub(crate) flow: FlowName,
    /// Documents that arrived since.
    pub(crate) since: Timestamp,
    /// Who asked for it.
    pub(crate) asked_by: String,
    /// When.
    pub(crate) asked_at: Timestamp,
    /// How many records it is about.
    pub(crate) records: u64,
    /// How far it is.
    pub(crate) delivered: Redelivered,
    /// When it ended; nothing while it is under way.
    pub(crate) ended_at: Option<Timestamp>,
    /// What broke it off, in a sentence.
    pub(crate) broke: Option<String>,
}

/// The last run of each flow.
#[derive(Default)]
pub(crate) struct Redeliveries(Mutex<BTreeMap<FlowName, Redelivery>>);

impl Redeliveries {
    /// The last run of a flow, or the one under way.
    pub(crate) fn of(&self, flow: &FlowName) -> Option<Redelivery> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(flow).cloned()
    }

    /// Takes the place of the flow's last run, unless one is under way.
    fn enter(&self, run: Redelivery) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let free = all.get(&run.flow).is_none_or(|last| last.ended_at.is_some());
        if free {
            all.insert(run.flow.clone(), run);
        }
        free
    }

    fn change(&self, flow: &FlowName, change: impl FnOnce(&mut Redelivery)) {
        if let Some(run) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(flow) {
            change(run);
        }
    }
}

/// Why none was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It cannot be seen what would be delivered.
    Unfit(Unfit),
    /// Things stand otherwise than whoever asked has seen; how, in a sentence.
    Otherwise(String),
}

impl Refused {
    /// In a sentence.
    pub(crate) fn says(&self) -> &str {
        match self {
            Self::Unfit(unfit) => unfit.says(),
            Self::Otherwise(how) => how,
        }
    }
}

/// Begins to deliver what goes otherwise now than it was delivered: `seen` records, as whoever asks has seen.
///
/// # Errors
/// The store's; inside: why none was begun. Nothing was delivered then.
pub(crate) async fn begin(
    app: &Arc<App>,
    who: &Who,
    flow: &FlowName,
    since: Timestamp,
    seen: u64,
) -> Result<std::result::Result<Redelivery, Refused>> {
    let otherwise = |how: String| Ok(Err(Refused::Otherwise(format!("Nothing was delivered: {how}"))));
    let (brand, name) = (app.brand.clone(), flow.clone());
    if app.store.read(move |view| view.flow_rests(&brand, &name)).await?.is_some() {
        return otherwise(format!("{flow} is paused, and what is delivered again would wait behind the gate. Resume it first."));
    }
    let (view, plan) = match replay(&app.engine, flow, since, None).await? {
        Ok(replayed) => replayed,
        Err(unfit) => return Ok(Err(Refused::Unfit(unfit))),
    };
    let records = plan.ids.len() as u64;
    if records != seen {
        return otherwise(format!("{seen} were shown, and it would be {records} now. Look at them again, then deliver."));
    }
    if records == 0 {
        return otherwise("every record is as it was delivered, or would not pass now.".to_owned());
    }
    let run = Redelivery {
        flow: flow.clone(),
        since: view.since,
        asked_by: who.person.email.to_string(),
        asked_at: app.clock.now(),
        records,
        delivered: Redelivered { left: records, ..Redelivered::default() },
        ended_at: None,
        broke: None,
    };
    if !app.redeliveries.enter(run.clone()) {
        return otherwise("a delivery of this flow is under way. Wait for its end.".to_owned());
    }
    let actions = app.actions(who);
    // The first few go before anybody is answered: what is refused is told to whoever asked.
    let begun = async {
        let mut going = actions.redeliver(&plan.ids, CANARY, "delivered again after a replay").await?;
        going.step(&actions).await?;
        Ok(going)
    };
    let going: Redelivering = match begun.await {
        Ok(going) => going,
        Err(error) => {
            app.redeliveries.change(flow, |run| end(run, app.clock.now(), Some(&error)));
            return Err(error);
        }
    };
    let run = Redelivery { delivered: going.done.clone(), ..run };
    app.redeliveries.change(flow, |shown| shown.clone_from(&run));
    let (app, flow) = (Arc::clone(app), flow.clone());
    tokio::spawn(async move {
        let broke = go_on(&app, &actions, &flow, going).await.err();
        app.redeliveries.change(&flow, |run| end(run, app.clock.now(), broke.as_ref()));
    });
    Ok(Ok(run))
}

fn end(run: &mut Redelivery, at: Timestamp, broke: Option<&StoreError>) {
    run.ended_at = Some(at);
    run.broke = broke.map(ToString::to_string);
}

async fn go_on(app: &App, actions: &Actions, flow: &FlowName, mut going: Redelivering) -> Result<()> {
    let mut patience = Patience::new(app.clock.now());
    while going.step(actions).await? && patience.lasts(&going.done, app.clock.now()) {
        app.redeliveries.change(flow, |run| run.delivered = going.done.clone());
        tokio::time::sleep(LOOK).await;
    }
    app.redeliveries.change(flow, |run| run.delivered = going.done);
    Ok(())
}
