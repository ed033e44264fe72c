//! `selvedge`: the command line of the product.

mod api;
mod audit;
mod commands;
mod config;
mod handbook;
#[cfg(test)]
mod hostile_tests;
mod metrics;
mod pack;
mod pages;
mod people;
mod redeliveries;
mod rehearse;
mod serve;
mod traces;
mod view;
mod webhooks;
mod wiring;

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
    time::Instant,
};

use clap::Parser;
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    commands::{Cli, Command, out::EXIT_USAGE},
    traces::Traces,
};

fn main() -> ExitCode {
    let started = Instant::now();
    let cli = Cli::parse();
    // A provider that is installed already is one of ours.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let traces = match start_log(&cli) {
        Ok(traces) => traces,
        Err(why) => {
            complain(&why);
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!(
                "selvedge: the machine gives no threads: {error}\n  Nothing was started.\n  See the limits of this user or container."
            ));
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(commands::execute(cli, started));
    drop(runtime);
    if let Some(traces) = traces {
        traces.end();
    }
    match done {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            let text = failure.to_string();
            if !text.is_empty() {
                complain(&text);
            }
            ExitCode::from(failure.exit())
        }
    }
}

/// To standard error; if nobody listens there either, so be it.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// What never goes to the log, whatever was asked for: this one writes addresses down, and some of ours prove somebody.
const NEVER_LOGGED: &str = "tower_http::csrf=off";

/// Starts the log, and what takes traces, where somebody wants them of an engine.
fn start_log(cli: &Cli) -> Result<Option<Traces>, String> {
    let wanted = cli.global.log.as_deref().unwrap_or_else(|| cli.command.log(cli.global.quiet));
    let filter = EnvFilter::try_new(format!("{wanted},{NEVER_LOGGED}")).map_err(|error| {
        format!("selvedge: {wanted:?} is no level for the log: {error}\n  Nothing was started.\n  Write error, warn, info or debug, or filters such as selvedge_flow=debug.")
    })?;
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let traces = match &cli.command {
        Command::Run(_) | Command::Demo(_) => Traces::asked()?,
        _ => None,
    };
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colour).with_filter(filter);
    // A second start of the log would be a test's; the first goes on.
    let _ = tracing_subscriber::registry().with(log).with(traces.as_ref().map(Traces::layer)).try_init();
    Ok(traces)
}
