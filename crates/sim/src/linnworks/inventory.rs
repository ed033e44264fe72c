//! Items, their levels and the lists: what is read. What is written is in `items` and `levels`.

use axum::response::Response;
use serde_json::{Map, Value, json};

use super::state::{State, Stocked, uuid_of};
use super::{Asked, Inner, bad, items, levels, location_id, ok};

/// The most items of a page.
const PAGE_MAX: usize = 200;
/// The most ids of one call. (Not stated anywhere; refused above, so that nobody relies on more.)
const IDS_MAX: usize = 200;

pub fn level(inner: &Inner, state: &State, stocked: &Stocked, at: usize, name: &str) -> Value {
    let sku = &stocked.item.sku;
    let (level, reserved) = state.level(sku, name);
    json!({
        "StockItemId": stocked.id, "SKU": sku, "StockLevel": level, "InOrders": reserved, "InOrderBook": reserved,
        "Available": level - reserved, "Due": 0, "MinimumLevel": if stocked.is_composite() { -1 } else { 1 }, "JIT": false,
        "UnitCost": 0, "PendingUpdate": false,
        "Location": { "StockLocationId": location_id(at), "LocationName": name, "IsFulfillmentCenter": false },
        "LastUpdateDate": super::moment(inner.now()).strftime("%Y-%m-%dT%H:%M:%S").to_string(),
    })
}

fn all_levels(inner: &Inner, state: &State, stocked: &Stocked) -> Vec<Value> {
    let names = inner.options.locations.iter().enumerate();
    names.map(|(at, name)| level(inner, state, stocked, at, name)).collect()
}

/// An item as lists show it. Whether it is archived is told by another method alone.
fn document(stocked: &Stocked) -> Value {
    let item = &stocked.item;
    json!({
        "StockItemId": stocked.id, "ItemNumber": item.sku, "ItemTitle": item.title, "BarcodeNumber": item.barcode.as_deref().unwrap_or_default(),
        "Weight": item.weight_grams.unwrap_or(0), "IsCompositeParent": stocked.is_composite(),
        "isBatchedStockType": stocked.batched, "IsVariationParent": false, "InventoryTrackingType": i32::from(stocked.batched),
        "CategoryName": "Default", "RetailPrice": 0, "PurchasePrice": 0, "TaxRate": -1, "CreationDate": "2020-01-01T00:00:00",
    })
}

pub fn properties(stocked: &Stocked) -> Vec<Value> {
    let row = |property: &super::state::Property| {
        json!({ "pkRowId": property.row, "fkStockItemId": stocked.id, "ProperyName": property.name,
                "PropertyValue": property.value, "PropertyType": property.kind })
    };
    stocked.properties.iter().map(row).collect()
}

fn compositions(state: &State, stocked: &Stocked) -> Vec<Value> {
    let row = |(sku, units): &(String, u32)| {
        let part = state.items.get(sku);
        json!({ "LinkedStockItemId": part.map(|part| &part.id), "SKU": sku, "Quantity": units,
                "ItemTitle": part.map(|part| &part.item.title), "StockItemId": stocked.id })
    };
    stocked.item.parts.iter().map(row).collect()
}

/// An item with what is asked for of it.
fn full(inner: &Inner, state: &State, stocked: &Stocked, requirements: &Value) -> Value {
    let wants = |word: &str| requirements.as_array().is_some_and(|list| list.contains(&json!(word)));
    let mut row = document(stocked);
    if wants("StockLevels") {
        row["StockLevels"] = json!(all_levels(inner, state, stocked));
    }
    if wants("ExtendedProperties") {
        row["ItemExtendedProperties"] = json!(properties(stocked));
    }
    row
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Methods of the controllers Inventory, Stock and PostalServices.
pub fn answer(inner: &Inner, method: &str, asked: &Asked<'_>) -> anyhow::Result<Response> {
    let mut state = inner.state();
    Ok(match method {
        "/api/Inventory/GetStockLocations" => {
            let row = |(at, name): (usize, &String)| {
                json!({ "StockLocationId": location_id(at), "LocationName": name, "IsFulfillmentCenter": inner.options.centres.contains(name),
                        "IsWarehouseManaged": inner.options.managed.contains(name), "IsNotTrackable": false })
            };
            ok(&json!(inner.options.locations.iter().enumerate().map(row).collect::<Vec<_>>()))
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
        "/api/Inventory/GetInventoryItemsCount" => {
            let archived = asked.query("includeArchived") == Some("true");
            ok(&json!(state.items.values().filter(|stocked| archived || !stocked.archived).count()))
        }
        "/api/Stock/GetStockItemsFull" => page(inner, &state, asked.body),
        "/api/Stock/GetStockItemsFullByIds" => {
            let request = &asked.body["request"];
            let ids = texts(&request["StockItemIds"]);
            if ids.len() > IDS_MAX {
                return Ok(bad("Too many ids"));
            }
            let rows = ids.iter().filter_map(|id| state.item(id));
            let rows: Vec<Value> = rows.map(|stocked| full(inner, &state, stocked, &request["DataRequirements"])).collect();
            ok(&json!({ "StockItemsFullExtended": rows }))
        }
        "/api/Stock/GetStockItemTypeInfo" => {
            let skus = texts(&asked.body["SKUS"]);
            if skus.len() > IDS_MAX {
                return Ok(bad("Too many SKUs"));
            }
            // All that a SKU may mean, whatever its case; archived ones, too.
            let same = |stocked: &&Stocked| skus.iter().any(|sku| stocked.item.sku.eq_ignore_ascii_case(sku));
            let row = |stocked: &Stocked| {
                json!({ "SKU": stocked.item.sku, "StockItemId": stocked.id, "IsVariationGroup": false,
                        "IsCompositeParent": stocked.is_composite(), "IsArchived": stocked.archived,
                        "InventoryTrackingType": i32::from(stocked.batched) })
            };
            ok(&json!({ "StockItemInfo": state.items.values().filter(same).map(row).collect::<Vec<_>>() }))
        }
        "/api/Stock/GetStockLevel_Batch" => {
            let ids = texts(&asked.body["request"]["StockItemIds"]);
            let rows: Vec<Value> = ids
                .iter()
                .filter_map(|id| state.item(id))
                .map(|stocked| json!({ "pkStockItemId": stocked.id, "StockItemLevels": all_levels(inner, &state, stocked) }))
                .collect();
            ok(&json!(rows))
        }
        "/api/Inventory/GetStockItemIdsBySKU" => {
            let skus = texts(&asked.body["request"]["SKUS"]);
            let rows: Vec<Value> = skus
                .iter()
                .filter_map(|sku| state.named(sku))
                .filter(|stocked| !stocked.archived)
                .map(|stocked| json!({ "SKU": stocked.item.sku, "StockItemId": stocked.id }))
                .collect();
            ok(&json!({ "Items": rows }))
        }
        "/api/Inventory/GetInventoryItemById" => match asked.query("id").and_then(|id| state.item(id)) {
            Some(stocked) => ok(&document(stocked)),
            None => bad("Item was not found"),
        },
        "/api/Inventory/GetInventoryItemExtendedProperties" => {
            match state.item(asked.body["inventoryItemId"].as_str().unwrap_or_default()) {
                Some(stocked) => ok(&json!(properties(stocked))),
                None => bad("Item was not found"),
            }
        }
        "/api/Inventory/GetInventoryItemCompositions" => match asked.query("inventoryItemId").and_then(|id| state.item(id)) {
            Some(stocked) => ok(&json!(compositions(&state, stocked))),
            None => bad("Item was not found"),
        },
        "/api/Inventory/GetInventoryItemsCompositionByIds" => {
            let ids = texts(&asked.body["request"]["InventoryItemIds"]);
            // Items that are not put together have no entry.
            let found = ids.iter().filter_map(|id| state.item(id)).filter(|stocked| !stocked.item.parts.is_empty());
            let rows: Map<String, Value> =
                found.map(|stocked| (stocked.id.clone(), json!(compositions(&state, stocked)))).collect();
            ok(&json!({ "InventoryItemsCompositionByIds": rows }))
        }
        "/api/Stock/SetStockLevel" | "/api/Stock/UpdateStockLevelsBySKU" | "/api/Stock/UpdateStockLevelsBulk" => {
            return levels::answer(inner, &mut state, method, asked.body);
        }
        _ => return items::answer(inner, &mut state, method, asked.body),
    })
}

fn page(inner: &Inner, state: &State, body: &Value) -> Response {
    let whole = |name: &str| body[name].as_u64().and_then(|number| usize::try_from(number).ok());
    let (size, page) = (whole("entriesPerPage").unwrap_or(100), whole("pageNumber").unwrap_or(1));
    if size == 0 || size > PAGE_MAX || page == 0 {
        return bad("entriesPerPage must be between 1 and 200");
    }
    let keyword = body["keyword"].as_str().unwrap_or_default().to_lowercase();
    let composites = body["loadCompositeParents"].as_bool().unwrap_or(false);
    let hit = |stocked: &&Stocked| keyword.is_empty() || stocked.item.sku.to_lowercase().contains(&keyword);
    let items = state.items.values().filter(|stocked| !stocked.archived).filter(hit);
    let cut = |items: Vec<&Stocked>| -> Vec<Value> {
        items.into_iter().map(|stocked| full(inner, state, stocked, &body["dataRequirements"])).collect()
    };
    let wanted = |stocked: &&Stocked| composites || !stocked.is_composite();
    let (past, rows) = if inner.options.thin_pages {
        // Composites are taken out of a page after it was cut: it may be short, or have nothing left, in the middle.
        let all: Vec<&Stocked> = items.skip((page - 1) * size).take(size).collect();
        (all.is_empty(), cut(all.into_iter().filter(wanted).collect()))
    } else {
        let all: Vec<&Stocked> = items.filter(wanted).skip((page - 1) * size).take(size).collect();
        (all.is_empty(), cut(all))
    };
    // Past the end there is no empty list.
    if past { bad("No items found") } else { ok(&json!(rows)) }
}
