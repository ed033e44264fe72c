//! `/login`: signing in, in one or two steps, and signing out.

use std::sync::Arc;

use axum::{
    Extension, Form,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use maud::{Markup, html};
use selvedge_store::people::{Proof, sessions::Step};
use serde::Deserialize;

use super::{Failure, Frame, Place, words::part};
use crate::{
    people::{
        Who, cookie,
        login::{self, Login},
        origin::Comes,
    },
    serve::App,
};

/// The longest address that somebody is led back to.
const TO_BYTES_MAX: usize = 1_000;

/// Where to go on.
#[derive(Default, Deserialize)]
pub(super) struct On {
    #[serde(default)]
    to: String,
}

/// What was typed.
#[derive(Deserialize)]
pub(super) struct Typed {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    to: String,
}

/// What was typed second.
#[derive(Deserialize)]
pub(super) struct Code {
    #[serde(default)]
    code: String,
    #[serde(default)]
    to: String,
}

/// The address of the page, which leads back to where somebody wanted to go.
pub(crate) fn login_address(to: &str) -> String {
    if local(to) == "/" { "/login".to_owned() } else { format!("/login?to={}", part(to)) }
}

/// An address of ours, or the first page: whoever signs in is led nowhere else. What looks like a path and is read as a host
/// (`//`, `/\`, and what browsers cut out) is none.
pub(super) fn local(to: &str) -> &str {
    let plain = to.len() <= TO_BYTES_MAX && !to.contains('\\') && !to.chars().any(|c| c.is_control() || c.is_whitespace());
    let path = to.strip_prefix('/').is_some_and(|rest| !rest.starts_with('/'));
    if plain && path && !to.starts_with("/login") { to } else { "/" }
}

/// The page.
pub(super) async fn page(
    State(app): State<Arc<App>>,
    who: Option<Extension<Who>>,
    Query(on): Query<On>,
) -> Result<Response, Failure> {
    if who.is_some_and(|who| who.session().is_some()) {
        return Ok(Redirect::to(local(&on.to)).into_response());
    }
    Ok(shown(&app, "", &on.to, None).await?.into_response())
}

async fn shown(app: &App, email: &str, to: &str, wrong: Option<&str>) -> Result<Markup, Failure> {
    let brand = app.brand.clone();
    let ready = app.store.read(move |view| view.has_admin(&brand)).await?;
    Ok(frame(app, "Sign in").around(html! {
        h1 { "Sign in" }
        @if !ready && app.door.demo.is_none() {
            div.notice {
                p { "Nobody can sign in yet. " code { "selvedge run" } " has printed a link with which the first admin is named; " code { "selvedge people setup" } " prints a new one." }
            }
        }
        @if let Some(wrong) = wrong { p.wrong #wrong role="alert" { (wrong) } }
        form.search action="/login" method="post" aria-describedby=[wrong.map(|_| "wrong")] {
            input type="hidden" name="to" value=(local(to));
            label for="email" { "E-mail address" }
            div { input #email name="email" type="email" value=(email) required maxlength="254" autocomplete="username"; }
            label for="password" { "Password" }
            div {
                input #password name="password" type="password" required maxlength="256" autocomplete="current-password";
                button.main { "Sign in" }
            }
        }
        @if let Some(sso) = &app.door.sso {
            p { a href={ "/login/sso?to=" (part(local(to))) } { "Sign in with " (sso.name()) } }
        }
        p.quiet { "Forgotten? An admin makes a link to a new password, under People; " code { "selvedge people reset" } " does so on the machine itself." }
    }))
}

/// A page for whoever is not signed in: it tells nothing of what is behind.
pub(super) fn frame(app: &App, title: &str) -> Frame {
    Frame { title: title.to_owned(), place: Place::Nowhere, brand: Some(app.brand.0.clone()), open: None }
}

/// Signs in.
pub(super) async fn enter(
    State(app): State<Arc<App>>,
    before: Option<Extension<Who>>,
    Comes(origin): Comes,
    Form(typed): Form<Typed>,
) -> Result<Response, Failure> {
    let to = local(&typed.to);
    let wrong = match login::with_password(&app, &typed.email, &typed.password, &origin).await? {
        Login::In(proof) => return signed_in(&app, &proof, before.map(|Extension(who)| who), to).await,
        Login::Second(proof) => {
            // The cookie is overwritten: nobody could end that session any more.
            ended(&app, before.map(|Extension(who)| who)).await?;
            let address = if to == "/" { "/login/code".to_owned() } else { format!("/login/code?to={}", part(to)) };
            return Ok(with_cookie(&app, &proof, Redirect::to(&address)));
        }
        other => refusal(&app, &other),
    };
    let status = wrong.0;
    Ok((status, shown(&app, &typed.email, to, Some(&wrong.1)).await?).into_response())
}

/// What somebody is told who is not let in: never what exactly was not right.
fn refusal(app: &App, login: &Login) -> (StatusCode, String) {
    match login {
        Login::Waits(until) => {
            let seconds = until.duration_since(app.clock.now()).as_secs().max(0) + 1;
            let text = format!("Too many attempts have failed. Nothing was looked at; try again in {seconds} seconds.");
            (StatusCode::TOO_MANY_REQUESTS, text)
        }
        Login::Busy => (
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many people sign in just now. Nothing was looked at; try again in some seconds.".to_owned(),
        ),
        _ => (
            StatusCode::UNAUTHORIZED,
            "The e-mail address and the password do not belong together, or the account is not in use. Check both and try again."
                .to_owned(),
        ),
    }
}

/// The second step.
pub(super) async fn code_page(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Query(on): Query<On>,
) -> Result<Response, Failure> {
    let (brand, now) = (app.brand.clone(), app.clock.now());
    let half = match cookie::shown(&app.door, &headers) {
        Some(proof) => app.store.read(move |view| view.session(&brand, &proof, Step::Password, now)).await?,
        None => None,
    };
    if half.is_none() {
        return Ok(Redirect::to(&login_address(local(&on.to))).into_response());
    }
    Ok(code_shown(&app, &on.to, None).into_response())
}

fn code_shown(app: &App, to: &str, wrong: Option<&str>) -> Markup {
    frame(app, "Sign in").around(html! {
        h1 { "The code of your app" }
        p.lead { "The six digits that your authenticator app shows now. Without the app: one of your recovery codes." }
        @if let Some(wrong) = wrong { p.wrong #wrong role="alert" { (wrong) } }
        form.search action="/login/code" method="post" aria-describedby=[wrong.map(|_| "wrong")] {
            input type="hidden" name="to" value=(local(to));
            label for="code" { "Code" }
            div {
                input #code name="code" required maxlength="40" autocomplete="one-time-code" autocapitalize="none" spellcheck="false";
                button.main { "Sign in" }
            }
        }
        p { a href="/login" { "Begin again" } }
    })
}

/// Looks at the code.
pub(super) async fn code(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Comes(origin): Comes,
    Form(typed): Form<Code>,
) -> Result<Response, Failure> {
    let to = local(&typed.to);
    let Some(half) = cookie::shown(&app.door, &headers) else { return Ok(Redirect::to(&login_address(to)).into_response()) };
    match login::with_code(&app, half, &typed.code, &origin).await? {
        Login::In(proof) => signed_in(&app, &proof, None, to).await,
        Login::Over => Ok(Redirect::to(&login_address(to)).into_response()),
        Login::Wrong => {
            let wrong =
                "This is not the code that is asked for now, or it was used already. Wait for the next one and try again.";
            Ok((StatusCode::UNAUTHORIZED, code_shown(&app, to, Some(wrong))).into_response())
        }
        other => {
            let (status, wrong) = refusal(&app, &other);
            Ok((status, code_shown(&app, to, Some(&wrong))).into_response())
        }
    }
}

/// Ends the session.
pub(super) async fn leave(State(app): State<Arc<App>>, who: Who) -> Result<Response, Failure> {
    if let Some(session) = who.session() {
        let (brand, person, now) = (app.brand.clone(), who.person.clone(), app.clock.now());
        app.store
            .write(move |tx| {
                tx.revoke_session(person.id, session)?;
                tx.audit(&brand, person.email.as_str(), "logout", &session.to_string(), "", now)
            })
            .await?;
    }
    let mut response = Redirect::to("/login").into_response();
    if let Some(value) = cookie::forget(&app.door) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    Ok(response)
}

/// On with a new session; the one that the browser had before ends.
pub(super) async fn signed_in(app: &App, proof: &Proof, before: Option<Who>, to: &str) -> Result<Response, Failure> {
    ended(app, before).await?;
    Ok(with_cookie(app, proof, Redirect::to(to)))
}

/// Ends the session that the browser had before.
async fn ended(app: &App, before: Option<Who>) -> Result<(), Failure> {
    if let Some((person, session)) = before.and_then(|who| Some((who.person.id, who.session()?))) {
        app.store.write(move |tx| tx.revoke_session(person, session)).await?;
    }
    Ok(())
}

/// An answer with the cookie.
pub(super) fn with_cookie(app: &App, proof: &Proof, answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    if let Some(value) = cookie::keep(&app.door, proof) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere() {
        for good in ["/", "/orders", "/orders?search=a&b=%2F%2Fc", "/exceptions/exc_1"] {
            assert_eq!(local(good), good);
        }
        for bad in [
            "",
            "orders",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/\t/evil.example",
            "/ /evil.example",
            "/a\r\nSet-Cookie: x=1",
            "/login?to=/login",
            &format!("/{}", "x".repeat(2_000)),
        ] {
            assert_eq!(local(bad), "/", "{bad}");
        }
        assert_eq!(login_address("/orders?search=a b"), "/login");
        assert_eq!(login_address("/orders?a=b"), "/login?to=%2Forders%3Fa%3Db");
    }
}
