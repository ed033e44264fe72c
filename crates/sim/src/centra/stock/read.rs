//! Reading the catalogue and its stock: products, sizes, warehouses, quantities.

use serde_json::{Map, Value};

use crate::data::{Currency, Item, Line, Market, Order};

use super::super::answer::{Reader, Refused, flag, maybe_text, named, number, object, push_text, rows};
use super::super::filter::{list, window};
use super::super::plan::Pick;
use super::ledger::Cell;
use super::shelf;
use jiff::Timestamp;

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

fn ids(filter: &Value, key: &str) -> Option<Vec<i64>> {
    Some(list(filter, key)?.iter().filter_map(Value::as_i64).collect())
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
    fn inner_page(&self, pick: &Pick) -> (usize, usize) {
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
        let wanted = ids(&filter, "warehouseId").is_none_or(|ids| ids.contains(&i64::from(self.warehouse_id(at))));
        let items = u32::try_from(self.state.catalogue.items().len()).unwrap_or(u32::MAX);
        let found: Box<dyn Iterator<Item = u32>> = match ids(&filter, "productSizeId") {
            _ if !wanted => Box::new(std::iter::empty()),
            Some(ids) => Box::new(self.items_of_ids(&ids).into_iter()),
            None => Box::new(0..items),
        };
        let found = found.filter(|item| !self.is_bundle(*item) && self.shows(*item, at)).skip(skip).take(limit);
        rows(out, found, |out, item| self.stock(out, pick, item, at));
    }

    fn size_stock(&self, out: &mut String, pick: &Pick, item: u32) {
        let (skip, limit) = self.inner_page(pick);
        let filter = self.argument(pick, "where").unwrap_or(Value::Null);
        let mine = ids(&filter, "productSizeId").is_none_or(|ids| ids.contains(&(i64::from(item) + 1)));
        let warehouses = ids(&filter, "warehouseId");
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
        let parts = self.state.catalogue.items().get(item as usize).map_or(&[][..], |item| &item.components);
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

    fn stock_totals(&self, out: &mut String, pick: &Pick, item: u32) {
        let filter = self.argument(pick, "where").unwrap_or(Value::Null);
        let totals = self.totals_of(item, ids(&filter, "warehouseId").as_deref());
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

    // ------------------------------------------------------------ the catalogue

    fn is_bundle(&self, item: u32) -> bool {
        self.state.catalogue.items().get(item as usize).is_some_and(|item| !item.components.is_empty())
    }

    /// Writes a product, told by one of its items.
    pub fn product(&self, out: &mut String, pick: &Pick, item: &Item) {
        object(out, "Product", pick.shape("Product"), |out, pick| match pick.name.as_str() {
            "id" => number(out, item.product),
            "name" => push_text(out, &item.product_name),
            "status" => push_text(out, "ACTIVE"),
            "productNumber" => push_text(out, &item.product_number),
            "brand" => named(out, "Brand", pick, 1, "Selvage Studio"),
            "folder" => {
                let (id, name) = shelf::folder(item);
                named(out, "Folder", pick, id, name);
            }
            "collection" => {
                let (id, name) = shelf::collection(item);
                named(out, "Collection", pick, id, name);
            }
            "variants" => {
                let items = self.state.catalogue.items();
                let mut last = 0;
                let variants =
                    self.state.shelf.of_product(item.product).filter_map(|at| items.get(at as usize)).filter(|other| {
                        let new = other.variant != last;
                        last = other.variant;
                        new
                    });
                rows(out, variants, |out, item| self.variant(out, pick, item));
            }
            "attributes" => out.push_str("[]"),
            "updatedAt" => self.date(out, pick, started()),
            _ => out.push_str("null"),
        });
    }

    /// Writes a variant, told by one of its items.
    pub fn variant(&self, out: &mut String, pick: &Pick, item: &Item) {
        object(out, "ProductVariant", pick.shape("ProductVariant"), |out, pick| match pick.name.as_str() {
            "id" => number(out, item.variant),
            "name" => push_text(out, &item.variant_name),
            "status" => push_text(out, "ACTIVE"),
            "variantNumber" => push_text(out, &item.variant_number),
            "unitCost" => match (shelf::unit_cost(item), self.euro()) {
                (Some(mills), Some(euro)) => self.money(out, pick, euro, mills, started()),
                _ => out.push_str("null"),
            },
            "product" => self.product(out, pick, item),
            "productSizes" => {
                rows(out, self.state.shelf.of_variant(item.variant), |out, at| self.product_size(out, pick, at));
            }
            _ => out.push_str("null"),
        });
    }

    fn euro(&self) -> Option<Currency> {
        self.state.catalogue.currencies().iter().copied().find(|currency| currency.code == "EUR")
    }

    /// Writes the size at an index.
    pub fn product_size(&self, out: &mut String, pick: &Pick, at: u32) {
        let Some(item) = self.state.catalogue.items().get(at as usize) else {
            out.push_str("null");
            return;
        };
        object(out, "ProductSize", pick.shape("ProductSize"), |out, pick| match pick.name.as_str() {
            "id" => number(out, at + 1),
            "description" => push_text(out, &item.full_name()),
            "SKU" => push_text(out, &item.sku),
            "EAN" => maybe_text(out, self.state.shelf.ean(at).as_deref()),
            "sizeNumber" => push_text(out, &item.size_number),
            // What this counts is not documented; free to allocate over all warehouses is our reading.
            "quantity" => number(out, self.totals_of(at, None).free),
            "preorder" => flag(out, false),
            "isActive" => flag(out, true),
            "updatedAt" => self.date(out, pick, started()),
            "size" => {
                let id = self.state.shelf.size_id(&item.size_name).unwrap_or(0);
                named(out, "Size", pick, id, &item.size_name);
            }
            "productVariant" => self.variant(out, pick, item),
            "stock" => self.size_stock(out, pick, at),
            "stockTotals" => self.stock_totals(out, pick, at),
            _ => out.push_str("null"),
        });
    }

    /// Writes the answer to `products`.
    pub fn products(&self, out: &mut String, pick: &Pick) -> Result<(), Refused> {
        let (skip, limit) = self.page(pick)?;
        let filter = self.argument(pick, "where").unwrap_or(Value::Null);
        if filter.as_object().is_some_and(|map| map.keys().any(|key| key != "id")) {
            return Err("products can only be filtered by id here".to_owned());
        }
        let wanted = ids(&filter, "id");
        let mut last = 0;
        let found = self
            .state
            .catalogue
            .items()
            .iter()
            .filter(|item| {
                let new = item.product != last;
                last = item.product;
                new && wanted.as_ref().is_none_or(|ids| ids.contains(&i64::from(item.product)))
            })
            .skip(skip)
            .take(limit);
        rows(out, found, |out, item| self.product(out, pick, item));
        Ok(())
    }

    /// The items with these ids, each once, by id.
    fn items_of_ids(&self, ids: &[i64]) -> Vec<u32> {
        let count = self.state.catalogue.items().len();
        let at = |id: &i64| u32::try_from(id.checked_sub(1)?).ok().filter(|at| (*at as usize) < count);
        let mut found: Vec<u32> = ids.iter().filter_map(at).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Writes the answer to `productSizes`.
    pub fn product_sizes(&self, out: &mut String, pick: &Pick) -> Result<(), Refused> {
        let (skip, limit) = self.page(pick)?;
        let filter = self.argument(pick, "where").unwrap_or(Value::Null);
        let mut found = self.sizes(&filter)?;
        // Nothing ever changes a size here, so that sorting by updatedAt is sorting by id.
        let sort =
            list(&Value::Object(Map::from_iter(self.argument(pick, "sort").map(|sort| ("sort".to_owned(), sort)))), "sort");
        let down = match sort.unwrap_or_default().as_slice() {
            [] => false,
            [one] => one.as_str().is_some_and(|name| name.ends_with("_DESC")),
            _ => return Err("sorting by several fields is not simulated".to_owned()),
        };
        if down {
            found.reverse();
        }
        rows(out, found.into_iter().skip(skip).take(limit), |out, at| self.product_size(out, pick, at));
        Ok(())
    }

    /// The items that a `ProductSizeFilter` shows, by id. What is not simulated is refused, never ignored.
    fn sizes(&self, filter: &Value) -> Result<Vec<u32>, Refused> {
        let empty = Map::new();
        let map = filter.as_object().unwrap_or(&empty);
        let count = self.state.catalogue.items().len();
        // Those of the filters that name few come first, so that the rest looks at few.
        let mut found: Option<Vec<u32>> = None;
        let mut narrow = |few: Vec<u32>| match &mut found {
            None => found = Some(few),
            Some(found) => found.retain(|item| few.contains(item)),
        };
        for (key, value) in map.iter().filter(|(_, value)| !value.is_null()) {
            let equals =
                || match value.as_object().map(|keys| keys.iter().filter(|(_, text)| !text.is_null()).collect::<Vec<_>>()) {
                    Some(keys) => match keys.as_slice() {
                        [(name, text)] if name.as_str() == "equals" => Ok(text.as_str().unwrap_or("")),
                        [_] => Err(format!("{key}: only equals is simulated")),
                        _ => Err(format!("{key}: exactly one of the ways to match must be given")),
                    },
                    None => Err(format!("{key} is no StringMatch")),
                };
            match key.as_str() {
                "id" => narrow(self.items_of_ids(&ids(filter, "id").unwrap_or_default())),
                "SKU" => narrow(self.state.shelf.sku(equals()?).into_iter().collect()),
                "EAN" => narrow(self.state.shelf.by_ean(equals()?, count)),
                // No size has one.
                "UPC" => equals().map(|_| narrow(Vec::new()))?,
                "isActive" if value == true => {}
                "isActive" => narrow(Vec::new()),
                "preorder" if value == false => {}
                "preorder" => narrow(Vec::new()),
                "updatedAt" => {
                    let (from, to) = window(value, self.zone)?;
                    let second = started().as_second();
                    if from.is_some_and(|from| second < from) || to.is_some_and(|to| second > to) {
                        narrow(Vec::new());
                    }
                }
                "notNull" => {}
                other => return Err(format!("productSizes cannot be filtered by {other} here")),
            }
        }
        let mut found = found.unwrap_or_else(|| (0..u32::try_from(count).unwrap_or(u32::MAX)).collect());
        for field in list(filter, "notNull").unwrap_or_default() {
            match field.as_str().unwrap_or("") {
                "UPC" | "comment" | "weight" => found.clear(),
                "EAN" => found.retain(|item| self.state.shelf.ean(*item).is_some()),
                "id" | "SKU" | "description" | "sizeNumber" | "updatedAt" | "size" | "productVariant" => {}
                other => return Err(format!("notNull of {other} is not simulated")),
            }
        }
        Ok(found)
    }
}

/// When the catalogue was made.
fn started() -> Timestamp {
    Timestamp::from_second(1_750_000_000).unwrap_or(Timestamp::UNIX_EPOCH)
}
