//! Reading the catalogue: products, variants, sizes, bundles, price lists and their prices.

use serde_json::{Map, Value};

use crate::data::{Currency, Item, Market};

use super::answer::{Reader, Refused, flag, maybe_text, named, number, object, push_text, rows};
use super::filter::{Window, inside, integers_given, list, window};
use super::plan::Pick;
use super::state::moment;
use super::stock::{collection, folder, unit_cost};
use super::wares::{MADE, list_and_variant, price_id};

/// A list's order: by the date of change or else by id, downwards or upwards.
struct Order {
    by_date: bool,
    down: bool,
}

impl Order {
    fn sort<T: Ord + Copy>(&self, found: &mut [T], updated: impl Fn(T) -> i64) {
        // Dates are compared as they are shown: to the second.
        found.sort_by_key(|id| (if self.by_date { updated(*id).div_euclid(1_000) } else { 0 }, *id));
        if self.down {
            found.reverse();
        }
    }
}

impl Reader<'_> {
    fn order_of(&self, pick: &Pick) -> Result<Order, Refused> {
        let given = Map::from_iter(self.argument(pick, "sort").map(|sort| ("sort".to_owned(), sort)));
        let sort = list(&Value::Object(given), "sort").unwrap_or_default();
        let name = match sort.as_slice() {
            [] => "id_ASC",
            [one] => one.as_str().unwrap_or("id_ASC"),
            _ => return Err("sorting by several fields is not simulated".to_owned()),
        };
        Ok(Order { by_date: name.starts_with("updatedAt"), down: name.ends_with("_DESC") })
    }

    /// The `where` of products and variants: ids, statuses, and a window of the last change. What is not simulated is refused.
    fn wanted(&self, pick: &Pick, what: &str) -> Result<Wanted, Refused> {
        let filter = self.argument(pick, "where").unwrap_or(Value::Null);
        let mut wanted = Wanted::default();
        for (key, value) in filter.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
            match key.as_str() {
                "id" => wanted.ids = integers_given(&filter, "id"),
                "status" => wanted.statuses = list(&filter, "status"),
                "updatedAt" => wanted.updated = window(value, self.zone)?,
                other => return Err(format!("{what} cannot be filtered by {other} here")),
            }
        }
        Ok(wanted)
    }

    // ------------------------------------------------------------ products and variants

    /// Writes the answer to `products`.
    pub fn products(&self, out: &mut String, pick: &Pick) -> Result<(), Refused> {
        let (skip, limit) = self.page(pick)?;
        let wanted = self.wanted(pick, "products")?;
        let first = |id: i32| self.state.item(self.state.shelf.of_product(id).next()?);
        let mut found: Vec<i32> = self.state.shelf.product_ids().collect();
        found.retain(|id| {
            first(*id)
                .is_some_and(|item| wanted.takes(*id, self.state.product_status(item), self.state.product_updated(item.product)))
        });
        self.order_of(pick)?.sort(&mut found, |id| self.state.product_updated(id));
        let found = found.into_iter().filter_map(first).skip(skip).take(limit);
        rows(out, found, |out, item| self.product(out, pick, item));
        Ok(())
    }

    /// Writes the answer to `productVariants`.
    pub fn variants(&self, out: &mut String, pick: &Pick) -> Result<(), Refused> {
        let (skip, limit) = self.page(pick)?;
        let wanted = self.wanted(pick, "productVariants")?;
        let first = |id: i32| self.state.of_variant(id).map(|(_, item)| item);
        let mut found: Vec<i32> = self.state.shelf.variant_ids().collect();
        found.retain(|id| {
            first(*id)
                .is_some_and(|item| wanted.takes(*id, self.state.variant_status(item), self.state.variant_updated(item.variant)))
        });
        self.order_of(pick)?.sort(&mut found, |id| self.state.variant_updated(id));
        let found = found.into_iter().filter_map(first).skip(skip).take(limit);
        rows(out, found, |out, item| self.variant(out, pick, item));
        Ok(())
    }

    /// Writes a product, told by one of its items.
    pub fn product(&self, out: &mut String, pick: &Pick, item: &Item) {
        let state = self.state;
        object(out, "Product", pick.shape("Product"), |out, pick| match pick.name.as_str() {
            "id" => number(out, item.product),
            "name" => push_text(out, state.product_name(item)),
            "status" => push_text(out, state.product_status(item)),
            "productNumber" => push_text(out, &item.product_number),
            "isBundle" => flag(out, !item.components.is_empty()),
            "bundle" if !item.components.is_empty() => self.bundle(out, pick, item),
            "brand" => named(out, "Brand", pick, 1, "Selvage Studio"),
            "folder" => {
                let (id, name) = folder(item);
                named(out, "Folder", pick, id, name);
            }
            "collection" => {
                let (id, name) = collection(item);
                named(out, "Collection", pick, id, name);
            }
            "harmonizedCommodityCode" => maybe_text(out, state.hs_code(item)),
            "weight" => self.weight(out, pick, item),
            "countryOfOrigin" => {
                let countries = state.catalogue.countries();
                let at = state.origin(item).and_then(|code| countries.iter().position(|country| country.code == code));
                match (at, state.origin(item)) {
                    (None, Some(code)) => self.foreign_country(out, pick, code),
                    (at, _) => self.country(out, pick, at.and_then(|at| u32::try_from(at).ok())),
                }
            }
            "variants" => {
                let mut last = None;
                let variants = state.shelf.of_product(item.product).filter_map(|at| state.item(at));
                let mut variants: Vec<&Item> = variants.collect();
                variants.sort_by_key(|item| item.variant);
                variants.retain(|item| last.replace(item.variant) != Some(item.variant));
                rows(out, variants, |out, item| self.variant(out, pick, item));
            }
            "attributes" => out.push_str("[]"),
            "updatedAt" => self.date(out, pick, moment(state.product_updated(item.product))),
            _ => out.push_str("null"),
        });
    }

    /// A country that nobody sends to, and goods come from.
    fn foreign_country(&self, out: &mut String, pick: &Pick, code: &str) {
        object(out, "Country", pick.shape("Country"), |out, pick| match pick.name.as_str() {
            "id" => number(out, 200 + code.bytes().map(i32::from).sum::<i32>()),
            "name" | "code" => push_text(out, code),
            "isEU" => flag(out, false),
            _ => out.push_str("null"),
        });
    }

    fn weight(&self, out: &mut String, pick: &Pick, item: &Item) {
        let Some((value, unit)) = self.state.weight(item) else { return out.push_str("null") };
        object(out, "Weight", pick.shape("Weight"), |out, pick| match pick.name.as_str() {
            "value" => out.push_str(&value),
            "unit" => push_text(out, &unit),
            _ => push_text(out, &format!("{value} {}", if unit == "POUNDS" { "lb" } else { "kg" })),
        });
    }

    /// Writes a variant, told by one of its items.
    pub fn variant(&self, out: &mut String, pick: &Pick, item: &Item) {
        let state = self.state;
        object(out, "ProductVariant", pick.shape("ProductVariant"), |out, pick| match pick.name.as_str() {
            "id" => number(out, item.variant),
            "name" => push_text(out, state.variant_name(item)),
            "status" => push_text(out, state.variant_status(item)),
            "variantNumber" => push_text(out, &item.variant_number),
            "unitCost" => match (unit_cost(item), self.euro()) {
                (Some(mills), Some(euro)) => self.money(out, pick, euro, mills, moment(MADE)),
                _ => out.push_str("null"),
            },
            "stockOffset" => number(out, 0),
            "product" => self.product(out, pick, item),
            "productSizes" => {
                rows(out, state.shelf.of_variant(item.variant), |out, at| self.product_size(out, pick, at));
            }
            "updatedAt" => self.date(out, pick, moment(state.variant_updated(item.variant))),
            "prices" => self.prices_of(out, pick, item.variant),
            _ => out.push_str("null"),
        });
    }

    fn euro(&self) -> Option<Currency> {
        self.state.catalogue.currencies().iter().copied().find(|currency| currency.code == "EUR")
    }

    // ------------------------------------------------------------ bundles and prices

    /// Writes what a bundle is made of, told by its item. All of them are fixed and have a price of their own.
    fn bundle(&self, out: &mut String, pick: &Pick, item: &Item) {
        let updated = moment(self.state.product_updated(item.product));
        object(out, "Bundle", pick.shape("Bundle"), |out, pick| match pick.name.as_str() {
            "id" => number(out, item.product),
            "createdAt" => self.date(out, pick, moment(MADE)),
            "updatedAt" => self.date(out, pick, updated),
            "type" => push_text(out, "FIXED"),
            "priceType" => push_text(out, "STATIC"),
            "product" => self.product(out, pick, item),
            "prices" => self.prices_of(out, pick, item.variant),
            "sizes" => rows(out, self.state.shelf.of_variant(item.variant), |out, at| self.size(out, pick, at)),
            "sections" => rows(out, (1_i32..).zip(&item.components), |out, (nth, (part, units))| {
                object(out, "BundleSection", pick.shape("BundleSection"), |out, pick| match pick.name.as_str() {
                    "id" => number(out, item.product.saturating_mul(10).saturating_add(nth)),
                    "quantity" => number(out, units),
                    "createdAt" | "updatedAt" => self.date(out, pick, moment(MADE)),
                    // A section names variants; which of their sizes it is follows from the size of the bundle.
                    _ => rows(out, self.state.item(*part), |out, part| self.variant(out, pick, part)),
                });
            }),
            _ => out.push_str("null"),
        });
    }

    /// Writes the prices of a variant, one row per list, by list. The lists have no page of their own unless it is asked for.
    fn prices_of(&self, out: &mut String, pick: &Pick, variant: i32) {
        let filter = self.argument(pick, "where").unwrap_or(Value::Null);
        let lists = integers_given(&filter, "pricelistId");
        let (skip, limit) = match self.argument(pick, "limit") {
            Some(_) => self.inner_page(pick),
            None => (0, usize::MAX),
        };
        let found = self
            .state
            .catalogue
            .markets()
            .iter()
            .filter(|market| lists.as_ref().is_none_or(|lists| lists.contains(&i64::from(market.id))));
        rows(out, found.skip(skip).take(limit), |out, market| self.price(out, pick, market, variant));
    }

    /// Writes the prices of a list, by product and variant.
    pub fn prices_in(&self, out: &mut String, pick: &Pick, market: &Market) {
        let filter = self.argument(pick, "where").unwrap_or(Value::Null);
        let (products, variants) = (integers_given(&filter, "productId"), integers_given(&filter, "productVariantId"));
        let (skip, limit) = self.inner_page(pick);
        let holds = |wanted: &Option<Vec<i64>>, id: i32| wanted.as_ref().is_none_or(|ids| ids.contains(&i64::from(id)));
        let found = self.state.shelf.variant_ids().filter_map(|id| Some(self.state.of_variant(id)?.1));
        let found = found.filter(|item| holds(&products, item.product) && holds(&variants, item.variant));
        rows(out, found.skip(skip).take(limit), |out, item| self.price(out, pick, market, item.variant));
    }

    fn price(&self, out: &mut String, pick: &Pick, market: &Market, variant: i32) {
        let Some((_, item)) = self.state.of_variant(variant) else { return out.push_str("null") };
        object(out, "Price", pick.shape("Price"), |out, pick| match pick.name.as_str() {
            "id" => number(out, price_id(market.id, variant)),
            "price" => match self.state.price(variant, market.id) {
                Some(mills) => self.money(out, pick, market.currency, mills, moment(MADE)),
                None => out.push_str("null"),
            },
            "pricelist" => self.pricelist(out, pick, market),
            "product" => self.product(out, pick, item),
            "productVariant" => self.variant(out, pick, item),
            _ => out.push_str("null"),
        });
    }

    /// Writes the price with an id, for an event.
    pub fn price_by_id(&self, out: &mut String, pick: &Pick, id: i32) {
        let (list, variant) = list_and_variant(id);
        match self.state.catalogue.markets().iter().find(|market| market.id == list) {
            Some(market) => self.price(out, pick, market, variant),
            None => out.push_str("null"),
        }
    }

    // ------------------------------------------------------------ sizes

    fn size(&self, out: &mut String, pick: &Pick, at: u32) {
        let name = self.state.item(at).map_or("", |item| item.size_name.as_str());
        named(out, "Size", pick, self.state.shelf.size_id(name).unwrap_or(0), name);
    }

    /// Writes the size at an index.
    pub fn product_size(&self, out: &mut String, pick: &Pick, at: u32) {
        let Some(item) = self.state.item(at) else {
            out.push_str("null");
            return;
        };
        object(out, "ProductSize", pick.shape("ProductSize"), |out, pick| match pick.name.as_str() {
            "id" => number(out, at + 1),
            "description" => push_text(out, &item.full_name()),
            "SKU" => push_text(out, &item.sku),
            "EAN" => maybe_text(out, self.state.shelf.ean(at).as_deref()),
            "UPC" => maybe_text(out, self.state.shelf.upc(at)),
            "sizeNumber" => push_text(out, &item.size_number),
            // What this counts is not documented; free to allocate over all warehouses is our reading.
            "quantity" => number(out, self.free_of(at)),
            "preorder" => flag(out, false),
            "isActive" => flag(out, self.state.is_active(at)),
            "weight" => self.weight(out, pick, item),
            "updatedAt" => self.date(out, pick, moment(self.state.size_updated(at))),
            "size" => self.size(out, pick, at),
            "productVariant" => self.variant(out, pick, item),
            "stock" => self.size_stock(out, pick, at),
            "stockTotals" => self.stock_totals(out, pick, at),
            _ => out.push_str("null"),
        });
    }

    /// Writes the answer to `productSizes`.
    pub fn product_sizes(&self, out: &mut String, pick: &Pick) -> Result<(), Refused> {
        let (skip, limit) = self.page(pick)?;
        let filter = self.argument(pick, "where").unwrap_or(Value::Null);
        let mut found = self.sizes(&filter)?;
        self.order_of(pick)?.sort(&mut found, |at| self.state.size_updated(at));
        rows(out, found.into_iter().skip(skip).take(limit), |out, at| self.product_size(out, pick, at));
        Ok(())
    }

    /// The items that a `ProductSizeFilter` shows. What is not simulated is refused, never ignored.
    fn sizes(&self, filter: &Value) -> Result<Vec<u32>, Refused> {
        let empty = Map::new();
        let map = filter.as_object().unwrap_or(&empty);
        let (state, count) = (self.state, self.state.item_count());
        // Those of the filters that name few come first, so that the rest looks at few.
        let mut found: Option<Vec<u32>> = None;
        let mut updated: Window = (None, None);
        let mut active = None;
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
                "id" => narrow(self.items_of_ids(&integers_given(filter, "id").unwrap_or_default())),
                "SKU" => narrow(state.shelf.sku(equals()?).into_iter().collect()),
                "EAN" => narrow(state.shelf.by_ean(equals()?, count as usize)),
                "UPC" => narrow(state.shelf.by_upc(equals()?)),
                "isActive" => active = value.as_bool(),
                "preorder" if value == false => {}
                "preorder" => narrow(Vec::new()),
                "updatedAt" => updated = window(value, self.zone)?,
                "notNull" => {}
                other => return Err(format!("productSizes cannot be filtered by {other} here")),
            }
        }
        let mut found = found.unwrap_or_else(|| (0..count).collect());
        found.retain(|item| {
            active.is_none_or(|active| state.is_active(*item) == active)
                && inside(updated, state.size_updated(*item).div_euclid(1_000))
        });
        for field in list(filter, "notNull").unwrap_or_default() {
            match field.as_str().unwrap_or("") {
                "comment" => found.clear(),
                "UPC" => found.retain(|item| state.shelf.upc(*item).is_some()),
                "EAN" => found.retain(|item| state.shelf.ean(*item).is_some()),
                "weight" => found.retain(|item| state.item(*item).is_some_and(|item| state.weight(item).is_some())),
                "id" | "SKU" | "description" | "sizeNumber" | "updatedAt" | "size" | "productVariant" => {}
                other => return Err(format!("notNull of {other} is not simulated")),
            }
        }
        Ok(found)
    }
}

/// Which products or variants are wanted.
#[derive(Default)]
struct Wanted {
    ids: Option<Vec<i64>>,
    statuses: Option<Vec<Value>>,
    updated: Window,
}

impl Wanted {
    fn takes(&self, id: i32, status: &str, updated: i64) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.contains(&i64::from(id)))
            && self.statuses.as_ref().is_none_or(|statuses| statuses.iter().any(|wanted| wanted == status))
            && inside(self.updated, updated.div_euclid(1_000))
    }
}
