//! The shipment: what left a warehouse, in which parcels, and what of the order will not come.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    id::{ExternalId, RecordKey, Sku},
    records::Named,
};

/// Where a shipment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShipmentStatus {
    /// Announced or packed; it has not left.
    Open,
    /// It has left.
    Shipped,
    /// It was said to have left and was taken back.
    Cancelled,
}

impl ShipmentStatus {
    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            ShipmentStatus::Open => "open",
            ShipmentStatus::Shipped => "shipped",
            ShipmentStatus::Cancelled => "cancelled",
        }
    }
}

/// Units of one line in a shipment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipmentLine {
    /// The order's line, where the system says it (and always once the gate has attributed it).
    pub order_line: Option<ExternalId>,
    /// Full SKU.
    pub sku: Sku,
    /// Units that left; at least one.
    pub quantity: u32,
}

/// Units that the warehouse says it will not ship with what it has now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Shortage {
    /// The order's line, where the system says it.
    pub order_line: Option<ExternalId>,
    /// Full SKU.
    pub sku: Sku,
    /// How many units, where the system says so.
    pub quantity: Option<u32>,
    /// Whether they will never come; otherwise they follow later.
    pub is_final: bool,
    /// Why, in the system's own words.
    pub reason: String,
}

/// One parcel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Parcel {
    /// Who carries it, as the warehouse calls them.
    pub carrier: Option<String>,
    /// With which service.
    pub service: Option<String>,
    /// Its tracking number, blanks around it taken off, else as it came.
    pub tracking: Option<String>,
    /// Where it can be followed, if the warehouse says so (http or https).
    pub url: Option<String>,
}

/// A bundle of the order of which units are in a shipment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShippedBundle {
    /// The order's line of the bundle.
    pub line: ExternalId,
    /// The bundle's own SKU.
    pub sku: Sku,
    /// Whole bundles that this shipment completes; none while other components are still to leave.
    pub quantity: u32,
    /// The order's lines of its components, in the order's order.
    pub parts: Vec<ExternalId>,
}

/// What left a warehouse at once for one order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipment {
    /// Our key: `{order}.{connection}.{their id}`, see [`shipment_key`].
    pub key: RecordKey,
    /// The warehouse's id of it.
    pub id: ExternalId,
    /// The number of the order that it is for.
    pub order: RecordKey,
    /// Where it stands.
    pub status: ShipmentStatus,
    /// When it left, where the warehouse says so.
    pub shipped_at: Option<Timestamp>,
    /// When the warehouse last changed it; the *as of* of this revision.
    pub updated_at: Timestamp,
    /// From where.
    pub warehouse: Option<Named>,
    /// What is in it.
    pub lines: Vec<ShipmentLine>,
    /// What is not and was ordered, as far as the warehouse says so.
    pub short: Vec<Shortage>,
    /// The parcels; none when nothing was said about them.
    pub parcels: Vec<Parcel>,
    /// Whether its money was taken, where a system tells. A warehouse does not.
    pub captured: Option<bool>,
    /// The bundles that its units belong to, once the gate has attributed them: for a target that keeps a bundle as one
    /// line and hands it over whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bundles: Vec<ShippedBundle>,
}

/// The key of a shipment: unique over all warehouses, and readable.
pub fn shipment_key(order: &str, connection: &str, id: &str) -> RecordKey {
    RecordKey::new(format!("{order}.{connection}.{id}"))
}

impl Shipment {
    /// The bundle that units of this line belong to.
    pub fn bundle_of(&self, line: &ShipmentLine) -> Option<&ShippedBundle> {
        let id = line.order_line.as_ref()?;
        self.bundles.iter().find(|bundle| bundle.parts.contains(id))
    }

    /// The tracking numbers, in the order of the parcels, each once.
    pub fn tracking(&self) -> Vec<&str> {
        let mut numbers: Vec<&str> = Vec::new();
        for number in self.parcels.iter().filter_map(|parcel| parcel.tracking.as_deref()) {
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
        numbers
    }

    /// Units of all lines.
    pub fn units(&self) -> u64 {
        self.lines.iter().map(|line| u64::from(line.quantity)).sum()
    }

    /// The carrier of the first parcel that names one.
    pub fn carrier(&self) -> Option<&str> {
        self.parcels.iter().find_map(|parcel| parcel.carrier.as_deref())
    }

    /// The service of the first parcel that names one.
    pub fn service(&self) -> Option<&str> {
        self.parcels.iter().find_map(|parcel| parcel.service.as_deref())
    }
}
