//! What was sent, as it stands → an order; a partner's rows → a shipment. Pure, and it never fails.

use std::collections::BTreeMap;

use jiff::Timestamp;
use selvedge_connector::{
    Decoded, Raw,
    cell::{self, Numbers},
    picking,
    table::{Dialect, Table},
};
use selvedge_model::{
    Currency, ExternalId, Order, Problem, RecordKey, Shipment, Sku,
    records::{Named, OrderStatus, Parcel, ShipmentLine, ShipmentStatus, Shortage, shipment_key},
};
use serde::{Deserialize, Serialize};

use super::{
    message::{Answer, FileKind, LineState, Row},
    settings::{Form, Format},
    x12,
};
use crate::handed_over::SERVICE;

/// An order as its files at the partner tell it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sent {
    /// The file's name.
    pub file: String,
    /// What stands in our copy.
    pub text: String,
    /// The file that waits to be handed over, if one does.
    pub staged: Option<String>,
    /// Whether a cancellation was handed over.
    pub cancelled: bool,
    /// What the partner said.
    pub answer: Option<Answer>,
}

/// What `encode` has to know of an order that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct There {
    pub id: ExternalId,
    pub staged: Option<String>,
    pub cancelled: bool,
    pub rejected: bool,
    pub units: BTreeMap<String, u64>,
    /// Where it goes and how, under our names of the columns, as far as the file tells it.
    pub texts: BTreeMap<&'static str, String>,
}

pub(super) fn sent(raw: &Raw) -> Option<Sent> {
    serde_json::from_slice(&raw.body).ok()
}

/// Line id, SKU and units.
type Line = (String, String, u32);

/// What is compared of an order once it was handed over: what it is called, and our name of its column.
pub(super) const HANDED_OVER: [(&str, &str); 8] = [
    ("name", "ship_name"),
    ("company", "ship_company"),
    ("address line 1", "ship_address1"),
    ("address line 2", "ship_address2"),
    ("post code", "ship_postcode"),
    ("city", "ship_city"),
    ("country", "ship_country"),
    (SERVICE, "service_code"),
];

pub(super) fn table(sent: &Sent, form: &Form) -> Option<Table> {
    let dialect = Dialect { delimiter: Some(form.delimiter), charset: None, ..form.dialect.clone() };
    Table::read(sent.text.as_bytes(), &dialect).ok()
}

/// Order number and lines of a file of ours.
fn lines(sent: &Sent, form: &Form) -> Option<(String, Vec<Line>)> {
    match form.format {
        Format::Csv => {
            let table = table(sent, form)?;
            let place = |name: &str| form.order_columns.iter().position(|(ours, _)| ours == name);
            let (number, sku, quantity) = (place("order_ref")?, place("sku")?, place("quantity")?);
            let id = place("order_line_id");
            let first = table.rows.first()?.cell(number).to_owned();
            let rows = table.rows.iter().map(|row| {
                let units = u32::try_from(Numbers::POINT.units(row.cell(quantity)).ok()?).ok()?;
                Some((id.map_or(String::new(), |at| row.cell(at).to_owned()), row.cell(sku).to_owned(), units))
            });
            (table.problems.is_empty()).then_some(())?;
            Some((first, rows.collect::<Option<_>>()?))
        }
        Format::X12 => {
            let interchanges = x12::read_all(&sent.text).ok()?;
            let set = interchanges.first()?.groups.first()?.sets.first()?;
            let number = set.segments.iter().find(|segment| segment.id() == "W05")?.get(2)?.to_owned();
            let mut rows: Vec<Line> = Vec::new();
            for segment in &set.segments {
                match segment.id() {
                    "W01" => rows.push((String::new(), segment.get(5)?.to_owned(), segment.get(1)?.parse().ok()?)),
                    "N9" if segment.get(1) == Some("LI") => rows.last_mut()?.0 = segment.get(2)?.to_owned(),
                    _ => {}
                }
            }
            Some((number, rows))
        }
    }
}

/// What a file of ours says of where the order goes and how, under our names of the columns.
fn texts(sent: &Sent, form: &Form) -> Option<BTreeMap<&'static str, String>> {
    match form.format {
        Format::Csv => {
            let table = table(sent, form)?;
            let row = table.rows.first()?;
            let told = |name: &'static str| {
                let place = form.order_columns.iter().position(|(ours, _)| ours == name)?;
                Some((name, row.cell(place).to_owned()))
            };
            Some(HANDED_OVER.iter().filter_map(|(_, column)| told(column)).collect())
        }
        Format::X12 => {
            let interchanges = x12::read_all(&sent.text).ok()?;
            let set = interchanges.first()?.groups.first()?.sets.first()?;
            let mut texts = BTreeMap::new();
            let mut of_recipient = false;
            for segment in &set.segments {
                let elements: &[(&'static str, usize)] = match segment.id() {
                    "N1" => {
                        of_recipient = segment.get(1) == Some("ST");
                        if of_recipient { &[("ship_name", 2)] } else { &[] }
                    }
                    "N3" if of_recipient => &[("ship_address1", 1), ("ship_address2", 2)],
                    "N4" if of_recipient => &[("ship_city", 1), ("ship_postcode", 3), ("ship_country", 4)],
                    "W66" => &[("service_code", 5)],
                    _ => &[],
                };
                texts.extend(elements.iter().map(|(name, at)| (*name, segment.get(*at).unwrap_or_default().to_owned())));
            }
            Some(texts)
        }
    }
}

/// How an order stands there; none when it cannot be read.
pub(super) fn there(raw: &Raw, form: &Form) -> Option<There> {
    let sent = sent(raw)?;
    let (_, lines) = lines(&sent, form)?;
    let mut units: BTreeMap<String, u64> = BTreeMap::new();
    for (_, sku, quantity) in lines {
        *units.entry(sku).or_default() += u64::from(quantity);
    }
    let rejected = sent.answer.as_ref().is_some_and(Answer::is_rejected);
    let texts = texts(&sent, form)?;
    Some(There { id: raw.id.clone(), staged: sent.staged, cancelled: sent.cancelled, rejected, units, texts })
}

/// An order as our copy and the partner's answer tell it.
pub(super) fn order(raw: &Raw, form: &Form) -> Decoded<Order> {
    let (record, problems) = match read_order(raw, form) {
        Ok(order) => (Some(order), Vec::new()),
        Err(problem) => (None, vec![*problem]),
    };
    Decoded::of(record, problems)
}

fn read_order(raw: &Raw, form: &Form) -> Result<Order, Box<Problem>> {
    let unreadable = || {
        Box::new(Problem::new(
            "decode.unreadable",
            "",
            format!("the copy of {} in the folder {} cannot be read back", raw.id, form.folders.sent),
            "Look at the file there: somebody changed it, or the disk was full. Ask the warehouse whether the order reached them whole.",
        ))
    };
    let sent = sent(raw).ok_or_else(unreadable)?;
    if let Some(file) = &sent.staged {
        return Err(Box::new(Problem::new(
            "pick.staged",
            "",
            format!("{file} was written and not handed over"),
            "Release it: it is handed over, and nothing is written twice.",
        )));
    }
    if let Some(answer) = sent.answer.as_ref().filter(|answer| !answer.is_good()) {
        let remedy = if answer.is_rejected() {
            "Mend what they name, in the shop or with them, then release: a new file is written under a new number."
        } else {
            "Settle it with them, then release once they have answered the file anew, or dismiss. It is not sent again by itself: what they took would be picked twice."
        };
        return Err(Box::new(
            Problem::new(
                "pick.refused",
                "",
                format!("the warehouse answers {} to {}: {}", answer.status, sent.file, answer.messages.join("; ")),
                remedy,
            )
            .cause(answer.messages.first().map_or("", String::as_str)),
        ));
    }
    let (number, lines) = lines(&sent, form).ok_or_else(unreadable)?;
    let currency = Currency::from_code("EUR").ok_or_else(unreadable)?;
    let at = raw.version.unwrap_or(Timestamp::UNIX_EPOCH);
    Ok(Order {
        status: if sent.cancelled { OrderStatus::Cancelled } else { OrderStatus::Confirmed },
        lines: lines.iter().map(|(id, sku, quantity)| picking::line(id, sku, *quantity, currency)).collect(),
        ..picking::order(&number, raw.id.clone(), currency, at)
    })
}

/// What a file of the partner says of one shipment, or why it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    /// The file's name.
    pub file: String,
    /// Its rows of this shipment.
    pub rows: Vec<Row>,
    /// Why the whole file is not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Rows of the same file that cannot be read, where they hold up the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<String>,
    /// What it tells of that nothing takes, where it does: it is kept and said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<FileKind>,
    /// Which receipt of returned goods it tells of, where it tells of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned: Option<Receipt>,
}

/// What tells one receipt of returned goods from others. Nothing of it hangs on what a person says of the partner's words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Receipt {
    /// The partner's number of it, or what stands for one.
    pub reference: String,
    /// The partner's word for what becomes of these goods, in lower case.
    pub word: String,
    /// Whether the receipt has others of another word: each is a return of its own.
    pub one_of_several: bool,
}

/// One shipment out of its rows.
pub(super) fn shipment(raw: &Raw, form: &Form) -> Decoded<Shipment> {
    let mut problems = Vec::new();
    let record = match serde_json::from_slice::<Told>(&raw.body) {
        Ok(told) => read_shipment(&told, raw, form, &mut problems),
        Err(why) => {
            problems.push(not_kept(raw, &why));
            None
        }
    };
    Decoded::of(record, problems)
}

/// What was kept of a file cannot be read.
pub(super) fn not_kept(raw: &Raw, why: &serde_json::Error) -> Problem {
    Problem::new(
        "decode.unreadable",
        "",
        format!("what was kept of {} cannot be read: {why}", raw.id),
        "Look at its raw bytes; update the connector, then release.",
    )
}

const ROW_REMEDY: &str = "Ask the partner for a corrected file: what it says of the same thing takes this one's place. The file is in the archive folder.";

pub(super) fn row_problem(told: &Told, row: &Row, rule: &str, path: &str, message: String) -> Problem {
    Problem::new(
        rule,
        format!("{path} (row {})", row.number),
        format!("{}, row {}: {message}", told.file, row.number),
        ROW_REMEDY,
    )
    .cause(told.file.as_str())
}

/// Rows of a receipt that its problem names; the others stand in the raw document.
const KEPT_ROWS: usize = 20;

/// What came and nothing takes yet, so that a person can.
fn kept(told: &Told, kind: FileKind) -> Problem {
    let what = if kind == FileKind::Return { "return receipt" } else { "goods receipt" };
    let say = |name: &str| told.rows.iter().find_map(|row| row.get(name)).map(str::to_owned);
    let number = say("return_ref").or_else(|| say("receipt_ref")).unwrap_or_else(|| "without a number".to_owned());
    let about = say("order_ref").map(|order| format!(" of order {order}"));
    let about = about.or_else(|| say("asn_ref").map(|asn| format!(" for {asn}"))).unwrap_or_default();
    let row = |row: &Row| {
        if let Some(why) = &row.fault {
            return format!("row {}: {why}", row.number);
        }
        let more = ["quantity_damaged", "quantity_short", "quantity_over", "disposition", "grade", "reason_code", "comment"];
        let more: Vec<String> = more.iter().filter_map(|name| Some(format!("{name} {}", row.get(name)?))).collect();
        let more = if more.is_empty() { String::new() } else { format!(" ({})", more.join(", ")) };
        let sku = row.get("sku").or_else(|| row.get("barcode")).unwrap_or("an item without a SKU");
        format!("{} × {sku}{more}", row.get("quantity_received").unwrap_or("an untold number"))
    };
    let rows: Vec<String> = told.rows.iter().take(KEPT_ROWS).map(row).collect();
    let rest = told.rows.len().saturating_sub(KEPT_ROWS);
    let rest = if rest == 0 { String::new() } else { format!("; and {rest} rows more") };
    Problem::new(
        "file.kept",
        "",
        format!("{what} {number}{about} has arrived with {}: {}{rest}", told.file, rows.join("; ")),
        "Book it by hand where it belongs, then dismiss this: nothing takes receipts by itself yet. The file was answered and is in the archive folder, and its rows are kept with this document.",
    )
    .cause(what)
}

/// Whether anything can be made of what a file says, and what has to be said first.
pub(super) fn is_usable(told: &Told, problems: &mut Vec<Problem>) -> bool {
    if let Some(why) = &told.refused {
        problems.push(
            Problem::new(
                "file.refused",
                "",
                format!("{} is not used: {why}", told.file),
                "Ask the partner for the file once more, whole; this one is in the archive folder. Dismiss this when the corrected one has come.",
            )
            .cause(told.file.as_str()),
        );
        return false;
    }
    if let Some(kind) = told.kept {
        problems.push(kept(told, kind));
        return false;
    }
    if let Some(why) = &told.held_by {
        problems.push(
            Problem::new("file.held", "", format!("{} is held as a whole: {why}", told.file), ROW_REMEDY)
                .cause(told.file.as_str()),
        );
    }
    true
}

fn read_shipment(told: &Told, raw: &Raw, form: &Form, problems: &mut Vec<Problem>) -> Option<Shipment> {
    if !is_usable(told, problems) {
        return None;
    }
    let before = problems.len();
    let mut lines: Vec<ShipmentLine> = Vec::new();
    let mut short: Vec<Shortage> = Vec::new();
    let mut parcels: Vec<Parcel> = Vec::new();
    let mut shipped_at = None;
    let mut seen: Vec<(Option<&str>, &str, u32)> = Vec::new();
    for row in &told.rows {
        if let Some(why) = &row.fault {
            problems.push(row_problem(told, row, "file.row", "", why.clone()));
            continue;
        }
        if let Some(report) = row.get("partial_report") {
            problems.push(row_problem(
                told,
                row,
                "file.partial_report",
                "W06",
                format!("reporting code {report} leaves out lines that left in full, so nobody can say what is meant by silence"),
            ));
            continue;
        }
        let Some((sku, quantity, state)) = line(told, row, form, problems) else { continue };
        let order_line = row.get("order_line_id").map(ExternalId::new);
        let counted = (row.get("order_line_id"), sku, quantity);
        // Where each parcel repeats the line, its units left once.
        if quantity > 0 && !(form.per_line && seen.contains(&counted)) {
            seen.push(counted);
            lines.push(ShipmentLine { order_line: order_line.clone(), sku: Sku::new(sku), quantity });
        }
        shortage(told, row, &order_line, sku, state, form, &mut short, problems);
        if quantity > 0 {
            parcel(told, row, &mut parcels, problems);
        }
        match row.get("shipped_at").map(|text| form.times.instant(text)) {
            Some(Ok(at)) => shipped_at = shipped_at.max(Some(at)),
            Some(Err(why)) => problems.push(row_problem(told, row, "file.row", "shipped_at", format!("shipped_at: {why}"))),
            None => {}
        }
    }
    let Some(number) = told.rows.iter().find_map(|row| row.get("order_ref")) else {
        if problems.len() == before {
            let row = told.rows.first().cloned().unwrap_or_default();
            problems.push(row_problem(told, &row, "file.row", "order_ref", "it names no order".to_owned()));
        }
        return None;
    };
    let id = shipment_ref(told)?;
    let warehouse = told.rows.iter().find_map(|row| row.get("warehouse")).unwrap_or(&form.warehouse);
    Some(Shipment {
        key: shipment_key(number, &form.connection, &id),
        id: ExternalId::new(id),
        order: RecordKey::new(number),
        status: if lines.is_empty() { ShipmentStatus::Open } else { ShipmentStatus::Shipped },
        shipped_at,
        updated_at: raw.version.or(shipped_at).unwrap_or(Timestamp::UNIX_EPOCH),
        warehouse: Some(Named { id: warehouse.to_owned(), name: warehouse.to_owned() }),
        lines,
        short,
        parcels,
        captured: None,
        bundles: Vec::new(),
    })
}

/// The partner's id of a shipment; where they give none, its day and first tracking number tell it from others of the order.
pub(super) fn shipment_ref(told: &Told) -> Option<String> {
    let first = told.rows.first()?;
    if let Some(stated) = told.rows.iter().find_map(|row| row.get("shipment_ref")) {
        return Some(stated.to_owned());
    }
    let parts = ["shipped_at", "tracking_number"].map(|name| told.rows.iter().find_map(|row| row.get(name)).unwrap_or_default());
    let text: String = parts.join("-").chars().filter(|c| c.is_alphanumeric() || *c == '-').collect();
    Some(if text.len() > 1 { text } else { format!("{}-{}", told.file, first.number) })
}

/// SKU, units and state of a row.
fn line<'a>(told: &Told, row: &'a Row, form: &Form, problems: &mut Vec<Problem>) -> Option<(&'a str, u32, LineState)> {
    let mut wrong = |path: &str, message: String| problems.push(row_problem(told, row, "file.row", path, message));
    let sku = match (row.get("sku"), row.get("shipped_sku")) {
        (Some(ordered), Some(left)) if ordered != left => {
            wrong("shipped_sku", format!("{left} left instead of {ordered}: a substitution is never guessed to be right"));
            return None;
        }
        (Some(sku), _) => sku,
        (None, _) => {
            let barcode = row.get("barcode").map(|code| format!(" (barcode {code})")).unwrap_or_default();
            wrong("sku", format!("it names no SKU{barcode}"));
            return None;
        }
    };
    let word = row.get("line_status").unwrap_or_default();
    let Some(state) = form.states.get(&word.to_lowercase()).copied().or_else(|| LineState::from_word(word)) else {
        wrong("line_status", format!("{word:?} is a status that nobody has said the meaning of; say it under statuses"));
        return None;
    };
    let quantity = match row.get("quantity_shipped").map(|text| form.numbers.units(text)) {
        Some(Ok(units)) => u32::try_from(units).ok(),
        Some(Err(why)) => {
            wrong("quantity_shipped", format!("quantity_shipped: {why}"));
            return None;
        }
        None => None,
    };
    let Some(quantity) = quantity else {
        let stated = row.get("quantity_shipped").unwrap_or("nothing");
        wrong("quantity_shipped", format!("quantity_shipped: it counts {stated}; an empty quantity is not nought"));
        return None;
    };
    match row.get("unit").map(|unit| cell::pieces(i64::from(quantity), unit, None)) {
        Some(Err(why)) => {
            wrong("unit", format!("unit: {why}"));
            None
        }
        _ => Some((sku, quantity, state)),
    }
}

#[expect(clippy::too_many_arguments, reason = "the row, where it is from, and where its findings go")]
fn shortage(
    told: &Told,
    row: &Row,
    order_line: &Option<ExternalId>,
    sku: &str,
    state: LineState,
    form: &Form,
    short: &mut Vec<Shortage>,
    problems: &mut Vec<Problem>,
) {
    let mut units = |name: &str| match row.get(name).map(|text| form.numbers.units(text)) {
        None => Some(None),
        Some(Ok(units)) => Some(u32::try_from(units).ok()),
        Some(Err(why)) => {
            problems.push(row_problem(told, row, "file.row", name, format!("{name}: {why}")));
            None
        }
    };
    let (Some(follows), Some(never)) = (units("quantity_backordered"), units("quantity_cancelled")) else { return };
    let reason = row.get("reason_code").or_else(|| row.get("line_status")).unwrap_or_default().to_owned();
    let mut add = |quantity: Option<u32>, is_final: bool| {
        short.push(Shortage { order_line: order_line.clone(), sku: Sku::new(sku), quantity, is_final, reason: reason.clone() });
    };
    match (follows.filter(|units| *units > 0), never.filter(|units| *units > 0), state) {
        (None, None, LineState::Shipped) => {}
        (None, None, LineState::Backordered | LineState::Short) => add(None, false),
        (None, None, LineState::Cancelled) => add(None, true),
        (follows, never, _) => {
            follows.into_iter().for_each(|units| add(Some(units), false));
            never.into_iter().for_each(|units| add(Some(units), true));
        }
    }
}

fn parcel(told: &Told, row: &Row, parcels: &mut Vec<Parcel>, problems: &mut Vec<Problem>) {
    let text = |name: &str| row.get(name).map(str::to_owned);
    let url = text("tracking_url").filter(|url| url.starts_with("https://") || url.starts_with("http://"));
    let numbers = match row.get("tracking_number").map(selvedge_model::tracking::read) {
        None => Vec::new(),
        Some(Ok(numbers)) => numbers.into_iter().map(|number| number.raw).collect(),
        Some(Err(why)) => {
            problems.push(row_problem(told, row, "file.row", "tracking_number", format!("tracking_number: {why}")));
            return;
        }
    };
    let one =
        |tracking: Option<String>| Parcel { carrier: text("carrier"), service: text("service"), tracking, url: url.clone() };
    let found: Vec<Parcel> =
        if numbers.is_empty() { vec![one(None)] } else { numbers.into_iter().map(|n| one(Some(n))).collect() };
    for parcel in found {
        if !parcels.contains(&parcel) {
            parcels.push(parcel);
        }
    }
}
