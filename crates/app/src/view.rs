//! What there is to see, as values: pages, API and command line show the same ones and add no
//! logic of their own.
//!
//! Each function is one consistent look at the store. What only the running engine knows (how
//! much of a budget is used this second) is handed in as [`Line`]s, so that the command line can
//! ask the same questions of a store that nobody is running.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use rust_decimal::Decimal;
use selvedge_connector::{Connection, SessionStats};
use selvedge_flow::FlowSetup;
use selvedge_model::{
    AnyRecord, Brand, ConnectionName, ExceptionId, ExternalId, FlowName, Interval, Kind, Money, ObligationId, Order, Problem, RecordId, RecordKey,
    compare::{Carries, Difference, compare},
    obligation::State,
};
use selvedge_store::{
    Result, Store, StoreError, View,
    exceptions::ExceptionRow,
    mappings::{MappingChange, MappingRow},
    obligations::{Balance, FlowSide, ObligationRow},
    records::{RecordLine, RecordRow},
};
use serde::{Deserialize, Serialize};

/// How many records an exception is shown to hold; the count beside it is the whole truth.
const HELD_SHOWN_MAX: usize = 100;
/// How many lines a list of orders has at most.
pub const ORDERS_MAX: usize = 500;
/// How many changes of mappings are shown.
const HISTORY_MAX: usize = 100;
/// The longest reason.
const REASON_CHARS_MAX: usize = 500;
/// The slots of the picture of throughput, and how long each is.
const SLOTS: usize = 60;
const SLOT: Duration = Duration::from_secs(60);

/// The two ends of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The flow.
    pub flow: FlowName,
    /// Of which kind.
    pub kind: Kind,
    /// From.
    pub from: ConnectionName,
    /// To.
    pub to: ConnectionName,
}

impl From<&FlowSetup> for Ends {
    fn from(setup: &FlowSetup) -> Self {
        Self { flow: setup.name.clone(), kind: setup.kind, from: setup.from.clone(), to: setup.to.clone() }
    }
}

impl Ends {
    fn side(&self) -> FlowSide {
        FlowSide { flow: self.flow.clone(), from: self.from.clone(), kind: self.kind }
    }
}

/// A connection as the running engine sees it.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its name.
    pub connection: ConnectionName,
    /// The connector's name.
    pub system: &'static str,
    /// What its session has done since the start.
    pub stats: SessionStats,
}

impl Line {
    /// As it stands now.
    pub fn of(name: &ConnectionName, connection: &Connection) -> Self {
        Self { connection: name.clone(), system: connection.system, stats: connection.session.stats() }
    }
}

/// The equation of one flow, and whether it comes out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BalanceView {
    /// Its terms.
    #[serde(flatten)]
    pub terms: Balance,
    /// Captured minus the sum of the rest: zero, or something was lost or made up.
    pub difference: i64,
    /// Whether the difference is zero.
    pub balanced: bool,
}

impl From<Balance> for BalanceView {
    fn from(terms: Balance) -> Self {
        let difference = terms.difference();
        let shown = i64::try_from(difference).unwrap_or(if difference < 0 { i64::MIN } else { i64::MAX });
        Self { terms, difference: shown, balanced: difference == 0 }
    }
}

/// How many rows stand in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct StateCount {
    /// The state.
    pub state: State,
    /// Rows in it.
    pub count: u64,
}

/// How long rows take from captured to confirmed, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// Half of them are quicker.
    pub p50_ms: u64,
    /// One in a hundred is slower.
    pub p99_ms: u64,
}

/// One flow.
#[derive(Clone, Debug, Serialize)]
pub struct FlowView {
    /// Its name.
    pub flow: FlowName,
    /// Of which kind.
    pub kind: Kind,
    /// From.
    pub from: ConnectionName,
    /// To.
    pub to: ConnectionName,
    /// Rows per state, every state, in the model's order.
    pub states: Vec<StateCount>,
    /// The equation over everything ever captured.
    pub balance: BalanceView,
    /// Rows confirmed per minute over the last hour, oldest first; the last entry is the last sixty seconds.
    pub confirmed_per_minute: Vec<u64>,
    /// How long the newest 50,000 took.
    pub latency: Option<Latency>,
}

/// All flows.
///
/// # Errors
/// The store's.
pub async fn flows(store: &Store, brand: &Brand, ends: &[Ends], now: Timestamp) -> Result<Vec<FlowView>> {
    let (brand, ends) = (brand.clone(), ends.to_vec());
    store.read(move |view| ends.iter().map(|ends| flow(view, &brand, ends, now)).collect()).await
}

fn flow(view: &View<'_>, brand: &Brand, ends: &Ends, now: Timestamp) -> Result<FlowView> {
    let counts = view.state_counts(brand, &ends.flow)?;
    let count = |state| counts.iter().find(|(known, _)| *known == state).map_or(0, |(_, count)| *count);
    let balance = view.balance(brand, &[ends.side()], None)?.pop().unwrap_or_default();
    Ok(FlowView {
        flow: ends.flow.clone(),
        kind: ends.kind,
        from: ends.from.clone(),
        to: ends.to.clone(),
        states: State::ALL.into_iter().map(|state| StateCount { state, count: count(state) }).collect(),
        balance: balance.into(),
        confirmed_per_minute: view.confirmed_per_slot(brand, &ends.flow, now, SLOT, SLOTS)?,
        latency: view.latency(brand, &ends.flow)?.map(|(p50_ms, p99_ms)| Latency { p50_ms, p99_ms }),
    })
}

/// The equation per flow, over what was captured in the window (everything if `None`).
///
/// # Errors
/// The store's.
pub async fn balance(store: &Store, brand: &Brand, ends: &[Ends], window: Option<Interval>) -> Result<Vec<BalanceView>> {
    let (brand, sides) = (brand.clone(), ends.iter().map(Ends::side).collect::<Vec<_>>());
    let balances = store.read(move |view| view.balance(&brand, &sides, window)).await?;
    Ok(balances.into_iter().map(BalanceView::from).collect())
}

/// What changes when anything moves: few numbers, cheap to ask for once a second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pulse {
    /// Per flow, the rows per state that any are in.
    pub flows: BTreeMap<String, BTreeMap<&'static str, u64>>,
    /// Open exceptions.
    pub exceptions: usize,
}

/// The pulse.
///
/// # Errors
/// The store's.
pub async fn pulse(store: &Store, brand: &Brand, ends: &[Ends]) -> Result<Pulse> {
    let (brand, ends) = (brand.clone(), ends.to_vec());
    store
        .read(move |view| {
            let mut flows = BTreeMap::new();
            for ends in &ends {
                let counts = view.state_counts(&brand, &ends.flow)?;
                flows.insert(ends.flow.0.clone(), counts.into_iter().map(|(state, count)| (state.word(), count)).collect());
            }
            Ok(Pulse { flows, exceptions: view.exceptions(&brand, false)?.len() })
        })
        .await
}

/// Where a record stands in one flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The flow.
    pub flow: FlowName,
    /// The state of its newest revision there.
    pub state: State,
}

/// A line of a list of orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OrderLine {
    /// The order's number.
    pub number: RecordKey,
    /// Latest revision.
    pub revision: u32,
    /// When the latest arrived.
    pub received_at: Timestamp,
    /// Gross amount and currency; empty for one that could not be read.
    pub amount: String,
    /// Who.
    pub who: String,
    /// Where it stands, flow by flow.
    pub standings: Vec<Standing>,
}

/// The newest orders that contain `search` in number, name, e-mail or SKU (empty = all); at most [`ORDERS_MAX`].
///
/// # Errors
/// The store's.
pub async fn orders(store: &Store, brand: &Brand, ends: &[Ends], search: &str, limit: usize) -> Result<Vec<OrderLine>> {
    let (brand, search) = (brand.clone(), search.to_owned());
    let ends: Vec<Ends> = ends.iter().filter(|ends| ends.kind == Kind::Order).cloned().collect();
    store
        .read(move |view| {
            let lines = view.records(&brand, Kind::Order, &search, limit.min(ORDERS_MAX))?;
            lines.into_iter().map(|line| order_line(view, &brand, &ends, line)).collect()
        })
        .await
}

fn order_line(view: &View<'_>, brand: &Brand, ends: &[Ends], line: RecordLine) -> Result<OrderLine> {
    let mut standings = Vec::new();
    for ends in ends {
        if let Some(row) = view.obligation_latest(brand, &ends.flow, &line.key)? {
            standings.push(Standing { flow: row.flow, state: row.state });
        }
    }
    let RecordLine { key, revision, received_at, amount, who } = line;
    Ok(OrderLine { number: key, revision, received_at, amount, who, standings })
}

/// One revision of an order.
#[derive(Clone, Debug, Serialize)]
pub struct RevisionView {
    /// Its row.
    pub id: RecordId,
    /// Counted from 1.
    pub revision: u32,
    /// When it arrived here.
    pub received_at: Timestamp,
    /// When the source says that it was made.
    pub version: Option<Timestamp>,
    /// What decoding found.
    pub problems: Vec<Problem>,
    /// What it changed against the revision before it; `expected` is the old value, `actual` the new one.
    pub changes: Vec<Difference>,
}

/// One line of a timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StepView {
    /// When.
    pub at: Timestamp,
    /// Which verb.
    pub verb: String,
    /// What came of it.
    pub outcome: String,
    /// In a sentence; may be empty.
    pub detail: String,
    /// Milliseconds since the raw bytes arrived.
    pub since_captured_ms: u64,
    /// Milliseconds since the line before.
    pub since_last_ms: u64,
}

/// One resolved mapping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ResolvedView {
    /// Which table.
    pub table: String,
    /// Which key.
    pub key: String,
    /// The target's id.
    pub value: String,
}

/// One debt with its timeline.
#[derive(Clone, Debug, Serialize)]
pub struct ObligationView {
    /// Its row.
    pub id: ObligationId,
    /// In which flow.
    pub flow: FlowName,
    /// Kind of record.
    pub kind: Kind,
    /// Our key.
    pub key: RecordKey,
    /// Which revision is owed.
    pub revision: u32,
    /// Where it stands.
    pub state: State,
    /// How often a write was tried.
    pub attempts: u32,
    /// Their id, once known.
    pub target: Option<ExternalId>,
    /// The exception that holds it.
    pub exception: Option<ExceptionId>,
    /// The obligation that it waits for.
    pub waits_for: Option<ObligationId>,
    /// Why it is excluded or dismissed, or what it last met with.
    pub note: Option<String>,
    /// Start of its clock.
    pub captured_at: Timestamp,
    /// When it is next looked at, while it is in flight.
    pub due_at: Option<Timestamp>,
    /// When it settled.
    pub settled_at: Option<Timestamp>,
    /// Milliseconds from captured to settled.
    pub took_ms: Option<u64>,
    /// What the gate resolved.
    pub resolved: Vec<ResolvedView>,
    /// What happened, oldest first.
    pub steps: Vec<StepView>,
}

/// Our key and their id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BindingView {
    /// Of which kind.
    pub kind: Kind,
    /// Our key.
    pub key: RecordKey,
    /// At which connection.
    pub connection: ConnectionName,
    /// Their id.
    pub id: ExternalId,
}

/// Everything that happened to one order, everywhere.
#[derive(Clone, Debug, Serialize)]
pub struct OrderStory {
    /// Its number: our key.
    pub number: RecordKey,
    /// From which connection.
    pub from: ConnectionName,
    /// The latest revision; `None` when its bytes could not be read.
    pub order: Option<Order>,
    /// The revisions, oldest first.
    pub revisions: Vec<RevisionView>,
    /// What is owed for it and for its customer, flow by flow, oldest revision first.
    pub obligations: Vec<ObligationView>,
    /// Our numbers and their ids.
    pub bindings: Vec<BindingView>,
    /// The exceptions that hold any of it.
    pub exceptions: Vec<ExceptionView>,
}

/// The story of one order; `None` when there is no such order.
///
/// # Errors
/// The store's.
pub async fn order_story(store: &Store, brand: &Brand, number: &RecordKey) -> Result<Option<OrderStory>> {
    let (brand, number) = (brand.clone(), number.clone());
    store.read(move |view| story(view, &brand, number)).await
}

fn story(view: &View<'_>, brand: &Brand, number: RecordKey) -> Result<Option<OrderStory>> {
    let rows = view.revisions(brand, Kind::Order, &number)?;
    let Some(latest) = rows.last() else { return Ok(None) };
    let from = latest.connection.clone();
    let order = match &latest.record {
        AnyRecord::Order(order) => Some(order.as_ref().clone()),
        AnyRecord::Customer(_) | AnyRecord::Unreadable(_) => None,
    };
    let mut records = vec![(Kind::Order, number.clone())];
    if let Some(customer) = order.as_ref().and_then(|order| order.customer.as_ref()) {
        records.push((Kind::Customer, customer.key.clone()));
    }
    let (mut obligations, mut bindings) = (Vec::new(), Vec::new());
    for (kind, key) in records {
        for row in view.obligations_of(brand, kind, &key)? {
            obligations.push(obligation(view, row)?);
        }
        let ties = view.bindings_of(brand, kind, &key)?;
        bindings.extend(ties.into_iter().map(|(connection, id)| BindingView { kind, key: key.clone(), connection, id }));
    }
    let mut held_by: Vec<ExceptionId> = obligations.iter().filter_map(|row| row.exception).collect();
    held_by.sort_unstable();
    held_by.dedup();
    let exceptions = held_by.into_iter().map(|id| view.exception(id).map(ExceptionView::from)).collect::<Result<_>>()?;
    Ok(Some(OrderStory { number, from, order, revisions: revisions(&rows), obligations, bindings, exceptions }))
}

/// Every field counts when a revision is compared with the one before.
const EVERYTHING: Carries = Carries {
    line_tax: true,
    shipping_address: true,
    billing_address: true,
    customer: true,
    status: true,
    shipping_charge: true,
    placed_on: true,
};

fn revisions(rows: &[RecordRow]) -> Vec<RevisionView> {
    let before = std::iter::once(None).chain(rows.iter().map(Some));
    rows.iter()
        .zip(before)
        .map(|(row, before)| RevisionView {
            id: row.id,
            revision: row.revision,
            received_at: row.received_at,
            version: row.version,
            problems: row.problems.clone(),
            changes: before.map(|before| compare(&before.record, &row.record, EVERYTHING)).unwrap_or_default(),
        })
        .collect()
}

/// Whole milliseconds between two instants; zero when the second lies before the first.
fn ms_between(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.as_millisecond().saturating_sub(from.as_millisecond())).unwrap_or(0)
}

fn obligation(view: &View<'_>, row: ObligationRow) -> Result<ObligationView> {
    let mut last = row.captured_at;
    let mut steps = Vec::new();
    for line in view.story(row.id)? {
        steps.push(StepView {
            since_captured_ms: ms_between(row.captured_at, line.at),
            since_last_ms: ms_between(last, line.at),
            at: line.at,
            verb: line.verb,
            outcome: line.outcome,
            detail: line.detail,
        });
        last = line.at;
    }
    let resolved = row.values.iter().map(|(table, key, value)| ResolvedView { table: table.into(), key: key.into(), value: value.into() });
    Ok(ObligationView {
        id: row.id,
        resolved: resolved.collect(),
        flow: row.flow,
        kind: row.kind,
        key: row.key,
        revision: row.revision,
        state: row.state,
        attempts: row.attempts,
        target: row.target,
        exception: row.exception,
        waits_for: row.waits_for,
        note: row.note,
        captured_at: row.captured_at,
        due_at: (row.state.in_flight() && row.waits_for.is_none()).then_some(row.due_at),
        settled_at: row.settled_at,
        took_ms: row.settled_at.map(|settled| ms_between(row.captured_at, settled)),
        steps,
    })
}

/// One exception.
#[derive(Clone, Debug, Serialize)]
pub struct ExceptionView {
    /// Its row.
    pub id: ExceptionId,
    /// In which flow; empty for one about a connection.
    pub flow: FlowName,
    /// By which rule it was found.
    pub rule: String,
    /// Where in the record.
    pub path: String,
    /// What stood there.
    pub value: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
    /// Whether anyone has to look.
    pub open: bool,
    /// How many records it holds now.
    pub count: u64,
    /// How much money it holds, an amount per currency.
    pub money: Vec<String>,
    /// When it was first met.
    pub first_seen_at: Timestamp,
    /// When it was last met.
    pub last_seen_at: Timestamp,
    /// When and why it closed.
    pub closed: Option<String>,
    /// The root cause that groups it.
    pub cause: String,
}

impl From<ExceptionRow> for ExceptionView {
    fn from(row: ExceptionRow) -> Self {
        let Problem { rule, path, value, message, remedy, cause } = row.problem;
        Self {
            id: row.id,
            flow: row.flow,
            rule,
            path,
            value,
            message,
            remedy,
            open: row.open,
            count: row.count,
            money: row.money,
            first_seen_at: row.first_seen_at,
            last_seen_at: row.last_seen_at,
            closed: row.closed,
            cause,
        }
    }
}

/// Exceptions of one rule.
#[derive(Clone, Debug, Serialize)]
pub struct ExceptionGroup {
    /// The rule.
    pub rule: String,
    /// How many records they hold together.
    pub count: u64,
    /// How much money they hold together, an amount per currency.
    pub money: Vec<String>,
    /// When the first of them was first met.
    pub first_seen_at: Timestamp,
    /// When the last of them was last met.
    pub last_seen_at: Timestamp,
    /// The exceptions, the ones that hold most first.
    pub exceptions: Vec<ExceptionView>,
}

/// The exceptions (open ones only unless `all`), the ones that hold most first.
///
/// # Errors
/// The store's.
pub async fn exceptions(store: &Store, brand: &Brand, all: bool) -> Result<Vec<ExceptionView>> {
    let brand = brand.clone();
    let rows = store.read(move |view| view.exceptions(&brand, all)).await?;
    Ok(rows.into_iter().map(ExceptionView::from).collect())
}

/// The same by rule: the rule that holds most first.
pub fn by_rule(exceptions: Vec<ExceptionView>) -> Vec<ExceptionGroup> {
    let mut groups: Vec<ExceptionGroup> = Vec::new();
    for exception in exceptions {
        match groups.iter_mut().find(|group| group.rule == exception.rule) {
            Some(group) => {
                group.count = group.count.saturating_add(exception.count);
                group.first_seen_at = group.first_seen_at.min(exception.first_seen_at);
                group.last_seen_at = group.last_seen_at.max(exception.last_seen_at);
                group.exceptions.push(exception);
            }
            None => groups.push(ExceptionGroup {
                rule: exception.rule.clone(),
                count: exception.count,
                money: Vec::new(),
                first_seen_at: exception.first_seen_at,
                last_seen_at: exception.last_seen_at,
                exceptions: vec![exception],
            }),
        }
    }
    for group in &mut groups {
        group.money = total(group.exceptions.iter().flat_map(|exception| &exception.money));
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    groups
}

/// Amounts added up per currency. They come as the store writes them: `18200.00 EUR`; one that
/// does not read so, or that no longer fits, is listed by itself rather than lost.
pub fn total<'a>(amounts: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let (mut sums, mut others) = (BTreeMap::<&str, Decimal>::new(), Vec::new());
    for text in amounts {
        let read = text.split_once(' ').and_then(|(amount, currency)| Some((amount.parse::<Decimal>().ok()?, currency)));
        let added = read.and_then(|(amount, currency)| Some((sums.get(currency).copied().unwrap_or_default().checked_add(amount)?, currency)));
        match added {
            Some((sum, currency)) => {
                sums.insert(currency, sum);
            }
            None => others.push(text.clone()),
        }
    }
    sums.into_iter().map(|(currency, sum)| format!("{sum} {currency}")).chain(others).collect()
}

/// A record that an exception holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeldView {
    /// Its obligation.
    pub obligation: ObligationId,
    /// Of which kind.
    pub kind: Kind,
    /// Our key.
    pub key: RecordKey,
}

/// The mapping that would settle an exception.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MappingAsked {
    /// For which target; `None` when the flow is not configured any more.
    pub connection: Option<ConnectionName>,
    /// Which table.
    pub table: String,
    /// Which key.
    pub key: String,
}

/// One exception with what it holds.
#[derive(Clone, Debug, Serialize)]
pub struct ExceptionDetail {
    /// The exception.
    #[serde(flatten)]
    pub exception: ExceptionView,
    /// What it holds, oldest first; at most 100 of them.
    pub holds: Vec<HeldView>,
    /// The mapping that would settle it, if one would.
    pub mapping: Option<MappingAsked>,
}

/// One exception; `None` when there is no such exception.
///
/// # Errors
/// The store's.
pub async fn exception(store: &Store, ends: &[Ends], id: ExceptionId) -> Result<Option<ExceptionDetail>> {
    let ends = ends.to_vec();
    store
        .read(move |view| {
            let exception = match view.exception(id) {
                Err(StoreError::Absent(_)) => return Ok(None),
                other => ExceptionView::from(other?),
            };
            let mut holds = Vec::new();
            for (obligation, key) in view.held_by(id, HELD_SHOWN_MAX)? {
                let kind = view.obligation(obligation)?.kind;
                holds.push(HeldView { obligation, kind, key: RecordKey(key) });
            }
            let mapping = mapping_asked(&exception, &ends);
            Ok(Some(ExceptionDetail { exception, holds, mapping }))
        })
        .await
}

fn mapping_asked(exception: &ExceptionView, ends: &[Ends]) -> Option<MappingAsked> {
    let table = exception.rule.strip_prefix("mapping.")?;
    let key = exception.cause.strip_prefix(&exception.rule)?.strip_prefix(':')?;
    let connection = ends.iter().find(|ends| ends.flow == exception.flow).map(|ends| ends.to.clone());
    Some(MappingAsked { connection, table: table.to_owned(), key: key.to_owned() })
}

/// The mapping tables and who changed them.
#[derive(Clone, Debug, Serialize)]
pub struct MappingsView {
    /// What is set.
    pub mappings: Vec<MappingRow>,
    /// The last changes, newest first.
    pub history: Vec<MappingChange>,
}

/// The mapping tables and who changed them.
///
/// # Errors
/// The store's.
pub async fn mappings(store: &Store, brand: &Brand) -> Result<MappingsView> {
    let brand = brand.clone();
    store.read(move |view| Ok(MappingsView { mappings: view.mappings(&brand)?, history: view.mapping_history(&brand, HISTORY_MAX)? })).await
}

/// A mapping that somebody wants to set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct MappingWanted {
    /// For which target.
    pub connection: ConnectionName,
    /// Which table.
    pub table: String,
    /// Which key: `market=2,method=express`, or `*`.
    pub key: String,
    /// The target's id; `None` removes the entry.
    pub value: Option<String>,
}

impl MappingWanted {
    /// The same, trimmed, if it makes sense.
    ///
    /// # Errors
    /// What is wrong, in a sentence.
    pub fn checked(self, known: &[ConnectionName]) -> std::result::Result<Self, String> {
        let wanted = Self {
            connection: ConnectionName(self.connection.as_str().trim().to_owned()),
            table: self.table.trim().to_owned(),
            key: self.key.trim().to_owned(),
            value: self.value.map(|value| value.trim().to_owned()),
        };
        if !known.contains(&wanted.connection) {
            let names = known.iter().map(ConnectionName::as_str).collect::<Vec<_>>().join(", ");
            return Err(format!("There is no connection {:?}. These are configured: {names}.", wanted.connection.as_str()));
        }
        let table_reads = !wanted.table.is_empty() && wanted.table.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !table_reads || wanted.table.len() > 64 {
            return Err("A table is named in small letters, digits and underscores, as in shipping_item.".to_owned());
        }
        let key_reads = wanted.key == "*" || wanted.key.split(',').all(|part| part.split_once('=').is_some_and(|(name, _)| !name.is_empty()));
        if !key_reads || wanted.key.len() > 1_000 {
            return Err("A key reads name=value, several joined by commas, as in market=2,method=express; * is the table's default.".to_owned());
        }
        if wanted.value.as_ref().is_some_and(|value| value.is_empty() || value.len() > 200) {
            return Err("Give the id that the target uses, at most 200 characters.".to_owned());
        }
        Ok(wanted)
    }
}

/// The reason for letting go of what an exception holds, trimmed, if it is one.
///
/// # Errors
/// What is wrong, in a sentence.
pub fn reason(text: &str) -> std::result::Result<String, String> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err("Give a reason: it is kept with every record that is let go.".to_owned()),
        1..=REASON_CHARS_MAX => Ok(text.to_owned()),
        _ => Err(format!("A reason has at most {REASON_CHARS_MAX} characters.")),
    }
}

/// Calls spent on one purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PurposeCalls {
    /// What for.
    pub purpose: String,
    /// How many.
    pub calls: u64,
}

/// One limit of a platform and how much of it is used now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WindowView {
    /// What it counts.
    pub name: String,
    /// Over how many seconds.
    pub seconds: u64,
    /// How much is granted.
    pub quota: u64,
    /// How much is used now.
    pub used: u64,
}

/// What one connection has spent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConnectionCalls {
    /// The connection.
    pub connection: ConnectionName,
    /// The connector's name, when the engine runs.
    pub system: Option<&'static str>,
    /// Calls ever.
    pub calls: u64,
    /// Calls per confirmed order, two decimals.
    pub per_order: Option<String>,
    /// By purpose.
    pub purposes: Vec<PurposeCalls>,
    /// The platform's limits.
    pub windows: Vec<WindowView>,
    /// Calls answered "too many", since the start.
    pub throttled: u64,
    /// Calls that got no answer, since the start.
    pub lost: u64,
    /// Calls under way.
    pub under_way: usize,
    /// Calls waiting for room.
    pub waiting: usize,
    /// Whether the connection rests after failures in a row.
    pub breaker_open: bool,
    /// Whether the platform asked for a pause.
    pub paused: bool,
}

/// What is spent of the scarce thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallsView {
    /// Orders confirmed, counted once per flow that confirmed them.
    pub orders: u64,
    /// Calls on all connections per confirmed order, two decimals; `None` before the first.
    pub per_order: Option<String>,
    /// Per connection.
    pub connections: Vec<ConnectionCalls>,
}

/// Calls spent. `lines` is what the running engine sees; empty where none runs.
///
/// # Errors
/// The store's.
pub async fn calls(store: &Store, brand: &Brand, ends: &[Ends], lines: Vec<Line>) -> Result<CallsView> {
    let (brand, ends) = (brand.clone(), ends.to_vec());
    store.read(move |view| calls_in(view, &brand, &ends, lines)).await
}

fn calls_in(view: &View<'_>, brand: &Brand, ends: &[Ends], lines: Vec<Line>) -> Result<CallsView> {
    let mut orders = 0_u64;
    for ends in ends.iter().filter(|ends| ends.kind == Kind::Order) {
        let counts = view.state_counts(brand, &ends.flow)?;
        orders += counts.into_iter().find(|(state, _)| *state == State::Confirmed).map_or(0, |(_, count)| count);
    }
    let mut spent = BTreeMap::<String, Vec<PurposeCalls>>::new();
    for (connection, purpose, calls) in view.calls(brand)? {
        spent.entry(connection).or_default().push(PurposeCalls { purpose, calls });
    }
    let mut lines: BTreeMap<String, Line> = lines.into_iter().map(|line| (line.connection.0.clone(), line)).collect();
    let mut names: Vec<String> = spent.keys().chain(lines.keys()).cloned().collect();
    names.sort_unstable();
    names.dedup();
    let mut all = 0_u64;
    let mut connections = Vec::with_capacity(names.len());
    for name in names {
        let purposes = spent.remove(&name).unwrap_or_default();
        let calls = purposes.iter().map(|purpose| purpose.calls).sum::<u64>();
        all += calls;
        let line = lines.remove(&name);
        let system = line.as_ref().map(|line| line.system);
        let stats = line.map(|line| line.stats).unwrap_or_default();
        let windows = stats.windows.into_iter().map(|(name, seconds, quota, used)| WindowView { name, seconds, quota, used });
        connections.push(ConnectionCalls {
            connection: ConnectionName(name),
            system,
            calls,
            per_order: per(calls, orders),
            purposes,
            windows: windows.collect(),
            throttled: stats.throttled,
            lost: stats.lost,
            under_way: stats.under_way,
            waiting: stats.waiting,
            breaker_open: stats.breaker_open,
            paused: stats.paused,
        });
    }
    Ok(CallsView { orders, per_order: per(all, orders), connections })
}

/// So much per so many, two decimals, half up; `None` for none.
pub fn per(calls: u64, orders: u64) -> Option<String> {
    let (calls, orders) = (u128::from(calls), u128::from(orders));
    let hundredths = (calls * 100 + orders / 2).checked_div(orders)?;
    Some(format!("{}.{:02}", hundredths / 100, hundredths % 100))
}

/// Today at a glance.
#[derive(Clone, Debug, Serialize)]
pub struct Today {
    /// The flows.
    pub flows: Vec<FlowView>,
    /// The open exceptions, the ones that hold most first.
    pub exceptions: Vec<ExceptionView>,
    /// Records held.
    pub held: u64,
    /// Money held, an amount per currency.
    pub money: Vec<String>,
    /// Calls spent.
    pub calls: CallsView,
    /// The newest orders.
    pub newest: Vec<OrderLine>,
}

/// Today at a glance, as one consistent look.
///
/// # Errors
/// The store's.
pub async fn today(store: &Store, brand: &Brand, ends: &[Ends], lines: Vec<Line>, now: Timestamp) -> Result<Today> {
    let (brand, ends) = (brand.clone(), ends.to_vec());
    store
        .read(move |view| {
            let flows = ends.iter().map(|ends| flow(view, &brand, ends, now)).collect::<Result<Vec<_>>>()?;
            let exceptions: Vec<ExceptionView> = view.exceptions(&brand, false)?.into_iter().map(ExceptionView::from).collect();
            let order_ends: Vec<Ends> = ends.iter().filter(|ends| ends.kind == Kind::Order).cloned().collect();
            let newest = view.records(&brand, Kind::Order, "", 10)?;
            Ok(Today {
                held: exceptions.iter().map(|exception| exception.count).sum(),
                money: total(exceptions.iter().flat_map(|exception| &exception.money)),
                calls: calls_in(view, &brand, &ends, lines)?,
                newest: newest.into_iter().map(|line| order_line(view, &brand, &order_ends, line)).collect::<Result<_>>()?,
                flows,
                exceptions,
            })
        })
        .await
}

/// An amount without its currency's name, as tables show it.
pub fn bare(amount: Money) -> String {
    amount.decimal().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(amounts: &[&str]) -> Vec<String> {
        amounts.iter().map(|amount| (*amount).to_owned()).collect()
    }

    #[test]
    fn money_adds_up_per_currency_and_nothing_is_lost() {
        assert_eq!(total(&text(&["1.10 EUR", "2.90 EUR", "7 JPY", "odd"])), ["4.00 EUR", "7 JPY", "odd"]);
        let largest = format!("{} EUR", Decimal::MAX);
        assert_eq!(total(&text(&[&largest, "1 EUR"])), [largest.as_str(), "1 EUR"]);
        assert!(total(&[]).is_empty());
    }

    #[test]
    fn so_much_per_so_many() {
        assert_eq!(per(7, 0), None);
        assert_eq!(per(7, 2).unwrap(), "3.50");
        assert_eq!(per(2, 3).unwrap(), "0.67");
        assert_eq!(per(u64::MAX, 1).unwrap(), format!("{}.00", u64::MAX));
    }

    #[test]
    fn a_mapping_is_checked_before_it_is_set() {
        let known = [ConnectionName::from("erp")];
        let wanted = |connection: &str, table: &str, key: &str, value: Option<&str>| {
            MappingWanted { connection: connection.into(), table: table.into(), key: key.into(), value: value.map(str::to_owned) }.checked(&known)
        };
        assert_eq!(wanted(" erp ", "item", " sku=1 ", Some(" 98 ")).unwrap().value.as_deref(), Some("98"));
        assert!(wanted("erp", "item", "*", None).is_ok());
        assert!(wanted("erp", "item", "market=2,method=", Some("1")).is_ok());
        for (connection, table, key, value) in [
            ("shop", "item", "sku=1", "1"),
            ("erp", "", "sku=1", "1"),
            ("erp", "Item", "sku=1", "1"),
            ("erp", "item", "", "1"),
            ("erp", "item", "sku", "1"),
            ("erp", "item", "sku=1,", "1"),
            ("erp", "item", "sku=1", "  "),
        ] {
            assert!(wanted(connection, table, key, Some(value)).is_err(), "{connection} {table} {key} {value}");
        }
    }

    #[test]
    fn a_difference_past_what_json_readers_take_is_cut_and_still_shows() {
        let balance = BalanceView::from(Balance { captured: u64::MAX, ..Balance::default() });
        assert_eq!((balance.difference, balance.balanced), (i64::MAX, false));
        let balance = BalanceView::from(Balance { captured: 2, confirmed: 2, ..Balance::default() });
        assert!(balance.balanced);
    }
}
