//! What somebody changed in the catalogue of the shop since it was made, and doing it: names, barcodes, prices, new sizes.
//!
//! Each level has a date of change of its own, and a change moves that of its own level only: in the answers that Centra's
//! guide prints, variants are dated later than the product that they are of. A price has none at all. An integration that
//! looks at one of the dates alone misses what the others say.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::data::Item;

use super::Centra;
use super::state::{Entry, Event, State, Subject};

/// When the catalogue was made, in milliseconds since 1970.
pub const MADE: i64 = 1_750_000_000_000;

/// Something that somebody changes about an item in AMS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemEdit {
    /// The product's name.
    Name(String),
    /// The product's status: `ACTIVE`, `INACTIVE`.
    Status(String),
    /// The product's weight: its value as decimal text and its unit, `KILOGRAMS` or `POUNDS`.
    Weight(Option<(String, String)>),
    /// The product's customs code, in whatever form.
    HsCode(Option<String>),
    /// The product's country of origin, by its code.
    Origin(Option<String>),
    /// The variant's name.
    VariantName(String),
    /// The variant's status.
    VariantStatus(String),
    /// The size's EAN.
    Ean(Option<String>),
    /// The size's UPC.
    Upc(Option<String>),
    /// Whether the size may be sold.
    Active(bool),
    /// The variant's own price in the list of a market (Centra's id), in mills; `None` takes it away.
    Price(i32, Option<i64>),
    /// Another size of the item's variant.
    NewSize {
        /// The end of its SKU; may be empty.
        number: String,
        /// What it is called.
        name: String,
        /// Its EAN.
        ean: Option<String>,
    },
}

/// What was written of a product.
#[derive(Clone, Debug, Default)]
struct Product {
    name: Option<String>,
    status: Option<String>,
    weight: Option<Option<(String, String)>>,
    hs_code: Option<Option<String>>,
    origin: Option<Option<String>>,
    updated: Option<i64>,
}

/// What was written of a variant.
#[derive(Clone, Debug, Default)]
struct Variant {
    name: Option<String>,
    status: Option<String>,
    updated: Option<i64>,
}

/// What was written of a size.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    inactive: bool,
    updated: Option<i64>,
}

/// What the catalogue of the shop has beyond what the world's says.
#[derive(Debug, Default)]
pub struct Wares {
    products: HashMap<i32, Product>,
    variants: HashMap<i32, Variant>,
    sizes: HashMap<u32, Size>,
    /// By variant and price list.
    prices: HashMap<(i32, i32), Option<i64>>,
    /// Sizes made later; their indexes follow those of the world's catalogue.
    extra: Vec<Item>,
}

/// The id of a variant's row in a price list.
pub fn price_id(list: i32, variant: i32) -> i32 {
    list.saturating_mul(1_000_000).saturating_add(variant)
}

/// List and variant of a row.
pub fn list_and_variant(price: i32) -> (i32, i32) {
    (price / 1_000_000, price % 1_000_000)
}

impl State {
    /// How many items there are: indexes are below it.
    pub fn item_count(&self) -> u32 {
        u32::try_from(self.catalogue.items().len() + self.wares.extra.len()).unwrap_or(u32::MAX)
    }

    /// The item at an index.
    pub fn item(&self, at: u32) -> Option<&Item> {
        let (at, own) = (at as usize, self.catalogue.items());
        own.get(at).or_else(|| self.wares.extra.get(at.checked_sub(own.len())?))
    }

    /// All items with their indexes.
    pub fn items(&self) -> impl Iterator<Item = (u32, &Item)> {
        (0_u32..).zip(self.catalogue.items().iter().chain(&self.wares.extra))
    }

    /// One of the items of a variant.
    pub fn of_variant(&self, variant: i32) -> Option<(u32, &Item)> {
        let at = self.shelf.of_variant(variant).next()?;
        Some((at, self.item(at)?))
    }

    /// The name of an item's product.
    pub fn product_name<'a>(&'a self, item: &'a Item) -> &'a str {
        self.wares.products.get(&item.product).and_then(|product| product.name.as_deref()).unwrap_or(&item.product_name)
    }

    /// The status of an item's product.
    pub fn product_status(&self, item: &Item) -> &str {
        self.wares.products.get(&item.product).and_then(|product| product.status.as_deref()).unwrap_or("ACTIVE")
    }

    /// The weight of an item's product: the value as decimal text and the unit.
    pub fn weight(&self, item: &Item) -> Option<(String, String)> {
        if let Some(written) = self.wares.products.get(&item.product).and_then(|product| product.weight.clone()) {
            return written;
        }
        let first = self.shelf.of_product(item.product).next()?;
        let grams = i64::from(self.catalogue.weight_grams(first));
        Some((crate::data::mills_text(grams), "KILOGRAMS".to_owned()))
    }

    /// The customs code of an item's product.
    pub fn hs_code<'a>(&'a self, item: &'a Item) -> Option<&'a str> {
        match self.wares.products.get(&item.product).and_then(|product| product.hs_code.as_ref()) {
            Some(written) => written.as_deref(),
            None => Some(item.hs_code()),
        }
    }

    /// The country of origin of an item's product, by its code.
    pub fn origin<'a>(&'a self, item: &'a Item) -> Option<&'a str> {
        match self.wares.products.get(&item.product).and_then(|product| product.origin.as_ref()) {
            Some(written) => written.as_deref(),
            None => Some(item.origin()),
        }
    }

    /// The name of an item's variant.
    pub fn variant_name<'a>(&'a self, item: &'a Item) -> &'a str {
        self.wares.variants.get(&item.variant).and_then(|variant| variant.name.as_deref()).unwrap_or(&item.variant_name)
    }

    /// The status of an item's variant.
    pub fn variant_status(&self, item: &Item) -> &str {
        self.wares.variants.get(&item.variant).and_then(|variant| variant.status.as_deref()).unwrap_or("ACTIVE")
    }

    /// Whether a size may be sold, as far as it goes by the size.
    pub fn is_active(&self, item: u32) -> bool {
        self.wares.sizes.get(&item).is_none_or(|size| !size.inactive)
    }

    /// What a variant costs in a price list, in mills.
    pub fn price(&self, variant: i32, list: i32) -> Option<i64> {
        if let Some(written) = self.wares.prices.get(&(variant, list)) {
            return *written;
        }
        let market = self.catalogue.markets().iter().position(|market| market.id == list)?;
        self.catalogue.price(self.of_variant(variant)?.0, market)
    }

    /// When a product, a variant and a size changed last, in milliseconds since 1970.
    pub fn product_updated(&self, product: i32) -> i64 {
        self.wares.products.get(&product).and_then(|known| known.updated).unwrap_or(MADE)
    }

    /// See [`State::product_updated`].
    pub fn variant_updated(&self, variant: i32) -> i64 {
        self.wares.variants.get(&variant).and_then(|known| known.updated).unwrap_or(MADE)
    }

    /// See [`State::product_updated`].
    pub fn size_updated(&self, item: u32) -> i64 {
        self.wares.sizes.get(&item).and_then(|known| known.updated).unwrap_or(MADE)
    }

    /// Applies an edit of the item at an index.
    pub(super) fn edit_wares(&mut self, item: u32, edit: ItemEdit, at: i64) {
        let Some(known) = self.item(item) else { return };
        let (product, variant) = (known.product, known.variant);
        let mut wares = std::mem::take(&mut self.wares);
        let of_product = |wares: &mut Wares, write: &mut dyn FnMut(&mut Product)| {
            let product = wares.products.entry(product).or_default();
            write(product);
            product.updated = Some(at);
        };
        let subject = match edit {
            ItemEdit::Name(name) => {
                of_product(&mut wares, &mut |product| product.name = Some(name.clone()));
                Subject::Product(product)
            }
            ItemEdit::Status(status) => {
                of_product(&mut wares, &mut |product| product.status = Some(status.clone()));
                Subject::Product(product)
            }
            ItemEdit::Weight(weight) => {
                of_product(&mut wares, &mut |product| product.weight = Some(weight.clone()));
                Subject::Product(product)
            }
            ItemEdit::HsCode(code) => {
                of_product(&mut wares, &mut |product| product.hs_code = Some(code.clone()));
                Subject::Product(product)
            }
            ItemEdit::Origin(origin) => {
                of_product(&mut wares, &mut |product| product.origin = Some(origin.clone()));
                Subject::Product(product)
            }
            ItemEdit::VariantName(name) => {
                let known = wares.variants.entry(variant).or_default();
                (known.name, known.updated) = (Some(name), Some(at));
                Subject::Variant(variant)
            }
            ItemEdit::VariantStatus(status) => {
                let known = wares.variants.entry(variant).or_default();
                (known.status, known.updated) = (Some(status), Some(at));
                Subject::Variant(variant)
            }
            ItemEdit::Ean(ean) => {
                self.shelf.set_ean(item, ean);
                wares.sizes.entry(item).or_default().updated = Some(at);
                Subject::Size(item)
            }
            ItemEdit::Upc(upc) => {
                self.shelf.set_upc(item, upc);
                wares.sizes.entry(item).or_default().updated = Some(at);
                Subject::Size(item)
            }
            ItemEdit::Active(active) => {
                wares.sizes.insert(item, Size { inactive: !active, updated: Some(at) });
                Subject::Size(item)
            }
            ItemEdit::Price(list, mills) => {
                wares.prices.insert((variant, list), mills);
                Subject::Price(price_id(list, variant))
            }
            ItemEdit::NewSize { number, name, ean } => {
                self.wares = wares;
                return self.new_size(item, number, name, ean, at);
            }
        };
        self.wares = wares;
        self.tell(Event { subject, change: "UPDATED", at });
    }

    fn new_size(&mut self, like: u32, number: String, name: String, ean: Option<String>, at: i64) {
        let Some(mut made) = self.item(like).cloned() else { return };
        made.sku = format!("{}{}{number}", made.product_number, made.variant_number);
        (made.size_number, made.size_name) = (number, name);
        let item = self.item_count();
        self.shelf.add(item, &made, ean);
        self.ledger.grow();
        self.wares.extra.push(made);
        self.wares.sizes.insert(item, Size { inactive: false, updated: Some(at) });
        self.tell(Event { subject: Subject::Size(item), change: "CREATED", at });
    }
}

impl Centra {
    /// Somebody changes the item with this SKU in AMS, behind every integration's back. `false` when there is none, or no
    /// such price list. Errors when the journal cannot be written.
    pub fn edit_item(&self, sku: &str, edit: ItemEdit) -> anyhow::Result<bool> {
        let mut state = self.0.write();
        let Some(item) = state.shelf.sku(sku) else { return Ok(false) };
        let lists = state.catalogue.markets();
        if matches!(edit, ItemEdit::Price(list, _) if lists.iter().all(|market| market.id != list)) {
            return Ok(false);
        }
        let at = self.0.mischief.now().as_millisecond();
        state.record(Entry::Ware { item, edit, at })?;
        Ok(true)
    }
}
