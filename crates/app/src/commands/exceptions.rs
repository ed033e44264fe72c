//! `selvedge exceptions`: what needs a person, by root cause.

use clap::Subcommand;
use selvedge_model::ExceptionId;
use serde_json::json;

use super::{
    About,
    out::{Done, Failure, Out, Paint, clean, counted, cut, failed, moment, unclear},
};
use crate::view::{self, ExceptionDetail};

/// How many of the records that an exception holds are shown.
const HELD_SHOWN: usize = 10;
/// The longest reason.
const REASON_CHARS_MAX: usize = 500;

/// Show, release and dismiss what needs a person. One root cause is one exception.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  selvedge exceptions list --team finance\n  selvedge exceptions show exc_3\n  selvedge exceptions release exc_3\n  selvedge exceptions dismiss exc_3 --reason \"test order, agreed with finance\""
)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// The open ones, those that hold most first
    List {
        /// Closed ones, too.
        #[arg(long)]
        all: bool,
        /// Only those of one team: operations, finance, customer_experience or engineering.
        #[arg(long, value_name = "TEAM", default_value = "")]
        team: String,
    },
    /// One: what is wrong, what to do, how many records and how much money it holds
    Show {
        /// Its id, as exc_3.
        id: ExceptionId,
    },
    /// Send what it holds back to the gate, after its cause was mended
    Release {
        /// Its id, as exc_3.
        id: ExceptionId,
    },
    /// Let go what it holds: it will not be delivered. The reason and your name are kept
    Dismiss {
        /// Its id, as exc_3.
        id: ExceptionId,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
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
        let found = view::exception(&store, &config.brand, &config.ends(), id).await?;
        found.ok_or_else(|| {
            failed(
                format!("there is no exception {id}"),
                "Nothing was changed.",
                "See which there are: selvedge exceptions list --all",
            )
        })
    };
    match args.act {
        Act::List { all, team } => {
            let team = view::team(&team).map_err(|why| unclear(why, "Name one of them, or leave --team out."))?;
            let exceptions = view::of_team(view::exceptions(&store, &config.brand, all).await?, team);
            if out.json {
                out.json(&exceptions)?;
            } else if exceptions.is_empty() {
                out.say(out.paint(Paint::Good, "Nothing needs a person."))?;
            } else {
                out.table(
                    ["ID", "TEAM", "FLOW", "RULE", "HOLDS", "MONEY", "SINCE", "WHAT"],
                    exceptions.into_iter().map(|one| {
                        let what = if one.open { one.message } else { format!("(closed) {}", one.message) };
                        [
                            one.id.to_string(),
                            one.team.to_string(),
                            one.flow.0,
                            one.rule,
                            one.count.to_string(),
                            one.money.join(", "),
                            moment(one.first_seen_at),
                            cut(&what, 60),
                        ]
                    }),
                )?;
            }
        }
        Act::Show { id } => {
            let detail = detail(id).await?;
            if out.json { out.json(&detail)? } else { tell(out, &detail)? }
        }
        Act::Release { id } => {
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
    }
    Ok(0)
}

/// What is closed holds nothing that could be released or let go.
fn open_one(detail: ExceptionDetail) -> Result<(), Failure> {
    let one = detail.exception;
    if one.open {
        return Ok(());
    }
    let closed = one.closed.unwrap_or_default();
    Err(failed(format!("{} is closed: {closed}", one.id), "Nothing was changed.", "See what is open: selvedge exceptions list"))
}

fn tell(out: Out, detail: &ExceptionDetail) -> Result<(), Failure> {
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
    out.line(format!("  Team:   {}", one.team.name()))?;
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
    Ok(())
}
