//! One order at two warehouses: what is taken back from one of them, and what both ship of one item.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use selvedge_connector::{Clock, Connection, Session, SessionConfig, clock::ManualClock};
use selvedge_flow::{Engine, FlowSetup, PickSetup, Preparation, Setup};
use selvedge_model::{
    Brand, ConnectionName, FlowName, Kind, Money, Order, Shipment,
    compare::Carries,
    records::{OrderLine, OrderStatus, ShipmentLine, ShipmentStatus, shipment_key},
    routing::{Route, RouteBy},
};
use selvedge_store::Store;

use crate::{
    fake::{order, start},
    journey::{assert_balance, brand},
    keeper::{Keeper, capture, flow, key},
};

struct World {
    clock: Arc<ManualClock>,
    shop: Keeper<Order>,
    told: Keeper<Shipment>,
    picks: BTreeMap<&'static str, Keeper<Order>>,
    parcels: BTreeMap<&'static str, Keeper<Shipment>>,
    store: Store,
    engine: Arc<Engine>,
}

const PLACES: [&str; 2] = ["east", "west"];

/// What begins with E ships from the east, everything else from the west.
async fn world() -> World {
    let clock = Arc::new(ManualClock::at(start()));
    let carries = Carries { status: true, ..Carries::default() };
    let (shop, told) = (Keeper::<Order>::new(&clock, carries), Keeper::<Shipment>::new(&clock, carries));
    let session = |name: &str| Session::new(SessionConfig::named(name), clock.clone());
    let of_shop = Connection {
        order_source: Some(Arc::new(shop.clone())),
        shipment_source: Some(Arc::new(told.clone())),
        shipment_sink: Some(Arc::new(told.clone())),
        ..Connection::empty("shop", session("shop"))
    };
    let mut connections = BTreeMap::from([(ConnectionName::from("shop"), of_shop)]);
    let (mut picks, mut parcels) = (BTreeMap::new(), BTreeMap::new());
    let route = |name: &str, to: &str, skus: &[&str]| Route {
        name: name.to_owned(),
        to: vec![FlowName::new(format!("to-{to}"))],
        by: RouteBy::Line,
        in_stock: false,
        markets: Vec::new(),
        countries: Vec::new(),
        methods: Vec::new(),
        skus: skus.iter().map(|sku| (*sku).to_owned()).collect(),
        collections: Vec::new(),
    };
    let routes = vec![route("east", "east", &["E*"]), route("the rest", "west", &[])];
    let mut captures = vec![capture("shop", Kind::Order)];
    let mut flows = Vec::new();
    for place in PLACES {
        let (pick, parcel) = (Keeper::<Order>::new(&clock, carries), Keeper::<Shipment>::new(&clock, carries));
        connections.insert(
            ConnectionName::from(place),
            Connection {
                order_source: Some(Arc::new(pick.clone())),
                order_sink: Some(Arc::new(pick.clone())),
                shipment_source: Some(Arc::new(parcel.clone())),
                ..Connection::empty(place, session(place))
            },
        );
        picks.insert(place, pick);
        parcels.insert(place, parcel);
        captures.push(capture(place, Kind::Shipment));
        let preparation = Preparation::Pick(PickSetup { routes: routes.clone(), ..PickSetup::default() });
        flows.push(FlowSetup { preparation, ..flow(&format!("to-{place}"), Kind::Order, "shop", place) });
        flows.push(flow(&format!("from-{place}"), Kind::Shipment, place, "shop"));
    }
    let store = Store::open("sqlite::memory:").await.unwrap();
    let setup = Setup {
        brand: Brand::from("nordvik"),
        store: store.clone(),
        clock: clock.clone(),
        seed: 1,
        connections,
        captures,
        flows,
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
    World { clock, shop, told, picks, parcels, store, engine: Arc::new(Engine::new(setup).unwrap()) }
}

impl World {
    async fn work(&self) {
        for _ in 0..12 {
            self.engine.tick().await.unwrap();
            assert_balance(&self.engine).await;
            self.clock.advance(Duration::from_secs(2));
        }
    }

    /// An order of one unit of each SKU.
    fn placed(&self, skus: &[&str]) -> Order {
        let one = order(1, 1, start());
        let line = |(at, sku): (usize, &&str)| OrderLine {
            id: (at + 1).to_string().as_str().into(),
            sku: (*sku).into(),
            ..one.lines[0].clone()
        };
        let lines: Vec<OrderLine> = skus.iter().enumerate().map(line).collect();
        let times = |money: Money| Money::from_minor(money.minor() * i64::try_from(lines.len()).unwrap(), money.currency());
        let totals = selvedge_model::records::Totals {
            net: times(one.totals.net),
            tax: times(one.totals.tax),
            gross: times(one.totals.gross),
        };
        Order { lines, totals, updated_at: self.clock.now(), ..one }
    }

    fn ship(&self, place: &'static str, sku: &str) {
        let shipment = Shipment {
            key: shipment_key("1", place, "s"),
            id: "s".into(),
            order: key("1"),
            status: ShipmentStatus::Shipped,
            shipped_at: None,
            updated_at: self.clock.now(),
            warehouse: None,
            lines: vec![ShipmentLine { order_line: None, sku: sku.into(), quantity: 1 }],
            short: Vec::new(),
            parcels: Vec::new(),
            captured: None,
            bundles: Vec::new(),
        };
        self.parcels[place].set("s", shipment);
    }

    async fn held(&self) -> Vec<String> {
        let rows = self.store.read(|view| view.exceptions(&brand(), false)).await.unwrap();
        rows.into_iter().map(|row| row.problem.cause).collect()
    }
}

#[tokio::test]
async fn what_an_order_no_longer_wants_of_a_warehouse_is_taken_back_from_it() {
    let world = world().await;
    world.shop.set("1", world.placed(&["E-1", "W-1"]));
    world.work().await;
    let skus = |place: &str| -> Vec<(OrderStatus, Vec<String>)> {
        let of = |order: Order| (order.status, order.lines.into_iter().map(|line| line.sku.0).collect());
        world.picks[place].records().into_iter().map(of).collect()
    };
    assert_eq!(skus("east"), [(OrderStatus::Confirmed, vec!["E-1".to_owned()])]);
    // The shop no longer tells a line that was cancelled whole.
    let mut rest = world.placed(&["E-1", "W-1"]);
    rest.lines.remove(0);
    let one = world.placed(&["W-1"]);
    world.shop.set("1", Order { totals: one.totals, updated_at: world.clock.now(), ..rest });
    world.work().await;
    assert_eq!(skus("east")[0].0, OrderStatus::Cancelled, "it would ship what nobody wants");
    assert_eq!(skus("west"), [(OrderStatus::Confirmed, vec!["W-1".to_owned()])]);
    assert_eq!(world.held().await, [] as [&str; 0]);
}

#[tokio::test]
async fn two_warehouses_that_ship_one_item_are_given_a_line_each() {
    let world = world().await;
    world.shop.set("1", world.placed(&["W-1", "W-1"]));
    world.work().await;
    for place in PLACES {
        world.ship(place, "W-1");
    }
    world.work().await;
    let mut lines: Vec<String> =
        world.told.records().iter().map(|one| one.lines[0].order_line.as_ref().unwrap().to_string()).collect();
    lines.sort();
    assert_eq!((lines, world.held().await), (vec!["1".to_owned(), "2".to_owned()], Vec::new()));
    // There is no third unit.
    let more = Shipment { key: shipment_key("1", "east", "t"), id: "t".into(), ..world.parcels["east"].records().remove(0) };
    world.parcels["east"].set("t", more);
    world.work().await;
    assert_eq!((world.told.records().len(), world.held().await.len()), (2, 1));
}

#[tokio::test]
async fn a_parcel_that_is_told_of_before_its_order_goes_on_when_the_order_comes() {
    let world = world().await;
    world.ship("west", "W-1");
    for _ in 0..12 {
        world.work().await;
        world.clock.advance(Duration::from_secs(200));
    }
    assert_eq!(world.held().await, ["shipment.order_unknown:1"]);
    world.shop.set("1", world.placed(&["W-1"]));
    world.work().await;
    assert_eq!((world.told.records().len(), world.held().await), (1, Vec::new()));
}
