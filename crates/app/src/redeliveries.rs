//! Records that are delivered again because somebody asked on a page or over the API: one run a flow at a time, watched here.
//!
//! The engine does the work as always. What is kept here is how far a run is; a restart ends it where it stands, and what was not
//! delivered yet is found by the next replay.

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::FutureExt;
use jiff::Timestamp;
use schemars::JsonSchema;
use selvedge_flow::{Patience, Redelivered, actions::Actions};
use selvedge_model::{FlowName, ObligationId};
use selvedge_store::{Result, StoreError};
use serde::Serialize;
use tokio::sync::oneshot;

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
        return otherwise(
            "every record is as it was delivered, would not pass now, or was never entered for this flow.".to_owned(),
        );
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
    // In a task of its own: whoever goes away before the answer leaves nothing behind that never ends.
    let (app, actions, flow) = (Arc::clone(app), app.actions(who), flow.clone());
    let (tell, told) = oneshot::channel();
    tokio::spawn(async move {
        let ended = AssertUnwindSafe(go(&app, &actions, &flow, &plan.ids, tell)).catch_unwind().await;
        let broke = ended.unwrap_or_else(|_| Some("it broke off; the log says why".to_owned()));
        app.redeliveries.change(&flow, |run| {
            run.ended_at = Some(app.clock.now());
            run.broke = broke;
        });
    });
    match told.await {
        Ok(first) => Ok(Ok(Redelivery { delivered: first?, ..run })),
        Err(_) => Err(StoreError::Broke("the delivery broke off before it began".to_owned())),
    }
}

/// Delivers to the end, and tells how the first few began: what is refused is told to whoever asked. What broke it off.
async fn go(
    app: &App,
    actions: &Actions,
    flow: &FlowName,
    ids: &[ObligationId],
    tell: oneshot::Sender<Result<Redelivered>>,
) -> Option<String> {
    let begun = async {
        let mut going = actions.redeliver(ids, CANARY, "delivered again after a replay").await?;
        let more = going.step(actions).await?;
        Ok((going, more))
    };
    let (mut going, mut more) = match begun.await {
        Ok(begun) => begun,
        Err(error) => {
            let broke = StoreError::to_string(&error);
            // Nobody listening is fine: then they have gone away.
            let _ = tell.send(Err(error));
            return Some(broke);
        }
    };
    let _ = tell.send(Ok(going.done.clone()));
    let mut patience = Patience::new(app.clock.now());
    loop {
        app.redeliveries.change(flow, |run| run.delivered = going.done.clone());
        if !more || !patience.lasts(&going.done, app.clock.now()) {
            return None;
        }
        tokio::time::sleep(LOOK).await;
        more = match going.step(actions).await {
            Ok(more) => more,
            Err(error) => return Some(error.to_string()),
        };
    }
}
