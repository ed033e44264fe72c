//! The feed of events, and whether webhooks take it.

use std::sync::Arc;

use axum::{Json, extract::State};
use schemars::JsonSchema;
use selvedge_model::feed::{Event, Place, Stream};
use serde::{Deserialize, Serialize};

use super::problem::{Answer, Asked, Problem};
use crate::{
    serve::App,
    view::webhooks::{self, WebhookView},
};

/// Events of one answer.
const LIMIT_MAX: usize = 1_000;

/// Which events, and how many at most.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Since {
    /// Of which stream.
    stream: Stream,
    /// The `next` of the answer before; from the beginning where nothing is said.
    after: Option<String>,
    /// How many, at most 1,000; 100 where nothing is said.
    limit: Option<usize>,
}

/// What happened after a place.
#[derive(Serialize, JsonSchema)]
pub(super) struct Events {
    /// The events, in the order in which they happened.
    items: Vec<Event>,
    /// What `after` takes to go on, now or later: at the end, too.
    next: String,
    /// Whether there may be more now.
    more: bool,
}

/// `GET /api/events?stream=&after=&limit=`
pub(super) async fn events(State(app): State<Arc<App>>, Asked(since): Asked<Since>) -> Answer<Events> {
    let after: Place = since.after.as_deref().map(str::parse).transpose().map_err(Problem::unclear)?.unwrap_or_default();
    let limit = since.limit.unwrap_or(100).clamp(1, LIMIT_MAX);
    let (brand, now) = (app.brand.clone(), app.clock.now());
    let found = app.store.read(move |view| view.feed(&brand, since.stream, after, now, limit)).await?;
    let next = found.last().map_or(after, |(place, _)| *place).to_string();
    let more = found.len() == limit;
    Ok(Json(Events { items: found.into_iter().map(|(_, event)| event).collect(), next, more }))
}

/// `GET /api/webhooks`
pub(super) async fn list(State(app): State<Arc<App>>) -> Answer<Vec<WebhookView>> {
    Ok(Json(webhooks::webhooks(&app.store, &app.brand, &app.engine.setup().webhooks).await?))
}
