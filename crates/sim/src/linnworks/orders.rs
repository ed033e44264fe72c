//! Orders: entered by their identity, read by reference or by change, cancelled.

use axum::response::Response;
use serde_json::{Value, json};

use super::state::{Line, Order, State, uuid_of};
use super::{Asked, Inner, bad, location_id, moment, ok};

/// The most orders of one call (the vendor's help).
const ORDERS_MAX: usize = 20;
/// A longer post code parks the order.
const POSTCODE_CHARS_MAX: usize = 11;

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// `CreateOrders`: answers with the ids of saved orders only.
pub fn create(inner: &Inner, asked: &Asked<'_>) -> anyhow::Result<Response> {
    let wishes = asked.body["orders"].as_array().cloned().unwrap_or_default();
    if wishes.is_empty() || wishes.len() > ORDERS_MAX {
        return Ok(bad("Between 1 and 20 orders can be created at once"));
    }
    let Some((location, _)) = inner.location(asked.body["location"].as_str().unwrap_or_default()) else {
        return Ok(bad("Location does not exist"));
    };
    let mut saved = Vec::new();
    for wish in &wishes {
        if let Some(id) = save(inner, wish, &location)? {
            saved.push(id);
        }
    }
    Ok(ok(&json!(saved)))
}

fn save(inner: &Inner, wish: &Value, location: &str) -> anyhow::Result<Option<String>> {
    let mut state = inner.state();
    let (source, sub_source) = (text(&wish["Source"]), text(&wish["SubSource"]));
    let reference = text(&wish["ReferenceNumber"]);
    let known = state
        .referenced(&reference)
        .into_iter()
        .find(|order| order.source == source && order.sub_source == sub_source && order.reference == reference)
        .cloned();
    let status = wish["PaymentStatus"].as_str().unwrap_or("Unpaid");
    if let Some(order) = &known {
        if status == "Cancelled" {
            let mut order = order.clone();
            order.cancelled = true;
            order.processed = Some(inner.now());
            order.updated = inner.now();
            state.put(order)?;
            return Ok(None);
        }
        // A paid order is skipped without a word.
        if order.paid {
            return Ok(None);
        }
    } else if status == "Cancelled" {
        return Ok(None);
    }
    let items = wish["OrderItems"].as_array().cloned().unwrap_or_default();
    let mut numbers: Vec<String> = items.iter().map(|item| text(&item["ItemNumber"])).collect();
    numbers.sort();
    let unique = numbers.windows(2).all(|pair| pair.first() != pair.last());
    let received = wish["ReceivedDate"].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    if items.is_empty() || !unique || received.is_none() || source.is_empty() || reference.is_empty() {
        return Ok(None);
    }
    let number = known.as_ref().map_or_else(|| state.next_number(), |order| order.number);
    let id = known.as_ref().map_or_else(|| uuid_of("order", number.unsigned_abs()), |order| order.id.clone());
    let postcode = text(&wish["DeliveryAddress"]["PostCode"]);
    let paid = status == "Paid";
    let parked = inner.options.centres.iter().any(|name| name == location)
        || !paid
        || postcode.chars().count() > POSTCODE_CHARS_MAX
        || wish["OrderState"] == "Park";
    // A service that is not there is made only if asked for; else the order goes by the default one.
    let service = text(&wish["PostalServiceName"]);
    let makes = wish["SavePostalServiceIfNotExist"].as_bool().unwrap_or(false);
    let service = if inner.options.services.contains(&service) || makes { service } else { "Default".to_owned() };
    let link = wish["AutomaticallyLinkBySKU"].as_bool().unwrap_or(false);
    let lines = (0_u64..)
        .zip(&items)
        .map(|(nth, item)| {
            let sku = text(&item["ChannelSKU"]);
            Line {
                row: uuid_of("row", number.unsigned_abs() * 1_000 + nth),
                item_number: text(&item["ItemNumber"]),
                unlinked: !link || state.items.get(&sku).is_none_or(|stocked| stocked.archived),
                sku,
                title: text(&item["ItemTitle"]),
                quantity: item["Qty"].as_i64().unwrap_or(0),
                price: item["PricePerUnit"].to_string(),
                part_shipped: 0,
            }
        })
        .collect();
    let currency = text(&wish["Currency"]);
    state.put(Order {
        id: id.clone(),
        number,
        reference,
        secondary: text(&wish["SecondaryReferenceNumber"]),
        external: text(&wish["ExternalReference"]),
        source,
        sub_source,
        currency: if currency.is_empty() { "UNK".to_owned() } else { currency },
        country: text(&wish["DeliveryAddress"]["MatchCountryCode"]),
        address: wish["DeliveryAddress"].clone(),
        location: location.to_owned(),
        service,
        vendor: String::new(),
        received: text(&wish["ReceivedDate"]),
        dispatch_by: text(&wish["DispatchBy"]),
        paid,
        parked,
        cancelled: false,
        split: false,
        resend: false,
        locked: false,
        parcels_broken: false,
        processed: None,
        updated: inner.now(),
        tracking: Vec::new(),
        tracking_later: Vec::new(),
        lines,
    })?;
    Ok(Some(id))
}

/// `CancelOrder`: only what is still open.
pub fn cancel(inner: &Inner, asked: &Asked<'_>) -> anyhow::Result<Response> {
    let mut state = inner.state();
    let Some(order) = state.by_id(asked.body["orderId"].as_str().unwrap_or_default()).cloned() else {
        return Ok(bad("Order was not found"));
    };
    if order.processed.is_some() {
        return Ok(bad("Order has been processed and cannot be cancelled"));
    }
    let now = inner.now();
    let message = format!("Order {} cancelled", order.number);
    state.put(Order { cancelled: true, processed: Some(now), updated: now, ..order })?;
    Ok(ok(&json!(message)))
}

/// `GetOrderDetailsByReferenceId`: open and processed, at most fifty.
pub fn by_reference(inner: &Inner, asked: &Asked<'_>) -> Response {
    let Some(reference) = asked.query("ReferenceId") else { return bad("ReferenceId is required") };
    let state = inner.state();
    let found: Vec<Value> =
        state.referenced(reference).into_iter().take(50).map(|order| document(inner, &state, order, false)).collect();
    ok(&json!(found))
}

/// `GetPackageSplit`: the parcels of a processed order; none when there is but one.
pub fn packages(inner: &Inner, asked: &Asked<'_>) -> Response {
    let state = inner.state();
    let Some(order) = asked.query("pkOrderId").and_then(|id| state.by_id(id)) else { return bad("Order was not found") };
    if order.parcels_broken {
        return bad("Object reference not set to an instance of an object");
    }
    let rows: Vec<Value> = (0_u64..)
        .zip(&order.tracking)
        .filter(|_| order.tracking.len() > 1)
        .map(|(bin, tracking)| {
            json!({ "BinIndex": bin, "pkBinId": uuid_of("bin", order.number.unsigned_abs() * 10 + bin), "TrackingNumber": tracking,
                    "SKU": order.lines.first().map(|line| line.sku.clone()), "Quantity": 1, "Weight": 0 })
        })
        .collect();
    ok(&json!(rows))
}

/// v2 `GET /orders`: by last change, or by ids; a token leads to the next page.
pub fn changed(inner: &Inner, asked: &Asked<'_>) -> Response {
    let state = inner.state();
    let ids: Vec<&str> = asked.query.iter().filter(|(key, _)| key == "id").map(|(_, id)| id.as_str()).collect();
    let size = asked.query("entriesPerPage").and_then(|text| text.parse::<usize>().ok()).unwrap_or(50).clamp(1, 200);
    let processed = asked.query("includeProcessed") == Some("true") || !ids.is_empty();
    let from = asked.query("fromDate").and_then(|text| text.parse::<jiff::Timestamp>().ok());
    if ids.is_empty() && from.is_none() {
        return bad("fromDate is required");
    }
    let from = from.map_or(i64::MIN, jiff::Timestamp::as_millisecond);
    let mut searches = inner.searches.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let after = match asked.query("searchToken").map(|token| searches.get(token).copied()) {
        Some(None) => return bad("Search token is not valid or has expired"),
        known => known.flatten(),
    };
    let mut found: Vec<&Order> = state
        .orders
        .values()
        .filter(|order| if ids.is_empty() { order.updated >= from } else { ids.contains(&order.id.as_str()) })
        .filter(|order| processed || order.processed.is_none())
        .filter(|order| after.is_none_or(|after| (order.updated, order.number) > after))
        .collect();
    found.sort_by_key(|order| (order.updated, order.number));
    let total = found.len();
    let page: Vec<&Order> = found.into_iter().take(size).collect();
    let next = page.last().filter(|_| total > size).map(|last| {
        let at = (last.updated, last.number);
        let token = uuid_of("search", at.0.unsigned_abs().wrapping_mul(31).wrapping_add(at.1.unsigned_abs()));
        searches.insert(token.clone(), at);
        token
    });
    let of = |processed: bool| -> Vec<Value> {
        page.iter()
            .filter(|order| order.processed.is_some() == processed)
            .map(|order| document(inner, &state, order, true))
            .collect()
    };
    ok(&json!({ "TotalOrders": total, "NextSearchToken": next, "OpenOrders": of(false), "ProcessedOrders": of(true) }))
}

/// Seven digits after the second and no zone, as its own servers write.
pub fn time(millis: i64) -> String {
    format!("{}0000", moment(millis).strftime("%Y-%m-%dT%H:%M:%S.%3f"))
}

/// What an address is shown with, as it was told.
const ADDRESS: [&str; 9] =
    ["EmailAddress", "Address1", "Address2", "Address3", "Town", "Region", "PostCode", "FullName", "Company"];

/// A country is told by its code and shown by its name.
fn country_name(code: &str) -> &str {
    match code {
        "GB" => "United Kingdom",
        "SE" => "Sweden",
        "DE" => "Germany",
        "US" => "United States",
        _ => "UNKNOWN",
    }
}

/// An order in the shape of v1 or of v2.
fn document(inner: &Inner, state: &State, order: &Order, second: bool) -> Value {
    let at = inner.options.locations.iter().position(|name| *name == order.location).unwrap_or(0);
    let tracking = if order.tracking.len() > 1 { order.tracking.first() } else { order.tracking.last() };
    let mut general = json!({
        "Status": if order.resend { 4 } else { i32::from(order.paid) }, "ReferenceNum": order.reference, "SecondaryReference": order.secondary,
        "ExternalReferenceNum": order.external, "Source": order.source, "SubSource": order.sub_source,
        "ReceivedDate": order.received, "DespatchByDate": order.dispatch_by, "NumItems": order.lines.len(),
        "Marker": if order.parked { 7 } else { 0 },
    });
    let cancelled = order.cancelled && order.processed.is_some();
    if second {
        if order.processed.is_some() {
            general["IsCancelled"] = json!(cancelled);
        } else {
            general["IsParked"] = json!(order.parked);
            general["IsLocked"] = json!(order.locked);
        }
    } else {
        general["IsParked"] = json!(order.parked);
        general["HoldOrCancel"] = json!(if order.processed.is_some() { cancelled } else { order.locked });
        general["PartShipped"] = json!(order.lines.iter().any(|line| line.part_shipped > 0));
    }
    let country = country_name(&order.country);
    let address: serde_json::Map<String, Value> =
        ADDRESS.iter().map(|name| ((*name).to_owned(), json!(text(&order.address[*name])))).collect();
    let mut items: Vec<Value> = Vec::new();
    for line in &order.lines {
        let mut row = json!({
            "RowId": line.row, "ItemNumber": line.item_number, "SKU": if line.unlinked { Value::Null } else { json!(line.sku) },
            "ChannelSKU": line.sku, "Title": line.title, "Quantity": line.quantity, "IsService": false,
            "IsUnlinked": line.unlinked,
        });
        let parts = state.items.get(&line.sku).filter(|_| !line.unlinked).map(|stocked| stocked.item.parts.as_slice());
        let children = parts.unwrap_or_default().iter().map(|(sku, each)| {
            json!({ "RowId": uuid_of("child", crate::mischief::hash_text(&format!("{}{sku}", line.row))), "ItemNumber": "", "SKU": sku,
                    "ChannelSKU": "", "Quantity": line.quantity * i64::from(*each), "IsService": false, "IsUnlinked": false })
        });
        if second {
            // Children stand beside their parent and name it.
            let parent = json!(line.row);
            items.push(row);
            items.extend(children.map(|mut child| {
                child["ParentItemId"] = parent.clone();
                child
            }));
        } else {
            row["CompositeSubItems"] = json!(children.collect::<Vec<_>>());
            row["PartShipped"] = json!(line.part_shipped > 0);
            row["PartShippedQty"] = json!(line.part_shipped);
            items.push(row);
        }
    }
    let never = "0001-01-01T00:00:00".to_owned();
    let processed_on = order.processed.map_or(never, time);
    let mut shown = json!({
        "OrderId": order.id, "NumOrderId": order.number, "Processed": order.processed.is_some(),
        "FulfilmentLocationId": location_id(at), "GeneralInfo": general,
        "ShippingInfo": { "Vendor": order.vendor, "PostalServiceName": order.service, "TrackingNumber": tracking.cloned().unwrap_or_default() },
        "TotalsInfo": { "Currency": order.currency }, "Items": items,
    });
    if second {
        shown["ProcessedOn"] = json!(processed_on);
        shown["LastUpdated"] = json!(time(order.updated));
    } else {
        shown["ProcessedDateTime"] = json!(processed_on);
        shown["CustomerInfo"] = json!({ "ChannelBuyerName": "", "Address": address });
        shown["CustomerInfo"]["Address"]["Country"] = json!(country);
    }
    shown
}
