//! Orders and their stories.

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
    view::{self, OrderLine, OrderStory},
};

/// Which orders, and how many at most.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Search {
    /// Words of it: number, name, e-mail address, tracking number, SKU, as they begin.
    #[serde(default)]
    search: String,
    /// The `next` of the page before.
    after: Option<RecordId>,
    /// How many, at most 500; 50 where nothing is said.
    limit: Option<usize>,
}

/// `GET /api/orders?search=&after=&limit=`
pub(super) async fn list(State(app): State<Arc<App>>, Asked(search): Asked<Search>) -> Answer<Page<OrderLine>> {
    let limit = search.limit.unwrap_or(50);
    let (lines, next) = view::orders(&app.store, &app.brand, &app.ends(), &search.search, search.after, limit).await?;
    Ok(Json(Page::new(lines, next)))
}

/// `GET /api/orders/{number}`
pub(super) async fn show(State(app): State<Arc<App>>, Path(number): Path<String>) -> Answer<OrderStory> {
    let number = RecordKey(number);
    let story = view::order_story(&app.store, &app.brand, &app.ends(), &number).await?;
    story.map(Json).ok_or_else(|| Problem::absent(format!("There is no order {number}. Orders are asked for by their number.")))
}
