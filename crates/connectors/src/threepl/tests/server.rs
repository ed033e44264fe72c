//! The ports against the stand-in, over SFTP.

use std::sync::Arc;

use selvedge_connector::{
    Arrival, Clock, Connection, Encoded, Fault, FindingLevel, Priority, Raw, Standing, Wanted, clock::ManualClock,
};
use selvedge_model::{
    ExternalId, Interval, Kind, Order,
    compare::compare,
    gate::Values,
    records::{Address, OrderStatus},
};
use selvedge_sftp::{Fate, Operation, Served, Server};
use selvedge_sim::{
    mischief::{Mischief, Profile},
    shelf::Item,
    threepl::{Format, Options, ThreePl as Simulated},
};
use serde_json::{Value, json};

use super::{clock, open, order, values};

/// Everything that files can tell.
pub(super) const ALL: [Kind; 3] = [Kind::Shipment, Kind::Return, Kind::CreditNote];

pub(super) struct Depot {
    pub warehouse: Simulated,
    _served: Served,
    pub connection: Connection,
    pub clock: Arc<ManualClock>,
}

pub(super) async fn depot(options: Options, change: Value) -> Depot {
    let item = |sku: &str| Item { sku: sku.into(), stock: [("WH01".to_owned(), 50)].into(), ..Item::default() };
    let items = vec![item("TEE-BLK-M"), item("00123")];
    let warehouse = Simulated::open(7, "test", items, Mischief::new(7, Profile::None, "threepl"), options, None).unwrap();
    let (served, access) = warehouse.serve(0).await.unwrap();
    let clock = clock();
    let connection = connect(&access.host_key, access.port, &access.password, change, &clock);
    Depot { warehouse, _served: served, connection, clock }
}

pub(super) fn connect(host_key: &str, port: u16, password: &str, change: Value, clock: &Arc<ManualClock>) -> Connection {
    let mut settings = json!({ "host_key": host_key, "port": port });
    for (name, value) in change.as_object().unwrap() {
        settings[name] = value.clone();
    }
    open(settings, password, Arc::clone(clock)).unwrap_or_else(|problems| panic!("{problems:?}"))
}

impl Depot {
    /// The next step for an order, as the flow takes it.
    async fn encoded(&self, order: &Order) -> (Option<Raw>, Result<Encoded, Vec<String>>) {
        let sink = self.connection.order_sink.clone().unwrap();
        let own = match sink.find(order).await.unwrap() {
            Some(found) => self.fetch(&found.id).await.unwrap(),
            None => None,
        };
        let there = Standing { own: own.as_ref(), needed: None };
        let encoded = sink.encode(order, &values(), there);
        (own, encoded.map_err(|problems| problems.into_iter().map(|problem| problem.rule).collect()))
    }

    async fn fetch(&self, id: &ExternalId) -> Result<Option<Raw>, Fault> {
        let source = self.connection.order_source.clone().unwrap();
        Ok(source.fetch(std::slice::from_ref(id), Priority::Orders).await?.pop())
    }

    /// Puts until nothing is left to put; how many it took.
    async fn deliver(&self, order: &Order) -> usize {
        let mut puts = 0;
        loop {
            match self.encoded(order).await.1.unwrap() {
                Encoded::Nothing => return puts,
                Encoded::Put(request) => {
                    self.connection.order_sink.clone().unwrap().put(&request).await.unwrap();
                    puts += 1;
                }
            }
        }
    }

    /// What the partner put down, taken and acknowledged.
    pub async fn news(&self) -> Vec<Raw> {
        self.news_of(&ALL).await
    }

    /// The same, where flows take only these kinds.
    pub async fn news_of(&self, wanted: &[Kind]) -> Vec<Raw> {
        let feed = self.connection.feed.clone().unwrap();
        let page = feed.next(wanted).await.unwrap();
        feed.acknowledge(&page.receipts).await.unwrap();
        page.arrivals
            .into_iter()
            .map(|arrival| match arrival {
                Arrival::Document(raw) => raw,
                Arrival::Notice { .. } => panic!("files are documents"),
            })
            .collect()
    }

    pub fn names(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.warehouse.root().join(folder))
            .map(|files| files.map(|file| file.unwrap().file_name().to_string_lossy().into_owned()).collect())
            .unwrap_or_default();
        names.sort();
        names
    }
}

pub(super) fn all_time() -> Interval {
    Interval { from: "2020-01-01T00:00:00Z".parse().unwrap(), to: "2040-01-01T00:00:00Z".parse().unwrap() }
}

#[tokio::test]
async fn an_order_is_handed_over_in_two_steps_read_back_and_shipped() {
    for (format, change) in [(Format::Csv, json!({})), (Format::X12, x12())] {
        let depot = depot(Options { format, ..Options::default() }, change).await;
        let order = order("1042");
        let Ok(Encoded::Put(request)) = depot.encoded(&order).await.1 else { panic!() };
        assert!(request.unfinished);
        let sink = depot.connection.order_sink.clone().unwrap();
        let id = sink.put(&request).await.unwrap().id.unwrap();
        assert!(depot.names("in").is_empty(), "nothing is in the partner's folder before it is whole");
        let Ok(Encoded::Put(request)) = depot.encoded(&order).await.1 else { panic!() };
        sink.put(&request).await.unwrap();
        assert_eq!(depot.names("in"), [id.as_str()]);
        // Once more, as after a lost answer: it was renamed already.
        sink.put(&request).await.unwrap();
        assert_eq!(depot.deliver(&order).await, 0);

        while !depot.warehouse.is_done() {
            depot.warehouse.step().unwrap();
            depot.news().await;
        }
        let raw = depot.fetch(&id).await.unwrap().unwrap();
        let there = depot.connection.order_source.clone().unwrap().decode(&raw, &values()).record.unwrap();
        assert_eq!(compare(&order.clone().into(), &there.into(), sink.carries()), []);
        assert_eq!(depot.warehouse.violations(), Vec::<String>::new());

        let shipments = depot.connection.shipment_source.clone().unwrap();
        let ids: Vec<ExternalId> =
            shipments.enumerate(&all_time(), None).await.unwrap().items.into_iter().map(|item| item.id).collect();
        let mut units = std::collections::BTreeMap::new();
        for id in &ids {
            let raw = shipments.fetch(std::slice::from_ref(id), Priority::Sweeps).await.unwrap().pop().unwrap();
            let shipment = shipments.decode(&raw, &values()).record.unwrap();
            assert_eq!(shipment.order.as_str(), "1042");
            units.insert(shipment.key.to_string(), shipment.units());
        }
        assert_eq!(units.values().sum::<u64>(), 3, "{units:?}");
    }
}

/// As the stand-in for X12 has it.
/// The file that the warehouse has would send the parcel to the old address.
#[tokio::test]
async fn an_address_that_changed_after_the_hand_over_is_a_persons_business() {
    let bare = json!({ "csv": { "delimiter": ";", "quotes": "none" } });
    for (format, change) in [(Format::Csv, json!({})), (Format::Csv, bare), (Format::X12, x12())] {
        let depot = depot(Options { format, ..Options::default() }, change).await;
        let order = order("1042");
        depot.deliver(&order).await;
        assert_eq!(depot.encoded(&order).await.1, Ok(Encoded::Nothing));
        let address = order.shipping.clone().unwrap();
        let raw = depot.encoded(&order).await.0.unwrap();
        let encoded = |order: &Order, values: &Values| {
            let there = Standing { own: Some(&raw), needed: None };
            depot.connection.order_sink.clone().unwrap().encode(order, values, there)
        };
        for (moved, named) in [
            (Address { last_name: Some("Berg".into()), ..address.clone() }, "name is now \"Åsa Berg\""),
            (Address { line1: Some("Gatan 2".into()), ..address.clone() }, "address line 1 is now \"Gatan 2\""),
            (Address { line2: Some("2 tr".into()), ..address.clone() }, "address line 2 is now \"2 tr\""),
            (Address { postcode: Some("01235".into()), ..address.clone() }, "post code is now \"01235\""),
            (Address { city: Some("Lund".into()), ..address.clone() }, "city is now \"Lund\""),
        ] {
            let problems = encoded(&Order { shipping: Some(moved), ..order.clone() }, &values()).unwrap_err();
            assert_eq!(problems[0].rule, "pick.changed");
            assert!(problems[0].message.contains(named), "{}", problems[0].message);
        }
        let mut express = values();
        express.set("shipping_service", "market=1,method=Standard,country=SE,weight=any", "EXP");
        let problems = encoded(&order, &express).unwrap_err();
        assert!(
            problems[0].message.contains("service is now \"EXP\"") && problems[0].message.contains("has \"STD\""),
            "{problems:?}"
        );
    }
}

fn x12() -> Value {
    json!({ "format": "x12", "x12": { "sender": "ZZ:SHOP01", "receiver": "ZZ:WH01" } })
}

#[tokio::test]
async fn what_the_warehouse_refuses_is_said_and_sent_anew_when_mended() {
    for (format, change) in [(Format::Csv, json!({})), (Format::X12, x12())] {
        let options = Options { format, unknown: vec!["00123".into()], ..Options::default() };
        let depot = depot(options, change).await;
        let order = order("1042");
        assert_eq!(depot.deliver(&order).await, 2);
        depot.warehouse.step().unwrap();
        depot.news().await;
        let sink = depot.connection.order_sink.clone().unwrap();
        let id = sink.find(&order).await.unwrap().unwrap().id;
        let raw = depot.fetch(&id).await.unwrap().unwrap();
        let decoded = depot.connection.order_source.clone().unwrap().decode(&raw, &values());
        assert_eq!(decoded.problems[0].rule, "pick.refused");
        assert!(matches!(depot.encoded(&order).await.1, Ok(Encoded::Put(request)) if request.update.is_none()));
        let mended = Order { lines: vec![order.lines[0].clone()], ..order.clone() };
        assert_eq!(depot.deliver(&mended).await, 2);
        assert_ne!(sink.find(&order).await.unwrap().unwrap().id, id, "under a new number");
        depot.warehouse.step().unwrap();
        assert_eq!(depot.warehouse.violations(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_missing_acknowledgement_is_waited_for_then_told_and_nothing_is_sent_again() {
    let silent = Options { acknowledges: false, ..Options::default() };
    let depot = depot(silent, json!({ "acknowledgement_minutes": 60 })).await;
    let order = order("1042");
    let sink = depot.connection.order_sink.clone().unwrap();
    for _ in 0..2 {
        let Ok(Encoded::Put(request)) = depot.encoded(&order).await.1 else { panic!() };
        sink.put(&request).await.unwrap();
    }
    let id = sink.find(&order).await.unwrap().unwrap().id;
    // The server's clock dates the file.
    let sent = depot.warehouse.root().join("sent/1042").join(id.as_str());
    let written = jiff::Timestamp::try_from(std::fs::metadata(sent).unwrap().modified().unwrap()).unwrap();
    depot.clock.set(written + jiff::SignedDuration::from_mins(1));
    assert!(matches!(depot.fetch(&id).await, Err(Fault::Pending { .. })));
    depot.clock.set(written + jiff::SignedDuration::from_hours(2));
    let Err(Fault::Refused { problems, .. }) = depot.fetch(&id).await else { panic!() };
    assert_eq!(problems[0].rule, "pick.unacknowledged");
    assert_eq!(depot.names("in").len(), 1);
}

#[tokio::test]
async fn a_cancellation_goes_after_its_order_once() {
    let depot = depot(Options::default(), json!({})).await;
    let order = order("1042");
    depot.deliver(&order).await;
    let off = Order { status: OrderStatus::Cancelled, ..order.clone() };
    assert_eq!(depot.deliver(&off).await, 2);
    assert_eq!(depot.deliver(&off).await, 0);
    assert_eq!(depot.encoded(&order).await.1.unwrap_err(), ["pick.changed"], "it is not placed again by itself");
    depot.warehouse.step().unwrap();
    assert!(depot.warehouse.orders()[0].cancelled);
    assert_eq!(depot.warehouse.violations(), Vec::<String>::new());
    let more = Order { lines: vec![order.lines[0].clone()], ..order };
    assert_eq!(depot.encoded(&more).await.1.unwrap_err(), ["pick.changed"]);
}

#[tokio::test]
async fn files_are_taken_once_whatever_they_are_called() {
    let depot = depot(Options::default(), json!({})).await;
    let row = "shipment_ref,order_ref,sku,quantity_shipped,tracking_number\r\nS1,1042,TEE-BLK-M,1,RB123456785GB\r\n";
    depot.warehouse.put("shp_1.csv", row.as_bytes()).unwrap();
    let feed = depot.connection.feed.clone().unwrap();
    let (first, second) = (feed.next(&ALL).await.unwrap(), feed.next(&ALL).await.unwrap());
    assert_eq!((first.arrivals.len(), &first.receipts), (1, &second.receipts), "until it is acknowledged it comes again");
    feed.acknowledge(&first.receipts).await.unwrap();
    feed.acknowledge(&first.receipts).await.unwrap();
    depot.warehouse.put("shp_2.csv", row.as_bytes()).unwrap();
    assert!(depot.news().await.is_empty(), "the same content under another name");
    depot.warehouse.put("shp_1.csv", row.replace("RB123456785GB", "RB123456786GB").as_bytes()).unwrap();
    assert_eq!(depot.news().await.len(), 1, "another content under the same name");
    depot.warehouse.put("shp_3.csv.tmp", b"half").unwrap();
    depot.warehouse.put("readme.txt", b"hello").unwrap();
    assert!(depot.news().await.is_empty());
    assert_eq!(depot.names("out"), ["inv_WH01.csv", "readme.txt", "shp_3.csv.tmp"]);
    assert_eq!(depot.names("archive").len(), 3);
    let findings = depot.connection.probe.clone().unwrap().check().await;
    assert!(findings.iter().any(|f| f.level == FindingLevel::Warning && f.message.contains("readme.txt")), "{findings:?}");
    assert!(findings.iter().all(|f| f.level != FindingLevel::Bad), "{findings:?}");
}

/// The partner puts another file down under the same name after the first was read and before it is put away.
#[tokio::test]
async fn a_file_that_is_replaced_after_it_was_read_is_read_as_well() {
    let depot = depot(Options::default(), json!({})).await;
    let row = "shipment_ref,order_ref,sku,quantity_shipped,tracking_number\r\nS1,1042,TEE-BLK-M,1,RB123456785GB\r\n";
    depot.warehouse.put("shp_1.csv", row.as_bytes()).unwrap();
    let feed = depot.connection.feed.clone().unwrap();
    let first = feed.next(&ALL).await.unwrap();
    let more = format!("{row}S2,1043,TEE-BLK-M,1,RB123456786GB\r\n");
    depot.warehouse.put("shp_1.csv", more.as_bytes()).unwrap();
    feed.acknowledge(&first.receipts).await.unwrap();
    assert!(depot.names("out").contains(&"shp_1.csv".to_owned()), "what was not read is not put away");
    assert_eq!(depot.news().await.len(), 2);
    assert!(!depot.names("out").contains(&"shp_1.csv".to_owned()));
    // A receipt from before an update does not tell how the file looked.
    depot.warehouse.put("shp_2.csv", row.replace("S1", "S3").as_bytes()).unwrap();
    let mut old: Value = serde_json::from_str(&feed.next(&ALL).await.unwrap().receipts[0]).unwrap();
    old.as_object_mut().unwrap().remove("looked");
    feed.acknowledge(&[old.to_string()]).await.unwrap();
    assert!(!depot.names("out").contains(&"shp_2.csv".to_owned()));
}

#[tokio::test]
async fn a_file_that_grows_is_left_alone_and_one_without_an_end_is_told() {
    let change = json!({ "settle_seconds": 10, "format": "x12", "x12": { "sender": "ZZ:SHOP01", "receiver": "ZZ:WH01", "production": false } });
    let depot = depot(Options { format: Format::X12, ..Options::default() }, change).await;
    let whole = include_str!("../samples/x12_945_partial.edi");
    depot.warehouse.put("shp_1.x12", &whole.as_bytes()[..300]).unwrap();
    assert!(depot.news().await.is_empty());
    depot.clock.advance(std::time::Duration::from_secs(11));
    assert!(depot.news().await.is_empty(), "it has settled, and it has no end");
    std::fs::remove_file(depot.warehouse.root().join("out/shp_1.x12")).unwrap();
    depot.warehouse.put("shp_1.x12", whole.as_bytes()).unwrap();
    assert!(depot.news().await.is_empty(), "it has changed just now");
    depot.clock.advance(std::time::Duration::from_secs(11));
    assert_eq!(depot.news().await.len(), 1);
    assert_eq!(depot.names("in").len(), 1, "its 997");
    depot.warehouse.put("shp_2.x12", &whole.as_bytes()[..300]).unwrap();
    depot.news().await;
    depot.clock.advance(std::time::Duration::from_secs(700));
    let raw = depot.news().await.pop().unwrap();
    let problems = depot.connection.shipment_source.clone().unwrap().decode(&raw, &values()).problems;
    assert_eq!(problems[0].rule, "file.refused");
}

#[tokio::test]
async fn stock_comes_from_the_newest_snapshot_and_an_empty_one_empties_nothing() {
    let depot = depot(Options::default(), json!({})).await;
    let stock = depot.connection.stock_source.clone().unwrap();
    let read = || stock.levels(Wanted::Everything, &[], None, Priority::Stock);
    assert_eq!(read().await.unwrap().levels.iter().map(|level| level.free()).collect::<Vec<_>>(), [50, 50]);
    let head = "generated_at,warehouse,sku,on_hand,allocated\r\n";
    depot
        .warehouse
        .put("inv_WH01_20260204101000.csv", format!("{head}2026-02-04T10:10:00Z,WH01,TEE-BLK-M,9,2\r\n").as_bytes())
        .unwrap();
    let levels = read().await.unwrap().levels;
    assert_eq!((levels.len(), levels[0].free()), (1, 7));
    assert_eq!(depot.names("out"), ["inv_WH01_20260204101000.csv"], "the older one is put away");
    let items = [ExternalId::new("OTHER")];
    assert!(stock.levels(Wanted::Items(&items), &[], None, Priority::Stock).await.unwrap().levels.is_empty());
    depot.warehouse.put("inv_WH01_20260204101500.csv", head.as_bytes()).unwrap();
    assert!(matches!(read().await, Err(Fault::Refused { .. })));
}

#[tokio::test]
async fn receipts_are_answered_put_away_and_kept() {
    let whole = [
        (Format::Csv, json!({}), include_str!("../samples/csv_receipt.csv"), include_str!("../samples/csv_return_receipt.csv")),
        (
            Format::X12,
            json!({ "format": "x12", "x12": { "sender": "ZZ:SHOP01", "receiver": "ZZ:WH01", "production": false } }),
            include_str!("../samples/x12_944_receipt_short_damaged.edi"),
            include_str!("../samples/x12_180_return.edi"),
        ),
    ];
    for (format, change, goods, returned) in whole {
        let depot = depot(Options { format, ..Options::default() }, change).await;
        depot.warehouse.put("rcv_1", goods.as_bytes()).unwrap();
        depot.warehouse.put("ret_2", returned.as_bytes()).unwrap();
        // No flow takes returns.
        let raws = depot.news_of(&[Kind::Shipment]).await;
        let source = depot.connection.shipment_source.clone().unwrap();
        let rules: Vec<String> =
            raws.iter().flat_map(|raw| source.decode(raw, &values()).problems).map(|problem| problem.rule).collect();
        assert!(rules.len() >= 2 && rules.iter().all(|rule| rule == "file.kept"), "{rules:?}");
        assert!(!depot.names("out").iter().any(|name| name.starts_with('r')));
        assert_eq!(depot.names("archive").len(), 2);
        assert_eq!(depot.names("in").len(), if format == Format::X12 { 2 } else { 0 }, "a 997 each");
        let listed = source.enumerate(&all_time(), None).await.unwrap().items;
        assert!(!listed.is_empty() && listed.iter().all(|item| item.id.as_str().starts_with("rcv_1")), "{listed:?}");
        let later = depot.connection.return_source.clone().unwrap().enumerate(&all_time(), None).await.unwrap().items;
        assert!(!later.is_empty() && later.iter().all(|item| item.id.as_str().starts_with("ret_2")), "for a flow that is added");
        let ids: Vec<ExternalId> = raws.iter().map(|raw| raw.id.clone()).collect();
        assert_eq!(source.fetch(&ids, Priority::Sweeps).await.unwrap().len(), raws.len());
    }
}

#[tokio::test]
async fn a_snapshot_in_x12_is_answered_once_however_often_it_is_read() {
    let change = json!({ "format": "x12", "x12": { "sender": "ZZ:SHOP01", "receiver": "ZZ:WH01" } });
    let depot = depot(Options { format: Format::X12, ..Options::default() }, change).await;
    let stock = depot.connection.stock_source.clone().unwrap();
    for _ in 0..3 {
        let page = stock.levels(Wanted::Everything, &[], None, Priority::Stock).await.unwrap();
        assert!(page.levels.iter().all(|level| level.as_of <= depot.clock.now()), "whatever their clock says");
    }
    assert_eq!(depot.names("in").len(), 1);
    depot.warehouse.step().unwrap();
    assert_eq!(depot.warehouse.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn lost_answers_lose_and_double_nothing() {
    let folder = tempfile();
    for name in ["in", "out"] {
        std::fs::create_dir_all(folder.join(name)).unwrap();
    }
    // Each operation in turn is the one whose answer is lost.
    for at in 0..40_usize {
        let seen = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let gate = move |_: &Operation| {
            let now = seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            match (now == at, at % 2) {
                (false, _) => Fate::Do,
                (true, 0) => Fate::BreakAfter,
                (true, _) => Fate::BreakBefore,
            }
        };
        let root = folder.join(format!("run{at}"));
        for name in ["in", "out"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        let server = Server { gate: Arc::new(gate), ..Server::new(&root, "brand", "secret") };
        let served = server.serve(0, None).await.unwrap();
        let connection = connect(&served.host_key, served.address.port(), "secret", json!({}), &clock());
        let (sink, source, order) =
            (connection.order_sink.clone().unwrap(), connection.order_source.clone().unwrap(), order("1042"));
        let mut bound: Option<ExternalId> = None;
        for _ in 0..12 {
            // What the flow does: look by our key if nothing is bound, read what stands, put the next step once.
            if bound.is_none() {
                let Ok(found) = sink.find(&order).await else { continue };
                bound = found.map(|found| found.id);
            }
            let own = match &bound {
                None => None,
                Some(id) => match source.fetch(std::slice::from_ref(id), Priority::Orders).await {
                    Ok(mut raws) => raws.pop(),
                    Err(_) => continue,
                },
            };
            match sink.encode(&order, &values(), Standing { own: own.as_ref(), needed: None }) {
                Ok(Encoded::Nothing) => break,
                Ok(Encoded::Put(request)) => {
                    if let Ok(receipt) = sink.put(&request).await {
                        bound = receipt.id.or(bound);
                    }
                }
                Err(problems) => panic!("{problems:?}"),
            }
        }
        let there = std::fs::read_dir(root.join("in")).unwrap().count();
        assert_eq!(there, 1, "operation {at}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

pub(super) fn tempfile() -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("threepl-{}-{}", std::process::id(), rand::random::<u32>()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[tokio::test]
async fn check_says_what_is_wrong_with_the_way_there() {
    let depot = depot(Options::default(), json!({ "folders": { "orders": "nowhere" } })).await;
    let bad = |findings: Vec<selvedge_connector::Finding>| -> Vec<Option<String>> {
        findings.into_iter().filter(|f| f.level == FindingLevel::Bad).map(|f| f.setting).collect()
    };
    assert_eq!(bad(depot.connection.probe.clone().unwrap().check().await), [Some("folders.orders".to_owned())]);
    assert!(depot.names("sent").is_empty() && !depot.warehouse.root().join("sent").exists(), "check writes nothing");
    let served = Server::new(depot.warehouse.root(), "brand", "secret").serve(0, None).await.unwrap();
    for (key, password, setting) in [("SHA256:other", "secret", "host_key"), (served.host_key.as_str(), "wrong", "user")] {
        let connection = connect(key, served.address.port(), password, json!({}), &clock());
        assert_eq!(bad(connection.probe.unwrap().check().await), [Some(setting.to_owned())]);
    }
}

#[test]
fn settings_that_cannot_be_right_are_refused_together() {
    let problems = open(
        json!({ "host_key": "none", "format": "x12", "folders": { "sent": "in" }, "names": { "stock": "shp" },
                "statuses": { "A": "gone" }, "order_columns": ["sku", "colour"], "csv": { "delimiter": "x" } }),
        "secret",
        clock(),
    )
    .err()
    .unwrap();
    let paths: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
    for path in ["host_key", "x12.sender", "x12.receiver", "folders", "names.stock", "statuses", "order_columns", "csv.delimiter"]
    {
        assert!(paths.contains(&path), "{path}: {paths:?}");
    }
}
