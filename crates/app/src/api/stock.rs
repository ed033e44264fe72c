//! Stock: how fresh, where the figures stand, why one is what it is.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use selvedge_model::Sku;
use selvedge_store::stock::{DriftRow, FigureRow};
use serde::{Deserialize, Serialize};

use super::problem::{Answer, Asked, Problem};
use crate::{
    serve::App,
    view::stock::{self, Item, Listed, Wanted, Warehouse},
};

/// Figures of one answer.
const LIMIT_MAX: usize = 1_000;

/// Which figures, and how many at most.
#[derive(Deserialize)]
pub(super) struct Search {
    #[serde(default)]
    warehouse: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    search: String,
    #[serde(default)]
    after: String,
    limit: Option<usize>,
}

/// A figure with the flow that it belongs to.
#[derive(Serialize)]
pub(super) struct Figure {
    flow: String,
    #[serde(flatten)]
    figure: FigureRow,
}

/// Figures by SKU, and after which SKU they go on.
#[derive(Serialize)]
pub(super) struct Figures {
    figures: Vec<Figure>,
    next: Option<Sku>,
}

/// `GET /api/stock`
pub(super) async fn status(State(app): State<Arc<App>>) -> Answer<Vec<Warehouse>> {
    Ok(Json(stock::status(&app.store, &app.brand, &app.engine.setup().stocks, app.clock.now()).await?))
}

/// `GET /api/stock/figures?warehouse=&state=&search=&after=&limit=`; `after` takes the `next` of the answer before.
pub(super) async fn figures(State(app): State<Arc<App>>, Asked(search): Asked<Search>) -> Answer<Figures> {
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
    Ok(Json(Figures { figures, next }))
}

/// `GET /api/stock/drifts`
pub(super) async fn drifts(State(app): State<Arc<App>>) -> Answer<Vec<DriftRow>> {
    Ok(Json(stock::drifts(&app.store, &app.brand, &app.engine.setup().stocks, LIMIT_MAX).await?))
}

/// `GET /api/stock/items/{sku}`
pub(super) async fn item(State(app): State<Arc<App>>, Path(sku): Path<String>) -> Answer<Vec<Item>> {
    let found = stock::item_of(&app.engine, &Sku::new(sku.clone()), app.clock.now()).await?;
    if found.is_empty() {
        return Err(Problem::absent(format!("The shop lists no SKU {sku}. SKUs are compared letter by letter.")));
    }
    Ok(Json(found))
}
