//! Transaction sets → rows under neutral names, and our orders → 940.

use rust_decimal::Decimal;

use super::{Interchange, Segment, Set, acknowledge};
use crate::threepl::message::{Contents, Fields, FileKind, Row, Unread};

/// The pairs of qualifier and id of a segment that names items, by the qualifier's element.
fn item<'a>(segment: &'a Segment, pairs: &[usize]) -> Option<(&'static str, &'a str)> {
    let of = |wanted: &str| pairs.iter().find(|at| segment.get(**at) == Some(wanted)).and_then(|at| segment.get(at + 1));
    of("SK").map(|sku| ("sku", sku)).or_else(|| ["EN", "UP", "UK"].into_iter().find_map(of).map(|code| ("barcode", code)))
}

fn put(fields: &mut Fields, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        fields.insert(name.to_owned(), value.to_owned());
    }
}

/// `20260204` as a day that any partner's format leaves alone.
fn day(text: Option<&str>) -> Option<String> {
    let text = text.filter(|text| text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit()))?;
    Some(format!("{}-{}-{}T00:00:00Z", text.get(..4)?, text.get(4..6)?, text.get(6..)?))
}

/// The kind that a set is read as.
fn kind_of(code: &str) -> Option<FileKind> {
    match code {
        "945" => Some(FileKind::Shipment),
        "846" => Some(FileKind::Stock),
        "944" => Some(FileKind::Receipt),
        "180" => Some(FileKind::Return),
        "997" => Some(FileKind::Answer),
        _ => None,
    }
}

/// Everything in a file, by kind. A set that is wrong is one row that says so.
pub(in crate::threepl) fn contents(interchanges: &[Interchange]) -> Result<Vec<Contents>, Unread> {
    let mut all: Vec<Contents> = Vec::new();
    let mut number = 0;
    for interchange in interchanges {
        for group in &interchange.groups {
            let mut kinds: Vec<Contents> = Vec::new();
            for set in &group.sets {
                let Some(kind) = kind_of(&set.code) else {
                    return Err(Unread::Refused(format!("it holds a transaction set {}, which is not read", set.code)));
                };
                let rows = match set.faults.said() {
                    Some(fault) => vec![Row { number: 0, fields: about(set), fault: Some(fault) }],
                    None => rows(set),
                };
                let place = kinds.iter().position(|known| known.kind == kind);
                let at = place.unwrap_or_else(|| {
                    kinds.push(Contents { kind, rows: Vec::new(), acknowledgement: None });
                    kinds.len() - 1
                });
                if let Some(contents) = kinds.get_mut(at) {
                    contents.rows.extend(rows.into_iter().map(|row| {
                        number += 1;
                        Row { number, ..row }
                    }));
                }
            }
            if let Some(first) = kinds.first_mut() {
                first.acknowledgement = acknowledge::segments(group);
            }
            all.extend(kinds);
        }
    }
    Ok(all)
}

/// What of a wrong set can be told.
fn about(set: &Set) -> Fields {
    let mut fields = Fields::new();
    if let Some(w06) = set.segments.iter().find(|segment| segment.id() == "W06") {
        put(&mut fields, "order_ref", w06.get(2));
        put(&mut fields, "shipment_ref", w06.get(4));
    }
    for segment in &set.segments {
        match segment.id() {
            "BGN" => put(&mut fields, "return_ref", segment.get(2)),
            "PRF" => put(&mut fields, "order_ref", segment.get(1)),
            "W17" => {
                put(&mut fields, "receipt_ref", segment.get(3));
                put(&mut fields, "report", segment.get(1));
            }
            _ => {}
        }
    }
    fields
}

/// Adds units to those that stand under a name.
fn add(fields: &mut Fields, name: &str, units: Option<&str>) {
    let known = fields.get(name).map_or(Some(Decimal::ZERO), |text| text.parse::<Decimal>().ok());
    let sum = known.zip(units.and_then(|text| text.parse::<Decimal>().ok())).and_then(|(a, b)| a.checked_add(b));
    match sum {
        Some(sum) => drop(fields.insert(name.to_owned(), sum.normalize().to_string())),
        None => put(fields, name, units),
    }
}

fn rows(set: &Set) -> Vec<Row> {
    match set.code.as_str() {
        "945" => shipment(set),
        "846" => stock(set),
        "944" => receipt(set),
        "180" => returned(set),
        _ => Vec::new(),
    }
}

fn row(fields: Fields) -> Row {
    Row { number: 0, fields, fault: None }
}

/// What the codes of element 368 say of a line (fact sheet 4.2); the others are shown as they are.
fn line_status(code: &str) -> &str {
    match code {
        "CC" | "CL" => "shipped",
        "CP" | "CU" | "IC" | "DI" => "cancelled",
        "BP" | "BO" | "BK" | "BM" | "PR" | "SS" | "DS" => "backordered",
        other => other,
    }
}

/// Whether a code of element 368 says that nothing of the line left, so that no quantity has to say it, too.
fn nothing_left(code: &str) -> bool {
    matches!(code, "CU" | "IC" | "DI" | "BO" | "BK" | "BM" | "DS")
}

/// 945: one row per item in a carton.
fn shipment(set: &Set) -> Vec<Row> {
    let mut head = Fields::new();
    let (mut carton, mut carton_tracking, mut header_tracking) = (None::<String>, Vec::<String>::new(), Vec::<String>::new());
    let mut rows: Vec<Row> = Vec::new();
    let mut in_details = false;
    let mut first_of_carton = 0;
    for segment in &set.segments {
        match segment.id() {
            "W06" => {
                // With these, lines that left in full may not be told of at all.
                let full = !matches!(segment.get(1), Some("N" | "X"));
                if !full {
                    head.insert("partial_report".to_owned(), segment.get(1).unwrap_or_default().to_owned());
                }
                put(&mut head, "order_ref", segment.get(2));
                put(&mut head, "shipped_at", day(segment.get(3)).as_deref());
                put(&mut head, "shipment_ref", segment.get(4));
            }
            "N1" if matches!(segment.get(1), Some("SF" | "WH")) && !in_details => put(&mut head, "warehouse", segment.get(4)),
            "G62" if segment.get(1) == Some("11") && !in_details => {
                if let Some(at) = day(segment.get(2)) {
                    head.insert("shipped_at".to_owned(), at);
                }
            }
            "W27" if !in_details => {
                put(&mut head, "carrier", segment.get(2));
                put(&mut head, "service", segment.get(3));
            }
            "LX" => {
                in_details = true;
                first_of_carton = rows.len();
                carton_tracking.clear();
                carton = segment.get(1).map(str::to_owned);
            }
            "MAN" => {
                if segment.get(1) == Some("CP") {
                    carton_tracking.extend(segment.get(2).map(str::to_owned));
                }
                if segment.get(4) == Some("CN") {
                    carton_tracking.extend(segment.get(5).map(str::to_owned));
                }
                if matches!(segment.get(1), Some("GM" | "AA")) {
                    carton = segment.get(2).map(str::to_owned);
                }
            }
            "W12" => {
                let mut fields = head.clone();
                put(&mut fields, "line_status", segment.get(1).map(line_status));
                let nought = segment.get(1).filter(|code| nothing_left(code)).map(|_| "0");
                put(&mut fields, "quantity_shipped", segment.get(3).or(nought));
                if segment.get(1).is_some_and(|code| line_status(code) == "cancelled") {
                    put(&mut fields, "quantity_cancelled", segment.get(4));
                } else {
                    put(&mut fields, "quantity_backordered", segment.get(4));
                }
                put(&mut fields, "unit", segment.get(5));
                put(&mut fields, "reason_code", segment.get(19));
                if let Some((name, id)) = item(segment, &[7, 17, 21]) {
                    put(&mut fields, name, Some(id));
                }
                put(&mut fields, "parcel_ref", carton.as_deref());
                rows.push(row(fields));
            }
            "N9" if segment.get(1) == Some("LI") => {
                if let Some(last) = rows.last_mut() {
                    put(&mut last.fields, "order_line_id", segment.get(2));
                }
            }
            "N9" if matches!(segment.get(1), Some("2I" | "CN" | "BM")) => {
                let number = segment.get(2).map(str::to_owned);
                if in_details { carton_tracking.extend(number) } else { header_tracking.extend(number) }
            }
            _ => {}
        }
        for row in rows.iter_mut().skip(first_of_carton).filter(|_| !carton_tracking.is_empty()) {
            row.fields.insert("tracking_number".to_owned(), carton_tracking.join(" "));
        }
    }
    for row in rows.iter_mut().filter(|row| !row.fields.contains_key("tracking_number") && !header_tracking.is_empty()) {
        row.fields.insert("tracking_number".to_owned(), header_tracking.join(" "));
    }
    rows
}

/// 846: one row per item.
fn stock(set: &Set) -> Vec<Row> {
    let mut head = Fields::new();
    let mut rows: Vec<Row> = Vec::new();
    for segment in &set.segments {
        match segment.id() {
            "BIA" => {
                put(&mut head, "snapshot_id", segment.get(3));
                let time = segment.get(5).filter(|text| text.len() >= 4).unwrap_or("0000");
                let day = day(segment.get(4)).map(|at| {
                    at.replace("T00:00", &format!("T{}:{}", time.get(..2).unwrap_or("00"), time.get(2..4).unwrap_or("00")))
                });
                put(&mut head, "generated_at", day.as_deref());
            }
            "N1" if segment.get(1) == Some("WH") => put(&mut head, "warehouse", segment.get(4)),
            "LIN" => {
                let mut fields = head.clone();
                if let Some((name, id)) = item(segment, &[2, 4, 6, 8]) {
                    put(&mut fields, name, Some(id));
                }
                rows.push(row(fields));
            }
            "QTY" => {
                let name = match segment.get(1) {
                    Some("17" | "26") => "on_hand",
                    Some("33") => "available",
                    Some("27") => "allocated",
                    Some("20") => "damaged",
                    _ => continue,
                };
                if let Some(last) = rows.last_mut() {
                    put(&mut last.fields, name, segment.get(2));
                }
            }
            _ => {}
        }
    }
    rows
}

/// 944: one row per item, with what was damaged of it.
fn receipt(set: &Set) -> Vec<Row> {
    let mut head = Fields::new();
    let mut totals = None;
    let mut rows: Vec<Row> = Vec::new();
    for segment in &set.segments {
        match segment.id() {
            "W17" => {
                put(&mut head, "received_at", day(segment.get(2)).as_deref());
                put(&mut head, "receipt_ref", segment.get(3));
                put(&mut head, "asn_ref", segment.get(4));
                // Reporting code C: goods that a customer sent back.
                put(&mut head, "report", segment.get(1));
            }
            "N1" if segment.get(1) == Some("WH") => put(&mut head, "warehouse", segment.get(4)),
            "W07" => {
                let mut fields = head.clone();
                put(&mut fields, "quantity_received", segment.get(1));
                put(&mut fields, "unit", segment.get(2));
                if let Some((name, id)) = item(segment, &[4, 6]) {
                    put(&mut fields, name, Some(id));
                }
                rows.push(row(fields));
            }
            "N9" if segment.get(1) == Some("LI") => {
                if let Some(last) = rows.last_mut() {
                    put(&mut last.fields, "line_no", segment.get(2));
                }
            }
            "W13" => {
                let name = match segment.get(3) {
                    Some("01") => "quantity_damaged",
                    Some("02") => "quantity_short",
                    Some("03") => "quantity_over",
                    Some(other) => &format!("{CONDITION}{other}"),
                    None => continue,
                };
                if let Some(last) = rows.last_mut() {
                    add(&mut last.fields, name, segment.get(1));
                }
            }
            "W14" => totals = Some(segment),
            _ => {}
        }
    }
    if let Some(among) = totals.and_then(|totals| others(&rows, totals)) {
        for row in &mut rows {
            put(&mut row.fields, "others", Some(among));
        }
    }
    rows
}

/// Whether units that are not good are among those that a W07 counts ("within") or beside them ("apart"), which partners do either
/// way (fact sheet 4.2): only one of the two adds up to what the W14 says was sent.
fn others(rows: &[Row], totals: &Segment) -> Option<&'static str> {
    let sum = |name: &dyn Fn(&str) -> bool| -> Option<Decimal> {
        let texts = rows.iter().flat_map(|row| row.fields.iter().filter(|(known, _)| name(known)).map(|(_, text)| text));
        texts.map(|text| text.parse::<Decimal>().ok()).try_fold(Decimal::ZERO, |sum, one| sum.checked_add(one?))
    };
    let sent: Decimal = totals.get(2)?.parse().ok()?;
    let (received, bad) = (sum(&|name| name == "quantity_received")?, sum(&is_other)?);
    let (short, over) = (sum(&|name| name == "quantity_short")?, sum(&|name| name == "quantity_over")?);
    let missing = sent.checked_sub(received)?.checked_sub(short)?.checked_add(over)?;
    match missing {
        _ if bad.is_zero() => None,
        missing if missing == bad => Some("apart"),
        missing if missing.is_zero() => Some("within"),
        _ => None,
    }
}

/// How the name of units begins whose condition is one of element 412.
pub(in crate::threepl) const CONDITION: &str = "condition_";

/// Whether units under this name are there and not good.
pub(in crate::threepl) fn is_other(name: &str) -> bool {
    name == "quantity_damaged" || name.strip_prefix(CONDITION).is_some_and(|code| code != "07")
}

/// 180: one row per item.
fn returned(set: &Set) -> Vec<Row> {
    let mut head = Fields::new();
    let mut rows: Vec<Row> = Vec::new();
    for segment in &set.segments {
        match segment.id() {
            "BGN" => {
                put(&mut head, "return_ref", segment.get(2));
                put(&mut head, "received_at", day(segment.get(3)).as_deref());
            }
            "PRF" => put(&mut head, "order_ref", segment.get(1)),
            "N1" if segment.get(1) == Some("WH") => put(&mut head, "warehouse", segment.get(4)),
            "BLI" => {
                let mut fields = head.clone();
                if let Some((name, id)) = item(segment, &[1]) {
                    put(&mut fields, name, Some(id));
                }
                put(&mut fields, "quantity_received", segment.get(3));
                put(&mut fields, "unit", segment.get(4));
                rows.push(row(fields));
            }
            "N9" if segment.get(1) == Some("LI") => {
                if let Some(last) = rows.last_mut() {
                    put(&mut last.fields, "order_line_id", segment.get(2));
                }
            }
            "RDR" => {
                // Before the first item it is about all of them.
                let fields = rows.last_mut().map_or(&mut head, |last| &mut last.fields);
                put(fields, "disposition", segment.get(1));
                put(fields, "reason_code", segment.get(2).or(segment.get(4)));
            }
            _ => {}
        }
    }
    rows
}
