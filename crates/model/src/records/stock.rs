//! The stock level: how much of an item a place keeps, as of when.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    id::{ExternalId, LocationId, Sku},
    money::Money,
};

/// One item at one place, as its system states it. Units may be negative where a system lets them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StockLevel {
    /// Full SKU.
    pub sku: Sku,
    /// The place.
    pub location: LocationId,
    /// The system's id of the item.
    pub item: ExternalId,
    /// Everything that had happened there by this instant is in the figures; of what came later, nobody can say.
    pub as_of: Timestamp,
    /// When the system says that the figures last changed, where it says so.
    pub changed_at: Option<Timestamp>,
    /// Physically there, promised units included.
    pub on_hand: i64,
    /// Promised to orders and there.
    pub committed: i64,
    /// Promised to orders and not there.
    pub back_ordered: i64,
    /// Asked for by orders that nobody has approved yet, where a system promises them nothing until then.
    pub pending_approval: i64,
    /// What the system itself calls available; many cut it at nought, so that what is oversold does not show.
    pub available: i64,
    /// On its way in.
    pub incoming: i64,
    /// Whether the item may be sold at all.
    pub active: bool,
    /// What one unit is worth (its cost), where the system says so.
    pub unit_value: Option<Money>,
    /// Names of the groups that it belongs to: folder, collection, category.
    pub categories: Vec<String>,
}

impl StockLevel {
    /// What is left when every promise is kept, and every order that waits for approval is approved; below nought
    /// when more is promised than is there.
    pub fn free(&self) -> i64 {
        self.on_hand.saturating_sub(self.committed).saturating_sub(self.back_ordered).saturating_sub(self.pending_approval)
    }
}

/// An item that is not kept but put together from others when it is sold: it has as much stock as its scarcest part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kit {
    /// What is sold.
    pub sku: Sku,
    /// The system's id of it.
    pub item: ExternalId,
    /// What it is made of.
    pub parts: Vec<KitPart>,
}

/// One part of a kit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KitPart {
    /// Which item.
    pub sku: Sku,
    /// Units of it in one kit; at least one.
    pub units: i64,
}
