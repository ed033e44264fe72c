//! A stand-in for Centra's Integration API: GraphQL over HTTP, events, webhooks, rate limits, faults.
//!
//! Written from Centra's developer documentation. What is not simulated says so; nothing is pretended.

mod answer;
mod catalogue;
mod dates;
mod filter;
pub mod hooks;
mod incumbent;
mod life;
pub mod limits;
mod mutate;
mod plan;
mod returns;
mod shipments;
mod state;
pub mod stock;
mod untold;
mod values;
pub mod wares;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use anyhow::Context;
use apollo_compiler::response::JsonMap;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State as Shared;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::post;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::data::{Catalogue, mills_fixed};
use crate::mischief::{self, Fault, Mischief, RetryAfterForm, Tongue, hash_text, mix};

pub(crate) use incumbent::{Sold, SoldBack, SoldParcel};
pub use returns::PaidTwice;
pub(crate) use untold::Family;

use answer::{Reader, push_text};
use hooks::{Hooks, Notice, WebhookTarget};
use life::{Deed, Planned, STEP};
use limits::{Limits, Plan};
use mutate::{Outcome, Remark};
use plan::{Contract, Document, Refusal, Variables};
use state::State;
use stock::{Figure, Overselling, StockOptions};

/// The schema that is served: the part of Centra's that integrations of this kind use.
pub const SCHEMA: &str = include_str!("schema.graphql");

/// How the instance is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its rate limits.
    pub plan: Plan,
    /// The form of `Retry-After` on its own 429s. Centra sends a timestamp.
    pub retry_after: RetryAfterForm,
    /// Whether events are turned on. Off, orders are placed at once and no event is ever queued.
    pub events: bool,
    /// Whether orders are confirmed when they are placed.
    pub autoconfirm: bool,
    /// The instance's time zone.
    pub zone: String,
    /// Orders placed per second; `None` places all at once.
    pub pace: Option<f64>,
    /// Where webhooks go at first.
    pub webhook: Option<WebhookTarget>,
    /// How often a failed webhook is tried again (Centra: 0 to 3).
    pub webhook_retries: u32,
    /// The integration's name, which its event queue and id table go by.
    pub integration: String,
    /// Permissions that the token does not have.
    pub withheld_permissions: Vec<String>,
    /// How stock is treated.
    pub stock: StockOptions,
    /// How many captures in a thousand the payment provider refuses once.
    pub capture_refusals: u32,
    /// How many refunds in a thousand the payment provider refuses once.
    pub refund_refusals: u32,
    /// Whether the shop's people make returns of some of what has left, and pay money back. They are done when every
    /// order has left and [`Progress::returns_pending`] is nought.
    pub returns: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            plan: Plan::default(),
            retry_after: RetryAfterForm::EpochSeconds,
            events: true,
            autoconfirm: true,
            zone: "Europe/Stockholm".to_owned(),
            pace: None,
            webhook: None,
            webhook_retries: 3,
            integration: "selvedge".to_owned(),
            withheld_permissions: Vec::new(),
            stock: StockOptions::default(),
            capture_refusals: 0,
            refund_refusals: 0,
            returns: false,
        }
    }
}

/// What stands behind a token.
#[derive(Clone, Debug)]
struct Token {
    integration: String,
    expires: Option<Timestamp>,
    withheld: Vec<String>,
}

/// The text of the token that was made after so many were spent.
fn token_text(seed: u64, nth: u32) -> String {
    let salt = if nth == 0 { hash_text("token") } else { hash_text("token") ^ u64::from(nth) };
    format!("ctr_{:016x}{:016x}", mix(seed), mix(seed ^ salt))
}

/// How far the instance is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Orders that the catalogue has.
    pub orders_total: u64,
    /// Orders placed so far, those that are not in the catalogue included.
    pub orders_placed: u64,
    /// Orders that somebody tried to place so far, those that could not be sold included.
    #[serde(default)]
    pub orders_attempted: u64,
    /// Orders not placed because something was missing.
    #[serde(default)]
    pub orders_lost: u64,
    /// Whether all orders of the catalogue are placed or lost.
    pub placing_done: bool,
    /// Unconfirmed events, over all integrations.
    pub events_pending: u64,
    /// Webhooks waiting or under way.
    pub webhooks_pending: u64,
    /// Planned edits of placed orders not made yet.
    pub edits_pending: u64,
    /// Edits made so far.
    pub edits_done: u64,
    /// Returns that were made, by whomever; deleted ones are counted.
    #[serde(default)]
    pub returns_made: u64,
    /// What the shop's people have still to do about what has left, and refunds that the provider has not answered.
    #[serde(default)]
    pub returns_pending: u64,
    /// When an order was last placed or changed, by the instance's clock: the end of that second.
    pub last_change: Option<Timestamp>,
}

/// The instance. Cheap to clone.
#[derive(Clone)]
pub struct Centra(Arc<Inner>);

struct Inner {
    contract: Contract,
    state: RwLock<State>,
    documents: Mutex<HashMap<String, Arc<Cached>>>,
    limits: Limits,
    mischief: Arc<Mischief>,
    hooks: Arc<Hooks>,
    zone: TimeZone,
    options: Options,
    tokens: Mutex<BTreeMap<String, Token>>,
    seed: u64,
    edits: Mutex<BTreeMap<(i64, u32, u8), Planned>>,
    people: Mutex<returns::People>,
    calls: AtomicU64,
    throttled: AtomicU64,
    set_stock_calls: AtomicU64,
}

/// A document with the plans made of its operations.
struct Cached {
    document: Document,
    plans: Mutex<HashMap<Option<String>, Arc<plan::Plan>>>,
}

/// The most documents kept; then all are forgotten.
const MOST_DOCUMENTS: usize = 500;

impl Centra {
    /// Builds the instance, with what it kept under `folder`.
    /// Errors when the time zone is unknown or the journal cannot be used.
    pub fn open(
        seed: u64,
        identity: &str,
        catalogue: Arc<Catalogue>,
        mischief: Mischief,
        options: Options,
        folder: Option<&Path>,
    ) -> anyhow::Result<Centra> {
        let zone = TimeZone::get(&options.zone).with_context(|| format!("the time zone {} is not known", options.zone))?;
        let mut state = State::open(catalogue, identity, options.autoconfirm, folder).context("open Centra's state")?;
        let mischief = Arc::new(mischief.run(state.starts()));
        let now = mischief.now();
        state.adopt(stock::rules(&options.stock, &mischief), options.stock.fill_waiting)?;
        if state.starts() == 0 {
            let figures = stock::opening(&state, &options.stock.opening);
            if !figures.is_empty() {
                let (at, why) = (now.as_millisecond(), "Opening stock".to_owned());
                state.record(state::Entry::Stock { figures, at, why, planned: None })?;
            }
        }
        let expired = format!("ctr_expired_{:016x}", mix(seed));
        let mine =
            Token { integration: options.integration.clone(), expires: None, withheld: options.withheld_permissions.clone() };
        let old = Token { expires: Some(Timestamp::UNIX_EPOCH), ..mine.clone() };
        let spent = (0..state.tokens_spent).map(|nth| (token_text(seed, nth), old.clone()));
        let tokens = spent.chain([(token_text(seed, state.tokens_spent), mine), (expired, old.clone())]).collect();
        let edits = life::pending(&state, &mischief, 0, state.placed())
            .into_iter()
            .map(|(due, order, planned)| ((due, order, planned.number), planned))
            .collect();
        Ok(Centra(Arc::new(Inner {
            contract: Contract::read(SCHEMA)?,
            documents: Mutex::default(),
            limits: Limits::new(options.plan, now),
            hooks: Arc::new(Hooks::new(options.webhook.clone(), options.webhook_retries)?),
            zone,
            tokens: Mutex::new(tokens),
            seed,
            edits: Mutex::new(edits),
            people: Mutex::default(),
            calls: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
            set_stock_calls: AtomicU64::new(0),
            state: RwLock::new(state),
            mischief,
            options,
        })))
    }

    /// The API token of the integration.
    pub fn token(&self) -> String {
        token_text(self.0.seed, self.0.read().tokens_spent)
    }

    /// A token that expired long ago.
    pub fn expired_token(&self) -> Option<String> {
        let tokens = self.0.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.iter().find(|(_, token)| token.expires.is_some()).map(|(text, _)| text.clone())
    }

    /// The API token expires now, and somebody makes another one in AMS, which is answered by [`Centra::token`] from now on.
    /// Errors when the journal cannot be written.
    pub fn expire_token(&self) -> anyhow::Result<()> {
        let old = self.token();
        self.0.write().record(state::Entry::TokenSpent {})?;
        let new = self.token();
        let mut tokens = self.0.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = tokens.get_mut(&old) {
            let fresh = token.clone();
            token.expires = Some(Timestamp::UNIX_EPOCH);
            tokens.insert(new, fresh);
        }
        Ok(())
    }

    /// How often this world was started before on the state it keeps.
    pub fn starts(&self) -> u64 {
        self.0.read().starts()
    }

    /// Requests answered or lost so far, refused ones included.
    pub fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::Relaxed)
    }

    /// Requests refused because of the rate limits (not those that mischief refused).
    pub fn throttled(&self) -> u64 {
        self.0.throttled.load(Ordering::Relaxed)
    }

    /// Sets where webhooks go.
    pub fn aim_webhooks(&self, target: Option<WebhookTarget>) {
        self.0.hooks.aim(target);
    }

    /// Makes the integration listen for orders, as its own mutation would.
    /// Errors when the journal cannot be written.
    pub fn listen(&self) -> anyhow::Result<()> {
        let at = self.0.mischief.now().as_millisecond();
        self.0.write().record(state::Entry::Listen {
            queue: self.0.options.integration.clone(),
            object: "Order".to_owned(),
            changes: ["CREATED", "UPDATED", "DELETED", "COMPLETED", "DEPENDENT_DATA_CHANGED"].map(str::to_owned).to_vec(),
            at,
        })
    }

    /// The routes of the API.
    pub fn router(&self) -> Router {
        Router::new().route("/graphql", post(graphql)).with_state(self.clone())
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let state = self.0.read();
        let total = u64::from(state.catalogue.orders());
        let placed = u64::from(state.placed());
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        Progress {
            orders_total: total,
            orders_placed: placed,
            orders_attempted: u64::from(state.attempted()),
            orders_lost: state.ledger.lost().0,
            placing_done: u64::from(state.attempted()) == total,
            events_pending: state.queues.values().map(|queue| count(queue.events.len())).sum(),
            webhooks_pending: self.0.hooks.pending(),
            edits_pending: count(self.0.edits().len()),
            edits_done: count(state.edits_done()),
            returns_made: count(state.returns.ever().count()),
            returns_pending: {
                let people = if self.0.options.returns { self.0.people().pending(&state) } else { 0 };
                count(people + state.returns.open().count())
            },
            last_change: state.last_change(),
        }
    }

    /// Every placed order as it stands in Centra: `doc,status,net,tax,gross,currency,country,lines`, by number.
    /// Amounts have the currency's decimal places; items of bundles are not counted as lines.
    pub fn documents_csv(&self) -> String {
        use std::fmt::Write as _;
        let state = self.0.read();
        let mut out = String::from("doc,status,net,tax,gross,currency,country,lines\n");
        for index in state.walk(state::Sort::Number, false, None) {
            let (order, life) = state.order(index);
            let totals = order.totals();
            let digits = order.currency.digits;
            let country = order.shipping_address.country;
            let country = country.and_then(|at| state.catalogue.countries().get(at as usize));
            let lines = order
                .lines
                .iter()
                .filter(|line| line.cancelled < line.ordered)
                .filter(|line| !matches!(line.kind, crate::data::LineKind::BundleItem(_)))
                .count();
            let _ = writeln!(
                out,
                "{},{},{},{},{},{},{},{lines}",
                order.number,
                life.status.name(),
                mills_fixed(totals.grand - totals.tax, digits),
                mills_fixed(totals.tax, digits),
                mills_fixed(totals.grand, digits),
                order.currency.code,
                country.map_or("", |country| country.code.as_str()),
            );
        }
        out
    }

    /// The lines that have to leave, as they stand now: components instead of bundles, no gift certificates.
    pub fn lines(&self) -> Vec<crate::shelf::OpenLine> {
        let state = self.0.read();
        let mut all = Vec::new();
        for index in state.walk(state::Sort::Number, false, None) {
            let (order, _) = state.order(index);
            let goods = order.lines.iter().filter(|line| !matches!(line.kind, crate::data::LineKind::Bundle));
            for line in goods.filter(|line| line.cancelled < line.ordered) {
                let Some(item) = line.item.and_then(|item| state.catalogue.items().get(item as usize)) else { continue };
                all.push(crate::shelf::OpenLine {
                    doc: order.number.to_string(),
                    id: line.id.into(),
                    sku: item.sku.clone(),
                    units: (line.ordered - line.cancelled).into(),
                });
            }
        }
        all
    }

    /// How all shipments that have left stand in Centra.
    pub fn shipments(&self) -> Vec<crate::shelf::ShelfShipment> {
        self.0.read().shelf_shipments()
    }

    /// Places every order of the catalogue now, whatever the pace, and whether anybody listens or not.
    /// Errors when the journal cannot be written.
    pub fn place_all(&self) -> anyhow::Result<()> {
        let (mut from, total) = {
            let state = self.0.read();
            (state.attempted(), state.catalogue.orders())
        };
        while from < total {
            let to = total.min(from.saturating_add(STEP));
            self.place(from, to)?;
            from = to;
        }
        Ok(())
    }

    /// Lets everything leave that has not, one shipment an order, captured and completed as an integration would do it.
    /// Errors when the journal cannot be written.
    pub fn send_all(&self) -> anyhow::Result<()> {
        let inner = &self.0;
        let mut state = inner.write();
        let scene = shipments::Scene {
            queue: &inner.options.integration,
            now: inner.mischief.now().as_millisecond(),
            mischief: &inner.mischief,
            capture_refusals: 0,
            refund_refusals: 0,
        };
        for order in 0..state.placed() {
            shipments::send_rest(&mut state, order, &scene)?;
        }
        Ok(())
    }

    /// What somebody of the shop's staff does to a return, by the name of the mutation that does the same: its id, or why it
    /// is refused. Errors when the journal cannot be written.
    pub fn by_hand(&self, name: &str, id: Option<i32>, input: &Value) -> anyhow::Result<Result<i32, String>> {
        let inner = &self.0;
        let mut state = inner.write();
        let now = inner.mischief.now().as_millisecond();
        let scene = shipments::Scene {
            queue: &inner.options.integration,
            now,
            mischief: &inner.mischief,
            capture_refusals: 0,
            refund_refusals: 0,
        };
        let outcome = returns::run(&mut state, name, &json!(id), input, &scene)?;
        if let Some(message) = outcome.refusal() {
            return Ok(Err(message));
        }
        let notice = |(id, action): &(i32, &'static str)| Notice { kind: "return", number: *id, action, at: now };
        inner.hooks.tell(outcome.returns.iter().map(notice));
        Ok(outcome.returns.first().map(|(id, _)| *id).ok_or_else(|| "nothing was done".to_owned()))
    }

    /// Lets the shop's people and the payment provider go on as if `ahead` had passed, in steps of half a second.
    /// Errors when the journal cannot be written.
    pub fn fast_forward(&self, ahead: Duration) -> anyhow::Result<()> {
        let now = self.0.mischief.now().as_millisecond();
        let ahead = i64::try_from(ahead.as_millis()).unwrap_or(0);
        for passed in (0..=ahead).step_by(500) {
            self.take_returns_at(now + passed)?;
        }
        Ok(())
    }

    /// Lives: places orders, makes edits, sends webhooks. Never returns; drop it to stop.
    pub async fn live(&self) {
        let inner = &self.0;
        let mut clock = tokio::time::interval(Duration::from_millis(50));
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut pacing: Option<(tokio::time::Instant, u32)> = None;
        loop {
            clock.tick().await;
            if let Err(fault) = self.step(&mut pacing) {
                tracing::error!(%fault, "the simulated Centra cannot keep its journal");
            }
            inner.hooks.send(&inner.mischief, &inner.zone);
            tokio::task::yield_now().await;
        }
    }

    fn step(&self, pacing: &mut Option<(tokio::time::Instant, u32)>) -> anyhow::Result<()> {
        let inner = &self.0;
        let (attempted, catalogue, ready) = {
            let state = inner.read();
            let heard = state.queues.values().any(|queue| queue.listeners.contains_key("Order"));
            let opened = !inner.options.stock.waits_for_stock || state.ledger.has_any();
            (state.attempted(), Arc::clone(&state.catalogue), opened && (heard || !inner.options.events))
        };
        let total = catalogue.orders();
        if ready && attempted < total {
            let (since, base) = *pacing.get_or_insert_with(|| (tokio::time::Instant::now(), attempted));
            let due = match inner.options.pace {
                None => catalogue.rhythm(base, since.elapsed()).unwrap_or(total),
                Some(pace) => base.saturating_add(paced(pace, since.elapsed())).min(total),
            };
            let mut from = attempted;
            while from < due {
                let to = due.min(from.saturating_add(STEP));
                self.place(from, to)?;
                from = to;
            }
        }
        self.edit()?;
        self.take_returns()
    }

    /// The shop's people make returns, where they do; the provider answers what it was asked.
    fn take_returns(&self) -> anyhow::Result<()> {
        self.take_returns_at(self.0.mischief.now().as_millisecond())
    }

    fn take_returns_at(&self, now: i64) -> anyhow::Result<()> {
        let inner = &self.0;
        // The state first: whoever shows the progress takes both in this order.
        let mut state = inner.write();
        let mut told = Vec::new();
        if inner.options.returns {
            let before = state.placed();
            told = returns::live(&mut state, &mut inner.people(), &inner.mischief, now)?;
            let planned = life::pending(&state, &inner.mischief, before, state.placed());
            inner.edits().extend(planned.into_iter().map(|(due, order, planned)| ((due, order, planned.number), planned)));
        }
        if state.returns.open().next().is_some() {
            told.extend(returns::settle(&mut state, &inner.mischief, now, inner.options.returns)?);
        }
        inner.hooks.tell(told);
        Ok(())
    }

    fn place(&self, from: u32, to: u32) -> anyhow::Result<()> {
        let inner = &self.0;
        let mut state = inner.write();
        // Somebody else may have placed some of them meanwhile.
        let from = from.max(state.attempted());
        if from >= to {
            return Ok(());
        }
        // A clock that was set back must not place an order before its predecessor.
        let at = inner.mischief.now().as_millisecond().max(state.last_placed_at());
        let refused = match inner.options.stock.overselling {
            Overselling::Off => Vec::new(),
            Overselling::Standard => stock::uncovered(&state, from, to),
        };
        let first = state.placed();
        state.record(life::placing(&inner.mischief, from, to, at, refused))?;
        let last = state.placed();
        let planned = life::pending(&state, &inner.mischief, first, last);
        inner.edits().extend(planned.into_iter().map(|(due, order, planned)| ((due, order, planned.number), planned)));
        inner.hooks.tell((first..last).map(|order| Notice { kind: "order", number: state.number(order), action: "insert", at }));
        Ok(())
    }

    fn edit(&self) -> anyhow::Result<()> {
        let inner = &self.0;
        let now = inner.mischief.now().as_millisecond();
        loop {
            let due = {
                let mut edits = inner.edits();
                match edits.first_key_value() {
                    Some(((due, _, _), _)) if *due <= now => edits.pop_first(),
                    _ => return Ok(()),
                }
            };
            let Some(((_, order, number), planned)) = due else {
                return Ok(());
            };
            let mut state = inner.write();
            let change = match planned.deed {
                Deed::Stock { item, warehouse, units } => {
                    let cell = state.ledger.cell(item, warehouse);
                    let figure = Figure { warehouse, item, physical: (cell.physical + units).max(cell.allocated) };
                    let (figures, why) = (vec![figure], "Counted in AMS".to_owned());
                    state.record(state::Entry::Stock { figures, at: now, why, planned: Some((order, number)) })?;
                    continue;
                }
                Deed::Order(change) => change,
            };
            // Nobody edits what was cancelled or sent meanwhile, but the plan counts as done.
            let sent = |(line, units): &(i32, i32)| {
                let share = state.ledger.share(*line);
                share.is_some_and(|share| share.shipped > 0 && share.allocated + share.waiting < *units)
            };
            let gone = state.life(order).status == state::Status::Cancelled || change.cancel.iter().any(sent);
            let change = if gone { Box::default() } else { change };
            state.record(state::Entry::Changed { order, at: now, change, planned: Some(number) })?;
            inner.hooks.tell([Notice { kind: "order", number: state.number(order), action: "update", at: now }]);
        }
    }
}

/// How many orders are due after so long at so many a second.
#[allow(
    clippy::float_arithmetic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a pace is no money; the cast saturates"
)]
fn paced(pace: f64, elapsed: Duration) -> u32 {
    (pace * elapsed.as_secs_f64()) as u32
}

impl Inner {
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn edits(&self) -> MutexGuard<'_, BTreeMap<(i64, u32, u8), Planned>> {
        self.edits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn people(&self) -> MutexGuard<'_, returns::People> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn authenticate(&self, headers: &HeaderMap) -> Option<Token> {
        let bearer = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        let cookie = || {
            headers
                .get_all(header::COOKIE)
                .iter()
                .filter_map(|value| value.to_str().ok())
                .flat_map(|value| value.split(';'))
                .find_map(|pair| pair.trim().strip_prefix("graphql-access="))
        };
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let token = tokens.get(bearer.or_else(cookie)?.trim())?.clone();
        token.expires.is_none_or(|expires| expires > self.mischief.now()).then_some(token)
    }

    fn document(&self, text: &str) -> Result<Arc<Cached>, Refusal> {
        let mut documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = documents.get(text) {
            return Ok(Arc::clone(known));
        }
        let cached = Arc::new(Cached { document: self.contract.document(text)?, plans: Mutex::default() });
        if documents.len() >= MOST_DOCUMENTS {
            documents.clear();
        }
        documents.insert(text.to_owned(), Arc::clone(&cached));
        Ok(cached)
    }

    fn plan(&self, cached: &Cached, name: Option<&str>, variables: &Variables) -> Result<Arc<plan::Plan>, Refusal> {
        let mut plans = cached.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let key = name.map(str::to_owned);
        if let Some(known) = plans.get(&key) {
            return Ok(Arc::clone(known));
        }
        let made = Arc::new(self.contract.plan(&cached.document, name, variables)?);
        if self.contract.keeps(&cached.document) {
            plans.insert(key, Arc::clone(&made));
        }
        Ok(made)
    }
}

#[derive(Deserialize)]
struct Request {
    query: String,
    #[serde(default)]
    variables: Option<JsonMap>,
    #[serde(default, rename = "operationName")]
    operation_name: Option<String>,
}

/// How Centra words its errors, for one request.
struct CentraTongue {
    extensions: Value,
    /// The answer to a mutation whose fields all failed with a `userError`.
    failed_mutation: Option<String>,
    /// Whether a failure shows as "execution took too long".
    too_long: bool,
}

impl Tongue for CentraTongue {
    fn throttled(&self, retry_after: Option<String>) -> Response {
        throttled(retry_after)
    }

    fn server_error(&self) -> Response {
        if self.too_long {
            let status = StatusCode::from_u16(499).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return respond(status, json!({"errors": [{"message": "Execution took too long."}]}).to_string());
        }
        let body = json!({"errors": [{"message": "Internal server error", "extensions": {"category": "internal"}}]});
        respond(StatusCode::INTERNAL_SERVER_ERROR, body.to_string())
    }

    fn error_in_200(&self) -> Response {
        let body = self.failed_mutation.clone().unwrap_or_else(|| {
            json!({
                "errors": [{"message": "Internal server error", "extensions": {"category": "internal"}}],
                "data": null,
                "extensions": self.extensions,
            })
            .to_string()
        });
        respond(StatusCode::OK, body)
    }
}

fn respond(status: StatusCode, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn throttled(retry_after: Option<String>) -> Response {
    let body = json!({"errors": [{"message": "Rate limit exceeded.", "extensions": {"category": "rateLimit"}}]});
    let mut response = respond(StatusCode::TOO_MANY_REQUESTS, body.to_string());
    if let Some(value) = retry_after.and_then(|text| HeaderValue::from_str(&text).ok()) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

fn refuse(refusal: &Refusal) -> Response {
    respond(StatusCode::BAD_REQUEST, refusal.0.to_string())
}

async fn graphql(Shared(centra): Shared<Centra>, headers: HeaderMap, body: Bytes) -> Response {
    let inner = &centra.0;
    inner.calls.fetch_add(1, Ordering::Relaxed);
    let Some(token) = inner.authenticate(&headers) else {
        let body = json!({"errors": [{"message": "Access denied.", "extensions": {"category": "authentication"}}]});
        return respond(StatusCode::FORBIDDEN, body.to_string());
    };
    let request: Request = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(fault) => {
            return refuse(&Refusal::new(format!("The body is no GraphQL request: {fault}")));
        }
    };
    let name = request.operation_name.as_deref();
    let raw = request.variables.unwrap_or_default();
    let prepared = inner.document(&request.query).and_then(|cached| {
        let variables = inner.contract.variables(&cached.document, name, &raw)?;
        let plan = inner.plan(&cached, name, &variables)?;
        Ok((cached, variables, plan))
    });
    let (cached, variables, plan) = match prepared {
        Ok(prepared) => prepared,
        Err(refusal) => return refuse(&refusal),
    };

    let complexity = plan.complexity(&variables);
    let used: Vec<&str> = plan.permissions.iter().map(|(permission, _)| *permission).collect();
    let extensions = json!({"complexity": complexity, "permissionsUsed": used, "appVersion": "v1.60.0"});
    let mutations = if plan.mutation { plan.root.len() } else { 0 };
    let now = inner.mischief.now();
    if let Err(wait) = inner.limits.take(now, u64::try_from(mutations).unwrap_or(0), complexity) {
        inner.throttled.fetch_add(1, Ordering::Relaxed);
        return throttled(inner.options.retry_after.header(now, wait));
    }
    if let Some((permission, field)) =
        plan.permissions.iter().find(|(permission, _)| token.withheld.iter().any(|withheld| withheld == permission))
    {
        let body = json!({
            "errors": [{
                "message": format!("You need {permission} permission to access {field}."),
                "extensions": {"category": "authorization"},
                "locations": [{"line": 1, "column": 3}],
                "path": [field],
            }],
            "data": null,
            "extensions": extensions,
        });
        return respond(StatusCode::OK, body.to_string());
    }

    let fate = inner.mischief.next(plan.mutation);
    let dice = fate.latency.as_micros();
    let tongue = CentraTongue {
        failed_mutation: (fate.fault == Fault::ErrorIn200 && plan.mutation && dice % 2 == 0)
            .then(|| fail_mutation(inner, &plan, &variables, &token, &extensions)),
        too_long: dice % 3 == 0,
        extensions: extensions.clone(),
    };
    mischief::answer(fate, now, &tongue, async {
        let introspected = match inner.contract.introspect(&cached.document, name, &plan, &raw) {
            Ok(found) => found,
            Err(refusal) => return refuse(&refusal),
        };
        let done = if plan.mutation {
            mutate_all(inner, &plan, &variables, &token)
        } else {
            query_all(inner, &plan, &variables, &token, &introspected)
        };
        match done {
            Ok(data) => respond(StatusCode::OK, format!("{{\"data\":{data},\"extensions\":{extensions}}}")),
            Err((field, message)) => {
                let body = json!({
                    "errors": [{"message": message, "path": [field], "extensions": {"category": "graphql"}}],
                    "data": null,
                    "extensions": extensions,
                });
                respond(StatusCode::OK, body.to_string())
            }
        }
    })
    .await
}

fn reader<'a>(inner: &'a Inner, state: &'a State, token: &'a Token, variables: &'a Variables) -> Reader<'a> {
    Reader {
        state,
        zone: &inner.zone,
        limits: &inner.limits,
        now: inner.mischief.now(),
        queue: &token.integration,
        events: inner.options.events,
        variables,
        trouble: std::cell::RefCell::default(),
    }
}

type Failed = (String, String);

fn query_all(
    inner: &Inner,
    plan: &plan::Plan,
    variables: &Variables,
    token: &Token,
    introspected: &serde_json::Map<String, Value>,
) -> Result<String, Failed> {
    let state = inner.read();
    let reader = reader(inner, &state, token, variables);
    let mut out = String::with_capacity(4_096);
    let mut failed = None;
    answer::object(&mut out, "Query", &plan.root, |out, pick| {
        if let Some(value) = introspected.get(&pick.alias) {
            out.push_str(&value.to_string());
        } else if let Err(message) = reader.root(out, pick) {
            failed.get_or_insert((pick.alias.clone(), message));
        }
        if let Some(message) = reader.trouble.take() {
            failed.get_or_insert((pick.alias.clone(), message));
        }
    });
    failed.map_or(Ok(out), Err)
}

fn payload_type(pick: &plan::Pick) -> &str {
    pick.only_shape()
}

fn mutate_all(inner: &Inner, plan: &plan::Plan, variables: &Variables, token: &Token) -> Result<String, Failed> {
    let mut state = inner.write();
    let mut out = String::with_capacity(1_024);
    let mut failed = None;
    // One after the other; a failure of one does not stop the next.
    answer::object(&mut out, "Mutation", &plan.root, |out, pick| {
        let now = inner.mischief.now().as_millisecond();
        inner.set_stock_calls.fetch_add(u64::from(pick.name == "setStock"), Ordering::Relaxed);
        let scene = shipments::Scene {
            queue: &token.integration,
            now,
            mischief: &inner.mischief,
            capture_refusals: inner.options.capture_refusals,
            refund_refusals: inner.options.refund_refusals,
        };
        let outcome = mutate::run(&mut state, pick, variables, &token.integration, inner.options.events, &scene);
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(fault) => {
                failed.get_or_insert((pick.alias.clone(), format!("{fault:#}")));
                return;
            }
        };
        let orders = outcome.changed.iter().map(|order| ("order", state.number(*order), "update"));
        let returns = outcome.returns.iter().map(|(id, action)| ("return", *id, *action));
        inner.hooks.tell(orders.chain(returns).map(|(kind, number, action)| Notice { kind, number, action, at: now }));
        let reader = reader(inner, &state, token, variables);
        mutate::payload(out, &reader, pick, payload_type(pick), &outcome);
        if let Some(message) = reader.trouble.take() {
            failed.get_or_insert((pick.alias.clone(), message));
        }
    });
    failed.map_or(Ok(out), Err)
}

/// The answer of a mutation that did nothing: every field failed with a user error.
fn fail_mutation(inner: &Inner, plan: &plan::Plan, variables: &Variables, token: &Token, extensions: &Value) -> String {
    let state = inner.read();
    let reader = reader(inner, &state, token, variables);
    let outcome = Outcome::failed(Remark::new("Something went wrong, please try again later.", ""));
    let mut out = String::new();
    answer::object(&mut out, "Mutation", &plan.root, |out, pick| {
        mutate::payload(out, &reader, pick, payload_type(pick), &outcome);
    });
    let mut body = String::from("{\"data\":");
    body.push_str(&out);
    body.push(',');
    push_text(&mut body, "extensions");
    body.push(':');
    body.push_str(&extensions.to_string());
    body.push('}');
    body
}

#[cfg(test)]
mod tests;
