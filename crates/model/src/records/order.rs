//! The order: what was bought, for how much, by whom, to where, and how it was paid.

use jiff::{Timestamp, civil::Date};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    id::{ExternalId, RecordKey, Sku},
    money::{Currency, Money},
    records::Customer,
};

/// Something the source names by an id and a word: a market, a store, a shipping method.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Named {
    /// The source's id, as text.
    pub id: String,
    /// What people call it.
    pub name: String,
}

/// Where the order stands at its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// Placed, not yet confirmed by the shop.
    Pending,
    /// May be picked and shipped.
    Confirmed,
    /// Some of it is in a shipment.
    Processing,
    /// All of it has left, or was cancelled.
    Shipped,
    /// Put away; nothing follows.
    Archived,
    /// Will not be delivered.
    Cancelled,
}

/// Why the source holds an order back. A hold is a flag beside the status, not a status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// A person or a rule put it on hold.
    OnHold,
    /// The money is not there yet.
    WaitingForPayment,
}

/// Whether prices and line amounts carry their tax inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaxMode {
    /// Prices contain the tax.
    Included,
    /// Tax comes on top.
    Added,
}

/// What a line sells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// A stock item.
    Product,
    /// A bundle as sold: it carries the price, its components carry the units.
    Bundle,
    /// A unit inside a bundle: picked and shipped, its price is in the bundle's line.
    BundleItem,
    /// A gift certificate sold.
    GiftCertificate,
}

/// One tax on one amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaxLine {
    /// What the source calls it.
    pub name: String,
    /// In percent: 25 means a quarter.
    pub rate: Decimal,
    /// The tax itself; negative where the source takes tax off.
    pub amount: Money,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderLine {
    /// The source's line id: lines are matched by it, never by SKU, as two lines may share one.
    pub id: ExternalId,
    /// What kind of thing it sells.
    pub kind: LineKind,
    /// The bundle line it belongs to, for a bundle's item.
    pub bundle: Option<ExternalId>,
    /// The version of the recipe by which its bundle was taken apart, once it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe: Option<String>,
    /// Full SKU.
    pub sku: Sku,
    /// Name at order time.
    pub name: String,
    /// Units wanted now, cancelled ones already taken off.
    pub quantity: u32,
    /// Units cancelled before shipping.
    pub cancelled: u32,
    /// Price of one unit without tax and after line discounts; may be finer than a cent.
    pub unit_net: Decimal,
    /// The line without tax, after line discounts.
    pub net: Money,
    /// The tax of the line.
    pub tax: Money,
    /// The taxes it is made of; empty for an untaxed line.
    pub taxes: Vec<TaxLine>,
}

/// Shipping or handling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Charge {
    /// Without tax.
    pub net: Money,
    /// Its tax.
    pub tax: Money,
    /// The rate in percent, where one rate explains the tax; shipping may carry the weighted average.
    pub rate: Option<Decimal>,
}

impl Charge {
    /// No charge.
    pub fn none(currency: Currency) -> Self {
        Self { net: Money::zero(currency), tax: Money::zero(currency), rate: None }
    }
}

/// An order-level reduction that is not spread over lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Discount {
    /// Voucher code, campaign name or what the source calls it.
    pub name: String,
    /// Whether a gift card or store credit paid, which is a tender and no price reduction.
    pub tender: bool,
    /// How much it takes off, without tax; above zero.
    pub net: Money,
    /// How much tax it takes off; zero or above.
    pub tax: Money,
    /// The rate of that tax in percent, where the source states one for the whole reduction.
    #[serde(default)]
    pub rate: Option<Decimal>,
}

/// An address. Every text may be missing at the source; the gate decides what must be there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Address {
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// Company.
    pub company: Option<String>,
    /// For the attention of.
    pub attention: Option<String>,
    /// Street and number.
    pub line1: Option<String>,
    /// Second line.
    pub line2: Option<String>,
    /// Post code.
    pub postcode: Option<String>,
    /// Town.
    pub city: Option<String>,
    /// State or province, code where the source knows one.
    pub state: Option<String>,
    /// ISO 3166-1 alpha-2, upper case.
    pub country: Option<String>,
    /// E-mail.
    pub email: Option<String>,
    /// Phone.
    pub phone: Option<String>,
    /// VAT number.
    pub vat_number: Option<String>,
}

/// What a payment entry says happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentKind {
    /// Money reserved.
    Authorisation,
    /// Money taken.
    Capture,
    /// Money given back.
    Refund,
    /// A reservation let go.
    Cancellation,
    /// Anything else the source reports.
    Other,
}

/// Whether it did happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// Final.
    Success,
    /// Not known yet; may still fail.
    Pending,
    /// It did not.
    Failed,
}

/// One entry of the payment history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Payment {
    /// The source's id of the entry.
    pub id: ExternalId,
    /// What happened.
    pub kind: PaymentKind,
    /// Whether it did.
    pub status: PaymentStatus,
    /// The payment provider's transaction id.
    pub reference: Option<String>,
    /// The method, as the source names it.
    pub method: Option<String>,
    /// How much.
    pub amount: Money,
    /// When.
    pub at: Timestamp,
}

/// The sums the source states. The gate checks that the parts add up to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    /// Without tax.
    pub net: Money,
    /// Tax.
    pub tax: Money,
    /// What the customer pays.
    pub gross: Money,
}

/// An order, in no vendor's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Order {
    /// Our key: the human order number.
    pub number: RecordKey,
    /// The source's own id.
    pub id: ExternalId,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// When the source last changed it; the *as of* of this revision.
    pub updated_at: Timestamp,
    /// The calendar day it was placed on, where the brand keeps its books.
    pub placed_on: Date,
    /// Where it stands.
    pub status: OrderStatus,
    /// Why it is held back; empty when it is not.
    pub holds: Vec<HoldReason>,
    /// Whether it is internal (samples, staff) and not a sale.
    pub internal: bool,
    /// What it is paid in. All amounts of one order are in it.
    pub currency: Currency,
    /// How its prices were quoted.
    pub tax_mode: TaxMode,
    /// The store.
    pub store: Named,
    /// The market.
    pub market: Named,
    /// The account it was bought with; `None` for a guest the source keeps no account for.
    pub customer: Option<Customer>,
    /// Invoice address.
    pub billing: Option<Address>,
    /// Delivery address.
    pub shipping: Option<Address>,
    /// The lines; fully cancelled ones are left out.
    pub lines: Vec<OrderLine>,
    /// Order-level reductions.
    pub discounts: Vec<Discount>,
    /// How it travels, as the source names it.
    pub shipping_method: Option<Named>,
    /// What the shipping costs.
    pub shipping_charge: Charge,
    /// What the handling costs.
    pub handling_charge: Charge,
    /// How it is paid, as the source names it.
    pub payment_method: Option<String>,
    /// The payment history.
    pub payments: Vec<Payment>,
    /// The sums as stated.
    pub totals: Totals,
    /// The shopper's remark.
    pub comment: Option<String>,
    /// What it weighs, once the gate has added it up from the products; none while one of them says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_grams: Option<u64>,
    /// By when the shop promised that it leaves, where it promised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispatch_by: Option<Timestamp>,
}

impl OrderLine {
    /// A line of which only item and units are known.
    pub fn of_units(id: ExternalId, sku: Sku, quantity: u32, currency: Currency) -> Self {
        let zero = Money::zero(currency);
        Self {
            id,
            kind: LineKind::Product,
            bundle: None,
            recipe: None,
            sku,
            name: String::new(),
            quantity,
            cancelled: 0,
            unit_net: Decimal::ZERO,
            net: zero,
            tax: zero,
            taxes: Vec::new(),
        }
    }
}

impl Order {
    /// An order without lines, of which nothing else is known: what a system that keeps no amounts tells of one.
    pub fn of_units(number: RecordKey, id: ExternalId, zero: Money, at: Timestamp) -> Self {
        let currency = zero.currency();
        Self {
            number,
            id,
            placed_at: at,
            updated_at: at,
            placed_on: at.to_zoned(jiff::tz::TimeZone::UTC).date(),
            status: OrderStatus::Confirmed,
            holds: Vec::new(),
            internal: false,
            currency,
            tax_mode: TaxMode::Added,
            store: Named::default(),
            market: Named::default(),
            customer: None,
            billing: None,
            shipping: None,
            lines: Vec::new(),
            discounts: Vec::new(),
            shipping_method: None,
            shipping_charge: Charge::none(currency),
            handling_charge: Charge::none(currency),
            payment_method: None,
            payments: Vec::new(),
            totals: Totals { net: zero, tax: zero, gross: zero },
            comment: None,
            weight_grams: None,
            dispatch_by: None,
        }
    }

    /// How it travels, in the word that mapping tables go by: the method's name, its id where it has none, empty where
    /// there is no method.
    pub fn method_word(&self) -> &str {
        match &self.shipping_method {
            Some(method) if method.name.is_empty() => &method.id,
            Some(method) => &method.name,
            None => "",
        }
    }

    /// The lines that carry a price: everything but a bundle's items, whose price is in the bundle's line.
    pub fn priced_lines(&self) -> impl Iterator<Item = &OrderLine> {
        self.lines.iter().filter(|line| line.kind != LineKind::BundleItem)
    }
}
