//! Orders against the stand-in, which was written from the vendor's papers a second time and shares no line with us, while
//! somebody does to them what people do.

use std::sync::Arc;

use selvedge_connector::{
    Connection, Connector, Cursor, Encoded, Fault, FindingLevel, OpenContext, Priority, Raw, Secret, Secrets, Standing,
    clock::ManualClock,
};
use selvedge_model::{
    ConnectionName, ExternalId, Interval, Order, Problem, RecordKey, Shipment, Sku,
    compare::compare,
    gate::Values,
    records::{Address, OrderLine, OrderStatus, ShipmentStatus},
};
use selvedge_sim::{
    linnworks::{Deed, Linnworks, Options},
    mischief::{Mischief, Profile},
    shelf::Item,
    wire::{Server, serve},
};
use serde_json::{Value, json};

use super::{order, words};

pub(in super::super) struct Stand {
    pub connection: Connection,
    pub account: Linnworks,
    server: Server,
    clock: Arc<ManualClock>,
}

pub(in super::super) fn item(sku: &str, units: i64) -> Item {
    Item { sku: sku.into(), title: sku.into(), stock: [("Default".to_owned(), units)].into(), ..Item::default() }
}

/// Two items and a composite of them.
pub(in super::super) fn shelf() -> Vec<Item> {
    let set = Item { parts: vec![("TEE-1".into(), 2), ("CAP".into(), 1)], ..item("SET", 0) };
    vec![item("TEE-1", 10), item("CAP", 3), set]
}

pub(in super::super) fn options() -> Options {
    Options { services: vec!["Tracked 48".into()], ..Options::default() }
}

pub(in super::super) async fn stand(options: Options, settings: Value, items: Vec<Item>) -> Stand {
    let mischief = Mischief::new(7, Profile::None, "linnworks");
    let clock = Arc::new(ManualClock::at(mischief.now()));
    let account = Linnworks::open(7, "test", items, mischief, options, None).unwrap();
    let server = serve(account.router()).await.unwrap();
    let connection = open(&account, &server, &clock, &settings);
    Stand { connection, account, server, clock }
}

fn open(account: &Linnworks, server: &Server, clock: &Arc<ManualClock>, settings: &Value) -> Connection {
    let access = account.access();
    let mut all = json!({ "login_url": server.url(), "location": "Default", "weight_bands": [500, 2_000] });
    for (name, value) in settings.as_object().unwrap() {
        all[name] = value.clone();
    }
    let mut secrets = Secrets::default();
    secrets.set("application_id", Secret::new(&*access.application_id));
    secrets.set("application_secret", Secret::new(&*access.application_secret));
    secrets.set("token", Secret::new(&*access.token));
    let name = ConnectionName::new("wms");
    let context = OpenContext {
        name: &name,
        settings: &all,
        secrets: &secrets,
        clock: clock.clone(),
        read_only: false,
        reach: selvedge_connector::Reach::ANYWHERE,
    };
    super::super::Linnworks.open(&context).unwrap()
}

pub(in super::super) fn ever() -> Interval {
    Interval { from: "2020-01-01T00:00:00Z".parse().unwrap(), to: "2040-01-01T00:00:00Z".parse().unwrap() }
}

impl Stand {
    /// Another connection to the same account.
    fn again(&self) -> Connection {
        open(&self.account, &self.server, &self.clock, &json!({}))
    }

    /// An order of these items is entered.
    pub(in super::super) async fn order(&self, number: &str, lines: &[(&str, u32)]) {
        let line = |(sku, quantity): &(&str, u32)| OrderLine {
            id: ExternalId::new(*sku),
            sku: Sku::new(*sku),
            quantity: *quantity,
            ..order().lines[0].clone()
        };
        let order = Order { number: RecordKey::new(number), lines: lines.iter().map(line).collect(), ..order() };
        self.enter(&order, &words()).await.unwrap();
    }

    async fn enter(&self, order: &Order, values: &Values) -> Result<ExternalId, Fault> {
        let sink = self.connection.order_sink.as_ref().unwrap();
        let Ok(Encoded::Put(request)) = sink.encode(order, values, Standing::default()) else { panic!() };
        Ok(sink.put(&request).await?.id.unwrap())
    }

    async fn read(&self, reference: &str) -> Raw {
        let source = self.connection.order_source.as_ref().unwrap();
        source.fetch(&[reference.into()], Priority::Orders).await.unwrap().pop().unwrap()
    }

    /// What is wrong with an order as it stands: the rules, or the fields that differ.
    async fn wrong(&self, order: &Order, values: &Values) -> Vec<String> {
        let raw = self.read(order.number.as_str()).await;
        let decoded = self.connection.order_source.as_ref().unwrap().decode(&raw, values);
        let Some(there) = decoded.record else { return decoded.problems.into_iter().map(|problem| problem.rule).collect() };
        let carries = self.connection.order_sink.as_ref().unwrap().carries();
        compare(&order.clone().into(), &there.into(), carries).into_iter().map(|difference| difference.path).collect()
    }

    async fn encode(&self, order: &Order, values: &Values) -> Result<Encoded, Vec<Problem>> {
        let raw = self.read(order.number.as_str()).await;
        let own = Standing { own: Some(&raw), needed: None };
        self.connection.order_sink.as_ref().unwrap().encode(order, values, own)
    }

    pub(super) async fn shipments(&self) -> Vec<Shipment> {
        let source = self.connection.shipment_source.as_ref().unwrap();
        let raws = source.list(&ever(), None).await.unwrap().raws;
        raws.iter().map(|raw| source.decode(raw, &Values::default()).record.unwrap()).collect()
    }

    fn meddle(&self, deed: Deed) {
        self.account.meddle_order("1042", deed).unwrap();
    }
}

pub(super) fn rule(fault: Fault) -> String {
    match fault {
        Fault::Refused { problems, .. } => problems[0].rule.clone(),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn a_paid_order_that_is_sent_again_is_there_already() {
    let stand = stand(options(), json!({}), shelf()).await;
    assert_eq!(stand.enter(&order(), &words()).await.unwrap(), "1042".into());
    assert_eq!(stand.wrong(&order(), &words()).await, Vec::<String>::new());
    let again = stand.enter(&order(), &words()).await;
    assert!(matches!(&again, Err(Fault::Exists { id: Some(id), .. }) if id.as_str() == "1042"), "{again:?}");
    assert_eq!(stand.account.orders().len(), 1);
    assert_eq!(stand.encode(&order(), &words()).await, Ok(Encoded::Nothing));
    assert_eq!(stand.account.violations(), Vec::<String>::new());
}

/// The parcel would go to the old address.
#[tokio::test]
async fn an_address_or_a_service_that_changed_after_the_hand_over_is_a_persons_business() {
    let stand = stand(options(), json!({}), shelf()).await;
    stand.enter(&order(), &words()).await.unwrap();
    stand.meddle(Deed::Split);
    let address = order().shipping.unwrap();
    let same = Address { first_name: Some(" ÅSA ".into()), postcode: Some("11122".into()), ..address.clone() };
    assert_eq!(stand.encode(&Order { shipping: Some(same), ..order() }, &words()).await, Ok(Encoded::Nothing));
    for (moved, named) in [
        (
            Address { last_name: Some("Berg".into()), ..address.clone() },
            "name is now \"Åsa Berg\", and Linnworks has \"Åsa Öberg\"",
        ),
        (
            Address { line1: Some("Gatan 2".into()), ..address.clone() },
            "line 1 is now \"Gatan 2\", and Linnworks has \"Gatan 1\"",
        ),
        (Address { line2: Some("2 tr".into()), ..address.clone() }, "line 2 is now \"2 tr\", and Linnworks has \"\""),
        (Address { postcode: Some("111 23".into()), ..address.clone() }, "post code is now"),
        (Address { city: Some("Malmö".into()), ..address.clone() }, "city is now"),
    ] {
        let problems = stand.encode(&Order { shipping: Some(moved), ..order() }, &words()).await.unwrap_err();
        assert_eq!(problems[0].rule, "pick.changed");
        assert!(problems[0].message.contains(named), "{}", problems[0].message);
    }
    let mut values = words();
    values.set("shipping_service", "market=1,method=Standard,country=SE,weight=500-2000", "Tracked 24");
    let problems = stand.encode(&order(), &values).await.unwrap_err();
    assert!(problems[0].message.contains("service is now \"Tracked 24\", and Linnworks has \"Tracked 48\""), "{problems:?}");
}

/// One line number twice: Linnworks saves nothing, answers 200 and says nothing.
#[tokio::test]
async fn an_order_that_is_not_saved_is_not_said_to_exist() {
    let stand = stand(options(), json!({}), shelf()).await;
    let sink = stand.connection.order_sink.as_ref().unwrap();
    let mut twins = order();
    twins.lines.push(twins.lines[0].clone());
    assert_eq!(sink.encode(&twins, &words(), Standing::default()).unwrap_err()[0].rule, "pick.line_twice");
    let Ok(Encoded::Put(mut request)) = sink.encode(&order(), &words(), Standing::default()) else { panic!() };
    let line = request.body["orders"][0]["OrderItems"][0].clone();
    request.body["orders"][0]["OrderItems"].as_array_mut().unwrap().push(line);
    assert_eq!(rule(sink.put(&request).await.unwrap_err()), "pick.not_saved");
    assert_eq!(stand.account.orders(), []);
}

#[tokio::test]
async fn an_order_that_nobody_picks_is_a_persons_business() {
    for (deed, found) in [
        (Deed::Park, "pick.parked"),
        (Deed::Lock, "pick.parked"),
        (Deed::LoseCurrency, "pick.currency"),
        (Deed::Unlink, "pick.unlinked"),
    ] {
        let stand = stand(options(), json!({}), shelf()).await;
        stand.enter(&order(), &words()).await.unwrap();
        stand.meddle(deed);
        assert_eq!(stand.wrong(&order(), &words()).await, [found], "{deed:?}");
        // It can be cancelled all the same, and then nothing is left to complain of.
        let off = Order { status: OrderStatus::Cancelled, ..order() };
        let Ok(Encoded::Put(request)) = stand.encode(&off, &words()).await else { panic!("{deed:?}") };
        stand.connection.order_sink.as_ref().unwrap().put(&request).await.unwrap();
        assert_eq!(stand.wrong(&off, &words()).await.iter().filter(|rule| *rule != "pick.unlinked").count(), 0, "{deed:?}");
    }
}

#[tokio::test]
async fn a_fulfilment_centre_parks_what_comes() {
    let centre = || Options { centres: vec!["Default".into()], ..options() };
    let asks = stand(centre(), json!({}), shelf()).await;
    asks.enter(&order(), &words()).await.unwrap();
    assert_eq!(asks.wrong(&order(), &words()).await, ["pick.parked"]);
    let accepts = stand(centre(), json!({ "parked": "accept" }), shelf()).await;
    accepts.enter(&order(), &words()).await.unwrap();
    assert_eq!(accepts.wrong(&order(), &words()).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_split_order_is_one_of_ours_and_ships_part_by_part() {
    let stand = stand(options(), json!({}), shelf()).await;
    stand.enter(&order(), &words()).await.unwrap();
    stand.meddle(Deed::Split);
    assert_eq!(stand.account.orders().len(), 2);
    assert_eq!(stand.wrong(&order(), &words()).await, Vec::<String>::new());
    stand.meddle(Deed::Process);
    let shipments = stand.shipments().await;
    assert_eq!(shipments.iter().map(Shipment::units).collect::<Vec<_>>(), [2, 1]);
    assert_ne!(shipments[0].key, shipments[1].key);
}

/// In v1 the children of a composite stand below its line, in v2 beside it.
#[tokio::test]
async fn the_children_of_a_composite_are_not_counted() {
    let stand = stand(options(), json!({}), shelf()).await;
    let mut values = words();
    values.set("item", "sku=TEE", "SET");
    stand.enter(&order(), &values).await.unwrap();
    assert_eq!(stand.wrong(&order(), &values).await, Vec::<String>::new());
    stand.meddle(Deed::Process);
    let shipments = stand.shipments().await;
    assert_eq!(shipments[0].lines.iter().map(|line| (line.sku.as_str(), line.quantity)).collect::<Vec<_>>(), [("SET", 3)]);
}

#[tokio::test]
async fn what_has_left_in_part_is_not_cancelled() {
    let stand = stand(options(), json!({}), shelf()).await;
    stand.enter(&order(), &words()).await.unwrap();
    stand.meddle(Deed::ShipPart);
    let off = Order { status: OrderStatus::Cancelled, ..order() };
    assert_eq!(stand.encode(&off, &words()).await.unwrap_err()[0].rule, "pick.gone");
    assert_eq!(stand.shipments().await, [], "an open order is no shipment yet");
    stand.meddle(Deed::Process);
    assert_eq!(stand.shipments().await.iter().map(Shipment::units).collect::<Vec<_>>(), [3]);
}

#[tokio::test]
async fn an_order_that_is_cancelled_after_it_left_takes_its_shipment_back() {
    let stand = stand(options(), json!({}), shelf()).await;
    stand.enter(&order(), &words()).await.unwrap();
    stand.meddle(Deed::Process);
    assert_eq!(stand.shipments().await[0].status, ShipmentStatus::Shipped);
    stand.meddle(Deed::Cancel);
    assert_eq!(stand.shipments().await[0].status, ShipmentStatus::Cancelled);
    assert_eq!(stand.wrong(&order(), &words()).await, ["status"]);
}

/// A lost parcel is sent once more: another order, the same reference, and nothing new of what was ordered.
#[tokio::test]
async fn what_is_sent_once_more_is_not_what_was_ordered() {
    let stand = stand(options(), json!({}), shelf()).await;
    stand.enter(&order(), &words()).await.unwrap();
    stand.meddle(Deed::Process);
    stand.meddle(Deed::Resend);
    assert_eq!(stand.wrong(&order(), &words()).await, Vec::<String>::new());
    stand.meddle(Deed::Process);
    assert_eq!(stand.account.shipments().len(), 2);
    let shipments = stand.shipments().await;
    assert_eq!(shipments.iter().map(Shipment::units).collect::<Vec<_>>(), [3]);
    let source = stand.connection.shipment_source.as_ref().unwrap();
    assert_eq!(source.enumerate(&ever(), None).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn an_order_whose_parcels_are_refused_holds_itself_and_no_other() {
    let stand = stand(options(), json!({}), shelf()).await;
    for number in ["1041", "1042", "1043"] {
        stand.enter(&Order { number: number.into(), ..order() }, &words()).await.unwrap();
        stand.account.meddle_order(number, Deed::Process).unwrap();
    }
    stand.meddle(Deed::BreakParcels);
    let source = stand.connection.shipment_source.as_ref().unwrap();
    let page = source.list(&ever(), None).await.unwrap();
    assert_eq!((page.raws.len(), page.next), (3, None));
    let of = |raws: &[Raw]| -> (Vec<String>, Vec<Problem>) {
        let decoded: Vec<_> = raws.iter().map(|raw| source.decode(raw, &Values::default())).collect();
        let orders = decoded.iter().filter_map(|one| Some(one.record.as_ref()?.order.to_string())).collect();
        (orders, decoded.into_iter().flat_map(|one| one.problems).collect())
    };
    let (mut orders, problems) = of(&page.raws);
    orders.sort();
    assert_eq!((orders, problems.len()), (vec!["1041".to_owned(), "1043".to_owned()], 1));
    assert!(problems[0].rule == "shipment.unread" && problems[0].message.contains("order 1042"), "{problems:?}");
    // It is older than what is listed, so the sweep asks for it again and brings it once it can be read.
    let listed = source.enumerate(&ever(), None).await.unwrap().items;
    let older = |raw: &&Raw| listed.iter().any(|item| item.id == raw.id && item.version > raw.version);
    let held = page.raws.iter().find(older).unwrap().clone();
    assert_eq!(page.raws.iter().filter(older).count(), 1);
    assert_eq!(source.fetch(std::slice::from_ref(&held.id), Priority::Sweeps).await.unwrap(), std::slice::from_ref(&held));
    stand.meddle(Deed::MendParcels);
    let mended = source.fetch(std::slice::from_ref(&held.id), Priority::Sweeps).await.unwrap();
    assert_eq!(of(&mended), (vec!["1042".to_owned()], vec![]));
    assert!(mended[0].version > held.version);
}

#[tokio::test]
async fn a_session_that_ends_between_two_pages_is_opened_anew_once() {
    let stand = stand(options(), json!({ "parcels": false }), shelf()).await;
    for number in 0..130 {
        let order = Order { number: number.to_string().as_str().into(), ..order() };
        stand.enter(&order, &words()).await.unwrap();
    }
    let source = stand.connection.order_source.as_ref().unwrap();
    let first = source.enumerate(&ever(), None).await.unwrap();
    let logins = stand.account.logins();
    stand.account.end_sessions();
    let rest = source.enumerate(&ever(), first.next.as_ref()).await.unwrap();
    assert_eq!((first.items.len(), rest.items.len(), rest.next), (100, 30, None));
    assert_eq!(stand.account.logins(), logins + 1);
    // A token that the account has forgotten is refused: the flow then begins at the first page.
    stand.account.end_searches();
    assert!(matches!(source.enumerate(&ever(), first.next.as_ref()).await, Err(Fault::Refused { .. })));
    let strange = source.enumerate(&ever(), Some(&Cursor("nonsense".into()))).await;
    assert!(matches!(strange, Err(Fault::Refused { .. })));
}

#[tokio::test]
async fn a_throttled_call_says_how_long_to_wait() {
    let stand = stand(Options { limits: true, ..options() }, json!({}), shelf()).await;
    let list = async |connection: &Connection| connection.lists.as_ref().unwrap().list("shipping_service", None).await;
    for _ in 0..150 {
        list(&stand.connection).await.unwrap();
    }
    let fault = list(&stand.again()).await.unwrap_err();
    assert!(matches!(&fault, Fault::Throttled { wait: Some(wait), .. } if wait.as_secs() == 5), "{fault:?}");
}

#[tokio::test]
async fn check_names_the_location_and_what_the_user_may_not_do() {
    let good = stand(options(), json!({}), shelf()).await;
    let findings = good.connection.probe.as_ref().unwrap().check().await;
    assert!(findings.iter().all(|finding| finding.level == FindingLevel::Good) && findings.len() >= 5, "{findings:?}");
    assert!(findings.iter().any(|finding| finding.message.contains("00000000-0000-0000-0000-000000000000")), "{findings:?}");
    let denied = Options { denied: vec!["Stock/GetStockItemTypeInfo".into()], ..options() };
    let denied = stand(denied, json!({ "location": "Nowhere" }), shelf()).await;
    let findings = denied.connection.probe.as_ref().unwrap().check().await;
    let of = |level: FindingLevel| findings.iter().find(|finding| finding.level == level).map(|f| f.message.clone()).unwrap();
    assert!(of(FindingLevel::Bad).contains("\"Nowhere\"; there are Default, Overflow"), "{findings:?}");
    assert!(of(FindingLevel::Warning).contains("Inventory.Stock.StockReadNode"), "{findings:?}");
}
