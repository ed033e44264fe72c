//! `/login/sso`: to the identity provider, and back.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use selvedge_model::PersonId;
use selvedge_store::{
    Result as Stored, StoreError, Tx,
    people::{Person, Proof, logins::Attempt, sessions::Origin},
};
use serde::Deserialize;

use super::{Failure, login};
use crate::{
    people::{
        Who, cookie,
        login::let_in,
        origin::Comes,
        sso::{Leave, SsoError, Vouched},
    },
    serve::App,
};

/// Where to go on.
#[derive(Deserialize)]
pub(super) struct On {
    #[serde(default)]
    to: String,
}

/// What the provider sends back.
#[derive(Deserialize)]
pub(super) struct Back {
    #[serde(default)]
    state: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    error: String,
}

fn refused(error: &SsoError) -> Failure {
    let status = match error {
        SsoError::Stray | SsoError::Refused(_) | SsoError::Unproven(_) => StatusCode::UNAUTHORIZED,
        SsoError::Unreachable(_) => StatusCode::BAD_GATEWAY,
    };
    Failure::refused(status, "You are not signed in", error.to_string())
}

fn none() -> Failure {
    Failure::Absent("Single sign-on is not set up here. Sign in with a password.".to_owned())
}

/// `GET /login/sso`
pub(super) async fn begin(State(app): State<Arc<App>>, Comes(origin): Comes, Query(on): Query<On>) -> Result<Response, Failure> {
    let leave = leave(&app, login::local(&on.to), None, &origin).await?;
    Ok(with_attempt(&app, &leave, Redirect::to(&leave.address)))
}

/// Begins the way to the provider.
pub(super) async fn leave(app: &App, to: &str, connects: Option<PersonId>, origin: &Origin) -> Result<Leave, Failure> {
    let sso = app.door.sso.as_ref().ok_or_else(none)?;
    sso.leave(to, connects, &origin.address).await.map_err(|error| refused(&error))
}

/// An answer with the cookie by which whoever comes back from the provider is known.
pub(super) fn with_attempt(app: &App, leave: &Leave, answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    if let Some(value) = cookie::sso_keep(&app.door, &leave.cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}

/// What became of somebody whom the provider vouches for.
enum Came {
    In(Proof),
    Connected,
    Not(&'static str),
}

/// `GET /login/sso/back`
pub(super) async fn back(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    before: Option<Extension<Who>>,
    Comes(origin): Comes,
    Query(sent): Query<Back>,
) -> Result<Response, Failure> {
    let sso = app.door.sso.as_ref().ok_or_else(none)?;
    let cookie = cookie::sso_shown(&app.door, &headers);
    let vouched = sso.back(cookie, &sent.state, &sent.code, &sent.error).await.map_err(|error| refused(&error))?;
    let before = before.map(|Extension(who)| who);
    let (brand, issuer, now) = (app.brand.clone(), sso.issuer().to_owned(), app.clock.now());
    let to = vouched.to.clone();
    let signed_in = before.as_ref().filter(|who| who.session().is_some()).map(|who| who.person.id);
    let came = app.store.write(move |tx| come(tx, &brand, &issuer, &vouched, signed_in, &origin, now)).await?;
    match came {
        Came::In(proof) => login::signed_in(&app, &proof, before, &to).await,
        Came::Connected => Ok(Redirect::to(&to).into_response()),
        Came::Not(why) => Err(Failure::refused(StatusCode::FORBIDDEN, "You are not signed in", why)),
    }
}

fn come(
    tx: &Tx<'_>,
    brand: &selvedge_model::Brand,
    issuer: &str,
    vouched: &Vouched,
    signed_in: Option<PersonId>,
    origin: &Origin,
    now: jiff::Timestamp,
) -> Stored<Came> {
    let known = tx.person_by_subject(brand, issuer, &vouched.subject)?;
    if let Some(wanted) = vouched.connects {
        if signed_in != Some(wanted) {
            return Ok(Came::Not("Somebody else is signed in now than when this was begun. Nothing was connected."));
        }
        if tx.person(brand, wanted)?.issuer.is_some() {
            return Ok(Came::Not("Your account is connected already. Nothing was changed; disconnect it first, under Account."));
        }
        if known.is_some_and(|person| person.id != wanted) {
            return Ok(Came::Not(
                "This account of the identity provider is connected with somebody else here. Nothing was connected.",
            ));
        }
        tx.set_subject(wanted, issuer, &vouched.subject)?;
        let email = tx.person(brand, wanted)?.email;
        tx.audit(brand, email.as_str(), "sso.connect", email.as_str(), &format!("{} at {issuer}", vouched.subject), now)?;
        return Ok(Came::Connected);
    }
    let person = match known {
        Some(person) => person,
        None => match added(tx, brand, issuer, vouched, now)? {
            Ok(person) => person,
            Err(why) => return Ok(Came::Not(why)),
        },
    };
    if person.disabled_at.is_some() {
        return Ok(Came::Not("This account is not in use any more. An admin puts it in use again, under People."));
    }
    if let Some(roles) = vouched.roles.as_ref().filter(|roles| **roles != person.roles) {
        let admin = tx.has_admin(brand)?;
        tx.set_roles(person.id, brand, roles)?;
        if admin && !tx.has_admin(brand)? {
            return Err(StoreError::Forbidden(
                "The identity provider says that you are no admin any more, and nobody else is. Name another admin first."
                    .to_owned(),
            ));
        }
        let words = roles.iter().map(|role| role.word()).collect::<Vec<_>>().join(", ");
        tx.audit(
            brand,
            person.email.as_str(),
            "people.roles",
            person.email.as_str(),
            &format!("by the groups at {issuer}: {words}"),
            now,
        )?;
    }
    let attempt = Attempt { email: Some(person.email.clone()), address: origin.address.clone() };
    let_in(tx, brand, person.id, &person.email, &attempt, origin, now).map(Came::In)
}

/// Somebody who comes for the first time.
fn added(
    tx: &Tx<'_>,
    brand: &selvedge_model::Brand,
    issuer: &str,
    vouched: &Vouched,
    now: jiff::Timestamp,
) -> Stored<Result<Person, &'static str>> {
    if vouched.roles.as_ref().is_some_and(std::collections::BTreeSet::is_empty) {
        return Ok(Err(
            "None of your groups has a role here. Whoever runs the identity provider, or the config of this installation, can change that.",
        ));
    }
    let Some(email) = &vouched.email else {
        return Ok(Err(
            "The identity provider tells no e-mail address that could be taken for your name here. Ask whoever runs it to send the claim email.",
        ));
    };
    if tx.person_by_email(brand, email)?.is_some() {
        return Ok(Err(
            "There is an account with your e-mail address already, and an address alone proves nobody. Sign in to it with its password, and connect single sign-on under Account.",
        ));
    }
    let id = tx.add_person(email, vouched.name.as_deref().unwrap_or(email.as_str()), now)?;
    tx.set_subject(id, issuer, &vouched.subject)?;
    tx.audit(brand, email.as_str(), "people.add", email.as_str(), &format!("{issuer} vouches for {}", vouched.subject), now)?;
    Ok(Ok(tx.person(brand, id)?))
}
