//! Pick orders into Veeqo, and read back.
//!
//! Veeqo guards nothing against a second order of the same number, and its search is fuzzy and may lag behind what was
//! just entered: so an order is looked for by number before anything is sent a second time, compared exactly, among the
//! cancelled ones, too, which the usual list leaves out.

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
};

/// The port.
pub(super) struct Orders {
    pub client: Client,
    pub form: Arc<Form>,
}

/// As filters take it.
pub(super) fn instant(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn raw(order: &Value) -> Option<Raw> {
    let id = ExternalId::new(decode::text(&order["id"])?);
    let body = order.to_string().into_bytes().into();
    Some(Raw { kind: Kind::Order, id, version: decode::time(&order["updated_at"]), body })
}

impl Orders {
    /// Orders of ours with exactly this number, the oldest first.
    async fn numbered(&self, number: &str) -> Result<Vec<Value>, Fault> {
        let mut found: Vec<Value> = Vec::new();
        for status in [None, Some("cancelled")] {
            let mut page = None;
            loop {
                let mut query = vec![("query", number)];
                query.extend(status.map(|status| ("status", status)));
                let what = format!("look for order {number}");
                let rows = self.client.page(&what, "/orders", &query, page.as_ref(), Priority::Orders).await?;
                let exact = |order: &Value| decode::text(&order["number"]).is_some_and(|text| text == number);
                for order in rows.rows.into_iter().filter(|order| exact(order) && decode::is_ours(order, &self.form)) {
                    if !found.iter().any(|known| known["id"] == order["id"]) {
                        found.push(order);
                    }
                }
                match rows.next {
                    Some(next) => page = Some(next),
                    None => break,
                }
            }
        }
        found.sort_by_key(|order| order["id"].as_u64());
        Ok(found)
    }
}

#[async_trait]
impl Source<Order> for Orders {
    fn decode(&self, raw: &Raw, words: &Values) -> Decoded<Order> {
        decode::order(raw, words)
    }

    async fn list(&self, interval: &Interval, page: Option<&Cursor>) -> Result<Page, Fault> {
        let from = instant(interval.from);
        let rows =
            self.client.page("list changed orders", "/orders", &[("updated_at_min", &from)], page, Priority::Orders).await?;
        let raws = rows.rows.iter().filter(|order| decode::is_ours(order, &self.form)).filter_map(raw).collect();
        Ok(Page { raws, next: rows.next })
    }

    async fn enumerate(&self, interval: &Interval, page: Option<&Cursor>) -> Result<EnumeratedPage, Fault> {
        let page = self.list(interval, page).await?;
        let item = |raw: Raw| Enumerated { id: raw.id, key: None::<RecordKey>, version: raw.version };
        Ok(EnumeratedPage { items: page.raws.into_iter().map(item).collect(), next: page.next })
    }

    async fn fetch(&self, ids: &[ExternalId], priority: Priority) -> Result<Vec<Raw>, Fault> {
        let mut raws = Vec::new();
        for id in ids {
            let order = self.client.json(&Ask::get(format!("read order {id}"), format!("/orders/{id}"), priority)).await?;
            raws.extend(order.as_ref().and_then(raw));
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
        let own = match there.own {
            Some(raw) => Some(decode::there(raw).ok_or_else(|| {
                vec![Problem::new(
                    "decode.unreadable",
                    "",
                    format!("order {} at Veeqo cannot be read", raw.id),
                    "Look at it in Veeqo; if the system has changed, update the connector.",
                )]
            })?),
            None => None,
        };
        encode::order(order, values, own.as_ref(), &self.form)
    }

    async fn find(&self, record: &Order) -> Result<Option<Found>, Fault> {
        let number = record.number.as_str();
        let found = self.numbered(number).await?;
        let standing: Vec<&Value> = found.iter().filter(|order| order["status"] != "cancelled").collect();
        if standing.len() > 1 {
            let ids: Vec<String> = standing.iter().filter_map(|order| decode::text(&order["id"])).collect();
            let problem = Problem::new(
                "pick.doubled",
                "number",
                format!("order {number} stands in Veeqo {} times: {}", standing.len(), ids.join(", ")),
                "Cancel all but the oldest in Veeqo before any of them is shipped, then release.",
            );
            return Err(Fault::Refused { what: format!("look for order {number}"), problems: vec![problem.cause(number)] });
        }
        let one = standing.first().copied().or(found.first());
        Ok(one.and_then(|order| decode::text(&order["id"])).map(|id| Found { id: ExternalId::new(id) }))
    }

    async fn put(&self, request: &Request) -> Result<Receipt, Fault> {
        let ask = Ask {
            what: request.what.clone(),
            method: "POST",
            path: request.path.clone(),
            body: Some(&request.body),
            effect: Effect::Write,
            priority: Priority::Orders,
        };
        let answer = self.client.json(&ask).await?.unwrap_or_default();
        Ok(Receipt { id: decode::text(&answer["id"]).map(ExternalId::new), warnings: Vec::new() })
    }

    fn carries(&self) -> Carries {
        Carries { status: true, ..Carries::default() }
    }
}
