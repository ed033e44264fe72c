//! Both directions against hand-written documents, and what must hold for any order.

use proptest::prelude::*;
use rust_decimal::Decimal;
use selvedge_connector::{Encoded, OpenContext, Raw, Request, Secrets, clock::ManualClock};
use selvedge_model::{
    Currency, Customer, ExternalId, Kind, Money, Order, Problem, RecordKey, Sku,
    compare::{Carries, Difference, compare},
    gate::Values,
    records::*,
};
use serde_json::{Value, json};

use super::{
    decode, encode,
    settings::{Document, Form, ShippingForm, Tax},
    wire,
};
use selvedge_connector::{Connector, Secret};

// ---- orders -----------------------------------------------------------------------------------

fn money(text: &str, code: &str) -> Money {
    Money::exact(text.parse().unwrap(), Currency::from_code(code).unwrap()).unwrap()
}

fn named(id: &str, name: &str) -> Named {
    Named {
        id: id.into(),
        name: name.into(),
    }
}

/// Name, rate, amount of each tax of a line.
fn line(
    code: &str,
    id: &str,
    sku: &str,
    name: &str,
    quantity: u32,
    net: &str,
    taxes: &[(&str, &str)],
) -> OrderLine {
    let taxes: Vec<TaxLine> = taxes
        .iter()
        .map(|(rate, amount)| TaxLine {
            name: "VAT".into(),
            rate: rate.parse().unwrap(),
            amount: money(amount, code),
        })
        .collect();
    let currency = Currency::from_code(code).unwrap();
    OrderLine {
        id: id.into(),
        kind: LineKind::Product,
        bundle: None,
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

fn address(
    first: &str,
    last: &str,
    line1: &str,
    city: &str,
    postcode: &str,
    country: &str,
) -> Address {
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
        totals: Totals {
            net: Money::zero(currency),
            tax: Money::zero(currency),
            gross: Money::zero(currency),
        },
        comment: None,
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
        (net, tax) = (
            net.minus(discount.net).unwrap(),
            tax.minus(discount.tax).unwrap(),
        );
    }
    order.totals = Totals {
        net,
        tax,
        gross: net.plus(tax).unwrap(),
    };
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
        line(
            "SEK",
            "9001",
            "SHIRT-WHITE-M",
            "Shirt White M",
            2,
            "318.40",
            &[("25", "79.60")],
        ),
        line(
            "SEK",
            "9002",
            "SOCK-BLK",
            "Sock Black",
            3,
            "119.99",
            &[("25.0", "30.00")],
        ),
    ];
    order.shipping_method = Some(named("7", "Express"));
    order.shipping_charge = Charge {
        net: money("39.20", "SEK"),
        tax: money("9.80", "SEK"),
        rate: Some("25".parse().unwrap()),
    };
    order.shipping = Some(Address {
        line2: Some("c/o Berg".into()),
        phone: Some("+46 70 000 00 00".into()),
        ..address("Anna", "Åkesson", "Storgatan 1", "Malmö", "211 34", "SE")
    });
    order.billing = Some(Address {
        company: Some("Åkesson AB".into()),
        ..address("Anna", "Åkesson", "Box 7", "Malmö", "200 10", "SE")
    });
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
    order.lines = vec![line(
        "USD",
        "1",
        "COAT",
        "Coat",
        1,
        "100.00",
        &[("6.25", "6.25"), ("1.5", "1.50")],
    )];
    order.shipping_method = Some(named("7", "Express"));
    order.shipping_charge = Charge {
        net: money("10.00", "USD"),
        tax: money("0.78", "USD"),
        rate: Some("7.75".parse().unwrap()),
    };
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
        Discount {
            name: "Gift card 77".into(),
            tender: true,
            net: money("50", "EUR"),
            tax: money("0", "EUR"),
        },
        Discount {
            name: "WELCOME10".into(),
            tender: false,
            net: money("17.75", "EUR"),
            tax: money("2.25", "EUR"),
        },
    ];
    order.handling_charge = Charge {
        net: money("4.20", "EUR"),
        tax: money("0.80", "EUR"),
        rate: Some("19.00".parse().unwrap()),
    };
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
        OrderLine {
            kind: LineKind::Bundle,
            ..line("JPY", "1", "SET", "Set of two", 2, "9091", &[("10", "909")])
        },
        item("2", "PART-A"),
        item("3", "PART-B"),
        line("JPY", "4", "STICKER", "Free sticker", 1, "0", &[]),
    ];
    order.shipping = Some(address("Aoi", "Mori", "1-1", "Tokyo", "100-0001", "JP"));
    sum_up(order)
}

// ---- a gate and a NetSuite, in a few lines ------------------------------------------------------

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
    if let Some(customer) = order
        .customer
        .as_ref()
        .filter(|_| form.customer_per_shopper)
    {
        values.set("customer", encode::customer_key_text(customer), "110");
    }
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
    for (index, row) in document["item"]["items"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .enumerate()
    {
        row["line"] = json!(1 + 3 * index);
        row["lineUniqueKey"] = json!(format!("{}", 5000 + index));
        row["itemType"] =
            json!({"id": if row.get("quantity").is_some() { "InvtPart" } else { "Discount" }});
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
    Raw {
        kind: Kind::Order,
        id: id.into(),
        version: None,
        body: document.to_string().into_bytes().into(),
    }
}

fn edited(raw: &Raw, edit: impl FnOnce(&mut Value)) -> Raw {
    let mut document: Value = serde_json::from_slice(&raw.body).unwrap();
    edit(&mut document);
    self::raw(&document, raw.id.as_str())
}

fn carries() -> Carries {
    Carries {
        line_tax: true,
        shipping_address: true,
        billing_address: true,
        customer: false,
        status: true,
        shipping_charge: true,
        placed_on: true,
    }
}

fn differences(order: &Order, raw: &Raw, values: &Values, form: &Form) -> Vec<Difference> {
    let decoded = decode::order(raw, values, form);
    assert_eq!(decoded.problems, []);
    compare(
        &order.clone().into(),
        &decoded.record.unwrap().into(),
        carries(),
    )
}

// ---- encode -----------------------------------------------------------------------------------

#[test]
fn documents_are_as_written_by_hand() {
    let form = Form::default();
    for (order, expected) in [
        (order_se(), include_str!("samples/order_se.json")),
        (order_us(), include_str!("samples/order_us.json")),
        (order_de(), include_str!("samples/order_de.json")),
        (
            order_jp_bundle(),
            include_str!("samples/order_jp_bundle.json"),
        ),
    ] {
        let request = put(&order, &words(&order, &form), None, &form);
        let expected: Value = serde_json::from_str(expected).unwrap();
        // Numbers are compared by their digits: 9.80 is not 9.8.
        assert_eq!(
            serde_json::to_string_pretty(&request.body).unwrap(),
            serde_json::to_string_pretty(&expected).unwrap(),
            "order {}",
            order.number
        );
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("POST", "/services/rest/record/v1/salesOrder")
        );
        assert_eq!(request, put(&order, &words(&order, &form), None, &form));
    }
}

#[test]
fn a_unit_price_finer_than_a_cent_is_left_to_the_amount() {
    let mut order = bare("5001", "EUR");
    order.lines = vec![
        line("EUR", "1", "BEAD", "Bead", 1000, "125.00", &[]),
        line("EUR", "2", "PIN", "Pin", 3, "4.00", &[]),
        line("EUR", "3", "HAT", "Hat", 4, "10.00", &[]),
    ];
    let rates = |form: &Form| -> Vec<Option<String>> {
        let body = put(&order, &words(&order, form), None, form).body;
        wire::rows(&body, "item")
            .iter()
            .map(|row| row.get("rate").map(Value::to_string))
            .collect()
    };
    assert_eq!(
        rates(&Form::default()),
        [None, None, Some("2.50".to_owned())]
    );
    assert_eq!(
        rates(&Form {
            rate_decimals: Some(3),
            ..Form::default()
        }),
        [Some("0.125".to_owned()), None, Some("2.50".to_owned())]
    );
}

#[test]
fn settings_shape_the_document() {
    let order = order_se();
    let form = Form {
        document: Document::CashSale,
        shipping: ShippingForm::Line,
        one_world: false,
        customer_per_shopper: false,
        payment_reference_field: Some("custbody_payment".into()),
        default_location: Some("66".into()),
        custom_form: Some("101".into()),
        tax_types: [("SE".to_owned(), "9".to_owned())].into(),
        fields: json!({"department": {"id": "4"}, "memo": "fixed", "tranDate": "1999-01-01"})
            .as_object()
            .unwrap()
            .clone(),
        line_fields: json!({"class": {"id": "7"}}).as_object().unwrap().clone(),
        ..Form::default()
    };
    let mut values = words(&order, &form);
    let mut without_location = Values::default();
    for (table, key, value) in values.iter().filter(|(table, ..)| *table != "location") {
        without_location.set(table, key, value);
    }
    values = without_location;
    let request = put(&order, &values, None, &form);
    let body = &request.body;
    assert_eq!(request.path, "/services/rest/record/v1/cashSale");
    assert_eq!(body["externalId"], "cs_1042");
    assert!(body.get("orderStatus").is_none() && body.get("subsidiary").is_none());
    assert_eq!(body["entity"]["id"], "900");
    assert_eq!(body["paymentMethod"]["id"], "12");
    assert_eq!(
        (&body["custbody_payment"], &body["memo"]),
        (&json!("PSP-1, PSP-2"), &json!("fixed"))
    );
    assert_eq!(
        (
            &body["location"]["id"],
            &body["customForm"]["id"],
            &body["department"]["id"]
        ),
        (&json!("66"), &json!("101"), &json!("4"))
    );
    assert_eq!(
        body["tranDate"], "2026-02-03",
        "a fixed field never replaces ours"
    );
    let rows = wire::rows(body, "item");
    assert_eq!(
        (
            rows.len(),
            &rows[2]["item"]["id"],
            &rows[2]["amount"].to_string()
        ),
        (3, &json!("511"), &"39.20".to_owned())
    );
    assert_eq!(rows[0]["class"]["id"], "7");
    assert_eq!(body["shippingCost"].to_string(), "0");
    assert_eq!(body["taxDetails"]["items"][0]["taxType"], "9");
    let raw = stored(body, "7");
    assert_eq!(differences(&order, &raw, &values, &form), []);
}

#[test]
fn a_tax_code_may_bring_its_type() {
    let (order, form) = (order_se(), Form::default());
    let mut values = words(&order, &form);
    values.set("tax_code", "country=SE,rate=25", "12:44");
    let body = put(&order, &values, None, &form).body;
    let tax = &body["taxDetails"]["items"][0];
    assert_eq!(
        (&tax["taxType"], &tax["taxCode"]["id"]),
        (&json!("12"), &json!("44"))
    );
}

#[test]
fn legacy_tax_goes_by_code_and_the_two_of_one_line_are_one() {
    let (order, form) = (
        order_us(),
        Form {
            tax: Tax::Legacy,
            ..Form::default()
        },
    );
    let keys: Vec<String> = encode::order_lookups(&order, &form)
        .iter()
        .filter(|l| l.table == "tax_code")
        .map(|l| l.key_text())
        .collect();
    assert_eq!(keys, ["country=US,rate=7.75"]);
    let body = put(&order, &words(&order, &form), None, &form).body;
    let row = &body["item"]["items"][0];
    assert_eq!(row["taxRate1"].to_string(), "7.75");
    assert_eq!(row["taxCode"], body["shippingTaxCode"]);
    assert!(
        body.get("taxDetails").is_none()
            && body.get("taxDetailsOverride").is_none()
            && row.get("taxDetailsReference").is_none()
    );
    let untaxed = Form {
        tax: Tax::None,
        ..Form::default()
    };
    assert!(
        !encode::order_lookups(&order, &untaxed)
            .iter()
            .any(|l| l.table == "tax_code")
    );
}

#[test]
fn lookups_ask_for_each_value_once_and_nothing_of_bundle_items() {
    let asked = |order: &Order, form: &Form| -> Vec<String> {
        encode::order_lookups(order, form)
            .iter()
            .map(|l| {
                format!(
                    "{} {}{}",
                    l.table,
                    l.key_text(),
                    if l.optional { "?" } else { "" }
                )
            })
            .collect()
    };
    assert_eq!(
        asked(&order_se(), &Form::default()),
        [
            "subsidiary market=1",
            "location market=1?",
            "currency code=SEK",
            "shipping_item market=1,method=Express",
            "item sku=SHIRT-WHITE-M",
            "item sku=SOCK-BLK",
            "tax_code country=SE,rate=25"
        ]
    );
    let bundle = asked(&order_jp_bundle(), &Form::default());
    assert!(bundle.contains(&"guest_customer market=1,currency=JPY".to_owned()));
    assert!(
        bundle.contains(&"item sku=SET".to_owned()) && !bundle.iter().any(|l| l.contains("PART"))
    );
    let de = asked(
        &order_de(),
        &Form {
            one_world: false,
            ..Form::default()
        },
    );
    for wanted in [
        "discount_item kind=discount",
        "discount_item kind=gift_card",
        "charge_item kind=handling",
        "tax_code country=DE,rate=19",
        "tax_code country=DE,rate=7",
    ] {
        assert!(de.iter().any(|l| l == wanted), "{wanted}: {de:?}");
    }
    assert!(
        !de.iter()
            .any(|l| l.starts_with("subsidiary") || l.starts_with("shipping_item"))
    );
}

#[test]
fn taxes_that_do_not_add_up_are_a_problem_and_not_a_guess() {
    let form = Form::default();
    let mut order = order_se();
    order.lines[0].taxes[0].amount = money("79.59", "SEK");
    let problems = encode::order(&order, &words(&order, &form), None, &form).unwrap_err();
    assert_eq!(
        (problems[0].rule.as_str(), problems[0].path.as_str()),
        ("lines.tax", "lines[0].taxes")
    );
    let mut order = order_se();
    order
        .lines
        .iter_mut()
        .for_each(|l| (l.taxes, l.tax) = (vec![], money("0", "SEK")));
    order.shipping_charge.rate = None;
    let problems = encode::order(&order, &words(&order, &form), None, &form).unwrap_err();
    assert_eq!(
        (problems[0].rule.as_str(), problems[0].path.as_str()),
        ("lines.tax", "shipping_charge.tax")
    );
}

#[test]
fn a_weighted_shipping_tax_is_shared_out_over_the_rates_of_the_goods() {
    let form = Form::default();
    let mut order = order_de();
    order.shipping_charge = Charge {
        net: money("10.00", "EUR"),
        tax: money("1.27", "EUR"),
        rate: Some("12.68".parse().unwrap()),
    };
    let order = sum_up(order);
    let body = put(&order, &words(&order, &form), None, &form).body;
    let shipping: Vec<String> = wire::rows(&body, "taxDetails")
        .iter()
        .filter(|row| row["taxDetailsReference"]["id"] == "SHIPPING")
        .map(|row| {
            format!(
                "{} of {} at {}",
                row["taxAmount"], row["taxBasis"], row["taxRate"]
            )
        })
        .collect();
    assert_eq!(shipping, ["0.90 of 4.73 at 19", "0.37 of 5.27 at 7"]);
}

#[test]
fn line_breaks_are_escaped_once_more() {
    let (mut order, form) = (order_se(), Form::default());
    order.lines[0].name = "two\nlines".into();
    order.shipping.as_mut().unwrap().line2 = Some("floor 1\r\nleft".into());
    let values = words(&order, &form);
    let body = put(&order, &values, None, &form).body;
    assert_eq!(body["item"]["items"][0]["description"], "two\\nlines");
    assert_eq!(body["shippingAddress"]["addr2"], "floor 1\\nleft");
}

#[test]
fn an_order_cancelled_before_it_stood_needs_nothing() {
    let (mut order, form) = (order_se(), Form::default());
    order.status = OrderStatus::Cancelled;
    assert_eq!(
        encode::order(&order, &words(&order, &form), None, &form),
        Ok(Encoded::Nothing)
    );
}

// ---- there and back -----------------------------------------------------------------------------

#[test]
fn what_was_written_reads_back_the_same() {
    let form = Form::default();
    for order in [order_se(), order_us(), order_de(), order_jp_bundle()] {
        let values = words(&order, &form);
        let raw = stored(&put(&order, &values, None, &form).body, "1042");
        assert_eq!(
            differences(&order, &raw, &values, &form),
            [],
            "order {}",
            order.number
        );
        assert_eq!(
            encode::order(&order, &values, Some(&raw), &form),
            Ok(Encoded::Nothing),
            "order {}",
            order.number
        );
        let decoded = decode::order(&raw, &values, &form);
        for (table, key, value) in decoded.values.iter() {
            assert_eq!(values.by_key(table, key), Some(value), "{table} {key}");
        }
        assert!(decoded.values.by_key("subsidiary", "market=1").is_some());
    }
}

#[test]
fn what_someone_changed_there_is_seen() {
    let (order, form) = (order_de(), Form::default());
    let values = words(&order, &form);
    let raw = stored(&put(&order, &values, None, &form).body, "1042");
    let changed = |edit: &dyn Fn(&mut Value)| {
        let raw = edited(&raw, |document| edit(document));
        let found = differences(&order, &raw, &values, &form);
        let values_there = decode::order(&raw, &values, &form).values;
        let other = values_there
            .iter()
            .any(|(table, key, value)| values.by_key(table, key) != Some(value));
        let again = matches!(
            encode::order(&order, &values, Some(&raw), &form),
            Ok(Encoded::Put(_)) | Err(_)
        );
        (!found.is_empty(), other, again)
    };
    assert_eq!(
        changed(&|d| d["item"]["items"][0]["quantity"] = json!(2)),
        (true, false, true)
    );
    assert_eq!(
        changed(&|d| d["item"]["items"][0]["item"]["id"] = json!("12345")),
        (true, false, true)
    );
    assert_eq!(
        changed(&|d| d["item"]["items"][3]["amount"] = json!(-17.74)),
        (true, false, true)
    );
    assert_eq!(
        changed(&|d| d["taxDetails"]["items"][0]["taxAmount"] = json!(15.98)),
        (true, false, true)
    );
    assert_eq!(
        changed(&|d| d["shippingAddress"]["zip"] = json!("1")),
        (true, false, true)
    );
    assert_eq!(
        changed(&|d| d["tranDate"] = json!("2026-02-04")),
        (true, false, true)
    );
    assert_eq!(
        changed(&|d| d["location"]["id"] = json!("8")),
        (false, true, true)
    );
    assert_eq!(
        changed(&|d| drop(d.as_object_mut().unwrap().remove("location"))),
        (false, true, true)
    );
    assert_eq!(
        changed(&|d| d["entity"]["id"] = json!("901")),
        (false, true, true)
    );
    assert_eq!(
        changed(&|d| d["subsidiary"]["id"] = json!("3")),
        (false, true, true)
    );
    assert_eq!(
        changed(&|d| d["status"] = json!({"id": "H"})),
        (true, false, false)
    );
    assert_eq!(
        changed(&|d| d["total"] = json!(135.01)),
        (true, false, false)
    );
}

#[test]
fn a_document_as_the_vendor_shows_it_is_read() {
    let sample = include_str!("samples/sales_order_read.json");
    let raw = Raw {
        kind: Kind::Order,
        id: "10423".into(),
        version: None,
        body: sample.as_bytes().to_vec().into(),
    };
    let mut values = Values::default();
    values.set("currency", "code=SEK", "4");
    values.set("item", "sku=SHIRT-WHITE-M", "98");
    values.set("subsidiary", "market=1", "2");
    let decoded = decode::order(&raw, &values, &Form::default());
    assert_eq!(decoded.problems, []);
    let order = decoded.record.unwrap();
    assert_eq!(
        (order.number.as_str(), order.id.as_str(), order.status),
        ("1042", "10423", OrderStatus::Confirmed)
    );
    assert_eq!(order.lines.len(), 2);
    assert_eq!(
        (
            order.lines[0].sku.as_str(),
            order.lines[0].quantity,
            order.lines[0].net
        ),
        ("SHIRT-WHITE-M", 2, money("318.40", "SEK"))
    );
    assert_eq!(
        (order.lines[0].tax, order.lines[0].id.as_str()),
        (money("79.60", "SEK"), "9001")
    );
    // Not mapped: by the name there.
    assert_eq!(order.lines[1].sku.as_str(), "SOCK-BLK");
    assert_eq!(
        (order.shipping_charge.net, order.shipping_charge.tax),
        (money("39.20", "SEK"), money("9.80", "SEK"))
    );
    assert_eq!(
        (order.totals.gross, order.totals.tax),
        (money("596.99", "SEK"), money("119.40", "SEK"))
    );
    assert_eq!(order.shipping.unwrap().country.as_deref(), Some("SE"));
    assert_eq!(order.placed_on.to_string(), "2026-02-03");
}

// ---- changes ------------------------------------------------------------------------------------

#[test]
fn a_change_keeps_the_line_numbers_and_replaces_the_whole_list() {
    let (order, form) = (order_se(), Form::default());
    let raw = stored(
        &put(&order, &words(&order, &form), None, &form).body,
        "10423",
    );
    let mut after = order.clone();
    after.lines.remove(0);
    after.lines.insert(
        0,
        line("SEK", "9003", "CAP", "Cap", 1, "80.00", &[("25", "20.00")]),
    );
    let after = sum_up(after);
    let mut values = words(&after, &form);
    for (sku, id) in [("CAP", "77"), ("SOCK-BLK", "99")] {
        values.set("item", format!("sku={sku}"), id);
    }
    let request = put(&after, &values, Some(&raw), &form);
    assert_eq!(request.method, "PATCH");
    assert_eq!(
        request.path,
        "/services/rest/record/v1/salesOrder/10423?replace=item,taxDetails"
    );
    assert_eq!(request.update, Some(ExternalId::new("10423")));
    let rows = wire::rows(&request.body, "item");
    let shown: Vec<(Option<String>, Option<String>)> = rows
        .iter()
        .map(|row| {
            (
                wire::text(row, "line"),
                wire::text(row, "taxDetailsReference"),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            (None, Some("L9003".into())),
            (Some("4".into()), Some("L9002".into()))
        ]
    );
    assert_eq!(wire::rows(&request.body, "taxDetails").len(), 3);
    assert!(
        request.body.get("shippingAddress").is_none() && request.body.get("entity").is_none(),
        "only what differs"
    );
}

#[test]
fn without_references_lines_are_known_by_what_they_sell() {
    let (order, form) = (order_se(), Form::default());
    let values = words(&order, &form);
    let raw = stored(&put(&order, &values, None, &form).body, "10423");
    let raw = edited(&raw, |document| {
        for row in document["item"]["items"].as_array_mut().unwrap() {
            row.as_object_mut().unwrap().remove("taxDetailsReference");
        }
    });
    let mut after = order;
    after.lines.swap(0, 1);
    after.lines[0].quantity = 4;
    let request = put(&after, &values, Some(&raw), &form);
    let numbers: Vec<Option<String>> = wire::rows(&request.body, "item")
        .iter()
        .map(|row| wire::text(row, "line"))
        .collect();
    assert_eq!(numbers, [Some("4".to_owned()), Some("1".to_owned())]);
}

#[test]
fn an_address_that_lost_a_line_loses_it_there_too() {
    let (mut order, form) = (order_se(), Form::default());
    let values = words(&order, &form);
    let raw = stored(&put(&order, &values, None, &form).body, "10423");
    order.shipping.as_mut().unwrap().line2 = None;
    let request = put(&order, &values, Some(&raw), &form);
    assert_eq!(request.path, "/services/rest/record/v1/salesOrder/10423");
    let keys: Vec<&String> = request.body.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["shippingAddress"]);
    assert_eq!(request.body["shippingAddress"]["addr2"], Value::Null);
}

#[test]
fn past_change_only_what_moves_nothing_is_still_changed() {
    let (order, form) = (order_se(), Form::default());
    let values = words(&order, &form);
    let raw = stored(&put(&order, &values, None, &form).body, "10423");
    let billed = edited(&raw, |d| {
        d["status"] = json!({"id": "G", "refName": "Billed"})
    });
    assert_eq!(
        encode::order(&order, &values, Some(&billed), &form),
        Ok(Encoded::Nothing)
    );
    let mut paid = order.clone();
    paid.payments.push(payment(
        PaymentKind::Capture,
        PaymentStatus::Success,
        "PSP-3",
    ));
    let request = put(&paid, &values, Some(&billed), &form);
    assert_eq!(request.body, json!({"memo": "Payment PSP-1, PSP-2, PSP-3"}));
    for (state, word) in [
        ("C", "cancelled"),
        ("D", "partially fulfilled"),
        ("G", "billed"),
        ("H", "closed"),
    ] {
        let raw = edited(&raw, |d| d["status"] = json!({"id": state}));
        let mut more = order.clone();
        more.lines[0].quantity = 3;
        let problems: Vec<Problem> = encode::order(&more, &values, Some(&raw), &form).unwrap_err();
        assert_eq!(
            (problems[0].rule.as_str(), problems[0].value.as_deref()),
            ("target.not_changeable", Some(word))
        );
    }
}

#[test]
fn a_cancelled_order_closes_every_line_once() {
    let (mut order, form) = (order_se(), Form::default());
    let values = words(&order, &form);
    let raw = stored(&put(&order, &values, None, &form).body, "10423");
    order.status = OrderStatus::Cancelled;
    order.lines.clear();
    let request = put(&order, &values, Some(&raw), &form);
    assert_eq!(request.path, "/services/rest/record/v1/salesOrder/10423");
    assert_eq!(
        request.body,
        json!({"item": {"items": [{"line": 1, "isClosed": true}, {"line": 4, "isClosed": true}]}})
    );
    let closed = edited(&raw, |d| {
        d["status"] = json!({"id": "H"});
        d["item"]["items"]
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .for_each(|row| row["isClosed"] = json!(true));
    });
    assert_eq!(
        encode::order(&order, &values, Some(&closed), &form),
        Ok(Encoded::Nothing)
    );
    assert_eq!(differences(&order, &closed, &values, &form), []);
    let billed = edited(&raw, |d| d["status"] = json!({"id": "F"}));
    let problems = encode::order(&order, &values, Some(&billed), &form).unwrap_err();
    assert_eq!(problems[0].rule, "target.not_cancellable");
    let shipped = edited(&raw, |d| {
        d["item"]["items"][0]["quantityFulfilled"] = json!("1.0")
    });
    assert!(encode::order(&order, &values, Some(&shipped), &form).is_err());
}

#[test]
fn a_mapping_that_moved_cannot_move_a_document() {
    let (order, form) = (order_se(), Form::default());
    let mut values = words(&order, &form);
    let raw = stored(&put(&order, &values, None, &form).body, "10423");
    values.set("subsidiary", "market=1", "3");
    let problems = encode::order(&order, &values, Some(&raw), &form).unwrap_err();
    assert_eq!(
        (problems[0].rule.as_str(), problems[0].path.as_str()),
        ("target.not_changeable", "market")
    );
}

#[test]
fn a_document_that_shows_only_a_page_of_its_lines_is_not_changed() {
    let (order, form) = (order_se(), Form::default());
    let values = words(&order, &form);
    let raw = stored(&put(&order, &values, None, &form).body, "10423");
    for raw in [
        edited(&raw, |d| d["item"]["hasMore"] = json!(true)),
        edited(&raw, |d| d["item"] = json!({"links": []})),
        Raw {
            body: b"<html>".to_vec().into(),
            ..raw.clone()
        },
    ] {
        assert_eq!(
            encode::order(&order, &values, Some(&raw), &form).unwrap_err()[0].rule,
            "decode.unreadable"
        );
        assert!(decode::order(&raw, &values, &form).record.is_none());
    }
}

// ---- customers ----------------------------------------------------------------------------------

fn customer_words() -> Values {
    let mut values = Values::default();
    values.set("subsidiary", "market=1", "2");
    values.set("currency", "code=SEK", "4");
    values
}

#[test]
fn a_customer_is_written_and_read_back() {
    let form = Form {
        customer_number: true,
        ..Form::default()
    };
    let values = customer_words();
    let Ok(Encoded::Put(request)) = encode::customer(&customer(), &values, None, &form) else {
        panic!()
    };
    assert_eq!(
        request.body,
        json!({"externalId": "cust_77-1", "entityId": "cust_77-1", "isPerson": true, "firstName": "Anna", "lastName": "Åkesson",
               "email": "anna@example.com", "subsidiary": {"id": "2"}, "currency": {"id": "4"}})
    );
    let mut there = request.body.clone();
    there["currency"]["refName"] = json!("Swedish Krona");
    let raw = Raw {
        kind: Kind::Customer,
        ..raw(&there, "110")
    };
    let decoded = decode::customer(&raw, &values, &form);
    let read = decoded.record.unwrap();
    assert_eq!(
        (read.key.as_str(), read.id.as_str(), read.market.id.as_str()),
        ("77-1", "77", "1")
    );
    assert_eq!(compare(&customer().into(), &read.into(), carries()), []);
    assert_eq!(
        encode::customer(&customer(), &values, Some(&raw), &form),
        Ok(Encoded::Nothing)
    );
    let moved = Customer {
        email: Some("a@example.com".into()),
        ..customer()
    };
    let Ok(Encoded::Put(request)) = encode::customer(&moved, &values, Some(&raw), &form) else {
        panic!()
    };
    assert_eq!(
        (request.path.as_str(), request.body),
        (
            "/services/rest/record/v1/customer/110",
            json!({"email": "a@example.com"})
        )
    );
}

#[test]
fn nobodys_name_is_made_up() {
    let form = Form::default();
    let made = |first: Option<&str>, last: Option<&str>, company: Option<&str>| {
        let text = |t: Option<&str>| t.map(str::to_owned);
        let customer = Customer {
            first_name: text(first),
            last_name: text(last),
            company: text(company),
            ..customer()
        };
        let values = customer_words();
        let request = match encode::customer(&customer, &values, None, &form) {
            Ok(Encoded::Put(request)) => request,
            Ok(Encoded::Nothing) => panic!(),
            Err(problems) => return problems[0].rule.clone(),
        };
        let raw = Raw {
            kind: Kind::Customer,
            ..raw(&request.body, "1")
        };
        let read = decode::customer(&raw, &values, &form).record.unwrap();
        assert_eq!(compare(&customer.into(), &read.into(), carries()), []);
        format!(
            "{}|{}|{}|{}",
            request.body["isPerson"],
            request.body["firstName"],
            request.body["lastName"],
            request.body["companyName"]
        )
    };
    assert_eq!(made(None, None, None), "target.customer_name");
    assert_eq!(
        made(None, None, Some("Åkesson AB")),
        r#"false|null|null|"Åkesson AB""#
    );
    assert_eq!(made(Some("Cher"), None, None), r#"true|null|"Cher"|null"#);
    assert_eq!(made(None, Some("Cher"), None), r#"true|null|"Cher"|null"#);
    assert_eq!(made(Some("A"), None, Some("B")), r#"true|null|"A"|"B""#);
}

// ---- the connector ------------------------------------------------------------------------------

#[test]
fn opening_makes_no_call_and_shows_no_secret() {
    let settings =
        json!({"account": "1234567_SB1", "auth": {"client_id": "c", "certificate_id": "k"}});
    let mut secrets = Secrets::default();
    secrets.set(
        "auth.private_key",
        Secret::new("-----BEGIN PRIVATE KEY-----\nhidden-key\n-----END PRIVATE KEY-----"),
    );
    let clock = std::sync::Arc::new(ManualClock::at("2026-02-03T10:00:00Z".parse().unwrap()));
    let name = selvedge_model::ConnectionName::new("erp");
    let context = OpenContext {
        name: &name,
        settings: &settings,
        secrets: &secrets,
        clock,
    };
    let connection = super::NetSuite.open(&context).unwrap();
    assert!(
        connection.order_sink.is_some()
            && connection.customer_sink.is_some()
            && connection.lists.is_some()
            && connection.probe.is_some()
    );
    assert!(connection.feed.is_none() && connection.hooks.is_none());
    let read = super::settings::read(&settings, &secrets).unwrap();
    let auth = super::auth::Auth::new(
        read.credentials.clone(),
        &read.base_url,
        std::sync::Arc::new(ManualClock::at(jiff::Timestamp::UNIX_EPOCH)),
    );
    assert!(!format!("{read:?} {auth:?} {secrets:?}").contains("hidden-key"));
    let known = super::NetSuite.settings();
    assert!(
        super::NetSuite
            .secret_settings()
            .iter()
            .all(|path| known.contains_key(path))
    );
}

// ---- whatever comes -------------------------------------------------------------------------------

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        "-?[0-9]{1,40}(\\.[0-9]{1,40})?(e-?[0-9]{1,3})?"
            .prop_map(|text| serde_json::from_str(&text).unwrap_or(Value::Null)),
        "\\PC{0,12}".prop_map(Value::String),
        prop::sample::select(vec![
            "so_1",
            "L1",
            "SHIPPING",
            "SEK",
            "4",
            "98",
            "500",
            "H",
            "2026-02-03",
            "T",
            "Discount"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        let names = vec![
            "id",
            "item",
            "items",
            "amount",
            "quantity",
            "rate",
            "taxDetails",
            "taxDetailsReference",
            "taxAmount",
            "taxRate",
            "currency",
            "refName",
            "externalId",
            "status",
            "tranDate",
            "total",
            "taxTotal",
            "shippingCost",
            "discountTotal",
            "handlingCost",
            "isClosed",
            "line",
            "shippingAddress",
            "country",
            "hasMore",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((prop::sample::select(names), inner), 0..8).prop_map(|pairs| {
                Value::Object(
                    pairs
                        .into_iter()
                        .map(|(name, value)| (name.to_owned(), value))
                        .collect(),
                )
            }),
        ]
    })
}

/// Puts something else in the place of the n-th node.
fn swap(value: &mut Value, n: &mut usize, other: &Value) {
    if *n == 0 {
        *value = other.clone();
    }
    *n = n.wrapping_sub(1);
    match value {
        Value::Object(map) => map.values_mut().for_each(|inner| swap(inner, n, other)),
        Value::Array(items) => items.iter_mut().for_each(|inner| swap(inner, n, other)),
        _ => {}
    }
}

const RATES: [&str; 4] = ["0", "6", "12.5", "25"];

fn any_order() -> impl Strategy<Value = Order> {
    let any_line = (
        1..9_u32,
        0..200_000_i64,
        0..RATES.len(),
        0..40_000_i64,
        0..4_u8,
    );
    let charge = (0..9_000_i64, 0..2_000_i64, 0..RATES.len() + 2);
    let discount = (1..9_000_i64, 0..2_000_i64, any::<bool>());
    (
        prop::collection::vec(any_line, 1..6),
        charge.clone(),
        charge,
        prop::collection::vec(discount, 0..4),
    )
        .prop_map(|(lines, shipping, handling, discounts)| {
            let mut order = bare("1", "SEK");
            let sek = |minor: i64| Money::from_minor(minor, order.currency);
            order.lines = lines
                .into_iter()
                .enumerate()
                .map(|(index, (quantity, net, rate, tax, taxes))| {
                    let taxes: Vec<TaxLine> = (0..taxes.min(2))
                        .map(|_| TaxLine {
                            name: "VAT".into(),
                            rate: RATES[rate].parse().unwrap(),
                            amount: sek(if rate == 0 { 0 } else { tax }),
                        })
                        .collect();
                    OrderLine {
                        id: ExternalId::new(format!("{index}")),
                        kind: LineKind::Product,
                        bundle: None,
                        sku: Sku::new(format!("SKU {index}")),
                        name: String::new(),
                        quantity,
                        cancelled: 0,
                        unit_net: Decimal::ZERO,
                        net: sek(net),
                        tax: Money::sum(order.currency, taxes.iter().map(|t| t.amount)).unwrap(),
                        taxes,
                    }
                })
                .collect();
            let taxed = order
                .lines
                .iter()
                .any(|l| l.net.minor() > 0 && l.taxes.iter().any(|t| !t.rate.is_zero()));
            let charge = |(net, tax, rate): (i64, i64, usize)| {
                let rate = RATES.get(rate).map(|r| r.parse().unwrap());
                let tax = if net > 0 && (taxed || rate.is_some()) {
                    tax
                } else {
                    0
                };
                Charge {
                    net: sek(net),
                    tax: sek(tax),
                    rate,
                }
            };
            order.shipping_charge = charge(shipping);
            order.handling_charge = charge(handling);
            order.discounts = discounts
                .into_iter()
                .map(|(net, tax, tender)| Discount {
                    name: "V".into(),
                    tender,
                    net: sek(net),
                    tax: sek(if taxed { tax } else { 0 }),
                })
                .collect();
            order.shipping_method = Some(named("7", "Express"));
            order.shipping = Some(address("A", "B", "C 1", "D", "1", "SE"));
            sum_up(order)
        })
}

proptest! {
    #[test]
    fn decoding_and_changing_never_panic(value in any_json(), at in 0..120_usize) {
        let form = Form::default();
        let order = order_de();
        let values = words(&order, &form);
        let mut mutated: Value = serde_json::from_slice(&stored(&put(&order, &values, None, &form).body, "7").body).unwrap();
        swap(&mut mutated, &mut at.clone(), &value);
        for document in [value, mutated] {
            let raw = raw(&document, "7");
            let decoded = decode::order(&raw, &values, &form);
            prop_assert!(decoded.record.is_some() || !decoded.problems.is_empty());
            let _ = decode::customer(&raw, &values, &form);
            let _ = encode::order(&order, &values, Some(&raw), &form);
            let _ = encode::order(&Order { status: OrderStatus::Cancelled, ..order.clone() }, &values, Some(&raw), &form);
            let _ = encode::customer(&customer(), &customer_words(), Some(&raw), &form);
        }
    }

    #[test]
    fn any_order_reads_back_the_same_to_the_cent(order in any_order(), as_line in any::<bool>()) {
        let form = Form { shipping: if as_line { ShippingForm::Line } else { ShippingForm::Header }, ..Form::default() };
        let values = words(&order, &form);
        let request = put(&order, &values, None, &form);
        let body = &request.body;
        prop_assert_eq!(sum_of(wire::rows(body, "taxDetails"), "taxAmount"), order.totals.tax.decimal());
        let references: std::collections::BTreeSet<_> = wire::rows(body, "item").iter().map(|row| wire::text(row, "taxDetailsReference")).collect();
        prop_assert_eq!(references.len(), wire::rows(body, "item").len());
        let raw = stored(body, "7");
        prop_assert_eq!(differences(&order, &raw, &values, &form), vec![]);
        prop_assert_eq!(encode::order(&order, &values, Some(&raw), &form), Ok(Encoded::Nothing));
    }

    #[test]
    fn any_key_is_an_external_id_and_back(key in "\\PC{1,20}") {
        let id = wire::external_id("so_", &key);
        prop_assert!(id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-'));
        let back = wire::key_of_external_id("so_", &id).map(RecordKey::new);
        prop_assert_eq!(back, Some(RecordKey::new(key)));
    }
}
