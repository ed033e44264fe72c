//! Shipments as item fulfilments, against the stand-in and by themselves.

use proptest::prelude::*;
use selvedge_connector::{Fault, Priority, Standing};
use selvedge_model::{
    Interval, Shipment,
    attribution::{Taken, attribute, bundles},
};
use selvedge_sim::netsuite::{Goods, KitSeed, OpeningStock, Options, TaxRegime};

use super::{
    super::{
        settings::{Document, ShipmentSettings},
        shipments::{decode, encode as fulfil, order_key_text},
    },
    stand_in::{Stand, as_guest, seeds, stand, stand_with},
    *,
};

fn parcel(number: &str) -> Parcel {
    Parcel { carrier: Some("UPS".into()), service: Some("Standard".into()), tracking: Some(number.into()), url: None }
}

/// A shipment as the gate makes it ready.
pub(super) fn ready(order: &Order, id: &str, lines: &[(&str, u32)], before: &mut (Taken, Taken)) -> Shipment {
    let line = |(sku, quantity): &(&str, u32)| ShipmentLine { order_line: None, sku: (*sku).into(), quantity: *quantity };
    let mut shipment = Shipment {
        key: shipment_key(order.number.as_str(), "wms", id),
        id: id.into(),
        order: order.number.clone(),
        status: ShipmentStatus::Shipped,
        shipped_at: Some("2026-02-04T23:30:00Z".parse().unwrap()),
        updated_at: "2026-02-04T23:30:00Z".parse().unwrap(),
        warehouse: Some(named("w1", "North")),
        lines: lines.iter().map(line).collect(),
        short: Vec::new(),
        parcels: vec![parcel(&format!("1Z{id}"))],
        captured: Some(true),
        bundles: Vec::new(),
    };
    shipment.lines = attribute(order, &before.0, &shipment).unwrap();
    shipment.bundles = bundles(order, &before.0, &before.1, &shipment.lines);
    for line in &shipment.lines {
        *before.0.entry(line.order_line.clone().unwrap()).or_default() += line.quantity;
    }
    for bundle in &shipment.bundles {
        *before.1.entry(bundle.line.clone()).or_default() += bundle.quantity;
    }
    shipment
}

#[derive(Debug, PartialEq)]
pub(super) enum Put {
    Done(ExternalId),
    Nothing,
    Refused(Vec<String>),
}

impl Stand {
    async fn shipment_words(&self, shipment: &Shipment, order: &Raw) -> Values {
        let mut values = Values::default();
        let sink = self.connection.shipment_sink.as_ref().unwrap();
        for lookup in sink.lookups(shipment).into_iter().filter(|lookup| lookup.table == "item") {
            let page = self.connection.lists.as_ref().unwrap().list("item", None).await.unwrap();
            if let Some(entry) = page.entries.into_iter().find(|entry| entry.name == lookup.key[0].1) {
                values.set("item", lookup.key_text(), entry.id);
            }
        }
        values.set("order", order_key_text(&shipment.order), order.id.as_str());
        values
    }

    pub(super) async fn ship(&self, shipment: &Shipment, order: &Raw, own: Option<&Raw>) -> Put {
        let order = &self.read(&order.id).await;
        let sink = self.connection.shipment_sink.as_ref().unwrap();
        let values = self.shipment_words(shipment, order).await;
        match sink.encode(shipment, &values, Standing { own, needed: Some(order) }) {
            Err(problems) => Put::Refused(problems.into_iter().map(|p| p.rule).collect()),
            Ok(Encoded::Nothing) => Put::Nothing,
            Ok(Encoded::Put(request)) => match sink.put(&request).await {
                Ok(receipt) => {
                    let id = receipt.id.unwrap();
                    assert_eq!(self.left(shipment, order, &id).await, []);
                    Put::Done(id)
                }
                Err(Fault::Refused { problems, .. }) => {
                    Put::Refused(problems.into_iter().map(|p| p.message + " " + &p.remedy).collect())
                }
                Err(other) => panic!("{other:?}"),
            },
        }
    }

    async fn fulfilment(&self, id: &ExternalId) -> Raw {
        let source = self.connection.shipment_source.as_ref().unwrap();
        source.fetch(std::slice::from_ref(id), Priority::Orders).await.unwrap().remove(0)
    }

    /// What disagrees with what stands there.
    async fn left(&self, shipment: &Shipment, order: &Raw, id: &ExternalId) -> Vec<Difference> {
        let values = self.shipment_words(shipment, order).await;
        let decoded = self.connection.shipment_source.as_ref().unwrap().decode(&self.fulfilment(id).await, &values);
        assert_eq!(decoded.problems, []);
        for (table, key, value) in decoded.values.iter() {
            assert_eq!(values.by_key(table, key), Some(value), "{table} {key}");
        }
        let sink = self.connection.shipment_sink.as_ref().unwrap();
        compare(&shipment.clone().into(), &decoded.record.unwrap().into(), sink.carries())
    }
}

fn status(raw: &Raw) -> String {
    let document: Value = serde_json::from_slice(&raw.body).unwrap();
    document["status"]["id"].as_str().unwrap().to_owned()
}

fn stocked() -> Goods {
    let at = |sku: &str| seeds().iter().position(|seed| seed.sku == sku).unwrap();
    let opening =
        ["SHIRT-WHITE-M", "SOCK-BLK", "CAP", "BOOK"].map(|sku| OpeningStock { item: at(sku), location: 21, quantity: 10 });
    Goods {
        items: seeds(),
        kits: vec![KitSeed { item: at("SET"), parts: vec![(at("CAP"), 2), (at("BOOK"), 1)] }],
        opening: opening.to_vec(),
    }
}

#[tokio::test]
async fn an_order_leaves_in_parts_and_each_is_a_fulfilment() {
    let settings = json!({"shipments": {"time_zone": "Europe/Stockholm"}});
    let stand = stand_with(Options::default(), settings, stocked()).await;
    let order = as_guest(order_se());
    let (raw, _) = stand.deliver(&order, &stand.words(&order).await, None).await;
    let mut before = Default::default();
    let first = ready(&order, "s1", &[("SOCK-BLK", 2)], &mut before);
    let Put::Done(id) = stand.ship(&first, &raw, None).await else { panic!() };
    assert_eq!(status(&stand.read(&raw.id).await), "D");
    let document: Value = serde_json::from_slice(&stand.fulfilment(&id).await.body).unwrap();
    assert_eq!(document["tranDate"], "2026-02-05", "the day in the set zone");
    assert_eq!(document["externalId"], "if_1042_u2e_wms_u2e_s1");
    assert_eq!(document["package"]["items"][0]["packageTrackingNumber"], "1Zs1");
    assert_eq!(
        (stand.account.level("SOCK-BLK", "21").unwrap().on_hand, stand.account.level("SHIRT-WHITE-M", "21").unwrap().on_hand),
        (8, 10)
    );
    // The answer was lost: it is found by our key, and a second one is refused as one.
    let sink = stand.connection.shipment_sink.clone().unwrap();
    assert_eq!(sink.find(&first).await.unwrap().map(|found| found.id), Some(id.clone()));
    let values = stand.shipment_words(&first, &raw).await;
    let Ok(Encoded::Put(again)) = sink.encode(&first, &values, Standing { own: None, needed: Some(&raw) }) else { panic!() };
    let again = Request {
        body: {
            let mut body = again.body;
            body["item"]["items"][1]["quantity"] = json!(1);
            body
        },
        ..again
    };
    assert!(matches!(sink.put(&again).await.unwrap_err(), Fault::Exists { .. }));
    let rest = ready(&order, "s2", &[("SOCK-BLK", 1), ("SHIRT-WHITE-M", 2)], &mut before);
    let Put::Done(_) = stand.ship(&rest, &raw, None).await else { panic!() };
    assert_eq!(status(&stand.read(&raw.id).await), "F");
    assert_eq!(
        stand.account.fulfilments_csv(),
        "doc,shipment,sku,qty,tracking\n1042,1042.wms.s1,SOCK-BLK,2,1Zs1\n1042,1042.wms.s2,SHIRT-WHITE-M,2,1Zs2\n1042,1042.wms.s2,SOCK-BLK,1,1Zs2\n"
    );
    let source = stand.connection.shipment_source.clone().unwrap();
    let always = Interval { from: "2020-01-01T00:00:00Z".parse().unwrap(), to: "2099-01-01T00:00:00Z".parse().unwrap() };
    let keys: Vec<String> =
        source.enumerate(&always, None).await.unwrap().items.into_iter().map(|item| item.key.unwrap().to_string()).collect();
    assert_eq!(keys, ["1042.wms.s1", "1042.wms.s2"]);
    let listed = source.list(&always, None).await.unwrap().raws;
    let orders: Vec<String> =
        listed.iter().map(|raw| source.decode(raw, &Values::default()).record.unwrap().order.to_string()).collect();
    assert_eq!(orders, ["1042", "1042"], "without the gate's words by our key");
    let third = Shipment { key: "1042.wms.s3".into(), ..rest };
    assert_eq!(stand.ship(&third, &raw, None).await, Put::Refused(vec!["shipment.order_state".into()]));
}

fn with_bundle() -> Order {
    let mut order = as_guest(order_se());
    let item = |id: &str, sku: &str, units| OrderLine {
        kind: LineKind::BundleItem,
        bundle: Some("9003".into()),
        ..line("SEK", id, sku, "Part", units, "0", &[])
    };
    order.lines.push(OrderLine { kind: LineKind::Bundle, ..line("SEK", "9003", "SET", "Set", 2, "80.00", &[("25", "20.00")]) });
    order.lines.extend([item("9004", "CAP", 4), item("9005", "BOOK", 2)]);
    sum_up(order)
}

#[tokio::test]
async fn a_kit_is_fulfilled_with_the_last_of_its_components() {
    let stand = stand_with(Options::default(), json!({}), stocked()).await;
    let order = with_bundle();
    let (raw, _) = stand.deliver(&order, &stand.words(&order).await, None).await;
    let mut before = Default::default();
    let caps = ready(&order, "s1", &[("CAP", 4)], &mut before);
    assert_eq!(stand.ship(&caps, &raw, None).await, Put::Nothing, "no kit is complete");
    let one = ready(&order, "s2", &[("BOOK", 1), ("SHIRT-WHITE-M", 1)], &mut before);
    let Put::Done(id) = stand.ship(&one, &raw, None).await else { panic!() };
    let document: Value = serde_json::from_slice(&stand.fulfilment(&id).await.body).unwrap();
    let rows: Vec<(String, String)> = document["item"]["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["item"]["refName"].as_str().unwrap().to_owned(), row["quantity"].to_string()))
        .collect();
    let told = [("SHIRT-WHITE-M", "1.0"), ("SET", "1.0"), ("BOOK", "1.0"), ("CAP", "2.0")];
    assert_eq!(rows, told.map(|(sku, units)| (sku.to_owned(), units.to_owned())));
    assert_eq!(stand.account.level("CAP", "21").unwrap().on_hand, 8);
    let last = ready(&order, "s3", &[("BOOK", 1), ("SHIRT-WHITE-M", 1), ("SOCK-BLK", 3)], &mut before);
    let Put::Done(_) = stand.ship(&last, &raw, None).await else { panic!() };
    assert_eq!(status(&stand.read(&raw.id).await), "F");
    assert_eq!((stand.account.level("CAP", "21").unwrap().on_hand, stand.account.level("BOOK", "21").unwrap().on_hand), (6, 8));
    // Two warehouses at once: the parts that left first may have their turn last, when nothing is left to be fulfilled.
    assert_eq!(stand.ship(&caps, &raw, None).await, Put::Nothing);
}

#[tokio::test]
async fn a_late_number_is_added_and_other_lines_are_a_question() {
    let stand = stand(Options::default(), json!({})).await;
    let order = as_guest(order_se());
    let (raw, _) = stand.deliver(&order, &stand.words(&order).await, None).await;
    let mut shipment = ready(&order, "s1", &[("SOCK-BLK", 3)], &mut Default::default());
    shipment.parcels.clear();
    let Put::Done(id) = stand.ship(&shipment, &raw, None).await else { panic!() };
    let own = stand.fulfilment(&id).await;
    assert_eq!(stand.ship(&shipment, &raw, Some(&own)).await, Put::Nothing);
    for numbers in [&["1Z1"][..], &["1Z1", "1Z2"], &["1Z3"]] {
        shipment.parcels = numbers.iter().map(|number| parcel(number)).collect();
        let own = stand.fulfilment(&id).await;
        assert_eq!(stand.ship(&shipment, &raw, Some(&own)).await, Put::Done(id.clone()), "and it reads back the same");
    }
    let own = stand.fulfilment(&id).await;
    let fewer = Shipment { lines: vec![ShipmentLine { quantity: 2, ..shipment.lines[0].clone() }], ..shipment.clone() };
    assert_eq!(stand.ship(&fewer, &raw, Some(&own)).await, Put::Refused(vec!["shipment.differs".into()]));
    let back = Shipment { status: ShipmentStatus::Cancelled, ..shipment };
    assert_eq!(stand.ship(&back, &raw, Some(&own)).await, Put::Refused(vec!["shipment.cancelled".into()]));
}

#[tokio::test]
async fn what_the_order_there_does_not_take_is_said() {
    let order = as_guest(order_se());
    let shipment = ready(&order, "s1", &[("SOCK-BLK", 3)], &mut Default::default());
    let rules = |put: Put| match put {
        Put::Refused(words) => words.join(" "),
        other => format!("{other:?}"),
    };
    // It waits for approval.
    let waiting = stand(Options::default(), json!({"order_status": "A"})).await;
    let (raw, _) = waiting.deliver(&order, &waiting.words(&order).await, None).await;
    assert_eq!(rules(waiting.ship(&shipment, &raw, None).await), "shipment.order_state");
    // Somebody fulfilled some of it by hand.
    let by_hand = stand_with(Options::default(), json!({}), stocked()).await;
    let (raw, _) = by_hand.deliver(&order, &by_hand.words(&order).await, None).await;
    let other = Shipment {
        key: "1042.hand.1".into(),
        lines: vec![ShipmentLine { quantity: 1, ..shipment.lines[0].clone() }],
        ..shipment.clone()
    };
    assert!(matches!(by_hand.ship(&other, &raw, None).await, Put::Done(_)));
    assert_eq!(rules(by_hand.ship(&shipment, &raw, None).await), "shipment.over_there");
    let gone = Shipment {
        lines: vec![ShipmentLine { order_line: Some("77".into()), sku: "HAT".into(), quantity: 1 }],
        ..shipment.clone()
    };
    assert_eq!(rules(by_hand.ship(&gone, &raw, None).await), "shipment.line_absent");
    // Not enough of it is committed, and the period is closed.
    for (options, words, remedy) in [
        (Options { limit_to_committed: true, ..Options::default() }, "not enough inventory", "Receive or count"),
        (Options { closed_before: Some("2026-03-01".parse().unwrap()), ..Options::default() }, "period", "Let finance open it"),
    ] {
        let stand = stand(options, json!({})).await;
        let (raw, _) = stand.deliver(&order, &stand.words(&order).await, None).await;
        let said = rules(stand.ship(&shipment, &raw, None).await);
        assert!(said.contains(words) && said.contains(remedy), "{said}");
    }
    // A package without a weight.
    let bare = stand(Options::default(), json!({"shipments": {"package_weight": 0}})).await;
    let (raw, _) = bare.deliver(&order, &bare.words(&order).await, None).await;
    let said = rules(bare.ship(&shipment, &raw, None).await);
    assert!(said.contains("shipments.package_weight"), "{said}");
    // Cash sales have no fulfilment.
    let form = Form { document: Document::CashSale, ..Form::default() };
    let problems = fulfil::shipment(&shipment, &Values::default(), Standing::default(), &form, &ShipmentSettings::default());
    assert_eq!(problems.unwrap_err()[0].rule, "shipment.no_fulfilment");
}

#[tokio::test]
async fn lines_without_our_reference_are_known_by_their_item() {
    let options = Options { tax: TaxRegime::LegacyLine, advanced_shipping: false, ..Options::default() };
    let stand = stand(options, json!({"tax": "legacy"})).await;
    let order = as_guest(order_se());
    let (raw, _) = stand.deliver(&order, &stand.words(&order).await, None).await;
    let shipment = ready(&order, "s1", &[("SOCK-BLK", 3), ("SHIRT-WHITE-M", 2)], &mut Default::default());
    assert!(matches!(stand.ship(&shipment, &raw, None).await, Put::Done(_)));
    assert_eq!(status(&stand.read(&raw.id).await), "G", "without Advanced Shipping it is billed, too");
}

#[tokio::test]
async fn picked_goods_have_not_left_and_a_deleted_fulfilment_opens_the_order() {
    let stand = stand_with(Options::default(), json!({"shipments": {"status": "A"}}), stocked()).await;
    let order = as_guest(order_se());
    let (raw, _) = stand.deliver(&order, &stand.words(&order).await, None).await;
    let shipment = ready(&order, "s1", &[("SOCK-BLK", 3)], &mut Default::default());
    let Put::Done(_) = stand.ship(&shipment, &raw, None).await else { panic!() };
    assert_eq!((stand.account.level("SOCK-BLK", "21").unwrap().on_hand, status(&stand.read(&raw.id).await).as_str()), (10, "B"));
    assert_eq!(stand.account.fulfilments_csv(), "doc,shipment,sku,qty,tracking\n");
}

proptest! {
    #[test]
    fn any_fulfilment_and_any_order_is_read_or_refused(value in super::anything::any_json(), cut in 0_usize..300) {
        let order = with_bundle();
        let shipment = ready(&order, "s1", &[("CAP", 4), ("BOOK", 2), ("SOCK-BLK", 1)], &mut Default::default());
        let mut values = Values::default();
        values.set("order", order_key_text(&shipment.order), "7");
        let line = json!({"line": value, "orderLine": 1, "item": {"id": "98", "refName": "SOCK-BLK"}, "quantity": value, "kitMemberOf": value,
            "itemReceive": value, "taxDetailsReference": "L9002", "quantityFulfilled": value, "isClosed": value});
        let whole = json!({"externalId": "if_1042", "createdFrom": {"id": "7"}, "shipStatus": value, "status": {"id": "B"},
            "item": {"items": [line, value]}, "package": value, "packageUps": {"items": [value]}, "location": value});
        for document in [value, whole] {
            let text = document.to_string().into_bytes();
            for body in [text.clone(), text.into_iter().take(cut).collect::<Vec<u8>>()] {
                let raw = Raw { kind: Kind::Shipment, id: "7".into(), version: None, body: body.into() };
                let decoded = decode::shipment(&raw, &values);
                prop_assert!(decoded.record.is_some() || !decoded.problems.is_empty());
                for there in [Standing { own: Some(&raw), needed: None }, Standing { own: None, needed: Some(&raw) }] {
                    let _ = fulfil::shipment(&shipment, &values, there, &Form::default(), &ShipmentSettings::default());
                }
            }
        }
    }
}
