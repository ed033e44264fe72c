//! Links that let somebody in: to name the first admin, to set a password, to look at a demo.

use std::sync::Arc;

use axum::{
    Extension, Form,
    extract::{Path, RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use maud::{Markup, html};
use selvedge_model::people::{Email, PASSWORD_CHARS_MIN, Role, fit_name, fit_password};
use selvedge_store::{
    StoreError,
    people::{Person, Proof, links::Link, logins::Attempt, sessions::Step},
};
use serde::Deserialize;

use super::{
    Failure,
    login::{self, frame},
};
use crate::{
    people::{DEMO, Who, login::let_in, origin::Comes},
    serve::App,
};

/// Who the first admin is.
#[derive(Default, Deserialize)]
pub(super) struct First {
    #[serde(default)]
    name: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    again: String,
}

/// A new password.
#[derive(Deserialize)]
pub(super) struct New {
    #[serde(default)]
    password: String,
    #[serde(default)]
    again: String,
}

fn over() -> Failure {
    Failure::refused(
        StatusCode::GONE,
        "This link is not good any more",
        "It was used, a newer one was made, or its time is over. Nothing was changed. For the first admin, selvedge people setup prints a new one; for a password, an admin makes one under People, or selvedge people reset.",
    )
}

/// What the link is for, if it is good.
async fn opened(app: &App, token: &str) -> Result<Option<(Proof, Link)>, Failure> {
    let Some(proof) = Proof::shown(token) else { return Ok(None) };
    let now = app.clock.now();
    let found = app.store.read(move |view| Ok(view.link(&proof, now)?.map(|link| (proof, link)))).await?;
    Ok(found)
}

/// `GET /setup/{token}`
pub(super) async fn page(State(app): State<Arc<App>>, Path(token): Path<String>) -> Result<Markup, Failure> {
    match opened(&app, &token).await? {
        Some((_, Link::Setup(brand))) if brand == app.brand => Ok(first(&app, &token, &First::default(), None)),
        _ => Err(over()),
    }
}

/// The fields of a new password.
pub(super) fn password_fields() -> Markup {
    html! {
        label for="password" { "Password, at least " (PASSWORD_CHARS_MIN) " characters" }
        div { input #password name="password" type="password" required minlength=(PASSWORD_CHARS_MIN) maxlength="256" autocomplete="new-password"; }
        label for="again" { "The same once more" }
        div { input #again name="again" type="password" required maxlength="256" autocomplete="new-password"; }
    }
}

fn first(app: &App, token: &str, typed: &First, wrong: Option<&str>) -> Markup {
    frame(app, "Set up").around(html! {
        h1 { "Name the first admin" }
        p.lead { "The first admin invites everybody else, and says who may do what. Four or five words that do not belong together make a good password." }
        @if let Some(wrong) = wrong { p.wrong #wrong role="alert" { (wrong) } }
        form.search action={ "/setup/" (token) } method="post" aria-describedby=[wrong.map(|_| "wrong")] {
            label for="name" { "Your name" }
            div { input #name name="name" value=(typed.name) required maxlength="100" autocomplete="name"; }
            label for="email" { "Your e-mail address" }
            div { input #email name="email" type="email" value=(typed.email) required maxlength="254" autocomplete="username"; }
            (password_fields())
            div { button.main { "Become the admin" } }
        }
    })
}

/// The checked password, or what is wrong with it.
pub(super) fn checked<'a>(password: &'a str, again: &str, email: &Email, name: &str) -> Result<&'a str, String> {
    if password != again {
        return Err("The two passwords are not the same. Type both again.".to_owned());
    }
    fit_password(password, email, name).map(|()| password).map_err(|unfit| unfit.to_string())
}

/// `POST /setup/{token}`
pub(super) async fn name_first(
    State(app): State<Arc<App>>,
    Path(token): Path<String>,
    before: Option<Extension<Who>>,
    Comes(origin): Comes,
    Form(typed): Form<First>,
) -> Result<Response, Failure> {
    let proof = match opened(&app, &token).await? {
        Some((proof, Link::Setup(brand))) if brand == app.brand => proof,
        _ => return Err(over()),
    };
    let wrong = |why: String| (StatusCode::UNPROCESSABLE_ENTITY, first(&app, &token, &typed, Some(&why))).into_response();
    let (name, email) = match (fit_name(&typed.name), typed.email.parse::<Email>()) {
        (Ok(name), Ok(email)) => (name, email),
        (Err(unfit), _) | (_, Err(unfit)) => return Ok(wrong(unfit.to_string())),
    };
    let password = match checked(&typed.password, &typed.again, &email, &name) {
        Ok(password) => password,
        Err(why) => return Ok(wrong(why)),
    };
    let Ok(hash) = app.door.hashing.hash(password).await else { return Err(busy()) };
    let (brand, now) = (app.brand.clone(), app.clock.now());
    let made = app.store.write(move |tx| {
        // Of two who send it at once, one finds the link used.
        if tx.use_link(&proof, now)? != Some(Link::Setup(brand.clone())) || tx.has_admin(&brand)? {
            return Ok(None);
        }
        let id = tx.add_person(&email, &name, now)?;
        tx.set_roles(id, &brand, &[Role::Admin].into())?;
        tx.set_password(id, &hash)?;
        tx.audit(&brand, email.as_str(), "people.add", email.as_str(), "the first admin, by the link of the set-up", now)?;
        let attempt = Attempt { email: Some(email.clone()), address: origin.address.clone() };
        Ok(Some(let_in(tx, &brand, id, &email, &attempt, &origin, now)?))
    });
    match made.await {
        Ok(Some(proof)) => login::signed_in(&app, &proof, before.map(|Extension(who)| who), "/").await,
        Ok(None) => Err(over()),
        Err(StoreError::Taken(what)) => Ok(wrong(format!("Somebody has {what} already. Give another."))),
        Err(error) => Err(error.into()),
    }
}

/// Too many passwords at once.
pub(super) fn busy() -> Failure {
    Failure::refused(
        StatusCode::SERVICE_UNAVAILABLE,
        "Too many people sign in just now",
        "Nothing was changed. Go back and send it again in some seconds.",
    )
}

async fn invited(app: &App, token: &str) -> Result<(Proof, Person), Failure> {
    let Some((proof, Link::Password(id))) = opened(app, token).await? else { return Err(over()) };
    let brand = app.brand.clone();
    Ok((proof, app.store.read(move |view| view.person(&brand, id)).await?))
}

/// `GET /invitation/{token}`
pub(super) async fn invitation(State(app): State<Arc<App>>, Path(token): Path<String>) -> Result<Markup, Failure> {
    let (_, person) = invited(&app, &token).await?;
    Ok(new_password(&app, &token, &person, None))
}

fn new_password(app: &App, token: &str, person: &Person, wrong: Option<&str>) -> Markup {
    frame(app, "Set a password").around(html! {
        h1 { "Set your password" }
        p.lead { (person.name) ", you sign in as " b { (person.email) } ". Four or five words that do not belong together make a good password." }
        @if let Some(wrong) = wrong { p.wrong #wrong role="alert" { (wrong) } }
        form.search action={ "/invitation/" (token) } method="post" aria-describedby=[wrong.map(|_| "wrong")] {
            // So that a password manager knows for whom.
            input type="hidden" name="username" value=(person.email) autocomplete="username";
            (password_fields())
            div { button.main { "Set it and sign in" } }
        }
    })
}

/// `POST /invitation/{token}`
pub(super) async fn accept(
    State(app): State<Arc<App>>,
    Path(token): Path<String>,
    before: Option<Extension<Who>>,
    Comes(origin): Comes,
    Form(typed): Form<New>,
) -> Result<Response, Failure> {
    let (proof, person) = invited(&app, &token).await?;
    let password = match checked(&typed.password, &typed.again, &person.email, &person.name) {
        Ok(password) => password,
        Err(why) => {
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, new_password(&app, &token, &person, Some(&why))).into_response());
        }
    };
    let Ok(hash) = app.door.hashing.hash(password).await else { return Err(busy()) };
    let (brand, now) = (app.brand.clone(), app.clock.now());
    let second = person.has_totp;
    let opened = app.store.write(move |tx| {
        if tx.use_link(&proof, now)? != Some(Link::Password(person.id)) {
            return Ok(None);
        }
        tx.set_password(person.id, &hash)?;
        // Whoever needs a link may have lost more than the password.
        let (ended, tokens) = (tx.revoke_sessions(person.id, None)?, tx.revoke_tokens(person.id)?);
        let email = &person.email;
        let said = format!("by a link; {ended} sessions and {tokens} tokens ended");
        tx.audit(&brand, email.as_str(), "password.set", email.as_str(), &said, now)?;
        if second {
            // A link alone is no way round the app.
            return Ok(Some(tx.open_session(person.id, Step::Password, &origin, now)?.1));
        }
        let attempt = Attempt { email: Some(email.clone()), address: origin.address.clone() };
        Ok(Some(let_in(tx, &brand, person.id, email, &attempt, &origin, now)?))
    });
    match opened.await? {
        Some(proof) if second => Ok(login::with_cookie(&app, &proof, Redirect::to("/login/code"))),
        Some(proof) => login::signed_in(&app, &proof, before.map(|Extension(who)| who), "/").await,
        None => Err(over()),
    }
}

/// `GET /demo/{token}`, and anything below it: signs in, and goes on below. What a demo shows is made up, so its link may be opened
/// as often as one likes, in as many browsers, for as long as the demo runs; no other server knows it.
pub(super) async fn demo(
    State(app): State<Arc<App>>,
    Path(parts): Path<Vec<String>>,
    RawQuery(query): RawQuery,
    who: Option<Extension<Who>>,
    Comes(origin): Comes,
) -> Result<Response, Failure> {
    let mut parts = parts.into_iter();
    let proof = parts.next().as_deref().and_then(Proof::shown);
    if proof.is_none_or(|proof| app.door.demo != Some(proof.hash())) {
        return Err(over());
    }
    let below: String = parts.next().unwrap_or_default().split('/').map(super::words::part).collect::<Vec<_>>().join("/");
    let to = format!("/{below}{}", query.map(|query| format!("?{query}")).unwrap_or_default());
    let to = login::local(&to).to_owned();
    if who.is_some_and(|who| who.session().is_some()) {
        return Ok(Redirect::to(&to).into_response());
    }
    let (brand, now) = (app.brand.clone(), app.clock.now());
    let opened = app.store.write(move |tx| {
        let Some(person) = DEMO.parse().ok().map(|email| tx.person_by_email(&brand, &email)).transpose()?.flatten() else {
            return Ok(None);
        };
        let attempt = Attempt { email: Some(person.email.clone()), address: origin.address.clone() };
        let_in(tx, &brand, person.id, &person.email, &attempt, &origin, now).map(Some)
    });
    match opened.await? {
        Some(proof) => Ok(login::with_cookie(&app, &proof, Redirect::to(&to))),
        None => Err(over()),
    }
}
