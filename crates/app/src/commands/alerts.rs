//! `selvedge alerts`: who was told of what; taking one over; trying a channel.

use std::sync::Arc;

use clap::Subcommand;
use selvedge_flow::alerts::deliver::Courier;
use selvedge_model::{AlertId, alert::ChannelName, obligation::State};
use serde_json::json;

use super::{
    About,
    out::{Done, EXIT_FAILED, Failure, Paint, clean, counted, cut, failed, moment, unclear},
};
use crate::{
    config::Level,
    view::alerts::{self, MessageView},
    wiring::{self, Access, Assembly},
};

/// Show who was told of which exception, take one over, and try whether a channel works.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  selvedge alerts list\n  selvedge alerts ack alr_7\n  selvedge alerts test\n  selvedge alerts test oncall"
)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// The open ones, with who was told
    List {
        /// Those that are over, too.
        #[arg(long)]
        all: bool,
    },
    /// Say that you look after it: nobody else is told
    Ack {
        /// Its id, as alr_7.
        #[arg(required = true)]
        ids: Vec<AlertId>,
    },
    /// Send a test message the way that every message goes, and say what came back
    Test {
        /// The channel, by its name in the config; all of them, where none is named.
        channel: Option<String>,
    },
}

/// Runs it.
///
/// # Errors
/// The config's; the store's; there is no such alert or channel.
pub async fn run(about: &About, args: Args) -> Done {
    match args.act {
        Act::List { all } => list(about, all).await,
        Act::Ack { ids } => acknowledge(about, &ids).await,
        Act::Test { channel } => test(about, channel).await,
    }
}

async fn list(about: &About, all: bool) -> Done {
    let config = about.config()?;
    let store = about.store_to_read(&config).await?;
    let out = about.out;
    let view = alerts::alerts(&store, &config.brand, all, None).await?;
    if out.json {
        out.json(&view)?;
        return Ok(0);
    }
    if view.alerts.is_empty() {
        out.say(out.paint(Paint::Good, "No alert is open."))?;
        return Ok(0);
    }
    out.table(
        ["ID", "SEVERITY", "EXCEPTION", "SINCE", "TOLD", "LOOKED AFTER", "WHAT"],
        view.alerts.into_iter().map(|one| {
            let told: Vec<&str> = one.told.iter().map(ChannelName::as_str).collect();
            let after = match (one.resolved_at, &one.acknowledged_by) {
                (Some(_), _) => "over".to_owned(),
                (None, Some(by)) => by.clone(),
                (None, None) => "nobody".to_owned(),
            };
            [
                one.id.to_string(),
                one.severity.to_string(),
                one.exception.to_string(),
                moment(one.opened_at),
                told.join(", "),
                cut(&after, 40),
                cut(&one.message, 60),
            ]
        }),
    )?;
    Ok(0)
}

async fn acknowledge(about: &About, ids: &[AlertId]) -> Done {
    let config = about.config()?;
    let store = about.store_to_read(&config).await?;
    for id in ids {
        let (brand, id) = (config.brand.clone(), *id);
        store.read(move |view| view.alert(&brand, id).map(|_| ())).await.map_err(|error| match error {
            selvedge_store::StoreError::Absent(_) => failed(
                format!("there is no alert {id}"),
                "Nothing was changed.",
                "See which there are: selvedge alerts list --all",
            ),
            other => Failure::from(other),
        })?;
    }
    let taken = about.actions(&config, &store).acknowledge(ids).await?;
    if about.out.json {
        about.out.json(&json!({ "acknowledged": taken }))?;
    } else if taken.is_empty() {
        about.out.say("Nothing was changed: somebody was quicker, or it is over.")?;
    } else {
        about.out.say(format!("You look after {}. Nobody else is told.", counted(taken.len() as u64, "alert")))?;
    }
    Ok(0)
}

async fn test(about: &About, channel: Option<String>) -> Done {
    let (config, problems) = about.read();
    let environment = about.environment(&config);
    let key_file = about.global.key_file.as_deref();
    let Assembly { store, tellers, problems, .. } =
        wiring::assemble(&config, problems, &environment, key_file, &about.clock, Access::Full).await;
    // A mistake elsewhere in the file does not keep a channel from being tried.
    let about_alerts =
        |path: &str| path.starts_with("alerts") || path.starts_with("store") || path.is_empty() || path.starts_with("server");
    let bad: Vec<_> = problems.into_iter().filter(|problem| problem.level == Level::Bad && about_alerts(&problem.path)).collect();
    let (Some(store), true) = (store, bad.is_empty()) else { return Err(Failure::Config(bad)) };
    let setup = wiring::alerts(&config, &tellers);
    let known: Vec<ChannelName> = setup.channels.keys().cloned().collect();
    let wanted = match channel {
        None => known.clone(),
        Some(name) => vec![ChannelName(name)],
    };
    if let Some(strange) = wanted.iter().find(|name| !known.contains(name)) {
        let names: Vec<&str> = known.iter().map(ChannelName::as_str).collect();
        let there = if names.is_empty() {
            "There is none yet: add one under [alerts.channels].".to_owned()
        } else {
            format!("There are: {}.", names.join(", "))
        };
        return Err(unclear(format!("there is no channel {:?}", clean(strange.as_str())), there));
    }
    if wanted.is_empty() {
        return Err(unclear("there is no channel to try", "Add one under [alerts.channels]: see docs/guide/alerts.md."));
    }
    let courier = Courier { brand: config.brand.clone(), store, clock: Arc::clone(&about.clock), setup };
    let rows = courier.test(&wanted).await?;
    let arrived = rows.iter().all(|row| row.state == State::Confirmed);
    if about.out.json {
        about.out.json(&rows.iter().map(MessageView::from).collect::<Vec<_>>())?;
    } else {
        for row in &rows {
            let note = row.note.as_deref().unwrap_or("no answer");
            let line = if row.state == State::Confirmed {
                format!("{}: {} It answered: {}", row.channel, about.out.paint(Paint::Good, "taken."), clean(note))
            } else {
                format!("{}: {} {}", row.channel, about.out.paint(Paint::Bad, "not taken."), clean(note))
            };
            about.out.line(line)?;
        }
    }
    Ok(if arrived { 0 } else { EXIT_FAILED })
}
