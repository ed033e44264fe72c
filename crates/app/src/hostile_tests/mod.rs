//! What a hostile visitor tries, one file an attack. Each goes through the whole router, as a request from outside does.

mod cross_site;
mod doors;
mod four_eyes;
mod guessing;
mod logs;
mod oversized;
mod queries;
mod second_factor;
mod signatures;
mod strangers_links;
mod tokens;
mod words;

use std::sync::Arc;

use axum::{
    Extension, Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request, StatusCode},
};
use selvedge_model::people::Role;
use selvedge_store::people::Proof;
use tower::ServiceExt;

use crate::{
    pages::sample,
    people::origin::Peer,
    serve::{App, router},
};

/// A password that may be set.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// Somebody at the door, and what they show.
#[derive(Clone, Default)]
struct Visitor {
    cookie: Option<String>,
    token: Option<String>,
    address: Option<&'static str>,
    headers: Vec<(&'static str, String)>,
}

/// What came back.
struct Got {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The cookie that it sets, as a browser sends it back.
    fn cookie(&self) -> Option<String> {
        self.headers.get("set-cookie").map(|value| value.to_str().unwrap().split(';').next().unwrap().to_owned())
    }
}

impl Visitor {
    fn stranger() -> Self {
        Self::default()
    }

    fn from(address: &'static str) -> Self {
        Self { address: Some(address), ..Self::default() }
    }

    fn with_cookie(cookie: impl Into<String>) -> Self {
        Self { cookie: Some(cookie.into()), ..Self::default() }
    }

    fn with_token(token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..Self::default() }
    }

    async fn signed_in(app: &App, email: &str, roles: &[Role]) -> Self {
        Self::with_cookie(sample::signed_in(app, email, roles).await)
    }

    fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    async fn send(&self, app: &Arc<App>, method: Method, path: &str, kind: &str, body: impl Into<Body>) -> Got {
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost:8080");
        let fixed =
            [("cookie", self.cookie.clone()), ("authorization", self.token.as_ref().map(|token| format!("Bearer {token}")))];
        for (name, value) in fixed.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            request = request.header(name, value);
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let peer = Peer(format!("{}:4000", self.address.unwrap_or("192.0.2.1")).parse().unwrap());
        let service: Router = router(Arc::clone(app)).layer(Extension(peer));
        let response = service.oneshot(request.header("content-type", kind).body(body.into()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        if parts.headers.get("content-type").is_some_and(|kind| kind == "text/event-stream") {
            return Got { status: parts.status, headers: parts.headers, text: String::new() };
        }
        let text = String::from_utf8(to_bytes(body, 8 << 20).await.unwrap().to_vec()).unwrap();
        Got { status: parts.status, headers: parts.headers, text }
    }

    async fn get(&self, app: &Arc<App>, path: &str) -> Got {
        self.send(app, Method::GET, path, "text/plain", Body::empty()).await
    }

    async fn post(&self, app: &Arc<App>, path: &str, fields: &[(&str, &str)]) -> Got {
        let part = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let body = fields.iter().map(|(name, value)| format!("{}={}", part(name), part(value))).collect::<Vec<_>>().join("&");
        self.send(app, Method::POST, path, "application/x-www-form-urlencoded", body).await
    }

    /// Signs in at the page.
    async fn log_in(&self, app: &Arc<App>, email: &str, password: &str) -> Got {
        self.post(app, "/login", &[("email", email), ("password", password)]).await
    }
}

/// Somebody who signs in with [`PASSWORD`].
pub(crate) async fn with_password(app: &App, email: &str, roles: &[Role]) -> selvedge_model::PersonId {
    let id = sample::person(app, email, roles).await;
    let hash = app.door.hashing.hash(PASSWORD).await.unwrap();
    app.store.write(move |tx| tx.set_password(id, &hash)).await.unwrap();
    id
}

/// What people did, oldest first: who, what, on what, in a sentence.
async fn acts(app: &App) -> Vec<(String, String, String, String)> {
    let rows = app.store.read(|view| view.audit_rows(&sample::brand(), 500)).await.unwrap();
    rows.into_iter().rev().map(|row| (row.actor, row.action, row.subject, row.detail)).collect()
}

/// A path of the table with something in the place of each variable.
fn filled(path: &str) -> String {
    path.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect::<Vec<_>>().join("/")
}

/// The text of a cookie or link, as the store knows it.
fn proof(text: &str) -> Proof {
    Proof::shown(text.rsplit(['=', '/', '_']).next().unwrap()).unwrap()
}
