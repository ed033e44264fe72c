//! A product → the call that makes it stand in Veeqo, or takes it a step nearer. Pure.
//!
//! What is made is a product with one variant, whose own title is blank: the vendor shows both titles one after the
//! other. A bundle is such a variant turned into a kit, and its rows are mended one call at a time; no row can be
//! removed, but one that is too many can become one that is missing.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use selvedge_connector::{Encoded, Request};
use selvedge_model::{
    ExternalId, Problem, Product,
    gate::{Lookup, Values},
    records::ProductField,
};
use serde_json::{Map, Value, json};

use super::{
    super::{encode::id, settings::Form},
    decode::{Content, There},
    item_id,
};

/// The parts of a bundle: they have to stand before it.
pub(super) fn lookups(product: &Product) -> Vec<Lookup> {
    if !product.owned.has(ProductField::Recipe) || is_off(product) {
        return Vec::new();
    }
    let part =
        |(index, sku): (usize, &str)| Lookup::new("item", &[("sku", sku)], format!("recipe[{index}].sku")).label(sku).same_name();
    product.recipe.iter().map(|part| part.sku.as_str()).enumerate().map(part).collect()
}

/// Whether it is not to be sold, and it is ours to say so.
fn is_off(product: &Product) -> bool {
    !product.active && product.owned.has(ProductField::Active)
}

fn trimmed(text: &Option<String>) -> Option<&str> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

/// The price on the configured list.
fn price(product: &Product, form: &Form) -> Option<Decimal> {
    let (list, currency) = form.prices.as_ref()?;
    let fits = |price: &&selvedge_model::records::Price| price.list.id == *list && price.amount.currency() == *currency;
    product.owned.has(ProductField::Price).then(|| product.prices.iter().find(fits))?.map(|price| price.amount.decimal())
}

fn problem(rule: &str, path: &str, product: &Product, message: String, remedy: &str) -> Vec<Problem> {
    vec![Problem::new(rule, path, message, remedy).value(product.sku.as_str()).cause(product.sku.as_str())]
}

/// What makes a product stand.
pub(super) fn product(product: &Product, values: &Values, there: Option<&There>, form: &Form) -> Result<Encoded, Vec<Problem>> {
    let Some(there) = there else {
        return Ok(if is_off(product) { Encoded::Nothing } else { Encoded::Put(creation(product, form)) });
    };
    let sku = product.sku.as_str();
    if is_off(product) {
        return if there.deleted {
            Ok(Encoded::Nothing)
        } else {
            Err(problem(
                "product.deactivate",
                "active",
                product,
                format!(
                    "{sku} is not sold any more, and Veeqo has no switch for that, only deletion, which takes its stock and its history along"
                ),
                "Delete it in Veeqo if nothing of it is left there, or leave it. Then dismiss this with a reason.",
            ))
        };
    }
    if there.deleted {
        return Err(problem(
            "product.deleted",
            "active",
            product,
            format!("{sku} stood in Veeqo as {} and was deleted there", item_id(&there.product, &there.sellable)),
            "Restore it in Veeqo, then release. Dismiss this if it is not to be sold from there.",
        ));
    }
    if there.sku.trim() != sku.trim() {
        return Err(problem(
            "product.renamed",
            "sku",
            product,
            format!("what stood in Veeqo as {sku} has the SKU {} now", there.sku),
            "Give it its SKU back in Veeqo, then release. Dismiss this if it is another item now.",
        ));
    }
    if product.owned.has(ProductField::Recipe)
        && let Some(step) = recipe(product, values, there)?
    {
        return Ok(Encoded::Put(step));
    }
    Ok(change(product, there, form).map_or(Encoded::Nothing, Encoded::Put))
}

fn creation(product: &Product, form: &Form) -> Request {
    let mut variant = json!({
        "title": "",
        "sku_code": product.sku,
        "price": price(product, form).unwrap_or_default().to_string(),
    });
    if let Some(barcode) = trimmed(&product.barcode).filter(|_| product.owned.has(ProductField::Barcode)) {
        variant["upc_code"] = json!(barcode);
    }
    if let Some(grams) = product.weight_grams.filter(|grams| *grams > 0 && product.owned.has(ProductField::Weight)) {
        variant["weight_grams"] = json!(grams);
    }
    let name = Some(product.name.trim()).filter(|name| !name.is_empty()).unwrap_or(product.sku.as_str());
    Request {
        what: format!("create product {}", product.sku),
        method: "POST".to_owned(),
        path: "/products".to_owned(),
        body: json!({ "product": { "title": name, "product_variants_attributes": [variant] } }),
        update: None,
        // It has to become a kit next.
        unfinished: product.is_bundle() && product.owned.has(ProductField::Recipe),
    }
}

fn step(what: String, method: &str, path: String, body: Value, there: &There) -> Request {
    let update: Option<ExternalId> = Some(item_id(&there.product, &there.sellable));
    Request { what, method: method.to_owned(), path, body, update, unfinished: true }
}

/// The next call that brings a kit nearer to its recipe; none when it is right.
fn recipe(product: &Product, values: &Values, there: &There) -> Result<Option<Request>, Vec<Problem>> {
    let sku = product.sku.as_str();
    let (mut wanted, mut missing) = (BTreeMap::<String, u32>::new(), Vec::new());
    for part in &product.recipe {
        match values.one("item", "sku", part.sku.as_str()) {
            Some(variant) => {
                let units = wanted.entry(variant.to_owned()).or_default();
                *units = units.saturating_add(part.units);
            }
            None => missing.push(Lookup::new("item", &[("sku", part.sku.as_str())], "recipe").same_name().missing()),
        }
    }
    if !missing.is_empty() {
        return Err(missing);
    }
    let body = |variant: &str, units: u32| json!({ "product_variant_id": id(variant), "quantity": units });
    let Some(contents) = &there.contents else {
        if wanted.is_empty() {
            return Ok(None);
        }
        let rows: Vec<Value> = wanted.iter().map(|(variant, units)| body(variant, *units)).collect();
        let kit = json!({ "product_variant_id": id(&there.sellable), "contents": rows });
        return Ok(Some(step(format!("make {sku} a kit"), "POST", "/kits".to_owned(), kit, there)));
    };
    // The first row of each part that is wanted keeps it; every other row is free for what is missing.
    let mut spare: Vec<&Content> = Vec::new();
    let mut wrong: Option<(&Content, u32)> = None;
    for row in contents {
        match wanted.remove(&row.variant) {
            Some(units) if units != row.units => wrong = wrong.or(Some((row, units))),
            Some(_) => {}
            None => spare.push(row),
        }
    }
    let change = |row: &Content, variant: &str, units: u32| {
        let path = format!("/kits/{}/kit_contents/{}", there.sellable, row.id);
        step(format!("change what {sku} is made of"), "PUT", path, json!({ "kit_content": body(variant, units) }), there)
    };
    if let Some((row, units)) = wrong {
        return Ok(Some(change(row, &row.variant, units)));
    }
    match (wanted.first_key_value(), spare.first()) {
        (Some((variant, units)), Some(row)) => Ok(Some(change(row, variant, *units))),
        (Some((variant, units)), None) => {
            let path = format!("/kits/{}/kit_contents", there.sellable);
            let row = json!({ "kit_content": body(variant, *units) });
            Ok(Some(step(format!("add to what {sku} is made of"), "POST", path, row, there)))
        }
        (None, None) => Ok(None),
        (None, Some(_)) => {
            let told: Vec<String> = spare.iter().map(|row| format!("{} × {}", row.units, row.sku)).collect();
            Err(problem(
                "product.recipe",
                "recipe",
                product,
                format!(
                    "bundle {sku} has {} in Veeqo that does not belong there, and Veeqo lets no program remove it",
                    told.join(", ")
                ),
                "Remove it from the bundle in Veeqo (one that is no bundle any more: all of it), then release.",
            ))
        }
    }
}

/// The fields that are ours and differ.
fn change(product: &Product, there: &There, form: &Form) -> Option<Request> {
    let (mut own, mut variant) = (Map::new(), Map::new());
    let name = product.name.trim();
    if product.owned.has(ProductField::Name) && !name.is_empty() && name != there.name {
        let holder = if there.alone { &mut own } else { &mut variant };
        holder.insert("title".to_owned(), json!(name));
    }
    let barcode = trimmed(&product.barcode);
    if product.owned.has(ProductField::Barcode) && barcode != there.barcode.as_deref() {
        variant.insert("upc_code".to_owned(), json!(barcode.unwrap_or_default()));
    }
    if let Some(price) = price(product, form).filter(|price| there.price != Some(*price)) {
        variant.insert("price".to_owned(), json!(price.to_string()));
    }
    if !variant.is_empty() {
        variant.insert("id".to_owned(), id(&there.sellable));
        own.insert("product_variants_attributes".to_owned(), json!([variant]));
    }
    if own.is_empty() {
        return None;
    }
    let path = format!("/products/{}", there.product);
    let request = step(format!("change product {}", product.sku), "PUT", path, json!({ "product": own }), there);
    // It is read back and compared next: a field that is not taken is held, and not sent for ever.
    Some(Request { unfinished: false, ..request })
}
