//! The account's own lists of values: its sellables by SKU and its delivery methods.

use async_trait::async_trait;
use selvedge_connector::{Cursor, Fault, ListEntry, ListPage, Lists, Priority};
use serde_json::Value;

use super::{client::Client, decode::text};

/// The tables that it lists.
const TABLES: [&str; 2] = ["item", "shipping_service"];

/// The port.
pub(super) struct ValueLists {
    pub client: Client,
}

/// The sellables of a product, each by its exact SKU. (Two products may have one SKU: then the gate asks a person which.)
fn sellables(product: &Value) -> Vec<ListEntry> {
    let gone = !product["deleted_at"].is_null();
    let entry = |sellable: &Value| {
        Some(ListEntry {
            id: text(&sellable["id"])?,
            name: sellable["sku_code"].as_str()?.to_owned(),
            active: !gone && sellable["deleted_at"].is_null(),
        })
    };
    product["sellables"].as_array().into_iter().flatten().filter_map(entry).collect()
}

#[async_trait]
impl Lists for ValueLists {
    fn tables(&self) -> &'static [&'static str] {
        &TABLES
    }

    async fn list(&self, table: &str, page: Option<&Cursor>) -> Result<ListPage, Fault> {
        let path = if table == "shipping_service" { "/delivery_methods" } else { "/products" };
        let rows = self.client.page(&format!("list {table}"), path, &[], page, Priority::Lists).await?;
        let entries = if table == "shipping_service" {
            let entry = |row: &Value| Some(ListEntry { id: text(&row["id"])?, name: text(&row["name"])?, active: true });
            rows.rows.iter().filter_map(entry).collect()
        } else {
            rows.rows.iter().flat_map(sellables).collect()
        };
        Ok(ListPage { entries, next: rows.next })
    }
}
