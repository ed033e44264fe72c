//! The return: goods that come back, and what becomes of them.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    id::{ExternalId, RecordKey, Sku},
    records::Named,
};

/// Where a return stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReturnStatus {
    /// It is on its way, or expected; nothing has been received.
    Announced,
    /// The goods are there.
    Received,
    /// It was taken back: nothing came, or nothing will.
    Cancelled,
}

impl ReturnStatus {
    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            ReturnStatus::Announced => "announced",
            ReturnStatus::Received => "received",
            ReturnStatus::Cancelled => "cancelled",
        }
    }
}

/// What becomes of returned goods. One return has one: goods in mixed condition are several returns, as a shop decides
/// it for a return and not for its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// Back on the shelf, for sale.
    Restock,
    /// Kept apart until somebody has looked at them.
    Quarantine,
    /// Gone: damaged, lost, destroyed, given away.
    WriteOff,
}

impl Disposition {
    /// All of them.
    pub const ALL: [Disposition; 3] = [Disposition::Restock, Disposition::Quarantine, Disposition::WriteOff];

    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Disposition::Restock => "restock",
            Disposition::Quarantine => "quarantine",
            Disposition::WriteOff => "write_off",
        }
    }

    /// The disposition with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }
}

/// Units of one item that come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReturnLine {
    /// The order that they were sold in, where it is known (always, once the gate has attributed them).
    pub order: Option<RecordKey>,
    /// Its line, where it is known (always, once the gate has attributed them).
    pub order_line: Option<ExternalId>,
    /// Full SKU.
    pub sku: Sku,
    /// Units; at least one.
    pub quantity: u32,
    /// In which condition, in the system's own words: a grade, a code.
    pub condition: Option<String>,
    /// Why they came back, in the system's own words.
    pub reason: Option<String>,
}

/// Goods that come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Return {
    /// Our key: `{order}.{connection}.{their id}`, see [`return_key`]; without the order where nobody knows it.
    pub key: RecordKey,
    /// Their id of it.
    pub id: ExternalId,
    /// The order that it is of, where all of it is of one.
    pub order: Option<RecordKey>,
    /// Our key of the return of another system that this one answers or was made from: the shop's, for a warehouse's
    /// receipt of goods that the shop announced; the warehouse's, for a return in the shop that was made after its receipt.
    pub counterpart: Option<RecordKey>,
    /// Our key of the shipment that the goods had left in, once the gate has found it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipment: Option<RecordKey>,
    /// Where it stands.
    pub status: ReturnStatus,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the goods arrived, where the system says so.
    pub received_at: Option<Timestamp>,
    /// When the system last changed it; the *as of* of this revision.
    pub updated_at: Timestamp,
    /// Where the goods go.
    pub warehouse: Option<Named>,
    /// What becomes of them.
    pub disposition: Disposition,
    /// Why they came back, in the system's own words.
    pub reason: Option<String>,
    /// A remark.
    pub comment: Option<String>,
    /// What comes back.
    pub lines: Vec<ReturnLine>,
}

/// The key of a return, of the credit note for it, and of a refund of it: unique over all systems, and readable.
pub fn return_key(order: Option<&str>, connection: &str, id: &str) -> RecordKey {
    match order {
        Some(order) => RecordKey::new(format!("{order}.{connection}.{id}")),
        None => RecordKey::new(format!("{connection}.{id}")),
    }
}

impl Return {
    /// Units of all lines.
    pub fn units(&self) -> u64 {
        self.lines.iter().map(|line| u64::from(line.quantity)).sum()
    }
}
