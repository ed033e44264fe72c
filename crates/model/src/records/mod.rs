//! The canonical records: one vendor-neutral form per kind of business document.

mod credit_note;
mod customer;
mod order;
mod product;
mod refund;
mod returned;
mod shipment;
mod stock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use credit_note::{CreditKind, CreditLine, CreditNote, CreditReason, CreditStatus, SoldPart};
pub use customer::Customer;
pub use order::{
    Address, Charge, Discount, HoldReason, LineKind, Named, Order, OrderLine, OrderStatus, Payment, PaymentKind, PaymentStatus,
    TaxLine, TaxMode, Totals,
};
pub use product::{Price, Product, ProductField, ProductFields, RecipePart};
pub use refund::{Refund, Tender};
pub use returned::{Disposition, Return, ReturnLine, ReturnStatus, return_key};
pub use shipment::{Parcel, Shipment, ShipmentLine, ShipmentStatus, ShippedBundle, Shortage, shipment_key};
pub use stock::{Kit, KitPart, StockLevel};

use crate::id::RecordKey;

/// The kinds of record. One word each, the same in code, database, API and pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// What a shopper bought.
    Order,
    /// Who bought it.
    Customer,
    /// How much of an item a place keeps.
    Stock,
    /// What is sold.
    Product,
    /// What left a warehouse.
    Shipment,
    /// Goods that come back.
    Return,
    /// What is given back in money, line by line.
    CreditNote,
    /// A transaction by which money went back.
    Refund,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 8] =
        [Kind::Order, Kind::Customer, Kind::Stock, Kind::Product, Kind::Shipment, Kind::Return, Kind::CreditNote, Kind::Refund];

    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Kind::Order => "order",
            Kind::Customer => "customer",
            Kind::Stock => "stock",
            Kind::Product => "product",
            Kind::Shipment => "shipment",
            Kind::Return => "return",
            Kind::CreditNote => "credit_note",
            Kind::Refund => "refund",
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
    /// A product.
    Product(Box<Product>),
    /// A shipment.
    Shipment(Box<Shipment>),
    /// A return.
    Return(Box<Return>),
    /// A credit note.
    CreditNote(Box<CreditNote>),
    /// A refund.
    Refund(Box<Refund>),
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
            AnyRecord::Product(_) => Kind::Product,
            AnyRecord::Shipment(_) => Kind::Shipment,
            AnyRecord::Return(_) => Kind::Return,
            AnyRecord::CreditNote(_) => Kind::CreditNote,
            AnyRecord::Refund(_) => Kind::Refund,
            AnyRecord::Unreadable(unreadable) => unreadable.of,
        }
    }

    /// Our key.
    pub fn key(&self) -> RecordKey {
        match self {
            AnyRecord::Order(order) => order.key(),
            AnyRecord::Customer(customer) => customer.key(),
            AnyRecord::Product(product) => product.key(),
            AnyRecord::Shipment(shipment) => shipment.key(),
            AnyRecord::Return(returned) => returned.key(),
            AnyRecord::CreditNote(credit) => credit.key(),
            AnyRecord::Refund(refund) => refund.key(),
            AnyRecord::Unreadable(unreadable) => unreadable.key.clone(),
        }
    }

    /// The order that it is about: its own key for an order.
    pub fn order(&self) -> Option<&RecordKey> {
        match self {
            AnyRecord::Order(order) => Some(&order.number),
            AnyRecord::Shipment(shipment) => Some(&shipment.order),
            AnyRecord::Return(returned) => returned.order.as_ref(),
            AnyRecord::CreditNote(credit) => credit.order.as_ref(),
            AnyRecord::Refund(refund) => refund.order.as_ref(),
            AnyRecord::Customer(_) | AnyRecord::Product(_) | AnyRecord::Unreadable(_) => None,
        }
    }

    /// Whether its source called it off: nothing is brought into being for it any more.
    pub fn is_cancelled(&self) -> bool {
        match self {
            AnyRecord::Order(order) => order.status == OrderStatus::Cancelled,
            AnyRecord::Shipment(shipment) => shipment.status == ShipmentStatus::Cancelled,
            AnyRecord::Return(returned) => returned.status == ReturnStatus::Cancelled,
            AnyRecord::CreditNote(credit) => credit.status == CreditStatus::Void,
            AnyRecord::Refund(refund) => refund.status == PaymentStatus::Failed,
            AnyRecord::Customer(_) | AnyRecord::Product(_) | AnyRecord::Unreadable(_) => false,
        }
    }
}

/// What each record says about itself, and the way into and out of the erased form.
macro_rules! record {
    ($name:ident, $key:expr) => {
        impl Record for $name {
            const KIND: Kind = Kind::$name;
            fn key(&self) -> RecordKey {
                let key: fn(&$name) -> RecordKey = $key;
                key(self)
            }
            fn from_any(record: AnyRecord) -> Option<Self> {
                match record {
                    AnyRecord::$name(record) => Some(*record),
                    _ => None,
                }
            }
        }

        impl From<$name> for AnyRecord {
            fn from(record: $name) -> Self {
                AnyRecord::$name(Box::new(record))
            }
        }
    };
}

record!(Order, |order| order.number.clone());
record!(Customer, |customer| customer.key.clone());
record!(Product, |product| RecordKey::new(product.sku.as_str()));
record!(Shipment, |shipment| shipment.key.clone());
record!(Return, |returned| returned.key.clone());
record!(CreditNote, |credit| credit.key.clone());
record!(Refund, |refund| refund.key.clone());
