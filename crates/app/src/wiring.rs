//! A config becomes an engine: store, connections, captures, flows.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{File, OpenOptions},
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use selvedge_connector::{Clock, Connection, OpenContext};
use selvedge_flow::{
    AlertSetup, CaptureSetup, Channel, FlowSetup, PickSetup, Preparation, PulseSetup, Setup, ShipmentPolicy, WebhookSetup,
};
use selvedge_model::{ConnectionName, FlowName, Kind, alert::ChannelName};
use selvedge_store::{Store, StoreError, View};

use crate::{
    config::{
        CaptureSettings, Config, ConfigProblem, ConnectionConfig, FlowKind, FlowMode, FlowSettings, Level,
        document::below,
        in_order,
        secrets::{self, Environment},
        stock::StockSettings,
        words::{Moment, Span},
    },
    view::Ends,
};

/// Writes under way at once where nothing says otherwise.
const PARALLEL: usize = 4;
/// How often the queue of news is read.
const FEED_EVERY: Duration = Duration::from_secs(5);
/// How often changes are listed beside a queue of news, and where there is none.
const POLL_BESIDE_FEED: Duration = Duration::from_secs(15 * 60);
const POLL_ALONE: Duration = Duration::from_secs(60);
/// How often the monitor outside is told that we live.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(60);

/// What may be done at the systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everything that the config says.
    Full,
    /// Reading: no connection lets a call out that would change something.
    ReadOnly,
}

/// All that a config came to; what is wrong with it is beside it.
pub struct Assembly {
    /// The store, if it opened.
    pub store: Option<Store>,
    /// The connections that opened. No call was made.
    pub connections: BTreeMap<ConnectionName, Connection>,
    /// The channels, the webhooks and the heartbeat that opened.
    pub tellers: Tellers,
    /// Everything that is wrong, as a person reads the file.
    pub problems: Vec<ConfigProblem>,
}

/// Who tells people, other programs, and a monitor outside.
#[derive(Clone, Default)]
pub struct Tellers {
    /// The channels.
    pub channels: BTreeMap<ChannelName, Connection>,
    /// The programs that are told of events.
    pub webhooks: BTreeMap<String, Connection>,
    /// The sign of life.
    pub heartbeat: Option<Connection>,
}

/// An engine's parts.
pub struct Opened {
    /// What the engine is made of.
    pub setup: Setup,
    /// What someone should know, though it works.
    pub warnings: Vec<ConfigProblem>,
}

/// Opens everything that can be opened. No call leaves.
///
/// # Errors
/// None: what cannot be opened is among the problems.
pub async fn assemble(
    config: &Config,
    found: Vec<ConfigProblem>,
    environment: &Environment,
    key_file: Option<&Path>,
    clock: &Arc<dyn Clock>,
    access: Access,
) -> Assembly {
    let mut problems = found;
    // A config with mistakes brings no store into being; one that is there is looked into all the same.
    let bad = |prefix: &str| problems.iter().any(|problem| problem.level == Level::Bad && problem.path.starts_with(prefix));
    let store = if bad("store") || (bad("") && !is_there(&config.store_url)) {
        None
    } else {
        match Store::open(&config.store_url).await {
            Ok(store) => Some(store),
            Err(error) => {
                let remedy = store_remedy(&error, &config.store_url);
                problems.push(config.problem(Level::Bad, "store.url", format!("the store cannot be opened: {error}"), remedy));
                None
            }
        }
    };
    let (fetched, unfetched) = secrets::fetch(config, environment, key_file, store.as_ref()).await;
    problems.extend(unfetched);
    let mut open = |key: &str, path: String, name: &ConnectionName, one: &ConnectionConfig| {
        let fetched = fetched.get(key)?;
        let context = OpenContext {
            name,
            settings: &fetched.settings,
            secrets: &fetched.secrets,
            clock: Arc::clone(clock),
            read_only: access == Access::ReadOnly,
            reach: one.reach,
        };
        let wrong = match one.connector.open(&context) {
            Ok(connection) => return Some(connection),
            Err(wrong) => wrong,
        };
        let news = wrong.into_iter().filter(|problem| !fetched.reported.contains(&problem.path));
        problems.extend(news.filter_map(|problem| {
            let at = if problem.path.is_empty() { path.clone() } else { below(&path, &problem.path) };
            (!config.is_lost(&at)).then(|| config.problem(Level::Bad, at, problem.message, problem.remedy))
        }));
        None
    };
    let mut connections = BTreeMap::new();
    for (name, connection) in &config.connections {
        connections
            .extend(open(name.as_str(), below("connections", name.as_str()), name, connection).map(|one| (name.clone(), one)));
    }
    let mut tellers = Tellers::default();
    for (name, channel) in &config.channels {
        let path = below("alerts.channels", name.as_str());
        let called = ConnectionName::new(format!("alerts-{name}"));
        tellers.channels.extend(open(&path, path.clone(), &called, channel).map(|one| (name.clone(), one)));
    }
    for (name, webhook) in &config.webhooks {
        let path = below("webhooks", name);
        let called = ConnectionName::new(format!("webhooks-{name}"));
        tellers.webhooks.extend(open(&path, path.clone(), &called, &webhook.connection).map(|one| (name.clone(), one)));
    }
    if let Some(heartbeat) = &config.heartbeat {
        tellers.heartbeat = open("heartbeat.", "heartbeat".to_owned(), &ConnectionName::from("heartbeat"), heartbeat);
    }
    let (mut used, mut flawed) = (BTreeSet::new(), Vec::new());
    let mut ends: BTreeMap<(&str, &str, Kind), &FlowName> = BTreeMap::new();
    for (name, flow) in &config.flows {
        used.extend([&flow.from, &flow.to]);
        if let Some(first) = ends.insert((&flow.from, &flow.to, flow.kind.kind()), name) {
            flawed.push(config.problem(
                Level::Bad,
                below("flows", name.as_str()),
                format!("moves the same records from {} to {} as the flow {first}", flow.from, flow.to),
                "Take one of them out: each would send every record.",
            ));
        }
        flawed.extend(not_offered(config, name, flow, &connections));
    }
    for (name, stock) in &config.stocks {
        used.extend([&stock.from, &stock.to]);
        flawed.extend(stock_not_offered(config, name, stock, &connections));
    }
    for pair in config.reconcile.pairs.values() {
        used.extend(pair.from.iter().chain([&pair.to]));
    }
    flawed.extend(config.route_problems());
    // A flow that names a connection wrongly is the one mistake; that nobody uses the right one is its echo.
    let flows_are_wrong =
        problems.iter().chain(&flawed).any(|problem| problem.level == Level::Bad && !problem.path.starts_with("connections"));
    for name in config.connections.keys().filter(|name| !flows_are_wrong && !used.contains(&name.0)) {
        let at = below("connections", name.as_str());
        flawed.push(config.problem(Level::Warning, at, "no flow uses this connection", "Name it in a flow, or take it out."));
    }
    problems.extend(flawed);
    in_order(&mut problems);
    Assembly { store, connections, tellers, problems }
}

/// What to do about a store that does not open.
pub fn store_remedy(error: &StoreError, store_url: &str) -> String {
    if error.is_damage() {
        format!("{store_url} is damaged or of another program: keep it, restore a back-up beside it, and name that one.")
    } else {
        format!("See whether the folder of {store_url} exists and may be written to.")
    }
}

/// The file that a store is kept in; none for one that is kept nowhere.
pub fn file_of(store_url: &str) -> Option<&Path> {
    let path = store_url.strip_prefix("sqlite://").or_else(|| store_url.strip_prefix("sqlite:")).unwrap_or(store_url);
    (path != ":memory:").then(|| Path::new(path))
}

/// Whether there is a store already; one in memory always is.
pub fn is_there(store_url: &str) -> bool {
    file_of(store_url).is_none_or(Path::exists)
}

/// Whether records of a kind can be read there.
fn gives(connection: &Connection, kind: FlowKind) -> bool {
    match kind {
        FlowKind::Order => connection.order_source.is_some(),
        FlowKind::Product => connection.product_source.is_some(),
        FlowKind::Shipment => connection.shipment_source.is_some(),
        FlowKind::Return => connection.return_source.is_some(),
        FlowKind::CreditNote => connection.credit_note_source.is_some(),
        FlowKind::Refund => connection.refund_source.is_some(),
    }
}

/// What a flow asks of its ends that they do not offer.
fn not_offered(
    config: &Config,
    name: &FlowName,
    flow: &FlowSettings,
    connections: &BTreeMap<ConnectionName, Connection>,
) -> Vec<ConfigProblem> {
    let mut problems = Vec::new();
    let path = below("flows", name.as_str());
    let mut lacks = |end: &str, message: String| {
        problems.push(config.problem(
            Level::Bad,
            below(&path, end),
            message,
            "Name a connection that does, or see the page of its system.",
        ))
    };
    let kind = flow.kind.kind();
    if let Some(from) = connections.get(&ConnectionName::new(&flow.from)) {
        if !gives(from, flow.kind) && from.told_with(kind).is_empty() {
            lacks("from", format!("{} ({}) has no {kind}s to give", flow.from, from.system));
        }
        if from.feed.is_none() && flow.capture.feed.is_some_and(|feed| feed.0.is_some()) {
            lacks("capture.feed", format!("{} ({}) keeps no queue of news", flow.from, from.system));
        }
    }
    if let Some(to) = connections.get(&ConnectionName::new(&flow.to)) {
        let takes = match flow.kind {
            FlowKind::Order => to.order_sink.is_some(),
            FlowKind::Product => to.product_sink.is_some(),
            FlowKind::Shipment => to.shipment_sink.is_some(),
            FlowKind::Return => to.return_sink.is_some(),
            FlowKind::CreditNote => to.credit_note_sink.is_some(),
            FlowKind::Refund => to.refund_sink.is_some(),
        };
        if !takes {
            lacks("to", format!("{} ({}) takes no {kind}s", flow.to, to.system));
        } else if !gives(to, flow.kind) {
            lacks("to", format!("{kind}s at {} ({}) cannot be read back, so nothing could be confirmed", flow.to, to.system));
        }
    }
    problems
}

/// What a stock flow asks of its ends that they do not offer.
fn stock_not_offered(
    config: &Config,
    name: &FlowName,
    stock: &StockSettings,
    connections: &BTreeMap<ConnectionName, Connection>,
) -> Vec<ConfigProblem> {
    let mut problems = Vec::new();
    let path = below("stock", name.as_str());
    let remedy = "Name a connection that does, or see the page of its system.";
    let mut lacks = |end: &str, message: String| problems.push(config.problem(Level::Bad, below(&path, end), message, remedy));
    if let Some(from) = connections.get(&ConnectionName::new(&stock.from)).filter(|from| from.stock_source.is_none()) {
        lacks("from", format!("{} ({}) has no stock to tell", stock.from, from.system));
    }
    if let Some(to) = connections.get(&ConnectionName::new(&stock.to)) {
        if to.stock_sink.is_none() {
            lacks("to", format!("{} ({}) takes no stock", stock.to, to.system));
        } else if to.stock_source.is_none() {
            lacks("to", format!("stock at {} ({}) cannot be read back, so nothing could be confirmed", stock.to, to.system));
        }
    }
    if !config.flows.values().any(|flow| flow.kind == FlowKind::Order && flow.from == stock.to && flow.to == stock.from) {
        problems.push(config.problem(
            Level::Warning,
            path,
            format!(
                "no flow brings the orders of {} to {}: what is sold and not yet there cannot be taken off",
                stock.to, stock.from
            ),
            format!("Add a flow from {} to {}, or keep a buffer that covers the orders on their way.", stock.to, stock.from),
        ));
    }
    problems
}

/// Opens a config for an engine.
///
/// # Errors
/// Everything that is wrong, warnings included, as a person reads the file.
pub async fn open(
    config: &Config,
    found: Vec<ConfigProblem>,
    environment: &Environment,
    key_file: Option<&Path>,
    clock: Arc<dyn Clock>,
) -> Result<Opened, Vec<ConfigProblem>> {
    let Assembly { store, connections, tellers, problems } =
        assemble(config, found, environment, key_file, &clock, Access::Full).await;
    let Some(store) = store.filter(|_| problems.iter().all(|problem| problem.level != Level::Bad)) else { return Err(problems) };
    match setup(config, store, connections, clock).await {
        Ok(setup) => {
            let (alerts, webhooks) = (alerts(config, &tellers), webhooks(config, &tellers));
            Ok(Opened { setup: Setup { alerts, webhooks, ..setup }, warnings: problems })
        }
        Err(error) => {
            let mut problems = problems;
            let problem = config.problem(
                Level::Bad,
                "store.url",
                format!("the store cannot be read: {error}"),
                "Restore a backup, or ask for help with this message.",
            );
            problems.push(problem);
            Err(problems)
        }
    }
}

/// Puts an engine's parts together.
///
/// # Errors
/// The store's.
pub async fn setup(
    config: &Config,
    store: Store,
    connections: BTreeMap<ConnectionName, Connection>,
    clock: Arc<dyn Clock>,
) -> selvedge_store::Result<Setup> {
    let captures = captures(config, &store, &connections, clock.now()).await?;
    let mut flows = Vec::new();
    for (name, flow) in &config.flows {
        let from = ConnectionName::new(&flow.from);
        let kind = flow.kind.kind();
        let companion =
            config.companion(name, flow).filter(|ends| connections.get(&ends.to).is_some_and(|to| to.customer_sink.is_some()));
        let ends = Ends { flow: name.clone(), kind, from, to: ConnectionName::new(&flow.to), mode: flow.mode.into() };
        flows.extend([Some(ends), companion].into_iter().flatten().map(|ends| flow_setup(config, flow, ends)));
    }
    Ok(Setup {
        brand: config.brand.clone(),
        store,
        clock,
        seed: rand::random(),
        connections,
        captures,
        flows,
        stocks: config.stocks.iter().map(|(name, stock)| stock.setup(name)).collect(),
        lists_every: config.lists_every,
        preflight: config.preflight(),
        halves: (&config.returns).into(),
        pairs: config.pairs(),
        desk: config.desk(),
        silence: config.silence(),
        alerts: AlertSetup::default(),
        webhooks: Vec::new(),
    })
}

/// Whom alerts go to.
pub fn alerts(config: &Config, tellers: &Tellers) -> AlertSetup {
    let channels = tellers
        .channels
        .iter()
        .filter_map(|(name, channel)| Some((name.clone(), Channel { kind: channel.system, sink: channel.alert_sink.clone()? })));
    let every = config.heartbeat.as_ref().and_then(|one| one.settings.get("every")?.as_str()?.parse::<Span>().ok());
    AlertSetup {
        channels: channels.collect(),
        routes: config.alerts.routes(),
        thresholds: config.alerts.thresholds(),
        public_url: config.url.clone(),
        link_key: rand::random(),
        pulse: tellers
            .heartbeat
            .as_ref()
            .and_then(|one| one.pulse.clone())
            .map(|pulse| PulseSetup { pulse, every: every.map_or(HEARTBEAT_EVERY, |every| every.0) }),
    }
}

/// Which programs are told of events.
pub fn webhooks(config: &Config, tellers: &Tellers) -> Vec<WebhookSetup> {
    let setup = |(name, webhook): (&String, &Connection)| {
        let (sink, events) = (webhook.event_sink.clone()?, config.webhooks.get(name)?.events.clone());
        Some(WebhookSetup { name: name.clone(), sink, events })
    };
    tellers.webhooks.iter().filter_map(setup).collect()
}

/// What is captured. What comes with the documents of other kinds is captured by capturing those.
async fn captures(
    config: &Config,
    store: &Store,
    connections: &BTreeMap<ConnectionName, Connection>,
    now: Timestamp,
) -> selvedge_store::Result<Vec<CaptureSetup>> {
    let mut wanted: Vec<(ConnectionName, Kind, &CaptureSettings)> = Vec::new();
    let own = |flow: &FlowSettings| connections.get(&ConnectionName::new(&flow.from)).is_none_or(|from| gives(from, flow.kind));
    let on = || config.flows.values().filter(|flow| flow.mode != FlowMode::Off);
    for flow in on().filter(|flow| own(flow)) {
        wanted.push((ConnectionName::new(&flow.from), flow.kind.kind(), config.capture_of(flow)));
    }
    // A flow of that kind has said how it is captured, where there is one.
    let told_with = |flow: &FlowSettings| {
        let from = connections.get(&ConnectionName::new(&flow.from));
        from.map(|from| from.told_with(flow.kind.kind())).unwrap_or_default()
    };
    for flow in on() {
        let from = ConnectionName::new(&flow.from);
        wanted.extend(told_with(flow).into_iter().map(|kind| (from.clone(), kind, config.capture_of(flow))));
    }
    // What is read from a queue is gone from it. Where nobody of ours writes, it may be somebody else's who does.
    let is_live = |from: &ConnectionName, kind: Kind| {
        let live = config.flows.values().filter(|flow| flow.mode == FlowMode::Live && flow.from == from.0);
        live.into_iter().any(|flow| flow.kind.kind() == kind || told_with(flow).contains(&kind))
    };
    let mut captures: Vec<CaptureSetup> = Vec::new();
    for (from, kind, settings) in wanted {
        if !captures.iter().any(|capture| capture.from == from && capture.kind == kind) {
            let since = since(config, store, &from, kind, settings, now).await?;
            let feed = connections.get(&from).and_then(|connection| connection.feed.as_ref());
            let has_feed =
                feed.is_some_and(|feed| feed.kinds().contains(&kind)) && (is_live(&from, kind) || settings.feed.is_some());
            captures.push(capture(&from, kind, settings, has_feed, since));
        }
    }
    Ok(captures)
}

fn flow_setup(config: &Config, flow: &FlowSettings, ends: Ends) -> FlowSetup {
    let concurrency = config.connections.get(&ends.to).and_then(|to| to.settings.get("concurrency")?.as_u64());
    let parallel = flow.parallel.map(u64::from).or(concurrency).and_then(|n| usize::try_from(n).ok()).unwrap_or(PARALLEL);
    FlowSetup {
        name: ends.flow,
        kind: ends.kind,
        from: ends.from,
        to: ends.to,
        mode: ends.mode,
        policy: (&flow.policy).into(),
        preparation: if config.is_pick(flow) {
            Preparation::Pick(PickSetup {
                routes: config.routing(),
                shelves: config.shelves(),
                promises: config.dispatch.promises(),
                calendar: config.dispatch.calendar(),
            })
        } else {
            Preparation::None
        },
        shipments: ShipmentPolicy { tracking_wait: flow.tracking_wait.0, without_tracking: flow.without_tracking.into() },
        credits: (&flow.credits).into(),
        products: (&flow.products).into(),
        watch_every: flow.products.watch.0,
        parallel: parallel.max(1),
        unanswered_wait: flow.unanswered_wait.0,
        retries_max: flow.retries_max,
        backoff_first: flow.backoff_first.0,
        backoff_max: flow.backoff_max.0,
    }
}

fn capture(from: &ConnectionName, kind: Kind, settings: &CaptureSettings, has_feed: bool, since: Timestamp) -> CaptureSetup {
    let feed_every = settings.feed.map_or(Some(FEED_EVERY), |pace| pace.0).filter(|_| has_feed);
    let poll_usual = if feed_every.is_some() { POLL_BESIDE_FEED } else { POLL_ALONE };
    CaptureSetup {
        from: from.clone(),
        kind,
        since,
        feed_every,
        poll_every: settings.poll.map_or(Some(poll_usual), |pace| pace.0),
        poll_overlap: settings.poll_overlap.0,
        poll_lag: settings.poll_lag.0,
        sweep_every: settings.sweep.0,
        sweep_back: settings.sweep_back.0,
        notice_grace: settings.notice_grace.0,
    }
}

/// From when on documents are captured. "Seven days ago" is counted from the first start: were it
/// counted from each, a process that stood still for ten days would leave a hole of three.
async fn since(
    config: &Config,
    store: &Store,
    from: &ConnectionName,
    kind: Kind,
    settings: &CaptureSettings,
    now: Timestamp,
) -> selvedge_store::Result<Timestamp> {
    let wanted = settings.since.instant(now);
    if matches!(settings.since, Moment::At(_)) {
        return Ok(wanted);
    }
    let (brand, from, overlap) = (config.brand.clone(), from.clone(), settings.poll_overlap.0);
    let reached = store
        .read(move |view: &View<'_>| {
            let poll = view.proven_until(&brand, &from, kind, "poll")?;
            let sweep = view.proven_until(&brand, &from, kind, "sweep")?;
            Ok(poll.or(sweep))
        })
        .await?;
    Ok(reached.and_then(|reached| reached.checked_sub(overlap).ok()).map_or(wanted, |reached| reached.min(wanted)))
}

/// How often a taken lock is looked at again.
const LOCK_LOOK: Duration = Duration::from_millis(50);
/// How long a start waits for a process that is just ending.
pub const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// Holds a store for one process that moves it. Readers and people's acts need none.
#[derive(Debug)]
pub struct Lock {
    file: Option<File>,
}

impl Lock {
    /// Leaves word of the config that the holder works by, for whoever finds the store taken.
    ///
    /// # Errors
    /// The lock file's.
    pub fn note(&self, config: &Digest) -> std::io::Result<()> {
        let Some(mut file) = self.file.as_ref() else { return Ok(()) };
        file.seek(std::io::SeekFrom::End(0)).and_then(|_| writeln!(file, "{}", config.0))
    }
}

/// The content of a config file, as one word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest(String);

impl Digest {
    /// Of a file; of nothing, where it cannot be read.
    pub fn of(file: &Path) -> Self {
        Self(blake3::hash(&std::fs::read(file).unwrap_or_default()).to_hex().to_string())
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Tells the audit trail by which config it is run from now on, unless it is the one of the last run. Which lines have changed is
/// for whoever keeps the file; that it has, and since when, is told here.
///
/// # Errors
/// The store's.
pub async fn tell_config(
    store: &Store,
    brand: &selvedge_model::Brand,
    digest: &Digest,
    file: &Path,
    by: &str,
    now: Timestamp,
) -> selvedge_store::Result<()> {
    let detail = format!("blake3 {digest}, selvedge {}", env!("CARGO_PKG_VERSION"));
    let (brand, file, by) = (brand.clone(), file.display().to_string(), by.to_owned());
    store
        .write(move |tx| {
            let last = tx.audit_last(&brand, "config.load")?;
            if last.is_some_and(|last| (last.subject.as_str(), last.detail.as_str()) == (file.as_str(), detail.as_str())) {
                return Ok(());
            }
            tx.audit(&brand, &by, "config.load", &file, &detail, now)
        })
        .await
}

/// Why a store could not be held.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("another selvedge{} works on {}", .process.as_deref().map(|id| format!(" (process {id})")).unwrap_or_default(), .store.display())]
    Taken {
        /// The store.
        store: PathBuf,
        /// The other process's id, where it left one.
        process: Option<String>,
        /// The config that it works by, where it left word of it.
        config: Option<Digest>,
    },
    /// The lock file cannot be used.
    #[error("the lock file {} cannot be used: {why}", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: std::io::Error,
    },
}

/// Takes the lock of a store: `PATH.lock` beside its file. The operating system gives it back when the
/// process ends, however it ends; one that was killed may take a moment to be gone, so this waits
/// for as long as `patience` before it gives up.
///
/// # Errors
/// [`LockError`].
pub async fn lock(store_url: &str, patience: Duration) -> Result<Lock, LockError> {
    let end = tokio::time::Instant::now() + patience;
    loop {
        match try_lock(store_url) {
            Err(LockError::Taken { .. }) if tokio::time::Instant::now() < end => tokio::time::sleep(LOCK_LOOK).await,
            other => return other,
        }
    }
}

fn try_lock(store_url: &str) -> Result<Lock, LockError> {
    let Some(store) = file_of(store_url).map(Path::to_path_buf) else { return Ok(Lock { file: None }) };
    let path = PathBuf::from(format!("{}.lock", store.display()));
    let unusable = |why| LockError::Unusable { path: path.clone(), why };
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            let mut text = String::new();
            // What cannot be read says nothing.
            let _ = file.read_to_string(&mut text);
            let mut lines = text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty());
            return Err(LockError::Taken { store, process: lines.next(), config: lines.next().map(Digest) });
        }
        Err(std::fs::TryLockError::Error(why)) => return Err(unusable(why)),
    }
    let noted = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    noted.map_err(unusable)?;
    Ok(Lock { file: Some(file) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read_text;
    use selvedge_connector::clock::ManualClock;
    use selvedge_model::Interval;
    use selvedge_store::intervals::ProvenRow;

    fn config(text: &str) -> Config {
        let (config, problems) = read_text(Path::new("/tmp/selvedge.toml"), text);
        assert!(problems.is_empty(), "{problems:?}");
        config
    }

    #[tokio::test]
    async fn another_config_is_told_once() {
        let store = Store::open("sqlite::memory:").await.unwrap();
        let (brand, now) = (selvedge_model::Brand::from("nordvik"), "2026-11-30T00:00:00Z".parse().unwrap());
        let of = |text: &str| Digest(blake3::hash(text.as_bytes()).to_hex().to_string());
        for text in ["a", "a", "b", "a"] {
            tell_config(&store, &brand, &of(text), Path::new("/etc/selvedge.toml"), "root (cli)", now).await.unwrap();
        }
        let acts = store.read(move |view| view.audit_after(&brand, 0, 10)).await.unwrap();
        let told: Vec<bool> = acts.iter().map(|act| act.detail.contains(&of("a").to_string())).collect();
        assert_eq!(told, [true, false, true], "not again at a start without news, and again when it is put back");
        assert!(acts.iter().all(|act| act.action == "config.load" && act.subject == "/etc/selvedge.toml"));
    }

    const WHOLE: &str = r#"
brand = "nordvik"
store.url = "sqlite::memory:"
[connections.shop]
system = "centra"
base_url = "https://nordvik.centra.com"
token = { env = "CENTRA_TOKEN" }
time_zone = "Europe/Stockholm"
[connections.erp]
system = "netsuite"
account = "1234567_SB1"
concurrency = 3
[connections.erp.auth]
method = "oauth1"
consumer_key = "ck"
consumer_secret = { env = "NS_CONSUMER" }
token_id = { env = "NS_TOKEN_ID" }
token_secret = { env = "NS_TOKEN" }
[flows.orders]
from = "shop"
to = "erp"
[flows.orders.capture]
poll = "2m"
"#;

    fn environment() -> Environment {
        Environment::of([
            ("CENTRA_TOKEN", "t-hidden"),
            ("NS_CONSUMER", "c-hidden"),
            ("NS_TOKEN_ID", "tid"),
            ("NS_TOKEN", "s-hidden"),
        ])
    }

    fn provider() {
        let _ = rustls::crypto::ring::default_provider().install_default();
    }

    #[tokio::test]
    async fn a_whole_config_becomes_an_engine() {
        provider();
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at("2026-03-01T00:00:00Z".parse().unwrap()));
        let opened = open(&config(WHOLE), Vec::new(), &environment(), None, clock)
            .await
            .unwrap_or_else(|problems| panic!("{problems:#?}"));
        let setup = opened.setup;
        let flows: Vec<(&str, Kind, usize)> =
            setup.flows.iter().map(|flow| (flow.name.as_str(), flow.kind, flow.parallel)).collect();
        assert_eq!(flows, [("orders", Kind::Order, 3), ("orders-customers", Kind::Customer, 3)]);
        assert_eq!(setup.captures.len(), 1);
        let capture = &setup.captures[0];
        assert_eq!((capture.feed_every, capture.poll_every), (Some(FEED_EVERY), Some(Duration::from_secs(120))));
        assert_eq!(capture.since, "2026-02-22T00:00:00Z".parse().unwrap());
        assert!(selvedge_flow::Engine::new(setup).is_ok());
    }

    #[tokio::test]
    async fn a_queue_of_news_is_read_for_the_kinds_that_it_brings() {
        provider();
        let text = format!(
            "{WHOLE}{}",
            r#"
[connections.depot]
system = "threepl"
host = "sftp.example.com"
user = "brand"
password = { env = "CENTRA_TOKEN" }
host_key = "SHA256:abc"
[flows.picks]
from = "shop"
to = "depot"
[flows.shipments]
kind = "shipment"
from = "depot"
to = "shop"
[flows.booked]
kind = "shipment"
from = "shop"
to = "depot"
"#
        );
        let (config, _) = read_text(Path::new("/tmp/selvedge.toml"), &text);
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at("2026-03-01T00:00:00Z".parse().unwrap()));
        let assembly = assemble(&config, Vec::new(), &environment(), None, &clock, Access::Full).await;
        let setup = setup(&config, assembly.store.unwrap(), assembly.connections, clock).await.unwrap();
        let fed: Vec<(&str, Kind, bool)> =
            setup.captures.iter().map(|c| (c.from.as_str(), c.kind, c.feed_every.is_some())).collect();
        for expected in [("shop", Kind::Order, true), ("shop", Kind::Shipment, false), ("depot", Kind::Shipment, true)] {
            assert!(fed.contains(&expected), "{fed:?}");
        }
    }

    #[tokio::test]
    async fn a_queue_of_news_is_left_to_others_while_no_flow_is_live() {
        provider();
        let fed = async |mode: &str, feed: &str| {
            let text = WHOLE.replacen("to = \"erp\"", &format!("to = \"erp\"\nmode = \"{mode}\""), 1);
            let text = text.replacen("poll = \"2m\"", &format!("poll = \"2m\"\n{feed}"), 1);
            let (config, problems) = read_text(Path::new("/tmp/selvedge.toml"), &text);
            assert!(problems.is_empty(), "{problems:?}");
            let clock: Arc<dyn Clock> = Arc::new(ManualClock::at("2026-03-01T00:00:00Z".parse().unwrap()));
            let assembly = assemble(&config, Vec::new(), &environment(), None, &clock, Access::Full).await;
            let setup = setup(&config, assembly.store.unwrap(), assembly.connections, clock).await.unwrap();
            assert!(setup.flows.iter().all(|flow| flow.mode.word() == mode), "customers follow their orders");
            setup.captures.iter().map(|capture| capture.feed_every.is_some()).collect::<Vec<bool>>()
        };
        assert_eq!(fed("live", "").await, [true]);
        assert_eq!(fed("shadow", "").await, [false]);
        assert_eq!(fed("shadow", "feed = \"5s\"").await, [true], "it was said to be ours");
        assert!(fed("off", "").await.is_empty());
    }

    #[tokio::test]
    async fn two_flows_between_the_same_ends_are_one_too_many() {
        provider();
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at("2026-03-01T00:00:00Z".parse().unwrap()));
        let text = format!("{WHOLE}\n[flows.twice]\nfrom = \"shop\"\nto = \"erp\"\n[flows.twice.capture]\npoll = \"2m\"\n");
        let Err(problems) = open(&config(&text), Vec::new(), &environment(), None, clock).await else { panic!("it opened") };
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert_eq!(problems[0].path, "flows.twice");
        assert!(problems[0].line.is_some(), "it is named with its line");
    }

    #[tokio::test]
    async fn guests_need_no_flow_of_customers() {
        let text = WHOLE.replace("concurrency = 3", "customers = \"guest\"");
        assert_eq!(config(&text).ends().len(), 1);
        assert_eq!(config(WHOLE).ends().len(), 2);
    }

    #[tokio::test]
    async fn standing_still_for_longer_than_since_leaves_no_hole() {
        provider();
        let config = config(WHOLE);
        let start: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        let clock = Arc::new(ManualClock::at(start));
        let opened = open(&config, Vec::new(), &environment(), None, clock.clone())
            .await
            .unwrap_or_else(|problems| panic!("{problems:#?}"));
        let store = opened.setup.store;
        let row = ProvenRow {
            via: "poll".to_owned(),
            interval: Interval { from: opened.setup.captures[0].since, to: start },
            seen: 0,
            news: 0,
            at: start,
        };
        let brand = config.brand.clone();
        store.write(move |tx| tx.prove(&brand, &ConnectionName::from("shop"), Kind::Order, &row)).await.unwrap();
        clock.advance(Duration::from_secs(20 * 86_400));
        let again = setup(&config, store, opened.setup.connections, clock).await.unwrap();
        assert!(again.captures[0].since < start, "{}", again.captures[0].since);
    }

    #[tokio::test]
    async fn no_secret_shows_anywhere() {
        provider();
        let plain = WHOLE.replace("{ env = \"CENTRA_TOKEN\" }", "\"plain-hidden\"").replace("from = \"shop\"", "from = \"shpo\"");
        let (config, problems) = read_text(Path::new("selvedge.toml"), &plain);
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
        let assembly = assemble(&config, problems, &environment(), None, &clock, Access::Full).await;
        let (fetched, _) = secrets::fetch(&config, &environment(), None, None).await;
        let shown = format!(
            "{config:?} {:?} {fetched:?} {}",
            assembly.problems,
            assembly.problems.iter().map(ToString::to_string).collect::<String>()
        );
        assert!(!shown.contains("hidden"), "{shown}");
        let messages: Vec<String> = assembly.problems.iter().map(ToString::to_string).collect();
        assert_eq!(assembly.problems.iter().filter(|p| p.level == Level::Bad).count(), 2, "{messages:#?}");
    }

    #[test]
    fn a_store_is_held_once() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/a.db", folder.path().display());
        let held = try_lock(&url).unwrap();
        let Err(LockError::Taken { process, .. }) = try_lock(&url) else { panic!("held twice") };
        assert_eq!(process.as_deref(), Some(std::process::id().to_string().as_str()));
        let config = folder.path().join("selvedge.toml");
        std::fs::write(&config, "brand = 'a'").unwrap();
        held.note(&Digest::of(&config)).unwrap();
        let by = |url: &str| match try_lock(url) {
            Err(LockError::Taken { config, .. }) => config,
            _ => panic!("held twice"),
        };
        assert_eq!(by(&url), Some(Digest::of(&config)));
        std::fs::write(&config, "brand = 'b'").unwrap();
        assert_ne!(by(&url), Some(Digest::of(&config)));
        drop(held);
        assert!(try_lock(&url).is_ok());
        assert!(try_lock("sqlite::memory:").is_ok());
    }
}
