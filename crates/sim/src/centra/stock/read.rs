//! Reading the stock: warehouses, quantities, allocations.

use jiff::Timestamp;
use serde_json::Value;

use crate::data::{Line, Market, Order};

use super::super::answer::{Reader, flag, maybe_text, named, number, object, push_text, rows};
use super::super::filter::integers_given;
use super::super::plan::Pick;
use super::ledger::Cell;

/// The quantities of one row.
#[derive(Clone, Copy, Debug, Default)]
struct Quantities {
    physical: i64,
    allocated: i64,
    free: i64,
    demand: i64,
}

impl From<Cell> for Quantities {
    fn from(cell: Cell) -> Quantities {
        Quantities { physical: cell.physical, allocated: cell.allocated, free: cell.free(), demand: cell.demand }
    }
}

impl Quantities {
    fn and(self, other: Quantities) -> Quantities {
        Quantities {
            physical: self.physical + other.physical,
            allocated: self.allocated + other.allocated,
            free: self.free + other.free,
            demand: self.demand + other.demand,
        }
    }

    /// A field of `Stock` or `StockTotals`. Nothing is ever on its way in here.
    fn field(self, name: &str) -> Option<i64> {
        Some(match name {
            "physicalQuantity" => self.physical,
            "allocatedQuantity" => self.allocated,
            "freeToAllocateQuantity" => self.free,
            "demandQuantity" => self.demand,
            "availableNowQuantity" | "availableQuantity" => self.free - self.demand,
            "unshippedQuantity" => self.allocated + self.demand,
            "incomingQuantity" | "linkedIncomingQuantity" | "unlinkedIncomingQuantity" | "onDeliveryQuantity" => 0,
            _ => return None,
        })
    }
}

impl Reader<'_> {
    // ------------------------------------------------------------ warehouses and stock

    /// Writes the warehouse at an index.
    pub fn warehouse(&self, out: &mut String, pick: &Pick, at: u32) {
        let Some(market) = self.state.catalogue.markets().get(at as usize) else {
            out.push_str("null");
            return;
        };
        object(out, "Warehouse", pick.shape("Warehouse"), |out, pick| match pick.name.as_str() {
            "id" => number(out, market.id),
            "name" => push_text(out, &format!("{} Warehouse", market.name)),
            "status" => push_text(out, "ACTIVE"),
            "stockOwnership" => push_text(out, "OWN"),
            "allocationPolicy" => push_text(out, "DIRECT"),
            "stockMaster" => push_text(out, "EXTERNAL"),
            "isConsignation" | "isHiddenFromStockView" => flag(out, false),
            "country" => {
                let countries = self.state.catalogue.countries();
                let home = market.countries.first().and_then(|code| countries.iter().position(|country| country.code == *code));
                self.country(out, pick, Some(home.and_then(|at| u32::try_from(at).ok()).unwrap_or(0)));
            }
            "allocationRules" => rows(out, [market], |out, market| self.allocation_rule(out, pick, market)),
            "stock" => self.warehouse_stock(out, pick, at),
            "externalId" => {
                let queue = self.state.queues.get(self.queue);
                maybe_text(out, queue.and_then(|queue| queue.external("Warehouse", i64::from(market.id))));
            }
            _ => out.push_str("null"),
        });
    }

    /// Writes the allocation rule of a market: its own warehouse and no other.
    pub fn allocation_rule(&self, out: &mut String, pick: &Pick, market: &Market) {
        named(out, "AllocationRule", pick, market.id, &format!("{} only", market.name));
    }

    fn warehouse_id(&self, at: u32) -> i32 {
        self.state.catalogue.markets().get(at as usize).map_or(0, |market| market.id)
    }

    /// The page of a list inside of something; a wrong one fails the whole root field.
    pub fn inner_page(&self, pick: &Pick) -> (usize, usize) {
        self.page(pick).unwrap_or_else(|refused| {
            self.trouble.borrow_mut().get_or_insert(refused);
            (0, 0)
        })
    }

    /// Whether a size is shown in a warehouse at all.
    fn shows(&self, item: u32, warehouse: u32) -> bool {
        self.state.rules.blank_rows || !self.state.ledger.cell(item, warehouse).is_blank()
    }

    fn warehouse_stock(&self, out: &mut String, pick: &Pick, at: u32) {
        let (skip, limit) = self.inner_page(pick);
        let filter = self.argument(pick, "where").unwrap_or(Value::Null);
        let wanted = integers_given(&filter, "warehouseId").is_none_or(|ids| ids.contains(&i64::from(self.warehouse_id(at))));
        let items = self.state.item_count();
        let found: Box<dyn Iterator<Item = u32>> = match integers_given(&filter, "productSizeId") {
            _ if !wanted => Box::new(std::iter::empty()),
            Some(ids) => Box::new(self.items_of_ids(&ids).into_iter()),
            None => Box::new(0..items),
        };
        let found = found.filter(|item| !self.is_bundle(*item) && self.shows(*item, at)).skip(skip).take(limit);
        rows(out, found, |out, item| self.stock(out, pick, item, at));
    }

    pub fn size_stock(&self, out: &mut String, pick: &Pick, item: u32) {
        let (skip, limit) = self.inner_page(pick);
        let filter = self.argument(pick, "where").unwrap_or(Value::Null);
        let mine = integers_given(&filter, "productSizeId").is_none_or(|ids| ids.contains(&(i64::from(item) + 1)));
        let warehouses = integers_given(&filter, "warehouseId");
        // The stock of a bundle is that of its parts; it has no row of its own.
        let found = (0..self.state.ledger.warehouses())
            .filter(|_| mine && !self.is_bundle(item))
            .filter(|at| warehouses.as_ref().is_none_or(|ids| ids.contains(&i64::from(self.warehouse_id(*at)))))
            .filter(|at| self.shows(item, *at));
        rows(out, found.skip(skip).take(limit), |out, at| self.stock(out, pick, item, at));
    }

    fn stock(&self, out: &mut String, pick: &Pick, item: u32, warehouse: u32) {
        let quantities = Quantities::from(self.state.ledger.cell(item, warehouse));
        object(out, "Stock", pick.shape("Stock"), |out, pick| match pick.name.as_str() {
            "warehouse" => self.warehouse(out, pick, warehouse),
            "productSize" => self.product_size(out, pick, item),
            name => match quantities.field(name) {
                Some(units) => number(out, units),
                None => out.push_str("null"),
            },
        });
    }

    /// What a size has over the warehouses asked for. A bundle has as many as its scarcest part allows (inferred).
    fn totals_of(&self, item: u32, warehouses: Option<&[i64]>) -> Quantities {
        let parts = self.state.item(item).map_or(&[][..], |item| &item.components);
        (0..self.state.ledger.warehouses())
            .filter(|at| warehouses.is_none_or(|ids| ids.contains(&i64::from(self.warehouse_id(*at)))))
            .map(|at| {
                if parts.is_empty() {
                    return Quantities::from(self.state.ledger.cell(item, at));
                }
                let whole = parts.iter().map(|(part, each)| {
                    let free = self.state.ledger.cell(*part, at).free();
                    free.checked_div(i64::from(*each)).unwrap_or(0)
                });
                let free = whole.min().unwrap_or(0);
                Quantities { physical: free, free, ..Quantities::default() }
            })
            .fold(Quantities::default(), Quantities::and)
    }

    /// What is free of a size over all warehouses.
    pub fn free_of(&self, item: u32) -> i64 {
        self.totals_of(item, None).free
    }

    pub fn stock_totals(&self, out: &mut String, pick: &Pick, item: u32) {
        let filter = self.argument(pick, "where").unwrap_or(Value::Null);
        let totals = self.totals_of(item, integers_given(&filter, "warehouseId").as_deref());
        object(out, "StockTotals", pick.shape("StockTotals"), |out, pick| {
            number(out, totals.field(&pick.name).unwrap_or(0));
        });
    }

    /// Writes a stock change; `null` when it is forgotten.
    pub fn stock_change(&self, out: &mut String, pick: &Pick, id: i32) {
        let Some(change) = self.state.ledger.change(id) else {
            out.push_str("null");
            return;
        };
        object(out, "StockChange", pick.shape("StockChange"), |out, pick| match pick.name.as_str() {
            "id" => number(out, change.id),
            "description" => push_text(out, &change.description),
            _ => rows(out, &change.lines, |out, line| self.stock_change_line(out, pick, line.id, line.units, line.free)),
        });
    }

    fn stock_change_line(&self, out: &mut String, pick: &Pick, id: i32, units: i64, free: i64) {
        object(out, "StockChangeLine", pick.shape("StockChangeLine"), |out, pick| match pick.name.as_str() {
            "id" => number(out, id),
            "deliveredQuantity" => number(out, units),
            _ => number(out, free),
        });
    }

    /// Writes what a line is allocated. Which delivery its units came with is not kept: the last one is named.
    pub fn allocations(&self, out: &mut String, pick: &Pick, order: &Order, line: &Line, at: Timestamp) {
        let share = self.state.ledger.share(line.id).filter(|share| share.allocated > 0);
        let item = line.item.unwrap_or(u32::MAX);
        rows(out, share, |out, share| {
            let warehouse = self.state.ledger.warehouse_of(&share);
            let cell = self.state.ledger.cell(item, warehouse);
            object(out, "Allocation", pick.shape("Allocation"), |out, pick| match pick.name.as_str() {
                "id" => number(out, line.id),
                "quantity" => number(out, share.allocated),
                "orderLine" => self.line(out, pick, order, line, at),
                "warehouse" => self.warehouse(out, pick, warehouse),
                "stockChangeLine" => self.stock_change_line(out, pick, cell.delivery.0, cell.delivery.1, cell.free()),
                _ => flag(out, false),
            });
        });
    }

    pub fn is_bundle(&self, item: u32) -> bool {
        self.state.item(item).is_some_and(|item| !item.components.is_empty())
    }

    /// The items with these ids, each once, by id.
    pub fn items_of_ids(&self, ids: &[i64]) -> Vec<u32> {
        let count = self.state.item_count();
        let at = |id: &i64| u32::try_from(id.checked_sub(1)?).ok().filter(|at| *at < count);
        let mut found: Vec<u32> = ids.iter().filter_map(at).collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}
