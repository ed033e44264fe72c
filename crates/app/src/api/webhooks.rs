//! The feed of events, and whether webhooks take it.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use schemars::JsonSchema;
use selvedge_model::{
    feed::{Event, Place, Stream},
    people::Right,
};
use selvedge_store::View;
use serde::{Deserialize, Serialize};

use super::problem::{Answer, Asked, Problem};
use crate::{
    people::Who,
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
pub(super) async fn events(State(app): State<Arc<App>>, who: Who, Asked(since): Asked<Since>) -> Answer<Events> {
    // The audit trail tells who came in from where, and whom an admin invited.
    if since.stream == Stream::Acts && !who.may(Right::People) {
        let why = format!("What people did takes the right to {}. An admin gives it, under People.", Right::People.says());
        return Err(Problem::of(StatusCode::FORBIDDEN, "It takes another right", why));
    }
    let after = match since.after.as_deref() {
        None => Place::beginning(since.stream),
        Some(text) => text.parse::<Place>().map_err(Problem::unclear)?,
    };
    if after.stream != since.stream {
        let (of, asked) = (after.stream.word(), since.stream.word());
        return Err(Problem::unclear(format!("{after} is a place in the stream {of}, and {asked} was asked for.")));
    }
    let limit = since.limit.unwrap_or(100).clamp(1, LIMIT_MAX);
    let brand = app.brand.clone();
    let look = move |view: &View<'_>| Ok((view.feed(&brand, after, limit)?, view.feed_end(&brand, since.stream)?));
    let (found, end) = app.store.read(look).await?;
    if found.is_empty() && after > end && since.stream != Stream::Records {
        let why = format!(
            "{after} lies behind the end, {end}: an older copy of the store was put back. Go on from a place before that."
        );
        return Err(Problem::of(StatusCode::CONFLICT, "There is no such place any more", why));
    }
    let next = found.last().map_or(after, |(place, _)| *place).to_string();
    let more = found.len() == limit;
    Ok(Json(Events { items: found.into_iter().map(|(_, event)| event).collect(), next, more }))
}

/// `GET /api/webhooks`
pub(super) async fn list(State(app): State<Arc<App>>) -> Answer<Vec<WebhookView>> {
    Ok(Json(webhooks::webhooks(&app.store, &app.brand, &app.engine.setup().webhooks).await?))
}
