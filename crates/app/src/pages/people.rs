//! `/people`: who may do what here, and which acts take two of them; `/people/{id}`: one person.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{
    Form,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use jiff::Timestamp;
use maud::{Markup, html};
use selvedge_model::{
    PersonId,
    people::{Email, FourEyes, Role, fit_name},
};
use selvedge_store::people::Person;
use serde::Deserialize;

use super::{Failure, Frame, Place, account, done, words::when};
use crate::{
    people::{Who, manage},
    serve::App,
};

/// What an act has done.
#[derive(Default, Deserialize)]
pub(super) struct Acted {
    #[serde(default)]
    did: String,
}

impl Acted {
    fn message(&self) -> Option<&'static str> {
        match self.did.as_str() {
            "roles" => Some("The roles are set. They count from the next request on."),
            "disabled" => Some("The account is out of use, and its sessions have ended."),
            "enabled" => Some("The account is in use again."),
            "sessions" => Some("All sessions and tokens of this person have ended."),
            "token" => Some("The token is good no more."),
            "four-eyes" => Some("Set. It counts from the next act on; what waits already stays as it is."),
            _ => None,
        }
    }
}

/// What was typed and did not pass.
#[derive(Default)]
struct Tried {
    typed: BTreeMap<String, String>,
    wrong: String,
}

/// The list.
pub(super) async fn page(State(app): State<Arc<App>>, Query(acted): Query<Acted>) -> Result<Markup, Failure> {
    shown(&app, acted.message(), None).await
}

async fn shown(app: &App, message: Option<&str>, tried: Option<&Tried>) -> Result<Markup, Failure> {
    let brand = app.brand.clone();
    let (people, marked) = app.store.read(move |view| Ok((view.people(&brand)?, view.four_eyes(&brand)?))).await?;
    let frame = Frame::of(app, Place::People, "People").await?;
    let now = app.clock.now();
    let typed = |name: &str| tried.and_then(|tried| tried.typed.get(name)).map_or("", String::as_str);
    Ok(frame.around(html! {
        h1 { "People" }
        p.lead { "Who may do what at " (app.brand) ". Every change is in the audit log." }
        @if let Some(message) = message { (done(message)) }
        table.cards {
            thead { tr { th scope="col" { "Name" } th scope="col" { "E-mail address" } th scope="col" { "Roles" } th scope="col" { "Signs in by" } th scope="col" { "Since" } } }
            tbody {
                @for person in &people {
                    tr {
                        th scope="row" data-label="Name" { a href={ "/people/" (person.id) } { (person.name) } }
                        td data-label="E-mail address" { (person.email) }
                        td data-label="Roles" { (account::roles(person)) }
                        td data-label="Signs in by" { (ways(person)) }
                        td data-label="Since" { (when(person.made_at, now)) }
                    }
                }
            }
        }
        section.card aria-labelledby="invite" {
            h2 #invite { "Invite somebody" }
            @if let Some(tried) = tried { p.wrong role="alert" { (tried.wrong) } }
            form action="/people" method="post" {
                label for="name" { "Name" }
                div { input #name name="name" value=(typed("name")) required maxlength="100" autocomplete="off"; }
                label for="email" { "E-mail address" }
                div { input #email name="email" type="email" value=(typed("email")) required maxlength="254" autocomplete="off"; }
                (role_ticks(|role| tried.is_some_and(|tried| tried.typed.contains_key(role.word()))))
                div { button.main { "Make the invitation" } }
            }
        }
        (four_eyes_form(&marked))
    }))
}

fn ways(person: &Person) -> Markup {
    html! {
        @if person.disabled_at.is_some() { span.state.bad { "out of use" } }
        @else if person.has_password && person.has_totp { "password and app" }
        @else if person.has_password { "password" }
        @else if let Some(issuer) = &person.issuer { "single sign-on, " (issuer) }
        @else { span.quiet { "invited, not yet here" } }
    }
}

fn role_ticks(has: impl Fn(Role) -> bool) -> Markup {
    html! {
        fieldset {
            legend { "Roles" }
            @for role in Role::ALL {
                label.tick {
                    input type="checkbox" name=(role.word()) checked[has(role)]; " " (role.name())
                    span.quiet { ": " (role.rights().iter().map(|right| right.word()).collect::<Vec<_>>().join(", ")) }
                }
            }
        }
    }
}

fn four_eyes_form(marked: &FourEyes) -> Markup {
    html! {
        section.card aria-labelledby="four-eyes" {
            h2 #four-eyes { "Acts that take two people" }
            form action="/people/four-eyes" method="post" {
                fieldset {
                    legend { "What somebody else has to approve; lifting one of these, too" }
                    label.tick { input type="checkbox" name="map" checked[marked.map]; " Every change of a mapping" }
                    label.tick { input type="checkbox" name="dismiss" checked[marked.dismiss]; " Every dismissal" }
                    label.tick { input type="checkbox" name="close" checked[marked.close]; " Signing a period, and opening a restatement of one" }
                }
                label for="release_over" { "Releasing more than so many records at once (empty: any number may be released)" }
                div {
                    input #release_over name="release_over" type="number" min="0" max="1000000000" value=[marked.release_over];
                    button { "Set" }
                }
            }
        }
    }
}

fn ticked(typed: &BTreeMap<String, String>) -> BTreeSet<Role> {
    Role::ALL.into_iter().filter(|role| typed.contains_key(role.word())).collect()
}

/// `POST /people`: invites somebody.
pub(super) async fn invite(
    State(app): State<Arc<App>>,
    who: Who,
    headers: HeaderMap,
    Form(typed): Form<BTreeMap<String, String>>,
) -> Result<Response, Failure> {
    let field = |name: &str| typed.get(name).map_or("", String::as_str);
    let roles = ticked(&typed);
    let wanted = match (fit_name(field("name")), field("email").parse::<Email>()) {
        (Ok(_), Ok(_)) if roles.is_empty() => Err("Give at least one role.".to_owned()),
        (Ok(name), Ok(email)) => Ok((name, email)),
        (Err(unfit), _) | (_, Err(unfit)) => Err(unfit.to_string()),
    };
    let (name, email) = match wanted {
        Ok(wanted) => wanted,
        Err(wrong) => {
            let page = shown(&app, None, Some(&Tried { typed, wrong })).await?;
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
        }
    };
    let invited = manage::invite(&app.store, &app.brand, &who.actor(), &email, &name, roles, app.clock.now()).await?;
    let Some(link) = invited else { return Ok(Redirect::to("/people?did=roles").into_response()) };
    let frame = Frame::of(&app, Place::People, "An invitation").await?;
    Ok(link_page(&app, &headers, frame, &name, &email, link.text()).into_response())
}

/// A link to give to somebody. It is shown once: whoever has it is that person.
fn link_page(app: &App, headers: &HeaderMap, frame: Frame, name: &str, email: &Email, link: &str) -> Markup {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let base = app.door.url.clone().unwrap_or_else(|| format!("http://{host}"));
    frame.around(html! {
        p.crumb { a href="/people" { "People" } }
        h1 { "A link for " (name) }
        p.lead { "Give it to " (email) " by a way that only they read. Whoever opens it first sets the password. It is good for three days, once, and is shown only now." }
        p { code #link { (base) "/invitation/" (link) } }
        p { a href="/people" { "It is given" } }
    })
}

fn id_of(text: &str) -> Result<PersonId, Failure> {
    text.parse().map_err(|error| Failure::Absent(format!("{error}.")))
}

/// `GET /people/{id}`
pub(super) async fn one(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(acted): Query<Acted>,
) -> Result<Markup, Failure> {
    let (id, brand, now) = (id_of(&id)?, app.brand.clone(), app.clock.now());
    let look = app.store.read(move |view| {
        let ours = view.is_of_brand_alone(id, &brand)?;
        let sessions = if ours { view.sessions(id, now)? } else { Vec::new() };
        Ok((view.person_seen_by(&brand, id)?, ours, sessions, view.tokens(&brand, id)?))
    });
    let (person, ours, sessions, tokens) = look.await?;
    let frame = Frame::of(&app, Place::People, person.name.clone()).await?;
    let address = format!("/people/{id}");
    Ok(frame.around(html! {
        p.crumb { a href="/people" { "People" } }
        h1 { (person.name) }
        p.lead { (person.email) ", " (ways(&person)) ", since " (when(person.made_at, now)) "." }
        @if let Some(message) = acted.message() { (done(message)) }
        section.card aria-labelledby="roles" {
            h2 #roles { "Roles at " (app.brand) }
            form action={ (address) "/roles" } method="post" {
                (role_ticks(|role| person.roles.contains(&role)))
                div { button.main { "Set the roles" } }
            }
        }
        @if ours { (account_acts(&person, &address, sessions.len(), now)) } @else {
            p.card { "This account is used at other brands, too. A new password, ending its sessions and taking it out of use is for " code { "selvedge people" } " on the machine." }
        }
        @if !tokens.is_empty() {
            section aria-labelledby="tokens" {
                h2 #tokens { "Tokens of the API" }
                (account::tokens_table(&tokens, &format!("{address}/tokens/revoke"), now))
            }
        }
    }))
}

fn account_acts(person: &Person, address: &str, sessions: usize, now: Timestamp) -> Markup {
    html! {
        section.card aria-labelledby="access" {
            h2 #access { "Access" }
            @match person.disabled_at {
                Some(since) => {
                    p { "Out of use since " (when(since, now)) "." }
                    form action={ (address) "/enable" } method="post" { button { "Put it in use again" } }
                }
                None => {
                    form action={ (address) "/reset" } method="post" {
                        @if person.has_totp { label.tick { input type="checkbox" name="totp"; " Forget the authenticator app, too (it is lost)" } }
                        div { button { @if person.has_password { "Make a link to a new password" } @else { "Make the invitation anew" } } }
                    }
                    form action={ (address) "/sessions/revoke" } method="post" {
                        div { button { "End all sessions and tokens" } span.quiet { (sessions) " open" } }
                    }
                    form action={ (address) "/disable" } method="post" { div { button { "Take it out of use" } } }
                }
            }
        }
    }
}

/// `POST /people/{id}/roles`
pub(super) async fn roles(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    Form(typed): Form<BTreeMap<String, String>>,
) -> Result<Redirect, Failure> {
    let id = id_of(&id)?;
    manage::set_roles(&app.store, &app.brand, &who.actor(), id, ticked(&typed), app.clock.now()).await?;
    Ok(Redirect::to(&format!("/people/{id}?did=roles")))
}

/// `POST /people/{id}/disable`
pub(super) async fn disable(State(app): State<Arc<App>>, who: Who, Path(id): Path<String>) -> Result<Redirect, Failure> {
    let id = id_of(&id)?;
    manage::set_disabled(&app.store, &app.brand, &who.actor(), id, true, app.clock.now()).await?;
    Ok(Redirect::to(&format!("/people/{id}?did=disabled")))
}

/// `POST /people/{id}/enable`
pub(super) async fn enable(State(app): State<Arc<App>>, who: Who, Path(id): Path<String>) -> Result<Redirect, Failure> {
    let id = id_of(&id)?;
    manage::set_disabled(&app.store, &app.brand, &who.actor(), id, false, app.clock.now()).await?;
    Ok(Redirect::to(&format!("/people/{id}?did=enabled")))
}

/// `POST /people/{id}/reset`
pub(super) async fn reset(
    State(app): State<Arc<App>>,
    who: Who,
    headers: HeaderMap,
    Path(id): Path<String>,
    Form(typed): Form<BTreeMap<String, String>>,
) -> Result<Markup, Failure> {
    let id = id_of(&id)?;
    let forget = typed.contains_key("totp");
    let (person, link) = manage::reset(&app.store, &app.brand, &who.actor(), id, forget, app.clock.now()).await?;
    let frame = Frame::of(&app, Place::People, "A link to a new password").await?;
    Ok(link_page(&app, &headers, frame, &person.name, &person.email, link.text()))
}

/// `POST /people/{id}/sessions/revoke`
pub(super) async fn revoke_sessions(State(app): State<Arc<App>>, who: Who, Path(id): Path<String>) -> Result<Redirect, Failure> {
    let id = id_of(&id)?;
    manage::revoke_sessions(&app.store, &app.brand, &who.actor(), id, app.clock.now()).await?;
    Ok(Redirect::to(&format!("/people/{id}?did=sessions")))
}

/// `POST /people/{id}/tokens/revoke`
pub(super) async fn revoke_token(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    Form(which): Form<account::WhichToken>,
) -> Result<Redirect, Failure> {
    let id = id_of(&id)?;
    manage::revoke_token(&app.store, &app.brand, &who.actor(), id, which.token, app.clock.now()).await?;
    Ok(Redirect::to(&format!("/people/{id}?did=token")))
}

/// `POST /people/four-eyes`
pub(super) async fn four_eyes(
    State(app): State<Arc<App>>,
    who: Who,
    Form(typed): Form<BTreeMap<String, String>>,
) -> Result<Response, Failure> {
    let limit = typed.get("release_over").map(|text| text.trim()).filter(|text| !text.is_empty()).map(str::parse::<u64>);
    let release_over = match limit {
        None => None,
        Some(Ok(most)) => Some(most),
        Some(Err(_)) => {
            return Err(Failure::Unclear("The number of records is a whole number, or nothing. Nothing was changed.".to_owned()));
        }
    };
    let ticked = |name: &str| typed.contains_key(name);
    let marked = FourEyes { map: ticked("map"), release_over, dismiss: ticked("dismiss"), close: ticked("close") };
    app.actions(&who).mark(marked).await?;
    Ok(Redirect::to("/people?did=four-eyes").into_response())
}

/// The address of an act, opened again after it: back to the list.
pub(super) async fn back() -> Redirect {
    Redirect::to("/people")
}

/// The same, back to the person.
pub(super) async fn back_to_one(Path(id): Path<String>) -> Redirect {
    Redirect::to(&format!("/people/{}", super::words::part(&id)))
}
