//! What left: the allocations of our orders, each with its shipment once it has one.

use std::sync::Arc;

use async_trait::async_trait;
use selvedge_connector::{Cursor, Decoded, Enumerated, EnumeratedPage, Fault, Page, Priority, Raw, Source};
use selvedge_model::{ExternalId, Interval, Kind, Shipment, gate::Values};
use serde_json::{Value, json};

use super::{
    client::{Ask, Client},
    decode,
    orders::instant,
    settings::Form,
};

/// The port.
pub(super) struct Shipments {
    pub client: Client,
    pub form: Arc<Form>,
}

/// The allocations of an order. One's *as of* is the latest instant that it, its shipment or its order tells: whether a
/// tracking number that comes later moves the order is not documented.
fn raws(order: &Value) -> Vec<Raw> {
    let about = json!({ "number": order["number"], "id": order["id"], "updated_at": order["updated_at"] });
    let raw = |allocation: &Value| {
        let id = decode::text(&allocation["id"])?;
        let shipment = &allocation["shipment"];
        let times = [&order["updated_at"], &allocation["updated_at"], &shipment["created_at"], &shipment["updated_at"]];
        let version = times.into_iter().filter_map(decode::time).max();
        let body = json!({ "order": about, "allocation": allocation }).to_string().into_bytes().into();
        // An order is fetched, and its allocations with it: both ids are needed to find one again.
        let id = ExternalId::new(format!("{}/{id}", decode::text(&order["id"])?));
        Some(Raw { kind: Kind::Shipment, id, version, body })
    };
    order["allocations"].as_array().into_iter().flatten().filter_map(raw).collect()
}

impl Shipments {
    async fn changed(
        &self,
        interval: &Interval,
        page: Option<&Cursor>,
        by: &str,
        priority: Priority,
    ) -> Result<(Vec<Raw>, Option<Cursor>), Fault> {
        let from = instant(interval.from);
        let rows = self.client.page("list shipped orders", "/orders", &[(by, &from)], page, priority).await?;
        let ours = rows.rows.iter().filter(|order| decode::is_ours(order, &self.form));
        Ok((ours.flat_map(raws).collect(), rows.next))
    }
}

#[async_trait]
impl Source<Shipment> for Shipments {
    fn decode(&self, raw: &Raw, _words: &Values) -> Decoded<Shipment> {
        decode::shipment(raw, &self.form)
    }

    async fn list(&self, interval: &Interval, page: Option<&Cursor>) -> Result<Page, Fault> {
        let (raws, next) = self.changed(interval, page, "updated_at_min", Priority::Shipments).await?;
        Ok(Page { raws, next })
    }

    /// By creation: whether shipping moves an order's last change is not documented, so everything young is looked at.
    async fn enumerate(&self, interval: &Interval, page: Option<&Cursor>) -> Result<EnumeratedPage, Fault> {
        let (raws, next) = self.changed(interval, page, "created_at_min", Priority::Sweeps).await?;
        let item = |raw: Raw| Enumerated { id: raw.id, key: None, version: raw.version };
        Ok(EnumeratedPage { items: raws.into_iter().map(item).collect(), next })
    }

    async fn fetch(&self, ids: &[ExternalId], priority: Priority) -> Result<Vec<Raw>, Fault> {
        let mut found = Vec::new();
        for id in ids {
            let Some((order, _)) = id.as_str().split_once('/') else { continue };
            let ask = Ask::get(format!("read order {order}"), format!("/orders/{order}"), priority.max(Priority::Shipments));
            let order = self.client.json(&ask).await?.unwrap_or_default();
            found.extend(raws(&order).into_iter().filter(|raw| raw.id == *id));
        }
        Ok(found)
    }

    fn fetch_max(&self) -> usize {
        1
    }
}
