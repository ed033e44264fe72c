//! Orders out of Centra.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use selvedge_connector::{Cursor, Decoded, Enumerated, EnumeratedPage, Fault, Page, Priority, Raw, Source};
use selvedge_model::{ExternalId, Interval, Kind, Order, RecordKey, gate::Values, moment};
use serde_json::{Map, Value, json, value::RawValue};

use super::{
    decode::{Zones, decode_order},
    graphql::Api,
    operations,
    returns::Form,
    settings::Settings,
    wire::{Connection, Identity, OrderConnection, Orders, id_text},
};

/// Rows per page of an enumeration: the most that Centra gives.
const ENUMERATE_PAGE: u32 = 200;

/// Reads the orders of one instance.
#[derive(Debug)]
pub struct OrderSource {
    api: Arc<Api>,
    zones: Zones,
    page_size: u32,
    scope: Map<String, Value>,
    /// How what was paid back for no return is read, where it is.
    refunds: Option<Arc<Form>>,
}

/// The stores and markets asked for, as variables; what is not limited is not mentioned.
pub fn scope(settings: &Settings) -> Map<String, Value> {
    let mut scope = Map::new();
    for (name, ids) in [("stores", &settings.stores), ("markets", &settings.markets)] {
        if !ids.is_empty() {
            scope.insert(name.to_owned(), json!(ids));
        }
    }
    scope
}

/// With an offset, always: a bare time would be read in the instance's own zone. Whole seconds,
/// as Centra keeps them.
pub fn instant(at: Timestamp, up: bool) -> String {
    let seconds = if up && at.subsec_nanosecond() > 0 { at.as_second().saturating_add(1) } else { at.as_second() };
    let at = Timestamp::from_second(seconds).unwrap_or(at);
    format!("{}+00:00", at.strftime("%Y-%m-%dT%H:%M:%S"))
}

/// The bytes of one order with what they say about themselves. An order that does not even tell
/// its number keeps a stand-in id, so that it is captured and held and not lost.
pub fn raw_order(node: &RawValue, body: Bytes, stand_in: Option<&str>) -> Raw {
    let identity: Identity = serde_json::from_str(node.get()).unwrap_or_default();
    let id = id_text(&identity.number)
        .or_else(|| stand_in.map(str::to_owned))
        .unwrap_or_else(|| format!("unreadable-{:016x}", fnv(node.get().as_bytes())));
    Raw { kind: Kind::Order, id: ExternalId::new(id), version: version(&identity), body }
}

fn version(identity: &Identity) -> Option<Timestamp> {
    moment::with_offset(identity.updated_at.as_str()?).ok()
}

/// A stable name for bytes (FNV-1a); it only has to tell documents without a number apart.
pub fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

impl OrderSource {
    /// For one instance.
    pub fn new(api: Arc<Api>, settings: &Settings, refunds: Option<Arc<Form>>) -> Self {
        Self { api, zones: settings.zones.clone(), page_size: settings.page_size, scope: scope(settings), refunds }
    }

    fn window(&self, interval: &Interval, first: u32, page: Option<&Cursor>) -> Value {
        let mut variables = self.scope.clone();
        variables.insert("from".to_owned(), json!(instant(interval.from, false)));
        variables.insert("to".to_owned(), json!(instant(interval.to, true)));
        variables.insert("first".to_owned(), json!(first));
        if let Some(Cursor(after)) = page {
            variables.insert("after".to_owned(), json!(after));
        }
        Value::Object(variables)
    }
}

/// Where a connection goes on.
pub fn next(what: &str, connection: &Connection<'_>, page: Option<&Cursor>) -> Result<Option<Cursor>, Fault> {
    if !connection.page_info.has_next_page {
        return Ok(None);
    }
    let unexpected = |detail: &str| Fault::Unexpected { what: what.to_owned(), detail: detail.to_owned() };
    let end = connection
        .page_info
        .end_cursor
        .clone()
        .map(Cursor)
        .ok_or_else(|| unexpected("there is a next page and no cursor to it"))?;
    // The same cursor again would go round for ever.
    if Some(&end) == page { Err(unexpected("the next page is this page")) } else { Ok(Some(end)) }
}

#[async_trait]
impl Source<Order> for OrderSource {
    fn decode(&self, raw: &Raw, _words: &Values) -> Decoded<Order> {
        decode_order(&raw.body, &self.zones, self.refunds.as_deref())
    }

    async fn list(&self, interval: &Interval, page: Option<&Cursor>) -> Result<Page, Fault> {
        let what = "list changed orders";
        let variables = self.window(interval, self.page_size, page);
        let reply = self.api.ask(&operations::ORDERS_CHANGED, variables, what, Priority::Orders).await?;
        let connection = reply.read::<OrderConnection<'_>>()?.connection;
        let next = next(what, &connection, page)?;
        Ok(Page {
            raws: connection.edges.iter().map(|edge| raw_order(edge.node, reply.bytes_of(edge.node), None)).collect(),
            next,
        })
    }

    async fn enumerate(&self, interval: &Interval, page: Option<&Cursor>) -> Result<EnumeratedPage, Fault> {
        let what = "enumerate orders";
        let variables = self.window(interval, ENUMERATE_PAGE, page);
        let reply = self.api.ask(&operations::ORDERS_ENUMERATED, variables, what, Priority::Sweeps).await?;
        let connection = reply.read::<OrderConnection<'_>>()?.connection;
        let next = next(what, &connection, page)?;
        let items = connection.edges.iter().map(|edge| {
            let identity: Identity = serde_json::from_str(edge.node.get()).unwrap_or_default();
            let raw = raw_order(edge.node, Bytes::new(), None);
            Enumerated { key: id_text(&identity.number).map(RecordKey::new), id: raw.id, version: raw.version }
        });
        Ok(EnumeratedPage { items: items.collect(), next })
    }

    async fn fetch(&self, ids: &[ExternalId], priority: Priority) -> Result<Vec<Raw>, Fault> {
        // An id that is no number is none of Centra's; there is nothing to be had for it.
        let numbers: Vec<i64> = ids.iter().filter_map(|id| id.as_str().parse().ok()).collect();
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        let mut variables = self.scope.clone();
        variables.insert("limit".to_owned(), json!(numbers.len()));
        variables.insert("numbers".to_owned(), json!(numbers));
        let what = match numbers.as_slice() {
            [one] => format!("fetch order {one}"),
            many => format!("fetch {} orders", many.len()),
        };
        let reply = self.api.ask(&operations::ORDERS_BY_NUMBER, Value::Object(variables), &what, priority).await?;
        Ok(reply.read::<Orders<'_>>()?.orders.into_iter().map(|node| raw_order(node, reply.bytes_of(node), None)).collect())
    }

    fn fetch_max(&self) -> usize {
        usize::try_from(self.page_size).unwrap_or(1)
    }

    fn tells(&self) -> &'static [Kind] {
        if self.refunds.is_some() { &[Kind::CreditNote, Kind::Refund] } else { &[] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::centra::wire::PageInfo;

    fn raw(text: &str, stand_in: Option<&str>) -> Raw {
        let node = RawValue::from_string(text.to_owned()).unwrap();
        raw_order(&node, Bytes::copy_from_slice(text.as_bytes()), stand_in)
    }

    #[test]
    fn a_window_is_sent_in_whole_seconds_and_never_shrinks() {
        let at: Timestamp = "2026-10-25T00:59:59.5Z".parse().unwrap();
        assert_eq!(instant(at, false), "2026-10-25T00:59:59+00:00");
        assert_eq!(instant(at, true), "2026-10-25T01:00:00+00:00");
    }

    #[test]
    fn the_bytes_of_an_order_are_kept_as_they_came() {
        let text = r#"{ "number":1042, "updatedAt":"2026-02-03T10:00:00+01:00", "x": 1.10 }"#;
        let raw = raw(text, None);
        assert_eq!(raw.body, text.as_bytes());
        assert_eq!(raw.id.as_str(), "1042");
        assert_eq!(raw.version.unwrap().to_string(), "2026-02-03T09:00:00Z");
    }

    #[test]
    fn an_order_without_a_number_is_not_lost() {
        let (one, other) = (raw(r#"{"number":{}}"#, None), raw("[1]", None));
        assert!(one.id.as_str().starts_with("unreadable-") && one.id != other.id);
        assert_eq!(raw("{}", Some("77")).id.as_str(), "77");
    }

    #[test]
    fn a_page_that_leads_to_itself_is_refused() {
        let connection = |cursor: Option<&str>| Connection {
            page_info: PageInfo { has_next_page: true, end_cursor: cursor.map(str::to_owned) },
            edges: vec![],
        };
        assert_eq!(next("list", &connection(Some("b")), Some(&Cursor("a".to_owned()))).unwrap(), Some(Cursor("b".to_owned())));
        assert!(next("list", &connection(Some("a")), Some(&Cursor("a".to_owned()))).is_err());
        assert!(next("list", &connection(None), None).is_err());
    }
}
