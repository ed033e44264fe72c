//! `selvedge check`: everything that is wrong at once, with file, line and remedy.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use futures_util::future::join_all;
use selvedge_connector::{Connection, FindingLevel};
use selvedge_flow::Engine;
use selvedge_model::{AnyRecord, Brand, ConnectionName, Interval, Kind, Order, Problem, gate::Values};
use selvedge_store::{Store, mappings::MappingAnswer};
use serde::Serialize;

use super::{
    About,
    out::{Done, EXIT_FAILED, EXIT_USAGE, Failure, Out, Paint, clean, counted, moment},
};
use crate::{
    config::{Config, ConfigProblem, Level, document::below},
    wiring::{self, Assembly},
};

/// How many of the newest orders are looked through for values without a mapping.
const ORDERS_LOOKED_AT: usize = 500;
/// How far back orders are asked for where none are in the store yet.
const SAMPLE_BACK: Duration = Duration::from_secs(7 * 86_400);
/// How long one connection may be asked.
const PROBE_TIME: Duration = Duration::from_secs(120);
/// From how far behind the store the machine's clock is wrong beyond doubt.
const CLOCK_BEHIND: Duration = Duration::from_secs(300);

/// Say everything that is wrong at once, with file, line and remedy: config, secrets, credentials, permissions, schema,
/// clock, mapping coverage. Exits with 1 if anything will not work.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Nothing is written to any system.\n\nExamples:\n  selvedge check\n  selvedge check --offline\n  selvedge check --mappings\n  selvedge check --json"
)]
pub struct Args {
    /// Make no call; look at config, secrets and store only.
    #[arg(long)]
    offline: bool,
    /// Look up every value that the shop can send (SKUs, markets, shipping and payment methods, tax rates, currencies) in the
    /// mappings and in the targets' own lists, read anew; with what each gap would have stopped, and suggestions.
    #[arg(long)]
    mappings: bool,
}

/// How a finding stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stands {
    /// It will not work.
    Bad,
    /// It works, but someone should know.
    Warning,
    /// As it should be.
    Good,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// How it stands.
    pub level: Stands,
    /// About what: `config`, a connection, `mappings`, `flows`, `store`, `clock`.
    pub about: String,
    /// The config.
    pub file: Option<PathBuf>,
    /// The line in it.
    pub line: Option<usize>,
    /// What was found.
    pub message: String,
    /// What to do; empty when good.
    pub remedy: String,
}

#[derive(Serialize)]
struct Report<'a> {
    ok: bool,
    findings: &'a [Line],
}

/// Runs it.
///
/// # Errors
/// Nobody listens. What is wrong with the set-up is a finding.
pub async fn run(about: &About, args: &Args) -> Done {
    if args.mappings {
        return super::preflight::run(about, args.offline).await;
    }
    let (config, problems) = about.read();
    let out = about.out;
    if !config.file.is_file() {
        return Err(Failure::Config(problems));
    }
    let environment = about.environment(&config);
    let Assembly { store, connections, problems, tellers: _ } =
        wiring::assemble(&config, problems, &environment, about.global.key_file.as_deref(), &about.clock, wiring::Access::Full)
            .await;
    let mut lines: Vec<Line> = problems.iter().map(of_config).collect();
    let config_is_bad = problems.iter().any(|problem| problem.level == Level::Bad);
    if !config_is_bad {
        let what = format!(
            "{} reads: {}, {}",
            config.file.display(),
            counted(config.connections.len() as u64, "connection"),
            counted(config.ends().len() as u64, "flow")
        );
        lines.push(plain(Stands::Good, "config", what, ""));
    }
    if args.offline {
        lines.push(plain(
            Stands::Warning,
            "connections",
            "no call was made: credentials, permissions and schemas were not looked at".to_owned(),
            "Leave out --offline.",
        ));
    } else {
        let bar = out.progress(connections.len() as u64, "asking the systems");
        lines.extend(probe(&config, &connections, &bar).await);
        lines.extend(stock(about, &config, &connections).await);
        bar.finish_and_clear();
    }
    if let Some(store) = &store {
        lines.extend(clock(about, &config, store).await?);
        lines.extend(mappings(about, &config, store, &connections, args.offline).await?);
        lines.extend(wired(about, &config, store.clone(), connections).await?);
    }
    let ok = lines.iter().all(|line| line.level != Stands::Bad);
    if out.json {
        out.json(&Report { ok, findings: &lines })?;
    } else {
        print(out, &lines)?;
    }
    Ok(match (ok, config_is_bad) {
        (true, _) => 0,
        (false, true) => EXIT_USAGE,
        (false, false) => EXIT_FAILED,
    })
}

pub(super) fn plain(level: Stands, about: &str, message: String, remedy: impl Into<String>) -> Line {
    Line { level, about: about.to_owned(), file: None, line: None, message, remedy: remedy.into() }
}

fn of_config(problem: &ConfigProblem) -> Line {
    let message =
        if problem.path.is_empty() { problem.message.clone() } else { format!("{}: {}", problem.path, problem.message) };
    Line {
        level: if problem.level == Level::Bad { Stands::Bad } else { Stands::Warning },
        about: "config".to_owned(),
        file: Some(problem.file.clone()),
        line: problem.line,
        message,
        remedy: problem.remedy.clone(),
    }
}

/// What the systems themselves say.
async fn probe(config: &Config, connections: &BTreeMap<ConnectionName, Connection>, bar: &indicatif::ProgressBar) -> Vec<Line> {
    let asked = connections.iter().map(|(name, connection)| async move {
        let path = below("connections", name.as_str());
        let Some(probe) = &connection.probe else {
            return vec![plain(
                Stands::Warning,
                name.as_str(),
                format!("nothing can be asked of {} beforehand", connection.system),
                "",
            )];
        };
        let found = tokio::time::timeout(PROBE_TIME, probe.check()).await;
        bar.inc(1);
        let Ok(found) = found else {
            let message = format!("{} did not answer all questions within {} s", connection.system, PROBE_TIME.as_secs());
            return vec![at(config, &path, name, Stands::Bad, message, "See whether the address is right and the system is up.")];
        };
        let line = |finding: selvedge_connector::Finding| {
            let level = match finding.level {
                FindingLevel::Good => Stands::Good,
                FindingLevel::Warning => Stands::Warning,
                FindingLevel::Bad => Stands::Bad,
            };
            let path = finding.setting.as_ref().map_or_else(|| path.clone(), |setting| below(&path, setting));
            if level == Stands::Good {
                plain(level, name.as_str(), finding.message, finding.remedy)
            } else {
                at(config, &path, name, level, finding.message, &finding.remedy)
            }
        };
        found.into_iter().map(line).collect()
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// Whether stock can be read where it comes from, and what keeps it from being written where it goes.
async fn stock(about: &About, config: &Config, connections: &BTreeMap<ConnectionName, Connection>) -> Vec<Line> {
    let mut lines = Vec::new();
    for (name, settings) in &config.stocks {
        let path = below("stock", name.as_str());
        let setup = settings.setup(name);
        let from = connections.get(&setup.from).and_then(|from| from.stock_source.clone());
        let to = connections.get(&setup.to).and_then(|to| to.stock_sink.clone());
        let places: Vec<_> = setup.places.keys().cloned().collect();
        let warehouses: BTreeSet<_> = setup.places.values().cloned().collect();
        if let Some(source) = from {
            // The lightest question: what changed just now.
            let wanted = selvedge_connector::Wanted::Since(about.clock.now());
            let asked = source.levels(wanted, &places, None, selvedge_connector::Priority::Control);
            match tokio::time::timeout(PROBE_TIME, asked).await {
                Ok(Ok(_)) => {
                    let message = format!("stock at {} reads: {}", setup.from, counted(places.len() as u64, "place"));
                    lines.push(plain(Stands::Good, name.as_str(), message, ""));
                }
                Ok(Err(fault)) => {
                    let message = format!("stock at {} cannot be read: {fault}", setup.from);
                    let place = below(&path, "from");
                    lines.push(at(
                        config,
                        &place,
                        &setup.from,
                        Stands::Bad,
                        message,
                        "See the page of its system for what the role needs.",
                    ));
                }
                Err(_) => {
                    let message = format!("{} did not tell its stock within {} s", setup.from, PROBE_TIME.as_secs());
                    lines.push(at(
                        config,
                        &below(&path, "from"),
                        &setup.from,
                        Stands::Bad,
                        message,
                        "See whether the system is up.",
                    ));
                }
            }
        }
        if let Some(sink) = to {
            let warehouses: Vec<_> = warehouses.into_iter().collect();
            let Ok(found) = tokio::time::timeout(PROBE_TIME, sink.inspect(&warehouses)).await else {
                let message = format!("{} did not tell of its warehouses within {} s", setup.to, PROBE_TIME.as_secs());
                lines.push(at(config, &below(&path, "to"), &setup.to, Stands::Bad, message, "See whether the system is up."));
                continue;
            };
            lines.extend(found.into_iter().map(|finding| match finding.level {
                FindingLevel::Good => plain(Stands::Good, name.as_str(), finding.message, finding.remedy),
                FindingLevel::Warning => {
                    at(config, &below(&path, "warehouses"), &setup.to, Stands::Warning, finding.message, &finding.remedy)
                }
                FindingLevel::Bad => {
                    at(config, &below(&path, "warehouses"), &setup.to, Stands::Bad, finding.message, &finding.remedy)
                }
            }));
        }
    }
    lines
}

fn at(config: &Config, path: &str, name: &ConnectionName, level: Stands, message: String, remedy: &str) -> Line {
    let place = config.problem(Level::Bad, path, "", "");
    Line { level, about: name.0.clone(), file: Some(place.file), line: place.line, message, remedy: remedy.to_owned() }
}

/// Whether the machine's clock can be right.
async fn clock(about: &About, config: &Config, store: &Store) -> Result<Vec<Line>, Failure> {
    let (brand, now) = (config.brand.clone(), about.clock.now());
    let newest = store.read(move |view| view.records(&brand, Kind::Order, "", 1)).await?.pop();
    let behind = newest.is_some_and(|newest| {
        newest.received_at.duration_since(now) > jiff::SignedDuration::try_from(CLOCK_BEHIND).unwrap_or_default()
    });
    Ok(vec![if behind {
        plain(
            Stands::Bad,
            "clock",
            format!("the machine says {}, but orders in the store arrived later than that", moment(now)),
            "Let this machine set its clock by the network (NTP).",
        )
    } else {
        plain(Stands::Good, "clock", format!("the machine says {}", moment(now)), "")
    }])
}

/// Values of recent orders that no mapping answers. Before the first order is in the store, a page of
/// recent ones is asked for.
async fn mappings(
    about: &About,
    config: &Config,
    store: &Store,
    connections: &BTreeMap<ConnectionName, Connection>,
    offline: bool,
) -> Result<Vec<Line>, Failure> {
    let mut lines = Vec::new();
    for (name, flow) in &config.flows {
        let to = ConnectionName::new(&flow.to);
        let Some(sink) = connections.get(&to).and_then(|to| to.order_sink.clone()) else { continue };
        let from = connections.get(&ConnectionName::new(&flow.from));
        let mut orders = recent(store, &config.brand).await?;
        let mut whence = "in the store";
        if orders.is_empty()
            && !offline
            && let Some(source) = from.and_then(|from| from.order_source.clone())
        {
            let now = about.clock.now();
            let interval = Interval { from: now.checked_sub(SAMPLE_BACK).unwrap_or(now), to: now };
            match source.list(&interval, None).await {
                Ok(page) => orders = page.raws.iter().filter_map(|raw| source.decode(raw, &Values::default()).record).collect(),
                Err(fault) => lines.push(plain(
                    Stands::Warning,
                    "mappings",
                    format!("recent orders of {} could not be read: {fault}", flow.from),
                    "Mend what is said about the connection, then check again.",
                )),
            }
            whence = "on the first page of the last 7 days";
        }
        let looked_at = orders.len();
        let (brand, target) = (config.brand.clone(), to.clone());
        let missing = store
            .read(move |view| {
                let mut missing: BTreeMap<String, (Problem, usize)> = BTreeMap::new();
                for order in &orders {
                    for lookup in sink.lookups(order) {
                        let unread = || -> selvedge_store::Result<bool> {
                            Ok(lookup.same_name && view.list_read_at(&target, &lookup.table)?.is_none())
                        };
                        if lookup.optional || view.answer(&brand, &target, &lookup)? != MappingAnswer::Nothing || unread()? {
                            continue;
                        }
                        let problem = lookup.missing();
                        missing.entry(problem.cause.clone()).or_insert((problem, 0)).1 += 1;
                    }
                }
                Ok(missing)
            })
            .await?;
        if looked_at == 0 {
            lines.push(plain(
                Stands::Warning,
                "mappings",
                format!("flow {name}: there is no order yet to see which values need a mapping"),
                "Check again when there is one; what is missing then is held and named.",
            ));
        } else if missing.is_empty() {
            lines.push(plain(
                Stands::Good,
                "mappings",
                format!("flow {name}: every value of {} {whence} has its mapping", counted(looked_at as u64, "order")),
                "",
            ));
        }
        for (problem, count) in missing.into_values() {
            lines.push(plain(
                Stands::Bad,
                "mappings",
                format!("flow {name}: {} ({} {whence})", problem.message, counted(count as u64, "order")),
                problem.remedy,
            ));
        }
    }
    Ok(lines)
}

async fn recent(store: &Store, brand: &Brand) -> Result<Vec<Order>, Failure> {
    let brand = brand.clone();
    let orders = store
        .read(move |view| {
            let mut orders = Vec::new();
            for line in view.records(&brand, Kind::Order, "", ORDERS_LOOKED_AT)? {
                if let Some(AnyRecord::Order(order)) = view.revisions(&brand, Kind::Order, &line.key)?.pop().map(|row| row.record)
                {
                    orders.push(*order);
                }
            }
            Ok(orders)
        })
        .await?;
    Ok(orders)
}

/// Whether an engine can be made of it.
async fn wired(
    about: &About,
    config: &Config,
    store: Store,
    connections: BTreeMap<ConnectionName, Connection>,
) -> Result<Vec<Line>, Failure> {
    // What could not be opened has been named; a flow to it cannot be wired, which is no news.
    let whole = config
        .flows
        .values()
        .all(|flow| [&flow.from, &flow.to].into_iter().all(|end| connections.contains_key(&ConnectionName::new(end))));
    if !whole || config.flows.is_empty() {
        return Ok(Vec::new());
    }
    let setup = wiring::setup(config, store, connections, std::sync::Arc::clone(&about.clock)).await?;
    let good: Vec<Line> = setup
        .flows
        .iter()
        .map(|flow| {
            plain(Stands::Good, "flows", format!("{}: {} records from {} to {}", flow.name, flow.kind, flow.from, flow.to), "")
        })
        .collect();
    match Engine::new(setup) {
        Ok(_) => Ok(good),
        Err(miswired) => Ok(miswired
            .into_iter()
            .map(|wrong| plain(Stands::Bad, "flows", wrong.to_string(), "Name connections that offer what the flow needs."))
            .collect()),
    }
}

pub(super) fn print(out: Out, lines: &[Line]) -> Result<(), Failure> {
    let mut last = "";
    for line in lines {
        if out.quiet && line.level == Stands::Good {
            continue;
        }
        if line.about != last {
            out.line(out.paint(Paint::Strong, &line.about))?;
            last = &line.about;
        }
        let mark = match line.level {
            Stands::Good => out.paint(Paint::Good, "ok      "),
            Stands::Warning => out.paint(Paint::Warning, "warning "),
            Stands::Bad => out.paint(Paint::Bad, "bad     "),
        };
        let place = match (&line.file, line.line) {
            (Some(file), Some(number)) => format!("{}:{number}: ", file.display()),
            (Some(file), None) => format!("{}: ", file.display()),
            _ => String::new(),
        };
        let stop = if line.remedy.is_empty() || line.message.ends_with(['.', '?', '!']) { "" } else { "." };
        let remedy = if line.remedy.is_empty() { String::new() } else { format!(" {}", clean(&line.remedy)) };
        out.line(format!("  {mark}{place}{}{stop}{remedy}", clean(&line.message)))?;
    }
    let count = |level| lines.iter().filter(|line| line.level == level).count() as u64;
    let (bad, warnings) = (count(Stands::Bad), count(Stands::Warning));
    let verdict = if bad > 0 {
        out.paint(Paint::Bad, format!("{} to mend, {}.", counted(bad, "thing"), counted(warnings, "warning")))
    } else {
        out.paint(Paint::Good, format!("Everything needed is in place; {}.", counted(warnings, "warning")))
    };
    out.line(verdict)
}
