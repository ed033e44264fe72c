//! Every verb once; `run` is the same verbs side by side until told to stop.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use selvedge_connector::{Arrival, Connection, Delivery, Fault};
use selvedge_model::{Brand, ConnectionName, FlowName, Kind, Mode, RecordKey};
use selvedge_store::{Result, Store, StoreError, captures::NewCapture, obligations::FlowSide};
use tokio::sync::{Notify, watch};

use crate::{
    CaptureSetup, FlowSetup, PulseState, Setup, alerts,
    backoff::after,
    capture::Rhythm,
    ports::{self, AnySink, AnySource, AnyWriter},
    reconcile::{Looked, Reconciler},
    silence,
    stock::{self, Stock, write::News},
};

/// How long a connection rests after its credentials were refused, before one call tries again.
pub(crate) const PAUSE_UNAUTHORIZED: Duration = Duration::from_secs(30);
/// How long an idle verb waits before it looks for work that nobody announced (another process
/// released something, a retry fell due).
const IDLE: Duration = Duration::from_millis(200);
/// How often counters are written down and empty exceptions are closed.
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// How long a verb rests that was asked for while it was busy.
const BUSY: Duration = Duration::from_millis(2);
/// How long a verb rests after the store refused, before it tries again.
const STORE_TROUBLE: Duration = Duration::from_secs(1);

/// What one tick did, per verb.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TickReport {
    /// Documents captured.
    pub captured: usize,
    /// Rows that passed through the gate, whatever it said.
    pub gated: usize,
    /// Rows delivered or looked for.
    pub delivered: usize,
    /// Rows read back.
    pub confirmed: usize,
    /// Levels that were news, and batches of figures.
    pub stock: usize,
}

impl TickReport {
    /// Whether nothing was left to do.
    pub fn idle(&self) -> bool {
        *self == TickReport::default()
    }
}

/// What became of a webhook delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Durable now. Answer 200.
    Kept,
    /// Durable already. Answer 200.
    Duplicate,
    /// The sender is not proven. Answer 401.
    Forged(String),
    /// It is unreadable. Answer 400.
    Unreadable(String),
    /// There is no such connection, or it takes no webhooks. Answer 404.
    Unknown,
}

/// What a flow does where the others write.
#[derive(Clone)]
pub(crate) enum Hand {
    /// It writes with this.
    Writes(Arc<dyn AnyWriter>),
    /// It has nothing to write with: it compares.
    Compares,
}

/// One flow with its two ends.
#[derive(Clone)]
pub(crate) struct Flow {
    pub setup: FlowSetup,
    pub sink: Arc<dyn AnySink>,
    pub hand: Hand,
    /// The target read back; a target that cannot be read back cannot be confirmed, so there is always one.
    pub mirror: Arc<dyn AnySource>,
}

/// One side that is captured.
#[derive(Clone)]
pub(crate) struct Side {
    pub setup: CaptureSetup,
    pub connection: Connection,
    pub source: Arc<dyn AnySource>,
}

impl Side {
    /// Whether its changes come by a queue of news.
    pub fn is_fed(&self) -> bool {
        self.setup.feed_every.is_some() && self.connection.feed.is_some()
    }
}

/// Whoever holds it has its turn.
type Turn = Arc<tokio::sync::Mutex<()>>;

/// Nudges from one verb to the next. A lost nudge is harmless: an idle verb looks by itself.
#[derive(Default)]
struct Wakes {
    capture: Notify,
    gate: Notify,
    deliver: Notify,
    confirm: Notify,
    stock: Notify,
}

/// A flow or capture that cannot work as configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct Miswired {
    /// Which flow or capture.
    pub what: String,
    /// What is missing.
    pub why: String,
}

/// The engine of one brand.
pub struct Engine {
    setup: Setup,
    pub(crate) flows: Vec<Flow>,
    pub(crate) sides: Vec<Side>,
    pub(crate) stocks: Vec<Stock>,
    news: Mutex<HashMap<ConnectionName, News>>,
    pub(crate) rhythms: Mutex<HashMap<(ConnectionName, Kind), Rhythm>>,
    pauses: Mutex<HashMap<ConnectionName, Timestamp>>,
    /// Connections that this process has seen to take our credentials.
    pub(crate) let_in: Mutex<BTreeSet<ConnectionName>>,
    /// Which systems were told to be down, and which to be well.
    pub(crate) down: Mutex<HashMap<ConnectionName, bool>>,
    counted: Mutex<BTreeMap<(ConnectionName, &'static str), u64>>,
    list_rests: Mutex<HashMap<(ConnectionName, &'static str), Timestamp>>,
    watches: Mutex<HashMap<FlowName, Timestamp>>,
    turns: Mutex<HashMap<(ConnectionName, RecordKey), Turn>>,
    pub(crate) shipments_gate: tokio::sync::Mutex<()>,
    pub(crate) returns_gate: tokio::sync::Mutex<()>,
    preflight: Mutex<Option<Timestamp>>,
    pub(crate) silence: Mutex<silence::Watch>,
    pub(crate) alerting: Mutex<alerts::Turn>,
    pub(crate) pulse: Mutex<PulseState>,
    /// When housekeeping was last done.
    pub(crate) kept_house: Mutex<Option<Timestamp>>,
    pub(crate) reading: tokio::sync::Mutex<()>,
    /// Looks at both ends.
    pub reconciler: Reconciler,
    stopping: AtomicBool,
    wakes: Wakes,
}

impl Engine {
    /// Puts it together; nothing moves yet.
    ///
    /// # Errors
    /// A flow whose ends do not offer what it needs.
    pub fn new(setup: Setup) -> std::result::Result<Self, Vec<Miswired>> {
        let mut wrong = Vec::new();
        // A flow that is off has no verb, and nobody owes it anything.
        let on = setup.flows.iter().filter(|flow| flow.mode != Mode::Off);
        let flows = on.filter_map(|flow| wire_flow(&setup, flow).map_err(|w| wrong.push(w)).ok()).collect();
        let sides = setup.captures.iter().filter_map(|side| wire_side(&setup, side).map_err(|w| wrong.push(w)).ok()).collect();
        let stocks = setup.stocks.iter().filter_map(|one| stock::wire(&setup, one).map_err(|w| wrong.push(w)).ok()).collect();
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let reconciler = Reconciler::new(
            setup.brand.clone(),
            setup.store.clone(),
            Arc::clone(&setup.clock),
            setup.connections.clone(),
            setup.pairs.clone(),
        );
        Ok(Self {
            setup,
            flows,
            sides,
            stocks,
            news: Mutex::default(),
            rhythms: Mutex::default(),
            pauses: Mutex::default(),
            let_in: Mutex::default(),
            down: Mutex::default(),
            counted: Mutex::default(),
            list_rests: Mutex::default(),
            watches: Mutex::default(),
            turns: Mutex::default(),
            shipments_gate: tokio::sync::Mutex::default(),
            returns_gate: tokio::sync::Mutex::default(),
            preflight: Mutex::default(),
            silence: Mutex::default(),
            alerting: Mutex::default(),
            pulse: Mutex::default(),
            kept_house: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
            reconciler,
            stopping: AtomicBool::new(false),
            wakes: Wakes::default(),
        })
    }

    /// What it is made of.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    pub(crate) fn brand(&self) -> &Brand {
        &self.setup.brand
    }

    pub(crate) fn store(&self) -> &Store {
        &self.setup.store
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.setup.clock.now()
    }

    pub(crate) fn locked_pauses(&self) -> MutexGuard<'_, HashMap<ConnectionName, Timestamp>> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn locked_list_rests(&self) -> MutexGuard<'_, HashMap<(ConnectionName, &'static str), Timestamp>> {
        self.list_rests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until when the watch over each flow's target rests.
    pub(crate) fn locked_watches(&self) -> MutexGuard<'_, HashMap<FlowName, Timestamp>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the last pre-flight was, once it has been asked of the store.
    pub(crate) fn locked_preflight(&self) -> MutexGuard<'_, Option<Timestamp>> {
        self.preflight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for its turn with an order at a target: two shipments of one order that look at it at once, and then both
    /// write, write against each other.
    pub(crate) async fn turn_with(&self, to: &ConnectionName, order: &RecordKey) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            // Whose turn is over is forgotten.
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry((to.clone(), order.clone())).or_default())
        };
        turn.lock_owned().await
    }

    /// The flows and where their records come from, as the balance asks for them.
    pub fn flow_sides(&self) -> Vec<FlowSide> {
        let side = |flow: &FlowSetup| FlowSide {
            flow: flow.name.clone(),
            from: flow.from.clone(),
            kind: flow.kind,
            off: flow.mode == Mode::Off,
        };
        self.setup.flows.iter().map(side).collect()
    }

    /// Takes one webhook delivery: proves the sender, makes it durable, and only then returns.
    ///
    /// # Errors
    /// The store's; then nothing was kept and the sender must try again.
    pub async fn accept(&self, connection: &ConnectionName, delivery: &Delivery) -> Result<Accepted> {
        let Some(hooks) = self.setup.connections.get(connection).and_then(|c| c.hooks.clone()) else {
            return Ok(Accepted::Unknown);
        };
        let arrivals = match hooks.receive(delivery) {
            Ok(arrivals) => arrivals,
            Err(Fault::Forged { reason }) => return Ok(Accepted::Forged(reason)),
            Err(other) => return Ok(Accepted::Unreadable(other.to_string())),
        };
        let (brand, connection, at) = (self.brand().clone(), connection.clone(), delivery.received_at);
        let body = delivery.body.clone();
        // Word that stock moved may come twice without harm, and comes too often to be kept.
        let only_stock = !arrivals.is_empty() && arrivals.iter().all(|a| matches!(a, Arrival::Notice { kind: Kind::Stock, .. }));
        let kept = self
            .store()
            .write(move |tx| {
                if !only_stock && !tx.delivery(&brand, &connection, &body, at)? {
                    return Ok(false);
                }
                for arrival in &arrivals {
                    match arrival {
                        Arrival::Notice { kind, id } => tx.notice(&brand, &connection, *kind, id, at)?,
                        Arrival::Document(raw) => {
                            tx.capture(&NewCapture {
                                brand: brand.clone(),
                                connection: connection.clone(),
                                kind: raw.kind,
                                external_id: raw.id.clone(),
                                version: raw.version,
                                body: raw.body.to_vec(),
                                via: "webhook",
                                asked_at: None,
                                received_at: at,
                            })?;
                        }
                    }
                }
                Ok(true)
            })
            .await?;
        if !kept {
            return Ok(Accepted::Duplicate);
        }
        // Word of news makes the queue of news due at once: it brings the documents in the same call.
        for rhythm in self.rhythms.lock().unwrap_or_else(PoisonError::into_inner).values_mut() {
            rhythm.nudge();
        }
        self.wake_capture();
        self.wake_stock();
        Ok(Accepted::Kept)
    }

    /// Whether no figure is due, no push is unread and no batch is under way in any stock flow.
    ///
    /// # Errors
    /// The store's.
    pub async fn stock_settled(&self) -> Result<bool> {
        for stock in &self.stocks {
            if stock.is_busy().await {
                return Ok(false);
            }
            let (of, brand, from) = (stock.of.clone(), self.brand().clone(), stock.setup.from.clone());
            let idle = self
                .store()
                .read(move |view| {
                    let told = view.notices_of(&brand, &from, Kind::Stock, 1)?.is_empty();
                    Ok(told && view.stock_next_due(&of)?.is_none() && view.stock_accepted_levels(&of, 1)?.is_empty())
                })
                .await?;
            if !idle {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Begins to prove stock: every place of every source is read whole and every target is read back, as if
    /// their time had come.
    ///
    /// # Errors
    /// The store's.
    pub async fn prove_stock(&self) -> Result<()> {
        for stock in &self.stocks {
            stock.prove_anew(self.store()).await?;
        }
        self.wake_stock();
        Ok(())
    }

    /// What proofs of stock there are since an instant: whether every place of every source was read whole and
    /// every target read back since.
    ///
    /// # Errors
    /// The store's.
    pub async fn stock_proven_since(&self, since: Timestamp) -> Result<bool> {
        for stock in &self.stocks {
            let (of, places) = (stock.of.clone(), stock.locations());
            let proven = self
                .store()
                .read(move |view| {
                    let read = view.stock_locations(&of)?;
                    let whole = |place: &selvedge_model::LocationId| {
                        read.iter().any(|row| row.location == *place && row.snapshot_at.is_some_and(|at| at >= since))
                    };
                    let flow = view.stock_flow(&of)?;
                    let back = flow.cursor.is_none() && flow.read_back_at.is_some_and(|at| at >= since);
                    Ok(back && places.iter().all(whole))
                })
                .await?;
            if !proven {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether nothing waits to be decoded, no release is half done and nothing is in flight. (A record that the source holds
    /// back is in flight: the source has not said its last word.)
    ///
    /// # Errors
    /// The store's.
    pub async fn settled(&self) -> Result<bool> {
        let (brand, sides) = (self.brand().clone(), self.flow_sides());
        self.store()
            .read(move |view| {
                let undecoded = !view.captures_due(&brand, 1)?.is_empty() || !view.releasing(&brand)?.is_empty();
                let in_flight: u64 = view.balance(&brand, &sides, None)?.iter().map(|b| b.in_flight).sum();
                Ok(!undecoded && in_flight == 0)
            })
            .await
    }

    /// After a start: rows that were being sent when the process ended are unanswered.
    ///
    /// # Errors
    /// The store's.
    pub async fn recover(&self) -> Result<u64> {
        // An exception about a connection that an earlier process left open is settled by the first call that comes through.
        let now = self.now();
        self.locked_pauses().extend(self.setup.connections.keys().map(|name| (name.clone(), now)));
        self.keep_flow_targets().await?;
        self.count_from_the_start().await?;
        self.keep_webhooks().await?;
        self.settle_unconfigured().await?;
        let (brand, now) = (self.brand().clone(), self.now());
        let lost: Vec<_> = self.stocks.iter().map(|stock| (stock.of.clone(), after(now, stock.setup.settle_wait))).collect();
        let recovered = self
            .store()
            .write(move |tx| {
                for (of, until) in &lost {
                    tx.stock_recover(of, now, *until)?;
                }
                tx.recover_messages(&brand, now)?;
                tx.recover(&brand, now)
            })
            .await?;
        self.catch_up().await?;
        Ok(recovered)
    }

    /// Whoever sets a mapping, at the command line too, has to know whose exceptions wait for it.
    async fn keep_flow_targets(&self) -> Result<()> {
        let brand = self.brand().clone();
        let flows = self.setup.flows.iter().map(|flow| (flow.name.clone(), flow.to.clone()));
        let stocks = self.setup.stocks.iter().map(|stock| (stock.name.clone(), stock.to.clone()));
        let targets: Vec<_> = flows.chain(stocks).collect();
        self.store().write(move |tx| tx.keep_flow_targets(&brand, &targets)).await
    }

    /// Every verb once.
    ///
    /// # Errors
    /// The store's.
    pub async fn tick(&self) -> Result<TickReport> {
        let mut report = TickReport::default();
        self.refresh_lists().await?;
        self.preflight_if_due().await?;
        for side in &self.sides {
            report.captured += self.capture(side).await?;
        }
        report.captured += self.decode().await?;
        for flow in &self.flows {
            report.gated += self.gate(flow).await?;
        }
        for flow in &self.flows {
            report.delivered += self.settle_unanswered(flow).await?;
            report.delivered += self.deliver(flow).await?;
        }
        for flow in &self.flows {
            report.confirmed += self.confirm(flow).await?;
            self.watch(flow).await?;
        }
        self.keep_promises().await?;
        self.watch_halves().await?;
        for stock in &self.stocks {
            report.stock += self.read_stock(stock).await?;
            report.stock += self.write_stock(stock).await?;
        }
        self.reconcile().await?;
        self.watch_silence().await?;
        self.watch_connections().await?;
        self.alert().await?;
        for index in 0..self.setup.webhooks.len() {
            self.tell_webhook(index).await?;
        }
        self.housekeep().await?;
        self.tend_desk().await?;
        self.beat().await?;
        Ok(report)
    }

    /// Works until `stop` resolves, then finishes what is under way.
    ///
    /// # Errors
    /// The store's, at the start; later ones are logged, and the verb tries again.
    pub async fn run(self: Arc<Self>, stop: impl Future<Output = ()> + Send) -> Result<()> {
        self.stopping.store(false, Ordering::Relaxed);
        self.recover().await?;
        let (stopping, stopped) = watch::channel(false);
        let mut loops = tokio::task::JoinSet::new();
        let spawn = |loops: &mut tokio::task::JoinSet<()>, name: &'static str, index: usize| {
            let (engine, stopped) = (Arc::clone(&self), stopped.clone());
            loops.spawn(async move { engine.verb_loop(name, index, stopped).await });
        };
        for index in 0..self.sides.len() {
            spawn(&mut loops, "capture", index);
        }
        for name in [
            "decode",
            "lists",
            "promises",
            "halves",
            "reconcile",
            "silence",
            "connections",
            "alerts",
            "pulse",
            "housekeep",
            "desk",
        ] {
            spawn(&mut loops, name, 0);
        }
        for index in 0..self.setup.webhooks.len() {
            spawn(&mut loops, "webhook", index);
        }
        for index in 0..self.flows.len() {
            for name in ["gate", "unanswered", "deliver", "confirm", "watch"] {
                spawn(&mut loops, name, index);
            }
        }
        for index in 0..self.stocks.len() {
            for name in ["stock", "figures"] {
                spawn(&mut loops, name, index);
            }
        }
        stop.await;
        self.stopping.store(true, Ordering::Relaxed);
        // Nobody listening is fine: then every loop has ended by itself.
        let _ = stopping.send(true);
        while loops.join_next().await.is_some() {}
        self.housekeep().await
    }

    async fn verb_loop(&self, name: &'static str, index: usize, mut stopped: watch::Receiver<bool>) {
        let no_work = || async { Ok(0) };
        loop {
            if *stopped.borrow() {
                return;
            }
            let (flow, stock) = (self.flows.get(index), self.stocks.get(index));
            let done = match (name, flow) {
                ("stock", _) => match stock {
                    Some(stock) => self.read_stock(stock).await,
                    None => no_work().await,
                },
                ("figures", _) => match stock {
                    Some(stock) => self.write_stock(stock).await,
                    None => no_work().await,
                },
                ("capture", _) => match self.sides.get(index) {
                    Some(side) => self.capture(side).await,
                    None => no_work().await,
                },
                ("decode", _) => self.decode().await,
                ("promises", _) => self.keep_promises().await,
                ("halves", _) => self.watch_halves().await,
                ("reconcile", _) => self.reconcile().await,
                ("silence", _) => self.watch_silence().await,
                ("connections", _) => self.watch_connections().await,
                ("alerts", _) => self.alert().await,
                ("webhook", _) => self.tell_webhook(index).await,
                ("pulse", _) => self.beat().await,
                ("lists", _) => self.lists_and_preflight().await,
                ("housekeep", _) => self.housekeep().await.map(|()| 0),
                ("desk", _) => self.tend_desk().await,
                ("gate", Some(flow)) => self.gate(flow).await,
                ("unanswered", Some(flow)) => self.settle_unanswered(flow).await,
                ("deliver", Some(flow)) => self.deliver(flow).await,
                ("confirm", Some(flow)) => self.confirm(flow).await,
                ("watch", Some(flow)) => self.watch(flow).await,
                _ => no_work().await,
            };
            let (rest, wake) = match name {
                "housekeep" | "watch" | "reconcile" | "silence" | "connections" | "alerts" | "webhook" | "pulse" => {
                    (HOUSEKEEPING, None)
                }
                // Asked for while it was busy: a nudge that nobody waited for is not lost.
                "capture" if self.sides.get(index).is_some_and(|side| self.feed_is_due(side)) => {
                    (BUSY, Some(&self.wakes.capture))
                }
                "capture" => (IDLE, Some(&self.wakes.capture)),
                "stock" => (stock.map_or(IDLE, |stock| self.until(self.stock_reading_due(stock))), Some(&self.wakes.stock)),
                "figures" => (IDLE, Some(&self.wakes.stock)),
                "gate" => (IDLE, Some(&self.wakes.gate)),
                "deliver" => (IDLE, Some(&self.wakes.deliver)),
                "confirm" => (IDLE, Some(&self.wakes.confirm)),
                _ => (IDLE, None),
            };
            let rest = match done {
                Ok(0) => rest,
                Ok(_) => {
                    self.wake_after(name);
                    continue;
                }
                Err(error) => {
                    tracing::error!(verb = name, %error, "the store refused; this verb tries again shortly");
                    STORE_TROUBLE
                }
            };
            let woken = async {
                match wake {
                    Some(wake) => wake.notified().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = woken => {}
                () = tokio::time::sleep(rest) => {}
                _ = stopped.changed() => {}
            }
        }
    }

    /// A step of whatever look at both ends is due.
    async fn reconcile(&self) -> Result<usize> {
        Ok(match self.reconciler.turn().await? {
            Looked::Idle => 0,
            Looked::UnderWay | Looked::Done(_) => 1,
            Looked::Failed(why) => {
                tracing::warn!(%why, "a look at both ends did not come through; it goes on where it stands");
                0
            }
        })
    }

    fn feed_is_due(&self, side: &Side) -> bool {
        self.reads_feed(side) && !self.paused(&side.setup.from) && self.rhythm(side).feed_due(self.now())
    }

    /// Whether a side reads its connection's queue of news. One queue brings news of every kind: whoever captures the first of
    /// them reads it for all.
    pub(crate) fn reads_feed(&self, side: &Side) -> bool {
        let reader = self.sides.iter().find(|other| other.setup.from == side.setup.from && other.is_fed());
        reader.is_some_and(|reader| reader.setup.kind == side.setup.kind)
    }

    /// How long until an instant, but no longer than an idle verb waits.
    fn until(&self, at: Option<Timestamp>) -> Duration {
        at.map_or(IDLE, |at| Duration::try_from(at.duration_since(self.now())).unwrap_or_default().min(IDLE))
    }

    /// Every order of a connection is kept that it had by this instant.
    ///
    /// Only a reading that brings orders says so: one of another kind says nothing of them.
    pub(crate) fn heard_until(&self, connection: &ConnectionName, kinds: &[Kind], through: Timestamp) {
        if !kinds.contains(&Kind::Order) {
            return;
        }
        let kept_at = self.now();
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        let known = news.entry(connection.clone()).or_insert(News { through, kept_at });
        if known.through <= through {
            *known = News { through, kept_at };
        }
        drop(news);
        self.wake_stock();
    }

    /// Until when the orders of a connection are kept.
    pub(crate) fn news(&self, connection: &ConnectionName) -> Option<News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner).get(connection).copied()
    }

    /// Where the orders come from that a target is brought, and until when they are kept.
    pub(crate) fn shops(&self, to: &ConnectionName) -> Vec<(ConnectionName, Option<Timestamp>)> {
        let mut shops: Vec<(ConnectionName, Option<Timestamp>)> = Vec::new();
        for flow in self.flows.iter().filter(|flow| flow.setup.kind == Kind::Order && flow.setup.to == *to) {
            if !shops.iter().any(|(shop, _)| *shop == flow.setup.from) {
                shops.push((flow.setup.from.clone(), self.news(&flow.setup.from).map(|news| news.through)));
            }
        }
        shops
    }

    /// Nudges the verbs of stock.
    pub(crate) fn wake_stock(&self) {
        self.wakes.stock.notify_waiters();
    }

    /// Nudges the readings of orders.
    pub(crate) fn wake_capture(&self) {
        self.wakes.capture.notify_waiters();
    }

    fn wake_after(&self, verb: &'static str) {
        match verb {
            "decode" => self.wakes.gate.notify_waiters(),
            "gate" | "unanswered" => self.wakes.deliver.notify_waiters(),
            "deliver" => self.wakes.confirm.notify_waiters(),
            // A release went a step further.
            "desk" => self.wakes.gate.notify_waiters(),
            _ => {}
        }
    }

    /// Nudges the read-back while a long delivery is still going on.
    pub(crate) fn wake_confirm(&self) {
        self.wakes.confirm.notify_waiters();
    }

    /// Whether the end was asked for: what is under way is finished, and nothing new is begun.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Resolves when something was delivered, or when it is time to look by oneself.
    pub(crate) async fn more_to_confirm(&self) {
        tokio::select! {
            () = self.wakes.confirm.notified() => {}
            () = tokio::time::sleep(IDLE) => {}
        }
    }

    /// Resolves when the gate has cleared something, or when it is time to look by oneself.
    pub(crate) async fn more_to_deliver(&self) {
        tokio::select! {
            () = self.wakes.deliver.notified() => {}
            () = tokio::time::sleep(IDLE) => {}
        }
    }

    /// Writes down the calls spent since the last time and closes exceptions that hold nothing.
    async fn housekeep(&self) -> Result<()> {
        let mut deltas = Vec::new();
        {
            let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
            for (name, connection) in &self.setup.connections {
                for (purpose, total) in connection.traffic.stats().calls {
                    let seen = counted.entry((name.clone(), purpose)).or_default();
                    if total > *seen {
                        deltas.push((name.clone(), purpose, total - *seen));
                        *seen = total;
                    }
                }
            }
        }
        let (brand, now) = (self.brand().clone(), self.now());
        self.store()
            .write(move |tx| {
                for (connection, purpose, count) in &deltas {
                    tx.add_calls(&brand, connection, purpose, *count)?;
                }
                tx.stock_settle_drifts(&brand, now)?;
                tx.close_empty(&brand, now).map(|_| ())
            })
            .await?;
        *self.kept_house.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        Ok(())
    }
}

fn wire_flow(setup: &Setup, flow: &FlowSetup) -> std::result::Result<Flow, Miswired> {
    let wrong = |why: String| Miswired { what: format!("flow {}", flow.name), why };
    let to = setup.connections.get(&flow.to).ok_or_else(|| wrong(format!("there is no connection {}", flow.to)))?;
    let ends = ports::sink(to, flow.kind).ok_or_else(|| wrong(format!("{} takes no {} records", flow.to, flow.kind)))?;
    let mirror = ports::source(to, flow.kind)
        .ok_or_else(|| wrong(format!("{} cannot be read back, so nothing could be confirmed", flow.to)))?;
    let hand = match flow.mode {
        Mode::Live => Hand::Writes(ends.writes),
        Mode::Shadow | Mode::Off => Hand::Compares,
    };
    Ok(Flow { setup: flow.clone(), sink: ends.looks, hand, mirror })
}

fn wire_side(setup: &Setup, side: &CaptureSetup) -> std::result::Result<Side, Miswired> {
    let wrong = |why: String| Miswired { what: format!("capture of {} from {}", side.kind, side.from), why };
    let connection = setup.connections.get(&side.from).ok_or_else(|| wrong(format!("there is no connection {}", side.from)))?;
    let source =
        ports::source(connection, side.kind).ok_or_else(|| wrong(format!("{} offers no {} records", side.from, side.kind)))?;
    Ok(Side { setup: side.clone(), connection: connection.clone(), source })
}

/// A row that another worker moved first is none of our business any more.
pub(crate) fn unless_moved<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(StoreError::Move { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}
