//! The whole loop with the built binary: what is ordered stands in the books and in a warehouse, leaves it in parts, and the
//! shop shows it shipped and paid.

use std::{collections::BTreeMap, time::Duration};

use crate::demo::Demo;

/// Units by (order, SKU) in one of the exports.
fn units(demo: &Demo, name: &str) -> BTreeMap<(String, String), i64> {
    let mut units = BTreeMap::new();
    let mut reader = csv::Reader::from_path(demo.path("out").join(name)).unwrap();
    let headers = reader.headers().unwrap().clone();
    let column = |wanted: &str| headers.iter().position(|header| header == wanted).unwrap();
    let (doc, sku, qty) = (column("doc"), column("sku"), column("qty"));
    for row in reader.records() {
        let row = row.unwrap();
        *units.entry((row[doc].to_owned(), row[sku].to_owned())).or_default() += row[qty].parse::<i64>().unwrap();
    }
    units
}

/// Status by order, as the shop shows it.
fn statuses(demo: &Demo) -> BTreeMap<String, String> {
    let mut reader = csv::Reader::from_path(demo.path("out/centra_documents.csv")).unwrap();
    reader.records().map(|row| row.unwrap()).map(|row| (row[0].to_owned(), row[1].to_owned())).collect()
}

/// Everything that the warehouse was given has left, once, and the shop knows.
fn everything_left(demo: &Demo, report: &serde_json::Value) {
    let (picked, shipped) = (units(demo, "linnworks_orders.csv"), units(demo, "centra_shipments.csv"));
    assert!(!picked.is_empty());
    assert_eq!(picked, shipped);
    for (number, status) in statuses(demo) {
        let goes = picked.keys().any(|(doc, _)| *doc == number);
        // An order of nothing but gift certificates has nothing to pick.
        assert_eq!(status == "SHIPPED", goes, "order {number} is {status}");
    }
    for flow in ["picks", "shipments"] {
        let balance = &report["flows"][flow];
        assert_eq!((&balance["held"], &balance["in_flight"]), (&0.into(), &0.into()), "{balance}");
    }
    assert_eq!(report["violations"], serde_json::json!([]), "a request that the vendor's specification does not allow");
}

#[test]
fn what_is_ordered_leaves_the_warehouse_and_the_shop_knows() {
    let demo = Demo::new(&["--orders", "40", "--seed", "4"]);
    let report = demo.finish();
    everything_left(&demo, &report);
}

#[test]
fn rough_weather_and_kills_ship_nothing_twice_and_nothing_short() {
    let demo = Demo::new(&["--orders", "40", "--faults", "rough", "--seed", "6"]);
    for moment in [1_500, 4_000, 2_500, 6_000] {
        if demo.kill_after(Duration::from_millis(moment)) {
            break;
        }
    }
    let report = demo.finish();
    everything_left(&demo, &report);
}
