//! Returns: both halves of each.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use schemars::JsonSchema;
use selvedge_model::{RecordId, RecordKey};
use serde::Deserialize;

use super::{
    page::Page,
    problem::{Answer, Asked, Problem},
};
use crate::{
    serve::App,
    view::{self, ReturnLine, ReturnStory},
};

/// Which returns, and how many at most.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Search {
    /// The order's number, a SKU, or a transaction of the payment provider, as it begins.
    #[serde(default)]
    search: String,
    /// The `next` of the page before.
    after: Option<RecordId>,
    /// How many, at most 500; 50 where nothing is said.
    limit: Option<usize>,
}

/// `GET /api/returns?search=&after=&limit=`
pub(super) async fn list(State(app): State<Arc<App>>, Asked(search): Asked<Search>) -> Answer<Page<ReturnLine>> {
    let limit = search.limit.unwrap_or(50);
    let (lines, next) = view::returns(&app.store, &app.brand, &app.ends(), &search.search, search.after, limit).await?;
    Ok(Json(Page::new(lines, next)))
}

/// `GET /api/returns/{key}`
pub(super) async fn show(State(app): State<Arc<App>>, Path(key): Path<String>) -> Answer<ReturnStory> {
    let key = RecordKey(key);
    let story = view::return_story(&app.store, &app.brand, &app.ends(), &key).await?;
    story.map(Json).ok_or_else(|| {
        Problem::absent(format!("There is no return {key}. Returns are asked for by the key that /api/returns lists."))
    })
}
