//! What files say, whole and broken.

use selvedge_connector::{Encoded, Raw};
use selvedge_model::{ExternalId, Kind, Order, Shipment, compare::compare, records::ShipmentStatus};
use serde_json::{Value, json};

use super::{
    super::{
        decode::{self, Sent, Told},
        encode,
        message::{Contents, FileKind, Unread},
        read, stock, x12,
    },
    form, order, values,
};

const TWO_PARCELS: &str = include_str!("../samples/csv_shipment_partial_two_parcels.csv");
const SEMICOLONS: &[u8] = include_bytes!("../samples/csv_shipment_semicolon_decimal_comma.csv");
const STOCK: &[u8] = include_bytes!("../samples/csv_stock_full.csv");
const CONTROL: &str = include_str!("../samples/csv_control_records.csv");
const RETURNS: &str = include_str!("../samples/csv_return_receipt.csv");
const RECEIPT: &str = include_str!("../samples/csv_receipt.csv");
const ACK: &str = include_str!("../samples/csv_ack.csv");
const X945: &str = include_str!("../samples/x12_945_partial.edi");
const X846: &str = include_str!("../samples/x12_846_snapshot.edi");
const X944: &str = include_str!("../samples/x12_944_receipt_short_damaged.edi");
const X180: &str = include_str!("../samples/x12_180_return.edi");
const X997: [&str; 2] = [include_str!("../samples/x12_997_accept.edi"), include_str!("../samples/x12_997_reject.edi")];

fn told(bytes: &[u8], change: Value) -> Vec<Told> {
    let form = form(change);
    let contents = read::contents(bytes, FileKind::Shipment, &form).unwrap();
    read::shipments("shp_1.csv", &contents, &form).into_iter().map(|(_, told)| told).collect()
}

/// The shipments of a file, or the rules of what is wrong with each.
fn shipments(bytes: &[u8], change: Value) -> Vec<Result<Shipment, Vec<String>>> {
    let form = form(change.clone());
    told(bytes, change)
        .iter()
        .map(|told| {
            let raw = Raw {
                kind: Kind::Shipment,
                id: ExternalId::new("f"),
                version: "2026-02-05T00:00:00Z".parse().ok(),
                body: serde_json::to_vec(told).unwrap().into(),
            };
            let decoded = decode::shipment(&raw, &form);
            match decoded.record {
                Some(shipment) if decoded.problems.is_empty() => Ok(shipment),
                _ => Err(decoded.problems.into_iter().map(|problem| format!("{}: {}", problem.rule, problem.message)).collect()),
            }
        })
        .collect()
}

fn one(bytes: &[u8], change: Value) -> Result<Shipment, Vec<String>> {
    let mut all = shipments(bytes, change);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn edited(from: &str, to: &str) -> Result<Shipment, Vec<String>> {
    assert!(TWO_PARCELS.contains(from));
    one(TWO_PARCELS.replace(from, to).as_bytes(), json!({}))
}

fn x12_file(text: &str, kind: FileKind) -> Result<Vec<Contents>, Unread> {
    read::contents(text.as_bytes(), kind, &form(super::x12()))
}

#[test]
fn a_line_in_two_parcels_and_one_that_follows() {
    let shipment = one(TWO_PARCELS.as_bytes(), json!({})).unwrap();
    assert_eq!((shipment.key.as_str(), shipment.order.as_str()), ("100045.depot.SHP-7001", "100045"));
    assert_eq!(shipment.units(), 2);
    assert_eq!(shipment.tracking(), ["1Z12345E1512345676", "1Z999AA10123456784"]);
    assert_eq!(shipment.shipped_at, "2026-02-04T09:10:00Z".parse().ok());
    let short = &shipment.short[0];
    assert_eq!(
        (short.sku.as_str(), short.quantity, short.is_final, short.reason.as_str()),
        ("CAP-RED", None, false, "out_of_stock")
    );
    assert_eq!(one(TWO_PARCELS.as_bytes(), json!({ "quantities": "per_line" })).unwrap().units(), 1);
}

#[test]
fn a_partner_with_columns_a_comma_and_letters_of_its_own() {
    let columns = json!({ "order_ref": "Auftrag", "order_line_id": "Position", "sku": "Artikel", "quantity_shipped": "Menge",
                          "carrier": "Versender", "tracking_number": "Sendungsnummer", "shipped_at": "Versanddatum" });
    let change = json!({ "columns": columns, "dates": "dd.MM.yyyy", "time_zone": "Europe/Berlin",
                         "csv": { "decimal": ",", "charset": "windows-1252" } });
    let shipment = one(SEMICOLONS, change.clone()).unwrap();
    assert_eq!((shipment.order.as_str(), shipment.units(), shipment.carrier()), ("100045", 2, Some("DPD")));
    assert_eq!(shipment.shipped_at, "2026-02-03T23:00:00Z".parse().ok());
    assert_eq!(shipment.status, ShipmentStatus::Shipped);
    // Nobody said the encoding, or the columns.
    let mut plain = change.clone();
    plain["csv"] = json!({ "decimal": "," });
    assert!(matches!(read::contents(SEMICOLONS, FileKind::Shipment, &form(plain)), Err(Unread::Refused(_))));
    let mut unnamed = change;
    unnamed["columns"] = json!({});
    let Err(Unread::Refused(why)) = read::contents(SEMICOLONS, FileKind::Shipment, &form(unnamed)) else { panic!() };
    assert!(why.contains("no column for order_ref, sku, quantity_shipped"), "{why}");
}

#[test]
fn what_cannot_be_right_holds_its_shipment_and_says_why() {
    for (from, to, said) in [
        ("TEE-BLK-M,1,shipped", "TEE-BLK-M,\"1,5\",shipped", "quantity_shipped"),
        ("TEE-BLK-M,1,shipped", "TEE-BLK-M,,shipped", "an empty quantity is not nought"),
        ("TEE-BLK-M,1,shipped", "TEE-BLK-M,-1,shipped", "it counts -1"),
        ("line-1,TEE-BLK-M,", "line-1,,", "it names no SKU"),
        (",backordered,", ",lost_in_space,", "\"lost_in_space\" is a status"),
        ("1Z12345E1512345676", "1.2E+17", "rounded by a spreadsheet"),
        ("2026-02-04T10:10:00+01:00", "yesterday", "yesterday"),
    ] {
        let problems = edited(from, to).unwrap_err();
        assert!(problems.iter().any(|problem| problem.contains(said)), "{said}: {problems:?}");
    }
    let meant = json!({ "statuses": { "LOST_IN_SPACE": "cancelled" } });
    let text = TWO_PARCELS.replace(",backordered,", ",lost_in_space,");
    assert!(one(text.as_bytes(), meant).unwrap().short[0].is_final, "a person said what it means");
}

#[test]
fn the_good_rows_go_on_unless_the_whole_file_is_to_be_held() {
    let other = TWO_PARCELS.lines().nth(1).unwrap().replace("SHP-7001", "SHP-7002").replace("100045", "100046");
    let text = format!("{TWO_PARCELS}{other}\r\nm-1,SHP-7003,100047,line-1,TEE\r\n");
    let found = shipments(text.as_bytes(), json!({}));
    assert_eq!(found.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, false], "{found:?}");
    let held = shipments(text.as_bytes(), json!({ "bad_rows": "hold_file" }));
    assert!(held.iter().all(Result::is_err));
    assert!(held[0].as_ref().unwrap_err()[0].starts_with("file.held"), "{held:?}");
}

#[test]
fn totals_are_counted_and_a_missing_trailer_is_a_file_half_written() {
    let change = json!({ "columns": { "order_ref": 2, "order_line_id": 3, "sku": 4, "quantity_shipped": 5 },
                         "csv": { "header": false, "rows": "D", "trailer": "T" } });
    let shipment = one(CONTROL.as_bytes(), change.clone()).unwrap();
    assert_eq!((shipment.order.as_str(), shipment.units()), ("100045", 3));
    let read = |text: &str| read::contents(text.as_bytes(), FileKind::Shipment, &form(change.clone()));
    for (from, to, said) in [
        ("\"T\",\"1\",\"2\",\"3\"", "\"T\",\"2\",\"2\",\"3\"", "states 2 documents and holds 1"),
        ("\"T\",\"1\",\"2\",\"3\"", "\"T\",\"1\",\"3\",\"3\"", "states 3 rows and holds 2"),
        ("\"T\",\"1\",\"2\",\"3\"", "\"T\",\"1\",\"2\",\"4\"", "states 4 units and holds 3"),
        ("\"T\",\"1\",\"2\",\"3\"", "\"T\",\"1\",\"2\",\"x\"", "cannot be read"),
    ] {
        let Err(Unread::Refused(why)) = read(&CONTROL.replace(from, to)) else { panic!("{to}") };
        assert!(why.contains(said), "{why}");
    }
    let cut = &CONTROL[..CONTROL.find("\"T\"").unwrap()];
    assert!(matches!(read(cut), Err(Unread::Unfinished(_))));
    let repeated = format!("{}{}", CONTROL.trim_end(), format_args!("\n{CONTROL}"));
    assert!(matches!(read(&repeated), Err(Unread::Refused(why)) if why.contains("after the trailer")));
}

#[test]
fn a_snapshot_is_summed_by_item_and_says_what_can_be_sold() {
    let form = form(json!({}));
    let contents = read::contents(STOCK, FileKind::Stock, &form).unwrap();
    let at = "2026-02-05T07:00:00Z".parse().unwrap();
    let (levels, unread) = stock::levels(&contents, at, &form);
    assert!(unread.is_empty());
    let of = |sku: &str| levels.iter().find(|level| level.sku.as_str() == sku).unwrap();
    let tee = of("TEE-BLK-M");
    assert_eq!((tee.on_hand, tee.committed, tee.free(), tee.available, tee.incoming), (97, 5, 92, 92, 50));
    assert_eq!(tee.as_of, "2026-02-05T06:00:00Z".parse().unwrap());
    assert_eq!(of("00123").on_hand, 7, "zeros belong to a SKU");
    let text = String::from_utf8(STOCK.to_vec()).unwrap();
    let lots = format!(
        "{text}S-20260205,2026-02-05T06:00:00Z,WH01,00123,3,1,0,0,2,0\r\nS-20260205,2026-02-05T06:00:00Z,WH01,BAD,,,,,,\r\n"
    );
    let (levels, unread) = stock::levels(&read::contents(lots.as_bytes(), FileKind::Stock, &form).unwrap(), at, &form);
    let lot = levels.iter().find(|level| level.sku.as_str() == "00123").unwrap();
    assert_eq!((lot.on_hand, lot.free()), (10, 9));
    assert_eq!(unread.len(), 1, "an empty quantity is not nought");
    assert!(levels.iter().all(|level| level.sku.as_str() != "BAD"));
}

#[test]
fn figures_that_no_warehouse_has_are_a_fault_of_their_row_and_never_overflow() {
    let form = form(json!({}));
    let at = "2026-02-05T07:00:00Z".parse().unwrap();
    let head = "sku,on_hand,allocated,quarantine,damaged,available,incoming";
    let (most, least) = (i64::MAX, i64::MIN);
    for rows in [
        format!("A,{most},0,0,0,,0"),
        format!("A,0,{most},{least},{least},{least},0"),
        format!("A,5,0,{most},{most},,0"),
        format!("A,,{most},0,0,{most},0"),
        format!("A,5,0,0,0,,{most}\r\nA,5,0,0,0,,{most}"),
    ] {
        let text = format!("{head}\r\n{rows}\r\nB,7,1,0,0,,0\r\n");
        let (levels, unread) = stock::levels(&read::contents(text.as_bytes(), FileKind::Stock, &form).unwrap(), at, &form);
        assert!(
            !unread.is_empty()
                && unread.iter().all(|(sku, problem)| sku.as_str() == "A" && problem.message.contains("more units")),
            "{unread:?}"
        );
        assert!(levels.iter().all(|level| level.sku.as_str() != "A"), "{levels:?}");
        assert!(levels.iter().any(|level| level.sku.as_str() == "B" && level.free() == 6), "{levels:?}");
    }
    let trailer = |text: &str| {
        let form = self::form(json!({ "csv": { "trailer": "T", "totals": ["units"] } }));
        read::contents(text.as_bytes(), FileKind::Stock, &form)
    };
    let found = trailer(&format!("sku,on_hand\r\nA,{most}\r\nB,{most}\r\nT,-2\r\n"));
    assert!(matches!(&found, Err(Unread::Refused(why)) if why.contains("holds 18446744073709551614")), "{found:?}");
}

#[test]
fn receipts_returns_and_acknowledgements_are_read() {
    let form = form(json!({}));
    let receipt = read::contents(RECEIPT.as_bytes(), FileKind::Receipt, &form).unwrap();
    assert_eq!(receipt[0].rows[0].get("quantity_received"), Some("98"));
    let returns = read::contents(RETURNS.as_bytes(), FileKind::Return, &form).unwrap();
    let blind = &returns[0].rows[2];
    assert_eq!((returns[0].rows.len(), blind.get("order_ref"), blind.get("reason_code")), (3, None, Some("UNANNOUNCED")));
    let answers = read::answers(ACK.as_bytes(), &form).unwrap();
    assert_eq!(answers.said[0].1.status, "partial");
    assert_eq!(answers.said[0].1.messages, ["100046 UNKNOWN_SKU CAP-BLU not found"]);
    let torn = read::answers(format!("{ACK},,,accepted,,100047,,\n").as_bytes(), &form).unwrap();
    assert_eq!((torn.unread.len(), torn.unread[0].fault.as_deref()), (1, Some("it names no file")));
}

/// What is told of a file that is kept and not taken.
fn kept(bytes: &[u8], kind: FileKind, change: Value) -> Vec<String> {
    let form = form(change);
    let contents = read::contents(bytes, kind, &form).unwrap();
    let told = read::receipts("file", &contents);
    let problem = |told: &Told| {
        let body = serde_json::to_vec(told).unwrap().into();
        let decoded = decode::shipment(&Raw { kind: Kind::Shipment, id: ExternalId::new("f"), version: None, body }, &form);
        assert!(decoded.record.is_none());
        assert_eq!(decoded.problems.len(), 1);
        format!("{}: {}", decoded.problems[0].rule, decoded.problems[0].message)
    };
    told.iter().map(|(_, told)| problem(told)).collect()
}

#[test]
fn a_receipt_is_told_whole_as_nothing_takes_it_yet() {
    let returns = kept(RETURNS.as_bytes(), FileKind::Return, json!({}));
    assert_eq!(returns.len(), 3, "one each, the unannounced one, too");
    assert!(returns[0].starts_with("file.kept: return receipt RMA-77 of order 100045 has arrived"), "{returns:?}");
    assert!(returns[1].contains("1 × CAP-RED (disposition scrap, grade D, reason_code DAMAGED, comment torn)"), "{returns:?}");
    assert!(returns[2].contains("without a number"), "{returns:?}");
    let goods = kept(RECEIPT.as_bytes(), FileKind::Receipt, json!({}));
    assert!(goods[0].contains("goods receipt RCV9001 for ASN-500") && goods[0].contains("98 × TEE-BLK-M"), "{goods:?}");
    let goods = kept(X944.as_bytes(), FileKind::Receipt, super::x12());
    assert!(goods[0].contains("98 × TEE-BLK-M (quantity_damaged 1, quantity_short 1)"), "{goods:?}");
    let back = kept(X944.replace("W17*F", "W17*C").as_bytes(), FileKind::Receipt, super::x12());
    assert!(back[0].contains("return receipt RCV9001"), "{back:?}");
    let returned = kept(X180.as_bytes(), FileKind::Return, super::x12());
    assert!(returned[0].contains("RMA-77 of order 100045") && returned[0].contains("disposition RA"), "{returned:?}");
    let torn = kept(X180.replace("SE*7*", "SE*8*").as_bytes(), FileKind::Return, super::x12());
    assert!(torn[0].contains("states 8 segments"), "{torn:?}");
}

#[test]
fn x12_says_the_same_under_the_same_names() {
    let found = one(X945.as_bytes(), super::x12()).unwrap();
    assert_eq!((found.key.as_str(), found.units(), found.carrier()), ("100045.depot.SHP-7001", 2, Some("UPSN")));
    assert_eq!((found.service(), found.tracking()), (Some("UPS STANDARD"), vec!["1Z12345E1512345676"]));
    assert_eq!(found.lines[0].order_line.as_ref().map(ExternalId::as_str), Some("line-1"));
    let short = &found.short[0];
    assert_eq!((short.sku.as_str(), short.quantity, short.is_final, short.reason.as_str()), ("CAP-RED", Some(1), false, "01"));
    assert_eq!(found.shipped_at, "2026-02-04T00:00:00Z".parse().ok());

    let form = form(super::x12());
    let (levels, _) = stock::levels(&x12_file(X846, FileKind::Stock).unwrap(), "2026-02-05T07:00:00Z".parse().unwrap(), &form);
    let tee = levels.iter().find(|level| level.sku.as_str() == "TEE-BLK-M").unwrap();
    assert_eq!((tee.on_hand, tee.free(), tee.as_of), (100, 92, "2026-02-05T06:00:00Z".parse().unwrap()));

    let receipt = x12_file(X944, FileKind::Receipt).unwrap();
    let row = &receipt[0].rows[0];
    let of = ["quantity_received", "quantity_damaged", "quantity_short", "asn_ref"].map(|name| row.get(name));
    assert_eq!(of, [Some("98"), Some("1"), Some("1"), Some("ASN-500")]);
    let returned = x12_file(X180, FileKind::Return).unwrap();
    let of = ["return_ref", "order_ref", "sku", "disposition", "reason_code"].map(|name| returned[0].rows[0].get(name));
    assert_eq!(of, [Some("RMA-77"), Some("100045"), Some("TEE-BLK-M"), Some("RA"), Some("PF")]);

    let answers = X997.map(|text| read::answers(text.as_bytes(), &form).unwrap().said.remove(0));
    assert_eq!((answers[0].0.as_str(), answers[0].1.is_good()), ("1", true));
    let torn = read::answers(X997[0].replace("AK5*A", "AK5*A~AK5*A").as_bytes(), &form).unwrap();
    assert!(torn.said.is_empty() && torn.unread[0].fault.as_ref().is_some_and(|why| why.contains("segments")), "{torn:?}");
    assert_eq!(
        (answers[1].1.status.as_str(), answers[1].1.messages[0].as_str()),
        ("rejected", "segment W01 at 13: element 1 is missing")
    );
}

#[test]
fn a_line_that_left_without_a_quantity_is_not_read_as_nought() {
    // Neither one that left whole nor one that left in part.
    for code in ["CC", "CL", "BP", "CP", "PR", "SS"] {
        let problems = one(X945.replace("W12*CC*2*2*", &format!("W12*{code}*2**")).as_bytes(), super::x12()).unwrap_err();
        assert!(problems[0].starts_with("file.row") && problems[0].contains("quantity_shipped"), "{code}: {problems:?}");
    }
    for (code, is_final) in [("BO", false), ("DS", false), ("CU", true), ("IC", true)] {
        let found = one(X945.replace("W12*BO*1*0*", &format!("W12*{code}*1**")).as_bytes(), super::x12()).unwrap();
        assert_eq!((found.units(), found.short[0].quantity, found.short[0].is_final), (2, Some(1), is_final), "{code}");
    }
}

#[test]
fn an_interchange_for_others_or_for_a_test_is_refused() {
    let mut real = super::x12();
    real["x12"]["production"] = json!(true);
    let read = |text: &str, change: &Value| read::contents(text.as_bytes(), FileKind::Shipment, &form(change.clone()));
    assert!(matches!(read(X945, &real), Err(Unread::Refused(why)) if why.contains("a test")));
    assert!(
        matches!(read(&X945.replace("SHOP01 ", "SHOP02 "), &super::x12()), Err(Unread::Refused(why)) if why.contains("SHOP02"))
    );
    assert!(matches!(read(X846, &super::x12()), Err(Unread::Refused(why)) if why.contains("Stock")), "its name says otherwise");
    assert!(matches!(read(&X945.replace("ST*945", "ST*856"), &super::x12()), Err(Unread::Refused(why)) if why.contains("856")));
}

#[test]
fn wrong_counts_and_elements_are_answered_and_nothing_of_the_set_is_used() {
    let text = X945.replace("SE*16*", "SE*15*");
    let found = x12_file(&text, FileKind::Shipment).unwrap();
    assert!(found[0].rows[0].fault.as_ref().unwrap().contains("states 15 segments and holds 16"));
    let ak5 = found[0].acknowledgement.as_ref().unwrap().iter().find(|segment| segment[0] == "AK5").unwrap().clone();
    assert_eq!(ak5, ["AK5", "R", "4"]);
    let problems = one(text.as_bytes(), super::x12()).unwrap_err();
    assert!(problems[0].starts_with("file.row"), "{problems:?}");

    let letters = x12_file(&X945.replace("W12*CC*2*2*", "W12*CC*2*two*"), FileKind::Shipment).unwrap();
    let answer = letters[0].acknowledgement.clone().unwrap();
    assert!(answer.contains(&vec!["AK3".into(), "W12".into(), "10".into(), String::new(), "8".into()]), "{answer:?}");
    assert!(answer.contains(&vec!["AK4".into(), "3".into(), String::new(), "6".into(), "two".into()]), "{answer:?}");
    let no_total = x12_file(&X945.replace("W03*2*0.6*KG~\n", "").replace("SE*16", "SE*15"), FileKind::Shipment).unwrap();
    assert!(no_total[0].rows[0].fault.as_ref().unwrap().contains("W03"), "{no_total:?}");
    // A wrong count around the sets refuses all of it.
    for (from, to) in [("GE*1*", "GE*2*"), ("IEA*1*", "IEA*2*"), ("IEA*1*000000002", "IEA*1*000000003"), ("GE*1*2", "GE*1*3")] {
        assert!(matches!(x12_file(&X945.replace(from, to), FileKind::Shipment), Err(Unread::Refused(_))), "{to}");
    }
    let only = one(X945.replace("W06*F*", "W06*X*").as_bytes(), super::x12()).unwrap_err();
    assert!(only[0].starts_with("file.partial_report"), "{only:?}");
    let odd = one(X945.replace("W12*BO*", "W12*QQ*").as_bytes(), super::x12()).unwrap_err();
    assert!(odd[0].contains("\"QQ\" is a status"), "{odd:?}");
}

#[test]
fn other_separators_are_read_from_the_header() {
    let text = X945.replace('*', "|").replace("~\n", "\n").replace('~', "\n");
    let found = one(text.as_bytes(), super::x12()).unwrap();
    assert_eq!(found.units(), 2);
    let twice = format!("{X945}\r\n{}", X945.replace("000000002", "000000009"));
    assert_eq!(x12_file(&twice, FileKind::Shipment).unwrap().len(), 2);
    assert!(x12_file(&format!("{X945}more"), FileKind::Shipment).is_err());
}

#[test]
fn cut_repeated_and_garbled_files_never_panic_and_never_pass_as_whole() {
    for text in [X945, X846, X944, X180, X997[0], X997[1]] {
        for end in 0..text.trim_end().len() {
            assert!(x12::read_all(&text[..end]).is_err(), "{end} of {text}");
        }
        let form = form(super::x12());
        for at in 0..text.len() {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = 0xE5;
            let _ = read::contents(&bytes, FileKind::Shipment, &form);
            let _ = read::answers(&bytes, &form);
        }
    }
    let plain = form(json!({}));
    let all = [
        (TWO_PARCELS.as_bytes(), FileKind::Shipment),
        (STOCK, FileKind::Stock),
        (RETURNS.as_bytes(), FileKind::Return),
        (RECEIPT.as_bytes(), FileKind::Receipt),
        (ACK.as_bytes(), FileKind::Answer),
        (SEMICOLONS, FileKind::Shipment),
    ];
    for (text, kind) in all {
        for end in 0..text.len() {
            let Ok(contents) = read::contents(&text[..end], kind, &plain) else { continue };
            let _ = stock::levels(&contents, jiff::Timestamp::UNIX_EPOCH, &plain);
            let told = read::shipments("f", &contents, &plain).into_iter().chain(read::receipts("f", &contents));
            for (_, told) in told {
                let body = serde_json::to_vec(&told).unwrap().into();
                let raw = Raw { kind: Kind::Shipment, id: ExternalId::new("f"), version: None, body };
                let _ = decode::shipment(&raw, &plain);
            }
        }
    }
    // A file that was put together from itself twice says each parcel twice, and counts it so: more than ordered is
    // the gate's business. Its header in the middle is a bad row.
    let twice = shipments(format!("{TWO_PARCELS}{TWO_PARCELS}").as_bytes(), json!({}));
    assert!(twice.iter().any(Result::is_err), "{twice:?}");
}

/// The order as it reads back from the file that was made of it.
fn back(order: &Order, change: Value) -> (String, Order) {
    let form = form(change);
    let Ok(Encoded::Put(request)) = encode::order(order, &values(), None, &form) else { panic!() };
    let text = match request.body["text"].as_str() {
        Some(text) => text.to_owned(),
        None => {
            let segments: Vec<Vec<String>> = serde_json::from_value(request.body["segments"].clone()).unwrap();
            let parties = form.parties.clone();
            let envelope = x12::Envelope {
                sender: parties.sender,
                receiver: parties.receiver,
                at: jiff::civil::date(2026, 2, 4).at(10, 10, 0, 0),
                control: 1,
                production: false,
                functional: "OW",
                code: "940",
            };
            x12::write(&envelope, &segments)
        }
    };
    let sent = Sent { file: "ord_100045_000000001.csv".into(), text: text.clone(), ..Sent::default() };
    let raw = Raw {
        kind: Kind::Order,
        id: ExternalId::new("ord_100045_000000001.csv"),
        version: None,
        body: serde_json::to_vec(&sent).unwrap().into(),
    };
    let decoded = decode::order(&raw, &form);
    let record = decoded.record.unwrap_or_else(|| panic!("{:?} {text}", decoded.problems));
    (text, record)
}

#[test]
fn an_order_reads_back_from_its_file_in_every_dialect() {
    let carries = selvedge_model::compare::Carries { status: true, ..Default::default() };
    let order = order("100045");
    for change in [
        json!({}),
        json!({ "csv": { "delimiter": ";", "decimal": "," } }),
        json!({ "csv": { "delimiter": "|", "quotes": "none", "header": false } }),
        json!({ "csv": { "quotes": "backslash" } }),
        json!({ "order_columns": ["order_ref: Auftrag", "sku: Artikel", "quantity: Menge", "ship_address1: Strasse"] }),
        super::x12(),
    ] {
        let (text, there) = back(&order, change);
        assert_eq!(compare(&order.clone().into(), &there.into(), carries), [], "{text}");
    }
    let (text, _) = back(&order, json!({}));
    assert!(text.contains("\"Gatan 1, \"\"bakom\"\"; 2 tr\"") && text.contains(",159.20,"), "{text}");
}

#[test]
fn a_940_is_written_as_the_sample_is_and_takes_no_text_that_does_not_fit() {
    let (text, _) = back(&order("100045"), super::x12());
    let sample = include_str!("../samples/x12_940_order.edi");
    let ids = |text: &str| -> Vec<String> {
        text.split('~').map(|segment| segment.trim().split('*').next().unwrap_or_default().to_owned()).collect()
    };
    for id in ids(&text) {
        assert!(ids(sample).contains(&id), "{id} is in no sample: {text}");
    }
    assert!(text.starts_with(&sample[..54]), "{text}");
    assert!(x12::read_all(&text).unwrap()[0].groups[0].sets[0].faults.said().is_none());
    let mut long = order("100045");
    long.shipping.as_mut().unwrap().city = Some("Llanfairpwllgwyngyllgogerychwyrndrobwll".into());
    let problems = encode::order(&long, &values(), None, &form(super::x12())).unwrap_err();
    assert_eq!(problems[0].rule, "pick.too_long");
    let mut odd = order("100045");
    odd.shipping.as_mut().unwrap().city = Some("東京".into());
    let problems = encode::order(&odd, &values(), None, &form(json!({ "csv": { "charset": "windows-1252" } }))).unwrap_err();
    assert_eq!(problems[0].rule, "pick.characters");
}

#[test]
fn nothing_is_sent_without_a_mapped_service() {
    let none = selvedge_model::gate::Values::default();
    let problems = encode::order(&order("1"), &none, None, &form(json!({}))).unwrap_err();
    assert_eq!(problems[0].rule, "mapping.shipping_service");
}
