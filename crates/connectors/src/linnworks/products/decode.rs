//! What Linnworks says of an item → a product. Pure, and it never fails: what cannot be read is a problem.
//!
//! A document is three answers in one: the item with its extended properties, what it is made of, and whether it is
//! archived, which the list of items does not tell.

use jiff::Timestamp;
use rust_decimal::{Decimal, prelude::ToPrimitive};
use selvedge_connector::{Decoded, Raw, Request};
use selvedge_model::{
    ExternalId, Problem, Product, Sku,
    gate::Values,
    records::{Named, ProductFields, RecipePart},
};
use serde_json::Value;

use super::super::{decode, inventory, settings::Form};

/// An item as it stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub id: String,
    pub sku: String,
    pub title: String,
    pub barcode: Option<String>,
    /// In the account's unit; nought is none.
    pub weight: Decimal,
    pub archived: bool,
    pub properties: Vec<Property>,
    pub parts: Vec<Part>,
    pub created_at: Option<Timestamp>,
}

/// An extended property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Property {
    pub row: String,
    pub name: String,
    pub value: String,
}

/// A part of a composite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub id: String,
    pub sku: String,
    pub units: u32,
}

impl Item {
    /// Its weight in whole grams.
    pub fn grams(&self, form: &Form) -> Option<u32> {
        let grams = if form.kilograms { self.weight.checked_mul(Decimal::ONE_THOUSAND)? } else { self.weight };
        grams.round().to_u32().filter(|grams| *grams > 0)
    }

    /// The rows of an extended property; more than one where somebody wrote it twice.
    pub fn property(&self, name: &str) -> Vec<&Property> {
        self.properties.iter().filter(|property| property.name == name).collect()
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// A figure as it is written, also with an exponent.
fn figure(value: &Value) -> Option<Decimal> {
    let text = match value {
        Value::Null => return Some(Decimal::ZERO),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => return None,
    };
    text.parse().ok().or_else(|| Decimal::from_scientific(&text).ok())
}

fn part(row: &Value) -> Option<Part> {
    let units = row["Quantity"].as_u64().and_then(|units| u32::try_from(units).ok()).filter(|units| *units > 0)?;
    Some(Part { id: inventory::id_of(&row["LinkedStockItemId"])?, sku: text(&row["SKU"])?, units })
}

/// The item of a document, unless anything in it cannot be read.
pub(super) fn item(document: &Value) -> Option<Item> {
    let item = &document["item"];
    // The vendor's own spelling.
    let property = |row: &Value| {
        let value = text(&row["PropertyValue"]).unwrap_or_default();
        Some(Property { row: inventory::id_of(&row["pkRowId"])?, name: text(&row["ProperyName"])?, value })
    };
    Some(Item {
        id: inventory::id_of(&item["StockItemId"])?,
        sku: text(&item["ItemNumber"])?,
        title: text(&item["ItemTitle"]).unwrap_or_default(),
        barcode: text(&item["BarcodeNumber"]),
        weight: figure(&item["Weight"])?,
        archived: document["archived"].as_bool()?,
        properties: item["ItemExtendedProperties"].as_array().into_iter().flatten().filter_map(property).collect(),
        parts: document["parts"].as_array()?.iter().map(part).collect::<Option<_>>()?,
        created_at: decode::time(&item["CreationDate"]),
    })
}

/// A property that stands twice says nothing.
pub(super) fn twice(item: &Item, name: &str) -> Problem {
    Problem::new(
        "product.property_twice",
        name,
        format!("item {} has the extended property {name:?} more than once", item.sku),
        "Delete all but one in Linnworks (Product Details > Extended Properties), then release.",
    )
    .cause(&item.sku)
}

/// An item → a product.
pub(super) fn product(raw: &Raw, words: &Values, form: &Form) -> Decoded<Product> {
    let document: Value = serde_json::from_slice(&raw.body).unwrap_or_default();
    let nothing = |problem: Problem| Decoded::of(None, vec![problem]);
    let Some(item) = item(&document) else {
        return nothing(Problem::new(
            "decode.unreadable",
            "",
            format!("item {} of Linnworks cannot be read", raw.id),
            "Look at the item in Linnworks; if the system has changed, update the connector.",
        ));
    };
    let mut values = Vec::new();
    for name in [&form.hs_code_property, &form.origin_property] {
        match item.property(name).as_slice() {
            [] => values.push(None),
            [only] => values.push(Some(only.value.clone()).filter(|value| !value.is_empty())),
            _ => return nothing(twice(&item, name)),
        }
    }
    let ours = |sku: &str| Sku::new(words.name_of("item", sku).unwrap_or_else(|| sku.to_owned()));
    let origin = values.pop().flatten();
    let hs_code = values.pop().flatten();
    let record = Product {
        sku: ours(&item.sku),
        id: ExternalId::new(&item.id),
        // It tells no last change; the same text is the same revision.
        updated_at: raw.version.or(item.created_at).unwrap_or(Timestamp::UNIX_EPOCH),
        name: item.title.clone(),
        style: Named { id: item.sku.clone(), name: item.title.clone() },
        variant: None,
        size: None,
        active: !item.archived,
        barcode: item.barcode.clone(),
        weight_grams: item.grams(form),
        hs_code,
        origin: origin.map(|country| country.to_ascii_uppercase()),
        brand: None,
        collections: Vec::new(),
        prices: Vec::new(),
        recipe: item.parts.iter().map(|part| RecipePart { sku: ours(&part.sku), units: part.units }).collect(),
        owned: ProductFields::ALL,
    };
    Decoded::of(Some(record), Vec::new())
}

/// Whether an item shows what a change was to bring about. Linnworks answers some changes that it did not make.
pub(super) fn shows(item: &Item, request: &Request) -> bool {
    let body = &request.body;
    let rows = |name: &str| body[name].as_array().map(Vec::as_slice).unwrap_or_default();
    let ids = |name: &str| rows(name).iter().filter_map(inventory::id_of).collect::<Vec<_>>();
    match request.path.rsplit('/').next().unwrap_or_default() {
        "UpdateInventoryItemField" => {
            let wanted = body["fieldValue"].as_str().map(str::trim).unwrap_or_default();
            match body["fieldName"].as_str() {
                Some("Title") => item.title == wanted,
                Some("Barcode") => item.barcode.as_deref().unwrap_or_default() == wanted,
                Some("Weight") => wanted.parse() == Ok(item.weight),
                _ => true,
            }
        }
        "ArchiveInventoryItems" => item.archived,
        "UnarchiveInventoryItems" => !item.archived,
        "CreateInventoryItemExtendedProperties" | "UpdateInventoryItemExtendedProperties" => {
            let there = |row: &Value| {
                let (name, value) = (row["ProperyName"].as_str(), row["PropertyValue"].as_str());
                item.properties.iter().any(|kept| Some(kept.name.as_str()) == name && Some(kept.value.as_str()) == value)
            };
            rows("inventoryItemExtendedProperties").iter().all(there)
        }
        "DeleteInventoryItemExtendedProperties" => {
            let gone = ids("inventoryItemExtendedPropertyIds");
            item.properties.iter().all(|kept| !gone.contains(&kept.row))
        }
        "CreateInventoryItemCompositions" | "UpdateInventoryItemCompositions" => {
            let there = |row: &Value| {
                let (sku, units) = (row["SKU"].as_str(), row["Quantity"].as_u64());
                item.parts.iter().any(|part| Some(part.sku.as_str()) == sku && Some(u64::from(part.units)) == units)
            };
            rows("inventoryItemCompositions").iter().all(there)
        }
        "DeleteInventoryItemCompositions" => {
            let gone = ids("inventoryItemCompositionIds");
            item.parts.iter().all(|part| !gone.contains(&part.id))
        }
        _ => true,
    }
}
