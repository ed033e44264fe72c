//! Returns and refunds by samples, and what must hold for any bytes at all.

mod stand_in;

use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};
use proptest::prelude::*;
use selvedge_connector::Decoded;
use selvedge_model::{
    AnyRecord, CreditNote, Order, Refund, Return,
    records::{CreditReason, CreditStatus, Disposition, PaymentStatus, ReturnStatus, Tender},
};
use serde_json::{Value, json};

use super::{
    super::decode::{Zones, decode_order},
    Form,
    decode::decode_return,
};

fn form() -> Form {
    let zone = TimeZone::get("Europe/Stockholm").unwrap();
    Form {
        connection: "shop".to_owned(),
        zones: Zones { instance: zone.clone(), books: zone, books_of_markets: BTreeMap::new() },
        quarantine_warehouses: vec!["9".to_owned(), "Returns desk".to_owned()],
        store_credit_methods: vec!["store_credit".to_owned()],
    }
}

fn read_at() -> Timestamp {
    "2026-02-10T12:00:00Z".parse().unwrap()
}

fn money(value: &str) -> Value {
    json!({ "value": serde_json::from_str::<Value>(value).unwrap() })
}

fn rule(percent: &str, included: &str, added: &str) -> Value {
    json!({
        "rule": { "taxName": format!("SE {percent}%"), "taxPercent": serde_json::from_str::<Value>(percent).unwrap() },
        "taxAdded": money(added), "taxDeducted": money("0"), "taxIncluded": money(included),
    })
}

fn entry(id: i64, at: &str, word: &str, status: &str, reference: &str, method: &str, value: &str) -> Value {
    let mut value = money(value);
    value["currency"] = json!({ "code": "SEK" });
    json!({
        "id": id, "createdAt": at, "entryType": word, "status": status, "externalReference": reference,
        "paymentMethod": method, "value": value,
    })
}

/// One unit that comes back.
fn line(id: i64, order_line: i64, kind: &str, sku: &str, [net, gross, tax]: [&str; 3]) -> Value {
    json!({
        "id": id, "quantity": 1, "unitNet": money(net), "lineNet": money(net), "lineGross": money(gross),
        "appliedTaxRules": [rule("25", tax, "0")], "shipmentLine": { "id": id + 1_000 },
        "orderLine": {
            "__typename": kind, "id": order_line, "productNumber": sku, "size": "M", "productName": "Coat", "productVariantName": "Black",
            "taxPercent": 25, "productSize": { "SKU": sku, "EAN": null },
        },
    })
}

/// One unit of a line of two, of an order whose prices contain the tax.
fn document(change: impl FnOnce(&mut Value)) -> Value {
    let mut document = json!({
        "__typename": "DirectToConsumerReturn", "id": 40_001, "returnStatus": "COMPLETED", "createdAt": "2026-02-03T10:00:00+01:00",
        "totalQuantity": 1, "returnedToStock": true, "externalId": null, "comment": " Too small ",
        "grandGross": { "value": 100, "currency": { "code": "SEK" } }, "grandNet": money("80"),
        "store": { "id": 1 }, "returnWarehouse": { "id": 1, "name": "Borås" },
        "shipment": { "id": 80_001, "number": "1042-1", "order": { "number": 1042, "market": { "id": 3, "name": "Sweden" } } },
        "order": { "number": 1042, "market": { "id": 3, "name": "Sweden" } },
        "customer": { "id": 55 },
        "lines": [line(4_000_101, 7, "ProductOrderLine", "A-M", ["80", "100", "20"])],
        "discountsApplied": [],
        "totals": {
            "shipping": money("0"), "handling": money("0"), "discounts": money("0"), "returnCost": money("0"),
            "shippingTaxRules": [], "handlingTaxRules": [], "discountTaxRules": [], "returnCostTaxRules": [],
        },
        "refundPaymentHistory": [],
    });
    change(&mut document);
    document
}

fn decode(document: &Value) -> Decoded<Return> {
    decode_return(document.to_string().as_bytes(), Some(read_at()), &form())
}

/// The three of a sound document.
fn told(document: &Value) -> (Return, CreditNote, Vec<Refund>) {
    let decoded = decode(document);
    assert_eq!(decoded.problems, [], "{document:#}");
    let (credits, refunds) = also(decoded.also);
    assert_eq!(credits.len(), 1);
    (decoded.record.unwrap(), credits.into_iter().next().unwrap(), refunds)
}

fn also(records: Vec<AnyRecord>) -> (Vec<CreditNote>, Vec<Refund>) {
    let (mut credits, mut refunds) = (Vec::new(), Vec::new());
    for record in records {
        match record {
            AnyRecord::CreditNote(credit) => credits.push(*credit),
            AnyRecord::Refund(refund) => refunds.push(*refund),
            other => panic!("{other:?}"),
        }
    }
    (credits, refunds)
}

/// Whether the parts of a credit note are its stated sums.
pub(super) fn adds_up(credit: &CreditNote) -> bool {
    let charges = [&credit.shipping, &credit.handling, &credit.goodwill];
    let given = credit.lines.iter().map(|line| (line.net, line.tax)).chain(charges.map(|one| (one.net, one.tax)));
    let off = credit.discounts.iter().filter(|one| !one.tender).map(|one| (one.net, one.tax));
    let off = off.chain([(credit.fee.net, credit.fee.tax)]);
    let (mut net, mut tax) = (0, 0);
    for (sign, part) in given.map(|part| (1, part)).chain(off.map(|part| (-1, part))) {
        net += sign * part.0.minor();
        tax += sign * part.1.minor();
    }
    (net, tax) == (credit.totals.net.minor(), credit.totals.tax.minor())
        && credit.totals.net.plus(credit.totals.tax).unwrap() == credit.totals.gross
}

#[test]
fn a_part_of_a_line_is_goods_and_their_worth() {
    let (goods, credit, refunds) = told(&document(|_| {}));
    assert_eq!((goods.key.as_str(), goods.order.as_ref().unwrap().as_str()), ("1042.shop.40001", "1042"));
    assert_eq!((goods.status, goods.disposition), (ReturnStatus::Received, Disposition::Restock));
    assert_eq!((goods.counterpart, goods.comment.as_deref(), goods.updated_at), (None, Some("Too small"), read_at()));
    let line = &goods.lines[0];
    assert_eq!((line.order_line.as_ref().unwrap().as_str(), line.sku.as_str(), line.quantity), ("7", "A-M", 1));
    assert_eq!(
        (credit.key.as_str(), credit.number.as_str(), credit.reason),
        ("1042.shop.40001", "1042-R40001", CreditReason::Return)
    );
    assert_eq!((credit.status, credit.of_return.as_ref()), (CreditStatus::Open, Some(&goods.key)));
    assert_eq!((credit.issued_on.to_string().as_str(), credit.buyer.as_deref()), ("2026-02-03", Some("55")));
    let line = &credit.lines[0];
    assert_eq!((line.net.minor(), line.tax.minor(), line.taxes[0].rate.to_string().as_str()), (8_000, 2_000, "25"));
    let sold = &line.sold[0];
    assert_eq!(
        (sold.order.as_str(), sold.line.as_str(), sold.quantity, sold.net, sold.tax),
        ("1042", "7", 1, line.net, line.tax)
    );
    assert!(adds_up(&credit) && refunds.is_empty());
}

#[test]
fn what_becomes_of_the_goods_follows_from_where_they_go() {
    for (to_stock, warehouse, disposition) in [
        (true, json!({ "id": 1, "name": "Borås" }), Disposition::Restock),
        (true, json!({ "id": 9, "name": "Nowhere" }), Disposition::Quarantine),
        (true, json!({ "id": 2, "name": "returns desk" }), Disposition::Quarantine),
        (false, Value::Null, Disposition::WriteOff),
    ] {
        let document = document(|d| (d["returnedToStock"], d["returnWarehouse"]) = (json!(to_stock), warehouse));
        assert_eq!(told(&document).0.disposition, disposition);
    }
}

#[test]
fn a_key_of_ours_is_the_counterpart_and_another_is_none() {
    for (external, counterpart) in [(json!("1042.wms.r7"), Some("1042.wms.r7")), (json!("ERP-7"), None), (json!("10421.x"), None)]
    {
        let (goods, ..) = told(&document(|d| d["externalId"] = external));
        assert_eq!(goods.counterpart.as_ref().map(|key| key.as_str()), counterpart);
    }
    assert_eq!(form().id_in(Some(&"1042".into()), &"1042.shop.40001".into()), Some(40_001));
    assert_eq!(form().id_in(Some(&"1042".into()), &"1042.shop2.40001".into()), None);
    assert_eq!(form().id_in(None, &"shop.7".into()), Some(7));
}

#[test]
fn shipping_reductions_and_what_is_kept_back_are_parts_of_it() {
    let full = document(|d| {
        d["totals"]["shipping"] = money("50");
        d["totals"]["shippingTaxRules"] = json!([rule("25", "10", "0")]);
        d["totals"]["discounts"] = money("-15");
        d["totals"]["discountTaxRules"] = json!([rule("25", "-3", "0")]);
        d["discountsApplied"] = json!([{ "__typename": "AppliedVoucher", "value": money("15"), "voucher": { "name": "x", "code": "WELCOME10", "type": "percentage" } }]);
        d["totals"]["returnCost"] = money("5");
        d["totals"]["returnCostTaxRules"] = json!([rule("25", "1", "0")]);
        d["grandGross"]["value"] = json!(130);
        d["grandNet"] = money("104");
    });
    let (_, credit, _) = told(&full);
    assert_eq!((credit.shipping.net.minor(), credit.shipping.tax.minor()), (4_000, 1_000));
    assert_eq!(
        (credit.discounts[0].name.as_str(), credit.discounts[0].net.minor(), credit.discounts[0].tax.minor()),
        ("WELCOME10", 1_200, 300)
    );
    assert_eq!((credit.fee.net.minor(), credit.fee.tax.minor(), credit.totals.gross.minor()), (400, 100, 13_000));
    assert!(adds_up(&credit));
    // The sign of what is kept back, and of its tax, may be the other one.
    let mut negative = full.clone();
    negative["totals"]["returnCost"] = money("-5");
    negative["totals"]["returnCostTaxRules"] = json!([rule("25", "-1", "0")]);
    assert_eq!(told(&negative).1, credit);
}

#[test]
fn an_item_of_a_bundle_carries_its_own_money() {
    let (goods, credit, _) =
        told(&document(|d| d["lines"] = json!([line(4_000_101, 12, "BundleItemOrderLine", "B-M", ["80", "100", "20"])])));
    assert_eq!(goods.lines[0].order_line.as_ref().unwrap().as_str(), "12");
    assert_eq!((credit.lines[0].net.minor(), credit.lines[0].sold[0].line.as_str()), (8_000, "12"));
    assert!(adds_up(&credit));
}

#[test]
fn a_currency_without_decimals_is_read_as_it_is() {
    let (_, credit, refunds) = told(&document(|d| {
        d["grandGross"] = json!({ "value": 1100, "currency": { "code": "JPY" } });
        d["grandNet"] = money("1000");
        d["lines"] = json!([line(4_000_101, 7, "ProductOrderLine", "A-M", ["1000", "1100", "100"])]);
        d["lines"][0]["appliedTaxRules"] = json!([rule("10", "100", "0")]);
        let mut paid = entry(9, "2026-02-04T10:00:00+01:00", "REFUND", "SUCCESS", "r1", "adyen", "1100");
        paid["value"]["currency"]["code"] = json!("JPY");
        d["refundPaymentHistory"] = json!([paid]);
    }));
    assert_eq!((credit.currency.code(), credit.totals.gross.minor(), credit.lines[0].tax.minor()), ("JPY", 1_100, 100));
    assert_eq!(refunds[0].amount.minor(), 1_100);
    assert!(adds_up(&credit));
}

#[test]
fn money_that_went_back_two_ways_is_two_transactions_of_one_credit() {
    let (_, credit, refunds) = told(&document(|d| {
        d["refundPaymentHistory"] = json!([
            entry(12, "2026-02-04T10:00:01+01:00", "REFUND_GIFT_CARD", "SUCCESS", "card-1", "gift_card", "40"),
            entry(11, "2026-02-04T10:00:00+01:00", "REFUND", "SUCCESS", "r1", "adyen", "-35"),
            entry(13, "2026-02-04T10:00:02+01:00", "REFUND", "SUCCESS", "c1", "Store_Credit", "25"),
        ]);
    }));
    let shown: Vec<(&str, Tender, i64, Option<&str>)> =
        refunds.iter().map(|one| (one.key.as_str(), one.tender, one.amount.minor(), one.reference.as_deref())).collect();
    assert_eq!(
        shown,
        [
            ("1042.shop.11", Tender::Payment, 3_500, Some("r1")),
            ("1042.shop.12", Tender::GiftCard, 4_000, Some("card-1")),
            ("1042.shop.13", Tender::StoreCredit, 2_500, Some("c1")),
        ]
    );
    assert!(refunds.iter().all(|one| one.credit_note == credit.key && one.market.as_ref().unwrap().id == "3"));
    assert_eq!((credit.status, credit.issued_at.to_string().as_str()), (CreditStatus::Issued, "2026-02-04T09:00:00Z"));
}

#[test]
fn a_request_and_its_outcome_are_one_transaction_also_under_a_shared_reference() {
    let asked = || entry(21, "2026-02-04T10:00:00+01:00", "REFUND_REQUEST", "PENDING", "auth", "klarna", "100");
    let failed = || entry(22, "2026-02-05T10:00:00+01:00", "REFUND_FAILED", "FAILED", "auth", "klarna", "100");
    let again = || entry(23, "2026-02-06T10:00:00+01:00", "REFUND_REQUEST", "SUCCESS", "auth", "klarna", "100");
    let done = || entry(24, "2026-02-07T10:00:00+01:00", "REFUND", "SUCCESS", "auth", "klarna", "100");
    let seen = |entries: Value| {
        let (_, credit, refunds) = told(&document(|d| d["refundPaymentHistory"] = entries));
        let refunds: Vec<(String, PaymentStatus)> = refunds.into_iter().map(|one| (one.id.to_string(), one.status)).collect();
        (credit.status, credit.issued_on.to_string(), refunds)
    };
    let pair = |id: &str, status| (id.to_owned(), status);
    use PaymentStatus::{Failed, Pending, Success};
    // What is pending may still fail, and what is booked is not unbooked.
    assert_eq!(seen(json!([asked()])), (CreditStatus::Open, "2026-02-03".into(), vec![pair("21", Pending)]));
    assert_eq!(seen(json!([asked(), failed()])), (CreditStatus::Open, "2026-02-03".into(), vec![pair("21", Failed)]));
    assert_eq!(
        seen(json!([done(), asked(), again(), failed()])),
        (CreditStatus::Issued, "2026-02-06".into(), vec![pair("21", Failed), pair("23", Success)])
    );
    // Two refunds at once, under one reference and without requests, stay two.
    let half = |id| entry(id, "2026-02-04T10:00:00+01:00", "REFUND", "SUCCESS", "auth", "adyen", "50");
    assert_eq!(seen(json!([half(31), half(32)])).2, [pair("31", Success), pair("32", Success)]);
}

#[test]
fn a_deleted_return_is_cancelled_and_its_credit_void() {
    let tombstone = json!({
        "id": 40_001, "deleted": true, "createdAt": "2026-02-03T10:00:00+01:00", "grandGross": { "currency": { "code": "SEK" } },
        "order": { "number": "1042", "market": { "id": 3, "name": "Sweden" } },
    });
    let (goods, credit, refunds) = told(&tombstone);
    assert_eq!((goods.key.as_str(), goods.status), ("1042.shop.40001", ReturnStatus::Cancelled));
    assert_eq!((credit.key.as_str(), credit.status), ("1042.shop.40001", CreditStatus::Void));
    assert!(refunds.is_empty());
    let unknown = decode(&json!({ "id": 40_001, "deleted": true }));
    assert!(unknown.record.is_none());
    assert_eq!(unknown.problems[0].rule, "decode.return.order");
    assert!(unknown.problems[0].message.contains("deleted"));
}

#[test]
fn the_order_is_found_whichever_way_it_is_told() {
    for change in [
        (|d: &mut Value| drop(d.as_object_mut().unwrap().remove("order"))) as fn(&mut Value),
        |d| d["shipment"] = Value::Null,
        |d| {
            d.as_object_mut().unwrap().remove("order");
            d["shipment"].as_object_mut().unwrap().remove("order");
        },
    ] {
        assert_eq!(told(&document(change)).0.key.as_str(), "1042.shop.40001");
    }
    let nowhere = decode(&document(|d| (d["order"], d["shipment"]) = (Value::Null, Value::Null)));
    assert!(nowhere.record.is_none() && nowhere.problems[0].rule == "decode.return.order");
}

#[test]
fn what_is_not_known_is_held_and_shown() {
    let odd = decode(&document(|d| d["returnStatus"] = json!("ON_THE_MOON")));
    assert_eq!((odd.problems[0].rule.as_str(), odd.problems[0].value.as_deref()), ("decode.return.status", Some("ON_THE_MOON")));
    assert!(odd.record.is_some());
    let fine = decode(&document(|d| d["grandGross"]["value"] = serde_json::from_str("100.005").unwrap()));
    assert_eq!(fine.problems[0].rule, "decode.return.amount");
    assert!(fine.record.is_some() && fine.also.is_empty(), "goods are goods, whatever their money");
}

fn order(change: impl FnOnce(&mut Value)) -> Decoded<Order> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/centra/samples/sek_tax_included.json");
    let mut order: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    change(&mut order);
    decode_order(order.to_string().as_bytes(), &form().zones, Some(&form()))
}

fn with_return(mut entry: Value, returned: Value) -> Value {
    entry["return"] = returned;
    entry
}

#[test]
fn money_without_goods_has_the_orders_share_of_tax_to_the_cent() {
    let decoded = order(|d| {
        d["paymentHistory"] = json!([with_return(
            entry(71, "2026-02-09T10:00:00+01:00", "REFUND", "SUCCESS", "r9", "adyen", "33.33"),
            Value::Null
        )]);
    });
    let sale = decoded.record.unwrap();
    let (credits, refunds) = also(decoded.also);
    let credit = &credits[0];
    assert_eq!((credit.reason, credit.status, credit.of_return.as_ref()), (CreditReason::Goodwill, CreditStatus::Issued, None));
    assert_eq!(credit.key.as_str(), format!("{}.shop.p71", sale.number));
    assert_eq!((refunds[0].key.as_str(), &refunds[0].credit_note), (format!("{}.shop.71", sale.number).as_str(), &credit.key));
    assert_eq!((credit.totals.gross.minor(), credit.goodwill.net.plus(credit.goodwill.tax).unwrap().minor()), (3_333, 3_333));
    let share = credit.goodwill.tax.decimal() / credit.totals.gross.decimal();
    let whole = sale.totals.tax.decimal() / sale.totals.gross.decimal();
    assert!((share - whole).abs() < rust_decimal::Decimal::new(1, 3), "{share} {whole}");
    assert!(adds_up(credit));
}

#[test]
fn what_paid_for_a_return_or_has_not_gone_back_is_no_gesture() {
    let paid = || entry(71, "2026-02-09T10:00:00+01:00", "REFUND", "SUCCESS", "r9", "adyen", "33.33");
    let none = |entries: Value| assert_eq!(order(|d| d["paymentHistory"] = entries).also, []);
    none(json!([with_return(paid(), json!({ "id": 40_001 }))]));
    none(json!([with_return(
        entry(72, "2026-02-09T10:00:00+01:00", "REFUND_REQUEST", "PENDING", "r9", "klarna", "33"),
        Value::Null
    )]));
    none(json!([with_return(
        entry(73, "2026-02-09T10:00:00+01:00", "REFUND_FAILED", "FAILED", "r9", "klarna", "33"),
        Value::Null
    )]));
    // Not asked for, or not known here: which of them belong to returns cannot be told.
    none(json!([paid()]));
}

/// An order of which one unit at 100 and two at 50 were cancelled after 200 more than it is now worth had been taken.
fn cancelled(entries: Vec<Value>, taken_more: i64) -> (Vec<CreditNote>, Vec<Refund>) {
    let decoded = order(|d| {
        let gross = d["grandGross"]["value"].as_i64().unwrap_or(1_303);
        d["grandGross"]["value"] = json!(gross);
        let line = |id: i64, units: i64, net: &str, gross: &str| {
            json!({
                "__typename": "ProductOrderLine", "id": id, "productNumber": "X", "size": "M", "productName": "Coat", "productVariantName": null,
                "cancelledQuantity": units, "taxPercent": 25, "unitNet": money(net), "unitGross": money(gross), "productSize": { "SKU": format!("X-{id}") },
            })
        };
        d["cancelledLines"] = json!([line(7, 0, "8", "10"), line(8, 1, "80", "100"), line(9, 2, "40", "50")]);
        let capture =
            entry(60, "2026-02-01T10:00:00+01:00", "CAPTURE", "SUCCESS", "auth", "adyen", &(gross + taken_more).to_string());
        let mut all = vec![with_return(capture, Value::Null)];
        all.extend(entries.into_iter().map(|entry| with_return(entry, Value::Null)));
        d["paymentHistory"] = json!(all);
    });
    let (credits, refunds) = also(decoded.also);
    assert!(credits.iter().all(adds_up));
    (credits, refunds)
}

fn paid(id: i64, value: &str) -> Value {
    entry(id, &format!("2026-02-0{}T10:00:00+01:00", id % 10), "REFUND", "SUCCESS", &format!("r{id}"), "adyen", value)
}

#[test]
fn units_that_were_cancelled_after_their_money_was_taken_are_credited_as_such() {
    let reasons = |credits: &[CreditNote]| credits.iter().map(|credit| credit.reason).collect::<Vec<_>>();
    let (credits, _) = cancelled(vec![paid(71, "200")], 200);
    assert_eq!(reasons(&credits), [CreditReason::Cancellation]);
    let lines: Vec<(&str, u32, i64, i64)> =
        credits[0].lines.iter().map(|line| (line.id.as_str(), line.quantity, line.net.minor(), line.tax.minor())).collect();
    assert_eq!(lines, [("8", 1, 8_000, 2_000), ("9", 2, 8_000, 2_000)]);
    assert_eq!(credits[0].lines[1].sold[0].quantity, 2);
    // One after the other, each what it is worth.
    let (credits, refunds) = cancelled(vec![paid(71, "50"), paid(72, "150"), paid(73, "20")], 220);
    assert_eq!(reasons(&credits), [CreditReason::Cancellation, CreditReason::Cancellation, CreditReason::Goodwill]);
    assert_eq!(refunds.len(), 3);
    // Two tenders of one cancellation: one credit, two transactions.
    let (credits, refunds) = cancelled(vec![paid(71, "120"), paid(72, "80")], 200);
    assert_eq!((reasons(&credits), refunds.len()), (vec![CreditReason::Cancellation], 2));
    assert!(refunds.iter().all(|one| one.credit_note == credits[0].key));
    // Nothing was taken for them: the same amount is a gesture.
    assert_eq!(reasons(&cancelled(vec![paid(71, "200")], 0).0), [CreditReason::Goodwill]);
    assert_eq!(reasons(&cancelled(vec![paid(71, "199.99")], 200).0), [CreditReason::Goodwill]);
}

fn any_json() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[-]?[0-9]{1,40}(\\.[0-9]{1,40})?([eE][-+]?[0-9]{1,4})?"
            .prop_map(|text| serde_json::from_str(&text).unwrap_or(Value::Null)),
        ".{0,12}".prop_map(Value::from),
        Just(json!([{ "id": 1 }])),
        Just(json!({ "value": 1 })),
        Just(json!("9999-12-31T23:59:59Z")),
    ]
}

fn places(value: &Value, here: &str, found: &mut Vec<String>) {
    found.push(here.to_owned());
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, inner)| places(inner, &format!("{here}/{name}"), found)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, inner)| places(inner, &format!("{here}/{index}"), found))
        }
        _ => {}
    }
}

fn refunded() -> Value {
    document(|d| {
        d["totals"]["returnCost"] = money("5");
        d["refundPaymentHistory"] = json!([
            entry(21, "2026-02-04T10:00:00+01:00", "REFUND_REQUEST", "PENDING", "auth", "klarna", "100"),
            entry(24, "2026-02-07T10:00:00+01:00", "REFUND", "SUCCESS", "auth", "klarna", "100"),
        ]);
    })
}

#[test]
fn cut_documents_never_panic() {
    let text = refunded().to_string();
    for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
        let decoded = decode_return(&text.as_bytes()[..end], None, &form());
        assert!(decoded.record.is_none() && !decoded.problems.is_empty());
    }
}

proptest! {
    #[test]
    fn any_bytes_decode_to_something(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let decoded = decode_return(&bytes, None, &form());
        prop_assert!(decoded.record.is_some() || !decoded.problems.is_empty());
    }

    #[test]
    fn any_two_odd_places_are_survived(picks in prop::collection::vec((any::<prop::sample::Index>(), any_json()), 1..3)) {
        let mut value = refunded();
        for (index, odd) in picks {
            let mut found = Vec::new();
            places(&value, "", &mut found);
            if let Some(place) = value.pointer_mut(index.get(found.as_slice()).as_str()) {
                *place = odd;
            }
        }
        let decoded = decode(&value);
        prop_assert!(decoded.record.is_some() || !decoded.problems.is_empty());
        let (credits, refunds) = also(decoded.also);
        for credit in &credits {
            prop_assert_eq!(credit.totals.net.plus(credit.totals.tax).unwrap(), credit.totals.gross);
        }
        prop_assert!(refunds.iter().all(|one| one.amount.minor() > 0));
    }

    /// Whatever was cancelled and paid back, each refund belongs to one credit, and the credits are worth the refunds.
    #[test]
    fn credits_without_a_return_are_worth_what_was_paid(amounts in prop::collection::vec(1_i64..250, 0..5), more in 0_i64..400) {
        let entries = amounts.iter().enumerate().map(|(at, amount)| paid(71 + i64::try_from(at).unwrap(), &amount.to_string())).collect();
        let (credits, refunds) = cancelled(entries, more);
        let given: i64 = credits.iter().map(|credit| credit.totals.gross.minor()).sum();
        prop_assert_eq!(given, amounts.iter().sum::<i64>() * 100);
        prop_assert_eq!(refunds.len(), amounts.len());
        prop_assert!(refunds.iter().all(|one| credits.iter().filter(|credit| credit.key == one.credit_note).count() == 1));
        let units: u32 = credits.iter().flat_map(|credit| &credit.lines).map(|line| line.quantity).sum();
        prop_assert!(units <= 3);
    }
}
