//! Orders that are promised to leave: late, in parts, short, and called off.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::{civil::Time, tz::TimeZone};
use selvedge_connector::{Clock, Connection, Session, SessionConfig, clock::ManualClock};
use selvedge_flow::{Engine, FlowSetup, PickSetup, Preparation, Setup, actions::Actions};
use selvedge_model::{
    Brand, ConnectionName, Kind, Order, Shipment,
    compare::Carries,
    dispatch::{Calendar, Promise},
    records::{OrderStatus, ShipmentLine, ShipmentStatus, Shortage, shipment_key},
};
use selvedge_store::Store;

use crate::{
    fake::{order, start},
    journey::brand,
    keeper::{Keeper, capture, flow, key},
};

struct World {
    clock: Arc<ManualClock>,
    shop: Keeper<Order>,
    parcels: Keeper<Shipment>,
    store: Store,
    engine: Arc<Engine>,
}

async fn world() -> World {
    let clock = Arc::new(ManualClock::at(start()));
    let (shop, picks) = (Keeper::<Order>::new(&clock, Carries::default()), Keeper::<Order>::new(&clock, Carries::default()));
    let parcels = Keeper::<Shipment>::new(&clock, Carries::default());
    let session = |name: &str| Session::new(SessionConfig::named(name), clock.clone());
    let of_shop = Connection { order_source: Some(Arc::new(shop.clone())), ..Connection::empty("shop", session("shop")) };
    let of_wms = Connection {
        order_source: Some(Arc::new(picks.clone())),
        order_sink: Some(Arc::new(picks)),
        shipment_source: Some(Arc::new(parcels.clone())),
        ..Connection::empty("wms", session("wms"))
    };
    // Placed on a Tuesday at ten in Stockholm: to leave the same day by six.
    let promise = Promise {
        markets: vec![],
        methods: vec![],
        countries: vec![],
        cutoff: Time::constant(14, 0, 0, 0),
        days: 0,
        by: Time::constant(18, 0, 0, 0),
    };
    let calendar = Calendar { zone: TimeZone::get("Europe/Stockholm").unwrap(), ..Calendar::default() };
    let pick = PickSetup { promises: vec![promise], calendar, ..PickSetup::default() };
    let store = Store::open("sqlite::memory:").await.unwrap();
    let setup = Setup {
        brand: Brand::from("nordvik"),
        store: store.clone(),
        clock: clock.clone(),
        seed: 1,
        connections: BTreeMap::from([(ConnectionName::from("shop"), of_shop), (ConnectionName::from("wms"), of_wms)]),
        captures: vec![capture("shop", Kind::Order), capture("wms", Kind::Shipment)],
        flows: vec![FlowSetup { preparation: Preparation::Pick(pick), ..flow("picks", Kind::Order, "shop", "wms") }],
        stocks: Vec::new(),
        lists_every: Duration::from_secs(600),
        preflight: None,
        halves: selvedge_flow::HalvesSetup::default(),
        pairs: Vec::new(),
        desk: selvedge_flow::DeskSetup::default(),
        silence: None,
        alerts: selvedge_flow::AlertSetup::default(),
        webhooks: Vec::new(),
    };
    World { clock, shop, parcels, store, engine: Arc::new(Engine::new(setup).unwrap()) }
}

impl World {
    async fn work(&self) {
        for _ in 0..10 {
            self.engine.tick().await.unwrap();
            self.clock.advance(Duration::from_secs(2));
        }
    }

    /// Works until so many hours have passed since the start, then some more.
    async fn at_hour(&self, hour: i64) {
        self.work().await;
        self.clock.set(start() + jiff::SignedDuration::from_hours(hour));
        self.work().await;
    }

    fn ship(&self, id: &str, of: u32, units: u32, short: Vec<Shortage>) {
        let shipment = Shipment {
            key: shipment_key(&of.to_string(), "wms", id),
            id: id.into(),
            order: key(&of.to_string()),
            status: ShipmentStatus::Shipped,
            shipped_at: None,
            updated_at: self.clock.now(),
            warehouse: None,
            lines: vec![ShipmentLine { order_line: None, sku: format!("SKU-{}", of % 3).as_str().into(), quantity: units }],
            short,
            parcels: Vec::new(),
            captured: None,
            bundles: Vec::new(),
        };
        self.parcels.set(id, shipment);
    }

    async fn open(&self) -> Vec<(String, u64, Vec<String>)> {
        let rows = self.store.read(|view| view.exceptions(&brand(), false)).await.unwrap();
        rows.into_iter().map(|row| (row.problem.cause, row.count, row.money.iter().map(ToString::to_string).collect())).collect()
    }
}

fn overdue(count: u64, money: &str) -> (String, u64, Vec<String>) {
    ("shipment.overdue:wms".to_owned(), count, vec![money.to_owned()])
}

#[tokio::test]
async fn late_orders_are_one_exception_with_their_money_that_closes_as_they_leave() {
    let world = world().await;
    for (number, units) in [(1, 2), (2, 1), (3, 4)] {
        world.shop.set(&number.to_string(), order(number, units, start()));
    }
    world.at_hour(1).await;
    world.ship("s-3", 3, 4, Vec::new());
    world.ship("s-1a", 1, 1, Vec::new());
    // Eighteen o'clock there is seventeen here; it began at nine.
    world.at_hour(7).await;
    assert_eq!(world.open().await, []);
    world.at_hour(8).await;
    assert_eq!(world.open().await, [overdue(2, "375.00 SEK")]);
    world.ship("s-1b", 1, 1, Vec::new());
    world.work().await;
    assert_eq!(world.open().await, [overdue(1, "125.00 SEK")]);
    world.ship("s-2", 2, 1, Vec::new());
    world.work().await;
    assert_eq!(world.open().await, []);
    let all = world.store.read(|view| view.exceptions(&brand(), true)).await.unwrap();
    assert_eq!(all.len(), 1, "it was there, and closed on evidence");
}

#[tokio::test]
async fn a_parcel_that_was_taken_back_has_not_left() {
    let world = world().await;
    world.shop.set("1", order(1, 1, start()));
    world.at_hour(1).await;
    world.ship("s-1", 1, 1, Vec::new());
    world.at_hour(2).await;
    assert!(world.store.read(|view| view.promises_of_order(&brand(), &key("1"))).await.unwrap().is_empty());
    // Then nobody waits for it any more: the shipment that was taken back is an exception of its own.
    let world2 = self::world().await;
    world2.shop.set("1", order(1, 1, start()));
    world2.at_hour(1).await;
    world2.ship("s-1", 1, 1, Vec::new());
    world2.parcels.change("s-1", |shipment| shipment.status = ShipmentStatus::Cancelled);
    world2.at_hour(9).await;
    assert_eq!(world2.open().await, [overdue(1, "125.00 SEK")]);
}

#[tokio::test]
async fn an_order_that_will_never_be_whole_is_told_at_once_and_a_cancelled_one_never() {
    let world = world().await;
    for number in [1, 2] {
        world.shop.set(&number.to_string(), order(number, 3, start()));
    }
    world.at_hour(1).await;
    let gone =
        Shortage { order_line: None, sku: "SKU-1".into(), quantity: Some(1), is_final: true, reason: "out of stock".into() };
    world.ship("s-1", 1, 2, vec![gone]);
    world.work().await;
    assert_eq!(world.open().await, [("shipment.short:wms SKU-1".to_owned(), 1, vec!["375.00 SEK".to_owned()])]);
    world.shop.change("2", |order| {
        order.status = OrderStatus::Cancelled;
        order.updated_at = start() + jiff::SignedDuration::from_hours(2);
    });
    world.at_hour(20).await;
    assert_eq!(world.open().await.len(), 1, "nobody waits for a cancelled order");
    // The shop takes the unit off: the order is whole.
    world.shop.set("1", Order { updated_at: world.clock.now(), ..order(1, 2, start()) });
    world.at_hour(21).await;
    assert_eq!(world.open().await, []);
}

#[tokio::test]
async fn a_warehouse_that_ships_nothing_at_all_says_so_at_once() {
    let world = world().await;
    world.shop.set("1", order(1, 1, start()));
    world.at_hour(1).await;
    let gone = Shortage { order_line: None, sku: "SKU-1".into(), quantity: None, is_final: true, reason: "cancelled".into() };
    world.ship("s-1", 1, 1, vec![gone]);
    world.parcels.change("s-1", |shipment| (shipment.status, shipment.lines) = (ShipmentStatus::Open, Vec::new()));
    world.work().await;
    assert_eq!(world.open().await, [("shipment.short:wms SKU-1".to_owned(), 1, vec!["125.00 SEK".to_owned()])]);
    assert!(world.engine.settled().await.unwrap(), "nothing is in flight for ever");
}

#[tokio::test]
async fn whoever_lets_a_late_order_go_is_not_told_again() {
    let world = world().await;
    world.shop.set("1", order(1, 1, start()));
    world.at_hour(9).await;
    let id = world.store.read(|view| view.exceptions(&brand(), false)).await.unwrap()[0].id;
    let actions = Actions { store: world.store.clone(), brand: brand(), clock: world.clock.clone(), actor: "anna".into() };
    assert_eq!(actions.dismiss(id, "the parcel was lost").await.unwrap(), 1);
    world.at_hour(30).await;
    assert_eq!(world.open().await, []);
}
