//! Returns and refunds: what comes back of a shipment, what becomes of it, and what of the money goes back.
//!
//! A return is of one shipment and has one policy for its goods, told when it is made; the stock moves then (inferred from
//! what Centra says of deleting one). Making it and completing it move no money: only `refundReturn` does, by asking the
//! provider for the return's grand total. A provider that answers later gives a request first and the outcome as an entry
//! of its own.
//!
//! Worth: units of a shipment line carry its value by units, and the last of them the remainder, so that the parts of a
//! sale that comes back whole sum to the sale. The same goes for its tax and for the share of the order's reductions.
//! Items of a bundle share what the bundle was sold for by their own prices. Centra does not publish how it divides.

mod export;
mod people;
mod read;
mod twice;
mod worth;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::data::Taxed;

use super::stock::Goods;

pub use people::{FIRST as FIRST_ACT, People, live, settle};
pub use twice::PaidTwice;
#[cfg(test)]
pub use worth::line as worth_of;
pub use write::{Cost, Wish, make, run};

/// An amount as quoted and its tax, in mills.
pub type Amount = (i64, i64);

/// Units of one shipment line that come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Back {
    /// Centra's id of the line of the return.
    pub id: i32,
    /// The shipment's line.
    pub shipment_line: i32,
    /// The order's line.
    pub line: i32,
    pub units: i32,
    /// What they were sold for.
    pub worth: Amount,
}

/// What a return is made of; it never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    pub order: u32,
    pub shipment: i32,
    pub lines: Vec<Back>,
    pub goods: Goods,
    #[serde(default)]
    pub shipping: Amount,
    #[serde(default)]
    pub handling: Amount,
    /// The share of the order's reductions, above zero.
    #[serde(default)]
    pub voucher: Amount,
    /// What is kept back, above zero.
    #[serde(default)]
    pub cost: Amount,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// When it counts as made.
    pub created: i64,
    /// `API` or `AMS`.
    pub by: String,
}

/// A return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    pub id: i32,
    pub made: Made,
    pub completed: bool,
    pub deleted: bool,
}

/// One entry of the payment history by which money goes back, or was to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paid {
    pub id: i32,
    pub order: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned: Option<i32>,
    /// `PaymentHistoryEntryType`.
    pub kind: String,
    /// `PaymentHistoryEntryStatus`.
    pub status: String,
    pub method: String,
    pub reference: String,
    /// Mills.
    pub amount: i64,
    pub at: i64,
    /// The request that this is the outcome of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<i32>,
}

impl Paid {
    /// Whether money went back by it, or still may: not a failure, and not a request whose outcome is an entry of its own.
    fn counts(&self) -> bool {
        self.status == "SUCCESS"
    }
}

/// All returns and refunds of the instance.
#[derive(Debug, Default)]
pub struct Returns {
    all: BTreeMap<i32, Returned>,
    of_order: BTreeMap<u32, Vec<i32>>,
    paid: BTreeMap<i32, Paid>,
    paid_of: BTreeMap<u32, Vec<i32>>,
    /// Requests that the provider has not answered.
    open: BTreeSet<i32>,
    /// Orders in the order in which everything of them had left.
    pub left: Vec<u32>,
}

/// The first id of an entry by which money goes back; below are those of the sale and of captures.
const FIRST_PAID: i32 = 1_500_000_001;

impl Returns {
    /// One of them that was not deleted.
    pub fn get(&self, id: i32) -> Option<&Returned> {
        self.all.get(&id).filter(|one| !one.deleted)
    }

    /// All of an order that were not deleted, oldest first.
    pub fn of(&self, order: u32) -> impl Iterator<Item = &Returned> {
        self.of_order.get(&order).into_iter().flatten().filter_map(|id| self.get(*id))
    }

    /// All of a shipment that were not deleted.
    pub fn of_shipment(&self, order: u32, shipment: i32) -> impl Iterator<Item = &Returned> {
        self.of(order).filter(move |one| one.made.shipment == shipment)
    }

    /// Every one that was ever made, deleted ones too.
    pub fn ever(&self) -> impl Iterator<Item = &Returned> {
        self.all.values()
    }

    /// The newest of an order, deleted or not.
    fn newest(&self, order: u32) -> Option<&Returned> {
        self.of_order.get(&order)?.last().and_then(|id| self.all.get(id))
    }

    /// The id of the next one.
    pub fn next_id(&self) -> i32 {
        self.all.last_key_value().map_or(40_001, |(id, _)| id + 1)
    }

    /// The id of the next entry.
    pub fn next_paid(&self) -> i32 {
        self.paid.last_key_value().map_or(FIRST_PAID, |(id, _)| id + 1)
    }

    /// One entry.
    pub fn entry(&self, id: i32) -> Option<&Paid> {
        self.paid.get(&id)
    }

    /// All entries of an order, oldest first.
    pub fn paid_of(&self, order: u32) -> impl Iterator<Item = &Paid> {
        self.paid_of.get(&order).into_iter().flatten().filter_map(|id| self.paid.get(id))
    }

    /// All entries of a return, oldest first.
    pub fn paid_for(&self, one: &Returned) -> impl Iterator<Item = &Paid> {
        let id = one.id;
        self.paid_of(one.made.order).filter(move |paid| paid.returned == Some(id))
    }

    /// Every entry, oldest first.
    pub fn entries(&self) -> impl Iterator<Item = &Paid> {
        self.paid.values()
    }

    /// Requests that wait for the provider.
    pub fn open(&self) -> impl Iterator<Item = &Paid> {
        self.open.iter().filter_map(|id| self.paid.get(id))
    }

    /// Takes one in that was just made.
    pub fn add(&mut self, id: i32, made: Made) {
        self.of_order.entry(made.order).or_default().push(id);
        self.all.insert(id, Returned { id, made, completed: false, deleted: false });
    }

    /// Marks one as completed, or not; or as deleted.
    pub fn mark(&mut self, id: i32, completed: Option<bool>, deleted: bool) {
        if let Some(one) = self.all.get_mut(&id) {
            one.completed = completed.unwrap_or(one.completed);
            one.deleted |= deleted;
        }
    }

    /// Takes an entry in.
    pub fn pay(&mut self, paid: Paid) {
        match paid.answers {
            Some(request) => drop(self.open.remove(&request)),
            None if paid.status == "PENDING" => drop(self.open.insert(paid.id)),
            None => {}
        }
        self.paid_of.entry(paid.order).or_default().push(paid.id);
        self.paid.insert(paid.id, paid);
    }

    /// An entry that had succeeded failed after all. Answers the order and the return that it is of.
    pub fn reverse(&mut self, id: i32) -> Option<(u32, Option<i32>)> {
        let paid = self.paid.get_mut(&id)?;
        paid.status = "FAILED".to_owned();
        Some((paid.order, paid.returned))
    }

    /// Units of a shipment's line that came back.
    pub fn units_of(&self, order: u32, shipment_line: i32) -> i32 {
        self.of(order).flat_map(|one| &one.made.lines).filter(|b| b.shipment_line == shipment_line).map(|b| b.units).sum()
    }

    /// Units of an order's line that came back.
    pub fn units_of_line(&self, order: u32, line: i32) -> i32 {
        self.of(order).flat_map(|one| &one.made.lines).filter(|back| back.line == line).map(|back| back.units).sum()
    }
}

impl Made {
    /// The lines as quoted, and their tax.
    pub fn goods_worth(&self) -> Taxed {
        let sum = |of: fn(&Back) -> i64| self.lines.iter().map(of).sum();
        Taxed { quoted: sum(|back| back.worth.0), tax: sum(|back| back.worth.1) }
    }

    /// All tax that is given back.
    pub fn tax(&self) -> i64 {
        self.goods_worth().tax + self.shipping.1 + self.handling.1 - self.voucher.1 - self.cost.1
    }

    /// What the shopper gets back, with tax.
    pub fn grand(&self, tax_included: bool) -> i64 {
        let quoted = self.goods_worth().quoted + self.shipping.0 + self.handling.0 - self.voucher.0 - self.cost.0;
        if tax_included { quoted } else { quoted + self.tax() }
    }
}
