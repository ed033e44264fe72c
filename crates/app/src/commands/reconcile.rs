//! `selvedge reconcile`: whether both ends agree, what differs, and what the ledger can settle.

use clap::Subcommand;
use selvedge_flow::reconcile::{Limits, PairSetup, Reconciler, Repair};
use selvedge_model::{Currency, DifferenceId, Interval, Kind, Money, reconcile::Why};
use selvedge_store::differences::Wanted;
use serde_json::json;

use super::{
    About,
    out::{Done, EXIT_FAILED, Failure, Out, Paint, clean, cut, failed, moment, unclear},
};
use crate::{
    config::{Config, Level, words::Moment},
    view::reconcile::{self as view, DIFFERENCES_MAX, DifferenceView, LookView},
    wiring,
};

/// See whether both ends agree, read them whole now, list what differs, and repair what the ledger can settle
#[derive(Debug, clap::Args)]
#[command(
    after_help = "now exits with 1 when the sentence of completeness is not true of some pair.\n\nExamples:\n  selvedge reconcile status\n  selvedge reconcile now --since 30d\n  selvedge reconcile list --why never_arrived\n  selvedge reconcile repair --pair shop-erp\n  selvedge reconcile repair --pair shop-erp --limit 50 --max-money \"5000 EUR\" --yes"
)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Each pair of ends: the last look, and whether everything was accounted for
    Status,
    /// Read both ends whole and compare them, now
    Now {
        /// Only this pair.
        #[arg(long, value_name = "NAME")]
        pair: Option<String>,
        /// From when: so long ago (30d), or an instant with its offset. Default: what [reconcile] says.
        #[arg(long, value_name = "WHEN")]
        since: Option<Moment>,
        /// Until when. Default: now.
        #[arg(long, value_name = "WHEN")]
        until: Option<Moment>,
    },
    /// What differs, the most at stake first
    List {
        /// Only this pair.
        #[arg(long, value_name = "NAME")]
        pair: Option<String>,
        /// Only of this kind: order, shipment, return, credit_note, refund, stock, product.
        #[arg(long, value_name = "KIND")]
        kind: Option<String>,
        /// Only what came about like this: never_arrived, sent_twice, rounding …
        #[arg(long, value_name = "WHY")]
        why: Option<String>,
        /// Only of this order.
        #[arg(long, value_name = "NUMBER")]
        order: Option<String>,
        /// Closed ones, too.
        #[arg(long)]
        all: bool,
        /// How many at most; never more than 1000.
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// One difference, with both values
    Show {
        /// Its id, as the list prints it.
        #[arg(value_name = "ID")]
        id: DifferenceId,
    },
    /// Make obligations of what the ledger can settle: what never arrived, what is stale, what was deleted. Shows what it would do, unless --yes
    Repair {
        /// Which pair.
        #[arg(long, value_name = "NAME")]
        pair: String,
        /// At most so many records.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
        /// At most so much money, as "5000 EUR"; may be given for several currencies.
        #[arg(long, value_name = "MONEY", value_parser = money_of)]
        max_money: Vec<Money>,
        /// Do it.
        #[arg(long)]
        yes: bool,
    },
}

/// `5000 EUR`.
pub(super) fn money_of(text: &str) -> Result<Money, String> {
    let wrong = || format!("{text:?} is no amount; write it like \"5000 EUR\"");
    let (amount, code) = text.trim().split_once(' ').ok_or_else(wrong)?;
    let currency = Currency::from_code(code.trim()).ok_or_else(wrong)?;
    let amount = amount.parse().map_err(|_| wrong())?;
    Money::exact(amount, currency).map_err(|_| wrong())
}

/// Runs it.
///
/// # Errors
/// The store's; a pair that there is none of; a connection that does not open.
pub async fn run(about: &About, args: Args) -> Done {
    match args.act {
        Act::Now { pair, since, until } => now(about, pair.as_deref(), since, until).await,
        Act::Status => {
            let config = about.config()?;
            let store = about.store_to_read(&config).await?;
            let pairs = view::pairs(&store, &config.brand, &config.pairs()).await?;
            if about.out.json {
                about.out.json(&pairs)?;
                return Ok(0);
            }
            about.out.table(
                ["PAIR", "FROM", "TO", "LAST LOOK", "WINDOW FROM", "MEETS", "OPEN"],
                pairs.into_iter().map(|pair| {
                    let from: Vec<String> = pair.sources.iter().map(ToString::to_string).collect();
                    let last = pair.last.as_ref();
                    [
                        pair.name,
                        from.join(", "),
                        pair.target.to_string(),
                        last.and_then(|look| look.finished_at).map_or_else(|| "never".to_owned(), moment),
                        last.map_or_else(String::new, |look| moment(look.from)),
                        last.and_then(|look| look.balanced).map_or("", |meets| if meets { "yes" } else { "no" }).to_owned(),
                        pair.open.to_string(),
                    ]
                }),
            )?;
            Ok(0)
        }
        Act::List { pair, kind, why, order, all, limit } => {
            let config = about.config()?;
            let kind = kind.map(|word| Kind::from_word(&word).ok_or_else(|| no_kind(&word))).transpose()?;
            let why = why.map(|word| why_of(&word)).transpose()?;
            let wanted = Wanted {
                pair,
                kind,
                cause: None,
                why,
                family: order,
                closed: all,
                after: None,
                most: limit.min(DIFFERENCES_MAX),
            };
            let store = about.store_to_read(&config).await?;
            let (found, _) = view::differences(&store, &config.brand, &wanted).await?;
            if about.out.json {
                about.out.json(&found)?
            } else {
                list(about.out, found)?
            }
            Ok(0)
        }
        Act::Show { id } => {
            let config = about.config()?;
            let store = about.store_to_read(&config).await?;
            let Some(found) = view::difference(&store, &config.brand, id).await? else {
                return Err(failed(format!("there is no {id}"), "Nothing is shown.", "See selvedge reconcile list."));
            };
            if about.out.json {
                about.out.json(&found)?
            } else {
                show(about.out, &found)?
            }
            Ok(0)
        }
        Act::Repair { pair, limit, max_money, yes } => {
            repair(about, &pair, Limits { records: limit, money: max_money }, yes).await
        }
    }
}

fn no_kind(word: &str) -> Failure {
    unclear(format!("{word:?} is no kind of record"), "Take one of order, shipment, return, credit_note, refund, stock, product.")
}

fn why_of(word: &str) -> Result<Why, Failure> {
    Why::ALL.iter().copied().find(|why| why.word() == word).ok_or_else(|| {
        let words: Vec<&str> = Why::ALL.iter().map(|why| why.word()).collect();
        unclear(format!("{word:?} is no way in which a difference comes about"), format!("Take one of {}.", words.join(", ")))
    })
}

fn pair_of(config: &Config, name: &str) -> Result<PairSetup, Failure> {
    let pairs = config.pairs();
    let names: Vec<String> = pairs.iter().map(|pair| pair.name.clone()).collect();
    pairs
        .into_iter()
        .find(|pair| pair.name == name)
        .ok_or_else(|| unclear(format!("there is no pair {name:?}"), format!("There are: {}.", names.join(", "))))
}

async fn now(about: &About, pair: Option<&str>, since: Option<Moment>, until: Option<Moment>) -> Done {
    let (config, found) = about.read();
    let environment = about.environment(&config);
    let opened =
        wiring::assemble(&config, found, &environment, about.global.key_file.as_deref(), &about.clock, wiring::Access::ReadOnly)
            .await;
    let Some(store) = opened.store.filter(|_| opened.problems.iter().all(|problem| problem.level != Level::Bad)) else {
        return Err(Failure::Config(opened.problems));
    };
    let reconciler = Reconciler::new(
        config.brand.clone(),
        store.clone(),
        std::sync::Arc::clone(&about.clock),
        opened.connections,
        config.pairs(),
    );
    if let Some(name) = pair {
        pair_of(&config, name)?;
    }
    let at = about.clock.now();
    let (mut looks, mut trouble) = (Vec::new(), Vec::new());
    for one in reconciler.pairs.iter().filter(|one| pair.is_none_or(|name| one.name == name)) {
        let back = jiff::SignedDuration::try_from(one.back).unwrap_or(jiff::SignedDuration::from_hours(168));
        let window = Interval {
            from: since.map_or(at.checked_sub(back).unwrap_or(jiff::Timestamp::MIN), |since| since.instant(at)),
            to: until.map_or(at, |until| until.instant(at)),
        };
        if window.to <= window.from {
            return Err(unclear("the window ends before it begins", "Give a --since that lies before --until."));
        }
        match reconciler.look(one, "demand", &window).await? {
            Ok(id) => looks.extend(view::look(&store, &config.brand, id).await?),
            Err(why) => trouble.push((one.name.clone(), why)),
        }
    }
    let whole = trouble.is_empty() && looks.iter().all(|look| look.balanced == Some(true));
    if about.out.json {
        let trouble: Vec<_> = trouble.iter().map(|(pair, why)| json!({ "pair": pair, "why": why })).collect();
        about.out.json(&json!({ "looks": looks, "not_read": trouble }))?;
    } else {
        for look in &looks {
            tell(about.out, look)?;
        }
        for (pair, why) in &trouble {
            about.out.line(about.out.paint(
                Paint::Bad,
                format!(
                    "{pair} could not be read whole: {}\n  What was read is kept; the same command goes on there.",
                    clean(why)
                ),
            ))?;
        }
    }
    Ok(if whole { 0 } else { EXIT_FAILED })
}

/// The sentence of completeness of each kind.
pub(super) fn tell(out: Out, look: &LookView) -> Result<(), Failure> {
    out.line(out.paint(Paint::Strong, format!("{}  {} to {}  ({})", look.pair, moment(look.from), moment(look.to), look.id)))?;
    let sums = |sum: &view::SumView| {
        if sum.money.is_empty() { sum.count.to_string() } else { format!("{}  {}", sum.count, sum.money.join(" + ")) }
    };
    for kind in &look.kinds {
        let excluded: Vec<String> = kind.excluded.iter().map(|(rule, sum)| format!("{} by {rule}", sum.count)).collect();
        let excluded = if excluded.is_empty() { "0 excluded".to_owned() } else { format!("excluded: {}", excluded.join(", ")) };
        let sign = if kind.meets { "=" } else { "≠" };
        out.line(format!(
            "  {:<12} told {} {sign} agreed {}, open {}, {excluded}, in flight {}",
            kind.kind,
            sums(&kind.told),
            sums(&kind.agreed),
            sums(&kind.open),
            sums(&kind.in_flight)
        ))?;
        for (what, count) in [
            ("stand at the target alone", kind.alone_there.count),
            ("could not be read", kind.unread),
            ("were never captured", kind.uncaptured),
            ("were read and not judged", kind.left_over),
            ("differ within the tolerance", kind.tolerated),
        ] {
            if count > 0 {
                out.line(format!("  {:<12} {count} {what}", ""))?;
            }
        }
    }
    for habit in &look.habits {
        out.line(format!("  {}: {}", out.paint(Paint::Warning, &habit.title), clean(&habit.evidence)))?;
    }
    Ok(())
}

fn list(out: Out, found: Vec<DifferenceView>) -> Result<(), Failure> {
    out.table(
        ["ID", "PAIR", "WHAT", "WHY", "WHERE", "SOURCE", "TARGET", "AT STAKE", "SINCE"],
        found.into_iter().map(|one| {
            [
                one.id.to_string(),
                one.pair,
                format!("{} {}", one.kind, cut(&one.subject, 30)),
                one.why.title().to_owned(),
                cut(&one.path, 30),
                cut(one.expected.as_deref().unwrap_or(""), 30),
                cut(one.actual.as_deref().unwrap_or(""), 30),
                one.stake.map(|stake| stake.to_string()).unwrap_or_default(),
                moment(one.first_seen_at),
            ]
        }),
    )?;
    Ok(())
}

fn show(out: Out, one: &DifferenceView) -> Result<(), Failure> {
    let title = format!("{}  {} {}: {}", one.id, one.kind, clean(&one.subject), one.why.title());
    out.line(out.paint(Paint::Strong, title))?;
    out.line(format!("  {}", clean(&one.detail)))?;
    out.line(format!("  Do: {}", clean(&one.fix)))?;
    let rows = [
        ("where", one.path.clone()),
        ("source", one.expected.clone().unwrap_or_default()),
        ("target", one.actual.clone().unwrap_or_default()),
        ("moves", one.money.map(|money| money.to_string()).unwrap_or_default()),
        ("at stake", one.stake.map(|money| money.to_string()).unwrap_or_default()),
        ("order", one.order.clone()),
        ("source's id", one.source_id.clone().unwrap_or_default()),
        ("target's id", one.target_id.clone().unwrap_or_default()),
        ("owner", one.team.name().to_owned()),
        ("exception", one.exception.map(|id| id.to_string()).unwrap_or_default()),
        ("perhaps", one.suggestion.clone().unwrap_or_default()),
        ("first seen", format!("{} by {}", moment(one.first_seen_at), one.first_run)),
        ("last seen", moment(one.last_seen_at)),
        ("closed", one.closed.as_ref().map(|(at, why)| format!("{}: {why}", moment(*at))).unwrap_or_default()),
    ];
    for (name, value) in rows.into_iter().filter(|(_, value)| !value.is_empty()) {
        out.line(format!("  {name:<12} {}", clean(&value)))?;
    }
    Ok(())
}

async fn repair(about: &About, name: &str, limits: Limits, yes: bool) -> Done {
    let config = about.config()?;
    let pair = pair_of(&config, name)?;
    let store = about.store_to_read(&config).await?;
    let actions = about.actions(&config, &store);
    let plan = actions.plan_repair(&pair, &limits).await?;
    let told: Vec<_> = plan
        .repairs
        .iter()
        .map(|(row, repair)| {
            let how = match repair {
                Repair::Deliver => "fetch and deliver",
                Repair::Restore => "send again, after a look by our key",
            };
            (row.id, row.found.kind, row.found.subject.clone(), row.found.why, how, row.found.stake)
        })
        .collect();
    let (left, exceptions) = (plan.left, plan.exceptions);
    let money: Vec<String> = plan.money.iter().map(ToString::to_string).collect();
    let done = if yes { Some(actions.repair(&pair, plan).await?) } else { None };
    if about.out.json {
        let repairs: Vec<_> = told
            .iter()
            .map(|(id, kind, subject, why, how, stake)| {
                json!({ "difference": id, "kind": kind, "subject": subject, "why": why, "how": how, "stake": stake })
            })
            .collect();
        about.out.json(&json!({ "repairs": repairs, "money": money, "left": left, "exceptions": exceptions, "done": done }))?;
        return Ok(0);
    }
    about.out.table(
        ["ID", "WHAT", "WHY", "HOW", "AT STAKE"],
        told.into_iter().map(|(id, kind, subject, why, how, stake)| {
            [
                id.to_string(),
                format!("{kind} {}", cut(&subject, 40)),
                why.title().to_owned(),
                how.to_owned(),
                stake.map(|stake| stake.to_string()).unwrap_or_default(),
            ]
        }),
    )?;
    let money = if money.is_empty() { String::new() } else { format!(", {} in all", money.join(" + ")) };
    match done {
        Some(done) => {
            about.out.line(format!("{done} records are on their way{money}. A running engine takes them through the gate."))?
        }
        None => about.out.line(format!("Nothing was done yet{money}. The same command with --yes does it."))?,
    }
    if left > 0 {
        about.out.line(format!("{left} more are left for a later repair: the limits are reached."))?;
    }
    if exceptions > 0 {
        about.out.line(format!("{exceptions} differences are for a person: see selvedge reconcile list."))?;
    }
    Ok(0)
}
