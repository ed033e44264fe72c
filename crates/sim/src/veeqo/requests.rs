//! What each path answers, and what a request may hold.

use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use super::state::{Line, Order};
use super::{CHANNEL, Inner, METHODS_FROM, documents, products, refuse, respond};

/// Members of `order` in a creation, and of the objects in it.
const ORDER: &[&str] = &[
    "channel_id",
    "number",
    "due_date",
    "send_notification_email",
    "delivery_method_id",
    "customer_id",
    "customer_attributes",
    "deliver_to_id",
    "deliver_to_attributes",
    "line_items_attributes",
    "delivery_cost",
    "total_tax",
    "total_discounts",
    "additional_order_level_taxless_discount",
    "payment_attributes",
    "customer_note_attributes",
    "employee_notes_attributes",
];
const LINE: &[&str] =
    &["sellable_id", "quantity", "price_per_unit", "tax_rate", "taxless_discount_per_unit", "additional_options"];
const ADDRESS: &[&str] =
    &["first_name", "last_name", "company", "address1", "address2", "city", "state", "zip", "country", "phone", "email"];
const CUSTOMER: &[&str] = &["email", "phone", "mobile", "billing_address_attributes"];
const PAYMENT: &[&str] = &["payment_type", "reference_number"];
const PAYMENT_TYPES: &[&str] =
    &["none", "cash", "credit_card", "bank_transfer", "paypal", "paypal_express", "sagepay", "checkmo", "online_finance"];

pub fn strangers(value: &Value, known: &[&str], at: &str, found: &mut Vec<String>) {
    for key in value.as_object().into_iter().flat_map(|map| map.keys()).filter(|key| !known.contains(&key.as_str())) {
        found.push(format!("{at}.{key} is not known"));
    }
}

fn checked(order: &Value) -> Vec<String> {
    let mut found = Vec::new();
    strangers(order, ORDER, "order", &mut found);
    strangers(&order["customer_attributes"], CUSTOMER, "order.customer_attributes", &mut found);
    let billing = &order["customer_attributes"]["billing_address_attributes"];
    strangers(billing, ADDRESS, "order.customer_attributes.billing_address_attributes", &mut found);
    strangers(&order["deliver_to_attributes"], ADDRESS, "order.deliver_to_attributes", &mut found);
    strangers(&order["payment_attributes"], PAYMENT, "order.payment_attributes", &mut found);
    for line in order["line_items_attributes"].as_array().into_iter().flatten() {
        strangers(line, LINE, "order.line_items_attributes", &mut found);
        if line["quantity"].as_i64().is_none_or(|units| units < 1) {
            found.push("order.line_items_attributes.quantity must be a whole number above nought".to_owned());
        }
    }
    if order["channel_id"].as_u64().is_none() {
        found.push("order.channel_id is required".to_owned());
    }
    let one_of = |a: &str, b: &str| order[a].is_null() == order[b].is_null();
    if one_of("customer_id", "customer_attributes") || one_of("deliver_to_id", "deliver_to_attributes") {
        found.push("order needs a customer and a delivery address, each by id or by attributes".to_owned());
    }
    let payment = &order["payment_attributes"]["payment_type"];
    if !payment.is_null() && !payment.as_str().is_some_and(|word| PAYMENT_TYPES.contains(&word)) {
        found.push(format!("order.payment_attributes.payment_type {payment} is not known"));
    }
    found
}

/// One page of rows, with the four headers.
pub fn page(query: &[(String, String)], size_name: &str, rows: Vec<Value>) -> Response {
    let number = |name: &str, usual: usize| {
        query.iter().find(|(key, _)| key == name).and_then(|(_, text)| text.parse::<usize>().ok()).unwrap_or(usual).max(1)
    };
    let (at, size, total) = (number("page", 1), number(size_name, 12), rows.len());
    let shown: Vec<Value> = rows.into_iter().skip((at - 1).saturating_mul(size)).take(size).collect();
    let mut response = respond(StatusCode::OK, &Value::Array(shown));
    let headers =
        [("x-total-count", total), ("x-total-pages-count", total.div_ceil(size)), ("x-page-index", at), ("x-per-page", size)];
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value.to_string()) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

/// Answers one request. Errors when the journal cannot be written.
pub fn answer(inner: &Inner, method: &Method, path: &str, query: &[(String, String)], body: &Value) -> anyhow::Result<Response> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let not_found = || refuse(StatusCode::NOT_FOUND, "Not found");
    let done = match (method.as_str(), parts.as_slice()) {
        ("GET", ["current_company"]) => respond(StatusCode::OK, &json!({ "id": 1, "name": "Selvedge Test" })),
        ("GET", ["channels"]) => page(query, "page_size", documents::channels()),
        ("GET", ["warehouses"]) => {
            let row = |(id, name): (u64, &String)| json!({ "id": id, "name": name, "deleted_at": null });
            page(query, "page_size", (1..).zip(&inner.options.warehouses).map(row).collect())
        }
        ("GET", ["delivery_methods"]) => {
            let rows = (METHODS_FROM..)
                .zip(&inner.options.delivery_methods)
                // A number inside an order, a text in its own list.
                .map(|(id, name)| json!({ "id": id, "name": name, "cost": "0.0" }))
                .collect();
            page(query, "page_size", rows)
        }
        ("GET", ["orders"]) => orders(inner, query),
        ("GET", ["orders", id]) => {
            let state = inner.state();
            match id.parse::<u64>().ok().and_then(|id| state.orders.get(&id)) {
                Some(order) if order.broken => refuse(StatusCode::UNPROCESSABLE_ENTITY, "Order cannot be shown"),
                Some(order) => respond(StatusCode::OK, &documents::order(inner, &state, order)),
                None => not_found(),
            }
        }
        ("POST", ["orders"]) => create(inner, body)?,
        _ => match products::answer(inner, method, &parts, query, body)? {
            Some(answer) => answer,
            None => {
                inner.blame(format!("{method} {path} is not simulated"));
                not_found()
            }
        },
    };
    Ok(done)
}

/// A filter by time, in the form that the vendor takes; anything else finds nothing.
pub fn from(query: &[(String, String)], name: &str) -> Option<i64> {
    let (_, text) = query.iter().find(|(key, _)| key == name)?;
    let instant = || {
        let local: jiff::civil::DateTime = text.replace(' ', "T").parse().ok()?;
        Some(jiff::tz::TimeZone::UTC.to_timestamp(local).ok()?.as_millisecond())
    };
    Some(instant().unwrap_or(i64::MAX))
}

fn orders(inner: &Inner, query: &[(String, String)]) -> Response {
    let of = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, text)| text.as_str());
    let (updated, created) = (from(query, "updated_at_min"), from(query, "created_at_min"));
    let (wanted, status, now) = (of("query"), of("status"), inner.now());
    let state = inner.state();
    let rows = state
        .orders
        .values()
        // Cancelled ones are left out unless they are asked for.
        .filter(|order| status.map_or(!order.cancelled, |status| order.status() == status))
        .filter(|order| updated.is_none_or(|from| order.updated >= from) && created.is_none_or(|from| order.created >= from))
        // The search is fuzzy, and learns of an order some time after it was entered.
        .filter(|order| wanted.is_none_or(|text| order.number.contains(text) && order.created + inner.options.search_lag <= now))
        .map(|order| documents::order(inner, &state, order))
        .collect();
    page(query, "page_size", rows)
}

fn create(inner: &Inner, body: &Value) -> anyhow::Result<Response> {
    let told = &body["order"];
    if !told.is_object() {
        inner.blame("POST /orders without an order around it".to_owned());
        return Ok(refuse(StatusCode::BAD_REQUEST, "param is missing or the value is empty: order"));
    }
    let found = checked(told);
    if let Some(first) = found.first().cloned() {
        found.into_iter().for_each(|one| inner.blame(format!("POST /orders: {one}")));
        return Ok(refuse(StatusCode::BAD_REQUEST, &first));
    }
    let mut state = inner.state();
    let method = told["delivery_method_id"].as_u64().unwrap_or(METHODS_FROM);
    let known = method.checked_sub(METHODS_FROM).and_then(|at| usize::try_from(at).ok());
    let known = known.is_some_and(|at| at < inner.options.delivery_methods.len());
    let rows = told["line_items_attributes"].as_array().cloned().unwrap_or_default();
    let lines: Vec<Line> = rows
        .iter()
        .map(|row| Line { sellable: row["sellable_id"].as_u64().unwrap_or(0), quantity: row["quantity"].as_i64().unwrap_or(0) })
        .collect();
    let sellables = !lines.is_empty() && lines.iter().all(|line| state.live(line.sellable).is_some());
    // An unknown id anywhere in the body is a 404.
    if told["channel_id"].as_u64() != Some(CHANNEL) || !known || !sellables {
        return Ok(refuse(StatusCode::NOT_FOUND, "Record not found"));
    }
    let (id, now) = (state.next_id(), inner.now());
    let payment = told["payment_attributes"]["payment_type"].as_str();
    let mut order = Order {
        id,
        number: told["number"].as_str().map_or_else(|| format!("#P-{id}"), str::to_owned),
        channel: CHANNEL,
        delivery_method: method,
        deliver_to: told["deliver_to_attributes"].clone(),
        paid: payment.is_some_and(|word| word != "none"),
        cancelled: false,
        created: now,
        updated: now,
        lines,
        allocations: Vec::new(),
        allocated: 0,
        merged_to: None,
        merged: false,
        returns: Vec::new(),
        broken: false,
    };
    inner.allocate(&state, &mut order, now);
    let shown = documents::order(inner, &state, &order);
    // Nothing guards against a second order of the same number.
    state.put(order)?;
    Ok(respond(StatusCode::CREATED, &shown))
}
