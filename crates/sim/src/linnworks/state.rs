//! What the stand-in knows: orders, items, levels. Every change is journalled as the whole of what changed.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::bail;
use serde::{Deserialize, Serialize};

use crate::journal::Journal;
use crate::mischief::mix;
use crate::shelf::Item;

/// A line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub row: String,
    pub item_number: String,
    pub sku: String,
    pub title: String,
    pub quantity: i64,
    pub price: String,
    pub unlinked: bool,
}

/// An order, open or processed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub id: String,
    pub number: i64,
    pub reference: String,
    pub secondary: String,
    pub external: String,
    pub source: String,
    pub sub_source: String,
    pub currency: String,
    pub country: String,
    pub location: String,
    pub service: String,
    pub vendor: String,
    pub received: String,
    pub dispatch_by: String,
    pub paid: bool,
    pub parked: bool,
    pub cancelled: bool,
    pub split: bool,
    /// Milliseconds since 1970.
    pub processed: Option<i64>,
    pub updated: i64,
    /// What is shown.
    pub tracking: Vec<String>,
    /// What will be shown some time after it left.
    pub tracking_later: Vec<String>,
    pub lines: Vec<Line>,
}

impl Order {
    /// Whether it may be picked.
    pub fn is_open(&self) -> bool {
        self.processed.is_none() && self.paid && !self.parked && !self.cancelled
    }

    /// Whether its lines reserve stock: parked ones do, too.
    fn reserves(&self) -> bool {
        self.processed.is_none() && !self.cancelled
    }
}

/// A stock item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stocked {
    pub id: String,
    pub item: Item,
    pub archived: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    World { identity: String },
    Order(Box<Order>),
    Item(Box<Stocked>),
}

/// Everything.
#[derive(Debug)]
pub struct State {
    /// By the number.
    pub orders: BTreeMap<i64, Order>,
    /// By SKU.
    pub items: BTreeMap<String, Stocked>,
    /// Numbers by reference.
    by_reference: BTreeMap<String, Vec<i64>>,
    journal: Journal,
    starts: u64,
}

/// A uuid made from a number and a salt.
pub fn uuid_of(salt: &str, number: u64) -> String {
    let high = mix(crate::mischief::hash_text(salt) ^ number);
    let low = mix(high);
    uuid::Uuid::from_u64_pair(high, low).to_string()
}

impl State {
    /// Opens what is kept in `path`, or something new that keeps nothing.
    pub fn open(identity: &str, items: Vec<Item>, path: Option<&Path>) -> anyhow::Result<State> {
        let mut state = State {
            orders: BTreeMap::new(),
            items: BTreeMap::new(),
            by_reference: BTreeMap::new(),
            journal: Journal::memory(),
            starts: 0,
        };
        for item in items {
            let id = uuid_of("item", crate::mischief::hash_text(&item.sku));
            state.items.insert(item.sku.clone(), Stocked { id, item, archived: false });
        }
        if let Some(path) = path {
            let journal = Journal::open_with(path, |line| {
                match serde_json::from_value(line)? {
                    Entry::World { identity: kept } if kept != identity => bail!("this is the journal of another world: {kept}"),
                    Entry::World { .. } => state.starts += 1,
                    Entry::Order(order) => state.enter(*order),
                    Entry::Item(item) => drop(state.items.insert(item.item.sku.clone(), *item)),
                }
                Ok(())
            })?;
            state.journal = journal;
        }
        state.journal.append(&Entry::World { identity: identity.to_owned() })?;
        Ok(state)
    }

    /// How often it was started before.
    pub fn starts(&self) -> u64 {
        self.starts
    }

    fn enter(&mut self, order: Order) {
        let numbers = self.by_reference.entry(order.reference.clone()).or_default();
        if !numbers.contains(&order.number) {
            numbers.push(order.number);
        }
        self.orders.insert(order.number, order);
    }

    /// Keeps an order as it now stands.
    pub fn put(&mut self, order: Order) -> anyhow::Result<()> {
        self.journal.append(&Entry::Order(Box::new(order.clone())))?;
        self.enter(order);
        Ok(())
    }

    /// Keeps an item as it now stands.
    pub fn put_item(&mut self, item: Stocked) -> anyhow::Result<()> {
        self.journal.append(&Entry::Item(Box::new(item.clone())))?;
        self.items.insert(item.item.sku.clone(), item);
        Ok(())
    }

    /// The number of the next order.
    pub fn next_number(&self) -> i64 {
        self.orders.last_key_value().map_or(100_001, |(number, _)| number + 1)
    }

    /// Orders with this reference, or with it as secondary one.
    pub fn referenced(&self, reference: &str) -> Vec<&Order> {
        let own = self.by_reference.get(reference).into_iter().flatten();
        own.filter_map(|number| self.orders.get(number)).collect()
    }

    /// The order with this uuid.
    pub fn by_id(&self, id: &str) -> Option<&Order> {
        self.orders.values().find(|order| order.id == id)
    }

    /// Units of an item that open orders of a location have reserved.
    pub fn reserved(&self, sku: &str, location: &str) -> i64 {
        let orders = self.orders.values().filter(|order| order.reserves() && order.location == location);
        orders.flat_map(|order| &order.lines).filter(|line| !line.unlinked && line.sku == sku).map(|line| line.quantity).sum()
    }

    /// The level of an item at a location: a composite has what its scarcest part gives.
    pub fn level(&self, sku: &str, location: &str) -> i64 {
        let Some(stocked) = self.items.get(sku) else { return 0 };
        if stocked.item.parts.is_empty() {
            return stocked.item.stock.get(location).copied().unwrap_or(0);
        }
        let parts = stocked.item.parts.iter();
        parts.map(|(part, units)| self.level(part, location).div_euclid(i64::from((*units).max(1)))).min().unwrap_or(0)
    }
}
