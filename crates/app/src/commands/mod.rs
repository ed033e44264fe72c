//! The command line: one file per noun. `--json` on every read; exit code 0 for done, 1 for failed, 2 for
//! a command or a config that is not right.

pub mod alerts;
pub mod audit;
pub mod audit_log;
pub mod backup;
pub mod balance;
pub mod check;
pub mod close;
pub mod config;
pub mod demo;
pub mod exceptions;
pub mod flows;
pub mod handbook;
pub mod init;
pub mod mappings;
pub mod orders;
pub mod out;
pub mod people;
mod preflight;
pub mod privacy;
pub mod reconcile;
pub mod replay;
pub mod returns;
pub mod routes;
pub mod run;
pub mod secrets;
mod shadow;
pub mod stock;
pub mod webhooks;

use std::{path::PathBuf, sync::Arc, time::Instant};

use clap::{Parser, Subcommand};
use selvedge_connector::Clock;
use selvedge_flow::{actions::Actions, clock::SystemClock};
use selvedge_store::Store;

use self::out::{Done, Failure, Out, failed};
use crate::{
    config::{Config, ConfigProblem, Level, secrets::Environment},
    wiring,
};

/// Moves a brand's orders and stock between systems, and proves that what it moved is right.
#[derive(Debug, Parser)]
#[command(
    name = "selvedge",
    version,
    propagate_version = true,
    max_term_width = 110,
    after_help = "Start here:\n  selvedge demo      everything up against bundled simulators; open the address that it prints\n  selvedge init      asks, writes a commented config, checks the credentials live\n  selvedge check     everything that is wrong at once, with file, line and remedy\n  selvedge run       the engine and the page\n\nExit codes: 0 done, 1 failed, 2 the command or the config is not right."
)]
pub struct Cli {
    /// What applies to every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What applies to every command.
#[derive(Clone, Debug, clap::Args)]
pub struct Global {
    /// The brand's config.
    #[arg(long, global = true, value_name = "FILE", env = "SELVEDGE_CONFIG", default_value = "selvedge.toml")]
    pub config: PathBuf,
    /// Answer in JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// Say only what was asked for.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// What goes to the log on standard error: error, warn, info, debug, or filters such as selvedge_flow=debug.
    /// [default: info for run, warn otherwise]
    #[arg(long, global = true, value_name = "LEVEL", env = "SELVEDGE_LOG")]
    pub log: Option<String>,
    /// The file with the key that seals stored secrets; SELVEDGE_KEY goes first.
    #[arg(long, global = true, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bring everything up against bundled simulators
    Demo(demo::DemoArgs),
    /// The simulated systems, as the demo starts them
    #[command(hide = true)]
    World(demo::WorldArgs),
    /// Ask, write a commented config, check the credentials live
    Init(init::Args),
    /// Say everything that is wrong at once, with file, line and remedy
    Check(check::Args),
    /// Run the engine and the page until Ctrl-C
    Run(run::Args),
    /// Show the flows: what is where, and how far reading is proven; what those in shadow mode found, and take it over
    Flows(flows::Args),
    /// Run recorded documents through another config or other mappings, and deliver again what that changes
    Replay(replay::Args),
    /// Find orders and show the whole story of one
    Orders(orders::Args),
    /// Find returns and credit notes, and show both halves of one
    Returns(returns::Args),
    /// Show, release and dismiss what needs a person
    Exceptions(exceptions::Args),
    /// Show who was told of which exception, take one over, try a channel
    Alerts(alerts::Args),
    /// Show whether other programs take the events that they are told, and try one
    Webhooks(webhooks::Args),
    /// List, set, import and export what the targets call things
    Mappings(mappings::Args),
    /// See which warehouse ships what; try other routes on past orders
    Routes(routes::Args),
    /// Print the equation per flow: captured = confirmed + compared + in flight + held + excluded + superseded + dismissed
    Balance(balance::Args),
    /// Close a month: see whether it adds up, sign it, and verify what was signed
    Close(close::Args),
    /// See how fresh stock is and why each figure is what it is; play recorded days again under other settings
    Stock(stock::Args),
    /// Print how this brand is set up and who looks at what
    Handbook(handbook::Args),
    /// Say who may sign in and what they may do
    People(people::Args),
    /// Keep secrets sealed in the store
    Secrets(secrets::Args),
    /// Print what can be configured
    Config(config::Args),
    /// See whether both ends agree, read them whole now, list what differs, and repair what the ledger can settle
    Reconcile(reconcile::Args),
    /// Read two ends that somebody else keeps in step, and report what is missing, doubled, wrong or late. Writes nothing
    Audit(audit::Args),
    /// List what people did, keep it elsewhere, and verify that it is whole
    AuditLog(audit_log::Args),
    /// Copy the store while it is in use, prove that the copy is whole, and put one back
    Backup(backup::Args),
    /// See what is kept of a person, and erase it while every proof stays valid
    Privacy(privacy::Args),
}

impl Command {
    /// What the log shows unless told otherwise.
    pub fn log(&self, quiet: bool) -> &'static str {
        match self {
            _ if quiet => "error",
            Command::Run(_) => "warn,selvedge=info",
            _ => "warn",
        }
    }
}

/// Does it. `started` is when the process came to life: the demo reports how long it took to be ready.
///
/// # Errors
/// Why it could not be done.
pub async fn execute(cli: Cli, started: Instant) -> Done {
    let about =
        About { global: cli.global.clone(), out: Out::new(cli.global.json, cli.global.quiet), clock: Arc::new(SystemClock) };
    match cli.command {
        Command::Demo(args) => Ok(demo::run(args, started).await.map(|()| 0)?),
        Command::World(args) => Ok(demo::child(args).await.map(|()| 0)?),
        Command::Init(args) => init::run(&about, args).await,
        Command::Check(args) => check::run(&about, &args).await,
        Command::Run(args) => run::run(&about, args).await,
        Command::Flows(args) => flows::run(&about, args).await,
        Command::Replay(args) => replay::run(&about, args).await,
        Command::Orders(args) => orders::run(&about, args).await,
        Command::Returns(args) => returns::run(&about, args).await,
        Command::Exceptions(args) => exceptions::run(&about, args).await,
        Command::Alerts(args) => alerts::run(&about, args).await,
        Command::Webhooks(args) => webhooks::run(&about, args).await,
        Command::Mappings(args) => mappings::run(&about, args).await,
        Command::Routes(args) => routes::run(&about, args).await,
        Command::Balance(args) => balance::run(&about, &args).await,
        Command::Close(args) => close::run(&about, args).await,
        Command::Stock(args) => stock::run(&about, args).await,
        Command::Handbook(args) => handbook::run(&about, args).await,
        Command::People(args) => people::run(&about, args).await,
        Command::Secrets(args) => secrets::run(&about, args).await,
        Command::Config(args) => config::run(&about, &args),
        Command::Reconcile(args) => reconcile::run(&about, args).await,
        Command::Audit(args) => audit::run(&about, args).await,
        Command::AuditLog(args) => audit_log::run(&about, args).await,
        Command::Backup(args) => backup::run(&about, args).await,
        Command::Privacy(args) => privacy::run(&about, args).await,
    }
}

/// What a command stands on.
pub struct About {
    /// What applies to every command.
    pub global: Global,
    /// Where it answers.
    pub out: Out,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl About {
    /// The config, with what is wrong with it.
    pub fn read(&self) -> (Config, Vec<ConfigProblem>) {
        crate::config::read(&self.global.config)
    }

    /// The config, for a command that needs no secret and makes no call.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn config(&self) -> Result<Config, Failure> {
        let (config, problems) = self.read();
        if problems.iter().any(|problem| problem.level == Level::Bad) { Err(Failure::Config(problems)) } else { Ok(config) }
    }

    /// What secrets are looked up in.
    pub fn environment(&self, config: &Config) -> Environment {
        Environment::beside(config.folder())
    }

    /// The store, made if there is none.
    ///
    /// # Errors
    /// It does not open.
    pub async fn store(&self, config: &Config) -> Result<Store, Failure> {
        Store::open(&config.store_url).await.map_err(|error| {
            failed(
                format!("the store {} cannot be opened: {error}", config.store_url),
                "Nothing was read or changed.",
                crate::wiring::store_remedy(&error, &config.store_url),
            )
        })
    }

    /// The store, for a command that only reads: one that is not there is not made.
    ///
    /// # Errors
    /// It does not open, or is not there.
    pub async fn store_to_read(&self, config: &Config) -> Result<Store, Failure> {
        if !wiring::is_there(&config.store_url) {
            return Err(failed(
                format!("there is no store at {} yet", config.store_url),
                "There is nothing to show.",
                "selvedge run makes it and fills it.",
            ));
        }
        self.store(config).await
    }

    /// What this person may do.
    pub fn actions(&self, config: &Config, store: &Store) -> Actions {
        Actions { store: store.clone(), brand: config.brand.clone(), clock: Arc::clone(&self.clock), actor: actor().into() }
    }
}

/// Who acts, as the audit trail names them.
pub fn actor() -> String {
    let name = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()));
    format!("{} (cli)", out::clean(&name.unwrap_or_else(|| "someone".to_owned())))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn commands_read_as_documented() {
        for line in [
            "demo",
            "demo --headless --data DIR --limit 5 --seed 2 --faults rough --store x.db --until-settled --export OUT --report r.json",
            "demo --orders 10 --pace 2.5 --listen 127.0.0.1:0 --parallel 3 --latency-ms 50",
            "init --non-interactive --config a.toml",
            "--config a.toml check --offline --json",
            "check --mappings --json",
            "check --mappings --offline",
            "run --headless",
            "flows --json",
            "flows shadow orders --limit 5 --json",
            "flows adopt orders",
            "flows adopt orders --yes",
            "flows catch-up orders --yes",
            "replay --since 7d --with candidate.toml",
            "replay --since 7d --flow orders --with candidate.toml --mappings m.csv --limit 5 --json",
            "replay --since 2026-01-01T00:00:00Z --mappings m.csv",
            "orders show 1042",
            "orders list --search anna --limit 5",
            "exceptions list --closed --text refused --limit 5",
            "exceptions list --rule mapping. --person Anna --after 5.3",
            "exceptions preview exc_3",
            "exceptions release exc_3 --canary",
            "exceptions assign exc_3 --team finance --person Anna --note ours?",
            "exceptions comment exc_3 asked",
            "exceptions snooze exc_3 --until 3d --reason Monday",
            "exceptions show exc_3 --json",
            "exceptions release exc_3",
            "exceptions dismiss exc_3 --reason tested",
            "alerts list --all --json",
            "alerts ack alr_7 alr_8",
            "alerts test",
            "alerts test oncall --json",
            "webhooks list --json",
            "webhooks test",
            "webhooks test bi",
            "mappings list --table item",
            "mappings set shipping_item market=2,method=express 1205",
            "mappings set tax_code country=SE,rate=0 -8",
            "mappings set item sku=1 98 --connection erp",
            "mappings unset item sku=1",
            "mappings history",
            "mappings import a.csv",
            "mappings export",
            "mappings export a.csv",
            "routes",
            "routes list --json",
            "routes dry-run",
            "routes dry-run --with c.toml --days 90 --limit 5 --json",
            "balance --since 24h --until 2026-01-01T00:00:00Z",
            "close list",
            "close show 2026-11 --json",
            "close show 2026-P11 --entity sweden",
            "close sign 2026-11 --out packs --open 3",
            "close restate 2026-11 --reason late",
            "close verify packs/a packs/b --json",
            "close export 2026-11",
            "close export 2026-11 --what trial-balance",
            "stock status --json",
            "stock list --warehouse 2 --state held --search 15056 --limit 5",
            "stock explain 15056BL",
            "stock drift",
            "stock rehearse --json",
            "stock rehearse --data DIR",
            "stock rehearse --orders o.csv --movements m.csv --opening s.csv --time-zone Europe/Stockholm",
            "stock rehearse --interval 30s,5m --buffer none --buffer quantile=0.999 --outage 2h --quantity on_hand --naive",
            "handbook --out h.md",
            "people list --json",
            "people setup",
            "people invite anna@example.com --name Anna --role operator,finance",
            "people role anna@example.com admin",
            "people disable anna@example.com",
            "people enable anna@example.com",
            "people reset anna@example.com --forget-app",
            "people sessions anna@example.com --revoke",
            "people tokens anna@example.com --revoke tok_3",
            "secrets set shop-token --key-file k",
            "secrets list",
            "secrets new-key",
            "config schema",
            "reconcile status --json",
            "reconcile now --pair shop-erp --since 30d",
            "reconcile list --why sent_twice --kind order --limit 5",
            "reconcile show dif_3",
            "reconcile repair --pair shop-erp --limit 5",
            "audit --since 30d --out report",
            "audit --watch 15m --store audit.db",
            "audit-log list --limit 3",
            "audit-log verify -q",
            "audit-log verify acts.jsonl --json",
            "audit-log export acts.jsonl",
            "backup make a.db",
            "backup verify a.db --json",
            "backup restore a.db --replace",
            "privacy show --order 1042",
            "privacy erase --email ada@example.com --open-too --yes",
            "secrets rotate --new-key k2",
        ] {
            let words = std::iter::once("selvedge").chain(line.split(' '));
            if let Err(error) = Cli::try_parse_from(words) {
                panic!("{line}: {error}");
            }
        }
        for line in [
            "",
            "orders show",
            "exceptions show nonsense",
            "exceptions dismiss exc_3",
            "alerts ack",
            "alerts ack everything",
            "balance --since yesterday",
            "demo --data D --orders 5",
            "close sign 2026-11 --out packs",
            "close sign november --out packs --open 0",
            "close restate 2026-11",
            "close verify",
            "routes dry-run --days 0",
            "routes --with c.toml",
            "replay --since 7d",
            "replay --with c.toml",
            "replay --since 7d --with c.toml --canary 5",
            "replay --since 7d --with c.toml --deliver --canary 0",
            "stock rehearse --orders o.csv",
            "stock rehearse --data D --orders o.csv --opening s.csv",
            "stock rehearse --buffer two",
            "secrets set NAME VALUE",
            "people invite anna@example.com --name Anna",
            "people role anna@example.com king",
            "people reset",
            "people disable nobody",
            "run --colour",
            "audit-log verify --anchor 3",
            "backup restore",
            "privacy erase",
            "privacy erase --email a@b --order 1",
            "secrets rotate",
        ] {
            let words = std::iter::once("selvedge").chain(line.split(' ').filter(|word| !word.is_empty()));
            assert!(Cli::try_parse_from(words).is_err(), "{line}");
        }
    }
}
