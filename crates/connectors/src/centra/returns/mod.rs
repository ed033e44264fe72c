//! Returns, and what is paid back: out of Centra and, after a warehouse's receipt, into it.
//!
//! A return of Centra is of one shipment, has one policy for its goods and carries the money of both: what its lines were
//! sold for, what of shipping and reductions goes with them, what is kept back, and the entries of the payment history by
//! which it was paid. So one document tells a [`Return`](selvedge_model::Return), the
//! [`CreditNote`](selvedge_model::CreditNote) for it and its [`Refund`](selvedge_model::Refund)s. Money that went back for
//! no return (a gesture, units that were cancelled after their money had been taken) is told by the order's document.
//!
//! A return does not say when it last changed, and is no more to be had once it was deleted. [`memory`] makes up for both,
//! as far as that can be: its *as of* is when it was read.

mod decode;
mod memory;
mod refunds;
mod sink;
mod source;

#[cfg(test)]
mod tests;

use selvedge_model::{RecordKey, records::return_key};

use super::decode::Zones;

pub use decode::decode_return;
pub use memory::Memory;
pub use refunds::of_order;
pub use source::{Returns, Scope};

/// How returns and refunds of one connection are read.
#[derive(Clone, Debug)]
pub struct Form {
    /// The connection's name: it is in the keys.
    pub connection: String,
    /// In which zones times are read and days are counted.
    pub zones: Zones,
    /// Ids or names of warehouses whose goods are kept apart until somebody has looked at them.
    pub quarantine_warehouses: Vec<String>,
    /// Payment methods that are credit to be spent in the shop, in lower case.
    pub store_credit_methods: Vec<String>,
}

impl Form {
    /// Our key of what hangs on an order and has this id here.
    fn key(&self, order: &str, id: &str) -> RecordKey {
        return_key(Some(order), &self.connection, id)
    }

    /// The id in a key of ours that this connection gave: `{order}.{connection}.{id}`.
    fn id_in(&self, order: Option<&RecordKey>, key: &RecordKey) -> Option<i64> {
        let rest = match order {
            Some(order) => key.as_str().strip_prefix(order.as_str())?.strip_prefix('.')?,
            None => key.as_str(),
        };
        rest.strip_prefix(&self.connection)?.strip_prefix('.')?.parse().ok()
    }
}

/// How returns are read and made.
#[derive(Clone, Debug)]
pub struct ReturnSettings {
    /// Whether anything of returns is read at all.
    pub read: bool,
    /// See [`Form::quarantine_warehouses`].
    pub quarantine_warehouses: Vec<String>,
    /// The warehouse to which goods go that are to be kept apart.
    pub quarantine_warehouse: Option<u32>,
    /// See [`Form::store_credit_methods`].
    pub store_credit_methods: Vec<String>,
    /// Whether a return that is made gives back what sending and handling had cost.
    pub shipping: bool,
    /// Whether a return that is made takes off its share of the order's reductions.
    pub voucher: bool,
    /// Whether the shopper is told when a return is completed.
    pub send_email: bool,
    /// Whether the money is paid back when a return that we made or complete is there.
    pub refund: bool,
    /// How long a completed return is looked at for changes, in days.
    pub watch_days: u32,
}
