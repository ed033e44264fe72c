//! The ports against the simulated Centra, over real HTTP.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use rust_decimal::Decimal;
use selvedge_connector::{
    Arrival, Connection, Connector, Cursor, Encoded, Fault, FindingLevel, Needed, OpenContext, Priority, Raw, Secret, Secrets,
    Sink, Source, Standing, clock::ManualClock,
};
use selvedge_model::{
    AnyRecord, ConnectionName, ExternalId, Interval, Kind, Order, Problem, RecordKey, Return,
    compare::compare,
    gate::Values,
    records::{CreditReason, CreditStatus, Disposition, PaymentStatus, ReturnLine, ReturnStatus, Tender},
};
use selvedge_sim::{
    centra::{
        Centra as Simulated, Options,
        limits::Plan,
        stock::{Opening, StockOptions},
    },
    data::{Catalogue, Source as Data},
    mischief::{Mischief, Profile},
    wire,
};
use serde_json::{Value, json};

use super::{super::super::Centra, adds_up};

struct Shop {
    centra: Simulated,
    connection: Connection,
    clock: Arc<ManualClock>,
    url: String,
}

fn options() -> Options {
    let stock = StockOptions { opening: Opening::Each(2_000), ..StockOptions::default() };
    Options { plan: Plan::Enterprise, stock, ..Options::default() }
}

/// The stand-in lives by the wall clock.
#[allow(clippy::disallowed_methods, reason = "the stand-in dates what happens by the wall clock")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// A shop of which everything has left.
async fn shop(orders: u64, profile: Profile, options: Options, settings: Value) -> Shop {
    let catalogue = Arc::new(Catalogue::open(7, &Data::Generated { orders }).unwrap());
    let centra = Simulated::open(7, "test", catalogue, Mischief::new(7, profile, "centra"), options, None).unwrap();
    let url = Box::leak(Box::new(wire::serve(centra.router()).await.unwrap())).url();
    centra.place_all().unwrap();
    let (connection, clock) = connect(&centra, &url, settings);
    Shop { centra, connection, clock, url }
}

fn connect(centra: &Simulated, url: &str, settings: Value) -> (Connection, Arc<ManualClock>) {
    let mut all = json!({
        "base_url": url, "time_zone": "Europe/Stockholm", "returns": true, "store_credit_methods": ["store_credit"],
    });
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let mut secrets = Secrets::default();
    secrets.set("token", Secret::new(centra.token()));
    let name = ConnectionName::new("shop");
    // Ahead of what the stand-in's people do in fast motion.
    let clock = Arc::new(ManualClock::at(Timestamp::from_second(now().as_second() + 600).unwrap()));
    let context = OpenContext {
        name: &name,
        settings: &all,
        secrets: &secrets,
        clock: clock.clone(),
        read_only: false,
        reach: selvedge_connector::Reach::ANYWHERE,
    };
    (Centra.open(&context).unwrap_or_else(|problems| panic!("{problems:?}")), clock)
}

fn always() -> Interval {
    Interval { from: Timestamp::UNIX_EPOCH, to: Timestamp::from_second(now().as_second() + 3_600).unwrap() }
}

impl Shop {
    fn source(&self) -> &dyn Source<Return> {
        self.connection.return_source.as_deref().unwrap()
    }

    fn sink(&self) -> &dyn Sink<Return> {
        self.connection.return_sink.as_deref().unwrap()
    }

    /// Time passes: a second.
    fn later(&self) {
        self.clock.advance(Duration::from_secs(1));
    }

    async fn list(&self) -> Vec<Raw> {
        self.later();
        let (mut raws, mut page) = (Vec::new(), None::<Cursor>);
        loop {
            let read = self.source().list(&always(), page.as_ref()).await.unwrap();
            raws.extend(read.raws);
            match read.next {
                Some(next) => page = Some(next),
                None => return raws,
            }
        }
    }

    async fn enumerate(&self, interval: Interval) -> BTreeMap<String, Option<Timestamp>> {
        self.later();
        let (mut items, mut page) = (BTreeMap::new(), None::<Cursor>);
        loop {
            let read = self.source().enumerate(&interval, page.as_ref()).await.unwrap();
            items.extend(read.items.into_iter().map(|item| (item.id.to_string(), item.version)));
            match read.next {
                Some(next) => page = Some(next),
                None => return items,
            }
        }
    }

    async fn fetch(&self, id: &str) -> Option<Raw> {
        self.later();
        self.source().fetch(&[ExternalId::new(id)], Priority::Returns).await.unwrap().into_iter().next()
    }

    fn decode(&self, raw: &Raw) -> (Return, Vec<AnyRecord>) {
        let decoded = self.source().decode(raw, &Values::default());
        assert_eq!(decoded.problems, [], "{}", String::from_utf8_lossy(&raw.body));
        (decoded.record.unwrap(), decoded.also)
    }

    /// What the shop's staff do by hand.
    fn by_hand(&self, name: &str, id: &str) {
        self.centra.by_hand(name, Some(id.parse().unwrap()), &Value::Null).unwrap().unwrap();
    }

    /// A return that the shop's staff make of the first line of a shipment.
    fn announce(&self, shipment: &Raw, units: u32) -> String {
        let document = document(shipment);
        let input = json!({
            "shipment": { "id": document["id"] },
            "lines": [{ "shipmentLine": { "id": document["lines"][0]["id"] }, "quantity": units }],
            "returnStockActionPolicy": { "releaseItemsBackToWarehouse": true },
        });
        self.centra.by_hand("createReturn", None, &input).unwrap().unwrap().to_string()
    }

    /// A shipment of a line of at least so many units, which has no bundle in it.
    async fn shipment(&self, units: u64) -> Raw {
        self.shipment_of(|document| {
            document["lines"].as_array().is_some_and(|lines| lines.len() == 1 && lines[0]["quantity"].as_u64() >= Some(units))
        })
        .await
    }

    async fn shipment_of(&self, fits: impl Fn(&Value) -> bool) -> Raw {
        let source = self.connection.shipment_source.as_deref().unwrap();
        let mut page = None::<Cursor>;
        loop {
            let read = source.list(&always(), page.as_ref()).await.unwrap();
            for raw in read.raws {
                let document: Value = serde_json::from_slice(&raw.body).unwrap();
                let untouched = document["lines"].as_array().unwrap().iter().all(|line| line["returnedQuantity"] == 0);
                if untouched && fits(&document) {
                    return raw;
                }
            }
            page = Some(read.next.expect("no such shipment"));
        }
    }

    /// Does for a record what the engine does, until it stands, and over again where the answer was lost.
    async fn bring(&self, record: &Return, shipment: Option<&Raw>) -> Result<String, Vec<Problem>> {
        for _ in 0..200 {
            self.later();
            let Ok(found) = self.sink().find(record).await else { continue };
            let own = match &found {
                None => None,
                Some(found) => match self.source().fetch(std::slice::from_ref(&found.id), Priority::Returns).await {
                    Ok(raws) => raws.into_iter().next(),
                    Err(_) => continue,
                },
            };
            match self.sink().encode(record, &Values::default(), Standing { own: own.as_ref(), needed: shipment })? {
                Encoded::Nothing => return Ok(found.unwrap().id.to_string()),
                Encoded::Put(request) => {
                    // A world of mischief refuses what it would take at another time.
                    if let Err(Fault::Refused { problems, .. }) = self.sink().put(&request).await
                        && problems.iter().all(|problem| !problem.message.contains("try again"))
                    {
                        return Err(problems);
                    }
                }
            }
        }
        panic!("{} never stood", record.key);
    }
}

fn document(raw: &Raw) -> Value {
    serde_json::from_slice(&raw.body).unwrap()
}

/// What a warehouse received of the first line of a shipment.
fn receipt(shipment: &Raw, units: u32, reference: &str, disposition: Disposition) -> Return {
    let document = document(shipment);
    let order = RecordKey::new(document["order"]["number"].to_string());
    let line = &document["lines"][0]["orderLine"];
    Return {
        key: RecordKey::new(format!("{order}.wms.{reference}")),
        id: ExternalId::new(reference),
        counterpart: None,
        shipment: Some(RecordKey::new(format!("{order}.wms.s1"))),
        status: ReturnStatus::Received,
        created_at: now(),
        received_at: Some(now()),
        updated_at: now(),
        warehouse: None,
        disposition,
        reason: None,
        comment: None,
        lines: vec![ReturnLine {
            order: Some(order.clone()),
            order_line: Some(ExternalId::new(line["id"].to_string())),
            sku: line["productSize"]["SKU"].as_str().unwrap().into(),
            quantity: units,
            condition: None,
            reason: None,
        }],
        order: Some(order),
    }
}

fn rules(problems: &[Problem]) -> Vec<&str> {
    problems.iter().map(|problem| problem.rule.as_str()).collect()
}

fn decimals(csv: &str, column: usize, wanted: impl Fn(&[&str]) -> bool) -> BTreeMap<String, Decimal> {
    let mut sums = BTreeMap::new();
    for line in csv.lines().skip(1) {
        let row: Vec<&str> = line.split(',').collect();
        if wanted(&row) {
            *sums.entry(format!("{}.{}", row[0], row[1])).or_insert(Decimal::ZERO) += row[column].parse::<Decimal>().unwrap();
        }
    }
    sums
}

/// Everything that the shop's people did is read as they did it: goods, money, transactions, to the cent.
#[tokio::test]
async fn what_the_shop_gave_back_is_read_to_the_cent() {
    let shop = shop(1_200, Profile::None, Options { returns: true, ..options() }, json!({})).await;
    // Units are cancelled before anything leaves.
    shop.centra.fast_forward(Duration::from_secs(8)).unwrap();
    shop.centra.send_all().unwrap();
    shop.centra.fast_forward(Duration::from_secs(40)).unwrap();
    assert_eq!(shop.centra.progress().returns_pending, 0);
    let (returns, refunds) = (shop.centra.returns_csv(), shop.centra.refunds_csv());

    let raws = shop.list().await;
    let (mut goods, mut credited, mut paid, mut tenders) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    for raw in &raws {
        let (record, also) = shop.decode(raw);
        let order = record.order.clone().unwrap();
        let disposition = match record.disposition {
            Disposition::WriteOff => "write_off",
            _ => "restock",
        };
        for line in &record.lines {
            goods.insert(format!("{order},{},{},{},{disposition}", raw.id, line.sku, line.quantity));
        }
        assert_eq!(record.status, ReturnStatus::Received);
        for record in also {
            match record {
                AnyRecord::CreditNote(credit) => {
                    assert!(adds_up(&credit), "{credit:?}");
                    assert_eq!(credit.status, CreditStatus::Issued);
                    credited.insert(format!("{order}.{}", raw.id), credit.totals.gross.decimal());
                }
                AnyRecord::Refund(refund) if refund.status == PaymentStatus::Success => {
                    tenders.insert(refund.tender);
                    *paid.entry(format!("{order}.{}", raw.id)).or_insert(Decimal::ZERO) += refund.amount.decimal();
                }
                AnyRecord::Refund(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    let expected: BTreeSet<String> = returns
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect::<Vec<_>>())
        .filter(|row| row[2] != "DELETED" && row[4] != "0")
        .map(|row| format!("{},{},{},{},{}", row[0], row[1], row[3], row[4], row[5].replace("elsewhere", "restock")))
        .collect();
    assert!(expected.len() > 50, "{}", expected.len());
    assert_eq!(goods, expected);
    assert_eq!(credited, decimals(&returns, 8, |row| row[2] != "DELETED"));
    assert_eq!(paid, decimals(&refunds, 5, |row| row[6] == "SUCCESS" && !row[1].is_empty()));
    assert_eq!(tenders, [Tender::Payment, Tender::GiftCard, Tender::StoreCredit].into());

    // What belongs to no return is told by the orders.
    let orders = shop.connection.order_source.as_deref().unwrap() as &dyn Source<Order>;
    assert_eq!(orders.tells(), [Kind::CreditNote, Kind::Refund]);
    let (mut page, mut gestures, mut reasons) = (None::<Cursor>, BTreeMap::new(), BTreeMap::new());
    loop {
        let read = orders.list(&always(), page.as_ref()).await.unwrap();
        for raw in &read.raws {
            let decoded = orders.decode(raw, &Values::default());
            assert_eq!(decoded.problems, []);
            for record in decoded.also {
                if let AnyRecord::CreditNote(credit) = record {
                    assert!(adds_up(&credit), "{credit:?}");
                    *reasons.entry(credit.reason.word()).or_insert(0) += 1;
                    *gestures.entry(format!("{}.", raw.id)).or_insert(Decimal::ZERO) += credit.totals.gross.decimal();
                }
            }
        }
        match read.next {
            Some(next) => page = Some(next),
            None => break,
        }
    }
    assert_eq!(gestures, decimals(&refunds, 5, |row| row[6] == "SUCCESS" && row[1].is_empty()));
    assert!(
        reasons.contains_key(CreditReason::Goodwill.word()) && reasons.contains_key(CreditReason::Cancellation.word()),
        "{reasons:?}"
    );

    // A second reading has no news.
    assert_eq!(shop.list().await.len(), raws.len(), "only what was made in the interval is read again");
}

#[tokio::test]
async fn the_queue_brings_returns_and_what_was_paid_back_and_what_was_deleted() {
    let shop = shop(60, Profile::None, options(), json!({})).await;
    let feed = shop.connection.feed.as_deref().unwrap();
    assert_eq!(feed.kinds(), [Kind::Order, Kind::Return]);
    while feed.next(&Kind::ALL).await.unwrap().more {}
    shop.centra.send_all().unwrap();
    let read = async || {
        shop.later();
        let (mut arrivals, mut receipts) = (Vec::new(), 1);
        while receipts > 0 {
            let page = feed.next(&Kind::ALL).await.unwrap();
            feed.acknowledge(&page.receipts).await.unwrap();
            receipts = page.receipts.len();
            arrivals.extend(page.arrivals);
        }
        let returned = |arrival: &Arrival| match arrival {
            Arrival::Document(raw) => raw.kind == Kind::Return,
            Arrival::Notice { kind, .. } => *kind == Kind::Return,
        };
        arrivals.into_iter().filter(returned).collect::<Vec<_>>()
    };
    assert!(read().await.is_empty());
    let shipment = shop.shipment(2).await;
    let (kept, gone, unseen) =
        (shop.announce(&shipment, 1), shop.announce(&shipment, 1), shop.announce(&shop.shipment(1).await, 1));
    shop.by_hand("deleteReturn", &unseen);
    let news = read().await;
    let documents: Vec<&Raw> = news
        .iter()
        .map(|arrival| match arrival {
            Arrival::Document(raw) => raw,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(documents.len(), 2, "one that came and went unseen is no news");
    assert!(documents.iter().all(|raw| shop.decode(raw).0.status == ReturnStatus::Announced));
    assert!(documents.iter().all(|raw| raw.version.is_some()));

    shop.by_hand("refundReturn", &kept);
    shop.by_hand("deleteReturn", &gone);
    let news = read().await;
    let by_id = |id: &str| {
        news.iter()
            .find_map(|arrival| match arrival {
                Arrival::Document(raw) if raw.id.as_str() == id => Some(raw),
                _ => None,
            })
            .unwrap()
    };
    let (_, also) = shop.decode(by_id(&kept));
    assert!(also.iter().any(|record| matches!(record, AnyRecord::Refund(_))));
    let (buried, also) = shop.decode(by_id(&gone));
    assert_eq!((buried.status, buried.key.as_str().ends_with(&format!(".shop.{gone}"))), (ReturnStatus::Cancelled, true));
    assert!(
        matches!(also.as_slice(), [AnyRecord::CreditNote(credit)] if credit.status == CreditStatus::Void && credit.key == buried.key)
    );
    // Word of it by webhook leads to the same.
    let raw = shop.fetch(&gone).await.unwrap();
    assert_eq!(shop.decode(&raw).0.status, ReturnStatus::Cancelled);
    assert!(shop.fetch("999999").await.is_none(), "never seen");
}

#[tokio::test]
async fn a_sweep_sees_a_return_change_that_says_nothing_of_when() {
    let shop = shop(60, Profile::None, options(), json!({})).await;
    shop.centra.send_all().unwrap();
    let shipment = shop.shipment(1).await;
    let record = Return { status: ReturnStatus::Announced, ..receipt(&shipment, 1, "r1", Disposition::Restock) };
    let id = shop.bring(&record, Some(&shipment)).await.unwrap();
    // An interval in which nothing was made: what is not completed, and what is recent, is looked at all the same.
    let nothing = Interval { from: Timestamp::UNIX_EPOCH, to: Timestamp::from_second(1).unwrap() };
    let first = shop.enumerate(nothing).await;
    let captured = shop.fetch(&id).await.unwrap().version;
    assert!(first[&id] <= captured);
    assert_eq!(shop.enumerate(nothing).await, first, "it stands as it stood");
    shop.by_hand("completeReturn", &id);
    let completed = shop.enumerate(nothing).await;
    assert!(completed[&id] > captured);
    let captured = shop.fetch(&id).await.unwrap().version;
    shop.by_hand("refundReturn", &id);
    shop.centra.fast_forward(Duration::from_secs(5)).unwrap();
    assert!(shop.enumerate(nothing).await[&id] > captured);
    // After a restart everything is read once more, and then no more.
    let (connection, clock) = connect(&shop.centra, &shop.url, json!({}));
    clock.advance(Duration::from_secs(3_600));
    let again = Shop { connection, clock, centra: shop.centra.clone(), url: shop.url.clone() };
    assert!(again.enumerate(nothing).await[&id] > captured);
}

#[tokio::test]
async fn a_poll_notices_what_was_completed_or_deleted_without_a_word() {
    let shop = shop(60, Profile::None, options(), json!({ "events": false })).await;
    assert!(shop.connection.feed.is_none());
    shop.centra.send_all().unwrap();
    let shipment = shop.shipment(2).await;
    let one =
        |reference: &str| Return { status: ReturnStatus::Announced, ..receipt(&shipment, 1, reference, Disposition::Restock) };
    let kept = shop.bring(&one("r1"), Some(&shipment)).await.unwrap();
    let shipment = shop
        .connection
        .shipment_source
        .as_deref()
        .unwrap()
        .fetch(std::slice::from_ref(&shipment.id), Priority::Returns)
        .await
        .unwrap()
        .remove(0);
    let gone = shop.bring(&one("r2"), Some(&shipment)).await.unwrap();
    assert_eq!(shop.list().await.len(), 2);
    shop.by_hand("completeReturn", &kept);
    shop.by_hand("deleteReturn", &gone);
    let statuses: BTreeMap<String, ReturnStatus> =
        shop.list().await.iter().map(|raw| (raw.id.to_string(), shop.decode(raw).0.status)).collect();
    assert_eq!(statuses, [(kept, ReturnStatus::Received), (gone.clone(), ReturnStatus::Cancelled)].into());
    assert!(shop.list().await.iter().all(|raw| raw.id.as_str() != gone), "told once");
}

#[tokio::test]
async fn a_receipt_becomes_a_completed_return_and_reads_back_equal() {
    let settings = json!({ "quarantine_warehouse": 5, "return_shipping": true });
    let shop = shop(200, Profile::None, options(), settings).await;
    shop.centra.send_all().unwrap();
    for (at, disposition) in Disposition::ALL.into_iter().enumerate() {
        let shipment = shop.shipment(2).await;
        let record = receipt(&shipment, 2, &format!("r{at}"), disposition);
        let need = shop.sink().needs(&record).unwrap();
        assert!(matches!(need.what, Needed::Document { kind: Kind::Shipment, key } if Some(&key) == record.shipment.as_ref()));
        let id = shop.bring(&record, Some(&shipment)).await.unwrap();
        let raw = shop.fetch(&id).await.unwrap();
        let (there, also) = shop.decode(&raw);
        let differences = compare(&record.clone().into(), &there.clone().into(), shop.sink().carries());
        assert_eq!(differences, [], "{disposition:?}");
        assert_eq!(there.counterpart.as_ref(), Some(&record.key), "the warehouse's, by the external id");
        assert!(
            matches!(also.as_slice(), [AnyRecord::CreditNote(credit)] if credit.status == CreditStatus::Open),
            "no money moved"
        );
        // Once more: nothing to do, and nothing made twice.
        assert_eq!(shop.bring(&record, Some(&shipment)).await.unwrap(), id);
    }
    assert_eq!(shop.centra.progress().returns_made, 3);
    assert_eq!(shop.centra.refunds_csv().lines().count(), 1);
}

#[tokio::test]
async fn a_share_of_the_reductions_goes_along_unless_it_is_not_to() {
    for (wanted, settings) in [(true, json!({})), (false, json!({ "return_voucher": false }))] {
        let shop = shop(200, Profile::None, options(), settings).await;
        shop.centra.send_all().unwrap();
        let shipment = shop.shipment_of(|document| !document["discountsApplied"].as_array().unwrap().is_empty()).await;
        let record = receipt(&shipment, 1, "r1", Disposition::Restock);
        let id = shop.bring(&record, Some(&shipment)).await.unwrap();
        let (_, also) = shop.decode(&shop.fetch(&id).await.unwrap());
        let [AnyRecord::CreditNote(credit)] = also.as_slice() else { panic!("{also:?}") };
        assert_eq!(!credit.discounts.is_empty(), wanted);
        assert!(adds_up(credit));
    }
}

/// In a hostile world answers get lost after the effect; each return is made once all the same.
#[tokio::test]
async fn lost_answers_make_no_second_return() {
    let shop = shop(300, Profile::Hostile, options(), json!({})).await;
    shop.centra.send_all().unwrap();
    let mut shipments: Vec<Raw> = Vec::new();
    let source = shop.connection.shipment_source.as_deref().unwrap();
    let mut page = None::<Cursor>;
    while shipments.len() < 25 {
        let Ok(read) = source.list(&always(), page.as_ref()).await else { continue };
        shipments.extend(read.raws);
        page = read.next;
    }
    for (at, shipment) in shipments.iter().take(25).enumerate() {
        shop.bring(&receipt(shipment, 1, &format!("r{at}"), Disposition::Restock), Some(shipment)).await.unwrap();
    }
    assert_eq!(shop.centra.progress().returns_made, 25);
    assert!(shop.centra.returns_csv().lines().skip(1).all(|row| row.contains(",COMPLETED,")));
}

#[tokio::test]
async fn a_return_that_the_shop_announced_is_completed_and_not_made_again() {
    let shop = shop(200, Profile::None, options(), json!({})).await;
    shop.centra.send_all().unwrap();
    let shipment = shop.shipment(2).await;
    let announced = shop.announce(&shipment, 2);
    let plain = receipt(&shipment, 2, "r1", Disposition::Restock);
    let order = plain.order.clone().unwrap();
    let record = Return { counterpart: Some(RecordKey::new(format!("{order}.shop.{announced}"))), ..plain };
    assert!(shop.sink().needs(&record).is_none());
    let short = Return { lines: vec![ReturnLine { quantity: 1, ..record.lines[0].clone() }], ..record.clone() };
    let problems = shop.bring(&short, None).await.unwrap_err();
    assert_eq!(rules(&problems), ["return.differs"]);
    assert!(problems[0].message.contains("received 1 of") && problems[0].message.contains("has 2 of"), "{}", problems[0].message);
    assert_eq!(shop.bring(&record, None).await.unwrap(), announced);
    assert_eq!(shop.decode(&shop.fetch(&announced).await.unwrap()).0.status, ReturnStatus::Received);
    assert_eq!(shop.centra.progress().returns_made, 1);
    // One that is not there any more is not made anew in silence.
    shop.by_hand("deleteReturn", &announced);
    assert_eq!(rules(&shop.bring(&record, None).await.unwrap_err()), ["return.gone"]);
}

#[tokio::test]
async fn what_the_shop_cannot_take_is_said_with_its_reason() {
    let shop = shop(200, Profile::None, options(), json!({})).await;
    shop.centra.send_all().unwrap();
    let shipment = shop.shipment(2).await;
    let encode = |record: &Return, own: Option<&Raw>, needed: Option<&Raw>| {
        let encoded = shop.sink().encode(record, &Values::default(), Standing { own, needed });
        encoded.map_err(|problems| rules(&problems).into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    let record = receipt(&shipment, 1, "r1", Disposition::Restock);
    assert_eq!(
        encode(&receipt(&shipment, 1, "r1", Disposition::Quarantine), None, Some(&shipment)),
        Err(vec!["return.quarantine".into()])
    );
    assert_eq!(encode(&record, None, None), Err(vec!["return.no_shipment".into()]));
    let many = receipt(&shipment, 500, "r1", Disposition::Restock);
    assert_eq!(encode(&many, None, Some(&shipment)), Err(vec!["return.over".into()]));
    let id = shop.bring(&record, Some(&shipment)).await.unwrap();
    let raw = shop.fetch(&id).await.unwrap();
    let cancelled = Return { status: ReturnStatus::Cancelled, ..record.clone() };
    assert_eq!(encode(&cancelled, Some(&raw), None), Err(vec!["return.taken_back".into()]));
    assert_eq!(encode(&receipt(&shipment, 2, "r1", Disposition::Restock), Some(&raw), None), Err(vec!["return.differs".into()]));
    // What was read before a part of it came back is refused by the shop itself, in its words.
    let stale =
        receipt(&shipment, document(&shipment)["lines"][0]["quantity"].as_u64().unwrap() as u32, "r2", Disposition::Restock);
    let problems = shop.bring(&stale, Some(&shipment)).await.unwrap_err();
    assert_eq!(rules(&problems), ["return.refused"]);
    assert!(problems[0].message.contains("left on the shipment"));
    for body in ["", "{", "[]", r#"{"id":1}"#, r#"{"id":1,"lines":[{}]}"#] {
        let odd = Raw { body: body.as_bytes().to_vec().into(), ..raw.clone() };
        assert!(encode(&record, Some(&odd), None).is_err() && encode(&record, None, Some(&odd)).is_err(), "{body}");
    }
}

#[tokio::test]
async fn money_is_paid_back_on_receipt_only_where_that_is_wanted_and_once() {
    let settings = json!({ "refund_on_receipt": true });
    let shop = shop(200, Profile::None, Options { refund_refusals: 1_000, ..options() }, settings).await;
    shop.centra.send_all().unwrap();
    let shipment = shop.shipment(1).await;
    let record = receipt(&shipment, 1, "r1", Disposition::Restock);
    // The provider refuses at first: that is held, and released.
    let id = match shop.bring(&record, Some(&shipment)).await {
        Ok(id) => id,
        Err(problems) => {
            assert_eq!(rules(&problems), ["return.refused"]);
            shop.bring(&record, Some(&shipment)).await.unwrap()
        }
    };
    shop.centra.fast_forward(Duration::from_secs(5)).unwrap();
    assert_eq!(shop.bring(&record, Some(&shipment)).await.unwrap(), id);
    let sum = |column: usize, csv: &str, of: &str| decimals(csv, column, |row| row.contains(&of)).into_values().sum::<Decimal>();
    assert_eq!(sum(5, &shop.centra.refunds_csv(), "SUCCESS"), sum(8, &shop.centra.returns_csv(), "COMPLETED"));
}

#[tokio::test]
async fn a_token_without_returns_reads_orders_and_check_names_what_is_missing() {
    let withheld = || Options { withheld_permissions: vec!["Return:read".into()], ..options() };
    let shop = shop(20, Profile::None, withheld(), json!({ "returns": false })).await;
    assert!(shop.connection.return_source.is_none() && shop.connection.return_sink.is_none());
    let orders = shop.connection.order_source.as_deref().unwrap();
    assert!(orders.tells().is_empty());
    let read = orders.list(&always(), None).await.unwrap();
    assert_eq!(read.raws.len(), 20);
    assert!(read.raws.iter().all(|raw| orders.decode(raw, &Values::default()).also.is_empty()));
    let feed = shop.connection.feed.as_deref().unwrap();
    assert_eq!(feed.kinds(), [Kind::Order]);
    feed.next(&Kind::ALL).await.unwrap();

    for (settings, bad) in [(json!({ "returns": false }), false), (json!({}), true)] {
        let (connection, _) = connect(&shop.centra, &shop.url, settings);
        let findings = connection.probe.as_deref().unwrap().check().await;
        let found = findings.iter().any(|finding| finding.level == FindingLevel::Bad && finding.message.contains("Return:read"));
        assert_eq!(found, bad, "{findings:?}");
    }
}

#[tokio::test]
async fn check_says_that_returns_can_be_read() {
    let shop = shop(20, Profile::None, options(), json!({})).await;
    let findings = shop.connection.probe.as_deref().unwrap().check().await;
    assert!(findings.iter().all(|finding| finding.level != FindingLevel::Bad), "{findings:?}");
    let words = findings.iter().find(|finding| finding.message.starts_with("returns can be read")).unwrap();
    for permission in ["Return:read", "PaymentHistory:read", "Warehouse:read", "Shipment:read"] {
        assert!(words.message.contains(permission), "{}", words.message);
    }
}
