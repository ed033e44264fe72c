//! A pick order → the order that Linnworks takes. Pure.
//!
//! Money goes as Linnworks shows it on packing slips: the unit price with tax inside, folded down by every discount. It
//! takes a line discount in percent only, which does not hit every amount; the price per unit does, to four places, and
//! the books are elsewhere.

use std::{collections::BTreeSet, str::FromStr};

use jiff::Timestamp;
use rust_decimal::Decimal;
use selvedge_connector::{Encoded, Request, picking};
use selvedge_model::{
    ExternalId, Order, Problem,
    gate::{Lookup, Values},
    records::{Address, OrderLine, OrderStatus},
};
use serde_json::{Number, Value, json};

use super::{
    decode::{Part, Standing},
    settings::Form,
};
use crate::handed_over::{self, SERVICE, Text};

/// Places after the point of a price per unit.
const PRICE_PLACES: u32 = 4;
/// A post code longer than this parks the order (the vendor's help).
const POSTCODE_CHARS_MAX: usize = 11;

pub(super) fn lookups(order: &Order, form: &Form) -> Vec<Lookup> {
    if order.status == OrderStatus::Cancelled {
        return Vec::new();
    }
    let item = |(index, line): (usize, &OrderLine)| {
        Lookup::new("item", &[("sku", line.sku.as_str())], format!("lines[{index}].sku")).label(line.sku.as_str()).same_name()
    };
    order.lines.iter().enumerate().map(item).chain([picking::shipping_service(order, &form.weight_bands)]).collect()
}

fn number(value: Decimal) -> Value {
    Number::from_str(&value.normalize().to_string()).map_or(Value::Null, Value::Number)
}

/// With `Z`, whole seconds: what the vendor's own client library writes.
fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn name(address: &Address) -> String {
    let parts = [address.first_name.as_deref(), address.last_name.as_deref()];
    let name: Vec<&str> = parts.into_iter().flatten().map(str::trim).filter(|part| !part.is_empty()).collect();
    if name.is_empty() {
        address.attention.clone().or_else(|| address.company.clone()).unwrap_or_default()
    } else {
        name.join(" ")
    }
}

fn address(address: &Address) -> Value {
    let text = |text: &Option<String>| text.as_deref().map(str::trim).unwrap_or_default().to_owned();
    json!({
        "MatchCountryCode": text(&address.country),
        "FullName": name(address),
        "Company": text(&address.company),
        "Address1": text(&address.line1),
        "Address2": text(&address.line2),
        "Address3": text(&address.attention),
        "Town": text(&address.city),
        "Region": text(&address.state),
        "PostCode": text(&address.postcode),
        "PhoneNumber": text(&address.phone),
        "EmailAddress": text(&address.email),
    })
}

fn item(line: &OrderLine, values: &Values) -> Result<Value, Box<Problem>> {
    let gross = line.net.plus(line.tax).map_err(|e| {
        Box::new(Problem::new(
            "order.amounts",
            "lines",
            format!("the amounts of line {} cannot be added: {e}", line.id),
            "Mend the order.",
        ))
    })?;
    let price = (gross.decimal() / Decimal::from(line.quantity.max(1))).round_dp(PRICE_PLACES);
    let rate: Decimal = line.taxes.iter().map(|tax| tax.rate).sum();
    let sku = values.one("item", "sku", line.sku.as_str()).unwrap_or(line.sku.as_str());
    Ok(json!({
        "ItemNumber": line.id,
        "ChannelSKU": sku,
        "ItemTitle": line.name,
        "Qty": line.quantity,
        "PricePerUnit": number(price),
        "TaxRate": number(rate),
        "TaxCostInclusive": true,
        "UseChannelTax": true,
        "LineDiscount": 0,
        "IsService": false,
    }))
}

/// The order as Linnworks takes it.
fn document(order: &Order, values: &Values, form: &Form) -> Result<Value, Vec<Problem>> {
    let nothing = Address::default();
    let shipping = order.shipping.as_ref().unwrap_or(&nothing);
    let mut problems = Vec::new();
    if shipping.postcode.as_deref().is_some_and(|code| code.trim().chars().count() > POSTCODE_CHARS_MAX) {
        problems.push(
            Problem::new(
                "address.postcode",
                "shipping.postcode",
                format!("Linnworks parks an order whose post code is longer than {POSTCODE_CHARS_MAX} characters"),
                "Mend the post code in the shop; the edited order takes the place of this one.",
            )
            .value(shipping.postcode.as_deref().unwrap_or_default()),
        );
    }
    let mut items = Vec::with_capacity(order.lines.len());
    let mut numbers = BTreeSet::new();
    for line in &order.lines {
        if !numbers.insert(line.id.as_str()) {
            let message = format!("line {} stands twice, and Linnworks saves no such order and says nothing", line.id);
            let remedy = "Look at the order in the shop; if its lines are right there, update the connector.";
            problems.push(Problem::new("pick.line_twice", "lines", message, remedy).value(line.id.as_str()));
        }
        match item(line, values) {
            Ok(item) => items.push(item),
            Err(problem) => problems.push(*problem),
        }
    }
    let charges = order.shipping_charge.net.plus(order.shipping_charge.tax);
    let handling = order.handling_charge.net.plus(order.handling_charge.tax);
    let (Ok(shipping_cost), Ok(handling)) = (charges, handling) else {
        problems.push(Problem::new("order.amounts", "shipping_charge", "the charges cannot be added", "Mend the order."));
        return Err(problems);
    };
    let postage = shipping_cost.decimal() + handling.decimal();
    let Some(service) = values.get(&picking::shipping_service(order, &form.weight_bands)) else {
        problems.push(picking::shipping_service(order, &form.weight_bands).missing());
        return Err(problems);
    };
    if !problems.is_empty() {
        return Err(problems);
    }
    let dispatch_by = order.dispatch_by.unwrap_or_else(|| {
        order.placed_at.checked_add(jiff::SignedDuration::from_hours(24 * form.dispatch_days)).unwrap_or(order.placed_at)
    });
    Ok(json!({
        "Source": form.source,
        "SubSource": form.sub_source,
        "ReferenceNumber": order.number,
        "SecondaryReferenceNumber": order.number,
        "ExternalReference": order.id,
        "ReceivedDate": time(order.placed_at),
        "PaidOn": time(order.payments.iter().map(|payment| payment.at).min().unwrap_or(order.placed_at)),
        "DispatchBy": time(dispatch_by),
        "PaymentStatus": "Paid",
        "OrderState": "None",
        "Currency": order.currency,
        "UseChannelTax": true,
        "AutomaticallyLinkBySKU": true,
        "PostalServiceName": service,
        "SavePostalServiceIfNotExist": false,
        "PostalServiceCost": number(postage),
        "PostalServiceTaxRate": number(order.shipping_charge.rate.unwrap_or_default()),
        "DeliveryAddress": address(shipping),
        "BillingAddress": address(order.billing.as_ref().unwrap_or(shipping)),
        "OrderItems": items,
    }))
}

/// What makes a pick order stand.
pub(super) fn order(order: &Order, values: &Values, there: Option<&Standing>, form: &Form) -> Result<Encoded, Vec<Problem>> {
    match there.filter(|there| !there.parts.is_empty()) {
        None => {
            let document = document(order, values, form)?;
            Ok(Encoded::Put(Request {
                what: format!("enter order {}", order.number),
                method: "POST".to_owned(),
                path: "Orders/CreateOrders".to_owned(),
                body: json!({ "orders": [document], "location": form.location }),
                update: None,
                unfinished: false,
            }))
        }
        Some(there) if order.status == OrderStatus::Cancelled => cancel(order, there),
        Some(there) => unchanged(order, values, there, form),
    }
}

/// One call cancels one of the orders that ours was split into; what has left cannot be called back.
fn cancel(order: &Order, there: &Standing) -> Result<Encoded, Vec<Problem>> {
    if there.parts.iter().any(|part| (part.processed || part.part_shipped) && !part.cancelled) {
        return Err(vec![gone_already(order)]);
    }
    let mut open = there.parts.iter().filter(|part| !part.cancelled);
    let Some(part) = open.next() else { return Ok(Encoded::Nothing) };
    Ok(Encoded::Put(Request {
        what: format!("cancel order {} ({})", order.number, part.number),
        method: "POST".to_owned(),
        path: "Orders/CancelOrder".to_owned(),
        body: json!({
            "orderId": part.id,
            "fulfilmentCenter": part.location,
            "refund": 0,
            "note": "Cancelled in the shop",
        }),
        update: Some(ExternalId::new(order.number.as_str())),
        unfinished: open.next().is_some(),
    }))
}

const CHANGED_REMEDY: &str =
    "Change the order in Linnworks by hand if it has not left, then release: it is read back and compared.";

/// What an order's part says of where it goes and how, and what it is to say. The country is read back as a name only,
/// which is in no stated relation to the code that is sent; the service goes by country, too.
fn texts(order: &Order, values: &Values, part: &Part, form: &Form) -> Vec<Text> {
    let sent = address(order.shipping.as_ref().unwrap_or(&Address::default()));
    let names = [
        ("name", "FullName"),
        ("company", "Company"),
        ("address line 1", "Address1"),
        ("address line 2", "Address2"),
        ("address line 3", "Address3"),
        ("city", "Town"),
        ("post code", "PostCode"),
    ];
    let told = |(name, field): (&'static str, &str)| {
        let there = part.address.get(field).map(|value| value.as_str().unwrap_or_default());
        Text::new(name, sent[field].as_str().unwrap_or_default(), there)
    };
    let there = Some(part.service.as_str()).filter(|service| !service.is_empty());
    let service = values.get(&picking::shipping_service(order, &form.weight_bands));
    let service = service.map(|service| Text::new(SERVICE, service, there));
    names.into_iter().map(told).chain(service).collect()
}

/// An order that is being picked is not rewritten: what has changed is for a person.
fn unchanged(order: &Order, values: &Values, there: &Standing, form: &Form) -> Result<Encoded, Vec<Problem>> {
    let mut wanted: Vec<(String, u64)> = Vec::new();
    for line in &order.lines {
        let sku = values.one("item", "sku", line.sku.as_str()).unwrap_or(line.sku.as_str());
        match wanted.iter_mut().find(|(known, _)| known == sku) {
            Some((_, units)) => *units += u64::from(line.quantity),
            None => wanted.push((sku.to_owned(), u64::from(line.quantity))),
        }
    }
    wanted.sort();
    let told = |units: &[(String, u64)]| units.iter().map(|(sku, n)| format!("{n} × {sku}")).collect::<Vec<_>>().join(", ");
    if wanted == there.units() {
        for part in there.parts.iter().filter(|part| !part.cancelled) {
            handed_over::changed(&order.number, "Linnworks", &texts(order, values, part, form), CHANGED_REMEDY)?;
        }
        return Ok(Encoded::Nothing);
    }
    Err(vec![
        Problem::new(
            "pick.changed",
            "lines",
            format!("order {} is now {}, and Linnworks has {}", order.number, told(&wanted), told(&there.units())),
            CHANGED_REMEDY,
        )
        .cause(order.number.as_str()),
    ])
}

fn gone_already(order: &Order) -> Problem {
    Problem::new(
        "pick.gone",
        "status",
        format!("order {} was cancelled in the shop, and some of it has left the warehouse", order.number),
        "Stop the parcel if you can; else take it back as a return. Then dismiss this with a reason.",
    )
    .cause(order.number.as_str())
}
