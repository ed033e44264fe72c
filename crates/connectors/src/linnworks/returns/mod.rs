//! Goods that come back: a return of the shop is booked on its processed order, and bookings whose goods have arrived are read.
//!
//! Linnworks keeps a booking (RMA) per order. What has arrived of one is told with its reference number, which only the order
//! itself has; so the order is read with it. Units that were scrapped and units that went back are two returns.

mod decode;
mod encode;

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use selvedge_connector::{
    Cursor, Decoded, Effect, Encoded, Enumerated, EnumeratedPage, Fault, Found, Need, Needed, Page, Priority, Raw, Receipt,
    Request, Sink, Source, Standing,
};
use selvedge_model::{
    ExternalId, Interval, Kind, Problem, Return,
    compare::Carries,
    gate::{Lookup, Values},
};
use serde_json::{Value, json};

use super::{
    client::{Ask, Client},
    settings::Form,
};

/// The lists of bookings: those that wait, and those that are done with.
const OPEN: &str = "ReturnsRefunds/GetActionableRMAHeaders";
const DONE: &str = "ReturnsRefunds/GetProcessedOrAckedErrorRMAHeaders";
/// Under what `encode` finds the id of the order's document.
const ORDER: &str = "order";
/// Orders read at once.
const ORDERS_AT_ONCE: usize = 20;

/// The port.
pub(super) struct Returns {
    pub client: Client,
    pub form: Arc<Form>,
}

impl Returns {
    /// One page of a list of bookings of ours, and the number of the next page.
    async fn page(
        &self,
        method: &'static str,
        number: u64,
        filter: Option<(&str, &str)>,
        priority: Priority,
    ) -> Result<(Vec<Value>, Option<u64>), Fault> {
        let filters = filter.map(|(kind, value)| json!({ "Type": kind, "Value": value })).unwrap_or_else(|| json!({}));
        let body = json!({ "request": { "Page": number, "Filters": filters } });
        let answer = self.client.json(&Ask::post("list booked returns", method, &body, Effect::Read, priority)).await?;
        let rows = answer["RMAHeaders"].as_array().cloned().unwrap_or_default();
        let (total, each) = (answer["TotalHeaders"].as_u64().unwrap_or(0), answer["HeadersPerPage"].as_u64().unwrap_or(0));
        let more = !rows.is_empty() && number.saturating_mul(each) < total;
        let ours = rows.into_iter().filter(|header| decode::is_ours(header, &self.form)).collect();
        Ok((ours, more.then_some(number + 1)))
    }

    /// Bookings of ours that a filter finds, open or done with.
    async fn filtered(&self, kind: &str, value: &str, priority: Priority) -> Result<Vec<Value>, Fault> {
        let mut found = Vec::new();
        for method in [OPEN, DONE] {
            let mut number = Some(1);
            while let Some(page) = number {
                let (rows, next) = self.page(method, page, Some((kind, value)), priority).await?;
                found.extend(rows);
                number = next;
            }
        }
        Ok(found)
    }

    /// The orders of these bookings, by their ids.
    async fn orders(&self, headers: &[Value], priority: Priority) -> Result<BTreeMap<String, Value>, Fault> {
        let mut ids: Vec<&str> = headers.iter().filter_map(|header| header["OrderId"].as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut found = BTreeMap::new();
        for some in ids.chunks(ORDERS_AT_ONCE) {
            let query: Vec<(&str, &str)> = some.iter().map(|id| ("id", *id)).collect();
            let answer = self.client.json(&Ask::get("read returned orders", "v2/orders", &query, priority)).await?;
            for list in ["ProcessedOrders", "OpenOrders"] {
                for order in answer[list].as_array().cloned().unwrap_or_default() {
                    if let Some(id) = order["OrderId"].as_str() {
                        found.insert(id.to_owned(), order);
                    }
                }
            }
        }
        Ok(found)
    }

    async fn raws(&self, headers: Vec<Value>, priority: Priority) -> Result<Vec<Raw>, Fault> {
        let arrived: Vec<Value> = headers.into_iter().filter(|header| !decode::parts(header).is_empty()).collect();
        let orders = self.orders(&arrived, priority).await?;
        let mut raws = Vec::new();
        for header in arrived {
            let order = header["OrderId"].as_str().and_then(|id| orders.get(id)).cloned().unwrap_or_default();
            let Some(id) = decode::header_id(&header) else { continue };
            for part in decode::parts(&header) {
                let body = json!({ "rma": header, "order": order }).to_string().into_bytes().into();
                let id = ExternalId::new(format!("{id}/{}", part.word()));
                raws.push(Raw { kind: Kind::Return, id, version: decode::changed(&header), body });
            }
        }
        Ok(raws)
    }
}

#[async_trait]
impl Source<Return> for Returns {
    fn decode(&self, raw: &Raw, _words: &Values) -> Decoded<Return> {
        decode::returned(raw, &self.form)
    }

    /// Bookings that are done with. The list takes no interval, so all of it is read and what is older is left out.
    async fn list(&self, interval: &Interval, page: Option<&Cursor>) -> Result<Page, Fault> {
        let number = page.and_then(|Cursor(text)| text.parse().ok()).unwrap_or(1);
        let (rows, next) = self.page(DONE, number, None, Priority::Returns).await?;
        let young = |header: &Value| decode::changed(header).is_none_or(|at| at >= interval.from);
        let raws = self.raws(rows.into_iter().filter(young).collect(), Priority::Returns).await?;
        Ok(Page { raws, next: next.map(|number| Cursor(number.to_string())) })
    }

    async fn enumerate(&self, interval: &Interval, page: Option<&Cursor>) -> Result<EnumeratedPage, Fault> {
        let number = page.and_then(|Cursor(text)| text.parse().ok()).unwrap_or(1);
        let (rows, next) = self.page(DONE, number, None, Priority::Sweeps).await?;
        let mut items = Vec::new();
        for header in rows.iter().filter(|header| decode::changed(header).is_none_or(|at| at >= interval.from)) {
            let Some(id) = decode::header_id(header) else { continue };
            items.extend(decode::parts(header).into_iter().map(|part| Enumerated {
                id: ExternalId::new(format!("{id}/{}", part.word())),
                key: None,
                version: decode::changed(header),
            }));
        }
        Ok(EnumeratedPage { items, next: next.map(|number| Cursor(number.to_string())) })
    }

    async fn fetch(&self, ids: &[ExternalId], priority: Priority) -> Result<Vec<Raw>, Fault> {
        let mut raws = Vec::new();
        for id in ids {
            let (header, part) = match id.as_str().split_once('/') {
                Some((header, part)) => (header, Some(part)),
                None => (id.as_str(), None),
            };
            let found = self.filtered("HEADER_ID", header, priority).await?;
            let found: Vec<Value> = found.into_iter().filter(|one| decode::header_id(one).as_deref() == Some(header)).collect();
            match part {
                Some(_) => raws.extend(self.raws(found, priority).await?.into_iter().filter(|raw| raw.id == *id)),
                // A booking of ours, as it stands.
                None => raws.extend(found.into_iter().take(1).map(|header| Raw {
                    kind: Kind::Return,
                    id: id.clone(),
                    version: decode::changed(&header),
                    body: json!({ "rma": header }).to_string().into_bytes().into(),
                })),
            }
        }
        Ok(raws)
    }

    fn fetch_max(&self) -> usize {
        1
    }
}

#[async_trait]
impl Sink<Return> for Returns {
    fn lookups(&self, _record: &Return) -> Vec<Lookup> {
        Vec::new()
    }

    /// The order's documents say on which row a unit is, and whether it has left.
    fn needs(&self, record: &Return) -> Option<Need> {
        let order = record.order.clone()?;
        if !encode::is_to_be_booked(record, &self.form) {
            return None;
        }
        Some(Need {
            key_text: encode::order_key_text(&order),
            what: Needed::Document { kind: Kind::Order, key: order },
            table: ORDER.to_owned(),
        })
    }

    fn encode(&self, record: &Return, _values: &Values, there: Standing<'_>) -> Result<Encoded, Vec<Problem>> {
        encode::booking(record, there, &self.form)
    }

    async fn find(&self, record: &Return) -> Result<Option<Found>, Fault> {
        let key = record.key.as_str();
        let found = self.filtered("HEADER_REFERENCE", key, Priority::Returns).await?;
        let mut ids: Vec<String> = found
            .iter()
            .filter(|header| decode::reference(header).as_deref() == Some(key))
            .filter_map(decode::header_id)
            .collect();
        ids.sort_by_key(|id| (id.len(), id.clone()));
        ids.dedup();
        if ids.len() > 1 {
            let problem = Problem::new(
                "return.doubled",
                "",
                format!("return {key} is booked in Linnworks {} times: {}", ids.len(), ids.join(", ")),
                "Delete all but the oldest booking in Linnworks, then release.",
            );
            return Err(Fault::Refused { what: format!("look for return {key}"), problems: vec![problem.cause(key)] });
        }
        Ok(ids.pop().map(|id| Found { id: ExternalId::new(id) }))
    }

    async fn put(&self, request: &Request) -> Result<Receipt, Fault> {
        let method = "ReturnsRefunds/CreateRMABooking";
        let ask = Ask::post(&request.what, method, &request.body, Effect::Write, Priority::Returns);
        let answer = self.client.json(&ask).await?;
        let texts = |name: &str| -> Vec<String> {
            answer[name].as_array().into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect()
        };
        let errors = texts("Errors");
        match decode::header_id(&answer) {
            // An answer of 200 that made nothing says why in its body.
            None if !errors.is_empty() => {
                let problem = Problem::new(
                    "return.refused",
                    "",
                    format!("Linnworks does not book the return: {}", errors.join("; ")),
                    "Mend what Linnworks names, or book it there by hand; then release.",
                );
                let problem = problem.cause(errors.first().map_or("", String::as_str));
                Err(Fault::Refused { what: request.what.clone(), problems: vec![problem] })
            }
            id => Ok(Receipt { id: id.map(ExternalId::new), warnings: errors.into_iter().chain(texts("Info")).collect() }),
        }
    }

    /// Lines and units.
    fn carries(&self) -> Carries {
        Carries::default()
    }

    /// Nothing keeps a second booking of one reference out.
    fn looks_first(&self) -> bool {
        true
    }
}
