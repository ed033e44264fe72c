//! `selvedge check --mappings`: every value that the shop can send, against the mappings and the targets' own lists.

use std::time::Duration;

use selvedge_flow::Engine;
use selvedge_model::gate::preflight::Idle;
use serde::Serialize;

use super::{
    About,
    check::{Line, Stands, plain, print},
    out::{Done, EXIT_FAILED, Failure, counted},
};
use crate::{
    config::ConfigProblem,
    view::PreflightView,
    wiring::{self, LockError},
};

#[derive(Serialize)]
struct Report<'a> {
    ok: bool,
    findings: &'a [Line],
    preflight: &'a [PreflightView],
}

/// Runs it. `offline` makes no call and keeps nothing: values come from the orders in the store.
///
/// # Errors
/// A config that is not right; the store's. What is missing is a finding.
pub(super) async fn run(about: &About, offline: bool) -> Done {
    let (config, problems) = about.read();
    if !config.file.is_file() {
        return Err(Failure::Config(problems));
    }
    let environment = about.environment(&config);
    let clock = std::sync::Arc::clone(&about.clock);
    let opened = wiring::open(&config, problems, &environment, about.global.key_file.as_deref(), clock).await;
    let setup = opened.map_err(Failure::Config)?.setup;
    let engine = Engine::new(setup).map_err(|miswired| {
        let problem = |wrong: selvedge_flow::Miswired| -> ConfigProblem {
            config.problem(
                crate::config::Level::Bad,
                "flows",
                wrong.to_string(),
                "Name connections that offer what the flow needs.",
            )
        };
        Failure::Config(miswired.into_iter().map(problem).collect())
    })?;
    let mut lines = Vec::new();
    if !offline {
        lines.extend(refresh(&engine, &config.store_url).await?);
    }
    let bar = about.out.progress(1, "asking what can be sent");
    let found: Vec<PreflightView> = engine.preflight(!offline, !offline).await?.into_iter().map(PreflightView::from).collect();
    bar.finish_and_clear();
    if found.is_empty() {
        lines.push(plain(
            Stands::Warning,
            "mappings",
            "no orders flow, so there is nothing to look up".to_owned(),
            "Add [flows.orders].",
        ));
    }
    lines.extend(found.iter().flat_map(told));
    let ok = !lines.iter().any(|line| line.level == Stands::Bad);
    if about.out.json {
        about.out.json(&Report { ok, findings: &lines, preflight: &found })?;
    } else {
        print(about.out, &lines)?;
    }
    Ok(if ok { 0 } else { EXIT_FAILED })
}

/// Reads the targets' lists anew, unless an engine that runs beside this does: two that read one list at a time would each
/// take the other's entries for gone.
async fn refresh(engine: &Engine, store_url: &str) -> Result<Vec<Line>, Failure> {
    let about = "lists";
    let lock = match wiring::lock(store_url, Duration::ZERO).await {
        Ok(lock) => lock,
        Err(error @ (LockError::Taken { .. } | LockError::Unusable { .. })) => {
            let message = format!("the lists of the targets are taken as they were last read: {error}");
            return Ok(vec![plain(Stands::Good, about, message, "")]);
        }
    };
    let unread = engine.reread_lists().await?;
    drop(lock);
    let line = |(connection, table)| {
        plain(
            Stands::Warning,
            about,
            format!("the list of {table} at {connection} could not be read; the old one stands in for it"),
            "See what selvedge check says about the connection.",
        )
    };
    Ok(unread.into_iter().map(line).collect())
}

fn told(view: &PreflightView) -> Vec<Line> {
    let found = &view.found;
    let about = format!("{}: {} → {}", found.flow, found.from, found.to);
    let line = |level, message: String, remedy: String| plain(level, &about, message, remedy);
    let mut lines = vec![line(
        Stands::Good,
        format!(
            "{} looked up for what can be sent ({}) and {} of the last {} days",
            counted(found.lookups, "value"),
            view.values(),
            counted(found.orders, "order"),
            found.days
        ),
        String::new(),
    )];
    for (list, why) in &found.unlisted {
        let message =
            format!("{} could not be listed: {why}. Those of recent orders were looked up in their place", list.words());
        // What is offered and was not told may be had; what nobody offers may not.
        let remedy = match found.partial {
            true => format!("See what selvedge check says about {}, and the page of its system for the permissions.", found.from),
            false => String::new(),
        };
        lines.push(line(Stands::Warning, message, remedy));
    }
    for gap in &view.gaps {
        let message = format!("{}: {}", gap.message, gap.carried_words);
        lines.push(line(Stands::Bad, message, gap.remedy.clone()));
    }
    let entry = |idle: &Idle| format!("{} {} → {}", idle.table, idle.key, idle.value);
    for idle in &found.dangling {
        let message = format!("{} points at what {} does not have, or has no longer in use", entry(idle), found.to);
        lines.push(line(
            Stands::Bad,
            message,
            format!("Map it anew, or take it out: selvedge mappings unset {} '{}'", idle.table, idle.key),
        ));
    }
    for idle in &found.unused {
        let gone = if idle.stands == Some(false) { ", and what it points at is gone or inactive" } else { "" };
        let message = format!("no value that {} can send asks for {}{gone}", found.from, entry(idle));
        lines.push(line(
            Stands::Warning,
            message,
            format!("Take it out, if it is not for later: selvedge mappings unset {} '{}'", idle.table, idle.key),
        ));
    }
    if view.gaps.is_empty() {
        lines.push(line(Stands::Good, "every value that can be sent has its answer".to_owned(), String::new()));
    }
    lines
}
