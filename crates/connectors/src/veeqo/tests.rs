//! The pure halves against documents as the vendor's blueprint shapes them.

use selvedge_connector::Raw;
use selvedge_model::{Kind, gate::Values, records::ShipmentStatus};
use serde_json::{Value, json};

use super::{decode, settings::Form};

fn form() -> Form {
    Form { channel_id: 501, payment_type: "credit_card".into(), weight_bands: vec![], connection: "vq".into() }
}

fn raw(document: &Value, id: &str) -> Raw {
    let version = "2026-02-04T12:00:00Z".parse().ok();
    Raw { kind: Kind::Shipment, id: id.into(), version, body: document.to_string().into_bytes().into() }
}

fn allocation(change: impl FnOnce(&mut Value)) -> Value {
    let mut document = json!({
        "order": { "number": "1042", "id": 31 },
        "allocation": {
            "id": 41, "warehouse": { "id": 3, "name": "Main" },
            "line_items": [{ "quantity": 2, "sellable_id": null, "sellable": { "id": 9001, "sku_code": "TEE" } }],
            "shipment": { "created_at": "2026-02-04T11:00:00.820Z", "carrier": { "id": 3, "name": "Other" },
                          "service_carrier_name": "DPD", "tracking_number": { "id": 1, "tracking_number": " 09980000020033F" } },
        },
    });
    change(&mut document);
    document
}

#[test]
fn a_shipment_is_told_by_its_allocation() {
    let shipment = decode::shipment(&raw(&allocation(|_| {}), "31/41"), &form()).record.unwrap();
    assert_eq!((shipment.key.as_str(), shipment.status), ("1042.vq.41", ShipmentStatus::Shipped));
    assert_eq!((shipment.carrier(), shipment.tracking()), (Some("DPD"), vec!["09980000020033F"]));
    let text = allocation(|d| d["allocation"]["shipment"]["tracking_number"] = json!("RB123456785GB"));
    assert_eq!(decode::shipment(&raw(&text, "31/41"), &form()).record.unwrap().tracking(), ["RB123456785GB"]);
    let none = allocation(|d| d["allocation"]["shipment"]["tracking_number"] = Value::Null);
    let none = decode::shipment(&raw(&none, "31/41"), &form()).record.unwrap();
    assert!(none.tracking().is_empty() && none.parcels.len() == 1);
    let gone = allocation(|d| d["allocation"]["shipment"] = Value::Null);
    assert_eq!(decode::shipment(&raw(&gone, "31/41"), &form()).record.unwrap().status, ShipmentStatus::Open);
}

#[test]
fn cut_documents_never_panic() {
    let text = allocation(|_| {}).to_string();
    for end in 0..text.len() {
        let cut = Raw { kind: Kind::Shipment, id: "1".into(), version: None, body: text.as_bytes()[..end].to_vec().into() };
        assert!(decode::shipment(&cut, &form()).record.is_none());
        assert!(decode::order(&cut, &Values::default()).record.is_none());
    }
}
