//! Returns and refunds: as an integration makes them, and as the shop's own people do.

use rust_decimal::Decimal;

use super::*;
use crate::centra::returns;
use crate::centra::stock::Opening;
use crate::data::LineKind;

fn options() -> Options {
    let stock = StockOptions { opening: Opening::Each(1_000), ..StockOptions::default() };
    Options { stock, returns: true, plan: Plan::Enterprise, ..Options::default() }
}

async fn shop(orders: u32) -> Shop {
    let shop = Shop::open(Source::Generated { orders: orders.into() }, Profile::None, options()).await;
    shop.centra.listen().unwrap();
    shop.centra.place(0, orders).unwrap();
    shop
}

/// Sends everything of an order that has not left, in `parts` shipments.
fn send(centra: &Centra, order: u32, parts: usize) {
    let scene = shipments::Scene {
        queue: "selvedge",
        now: centra.0.mischief.now().as_millisecond(),
        mischief: &centra.0.mischief,
        capture_refusals: 0,
        refund_refusals: 0,
    };
    let mut state = centra.0.write();
    let made = state.order(order).0;
    let lines: Vec<Value> = made
        .lines
        .iter()
        .filter(|line| matches!(line.kind, LineKind::Product | LineKind::BundleItem(_)) && line.ordered > line.cancelled)
        .map(|line| json!({"orderLine": {"id": line.id}, "quantity": line.ordered - line.cancelled}))
        .collect();
    for lines in lines.chunks(lines.len().div_ceil(parts).max(1)) {
        let input = json!({"order": {"number": made.number}, "lines": lines, "isGoodToGo": true, "capture": true, "allocateDemand": true});
        shipments::run(&mut state, "createShipment", &Value::Null, &input, &scene).unwrap();
        let id = state.shipments.of(order).last().unwrap().id;
        shipments::run(&mut state, "completeShipment", &json!(id), &json!({}), &scene).unwrap();
    }
}

fn decimal(value: &Value) -> Decimal {
    value.to_string().parse().unwrap()
}

const RETURN: &str = "{ __typename id returnStatus totalQuantity returnedToStock externalId grandTotal { value currency { code } } \
    returnWarehouse { id } lines { id quantity lineValue { value } shipmentLine { id returnedQuantity } orderLine { id returnedQuantity } } \
    totals { lineValues { value } shipping { value } discounts { value } returnCost { value } } \
    refundPaymentHistory { id entryType status externalReference value { value } return { id } } }";

impl Shop {
    async fn call(&self, call: &str) -> Value {
        let more = if call.starts_with("refundReturn") { "paymentHistoryEntries { id entryType status }" } else { "" };
        let query = format!("mutation {{ it: {call} {{ return {RETURN} {more} userErrors {{ message path }} }} }}");
        self.data(&query).await["it"].clone()
    }

    async fn ok(&self, call: &str) -> Value {
        let payload = self.call(call).await;
        assert_eq!(payload["userErrors"], json!([]), "{call}");
        payload["return"].clone()
    }

    async fn refused(&self, call: &str) -> String {
        let payload = self.call(call).await;
        payload["userErrors"][0]["message"].as_str().unwrap_or_else(|| panic!("{call} was taken: {payload}")).to_owned()
    }

    async fn shipments_of(&self, order: u32) -> Vec<Value> {
        let number = self.centra.0.read().number(order);
        let fields = "id grandTotal { value } discountsApplied { value { value } } lines { id quantity lineValue { value } }";
        let query = format!("{{ orders(where: {{number: {number}}}) {{ shipments {{ {fields} }} }} }}");
        self.data(&query).await["orders"][0]["shipments"].as_array().unwrap().clone()
    }

    fn find(&self, wanted: impl Fn(&crate::data::Order) -> bool) -> u32 {
        let state = self.centra.0.read();
        (0..state.placed()).find(|order| wanted(&state.order(*order).0)).unwrap()
    }
}

fn create(shipment: &Value, lines: &[(&Value, i64)], more: &str) -> String {
    let lines: Vec<String> =
        lines.iter().map(|(line, units)| format!("{{shipmentLine: {{id: {}}}, quantity: {units}}}", line["id"])).collect();
    format!("createReturn(input: {{shipment: {{id: {}}}, lines: [{}], {more}}})", shipment["id"], lines.join(", "))
}

const BACK: &str = "returnStockActionPolicy: {releaseItemsBackToWarehouse: true}";

#[tokio::test]
async fn parts_of_a_sale_sum_to_it_with_its_reductions_and_what_sending_cost() {
    let shop = shop(300).await;
    let order = shop.find(|o| {
        o.shipping.quoted > 0
            && !o.discounts.is_empty()
            && o.lines.len() > 1
            && o.lines.iter().any(|l| l.ordered > 1)
            && o.lines.iter().all(|l| l.kind == LineKind::Product)
    });
    send(&shop.centra, order, 2);
    let mut given = Decimal::ZERO;
    for (at, shipment) in shop.shipments_of(order).await.iter().enumerate() {
        for line in shipment["lines"].as_array().unwrap() {
            for unit in 0..line["quantity"].as_i64().unwrap() {
                // Sending is given back once, with the first.
                let sending = if at == 0 && unit == 0 && line == &shipment["lines"][0] {
                    ", shippingCost: {fromShipment: true}"
                } else {
                    ""
                };
                let made = shop
                    .ok(&create(shipment, &[(line, 1)], &format!("{BACK}, voucherValue: {{fromShipment: true}}{sending}")))
                    .await;
                given += decimal(&made["grandTotal"]["value"]);
                assert_eq!(made["returnStatus"], "PENDING");
            }
            assert!(shop.refused(&create(shipment, &[(line, 1)], BACK)).await.contains("left on the shipment"));
        }
        let more = format!("{BACK}, shippingCost: {{value: {{value: 1, currencyIsoCode: \"SEK\"}}}}");
        assert!(!shop.refused(&create(shipment, &[(&shipment["lines"][0], 1)], &more)).await.is_empty());
    }
    let sold = shop.centra.0.read().order(order).0;
    assert_eq!(given, Decimal::from(sold.totals().grand - sold.handling.quoted) / Decimal::from(1_000));
}

#[tokio::test]
async fn items_of_a_bundle_share_what_it_was_sold_for() {
    let shop = shop(300).await;
    let order = shop.find(|o| o.lines.iter().any(|l| l.kind == LineKind::Bundle));
    send(&shop.centra, order, 1);
    let sold = shop.centra.0.read().order(order).0;
    let place = sold.lines.iter().position(|line| line.kind == LineKind::Bundle).unwrap();
    let items: Vec<_> = sold.lines.iter().filter(|line| line.kind == LineKind::BundleItem(place)).collect();
    let sum: i64 = items.iter().map(|item| returns::worth_of(&sold, item).quoted).sum();
    assert_eq!(sum, sold.line_value(&sold.lines[place]).quoted);
    let tax: i64 = items.iter().map(|item| returns::worth_of(&sold, item).tax).sum();
    assert_eq!(tax, sold.line_value(&sold.lines[place]).tax);
}

#[tokio::test]
async fn goods_go_where_the_policy_says_when_the_return_is_made_and_back_when_it_is_deleted() {
    let shop = shop(200).await;
    let order = shop.find(|o| o.lines.len() == 1 && o.lines[0].kind == LineKind::Product && o.lines[0].ordered >= 3);
    send(&shop.centra, order, 1);
    let (item, market) = {
        let sold = shop.centra.0.read().base(order);
        (sold.lines[0].item.unwrap(), u32::try_from(sold.market).unwrap())
    };
    let other = if market == 0 { 1 } else { 0 };
    let figures = || {
        let state = shop.centra.0.read();
        (state.ledger.cell(item, market).physical, state.ledger.cell(item, other).physical, state.ledger.broken())
    };
    let (here, there, _) = figures();
    let shipment = shop.shipments_of(order).await[0].clone();
    let line = &shipment["lines"][0];
    let restock = shop.ok(&create(&shipment, &[(line, 1)], BACK)).await;
    assert_eq!(figures(), (here + 1, there, None));
    let warehouse = shop.centra.0.read().catalogue.markets()[other as usize].id;
    let sent = format!("returnStockActionPolicy: {{sendItemsToDifferentWarehouse: {{id: {warehouse}}}}}");
    let moved = shop.ok(&create(&shipment, &[(line, 1)], &sent)).await;
    assert_eq!(figures(), (here + 1, there + 1, None));
    let lost = shop.ok(&create(&shipment, &[(line, 1)], "returnStockActionPolicy: {removeItemsFromStock: true}")).await;
    assert_eq!(figures(), (here + 1, there + 1, None));
    assert_eq!((&restock["returnedToStock"], &lost["returnedToStock"]), (&json!(true), &json!(false)));
    assert_eq!((&moved["returnWarehouse"]["id"], &lost["returnWarehouse"]), (&json!(warehouse), &Value::Null));
    assert_eq!(lost["lines"][0]["shipmentLine"]["returnedQuantity"], 3);
    assert!(!shop.refused(&create(&shipment, &[(line, 1)], "returnStockActionPolicy: {}")).await.is_empty());
    for one in [&restock, &moved, &lost] {
        let gone = shop.call(&format!("deleteReturn(id: {})", one["id"])).await;
        assert_eq!((&gone["userErrors"], &gone["return"]), (&json!([]), &Value::Null));
    }
    assert_eq!(figures(), (here, there, None));
    let listed = shop.data("{ returns { id } }").await;
    assert_eq!(listed["returns"], json!([]));
}

#[tokio::test]
async fn money_moves_by_refunding_alone_and_once() {
    let shop = shop(200).await;
    let order = shop
        .find(|o| o.payment_method.2 == "adyen" && o.lines[0].kind == LineKind::Product && o.payments[0].entry_type == "AUTH");
    send(&shop.centra, order, 1);
    let shipment = shop.shipments_of(order).await[0].clone();
    let line = &shipment["lines"][0];
    let made = shop.ok(&create(&shipment, &[(line, 1)], &format!("{BACK}, externalId: \"k.1\", comment: \"Too small\""))).await;
    let id = &made["id"];
    assert_eq!(made["refundPaymentHistory"], json!([]));
    shop.ok(&format!("completeReturn(id: {id})")).await;
    assert!(shop.refused(&format!("completeReturn(id: {id})")).await.contains("already"));
    shop.ok(&format!("uncompleteReturn(id: {id})")).await;
    assert!(!shop.refused(&format!("uncompleteReturn(id: {id})")).await.is_empty());
    let done = shop.ok(&format!("completeReturn(id: {id}, input: {{sendEmail: false}})")).await;
    assert_eq!((&done["returnStatus"], &done["refundPaymentHistory"]), (&json!("COMPLETED"), &json!([])));
    let paid = shop.ok(&format!("refundReturn(id: {id})")).await;
    let history = paid["refundPaymentHistory"].as_array().unwrap();
    assert_eq!(history.len(), 1);
    assert_eq!(decimal(&history[0]["value"]["value"]), decimal(&made["grandTotal"]["value"]));
    assert_eq!((&history[0]["entryType"], &history[0]["return"]["id"]), (&json!("REFUND"), id));
    assert!(shop.refused(&format!("refundReturn(id: {id})")).await.contains("already"));
    assert!(!shop.refused(&format!("deleteReturn(id: {id})")).await.is_empty());
    let found = shop.data(&format!("{{ returns(where: {{externalId: \"k.1\", returnStatus: COMPLETED}}) {RETURN} }}")).await;
    assert_eq!((&found["returns"][0]["id"], found["returns"].as_array().unwrap().len()), (id, 1));
    assert_eq!(found["returns"][0]["refundPaymentHistory"].as_array().unwrap().len(), 1, "nothing was paid twice");
}

#[tokio::test]
async fn a_provider_that_answers_later_is_asked_once_and_answers_under_the_same_reference() {
    let shop = shop(300).await;
    let order = shop.find(|o| {
        o.payment_method.2 == "klarna_payments" && o.lines[0].kind == LineKind::Product && o.payments[0].entry_type == "AUTH"
    });
    send(&shop.centra, order, 1);
    let shipment = shop.shipments_of(order).await[0].clone();
    let made = shop.ok(&create(&shipment, &[(&shipment["lines"][0], 1)], BACK)).await;
    let asked = shop.ok(&format!("refundReturn(id: {})", made["id"])).await;
    assert_eq!(asked["refundPaymentHistory"][0]["status"], "PENDING");
    assert!(shop.refused(&format!("refundReturn(id: {})", made["id"])).await.contains("under way"));
    assert_eq!(
        shop.centra.progress().returns_pending,
        u64::try_from(shop.centra.0.people().pending(&shop.centra.0.read())).unwrap() + 1
    );
    let later = shop.centra.0.mischief.now().as_millisecond() + 10_000;
    returns::settle(&mut shop.centra.0.write(), &shop.centra.0.mischief, later, false).unwrap();
    let found = shop.data(&format!("{{ returns(where: {{id: {}}}) {RETURN} }}", made["id"])).await;
    let history = found["returns"][0]["refundPaymentHistory"].as_array().unwrap();
    let told: Vec<&str> = history.iter().map(|entry| entry["entryType"].as_str().unwrap()).collect();
    assert_eq!(told, ["REFUND_REQUEST", "REFUND"]);
    assert_eq!(history[0]["externalReference"], history[1]["externalReference"]);
}

#[tokio::test]
async fn returns_and_entries_are_news() {
    let shop = shop(100).await;
    let listen = "mutation { setEventListeners(input: [{objectType: Return}, {objectType: PaymentHistoryEntry}]) { userErrors { message } } }";
    shop.data(listen).await;
    let order = shop.find(|o| o.payment_method.2 == "adyen" && o.lines[0].kind == LineKind::Product);
    send(&shop.centra, order, 1);
    let shipment = shop.shipments_of(order).await[0].clone();
    let kept = shop.ok(&create(&shipment, &[(&shipment["lines"][0], 1)], BACK)).await;
    shop.ok(&format!("completeReturn(id: {})", kept["id"])).await;
    shop.ok(&format!("refundReturn(id: {})", kept["id"])).await;
    let news = "{ events(where: {objectType: [Return, PaymentHistoryEntry]}) { objectType changeType objectReference object { __typename \
                ... on DirectToConsumerReturn { returnId: id returnStatus } ... on PaymentHistoryEntry { entryId: id entryType return { id } } } } }";
    let told = shop.data(news).await;
    let words: Vec<String> = told["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| format!("{} {}", event["objectType"].as_str().unwrap(), event["changeType"].as_str().unwrap()))
        .collect();
    let wanted =
        ["Return CREATED", "Return UPDATED", "Return COMPLETED", "PaymentHistoryEntry CREATED", "Return DEPENDENT_DATA_CHANGED"];
    assert!(wanted.iter().all(|word| words.iter().any(|told| told == word)), "{words:?}");
    assert!(told["events"].as_array().unwrap().iter().all(|event| event["object"].is_object()));
    // The state now: completed at every event of it.
    assert_eq!(told["events"][0]["object"]["returnStatus"], "COMPLETED");
}

/// Lets the shop's people do everything, with a clock that jumps.
fn let_them(centra: &Centra, mut now: i64, steps: usize) -> i64 {
    for _ in 0..steps {
        now += 500;
        let mut state = centra.0.write();
        returns::live(&mut state, &mut centra.0.people(), &centra.0.mischief, now).unwrap();
        returns::settle(&mut state, &centra.0.mischief, now, true).unwrap();
    }
    now
}

fn check_the_end(centra: &Centra) {
    let state = centra.0.read();
    assert_eq!(state.ledger.broken(), None);
    let (mut kinds, mut by_order) = (BTreeMap::<String, u32>::new(), BTreeMap::<u32, i64>::new());
    for paid in state.returns.entries() {
        let goods = if paid.returned.is_some() { "return" } else { "no return" };
        *kinds.entry(format!("{} {} {goods}", paid.kind, paid.method)).or_default() += 1;
        if paid.status == "SUCCESS" {
            *by_order.entry(paid.order).or_default() += paid.amount;
        }
    }
    for (order, given) in by_order {
        // What was cancelled after its money had been taken was paid, too.
        let was = state.base(order).totals().grand;
        assert!(given <= was, "{given} of {was} was paid back for {}", state.number(order));
    }
    let (mut deleted, mut several) = (0, 0);
    for one in state.returns.ever() {
        deleted += u32::from(one.deleted);
        several += u32::from(state.returns.of(one.made.order).count() > 1);
        let given: i64 = state.returns.paid_for(one).filter(|paid| paid.status == "SUCCESS").map(|paid| paid.amount).sum();
        let owed = if one.deleted { 0 } else { one.made.grand(state.base(one.made.order).tax_included) };
        assert_eq!(given, owed, "return {}", one.id);
        assert!(one.deleted || one.completed);
    }
    assert!(deleted > 0 && several > 0);
    for kind in [
        "REFUND adyen return",
        "REFUND adyen no return",
        "REFUND store_credit return",
        "REFUND_GIFT_CARD gift_card return",
        "REFUND_REQUEST klarna_payments return",
        "REFUND klarna_payments return",
        "REFUND_FAILED adyen return",
        "REFUND_FAILED klarna_payments return",
    ] {
        assert!(kinds.contains_key(kind), "no {kind} among {kinds:?}");
    }
    assert!(state.bought() > 0, "nobody exchanged anything");
}

#[tokio::test]
async fn the_shops_people_take_back_and_pay_back_and_come_to_an_end() {
    let shop = shop(1_500).await;
    let start = shop.centra.0.mischief.now().as_millisecond();
    // Units are cancelled before anything leaves.
    let now = let_them(&shop.centra, start, 20);
    for order in 0..1_500 {
        send(&shop.centra, order, 1 + usize::from(order % 3 == 0));
    }
    assert!(shop.centra.progress().returns_pending > 0);
    let_them(&shop.centra, now, 80);
    assert_eq!(shop.centra.progress().returns_pending, 0);
    check_the_end(&shop.centra);
    let (returns, refunds) = (shop.centra.returns_csv(), shop.centra.refunds_csv());
    let sum = |csv: &str, column: usize, wanted: fn(&[&str]) -> bool| -> Decimal {
        let rows = csv.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>());
        rows.filter(|row| wanted(row)).map(|row| row[column].parse::<Decimal>().unwrap()).sum()
    };
    let credited = sum(&returns, 8, |row| row[2] != "DELETED");
    let paid = sum(&refunds, 5, |row| row[6] == "SUCCESS" && !row[1].is_empty());
    assert!(credited > Decimal::ZERO);
    assert_eq!(credited, paid, "what was credited was paid back");
}

#[test]
fn a_world_that_is_killed_goes_on_with_its_returns() {
    let folder = tempfile::tempdir().unwrap();
    let catalogue = Arc::new(Catalogue::open(7, &Source::Generated { orders: 1_500 }).unwrap());
    let open = || {
        let mischief = Mischief::new(7, Profile::None, "centra");
        Centra::open(7, "w", Arc::clone(&catalogue), mischief, options(), Some(folder.path())).unwrap()
    };
    let centra = open();
    centra.listen().unwrap();
    centra.place(0, 1_500).unwrap();
    let mut now = let_them(&centra, centra.0.mischief.now().as_millisecond(), 3);
    (0..1_500).for_each(|order| send(&centra, order, 1 + usize::from(order % 3 == 0)));
    drop(centra);
    for steps in [4, 1, 7, 3, 2, 100] {
        let centra = open();
        now = let_them(&centra, now, steps);
    }
    let centra = open();
    let_them(&centra, now, 1);
    assert_eq!(centra.progress().returns_pending, 0);
    check_the_end(&centra);
}

#[tokio::test]
async fn without_the_option_nobody_returns_anything() {
    let shop = Shop::open(Source::Generated { orders: 300 }, Profile::None, Options { returns: false, ..options() }).await;
    shop.centra.listen().unwrap();
    shop.centra.place(0, 300).unwrap();
    (0..300).for_each(|order| send(&shop.centra, order, 1));
    shop.step();
    let progress = shop.centra.progress();
    assert_eq!((progress.returns_made, progress.returns_pending), (0, 0));
    assert_eq!(shop.centra.returns_csv().lines().count(), 1);
}
