//! What people do in Veeqo behind everybody's back, and what goes wrong on demand.

use std::sync::atomic::Ordering;

use serde_json::Value;

use super::state::{Order, Product, Returned, Sellable};
use super::{Veeqo, products};

/// What is to stand as the tracking number of an order's shipments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tracking {
    /// None.
    Nothing,
    /// This, stray blanks included.
    Is(String),
    /// What stands there, its label cancelled.
    Void,
}

impl Veeqo {
    /// The next writes take effect and are answered with a 504.
    pub fn lose_answers(&self, writes: u64) {
        self.0.to_lose.store(writes, Ordering::Relaxed);
    }

    /// What stands under each SKU: `id`, `product`, `sku`, `title`, `variant`, `barcode`, `price`, `weight_grams`, `stock`, `deleted`, `parts`.
    pub fn shelves(&self) -> Vec<Value> {
        products::shown(&self.0.state())
    }

    /// Somebody cancels an order.
    /// Errors when there is no such order or the journal cannot be written.
    pub fn meddle_cancel(&self, number: &str) -> anyhow::Result<()> {
        self.meddle(number, |order| order.cancelled = true)
    }

    /// An order can be listed and not read by its id, or can again.
    /// Errors when there is no such order or the journal cannot be written.
    pub fn meddle_break(&self, number: &str, broken: bool) -> anyhow::Result<()> {
        self.meddle(number, |order| order.broken = broken)
    }

    /// Somebody deletes the shipments of an order.
    /// Errors when there is no such order or the journal cannot be written.
    pub fn meddle_unship(&self, number: &str) -> anyhow::Result<()> {
        self.meddle(number, |order| order.allocations.iter_mut().for_each(|allocation| allocation.shipment = None))
    }

    /// Somebody makes a return of the first line of an order; its id.
    /// Errors when there is no such order or the journal cannot be written.
    pub fn meddle_return(&self, number: &str, kind: &str, quantity: i64, received: Option<i64>) -> anyhow::Result<u64> {
        let created = self.0.now();
        let mut made = 0;
        self.meddle(number, |order| {
            made = order.id * 10 + order.returns.len() as u64;
            let sellable = order.lines.first().map_or(0, |line| line.sellable);
            order.returns.push(Returned { id: made, kind: kind.to_owned(), sellable, quantity, received, created });
        })?;
        Ok(made)
    }

    /// Somebody receives goods of a return.
    /// Errors when there is no such order or the journal cannot be written.
    pub fn meddle_receive(&self, number: &str, id: u64, units: i64) -> anyhow::Result<()> {
        self.meddle(number, |order| {
            order.returns.iter_mut().filter(|one| one.id == id).for_each(|one| one.received = Some(units));
        })
    }

    /// Somebody deletes all allocations of an order, shipped ones, too.
    /// Errors when there is no such order or the journal cannot be written.
    pub fn meddle_unallocate(&self, number: &str) -> anyhow::Result<()> {
        self.meddle(number, |order| order.allocations.clear())
    }

    /// Somebody changes the units of every line of an order.
    /// Errors when there is no such order or the journal cannot be written.
    pub fn meddle_units(&self, number: &str, units: i64) -> anyhow::Result<()> {
        self.meddle(number, |order| order.lines.iter_mut().for_each(|line| line.quantity = units))
    }

    /// Somebody edits the tracking number of an order's shipments.
    /// Errors when there is no such order or the journal cannot be written.
    pub fn meddle_tracking(&self, number: &str, tracking: &Tracking) -> anyhow::Result<()> {
        self.meddle(number, |order| {
            for shipment in order.allocations.iter_mut().filter_map(|allocation| allocation.shipment.as_mut()) {
                match tracking {
                    Tracking::Nothing => shipment.tracking = None,
                    Tracking::Is(text) => shipment.tracking = Some(text.clone()),
                    Tracking::Void => shipment.void = true,
                }
                shipment.tracking_later = None;
            }
        })
    }

    /// Somebody enters an order once more under the same number.
    /// Errors when there is no such order or the journal cannot be written.
    pub fn meddle_double(&self, number: &str) -> anyhow::Result<()> {
        let mut state = self.0.state();
        let order = found(state.orders.values(), number)?.clone();
        let id = state.next_id();
        state.put(Order { id, allocations: Vec::new(), updated: self.0.now(), ..order })
    }

    /// Somebody merges an order into another: its goods leave with that one.
    /// Errors when there is no such order or the journal cannot be written.
    pub fn meddle_merge(&self, number: &str, into: &str) -> anyhow::Result<()> {
        let mut state = self.0.state();
        let now = self.0.now();
        let (mut from, mut to) = (found(state.orders.values(), number)?.clone(), found(state.orders.values(), into)?.clone());
        (from.merged_to, from.updated) = (Some(to.id), now);
        // What has not left of either is picked together.
        from.allocations.clear();
        to.allocations.retain(|allocation| allocation.shipment.is_some());
        to.lines.extend(from.lines.iter().cloned());
        (to.merged, to.updated) = (true, now);
        state.put(from)?;
        state.put(to.clone())?;
        self.0.allocate(&state, &mut to, now);
        state.put(to)
    }

    /// Somebody renames a product.
    /// Errors when nothing has this SKU or the journal cannot be written.
    pub fn meddle_title(&self, sku: &str, title: &str) -> anyhow::Result<()> {
        self.meddle_product(sku, |product| product.title = title.to_owned())
    }

    /// Somebody deletes a product, with all its variants.
    /// Errors when nothing has this SKU or the journal cannot be written.
    pub fn meddle_delete(&self, sku: &str) -> anyhow::Result<()> {
        self.meddle_product(sku, |product| product.deleted = true)
    }

    /// Somebody puts a variant into the product of another.
    /// Errors when nothing has one of the SKUs or the journal cannot be written.
    pub fn meddle_regroup(&self, sku: &str, title: &str, beside: &str) -> anyhow::Result<()> {
        let product = self.product_of(beside)?;
        self.meddle_sellable(sku, |sellable| {
            sellable.product = product;
            sellable.title = title.to_owned();
        })
    }

    /// Somebody makes another product with a SKU that stands already.
    /// Errors when nothing has this SKU or the journal cannot be written.
    pub fn meddle_twin(&self, sku: &str) -> anyhow::Result<()> {
        let mut state = self.0.state();
        let sellable = sellable_of(&state.sellables, sku)?.1.clone();
        let (product, id, now) = (state.next_product(), state.next_sellable(), self.0.now());
        state.put_product(product, Product { title: "Twin".to_owned(), created: now, updated: now, deleted: false })?;
        state.put_sellable(id, Sellable { product, ..sellable })
    }

    /// Somebody counts.
    /// Errors when nothing has this SKU or the journal cannot be written.
    pub fn meddle_stock(&self, sku: &str, warehouse: &str, units: i64) -> anyhow::Result<()> {
        self.meddle_sellable(sku, |sellable| {
            sellable.stock.insert(warehouse.to_owned(), units);
        })
    }

    /// Somebody says that there is no end of something in a warehouse.
    /// Errors when nothing has this SKU or the journal cannot be written.
    pub fn meddle_infinite(&self, sku: &str, warehouse: &str) -> anyhow::Result<()> {
        self.meddle_sellable(sku, |sellable| {
            sellable.infinite.insert(warehouse.to_owned());
        })
    }

    fn product_of(&self, sku: &str) -> anyhow::Result<u64> {
        Ok(sellable_of(&self.0.state().sellables, sku)?.1.product)
    }

    fn meddle_product(&self, sku: &str, change: impl FnOnce(&mut Product)) -> anyhow::Result<()> {
        let id = self.product_of(sku)?;
        let mut state = self.0.state();
        let Some(mut product) = state.products.get(&id).cloned() else { anyhow::bail!("there is no product {id}") };
        change(&mut product);
        product.updated = self.0.now();
        state.put_product(id, product)
    }

    fn meddle_sellable(&self, sku: &str, change: impl FnOnce(&mut Sellable)) -> anyhow::Result<()> {
        let mut state = self.0.state();
        let (id, sellable) = sellable_of(&state.sellables, sku)?;
        let mut sellable = sellable.clone();
        change(&mut sellable);
        sellable.updated = self.0.now();
        state.put_sellable(id, sellable)
    }

    fn meddle(&self, number: &str, change: impl FnOnce(&mut Order)) -> anyhow::Result<()> {
        let mut state = self.0.state();
        let mut order = found(state.orders.values(), number)?.clone();
        change(&mut order);
        order.updated = self.0.now();
        state.put(order)
    }
}

fn found<'a>(mut orders: impl Iterator<Item = &'a Order>, number: &str) -> anyhow::Result<&'a Order> {
    orders.find(|order| order.number == number).ok_or_else(|| anyhow::anyhow!("there is no order {number}"))
}

fn sellable_of<'a>(sellables: &'a std::collections::BTreeMap<u64, Sellable>, sku: &str) -> anyhow::Result<(u64, &'a Sellable)> {
    let found = sellables.iter().find(|(_, sellable)| sellable.sku == sku);
    found.map(|(id, sellable)| (*id, sellable)).ok_or_else(|| anyhow::anyhow!("nothing has the SKU {sku}"))
}
