//! The connections as they stand, and what the configuration came to.

use std::sync::Arc;

use axum::{Json, extract::State};

use super::problem::Answer;
use crate::{
    serve::App,
    view::{
        self, Today,
        connections::ConnectionView,
        settings::{SettingsView, settings},
    },
};

/// `GET /api/connections`
pub(super) async fn connections(State(app): State<Arc<App>>) -> Answer<Vec<ConnectionView>> {
    Ok(Json(app.connections().await?))
}

/// `GET /api/today`
pub(super) async fn today(State(app): State<Arc<App>>) -> Answer<Today> {
    Ok(Json(view::today(&app.store, &app.brand, &app.ends(), app.lines(), app.clock.now()).await?))
}

/// `GET /api/settings`
pub(super) async fn show(State(app): State<Arc<App>>) -> Answer<SettingsView> {
    Ok(Json(settings(&app.store, &app.brand, &app.facts.settings, app.since).await?))
}
