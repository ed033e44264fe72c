//! Items: entered, changed, archived, put together from others.

use axum::response::Response;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Value, json};

use super::state::{Property, State, Stocked, uuid_of};
use super::{Inner, bad, nothing, ok, refuse};
use crate::mischief::hash_text;
use crate::shelf::Item;

/// Writes what a request says of an item over what is known of it.
fn overlay(item: &mut Item, told: &Value) {
    if let Some(title) = told["ItemTitle"].as_str() {
        title.clone_into(&mut item.title);
    }
    item.barcode = told["BarcodeNumber"].as_str().map(str::to_owned).filter(|text| !text.is_empty());
    item.weight_grams = told["Weight"].to_string().parse().ok().and_then(grams);
}

/// A weight as it is kept: whole grams here, and nought is none.
fn grams(weight: Decimal) -> Option<u32> {
    weight.round().to_u32().filter(|grams| *grams > 0)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn is_none(id: &str) -> bool {
    uuid::Uuid::parse_str(id).map_or(true, |id| id.is_nil())
}

fn rows<'a>(body: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    body[name].as_array().into_iter().flatten()
}

fn missing() -> Response {
    bad("Item was not found")
}

/// What is written to items.
pub fn answer(inner: &Inner, state: &mut State, method: &str, body: &Value) -> anyhow::Result<Response> {
    match method {
        "/api/Inventory/AddInventoryItem" => add(inner, state, &body["inventoryItem"]),
        "/api/Inventory/UpdateInventoryItem" => {
            let told = &body["inventoryItem"];
            let known = if is_none(text(told, "StockItemId")) {
                state.named(text(told, "ItemNumber"))
            } else {
                state.item(text(told, "StockItemId"))
            };
            let Some(mut stocked) = known.cloned() else { return Ok(missing()) };
            // The whole item is replaced: what is not told is gone.
            overlay(&mut stocked.item, told);
            stocked.composite = told["IsCompositeParent"].as_bool().unwrap_or(false);
            state.put_item(stocked)?;
            Ok(nothing())
        }
        "/api/Inventory/UpdateInventoryItemField" => field(inner, state, body),
        "/api/Inventory/ArchiveInventoryItems" | "/api/Inventory/UnarchiveInventoryItems" => {
            let archived = method.ends_with("/ArchiveInventoryItems");
            for id in rows(&body["parameters"], "InventoryItemIds") {
                let Some(mut stocked) = id.as_str().and_then(|id| state.item(id)).cloned() else { return Ok(missing()) };
                stocked.archived = archived;
                state.put_item(stocked)?;
            }
            Ok(nothing())
        }
        "/api/Inventory/CreateInventoryItemCompositions" => {
            rows(body, "inventoryItemCompositions").try_fold(nothing(), |_, row| compose(state, row, true))
        }
        "/api/Inventory/UpdateInventoryItemCompositions" => {
            rows(body, "inventoryItemCompositions").try_fold(nothing(), |_, row| compose(state, row, false))
        }
        "/api/Inventory/DeleteInventoryItemCompositions" => {
            let Some(mut stocked) = state.item(text(body, "stockItemId")).cloned() else { return Ok(missing()) };
            let gone: Vec<String> = rows(body, "inventoryItemCompositionIds")
                .filter_map(|id| state.item(id.as_str()?))
                .map(|part| part.item.sku.clone())
                .collect();
            stocked.item.parts.retain(|(sku, _)| !gone.contains(sku));
            state.put_item(stocked)?;
            Ok(nothing())
        }
        "/api/Inventory/CreateInventoryItemExtendedProperties" => {
            for row in rows(body, "inventoryItemExtendedProperties") {
                let known = match text(row, "fkStockItemId") {
                    "" => state.named(text(row, "SKU")),
                    id => state.item(id),
                };
                let Some(mut stocked) = known.cloned() else { return Ok(missing()) };
                let nth = u64::try_from(stocked.properties.len()).unwrap_or(u64::MAX);
                // Nobody keeps two from having one name.
                stocked.properties.push(Property {
                    row: uuid_of("property", hash_text(&stocked.id) ^ nth ^ hash_text(text(row, "PropertyValue"))),
                    name: text(row, "ProperyName").to_owned(),
                    value: text(row, "PropertyValue").to_owned(),
                    kind: text(row, "PropertyType").to_owned(),
                });
                state.put_item(stocked)?;
            }
            Ok(nothing())
        }
        "/api/Inventory/UpdateInventoryItemExtendedProperties" => {
            for row in rows(body, "inventoryItemExtendedProperties") {
                let Some(mut stocked) = state.item(text(row, "fkStockItemId")).cloned() else { return Ok(missing()) };
                // A row that is not there is passed over without a word.
                if let Some(kept) = stocked.properties.iter_mut().find(|kept| kept.row == text(row, "pkRowId")) {
                    text(row, "ProperyName").clone_into(&mut kept.name);
                    text(row, "PropertyValue").clone_into(&mut kept.value);
                    text(row, "PropertyType").clone_into(&mut kept.kind);
                }
                state.put_item(stocked)?;
            }
            Ok(nothing())
        }
        "/api/Inventory/DeleteInventoryItemExtendedProperties" => {
            let Some(mut stocked) = state.item(text(body, "inventoryItemId")).cloned() else { return Ok(missing()) };
            let gone: Vec<&str> = rows(body, "inventoryItemExtendedPropertyIds").filter_map(Value::as_str).collect();
            stocked.properties.retain(|kept| !gone.contains(&kept.row.as_str()));
            state.put_item(stocked)?;
            Ok(nothing())
        }
        _ => Ok(refuse(axum::http::StatusCode::NOT_FOUND, "not simulated")),
    }
}

fn add(inner: &Inner, state: &mut State, told: &Value) -> anyhow::Result<Response> {
    let sku = text(told, "ItemNumber").to_owned();
    if sku.is_empty() || text(told, "ItemTitle").is_empty() {
        return Ok(bad("ItemNumber and ItemTitle are required"));
    }
    if state.named(&sku).is_some() {
        return Ok(bad(&format!("Stock item with SKU {sku} already exists")));
    }
    let wish = Some(text(told, "StockItemId")).filter(|id| !is_none(id) && !inner.options.ids_of_its_own);
    if wish.is_some_and(|id| state.item(id).is_some()) {
        return Ok(bad("Stock item id is in use"));
    }
    let id = wish.map_or_else(|| uuid_of("item", hash_text(&sku)), str::to_lowercase);
    let mut item = Item { sku, ..Item::default() };
    overlay(&mut item, told);
    let composite = told["IsCompositeParent"].as_bool().unwrap_or(false);
    state.put_item(Stocked { id, item, composite, ..Stocked::default() })?;
    Ok(nothing())
}

fn field(inner: &Inner, state: &mut State, body: &Value) -> anyhow::Result<Response> {
    let Some(mut stocked) = state.item(text(body, "inventoryItemId")).cloned() else { return Ok(missing()) };
    let value = text(body, "fieldValue");
    match text(body, "fieldName") {
        "Title" if value.is_empty() => return Ok(bad("Title cannot be empty")),
        // What is too long is cut without a word.
        "Title" => stocked.item.title = value.chars().take(inner.options.title_chars_max).collect(),
        "Barcode" => stocked.item.barcode = Some(value.to_owned()).filter(|text| !text.is_empty()),
        "Weight" => match value.parse::<Decimal>() {
            Ok(weight) => stocked.item.weight_grams = grams(weight),
            Err(_) => return Ok(bad("Input string was not in a correct format")),
        },
        other => return Ok(refuse(axum::http::StatusCode::NOT_FOUND, &format!("{other} is not simulated"))),
    }
    let shown = json!({ "StockItemId": stocked.id });
    state.put_item(stocked)?;
    Ok(ok(&shown))
}

/// A part of a composite: new, or in another number.
fn compose(state: &mut State, row: &Value, new: bool) -> anyhow::Result<Response> {
    let Some(mut stocked) = state.item(text(row, "StockItemId")).cloned() else { return Ok(missing()) };
    let Some(part) = state.item(text(row, "LinkedStockItemId")).cloned() else { return Ok(missing()) };
    if part.is_composite() || part.id == stocked.id {
        return Ok(bad("A composite item cannot be part of a composite item"));
    }
    let units = row["Quantity"].as_u64().and_then(|units| u32::try_from(units).ok()).unwrap_or(0);
    let known = stocked.item.parts.iter_mut().find(|(sku, _)| *sku == part.item.sku);
    match (known, new) {
        (Some(_), true) => return Ok(bad("Composition already exists")),
        (Some(kept), false) => kept.1 = units,
        (None, true) => stocked.item.parts.push((part.item.sku, units)),
        // There is nothing to change, and nothing is said.
        (None, false) => {}
    }
    stocked.composite = true;
    state.put_item(stocked)?;
    Ok(nothing())
}
