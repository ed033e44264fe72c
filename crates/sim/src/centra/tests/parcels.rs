//! Shipments, as an integration makes them.

use super::*;
use crate::centra::stock::Opening;

async fn shop(refusals: u32) -> Shop {
    let stock = StockOptions { opening: Opening::Each(1_000), ..StockOptions::default() };
    let options = Options { stock, capture_refusals: refusals, ..Options::default() };
    let shop = Shop::open(Source::Generated { orders: 400 }, Profile::None, options).await;
    shop.centra.listen().unwrap();
    shop.step();
    shop
}

impl Shop {
    async fn order(&self, number: i64) -> Value {
        let fields = "number status id lines { __typename id quantity productSize { SKU } } paymentHistory { entryType value { value } } \
                      grandTotal { value } shipments { id number isShipped isPaid isCaptured trackingNumber capturedValue { value } \
                      carrierInformation { carrierName serviceName } lines { quantity orderLine { id } } externalId }";
        self.data(&format!("{{ orders(where: {{number: {number}}}) {{ {fields} }} }}")).await["orders"][0].clone()
    }

    /// The first order with at least so many lines that can be picked, two units or more in the first, and whether it has a bundle.
    async fn wanted(&self, lines: usize, bundle: bool) -> Value {
        for index in 0..400 {
            let number = i64::from(self.centra.0.read().number(index));
            let order = self.order(number).await;
            let has = order["lines"].as_array().unwrap().iter().any(|l| l["__typename"] == "BundleOrderLine");
            let pickable = pickable(&order);
            if pickable.len() >= lines && pickable[0].1 > 1 && has == bundle && order["status"] == "CONFIRMED" {
                return order;
            }
        }
        panic!("no such order");
    }

    async fn change(&self, call: &str) -> Value {
        let payload = "{ shipment { id isShipped isCaptured isPaid } userErrors { message path } userWarnings { message } }";
        self.data(&format!("mutation {{ it: {call} {payload} }}")).await["it"].clone()
    }
}

fn pickable(order: &Value) -> Vec<(i64, i64)> {
    let lines = order["lines"].as_array().unwrap().iter();
    let fits = |line: &&Value| matches!(line["__typename"].as_str(), Some("ProductOrderLine" | "BundleItemOrderLine"));
    lines.filter(fits).map(|line| (line["id"].as_i64().unwrap(), line["quantity"].as_i64().unwrap())).collect()
}

fn make(order: &Value, lines: &[(i64, i64)], more: &str) -> String {
    let lines: Vec<String> = lines.iter().map(|(id, units)| format!("{{orderLine: {{id: {id}}}, quantity: {units}}}")).collect();
    format!("createShipment(input: {{order: {{number: {}}}, lines: [{}], {more}}})", order["number"], lines.join(", "))
}

fn ok(payload: &Value) -> i64 {
    assert_eq!(payload["userErrors"], json!([]), "{payload}");
    payload["shipment"]["id"].as_i64().unwrap()
}

const READY: &str = "isGoodToGo: true, capture: true, allocateDemand: true";

#[tokio::test]
async fn partial_shipments_take_their_part_of_the_money_and_all_of_it_in_the_end() {
    let shop = shop(0).await;
    let order = shop.wanted(2, false).await;
    let lines = pickable(&order);
    let first = ok(&shop.change(&make(&order, &[(lines[0].0, 1)], READY)).await);
    assert_eq!(shop.order(order["number"].as_i64().unwrap()).await["status"], "PROCESSING");
    assert_ne!(shop.change(&make(&order, &[(lines[0].0, lines[0].1)], READY)).await["userErrors"], json!([]), "not so many left");
    let rest: Vec<(i64, i64)> =
        lines.iter().enumerate().map(|(at, (id, units))| (*id, if at == 0 { units - 1 } else { *units })).collect();
    let rest = ok(&shop.change(&make(&order, &rest, READY)).await);
    for id in [first, rest] {
        let done = shop
            .change(&format!(
                "completeShipment(id: {id}, input: {{shipmentInfo: {{carrier: \"UPS\", service: \"Standard\", trackingNumber: \"1Z{id}\"}}}})"
            ))
            .await;
        ok(&done);
        assert_ne!(
            shop.change(&format!("completeShipment(id: {id}, input: {{}})")).await["userErrors"],
            json!([]),
            "completed already"
        );
    }
    let now = shop.order(order["number"].as_i64().unwrap()).await;
    assert_eq!(now["status"], "SHIPPED");
    let text = |value: &Value| value.to_string().parse::<rust_decimal::Decimal>().unwrap();
    let taken: rust_decimal::Decimal =
        now["shipments"].as_array().unwrap().iter().map(|s| text(&s["capturedValue"]["value"])).sum();
    let history = now["paymentHistory"].as_array().unwrap();
    if history.iter().filter(|entry| entry["entryType"] == "CAPTURE").count() == 2 {
        assert_eq!(taken, text(&now["grandTotal"]["value"]));
    }
    assert_eq!(now["shipments"][0]["trackingNumber"], format!("1Z{first}"));
    assert_eq!(now["shipments"][0]["carrierInformation"]["carrierName"], "UPS");
}

#[tokio::test]
async fn a_repeated_partial_shipment_succeeds_and_an_external_id_finds_it() {
    let shop = shop(0).await;
    let order = shop.wanted(1, false).await;
    let line = pickable(&order)[0].0;
    let call = make(&order, &[(line, 1)], "isGoodToGo: true, capture: true, allocateDemand: true, externalId: \"k.1\"");
    let (one, two) = (ok(&shop.change(&call).await), ok(&shop.change(&call).await));
    assert_ne!(one, two, "nothing guards against it");
    let found = shop.data("{ shipments(where: {externalId: \"k.1\"}) { id externalId order { number } } }").await;
    assert_eq!(found["shipments"], json!([{"id": two, "externalId": "k.1", "order": {"number": order["number"]}}]));
    let by_order = shop.data(&format!("{{ shipments(where: {{orderId: {}}}) {{ id }} }}", order["id"])).await;
    assert_eq!(by_order["shipments"], json!([{"id": one}, {"id": two}]));
}

#[tokio::test]
async fn a_refused_capture_warns_while_shipping_and_fails_by_itself() {
    let shop = shop(1_000).await;
    let order = shop.wanted(1, false).await;
    let made = shop.change(&make(&order, &pickable(&order), READY)).await;
    let id = ok(&made);
    assert_eq!(made["shipment"]["isCaptured"], false);
    assert_ne!(made["userWarnings"], json!([]));
    assert_ne!(shop.change(&format!("completeShipment(id: {id}, input: {{}})")).await["userErrors"], json!([]), "not paid");
    // It was refused once, with the shipment; the next time the provider takes it.
    assert_eq!(shop.change(&format!("captureShipment(id: {id})")).await["userErrors"], json!([]));
    ok(&shop.change(&format!("completeShipment(id: {id}, input: {{}})")).await);
    let refused = shop.change(&format!("updateShipment(id: {id}, input: {{shipmentInfo: {{trackingNumber: \"x\"}}}})")).await;
    assert_ne!(refused["userErrors"], json!([]), "frozen once it was sent");
}

#[tokio::test]
async fn a_shipment_marked_paid_is_paid_and_not_captured() {
    let shop = shop(0).await;
    let order = shop.wanted(1, false).await;
    let lines = pickable(&order);
    let marked = shop.change(&make(&order, &[(lines[0].0, 1)], "isGoodToGo: true, isPaid: true, allocateDemand: true")).await;
    let id = ok(&marked);
    assert_eq!((&marked["shipment"]["isPaid"], &marked["shipment"]["isCaptured"]), (&json!(true), &json!(false)));
    let off = shop.change(&format!("updateShipment(id: {id}, input: {{isPaid: false}})")).await;
    assert_eq!(off["shipment"]["isPaid"], false);
    let captured = shop.change(&format!("captureShipment(id: {id})")).await;
    ok(&captured);
    assert_eq!((&captured["shipment"]["isPaid"], &captured["shipment"]["isCaptured"]), (&json!(true), &json!(true)));
    let off = shop.change(&format!("updateShipment(id: {id}, input: {{isPaid: false}})")).await;
    assert_eq!(off["shipment"]["isPaid"], true, "the mark is gone, the money was taken");
}

#[tokio::test]
async fn a_bundle_ships_by_its_items() {
    let shop = shop(0).await;
    let order = shop.wanted(2, true).await;
    let bundle = order["lines"].as_array().unwrap().iter().find(|l| l["__typename"] == "BundleOrderLine").unwrap();
    let refused = shop.change(&make(&order, &[(bundle["id"].as_i64().unwrap(), 1)], READY)).await;
    assert_ne!(refused["userErrors"], json!([]));
    let id = ok(&shop.change(&make(&order, &pickable(&order), READY)).await);
    ok(&shop.change(&format!("completeShipment(id: {id}, input: {{}})")).await);
    assert_eq!(shop.order(order["number"].as_i64().unwrap()).await["status"], "SHIPPED");
    let shown = shop.centra.shipments();
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].lines.len(), pickable(&order).len());
}

#[test]
fn shipments_are_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let catalogue = Arc::new(Catalogue::open(7, &Source::Generated { orders: 20 }).unwrap());
    let open = || {
        let mischief = Mischief::new(7, Profile::None, "centra");
        Centra::open(7, "w", Arc::clone(&catalogue), mischief, Options::default(), Some(folder.path())).unwrap()
    };
    let before = {
        let centra = open();
        centra.listen().unwrap();
        centra.step(&mut None).unwrap();
        let (number, line) = {
            let state = centra.0.read();
            let order = state.order(0).0;
            let line = order.lines.iter().find(|l| l.kind == crate::data::LineKind::Product).unwrap().id;
            (order.number, line)
        };
        let input = json!({"order": {"number": number}, "lines": [{"orderLine": {"id": line}, "quantity": 1}],
                           "isGoodToGo": true, "isPaid": true, "allocateDemand": true, "externalId": "a"});
        let scene = shipments::Scene {
            queue: "selvedge",
            now: 1_000,
            mischief: &centra.0.mischief,
            capture_refusals: 0,
            refund_refusals: 0,
        };
        let mut state = centra.0.write();
        shipments::run(&mut state, "createShipment", &Value::Null, &input, &scene).unwrap();
        shipments::run(
            &mut state,
            "completeShipment",
            &json!(80_001),
            &json!({"shippedAt": "1970-01-01T00:00:01+00:00"}),
            &scene,
        )
        .unwrap();
        state.shelf_shipments()
    };
    assert_eq!(before.len(), 1);
    assert_eq!(open().shipments(), before);
}
