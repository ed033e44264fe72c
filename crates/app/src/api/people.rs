//! Who may do what at the brand.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
};
use schemars::JsonSchema;
use selvedge_model::{
    PersonId, TokenId,
    people::{Email, FourEyes, Role, fit_name},
};
use selvedge_store::{
    View,
    people::{Person, Proof, tokens::Token},
};
use serde::{Deserialize, Serialize};

use super::{
    page::Page,
    problem::{Answer, Asked, MaybeSent, Problem, Sent},
};
use crate::{
    people::{Who, manage},
    serve::App,
};

fn id_of(text: &str) -> Result<PersonId, Problem> {
    text.parse().map_err(|error| Problem::absent(format!("{error}.")))
}

/// People of one answer.
const LIMIT_MAX: usize = 500;

/// Which, and how many at most.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// The `next` of the page before.
    after: Option<PersonId>,
    /// How many, at most 500; 100 where nothing is said.
    limit: Option<usize>,
}

/// `GET /api/people`
pub(super) async fn list(State(app): State<Arc<App>>, Asked(wanted): Asked<Wanted>) -> Answer<Page<Person>> {
    let (brand, limit) = (app.brand.clone(), wanted.limit.unwrap_or(100).clamp(1, LIMIT_MAX));
    let people = app.store.read(move |view| view.people_after(&brand, wanted.after, limit)).await?;
    let next = people.last().map(|person| person.id).filter(|_| people.len() == limit);
    Ok(Json(Page::new(people, next)))
}

/// One person, and how they come in.
#[derive(Serialize, JsonSchema)]
pub(super) struct PersonDetail {
    /// The person.
    person: Person,
    /// Their tokens at this brand.
    tokens: Vec<Token>,
    /// In how many browsers they are signed in; nothing where the account is used at other brands, too.
    sessions: Option<u64>,
}

async fn seen(app: &App, id: PersonId) -> Answer<PersonDetail> {
    let (brand, now) = (app.brand.clone(), app.clock.now());
    let look = move |view: &View<'_>| {
        let person = view.person_seen_by(&brand, id)?;
        let ours = view.is_of_brand_alone(id, &brand)?;
        let sessions = if ours { Some(view.sessions(id, now)?.len() as u64) } else { None };
        Ok(PersonDetail { person, tokens: view.tokens(&brand, id)?, sessions })
    };
    Ok(Json(app.store.read(look).await?))
}

/// `GET /api/people/{id}`
pub(super) async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer<PersonDetail> {
    seen(&app, id_of(&id)?).await
}

/// Somebody who is to come in.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Invite {
    /// Their e-mail address.
    email: String,
    /// Their name.
    name: String,
    /// What they are to the brand: one role or more.
    roles: BTreeSet<Role>,
}

/// What became of an invitation, or of a way in that was made anew.
#[derive(Serialize, JsonSchema)]
pub(super) struct Invited {
    /// Where they set a password, once, within three days; shown only now. None where they are known already: they come in as before, or `/people/{id}/reset` makes a link.
    link: Option<String>,
}

impl Invited {
    fn of(app: &App, proof: Option<&Proof>) -> Self {
        let base = app.door.url.as_deref().unwrap_or_default();
        Self { link: proof.map(|proof| format!("{base}/invitation/{}", proof.text())) }
    }
}

/// `POST /api/people`
pub(super) async fn invite(State(app): State<Arc<App>>, who: Who, Sent(sent): Sent<Invite>) -> Answer<Invited> {
    let email: Email = sent.email.parse().map_err(|unfit| Problem::unclear(format!("{unfit}")))?;
    let name = fit_name(&sent.name).map_err(|unfit| Problem::unclear(unfit.to_string()))?;
    if sent.roles.is_empty() {
        return Err(Problem::unclear("Give at least one role. Nothing was changed."));
    }
    let proof = manage::invite(&app.store, &app.brand, &who.actor(), &email, &name, sent.roles, app.clock.now()).await?;
    Ok(Json(Invited::of(&app, proof.as_ref())))
}

/// What somebody is to the brand.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Roles {
    /// All roles that they have from now on; none takes everything away.
    roles: BTreeSet<Role>,
}

/// `PUT /api/people/{id}/roles`
pub(super) async fn roles(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    who: Who,
    Sent(sent): Sent<Roles>,
) -> Answer<PersonDetail> {
    let id = id_of(&id)?;
    manage::set_roles(&app.store, &app.brand, &who.actor(), id, sent.roles, app.clock.now()).await?;
    seen(&app, id).await.map_err(Problem::unread)
}

/// `POST /api/people/{id}/disable`
pub(super) async fn disable(State(app): State<Arc<App>>, Path(id): Path<String>, who: Who) -> Answer<PersonDetail> {
    let id = id_of(&id)?;
    manage::set_disabled(&app.store, &app.brand, &who.actor(), id, true, app.clock.now()).await?;
    seen(&app, id).await.map_err(Problem::unread)
}

/// `POST /api/people/{id}/enable`
pub(super) async fn enable(State(app): State<Arc<App>>, Path(id): Path<String>, who: Who) -> Answer<PersonDetail> {
    let id = id_of(&id)?;
    manage::set_disabled(&app.store, &app.brand, &who.actor(), id, false, app.clock.now()).await?;
    seen(&app, id).await.map_err(Problem::unread)
}

/// How a way in is made anew.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Reset {
    /// Whether the authenticator app is forgotten, too.
    forget_totp: bool,
}

/// `POST /api/people/{id}/reset`
pub(super) async fn reset(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    who: Who,
    MaybeSent(sent): MaybeSent<Reset>,
) -> Answer<Invited> {
    let (id, forget) = (id_of(&id)?, sent.unwrap_or_default().forget_totp);
    let (_, proof) = manage::reset(&app.store, &app.brand, &who.actor(), id, forget, app.clock.now()).await?;
    Ok(Json(Invited::of(&app, Some(&proof))))
}

/// How many ended.
#[derive(Serialize, JsonSchema)]
pub(super) struct Ended {
    /// How many.
    ended: u64,
}

/// `POST /api/people/{id}/sessions/revoke`
pub(super) async fn revoke_sessions(State(app): State<Arc<App>>, Path(id): Path<String>, who: Who) -> Answer<Ended> {
    let id = id_of(&id)?;
    let (sessions, tokens) = manage::revoke_sessions(&app.store, &app.brand, &who.actor(), id, app.clock.now()).await?;
    Ok(Json(Ended { ended: sessions + tokens }))
}

/// `POST /api/people/{id}/tokens/{token}/revoke`
pub(super) async fn revoke_token(
    State(app): State<Arc<App>>,
    Path((id, token)): Path<(String, String)>,
    who: Who,
) -> Answer<Ended> {
    let (id, token): (PersonId, TokenId) = (id_of(&id)?, token.parse().map_err(|error| Problem::absent(format!("{error}.")))?);
    match manage::revoke_token(&app.store, &app.brand, &who.actor(), id, token, app.clock.now()).await? {
        true => Ok(Json(Ended { ended: 1 })),
        false => Err(Problem::absent(format!("{id} has no token {token} here."))),
    }
}

/// `GET /api/four-eyes`
pub(super) async fn marked(State(app): State<Arc<App>>) -> Answer<FourEyes> {
    let brand = app.brand.clone();
    Ok(Json(app.store.read(move |view| view.four_eyes(&brand)).await?))
}

/// `PUT /api/four-eyes`
pub(super) async fn mark(State(app): State<Arc<App>>, who: Who, Sent(wanted): Sent<FourEyes>) -> Answer<FourEyes> {
    app.actions(&who).mark(wanted).await?;
    Ok(Json(wanted))
}
