//! `selvedge stock buffers`: what is kept back, and what another config would keep back.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use selvedge_flow::StockSetup;
use selvedge_model::stock::{
    Worth,
    buffer::{DryRun, Rule},
};
use selvedge_store::Store;

use super::super::{
    About,
    out::{Done, Failure, Out, clean, counted, failed},
};
use crate::{
    config::{self, Level},
    view::stock::{self, Proposed},
};

/// What is kept back of each item, by which rule; with another config, what it would change.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Nothing is changed: a dry run works the figures out from what is known now.\n\nExamples:\n  selvedge stock buffers\n  selvedge stock buffers --with candidate.toml\n  selvedge stock buffers --with candidate.toml --limit 1000 --json"
)]
pub struct Args {
    /// A config with other buffers for the same stock flows.
    #[arg(long, value_name = "FILE")]
    with: Option<PathBuf>,
    /// At most so many rows of each flow, those that change most.
    #[arg(long, default_value_t = 20)]
    limit: usize,
}

/// Runs it.
///
/// # Errors
/// The store's; a config that is wrong, or has other stock flows.
pub(super) async fn run(about: &About, store: &Store, lagged: Vec<(StockSetup, Duration)>, args: &Args) -> Done {
    let proposed = match &args.with {
        Some(file) => proposed(file, &lagged)?,
        None => BTreeMap::new(),
    };
    let config = about.config()?;
    let asked = lagged.into_iter().map(|(setup, lag)| {
        let rules = proposed.get(&setup.name.0).cloned().unwrap_or_default();
        Proposed { setup, lag, rules }
    });
    let mut runs = stock::dry_runs(store, &config.brand, asked.collect(), about.clock.now()).await?;
    for (_, run) in &mut runs {
        run.changes.sort_by_key(|change| std::cmp::Reverse(change.on_sale_from.abs_diff(change.on_sale_to)));
    }
    if about.out.json {
        for (_, run) in &mut runs {
            run.changes.truncate(args.limit);
        }
        about.out.json(&runs.into_iter().collect::<BTreeMap<_, _>>())?;
        return Ok(0);
    }
    for (flow, run) in &runs {
        match args.with {
            Some(_) => tell_change(about.out, flow, run, args.limit)?,
            None => tell_kept(about.out, flow, run)?,
        }
    }
    Ok(0)
}

/// The buffers of another config, by flow.
fn proposed(file: &std::path::Path, flows: &[(StockSetup, Duration)]) -> Result<BTreeMap<String, Vec<Rule>>, Failure> {
    let (other, problems) = config::read(file);
    if problems.iter().any(|problem| problem.level == Level::Bad) {
        return Err(Failure::Config(problems));
    }
    let mut rules = BTreeMap::new();
    for (setup, _) in flows {
        let Some((_, stock)) = other.stocks.iter().find(|(name, _)| **name == setup.name) else {
            return Err(failed(
                format!("{} has no stock flow {}", file.display(), setup.name),
                "Nothing was compared.",
                "Give a copy of the config in force in which only the buffers differ.",
            ));
        };
        rules.insert(setup.name.0.clone(), stock.setup(&setup.name).buffers);
    }
    Ok(rules)
}

/// By rule. The dry run was against no buffers at all.
fn tell_kept(out: Out, flow: &str, run: &DryRun) -> Result<(), Failure> {
    let mut rules: BTreeMap<&str, (u64, i64, i64)> = BTreeMap::new();
    for change in &run.changes {
        let (figures, kept, withheld) = rules.entry(change.from.origin.as_str()).or_default();
        *figures += 1;
        *kept = kept.saturating_add(change.from.units);
        *withheld = withheld.saturating_add(change.on_sale_to.saturating_sub(change.on_sale_from));
    }
    out.say(format!(
        "{}: {} looked at, {} of them with something kept back",
        clean(flow),
        counted(run.rows, "figure"),
        run.changes.len()
    ))?;
    if rules.is_empty() {
        return Ok(());
    }
    out.table(
        ["RULE", "FIGURES", "KEPT BACK", "NOT FOR SALE FOR IT"],
        rules
            .into_iter()
            .map(|(rule, (figures, kept, withheld))| [clean(rule), figures.to_string(), kept.to_string(), withheld.to_string()]),
    )
}

fn tell_change(out: Out, flow: &str, run: &DryRun, limit: usize) -> Result<(), Failure> {
    let worth = |units: i64, worth: &Worth| {
        let sums: Vec<String> = worth.sums().map(|sum| sum.to_string()).collect();
        if sums.is_empty() { format!("{units} units") } else { format!("{units} units (worth {})", sums.join(", ")) }
    };
    out.say(format!(
        "{}: of {} another number would be kept back of {}; {} would go off sale, {} on sale; {} would be sold out",
        clean(flow),
        counted(run.rows, "figure"),
        run.changes.len(),
        worth(run.off_sale, &run.off_sale_worth),
        worth(run.onto_sale, &run.onto_sale_worth),
        counted(run.sold_out, "item")
    ))?;
    if run.changes.is_empty() {
        return Ok(());
    }
    out.table(
        ["SKU", "WAREHOUSE", "KEPT", "THEN", "FOR SALE", "THEN", "RULE", "THEN"],
        run.changes.iter().take(limit).map(|change| {
            [
                clean(change.sku.as_str()),
                change.place.0.clone(),
                change.from.units.to_string(),
                change.to.units.to_string(),
                change.on_sale_from.to_string(),
                change.on_sale_to.to_string(),
                clean(&change.from.origin),
                clean(&change.to.origin),
            ]
        }),
    )?;
    let more = run.changes.len().saturating_sub(limit);
    if more > 0 {
        out.say(format!("and {more} more; --limit shows them"))?;
    }
    Ok(())
}
