//! What we know about commerce: the words, the arithmetic and the rules.
//!
//! Nothing here talks, waits, reads a clock or rolls a die. Everything is a value or a pure
//! function of values, so that a test is a table and a replay is a re-run.
//!
//! Reading order: ids and money first, then the records they make up, then what is said about
//! records (problems, verdicts, differences), last the life of an obligation.

pub mod alert;
pub mod attribution;
pub mod barcode;
pub mod bundle;
pub mod checklist;
pub mod close;
pub mod compare;
pub mod credit;
pub mod daily;
pub mod dispatch;
pub mod edit;
pub mod feed;
pub mod forensics;
pub mod gate;
pub mod id;
pub mod impact;
pub mod invoice;
#[cfg(test)]
mod laws;
pub mod ledgers;
pub mod likeness;
mod mask;
pub mod mode;
pub mod moment;
pub mod money;
pub mod obligation;
pub mod owners;
pub mod people;
pub mod pick;
pub mod postcode;
pub mod privacy;
pub mod problem;
pub mod reconcile;
pub mod records;
pub mod replay;
pub mod routing;
#[cfg(test)]
mod samples;
pub mod share;
pub mod silence;
pub mod statement;
pub mod stock;
pub mod tax;
pub mod team;
pub mod tracking;
pub mod written;

pub use id::{
    AlertId, ApprovalId, Brand, CaptureId, ConnectionName, DifferenceId, ExceptionId, ExternalId, FlowName, LocationId,
    MessageId, ObligationId, PersonId, ReconciliationId, RecordId, RecordKey, SessionId, Sku, TokenId,
};
pub use mode::Mode;
pub use moment::{Interval, MomentError};
pub use money::{Currency, Money, MoneyError, Rounding};
pub use problem::Problem;
pub use records::{
    AnyRecord, CreditNote, Customer, Kind, Kit, KitPart, Order, Product, Record, Refund, Return, Shipment, StockLevel, Unreadable,
};
