//! `selvedge exceptions`: what needs a person, by root cause.

use std::sync::Arc;

use clap::Subcommand;
use selvedge_flow::Engine;
use selvedge_model::{ExceptionId, owners::Owner, people::MapEntry};
use selvedge_store::{Store, releases::Begun};
use serde::Serialize;
use serde_json::json;

use super::{
    About,
    out::{Done, Failure, Out, Paint, clean, counted, cut, failed, moment, unclear},
};
use crate::{
    config::Config,
    view::{
        self, ExceptionDetail,
        case::{CaseView, Looking},
        desk::DeskWanted,
    },
    wiring,
};

/// How many of the records that an exception holds are shown.
const HELD_SHOWN: usize = 10;
/// The longest reason.
const REASON_CHARS_MAX: usize = 500;

/// Show, release and dismiss what needs a person. One root cause is one exception.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  selvedge exceptions list --team finance\n  selvedge exceptions show exc_3\n  selvedge exceptions preview exc_3 --value 417\n  selvedge exceptions release exc_3 --canary\n  selvedge exceptions assign exc_3 --team finance --person Anna --note \"is this ours?\"\n  selvedge exceptions snooze exc_3 --until 3d --reason \"the carrier answers on Monday\"\n  selvedge exceptions dismiss exc_3 --reason \"test order, agreed with finance\""
)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// The open ones, what hurts most first
    List(ListArgs),
    /// One: what is wrong, whom it hurts and by when, what to do, what became of it so far
    Show {
        /// Its id, as exc_3.
        id: ExceptionId,
    },
    /// What a release would do now, or once its mapping is set: the gate is asked, and nothing is written
    Preview {
        /// Its id, as exc_3.
        id: ExceptionId,
        /// What the mapping that it asks for would be set to.
        #[arg(long, value_name = "ID")]
        value: Option<String>,
    },
    /// Send what it holds back to the gate, after its cause was mended
    Release {
        /// Its id, as exc_3.
        id: ExceptionId,
        /// One record first; the engine sends the rest when that one is confirmed, and stops at the first surprise.
        #[arg(long)]
        canary: bool,
    },
    /// Let go what it holds: it will not be delivered. The reason and your name are kept
    Dismiss {
        /// Its id, as exc_3.
        id: ExceptionId,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Give it to another team, or to somebody in it
    Assign {
        /// Its id, as exc_3.
        id: ExceptionId,
        /// The team: operations, finance, customer_experience or engineering.
        #[arg(long)]
        team: String,
        /// The person.
        #[arg(long, value_name = "NAME")]
        person: Option<String>,
        /// What they should know.
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
    },
    /// Say something about it
    Comment {
        /// Its id, as exc_3.
        id: ExceptionId,
        /// What others should know.
        #[arg(value_name = "TEXT")]
        text: String,
    },
    /// Snooze it; it comes back when its time has come, or at once when twice as many records hang on it
    Snooze {
        /// Its id, as exc_3.
        id: ExceptionId,
        /// 4h, 3d, or an instant with its offset.
        #[arg(long, value_name = "WHEN")]
        until: String,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Those that are closed, the newest first.
    #[arg(long, conflicts_with = "snoozed")]
    closed: bool,
    /// Those that are snoozed, the next to come back first.
    #[arg(long)]
    snoozed: bool,
    /// Only those of one team: operations, finance, customer_experience or engineering.
    #[arg(long, value_name = "TEAM", default_value = "")]
    team: String,
    /// Only those of one person.
    #[arg(long, value_name = "NAME", default_value = "")]
    person: String,
    /// Only rules that begin like this, as mapping.
    #[arg(long, value_name = "RULE", default_value = "")]
    rule: String,
    /// Only those of one flow.
    #[arg(long, value_name = "FLOW", default_value = "")]
    flow: String,
    /// Only those at one connection.
    #[arg(long, value_name = "NAME", default_value = "")]
    connection: String,
    /// Only those whose words contain this.
    #[arg(long, value_name = "TEXT", default_value = "")]
    text: String,
    /// Go on where the last list ended.
    #[arg(long, value_name = "CURSOR", default_value = "")]
    after: String,
    /// How many, at most 500. [default: 50]
    #[arg(long, value_name = "N", default_value = "", hide_default_value = true)]
    limit: String,
}

impl From<ListArgs> for DeskWanted {
    fn from(args: ListArgs) -> Self {
        let shelf = match (args.closed, args.snoozed) {
            (true, _) => "closed",
            (false, true) => "snoozed",
            (false, false) => "",
        };
        Self {
            shelf: shelf.to_owned(),
            team: args.team,
            person: args.person,
            mine: String::new(),
            rule: args.rule,
            flow: args.flow,
            connection: args.connection,
            text: args.text,
            after: args.after,
            limit: args.limit,
        }
    }
}

/// Runs it.
///
/// # Errors
/// The store's; there is no such exception.
pub async fn run(about: &About, args: Args) -> Done {
    let config = about.config()?;
    let store = about.store_to_read(&config).await?;
    let out = about.out;
    let detail = async |id: ExceptionId| -> Result<ExceptionDetail, Failure> {
        let found = view::exception(&store, &config.brand, &config.all_ends(), id).await?;
        found.ok_or_else(|| {
            failed(
                format!("there is no exception {id}"),
                "Nothing was changed.",
                "See which there are: selvedge exceptions list, with --closed for those that are over",
            )
        })
    };
    match args.act {
        Act::List(args) => list(out, &config, &store, args.into()).await?,
        Act::Show { id } => {
            let detail = detail(id).await?;
            let looking = Looking {
                brand: config.brand.clone(),
                desk: config.desk(),
                ends: config.all_ends(),
                now: about.clock.now(),
                edit: None,
            };
            let case = view::case::case(&store, &looking, &detail).await?;
            if out.json { out.json(&Told { detail: &detail, case: &case })? } else { tell(out, &detail, &case)? }
        }
        Act::Preview { id, value } => {
            let detail = open_one(detail(id).await?)?;
            let entry = match (value, detail.mapping) {
                (None, _) => None,
                (Some(_), None) => {
                    return Err(unclear(
                        format!("{id} asks for no mapping"),
                        format!("See what it asks for: selvedge exceptions show {id}"),
                    ));
                }
                (Some(value), Some(asked)) => {
                    let entry = asked.answered(None, &value, &config.mapping_targets());
                    Some(entry.map_err(|wrong| unclear(wrong, "Nothing was changed. See the tables: selvedge mappings list"))?)
                }
            };
            preview(about, id, entry).await?;
        }
        Act::Release { id, canary: true } => {
            open_one(detail(id).await?)?;
            let begun = about.actions(&config, &store).release_stepwise(id).await?;
            let (released, said) = match begun {
                Begun::Canary(_, key) => (1, format!("{key} goes first. The engine sends the rest when it is confirmed.")),
                Begun::AtOnce(count) => {
                    (count, format!("{} back to the gate: there was nothing to try first with.", counted(count, "record")))
                }
                Begun::UnderWay => (0, "It is being released already.".to_owned()),
            };
            if out.json { out.json(&json!({ "released": released }))? } else { out.say(said)? }
        }
        Act::Release { id, canary: false } => {
            open_one(detail(id).await?)?;
            let released = about.actions(&config, &store).release(id).await?;
            if out.json {
                out.json(&json!({ "released": released }))?;
            } else {
                out.say(format!(
                    "{} back to the gate. What still has the cause will be held again.",
                    counted(released, "record")
                ))?;
            }
        }
        Act::Dismiss { id, reason } => {
            let reason = reason.trim();
            if reason.is_empty() || reason.chars().count() > REASON_CHARS_MAX {
                return Err(unclear(
                    "a reason is one sentence of at most 500 characters",
                    "Say why it may be let go: --reason \"…\"",
                ));
            }
            open_one(detail(id).await?)?;
            let dismissed = about.actions(&config, &store).dismiss(id, reason).await?;
            if out.json {
                out.json(&json!({ "dismissed": dismissed }))?;
            } else {
                out.say(format!("{} let go. The reason and your name are in the audit trail.", counted(dismissed, "record")))?;
            }
        }
        Act::Assign { id, team, person, note } => {
            let wrong = |why: String| unclear(why, "See selvedge exceptions assign --help.");
            let team = view::team(&team).map_err(wrong)?.ok_or_else(|| wrong("no team is named".to_owned()))?;
            let person = person.as_deref().map(crate::config::desk::person).transpose().map_err(wrong)?;
            let owner = Owner { team, person };
            detail(id).await?;
            about.actions(&config, &store).hand_over(id, &owner, note.trim()).await?;
            settled(out, format!("{id} is given to {owner}."))?;
        }
        Act::Comment { id, text } => {
            let text = view::desk::said(&text).map_err(|why| unclear(why, "Put it in quotes."))?;
            detail(id).await?;
            about.actions(&config, &store).comment(id, &text).await?;
            settled(out, "Kept.".to_owned())?;
        }
        Act::Snooze { id, until, reason } => {
            let wrong = |why: String| unclear(why, "See selvedge exceptions snooze --help.");
            let until = view::desk::until(&until, about.clock.now()).map_err(wrong)?;
            let reason = view::reason(&reason).map_err(wrong)?;
            open_one(detail(id).await?)?;
            about.actions(&config, &store).snooze(id, until, &reason).await?;
            settled(out, format!("{id} is snoozed until {}.", moment(until)))?;
        }
    }
    Ok(0)
}

/// An act that has nothing to count.
fn settled(out: Out, said: String) -> Result<(), Failure> {
    if out.json { out.json(&json!({ "done": true })) } else { out.say(said) }
}

async fn list(out: Out, config: &Config, store: &Store, wanted: DeskWanted) -> Result<(), Failure> {
    let asked = wanted.asked(&config.all_ends(), &[]).map_err(|why| unclear(why, "See selvedge exceptions list --help."))?;
    let found = view::desk::desk(store, &config.brand, &asked).await?;
    if out.json {
        return out.json(&found.exceptions);
    }
    if found.exceptions.is_empty() {
        let empty =
            if wanted.narrows() || !wanted.shelf.is_empty() { "Nothing of this kind." } else { "Nothing needs a person." };
        return out.say(out.paint(Paint::Good, empty));
    }
    out.table(
        ["ID", "OWNER", "FLOW", "RULE", "HOLDS", "MONEY", "IMPACT", "SINCE", "WHAT"],
        found.exceptions.into_iter().map(|one| {
            [
                one.id.to_string(),
                one.person.clone().unwrap_or_else(|| one.team.to_string()),
                one.flow.0.clone(),
                one.rule.clone(),
                one.count.to_string(),
                one.money.join(", "),
                one.impact.to_string(),
                moment(one.first_seen_at),
                cut(&one.message, 60),
            ]
        }),
    )?;
    match found.next {
        Some(next) => out.line(format!("More: --after {next}")),
        None => Ok(()),
    }
}

/// Asks the gate, with the connections opened and no call made.
async fn preview(about: &About, id: ExceptionId, entry: Option<MapEntry>) -> Result<(), Failure> {
    let (config, problems) = about.read();
    let environment = about.environment(&config);
    let opened = wiring::open(&config, problems, &environment, about.global.key_file.as_deref(), Arc::clone(&about.clock))
        .await
        .map_err(Failure::Config)?;
    let engine = Engine::new(opened.setup).map_err(|wrong| {
        let said = wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        failed(said, "Nothing was changed.", "See what is wrong with the config: selvedge check")
    })?;
    let preview = engine.preview(id, entry).await?;
    let out = about.out;
    if out.json {
        return out.json(&preview);
    }
    let money = preview.money.iter().map(|amount| format!(", {amount}")).collect::<String>();
    out.line(format!("{id} holds {}{money}, of {}", counted(preview.records, "record"), counted(preview.customers, "customer")))?;
    out.line(format!("  The gate was asked about {}:", counted(preview.asked, "record")))?;
    out.line(format!("    {} would pass", preview.passes))?;
    for (count, what) in
        [(preview.waits, "would wait for something else first"), (preview.excluded, "would be left out by a rule")]
    {
        if count > 0 {
            out.line(format!("    {count} {what}"))?;
        }
    }
    for again in &preview.held {
        out.line(format!("    {} would be held again: {}", again.records, clean(&again.message)))?;
    }
    match preview.canary {
        Some(canary) => out.line(format!(
            "  First: {} {} (selvedge exceptions release {id} --canary)",
            canary.kind,
            clean(canary.key.as_str())
        )),
        None => Ok(()),
    }
}

/// One exception with what helps to settle it, as JSON.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    detail: &'a ExceptionDetail,
    case: &'a CaseView,
}

/// What is closed holds nothing that could be released or let go.
fn open_one(detail: ExceptionDetail) -> Result<ExceptionDetail, Failure> {
    if detail.exception.open {
        return Ok(detail);
    }
    let one = detail.exception;
    let closed = one.closed.unwrap_or_default();
    Err(failed(format!("{} is closed: {closed}", one.id), "Nothing was changed.", "See what is open: selvedge exceptions list"))
}

fn tell(out: Out, detail: &ExceptionDetail, case: &CaseView) -> Result<(), Failure> {
    let one = &detail.exception;
    out.line(format!(
        "{} {} {}",
        out.paint(Paint::Strong, one.id),
        one.rule,
        if one.open { out.paint(Paint::Bad, "open") } else { "closed".to_owned() }
    ))?;
    out.line(format!("  What:   {}", clean(&one.message)))?;
    if !one.path.is_empty() {
        let value = one.value.as_ref().map(|value| format!(" = {}", clean(value))).unwrap_or_default();
        out.line(format!("  Where:  {}{value}", clean(&one.path)))?;
    }
    out.line(format!("  Remedy: {}", clean(&one.remedy)))?;
    out.line(format!("  Why:    {}", clean(&case.diagnosis)))?;
    out.line(format!("  Owner:  {}", one.owner()))?;
    if one.open {
        out.line(format!("  Impact: {}", case.formula))?;
    }
    if let Some(snoozed) = &one.snoozed {
        out.line(format!("  Snoozed until {}: {}", moment(snoozed.until), clean(&snoozed.why)))?;
    }
    let money = if one.money.is_empty() { String::new() } else { format!(", {}", one.money.join(", ")) };
    out.line(format!("  Holds:  {}{money}", counted(one.count, "record")))?;
    out.line(format!("  Since:  {} (last met {})", moment(one.first_seen_at), moment(one.last_seen_at)))?;
    if let Some(closed) = &one.closed {
        out.line(format!("  Closed: {}", clean(closed)))?;
    }
    for held in detail.holds.iter().take(HELD_SHOWN) {
        out.line(format!("    {} {} ({})", held.kind, clean(held.key.as_str()), held.obligation))?;
    }
    for late in detail.late.iter().take(HELD_SHOWN) {
        let by = late.dispatch_by.map(|by| format!(", promised by {}", moment(by))).unwrap_or_default();
        out.line(format!("    order {}: {} of {} units left{by}", clean(late.order.as_str()), late.shipped, late.ordered))?;
    }
    for half in detail.returns.iter().take(HELD_SHOWN) {
        let money = half.money.map(|money| format!(", {money}")).unwrap_or_default();
        out.line(format!("    return {} from {}{money}", clean(half.key.as_str()), half.connection))?;
    }
    let shown = detail.holds.len() + detail.late.len() + detail.returns.len();
    let more = one.count.saturating_sub(shown.min(HELD_SHOWN) as u64);
    if more > 0 {
        out.line(format!("    and {more} more"))?;
    }
    if let Some(asked) = &detail.mapping {
        let connection = asked.connection.as_ref().map(|name| format!(" --connection {name}")).unwrap_or_default();
        out.line(format!("  Map it: selvedge mappings set {} '{}' ID{connection}", asked.table, clean(&asked.key)))?;
    }
    for one in &case.suggestions {
        out.line(format!("    it might be {}: {}", clean(&one.value), clean(&one.why)))?;
    }
    for event in &case.history {
        let by = if event.actor.is_empty() { String::new() } else { format!(" by {}", clean(&event.actor)) };
        out.line(format!("  {} {}{by}: {}", moment(event.at), event.kind.name(), cut(&clean(&event.detail), 100)))?;
    }
    Ok(())
}
