//! Writes with an `Idempotency-Key`: the same request with the same key is done once, and answered the same each time.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use selvedge_store::idempotency::{KeyedRequest, Known};

use tracing::Instrument;

use super::Problem;
use crate::{
    people::{Who, guard::as_now},
    serve::App,
};

/// What it is sent in.
pub(crate) const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Longest key, in characters.
const KEY_CHARS_MAX: usize = 255;
/// The largest answer that is kept; those of writes are a few hundred bytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What answers with something that is shown once, and kept nowhere.
const SHOWN_ONCE: [&str; 2] = ["/api/people", "/api/people/{id}/reset"];

/// Does a request once, where it says by which key it is known.
pub(super) async fn once(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let keys: Vec<&HeaderValue> = request.headers().get_all(KEY).iter().collect();
    let writes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let known = request.extensions().get::<MatchedPath>().is_some();
    let (Some(key), true, true) = (keys.first(), writes, known) else { return next.run(request).await };
    let readable = key.to_str().ok().map(str::trim).filter(|key| !key.is_empty() && key.len() <= KEY_CHARS_MAX);
    let (Some(key), 1) = (readable.map(str::to_owned), keys.len()) else {
        let why = format!("An Idempotency-Key is one text of 1 to {KEY_CHARS_MAX} printable characters. Nothing was done.");
        return Problem::of(StatusCode::BAD_REQUEST, "The key does not read", why).into_response();
    };
    let Some(who) = request.extensions().get::<Who>().cloned() else { return StatusCode::UNAUTHORIZED.into_response() };
    let shown_once = request.extensions().get::<MatchedPath>().is_some_and(|path| SHOWN_ONCE.contains(&path.as_str()));
    let (parts, body) = request.into_parts();
    // It is whole and within bounds already.
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return Problem::of(StatusCode::BAD_REQUEST, "The body does not read", "It broke off. Nothing was done.").into_response();
    };
    let asked = KeyedRequest {
        brand: app.brand.clone(),
        actor: who.actor().name,
        key,
        request: fingerprint(&parts.method, &parts.uri.to_string(), &body),
    };
    let (begins, now) = (asked.clone(), app.clock.now());
    match app.store.write(move |tx| tx.begin_request(&begins, now)).await {
        Ok(Known::Nothing) => {}
        Ok(Known::Answered(status, answer)) => return again(status, answer),
        Ok(Known::UnderWay) => {
            let why = "The same request with this Idempotency-Key is under way. Ask again in a few seconds.";
            return Problem::of(StatusCode::CONFLICT, "It is under way", why).into_response();
        }
        Ok(Known::Other) => {
            let why =
                "This Idempotency-Key came with another request before. Nothing was done. Each request takes a key of its own.";
            return Problem::of(StatusCode::UNPROCESSABLE_ENTITY, "The key is taken", why).into_response();
        }
        Err(error) => return Problem::from(error).into_response(),
    }
    // In a task of its own: whoever hangs up must not keep what is done from being known as done.
    let work = done(Arc::clone(&app), asked, shown_once, next, Request::from_parts(parts, Body::from(body)));
    match tokio::spawn(as_now(work).instrument(tracing::Span::current())).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(%error, "a request with a key broke");
            let why = "Something broke on our side; the log says what. It may have been done: look before it is sent again.";
            Problem::of(StatusCode::INTERNAL_SERVER_ERROR, "It is not known whether it was done", why).into_response()
        }
    }
}

/// Does it, and keeps the answer.
async fn done(app: Arc<App>, asked: KeyedRequest, shown_once: bool, next: Next, request: Request) -> Response {
    let (mut parts, body) = next.run(request).await.into_parts();
    let body = match to_bytes(body, ANSWER_BYTES_MAX).await {
        Ok(body) => body,
        Err(_) => {
            let answer =
                Problem::of(StatusCode::CONFLICT, "It was done", "Its answer is too large to keep: read what it changed.");
            let bytes = answer.bytes();
            parts = answer.into_response().into_parts().0;
            bytes
        }
    };
    // A link proves somebody; an answer without one is kept like every other.
    let has_link = serde_json::from_slice::<serde_json::Value>(&body).is_ok_and(|answer| answer["link"].is_string());
    let (status, answer) = match parts.status {
        StatusCode::OK if shown_once && has_link => {
            let why =
                "It was done when this Idempotency-Key came first. The answer has a link that is shown once and kept nowhere.";
            (StatusCode::CONFLICT, Problem::of(StatusCode::CONFLICT, "It was done already", why).bytes())
        }
        status => (status, body.clone()),
    };
    // What broke off here, or what they may not do, may be tried again.
    let final_answer = !status.is_server_error() && status != StatusCode::UNAUTHORIZED && status != StatusCode::FORBIDDEN;
    let kept = app.store.write(move |tx| match final_answer {
        true => tx.answer_request(&asked, status.as_u16(), &answer),
        false => tx.forget_request(&asked),
    });
    if let Err(error) = kept.await {
        tracing::error!(%error, "the answer to a request with a key could not be kept");
    }
    Response::from_parts(parts, Body::from(body))
}

/// The answer as it was given before.
fn again(status: u16, answer: Vec<u8>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    // Every answer of the API is one of the two.
    let problem = !status.is_success() || status == StatusCode::ACCEPTED;
    let kind = if problem { "application/problem+json" } else { "application/json" };
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(kind)), (REPLAYED, HeaderValue::from_static("true"))];
    (status, headers, answer).into_response()
}

fn fingerprint(method: &Method, address: &str, body: &Bytes) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for part in [method.as_str().as_bytes(), address.as_bytes(), body] {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    *hasher.finalize().as_bytes()
}
