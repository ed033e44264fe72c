//! Items as the account lists them: pages, some by their ids, what a SKU means there, and what composites are made of.
//!
//! The list of items says neither how many there are nor which page is the last: past the end comes a 400. Nor is it said
//! whether a page is cut before or after parents are taken out of it; so none are taken out there, and the list is walked
//! until the end is told.

use std::collections::BTreeMap;

use selvedge_connector::{Cursor, Effect, Fault, Priority};
use serde_json::{Value, json};

use super::client::{Ask, Client};

/// The most items that a page may have.
const ITEMS_PAGE: usize = 200;
/// Ids and SKUs of one call. (The vendor states no bound.)
pub(super) const IDS_MAX: usize = 100;

/// One page of items.
#[derive(Clone, Debug, Default)]
pub(super) struct ItemPage {
    pub rows: Vec<Value>,
    pub next: Option<Cursor>,
}

/// What a SKU means in the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub id: String,
    pub sku: String,
    pub archived: bool,
    pub composite: bool,
    /// Kept by batch: no plain figure is taken for it.
    pub batched: bool,
    /// A group of variations, which is no item.
    pub group: bool,
}

/// An id as it is compared: the vendor writes them in either case.
pub(super) fn id_of(value: &Value) -> Option<String> {
    value.as_str().map(str::trim).filter(|text| is_id(text)).map(str::to_ascii_lowercase)
}

/// Whether a text is a uuid as the vendor takes them.
pub(super) fn is_id(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let lengths = parts.iter().map(|part| part.len());
    lengths.eq([8, 4, 4, 4, 12]) && parts.iter().all(|part| part.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// One page of the items that are not archived, composites among them, with what is asked for of each.
pub(super) async fn page(
    client: &Client,
    page: Option<&Cursor>,
    requirements: &[&str],
    priority: Priority,
) -> Result<ItemPage, Fault> {
    let number = match page {
        None => 1,
        Some(Cursor(text)) => text.parse::<usize>().ok().filter(|number| *number > 1).ok_or_else(|| Fault::Unexpected {
            what: "list items".to_owned(),
            detail: "the cursor is not one of a page of items".to_owned(),
        })?,
    };
    let body = json!({
        "keyword": "",
        "loadCompositeParents": true,
        "loadVariationParents": true,
        "entriesPerPage": ITEMS_PAGE,
        "pageNumber": number,
        "dataRequirements": requirements,
        "searchTypes": ["SKU"],
    });
    let ask = Ask::post(format!("list items, page {number}"), "Stock/GetStockItemsFull", &body, Effect::Read, priority);
    let answer = match client.json(&ask).await {
        // Past the last page there is a 400 and not an empty list.
        Err(Fault::Refused { .. }) if number > 1 => return Ok(ItemPage::default()),
        // So it is on the first page of an account without items; of any other it is a refusal.
        Err(fault @ Fault::Refused { .. }) => {
            return if is_empty(client, priority).await? { Ok(ItemPage::default()) } else { Err(fault) };
        }
        answer => answer?,
    };
    let Value::Array(mut rows) = answer else {
        return Err(Fault::Unexpected { what: ask.what, detail: "the items are no list".to_owned() });
    };
    let next = (!rows.is_empty()).then(|| Cursor(number.saturating_add(1).to_string()));
    // A group of variations is no item.
    rows.retain(|row| row["IsVariationParent"].as_bool() != Some(true));
    Ok(ItemPage { rows, next })
}

async fn is_empty(client: &Client, priority: Priority) -> Result<bool, Fault> {
    let query = [("includeDeleted", "false"), ("includeArchived", "false")];
    let ask = Ask::get("count the items", "Inventory/GetInventoryItemsCount", &query, priority);
    Ok(client.json(&ask).await?.as_u64() == Some(0))
}

/// The items with these ids, with what is asked for of them; one that is not there is left out.
pub(super) async fn by_ids(
    client: &Client,
    ids: &[String],
    requirements: &[&str],
    priority: Priority,
) -> Result<Vec<Value>, Fault> {
    let mut rows = Vec::new();
    for ids in ids.chunks(IDS_MAX) {
        let body = json!({ "request": { "StockItemIds": ids, "DataRequirements": requirements } });
        let what = format!("read {} items", ids.len());
        let ask = Ask::post(what, "Stock/GetStockItemsFullByIds", &body, Effect::Read, priority);
        match client.json(&ask).await?.get_mut("StockItemsFullExtended").map(Value::take) {
            Some(Value::Array(found)) => rows.extend(found),
            _ => return Err(Fault::Unexpected { what: ask.what, detail: "the answer names no list of items".to_owned() }),
        }
    }
    Ok(rows)
}

/// What each SKU means, whatever its case: the account does not tell upper from lower, and nobody should guess.
pub(super) async fn known(client: &Client, skus: &[String], priority: Priority) -> Result<Vec<Known>, Fault> {
    let mut known = Vec::new();
    for skus in skus.chunks(IDS_MAX) {
        let body = json!({ "SKUS": skus });
        let what = format!("look for {}", told(skus));
        let ask = Ask::post(what, "Stock/GetStockItemTypeInfo", &body, Effect::Read, priority);
        let answer = client.json(&ask).await?;
        let Some(rows) = answer["StockItemInfo"].as_array() else {
            return Err(Fault::Unexpected { what: ask.what, detail: "the answer names no list of items".to_owned() });
        };
        let flag = |row: &Value, name: &str| row[name].as_bool().unwrap_or(false);
        known.extend(rows.iter().filter_map(|row| {
            Some(Known {
                id: id_of(&row["StockItemId"])?,
                sku: row["SKU"].as_str()?.to_owned(),
                archived: flag(row, "IsArchived"),
                composite: flag(row, "IsCompositeParent"),
                batched: row["InventoryTrackingType"].as_i64().is_some_and(|kind| kind != 0),
                group: flag(row, "IsVariationGroup"),
            })
        }));
    }
    Ok(known)
}

fn told(skus: &[String]) -> String {
    match skus {
        [only] => format!("item {only}"),
        skus => format!("{} SKUs", skus.len()),
    }
}

/// What composites are made of, by their ids; one without parts has no entry.
pub(super) async fn compositions(
    client: &Client,
    ids: &[String],
    priority: Priority,
) -> Result<BTreeMap<String, Vec<Value>>, Fault> {
    let mut made_of = BTreeMap::new();
    for ids in ids.chunks(IDS_MAX) {
        let body = json!({ "request": { "InventoryItemIds": ids } });
        let what = format!("read what {} composites are made of", ids.len());
        let ask = Ask::post(what, "Inventory/GetInventoryItemsCompositionByIds", &body, Effect::Read, priority);
        match client.json(&ask).await?.get_mut("InventoryItemsCompositionByIds").map(Value::take) {
            Some(Value::Object(found)) => {
                let entry = |(id, rows): (String, Value)| Some((id.to_ascii_lowercase(), rows.as_array()?.clone()));
                made_of.extend(found.into_iter().filter_map(entry).filter(|(_, rows)| !rows.is_empty()));
            }
            // A dictionary without entries comes as null, too.
            Some(Value::Null) => {}
            _ => return Err(Fault::Unexpected { what: ask.what, detail: "the answer names no compositions".to_owned() }),
        }
    }
    Ok(made_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nil_uuid_is_an_id_like_others() {
        assert!(is_id("00000000-0000-0000-0000-000000000000") && is_id("6F0C1A52-0000-4000-8000-00000000000a"));
        for odd in ["", "Default", "6f0c1a52-0000-4000-8000-00000000000", "6f0c1a52000040008000000000000001", "g-0-0-0-0"] {
            assert!(!is_id(odd), "{odd}");
        }
    }
}
