//! Products, sellables, kits and stock entries: what each path answers, and what a request may hold.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use super::requests::{from, page, strangers};
use super::state::{Content, Product, Sellable, State};
use super::{Inner, documents, refuse, respond};

/// Members of `product`, and of the variants in it: what the vendor lists for a creation. On an update a variant goes by its id.
const PRODUCT: &[&str] = &[
    "title",
    "description",
    "estimated_delivery",
    "notes",
    "product_brand_id",
    "product_variants_attributes",
    "images_attributes",
];
const VARIANT: &[&str] = &[
    "id",
    "title",
    "price",
    "sku_code",
    "upc_code",
    "cost_price",
    "tax_rate",
    "min_reorder_level",
    "quantity_to_reorder",
    "weight_grams",
];
/// The shortest text that the search of products takes.
const QUERY_LEAST: usize = 3;

type Answer = anyhow::Result<Option<Response>>;

/// Answers one request; none when the path is of something else. Errors when the journal cannot be written.
pub fn answer(inner: &Inner, method: &Method, parts: &[&str], query: &[(String, String)], body: &Value) -> Answer {
    let id = |text: &str| text.parse::<u64>().ok();
    let found = match (method.as_str(), parts) {
        ("GET", ["products"]) => list(inner, query),
        ("POST", ["products"]) => create(inner, body)?,
        ("GET", ["products", product]) => {
            let state = inner.state();
            id(product)
                .filter(|id| state.products.contains_key(id))
                .map_or_else(not_found, |id| respond(StatusCode::OK, &documents::product(inner, &state, id)))
        }
        ("PUT", ["products", product]) => match id(product) {
            Some(id) => update(inner, id, body)?,
            None => not_found(),
        },
        ("GET", ["sellables", sellable]) => {
            let state = inner.state();
            id(sellable)
                .filter(|id| state.sellables.contains_key(id))
                .map_or_else(not_found, |id| respond(StatusCode::OK, &documents::sellable(inner, &state, id)))
        }
        ("POST", ["kits"]) => convert(inner, body)?,
        (verb @ ("GET" | "POST"), ["kits", kit, "kit_contents"]) => contents(inner, verb, id(kit), query, body)?,
        ("PUT", ["kits", kit, "kit_contents", row]) => change_content(inner, id(kit), id(row), body)?,
        (verb @ ("GET" | "PUT"), ["sellables", sellable, "warehouses", at, "stock_entry"]) => {
            let at = at.parse::<usize>().ok().and_then(|at| at.checked_sub(1));
            stock_entry(inner, verb, id(sellable), at, body)?
        }
        _ => return Ok(None),
    };
    Ok(Some(found))
}

fn not_found() -> Response {
    refuse(StatusCode::NOT_FOUND, "Not found")
}

/// What bad attributes come to here.
fn odd(inner: &Inner, what: &str, found: Vec<String>) -> Response {
    found.into_iter().for_each(|one| inner.blame(format!("{what}: {one}")));
    refuse(StatusCode::INTERNAL_SERVER_ERROR, "We're sorry, but something went wrong.")
}

fn list(inner: &Inner, query: &[(String, String)]) -> Response {
    let wanted = query.iter().find(|(key, _)| key == "query").map(|(_, text)| text.to_lowercase());
    if wanted.as_ref().is_some_and(|text| text.chars().count() < QUERY_LEAST) {
        return refuse(StatusCode::BAD_REQUEST, "query is too short (minimum is 3 characters)");
    }
    let (updated, created, now) = (from(query, "updated_at_min"), from(query, "created_at_min"), inner.now());
    let state = inner.state();
    // The search is fuzzy, over titles and SKUs, and learns of a product some time after it was made.
    let fits = |id: u64, product: &Product, text: &String| {
        let mut own = state.sellables.values().filter(|sellable| sellable.product == id);
        let told = product.created == 0 || product.created + inner.options.search_lag <= now;
        told && (product.title.to_lowercase().contains(text)
            || own.any(|sellable| sellable.sku.to_lowercase().contains(text) || sellable.title.to_lowercase().contains(text)))
    };
    let rows = state
        .products
        .iter()
        .filter(|(_, product)| !product.deleted)
        .filter(|(_, p)| updated.is_none_or(|from| p.updated >= from) && created.is_none_or(|from| p.created >= from))
        .filter(|(id, product)| wanted.as_ref().is_none_or(|text| fits(**id, product, text)))
        .map(|(id, _)| documents::product(inner, &state, *id))
        .collect();
    page(query, "page_size", rows)
}

/// A decimal, sent as a number or as text.
fn decimal(value: &Value) -> Option<String> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let number = text.strip_prefix('-').unwrap_or(&text);
    let plain = number.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    (plain && number.split('.').count() <= 2).then_some(text)
}

fn told_text(variant: &Value, name: &str) -> Option<String> {
    variant[name].as_str().map(str::to_owned)
}

fn checked(product: &Value) -> Vec<String> {
    let mut found = Vec::new();
    strangers(product, PRODUCT, "product", &mut found);
    for variant in product["product_variants_attributes"].as_array().into_iter().flatten() {
        strangers(variant, VARIANT, "product.product_variants_attributes", &mut found);
        if !variant["price"].is_null() && decimal(&variant["price"]).is_none() {
            found.push(format!("product.product_variants_attributes.price {} is no decimal", variant["price"]));
        }
        if !variant["weight_grams"].is_null() && variant["weight_grams"].as_u64().is_none() {
            found.push("product.product_variants_attributes.weight_grams is no whole number".to_owned());
        }
    }
    found
}

fn create(inner: &Inner, body: &Value) -> anyhow::Result<Response> {
    let told = &body["product"];
    let variants = told["product_variants_attributes"].as_array().cloned().unwrap_or_default();
    let lacks = |variant: &Value| {
        // A blank title is taken, a missing one is not.
        variant["title"].as_str().is_none()
            || variant["price"].is_null()
            || variant["sku_code"].as_str().is_none_or(str::is_empty)
    };
    if told["title"].as_str().is_none_or(str::is_empty) || variants.is_empty() || variants.iter().any(lacks) {
        inner.blame("POST /products without a title, or a variant without title, price and SKU".to_owned());
        return Ok(refuse(StatusCode::BAD_REQUEST, "param is missing or the value is empty"));
    }
    let mut found = checked(told);
    if variants.iter().any(|variant| !variant["id"].is_null()) {
        found.push("product.product_variants_attributes.id of a variant that does not stand yet".to_owned());
    }
    if !found.is_empty() {
        return Ok(odd(inner, "POST /products", found));
    }
    let mut state = inner.state();
    let (id, now) = (state.next_product(), inner.now());
    let title = told_text(told, "title").unwrap_or_default();
    state.put_product(id, Product { title, created: now, updated: now, deleted: false })?;
    for variant in &variants {
        let sellable = Sellable {
            product: id,
            title: told_text(variant, "title").unwrap_or_default(),
            // Nothing guards against a second variant of the same SKU.
            sku: told_text(variant, "sku_code").unwrap_or_default(),
            barcode: told_text(variant, "upc_code").unwrap_or_default(),
            price: decimal(&variant["price"]).unwrap_or_default(),
            weight_grams: variant["weight_grams"].as_u64().and_then(|grams| u32::try_from(grams).ok()).unwrap_or(0),
            updated: now,
            ..Sellable::default()
        };
        let at = state.next_sellable();
        state.put_sellable(at, sellable)?;
    }
    Ok(respond(StatusCode::CREATED, &documents::product(inner, &state, id)))
}

fn update(inner: &Inner, id: u64, body: &Value) -> anyhow::Result<Response> {
    let told = &body["product"];
    let mut state = inner.state();
    let Some(product) = state.products.get(&id).filter(|product| !product.deleted).cloned() else { return Ok(not_found()) };
    let mut found = checked(told);
    if !told.is_object() {
        found.push("no product around it".to_owned());
    }
    let variants = told["product_variants_attributes"].as_array().cloned().unwrap_or_default();
    if variants.iter().any(|variant| variant["id"].as_u64().is_none()) {
        found.push("a variant without its id: whether that makes another is not documented".to_owned());
    }
    if !found.is_empty() {
        return Ok(odd(inner, &format!("PUT /products/{id}"), found));
    }
    let now = inner.now();
    let mut changed = Vec::new();
    for variant in &variants {
        let at = variant["id"].as_u64().unwrap_or(0);
        // A variant that was regrouped under another product is none of this one's.
        let Some(mut sellable) = state.sellables.get(&at).filter(|one| one.product == id).cloned() else {
            return Ok(not_found());
        };
        for (name, field) in
            [("title", &mut sellable.title), ("sku_code", &mut sellable.sku), ("upc_code", &mut sellable.barcode)]
        {
            if let Some(text) = told_text(variant, name) {
                *field = text;
            }
        }
        if let Some(price) = decimal(&variant["price"]).filter(|_| !variant["price"].is_null()) {
            sellable.price = price;
        }
        // A weight is taken and changes nothing.
        sellable.updated = now;
        changed.push((at, sellable));
    }
    for (at, sellable) in changed {
        state.put_sellable(at, sellable)?;
    }
    let title = told_text(told, "title").unwrap_or_else(|| product.title.clone());
    state.put_product(id, Product { title, updated: now, ..product })?;
    Ok(respond(StatusCode::OK, &documents::product(inner, &state, id)))
}

/// Marks a sellable and its product as changed.
fn touched(inner: &Inner, state: &mut State, id: u64, mut sellable: Sellable) -> anyhow::Result<()> {
    let now = inner.now();
    sellable.updated = now;
    if let Some(product) = state.products.get(&sellable.product).cloned() {
        state.put_product(sellable.product, Product { updated: now, ..product })?;
    }
    state.put_sellable(id, sellable)
}

/// The variant and units of a row, where both can be.
fn row_of(state: &State, told: &Value) -> Option<(u64, i64)> {
    let variant = told["product_variant_id"].as_u64()?;
    let plain = state.live(variant)?.kit.is_none();
    Some((variant, told["quantity"].as_i64()?)).filter(|(_, units)| plain && *units > 0)
}

/// Turns a variant into a kit.
fn convert(inner: &Inner, body: &Value) -> anyhow::Result<Response> {
    let mut found = Vec::new();
    strangers(body, &["product_variant_id", "contents"], "kit", &mut found);
    let told = body["contents"].as_array().cloned().unwrap_or_default();
    told.iter().for_each(|row| strangers(row, &["product_variant_id", "quantity"], "kit.contents", &mut found));
    if told.is_empty() {
        found.push("kit.contents is empty".to_owned());
    }
    if !found.is_empty() {
        return Ok(odd(inner, "POST /kits", found));
    }
    let mut state = inner.state();
    let id = body["product_variant_id"].as_u64().unwrap_or(0);
    let Some(mut sellable) = state.live(id).filter(|sellable| sellable.kit.is_none()).cloned() else { return Ok(not_found()) };
    let mut rows = Vec::new();
    for (number, row) in (state.next_content()..).zip(&told) {
        let Some((variant, quantity)) = row_of(&state, row).filter(|(variant, _)| *variant != id) else { return Ok(not_found()) };
        rows.push(Content { id: number, variant, quantity });
    }
    sellable.kit = Some(rows);
    touched(inner, &mut state, id, sellable)?;
    Ok(respond(StatusCode::CREATED, &documents::sellable(inner, &state, id)))
}

fn contents(inner: &Inner, verb: &str, id: Option<u64>, query: &[(String, String)], body: &Value) -> anyhow::Result<Response> {
    let mut state = inner.state();
    let id = id.unwrap_or(0);
    let Some(mut sellable) = state.live(id).filter(|sellable| sellable.kit.is_some()).cloned() else { return Ok(not_found()) };
    let mut rows = sellable.kit.clone().unwrap_or_default();
    if verb == "GET" {
        let shown = rows.iter().map(|row| documents::content(&state, id, row)).collect();
        return Ok(page(query, "page_size", shown));
    }
    let told = &body["kit_content"];
    let mut found = Vec::new();
    strangers(told, &["product_variant_id", "quantity"], "kit_content", &mut found);
    if !told.is_object() || !found.is_empty() {
        found.push("a row of a kit is a kit_content with a variant and a quantity".to_owned());
        return Ok(odd(inner, "POST /kits/…/kit_contents", found));
    }
    let Some((variant, quantity)) = row_of(&state, told) else { return Ok(not_found()) };
    let row = Content { id: state.next_content(), variant, quantity };
    rows.push(row.clone());
    sellable.kit = Some(rows);
    touched(inner, &mut state, id, sellable)?;
    Ok(respond(StatusCode::CREATED, &documents::content(&state, id, &row)))
}

fn change_content(inner: &Inner, id: Option<u64>, row: Option<u64>, body: &Value) -> anyhow::Result<Response> {
    let mut state = inner.state();
    let id = id.unwrap_or(0);
    let Some(mut sellable) = state.live(id).filter(|sellable| sellable.kit.is_some()).cloned() else { return Ok(not_found()) };
    let mut found = Vec::new();
    strangers(&body["kit_content"], &["product_variant_id", "quantity"], "kit_content", &mut found);
    if !found.is_empty() {
        return Ok(odd(inner, "PUT /kits/…/kit_contents", found));
    }
    let Some((variant, quantity)) = row_of(&state, &body["kit_content"]) else { return Ok(not_found()) };
    let mut changed = None;
    for one in sellable.kit.iter_mut().flatten().filter(|one| Some(one.id) == row) {
        (one.variant, one.quantity) = (variant, quantity);
        changed = Some(one.clone());
    }
    let Some(changed) = changed else { return Ok(not_found()) };
    touched(inner, &mut state, id, sellable)?;
    Ok(respond(StatusCode::OK, &documents::content(&state, id, &changed)))
}

fn stock_entry(inner: &Inner, verb: &str, id: Option<u64>, at: Option<usize>, body: &Value) -> anyhow::Result<Response> {
    let mut state = inner.state();
    let (Some(id), Some(at)) = (id, at) else { return Ok(not_found()) };
    let (Some(mut sellable), Some(name)) = (state.live(id).cloned(), inner.options.warehouses.get(at).cloned()) else {
        return Ok(not_found());
    };
    if verb == "PUT" {
        let entry = &body["stock_entry"];
        let mut found = Vec::new();
        strangers(entry, &["physical_stock_level", "infinite", "location"], "stock_entry", &mut found);
        if sellable.kit.is_some() {
            found.push("a kit has no stock of its own".to_owned());
        }
        if !found.is_empty() {
            return Ok(odd(inner, "PUT stock_entry", found));
        }
        let (Some(level), Some(infinite)) = (entry["physical_stock_level"].as_i64(), entry["infinite"].as_bool()) else {
            return Ok(refuse(StatusCode::BAD_REQUEST, "physical_stock_level and infinite are required"));
        };
        // Absolute, whatever is reserved: what is available may fall below nought.
        sellable.stock.insert(name.clone(), level);
        if infinite {
            sellable.infinite.insert(name);
        } else {
            sellable.infinite.remove(&name);
        }
        // Whether this moves the product's last change is not documented: here it does not.
        sellable.updated = inner.now();
        state.put_sellable(id, sellable)?;
    }
    Ok(respond(StatusCode::OK, &documents::stock_entry(inner, &state, id, at)))
}

/// What stands there under a SKU, for tests and people: id, SKU, title of the product and the variant, barcode, and for a kit its parts.
pub fn shown(state: &State) -> Vec<Value> {
    let row = |(id, sellable): (&u64, &Sellable)| {
        let product = state.products.get(&sellable.product)?;
        let part = |row: &Content| json!({ "sku": state.sellables.get(&row.variant).map(|one| &one.sku), "units": row.quantity });
        Some(json!({
            "id": id, "product": sellable.product, "sku": sellable.sku, "title": product.title, "variant": sellable.title,
            "barcode": sellable.barcode, "price": sellable.price, "weight_grams": sellable.weight_grams,
            "stock": sellable.stock, "deleted": product.deleted,
            "parts": sellable.kit.iter().flatten().map(part).collect::<Vec<_>>(),
        }))
    };
    state.sellables.iter().filter_map(row).collect()
}
