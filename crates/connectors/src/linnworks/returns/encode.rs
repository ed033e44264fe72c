//! A return that the shop expects → the booking of it. Pure.

use std::collections::BTreeMap;

use selvedge_connector::{Encoded, Request, Standing};
use selvedge_model::{
    Problem, RecordKey, Return,
    records::{ReturnLine, ReturnStatus},
};
use serde_json::{Value, json};

use super::super::{decode::text, settings::Form};
use super::decode;

/// Whether a return came from this connection: booking it here would be an echo.
fn is_theirs(record: &Return, connection: &str) -> bool {
    let part = format!(".{connection}.");
    let Some(counterpart) = record.counterpart.as_ref().map(RecordKey::as_str) else { return false };
    match record.order.as_ref().and_then(|order| counterpart.strip_prefix(order.as_str())) {
        Some(rest) => rest.starts_with(&part),
        None => counterpart.contains(&part),
    }
}

/// Whether a booking is to be made for a return: of goods that are to come, and that were not told from here.
pub(super) fn is_to_be_booked(record: &Return, form: &Form) -> bool {
    record.status == ReturnStatus::Announced && !is_theirs(record, &form.connection) && !record.lines.is_empty()
}

/// The key under which the gate puts the id of the order's document.
pub(super) fn order_key_text(order: &RecordKey) -> String {
    selvedge_model::gate::mapping::key_text(&[(super::ORDER.to_owned(), order.to_string())])
}

fn units<'a>(lines: impl Iterator<Item = (&'a str, u32)>) -> BTreeMap<String, u64> {
    let mut units: BTreeMap<String, u64> = BTreeMap::new();
    for (sku, quantity) in lines {
        *units.entry(sku.to_owned()).or_default() += u64::from(quantity);
    }
    units
}

/// One row of a processed order: the order's id, the row's, and how many units of it are still free.
struct Place {
    order: String,
    row: String,
    item_number: String,
    sku: String,
    free: u32,
}

/// The rows of what has left of an order.
fn places(documents: &Value) -> Vec<Place> {
    let mut places = Vec::new();
    for order in documents.as_array().into_iter().flatten() {
        let cancelled = order["GeneralInfo"]["HoldOrCancel"] == true || order["GeneralInfo"]["IsCancelled"] == true;
        if order["Processed"] != true || cancelled || super::super::decode::is_copy(order) {
            continue;
        }
        for item in order["Items"].as_array().into_iter().flatten() {
            let place = || {
                Some(Place {
                    order: text(&order["OrderId"])?,
                    row: text(&item["RowId"])?,
                    item_number: text(&item["ItemNumber"]).unwrap_or_default(),
                    sku: text(&item["SKU"]).or_else(|| text(&item["ChannelSKU"]))?,
                    free: u32::try_from(item["Quantity"].as_u64()?).ok()?,
                })
            };
            places.extend(place());
        }
    }
    places
}

/// Takes the units of a line from the rows that it may be on.
fn taken(line: &ReturnLine, places: &mut [Place]) -> Option<Vec<(String, String, u32)>> {
    let mut left = line.quantity;
    let mut found = Vec::new();
    let is_same = |place: &Place| match &line.order_line {
        Some(id) if place.item_number == id.as_str() => true,
        Some(_) if !place.item_number.is_empty() => false,
        _ => place.sku == line.sku.as_str(),
    };
    for place in places.iter_mut().filter(|place| is_same(place)) {
        let units = left.min(place.free);
        if units > 0 {
            place.free -= units;
            left -= units;
            found.push((place.order.clone(), place.row.clone(), units));
        }
    }
    (left == 0).then_some(found)
}

pub(super) fn booking(record: &Return, there: Standing<'_>, form: &Form) -> Result<Encoded, Vec<Problem>> {
    let problem = |rule: &'static str, message: String, remedy: &str| {
        vec![Problem::new(rule, "lines", message, remedy).cause(record.key.as_str())]
    };
    if let Some(raw) = there.own {
        let document: Value = serde_json::from_slice(&raw.body).unwrap_or_default();
        let booked = decode::returned(raw, form).record;
        let arrived = !decode::parts(&document["rma"]).is_empty();
        return match (record.status, booked) {
            (ReturnStatus::Received, _) => Ok(Encoded::Nothing),
            (ReturnStatus::Cancelled, _) => Err(problem(
                "return.cancelled",
                format!("return {} was cancelled in the shop, and is booked in Linnworks as {}", record.key, raw.id),
                if arrived {
                    "Its goods have arrived: settle what becomes of them, then dismiss this."
                } else {
                    "Delete the booking in Linnworks, then dismiss this."
                },
            )),
            (ReturnStatus::Announced, Some(booked)) => {
                let of = |one: &Return| units(one.lines.iter().map(|line| (line.sku.as_str(), line.quantity)));
                if arrived || of(record) == of(&booked) {
                    return Ok(Encoded::Nothing);
                }
                let told: Vec<String> = record.lines.iter().map(|line| format!("{} × {}", line.quantity, line.sku)).collect();
                Err(problem(
                    "return.changed",
                    format!(
                        "return {} is now {}, and is booked in Linnworks otherwise ({})",
                        record.key,
                        told.join(", "),
                        raw.id
                    ),
                    "Change the booking in Linnworks, then release; what arrives is read as it is.",
                ))
            }
            (ReturnStatus::Announced, None) => Err(problem(
                "decode.unreadable",
                format!("booking {} at Linnworks cannot be read", raw.id),
                "Look at it in Linnworks; if the system has changed, update the connector.",
            )),
        };
    }
    if !is_to_be_booked(record, form) {
        return Ok(Encoded::Nothing);
    }
    let documents: Value = there.needed.and_then(|raw| serde_json::from_slice(&raw.body).ok()).unwrap_or_default();
    let mut places = places(&documents);
    let mut rows: Vec<(String, Value)> = Vec::new();
    for line in &record.lines {
        let Some(found) = taken(line, &mut places) else {
            return Err(problem(
                "return.not_left",
                format!(
                    "{} × {} of return {} are not on processed orders in Linnworks, and only what has left can be booked as coming back",
                    line.quantity, line.sku, record.key
                ),
                "See in Linnworks whether the order is processed; process it there or book the return by hand, then release.",
            ));
        };
        rows.extend(found.into_iter().map(|(order, row, units)| {
            let reason = line.reason.clone().or_else(|| record.reason.clone()).unwrap_or_default();
            let item = json!({
                "OrderItemRowId": row, "ReturnItemSKU": line.sku.as_str(), "ReturnQuantity": units, "ScrapQuantity": 0,
                "ReturnLocation": documents_location(&documents, &order), "IsFreeText": true, "Reason": reason,
            });
            (order, item)
        }));
    }
    let order = rows.first().map(|(order, _)| order.clone()).unwrap_or_default();
    if rows.iter().any(|(other, _)| *other != order) {
        return Err(problem(
            "return.split",
            format!("return {} is of goods that left under several orders in Linnworks, and a booking is of one", record.key),
            "Book it in Linnworks by hand, one booking per order, then dismiss this; what arrives is read all the same.",
        ));
    }
    let items: Vec<Value> = rows.into_iter().map(|(_, item)| item).collect();
    Ok(Encoded::Put(Request {
        what: format!("book return {}", record.key),
        method: "POST".to_owned(),
        path: "ReturnsRefunds/CreateRMABooking".to_owned(),
        body: json!({ "request": {
            "ChannelInitiated": false, "OrderId": order, "Reference": record.key.as_str(),
            "ReturnItems": items, "ExchangeItems": [], "ResendItems": [],
        } }),
        update: None,
        unfinished: false,
    }))
}

/// From where an order left: there its goods are to come back to.
fn documents_location(documents: &Value, order: &str) -> Value {
    let orders = documents.as_array().map(Vec::as_slice).unwrap_or_default();
    let one = orders.iter().find(|document| text(&document["OrderId"]).is_some_and(|id| id == order));
    one.and_then(|one| text(&one["FulfilmentLocationId"])).map_or(json!("00000000-0000-0000-0000-000000000000"), |id| json!(id))
}
