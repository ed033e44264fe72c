//! What the stand-in knows. Every change is journalled as the whole of what changed.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::bail;
use serde::{Deserialize, Serialize};

use crate::journal::Journal;
use crate::shelf::Item;

/// A line: of an order or of an allocation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub sellable: u64,
    pub quantity: i64,
}

/// A parcel on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipment {
    pub id: u64,
    pub carrier: String,
    /// What is shown, stray blanks included.
    pub tracking: Option<String>,
    /// What will be shown some time later.
    pub tracking_later: Option<String>,
    /// Milliseconds since 1970.
    pub at: i64,
}

/// Units of an order reserved at one warehouse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocation {
    pub id: u64,
    pub warehouse: usize,
    pub lines: Vec<Line>,
    pub shipment: Option<Shipment>,
    pub updated: i64,
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub id: u64,
    pub number: String,
    pub channel: u64,
    pub delivery_method: u64,
    pub paid: bool,
    pub cancelled: bool,
    pub created: i64,
    pub updated: i64,
    pub lines: Vec<Line>,
    pub allocations: Vec<Allocation>,
}

impl Order {
    /// Units of a sellable in no allocation yet.
    pub fn unallocated(&self, sellable: u64) -> i64 {
        let sum = |lines: &[Line]| lines.iter().filter(|line| line.sellable == sellable).map(|line| line.quantity).sum::<i64>();
        sum(&self.lines) - self.allocations.iter().map(|allocation| sum(&allocation.lines)).sum::<i64>()
    }

    /// The status is that of the least advanced part.
    pub fn status(&self) -> &'static str {
        if self.cancelled {
            "cancelled"
        } else if !self.paid {
            "awaiting_payment"
        } else if self.lines.iter().any(|line| self.unallocated(line.sellable) > 0) {
            "awaiting_stock"
        } else if self.allocations.iter().any(|allocation| allocation.shipment.is_none()) {
            "awaiting_fulfillment"
        } else {
            "shipped"
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    World { identity: String },
    Order(Box<Order>),
    Item(u64, Box<Item>),
}

/// Everything.
#[derive(Debug)]
pub struct State {
    pub orders: BTreeMap<u64, Order>,
    /// By the sellable's id.
    pub items: BTreeMap<u64, Item>,
    journal: Journal,
    starts: u64,
}

impl State {
    /// Opens what is kept in `path`, or something new that keeps nothing.
    pub fn open(identity: &str, items: Vec<Item>, path: Option<&Path>) -> anyhow::Result<State> {
        let items = (9_001..).zip(items).collect();
        let mut state = State { orders: BTreeMap::new(), items, journal: Journal::memory(), starts: 0 };
        if let Some(path) = path {
            let journal = Journal::open_with(path, |line| {
                match serde_json::from_value(line)? {
                    Entry::World { identity: kept } if kept != identity => bail!("this is the journal of another world: {kept}"),
                    Entry::World { .. } => state.starts += 1,
                    Entry::Order(order) => drop(state.orders.insert(order.id, *order)),
                    Entry::Item(id, item) => drop(state.items.insert(id, *item)),
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

    /// Keeps an order as it now stands.
    pub fn put(&mut self, order: Order) -> anyhow::Result<()> {
        self.journal.append(&Entry::Order(Box::new(order.clone())))?;
        self.orders.insert(order.id, order);
        Ok(())
    }

    /// Keeps an item as it now stands.
    pub fn put_item(&mut self, id: u64, item: Item) -> anyhow::Result<()> {
        self.journal.append(&Entry::Item(id, Box::new(item.clone())))?;
        self.items.insert(id, item);
        Ok(())
    }

    /// The id of the next order.
    pub fn next_id(&self) -> u64 {
        self.orders.last_key_value().map_or(31_001, |(id, _)| id + 1)
    }

    /// Units in the building and units reserved there.
    pub fn levels(&self, sellable: u64, warehouse: usize, name: &str) -> (i64, i64) {
        let physical = self.items.get(&sellable).and_then(|item| item.stock.get(name)).copied().unwrap_or(0);
        let open = self.orders.values().filter(|order| !order.cancelled).flat_map(|order| &order.allocations);
        let reserved = open
            .filter(|allocation| allocation.warehouse == warehouse && allocation.shipment.is_none())
            .flat_map(|allocation| &allocation.lines)
            .filter(|line| line.sellable == sellable)
            .map(|line| line.quantity)
            .sum();
        (physical, reserved)
    }
}
