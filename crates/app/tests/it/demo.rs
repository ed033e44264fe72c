//! `selvedge demo --headless`: real connectors, real HTTP, simulated systems, faults, kills.

use std::{
    collections::BTreeMap,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{credits::credits_of, webhooks::exchange, world::until};

pub fn selvedge() -> Command {
    Command::new(env!("CARGO_BIN_EXE_selvedge"))
}

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../sim/samples/online-retail")
}

pub struct Demo {
    pub folder: tempfile::TempDir,
    pub args: Vec<String>,
}

impl Demo {
    pub fn new(args: &[&str]) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), args: args.iter().map(|a| (*a).to_owned()).collect() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn command(&self) -> Command {
        let mut command = selvedge();
        command
            .args(["demo", "--headless", "--until-settled", "--listen", "127.0.0.1:0", "--store"])
            .arg(self.path("demo.db"))
            .arg("--export")
            .arg(self.path("out"))
            .arg("--report")
            .arg(self.path("report.json"))
            .args(&self.args);
        command
    }

    /// Runs to the end and gives the report.
    pub fn finish(&self) -> Value {
        let output = self.command().output().unwrap();
        assert!(
            output.status.success(),
            "demo ended with {}\n{}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&std::fs::read(self.path("report.json")).unwrap()).unwrap()
    }

    /// Runs until `moment` after its start, then kills it the hard way; whether it had ended by itself before.
    pub fn kill_after(&self, moment: Duration) -> bool {
        let child = self.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_or_kill(child, moment)
    }

    /// What stands in the simulated ERP: document → the rest of its row. A document that stands twice fails.
    pub fn documents(&self) -> BTreeMap<String, Vec<String>> {
        let mut rows = BTreeMap::new();
        let mut reader = csv::Reader::from_path(self.path("out/netsuite_documents.csv")).unwrap();
        for row in reader.records() {
            let row: Vec<String> = row.unwrap().iter().map(str::to_owned).collect();
            let (doc, rest) = row.split_first().unwrap();
            assert!(rows.insert(doc.clone(), rest.to_vec()).is_none(), "{doc} stands twice");
        }
        rows
    }
}

fn wait_or_kill(mut child: Child, moment: Duration) -> bool {
    let end = Instant::now() + moment;
    while Instant::now() < end {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    false
}

/// The invoices of the carried sample that must stand, from the data itself.
fn owed(folder: &Path) -> (BTreeMap<String, Vec<String>>, usize) {
    let read = |name: &str| -> Vec<BTreeMap<String, String>> {
        let mut text = String::new();
        let plain = folder.join(format!("{name}.csv"));
        if plain.exists() {
            std::fs::File::open(plain).unwrap().read_to_string(&mut text).unwrap();
        } else {
            let file = std::fs::File::open(folder.join(format!("{name}.csv.gz"))).unwrap();
            flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
        }
        csv::Reader::from_reader(text.as_bytes()).deserialize().map(Result::unwrap).collect()
    };
    let vat: BTreeMap<String, String> =
        read("docs_vat").into_iter().map(|row| (row["doc"].clone(), row["excl_line"].clone())).collect();
    let (mut owed, mut homeless) = (BTreeMap::new(), 0);
    for doc in read("docs").into_iter().filter(|doc| doc["kind"] == "sale") {
        if doc["iso2"].is_empty() {
            homeless += 1;
            continue;
        }
        let decimal = |text: &str| text.parse::<rust_decimal::Decimal>().unwrap();
        let net = decimal(&doc["net"]).round_dp_with_strategy(2, rust_decimal::RoundingStrategy::MidpointAwayFromZero);
        let tax = decimal(&vat[&doc["doc"]]);
        let two = |d: rust_decimal::Decimal| format!("{d:.2}");
        let row = vec![two(net), two(tax), two(net + tax), doc["currency"].clone(), doc["iso2"].clone(), doc["lines"].clone()];
        owed.insert(doc["doc"].clone(), row);
    }
    // Credits that sales explain stand, below nought; the others are held.
    for (number, sums) in credits_of(folder, None).linked {
        let of = read("docs").into_iter().find(|doc| doc["doc"] == number).unwrap();
        let two = |sum: rust_decimal::Decimal| format!("{:.2}", rust_decimal::Decimal::ZERO - sum);
        let row = vec![
            two(sums.net),
            two(sums.tax),
            two(sums.gross),
            of["currency"].clone(),
            of["iso2"].clone(),
            sums.lines.to_string(),
        ];
        owed.insert(number, row);
    }
    (owed, homeless)
}

/// What is held of the credits, and nothing else but the sales without a country.
fn assert_held(report: &Value, homeless: usize) {
    let exceptions = report["exceptions"].as_array().unwrap();
    let of =
        |rule: &str| exceptions.iter().filter(|one| one["rule"] == rule).map(|one| one["count"].as_u64().unwrap()).sum::<u64>();
    assert_eq!(of("address.country"), homeless as u64, "{exceptions:?}");
    assert_eq!(of("credit.unlinked"), credits_of(&sample(), None).held.len() as u64, "{exceptions:?}");
    assert!(exceptions.iter().all(|one| one["rule"] == "address.country" || one["rule"] == "credit.unlinked"), "{exceptions:?}");
}

fn assert_balanced(report: &Value) {
    for (name, flow) in report["flows"].as_object().unwrap() {
        let n = |key: &str| flow[key].as_u64().unwrap_or_else(|| panic!("{name} has no {key}"));
        let right: u64 =
            ["confirmed", "compared", "in_flight", "held", "excluded", "superseded", "dismissed"].iter().map(|k| n(k)).sum();
        assert_eq!(n("captured"), right, "{name}: {flow}");
        assert_eq!(n("in_flight"), 0, "{name}: {flow}");
    }
}

#[test]
fn a_demo_goes_on_when_nobody_reads_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("127.0.0.1:{}", std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
    let mut command = selvedge();
    command.args(["demo", "--no-warehouse", "--orders", "1", "--listen", &address, "--store"]).arg(folder.path().join("demo.db"));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    // As `| head` would, only sooner.
    drop(child.stdout.take());
    until("the page", || {
        assert!(child.try_wait().unwrap().is_none(), "it has ended");
        std::net::TcpStream::connect(&address).ok()?;
        let answer =
            exchange(&address, format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes());
        answer.starts_with("HTTP/1.1 200").then_some(())
    });
    let _ = child.kill();
    let _ = child.wait();
}

#[test]
fn the_carried_data_arrives_document_for_document() {
    let demo = Demo::new(&["--data", sample().to_str().unwrap(), "--seed", "7"]);
    let report = demo.finish();
    assert_balanced(&report);
    let (owed, homeless) = owed(&sample());
    assert_eq!(demo.documents(), owed, "{report}");
    assert_held(&report, homeless);
}

#[test]
fn rough_weather_and_kills_change_nothing() {
    let demo = Demo::new(&["--data", sample().to_str().unwrap(), "--seed", "11", "--faults", "rough"]);
    for moment in [300, 700, 1_100, 1_500] {
        if demo.kill_after(Duration::from_millis(moment)) {
            break;
        }
    }
    let report = demo.finish();
    assert_balanced(&report);
    let (owed, homeless) = owed(&sample());
    assert_eq!(demo.documents(), owed);
    assert_held(&report, homeless);
}

#[test]
fn a_kill_while_the_mappings_are_written_leaves_none_out() {
    let demo = Demo::new(&["--orders", "5", "--seed", "9"]);
    let mut child = demo.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let written = || {
        let store =
            rusqlite::Connection::open_with_flags(demo.path("demo.db"), rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
        store.query_row("SELECT count(*) FROM mappings", [], |row| row.get::<_, i64>(0)).ok()
    };
    while written().is_none_or(|rows| rows == 0) {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it had a mapping");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let report = demo.finish();
    assert_balanced(&report);
    assert_eq!(report["flows"]["orders"]["held"], 0, "{}", report["exceptions"]);
}

#[test]
fn generated_orders_of_every_kind_arrive() {
    let demo = Demo::new(&["--orders", "60", "--seed", "3"]);
    let report = demo.finish();
    assert_balanced(&report);
    assert_eq!(report["flows"]["orders"]["held"], 0, "{}", report["exceptions"]);
    // What a shipment changes in an order is a revision of it, and confirmed in the books once more.
    assert!(report["flows"]["orders"]["confirmed"].as_u64().unwrap() >= 60);
    // Every order of the shop stands, an exchange is one more; credits stand beside them, under numbers of their own.
    let mut shop = csv::Reader::from_path(demo.path("out/centra_documents.csv")).unwrap();
    let placed: BTreeMap<String, String> =
        shop.records().map(Result::unwrap).map(|row| (row[0].to_owned(), row[4].to_owned())).collect();
    let (credits, orders): (BTreeMap<_, _>, BTreeMap<_, _>) =
        demo.documents().into_iter().partition(|(doc, _)| doc.contains('-'));
    let stand: BTreeMap<String, String> = orders.into_iter().map(|(doc, row)| (doc, row[2].clone())).collect();
    assert!(placed.len() >= 60 && !credits.is_empty());
    assert_eq!(stand, placed);
}
