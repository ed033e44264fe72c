//! `POST /webhooks/{connection}`: store and answer. Nothing is done in direct reaction; when the
//! sender reads 200, the delivery is on disk.
//!
//! | answer | means | the sender |
//! |---|---|---|
//! | 200 `kept` / `duplicate` | durable, now or already | is done |
//! | 400 | unreadable | need not send it again |
//! | 401 | not proven to come from the system | has the wrong secret |
//! | 404 | no such connection, or one that takes no webhooks | has the wrong address |
//! | 408, 413 | too slow, too large | – |
//! | 503 with `Retry-After` | nothing was kept | must send it again |

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use selvedge_connector::Delivery;
use selvedge_flow::Accepted;
use selvedge_model::ConnectionName;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::serve::App;

/// The largest delivery that is read.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// What a delivery may have without waiting for a turn; a hundred events are about 10 kB.
const SMALL_BYTES: usize = 64 * 1024;
/// Larger deliveries read at once; with the bound above this is what they may take of memory.
const UNDER_WAY_MAX: usize = 16;
/// How long a delivery waits for its turn.
const TURN: Duration = Duration::from_secs(5);
/// How long a sender may take over a body.
const BODY_TIME: Duration = Duration::from_secs(10);
/// When a sender that could not be served should come again, in seconds.
const RETRY_AFTER: &str = "5";

/// Room for large deliveries under way.
pub(crate) struct Room(Semaphore);

impl Default for Room {
    fn default() -> Self {
        Self(Semaphore::new(UNDER_WAY_MAX))
    }
}

/// Takes one delivery.
pub(crate) async fn receive(State(app): State<Arc<App>>, Path(connection): Path<String>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if said_length(&parts.headers).is_some_and(|length| length > BODY_BYTES_MAX) {
        return too_large();
    }
    let connection = ConnectionName(connection);
    if app.engine.setup().connections.get(&connection).is_none_or(|connection| connection.hooks.is_none()) {
        return nobody();
    }
    let body = match tokio::time::timeout(BODY_TIME, read(body, &app.deliveries)).await {
        Ok(Ok(body)) => body,
        Ok(Err(refusal)) => return refusal,
        Err(_) => {
            return answer(
                StatusCode::REQUEST_TIMEOUT,
                "refused",
                "The body took longer than 10 seconds to arrive. Nothing was kept.",
            );
        }
    };
    let headers = parts
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let delivery = Delivery { headers: headers.collect(), body, received_at: app.clock.now() };
    match app.engine.accept(&connection, &delivery).await {
        Ok(Accepted::Kept) => answer(StatusCode::OK, "kept", ""),
        Ok(Accepted::Duplicate) => answer(StatusCode::OK, "duplicate", ""),
        Ok(Accepted::Forged(reason)) => {
            tracing::warn!(%connection, %reason, "a delivery was refused: its sender is not proven");
            answer(StatusCode::UNAUTHORIZED, "refused", &format!("The sender is not proven: {reason}."))
        }
        Ok(Accepted::Unreadable(reason)) => {
            tracing::warn!(%connection, %reason, "a delivery was refused: it does not read");
            answer(StatusCode::BAD_REQUEST, "refused", &format!("The delivery does not read: {reason}."))
        }
        Ok(Accepted::Unknown) => nobody(),
        Err(error) => {
            tracing::error!(%connection, %error, "a delivery could not be stored; the sender was asked to send it again");
            later("The store does not answer. Nothing was kept; send it again.")
        }
    }
}

/// The length that the sender states, if it states one.
fn said_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn nobody() -> Response {
    answer(StatusCode::NOT_FOUND, "refused", "There is no connection of this name that takes webhooks.")
}

/// Most deliveries are small, and a slow small one must not stand in the way of others: only what
/// grows large needs a turn.
async fn read(body: Body, room: &Room) -> Result<Bytes, Response> {
    let mut kept = Vec::new();
    let mut turn = None;
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let Ok(piece) = piece else {
            return Err(answer(StatusCode::BAD_REQUEST, "refused", "The body broke off. Nothing was kept."));
        };
        if kept.len().saturating_add(piece.len()) > BODY_BYTES_MAX {
            return Err(too_large());
        }
        if turn.is_none() && kept.len().saturating_add(piece.len()) > SMALL_BYTES {
            match tokio::time::timeout(TURN, room.0.acquire()).await {
                Ok(Ok(free)) => turn = Some(free),
                _ => return Err(later("Too many large deliveries are under way. Nothing was kept; send it again.")),
            }
        }
        kept.extend_from_slice(&piece);
    }
    Ok(kept.into())
}

fn too_large() -> Response {
    answer(StatusCode::PAYLOAD_TOO_LARGE, "refused", "A delivery may have at most 1 MiB. Nothing was kept.")
}

fn later(detail: &str) -> Response {
    ([(header::RETRY_AFTER, RETRY_AFTER)], answer(StatusCode::SERVICE_UNAVAILABLE, "refused", detail)).into_response()
}

fn answer(status: StatusCode, word: &str, detail: &str) -> Response {
    let body = if detail.is_empty() { json!({ "status": word }) } else { json!({ "status": word, "detail": detail }) };
    (status, Json(body)).into_response()
}
