//! Levels that are written: set by SKU, moved by SKU (the same body!), set in bulk with an error per row.

use axum::response::Response;
use serde_json::{Value, json};

use super::state::{State, Stocked};
use super::{Inner, bad, inventory, location_id, ok};

/// What is written to levels.
pub fn answer(inner: &Inner, state: &mut State, method: &str, body: &Value) -> anyhow::Result<Response> {
    if method.ends_with("/UpdateStockLevelsBulk") {
        return bulk(inner, state, body);
    }
    let adds = method.ends_with("BySKU");
    let mut shown = Vec::new();
    for row in body["stockLevels"].as_array().into_iter().flatten() {
        let place = place(inner, &row["LocationId"], &Value::Null);
        // What came before a bad row stands.
        let (Some(stocked), Some((at, name))) = (state.named(row["SKU"].as_str().unwrap_or_default()).cloned(), place) else {
            return Ok(bad("Stock item or location was not found"));
        };
        // What has no level of its own is passed over without a word.
        if stocked.is_composite() || stocked.batched {
            continue;
        }
        let stocked = set(state, stocked, &name, row["Level"].as_i64().unwrap_or(0), adds)?;
        shown.push(inventory::level(inner, state, &stocked, at, &name));
    }
    Ok(ok(&json!(shown)))
}

fn place(inner: &Inner, id: &Value, name: &Value) -> Option<(usize, String)> {
    let names = &inner.options.locations;
    let same = |at: &usize| match (id.as_str(), name.as_str()) {
        (Some(id), _) => location_id(*at).eq_ignore_ascii_case(id),
        (None, Some(wanted)) => names.get(*at).is_some_and(|name| name == wanted),
        (None, None) => false,
    };
    let at = (0..names.len()).find(same)?;
    Some((at, names.get(at)?.clone()))
}

fn set(state: &mut State, mut stocked: Stocked, place: &str, level: i64, adds: bool) -> anyhow::Result<Stocked> {
    let kept = stocked.item.stock.entry(place.to_owned()).or_default();
    *kept = if adds { *kept + level } else { level };
    state.put_item(stocked.clone())?;
    Ok(stocked)
}

fn bulk(inner: &Inner, state: &mut State, body: &Value) -> anyhow::Result<Response> {
    let mut shown = Vec::new();
    for row in body["Items"].as_array().into_iter().flatten() {
        let item = match row["StockItemId"].as_str() {
            Some(id) => state.item(id),
            None => state.named(row["SKU"].as_str().unwrap_or_default()),
        };
        let mut errors = Vec::new();
        match (item.cloned(), place(inner, &row["StockLocationId"], &row["StockLocationName"])) {
            (Some(stocked), Some(_)) if stocked.is_composite() || stocked.batched => {
                errors.push("Composite and batched items are not supported");
            }
            (Some(stocked), Some((_, name))) => {
                if let Some(level) = row["StockLevel"].as_i64() {
                    set(state, stocked, &name, level, false)?;
                }
            }
            _ => errors.push("Stock item or location was not found"),
        }
        let mut answer = row.clone();
        answer["Errors"] = json!(errors);
        shown.push(answer);
    }
    Ok(ok(&json!({ "Items": shown })))
}
