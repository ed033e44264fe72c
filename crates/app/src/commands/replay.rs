//! `selvedge replay`: recorded documents under another config or other mappings, and delivered again where that matters.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use selvedge_flow::{Before, Engine, PATIENCE, Patience, Plan, Redelivered, Replay, Trial};
use selvedge_model::{
    Currency, FlowName, Money, ObligationId,
    replay::{Change, Effect, tally::ReplayTally},
};
use selvedge_store::{Store, mappings::MappingSet};
use serde_json::json;

use super::{
    About, mappings,
    out::{Done, EXIT_FAILED, Failure, Out, Paint, clean, counted, cut, failed, unclear},
    shadow::{amounts, plural, worth},
};
use crate::{
    config::{self, Config, ConfigProblem, Level, document, words::Moment},
    wiring::{self, Digest, LockError},
};

/// Examples and fields shown, unless told otherwise.
const SHOWN: usize = 10;
const FIELDS_SHOWN: usize = 20;
/// Records delivered alone, first.
const CANARY: usize = 5;
/// How many records one run delivers again at most.
const DELIVER_MAX: usize = 100_000;
/// How often it looks whether anything has settled.
const LOOK: Duration = Duration::from_millis(200);

/// Run recorded documents through another config or other mappings: what would be different, and what money that moves.
/// Nothing is written and no call is made. Then deliver again what differs from what was delivered.
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("what").args(["with", "mappings", "deliver"]).multiple(true).required(true),
    after_help = "The newest recorded bytes of each document count. A file of mappings is the whole set, as mappings export writes it.\n--deliver works with what is deployed: put the candidate in place first (config, mappings import, restart run).\n\nExamples:\n  selvedge replay --since 7d --with candidate.toml\n  selvedge replay --since 30d --flow orders --mappings mappings.csv --json\n  selvedge replay --since 7d --with candidate.toml --deliver --canary 5 --max-money \"10000 EUR\""
)]
pub struct Args {
    /// Documents that arrived since: so long ago (7d), or an instant with its offset.
    #[arg(long, value_name = "WHEN")]
    since: Moment,
    /// Only this flow.
    #[arg(long)]
    flow: Option<FlowName>,
    /// The other config.
    #[arg(long, value_name = "FILE")]
    with: Option<PathBuf>,
    /// The other mappings, as mappings export writes them.
    #[arg(long, value_name = "FILE")]
    mappings: Option<PathBuf>,
    /// Examples shown [default: 10]; with --deliver, records delivered at most.
    #[arg(long)]
    limit: Option<usize>,
    /// Deliver again what the deployed config makes otherwise than it was delivered.
    #[arg(long)]
    deliver: bool,
    /// How many go first, alone. [default: 5]
    #[arg(long, requires = "deliver", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    canary: Option<u32>,
    /// No more than so much: "10000 EUR". Records in other currencies are left out.
    #[arg(long, requires = "deliver", value_name = "AMOUNT", value_parser = an_amount)]
    max_money: Option<Money>,
}

fn an_amount(text: &str) -> Result<Money, String> {
    let unclear = || format!("{text:?} is no amount: write 10000 EUR");
    let (number, code) = text.trim().split_once(' ').ok_or_else(unclear)?;
    let currency = Currency::from_code(code.trim()).ok_or_else(unclear)?;
    Money::exact(number.parse().map_err(|_| unclear())?, currency).map_err(|error| error.to_string())
}

/// Runs it.
///
/// # Errors
/// A config's; the store's; with `--deliver`, what is deployed is not the candidate.
pub async fn run(about: &About, args: Args) -> Done {
    let config = about.config()?;
    let store = about.store_to_read(&config).await?;
    let known = config.ends().into_iter().any(|ends| args.flow.as_ref().is_none_or(|flow| *flow == ends.flow));
    if let Some(flow) = args.flow.as_ref().filter(|_| !known) {
        return Err(unclear(format!("there is no flow {}", clean(flow.as_str())), "See which there are: selvedge flows"));
    }
    let set = args.mappings.as_deref().map(|file| mappings::read_set(file, &config.mapping_targets())).transpose()?;
    let now = about.clock.now();
    let since = args.since.instant(now);
    let deployed = engine(about, &config, &store).await?;
    if args.deliver {
        is_deployed(&config, args.with.as_deref(), &store, set.as_ref()).await?;
        let after = Trial { engine: Arc::clone(&deployed), mappings: None };
        let replay = Replay { before: Before::Delivered, after, since, flow: args.flow.clone() };
        return deliver(about, &config, &store, &deployed, replay, &args).await;
    }
    let candidate = match &args.with {
        None => Arc::clone(&deployed),
        Some(file) => engine(about, &candidate(file, &config)?, &store).await?,
    };
    let before = Before::Rules(Trial { engine: deployed, mappings: None });
    let replay =
        Replay { before, after: Trial { engine: candidate, mappings: set.map(Arc::new) }, since, flow: args.flow.clone() };
    let (mut tally, limit) = (ReplayTally::default(), args.limit.unwrap_or(SHOWN));
    replay.each(&store, usize::MAX, |one| tally.add(one.flow.as_str(), one.key.as_str(), one.worth, one.effect, limit)).await?;
    if about.out.json {
        about.out.json(&tally)?
    } else {
        tell(about.out, &tally)?
    }
    Ok(0)
}

/// The other config, with the store of this one.
fn candidate(file: &Path, config: &Config) -> Result<Config, Failure> {
    let (mut other, problems) = config::read(file);
    if problems.iter().any(|problem| problem.level == Level::Bad) {
        return Err(Failure::Config(problems));
    }
    if other.brand != config.brand {
        return Err(failed(
            format!("{} is the config of {}, not of {}", file.display(), other.brand, config.brand),
            "Nothing was compared.",
            "Give another config of the same brand.",
        ));
    }
    other.store_url.clone_from(&config.store_url);
    other.key_file.clone_from(&config.key_file);
    Ok(other)
}

/// An engine that nobody runs. No call leaves.
async fn engine(about: &About, config: &Config, store: &Store) -> Result<Arc<Engine>, Failure> {
    let (environment, key_file) = (about.environment(config), about.global.key_file.as_deref());
    let assembly = wiring::assemble(config, Vec::new(), &environment, key_file, &about.clock, wiring::Access::Full).await;
    if assembly.problems.iter().any(|problem| problem.level == Level::Bad) {
        return Err(Failure::Config(assembly.problems));
    }
    let setup = wiring::setup(config, store.clone(), assembly.connections, Arc::clone(&about.clock)).await?;
    let wrong = |wrong: selvedge_flow::Miswired| -> ConfigProblem {
        config.problem(Level::Bad, "flows", wrong.to_string(), "Name connections that offer what the flow needs.")
    };
    Engine::new(setup).map(Arc::new).map_err(|all| Failure::Config(all.into_iter().map(wrong).collect()))
}

/// What is delivered is what is deployed, so that has to be the candidate.
async fn is_deployed(config: &Config, with: Option<&Path>, store: &Store, set: Option<&MappingSet>) -> Result<(), Failure> {
    let nothing = "Nothing was delivered: --deliver works with what is deployed.";
    if let Some(file) = with
        && rules(&config.file)? != rules(file)?
    {
        return Err(failed(
            format!("{} is not what is deployed", file.display()),
            nothing,
            format!("Put it in the place of {}, restart selvedge run, then deliver.", config.file.display()),
        ));
    }
    if let Some(set) = set {
        let brand = config.brand.clone();
        let rows = store.read(move |view| view.mappings(&brand)).await?;
        let there: BTreeMap<_, _> = rows.into_iter().map(|row| ((row.connection, row.table, row.key), row.value)).collect();
        let keys: BTreeSet<_> = there.keys().chain(set.0.keys()).collect();
        let other: Vec<_> = keys.into_iter().filter(|key| there.get(*key) != set.0.get(*key)).collect();
        if let Some((connection, table, key)) = other.first() {
            return Err(failed(
                format!(
                    "{} not deployed, the first of them {table} {} at {connection}",
                    plural(other.len() as u64, "mapping is", "mappings are"),
                    clean(key)
                ),
                nothing,
                "Bring them in with selvedge mappings import (and take out what is too much with unset), then deliver.",
            ));
        }
    }
    match wiring::lock(&config.store_url, Duration::ZERO).await {
        Err(LockError::Taken { config: Some(runs), .. }) if runs != Digest::of(&config.file) => Err(failed(
            format!("selvedge run works by another state of {}", config.file.display()),
            nothing,
            "Restart it, then deliver.",
        )),
        _ => Ok(()),
    }
}

/// What a config says of connections, flows and the rest, without where it is kept and served.
fn rules(file: &Path) -> Result<serde_json::Map<String, serde_json::Value>, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| failed(format!("{} cannot be read: {error}", file.display()), "Nothing was delivered.", ""))?;
    let mut value = document::read(&text).value;
    value.remove("store");
    value.remove("server");
    Ok(value)
}

async fn deliver(about: &About, config: &Config, store: &Store, engine: &Arc<Engine>, replay: Replay, args: &Args) -> Done {
    let limit = args.limit.unwrap_or(DELIVER_MAX).min(DELIVER_MAX);
    let (mut tally, mut plan) = (ReplayTally::default(), Plan::new(limit, args.max_money));
    replay
        .each(store, usize::MAX, |one| {
            plan.add(&one);
            tally.add(one.flow.as_str(), one.key.as_str(), one.worth, one.effect, SHOWN);
        })
        .await?;
    let out = about.out;
    if plan.ids.is_empty() {
        return finish(out, &tally, &plan, &Redelivered::default());
    }
    let canary = args.canary.and_then(|n| usize::try_from(n).ok()).unwrap_or(CANARY);
    out.say(format!(
        "{} to be delivered again, {} first.",
        counted(plan.ids.len() as u64, "record"),
        canary.min(plan.ids.len())
    ))?;
    let done = move_them(about, config, engine, &plan.ids, canary, &actor_says(args)).await?;
    finish(out, &tally, &plan, &done)
}

fn actor_says(args: &Args) -> String {
    let of = |file: &Option<PathBuf>| file.as_ref().map(|file| format!(" {}", file.display())).unwrap_or_default();
    format!("replay{}{}", of(&args.with), of(&args.mappings))
}

/// Moves them with the engine that runs, or steps one where none does.
async fn move_them(
    about: &About,
    config: &Config,
    engine: &Arc<Engine>,
    ids: &[ObligationId],
    canary: usize,
    why: &str,
) -> Result<Redelivered, Failure> {
    let actions = about.actions(config, &engine.setup().store);
    let lock = match wiring::lock(&config.store_url, Duration::ZERO).await {
        Ok(lock) => Some(lock),
        Err(LockError::Taken { .. }) => None,
        Err(error) => {
            return Err(failed(
                error.to_string(),
                "Nothing was delivered.",
                "See whether the folder of the store may be written to.",
            ));
        }
    };
    if lock.is_some() {
        engine.recover().await?;
    }
    let mut patience = Patience::new(about.clock.now());
    let mut run = actions.redeliver(ids, canary, why).await?;
    while run.step(&actions).await? && patience.lasts(&run.done, about.clock.now()) {
        if lock.is_none() || engine.tick().await?.idle() {
            tokio::time::sleep(LOOK).await;
        }
    }
    Ok(run.done)
}

fn finish(out: Out, tally: &ReplayTally, plan: &Plan, done: &Redelivered) -> Done {
    let well = done.went_well();
    if out.json {
        out.json(&json!({ "replay": tally, "plan": plan, "delivered": done }))?;
        return Ok(if well { 0 } else { EXIT_FAILED });
    }
    if tally.is_identical() {
        out.line(format!(
            "{} as they were delivered: there is nothing to deliver again.",
            plural(tally.records, "record is", "records are")
        ))?;
        return Ok(0);
    }
    out.line(format!("{} confirmed.", counted(done.confirmed, "record")))?;
    if done.overtaken > 0 {
        out.line(format!("{} overtaken by a newer revision.", plural(done.overtaken, "record was", "records were")))?;
    }
    if plan.left_out > 0 {
        out.line(format!("{} past the limits and left as they are.", plural(plan.left_out, "record is", "records are")))?;
    }
    if plan.would_not_pass > 0 {
        out.line(format!("{} not pass now and left as they are.", plural(plan.would_not_pass, "record would", "records would")))?;
    }
    for surprise in &done.surprises {
        out.line(out.paint(
            Paint::Bad,
            format!(
                "{} is {} instead ({}): {}",
                clean(&surprise.key),
                surprise.state.word(),
                surprise.obligation,
                cut(&clean(&surprise.why), 200)
            ),
        ))?;
    }
    if done.waiting > 0 {
        out.line(out.paint(
            Paint::Bad,
            format!(
                "{} not settled, and nothing moved for {} minutes.",
                plural(done.waiting, "record has", "records have"),
                PATIENCE.as_secs() / 60
            ),
        ))?;
    }
    if !well {
        out.line(format!(
            "Stopped: {} not touched. Mend the cause, then run the same command again.",
            plural(done.left, "record was", "records were")
        ))?;
    }
    Ok(if well { 0 } else { EXIT_FAILED })
}

fn tell(out: Out, tally: &ReplayTally) -> Result<(), Failure> {
    if tally.records == 0 {
        return out.line("Nothing was recorded since that any flow wants.");
    }
    if tally.is_identical() {
        return out.line(out.paint(Paint::Good, format!("Identical: {}, none different.", counted(tally.records, "record"))));
    }
    out.line(format!("{}, {} the same.", counted(tally.records, "record"), tally.same))?;
    out.line(format!("  with other content  {}", tally.changed))?;
    out.line(format!("  newly held          {}{}", tally.newly_held, worth(&tally.money_newly_held)))?;
    out.line(format!("  newly passing       {}{}", tally.newly_passing, worth(&tally.money_newly_passing)))?;
    out.line(format!("  otherwise           {}", tally.otherwise))?;
    if !tally.money_moved.is_empty() {
        out.line(format!("Money moved, after minus before: {}", amounts(&tally.money_moved)))?;
    }
    let side = |value: &Option<String>| value.as_deref().map_or_else(|| "nothing".to_owned(), |text| cut(text, 40));
    if tally.changed > 0 {
        out.table(
            ["FIELD", "RECORDS", "MONEY", "AS IN", "BEFORE", "AFTER"],
            tally.fields.top().into_iter().take(FIELDS_SHOWN).map(|(path, field)| {
                [
                    path.to_owned(),
                    field.records.to_string(),
                    amounts(&field.money),
                    field.example.clone(),
                    side(&field.before),
                    side(&field.after),
                ]
            }),
        )?;
    }
    for (reason, count) in tally.held_for.top() {
        out.line(format!("  newly held: {} ({})", clean(reason), counted(count, "record")))?;
    }
    for (reason, count) in tally.were_held_for.top() {
        out.line(format!("  no longer held: {} ({})", clean(reason), counted(count, "record")))?;
    }
    for example in &tally.examples {
        out.line(format!("  {} {}: {}", example.flow, clean(&example.key), clean(&cut(&effect(&example.foreseen), 200))))?;
    }
    let more = tally.records.saturating_sub(tally.same).saturating_sub(tally.examples.len() as u64);
    if more > 0 {
        out.say(format!("and {more} more; --limit shows them"))?;
    }
    Ok(())
}

fn effect(effect: &Effect) -> String {
    let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    let field = |change: &Change| format!("{}: {} → {}", change.path, side(&change.before), side(&change.after));
    match effect {
        Effect::Same => "the same".to_owned(),
        Effect::Changed { fields } => fields.iter().map(field).collect::<Vec<_>>().join("; "),
        Effect::NewlyHeld { problems } => {
            format!("would be held: {}", problems.first().map_or("", |problem| problem.message.as_str()))
        }
        Effect::NewlyPassing { problems } => {
            format!("would pass; it was held: {}", problems.first().map_or("", |problem| problem.message.as_str()))
        }
        Effect::Otherwise { before, after } => format!("{before} → {after}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_money_is_a_number_and_a_currency() {
        assert_eq!(an_amount("10000 EUR").unwrap().to_string(), "10000.00 EUR");
        for wrong in ["10000", "EUR 10000", "1.001 EUR", "ten EUR", "1 XYZW"] {
            assert!(an_amount(wrong).is_err(), "{wrong}");
        }
    }
}
