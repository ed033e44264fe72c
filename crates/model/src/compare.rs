//! Two records → typed differences.

use serde::{Deserialize, Serialize};

use crate::{money::Money, records::AnyRecord};

/// What kind of disagreement it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The target has nothing.
    Missing,
    /// The target has something that nobody owes it.
    Orphan,
    /// The target has it more than once.
    Duplicate,
    /// Another item.
    Sku,
    /// Another number of units.
    Quantity,
    /// Another amount without tax.
    Price,
    /// Another reduction.
    Discount,
    /// Another rate of tax.
    TaxRate,
    /// Same rate, another cent.
    TaxRounding,
    /// Another shipping charge or method.
    Shipping,
    /// Another currency.
    Currency,
    /// Another mapped value (subsidiary, location, payment method).
    Mapping,
    /// Another day.
    Timing,
    /// Another address, name or reference.
    Party,
    /// Open here and closed there, or the other way round.
    Status,
}

/// Two sides disagree on one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What kind of disagreement.
    pub cause: Cause,
    /// Where: `lines[2].tax`, `shipping.country`.
    pub path: String,
    /// What we say.
    pub expected: Option<String>,
    /// What the target says.
    pub actual: Option<String>,
    /// How much money it moves (actual minus expected), where it moves any.
    pub money: Option<Money>,
}

/// The fields of a record that a system carries. What it does not carry is not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carries {
    /// Tax per line, and not only in total.
    pub line_tax: bool,
    /// The delivery address.
    pub shipping_address: bool,
    /// The invoice address.
    pub billing_address: bool,
    /// The shopper's account.
    pub customer: bool,
    /// Whether the order is open or cancelled.
    pub status: bool,
    /// The shipping charge apart from the lines.
    pub shipping_charge: bool,
    /// The day of the order.
    pub placed_on: bool,
}

/// What disagrees between what we owe and what the target holds.
pub fn compare(_expected: &AnyRecord, _actual: &AnyRecord, _carries: Carries) -> Vec<Difference> {
    todo!("helper")
}
