//! The JSON API: the same views as the pages, and the same acts.
//!
//! An error is `application/problem+json` (RFC 9457): `title`, `status` and, where there is more
//! to say, `detail`. Times are RFC 3339 in UTC, amounts are text.
//!
//! Whoever asks is signed in on the page, or sends a token: `Authorization: Bearer slv_…`. An act that takes a second person is
//! answered 202 and done once somebody approves it.

mod alerts;
mod calls;
mod exceptions;
mod flows;
mod mappings;
mod orders;
mod problem;
mod reconcile;
mod returns;
mod stock;

use std::sync::Arc;

use axum::{
    Router,
    routing::{get, post},
};

pub(crate) use self::problem::Problem;
use crate::serve::App;

/// The routes.
pub(crate) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/flows", get(flows::list))
        .route("/flows/{flow}", get(flows::show))
        .route("/flows/{flow}/pause", post(flows::pause))
        .route("/flows/{flow}/resume", post(flows::resume))
        .route("/flows/{flow}/sweep", get(flows::foresee).post(flows::sweep))
        .route("/balance", get(flows::balance))
        .route("/orders", get(orders::list))
        .route("/orders/{number}", get(orders::show))
        .route("/returns", get(returns::list))
        .route("/returns/{key}", get(returns::show))
        .route("/exceptions", get(exceptions::list))
        .route("/exceptions/{id}", get(exceptions::show))
        .route("/exceptions/{id}/release", post(exceptions::release))
        .route("/exceptions/{id}/preview", get(exceptions::preview))
        .route("/exceptions/{id}/dismiss", post(exceptions::dismiss))
        .route("/exceptions/{id}/assign", post(exceptions::assign))
        .route("/exceptions/{id}/comment", post(exceptions::comment))
        .route("/exceptions/{id}/snooze", post(exceptions::snooze))
        .route("/exceptions/{id}/wake", post(exceptions::wake))
        .route("/exceptions/{id}/edit", post(exceptions::edit))
        .route("/alerts", get(alerts::list))
        .route("/alerts/{id}/acknowledge", post(alerts::acknowledge))
        .route("/mappings", get(mappings::list).put(mappings::set))
        .route("/reconcile", get(reconcile::pairs))
        .route("/reconcile/causes", get(reconcile::causes))
        .route("/reconcile/differences", get(reconcile::differences))
        .route("/reconcile/differences/{id}", get(reconcile::difference))
        .route("/stock", get(stock::status))
        .route("/stock/figures", get(stock::figures))
        .route("/stock/drifts", get(stock::drifts))
        .route("/stock/items/{sku}", get(stock::item))
        .route("/calls", get(calls::show))
        .fallback(problem::nowhere)
        .method_not_allowed_fallback(problem::not_so)
}
