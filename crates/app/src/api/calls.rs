//! What is spent of the platforms' budgets.

use std::sync::Arc;

use axum::{Json, extract::State};

use super::problem::Answer;
use crate::{
    serve::App,
    view::{self, CallsView},
};

/// `GET /api/calls`
pub(super) async fn show(State(app): State<Arc<App>>) -> Answer<CallsView> {
    Ok(Json(view::calls(&app.store, &app.brand, &app.ends(), app.lines()).await?))
}
