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
    /// Units that have left while the order is still open.
    #[serde(default)]
    pub part_shipped: i64,
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
    /// Where it goes, as it was told.
    #[serde(default)]
    pub address: serde_json::Value,
    pub location: String,
    pub service: String,
    pub vendor: String,
    pub received: String,
    pub dispatch_by: String,
    pub paid: bool,
    pub parked: bool,
    pub cancelled: bool,
    pub split: bool,
    /// Sent once more after it had left: another order with the same reference.
    #[serde(default)]
    pub resend: bool,
    /// Frozen by somebody; it reserves nothing.
    #[serde(default)]
    pub locked: bool,
    /// Asking for its parcels is refused.
    #[serde(default)]
    pub parcels_broken: bool,
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
        self.processed.is_none() && self.paid && !self.parked && !self.locked && !self.cancelled
    }

    /// Whether its lines reserve stock: parked ones do, locked ones do not.
    fn reserves(&self) -> bool {
        self.processed.is_none() && !self.cancelled && !self.locked
    }
}

/// A stock item.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stocked {
    pub id: String,
    pub item: Item,
    pub archived: bool,
    /// Marked as a composite parent, with or without parts.
    #[serde(default)]
    pub composite: bool,
    /// Kept by batch: its level is that of its batches, and no plain figure is taken.
    #[serde(default)]
    pub batched: bool,
    #[serde(default)]
    pub properties: Vec<Property>,
}

impl Stocked {
    /// Whether its stock is that of its parts.
    pub fn is_composite(&self) -> bool {
        self.composite || !self.item.parts.is_empty()
    }
}

/// An extended property of an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Property {
    pub row: String,
    pub name: String,
    pub value: String,
    pub kind: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    World { identity: String },
    Order(Box<Order>),
    Item(Box<Stocked>),
    Booking(Box<Booking>),
}

/// One row of a booking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookedLine {
    /// The row's number.
    pub id: i64,
    /// The row of the order.
    pub row: String,
    /// SKU.
    pub sku: String,
    /// What people read.
    pub title: String,
    /// Units that come back.
    pub quantity: i64,
    /// Those of them that are fit for scrap.
    pub scrap: i64,
    /// Why.
    pub reason: String,
    /// `Return`, `Exchange` or `Resend`.
    pub kind: String,
    /// Whether it was taken out again.
    pub deleted: bool,
}

/// Goods that are to come back, or have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Booking {
    /// Its number.
    pub id: i64,
    /// The order's uuid.
    pub order: String,
    /// What it was booked under.
    pub reference: String,
    /// Where the goods go.
    pub location: String,
    /// Row by row.
    pub lines: Vec<BookedLine>,
    /// Milliseconds since 1970.
    pub created: i64,
    /// When the goods arrived.
    pub actioned: Option<i64>,
}

/// Everything.
#[derive(Debug)]
pub struct State {
    /// By the number.
    pub orders: BTreeMap<i64, Order>,
    /// By SKU.
    pub items: BTreeMap<String, Stocked>,
    /// By the number.
    pub bookings: BTreeMap<i64, Booking>,
    /// Orders of which it was settled whether its own people book something: by their uuids.
    pub looked_at: std::collections::BTreeSet<String>,
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
            bookings: BTreeMap::new(),
            looked_at: std::collections::BTreeSet::new(),
            by_reference: BTreeMap::new(),
            journal: Journal::memory(),
            starts: 0,
        };
        for item in items {
            let id = uuid_of("item", crate::mischief::hash_text(&item.sku));
            state.items.insert(item.sku.clone(), Stocked { id, item, ..Stocked::default() });
        }
        if let Some(path) = path {
            let journal = Journal::open_with(path, |line| {
                match serde_json::from_value(line)? {
                    Entry::World { identity: kept } if kept != identity => bail!("this is the journal of another world: {kept}"),
                    Entry::World { .. } => state.starts += 1,
                    Entry::Order(order) => state.enter(*order),
                    Entry::Booking(one) => drop(state.bookings.insert(one.id, *one)),
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

    /// Keeps a booking as it now stands.
    pub fn put_booking(&mut self, one: Booking) -> anyhow::Result<()> {
        self.journal.append(&Entry::Booking(Box::new(one.clone())))?;
        self.bookings.insert(one.id, one);
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

    /// The item with this id. Ids are compared as the vendor's database does: without regard to case.
    pub fn item(&self, id: &str) -> Option<&Stocked> {
        self.items.values().find(|stocked| stocked.id.eq_ignore_ascii_case(id))
    }

    /// The item that a SKU means; its database does not tell upper from lower case.
    pub fn named(&self, sku: &str) -> Option<&Stocked> {
        self.items.get(sku).or_else(|| self.items.values().find(|stocked| stocked.item.sku.eq_ignore_ascii_case(sku)))
    }

    /// Units of an item that open orders of a location have reserved: its own lines, and those of composites that it is a
    /// part of.
    pub fn reserved(&self, sku: &str, location: &str) -> i64 {
        let orders = self.orders.values().filter(|order| order.reserves() && order.location == location);
        let lines = orders.flat_map(|order| &order.lines).filter(|line| !line.unlinked);
        let units = |line: &Line| {
            let left = line.quantity - line.part_shipped;
            if line.sku == sku {
                return left;
            }
            let parts = self.items.get(&line.sku).map(|stocked| stocked.item.parts.as_slice()).unwrap_or_default();
            parts.iter().filter(|(part, _)| part == sku).map(|(_, each)| left * i64::from(*each)).sum()
        };
        lines.map(units).sum()
    }

    /// The level of an item at a location and what is promised of it. A composite has what its scarcest part gives.
    pub fn level(&self, sku: &str, location: &str) -> (i64, i64) {
        let Some(stocked) = self.items.get(sku) else { return (0, 0) };
        if stocked.item.parts.is_empty() {
            return (stocked.item.stock.get(location).copied().unwrap_or(0), self.reserved(sku, location));
        }
        let scarcest = |units: fn((i64, i64)) -> i64| {
            let of = |(part, each): &(String, u32)| units(self.level(part, location)).div_euclid(i64::from((*each).max(1)));
            stocked.item.parts.iter().map(of).min().unwrap_or(0)
        };
        let (level, available) = (scarcest(|(level, _)| level), scarcest(|(level, reserved)| level - reserved));
        (level, level - available)
    }
}
