//! How long a page takes on the server: with a day's history, and with that of years.
//!
//! The floor is the same page of the same binary over a store of a hundredth of the size, in the same run.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context;
use jiff::Timestamp;
use rusqlite::{Connection, params};
use selvedge_model::{
    Brand, Currency, Kind, Money, Order,
    people::{Email, Right, Role},
};
use selvedge_store::{
    Store,
    obligations::NewObligation,
    records::{NewRecord, Recorded},
};

/// How often each page is asked for.
const TIMES: usize = 15;
/// Open exceptions, of which each holds a hundred orders.
const OPEN: i64 = 300;

/// What is asked for, and what it is called in the table.
const PAGES: [(&str, &str); 15] = [
    ("Today", "/"),
    ("Orders", "/orders"),
    ("Orders, by number", "/orders?search=900500"),
    ("Orders, by e-mail", "/orders?search=shopper500%40example.com"),
    ("One order", "/orders/900500"),
    ("Exceptions", "/exceptions"),
    ("Exceptions, closed", "/exceptions?shelf=closed"),
    ("Exceptions, by text", "/exceptions?text=method"),
    ("One exception", "/exceptions/exc_1"),
    ("Returns", "/returns"),
    ("Stock", "/stock"),
    ("Mappings", "/mappings"),
    ("Reconciliation", "/reconcile"),
    ("Alerts", "/alerts"),
    ("Handbook", "/handbook"),
];

/// All of it.
pub async fn run(product: &Path) -> anyhow::Result<()> {
    let small = Size { orders: 10_000, closed: 1_000 };
    let large = Size { orders: 1_000_000, closed: 100_000 };
    let mut figures = Vec::new();
    for size in [small, large] {
        let folder = tempfile::tempdir()?;
        let begun = Instant::now();
        let token = seed(folder.path(), size).await?;
        eprintln!("{} orders stand after {:.0} s", size.orders, begun.elapsed().as_secs_f64());
        let server = Server::start(product, folder.path())?;
        figures.push(PAGES.iter().map(|(_, path)| server.times(path, &token)).collect::<anyhow::Result<Vec<_>>>()?);
    }
    println!("\n| page | p50 ms | max ms | p50 ms at a hundredth | ratio |");
    println!("|---|---|---|---|---|");
    for (at, (name, _)) in PAGES.iter().enumerate() {
        let (few, many) = (&figures[0][at], &figures[1][at]);
        let middle = |times: &[f64]| times[times.len() / 2];
        println!(
            "| {name} | {:.1} | {:.1} | {:.1} | {:.1} |",
            middle(many),
            many[many.len() - 1],
            middle(few),
            middle(many) / middle(few)
        );
    }
    Ok(())
}

/// How much history.
#[derive(Clone, Copy)]
struct Size {
    orders: i64,
    closed: i64,
}

fn brand() -> Brand {
    Brand::from("bench")
}

/// A store of this size, and a token that reads it. One order is entered as the product does; the others are its copies.
async fn seed(folder: &Path, size: Size) -> anyhow::Result<String> {
    let file = folder.join("selvedge.db");
    let store = Store::open(&file.display().to_string()).await?;
    let now = Timestamp::now();
    let proof = store
        .write(move |tx| {
            let currency = Currency::from_code("EUR").ok_or(selvedge_store::StoreError::Closed)?;
            let mut order = Order::of_units("900000".into(), "900000".into(), Money::zero(currency), now);
            order.totals.gross = Money::from_minor(12_900, currency);
            let new = NewRecord {
                brand: brand(),
                connection: "shop".into(),
                capture: None,
                record: order.into(),
                problems: Vec::new(),
                version: None,
                received_at: now,
            };
            if let Recorded::Revision(record, revision) = tx.put_record(&new)? {
                let owed = NewObligation {
                    brand: brand(),
                    flow: "orders".into(),
                    kind: Kind::Order,
                    key: "900000".into(),
                    record,
                    revision,
                    captured_at: now,
                };
                tx.owe(&owed, now)?;
            }
            let email: Email = "bench@example.com".parse().map_err(|_| selvedge_store::StoreError::Closed)?;
            let person = tx.add_person(&email, "Bench", now)?;
            tx.set_roles(person, &brand(), &[Role::Admin].into())?;
            let until = now + Duration::from_secs(86_400);
            let scopes = Right::ALL.into_iter().collect();
            Ok(tx.make_token(&brand(), person, "bench", &scopes, until, now)?.1)
        })
        .await?;
    store.fold().await?;
    drop(store);
    let token = format!("slv_{}", proof.text());
    tokio::task::spawn_blocking(move || copy(&file, size)).await??;
    std::fs::write(folder.join("selvedge.toml"), CONFIG)?;
    std::fs::write(folder.join(".env"), "TOKEN=x\n")?;
    Ok(token)
}

/// A brand whose systems do not answer: pages do not ask them.
const CONFIG: &str = r#"
brand = "bench"
[server]
listen = "127.0.0.1:0"
[connections.shop]
system = "centra"
base_url = "http://127.0.0.1:9"
allow_private = true
token = { env = "TOKEN" }
time_zone = "Europe/Stockholm"
[connections.erp]
system = "netsuite"
base_url = "http://127.0.0.1:9"
allow_private = true
account = "1"
[connections.erp.auth]
method = "oauth1"
consumer_key = "ck"
consumer_secret = { env = "TOKEN" }
token_id = "t"
token_secret = { env = "TOKEN" }
[flows.orders]
from = "shop"
to = "erp"
[retention]
documents = "off"
webhooks = "off"
people = "off"
"#;

/// The rows of years, straight into the tables: a second apart, the newest now.
fn copy(file: &Path, size: Size) -> anyhow::Result<()> {
    let connection = Connection::open(file)?;
    connection.execute_batch(
        "PRAGMA journal_mode = wal; PRAGMA synchronous = off; PRAGMA temp_store = file; PRAGMA cache_size = -200000; BEGIN",
    )?;
    let numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)";
    let sql = format!(
        "{numbers} INSERT INTO records (brand, connection, kind, key, revision, latest, form, order_key, capture_id, version, received_at,
           amount_minor, currency, digest, who, search, problems, body)
         SELECT r.brand, r.connection, r.kind, 900000 + i, 1, 1, r.form, 900000 + i, NULL, NULL, r.received_at - (?1 - i) * 1000000,
           r.amount_minor, r.currency, randomblob(32), 'Shopper ' || i, 900000 + i || char(10) || 'shopper' || i || '@example.com', NULL, r.body
         FROM n, records r WHERE r.key = '900000'"
    );
    connection.execute(&sql, [size.orders])?;
    for word in ["900000 + i", "'shopper' || i || '@example.com'", "'shopper'", "'71053'"] {
        let sql = format!(
            "{numbers} INSERT OR IGNORE INTO search_words (brand, kind, word, key, said)
             SELECT 'bench', 'order', {word}, 900000 + i, 'order ' || (900000 + i) FROM n"
        );
        connection.execute(&sql, [size.orders])?;
    }
    // Closed ones of long ago, and open ones that hold a hundred orders each.
    let sql = format!(
        "{numbers} INSERT INTO exceptions (brand, flow, cause, rule, path, value, message, remedy, open, first_seen_at, last_seen_at, closed_at, closed_why, weigh_at)
         SELECT 'bench', 'orders', 'mapping.shipping_item:method=' || i, 'mapping.shipping_item', 'shipping_method', 'method ' || i,
           'method ' || i || ' has no entry', 'add it', i <= ?2, ?3 - i * 1000000, ?3, CASE WHEN i > ?2 THEN ?3 - i * 1000 END,
           CASE WHEN i > ?2 THEN 'everything it held has settled' END, CASE WHEN i <= ?2 THEN 0 END FROM n"
    );
    let now = Timestamp::now().as_microsecond();
    connection.execute(&sql, params![size.closed + OPEN, OPEN, now])?;
    let sql = format!(
        "{numbers} INSERT INTO obligations (brand, flow, kind, key, revision, record_id, state, due_at, captured_at, settled_at, exception_id, amount_minor, currency, target)
         SELECT 'bench', 'orders', 'order', r.key, 1, r.id, CASE WHEN held THEN 'held' ELSE 'confirmed' END, NULL, r.received_at, r.received_at + 200000,
           CASE WHEN held THEN 1 + i % ?2 END, r.amount_minor, r.currency, 'so' || i
         FROM (SELECT i, i > ?1 - min(?1 / 2, ?2 * 100) AS held FROM n) JOIN records r ON r.brand = 'bench' AND r.kind = 'order' AND r.key = CAST(900000 + i AS TEXT)"
    );
    connection.execute(&sql, params![size.orders, OPEN])?;
    let sql = format!(
        "{numbers} INSERT INTO attempts (obligation_id, number, at, verb, outcome, detail)
         SELECT o.id, 1 + i, o.captured_at, 'gate', 'cleared', '' FROM n JOIN obligations o WHERE i <= 4 AND o.key <> '900000'"
    );
    connection.execute(&sql, [4])?;
    connection.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(())
}

/// The product, serving.
struct Server {
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(product: &Path, folder: &Path) -> anyhow::Result<Self> {
        let config: PathBuf = folder.join("selvedge.toml");
        let mut child = Command::new(product)
            .args(["run", "--log", "error", "--config"])
            .arg(config)
            .stdout(Stdio::piped())
            .spawn()
            .context("the product does not start")?;
        let output = BufReader::new(child.stdout.take().context("it has an output")?);
        let mut lines = output.lines().map_while(Result::ok);
        let found = lines.find_map(|line| line.split_once("http://").map(|(_, rest)| rest.trim().to_owned()));
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { address: found.context("it does not say where it listens")?, child })
    }

    /// How long a page takes, in milliseconds, sorted; the first answer warms it up and does not count.
    fn times(&self, path: &str, token: &str) -> anyhow::Result<Vec<f64>> {
        let mut times = Vec::with_capacity(TIMES);
        for turn in 0..=TIMES {
            let begun = Instant::now();
            let mut stream = TcpStream::connect(&self.address)?;
            write!(
                stream,
                "GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n",
                self.address
            )?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer)?;
            let took = begun.elapsed().as_secs_f64() * 1_000.0;
            anyhow::ensure!(
                answer.starts_with(b"HTTP/1.1 200"),
                "{path}: {}",
                String::from_utf8_lossy(answer.get(..200).unwrap_or(&answer))
            );
            if turn > 0 {
                times.push(took);
            }
        }
        times.sort_by(f64::total_cmp);
        Ok(times)
    }
}
