//! Alerts: who was told of what, and taking one over.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use schemars::JsonSchema;
use selvedge_flow::PulseState;
use selvedge_model::AlertId;
use serde::{Deserialize, Serialize};

use super::problem::{Answer, Asked, Problem};
use crate::{
    people::Who,
    serve::App,
    view::alerts::{self, AlertsView},
};

/// Open ones only, or all.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Those that are over, too.
    #[serde(default)]
    all: bool,
    /// The `next` of the page before.
    after: Option<AlertId>,
}

/// Whether anything was taken over: somebody may have been quicker.
#[derive(Serialize, JsonSchema)]
pub(super) struct Acknowledged {
    acknowledged: bool,
}

/// `GET /api/alerts?all=&after=`
pub(super) async fn list(State(app): State<Arc<App>>, Asked(which): Asked<Which>) -> Answer<AlertsView> {
    Ok(Json(alerts::alerts(&app.store, &app.brand, which.all, which.after).await?))
}

/// `POST /api/alerts/{id}/acknowledge`
pub(super) async fn acknowledge(State(app): State<Arc<App>>, who: Who, Path(id): Path<String>) -> Answer<Acknowledged> {
    let id: AlertId = id.parse().map_err(|error| Problem::absent(format!("{error}.")))?;
    let brand = app.brand.clone();
    app.store.read(move |view| view.alert(&brand, id).map(|_| ())).await?;
    let taken = app.actions(&who).acknowledge(&[id]).await?;
    Ok(Json(Acknowledged { acknowledged: !taken.is_empty() }))
}

/// How the signs of life go.
#[derive(Serialize, JsonSchema)]
pub(super) struct Heartbeat {
    /// Nothing where none are sent: see `heartbeat` under `[alerts]` of the configuration.
    state: Option<PulseState>,
}

/// `GET /api/heartbeat`
pub(super) async fn heartbeat(State(app): State<Arc<App>>) -> Answer<Heartbeat> {
    Ok(Json(Heartbeat { state: app.engine.pulse_state() }))
}
