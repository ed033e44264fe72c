//! A stand-in for Veeqo: orders without a guard against doubles, allocations over ranked warehouses, shipments per allocation.
//!
//! Written from the vendor's blueprint and what clients with live accounts have seen. There is no published specification
//! file, so what a request may hold is a table here. What is not simulated answers 404 and is remembered.

mod documents;
mod meddle;
mod products;
mod requests;
mod state;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::linnworks::s10;
use crate::mischief::{self, Mischief, Tongue, mix};
use crate::shelf::{Item, ShelfOrder, ShelfShipment};

pub use meddle::Tracking;
use state::{Allocation, Line, Order, Returned, Shipment, State};

/// How the account is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its warehouses, in the store's ranking.
    pub warehouses: Vec<String>,
    /// Its delivery methods.
    pub delivery_methods: Vec<String>,
    /// Whether the leaky bucket leaks at the vendor's pace; else it has no bottom.
    pub limits: bool,
    /// How long a fresh order is not found by a search, in milliseconds.
    pub search_lag: i64,
    /// Whether the account has unpaid invoices: then every call is refused.
    pub unpaid: bool,
    /// Whether goods of some orders come back once all of an order has left.
    pub returns: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            warehouses: vec!["Main".to_owned(), "North".to_owned()],
            delivery_methods: ["Standard", "Express", "International"].map(str::to_owned).to_vec(),
            limits: false,
            search_lag: 300,
            unpaid: false,
            returns: false,
        }
    }
}

/// All that somebody needs to connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// The key.
    pub api_key: String,
    /// The store of type direct.
    pub channel_id: u64,
    /// The delivery methods: id and name.
    pub delivery_methods: Vec<(u64, String)>,
}

/// The store of type direct.
const CHANNEL: u64 = 501;
/// The id of the first delivery method.
const METHODS_FROM: u64 = 77;
/// The most requests that the bucket holds, and how many drain a second.
const BUCKET: i64 = 100;
const DRAIN: i64 = 5;

/// The account. Cheap to clone.
#[derive(Clone)]
pub struct Veeqo(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    /// What is in the bucket, in thousandths, and when it was last looked at.
    bucket: Mutex<(i64, i64)>,
    violations: Mutex<Vec<String>>,
    mischief: Mischief,
    options: Options,
    key: String,
    calls: AtomicU64,
    /// Writes that take effect and are answered with a 504, before anything else goes wrong.
    to_lose: AtomicU64,
}

fn respond(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(axum::body::Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn refuse(status: StatusCode, message: &str) -> Response {
    respond(status, &json!({ "error_messages": [message] }))
}

struct VeeqoTongue;

impl Tongue for VeeqoTongue {
    /// No `Retry-After` was ever seen.
    fn throttled(&self, _retry_after: Option<String>) -> Response {
        refuse(StatusCode::TOO_MANY_REQUESTS, "Too many requests")
    }

    fn server_error(&self) -> Response {
        let mut response = Response::new(axum::body::Body::from("<html><body>504 Gateway Time-out</body></html>"));
        *response.status_mut() = StatusCode::GATEWAY_TIMEOUT;
        response
    }

    fn error_in_200(&self) -> Response {
        Response::new(axum::body::Body::from("<html><body>maintenance</body></html>"))
    }
}

impl Veeqo {
    /// Opens the account, with what it kept under `folder`.
    /// Errors when the journal cannot be used or belongs to another world.
    pub fn open(
        seed: u64,
        identity: &str,
        items: Vec<Item>,
        mischief: Mischief,
        options: Options,
        folder: Option<&Path>,
    ) -> anyhow::Result<Veeqo> {
        let path = folder.map(|folder| folder.join("veeqo.jsonl"));
        let state = State::open(identity, items, path.as_deref())?;
        let mischief = mischief.run(state.starts());
        Ok(Veeqo(Arc::new(Inner {
            state: Mutex::new(state),
            bucket: Mutex::default(),
            violations: Mutex::default(),
            mischief,
            options,
            key: format!("Vqt/{:016x}", mix(seed)),
            calls: AtomicU64::new(0),
            to_lose: AtomicU64::new(0),
        })))
    }

    /// How to connect; the address is the server's.
    pub fn access(&self) -> Access {
        Access {
            api_key: self.0.key.clone(),
            channel_id: CHANNEL,
            delivery_methods: (METHODS_FROM..).zip(self.0.options.delivery_methods.iter().cloned()).collect(),
        }
    }

    /// The routes.
    pub fn router(&self) -> Router {
        Router::new().fallback(serve).with_state(self.clone())
    }

    /// What no client may send.
    pub fn violations(&self) -> Vec<String> {
        self.0.violations.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Requests answered or lost so far.
    pub fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::Relaxed)
    }

    /// The warehouses do one thing to each order that can move. Returns how many things happened.
    /// Errors when the journal cannot be written.
    pub fn step(&self) -> anyhow::Result<usize> {
        let now = self.0.now();
        let mut state = self.0.state();
        let moving: Vec<Order> = state.orders.values().filter(|order| can_move(order)).cloned().collect();
        let mut done = 0;
        for mut order in moving {
            if order.updated >= now {
                continue;
            }
            let key = order.id;
            let Some(allocation) = order.allocations.iter_mut().find(|a| waits(a)) else { continue };
            done += 1;
            allocation.updated = now;
            let dice = self.0.mischief.pick("parcel", key * 7 + allocation.id, 10);
            match &mut allocation.shipment {
                Some(shipment) => shipment.tracking = shipment.tracking_later.take(),
                None => {
                    let name = self.0.options.warehouses.get(allocation.warehouse).cloned().unwrap_or_default();
                    let parts: Vec<(u64, i64)> =
                        allocation.lines.iter().flat_map(|line| state.parts(line.sellable, line.quantity)).collect();
                    for (id, units) in parts {
                        let Some(mut sellable) = state.sellables.get(&id).cloned() else { continue };
                        *sellable.stock.entry(name.clone()).or_default() -= units;
                        sellable.updated = now;
                        state.put_sellable(id, sellable)?;
                    }
                    let number = s10(key * 16 + allocation.id, false);
                    // The vendor's own sample begins with a blank.
                    let number = if dice == 1 { format!(" {number}") } else { number };
                    let (tracking, later) = if dice == 0 { (None, Some(number)) } else { (Some(number), None) };
                    let carrier = if dice == 2 { "Other".to_owned() } else { "Royal Mail".to_owned() };
                    let id = key * 100 + allocation.id;
                    allocation.shipment = Some(Shipment { id, carrier, tracking, tracking_later: later, void: false, at: now });
                }
            }
            order.updated = now;
            state.put(order)?;
        }
        if self.0.options.returns {
            done += self.take_back(&mut state, now)?;
        }
        Ok(done)
    }

    /// A unit of some orders is announced, and received some time later; of some nothing is in the parcel.
    fn take_back(&self, state: &mut State, now: i64) -> anyhow::Result<usize> {
        let due: Vec<Order> =
            state.orders.values().filter(|order| comes_back(order, &self.0.mischief) && order.updated < now).cloned().collect();
        let done = due.len();
        for mut order in due {
            let (id, key) = (order.id * 10, order.id);
            let Some(allocation) = order.allocations.first().cloned() else { continue };
            let Some(sellable) = allocation.lines.first().map(|line| line.sellable) else { continue };
            match order.returns.first_mut() {
                None => {
                    let kind = "ShippedItemsReturn".to_owned();
                    order.returns.push(Returned { id, kind, sellable, quantity: 1, received: None, created: now });
                }
                Some(one) => {
                    let units = i64::from(self.0.mischief.pick("empty parcel", key, 8) != 0);
                    one.received = Some(units);
                    let name = self.0.options.warehouses.get(allocation.warehouse).cloned().unwrap_or_default();
                    for (id, units) in state.parts(sellable, units) {
                        let Some(mut sellable) = state.sellables.get(&id).cloned() else { continue };
                        *sellable.stock.entry(name.clone()).or_default() += units;
                        sellable.updated = now;
                        state.put_sellable(id, sellable)?;
                    }
                }
            }
            order.updated = now;
            state.put(order)?;
        }
        Ok(done)
    }

    /// Whether nothing is left to ship.
    pub fn is_done(&self) -> bool {
        let state = self.0.state();
        let awaits = |order: &Order| self.0.options.returns && comes_back(order, &self.0.mischief);
        !state.orders.values().any(|order| can_move(order) || awaits(order))
    }

    /// All orders as they stand: one row per order and warehouse, what is not allocated under no warehouse.
    pub fn orders(&self) -> Vec<ShelfOrder> {
        let state = self.0.state();
        let sku = |id: u64| state.sellables.get(&id).map(|item| item.sku.clone()).unwrap_or_default();
        let service = |order: &Order| {
            let at = order.delivery_method.checked_sub(METHODS_FROM).and_then(|at| usize::try_from(at).ok());
            at.and_then(|at| self.0.options.delivery_methods.get(at)).cloned().unwrap_or_default()
        };
        let mut all = Vec::new();
        for order in state.orders.values() {
            let mut parts: BTreeMap<&str, Vec<(String, i64)>> = BTreeMap::new();
            for allocation in &order.allocations {
                let name = self.0.options.warehouses.get(allocation.warehouse).map_or("", String::as_str);
                let lines = allocation.lines.iter().map(|line| (sku(line.sellable), line.quantity));
                parts.entry(name).or_default().extend(lines);
            }
            let sellables: BTreeSet<u64> = order.lines.iter().map(|line| line.sellable).collect();
            let open = sellables.into_iter().map(|id| (sku(id), order.unallocated(id))).filter(|(_, units)| *units > 0);
            let open: Vec<(String, i64)> = open.collect();
            if !open.is_empty() {
                parts.insert("", open);
            }
            all.extend(parts.into_iter().map(|(warehouse, lines)| ShelfOrder {
                doc: order.number.clone(),
                id: order.id.to_string(),
                cancelled: order.cancelled,
                service: service(order),
                warehouse: warehouse.to_owned(),
                lines,
            }));
        }
        all
    }

    /// What left.
    pub fn shipments(&self) -> Vec<ShelfShipment> {
        let state = self.0.state();
        let sku = |id: u64| state.sellables.get(&id).map(|item| item.sku.clone()).unwrap_or_default();
        let all = state.orders.values().flat_map(|order| order.allocations.iter().map(move |allocation| (order, allocation)));
        let shown = |(order, allocation): (&Order, &Allocation)| {
            let shipment = allocation.shipment.as_ref()?;
            Some(ShelfShipment {
                doc: order.number.clone(),
                id: shipment.id.to_string(),
                cancelled: false,
                lines: allocation.lines.iter().map(|line| (sku(line.sellable), line.quantity)).collect(),
                carrier: shipment.carrier.clone(),
                tracking: shipment.tracking.iter().map(|number| number.trim().to_owned()).collect(),
                shipped_at: moment(shipment.at),
            })
        };
        all.filter_map(shown).collect()
    }
}

/// Whether an allocation waits for somebody.
fn waits(allocation: &Allocation) -> bool {
    allocation.shipment.as_ref().is_none_or(|shipment| shipment.tracking_later.is_some())
}

fn can_move(order: &Order) -> bool {
    order.paid && !order.cancelled && order.merged_to.is_none() && order.allocations.iter().any(waits)
}

/// Whether something of an order is still to come back: by the seed and the order alone.
fn comes_back(order: &Order, mischief: &Mischief) -> bool {
    let left = order.paid && !order.cancelled && order.merged_to.is_none() && order.status() == "shipped" && !can_move(order);
    left && mischief.pick("return", order.id, 10) == 0 && order.returns.first().is_none_or(|one| one.received.is_none())
}

/// Milliseconds since 1970 as a point in time.
fn moment(millis: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

impl Inner {
    fn now(&self) -> i64 {
        self.mischief.now().as_millisecond()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn blame(&self, what: String) {
        self.violations.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    /// Whether another request fits in the bucket.
    fn fits(&self) -> bool {
        if !self.options.limits {
            return true;
        }
        let now = self.now();
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let (level, at) = *bucket;
        let level = (level - (now - at).max(0) * DRAIN).max(0);
        let fits = level + 1_000 <= BUCKET * 1_000;
        *bucket = (if fits { level + 1_000 } else { level }, now);
        fits
    }

    /// Takes as much of each line as is free from the warehouses in their ranking.
    fn allocate(&self, state: &State, order: &mut Order, now: i64) {
        if !order.paid {
            return;
        }
        for (warehouse, name) in self.options.warehouses.iter().enumerate() {
            let mut lines: Vec<Line> = Vec::new();
            for line in &order.lines {
                let (physical, reserved) = state.levels(line.sellable, warehouse, name);
                let endless = state.sellables.get(&line.sellable).is_some_and(|one| one.infinite.contains(name));
                let free = if endless { i64::MAX } else { physical - reserved };
                let wanted = order.unallocated(line.sellable)
                    - lines.iter().filter(|l| l.sellable == line.sellable).map(|l| l.quantity).sum::<i64>();
                let taken = wanted.min(line.quantity).min(free).max(0);
                if taken > 0 {
                    lines.push(Line { sellable: line.sellable, quantity: taken });
                }
            }
            if !lines.is_empty() {
                // No id comes twice, whatever was deleted.
                let id = order.id * 10 + order.allocated;
                order.allocated += 1;
                order.allocations.push(Allocation { id, warehouse, lines, shipment: None, updated: now });
            }
        }
    }
}

async fn serve(Shared(veeqo): Shared<Veeqo>, request: Request) -> Response {
    let inner = &veeqo.0;
    inner.calls.fetch_add(1, Ordering::Relaxed);
    let (parts, body) = request.into_parts();
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let Ok(bytes): Result<Bytes, _> = axum::body::to_bytes(body, 8 << 20).await else {
        return refuse(StatusCode::BAD_REQUEST, "The request is too large");
    };
    let known = text("x-api-key") == inner.key || text("authorization") == format!("Bearer {}", inner.key);
    if !known || inner.options.unpaid {
        return refuse(StatusCode::UNAUTHORIZED, "Invalid API key");
    }
    if !inner.fits() {
        return VeeqoTongue.throttled(None);
    }
    let body = match bytes.is_empty() {
        true => Value::Null,
        false => match serde_json::from_slice(&bytes) {
            Ok(value) => value,
            Err(_) => return refuse(StatusCode::BAD_REQUEST, "The request is no JSON"),
        },
    };
    let writes = parts.method != Method::GET;
    let mut fate = inner.mischief.next(writes);
    if writes && inner.to_lose.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
        fate.fault = mischief::Fault::ServerErrorAfter;
    }
    let now = inner.mischief.now();
    let query: Vec<(String, String)> =
        url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    mischief::answer(fate, now, &VeeqoTongue, async {
        requests::answer(inner, &parts.method, parts.uri.path(), &query, &body).unwrap_or_else(|fault| {
            tracing::error!(%fault, "the simulated Veeqo cannot keep its journal");
            VeeqoTongue.server_error()
        })
    })
    .await
}
