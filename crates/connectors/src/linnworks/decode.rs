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

/// The uuid that stands for none; the default location has it, too.
const NIL: &str = "00000000-0000-0000-0000-000000000000";

/// One of the orders that ours became there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub id: String,
    pub number: String,
    pub processed: bool,
    pub cancelled: bool,
    pub parked: bool,
    pub location: String,
    pub service: String,
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

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn flag(value: &Value) -> bool {
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
    Some(Part {
        id: text(&document["OrderId"])?,
        number: text(&document["NumOrderId"])?,
        processed,
        // On an open order the same flag means locked.
        cancelled: processed && flag(&general["HoldOrCancel"]) || flag(&general["IsCancelled"]),
        parked: flag(&general["IsParked"]),
        location: text(&document["FulfilmentLocationId"]).unwrap_or_else(|| NIL.to_owned()),
        service: text(&document["ShippingInfo"]["PostalServiceName"]).unwrap_or_default(),
        lines: lines(document)?,
    })
}

/// Whether a document was entered by us.
pub(super) fn is_ours(document: &Value, form: &Form) -> bool {
    let general = &document["GeneralInfo"];
    let same = |value: &Value, wanted: &str| text(value).is_some_and(|text| text == wanted);
    same(&general["Source"], &form.source) && same(&general["SubSource"], &form.sub_source)
}

/// How the order with this reference stands, from the answer to a look by reference.
pub(super) fn standing(documents: &Value, reference: &str, form: &Form) -> Standing {
    let mut standing = Standing::default();
    for document in documents.as_array().into_iter().flatten() {
        let exact = text(&document["GeneralInfo"]["ReferenceNum"]).is_some_and(|text| text == reference);
        if exact && is_ours(document, form) {
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
        return Decoded { record: None, problems, values: Values::default() };
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
        return Decoded { record: None, problems, values: Values::default() };
    }
    let currency = documents[0]["TotalsInfo"]["Currency"].as_str().and_then(Currency::from_code);
    let currency = currency.or_else(|| Currency::from_code("EUR"));
    let Some(currency) = currency else {
        return Decoded { record: None, problems: vec![mend("no currency is known")], values: Values::default() };
    };
    let cancelled = there.parts.iter().all(|part| part.cancelled);
    let counted = there.parts.iter().filter(|part| cancelled || !part.cancelled);
    let lines = counted
        .flat_map(|part| &part.lines)
        .map(|(id, sku, quantity, _)| {
            picking::line(id, &words.name_of("item", sku).unwrap_or_else(|| sku.clone()), *quantity, currency)
        })
        .collect();
    let at = time(&documents[0]["GeneralInfo"]["ReceivedDate"]).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut values = Values::default();
    // Which service each part goes by, under the key that the gate asked with.
    for part in there.parts.iter().filter(|part| !part.cancelled && !part.service.is_empty()) {
        if let Some((_, key, _)) = words.iter().find(|(table, ..)| *table == "shipping_service") {
            values.set("shipping_service", key, part.service.clone());
        }
    }
    let status = if cancelled { OrderStatus::Cancelled } else { OrderStatus::Confirmed };
    let record = Order { status, lines, ..picking::order(raw.id.as_str(), raw.id.clone(), currency, at) };
    Decoded { record: Some(record), problems, values }
}

/// A processed order with its parcels (`{"order": …, "packages": […]}`) → what left.
pub(super) fn shipment(raw: &Raw, form: &Form) -> Decoded<Shipment> {
    let document: Value = serde_json::from_slice(&raw.body).unwrap_or_default();
    let record = read_shipment(&document, raw, form);
    let problems = if record.is_some() {
        Vec::new()
    } else {
        vec![mend(format!("the shipped order {} of Linnworks cannot be read", raw.id))]
    };
    Decoded { record, problems, values: Values::default() }
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
