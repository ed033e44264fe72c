//! A partner's rows of what came back → a return; what was announced, as it stands → a return. Pure, and it never fails.

use std::collections::BTreeMap;

use jiff::Timestamp;
use selvedge_connector::{
    Decoded, Raw,
    cell::{self, Numbers},
};
use selvedge_model::{
    ExternalId, Problem, RecordKey, Return, Sku,
    records::{Disposition, Named, ReturnLine, ReturnStatus, return_key},
};

use super::super::{
    decode::{Receipt, Sent, Told, is_usable, not_kept, row_problem, sent, table},
    message::{Answer, Row},
    settings::{Form, Format},
    x12,
};

/// Our key of a return that the partner's reference is, and the order in it.
fn ours(reference: &str, order: Option<&str>, connection: &str) -> Option<(RecordKey, String)> {
    let (of, rest) = match order {
        Some(order) => (order, reference.strip_prefix(order)?.strip_prefix('.')?),
        None => {
            let (rest, id) = reference.rsplit_once('.')?;
            let (order, from) = rest.rsplit_once('.')?;
            // A number of theirs that has dots in it names no connection.
            (!id.is_empty() && from.starts_with(|c: char| c.is_ascii_alphabetic())).then_some(())?;
            (order, reference.strip_prefix(order)?.strip_prefix('.')?)
        }
    };
    let (from, id) = rest.split_once('.')?;
    let is_key = !of.is_empty() && !from.is_empty() && !id.is_empty() && from != connection;
    is_key.then(|| (RecordKey::new(reference), of.to_owned()))
}

/// One return out of its rows.
pub(in crate::threepl) fn receipt(raw: &Raw, form: &Form) -> Decoded<Return> {
    let mut problems = Vec::new();
    let record = match serde_json::from_slice::<Told>(&raw.body) {
        Ok(told) => read_receipt(&told, raw, form, &mut problems),
        Err(why) => {
            problems.push(not_kept(raw, &why));
            None
        }
    };
    Decoded::of(record, problems)
}

/// Of which order a row is, and which return of ours it answers.
fn about(row: &Row, form: &Form) -> (Option<String>, Option<RecordKey>) {
    // A 944 has one place for the number that the goods were sent under: the order's, or that of what was announced.
    let (announced, order) = match row.get("report") {
        Some(_) => (row.get("asn_ref"), None),
        None => (row.get("return_ref"), row.get("order_ref")),
    };
    match announced.and_then(|reference| ours(reference, order, &form.connection)) {
        Some((key, of)) => (Some(of), Some(key)),
        None if row.get("report").is_some() => (announced.map(str::to_owned), None),
        None => (order.map(str::to_owned), None),
    }
}

/// What the partner's word means. One that nobody has said the meaning of is shown, and the return is held.
fn disposition(told: &Told, receipt: &Receipt, form: &Form, problems: &mut Vec<Problem>) -> Disposition {
    if let Some(means) = form.dispositions.get(&receipt.word) {
        return *means;
    }
    let row = told.rows.first();
    let word = row.and_then(|row| row.get("disposition").or_else(|| row.get("grade"))).unwrap_or_default();
    let said = if word.is_empty() { "says nothing of what becomes of the goods".to_owned() } else { format!("says {word:?}") };
    problems.push(
        Problem::new(
            "return.disposition",
            "disposition",
            format!("{} {said} of return {}, and nobody has said what that means", told.file, receipt.reference),
            format!("Ask the warehouse what it means, write it under dispositions of the connection ({word:?} = \"restock\", \"quarantine\" or \"write_off\"), then release."),
        )
        .value(word)
        .cause(receipt.word.as_str()),
    );
    // Held by the problem; kept apart, should somebody ever look at it without.
    Disposition::Quarantine
}

fn line(told: &Told, row: &Row, form: &Form, problems: &mut Vec<Problem>) -> Option<ReturnLine> {
    let mut wrong = |path: &str, message: String| problems.push(row_problem(told, row, "file.row", path, message));
    if let Some(why) = &row.fault {
        wrong("", why.clone());
        return None;
    }
    let Some(sku) = row.get("sku") else {
        let barcode = row.get("barcode").map(|code| format!(" (barcode {code})")).unwrap_or_default();
        wrong("sku", format!("it names no SKU{barcode}"));
        return None;
    };
    let quantity = match row.get("quantity_received").map(|text| form.numbers.units(text)) {
        Some(Ok(units)) => u32::try_from(units).ok(),
        Some(Err(why)) => {
            wrong("quantity_received", format!("quantity_received: {why}"));
            return None;
        }
        None => None,
    };
    let Some(quantity) = quantity else {
        let stated = row.get("quantity_received").unwrap_or("nothing");
        wrong("quantity_received", format!("quantity_received: it counts {stated}; an empty quantity is not nought"));
        return None;
    };
    if let Some(Err(why)) = row.get("unit").map(|unit| cell::pieces(i64::from(quantity), unit, None)) {
        wrong("unit", format!("unit: {why}"));
        return None;
    }
    (quantity > 0).then(|| ReturnLine {
        order: None,
        order_line: row.get("order_line_id").map(ExternalId::new),
        sku: Sku::new(sku),
        quantity,
        condition: row.get("grade").map(str::to_owned),
        reason: row.get("reason_code").map(str::to_owned),
    })
}

/// What all that say anything say; nothing where they differ.
fn one<T: PartialEq>(mut all: impl Iterator<Item = T>) -> Option<T> {
    let first = all.next()?;
    all.all(|other| other == first).then_some(first)
}

fn read_receipt(told: &Told, raw: &Raw, form: &Form, problems: &mut Vec<Problem>) -> Option<Return> {
    if !is_usable(told, problems) {
        return None;
    }
    let receipt = told.returned.clone().unwrap_or_default();
    let before = problems.len();
    let (mut lines, mut received_at) = (Vec::new(), None);
    for row in &told.rows {
        let Some(line) = line(told, row, form, problems) else { continue };
        let order = about(row, form).0.map(RecordKey::new);
        lines.push(ReturnLine { order, ..line });
    }
    for row in &told.rows {
        match row.get("received_at").map(|text| form.times.instant(text)) {
            Some(Ok(at)) => received_at = received_at.max(Some(at)),
            Some(Err(why)) => problems.push(row_problem(told, row, "file.row", "received_at", format!("received_at: {why}"))),
            None => {}
        }
    }
    let whole = told.rows.iter().filter(|row| row.fault.is_none());
    // With no row that can be read there is nothing to tell.
    whole.clone().next()?;
    let order = one(whole.clone().filter_map(|row| about(row, form).0)).map(RecordKey::new);
    let counterpart = one(whole.clone().filter_map(|row| about(row, form).1));
    for line in &mut lines {
        line.order = line.order.take().or_else(|| order.clone());
    }
    let disposition = disposition(told, &receipt, form, problems);
    if lines.is_empty() && problems.len() == before {
        problems.push(
            Problem::new(
                "return.nothing",
                "lines",
                format!("{} tells of return {} and counts nothing that came", told.file, receipt.reference),
                "Ask the warehouse whether the parcel was empty or is still to come. What they tell of it next takes this one's place; dismiss this if nothing will come.",
            )
            .cause(receipt.reference.as_str()),
        );
    }
    let id = match &receipt {
        Receipt { reference, word, one_of_several: true } => format!("{reference}-{}", suffix(word)),
        Receipt { reference, .. } => reference.clone(),
    };
    let warehouse = whole.clone().find_map(|row| row.get("warehouse")).unwrap_or(&form.warehouse);
    let mut comments: Vec<&str> = whole.clone().filter_map(|row| row.get("comment")).collect();
    comments.dedup();
    let at = received_at.or(raw.version).unwrap_or(Timestamp::UNIX_EPOCH);
    Some(Return {
        key: return_key(order.as_ref().map(RecordKey::as_str), &form.connection, &id),
        id: ExternalId::new(id),
        order,
        counterpart,
        shipment: None,
        status: if lines.is_empty() { ReturnStatus::Announced } else { ReturnStatus::Received },
        created_at: at,
        received_at: received_at.filter(|_| !lines.is_empty()),
        updated_at: raw.version.unwrap_or(at),
        warehouse: Some(Named { id: warehouse.to_owned(), name: warehouse.to_owned() }),
        disposition,
        reason: one(whole.filter_map(|row| row.get("reason_code"))).map(str::to_owned),
        comment: (!comments.is_empty()).then(|| comments.join("; ")),
        lines,
    })
}

/// The partner's word as a part of a key.
fn suffix(word: &str) -> String {
    let word: String = word.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    if word.is_empty() { "untold".to_owned() } else { word }
}

/// What `encode` has to know of an announcement that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::threepl) struct There {
    pub id: ExternalId,
    pub staged: Option<String>,
    pub withdrawn: bool,
    pub rejected: bool,
    pub units: BTreeMap<String, u64>,
}

/// What a file of ours announces.
struct Announced {
    key: String,
    order: Option<String>,
    lines: Vec<ReturnLine>,
}

fn returned_line(order: Option<&str>, order_line: Option<&str>, sku: &str, quantity: &str) -> Option<ReturnLine> {
    Some(ReturnLine {
        order: order.map(RecordKey::new),
        order_line: order_line.filter(|id| !id.is_empty()).map(ExternalId::new),
        sku: Sku::new(sku),
        quantity: u32::try_from(Numbers::POINT.units(quantity).ok()?).ok()?,
        condition: None,
        reason: None,
    })
}

fn announced(sent: &Sent, form: &Form) -> Option<Announced> {
    match form.format {
        Format::Csv => {
            let table = table(sent, form)?;
            let place = |name: &str| form.announcement_columns.iter().position(|(ours, _)| ours == name);
            let (key, sku, quantity) = (place("return_ref")?, place("sku")?, place("quantity_expected")?);
            let (order, id) = (place("order_ref"), place("order_line_id"));
            let first = table.rows.first()?.cell(key).to_owned();
            table.problems.is_empty().then_some(())?;
            let rows = table.rows.iter().map(|row| {
                let of = |at: Option<usize>| at.map(|at| row.cell(at)).filter(|text| !text.is_empty());
                returned_line(of(order), of(id), row.cell(sku), row.cell(quantity))
            });
            let lines = rows.collect::<Option<Vec<ReturnLine>>>()?;
            let order = one(lines.iter().filter_map(|line| line.order.clone())).map(|order| order.to_string());
            Some(Announced { key: first, order, lines })
        }
        Format::X12 => {
            let interchanges = x12::read_all(&sent.text).ok()?;
            let set = interchanges.first()?.groups.first()?.sets.first()?;
            let key = set.segments.iter().find(|segment| segment.id() == "BGN")?.get(2)?.to_owned();
            let order = set.segments.iter().find(|segment| segment.id() == "PRF").and_then(|prf| prf.get(1)).map(str::to_owned);
            let mut lines: Vec<ReturnLine> = Vec::new();
            for segment in &set.segments {
                match segment.id() {
                    "BLI" => lines.push(returned_line(order.as_deref(), None, segment.get(2)?, segment.get(3)?)?),
                    "N9" if segment.get(1) == Some("LI") => lines.last_mut()?.order_line = segment.get(2).map(ExternalId::new),
                    _ => {}
                }
            }
            Some(Announced { key, order, lines })
        }
    }
}

/// How an announcement stands there; none when it cannot be read.
pub(super) fn there(raw: &Raw, form: &Form) -> Option<There> {
    let sent = sent(raw)?;
    let mut units: BTreeMap<String, u64> = BTreeMap::new();
    for line in announced(&sent, form)?.lines {
        *units.entry(line.sku.to_string()).or_default() += u64::from(line.quantity);
    }
    let rejected = sent.answer.as_ref().is_some_and(Answer::is_rejected);
    Some(There { id: raw.id.clone(), staged: sent.staged, withdrawn: sent.cancelled, rejected, units })
}

pub(super) fn unreadable(raw: &Raw, form: &Form) -> Problem {
    Problem::new(
        "decode.unreadable",
        "",
        format!("the copy of {} in the folder {} cannot be read back", raw.id, form.folders.sent),
        "Look at the file there: somebody changed it, or the disk was full. Ask the warehouse whether the return reached them whole.",
    )
}

/// An announced return as our copy and the partner's answer tell it.
pub(in crate::threepl) fn announcement(raw: &Raw, form: &Form) -> Decoded<Return> {
    let (record, problems) = match read_announcement(raw, form) {
        Ok(returned) => (Some(returned), Vec::new()),
        Err(problem) => (None, vec![*problem]),
    };
    Decoded::of(record, problems)
}

fn read_announcement(raw: &Raw, form: &Form) -> Result<Return, Box<Problem>> {
    let sent = sent(raw).ok_or_else(|| Box::new(unreadable(raw, form)))?;
    if let Some(file) = &sent.staged {
        return Err(Box::new(Problem::new(
            "return.staged",
            "",
            format!("{file} was written and not handed over"),
            "Release it: it is handed over, and nothing is written twice.",
        )));
    }
    if let Some(answer) = sent.answer.as_ref().filter(|answer| !answer.is_good()) {
        let problem = Problem::new(
            "return.refused",
            "",
            format!("the warehouse answers {} to {}: {}", answer.status, sent.file, answer.messages.join("; ")),
            "Mend what they name, in the shop or with them, then release: what they took nothing of is sent anew. Goods that nobody announced are received all the same.",
        );
        return Err(Box::new(problem.cause(answer.messages.first().map_or("", String::as_str))));
    }
    let told = announced(&sent, form).ok_or_else(|| Box::new(unreadable(raw, form)))?;
    let at = raw.version.unwrap_or(Timestamp::UNIX_EPOCH);
    Ok(Return {
        key: RecordKey::new(told.key),
        id: raw.id.clone(),
        order: told.order.map(RecordKey::new),
        counterpart: None,
        shipment: None,
        status: if sent.cancelled { ReturnStatus::Cancelled } else { ReturnStatus::Announced },
        created_at: at,
        received_at: None,
        updated_at: at,
        warehouse: Some(Named { id: form.warehouse.clone(), name: form.warehouse.clone() }),
        disposition: Disposition::Restock,
        reason: None,
        comment: None,
        lines: told.lines,
    })
}
