//! The flows: all of them as lines between connections, and one of them whole.

use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use selvedge_flow::{CaptureSetup, Engine, FlowSetup};
use selvedge_model::{Brand, ConnectionName, FlowName, Interval, Kind, Mode, obligation::State};
use selvedge_store::{
    Result, Store, View,
    desk::DeskFilter,
    flows::{Pause, RecentRow},
    intervals::{ProvenRow, ReadingRow},
};
use serde::Serialize;

use super::{BalanceView, Ends, ExceptionView, stock};
use crate::config::words::{Moment, Span};

/// The slots of the picture of throughput, and how long each is.
const SLOTS: usize = 60;
const SLOT: Duration = Duration::from_secs(60);
/// Of how many of the newest rows the latency is told: its p99 rests on fifty of them.
const LATENCY_OF: usize = 5_000;
/// Hours of the chart of one flow.
pub const HOURS: usize = 72;
/// Exceptions shown of one flow.
const EXCEPTIONS_SHOWN: usize = 10;
/// Rows shown of one flow.
const RECENT_SHOWN: usize = 20;
/// Proven readings shown of each way.
const PROVEN_SHOWN: usize = 3;

/// How many rows stand in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StateCount {
    /// The state.
    pub state: State,
    /// Rows in it.
    pub count: u64,
}

/// How long rows take from captured to confirmed, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Latency {
    /// Half of them are quicker.
    pub p50_ms: u64,
    /// One in a hundred is slower.
    pub p99_ms: u64,
}

/// One flow.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FlowView {
    /// Its name.
    pub flow: FlowName,
    /// Of which kind.
    pub kind: Kind,
    /// From.
    pub from: ConnectionName,
    /// To.
    pub to: ConnectionName,
    /// Whether it writes.
    pub mode: Mode,
    /// Rows per state, every state, in the model's order.
    pub states: Vec<StateCount>,
    /// The equation over everything ever captured.
    pub balance: BalanceView,
    /// Rows confirmed per minute over the last hour, oldest first; the last entry is the last sixty seconds.
    pub confirmed_per_minute: Vec<u64>,
    /// How long the newest 5,000 took.
    pub latency: Option<Latency>,
    /// That a person has paused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<Pause>,
    /// When the last record came from its source.
    pub last_arrival: Option<Timestamp>,
    /// When the oldest of what is under way was captured.
    pub oldest_under_way: Option<Timestamp>,
}

/// All flows.
///
/// # Errors
/// The store's.
pub async fn flows(store: &Store, brand: &Brand, ends: &[Ends], now: Timestamp) -> Result<Vec<FlowView>> {
    let (brand, ends) = (brand.clone(), ends.to_vec());
    store.read(move |view| ends.iter().map(|ends| flow(view, &brand, ends, now)).collect()).await
}

pub(super) fn flow(view: &View<'_>, brand: &Brand, ends: &Ends, now: Timestamp) -> Result<FlowView> {
    let counts = view.state_counts(brand, &ends.flow)?;
    let count = |state| counts.iter().find(|(known, _)| *known == state).map_or(0, |(_, count)| *count);
    let balance = view.balance(brand, &[ends.side()], None)?.pop().unwrap_or_default();
    Ok(FlowView {
        flow: ends.flow.clone(),
        kind: ends.kind,
        from: ends.from.clone(),
        to: ends.to.clone(),
        mode: ends.mode,
        states: State::ALL.into_iter().map(|state| StateCount { state, count: count(state) }).collect(),
        balance: balance.into(),
        confirmed_per_minute: view.confirmed_per_slot(brand, &ends.flow, now, SLOT, SLOTS)?,
        latency: view.latency(brand, &ends.flow, LATENCY_OF)?.map(|(p50_ms, p99_ms)| Latency { p50_ms, p99_ms }),
        paused: view.flow_rests(brand, &ends.flow)?,
        last_arrival: view.last_received(brand, &ends.from, ends.kind)?,
        oldest_under_way: view.oldest_under_way(brand, &ends.flow)?,
    })
}

/// One flow as a line between two connections; those of stock among them.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Lane {
    /// Its name.
    pub flow: FlowName,
    /// Of which kind.
    pub kind: Kind,
    /// From.
    pub from: ConnectionName,
    /// To.
    pub to: ConnectionName,
    /// Whether it writes.
    pub mode: Mode,
    /// That a person has paused it.
    pub paused: Option<Pause>,
    /// Records (figures of stock) on their way.
    pub in_flight: u64,
    /// Held by exceptions.
    pub held: u64,
    /// Confirmed; figures that agree.
    pub done: u64,
    /// When something last came from its source.
    pub last_arrival: Option<Timestamp>,
    /// When the oldest of what is under way was captured; of stock: since when the oldest figure may be wrong.
    pub oldest: Option<Timestamp>,
}

impl From<&FlowView> for Lane {
    fn from(flow: &FlowView) -> Self {
        Self {
            flow: flow.flow.clone(),
            kind: flow.kind,
            from: flow.from.clone(),
            to: flow.to.clone(),
            mode: flow.mode,
            paused: flow.paused.clone(),
            in_flight: flow.balance.terms.in_flight,
            held: flow.balance.terms.held,
            done: flow.balance.terms.confirmed + flow.balance.terms.compared,
            last_arrival: flow.last_arrival,
            oldest: flow.oldest_under_way,
        }
    }
}

/// All flows as lines, those of stock behind the others.
///
/// # Errors
/// The store's.
pub async fn lanes(engine: &Engine, now: Timestamp) -> Result<Vec<Lane>> {
    let setup = engine.setup();
    let ends: Vec<Ends> = setup.flows.iter().map(Ends::from).collect();
    let mut lanes: Vec<Lane> = flows(&setup.store, &setup.brand, &ends, now).await?.iter().map(Lane::from).collect();
    let warehouses = stock::status(&setup.store, &setup.brand, &setup.stocks, now).await?;
    let (brand, names) = (setup.brand.clone(), setup.stocks.iter().map(|one| one.name.clone()).collect::<Vec<_>>());
    let pauses =
        setup.store.read(move |view| names.iter().map(|name| view.flow_pause(&brand, name)).collect::<Result<Vec<_>>>()).await?;
    for (one, paused) in setup.stocks.iter().zip(pauses) {
        let of = || warehouses.iter().filter(|warehouse| warehouse.flow == one.name.as_str());
        let age = of().map(|warehouse| warehouse.freshness.max_ms).max().filter(|ms| *ms > 0);
        lanes.push(Lane {
            flow: one.name.clone(),
            kind: Kind::Stock,
            from: one.from.clone(),
            to: one.to.clone(),
            mode: Mode::Live,
            paused,
            in_flight: of().map(|warehouse| warehouse.balance.in_flight).sum(),
            held: of().map(|warehouse| warehouse.balance.held).sum(),
            done: of().map(|warehouse| warehouse.balance.agreed).sum(),
            last_arrival: of().filter_map(|warehouse| warehouse.proven_at).max(),
            oldest: age.and_then(|ms| now.checked_sub(Duration::from_millis(ms)).ok()),
        });
    }
    Ok(lanes)
}

/// A setting of a flow, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RuleView {
    /// What.
    pub what: &'static str,
    /// How it is set.
    pub value: String,
}

/// How a flow's source is read, and what of it is proven.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ReadingView {
    /// Nothing older than this is captured.
    pub since: Timestamp,
    /// Whole readings, the newest of each way.
    pub proven: Vec<ProvenView>,
    /// Stretches that lie between proven ones and are covered by none.
    pub holes: Vec<Interval>,
    /// The sweep that is under way: what it covers, and what it has seen so far.
    pub sweep: Option<ProvenView>,
}

/// One whole reading, or one that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ProvenView {
    /// Which way: poll or sweep.
    pub via: String,
    /// What it covers.
    pub interval: Interval,
    /// Documents seen.
    pub seen: u64,
    /// Documents that nothing else had brought.
    pub news: u64,
    /// When it was whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

impl From<ProvenRow> for ProvenView {
    fn from(row: ProvenRow) -> Self {
        Self { via: row.via, interval: row.interval, seen: row.seen, news: row.news, at: Some(row.at) }
    }
}

impl From<ReadingRow> for ProvenView {
    fn from(row: ReadingRow) -> Self {
        Self { via: row.via, interval: row.interval, seen: row.seen, news: row.news, at: None }
    }
}

/// One flow whole.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FlowDetail {
    /// Where it stands.
    pub lane: Lane,
    /// Its states and its equation; none for a flow of stock, whose figures are under Stock.
    pub flow: Option<FlowView>,
    /// Confirmed or compared in each of the last 72 hours, oldest first; the last one is not over.
    pub hours: Vec<u64>,
    /// How it is set up.
    pub rules: Vec<RuleView>,
    /// How its source is read; none for kinds for which nothing is read.
    pub reading: Option<ReadingView>,
    /// The flow of customers that comes with it, and is paused and resumed with it.
    #[serde(skip)]
    pub customers: Option<FlowName>,
    /// Its open exceptions, the highest impact first.
    pub exceptions: Vec<ExceptionView>,
    /// What was captured last.
    pub recent: Vec<RecentRow>,
}

fn capture_of<'a>(engine: &'a Engine, from: &ConnectionName, kind: Kind) -> Option<&'a CaptureSetup> {
    engine.setup().captures.iter().find(|side| side.from == *from && side.kind == kind)
}

/// One flow; nothing if there is none of this name.
///
/// # Errors
/// The store's.
pub async fn detail(engine: &Engine, name: &FlowName, now: Timestamp) -> Result<Option<FlowDetail>> {
    let setup = engine.setup();
    let Some(lane) = lanes_of(engine, name, now).await? else { return Ok(None) };
    let flow_setup = setup.flows.iter().find(|flow| flow.name == *name);
    let capture = capture_of(engine, &lane.from, lane.kind);
    let mut rules = flow_setup.map(rules).unwrap_or_default();
    rules.extend(capture.into_iter().flat_map(reading_rules));
    let ends = flow_setup.map(Ends::from);
    let customers =
        (lane.kind == Kind::Order).then(|| name.customers()).filter(|one| setup.flows.iter().any(|flow| flow.name == *one));
    let since = capture.map(|side| side.since);
    let (brand, name) = (setup.brand.clone(), name.clone());
    let (from, kind) = (lane.from.clone(), lane.kind);
    let found = setup.store.read(move |view| {
        let flow = ends.map(|ends| flow(view, &brand, &ends, now)).transpose()?;
        let of_flow = DeskFilter { flows: Some(vec![name.clone()]), ..DeskFilter::default() };
        let reading = match since {
            None => None,
            Some(since) => Some(ReadingView {
                since,
                proven: view.proven(&brand, &from, kind, PROVEN_SHOWN)?.into_iter().map(ProvenView::from).collect(),
                holes: view.holes(&brand, &from, kind)?,
                sweep: view.reading(&brand, &from, kind, "sweep")?.map(ProvenView::from),
            }),
        };
        let exceptions = view.desk(&brand, &of_flow, None, EXCEPTIONS_SHOWN)?;
        let hours = view.done_per_hour(&brand, &name, now, HOURS)?;
        Ok((flow, hours, reading, exceptions.rows, view.recent(&brand, &name, RECENT_SHOWN)?))
    });
    let (flow, hours, reading, exceptions, recent) = found.await?;
    let exceptions = exceptions.into_iter().map(ExceptionView::from).collect();
    Ok(Some(FlowDetail { lane, flow, hours, rules, reading, customers, exceptions, recent }))
}

/// The line of one flow.
async fn lanes_of(engine: &Engine, name: &FlowName, now: Timestamp) -> Result<Option<Lane>> {
    let setup = engine.setup();
    if setup.stocks.iter().any(|one| one.name == *name) {
        return Ok(lanes(engine, now).await?.into_iter().find(|lane| lane.flow == *name));
    }
    let Some(ends) = setup.flows.iter().find(|flow| flow.name == *name).map(Ends::from) else { return Ok(None) };
    Ok(flows(&setup.store, &setup.brand, &[ends], now).await?.first().map(Lane::from))
}

fn span(time: Duration) -> String {
    Span(time).to_string()
}

/// How a flow is set up, in words.
fn rules(flow: &FlowSetup) -> Vec<RuleView> {
    let mut rules = Vec::new();
    let mut say = |what: &'static str, value: String| rules.push(RuleView { what, value });
    let passes = |may: bool| if may { "pass" } else { "do not pass" }.to_owned();
    if flow.kind == Kind::Order {
        let policy = &flow.policy;
        let all = || "all".to_owned();
        let named = |list: Vec<String>, none: fn() -> String| if list.is_empty() { none() } else { list.join(", ") };
        say("Currencies", named(policy.currencies.iter().map(ToString::to_string).collect(), all));
        say("Orders without payment", passes(policy.unpaid));
        say("Orders that the shop has not confirmed", if policy.pending { "pass" } else { "wait" }.to_owned());
        say("Internal orders", if policy.internal { "pass" } else { "are excluded" }.to_owned());
        say("An address needs", format!("country, {}", policy.address_fields.join(", ")));
        say("A total may be off by", format!("{} minor units", policy.totals_tolerance_minor));
    }
    if flow.kind == Kind::Product
        && let Some(every) = flow.watch_every
    {
        say("Changes at the target are looked for every", span(every));
    }
    say("Writes and read-backs at once", flow.parallel.to_string());
    say("A lost answer is looked for again after", span(flow.unanswered_wait));
    say("Passing failures in a row before a person is asked", flow.retries_max.to_string());
    say("Waits after a failure", format!("{}, doubled up to {}", span(flow.backoff_first), span(flow.backoff_max)));
    rules
}

/// How news of its source is found, in words.
fn reading_rules(side: &CaptureSetup) -> Vec<RuleView> {
    let every = |time: Option<Duration>| time.map_or_else(|| "off".to_owned(), |time| format!("every {}", span(time)));
    vec![
        RuleView { what: "Queue of news", value: every(side.feed_every) },
        RuleView { what: "Polls", value: every(side.poll_every) },
        RuleView { what: "Sweeps", value: format!("{}, looking {} back", every(side.sweep_every), span(side.sweep_back)) },
    ]
}

/// What a sweep that somebody wants would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SweepView {
    /// Whose documents.
    pub from: ConnectionName,
    /// Of which kind.
    pub kind: Kind,
    /// What would be enumerated.
    pub interval: Interval,
    /// Whether it begins later than asked: nothing older is captured.
    pub cut: bool,
    /// Records that came from there in that time.
    pub known: u64,
    /// Stretches of it that nothing has proven.
    pub holes: Vec<Interval>,
}

/// What a sweep from a moment on would do.
///
/// # Errors
/// The store's; inside: why there is none, in a sentence.
pub async fn sweep(
    engine: &Engine,
    name: &FlowName,
    since: &str,
    now: Timestamp,
) -> Result<std::result::Result<SweepView, String>> {
    let setup = engine.setup();
    let ends = setup.flows.iter().find(|flow| flow.name == *name);
    let Some(side) = ends.and_then(|flow| capture_of(engine, &flow.from, flow.kind)) else {
        return Ok(Err(format!("Nothing is read by itself for {name}, so there is nothing to sweep.")));
    };
    let since = match since.trim().parse::<Moment>() {
        Ok(since) => since.instant(now),
        Err(unclear) => return Ok(Err(format!("{unclear}. Write it as 3d, 12h or 2026-11-01T00:00:00Z."))),
    };
    let to = now.checked_sub(side.poll_lag).unwrap_or(now);
    let from = since.max(side.since);
    if from >= to {
        return Ok(Err("That lies ahead, so there is nothing to sweep yet.".to_owned()));
    }
    let interval = Interval { from, to };
    let (brand, connection, kind) = (setup.brand.clone(), side.from.clone(), side.kind);
    let (known, holes) = setup
        .store
        .read(move |view| {
            let until_now = Interval { from, to: now };
            Ok((view.received_in(&brand, &connection, kind, until_now)?, view.holes(&brand, &connection, kind)?))
        })
        .await?;
    let holes = holes.into_iter().filter(|hole| hole.to > from && hole.from < to).collect();
    Ok(Ok(SweepView { from: side.from.clone(), kind: side.kind, interval, cut: since < side.since, known, holes }))
}
