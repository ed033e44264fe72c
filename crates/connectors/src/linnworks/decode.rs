//! What Linnworks says → orders and shipments. Pure, and it never fails: what cannot be read is a problem.
//!
//! One order of ours may be several there: a split keeps the reference number and gives each part a number, a service and
//! a tracking number of its own. So an order is read by its reference, and its parts are added up. A composite's line
//! carries its children below it; only the line itself is counted.

use jiff::Timestamp;
use selvedge_connector::{Decoded, Raw, picking};
use selvedge_model::{
    Currency, ExternalId, Order, Problem, RecordKey, Shipment, Sku,
    gate::Values,
    records::{Named, OrderStatus, Parcel, ShipmentLine, ShipmentStatus, shipment_key},
};
use serde_json::Value;

use super::settings::{Form, ZONE};
use crate::unread;

/// A look by reference answers with so many orders at most.
const BY_REFERENCE_MAX: usize = 50;

/// The status of an order that is sent once more (unpaid, paid, return, pending, resend).
const RESEND: i64 = 4;

/// The tag of a parked order.
const PARKED: i64 = 7;

/// The uuid that stands for none; the default location has it, too.
const NIL: &str = "00000000-0000-0000-0000-000000000000";

/// One of the orders that ours became there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub id: String,
    pub number: String,
    pub processed: bool,
    pub cancelled: bool,
    /// Open, and nobody picks it: parked, or locked.
    pub set_aside: Option<&'static str>,
    /// Some of it has left while it is still open.
    pub part_shipped: bool,
    pub currency: Option<String>,
    pub received_at: Option<Timestamp>,
    pub location: String,
    pub service: String,
    /// Where it goes, as far as it is told.
    pub address: Value,
    /// Line id, SKU, units, and whether no item of the account is behind it.
    pub lines: Vec<(String, String, u32, bool)>,
}

/// How an order of ours stands there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    pub parts: Vec<Part>,
    /// Parts that could not be read.
    pub unread: usize,
}

impl Standing {
    /// Units by SKU of all parts that were not cancelled.
    pub fn units(&self) -> Vec<(String, u64)> {
        let mut units: Vec<(String, u64)> = Vec::new();
        for (_, sku, quantity, _) in self.parts.iter().filter(|part| !part.cancelled).flat_map(|part| &part.lines) {
            match units.iter_mut().find(|(known, _)| known == sku) {
                Some((_, sum)) => *sum += u64::from(*quantity),
                None => units.push((sku.clone(), u64::from(*quantity))),
            }
        }
        units.sort();
        units
    }
}

pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

pub(super) fn flag(value: &Value) -> bool {
    value.as_bool().unwrap_or(false)
}

/// A time without a zone is UTC; the year 1 stands for none.
pub(super) fn time(value: &Value) -> Option<Timestamp> {
    let text = value.as_str()?.trim();
    if text.is_empty() || text.starts_with("0001-01-01") {
        return None;
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    let local: jiff::civil::DateTime = text.parse().ok()?;
    ZONE.to_timestamp(local).ok()
}

fn lines(document: &Value) -> Option<Vec<(String, String, u32, bool)>> {
    let items = document["Items"].as_array()?;
    let goods = items.iter().filter(|item| !flag(&item["IsService"]) && text(&item["ParentItemId"]).is_none_or(|id| id == NIL));
    goods
        .map(|item| {
            // An item that nothing is behind still has the SKU that we sent.
            let sku = text(&item["SKU"]).or_else(|| text(&item["ChannelSKU"]))?;
            let quantity = u32::try_from(item["Quantity"].as_u64()?).ok()?;
            Some((text(&item["ItemNumber"]).unwrap_or_default(), sku, quantity, flag(&item["IsUnlinked"])))
        })
        .collect()
}

fn part(document: &Value) -> Option<Part> {
    let general = &document["GeneralInfo"];
    let processed = flag(&document["Processed"]);
    // On an open order the flag of a cancelled one means locked.
    let locked = flag(&general["HoldOrCancel"]) || flag(&general["IsLocked"]);
    let parked = flag(&general["IsParked"]) || general["Marker"].as_i64() == Some(PARKED);
    let left = |item: &Value| item["PartShippedQty"].as_i64().is_some_and(|units| units > 0) || flag(&item["PartShipped"]);
    Some(Part {
        id: text(&document["OrderId"])?,
        number: text(&document["NumOrderId"])?,
        processed,
        cancelled: processed && flag(&general["HoldOrCancel"]) || flag(&general["IsCancelled"]),
        set_aside: match (processed, parked, locked) {
            (false, true, _) => Some("parked"),
            (false, false, true) => Some("locked"),
            _ => None,
        },
        part_shipped: !processed && (flag(&general["PartShipped"]) || document["Items"].as_array()?.iter().any(left)),
        currency: text(&document["TotalsInfo"]["Currency"]),
        received_at: time(&general["ReceivedDate"]),
        location: text(&document["FulfilmentLocationId"]).unwrap_or_else(|| NIL.to_owned()),
        service: text(&document["ShippingInfo"]["PostalServiceName"]).unwrap_or_default(),
        address: document["CustomerInfo"]["Address"].clone(),
        lines: lines(document)?,
    })
}

/// Whether a document was entered by us.
pub(super) fn is_ours(document: &Value, form: &Form) -> bool {
    let general = &document["GeneralInfo"];
    let same = |value: &Value, wanted: &str| text(value).is_some_and(|text| text == wanted);
    same(&general["Source"], &form.source) && same(&general["SubSource"], &form.sub_source)
}

/// Whether a document is an order that is sent once more: it has the reference of ours, and is not what was ordered.
pub(super) fn is_copy(document: &Value) -> bool {
    let status = &document["GeneralInfo"]["Status"];
    status.as_i64() == Some(RESEND) || status.as_str() == Some("RESEND")
}

/// How the order with this reference stands, from the answer to a look by reference.
pub(super) fn standing(documents: &Value, reference: &str, form: &Form) -> Standing {
    let mut standing = Standing::default();
    let documents = documents.as_array().map(Vec::as_slice).unwrap_or_default();
    // There may be more than are shown.
    standing.unread += usize::from(documents.len() >= BY_REFERENCE_MAX);
    for document in documents {
        let exact = text(&document["GeneralInfo"]["ReferenceNum"]).is_some_and(|text| text == reference);
        if exact && is_ours(document, form) && !is_copy(document) {
            match part(document) {
                Some(part) => standing.parts.push(part),
                None => standing.unread += 1,
            }
        }
    }
    standing.parts.sort_by(|a, b| a.number.len().cmp(&b.number.len()).then_with(|| a.number.cmp(&b.number)));
    standing
}

fn mend(message: impl Into<String>) -> Problem {
    Problem::new(
        "decode.unreadable",
        "",
        message,
        "Look at the order in Linnworks; if the system has changed, update the connector.",
    )
}

/// The parts of an order, added up. It carries items and units; the books are elsewhere.
pub(super) fn order(raw: &Raw, words: &Values, form: &Form) -> Decoded<Order> {
    let documents: Value = serde_json::from_slice(&raw.body).unwrap_or_default();
    let there = standing(&documents, raw.id.as_str(), form);
    let mut problems = Vec::new();
    if there.parts.is_empty() || there.unread > 0 {
        problems.push(mend(format!("order {} at Linnworks cannot be read", raw.id)));
        return Decoded::of(None, problems);
    }
    let unlinked: Vec<&str> =
        there.parts.iter().flat_map(|part| &part.lines).filter(|line| line.3).map(|line| line.1.as_str()).collect();
    if !unlinked.is_empty() {
        problems.push(
            Problem::new(
                "pick.unlinked",
                "lines",
                format!("{} of order {} is linked to no item in Linnworks: no stock is kept for it", unlinked.join(", "), raw.id),
                "Link the line to its item in Linnworks, or create the item, then release.",
            )
            .cause(unlinked.join(",")),
        );
        return Decoded::of(None, problems);
    }
    let cancelled = there.parts.iter().all(|part| part.cancelled);
    if !cancelled && let Some(problem) = unfit(&there, raw.id.as_str(), form) {
        return Decoded::of(None, vec![problem]);
    }
    // What is cancelled moves no money any more, whatever currency it had.
    let currency = there.parts.iter().find_map(|part| Currency::from_code(part.currency.as_deref()?));
    let Some(currency) = currency.or_else(|| Currency::from_code("EUR")) else {
        return Decoded::of(None, vec![mend("no currency is known")]);
    };
    let counted = there.parts.iter().filter(|part| cancelled || !part.cancelled);
    let lines = counted
        .flat_map(|part| &part.lines)
        .map(|(id, sku, quantity, _)| {
            picking::line(id, &words.name_of("item", sku).unwrap_or_else(|| sku.clone()), *quantity, currency)
        })
        .collect();
    let at = there.parts.iter().find_map(|part| part.received_at).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut values = Values::default();
    // Which service each part goes by, under the key that the gate asked with.
    for part in there.parts.iter().filter(|part| !part.cancelled && !part.service.is_empty()) {
        if let Some((_, key, _)) = words.iter().find(|(table, ..)| *table == "shipping_service") {
            values.set("shipping_service", key, part.service.clone());
        }
    }
    let status = if cancelled { OrderStatus::Cancelled } else { OrderStatus::Confirmed };
    let record = Order { status, lines, ..picking::order(raw.id.as_str(), raw.id.clone(), currency, at) };
    Decoded { record: Some(record), problems, values, also: Vec::new() }
}

/// What keeps an order that stands there from leaving as it should.
fn unfit(there: &Standing, reference: &str, form: &Form) -> Option<Problem> {
    let alive = || there.parts.iter().filter(|part| !part.cancelled);
    if let Some(part) = alive().find(|part| part.currency.as_deref().is_none_or(|code| Currency::from_code(code).is_none())) {
        let told = part.currency.as_deref().unwrap_or("none");
        return Some(
            Problem::new(
                "pick.currency",
                "currency",
                format!("order {reference} stands in Linnworks in the currency {told}, so its parcel's papers have no value"),
                "Set the order's currency in Linnworks, then release.",
            )
            .cause(told),
        );
    }
    if form.parked_is_fine {
        return None;
    }
    let (part, how) = alive().find_map(|part| Some((part, part.set_aside?)))?;
    Some(
        Problem::new(
            "pick.parked",
            "status",
            format!("order {reference} ({}) stands {how} in Linnworks, where nobody picks it", part.number),
            "See in Linnworks why, and let it go on; then release. Where orders are to stand so, set parked = \"accept\".",
        )
        .cause(how),
    )
}

/// A processed order with its parcels (`{"order": …, "packages": […]}`) → what left.
pub(super) fn shipment(raw: &Raw, form: &Form) -> Decoded<Shipment> {
    let document: Value = serde_json::from_slice(&raw.body).unwrap_or_default();
    if let Some(reason) = document["unread"].as_str() {
        let order = text(&document["order"]["GeneralInfo"]["ReferenceNum"]).unwrap_or_else(|| raw.id.to_string());
        let problems = vec![unread::problem("Linnworks", &order, reason)];
        return Decoded::of(None, problems);
    }
    let record = read_shipment(&document, raw, form);
    let problems = if record.is_some() {
        Vec::new()
    } else {
        vec![mend(format!("the shipped order {} of Linnworks cannot be read", raw.id))]
    };
    Decoded::of(record, problems)
}

fn read_shipment(document: &Value, raw: &Raw, form: &Form) -> Option<Shipment> {
    let order = &document["order"];
    let part = part(order)?;
    let reference = text(&order["GeneralInfo"]["ReferenceNum"])?;
    let shipping = &order["ShippingInfo"];
    let (carrier, service) = (text(&shipping["Vendor"]), text(&shipping["PostalServiceName"]));
    let parcel = |tracking: Option<String>| Parcel { carrier: carrier.clone(), service: service.clone(), tracking, url: None };
    let mut numbers: Vec<String> = Vec::new();
    let packages = document["packages"].as_array().into_iter().flatten();
    for number in packages.filter_map(|row| text(&row["TrackingNumber"])).chain(text(&shipping["TrackingNumber"])) {
        for one in picking::tracking_numbers(&number) {
            if !numbers.contains(&one) {
                numbers.push(one);
            }
        }
    }
    let parcels = if numbers.is_empty() { vec![parcel(None)] } else { numbers.into_iter().map(|n| parcel(Some(n))).collect() };
    let processed_at = time(&order["ProcessedOn"]).or_else(|| time(&order["ProcessedDateTime"]));
    let updated_at = time(&order["LastUpdated"]).or(raw.version).or(processed_at)?;
    let lines = part
        .lines
        .iter()
        .filter(|(_, _, quantity, _)| *quantity > 0)
        .map(|(id, sku, quantity, _)| ShipmentLine {
            order_line: Some(ExternalId::new(id)).filter(|id| !id.as_str().is_empty()),
            sku: Sku::new(sku),
            quantity: *quantity,
        })
        .collect();
    Some(Shipment {
        key: shipment_key(&reference, &form.connection, &part.number),
        id: ExternalId::new(&part.id),
        order: RecordKey::new(reference),
        status: match (part.cancelled, part.processed) {
            (true, _) => ShipmentStatus::Cancelled,
            (false, true) => ShipmentStatus::Shipped,
            (false, false) => ShipmentStatus::Open,
        },
        shipped_at: processed_at,
        updated_at,
        warehouse: Some(Named { id: part.location, name: form.location.clone() }),
        lines,
        short: Vec::new(),
        parcels,
        captured: None,
        bundles: Vec::new(),
    })
}
