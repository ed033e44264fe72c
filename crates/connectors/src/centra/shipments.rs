//! Shipments into Centra, and read back.
//!
//! A shipment stands when it is made, paid and completed: up to three calls, each decided on what stands. Making it takes
//! the money in the same call where the instance can (one mutation less, and mutations are the scarcest budget); a capture
//! that fails then is only a warning there, so whether it was paid is read and, if need be, captured by itself, which
//! fails loudly. Completing lowers the stock and sends the shopper the mail.
//!
//! Centra has no key that guards against a second shipment of the same units. Ours is kept as the external id; where an
//! instance takes none while a shipment is made (`shipment_external_ids = false`), a lost shipment is recognised by its
//! lines and tracking numbers.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use selvedge_connector::{
    Cursor, Decoded, Encoded, Enumerated, EnumeratedPage, Fault, Found, Need, Page, Priority, Raw, Receipt, Request, Sink,
    Source, Standing,
};
use selvedge_model::{
    ExternalId, Interval, Kind, Problem, RecordKey, Shipment, Sku,
    compare::Carries,
    gate::{Lookup, Values},
    moment,
    records::{Parcel, ShipmentLine, ShipmentStatus},
};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{
    graphql::Api,
    operations::{self, Operation},
    orders::instant,
    settings::{ShipmentPayment, ShipmentSettings},
    wire::id_text,
};
use crate::complaint::cause_of;

/// Shipments per page and per fetch.
const PAGE: u32 = 50;
/// What several tracking numbers of one shipment are joined by: Centra keeps one text.
const JOINT: &str = ", ";

/// The shipments of one instance.
#[derive(Debug)]
pub struct Shipments {
    api: Arc<Api>,
    settings: ShipmentSettings,
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    shipments: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Orders<'a> {
    #[serde(borrow)]
    orders: Vec<List<'a>>,
}

impl Shipments {
    /// For one instance.
    pub fn new(api: Arc<Api>, settings: ShipmentSettings) -> Self {
        Self { api, settings }
    }

    async fn read(
        &self,
        operation: &'static Operation,
        variables: Value,
        what: &str,
        priority: Priority,
    ) -> Result<Vec<Raw>, Fault> {
        let reply = self.api.ask(operation, variables, what, priority).await?;
        let list: List<'_> = reply.read()?;
        Ok(list.shipments.into_iter().map(|node| raw(node, reply.bytes_of(node))).collect())
    }

    /// The document's own answer to whether it is the one that a lost call made.
    fn is_this(&self, raw: &Raw, record: &Shipment) -> bool {
        let Ok(document) = serde_json::from_slice::<Value>(&raw.body) else { return false };
        match document["externalId"].as_str() {
            Some(external) => external == record.key.as_str(),
            None => {
                let there = shipment(&document, Timestamp::UNIX_EPOCH, self.settings.payment);
                !self.settings.external_ids
                    && there.is_some_and(|there| same_lines(&there, record) && same_tracking(&there, record))
            }
        }
    }
}

fn raw(node: &RawValue, body: Bytes) -> Raw {
    let document: Value = serde_json::from_str(node.get()).unwrap_or_default();
    let id = id_text(&document["id"]).unwrap_or_else(|| "unreadable".to_owned());
    let version = document["updatedAt"].as_str().and_then(|text| moment::with_offset(text).ok());
    Raw { kind: Kind::Shipment, id: ExternalId::new(id), version, body }
}

fn same_lines(one: &Shipment, other: &Shipment) -> bool {
    let lines = |shipment: &Shipment| {
        let mut lines: Vec<(Option<ExternalId>, u32)> =
            shipment.lines.iter().map(|line| (line.order_line.clone(), line.quantity)).collect();
        lines.sort();
        lines
    };
    lines(one) == lines(other)
}

fn same_tracking(one: &Shipment, other: &Shipment) -> bool {
    let sorted = |shipment: &Shipment| {
        let mut numbers: Vec<String> = shipment.tracking().into_iter().map(str::to_owned).collect();
        numbers.sort();
        numbers
    };
    sorted(one) == sorted(other)
}

/// Whether the money of a shipment is there. Marked paid is not captured (fact sheet 10: `isPaid` may be true without a
/// capture); once a whole order was captured, its shipments count as captured.
fn money_is_there(document: &Value, payment: ShipmentPayment) -> bool {
    let flag = match payment {
        ShipmentPayment::Capture => "isCaptured",
        ShipmentPayment::Elsewhere => "isPaid",
    };
    document[flag].as_bool().unwrap_or(false)
}

/// A shipment of Centra → the canonical one; none when it does not even say its order and lines.
fn shipment(document: &Value, fallback: Timestamp, payment: ShipmentPayment) -> Option<Shipment> {
    let text = |value: &Value| value.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let at = |value: &Value| value.as_str().and_then(|text| moment::with_offset(text).ok());
    let id = id_text(&document["id"])?;
    let number = text(&document["number"])?;
    // "1042-2" is the second shipment of order 1042.
    let order = id_text(&document["order"]["number"]).or_else(|| Some(number.rsplit_once('-')?.0.to_owned()))?;
    let lines: Option<Vec<ShipmentLine>> = document["lines"]
        .as_array()?
        .iter()
        .map(|line| {
            let of = &line["orderLine"];
            let sku = text(&of["productSize"]["SKU"]).or_else(|| text(&of["productSize"]["EAN"])).unwrap_or_default();
            let quantity = u32::try_from(line["quantity"].as_u64()?).ok()?;
            Some(ShipmentLine { order_line: Some(ExternalId::new(id_text(&of["id"])?)), sku: Sku::new(sku), quantity })
        })
        .collect();
    let carrier = text(&document["carrierInformation"]["carrierName"]);
    let service = text(&document["carrierInformation"]["serviceName"]);
    let numbers: Vec<String> = text(&document["trackingNumber"])
        .map(|joined| joined.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect())
        .unwrap_or_default();
    let parcel = |tracking: Option<String>| Parcel { carrier: carrier.clone(), service: service.clone(), tracking, url: None };
    let parcels = if numbers.is_empty() { vec![parcel(None)] } else { numbers.into_iter().map(|n| parcel(Some(n))).collect() };
    let flag = |value: &Value| value.as_bool().unwrap_or(false);
    Some(Shipment {
        key: text(&document["externalId"]).map_or_else(|| RecordKey::new(&number), RecordKey::new),
        id: ExternalId::new(id),
        order: RecordKey::new(order),
        status: if flag(&document["isShipped"]) { ShipmentStatus::Shipped } else { ShipmentStatus::Open },
        shipped_at: at(&document["shippedAt"]),
        updated_at: at(&document["updatedAt"]).unwrap_or(fallback),
        warehouse: None,
        lines: lines?,
        short: Vec::new(),
        parcels,
        captured: Some(money_is_there(document, payment)),
        bundles: Vec::new(),
    })
}

#[async_trait]
impl Source<Shipment> for Shipments {
    fn decode(&self, raw: &Raw, _words: &Values) -> Decoded<Shipment> {
        let document = serde_json::from_slice::<Value>(&raw.body).unwrap_or_default();
        let record = shipment(&document, raw.version.unwrap_or(Timestamp::UNIX_EPOCH), self.settings.payment);
        let problems = if record.is_some() {
            Vec::new()
        } else {
            vec![Problem::new(
                "decode.shipment",
                "",
                format!("shipment {} of the shop cannot be read", raw.id),
                "Run `selvedge check`: it names what this Centra instance does otherwise than documented.",
            )]
        };
        Decoded::of(record, problems)
    }

    async fn list(&self, interval: &Interval, page: Option<&Cursor>) -> Result<Page, Fault> {
        let number: u32 = page.and_then(|Cursor(text)| text.parse().ok()).unwrap_or(1);
        let variables = json!({
            "from": instant(interval.from, false), "to": instant(interval.to, true), "limit": PAGE, "page": number,
        });
        let raws = self.read(&operations::SHIPMENTS_CHANGED, variables, "list changed shipments", Priority::Shipments).await?;
        let full = raws.len() >= usize::try_from(PAGE).unwrap_or(usize::MAX);
        Ok(Page { next: full.then(|| Cursor(number.saturating_add(1).to_string())), raws })
    }

    async fn enumerate(&self, interval: &Interval, page: Option<&Cursor>) -> Result<EnumeratedPage, Fault> {
        let page = self.list(interval, page).await?;
        let items = page.raws.into_iter().map(|raw| Enumerated { id: raw.id, key: None, version: raw.version }).collect();
        Ok(EnumeratedPage { items, next: page.next })
    }

    async fn fetch(&self, ids: &[ExternalId], priority: Priority) -> Result<Vec<Raw>, Fault> {
        let ids: Vec<i64> = ids.iter().filter_map(|id| id.as_str().parse().ok()).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let what = match ids.as_slice() {
            [one] => format!("fetch shipment {one}"),
            many => format!("fetch {} shipments", many.len()),
        };
        let priority = priority.max(Priority::Shipments);
        self.read(&operations::SHIPMENTS_BY_ID, json!({ "limit": ids.len(), "ids": ids }), &what, priority).await
    }

    fn fetch_max(&self) -> usize {
        usize::try_from(PAGE).unwrap_or(1)
    }
}

fn carrier_lookup(shipment: &Shipment) -> Option<Lookup> {
    let carrier = shipment.carrier()?;
    Some(Lookup::new("carrier", &[("carrier", carrier)], "parcels[0].carrier").optional())
}

/// How it travels, as the shop calls it: a carrier that nobody mapped goes by the warehouse's word.
fn info(shipment: &Shipment, values: &Values) -> Value {
    let carrier = carrier_lookup(shipment).and_then(|lookup| values.get(&lookup).map(str::to_owned));
    let carrier = carrier.or_else(|| shipment.carrier().map(str::to_owned));
    let mut info = json!({ "packagesNumber": shipment.parcels.len().max(1) });
    if let Some(carrier) = carrier {
        info["carrier"] = json!(carrier);
    }
    if let Some(service) = shipment.service() {
        info["service"] = json!(service);
    }
    let numbers = shipment.tracking();
    if !numbers.is_empty() {
        info["trackingNumber"] = json!(numbers.join(JOINT));
    }
    info
}

fn call(what: String, mutation: &'static str, variables: Value, update: Option<ExternalId>, unfinished: bool) -> Request {
    let body = json!({ "mutation": mutation, "variables": variables });
    Request { what, method: "POST".to_owned(), path: "/graphql".to_owned(), body, update, unfinished }
}

impl Shipments {
    fn create(&self, shipment: &Shipment, values: &Values) -> Result<Encoded, Vec<Problem>> {
        let number: i64 = shipment.order.as_str().parse().map_err(|_| vec![not_ours(shipment)])?;
        let lines: Option<Vec<Value>> = shipment
            .lines
            .iter()
            .map(|line| {
                let id: i64 = line.order_line.as_ref()?.as_str().parse().ok()?;
                Some(json!({ "orderLine": { "id": id }, "quantity": line.quantity }))
            })
            .collect();
        let lines = lines.filter(|lines| !lines.is_empty()).ok_or_else(|| vec![not_ours(shipment)])?;
        let mut input = json!({
            "order": { "number": number },
            "lines": lines,
            "isGoodToGo": true,
            "allocateDemand": true,
            "shipmentInfo": info(shipment, values),
        });
        match self.settings.payment {
            ShipmentPayment::Capture => input["capture"] = json!(true),
            ShipmentPayment::Elsewhere => input["isPaid"] = json!(true),
        }
        if self.settings.external_ids {
            input["externalId"] = json!(shipment.key);
        }
        let what = format!("make shipment {} of order {}", shipment.id, shipment.order);
        Ok(Encoded::Put(call(what, "createShipment", json!({ "input": input }), None, true)))
    }

    fn go_on(&self, shipment: &Shipment, values: &Values, raw: &Raw) -> Result<Encoded, Vec<Problem>> {
        let document: Value = serde_json::from_slice(&raw.body).unwrap_or_default();
        let there = self::shipment(&document, shipment.updated_at, self.settings.payment).ok_or_else(|| vec![unreadable(raw)])?;
        let id: i64 = raw.id.as_str().parse().map_err(|_| vec![unreadable(raw)])?;
        if shipment.status == ShipmentStatus::Cancelled {
            return Err(vec![taken_back(shipment, &there)]);
        }
        if !same_lines(shipment, &there) {
            return Err(vec![other_lines(shipment, &there)]);
        }
        if there.status == ShipmentStatus::Shipped {
            return if same_tracking(shipment, &there) { Ok(Encoded::Nothing) } else { Err(vec![frozen(shipment, &there)]) };
        }
        let update = Some(raw.id.clone());
        if there.captured == Some(false) {
            let request = match self.settings.payment {
                ShipmentPayment::Capture => {
                    let what = format!("capture shipment {id} of order {}", shipment.order);
                    call(what, "captureShipment", json!({ "id": id }), update, true)
                }
                ShipmentPayment::Elsewhere => {
                    let what = format!("mark shipment {id} of order {} paid", shipment.order);
                    call(what, "updateShipment", json!({ "id": id, "input": { "isPaid": true } }), update, true)
                }
            };
            return Ok(Encoded::Put(request));
        }
        let mut input = json!({ "shipmentInfo": info(shipment, values), "sendEmail": self.settings.send_email });
        if let Some(at) = shipment.shipped_at {
            input["shippedAt"] = json!(instant(at, false));
        }
        let what = format!("complete shipment {id} of order {}", shipment.order);
        Ok(Encoded::Put(call(what, "completeShipment", json!({ "id": id, "input": input }), update, false)))
    }
}

#[async_trait]
impl Sink<Shipment> for Shipments {
    fn lookups(&self, shipment: &Shipment) -> Vec<Lookup> {
        carrier_lookup(shipment).into_iter().collect()
    }

    fn needs(&self, _shipment: &Shipment) -> Option<Need> {
        None
    }

    fn encode(&self, shipment: &Shipment, values: &Values, there: Standing<'_>) -> Result<Encoded, Vec<Problem>> {
        match there.own {
            None => self.create(shipment, values),
            Some(raw) => self.go_on(shipment, values, raw),
        }
    }

    async fn find(&self, record: &Shipment) -> Result<Option<Found>, Fault> {
        let what = format!("look for shipment {} of order {}", record.id, record.order);
        let raws = if self.settings.external_ids {
            let variables = json!({ "key": record.key });
            self.read(&operations::SHIPMENTS_BY_KEY, variables, &what, Priority::Shipments).await?
        } else {
            let Ok(number) = record.order.as_str().parse::<i64>() else { return Ok(None) };
            let variables = json!({ "number": number });
            let reply = self.api.ask(&operations::SHIPMENTS_OF_ORDER, variables, &what, Priority::Shipments).await?;
            let orders: Orders<'_> = reply.read()?;
            let of_order = orders.orders.iter().flat_map(|order| &order.shipments);
            of_order.map(|node| raw(node, reply.bytes_of(node))).collect()
        };
        Ok(raws.into_iter().find(|raw| self.is_this(raw, record)).map(|raw| Found { id: raw.id }))
    }

    async fn put(&self, request: &Request) -> Result<Receipt, Fault> {
        let (what, variables) = (&request.what, request.body["variables"].clone());
        let operation = match request.body["mutation"].as_str() {
            Some("createShipment") => &operations::CREATE_SHIPMENT,
            Some("captureShipment") => &operations::CAPTURE_SHIPMENT,
            Some("updateShipment") => &operations::UPDATE_SHIPMENT,
            _ => &operations::COMPLETE_SHIPMENT,
        };
        let reply = self.api.ask(operation, variables, what, Priority::Shipments).await?;
        reply.receipt("shipment", request.update.as_ref(), refusal)
    }

    fn finishes_in_one(&self) -> bool {
        false
    }

    fn carries(&self) -> Carries {
        Carries { status: true, tracking: true, captured: true, ..Carries::default() }
    }
}

/// A refusal in the words of shipments.
fn refusal(problem: Problem) -> Problem {
    Problem::new(
        "shipment.refused",
        problem.path,
        format!("the shop: {}", problem.message.chars().take(600).collect::<String>()),
        "Mend what the shop names (a refused capture: have the payment renewed), then release. Money that was taken elsewhere: complete the shipment in the shop by hand, then dismiss this.",
    )
    .cause(cause_of(&problem.message))
}

fn not_ours(shipment: &Shipment) -> Problem {
    Problem::new(
        "shipment.order_unknown",
        "order",
        format!("shipment {} is for order {}, which is no order of this shop", shipment.id, shipment.order),
        "See to which shop it belongs; dismiss it with a reason if it is none of this one's.",
    )
    .cause(shipment.order.as_str())
}

fn unreadable(raw: &Raw) -> Problem {
    Problem::new(
        "decode.shipment",
        "",
        format!("shipment {} of the shop cannot be read", raw.id),
        "Run `selvedge check`: it names what this Centra instance does otherwise than documented.",
    )
}

fn told(shipment: &Shipment) -> String {
    shipment.lines.iter().map(|line| format!("{} × {}", line.quantity, line.sku)).collect::<Vec<_>>().join(", ")
}

fn other_lines(shipment: &Shipment, there: &Shipment) -> Problem {
    Problem::new(
        "shipment.differs",
        "lines",
        format!("the warehouse ships {}, and shipment {} in the shop has {}", told(shipment), there.id, told(there)),
        "Somebody changed one of the two. Mend the shipment in the shop, then release; or dismiss this with a reason.",
    )
    .cause(shipment.key.as_str())
}

fn frozen(shipment: &Shipment, there: &Shipment) -> Problem {
    Problem::new(
        "shipment.frozen",
        "tracking",
        format!(
            "the warehouse now says tracking {:?} for order {}, and the shop completed shipment {} with {:?}: it takes no change any more",
            shipment.tracking(),
            shipment.order,
            there.id,
            there.tracking()
        ),
        "Tell the customer the number by hand, then dismiss this with a reason. To wait for late numbers, set tracking_wait in the flow.",
    )
    .cause(shipment.key.as_str())
}

fn taken_back(shipment: &Shipment, there: &Shipment) -> Problem {
    Problem::new(
        "shipment.cancelled",
        "status",
        format!(
            "the warehouse took shipment {} of order {} back, and it stands in the shop as {}",
            shipment.id, shipment.order, there.id
        ),
        "If the goods came back or never left, delete the shipment in the shop (or make a return of it), then dismiss this.",
    )
    .cause(shipment.key.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(change: impl FnOnce(&mut Value)) -> Value {
        let mut document = json!({
            "id": 80_001, "number": "1042-1", "updatedAt": "2026-02-03T10:00:00+01:00", "isShipped": false, "isPaid": true,
            "isCaptured": true, "shippedAt": null, "trackingNumber": "1Z1, 1Z2",
            "carrierInformation": { "carrierName": "UPS", "serviceName": "Standard" },
            "lines": [{ "quantity": 2, "orderLine": { "id": 7, "productSize": { "SKU": "A" } } }],
            "externalId": "1042.wms.s1", "order": { "number": 1042 },
        });
        change(&mut document);
        document
    }

    fn ours() -> Shipment {
        let mut ours = shipment(&document(|_| {}), Timestamp::UNIX_EPOCH, ShipmentPayment::Capture).unwrap();
        ours.status = ShipmentStatus::Shipped;
        ours
    }

    fn sink(external_ids: bool) -> Shipments {
        paid_by(ShipmentPayment::Capture, external_ids)
    }

    fn paid_by(payment: ShipmentPayment, external_ids: bool) -> Shipments {
        use selvedge_connector::{Secret, Session, SessionConfig, clock::ManualClock};
        let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
        let session = Session::new(SessionConfig::named("shop"), clock.clone());
        let api = Arc::new(Api::new(session, clock, "http://localhost:9", Secret::new("t")));
        Shipments::new(api, ShipmentSettings { payment, send_email: true, external_ids })
    }

    fn step(document: &Value) -> Result<(String, bool), String> {
        step_of(&sink(true), document)
    }

    fn step_of(sink: &Shipments, document: &Value) -> Result<(String, bool), String> {
        let raw = Raw { kind: Kind::Shipment, id: "80001".into(), version: None, body: document.to_string().into_bytes().into() };
        let there = Standing { own: Some(&raw), needed: None };
        match sink.encode(&ours(), &Values::default(), there) {
            Ok(Encoded::Put(request)) => Ok((request.body["mutation"].as_str().unwrap().to_owned(), request.unfinished)),
            Ok(Encoded::Nothing) => Ok(("nothing".to_owned(), false)),
            Err(problems) => Err(problems[0].rule.clone()),
        }
    }

    #[test]
    fn each_step_follows_from_what_stands() {
        assert_eq!(step(&document(|_| {})), Ok(("completeShipment".into(), false)));
        let unpaid = document(|d| (d["isPaid"], d["isCaptured"]) = (json!(false), json!(false)));
        assert_eq!(step(&unpaid), Ok(("captureShipment".into(), true)));
        assert_eq!(step(&document(|d| d["isShipped"] = json!(true))), Ok(("nothing".into(), false)));
        let late = document(|d| (d["isShipped"], d["trackingNumber"]) = (json!(true), json!("1Z9")));
        assert_eq!(step(&late), Err("shipment.frozen".into()));
        assert_eq!(step(&document(|d| d["lines"][0]["quantity"] = json!(1))), Err("shipment.differs".into()));
    }

    #[test]
    fn marked_paid_is_not_captured_and_what_was_paid_elsewhere_is_never_captured() {
        let marked = document(|d| d["isCaptured"] = json!(false));
        let unpaid = document(|d| (d["isPaid"], d["isCaptured"]) = (json!(false), json!(false)));
        let elsewhere = paid_by(ShipmentPayment::Elsewhere, true);
        let captured = |sink: &Shipments, document: &Value| {
            let body = document.to_string().into_bytes().into();
            let raw = Raw { kind: Kind::Shipment, id: "80001".into(), version: None, body };
            sink.decode(&raw, &Values::default()).record.unwrap().captured
        };
        assert_eq!(step(&marked), Ok(("captureShipment".into(), true)));
        assert_eq!(captured(&sink(true), &marked), Some(false));
        // After a capture of the whole order its shipments count as captured.
        let whole = document(|d| d["isPaid"] = json!(false));
        assert_eq!((step(&whole), captured(&sink(true), &whole)), (Ok(("completeShipment".into(), false)), Some(true)));
        assert_eq!(step_of(&elsewhere, &unpaid), Ok(("updateShipment".into(), true)));
        assert_eq!(step_of(&elsewhere, &marked), Ok(("completeShipment".into(), false)));
        assert_eq!((captured(&elsewhere, &marked), captured(&elsewhere, &unpaid)), (Some(true), Some(false)));
    }

    #[test]
    fn a_new_shipment_says_everything_at_once_and_carries_our_key() {
        let mut values = Values::default();
        values.set("carrier", "carrier=UPS", "ups");
        let Ok(Encoded::Put(request)) = sink(true).encode(&ours(), &values, Standing::default()) else { panic!() };
        assert!(request.unfinished && request.update.is_none());
        assert_eq!(
            request.body["variables"]["input"],
            json!({
                "order": { "number": 1042 }, "lines": [{ "orderLine": { "id": 7 }, "quantity": 2 }], "isGoodToGo": true,
                "allocateDemand": true, "capture": true, "externalId": "1042.wms.s1",
                "shipmentInfo": { "carrier": "ups", "service": "Standard", "trackingNumber": "1Z1, 1Z2", "packagesNumber": 2 },
            })
        );
    }

    #[test]
    fn a_lost_shipment_is_known_by_its_key_or_by_what_is_in_it() {
        let raw = |document: Value| Raw {
            kind: Kind::Shipment,
            id: "80001".into(),
            version: None,
            body: document.to_string().into_bytes().into(),
        };
        assert!(sink(true).is_this(&raw(document(|_| {})), &ours()));
        assert!(!sink(true).is_this(&raw(document(|d| d["externalId"] = json!("1042.wms.s2"))), &ours()));
        assert!(!sink(true).is_this(&raw(document(|d| d["externalId"] = Value::Null)), &ours()), "ours always carry it");
        assert!(sink(false).is_this(&raw(document(|d| d["externalId"] = Value::Null)), &ours()));
        let other = document(|d| (d["externalId"], d["trackingNumber"]) = (Value::Null, json!("1Z3")));
        assert!(!sink(false).is_this(&raw(other), &ours()));
    }

    #[test]
    fn cut_documents_never_panic() {
        let text = document(|_| {}).to_string();
        for end in 0..text.len() {
            let raw = Raw { kind: Kind::Shipment, id: "1".into(), version: None, body: text.as_bytes()[..end].to_vec().into() };
            assert!(sink(true).decode(&raw, &Values::default()).record.is_none());
        }
    }
}
