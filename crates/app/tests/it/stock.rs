//! Stock through the built binary: the data's stock arrives unit for unit, and a flash sale oversells nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use selvedge_model::{
    LocationId, Sku,
    stock::{
        buffer::{Buffer, Rule, Selector},
        rehearse::{Event, Quantity, Recorded, Recording, Scenario, Sync, rehearse},
    },
};
use selvedge_sim::data::{Catalogue, Source};

use crate::demo::Demo;

/// What the demo keeps back of every item of a folder's data.
const BUFFER: i64 = 2;

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../sim/samples/online-retail")
}

fn rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    csv::Reader::from_path(path).unwrap().deserialize().map(Result::unwrap).collect()
}

fn sums(rows: &[BTreeMap<String, String>], of: &str) -> BTreeMap<String, i64> {
    let mut sums = BTreeMap::new();
    for row in rows {
        *sums.entry(row["sku"].clone()).or_default() += row[of].parse::<i64>().unwrap();
    }
    sums
}

/// Units of orders that never reach the source: their address has no country.
fn units_held(folder: &Path) -> BTreeMap<String, i64> {
    let homeless: BTreeSet<String> = rows(&folder.join("docs.csv"))
        .into_iter()
        .filter(|doc| doc["kind"] == "sale" && doc["iso2"].is_empty())
        .map(|doc| doc["doc"].clone())
        .collect();
    let lines: Vec<_> = rows(&folder.join("lines.csv"))
        .into_iter()
        .filter(|line| line["line_type"] == "product" && homeless.contains(&line["doc"]))
        .collect();
    sums(&lines, "qty")
}

fn assert_stock(demo: &Demo) {
    let closing = sums(&rows(&sample().join("stock.csv")), "closing");
    let source = sums(&rows(&demo.path("out/stock.csv")), "qty");
    let shop = sums(&rows(&demo.path("out/centra_stock.csv")), "free");
    let held = units_held(&sample());
    for (sku, closing) in &closing {
        // The source has what the data close with, and what was sold by orders that it never heard of.
        assert_eq!(source.get(sku).copied(), Some(closing + held.get(sku).copied().unwrap_or(0)), "{sku} at the source");
        // The shop knows of those orders: it shows what the data close with, less the buffer.
        assert_eq!(shop.get(sku).copied().unwrap_or(0), (closing - BUFFER).max(0), "{sku} in the shop");
    }
    assert!(closing.len() > 50);
}

#[test]
fn the_datas_stock_arrives_unit_for_unit() {
    let demo = Demo::new(&["--data", sample().to_str().unwrap(), "--seed", "7"]);
    let report = demo.finish();
    assert_stock(&demo);
    let stock = &report["stock"][0];
    let n = |key: &str| stock[key].as_u64().unwrap();
    assert_eq!(n("listed"), n("agreed") + n("in_flight") + n("held") + n("left"), "{stock}");
    assert_eq!((n("in_flight"), n("held")), (0, 0), "{stock}");
}

#[test]
fn rough_weather_and_kills_change_no_figure() {
    let demo = Demo::new(&["--data", sample().to_str().unwrap(), "--seed", "12", "--faults", "rough"]);
    for moment in [500, 900, 1_300, 1_700] {
        if demo.kill_after(Duration::from_millis(moment)) {
            break;
        }
    }
    demo.finish();
    assert_stock(&demo);
}

const SALE_SKUS: u32 = 2_000;
const SALE_ORDERS: u64 = 480;
const SALE_SEED: u64 = 5;

/// What was wanted and what moved in the sale, for other ways to run it.
fn recording() -> Recording {
    let catalogue = Catalogue::open(SALE_SEED, &Source::Flash { skus: SALE_SKUS, orders: SALE_ORDERS }).unwrap();
    // When each order is wanted.
    let mut wanted_at = Vec::new();
    let mut ms = 0_u64;
    while wanted_at.len() < catalogue.orders() as usize {
        let due = catalogue.rhythm(0, Duration::from_millis(ms)).unwrap() as usize;
        wanted_at.resize(due.max(wanted_at.len()), ms);
        ms += 10;
    }
    let mut events: BTreeMap<u32, Vec<(u64, Event)>> = BTreeMap::new();
    for (number, at) in (0_u32..).zip(&wanted_at) {
        for line in catalogue.order(number).lines {
            if let Some(item) = line.item {
                let units = u32::try_from(line.ordered).unwrap();
                events.entry(item).or_default().push((*at, Event::ShopOrder { units, order: Some(number) }));
            }
        }
    }
    for event in catalogue.floor_events() {
        let at = wanted_at.get(event.after as usize).copied().unwrap_or(ms);
        for (item, _, units) in &event.moves {
            events.entry(*item).or_default().push((at, Event::SourceMove { delta: i32::try_from(*units).unwrap() }));
        }
    }
    let mut openings: BTreeMap<u32, i64> = BTreeMap::new();
    for opening in catalogue.opening() {
        *openings.entry(opening.item).or_default() += opening.quantity;
    }
    let recorded = openings.into_iter().map(|(item, opening)| Recorded {
        sku: Sku::new(catalogue.items()[item as usize].sku.clone()),
        place: LocationId::new("1"),
        categories: Vec::new(),
        opening,
        events: events.remove(&item).unwrap_or_default(),
    });
    Recording::new(recorded.collect(), ms + 60_000).unwrap()
}

#[test]
fn a_flash_sale_oversells_nothing_where_other_ways_would() {
    let (skus, orders, seed) = (SALE_SKUS.to_string(), SALE_ORDERS.to_string(), SALE_SEED.to_string());
    let demo = Demo::new(&["--flash", &skus, "--orders", &orders, "--seed", &seed, "--faults", "rough"]);
    let report = demo.finish();
    assert_eq!(report["oversold_units"], 0, "{report}");
    let confirmed = report["flows"]["orders"]["confirmed"].as_u64().unwrap();
    assert!(confirmed > 50, "a sale in which nothing is sold shows nothing: {report}");

    // The same seed in the hands of others. What they write says nothing of orders on their way.
    let recording = recording();
    let other = |quantity, interval_ms| {
        let none = vec![Rule { selector: Selector::Default, buffer: Buffer::Fixed(0) }];
        let scenario = Scenario {
            quantity,
            sync: Sync::Poll { interval_ms, phase_ms: interval_ms / 2 },
            write_latency_ms: 1_000,
            export_delay_ms: 30_000,
            ship_delay_ms: 3_600_000,
            aware: false,
            shop_checks: true,
            buffer: none,
            outages: Vec::new(),
        };
        rehearse(&recording, &scenario).oversold
    };
    let minute = other(Quantity::Available, 5_000);
    let ten_minutes = other(Quantity::Available, 600_000);
    let on_hand = other(Quantity::OnHand, 5_000);
    println!("oversold units: ours 0, polled every 5 s {minute}, every 10 min {ten_minutes}, on hand {on_hand}");
    assert!(on_hand > 0 && on_hand >= minute, "on hand {on_hand}, available {minute}, every ten minutes {ten_minutes}");
}
