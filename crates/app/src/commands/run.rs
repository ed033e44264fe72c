//! `selvedge run`: the engine and the page, until told to stop.

use std::{path::Path, sync::Arc};

use selvedge_connector::Secret;
use selvedge_flow::{Engine, privacy::Keeper};
use selvedge_store::Store;
use tokio::{net::TcpListener, sync::watch};

use super::{
    About, actor,
    out::{Done, Failure, failed},
};
use crate::{
    config::{
        Config, Level,
        people::Oidc,
        secrets::{self, Environment},
    },
    people::{self, Door, sso::Sso},
    serve::{self, App},
    wiring::{self, Digest, LockError},
};

/// Run the engine and the page until Ctrl-C or SIGTERM; what is under way is finished first.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "One process works on a store at a time; a second one is refused. kill -9 and power loss are safe at any point.\n\nExamples:\n  selvedge run\n  selvedge run --config nordvik.toml --log debug\n  selvedge run --headless"
)]
pub struct Args {
    /// Without page, API and webhooks: nothing listens, news is read from the source's queue and by polls.
    #[arg(long)]
    headless: bool,
}

/// Runs it.
///
/// # Errors
/// The config's; the store is held by another process; the address is taken; the store's.
pub async fn run(about: &About, args: Args) -> Done {
    let digest = Digest::of(&about.global.config);
    let (config, problems) = about.read();
    if problems.iter().any(|problem| problem.level == Level::Bad) {
        // What the text alone shows is not all: secrets and the connectors' own settings are looked at, too.
        let environment = about.environment(&config);
        let clock = Arc::clone(&about.clock);
        let all = if config.file.is_file() {
            wiring::assemble(&config, problems, &environment, about.global.key_file.as_deref(), &clock, wiring::Access::Full)
                .await
                .problems
        } else {
            problems
        };
        return Err(Failure::Config(all));
    }
    let lock = wiring::lock(&config.store_url, wiring::LOCK_PATIENCE).await.map_err(|error| held(&config, &error))?;
    lock.note(&digest)?;
    let environment = about.environment(&config);
    let opened = wiring::open(&config, problems, &environment, about.global.key_file.as_deref(), Arc::clone(&about.clock))
        .await
        .map_err(Failure::Config)?;
    for warning in &opened.warnings {
        tracing::warn!("{warning}");
    }
    let engine = Engine::new(opened.setup).map_err(|miswired| {
        Failure::Config(
            miswired
                .into_iter()
                .map(|wrong| {
                    config.problem(Level::Bad, "flows", wrong.to_string(), "Name connections that offer what the flow needs.")
                })
                .collect(),
        )
    })?;
    let engine = Arc::new(engine);
    let key_file = about.global.key_file.as_deref();
    let sso = match &config.oidc {
        Some(oidc) => Some(sso(&config, oidc, &environment, key_file, &engine.setup().store, about).await?),
        None => None,
    };
    let named = key_file.is_some() || config.key_file.is_some() || !config.key_command.is_empty();
    let key = match secrets::sealing_key(&config, &environment, key_file).await {
        Ok(key) => Some(Arc::new(key)),
        // Without one nobody can use an authenticator app; that is said where they would set one up.
        Err(_) if !named && environment.get(secrets::KEY_VARIABLE).is_none() => None,
        Err((why, remedy)) => {
            tracing::warn!("{why}, so nobody can sign in by an authenticator app, only by a recovery code. {remedy}");
            None
        }
    };
    let door = Door {
        sso,
        key,
        url: config.url.clone(),
        proxies: config.proxies.clone(),
        metrics_open: config.metrics_open,
        ..Door::default()
    };
    let listener = if args.headless { None } else { Some(listen(&config).await?) };
    let (stop, stopping) = watch::channel(false);
    let signals = tokio::spawn(signals(stop));
    let url = match &listener {
        Some(listener) => Some(config.url.clone().unwrap_or(format!("http://{}", listener.local_addr()?))),
        None => None,
    };
    about.out.say(match &url {
        Some(url) => format!("Selvedge runs {}: {url}\nCtrl-C stops it.", config.brand),
        None => format!("Selvedge runs {} without a page. Ctrl-C stops it.", config.brand),
    })?;
    let store = &engine.setup().store;
    wiring::tell_config(store, &config.brand, &digest, &config.file, &actor(), about.clock.now()).await?;
    if let Some(url) = &url
        && let Some(link) = people::setup_link(store, &config.brand, &actor(), about.clock.now()).await?
    {
        // On standard output alone, and asked for or not: without it nobody comes in, and the log is kept.
        about.out.line(format!(
            "\nNobody can sign in yet. Whoever opens this first names the first admin; it is good for an hour, once:\n  {url}/setup/{}",
            link.text()
        ))?;
    }
    let served = async {
        match listener {
            None => Ok(()),
            Some(listener) => {
                let app = Arc::new(App::new(Arc::clone(&engine)).with_config(&config).with_door(door));
                serve::serve(listener, serve::router(app), stopped(stopping.clone())).await
            }
        }
    };
    // Whichever ends first takes the other along: an engine without its page, or a page without its
    // engine, would look alive and not be.
    let (ended, ends) = watch::channel(false);
    let moved = Arc::clone(&engine).run(either(stopped(stopping.clone()), stopped(ends.clone())));
    let served = async {
        let served = served.await;
        if served.is_err() {
            let _ = ended.send(true);
        }
        served
    };
    let setup = engine.setup();
    let keeper = Keeper::new(setup.store.clone(), setup.brand.clone(), Arc::clone(&setup.clock), config.retention.into());
    let kept = keeper.run(either(stopped(stopping.clone()), stopped(ends.clone())));
    let moved = async {
        let moved = moved.await;
        if moved.is_err() {
            let _ = ended.send(true);
        }
        moved
    };
    let (moved, served, ()) = tokio::join!(moved, served, kept);
    signals.abort();
    served?;
    moved.map_err(|error| {
        failed(
            format!("the engine stopped: {error}"),
            "What is stored is safe; nothing moves until it is started again.",
            "See whether the disk is full or the store damaged.",
        )
    })?;
    if let Err(error) = engine.setup().store.fold().await {
        tracing::warn!(%error, "the log of the store was not folded into its file; a back-up has to take both");
    }
    about.out.say("Stopped. What was under way is finished or will be looked up at the next start.")?;
    Ok(0)
}

/// Single sign-on, with its secret. No call is made before somebody uses it.
async fn sso(
    config: &Config,
    oidc: &Oidc,
    environment: &Environment,
    key_file: Option<&Path>,
    store: &Store,
    about: &About,
) -> Result<Sso, Failure> {
    let secret = match &oidc.client_secret {
        None => None,
        Some(reference) => {
            let found = secrets::fetch_one(config, environment, key_file, Some(store), reference).await;
            let text = found.map_err(|(message, remedy)| {
                Failure::Config(vec![config.problem(Level::Bad, "people.oidc.client_secret", message, remedy)])
            })?;
            Some(Secret::new(text.trim_end_matches(['\r', '\n'])))
        }
    };
    let url = config.url.clone().unwrap_or_default();
    Ok(Sso::new(oidc.clone(), secret, &url, Arc::clone(&about.clock)))
}

fn held(config: &Config, error: &LockError) -> Failure {
    let next = match error {
        LockError::Taken { .. } => {
            "Stop it first, or give this brand a store of its own in [store] of its config. Reading commands work beside it."
                .to_owned()
        }
        LockError::Unusable { .. } => format!("See whether the folder of {} exists and may be written to.", config.store_url),
    };
    failed(error.to_string(), "Nothing was started: two engines on one store would do the same work twice.", next)
}

async fn listen(config: &Config) -> Result<TcpListener, Failure> {
    TcpListener::bind(config.listen).await.map_err(|error| {
        failed(
            format!("{} cannot be listened on: {error}", config.listen),
            "Nothing was started.",
            format!(
                "Stop what uses it, write another address into [server] listen of {}, or use --headless.",
                config.file.display()
            ),
        )
    })
}

/// Resolves when the value turns true; never, if nobody can turn it any more.
async fn stopped(mut signal: watch::Receiver<bool>) {
    if signal.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn either(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
    tokio::select! {
        () = one => {}
        () = other => {}
    }
}

/// The first Ctrl-C or SIGTERM asks for a clean end; the second does not wait for it.
async fn signals(stop: watch::Sender<bool>) {
    asked().await;
    tracing::info!("stopping; what is under way is finished first");
    // Nobody listening means that everything has ended.
    let _ = stop.send(true);
    asked().await;
    std::process::exit(130);
}

async fn asked() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut term) = signal(SignalKind::terminate()) else { return std::future::pending().await };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = term.recv() => {}
        }
    }
    #[cfg(not(unix))]
    {
        let _ = tokio::signal::ctrl_c().await;
    }
}
