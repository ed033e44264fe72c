//! A pick order → the order that Veeqo takes. Pure.
//!
//! Prices go without tax and after every discount, the tax apart as a sum: totals are taken as given. Lines go by the
//! sellable's id, which the gate has looked up by SKU.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use selvedge_connector::{Encoded, Request, picking};
use selvedge_model::{
    Order, Problem,
    gate::{Lookup, Values},
    records::{Address, OrderLine, OrderStatus, PaymentStatus},
};
use serde_json::{Value, json};

use super::{decode, settings::Form};
use crate::handed_over::{self, SERVICE, Text};

/// Places after the point of a price per unit.
const PRICE_PLACES: u32 = 4;

pub(super) fn lookups(order: &Order, form: &Form) -> Vec<Lookup> {
    if order.status == OrderStatus::Cancelled {
        return Vec::new();
    }
    let item = |(index, line): (usize, &OrderLine)| {
        Lookup::new("item", &[("sku", line.sku.as_str())], format!("lines[{index}].sku")).label(line.sku.as_str()).same_name()
    };
    order.lines.iter().enumerate().map(item).chain([picking::shipping_service(order, &form.weight_bands)]).collect()
}

fn address(address: &Address) -> Value {
    let text = |text: &Option<String>| text.as_deref().map(str::trim).unwrap_or_default().to_owned();
    json!({
        "first_name": text(&address.first_name),
        "last_name": text(&address.last_name),
        "company": text(&address.company),
        "address1": text(&address.line1),
        "address2": text(&address.line2),
        "city": text(&address.city),
        "state": text(&address.state),
        "zip": text(&address.postcode),
        "country": text(&address.country),
        "phone": text(&address.phone),
        "email": text(&address.email),
    })
}

pub(super) fn id(text: &str) -> Value {
    text.parse::<u64>().map_or_else(|_| json!(text), |number| json!(number))
}

fn line(line: &OrderLine, values: &Values) -> Result<Value, Box<Problem>> {
    let Some(sellable) = values.one("item", "sku", line.sku.as_str()) else {
        return Err(Box::new(Lookup::new("item", &[("sku", line.sku.as_str())], "lines").missing()));
    };
    let price = (line.net.decimal() / Decimal::from(line.quantity.max(1))).round_dp(PRICE_PLACES);
    let rate: Decimal = line.taxes.iter().map(|tax| tax.rate).sum();
    Ok(json!({
        "sellable_id": id(sellable),
        "quantity": line.quantity,
        "price_per_unit": price.to_string(),
        "tax_rate": (rate / Decimal::ONE_HUNDRED).normalize().to_string(),
        "taxless_discount_per_unit": "0.00",
    }))
}

fn document(order: &Order, values: &Values, form: &Form) -> Result<Value, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut lines = Vec::with_capacity(order.lines.len());
    for one in &order.lines {
        match line(one, values) {
            Ok(line) => lines.push(line),
            Err(problem) => problems.push(*problem),
        }
    }
    let lookup = picking::shipping_service(order, &form.weight_bands);
    let service = values.get(&lookup).map(id);
    if service.is_none() {
        problems.push(lookup.missing());
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let nothing = Address::default();
    let shipping = order.shipping.as_ref().unwrap_or(&nothing);
    let billing = order.billing.as_ref().unwrap_or(shipping);
    let email = [&shipping.email, &billing.email].into_iter().find_map(|email| email.as_deref()).unwrap_or_default();
    let paid = order.payments.iter().find(|payment| payment.status == PaymentStatus::Success);
    let reference = paid.and_then(|payment| payment.reference.clone()).unwrap_or_else(|| order.number.to_string());
    let delivery = order.shipping_charge.net.decimal() + order.handling_charge.net.decimal();
    Ok(json!({ "order": {
        "channel_id": form.channel_id,
        "number": order.number,
        "send_notification_email": false,
        "delivery_method_id": service,
        "customer_attributes": {
            "email": email,
            "phone": shipping.phone.as_deref().unwrap_or_default(),
            "billing_address_attributes": address(billing),
        },
        "deliver_to_attributes": address(shipping),
        "line_items_attributes": lines,
        "delivery_cost": delivery.to_string(),
        "total_tax": order.totals.tax.decimal().to_string(),
        "total_discounts": "0.00",
        "payment_attributes": { "payment_type": form.payment_type, "reference_number": reference },
    } }))
}

const CHANGED_REMEDY: &str = "Change the order in Veeqo by hand if it has not left, then release: it is read back and compared.";

/// What the order says of where it goes and how, and what it is to say.
fn texts(order: &Order, values: &Values, there: &decode::There, form: &Form) -> Vec<Text> {
    let sent = address(order.shipping.as_ref().unwrap_or(&Address::default()));
    let names = [
        ("company", "company"),
        ("address line 1", "address1"),
        ("address line 2", "address2"),
        ("city", "city"),
        ("post code", "zip"),
        ("country", "country"),
    ];
    let of = |address: &Value, field: &str| address.get(field).map(|value| value.as_str().unwrap_or_default().to_owned());
    let name = |address: &Value| Some(format!("{} {}", of(address, "first_name")?, of(address, "last_name")?));
    let told = |(name, field)| Text::new(name, of(&sent, field).unwrap_or_default(), of(&there.address, field));
    let service = values.get(&picking::shipping_service(order, &form.weight_bands));
    let service = service.map(|service| Text::new(SERVICE, service, there.service.as_deref()));
    let whole = Text::new("name", name(&sent).unwrap_or_default(), name(&there.address));
    std::iter::once(whole).chain(names.into_iter().map(told)).chain(service).collect()
}

/// What makes a pick order stand.
pub(super) fn order(order: &Order, values: &Values, there: Option<&decode::There>, form: &Form) -> Result<Encoded, Vec<Problem>> {
    let Some(there) = there else {
        return Ok(Encoded::Put(Request {
            what: format!("enter order {}", order.number),
            method: "POST".to_owned(),
            path: "/orders".to_owned(),
            body: document(order, values, form)?,
            update: None,
            unfinished: false,
        }));
    };
    if order.status == OrderStatus::Cancelled {
        return if there.cancelled { Ok(Encoded::Nothing) } else { Err(vec![by_hand(order, there)]) };
    }
    let mut wanted: BTreeMap<String, u64> = BTreeMap::new();
    for line in &order.lines {
        let sellable = values.one("item", "sku", line.sku.as_str()).unwrap_or_default();
        *wanted.entry(sellable.to_owned()).or_default() += u64::from(line.quantity);
    }
    if wanted == there.units {
        return match handed_over::changed(&order.number, "Veeqo", &texts(order, values, there, form), CHANGED_REMEDY) {
            Ok(()) => Ok(Encoded::Nothing),
            // It leaves with the other order: there is nothing of its own to change any more.
            Err(_) if there.merged_into.is_some() => Err(vec![by_hand(order, there)]),
            Err(problems) => Err(problems),
        };
    }
    if there.merged_into.is_some() {
        return Err(vec![by_hand(order, there)]);
    }
    let told: Vec<String> = order.lines.iter().map(|line| format!("{} × {}", line.quantity, line.sku)).collect();
    Err(vec![
        Problem::new(
            "pick.changed",
            "lines",
            format!("order {} is now {}, and Veeqo has something else", order.number, told.join(", ")),
            CHANGED_REMEDY,
        )
        .cause(order.number.as_str()),
    ])
}

/// Veeqo's interface cancels nothing, and nobody takes an order out of another.
fn by_hand(order: &Order, there: &decode::There) -> Problem {
    let (rule, message, remedy) = if let Some(into) = &there.merged_into {
        (
            "pick.merged",
            format!("order {} changed in the shop, and in Veeqo it was merged into order {into}", order.number),
            "Change that order in Veeqo by hand as long as it has not left, then dismiss this with a reason.",
        )
    } else if there.shipped {
        (
            "pick.gone",
            format!("order {} was cancelled in the shop, and some of it has left the warehouse", order.number),
            "Stop the parcel if you can; else take it back as a return. Then dismiss this with a reason.",
        )
    } else {
        (
            "pick.cancel",
            format!("order {} was cancelled in the shop, and Veeqo takes no cancellation from another program", order.number),
            "Cancel it in Veeqo by hand, then release: it is read back and compared.",
        )
    };
    Problem::new(rule, "status", message, remedy).cause(order.number.as_str())
}
