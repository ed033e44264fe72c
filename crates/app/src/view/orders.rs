//! Orders and their stories.

use jiff::Timestamp;
use schemars::JsonSchema;
use selvedge_model::{
    AnyRecord, Brand, ConnectionName, ExceptionId, ExternalId, FlowName, Kind, ObligationId, Order, Problem, RecordId, RecordKey,
    compare::{Carries, Difference, compare},
    ledgers::Ledgers,
    obligation::State,
    records::ProductFields,
};
use selvedge_store::{
    Result, Store, View,
    obligations::ObligationRow,
    records::{Listed, RecordLine, RecordRow},
};
use serde::Serialize;

use super::{Ends, ExceptionView, Whereabouts, ledgers, parcels::whereabouts, reconcile::DifferenceView};

/// How many lines a list of orders has at most.
pub const ORDERS_MAX: usize = 500;
/// How many differences an order is shown with.
const DIFFERENCES_MAX: usize = 100;

/// Where a record stands in one flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Standing {
    /// The flow.
    pub flow: FlowName,
    /// The state of its newest revision there.
    pub state: State,
}

/// A line of a list of orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
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

/// The newest orders that have, for each word of `search`, a word that begins like it: number, name, e-mail, tracking number or SKU (empty = all); at most [`ORDERS_MAX`].
///
/// With `before`, those that are older than this one; and where the next page begins, if there may be more.
///
/// # Errors
/// The store's.
pub async fn orders(
    store: &Store,
    brand: &Brand,
    ends: &[Ends],
    search: &str,
    before: Option<RecordId>,
    limit: usize,
) -> Result<(Vec<OrderLine>, Option<RecordId>)> {
    let (brand, search) = (brand.clone(), search.to_owned());
    let ends: Vec<Ends> = ends.iter().filter(|ends| ends.kind == Kind::Order).cloned().collect();
    store
        .read(move |view| {
            let limit = limit.clamp(1, ORDERS_MAX);
            let Listed { lines, next } = view.records_before(&brand, Kind::Order, &search, before, limit)?;
            let lines = lines.into_iter().map(|line| order_line(view, &brand, &ends, line)).collect::<Result<_>>()?;
            Ok((lines, next))
        })
        .await
}

pub(super) fn order_line(view: &View<'_>, brand: &Brand, ends: &[Ends], line: RecordLine) -> Result<OrderLine> {
    let mut standings = Vec::new();
    for ends in ends {
        if let Some(row) = view.obligation_latest(brand, &ends.flow, &line.key)? {
            standings.push(Standing { flow: row.flow, state: row.state });
        }
    }
    let RecordLine { id: _, key, revision, received_at, amount, who } = line;
    Ok(OrderLine { number: key, revision, received_at, amount, who, standings })
}

/// One revision of an order.
#[derive(Clone, Debug, Serialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ResolvedView {
    /// Which table.
    pub table: String,
    /// Which key.
    pub key: String,
    /// The target's id.
    pub value: String,
}

/// One debt with its timeline.
#[derive(Clone, Debug, Serialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
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
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct OrderStory {
    /// Its number: our key.
    pub number: RecordKey,
    /// From which connection.
    pub from: ConnectionName,
    /// The latest revision; `None` when its bytes could not be read.
    pub order: Option<Order>,
    /// Where its goods are.
    pub whereabouts: Whereabouts,
    /// What each side says of its money and its goods; `None` where the sums do not fit.
    pub ledgers: Option<Ledgers>,
    /// The revisions, oldest first.
    pub revisions: Vec<RevisionView>,
    /// What is owed for it, for its customer and for what is about it, flow by flow, oldest revision first.
    pub obligations: Vec<ObligationView>,
    /// Our numbers and their ids.
    pub bindings: Vec<BindingView>,
    /// The exceptions that hold any of it.
    pub exceptions: Vec<ExceptionView>,
    /// On what both ends ever disagreed, what is open first.
    pub differences: Vec<DifferenceView>,
}

/// The story of one order; `None` when there is no such order.
///
/// # Errors
/// The store's.
pub async fn order_story(store: &Store, brand: &Brand, ends: &[Ends], number: &RecordKey) -> Result<Option<OrderStory>> {
    let (brand, ends, number) = (brand.clone(), ends.to_vec(), number.clone());
    store.read(move |view| story(view, &brand, &ends, number)).await
}

fn story(view: &View<'_>, brand: &Brand, ends: &[Ends], number: RecordKey) -> Result<Option<OrderStory>> {
    let rows = view.revisions(brand, Kind::Order, &number)?;
    let Some(latest) = rows.last() else {
        return Ok(None);
    };
    let from = latest.connection.clone();
    let order = match &latest.record {
        AnyRecord::Order(order) => Some(order.as_ref().clone()),
        _ => None,
    };
    let mut records = vec![(Kind::Order, number.clone())];
    if let Some(customer) = order.as_ref().and_then(|order| order.customer.as_ref()) {
        records.push((Kind::Customer, customer.key.clone()));
    }
    let about = ledgers::records_of(view, brand, ends, &number)?;
    let ledgers = ledgers::of_order(view, brand, ends, &number, &from, &about)?;
    records.extend(about);
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
    let whereabouts = order.as_ref().map(|order| whereabouts(view, brand, order)).transpose()?.unwrap_or_default();
    let revisions = revisions(&rows);
    let differences =
        view.differences_of(brand, number.as_str(), DIFFERENCES_MAX)?.into_iter().map(DifferenceView::from).collect();
    Ok(Some(OrderStory { number, from, order, whereabouts, ledgers, revisions, obligations, bindings, exceptions, differences }))
}

/// Every field counts when a revision is compared with the one before.
const EVERYTHING: Carries = Carries {
    amounts: true,
    line_tax: true,
    shipping_address: true,
    billing_address: true,
    customer: true,
    status: true,
    shipping_charge: true,
    placed_on: true,
    tracking: true,
    captured: true,
    // A revision is told by its own lines.
    bundles: false,
    disposition: true,
    reference: true,
    product: ProductFields::ALL,
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

pub(super) fn obligation(view: &View<'_>, row: ObligationRow) -> Result<ObligationView> {
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
    let resolved =
        row.values.iter().map(|(table, key, value)| ResolvedView { table: table.into(), key: key.into(), value: value.into() });
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
