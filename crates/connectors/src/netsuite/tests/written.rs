//! Documents against hand-written ones, and read back.

use super::{
    super::settings::{Document, ShippingForm, Tax},
    *,
};

#[test]
fn documents_are_as_written_by_hand() {
    let form = Form::default();
    for (order, expected) in [
        (order_se(), include_str!("../samples/order_se.json")),
        (order_us(), include_str!("../samples/order_us.json")),
        (order_de(), include_str!("../samples/order_de.json")),
        (order_jp_bundle(), include_str!("../samples/order_jp_bundle.json")),
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
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/services/rest/record/v1/salesOrder"));
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
        wire::rows(&body, "item").iter().map(|row| row.get("rate").map(Value::to_string)).collect()
    };
    assert_eq!(rates(&Form::default()), [None, None, Some("2.50".to_owned())]);
    assert_eq!(
        rates(&Form { rate_decimals: Some(3), ..Form::default() }),
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
        fields: json!({"department": {"id": "4"}, "memo": "fixed", "tranDate": "1999-01-01"}).as_object().unwrap().clone(),
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
    assert_eq!((&body["custbody_payment"], &body["memo"]), (&json!("PSP-1, PSP-2"), &json!("fixed")));
    assert_eq!(
        (&body["location"]["id"], &body["customForm"]["id"], &body["department"]["id"]),
        (&json!("66"), &json!("101"), &json!("4"))
    );
    assert_eq!(body["tranDate"], "2026-02-03", "a fixed field never replaces ours");
    let rows = wire::rows(body, "item");
    assert_eq!((rows.len(), &rows[2]["item"]["id"], &rows[2]["amount"].to_string()), (3, &json!("511"), &"39.20".to_owned()));
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
    assert_eq!((&tax["taxType"], &tax["taxCode"]["id"]), (&json!("12"), &json!("44")));
}

#[test]
fn legacy_tax_goes_by_code_and_the_two_of_one_line_are_one() {
    let (order, form) = (order_us(), Form { tax: Tax::Legacy, ..Form::default() });
    let keys: Vec<String> =
        encode::order_lookups(&order, &form).iter().filter(|l| l.table == "tax_code").map(|l| l.key_text()).collect();
    assert_eq!(keys, ["country=US,rate=7.75"]);
    let body = put(&order, &words(&order, &form), None, &form).body;
    let row = &body["item"]["items"][0];
    assert_eq!(row["taxRate1"].to_string(), "7.75");
    assert_eq!(row["taxCode"], body["shippingTaxCode"]);
    assert!(
        body.get("taxDetails").is_none() && body.get("taxDetailsOverride").is_none() && row.get("taxDetailsReference").is_none()
    );
    let untaxed = Form { tax: Tax::None, ..Form::default() };
    assert!(!encode::order_lookups(&order, &untaxed).iter().any(|l| l.table == "tax_code"));
}

#[test]
fn lookups_ask_for_each_value_once_and_nothing_of_bundle_items() {
    let asked = |order: &Order, form: &Form| -> Vec<String> {
        encode::order_lookups(order, form)
            .iter()
            .map(|l| format!("{} {}{}", l.table, l.key_text(), if l.optional { "?" } else { "" }))
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
    assert!(bundle.contains(&"item sku=SET".to_owned()) && !bundle.iter().any(|l| l.contains("PART")));
    let de = asked(&order_de(), &Form { one_world: false, ..Form::default() });
    for wanted in [
        "discount_item kind=discount",
        "discount_item kind=gift_card",
        "charge_item kind=handling",
        "tax_code country=DE,rate=19",
        "tax_code country=DE,rate=7",
    ] {
        assert!(de.iter().any(|l| l == wanted), "{wanted}: {de:?}");
    }
    assert!(!de.iter().any(|l| l.starts_with("subsidiary") || l.starts_with("shipping_item")));
}

#[test]
fn taxes_that_do_not_add_up_are_a_problem_and_not_a_guess() {
    let form = Form::default();
    let mut order = order_se();
    order.lines[0].taxes[0].amount = money("79.59", "SEK");
    let problems = encode::order(&order, &words(&order, &form), None, &form).unwrap_err();
    assert_eq!((problems[0].rule.as_str(), problems[0].path.as_str()), ("lines.tax", "lines[0].taxes"));
    let mut order = order_se();
    order.lines.iter_mut().for_each(|l| (l.taxes, l.tax) = (vec![], money("0", "SEK")));
    order.shipping_charge.rate = None;
    let problems = encode::order(&order, &words(&order, &form), None, &form).unwrap_err();
    assert_eq!((problems[0].rule.as_str(), problems[0].path.as_str()), ("lines.tax", "shipping_charge.tax"));
}

#[test]
fn a_weighted_shipping_tax_is_shared_out_over_the_rates_of_the_goods() {
    let form = Form::default();
    let mut order = order_de();
    order.shipping_charge =
        Charge { net: money("10.00", "EUR"), tax: money("1.27", "EUR"), rate: Some("12.68".parse().unwrap()) };
    let order = sum_up(order);
    let body = put(&order, &words(&order, &form), None, &form).body;
    let shipping: Vec<String> = wire::rows(&body, "taxDetails")
        .iter()
        .filter(|row| row["taxDetailsReference"]["id"] == "SHIPPING")
        .map(|row| format!("{} of {} at {}", row["taxAmount"], row["taxBasis"], row["taxRate"]))
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
    assert_eq!(encode::order(&order, &words(&order, &form), None, &form), Ok(Encoded::Nothing));
}

#[test]
fn what_was_written_reads_back_the_same() {
    let form = Form::default();
    for order in [order_se(), order_us(), order_de(), order_jp_bundle()] {
        let values = words(&order, &form);
        let raw = stored(&put(&order, &values, None, &form).body, "1042");
        assert_eq!(differences(&order, &raw, &values, &form), [], "order {}", order.number);
        assert_eq!(encode::order(&order, &values, Some(&raw), &form), Ok(Encoded::Nothing), "order {}", order.number);
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
        let other = values_there.iter().any(|(table, key, value)| values.by_key(table, key) != Some(value));
        let again = matches!(encode::order(&order, &values, Some(&raw), &form), Ok(Encoded::Put(_)) | Err(_));
        (!found.is_empty(), other, again)
    };
    assert_eq!(changed(&|d| d["item"]["items"][0]["quantity"] = json!(2)), (true, false, true));
    assert_eq!(changed(&|d| d["item"]["items"][0]["item"]["id"] = json!("12345")), (true, false, true));
    assert_eq!(changed(&|d| d["item"]["items"][3]["amount"] = json!(-17.74)), (true, false, true));
    assert_eq!(changed(&|d| d["taxDetails"]["items"][0]["taxAmount"] = json!(15.98)), (true, false, true));
    assert_eq!(changed(&|d| d["shippingAddress"]["zip"] = json!("1")), (true, false, true));
    assert_eq!(changed(&|d| d["tranDate"] = json!("2026-02-04")), (true, false, true));
    assert_eq!(changed(&|d| d["location"]["id"] = json!("8")), (false, true, true));
    assert_eq!(changed(&|d| drop(d.as_object_mut().unwrap().remove("location"))), (false, true, true));
    assert_eq!(changed(&|d| d["entity"]["id"] = json!("901")), (false, true, true));
    assert_eq!(changed(&|d| d["subsidiary"]["id"] = json!("3")), (false, true, true));
    assert_eq!(changed(&|d| d["status"] = json!({"id": "H"})), (true, false, false));
    assert_eq!(changed(&|d| d["total"] = json!(135.01)), (true, false, false));
}

#[test]
fn a_document_as_the_vendor_shows_it_is_read() {
    let sample = include_str!("../samples/sales_order_read.json");
    let raw = Raw { kind: Kind::Order, id: "10423".into(), version: None, body: sample.as_bytes().to_vec().into() };
    let mut values = Values::default();
    values.set("currency", "code=SEK", "4");
    values.set("item", "sku=SHIRT-WHITE-M", "98");
    values.set("subsidiary", "market=1", "2");
    let decoded = decode::order(&raw, &values, &Form::default());
    assert_eq!(decoded.problems, []);
    let order = decoded.record.unwrap();
    assert_eq!((order.number.as_str(), order.id.as_str(), order.status), ("1042", "10423", OrderStatus::Confirmed));
    assert_eq!(order.lines.len(), 2);
    assert_eq!(
        (order.lines[0].sku.as_str(), order.lines[0].quantity, order.lines[0].net),
        ("SHIRT-WHITE-M", 2, money("318.40", "SEK"))
    );
    assert_eq!((order.lines[0].tax, order.lines[0].id.as_str()), (money("79.60", "SEK"), "9001"));
    // Not mapped: by the name there.
    assert_eq!(order.lines[1].sku.as_str(), "SOCK-BLK");
    assert_eq!((order.shipping_charge.net, order.shipping_charge.tax), (money("39.20", "SEK"), money("9.80", "SEK")));
    assert_eq!((order.totals.gross, order.totals.tax), (money("596.99", "SEK"), money("119.40", "SEK")));
    assert_eq!(order.shipping.unwrap().country.as_deref(), Some("SE"));
    assert_eq!(order.placed_on.to_string(), "2026-02-03");
}

#[test]
fn awkward_texts_come_back_as_they_were() {
    let mut texts: Vec<String> =
        ["Å\u{308}", "a\u{200b}b", "\"quoted\"", "two\nlines", "<b>&amp;", "null", "1e5", "T", "\u{1f9f5}", "\u{7f}"]
            .map(str::to_owned)
            .into();
    let shared = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/golden/protocol/naughty_strings.json");
    if let Ok(set) = std::fs::read_to_string(shared) {
        let set: Value = serde_json::from_str(&set).unwrap();
        let more: Vec<String> = set["vectors"].as_array().unwrap().iter().filter_map(|s| s.as_str().map(str::to_owned)).collect();
        assert!(more.len() > 100);
        texts.extend(more);
    }
    let form = Form::default();
    for text in texts {
        let mut order = order_se();
        order.lines[0].name = text.clone();
        let shipping = order.shipping.as_mut().unwrap();
        (shipping.line1, shipping.city, shipping.last_name) = (Some(text.clone()), Some(text.clone()), Some(text.clone()));
        let values = words(&order, &form);
        let raw = stored(&put(&order, &values, None, &form).body, "1042");
        assert_eq!(differences(&order, &raw, &values, &form), [], "{text:?}");
        assert_eq!(encode::order(&order, &values, Some(&raw), &form), Ok(Encoded::Nothing), "{text:?}");
    }
}
