//! The account's own lists of values: its items and its shipping services.

use async_trait::async_trait;
use selvedge_connector::{Cursor, Effect, Fault, ListEntry, ListPage, Lists, Priority};
use serde_json::{Value, json};

use super::client::{Ask, Client};

/// The most items that a page may have.
pub(super) const ITEMS_PAGE: usize = 200;

/// The tables that it lists.
const TABLES: [&str; 2] = ["item", "shipping_service"];

/// The port.
pub(super) struct ValueLists {
    pub client: Client,
}

/// One page of items with what is asked for of them; `None` past the end, which the vendor answers with a 400.
pub(super) async fn items(
    client: &Client,
    number: usize,
    requirements: &[&str],
    composites: bool,
    priority: Priority,
) -> Result<Option<Vec<Value>>, Fault> {
    let body = json!({
        "keyword": "",
        "loadCompositeParents": composites,
        "loadVariationParents": false,
        "entriesPerPage": ITEMS_PAGE,
        "pageNumber": number,
        "dataRequirements": requirements,
        "searchTypes": ["SKU"],
    });
    let ask = Ask::post(format!("list items, page {number}"), "Stock/GetStockItemsFull", &body, Effect::Read, priority);
    match client.json(&ask).await {
        Ok(answer) => match answer.as_array() {
            Some(rows) if rows.is_empty() => Ok(None),
            Some(rows) => Ok(Some(rows.clone())),
            None => Err(Fault::Unexpected { what: ask.what, detail: "the items are no list".to_owned() }),
        },
        // Past the last page there is a 400 and not an empty list; on the first it is a refusal.
        Err(Fault::Refused { .. }) if number > 1 => Ok(None),
        Err(fault) => Err(fault),
    }
}

#[async_trait]
impl Lists for ValueLists {
    fn tables(&self) -> &'static [&'static str] {
        &TABLES
    }

    async fn list(&self, table: &str, page: Option<&Cursor>) -> Result<ListPage, Fault> {
        if table == "shipping_service" {
            let ask = Ask::get("list shipping services", "PostalServices/GetPostalServices", &[], Priority::Sweeps);
            let answer = self.client.json(&ask).await?;
            let entry = |row: &Value| {
                let name = row["PostalServiceName"].as_str()?.trim().to_owned();
                Some(ListEntry { id: name.clone(), name, active: true })
            };
            let rows = answer.as_array().map(Vec::as_slice).unwrap_or_default();
            return Ok(ListPage { entries: rows.iter().filter_map(entry).collect(), next: None });
        }
        let number: usize = page.and_then(|Cursor(text)| text.parse().ok()).unwrap_or(1);
        // A composite is no item that we send: bundles come as their components.
        let Some(rows) = items(&self.client, number, &[], true, Priority::Sweeps).await? else { return Ok(ListPage::default()) };
        let entry = |row: &Value| {
            let sku = row["ItemNumber"].as_str()?.trim().to_owned();
            let active = !row["IsArchived"].as_bool().unwrap_or(false);
            Some(ListEntry { id: sku.clone(), name: sku, active })
        };
        let full = rows.len() >= ITEMS_PAGE;
        let next = full.then(|| Cursor(number.saturating_add(1).to_string()));
        Ok(ListPage { entries: rows.iter().filter_map(entry).collect(), next })
    }
}
