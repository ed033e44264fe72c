//! The account's own lists of values: its items and its shipping services.

use async_trait::async_trait;
use selvedge_connector::{Cursor, Fault, ListEntry, ListPage, Lists, Priority};
use serde_json::Value;

use super::{
    client::{Ask, Client},
    inventory,
};

/// The tables that it lists.
const TABLES: [&str; 2] = ["item", "shipping_service"];

/// The port.
pub(super) struct ValueLists {
    pub client: Client,
}

#[async_trait]
impl Lists for ValueLists {
    fn tables(&self) -> &'static [&'static str] {
        &TABLES
    }

    async fn list(&self, table: &str, page: Option<&Cursor>) -> Result<ListPage, Fault> {
        if table == "shipping_service" {
            let ask = Ask::get("list shipping services", "PostalServices/GetPostalServices", &[], Priority::Lists);
            let answer = self.client.json(&ask).await?;
            let entry = |row: &Value| {
                let name = row["PostalServiceName"].as_str()?.trim().to_owned();
                Some(ListEntry { id: name.clone(), name, active: true })
            };
            let rows = answer.as_array().map(Vec::as_slice).unwrap_or_default();
            return Ok(ListPage { entries: rows.iter().filter_map(entry).collect(), next: None });
        }
        let items = inventory::page(&self.client, page, &[], Priority::Lists).await?;
        let entry = |row: &Value| {
            let sku = row["ItemNumber"].as_str()?.trim().to_owned();
            Some(ListEntry { id: sku.clone(), name: sku, active: true })
        };
        Ok(ListPage { entries: items.rows.iter().filter_map(entry).collect(), next: items.next })
    }
}
