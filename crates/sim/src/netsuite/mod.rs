//! A stand-in for NetSuite: its REST record service, SuiteQL and both ways to log in, for the flow of orders.
//!
//! It keeps sales orders, cash sales, customers, item fulfilments, return authorizations, item receipts, credit memos, customer
//! refunds, inventory adjustments, inventory items and kits; subsidiaries, currencies, locations, tax codes, accounts and so on are fixed lists with ids by rule ([`seed_ids`], [`tax_code_id`], [`guest_customer_id`]). What it imitates:
//!
//! * `externalId` is unique over all transactions, and over all entities.
//! * `PUT .../eid:` merges: lines without their `line` are added, unless `replace=item`.
//! * Line numbers are sparse; ids rise with gaps; some quantities come back as texts.
//! * A line whose price level is not `-1` gets the list price, whatever was sent.
//! * Unknown names are a warning in a header, or an error under `X-NetSuite-PropertyNameValidation: Error`.
//! * Tax by the regime in [`Options::tax`]; totals are computed, never taken.
//! * At most [`Options::concurrency`] requests at once; others get 429.
//! * Approved orders commit stock; what is not there is back ordered. SuiteQL and the lines of an order tell of it,
//!   and a script of the account says what moved ([`PushTarget`]); it does not hear of imports.
//!
//! * A sales order becomes item fulfilments, in parts, kits with their members; without Advanced Shipping they bill as well.
//! * What was fulfilled becomes a return authorization, that becomes item receipts and credit memos, and a memo's money goes back by
//!   customer refunds; nothing that posts is dated in a closed period.
//!
//! Not here: asynchronous requests, batches, other transforms (cash refunds, invoices), `q` filters. They are refused with a
//! clear text; units come and go by [`NetSuite::move_stock`] and [`NetSuite::fulfil`].
//!
//! Source: the vendor's help center, "SuiteTalk REST Web Services", and its REST API Browser 2026.1.

mod auth;
mod errors;
mod fields;
mod fixed;
mod fulfilments;
mod items;
mod json;
mod periods;
mod push;
mod read;
mod records;
mod returns;
mod seed;
mod standing;
mod state;
mod stock;
mod suiteql;
mod tax;
mod wrong;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use jiff::tz::TimeZone;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::journal::Journal;
use crate::mischief::{self, Fault, Mischief, Profile};
use auth::{Auth, Signed, TOKEN_PATH};
use errors::{At, Refusal, Words};
use fixed::Fixed;
use push::Pushes;
use read::{List, View};
use records::{Desk, Names};
use seed::Items;
use state::{Customer, Kind, Movement, State, Tran};
use stock::Stock;
use suiteql::Cell;

pub use auth::Access;
pub use push::PushTarget;
pub use seed::{Goods, KitSeed, OpeningStock, SeedIds, guest_customer_id, seed_ids, tax_code_id, tax_type_id};
pub(crate) use standing::{Credit, Document, Entry, Parcel, Part, Place, Receipt, Standing};
pub use tax::TaxRounding;
pub(crate) use wrong::{Behind, Policy, Way};

/// How the account taxes. Only one of these is ever in force, and the fields of a document depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaxRegime {
    /// SuiteTax; documents may bring their own tax details (`taxDetailsOverride`).
    #[default]
    SuiteTaxOverride,
    /// SuiteTax; the role may not override, the engine computes.
    SuiteTaxEngine,
    /// Legacy tax, rounded per line.
    LegacyLine,
    /// Legacy tax, rounded per transaction and tax code.
    LegacyTransaction,
    /// No tax features.
    None,
}

impl TaxRegime {
    fn is_suite_tax(self) -> bool {
        matches!(self, TaxRegime::SuiteTaxOverride | TaxRegime::SuiteTaxEngine)
    }
}

/// How the account is set up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Account id in its realm form.
    pub account: String,
    /// How it taxes.
    pub tax: TaxRegime,
    /// Where the SuiteTax engine rounds. The legacy regimes say it themselves.
    pub tax_rounding: TaxRounding,
    /// How many requests may run at once, account-wide.
    pub concurrency: usize,
    /// Whether the 429 for too many says when to come back.
    pub retry_after: bool,
    /// Time zone in which SuiteQL shows and reads timestamps (IANA name).
    pub session_zone: String,
    /// Whether there are subsidiaries.
    pub one_world: bool,
    /// Whether orders are approved from the start when they do not say.
    pub auto_approve: bool,
    /// An account before release 2026.1: `grossAmt` is ignored.
    pub before_2026_1: bool,
    /// Accounting periods before this day are closed: nothing that posts may be dated earlier.
    pub closed_before: Option<jiff::civil::Date>,
    /// Custom fields that exist, such as `custbody_shop`.
    pub custom_fields: Vec<String>,
    /// A role that may view only. Reading loads a record for editing, so even that is refused.
    pub view_only: bool,
    /// Whether other users and scripts change documents after they are saved (under a fault profile only).
    pub meddling: bool,
    /// Whether SuiteQL knows the column `lastquantityavailablechange`; not every account's does.
    pub stock_change_time: bool,
    /// How long after it was saved an order is committed, in milliseconds: some accounts leave it to a job.
    pub commit_delay_ms: u32,
    /// Whether Advanced Shipping is on. Without it a fulfilment bills as well: here, the order is billed with the last of them.
    pub advanced_shipping: bool,
    /// Whether no more may be fulfilled than is committed.
    pub limit_to_committed: bool,
    /// Whether the accounting preferences name the accounts of new items.
    pub default_accounts: bool,
    /// Whether a credit memo without a return puts its items on the shelf.
    pub memo_moves_stock: bool,
    /// Whether a return may be credited before it was received.
    pub credit_in_advance: bool,
    /// Whether a line of an item receipt takes `restock`.
    pub restock_field: bool,
    /// How long after it was saved what is committed of an order is handed over by itself, in milliseconds; what is
    /// not there is tried again after as long. `None`: never.
    pub fulfil_after_ms: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            account: "1234567_SB1".into(),
            tax: TaxRegime::default(),
            tax_rounding: TaxRounding::default(),
            concurrency: 5,
            retry_after: false,
            session_zone: "America/Los_Angeles".into(),
            one_world: true,
            auto_approve: true,
            before_2026_1: false,
            closed_before: None,
            custom_fields: Vec::new(),
            view_only: false,
            meddling: true,
            stock_change_time: true,
            commit_delay_ms: 0,
            fulfil_after_ms: None,
            advanced_shipping: true,
            limit_to_committed: false,
            default_accounts: false,
            memo_moves_stock: true,
            credit_in_advance: true,
            restock_field: true,
        }
    }
}

/// The figures of an item at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Physically there, promised units included.
    pub on_hand: i64,
    /// Promised and there.
    pub committed: i64,
    /// Promised and not there.
    pub back_ordered: i64,
    /// On hand less committed, never below nought.
    pub available: i64,
}

impl Level {
    /// What is left when every promise is kept; below nought when more is promised than is there.
    pub fn net(&self) -> i64 {
        self.on_hand.saturating_sub(self.committed).saturating_sub(self.back_ordered)
    }
}

/// How a movement came to be in the account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Entered {
    /// As a transaction: the script hears of it.
    #[default]
    AsTransaction,
    /// By a CSV import, which the script's deployment leaves out.
    ByImport,
}

/// A running account: serve its router.
pub struct NetSuite {
    /// All its endpoints.
    pub router: Router,
    /// How to get in.
    pub access: Access,
    account: Arc<Account>,
    living: tokio::task::JoinHandle<()>,
}

impl Drop for NetSuite {
    fn drop(&mut self) {
        self.living.abort();
    }
}

struct Account {
    options: Options,
    auth: Auth,
    mischief: Arc<Mischief>,
    zone: TimeZone,
    state: Mutex<State>,
    pushes: Arc<Pushes>,
    calls: AtomicU64,
    running: AtomicUsize,
    queries: AtomicU64,
    /// Documents as they were before somebody gave them the tax of another rate, by the number of their order.
    rightly: Mutex<std::collections::BTreeMap<String, state::Tran>>,
}

/// When what is there from the start was put there.
const OPENED: i64 = 1_262_304_000; // 2010-01-01

/// Sets up an account with these goods, one item per seed. With a journal, everything committed before is there again, under the
/// same ids, if the items are the same. Errors when the journal cannot be read or the time zone is unknown.
pub async fn build(
    options: Options,
    goods: impl Into<Goods>,
    mischief: Arc<Mischief>,
    journal: Option<PathBuf>,
) -> anyhow::Result<NetSuite> {
    let zone = TimeZone::get(&options.session_zone).context("the session zone")?;
    let goods = goods.into();
    let stock = Stock::new(Items::new(goods.items, &goods.kits), i64::from(options.commit_delay_ms));
    let mut stock = stock.moved_by_memos(options.memo_moves_stock);
    for opening in &goods.opening {
        stock.open(seed::stocked_id(opening.item), opening.location, Fixed::whole(opening.quantity), OPENED);
    }
    let mut state = State::new(stock, options.fulfil_after_ms.map(i64::from), !options.advanced_shipping);
    if let Some(path) = journal {
        let journal = Journal::open_with(&path, |entry| state.replay(entry))?;
        state.keep_in(journal);
    }
    let pushes = Arc::new(Pushes::new(Arc::clone(&mischief))?);
    let auth = Auth::new(&options.account)?;
    let access = auth.access.clone();
    let account = Arc::new(Account {
        auth,
        mischief,
        zone,
        state: Mutex::new(state),
        pushes: Arc::clone(&pushes),
        calls: AtomicU64::new(0),
        running: AtomicUsize::new(0),
        queries: AtomicU64::new(0),
        options,
        rightly: Mutex::default(),
    });
    let living = tokio::spawn(live(Arc::downgrade(&account), pushes));
    Ok(NetSuite { router: Router::new().fallback(handle).with_state(account.clone()), access, account, living })
}

/// What happens in the account by itself: orders are committed, parcels go, the script posts. The account is held only
/// while something is done, so that its journal is free as soon as nobody else has it.
async fn live(account: Weak<Account>, pushes: Arc<Pushes>) {
    loop {
        let next = match account.upgrade() {
            Some(account) => account.tick(),
            None => return,
        };
        pushes.send();
        let woken = pushes.wake.notified();
        match next {
            Some(wait) => {
                let _ = tokio::time::timeout(wait, woken).await;
            }
            None => woken.await,
        }
        tokio::time::sleep(push::GATHER).await;
    }
}

impl NetSuite {
    /// All sales orders and cash sales that are not closed and all credit memos that are not void, as CSV with the header
    /// `doc,net,tax,gross,currency,country,lines`, sorted by `doc`.
    ///
    /// `doc` is the external id without `so_` or `cs_`, else `otherRefNum`, else empty; amounts have their currency's decimal
    /// places, and those of a credit memo are below nought; `net` is all before tax (lines, discounts, shipping); `country` is that
    /// of the shipping address; `lines` counts lines of stocked items. Two documents for one order are two rows.
    pub fn documents_csv(&self) -> String {
        let state = self.account.state();
        let mut rows: Vec<[String; 7]> = state
            .trans
            .values()
            .filter(|tran| tran.kind.is_sale() && !tran.is_closed() || tran.kind == Kind::Credit && tran.status().0 != "V")
            .map(|tran| read::document_row(tran, &state.stock.items, &state.symbols))
            .collect();
        drop(state);
        rows.sort();
        let mut out = csv::Writer::from_writer(Vec::new());
        let header = ["doc", "net", "tax", "gross", "currency", "country", "lines"];
        let written = out.write_record(header).and_then(|()| rows.iter().try_for_each(|row| out.write_record(row)));
        match (written, out.into_inner()) {
            (Ok(()), Ok(bytes)) => String::from_utf8(bytes).unwrap_or_default(),
            _ => String::new(),
        }
    }

    /// What left by item fulfilments of the status Shipped, as CSV with the header `doc,shipment,sku,qty,tracking`, sorted: one row
    /// per fulfilment and item, kits as kits.
    ///
    /// `doc` is the order as in [`NetSuite::documents_csv`], `shipment` the fulfilment's external id without `if_`, both with
    /// `_u<hex>_` as the character it stands for; several tracking numbers are joined by `;`.
    pub fn fulfilments_csv(&self) -> String {
        let rows = fulfilments::rows(&self.account.state());
        let mut out = csv::Writer::from_writer(Vec::new());
        let header = ["doc", "shipment", "sku", "qty", "tracking"];
        let written = out.write_record(header).and_then(|()| rows.iter().try_for_each(|row| out.write_record(row)));
        match (written, out.into_inner()) {
            (Ok(()), Ok(bytes)) => String::from_utf8(bytes).unwrap_or_default(),
            _ => String::new(),
        }
    }

    /// What comes back by return authorizations, as CSV with the header `order,ra,sku,qty,received,restock`, sorted: one row per
    /// authorization and item, kits as kits.
    ///
    /// `order` is the sale that it was made from, as in [`NetSuite::documents_csv`], or empty; `ra` is its external id without `ra_`,
    /// with `_u<hex>_` as the character it stands for; `received` are the units that arrived, `restock` those of them that went back
    /// on the shelf. Closed ones are left out.
    pub fn returns_csv(&self) -> String {
        let rows = returns::rows(&self.account.state());
        table(&["order", "ra", "sku", "qty", "received", "restock"], &rows)
    }

    /// What was paid back, as CSV with the header `memo,refund,method,reference,amount`, sorted: one row per customer refund and credit
    /// memo.
    ///
    /// `memo` is the memo's `otherRefNum`, `refund` the refund's external id without `crf_`, `method` the name of its payment option,
    /// `reference` its memo text.
    pub fn refunds_csv(&self) -> String {
        let rows = returns::refund_rows(&self.account.state());
        table(&["memo", "refund", "method", "reference", "amount"], &rows)
    }

    /// Finance closes the accounting period of a month (`2026-02`), or opens it again. Errors when that is no month, or the journal
    /// cannot be written.
    pub fn close_period(&self, month: &str, closed: bool) -> anyhow::Result<()> {
        self.flag_period(month, |flags| flags.closed = closed)
    }

    /// Finance locks receivables in the accounting period of a month, or unlocks them. Errors as [`NetSuite::close_period`].
    pub fn lock_receivables(&self, month: &str, locked: bool) -> anyhow::Result<()> {
        self.flag_period(month, |flags| flags.ar_locked = locked)
    }

    fn flag_period(&self, month: &str, set: impl FnOnce(&mut periods::Flags)) -> anyhow::Result<()> {
        let day: jiff::civil::Date = format!("{month}-01").parse().context("a month is written 2026-02")?;
        let month = (day.year(), day.month());
        let mut state = self.account.state();
        let mut flags = state.periods.get(&month).copied().unwrap_or_default();
        set(&mut flags);
        state.set_period(month, flags)
    }

    /// Finance voids the credit memo or customer refund with this external id. Answers whether there is one. Errors when the journal
    /// cannot be written.
    pub fn void(&self, external_id: &str) -> anyhow::Result<bool> {
        let mut state = self.account.state();
        let now = self.account.mischief.now();
        let Some(id) = state.by_external.get(external_id).copied() else { return Ok(false) };
        if let Some(mut tran) = state.trans.get(&id).filter(|tran| tran.kind == Kind::Credit).cloned() {
            tran.back.get_or_insert_default().voided = true;
            tran.modified = now.as_second();
            state.put_tran(tran, now.as_millisecond())?;
            return Ok(true);
        }
        let Some(mut paper) = state.papers.get(&id).cloned() else { return Ok(false) };
        let state::What::Refund { voided, .. } = &mut paper.what else { return Ok(false) };
        *voided = true;
        paper.modified = now.as_second();
        state.put_paper(paper, now.as_millisecond())?;
        Ok(true)
    }

    /// Someone receives units of an item by hand, of the return authorization with this external id, at the place of its lines.
    /// Answers whether anything was still to come. Errors when the journal cannot be written.
    pub fn receive_by_hand(&self, external_id: &str, sku: &str, units: u32) -> anyhow::Result<bool> {
        self.account.receive_by_hand(external_id, sku, units)
    }

    /// Someone edits the items of this name by hand: a field by its name in the record service, `isInactive` and `displayName`
    /// among them. Answers whether there is one. Errors when the journal cannot be written.
    pub fn edit_item(&self, sku: &str, field: &str, value: &Value) -> anyhow::Result<bool> {
        let mut state = self.account.state();
        let found: Vec<seed::Item> = state.stock.items.named(sku).cloned().collect();
        let now = self.account.mischief.now();
        for mut item in found.iter().cloned() {
            match (field, value) {
                ("displayName", Value::String(text)) => item.name = text.as_str().into(),
                ("itemId", Value::String(text)) => item.sku = text.as_str().into(),
                ("isInactive", Value::Bool(flag)) => item.inactive = *flag,
                ("externalId", Value::String(text)) => item.external = Some(text.as_str().into()),
                (_, Value::Null) => drop(item.fields.remove(field)),
                _ => drop(item.fields.insert(field.to_owned(), value.clone())),
            }
            item.modified = now.as_second();
            state.put_item(item, None, now.as_millisecond())?;
        }
        Ok(!found.is_empty())
    }

    /// How many sales orders and cash sales there are, closed ones too.
    pub fn document_count(&self) -> usize {
        self.account.state().trans.values().filter(|tran| tran.kind.is_sale()).count()
    }

    /// How many return authorizations, item receipts, credit memos, customer refunds and inventory adjustments there are.
    pub fn return_count(&self) -> usize {
        let state = self.account.state();
        state.trans.values().filter(|tran| !tran.kind.is_sale()).count() + state.papers.len()
    }

    /// How many requests came in since the start, refused ones too.
    pub fn calls(&self) -> u64 {
        self.account.calls.load(Ordering::Relaxed)
    }

    /// Someone bills the sales order with this external id: from now on its lines cannot be changed.
    /// Answers whether there is one. Errors when the journal cannot be written.
    pub fn bill(&self, external_id: &str) -> anyhow::Result<bool> {
        let mut state = self.account.state();
        let found = state
            .by_external
            .get(external_id)
            .and_then(|id| state.trans.get(id))
            .filter(|tran| tran.kind == Kind::SalesOrder)
            .cloned();
        let Some(mut tran) = found else {
            return Ok(false);
        };
        tran.billed = true;
        let now = self.account.mischief.now();
        tran.modified = now.as_second();
        state.put_tran(tran, now.as_millisecond())?;
        self.account.tell(&mut state);
        Ok(true)
    }

    /// Sets where the account's script posts what moved; `None` turns it off.
    pub fn aim_pushes(&self, target: Option<PushTarget>) {
        self.account.pushes.aim(target);
    }

    /// Items that the script has not told yet, and its calls under way.
    pub fn pushes_pending(&self) -> u64 {
        self.account.pushes.pending()
    }

    /// Units of an item come to a place, or go (`delta` below nought): a sale over the counter, a delivery, a stock-take.
    /// Errors when there is no such item or place, or the journal cannot be written.
    pub fn move_stock(&self, sku: &str, location: &str, delta: i64, why: &str, entered: Entered) -> anyhow::Result<()> {
        self.play(None, &[(sku, location, delta)], why, entered).map(|_| ())
    }

    /// The event with this number happens: units come and go at places, as (sku, location, delta). Events are numbered from 0
    /// and happen in order, each of them once, over restarts too. Answers whether it happened now. Errors as
    /// [`NetSuite::move_stock`].
    pub fn play_event(&self, number: u32, moves: &[(&str, &str, i64)], why: &str) -> anyhow::Result<bool> {
        self.play(Some(number), moves, why, Entered::AsTransaction)
    }

    /// How many events happened.
    pub fn events_played(&self) -> u32 {
        self.account.state().events()
    }

    fn play(&self, event: Option<u32>, moves: &[(&str, &str, i64)], why: &str, entered: Entered) -> anyhow::Result<bool> {
        let at = self.account.mischief.now().as_millisecond();
        let import = entered == Entered::ByImport;
        let mut state = self.account.state();
        let moves = moves
            .iter()
            .map(|(sku, location, delta)| shelf(&state, sku, location).map(|(item, location)| (item, location, *delta)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let played = state.play(&Movement { at, event, why: why.to_owned(), moves, import })?;
        self.account.tell(&mut state);
        Ok(played)
    }

    /// Hands over what is committed of the sales order with this external id. Answers whether that was anything.
    /// Errors when the journal cannot be written.
    pub fn fulfil(&self, external_id: &str) -> anyhow::Result<bool> {
        let mut state = self.account.state();
        let Some(id) = state.by_external.get(external_id).copied() else {
            return Ok(false);
        };
        let done = state.fulfil(id, self.account.mischief.now().as_millisecond())?;
        self.account.tell(&mut state);
        Ok(done)
    }

    /// The figures of an item at a place, if it was ever kept there.
    pub fn level(&self, sku: &str, location: &str) -> Option<Level> {
        let state = self.account.settled();
        let (item, place) = shelf(&state, sku, location).ok()?;
        state.stock.get(item, place).map(|shelf| Level {
            on_hand: shelf.on_hand.units(),
            committed: shelf.committed().units(),
            back_ordered: shelf.back_ordered().units(),
            available: shelf.available().units(),
        })
    }

    /// `sku,qty` of every item that has a row somewhere, sorted by SKU byte for byte: on hand less committed less back
    /// ordered, over all places.
    pub fn stock_csv(&self) -> String {
        self.account.settled().stock.csv()
    }

    /// Units that orders ask for beyond what is there, place by place, of what is kept at all.
    pub fn oversold(&self) -> u64 {
        self.account.settled().stock.oversold()
    }
}

fn table<const N: usize>(header: &[&str; N], rows: &[[String; N]]) -> String {
    let mut out = csv::Writer::from_writer(Vec::new());
    let written = out.write_record(header).and_then(|()| rows.iter().try_for_each(|row| out.write_record(row)));
    match (written, out.into_inner()) {
        (Ok(()), Ok(bytes)) => String::from_utf8(bytes).unwrap_or_default(),
        _ => String::new(),
    }
}

fn shelf(state: &State, sku: &str, location: &str) -> anyhow::Result<(u32, u32)> {
    let item = state.stock.items.by_sku(sku).filter(|item| item.kind == seed::ItemKind::Inventory);
    let item = item.with_context(|| format!("there is no item {sku} that is kept on shelves"))?;
    let place = location.parse().ok().and_then(seed::location).with_context(|| format!("there is no location {location}"))?;
    Ok((item.id, place.id))
}

/// A request's place among the concurrent ones.
struct Slot<'a>(&'a AtomicUsize);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

async fn handle(Shared(account): Shared<Arc<Account>>, request: Request) -> Response {
    account.calls.fetch_add(1, Ordering::Relaxed);
    let path = request.uri().path();
    let login = path.ends_with(TOKEN_PATH);
    // Logging in takes no place among the concurrent requests.
    let (running, _slot) =
        if login { (0, None) } else { (account.running.fetch_add(1, Ordering::AcqRel), Some(Slot(&account.running))) };
    if running >= account.options.concurrency && !login {
        let wait = account.options.retry_after.then(|| "1".to_owned());
        return Refusal::concurrency(wait).response();
    }
    let write = request.method() != Method::GET && !login && !path.ends_with("/suiteql");
    let (parts, body) = request.into_parts();
    // The vendor's limit for a request.
    let Ok(body) = axum::body::to_bytes(body, 104 << 20).await else {
        return Refusal::request("The request is too large or broken.", At::Nowhere).response();
    };
    let mut fate = account.mischief.next(write);
    if write && fate.fault == Fault::ErrorIn200 {
        // The maintenance page is for readers.
        fate.fault = Fault::ServerErrorBefore;
    }
    let now = account.mischief.now();
    mischief::answer(fate, now, &Words, async {
        let call = Call::new(&parts.method, &parts.uri, &parts.headers, body);
        account.answer(&call)
    })
    .await
}

/// A request, taken apart.
struct Call<'a> {
    method: &'a Method,
    headers: &'a HeaderMap,
    host: String,
    /// Path and query as sent.
    path: &'a str,
    raw_query: &'a str,
    query: Vec<(String, String)>,
    body: Bytes,
}

impl<'a> Call<'a> {
    fn new(method: &'a Method, uri: &'a axum::http::Uri, headers: &'a HeaderMap, body: Bytes) -> Call<'a> {
        let raw_query = uri.query().unwrap_or("");
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .or(uri.authority().map(|authority| authority.as_str()))
            .unwrap_or("localhost");
        Call {
            method,
            headers,
            host: host.to_ascii_lowercase(),
            path: uri.path(),
            raw_query,
            query: url::form_urlencoded::parse(raw_query.as_bytes()).into_owned().collect(),
            body,
        }
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The items of a comma-separated parameter, lower case.
    fn list(&self, name: &str) -> Vec<String> {
        self.parameter(name)
            .unwrap_or("")
            .split(',')
            .map(|part| part.trim().to_ascii_lowercase())
            .filter(|part| !part.is_empty())
            .collect()
    }

    fn flag(&self, name: &str) -> bool {
        self.parameter(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// `limit` and `offset`.
    fn page(&self) -> Result<(usize, usize), Refusal> {
        let number = |name: &'static str, default: usize| match self.parameter(name) {
            None => Ok(default),
            Some(text) => text
                .parse::<usize>()
                .map_err(|_| parameter(format!("Invalid value of the query parameter '{name}'. Provide a number."), name)),
        };
        let (limit, offset) = (number("limit", 1_000)?, number("offset", 0)?);
        if !(1..=1_000).contains(&limit) {
            return Err(parameter(
                "Invalid value of the query parameter 'limit'. Provide a number from 1 to 1000.".into(),
                "limit",
            ));
        }
        if offset % limit != 0 {
            return Err(parameter(
                "Invalid value of the query parameter 'offset'. It must be divisible by 'limit'.".into(),
                "offset",
            ));
        }
        if offset + limit > suiteql::MOST_ROWS {
            return Err(parameter("The result can be paged through up to 100,000 rows only.".into(), "offset"));
        }
        Ok((limit, offset))
    }

    fn object(&self) -> Result<Map<String, Value>, Refusal> {
        match serde_json::from_slice::<Value>(&self.body) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => Err(Refusal::request("The request body must contain a JSON object.", At::Nowhere)),
            Err(fault) => Err(Refusal::request(format!("Invalid content in the request body: {fault}"), At::Nowhere)),
        }
    }
}

fn parameter(text: String, name: &'static str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "INVALID_PARAMETER", text, At::Query(name))
}

/// What a good request comes to.
enum Answer {
    Json(String, &'static str),
    /// 204, with a place if something was created, and warnings.
    Done(Option<String>, Vec<String>),
}

const SINGULAR: &str = "application/vnd.oracle.resource+json; type=singular; charset=UTF-8";
const COLLECTION: &str = "application/vnd.oracle.resource+json; type=collection; charset=UTF-8";

impl Answer {
    fn response(self) -> Response {
        match self {
            Answer::Json(json, kind) => {
                let mut response = Response::new(Body::from(json));
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
                response
            }
            Answer::Done(place, warnings) => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::NO_CONTENT;
                let headers = response.headers_mut();
                if let Some(place) = place.and_then(|place| HeaderValue::from_str(&place).ok()) {
                    headers.insert(header::LOCATION, place);
                }
                for warning in warnings {
                    if let Ok(value) = HeaderValue::from_str(&format!("299 NetSuite {warning:?}")) {
                        headers.append(header::WARNING, value);
                    }
                }
                response
            }
        }
    }
}

/// The instance a path names.
enum Key {
    Id(u32),
    External(String),
}

impl Account {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, with everything done that was due by now.
    fn settled(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        if let Err(fault) = state.settle(self.mischief.now().as_millisecond()) {
            tracing::error!(%fault, "a parcel could not be kept");
        }
        self.tell(&mut state);
        state
    }

    /// Does what is due. Answers how long until there is something again.
    fn tick(&self) -> Option<Duration> {
        let due = self.settled().next_due()?;
        let wait = due.saturating_sub(self.mischief.now().as_millisecond()).max(1);
        Some(Duration::from_millis(u64::try_from(wait).unwrap_or(1)))
    }

    /// Hands the script what moved, and wakes whoever waits for something to do.
    fn tell(&self, state: &mut State) {
        let touched = state.stock.take_touched();
        if !touched.is_empty() {
            self.pushes.tell(touched);
            self.pushes.wake.notify_one();
        }
    }

    fn answer(&self, call: &Call<'_>) -> Response {
        if call.path.ends_with(TOKEN_PATH) {
            return self.token(call);
        }
        match self.route(call) {
            Ok(answer) => answer.response(),
            Err(refusal) => refusal.response(),
        }
    }

    fn realm(&self) -> &str {
        &self.auth.access.account
    }

    fn is_me(&self, account: &str) -> bool {
        account.eq_ignore_ascii_case(self.realm()) || account.eq_ignore_ascii_case(&self.realm().replace('_', "-"))
    }

    /// The part of the path after `/services/rest`, if it is this account's. An account id may come first.
    fn local_path<'p>(&self, call: &'p Call<'_>) -> Result<(&'p str, &'p str), Refusal> {
        let not_found = || Refusal::missing(call.path);
        let at = call.path.find("/services/rest/").ok_or_else(not_found)?;
        let (prefix, rest) = call.path.split_at(at);
        let foreign = || Refusal::login("account_rejected", self.realm());
        if !prefix.is_empty() && !self.is_me(prefix.trim_start_matches('/')) {
            return Err(foreign());
        }
        if let Some((account, rest)) = call.host.split_once('.')
            && rest.starts_with("suitetalk.api.netsuite.com")
            && !self.is_me(account)
        {
            return Err(foreign());
        }
        Ok((prefix, rest.strip_prefix("/services/rest").unwrap_or(rest)))
    }

    fn token(&self, call: &Call<'_>) -> Response {
        if let Err(refusal) = self.local_path(call) {
            return refusal.response();
        }
        match self.auth.token(&call.body, self.mischief.now()) {
            Ok(json) => Answer::Json(json, "application/json; charset=UTF-8").response(),
            Err((code, why)) => {
                tracing::debug!(code, why, "a token was refused");
                Refusal::oauth(code)
            }
        }
    }

    fn route(&self, call: &Call<'_>) -> Result<Answer, Refusal> {
        let now = self.mischief.now();
        let (prefix, path) = self.local_path(call)?;
        let signed = Signed {
            method: call.method.as_str(),
            host: &call.host,
            path: call.path,
            query: call.raw_query,
            authorization: call.header("authorization"),
        };
        self.auth.check(&signed, now).map_err(|reason| {
            tracing::debug!(reason, "a request was not let in");
            Refusal::login(reason, self.realm())
        })?;
        let site = format!("http://{}{prefix}/services/rest", call.host);
        let parts: Vec<String> = path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
            .collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["system", "v1", name] if name.eq_ignore_ascii_case("serverTime") => {
                let at = now.as_millisecond();
                let at = jiff::Timestamp::from_millisecond(at).map_or_else(|_| String::new(), |at| format!("{at:.3}"));
                Ok(Answer::Json(format!(r#"{{"serverTime":"{at}"}}"#), "application/json"))
            }
            ["query", "v1", name] if name.eq_ignore_ascii_case("suiteql") => self.query(call, &site),
            ["record", "v1", "metadata-catalog"] => self.catalogue(call, &site),
            ["record", "v1", "metadata-catalog", name] => read::schema(&self.options, &format!("{site}/record/v1"), name)
                .map(|json| Answer::Json(json, "application/schema+json"))
                .ok_or_else(|| Refusal::missing(call.path)),
            ["record", "v1", rest @ ..] => {
                if self.options.view_only {
                    return Err(Refusal::new(
                        StatusCode::FORBIDDEN,
                        "INSUFFICIENT_PERMISSION",
                        "Permission Violation: you need a higher permission level to access this record.",
                        At::Nowhere,
                    ));
                }
                if call.header("prefer").contains("respond-async") {
                    return Err(Refusal::request(
                        "Asynchronous requests are not available in this account.",
                        At::Header("Prefer"),
                    ));
                }
                self.record(call, &format!("{site}/record/v1"), rest)
            }
            _ => Err(Refusal::missing(call.path)),
        }
    }

    fn catalogue(&self, call: &Call<'_>, site: &str) -> Result<Answer, Refusal> {
        let base = format!("{site}/record/v1");
        let mut wanted = call.list("select");
        if wanted.is_empty() {
            let all = ["salesorder", "cashsale", "customer", "inventoryitem", "kititem", "itemfulfillment"];
            let back = ["returnauthorization", "itemreceipt", "creditmemo", "customerrefund", "inventoryadjustment"];
            wanted = all.into_iter().chain(back).map(str::to_owned).collect();
        }
        let mut schemas = Vec::new();
        for name in &wanted {
            let schema = read::schema(&self.options, &base, name)
                .ok_or_else(|| parameter(format!("The record type '{name}' does not exist."), "select"))?;
            let name = match name.as_str() {
                "salesorder" => "salesOrder",
                "cashsale" => "cashSale",
                "inventoryitem" => "inventoryItem",
                "kititem" => "kitItem",
                "itemfulfillment" => "itemFulfillment",
                "returnauthorization" => "returnAuthorization",
                "itemreceipt" => "itemReceipt",
                "creditmemo" => "creditMemo",
                "customerrefund" => "customerRefund",
                "inventoryadjustment" => "inventoryAdjustment",
                other => other,
            };
            schemas.push(format!("\"{name}\":{schema}"));
        }
        if call.header("accept").contains("swagger") {
            let all = schemas.join(",");
            return Ok(Answer::Json(
                format!(
                    r#"{{"openapi":"3.0.1","info":{{"title":"NetSuite REST Record API","version":"v1"}},"components":{{"schemas":{{{all}}}}}}}"#
                ),
                "application/swagger+json",
            ));
        }
        let items: Vec<String> = schemas
            .iter()
            .filter_map(|schema| schema.split_once(':'))
            .map(|(name, _)| {
                let plain = name.trim_matches('"');
                format!(
                    r#"{{"name":{name},"links":[{{"rel":"canonical","href":"{base}/metadata-catalog/{plain}","mediaType":"application/schema+json"}}]}}"#
                )
            })
            .collect();
        Ok(Answer::Json(format!(r#"{{"items":[{}]}}"#, items.join(",")), "application/json"))
    }

    fn query(&self, call: &Call<'_>, site: &str) -> Result<Answer, Refusal> {
        if call.method != Method::POST {
            return Err(not_allowed());
        }
        let prefer = call.header("prefer");
        if prefer.contains("respond-async") {
            return Err(Refusal::request("Asynchronous execution is not supported for SuiteQL queries.", At::Header("Prefer")));
        }
        if !prefer.split([',', ';']).any(|part| part.trim().eq_ignore_ascii_case("transient")) {
            return Err(Refusal::request(
                "Required request header 'Prefer' is missing or invalid. Provide 'transient'.",
                At::Header("Prefer"),
            ));
        }
        let (limit, offset) = call.page()?;
        let body = call.object()?;
        let Some(query) = body.get("q").and_then(Value::as_str) else {
            return Err(Refusal::request("The request body must contain the member 'q'.", At::Path("q".into())));
        };
        let mut params = Vec::new();
        if let Some(values) = body.get("params") {
            let wrong = || Refusal::request("'params' must be a list of values.", At::Path("params".into()));
            for value in values.as_array().ok_or_else(wrong)? {
                params.push(match value {
                    Value::Null => Cell::Null,
                    Value::String(text) => Cell::Text(text.clone().into()),
                    Value::Number(number) => Cell::Num(Fixed::parse(number.as_str()).ok_or_else(wrong)?),
                    _ => return Err(wrong()),
                });
            }
        }
        let state = self.settled();
        let asked = query.to_ascii_lowercase().contains("accountingperiod");
        let periods = if asked { periods::all(&self.options, &state.periods) } else { Vec::new() };
        let engine = suiteql::Engine {
            state: &state,
            items: &state.stock.items,
            periods: &periods,
            change_time: self.options.stock_change_time,
            zone: &self.zone,
            now: self.mischief.now(),
            shuffle: mischief::mix(self.queries.fetch_add(1, Ordering::Relaxed)),
        };
        let url = format!("{site}/query/v1/suiteql");
        engine.answer(query, &params, limit, offset, &url).map(|json| Answer::Json(json, COLLECTION)).map_err(Refusal::search)
    }

    fn record(&self, call: &Call<'_>, base: &str, parts: &[&str]) -> Result<Answer, Refusal> {
        let (Some(record), rest) = (parts.first(), parts.get(1..).unwrap_or(&[])) else {
            return Err(Refusal::missing(call.path));
        };
        if let [id, action, target] = rest
            && action.eq_ignore_ascii_case("!transform")
        {
            return self.transform(call, base, record, id, target);
        }
        if rest.iter().any(|part| part.starts_with('!')) {
            return Err(Refusal::request("Attaching records is not available in this account.", At::Url(call.path.to_owned())));
        }
        let key = match rest.first() {
            None => None,
            Some(key) => Some(match key.strip_prefix("eid:") {
                Some(external) => Key::External(external.to_owned()),
                None => Key::Id(
                    key.parse()
                        .map_err(|_| Refusal::request("The record identifier is not valid.", At::Url(call.path.to_owned())))?,
                ),
            }),
        };
        let inner = rest.get(1..).unwrap_or(&[]);
        let kind = match record.to_ascii_lowercase().as_str() {
            "salesorder" => Some(Kind::SalesOrder),
            "cashsale" => Some(Kind::CashSale),
            "returnauthorization" => Some(Kind::Return),
            "creditmemo" => Some(Kind::Credit),
            _ => None,
        };
        if let Some(kind) = kind {
            return self.transaction(call, base, kind, key, inner);
        }
        if let Some(kind) = items::kind_of(record) {
            return self.item(call, base, kind, key, inner);
        }
        if record.eq_ignore_ascii_case("itemFulfillment") && inner.is_empty() {
            return self.fulfilment(call, base, key);
        }
        if let Some(kind) = returns::PaperKind::find(record).filter(|_| inner.is_empty()) {
            return self.paper(call, base, kind, key);
        }
        if record.eq_ignore_ascii_case("customer") && inner.is_empty() {
            return self.customer(call, base, key);
        }
        let Some(list) = List::find(record).filter(|_| inner.is_empty()) else {
            return Err(Refusal::missing(call.path));
        };
        if call.method != Method::GET {
            return Err(not_allowed());
        }
        let state = self.state();
        let view = self.view(call, base, &state);
        match key {
            None => self.collection(call, base, list.record(), &list.ids(&state.stock.items)),
            Some(Key::Id(id)) => {
                view.listed(list, id).map(|json| Answer::Json(json, SINGULAR)).ok_or_else(|| Refusal::missing(call.path))
            }
            Some(Key::External(_)) => Err(Refusal::missing(call.path)),
        }
    }

    fn collection(&self, call: &Call<'_>, base: &str, record: &str, ids: &[u32]) -> Result<Answer, Refusal> {
        if call.parameter("q").is_some() {
            return Err(parameter("Filtering with 'q' is not available in this account. Use SuiteQL.".into(), "q"));
        }
        let (limit, offset) = call.page()?;
        Ok(Answer::Json(read::collection(base, record, ids, limit, offset), COLLECTION))
    }

    fn view<'a>(&'a self, call: &Call<'_>, base: &'a str, state: &'a State) -> View<'a> {
        View {
            options: &self.options,
            items: &state.stock.items,
            symbols: &state.symbols,
            stock: &state.stock,
            base,
            expand: call.flag("expandSubResources"),
            simple: call.flag("simpleEnumFormat"),
            fields: call.list("fields"),
        }
    }

    fn desk<'a>(&'a self, call: &Call<'_>, state: &'a mut State) -> Result<Desk<'a>, Refusal> {
        let names = match call.header("x-netsuite-propertynamevalidation").to_ascii_lowercase().as_str() {
            "" | "warning" => Names::Warning,
            "ignore" => Names::Ignore,
            "error" => Names::Error,
            _ => {
                return Err(Refusal::request(
                    "Invalid value of a validation header. Provide Ignore, Warning or Error.",
                    At::Header("X-NetSuite-PropertyNameValidation"),
                ));
            }
        };
        Ok(Desk {
            options: &self.options,
            items: &state.stock.items,
            customers: &state.customers,
            customer_by_external: &state.customer_by_external,
            symbols: &mut state.symbols,
            periods: &state.periods,
            names,
            findings: records::Findings::default(),
        })
    }

    fn transaction(&self, call: &Call<'_>, base: &str, kind: Kind, key: Option<Key>, inner: &[&str]) -> Result<Answer, Refusal> {
        let mut state = self.settled();
        let found = match &key {
            None => None,
            Some(Key::Id(id)) => Some(*id),
            Some(Key::External(external)) => state.by_external.get(external.as_str()).copied(),
        };
        let known = found.and_then(|id| state.trans.get(&id)).filter(|tran| tran.kind == kind);
        // An unknown internal id of a transaction is no 404.
        let unknown = || match key {
            Some(Key::Id(_)) => Refusal::user("Transaction type specified is incorrect."),
            _ => Refusal::missing(call.path),
        };
        match (call.method.as_str(), &key) {
            ("GET", None) => {
                let ids: Vec<u32> = state.trans.values().filter(|tran| tran.kind == kind).map(|tran| tran.id).collect();
                self.collection(call, base, kind.record(), &ids)
            }
            ("GET", Some(_)) => {
                let tran = known.ok_or_else(unknown)?;
                let view = self.view(call, base, &state);
                let json = match inner {
                    [] => {
                        let customer = state.customers.get(&tran.entity).map(|c| c.name()).unwrap_or_default();
                        Some(view.transaction(tran, &customer))
                    }
                    [part] => view.part(tran, part, None),
                    [part, line] => line.parse().ok().and_then(|line| view.part(tran, part, Some(line))),
                    _ => None,
                };
                json.map(|json| Answer::Json(json, SINGULAR)).ok_or_else(|| Refusal::missing(call.path))
            }
            ("POST", None) => self.save(call, base, &mut state, kind, None, None),
            ("PATCH", Some(_)) if inner.is_empty() => {
                let tran = known.ok_or_else(unknown)?.clone();
                self.save(call, base, &mut state, kind, Some(tran), None)
            }
            ("PUT", Some(Key::External(external))) if inner.is_empty() => {
                let tran = known.cloned();
                self.save(call, base, &mut state, kind, tran, Some(external))
            }
            ("DELETE", Some(_)) if inner.is_empty() => {
                let tran = known.ok_or_else(unknown)?;
                let used = |back: &state::Back| !back.received.is_empty() || !back.credited.is_empty() || !back.applied.is_zero();
                if tran.billed || !tran.shipped.is_empty() || tran.back.as_deref().is_some_and(used) {
                    return Err(Refusal::user("This record cannot be deleted because it has dependent records."));
                }
                let id = tran.id;
                state.delete_tran(id, self.mischief.now().as_millisecond()).map_err(|fault| broken(&fault))?;
                self.tell(&mut state);
                Ok(Answer::Done(None, Vec::new()))
            }
            _ => Err(not_allowed()),
        }
    }

    /// Creates or changes a document. `external` is the key of a PUT.
    fn save(
        &self,
        call: &Call<'_>,
        base: &str,
        state: &mut State,
        kind: Kind,
        old: Option<Box<Tran>>,
        external: Option<&str>,
    ) -> Result<Answer, Refusal> {
        let create = old.is_none();
        let tran = old.unwrap_or_else(|| Box::new(self.blank(kind)));
        self.save_as(call, base, state, tran, create, external)
    }

    /// A document of today without anything in it.
    fn blank(&self, kind: Kind) -> Tran {
        let now = self.mischief.now();
        Tran::new(kind, self.zone.to_datetime(now).date(), now.as_second())
    }

    /// Takes the body into a document, which is new when `create` and may have been filled in by a transform, and keeps it.
    fn save_as(
        &self,
        call: &Call<'_>,
        base: &str,
        state: &mut State,
        mut tran: Box<Tran>,
        create: bool,
        external: Option<&str>,
    ) -> Result<Answer, Refusal> {
        let body = call.object()?;
        let now = self.mischief.now();
        let kind = tran.kind;
        let was = if create { None } else { tran.external.clone() };
        let replace: HashSet<String> = call.list("replace").into_iter().collect();
        let mut desk = self.desk(call, state)?;
        desk.transaction(&mut tran, &body, &replace, create);
        let mut findings = desk.findings;
        if let Some(refusal) = findings.refusal() {
            return Err(refusal);
        }
        self.fits(state, &mut tran, create)?;
        if let Some(external) = external {
            key_fits(tran.external.as_deref(), was.as_deref(), external)?;
            tran.external = Some(external.into());
        }
        if let Some(wanted) = &tran.external
            && state.by_external.get(wanted).is_some_and(|id| create || *id != tran.id)
        {
            return Err(Refusal::user(format!("A transaction with the external ID {wanted} already exists.")));
        }
        if create {
            tran.id = state.next_tran();
            tran.number = state.next_number(kind);
        }
        tran.modified = now.as_second();
        let id = tran.id;
        state.put_tran(tran, now.as_millisecond()).map_err(|fault| broken(&fault))?;
        if create {
            self.meddle(state, id).map_err(|fault| broken(&fault))?;
        }
        self.tell(state);
        let place = (create || external.is_some()).then(|| format!("{base}/{}/{id}", kind.record()));
        Ok(Answer::Done(place, findings.warnings))
    }

    /// What others do to a fresh document before anyone reads it.
    fn meddle(&self, state: &mut State, id: u32) -> anyhow::Result<()> {
        let profile = self.mischief.profile();
        if profile == Profile::None || !self.options.meddling {
            return Ok(());
        }
        let key = u64::from(id);
        let script = self.mischief.chance("a script appends to the memo", key, 5.0);
        let memo = self.mischief.chance("another user edits the memo", key, 1.0);
        let sale = state.trans.get(&id).is_some_and(|tran| tran.kind.is_sale());
        let quantity = sale && profile == Profile::Hostile && self.mischief.chance("another user edits a quantity", key, 1.0);
        if !(script || memo || quantity) {
            return Ok(());
        }
        let Some(mut tran) = state.trans.get(&id).cloned() else {
            return Ok(());
        };
        let mut text = tran.memo.take().map(String::from).unwrap_or_default();
        if script {
            text.push_str(" [screened]");
        }
        if memo {
            text.push_str(" (called the customer)");
        }
        tran.memo = Some(text.trim().into());
        if quantity {
            let digits = tran.digits();
            let items = &state.stock.items;
            let stocked = tran.lines.iter_mut().filter(|line| items.get(line.item).is_some_and(|item| item.kind.is_goods()));
            if let Some(line) = stocked.last()
                && let Some(more) = line.quantity.plus(Fixed::whole(1))
                && let Some(amount) = line.rate.times(more, digits)
            {
                line.quantity = more;
                line.amount = amount;
            }
        }
        state.put_tran(tran, self.mischief.now().as_millisecond())
    }

    fn customer(&self, call: &Call<'_>, base: &str, key: Option<Key>) -> Result<Answer, Refusal> {
        let mut state = self.state();
        let found = match &key {
            None => None,
            Some(Key::Id(id)) => Some(*id),
            Some(Key::External(external)) => state.customer_by_external.get(external.as_str()).copied(),
        };
        let known = found.and_then(|id| state.customers.get(&id));
        let unknown = || Refusal::missing(call.path);
        match (call.method.as_str(), &key) {
            ("GET", None) => {
                let ids: Vec<u32> = state.customers.keys().copied().collect();
                self.collection(call, base, "customer", &ids)
            }
            ("GET", Some(_)) => {
                let customer = known.ok_or_else(unknown)?;
                let json = self.view(call, base, &state).customer(customer);
                Ok(Answer::Json(json, SINGULAR))
            }
            ("POST", None) => self.save_customer(call, base, &mut state, None, None),
            ("PATCH", Some(_)) => {
                let customer = known.ok_or_else(unknown)?.clone();
                self.save_customer(call, base, &mut state, Some(customer), None)
            }
            ("PUT", Some(Key::External(external))) => {
                let customer = known.cloned();
                self.save_customer(call, base, &mut state, customer, Some(external))
            }
            ("DELETE", Some(_)) => {
                let id = known.ok_or_else(unknown)?.id;
                if state::guest(id).is_some() || state.trans.values().any(|tran| tran.entity == id) {
                    return Err(Refusal::user("This record cannot be deleted because it has dependent records."));
                }
                state.delete_customer(id).map_err(|fault| broken(&fault))?;
                Ok(Answer::Done(None, Vec::new()))
            }
            _ => Err(not_allowed()),
        }
    }

    fn save_customer(
        &self,
        call: &Call<'_>,
        base: &str,
        state: &mut State,
        old: Option<Box<Customer>>,
        external: Option<&str>,
    ) -> Result<Answer, Refusal> {
        let body = call.object()?;
        let now = self.mischief.now().as_second();
        let create = old.is_none();
        let was = old.as_ref().and_then(|customer| customer.external.clone());
        let mut customer = old.unwrap_or_else(|| Box::new(Customer::fresh(now)));
        let replace: HashSet<String> = call.list("replace").into_iter().collect();
        let mut desk = self.desk(call, state)?;
        desk.customer(&mut customer, &body, &replace, create);
        let mut findings = desk.findings;
        if let Some(refusal) = findings.refusal() {
            return Err(refusal);
        }
        if let Some(external) = external {
            key_fits(customer.external.as_deref(), was.as_deref(), external)?;
            customer.external = Some(external.into());
        }
        let other = |id: Option<&u32>| id.is_some_and(|id| create || *id != customer.id);
        if customer.external.as_ref().is_some_and(|e| other(state.customer_by_external.get(e)))
            || other(state.entity_ids.get(&customer.entity_id))
        {
            return Err(Refusal::user("This entity already exists."));
        }
        if create {
            customer.id = state.next_customer();
            if customer.entity_id.is_empty() {
                customer.entity_id = format!("CUST{}", customer.id).into();
            }
        }
        customer.modified = now;
        let id = customer.id;
        state.put_customer(customer).map_err(|fault| broken(&fault))?;
        let place = (create || external.is_some()).then(|| format!("{base}/customer/{id}"));
        Ok(Answer::Done(place, findings.warnings))
    }
}

/// Whether the external id of a PUT's body is that of its URL, or the old one, or none.
fn key_fits(body: Option<&str>, was: Option<&str>, url: &str) -> Result<(), Refusal> {
    let sound = url.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') && !url.is_empty();
    if sound && (body.is_none() || body == Some(url) || body == was) {
        return Ok(());
    }
    Err(Refusal::new(
        StatusCode::BAD_REQUEST,
        "INVALID_CONTENT",
        "The external ID in the request body does not match the one in the URL, or is not valid.",
        At::Path("externalId".into()),
    ))
}

fn not_allowed() -> Refusal {
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "INVALID_REQUEST", "The method is not allowed for this resource.", At::Nowhere)
}

fn broken(fault: &anyhow::Error) -> Refusal {
    tracing::error!(%fault, "a document could not be kept");
    Refusal::unexpected("journal")
}

#[cfg(test)]
mod tests;
