//! The report of a demo run: counts, exceptions, calls, times, memory.

use std::{collections::BTreeMap, time::Duration};

use selvedge_flow::Engine;
use selvedge_sim::world::WorldState;
use selvedge_store::{
    obligations::Balance,
    stock::{Of, StockBalance},
};
use serde::Serialize;

/// Of how many of the newest orders the latency is told.
const LATENCY_OF: usize = 50_000;

/// What `--report` writes.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The equation, per flow.
    pub flows: BTreeMap<String, Balance>,
    /// Stock: where the figures stand, per warehouse.
    pub stock: Vec<StockBalance>,
    /// Units that the source has promised and does not have, in the simulated world.
    pub oversold_units: u64,
    /// Orders that the simulated shop refused because something was missing.
    pub lost_orders: u64,
    /// What a simulated warehouse was sent that its vendor's specification does not allow.
    pub violations: Vec<String>,
    /// A flash sale in other hands, on the same seed: see `oversold` of each outcome.
    pub others: Vec<super::flash::Other>,
    /// Open exceptions.
    pub exceptions: Vec<ExceptionLine>,
    /// Calls sent, per connection.
    pub calls: BTreeMap<String, u64>,
    /// Calls of all connections per confirmed order.
    pub calls_per_order: f64,
    /// How long this process ran until everything was settled.
    pub elapsed_s: f64,
    /// From the start of this process until the engine worked.
    pub ready_ms: u64,
    /// Orders confirmed by this process, per second.
    pub orders_per_s: f64,
    /// Captured to confirmed, median.
    pub p50_ms: Option<u64>,
    /// Captured to confirmed, one in a hundred takes longer.
    pub p99_ms: Option<u64>,
    /// The most memory this process ever held.
    pub rss_peak_bytes: u64,
    /// Processor time of this process, user and system.
    pub cpu_s: f64,
    /// What was made wrong behind the product's back, and what was found of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrong: Option<super::wrong::Wrong>,
    /// Which seed and faults, to run it again.
    pub seed: u64,
    /// The profile.
    pub faults: String,
}

/// One open exception.
#[derive(Debug, Serialize)]
pub struct ExceptionLine {
    /// Its id.
    pub id: String,
    /// The rule.
    pub rule: String,
    /// How many records it holds.
    pub count: u64,
    /// What is wrong.
    pub message: String,
}

/// What a run was, for the report.
pub struct Run {
    /// Seed of the world.
    pub seed: u64,
    /// Fault profile.
    pub faults: String,
    /// How long.
    pub elapsed: Duration,
    /// Until the engine worked.
    pub ready: Duration,
    /// Orders that were confirmed before this process began.
    pub confirmed_before: u64,
    /// The flow that carries the orders.
    pub orders_flow: String,
    /// How the world stood at the end.
    pub world: WorldState,
    /// A flash sale in other hands.
    pub others: Vec<super::flash::Other>,
    /// What was made wrong.
    pub wrong: Option<super::wrong::Wrong>,
}

/// Reads the report out of the store.
///
/// # Errors
/// The store's.
#[expect(clippy::float_arithmetic, reason = "rates and seconds, no money")]
pub async fn read(engine: &Engine, run: &Run) -> anyhow::Result<Report> {
    let setup = engine.setup();
    let (brand, sides) = (setup.brand.clone(), engine.flow_sides());
    let orders = selvedge_model::FlowName::new(run.orders_flow.clone());
    let stocks: Vec<Of> = setup.stocks.iter().map(|s| Of { brand: setup.brand.clone(), flow: s.name.clone() }).collect();
    let (balances, exceptions, calls, latency, stock) = setup
        .store
        .read(move |view| {
            Ok((
                view.balance(&brand, &sides, None)?,
                view.exceptions(&brand, false)?,
                view.calls(&brand)?,
                view.latency(&brand, &orders, LATENCY_OF)?,
                stocks.iter().map(|of| view.stock_balance(of)).collect::<Result<Vec<_>, _>>()?.concat(),
            ))
        })
        .await?;
    let flows: BTreeMap<String, Balance> = balances.into_iter().map(|b| (b.flow.clone(), b)).collect();
    let mut per_connection: BTreeMap<String, u64> = BTreeMap::new();
    for (connection, _, count) in calls {
        *per_connection.entry(connection).or_default() += count;
    }
    let confirmed = flows.get(&run.orders_flow).map_or(0, |b| b.confirmed);
    let elapsed_s = run.elapsed.as_secs_f64();
    Ok(Report {
        calls_per_order: ratio(per_connection.values().sum(), run.world.centra.orders_placed),
        orders_per_s: if elapsed_s > 0.0 { ratio(confirmed.saturating_sub(run.confirmed_before), 1) / elapsed_s } else { 0.0 },
        exceptions: exceptions
            .into_iter()
            .map(|e| ExceptionLine { id: e.id.to_string(), rule: e.problem.rule, count: e.count, message: e.problem.message })
            .collect(),
        calls: per_connection,
        stock,
        oversold_units: run.world.oversold_units,
        lost_orders: run.world.lost_orders,
        violations: run.world.violations.clone(),
        others: run.others.clone(),
        wrong: run.wrong.clone(),
        flows,
        elapsed_s,
        ready_ms: u64::try_from(run.ready.as_millis()).unwrap_or(u64::MAX),
        p50_ms: latency.map(|l| l.0),
        p99_ms: latency.map(|l| l.1),
        rss_peak_bytes: rss_peak_bytes(),
        cpu_s: cpu_seconds(),
        seed: run.seed,
        faults: run.faults.clone(),
    })
}

#[expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "a rate, no money")]
fn ratio(count: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { count as f64 / of as f64 }
}

/// The high-water mark of resident memory, as the kernel keeps it; 0 where it is not told.
fn rss_peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).map_or(0, |kib| kib * 1024)
}

/// User and system time of this process, from the kernel's count of hundredths; 0 where it is not told.
#[expect(clippy::float_arithmetic, reason = "seconds, no money")]
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field is the program's name in parentheses and may hold blanks.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<u32>().ok()).map_or(0.0, f64::from);
    (ticks(11) + ticks(12)) / 100.0
}
