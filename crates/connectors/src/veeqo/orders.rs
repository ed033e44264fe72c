//! Pick orders into Veeqo, and read back.
//!
//! Veeqo guards nothing against a second order of the same number, and its search is fuzzy and may lag behind what was
//! just entered: so an order is looked for by number before anything is sent a second time, compared exactly, among the
//! cancelled ones, too, which the usual list leaves out.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::SignedDuration;
use selvedge_connector::{
    Cursor, Decoded, Encoded, Enumerated, EnumeratedPage, Fault, Found, Need, Page, Priority, Raw, Receipt, Request, Sink,
    Source, Standing,
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

/// The shortest text that a search takes: said of products (a shorter one is a 400), taken to hold for orders, too.
pub(super) const QUERY_LEAST: usize = 3;
/// How much earlier than the shop says an order may seem to have been entered, where it is looked for by time.
const ENTERED_BEFORE: SignedDuration = SignedDuration::from_hours(24);
/// The second half of a list: what was cancelled, which the usual one leaves out.
const CANCELLED: &str = "cancelled";

/// One page of orders of ours, those that were cancelled after the others.
pub(super) async fn ours(
    client: &Client,
    form: &Form,
    what: &str,
    filter: (&str, &str),
    page: Option<&Cursor>,
    priority: Priority,
) -> Result<(Vec<Value>, Option<Cursor>), Fault> {
    let later = page.and_then(|Cursor(text)| text.strip_prefix(CANCELLED)).map(|text| Cursor(text.to_owned()));
    let mut query = vec![filter];
    query.extend(later.is_some().then_some(("status", CANCELLED)));
    let rows = client.page(what, "/orders", &query, later.as_ref().or(page), priority).await?;
    let next = match (rows.next, later) {
        (Some(Cursor(next)), Some(_)) => Some(Cursor(format!("{CANCELLED}{next}"))),
        (None, Some(_)) => None,
        (Some(next), None) => Some(next),
        (None, None) => Some(Cursor(format!("{CANCELLED}1"))),
    };
    Ok((rows.rows.into_iter().filter(|order| decode::is_ours(order, form)).collect(), next))
}

impl Orders {
    /// Orders of ours with exactly this number, the oldest first.
    async fn numbered(&self, record: &Order) -> Result<Vec<Value>, Fault> {
        let number = record.number.as_str();
        let since = instant(record.placed_at.checked_sub(ENTERED_BEFORE).unwrap_or(record.placed_at));
        let by = if number.chars().count() < QUERY_LEAST { ("created_at_min", since.as_str()) } else { ("query", number) };
        let mut found: Vec<Value> = Vec::new();
        let (what, mut page) = (format!("look for order {number}"), None);
        loop {
            let (rows, next) = ours(&self.client, &self.form, &what, by, page.as_ref(), Priority::Orders).await?;
            for order in rows.into_iter().filter(|order| decode::text(&order["number"]).is_some_and(|text| text == number)) {
                if !found.iter().any(|known| known["id"] == order["id"]) {
                    found.push(order);
                }
            }
            match next {
                Some(next) => page = Some(next),
                None => break,
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
        let by = ("updated_at_min", from.as_str());
        let (rows, next) = ours(&self.client, &self.form, "list changed orders", by, page, Priority::Orders).await?;
        Ok(Page { raws: rows.iter().filter_map(raw).collect(), next })
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
        let found = self.numbered(record).await?;
        let standing: Vec<&Value> = found.iter().filter(|order| order["status"] != CANCELLED).collect();
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
        let answer = self.client.json(&Ask::of(request, Priority::Orders)).await?.unwrap_or_default();
        Ok(Receipt { id: decode::text(&answer["id"]).map(ExternalId::new), warnings: Vec::new() })
    }

    fn carries(&self) -> Carries {
        Carries { status: true, ..Carries::default() }
    }

    fn looks_first(&self) -> bool {
        true
    }
}
