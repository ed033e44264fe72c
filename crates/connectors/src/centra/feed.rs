//! Centra's queue of events, with the orders in it.
//!
//! The queue gives the oldest unconfirmed events, the same ones again until they are confirmed, and
//! each with its object as it stands *now*. So one call brings up to a page of events together with
//! the whole orders, and several events of one order bring it once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use selvedge_connector::{Arrival, Fault, Feed, FeedPage, Priority};
use selvedge_model::{ExternalId, Kind};
use serde_json::{Map, Value, json, value::RawValue};

use super::{
    graphql::Api,
    operations::{self, Operation},
    orders::{raw_order, scope},
    returns::{Memory, Scope},
    settings::Settings,
    wire::{Event, Events, ProductEvent, ProductEvents, ReturnEvents, id_text},
};

/// The queue of one integration name.
#[derive(Debug)]
pub struct EventFeed {
    api: Arc<Api>,
    page_size: u32,
    scope: Map<String, Value>,
    products: bool,
    /// What was seen of returns, and which of them are ours, where they are read.
    returns: Option<(Arc<Memory>, Scope)>,
    listening: AtomicBool,
}

impl EventFeed {
    /// For one instance.
    pub fn new(api: Arc<Api>, settings: &Settings, memory: Arc<Memory>) -> Self {
        Self {
            api,
            page_size: settings.feed_page_size,
            scope: scope(settings),
            products: settings.product_events,
            returns: settings.returns.read.then(|| (memory, Scope::of(settings))),
            listening: AtomicBool::new(false),
        }
    }

    /// Subscribes to orders and, where they are wanted, to products and returns, once per start: it adds to what is there and may be
    /// repeated, so there is no need to look first.
    async fn listen(&self) -> Result<(), Fault> {
        if self.listening.load(Ordering::Acquire) {
            return Ok(());
        }
        self.subscribe(&operations::SET_EVENT_LISTENERS, "subscribe to order events").await?;
        if self.products {
            self.subscribe(&operations::SET_PRODUCT_EVENT_LISTENERS, "subscribe to product events").await?;
        }
        if self.returns.is_some() {
            self.subscribe(&operations::SET_RETURN_EVENT_LISTENERS, "subscribe to events of returns and refunds").await?;
        }
        self.listening.store(true, Ordering::Release);
        Ok(())
    }

    async fn subscribe(&self, operation: &'static Operation, what: &str) -> Result<(), Fault> {
        let reply = self.api.ask(operation, json!({}), what, Priority::Control).await;
        match reply.and_then(|reply| reply.payload()) {
            Ok(warnings) => warn(what, &warnings),
            // It may be repeated, so a lost answer is nothing worse than no answer.
            Err(Fault::Unanswered { what, source }) => {
                return Err(Fault::Transient { what, source });
            }
            // Somebody may have subscribed by hand; what the queue holds is read all the same.
            Err(fault @ (Fault::Refused { .. } | Fault::Unexpected { .. })) => {
                tracing::warn!(what, detail = %fault, "no subscription could be made; the queue is read as it is");
            }
            Err(fault) => return Err(fault),
        }
        Ok(())
    }
}

fn warn(what: &str, warnings: &[String]) {
    for warning in warnings {
        tracing::warn!(what, warning, "Centra did it, with a warning");
    }
}

/// One page of the queue, sorted: an order as often as it was named, but once.
fn page(events: &[Event<'_>], page_size: u32, bytes_of: impl Fn(&RawValue) -> Bytes) -> FeedPage {
    let mut arrivals: Vec<Arrival> = Vec::new();
    let mut seen: BTreeMap<ExternalId, usize> = BTreeMap::new();
    for event in events {
        let reference = id_text(&event.object_reference);
        let document = event.object.filter(|object| object.get().trim() != "null" && object.get().trim() != "{}");
        let arrival = match (document, reference) {
            (Some(object), reference) => Arrival::Document(raw_order(object, bytes_of(object), reference.as_deref())),
            // Gone, or not shown to this token: a fetch tells which.
            (None, Some(id)) => Arrival::Notice { kind: Kind::Order, id: ExternalId::new(id) },
            (None, None) => continue,
        };
        let id = match &arrival {
            Arrival::Document(raw) => raw.id.clone(),
            Arrival::Notice { id, .. } => id.clone(),
        };
        match seen.get(&id).and_then(|index| arrivals.get_mut(*index)) {
            // All events of a page show the same state; a document says more than a notice.
            Some(earlier) => {
                if matches!(earlier, Arrival::Notice { .. }) {
                    *earlier = arrival;
                }
            }
            None => {
                seen.insert(id, arrivals.len());
                arrivals.push(arrival);
            }
        }
    }
    FeedPage {
        arrivals,
        receipts: events.iter().map(|event| event.id.to_string()).collect(),
        more: u32::try_from(events.len()).is_ok_and(|count| count >= page_size),
    }
}

/// Returns that were named by events, each once, and word of what refunds are about. A return that is gone is told by what
/// was last seen of it; one that came and went unseen is no news.
fn returned(
    events: &ReturnEvents<'_>,
    memory: &Memory,
    scope: &Scope,
    asked_at: Timestamp,
    bytes_of: impl Fn(&RawValue) -> Bytes,
) -> Vec<Arrival> {
    let mut found: BTreeMap<(Kind, String), Arrival> = BTreeMap::new();
    let with = |change: &str| -> BTreeSet<String> {
        events.returns.iter().filter(|event| event.change == change).filter_map(|e| id_text(&e.object_reference)).collect()
    };
    let (made, deleted) = (with("CREATED"), with("DELETED"));
    for event in &events.returns {
        let reference = id_text(&event.object_reference);
        let document = event.object.filter(|object| object.get().trim() != "null" && object.get().trim() != "{}");
        let (id, arrival) = match (document, reference) {
            (Some(object), reference) => {
                if !scope.has(&serde_json::from_str(object.get()).unwrap_or_default()) {
                    continue;
                }
                let raw = memory.raw(object, bytes_of(object), asked_at, reference.as_deref());
                (raw.id.to_string(), Arrival::Document(raw))
            }
            (None, Some(id)) => match id.parse::<i64>().ok().filter(|_| event.change == "DELETED") {
                Some(number) => match memory.missed(number, asked_at) {
                    None if made.contains(&id) => continue,
                    known => (id, Arrival::Document(known.unwrap_or_else(|| memory.deleted(number, asked_at)))),
                },
                // The event of its deletion says more.
                None if deleted.contains(&id) => continue,
                None => {
                    let notice = Arrival::Notice { kind: Kind::Return, id: ExternalId::new(&id) };
                    (id, notice)
                }
            },
            (None, None) => continue,
        };
        // A document says more than a notice.
        let known = found.get(&(Kind::Return, id.clone()));
        if !matches!((known, &arrival), (Some(Arrival::Document(_)), Arrival::Notice { .. })) {
            found.insert((Kind::Return, id), arrival);
        }
    }
    let numbers = |arrivals: &BTreeMap<(Kind, String), Arrival>| -> Vec<i64> {
        arrivals.keys().filter_map(|(_, id)| id.parse().ok()).collect()
    };
    memory.handed(numbers(&found));
    for event in &events.payments {
        let of_return = id_text(&event.object["return"]["id"]).map(|id| (Kind::Return, id));
        let is_refund = event.object["entryType"].as_str().is_some_and(|word| word.starts_with("REFUND"));
        let of_order = id_text(&event.object["order"]["number"]).filter(|_| is_refund).map(|id| (Kind::Order, id));
        if let Some((kind, id)) = of_return.or(of_order) {
            let notice = Arrival::Notice { kind, id: ExternalId::new(&id) };
            found.entry((kind, id)).or_insert(notice);
        }
    }
    found.into_values().collect()
}

/// Word of every size that these events touch, each once. Of a product or variant that is gone nothing is left to be read,
/// and its sizes, gone with it, have events of their own.
fn notices(events: &[ProductEvent]) -> Vec<Arrival> {
    let mut ids = BTreeSet::new();
    for event in events {
        sizes(&event.object, event.object_type == "ProductSize", &mut ids);
        if event.object_type == "ProductSize" {
            ids.extend(id_text(&event.object_reference));
        }
    }
    ids.into_iter().map(|id| Arrival::Notice { kind: Kind::Product, id: ExternalId::new(id) }).collect()
}

/// The ids of the sizes in an object of an event, wherever it keeps them. `own`: the object is a size itself.
fn sizes(object: &Value, own: bool, ids: &mut BTreeSet<String>) {
    if own {
        ids.extend(id_text(&object["id"]));
    }
    let below = ["productSizes", "variants"].into_iter().filter_map(|list| Some((list, object[list].as_array()?)));
    for (list, items) in below {
        items.iter().for_each(|item| sizes(item, list == "productSizes", ids));
    }
    for one in ["productVariant", "product"] {
        if object[one].is_object() {
            sizes(&object[one], false, ids);
        }
    }
}

#[async_trait]
impl Feed for EventFeed {
    fn kinds(&self) -> &'static [Kind] {
        if self.returns.is_some() { &[Kind::Order, Kind::Return] } else { &[Kind::Order] }
    }

    async fn next(&self, _wanted: &[Kind]) -> Result<FeedPage, Fault> {
        self.listen().await?;
        let mut variables = self.scope.clone();
        variables.insert("limit".to_owned(), json!(self.page_size));
        let operation = match (self.products, self.returns.is_some()) {
            (false, false) => &operations::ORDER_EVENTS,
            (true, false) => &operations::ORDER_AND_PRODUCT_EVENTS,
            (false, true) => &operations::ORDER_AND_RETURN_EVENTS,
            (true, true) => &operations::ALL_EVENTS,
        };
        let asked_at = self.api.now();
        let reply = self.api.ask(operation, Value::Object(variables), "read the queue of events", Priority::Orders).await?;
        let mut page = page(&reply.read::<Events<'_>>()?.events, self.page_size, |part| reply.bytes_of(part));
        if let Some((memory, scope)) = &self.returns {
            let events: ReturnEvents<'_> = reply.read()?;
            page.arrivals.extend(returned(&events, memory, scope, asked_at, |part| reply.bytes_of(part)));
            page.receipts.extend(events.returns.iter().map(|event| event.id.to_string()));
            page.receipts.extend(events.payments.iter().map(|event| event.id.to_string()));
            let full = |length: usize| u32::try_from(length).is_ok_and(|count| count >= self.page_size);
            page.more |= full(events.returns.len()) || full(events.payments.len());
        }
        if self.products {
            let ProductEvents { events } = reply.read()?;
            page.arrivals.extend(notices(&events));
            page.receipts.extend(events.iter().map(|event| event.id.to_string()));
            page.more |= u32::try_from(events.len()).is_ok_and(|count| count >= self.page_size);
        }
        Ok(page)
    }

    async fn acknowledge(&self, receipts: &[String]) -> Result<(), Fault> {
        let ids: BTreeSet<i64> = receipts.iter().filter_map(|receipt| receipt.parse().ok()).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let what = format!("confirm {} events", ids.len());
        let reply = self.api.ask(&operations::CONFIRM_EVENTS, json!({ "ids": ids }), &what, Priority::Control).await?;
        warn(&what, &reply.payload()?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Event<'_>> {
        serde_json::from_str::<Events<'_>>(text).unwrap().events
    }

    fn copy(part: &RawValue) -> Bytes {
        Bytes::copy_from_slice(part.get().as_bytes())
    }

    #[test]
    fn an_order_named_often_arrives_once_and_every_event_is_confirmed() {
        let events = read(
            r#"{"events":[
                {"id":1,"objectReference":1001,"object":null},
                {"id":2,"objectReference":1001,"object":{"number":1001,"status":"CONFIRMED"}},
                {"id":3,"objectReference":"1002","object":{}},
                {"id":4,"objectReference":1001,"object":{"number":1001,"status":"CONFIRMED"}},
                {"id":5}]}"#,
        );
        let page = page(&events, 5, copy);
        assert_eq!(page.receipts, ["1", "2", "3", "4", "5"]);
        assert!(page.more);
        assert_eq!(page.arrivals.len(), 2);
        assert!(matches!(&page.arrivals[0], Arrival::Document(raw) if raw.id.as_str() == "1001"));
        assert!(matches!(&page.arrivals[1], Arrival::Notice { id, .. } if id.as_str() == "1002"));
    }

    #[test]
    fn an_event_of_the_catalogue_is_word_of_the_sizes_that_it_touches() {
        let text = r#"{"productEvents":[
            {"id":7,"objectType":"Product","objectReference":3,"object":{"variants":[{"productSizes":[{"id":11},{"id":12}]}]}},
            {"id":8,"objectType":"ProductSize","objectReference":12,"object":{"id":12}},
            {"id":9,"objectType":"ProductSize","objectReference":13,"object":null},
            {"id":10,"objectType":"Price","objectReference":99,"object":{"productVariant":{"productSizes":[{"id":14}]}}},
            {"id":11,"objectType":"Bundle","objectReference":3,"object":{"product":{"variants":[{"productSizes":[{"id":15}]}]}}},
            {"id":12,"objectType":"Product","objectReference":4,"object":null},
            {"id":13,"objectType":"Price","objectReference":98,"object":{}},
            {"id":14}]}"#;
        let events = serde_json::from_str::<ProductEvents>(text).unwrap().events;
        let told: Vec<String> = notices(&events)
            .into_iter()
            .filter_map(|arrival| match arrival {
                Arrival::Notice { kind: Kind::Product, id } => Some(id.to_string()),
                _ => None,
            })
            .collect();
        assert_eq!(told, ["11", "12", "13", "14", "15"]);
    }

    #[test]
    fn a_page_that_is_not_full_is_the_last() {
        assert!(!page(&read(r#"{"events":[{"id":1,"objectReference":7}]}"#), 100, copy).more);
        assert!(!page(&[], 100, copy).more);
    }
}
