//! The flows and their equation.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use jiff::Timestamp;
use schemars::JsonSchema;
use selvedge_model::{FlowName, Interval};
use serde::{Deserialize, Serialize};

use super::problem::{Answer, Asked, Problem, Sent};
use crate::{
    people::Who,
    serve::App,
    view::{
        self, BalanceView, FlowView,
        flows::{FlowDetail, Lane, SweepView},
    },
};

/// `GET /api/flows`
pub(super) async fn list(State(app): State<Arc<App>>) -> Answer<Vec<FlowView>> {
    Ok(Json(view::flows(&app.store, &app.brand, &app.ends(), app.clock.now()).await?))
}

/// `GET /api/lanes`
pub(super) async fn lanes(State(app): State<Arc<App>>) -> Answer<Vec<Lane>> {
    Ok(Json(view::flows::lanes(&app.engine, app.clock.now()).await?))
}

/// What was captured in which window; everything if neither end is given.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Window {
    /// Captured from here on; from the beginning where nothing is said.
    from: Option<Timestamp>,
    /// Captured before this; until now where nothing is said.
    to: Option<Timestamp>,
}

/// `GET /api/balance?from=&to=`
pub(super) async fn balance(State(app): State<Arc<App>>, Asked(window): Asked<Window>) -> Answer<Vec<BalanceView>> {
    let interval = match (window.from, window.to) {
        (None, None) => None,
        (from, to) => Some(Interval { from: from.unwrap_or(Timestamp::MIN), to: to.unwrap_or(Timestamp::MAX) }),
    };
    if interval.is_some_and(|interval| interval.to < interval.from) {
        return Err(Problem::unclear("The window ends before it begins."));
    }
    Ok(Json(view::balance(&app.store, &app.brand, &app.ends(), interval).await?))
}

pub(super) fn known(app: &App, flow: String) -> Result<FlowName, Problem> {
    let flow = FlowName(flow);
    let setup = app.engine.setup();
    let is_one = setup.flows.iter().any(|one| one.name == flow) || setup.stocks.iter().any(|one| one.name == flow);
    if is_one {
        Ok(flow)
    } else {
        Err(Problem::absent(format!("There is no flow {flow}; /api/flows lists those that there are.")))
    }
}

/// `GET /api/flows/{flow}`
pub(super) async fn show(State(app): State<Arc<App>>, Path(flow): Path<String>) -> Answer<FlowDetail> {
    let flow = known(&app, flow)?;
    let detail = view::flows::detail(&app.engine, &flow, app.clock.now()).await?;
    detail.map(Json).ok_or_else(|| Problem::absent(format!("There is no flow {flow}.")))
}

/// Why.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason {
    /// In a sentence; to resume it may be left out.
    #[serde(default)]
    reason: String,
}

/// Whether it is paused now, and whether that is news.
#[derive(Serialize, JsonSchema)]
pub(super) struct Paused {
    /// Whether it is paused now.
    paused: bool,
    /// Whether it was not so before.
    changed: bool,
}

/// `POST /api/flows/{flow}/pause`
pub(super) async fn pause(
    State(app): State<Arc<App>>,
    Path(flow): Path<String>,
    who: Who,
    Sent(sent): Sent<Reason>,
) -> Answer<Paused> {
    let flow = known(&app, flow)?;
    let reason = view::reason(&sent.reason).map_err(|_| Problem::unclear("Give a reason, of at most 500 characters."))?;
    Ok(Json(Paused { paused: true, changed: app.actions(&who).pause(&flow, &reason).await? }))
}

/// `POST /api/flows/{flow}/resume`
pub(super) async fn resume(
    State(app): State<Arc<App>>,
    Path(flow): Path<String>,
    who: Who,
    Sent(sent): Sent<Reason>,
) -> Answer<Paused> {
    // What left the configuration while it was paused is resumed, too: else its pause would be told for ever.
    let name = FlowName::new(&flow);
    let (brand, asked) = (app.brand.clone(), name.clone());
    let flow =
        if app.store.read(move |view| view.flow_pause(&brand, &asked)).await?.is_some() { name } else { known(&app, flow)? };
    let reason: String = sent.reason.trim().chars().take(500).collect();
    Ok(Json(Paused { paused: false, changed: app.actions(&who).resume(&flow, &reason).await?.is_some() }))
}

/// From when on: `3d`, or an instant with its offset.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Since {
    /// So long ago, or an instant with its offset.
    since: String,
}

/// `GET /api/flows/{flow}/sweep?since=`: what a sweep would cover.
pub(super) async fn foresee(
    State(app): State<Arc<App>>,
    Path(flow): Path<String>,
    Asked(wanted): Asked<Since>,
) -> Answer<SweepView> {
    let flow = known(&app, flow)?;
    let view = view::flows::sweep(&app.engine, &flow, &wanted.since, app.clock.now()).await?;
    view.map(Json).map_err(Problem::unclear)
}

/// `POST /api/flows/{flow}/sweep`
pub(super) async fn sweep(
    State(app): State<Arc<App>>,
    Path(flow): Path<String>,
    who: Who,
    Sent(wanted): Sent<Since>,
) -> Answer<SweepView> {
    let flow = known(&app, flow)?;
    let view = view::flows::sweep(&app.engine, &flow, &wanted.since, app.clock.now()).await?.map_err(Problem::unclear)?;
    let interval = app.actions(&who).sweep_again(&view.from, view.kind, view.interval).await?;
    Ok(Json(SweepView { interval, ..view }))
}
