//! A product → the next call that brings its item to where it should be. Pure.
//!
//! An item is entered with all that one call takes; what it lacks then goes field by field. Linnworks also has a call that
//! replaces an item whole, and with it everything that is not told or was changed meanwhile: it is not used.

use std::{collections::BTreeMap, str::FromStr};

use rust_decimal::Decimal;
use selvedge_connector::{Encoded, Request};
use selvedge_model::{
    ExternalId, Problem, Product,
    gate::{Lookup, Values},
    records::ProductField,
};
use serde_json::{Number, Value, json};

use super::{
    super::settings::Form,
    decode::{self, Item, Part},
};

/// An item's own SKU there, where somebody mapped it, and those of its components, which must stand first.
pub(super) fn lookups(product: &Product) -> Vec<Lookup> {
    let item = |sku: &str, path: String| Lookup::new("item", &[("sku", sku)], path).label(sku).same_name();
    let own = item(product.sku.as_str(), "sku".to_owned()).optional();
    let parts = product.recipe.iter().enumerate().filter(|_| product.owned.has(ProductField::Recipe));
    let part = |(index, part): (usize, &selvedge_model::records::RecipePart)| {
        let lookup = item(part.sku.as_str(), format!("recipe[{index}].sku"));
        // What is only archived needs none.
        if product.active { lookup } else { lookup.optional() }
    };
    [own].into_iter().chain(parts.map(part)).collect()
}

fn sku_there<'a>(values: &'a Values, sku: &'a str) -> &'a str {
    values.one("item", "sku", sku).unwrap_or(sku)
}

/// The id that an item is entered under: always the same for a SKU, so that nothing is entered twice under two ids.
pub(super) fn item_id(sku: &str) -> String {
    let mut bytes = [0_u8; 16];
    let mut hasher = blake3::Hasher::new_derive_key("selvedge: the id of a stock item, by its SKU");
    hasher.update(sku.as_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    // Version 8, made as its maker likes (RFC 9562).
    let mut number = u128::from_be_bytes(bytes);
    number = number & !(0xF << 76) | 0x8 << 76;
    number = number & !(0x3 << 62) | 0x2 << 62;
    let hex = format!("{number:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

fn weight(product: &Product, form: &Form) -> Decimal {
    let grams = Decimal::from(product.weight_grams.unwrap_or(0));
    if form.kilograms { (grams / Decimal::ONE_THOUSAND).normalize() } else { grams }
}

fn trimmed(text: &Option<String>) -> Option<&str> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

fn request(what: String, method: &str, body: Value, item: Option<&Item>) -> Request {
    Request {
        what,
        method: "POST".to_owned(),
        path: format!("Inventory/{method}"),
        body,
        update: item.map(|item| ExternalId::new(&item.id)),
        unfinished: false,
    }
}

/// What makes a product stand, or takes it a step nearer.
pub(super) fn product(product: &Product, values: &Values, own: Option<&Item>, form: &Form) -> Result<Encoded, Vec<Problem>> {
    let title = product.name.trim();
    if title.is_empty() && (own.is_none() || product.owned.has(ProductField::Name)) {
        return Err(vec![Problem::new(
            "product.title",
            "name",
            format!("item {} has no name, and Linnworks takes none without", product.sku),
            "Name it in the shop; the next revision takes the place of this one.",
        )]);
    }
    let Some(item) = own else {
        // What is not sold any more, and never stood there under our hands, is not made to be put away.
        return Ok(if product.active { Encoded::Put(enter(product, values, form)) } else { Encoded::Nothing });
    };
    let steps = steps(product, values, item, form)?;
    let unfinished = steps.len() > 1;
    Ok(match steps.into_iter().next() {
        Some(step) => Encoded::Put(Request { unfinished, ..step }),
        None => Encoded::Nothing,
    })
}

/// A new item. It is looked at again before it counts as done: it may have stood there already.
fn enter(product: &Product, values: &Values, form: &Form) -> Request {
    let (sku, owns) = (sku_there(values, product.sku.as_str()), |field| product.owned.has(field));
    let weight = Number::from_str(&weight(product, form).to_string()).map_or(Value::Null, Value::Number);
    let mut item = json!({
        "StockItemId": item_id(product.sku.as_str()),
        "ItemNumber": sku,
        // None is taken without a title, whoever is its master later.
        "ItemTitle": product.name.trim(),
        "IsCompositeParent": product.is_bundle() && owns(ProductField::Recipe),
        // The country's rate, instead of none at all.
        "TaxRate": -1,
    });
    if let Some(barcode) = trimmed(&product.barcode).filter(|_| owns(ProductField::Barcode)) {
        item["BarcodeNumber"] = json!(barcode);
    }
    if owns(ProductField::Weight) {
        item["Weight"] = weight;
    }
    let what = format!("enter item {sku}");
    Request { unfinished: true, ..request(what, "AddInventoryItem", json!({ "inventoryItem": item }), None) }
}

/// What an item lacks, a call each, in the order in which they are taken.
fn steps(product: &Product, values: &Values, item: &Item, form: &Form) -> Result<Vec<Request>, Vec<Problem>> {
    let owns = |field| product.owned.has(field);
    let mut steps = Vec::new();
    let archive = |method: &str, verb: &str| {
        let body = json!({ "parameters": { "InventoryItemIds": [item.id], "SelectedRegions": [] } });
        request(format!("{verb} item {}", item.sku), method, body, Some(item))
    };
    if owns(ProductField::Active) && product.active && item.archived {
        steps.push(archive("UnarchiveInventoryItems", "take back"));
    }
    let field = |name: &str, value: &str| {
        let body = json!({ "inventoryItemId": item.id, "fieldName": name, "fieldValue": value });
        request(format!("set {name} of item {}", item.sku), "UpdateInventoryItemField", body, Some(item))
    };
    if owns(ProductField::Name) && item.title != product.name.trim() {
        steps.push(field("Title", product.name.trim()));
    }
    if owns(ProductField::Barcode) && item.barcode.as_deref() != trimmed(&product.barcode) {
        steps.push(field("Barcode", trimmed(&product.barcode).unwrap_or_default()));
    }
    if owns(ProductField::Weight) && item.grams(form) != product.weight_grams.filter(|grams| *grams > 0) {
        steps.push(field("Weight", &weight(product, form).to_string()));
    }
    steps.extend(customs(product, item, form)?);
    if owns(ProductField::Recipe) {
        steps.extend(composition(product, values, item));
    }
    if owns(ProductField::Active) && !product.active && !item.archived {
        steps.push(archive("ArchiveInventoryItems", "archive"));
    }
    Ok(steps)
}

/// The extended properties of customs: what is missing, other and too much, a call each. Shipping integrations read the
/// type `Attribute` only.
fn customs(product: &Product, item: &Item, form: &Form) -> Result<Vec<Request>, Vec<Problem>> {
    let fields = [
        (ProductField::HsCode, &form.hs_code_property, &product.hs_code),
        (ProductField::Origin, &form.origin_property, &product.origin),
    ];
    let (mut missing, mut other, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    for (_, name, value) in fields.into_iter().filter(|(field, ..)| product.owned.has(*field)) {
        let rows = item.property(name);
        let told = |value: &str| json!({ "fkStockItemId": item.id, "ProperyName": name, "PropertyValue": value, "PropertyType": "Attribute" });
        match (rows.as_slice(), trimmed(value)) {
            ([], None) => {}
            ([], Some(value)) => missing.push(told(value)),
            ([row], Some(value)) if row.value != value => {
                let mut changed = told(value);
                changed["pkRowId"] = json!(row.row);
                other.push(changed);
            }
            ([row], None) if !row.value.is_empty() => gone.push(json!(row.row)),
            ([_], _) => {}
            _ => return Err(vec![decode::twice(item, name)]),
        }
    }
    let write = |verb: &str, method: &str, rows: Vec<Value>| {
        let body = json!({ "inventoryItemExtendedProperties": rows });
        request(format!("{verb} customs properties of item {}", item.sku), method, body, Some(item))
    };
    let mut steps = Vec::new();
    if !missing.is_empty() {
        steps.push(write("enter", "CreateInventoryItemExtendedProperties", missing));
    }
    if !other.is_empty() {
        steps.push(write("change", "UpdateInventoryItemExtendedProperties", other));
    }
    if !gone.is_empty() {
        let body = json!({ "inventoryItemId": item.id, "inventoryItemExtendedPropertyIds": gone });
        let what = format!("delete customs properties of item {}", item.sku);
        steps.push(request(what, "DeleteInventoryItemExtendedProperties", body, Some(item)));
    }
    Ok(steps)
}

/// The parts of a composite: what is too much, in another number and missing, a call each. The ids of what is missing are
/// looked up when it is sent.
fn composition(product: &Product, values: &Values, item: &Item) -> Vec<Request> {
    let mut wanted: BTreeMap<&str, u32> = BTreeMap::new();
    for part in &product.recipe {
        let units = wanted.entry(sku_there(values, part.sku.as_str())).or_default();
        *units = units.saturating_add(part.units);
    }
    let too_much: Vec<&str> =
        item.parts.iter().filter(|part| !wanted.contains_key(part.sku.as_str())).map(|part| part.id.as_str()).collect();
    let row = |sku: &str, units: u32| json!({ "StockItemId": item.id, "SKU": sku, "Quantity": units });
    let (mut other, mut missing) = (Vec::new(), Vec::new());
    for (sku, units) in wanted {
        let known: Option<&Part> = item.parts.iter().find(|part| part.sku == sku);
        match known {
            None => missing.push(row(sku, units)),
            Some(part) if part.units != units => {
                let mut changed = row(sku, units);
                changed["LinkedStockItemId"] = json!(part.id);
                other.push(changed);
            }
            Some(_) => {}
        }
    }
    let mut steps = Vec::new();
    if !too_much.is_empty() {
        let body = json!({ "stockItemId": item.id, "inventoryItemCompositionIds": too_much });
        let what = format!("take parts out of composite {}", item.sku);
        steps.push(request(what, "DeleteInventoryItemCompositions", body, Some(item)));
    }
    for (verb, method, rows) in [
        ("change parts of", "UpdateInventoryItemCompositions", other),
        ("put parts into", "CreateInventoryItemCompositions", missing),
    ] {
        if !rows.is_empty() {
            let body = json!({ "inventoryItemCompositions": rows });
            steps.push(request(format!("{verb} composite {}", item.sku), method, body, Some(item)));
        }
    }
    steps
}
