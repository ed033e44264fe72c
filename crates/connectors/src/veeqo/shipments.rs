//! What left: the allocations of our orders, each with its shipment once it has one, cancelled orders included: what
//! had left before has left.

use std::sync::Arc;

use async_trait::async_trait;
use selvedge_connector::{Cursor, Decoded, Enumerated, EnumeratedPage, Fault, Page, Priority, Raw, Source};
use selvedge_model::{ExternalId, Interval, Kind, Shipment, gate::Values};
use serde_json::{Value, json};

use super::{
    client::{Ask, Client},
    decode,
    orders::{instant, ours},
    settings::Form,
};
use crate::unread;

/// The port.
pub(super) struct Shipments {
    pub client: Client,
    pub form: Arc<Form>,
}

/// How many orders may be merged into each other one after another.
const MERGES_MAX: usize = 5;

/// The allocations of an order. One's *as of* is the latest instant that it, its shipment or its order tells: whether a
/// tracking number that comes later moves the order is not documented.
fn raws(order: &Value, into: Option<&Value>) -> Vec<Raw> {
    let holder = into.unwrap_or(order);
    let mut about = json!({ "number": order["number"], "id": order["id"], "updated_at": order["updated_at"] });
    if into.is_some() {
        about["line_items"] = order["line_items"].clone();
    } else if order["merged_order"] == true {
        about["merged_order"] = json!(true);
    }
    let raw = |allocation: &Value| {
        let id = decode::text(&allocation["id"])?;
        if into.is_some() && !decode::has_goods_of(allocation, order) {
            return None;
        }
        let shipment = &allocation["shipment"];
        let times = [
            &order["updated_at"],
            &holder["updated_at"],
            &allocation["updated_at"],
            &shipment["created_at"],
            &shipment["updated_at"],
        ];
        let version = times.into_iter().filter_map(decode::time).max();
        let mut body = json!({ "order": about, "allocation": allocation });
        if let Some(into) = into {
            body["into"] = json!({ "line_items": into["line_items"], "allocations": into["allocations"] });
        }
        // An order is fetched, and its allocations with it: both ids are needed to find one again.
        let id = ExternalId::new(format!("{}/{id}", decode::text(&order["id"])?));
        Some(Raw { kind: Kind::Shipment, id, version, body: body.to_string().into_bytes().into() })
    };
    holder["allocations"].as_array().into_iter().flatten().filter_map(raw).collect()
}

/// In the place of the allocations of an order that was merged into one that is not shown. Once it is, the sweep lists
/// ids of allocations that are not known yet.
fn unshown(order: &Value, reason: &str) -> Option<Raw> {
    let id = ExternalId::new(format!("{}/unread", decode::text(&order["id"])?));
    let about = json!({ "number": order["number"], "id": order["id"] });
    let body = json!({ "order": about, "unread": reason }).to_string().into_bytes().into();
    Some(Raw { kind: Kind::Shipment, id, version: None, body })
}

impl Shipments {
    async fn order(&self, id: &str, priority: Priority) -> Result<Option<Value>, Fault> {
        self.client.json(&Ask::get(format!("read order {id}"), format!("/orders/{id}"), priority)).await
    }

    /// The allocations of an order; of one that was merged into another, those of the other that hold goods of it.
    async fn allocations(&self, order: &Value, priority: Priority) -> Result<Vec<Raw>, Fault> {
        let Some(mut into) = decode::merged_into(order) else { return Ok(raws(order, None)) };
        for _ in 0..MERGES_MAX {
            let holder = match self.order(&into, priority).await {
                Ok(Some(holder)) => holder,
                Ok(None) => break,
                // One order that is not shown holds those whose goods it has, and no others.
                Err(fault) => match unread::reason(&fault) {
                    Some(reason) => return Ok(unshown(order, &reason).into_iter().collect()),
                    None => return Err(fault),
                },
            };
            match decode::merged_into(&holder) {
                Some(next) => into = next,
                None => return Ok(raws(order, Some(&holder))),
            }
        }
        tracing::warn!(order = %order["number"], into, "an order was merged into one that cannot be found");
        Ok(Vec::new())
    }

    async fn changed(
        &self,
        interval: &Interval,
        page: Option<&Cursor>,
        by: &str,
        priority: Priority,
    ) -> Result<(Vec<Raw>, Option<Cursor>), Fault> {
        let from = instant(interval.from);
        let filter = (by, from.as_str());
        let (rows, next) = ours(&self.client, &self.form, "list shipped orders", filter, page, priority).await?;
        let mut found = Vec::new();
        for order in &rows {
            found.extend(self.allocations(order, priority).await?);
        }
        Ok((found, next))
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
            let priority = priority.max(Priority::Shipments);
            let Some(order) = self.order(order, priority).await? else { continue };
            found.extend(self.allocations(&order, priority).await?.into_iter().filter(|raw| raw.id == *id));
        }
        Ok(found)
    }

    fn fetch_max(&self) -> usize {
        1
    }
}
