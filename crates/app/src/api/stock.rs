//! Stock: how fresh, where the figures stand, why one is what it is.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use schemars::JsonSchema;
use selvedge_model::Sku;
use selvedge_store::stock::{DriftRow, FigureRow};
use serde::{Deserialize, Serialize};

use super::{
    page::Page,
    problem::{Answer, Asked, Problem},
};
use crate::{
    serve::App,
    view::{
        rehearse::{RehearsalView, RehearseWanted, Rehearsed, rehearsed},
        stock::{self, Item, Listed, Wanted, Warehouse},
    },
};

/// `GET /api/stock/rehearse?interval=&buffer=`
pub(super) async fn rehearse(State(app): State<Arc<App>>, Asked(wanted): Asked<RehearseWanted>) -> Answer<RehearsalView> {
    match rehearsed(&app, &wanted).await? {
        Rehearsed::Played(rehearsal) => Ok(Json((*rehearsal).into())),
        Rehearsed::Missing(missing) => Err(Problem::of(StatusCode::CONFLICT, "There is nothing to play", missing.join(" "))),
        Rehearsed::Unclear(why) => Err(Problem::unclear(why)),
        Rehearsed::Busy => {
            let detail = "Another rehearsal is under way; try again in a moment.";
            Err(Problem::of(StatusCode::CONFLICT, "Somebody was quicker", detail))
        }
    }
}

/// Figures of one answer.
const LIMIT_MAX: usize = 1_000;

/// Which figures, and how many at most.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Search {
    /// Of one warehouse, by the shop's id.
    #[serde(default)]
    warehouse: String,
    /// In one state.
    #[serde(default)]
    state: String,
    /// How the SKU begins.
    #[serde(default)]
    search: String,
    /// The `next` of the page before.
    #[serde(default)]
    after: String,
    /// How many, at most 1,000; 100 where nothing is said. A SKU is never split between two pages.
    limit: Option<usize>,
}

/// A figure with the flow that it belongs to.
#[derive(Serialize, JsonSchema)]
pub(super) struct Figure {
    flow: String,
    #[serde(flatten)]
    figure: FigureRow,
}

/// `GET /api/stock`
pub(super) async fn status(State(app): State<Arc<App>>) -> Answer<Vec<Warehouse>> {
    Ok(Json(stock::status(&app.store, &app.brand, &app.engine.setup().stocks, app.clock.now()).await?))
}

/// `GET /api/stock/figures?warehouse=&state=&search=&after=&limit=`; `after` takes the `next` of the answer before.
pub(super) async fn figures(State(app): State<Arc<App>>, Asked(search): Asked<Search>) -> Answer<Page<Figure>> {
    let stocks = &app.engine.setup().stocks;
    let wanted = Wanted {
        warehouse: stock::warehouse(&search.warehouse, stocks).map_err(Problem::unclear)?,
        state: stock::state(&search.state).map_err(Problem::unclear)?,
        search: search.search,
        after: search.after,
        limit: search.limit.unwrap_or(100).clamp(1, LIMIT_MAX),
    };
    let Listed { figures, next } = stock::listed(&app.store, &app.brand, stocks, wanted).await?;
    let figures = figures.into_iter().map(|(flow, figure)| Figure { flow, figure }).collect();
    Ok(Json(Page::new(figures, next)))
}

/// Which drifts, and how many at most.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Older {
    /// The `next` of the page before.
    after: Option<i64>,
    /// How many, at most 1,000; 100 where nothing is said.
    limit: Option<usize>,
}

/// `GET /api/stock/drifts?after=&limit=`
pub(super) async fn drifts(State(app): State<Arc<App>>, Asked(asked): Asked<Older>) -> Answer<Page<DriftRow>> {
    let limit = asked.limit.unwrap_or(100).clamp(1, LIMIT_MAX);
    let rows = stock::drifts(&app.store, &app.brand, &app.engine.setup().stocks, asked.after, limit).await?;
    let next = rows.last().map(|row| row.id).filter(|_| rows.len() == limit);
    Ok(Json(Page::new(rows, next)))
}

/// `GET /api/stock/items/{sku}`
pub(super) async fn item(State(app): State<Arc<App>>, Path(sku): Path<String>) -> Answer<Vec<Item>> {
    let found = stock::item_of(&app.engine, &Sku::new(sku.clone()), app.clock.now()).await?;
    if found.is_empty() {
        return Err(Problem::absent(format!("The shop lists no SKU {sku}. SKUs are compared letter by letter.")));
    }
    Ok(Json(found))
}
