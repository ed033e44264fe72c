//! Reconciliation: whether both ends agree, and what differs.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use selvedge_model::DifferenceId;

use super::{
    page::Page,
    problem::{Answer, Asked, Problem},
};
use crate::{
    serve::App,
    view::reconcile::{self as view, CauseView, DifferenceView, Filter, PairView},
};

/// `GET /api/reconcile`
pub(super) async fn pairs(State(app): State<Arc<App>>) -> Answer<Vec<PairView>> {
    Ok(Json(view::pairs(&app.store, &app.brand, app.pairs()).await?))
}

/// `GET /api/reconcile/causes`
pub(super) async fn causes(State(app): State<Arc<App>>) -> Answer<Vec<CauseView>> {
    Ok(Json(view::causes(&app.store, &app.brand).await?))
}

/// `GET /api/reconcile/differences?pair=&kind=&cause=&why=&order=&all=&after=&limit=`
pub(super) async fn differences(State(app): State<Arc<App>>, Asked(filter): Asked<Filter>) -> Answer<Page<DifferenceView>> {
    let wanted = filter.wanted(app.pairs()).map_err(Problem::unclear)?;
    let (rows, next) = view::differences(&app.store, &app.brand, &wanted).await?;
    Ok(Json(Page::new(rows, next)))
}

/// `GET /api/reconcile/differences/{id}`
pub(super) async fn difference(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer<DifferenceView> {
    let id: DifferenceId = id.parse().map_err(|error| Problem::absent(format!("{error}.")))?;
    let found = view::difference(&app.store, &app.brand, id).await?;
    found.map(Json).ok_or_else(|| {
        Problem::absent(format!("There is no difference {id}. Those that there are stand in /api/reconcile/differences?all=yes."))
    })
}
