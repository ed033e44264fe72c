//! A stand-in for Linnworks: sessions, orders with their identity rules, splits and parcels, stock, limits per method.
//!
//! Written from the vendor's specification and help pages. What is not simulated answers 404 and is remembered.

mod floor;
pub use floor::s10;
mod inventory;
mod items;
mod levels;
mod orders;
mod rmas;
mod spec;
mod state;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::mischief::{self, Mischief, Tongue, hash_text, mix};
use crate::shelf::{Item, ShelfOrder, ShelfShipment};

use state::State;
pub use state::{BookedLine, Booking};

/// How the account is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its locations; the first is the default one.
    pub locations: Vec<String>,
    /// Its shipping services.
    pub services: Vec<String>,
    /// Seconds that a session lives after its last call.
    pub ttl: i64,
    /// Whether the limits per method are kept.
    pub limits: bool,
    /// How many of a thousand orders are split in parts of which one is never picked.
    pub short_share: u32,
    /// How many of a thousand shipments have a tracking number with a wrong check digit.
    pub bad_tracking_share: u32,
    /// Locations that somebody else ships from: orders there are parked when they come.
    pub centres: Vec<String>,
    /// Locations whose stock is kept by bin.
    pub managed: Vec<String>,
    /// Methods that the installing user may not call (`Stock/SetStockLevel`): 401, also for a new session.
    pub denied: Vec<String>,
    /// Whether composites are taken out of a page of items after it was cut, so that it may be short in the middle.
    pub thin_pages: bool,
    /// Whether a new item gets another id than the one that it was entered under.
    pub ids_of_its_own: bool,
    /// Whether goods come back: what is booked, and some that its own people book.
    pub returns: bool,
    /// Characters of a title; the rest is cut off without a word.
    pub title_chars_max: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            locations: vec!["Default".to_owned(), "Overflow".to_owned()],
            services: ["Royal Mail Tracked 48", "Royal Mail Tracked 24", "International Tracked"].map(str::to_owned).to_vec(),
            ttl: 1_800,
            limits: false,
            short_share: 0,
            bad_tracking_share: 0,
            centres: Vec::new(),
            managed: Vec::new(),
            denied: Vec::new(),
            thin_pages: false,
            ids_of_its_own: false,
            returns: false,
            title_chars_max: 255,
        }
    }
}

/// All that somebody needs to connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// The application's id.
    pub application_id: String,
    /// Its secret.
    pub application_secret: String,
    /// The installation token.
    pub token: String,
    /// The name of the location that ships.
    pub location: String,
    /// The shipping services.
    pub services: Vec<String>,
}

/// An item as the account keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShelfItem {
    /// Its id.
    pub id: String,
    /// Title, weight, barcode, stock and parts.
    pub item: Item,
    /// Whether it is archived.
    pub archived: bool,
    /// Extended properties: name and value.
    pub properties: Vec<(String, String)>,
}

/// What somebody does to an order in the account, behind the back of whoever entered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// It is cancelled, shipped or not.
    Cancel,
    /// It is parked.
    Park,
    /// It is locked.
    Lock,
    /// It leaves as it is, without a tracking number.
    Process,
    /// A unit of its first line leaves; the order stays open.
    ShipPart,
    /// Its lines lose the items behind them.
    Unlink,
    /// Its currency is no longer known.
    LoseCurrency,
    /// A unit of its last line becomes an order of its own.
    Split,
    /// It is entered once more, to be sent once more.
    Resend,
    /// Its parcels cannot be shown any more.
    BreakParcels,
    /// They can again.
    MendParcels,
}

/// The account. Cheap to clone.
#[derive(Clone)]
pub struct Linnworks(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    /// Session token to the millisecond of its end.
    sessions: Mutex<BTreeMap<String, i64>>,
    calls_at: Mutex<BTreeMap<&'static str, VecDeque<i64>>>,
    /// Search tokens to the last order of their page: when it changed, and its number.
    searches: Mutex<BTreeMap<String, (i64, i64)>>,
    violations: Mutex<Vec<String>>,
    mischief: Mischief,
    options: Options,
    seed: u64,
    logins: AtomicU64,
    calls: AtomicU64,
    /// Whether nobody enters tracking numbers.
    untold: AtomicBool,
}

/// A call that may be answered.
struct Asked<'a> {
    query: Vec<(String, String)>,
    body: &'a Value,
}

impl Asked<'_> {
    fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// The methods: path, whether it is a POST, what its body is by the specification, calls a minute, whether it writes.
const METHODS: &[(&str, bool, Option<&str>, usize, bool)] = &[
    ("/api/Main/Ping", false, None, 250, false),
    ("/api/Orders/CreateOrders", true, Some("Orders_CreateOrdersRequest"), 150, true),
    ("/api/Orders/CancelOrder", true, Some("Orders_CancelOrderRequest"), 150, true),
    ("/api/Orders/GetOrderDetailsByReferenceId", false, None, 250, false),
    ("/api/ProcessedOrders/GetPackageSplit", false, None, 150, false),
    ("/api/ReturnsRefunds/CreateRMABooking", true, Some("ReturnsRefunds_CreateRMABookingRequest"), 150, true),
    ("/api/ReturnsRefunds/GetActionableRMAHeaders", true, Some("ReturnsRefunds_GetActionableRMAHeadersRequest"), 150, false),
    (
        "/api/ReturnsRefunds/GetProcessedOrAckedErrorRMAHeaders",
        true,
        Some("ReturnsRefunds_GetProcessedOrAckedErrorRMAHeadersRequest"),
        150,
        false,
    ),
    ("/v2/orders", false, None, 150, false),
    ("/api/PostalServices/GetPostalServices", false, None, 150, false),
    ("/api/Inventory/GetStockLocations", false, None, 150, false),
    ("/api/Inventory/GetInventoryItemById", false, None, 250, false),
    ("/api/Inventory/GetInventoryItemsCount", false, None, 150, false),
    ("/api/Inventory/GetInventoryItemCompositions", false, None, 250, false),
    (
        "/api/Inventory/GetInventoryItemsCompositionByIds",
        true,
        Some("Inventory_GetInventoryItemsCompositionByIdsRequest"),
        250,
        false,
    ),
    ("/api/Inventory/GetStockItemIdsBySKU", true, Some("Inventory_GetStockItemIdsBySKURequest"), 250, false),
    ("/api/Inventory/AddInventoryItem", true, Some("Inventory_AddInventoryItemRequest"), 150, true),
    ("/api/Inventory/UpdateInventoryItem", true, Some("Inventory_UpdateInventoryItemRequest"), 250, true),
    ("/api/Inventory/UpdateInventoryItemField", true, Some("Inventory_UpdateInventoryItemFieldRequest"), 250, true),
    ("/api/Inventory/ArchiveInventoryItems", true, Some("Inventory_ArchiveInventoryItemsRequest"), 150, true),
    ("/api/Inventory/UnarchiveInventoryItems", true, Some("Inventory_UnarchiveInventoryItemsRequest"), 150, true),
    ("/api/Inventory/CreateInventoryItemCompositions", true, Some("Inventory_CreateInventoryItemCompositionsRequest"), 150, true),
    ("/api/Inventory/UpdateInventoryItemCompositions", true, Some("Inventory_UpdateInventoryItemCompositionsRequest"), 150, true),
    ("/api/Inventory/DeleteInventoryItemCompositions", true, Some("Inventory_DeleteInventoryItemCompositionsRequest"), 150, true),
    (
        "/api/Inventory/GetInventoryItemExtendedProperties",
        true,
        Some("Inventory_GetInventoryItemExtendedPropertiesRequest"),
        250,
        false,
    ),
    (
        "/api/Inventory/CreateInventoryItemExtendedProperties",
        true,
        Some("Inventory_CreateInventoryItemExtendedPropertiesRequest"),
        250,
        true,
    ),
    (
        "/api/Inventory/UpdateInventoryItemExtendedProperties",
        true,
        Some("Inventory_UpdateInventoryItemExtendedPropertiesRequest"),
        150,
        true,
    ),
    (
        "/api/Inventory/DeleteInventoryItemExtendedProperties",
        true,
        Some("Inventory_DeleteInventoryItemExtendedPropertiesRequest"),
        250,
        true,
    ),
    ("/api/Stock/GetStockItemsFull", true, Some("Stock_GetStockItemsFullRequest"), 150, false),
    ("/api/Stock/GetStockItemsFullByIds", true, Some("Stock_GetStockItemsFullByIdsRequest"), 250, false),
    ("/api/Stock/GetStockItemTypeInfo", true, Some("GetStockItemTypeInfoRequest"), 150, false),
    ("/api/Stock/GetStockLevel_Batch", true, Some("Stock_GetStockLevel_BatchRequest"), 250, false),
    ("/api/Stock/SetStockLevel", true, Some("Stock_SetStockLevelRequest"), 250, true),
    ("/api/Stock/UpdateStockLevelsBySKU", true, Some("Stock_UpdateStockLevelsBySKURequest"), 150, true),
    ("/api/Stock/UpdateStockLevelsBulk", true, Some("UpdateStockLevelsBulkRequest"), 150, true),
];

/// What each GET takes in its query; whether a value is a uuid.
const QUERIES: &[(&str, &[(&str, bool)])] = &[
    ("/api/Main/Ping", &[]),
    ("/api/Orders/GetOrderDetailsByReferenceId", &[("ReferenceId", false)]),
    ("/api/ProcessedOrders/GetPackageSplit", &[("pkOrderId", true)]),
    (
        "/v2/orders",
        &[
            ("id", true),
            ("fromDate", false),
            ("entriesPerPage", false),
            ("includeProcessed", false),
            ("onlyPaid", false),
            ("locationId", true),
            ("searchToken", true),
        ],
    ),
    ("/api/PostalServices/GetPostalServices", &[]),
    ("/api/Inventory/GetStockLocations", &[]),
    ("/api/Inventory/GetInventoryItemById", &[("id", true)]),
    ("/api/Inventory/GetInventoryItemsCount", &[("includeDeleted", false), ("includeArchived", false)]),
    ("/api/Inventory/GetInventoryItemCompositions", &[("inventoryItemId", true), ("getFullDetail", false)]),
];

/// What a query has that the specification does not know.
fn strange_query(path: &str, query: &[(String, String)]) -> Vec<String> {
    let known = QUERIES.iter().find(|(name, _)| *name == path).map_or(&[][..], |(_, known)| known);
    let strange = |(name, value): &(String, String)| match known.iter().find(|(known, _)| known == name) {
        None => Some(format!("{name}: the query has no parameter of this name")),
        Some((_, true)) if uuid::Uuid::parse_str(value).is_err() => Some(format!("{name}: {value} is no uuid")),
        Some(_) => None,
    };
    query.iter().filter_map(strange).collect()
}

fn respond(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(axum::body::Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

fn ok(body: &Value) -> Response {
    respond(StatusCode::OK, body)
}

fn nothing() -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

fn refuse(status: StatusCode, message: &str) -> Response {
    respond(status, &json!({ "Code": "-", "Message": message }))
}

fn bad(message: &str) -> Response {
    refuse(StatusCode::BAD_REQUEST, message)
}

struct LinnworksTongue;

impl Tongue for LinnworksTongue {
    fn throttled(&self, retry_after: Option<String>) -> Response {
        let mut response = refuse(StatusCode::TOO_MANY_REQUESTS, "API calls quota exceeded");
        if let Some(value) = retry_after.and_then(|text| HeaderValue::from_str(&text).ok()) {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }

    fn server_error(&self) -> Response {
        refuse(StatusCode::INTERNAL_SERVER_ERROR, "An error occurred while processing the request")
    }

    /// There is no 200 that stands for a failure of any call; a page of the load balancer comes closest.
    fn error_in_200(&self) -> Response {
        Response::new(axum::body::Body::from("<html><body>We will be back soon</body></html>"))
    }
}

impl Linnworks {
    /// Opens the account, with what it kept under `folder`.
    /// Errors when the journal cannot be used or belongs to another world.
    pub fn open(
        seed: u64,
        identity: &str,
        items: Vec<Item>,
        mischief: Mischief,
        options: Options,
        folder: Option<&Path>,
    ) -> anyhow::Result<Linnworks> {
        let path = folder.map(|folder| folder.join("linnworks.jsonl"));
        let state = State::open(identity, items, path.as_deref())?;
        let mischief = mischief.run(state.starts());
        Ok(Linnworks(Arc::new(Inner {
            state: Mutex::new(state),
            sessions: Mutex::default(),
            calls_at: Mutex::default(),
            searches: Mutex::default(),
            violations: Mutex::default(),
            mischief,
            options,
            seed,
            logins: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            untold: AtomicBool::new(false),
        })))
    }

    /// From now on nobody enters the tracking numbers of what leaves, or those that are missing are entered.
    pub fn withhold_tracking(&self, withheld: bool) {
        self.0.untold.store(withheld, Ordering::Relaxed);
    }

    /// How to connect; the address is the server's.
    pub fn access(&self) -> Access {
        let of = |salt: &str| state::uuid_of(salt, self.0.seed);
        Access {
            application_id: of("application"),
            application_secret: of("secret"),
            token: of("installation"),
            location: self.0.options.locations.first().cloned().unwrap_or_default(),
            services: self.0.options.services.clone(),
        }
    }

    /// The routes: every path is looked up in the table of methods.
    pub fn router(&self) -> Router {
        Router::new().fallback(serve).with_state(self.clone())
    }

    /// The warehouse does one thing to each open order. Returns how many things happened.
    /// Errors when the journal cannot be written.
    pub fn step(&self) -> anyhow::Result<usize> {
        let now = self.0.now();
        let mut state = self.0.state();
        let tells = !self.0.untold.load(Ordering::Relaxed);
        let mut done = floor::step(&mut state, &self.0.mischief, &self.0.options, tells, now)?;
        if self.0.options.returns {
            done += rmas::step(&mut state, &self.0.mischief, now)?;
        }
        Ok(done)
    }

    /// What no client may send.
    pub fn violations(&self) -> Vec<String> {
        self.0.violations.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Requests answered or lost so far.
    pub fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::Relaxed)
    }

    /// Sessions opened so far.
    pub fn logins(&self) -> u64 {
        self.0.logins.load(Ordering::Relaxed)
    }

    /// Whether nothing is left to pick.
    pub fn is_done(&self) -> bool {
        let state = self.0.state();
        state.orders.values().all(|order| !order.is_open() && order.tracking_later.is_empty())
            && !(self.0.options.returns && rmas::awaits(&state))
    }

    /// All orders as they stand. The parts of a split order are one each.
    pub fn orders(&self) -> Vec<ShelfOrder> {
        let shown = |order: &state::Order| ShelfOrder {
            doc: order.reference.clone(),
            id: order.number.to_string(),
            cancelled: order.cancelled,
            service: order.service.clone(),
            warehouse: order.location.clone(),
            lines: order.lines.iter().map(|line| (line.sku.clone(), line.quantity)).collect(),
        };
        self.0.state().orders.values().map(shown).collect()
    }

    /// What left.
    pub fn shipments(&self) -> Vec<ShelfShipment> {
        let shown = |order: &state::Order| {
            let at = order.processed.filter(|_| !order.cancelled)?;
            Some(ShelfShipment {
                doc: order.reference.clone(),
                id: order.number.to_string(),
                cancelled: false,
                lines: order.lines.iter().map(|line| (line.sku.clone(), line.quantity)).collect(),
                carrier: order.vendor.clone(),
                tracking: order.tracking.clone(),
                shipped_at: crate::linnworks::moment(at),
            })
        };
        self.0.state().orders.values().filter_map(shown).collect()
    }

    /// All items as they stand: each with its id, whether it is archived, and its extended properties.
    pub fn items(&self) -> Vec<ShelfItem> {
        let shown = |stocked: &state::Stocked| ShelfItem {
            id: stocked.id.clone(),
            item: stocked.item.clone(),
            archived: stocked.archived,
            properties: stocked.properties.iter().map(|kept| (kept.name.clone(), kept.value.clone())).collect(),
        };
        self.0.state().items.values().map(shown).collect()
    }

    /// Somebody changes an item's title, weight, barcode, stock or parts there.
    /// Errors when there is no such item or the journal cannot be written.
    pub fn meddle_item(&self, sku: &str, change: impl FnOnce(&mut Item)) -> anyhow::Result<()> {
        self.meddle_stocked(sku, |stocked| change(&mut stocked.item))
    }

    /// Somebody archives an item there, or takes it back.
    /// Errors when there is no such item or the journal cannot be written.
    pub fn meddle_archive(&self, sku: &str, archived: bool) -> anyhow::Result<()> {
        self.meddle_stocked(sku, |stocked| stocked.archived = archived)
    }

    /// Somebody has an item kept by batch from now on.
    /// Errors when there is no such item or the journal cannot be written.
    pub fn meddle_batches(&self, sku: &str) -> anyhow::Result<()> {
        self.meddle_stocked(sku, |stocked| stocked.batched = true)
    }

    /// Somebody writes an extended property there: one more row, whatever rows there are.
    /// Errors when there is no such item or the journal cannot be written.
    pub fn meddle_property(&self, sku: &str, name: &str, value: &str) -> anyhow::Result<()> {
        self.meddle_stocked(sku, |stocked| {
            let row = state::uuid_of("by hand", hash_text(value) ^ hash_text(name));
            let (name, value, kind) = (name.to_owned(), value.to_owned(), "Attribute".to_owned());
            stocked.properties.push(state::Property { row, name, value, kind });
        })
    }

    fn meddle_stocked(&self, sku: &str, change: impl FnOnce(&mut state::Stocked)) -> anyhow::Result<()> {
        let mut state = self.0.state();
        let Some(mut stocked) = state.items.get(sku).cloned() else { anyhow::bail!("there is no item {sku}") };
        change(&mut stocked);
        state.put_item(stocked)
    }

    /// Somebody does something to each booking of an order there.
    /// Errors when there is none or the journal cannot be written.
    pub fn meddle_booking(&self, reference: &str, change: impl Fn(&mut Booking)) -> anyhow::Result<()> {
        let mut state = self.0.state();
        let orders: Vec<String> = state.referenced(reference).into_iter().map(|order| order.id.clone()).collect();
        let found: Vec<Booking> = state.bookings.values().filter(|one| orders.contains(&one.order)).cloned().collect();
        anyhow::ensure!(!found.is_empty(), "nothing of order {reference} is booked to come back");
        for mut one in found {
            change(&mut one);
            state.put_booking(one)?;
        }
        Ok(())
    }

    /// What came back, one row per line: `booking,order,reference,sku,received,scrapped,reason`, by booking.
    pub fn returns_csv(&self) -> String {
        rmas::csv(&self.0.state())
    }

    /// Every session ends now.
    pub fn end_sessions(&self) {
        self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Every search token is forgotten.
    pub fn end_searches(&self) {
        self.0.searches.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Somebody does something to an order there. Of an order that was split, each part is meant.
    /// Errors when there is no such order or the journal cannot be written.
    pub fn meddle_order(&self, reference: &str, deed: Deed) -> anyhow::Result<()> {
        let mut state = self.0.state();
        let found: Vec<state::Order> = state.referenced(reference).into_iter().cloned().collect();
        anyhow::ensure!(!found.is_empty(), "there is no order {reference}");
        let now = self.0.now();
        for mut order in found {
            order.updated = now;
            match deed {
                Deed::Cancel => {
                    order.cancelled = true;
                    order.processed = Some(order.processed.unwrap_or(now));
                }
                Deed::Park => order.parked = true,
                Deed::Lock => order.locked = true,
                Deed::Process => order.processed = Some(now),
                Deed::ShipPart => {
                    if let Some(line) = order.lines.first_mut() {
                        line.part_shipped += 1;
                    }
                }
                Deed::Unlink => order.lines.iter_mut().for_each(|line| line.unlinked = true),
                Deed::LoseCurrency => "UNK".clone_into(&mut order.currency),
                Deed::BreakParcels => order.parcels_broken = true,
                Deed::MendParcels => order.parcels_broken = false,
                Deed::Split => {
                    floor::split(&mut state, order, now)?;
                    continue;
                }
                Deed::Resend => {
                    let number = state.next_number();
                    let id = state::uuid_of("order", number.unsigned_abs());
                    let (processed, tracking) = (None, Vec::new());
                    let copy = state::Order { id, number, processed, tracking, resend: true, split: true, ..order.clone() };
                    state.put(copy)?;
                }
            }
            state.put(order)?;
        }
        Ok(())
    }
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

    fn log_in(&self, body: &Value, host: &str) -> Response {
        let wanted = Linnworks::access_of(self.seed);
        let same = |name: &str, value: &str| body[name].as_str() == Some(value);
        if !same("ApplicationId", &wanted.0) || !same("ApplicationSecret", &wanted.1) {
            return refuse(StatusCode::UNAUTHORIZED, "Application id or secret is not valid");
        }
        if !same("Token", &wanted.2) {
            return refuse(StatusCode::UNAUTHORIZED, "Token has been revoked");
        }
        let number = self.logins.fetch_add(1, Ordering::Relaxed);
        let token = state::uuid_of("session", mix(self.seed ^ self.calls.load(Ordering::Relaxed)) ^ number);
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.insert(token.clone(), self.now() + self.options.ttl * 1_000);
        ok(&json!({
            "Id": state::uuid_of("user", self.seed), "EntityId": state::uuid_of("entity", self.seed), "DatabaseName": "sim",
            "UserName": "someone@example.test", "Locality": "EU", "Token": token, "Server": format!("http://{host}"),
            "TTL": self.options.ttl, "Status": { "State": "AVAILABLE", "Reason": "", "Parameters": {} },
        }))
    }

    /// A session lives on with every call.
    fn renew(&self, token: &str) -> bool {
        let now = self.now();
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        match sessions.get_mut(token).filter(|end| **end > now) {
            Some(end) => {
                *end = now + self.options.ttl * 1_000;
                true
            }
            None => false,
        }
    }

    fn within_limit(&self, method: &'static str, a_minute: usize) -> bool {
        if !self.options.limits {
            return true;
        }
        let now = self.now();
        let mut calls = self.calls_at.lock().unwrap_or_else(PoisonError::into_inner);
        let last = calls.entry(method).or_default();
        while last.front().is_some_and(|at| *at + 60_000 <= now) {
            last.pop_front();
        }
        if last.len() >= a_minute {
            return false;
        }
        last.push_back(now);
        true
    }
}

impl Linnworks {
    fn access_of(seed: u64) -> (String, String, String) {
        (state::uuid_of("application", seed), state::uuid_of("secret", seed), state::uuid_of("installation", seed))
    }
}

/// A body as JSON: JSON as it is, or a form whose values are JSON texts (or plain ones).
fn read_body(content_type: &str, bytes: &Bytes) -> Option<Value> {
    if bytes.is_empty() {
        return Some(Value::Null);
    }
    if !content_type.starts_with("application/x-www-form-urlencoded") {
        return serde_json::from_slice(bytes).ok();
    }
    let form: Vec<(String, String)> = url::form_urlencoded::parse(bytes).into_owned().collect();
    if let [(name, text)] = form.as_slice()
        && name == "request"
        && let Ok(value) = serde_json::from_str(text)
    {
        return Some(value);
    }
    let value = |text: String| serde_json::from_str(&text).unwrap_or(Value::String(text));
    Some(Value::Object(form.into_iter().map(|(name, text)| (name, value(text))).collect()))
}

async fn serve(Shared(linnworks): Shared<Linnworks>, request: Request) -> Response {
    let inner = &linnworks.0;
    inner.calls.fetch_add(1, Ordering::Relaxed);
    let (parts, body) = request.into_parts();
    let text =
        |name: header::HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let Ok(bytes) = axum::body::to_bytes(body, 8 << 20).await else { return bad("The request is too large") };
    let path = parts.uri.path().to_owned();
    let Some(body) = read_body(&text(header::CONTENT_TYPE), &bytes) else { return bad("The request is no JSON") };
    let now = inner.mischief.now();
    if path == "/api/Auth/AuthorizeByApplication" && parts.method == Method::POST {
        let fate = inner.mischief.next(false);
        let host = text(header::HOST);
        return mischief::answer(fate, now, &LinnworksTongue, async { inner.log_in(&body, &host) }).await;
    }
    let Some((method, post, object, limit, writes)) = METHODS.iter().find(|(known, ..)| *known == path).copied() else {
        inner.blame(format!("{} {path} is no method that is simulated", parts.method));
        return refuse(StatusCode::NOT_FOUND, "No HTTP resource was found that matches the request URI");
    };
    if (parts.method == Method::POST) != post {
        inner.blame(format!("{path} was called with {}", parts.method));
        return refuse(StatusCode::METHOD_NOT_ALLOWED, "The requested resource does not support this method");
    }
    // The token stands alone, without a word before it.
    if !inner.renew(&text(header::AUTHORIZATION)) {
        return refuse(StatusCode::UNAUTHORIZED, "Session has expired");
    }
    if !inner.within_limit(method, limit) {
        return LinnworksTongue.throttled(Some("5".to_owned()));
    }
    if inner.options.denied.iter().any(|denied| path.ends_with(denied.as_str())) {
        return refuse(StatusCode::UNAUTHORIZED, "User does not have permission to call this method");
    }
    if let Some(object) = object {
        let mut found = Vec::new();
        spec::check(object, &body, "", &mut found);
        if let Some(first) = found.first().cloned() {
            found.into_iter().for_each(|one| inner.blame(format!("{path}: {one}")));
            return bad(&format!("The request is invalid: {first}"));
        }
    }
    let query: Vec<(String, String)> =
        url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let strange = strange_query(&path, &query);
    if let Some(first) = strange.first().cloned() {
        strange.into_iter().for_each(|one| inner.blame(format!("{path}: {one}")));
        return bad(&format!("The request is invalid: {first}"));
    }
    let fate = inner.mischief.next(writes);
    mischief::answer(fate, now, &LinnworksTongue, async {
        let asked = Asked { query, body: &body };
        inner.answer(method, &asked)
    })
    .await
}

impl Inner {
    fn answer(&self, method: &str, asked: &Asked<'_>) -> Response {
        let done = match method {
            "/api/Main/Ping" => Ok(ok(&json!(self.now()))),
            "/api/Orders/CreateOrders" => orders::create(self, asked),
            "/api/Orders/CancelOrder" => orders::cancel(self, asked),
            "/api/Orders/GetOrderDetailsByReferenceId" => Ok(orders::by_reference(self, asked)),
            "/api/ProcessedOrders/GetPackageSplit" => Ok(orders::packages(self, asked)),
            "/v2/orders" => Ok(orders::changed(self, asked)),
            "/api/ReturnsRefunds/CreateRMABooking" => rmas::create(self, asked),
            "/api/ReturnsRefunds/GetActionableRMAHeaders" => Ok(rmas::list(self, asked, false)),
            "/api/ReturnsRefunds/GetProcessedOrAckedErrorRMAHeaders" => Ok(rmas::list(self, asked, true)),
            _ => inventory::answer(self, method, asked),
        };
        done.unwrap_or_else(|fault| {
            tracing::error!(%fault, "the simulated Linnworks cannot keep its journal");
            LinnworksTongue.server_error()
        })
    }

    /// A location by its name: (name, id). The default one has the nil uuid.
    fn location(&self, name: &str) -> Option<(String, String)> {
        let at = self.options.locations.iter().position(|known| known == name)?;
        Some((name.to_owned(), location_id(at)))
    }
}

/// The id of the location at an index.
fn location_id(at: usize) -> String {
    if at == 0 {
        "00000000-0000-0000-0000-000000000000".to_owned()
    } else {
        state::uuid_of("location", hash_text(&at.to_string()))
    }
}
