//! What the stand-ins of shops and warehouses tell of themselves in the same form: items, orders, shipments.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One item that a warehouse keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Full SKU.
    pub sku: String,
    /// EAN or UPC.
    pub barcode: Option<String>,
    /// What people read.
    pub title: String,
    /// Weight of one unit.
    pub weight_grams: Option<u32>,
    /// Opening stock, by the location's name.
    pub stock: BTreeMap<String, i64>,
    /// Of what it is put together (SKU, units), for a bundle.
    pub parts: Vec<(String, u32)>,
}

/// A line of an order in a shop that has to leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenLine {
    /// The shop's number of the order.
    pub doc: String,
    /// The shop's id of the line.
    pub id: i64,
    /// What is to leave.
    pub sku: String,
    /// Units ordered and not cancelled.
    pub units: i64,
}

/// An order as a warehouse keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShelfOrder {
    /// The shop's number of it.
    pub doc: String,
    /// The warehouse's id.
    pub id: String,
    /// Whether it was cancelled.
    pub cancelled: bool,
    /// The shipping service.
    pub service: String,
    /// From where it ships.
    pub warehouse: String,
    /// SKU and units, line by line.
    pub lines: Vec<(String, i64)>,
}

/// A shipment as a system keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShelfShipment {
    /// The shop's number of the order.
    pub doc: String,
    /// The system's id.
    pub id: String,
    /// Whether it was taken back.
    pub cancelled: bool,
    /// SKU and units, line by line.
    pub lines: Vec<(String, i64)>,
    /// Who carries it.
    pub carrier: String,
    /// Tracking numbers.
    pub tracking: Vec<String>,
    /// When it left.
    pub shipped_at: jiff::Timestamp,
}
