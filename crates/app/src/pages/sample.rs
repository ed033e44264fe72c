//! A small shop and its books for the tests of this crate: nothing is called, everything stands in the store.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use rust_decimal::Decimal;
use selvedge_connector::{
    Arrival, Connection, Cursor, Decoded, Delivery, Encoded, EnumeratedPage, Fault, Figure, Finding, Found, Hooks, LevelPage,
    Page, Priority, Raw, Receipt, Request, Session, SessionConfig, Sink, Source, Standing, StockSink, StockSource, Wanted,
    clock::ManualClock,
    session::{Budget, BudgetWindow},
};
use selvedge_flow::{CaptureSetup, DeskSetup, Engine, FlowSetup, Setup, StockSetup, reconcile::PairSetup};
use selvedge_model::{
    Brand, ConnectionName, Currency, ExceptionId, ExternalId, FlowName, Interval, Kind, Kit, LocationId, Money, Order, PersonId,
    Problem, Record, RecordKey, Sku, StockLevel,
    compare::Carries,
    gate::{Lookup, Values, rules::OrderPolicy},
    obligation::Event,
    people::{Email, Role},
    records::{
        Address, Charge, Discount, LineKind, Named, OrderLine, OrderStatus, Payment, PaymentKind, PaymentStatus, TaxLine,
        TaxMode, Totals,
    },
};
use selvedge_store::{
    Store,
    obligations::{NewObligation, Step},
    people::sessions::{self, Origin},
    records::{NewRecord, Recorded},
    sealed::SealingKey,
    stock::{Claim, NewDrift, Of, Shown, StockFlowRow, Terms},
};

use crate::{config::stock::StockSettings, people::Door, serve::App};

pub(crate) mod reconcile;
pub(crate) mod returns;

/// What tries to break out of a page.
pub(crate) const NAUGHTY: &str = "<script>alert('x')</script>\"&amp;";

pub(crate) fn start() -> Timestamp {
    "2026-02-03T09:00:00Z".parse().unwrap()
}

pub(crate) fn brand() -> Brand {
    "nordwind".into()
}

/// A system that is never asked. What is recorded of it is a record as we write one.
struct Still;

fn asked() -> Fault {
    Fault::Transient { what: "a system that is never asked".to_owned(), source: None }
}

#[async_trait]
impl<R: Record> Source<R> for Still {
    fn decode(&self, raw: &Raw, _: &Values) -> Decoded<R> {
        Decoded::of(serde_json::from_slice(&raw.body).ok(), Vec::new())
    }
    async fn list(&self, _: &Interval, _: Option<&Cursor>) -> Result<Page, Fault> {
        Err(asked())
    }
    async fn enumerate(&self, _: &Interval, _: Option<&Cursor>) -> Result<EnumeratedPage, Fault> {
        Err(asked())
    }
    async fn fetch(&self, _: &[ExternalId], _: Priority) -> Result<Vec<Raw>, Fault> {
        Err(asked())
    }
    fn fetch_max(&self) -> usize {
        1
    }
}

#[async_trait]
impl<R: Record> Sink<R> for Still {
    fn lookups(&self, _: &R) -> Vec<Lookup> {
        Vec::new()
    }
    fn needs(&self, _: &R) -> Option<selvedge_connector::Need> {
        None
    }
    fn encode(&self, _: &R, _: &Values, _: Standing<'_>) -> Result<Encoded, Vec<Problem>> {
        Ok(Encoded::Nothing)
    }
    async fn find(&self, _: &R) -> Result<Option<Found>, Fault> {
        Err(asked())
    }
    async fn put(&self, _: &Request) -> Result<Receipt, Fault> {
        Err(asked())
    }
    fn carries(&self) -> Carries {
        Carries {
            amounts: true,
            line_tax: true,
            shipping_address: true,
            billing_address: true,
            customer: true,
            status: true,
            shipping_charge: true,
            placed_on: true,
            ..Carries::default()
        }
    }
}

#[async_trait]
impl StockSource for Still {
    async fn levels(&self, _: Wanted<'_>, _: &[LocationId], _: Option<&Cursor>, _: Priority) -> Result<LevelPage, Fault> {
        Err(asked())
    }
    fn items_max(&self) -> usize {
        1
    }
    async fn kits(&self) -> Result<Vec<Kit>, Fault> {
        Err(asked())
    }
    fn commit_lag(&self) -> Duration {
        Duration::ZERO
    }
}

#[async_trait]
impl StockSink for Still {
    fn batch_max(&self) -> usize {
        1
    }
    fn encode(&self, place: &LocationId, _: &[Figure]) -> Request {
        let (what, body) = (place.to_string(), serde_json::Value::Null);
        Request { what, method: "POST".to_owned(), path: String::new(), body, update: None, unfinished: false }
    }
    async fn put(&self, _: &Request) -> Result<Receipt, Fault> {
        Err(asked())
    }
    async fn draws(&self) -> Result<BTreeMap<String, Vec<LocationId>>, Fault> {
        Err(asked())
    }
    async fn inspect(&self, _: &[LocationId]) -> Vec<Finding> {
        Vec::new()
    }
}

/// Believes whoever sends `x-key: right`; a body is an order's number.
impl Hooks for Still {
    fn receive(&self, delivery: &Delivery) -> Result<Vec<Arrival>, Fault> {
        if delivery.header("x-key") != Some("right") {
            return Err(Fault::Forged { reason: "no key, or a wrong one".to_owned() });
        }
        match std::str::from_utf8(&delivery.body) {
            Ok(number) => Ok(vec![Arrival::Notice { kind: Kind::Order, id: number.into() }]),
            Err(_) => Err(Fault::Refused {
                what: "a delivery".to_owned(),
                problems: vec![Problem::new("decode.unreadable", "", "the body is no text", "")],
            }),
        }
    }
}

fn connection(name: &str, system: &'static str, clock: &Arc<ManualClock>) -> Connection {
    let window = |name, quota| BudgetWindow { name, quota, per: Duration::from_secs(10) };
    let budget = Budget { windows: vec![window("requests", 60), window("mutations", 20)] };
    let config = SessionConfig { budget, ..SessionConfig::named(name) };
    let still = Arc::new(Still);
    Connection {
        order_source: Some(still.clone()),
        order_sink: Some(still.clone()),
        return_source: Some(still.clone()),
        return_sink: Some(still.clone()),
        credit_note_source: Some(still.clone()),
        credit_note_sink: Some(still.clone()),
        refund_source: Some(still.clone()),
        refund_sink: Some(still.clone()),
        hooks: (name == "shop").then_some(still.clone() as Arc<dyn Hooks>),
        stock_source: Some(still.clone()),
        stock_sink: Some(still),
        ..Connection::empty(system, Session::new(config, Arc::clone(clock) as Arc<dyn selvedge_connector::Clock>))
    }
}

/// A brand with one flow from `shop` to `books`, and nothing in it.
pub(crate) async fn empty() -> (Arc<App>, Arc<ManualClock>) {
    with(Vec::new(), &[], Vec::new()).await
}

/// A flow with this name, kind and source.
type More = (&'static str, Kind, &'static str);

/// The same, with a desk of its own.
pub(crate) async fn with_desk(desk: DeskSetup) -> (Arc<App>, Arc<ManualClock>) {
    built(Vec::new(), &[], Vec::new(), desk).await
}

async fn with(stocks: Vec<StockSetup>, more: &[More], pairs: Vec<PairSetup>) -> (Arc<App>, Arc<ManualClock>) {
    built(stocks, more, pairs, DeskSetup::default()).await
}

async fn built(stocks: Vec<StockSetup>, more: &[More], pairs: Vec<PairSetup>, desk: DeskSetup) -> (Arc<App>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(start()));
    let store = Store::open("sqlite::memory:").await.unwrap();
    let names = [("shop", "storefront"), ("outlet", "storefront"), ("desk", "files"), ("books", "ledger")];
    let wanted = |name: &str| match name {
        "outlet" => !stocks.is_empty(),
        "desk" => more.iter().any(|(_, _, from)| *from == "desk"),
        _ => true,
    };
    let names = names.into_iter().filter(|(name, _)| wanted(name));
    let connections: BTreeMap<ConnectionName, Connection> =
        names.map(|(name, system)| (name.into(), connection(name, system, &clock))).collect();
    let flow = |(name, kind, from): More| FlowSetup {
        name: name.into(),
        kind,
        from: from.into(),
        to: "books".into(),
        mode: Default::default(),
        policy: OrderPolicy::default(),
        preparation: Default::default(),
        shipments: Default::default(),
        credits: selvedge_flow::CreditPolicy::default(),
        products: Default::default(),
        watch_every: None,
        parallel: 1,
        unanswered_wait: Duration::from_secs(1),
        retries_max: 3,
        backoff_first: Duration::from_secs(1),
        backoff_max: Duration::from_secs(1),
    };
    let setup = Setup {
        brand: brand(),
        store,
        clock: Arc::clone(&clock) as Arc<dyn selvedge_connector::Clock>,
        seed: 1,
        connections,
        captures: vec![CaptureSetup {
            from: "shop".into(),
            kind: Kind::Order,
            since: start() - Duration::from_secs(86_400),
            feed_every: None,
            poll_every: Some(Duration::from_secs(60)),
            poll_overlap: Duration::ZERO,
            poll_lag: Duration::ZERO,
            sweep_every: Some(Duration::from_secs(86_400)),
            sweep_back: Duration::from_secs(86_400),
            notice_grace: Duration::ZERO,
        }],
        flows: [("orders", Kind::Order, "shop")].iter().chain(more).map(|one| flow(*one)).collect(),
        stocks,
        lists_every: Duration::from_secs(3_600),
        preflight: None,
        halves: selvedge_flow::HalvesSetup::default(),
        pairs,
        desk,
        silence: None,
        alerts: selvedge_flow::AlertSetup::default(),
        webhooks: Vec::new(),
    };
    let engine = Engine::new(setup).unwrap_or_else(|wrong| panic!("{wrong:?}"));
    let door = Door { key: Some(Arc::new(SealingKey::generate().0)), ..Door::default() };
    (Arc::new(App::new(Arc::new(engine)).with_door(door)), clock)
}

/// Whom the tests of pages and API are signed in as, unless they say otherwise: an admin.
pub(crate) const ADMIN: &str = "ada@example.com";

/// A person with these roles; one of this address that is there is given them.
pub(crate) async fn person(app: &App, email: &str, roles: &[Role]) -> PersonId {
    let (email, roles): (Email, _) = (email.parse().unwrap(), roles.iter().copied().collect());
    app.store
        .write(move |tx| {
            let id = match tx.person_by_email(&brand(), &email)? {
                Some(person) => person.id,
                None => tx.add_person(&email, email.as_str().split('@').next().unwrap(), start())?,
            };
            tx.set_roles(id, &brand(), &roles)?;
            Ok(id)
        })
        .await
        .unwrap()
}

/// The cookie of a new session of a person with these roles, as a browser sends it.
pub(crate) async fn signed_in(app: &App, email: &str, roles: &[Role]) -> String {
    let (id, now) = (person(app, email, roles).await, app.clock.now());
    let opened = app.store.write(move |tx| tx.open_session(id, sessions::Step::All, &Origin::default(), now));
    format!("selvedge={}", opened.await.unwrap().1.text())
}

/// An order of two lines; `name` is the shopper's, `units` is what edits change.
pub(crate) fn order(number: &str, name: &str, units: u32) -> Order {
    let sek = Currency::from_code("SEK").unwrap();
    let money = |minor: i64| Money::from_minor(minor, sek);
    let line = |id: &str, sku: &str, name: &str, units: u32, each: i64| OrderLine {
        id: id.into(),
        kind: LineKind::Product,
        bundle: None,
        recipe: None,
        sku: sku.into(),
        name: name.to_owned(),
        quantity: units,
        cancelled: 0,
        unit_net: Decimal::new(each, 2),
        net: money(each * i64::from(units)),
        tax: money(each * i64::from(units) / 4),
        taxes: vec![TaxLine { name: "VAT".to_owned(), rate: Decimal::from(25), amount: money(each * i64::from(units) / 4) }],
    };
    let lines = vec![line("1", "COAT-42", "Wool coat, charcoal", units, 240_000), line("2", "SCARF-1", name, 1, 40_000)];
    let shipping = Charge { net: money(4_000), tax: money(1_000), rate: Some(Decimal::from(25)) };
    let net = Money::sum(sek, lines.iter().map(|line| line.net)).unwrap().plus(money(4_000 - 8_000)).unwrap();
    let tax = Money::sum(sek, lines.iter().map(|line| line.tax)).unwrap().plus(money(1_000 - 2_000)).unwrap();
    let address = Address {
        first_name: Some(name.to_owned()),
        last_name: Some("Ö'Neil".to_owned()),
        line1: Some("Långa gatan 1".to_owned()),
        postcode: Some("111 22".to_owned()),
        city: Some("Stockholm".to_owned()),
        country: Some("SE".to_owned()),
        email: Some("asa@example.com".to_owned()),
        ..Address::default()
    };
    Order {
        number: number.into(),
        id: number.into(),
        placed_at: start(),
        updated_at: start(),
        placed_on: jiff::civil::date(2026, 2, 3),
        status: OrderStatus::Confirmed,
        holds: Vec::new(),
        internal: false,
        currency: sek,
        tax_mode: TaxMode::Added,
        store: Named { id: "1".to_owned(), name: "Web".to_owned() },
        market: Named { id: "2".to_owned(), name: "Sweden".to_owned() },
        customer: None,
        billing: Some(address.clone()),
        shipping: Some(address),
        lines,
        discounts: vec![Discount { name: "SPRING".to_owned(), tender: false, net: money(8_000), tax: money(2_000), rate: None }],
        shipping_method: Some(Named { id: "express".to_owned(), name: "Express".to_owned() }),
        shipping_charge: shipping,
        handling_charge: Charge::none(sek),
        payment_method: Some("card".to_owned()),
        payments: vec![Payment {
            id: "9".into(),
            kind: PaymentKind::Authorisation,
            status: PaymentStatus::Success,
            reference: Some("pi_3Nk".to_owned()),
            method: Some("card".to_owned()),
            amount: net.plus(tax).unwrap(),
            at: start(),
        }],
        totals: Totals { net, tax, gross: net.plus(tax).unwrap() },
        comment: None,
        weight_grams: None,
        dispatch_by: None,
    }
}

/// How far an order gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Captured,
    Confirmed,
    Unmapped,
}

/// An order that got so far; the exception that holds it, if one does.
pub(crate) async fn place(app: &App, order: Order, at: Timestamp, fate: Fate) -> Option<ExceptionId> {
    app.store
        .write(move |tx| {
            let key = order.number.clone();
            let new = NewRecord {
                brand: brand(),
                connection: "shop".into(),
                capture: None,
                version: Some(order.updated_at),
                record: order.into(),
                problems: Vec::new(),
                received_at: at,
            };
            let Recorded::Revision(record, revision) = tx.put_record(&new)? else {
                return Ok(None);
            };
            let flow = FlowName::from("orders");
            let owed = NewObligation {
                brand: brand(),
                flow: flow.clone(),
                kind: Kind::Order,
                key: key.clone(),
                record,
                revision,
                captured_at: at,
            };
            let id = tx.owe(&owed, at)?;
            let later = |ms| at + Duration::from_millis(ms);
            tx.tell(id, "capture", "captured", &format!("revision {revision} from shop"), at)?;
            match fate {
                Fate::Captured => {}
                Fate::Confirmed => {
                    let mut values = Values::default();
                    values.set("item", "sku=COAT-42", "4711");
                    tx.step(id, Event::Clear, &Step { values: Some(values), ..Step::default() }, later(12))?;
                    tx.tell(id, "gate", "cleared", "", later(12))?;
                    tx.step(id, Event::Claim, &Step::default(), later(20))?;
                    tx.tell(id, "deliver", "throttled", "create order: the system limits us", later(60))?;
                    let target = ExternalId::new(format!("80{key}"));
                    tx.step(id, Event::Answer, &Step { target: Some(target.clone()), ..Step::default() }, later(700))?;
                    tx.tell(id, "deliver", "delivered", &format!("create order so_{key}: {target}"), later(700))?;
                    tx.bind(&brand(), &"books".into(), Kind::Order, &key, &target, later(700))?;
                    tx.step(id, Event::Confirm, &Step::default(), later(1_240))?;
                    tx.tell(id, "confirm", "confirmed", "read back and equal", later(1_240))?;
                    tx.add_calls(&brand(), &"books".into(), "orders", 2)?;
                    tx.add_calls(&brand(), &"shop".into(), "orders", 1)?;
                }
                Fate::Unmapped => {
                    let problem = Lookup::new("shipping_item", &[("market", "2"), ("method", "express")], "shipping_method")
                        .label("Express")
                        .missing();
                    let exception = tx.raise(&brand(), &flow, &problem, later(15))?;
                    tx.step(id, Event::Hold, &Step { exception: Some(exception), ..Step::default() }, later(15))?;
                    tx.tell(id, "gate", "held", &problem.message, later(15))?;
                    return Ok(Some(exception));
                }
            }
            Ok(None)
        })
        .await
        .unwrap()
}

/// A SKU that looks like a page of ours.
pub(crate) const REHEARSE: &str = "rehearse";

/// A flow of stock of the sample: places 21 and 22 of the books are the warehouses 9 and 8 of a shop.
fn stock_setup(name: &str, to: &str, places: &str) -> StockSetup {
    let settings: StockSettings =
        toml::from_str(&format!("from = \"books\"\nto = \"{to}\"\nwarehouses = {{ {places} }}\n")).unwrap();
    settings.setup(&name.into())
}

pub(crate) fn stock_of(flow: &str) -> Of {
    Of { brand: brand(), flow: flow.into() }
}

/// The exceptions of stock in the sample.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Snags {
    pub(crate) guard: ExceptionId,
    pub(crate) not_taken: ExceptionId,
    pub(crate) drift: ExceptionId,
    pub(crate) no_source: ExceptionId,
    pub(crate) duplicate: ExceptionId,
}

fn level(sku: &str, place: &str, on_hand: i64, committed: i64, as_of: Timestamp) -> StockLevel {
    StockLevel {
        sku: Sku::new(sku),
        location: LocationId::new(place),
        item: ExternalId::new(format!("i-{sku}")),
        as_of,
        changed_at: None,
        on_hand,
        committed,
        back_ordered: 0,
        pending_approval: 0,
        available: on_hand - committed,
        incoming: 0,
        active: true,
        unit_value: Some(Money::from_minor(19_900, Currency::from_code("EUR").unwrap())),
        categories: Vec::new(),
    }
}

fn claim(sku: &str, place: &str, version: i64, net: i64, promised: i64, at: Timestamp) -> Claim {
    Claim {
        place: LocationId::new(place),
        sku: Sku::new(sku),
        version,
        units: net - 1 + promised,
        terms: Terms { net, as_of: at, not_taken_in: 0, buffer: 1, buffer_rule: "1 unit".to_owned() },
        shown: Shown { units: net - 1 + promised, promised, at },
    }
}

/// Two flows that write to warehouses with the same id, at two shops, and something of everything that can be the
/// matter with stock. `more` SKUs are added at each warehouse, so that lists have several pages.
pub(crate) async fn stocked(more: usize) -> (Arc<App>, Arc<ManualClock>, Snags) {
    let stocks = vec![
        stock_setup("stock", "shop", "\"21\" = \"9\", \"22\" = \"8\""),
        stock_setup("clearance", "outlet", "\"23\" = \"9\""),
    ];
    let (app, clock) = with(stocks, &[], Vec::new()).await;
    let later = |seconds| start() + Duration::from_secs(seconds);
    let snags = app
        .store
        .write(move |tx| {
            let (stock, clearance) = (stock_of("stock"), stock_of("clearance"));
            let mut skus: Vec<String> =
                ["COAT-42", "SCARF-1", "HAT-3", "GHOST-1", "TWIN-1", REHEARSE, NAUGHTY].map(str::to_owned).to_vec();
            skus.extend((0..more).map(|number| format!("MORE-{number:04}")));
            for (of, from, to) in [(&stock, "21", "9"), (&stock, "22", "8"), (&clearance, "23", "9")] {
                for sku in &skus {
                    let listed = StockLevel { item: ExternalId::new(format!("s-{sku}")), ..level(sku, to, 11, 0, start()) };
                    tx.stock_listed(of, &listed, 1)?;
                    let version = tx.stock_figure(of, &to.into(), &Sku::new(sku))?.unwrap().version;
                    if sku == "GHOST-1" {
                        tx.stock_leave(of, &to.into(), &Sku::new(sku), version, Shown { units: 11, promised: 0, at: later(1) })?;
                        continue;
                    }
                    let source = level(sku, from, 14, 2, start());
                    tx.stock_level(of, &source, "snapshot", None, Some(&to.into()), start())?;
                    let due = tx.stock_figure(of, &to.into(), &Sku::new(sku))?.unwrap();
                    tx.stock_agree(of, &[claim(sku, to, due.version, 12, 3, later(1))], later(2))?;
                }
                tx.stock_proven(of, &from.into(), later(2), Some(skus.len() as u64))?;
                tx.stock_keep_flow(
                    of,
                    &StockFlowRow { read_back_at: Some(later(3)), window_ms: Some(1_500), pass: 1, ..StockFlowRow::default() },
                )?;
            }
            let flow = FlowName::from("stock");
            let standing = |rule: &str, value: Option<&str>, cause: &str| {
                let mut problem = Problem::new(rule, "places.9", format!("{rule} at 9"), "See the rows below.").cause(cause);
                problem.value = value.map(str::to_owned);
                problem
            };
            // Two units sold over the counter, then a reading that says that nothing is left of two items.
            tx.stock_level(&stock, &level("COAT-42", "21", 12, 2, later(4)), "push", Some(later(2)), None, later(4))?;
            let guard = tx.raise_standing(&brand(), &flow, &standing("stock.guard", None, "21"), later(5))?;
            tx.stock_hold_level(&stock, &level("COAT-42", "21", 0, 0, later(5)), guard)?;
            tx.stock_hold_level(&stock, &level("SCARF-1", "21", 15, 2, later(5)), guard)?;
            // A figure that the shop does not take.
            let hat = (LocationId::new("9"), Sku::new("HAT-3"));
            tx.stock_due_again(&stock, &hat.0, &hat.1, later(6))?;
            let version = tx.stock_figure(&stock, &hat.0, &hat.1)?.unwrap().version;
            tx.stock_claim(&stock, &[claim("HAT-3", "9", version, 7, 3, later(6))], later(6))?;
            let not_taken = tx.raise(&brand(), &flow, &standing("stock.not_taken", Some("HAT-3"), "9:HAT-3"), later(7))?;
            tx.stock_hold(&stock, &hat.0, &hat.1, not_taken)?;
            // Somebody else writes to the second warehouse.
            let drift = tx.raise_standing(&brand(), &flow, &standing("stock.drift", None, "8:foreign_write"), later(8))?;
            let new = NewDrift { place: "8".into(), sku: Sku::new("COAT-42"), cause: "foreign_write", expected: 14, shown: 40 };
            tx.stock_drift(&stock, &new, drift, later(8))?;
            let no_source = tx.raise_standing(&brand(), &flow, &standing("stock.no_source", None, "9"), later(8))?;
            let duplicate =
                tx.raise_standing(&brand(), &flow, &standing("stock.duplicate_sku", Some("TWIN-1"), "TWIN-1"), later(8))?;
            Ok(Snags { guard, not_taken, drift, no_source, duplicate })
        })
        .await
        .unwrap();
    clock.advance(Duration::from_secs(20));
    (app, clock, snags)
}
