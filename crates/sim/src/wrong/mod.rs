//! Wrongness, made behind everybody's back: documents that are gone, doubled or edited, taxes that are rounded another way, stock that
//! somebody wrote, news that nobody told. Whoever claims to find such things is measured with it.
//!
//! What is drawn depends on the seed and on what stands. Each wrongness has an order of its own (with all its documents), so that one can
//! be told from another, and no order is drawn twice, over restarts too. Orders that somebody holds, that wait, or for which something is
//! planned are left out, and so are those that do not stand, or stand twice, in the account. What gives money or goods back is wanted by
//! the wrongnesses of returns alone; all others keep to orders of which nothing came back.

mod dice;
mod draw;
mod kind;
mod stock;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::centra::Centra;
use crate::data::Catalogue;
use crate::journal::Journal;
use crate::netsuite::NetSuite;

pub(crate) use dice::Dice;
pub use kind::Kind;

/// How much wrongness is wanted: `{"seed": 7, "each": 3}`, or `{"seed": 7, "count": {"deleted": 2}}`; with both, `count` decides for the
/// kinds that it names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// Decides what is drawn.
    pub seed: u64,
    /// So many of each kind.
    #[serde(default)]
    pub each: u64,
    /// So many of these kinds.
    #[serde(default)]
    pub count: BTreeMap<Kind, u64>,
}

impl Wish {
    fn of(&self, kind: Kind) -> u64 {
        self.count.get(&kind).copied().unwrap_or(self.each)
    }
}

/// One wrongness that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Injected {
    /// Counts all of a world, from 1.
    pub n: u64,
    /// What kind it is.
    pub kind: Kind,
    /// Where it was made: `centra` or `netsuite`.
    pub system: String,
    /// What it was done to: `order`, `shipment`, `return`, `credit_note`, `refund` or `stock`.
    pub record: String,
    /// The number of the order that it is about; none for stock.
    pub order: Option<String>,
    /// The external id of the document, if it has one.
    pub key: Option<String>,
    /// Their id of it.
    pub id: Option<String>,
    /// The SKU that it is about, if it is about one.
    pub sku: Option<String>,
    /// What was done, with before → after.
    pub detail: String,
    /// When.
    pub at: Timestamp,
    /// All orders, where it is about several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orders: Vec<String>,
    /// All SKUs, where it is about several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skus: Vec<String>,
    /// Centra's id of the warehouse, where it is about stock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warehouse: Option<i32>,
}

/// What an injection came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What was made, in this order.
    pub injected: Vec<Injected>,
    /// Of which kinds how many could not be made, for want of something that they could be made of.
    pub short: BTreeMap<Kind, u64>,
}

/// What a hand in one of the systems did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Done {
    pub(crate) system: &'static str,
    pub(crate) record: &'static str,
    pub(crate) key: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) sku: Option<String>,
    pub(crate) detail: String,
}

/// The systems that wrongness is made in.
pub(crate) struct Scene<'a> {
    pub(crate) centra: &'a Centra,
    pub(crate) netsuite: &'a NetSuite,
    pub(crate) catalogue: &'a Catalogue,
    /// NetSuite's location of each market.
    pub(crate) locations: &'a [String],
}

/// All that was ever made in a world.
#[derive(Debug)]
pub struct Wrongs {
    made: Mutex<Vec<Injected>>,
    journal: Journal,
}

impl Wrongs {
    /// What was made before is read from `folder`. Errors when the journal is broken.
    pub fn open(folder: Option<&Path>) -> anyhow::Result<Wrongs> {
        let mut made = Vec::new();
        let journal = match folder {
            None => Journal::memory(),
            Some(folder) => Journal::open_with(&folder.join("wrong.jsonl"), |line| {
                made.push(serde_json::from_value(line)?);
                Ok(())
            })?,
        };
        Ok(Wrongs { made: Mutex::new(made), journal })
    }

    /// All that was made so far.
    pub fn all(&self) -> Vec<Injected> {
        self.made().clone()
    }

    fn made(&self) -> MutexGuard<'_, Vec<Injected>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes what is wished for. Errors when a journal cannot be written; what was made before that stays.
    pub(crate) fn inject(&self, scene: &Scene<'_>, wish: &Wish) -> anyhow::Result<Report> {
        // Held throughout: two at once would draw the same orders.
        let mut made = self.made();
        let orders = made.iter().flat_map(|one| one.order.iter().chain(&one.orders)).cloned().collect();
        let mut run = Run { wish, scene, orders, made: &mut made, journal: &self.journal, report: Report::default() };
        draw::documents(&mut run)?;
        stock::figures(&mut run)?;
        Ok(run.report)
    }
}

/// One injection under way.
struct Run<'a> {
    wish: &'a Wish,
    scene: &'a Scene<'a>,
    /// The orders that were drawn before.
    orders: HashSet<String>,
    made: &'a mut Vec<Injected>,
    journal: &'a Journal,
    report: Report,
}

impl Run<'_> {
    fn dice(&self, question: &str) -> Dice {
        Dice::new(self.wish.seed, question)
    }

    /// Writes down what was done.
    fn note(&mut self, kind: Kind, order: Option<&str>, done: Done) -> anyhow::Result<()> {
        self.note_several(kind, order, done, |_| {})
    }

    fn note_several(
        &mut self,
        kind: Kind,
        order: Option<&str>,
        done: Done,
        more: impl FnOnce(&mut Injected),
    ) -> anyhow::Result<()> {
        let Done { system, record, key, id, sku, detail } = done;
        let n = u64::try_from(self.made.len()).unwrap_or(u64::MAX).saturating_add(1);
        let mut one = Injected {
            n,
            kind,
            system: system.to_owned(),
            record: record.to_owned(),
            order: order.map(str::to_owned),
            key,
            id,
            sku,
            detail,
            at: self.scene.centra.now(),
            orders: Vec::new(),
            skus: Vec::new(),
            warehouse: None,
        };
        more(&mut one);
        self.orders.extend(one.order.iter().chain(&one.orders).cloned());
        self.journal.append(&one)?;
        self.made.push(one.clone());
        self.report.injected.push(one);
        Ok(())
    }

    fn short(&mut self, kind: Kind, missing: u64) {
        if missing > 0 {
            self.report.short.insert(kind, missing);
        }
    }
}
