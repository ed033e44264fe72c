//! `selvedge privacy`: what is kept of a person, and forgetting them.

use clap::Subcommand;
use selvedge_model::RecordKey;
use selvedge_store::privacy::{Erased, Person, Traces};
use serde_json::json;

use super::{
    About,
    out::{Done, EXIT_FAILED, counted, failed, unclear},
};

/// See what is kept of a person, and erase it while every proof stays valid.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Amounts, items, numbers, times and digests stay: the books need them, and they name nobody.\nErase the person in the shop and in the other systems first: what they send again is news.\n\nExamples:\n  selvedge privacy show --email ada@example.com\n  selvedge privacy erase --email ada@example.com\n  selvedge privacy erase --email ada@example.com --yes"
)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// What is kept of a person
    Show(Whose),
    /// Erase it; shows what it would do, unless --yes
    Erase {
        #[command(flatten)]
        whose: Whose,
        /// Also what is still on its way or held: it cannot be delivered any more.
        #[arg(long)]
        open_too: bool,
        /// Do it. It cannot be undone.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Whose {
    /// Everything of whoever has this e-mail address.
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// Only what belongs to this order.
    #[arg(long, value_name = "NUMBER")]
    order: Option<String>,
}

impl Whose {
    fn person(&self) -> Result<Person, super::out::Failure> {
        match (&self.email, &self.order) {
            (Some(email), _) if email.contains('@') && email.trim().len() > 3 => Ok(Person::Email(email.trim().to_owned())),
            (None, Some(order)) if !order.trim().is_empty() => Ok(Person::Order(RecordKey::new(order.trim()))),
            (Some(_), _) => Err(unclear("this is no e-mail address", "Give the whole address, as the shop has it.")),
            _ => Err(unclear("this is no order number", "Give the number as the shop shows it.")),
        }
    }
}

/// Runs it.
///
/// # Errors
/// The store's; nothing is kept of this person; something is still on its way.
pub async fn run(about: &About, args: Args) -> Done {
    let config = about.config()?;
    let store = about.store_to_read(&config).await?;
    let (whose, erase) = match &args.act {
        Act::Show(whose) => (whose, None),
        Act::Erase { whose, open_too, yes } => (whose, Some((*open_too, *yes))),
    };
    let person = whose.person()?;
    let (brand, asked) = (config.brand.clone(), person.clone());
    let traces = store.read(move |view| view.traces(&brand, &asked)).await?;
    let Some((open_too, true)) = erase else {
        return show(about, &traces, erase.is_some());
    };
    match about.actions(&config, &store).erase_person(person, open_too).await? {
        Err(traces) => Err(failed(
            format!(
                "{} of this person {} still on the way or held: {}",
                counted(traces.open.len() as u64, "record"),
                if traces.open.len() == 1 { "is" } else { "are" },
                named(&traces)
            ),
            "Its records were left as they are: without a name and an address it could not be delivered.",
            "Wait until it is settled, dismiss it, or add --open-too.",
        )),
        Ok(erased) if erased == Erased::default() => Err(failed(
            "nothing is kept of this person",
            "Nothing was changed.",
            "See selvedge privacy show: the address has to be written as the shop has it.",
        )),
        Ok(erased) => {
            if about.out.json {
                about.out.json(&json!({ "erased": erased }))?;
            } else {
                about.out.say(format!(
                    "Erased: the person in {} and {}, the bytes of {} and {}. Numbers, amounts, times and digests stay, so every proof is valid as before.\nCopies of the store that were made before still hold them: let those expire.",
                    counted(erased.records, "revision"),
                    counted(erased.texts, "sentence"),
                    counted(erased.documents, "document"),
                    if erased.webhooks == 1 { "1 webhook delivery".to_owned() } else { format!("{} webhook deliveries", erased.webhooks) },
                ))?;
            }
            Ok(0)
        }
    }
}

fn named(traces: &Traces) -> String {
    let some = traces.open.iter().take(5).map(|open| match &open.id {
        Some(id) => format!("{} of {} ({id}, {})", super::out::clean(open.key.as_str()), open.flow, open.state.word()),
        None => format!("a document {} that is not decoded yet", super::out::clean(open.key.as_str())),
    });
    let more = traces.open.len().saturating_sub(5);
    let mut some: Vec<String> = some.collect();
    some.extend((more > 0).then(|| format!("{more} more")));
    some.join(", ")
}

fn show(about: &About, traces: &Traces, erase: bool) -> Done {
    let orders: Vec<&str> = traces.orders.iter().map(RecordKey::as_str).collect();
    if about.out.json {
        about.out.json(&json!({
            "orders": orders,
            "revisions": traces.records.len(),
            "open": traces.open.iter().map(|open| json!({ "id": open.id.map(|id| id.to_string()), "flow": open.flow, "key": open.key, "state": open.state })).collect::<Vec<_>>(),
        }))?;
    } else if traces.records.is_empty() {
        about.out.line("Nothing is kept of this person.")?;
    } else {
        about.out.line(format!(
            "{} in {}: {}",
            counted(traces.records.len() as u64, "revision"),
            counted(orders.len() as u64, "order"),
            super::out::clean(&orders.iter().take(20).copied().collect::<Vec<_>>().join(", ")),
        ))?;
        if !traces.open.is_empty() {
            about.out.line(format!("Not settled: {}", named(traces)))?;
        }
        if erase {
            about.out.say("Nothing was erased. Add --yes to erase it; it cannot be undone.")?;
        }
    }
    Ok(if traces.records.is_empty() { EXIT_FAILED } else { 0 })
}
