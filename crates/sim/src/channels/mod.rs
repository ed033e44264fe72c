//! Stand-ins for the channels over which people are told: a chat by incoming webhook, a workflow that posts cards, a pager's events,
//! a receiver of signed webhooks, a monitor that waits for signs of life; and a mail server ([`mail`]).
//!
//! They take what the vendors take and refuse what they refuse, and they keep what they took, in order.

pub mod mail;

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{any, post},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{
    mischief::severed,
    wire::{Server, serve},
};

/// How far the clocks of a sender of signed webhooks and its receiver may be apart.
const TOLERANCE_SECONDS: i64 = 300;
/// The largest document that a workflow posts as a card.
const CARD_BYTES_MAX: usize = 28 << 10;

/// What goes wrong with the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// Refused with 429, and a word of when to come back, in seconds.
    Throttled(u32),
    /// This status; nothing was taken.
    Status(u16),
    /// It was taken, and nobody hears of it.
    AnswerLost,
}

/// One message that was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    /// By which door: `chat`, `card`, `event`, `hook`, `beat`.
    pub door: &'static str,
    /// By what the sender knows it, where it says: `webhook-id`, `dedup_key`.
    pub id: String,
    /// The document; null for a sign of life.
    pub body: Value,
}

#[derive(Debug, Default)]
struct Room {
    taken: Vec<Taken>,
    mishaps: VecDeque<Mishap>,
    /// What signs webhooks; any of them will do.
    secrets: Vec<String>,
    routing_key: String,
}

/// All of them on one address.
#[derive(Debug)]
pub struct Channels {
    server: Server,
    room: Arc<Mutex<Room>>,
}

type Shared = State<Arc<Mutex<Room>>>;

impl Channels {
    /// Opens the doors: `/chat`, `/card`, `/v2/enqueue`, `/hook`, `/beat`.
    ///
    /// # Errors
    /// No port can be bound.
    pub async fn open(routing_key: &str, secrets: &[&str]) -> io::Result<Self> {
        let room = Arc::new(Mutex::new(Room {
            secrets: secrets.iter().map(|secret| (*secret).to_owned()).collect(),
            routing_key: routing_key.to_owned(),
            ..Room::default()
        }));
        let router = Router::new()
            .route("/chat", post(chat))
            .route("/card", post(card))
            .route("/v2/enqueue", post(event))
            .route("/hook", post(hook))
            .route("/beat", any(beat))
            .with_state(Arc::clone(&room));
        Ok(Self { server: serve(router).await?, room })
    }

    /// The address, without a path.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// What was taken, oldest first.
    pub fn taken(&self) -> Vec<Taken> {
        locked(&self.room).taken.clone()
    }

    /// What goes wrong with the next requests, one each.
    pub fn mishaps(&self, mishaps: &[Mishap]) {
        locked(&self.room).mishaps.extend(mishaps);
    }
}

fn locked(room: &Mutex<Room>) -> std::sync::MutexGuard<'_, Room> {
    room.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a message, unless something goes wrong.
fn take(room: &Mutex<Room>, taken: Taken, answer: Response) -> Response {
    let mut room = locked(room);
    match room.mishaps.pop_front() {
        None => {
            room.taken.push(taken);
            answer
        }
        Some(Mishap::AnswerLost) => {
            room.taken.push(taken);
            severed()
        }
        Some(Mishap::Status(status)) => {
            (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), "something is wrong").into_response()
        }
        Some(Mishap::Throttled(seconds)) => {
            (StatusCode::TOO_MANY_REQUESTS, [("retry-after", seconds.to_string())], "rate_limited").into_response()
        }
    }
}

fn refuse(status: StatusCode, why: impl Into<String>) -> Response {
    (status, why.into()).into_response()
}

/// A chat: `text` or `blocks`; in text what begins like a link must be one that the sender made.
async fn chat(State(room): Shared, body: Bytes) -> Response {
    let Ok(document) = serde_json::from_slice::<Value>(&body) else { return refuse(StatusCode::BAD_REQUEST, "invalid_payload") };
    if document.get("text").and_then(Value::as_str).is_none_or(str::is_empty) {
        return refuse(StatusCode::BAD_REQUEST, "no_text");
    }
    let blocks = document.get("blocks").and_then(Value::as_array).cloned().unwrap_or_default();
    let too_long =
        |block: &Value| block.pointer("/text/text").and_then(Value::as_str).is_some_and(|text| text.chars().count() > 3_000);
    if blocks.len() > 50 || blocks.iter().any(too_long) || blocks.iter().any(|block| block.get("type").is_none()) {
        return refuse(StatusCode::BAD_REQUEST, "invalid_blocks");
    }
    take(&room, Taken { door: "chat", id: String::new(), body: document }, "ok".into_response())
}

/// A workflow: a message with exactly one Adaptive Card.
async fn card(State(room): Shared, body: Bytes) -> Response {
    if body.len() > CARD_BYTES_MAX {
        return refuse(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge");
    }
    let Ok(document) = serde_json::from_slice::<Value>(&body) else {
        return refuse(StatusCode::BAD_REQUEST, "Bad payload received");
    };
    let cards = document.get("attachments").and_then(Value::as_array).map_or(0, Vec::len);
    let is_card = document.pointer("/attachments/0/contentType") == Some(&json!("application/vnd.microsoft.card.adaptive"))
        && document.pointer("/attachments/0/content/type") == Some(&json!("AdaptiveCard"))
        && document.pointer("/attachments/0/content/version").is_some();
    if document.get("type") != Some(&json!("message")) || cards != 1 || !is_card {
        return refuse(StatusCode::BAD_REQUEST, "Summary or Text is required.");
    }
    take(&room, Taken { door: "card", id: String::new(), body: document }, StatusCode::ACCEPTED.into_response())
}

/// A pager: trigger with summary, source and severity; acknowledge and resolve with the key alone.
async fn event(State(room): Shared, body: Bytes) -> Response {
    let invalid = |errors: Value| {
        let told = json!({ "status": "invalid event", "message": "Event object is invalid", "errors": errors });
        refuse(StatusCode::BAD_REQUEST, told.to_string())
    };
    let Ok(document) = serde_json::from_slice::<Value>(&body) else { return invalid(json!(["Malformed JSON"])) };
    let text = |path: &str| document.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    if text("/routing_key") != locked(&room).routing_key {
        return invalid(json!(["Invalid routing key"]));
    }
    let key = text("/dedup_key");
    let known = match text("/event_action").as_str() {
        "trigger" => {
            let severity = text("/payload/severity");
            !text("/payload/summary").is_empty()
                && text("/payload/summary").chars().count() <= 1_024
                && !text("/payload/source").is_empty()
                && ["critical", "error", "warning", "info"].contains(&severity.as_str())
        }
        "acknowledge" | "resolve" => !key.is_empty(),
        _ => false,
    };
    if !known || key.len() > 255 {
        return invalid(json!(["'payload' is missing or blank"]));
    }
    let answer = json!({ "status": "success", "message": "Event processed", "dedup_key": key }).to_string();
    let answer = (StatusCode::ACCEPTED, [("content-type", "application/json")], answer).into_response();
    take(&room, Taken { door: "event", id: key, body: document }, answer)
}

/// A receiver of signed webhooks, by the specification: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.
async fn hook(State(room): Shared, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let (id, moment, signatures) = (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
    #[expect(clippy::disallowed_methods, reason = "a receiver of signed webhooks looks at its own clock")]
    let now = jiff::Timestamp::now().as_second();
    if moment.parse::<i64>().map_or(true, |sent| sent.abs_diff(now) > TOLERANCE_SECONDS.unsigned_abs()) {
        return refuse(StatusCode::UNAUTHORIZED, "the timestamp is too old or from the future");
    }
    let signed = [id.as_bytes(), b".", moment.as_bytes(), b".", &body].concat();
    let fits = |secret: &String| {
        let key = STANDARD.decode(secret.trim_start_matches("whsec_")).unwrap_or_default();
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key) else { return false };
        mac.update(&signed);
        let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        signatures.split(' ').any(|signature| signature == expected)
    };
    if id.is_empty() || !locked(&room).secrets.iter().any(fits) {
        return refuse(StatusCode::UNAUTHORIZED, "no signature fits");
    }
    let Ok(document) = serde_json::from_slice::<Value>(&body) else { return refuse(StatusCode::BAD_REQUEST, "this is not JSON") };
    take(&room, Taken { door: "hook", id, body: document }, StatusCode::NO_CONTENT.into_response())
}

/// A monitor.
async fn beat(State(room): Shared) -> Response {
    take(&room, Taken { door: "beat", id: String::new(), body: Value::Null }, "OK".into_response())
}
