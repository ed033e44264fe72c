//! Orders that a warehouse has: whether what was promised to leave has left.
//!
//! A row is looked at when its time comes and whenever something is news about its order (`store::promises`). What has left
//! is counted from the warehouse's own shipments, also from those that could not be told to the shop: the parcel is gone all
//! the same, and the other exception is about that. A late order and one that will never be whole are owned by an exception,
//! one for each warehouse and item, which closes by itself when everything has left or the order wants it no more.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use selvedge_model::{
    AnyRecord, Brand, Kind, Problem, RecordKey, Shipment, Sku,
    records::{OrderStatus, ShipmentStatus},
};
use selvedge_store::{Result, View, promises::PromiseRow};

use crate::{
    backoff::after,
    engine::{Engine, Flow},
};

/// Rows looked at in one turn.
const BATCH: usize = 200;
/// How often an order that is late is looked at again, should news of it have been missed.
const LOOK_AGAIN: Duration = Duration::from_secs(900);

/// What a look showed.
enum Seen {
    /// Nothing more is to leave: all of it has, or the order was called off.
    Kept,
    /// Not yet due.
    Waits { shipped: u64 },
    /// Somebody has to know.
    Broken { shipped: u64, problem: Box<Problem> },
}

impl Engine {
    /// Looks at every order whose time has come; returns how many.
    pub(crate) async fn keep_promises(&self) -> Result<usize> {
        let (brand, now) = (self.brand().clone(), self.now());
        let flows: Vec<Flow> = self.flows.clone();
        let seen = self
            .store()
            .read(move |view| {
                let mut seen = Vec::new();
                for row in view.promises_due(&brand, now, BATCH)? {
                    let flow = flows.iter().find(|flow| flow.setup.name == row.flow);
                    // A flow that is configured no more brings nothing and promises nothing.
                    let one = match flow {
                        Some(flow) => look(view, &brand, flow, &row, now)?,
                        None => Seen::Kept,
                    };
                    seen.push((row, one));
                }
                Ok(seen)
            })
            .await?;
        let count = seen.len();
        if count == 0 {
            return Ok(0);
        }
        let brand = self.brand().clone();
        self.store()
            .write(move |tx| {
                for (row, seen) in &seen {
                    match seen {
                        Seen::Kept => tx.promise_kept(&brand, row)?,
                        Seen::Waits { shipped } => {
                            let look_at = row.dispatch_by.filter(|due| *due > now);
                            tx.promise_seen(&brand, row, *shipped, None, look_at)?;
                        }
                        Seen::Broken { shipped, problem } => {
                            let exception = tx.raise(&brand, &row.flow, problem, now)?;
                            tx.promise_seen(&brand, row, *shipped, Some(exception), Some(after(now, LOOK_AGAIN)))?;
                        }
                    }
                }
                tx.close_empty(&brand, now).map(|_| ())
            })
            .await?;
        Ok(count)
    }
}

fn look(view: &View<'_>, brand: &Brand, flow: &Flow, row: &PromiseRow, now: Timestamp) -> Result<Seen> {
    let order = view.latest(brand, Kind::Order, &row.key)?.map(|record| record.record);
    if matches!(&order, Some(AnyRecord::Order(order)) if order.status == OrderStatus::Cancelled) {
        return Ok(Seen::Kept);
    }
    let mut wanted = wanted(view, brand, flow, &row.key)?;
    if wanted.is_empty() {
        return Ok(Seen::Kept);
    }
    let shipments = told(view, brand, flow, &row.key)?;
    let mut shipped = 0;
    let gone = shipments.iter().filter(|shipment| shipment.status == ShipmentStatus::Shipped);
    for line in gone.flat_map(|shipment| &shipment.lines) {
        if let Some(open) = wanted.get_mut(&line.sku) {
            let units = u64::from(line.quantity).min(*open);
            *open -= units;
            shipped += units;
        }
    }
    wanted.retain(|_, open| *open > 0);
    if wanted.is_empty() {
        return Ok(Seen::Kept);
    }
    let never: Vec<&Sku> =
        shipments.iter().flat_map(|shipment| &shipment.short).filter(|short| short.is_final).map(|short| &short.sku).collect();
    if let Some(sku) = wanted.keys().find(|sku| never.contains(sku)) {
        return Ok(Seen::Broken { shipped, problem: Box::new(short(flow, sku)) });
    }
    Ok(match row.dispatch_by {
        Some(due) if due <= now => Seen::Broken { shipped, problem: Box::new(overdue(flow)) },
        _ => Seen::Waits { shipped },
    })
}

/// Units per item that the warehouse has to ship of an order, as it was last given to it.
fn wanted(view: &View<'_>, brand: &Brand, flow: &Flow, key: &RecordKey) -> Result<BTreeMap<Sku, u64>> {
    let mut wanted = BTreeMap::new();
    for row in view.obligations_of(brand, Kind::Order, key)?.iter().rev().filter(|row| row.flow == flow.setup.name) {
        if let Some(AnyRecord::Order(pick)) = view.prepared(row.id)? {
            // Taken back from this warehouse: it has nothing to ship.
            if pick.status == OrderStatus::Cancelled {
                break;
            }
            for line in &pick.lines {
                *wanted.entry(line.sku.clone()).or_default() += u64::from(line.quantity);
            }
            break;
        }
    }
    Ok(wanted)
}

/// The shipments of an order that the warehouse tells of, attributed to its items where the gate has done that. Also one
/// of which nothing has left: it may say what never will.
fn told(view: &View<'_>, brand: &Brand, flow: &Flow, order: &RecordKey) -> Result<Vec<Shipment>> {
    let mut left = Vec::new();
    for record in view.of_order(brand, Kind::Shipment, order)?.into_iter().filter(|record| record.connection == flow.setup.to) {
        let key = record.record.key();
        let AnyRecord::Shipment(raw) = record.record else { continue };
        if raw.status == ShipmentStatus::Cancelled {
            continue;
        }
        let attributed = view
            .obligations_of(brand, Kind::Shipment, &key)?
            .iter()
            .rev()
            .find_map(|row| view.prepared(row.id).transpose())
            .transpose()?;
        left.push(match attributed {
            Some(AnyRecord::Shipment(attributed)) => Shipment { lines: attributed.lines, ..*raw },
            _ => *raw,
        });
    }
    Ok(left)
}

fn overdue(flow: &Flow) -> Problem {
    Problem::new(
        "shipment.overdue",
        "dispatch_by",
        format!("orders at {} have not left whole by the time that was promised", flow.setup.to),
        "Ask the warehouse for them; each goes from this list by itself when all of it has left. Dismiss those that will never \
         leave, with a reason, and cancel them in the shop.",
    )
    .cause(flow.setup.to.as_str())
}

fn short(flow: &Flow, sku: &Sku) -> Problem {
    Problem::new(
        "shipment.short",
        "short",
        format!("{} says that {sku} will not come for what is left of these orders", flow.setup.to),
        "Cancel the lines in the shop or send the units from elsewhere; an order goes from this list by itself when it wants them \
         no more. Count the item there if its stock says otherwise.",
    )
    .value(sku.as_str())
    .cause(format!("{} {sku}", flow.setup.to))
}
