//! Stock through the built binary: the data's stock arrives unit for unit, and a flash sale oversells nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;

use crate::credits::credits_of;
use crate::demo::{Demo, selvedge};

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
    // What a held credit gives back is on no shelf yet.
    let credits = credits_of(&sample(), None);
    for (sku, closing) in closing.iter().filter(|(sku, _)| !credits.skus_of_held.contains(*sku)) {
        assert_eq!(source.get(sku), Some(closing), "{sku} at the source");
        // Orders that are held stay reserved: nobody knows yet that their parcels left.
        let reserved = held.get(sku).copied().unwrap_or(0);
        assert_eq!(shop.get(sku).copied().unwrap_or(0), (closing - reserved - BUFFER).max(0), "{sku} in the shop");
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
    assert_told(&demo);

    // Somebody says that the parcels of the held orders left, and nothing is reserved for them any more.
    let exceptions = report["exceptions"].as_array().unwrap();
    let exception = exceptions.iter().find(|one| one["rule"] == "address.country").unwrap()["id"].as_str().unwrap();
    let (code, _, error) = tell(&demo, &["exceptions", "dismiss", exception, "--reason", "sent by hand"]);
    assert_eq!(code, 0, "{error}");
    demo.finish();
    let shop = sums(&rows(&demo.path("out/centra_stock.csv")), "free");
    let credits = credits_of(&sample(), None);
    let closing = sums(&rows(&sample().join("stock.csv")), "closing");
    for (sku, closing) in closing.into_iter().filter(|(sku, _)| !credits.skus_of_held.contains(sku)) {
        assert_eq!(shop.get(&sku).copied().unwrap_or(0), (closing - BUFFER).max(0), "{sku} in the shop");
    }
}

/// A command on what a demo has left behind: its exit code, standard output and standard error.
fn tell(demo: &Demo, args: &[&str]) -> (i32, String, String) {
    let output = selvedge().arg("--config").arg(demo.path("demo.world/selvedge.toml")).args(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// Every figure explains itself, and other buffers say what they would change.
fn assert_told(demo: &Demo) {
    let json = |args: &[&str]| -> Value {
        let (code, out, error) = tell(demo, &[&["--json"], args].concat());
        assert_eq!(code, 0, "{args:?}: {error}");
        serde_json::from_str(&out).unwrap()
    };
    let (closing, held) = (sums(&rows(&sample().join("stock.csv")), "closing"), units_held(&sample()));
    let credits = credits_of(&sample(), None);
    for (sku, closing) in closing.iter().filter(|(sku, _)| !credits.skus_of_held.contains(*sku)).take(20) {
        let items = json(&["stock", "explain", sku]);
        let at = &items[0]["warehouses"][0];
        let units = |term: &str| {
            let lines = at["lines"]["lines"].as_array().unwrap();
            lines.iter().find(|line| line["term"] == term).map_or(0, |line| line["units"].as_i64().unwrap())
        };
        let stated = units("on_hand") + units("committed") + units("back_ordered") + units("pending_approval");
        assert_eq!(stated, units("net"), "{sku}: {at}");
        assert_eq!((units("net"), -units("not_taken_in")), (*closing, held.get(sku).copied().unwrap_or(0)), "{sku}: {at}");
        assert_eq!(units("net") + units("not_taken_in") + units("buffer"), units("free"), "{sku}: {at}");
        assert_eq!(units("free").max(0) + units("allocated"), units("figure"), "{sku}: {at}");
        assert_eq!(at["figure"]["shown"]["units"].as_i64(), Some(units("figure")), "{sku}: {at}");
    }

    let config = std::fs::read_to_string(demo.path("demo.world/selvedge.toml")).unwrap();
    let (first, second) = (closing.keys().next().unwrap(), closing.keys().nth(1).unwrap());
    let with = |buffers: &str| {
        let file = demo.path("demo.world/candidate.toml");
        std::fs::write(&file, config.replace("buffers = [{ fixed = 2 }]", &format!("buffers = [{buffers}]"))).unwrap();
        file.to_str().unwrap().to_owned()
    };
    // The most specific rule wins: SKU before warehouse before everything else.
    let candidate = with(&format!(
        r#"{{ fixed = 4 }}, {{ warehouse = "1", fixed = 3 }}, {{ sku = "{first}", fixed = 9 }}, {{ sku = "{second}", percent = 50 }}"#
    ));
    let run = json(&["stock", "buffers", "--with", &candidate, "--limit", "100000"]);
    let changes = run["stock"]["changes"].as_array().unwrap();
    assert_eq!(changes.len(), closing.len(), "{run}");
    for change in changes {
        let sku = change["sku"].as_str().unwrap();
        if credits.skus_of_held.contains(sku) {
            continue;
        }
        let net = closing[sku].max(0);
        let kept = if sku == first {
            9
        } else if sku == second {
            (net + 1) / 2
        } else {
            3
        };
        assert_eq!((change["from"]["units"].as_i64(), change["to"]["units"].as_i64()), (Some(2), Some(kept)), "{change}");
        let reserved = held.get(sku).copied().unwrap_or(0);
        assert_eq!(change["on_sale_to"].as_i64(), Some((closing[sku] - reserved - kept).max(0)), "{change}");
    }
    let (code, out, _) = tell(demo, &["stock", "buffers"]);
    assert!(code == 0 && out.contains("everything else: 2 units"), "{out}");

    for (args, said) in [
        (&["stock", "buffers", "--with", &with("{ fixed = -1 }")][..], "buffers[0].fixed"),
        (&["stock", "buffers", "--with", "nowhere.toml"], "no such file"),
        (&["stock", "list", "--warehouse", "99"], "There are: 1"),
        (&["stock", "explain", "no such thing"], "no shop lists the SKU"),
    ] {
        let (code, _, error) = tell(demo, args);
        assert!(code != 0 && error.contains(said), "{args:?}: {error}");
    }
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
