use std::time::Duration;

use serde_json::json;

use super::*;
use crate::data::ItemSeed;

mod returns;
mod stock;

struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Reply {
    fn id(&self) -> String {
        let place = self.headers.get("location").unwrap().to_str().unwrap();
        assert!(place.starts_with("http://ns.test/services/rest/record/v1/"), "{place}");
        place.rsplit('/').next().unwrap().to_owned()
    }

    /// (code, path) of each detail.
    fn details(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
        self.body["o:errorDetails"]
            .as_array()
            .unwrap()
            .iter()
            .map(|detail| (text(&detail["o:errorCode"]), text(&detail["o:errorPath"])))
            .collect()
    }

    fn items(&self) -> &Vec<Value> {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body["items"].as_array().unwrap()
    }
}

fn seeds() -> Vec<ItemSeed> {
    ["1000BLK-S", "15056BL", "15056bl", "TOTE"].map(|sku| ItemSeed { sku: sku.into(), name: format!("Item {sku}") }).to_vec()
}

async fn open(options: Options, profile: Profile, journal: Option<PathBuf>) -> NetSuite {
    let mischief = Arc::new(Mischief::new(7, profile, "netsuite"));
    build(options, seeds(), mischief, journal).await.unwrap()
}

async fn account(options: Options) -> NetSuite {
    open(options, Profile::None, None).await
}

async fn try_send(ns: &NetSuite, method: &str, path: &str, headers: &[(&str, &str)], body: Value) -> Result<Reply, axum::Error> {
    let token = auth::tests::token_of(&ns.account.auth, ns.account.mischief.now());
    let mut request = axum::http::Request::builder()
        .method(method)
        .uri(format!("/services/rest{path}"))
        .header("host", "ns.test")
        .header("authorization", format!("Bearer {token}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    let response = handle(Shared(ns.account.clone()), request.body(body).unwrap()).await;
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, 1 << 26).await?;
    Ok(Reply {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    })
}

async fn send(ns: &NetSuite, method: &str, path: &str, headers: &[(&str, &str)], body: Value) -> Reply {
    try_send(ns, method, path, headers, body).await.unwrap()
}

const STRICT: &[(&str, &str)] = &[("X-NetSuite-PropertyNameValidation", "Error")];

async fn sql(ns: &NetSuite, page: &str, query: &str, params: Value) -> Reply {
    send(ns, "POST", &format!("/query/v1/suiteql{page}"), &[("Prefer", "transient")], json!({"q": query, "params": params})).await
}

/// A sales order with override, shipping and a discount: net 200 - 10 + 39.20, tax 57.30.
fn order(external: &str) -> Value {
    json!({
        "externalId": external,
        "entity": {"id": guest_customer_id("2", "SEK").unwrap()},
        "subsidiary": {"id": "2"},
        "currency": {"id": "5"},
        "tranDate": "2026-02-03",
        "orderStatus": "B",
        "otherRefNum": "1042",
        "memo": "Gift: yes\\nthanks",
        "location": {"id": "21"},
        "shipMethod": {"id": "601"},
        "shippingCost": 39.20,
        "shippingAddress": {"addressee": "Åsa Öst", "addr1": "Gatan 1", "city": "Stockholm", "zip": "111 22",
                            "country": {"id": "SE"}},
        "taxDetailsOverride": true,
        "item": {"items": [
            {"item": {"id": "1001"}, "quantity": 2, "price": {"id": "-1"}, "rate": 100.00, "amount": 200.00,
             "taxDetailsReference": "L1"},
            {"item": {"id": seed_ids().discount_item}, "amount": -10, "taxDetailsReference": "L2"}
        ]},
        "taxDetails": {"items": [
            detail("L1", "200.00", "50.00"),
            detail("L2", "-10", "-2.50"),
            detail("SHIP", "39.20", "9.80")
        ]}
    })
}

fn detail(reference: &str, basis: &str, amount: &str) -> Value {
    let number = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    json!({
        "taxDetailsReference": {"id": reference},
        "taxType": tax_type_id("SE"),
        "taxCode": {"id": tax_code_id("SE", "25")},
        "taxBasis": number(basis),
        "taxRate": 25.0,
        "taxAmount": number(amount),
    })
}

async fn create(ns: &NetSuite, body: Value) -> String {
    let reply = send(ns, "POST", "/record/v1/salesOrder", STRICT, body).await;
    assert_eq!(reply.status, 204, "{}", reply.body);
    reply.id()
}

fn dec(value: &Value) -> Fixed {
    match value {
        Value::String(text) => Fixed::parse(text).unwrap(),
        other => Fixed::parse(&other.to_string()).unwrap(),
    }
}

fn n(text: &str) -> Fixed {
    Fixed::parse(text).unwrap()
}

#[tokio::test]
async fn an_order_is_created_and_read_back() {
    let ns = account(Options::default()).await;
    let id = create(&ns, order("so_1042")).await;
    for key in [id.as_str(), "eid:so_1042", "eid%3Aso_1042"] {
        let reply = send(&ns, "GET", &format!("/record/v1/SALESORDER/{key}?expandSubResources=true"), &[], Value::Null).await;
        assert_eq!(reply.status, 200);
        let body = reply.body;
        assert_eq!(body["id"], json!(id));
        assert_eq!(body["entity"]["id"], json!("5205"));
        assert_eq!(body["memo"], json!("Gift: yes\nthanks"));
        assert_eq!(body["tranDate"], json!("2026-02-03"));
        assert_eq!(body["orderStatus"], json!({"id": "B", "refName": "Pending Fulfillment"}));
        assert_eq!(body["shippingAddress"]["country"]["id"], json!("SE"));
        assert_eq!(body["shippingAddress"]["addressee"], json!("Åsa Öst"));
        for (field, expected) in [
            ("subtotal", "190"),
            ("shippingCost", "39.20"),
            ("taxTotal", "57.30"),
            ("shippingTaxAmount", "9.80"),
            ("discountTotal", "0"),
            ("total", "286.50"),
        ] {
            assert_eq!(dec(&body[field]), n(expected), "{field}");
        }
        let lines = body["item"]["items"].as_array().unwrap();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["item"]["refName"], json!("1000BLK-S"));
        assert_eq!(dec(&lines[0]["quantity"]), n("2"));
        assert_eq!((lines[0]["line"].to_string(), lines[1]["line"].to_string()), ("1".into(), "4".into()));
        assert_eq!(lines[0]["taxDetailsReference"], json!("L1"));
        let taxes = body["taxDetails"]["items"].as_array().unwrap();
        assert_eq!(taxes.len(), 3);
        assert_eq!(taxes[2]["lineType"], json!("Shipping"));
        assert_eq!(taxes[0]["taxDetailsReference"]["id"], json!("L1"));
    }
    let few =
        send(&ns, "GET", &format!("/record/v1/salesOrder/{id}?fields=total&simpleEnumFormat=true"), &[], Value::Null).await.body;
    assert!(few.get("memo").is_none() && few.get("total").is_some());
    assert_eq!(ns.documents_csv(), "doc,net,tax,gross,currency,country,lines\n1042,229.20,57.30,286.50,SEK,SE,1\n");
    let line = send(&ns, "GET", &format!("/record/v1/salesOrder/{id}/item/4"), &[], Value::Null).await;
    assert_eq!(dec(&line.body["amount"]), n("-10"));
    let listed = send(&ns, "GET", "/record/v1/salesOrder", &[], Value::Null).await;
    assert_eq!(listed.items().len(), 1);
    assert_eq!(ns.calls(), 7);
}

#[tokio::test]
async fn an_external_id_is_unique_in_its_group() {
    let ns = account(Options::default()).await;
    create(&ns, order("so_1")).await;
    let again = send(&ns, "POST", "/record/v1/salesOrder", STRICT, order("so_1")).await;
    assert_eq!((again.status, again.details()[0].0.as_str()), (400, "USER_ERROR"));
    let mut sale = order("so_1");
    sale.as_object_mut().unwrap().remove("orderStatus");
    let as_sale = send(&ns, "POST", "/record/v1/cashSale", STRICT, sale.clone()).await;
    assert_eq!(as_sale.status, 400);
    let put = send(&ns, "PUT", "/record/v1/cashSale/eid:so_1", STRICT, sale.clone()).await;
    assert_eq!(put.status, 400);
    sale["externalId"] = json!("cs_1");
    assert_eq!(send(&ns, "POST", "/record/v1/cashSale", STRICT, sale).await.status, 204);
    assert_eq!(ns.document_count(), 2);
    // Entities are a group of their own.
    let person = json!({"externalId": "so_1", "isPerson": true, "firstName": "A", "lastName": "B",
                        "subsidiary": {"id": "2"}});
    assert_eq!(send(&ns, "POST", "/record/v1/customer", STRICT, person.clone()).await.status, 204);
    let twice = send(&ns, "POST", "/record/v1/customer", STRICT, person).await;
    assert_eq!(twice.status, 400);
    assert!(twice.body["o:errorDetails"][0]["detail"].as_str().unwrap().ends_with("This entity already exists."));
}

#[tokio::test]
async fn a_put_without_replace_doubles_the_lines() {
    let ns = account(Options::default()).await;
    let mut body = order("so_2");
    body.as_object_mut().unwrap().remove("taxDetails");
    body["item"]["items"][0].as_object_mut().unwrap().remove("taxDetailsReference");
    body["item"]["items"][1].as_object_mut().unwrap().remove("taxDetailsReference");
    let put = async |query: &str, body: Value| {
        let reply = send(&ns, "PUT", &format!("/record/v1/salesOrder/eid:so_2{query}"), STRICT, body).await;
        assert_eq!(reply.status, 204, "{}", reply.body);
    };
    let lines = async || {
        let reply = send(&ns, "GET", "/record/v1/salesOrder/eid:so_2?expandSubResources=true", &[], Value::Null).await;
        reply.body["item"]["items"].as_array().unwrap().iter().map(|line| line["line"].to_string()).collect::<Vec<_>>()
    };
    put("", body.clone()).await;
    assert_eq!(lines().await, ["1", "4"]);
    put("", body.clone()).await;
    assert_eq!(lines().await, ["1", "4", "7", "10"]);
    put("?replace=item", body.clone()).await;
    assert_eq!(lines().await, ["13", "16"]);
    // A line with its key is updated, and only it.
    put("", json!({"item": {"items": [{"line": 13, "quantity": 3}]}})).await;
    assert_eq!(lines().await, ["13", "16"]);
    let line = send(&ns, "GET", "/record/v1/salesOrder/eid:so_2/item/13", &[], Value::Null).await;
    assert_eq!(dec(&line.body["amount"]), n("300"));
    // With replace, lines that are not named go.
    put("?replace=item", json!({"item": {"items": [{"line": 13}]}})).await;
    assert_eq!(lines().await, ["13"]);
}

#[tokio::test]
async fn without_the_custom_price_level_the_list_price_wins() {
    let ns = account(Options::default()).await;
    let mut body = order("so_3");
    body["item"]["items"][0].as_object_mut().unwrap().remove("price");
    let id = create(&ns, body).await;
    let reply = send(&ns, "GET", &format!("/record/v1/salesOrder/{id}/item/1"), &[], Value::Null).await;
    let list = ns.account.state().stock.items.get(1_001).unwrap().list_price(2);
    assert_ne!(list, n("100"));
    assert_eq!(dec(&reply.body["rate"]), list);
    assert_eq!(dec(&reply.body["amount"]), list.times(n("2"), 2).unwrap());
}

#[tokio::test]
async fn unknown_names_warn_or_fail() {
    let ns = account(Options::default()).await;
    let mut body = order("so_4");
    body["shipingCost"] = json!(5);
    body["item"]["items"][0]["taxCode"] = json!({"id": "1"});
    let strict = send(&ns, "POST", "/record/v1/salesOrder", STRICT, body.clone()).await;
    assert_eq!(strict.status, 400);
    let mut paths: Vec<String> = strict.details().into_iter().map(|(_, path)| path).collect();
    paths.sort();
    assert_eq!(paths, ["item.items[0].taxCode", "shipingCost"]);
    let lax = send(&ns, "POST", "/record/v1/salesOrder", &[], body).await;
    assert_eq!(lax.status, 204);
    assert_eq!(lax.headers.get_all("warning").iter().count(), 2);
    assert_eq!(ns.document_count(), 1);
}

#[tokio::test]
async fn what_is_wrong_is_said_all_at_once_and_where() {
    let ns = account(Options::default()).await;
    let mut body = order("so_5");
    body["item"]["items"][0]["item"] = json!({"id": "999999"});
    body["shippingAddress"]["country"] = json!({"id": "XX"});
    body["currency"] = json!("SEK");
    let reply = send(&ns, "POST", "/record/v1/salesOrder", STRICT, body).await;
    assert_eq!(reply.status, 400);
    let mut details = reply.details();
    details.sort();
    let at = |path: &str| ("INVALID_CONTENT".to_owned(), path.to_owned());
    assert_eq!(details, [at("currency"), at("item.items[0].item.id"), at("shippingAddress.country")]);

    let mut body = order("so_5");
    body["location"] = json!({"id": "31"});
    body["entity"] = json!({"id": guest_customer_id("3", "GBP").unwrap()});
    body["item"]["items"][0]["item"] = json!({"id": seed_ids().inactive_item});
    body["item"]["items"][0]["amount"] = json!(200.01);
    let reply = send(&ns, "POST", "/record/v1/salesOrder", STRICT, body).await;
    assert_eq!(reply.status, 400);
    assert!(reply.details().iter().all(|(code, _)| code == "USER_ERROR"));
    // Customer's subsidiary, currency, location's subsidiary, inactive item, rate against amount.
    assert_eq!(reply.details().len(), 5, "{}", reply.body);
    assert_eq!(ns.document_count(), 0);

    let empty = send(&ns, "POST", "/record/v1/salesOrder", STRICT, json!({})).await;
    assert_eq!(empty.details().len(), 2, "{}", empty.body);

    let missing = send(&ns, "GET", "/record/v1/salesOrder/77", &[], Value::Null).await;
    assert_eq!(missing.status, 400);
    let missing = send(&ns, "GET", "/record/v1/salesOrder/eid:so_77", &[], Value::Null).await;
    assert_eq!((missing.status, missing.details()[0].0.as_str()), (404, "NONEXISTENT_ID"));
    let missing = send(&ns, "GET", "/record/v1/nonsense", &[], Value::Null).await;
    assert_eq!(missing.status, 404);
    let later = send(&ns, "POST", "/record/v1/salesOrder", &[("Prefer", "respond-async")], order("so_6")).await;
    assert_eq!(later.status, 400);
}

#[tokio::test]
async fn a_line_break_must_be_escaped_once_more() {
    let ns = account(Options::default()).await;
    let mut body = order("so_7");
    body["memo"] = json!("one\ntwo");
    let reply = send(&ns, "POST", "/record/v1/salesOrder", STRICT, body).await;
    assert_eq!(reply.details(), [("INVALID_CONTENT".to_owned(), "memo".to_owned())]);
}

#[tokio::test]
async fn tax_details_need_all_their_parts() {
    let ns = account(Options::default()).await;
    let mut body = order("so_8");
    body["taxDetails"]["items"][0].as_object_mut().unwrap().remove("taxBasis");
    let reply = send(&ns, "POST", "/record/v1/salesOrder", STRICT, body).await;
    assert!(reply.body.to_string().contains("Tax Basis"), "{}", reply.body);
    let mut body = order("so_8");
    body["taxDetails"]["items"][0]["taxType"] = json!(tax_type_id("DE"));
    let reply = send(&ns, "POST", "/record/v1/salesOrder", STRICT, body).await;
    assert_eq!(reply.details()[0].1, "taxDetails.items[0].taxType");
    let mut body = order("so_8");
    body["shippingCost"] = json!(0);
    let reply = send(&ns, "POST", "/record/v1/salesOrder", STRICT, body).await;
    assert_eq!(reply.details()[0].1, "taxDetails.items[2].taxDetailsReference");
}

#[tokio::test]
async fn the_regimes_tax_as_they_should() {
    for (tax, rounding, expected) in [
        (TaxRegime::None, TaxRounding::Line, "0"),
        (TaxRegime::SuiteTaxEngine, TaxRounding::Line, "7.50"),
        (TaxRegime::SuiteTaxEngine, TaxRounding::Transaction, "7.49"),
        (TaxRegime::LegacyLine, TaxRounding::Line, "7.50"),
        (TaxRegime::LegacyTransaction, TaxRounding::Line, "7.49"),
    ] {
        let ns = account(Options { tax, tax_rounding: rounding, ..Options::default() }).await;
        let legacy = matches!(tax, TaxRegime::LegacyLine | TaxRegime::LegacyTransaction);
        let line = |_| {
            let mut line = json!({"item": {"id": "1001"}, "quantity": 1, "price": {"id": "-1"}, "amount": 9.99});
            if legacy {
                line["taxCode"] = json!({"id": tax_code_id("SE", "25")});
            }
            line
        };
        let body = json!({
            "entity": {"id": "5205"},
            "shippingAddress": {"country": {"id": "SE"}},
            "item": {"items": (0..3).map(line).collect::<Vec<_>>()},
        });
        let id = create(&ns, body.clone()).await;
        let reply = send(&ns, "GET", &format!("/record/v1/salesOrder/{id}?expandSubResources=true"), &[], Value::Null).await;
        assert_eq!(dec(&reply.body["taxTotal"]), n(expected), "{tax:?} {rounding:?}");
        assert_eq!(reply.body.get("taxDetails").is_some(), tax.is_suite_tax());
        assert_eq!(reply.body["item"]["items"][0].get("tax1Amt").is_some(), legacy);
        let schema = send(&ns, "GET", "/record/v1/metadata-catalog/salesOrder", &[], Value::Null).await.body;
        let fields = schema["properties"].as_object().unwrap();
        assert_eq!(fields.contains_key("taxDetailsOverride"), tax.is_suite_tax());
        assert_eq!(fields.contains_key("taxItem"), legacy);
        if legacy {
            let mut bare = body;
            bare["item"]["items"][0].as_object_mut().unwrap().remove("taxCode");
            let reply = send(&ns, "POST", "/record/v1/salesOrder", STRICT, bare).await;
            assert!(reply.body.to_string().contains("Tax Code"));
        }
        if tax == TaxRegime::SuiteTaxEngine {
            let reply = send(&ns, "POST", "/record/v1/salesOrder", STRICT, order("so_1")).await;
            assert!(reply.body.to_string().contains("Tax Details Tab"));
        }
    }
}

#[tokio::test]
async fn a_gross_amount_recalculates_the_net_since_2026_1() {
    for (before_2026_1, amount) in [(false, "100"), (true, "80")] {
        let ns = account(Options { before_2026_1, tax: TaxRegime::LegacyLine, ..Options::default() }).await;
        let body = json!({
            "entity": {"id": "5205"},
            "item": {"items": [{"item": {"id": "1001"}, "price": {"id": "-1"}, "amount": 80, "grossAmt": 125,
                                "taxCode": {"id": tax_code_id("SE", "25")}}]},
        });
        let id = create(&ns, body).await;
        let line = send(&ns, "GET", &format!("/record/v1/salesOrder/{id}/item/1"), &[], Value::Null).await;
        assert_eq!(dec(&line.body["amount"]), n(amount));
    }
}

#[tokio::test]
async fn closing_all_lines_closes_the_order_and_billing_locks_it() {
    let ns = account(Options::default()).await;
    let id = create(&ns, order("so_9")).await;
    let path = format!("/record/v1/salesOrder/{id}");
    let close = |line: u32| json!({"item": {"items": [{"line": line, "isClosed": true}]}});
    let status = async || send(&ns, "GET", &path, &[], Value::Null).await.body["status"]["id"].clone();
    assert_eq!(send(&ns, "PATCH", &path, STRICT, close(1)).await.status, 204);
    assert_eq!(status().await, json!("B"));
    assert_eq!(send(&ns, "PATCH", &path, STRICT, close(4)).await.status, 204);
    assert_eq!(status().await, json!("H"));
    assert_eq!(ns.documents_csv().lines().count(), 1);
    create(&ns, order("so_10")).await;
    assert!(ns.bill("so_10").unwrap());
    assert!(!ns.bill("so_11").unwrap());
    let late = send(&ns, "PATCH", "/record/v1/salesOrder/eid:so_10", STRICT, close(1)).await;
    assert_eq!(late.status, 400);
    let memo = send(&ns, "PATCH", "/record/v1/salesOrder/eid:so_10", STRICT, json!({"memo": "x"})).await;
    assert_eq!(memo.status, 204);
    assert_eq!(send(&ns, "DELETE", &path, &[], Value::Null).await.status, 204);
    assert_eq!(ns.document_count(), 1);
    create(&ns, order("so_9")).await;
}

#[tokio::test]
async fn customers_are_made_changed_and_checked() {
    let ns = account(Options::default()).await;
    let bare = send(&ns, "POST", "/record/v1/customer", STRICT, json!({"isPerson": true})).await;
    assert_eq!(bare.details().len(), 3, "{}", bare.body);
    let body = json!({
        "externalId": "cust_7-1", "isPerson": true, "firstName": "Åsa", "lastName": "Öst", "email": "a@example.com",
        "subsidiary": {"id": "2"}, "currency": {"id": "5"},
        "currencyList": {"items": [{"currency": {"id": "4"}}]},
        "addressBook": {"items": [{"defaultShipping": true, "label": "Home",
            "addressBookAddress": {"addr1": "Gatan 1", "country": {"id": "SE"}}}]},
    });
    let made = send(&ns, "PUT", "/record/v1/customer/eid:cust_7-1", STRICT, body).await;
    assert_eq!(made.status, 204, "{}", made.body);
    let id = made.id();
    let change = send(&ns, "PATCH", &format!("/record/v1/customer/{id}"), STRICT, json!({"phone": "0812345678"})).await;
    assert_eq!(change.status, 204);
    let read = send(&ns, "GET", "/record/v1/customer/eid:cust_7-1?expandSubResources=true", &[], Value::Null).await.body;
    assert_eq!(read["phone"], json!("0812345678"));
    assert_eq!(read["lastName"], json!("Öst"));
    assert_eq!(read["addressBook"]["items"][0]["addressBookAddress"]["country"]["id"], json!("SE"));
    // The order may name the customer by our key, and only its currencies are allowed.
    let mut body = order("so_1");
    body["entity"] = json!({"externalId": "cust_7-1"});
    body["currency"] = json!({"id": "4"});
    create(&ns, body.clone()).await;
    body["externalId"] = json!("so_2");
    body["currency"] = json!({"id": "1"});
    let reply = send(&ns, "POST", "/record/v1/salesOrder", STRICT, body).await;
    assert!(reply.body.to_string().contains("The currency USD is not allowed"), "{}", reply.body);
    let gone = send(&ns, "DELETE", &format!("/record/v1/customer/{id}"), &[], Value::Null).await;
    assert_eq!(gone.status, 400);
}

#[tokio::test]
async fn suiteql_answers_the_usual_questions() {
    let ns = account(Options::default()).await;
    let mut ids = Vec::new();
    for number in 0..25 {
        let mut body = order(&format!("so_{number}"));
        if number % 2 == 1 {
            body.as_object_mut().unwrap().remove("otherRefNum");
            body["orderStatus"] = json!("A");
        }
        ids.push(create(&ns, body).await);
    }
    // The probe after a lost reply.
    let found = sql(
        &ns,
        "",
        "SELECT id, tranid, status, OtherRefNum FROM transaction WHERE externalid = ? AND type = 'SalesOrd'",
        json!(["so_3"]),
    )
    .await;
    assert_eq!(found.items(), &vec![json!({"links": [], "id": ids[3], "tranid": "SO1004", "status": "A"})]);
    assert_eq!(found.body["totalResults"].to_string(), "1");
    let none = sql(&ns, "", "SELECT id FROM transaction WHERE externalid = 'so_99'", json!([])).await;
    assert_eq!(none.items().len(), 0);
    let some = sql(
        &ns,
        "",
        "SELECT t.externalid e, t.foreigntotal FROM transaction t WHERE t.externalid IN (?, ?, ?) ORDER BY t.externalid DESC",
        json!(["so_1", "so_2", "so_x"]),
    )
    .await;
    assert_eq!(
        some.items(),
        &vec![
            json!({"links": [], "e": "so_2", "foreigntotal": "286.5"}),
            json!({"links": [], "e": "so_1", "foreigntotal": "286.5"}),
        ]
    );
    // Keyset paging.
    let mut seen = Vec::new();
    let mut last = json!("0");
    loop {
        let page = sql(
            &ns,
            "?limit=10&offset=0",
            "SELECT t.id, TO_CHAR(t.lastmodifieddate,'YYYY-MM-DD HH24:MI:SS') lm FROM transaction t \
             WHERE t.type='SalesOrd' AND t.lastmodifieddate >= TO_TIMESTAMP(?, 'YYYY-MM-DD HH24:MI:SS') AND t.id > ? \
             ORDER BY t.id",
            json!(["2020-01-01 00:00:00", last]),
        )
        .await;
        if page.items().is_empty() {
            break;
        }
        for item in page.items() {
            seen.push(item["id"].as_str().unwrap().to_owned());
            assert_eq!(item["lm"].as_str().unwrap().len(), 19);
        }
        last = json!(seen.last().unwrap());
    }
    assert_eq!(seen, ids);
    // Lines with their items; sales are negative.
    let lines = sql(
        &ns,
        "",
        "SELECT t.externalid, i.itemid sku, l.quantity, l.foreignamount FROM transaction t \
         INNER JOIN transactionline l ON l.transaction = t.id JOIN item i ON i.id = l.item \
         WHERE t.externalid IN ('so_1','so_2') AND l.mainline='F' AND l.taxline='F' AND NVL(l.iscogs,'F')='F' \
         AND i.itemtype = 'InvtPart' ORDER BY t.id, l.linesequencenumber",
        json!([]),
    )
    .await;
    assert_eq!(lines.items().len(), 2);
    assert_eq!(
        lines.items()[0],
        json!({"links": [], "externalid": "so_1", "sku": "1000BLK-S", "quantity": "-2", "foreignamount": "-200"})
    );
    let sums = sql(
        &ns,
        "",
        "SELECT status, COUNT(*) AS \"Count\", SUM(foreigntotal) FROM transaction GROUP BY status ORDER BY status",
        json!([]),
    )
    .await;
    assert_eq!(
        sums.items(),
        &vec![
            json!({"links": [], "status": "A", "count": "12", "expr3": "3438"}),
            json!({"links": [], "status": "B", "count": "13", "expr3": "3724.5"}),
        ]
    );
    let zone = sql(
        &ns,
        "",
        "SELECT TO_CHAR(SYSDATE,'YYYY-MM-DD HH24:MI:SS') d FROM currency WHERE id = (SELECT MIN(id) FROM currency)",
        json!([]),
    )
    .await;
    assert_eq!(zone.items().len(), 1);
    let skus = sql(&ns, "", "SELECT id FROM item WHERE itemid = ?", json!(["15056bl"])).await;
    assert_eq!(skus.items()[0]["id"], json!("1003"));
    let country = sql(
        &ns,
        "",
        "SELECT a.country, BUILTIN.DF(t.status) s, BUILTIN.DF(t.subsidiary) n FROM transaction t \
         LEFT JOIN transactionShippingAddress a ON a.nkey = t.shippingaddress WHERE t.id = ?",
        json!([ids[0]]),
    )
    .await;
    assert_eq!(
        country.items()[0],
        json!({"links": [], "country": "SE", "s": "Sales Order : Pending Fulfillment", "n": "Sweden AB"})
    );
    let tax = sql(&ns, "", "SELECT name, taxtype FROM salestaxitem WHERE id = ?", json!([tax_code_id("GB", "17.5")])).await;
    assert_eq!(tax.items()[0], json!({"links": [], "name": "VAT_GB:17.5%", "taxtype": tax_type_id("GB")}));
    for (table, least) in
        [("subsidiary", 6), ("location", 8), ("currency", 11), ("customer", 60), ("shipitem", 5), ("salestaxitem", 100)]
    {
        let rows = sql(&ns, "", &format!("SELECT id, isinactive FROM {table} ORDER BY id"), json!([])).await;
        assert!(rows.items().len() >= least, "{table}");
    }
}

#[tokio::test]
async fn suiteql_is_as_picky_as_the_vendor() {
    let ns = account(Options::default()).await;
    for number in 0..40 {
        create(&ns, order(&format!("so_{number}"))).await;
    }
    let query = "SELECT externalid FROM transaction";
    let first = sql(&ns, "", query, json!([])).await;
    let second = sql(&ns, "", query, json!([])).await;
    assert_eq!(first.items().len(), 40);
    assert_ne!(first.items(), second.items());
    for (page, query) in [
        ("?limit=10&offset=5", query),
        ("?limit=1001", query),
        ("?limit=0", query),
        ("", "SELECT nonsense FROM transaction"),
        ("", "SELECT id FROM nonsense"),
        ("", "SELECT id FROM transaction LIMIT 5"),
        ("", "SELECT id FROM transaction WHERE id = ?"),
        ("", "SELECT itemtype FROM transactionline"),
        ("", "SELECT id FROM transaction WHERE trandate > '2026-01-01'"),
        ("", "WITH x AS (SELECT id FROM item) SELECT id FROM x"),
        ("", "SELECT"),
    ] {
        let reply = sql(&ns, page, query, json!([])).await;
        assert_eq!((reply.status, reply.details()[0].0.as_str()), (400, "INVALID_PARAMETER"), "{page} {query}");
    }
    let plain = send(&ns, "POST", "/query/v1/suiteql", &[], json!({"q": query})).await;
    assert_eq!(plain.status, 400);
    let dated = sql(
        &ns,
        "",
        "SELECT COUNT(*) c FROM transaction WHERE trandate BETWEEN '2/3/2026' AND TO_DATE('2026-02-03','YYYY-MM-DD')",
        json!([]),
    )
    .await;
    assert_eq!(dated.items()[0]["c"], json!("40"));
}

#[tokio::test]
async fn a_journal_brings_everything_back() {
    let path = std::env::temp_dir().join(format!("sim-netsuite-{}.jsonl", uuid::Uuid::new_v4()));
    let read = async |ns: &NetSuite, id: &str| {
        send(ns, "GET", &format!("/record/v1/salesOrder/{id}?expandSubResources=true"), &[], Value::Null).await.body
    };
    let (ids, bodies, customer) = {
        let ns = open(Options::default(), Profile::None, Some(path.clone())).await;
        let mut ids = Vec::new();
        let mut bodies = Vec::new();
        for number in 0..5 {
            ids.push(create(&ns, order(&format!("so_{number}"))).await);
        }
        let patch = json!({"item": {"items": [{"line": 1, "description": "changed", "commitInventory": "1"}]}});
        let changed = send(&ns, "PATCH", "/record/v1/salesOrder/eid:so_1", STRICT, patch).await;
        assert_eq!(changed.status, 204, "{}", changed.body);
        send(&ns, "DELETE", "/record/v1/salesOrder/eid:so_4", &[], Value::Null).await;
        for id in &ids[..4] {
            bodies.push(read(&ns, id).await);
        }
        assert_eq!(bodies[1]["item"]["items"][0]["description"], json!("changed"));
        let body = json!({"externalId": "cust_1", "companyName": "ACME", "subsidiary": {"id": "3"}});
        (ids, bodies, send(&ns, "POST", "/record/v1/customer", STRICT, body).await.id())
    };
    let ns = open(Options::default(), Profile::None, Some(path.clone())).await;
    assert_eq!(ns.document_count(), 4);
    for (id, body) in ids.iter().zip(&bodies) {
        assert_eq!(read(&ns, id).await, *body);
    }
    let again = send(&ns, "POST", "/record/v1/salesOrder", STRICT, order("so_2")).await;
    assert_eq!(again.status, 400);
    let id: u32 = create(&ns, order("so_5")).await.parse().unwrap();
    assert!(ids.iter().all(|old| old.parse::<u32>().unwrap() < id));
    let found = send(&ns, "GET", "/record/v1/customer/eid:cust_1", &[], Value::Null).await;
    assert_eq!(found.body["id"], json!(customer));
    drop(ns);
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn too_many_at_once_are_refused() {
    let mischief = Arc::new(Mischief::new(1, Profile::None, "netsuite").latency(Duration::from_millis(20)));
    let options = Options { concurrency: 1, retry_after: true, ..Options::default() };
    let ns = build(options, seeds(), mischief, None).await.unwrap();
    let call = || send(&ns, "GET", "/system/v1/serverTime", &[], Value::Null);
    let (first, second) = tokio::join!(call(), call());
    assert_eq!(first.status, 200);
    assert_eq!(second.status, 429);
    assert_eq!(second.details()[0].0, "CONCURRENCY_LIMIT_EXCEEDED");
    assert_eq!(second.body["title"], json!("Bad Request"));
    assert_eq!(second.headers.get("retry-after").unwrap(), "1");
    assert_eq!(call().await.status, 200);
}

#[tokio::test]
async fn strangers_stay_out() {
    let ns = account(Options::default()).await;
    let ask = async |path: &str, host: &str, authorization: Option<String>| {
        let token = auth::tests::token_of(&ns.account.auth, ns.account.mischief.now());
        let request = axum::http::Request::get(path)
            .header("host", host)
            .header("authorization", authorization.unwrap_or(format!("Bearer {token}")))
            .body(Body::empty())
            .unwrap();
        handle(Shared(ns.account.clone()), request).await.status().as_u16()
    };
    let time = "/services/rest/system/v1/serverTime";
    assert_eq!(ask(time, "localhost:1", None).await, 200);
    assert_eq!(ask(&format!("/1234567_SB1{time}"), "localhost:1", None).await, 200);
    assert_eq!(ask(&format!("/7654321{time}"), "localhost:1", None).await, 401);
    assert_eq!(ask(time, "1234567-sb1.suitetalk.api.netsuite.com", None).await, 200);
    assert_eq!(ask(time, "7654321.suitetalk.api.netsuite.com", None).await, 401);
    let other = Auth::new("7654321").unwrap();
    let foreign = format!("Bearer {}", auth::tests::token_of(&other, ns.account.mischief.now()));
    assert_eq!(ask(time, "localhost:1", Some(foreign)).await, 401);
    let viewer = account(Options { view_only: true, ..Options::default() }).await;
    let read = send(&viewer, "GET", "/record/v1/customer/5205", &[], Value::Null).await;
    assert_eq!((read.status, read.details()[0].0.as_str()), (403, "INSUFFICIENT_PERMISSION"));
}

#[tokio::test]
async fn careful_clients_make_each_document_once_in_a_hostile_world() {
    let options = Options {
        // Whoever is refused for this asks again at once, so there must be room for all.
        concurrency: 120,
        ..Options::default()
    };
    let ns = open(options, Profile::Hostile, None).await;
    // Probe first, then create: what a sink does after an unanswered request.
    let deliver = async |number: u32| {
        let external = format!("so_{number}");
        let mut lost = 0;
        loop {
            let query = json!({"q": "SELECT id FROM transaction WHERE externalid = ?", "params": [external]});
            let headers = [("Prefer", "transient")];
            match try_send(&ns, "POST", "/query/v1/suiteql", &headers, query).await {
                Ok(reply) if reply.status == 200 && reply.body["items"].is_array() => {
                    if !reply.body["items"].as_array().unwrap().is_empty() {
                        return lost;
                    }
                }
                _ => continue,
            }
            let reply = try_send(&ns, "POST", "/record/v1/salesOrder", STRICT, order(&external)).await;
            lost += u32::from(!reply.is_ok_and(|reply| reply.status == 204));
        }
    };
    let lost: u32 = futures_util::future::join_all((0..120).map(deliver)).await.into_iter().sum();
    assert_eq!(ns.document_count(), 120);
    assert!(lost > 10, "{lost}");
    let touched = ns.account.state().trans.values().filter(|tran| tran.memo.as_deref() != Some("Gift: yes\nthanks")).count();
    assert!((1..30).contains(&touched), "{touched}");
}
