//! Wrongness in small worlds: what was told is what changed, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::*;
use crate::centra::stock::Figures;
use crate::data::Source;
use crate::incumbent::{Carried, Habits};
use crate::world::{World, WorldConfig};

fn config(orders: u64, folder: Option<PathBuf>) -> WorldConfig {
    WorldConfig { seed: 5, source: Source::Generated { orders }, state_dir: folder, ..WorldConfig::default() }
}

async fn world(orders: u64) -> World {
    let world = World::start(config(orders, None)).await.unwrap();
    world.finish(&Habits::default()).unwrap();
    world
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Exports(Vec<(&'static str, Vec<String>)>);

fn exports(world: &World) -> Exports {
    let (centra, netsuite) = (&world.floor_of().centra, &world.floor_of().netsuite);
    let shipments = centra.shipments().into_iter().map(|one| format!("{one:?}")).collect();
    let lines = |text: String| text.lines().map(str::to_owned).collect::<Vec<_>>();
    Exports(vec![
        ("centra documents", lines(centra.documents_csv())),
        ("centra stock", lines(centra.stock_csv())),
        ("centra returns", lines(centra.returns_csv())),
        ("centra refunds", lines(centra.refunds_csv())),
        ("centra shipments", shipments),
        ("netsuite documents", lines(netsuite.documents_csv())),
        ("netsuite fulfilments", lines(netsuite.fulfilments_csv())),
        ("netsuite returns", lines(netsuite.returns_csv())),
        ("netsuite refunds", lines(netsuite.refunds_csv())),
        ("netsuite stock", lines(netsuite.stock_csv())),
        ("netsuite heads", netsuite.behind().heads()),
    ])
}

impl Exports {
    /// What is not in the other, and what only the other has: by export.
    fn differences(&self, other: &Exports) -> BTreeMap<&'static str, (Vec<String>, Vec<String>)> {
        let mut found = BTreeMap::new();
        for ((name, was), (_, is)) in self.0.iter().zip(&other.0) {
            let count = |rows: &[String]| {
                rows.iter().fold(BTreeMap::<String, i64>::new(), |mut sum, row| {
                    *sum.entry(row.clone()).or_default() += 1;
                    sum
                })
            };
            let (was, is) = (count(was), count(is));
            let less = |one: &BTreeMap<String, i64>, other: &BTreeMap<String, i64>| -> Vec<String> {
                one.iter().filter(|(row, n)| other.get(*row).copied().unwrap_or(0) < **n).map(|(row, _)| row.clone()).collect()
            };
            let pair = (less(&was, &is), less(&is, &was));
            if pair != (vec![], vec![]) {
                found.insert(*name, pair);
            }
        }
        found
    }
}

fn wish(seed: u64, kind: Kind, count: u64) -> Wish {
    Wish { seed, each: 0, count: [(kind, count)].into() }
}

/// The exports in which a kind may show.
fn shows_in(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Deleted => &["netsuite documents", "netsuite fulfilments", "netsuite heads"],
        Kind::Doubled | Kind::EditedLine | Kind::EditedTax | Kind::Currency | Kind::OldRate | Kind::EditedHeader => {
            &["netsuite documents", "netsuite heads"]
        }
        Kind::RoundUnit | Kind::RoundDocument | Kind::RoundHalfEven | Kind::RoundDown | Kind::RoundGross => {
            &["netsuite documents", "netsuite heads"]
        }
        // A twin of an item has a row of its own in the stock.
        Kind::SkuCase | Kind::Subsidiary | Kind::Late | Kind::MappingMidway | Kind::DayShifted => &["netsuite heads"],
        Kind::MissingShipment => &["centra documents", "centra shipments", "centra stock"],
        Kind::Tracking => &["centra shipments"],
        Kind::ShippedTwice => &["centra shipments", "netsuite fulfilments", "netsuite heads"],
        Kind::CreditWithoutGoods => &["netsuite returns", "netsuite heads"],
        Kind::GoodsWithoutCredit => &["netsuite documents", "netsuite refunds", "netsuite heads"],
        Kind::OverCredit => &["netsuite documents", "netsuite heads"],
        Kind::RefundMissing | Kind::RefundDoubled => &["netsuite refunds", "netsuite heads"],
        Kind::OnHand | Kind::ForeignStock => &["centra stock"],
        Kind::LostEvent => &["centra documents", "centra stock"],
        Kind::StaleEdit => &["centra documents", "centra stock"],
    }
}

/// Number, amounts, currency, country and lines of the sales on each side; and the credits.
fn sales(world: &World) -> (BTreeSet<String>, BTreeSet<String>, usize) {
    let Exports(all) = exports(world);
    let of = |name: &str| &all.iter().find(|(known, _)| *known == name).unwrap().1;
    // doc,status,net,tax,gross,currency,country,lines against doc,net,tax,gross,currency,country,lines; credits stand below nought.
    let shop: BTreeSet<String> = of("centra documents")[1..]
        .iter()
        .map(|row| row.split(',').enumerate().filter(|(at, _)| *at != 1).map(|(_, text)| text).collect::<Vec<_>>().join(","))
        .collect();
    let erp = &of("netsuite documents")[1..];
    let is_credit = |row: &&String| row.contains("-R");
    let sales: BTreeSet<String> = erp.iter().filter(|row| !is_credit(row)).cloned().collect();
    let credits = erp.iter().filter(is_credit).count();
    (shop, sales, credits)
}

#[tokio::test]
async fn a_finished_world_agrees_on_both_sides() {
    for kits in [false, true] {
        let world = World::start(WorldConfig { kits, ..config(400, None) }).await.unwrap();
        world.finish(&Habits::default()).unwrap();
        agrees(&world);
        assert_eq!(world.finish(&Habits::default()).unwrap(), Carried::default(), "it all stands");
        world.stop().await;
    }
}

fn agrees(world: &World) {
    let (shop, erp, credits) = sales(world);
    assert_eq!(shop.difference(&erp).collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!((shop.len(), erp.len()), (400, 400));
    let Exports(all) = exports(world);
    let of = |name: &str| &all.iter().find(|(known, _)| *known == name).unwrap().1;
    let returned: BTreeSet<&str> =
        of("centra returns")[1..].iter().map(|row| row.split(',').nth(1).unwrap_or_default()).collect();
    assert!(credits > 8 && credits == returned.len(), "{credits} credits");
    assert_eq!(of("centra refunds").len() - 1, credits);
    assert_eq!(of("netsuite refunds").len() - 1, credits);
    // What goes back in money is the same on both sides.
    let amounts = |rows: &[String], at: usize| {
        let mut all: Vec<String> = rows[1..].iter().map(|row| row.split(',').nth(at).unwrap_or_default().to_owned()).collect();
        all.sort();
        all
    };
    assert_eq!(amounts(of("centra refunds"), 5), amounts(of("netsuite refunds"), 4));
    let left = of("centra shipments").len();
    assert!((300..500).contains(&left), "{left} parcels");
    // What is free in the shop is what is available at the source.
    let floor = world.floor_of();
    let mut committed = 0;
    for (warehouse, location) in (0..).zip(&floor.locations) {
        for (item, found) in (0..).zip(floor.catalogue.items()).filter(|(_, found)| found.components.is_empty()) {
            let Some(level) = floor.netsuite.level(&found.sku, location) else { continue };
            let Figures { free, .. } = floor.centra.cell(item, warehouse);
            assert_eq!(free, level.available, "{} at {location}: {level:?}", found.sku);
            committed += i64::from(level.on_hand != level.available);
        }
    }
    assert!(committed > 10, "something is promised");
    assert_eq!(floor.centra.ledger_broken(), None);
}

#[tokio::test]
async fn recorded_sales_are_carried_over_with_their_own_days() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/online-retail").into();
    let source = Source::Folder { path, limit: None };
    let world = World::start(WorldConfig { source, ..WorldConfig::default() }).await.unwrap();
    let carried = world.finish(&Habits::default()).unwrap();
    assert_eq!((carried.orders, carried.shipments > 0), (14, true));
    let (shop, erp, _) = sales(&world);
    assert_eq!(shop.difference(&erp).collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!((shop.len(), erp.len()), (14, 14));
    let heads = world.floor_of().netsuite.behind().heads();
    assert!(heads.iter().all(|row| row.contains(" 2010-") || row.contains(" 2011-")), "{heads:#?}");
    world.stop().await;
}

#[tokio::test]
async fn each_kind_changes_what_it_tells_and_nothing_else() {
    let world = world(600).await;
    world.floor_of().centra.listen().unwrap();
    for (at, kind) in (0..).zip(Kind::ALL) {
        let (before, told) = (exports(&world), world.state().centra.events_pending);
        let report = world.inject(&wish(11 + at, kind, 2)).unwrap();
        let after = exports(&world);
        let differences = before.differences(&after);
        assert_eq!(report.short, BTreeMap::new(), "{kind:?}");
        assert_eq!(report.injected.len(), 2, "{kind:?}");
        let names: Vec<&str> = differences.keys().copied().collect();
        // A street is in no export.
        let unseen = kind == Kind::StaleEdit && names.is_empty();
        assert!(!names.is_empty() || unseen, "{kind:?} changed nothing");
        for name in &names {
            assert!(shows_in(kind).contains(name), "{kind:?} changed {name}: {:?}", differences[name]);
        }
        // Every row that changed is one of the orders that were told of, or of the SKUs.
        let numbers: Vec<&String> = report.injected.iter().flat_map(|one| one.order.iter().chain(&one.orders)).collect();
        let skus: Vec<&String> = report.injected.iter().flat_map(|one| one.sku.iter().chain(&one.skus)).collect();
        for (name, (gone, come)) in &differences {
            for row in
                gone.iter().chain(come).filter(|_| *name != "centra stock" || matches!(kind, Kind::OnHand | Kind::ForeignStock))
            {
                let known = numbers.iter().any(|number| row.contains(*number)) || skus.iter().any(|sku| row.contains(*sku));
                // A refund names its memo, and a document of another number its own.
                assert!(known, "{kind:?}: {name}: {row}\n{:#?}", report.injected);
            }
        }
        for one in &report.injected {
            assert!(one.detail.contains('→') || kind == Kind::LostEvent, "{one:?}");
            assert_eq!(one.kind, kind);
        }
        assert_eq!(world.state().centra.events_pending, told, "{kind:?} was told");
        assert_eq!(world.state().centra.webhooks_pending, 0, "{kind:?} was told");
        assert_eq!(world.state().stock_pushes_pending, 0, "{kind:?} was told");
        assert_eq!(world.floor_of().centra.ledger_broken(), None, "{kind:?}");
    }
    world.stop().await;
}

#[tokio::test]
async fn the_same_seed_makes_the_same_and_no_order_is_drawn_twice() {
    let (one, other) = (world(500).await, world(500).await);
    // Which orders lie near midnight depends on when the world began.
    let wish = Wish { seed: 7, each: 3, count: [(Kind::DayShifted, 0)].into() };
    let (first, twin) = (one.inject(&wish).unwrap(), other.inject(&wish).unwrap());
    let bare = |report: &Report| -> Vec<(Kind, Option<String>, Vec<String>)> {
        report.injected.iter().map(|one| (one.kind, one.order.clone(), one.skus.clone())).collect()
    };
    assert_eq!(bare(&first), bare(&twin));
    assert_eq!(first.short, twin.short);
    let second = one.inject(&wish).unwrap();
    assert_ne!(bare(&first), bare(&second));
    let mut orders = Vec::new();
    for report in [&first, &second] {
        for one in &report.injected {
            orders.extend(if one.orders.is_empty() { one.order.clone().into_iter().collect() } else { one.orders.clone() });
        }
    }
    let all = orders.len();
    orders.sort();
    orders.dedup();
    assert_eq!(orders.len(), all, "an order was drawn twice");
    let numbers: Vec<u64> = one.injected().iter().map(|one| one.n).collect();
    assert_eq!(numbers, (1..=u64::try_from(numbers.len()).unwrap()).collect::<Vec<_>>());
    assert!(first.injected.len() > 75, "{} of 84, short of {:?}", first.injected.len(), first.short);
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn wrongness_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(300, Some(folder.path().to_owned()));
    let world = World::start(config.clone()).await.unwrap();
    world.finish(&Habits::default()).unwrap();
    world.inject(&Wish { seed: 3, each: 2, count: BTreeMap::new() }).unwrap();
    let (before, injected) = (exports(&world), world.injected());
    assert!(injected.len() > 40, "{}", injected.len());
    world.stop().await;

    let world = World::start(config).await.unwrap();
    let after = exports(&world);
    assert_eq!(before.differences(&after), BTreeMap::new());
    assert_eq!(world.injected(), injected);
    let more = world.inject(&wish(3, Kind::Deleted, 2)).unwrap();
    assert_eq!(more.injected[0].n, injected.last().unwrap().n + 1);
    let drawn = |one: &Injected| one.order.iter().chain(&one.orders).cloned().collect::<Vec<_>>();
    let old: BTreeSet<String> = injected.iter().flat_map(drawn).collect();
    assert!(more.injected.iter().flat_map(drawn).all(|order| !old.contains(&order)));
    world.stop().await;
}

#[tokio::test]
async fn what_a_world_has_not_is_short_and_what_nobody_carried_over_is_left_alone() {
    let world = World::start(config(200, None)).await.unwrap();
    let none = world.inject(&Wish { seed: 1, each: 1, count: BTreeMap::new() }).unwrap();
    let made: Vec<Kind> = none.injected.iter().map(|one| one.kind).collect();
    assert!(made.iter().all(|kind| matches!(kind, Kind::LostEvent | Kind::ForeignStock)), "{made:?}");
    assert_eq!(none.short.get(&Kind::Deleted), Some(&1));
    world.finish(&Habits { ships: false, takes_back: false, ..Habits::default() }).unwrap();
    let some = world.inject(&Wish { seed: 2, each: 1, count: BTreeMap::new() }).unwrap();
    for kind in [Kind::MissingShipment, Kind::Tracking, Kind::ShippedTwice, Kind::OverCredit, Kind::RefundMissing] {
        assert_eq!(some.short.get(&kind), Some(&1), "{kind:?}");
    }
    assert!(some.injected.iter().any(|one| one.kind == Kind::Deleted));
    world.stop().await;
}

#[tokio::test]
#[allow(clippy::disallowed_methods, reason = "the test talks to the stand-in directly")]
async fn the_admin_server_makes_it() {
    let world = World::start(config(120, None)).await.unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = |path: &str, body: &str| {
        let url = format!("{}{path}", world.admin_url);
        client.post(url).header("content-type", "application/json").body(body.to_owned()).send()
    };
    let carried = post("/incumbent", r#"{"orders": 100}"#).await.unwrap();
    assert_eq!(carried.status(), 200);
    let carried: Carried = serde_json::from_slice(&carried.bytes().await.unwrap()).unwrap();
    assert_eq!(carried.orders, 100);
    let answer = post("/wrong", r#"{"seed": 7, "count": {"deleted": 2, "edited_tax": 1}}"#).await.unwrap();
    assert_eq!(answer.status(), 200);
    let report: serde_json::Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!(report["injected"].as_array().unwrap().len(), 3, "{report}");
    assert_eq!(report["injected"][1]["kind"], "deleted");
    assert_eq!(report["short"], serde_json::json!({}));
    let all = client.get(format!("{}/wrong", world.admin_url)).send().await.unwrap();
    let all: Vec<Injected> = serde_json::from_slice(&all.bytes().await.unwrap()).unwrap();
    assert_eq!(all, world.injected());
    assert_eq!(post("/wrong", r#"{"seed": 7, "count": {"sunshine": 2}}"#).await.unwrap().status(), 422);
    world.stop().await;
}

/// The figures of the large benchmark, for whoever asks: `cargo test -p selvedge-sim --release -- --ignored a_large_world`.
#[tokio::test]
#[ignore = "takes a while"]
async fn a_large_world_has_enough_of_each_kind() {
    let begin = std::time::Instant::now();
    let world = World::start(config(50_000, None)).await.unwrap();
    let carried = world.finish(&Habits::default()).unwrap();
    println!("{carried:?} after {:?}", begin.elapsed());
    let report = world.inject(&Wish { seed: 7, each: 200, count: BTreeMap::new() }).unwrap();
    println!("{} injected after {:?}, short of {:?}", report.injected.len(), begin.elapsed(), report.short);
    let mut shown = BTreeSet::new();
    for one in report.injected.iter().filter(|one| shown.insert(one.kind)) {
        println!("{:?} {} {:?} {:?} {:?}: {}", one.kind, one.record, one.order, one.key, one.id, one.detail);
    }
    assert_eq!(report.short, BTreeMap::new());
    world.stop().await;
}
