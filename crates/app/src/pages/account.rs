//! `/account`: one's own password, authenticator app, sessions and tokens.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use jiff::Timestamp;
use maud::{Markup, html};
use selvedge_model::{
    SessionId, TokenId,
    people::{Right, Rights, TOTP_SECRET_BYTES, base32, fit_name, otpauth, proven_step},
};
use selvedge_store::people::{
    Person,
    sessions::{Origin, Session},
    tokens::Token,
};
use serde::Deserialize;

use super::{Failure, Frame, Place, done, qr, setup, words::when};
use crate::{
    people::{
        Who,
        guard::TOKEN_PREFIX,
        login::{self, Still},
        origin::Comes,
    },
    serve::App,
};

/// How long a token may be good, in days, as the form offers it.
const TOKEN_DAYS: [u64; 4] = [7, 30, 90, 365];

/// What an act has done.
#[derive(Default, Deserialize)]
pub(super) struct Acted {
    #[serde(default)]
    did: String,
}

impl Acted {
    fn message(&self) -> Option<&'static str> {
        match self.did.as_str() {
            "password" => Some(
                "The password is changed. Your other sessions have ended; tokens of the API stay good: revoke those that you do not know.",
            ),
            "totp-removed" => Some("The authenticator app is not asked any more, and its recovery codes are gone."),
            "connected" => Some("Single sign-on is connected."),
            "disconnected" => Some("Single sign-on opens this account no more. Your other sessions have ended."),
            "session" => Some("The session has ended."),
            "sessions" => Some("Your other sessions have ended."),
            "token" => Some("The token is good no more."),
            _ => None,
        }
    }
}

/// What did not pass, and in which form.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Password,
    Totp,
    Sso,
    Tokens,
}

/// The page.
pub(super) async fn page(State(app): State<Arc<App>>, who: Who, Query(acted): Query<Acted>) -> Result<Markup, Failure> {
    shown(&app, &who, acted.message(), None).await
}

async fn shown(app: &App, who: &Who, message: Option<&str>, wrong: Option<(At, &str)>) -> Result<Markup, Failure> {
    let (brand, id, now) = (app.brand.clone(), who.person.id, app.clock.now());
    let look = app.store.read(move |view| {
        Ok((view.person(&brand, id)?, view.sessions(id, now)?, view.tokens(&brand, id)?, view.recovery_codes_left(id)?))
    });
    let (person, sessions, tokens, codes) = look.await?;
    let said = |at: At| wrong.filter(|(of, _)| *of == at).map(|(_, why)| html! { p.wrong role="alert" { (why) } });
    let frame = Frame::of(app, Place::Account, "Account").await?;
    Ok(frame.around(html! {
        h1 { (person.name) }
        p.lead { (person.email) ", " (roles(&person)) "." }
        @if let Some(message) = message { (done(message)) }
        @if person.has_password {
            section.card aria-labelledby="password-head" {
                h2 #password-head { "Password" }
                @if let Some(wrong) = said(At::Password) { (wrong) }
                form action="/account/password" method="post" {
                    label for="current" { "The password now" }
                    div { input #current name="current" type="password" required maxlength="256" autocomplete="current-password"; }
                    (setup::password_fields())
                    div { button { "Change the password" } }
                }
            }
            section.card aria-labelledby="totp-head" {
                h2 #totp-head { "Authenticator app" }
                @if let Some(wrong) = said(At::Totp) { (wrong) }
                @if person.has_totp {
                    p { "It is asked at every log-in. " (codes) " recovery codes are left." }
                    (with_password("/account/totp/remove", "totp-password", "Ask it no more"))
                } @else if app.door.key.is_none() {
                    p { "It cannot be set up: this installation has no key that would seal its secret. An engineer makes one with " code { "selvedge secrets new-key" } ", names it in the config, and starts selvedge again." }
                } @else {
                    p { "With it, a password alone opens nothing. Any app does that shows codes of six digits." }
                    (with_password("/account/totp", "totp-password", "Set it up"))
                }
            }
        }
        @if let Some(sso) = &app.door.sso {
            section.card aria-labelledby="sso-head" {
                h2 #sso-head { "Single sign-on" }
                @if let Some(wrong) = said(At::Sso) { (wrong) }
                @match &person.issuer {
                    Some(issuer) => {
                        p { "Connected: " (issuer) " vouches for you." }
                        @if person.has_password { (with_password("/account/sso/disconnect", "sso-password", "Disconnect it")) }
                    }
                    None => {
                        p { "Sign in with it from now on. The password goes on opening the door." }
                        @if person.has_password { (with_password("/account/sso", "sso-password", &format!("Connect {}", sso.name()))) }
                        @else { form action="/account/sso" method="post" { button { "Connect " (sso.name()) } } }
                    }
                }
            }
        }
        (sessions_section(who, &sessions, now))
        (tokens_section(who, person.has_password, &tokens, said(At::Tokens), now))
    }))
}

/// The roles of somebody, in words.
pub(super) fn roles(person: &Person) -> String {
    if person.roles.is_empty() {
        return "no role here".to_owned();
    }
    person.roles.iter().map(|role| role.name().to_lowercase()).collect::<Vec<_>>().join(", ")
}

fn with_password(address: &str, id: &str, name: &str) -> Markup {
    html! {
        form action=(address) method="post" {
            label for=(id) { "Your password" }
            div {
                input #(id) name="current" type="password" required maxlength="256" autocomplete="current-password";
                button { (name) }
            }
        }
    }
}

fn sessions_section(who: &Who, sessions: &[Session], now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="sessions-head" {
            h2 #sessions-head { "Where you are signed in" }
            table.cards {
                thead { tr { th scope="col" { "Browser" } th scope="col" { "From" } th scope="col" { "Since" } th scope="col" { "Last used" } th scope="col" { span.aside { "End" } } } }
                tbody {
                    @for session in sessions {
                        tr {
                            th scope="row" data-label="Browser" { @if session.agent.is_empty() { "unnamed" } @else { (session.agent) } }
                            td.state data-label="From" { (session.address) }
                            td data-label="Since" { (when(session.made_at, now)) }
                            td data-label="Last used" { (when(session.used_at, now)) }
                            td {
                                @if who.session() == Some(session.id) { span.quiet { "this one" } } @else {
                                    form action="/account/sessions/revoke" method="post" {
                                        input type="hidden" name="session" value=(session.id);
                                        button.small aria-label={ "End the session of " (session.agent) " from " (session.address) } { "End" }
                                    }
                                }
                            }
                        }
                    }
                }
            }
            @if sessions.len() > 1 {
                form action="/account/sessions/revoke" method="post" { button { "End all others" } }
            }
        }
    }
}

/// A table of tokens; `address` is where one is revoked.
pub(super) fn tokens_table(tokens: &[Token], address: &str, now: Timestamp) -> Markup {
    html! {
        table.cards {
            thead { tr { th scope="col" { "Token" } th scope="col" { "May" } th scope="col" { "Good until" } th scope="col" { "Last used" } th scope="col" { span.aside { "Revoke" } } } }
            tbody {
                @for token in tokens {
                    tr {
                        th scope="row" data-label="Token" { (token.name) }
                        td data-label="May" { (token.scopes.words()) }
                        td data-label="Good until" { (when(token.expires_at, now)) @if token.expires_at <= now { " " span.state.bad { "expired" } } }
                        td data-label="Last used" { @match token.used_at { Some(at) => (when(at, now)), None => span.quiet { "never" } } }
                        td {
                            form action=(address) method="post" {
                                input type="hidden" name="token" value=(token.id);
                                button.small aria-label={ "Revoke " (token.name) } { "Revoke" }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn tokens_section(who: &Who, has_password: bool, tokens: &[Token], wrong: Option<Markup>, now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="tokens-head" {
            h2 #tokens-head { "Tokens of the API" }
            p { "A program that sends one acts in your name, and never with more rights than you have." }
            @if tokens.is_empty() { p.empty { "None yet." } } @else { (tokens_table(tokens, "/account/tokens/revoke", now)) }
            form.card action="/account/tokens" method="post" {
                h3 { "Make one" }
                @if let Some(wrong) = wrong { (wrong) }
                label for="token-name" { "What it is for" }
                div { input #token-name name="name" required maxlength="100" placeholder="nightly report" autocomplete="off"; }
                fieldset {
                    legend { "What it may do" }
                    @for right in Right::ALL.into_iter().filter(|right| who.may(*right)) {
                        label.tick { input type="checkbox" name=(right.word()) checked[right == Right::Read]; " " (right.word()) span.quiet { ": " (right.says()) } }
                    }
                }
                label for="days" { "For how long" }
                div {
                    select #days name="days" { @for days in TOKEN_DAYS { option value=(days) selected[days == 90] { (days) " days" } } }
                }
                @if has_password {
                    label for="token-password" { "Your password" }
                    div { input #token-password name="current" type="password" required maxlength="256" autocomplete="current-password"; }
                }
                div {
                    button.main { "Make the token" }
                }
            }
        }
    }
}

/// Passwords that are typed to change something.
#[derive(Deserialize)]
pub(super) struct Passwords {
    #[serde(default)]
    current: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    again: String,
}

/// How long ago somebody without a password may have signed in to be believed without being asked.
const JUST_SIGNED_IN: Duration = Duration::from_secs(3600);

/// The same, of whoever may have no password, because single sign-on vouches for them: they have signed in just now.
async fn still_by_any(app: &App, who: &Who, current: &str, origin: &Origin) -> Result<Result<(), (StatusCode, String)>, Failure> {
    if who.person.has_password {
        return still(app, who, current, origin).await;
    }
    let (id, now) = (who.person.id, app.clock.now());
    let sessions = app.store.read(move |view| view.sessions(id, now)).await?;
    let began = sessions.iter().find(|one| Some(one.id) == who.session()).map(|one| one.made_at);
    Ok(match began {
        Some(at) if now.duration_since(at).unsigned_abs() <= JUST_SIGNED_IN => Ok(()),
        _ => Err((
            StatusCode::UNPROCESSABLE_ENTITY,
            "You signed in more than an hour ago. Nothing was changed: sign out, sign in again, and do it then.".to_owned(),
        )),
    })
}

/// Whether it is still the person who signed in; else what to say.
async fn still(app: &App, who: &Who, current: &str, origin: &Origin) -> Result<Result<(), (StatusCode, String)>, Failure> {
    Ok(match login::still(app, &who.person, current, origin).await? {
        Still::Yes => Ok(()),
        Still::No => Err((StatusCode::UNPROCESSABLE_ENTITY, "This is not your password. Nothing was changed.".to_owned())),
        Still::Later(seconds) => Err((
            StatusCode::TOO_MANY_REQUESTS,
            format!("Too many attempts have failed. Nothing was changed; try again in {seconds} seconds."),
        )),
    })
}

/// `POST /account/password`
pub(super) async fn password(
    State(app): State<Arc<App>>,
    who: Who,
    Comes(origin): Comes,
    Form(typed): Form<Passwords>,
) -> Result<Response, Failure> {
    if let Err((status, why)) = still(&app, &who, &typed.current, &origin).await? {
        return Ok((status, shown(&app, &who, None, Some((At::Password, &why))).await?).into_response());
    }
    let new = match setup::checked(&typed.password, &typed.again, &who.person.email, &who.person.name) {
        Ok(password) => password,
        Err(why) => {
            let page = shown(&app, &who, None, Some((At::Password, &why))).await?;
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
        }
    };
    let Ok(hash) = app.door.hashing.hash(new).await else { return Err(setup::busy()) };
    let (brand, now) = (app.brand.clone(), app.clock.now());
    let id = who.person.id;
    app.store
        .write(move |tx| {
            tx.set_password(who.person.id, &hash)?;
            let ended = tx.revoke_sessions(who.person.id, who.session())?;
            let email = who.person.email.as_str();
            tx.audit(&brand, email, "password.set", email, &format!("{ended} other sessions ended"), now)
        })
        .await?;
    app.door.sso.iter().for_each(|sso| sso.forget(id));
    Ok(Redirect::to("/account?did=password").into_response())
}

/// `POST /account/totp`: shows the secret of a new app, which is asked only once it has proven itself.
pub(super) async fn totp(
    State(app): State<Arc<App>>,
    who: Who,
    Comes(origin): Comes,
    Form(typed): Form<Passwords>,
) -> Result<Response, Failure> {
    if let Err((status, why)) = still(&app, &who, &typed.current, &origin).await? {
        return Ok((status, shown(&app, &who, None, Some((At::Totp, &why))).await?).into_response());
    }
    let Some(key) = app.door.key.clone().filter(|_| !who.person.has_totp) else {
        return Ok(Redirect::to("/account").into_response());
    };
    let mut secret = [0; TOTP_SECRET_BYTES];
    rand::fill(&mut secret);
    app.store.write(move |tx| tx.set_totp(who.person.id, &secret, &key)).await?;
    Ok(prove_page(&app, who.person.email.as_str(), &secret, None).await?.into_response())
}

async fn prove_page(app: &App, email: &str, secret: &[u8], wrong: Option<&str>) -> Result<Markup, Failure> {
    let address = otpauth(secret, &format!("Selvedge {}", app.brand), email);
    let frame = Frame::of(app, Place::Account, "Authenticator app").await?;
    Ok(frame.around(html! {
        p.crumb { a href="/account" { "Account" } }
        h1 { "Set up your app" }
        p.lead { "Scan this with your authenticator app, or type the key into it. Then type the code that it shows." }
        @if let Some(picture) = qr::svg(&address) { (picture) }
        dl.pairs {
            dt { "Key" } dd { code { (base32(secret)) } }
            dt { "Address" } dd { code { (address) } }
        }
        @if let Some(wrong) = wrong { p.wrong role="alert" { (wrong) } }
        form.search action="/account/totp/prove" method="post" {
            label for="code" { "The code that it shows now" }
            div { input #code name="code" required maxlength="10" inputmode="numeric" autocomplete="one-time-code"; button.main { "Use it from now on" } }
        }
    }))
}

/// A code.
#[derive(Deserialize)]
pub(super) struct Code {
    #[serde(default)]
    code: String,
}

/// `POST /account/totp/prove`: the app has shown a right code, so it is asked from now on.
pub(super) async fn prove(State(app): State<Arc<App>>, who: Who, Form(typed): Form<Code>) -> Result<Response, Failure> {
    let Some(key) = app.door.key.clone().filter(|_| !who.person.has_totp) else {
        return Ok(Redirect::to("/account").into_response());
    };
    let (brand, id, now) = (app.brand.clone(), who.person.id, app.clock.now());
    let email = who.person.email.clone();
    let proven = app.store.write(move |tx| {
        let Some((secret, last)) = tx.totp_of(id, &key)? else { return Ok(None) };
        match proven_step(&secret, &typed.code, now, last) {
            Some(step) if tx.use_totp_step(id, step)? => {
                tx.audit(&brand, email.as_str(), "totp.set", email.as_str(), "an authenticator app is asked from now on", now)?;
                tx.renew_recovery_codes(id).map(|codes| Some(Ok(codes)))
            }
            _ => Ok(Some(Err(secret))),
        }
    });
    match proven.await? {
        None => Ok(Redirect::to("/account").into_response()),
        Some(Err(secret)) => {
            let wrong = "This is not the code that the app shows now. See whether the clock of your phone is right, and type the next one.";
            let page = prove_page(&app, who.person.email.as_str(), &secret, Some(wrong)).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
        Some(Ok(codes)) => {
            let frame = Frame::of(&app, Place::Account, "Recovery codes").await?;
            Ok(frame
                .around(html! {
                    h1 { "Recovery codes" }
                    (done("The app is asked from now on."))
                    p.lead { "Each of these opens the door once when the app is lost. They are shown only now: print them, and keep them where the phone is not." }
                    ul.held { @for code in codes { li { code { (code) } } } }
                    p { a href="/account" { "They are kept" } }
                })
                .into_response())
        }
    }
}

/// `POST /account/totp/remove`
pub(super) async fn remove_totp(
    State(app): State<Arc<App>>,
    who: Who,
    Comes(origin): Comes,
    Form(typed): Form<Passwords>,
) -> Result<Response, Failure> {
    if let Err((status, why)) = still(&app, &who, &typed.current, &origin).await? {
        return Ok((status, shown(&app, &who, None, Some((At::Totp, &why))).await?).into_response());
    }
    let (brand, now) = (app.brand.clone(), app.clock.now());
    app.store
        .write(move |tx| {
            tx.remove_totp(who.person.id)?;
            let email = who.person.email.as_str();
            tx.audit(&brand, email, "totp.remove", email, "the authenticator app is not asked any more", now)
        })
        .await?;
    Ok(Redirect::to("/account?did=totp-removed").into_response())
}

/// `POST /account/sso`: whoever is signed in connects single sign-on with their account. The way to the provider is a link on a page
/// in between: the policy of our pages lets no form lead elsewhere.
pub(super) async fn connect(
    State(app): State<Arc<App>>,
    who: Who,
    Comes(origin): Comes,
    Form(typed): Form<Passwords>,
) -> Result<Response, Failure> {
    let Some(sso) = app.door.sso.as_ref().filter(|_| who.person.issuer.is_none()) else {
        return Ok(Redirect::to("/account").into_response());
    };
    if let Err((status, why)) = still_by_any(&app, &who, &typed.current, &origin).await? {
        return Ok((status, shown(&app, &who, None, Some((At::Sso, &why))).await?).into_response());
    }
    let leave = super::sso::leave(&app, "/account?did=connected", Some(who.person.id), &origin).await?;
    let frame = Frame::of(&app, Place::Account, "Single sign-on").await?;
    let page = frame.around(html! {
        p.crumb { a href="/account" { "Account" } }
        h1 { "Connect " (sso.name()) }
        p.lead { "Sign in there as yourself: whoever " (sso.name()) " knows by that account opens this one from then on." }
        p { a #provider href=(leave.address) { "Go on to " (sso.name()) } }
    });
    Ok(super::sso::with_attempt(&app, &leave, page))
}

/// `POST /account/sso/disconnect`
pub(super) async fn disconnect(
    State(app): State<Arc<App>>,
    who: Who,
    Comes(origin): Comes,
    Form(typed): Form<Passwords>,
) -> Result<Response, Failure> {
    if !who.person.has_password {
        let why = "Single sign-on is the only way into this account. Have an admin make a link to a password first.";
        return Ok((StatusCode::CONFLICT, shown(&app, &who, None, Some((At::Sso, why))).await?).into_response());
    }
    if let Err((status, why)) = still(&app, &who, &typed.current, &origin).await? {
        return Ok((status, shown(&app, &who, None, Some((At::Sso, &why))).await?).into_response());
    }
    let (brand, now) = (app.brand.clone(), app.clock.now());
    let id = who.person.id;
    app.store
        .write(move |tx| {
            tx.clear_subject(who.person.id)?;
            let ended = tx.revoke_sessions(who.person.id, who.session())?;
            let email = who.person.email.as_str();
            tx.audit(&brand, email, "sso.disconnect", email, &format!("{ended} other sessions ended"), now)
        })
        .await?;
    app.door.sso.iter().for_each(|sso| sso.forget(id));
    Ok(Redirect::to("/account?did=disconnected").into_response())
}

/// Which session; none: all others.
#[derive(Deserialize)]
pub(super) struct WhichSession {
    session: Option<SessionId>,
}

/// `POST /account/sessions/revoke`
pub(super) async fn revoke_sessions(
    State(app): State<Arc<App>>,
    who: Who,
    Form(which): Form<WhichSession>,
) -> Result<Redirect, Failure> {
    let (brand, now) = (app.brand.clone(), app.clock.now());
    let one = which.session;
    app.store
        .write(move |tx| {
            let (ended, subject) = match one {
                Some(id) => (u64::from(tx.revoke_session(who.person.id, id)?), id.to_string()),
                None => (tx.revoke_sessions(who.person.id, who.session())?, who.person.email.to_string()),
            };
            if ended == 0 {
                return Ok(());
            }
            tx.audit(&brand, who.person.email.as_str(), "session.revoke", &subject, &format!("{ended} of one's own"), now)
        })
        .await?;
    Ok(Redirect::to(if one.is_some() { "/account?did=session" } else { "/account?did=sessions" }))
}

/// `POST /account/tokens`
pub(super) async fn make_token(
    State(app): State<Arc<App>>,
    who: Who,
    Comes(origin): Comes,
    Form(typed): Form<BTreeMap<String, String>>,
) -> Result<Response, Failure> {
    let field = |name: &str| typed.get(name).map_or("", String::as_str);
    let scopes: Rights = Right::ALL.into_iter().filter(|right| typed.contains_key(right.word()) && who.may(*right)).collect();
    let days = field("days").parse::<u64>().ok().filter(|days| TOKEN_DAYS.contains(days));
    let wanted = match (fit_name(field("name")), days) {
        (Err(unfit), _) => Err(unfit.to_string()),
        (_, None) => Err("A token is good for 7, 30, 90 or 365 days.".to_owned()),
        (Ok(_), _) if scopes.is_empty() => Err("Say what it may do: at least one of the rights.".to_owned()),
        (Ok(name), Some(days)) => Ok((name, days)),
    };
    let (name, days) = match wanted {
        Ok(wanted) => wanted,
        Err(why) => {
            let page = shown(&app, &who, None, Some((At::Tokens, &why))).await?;
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
        }
    };
    if let Err((status, why)) = still_by_any(&app, &who, field("current"), &origin).await? {
        return Ok((status, shown(&app, &who, None, Some((At::Tokens, &why))).await?).into_response());
    }
    let (brand, now) = (app.brand.clone(), app.clock.now());
    let expires_at = now + Duration::from_secs(days * 86_400);
    let (kept, person) = (name.clone(), who.person.clone());
    let proof = app.store.write(move |tx| {
        let (id, proof) = tx.make_token(&brand, person.id, &kept, &scopes, expires_at, now)?;
        let detail = format!("{kept}: {}, for {days} days", scopes.words());
        tx.audit(&brand, person.email.as_str(), "token.make", &id.to_string(), &detail, now)?;
        Ok(proof)
    });
    let proof = proof.await?;
    let frame = Frame::of(&app, Place::Account, "A new token").await?;
    Ok(frame
        .around(html! {
            p.crumb { a href="/account" { "Account" } }
            h1 { "The token " (name) }
            p.lead { "It is shown only now, and kept as a hash alone. Whoever has it acts in your name: put it where the program keeps its secrets." }
            p { code #token { (TOKEN_PREFIX) (proof.text()) } }
            p { "It is sent as " code { "Authorization: Bearer " (TOKEN_PREFIX) "…" } "." }
            p { a href="/account" { "It is kept" } }
        })
        .into_response())
}

/// Which token.
#[derive(Deserialize)]
pub(super) struct WhichToken {
    pub(super) token: TokenId,
}

/// `POST /account/tokens/revoke`
pub(super) async fn revoke_token(
    State(app): State<Arc<App>>,
    who: Who,
    Form(which): Form<WhichToken>,
) -> Result<Redirect, Failure> {
    let (brand, now) = (app.brand.clone(), app.clock.now());
    app.store
        .write(move |tx| match tx.revoke_token(&brand, who.person.id, which.token)? {
            Some(name) => tx.audit(&brand, who.person.email.as_str(), "token.revoke", &which.token.to_string(), &name, now),
            None => Ok(()),
        })
        .await?;
    Ok(Redirect::to("/account?did=token"))
}

/// The address of an act, opened again after it: back to the account.
pub(super) async fn back() -> Redirect {
    Redirect::to("/account")
}
