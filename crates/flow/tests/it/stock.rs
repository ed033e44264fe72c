//! Stock between a shelf and a shop window: whatever happens, the window never shows what the shelf had
//! not left when it was last read, but for what other channels took since; and when the world stands
//! still, both show the same.
//!
//! `SELVEDGE_SEED=17 cargo test -p selvedge-flow --test it stock` replays one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use selvedge_connector::{
    Clock, Cursor, Fault, Figure, Finding, LevelPage, Priority, Receipt, Request, StockSink, StockSource, Wanted,
};
use selvedge_flow::{Engine, Foreign, StockSetup};
use selvedge_model::{
    ConnectionName, ExternalId, FlowName, Kind, Kit, KitPart, LocationId, Problem, Sku, StockLevel,
    gate::rules::OrderPolicy,
    records::OrderStatus,
    stock::{guard, pace},
};
use selvedge_store::{
    Store,
    stock::{FigureState, Of},
};
use serde_json::json;

use crate::{
    fake::{Fake, Mood, World, order},
    journey::{assert_balance, brand, map_items},
};

/// What a fake keeps of stock.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stock {
    /// Units on the shelf and when they, or what is promised of them, last changed.
    on_hand: BTreeMap<String, i64>,
    changed_at: BTreeMap<String, Timestamp>,
    /// Physical units as the window has them.
    physical: BTreeMap<String, i64>,
    /// Orders that have left the shelf, and those of them that the window knows to have left.
    left: BTreeSet<u32>,
    /// Units that others took, when.
    taken: Vec<(Timestamp, String, i64)>,
    /// Kits of the shelf.
    kits: Vec<Kit>,
    /// How long an order may be missing from the shelf's figures.
    lag: Duration,
    /// Documents that changed: when it shows in the figures, and what they promised before.
    shows_at: BTreeMap<u32, (Timestamp, i64)>,
    /// Writes that are still under way after nobody waits for their answer, and when they come in.
    late: Vec<(Timestamp, String, i64)>,
    /// How many units the window lists in vain: its answers leave this SKU out of a write.
    deaf_to: Option<String>,
    /// Rows of this SKU cannot be read, on neither side.
    torn: Option<String>,
    /// The shelf tells nobody anything.
    shut: bool,
    /// The window tells no news of orders.
    pub(crate) mute: bool,
    writes: u64,
}

impl Stock {
    /// What cannot be read of these rows, and the rest.
    fn tear(&self, levels: impl Iterator<Item = StockLevel>) -> (Vec<StockLevel>, Vec<(ExternalId, Problem)>) {
        let (torn, levels): (Vec<_>, Vec<_>) = levels.partition(|level| self.torn.as_deref() == Some(level.sku.as_str()));
        let problem = Problem::new("stock.unreadable", "row", "half a row", "Report it.");
        (levels, torn.into_iter().map(|level| (level.item, problem.clone())).collect())
    }
}

impl Stock {
    /// The figures of an item change at an instant, which may lie ahead.
    fn moves(&mut self, sku: &str, at: Timestamp) {
        let last = self.changed_at.entry(sku.to_owned()).or_insert(at);
        *last = at.max(*last);
    }
}

const SKUS: [&str; 3] = ["SKU-0", "SKU-1", "SKU-2"];

fn place() -> LocationId {
    LocationId::new("9")
}

fn shelf() -> LocationId {
    LocationId::new("21")
}

fn of() -> Of {
    Of { brand: brand(), flow: FlowName::from("stock") }
}

/// What a document promises.
fn promised_by(order: &selvedge_model::Order) -> i64 {
    if order.status == OrderStatus::Cancelled { 0 } else { i64::from(order.lines[0].quantity) }
}

impl World {
    fn units_of(&self, number: u32) -> (String, i64) {
        let order = &self.orders[&number];
        let line = &order.lines[0];
        (line.sku.0.clone(), i64::from(line.quantity))
    }

    /// What the shop has promised: live orders that it does not know to have left.
    fn promised(&self, sku: &str) -> i64 {
        let live =
            |status: OrderStatus| matches!(status, OrderStatus::Pending | OrderStatus::Confirmed | OrderStatus::Processing);
        self.orders.values().filter(|o| live(o.status) && o.lines[0].sku.0 == sku).map(|o| i64::from(o.lines[0].quantity)).sum()
    }

    fn window_free(&self, sku: &str) -> i64 {
        let physical = self.stock.as_ref().unwrap().physical.get(sku).copied().unwrap_or(0);
        physical - self.promised(sku)
    }

    /// What the books show as promised: documents that are neither cancelled nor left, some time after they were saved.
    fn committed(&self, sku: &str, now: Timestamp) -> i64 {
        let stock = self.stock.as_ref().unwrap();
        let units = |(id, o): (&u32, &selvedge_model::Order)| match stock.shows_at.get(id) {
            Some((at, before)) if *at > now => *before,
            _ => promised_by(o),
        };
        let here =
            |o: &selvedge_model::Order| o.lines[0].sku.0 == sku && !stock.left.contains(&o.number.0.parse::<u32>().unwrap());
        self.documents.iter().filter(|(_, o)| here(o)).map(units).sum()
    }

    /// A document of the books is about to promise other units than before.
    pub(crate) fn promises_change(&mut self, id: u32, order: &selvedge_model::Order, now: Timestamp) {
        let before = self.documents.get(&id).map_or(0, promised_by);
        if let Some(stock) = &mut self.stock {
            let at = now.checked_add(stock.lag * (id % 4) / 4).unwrap();
            stock.shows_at.insert(id, (at, before));
            stock.moves(&order.lines[0].sku.0, at);
        }
    }

    /// Writes that were under way come in.
    fn land(&mut self, now: Timestamp) {
        let Some(stock) = &mut self.stock else { return };
        let (landed, later) = std::mem::take(&mut stock.late).into_iter().partition(|(at, ..)| *at <= now);
        stock.late = later;
        for (_, sku, units) in landed {
            let promised = self.promised(&sku);
            self.stock.as_mut().unwrap().physical.insert(sku, units.max(promised));
        }
    }

    fn describe(&self, sku: &str) -> String {
        let stock = self.stock.as_ref().unwrap();
        let mut lines = vec![format!("on the shelf {}, in the window {}", stock.on_hand[sku], stock.physical[sku])];
        for (number, order) in self.orders.iter().filter(|(_, o)| o.lines[0].sku.0 == sku) {
            let document = self.documents.values().find(|d| d.number == order.number).map(|d| (d.status, d.lines[0].quantity));
            let left = stock.left.contains(number);
            lines.push(format!(
                "order {number}: {} units, {:?}, in the books {document:?}, left {left}",
                order.lines[0].quantity, order.status
            ));
        }
        lines.join("\n")
    }

    /// What is really left: on the shelf, less every order that somebody placed and that has not left.
    fn truth(&self, sku: &str) -> i64 {
        let stock = self.stock.as_ref().unwrap();
        let waits = |(number, o): &(&u32, &selvedge_model::Order)| {
            o.status != OrderStatus::Cancelled && !stock.left.contains(number) && o.lines[0].sku.0 == sku
        };
        let wanted: i64 = self.orders.iter().filter(waits).map(|(_, o)| i64::from(o.lines[0].quantity)).sum();
        stock.on_hand.get(sku).copied().unwrap_or(0) - wanted
    }
}

impl Fake {
    pub fn with_stock(self, units: i64) -> Self {
        let on_hand: BTreeMap<String, i64> = SKUS.iter().map(|sku| ((*sku).to_owned(), units)).collect();
        let now = self.clock.now();
        let changed_at = SKUS.iter().map(|sku| ((*sku).to_owned(), now)).collect();
        let physical = SKUS.iter().map(|sku| ((*sku).to_owned(), 0)).collect();
        self.world.lock().unwrap().stock = Some(Stock { on_hand, changed_at, physical, ..Stock::default() });
        self
    }

    pub fn stocks(&self) -> Vec<StockSetup> {
        if self.world.lock().unwrap().stock.is_none() {
            return Vec::new();
        }
        vec![StockSetup {
            name: FlowName::from("stock"),
            from: ConnectionName::from("books"),
            to: ConnectionName::from("shop"),
            places: BTreeMap::from([(shelf(), place())]),
            pace: pace::Pace {
                least: Duration::from_secs(2),
                most: Duration::from_secs(20),
                peak_most: Duration::from_secs(20),
                throttled_most: Duration::from_secs(60),
                answers: 3,
                peaks: Vec::new(),
            },
            poll_overlap: Duration::from_secs(5),
            snapshot_every: Duration::from_secs(600),
            read_back_every: Duration::from_secs(120),
            buffers: Vec::new(),
            guard: guard::Rules::default(),
            settle_wait: Duration::from_secs(5),
            attempts_max: 1_000,
            foreign: Foreign::Revert,
        }]
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A shopper wants other units of an order, if the window still shows enough.
    fn edit(&self, number: u32, units: u32) {
        let (sku, before) = self.world.lock().unwrap().units_of(number);
        if self.window(&sku) < i64::from(units) - before {
            return;
        }
        self.change(number, |o| *o = order(number, units, o.updated_at));
        let now = self.now();
        let mut world = self.world.lock().unwrap();
        // Of an order that was never seen nobody knows what it wanted before: like a cancellation, it shows until it is heard.
        let unseen = world.documents.values().all(|document| document.number.0 != number.to_string());
        if i64::from(units) < before && (unseen || world.truth(&sku) < before - i64::from(units)) {
            world.stock.as_mut().unwrap().taken.push((now, sku, before - i64::from(units)));
        }
    }

    /// A shopper buys, if the window still shows enough.
    fn buy(&self, number: u32, units: u32) -> bool {
        let sku = format!("SKU-{}", number % 3);
        if self.world.lock().unwrap().window_free(&sku) < i64::from(units) {
            return false;
        }
        self.place(number, units);
        true
    }

    /// Somebody takes units off the shelf, or brings some.
    fn move_shelf(&self, sku: &str, by: i64) {
        let now = self.now();
        let mut world = self.world.lock().unwrap();
        let stock = world.stock.as_mut().unwrap();
        let units = stock.on_hand.entry(sku.to_owned()).or_default();
        *units += by;
        stock.moves(sku, now);
        if by < 0 {
            stock.taken.push((now, sku.to_owned(), -by));
        }
    }

    /// An order that the books have leaves the shelf; the shop hears of it only by `arrive`.
    fn ship(&self, number: u32) {
        let now = self.now();
        let mut world = self.world.lock().unwrap();
        let known = world.documents.values().any(|o| o.number.0 == number.to_string() && o.status != OrderStatus::Cancelled);
        let same = world.orders.get(&number).is_some_and(|o| {
            world.documents.values().any(|d| d.number == o.number && d.lines[0].quantity == o.lines[0].quantity)
                && matches!(o.status, OrderStatus::Confirmed)
        });
        if !known || !same || world.stock.as_ref().unwrap().left.contains(&number) {
            return;
        }
        let (sku, units) = world.units_of(number);
        let stock = world.stock.as_mut().unwrap();
        stock.left.insert(number);
        *stock.on_hand.get_mut(&sku).unwrap() -= units;
        stock.moves(&sku, now);
    }

    /// The shop completes the shipment of an order that has left.
    fn arrive(&self, number: u32) {
        let now = self.now();
        let left = {
            let world = self.world.lock().unwrap();
            world.stock.as_ref().unwrap().left.contains(&number)
                && world.orders.get(&number).is_some_and(|o| o.status == OrderStatus::Confirmed)
        };
        if left {
            {
                let mut world = self.world.lock().unwrap();
                let (sku, units) = world.units_of(number);
                let stock = world.stock.as_mut().unwrap();
                *stock.physical.get_mut(&sku).unwrap() -= units;
                // A shipment that the shop completes between our look and our write is the one thing that a
                // physical figure cannot carry: it shows until it was read back.
                stock.taken.push((now, sku, units));
            }
            self.change(number, |o| o.status = OrderStatus::Shipped);
        }
    }

    /// The shop ships an order by itself, whatever the books know of it: they have its units on the shelf until they do.
    fn ship_unheard(&self, number: u32) {
        let now = self.now();
        {
            let mut world = self.world.lock().unwrap();
            let (sku, units) = world.units_of(number);
            let stock = world.stock.as_mut().unwrap();
            *stock.physical.get_mut(&sku).unwrap() -= units;
            stock.taken.push((now, sku, units));
        }
        self.change(number, |o| o.status = OrderStatus::Shipped);
    }

    fn cancel(&self, number: u32) {
        self.change(number, |o| o.status = OrderStatus::Cancelled);
        let now = self.now();
        let mut world = self.world.lock().unwrap();
        let (sku, units) = world.units_of(number);
        if world.truth(&sku) < units {
            // More was promised than there is: what is let go of shows until the cancellation is heard.
            world.stock.as_mut().unwrap().taken.push((now, sku, units));
        }
    }

    pub fn window(&self, sku: &str) -> i64 {
        self.world.lock().unwrap().window_free(sku)
    }

    fn truth(&self, sku: &str) -> i64 {
        self.world.lock().unwrap().truth(sku)
    }
}

/// The books' side: what is left on the shelf.
#[derive(Clone)]
pub(crate) struct Shelf(pub Fake);

#[async_trait]
impl StockSource for Shelf {
    async fn levels(
        &self,
        wanted: Wanted<'_>,
        places: &[LocationId],
        page: Option<&Cursor>,
        _priority: Priority,
    ) -> Result<LevelPage, Fault> {
        let as_of = self.0.now();
        if let Mood::Before(fault) = self.0.mood(false) {
            return Err(fault);
        }
        assert_eq!(places, [shelf()]);
        if self.0.world.lock().unwrap().stock.as_ref().unwrap().shut {
            let problem = Problem::new("target.refused", "", "you may not see locations", "Grant it.");
            return Err(Fault::Refused { what: "read the shelf".to_owned(), problems: vec![problem] });
        }
        let after = page.map(|cursor| cursor.0.clone()).unwrap_or_default();
        let world = self.0.world.lock().unwrap();
        let stock = world.stock.as_ref().unwrap();
        let mut skus: Vec<&String> = stock.on_hand.keys().filter(|sku| **sku > after).collect();
        match wanted {
            Wanted::Everything => {}
            Wanted::Since(since) => skus.retain(|sku| stock.changed_at[*sku] >= since),
            Wanted::Items(items) => skus.retain(|sku| items.iter().any(|item| item.0 == format!("i-{sku}"))),
        }
        let next = (skus.len() > 2).then(|| Cursor(skus[1].clone()));
        skus.truncate(2);
        let levels = skus.into_iter().map(|sku| StockLevel {
            sku: Sku::new(sku.clone()),
            location: shelf(),
            item: ExternalId::new(format!("i-{sku}")),
            as_of,
            changed_at: Some(stock.changed_at[sku]),
            on_hand: stock.on_hand[sku],
            committed: world.committed(sku, as_of).min(stock.on_hand[sku].max(0)),
            back_ordered: (world.committed(sku, as_of) - stock.on_hand[sku].max(0)).max(0),
            pending_approval: 0,
            available: (stock.on_hand[sku] - world.committed(sku, as_of)).max(0),
            incoming: 0,
            active: true,
            unit_value: None,
            categories: Vec::new(),
        });
        let (levels, unread) = stock.tear(levels);
        Ok(LevelPage { levels, unread, next })
    }
    fn items_max(&self) -> usize {
        100
    }
    async fn kits(&self) -> Result<Vec<Kit>, Fault> {
        Ok(self.0.world.lock().unwrap().stock.as_ref().unwrap().kits.clone())
    }
    fn commit_lag(&self) -> Duration {
        self.0.world.lock().unwrap().stock.as_ref().unwrap().lag
    }
}

/// The shop's side: what the window shows.
#[derive(Clone)]
pub(crate) struct Window(pub Fake);

#[async_trait]
impl StockSource for Window {
    async fn levels(
        &self,
        wanted: Wanted<'_>,
        _places: &[LocationId],
        _page: Option<&Cursor>,
        _priority: Priority,
    ) -> Result<LevelPage, Fault> {
        let as_of = self.0.now();
        if let Mood::Before(fault) = self.0.mood(false) {
            return Err(fault);
        }
        let mut world = self.0.world.lock().unwrap();
        world.land(as_of);
        let stock = world.stock.as_ref().unwrap();
        let skus = stock.physical.keys().filter(|sku| match wanted {
            Wanted::Items(items) => items.iter().any(|item| item.0 == format!("s-{sku}")),
            _ => true,
        });
        let levels = skus.map(|sku| StockLevel {
            sku: Sku::new(sku.clone()),
            location: place(),
            item: ExternalId::new(format!("s-{sku}")),
            as_of,
            changed_at: None,
            on_hand: stock.physical[sku],
            committed: world.promised(sku),
            back_ordered: 0,
            pending_approval: 0,
            available: world.window_free(sku),
            incoming: 0,
            active: true,
            unit_value: None,
            categories: Vec::new(),
        });
        let (levels, unread) = stock.tear(levels);
        Ok(LevelPage { levels, unread, next: None })
    }
    fn items_max(&self) -> usize {
        100
    }
    async fn kits(&self) -> Result<Vec<Kit>, Fault> {
        Ok(Vec::new())
    }
    fn commit_lag(&self) -> Duration {
        Duration::ZERO
    }
}

#[async_trait]
impl StockSink for Window {
    fn batch_max(&self) -> usize {
        2
    }
    fn encode(&self, _place: &LocationId, figures: &[Figure]) -> Request {
        let rows: Vec<_> = figures.iter().map(|figure| json!([figure.sku.as_str(), figure.units])).collect();
        Request {
            what: "set".into(),
            method: "POST".into(),
            path: String::new(),
            body: json!(rows),
            update: None,
            unfinished: false,
        }
    }
    async fn put(&self, request: &Request) -> Result<Receipt, Fault> {
        let mood = self.0.mood(true);
        if let Mood::Before(fault) = mood {
            return Err(fault);
        }
        let now = self.0.now();
        let late = self.0.draw(5);
        let mut world = self.0.world.lock().unwrap();
        world.land(now);
        for row in request.body.as_array().unwrap() {
            let (sku, units) = (row[0].as_str().unwrap(), row[1].as_i64().unwrap());
            assert!(units >= 0);
            if matches!(mood, Mood::After) && late > 0 {
                // Nobody heard of it, and it comes in later, over whatever stands there by then.
                let at = now.checked_add(Duration::from_secs(u64::from(late))).unwrap();
                world.stock.as_mut().unwrap().late.push((at, sku.to_owned(), units));
                continue;
            }
            // What is promised is lifted to silently.
            let promised = world.promised(sku);
            let stock = world.stock.as_mut().unwrap();
            if stock.deaf_to.as_deref() != Some(sku) {
                stock.physical.insert(sku.to_owned(), units.max(promised));
            }
            stock.writes += 1;
        }
        match mood {
            Mood::After => Err(Fault::Unanswered { what: "set".into(), source: None }),
            _ => Ok(Receipt { id: None, warnings: Vec::new() }),
        }
    }
    async fn draws(&self) -> Result<BTreeMap<String, Vec<LocationId>>, Fault> {
        Ok(BTreeMap::from([("1".to_owned(), vec![place()])]))
    }
    async fn inspect(&self, _places: &[LocationId]) -> Vec<Finding> {
        Vec::new()
    }
}

struct Run {
    fake: Fake,
    file: std::path::PathBuf,
    engine: Arc<Engine>,
    /// Until when each figure that stands was last known to be right.
    sure: BTreeMap<String, Timestamp>,
}

impl Run {
    async fn crash(&mut self) {
        let store = Store::open(self.file.to_str().unwrap()).await.unwrap();
        self.engine = self.fake.engine(store, OrderPolicy::default()).await;
        self.engine.recover().await.unwrap();
    }

    async fn tick(&mut self) {
        if self.engine.tick().await.is_err() {
            self.crash().await;
        }
        assert_balance(&self.engine).await;
        self.look().await;
    }

    /// The window never shows more than what is left, but for what others took since the shelf was read.
    async fn look(&mut self) {
        let figures =
            self.engine.setup().store.read(|view| view.stock_figures(&of(), &place(), None, "", "", 100)).await.unwrap();
        for row in figures {
            let sku = row.sku.0.clone();
            if row.state == FigureState::Agreed
                && let Some(terms) = &row.terms
            {
                self.sure.insert(sku.clone(), terms.as_of);
            }
            let Some(sure) = self.sure.get(&sku) else { continue };
            let world = self.fake.world.lock().unwrap();
            let taken: i64 =
                world.stock.as_ref().unwrap().taken.iter().filter(|(at, s, _)| at >= sure && *s == sku).map(|(_, _, n)| n).sum();
            let (shows, left) = (world.window_free(&sku), world.truth(&sku));
            assert!(
                shows <= left.max(0) + taken,
                "{sku}: the window shows {shows}, {left} are left, others took {taken} since {sure}; {row:?}\n{}",
                world.describe(&sku)
            );
        }
    }
}

#[tokio::test]
async fn whatever_happens_the_window_never_shows_what_is_not_left() {
    let seeds = match std::env::var("SELVEDGE_SEED") {
        Ok(seed) => vec![seed.parse().expect("SELVEDGE_SEED is a number")],
        Err(_) => (0..12).collect::<Vec<u64>>(),
    };
    for seed in seeds {
        if let Err(error) = tokio::spawn(simulate(seed)).await {
            panic!("seed {seed} failed: {error}\nreplay: SELVEDGE_SEED={seed} cargo test -p selvedge-flow --test it stock");
        }
    }
}

async fn simulate(seed: u64) {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::new(seed, 20).with_stock(12);
    let file = folder.path().join("s.db");
    let store = Store::open(file.to_str().unwrap()).await.unwrap();
    fake.world.lock().unwrap().stock.as_mut().unwrap().lag = Duration::from_secs(seed % 3 * 15);
    map_items(&store, &fake, &[0, 1, 2]).await;
    let engine = fake.engine(store, OrderPolicy::default()).await;
    engine.recover().await.unwrap();
    let mut run = Run { fake: fake.clone(), file, engine, sure: BTreeMap::new() };
    let mut placed = 0;
    for _ in 0..120 {
        match fake.draw(16) {
            0..=3 => {
                if fake.buy(placed + 1, 1 + fake.draw(3)) {
                    placed += 1;
                }
            }
            4 if placed > 0 => {
                let number = 1 + fake.draw(placed);
                let cancellable =
                    fake.orders().iter().any(|o| o.number.0 == number.to_string() && o.status == OrderStatus::Confirmed)
                        && !fake.world.lock().unwrap().stock.as_ref().unwrap().left.contains(&number);
                if cancellable {
                    fake.cancel(number);
                }
            }
            5 | 6 => fake.move_shelf(SKUS[fake.draw(3) as usize], -i64::from(1 + fake.draw(3))),
            7 => fake.move_shelf(SKUS[fake.draw(3) as usize], i64::from(1 + fake.draw(8))),
            8 if placed > 0 => fake.ship(1 + fake.draw(placed)),
            9 if placed > 0 => fake.arrive(1 + fake.draw(placed)),
            12 | 13 if placed > 0 => {
                let number = 1 + fake.draw(placed);
                let whole = fake.orders().iter().any(|o| o.number.0 == number.to_string() && o.status == OrderStatus::Confirmed)
                    && !fake.world.lock().unwrap().stock.as_ref().unwrap().left.contains(&number);
                match fake.draw(4) {
                    _ if !whole => {}
                    0 => fake.ship_unheard(number),
                    units => fake.edit(number, units),
                }
            }
            10 => run.engine.setup().store.die_after(u64::from(fake.draw(25))),
            11 => push(&run, SKUS[fake.draw(3) as usize]).await,
            _ => fake.clock.advance(Duration::from_secs(u64::from(fake.draw(15)))),
        }
        run.tick().await;
    }
    fake.behave();
    run.crash().await;
    let mut same = 0;
    for _ in 0..300 {
        run.tick().await;
        fake.clock.advance(Duration::from_secs(5));
        same = if SKUS.iter().all(|sku| fake.window(sku) == fake.truth(sku).max(0)) { same + 1 } else { 0 };
        // Equal for longer than a read-back takes to come round: it stays so.
        if same > 30 {
            break;
        }
    }
    let exceptions = run.engine.setup().store.read(|view| view.exceptions(&brand(), false)).await.unwrap();
    let exceptions: Vec<String> = exceptions.iter().map(|row| format!("{}: {}", row.problem.rule, row.problem.message)).collect();
    for sku in SKUS {
        let (shows, left) = (fake.window(sku), fake.truth(sku).max(0));
        assert_eq!(
            shows,
            left,
            "{sku} when the world stands still\n{}\n{exceptions:?}",
            fake.world.lock().unwrap().describe(sku)
        );
    }
}

/// Word of a movement, as a script at the source sends it.
async fn push(run: &Run, sku: &str) {
    let (now, item) = (run.fake.now(), ExternalId::new(format!("i-{sku}")));
    // The store may be dead just then; the next poll brings it.
    let _ = run
        .engine
        .setup()
        .store
        .write(move |tx| tx.notice(&brand(), &ConnectionName::from("books"), Kind::Stock, &item, now))
        .await;
}

async fn engine(fake: &Fake) -> (Arc<Engine>, Store) {
    let store = Store::open("sqlite::memory:").await.unwrap();
    map_items(&store, fake, &[0, 1, 2]).await;
    let engine = fake.engine(store.clone(), OrderPolicy::default()).await;
    engine.recover().await.unwrap();
    (engine, store)
}

async fn turn(engine: &Arc<Engine>, fake: &Fake, ticks: u32, seconds: u64) {
    for _ in 0..ticks {
        engine.tick().await.unwrap();
        fake.clock.advance(Duration::from_secs(seconds));
    }
}

#[tokio::test]
async fn an_order_on_its_way_is_not_sold_twice() {
    let fake = Fake::new(1, 0).with_stock(5);
    let (engine, _) = engine(&fake).await;
    turn(&engine, &fake, 10, 2).await;
    assert_eq!(fake.window("SKU-1"), 5);
    assert!(fake.buy(1, 3));
    assert_eq!(fake.window("SKU-1"), 2);
    // Taken in or not: two are left.
    for _ in 0..30 {
        turn(&engine, &fake, 1, 3).await;
        assert_eq!(fake.window("SKU-1"), 2);
    }
}

#[tokio::test]
async fn what_is_held_stays_reserved() {
    let fake = Fake::new(1, 0).with_stock(5);
    let store = Store::open("sqlite::memory:").await.unwrap();
    // Nothing is mapped: the order is held, the books never hear of it.
    let engine = fake.engine(store.clone(), OrderPolicy::default()).await;
    engine.recover().await.unwrap();
    turn(&engine, &fake, 10, 2).await;
    assert!(fake.buy(1, 3));
    fake.move_shelf("SKU-1", -1);
    turn(&engine, &fake, 40, 5).await;
    assert_eq!(fake.window("SKU-1"), 1, "four on the shelf, three of them promised");
    fake.change(1, |o| o.status = OrderStatus::Cancelled);
    turn(&engine, &fake, 40, 5).await;
    assert_eq!(fake.window("SKU-1"), 4);
}

#[tokio::test]
async fn a_kit_has_as_many_as_its_scarcest_part() {
    let fake = Fake::new(1, 0).with_stock(7);
    {
        let mut world = fake.world.lock().unwrap();
        let stock = world.stock.as_mut().unwrap();
        stock.physical.insert("KIT".to_owned(), 0);
        let part = |sku: &str, units| KitPart { sku: Sku::new(sku), units };
        stock.kits =
            vec![Kit { sku: Sku::new("KIT"), item: ExternalId::new("k"), parts: vec![part("SKU-0", 2), part("SKU-1", 1)] }];
    }
    let (engine, _) = engine(&fake).await;
    turn(&engine, &fake, 15, 2).await;
    assert_eq!(fake.window("KIT"), 3);
    fake.move_shelf("SKU-1", -6);
    turn(&engine, &fake, 15, 2).await;
    assert_eq!(fake.window("KIT"), 1);
}

#[tokio::test]
async fn a_foreign_write_is_told_and_taken_back() {
    let fake = Fake::new(1, 0).with_stock(5);
    let (engine, store) = engine(&fake).await;
    turn(&engine, &fake, 10, 2).await;
    fake.world.lock().unwrap().stock.as_mut().unwrap().physical.insert("SKU-2".to_owned(), 50);
    turn(&engine, &fake, 60, 5).await;
    assert_eq!(fake.window("SKU-2"), 5);
    let (drifts, exceptions) =
        store.read(|view| Ok((view.stock_drifts(&of(), None, None, 10)?, view.exceptions(&brand(), true)?))).await.unwrap();
    assert_eq!((drifts.len(), drifts[0].cause.as_str(), drifts[0].shown, drifts[0].expected), (1, "foreign_write", 50, 5));
    assert!(drifts[0].settled_at.is_some());
    let exception = exceptions.iter().find(|row| row.problem.rule == "stock.drift").unwrap();
    assert!(!exception.open, "it closes on evidence: {exception:?}");
    assert_eq!(policy_acts(&store).await, ["stock.revert stock: SKU-2 at 9: 50 there, 5 is ours"]);
}

/// What a policy has done by itself, as the audit trail says, the oldest first.
async fn policy_acts(store: &Store) -> Vec<String> {
    let rows = store.read(|view| view.audit_after(&brand(), 0, 100)).await.unwrap();
    let by_policy = rows.iter().filter(|act| act.actor == "policy");
    by_policy.map(|act| format!("{} {}: {}", act.action, act.subject, act.detail)).collect()
}

#[tokio::test]
async fn a_foreign_write_that_was_asked_about_is_taken_back_when_a_person_says_so() {
    let fake = Fake::new(1, 0).with_stock(5);
    let store = Store::open("sqlite::memory:").await.unwrap();
    map_items(&store, &fake, &[0, 1, 2]).await;
    let mut setup = fake.setup(store.clone(), OrderPolicy::default());
    setup.stocks[0].foreign = Foreign::Ask;
    let engine = Arc::new(Engine::new(setup).unwrap());
    turn(&engine, &fake, 60, 5).await;
    fake.world.lock().unwrap().stock.as_mut().unwrap().physical.insert("SKU-2".to_owned(), 50);
    turn(&engine, &fake, 60, 5).await;
    assert_eq!(fake.window("SKU-2"), 50, "nobody has decided");
    assert_eq!(policy_acts(&store).await, Vec::<String>::new(), "and no policy either");
    let open = store.read(|view| view.exceptions(&brand(), false)).await.unwrap();
    let drift = open.iter().find(|row| row.problem.rule == "stock.drift").unwrap().id;
    let now = fake.clock.now();
    assert_eq!(store.write(move |tx| tx.release(drift, None, now)).await.unwrap(), 1);
    turn(&engine, &fake, 60, 5).await;
    assert_eq!(fake.window("SKU-2"), 5);
    let open = store.read(|view| view.exceptions(&brand(), false)).await.unwrap();
    assert!(open.iter().all(|row| row.problem.rule != "stock.drift"), "{open:?}");

    // Raised once more, it is asked about once more.
    fake.world.lock().unwrap().stock.as_mut().unwrap().physical.insert("SKU-2".to_owned(), 70);
    turn(&engine, &fake, 60, 5).await;
    assert_eq!(fake.window("SKU-2"), 70);
}

/// A shop of forty items.
fn forty_items() -> Fake {
    let fake = Fake::new(1, 0).with_stock(5);
    {
        let mut world = fake.world.lock().unwrap();
        let stock = world.stock.as_mut().unwrap();
        for n in 3..40 {
            let sku = format!("SKU-{n:02}");
            stock.on_hand.insert(sku.clone(), 10);
            stock.changed_at.insert(sku.clone(), fake.clock.now());
            stock.physical.insert(sku, 0);
        }
    }
    fake
}

/// Everything leaves the shelf but so many units of one item.
fn empty_shelves(fake: &Fake, but: &str, left: i64) {
    let shelves = fake.world.lock().unwrap().stock.as_ref().unwrap().on_hand.clone();
    for (sku, units) in &shelves {
        fake.move_shelf(sku, if sku == but { left - units } else { -units });
    }
}

#[tokio::test]
async fn an_order_in_a_reading_that_waits_stays_taken_off() {
    let fake = forty_items();
    let (engine, store) = engine(&fake).await;
    turn(&engine, &fake, 60, 2).await;
    assert!(fake.buy(1, 3));
    // The books take it in before they are asked for their stock again.
    for _ in 0..200 {
        engine.tick().await.unwrap();
        fake.clock.advance(Duration::from_millis(20));
    }
    empty_shelves(&fake, "SKU-1", 4);
    // Past a read-back, which works every figure out anew.
    for _ in 0..200 {
        turn(&engine, &fake, 1, 2).await;
        assert_eq!(fake.window("SKU-1"), 2, "the reading that shows the order is not believed");
    }
    let guard = store.read(|view| view.exceptions(&brand(), false)).await.unwrap().remove(0);
    assert_eq!((guard.problem.rule.as_str(), guard.count), ("stock.guard", 40));
    let now = fake.clock.now();
    store.write(move |tx| tx.release(guard.id, None, now)).await.unwrap();
    turn(&engine, &fake, 80, 2).await;
    assert_eq!(fake.window("SKU-1"), 1);
}

#[tokio::test]
async fn a_feed_that_would_empty_the_shop_waits_for_a_person() {
    let fake = forty_items();
    let (engine, store) = engine(&fake).await;
    turn(&engine, &fake, 60, 2).await;
    assert_eq!(fake.window("SKU-17"), 10);
    empty_shelves(&fake, "SKU-1", 0);
    turn(&engine, &fake, 60, 2).await;
    assert_eq!(fake.window("SKU-17"), 10, "it waits");
    let exceptions = store.read(|view| view.exceptions(&brand(), false)).await.unwrap();
    let guard = exceptions.iter().find(|row| row.problem.rule == "stock.guard").unwrap();
    assert_eq!(guard.count, 40);
    assert!(guard.problem.message.contains("off sale"), "{}", guard.problem.message);
    let id = guard.id;
    let now = fake.clock.now();
    store.write(move |tx| tx.release(id, None, now)).await.unwrap();
    turn(&engine, &fake, 80, 2).await;
    assert_eq!(fake.window("SKU-17"), 0);
    assert!(store.read(|view| view.exceptions(&brand(), false)).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_figure_that_does_not_come_out_is_a_persons() {
    let fake = Fake::new(1, 0).with_stock(5);
    fake.world.lock().unwrap().stock.as_mut().unwrap().deaf_to = Some("SKU-1".to_owned());
    let store = Store::open("sqlite::memory:").await.unwrap();
    map_items(&store, &fake, &[0, 1, 2]).await;
    let engine = fake.engine(store.clone(), OrderPolicy::default()).await;
    engine.recover().await.unwrap();
    turn(&engine, &fake, 300, 30).await;
    assert_eq!((fake.window("SKU-0"), fake.window("SKU-1")), (5, 0), "the others go on");
}

#[tokio::test]
async fn a_push_needs_no_poll() {
    let fake = Fake::new(1, 0).with_stock(5);
    let (engine, store) = engine(&fake).await;
    turn(&engine, &fake, 10, 2).await;
    turn(&engine, &fake, 1, 0).await;
    fake.move_shelf("SKU-2", -4);
    let item = ExternalId::new("i-SKU-2");
    let now = fake.clock.now();
    store.write(move |tx| tx.notice(&brand(), &ConnectionName::from("books"), Kind::Stock, &item, now)).await.unwrap();
    // Less than a poll takes to fall due.
    for _ in 0..15 {
        engine.tick().await.unwrap();
        fake.clock.advance(Duration::from_millis(100));
    }
    assert_eq!(fake.window("SKU-2"), 1);
}

#[tokio::test]
async fn a_proof_is_no_reading_that_began_before_it_was_asked_for() {
    for ticks in 0..12 {
        let fake = forty_items();
        let (engine, _) = engine(&fake).await;
        turn(&engine, &fake, ticks, 1).await;
        let asked = fake.now();
        engine.prove_stock().await.unwrap();
        assert!(!engine.stock_proven_since(asked).await.unwrap());
        turn(&engine, &fake, 60, 1).await;
        assert!(engine.stock_proven_since(asked).await.unwrap(), "asked for after {ticks} turns");
    }
}

/// The rules of what is open.
async fn open(store: &Store) -> Vec<String> {
    let rows = store.read(|view| view.exceptions(&brand(), false)).await.unwrap();
    rows.into_iter().map(|row| row.problem.cause).collect()
}

fn change(fake: &Fake, to: impl FnOnce(&mut Stock)) {
    to(fake.world.lock().unwrap().stock.as_mut().unwrap());
}

#[tokio::test]
async fn a_source_that_refuses_is_told_once_and_until_it_tells_again() {
    let fake = Fake::new(1, 0).with_stock(5);
    let (engine, store) = engine(&fake).await;
    turn(&engine, &fake, 10, 2).await;
    change(&fake, |stock| stock.shut = true);
    turn(&engine, &fake, 30, 2).await;
    assert_eq!(open(&store).await, ["stock.stands_still:stock:changes"]);
    change(&fake, |stock| stock.shut = false);
    turn(&engine, &fake, 30, 2).await;
    assert_eq!(open(&store).await, [""; 0]);
}

#[tokio::test]
async fn what_could_not_be_read_is_over_when_everything_was_read_without_it() {
    let fake = Fake::new(1, 0).with_stock(5);
    let (engine, store) = engine(&fake).await;
    turn(&engine, &fake, 10, 2).await;
    change(&fake, |stock| stock.torn = Some("SKU-1".to_owned()));
    turn(&engine, &fake, 700, 2).await;
    let mut told = open(&store).await;
    told.sort();
    assert_eq!(told, ["stock.unreadable:books:i-SKU-1", "stock.unreadable:shop:s-SKU-1"]);
    change(&fake, |stock| stock.torn = None);
    turn(&engine, &fake, 700, 2).await;
    assert_eq!(open(&store).await, [""; 0]);
}

#[tokio::test]
async fn units_of_what_nobody_keeps_are_told_until_they_are_gone() {
    let fake = Fake::new(1, 0).with_stock(5);
    change(&fake, |stock| {
        stock.physical.insert("GHOST".to_owned(), 3);
    });
    let (engine, store) = engine(&fake).await;
    turn(&engine, &fake, 60, 5).await;
    assert_eq!(open(&store).await, ["stock.no_source:9"]);
    change(&fake, |stock| {
        stock.physical.insert("GHOST".to_owned(), 0);
    });
    turn(&engine, &fake, 60, 5).await;
    assert_eq!(open(&store).await, [""; 0]);
}

#[tokio::test]
async fn kits_that_are_gone_all_at_once_are_not_believed() {
    let fake = Fake::new(1, 0).with_stock(7);
    let kit = KitPart { sku: Sku::new("SKU-0"), units: 2 };
    change(&fake, |stock| {
        stock.physical.insert("KIT".to_owned(), 0);
        stock.kits = vec![Kit { sku: Sku::new("KIT"), item: ExternalId::new("k"), parts: vec![kit] }];
    });
    let (engine, _) = engine(&fake).await;
    turn(&engine, &fake, 15, 2).await;
    assert_eq!(fake.window("KIT"), 3);
    change(&fake, |stock| stock.kits.clear());
    // Long enough for kits to be asked for again.
    fake.clock.advance(Duration::from_secs(2 * 86_400));
    turn(&engine, &fake, 15, 2).await;
    fake.move_shelf("SKU-0", -4);
    turn(&engine, &fake, 30, 2).await;
    assert_eq!(fake.window("KIT"), 1);
}

#[tokio::test]
async fn a_parcel_that_leaves_while_news_is_late_is_not_counted_as_promised() {
    let fake = Fake::new(1, 0).with_stock(5);
    let (engine, _) = engine(&fake).await;
    turn(&engine, &fake, 10, 2).await;
    assert!(fake.buy(1, 3));
    turn(&engine, &fake, 30, 2).await;
    assert_eq!((fake.window("SKU-1"), fake.truth("SKU-1")), (2, 2));
    change(&fake, |stock| stock.mute = true);
    fake.move_shelf("SKU-1", -1);
    // It is looked at, and waits for news of orders.
    turn(&engine, &fake, 15, 2).await;
    fake.ship(1);
    fake.arrive(1);
    turn(&engine, &fake, 5, 2).await;
    assert_eq!((fake.window("SKU-1"), fake.truth("SKU-1")), (2, 1));
    change(&fake, |stock| stock.mute = false);
    for _ in 0..40 {
        turn(&engine, &fake, 1, 1).await;
        assert!(fake.window("SKU-1") <= 2, "three that have left are counted as promised");
    }
    assert_eq!(fake.window("SKU-1"), 1);
}
