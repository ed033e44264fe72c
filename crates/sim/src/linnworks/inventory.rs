//! Items, their levels and the lists.

use axum::response::Response;
use serde_json::{Value, json};

use super::state::{State, Stocked, uuid_of};
use super::{Asked, Inner, bad, location_id, nothing, ok, refuse};
use crate::shelf::Item;

/// The most items of a page.
const PAGE_MAX: usize = 200;

fn level(inner: &Inner, state: &State, stocked: &Stocked, at: usize, name: &str) -> Value {
    let sku = &stocked.item.sku;
    let (level, reserved) = (state.level(sku, name), state.reserved(sku, name));
    json!({
        "StockItemId": stocked.id, "SKU": sku, "StockLevel": level, "InOrders": reserved, "InOrderBook": reserved,
        "Available": level - reserved, "Due": 0, "MinimumLevel": -1, "JIT": false,
        "Location": { "StockLocationId": location_id(at), "LocationName": name, "IsFulfillmentCenter": false },
        "LastUpdateDate": super::moment(inner.now()).strftime("%Y-%m-%dT%H:%M:%S").to_string(),
    })
}

fn levels(inner: &Inner, state: &State, stocked: &Stocked) -> Vec<Value> {
    let names = inner.options.locations.iter().enumerate();
    names.map(|(at, name)| level(inner, state, stocked, at, name)).collect()
}

fn document(stocked: &Stocked) -> Value {
    let item = &stocked.item;
    json!({
        "StockItemId": stocked.id, "ItemNumber": item.sku, "ItemTitle": item.title, "BarcodeNumber": item.barcode,
        "Weight": item.weight_grams.unwrap_or(0), "IsCompositeParent": !item.parts.is_empty(), "IsArchived": stocked.archived,
    })
}

fn by_id<'a>(state: &'a State, id: &str) -> Option<&'a Stocked> {
    state.items.values().find(|stocked| stocked.id == id)
}

/// Writes what a request says of an item over what is known of it.
fn overlay(item: &mut Item, told: &Value) {
    if let Some(title) = told["ItemTitle"].as_str() {
        title.clone_into(&mut item.title);
    }
    item.barcode = told["BarcodeNumber"].as_str().map(str::to_owned).filter(|text| !text.is_empty());
    item.weight_grams = told["Weight"].as_u64().and_then(|grams| u32::try_from(grams).ok());
}

/// Methods of the controllers Inventory, Stock and PostalServices.
pub fn answer(inner: &Inner, method: &str, asked: &Asked<'_>) -> anyhow::Result<Response> {
    let mut state = inner.state();
    Ok(match method {
        "/api/Inventory/GetStockLocations" => {
            let rows: Vec<Value> = inner
                .options
                .locations
                .iter()
                .enumerate()
                .map(|(at, name)| {
                    json!({ "StockLocationId": location_id(at), "LocationName": name, "IsFulfillmentCenter": false, "IsWarehouseManaged": false })
                })
                .collect();
            ok(&json!(rows))
        }
        "/api/PostalServices/GetPostalServices" => {
            let rows: Vec<Value> = (0_u64..)
                .zip(&inner.options.services)
                .map(|(nth, name)| {
                    json!({ "pkPostalServiceId": uuid_of("service", nth), "PostalServiceName": name, "PostalServiceTag": "",
                            "Vendor": "Royal Mail", "TrackingNumberRequired": true })
                })
                .collect();
            ok(&json!(rows))
        }
        "/api/Stock/GetStockItemsFull" => {
            let size = asked.body["entriesPerPage"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(100);
            let page = asked.body["pageNumber"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(1);
            if size == 0 || size > PAGE_MAX || page == 0 {
                return Ok(bad("entriesPerPage must be between 1 and 200"));
            }
            let composites = asked.body["loadCompositeParents"].as_bool().unwrap_or(false);
            let wants_levels = asked.body["dataRequirements"].as_array().is_some_and(|list| list.contains(&json!("StockLevels")));
            let rows: Vec<Value> = state
                .items
                .values()
                .filter(|stocked| !stocked.archived && (composites || stocked.item.parts.is_empty()))
                .skip((page - 1) * size)
                .take(size)
                .map(|stocked| {
                    let mut row = document(stocked);
                    if wants_levels {
                        row["StockLevels"] = json!(levels(inner, &state, stocked));
                    }
                    row
                })
                .collect();
            // Past the end there is no empty list.
            if rows.is_empty() { bad("No items found") } else { ok(&json!(rows)) }
        }
        "/api/Stock/GetStockLevel_Batch" => {
            let ids = asked.body["request"]["StockItemIds"].as_array().cloned().unwrap_or_default();
            let rows: Vec<Value> = ids
                .iter()
                .filter_map(|id| by_id(&state, id.as_str()?))
                .map(|stocked| json!({ "pkStockItemId": stocked.id, "StockItemLevels": levels(inner, &state, stocked) }))
                .collect();
            ok(&json!(rows))
        }
        "/api/Stock/SetStockLevel" | "/api/Stock/UpdateStockLevelsBySKU" => {
            let adds = method.ends_with("BySKU");
            let mut shown = Vec::new();
            for row in asked.body["stockLevels"].as_array().cloned().unwrap_or_default() {
                let (sku, id) = (row["SKU"].as_str().unwrap_or_default(), row["LocationId"].as_str().unwrap_or_default());
                let at = (0..inner.options.locations.len()).find(|at| location_id(*at) == id);
                let name = at.and_then(|at| inner.options.locations.get(at)).cloned();
                let (Some(mut stocked), Some(name), Some(at)) = (state.items.get(sku).cloned(), name, at) else {
                    return Ok(bad("Stock item or location was not found"));
                };
                let level = row["Level"].as_i64().unwrap_or(0);
                let kept = stocked.item.stock.entry(name.clone()).or_default();
                *kept = if adds { *kept + level } else { level };
                state.put_item(stocked.clone())?;
                shown.push(self::level(inner, &state, &stocked, at, &name));
            }
            ok(&json!(shown))
        }
        "/api/Inventory/GetStockItemIdsBySKU" => {
            let skus = asked.body["request"]["SKUS"].as_array().cloned().unwrap_or_default();
            let rows: Vec<Value> = skus
                .iter()
                .filter_map(|sku| state.items.get(sku.as_str()?))
                .map(|stocked| json!({ "SKU": stocked.item.sku, "StockItemId": stocked.id }))
                .collect();
            ok(&json!({ "Items": rows }))
        }
        "/api/Inventory/GetInventoryItemById" => match asked.query("id").and_then(|id| by_id(&state, id)) {
            Some(stocked) => ok(&document(stocked)),
            None => bad("Item was not found"),
        },
        "/api/Inventory/GetInventoryItemCompositions" => match asked.query("inventoryItemId").and_then(|id| by_id(&state, id)) {
            Some(stocked) => {
                let rows: Vec<Value> = stocked
                        .item
                        .parts
                        .iter()
                        .map(|(sku, units)| {
                            json!({ "LinkedStockItemId": state.items.get(sku).map(|part| part.id.clone()), "SKU": sku, "Quantity": units })
                        })
                        .collect();
                ok(&json!(rows))
            }
            None => bad("Item was not found"),
        },
        "/api/Inventory/AddInventoryItem" => {
            let told = &asked.body["inventoryItem"];
            let sku = told["ItemNumber"].as_str().unwrap_or_default().to_owned();
            if sku.is_empty() || told["ItemTitle"].as_str().unwrap_or_default().is_empty() {
                return Ok(bad("ItemNumber and ItemTitle are required"));
            }
            if state.items.contains_key(&sku) {
                return Ok(bad("Stock item with this SKU already exists"));
            }
            let mut item = Item { sku: sku.clone(), ..Item::default() };
            overlay(&mut item, told);
            let id = told["StockItemId"].as_str().map(str::to_owned).filter(|id| uuid::Uuid::parse_str(id).is_ok());
            let id = id.unwrap_or_else(|| uuid_of("item", crate::mischief::hash_text(&sku)));
            state.put_item(Stocked { id, item, archived: false })?;
            nothing()
        }
        "/api/Inventory/UpdateInventoryItem" => {
            let told = &asked.body["inventoryItem"];
            let Some(mut stocked) = told["StockItemId"].as_str().and_then(|id| by_id(&state, id)).cloned() else {
                return Ok(bad("Item was not found"));
            };
            // The whole item is replaced: what is not told is gone.
            overlay(&mut stocked.item, told);
            state.put_item(stocked)?;
            nothing()
        }
        "/api/Inventory/ArchiveInventoryItems" | "/api/Inventory/UnarchiveInventoryItems" => {
            let archived = method.ends_with("/ArchiveInventoryItems");
            for id in asked.body["parameters"]["InventoryItemIds"].as_array().cloned().unwrap_or_default() {
                let Some(mut stocked) = id.as_str().and_then(|id| by_id(&state, id)).cloned() else {
                    return Ok(bad("Item was not found"));
                };
                stocked.archived = archived;
                state.put_item(stocked)?;
            }
            nothing()
        }
        _ => refuse(axum::http::StatusCode::NOT_FOUND, "not simulated"),
    })
}
