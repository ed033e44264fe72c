//! The flows and their equation.

use std::sync::Arc;

use axum::{Json, extract::State};
use jiff::Timestamp;
use schemars::JsonSchema;
use selvedge_model::Interval;
use serde::Deserialize;

use super::problem::{Answer, Asked, Problem};
use crate::{
    serve::App,
    view::{self, BalanceView, FlowView},
};

/// `GET /api/flows`
pub(super) async fn list(State(app): State<Arc<App>>) -> Answer<Vec<FlowView>> {
    Ok(Json(view::flows(&app.store, &app.brand, &app.ends(), app.clock.now()).await?))
}

/// What was captured in which window; everything if neither end is given.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Window {
    /// Captured from here on; from the beginning where nothing is said.
    from: Option<Timestamp>,
    /// Captured before this; until now where nothing is said.
    to: Option<Timestamp>,
}

/// `GET /api/balance?from=&to=`
pub(super) async fn balance(State(app): State<Arc<App>>, Asked(window): Asked<Window>) -> Answer<Vec<BalanceView>> {
    let interval = match (window.from, window.to) {
        (None, None) => None,
        (from, to) => Some(Interval { from: from.unwrap_or(Timestamp::MIN), to: to.unwrap_or(Timestamp::MAX) }),
    };
    if interval.is_some_and(|interval| interval.to < interval.from) {
        return Err(Problem::unclear("The window ends before it begins."));
    }
    Ok(Json(view::balance(&app.store, &app.brand, &app.ends(), interval).await?))
}
