//! Goods that come back: what files say of them, and what is announced.

use selvedge_connector::{Encoded, Priority, Raw, Standing};
use selvedge_model::{
    ExternalId, Kind, RecordKey, Return, Sku,
    compare::compare,
    records::{Disposition, ReturnLine, ReturnStatus},
};
use selvedge_sftp::{Fate, Operation, Server};
use selvedge_sim::threepl::{Format, Options};
use serde_json::{Value, json};

use super::{
    super::{
        decode::{Sent, Told},
        message::FileKind,
        read,
        returns::{decode, encode},
        x12,
    },
    clock, form,
    server::{Depot, all_time, connect, depot},
    values,
};

const RETURNS: &str = include_str!("../samples/csv_return_receipt.csv");
const X180: &str = include_str!("../samples/x12_180_return.edi");
const X944: &str = include_str!("../samples/x12_944_receipt_short_damaged.edi");

fn told(bytes: &[u8], kind: FileKind, change: Value) -> Vec<(String, Told)> {
    let form = form(change);
    read::returns("ret_1.csv", &read::contents(bytes, kind, &form).unwrap(), &form)
}

/// The returns of a file with what is wrong with each.
fn returns(bytes: &[u8], kind: FileKind, change: Value) -> Vec<(Option<Return>, Vec<String>)> {
    let form = form(change.clone());
    told(bytes, kind, change)
        .iter()
        .map(|(key, told)| {
            let raw = Raw {
                kind: Kind::Return,
                id: ExternalId::new(format!("ret_1.csv~0#{key}")),
                version: "2026-02-11T00:00:00Z".parse().ok(),
                body: serde_json::to_vec(told).unwrap().into(),
            };
            let decoded = decode::receipt(&raw, &form);
            let problems = decoded.problems.into_iter().map(|problem| format!("{}: {}", problem.rule, problem.message));
            (decoded.record, problems.collect())
        })
        .collect()
}

fn csv(text: &str, change: Value) -> Vec<(Option<Return>, Vec<String>)> {
    returns(text.as_bytes(), FileKind::Return, change)
}

fn good(all: Vec<(Option<Return>, Vec<String>)>) -> Vec<Return> {
    all.into_iter()
        .map(|(record, problems)| {
            assert_eq!(problems, Vec::<String>::new());
            record.unwrap()
        })
        .collect()
}

#[test]
fn a_receipt_says_what_came_and_what_becomes_of_it() {
    let found = good(csv(RETURNS, json!({})));
    let of = |returned: &Return| {
        let order = returned.order.as_ref().map(RecordKey::to_string);
        (returned.key.to_string(), order, returned.disposition, returned.units())
    };
    assert_eq!(
        found.iter().map(of).collect::<Vec<_>>(),
        [
            ("100045.depot.RMA-77".to_owned(), Some("100045".to_owned()), Disposition::Restock, 1),
            ("100046.depot.RMA-78".to_owned(), Some("100046".to_owned()), Disposition::WriteOff, 1),
            ("depot.ret-1-csv-4".to_owned(), None, Disposition::Quarantine, 1),
        ]
    );
    let (first, blind) = (&found[0], &found[2]);
    assert_eq!((first.status, first.received_at), (ReturnStatus::Received, "2026-02-10T12:00:00Z".parse().ok()));
    assert_eq!((first.counterpart.as_ref(), first.warehouse.as_ref().unwrap().id.as_str()), (None, "WH01"));
    let line = &first.lines[0];
    assert_eq!(line.order.as_ref().map(RecordKey::as_str), Some("100045"));
    assert_eq!(line.order_line.as_ref().map(ExternalId::as_str), Some("line-1"));
    assert_eq!((line.condition.as_deref(), line.reason.as_deref()), (Some("A"), Some("TOO_SMALL")));
    assert_eq!((blind.comment.as_deref(), blind.lines[0].order.as_ref()), (Some("no paper in parcel"), None));
}

#[test]
fn what_answers_a_return_of_ours_says_so() {
    let of = |text: &str| good(csv(text, json!({}))).remove(0);
    let head = "return_ref,order_ref,sku,quantity_received,disposition\r\n";
    for (row, key, order, counterpart) in [
        ("100045.shop.77,100045,TEE,1,restock", "100045.depot.100045.shop.77", "100045", Some("100045.shop.77")),
        ("100045.shop.77,,TEE,1,restock", "100045.depot.100045.shop.77", "100045", Some("100045.shop.77")),
        ("SE.100045.shop.77,,TEE,1,restock", "SE.100045.depot.SE.100045.shop.77", "SE.100045", Some("SE.100045.shop.77")),
        // Another order's, or a number of theirs.
        ("100046.shop.77,100045,TEE,1,restock", "100045.depot.100046.shop.77", "100045", None),
        ("R.2026.77,100045,TEE,1,restock", "100045.depot.R.2026.77", "100045", None),
        // One that they were told is one of theirs.
        ("100045.depot.77,100045,TEE,1,restock", "100045.depot.100045.depot.77", "100045", None),
    ] {
        let found = of(&format!("{head}{row}\r\n"));
        assert_eq!(
            (found.key.as_str(), found.order.as_ref().map(RecordKey::as_str), found.counterpart.as_ref().map(RecordKey::as_str)),
            (key, Some(order), counterpart)
        );
    }
    assert_eq!(of(&format!("{head}R.2026.77,,TEE,1,restock\r\n")).order, None);
    let with_receipt = "receipt_ref,return_ref,order_ref,sku,quantity_received,disposition\r\n";
    let found = of(&format!("{with_receipt}G-9,100045.shop.77,100045,TEE,1,restock\r\n"));
    assert_eq!((found.key.as_str(), found.counterpart.as_ref().unwrap().as_str()), ("100045.depot.G-9", "100045.shop.77"));
}

#[test]
fn goods_of_which_different_things_become_are_different_returns() {
    let head = "return_ref,order_ref,sku,quantity_received,disposition,grade\r\n";
    let text = format!(
        "{head}RMA-1,1042,TEE,2,restock,A\r\nRMA-1,1042,TEE,1,scrap,D\r\nRMA-1,1042,CAP,1,Restock,B\r\nRMA-1,1042,HAT,0,,\r\nRMA-2,1043,TEE,1,restock,A\r\n"
    );
    let found = good(csv(&text, json!({})));
    let of = |returned: &Return| (returned.key.to_string(), returned.disposition, returned.units());
    assert_eq!(
        found.iter().map(of).collect::<Vec<_>>(),
        [
            ("1042.depot.RMA-1-restock".to_owned(), Disposition::Restock, 3),
            ("1042.depot.RMA-1-scrap".to_owned(), Disposition::WriteOff, 1),
            ("1043.depot.RMA-2".to_owned(), Disposition::Restock, 1),
        ]
    );
    let words = json!({ "dispositions": { "A": "restock", "D": "write_off", "": "quarantine" } });
    let graded = "return_ref,order_ref,sku,quantity_received,grade\r\nR,1,TEE,1,A\r\nR,1,TEE,1,D\r\nR,1,TEE,1,\r\n";
    let found = good(csv(graded, words));
    let of = |returned: &Return| (returned.key.to_string(), returned.disposition);
    assert_eq!(
        found.iter().map(of).collect::<Vec<_>>(),
        [
            ("1.depot.R-a".to_owned(), Disposition::Restock),
            ("1.depot.R-d".to_owned(), Disposition::WriteOff),
            ("1.depot.R-untold".to_owned(), Disposition::Quarantine),
        ]
    );
}

#[test]
fn a_word_that_nobody_said_the_meaning_of_holds_that_return_alone() {
    let text = RETURNS.replace("scrap", "Feenstaub");
    let found = csv(&text, json!({}));
    assert!(found[0].1.is_empty() && found[2].1.is_empty(), "{found:?}");
    assert!(found[1].1[0].starts_with("return.disposition") && found[1].1[0].contains("\"Feenstaub\""), "{:?}", found[1].1);
    let meant = csv(&text, json!({ "dispositions": { "FEENSTAUB": "write_off" } }));
    assert_eq!(meant[1].0.as_ref().unwrap().disposition, Disposition::WriteOff);
    let keys =
        |change: Value| told(text.as_bytes(), FileKind::Return, change).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(
        keys(json!({})),
        keys(json!({ "dispositions": { "feenstaub": "restock" } })),
        "what tells returns apart does not hang on the setting, or a sweep would count them twice"
    );
    // Whether it was allowed says nothing of what becomes of it.
    let x180 = returns(X180.as_bytes(), FileKind::Return, super::x12());
    assert!(x180[0].1[0].starts_with("return.disposition") && x180[0].1[0].contains("\"RA\""), "{x180:?}");
}

#[test]
fn what_cannot_be_right_holds_its_return_and_nothing_received_is_told() {
    for (from, to, said) in [
        ("TEE-BLK-M,1,1,", "TEE-BLK-M,1,,", "an empty quantity is not nought"),
        ("TEE-BLK-M,1,1,", "TEE-BLK-M,1,\"1,5\",", "quantity_received"),
        ("TEE-BLK-M,1,1,", "TEE-BLK-M,1,-1,", "it counts -1"),
        ("line-1,TEE-BLK-M,", "line-1,,", "it names no SKU"),
        ("TOO_SMALL,2026-02-10T12:00:00Z", "TOO_SMALL,soon", "soon"),
        ("TEE-BLK-M,1,1,", "TEE-BLK-M,1,0,", "return.nothing"),
    ] {
        assert!(RETURNS.contains(from), "{from}");
        let found = csv(&RETURNS.replacen(from, to, 1), json!({}));
        assert!(found[0].1.iter().any(|problem| problem.contains(said)), "{said}: {found:?}");
        assert!(found[1].1.is_empty() && found[2].1.is_empty(), "{found:?}");
    }
    let nothing = csv(&RETURNS.replacen("TEE-BLK-M,1,1,", "TEE-BLK-M,1,0,", 1), json!({})).remove(0).0.unwrap();
    assert_eq!((nothing.status, nothing.lines.len(), nothing.received_at), (ReturnStatus::Announced, 0, None));
    let torn = format!("{RETURNS}RMA-79,100047\r\n");
    let found = csv(&torn, json!({}));
    assert!(found[0].1.is_empty() && found[3].1[0].starts_with("file.row"), "{found:?}");
    let held = csv(&torn, json!({ "bad_rows": "hold_file" }));
    assert!(held.iter().all(|(_, problems)| problems[0].starts_with("file.")), "{held:?}");
}

#[test]
fn x12_says_the_same_and_splits_a_line_by_the_condition_of_its_units() {
    let mut meant = super::x12();
    meant["dispositions"] = json!({ "RA": "restock" });
    let text = X180.replace("RDR*RA*PF", "N9*LI*line-1~\nRDR*RA*PF").replace("SE*7", "SE*8");
    let found = good(returns(text.as_bytes(), FileKind::Return, meant)).remove(0);
    assert_eq!((found.key.as_str(), found.units()), ("100045.depot.RMA-77", 1));
    assert_eq!((found.reason.as_deref(), found.received_at), (Some("PF"), "2026-02-10T00:00:00Z".parse().ok()));
    assert_eq!(found.lines[0].order_line.as_ref().map(ExternalId::as_str), Some("line-1"));

    // 100 were sent, 98 are counted, 1 is missing and 1 damaged: the damaged one is beside the 98.
    let customers = X944.replace("W17*F", "W17*C").replace("ASN-500", "100045");
    let read = |text: &str| returns(text.as_bytes(), FileKind::Receipt, super::x12());
    let of = |returned: &Return| (returned.key.to_string(), returned.disposition, returned.units());
    let found = good(read(&customers));
    assert_eq!(
        found.iter().map(of).collect::<Vec<_>>(),
        [
            ("100045.depot.RCV9001-07".to_owned(), Disposition::Restock, 98),
            ("100045.depot.RCV9001-01".to_owned(), Disposition::Quarantine, 1),
        ]
    );
    assert_eq!(found[1].lines[0].condition.as_deref(), Some("01"));
    // The same, counted within.
    let within = good(read(&customers.replace("W07*98", "W07*99").replace("W14*98", "W14*99")));
    assert_eq!(within.iter().map(Return::units).collect::<Vec<_>>(), [98, 1]);
    // Neither adds up.
    let neither = read(&customers.replace("W14*98*100", "W14*98*120"));
    assert!(neither[0].1[0].contains("nothing says whether they are among"), "{neither:?}");
    let scrapped = good(read(&customers.replace("W13*1*EA*01**CC", "W13*1*EA*10")));
    assert_eq!(scrapped[1].disposition, Disposition::WriteOff);
    let odd = read(&customers.replace("W13*1*EA*01**CC", "W13*1*EA*13"));
    assert!(odd[1].1[0].starts_with("return.disposition") && odd[1].1[0].contains("\"13\""), "{odd:?}");
    let ours = good(read(&customers.replace("W17*C*20260205*RCV9001*100045", "W17*C*20260205*RCV9001*100045.shop.7")));
    assert_eq!(ours[0].counterpart.as_ref().map(RecordKey::as_str), Some("100045.shop.7"));
    assert_eq!(ours[0].order.as_ref().map(RecordKey::as_str), Some("100045"));
    // Goods of a supplier are no returns.
    assert!(returns(X944.as_bytes(), FileKind::Receipt, super::x12()).is_empty());
    let torn = returns(X180.replace("SE*7*", "SE*8*").as_bytes(), FileKind::Return, super::x12());
    assert!(torn[0].0.is_none() && torn[0].1[0].contains("states 8 segments"), "{torn:?}");
}

#[test]
fn cut_and_garbled_files_of_returns_never_panic() {
    let all =
        [(RETURNS, FileKind::Return, json!({})), (X180, FileKind::Return, super::x12()), (X944, FileKind::Receipt, super::x12())];
    for (text, kind, change) in all {
        let text = text.replace("W17*F", "W17*C");
        let form = form(change);
        for at in 0..text.len() {
            let mut garbled = text.as_bytes().to_vec();
            garbled[at] = 0xE5;
            let mut digit = text.as_bytes().to_vec();
            digit[at] = b'9';
            for bytes in [&text.as_bytes()[..at], &garbled, &digit] {
                let Ok(contents) = read::contents(bytes, kind, &form) else { continue };
                for (key, told) in read::returns("f", &contents, &form) {
                    let body = serde_json::to_vec(&told).unwrap().into();
                    let decoded =
                        decode::receipt(&Raw { kind: Kind::Return, id: ExternalId::new(key), version: None, body }, &form);
                    assert!(decoded.record.is_some() || !decoded.problems.is_empty());
                }
            }
        }
    }
    let raw = Raw { kind: Kind::Return, id: ExternalId::new("f#x"), version: None, body: b"{".to_vec().into() };
    assert_eq!(decode::receipt(&raw, &form(json!({}))).problems[0].rule, "decode.unreadable");
    assert_eq!(decode::announcement(&raw, &form(json!({}))).problems[0].rule, "decode.unreadable");
}

fn expected() -> Return {
    let line = |id: &str, sku: &str, quantity: u32| ReturnLine {
        order: Some(RecordKey::new("1042")),
        order_line: Some(ExternalId::new(id)),
        sku: Sku::new(sku),
        quantity,
        condition: None,
        reason: Some("TOO_SMALL".to_owned()),
    };
    let at = "2026-02-10T09:00:00Z".parse().unwrap();
    Return {
        key: RecordKey::new("1042.shop.77"),
        id: ExternalId::new("77"),
        order: Some(RecordKey::new("1042")),
        counterpart: None,
        shipment: None,
        status: ReturnStatus::Announced,
        created_at: at,
        received_at: None,
        updated_at: at,
        warehouse: None,
        disposition: Disposition::Restock,
        reason: None,
        comment: Some("left at the \"door\"; späť, gate 2".to_owned()),
        lines: vec![line("7", "TEE-BLK-M", 2), line("8.1", "00123", 1)],
    }
}

#[test]
fn an_announcement_reads_back_from_its_file_in_every_dialect() {
    let carries = selvedge_model::compare::Carries::default();
    for change in [
        json!({}),
        json!({ "csv": { "delimiter": ";", "decimal": "," } }),
        json!({ "csv": { "delimiter": "|", "quotes": "none", "header": false } }),
        json!({ "announcement_columns": ["return_ref: RMA", "sku: Artikel", "quantity_expected: Menge"] }),
        super::x12(),
    ] {
        let form = form(change);
        let Ok(Encoded::Put(request)) = encode::announcement(&expected(), None, &form) else { panic!() };
        let text = match request.body["text"].as_str() {
            Some(text) => text.to_owned(),
            None => {
                let segments: Vec<Vec<String>> = serde_json::from_value(request.body["segments"].clone()).unwrap();
                let envelope = x12::Envelope {
                    sender: form.parties.sender.clone(),
                    receiver: form.parties.receiver.clone(),
                    at: jiff::civil::date(2026, 2, 10).at(10, 10, 0, 0),
                    control: 1,
                    production: false,
                    functional: "AN",
                    code: "180",
                };
                let text = x12::write(&envelope, &segments);
                assert!(x12::read_all(&text).unwrap()[0].groups[0].sets[0].faults.said().is_none(), "{text}");
                for id in ["BGN*00*1042.shop.77*20260210~", "PRF*1042~", "BLI*SK*TEE-BLK-M*2*EA~", "RDR*RA***TOO_SMALL~"] {
                    assert!(text.contains(id), "{id}: {text}");
                }
                text
            }
        };
        let sent = Sent { file: "rma_1042.shop.77_000000001.csv".into(), text: text.clone(), ..Sent::default() };
        let body = serde_json::to_vec(&sent).unwrap().into();
        let raw = Raw { kind: Kind::Return, id: ExternalId::new(&sent.file), version: None, body };
        let decoded = decode::announcement(&raw, &form);
        let there = decoded.record.unwrap_or_else(|| panic!("{:?} {text}", decoded.problems));
        assert_eq!(there.key.as_str(), "1042.shop.77");
        assert_eq!(compare(&expected().into(), &there.clone().into(), carries), [], "{text}");
        let mut more = there;
        more.lines[0].quantity += 1;
        assert_ne!(compare(&expected().into(), &more.into(), carries), []);
    }
}

#[test]
fn what_they_told_themselves_or_have_already_is_not_announced_and_what_does_not_fit_is_held() {
    let plain = form(json!({}));
    let encoded = |record: &Return| encode::announcement(record, None, &plain);
    assert!(matches!(encoded(&expected()), Ok(Encoded::Put(_))));
    for silent in [
        Return { status: ReturnStatus::Received, ..expected() },
        Return { counterpart: Some(RecordKey::new("1042.depot.RMA-1")), ..expected() },
        Return { counterpart: Some(RecordKey::new("depot.RMA-1")), order: None, ..expected() },
    ] {
        assert!(matches!(encoded(&silent), Ok(Encoded::Nothing)), "{silent:?}");
    }
    let of_another = Return { counterpart: Some(RecordKey::new("1042.other.RMA-1")), ..expected() };
    assert!(matches!(encoded(&of_another), Ok(Encoded::Put(_))));

    let x12 = form(super::x12());
    let rules = |record: &Return| -> Vec<String> {
        encode::announcement(record, None, &x12).unwrap_err().into_iter().map(|problem| problem.rule).collect()
    };
    let mut long = expected();
    long.key = RecordKey::new(format!("1042.shop.{}", "7".repeat(60)));
    assert_eq!(rules(&long), ["return.too_long"]);
    let mut two = expected();
    two.lines[1].order = Some(RecordKey::new("1043"));
    assert_eq!(rules(&two), ["return.several_orders"]);
    let windows = form(json!({ "csv": { "charset": "iso-8859-1" } }));
    let odd = Return { comment: Some("東京".to_owned()), ..expected() };
    assert_eq!(encode::announcement(&odd, None, &windows).unwrap_err()[0].rule, "return.characters");
}

/// The next step for a return, as the flow takes it.
async fn encoded(depot: &Depot, record: &Return) -> (Option<Raw>, Result<Encoded, Vec<String>>) {
    let (sink, source) = (depot.connection.return_sink.clone().unwrap(), depot.connection.return_source.clone().unwrap());
    let own = match sink.find(record).await.unwrap() {
        Some(found) => source.fetch(&[found.id], Priority::Orders).await.unwrap().pop(),
        None => None,
    };
    let encoded = sink.encode(record, &values(), Standing { own: own.as_ref(), needed: None });
    (own, encoded.map_err(|problems| problems.into_iter().map(|problem| problem.rule).collect()))
}

async fn deliver(depot: &Depot, record: &Return) -> usize {
    let mut puts = 0;
    while let Encoded::Put(request) = encoded(depot, record).await.1.unwrap() {
        depot.connection.return_sink.clone().unwrap().put(&request).await.unwrap();
        puts += 1;
    }
    puts
}

#[tokio::test]
async fn an_announced_return_is_handed_over_once_and_taken_back_if_it_will_not_come() {
    for (format, change) in [
        (Format::Csv, json!({})),
        (Format::X12, json!({ "format": "x12", "x12": { "sender": "ZZ:SHOP01", "receiver": "ZZ:WH01" } })),
    ] {
        let depot = depot(Options { format, ..Options::default() }, change).await;
        assert_eq!(deliver(&depot, &expected()).await, 2);
        assert_eq!(deliver(&depot, &expected()).await, 0);
        assert_eq!(depot.names("in").len(), 1);
        let (raw, _) = encoded(&depot, &expected()).await;
        let source = depot.connection.return_source.clone().unwrap();
        let there = source.decode(&raw.unwrap(), &values()).record.unwrap();
        let carries = depot.connection.return_sink.clone().unwrap().carries();
        assert_eq!(compare(&expected().into(), &there.into(), carries), []);
        assert!(source.enumerate(&all_time(), None).await.unwrap().items.is_empty(), "what was announced is no news");

        let mut more = expected();
        more.lines[0].quantity = 1;
        assert_eq!(encoded(&depot, &more).await.1.unwrap_err(), ["return.changed"]);
        let arrived = Return { status: ReturnStatus::Received, ..expected() };
        assert_eq!(deliver(&depot, &arrived).await, 0);
        let late = Return { status: ReturnStatus::Cancelled, received_at: Some(arrived.created_at), ..expected() };
        assert_eq!(encoded(&depot, &late).await.1.unwrap_err(), ["return.changed"]);
        let off = Return { status: ReturnStatus::Cancelled, ..expected() };
        assert_eq!(deliver(&depot, &off).await, 2);
        assert_eq!(deliver(&depot, &off).await, 0);
        let (raw, again) = encoded(&depot, &expected()).await;
        assert_eq!(again.unwrap_err(), ["return.changed"], "it is not announced anew by itself");
        assert_eq!(source.decode(&raw.unwrap(), &values()).record.unwrap().status, ReturnStatus::Cancelled);
        depot.warehouse.step().unwrap();
        assert_eq!(depot.warehouse.violations(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn receipts_are_returns_where_a_flow_takes_them_also_without_one_of_shipments() {
    let depot = depot(Options::default(), json!({})).await;
    depot.warehouse.put("ret_1.csv", RETURNS.as_bytes()).unwrap();
    depot.warehouse.put("rcv_1.csv", include_bytes!("../samples/csv_receipt.csv")).unwrap();
    depot.warehouse.put("shp_1.csv", include_bytes!("../samples/csv_shipment_partial_two_parcels.csv")).unwrap();
    let raws = depot.news_of(&[Kind::Return]).await;
    let source = depot.connection.return_source.clone().unwrap();
    let decoded: Vec<_> = raws.iter().map(|raw| source.decode(raw, &values())).collect();
    assert!(raws.iter().all(|raw| raw.kind == Kind::Return));
    let kept = decoded.iter().filter(|one| one.problems.iter().any(|problem| problem.rule == "file.kept")).count();
    assert_eq!((decoded.iter().filter(|one| one.record.is_some()).count(), kept), (3, 1), "goods of a supplier are told");
    assert_eq!(depot.names("out"), ["inv_WH01.csv", "shp_1.csv"], "what nobody takes stays");
    let listed = source.enumerate(&all_time(), None).await.unwrap().items;
    assert_eq!(listed.len(), 3);
    let ids: Vec<ExternalId> = raws.iter().map(|raw| raw.id.clone()).collect();
    assert_eq!(source.fetch(&ids, Priority::Sweeps).await.unwrap().len(), raws.len());
    let raws = depot.news().await;
    assert!(raws.len() == 1 && raws[0].kind == Kind::Shipment, "{raws:?}");
    // Told once more under another number of the file: no news; told otherwise: the same return.
    depot.warehouse.put("ret_2.csv", RETURNS.as_bytes()).unwrap();
    assert!(depot.news().await.is_empty());
    depot.warehouse.put("ret_3.csv", RETURNS.replace("TEE-BLK-M,1,1", "TEE-BLK-M,1,2").as_bytes()).unwrap();
    let raws = depot.news().await;
    let again = source.decode(&raws[0], &values()).record.unwrap();
    assert_eq!((again.key.as_str(), again.units()), ("100045.depot.RMA-77", 2));
}

#[tokio::test]
async fn what_was_announced_comes_back_as_the_warehouse_tells_it() {
    let x12 = json!({ "format": "x12", "x12": { "sender": "ZZ:SHOP01", "receiver": "ZZ:WH01" },
                      "dispositions": { "RA": "restock", "RP": "quarantine" } });
    for (format, change) in [(Format::Csv, json!({})), (Format::X12, x12)] {
        let depot = depot(Options { format, returns: true, ..Options::default() }, change).await;
        let numbers: Vec<String> = (70..100).map(|number| format!("1042.shop.{number}")).collect();
        for number in &numbers {
            deliver(&depot, &Return { key: RecordKey::new(number), ..expected() }).await;
        }
        let source = depot.connection.return_source.clone().unwrap();
        let mut found: std::collections::BTreeMap<String, Return> = std::collections::BTreeMap::new();
        while !depot.warehouse.is_done() {
            depot.warehouse.step().unwrap();
            for raw in depot.news().await {
                let decoded = source.decode(&raw, &values());
                assert_eq!(decoded.problems, [], "{raw:?}");
                let returned = decoded.record.unwrap();
                found.insert(returned.key.to_string(), returned);
            }
        }
        assert_eq!(depot.warehouse.violations(), Vec::<String>::new());
        let units = |disposition: Disposition| -> u64 {
            found.values().filter(|returned| returned.disposition == disposition).map(Return::units).sum()
        };
        let table = depot.warehouse.returns_csv();
        let told = |word: &str| -> u64 {
            let rows = table.lines().map(|row| row.split(',').collect::<Vec<_>>()).filter(|row| row[5] == word);
            rows.map(|row| row[4].parse::<u64>().unwrap()).sum()
        };
        for (disposition, word) in
            [(Disposition::Restock, "restock"), (Disposition::WriteOff, "scrap"), (Disposition::Quarantine, "hold")]
        {
            assert!(told(word) > 0 && units(disposition) == told(word), "{word}: {table}");
        }
        let answered: std::collections::BTreeSet<&str> =
            found.values().filter_map(|returned| returned.counterpart.as_ref().map(RecordKey::as_str)).collect();
        assert_eq!(answered.len(), numbers.len(), "each answers what was announced");
        assert!(found.values().all(|returned| returned.order.as_ref().unwrap().as_str() == "1042"));
        // As the shop makes them of it: nothing of that is announced to where it came from.
        for returned in found.values() {
            let made = Return { counterpart: Some(returned.key.clone()), key: RecordKey::new("1042.shop.500"), ..expected() };
            assert!(matches!(encoded(&depot, &made).await.1, Ok(Encoded::Nothing)));
        }
    }
}

#[tokio::test]
async fn lost_answers_announce_a_return_once() {
    let folder = super::server::tempfile();
    for at in 0..30_usize {
        let seen = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let gate = move |_: &Operation| match (seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == at, at % 2) {
            (false, _) => Fate::Do,
            (true, 0) => Fate::BreakAfter,
            (true, _) => Fate::BreakBefore,
        };
        let root = folder.join(format!("run{at}"));
        for name in ["in", "out"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        let server = Server { gate: std::sync::Arc::new(gate), ..Server::new(&root, "brand", "secret") };
        let served = server.serve(0, None).await.unwrap();
        let connection = connect(&served.host_key, served.address.port(), "secret", json!({}), &clock());
        let (sink, source) = (connection.return_sink.clone().unwrap(), connection.return_source.clone().unwrap());
        let mut handed_over = false;
        for _ in 0..12 {
            let Ok(found) = sink.find(&expected()).await else { continue };
            let ids: Vec<ExternalId> = found.into_iter().map(|found| found.id).collect();
            let Ok(mut raws) = source.fetch(&ids, Priority::Orders).await else { continue };
            let own = raws.pop();
            match sink.encode(&expected(), &values(), Standing { own: own.as_ref(), needed: None }) {
                Ok(Encoded::Nothing) => {
                    handed_over = true;
                    break;
                }
                Ok(Encoded::Put(request)) => drop(sink.put(&request).await),
                Err(problems) => panic!("{problems:?}"),
            }
        }
        let there = std::fs::read_dir(root.join("in")).unwrap().count();
        assert!(handed_over && there == 1, "operation {at}: {there} files");
    }
    std::fs::remove_dir_all(folder).unwrap();
}
