//! What left: processed orders of ours, each with its parcels.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::SignedDuration;
use selvedge_connector::{Cursor, Decoded, Enumerated, EnumeratedPage, Fault, Page, Priority, Raw, Source};
use selvedge_model::{ExternalId, Interval, Kind, Shipment, gate::Values};
use serde_json::{Value, json};

use super::{
    client::{Ask, Client},
    decode,
    settings::Form,
};
use crate::unread;

/// Orders per page. The vendor states no upper bound.
const PAGE: &str = "100";

/// The port.
pub(super) struct Shipments {
    pub client: Client,
    pub form: Arc<Form>,
    pub parcels: bool,
}

/// One page of our orders that changed since the interval began, open and processed. (The list takes no end; what
/// changed later than the interval's comes twice.) A cursor is the vendor's search token.
pub(super) async fn changed(
    client: &Client,
    form: &Form,
    interval: &Interval,
    page: Option<&Cursor>,
    priority: Priority,
    what: &str,
) -> Result<(Vec<Value>, Option<Cursor>), Fault> {
    let from = interval.from.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut query = vec![("fromDate", from.as_str()), ("includeProcessed", "true"), ("entriesPerPage", PAGE)];
    query.extend(page.map(|Cursor(token)| ("searchToken", token.as_str())));
    let answer = client.json(&Ask::get(what, "v2/orders", &query, priority)).await?;
    let rows = |name: &str| answer[name].as_array().cloned().unwrap_or_default();
    let documents: Vec<Value> = rows("OpenOrders").into_iter().chain(rows("ProcessedOrders")).collect();
    let token = answer["NextSearchToken"].as_str().map(str::trim).filter(|token| !token.is_empty());
    // A page without rows ends the list, whatever token it names.
    let next = token.filter(|_| !documents.is_empty()).map(|token| Cursor(token.to_owned()));
    Ok((documents.into_iter().filter(|document| decode::is_ours(document, form)).collect(), next))
}

/// Parts the vendor's token from the order behind which a page goes on.
const BEHIND: char = '#';

/// The vendor's token, and the order behind which its page goes on.
fn place(page: Option<&Cursor>) -> (Option<&str>, Option<&str>) {
    let Some(Cursor(text)) = page else { return (None, None) };
    match text.rsplit_once(BEHIND) {
        Some((token, behind)) => (Some(token).filter(|token| !token.is_empty()), Some(behind)),
        None => (Some(text), None),
    }
}

/// Whether an order is processed, and what was ordered: one that is sent once more ships nothing new of it.
fn is_shipment(document: &Value) -> bool {
    let processed = document["Processed"].as_bool().unwrap_or(false) || decode::time(&document["ProcessedOn"]).is_some();
    processed && !decode::is_copy(document)
}

impl Shipments {
    async fn raw(&self, mut order: Value, priority: Priority) -> Result<Option<Raw>, Fault> {
        let Some(id) = order["OrderId"].as_str().map(str::to_owned) else { return Ok(None) };
        // The v2 list parts open from processed orders and does not repeat it on each.
        order["Processed"] = json!(true);
        let version = decode::time(&order["LastUpdated"]);
        let packages = if self.parcels {
            let what = format!("read the parcels of {id}");
            let ask = Ask::get(what, "ProcessedOrders/GetPackageSplit", &[("pkOrderId", id.as_str())], priority);
            match self.client.json(&ask).await {
                Ok(packages) => packages,
                Err(fault) => {
                    // Older by a hair than the order that is listed, so that the sweep reads it anew.
                    let version = version.and_then(|at| at.checked_sub(SignedDuration::from_millis(1)).ok());
                    let Some(reason) = unread::reason(&fault) else { return Err(fault) };
                    let body = json!({ "order": order, "unread": reason }).to_string().into_bytes().into();
                    return Ok(Some(Raw { kind: Kind::Shipment, id: ExternalId::new(id), version, body }));
                }
            }
        } else {
            Value::Null
        };
        let body = json!({ "order": order, "packages": packages }).to_string().into_bytes().into();
        Ok(Some(Raw { kind: Kind::Shipment, id: ExternalId::new(id), version, body }))
    }
}

#[async_trait]
impl Source<Shipment> for Shipments {
    fn decode(&self, raw: &Raw, _words: &Values) -> Decoded<Shipment> {
        decode::shipment(raw, &self.form)
    }

    /// Each order costs a call for its parcels. One that is refused holds this order alone. When a call does not come through, what was read before it is a
    /// page of its own, and the next one goes on behind the last order that was read.
    async fn list(&self, interval: &Interval, page: Option<&Cursor>) -> Result<Page, Fault> {
        let (priority, what) = (Priority::Shipments, "list shipped orders");
        let (token, behind) = place(page);
        let token = token.map(|token| Cursor(token.to_owned()));
        let (documents, next) = changed(&self.client, &self.form, interval, token.as_ref(), priority, what).await?;
        let id = |document: &Value| document["OrderId"].as_str().map(str::to_owned);
        // Whoever changed meanwhile has left the page; if that was the last one read, the page is read anew.
        let read = behind.and_then(|behind| documents.iter().position(|document| id(document).as_deref() == Some(behind)));
        let (mut raws, mut last) = (Vec::new(), None);
        for document in documents.into_iter().skip(read.map_or(0, |at| at + 1)).filter(is_shipment) {
            let of = id(&document);
            match (self.raw(document, priority).await, last) {
                (Ok(raw), _) => {
                    raws.extend(raw);
                    last = of;
                }
                (Err(_), Some(behind)) => {
                    let token = token.map(|Cursor(token)| token).unwrap_or_default();
                    return Ok(Page { raws, next: Some(Cursor(format!("{token}{BEHIND}{behind}"))) });
                }
                (Err(fault), None) => return Err(fault),
            }
        }
        Ok(Page { raws, next })
    }

    async fn enumerate(&self, interval: &Interval, page: Option<&Cursor>) -> Result<EnumeratedPage, Fault> {
        let priority = Priority::Sweeps;
        let (documents, next) = changed(&self.client, &self.form, interval, page, priority, "enumerate shipped orders").await?;
        let item = |document: &Value| {
            let id = ExternalId::new(document["OrderId"].as_str()?);
            Some(Enumerated { id, key: None, version: decode::time(&document["LastUpdated"]) })
        };
        Ok(EnumeratedPage { items: documents.iter().filter(|document| is_shipment(document)).filter_map(item).collect(), next })
    }

    async fn fetch(&self, ids: &[ExternalId], priority: Priority) -> Result<Vec<Raw>, Fault> {
        let query: Vec<(&str, &str)> = ids.iter().map(|id| ("id", id.as_str())).collect();
        let ask = Ask::get(format!("fetch {} shipped orders", ids.len()), "v2/orders", &query, priority.max(Priority::Shipments));
        let answer = self.client.json(&ask).await?;
        let mut raws = Vec::new();
        let documents = answer["ProcessedOrders"].as_array().cloned().unwrap_or_default();
        for document in documents.into_iter().filter(|document| !decode::is_copy(document)) {
            raws.extend(self.raw(document, priority.max(Priority::Shipments)).await?);
        }
        Ok(raws)
    }

    fn fetch_max(&self) -> usize {
        20
    }
}
