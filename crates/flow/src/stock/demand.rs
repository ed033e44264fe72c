//! What orders want that the source has not taken in yet.
//!
//! It is counted where it comes about: a new revision of an order says what is wanted, a delivery
//! says what was taken in. So a figure is never worked out from orders that nobody counted.

use jiff::Timestamp;
use selvedge_model::{
    AnyRecord, ConnectionName, FlowName, Kind, Order, RecordKey,
    obligation::State,
    records::{LineKind, OrderLine, OrderStatus},
};
use selvedge_store::{
    Result, Tx, View,
    stock::{Of, Wanted},
};

use crate::{Setup, engine::Engine};

/// One stock flow as far as orders concern it: plain data that can move into a transaction.
#[derive(Clone, Debug)]
pub(crate) struct Counting {
    of: Of,
    /// Where orders are placed.
    shop: ConnectionName,
    /// The flows that bring them to the source.
    carriers: Vec<FlowName>,
}

/// The stock flows of a set-up.
pub(crate) fn counting(setup: &Setup) -> Vec<Counting> {
    let one = |stock: &crate::StockSetup| Counting {
        of: Of { brand: setup.brand.clone(), flow: stock.name.clone() },
        shop: stock.to.clone(),
        carriers: setup
            .flows
            .iter()
            .filter(|flow| flow.kind == Kind::Order && flow.from == stock.to && flow.to == stock.from)
            .map(|flow| flow.name.clone())
            .collect(),
    };
    setup.stocks.iter().map(one).collect()
}

/// Units of the lines of an order that are kept in stock, by SKU. A bundle's units are its items'.
fn units(order: &Order, of: impl Fn(&OrderLine) -> i64) -> Wanted {
    let mut units = Wanted::new();
    for line in order.lines.iter().filter(|line| matches!(line.kind, LineKind::Product | LineKind::BundleItem)) {
        *units.entry(line.sku.clone()).or_default() += of(line);
    }
    units
}

/// The units that an order takes from stock, shipped or not.
fn ordered(order: &Order) -> Wanted {
    if order.status == OrderStatus::Cancelled { Wanted::new() } else { units(order, |line| i64::from(line.quantity)) }
}

/// Whether all of it has left the shelf.
fn has_left(order: &Order) -> bool {
    matches!(order.status, OrderStatus::Shipped | OrderStatus::Archived)
}

/// The units that an order wants that the source has to hear of. What has left before it did is gone from the shelf, and
/// still in the source's figures; but what was given up it will never hear of.
fn wanted(view: &View<'_>, counting: &Counting, order: &Order) -> Result<Wanted> {
    if has_left(order) {
        let rows = view.obligations_of(&counting.of.brand, Kind::Order, &order.number)?;
        let last = rows.iter().filter(|row| counting.carriers.contains(&row.flow)).max_by_key(|row| row.revision);
        if last.is_some_and(|row| matches!(row.state, State::Excluded | State::Dismissed)) {
            return Ok(Wanted::new());
        }
    }
    Ok(ordered(order))
}

/// Counts that a flow will not bring an order to the source. While it still stands in the shop its units are promised there;
/// when they have left, nothing keeps them.
pub(crate) fn excluded(
    tx: &Tx<'_>,
    all: &[Counting],
    flow: &FlowName,
    record: selvedge_model::RecordId,
    now: Timestamp,
) -> Result<()> {
    let mut carried = all.iter().filter(|counting| counting.carriers.contains(flow)).peekable();
    if carried.peek().is_none() {
        return Ok(());
    }
    let AnyRecord::Order(order) = tx.record(record)?.record else { return Ok(()) };
    for counting in carried.filter(|_| has_left(&order)) {
        tx.stock_count_no_more(&counting.of, &order.number, now)?;
    }
    Ok(())
}

/// Counts a new revision of an order.
pub(crate) fn count(
    tx: &Tx<'_>,
    all: &[Counting],
    shop: &ConnectionName,
    order: &Order,
    revision: u32,
    now: Timestamp,
) -> Result<()> {
    for counting in all.iter().filter(|counting| counting.shop == *shop && !counting.carriers.is_empty()) {
        let known = revision == 1 || tx.stock_counts(&counting.of, &order.number)?;
        let taken = if known { Wanted::new() } else { taken_in(tx, counting, &order.number)? };
        let wanted = wanted(tx, counting, order)?;
        if order.status == OrderStatus::Cancelled && !tx.stock_counts(&counting.of, &order.number)? {
            // The shop may have been looked at while it still stood: it did want them until now.
            let once = units(order, |line| i64::from(line.quantity.saturating_add(line.cancelled)));
            tx.stock_wants(&counting.of, &order.number, &order.market.id, &once, &taken, now)?;
        }
        for sku in tx.stock_wants(&counting.of, &order.number, &order.market.id, &wanted, &taken, now)? {
            tx.stock_let_go_of(&counting.of, &sku, now)?;
        }
        tx.stock_due_through_kits(&counting.of, wanted.keys(), now)?;
    }
    Ok(())
}

/// What the source holds of an order, by the last revision that it took.
fn taken_in(view: &View<'_>, counting: &Counting, key: &RecordKey) -> Result<Wanted> {
    let rows = view.obligations_of(&counting.of.brand, Kind::Order, key)?;
    let took = |state: State| matches!(state, State::Delivered | State::Confirmed | State::Compared | State::Held);
    let last = rows
        .iter()
        .filter(|row| counting.carriers.contains(&row.flow) && row.target.is_some() && took(row.state))
        .max_by_key(|row| row.revision);
    match last {
        Some(row) => Ok(match view.record(row.record)?.record {
            AnyRecord::Order(order) => ordered(&order),
            _ => Wanted::new(),
        }),
        None => Ok(Wanted::new()),
    }
}

/// Counts that a flow has brought an order to the source.
pub(crate) fn delivered(
    tx: &Tx<'_>,
    all: &[Counting],
    flow: &FlowName,
    record: selvedge_model::RecordId,
    now: Timestamp,
) -> Result<()> {
    let mut carried = all.iter().filter(|counting| counting.carriers.contains(flow)).peekable();
    if carried.peek().is_none() {
        return Ok(());
    }
    let AnyRecord::Order(order) = tx.record(record)?.record else { return Ok(()) };
    let units = ordered(&order);
    for counting in carried {
        tx.stock_taken_in(&counting.of, &order.number, &units, now)?;
    }
    Ok(())
}

impl Engine {
    /// A stock flow that is new, or was left out for a while, counts the orders that are under way already.
    pub(crate) async fn count_from_the_start(&self) -> Result<()> {
        const PAGE: usize = 500;
        let (brand, flows) =
            (self.brand().clone(), self.setup().stocks.iter().map(|stock| stock.name.clone()).collect::<Vec<_>>());
        self.store().write(move |tx| tx.stock_stop_counting(&brand, &flows)).await?;
        for counting in counting(self.setup()) {
            let of = counting.of.clone();
            if self.store().read(move |view| view.stock_flow(&of)).await?.demand_since.is_some() {
                continue;
            }
            for carrier in counting.carriers.clone() {
                let mut after = selvedge_model::ObligationId(0);
                loop {
                    let (brand, flow, from) = (counting.of.brand.clone(), carrier.clone(), after);
                    let rows = self.store().read(move |view| view.unconfirmed(&brand, &flow, from, PAGE)).await?;
                    let Some(last) = rows.last() else { break };
                    after = last.id;
                    let (counting, now) = (counting.clone(), self.now());
                    self.store()
                        .write(move |tx| {
                            for row in &rows {
                                let AnyRecord::Order(order) = tx.record(row.record)?.record else { continue };
                                let taken = taken_in(tx, &counting, &order.number)?;
                                let wanted = wanted(tx, &counting, &order)?;
                                tx.stock_wants(&counting.of, &order.number, &order.market.id, &wanted, &taken, now)?;
                            }
                            Ok(())
                        })
                        .await?;
                }
            }
            let (of, now) = (counting.of.clone(), self.now());
            self.store()
                .write(move |tx| {
                    let mut row = tx.stock_flow(&of)?;
                    row.demand_since = Some(now);
                    tx.stock_keep_flow(&of, &row)
                })
                .await?;
        }
        Ok(())
    }
}
