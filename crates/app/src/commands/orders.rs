//! `selvedge orders`: find orders, and the whole story of one.

use clap::Subcommand;
use selvedge_model::{RecordKey, ledgers::Reason, obligation::State};

use super::{
    About,
    out::{Done, Failure, Out, Paint, clean, cut, failed, moment},
};
use crate::view::{self, ORDERS_MAX, OrderStory, Whereabouts, became, document};

/// Find orders and show the whole story of one.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  selvedge orders list --search anna@example.com\n  selvedge orders show 1042\n  selvedge orders show 1042 --json"
)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// The newest orders, and where each stands
    List {
        /// Only those with words that begin like this: number, name, e-mail, tracking number, SKU.
        #[arg(long, value_name = "TEXT", default_value = "")]
        search: String,
        /// How many at most; never more than 500.
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Everything that happened to one order, everywhere
    Show {
        /// The order's number.
        #[arg(value_name = "ID")]
        id: String,
    },
}

/// Runs it.
///
/// # Errors
/// The store's; there is no such order.
pub async fn run(about: &About, args: Args) -> Done {
    let config = about.config()?;
    let store = about.store_to_read(&config).await?;
    let out = about.out;
    match args.act {
        Act::List { search, limit } => {
            let (orders, _) = view::orders(&store, &config.brand, &config.ends(), &search, None, limit.min(ORDERS_MAX)).await?;
            if out.json {
                out.json(&orders)?;
                return Ok(0);
            }
            out.table(
                ["ORDER", "REVISION", "RECEIVED", "AMOUNT", "WHO", "STANDS"],
                orders.into_iter().map(|order| {
                    let standings: Vec<String> =
                        order.standings.iter().map(|standing| format!("{}: {}", standing.flow, standing.state.word())).collect();
                    [
                        order.number.0,
                        order.revision.to_string(),
                        moment(order.received_at),
                        order.amount,
                        cut(&order.who, 40),
                        standings.join(", "),
                    ]
                }),
            )?;
        }
        Act::Show { id } => {
            let story = view::order_story(&store, &config.brand, &config.ends(), &RecordKey::new(id.trim())).await?;
            let Some(story) = story else {
                return Err(failed(
                    format!("order {} is not here", clean(&id)),
                    "It was never captured for this brand, or its number is written differently.",
                    format!("Look for it: selvedge orders list --search {}", clean(&id)),
                ));
            };
            if out.json { out.json(&story)? } else { tell(out, &story)? }
        }
    }
    Ok(0)
}

/// One side of a change.
fn shown(value: &Option<String>) -> String {
    value.as_ref().map_or_else(|| "nothing".to_owned(), |value| clean(value))
}

fn tell(out: Out, story: &OrderStory) -> Result<(), Failure> {
    out.line(out.paint(Paint::Strong, format!("Order {} from {}", clean(story.number.as_str()), story.from)))?;
    match &story.order {
        None => out.line("  Its bytes could not be read; what is known stands below.")?,
        Some(order) => {
            let who = order.customer.as_ref().map(|customer| {
                let name = [&customer.first_name, &customer.last_name]
                    .into_iter()
                    .flatten()
                    .map(String::as_str)
                    .collect::<Vec<_>>()
                    .join(" ");
                format!("{name} <{}>", customer.email.as_deref().unwrap_or("no e-mail"))
            });
            out.line(format!(
                "  placed {}, {} {}",
                moment(order.placed_at),
                clean(&order.market.name),
                clean(who.as_deref().unwrap_or("without an account"))
            ))?;
            out.line(format!("  {} net + {} tax = {}", order.totals.net, order.totals.tax, order.totals.gross))?;
            for line in &order.lines {
                out.line(format!(
                    "  {} × {} {}: {} + {} tax",
                    line.quantity,
                    clean(line.sku.as_str()),
                    clean(&cut(&line.name, 50)),
                    line.net,
                    line.tax
                ))?;
            }
        }
    }
    whereabouts(out, &story.whereabouts)?;
    both(out, story)?;
    for revision in &story.revisions {
        out.line(format!("\nRevision {} received {}", revision.revision, moment(revision.received_at)))?;
        for problem in &revision.problems {
            out.line(format!("  {} {}: {}", out.paint(Paint::Bad, "problem"), clean(&problem.path), clean(&problem.message)))?;
        }
        for change in &revision.changes {
            out.line(format!("  changed {}: {} → {}", clean(&change.path), shown(&change.expected), shown(&change.actual)))?;
        }
    }
    for owed in &story.obligations {
        let state = out.paint(if owed.state.in_flight() { Paint::Warning } else { Paint::Strong }, owed.state.word());
        let target = owed.target.as_ref().map(|id| format!(", there {}", clean(id.as_str()))).unwrap_or_default();
        out.line(format!(
            "\n{} {} {} revision {} ({}): {state}{target}",
            owed.flow,
            owed.kind,
            clean(owed.key.as_str()),
            owed.revision,
            owed.id
        ))?;
        // What a confirmed row met with on its way is told by its steps.
        if let Some(note) = owed.note.as_ref().filter(|_| owed.state != State::Confirmed) {
            out.line(format!("  {}", clean(note)))?;
        }
        if let Some(exception) = owed.exception {
            out.line(format!("  held by {exception}: selvedge exceptions show {exception}"))?;
        }
        for step in &owed.steps {
            out.line(format!(
                "  {}  {:<9} {:<12} {}",
                out.paint(Paint::Faint, moment(step.at)),
                step.verb,
                step.outcome,
                clean(&step.detail)
            ))?;
        }
        if let Some(took) = owed.took_ms {
            out.line(format!("  {took} ms from captured to settled"))?;
        }
    }
    if !story.bindings.is_empty() {
        out.line("\nStands as")?;
        for binding in &story.bindings {
            out.line(format!(
                "  {} {} is {} at {}",
                binding.kind,
                clean(binding.key.as_str()),
                clean(binding.id.as_str()),
                binding.connection
            ))?;
        }
    }
    for exception in &story.exceptions {
        out.line(format!("\n{} {}: {}", out.paint(Paint::Bad, exception.id), exception.rule, clean(&exception.message)))?;
        out.line(format!("  {}", clean(&exception.remedy)))?;
    }
    Ok(())
}

/// Where the goods are.
fn whereabouts(out: Out, goods: &Whereabouts) -> Result<(), Failure> {
    if goods.shipments.is_empty() && goods.promises.is_empty() && goods.lines.iter().all(|line| line.flow.is_none()) {
        return Ok(());
    }
    out.line("\nWhere it is")?;
    for line in &goods.lines {
        let by = line.flow.as_ref().map(|flow| format!(", by {flow}")).unwrap_or_default();
        out.line(format!("  {}: {} of {} left{by}", clean(line.sku.as_str()), line.shipped, line.ordered))?;
    }
    for promise in &goods.promises {
        out.line(format!("  {} is to ship by {}", promise.flow, moment(promise.dispatch_by)))?;
    }
    for shipment in &goods.shipments {
        let at = shipment.shipped_at.map(|at| format!(", left {}", moment(at))).unwrap_or_default();
        let status = out.paint(Paint::Strong, shipment.status.word());
        out.line(format!("  {} from {}: {status}{at}", clean(shipment.key.as_str()), shipment.connection))?;
        for (sku, units) in &shipment.units {
            out.line(format!("    {units} × {}", clean(sku.as_str())))?;
        }
        for parcel in &shipment.parcels {
            let words = [&parcel.carrier, &parcel.service, &parcel.tracking, &parcel.url];
            let words: Vec<String> = words.into_iter().flatten().map(|word| clean(word)).collect();
            out.line(format!(
                "    parcel: {}",
                if words.is_empty() { "nothing is said of it".to_owned() } else { words.join(", ") }
            ))?;
        }
        for short in &shipment.short {
            let units = short.quantity.map_or_else(String::new, |units| format!("{units} × "));
            let ever = if short.is_final { "will not come" } else { "follows" };
            out.line(format!("    {units}{} {ever}: {}", clean(short.sku.as_str()), clean(&short.reason)))?;
        }
        for told in &shipment.told {
            out.line(format!("    {}: {}", told.flow, told.state.word()))?;
        }
    }
    Ok(())
}

/// Both ledgers, row by row.
fn both(out: Out, story: &OrderStory) -> Result<(), Failure> {
    let Some(ledgers) = &story.ledgers else {
        return out.line("\nThe sums of both ledgers are too large to be added up.");
    };
    if ledgers.books.is_empty() && !ledgers.gives_back() {
        return Ok(());
    }
    out.line("\nBoth ledgers")?;
    for line in ledgers.money.iter().flat_map(|ledger| &ledger.lines) {
        let there = ledgers.books.iter().zip(&line.books).map(|(name, amount)| format!(", {name} {amount}")).collect::<String>();
        let verdict = if line.agrees() {
            String::new()
        } else {
            let apart: Vec<String> =
                line.differences.iter().filter(|difference| !difference.is_zero()).map(ToString::to_string).collect();
            format!("  {}", out.paint(Paint::Bad, format!("differs by {}", apart.join(", "))))
        };
        out.line(format!("  {:<32} {} {}{there}{verdict}", line.row.title(), story.from, line.told))?;
        reasons(out, &line.reasons)?;
    }
    for line in &ledgers.goods {
        let all = [(story.from.as_str(), line.shop), ("warehouses", line.warehouses)].into_iter();
        let all = all.chain(ledgers.books.iter().map(|name| name.as_str()).zip(line.books.iter().copied()));
        let all: Vec<String> = all.filter_map(|(name, units)| Some(format!("{name} {}", units?))).collect();
        let verdict = if line.difference == 0 {
            String::new()
        } else {
            format!("  {}", out.paint(Paint::Bad, format!("differs by {}", line.difference)))
        };
        out.line(format!("  {:<32} {} units{verdict}", line.row.title(), all.join(", ")))?;
        reasons(out, &line.reasons)?;
    }
    Ok(())
}

fn reasons(out: Out, reasons: &[Reason]) -> Result<(), Failure> {
    for one in reasons {
        let held = one.exception.map(|exception| format!(": selvedge exceptions show {exception}")).unwrap_or_default();
        out.line(format!("    the {} {} {}{held}", document(one.kind), clean(one.key.as_str()), clean(&became(one))))?;
    }
    Ok(())
}
