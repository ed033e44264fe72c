//! Levels and composites as the account tells them → ours. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use selvedge_model::{ExternalId, Kit, KitPart, LocationId, Problem, Sku, StockLevel};
use serde_json::Value;

use super::super::{decode, inventory};

/// What a page of items says, and the rows that it cannot say it in.
pub(super) type Read = (Vec<StockLevel>, Vec<(ExternalId, Problem)>);

fn whole(value: &Value) -> Option<i64> {
    // A level is a whole number; some servers write it as 5.0.
    value.as_i64().or_else(|| value.to_string().strip_suffix(".0")?.parse().ok())
}

fn unread(message: String) -> Problem {
    Problem::new(
        "stock.row",
        "",
        message,
        "Look at the item in Linnworks; if the system has changed, update the connector. It keeps its last figure.",
    )
}

/// The levels at these places of the items of a page. Composites have none of their own.
pub(super) fn levels(rows: &[Value], places: &[LocationId], as_of: Timestamp) -> Read {
    let (mut levels, mut unreadable) = (Vec::new(), Vec::new());
    for row in rows.iter().filter(|row| row["IsCompositeParent"].as_bool() != Some(true)) {
        let Some(item) = inventory::id_of(&row["StockItemId"]) else {
            let sku = row["ItemNumber"].as_str().unwrap_or_default();
            unreadable.push((ExternalId::new(sku), unread(format!("item {sku:?} has no id"))));
            continue;
        };
        let item = ExternalId::new(item);
        let Some(sku) = row["ItemNumber"].as_str().map(str::trim).filter(|sku| !sku.is_empty()) else {
            unreadable.push((item.clone(), unread(format!("item {item} has no SKU"))));
            continue;
        };
        let Some(told) = row["StockLevels"].as_array() else {
            unreadable.push((item.clone(), unread(format!("the levels of {sku} are no list"))));
            continue;
        };
        for place in places {
            let here = |level: &&Value| {
                inventory::id_of(&level["Location"]["StockLocationId"]).is_some_and(|id| id.eq_ignore_ascii_case(place.as_str()))
            };
            // Where an item was never kept there is no row.
            let Some(row_here) = told.iter().find(here) else { continue };
            match level(row, row_here) {
                Some(level) => {
                    levels.push(StockLevel { sku: Sku::new(sku), location: place.clone(), item: item.clone(), as_of, ..level })
                }
                None => {
                    let message = format!("the level of {sku} at {place} has no whole StockLevel and InOrders");
                    unreadable.push((item.clone(), unread(message)));
                }
            }
        }
    }
    (levels, unreadable)
}

/// The figures of a level. What is promised and there is committed, the rest is back ordered.
fn level(row: &Value, level: &Value) -> Option<StockLevel> {
    let on_hand = whole(&level["StockLevel"])?;
    let promised = whole(&level["InOrders"]).or_else(|| whole(&level["InOrderBook"]))?;
    let committed = promised.min(on_hand.max(0));
    let category = row["CategoryName"].as_str().map(str::trim).filter(|name| !name.is_empty());
    Some(StockLevel {
        sku: Sku::new(""),
        location: LocationId::new(""),
        item: ExternalId::new(""),
        as_of: Timestamp::UNIX_EPOCH,
        changed_at: decode::time(&level["LastUpdateDate"]),
        on_hand,
        committed,
        back_ordered: promised.saturating_sub(committed),
        pending_approval: 0,
        available: whole(&level["Available"]).unwrap_or_else(|| on_hand.saturating_sub(promised)),
        incoming: whole(&level["Due"]).unwrap_or(0),
        active: true,
        // It tells a cost without its currency.
        unit_value: None,
        categories: category.map(str::to_owned).into_iter().collect(),
    })
}

/// Composites with what they are made of. One whose parts cannot all be read is left out: half of it would show more stock
/// than there is.
pub(super) fn kits(parents: &[(String, String)], parts: &BTreeMap<String, Vec<Value>>) -> Vec<Kit> {
    let part = |row: &Value| {
        let sku = row["SKU"].as_str().map(str::trim).filter(|sku| !sku.is_empty())?;
        Some(KitPart { sku: Sku::new(sku), units: whole(&row["Quantity"]).filter(|units| *units > 0)? })
    };
    let mut kits = Vec::new();
    for (id, sku) in parents {
        let rows = parts.get(id).map(Vec::as_slice).unwrap_or_default();
        match rows.iter().map(part).collect::<Option<Vec<KitPart>>>() {
            Some(parts) if !parts.is_empty() => {
                kits.push(Kit { sku: Sku::new(sku), item: ExternalId::new(id), parts });
            }
            _ => tracing::warn!(%sku, "the parts of a composite cannot be read; it is left out"),
        }
    }
    kits
}
