//! How quickly a change at the source stands in the shop, and what a whole snapshot costs.
//!
//! The floor of the way is the same calls, made one after another by a plain client against the same
//! stand-ins: ask the source for one item, look at the shop, ask for its news, write, read back.

use std::{
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context;
use selvedge_sim::{
    netsuite::PushTarget,
    world::{Plan, Source, World, WorldConfig},
};
use serde_json::{Value, json};

/// Changes that are measured.
const CHANGES: usize = 100;
/// How long anything may take before the measurement gives up.
const PATIENCE: Duration = Duration::from_secs(900);

/// One way to hear of changes.
#[derive(Clone, Copy)]
struct Case {
    skus: u32,
    latency: Duration,
    push: bool,
    poll_ms: u64,
}

/// All cases of stock.
pub async fn run(product: &Path) -> anyhow::Result<()> {
    println!("\n| change stands in the shop | answers take | p50 ms | p99 ms | max ms | floor ms | p99 / floor |");
    println!("|---|---|---|---|---|---|---|");
    for push in [true, false] {
        let case = Case { skus: 2_000, latency: Duration::from_millis(20), push, poll_ms: 1_000 };
        let installation = Installation::start(product, case).await?;
        let floor = floor(&installation.world).await?;
        let times = installation.changes().await?;
        let at = |percent: usize| times[(times.len() * percent).div_ceil(100).saturating_sub(1)];
        let way = if push { "with pushes".to_owned() } else { format!("polls every {} ms", case.poll_ms) };
        println!("| {way} | 20 ms | {:.0} | {:.0} | {:.0} | {floor:.0} | {:.1} |", at(50), at(99), at(100), at(99) / floor);
        installation.stop().await;
    }
    println!(
        "\n| items | answers take | until the shop shows all, s | floor s | ratio | peak MiB | calls to the source | calls to the shop |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let case = Case { skus: 100_000, latency: Duration::from_millis(20), push: true, poll_ms: 60_000 };
    let begun = Instant::now();
    let installation = Installation::start(product, case).await?;
    let took = begun.elapsed().as_secs_f64();
    let (calls, peak) = (installation.world.state().calls, installation.peak_mib()?);
    // The least: read both sides in the largest pages, write and read back in the largest batches.
    let least = 100_000.0 / 1_000.0 + 100_000.0 / 200.0 + 100_000.0 / 100.0 + 100_000.0 / 200.0;
    let one = floor(&installation.world).await? / 5.0 / 1_000.0;
    let floor = least * one;
    println!(
        "| 100,000 | 20 ms | {took:.0} | {floor:.0} | {:.2} | {peak:.0} | {} | {} |",
        took / floor,
        calls.netsuite,
        calls.centra
    );
    installation.stop().await;
    Ok(())
}

/// The product beside a world.
struct Installation {
    world: World,
    case: Case,
    child: Ends,
    skus: Vec<String>,
    _folder: tempfile::TempDir,
}

impl Installation {
    /// Starts both and waits until the shop shows what the source has.
    async fn start(product: &Path, case: Case) -> anyhow::Result<Self> {
        let world = World::start(WorldConfig {
            source: Source::Flash { skus: case.skus, orders: 0 },
            latency: case.latency,
            plan: Plan::Ample,
            ..WorldConfig::default()
        })
        .await?;
        let folder = tempfile::tempdir()?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let config = config(&world, folder.path(), port, case)?;
        let child =
            Command::new(product).args(["run", "--config"]).arg(&config).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        if case.push {
            let url = format!("http://127.0.0.1:{port}/webhooks/erp");
            world.aim_stock_pushes(Some(PushTarget { url, secret: world.stock_push_secret.clone() }));
        }
        let csv = world.source_stock_csv();
        let skus = csv.lines().skip(1).filter_map(|line| Some(line.rsplit_once(',')?.0.to_owned())).collect();
        let installation = Self { world, case, child: Ends(child), skus, _folder: folder };
        installation.until("the shop shows everything", |it| it.skus.iter().all(|sku| it.is_right(sku))).await?;
        Ok(installation)
    }

    fn is_right(&self, sku: &str) -> bool {
        let (source, shop) = (self.world.source_stock(sku, 1), self.world.shop_stock(sku, 1));
        match (source, shop) {
            (Some(source), Some(shop)) => shop.free == source.net().max(0),
            (None, _) => true,
            (Some(_), None) => false,
        }
    }

    async fn until(&self, what: &str, done: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        let begun = Instant::now();
        let pause = if self.case.skus > 10_000 { 500 } else { 1 };
        while !done(self) {
            anyhow::ensure!(begun.elapsed() < PATIENCE, "{what}: not within {} s", PATIENCE.as_secs());
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        Ok(())
    }

    /// Milliseconds from a movement at the source to its figure in the shop, sorted.
    async fn changes(&self) -> anyhow::Result<Vec<f64>> {
        let mut times = Vec::new();
        for number in 0..CHANGES {
            let sku = self.skus.get(number * 7 % self.skus.len()).context("items")?;
            let begun = Instant::now();
            self.world.move_stock(sku, 1, 3, "a delivery")?;
            self.until("a change", |it| it.is_right(sku)).await?;
            times.push(begun.elapsed().as_secs_f64() * 1_000.0);
            // Not in step with anything.
            tokio::time::sleep(Duration::from_millis((number as u64 * 377) % 1_009)).await;
        }
        times.sort_by(f64::total_cmp);
        Ok(times)
    }

    fn peak_mib(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.0.id()))?;
        let kib: f64 = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok())
            .unwrap_or_default();
        Ok(kib / 1_024.0)
    }

    async fn stop(mut self) {
        self.child.end();
        self.world.stop().await;
    }
}

/// A child that does not outlive its measurement, however that ends.
struct Ends(Child);

impl Ends {
    fn end(&mut self) {
        // One that is gone already is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.end();
    }
}

fn config(world: &World, folder: &Path, port: u16, case: Case) -> anyhow::Result<std::path::PathBuf> {
    let secret = |name: &str, text: &str| -> anyhow::Result<String> {
        let path = folder.join(name);
        std::fs::OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)?
            .write_all(text.as_bytes())?;
        Ok(format!("{{ file = {:?} }}", path.display().to_string()))
    };
    let location = &world.locations.first().context("a location")?.location;
    let text = format!(
        r#"brand = "bench"
[store]
url = "sqlite://{store}"
[server]
listen = "127.0.0.1:{port}"
[connections.shop]
system = "centra"
base_url = "{shop}"
token = {token}
time_zone = "Europe/Stockholm"
concurrency = 4
[connections.erp]
system = "netsuite"
base_url = "{erp}"
account = "{account}"
webhook_secret = {webhook}
commit_lag_seconds = 0
[connections.erp.auth]
method = "oauth2"
client_id = "{client}"
certificate_id = "{certificate}"
private_key = {key}
[flows.orders]
from = "shop"
to = "erp"
[stock.main]
from = "erp"
to = "shop"
warehouses = {{ "{location}" = "1" }}
[stock.main.poll]
least = "{poll}ms"
peak_most = "{poll}ms"
most = "{poll}ms"
[[stock.main.buffers]]
fixed = 0
"#,
        store = folder.join("bench.db").display(),
        shop = world.centra_url,
        erp = world.netsuite_url,
        account = world.netsuite.account,
        client = world.netsuite.client_id,
        certificate = world.netsuite.certificate_id,
        token = secret("token", &world.centra_token)?,
        webhook = secret("webhook", &world.stock_push_secret)?,
        key = secret("key.pem", &world.netsuite.private_key_pem)?,
        poll = case.poll_ms,
    );
    let file = folder.join("selvedge.toml");
    std::fs::write(&file, text)?;
    Ok(file)
}

/// Milliseconds of five calls in a row, the median of twenty times.
async fn floor(world: &World) -> anyhow::Result<f64> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().build()?;
    let ask = |body: Value| {
        let (client, url, token) = (client.clone(), format!("{}/graphql", world.centra_url), world.centra_token.clone());
        async move {
            client
                .post(url)
                .bearer_auth(token)
                .header("content-type", "application/json")
                .body(body.to_string())
                .send()
                .await?
                .text()
                .await
        }
    };
    let mut times = Vec::new();
    for _ in 0..20 {
        let begun = Instant::now();
        for _ in 0..5 {
            ask(json!({ "query": "{ productSizes(limit: 1) { id SKU } }" })).await?;
        }
        times.push(begun.elapsed().as_secs_f64() * 1_000.0);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
