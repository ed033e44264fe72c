//! The simulated world: a child process, the config that points at it, the mappings that fit it.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use clap::Args;
use selvedge_connector::{Answer, Call, Effect, Priority, Reach, Session, SessionConfig};
use selvedge_flow::{Setup, clock::SystemClock};
use selvedge_sim::{
    linnworks, netsuite, threepl, veeqo,
    world::{Access, Overselling, Profile, Source, StockOptions, WorldConfig, WorldState, child_main},
};
use selvedge_store::Tx;
use tokio::io::{AsyncBufReadExt, BufReader};

use super::{DemoArgs, connection};

/// The demo's shop.
pub const SHOP: &str = "shop";
/// The demo's ERP.
pub const ERP: &str = "erp";
/// The demo's flow.
pub const FLOW: &str = "orders";
/// The demo's warehouses.
pub const WAREHOUSE: &str = "warehouse";
/// The second.
pub const NORTH: &str = "north";
/// The third, which exchanges files.
pub const DEPOT: &str = "depot";
/// The flows that bring orders to them.
const PICKS: &str = "picks";
const PICKS_NORTH: &str = "picks-north";
const PICKS_DEPOT: &str = "picks-depot";
/// The desk that hands over the credits of a folder.
pub const DESK: &str = "desk";
/// The demo's stock flow.
pub const STOCK: &str = "stock";

/// The simulated world as a process of its own; started by the demo.
#[derive(Debug, Args)]
pub struct WorldArgs {
    #[arg(long)]
    seed: u64,
    #[arg(long)]
    orders: u64,
    #[arg(long)]
    data: Option<PathBuf>,
    #[arg(long)]
    limit: Option<u64>,
    #[arg(long)]
    flash: Option<u32>,
    #[arg(long)]
    faults: String,
    #[arg(long)]
    state: PathBuf,
    #[arg(long)]
    pace: Option<f64>,
    #[arg(long)]
    latency_ms: u64,
    #[arg(long)]
    concurrency: usize,
    #[arg(long)]
    warehouse: bool,
    #[arg(long)]
    kits: bool,
    #[arg(long)]
    returns: bool,
    #[arg(long)]
    desk: bool,
    #[arg(long, default_value = "csv")]
    depot_format: Form,
}

/// What the child process does.
///
/// # Errors
/// Whatever keeps the world from starting.
pub async fn child(args: WorldArgs) -> anyhow::Result<()> {
    // In a sale the shop refuses what it does not have; what happened long ago, happened.
    let (source, overselling) = match (args.data, args.flash) {
        (Some(path), _) => (Source::Folder { path, limit: args.limit }, Overselling::Off),
        (None, Some(skus)) => (Source::Flash { skus, orders: args.orders }, Overselling::Standard),
        (None, None) => (Source::Generated { orders: args.orders }, Overselling::Off),
    };
    let sale = overselling == Overselling::Standard;
    let config = WorldConfig {
        seed: args.seed,
        source,
        faults: profile(&args.faults)?,
        state_dir: Some(args.state),
        pace: args.pace,
        latency: Duration::from_millis(args.latency_ms),
        stock: StockOptions { overselling, waits_for_stock: sale, ..StockOptions::default() },
        netsuite: netsuite::Options { concurrency: args.concurrency, default_accounts: true, ..netsuite::Options::default() },
        kits: args.warehouse || args.kits,
        linnworks: args.warehouse.then(linnworks::Options::default),
        veeqo: args.warehouse.then(veeqo::Options::default),
        threepl: args.warehouse.then(|| threepl::Options {
            format: args.depot_format.into(),
            returns: args.returns,
            ..threepl::Options::default()
        }),
        returns: args.returns,
        desk: args.desk,
        ..WorldConfig::default()
    };
    child_main(config).await
}

/// How the demo's third warehouse writes its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// Comma separated.
    Csv,
    /// X12: 940, 945, 846 and 997.
    X12,
}

impl From<Form> for threepl::Format {
    fn from(form: Form) -> Self {
        match form {
            Form::Csv => threepl::Format::Csv,
            Form::X12 => threepl::Format::X12,
        }
    }
}

fn profile(name: &str) -> anyhow::Result<Profile> {
    name.parse().map_err(|why: String| anyhow::anyhow!(why))
}

/// How the child is started.
///
/// # Errors
/// An unknown fault profile, a data folder that is not there.
pub fn child_args(args: &DemoArgs, folder: &Path) -> anyhow::Result<Vec<String>> {
    profile(&args.faults)?;
    let mut words = vec![
        "world".to_owned(),
        format!("--seed={}", args.seed),
        format!("--orders={}", args.orders),
        format!("--faults={}", args.faults),
        format!("--state={}", folder.display()),
        format!("--latency-ms={}", args.latency_ms),
        // Writes and read-backs share the slots, and a little is left for the others, as in life.
        format!("--concurrency={}", args.parallel.saturating_mul(2).saturating_add(2)),
    ];
    if let Some(data) = &args.data {
        anyhow::ensure!(
            data.is_dir(),
            "there is no folder {}: --data wants a folder of docs, lines and docs_vat tables",
            data.display()
        );
        words.push(format!("--data={}", std::path::absolute(data)?.display()));
    }
    words.extend(args.limit.map(|limit| format!("--limit={limit}")));
    words.extend(args.has_warehouse().then(|| "--warehouse".to_owned()));
    words.extend(args.incumbent.then(|| "--kits".to_owned()));
    words.extend(args.has_returns().then(|| "--returns".to_owned()));
    words.extend(args.has_desk().then(|| "--desk".to_owned()));
    if args.depot_format == Form::X12 {
        words.push("--depot-format=x12".to_owned());
    }
    words.extend(args.flash.map(|skus| format!("--flash={skus}")));
    words.extend(args.pace.or((!args.headless && args.flash.is_none()).then_some(2.0)).map(|pace| format!("--pace={pace}")));
    Ok(words)
}

/// The running child.
pub struct Child {
    process: tokio::process::Child,
    /// How to connect to it.
    pub access: Access,
    admin: Arc<Session>,
}

impl Child {
    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// The child's own words when it cannot start.
    pub async fn start(args: &[String]) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find the own program")?;
        // Its standard input is the leash: when this process is gone, however it went, the pipe closes and the world ends.
        let mut process = tokio::process::Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .context("cannot start the simulated world")?;
        let out = process.stdout.take().context("the simulated world has no output")?;
        let line = BufReader::new(out).lines().next_line().await?;
        let line = line.context("the simulated world ended at once; see its message above")?;
        let access = serde_json::from_str(&line).context("the simulated world does not say how to reach it")?;
        let admin =
            // A large world takes its time to be carried over.
            Session::new(SessionConfig { timeout: Duration::from_secs(900), breaker_failures: u32::MAX, reach: Reach::ANYWHERE, ..SessionConfig::named("world") }, Arc::new(SystemClock));
        Ok(Self { process, access, admin })
    }

    async fn call(&self, method: &'static str, path: &str, body: String) -> anyhow::Result<Answer> {
        let call = Call {
            what: format!("{method} {path} of the simulated world"),
            method,
            url: format!("{}{path}", self.access.admin_url),
            headers: vec![("content-type", selvedge_connector::session::HeaderText::Plain("application/json".to_owned()))],
            body: body.into(),
            effect: Effect::Read,
            priority: Priority::Control,
            costs: Vec::new(),
        };
        let answer = self.admin.send(call).await?;
        anyhow::ensure!(answer.status < 300, "the simulated world answers {} to {path}", answer.status);
        Ok(answer)
    }

    /// How far it is.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn state(&self) -> anyhow::Result<WorldState> {
        Ok(serde_json::from_slice(&self.call("GET", "/state", String::new()).await?.body)?)
    }

    /// Where its shop sends webhooks.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn aim_webhooks(&self, url: &str) -> anyhow::Result<()> {
        self.call("POST", "/webhook", serde_json::json!({ "url": url }).to_string()).await.map(|_| ())
    }

    /// Where its ERP's script posts what moved.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn aim_stock_pushes(&self, url: &str) -> anyhow::Result<()> {
        self.call("POST", "/stock-push", serde_json::json!({ "url": url }).to_string()).await.map(|_| ())
    }

    /// Makes things wrong in it, behind everybody's back.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn make_wrong(&self, seed: u64, each: u64) -> anyhow::Result<selvedge_sim::wrong::Report> {
        let wish = serde_json::json!({ "seed": seed, "each": each }).to_string();
        Ok(serde_json::from_slice(&self.call("POST", "/wrong", wish).await?.body)?)
    }

    /// Lets another integration carry its orders over.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn carry_over(&self, orders: u64) -> anyhow::Result<()> {
        self.call("POST", "/incumbent", serde_json::json!({ "orders": orders }).to_string()).await.map(|_| ())
    }

    /// Writes what stands in its systems.
    ///
    /// # Errors
    /// When it does not answer or the folder cannot be written.
    pub async fn export(&self, folder: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let mut names = vec!["netsuite_documents.csv", "centra_documents.csv", "stock.csv", "centra_stock.csv"];
        if self.access.linnworks.is_some() {
            let warehouses = ["linnworks_orders.csv", "veeqo_orders.csv", "threepl_orders.csv"];
            let shipped = ["centra_lines.csv", "centra_shipments.csv", "netsuite_fulfilments.csv"];
            names.extend(warehouses.into_iter().chain(shipped));
            names.extend(["centra_returns.csv", "centra_refunds.csv", "threepl_returns.csv"]);
        }
        names.extend(["netsuite_returns.csv", "netsuite_refunds.csv"]);
        for name in names {
            let answer = self.call("GET", &format!("/export/{name}"), String::new()).await?;
            std::fs::write(folder.join(name), &answer.body).with_context(|| format!("cannot write {name}"))?;
        }
        Ok(())
    }

    /// Lets it end.
    pub async fn stop(mut self) {
        drop(self.process.stdin.take());
        // It ends by itself when the pipe closes; if it does not, it must not outlive the demo.
        if tokio::time::timeout(Duration::from_secs(5), self.process.wait()).await.is_err() {
            let _ = self.process.kill().await;
        }
    }
}

fn secret_file(folder: &Path, name: &str, secret: &str) -> anyhow::Result<String> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = folder.join(name);
    let mut options = std::fs::OpenOptions::new();
    options.create(true).write(true).truncate(true).mode(0o600);
    let mut file = options.open(&path).with_context(|| format!("cannot write {}", path.display()))?;
    std::io::Write::write_all(&mut file, secret.as_bytes())?;
    Ok(format!("{{ file = {:?} }}", path.display().to_string()))
}

/// Writes the config that an engineer would have written for this world.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_config(args: &DemoArgs, store: &Path, folder: &Path, access: &Access) -> anyhow::Result<PathBuf> {
    let token = secret_file(folder, "shop-token", &access.centra_token)?;
    let webhook = secret_file(folder, "shop-webhook-secret", &access.centra_webhook_secret)?;
    let key = secret_file(folder, "erp-key.pem", &access.netsuite.private_key_pem)?;
    let push = secret_file(folder, "erp-webhook-secret", &access.stock_push_secret)?;
    // Warehouses have the number of their market; what is kept at one place is shown in one warehouse.
    let mut warehouses: Vec<String> = Vec::new();
    for kept in &access.locations {
        let pair = format!("{:?} = {:?}", kept.location, kept.market.to_string());
        if !warehouses.iter().any(|known| known.starts_with(&format!("{:?} =", kept.location))) {
            warehouses.push(pair);
        }
    }
    let (events, zone) = (true, &access.reference.zone);
    let mut text = String::new();
    write!(
        text,
        r#"# Written by `selvedge demo`. An ordinary config, only that its systems are simulated.
brand = "demo"

[store]
url = {url:?}

[server]
listen = {listen:?}

[desk]
rates = {{ SEK = "0.09", GBP = "1.15", USD = "0.9", JPY = "0.006", DKK = "0.134", NOK = "0.086", CHF = "1.05", AUD = "0.57", CAD = "0.63", PLN = "0.23" }}

[connections.{SHOP}]
system = "centra"
base_url = {shop:?}
allow_private = true
token = {token}
webhook_secret = {webhook}
time_zone = {zone:?}
events = {events}
page_size = 100
feed_page_size = 100
stock_fills_waiting = true
{returns}
[connections.{ERP}]
system = "netsuite"
base_url = {erp:?}
allow_private = true
account = {account:?}
concurrency = {concurrency}
customers = {customers:?}
webhook_secret = {push}
commit_lag_seconds = 0

[connections.{ERP}.auth]
method = "oauth2"
client_id = {client:?}
certificate_id = {certificate:?}
private_key = {key}

[flows.{FLOW}]
kind = "order"
from = "{SHOP}"
to = "{ERP}"
parallel = {parallel}
unanswered_wait = "1s"
backoff_first = "200ms"
backoff_max = "5s"

[flows.{FLOW}.capture]
since = "2009-01-01T00:00:00Z"
feed = "1s"
poll = "off"
poll_lag = "1ms"
sweep = "24h"
sweep_back = "3650d"
notice_grace = "5s"

[reconcile]
every = "off"
allowance = "1s"

[stock.{STOCK}]
from = "{ERP}"
to = "{SHOP}"
warehouses = {{ {warehouses} }}
settle_wait = "2s"
{buffers}
[stock.{STOCK}.poll]
least = "1s"
peak_most = "5s"
most = "5s"
overlap = "5s"
"#,
        warehouses = warehouses.join(", "),
        returns = if args.has_returns() || args.incumbent { shop_returns(access) } else { String::new() },
        // Half a year in a few minutes says nothing of how quickly things sell.
        buffers = if args.data.is_some() { "buffers = [{ fixed = 2 }]\n" } else { "" },
        url = format!("sqlite://{}", store.display()),
        listen = args.listen,
        shop = access.centra_url,
        erp = access.netsuite_url,
        account = access.netsuite.account,
        client = access.netsuite.client_id,
        certificate = access.netsuite.certificate_id,
        customers = if args.guests { "guest" } else { "shopper" },
        concurrency = args.parallel.saturating_mul(2),
        parallel = args.parallel,
    )?;
    text.push_str(&warehouses_config(folder, access)?);
    if args.has_warehouse() {
        text.push_str(&items_config(args, access));
    }
    if args.has_returns() {
        text.push_str(&returns_config());
    }
    text.push_str(&desk_config(folder, access)?);
    if let Some(more) = &args.and_config {
        let more = std::fs::read_to_string(more).with_context(|| format!("cannot read {}", more.display()))?;
        text = laid_over(&text, &more)?;
    }
    let file = folder.join("selvedge.toml");
    std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

/// A config with another laid over it: what both say, the second decides.
fn laid_over(text: &str, more: &str) -> anyhow::Result<String> {
    fn lay(under: &mut toml::Table, over: toml::Table) {
        for (key, value) in over {
            match (under.get_mut(&key), value) {
                (Some(toml::Value::Table(under)), toml::Value::Table(over)) => lay(under, over),
                (_, value) => drop(under.insert(key, value)),
            }
        }
    }
    let mut whole: toml::Table = text.parse().context("the demo's own config cannot be read")?;
    lay(&mut whole, more.parse().context("what is to be added to the config cannot be read")?);
    Ok(toml::to_string(&whole)?)
}

/// Writes the config of an audit: both ends, and what must agree.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_audit_config(args: &DemoArgs, store: &Path, folder: &Path, access: &Access) -> anyhow::Result<PathBuf> {
    let text = std::fs::read_to_string(write_config(args, store, folder, access)?)?;
    // Connections as in any demo; no flow.
    let mut kept: Vec<&str> = Vec::new();
    let mut dropped = false;
    for line in text.lines() {
        if line.starts_with('[') {
            dropped = !(line.starts_with("[connections.") || line.starts_with("[store") || line.starts_with("[server"));
        }
        if !dropped {
            kept.push(line);
        }
    }
    let places: BTreeSet<String> =
        access.locations.iter().map(|kept| format!("{:?} = {:?}", kept.location, kept.market.to_string())).collect();
    let places: Vec<String> = places.into_iter().collect();
    let mut text = kept.join("\n");
    write!(
        text,
        r#"
[connections.{ERP}.statements]
tracking = true

[reconcile]
every = "off"
allowance = "1s"
late_after = "6h"

[reconcile.pairs.books]
from = ["{SHOP}"]
to = "{ERP}"
kinds = ["order", "credit_note", "refund", "return"]

[reconcile.pairs.parcels]
from = ["{ERP}"]
to = "{SHOP}"
kinds = ["shipment"]

[reconcile.pairs.stock]
from = ["{ERP}"]
to = "{SHOP}"
kinds = ["stock"]
places = {{ {places} }}

[entities.nordvik]
time_zone = {zone:?}
currency = "SEK"
"#,
        places = places.join(", "),
        zone = access.reference.zone,
    )?;
    let file = folder.join("selvedge.toml");
    std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

/// The warehouses, the flows to and from them, and who ships what.
fn warehouses_config(folder: &Path, access: &Access) -> anyhow::Result<String> {
    let mut text = String::new();
    if let (Some(url), Some(warehouse)) = (&access.linnworks_url, &access.linnworks) {
        let id = secret_file(folder, "warehouse-application-id", &warehouse.application_id)?;
        let secret = secret_file(folder, "warehouse-application-secret", &warehouse.application_secret)?;
        let token = secret_file(folder, "warehouse-token", &warehouse.token)?;
        write!(
            text,
            r#"
[connections.{WAREHOUSE}]
system = "linnworks"
login_url = {url:?}
allow_private = true
application_id = {id}
application_secret = {secret}
token = {token}
location = {location:?}
"#,
            location = warehouse.location,
        )?;
        text.push_str(&warehouse_flows(WAREHOUSE, PICKS, "shipments", "poll = \"1s\""));
    }
    if let (Some(url), Some(warehouse)) = (&access.veeqo_url, &access.veeqo) {
        let key = secret_file(folder, "north-api-key", &warehouse.api_key)?;
        write!(
            text,
            r#"
[connections.{NORTH}]
system = "veeqo"
base_url = {url:?}
allow_private = true
api_key = {key}
channel_id = {channel}
"#,
            channel = warehouse.channel_id,
        )?;
        text.push_str(&warehouse_flows(NORTH, PICKS_NORTH, "shipments-north", "poll = \"2s\""));
    }
    if let Some(warehouse) = &access.threepl {
        let password = secret_file(folder, "depot-password", &warehouse.password)?;
        write!(
            text,
            r#"
[connections.{DEPOT}]
system = "threepl"
host = "127.0.0.1"
allow_private = true
port = {port}
user = {user:?}
password = {password}
host_key = {key:?}
format = {format:?}
warehouse = {code:?}
settle_seconds = 0
acknowledgement_minutes = 10
"#,
            port = warehouse.port,
            user = warehouse.user,
            key = warehouse.host_key,
            format = warehouse.format,
            code = warehouse.warehouse,
        )?;
        if warehouse.format == "x12" {
            let shop = threepl::SHOP;
            writeln!(text, "x12 = {{ sender = \"ZZ:{shop}\", receiver = \"ZZ:{}\" }}", warehouse.warehouse)?;
            // What a partner means by them is for the partner to say.
            writeln!(text, "dispositions = {{ RA = \"restock\", RN = \"quarantine\", RP = \"quarantine\" }}")?;
        }
        text.push_str(&warehouse_flows(DEPOT, PICKS_DEPOT, "shipments-depot", "feed = \"1s\"\npoll = \"off\""));
    }
    if access.veeqo.is_some() && access.threepl.is_some() {
        write!(
            text,
            r#"
[[routes]]
name = "the Disa line and small goods are kept at the depot"
to = ["{PICKS_DEPOT}"]
by = "line"
skus = ["13*", "TOTE", "BEANIE", "LOOKBOOK"]

[[routes]]
name = "Sweden from the north"
to = ["{PICKS_NORTH}"]
markets = ["Sweden"]

[[routes]]
name = "Europe from the warehouse"
to = ["{PICKS}"]
markets = ["Germany", "United Kingdom"]

[[routes]]
name = "the rest of the world from the depot"
to = ["{PICKS_DEPOT}"]
"#
        )?;
    }
    Ok(text)
}

/// What the shop is asked of returns.
fn shop_returns(access: &Access) -> String {
    // Goods that are kept apart go to the place of the last market.
    let apart = access.locations.last().map_or(0, |kept| kept.market);
    format!("returns = true\nquarantine_warehouse = {apart}\nstore_credit_methods = [\"store_credit\"]\n")
}

/// What comes back: goods and money to the books, what is expected to the depot, and what the depot received to the shop.
fn returns_config() -> String {
    let mut text = String::new();
    for (name, kind, from, to) in [
        ("returns", "return", SHOP, ERP),
        ("credits", "credit_note", SHOP, ERP),
        ("refunds", "refund", SHOP, ERP),
        ("returns-depot", "return", SHOP, DEPOT),
        ("receipts", "return", DEPOT, SHOP),
    ] {
        text.push_str(&quick_flow(name, kind, from, to));
    }
    text.push_str(
        r#"
[flows.returns.capture]
since = "2009-01-01T00:00:00Z"
feed = "1s"
poll = "30s"
poll_lag = "1ms"
sweep = "24h"
sweep_back = "3650d"
notice_grace = "5s"

[flows.receipts.capture]
since = "2009-01-01T00:00:00Z"
feed = "1s"
poll = "off"
poll_lag = "1ms"
sweep = "24h"
sweep_back = "3650d"
"#,
    );
    text
}

/// The desk, and the flows that bring its credits and what came back with them to the books.
fn desk_config(folder: &Path, access: &Access) -> anyhow::Result<String> {
    let Some(desk) = &access.desk else { return Ok(String::new()) };
    let password = secret_file(folder, "desk-password", &desk.password)?;
    let mut text = String::new();
    write!(
        text,
        r#"
[connections.{DESK}]
system = "threepl"
host = "127.0.0.1"
allow_private = true
port = {port}
user = {user:?}
password = {password}
host_key = {key:?}
time_zone = "Europe/London"
settle_seconds = 0
"#,
        port = desk.port,
        user = desk.user,
        key = desk.host_key,
    )?;
    text.push_str(&quick_flow("desk-credits", "credit_note", DESK, ERP));
    text.push_str(&quick_flow("desk-returns", "return", DESK, ERP));
    text.push_str(
        r#"
[flows.desk-credits.credits]
link = "oldest_first"
amounts = "as_stated"
patience = "1m"

[flows.desk-credits.capture]
since = "2009-01-01T00:00:00Z"
feed = "1s"
poll = "off"
poll_lag = "1ms"
sweep = "24h"
sweep_back = "3650d"
"#,
    );
    Ok(text)
}

fn quick_flow(name: &str, kind: &str, from: &str, to: &str) -> String {
    format!(
        r#"
[flows.{name}]
kind = "{kind}"
from = "{from}"
to = "{to}"
unanswered_wait = "1s"
backoff_first = "200ms"
backoff_max = "5s"
"#
    )
}

/// What is sold, to everybody who has to know it; and what the ERP asks for of new items.
fn items_config(args: &DemoArgs, access: &Access) -> String {
    let mut text = format!(
        r#"
[connections.{ERP}.items]
subsidiary = "1"
include_children = true
tax_schedule = "default"
income_account = "default"
cogs_account = "default"
asset_account = "default"

[dispatch]
time_zone = "Europe/Stockholm"

[[dispatch.promises]]
days = 2
"#
    );
    let since = if args.products { "2009-01-01T00:00:00Z" } else { "1s" };
    let mut targets = vec![ERP];
    targets.extend(access.linnworks.as_ref().map(|_| WAREHOUSE));
    targets.extend(access.veeqo.as_ref().map(|_| NORTH));
    for target in targets {
        // Where a look costs one question, somebody may watch it happen.
        let watch = if target == ERP { "10s" } else { "10m" };
        text.push_str(&format!(
            r#"
[flows.items-{target}]
kind = "product"
from = "{SHOP}"
to = "{target}"
unanswered_wait = "1s"
backoff_first = "200ms"
backoff_max = "5s"

[flows.items-{target}.products]
watch = "{watch}"

[flows.items-{target}.capture]
since = "{since}"
poll = "5s"
poll_lag = "1ms"
sweep = "24h"
sweep_back = "3650d"
"#
        ));
    }
    text
}

/// Orders to a warehouse, and what left it.
fn warehouse_flows(warehouse: &str, picks: &str, shipments: &str, pace: &str) -> String {
    format!(
        r#"
[flows.{picks}]
kind = "order"
from = "{SHOP}"
to = "{warehouse}"
unanswered_wait = "1s"
backoff_first = "200ms"
backoff_max = "5s"

[flows.{shipments}]
kind = "shipment"
from = "{warehouse}"
to = "{SHOP}"
tracking_wait = "1m"
unanswered_wait = "1s"
backoff_first = "200ms"
backoff_max = "5s"

# Nobody follows a parcel in the books.
[flows.{shipments}-{ERP}]
kind = "shipment"
from = "{warehouse}"
to = "{ERP}"
tracking_wait = "1m"
without_tracking = "send"
unanswered_wait = "1s"
backoff_first = "200ms"
backoff_max = "5s"

[flows.{shipments}.capture]
since = "2009-01-01T00:00:00Z"
{pace}
poll_overlap = "10s"
poll_lag = "1ms"
sweep = "24h"
sweep_back = "3650d"
"#
    )
}

/// Fills the mapping tables so that they fit the world. With the page, one shipping method is left
/// out, so that there is an exception to look at and to mend.
///
/// # Errors
/// The store's.
pub async fn map_everything(setup: &Setup, access: &Access, whole: bool) -> anyhow::Result<()> {
    let brand = setup.brand.clone();
    if !setup.store.read(move |view| view.mappings(&brand)).await?.is_empty() {
        return Ok(());
    }
    let mut entries = entries(access);
    if !whole {
        // The second method of the first market: some orders need it soon, most do not.
        let mut methods = (0..entries.len()).filter(|at| entries.get(*at).is_some_and(|(table, _, _)| table == "shipping_item"));
        if let Some(left_out) = methods.nth(1) {
            entries.remove(left_out);
        }
    }
    let services = services(access);
    let (brand, now) = (setup.brand.clone(), setup.clock.now());
    // All or none: whoever is killed in between would find some of them and take them for all.
    let write = move |tx: &Tx<'_>| {
        let erp = entries.iter().map(|entry| (ERP, entry));
        for (target, (table, key, value)) in erp.chain(services.iter().map(|(target, entry)| (*target, entry))) {
            tx.map(&brand, &connection(target), table, key, Some(value), "demo", now)?;
            tx.audit(&brand, "demo", "mapping.set", &format!("{table} {key}"), &format!("{value} at {target}"), now)?;
        }
        Ok(())
    };
    Ok(setup.store.write(write).await?)
}

/// A row of a mapping table: the table, the key text, the value.
type Entry = (String, String, String);

/// Which of each warehouse's services each shipping method goes by, wherever it goes and whatever it weighs.
fn services(access: &Access) -> Vec<(&'static str, Entry)> {
    let offered: [(&str, Vec<String>); 3] = [
        (WAREHOUSE, access.linnworks.as_ref().map(|one| one.services.clone()).unwrap_or_default()),
        (
            NORTH,
            access
                .veeqo
                .as_ref()
                .map(|one| one.delivery_methods.iter().map(|(id, _)| id.to_string()).collect())
                .unwrap_or_default(),
        ),
        (DEPOT, access.threepl.as_ref().map(|one| one.services.clone()).unwrap_or_default()),
    ];
    let mut services = Vec::new();
    for (target, offered) in &offered {
        for market in &access.reference.markets {
            for (at, (_, name, _)) in market.shipping_methods.iter().enumerate() {
                let Some(service) = offered.get(at % offered.len().max(1)) else { continue };
                let id = market.id.to_string();
                let key = [("market", id.as_str()), ("method", name.as_str()), ("country", "*"), ("weight", "*")];
                let key: Vec<(String, String)> = key.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
                let key = selvedge_model::gate::mapping::key_text(&key);
                services.push((*target, ("shipping_service".to_owned(), key, service.clone())));
            }
        }
    }
    services
}

fn entries(access: &Access) -> Vec<Entry> {
    let ids = netsuite::seed_ids();
    let mut entries = Vec::new();
    let mut add = |table: &str, key: &[(&str, &str)], value: &str| {
        let key: Vec<(String, String)> = key.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        entries.push((table.to_owned(), selvedge_model::gate::mapping::key_text(&key), value.to_owned()));
    };
    for market in &access.reference.markets {
        let id = market.id.to_string();
        // The subsidiary that keeps its books in the market's currency, else the first that is not the root.
        let by_currency = ids.subsidiaries.iter().skip(1).find(|(_, _, _, currency)| *currency == market.currency);
        let Some((subsidiary, ..)) = by_currency.or(ids.subsidiaries.get(1)).or(ids.subsidiaries.first()) else { continue };
        add("subsidiary", &[("market", &id)], subsidiary);
        if let Some((location, ..)) = ids.locations.iter().find(|(_, _, of)| of == subsidiary) {
            add("location", &[("market", &id)], location);
        }
        if let Some(guest) = netsuite::guest_customer_id(subsidiary, &market.currency) {
            add("guest_customer", &[("market", &id), ("currency", &market.currency)], &guest);
        }
        for (at, (_, name, _)) in market.shipping_methods.iter().enumerate() {
            let Some((item, _)) = ids.ship_items.get(at % ids.ship_items.len().max(1)) else { continue };
            add("shipping_item", &[("market", &id), ("method", name)], item);
        }
    }
    for (country, rate) in &access.reference.taxes {
        let code = format!("{}:{}", netsuite::tax_type_id(country), netsuite::tax_code_id(country, rate));
        add("tax_code", &[("country", country), ("rate", rate)], &code);
    }
    for (at, (uri, _)) in access.reference.payment_methods.iter().enumerate() {
        if let Some((method, _)) = ids.payment_methods.get(at % ids.payment_methods.len().max(1)) {
            add("payment_method", &[("method", uri)], method);
        }
    }
    add("discount_item", &[("kind", "discount")], &ids.discount_item);
    add("discount_item", &[("kind", "gift_card")], &ids.gift_card_item);
    add("charge_item", &[("kind", "handling")], &ids.handling_item);
    add("charge_item", &[("kind", "return_fee")], &ids.return_fee_item);
    add("charge_item", &[("kind", "goodwill")], &ids.goodwill_item);
    // A refund names the plugin that paid, an order the method.
    for (uri, plugin) in &access.reference.payment_methods {
        add("refund_account", &[("method", uri)], &ids.refund_account);
        if plugin != uri {
            add("refund_account", &[("method", plugin)], &ids.refund_account);
        }
    }
    for method in ["gift_card", "store_credit"] {
        add("refund_account", &[("method", method)], &ids.store_credit_account);
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_laid_over_a_config_decides_and_the_rest_stays() {
        let laid = laid_over(
            "[server]\nlisten = \"a\"\n[stock.one]\nfrom = \"erp\"\n",
            "[server]\nurl = \"u\"\n[stock.one]\nfrom = \"depot\"\n",
        );
        let laid: toml::Table = laid.unwrap().parse().unwrap();
        assert_eq!(laid["server"]["listen"].as_str(), Some("a"));
        assert_eq!((laid["server"]["url"].as_str(), laid["stock"]["one"]["from"].as_str()), (Some("u"), Some("depot")));
        assert!(laid_over("a = 1", "no config").is_err());
    }
}
