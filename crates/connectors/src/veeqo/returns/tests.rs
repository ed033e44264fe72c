//! Returns as the vendor's blueprint shapes them, and over HTTP against the stand-in.

use selvedge_connector::{Priority, Raw};
use selvedge_model::{
    Kind, Return,
    gate::Values,
    records::{Disposition, ReturnStatus},
};
use serde_json::{Value, json};

use super::super::tests::{
    form,
    stand_in::{account_with, enter, ever, order},
};
use super::decode;

fn document(change: impl FnOnce(&mut Value)) -> Value {
    let mut document = json!({
        "order": { "number": "1042", "id": 31, "merged_order": null },
        "return": {
            "id": 7, "number": "RN-7", "status": "returned", "reason": "unwanted", "created_at": "2026-02-10T09:00:00.000Z",
            "type": "ShippedItemsReturn", "warehouse_name": "Main",
            "line_items": [{ "id": 1, "title": "Tee", "sku_code": "TEE", "quantity": 2, "sellable_id": 9001, "received_quantity": 1 },
                           { "id": 2, "title": "Cap", "sku_code": "CAP", "quantity": 1, "sellable_id": 9002, "received_quantity": 0 }],
        },
    });
    change(&mut document);
    document
}

fn read(document: &Value) -> (Option<Return>, Vec<String>) {
    let version = "2026-02-11T00:00:00Z".parse().ok();
    let body = document.to_string().into_bytes().into();
    let decoded = decode::returned(&Raw { kind: Kind::Return, id: "31/7".into(), version, body }, &form());
    (decoded.record, decoded.problems.into_iter().map(|problem| problem.rule).collect())
}

#[test]
fn a_return_counts_what_was_received_and_before_that_what_is_expected() {
    let (found, problems) = read(&document(|_| {}));
    let found = found.unwrap();
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!((found.key.as_str(), found.status, found.units()), ("1042.vq.7", ReturnStatus::Received, 1));
    assert_eq!((found.disposition, found.reason.as_deref()), (Disposition::Quarantine, Some("unwanted")));
    assert_eq!(found.warehouse.unwrap().name, "Main");
    let (expected, _) = read(&document(|d| d["return"]["status"] = json!("returning")));
    let expected = expected.unwrap();
    assert_eq!((expected.status, expected.units()), (ReturnStatus::Announced, 3));
}

#[test]
fn what_is_not_known_is_held_and_shown() {
    for (name, value, rule) in [
        ("status", json!("paid"), "return.status"),
        ("status", Value::Null, "return.status"),
        ("type", json!("ExchangeReturn"), "return.type"),
        ("type", Value::Null, "return.type"),
    ] {
        let (_, problems) = read(&document(|d| d["return"][name] = value));
        assert_eq!(problems, [rule], "{name}");
    }
    let (_, merged) = read(&document(|d| d["order"]["merged_order"] = json!(true)));
    assert_eq!(merged, ["return.merged"]);
    let (nothing, problems) = read(&document(|d| d["return"]["line_items"][0]["received_quantity"] = json!(0)));
    assert_eq!((nothing.unwrap().lines.len(), problems), (0, vec!["return.nothing".to_owned()]));
    for (name, value) in [("received_quantity", Value::Null), ("received_quantity", json!(1.5)), ("sku_code", Value::Null)] {
        let (none, problems) = read(&document(|d| d["return"]["line_items"][0][name] = value));
        assert!(none.is_none() && problems == ["decode.unreadable"], "{name}");
    }
}

#[test]
fn cut_documents_never_panic() {
    let text = document(|_| {}).to_string();
    for end in 0..text.len() {
        let raw = Raw { kind: Kind::Return, id: "1/1".into(), version: None, body: text.as_bytes()[..end].to_vec().into() };
        assert!(decode::returned(&raw, &form()).record.is_none());
    }
}

#[tokio::test]
async fn an_orders_returns_are_told_with_it_and_what_never_left_is_none() {
    let (veeqo, connection) = account_with(json!({ "returned_goods": "restock" })).await;
    enter(&connection, &order("1042")).await;
    while !veeqo.is_done() {
        veeqo.step().unwrap();
    }
    let source = connection.return_source.clone().unwrap();
    assert!(source.list(&ever(), None).await.unwrap().raws.is_empty());
    veeqo.meddle_return("1042", "UnallocatedItemsReturn", 1, None).unwrap();
    let announced = veeqo.meddle_return("1042", "ShippedItemsReturn", 2, None).unwrap();
    let raws = source.list(&ever(), None).await.unwrap().raws;
    let found: Vec<Return> = raws.iter().map(|raw| source.decode(raw, &Values::default()).record.unwrap()).collect();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].status, found[0].units(), found[0].disposition), (ReturnStatus::Announced, 2, Disposition::Restock));
    veeqo.meddle_receive("1042", announced, 1).unwrap();
    let listed = source.enumerate(&ever(), None).await.unwrap().items;
    let raw = source.fetch(&[listed[0].id.clone()], Priority::Returns).await.unwrap().pop().unwrap();
    let there = source.decode(&raw, &Values::default()).record.unwrap();
    assert_eq!((there.key.clone(), there.status, there.units()), (found[0].key.clone(), ReturnStatus::Received, 1));
    assert!(raw.version > raws[0].version, "a return moves its order");
    assert_eq!(veeqo.violations(), Vec::<String>::new());
}
