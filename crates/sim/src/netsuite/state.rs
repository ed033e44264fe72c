//! The documents and customers, kept small, and written to the journal before anyone hears of them.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::fixed::Fixed;
use super::periods::{Flags, Month, Periods};
use super::seed::{self, Item};
use super::stock::{self, Stock};
use crate::journal::Journal;
use crate::mischief::mix;

/// A text kept once, by number; 0 is no text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Sym(u32);

impl Sym {
    pub(super) fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// Texts that many lines share: descriptions, tax references.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    numbers: HashMap<Box<str>, u32>,
    texts: Vec<Box<str>>,
    journaled: usize,
}

impl Symbols {
    /// The number of a text, made if need be.
    pub(super) fn put(&mut self, text: &str) -> Sym {
        if text.is_empty() {
            return Sym(0);
        }
        if let Some(number) = self.numbers.get(text) {
            return Sym(*number);
        }
        self.texts.push(text.into());
        let number = u32::try_from(self.texts.len()).unwrap_or(0);
        self.numbers.insert(text.into(), number);
        Sym(number)
    }

    /// The text; empty for none.
    pub(super) fn text(&self, sym: Sym) -> &str {
        usize::try_from(sym.0).ok().and_then(|at| at.checked_sub(1)).and_then(|at| self.texts.get(at)).map_or("", |text| text)
    }
}

/// What kind of transaction a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    #[serde(rename = "so")]
    SalesOrder,
    #[serde(rename = "cs")]
    CashSale,
    #[serde(rename = "ra")]
    Return,
    #[serde(rename = "cm")]
    Credit,
}

impl Kind {
    /// Record type in the record service.
    pub(super) fn record(self) -> &'static str {
        match self {
            Kind::SalesOrder => "salesOrder",
            Kind::CashSale => "cashSale",
            Kind::Return => "returnAuthorization",
            Kind::Credit => "creditMemo",
        }
    }

    /// `type` in SuiteQL.
    pub(super) fn code(self) -> &'static str {
        match self {
            Kind::SalesOrder => "SalesOrd",
            Kind::CashSale => "CashSale",
            Kind::Return => "RtnAuth",
            Kind::Credit => "CustCred",
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Kind::SalesOrder => "Sales Order",
            Kind::CashSale => "Cash Sale",
            Kind::Return => "Return Authorization",
            Kind::Credit => "Credit Memo",
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Kind::SalesOrder => "SO",
            Kind::CashSale => "CS",
            Kind::Return => "RMA",
            Kind::Credit => "CM",
        }
    }

    /// Whether something is sold with it.
    pub(super) fn is_sale(self) -> bool {
        matches!(self, Kind::SalesOrder | Kind::CashSale)
    }

    /// Whether the numbers of its lines have gaps.
    pub(super) fn is_sparse(self) -> bool {
        matches!(self, Kind::SalesOrder | Kind::Return)
    }
}

/// A line. Amounts are in the document's currency; nets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    #[serde(rename = "n")]
    pub(super) number: u32,
    #[serde(rename = "i")]
    pub(super) item: u32,
    #[serde(rename = "q")]
    pub(super) quantity: Fixed,
    #[serde(rename = "r")]
    pub(super) rate: Fixed,
    #[serde(rename = "a")]
    pub(super) amount: Fixed,
    #[serde(rename = "t", default, skip_serializing_if = "is_default")]
    pub(super) reference: Sym,
    #[serde(rename = "d", default, skip_serializing_if = "is_default")]
    pub(super) description: Sym,
    #[serde(rename = "l", default, skip_serializing_if = "is_default")]
    pub(super) location: u32,
    #[serde(rename = "c", default, skip_serializing_if = "is_default")]
    pub(super) tax_code: u32,
    #[serde(rename = "x", default, skip_serializing_if = "is_default")]
    pub(super) closed: bool,
    /// Price level -1.
    #[serde(rename = "p", default, skip_serializing_if = "is_default")]
    pub(super) custom: bool,
    /// The line of the document that it was made from; 0 for none.
    #[serde(rename = "o", default, skip_serializing_if = "is_default")]
    pub(super) source: u32,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Stands for the shipping line where a line number is asked for.
pub(super) const SHIPPING: u32 = u32::MAX;

/// One tax on one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TaxLine {
    /// Number of the line, or [`SHIPPING`].
    #[serde(rename = "n")]
    pub(super) line: u32,
    #[serde(rename = "t", default, skip_serializing_if = "is_default")]
    pub(super) reference: Sym,
    #[serde(rename = "c")]
    pub(super) code: u32,
    #[serde(rename = "b")]
    pub(super) basis: Fixed,
    #[serde(rename = "r")]
    pub(super) rate: Fixed,
    #[serde(rename = "a")]
    pub(super) amount: Fixed,
}

/// A field that is kept and given back as it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Extra {
    /// 0 for the body, else the number of the line.
    pub(super) line: u32,
    pub(super) name: Sym,
    /// Its JSON.
    pub(super) json: Box<str>,
}

/// A sales order or cash sale. Figures that follow from others are not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tran {
    pub(super) id: u32,
    pub(super) kind: Kind,
    /// The document number's digits.
    pub(super) number: u32,
    pub(super) external: Option<Box<str>>,
    pub(super) entity: u32,
    pub(super) subsidiary: u32,
    pub(super) currency: u32,
    pub(super) exchange: Fixed,
    pub(super) date: Date,
    /// Seconds since 1970.
    pub(super) created: i64,
    /// Seconds since 1970.
    pub(super) modified: i64,
    /// Approved: status B before anything else happened.
    pub(super) approved: bool,
    pub(super) billed: bool,
    /// Everything that is kept on shelves was handed over.
    #[serde(skip)]
    pub(super) fulfilled: bool,
    pub(super) location: u32,
    pub(super) ship_method: u32,
    pub(super) shipping: Fixed,
    /// Legacy tax only.
    pub(super) ship_tax_code: u32,
    pub(super) handling: Fixed,
    pub(super) discount_item: u32,
    pub(super) discount_rate: Fixed,
    pub(super) discount_percent: bool,
    pub(super) payment_method: u32,
    pub(super) payment_option: u32,
    pub(super) tax_override: bool,
    pub(super) memo: Option<Box<str>>,
    pub(super) other_ref: Option<Box<str>>,
    /// Fields of the address joined by U+001F, see [`super::records::ADDRESS`].
    pub(super) ship_to: Option<Box<str>>,
    pub(super) bill_to: Option<Box<str>>,
    /// Largest line number given out.
    pub(super) last_line: u32,
    pub(super) lines: Vec<Line>,
    pub(super) taxes: Vec<TaxLine>,
    pub(super) extra: Vec<Extra>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) shipped: Vec<Shipped>,
    /// Return authorizations and credit memos only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) back: Option<Box<Back>>,
}

/// What a return authorization or a credit memo knows beyond an order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Back {
    /// The document that it was made from; 0 for none.
    pub(super) from: u32,
    /// A memo's money that was paid back.
    pub(super) applied: Fixed,
    /// A memo that counts no more.
    pub(super) voided: bool,
    /// An authorization's units that arrived.
    pub(super) received: Vec<Came>,
    /// An authorization's units that were credited.
    pub(super) credited: Vec<Came>,
}

/// Units of a line of an authorization, and the document that they came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Came {
    pub(super) line: u32,
    pub(super) quantity: Fixed,
    pub(super) by: u32,
}

fn units_of(all: &[Came], line: u32) -> Fixed {
    Fixed::sum(all.iter().filter(|came| came.line == line).map(|came| came.quantity)).unwrap_or_default()
}

impl Back {
    /// Units of a line that arrived.
    pub(super) fn received_of(&self, line: u32) -> Fixed {
        units_of(&self.received, line)
    }

    /// Units of a line that were credited.
    pub(super) fn credited_of(&self, line: u32) -> Fixed {
        units_of(&self.credited, line)
    }
}

/// An item receipt, a customer refund or an inventory adjustment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Paper {
    pub(super) id: u32,
    /// The document number's digits.
    pub(super) number: u32,
    pub(super) external: Option<Box<str>>,
    pub(super) entity: u32,
    pub(super) subsidiary: u32,
    pub(super) date: Date,
    /// Seconds since 1970.
    pub(super) created: i64,
    /// Seconds since 1970.
    pub(super) modified: i64,
    pub(super) memo: Option<Box<str>>,
    pub(super) what: What,
}

/// What a paper says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum What {
    /// Goods of this authorization arrived.
    Receipt { from: u32, lines: Vec<Arrived> },
    /// Money went back; (memo, amount).
    Refund { currency: u32, account: u32, option: u32, applied: Vec<(u32, Fixed)>, voided: bool },
    /// Units were found or lost.
    Adjustment { account: u32, lines: Vec<Adjusted> },
}

/// One line of an item receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Arrived {
    pub(super) number: u32,
    /// The authorization's line.
    pub(super) order_line: u32,
    pub(super) item: u32,
    pub(super) quantity: Fixed,
    pub(super) location: u32,
    /// Whether it goes back on the shelf.
    pub(super) restock: bool,
    /// What goes back on the shelf: the item, or the parts of the kit as it was made then.
    pub(super) parts: Vec<(u32, Fixed)>,
}

/// One line of an inventory adjustment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Adjusted {
    pub(super) number: u32,
    pub(super) item: u32,
    pub(super) location: u32,
    pub(super) quantity: Fixed,
}

impl Paper {
    /// `type` in SuiteQL.
    pub(super) fn code(&self) -> &'static str {
        match self.what {
            What::Receipt { .. } => "ItemRcpt",
            What::Refund { .. } => "CustRfnd",
            What::Adjustment { .. } => "InvAdjst",
        }
    }

    /// Record type in the record service.
    pub(super) fn record(&self) -> &'static str {
        match self.what {
            What::Receipt { .. } => "itemReceipt",
            What::Refund { .. } => "customerRefund",
            What::Adjustment { .. } => "inventoryAdjustment",
        }
    }

    pub(super) fn tran_id(&self) -> String {
        let prefix = match self.what {
            What::Receipt { .. } => "IR",
            What::Refund { .. } => "RF",
            What::Adjustment { .. } => "IA",
        };
        format!("{prefix}{}", self.number)
    }

    /// The status letter; most have none.
    pub(super) fn status(&self) -> &'static str {
        match self.what {
            What::Refund { voided: true, .. } => "V",
            What::Refund { .. } => "R",
            _ => "",
        }
    }
}

/// Units of a line that were handed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shipped {
    #[serde(rename = "n")]
    pub(super) line: u32,
    #[serde(rename = "i")]
    pub(super) item: u32,
    #[serde(rename = "l")]
    pub(super) location: u32,
    #[serde(rename = "q")]
    pub(super) quantity: Fixed,
    /// What a kit was made of then, with units per kit.
    #[serde(rename = "p", default, skip_serializing_if = "Vec::is_empty")]
    pub(super) parts: Vec<(u32, Fixed)>,
    /// The fulfilment that took it; 0 where somebody did it by hand.
    #[serde(rename = "f", default, skip_serializing_if = "is_default")]
    pub(super) by: u32,
}

/// How far a fulfilment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum ShipStatus {
    #[serde(rename = "A")]
    Picked,
    #[serde(rename = "B")]
    Packed,
    #[serde(rename = "C")]
    Shipped,
}

impl ShipStatus {
    /// The status of this letter.
    pub(super) fn of(letter: &str) -> Option<ShipStatus> {
        match letter {
            "A" => Some(ShipStatus::Picked),
            "B" => Some(ShipStatus::Packed),
            "C" => Some(ShipStatus::Shipped),
            _ => None,
        }
    }

    /// Letter and name.
    pub(super) fn words(self) -> (&'static str, &'static str) {
        match self {
            ShipStatus::Picked => ("A", "Picked"),
            ShipStatus::Packed => ("B", "Packed"),
            ShipStatus::Shipped => ("C", "Shipped"),
        }
    }
}

/// One line of a fulfilment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Gone {
    pub(super) number: u32,
    /// The order's line.
    pub(super) order_line: u32,
    pub(super) item: u32,
    pub(super) quantity: Fixed,
    pub(super) location: u32,
    /// The line of the kit that it is a part of; 0 for none.
    pub(super) member_of: u32,
}

/// One package.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Package {
    pub(super) tracking: Box<str>,
    pub(super) description: Box<str>,
    /// In pounds.
    pub(super) weight: Fixed,
}

/// An item fulfilment of a sales order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fulfilment {
    pub(super) id: u32,
    /// The document number's digits.
    pub(super) number: u32,
    pub(super) external: Option<Box<str>>,
    pub(super) order: u32,
    pub(super) date: Date,
    /// Seconds since 1970.
    pub(super) created: i64,
    /// Seconds since 1970.
    pub(super) modified: i64,
    pub(super) status: ShipStatus,
    pub(super) memo: Option<Box<str>>,
    pub(super) lines: Vec<Gone>,
    pub(super) packages: Vec<Package>,
}

impl Fulfilment {
    pub(super) fn tran_id(&self) -> String {
        format!("IF{}", self.number)
    }
}

/// The figures of a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) subtotal: Fixed,
    /// Not above nought.
    pub(super) discount: Fixed,
    /// Shipping's tax is in it.
    pub(super) tax: Fixed,
    pub(super) shipping_tax: Fixed,
    pub(super) total: Fixed,
}

impl Tran {
    pub(super) fn new(kind: Kind, date: Date, now: i64) -> Tran {
        Tran {
            id: 0,
            kind,
            number: 0,
            external: None,
            entity: 0,
            subsidiary: 0,
            currency: 0,
            exchange: Fixed::whole(1),
            date,
            created: now,
            modified: now,
            approved: false,
            billed: false,
            fulfilled: false,
            location: 0,
            ship_method: 0,
            shipping: Fixed::ZERO,
            ship_tax_code: 0,
            handling: Fixed::ZERO,
            discount_item: 0,
            discount_rate: Fixed::ZERO,
            discount_percent: false,
            payment_method: 0,
            payment_option: 0,
            tax_override: false,
            memo: None,
            other_ref: None,
            ship_to: None,
            bill_to: None,
            last_line: 0,
            lines: Vec::new(),
            taxes: Vec::new(),
            extra: Vec::new(),
            shipped: Vec::new(),
            back: None,
        }
    }

    pub(super) fn tran_id(&self) -> String {
        format!("{}{}", self.kind.prefix(), self.number)
    }

    /// Decimal places of its currency.
    pub(super) fn digits(&self) -> u32 {
        seed::currency(self.currency).map_or(2, |c| c.digits)
    }

    /// An approved order of which something may still have to be handed over.
    pub(super) fn is_open(&self) -> bool {
        self.kind == Kind::SalesOrder && self.approved && !self.fulfilled && !self.is_closed()
    }

    /// All lines are closed.
    pub(super) fn is_closed(&self) -> bool {
        !self.lines.is_empty() && self.lines.iter().all(|line| line.closed)
    }

    /// The status letter and its name.
    pub(super) fn status(&self) -> (&'static str, &'static str) {
        match self.kind {
            Kind::CashSale => ("B", "Not Deposited"),
            Kind::Return => self.return_status(),
            Kind::Credit if self.back.as_ref().is_some_and(|back| back.voided) => ("V", "Voided"),
            Kind::Credit if self.remaining().is_zero() => ("B", "Fully Applied"),
            Kind::Credit => ("A", "Open"),
            Kind::SalesOrder if self.billed => ("G", "Billed"),
            Kind::SalesOrder if self.is_closed() => ("H", "Closed"),
            Kind::SalesOrder if self.fulfilled => ("F", "Pending Billing"),
            Kind::SalesOrder if !self.shipped.is_empty() => ("D", "Partially Fulfilled"),
            Kind::SalesOrder if self.approved => ("B", "Pending Fulfillment"),
            Kind::SalesOrder => (PENDING_APPROVAL, "Pending Approval"),
        }
    }

    fn return_status(&self) -> (&'static str, &'static str) {
        if self.is_closed() {
            return ("H", "Closed");
        }
        if !self.approved {
            return (PENDING_APPROVAL, "Pending Approval");
        }
        let nothing = Back::default();
        let back = self.back.as_deref().unwrap_or(&nothing);
        let open = || self.lines.iter().filter(|line| !line.closed);
        let all = |units: &dyn Fn(u32) -> Fixed| open().all(|line| units(line.number) >= line.quantity);
        let (received, credited) = (all(&|line| back.received_of(line)), all(&|line| back.credited_of(line)));
        match (received, back.received.is_empty(), back.credited.is_empty()) {
            (true, ..) if credited => ("G", "Refunded"),
            (true, ..) => ("F", "Pending Refund"),
            (false, true, _) => ("B", "Pending Receipt"),
            (false, false, true) => ("D", "Partially Received"),
            (false, false, false) => ("E", "Pending Refund/Partially Received"),
        }
    }

    /// A memo's money that nobody has got yet.
    pub(super) fn remaining(&self) -> Fixed {
        let applied = self.back.as_ref().map(|back| back.applied).unwrap_or_default();
        self.totals().total.minus(applied).unwrap_or_default()
    }

    /// What it was made from; 0 for nothing.
    pub(super) fn from(&self) -> u32 {
        self.back.as_ref().map_or(0, |back| back.from)
    }

    /// Its figures; `None` when one is too large.
    pub(super) fn checked_totals(&self) -> Option<Totals> {
        let subtotal = Fixed::sum(self.lines.iter().map(|line| line.amount))?;
        let discount = match (self.discount_item, self.discount_percent) {
            (0, _) => Fixed::ZERO,
            (_, false) => self.discount_rate,
            (_, true) => subtotal.percent(self.discount_rate, self.digits())?,
        };
        let tax = Fixed::sum(self.taxes.iter().map(|tax| tax.amount))?;
        let shipping_tax = Fixed::sum(self.taxes.iter().filter(|tax| tax.line == SHIPPING).map(|tax| tax.amount))?;
        let total = Fixed::sum([subtotal, discount, self.shipping, self.handling, tax])?;
        Some(Totals { subtotal, discount, tax, shipping_tax, total })
    }

    /// Its figures. What was let in has some.
    pub(super) fn totals(&self) -> Totals {
        self.checked_totals().unwrap_or_default()
    }

    /// Everything before tax.
    pub(super) fn net(&self) -> Fixed {
        let totals = self.totals();
        totals.total.minus(totals.tax).unwrap_or_default()
    }
}

/// A customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Customer {
    pub(super) id: u32,
    pub(super) external: Option<Box<str>>,
    pub(super) entity_id: Box<str>,
    pub(super) person: bool,
    pub(super) company: Box<str>,
    pub(super) first: Box<str>,
    pub(super) last: Box<str>,
    pub(super) email: Box<str>,
    pub(super) phone: Box<str>,
    pub(super) comments: Box<str>,
    pub(super) subsidiary: u32,
    pub(super) currency: u32,
    /// Further currencies.
    pub(super) currencies: Vec<u32>,
    pub(super) inactive: bool,
    pub(super) created: i64,
    pub(super) modified: i64,
    pub(super) addresses: Vec<AddressEntry>,
    pub(super) extra: Vec<Extra>,
}

/// One line of a customer's address book.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AddressEntry {
    pub(super) id: u32,
    pub(super) label: Box<str>,
    pub(super) shipping: bool,
    pub(super) billing: bool,
    pub(super) address: Box<str>,
}

impl Customer {
    /// One without anything.
    pub(super) fn fresh(now: i64) -> Customer {
        Customer {
            id: 0,
            external: None,
            entity_id: "".into(),
            person: false,
            company: "".into(),
            first: "".into(),
            last: "".into(),
            email: "".into(),
            phone: "".into(),
            comments: "".into(),
            subsidiary: 0,
            currency: 0,
            currencies: Vec::new(),
            inactive: false,
            created: now,
            modified: now,
            addresses: Vec::new(),
            extra: Vec::new(),
        }
    }

    /// What is shown where the customer is referred to.
    pub(super) fn name(&self) -> String {
        let name = if self.person { format!("{} {}", self.first, self.last) } else { self.company.to_string() };
        format!("{} {name}", self.entity_id).trim().to_owned()
    }

    pub(super) fn takes(&self, currency: u32) -> bool {
        self.currency == currency || self.currencies.contains(&currency)
    }
}

/// The guest customer with this id, if it is one.
pub(super) fn guest(id: u32) -> Option<Customer> {
    let (subsidiary, currency) = seed::guest(id)?;
    let symbol = seed::currency(currency)?.symbol;
    let place = seed::subsidiary(subsidiary)?.name;
    Some(Customer {
        id,
        entity_id: format!("GUEST-{subsidiary}-{symbol}").into(),
        company: format!("Web guests {place} {symbol}").into(),
        subsidiary,
        currency,
        ..Customer::fresh(0)
    })
}

#[derive(Serialize)]
enum Entry<'a> {
    #[serde(rename = "s")]
    Symbol(&'a str),
    #[serde(rename = "t")]
    Tran(&'a Tran),
    #[serde(rename = "c")]
    Customer(&'a Customer),
    /// (transaction, milliseconds since 1970).
    #[serde(rename = "x")]
    Deleted(u32, i64),
    #[serde(rename = "e")]
    CustomerDeleted(u32),
    #[serde(rename = "m")]
    Moved(&'a Movement),
    /// (item, its parts where they are given, milliseconds since 1970).
    #[serde(rename = "i")]
    Item(&'a Item, Option<&'a [(u32, i64)]>, i64),
    /// (fulfilment, milliseconds since 1970).
    #[serde(rename = "f")]
    Fulfilment(&'a Fulfilment, i64),
    /// (fulfilment, milliseconds since 1970).
    #[serde(rename = "u")]
    FulfilmentDeleted(u32, i64),
    /// (paper, milliseconds since 1970).
    #[serde(rename = "p")]
    Paper(&'a Paper, i64),
    /// (paper, milliseconds since 1970).
    #[serde(rename = "q")]
    PaperDeleted(u32, i64),
    #[serde(rename = "z")]
    Period(Month, Flags),
}

/// Units that come or go at places, all at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Movement {
    /// Milliseconds since 1970.
    pub(super) at: i64,
    /// The number of the event it stands for, from 0; each is taken once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) event: Option<u32>,
    pub(super) why: String,
    /// (item, location, units that come, or below nought: go).
    pub(super) moves: Vec<(u32, u32, i64)>,
    /// Made by a CSV import: no script hears of it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) import: bool,
}

#[derive(Deserialize)]
enum Kept {
    #[serde(rename = "s")]
    Symbol(String),
    #[serde(rename = "t")]
    Tran(Box<Tran>),
    #[serde(rename = "c")]
    Customer(Box<Customer>),
    #[serde(rename = "x")]
    Deleted(u32, i64),
    #[serde(rename = "e")]
    CustomerDeleted(u32),
    #[serde(rename = "m")]
    Moved(Movement),
    #[serde(rename = "i")]
    Item(Box<Item>, Option<Vec<(u32, i64)>>, i64),
    #[serde(rename = "f")]
    Fulfilment(Box<Fulfilment>, i64),
    #[serde(rename = "u")]
    FulfilmentDeleted(u32, i64),
    #[serde(rename = "p")]
    Paper(Box<Paper>, i64),
    #[serde(rename = "q")]
    PaperDeleted(u32, i64),
    #[serde(rename = "z")]
    Period(Month, Flags),
}

/// First transaction id.
const FIRST_TRAN: u32 = 4_001;
/// First id of a customer made through the API; guests lie below.
const FIRST_CUSTOMER: u32 = 20_001;

/// The status letter of an order that nobody has approved.
pub(super) const PENDING_APPROVAL: &str = "A";

/// Everything that changes.
#[derive(Debug)]
pub(super) struct State {
    pub(super) trans: BTreeMap<u32, Box<Tran>>,
    /// By external id: it is unique over all transactions.
    pub(super) by_external: HashMap<Box<str>, u32>,
    pub(super) fulfilments: BTreeMap<u32, Box<Fulfilment>>,
    /// The fulfilments of each order.
    fulfilled_by: HashMap<u32, Vec<u32>>,
    /// Whether an order is billed by what is fulfilled of it (no Advanced Shipping).
    bills_with_fulfilment: bool,
    last_fulfilment: u32,
    /// Receipts, refunds and adjustments.
    pub(super) papers: BTreeMap<u32, Box<Paper>>,
    last_paper: u32,
    /// The accounting periods that are not simply open.
    pub(super) periods: Periods,
    /// Documents that wait for approval.
    pub(super) unapproved: BTreeSet<u32>,
    pub(super) customers: BTreeMap<u32, Box<Customer>>,
    pub(super) customer_by_external: HashMap<Box<str>, u32>,
    pub(super) entity_ids: HashMap<Box<str>, u32>,
    pub(super) symbols: Symbols,
    pub(super) stock: Stock,
    /// How many events were taken.
    events: u32,
    /// How long after it was saved an order is handed over by itself, in milliseconds.
    fulfil_after: Option<i64>,
    /// Orders to be handed over, with the milliseconds since 1970 at which they are due.
    parcels: VecDeque<(i64, u32)>,
    last_tran: u32,
    last_customer: u32,
    /// Last document numbers of sales orders, cash sales, return authorizations and credit memos.
    last_numbers: [u32; 4],
    journal: Journal,
}

impl State {
    /// An account without documents. Nothing is kept until [`State::keep_in`].
    pub(super) fn new(stock: Stock, fulfil_after: Option<i64>, bills_with_fulfilment: bool) -> State {
        let mut state = State {
            trans: BTreeMap::new(),
            by_external: HashMap::new(),
            fulfilments: BTreeMap::new(),
            fulfilled_by: HashMap::new(),
            bills_with_fulfilment,
            last_fulfilment: 300,
            papers: BTreeMap::new(),
            last_paper: 70,
            periods: Periods::new(),
            unapproved: BTreeSet::new(),
            customers: BTreeMap::new(),
            customer_by_external: HashMap::new(),
            entity_ids: HashMap::new(),
            symbols: Symbols::default(),
            stock,
            events: 0,
            fulfil_after,
            parcels: VecDeque::new(),
            last_tran: FIRST_TRAN - 1,
            last_customer: FIRST_CUSTOMER - 1,
            last_numbers: [1_000, 500, 200, 300],
            journal: Journal::memory(),
        };
        for subsidiary in seed::SUBSIDIARIES {
            for currency in seed::CURRENCIES {
                if let Some(customer) = guest(5_000 + 100 * subsidiary.id + currency.id) {
                    state.entity_ids.insert(customer.entity_id.clone(), customer.id);
                    state.customers.insert(customer.id, Box::new(customer));
                }
            }
        }
        state
    }

    /// Takes in one entry of the journal.
    pub(super) fn replay(&mut self, entry: serde_json::Value) -> anyhow::Result<()> {
        match serde_json::from_value::<Kept>(entry)? {
            Kept::Symbol(text) => {
                self.symbols.put(&text);
                self.symbols.journaled = self.symbols.texts.len();
            }
            Kept::Tran(tran) => {
                let at = tran.modified.saturating_mul(1_000);
                self.place_tran(tran, at, false);
            }
            Kept::Customer(customer) => self.place_customer(customer),
            Kept::Deleted(id, at) => self.remove_tran(id, at),
            Kept::Moved(movement) => self.shift(&movement),
            Kept::CustomerDeleted(id) => self.remove_customer(id),
            Kept::Item(item, members, at) => self.stock.put_item(*item, members.as_deref(), &self.trans, at),
            Kept::Fulfilment(fulfilment, at) => self.place_fulfilment(fulfilment, at),
            Kept::FulfilmentDeleted(id, at) => self.remove_fulfilment(id, at),
            Kept::Paper(paper, at) => self.place_paper(paper, at),
            Kept::PaperDeleted(id, at) => self.remove_paper(id, at),
            Kept::Period(month, flags) => drop(self.periods.insert(month, flags)),
        }
        Ok(())
    }

    /// From now on everything goes to this journal.
    pub(super) fn keep_in(&mut self, journal: Journal) {
        self.journal = journal;
        self.stock.take_touched();
        if let Some(after) = self.fulfil_after {
            let waiting = self.trans.values().filter(|tran| tran.is_open());
            let due = |tran: &Tran| tran.modified.saturating_mul(1_000).saturating_add(after);
            let mut parcels: Vec<(i64, u32)> = waiting.map(|tran| (due(tran), tran.id)).collect();
            parcels.sort_unstable();
            self.parcels = parcels.into();
        }
    }

    /// The next transaction id: rising, with gaps, as other users make documents too.
    pub(super) fn next_tran(&mut self) -> u32 {
        let gap = u32::try_from(mix(u64::from(self.last_tran)) % 4).unwrap_or(0);
        self.last_tran = self.last_tran.saturating_add(1 + gap.saturating_sub(1));
        self.last_tran
    }

    pub(super) fn next_customer(&mut self) -> u32 {
        let gap = u32::try_from(mix(u64::from(self.last_customer)) % 3).unwrap_or(0);
        self.last_customer = self.last_customer.saturating_add(1 + gap);
        self.last_customer
    }

    pub(super) fn next_number(&mut self, kind: Kind) -> u32 {
        let last = self.last_number(kind);
        *last = last.saturating_add(1);
        *last
    }

    fn last_number(&mut self, kind: Kind) -> &mut u32 {
        let [orders, sales, returns, credits] = &mut self.last_numbers;
        match kind {
            Kind::SalesOrder => orders,
            Kind::CashSale => sales,
            Kind::Return => returns,
            Kind::Credit => credits,
        }
    }

    /// `at` is in milliseconds since 1970; with `later` an order is committed after the account's delay.
    fn place_tran(&mut self, mut tran: Box<Tran>, at: i64, later: bool) {
        tran.fulfilled = self.stock.is_fulfilled(&tran);
        self.stock.save(tran.id, self.trans.get(&tran.id).map(|old| &**old), Some(&tran), at, later);
        self.last_tran = self.last_tran.max(tran.id);
        let number = tran.number;
        let last = self.last_number(tran.kind);
        *last = number.max(*last);
        tran.lines.shrink_to_fit();
        tran.taxes.shrink_to_fit();
        tran.extra.shrink_to_fit();
        if let Some(old) = self.trans.get(&tran.id)
            && old.external != tran.external
            && let Some(external) = &old.external
        {
            self.by_external.remove(external);
        }
        if let Some(external) = &tran.external {
            self.by_external.insert(external.clone(), tran.id);
        }
        let id = tran.id;
        self.uncredit(id);
        self.trans.insert(id, tran);
        self.credit(id);
        self.sort_by_status(id);
    }

    /// Keeps apart the documents whose status has the letter of what waits for approval.
    fn sort_by_status(&mut self, id: u32) {
        if self.trans.get(&id).is_some_and(|tran| tran.status().0 == PENDING_APPROVAL) {
            self.unapproved.insert(id);
        } else {
            self.unapproved.remove(&id);
        }
    }

    /// An authorization forgets what a memo credits of it.
    fn uncredit(&mut self, memo: u32) {
        let from = self.trans.get(&memo).filter(|tran| tran.kind == Kind::Credit).map_or(0, |tran| tran.from());
        if let Some(back) = self.trans.get_mut(&from).and_then(|tran| tran.back.as_mut()) {
            back.credited.retain(|came| came.by != memo);
        }
    }

    /// An authorization learns what a memo credits of it.
    fn credit(&mut self, memo: u32) {
        let Some(tran) = self.trans.get(&memo).filter(|tran| tran.kind == Kind::Credit && tran.status().0 != "V") else { return };
        let credited = tran.lines.iter().filter(|line| line.source != 0);
        let credited: Vec<Came> = credited.map(|line| Came { line: line.source, quantity: line.quantity, by: memo }).collect();
        let from = tran.from();
        if let Some(authorization) = self.trans.get_mut(&from).filter(|tran| tran.kind == Kind::Return) {
            authorization.back.get_or_insert_default().credited.extend(credited);
        }
    }

    fn remove_tran(&mut self, id: u32, at: i64) {
        self.stock.save(id, self.trans.get(&id).map(|old| &**old), None, at, false);
        self.unapproved.remove(&id);
        self.uncredit(id);
        if let Some(external) = self.trans.remove(&id).and_then(|tran| tran.external) {
            self.by_external.remove(&external);
        }
    }

    fn place_customer(&mut self, customer: Box<Customer>) {
        self.last_customer = self.last_customer.max(customer.id);
        self.forget_keys(customer.id);
        if let Some(external) = &customer.external {
            self.customer_by_external.insert(external.clone(), customer.id);
        }
        self.entity_ids.insert(customer.entity_id.clone(), customer.id);
        self.customers.insert(customer.id, customer);
    }

    fn forget_keys(&mut self, id: u32) {
        if let Some(old) = self.customers.get(&id) {
            self.entity_ids.remove(&old.entity_id);
            if let Some(external) = &old.external {
                self.customer_by_external.remove(external);
            }
        }
    }

    fn remove_customer(&mut self, id: u32) {
        self.forget_keys(id);
        self.customers.remove(&id);
    }

    fn journal_symbols(&mut self) -> anyhow::Result<()> {
        while let Some(text) = self.symbols.texts.get(self.symbols.journaled) {
            self.journal.append(&Entry::Symbol(text))?;
            self.symbols.journaled += 1;
        }
        Ok(())
    }

    /// Keeps a document, new or changed, at `now` (milliseconds since 1970).
    /// Errors when the journal cannot be written; nothing changed then.
    pub(super) fn put_tran(&mut self, tran: Box<Tran>, now: i64) -> anyhow::Result<()> {
        self.journal_symbols()?;
        self.journal.append(&Entry::Tran(&tran))?;
        if let Some(after) = self.fulfil_after
            && tran.is_open()
        {
            self.parcels.push_back((now.saturating_add(after), tran.id));
        }
        self.place_tran(tran, now, true);
        Ok(())
    }

    /// Commits orders and hands parcels over that are due by `now` (milliseconds since 1970).
    /// Errors as [`State::put_tran`].
    pub(super) fn settle(&mut self, now: i64) -> anyhow::Result<()> {
        self.stock.settle(now, &self.trans);
        while let Some((due, id)) = self.parcels.front().copied()
            && due <= now
        {
            self.parcels.pop_front();
            self.fulfil(id, now)?;
            // What was not there waits for the next parcel.
            if let Some(after) = self.fulfil_after
                && self.trans.get(&id).is_some_and(|tran| tran.is_open())
            {
                self.parcels.push_back((now.saturating_add(after.max(1)), id));
            }
        }
        Ok(())
    }

    /// When [`State::settle`] has something to do next, in milliseconds since 1970.
    pub(super) fn next_due(&self) -> Option<i64> {
        let parcel = self.parcels.front().map(|(due, _)| *due);
        self.stock.next_due().into_iter().chain(parcel).min()
    }

    /// Hands over what is committed of an order. Answers whether that was anything. Errors as [`State::put_tran`].
    pub(super) fn fulfil(&mut self, id: u32, now: i64) -> anyhow::Result<bool> {
        let Some(tran) = self.trans.get(&id).filter(|tran| tran.is_open()) else {
            return Ok(false);
        };
        // A parcel is packed from what is committed, so the commitment does not wait any longer.
        self.stock.save(id, Some(tran), Some(tran), now, false);
        let gone: Vec<Shipped> = tran
            .lines
            .iter()
            .map(|line| Shipped {
                line: line.number,
                item: line.item,
                location: stock::place(tran, line),
                quantity: self.stock.line(tran, line).0,
                parts: self.kit_parts(line.item),
                by: 0,
            })
            .filter(|gone| !gone.quantity.is_zero())
            .collect();
        if gone.is_empty() {
            return Ok(false);
        }
        let mut tran = tran.clone();
        tran.shipped.extend(gone);
        tran.modified = now.div_euclid(1_000);
        self.journal.append(&Entry::Tran(&tran))?;
        self.place_tran(tran, now, false);
        Ok(true)
    }

    /// What a kit is made of now; nothing for anything else.
    fn kit_parts(&self, item: u32) -> Vec<(u32, Fixed)> {
        let is_kit = self.stock.items.get(item).is_some_and(|found| found.kind == seed::ItemKind::Kit);
        if is_kit { self.stock.parts(item) } else { Vec::new() }
    }

    /// Keeps an item, new or changed, and the parts of a kit where they are given, at `now` (milliseconds since 1970).
    /// Errors as [`State::put_tran`].
    pub(super) fn put_item(&mut self, item: Item, members: Option<&[(u32, i64)]>, now: i64) -> anyhow::Result<()> {
        self.journal.append(&Entry::Item(&item, members, now))?;
        self.stock.put_item(item, members, &self.trans, now);
        Ok(())
    }

    /// The digits of the next fulfilment's number.
    pub(super) fn next_fulfilment(&mut self) -> u32 {
        self.last_fulfilment = self.last_fulfilment.saturating_add(1);
        self.last_fulfilment
    }

    /// The fulfilments of an order, oldest first.
    pub(super) fn fulfilments_of(&self, order: u32) -> &[u32] {
        self.fulfilled_by.get(&order).map_or(&[], Vec::as_slice)
    }

    /// Units of an order's line that are in fulfilments, whether they have left or not.
    pub(super) fn in_fulfilments(&self, order: &Tran, line: u32) -> Fixed {
        let of_order = self.fulfilled_by.get(&order.id).into_iter().flatten().filter_map(|id| self.fulfilments.get(id));
        let waiting = of_order.filter(|it| it.status != ShipStatus::Shipped);
        let lines = waiting.flat_map(|it| &it.lines).filter(|gone| gone.order_line == line && gone.member_of == 0);
        Fixed::sum(lines.map(|gone| gone.quantity).chain([stock::shipped(order, line)])).unwrap_or_default()
    }

    /// Keeps a fulfilment, new or changed; with the status Shipped its units have left. Errors as [`State::put_tran`].
    pub(super) fn put_fulfilment(&mut self, fulfilment: Box<Fulfilment>, now: i64) -> anyhow::Result<()> {
        self.journal.append(&Entry::Fulfilment(&fulfilment, now))?;
        self.place_fulfilment(fulfilment, now);
        Ok(())
    }

    fn place_fulfilment(&mut self, fulfilment: Box<Fulfilment>, at: i64) {
        let id = fulfilment.id;
        let old = self.fulfilments.get(&id);
        let left = old.is_some_and(|old| old.status == ShipStatus::Shipped);
        if let Some(external) = old.and_then(|old| old.external.clone()) {
            self.by_external.remove(&external);
        }
        if let Some(external) = &fulfilment.external {
            self.by_external.insert(external.clone(), id);
        }
        self.last_tran = self.last_tran.max(id);
        self.last_fulfilment = self.last_fulfilment.max(fulfilment.number);
        if fulfilment.status == ShipStatus::Shipped
            && !left
            && let Some(mut order) = self.trans.get(&fulfilment.order).cloned()
        {
            let gone = fulfilment.lines.iter().filter(|line| line.member_of == 0);
            order.shipped.extend(gone.map(|line| Shipped {
                line: line.order_line,
                item: line.item,
                location: line.location,
                quantity: line.quantity,
                parts: self.kit_parts(line.item),
                by: id,
            }));
            order.modified = order.modified.max(fulfilment.modified);
            order.billed |= self.bills_with_fulfilment && self.stock.is_fulfilled(&order);
            self.place_tran(order, at, false);
        }
        let of_order = self.fulfilled_by.entry(fulfilment.order).or_default();
        if !of_order.contains(&id) {
            of_order.push(id);
        }
        self.fulfilments.insert(id, fulfilment);
    }

    /// Deletes a fulfilment: its units are back, and its order is open again. Errors as [`State::put_tran`].
    pub(super) fn delete_fulfilment(&mut self, id: u32, now: i64) -> anyhow::Result<()> {
        self.journal.append(&Entry::FulfilmentDeleted(id, now))?;
        self.remove_fulfilment(id, now);
        Ok(())
    }

    fn remove_fulfilment(&mut self, id: u32, at: i64) {
        let Some(fulfilment) = self.fulfilments.remove(&id) else { return };
        if let Some(of_order) = self.fulfilled_by.get_mut(&fulfilment.order) {
            of_order.retain(|known| *known != id);
        }
        if let Some(external) = &fulfilment.external {
            self.by_external.remove(external);
        }
        if let Some(mut order) = self.trans.get(&fulfilment.order).cloned() {
            order.shipped.retain(|gone| gone.by != id);
            order.modified = order.modified.max(at.div_euclid(1_000));
            self.place_tran(order, at, false);
        }
    }

    /// The digits of the next number of a receipt, a refund or an adjustment.
    pub(super) fn next_paper(&mut self) -> u32 {
        self.last_paper = self.last_paper.saturating_add(1);
        self.last_paper
    }

    /// Keeps a receipt, a refund or an adjustment. Errors as [`State::put_tran`].
    pub(super) fn put_paper(&mut self, paper: Box<Paper>, now: i64) -> anyhow::Result<()> {
        self.journal.append(&Entry::Paper(&paper, now))?;
        self.place_paper(paper, now);
        Ok(())
    }

    fn place_paper(&mut self, paper: Box<Paper>, at: i64) {
        let old = self.papers.remove(&paper.id);
        if let Some(old) = &old {
            self.work(old, at, true);
            if let Some(external) = &old.external {
                self.by_external.remove(external);
            }
        }
        if let Some(external) = &paper.external {
            self.by_external.insert(external.clone(), paper.id);
        }
        self.last_tran = self.last_tran.max(paper.id);
        self.last_paper = self.last_paper.max(paper.number);
        self.work(&paper, at, false);
        self.papers.insert(paper.id, paper);
    }

    /// Deletes a receipt, a refund or an adjustment: what it did is undone. Errors as [`State::put_tran`].
    pub(super) fn delete_paper(&mut self, id: u32, now: i64) -> anyhow::Result<()> {
        self.journal.append(&Entry::PaperDeleted(id, now))?;
        self.remove_paper(id, now);
        Ok(())
    }

    fn remove_paper(&mut self, id: u32, at: i64) {
        let Some(paper) = self.papers.remove(&id) else { return };
        self.work(&paper, at, true);
        if let Some(external) = &paper.external {
            self.by_external.remove(external);
        }
    }

    /// What a paper does to the goods and the money of others, or, `undone`, no longer does.
    fn work(&mut self, paper: &Paper, at: i64, undone: bool) {
        let signed = |amount: Fixed| if undone { amount.negated() } else { amount };
        let second = at.div_euclid(1_000);
        match &paper.what {
            What::Receipt { from, lines } => {
                for line in lines.iter().filter(|line| line.restock) {
                    for (part, per) in &line.parts {
                        let units = line.quantity.times(*per, 8).unwrap_or_default();
                        self.stock.shift(*part, line.location, signed(units), second, true);
                    }
                }
                if let Some(authorization) = self.trans.get_mut(from) {
                    let back = authorization.back.get_or_insert_default();
                    back.received.retain(|came| came.by != paper.id);
                    if !undone {
                        let came = |line: &Arrived| Came { line: line.order_line, quantity: line.quantity, by: paper.id };
                        back.received.extend(lines.iter().map(came));
                    }
                }
            }
            What::Refund { applied, voided, .. } => {
                for (memo, amount) in applied.iter().filter(|_| !voided) {
                    if let Some(tran) = self.trans.get_mut(memo) {
                        let back = tran.back.get_or_insert_default();
                        back.applied = back.applied.plus(signed(*amount)).unwrap_or(back.applied);
                    }
                    self.sort_by_status(*memo);
                }
            }
            What::Adjustment { lines, .. } => {
                for line in lines {
                    self.stock.shift(line.item, line.location, signed(line.quantity), second, true);
                }
            }
        }
    }

    /// Sets the flags of an accounting period. Errors as [`State::put_tran`].
    pub(super) fn set_period(&mut self, month: Month, flags: Flags) -> anyhow::Result<()> {
        self.journal.append(&Entry::Period(month, flags))?;
        self.periods.insert(month, flags);
        Ok(())
    }

    /// Units come or go. An event that was taken before is not taken again; answers whether it was taken.
    /// Errors as [`State::put_tran`].
    pub(super) fn play(&mut self, movement: &Movement) -> anyhow::Result<bool> {
        if movement.event.is_some_and(|event| event != self.events) {
            return Ok(false);
        }
        self.journal.append(&Entry::Moved(movement))?;
        self.shift(movement);
        Ok(true)
    }

    fn shift(&mut self, movement: &Movement) {
        for (item, location, units) in &movement.moves {
            let at = movement.at.div_euclid(1_000);
            self.stock.shift(*item, *location, Fixed::whole(*units), at, !movement.import);
        }
        if let Some(event) = movement.event {
            self.events = event.saturating_add(1);
        }
    }

    /// How many events were taken.
    pub(super) fn events(&self) -> u32 {
        self.events
    }

    /// Keeps a customer, new or changed. Errors as [`State::put_tran`].
    pub(super) fn put_customer(&mut self, customer: Box<Customer>) -> anyhow::Result<()> {
        self.journal_symbols()?;
        self.journal.append(&Entry::Customer(&customer))?;
        self.place_customer(customer);
        Ok(())
    }

    /// Deletes a document at `now` (milliseconds since 1970). Errors as [`State::put_tran`].
    pub(super) fn delete_tran(&mut self, id: u32, now: i64) -> anyhow::Result<()> {
        self.journal.append(&Entry::Deleted(id, now))?;
        self.remove_tran(id, now);
        Ok(())
    }

    /// Deletes a customer. Errors as [`State::put_tran`].
    pub(super) fn delete_customer(&mut self, id: u32) -> anyhow::Result<()> {
        self.journal.append(&Entry::CustomerDeleted(id))?;
        self.remove_customer(id);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_small() {
        assert!(size_of::<Line>() <= 56, "{}", size_of::<Line>());
        assert!(size_of::<TaxLine>() <= 40, "{}", size_of::<TaxLine>());
        assert!(size_of::<Tran>() <= 368, "{}", size_of::<Tran>());
    }

    #[test]
    fn ids_rise_and_have_gaps() {
        let mut state = State::new(Stock::new(seed::Items::new(Vec::new(), &[]), 0), None, false);
        let ids: Vec<u32> = (0..100).map(|_| state.next_tran()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(ids.windows(2).any(|pair| pair[1] - pair[0] > 1));
    }
}
