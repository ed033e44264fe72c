//! Products into the account as items: inventory items, and kits for bundles; and read back.
//!
//! An item is found by our external id, else by its name, byte for byte: one that stands already, entered by hand or by an
//! earlier system, is adopted and brought in line, never doubled. NetSuite refuses a second item of one name within one
//! type only, so a look goes before every creation.

pub(crate) mod decode;
pub(crate) mod encode;

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::{Timestamp, civil::DateTime};
use selvedge_connector::{
    Cursor, Decoded, Encoded, Enumerated, EnumeratedPage, Fault, Found, Need, Page, Priority, Raw, Receipt, Request, Sink,
    Source, Standing,
};
use selvedge_model::{
    ExternalId, Interval, Kind, Problem, Product, RecordKey,
    compare::Carries,
    gate::{Lookup, Values},
    records::ProductFields,
};

use super::{
    client::Client,
    orders::{fetch, put},
    settings::{Form, ItemSettings},
    suiteql, wire,
};

/// Items of one page of `list`: each is a call of its own.
const LIST_PAGE: usize = 25;
/// What an external id of an item begins with: all items share one group of ids.
pub(crate) const PREFIX: &str = "item_";
/// Types of items that stand for goods. Others of the same name (a discount, a service) are none of ours.
const GOODS: &str = "'InvtPart', 'Kit', 'Assembly', 'NonInvtPart'";

/// Both ports.
pub(crate) struct Items {
    pub client: Client,
    pub form: Form,
    pub settings: ItemSettings,
}

/// The record types that an item of this type may be of, the usual one first. SuiteQL tells the type alone.
fn records(item_type: &str) -> &'static [&'static str] {
    match item_type {
        "InvtPart" => &["inventoryItem", "lotNumberedInventoryItem", "serializedInventoryItem"],
        "Kit" => &["kitItem"],
        "Assembly" => &["assemblyItem", "lotNumberedAssemblyItem", "serializedAssemblyItem"],
        "NonInvtPart" => &["nonInventorySaleItem", "nonInventoryResaleItem", "nonInventoryPurchaseItem"],
        _ => &[],
    }
}

impl Items {
    /// Items of goods, changed in the interval where one is given.
    async fn page(&self, interval: Option<&Interval>, page: Option<&Cursor>, limit: usize) -> Result<EnumeratedPage, Fault> {
        let zone = &self.form.query_time_zone;
        let text = |moment: Timestamp| moment.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
        let last = page.map_or("0", |cursor| cursor.0.as_str());
        let mut parameters = vec![last.to_owned()];
        let changed = match interval {
            Some(interval) => {
                parameters.extend([text(interval.from), text(interval.to)]);
                " AND lastmodifieddate >= TO_TIMESTAMP(?, 'YYYY-MM-DD HH24:MI:SS') AND lastmodifieddate <= TO_TIMESTAMP(?, 'YYYY-MM-DD HH24:MI:SS')"
            }
            None => "",
        };
        let sql = format!(
            "SELECT id, itemid, TO_CHAR(lastmodifieddate,'YYYY-MM-DD HH24:MI:SS') AS lm FROM item WHERE id > ? AND itemtype IN ({GOODS}){changed} ORDER BY id"
        );
        let parameters: Vec<&str> = parameters.iter().map(String::as_str).collect();
        let rows = suiteql::query(&self.client, "list items", &sql, &parameters, limit, Priority::Sweeps).await?;
        let full = rows.more || rows.rows.len() >= limit;
        let next = rows.rows.last().and_then(|row| row.get("id")).filter(|_| full).map(|id| Cursor(id.clone()));
        let items = rows.rows.iter().filter_map(|row| {
            let version = row.get("lm").and_then(|text| text.parse::<DateTime>().ok());
            let version = version.and_then(|local| zone.to_timestamp(local).ok());
            let key = row.get("itemid").map(|name| RecordKey::new(decode::leaf(name)));
            Some(Enumerated { id: ExternalId::new(row.get("id")?), key, version })
        });
        Ok(EnumeratedPage { items: items.collect(), next })
    }

    /// The documents of these items; what is no item of goods any more is left out.
    async fn read(&self, ids: &[ExternalId], priority: Priority) -> Result<Vec<Raw>, Fault> {
        let digits = |id: &&ExternalId| !id.as_str().is_empty() && id.as_str().bytes().all(|b| b.is_ascii_digit());
        let ids: Vec<&ExternalId> = ids.iter().filter(digits).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let list = ids.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(", ");
        let sql = format!("SELECT id, itemtype FROM item WHERE id IN ({list}) ORDER BY id");
        let rows = suiteql::query(&self.client, "ask what kind of items these are", &sql, &[], ids.len(), priority).await?;
        let types: BTreeMap<&str, &str> =
            rows.rows.iter().filter_map(|row| Some((row.get("id")?.as_str(), row.get("itemtype")?.as_str()))).collect();
        let mut raws = Vec::new();
        for id in ids {
            for record in records(types.get(id.as_str()).copied().unwrap_or_default()) {
                if let Some(raw) = fetch(&self.client, Kind::Product, record, id, priority).await? {
                    raws.push(raw);
                    break;
                }
            }
        }
        Ok(raws)
    }

    /// The item under our external id, else the one of this name.
    async fn look(&self, sku: &str) -> Result<Option<Found>, Fault> {
        let what = format!("look for item {sku}");
        let external_id = wire::external_id(PREFIX, sku);
        let by = async |column: &str, value: &str| {
            let sql = format!(
                "SELECT id, itemid, externalid, itemtype FROM item WHERE {column} = ? AND itemtype IN ({GOODS}) ORDER BY id"
            );
            suiteql::query(&self.client, &what, &sql, &[value], 10, Priority::Products).await
        };
        let ours = by("externalid", &external_id).await?;
        if let Some(id) = ours.rows.first().and_then(|row| row.get("id")) {
            return Ok(Some(Found { id: ExternalId::new(id) }));
        }
        let named = by("itemid", sku).await?;
        // Whether the account compares letters by their case is not documented; we do.
        let same: Vec<&suiteql::Row> =
            named.rows.iter().filter(|row| row.get("itemid").is_some_and(|name| name == sku)).collect();
        match same[..] {
            [] => Ok(None),
            [only] => Ok(only.get("id").map(|id| Found { id: ExternalId::new(id) })),
            _ => Err(Fault::Refused { what, problems: vec![twice(sku, &same)] }),
        }
    }
}

fn twice(sku: &str, rows: &[&suiteql::Row]) -> Problem {
    let told = |row: &&suiteql::Row| {
        let of = |name: &str| row.get(name).map_or("?", String::as_str);
        format!("{} ({})", of("id"), of("itemtype"))
    };
    let ids: Vec<String> = rows.iter().map(told).collect();
    Problem::new(
        "product.twice",
        "sku",
        format!("{} items there are called {sku}: {}", rows.len(), ids.join(", ")),
        "Which of them is the product cannot be told. Rename or merge the others there, or give the right one the external id that the page names; then release.",
    )
    .value(sku)
    .cause(sku)
}

#[async_trait]
impl Sink<Product> for Items {
    fn lookups(&self, product: &Product) -> Vec<Lookup> {
        encode::lookups(product)
    }

    fn needs(&self, _product: &Product) -> Option<Need> {
        // What a kit is made of is looked up in the account's own list of items, which the gate waits for.
        None
    }

    fn encode(&self, product: &Product, values: &Values, there: Standing<'_>) -> Result<Encoded, Vec<Problem>> {
        encode::product(product, values, there.own, &self.form, &self.settings)
    }

    async fn find(&self, record: &Product) -> Result<Option<Found>, Fault> {
        self.look(record.sku.as_str()).await
    }

    async fn put(&self, request: &Request) -> Result<Receipt, Fault> {
        if request.update.is_none()
            && let Some(sku) = wire::text(&request.body, "itemId")
            && let Some(found) = self.look(&sku).await?
        {
            let said = format!("item {} stood there already under this name and is taken over", found.id);
            return Ok(Receipt { id: Some(found.id), warnings: vec![said] });
        }
        put(&self.client, request).await
    }

    fn carries(&self) -> Carries {
        Carries { product: ProductFields::ALL, ..Carries::default() }
    }

    /// One that is found may be another's: it is read, and what differs is sent.
    fn finishes_in_one(&self) -> bool {
        false
    }
}

#[async_trait]
impl Source<Product> for Items {
    fn decode(&self, raw: &Raw, words: &Values) -> Decoded<Product> {
        decode::product(raw, words, &self.settings)
    }

    async fn list(&self, interval: &Interval, page: Option<&Cursor>) -> Result<Page, Fault> {
        let found = self.page(Some(interval), page, LIST_PAGE).await?;
        let ids: Vec<ExternalId> = found.items.into_iter().map(|item| item.id).collect();
        Ok(Page { raws: self.read(&ids, Priority::Sweeps).await?, next: found.next })
    }

    /// All items of goods: when they were made says nothing about which products there should be.
    async fn enumerate(&self, _interval: &Interval, page: Option<&Cursor>) -> Result<EnumeratedPage, Fault> {
        self.page(None, page, suiteql::PAGE).await
    }

    async fn fetch(&self, ids: &[ExternalId], priority: Priority) -> Result<Vec<Raw>, Fault> {
        self.read(ids, priority.max(Priority::Products)).await
    }

    fn fetch_max(&self) -> usize {
        LIST_PAGE
    }
}
