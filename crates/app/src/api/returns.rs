//! Returns: both halves of each.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use selvedge_model::RecordKey;
use serde::Deserialize;

use super::problem::{Answer, Asked, Problem};
use crate::{
    serve::App,
    view::{self, ReturnLine, ReturnStory},
};

/// Which returns, and how many at most.
#[derive(Deserialize)]
pub(super) struct Search {
    #[serde(default)]
    search: String,
    limit: Option<usize>,
}

/// `GET /api/returns?search=&limit=`
pub(super) async fn list(State(app): State<Arc<App>>, Asked(search): Asked<Search>) -> Answer<Vec<ReturnLine>> {
    let limit = search.limit.unwrap_or(50);
    Ok(Json(view::returns(&app.store, &app.brand, &app.ends(), &search.search, limit).await?))
}

/// `GET /api/returns/{key}`
pub(super) async fn show(State(app): State<Arc<App>>, Path(key): Path<String>) -> Answer<ReturnStory> {
    let key = RecordKey(key);
    let story = view::return_story(&app.store, &app.brand, &app.ends(), &key).await?;
    story.map(Json).ok_or_else(|| {
        Problem::absent(format!("There is no return {key}. Returns are asked for by the key that /api/returns lists."))
    })
}
