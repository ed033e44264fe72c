//! The HTTP server: webhooks, pages and API of one brand on one address.
//!
//! Nobody is let in who is not known: every request passes [`guard`], which asks for a session or a token and holds it against the
//! one table of rights. Two more doors are shut to other web sites that a person's browser visits: requests that change something
//! must come from our own pages ([`CsrfLayer`]), and the address must be asked for by an IP address, by `localhost` or by a
//! configured name ([`App::hosts`]), because any other name may be a stranger's that points here.
//!
//! Behind a reverse proxy: configure the public address and the proxy's own, and forward `Host`, `Origin` and `Sec-Fetch-Site` as
//! they come.

mod patience;

use std::{any::Any, collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use axum::{
    Extension, Json, Router,
    body::{Body, to_bytes},
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use jiff::Timestamp;
use selvedge_connector::Clock;
use selvedge_flow::{
    Engine,
    actions::{Actions, Actor},
    reconcile::PairSetup,
};
use selvedge_model::{Brand, ConnectionName, Kind};
use selvedge_store::Store;
use serde_json::json;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};
use tower_http::{catch_panic::CatchPanicLayer, csrf::CsrfLayer};
use tracing::Instrument;

use self::patience::Patient;
use crate::{
    api,
    config::Config,
    pages,
    people::{Door, Who, guard::guard, origin::Peer},
    redeliveries::Redeliveries,
    view::{self, Ends, Line, Target, connections::ConnectionView, handbook::Facts, settings::Settings},
    webhooks,
};

/// The largest body that a form or the API takes. Webhooks have a bound of their own.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// The largest body of an import of mappings.
const IMPORT_BYTES_MAX: usize = 1024 * 1024;
/// Where many entries of mappings come in.
const IMPORTS: [&str; 4] =
    ["/mappings/import", "/mappings/import/apply", "/api/mappings/entries", "/api/mappings/entries/preview"];
/// How long requests that are under way may go on after the end was asked for.
const GRACE: Duration = Duration::from_secs(5);

/// How long a sender may take over the body of a form or of a call of the API.
const BODY_TIME: Duration = Duration::from_secs(10);
/// How long a sender may take over the head of a request, and how long a connection may stand idle.
const HEADER_TIME: Duration = Duration::from_secs(15);
/// Connections at once: far below what a process may have open, so that the store and the calls to the systems keep theirs.
const CONNECTIONS_MAX: usize = 200;
/// How long taking connections rests when the system refuses one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the browser may load and do: nothing from elsewhere, no script or style in the text of a page.
const POLICY: &str = "default-src 'self'; style-src 'self'; script-src 'self'; img-src 'self' data:; object-src 'none'; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// What every answer carries.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// What pages, API and webhooks stand on: one brand.
pub struct App {
    /// Whose.
    pub brand: Brand,
    /// Where it is kept.
    pub store: Store,
    /// What moves it.
    pub engine: Arc<Engine>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Names under which the pages may be asked for, besides IP addresses and `localhost`.
    pub hosts: Vec<String>,
    /// What the handbook tells.
    pub facts: Facts,
    /// Since when it serves.
    pub since: Timestamp,
    /// How people come in.
    pub door: Door,
    /// Who watches the counts.
    pub(crate) live: pages::live::Live,
    /// Room for deliveries under way.
    pub(crate) deliveries: webhooks::Room,
    /// What is delivered again.
    pub(crate) redeliveries: Redeliveries,
}

impl App {
    /// The app of an engine's brand.
    pub fn new(engine: Arc<Engine>) -> Self {
        let setup = engine.setup();
        Self {
            brand: setup.brand.clone(),
            store: setup.store.clone(),
            clock: Arc::clone(&setup.clock),
            hosts: Vec::new(),
            facts: bare(&engine),
            since: setup.clock.now(),
            door: Door::default(),
            live: pages::live::Live::default(),
            deliveries: webhooks::Room::default(),
            redeliveries: Redeliveries::default(),
            engine,
        }
    }

    /// The same, with what the config says besides: under which names it is asked for, and what the handbook tells.
    #[must_use]
    pub fn with_config(mut self, config: &Config) -> Self {
        self.hosts.clone_from(&config.hosts);
        self.facts = Facts::of(config);
        self
    }

    /// The same, with this door.
    #[must_use]
    pub fn with_door(mut self, door: Door) -> Self {
        self.door = door;
        self
    }

    /// The two ends of the flows of records.
    pub fn ends(&self) -> Vec<Ends> {
        self.engine.setup().flows.iter().map(Ends::from).collect()
    }

    /// The same, and those of the flows of stock: whatever an exception may be of.
    pub fn all_ends(&self) -> Vec<Ends> {
        let stocks = self.engine.setup().stocks.iter().map(Ends::from);
        self.ends().into_iter().chain(stocks).collect()
    }

    /// The two ends of everything that is compared.
    pub fn pairs(&self) -> &[PairSetup] {
        &self.engine.reconciler.pairs
    }

    /// The connections as they stand now.
    pub fn lines(&self) -> Vec<Line> {
        self.engine.setup().connections.iter().map(|(name, connection)| Line::of(name, connection)).collect()
    }

    /// The connections, with what the store knows of them.
    ///
    /// # Errors
    /// The store's.
    pub async fn connections(&self) -> selvedge_store::Result<Vec<ConnectionView>> {
        let setup = self.engine.setup();
        let flows = setup.flows.iter().map(|flow| (flow.name.clone(), flow.kind, flow.from.clone(), flow.to.clone()));
        let stocks = setup.stocks.iter().map(|flow| (flow.name.clone(), Kind::Stock, flow.from.clone(), flow.to.clone()));
        let lines = setup.connections.iter().map(|(name, connection)| {
            let rests = connection.traffic.rests().map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
            (Line::of(name, connection), rests)
        });
        let all: Vec<_> = flows.chain(stocks).collect();
        let (credentials, now) = (&self.facts.credentials, self.clock.now());
        view::connections::connections(&self.store, &self.brand, &self.ends(), &all, lines.collect(), credentials, now).await
    }

    /// The connections that records flow to: those that mappings are for.
    pub fn targets(&self) -> Vec<ConnectionName> {
        let mut targets: Vec<ConnectionName> = self.engine.setup().flows.iter().map(|flow| flow.to.clone()).collect();
        targets.sort_unstable();
        targets.dedup();
        targets
    }

    /// The same, with the tables that each asks.
    pub fn mapping_targets(&self) -> Vec<Target> {
        let connections = &self.engine.setup().connections;
        let system = |name: &ConnectionName| connections.get(name).map_or("", |connection| connection.system);
        let ends = self.ends();
        self.targets().into_iter().map(|name| Target::new(name.clone(), system(&name)).written_by(&ends)).collect()
    }

    /// What a person does, in their name.
    pub(crate) fn actions(&self, who: &Who) -> Actions {
        self.actions_as(who.actor())
    }

    /// What is done in the name of nobody who is signed in.
    pub(crate) fn actions_as(&self, actor: impl Into<Actor>) -> Actions {
        Actions { store: self.store.clone(), brand: self.brand.clone(), clock: Arc::clone(&self.clock), actor: actor.into() }
    }
}

/// What an engine alone knows of how the brand is set up.
fn bare(engine: &Engine) -> Facts {
    let setup = engine.setup();
    Facts {
        systems: setup.connections.iter().map(|(name, connection)| (name.clone(), connection.system.to_owned())).collect(),
        ends: setup.flows.iter().map(Ends::from).collect(),
        stocks: setup.stocks.clone(),
        pairs: engine.reconciler.pairs.clone(),
        targets: Vec::new(),
        owners: setup.desk.owners.clone(),
        theirs: Vec::new(),
        entities: Vec::new(),
        zone: jiff::tz::TimeZone::UTC,
        kept: Vec::new(),
        credentials: BTreeMap::new(),
        settings: Settings::default(),
    }
}

/// Everything that is answered over HTTP.
pub fn router(app: Arc<App>) -> Router {
    let csrf =
        CsrfLayer::new().with_insecure_bypass(|_, uri| uri.path().starts_with("/webhooks/")).with_rejection_response(|_| {
            refuse(
                StatusCode::FORBIDDEN,
                "This request came from another web site, so nothing was done. Open the page itself and try again.",
            )
        });
    pages::router()
        .nest("/api", api::router(Arc::clone(&app)))
        // What is larger for most was refused before ([`whole`]).
        .layer(DefaultBodyLimit::max(IMPORT_BYTES_MAX))
        .route("/webhooks/{connection}", post(webhooks::receive))
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(crate::metrics::show))
        .fallback(pages::nowhere)
        .with_state(Arc::clone(&app))
        .layer(middleware::from_fn(whole))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), guard))
        .layer(CatchPanicLayer::custom(broke))
        .layer(csrf)
        .layer(middleware::from_fn_with_state(app, ours))
        .layer(middleware::from_fn(spoken))
        .layer(middleware::map_response(sealed))
        .layer(middleware::from_fn(traced))
}

/// Tells traces of one request: by its route, and never by its address, which may prove somebody.
async fn traced(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
    let span = tracing::debug_span!(
        "request",
        otel.kind = "server",
        otel.name = %format!("{} {route}", request.method()),
        http.request.method = %request.method(),
        http.route = route,
        http.response.status_code = tracing::field::Empty,
    );
    let response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    response
}

/// Answers on the listener until `shutdown` resolves; then what is under way may end, for at most five seconds.
///
/// # Errors
/// The listener's.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let (stop, stopping) = watch::channel(false);
    let service = TowerToHyperService::new(router.layer(Extension(Stopping(stopping))));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIME);
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accept = async {
            // The permit first: whoever has no room waits in the system's queue and costs us nothing.
            let permit = Arc::clone(&room).acquire_owned().await;
            (listener.accept().await, permit)
        };
        tokio::select! {
            () = &mut shutdown => break,
            (accepted, permit) = accept => match accepted {
                Ok((stream, peer)) => {
                    let service = service.clone();
                    let named = service_fn(move |mut request: hyper::Request<Incoming>| {
                        request.extensions_mut().insert(Peer(peer));
                        service.call(request)
                    });
                    let served = graceful.watch(http.serve_connection(TokioIo::new(Patient::new(stream)), named));
                    tokio::spawn(async move {
                        if let Err(error) = served.await {
                            tracing::debug!(%error, "a connection ended badly");
                        }
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    // Nobody listening is fine: then everything has ended by itself.
    let _ = stop.send(true);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still under way {} seconds after the end was asked for; they are cut off", GRACE.as_secs());
    }
    Ok(())
}

/// Word that the server is about to end, for answers that would go on for ever.
#[derive(Clone)]
pub(crate) struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// Resolves when the end was asked for.
    pub(crate) async fn wait(mut self) {
        if self.0.wait_for(|stopping| *stopping).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Whether the store answers and the engine works.
async fn ready(State(app): State<Arc<App>>) -> Response {
    let brand = app.brand.clone();
    let detail = match app.store.read(move |view| view.next_due(&brand)).await {
        Ok(_) if app.engine.works() => return Json(json!({ "ready": true })).into_response(),
        Ok(_) => "The engine has not worked within the last minute, or not begun yet.",
        Err(error) => {
            tracing::error!(%error, "the store does not answer");
            "The store does not answer."
        }
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "ready": false, "detail": detail }))).into_response()
}

/// Lets through what asks for us by a name that can only be ours.
async fn ours(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let open = matches!(request.uri().path(), "/healthz" | "/readyz") || request.uri().path().starts_with("/webhooks/");
    let host = request.uri().authority().map(|authority| authority.as_str()).or_else(|| text(request.headers(), &header::HOST));
    match host {
        Some(host) if !open && !is_ours(host, &app.hosts) => refuse(
            StatusCode::MISDIRECTED_REQUEST,
            "This server is not known under that name. Open it by its IP address or as localhost, or add the name to the configured hosts.",
        ),
        _ => next.run(request).await,
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// An IP address cannot be rebound by a stranger's name server; `localhost` never leaves the machine.
fn is_ours(host: &str, known: &[String]) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name.parse::<std::net::IpAddr>().is_ok()
        || name == "localhost"
        || name.ends_with(".localhost")
        || known.iter().any(|known| known.eq_ignore_ascii_case(&name) || known.eq_ignore_ascii_case(host))
}

/// Reads the body of a form or of a call of the API whole, in its time: whoever sends a byte a minute must not keep a connection.
/// It stands behind the guard, so a stranger's is not read at all. Webhooks read theirs themselves.
async fn whole(request: Request, next: Next) -> Response {
    if request.uri().path().starts_with("/webhooks/") {
        return next.run(request).await;
    }
    let path = request.uri().path();
    // A flow is replayed under what an import would set.
    let import = IMPORTS.contains(&path) || path.contains("/flows/") && path.ends_with("/replay");
    let (parts, body) = request.into_parts();
    let most = if import { IMPORT_BYTES_MAX } else { BODY_BYTES_MAX };
    let too_large = if import {
        "What was sent is larger than 1 MiB, or broke off. Nothing was done. Give it in parts, or use selvedge mappings import."
    } else {
        "The body is larger than 64 KiB, or broke off. Nothing was done."
    };
    match tokio::time::timeout(BODY_TIME, to_bytes(body, most)).await {
        Ok(Ok(body)) => next.run(Request::from_parts(parts, Body::from(body))).await,
        Ok(Err(_)) => refuse(StatusCode::PAYLOAD_TOO_LARGE, too_large),
        Err(_) => refuse(StatusCode::REQUEST_TIMEOUT, "The body took longer than 10 seconds to arrive. Nothing was done."),
    }
}

/// Adds what every answer carries, unless it brings its own.
async fn sealed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    // Pages and API show people's names and addresses; some pages show what proves somebody, once.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Why a request was refused before anything answered it.
#[derive(Clone, Copy)]
struct Refusal(&'static str);

fn refuse(status: StatusCode, why: &'static str) -> Response<Body> {
    (status, Extension(Refusal(why)), format!("{why}\n")).into_response()
}

/// Whoever speaks to the API is refused in its own way.
async fn spoken(request: Request, next: Next) -> Response {
    let is_api = request.uri().path().starts_with("/api/");
    let response = next.run(request).await;
    match response.extensions().get::<Refusal>() {
        Some(Refusal(why)) if is_api => api::Problem::of(response.status(), "The request was refused", *why).into_response(),
        _ => response,
    }
}

/// A panic is our fault; the process goes on, and the caller learns no more than that.
fn broke(panic: Box<dyn Any + Send>) -> Response<Body> {
    let why = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(why = why.unwrap_or("unknown"), "answering a request broke off");
    refuse(
        StatusCode::INTERNAL_SERVER_ERROR,
        "Answering this request broke off; the log says why. Nothing was half done: the store undoes what is not finished.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_can_only_be_ours() {
        let known = ["Desk.example.com".to_owned()];
        for host in [
            "127.0.0.1",
            "127.0.0.1:8080",
            "[::1]:8080",
            "[::1]",
            "localhost",
            "LOCALHOST:1",
            "a.localhost:1",
            "desk.example.com",
            "desk.example.com:443",
            "192.168.1.4",
        ] {
            assert!(is_ours(host, &known), "{host}");
        }
        for host in
            ["evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example:80", "", "notlocalhost"]
        {
            assert!(!is_ours(host, &known), "{host}");
        }
    }
}
