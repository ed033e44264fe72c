use serde_json::{Value, json};

use super::*;

fn rows(value: Value) -> Vec<Row> {
    let row = |row: &Value| {
        row.as_object().unwrap().iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
    };
    value.as_array().unwrap().iter().map(row).collect()
}

fn head(change: Value) -> Row {
    let mut head = json!({
        "id": "7", "tranid": "SO7", "status": "B", "td": "2026-02-03", "cd": "2026-02-03 01:00:00", "lm": "2026-02-03 02:00:00",
        "foreigntotal": "130", "symbol": "EUR", "subsidiary": "2", "subsidiary_name": "Nordic", "email": "A@B.de", "country": "de",
    });
    for (name, value) in change.as_object().unwrap() {
        head[name] = value.clone();
    }
    rows(json!([head])).remove(0)
}

fn line(id: &str, kind: &str, item: &str, quantity: &str, amount: &str) -> Value {
    json!({
        "id": id, "mainline": "F", "taxline": "F", "item": item, "itemid": format!("SKU-{item}"), "itemtype": kind,
        "quantity": quantity, "foreignamount": amount, "location": "21", "location_name": "North",
    })
}

/// One item of 100, shipping 10, a discount of 10, tax 30.
fn document(sign: &str, change: Value) -> Document {
    let signed = |amount: &str, other: bool| if (sign == "-") != other { format!("-{amount}") } else { amount.to_owned() };
    let mut goods = line("1", "InvtPart", "11", "-2", &signed("1E+2", false));
    goods["rate"] = json!("5e1");
    let lines = json!([
        { "id": "0", "mainline": "T", "taxline": "F", "foreignamount": "130" },
        goods,
        line("2", "Discount", "12", "", &signed("10", true)),
        { "id": "3", "mainline": "F", "taxline": "F", "item": "601", "foreignamount": signed("10.00", false) },
        { "id": "4", "mainline": "F", "taxline": "T", "item": "44", "foreignamount": signed("30", false) },
    ]);
    let taxes = json!([
        { "transaction": "7", "line": "1", "lowest": "0.25", "highest": "0.25", "taxamount": "27.5" },
        { "transaction": "7", "line": "3", "lowest": "0.25", "highest": "0.25", "taxamount": "2.5" },
    ]);
    Document { head: head(change), lines: rows(lines), taxes: Some(rows(taxes)) }
}

fn read(kind: Kind, document: &Document, prefix: &str) -> Result<Entry, Box<Problem>> {
    let zone = TimeZone::get("America/Los_Angeles").unwrap();
    let items = ShippingItems::from([("601".to_owned(), "Standard".to_owned())]);
    let member = Member { item: "21".to_owned(), sku: Sku::new("part"), units: 2 };
    let members = Members::from([("20".to_owned(), vec![member])]);
    let reading = Reading { kind, zone: &zone, shipping_items: &items, members: &members, prefix };
    reading.entry(document, Some(RecordKey::new("1042")))
}

fn eur(text: &str) -> Money {
    Money::exact(text.parse().unwrap(), Currency::from_code("EUR").unwrap()).unwrap()
}

#[test]
fn a_document_reads_the_same_whichever_way_its_lines_are_signed() {
    for sign in ["-", "+"] {
        let entry = read(Kind::Order, &document(sign, json!({})), "so_").unwrap();
        assert_eq!(entry.totals, Some(Totals { net: eur("100"), tax: eur("30"), gross: eur("130") }), "{sign}");
        let goods = &entry.lines[0];
        assert_eq!(
            (goods.sku.as_str(), goods.quantity, goods.net, goods.tax),
            ("SKU-11", 2, Some(eur("100")), Some(eur("27.5")))
        );
        assert_eq!((goods.unit, goods.rate), (Some(Decimal::from(50)), Some(Decimal::from(25))));
        assert_eq!(entry.shipping, Some(Amounts { net: eur("10"), tax: eur("2.5"), rate: Some(Decimal::from(25)) }));
        assert_eq!(entry.discount, Some(Amounts { net: eur("10"), tax: eur("0"), rate: None }));
        assert_eq!(entry.at.to_string(), "2026-02-03T09:00:00Z");
        assert_eq!((entry.number.as_deref(), entry.buyer.as_deref()), (Some("SO7"), Some("a@b.de")));
        let facet = |facet: Facet| entry.facets.get(&facet).map(|named| format!("{}={}", named.id, named.name));
        assert_eq!(facet(Facet::Method).as_deref(), Some("601=Standard"));
        assert_eq!(facet(Facet::Entity).as_deref(), Some("2=Nordic"));
        assert_eq!(facet(Facet::Place).as_deref(), Some("21=North"));
        assert_eq!(facet(Facet::Country).as_deref(), Some("DE=DE"));
    }
}

#[test]
fn a_tax_below_nought_keeps_its_sign() {
    // What is taken off a sale may bear more tax than what is sold.
    let mut document = document("-", json!({ "foreigntotal": "70" }));
    document.lines[4].insert("foreignamount".to_owned(), "30".to_owned());
    for tax in document.taxes.iter_mut().flatten() {
        let amount = format!("-{}", tax["taxamount"]);
        tax.insert("taxamount".to_owned(), amount);
    }
    let entry = read(Kind::Order, &document, "so_").unwrap();
    assert_eq!(entry.totals, Some(Totals { net: eur("100"), tax: eur("-30"), gross: eur("70") }));
    assert_eq!((entry.lines[0].tax, entry.shipping.map(|shipping| shipping.tax)), (Some(eur("-27.5")), Some(eur("-2.5"))));
}

#[test]
fn tax_that_is_not_told_by_line_is_told_by_the_document_alone() {
    let mut document = document("-", json!({}));
    document.taxes = None;
    let entry = read(Kind::Order, &document, "so_").unwrap();
    assert_eq!((entry.lines[0].tax, entry.lines[0].rate), (None, None));
    assert_eq!(entry.totals.unwrap().tax, eur("30"));
    // The table is there and holds nothing of a document that has tax: the same.
    document.taxes = Some(Vec::new());
    assert_eq!(read(Kind::Order, &document, "so_").unwrap().lines[0].tax, None);
}

#[test]
fn what_was_called_off_is_void_and_what_was_closed_after_it_left_counts() {
    let stage = |status: &str, change: &[(&str, &str)]| {
        let mut document = document("-", json!({ "status": status }));
        document.lines[1].extend(change.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let entry = read(Kind::Order, &document, "so_").unwrap();
        (entry.stage, entry.lines.len())
    };
    assert_eq!(stage("A", &[]), (Stage::Pending, 1));
    for standing in ["B", "D", "E", "F", "G"] {
        assert_eq!(stage(standing, &[]), (Stage::Standing, 1), "{standing}");
    }
    assert_eq!(stage("C", &[]), (Stage::Void, 1));
    assert_eq!(stage("H", &[("isclosed", "T")]), (Stage::Void, 1));
    assert_eq!(stage("H", &[("isclosed", "T"), ("quantityshiprecv", "2")]), (Stage::Standing, 1));
    assert_eq!(stage("H", &[("isclosed", "T"), ("quantitybilled", "2")]), (Stage::Standing, 1));
    let void =
        |kind: Kind, status: &str, prefix: &str| read(kind, &document("+", json!({ "status": status })), prefix).unwrap().stage;
    assert_eq!(void(Kind::CreditNote, "V", "cm_"), Stage::Void);
    assert_eq!(void(Kind::CreditNote, "B", "cm_"), Stage::Standing);
    assert_eq!(void(Kind::CreditNote, "A", "cm_"), Stage::Standing, "an open memo counts");
    assert_eq!(void(Kind::Order, "C", "cs_"), Stage::Standing, "a deposited cash sale is not cancelled");
    assert_eq!(void(Kind::Refund, "V", "crf_"), Stage::Void);
}

#[test]
fn parts_of_kits_are_told_as_such() {
    let lines = json!([
        { "id": "0", "mainline": "T" },
        line("1", "Kit", "20", "-1", ""), line("2", "InvtPart", "21", "-2", ""), line("3", "InvtPart", "22", "-3", ""),
    ]);
    let shipment = |status: &str| Document { head: head(json!({ "status": status })), lines: rows(lines.clone()), taxes: None };
    let entry = read(Kind::Shipment, &shipment("C"), "if_").unwrap();
    let told: Vec<(i64, bool)> = entry.lines.iter().map(|line| (line.quantity, line.component)).collect();
    assert_eq!(told, [(1, false), (2, true), (3, false)]);
    assert_eq!(entry.stage, Stage::Standing);
    assert_eq!(read(Kind::Shipment, &shipment("B"), "if_").unwrap().stage, Stage::Pending);
    assert!(read(Kind::Shipment, &shipment("Z"), "if_").is_err());
}

#[test]
fn of_a_return_what_came_counts() {
    let returned = |status: &str, came: &str| {
        let mut goods = line("1", "InvtPart", "11", "-3", "");
        goods["quantityshiprecv"] = json!(came);
        let lines = rows(json!([{ "id": "0", "mainline": "T" }, goods]));
        let entry = read(Kind::Return, &Document { head: head(json!({ "status": status })), lines, taxes: None }, "ra_").unwrap();
        (entry.stage, entry.lines.iter().map(|line| line.quantity).sum::<i64>())
    };
    assert_eq!(returned("B", "0"), (Stage::Pending, 3));
    assert_eq!(returned("D", "2"), (Stage::Standing, 2));
    assert_eq!(returned("F", "3"), (Stage::Standing, 3));
    assert_eq!(returned("H", "0"), (Stage::Void, 3));
    assert_eq!(returned("H", "1"), (Stage::Standing, 1));
}

#[test]
fn what_cannot_be_read_is_said_and_not_guessed() {
    let rule = |document: &Document| read(Kind::Order, document, "so_").unwrap_err().path;
    assert_eq!(rule(&document("-", json!({ "symbol": "???" }))), "currency");
    assert_eq!(rule(&document("-", json!({ "cd": "yesterday" }))), "createddate");
    assert_eq!(rule(&document("-", json!({ "foreigntotal": "12.345" }))), "foreigntotal");
    assert_eq!(rule(&document("-", json!({ "foreigntotal": "much" }))), "foreigntotal");
    let mut half = document("-", json!({}));
    half.lines[1].insert("quantity".to_owned(), "0.5".to_owned());
    assert_eq!(rule(&half), "lines.quantity");
}
