//! Orders, a gate and a NetSuite in a few lines; the tests by theme beside this.

mod anything;
mod calls;
mod changed;
mod customers;
mod products;
mod returns;
mod shipments;
mod stand_in;
mod statements;
mod stock;
mod written;

use rust_decimal::Decimal;
use selvedge_connector::{Encoded, Raw, Request};
use selvedge_model::{
    Currency, Customer, ExternalId, Kind, Money, Order,
    compare::{Carries, Difference, compare},
    gate::Values,
    records::*,
};
use serde_json::{Value, json};

use super::{decode, encode, settings::Form, wire};
/// Made for these tests; it opens nothing.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg3Whz+CelTfUN7bs4\nLvufRRxNA/OJa7rDTcG8S0DDyJKhRANCAATKer2U4/or+nPWbeGjpuyH/IxtaJRF\nEoAjyzHJEZJT/UZixnRHvKBqW2hSHs2wXL/fau3MabyQiN48JnYH3Z7V\n-----END PRIVATE KEY-----";

fn money(text: &str, code: &str) -> Money {
    Money::exact(text.parse().unwrap(), Currency::from_code(code).unwrap()).unwrap()
}

fn named(id: &str, name: &str) -> Named {
    Named { id: id.into(), name: name.into() }
}

/// Name, rate, amount of each tax of a line.
fn line(code: &str, id: &str, sku: &str, name: &str, quantity: u32, net: &str, taxes: &[(&str, &str)]) -> OrderLine {
    let taxes: Vec<TaxLine> = taxes
        .iter()
        .map(|(rate, amount)| TaxLine { name: "VAT".into(), rate: rate.parse().unwrap(), amount: money(amount, code) })
        .collect();
    let currency = Currency::from_code(code).unwrap();
    OrderLine {
        id: id.into(),
        kind: LineKind::Product,
        bundle: None,
        recipe: None,
        sku: sku.into(),
        name: name.into(),
        quantity,
        cancelled: 0,
        unit_net: money(net, code).decimal() / Decimal::from(quantity.max(1)),
        net: money(net, code),
        tax: Money::sum(currency, taxes.iter().map(|t| t.amount)).unwrap(),
        taxes,
    }
}

fn address(first: &str, last: &str, line1: &str, city: &str, postcode: &str, country: &str) -> Address {
    let some = |text: &str| Some(text.to_owned()).filter(|t| !t.is_empty());
    Address {
        first_name: some(first),
        last_name: some(last),
        line1: some(line1),
        city: some(city),
        postcode: some(postcode),
        country: some(country),
        ..Address::default()
    }
}

/// An order without lines; [`sum_up`] makes its totals.
fn bare(number: &str, code: &str) -> Order {
    let currency = Currency::from_code(code).unwrap();
    Order {
        number: number.into(),
        id: ExternalId::new(format!("id-{number}")),
        placed_at: "2026-02-03T10:00:00Z".parse().unwrap(),
        updated_at: "2026-02-03T10:05:00Z".parse().unwrap(),
        placed_on: "2026-02-03".parse().unwrap(),
        status: OrderStatus::Confirmed,
        holds: vec![],
        internal: false,
        currency,
        tax_mode: TaxMode::Included,
        store: named("1", "Retail"),
        market: named("1", "Home"),
        customer: None,
        billing: None,
        shipping: None,
        lines: vec![],
        discounts: vec![],
        shipping_method: None,
        shipping_charge: Charge::none(currency),
        handling_charge: Charge::none(currency),
        payment_method: Some("adyen".into()),
        payments: vec![],
        totals: Totals { net: Money::zero(currency), tax: Money::zero(currency), gross: Money::zero(currency) },
        comment: None,
        weight_grams: None,
        dispatch_by: None,
    }
}

fn sum_up(mut order: Order) -> Order {
    let mut net = Money::zero(order.currency);
    let mut tax = net;
    for line in order.priced_lines() {
        (net, tax) = (net.plus(line.net).unwrap(), tax.plus(line.tax).unwrap());
    }
    for charge in [&order.shipping_charge, &order.handling_charge] {
        (net, tax) = (net.plus(charge.net).unwrap(), tax.plus(charge.tax).unwrap());
    }
    for discount in &order.discounts {
        (net, tax) = (net.minus(discount.net).unwrap(), tax.minus(discount.tax).unwrap());
    }
    order.totals = Totals { net, tax, gross: net.plus(tax).unwrap() };
    order
}

fn payment(kind: PaymentKind, status: PaymentStatus, reference: &str) -> Payment {
    Payment {
        id: "1".into(),
        kind,
        status,
        reference: Some(reference.into()),
        method: None,
        amount: money("1", "SEK"),
        at: "2026-02-03T10:00:00Z".parse().unwrap(),
    }
}

fn customer() -> Customer {
    Customer {
        key: "77-1".into(),
        id: "77".into(),
        email: Some("anna@example.com".into()),
        first_name: Some("Anna".into()),
        last_name: Some("Åkesson".into()),
        company: None,
        market: named("1", "Home"),
        store: named("1", "Retail"),
        currency: Currency::from_code("SEK").unwrap(),
    }
}

/// Tax inside the prices; one line whose amount does not divide by its units.
fn order_se() -> Order {
    let mut order = bare("1042", "SEK");
    order.customer = Some(customer());
    order.lines = vec![
        line("SEK", "9001", "SHIRT-WHITE-M", "Shirt White M", 2, "318.40", &[("25", "79.60")]),
        line("SEK", "9002", "SOCK-BLK", "Sock Black", 3, "119.99", &[("25.0", "30.00")]),
    ];
    order.shipping_method = Some(named("7", "Express"));
    order.shipping_charge = Charge { net: money("39.20", "SEK"), tax: money("9.80", "SEK"), rate: Some("25".parse().unwrap()) };
    order.shipping = Some(Address {
        line2: Some("c/o Berg".into()),
        phone: Some("+46 70 000 00 00".into()),
        ..address("Anna", "Åkesson", "Storgatan 1", "Malmö", "211 34", "SE")
    });
    order.billing =
        Some(Address { company: Some("Åkesson AB".into()), ..address("Anna", "Åkesson", "Box 7", "Malmö", "200 10", "SE") });
    order.payments = vec![
        payment(PaymentKind::Authorisation, PaymentStatus::Success, "PSP-1"),
        payment(PaymentKind::Capture, PaymentStatus::Failed, "PSP-X"),
        payment(PaymentKind::Capture, PaymentStatus::Success, "PSP-2"),
        payment(PaymentKind::Capture, PaymentStatus::Success, "PSP-1"),
    ];
    sum_up(order)
}

/// Tax on top, two on one amount; the shipping's rate is their sum.
fn order_us() -> Order {
    let mut order = bare("2001", "USD");
    order.tax_mode = TaxMode::Added;
    order.lines = vec![line("USD", "1", "COAT", "Coat", 1, "100.00", &[("6.25", "6.25"), ("1.5", "1.50")])];
    order.shipping_method = Some(named("7", "Express"));
    order.shipping_charge = Charge { net: money("10.00", "USD"), tax: money("0.78", "USD"), rate: Some("7.75".parse().unwrap()) };
    let state = Some("MA".to_owned());
    order.shipping = Some(Address {
        state,
        email: Some("sam@example.com".into()),
        ..address("Sam", "Hill", "1 Main St", "Salem", "01970", "US")
    });
    sum_up(order)
}

/// A discount over two rates, a gift card, handling, no shipping.
fn order_de() -> Order {
    let mut order = bare("3001", "EUR");
    order.lines = vec![
        line("EUR", "1", "COAT", "Coat", 1, "84.03", &[("19", "15.97")]),
        line("EUR", "2", "BOOK", "Book", 1, "93.46", &[("7", "6.54")]),
    ];
    order.discounts = vec![
        Discount { name: "Gift card 77".into(), tender: true, net: money("50", "EUR"), tax: money("0", "EUR"), rate: None },
        Discount { name: "WELCOME10".into(), tender: false, net: money("17.75", "EUR"), tax: money("2.25", "EUR"), rate: None },
    ];
    order.handling_charge = Charge { net: money("4.20", "EUR"), tax: money("0.80", "EUR"), rate: Some("19.00".parse().unwrap()) };
    order.shipping = Some(address("Max", "Weber", "Weg 3", "Ulm", "89073", "DE"));
    sum_up(order)
}

/// A bundle with its items, a free line, and a currency without decimals.
fn order_jp_bundle() -> Order {
    let mut order = bare("4001", "JPY");
    let item = |id: &str, sku: &str| OrderLine {
        kind: LineKind::BundleItem,
        bundle: Some("1".into()),
        ..line("JPY", id, sku, "Part", 2, "0", &[])
    };
    order.lines = vec![
        OrderLine { kind: LineKind::Bundle, ..line("JPY", "1", "SET", "Set of two", 2, "9091", &[("10", "909")]) },
        item("2", "PART-A"),
        item("3", "PART-B"),
        line("JPY", "4", "STICKER", "Free sticker", 1, "0", &[]),
    ];
    order.shipping = Some(address("Aoi", "Mori", "1-1", "Tokyo", "100-0001", "JP"));
    sum_up(order)
}

/// Answers the lookups as the gate would.
fn words(order: &Order, form: &Form) -> Values {
    let mut values = Values::default();
    let mut items = 98;
    for lookup in encode::order_lookups(order, form) {
        let key = lookup.key_text();
        let id = match lookup.table.as_str() {
            "subsidiary" => "2".to_owned(),
            "location" => "6".to_owned(),
            "currency" => "4".to_owned(),
            "shipping_item" => "31".to_owned(),
            "guest_customer" => "900".to_owned(),
            "payment_method" => "12".to_owned(),
            "discount_item" if key == "kind=discount" => "500".to_owned(),
            "discount_item" => "501".to_owned(),
            "charge_item" if key == "kind=handling" => "510".to_owned(),
            "charge_item" => "511".to_owned(),
            "tax_code" => match key.as_str() {
                "country=SE,rate=25" => "44".to_owned(),
                "country=US,rate=6.25" => "45".to_owned(),
                "country=US,rate=1.5" => "46".to_owned(),
                "country=DE,rate=19" => "47".to_owned(),
                "country=DE,rate=7" => "48".to_owned(),
                "country=JP,rate=10" => "49".to_owned(),
                other => format!("7{}", other.len()),
            },
            "item" => {
                items += 1;
                (items - 1).to_string()
            }
            other => panic!("an unknown table: {other}"),
        };
        values.set(&lookup.table, key, id);
    }
    if let Some(customer) = order.customer.as_ref().filter(|_| form.customer_per_shopper) {
        values.set("customer", encode::customer_key_text(customer), "110");
    }
    values
}

fn customer_words() -> Values {
    let mut values = Values::default();
    values.set("subsidiary", "market=1", "2");
    values.set("currency", "code=SEK", "4");
    values
}

fn put(order: &Order, values: &Values, existing: Option<&Raw>, form: &Form) -> Request {
    match encode::order(order, values, existing, form).unwrap() {
        Encoded::Put(request) => request,
        Encoded::Nothing => panic!("nothing to send"),
    }
}

fn sum_of(rows: &[Value], name: &str) -> Decimal {
    rows.iter().filter_map(|row| wire::decimal(row, name)).sum()
}

/// What the account shows of a document that was created: ids with names, numbers as text here and
/// there, line numbers with gaps, totals of its own.
fn stored(body: &Value, id: &str) -> Raw {
    let mut document = body.clone();
    document["id"] = json!(id);
    document["lastModifiedDate"] = json!("2026-02-03T10:06:00Z");
    document["createdDate"] = json!("2026-02-03T10:06:00Z");
    document["status"] = json!({"id": document["orderStatus"], "refName": "Pending Fulfillment"});
    document["orderStatus"] = document["status"].clone();
    for name in ["entity", "subsidiary", "currency", "location", "shipMethod"] {
        if document.get(name).is_some() {
            document[name]["refName"] = json!(format!("their {name}"));
            document[name]["links"] = json!([]);
        }
    }
    for (index, row) in document["item"]["items"].as_array_mut().unwrap().iter_mut().enumerate() {
        row["line"] = json!(1 + 3 * index);
        row["lineUniqueKey"] = json!(format!("{}", 5000 + index));
        row["itemType"] = json!({"id": if row.get("quantity").is_some() { "InvtPart" } else { "Discount" }});
        if let Some(quantity) = row.get("quantity").cloned() {
            row["quantity"] = json!(format!("{quantity}.0"));
        }
        row["isClosed"] = json!(false);
    }
    let shipping = wire::decimal(&document, "shippingCost").unwrap_or_default();
    let net = sum_of(wire::rows(&document, "item"), "amount") + shipping;
    let tax = sum_of(wire::rows(&document, "taxDetails"), "taxAmount");
    document["taxTotal"] = wire::number(tax);
    document["total"] = wire::number(net + tax);
    raw(&document, id)
}

fn raw(document: &Value, id: &str) -> Raw {
    Raw { kind: Kind::Order, id: id.into(), version: None, body: document.to_string().into_bytes().into() }
}

fn edited(raw: &Raw, edit: impl FnOnce(&mut Value)) -> Raw {
    let mut document: Value = serde_json::from_slice(&raw.body).unwrap();
    edit(&mut document);
    self::raw(&document, raw.id.as_str())
}

fn carries() -> Carries {
    Carries {
        amounts: true,
        line_tax: true,
        shipping_address: true,
        billing_address: true,
        customer: false,
        status: true,
        shipping_charge: true,
        placed_on: true,
        ..Carries::default()
    }
}

fn differences(order: &Order, raw: &Raw, values: &Values, form: &Form) -> Vec<Difference> {
    let decoded = decode::order(raw, values, form);
    assert_eq!(decoded.problems, []);
    compare(&order.clone().into(), &decoded.record.unwrap().into(), carries())
}
