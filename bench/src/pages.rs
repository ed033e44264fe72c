//! How long a page takes on the server: with a day's history, and with that of years.
//!
//! The floor is the same page of the same binary over a store of a hundredth of the size, in the same run.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context;
use jiff::Timestamp;
use rusqlite::Connection;
use selvedge_model::{
    Brand,
    people::{Email, Right, Role},
};
use selvedge_store::Store;

/// How often each page is asked for.
const TIMES: usize = 15;
/// Open exceptions, of which each holds a hundred orders.
const OPEN: i64 = 300;
/// Orders of the demo of which the rest are copies.
const PLACED: i64 = 40;

/// What is asked for, and what it is called in the table.
const PAGES: [(&str, &str); 36] = [
    ("Today", "/"),
    ("Orders", "/orders"),
    ("Orders, by number", "/orders?search=900500"),
    ("Orders, by e-mail", "/orders?search=shopper500%40example.com"),
    ("Orders, by a SKU that all have", "/orders?search=71053"),
    ("Orders, by two words that all have", "/orders?search=shopper%2071053"),
    ("One order", "/orders/900500"),
    ("Returns", "/returns"),
    ("One return", "/returns/{return}"),
    ("Exceptions", "/exceptions"),
    ("Exceptions, closed", "/exceptions?shelf=closed"),
    ("Exceptions, by text", "/exceptions?text=method"),
    ("One exception", "/exceptions/{exception}"),
    ("One exception, previewed", "/exceptions/{exception}?preview=yes"),
    ("Alerts", "/alerts"),
    ("Reconciliation", "/reconcile"),
    ("What differs", "/reconcile/differences"),
    ("One difference", "/reconcile/differences/{difference}"),
    ("Stock", "/stock"),
    ("Stock, by SKU", "/stock?search={sku}"),
    ("One item", "/stock/items/{sku}"),
    ("Flows", "/flows"),
    ("One flow", "/flows/orders"),
    ("One flow, a sweep foreseen", "/flows/orders?since=3d"),
    ("Connections", "/connections"),
    ("Mappings", "/mappings"),
    ("Mappings, by word", "/mappings?search=sku%3DBENCH-5"),
    ("Mappings, history", "/mappings/history"),
    ("Handbook", "/handbook"),
    ("A checklist", "/handbook/daily/{day}"),
    ("Approvals", "/approvals"),
    ("People", "/people"),
    ("Settings", "/settings"),
    ("Metrics", "/metrics"),
    ("Flows, as JSON", "/api/flows"),
    ("Events, as JSON", "/api/events?stream=records"),
];

/// All of it.
pub async fn run(product: &Path) -> anyhow::Result<()> {
    let small = Size { orders: 10_000, closed: 1_000 };
    let large = Size { orders: 1_000_000, closed: 100_000 };
    let mut figures = Vec::new();
    for size in [small, large] {
        let folder = tempfile::tempdir()?;
        let begun = Instant::now();
        let store = folder.path().join("demo.db");
        played(product, &store)?;
        let token = seed(&store, size).await?;
        let names = names(&store)?;
        eprintln!("{} orders stand after {:.0} s", size.orders, begun.elapsed().as_secs_f64());
        let config = store.with_extension("world").join("selvedge.toml");
        orders_alone(&config)?;
        let server = Server::start(product, &config)?;
        let times =
            |path: &str| server.times(&names.iter().fold(path.to_owned(), |path, (name, at)| path.replace(name, at)), &token);
        figures.push(PAGES.iter().map(|(_, path)| times(path)).collect::<anyhow::Result<Vec<_>>>()?);
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
    Brand::from("demo")
}

/// A demo that has come to rest, with returns, stock, warehouses and a look at both ends: what the rest are copies of.
fn played(product: &Path, store: &Path) -> anyhow::Result<()> {
    let mut child = Command::new(product);
    let placed = PLACED.to_string();
    child.args(["demo", "--listen", "127.0.0.1:0", "--seed", "3", "--pace", "20", "--orders", &placed, "--store"]).arg(store);
    let _demo = Running(child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("the demo does not start")?);
    let end = Instant::now() + Duration::from_secs(300);
    let sql = "SELECT (SELECT count(*) FROM records WHERE kind = 'order' AND revision = 1),
                      (SELECT count(*) FROM obligations WHERE settled_at IS NULL AND state <> 'held'), (SELECT count(*) FROM obligations)";
    let (mut before, mut quiet) = ((0, 0, 0), 0);
    while quiet < 10 {
        anyhow::ensure!(Instant::now() < end, "the demo does not come to rest: {before:?}");
        std::thread::sleep(Duration::from_millis(500));
        let Ok(connection) = Connection::open(store) else { continue };
        let now = connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap_or((0, 0, 0));
        quiet = if now == before && now.0 >= PLACED && now.1 == 0 { quiet + 1 } else { 0 };
        before = now;
    }
    let config = store.with_extension("world").join("selvedge.toml");
    let looked = Command::new(product).arg("--config").arg(config).args(["reconcile", "now", "--since", "2d"]).output()?;
    anyhow::ensure!(!looked.stdout.is_empty(), "nothing was compared: {}", String::from_utf8_lossy(&looked.stderr));
    Ok(())
}

/// The history of years in a store, and a token that reads it.
async fn seed(file: &Path, size: Size) -> anyhow::Result<String> {
    let store = Store::open(&file.display().to_string()).await?;
    let now = Timestamp::now();
    let proof = store
        .write(move |tx| {
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
    let (token, file) = (format!("slv_{}", proof.text()), file.to_owned());
    tokio::task::spawn_blocking(move || copy(&file, size)).await??;
    Ok(token)
}

/// Leaves the flow of orders and what is not a flow of records: the others would be owed what was copied, and the product would be
/// measured while it enters millions of rows.
fn orders_alone(config: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(config)?;
    let stays = |section: &&str| {
        let of = section.split(']').next().unwrap_or_default();
        let of = of.trim_start_matches('[');
        !(of.starts_with("flows.") || of == "routes") || of == "flows.orders" || of.starts_with("flows.orders.")
    };
    let kept: Vec<&str> = text.split("\n[").filter(stays).collect();
    Ok(std::fs::write(config, kept.join("\n["))?)
}

/// What stands for the words in the addresses.
fn names(file: &Path) -> anyhow::Result<Vec<(&'static str, String)>> {
    let connection = Connection::open(file)?;
    let one = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, String>(0)).with_context(|| sql.to_owned());
    Ok(vec![
        ("{return}", one("SELECT key FROM records WHERE kind = 'return' ORDER BY id DESC LIMIT 1")?),
        ("{exception}", one("SELECT 'exc_' || max(id) FROM exceptions WHERE open AND cause LIKE 'bench.%'")?),
        ("{difference}", one("SELECT 'dif_' || max(id) FROM differences WHERE closed_at IS NULL")?),
        ("{sku}", one("SELECT sku FROM stock_figures ORDER BY sku LIMIT 1")?),
        ("{day}", Timestamp::now().strftime("%Y-%m-%d").to_string()),
    ])
}

/// The rows of years, straight into the tables: orders a second apart, the newest now.
fn copy(file: &Path, size: Size) -> anyhow::Result<()> {
    let connection = Connection::open(file)?;
    connection.execute_batch(
        "PRAGMA journal_mode = wal; PRAGMA synchronous = off; PRAGMA temp_store = file; PRAGMA cache_size = -200000; BEGIN",
    )?;
    let now = Timestamp::now().as_microsecond();
    let numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)";
    let run = |sql: &str, values: &[i64]| {
        let sql = format!("{numbers} {sql}");
        connection.execute(&sql, rusqlite::params_from_iter(values)).with_context(|| sql)
    };
    run(
        "INSERT INTO records (brand, connection, kind, key, revision, latest, form, order_key, capture_id, version, received_at,
           amount_minor, currency, digest, who, search, problems, body)
         SELECT r.brand, r.connection, r.kind, 900000 + i, 1, 1, r.form, 900000 + i, NULL, NULL, ?2 - (?1 - i) * 1000000,
           r.amount_minor, r.currency, randomblob(32), 'Shopper ' || i, 900000 + i || char(10) || 'shopper' || i || '@example.com', NULL, r.body
         FROM n, (SELECT * FROM records WHERE kind = 'order' ORDER BY id LIMIT 1) r",
        &[size.orders, now],
    )?;
    for word in ["900000 + i", "'shopper' || i || '@example.com'", "'shopper'", "'71053'"] {
        let sql = format!(
            "INSERT OR IGNORE INTO search_words (brand, kind, word, key, said)
             SELECT 'demo', 'order', {word}, 900000 + i, 'order ' || (900000 + i) FROM n"
        );
        run(&sql, &[size.orders])?;
    }
    // Returns and credit notes of every tenth order, and the goods and the money of each.
    for kind in ["return", "credit_note"] {
        let sql = format!(
            "INSERT INTO records (brand, connection, kind, key, revision, latest, form, order_key, capture_id, version, received_at,
               amount_minor, currency, digest, who, search, problems, body)
             SELECT r.brand, r.connection, r.kind, 900000 + i * 10 || substr(r.key, instr(r.key, '.')), 1, 1, r.form, 900000 + i * 10, NULL, NULL,
               ?2 - (?1 - i) * 10000000, r.amount_minor, r.currency, randomblob(32), r.who, r.search, NULL, r.body
             FROM n, (SELECT * FROM records WHERE kind = '{kind}' AND order_key IS NOT NULL ORDER BY id LIMIT 1) r"
        );
        run(&sql, &[size.orders / 10, now])?;
    }
    // Closed ones of long ago, and open ones that hold a hundred orders each.
    run(
        "INSERT INTO exceptions (brand, flow, cause, rule, path, value, message, remedy, open, first_seen_at, last_seen_at, closed_at, closed_why, weigh_at)
         SELECT 'demo', 'orders', 'bench.shipping_item:method=' || i, 'mapping.shipping_item', 'shipping_method', 'method ' || i,
           'method ' || i || ' has no entry', 'add it', i <= ?2, ?3 - i * 1000000, ?3, CASE WHEN i > ?2 THEN ?3 - i * 1000 END,
           CASE WHEN i > ?2 THEN 'everything it held has settled' END, CASE WHEN i <= ?2 THEN 0 END FROM n",
        &[size.closed + OPEN, OPEN, now],
    )?;
    run(
        "INSERT INTO exception_events (brand, exception_id, at, kind, actor, detail)
         SELECT 'demo', e.id, e.first_seen_at, CASE i WHEN 1 THEN 'opened' WHEN 2 THEN 'commented' ELSE 'closed' END, '', 'as it went' FROM n, exceptions e
         WHERE e.cause LIKE 'bench.%'",
        &[3],
    )?;
    run(
        "INSERT INTO alerts (brand, exception_id, route, severity, opened_at, resolved_at)
         SELECT 'demo', id, 'everything', 'warning', first_seen_at, closed_at FROM exceptions, n WHERE cause LIKE 'bench.%'",
        &[1],
    )?;
    run(
        "INSERT INTO obligations (brand, flow, kind, key, revision, record_id, state, due_at, captured_at, settled_at, exception_id, amount_minor, currency, target)
         SELECT 'demo', 'orders', 'order', r.key, 1, r.id, CASE WHEN held THEN 'held' ELSE 'confirmed' END, NULL, r.received_at, r.received_at + 200000,
           CASE WHEN held THEN (SELECT id FROM exceptions WHERE brand = 'demo' AND flow = 'orders' AND cause = 'bench.shipping_item:method=' || (1 + i % ?2)) END, r.amount_minor, r.currency, 'so' || i
         FROM (SELECT i, i > ?1 - min(?1 / 2, ?2 * 100) AS held FROM n) CROSS JOIN records r ON r.brand = 'demo' AND r.kind = 'order' AND r.key = CAST(900000 + i AS TEXT)",
        &[size.orders, OPEN],
    )?;
    run(
        "INSERT INTO attempts (obligation_id, number, at, verb, outcome, detail)
         SELECT o.id, 1 + i, o.captured_at, 'gate', 'cleared', '' FROM obligations o CROSS JOIN n WHERE i <= 4 AND o.key > '900000' AND o.key < '9999999'",
        &[4],
    )?;
    // A tenth as many differences as exceptions, all of them open; mappings and figures as a large brand has them.
    run(
        "INSERT INTO differences (brand, pair, kind, subject, family, cause, why, path, expected, actual, money_minor, stake_minor, currency, at, team,
           detail, fix, first_seen_at, first_run, last_seen_at, last_run)
         SELECT 'demo', (SELECT pair FROM reconciliations WHERE id = r.id), 'order', 900000 + i, 900000 + i, 'price', 'stale', 'lines[0].net', '100.00', '90.00',
           -1000, 1000, 'EUR', ?2 - i * 1000000, 'finance', 'it says otherwise', 'see who changed it', ?2, r.id, ?2, r.id
         FROM n, (SELECT id FROM reconciliations WHERE pair LIKE '%erp%' ORDER BY id LIMIT 1) r",
        &[size.closed / 10, now],
    )?;
    run(
        "INSERT INTO mappings (brand, connection, tbl, key, value, set_by, set_at) SELECT 'demo', 'erp', 'item', 'sku=BENCH-' || i, i, 'bench', ?2 FROM n",
        &[size.closed / 5, now],
    )?;
    run(
        "INSERT INTO mapping_changes (brand, connection, tbl, key, before, after, set_by, set_at)
         SELECT 'demo', 'erp', 'item', 'sku=BENCH-' || i, NULL, i, 'bench', ?2 FROM n",
        &[size.closed / 5, now],
    )?;
    let columns: Vec<String> = {
        let mut statement = connection.prepare("SELECT name FROM pragma_table_info('stock_figures')")?;
        statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?
    };
    let shown: Vec<&str> = columns.iter().map(|name| if name == "sku" { "sku || '-' || i" } else { name }).collect();
    let sql = format!("INSERT INTO stock_figures ({}) SELECT {} FROM stock_figures, n", columns.join(", "), shown.join(", "));
    run(&sql, &[(size.closed / 2_500).max(1)])?;
    connection.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(())
}

/// A process that ends with us.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The product, serving.
struct Server {
    _running: Running,
    address: String,
}

impl Server {
    fn start(product: &Path, config: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(product);
        command.args(["run", "--log", "error", "--config"]).arg(config);
        let mut child = command.stdout(Stdio::piped()).spawn().context("the product does not start")?;
        let output = BufReader::new(child.stdout.take().context("it has an output")?);
        let running = Running(child);
        let mut lines = output.lines().map_while(Result::ok);
        let found = lines.find_map(|line| line.split_once("http://").map(|(_, rest)| rest.trim().to_owned()));
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { address: found.context("it does not say where it listens")?, _running: running })
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
