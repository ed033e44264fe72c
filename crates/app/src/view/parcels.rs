//! Where the goods of an order are: who ships which line, and what has left in which parcel.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use selvedge_model::{
    AnyRecord, Brand, ConnectionName, ExternalId, FlowName, Kind, Order, RecordKey, Sku,
    attribution::shippable,
    records::{Parcel, ShipmentStatus, Shortage},
};
use selvedge_store::{Result, View};
use serde::Serialize;

use super::Standing;

/// Units of one line that a warehouse picks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PickLine {
    /// The source's id of the line.
    pub line: ExternalId,
    /// Which item.
    pub sku: Sku,
    /// What it was called when it was ordered.
    pub name: String,
    /// Units wanted now.
    pub ordered: u32,
    /// Units that have left.
    pub shipped: u32,
    /// The flow that brings it to its warehouse, once that is decided.
    pub flow: Option<FlowName>,
}

/// Something that left a warehouse, or is about to.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ShipmentView {
    /// Our key.
    pub key: RecordKey,
    /// Who told of it.
    pub connection: ConnectionName,
    /// From where, in the warehouse's words.
    pub warehouse: Option<String>,
    /// Where it stands there.
    pub status: ShipmentStatus,
    /// When it left.
    pub shipped_at: Option<Timestamp>,
    /// Items and units in it.
    pub units: Vec<(Sku, u32)>,
    /// Its parcels.
    pub parcels: Vec<Parcel>,
    /// What is not in it and was ordered, as far as the warehouse says so.
    pub short: Vec<Shortage>,
    /// Where it stands on its way to the shop and to the books.
    pub told: Vec<Standing>,
}

/// By when a warehouse has promised to ship.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PromiseView {
    /// The flow that brought it there.
    pub flow: FlowName,
    /// By when all of it is to have left.
    pub dispatch_by: Timestamp,
}

/// Where the goods of an order are.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Whereabouts {
    /// Line by line.
    pub lines: Vec<PickLine>,
    /// Shipment by shipment.
    pub shipments: Vec<ShipmentView>,
    /// What is still to leave, and by when.
    pub promises: Vec<PromiseView>,
}

pub(super) fn whereabouts(view: &View<'_>, brand: &Brand, order: &Order) -> Result<Whereabouts> {
    let mut left: BTreeMap<ExternalId, u32> = BTreeMap::new();
    let mut shipments = Vec::new();
    for record in view.of_order(brand, Kind::Shipment, &order.number)? {
        let key = record.record.key();
        let AnyRecord::Shipment(shipment) = record.record else { continue };
        let rows = view.obligations_of(brand, Kind::Shipment, &key)?;
        let mut told: Vec<Standing> = Vec::new();
        for row in rows.iter().rev() {
            if !told.iter().any(|known| known.flow == row.flow) {
                told.push(Standing { flow: row.flow.clone(), state: row.state });
            }
        }
        if shipment.status == ShipmentStatus::Shipped {
            let mut attributed = None;
            for row in rows.iter().rev() {
                if let Some(AnyRecord::Shipment(ready)) = view.prepared(row.id)? {
                    attributed = Some(ready.lines);
                    break;
                }
            }
            for line in attributed.as_ref().unwrap_or(&shipment.lines) {
                if let Some(id) = &line.order_line {
                    let units = left.entry(id.clone()).or_default();
                    *units = units.saturating_add(line.quantity);
                }
            }
        }
        shipments.push(ShipmentView {
            key,
            connection: record.connection,
            warehouse: shipment.warehouse.as_ref().map(|of| if of.name.is_empty() { of.id.clone() } else { of.name.clone() }),
            status: shipment.status,
            shipped_at: shipment.shipped_at,
            units: shipment.lines.iter().map(|line| (line.sku.clone(), line.quantity)).collect(),
            parcels: shipment.parcels,
            short: shipment.short,
            told,
        });
    }
    shipments.sort_by(|a, b| (a.shipped_at, &a.key).cmp(&(b.shipped_at, &b.key)));
    let routed = view.routed(brand, &order.number)?;
    let line = |line: &selvedge_model::records::OrderLine| PickLine {
        line: line.id.clone(),
        sku: line.sku.clone(),
        name: line.name.clone(),
        ordered: line.quantity,
        shipped: left.get(&line.id).copied().unwrap_or(0),
        flow: routed.iter().find(|row| row.line == line.id).map(|row| row.flow.clone()),
    };
    let promises = view.promises_of_order(brand, &order.number)?.into_iter();
    Ok(Whereabouts {
        lines: shippable(order).map(line).collect(),
        shipments,
        promises: promises.filter_map(|row| Some(PromiseView { flow: row.flow, dispatch_by: row.dispatch_by? })).collect(),
    })
}
