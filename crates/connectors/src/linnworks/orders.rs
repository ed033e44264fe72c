//! Pick orders into Linnworks, and read back by their reference.
//!
//! Linnworks answers a creation with the ids of *saved* orders only, in no stated relation to what was sent, and skips a
//! paid order that it has without a word. So one order goes per call, and its id is never taken from the answer: an order
//! is known by its reference, which is also what a look after a lost answer asks for.

use std::sync::Arc;

use async_trait::async_trait;
use selvedge_connector::{
    Cursor, Decoded, Effect, Encoded, Enumerated, EnumeratedPage, Fault, Found, Need, Page, Priority, Raw, Receipt, Request,
    Sink, Source, Standing,
};
use selvedge_model::{
    ExternalId, Interval, Kind, Order, Problem, RecordKey,
    compare::Carries,
    gate::{Lookup, Values},
};
use serde_json::Value;

use super::{
    client::{Ask, Client},
    decode, encode,
    settings::Form,
    shipments::changed,
};

/// The port.
pub(super) struct Orders {
    pub client: Client,
    pub form: Arc<Form>,
}

impl Orders {
    /// All orders with a reference, as they came; none when there is none of ours.
    async fn by_reference(&self, reference: &str, priority: Priority) -> Result<Option<Raw>, Fault> {
        let what = format!("read order {reference}");
        let ask = Ask::get(what, "Orders/GetOrderDetailsByReferenceId", &[("ReferenceId", reference)], priority);
        let documents = self.client.json(&ask).await?;
        let ours = decode::standing(&documents, reference, &self.form);
        if ours.parts.is_empty() && ours.unread == 0 {
            return Ok(None);
        }
        let body = documents.to_string().into_bytes().into();
        Ok(Some(Raw { kind: Kind::Order, id: ExternalId::new(reference), version: None, body }))
    }
}

fn not_saved(reference: &str) -> Problem {
    Problem::new(
        "pick.not_saved",
        "",
        format!("Linnworks answered without saving order {reference}, and gives no reason"),
        "Look at the order's lines and dates; release tries once more.",
    )
    .cause(reference)
}

#[async_trait]
impl Source<Order> for Orders {
    fn decode(&self, raw: &Raw, words: &Values) -> Decoded<Order> {
        decode::order(raw, words, &self.form)
    }

    async fn list(&self, interval: &Interval, page: Option<&Cursor>) -> Result<Page, Fault> {
        let (documents, next) =
            changed(&self.client, &self.form, interval, page, Priority::Orders, "list changed orders").await?;
        let mut raws = Vec::new();
        for document in documents {
            let Some(reference) = document["GeneralInfo"]["ReferenceNum"].as_str() else { continue };
            raws.extend(self.by_reference(reference, Priority::Orders).await?);
        }
        Ok(Page { raws, next })
    }

    async fn enumerate(&self, interval: &Interval, page: Option<&Cursor>) -> Result<EnumeratedPage, Fault> {
        let (documents, next) = changed(&self.client, &self.form, interval, page, Priority::Sweeps, "enumerate orders").await?;
        let item = |document: &Value| {
            let reference = document["GeneralInfo"]["ReferenceNum"].as_str()?;
            let version = decode::time(&document["LastUpdated"]);
            Some(Enumerated { id: ExternalId::new(reference), key: Some(RecordKey::new(reference)), version })
        };
        Ok(EnumeratedPage { items: documents.iter().filter_map(item).collect(), next })
    }

    async fn fetch(&self, ids: &[ExternalId], priority: Priority) -> Result<Vec<Raw>, Fault> {
        let mut raws = Vec::new();
        for id in ids {
            raws.extend(self.by_reference(id.as_str(), priority).await?);
        }
        Ok(raws)
    }

    fn fetch_max(&self) -> usize {
        1
    }
}

#[async_trait]
impl Sink<Order> for Orders {
    fn lookups(&self, order: &Order) -> Vec<Lookup> {
        encode::lookups(order, &self.form)
    }

    fn needs(&self, _order: &Order) -> Option<Need> {
        None
    }

    fn encode(&self, order: &Order, values: &Values, there: Standing<'_>) -> Result<Encoded, Vec<Problem>> {
        let own = there.own.map(|raw| {
            let documents: Value = serde_json::from_slice(&raw.body).unwrap_or_default();
            decode::standing(&documents, raw.id.as_str(), &self.form)
        });
        encode::order(order, values, own.as_ref(), &self.form)
    }

    async fn find(&self, record: &Order) -> Result<Option<Found>, Fault> {
        let found = self.by_reference(record.number.as_str(), Priority::Orders).await?;
        Ok(found.map(|raw| Found { id: raw.id }))
    }

    async fn put(&self, request: &Request) -> Result<Receipt, Fault> {
        let cancels = request.path == "Orders/CancelOrder";
        let method = if cancels { "Orders/CancelOrder" } else { "Orders/CreateOrders" };
        let ask = Ask::post(&request.what, method, &request.body, Effect::Write, Priority::Orders);
        let answer = self.client.json(&ask).await?;
        if cancels {
            return Ok(Receipt { id: request.update.clone(), warnings: Vec::new() });
        }
        let reference = request.body["orders"][0]["ReferenceNumber"].as_str().unwrap_or_default();
        match answer.as_array().map(Vec::as_slice) {
            // Skipped: it has a paid order of this reference, or would not save this one. A look by reference tells which.
            Some([]) => match self.by_reference(reference, Priority::Orders).await {
                Ok(Some(raw)) => Err(Fault::Exists { what: request.what.clone(), id: Some(raw.id) }),
                Ok(None) => Err(Fault::Refused { what: request.what.clone(), problems: vec![not_saved(reference)] }),
                Err(fault) => Err(Fault::Unanswered { what: request.what.clone(), source: Some(fault.into()) }),
            },
            Some(_) => Ok(Receipt { id: Some(ExternalId::new(reference)), warnings: Vec::new() }),
            None => {
                Err(Fault::Unanswered { what: request.what.clone(), source: Some("the answer names no saved orders".into()) })
            }
        }
    }

    fn carries(&self) -> Carries {
        Carries { status: true, ..Carries::default() }
    }
}
