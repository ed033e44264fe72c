//! `selvedge demo`: everything up against simulated systems, through the real connectors.
//!
//! The simulated world runs in a child process that keeps a journal, so that killing the product
//! does not kill what it talks to, and so that memory and processor time in the report are the
//! product's own. The demo writes an ordinary config, and from there on is an ordinary run.

mod flash;
mod report;
mod world;
mod wrong;

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::Args;
use jiff::Timestamp;
use selvedge_flow::Engine;
use selvedge_model::ConnectionName;
use selvedge_store::{obligations::Balance, people::Proof, sealed::SealingKey};

use self::world::Child;
use crate::{
    config::{self, ConfigProblem, secrets::Environment},
    people::{self, Door},
    serve,
    wiring::{self, Opened},
};

pub use self::world::{WorldArgs, child};

/// Shows everything against simulated systems.
///
/// Without --headless: starts the simulators, the engine and the page, and prints the page's address.
/// With --headless: the same without a page, as an experiment with a report.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  selvedge demo
  selvedge demo --headless --orders 1000 --faults rough --seed 7 --until-settled --report report.json")]
pub struct DemoArgs {
    /// No page.
    #[arg(long)]
    headless: bool,
    /// Orders from a folder of `docs`, `lines` and `docs_vat` tables instead of made-up ones, with the stock of its `stock` table where it has one.
    #[arg(long, value_name = "DIR", conflicts_with = "orders")]
    data: Option<PathBuf>,
    /// Only the first so many orders of the folder.
    #[arg(long, requires = "data")]
    limit: Option<u64>,
    /// So many made-up orders.
    #[arg(long, default_value_t = 200)]
    orders: u64,
    /// A flash sale of so many items: the orders come in bursts of up to 50 a second, units move on the shop floor
    /// meanwhile, and the shop refuses what it does not have.
    #[arg(long, value_name = "ITEMS", conflicts_with = "data")]
    flash: Option<u32>,
    /// Decides the data and the faults.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What goes wrong: none, rough (every fault at a few percent) or hostile.
    #[arg(long, value_name = "PROFILE", default_value = "none")]
    faults: String,
    /// Keep everything in this file (and a folder beside it) and carry on from there.
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// End with exit code 0 when every obligation is confirmed, held or excluded.
    #[arg(long)]
    until_settled: bool,
    /// Write what stands in the simulated systems into this folder at the end.
    #[arg(long, value_name = "DIR")]
    export: Option<PathBuf>,
    /// Write a report as JSON at the end.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Orders placed per second. Default: all at once when headless, 2 with the page.
    #[arg(long, value_name = "PER_SECOND")]
    pace: Option<f64>,
    /// Where the page and the webhooks listen.
    #[arg(long, default_value = "127.0.0.1:7700")]
    listen: String,
    /// Writes and read-backs under way at once; also the concurrency that the simulated ERP grants.
    #[arg(long, default_value_t = 5)]
    parallel: usize,
    /// One generic customer for all shoppers, instead of a customer record for each.
    #[arg(long)]
    guests: bool,
    /// No warehouses: orders go into the books, and nothing ever leaves. (A folder's data and a flash sale have none.)
    #[arg(long)]
    no_warehouse: bool,
    /// Nothing comes back. (Without warehouses nothing does; a folder's credits are then what happens on its shop floor.)
    #[arg(long)]
    no_returns: bool,
    /// How the third warehouse writes its files.
    #[arg(long, value_enum, default_value = "csv")]
    depot_format: world::Form,
    /// Brings the shop's whole catalogue to the ERP and the warehouses, too; without it only what changes from now on.
    #[arg(long, conflicts_with_all = ["data", "flash", "no_warehouse"])]
    products: bool,
    /// When everything is settled, make things wrong behind the product's back, drawn by this seed, and report what was found of it.
    #[arg(long, value_name = "SEED")]
    wrong: Option<u64>,
    /// So many of each kind of wrongness.
    #[arg(long, value_name = "N", default_value_t = 2, requires = "wrong")]
    wrong_each: u64,
    /// No flows: another integration has carried everything over, correctly. Try selvedge audit and selvedge close on it.
    #[arg(long, conflicts_with_all = ["data", "flash"])]
    incumbent: bool,
    /// A file whose text is added to the config that the demo writes.
    #[arg(long, value_name = "FILE", hide = true)]
    and_config: Option<PathBuf>,
    /// Latency that the simulated systems add to every answer.
    #[arg(long, default_value_t = 0, hide = true)]
    latency_ms: u64,
}

impl DemoArgs {
    /// Whether warehouses ship what is ordered.
    fn has_warehouse(&self) -> bool {
        !self.no_warehouse && !self.incumbent && self.data.is_none() && self.flash.is_none()
    }
}

impl DemoArgs {
    /// Whether goods come back to the warehouses, and money goes back to the shoppers.
    fn has_returns(&self) -> bool {
        self.has_warehouse() && !self.no_returns
    }

    /// Whether a desk hands over the credits of a folder.
    fn has_desk(&self) -> bool {
        self.data.is_some() && !self.no_returns
    }
}

/// How often the demo looks whether everything is settled.
const LOOK: Duration = Duration::from_millis(100);

/// Runs the demo.
///
/// # Errors
/// Whatever keeps it from starting; an unsettled end.
pub async fn run(args: DemoArgs, started: Instant) -> anyhow::Result<()> {
    if let Some(store) = &args.store {
        return run_in(&args, &std::path::absolute(store)?, started).await;
    }
    // Nothing in it is wanted once the demo is over.
    let folder = tempfile::Builder::new()
        .prefix("selvedge-demo-")
        .tempdir()
        .with_context(|| format!("cannot make a folder in {}; say where with --store FILE", std::env::temp_dir().display()))?;
    run_in(&args, &folder.path().join("selvedge.db"), started).await
}

async fn run_in(args: &DemoArgs, store: &Path, started: Instant) -> anyhow::Result<()> {
    if args.pace.is_some_and(|pace| !pace.is_finite() || pace <= 0.0) {
        anyhow::bail!("--pace is a number of orders a second above zero, as in 2 or 0.5");
    }
    if let Some(file) = &args.report {
        // Better now than after an hour.
        std::fs::write(file, "").with_context(|| format!("cannot write the report {}", file.display()))?;
    }
    if let Some(folder) = &args.export {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    if let Some(folder) = store.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    let lock = wiring::lock(&format!("sqlite://{}", store.display()), wiring::LOCK_PATIENCE)
        .await
        .context("nothing was started: two engines on one store would do the same work twice")?;
    let folder = store.with_extension("world");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    if args.incumbent {
        return wrong::beside_an_incumbent(args, store, &folder).await;
    }
    let world = Child::start(&world::child_args(args, &folder)?).await?;
    let file = world::write_config(args, store, &folder, &world.access)?;
    lock.note(&wiring::Digest::of(&file)).context("the lock file cannot be written")?;
    let (config, found) = config::read(&file);
    let clock = Arc::new(selvedge_flow::clock::SystemClock);
    let opened = wiring::open(&config, found, &Environment::of([]), None, clock).await;
    let Opened { setup, .. } = opened.map_err(|problems| said(&problems))?;
    world::map_everything(&setup, &world.access, args.headless).await?;
    let engine = Arc::new(Engine::new(setup).map_err(|wrong| anyhow::anyhow!("{wrong:?}"))?);

    let listener = bind(&args.listen).await?;
    let address = listener.local_addr()?;
    world.aim_webhooks(&format!("http://{address}/webhooks/{}", world::SHOP)).await?;
    world.aim_stock_pushes(&format!("http://{address}/webhooks/{}", world::ERP)).await?;
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let wait = |mut stopping: tokio::sync::watch::Receiver<bool>| async move {
        let _ = stopping.wait_for(|stop| *stop).await;
    };
    // The link opens the page for whoever has it, for as long as the demo runs.
    let link = Proof::fresh();
    let setup = engine.setup();
    people::demo_admin(&setup.store, &setup.brand, setup.clock.now()).await?;
    let door = Door { key: Some(Arc::new(SealingKey::generate().0)), demo: Some(link.hash()), ..Door::default() };
    let app = Arc::new(serve::App::new(Arc::clone(&engine)).with_config(&config).with_door(door));
    let server = tokio::spawn(serve::serve(listener, serve::router(app), wait(stopping.clone())));
    let journey = tokio::spawn(Arc::clone(&engine).run(wait(stopping)));
    let ready = started.elapsed();
    let confirmed_before = orders_balance(&engine).await?.confirmed;
    announce(args, store, &file, &format!("http://{address}/demo/{}/", link.text()));

    let settled = if args.until_settled {
        tokio::select! {
            settled = until_settled(args, &engine, &world) => Some(settled?),
            () = interrupted() => None,
        }
    } else {
        interrupted().await;
        None
    };
    let elapsed = started.elapsed();
    let _ = stop.send(true);
    journey.await??;
    server.await??;
    if let Some(out) = &args.export {
        world.export(out).await?;
    }
    let others = others(args)?;
    if args.flash.is_some() && settled.is_some() {
        tell_sale(&world.state().await?, &others);
    }
    let made_wrong = match args.wrong.filter(|_| settled.is_some()) {
        Some(seed) => Some(wrong::measure(args, seed, &world, Some(&engine.reconciler), &file).await?),
        None => None,
    };
    if let Some(file) = &args.report {
        let run = report::Run {
            seed: args.seed,
            faults: args.faults.clone(),
            elapsed,
            ready,
            confirmed_before,
            orders_flow: world::FLOW.to_owned(),
            world: world.state().await?,
            others,
            wrong: made_wrong,
        };
        let report = report::read(&engine, &run).await?;
        std::fs::write(file, serde_json::to_vec_pretty(&report)?)
            .with_context(|| format!("cannot write the report {}", file.display()))?;
    }
    world.stop().await;
    engine.setup().store.fold().await?;
    match settled {
        None if args.until_settled => {
            anyhow::bail!("stopped before everything was settled; the same command with the same --store carries on")
        }
        _ => Ok(()),
    }
}

/// How a flash sale would have gone in other hands.
fn others(args: &DemoArgs) -> anyhow::Result<Vec<flash::Other>> {
    args.flash.map_or_else(|| Ok(Vec::new()), |skus| flash::others(args.seed, skus, args.orders))
}

/// Where to look at what another integration has carried over.
fn announce_incumbent(file: &Path) {
    say(format_args!(
        "Another integration has carried everything over. Look on, from another terminal:\n  selvedge audit --config {0}\n  selvedge close read PERIOD --config {0}\nCtrl-C ends it.",
        file.display()
    ));
}

async fn orders_balance(engine: &Engine) -> anyhow::Result<Balance> {
    let (brand, sides) = (engine.setup().brand.clone(), engine.flow_sides());
    let balances = engine.setup().store.read(move |view| view.balance(&brand, &sides, None)).await?;
    Ok(balances.into_iter().find(|b| b.flow == world::FLOW).unwrap_or_default())
}

/// Waits until the world has nothing more to tell, a sweep finds nothing that was missed, and
/// nothing is in flight.
async fn until_settled(args: &DemoArgs, engine: &Engine, world: &Child) -> anyhow::Result<()> {
    let progress = progress(args.headless);
    let (mut swept, mut stock_asked, mut told_since) = (false, None, None);
    loop {
        let state = world.state().await?;
        let balance = orders_balance(engine).await?;
        progress.set_length(state.centra.orders_total);
        progress.set_position(balance.confirmed + balance.held + balance.excluded);
        progress.set_message(format!("{} in flight, {} held", balance.in_flight, balance.held));
        let told = state.done
            && state.picked
            && state.credits_taken
            && state.centra.returns_pending == 0
            && state.centra.events_pending == 0
            && state.centra.webhooks_pending == 0
            && state.stock_pushes_pending == 0;
        // Whatever a system of the world did last, it did before this.
        told_since = told_since.filter(|_| told).or_else(|| told.then(|| engine.setup().clock.now()));
        let idle = engine.settled().await?;
        if !(told && idle) {
            // Something moved since: the proof is due once more.
            swept = false;
        }
        if told && idle && swept {
            // The same for stock: both sides read whole once more, and then nothing to do.
            let asked = match stock_asked {
                Some(asked) => asked,
                None => {
                    let now = engine.setup().clock.now();
                    engine.prove_stock().await?;
                    *stock_asked.insert(now)
                }
            };
            if engine.stock_proven_since(asked).await? && engine.stock_settled().await? {
                progress.finish_and_clear();
                return Ok(());
            }
        }
        if told && idle && !swept {
            // The proof that nothing was missed: an enumeration that does not ask how things came.
            // It must reach past the last change there, by the clock there.
            let sweep = engine.sweep_now().await?;
            let past = |at: Option<Timestamp>| sweep.through.is_some_and(|through| at.is_none_or(|at| at < through));
            swept = sweep.found == 0 && past(state.centra.last_change) && past(told_since);
            if swept {
                continue;
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Everything that is wrong with the demo's own config: a defect of the demo.
fn said(problems: &[ConfigProblem]) -> anyhow::Error {
    anyhow::anyhow!(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

/// Ctrl-C, or the signal by which a service manager stops a service.
async fn interrupted() {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            // Where it cannot be listened for, Ctrl-C remains.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}

/// A bar on a terminal, nothing elsewhere.
fn progress(headless: bool) -> indicatif::ProgressBar {
    if !headless {
        return indicatif::ProgressBar::hidden();
    }
    let style = indicatif::ProgressStyle::with_template("{bar:32} {pos}/{len} settled, {msg}");
    let bar = indicatif::ProgressBar::new(0);
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

async fn bind(address: &str) -> anyhow::Result<tokio::net::TcpListener> {
    match tokio::net::TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(taken) if taken.kind() == std::io::ErrorKind::AddrInUse => {
            let host = address.rsplit_once(':').map_or("127.0.0.1", |(host, _)| host);
            tokio::net::TcpListener::bind((host, 0)).await.with_context(|| format!("no free port at {host}"))
        }
        Err(other) => Err(other).with_context(|| format!("cannot listen at {address}")),
    }
}

fn tell_sale(world: &selvedge_sim::world::WorldState, others: &[flash::Other]) {
    say(format_args!(
        "\n  Oversold in this sale, in units; the shop turned {} orders away for want of stock.\n",
        world.lost_orders
    ));
    say(format_args!("  {:>6}  here, as it ran", world.oversold_units));
    for other in others {
        let flash::Other { name, oversold_least, oversold_mean, oversold_most } = other;
        say(format_args!(
            "  {oversold_mean:>6}  {name}, played on the same seed; {oversold_least} to {oversold_most}, by when its polls fall"
        ));
    }
}

fn announce(args: &DemoArgs, store: &Path, config: &Path, page: &str) {
    if args.headless {
        tracing::info!(store = %store.display(), config = %config.display(), "the demo runs");
        return;
    }
    let warehouses = if args.has_warehouse() { " and three warehouses" } else { "" };
    say(format_args!(
        "\n  Selvedge demo: {} orders from a simulated shop into a simulated ERP{warehouses}, faults: {}\n",
        args.orders, args.faults
    ));
    say(format_args!("  page     {page}"));
    say(format_args!("           signs you in as the demo's admin, for as long as it runs"));
    say(format_args!("  config   {}", config.display()));
    say(format_args!("  try      selvedge --config {} orders list\n", config.display()));
    say(format_args!("  Ctrl-C stops it."));
}

/// A line for whoever started it. The demo goes on when nobody listens any more: it is there for the page.
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// The name of a connection as the flow knows it.
fn connection(name: &str) -> ConnectionName {
    ConnectionName::from(name)
}
