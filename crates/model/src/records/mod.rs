//! The canonical records: one vendor-neutral form per kind of business document.

mod customer;
mod order;
mod stock;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use customer::Customer;
pub use order::{
    Address, Charge, Discount, HoldReason, LineKind, Named, Order, OrderLine, OrderStatus, Payment, PaymentKind, PaymentStatus,
    TaxLine, TaxMode, Totals,
};
pub use stock::{Kit, KitPart, StockLevel};

use crate::id::RecordKey;

/// The kinds of record. One word each, the same in code, database, API and pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// What a shopper bought.
    Order,
    /// Who bought it.
    Customer,
    /// How much of an item a place keeps.
    Stock,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 3] = [Kind::Order, Kind::Customer, Kind::Stock];

    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Kind::Order => "order",
            Kind::Customer => "customer",
            Kind::Stock => "stock",
        }
    }

    /// The kind with this word.
    pub fn from_word(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// What all canonical records have.
pub trait Record: Clone + Send + Sync + Serialize + DeserializeOwned + Into<AnyRecord> + 'static {
    /// Which kind it is.
    const KIND: Kind;
    /// Our key, the same on every system.
    fn key(&self) -> RecordKey;
    /// The same record out of the erased form, if it is of this kind.
    fn from_any(record: AnyRecord) -> Option<Self>;
}

/// A record of any kind: the form in which the store and the flow carry it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AnyRecord {
    /// An order.
    Order(Box<Order>),
    /// A customer.
    Customer(Box<Customer>),
    /// A document that could not be decoded: it is owed all the same, and held with the reasons.
    Unreadable(Box<Unreadable>),
}

/// Stands in for a record whose raw bytes nobody could read yet, so that it is counted, held and
/// dismissed like any other, and decoded again when it is released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// What it is said to be.
    pub of: Kind,
    /// Their id of it, which has to serve as our key until it can be read.
    pub key: RecordKey,
}

impl AnyRecord {
    /// Which kind it is.
    pub fn kind(&self) -> Kind {
        match self {
            AnyRecord::Order(_) => Kind::Order,
            AnyRecord::Customer(_) => Kind::Customer,
            AnyRecord::Unreadable(unreadable) => unreadable.of,
        }
    }

    /// Our key.
    pub fn key(&self) -> RecordKey {
        match self {
            AnyRecord::Order(order) => order.key(),
            AnyRecord::Customer(customer) => customer.key(),
            AnyRecord::Unreadable(unreadable) => unreadable.key.clone(),
        }
    }
}

impl Record for Order {
    const KIND: Kind = Kind::Order;
    fn key(&self) -> RecordKey {
        self.number.clone()
    }
    fn from_any(record: AnyRecord) -> Option<Self> {
        match record {
            AnyRecord::Order(order) => Some(*order),
            AnyRecord::Customer(_) | AnyRecord::Unreadable(_) => None,
        }
    }
}

impl From<Order> for AnyRecord {
    fn from(order: Order) -> Self {
        AnyRecord::Order(Box::new(order))
    }
}

impl Record for Customer {
    const KIND: Kind = Kind::Customer;
    fn key(&self) -> RecordKey {
        self.key.clone()
    }
    fn from_any(record: AnyRecord) -> Option<Self> {
        match record {
            AnyRecord::Customer(customer) => Some(*customer),
            AnyRecord::Order(_) | AnyRecord::Unreadable(_) => None,
        }
    }
}

impl From<Customer> for AnyRecord {
    fn from(customer: Customer) -> Self {
        AnyRecord::Customer(Box::new(customer))
    }
}
