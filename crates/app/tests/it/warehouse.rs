//! The whole loop with the built binary: what is ordered stands in the books and in one of three warehouses, line by line, leaves
//! it in parts, and the shop shows it shipped and paid.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::demo::Demo;

/// Units by (order, SKU).
type Units = BTreeMap<(String, String), i64>;

const WAREHOUSES: [&str; 3] = ["linnworks_orders.csv", "veeqo_orders.csv", "threepl_orders.csv"];

/// The rows of one of the exports, its columns checked.
fn rows(demo: &Demo, name: &str, columns: &str) -> Vec<csv::StringRecord> {
    let mut reader = csv::Reader::from_path(demo.path("out").join(name)).unwrap();
    assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>().join(","), columns, "{name}");
    reader.records().map(Result::unwrap).collect()
}

fn units<'a>(rows: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>) -> Units {
    let mut units = Units::new();
    for (doc, sku, qty) in rows {
        *units.entry((doc.to_owned(), sku.to_owned())).or_default() += qty.parse::<i64>().unwrap();
    }
    units
}

/// Status by order, as the shop shows it.
fn statuses(demo: &Demo) -> BTreeMap<String, String> {
    let mut reader = csv::Reader::from_path(demo.path("out/centra_documents.csv")).unwrap();
    reader.records().map(|row| row.unwrap()).map(|row| (row[0].to_owned(), row[1].to_owned())).collect()
}

/// Orders of which something is held by an open exception, on its way into a warehouse or out of it.
fn held(demo: &Demo) -> BTreeSet<String> {
    let store = rusqlite::Connection::open(demo.path("demo.db")).unwrap();
    let sql = "SELECT o.key FROM obligations o JOIN exceptions e ON e.id = o.exception_id
               WHERE o.state = 'held' AND e.open = 1 AND (o.flow LIKE 'picks%' OR o.flow LIKE 'shipments%')";
    let mut statement = store.prepare(sql).unwrap();
    let keys = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    keys.map(|key| key.unwrap().split('.').next().unwrap().to_owned()).collect()
}

/// Each line that was ordered is in exactly one warehouse and has left it once, and the shop knows, or an open exception says why
/// not. Nothing left that was not ordered.
fn everything_left(demo: &Demo, report: &serde_json::Value) -> BTreeSet<String> {
    let lines = rows(demo, "centra_lines.csv", "doc,line,sku,qty");
    let ordered = units(lines.iter().map(|row| (&row[0], &row[2], &row[3])));
    let shipments = rows(demo, "centra_shipments.csv", "doc,shipment,sku,qty,carrier,tracking");
    let shipped = units(shipments.iter().map(|row| (&row[0], &row[2], &row[3])));
    assert!(shipments.iter().all(|row| !row[4].is_empty() && !row[5].is_empty()), "a shipment without carrier or tracking");
    let picked = WAREHOUSES.map(|name| {
        let rows = rows(demo, name, "doc,sku,qty,service,warehouse");
        assert!(!rows.is_empty() && rows.iter().all(|row| !row[3].is_empty() && !row[4].is_empty()), "{name}");
        units(rows.iter().map(|row| (&row[0], &row[1], &row[2])))
    });
    let held = held(demo);
    for ((doc, sku), units) in &ordered {
        let key = (doc.clone(), sku.clone());
        let there: Vec<i64> = picked.iter().filter_map(|one| one.get(&key)).copied().collect();
        let left = shipped.get(&key).copied().unwrap_or(0);
        assert!(there.len() <= 1, "{sku} of order {doc} stands in {} warehouses", there.len());
        assert!(left <= *units, "{left} of {units} × {sku} of order {doc} left");
        assert!(there.iter().all(|there| there == units), "{there:?} of {units} × {sku} of order {doc} are to be picked");
        if !held.contains(doc) {
            assert_eq!((there.len(), left), (1, *units), "{sku} of order {doc}");
        }
    }
    for key in picked.iter().flat_map(BTreeMap::keys).chain(shipped.keys()) {
        assert!(ordered.contains_key(key), "{key:?} was not ordered");
    }
    for (number, status) in statuses(demo).into_iter().filter(|(number, _)| !held.contains(number)) {
        // An order of nothing but gift certificates has nothing to pick.
        let goes = ordered.keys().any(|(doc, _)| *doc == number);
        assert_eq!(status == "SHIPPED", goes, "order {number} is {status}");
    }
    let flows = report["flows"].as_object().unwrap();
    let of_warehouses: Vec<&String> = flows.keys().filter(|name| name.starts_with("picks") || name.starts_with("ship")).collect();
    assert_eq!(of_warehouses.len(), 9, "{of_warehouses:?}");
    for name in of_warehouses {
        assert_eq!(flows[name]["in_flight"], 0, "{name}: {}", flows[name]);
    }
    // The books hear of every parcel, too; a kit is told of as a kit.
    let mut fulfilled: BTreeMap<(String, String), i64> = BTreeMap::new();
    for row in rows(demo, "netsuite_fulfilments.csv", "doc,shipment,sku,qty,tracking") {
        *fulfilled.entry((row[0].to_owned(), row[2].to_owned())).or_default() += row[3].parse::<i64>().unwrap();
    }
    for ((doc, sku), units) in &fulfilled {
        let most = ordered.get(&(doc.clone(), sku.clone()));
        assert!(most.is_none_or(|most| units <= most), "{units} × {sku} of order {doc} are fulfilled");
    }
    for (doc, _) in ordered.keys().filter(|(doc, _)| !held.contains(doc)) {
        assert!(fulfilled.keys().any(|(of, _)| of == doc), "nothing of order {doc} is fulfilled in the books");
    }
    assert_eq!(report["violations"], serde_json::json!([]), "something that a vendor does not allow");
    held
}

/// Orders of which two warehouses have something.
fn split(demo: &Demo) -> usize {
    let mut at: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for name in WAREHOUSES {
        for row in rows(demo, name, "doc,sku,qty,service,warehouse") {
            at.entry(row[0].to_owned()).or_default().insert(name);
        }
    }
    at.values().filter(|names| names.len() > 1).count()
}

#[test]
fn what_is_ordered_leaves_its_warehouse_and_the_shop_knows() {
    let demo = Demo::new(&["--orders", "40", "--seed", "4"]);
    let report = demo.finish();
    assert_eq!(everything_left(&demo, &report), BTreeSet::new(), "{}", report["exceptions"]);
    assert!(split(&demo) > 2, "some orders leave two warehouses");
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
    assert_eq!(everything_left(&demo, &report), BTreeSet::new(), "{}", report["exceptions"]);
}

#[test]
fn a_warehouse_that_speaks_x12_gets_what_fits_and_says_what_does_not() {
    let demo = Demo::new(&["--orders", "40", "--faults", "rough", "--seed", "5", "--depot-format", "x12"]);
    for moment in [3_000, 5_000] {
        if demo.kill_after(Duration::from_millis(moment)) {
            break;
        }
    }
    let report = demo.finish();
    everything_left(&demo, &report);
    // An address that the segments have no room for is told, not cut. (What came back is another matter.)
    let store = rusqlite::Connection::open(demo.path("demo.db")).unwrap();
    let sql = "SELECT rule, message FROM exceptions WHERE open = 1 AND (flow LIKE 'picks%' OR flow LIKE 'shipments%')";
    let mut statement = store.prepare(sql).unwrap();
    let open = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).unwrap();
    for (rule, message) in open.map(Result::unwrap) {
        assert_eq!(rule, "pick.too_long", "{message}");
    }
}
