//! What the stand-in knows. Every change is journalled as the whole of what changed.

use std::collections::{BTreeMap, BTreeSet};
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
    /// Whether its label was cancelled.
    #[serde(default)]
    pub void: bool,
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
    /// Where it goes, as it was told.
    #[serde(default)]
    pub deliver_to: serde_json::Value,
    pub paid: bool,
    pub cancelled: bool,
    pub created: i64,
    pub updated: i64,
    pub lines: Vec<Line>,
    pub allocations: Vec<Allocation>,
    /// How many allocations were ever made of it.
    #[serde(default)]
    pub allocated: u64,
    /// The order that it was merged into: its goods leave with that one.
    #[serde(default)]
    pub merged_to: Option<u64>,
    /// Reading it by its id is refused.
    #[serde(default)]
    pub broken: bool,
    /// Whether others were merged into it.
    #[serde(default)]
    pub merged: bool,
    #[serde(default)]
    pub returns: Vec<Returned>,
}

/// Units of an order that were taken back, or off it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    pub id: u64,
    /// `ShippedItemsReturn`, `AllocatedItemsReturn` or `UnallocatedItemsReturn`.
    pub kind: String,
    pub sellable: u64,
    pub quantity: i64,
    /// Units that were received, once somebody has looked.
    pub received: Option<i64>,
    pub created: i64,
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
        } else if self.merged_to.is_some() {
            "awaiting_fulfillment"
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

/// One row of a kit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    pub id: u64,
    pub variant: u64,
    pub quantity: i64,
}

/// What holds sellables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    pub title: String,
    pub created: i64,
    pub updated: i64,
    pub deleted: bool,
}

/// What can be ordered: a variant of a product, or a kit that a variant was turned into.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sellable {
    pub product: u64,
    /// Of the variant alone; blank for the only one of its product.
    pub title: String,
    pub sku: String,
    pub barcode: String,
    /// As it was sent: a decimal.
    pub price: String,
    pub weight_grams: u32,
    /// Units in the building, by the warehouse's name.
    pub stock: BTreeMap<String, i64>,
    /// Warehouses that have it without end.
    pub infinite: BTreeSet<String>,
    /// What a kit is put together from.
    pub kit: Option<Vec<Content>>,
    pub updated: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    World { identity: String },
    Order(Box<Order>),
    Product(u64, Product),
    Sellable(u64, Box<Sellable>),
}

/// Everything.
#[derive(Debug)]
pub struct State {
    pub orders: BTreeMap<u64, Order>,
    pub products: BTreeMap<u64, Product>,
    pub sellables: BTreeMap<u64, Sellable>,
    journal: Journal,
    starts: u64,
}

impl State {
    /// Opens what is kept in `path`, or something new that keeps nothing.
    pub fn open(identity: &str, items: Vec<Item>, path: Option<&Path>) -> anyhow::Result<State> {
        let (products, sellables) = stocked(items);
        let mut state = State { orders: BTreeMap::new(), products, sellables, journal: Journal::memory(), starts: 0 };
        if let Some(path) = path {
            let journal = Journal::open_with(path, |line| {
                match serde_json::from_value(line)? {
                    Entry::World { identity: kept } if kept != identity => bail!("this is the journal of another world: {kept}"),
                    Entry::World { .. } => state.starts += 1,
                    Entry::Order(order) => drop(state.orders.insert(order.id, *order)),
                    Entry::Product(id, product) => drop(state.products.insert(id, product)),
                    Entry::Sellable(id, sellable) => drop(state.sellables.insert(id, *sellable)),
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

    /// Keeps a product as it now stands.
    pub fn put_product(&mut self, id: u64, product: Product) -> anyhow::Result<()> {
        self.journal.append(&Entry::Product(id, product.clone()))?;
        self.products.insert(id, product);
        Ok(())
    }

    /// Keeps a sellable as it now stands.
    pub fn put_sellable(&mut self, id: u64, sellable: Sellable) -> anyhow::Result<()> {
        self.journal.append(&Entry::Sellable(id, Box::new(sellable.clone())))?;
        self.sellables.insert(id, sellable);
        Ok(())
    }

    /// The id of the next order.
    pub fn next_id(&self) -> u64 {
        self.orders.last_key_value().map_or(31_001, |(id, _)| id + 1)
    }

    /// The id of the next product.
    pub fn next_product(&self) -> u64 {
        self.products.last_key_value().map_or(PRODUCTS_FROM, |(id, _)| id + 1)
    }

    /// The id of the next sellable.
    pub fn next_sellable(&self) -> u64 {
        self.sellables.last_key_value().map_or(SELLABLES_FROM, |(id, _)| id + 1)
    }

    /// The id of the next row of a kit.
    pub fn next_content(&self) -> u64 {
        let rows = self.sellables.values().flat_map(|sellable| sellable.kit.iter().flatten());
        rows.map(|row| row.id).max().map_or(CONTENTS_FROM, |id| id + 1)
    }

    /// A sellable whose product was not deleted.
    pub fn live(&self, id: u64) -> Option<&Sellable> {
        let sellable = self.sellables.get(&id)?;
        self.products.get(&sellable.product).is_some_and(|product| !product.deleted).then_some(sellable)
    }

    /// How many units of a variant one unit of something ordered takes.
    fn takes(&self, ordered: u64, variant: u64) -> i64 {
        match self.sellables.get(&ordered).and_then(|sellable| sellable.kit.as_ref()) {
            Some(contents) => contents.iter().filter(|row| row.variant == variant).map(|row| row.quantity).sum(),
            None => i64::from(ordered == variant),
        }
    }

    /// The variants that so many units of something ordered take.
    pub fn parts(&self, ordered: u64, units: i64) -> Vec<(u64, i64)> {
        match self.sellables.get(&ordered).and_then(|sellable| sellable.kit.as_ref()) {
            Some(contents) => contents.iter().map(|row| (row.variant, row.quantity * units)).collect(),
            None => vec![(ordered, units)],
        }
    }

    /// Units in the building and units reserved there. A kit has as many as its scarcest part makes.
    pub fn levels(&self, sellable: u64, warehouse: usize, name: &str) -> (i64, i64) {
        if let Some(contents) = self.sellables.get(&sellable).and_then(|sellable| sellable.kit.as_ref()) {
            let makes = |row: &Content| {
                let (physical, reserved) = self.levels(row.variant, warehouse, name);
                (physical - reserved).div_euclid(row.quantity.max(1))
            };
            return (contents.iter().map(makes).min().unwrap_or(0), 0);
        }
        let physical = self.sellables.get(&sellable).and_then(|item| item.stock.get(name)).copied().unwrap_or(0);
        let open = self.orders.values().filter(|order| !order.cancelled).flat_map(|order| &order.allocations);
        let reserved = open
            .filter(|allocation| allocation.warehouse == warehouse && allocation.shipment.is_none())
            .flat_map(|allocation| &allocation.lines)
            .map(|line| self.takes(line.sellable, sellable) * line.quantity)
            .sum();
        (physical, reserved)
    }
}

/// The first ids.
const PRODUCTS_FROM: u64 = 8_001;
const SELLABLES_FROM: u64 = 9_001;
const CONTENTS_FROM: u64 = 5_001;

/// Each item is a product with one variant; a bundle is a kit of those that it is put together from.
fn stocked(items: Vec<Item>) -> (BTreeMap<u64, Product>, BTreeMap<u64, Sellable>) {
    let ids: BTreeMap<String, u64> = items.iter().map(|item| item.sku.clone()).zip(SELLABLES_FROM..).collect();
    let (mut products, mut sellables, mut contents) = (BTreeMap::new(), BTreeMap::new(), CONTENTS_FROM..);
    for ((product, sellable), item) in (PRODUCTS_FROM..).zip(SELLABLES_FROM..).zip(items) {
        let row = |(sku, units): &(String, u32)| {
            Some(Content { id: contents.next()?, variant: *ids.get(sku)?, quantity: i64::from(*units) })
        };
        let kit = (!item.parts.is_empty()).then(|| item.parts.iter().filter_map(row).collect());
        products.insert(product, Product { title: item.title, created: 0, updated: 0, deleted: false });
        sellables.insert(
            sellable,
            Sellable {
                product,
                sku: item.sku,
                barcode: item.barcode.unwrap_or_default(),
                price: "0.0".to_owned(),
                weight_grams: item.weight_grams.unwrap_or(0),
                stock: item.stock,
                kit,
                ..Sellable::default()
            },
        );
    }
    (products, sellables)
}
