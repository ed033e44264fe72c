//! Recorded documents put through the rules once more, and delivered again.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use schemars::JsonSchema;
use selvedge_model::{FlowName, people::MapEntry};
use serde::Deserialize;

use super::{
    flows::known,
    problem::{Answer, Asked, Problem, Sent},
};
use crate::{
    people::Who,
    redeliveries::{self, Redelivery, Refused},
    serve::App,
    view::replay::{ReplayView, Unfit, replay, since},
};

impl From<Unfit> for Problem {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Unclear(why) => Self::unclear(why),
            busy @ Unfit::Busy => Self::of(StatusCode::CONFLICT, "Somebody was quicker", busy.says()),
        }
    }
}

/// From when on: `7d`, or an instant with its offset.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Since {
    /// Documents that arrived since: so long ago, or an instant with its offset.
    since: String,
}

/// Under which mappings.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Trial {
    /// Documents that arrived since: so long ago, or an instant with its offset.
    since: String,
    /// Entries as they would be; those that are not named stay as they are.
    entries: Vec<MapEntry>,
}

/// What is delivered again.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Documents that arrived since: so long ago, or an instant with its offset.
    since: String,
    /// How many records that is about, as the replay said.
    records: u64,
}

async fn shown(app: &App, flow: &FlowName, text: &str, entries: Option<Vec<MapEntry>>) -> Answer<ReplayView> {
    let since = since(text, app.clock.now())?;
    Ok(Json(replay(&app.engine, flow, since, entries).await??.0))
}

/// `GET /api/flows/{flow}/replay?since=`
pub(super) async fn delivered(
    State(app): State<Arc<App>>,
    Path(flow): Path<String>,
    Asked(wanted): Asked<Since>,
) -> Answer<ReplayView> {
    let flow = known(&app, flow)?;
    shown(&app, &flow, &wanted.since, None).await
}

/// `POST /api/flows/{flow}/replay`
pub(super) async fn mapped(State(app): State<Arc<App>>, Path(flow): Path<String>, Sent(sent): Sent<Trial>) -> Answer<ReplayView> {
    let flow = known(&app, flow)?;
    let entries = super::mappings::right(sent.entries, &app.mapping_targets())?;
    shown(&app, &flow, &sent.since, Some(entries)).await
}

/// `GET /api/flows/{flow}/redeliver`
pub(super) async fn how_far(State(app): State<Arc<App>>, Path(flow): Path<String>) -> Answer<Option<Redelivery>> {
    let flow = known(&app, flow)?;
    Ok(Json(app.redeliveries.of(&flow)))
}

/// `POST /api/flows/{flow}/redeliver`
pub(super) async fn redeliver(
    State(app): State<Arc<App>>,
    Path(flow): Path<String>,
    who: Who,
    Sent(sent): Sent<Wanted>,
) -> Answer<Redelivery> {
    let flow = known(&app, flow)?;
    let since = since(&sent.since, app.clock.now())?;
    match redeliveries::begin(&app, &who, &flow, since, sent.records).await? {
        Ok(run) => Ok(Json(run)),
        Err(Refused::Unfit(unfit)) => Err(unfit.into()),
        Err(Refused::Otherwise(how)) => Err(Problem::of(StatusCode::CONFLICT, "It stands otherwise", how)),
    }
}
