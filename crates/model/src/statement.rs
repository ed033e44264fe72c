//! What a system says stands there: one entry a document, light enough to be read whole.
//!
//! A flow carries a record with everything that the other side needs. A statement carries what two sides must agree on: who and
//! when, which items and units, and every amount. Both ends are told in it, each by its own connector and from its own
//! documents alone, so that a comparison never rests on what a flow remembers.
//!
//! What a system does not tell is `None` or absent, and is not compared; nothing is made up to fill a field.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    id::{ConnectionName, ExternalId, RecordKey, Sku},
    money::{Currency, Money},
    records::{
        Charge, CreditNote, CreditReason, CreditStatus, Kind, LineKind, Named, Order, OrderStatus, PaymentKind, PaymentStatus,
        RecipePart, Refund, Return, ReturnStatus, Shipment, ShipmentStatus, StockLevel, TaxMode, Totals,
    },
};

/// Where a document stands, in the words that every system has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Not final yet: a pending order, a shipment that has not left, goods announced, money on its way.
    Pending,
    /// It counts.
    Standing,
    /// Called off: it is there, and counts for nothing.
    Void,
}

/// A value that each side has its own word for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Facet {
    /// The market or store of a shop.
    Market,
    /// The legal entity: a subsidiary.
    Entity,
    /// How it travels: a shipping method, service or item.
    Method,
    /// A warehouse or location.
    Place,
    /// How it was paid.
    Payment,
    /// To which country it goes, ISO 3166-1 alpha-2.
    Country,
}

impl Facet {
    /// All of them.
    pub const ALL: [Facet; 6] = [Facet::Market, Facet::Entity, Facet::Method, Facet::Place, Facet::Payment, Facet::Country];

    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Facet::Market => "market",
            Facet::Entity => "entity",
            Facet::Method => "method",
            Facet::Place => "place",
            Facet::Payment => "payment",
            Facet::Country => "country",
        }
    }
}

/// An amount without tax, and its tax.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amounts {
    /// Without tax.
    pub net: Money,
    /// The tax.
    pub tax: Money,
    /// The rate of that tax in percent, where one is stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Decimal>,
}

/// One line of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryLine {
    /// The item, exactly as the system writes it.
    pub sku: Sku,
    /// Units; what was called off is taken off.
    pub quantity: i64,
    /// The price of one unit as it is quoted (with its tax inside where the entry's mode says so), unrounded, where it is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Decimal>,
    /// Without tax, after reductions of the line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub net: Option<Money>,
    /// Its tax; none where the system keeps tax by document only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax: Option<Money>,
    /// The rate of its tax in percent, where one rate is stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Decimal>,
    /// The line of which it is a component that carries no price of its own.
    #[serde(default, skip_serializing_if = "is_false")]
    pub component: bool,
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

/// What a place has of an item, for an entry of stock. What the system does not tell is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Units {
    /// Physically there.
    pub on_hand: i64,
    /// Promised to orders and there.
    pub committed: i64,
    /// Promised to orders and not there.
    pub back_ordered: i64,
    /// What may be sold, as the system itself says it.
    pub available: i64,
    /// What is left when every promise is kept; may be below nought.
    pub free: i64,
    /// On its way in.
    pub incoming: i64,
    /// How many of what is left are kept back on purpose, where that is known: a buffer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_back: Option<i64>,
}

/// One document of a statement.
///
/// Amounts are what the document is about, above zero: a credit of 10 says 10.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Their id.
    pub id: ExternalId,
    /// Which connection told it, once it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_by: Option<ConnectionName>,
    /// The number that people there know it by, where it is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// Our key of the record, where the document carries one: the shop's number of an order, the provider's transaction of a refund.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<RecordKey>,
    /// The order that it is about, by the shop's number; its own key for an order. None for what is about none, or does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<RecordKey>,
    /// Where it stands.
    pub stage: Stage,
    /// When it came to be: the instant that decides to which window it belongs.
    pub at: Timestamp,
    /// The business day that the document itself states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Date>,
    /// Its last change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
    /// Whether it is internal and no sale.
    #[serde(default, skip_serializing_if = "is_false")]
    pub internal: bool,
    /// Whether it gives back, or pays back, units that were cancelled before they left: the sale is smaller by them already, and books
    /// have nothing of it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub never_invoiced: bool,
    /// What each side has its own word for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facets: BTreeMap<Facet, Named>,
    /// The buyer's e-mail, lower case: evidence where no key tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buyer: Option<String>,
    /// Where it goes, as one text that compares: [`one_address`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The currency of every amount in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// How its prices are quoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_mode: Option<TaxMode>,
    /// The lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<EntryLine>,
    /// Reductions of the whole document, above zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discount: Option<Amounts>,
    /// Shipping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping: Option<Amounts>,
    /// Handling and other charges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handling: Option<Amounts>,
    /// The sums as stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totals: Option<Totals>,
    /// Money taken for it, as far as the system tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captured: Option<Money>,
    /// Tracking numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tracking: Vec<String>,
    /// What a place has of an item, for stock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<Units>,
    /// What another system calls it: the provider's transaction of a refund, the buyer's number of an order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

impl Entry {
    /// An entry of which nothing else is known.
    pub fn bare(kind: Kind, id: ExternalId, at: Timestamp) -> Self {
        Self {
            kind,
            id,
            told_by: None,
            number: None,
            key: None,
            order: None,
            stage: Stage::Standing,
            at,
            on: None,
            updated_at: None,
            internal: false,
            never_invoiced: false,
            facets: BTreeMap::new(),
            buyer: None,
            address: None,
            currency: None,
            tax_mode: None,
            lines: Vec::new(),
            discount: None,
            shipping: None,
            handling: None,
            totals: None,
            captured: None,
            tracking: Vec::new(),
            units: None,
            reference: None,
        }
    }

    /// The same with a value that each side has its own word for.
    #[must_use]
    pub fn with(mut self, facet: Facet, value: Option<Named>) -> Self {
        if let Some(value) = value.filter(|value| !value.id.is_empty() || !value.name.is_empty()) {
            self.facets.insert(facet, value);
        }
        self
    }

    /// What is gathered under one key before it is compared: everything about one order; what is about none, by itself.
    pub fn family(&self) -> Option<&RecordKey> {
        self.order.as_ref().or(self.key.as_ref())
    }

    /// The money that it is about, with tax.
    pub fn gross(&self) -> Option<Money> {
        self.totals.map(|totals| totals.gross)
    }
}

/// An address as one text in which neither case, spacing nor punctuation counts. None where a part is not told.
pub fn one_address(line1: Option<&str>, postcode: Option<&str>, city: Option<&str>) -> Option<String> {
    let plain = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_uppercase).collect::<String>();
    let parts = [plain(line1?), plain(postcode?), plain(city?)];
    parts.iter().all(|part| !part.is_empty()).then(|| parts.join(" "))
}

/// What one of so many units costs with its tax, where that is whole minor units.
fn exact_share(net: Money, tax: Money, units: u32) -> Option<Decimal> {
    let gross = net.plus(tax).ok()?;
    let units = i64::from(units);
    (units > 0 && gross.minor() % units == 0).then(|| Money::from_minor(gross.minor() / units, gross.currency()).decimal())
}

fn country(code: Option<&String>) -> Option<Named> {
    let code = code.map(|code| code.trim().to_ascii_uppercase()).filter(|code| !code.is_empty())?;
    Some(Named { id: code.clone(), name: code })
}

impl From<&Order> for Entry {
    fn from(order: &Order) -> Self {
        let included = order.tax_mode == TaxMode::Included;
        let lines = order.lines.iter().map(|line| {
            let taxes: Vec<Decimal> = line.taxes.iter().filter(|tax| !tax.amount.is_zero()).map(|tax| tax.rate).collect();
            let rate = match taxes.as_slice() {
                [] => line.taxes.first().map(|tax| tax.rate),
                [rate] => Some(*rate),
                _ => None,
            };
            // Quoted with its tax, the price of a unit is what the line comes to with tax; only an exact share of it is a price.
            let unit = if included { exact_share(line.net, line.tax, line.quantity) } else { Some(line.unit_net) };
            EntryLine {
                sku: line.sku.clone(),
                quantity: i64::from(line.quantity),
                unit: unit.filter(|unit| !unit.is_zero()),
                net: Some(line.net),
                tax: Some(line.tax),
                rate,
                component: line.kind == LineKind::BundleItem,
            }
        });
        let sums = |amounts: &mut dyn Iterator<Item = Money>| Money::sum(order.currency, amounts).ok();
        let discount = match (
            sums(&mut order.discounts.iter().map(|discount| discount.net)),
            sums(&mut order.discounts.iter().map(|discount| discount.tax)),
        ) {
            (Some(net), Some(tax)) if !order.discounts.is_empty() => Some(Amounts { net, tax, rate: None }),
            _ => None,
        };
        let captures = order.payments.iter().filter(|p| p.kind == PaymentKind::Capture && p.status == PaymentStatus::Success);
        let charge = |charge: &Charge| Amounts { net: charge.net, tax: charge.tax, rate: charge.rate };
        let email = |address: Option<&crate::records::Address>| address.and_then(|address| address.email.clone());
        let buyer = order.customer.as_ref().and_then(|customer| customer.email.clone());
        let buyer = buyer.or_else(|| email(order.billing.as_ref())).or_else(|| email(order.shipping.as_ref()));
        Entry {
            key: Some(order.number.clone()),
            order: Some(order.number.clone()),
            stage: match order.status {
                OrderStatus::Cancelled => Stage::Void,
                OrderStatus::Pending => Stage::Pending,
                _ => Stage::Standing,
            },
            on: Some(order.placed_on),
            updated_at: Some(order.updated_at),
            internal: order.internal,
            buyer: buyer.map(|email| email.trim().to_lowercase()).filter(|email| !email.is_empty()),
            address: order
                .shipping
                .as_ref()
                .and_then(|to| one_address(to.line1.as_deref(), to.postcode.as_deref(), to.city.as_deref())),
            currency: Some(order.currency),
            tax_mode: Some(order.tax_mode),
            lines: lines.collect(),
            discount,
            shipping: Some(charge(&order.shipping_charge)),
            handling: Some(charge(&order.handling_charge)),
            totals: Some(order.totals),
            captured: Money::sum(order.currency, captures.map(|payment| payment.amount)).ok(),
            reference: Some(order.number.to_string()),
            ..Entry::bare(Kind::Order, order.id.clone(), order.placed_at)
        }
        .with(Facet::Market, Some(order.market.clone()))
        .with(Facet::Method, order.shipping_method.clone())
        .with(Facet::Payment, order.payment_method.clone().map(|name| Named { id: name.clone(), name }))
        .with(Facet::Country, country(order.shipping.as_ref().and_then(|address| address.country.as_ref())))
    }
}

impl Entry {
    /// What a place has of an item, under the name by which both ends know the place.
    pub fn of_stock(level: &StockLevel, place: &str) -> Self {
        let key = RecordKey::new(format!("{} @ {place}", level.sku));
        Entry {
            key: Some(key),
            updated_at: level.changed_at,
            lines: vec![units(&level.sku, 0)],
            stage: if level.active { Stage::Standing } else { Stage::Void },
            units: Some(Units {
                on_hand: level.on_hand,
                committed: level.committed,
                back_ordered: level.back_ordered,
                available: level.available,
                free: level.free(),
                incoming: level.incoming,
                kept_back: None,
            }),
            ..Entry::bare(Kind::Stock, level.item.clone(), level.as_of)
        }
        .with(Facet::Place, Some(Named { id: place.to_owned(), name: place.to_owned() }))
    }

    /// That an item is sold, by its SKU, and of which parts it is put together.
    pub fn of_item(sku: &str, id: ExternalId, active: bool, parts: &[RecipePart], at: Timestamp) -> Self {
        Entry {
            lines: parts.iter().map(|part| EntryLine { component: true, ..units(&part.sku, part.units) }).collect(),
            key: Some(RecordKey::new(sku)),
            stage: if active { Stage::Standing } else { Stage::Void },
            ..Entry::bare(Kind::Product, id, at)
        }
    }
}

fn units(sku: &Sku, quantity: u32) -> EntryLine {
    EntryLine { sku: sku.clone(), quantity: i64::from(quantity), unit: None, net: None, tax: None, rate: None, component: false }
}

impl From<&Shipment> for Entry {
    fn from(shipment: &Shipment) -> Self {
        let method = shipment.service().or(shipment.carrier()).map(|word| Named { id: word.to_owned(), name: word.to_owned() });
        Entry {
            key: Some(shipment.key.clone()),
            order: Some(shipment.order.clone()),
            stage: match shipment.status {
                ShipmentStatus::Open => Stage::Pending,
                ShipmentStatus::Shipped => Stage::Standing,
                ShipmentStatus::Cancelled => Stage::Void,
            },
            updated_at: Some(shipment.updated_at),
            lines: shipment.lines.iter().map(|line| units(&line.sku, line.quantity)).collect(),
            tracking: shipment.tracking().into_iter().map(str::to_owned).collect(),
            ..Entry::bare(Kind::Shipment, shipment.id.clone(), shipment.shipped_at.unwrap_or(shipment.updated_at))
        }
        .with(Facet::Method, method)
        .with(Facet::Place, shipment.warehouse.clone())
    }
}

impl From<&Return> for Entry {
    fn from(returned: &Return) -> Self {
        Entry {
            key: Some(returned.key.clone()),
            order: returned.order.clone(),
            stage: match returned.status {
                ReturnStatus::Announced => Stage::Pending,
                ReturnStatus::Received => Stage::Standing,
                ReturnStatus::Cancelled => Stage::Void,
            },
            updated_at: Some(returned.updated_at),
            lines: returned.lines.iter().map(|line| units(&line.sku, line.quantity)).collect(),
            ..Entry::bare(Kind::Return, returned.id.clone(), returned.created_at)
        }
        .with(Facet::Place, returned.warehouse.clone())
    }
}

impl From<&CreditNote> for Entry {
    fn from(credit: &CreditNote) -> Self {
        let mut entry = Entry::from(&credit.as_order());
        entry.facets.clear();
        entry.address = None;
        Entry {
            kind: Kind::CreditNote,
            id: credit.id.clone(),
            number: Some(credit.number.clone()).filter(|number| !number.is_empty()),
            key: Some(credit.key.clone()),
            order: credit.order.clone(),
            stage: match credit.status {
                CreditStatus::Open => Stage::Pending,
                CreditStatus::Issued => Stage::Standing,
                CreditStatus::Void => Stage::Void,
            },
            at: credit.issued_at,
            on: Some(credit.issued_on),
            updated_at: Some(credit.updated_at),
            internal: false,
            never_invoiced: credit.reason == CreditReason::Cancellation,
            reference: None,
            buyer: credit.buyer.as_ref().map(|buyer| buyer.trim().to_lowercase()),
            captured: None,
            handling: other_charges(credit),
            ..entry
        }
    }
}

/// What a credit comes to beside its lines, its discounts and its shipping: handling, and what is given for no goods, less what
/// is kept back. Books know all three as other charges, so they are told as one.
fn other_charges(credit: &CreditNote) -> Option<Amounts> {
    let CreditNote { handling, goodwill, fee, .. } = credit;
    let sum = |part: fn(&Charge) -> Money| part(handling).plus(part(goodwill)).and_then(|sum| sum.minus(part(fee))).ok();
    let charged: Vec<&Charge> =
        [handling, goodwill, fee].into_iter().filter(|charge| !charge.net.is_zero() || !charge.tax.is_zero()).collect();
    let rate = if let [one] = charged.as_slice() { one.rate } else { None };
    Some(Amounts { net: sum(|charge| charge.net)?, tax: sum(|charge| charge.tax)?, rate })
}

impl From<&Refund> for Entry {
    fn from(refund: &Refund) -> Self {
        let zero = Money::zero(refund.amount.currency());
        Entry {
            key: Some(refund.key.clone()),
            order: refund.order.clone(),
            stage: match refund.status {
                PaymentStatus::Success => Stage::Standing,
                PaymentStatus::Pending => Stage::Pending,
                PaymentStatus::Failed => Stage::Void,
            },
            on: Some(refund.on),
            updated_at: Some(refund.updated_at),
            currency: Some(refund.amount.currency()),
            totals: Some(Totals { net: refund.amount, tax: zero, gross: refund.amount }),
            reference: refund.reference.clone(),
            ..Entry::bare(Kind::Refund, refund.id.clone(), refund.at)
        }
        .with(Facet::Market, refund.market.clone())
        .with(Facet::Payment, refund.method.clone().map(|name| Named { id: name.clone(), name }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{credit, eur, line, order};

    #[test]
    fn a_fee_that_is_kept_back_is_told_as_books_have_it() {
        let charge = |net: i64, tax: i64| Charge { net: eur(net), tax: eur(tax), rate: Some(Decimal::from(25)) };
        let plain = credit(order(vec![line("1", "COAT", 1, 10_000)]));
        let told = |credit: &CreditNote| Entry::from(credit).handling.unwrap();
        assert_eq!(told(&plain), Amounts { net: eur(0), tax: eur(0), rate: None });
        let fee = CreditNote { fee: charge(2_000, 500), ..plain.clone() };
        assert_eq!(told(&fee), Amounts { net: eur(-2_000), tax: eur(-500), rate: Some(Decimal::from(25)) });
        let all = CreditNote { handling: charge(800, 200), goodwill: charge(400, 100), ..fee };
        assert_eq!(told(&all), Amounts { net: eur(-800), tax: eur(-200), rate: None });
    }
}
