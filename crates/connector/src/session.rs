//! One connection's HTTP: pace, limits, breaker, size bounds, redaction, counting.

mod fares;
mod line;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use reqwest::header::{HeaderName, HeaderValue};
use selvedge_model::Problem;
use tracing::Instrument;

pub use self::fares::{Fares, Faring};
use self::line::{Line, Permit, Shut};
use crate::{
    clock::Clock,
    exchange,
    fault::Fault,
    format,
    reach::{Reach, Refusal, Resolver, refusal_in},
    retry_after::{self, Wait},
    secret::Secret,
};

/// How long a connection may take to come about; nothing has left before it stands.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an unused connection is kept. Shorter than servers keep theirs: a write on one that the
/// other side is closing just then would come back as unanswered.
const IDLE_KEPT: Duration = Duration::from_secs(20);
/// The longest of the pauses that are ours to choose.
const OWN_PAUSE_MAX: Duration = Duration::from_secs(60);

/// What is spent first when calls are scarce. Earlier is more urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Credentials, acknowledgements: without them nothing else moves.
    Control,
    /// Orders and what they need: they secure the revenue.
    Orders,
    /// Stock.
    Stock,
    /// The target's own lists of values: orders wait for one that was never read.
    Lists,
    /// Shipments.
    Shipments,
    /// Returns and credits.
    Returns,
    /// Products.
    Products,
    /// Sweeps, reconciliation.
    Sweeps,
}

/// Whether a call changes anything at the other side. It decides what a lost answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It only reads: a lost answer is [`Fault::Transient`].
    Read,
    /// It writes: a lost answer is [`Fault::Unanswered`].
    Write,
}

/// One call. Its debug form shows neither the path of the address, which may be a secret, nor the body.
#[derive(Clone)]
pub struct Call {
    /// For logs and faults: `create order so_1042`.
    pub what: String,
    /// HTTP method.
    pub method: &'static str,
    /// Absolute URL.
    pub url: String,
    /// Headers, secrets among them marked by [`Secret`].
    pub headers: Vec<(&'static str, HeaderText)>,
    /// The body.
    pub body: Bytes,
    /// Reads or writes.
    pub effect: Effect,
    /// What it is spent on.
    pub priority: Priority,
    /// Which of the connection's budgets it draws on and how much, by window name: `[("requests", 1), ("mutations", 1)]`.
    pub costs: Vec<(&'static str, u32)>,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call")
            .field("what", &self.what)
            .field("method", &self.method)
            .field("to", &self.url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/"))
            .field("headers", &self.headers)
            .field("body_bytes", &self.body.len())
            .field("effect", &self.effect)
            .field("priority", &self.priority)
            .field("costs", &self.costs)
            .finish()
    }
}

/// A header's value: plain, or a secret that no log shows.
#[derive(Clone, Debug)]
pub enum HeaderText {
    /// May be shown.
    Plain(String),
    /// May not.
    Hidden(Secret),
}

/// An HTTP answer of any status, body read whole and bounded. Connectors turn it into a result or a fault.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Priority {
    /// All of them, most urgent first.
    pub const ALL: [Priority; 8] = [
        Priority::Control,
        Priority::Orders,
        Priority::Stock,
        Priority::Lists,
        Priority::Shipments,
        Priority::Returns,
        Priority::Products,
        Priority::Sweeps,
    ];

    /// The word under which calls are counted.
    pub const fn word(self) -> &'static str {
        match self {
            Priority::Control => "control",
            Priority::Orders => "orders",
            Priority::Stock => "stock",
            Priority::Lists => "lists",
            Priority::Shipments => "shipments",
            Priority::Returns => "returns",
            Priority::Products => "products",
            Priority::Sweeps => "sweeps",
        }
    }
}

impl Answer {
    /// The first header of this name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// One limit of the platform: so much per so long, refilled at a constant rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetWindow {
    /// Which cost it counts: `requests`, `mutations`, `complexity`.
    pub name: &'static str,
    /// How much.
    pub quota: u64,
    /// Per how long.
    pub per: Duration,
}

/// What the platform grants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// The windows; a call waits until all of them have room for its costs.
    pub windows: Vec<BudgetWindow>,
}

/// What a platform counts when it limits, and so what a 429 without a `Retry-After` means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Limit {
    /// Calls in a stretch of time: nothing more fits just now, so the whole connection pauses.
    #[default]
    Rate,
    /// Calls at the same time: a slot may come free at any moment, so fewer go at once, and the
    /// connection pauses only if that was not enough.
    Concurrency,
}

/// How a session behaves.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// The connection's name, for logs and counters.
    pub name: String,
    /// Calls under way at once.
    pub concurrency_max: usize,
    /// How long one call may take before it counts as unanswered.
    pub timeout: Duration,
    /// The largest body that is read; a larger one is [`Fault::Unexpected`].
    pub body_bytes_max: usize,
    /// What the platform counts.
    pub limit: Limit,
    /// The longest wait that a `Retry-After` may ask for; a longer one is cut to it.
    pub retry_after_max: Duration,
    /// Failures in a row that open the breaker.
    pub breaker_failures: u32,
    /// How long the open breaker lets nothing through before it tries one call.
    pub breaker_pause: Duration,
    /// The first pause after a 429 that does not say how long; each further one in a row is twice as long, up to a minute.
    pub throttle_pause_first: Duration,
    /// The longest pause that a call waits out; when it is longer the call comes back as [`Fault::Throttled`].
    pub wait_inside_max: Duration,
    /// What the platform grants, until it tells otherwise.
    pub budget: Budget,
    /// Whether it only reads: a call that writes is refused before it leaves.
    pub read_only: bool,
    /// Where calls may go.
    pub reach: Reach,
}

impl SessionConfig {
    /// A session with moderate defaults: 4 calls at once, 30 seconds, 32 MiB, a breaker of 8 failures and 5 seconds.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            concurrency_max: 4,
            timeout: Duration::from_secs(30),
            body_bytes_max: 32 << 20,
            limit: Limit::default(),
            retry_after_max: Duration::from_secs(300),
            breaker_failures: 8,
            breaker_pause: Duration::from_secs(5),
            throttle_pause_first: Duration::from_secs(1),
            wait_inside_max: Duration::from_secs(2),
            budget: Budget::default(),
            read_only: false,
            reach: Reach::PUBLIC,
        }
    }
}

/// What a session has done, for pages, metrics and reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionStats {
    /// Calls sent, per priority word.
    pub calls: Vec<(&'static str, u64)>,
    /// Calls answered 429.
    pub throttled: u64,
    /// Calls that got no answer.
    pub lost: u64,
    /// Calls under way.
    pub under_way: usize,
    /// Calls waiting for room.
    pub waiting: usize,
    /// Per window: name, seconds it spans, quota, used now.
    pub windows: Vec<(String, u64, u64, u64)>,
    /// Whether the breaker is open.
    pub breaker_open: bool,
    /// Whether the connection pauses because the platform asked it to.
    pub paused: bool,
    /// When a call was last answered; "too many" and server errors are no answers here.
    pub answered_at: Option<Timestamp>,
    /// The status of that answer, where the platform speaks HTTP.
    pub answered: Option<u16>,
    /// When a call last failed: no answer, or a server error.
    pub failed_at: Option<Timestamp>,
    /// How, in a few words.
    pub failed: Option<String>,
}

/// What is told of a connection's calls, whatever they go over.
pub trait Traffic: Send + Sync {
    /// What it has done.
    fn stats(&self) -> SessionStats;
    /// How long every call would come back at once, unsent. Nothing while calls go through.
    fn rests(&self) -> Option<Duration>;
    /// Whether anything comes through.
    fn fares(&self) -> Fares;
}

impl Traffic for Session {
    fn stats(&self) -> SessionStats {
        self.stats()
    }

    fn rests(&self) -> Option<Duration> {
        self.rests()
    }

    fn fares(&self) -> Fares {
        self.faring.now()
    }
}

/// One connection's way out. The only place with an HTTP client.
pub struct Session {
    config: SessionConfig,
    clock: Arc<dyn Clock>,
    /// Or why there is none.
    client: Result<reqwest::Client, String>,
    line: Arc<Line>,
    calls: [AtomicU64; Priority::ALL.len()],
    throttled: AtomicU64,
    lost: AtomicU64,
    faring: Faring,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("name", &self.config.name).finish_non_exhaustive()
    }
}

impl Session {
    /// Opens it; no call is made.
    pub fn new(config: SessionConfig, clock: Arc<dyn Clock>) -> Arc<Self> {
        // A second installation is refused, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = client(&config).build().or_else(|error| {
            tracing::warn!(connection = %config.name, %error, "the machine's root certificates cannot be read: only plain HTTP will work");
            client(&config).tls_certs_only([]).build()
        });
        let client = client.map_err(|error| error.to_string());
        let line = Line::new(&config);
        Arc::new(Self {
            config,
            clock,
            client,
            line,
            calls: Default::default(),
            throttled: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            faring: Faring::default(),
        })
    }

    /// Sends one call when the budget, the slots and the breaker allow it, the most urgent first.
    ///
    /// # Errors
    /// [`Fault::Transient`] when it never reached the other side or was a read; [`Fault::Unanswered`]
    /// when a write's answer was lost (timeout, reset, truncated body); [`Fault::Throttled`] on 429
    /// (the session then pauses by itself); [`Fault::Unexpected`] on a body past the bound;
    /// [`Fault::read_only`] for a write over a session that only reads; [`Fault::Refused`] where it may not go. Any other status is an [`Answer`].
    pub async fn send(&self, call: Call) -> Result<Answer, Fault> {
        let span = tracing::debug_span!(
            "call",
            otel.kind = "client",
            otel.status_code = tracing::field::Empty,
            connection = %self.config.name,
            what = %call.what,
            method = call.method,
            purpose = call.priority.word(),
            status = tracing::field::Empty,
            fault = tracing::field::Empty,
        );
        let result = self.send_one(call).instrument(span.clone()).await;
        match &result {
            Ok(answer) => drop(span.record("status", answer.status)),
            Err(fault) => drop(span.record("fault", fault.word()).record("otel.status_code", "ERROR")),
        }
        result
    }

    async fn send_one(&self, call: Call) -> Result<Answer, Fault> {
        self.permits(call.effect, &call.what)?;
        let (client, request) = self.prepare(&call)?;
        let permit = self.line.enter(call.priority, call.costs.clone()).await.map_err(|shut| match shut {
            Shut::Broken(left) => Fault::Transient {
                what: call.what.clone(),
                source: Some(
                    format!(
                        "{} did not answer several times in a row; it is left alone for {} s",
                        self.config.name,
                        left.as_secs()
                    )
                    .into(),
                ),
            },
            Shut::Paused(left) => Fault::Throttled { what: call.what.clone(), wait: Some(left) },
        })?;
        if let Some(count) = self.calls.get(call.priority as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let started = tokio::time::Instant::now();
        let result = self.exchange(&call, client, request).await;
        exchange::note(&call, &result);
        let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        match &result {
            Ok(answer) => tracing::debug!(connection = %self.config.name, what = %call.what, status = answer.status, ms, "call"),
            Err(fault) => tracing::debug!(connection = %self.config.name, what = %call.what, fault = fault.word(), ms, "call"),
        }
        self.judge(&call, &permit, result)
    }

    /// Whether a call of this effect may leave at all. Asked once more by [`Session::send`]; whoever logs in before a call asks
    /// first, so that nothing leaves for a call that cannot.
    ///
    /// # Errors
    /// [`Fault::read_only`].
    pub fn permits(&self, effect: Effect, what: &str) -> Result<(), Fault> {
        if self.config.read_only && effect == Effect::Write {
            return Err(Fault::read_only(&self.config.name, what));
        }
        Ok(())
    }

    /// The request as it will leave. What cannot be sent costs neither budget nor a place in the line.
    fn prepare(&self, call: &Call) -> Result<(&reqwest::Client, reqwest::Request), Fault> {
        let unusable =
            |why: &str| Fault::Unexpected { what: call.what.clone(), detail: format!("the call could not be made: {why}") };
        let client = self.client.as_ref().map_err(|why| unusable(why))?;
        let method = reqwest::Method::from_bytes(call.method.as_bytes()).map_err(|_| unusable("no such HTTP method"))?;
        // A client would mend it silently, and what was signed would not be what leaves.
        if format::is_well_formed("uri", &call.url) != Some(true) {
            return Err(unusable("its address is not a well-formed URI"));
        }
        let mut request = client.request(method, &call.url).body(call.body.clone());
        for (name, text) in &call.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unusable("a header has an impossible name"))?;
            let (text, hidden) = match text {
                HeaderText::Plain(text) => (text.as_str(), false),
                HeaderText::Hidden(secret) => (secret.reveal(), true),
            };
            let mut value = HeaderValue::from_str(text).map_err(|_| unusable("a header has a character that none may have"))?;
            value.set_sensitive(hidden);
            request = request.header(name, value);
        }
        let request = request.build().map_err(|error| unusable(&error.without_url().to_string()))?;
        self.config.reach.permits(request.url()).map_err(|refusal| refused(call, &refusal))?;
        Ok((client, request))
    }

    async fn exchange(&self, call: &Call, client: &reqwest::Client, request: reqwest::Request) -> Result<Answer, Fault> {
        let mut response = client.execute(request).await.map_err(|error| lost(call, error))?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let mut body = BytesMut::new();
        while let Some(piece) = response.chunk().await.map_err(|error| lost(call, error))? {
            if body.len().saturating_add(piece.len()) > self.config.body_bytes_max {
                return Err(Fault::Unexpected {
                    what: call.what.clone(),
                    detail: format!("the answer is larger than {} bytes; reading stopped there", self.config.body_bytes_max),
                });
            }
            body.extend_from_slice(&piece);
        }
        Ok(Answer { status, headers, body: body.freeze() })
    }

    fn judge(&self, call: &Call, permit: &Permit, result: Result<Answer, Fault>) -> Result<Answer, Fault> {
        match &result {
            Ok(answer) if answer.status == 429 => {
                self.faring.answered();
                return Err(self.limited(call, permit, answer));
            }
            Ok(answer) if answer.status >= 500 => {
                self.faring.failed();
                self.faring.note_failure(self.clock.now(), format!("{}: answered {}", call.what, answer.status));
                self.line.failed();
            }
            Err(Fault::Transient { .. } | Fault::Unanswered { .. }) => {
                self.faring.failed();
                self.lost.fetch_add(1, Ordering::Relaxed);
                self.faring.note_failure(self.clock.now(), format!("{}: no answer", call.what));
                self.line.failed();
            }
            // Our own reach let nothing leave: nobody answered, and nobody failed to.
            Err(Fault::Refused { .. }) => self.line.came_through(permit.since()),
            _ => {
                self.faring.answered();
                if let Ok(answer) = &result {
                    self.faring.note_answer(self.clock.now(), Some(answer.status));
                }
                self.line.came_through(permit.since());
            }
        }
        result
    }

    fn limited(&self, call: &Call, permit: &Permit, answer: &Answer) -> Fault {
        self.throttled.fetch_add(1, Ordering::Relaxed);
        // A moment is meant by the platform's clock; the answer tells how late it is there.
        let now = answer.header("date").and_then(retry_after::moment).unwrap_or_else(|| self.clock.now());
        let asked = retry_after::parse(answer.header("retry-after"), now, self.config.retry_after_max);
        let in_row = self.line.throttled(permit.since(), asked == Wait::Default);
        if asked == Wait::Default && in_row == 1 && self.config.limit == Limit::Concurrency {
            return Fault::Throttled { what: call.what.clone(), wait: Some(self.own_pause(1)) };
        }
        let wait = match asked {
            // Obeying was not enough the last time: clocks may differ, or the figure may be a constant.
            Wait::For(wait) if in_row > 1 => wait.max(self.own_pause(in_row - 1)).min(self.config.retry_after_max),
            Wait::For(wait) => wait,
            Wait::Cap => self.config.retry_after_max,
            Wait::Default => self.own_pause(in_row),
        };
        self.line.pause(wait);
        Fault::Throttled { what: call.what.clone(), wait: Some(wait) }
    }

    /// Doubles with each 429 in a row; spread over the upper half, so that processes which were limited together do not return together.
    fn own_pause(&self, in_row: u32) -> Duration {
        let whole = self
            .config
            .throttle_pause_first
            .saturating_mul(2_u32.saturating_pow(in_row.saturating_sub(1).min(16)))
            .min(OWN_PAUSE_MAX);
        whole.saturating_mul(rand::random_range(50..=100)) / 100
    }

    /// How long every call would come back at once, unsent: the breaker is open, or the platform asked
    /// for a longer pause than a call waits out. Nothing while calls go through.
    pub fn rests(&self) -> Option<Duration> {
        self.line.rests()
    }

    /// Takes over what the platform says it grants now, and how much of each window is used, in the order of the windows.
    pub fn learn(&self, budget: Budget, used: &[u64]) {
        self.line.learn(&budget, used);
    }

    /// Notes a cost that is only known after the call (a query's complexity).
    pub fn charge(&self, window: &'static str, cost: u64) {
        self.line.charge(window, cost);
    }

    /// What it has done.
    pub fn stats(&self) -> SessionStats {
        let calls =
            Priority::ALL.into_iter().zip(&self.calls).map(|(priority, count)| (priority.word(), count.load(Ordering::Relaxed)));
        let mut stats = SessionStats {
            calls: calls.filter(|(_, count)| *count > 0).collect(),
            throttled: self.throttled.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            ..SessionStats::default()
        };
        self.line.read(&mut stats);
        self.faring.tell(&mut stats);
        stats
    }
}

/// Redirects would carry credentials elsewhere and turn writes into reads; a proxy from the
/// environment would see them.
#[expect(clippy::disallowed_methods, reason = "this is the one place that may have a client")]
fn client(config: &SessionConfig) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .dns_resolver(Resolver::of(config.reach))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(config.timeout)
        .pool_idle_timeout(IDLE_KEPT)
        .pool_max_idle_per_host(config.concurrency_max)
        .user_agent(concat!("selvedge/", env!("CARGO_PKG_VERSION")))
}

/// An address to which nothing leaves.
fn refused(call: &Call, refusal: &Refusal) -> Fault {
    let problem = Problem::new("connection.reach", "", refusal.to_string(), refusal.remedy());
    Fault::Refused { what: call.what.clone(), problems: vec![problem] }
}

/// What a transport error means: before the connection stood nothing has left; after that a write may have arrived.
fn lost(call: &Call, error: reqwest::Error) -> Fault {
    let (what, nothing_left) = (call.what.clone(), error.is_connect());
    if let Some(refusal) = refusal_in(&error) {
        return refused(call, &refusal);
    }
    // The address may carry what nobody should read in a log.
    let source = Some(error.without_url().into());
    match call.effect {
        Effect::Write if !nothing_left => Fault::Unanswered { what, source },
        _ => Fault::Transient { what, source },
    }
}

#[cfg(test)]
mod tests;
