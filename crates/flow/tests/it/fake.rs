//! Two systems in memory: a shop that sells and books that keep, with every mischief a network
//! and a vendor are capable of, all of it drawn from one seed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rust_decimal::Decimal;
use selvedge_connector::{
    Arrival, Connection, Cursor, Decoded, Encoded, Enumerated, EnumeratedPage, Fault, Feed, FeedPage, Found, Page, Priority, Raw,
    Receipt, Request, Session, SessionConfig, Sink, Source, Standing, clock::ManualClock,
};
use selvedge_flow::{CaptureSetup, Engine, FlowSetup, Setup};
use selvedge_model::{
    Brand, ConnectionName, Currency, ExternalId, FlowName, Interval, Kind, Money, Order, Problem, Record, RecordKey, Sku,
    compare::Carries,
    gate::{Lookup, Values, rules::OrderPolicy},
    records::{Address, Charge, LineKind, Named, OrderLine, OrderStatus, TaxLine, TaxMode, Totals},
};
use selvedge_store::Store;
use tokio::sync::oneshot;

use crate::stock::{Shelf, Stock, Window};

pub fn start() -> Timestamp {
    "2026-02-03T09:00:00Z".parse().unwrap()
}

/// An order of one line; `units` is what edits change.
pub fn order(number: u32, units: u32, updated_at: Timestamp) -> Order {
    let sek = Currency::from_code("SEK").unwrap();
    let money = |minor: i64| Money::from_minor(minor, sek);
    let (net, tax) = (money(i64::from(units) * 10_000), money(i64::from(units) * 2_500));
    let address = Address {
        first_name: Some("Åsa".into()),
        last_name: Some("Ö'Neil".into()),
        line1: Some("Gatan 1".into()),
        postcode: Some("111 22".into()),
        city: Some("Stockholm".into()),
        country: Some("SE".into()),
        ..Address::default()
    };
    Order {
        number: RecordKey::new(number.to_string()),
        id: ExternalId::new(number.to_string()),
        placed_at: start(),
        updated_at,
        placed_on: jiff::civil::date(2026, 2, 3),
        status: OrderStatus::Confirmed,
        holds: Vec::new(),
        internal: false,
        currency: sek,
        tax_mode: TaxMode::Added,
        store: Named { id: "1".into(), name: "Web".into() },
        market: Named { id: "1".into(), name: "Sweden".into() },
        customer: None,
        billing: Some(address.clone()),
        shipping: Some(address),
        lines: vec![OrderLine {
            id: ExternalId::new("1"),
            kind: LineKind::Product,
            bundle: None,
            recipe: None,
            sku: Sku::new(format!("SKU-{}", number % 3)),
            name: "Coat".into(),
            quantity: units,
            cancelled: 0,
            unit_net: Decimal::from(100),
            net,
            tax,
            taxes: vec![TaxLine { name: "VAT".into(), rate: Decimal::from(25), amount: tax }],
        }],
        discounts: Vec::new(),
        shipping_method: None,
        shipping_charge: Charge::none(sek),
        handling_charge: Charge::none(sek),
        payment_method: None,
        payments: Vec::new(),
        totals: Totals { net, tax, gross: net.plus(tax).unwrap() },
        comment: None,
        weight_grams: None,
        dispatch_by: None,
    }
}

/// How bad the world is, in percent per call.
#[derive(Clone, Copy, Debug)]
pub struct Mischief {
    pub percent: u32,
}

pub(crate) struct World {
    /// What the shelf and the shop window have, where stock flows.
    pub(crate) stock: Option<Stock>,
    rng: StdRng,
    mischief: Mischief,
    pub(crate) orders: BTreeMap<u32, Order>,
    /// The queue of news: (event, order number), until acknowledged.
    news: Vec<(u64, u32)>,
    events: u64,
    /// The order whose write never gets an answer.
    hangs: Option<RecordKey>,
    /// Whether the books are searched before the first creation.
    looks_first: bool,
    /// What stands in the books: every document ever created, by its id.
    pub(crate) documents: BTreeMap<u32, Order>,
    writes_per_key: BTreeMap<RecordKey, u32>,
    /// Documents that another integration made, under keys of its own.
    foreign: BTreeSet<u32>,
    /// Whether a write fails the test.
    read_only: bool,
    /// Whether any call fails the test.
    silent: bool,
    /// Whoever is told that a page is being read, and for whose word it waits.
    page: Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>,
    /// See [`Fake::stops_at_an_answer`].
    answer: Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>,
    /// Whether a page is refused for good.
    refuses_pages: bool,
}

/// The two systems.
#[derive(Clone)]
pub struct Fake {
    pub(crate) world: Arc<Mutex<World>>,
    pub clock: Arc<ManualClock>,
}

pub(crate) enum Mood {
    Fine,
    /// Nothing happened, and the caller knows.
    Before(Fault),
    /// It happened, and the caller does not know.
    After,
}

impl Fake {
    /// Somebody else has entered this order in the books, which are searched before anything is entered.
    pub fn entered_by_hand(&self, order: Order) {
        let mut world = self.world.lock().unwrap();
        world.looks_first = true;
        world.documents.insert(7, order);
    }

    /// Another integration has entered this order in the books, under a key of its own.
    pub fn entered_by_another(&self, order: Order) {
        let mut world = self.world.lock().unwrap();
        let id = world.documents.keys().max().copied().unwrap_or(100) + 7;
        world.documents.insert(id, order);
        world.foreign.insert(id);
    }

    /// From now on a write fails the test.
    pub fn read_only(&self, read_only: bool) {
        self.world.lock().unwrap().read_only = read_only;
    }

    /// The next page that is read tells so, and waits for a word.
    pub fn stops_at_a_page(&self) -> (oneshot::Receiver<()>, oneshot::Sender<()>) {
        let (tells, told) = oneshot::channel();
        let (go, waits) = oneshot::channel();
        self.world.lock().unwrap().page = Some((tells, waits));
        (told, go)
    }

    /// The next answer with documents is ready, tells so, and waits for a word before it leaves.
    pub fn stops_at_an_answer(&self) -> (oneshot::Receiver<()>, oneshot::Sender<()>) {
        let (tells, told) = oneshot::channel();
        let (go, waits) = oneshot::channel();
        self.world.lock().unwrap().answer = Some((tells, waits));
        (told, go)
    }

    /// Changes an order within the same tick of the shop's clock, unmentioned by the queue of news.
    pub fn change_at_once(&self, number: u32, change: impl FnOnce(&mut Order)) {
        let mut world = self.world.lock().unwrap();
        if let Some(order) = world.orders.get_mut(&number) {
            change(order);
        }
    }

    /// Whether pages are refused from now on.
    pub fn refuses_pages(&self, refuses: bool) {
        self.world.lock().unwrap().refuses_pages = refuses;
    }

    /// From now on any call fails the test.
    pub fn silent(&self, silent: bool) {
        self.world.lock().unwrap().silent = silent;
    }

    pub fn new(seed: u64, percent: u32) -> Self {
        let world = World {
            stock: None,
            rng: StdRng::seed_from_u64(seed),
            mischief: Mischief { percent },
            orders: BTreeMap::new(),
            news: Vec::new(),
            events: 0,
            hangs: None,
            looks_first: false,
            documents: BTreeMap::new(),
            writes_per_key: BTreeMap::new(),
            foreign: BTreeSet::new(),
            read_only: false,
            silent: false,
            page: None,
            answer: None,
            refuses_pages: false,
        };
        Self { world: Arc::new(Mutex::new(world)), clock: Arc::new(ManualClock::at(start())) }
    }

    pub fn behave(&self) {
        self.world.lock().unwrap().mischief.percent = 0;
    }

    pub fn hang(&self, number: u32) {
        self.world.lock().unwrap().hangs = Some(RecordKey::new(number.to_string()));
    }

    pub fn place(&self, number: u32, units: u32) {
        let now = selvedge_connector::Clock::now(self.clock.as_ref());
        let mut world = self.world.lock().unwrap();
        world.orders.insert(number, order(number, units, now));
        world.tell(number);
    }

    pub fn change(&self, number: u32, change: impl FnOnce(&mut Order)) {
        // The shop's clock has a resolution; a change never has the date of the one before.
        self.clock.advance(Duration::from_secs(1));
        let now = selvedge_connector::Clock::now(self.clock.as_ref());
        let mut world = self.world.lock().unwrap();
        if let Some(order) = world.orders.get_mut(&number) {
            change(order);
            order.updated_at = now;
            world.tell(number);
        }
    }

    /// Changes a document in the books behind our back.
    pub fn tamper(&self, number: u32, change: impl FnOnce(&mut Order)) {
        let mut world = self.world.lock().unwrap();
        let key = RecordKey::new(number.to_string());
        if let Some(document) = world.documents.values_mut().find(|d| d.number == key) {
            change(document);
        }
    }

    pub fn orders(&self) -> Vec<Order> {
        self.world.lock().unwrap().orders.values().cloned().collect()
    }

    pub fn documents(&self) -> Vec<Order> {
        self.world.lock().unwrap().documents.values().cloned().collect()
    }

    /// Puts an order into the shop that the queue of news never mentions.
    pub fn place_silently(&self, number: u32, units: u32) {
        let now = selvedge_connector::Clock::now(self.clock.as_ref());
        self.world.lock().unwrap().orders.insert(number, order(number, units, now));
    }

    /// Whether there is no news left to read.
    pub fn quiet(&self) -> bool {
        self.world.lock().unwrap().news.is_empty()
    }

    pub fn draw(&self, below: u32) -> u32 {
        self.world.lock().unwrap().rng.random_range(0..below)
    }

    pub async fn engine(&self, store: Store, policy: OrderPolicy) -> Arc<Engine> {
        Arc::new(Engine::new(self.setup(store, policy)).unwrap())
    }

    /// What the engine is made of.
    pub fn setup(&self, store: Store, policy: OrderPolicy) -> Setup {
        let session = |name: &str| Session::new(SessionConfig::named(name), self.clock.clone());
        let keeps_stock = self.world.lock().unwrap().stock.is_some();
        let shop = Connection {
            order_source: Some(Arc::new(self.clone())),
            feed: Some(Arc::new(self.clone())),
            stock_source: keeps_stock.then(|| Arc::new(Window(self.clone())) as _),
            stock_sink: keeps_stock.then(|| Arc::new(Window(self.clone())) as _),
            ..Connection::empty("shop", session("shop"))
        };
        let mirror: Arc<dyn Source<Order>> = Arc::new(Books(self.clone()));
        let books = Connection {
            order_source: Some(mirror),
            order_sink: Some(Arc::new(Books(self.clone()))),
            stock_source: keeps_stock.then(|| Arc::new(Shelf(self.clone())) as _),
            ..Connection::empty("books", session("books"))
        };
        Setup {
            brand: Brand::from("nordvik"),
            store,
            clock: self.clock.clone(),
            seed: 1,
            connections: BTreeMap::from([(ConnectionName::from("shop"), shop), (ConnectionName::from("books"), books)]),
            captures: vec![CaptureSetup {
                from: ConnectionName::from("shop"),
                kind: Kind::Order,
                since: start(),
                feed_every: Some(Duration::from_secs(1)),
                poll_every: None,
                poll_overlap: Duration::from_secs(60),
                poll_lag: Duration::ZERO,
                sweep_every: None,
                sweep_back: Duration::from_secs(86_400),
                notice_grace: Duration::from_secs(5),
            }],
            flows: vec![FlowSetup {
                name: FlowName::from("orders"),
                kind: Kind::Order,
                from: ConnectionName::from("shop"),
                to: ConnectionName::from("books"),
                mode: Default::default(),
                policy,
                preparation: Default::default(),
                shipments: Default::default(),
                credits: selvedge_flow::CreditPolicy::default(),
                products: Default::default(),
                watch_every: None,
                parallel: 4,
                unanswered_wait: Duration::from_secs(5),
                retries_max: 1_000,
                backoff_first: Duration::from_secs(1),
                backoff_max: Duration::from_secs(30),
            }],
            stocks: self.stocks(),
            lists_every: Duration::from_secs(600),
            preflight: None,
            halves: selvedge_flow::HalvesSetup::default(),
            pairs: Vec::new(),
            desk: selvedge_flow::DeskSetup::default(),
            silence: None,
            alerts: selvedge_flow::AlertSetup::default(),
            webhooks: Vec::new(),
        }
    }

    pub(crate) fn mood(&self, write: bool) -> Mood {
        let mut world = self.world.lock().unwrap();
        assert!(!world.silent, "a call left");
        let percent = world.mischief.percent;
        if world.rng.random_range(0..100) >= percent {
            return Mood::Fine;
        }
        let what = "call".to_owned();
        match world.rng.random_range(0..4) {
            0 => Mood::Before(Fault::Throttled { what, wait: Some(Duration::from_secs(3)) }),
            1 => Mood::Before(Fault::Transient { what, source: None }),
            2 if write => Mood::After,
            // Lost on the way there: the caller knows as little as after a lost answer.
            3 if write => Mood::Before(Fault::Unanswered { what, source: None }),
            _ => Mood::Before(Fault::Transient { what, source: None }),
        }
    }
}

impl World {
    pub(crate) fn tell(&mut self, number: u32) {
        // Sometimes twice.
        for _ in 0..=u32::from(self.rng.random_range(0..10) == 0) {
            self.events += 1;
            self.news.push((self.events, number));
        }
    }
}

fn raw_of(order: &Order, id: ExternalId) -> Raw {
    Raw { kind: Kind::Order, id, version: Some(order.updated_at), body: serde_json::to_vec(order).unwrap().into() }
}

fn decoded(raw: &Raw) -> Decoded<Order> {
    match serde_json::from_slice::<Order>(&raw.body) {
        Ok(order) => Decoded::of(Some(order), Vec::new()),
        Err(error) => Decoded::of(None, vec![Problem::new("decode.order", "", error.to_string(), "Mend it at the shop.")]),
    }
}

#[async_trait]
impl Source<Order> for Fake {
    fn decode(&self, raw: &Raw, _words: &Values) -> Decoded<Order> {
        decoded(raw)
    }
    async fn list(&self, _interval: &Interval, _page: Option<&Cursor>) -> Result<Page, Fault> {
        Ok(Page::default())
    }
    async fn enumerate(&self, interval: &Interval, page: Option<&Cursor>) -> Result<EnumeratedPage, Fault> {
        let stop = self.world.lock().unwrap().page.take();
        if let Some((tells, waits)) = stop {
            tells.send(()).unwrap();
            waits.await.unwrap();
        }
        if self.world.lock().unwrap().refuses_pages {
            return Err(Fault::Refused { what: "enumerate".to_owned(), problems: Vec::new() });
        }
        if let Mood::Before(fault) = self.mood(false) {
            return Err(fault);
        }
        let after: u32 = page.map_or(0, |cursor| cursor.0.parse().unwrap());
        let world = self.world.lock().unwrap();
        let items: Vec<Enumerated> = world
            .orders
            .range(after + 1..)
            .filter(|(_, o)| interval.contains(o.updated_at) || o.updated_at == interval.to)
            .take(3)
            .map(|(_, o)| Enumerated { id: o.id.clone(), key: Some(o.key()), version: Some(o.updated_at) })
            .collect();
        let next = (items.len() == 3).then(|| Cursor(items.last().unwrap().id.0.clone()));
        Ok(EnumeratedPage { items, next })
    }
    async fn fetch(&self, ids: &[ExternalId], _priority: Priority) -> Result<Vec<Raw>, Fault> {
        if let Mood::Before(fault) = self.mood(false) {
            return Err(fault);
        }
        let (read, stop) = {
            let mut world = self.world.lock().unwrap();
            let orders = ids.iter().filter_map(|id| world.orders.get(&id.0.parse::<u32>().ok()?));
            (orders.map(|o| raw_of(o, o.id.clone())).collect(), world.answer.take())
        };
        if let Some((tells, waits)) = stop {
            tells.send(()).unwrap();
            waits.await.unwrap();
        }
        Ok(read)
    }
    fn fetch_max(&self) -> usize {
        5
    }
}

#[async_trait]
impl Feed for Fake {
    fn kinds(&self) -> &'static [Kind] {
        &[Kind::Order]
    }

    async fn next(&self, wanted: &[Kind]) -> Result<FeedPage, Fault> {
        if let Mood::Before(fault) = self.mood(false) {
            return Err(fault);
        }
        let world = self.world.lock().unwrap();
        if world.stock.as_ref().is_some_and(|stock| stock.mute) {
            return Err(Fault::Transient { what: "read the news".to_owned(), source: None });
        }
        let page: Vec<(u64, u32)> = world.news.iter().take(4).copied().collect();
        let mut arrivals: Vec<Arrival> =
            page.iter().filter_map(|(_, n)| world.orders.get(n)).map(|o| Arrival::Document(raw_of(o, o.id.clone()))).collect();
        // The shop's queue tells of more than anybody takes.
        assert_eq!(wanted, [Kind::Order]);
        if !page.is_empty() {
            arrivals.push(Arrival::Document(Raw { kind: Kind::Return, id: "unasked".into(), version: None, body: "{}".into() }));
            arrivals.push(Arrival::Notice { kind: Kind::Return, id: "unasked".into() });
        }
        Ok(FeedPage { arrivals, receipts: page.iter().map(|(event, _)| event.to_string()).collect(), more: page.len() == 4 })
    }
    async fn acknowledge(&self, receipts: &[String]) -> Result<(), Fault> {
        let mood = self.mood(true);
        if let Mood::Before(fault) = mood {
            return Err(fault);
        }
        let done: Vec<u64> = receipts.iter().map(|r| r.parse().unwrap()).collect();
        self.world.lock().unwrap().news.retain(|(event, _)| !done.contains(event));
        match mood {
            Mood::After => Err(Fault::Unanswered { what: "acknowledge".into(), source: None }),
            _ => Ok(()),
        }
    }
}

/// The other system: it keeps orders under ids of its own and refuses a key that it has.
#[derive(Clone)]
struct Books(Fake);

#[async_trait]
impl Source<Order> for Books {
    fn decode(&self, raw: &Raw, _words: &Values) -> Decoded<Order> {
        decoded(raw)
    }
    async fn list(&self, _interval: &Interval, _page: Option<&Cursor>) -> Result<Page, Fault> {
        Ok(Page::default())
    }
    async fn enumerate(&self, _interval: &Interval, _page: Option<&Cursor>) -> Result<EnumeratedPage, Fault> {
        Ok(EnumeratedPage::default())
    }
    async fn fetch(&self, ids: &[ExternalId], _priority: Priority) -> Result<Vec<Raw>, Fault> {
        if let Mood::Before(fault) = self.0.mood(false) {
            return Err(fault);
        }
        let world = self.0.world.lock().unwrap();
        Ok(ids.iter().filter_map(|id| Some(raw_of(world.documents.get(&id.0.parse::<u32>().ok()?)?, id.clone()))).collect())
    }
    fn fetch_max(&self) -> usize {
        1
    }
}

#[async_trait]
impl Sink<Order> for Books {
    fn lookups(&self, order: &Order) -> Vec<Lookup> {
        order.lines.iter().map(|line| Lookup::new("item", &[("sku", line.sku.as_str())], "lines.sku")).collect()
    }
    fn needs(&self, _order: &Order) -> Option<selvedge_connector::Need> {
        None
    }
    fn encode(&self, order: &Order, values: &Values, there: Standing<'_>) -> Result<Encoded, Vec<Problem>> {
        assert!(
            order.lines.iter().all(|l| values.one("item", "sku", l.sku.as_str()).is_some()),
            "encoded before the gate had answered every lookup"
        );
        let existing = there.own;
        if let Some(existing) = existing
            && decoded(existing).record.is_some_and(|there| Order { updated_at: order.updated_at, ..there } == *order)
        {
            return Ok(Encoded::Nothing);
        }
        Ok(Encoded::Put(Request {
            what: format!("put order {}", order.number),
            method: if existing.is_some() { "PATCH" } else { "POST" }.into(),
            path: String::new(),
            body: serde_json::to_value(order).unwrap(),
            update: existing.map(|raw| raw.id.clone()),
            unfinished: false,
        }))
    }
    async fn find(&self, record: &Order) -> Result<Option<Found>, Fault> {
        let key = &record.number;
        if let Mood::Before(fault) = self.0.mood(false) {
            return Err(fault);
        }
        let world = self.0.world.lock().unwrap();
        let ours = world.documents.iter().filter(|(id, _)| !world.foreign.contains(id));
        Ok(ours.into_iter().find(|(_, o)| o.number == *key).map(|(id, _)| Found { id: ExternalId::new(id.to_string()) }))
    }
    async fn find_alike(&self, record: &Order) -> Result<Vec<Found>, Fault> {
        if let Mood::Before(fault) = self.0.mood(false) {
            return Err(fault);
        }
        let world = self.0.world.lock().unwrap();
        let theirs = world.documents.iter().filter(|(id, o)| world.foreign.contains(id) && o.number == record.number);
        Ok(theirs.map(|(id, _)| Found { id: ExternalId::new(id.to_string()) }).collect())
    }
    fn looks_first(&self) -> bool {
        self.0.world.lock().unwrap().looks_first
    }
    async fn put(&self, request: &Request) -> Result<Receipt, Fault> {
        assert!(!self.0.world.lock().unwrap().read_only, "a write left: {}", request.what);
        let mood = self.0.mood(true);
        if let Mood::Before(fault) = mood {
            return Err(fault);
        }
        let order: Order = serde_json::from_value(request.body.clone()).unwrap();
        let hangs = self.0.world.lock().unwrap().hangs.clone();
        if hangs.as_ref() == Some(&order.number) {
            std::future::pending::<()>().await;
        }
        let mut world = self.0.world.lock().unwrap();
        *world.writes_per_key.entry(order.number.clone()).or_default() += 1;
        let id = match &request.update {
            Some(id) => id.0.parse::<u32>().unwrap(),
            // No uniqueness here on purpose: a second creation would stand, and the test would see it.
            None => world.documents.keys().max().copied().unwrap_or(100) + 7,
        };
        let now = selvedge_connector::Clock::now(self.0.clock.as_ref());
        world.promises_change(id, &order, now);
        world.documents.insert(id, order);
        match mood {
            Mood::After => Err(Fault::Unanswered { what: request.what.clone(), source: None }),
            _ => Ok(Receipt { id: Some(ExternalId::new(id.to_string())), warnings: Vec::new() }),
        }
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
