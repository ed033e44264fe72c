//! `selvedge webhooks`: whether other programs take the events that they are told; trying one.

use clap::Subcommand;
use serde_json::json;

use super::{
    About,
    out::{Done, EXIT_FAILED, Failure, Paint, clean, cut, moment, unclear},
};
use crate::{
    config::Level,
    view::webhooks::webhooks,
    wiring::{self, Access, Assembly},
};

/// Show whether other programs take the events that they are told, and try one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  selvedge webhooks list\n  selvedge webhooks test\n  selvedge webhooks test warehouse")]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// All that are configured: what they are told, what they took, what waits
    List,
    /// Send a signed test event, and say what came back
    Test {
        /// The webhook, by its name in the config; all of them, where none is named.
        webhook: Option<String>,
    },
}

/// Runs it.
///
/// # Errors
/// The config's; the store's; there is no such webhook.
pub async fn run(about: &About, args: Args) -> Done {
    let (config, problems) = about.read();
    let environment = about.environment(&config);
    let key_file = about.global.key_file.as_deref();
    let Assembly { store, tellers, problems, .. } =
        wiring::assemble(&config, problems, &environment, key_file, &about.clock, Access::Full).await;
    // A mistake elsewhere in the file does not keep a webhook from being tried.
    let ours = |path: &str| path.starts_with("webhooks") || path.starts_with("store") || path.is_empty();
    let bad: Vec<_> = problems.into_iter().filter(|problem| problem.level == Level::Bad && ours(&problem.path)).collect();
    let (Some(store), true) = (store, bad.is_empty()) else { return Err(Failure::Config(bad)) };
    let setups = wiring::webhooks(&config, &tellers);
    let out = about.out;
    match args.act {
        Act::List => {
            let views = webhooks(&store, &config.brand, &setups).await?;
            if out.json {
                out.json(&views)?;
            } else if views.is_empty() {
                out.say("No program is told of events. Add one under [webhooks.NAME]: see docs/guide/api.md.")?;
            } else {
                let rows = views.into_iter().map(|one| {
                    let row = one.standing;
                    let taken = row.as_ref().map_or(0, |row| row.taken);
                    let said =
                        row.as_ref().filter(|row| row.tries > 0).map(|row| format!("{} times not: {}", row.tries, row.said));
                    let last = row.and_then(|row| row.taken_at).map_or("never".to_owned(), moment);
                    let well = said.unwrap_or_else(|| "well".to_owned());
                    [one.webhook, one.events.join(", "), taken.to_string(), last, one.waiting.to_string(), cut(&clean(&well), 60)]
                });
                out.table(["WEBHOOK", "EVENTS", "TAKEN", "LAST", "WAITING", "HOW IT GOES"], rows)?;
            }
            Ok(0)
        }
        Act::Test { webhook } => {
            let wanted: Vec<_> = setups.iter().filter(|one| webhook.as_ref().is_none_or(|name| *name == one.name)).collect();
            if wanted.is_empty() {
                let names: Vec<&str> = setups.iter().map(|one| one.name.as_str()).collect();
                let there = match names.as_slice() {
                    [] => "There is none yet: add one under [webhooks.NAME], see docs/guide/api.md.".to_owned(),
                    names => format!("There are: {}.", names.join(", ")),
                };
                return Err(unclear(format!("there is no webhook {:?}", clean(webhook.as_deref().unwrap_or_default())), there));
            }
            let mut answers = Vec::new();
            for one in wanted {
                let result = one.test(&config.brand, "selvedge webhooks test", about.clock.now()).await;
                answers.push((one.name.clone(), result.map(|receipt| receipt.warnings.join("; "))));
            }
            let all = answers.iter().all(|(_, answer)| answer.is_ok());
            if out.json {
                let told = |(webhook, answer): &(String, Result<String, String>)| json!({ "webhook": webhook, "taken": answer.is_ok(), "said": answer.as_ref().unwrap_or_else(|said| said) });
                out.json(&answers.iter().map(told).collect::<Vec<_>>())?;
            } else {
                for (name, answer) in &answers {
                    let line = match answer {
                        Ok(said) => format!("{name}: {} It answered: {}", out.paint(Paint::Good, "taken."), clean(said)),
                        Err(said) => format!("{name}: {} {}", out.paint(Paint::Bad, "not taken."), clean(said)),
                    };
                    out.line(line)?;
                }
            }
            Ok(if all { 0 } else { EXIT_FAILED })
        }
    }
}
