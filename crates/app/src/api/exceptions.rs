//! Exceptions, and what a person does about them.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use selvedge_model::ExceptionId;
use serde::{Deserialize, Serialize};

use super::problem::{Answer, Asked, Problem, Sent};
use crate::{
    people::Who,
    serve::App,
    view::{self, ExceptionDetail, ExceptionView, StockRows},
};

/// Open ones only, or all.
#[derive(Deserialize)]
pub(super) struct Which {
    #[serde(default)]
    all: bool,
    /// Those of one team.
    #[serde(default)]
    team: String,
}

/// How many went back to the gate.
#[derive(Serialize)]
pub(super) struct Released {
    /// Records.
    pub(super) released: u64,
}

/// How many were let go.
#[derive(Serialize)]
pub(super) struct Dismissed {
    dismissed: u64,
}

/// Why.
#[derive(Deserialize)]
pub(super) struct Reason {
    reason: String,
}

fn id_of(text: &str) -> Result<ExceptionId, Problem> {
    text.parse().map_err(|error| Problem::absent(format!("{error}.")))
}

/// `GET /api/exceptions?all=&team=`
pub(super) async fn list(State(app): State<Arc<App>>, Asked(which): Asked<Which>) -> Answer<Vec<ExceptionView>> {
    let team = view::team(&which.team).map_err(Problem::unclear)?;
    Ok(Json(view::of_team(view::exceptions(&app.store, &app.brand, which.all).await?, team)))
}

/// One exception with what it holds.
#[derive(Serialize)]
pub(super) struct Shown {
    #[serde(flatten)]
    detail: ExceptionDetail,
    /// The rows that it is about, if it is about stock.
    #[serde(skip_serializing_if = "Option::is_none")]
    stock: Option<StockRows>,
}

/// `GET /api/exceptions/{id}`
pub(super) async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer<Shown> {
    let id = id_of(&id)?;
    let Some(detail) = view::exception(&app.store, &app.brand, &app.ends(), id).await? else {
        return Err(Problem::absent(format!("There is no exception {id}.")));
    };
    let stock = view::stock_rows(&app.store, &app.brand, &app.engine.setup().stocks, &detail.exception).await?;
    Ok(Json(Shown { detail, stock }))
}

/// `POST /api/exceptions/{id}/release`
pub(super) async fn release(State(app): State<Arc<App>>, who: Who, Path(id): Path<String>) -> Answer<Released> {
    let released = app.actions(&who).release(id_of(&id)?).await?;
    Ok(Json(Released { released }))
}

/// `POST /api/exceptions/{id}/dismiss`
pub(super) async fn dismiss(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    Sent(sent): Sent<Reason>,
) -> Answer<Dismissed> {
    let id = id_of(&id)?;
    let reason = view::reason(&sent.reason).map_err(Problem::unclear)?;
    let dismissed = app.actions(&who).dismiss(id, &reason).await?;
    Ok(Json(Dismissed { dismissed }))
}
