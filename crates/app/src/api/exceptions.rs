//! Exceptions, and what a person does about them.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
};
use schemars::JsonSchema;
use selvedge_flow::preview::Preview;
use selvedge_model::{ConnectionName, ExceptionId, ObligationId, RecordKey, edit::EditField, owners::Owner, team::Team};
use selvedge_store::releases::Begun;
use serde::{Deserialize, Serialize};

use super::problem::{Answer, Asked, MaybeSent, Problem, Sent};
use crate::{
    config::desk::person,
    people::Who,
    serve::App,
    view::{
        self, ExceptionDetail, StockRows,
        case::{CaseView, Looking},
        desk::{DeskView, DeskWanted},
    },
};

/// How it is released.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct How {
    /// One record first, the rest by itself when that one is confirmed.
    canary: bool,
}

/// How many went back to the gate.
#[derive(Serialize, JsonSchema)]
pub(super) struct Released {
    /// Records.
    released: u64,
    /// The one that goes first, where the others follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    canary: Option<RecordKey>,
    /// Whether it is being released already, so that nothing was done.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    under_way: bool,
}

/// How many were let go.
#[derive(Serialize, JsonSchema)]
pub(super) struct Dismissed {
    dismissed: u64,
}

/// Why, and of how much.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Dismiss {
    /// The reason, which stays with every record that is let go.
    reason: String,
    /// How many records it held when somebody looked: when it holds more by now, nothing is let go. Left out: whatever it holds.
    #[serde(default)]
    records: Option<u64>,
    /// The newest of what it held then: when it holds a newer one by now, nothing is let go either.
    #[serde(default)]
    newest: Option<ObligationId>,
}

/// To whom, and what to say.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Assign {
    /// The team.
    team: Team,
    /// The person of it; nobody in particular where nothing is said.
    person: Option<String>,
    /// What to say to them.
    #[serde(default)]
    note: String,
}

/// Something said.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Said {
    /// The words.
    text: String,
}

/// Until when, and why.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Snooze {
    /// `4h`, `3d`, or an instant with its offset.
    until: String,
    /// Why.
    reason: String,
}

/// That both ends are read again.
#[derive(Serialize, JsonSchema)]
pub(super) struct ReadAgain {
    /// Which two ends.
    pair: String,
}

/// `POST /api/exceptions/{id}/look`
pub(super) async fn look(State(app): State<Arc<App>>, who: Who, Path(id): Path<String>) -> Answer<ReadAgain> {
    let id = id_of(&id)?;
    let detail = view::exception(&app.store, &app.brand, &app.all_ends(), id).await?;
    let detail = detail.ok_or_else(|| Problem::absent(format!("There is no exception {id}.")))?;
    let filter = view::reconcile::grouped_by(&detail.exception)
        .ok_or_else(|| Problem::unclear(format!("{id} is not about two ends that disagree. Nothing was done.")))?;
    app.actions(&who).look_again(id, &filter.pair, &app.engine.reconciler).await?;
    Ok(Json(ReadAgain { pair: filter.pair }))
}

/// What of which order, and why.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Edit {
    obligation: ObligationId,
    /// By the words of the fields; `null` or an empty text takes a field away.
    fields: BTreeMap<String, Option<String>>,
    /// What went there when somebody looked, by the same words: when something else goes in one of them by now, nothing is edited.
    /// Left out: whatever goes there.
    #[serde(default)]
    seen: BTreeMap<String, Option<String>>,
    /// Why.
    reason: String,
}

/// What was edited: none where it goes like this already.
#[derive(Serialize, JsonSchema)]
pub(super) struct Edited {
    edited: Vec<EditField>,
}

/// It is done.
#[derive(Serialize, JsonSchema)]
pub(super) struct Done {
    done: bool,
}

const DONE: Json<Done> = Json(Done { done: true });

fn id_of(text: &str) -> Result<ExceptionId, Problem> {
    text.parse().map_err(|error| Problem::absent(format!("{error}.")))
}

/// `GET /api/exceptions?shelf=&team=&person=&mine=&rule=&flow=&connection=&text=&after=&limit=`
pub(super) async fn list(State(app): State<Arc<App>>, who: Who, Asked(wanted): Asked<DeskWanted>) -> Answer<DeskView> {
    let asked = wanted.asked(&app.all_ends(), &who.names()).map_err(Problem::unclear)?;
    Ok(Json(view::desk::desk(&app.store, &app.brand, &asked).await?))
}

/// One exception with what it holds and what helps to settle it.
#[derive(Serialize, JsonSchema)]
pub(super) struct Shown {
    #[serde(flatten)]
    detail: ExceptionDetail,
    case: CaseView,
    /// The rows that it is about, if it is about stock.
    #[serde(skip_serializing_if = "Option::is_none")]
    stock: Option<StockRows>,
}

/// `GET /api/exceptions/{id}`
pub(super) async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer<Shown> {
    let id = id_of(&id)?;
    let Some(detail) = view::exception(&app.store, &app.brand, &app.all_ends(), id).await? else {
        return Err(Problem::absent(format!("There is no exception {id}.")));
    };
    let looking = Looking {
        brand: app.brand.clone(),
        desk: app.engine.setup().desk.clone(),
        ends: app.all_ends(),
        now: app.clock.now(),
        edit: None,
    };
    let case = view::case::case(&app.store, &looking, &detail).await?;
    let stock = view::stock_rows(&app.store, &app.brand, &app.engine.setup().stocks, &detail.exception).await?;
    Ok(Json(Shown { detail, case, stock }))
}

/// With which mapping.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Foreseen {
    /// What the mapping that it asks for would be set to; with the mappings as they are where nothing is said.
    value: Option<String>,
    /// At which connection, where the exception does not say so itself.
    connection: Option<ConnectionName>,
}

/// `GET /api/exceptions/{id}/preview?value=`: what a release would do now, or once its mapping is set; nothing is written.
pub(super) async fn preview(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Asked(with): Asked<Foreseen>,
) -> Answer<Preview> {
    let id = id_of(&id)?;
    let entry = match with.value {
        None => None,
        Some(value) => {
            let detail = view::exception(&app.store, &app.brand, &app.all_ends(), id).await?;
            let asked = detail.and_then(|detail| detail.mapping);
            let Some(asked) = asked else { return Err(Problem::unclear(format!("{id} asks for no mapping."))) };
            Some(asked.answered(with.connection, &value, &app.mapping_targets()).map_err(Problem::unclear)?)
        }
    };
    Ok(Json(app.engine.preview(id, entry).await?))
}

/// `POST /api/exceptions/{id}/release`, with `{"canary": true}` for one record first.
pub(super) async fn release(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    MaybeSent(how): MaybeSent<How>,
) -> Answer<Released> {
    let id = id_of(&id)?;
    let canary = how.is_some_and(|how| how.canary);
    let released = |released| Released { released, canary: None, under_way: false };
    if !canary {
        return Ok(Json(released(app.actions(&who).release(id).await?)));
    }
    Ok(Json(match app.actions(&who).release_stepwise(id).await? {
        Begun::Canary(_, key) => Released { canary: Some(key), ..released(1) },
        Begun::AtOnce(count) => released(count),
        Begun::UnderWay => Released { under_way: true, ..released(0) },
    }))
}

/// `POST /api/exceptions/{id}/dismiss`
pub(super) async fn dismiss(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    Sent(sent): Sent<Dismiss>,
) -> Answer<Dismissed> {
    let id = id_of(&id)?;
    let reason = view::reason(&sent.reason).map_err(Problem::unclear)?;
    let dismissed = match (sent.records, sent.newest) {
        (None, None) => app.actions(&who).dismiss(id, &reason).await?,
        (records, newest) => app.actions(&who).dismiss_seen(id, &reason, records.unwrap_or(u64::MAX), newest).await?,
    };
    Ok(Json(Dismissed { dismissed }))
}

/// `POST /api/exceptions/{id}/assign`
pub(super) async fn assign(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    Sent(sent): Sent<Assign>,
) -> Answer<Done> {
    let id = id_of(&id)?;
    let person = sent.person.as_deref().map(person).transpose().map_err(Problem::unclear)?;
    let note =
        if sent.note.trim().is_empty() { String::new() } else { view::desk::said(&sent.note).map_err(Problem::unclear)? };
    app.actions(&who).hand_over(id, &Owner { team: sent.team, person }, &note).await?;
    Ok(DONE)
}

/// `POST /api/exceptions/{id}/comment`
pub(super) async fn comment(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    Sent(sent): Sent<Said>,
) -> Answer<Done> {
    let text = view::desk::said(&sent.text).map_err(Problem::unclear)?;
    app.actions(&who).comment(id_of(&id)?, &text).await?;
    Ok(DONE)
}

/// `POST /api/exceptions/{id}/snooze`
pub(super) async fn snooze(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    Sent(sent): Sent<Snooze>,
) -> Answer<Done> {
    let until = view::desk::until(&sent.until, app.clock.now()).map_err(Problem::unclear)?;
    let reason = view::reason(&sent.reason).map_err(Problem::unclear)?;
    app.actions(&who).snooze(id_of(&id)?, until, &reason).await?;
    Ok(DONE)
}

/// `POST /api/exceptions/{id}/wake`
pub(super) async fn wake(State(app): State<Arc<App>>, who: Who, Path(id): Path<String>) -> Answer<Done> {
    app.actions(&who).wake(id_of(&id)?).await?;
    Ok(DONE)
}

/// `POST /api/exceptions/{id}/edit`
pub(super) async fn edit(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    Sent(sent): Sent<Edit>,
) -> Answer<Edited> {
    let id = id_of(&id)?;
    let mut typed: BTreeMap<String, String> =
        sent.fields.into_iter().map(|(field, value)| (field, value.unwrap_or_default())).collect();
    typed.extend(sent.seen.into_iter().map(|(field, was)| (format!("{}{field}", view::case::SEEN), was.unwrap_or_default())));
    typed.insert("obligation".to_owned(), sent.obligation.to_string());
    typed.insert("reason".to_owned(), sent.reason);
    let sent = view::case::edits(&typed, &app.engine.setup().desk.editable).map_err(Problem::unclear)?;
    let edited = app.actions(&who).edit(id, sent.obligation, &sent.wanted, &sent.seen, &sent.reason).await?;
    Ok(Json(Edited { edited }))
}
