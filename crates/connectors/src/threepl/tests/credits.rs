//! Credit notes as a desk writes them.

use selvedge_connector::{Arrival, Raw};
use selvedge_model::{
    CreditNote, ExternalId, Kind, RecordKey,
    records::{CreditKind, CreditReason, CreditStatus, Disposition, ReturnStatus},
};
use selvedge_sim::{
    mischief::{Mischief, Profile},
    threepl::{Desk, Options},
};
use serde_json::{Value, json};

use super::{
    super::{credits::decode, message::FileKind, read},
    clock, form,
    server::{all_time, connect, depot},
    values,
};

const CREDITS: &str = include_str!("../samples/csv_credits.csv");

/// The credit notes of a file with what is wrong with each.
fn credits(text: &str, change: Value) -> Vec<(Option<CreditNote>, Vec<String>)> {
    let form = form(change);
    let contents = read::contents(text.as_bytes(), FileKind::Credit, &form).unwrap();
    read::credits("crd_1.csv", &contents, &form)
        .iter()
        .map(|(key, told)| {
            let raw = Raw {
                kind: Kind::CreditNote,
                id: ExternalId::new(format!("crd_1.csv~0#{key}")),
                version: "2026-02-11T00:00:00Z".parse().ok(),
                body: serde_json::to_vec(told).unwrap().into(),
            };
            let decoded = decode::credit(&raw, &form);
            let problems = decoded.problems.into_iter().map(|problem| format!("{}: {}", problem.rule, problem.message));
            (decoded.record, problems.collect())
        })
        .collect()
}

fn good(text: &str, change: Value) -> Vec<CreditNote> {
    let all = credits(text, change).into_iter();
    all.map(|(record, problems)| {
        assert_eq!(problems, Vec::<String>::new());
        record.unwrap()
    })
    .collect()
}

#[test]
fn a_credit_is_read_line_by_line_with_its_goods() {
    let found = good(CREDITS, json!({ "time_zone": "Europe/London" }));
    assert_eq!(found.iter().map(|note| note.key.as_str()).collect::<Vec<_>>(), ["C536379", "C536383", "C536391"]);
    let note = &found[1];
    assert_eq!((note.number.as_str(), note.id.as_str(), note.order.as_ref()), ("C536383", "C536383", None));
    assert_eq!((note.status, note.reason, note.buyer.as_deref()), (CreditStatus::Issued, CreditReason::Return, Some("15311")));
    assert_eq!((note.totals.net.to_string(), note.totals.tax.to_string()), ("18.91 GBP".to_owned(), "3.31 GBP".to_owned()));
    assert_eq!((note.totals.gross.to_string(), note.units()), ("22.22 GBP".to_owned(), 13));
    let (tee, post) = (&note.lines[0], &note.lines[1]);
    assert_eq!(
        (tee.kind, tee.quantity, tee.unit_net.to_string()),
        (CreditKind::Goods, 12, "0.885".to_owned()),
        "finer than a penny"
    );
    assert!(tee.sold.is_empty() && tee.taxes[0].rate == "17.5".parse().unwrap());
    assert_eq!(post.kind, CreditKind::Other);
    let goods = note.goods.as_ref().unwrap();
    assert_eq!((goods.key.as_str(), note.of_return.as_ref()), ("C536383", Some(&goods.key)));
    assert_eq!((goods.status, goods.disposition, goods.units()), (ReturnStatus::Received, Disposition::Restock, 13));
    // At a quarter to midnight in London, and on the day after in Greenwich no more.
    assert_eq!(note.issued_on.to_string(), "2026-07-01");

    let (gesture, linked) = (&found[0], &found[2]);
    assert_eq!((gesture.reason, gesture.goods.as_ref(), gesture.of_return.as_ref()), (CreditReason::Goodwill, None, None));
    assert_eq!(gesture.buyer, None);
    assert_eq!(linked.order.as_ref().map(RecordKey::as_str), Some("536367"));
    let part = &linked.lines[0].sold[0];
    assert_eq!((part.order.as_str(), part.line.as_str(), part.quantity, part.net), ("536367", "3", 2, linked.lines[0].net));
    assert_eq!(linked.goods.as_ref().unwrap().units(), 2, "the kept one is no goods that came back");
}

#[test]
fn sums_are_written_as_the_dialect_has_them() {
    let text = "credit_ref;line;issued_at;sku;quantity;unit_price;net;tax;currency\r\nK1;1;04.02.2026;TEE;2;1.000,125;2.000,25;500,06;EUR\r\n";
    let change = json!({ "dates": "dd.MM.yyyy", "time_zone": "Europe/Berlin", "csv": { "decimal": "," } });
    let note = good(text, change).remove(0);
    assert_eq!((note.totals.gross.to_string(), note.issued_on.to_string()), ("2500.31 EUR".to_owned(), "2026-02-04".to_owned()));
    assert!(note.lines[0].taxes.is_empty(), "no rate was stated");
    let trailer = json!({ "csv": { "trailer": "T" } });
    let rows = "credit_ref,line,issued_at,sku,quantity,unit_price,net,tax,currency\r\nK1,1,2026-02-04,TEE,2,5,10,0,EUR\r\nK1,2,2026-02-04,CAP,1,5,5,0,EUR\r\nT,1,2,3,,,,,\r\n";
    assert_eq!(good(rows, trailer)[0].lines.len(), 2);
}

#[test]
fn a_bad_row_holds_its_credit_and_says_why() {
    for (from, to, said) in [
        ("12,0.885,10.62", "12,0.885,10.625", "net: "),
        ("12,0.885,10.62", "12,0.885,-10.62", "above zero"),
        ("12,0.885,10.62", "12,0.885,", "net is empty"),
        ("12,0.885,10.62", "0,0.885,10.62", "a number of units above zero"),
        ("12,0.885,10.62", "1.5,0.885,10.62", "a number of units above zero"),
        ("12,0.885,10.62,1.86", "12,0.885,10.62,-1.86", "tax that is given back"),
        ("12,0.885,10.62", "12,cheap,10.62", "unit_price"),
        ("35004C", "", "it names no sku"),
        ("1.86,17.5,GBP,yes", "1.86,17.5,GBP,maybe", "neither yes nor no"),
        ("1.86,17.5,GBP,yes", "1.86,17.5,EUR,yes", "in another row of the same credit"),
        ("1.86,17.5,GBP,yes", "1.86,17.5,GBP", "15 cells instead of 16"),
        ("C536383,2,", "C536383,1,", "more than once"),
        ("15311,,,35004C", "15312,,,35004C", "buyer is"),
    ] {
        assert!(CREDITS.contains(from), "{from}");
        let found = credits(&CREDITS.replacen(from, to, 1), json!({}));
        let all: Vec<&String> = found.iter().flat_map(|(_, problems)| problems).collect();
        assert!(all.iter().any(|problem| problem.starts_with("file.row") && problem.contains(said)), "{said}: {all:?}");
        let of = |key: &str| found.iter().find(|(note, _)| note.as_ref().is_some_and(|note| note.number == key)).unwrap();
        assert!(of("C536379").1.is_empty() && of("C536391").1.is_empty(), "the others go on: {found:?}");
    }
    let all_wrong = CREDITS.replace("GBP", "QQQ");
    assert!(credits(&all_wrong, json!({})).iter().all(|(note, problems)| note.is_none() && problems[0].contains("currency")));
    let unnamed = CREDITS.replacen("C536379,", ",", 1);
    let found = credits(&unnamed, json!({}));
    assert!(found[0].0.is_none() && found[0].1[0].contains("credit_ref"), "{found:?}");
    let held = credits(&CREDITS.replacen("1.86,17.5,GBP,yes", "1.86,17.5,GBP", 1), json!({ "bad_rows": "hold_file" }));
    assert!(held.iter().all(|(_, problems)| problems.iter().any(|problem| problem.starts_with("file."))), "{held:?}");
}

#[test]
fn cut_and_garbled_credits_never_panic() {
    let form = form(json!({}));
    for at in 0..CREDITS.len() {
        let mut garbled = CREDITS.as_bytes().to_vec();
        garbled[at] = 0xE5;
        let mut digit = CREDITS.as_bytes().to_vec();
        digit[at] = b'9';
        for bytes in [&CREDITS.as_bytes()[..at], &garbled, &digit] {
            let Ok(contents) = read::contents(bytes, FileKind::Credit, &form) else { continue };
            for (key, told) in read::credits("f", &contents, &form) {
                let body = serde_json::to_vec(&told).unwrap().into();
                let raw = Raw { kind: Kind::CreditNote, id: ExternalId::new(key), version: None, body };
                let decoded = decode::credit(&raw, &form);
                assert!(decoded.record.is_some() || !decoded.problems.is_empty());
            }
        }
    }
    let huge = "credit_ref,line,issued_at,sku,quantity,unit_price,net,tax,currency\r\nK,1,2026-02-04,T,1,1,92233720368547758.07,92233720368547758.07,EUR\r\nK,2,2026-02-04,T,1,1,1,1,EUR\r\n";
    let found = credits(huge, json!({}));
    assert!(found[0].0.is_none() && found[0].1[0].contains("cannot be added up"), "{found:?}");
    assert!(matches!(
        read::contents(b"credit_ref,line\r\n", FileKind::Credit, &form),
        Err(super::super::message::Unread::Refused(why)) if why.contains("no column for issued_at, sku")
    ));
}

#[tokio::test]
async fn credits_are_taken_in_their_order_once_and_told_otherwise_again() {
    let depot = depot(Options::default(), json!({})).await;
    depot.warehouse.put("crd_000001.csv", CREDITS.as_bytes()).unwrap();
    depot.warehouse.put("crd_000002.csv", CREDITS.replace("C5363", "C5364").as_bytes()).unwrap();
    assert!(depot.news_of(&[Kind::Shipment]).await.is_empty());
    assert_eq!(depot.names("out").len(), 3, "what nobody takes stays");
    let raws = depot.news().await;
    let keys: Vec<&str> = raws.iter().map(|raw| raw.id.as_str().split_once('#').unwrap().1).collect();
    assert_eq!(keys, ["C536379", "C536383", "C536391", "C536479", "C536483", "C536491"]);
    let source = depot.connection.credit_note_source.clone().unwrap();
    assert_eq!(source.enumerate(&all_time(), None).await.unwrap().items.len(), 6);
    let fetched = source.fetch(&[raws[1].id.clone()], selvedge_connector::Priority::Sweeps).await.unwrap().remove(0);
    assert_eq!(source.decode(&fetched, &values()).record.unwrap().number, "C536383");
    depot.warehouse.put("crd_000003.csv", CREDITS.replace("4.65", "4.60").as_bytes()).unwrap();
    let raws = depot.news().await;
    let again: Vec<String> = raws.iter().map(|raw| source.decode(raw, &values()).record.unwrap().key.to_string()).collect();
    assert_eq!(again, ["C536379", "C536383", "C536391"], "each is a revision of what is known, or no news");
    // A file in another format of the same connection.
    depot.warehouse.put("crd_000004.csv", b"hello").unwrap();
    let raws = depot.news().await;
    assert_eq!(source.decode(&raws[0], &values()).problems[0].rule, "file.refused");
}

#[tokio::test]
async fn a_desk_hands_its_credits_over_and_is_taken_from_under_faults() {
    let desk = Desk::open(3, "test", Mischief::new(3, Profile::Rough, "desk"), None).unwrap();
    let (_served, access) = desk.serve(0).await.unwrap();
    let connection = connect(&access.host_key, access.port, &access.password, json!({}), &clock());
    let feed = connection.feed.clone().unwrap();
    let mut keys = std::collections::BTreeSet::new();
    for number in 1..=8 {
        let text = CREDITS.replace("C5363", &format!("C{number}363"));
        assert!(desk.drop(&format!("crd_{number:06}.csv"), &text).unwrap());
        assert!(!desk.drop(&format!("crd_{number:06}.csv"), &text).unwrap());
        for _ in 0..40 {
            let Ok(page) = feed.next(&[Kind::CreditNote]).await else { continue };
            for arrival in page.arrivals {
                let Arrival::Document(raw) = arrival else { panic!("files are documents") };
                keys.insert(raw.id.as_str().split_once('#').unwrap().1.to_owned());
            }
            if feed.acknowledge(&page.receipts).await.is_ok() && desk.is_done() {
                break;
            }
        }
        assert!(desk.is_done(), "file {number}");
    }
    assert_eq!(keys.len(), 24);
}
