//! How fast orders go from captured to confirmed, beside the floor of the same run.
//!
//! The floor is what no product could do without: for every order one durable insert (group
//! committed, as here) and one POST to the same simulated target, with nothing in between: no
//! capture, no gate, no mapping, no read-back, no comparison. Ratios are reported and nothing is asserted.
#![allow(
    clippy::print_stdout,
    clippy::float_arithmetic,
    clippy::disallowed_methods,
    reason = "a measurement talks to the person who runs it, reads the clock, and is no money"
)]

mod floor;
mod pages;
mod reconcile;
mod stock;

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context;
use serde_json::Value;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.split_first() {
        Some((first, _)) if first == "stock" => return stock_only(),
        Some((first, _)) if first == "pages" => return pages_only(),
        Some((first, rest)) if first == "reconcile" => return reconcile::run(rest),
        Some((first, rest)) if first == "reconcile-one" => return reconcile::one(rest),
        _ => {}
    }
    let mut orders: Vec<u64> = args.iter().map(|a| a.parse().context("numbers of orders, please")).collect::<Result<_, _>>()?;
    if orders.is_empty() {
        orders = vec![2_000];
    }
    let product = product()?;
    println!(
        "| orders | target | parallel | product orders/s | floor orders/s | ratio | p50 ms | p99 ms | cpu s / 1,000 | peak MiB | calls / order |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for orders in orders {
        for (latency_ms, parallel) in [(0, 8), (50, 24)] {
            let run = Case { orders, latency_ms, parallel };
            let report = run.product(&product)?;
            let floor = run.floor()?;
            run.print(&report, floor);
        }
    }
    idle(&product)
}

/// `cargo xtask bench stock`.
fn stock_only() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(stock::run(&product()?))
}

/// `cargo xtask bench pages`.
fn pages_only() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(pages::run(&product()?))
}

/// The binary beside this one.
fn product() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let product = own.parent().context("this program lies in a folder")?.join("selvedge");
    anyhow::ensure!(product.is_file(), "{} is missing: run `cargo xtask bench`", product.display());
    Ok(product)
}

struct Case {
    orders: u64,
    latency_ms: u64,
    parallel: usize,
}

impl Case {
    fn product(&self, product: &Path) -> anyhow::Result<Value> {
        let folder = tempfile::tempdir()?;
        let report = folder.path().join("report.json");
        let status = Command::new(product)
            .args([
                "demo",
                "--headless",
                "--until-settled",
                "--faults",
                "none",
                "--guests",
                "--no-warehouse",
                "--listen",
                "127.0.0.1:0",
            ])
            .arg(format!("--orders={}", self.orders))
            .arg(format!("--latency-ms={}", self.latency_ms))
            .arg(format!("--parallel={}", self.parallel))
            .arg("--store")
            .arg(folder.path().join("bench.db"))
            .arg("--report")
            .arg(&report)
            .stdout(Stdio::null())
            .status()?;
        anyhow::ensure!(status.success(), "the product ended with {status}");
        Ok(serde_json::from_slice(&std::fs::read(report)?)?)
    }

    /// Orders per second with no product in between.
    fn floor(&self) -> anyhow::Result<f64> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(floor::run(self.orders.min(5_000), Duration::from_millis(self.latency_ms), self.parallel))
    }

    fn print(&self, report: &Value, floor: f64) {
        let number = |name: &str| report[name].as_f64().unwrap_or_default();
        let rate = number("orders_per_s");
        let per_thousand = number("cpu_s") / self.orders as f64 * 1_000.0;
        println!(
            "| {} | {} ms | {} | {rate:.0} | {floor:.0} | {:.2} | {} | {} | {per_thousand:.2} | {:.0} | {:.3} |",
            self.orders,
            self.latency_ms,
            self.parallel,
            rate / floor,
            report["p50_ms"],
            report["p99_ms"],
            number("rss_peak_bytes") / 1_048_576.0,
            number("calls_per_order"),
        );
    }
}

/// How long until it is ready and how much it holds when there is nothing to do: `selvedge run` on a
/// settled store, its systems out of reach.
fn idle(product: &Path) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("idle.db");
    let made = Command::new(product)
        .args(["demo", "--headless", "--until-settled", "--orders=100", "--no-warehouse", "--listen", "127.0.0.1:0", "--store"])
        .arg(&store)
        .stdout(Stdio::null())
        .status()?;
    anyhow::ensure!(made.success(), "the product ended with {made}");
    let config = store.with_extension("world").join("selvedge.toml");
    // A port of our own, so that the answer is this process's.
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let text = std::fs::read_to_string(&config)?.replace("listen = \"127.0.0.1:0\"", &format!("listen = \"127.0.0.1:{port}\""));
    std::fs::write(&config, text)?;
    let started = Instant::now();
    let mut child =
        Command::new(product).args(["run", "--config"]).arg(&config).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let ready = loop {
        if ask(port, "/readyz") {
            break started.elapsed();
        }
        anyhow::ensure!(started.elapsed() < Duration::from_secs(20), "it never became ready");
        std::thread::sleep(Duration::from_millis(2));
    };
    std::thread::sleep(Duration::from_secs(3));
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()))?;
    let resident: f64 = status
        .lines()
        .find_map(|l| l.strip_prefix("VmRSS:"))
        .and_then(|l| l.trim().trim_end_matches("kB").trim().parse().ok())
        .unwrap_or_default();
    child.kill()?;
    child.wait()?;
    println!("\nready in {} ms; idle {:.0} MiB", ready.as_millis(), resident / 1024.0);
    Ok(())
}

fn ask(port: u16, path: &str) -> bool {
    use std::io::{Read, Write};
    let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", port)) else { return false };
    let sent = stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").as_bytes());
    let mut answer = [0; 12];
    sent.is_ok() && stream.read_exact(&mut answer).is_ok() && answer.ends_with(b"200")
}
