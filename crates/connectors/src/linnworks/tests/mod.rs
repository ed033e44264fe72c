//! The pure halves against documents as the vendor's specification shapes them.

mod returns;
pub(super) mod stand_in;

use std::sync::Arc;

use jiff::Timestamp;
use selvedge_connector::{Encoded, Raw, Request};
use selvedge_model::{
    Currency, ExternalId, Kind, Money, Order, RecordKey, Sku,
    gate::Values,
    records::{Address, Charge, LineKind, Named, OrderLine, OrderStatus, ShipmentStatus, TaxLine, TaxMode, Totals},
};
use serde_json::{Value, json};

use super::{decode, encode, settings::Form};

pub(super) fn form() -> Arc<Form> {
    Arc::new(Form {
        location: "Default".into(),
        source: "SELVEDGE".into(),
        sub_source: "wms".into(),
        weight_bands: vec![500, 2_000],
        dispatch_days: 2,
        parked_is_fine: false,
        hs_code_property: "HS Tariff Code".into(),
        origin_property: "Country of Origin".into(),
        kilograms: false,
        connection: "wms".into(),
    })
}

fn sek(minor: i64) -> Money {
    Money::from_minor(minor, Currency::from_code("SEK").unwrap())
}

pub(super) fn order() -> Order {
    let currency = Currency::from_code("SEK").unwrap();
    let at: Timestamp = "2026-02-03T09:10:00.5Z".parse().unwrap();
    let address = Address {
        first_name: Some("Åsa".into()),
        last_name: Some("Öberg".into()),
        line1: Some("Gatan 1".into()),
        postcode: Some("111 22".into()),
        city: Some("Stockholm".into()),
        country: Some("SE".into()),
        ..Address::default()
    };
    Order {
        number: RecordKey::new("1042"),
        id: ExternalId::new("c0ffee"),
        placed_at: at,
        updated_at: at,
        placed_on: jiff::civil::date(2026, 2, 3),
        status: OrderStatus::Confirmed,
        holds: vec![],
        internal: false,
        currency,
        tax_mode: TaxMode::Included,
        store: Named::default(),
        market: Named { id: "1".into(), name: "Sweden".into() },
        customer: None,
        billing: None,
        shipping: Some(address),
        lines: vec![OrderLine {
            id: ExternalId::new("7"),
            kind: LineKind::Product,
            bundle: None,
            recipe: None,
            sku: Sku::new("TEE"),
            name: "Tee".into(),
            quantity: 3,
            cancelled: 0,
            unit_net: rust_decimal::Decimal::from(80),
            net: sek(24_000),
            tax: sek(6_000),
            taxes: vec![TaxLine { name: "VAT".into(), rate: 25.into(), amount: sek(6_000) }],
        }],
        discounts: vec![],
        shipping_method: Some(Named { id: "std".into(), name: "Standard".into() }),
        shipping_charge: Charge { net: sek(3_920), tax: sek(980), rate: Some(25.into()) },
        handling_charge: Charge::none(currency),
        payment_method: None,
        payments: vec![],
        totals: Totals { net: sek(27_920), tax: sek(6_980), gross: sek(34_900) },
        comment: None,
        weight_grams: Some(540),
        dispatch_by: None,
    }
}

pub(super) fn words() -> Values {
    let mut values = Values::default();
    values.set("item", "sku=TEE", "TEE-1");
    values.set("shipping_service", "market=1,method=Standard,country=SE,weight=500-2000", "Tracked 48");
    values
}

fn put(encoded: Result<Encoded, Vec<selvedge_model::Problem>>) -> Request {
    match encoded {
        Ok(Encoded::Put(request)) => request,
        other => panic!("{other:?}"),
    }
}

/// One order as `GetOrderDetailsByReferenceId` shows it.
fn detail(change: impl FnOnce(&mut Value)) -> Value {
    let mut document = json!({
        "OrderId": "6f0c1a52-0000-4000-8000-000000000001", "NumOrderId": 100_045, "Processed": false,
        "FulfilmentLocationId": "00000000-0000-0000-0000-000000000000",
        "GeneralInfo": { "ReferenceNum": "1042", "Source": "SELVEDGE", "SubSource": "wms", "HoldOrCancel": false,
                         "ReceivedDate": "2026-02-03T09:10:00" },
        "ShippingInfo": { "Vendor": "Royal Mail", "PostalServiceName": "Tracked 48", "TrackingNumber": "" },
        "TotalsInfo": { "Currency": "SEK" },
        "Items": [{ "ItemNumber": "7", "SKU": "TEE-1", "Quantity": 3, "IsService": false, "IsUnlinked": false }],
    });
    change(&mut document);
    document
}

fn raw(document: &Value, id: &str) -> Raw {
    Raw { kind: Kind::Order, id: id.into(), version: None, body: document.to_string().into_bytes().into() }
}

#[test]
fn an_order_is_entered_with_every_mandatory_field() {
    let request = put(encode::order(&order(), &words(), None, &form()));
    assert_eq!(request.path, "Orders/CreateOrders");
    assert_eq!(request.body["location"], "Default");
    let sent = &request.body["orders"][0];
    for field in ["Source", "SubSource", "ReferenceNumber", "ReceivedDate", "DispatchBy", "OrderItems"] {
        assert!(!sent[field].is_null(), "{field}");
    }
    assert_eq!(sent["DispatchBy"], "2026-02-05T09:10:00Z");
    assert_eq!(sent["PostalServiceName"], "Tracked 48");
    assert_eq!(sent["PostalServiceCost"].to_string(), "49");
    let item = &sent["OrderItems"][0];
    for field in [
        "TaxCostInclusive",
        "UseChannelTax",
        "PricePerUnit",
        "Qty",
        "TaxRate",
        "LineDiscount",
        "ItemNumber",
        "ChannelSKU",
        "IsService",
        "ItemTitle",
    ] {
        assert!(!item[field].is_null(), "{field}");
    }
    assert_eq!((item["PricePerUnit"].to_string(), item["ChannelSKU"].as_str()), ("100".into(), Some("TEE-1")));
    assert_eq!(sent["DeliveryAddress"]["FullName"], "Åsa Öberg");
}

#[test]
fn an_unmapped_service_holds_and_names_its_whole_key() {
    let lookups = encode::lookups(&order(), &form());
    let service = lookups.iter().find(|lookup| lookup.table == "shipping_service").unwrap();
    assert_eq!(service.key_text(), "market=1,method=Standard,country=SE,weight=500-2000");
    assert!(!service.optional && !service.same_name);
    let mut unmapped = Values::default();
    unmapped.set("item", "sku=TEE", "TEE-1");
    assert_eq!(encode::order(&order(), &unmapped, None, &form()).unwrap_err()[0].rule, "mapping.shipping_service");
}

#[test]
fn a_post_code_that_would_park_the_order_is_refused_before() {
    let mut long = order();
    long.shipping.as_mut().unwrap().postcode = Some("123456789012".into());
    assert_eq!(encode::order(&long, &words(), None, &form()).unwrap_err()[0].rule, "address.postcode");
}

#[test]
fn the_parts_of_a_split_order_are_added_up_and_others_left_out() {
    let documents = json!([
        detail(|d| d["Items"][0]["Quantity"] = json!(2)),
        detail(|d| (d["NumOrderId"], d["OrderId"], d["Items"][0]["Quantity"]) = (json!(100_046), json!("b"), json!(1))),
        detail(|d| d["GeneralInfo"]["Source"] = json!("EBAY")),
        detail(|d| d["GeneralInfo"]["ReferenceNum"] = json!("10420")),
    ]);
    let decoded = decode::order(&raw(&documents, "1042"), &words(), &form());
    let there = decoded.record.unwrap();
    assert_eq!(decoded.problems, []);
    assert_eq!(there.lines.iter().map(|line| (line.sku.as_str(), line.quantity)).collect::<Vec<_>>(), [("TEE", 2), ("TEE", 1)]);
    let standing = decode::standing(&documents, "1042", &form());
    assert_eq!(encode::order(&order(), &words(), Some(&standing), &form()), Ok(Encoded::Nothing));
}

#[test]
fn an_item_that_is_linked_to_nothing_is_a_problem() {
    let documents = json!([detail(|d| d["Items"][0]["IsUnlinked"] = json!(true))]);
    let decoded = decode::order(&raw(&documents, "1042"), &words(), &form());
    assert!(decoded.record.is_none());
    assert_eq!(decoded.problems[0].rule, "pick.unlinked");
}

#[test]
fn a_cancellation_goes_part_by_part_and_never_after_the_parcel() {
    let cancelled = Order { status: OrderStatus::Cancelled, ..order() };
    let two = json!([detail(|_| {}), detail(|d| (d["NumOrderId"], d["OrderId"]) = (json!(100_046), json!("b")))]);
    let there = decode::standing(&two, "1042", &form());
    let first = put(encode::order(&cancelled, &words(), Some(&there), &form()));
    assert!(first.unfinished && first.path == "Orders/CancelOrder");
    let off = |d: &mut Value| (d["Processed"], d["GeneralInfo"]["HoldOrCancel"]) = (json!(true), json!(true));
    let one = json!([detail(off), detail(|d| (d["NumOrderId"], d["OrderId"]) = (json!(100_046), json!("b")))]);
    let second = put(encode::order(&cancelled, &words(), Some(&decode::standing(&one, "1042", &form())), &form()));
    assert!(!second.unfinished && second.body["orderId"] == "b");
    let all = decode::standing(&json!([detail(off)]), "1042", &form());
    assert_eq!(encode::order(&cancelled, &words(), Some(&all), &form()), Ok(Encoded::Nothing));
    let gone = decode::standing(&json!([detail(|d| d["Processed"] = json!(true))]), "1042", &form());
    assert_eq!(encode::order(&cancelled, &words(), Some(&gone), &form()).unwrap_err()[0].rule, "pick.gone");
}

#[test]
fn a_change_after_the_hand_over_is_for_a_person() {
    let there = decode::standing(&json!([detail(|d| d["Items"][0]["Quantity"] = json!(2))]), "1042", &form());
    assert_eq!(encode::order(&order(), &words(), Some(&there), &form()).unwrap_err()[0].rule, "pick.changed");
}

#[test]
fn a_shipment_has_its_parcels_and_the_key_that_no_other_warehouse_has() {
    let order = detail(|d| {
        d["Processed"] = json!(true);
        d["ProcessedOn"] = json!("2026-02-04T12:00:00.1234567");
        d["LastUpdated"] = json!("2026-02-04T12:05:00Z");
        d["ShippingInfo"]["TrackingNumber"] = json!(" RB123456785GB ");
    });
    let packages =
        json!([{ "TrackingNumber": "RB123456785GB" }, { "TrackingNumber": "RR473124829GB" }, { "TrackingNumber": "" }]);
    let document = json!({ "order": order, "packages": packages });
    let shipment = decode::shipment(&raw(&document, "6f0c"), &form()).record.unwrap();
    assert_eq!(shipment.key.as_str(), "1042.wms.100045");
    assert_eq!(shipment.status, ShipmentStatus::Shipped);
    assert_eq!(shipment.tracking(), ["RB123456785GB", "RR473124829GB"]);
    assert_eq!(shipment.lines[0].order_line, Some(ExternalId::new("7")));
    assert_eq!(shipment.shipped_at.unwrap().to_string(), "2026-02-04T12:00:00.1234567Z");
    let cancelled = json!({ "order": detail(|d| {
        d["Processed"] = json!(true);
        d["ProcessedOn"] = json!("2026-02-04T12:00:00");
        d["GeneralInfo"]["IsCancelled"] = json!(true);
    }) });
    assert_eq!(decode::shipment(&raw(&cancelled, "6f0c"), &form()).record.unwrap().status, ShipmentStatus::Cancelled);
}

#[test]
fn a_date_of_the_year_one_is_no_date() {
    assert_eq!(decode::time(&json!("0001-01-01T00:00:00")), None);
    assert_eq!(decode::time(&json!("2026-02-03T09:10:00")).unwrap().to_string(), "2026-02-03T09:10:00Z");
    assert_eq!(decode::time(&json!("2026-02-03T09:10:00.12+01:00")).unwrap().to_string(), "2026-02-03T08:10:00.12Z");
    for odd in [json!("soon"), json!(7), Value::Null] {
        assert_eq!(decode::time(&odd), None);
    }
}

#[test]
fn cut_documents_never_panic() {
    let text = json!([detail(|_| {})]).to_string();
    for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
        let cut = Raw { kind: Kind::Order, id: "1042".into(), version: None, body: text.as_bytes()[..end].to_vec().into() };
        assert!(decode::order(&cut, &words(), &form()).record.is_none());
        assert!(decode::shipment(&cut, &form()).record.is_none());
    }
}
