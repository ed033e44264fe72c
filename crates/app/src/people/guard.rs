//! The guard: who asks, and whether the table lets them in.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use selvedge_flow::actions::Actor;
use selvedge_model::{
    SessionId,
    people::{Right, Rights},
};
use selvedge_store::{
    Result, StoreError,
    people::{Person, Proof, sessions::Step},
};

use super::{
    cookie,
    routes::{self, Need, Said},
};
use crate::{api::Problem, pages, serve::App};

/// What a token of the API begins with, so that one that has got out is found by whoever looks for such things.
pub(crate) const TOKEN_PREFIX: &str = "slv_";
/// The script that keeps a page up to date says so: an open page alone does not keep a session alive.
pub(crate) const LIVE: HeaderName = HeaderName::from_static("x-selvedge-live");

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    /// The person.
    pub(crate) person: Person,
    /// What they may do with what they showed.
    pub(crate) rights: Rights,
    /// What they showed.
    pub(crate) by: By,
}

/// What somebody showed.
#[derive(Clone, Debug)]
pub(crate) enum By {
    /// The cookie of a session.
    Session(SessionId),
    /// A token, by what it is called.
    Token(String),
}

impl Who {
    /// Whether they may.
    pub(crate) fn may(&self, right: Right) -> bool {
        self.rights.has(right)
    }

    /// By what an owner of exceptions may be named who is this person.
    pub(crate) fn names(&self) -> Vec<String> {
        vec![self.person.email.to_string(), self.person.name.clone()]
    }

    /// As whom they act.
    pub(crate) fn actor(&self) -> Actor {
        let name = match &self.by {
            By::Session(_) => self.person.email.to_string(),
            By::Token(name) => format!("{} (token {name})", self.person.email),
        };
        Actor { name, person: Some(self.person.id) }
    }

    /// The session, if it is one.
    pub(crate) fn session(&self) -> Option<SessionId> {
        match self.by {
            By::Session(id) => Some(id),
            By::Token(_) => None,
        }
    }
}

tokio::task_local! {
    /// Who asks for the page that is being made. The frame of a page shows it, and forms that nobody may send are left out;
    /// acts never rely on it: they are given their [`Who`].
    static WHO: Option<Who>;
}

/// Whoever asks for the page that is being made, if anybody is signed in.
pub(crate) fn current() -> Option<Who> {
    WHO.try_with(Clone::clone).ok().flatten()
}

/// The same work in the name of the same person, wherever it is run.
pub(crate) fn as_now<F: Future>(work: F) -> impl Future<Output = F::Output> {
    WHO.scope(current(), work)
}

/// Whether whoever asks for the page that is being made may do this, so that it is worth offering.
pub(crate) fn may(right: Right) -> bool {
    WHO.try_with(|who| who.as_ref().is_some_and(|who| who.may(right))).unwrap_or(false)
}

impl<S: Send + Sync> FromRequestParts<S> for Who {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> std::result::Result<Self, StatusCode> {
        // The guard has put it there, or let nobody through.
        parts.extensions.get::<Who>().cloned().ok_or(StatusCode::UNAUTHORIZED)
    }
}

/// Looks at every request before anything answers it.
pub(crate) async fn guard(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let place = Place::of(&request);
    let pattern = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    // What no router knows is answered with "not here", to whoever is signed in.
    let said = pattern.as_deref().map_or(Said::Needs(Need::SignedIn), |pattern| routes::need(request.method(), pattern));
    let need = match said {
        Said::Needs(Need::Right(Right::Metrics)) if app.door.metrics_open => Need::Nothing,
        Said::Needs(need) => need,
        // It says no more than that the method is none; whoever may not come here at all learns not even that.
        Said::OtherMethod(need) => need,
        Said::Nothing => {
            tracing::error!(
                path = pattern.as_deref().unwrap_or_default(),
                "a route that the table of rights does not know was refused"
            );
            return place.forbidden("Nobody has said who may come here, so nobody may. This is a mistake of ours.");
        }
    };
    let who = match recognised(&app, request.headers()).await {
        Ok(Recognised::As(who)) => Some(*who),
        Ok(Recognised::Nobody) => None,
        // Also beside a good cookie: whoever sends a token means it, and should know that it is not good.
        Ok(Recognised::BadToken) if need != Need::Nothing => return place.bad_token(),
        Ok(Recognised::BadToken) => None,
        // Probes, styles and deliveries are answered though nobody can be looked up.
        Err(_) if need == Need::Nothing => None,
        Err(error) => return place.broken(error),
    };
    let let_in = match (need, &who) {
        (Need::Nothing, _) => true,
        (_, None) => return place.unknown(&request),
        (Need::SignedIn, Some(who)) => pattern.is_none() || who.session().is_some(),
        (Need::Right(right), Some(who)) => who.may(right),
    };
    if !let_in {
        let why = match need {
            Need::Right(right) => format!("It takes the right to {}. An admin gives it, under People.", right.says()),
            _ => "It is about the person at the browser, so no token opens it. Sign in.".to_owned(),
        };
        return WHO.scope(who, async move { place.forbidden(&why) }).await;
    }
    if matches!(said, Said::OtherMethod(_)) {
        return place.other_method();
    }
    if let Some(who) = &who {
        request.extensions_mut().insert(who.clone());
    }
    WHO.scope(who, next.run(request)).await
}

enum Recognised {
    As(Box<Who>),
    Nobody,
    BadToken,
}

/// Whom a request shows itself to be from. A token goes first: whoever sends one means it.
async fn recognised(app: &App, headers: &HeaderMap) -> Result<Recognised> {
    let now = app.clock.now();
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let Some(proof) = bearer(value) else { return Ok(Recognised::BadToken) };
        let brand = app.brand.clone();
        let Some((token, person)) = app.store.read(move |view| view.token(&brand, &proof, now)).await? else {
            return Ok(Recognised::BadToken);
        };
        if token.is_stale(now) {
            let id = token.id;
            app.store.write(move |tx| tx.use_token(id, now)).await?;
        }
        let rights = token.scopes.and(&person.rights());
        return Ok(Recognised::As(Box::new(Who { person, rights, by: By::Token(token.name) })));
    }
    let Some(proof) = cookie::shown(&app.door, headers) else { return Ok(Recognised::Nobody) };
    let brand = app.brand.clone();
    let Some(found) = app.store.read(move |view| view.session(&brand, &proof, Step::All, now)).await? else {
        return Ok(Recognised::Nobody);
    };
    if found.stale && !is_by_itself(headers) {
        let id = found.id;
        app.store.write(move |tx| tx.use_session(id, now)).await?;
    }
    let rights = found.person.rights();
    Ok(Recognised::As(Box::new(Who { person: found.person, rights, by: By::Session(found.id) })))
}

/// Whether an open page asks by itself and no person does: it refreshes, or its stream of events, which can carry no header of ours,
/// is opened again (the standard of server-sent events has a browser accept this type there and nowhere else).
fn is_by_itself(headers: &HeaderMap) -> bool {
    headers.contains_key(LIVE) || headers.get(header::ACCEPT).is_some_and(|accepted| accepted == "text/event-stream")
}

/// What stands in `Authorization: Bearer slv_…`.
fn bearer(value: &HeaderValue) -> Option<Proof> {
    let text = value.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    Proof::shown(token.trim().strip_prefix(TOKEN_PREFIX)?)
}

/// Who reads a refusal: a program, a browser that wants a page, or something that waits for events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Api,
    Page,
    Plain,
}

impl Place {
    fn of(request: &Request) -> Self {
        match request.uri().path() {
            path if path == "/api" || path.starts_with("/api/") => Place::Api,
            "/metrics" | "/live" => Place::Plain,
            _ => Place::Page,
        }
    }

    /// Somebody we do not know.
    fn unknown(self, request: &Request) -> Response {
        const WHAT: &str = "Sign in on the page, or send a token: Authorization: Bearer slv_… (made under Account).";
        let mut response = match self {
            Place::Api => Problem::of(StatusCode::UNAUTHORIZED, "Nobody is signed in", WHAT).into_response(),
            Place::Plain => (StatusCode::UNAUTHORIZED, format!("Nobody is signed in. {WHAT}\n")).into_response(),
            Place::Page if request.method() == Method::GET || request.method() == Method::HEAD => {
                let to = request.uri().path_and_query().map_or("/", |path| path.as_str());
                return Redirect::to(&pages::login_address(to)).into_response();
            }
            Place::Page => {
                return pages::Failure::refused(
                    StatusCode::UNAUTHORIZED,
                    "Nobody is signed in",
                    "Nothing was done. Sign in, and do it again: a session ends after two hours without use, and after twelve in any case.",
                )
                .into_response();
            }
        };
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"selvedge\""));
        response
    }

    /// A token that opens nothing.
    fn bad_token(self) -> Response {
        const WHAT: &str = "The token is not good here: it was revoked, has expired, is of another brand, or its person may not sign in any more. Make a new one under Account.";
        let mut response = match self {
            Place::Api => Problem::of(StatusCode::UNAUTHORIZED, "The token is not good", WHAT).into_response(),
            _ => (StatusCode::UNAUTHORIZED, format!("{WHAT}\n")).into_response(),
        };
        let value = HeaderValue::from_static("Bearer realm=\"selvedge\", error=\"invalid_token\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
        response
    }

    /// Somebody who may not.
    fn forbidden(self, why: &str) -> Response {
        match self {
            Place::Api => Problem::of(StatusCode::FORBIDDEN, "You may not do this", why).into_response(),
            Place::Plain => (StatusCode::FORBIDDEN, format!("You may not do this. {why}\n")).into_response(),
            Place::Page => {
                pages::Failure::refused(StatusCode::FORBIDDEN, "You may not do this", format!("Nothing was done. {why}"))
                    .into_response()
            }
        }
    }

    fn other_method(self) -> Response {
        match self {
            Place::Api => Problem::other_method().into_response(),
            _ => (StatusCode::METHOD_NOT_ALLOWED, "This address does not take this method. Nothing was done.\n").into_response(),
        }
    }

    fn broken(self, error: StoreError) -> Response {
        match self {
            Place::Api => Problem::from(error).into_response(),
            _ => pages::Failure::from(error).into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_in_one_form() {
        let read = |text: &str| bearer(&HeaderValue::from_str(text).unwrap()).map(|proof| proof.text().to_owned());
        assert_eq!(read("Bearer slv_abc-_1"), Some("abc-_1".to_owned()));
        assert_eq!(read("bearer  slv_abc"), Some("abc".to_owned()));
        for wrong in
            ["", "Bearer", "Bearer abc", "Basic slv_abc", "slv_abc", "Bearer slv_", "Bearer slv_a b", "Bearer slv_a'; --"]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
