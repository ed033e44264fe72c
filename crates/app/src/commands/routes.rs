//! `selvedge routes`: which warehouse ships what, and what other routes would have done with past orders.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Subcommand;
use selvedge_flow::{PickSetup, RouteTrial};
use selvedge_model::{
    ConnectionName, FlowName, Money,
    routing::{
        Route, RouteBy,
        dry_run::{DryRun, Share, Side},
    },
};
use selvedge_store::Store;

use super::{
    About,
    out::{Done, Failure, Out, clean, counted, failed},
};
use crate::config::{self, Config, Level};

/// See which warehouse ships what, in the order in which routes are tried; try other routes on past orders.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Nothing is changed by any of these.\n\nExamples:\n  selvedge routes\n  selvedge routes dry-run\n  selvedge routes dry-run --with candidate.toml --days 90\n  selvedge routes dry-run --with candidate.toml --json"
)]
pub struct Args {
    #[command(subcommand)]
    act: Option<Act>,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// The routes, in the order in which they are tried
    List,
    /// What the routes of this config, and those of another, do with the orders of the last days
    DryRun {
        /// A config with other routes.
        #[arg(long, value_name = "FILE")]
        with: Option<PathBuf>,
        /// Orders placed in the last so many days.
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: u32,
        /// At most so many orders that would move are named.
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
}

/// Runs it.
///
/// # Errors
/// The store's; a config that is wrong; no warehouse to send anything to.
pub async fn run(about: &About, args: Args) -> Done {
    let config = about.config()?;
    match args.act {
        None | Some(Act::List) => list(about, &config),
        Some(Act::DryRun { with, days, limit }) => {
            let setup = warehouses(&config, &config.file)?;
            let other = match &with {
                Some(file) => Some(candidate(file)?),
                None => None,
            };
            let store = about.store_to_read(&config).await?;
            let run = dry_run(about, &config, &store, &setup, other.as_ref(), (days, limit)).await?;
            if about.out.json {
                about.out.json(&run)?;
            } else {
                tell(about.out, &run, other.is_some(), days)?;
            }
            Ok(0)
        }
    }
}

fn list(about: &About, config: &Config) -> Done {
    let routes = config.routing();
    if about.out.json {
        about.out.json(&routes)?;
        return Ok(0);
    }
    if routes.is_empty() {
        let flows: Vec<&str> = config.pick_flows().map(FlowName::as_str).collect();
        about.out.say(match flows.as_slice() {
            [] => "No orders go to a warehouse in this config, so there is nothing to route.".to_owned(),
            [only] => format!("There are no routes: {only} gets every order whole."),
            several => format!("There are no routes, and several warehouses: {}.", several.join(", ")),
        })?;
        return Ok(0);
    }
    about.out.table(
        ["", "ROUTE", "TO", "DECIDES", "WHEN"],
        routes.iter().enumerate().map(|(at, route)| {
            let to: Vec<&str> = route.to.iter().map(FlowName::as_str).collect();
            let by = match route.by {
                RouteBy::Order => "whole orders",
                RouteBy::Line => "line by line",
            };
            [(at + 1).to_string(), route.name.clone(), to.join(", then "), by.to_owned(), conditions(route)]
        }),
    )?;
    Ok(0)
}

fn conditions(route: &Route) -> String {
    let lists = [
        ("market", &route.markets),
        ("to", &route.countries),
        ("method", &route.methods),
        ("SKU", &route.skus),
        ("collection", &route.collections),
    ];
    let mut parts: Vec<String> = lists
        .iter()
        .filter(|(_, values)| !values.is_empty())
        .map(|(name, values)| format!("{name} {}", values.join(" or ")))
        .collect();
    if route.in_stock {
        parts.push("the units are free there".to_owned());
    }
    if parts.is_empty() { "always".to_owned() } else { parts.join(", ") }
}

/// The routes of another config, as it stands.
fn candidate(file: &Path) -> Result<PickSetup, Failure> {
    let (other, mut problems) = config::read(file);
    problems.extend(other.route_problems());
    if problems.iter().any(|problem| problem.level == Level::Bad) {
        return Err(Failure::Config(problems));
    }
    warehouses(&other, file)
}

/// The routes, or the one that stands for a single warehouse.
fn warehouses(config: &Config, file: &Path) -> Result<PickSetup, Failure> {
    let mut routes = config.routing();
    let flows: Vec<FlowName> = config.pick_flows().cloned().collect();
    if routes.is_empty() {
        match flows.as_slice() {
            [only] => {
                routes.push(Route { name: "no route: the only warehouse".to_owned(), to: vec![only.clone()], ..Route::default() })
            }
            _ => {
                return Err(failed(
                    format!("{} has no routes, and {} to warehouses", file.display(), counted(flows.len() as u64, "flow")),
                    "Nothing was compared.",
                    "Give a config whose orders go to a warehouse: [[routes]] in selvedge config schema.",
                ));
            }
        }
    }
    Ok(PickSetup { routes, shelves: config.shelves(), ..PickSetup::default() })
}

async fn dry_run(
    about: &About,
    config: &Config,
    store: &Store,
    now: &PickSetup,
    then: Option<&PickSetup>,
    (days, limit): (u32, usize),
) -> Result<DryRun, Failure> {
    let at = about.clock.now();
    let since = at.checked_sub(Duration::from_secs(u64::from(days) * 86_400)).unwrap_or(jiff::Timestamp::MIN);
    let mut run = DryRun::default();
    let mut seen = BTreeSet::new();
    for flow in config.pick_flows().filter_map(|name| config.flows.get(name)) {
        if !seen.insert(&flow.from) {
            continue;
        }
        let trial = RouteTrial {
            brand: config.brand.clone(),
            from: ConnectionName::new(&flow.from),
            policy: (&flow.policy).into(),
            now: now.clone(),
            then: then.unwrap_or(now).clone(),
            since,
            samples_max: limit,
        };
        let mut after = None;
        loop {
            let (trial, mut so_far) = (trial.clone(), run);
            let next;
            (run, next) = store
                .read(move |view| {
                    let next = trial.page(view, &mut so_far, after, at)?;
                    Ok((so_far, next))
                })
                .await?;
            match next {
                Some(row) => after = Some(row),
                None => break,
            }
        }
    }
    Ok(run)
}

fn worth(money: &BTreeMap<String, Money>) -> String {
    money.values().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn tell(out: Out, run: &DryRun, compared: bool, days: u32) -> Result<(), Failure> {
    out.say(format!("{} of the last {days} days, each as if it came now.", counted(run.orders, "order")))?;
    if run.nothing > 0 {
        out.say(format!("{} with nothing to pick.", counted(run.nothing, "order")))?;
    }
    if run.unfit > 0 {
        out.say(format!("{} that cannot be taken apart into what is picked: no route was asked.", counted(run.unfit, "order")))?;
    }
    let flows: BTreeSet<&FlowName> = run.now.shares.keys().chain(run.then.shares.keys()).collect();
    let none = Share::default();
    let of = |side: &Side, flow: &FlowName| side.shares.get(flow).cloned().unwrap_or_else(|| none.clone());
    if compared {
        out.table(
            ["WAREHOUSE", "ORDERS", "THEN", "LINES", "THEN", "UNITS", "THEN", "WORTH WITH TAX", "THEN"],
            flows.into_iter().map(|flow| {
                let (now, then) = (of(&run.now, flow), of(&run.then, flow));
                let count = |count: u64| count.to_string();
                [
                    flow.to_string(),
                    count(now.orders),
                    count(then.orders),
                    count(now.lines),
                    count(then.lines),
                    count(now.units),
                    count(then.units),
                    worth(&now.worth),
                    worth(&then.worth),
                ]
            }),
        )?;
        out.line(format!(
            "{} would go elsewhere. Shared by several warehouses: {}, then {}. Without a route: {}, then {}.",
            counted(run.moved, "order"),
            run.now.split,
            run.then.split,
            run.now.without,
            run.then.without
        ))?;
    } else {
        out.table(
            ["WAREHOUSE", "ORDERS", "LINES", "UNITS", "WORTH WITH TAX"],
            flows.into_iter().map(|flow| {
                let now = of(&run.now, flow);
                [flow.to_string(), now.orders.to_string(), now.lines.to_string(), now.units.to_string(), worth(&now.worth)]
            }),
        )?;
        out.line(format!("Shared by several warehouses: {}. Without a route: {}.", run.now.split, run.now.without))?;
    }
    for (cause, orders) in &run.then.causes {
        out.line(format!(
            "  without a route{}: {} ({})",
            if compared { " then" } else { "" },
            clean(cause),
            counted(*orders, "order")
        ))?;
    }
    if compared && !run.samples.is_empty() {
        let names = |flows: &[FlowName]| match flows {
            [] => "nobody".to_owned(),
            some => some.iter().map(FlowName::as_str).collect::<Vec<_>>().join(", "),
        };
        out.table(
            ["ORDER", "MARKET", "TO", "NOW", "THEN", "LINES THAT MOVE"],
            run.samples.iter().map(|moved| {
                [
                    moved.order.clone(),
                    moved.market.clone(),
                    moved.country.clone(),
                    names(&moved.now),
                    names(&moved.then),
                    moved.lines.to_string(),
                ]
            }),
        )?;
        let more = run.moved.saturating_sub(run.samples.len() as u64);
        if more > 0 {
            out.say(format!("and {more} more; --limit shows them"))?;
        }
    }
    out.say("What is free on the shelves is what is known now, for each order alone; lines that were given away already are given anew here.")
}
