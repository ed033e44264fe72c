//! Mapping tables.

use std::sync::Arc;

use axum::{Json, extract::State};
use selvedge_flow::actions::Mapped;

use super::problem::{Answer, Problem, Sent};
use crate::{
    people::Who,
    serve::App,
    view::{self, MappingWanted, MappingsView},
};

/// `GET /api/mappings`
pub(super) async fn list(State(app): State<Arc<App>>) -> Answer<MappingsView> {
    Ok(Json(view::mappings(&app.store, &app.brand).await?))
}

/// `PUT /api/mappings`: sets an entry (or removes it, with `"value": null`) and releases what waited for it: one
/// record first, where there are several.
pub(super) async fn set(State(app): State<Arc<App>>, who: Who, Sent(wanted): Sent<MappingWanted>) -> Answer<Mapped> {
    let wanted = wanted.checked(&app.mapping_targets()).map_err(Problem::unclear)?;
    Ok(Json(app.actions(&who).map(&wanted.connection, &wanted.table, &wanted.key, wanted.value.as_deref()).await?))
}
