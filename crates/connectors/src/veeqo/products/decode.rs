//! One sellable with its product (`{"product": …, "variants": 1, "sellable": …, "contents": […]}`) → a product. Pure, and
//! it never fails: what cannot be read is a problem.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rust_decimal::Decimal;
use selvedge_connector::{Decoded, Raw};
use selvedge_model::{
    Money, Problem, Product, Sku,
    records::{Named, Price, ProductFields, RecipePart},
};
use serde_json::Value;

use super::{
    super::{
        decode::{decimal, text, time, whole},
        settings::Form,
    },
    is_kit,
};

/// A row of a kit that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    /// The row's own id.
    pub id: String,
    /// The sellable id of the part.
    pub variant: String,
    /// Its SKU.
    pub sku: String,
    /// Units of it in one kit; at least one.
    pub units: u32,
}

/// What `encode` has to know of a product that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct There {
    /// The ids of the product and of the sellable.
    pub product: String,
    pub sellable: String,
    /// Whether its product has no other variant, so that the product's title is its own.
    pub alone: bool,
    pub deleted: bool,
    pub sku: String,
    pub name: String,
    pub barcode: Option<String>,
    pub price: Option<Decimal>,
    /// What it is made of; none for what is no kit.
    pub contents: Option<Vec<Content>>,
}

/// The rows of a kit; none when one of them cannot be read, as half a kit is worse than none.
pub(in crate::veeqo) fn rows(contents: &[Value]) -> Option<Vec<(String, String, String, u32)>> {
    let live = contents.iter().filter(|row| row["deleted_at"].is_null());
    live.map(|row| {
        let sku = text(&row["sku_code"]).or_else(|| text(&row["product_variant"]["sku_code"]))?;
        let variant = text(&row["product_variant_id"]).or_else(|| text(&row["product_variant"]["id"]))?;
        let units = whole(&row["quantity"]).and_then(|units| u32::try_from(units).ok()).filter(|units| *units > 0)?;
        Some((text(&row["id"])?, variant, sku, units))
    })
    .collect()
}

fn is_deleted(document: &Value) -> bool {
    !document["product"]["deleted_at"].is_null() || !document["sellable"]["deleted_at"].is_null()
}

/// How a sellable stands there; none when it cannot be read.
pub(super) fn there(raw: &Raw) -> Option<There> {
    let document: Value = serde_json::from_slice(&raw.body).ok()?;
    let (product, sellable) = (&document["product"], &document["sellable"]);
    let alone = document["variants"].as_u64()? <= 1;
    let contents = if is_kit(sellable) {
        let content = |(id, variant, sku, units)| Content { id, variant, sku, units };
        Some(rows(document["contents"].as_array()?)?.into_iter().map(content).collect())
    } else {
        None
    };
    Some(There {
        product: text(&product["id"])?,
        sellable: text(&sellable["id"])?,
        alone,
        deleted: is_deleted(&document),
        sku: sellable["sku_code"].as_str()?.to_owned(),
        // The only variant of a product goes by the product's title: both together would be read twice.
        name: text(if alone { &product["title"] } else { &sellable["title"] }).unwrap_or_default(),
        barcode: text(&sellable["upc_code"]),
        price: decimal(&sellable["price"]),
        contents,
    })
}

pub(super) fn unreadable(raw: &Raw) -> Problem {
    Problem::new(
        "decode.unreadable",
        "",
        format!("item {} at Veeqo cannot be read", raw.id),
        "Look at it in Veeqo, and at what it is made of if it is a bundle; if the system has changed, update the connector.",
    )
}

/// The product that a sellable is.
pub(in crate::veeqo) fn product(raw: &Raw, form: &Form) -> Decoded<Product> {
    let record = there(raw).and_then(|there| read(raw, there, form));
    let problems = if record.is_none() { vec![unreadable(raw)] } else { Vec::new() };
    Decoded::of(record, problems)
}

fn read(raw: &Raw, there: There, form: &Form) -> Option<Product> {
    let document: Value = serde_json::from_slice(&raw.body).ok()?;
    let (product, sellable) = (&document["product"], &document["sellable"]);
    if there.sku.trim().is_empty() {
        return None;
    }
    let customs = |name: &str| text(&sellable[name]).or_else(|| text(&product[name]));
    let updated = [&product["updated_at"], &sellable["updated_at"]].into_iter().filter_map(time).max();
    let price = form.prices.as_ref().zip(there.price).and_then(|((list, currency), price)| {
        let list = Named { id: list.clone(), name: list.clone() };
        Some(Price { list, market: None, amount: Money::exact(price, *currency).ok()? })
    });
    // Rows of one part add up: nothing says that a part has only one.
    let mut parts: BTreeMap<String, u32> = BTreeMap::new();
    for row in there.contents.into_iter().flatten() {
        let units = parts.entry(row.sku).or_default();
        *units = units.saturating_add(row.units);
    }
    Some(Product {
        sku: Sku::new(there.sku),
        id: raw.id.clone(),
        updated_at: raw.version.or(updated).unwrap_or(Timestamp::UNIX_EPOCH),
        name: there.name,
        style: Named { id: there.product, name: text(&product["title"]).unwrap_or_default() },
        variant: None,
        size: None,
        active: !there.deleted,
        barcode: there.barcode,
        // Nought is how a weight that nobody gave is shown.
        weight_grams: whole(&sellable["weight_grams"]).and_then(|grams| u32::try_from(grams).ok()).filter(|grams| *grams > 0),
        hs_code: customs("hs_tariff_number"),
        origin: customs("origin_country"),
        brand: text(&product["brand"]["name"]),
        collections: Vec::new(),
        prices: price.into_iter().collect(),
        recipe: parts.into_iter().map(|(sku, units)| RecipePart { sku: Sku::new(sku), units }).collect(),
        owned: ProductFields::ALL,
    })
}
