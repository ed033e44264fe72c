//! The credit note: which part of a sale is given back in money, line by line.

use jiff::{Timestamp, civil::Date};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    id::{ExternalId, RecordKey, Sku},
    money::{Currency, Money},
    records::{Charge, Discount, Order, OrderLine, Return, TaxLine, Totals},
};

/// Where a credit note stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CreditStatus {
    /// It will be one: nothing has been paid back yet.
    Open,
    /// It is owed to the shopper, or paid.
    Issued,
    /// It was taken back.
    Void,
}

impl CreditStatus {
    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            CreditStatus::Open => "open",
            CreditStatus::Issued => "issued",
            CreditStatus::Void => "void",
        }
    }
}

/// Why money is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CreditReason {
    /// Goods came back, or are to.
    Return,
    /// Nothing came back: a gesture, a price match, a complaint.
    Goodwill,
    /// Units were cancelled after their money had been taken and before they left: they were never invoiced.
    Cancellation,
}

impl CreditReason {
    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            CreditReason::Return => "return",
            CreditReason::Goodwill => "goodwill",
            CreditReason::Cancellation => "cancellation",
        }
    }
}

/// Whether a line gives sold units back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CreditKind {
    /// Units that were sold; they have a line of an order.
    #[default]
    Goods,
    /// Anything else: a fee, a manual entry, postage, a discount. No line of an order stands for it.
    Other,
}

/// The part of one line of an order that a credit line gives back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SoldPart {
    /// The order.
    pub order: RecordKey,
    /// The source's id of its line.
    pub line: ExternalId,
    /// Units.
    pub quantity: u32,
    /// Without tax.
    pub net: Money,
    /// Tax.
    pub tax: Money,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreditLine {
    /// The source's id of the line; its place where it has none.
    pub id: ExternalId,
    /// Whether it gives sold units back.
    pub kind: CreditKind,
    /// Which lines of which orders it gives back; together the units and the money of this line. Empty while nobody has said.
    pub sold: Vec<SoldPart>,
    /// Full SKU.
    pub sku: Sku,
    /// What people read.
    pub name: String,
    /// Units.
    pub quantity: u32,
    /// Price of one unit without tax and after discount; may be finer than a cent.
    pub unit_net: Decimal,
    /// The line without tax; above zero.
    pub net: Money,
    /// The tax of the line; zero or above.
    pub tax: Money,
    /// The taxes it is made of.
    pub taxes: Vec<TaxLine>,
}

/// What is given back in money. All amounts are what the shopper gets: above zero, but for the fee, which is kept back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreditNote {
    /// Our key: that of its return, where it has one, see [`return_key`](crate::records::return_key).
    pub key: RecordKey,
    /// The source's id of it.
    pub id: ExternalId,
    /// What people call it: the source's number of it; the order's and the return's, where the source numbers none. It stands
    /// on the target's document.
    pub number: String,
    /// The order, where all of it is of one.
    pub order: Option<RecordKey>,
    /// Our key of the return whose goods it pays for; none for what no goods come back for.
    pub of_return: Option<RecordKey>,
    /// The goods' half, where the source of the credit is the only one that tells it: brought to the target with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goods: Option<Box<Return>>,
    /// Why.
    pub reason: CreditReason,
    /// Where it stands.
    pub status: CreditStatus,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// The calendar day of that, where the brand keeps its books.
    pub issued_on: Date,
    /// When the source last changed it; the *as of* of this revision.
    pub updated_at: Timestamp,
    /// The source's id of the shopper: by it a credit that names no order is linked to what they bought.
    pub buyer: Option<String>,
    /// What it is in. All amounts of one credit note are in it.
    pub currency: Currency,
    /// What is given back, line by line.
    pub lines: Vec<CreditLine>,
    /// The share of order discounts that the lines had: takes off what is given back.
    pub discounts: Vec<Discount>,
    /// Shipping that is given back.
    pub shipping: Charge,
    /// Handling that is given back.
    pub handling: Charge,
    /// What is kept back for the return: takes off what is given back.
    pub fee: Charge,
    /// What is given for no goods.
    pub goodwill: Charge,
    /// The sums the source states. The gate checks that the parts add up to them.
    pub totals: Totals,
    /// A remark.
    pub comment: Option<String>,
    /// The sale that is credited, without its lines, once the gate has found it: whose books it is in, who bought, where
    /// the tax falls. (The first of them, where it is of several; they are of one shopper and market.)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sale: Option<Box<Order>>,
}

impl CreditNote {
    /// The credited part as an order: its lines, discounts and charges with the header of the sale, for whatever an order's
    /// arithmetic and form apply to. The fee and what is given for no goods have no place in an order.
    pub fn as_order(&self) -> Order {
        let zero = Money::zero(self.currency);
        let header = match &self.sale {
            Some(sale) => sale.as_ref().clone(),
            None => Order::of_units(self.key.clone(), self.id.clone(), zero, self.issued_at),
        };
        let line = |line: &CreditLine| OrderLine {
            name: line.name.clone(),
            unit_net: line.unit_net,
            net: line.net,
            tax: line.tax,
            taxes: line.taxes.clone(),
            ..OrderLine::of_units(line.id.clone(), line.sku.clone(), line.quantity, self.currency)
        };
        Order {
            placed_at: self.issued_at,
            updated_at: self.updated_at,
            placed_on: self.issued_on,
            currency: self.currency,
            lines: self.lines.iter().map(line).collect(),
            discounts: self.discounts.clone(),
            shipping_charge: self.shipping.clone(),
            handling_charge: self.handling.clone(),
            totals: self.totals,
            comment: self.comment.clone(),
            ..header
        }
    }

    /// Units of all lines that give goods back.
    pub fn units(&self) -> u64 {
        self.lines.iter().filter(|line| line.kind == CreditKind::Goods).map(|line| u64::from(line.quantity)).sum()
    }
}
