//! Acts that wait for a second person. Deciding is done on the page, by somebody who is signed in there: no token approves.

use std::sync::Arc;

use axum::{Json, extract::State};
use selvedge_store::people::approvals::Approval;

use super::problem::Answer;
use crate::serve::App;

/// Rows of one answer.
const SHOWN_MAX: usize = 200;

/// `GET /api/approvals`
pub(super) async fn list(State(app): State<Arc<App>>) -> Answer<Vec<Approval>> {
    let (brand, now) = (app.brand.clone(), app.clock.now());
    Ok(Json(app.store.read(move |view| view.approvals(&brand, true, SHOWN_MAX, now)).await?))
}
