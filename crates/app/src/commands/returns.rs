//! `selvedge returns`: what came back and what was given back for it.

use clap::Subcommand;
use selvedge_model::RecordKey;

use super::{
    About,
    out::{Done, Failure, Out, Paint, clean, cut, failed, moment},
};
use crate::view::{self, Halves, RETURNS_MAX, ReturnLine, ReturnStory, Standing, document};

/// Find returns and credit notes, and show both halves of one.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  selvedge returns list --search 1042\n  selvedge returns list --search re_3Nk9\n  selvedge returns show 1042.shop.77 --json"
)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// The newest returns and credit notes, and which halves of each are there
    List {
        /// Only those with this in the order's number, a SKU, the buyer or a transaction of the payment provider.
        #[arg(long, value_name = "TEXT", default_value = "")]
        search: String,
        /// How many at most; never more than 500.
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Goods and money of one, and where each stands
    Show {
        /// Its key, as the list prints it.
        #[arg(value_name = "KEY")]
        key: String,
    },
}

/// Runs it.
///
/// # Errors
/// The store's; there is no such return.
pub async fn run(about: &About, args: Args) -> Done {
    let config = about.config()?;
    let store = about.store_to_read(&config).await?;
    let out = about.out;
    match args.act {
        Act::List { search, limit } => {
            let (returns, _) =
                view::returns(&store, &config.brand, &config.ends(), &search, None, limit.min(RETURNS_MAX)).await?;
            if out.json {
                out.json(&returns)?;
                return Ok(0);
            }
            out.table(["RETURN", "ORDER", "GOODS", "MONEY", "STANDS", "HELD BY", "ARRIVED"], returns.into_iter().map(row))?;
        }
        Act::Show { key } => {
            let story = view::return_story(&store, &config.brand, &config.ends(), &RecordKey::new(key.trim())).await?;
            let Some(story) = story else {
                return Err(failed(
                    format!("return {} is not here", clean(&key)),
                    "It was never captured for this brand, or its key is written differently.",
                    "Look for it: selvedge returns list --search with its order or an item",
                ));
            };
            if out.json { out.json(&story)? } else { tell(out, &story)? }
        }
    }
    Ok(0)
}

fn row(one: ReturnLine) -> [String; 7] {
    let orders: Vec<&str> = one.orders.iter().map(RecordKey::as_str).collect();
    let goods: Vec<String> = one
        .goods
        .iter()
        .map(|half| {
            let units: u64 = half.units.iter().map(|(_, units)| u64::from(*units)).sum();
            format!("{units} {}, {}", half.status.word(), half.connection)
        })
        .collect();
    let money =
        one.money.as_ref().map_or_else(|| "no credit note".to_owned(), |half| format!("{} {}", half.amount, half.status.word()));
    let held: Vec<String> = one.exceptions.iter().map(ToString::to_string).collect();
    [
        one.key.0.clone(),
        cut(&orders.join(", "), 40),
        goods.join("; "),
        money,
        one.halves.words().to_owned(),
        held.join(", "),
        moment(one.received_at),
    ]
}

fn standing(told: &[Standing]) -> String {
    if told.is_empty() {
        return "no flow wants it".to_owned();
    }
    told.iter().map(|one| format!("{}: {}", one.flow, one.state.word())).collect::<Vec<_>>().join(", ")
}

fn tell(out: Out, story: &ReturnStory) -> Result<(), Failure> {
    let line = &story.line;
    let tone = match line.halves {
        Halves::Both => Paint::Good,
        Halves::GoodsOnly | Halves::MoneyOnly => Paint::Bad,
        Halves::Neither => Paint::Warning,
        Halves::Void => Paint::Faint,
    };
    let title = out.paint(Paint::Strong, format!("Return {} from {}", clean(line.key.as_str()), line.from));
    out.line(format!("{title}  {}", out.paint(tone, line.halves.words())))?;
    let orders: Vec<String> = line.orders.iter().map(|order| clean(order.as_str())).collect();
    out.line(format!("  order {}", if orders.is_empty() { "not known".to_owned() } else { orders.join(", ") }))?;
    out.line("\nGoods")?;
    if line.goods.is_empty() {
        out.line("  nothing is known to come back")?;
    }
    for half in &line.goods {
        let (status, becomes) = (half.status.word(), half.disposition.word());
        out.line(format!(
            "  {} from {}: {status}, {becomes} ({})",
            clean(half.key.as_str()),
            half.connection,
            standing(&half.told)
        ))?;
        for (sku, units) in &half.units {
            out.line(format!("    {units} × {}", clean(sku.as_str())))?;
        }
    }
    out.line("\nMoney")?;
    match &line.money {
        None => out.line("  there is no credit note yet")?,
        Some(half) => {
            let (status, reason) = (half.status.word(), half.reason.word());
            out.line(format!("  {} {}: {status}, {reason} ({})", clean(&half.number), half.amount, standing(&half.told)))?;
            for refund in &half.refunds {
                let reference = refund.reference.as_deref().map_or_else(|| "no reference".to_owned(), clean);
                let (amount, tender) = (refund.amount, refund.tender.word());
                out.line(format!("    paid back {amount} by {tender}, {reference} ({})", standing(&refund.told)))?;
            }
        }
    }
    if let Some(credit) = &story.credit_note {
        for one in &credit.lines {
            let (sku, name) = (clean(one.sku.as_str()), clean(&cut(&one.name, 50)));
            out.line(format!("    {} × {sku} {name}: {} + {} tax", one.quantity, one.net, one.tax))?;
        }
    }
    for owed in &story.obligations {
        let (kind, key) = (document(owed.kind), clean(owed.key.as_str()));
        out.line(format!("\n{} {kind} {key} revision {} ({}): {}", owed.flow, owed.revision, owed.id, owed.state.word()))?;
        for step in &owed.steps {
            let at = out.paint(Paint::Faint, moment(step.at));
            out.line(format!("  {at}  {:<9} {:<12} {}", step.verb, step.outcome, clean(&step.detail)))?;
        }
    }
    for exception in &story.held {
        out.line(format!("\n{} {}: {}", out.paint(Paint::Bad, exception.id), exception.rule, clean(&exception.message)))?;
        out.line(format!("  {}", clean(&exception.remedy)))?;
    }
    Ok(())
}
