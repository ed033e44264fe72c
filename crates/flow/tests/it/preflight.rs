//! Every value that the shop can send is looked up before an order carries it, every night and once.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use jiff::tz::TimeZone;
use selvedge_connector::{Cursor, Fault, ListEntry, ListPage, Lists, SourceValues, ValuesPage};
use selvedge_flow::{Engine, PickSetup, PreflightSetup, RouteTrial, actions::Actions};
use selvedge_model::{
    ConnectionName, Currency, Sku,
    gate::{
        preflight::{Preflight, SourceValue, ValueList, Why},
        rules::OrderPolicy,
    },
    records::Named,
    routing::{Route, dry_run::DryRun},
};
use selvedge_store::Store;

use crate::{
    fake::Fake,
    journey::{brand, map_items},
};

/// A shop that tells what it sells, two at a time, and books that list their items.
pub(crate) struct Told {
    skus: Mutex<Vec<&'static str>>,
    fails: Mutex<Option<Fault>>,
    items: Mutex<Vec<(&'static str, &'static str, bool)>>,
}

impl Told {
    /// Books that list one item.
    pub(crate) fn listing(item: (&'static str, &'static str, bool)) -> Arc<Told> {
        Arc::new(Told { skus: Mutex::default(), fails: Mutex::default(), items: Mutex::new(vec![item]) })
    }
}

const LISTS: [ValueList; 3] = [ValueList::Markets, ValueList::Currencies, ValueList::Skus];

#[async_trait]
impl SourceValues for Told {
    fn lists(&self) -> &'static [ValueList] {
        &LISTS
    }

    async fn values(&self, list: ValueList, page: Option<&Cursor>) -> Result<ValuesPage, Fault> {
        if let Some(fault) = self.fails.lock().unwrap().take() {
            return Err(fault);
        }
        Ok(match list {
            ValueList::Markets => {
                let market = Named { id: "1".into(), name: "Sweden".into() };
                ValuesPage { values: vec![SourceValue::Market { market, countries: vec!["SE".into()] }], next: None }
            }
            ValueList::Currencies => {
                let currency = Currency::from_code("SEK").unwrap();
                ValuesPage { values: vec![SourceValue::Currency { currency, countries: Vec::new() }], next: None }
            }
            _ => {
                let from: usize = page.map_or(0, |cursor| cursor.0.parse().unwrap());
                let skus = self.skus.lock().unwrap();
                let values = skus.iter().skip(from).take(2).map(|sku| SourceValue::Sku(Sku::new(*sku))).collect();
                ValuesPage { values, next: (from + 2 < skus.len()).then(|| Cursor((from + 2).to_string())) }
            }
        })
    }
}

#[async_trait]
impl Lists for Told {
    fn tables(&self) -> &'static [&'static str] {
        &["item"]
    }
    async fn list(&self, _table: &str, _page: Option<&Cursor>) -> Result<ListPage, Fault> {
        let entry =
            |(id, name, active): &(&str, &str, bool)| ListEntry { id: (*id).into(), name: (*name).into(), active: *active };
        Ok(ListPage { entries: self.items.lock().unwrap().iter().map(entry).collect(), next: None })
    }
}

struct World {
    fake: Fake,
    store: Store,
    told: Arc<Told>,
    engine: Arc<Engine>,
}

impl World {
    async fn new(zone: &str) -> World {
        let fake = Fake::new(1, 0);
        let store = Store::open("sqlite::memory:").await.unwrap();
        let told = Arc::new(Told {
            skus: Mutex::new(vec!["SKU-0", "SKU-1", "SKU-2", "NEW-9", "GONE-1"]),
            fails: Mutex::default(),
            items: Mutex::new(vec![("item-0", "SKU-0", true), ("item-1", "SKU-1", false), ("item-9", "new 9", true)]),
        });
        let mut setup = fake.setup(store.clone(), OrderPolicy::default());
        setup.connections.get_mut(&ConnectionName::from("shop")).unwrap().values = Some(told.clone());
        setup.connections.get_mut(&ConnectionName::from("books")).unwrap().lists = Some(told.clone());
        setup.preflight = Some(PreflightSetup { at: "02:30".parse().unwrap(), zone: TimeZone::get(zone).unwrap() });
        let engine = Arc::new(Engine::new(setup).unwrap());
        World { fake, store, told, engine }
    }

    async fn look(&self) -> Preflight {
        self.engine.reread_lists().await.unwrap();
        self.engine.preflight(true, true).await.unwrap().remove(0)
    }

    async fn open(&self) -> Vec<(String, String)> {
        let rows = self.store.read(|view| view.exceptions(&brand(), false)).await.unwrap();
        let mut open: Vec<_> = rows.into_iter().map(|row| (row.problem.cause, row.problem.message)).collect();
        open.retain(|(cause, _)| cause.starts_with("preflight."));
        open.sort();
        open
    }

    async fn causes(&self) -> Vec<String> {
        self.open().await.into_iter().map(|(cause, _)| cause).collect()
    }

    async fn settle(&self) {
        for _ in 0..100 {
            self.engine.tick().await.unwrap();
            self.fake.clock.advance(Duration::from_secs(2));
            if self.engine.settled().await.unwrap() && self.fake.quiet() {
                return;
            }
        }
        panic!("it does not settle");
    }
}

#[tokio::test]
async fn what_would_stop_orders_is_found_before_one_comes() {
    let world = World::new("UTC").await;
    map_items(&world.store, &world.fake, &[0, 1, 2]).await;
    // Orders of 200, 400 and 250 crowns with tax; SKU-1 and SKU-2 are carried once each.
    for (number, units) in [(1, 1), (2, 2), (3, 2)] {
        world.fake.place(number, units);
    }
    world.settle().await;
    let found = world.look().await;
    assert_eq!((found.orders, found.partial), (3, false));
    assert_eq!(found.values[&ValueList::Skus], 5);
    let gap = |key: &str| found.gaps.iter().find(|gap| gap.key == key).unwrap_or_else(|| panic!("{key}: {found:#?}"));
    // item-1 is inactive there, item-2 was never there; what is mapped to them would be refused.
    assert_eq!(gap("sku=SKU-1").why, Why::Inactive("item-1".into()));
    assert_eq!(gap("sku=SKU-1").carried.samples, ["1"]);
    assert_eq!(gap("sku=SKU-1").carried.money["SEK"].to_string(), "125.00 SEK");
    assert_eq!(gap("sku=SKU-2").why, Why::Vanished("item-2".into()));
    assert_eq!(gap("sku=NEW-9").why, Why::Missing);
    assert_eq!(gap("sku=NEW-9").carried.orders, 0);
    assert_eq!(gap("sku=NEW-9").suggestions[0].id, "item-9");
    assert_eq!(gap("sku=GONE-1").suggestions, []);
    assert_eq!(found.gaps.len(), 4, "SKU-0 is fine");
    assert!(found.gaps[0].carried.orders >= found.gaps[3].carried.orders);
    assert_eq!(
        world.causes().await,
        [
            "preflight.inactive:item:sku=SKU-1",
            "preflight.missing:item:sku=GONE-1",
            "preflight.missing:item:sku=NEW-9",
            "preflight.vanished:item:sku=SKU-2"
        ]
    );
    // Payment methods and the like are told by nobody: said, and taken from orders.
    assert!(found.unlisted[&ValueList::Taxes].contains("no list of tax rates"));

    // What is mended closes by itself with the next look; what was found anew is told in its newest words.
    let actions = Actions { store: world.store.clone(), brand: brand(), clock: world.fake.clock.clone(), actor: "anna".into() };
    actions.map(&"books".into(), "item", "sku=NEW-9", Some("item-9")).await.unwrap();
    actions.map(&"books".into(), "item", "sku=NOBODY", Some("item-0")).await.unwrap();
    actions.map(&"books".into(), "item", "sku=OLD", Some("item-7")).await.unwrap();
    world.told.items.lock().unwrap().extend([("item-1b", "x", true), ("item-2", "SKU-2", true)]);
    world.fake.clock.advance(Duration::from_secs(60));
    let found = world.look().await;
    assert_eq!(world.causes().await, ["preflight.inactive:item:sku=SKU-1", "preflight.missing:item:sku=GONE-1"]);
    let idle: Vec<_> = found.unused.iter().map(|idle| (idle.key.as_str(), idle.stands)).collect();
    assert_eq!(idle, [("sku=NOBODY", Some(true)), ("sku=OLD", Some(false))]);
    let kept = world.store.read(|view| view.preflights(&brand())).await.unwrap();
    assert_eq!(kept, [found]);
}

#[tokio::test]
async fn what_could_not_be_asked_is_not_taken_for_mended() {
    let world = World::new("UTC").await;
    world.look().await;
    assert_eq!(world.causes().await.len(), 5, "nothing is mapped, and this target never takes a name for an answer");
    world.fake.clock.advance(Duration::from_secs(60));
    tokio::time::pause();
    // The token lost a permission: that list is done without, and what orders carry stands in for it.
    let detail = "You need ProductSize:read".to_owned();
    let refuse = |world: &World| {
        *world.told.fails.lock().unwrap() = Some(Fault::Unauthorized { what: "list".into(), detail: detail.clone() });
    };
    refuse(&world);
    let found = world.look().await;
    assert!(found.unlisted[&ValueList::Markets].contains("ProductSize:read"), "{found:?}");
    assert_eq!(
        (found.gaps.len(), world.causes().await.len()),
        (0, 5),
        "without a market there is nothing to try, and nothing is proven"
    );
    // Passing trouble is waited for.
    *world.told.fails.lock().unwrap() = Some(Fault::Transient { what: "list".into(), source: None });
    let found = world.look().await;
    assert!(!found.partial && !found.unlisted.contains_key(&ValueList::Markets));
    // Without a call, nothing is kept.
    let offline = world.engine.preflight(false, false).await.unwrap().remove(0);
    assert_eq!((offline.unlisted.len(), offline.gaps.len()), (6, 0), "there are no orders to tell what is sent");
    assert_eq!(world.causes().await.len(), 5);
}

#[tokio::test]
async fn every_night_has_one_look_through_the_change_of_clocks() {
    let world = World::new("Europe/Stockholm").await;
    let looked = || async { world.store.read(|view| view.preflight_at(&brand())).await.unwrap() };
    let to = |at: &str| {
        let at: jiff::Timestamp = at.parse().unwrap();
        let now = selvedge_connector::Clock::now(world.fake.clock.as_ref());
        world.fake.clock.advance(Duration::try_from(at.duration_since(now)).unwrap());
    };
    world.engine.tick().await.unwrap();
    assert_eq!(looked().await, None, "a new system is left alone until its first night");
    // The 29th of March has no 02:30 in Stockholm; it is due as long after midnight as ever, at 01:30 UTC.
    to("2026-03-28T02:00:00Z");
    world.engine.tick().await.unwrap();
    let first = looked().await.unwrap();
    to("2026-03-29T01:29:00Z");
    world.engine.tick().await.unwrap();
    assert_eq!(looked().await, Some(first));
    to("2026-03-29T01:30:00Z");
    world.engine.tick().await.unwrap();
    let second = looked().await.unwrap();
    assert!(second > first);
    // The 25th of October has it twice.
    to("2026-10-25T00:30:00Z");
    world.engine.tick().await.unwrap();
    let third = looked().await.unwrap();
    to("2026-10-25T01:31:00Z");
    world.engine.tick().await.unwrap();
    assert_eq!(looked().await, Some(third));
    // A process that was down at that hour makes up for it once, and a new one remembers.
    to("2026-10-27T12:00:00Z");
    world.engine.tick().await.unwrap();
    world.engine.tick().await.unwrap();
    assert!(looked().await.unwrap() > third);
}

#[tokio::test]
async fn routes_are_tried_on_orders_that_were() {
    let fake = Fake::new(1, 0);
    let store = Store::open("sqlite::memory:").await.unwrap();
    map_items(&store, &fake, &[0, 1, 2]).await;
    let engine = fake.engine(store.clone(), OrderPolicy::default()).await;
    for number in 1..=6 {
        fake.place(number, number);
    }
    for _ in 0..50 {
        engine.tick().await.unwrap();
        fake.clock.advance(Duration::from_secs(2));
    }
    fake.change(6, |order| order.status = selvedge_model::records::OrderStatus::Cancelled);
    for _ in 0..10 {
        engine.tick().await.unwrap();
    }
    let before = store.read(|view| view.records(&brand(), selvedge_model::Kind::Order, "", 99)).await.unwrap().len();
    let to = |name: &str, flow: &str| Route { name: name.into(), to: vec![flow.into()], ..Route::default() };
    let setup = |routes: Vec<Route>| PickSetup { routes, ..PickSetup::default() };
    let only_one = Route { skus: vec!["SKU-1".into()], ..to("ones", "b") };
    let trial = RouteTrial {
        brand: brand(),
        from: "shop".into(),
        policy: OrderPolicy::default(),
        now: setup(vec![to("all", "a")]),
        then: setup(vec![
            only_one,
            Route { skus: vec!["SKU-2".into()], in_stock: true, ..to("stocked", "a") },
            Route { skus: vec!["SKU-0".into()], ..to("rest", "a") },
        ]),
        since: crate::fake::start(),
        samples_max: 10,
    };
    let at = selvedge_connector::Clock::now(fake.clock.as_ref());
    let run: DryRun = store
        .read(move |view| {
            let mut run = DryRun::default();
            assert_eq!(trial.page(view, &mut run, None, at)?, None);
            Ok(run)
        })
        .await
        .unwrap();
    // Orders 1 to 5 want SKU-1, 2, 0, 1, 2, as many units as their number; the sixth was cancelled.
    assert_eq!((run.orders, run.moved, run.then.without), (5, 4, 2));
    assert_eq!((run.now.shares[&"a".into()].units, run.then.shares[&"b".into()].units), (15, 5));
    assert_eq!(run.then.shares[&"a".into()].orders, 1);
    assert_eq!(run.then.shares[&"b".into()].worth["SEK"].to_string(), "625.00 SEK");
    let after = store.read(|view| view.records(&brand(), selvedge_model::Kind::Order, "", 99)).await.unwrap().len();
    assert_eq!(before, after);
}
