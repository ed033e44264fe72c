//! How this brand is set up, and its checklists.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use schemars::JsonSchema;
use selvedge_model::checklist::Checklist;
use serde::Deserialize;

use super::problem::{Answer, MaybeSent, Problem, Sent};
use crate::{
    handbook::{self, Refusal},
    people::Who,
    serve::App,
    view::handbook::{ChecklistView, Handbook, checklist, handbook as told},
};

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unclear(why) => Problem::unclear(why),
            Refusal::Store(error) => error.into(),
        }
    }
}

/// `GET /api/handbook`
pub(super) async fn show(State(app): State<Arc<App>>) -> Answer<Handbook> {
    Ok(Json(told(&app.store, &app.brand, &app.facts, app.clock.now()).await?))
}

/// The list and the period that an address names.
fn named((word, period): (String, String)) -> Result<(Checklist, String), Problem> {
    let list = Checklist::from_word(&word)
        .ok_or_else(|| Problem::absent(format!("There is no checklist {word}. There are daily and monthly ones.")))?;
    match list.is_period(&period) {
        true => Ok((list, period)),
        false => Err(Problem::absent(format!("{period} is no period of the {} checks.", list.word()))),
    }
}

async fn as_it_is(app: &App, list: Checklist, period: String) -> Answer<ChecklistView> {
    Ok(Json(checklist(&app.store, &app.brand, &app.facts, list, Some(period), app.clock.now()).await?))
}

/// `GET /api/handbook/{list}/{period}`
pub(super) async fn list(State(app): State<Arc<App>>, Path(path): Path<(String, String)>) -> Answer<ChecklistView> {
    let (list, period) = named(path)?;
    as_it_is(&app, list, period).await
}

/// A tick, or one taken back.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Tick {
    /// Which check, by its `id`.
    item: String,
    /// What was found; has to be said of what is not as it should be.
    #[serde(default)]
    note: String,
    /// Takes the tick back.
    #[serde(default)]
    back: bool,
}

/// `POST /api/handbook/{list}/{period}/tick`
pub(super) async fn tick(
    State(app): State<Arc<App>>,
    Path(path): Path<(String, String)>,
    who: Who,
    Sent(tick): Sent<Tick>,
) -> Answer<ChecklistView> {
    let (list, period) = named(path)?;
    let note = (!tick.back).then_some(tick.note.as_str());
    handbook::tick(&app, &who.actor().name, list, &period, &tick.item, note).await?;
    as_it_is(&app, list, period).await.map_err(Problem::unread)
}

/// A signature.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Sign {
    /// Why some checks stay unticked; not needed where none do.
    reason: String,
}

/// `POST /api/handbook/{list}/{period}/sign`
pub(super) async fn sign(
    State(app): State<Arc<App>>,
    Path(path): Path<(String, String)>,
    who: Who,
    MaybeSent(sign): MaybeSent<Sign>,
) -> Answer<ChecklistView> {
    let (list, period) = named(path)?;
    handbook::sign(&app, &who.actor().name, list, &period, &sign.unwrap_or_default().reason).await?;
    as_it_is(&app, list, period).await.map_err(Problem::unread)
}
