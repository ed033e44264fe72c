//! A return that the shop expects → the file that announces it to the warehouse, or the next step of handing it over. Pure.
//!
//! The steps are those of an order: written whole with a copy that stays, then renamed.

use std::collections::{BTreeMap, BTreeSet};

use selvedge_connector::{Encoded, Request};
use selvedge_model::{
    Problem, RecordKey, Return,
    records::{ReturnLine, ReturnStatus},
};
use serde_json::{Value, json};

use super::{
    super::{
        encode::cell,
        message::FileKind,
        settings::{Form, Format},
    },
    decode::There,
};

/// The longest texts that the segments of a 180 hold (fact sheet 4.2).
const X12_LIMITS: [(&str, usize); 4] = [("return_ref", 50), ("order_ref", 22), ("sku", 48), ("order_line_id", 30)];
/// The longest reason in words that is told in a 180; it is for people, and a longer one is left out.
const REASON_MAX: usize = 80;

/// Of which order a line is.
fn order_of<'a>(record: &'a Return, line: &'a ReturnLine) -> Option<&'a RecordKey> {
    line.order.as_ref().or(record.order.as_ref())
}

fn field(column: &str, record: &Return, line: &ReturnLine) -> String {
    match column {
        "return_ref" => record.key.to_string(),
        "order_ref" => order_of(record, line).map(ToString::to_string).unwrap_or_default(),
        "order_line_id" => line.order_line.as_ref().map(ToString::to_string).unwrap_or_default(),
        "sku" => line.sku.to_string(),
        "quantity_expected" => line.quantity.to_string(),
        "reason_code" => line.reason.clone().or_else(|| record.reason.clone()).unwrap_or_default(),
        "comment" => record.comment.clone().unwrap_or_default(),
        _ => String::new(),
    }
}

fn csv(record: &Return, form: &Form) -> String {
    let delimiter = char::from(form.delimiter).to_string();
    let mut out = String::new();
    let mut row = |cells: Vec<String>| {
        out.push_str(&cells.join(&delimiter));
        out.push_str("\r\n");
    };
    if form.dialect.header {
        row(form.announcement_columns.iter().map(|(_, theirs)| cell(theirs, form)).collect());
    }
    for line in &record.lines {
        row(form.announcement_columns.iter().map(|(ours, _)| cell(&field(ours, record, line), form)).collect());
    }
    out
}

/// The segments of a 180 between ST and SE. Element 353 of BGN says whether it is announced (00) or taken back (01).
fn set(record: &Return, withdraws: bool, form: &Form) -> Vec<Vec<String>> {
    let of = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
    let day = record.created_at.strftime("%Y%m%d").to_string();
    let mut out = vec![of(&["BGN", if withdraws { "01" } else { "00" }, record.key.as_str(), &day])];
    let order = record.lines.first().and_then(|line| order_of(record, line));
    out.extend(order.map(|order| of(&["PRF", order.as_str()])));
    out.push(of(&["N1", "WH", &form.warehouse, "91", &form.warehouse]));
    for line in &record.lines {
        out.push(of(&["BLI", "SK", line.sku.as_str(), &line.quantity.to_string(), "EA"]));
        out.extend(line.order_line.as_ref().map(|id| of(&["N9", "LI", id.as_str()])));
        let reason = field("reason_code", record, line);
        let is_code = reason.len() == 2 && reason.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        out.push(match reason {
            code if is_code => of(&["RDR", "RA", &code]),
            words if words.chars().count() <= REASON_MAX => of(&["RDR", "RA", "", "", &words]),
            _ => of(&["RDR", "RA"]),
        });
    }
    out
}

fn does_not_fit(record: &Return) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (column, longest) in X12_LIMITS {
        let text = record.lines.iter().map(|line| field(column, record, line)).find(|text| text.chars().count() > longest);
        if let Some(text) = text {
            problems.push(
                Problem::new(
                    "return.too_long",
                    column,
                    format!(
                        "{column} of return {} has {} characters, and the warehouse's 180 takes {longest}: {text}",
                        record.key,
                        text.chars().count()
                    ),
                    "Announce it to them by hand, then dismiss this; a number that is cut would be another's.",
                )
                .cause(record.key.as_str()),
            );
        }
    }
    let orders: BTreeSet<&RecordKey> = record.lines.iter().filter_map(|line| order_of(record, line)).collect();
    if orders.len() > 1 {
        let orders: Vec<&str> = orders.into_iter().map(RecordKey::as_str).collect();
        problems.push(Problem::new(
            "return.several_orders",
            "lines",
            format!("return {} is of the orders {}, and a 180 has room for one", record.key, orders.join(", ")),
            "Announce it to them by hand, then dismiss this.",
        ));
    }
    problems
}

fn document(record: &Return, withdraws: bool, form: &Form) -> Result<Value, Vec<Problem>> {
    match form.format {
        Format::Csv => {
            let text = csv(record, form);
            let unwritable = form.dialect.charset.filter(|charset| charset.encode(&text).is_none());
            match unwritable {
                None => Ok(json!({ "text": text })),
                Some(charset) => Err(vec![
                    Problem::new(
                        "return.characters",
                        "comment",
                        format!("return {} has characters that {} cannot write", record.key, charset.name()),
                        "Ask the partner for UTF-8, or leave comment and reason_code out of announcement_columns; nothing is replaced unasked.",
                    )
                    .cause(record.key.as_str()),
                ]),
            }
        }
        Format::X12 => {
            let problems = does_not_fit(record);
            if problems.is_empty() { Ok(json!({ "segments": set(record, withdraws, form) })) } else { Err(problems) }
        }
    }
}

/// A file, staged: it has no effect at the partner yet.
fn stage(record: &Return, kind: FileKind, there: Option<&There>, form: &Form) -> Result<Encoded, Vec<Problem>> {
    let withdraws = kind == FileKind::Withdrawal;
    let mut body = document(record, withdraws, form)?;
    body["kind"] = json!(kind);
    let what = if withdraws { "write that there will be no return" } else { "write the announcement of return" };
    Ok(Encoded::Put(Request {
        what: format!("{what} {}", record.key),
        method: "STAGE".to_owned(),
        path: record.key.to_string(),
        body,
        update: there.filter(|_| withdraws).map(|there| there.id.clone()),
        unfinished: true,
    }))
}

/// Whether a return came from the warehouse at this connection: announcing it there would be an echo.
fn is_theirs(record: &Return, connection: &str) -> bool {
    let part = format!(".{connection}.");
    let Some(counterpart) = record.counterpart.as_ref().map(RecordKey::as_str) else { return false };
    match record.order.as_ref().and_then(|order| counterpart.strip_prefix(order.as_str())) {
        Some(rest) => rest.starts_with(&part),
        None => counterpart.contains(&part) || counterpart.starts_with(part.trim_start_matches('.')),
    }
}

/// What makes an announcement stand, or the next step to it.
pub(in crate::threepl) fn announcement(record: &Return, there: Option<&There>, form: &Form) -> Result<Encoded, Vec<Problem>> {
    let Some(there) = there else {
        // What they told themselves, and what has arrived already, is no news to them.
        let is_news =
            record.status == ReturnStatus::Announced && !is_theirs(record, &form.connection) && !record.lines.is_empty();
        return if is_news { stage(record, FileKind::Announcement, None, form) } else { Ok(Encoded::Nothing) };
    };
    if let Some(file) = &there.staged {
        return Ok(Encoded::Put(Request {
            what: format!("hand over {file} of return {}", record.key),
            method: "RENAME".to_owned(),
            path: file.clone(),
            body: Value::Null,
            update: Some(there.id.clone()),
            unfinished: false,
        }));
    }
    let changed =
        |what: String, remedy: &str| Err(vec![Problem::new("return.changed", "lines", what, remedy).cause(record.key.as_str())]);
    match record.status {
        ReturnStatus::Cancelled if there.withdrawn => Ok(Encoded::Nothing),
        ReturnStatus::Cancelled if record.received_at.is_some() => changed(
            format!("return {} was cancelled in the shop after its goods had arrived", record.key),
            "Settle with the warehouse what becomes of the goods, then dismiss this.",
        ),
        ReturnStatus::Cancelled => stage(record, FileKind::Withdrawal, Some(there), form),
        ReturnStatus::Announced if there.rejected => stage(record, FileKind::Announcement, None, form),
        ReturnStatus::Received => Ok(Encoded::Nothing),
        ReturnStatus::Announced => {
            let mut wanted: BTreeMap<String, u64> = BTreeMap::new();
            for line in &record.lines {
                *wanted.entry(line.sku.to_string()).or_default() += u64::from(line.quantity);
            }
            if wanted == there.units && !there.withdrawn {
                return Ok(Encoded::Nothing);
            }
            let told: Vec<String> = record.lines.iter().map(|line| format!("{} × {}", line.quantity, line.sku)).collect();
            changed(
                format!(
                    "return {} is now {}, and the warehouse was told something else ({})",
                    record.key,
                    told.join(", "),
                    there.id
                ),
                "Tell the warehouse; what arrives is read as it is, whatever was announced. Dismiss this when it is settled with them.",
            )
        }
    }
}
