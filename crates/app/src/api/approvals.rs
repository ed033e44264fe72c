//! Acts that wait for a second person. Deciding is done on the page, by somebody who is signed in there: no token approves.

use std::sync::Arc;

use axum::{Json, extract::State};
use schemars::JsonSchema;
use selvedge_model::ApprovalId;
use selvedge_store::people::approvals::Approval;
use serde::Deserialize;

use super::{
    page::Page,
    problem::{Answer, Asked},
};
use crate::serve::App;

/// Rows of one answer.
const LIMIT_MAX: usize = 500;

/// Which.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Only what waits; all where nothing is said.
    #[serde(default)]
    waiting: bool,
    /// The `next` of the page before.
    after: Option<ApprovalId>,
    /// How many, at most 500; 100 where nothing is said.
    limit: Option<usize>,
}

/// `GET /api/approvals`
pub(super) async fn list(State(app): State<Arc<App>>, Asked(wanted): Asked<Wanted>) -> Answer<Page<Approval>> {
    let (brand, now, limit) = (app.brand.clone(), app.clock.now(), wanted.limit.unwrap_or(100).clamp(1, LIMIT_MAX));
    let look = app.store.read(move |view| view.approvals(&brand, !wanted.waiting, wanted.after, limit, now));
    let rows = look.await?;
    let next = rows.last().map(|row| row.id).filter(|_| rows.len() == limit);
    Ok(Json(Page::new(rows, next)))
}
