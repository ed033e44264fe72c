//! What Veeqo says → orders and shipments. Pure, and it never fails: what cannot be read is a problem.
//!
//! The status of an order is that of its least advanced part, so what has left is decided per allocation, by whether it
//! has a shipment. A shipment can be deleted after it was told of; the allocation stays, and says so by its absence.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rust_decimal::Decimal;
use selvedge_connector::{Decoded, Raw, picking};
use selvedge_model::{
    Currency, ExternalId, Order, Problem, RecordKey, Shipment, Sku,
    gate::Values,
    records::{Named, OrderStatus, Parcel, ShipmentLine, ShipmentStatus, shipment_key},
};
use serde_json::Value;

use super::settings::Form;
use crate::unread;

/// What `encode` has to know of an order that stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct There {
    pub cancelled: bool,
    pub shipped: bool,
    /// The order that it was merged into: its goods leave with that one.
    pub merged_into: Option<String>,
    /// Units by sellable id.
    pub units: BTreeMap<String, u64>,
    /// Where it goes, as far as it is told.
    pub address: Value,
    /// The id of its delivery method.
    pub service: Option<String>,
}

pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

pub(super) fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.trim().parse().ok()
}

/// A number as it is written, whether it stands as a number or as text.
pub(super) fn decimal(value: &Value) -> Option<Decimal> {
    let text = text(value)?;
    Decimal::from_str_exact(&text).ok().or_else(|| Decimal::from_scientific(&text).ok())
}

/// A whole number, `2`, `2.0` or `"2"`.
pub(super) fn whole(value: &Value) -> Option<i64> {
    let number = decimal(value)?;
    number.is_integer().then(|| i64::try_from(number).ok()).flatten()
}

/// Whether an order was entered by us.
pub(super) fn is_ours(order: &Value, form: &Form) -> bool {
    text(&order["channel"]["id"]).is_some_and(|id| id == form.channel_id.to_string())
}

/// The order that this one was merged into.
pub(super) fn merged_into(order: &Value) -> Option<String> {
    text(&order["merged_to_id"])
}

/// An order that was merged into another is not called off, whatever becomes of its own status.
fn is_cancelled(order: &Value) -> bool {
    merged_into(order).is_none() && (order["status"] == "cancelled" || time(&order["cancelled_at"]).is_some())
}

/// Sellable id, SKU and units of each line; top-level sellable ids may be null.
fn lines(holder: &Value) -> Option<Vec<(String, String, u32)>> {
    let rows = holder["line_items"].as_array()?;
    rows.iter()
        .map(|row| {
            let sellable = text(&row["sellable"]["id"]).or_else(|| text(&row["sellable_id"]))?;
            let sku = text(&row["sellable"]["sku_code"])?;
            Some((sellable, sku, u32::try_from(whole(&row["quantity"])?).ok()?))
        })
        .collect()
}

/// How an order stands there; none when it cannot be read.
pub(super) fn there(raw: &Raw) -> Option<There> {
    let order: Value = serde_json::from_slice(&raw.body).ok()?;
    let mut units: BTreeMap<String, u64> = BTreeMap::new();
    for (sellable, _, quantity) in lines(&order)? {
        *units.entry(sellable).or_default() += u64::from(quantity);
    }
    let shipped = order["allocations"].as_array().into_iter().flatten().any(|allocation| allocation["shipment"].is_object());
    Some(There {
        cancelled: is_cancelled(&order),
        shipped,
        merged_into: merged_into(&order),
        units,
        address: order["deliver_to"].clone(),
        service: text(&order["delivery_method"]["id"]),
    })
}

fn unreadable(message: String) -> Problem {
    Problem::new("decode.unreadable", "", message, "Look at the order in Veeqo; if the system has changed, update the connector.")
}

/// An order as it stands. It carries items and units; the books are elsewhere.
pub(super) fn order(raw: &Raw, words: &Values) -> Decoded<Order> {
    let document: Value = serde_json::from_slice(&raw.body).unwrap_or_default();
    match read_order(&document, raw, words) {
        Some((record, values)) => Decoded { record: Some(record), problems: Vec::new(), values, also: Vec::new() },
        None => Decoded::of(None, vec![unreadable(format!("order {} at Veeqo cannot be read", raw.id))]),
    }
}

fn read_order(document: &Value, raw: &Raw, words: &Values) -> Option<(Order, Values)> {
    let number = text(&document["number"])?;
    let codes = [&document["currency_code"], &document["channel"]["currency_code"]];
    let currency =
        codes.into_iter().find_map(|code| Currency::from_code(code.as_str()?)).or_else(|| Currency::from_code("GBP"))?;
    let line = |(sellable, sku, quantity): (String, String, u32)| {
        picking::line(&sellable, &words.name_of("item", &sellable).unwrap_or(sku), quantity, currency)
    };
    let at = time(&document["created_at"]).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut values = Values::default();
    let service = text(&document["delivery_method"]["id"]);
    if let (Some(service), Some((_, key, _))) = (service, words.iter().find(|(table, ..)| *table == "shipping_service")) {
        values.set("shipping_service", key, service);
    }
    let record = Order {
        updated_at: time(&document["updated_at"]).unwrap_or(at),
        status: if is_cancelled(document) { OrderStatus::Cancelled } else { OrderStatus::Confirmed },
        lines: lines(document)?.into_iter().map(line).collect(),
        ..picking::order(&number, raw.id.clone(), currency, at)
    };
    Some((record, values))
}

/// One allocation with what is needed of its order (`{"order": …, "allocation": …}`) → what left. With `"into"` it is an
/// allocation of the order that ours was merged into.
pub(super) fn shipment(raw: &Raw, form: &Form) -> Decoded<Shipment> {
    let document: Value = serde_json::from_slice(&raw.body).unwrap_or_default();
    if let Some(reason) = document["unread"].as_str() {
        let order = text(&document["order"]["number"]).unwrap_or_else(|| raw.id.to_string());
        let problems = vec![unread::problem("Veeqo", &order, reason)];
        return Decoded::of(None, problems);
    }
    let (record, problems) = match read_shipment(&document, raw, form) {
        Some((record, problems)) => (Some(record), problems),
        None => (None, vec![unreadable(format!("allocation {} of Veeqo cannot be read", raw.id))]),
    };
    Decoded::of(record, problems)
}

fn read_shipment(document: &Value, raw: &Raw, form: &Form) -> Option<(Shipment, Vec<Problem>)> {
    let (order, allocation, into) = (&document["order"], &document["allocation"], &document["into"]);
    let (number, id) = (text(&order["number"])?, text(&allocation["id"])?);
    let shipment = &allocation["shipment"];
    let carrier = text(&shipment["carrier"]["name"]).or_else(|| text(&shipment["carrier"]));
    // The vendor's own word for a carrier that it has no number for.
    let carrier = match carrier.as_deref() {
        None | Some("Other") => text(&shipment["service_carrier_name"]).or(carrier),
        Some(_) => carrier,
    };
    let service = text(&shipment["service_name"]);
    let url = text(&shipment["tracking_url"]).filter(|url| url.starts_with("https://") || url.starts_with("http://"));
    let tracking = &shipment["tracking_number"];
    // The number of a label that was cancelled leads nowhere.
    let joined = text(&tracking["tracking_number"]).filter(|_| tracking["cancelled"] != true).or_else(|| text(tracking));
    let numbers = joined.map(|joined| picking::tracking_numbers(&joined)).unwrap_or_default();
    let parcel =
        |tracking: Option<String>| Parcel { carrier: carrier.clone(), service: service.clone(), tracking, url: url.clone() };
    let mut problems = Vec::new();
    let mut shipped = shipment.is_object();
    let mut units: Vec<(String, u32)> = lines(allocation)?.into_iter().map(|(_, sku, quantity)| (sku, quantity)).collect();
    if into.is_object() {
        // Of a part that left nobody can say whose goods are in it: the whole of it has to be gone.
        shipped = shipped && has_left_whole(into)?;
        units = if shipped { share(order, into, allocation, &number, &mut problems)? } else { Vec::new() };
    } else if shipped && order["merged_order"] == true {
        problems.push(merged(
            &number,
            format!("other orders were merged into order {number}, and its parcels hold their goods, too"),
        ));
    }
    let parcels = match (shipped, numbers.is_empty()) {
        (false, _) => Vec::new(),
        (true, true) => vec![parcel(None)],
        (true, false) => numbers.into_iter().map(|number| parcel(Some(number))).collect(),
    };
    let lines = units
        .into_iter()
        .filter(|(_, quantity)| *quantity > 0)
        .map(|(sku, quantity)| ShipmentLine { order_line: None, sku: Sku::new(sku), quantity })
        .collect();
    let shipped_at = time(&shipment["outbound_shipment_date"]).or_else(|| time(&shipment["created_at"]));
    let record = Shipment {
        key: shipment_key(&number, &form.connection, &id),
        id: ExternalId::new(id),
        order: RecordKey::new(number),
        status: if shipped { ShipmentStatus::Shipped } else { ShipmentStatus::Open },
        shipped_at,
        updated_at: raw.version.or(shipped_at).or_else(|| time(&order["updated_at"]))?,
        warehouse: text(&allocation["warehouse"]["id"])
            .map(|id| Named { id, name: text(&allocation["warehouse"]["name"]).unwrap_or_default() }),
        lines,
        short: Vec::new(),
        parcels,
        captured: None,
        bundles: Vec::new(),
    };
    Some((record, problems))
}

/// Units by SKU.
fn by_sku(holder: &Value) -> Option<BTreeMap<String, u32>> {
    let mut units: BTreeMap<String, u32> = BTreeMap::new();
    for (_, sku, quantity) in lines(holder)? {
        let sum = units.entry(sku).or_default();
        *sum = sum.saturating_add(quantity);
    }
    Some(units)
}

/// Whether an allocation holds any item of an order.
pub(super) fn has_goods_of(allocation: &Value, order: &Value) -> bool {
    let wanted = by_sku(order).unwrap_or_default();
    // What cannot be read is told as it is, to be held.
    by_sku(allocation).is_none_or(|here| here.keys().any(|sku| wanted.contains_key(sku)))
}

/// Whether everything that was ordered is in an allocation, and every allocation has a shipment.
fn has_left_whole(order: &Value) -> Option<bool> {
    let mut left = by_sku(order)?;
    for allocation in order["allocations"].as_array()? {
        if !allocation["shipment"].is_object() {
            return Some(false);
        }
        for (sku, units) in by_sku(allocation)? {
            let open = left.entry(sku).or_default();
            *open = open.saturating_sub(units);
        }
    }
    Some(left.values().all(|open| *open == 0))
}

/// What of an allocation of the order that ours was merged into is ours, all of it having left: by SKU, as far as
/// there is only one way to see it.
fn share(
    order: &Value,
    into: &Value,
    allocation: &Value,
    number: &str,
    problems: &mut Vec<Problem>,
) -> Option<Vec<(String, u32)>> {
    let (ours, all, here) = (by_sku(order)?, by_sku(into)?, by_sku(allocation)?);
    let mut units = Vec::new();
    for (sku, wanted) in ours {
        let there = all.get(&sku).copied().unwrap_or(0);
        let Some(quantity) = here.get(&sku).copied() else { continue };
        if there < wanted {
            problems
                .push(merged(number, format!("the order that it was merged into has {there} of {sku}, and it wants {wanted}")));
        } else if there == wanted {
            units.push((sku, quantity));
        } else if quantity == there {
            units.push((sku, wanted));
        } else {
            let message = format!("{sku} of it left in several parcels together with that of another order");
            problems.push(merged(number, message));
        }
    }
    Some(units)
}

fn merged(number: &str, message: String) -> Problem {
    Problem::new(
        "shipment.merged",
        "lines",
        format!("order {number}: {message}"),
        "See in Veeqo what of it left in which parcel, tell the shop by hand, then dismiss this with a reason.",
    )
    .cause(number)
}
