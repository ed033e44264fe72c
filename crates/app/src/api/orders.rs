//! Orders and their stories.

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
    view::{self, OrderLine, OrderStory},
};

/// Which orders, and how many at most.
#[derive(Deserialize)]
pub(super) struct Search {
    #[serde(default)]
    search: String,
    limit: Option<usize>,
}

/// `GET /api/orders?search=&limit=`
pub(super) async fn list(State(app): State<Arc<App>>, Asked(search): Asked<Search>) -> Answer<Vec<OrderLine>> {
    let limit = search.limit.unwrap_or(50);
    Ok(Json(view::orders(&app.store, &app.brand, &app.ends(), &search.search, limit).await?))
}

/// `GET /api/orders/{number}`
pub(super) async fn show(State(app): State<Arc<App>>, Path(number): Path<String>) -> Answer<OrderStory> {
    let number = RecordKey(number);
    let story = view::order_story(&app.store, &app.brand, &app.ends(), &number).await?;
    story.map(Json).ok_or_else(|| Problem::absent(format!("There is no order {number}. Orders are asked for by their number.")))
}
