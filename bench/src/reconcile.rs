//! How many lines a side are reconciled in a second, and that memory does not grow with them.
//!
//! The way is the product's own: both ends are told page by page, kept, walked over twice and judged ([`Reconciler::look`]), with
//! a store on disk. The floor is the same documents from the same pages gathered in a map in memory and compared there: no
//! store, no going on after a crash, no causes. Each measurement is a process of its own, so that its peak of memory is its own.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use async_trait::async_trait;
use jiff::{Timestamp, ToSpan};
use rust_decimal::Decimal;
use selvedge_connector::clock::ManualClock;
use selvedge_connector::{Connection, Cursor, Fares, Fault, SessionStats, StatementPage, Statements, Traffic};
use selvedge_flow::reconcile::{PairSetup, Reconciler};
use selvedge_model::{
    Brand, ConnectionName, Currency, ExternalId, Interval, Kind, Money, RecordKey, Sku,
    reconcile::Tolerance,
    records::{Named, TaxMode, Totals},
    statement::{Amounts, Entry, EntryLine, Facet},
};
use selvedge_store::{Store, differences::Wanted};
use serde_json::{Value, json};

/// Lines of a document.
const LINES: u64 = 20;
/// Documents of a page.
const PAGE: u64 = 1_000;
/// Of so many documents one is missing at the target, one stands there twice, and one has another price.
const WRONG_EACH: u64 = 1_000;

/// What is wrong with a document at the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Missing,
    Doubled,
    Changed,
}

fn wrong(number: u64) -> Option<Wrong> {
    match number % WRONG_EACH {
        1 => Some(Wrong::Missing),
        2 => Some(Wrong::Doubled),
        3 => Some(Wrong::Changed),
        _ => None,
    }
}

/// `cargo xtask bench reconcile [LINES …]`.
pub fn run(lines: &[String]) -> anyhow::Result<()> {
    let mut sizes: Vec<u64> = lines.iter().map(|text| text.parse().context("lines a side, please")).collect::<Result<_, _>>()?;
    if sizes.is_empty() {
        sizes = vec![200_000, 2_000_000];
    }
    println!("| lines a side | documents a side | lines/s | in a map, lines/s | ratio | peak MiB | map MiB | found / made |");
    println!("|---|---|---|---|---|---|---|---|");
    let mut peaks = Vec::new();
    for lines in sizes {
        let (ours, floor) = (measured("kept", lines)?, measured("map", lines)?);
        let number = |of: &Value, name: &str| of[name].as_f64().unwrap_or_default();
        // Lines of both sides.
        let rate = |of: &Value| 2.0 * lines as f64 / number(of, "seconds");
        println!(
            "| {lines} | {} | {:.0} | {:.0} | {:.2} | {:.0} | {:.0} | {} / {} |",
            lines / LINES,
            rate(&ours),
            rate(&floor),
            rate(&ours) / rate(&floor),
            number(&ours, "peak_mib"),
            number(&floor, "peak_mib"),
            ours["found"],
            ours["made"],
        );
        println!("  read and kept in {:.1} s, judged in {:.1} s", number(&ours, "read_s"), number(&ours, "judged_s"));
        peaks.push(number(&ours, "peak_mib"));
    }
    if let [first, .., last] = peaks.as_slice() {
        println!("\nmemory of the largest / of the smallest: {:.2}", last / first);
    }
    Ok(())
}

/// One measurement in a process of its own.
fn measured(way: &str, lines: u64) -> anyhow::Result<Value> {
    let told = Command::new(std::env::current_exe()?).args(["reconcile-one", way, &lines.to_string()]).output()?;
    anyhow::ensure!(told.status.success(), "{way}: {}", String::from_utf8_lossy(&told.stderr));
    Ok(serde_json::from_slice(&told.stdout)?)
}

/// What such a process does.
pub fn one(args: &[String]) -> anyhow::Result<()> {
    let [way, lines] = args else { anyhow::bail!("a way and lines, please") };
    let documents = lines.parse::<u64>()? / LINES;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut told = match way.as_str() {
        "kept" => runtime.block_on(kept(documents))?,
        _ => in_a_map(documents)?,
    };
    told["peak_mib"] = json!(peak_mib()?);
    println!("{told}");
    Ok(())
}

fn peak_mib() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("a peak")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<f64>()? / 1_024.0)
}

/// Through the product.
async fn kept(documents: u64) -> anyhow::Result<Value> {
    let folder = tempfile::tempdir()?;
    let store = Store::open(&format!("sqlite://{}", folder.path().join("bench.db").display())).await?;
    let window = window();
    let clock = Arc::new(ManualClock::at(window.to + 240.hours()));
    let read_until = Arc::new(std::sync::Mutex::new(Instant::now()));
    let (shop, books) = (ConnectionName::new("shop"), ConnectionName::new("erp"));
    let end = |target: bool| Connection {
        statements: Some(Arc::new(Told { documents, target, read_until: Arc::clone(&read_until) })),
        ..Connection::empty("bench", Arc::new(Quiet))
    };
    let connections = BTreeMap::from([(shop.clone(), end(false)), (books.clone(), end(true))]);
    let pair = PairSetup {
        name: "orders".to_owned(),
        sources: vec![shop],
        target: books,
        kinds: vec![Kind::Order],
        places: BTreeMap::new(),
        shared: Vec::new(),
        stock_flow: None,
        parts_only: false,
        buffered: false,
        every: None,
        back: Duration::ZERO,
        far_every: None,
        far_back: Duration::from_secs(90 * 86_400),
        around: Duration::from_secs(3_600),
        tolerance: Tolerance::default(),
        allowance: Duration::from_secs(3_600),
        late_after: Duration::from_secs(86_400),
        exclude_markets: Vec::new(),
        flows: Vec::new(),
    };
    let brand = Brand::new("bench");
    let reconciler = Reconciler::new(brand.clone(), store.clone(), clock, connections, vec![pair.clone()]);
    let begun = Instant::now();
    let look = reconciler.look(&pair, "demand", &window).await?;
    look.map_err(|why| anyhow::anyhow!("{why}"))?;
    let (seconds, read) = (begun.elapsed(), *read_until.lock().unwrap_or_else(std::sync::PoisonError::into_inner) - begun);
    let wanted = Wanted { most: 1_000_000, ..Wanted::default() };
    let rows = store.read(move |view| view.differences(&brand, &wanted)).await?;
    let found: BTreeSet<String> = rows.into_iter().map(|row| row.found.family).collect();
    let made: BTreeSet<String> = (0..documents).filter(|at| wrong(*at).is_some()).map(|at| key(at).to_string()).collect();
    anyhow::ensure!(
        found == made,
        "{} were made wrong and {} found: {:?}",
        made.len(),
        found.len(),
        found.symmetric_difference(&made).take(5).collect::<Vec<_>>()
    );
    Ok(json!({
        "seconds": seconds.as_secs_f64(),
        "read_s": read.as_secs_f64(),
        "judged_s": (seconds - read).as_secs_f64(),
        "found": found.len(),
        "made": made.len(),
    }))
}

/// Everything at once in memory.
fn in_a_map(documents: u64) -> anyhow::Result<Value> {
    let begun = Instant::now();
    let mut families: HashMap<RecordKey, (Vec<Entry>, Vec<Entry>)> = HashMap::new();
    for target in [false, true] {
        for page in 0..documents.div_ceil(PAGE) {
            for entry in entries(page, documents, target) {
                let (ours, theirs) = families.entry(entry.key.clone().context("a key")?).or_default();
                if target { theirs.push(entry) } else { ours.push(entry) }
            }
        }
    }
    let same =
        |one: &Entry, other: &Entry| one.lines == other.lines && one.totals == other.totals && one.shipping == other.shipping;
    let differs = |(ours, theirs): &&(Vec<Entry>, Vec<Entry>)| match (ours.as_slice(), theirs.as_slice()) {
        ([one], [other]) => !same(one, other),
        _ => true,
    };
    let found = families.values().filter(differs).count();
    Ok(json!({ "seconds": begun.elapsed().as_secs_f64(), "found": found }))
}

/// One end, told page by page; nothing of it is kept.
struct Told {
    documents: u64,
    target: bool,
    /// When the last page was asked for.
    read_until: Arc<std::sync::Mutex<Instant>>,
}

#[async_trait]
impl Statements for Told {
    fn kinds(&self) -> &'static [Kind] {
        &[Kind::Order]
    }

    async fn page(&self, _: Kind, _: &Interval, page: Option<&Cursor>) -> Result<StatementPage, Fault> {
        let number: u64 = page.and_then(|cursor| cursor.0.parse().ok()).unwrap_or(0);
        let next = (number + 1) * PAGE < self.documents;
        let entries = entries(number, self.documents, self.target);
        *self.read_until.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Instant::now();
        Ok(StatementPage { entries, next: next.then(|| Cursor((number + 1).to_string())), ..StatementPage::default() })
    }
}

struct Quiet;

impl Traffic for Quiet {
    fn stats(&self) -> SessionStats {
        SessionStats::default()
    }

    fn rests(&self) -> Option<Duration> {
        None
    }

    fn fares(&self) -> Fares {
        Fares::Well
    }
}

fn window() -> Interval {
    let from = Timestamp::UNIX_EPOCH + (365 * 24 * 50).hours();
    Interval { from, to: from + (31 * 24).hours() }
}

fn key(number: u64) -> RecordKey {
    RecordKey::new(format!("{}", 1_000_000 + number))
}

fn entries(page: u64, documents: u64, target: bool) -> Vec<Entry> {
    let mut all = Vec::new();
    for number in (page * PAGE..(page + 1) * PAGE).take_while(|number| *number < documents) {
        let wrong = wrong(number).filter(|_| target);
        if wrong == Some(Wrong::Missing) {
            continue;
        }
        all.push(entry(number, if target { "9" } else { "" }, wrong == Some(Wrong::Changed)));
        if wrong == Some(Wrong::Doubled) {
            all.push(entry(number, "8", false));
        }
    }
    all
}

fn entry(number: u64, prefix: &str, changed: bool) -> Entry {
    let currency = Currency::from_code("EUR");
    let money = |minor: i64| currency.map(|currency| Money::from_minor(minor, currency));
    let (mut net, mut tax) = (990, 248);
    let lines = (0..LINES).map(|at| {
        // Whole multiples of four cents have a whole tax of a quarter.
        let mut unit = 1_000 + 4 * i64::try_from((number * 31 + at * 17) % 5_000).unwrap_or(0);
        if changed && at == 7 {
            unit += 400;
        }
        let quantity = 1 + i64::try_from((number + at) % 3).unwrap_or(0);
        let line = (unit * quantity, unit * quantity / 4);
        (net, tax) = (net + line.0, tax + line.1);
        EntryLine {
            sku: Sku::new(format!("SKU-{:05}-{at:02}", (number * 7 + at * 131) % 50_000)),
            quantity,
            unit: Some(Decimal::new(unit, 2)),
            net: money(line.0),
            tax: money(line.1),
            rate: Some(Decimal::from(25)),
            component: false,
        }
    });
    let lines: Vec<EntryLine> = lines.collect();
    let at = window().from + i64::try_from(number % (30 * 86_400)).unwrap_or(0).seconds();
    let country = Named { id: "SE".to_owned(), name: "SE".to_owned() };
    let shipping = money(990).zip(money(248)).map(|(net, tax)| Amounts { net, tax, rate: Some(Decimal::from(25)) });
    let totals = money(net).zip(money(tax)).zip(money(net + tax)).map(|((net, tax), gross)| Totals { net, tax, gross });
    Entry {
        key: Some(key(number)),
        order: Some(key(number)),
        buyer: Some(format!("buyer{}@example.com", number % 20_000)),
        currency,
        tax_mode: Some(TaxMode::Added),
        lines,
        shipping,
        totals,
        ..Entry::bare(Kind::Order, ExternalId::new(format!("{prefix}{number}")), at)
    }
    .with(Facet::Country, Some(country))
}
