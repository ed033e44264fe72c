//! What comes back: authorizations, receipts, memos, refunds, adjustments, periods.

use super::*;

fn goods() -> Goods {
    let opening = |item, quantity| OpeningStock { item, location: 21, quantity };
    Goods {
        items: seeds(),
        kits: vec![KitSeed { item: 3, parts: vec![(0, 2), (1, 1)] }],
        opening: vec![opening(0, 9), opening(1, 9)],
    }
}

async fn kept(options: Options, journal: Option<PathBuf>) -> NetSuite {
    build(options, goods(), Arc::new(Mischief::new(7, Profile::None, "netsuite")), journal).await.unwrap()
}

async fn post(ns: &NetSuite, path: &str, body: Value) -> Reply {
    send(ns, "POST", &format!("/record/v1/{path}"), STRICT, body).await
}

async fn done(ns: &NetSuite, path: &str, body: Value) -> String {
    let reply = post(ns, path, body).await;
    assert_eq!(reply.status, 204, "{path}: {}", reply.body);
    reply.id()
}

/// What a refusal says.
async fn refused(ns: &NetSuite, path: &str, body: Value) -> String {
    let reply = post(ns, path, body).await;
    assert_eq!(reply.status, 400, "{path}: {}", reply.body);
    reply.body["o:errorDetails"][0]["detail"].as_str().unwrap().to_owned()
}

async fn read(ns: &NetSuite, path: &str) -> Value {
    let reply = send(ns, "GET", &format!("/record/v1/{path}?expandSubResources=true"), &[], Value::Null).await;
    assert_eq!(reply.status, 200, "{path}");
    reply.body
}

async fn status(ns: &NetSuite, path: &str) -> String {
    read(ns, path).await["status"]["id"].as_str().unwrap().to_owned()
}

fn on_hand(ns: &NetSuite, sku: &str) -> i64 {
    ns.level(sku, "21").unwrap().on_hand
}

/// An order of two of one item and a kit, gone.
async fn sold(ns: &NetSuite) -> String {
    let mut body = order("so_1042");
    body["item"]["items"][1] =
        json!({"item": {"id": "1004"}, "quantity": 1, "price": {"id": "-1"}, "amount": 30, "taxDetailsReference": "L2"});
    body["taxDetails"]["items"][1] = detail("L2", "30", "7.50");
    let id = create(ns, body).await;
    assert!(ns.fulfil("so_1042").unwrap());
    assert_eq!((on_hand(ns, "1000BLK-S"), on_hand(ns, "15056BL")), (5, 8));
    id
}

/// A memo's line of an authorization's.
fn part(line: u32, quantity: u32, amount: &str) -> Value {
    let amount: Value = serde_json::from_str(amount).unwrap();
    json!({"orderLine": line, "quantity": quantity, "amount": amount, "price": {"id": "-1"}})
}

fn refund(memo: &str, amount: f64) -> Value {
    json!({"customer": {"id": "5205"}, "account": {"id": "301"}, "paymentOption": {"id": "9"}, "tranDate": "2026-02-11",
           "apply": {"items": [{"doc": {"id": memo}, "apply": true, "amount": amount}]}})
}

#[tokio::test]
async fn the_letters_follow_the_goods_and_the_money() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("netsuite.journal");
    let ns = kept(Options::default(), Some(file.clone())).await;
    let so = sold(&ns).await;
    let make = format!("salesOrder/{so}/!transform/returnAuthorization?replace=item");
    let ra =
        done(&ns, &make, json!({"externalId": "ra_1", "item": {"items": [{"orderLine": 1}, {"orderLine": 4, "quantity": 1}]}}))
            .await;
    let path = format!("returnAuthorization/{ra}");
    let shown = read(&ns, &path).await;
    let lines = shown["item"]["items"].as_array().unwrap().clone();
    assert_eq!(
        (status(&ns, &path).await, shown["createdFrom"]["id"].as_str().unwrap(), lines.len()),
        ("B".into(), so.as_str(), 2)
    );
    assert_eq!((lines[0]["line"].to_string(), lines[1]["line"].to_string()), ("1".into(), "4".into()));
    // Not more than it has; each external id once over all transactions.
    let receive = format!("{path}/!transform/itemReceipt");
    assert!(
        refused(&ns, &receive, json!({"item": {"items": [{"orderLine": 1, "quantity": 3}]}}))
            .await
            .contains("quantity remaining 2")
    );
    assert!(refused(&ns, &receive, json!({"externalId": "ra_1"})).await.contains("already exists"));
    let keep_rest = json!({"externalId": "ir_1", "item": {"items": [{"orderLine": 1, "quantity": 1}, {"orderLine": 4, "itemReceive": false}]}});
    let ir = done(&ns, &receive, keep_rest).await;
    assert_eq!((status(&ns, &path).await, on_hand(&ns, "1000BLK-S")), ("D".into(), 6));
    let credit = format!("{path}/!transform/creditMemo?replace=item");
    let tax = json!({"taxDetailsOverride": true, "externalId": "cm_1", "otherRefNum": "C-1", "item": {"items": [part(1, 1, "100.00")]}});
    let cm = done(&ns, &credit, tax).await;
    assert_eq!(status(&ns, &path).await, "E");
    assert_eq!(status(&ns, &format!("creditMemo/{cm}")).await, "A");
    // Written off: the kit's parts stay off the shelf.
    let gone = json!({"item": {"items": [{"orderLine": 1}, {"orderLine": 4, "restock": false}]}});
    done(&ns, &receive, gone).await;
    assert_eq!((status(&ns, &path).await, on_hand(&ns, "1000BLK-S"), on_hand(&ns, "15056BL")), ("F".into(), 7, 8));
    assert!(refused(&ns, &receive, json!({})).await.contains("invalid reference"));
    assert!(refused(&ns, &credit, json!({"item": {"items": [part(1, 2, "200")]}})).await.contains("left to be credited 1"));
    let rest =
        json!({"externalId": "cm_2", "item": {"items": [part(1, 1, "100"), part(4, 1, "30")]}, "taxDetailsOverride": true});
    done(&ns, &credit, rest).await;
    assert_eq!(status(&ns, &path).await, "G");
    // Money: not more than is left, of this customer.
    assert!(refused(&ns, "customerRefund", refund(&cm, 100.01)).await.contains("amount remaining"));
    let mut other = refund(&cm, 10.0);
    other["customer"] = json!({"id": guest_customer_id("3", "GBP").unwrap()});
    assert!(refused(&ns, "customerRefund", other).await.contains("cannot be applied"));
    let mut bare = refund(&cm, 10.0);
    bare.as_object_mut().unwrap().remove("account");
    assert!(refused(&ns, "customerRefund", bare).await.contains("Account"));
    let mut elsewhere = refund(&cm, 10.0);
    elsewhere["subsidiary"] = json!({"id": "3"});
    assert!(refused(&ns, "customerRefund", elsewhere).await.contains("UK Limited"));
    let mut first = refund(&cm, 60.0);
    first["externalId"] = json!("crf_1");
    done(&ns, "customerRefund", first).await;
    done(&ns, "customerRefund", refund(&cm, 40.0)).await;
    assert_eq!(status(&ns, &format!("creditMemo/{cm}")).await, "B");
    assert!(send(&ns, "DELETE", &format!("/record/v1/creditMemo/{cm}"), &[], Value::Null).await.status == 400);
    let (documents, returns, refunds) = (ns.documents_csv(), ns.returns_csv(), ns.refunds_csv());
    assert!(documents.contains("C-1,-100.00,0.00,-100.00,SEK,SE,1"), "{documents}");
    assert_eq!(returns, "order,ra,sku,qty,received,restock\n1042,1,1000BLK-S,2,2,2\n1042,1,TOTE,1,1,0\n");
    assert!(refunds.contains("C-1,1,Adyen,,60.00"), "{refunds}");
    ns.close_period("2026-02", true).unwrap();
    drop(ns);
    // All of it survives.
    let ns = kept(Options::default(), Some(file)).await;
    assert_eq!((ns.documents_csv(), ns.returns_csv(), ns.refunds_csv()), (documents, returns, refunds));
    assert_eq!((status(&ns, &path).await, on_hand(&ns, "1000BLK-S"), on_hand(&ns, "15056BL")), ("G".into(), 7, 8));
    assert_eq!(status(&ns, &format!("creditMemo/{cm}")).await, "B");
    assert!(refused(&ns, "customerRefund", refund(&cm, 1.0)).await.contains("period"));
    // A receipt that is deleted takes its goods off the shelf again.
    assert_eq!(send(&ns, "DELETE", &format!("/record/v1/itemReceipt/{ir}"), &[], Value::Null).await.status, 204);
    assert_eq!((status(&ns, &path).await, on_hand(&ns, "1000BLK-S")), ("E".into(), 6));
}

#[tokio::test]
async fn nothing_that_posts_is_dated_in_a_closed_period_and_the_periods_say_so() {
    let ns = kept(Options::default(), None).await;
    let so = sold(&ns).await;
    let ra = done(&ns, &format!("salesOrder/{so}/!transform/returnAuthorization"), json!({"tranDate": "2026-02-05"})).await;
    ns.close_period("2026-02", true).unwrap();
    ns.lock_receivables("2026-03", true).unwrap();
    assert!(ns.close_period("February", true).is_err());
    let receive = format!("returnAuthorization/{ra}/!transform/itemReceipt");
    let credit = format!("returnAuthorization/{ra}/!transform/creditMemo");
    for (day, word) in [("2026-02-10", "is closed"), ("2026-03-10", "is locked")] {
        assert!(refused(&ns, &receive, json!({ "tranDate": day })).await.contains(word), "{day}");
        assert!(refused(&ns, &credit, json!({ "tranDate": day })).await.contains(word), "{day}");
    }
    // What does not post is.
    done(&ns, &format!("salesOrder/{so}/!transform/returnAuthorization"), json!({"tranDate": "2026-02-06"})).await;
    done(&ns, &receive, json!({"tranDate": "2026-04-01"})).await;
    let query = "SELECT periodname, closed, arlocked FROM accountingperiod WHERE isquarter = 'F' AND isyear = 'F' AND isadjust = 'F' \
                 AND startdate >= TO_DATE(?, 'YYYY-MM-DD') AND startdate <= TO_DATE(?, 'YYYY-MM-DD') ORDER BY id";
    let rows = sql(&ns, "", query, json!(["2026-02-01", "2026-04-01"])).await;
    let told: Vec<(String, String, String)> = rows
        .items()
        .iter()
        .map(|row| {
            let cell = |name: &str| row[name].as_str().unwrap().to_owned();
            (cell("periodname"), cell("closed"), cell("arlocked"))
        })
        .collect();
    let row = |name: &str, closed: &str, locked: &str| (name.to_owned(), closed.to_owned(), locked.to_owned());
    assert_eq!(told, [row("Feb 2026", "T", "T"), row("Mar 2026", "F", "T"), row("Apr 2026", "F", "F")]);
    let types = sql(&ns, "", "SELECT type FROM transaction WHERE id > ? ORDER BY id", json!(["0"])).await;
    let types: Vec<&str> = types.items().iter().map(|row| row["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["SalesOrd", "RtnAuth", "RtnAuth", "ItemRcpt"]);
}

#[tokio::test]
async fn what_stands_alone_and_what_is_refused() {
    let ns = kept(Options { restock_field: false, credit_in_advance: false, ..Options::default() }, None).await;
    let so = create(&ns, order("so_1")).await;
    // Nothing left: there is nothing to come back of it.
    let make = format!("salesOrder/{so}/!transform/returnAuthorization");
    assert!(refused(&ns, &make, json!({})).await.contains("invalid reference"));
    let head = json!({"entity": {"id": "5205"}, "subsidiary": {"id": "2"}, "location": {"id": "21"}, "orderStatus": "B"});
    let mut alone = head.clone();
    alone["item"] = json!({"items": [{"item": {"id": "1002"}, "quantity": 1, "price": {"id": "-1"}, "amount": 0}]});
    let ra = done(&ns, "returnAuthorization", alone.clone()).await;
    let receive = format!("returnAuthorization/{ra}/!transform/itemReceipt");
    let flagged = post(&ns, &receive, json!({"item": {"items": [{"orderLine": 1, "restock": false}]}})).await;
    assert_eq!(flagged.details()[0].1, "item.items[0].restock");
    let credit = format!("returnAuthorization/{ra}/!transform/creditMemo");
    assert!(refused(&ns, &credit, json!({})).await.contains("left to be credited 0"), "not before it arrived");
    done(&ns, &receive, json!({})).await;
    done(&ns, &credit, json!({})).await;
    // A memo by itself puts a stock item on the shelf, and takes it off again when it is void.
    let mut memo = json!({"externalId": "cm_9", "entity": {"id": "5205"}, "subsidiary": {"id": "2"}, "location": {"id": "21"}});
    memo["item"] = json!({"items": [{"item": {"id": "1002"}, "quantity": 2, "price": {"id": "-1"}, "amount": 10}]});
    let before = on_hand(&ns, "15056BL");
    done(&ns, "creditMemo", memo.clone()).await;
    assert_eq!(on_hand(&ns, "15056BL"), before + 2);
    assert!(ns.void("cm_9").unwrap() && !ns.void("so_1").unwrap());
    assert_eq!(on_hand(&ns, "15056BL"), before);
    memo["externalId"] = json!("cm_10");
    memo["item"]["items"][0]["item"]["id"] = json!(seed_ids().inactive_item);
    assert!(refused(&ns, "creditMemo", memo.clone()).await.contains("inactive"));
    memo["item"]["items"][0]["amount"] = json!(-1);
    memo["item"]["items"][0]["item"]["id"] = json!("1002");
    assert!(refused(&ns, "creditMemo", memo).await.contains("negative"));
    let mut closed = alone;
    closed["subsidiary"] = json!({"id": "9"});
    assert!(refused(&ns, "returnAuthorization", closed).await.contains("Closed BV"));
    // Adjustments.
    let adjust = |account: &str, location: &str| {
        json!({"subsidiary": {"id": "2"}, "account": {"id": account}, "tranDate": "2026-02-10",
               "inventory": {"items": [{"item": {"id": "1001"}, "location": {"id": location}, "adjustQtyBy": 3}]}})
    };
    assert!(refused(&ns, "inventoryAdjustment", adjust("304", "31")).await.contains("UK Limited"));
    assert_eq!(post(&ns, "inventoryAdjustment", adjust("301", "21")).await.details()[0].1, "account.id");
    let before = on_hand(&ns, "1000BLK-S");
    let ia = done(&ns, "inventoryAdjustment", adjust("304", "21")).await;
    assert_eq!(on_hand(&ns, "1000BLK-S"), before + 3);
    let path = format!("/record/v1/inventoryAdjustment/{ia}");
    assert_eq!(send(&ns, "PATCH", &path, STRICT, json!({"memo": "counted"})).await.status, 204);
    assert_eq!(send(&ns, "PATCH", &path, STRICT, json!({"tranDate": "2026-05-01"})).await.status, 400);
    assert_eq!(on_hand(&ns, "1000BLK-S"), before + 3);
    for (source, target) in [("returnAuthorization", "cashRefund"), ("creditMemo", "customerRefund"), ("invoice", "creditMemo")] {
        let reply = post(&ns, &format!("{source}/{ra}/!transform/{target}"), json!({})).await;
        assert_eq!(reply.status, 400, "{source} to {target}");
    }
    for record in ["itemReceipt", "customerRefund", "inventoryAdjustment", "creditMemo", "returnAuthorization"] {
        let listed = send(&ns, "GET", &format!("/record/v1/{record}"), &[], Value::Null).await;
        assert_eq!(listed.status, 200, "{record}");
        let schema = send(&ns, "GET", &format!("/record/v1/metadata-catalog/{record}"), &[], Value::Null).await;
        assert_eq!(schema.body["x-ns-record"], json!(record));
    }
}
