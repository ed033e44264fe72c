//! What Linnworks says of bookings → returns. Pure, and it never fails.

use jiff::Timestamp;
use selvedge_connector::{Decoded, Raw};
use selvedge_model::{
    ExternalId, Problem, RecordKey, Return, Sku,
    records::{Disposition, Named, ReturnLine, ReturnStatus, return_key},
};
use serde_json::Value;

use super::super::{
    decode::{flag, text, time},
    settings::Form,
};

/// Whether a booking is of an order of ours.
pub(super) fn is_ours(header: &Value, form: &Form) -> bool {
    let same = |name: &str, wanted: &str| text(&header[name]).is_some_and(|text| text == wanted);
    same("OrderSource", &form.source) && same("OrderSubSource", &form.sub_source)
}

pub(super) fn header_id(header: &Value) -> Option<String> {
    text(&header["RMAHeaderId"]).filter(|id| id != "0")
}

/// What a booking was made under.
pub(super) fn reference(header: &Value) -> Option<String> {
    text(&header["ExternalReference"])
}

/// When a booking last changed, as far as it says.
pub(super) fn changed(header: &Value) -> Option<Timestamp> {
    let lines = header["RMALines"].as_array().into_iter().flatten();
    let acted = lines.filter_map(|line| time(&line["ActionedDate"])).chain(time(&header["LastActionDate"])).max();
    acted.or_else(|| time(&header["CreatedDate"]))
}

/// Rows that bring goods back: no copy that is sent, and none that was taken out again. (An exchange brings the old goods back, and
/// sends the new ones under an order of their own.)
fn rows(header: &Value) -> impl Iterator<Item = &Value> {
    let rows = header["RMALines"].as_array().map(Vec::as_slice).unwrap_or_default();
    rows.iter()
        .filter(|row| !flag(&row["Deleted"]) && !text(&row["Type"]).is_some_and(|word| word.eq_ignore_ascii_case("Resend")))
}

fn units(row: &Value, name: &str) -> Option<u32> {
    if row[name].is_null() { Some(0) } else { u32::try_from(row[name].as_i64()?).ok() }
}

/// Units of a row that became this.
fn of(row: &Value, part: Disposition) -> Option<u32> {
    let (all, scrap) = (units(row, "ReturnQuantity")?, units(row, "ScrapQuantity")?);
    match part {
        Disposition::WriteOff => (scrap <= all).then_some(scrap),
        _ => all.checked_sub(scrap),
    }
}

/// What became of the goods of a booking that have arrived. One that cannot be read is told as one that went back, to be held.
pub(super) fn parts(header: &Value) -> Vec<Disposition> {
    let arrived = |row: &&Value| flag(&row["Actioned"]);
    let has = |part: Disposition| rows(header).filter(arrived).any(|row| of(row, part).is_none_or(|units| units > 0));
    [Disposition::Restock, Disposition::WriteOff].into_iter().filter(|part| has(*part)).collect()
}

fn unreadable(id: &ExternalId) -> Problem {
    Problem::new(
        "decode.unreadable",
        "",
        format!("return {id} of Linnworks cannot be read"),
        "Look at the booking in Linnworks; if the system has changed, update the connector.",
    )
}

/// A booking with its order (`{"rma": …, "order": …}`) → what arrived; a booking of ours (`{"rma": …}`) → what is expected.
pub(super) fn returned(raw: &Raw, form: &Form) -> Decoded<Return> {
    let document: Value = serde_json::from_slice(&raw.body).unwrap_or_default();
    let read = match raw.id.as_str().split_once('/') {
        Some((id, word)) => Disposition::from_word(word).and_then(|part| arrived(&document, raw, id, part, form)),
        None => booked(&document, raw),
    };
    match read {
        Some(record) => Decoded::of(Some(record), Vec::new()),
        None => Decoded::of(None, vec![unreadable(&raw.id)]),
    }
}

/// What the shop called a row: the number of the line that we entered.
fn line_of(order: &Value, row: &Value) -> Option<ExternalId> {
    let id = text(&row["OrderItemRowId"])?;
    let items = order["Items"].as_array()?;
    let item = items.iter().find(|item| text(&item["RowId"]).is_some_and(|known| known.eq_ignore_ascii_case(&id)))?;
    text(&item["ItemNumber"]).map(ExternalId::new)
}

fn lines(header: &Value, order: &Value, key: Option<&RecordKey>, part: Option<Disposition>) -> Option<Vec<ReturnLine>> {
    let mut lines = Vec::new();
    for row in rows(header).filter(|row| part.is_none() || flag(&row["Actioned"])) {
        let quantity = match part {
            Some(part) => of(row, part)?,
            None => units(row, "ReturnQuantity")?,
        };
        if quantity > 0 {
            lines.push(ReturnLine {
                order: key.cloned(),
                order_line: line_of(order, row),
                sku: Sku::new(text(&row["ReturnItemSKU"])?),
                quantity,
                condition: None,
                reason: text(&row["Reason"]).or_else(|| text(&row["ReasonTag"])),
            });
        }
    }
    Some(lines)
}

fn arrived(document: &Value, raw: &Raw, id: &str, part: Disposition, form: &Form) -> Option<Return> {
    let (header, order) = (&document["rma"], &document["order"]);
    let number = RecordKey::new(text(&order["GeneralInfo"]["ReferenceNum"])?);
    let lines = lines(header, order, Some(&number), Some(part)).filter(|lines| !lines.is_empty())?;
    let id = if parts(header).len() > 1 { format!("{id}-{}", part.word()) } else { id.to_owned() };
    // Our key of the shop's return, where the booking was made for one.
    let counterpart = reference(header).filter(|reference| {
        let rest = reference.strip_prefix(number.as_str()).and_then(|rest| rest.strip_prefix('.'));
        rest.and_then(|rest| rest.split_once('.')).is_some_and(|(from, id)| from != form.connection && !id.is_empty())
    });
    let at = changed(header).or(raw.version)?;
    let location = rows(header).find_map(|row| text(&row["ReturnLocation"]));
    let mut reasons: Vec<String> = lines.iter().filter_map(|line| line.reason.clone()).collect();
    reasons.dedup();
    Some(Return {
        key: return_key(Some(number.as_str()), &form.connection, &id),
        id: ExternalId::new(id),
        order: Some(number),
        counterpart: counterpart.map(RecordKey::new),
        shipment: None,
        status: ReturnStatus::Received,
        created_at: time(&header["CreatedDate"]).unwrap_or(at),
        received_at: Some(at),
        updated_at: at,
        warehouse: location.map(|id| Named { id, name: form.location.clone() }),
        disposition: part,
        reason: match reasons.as_slice() {
            [one] => Some(one.clone()),
            _ => None,
        },
        comment: None,
        lines,
    })
}

fn booked(document: &Value, raw: &Raw) -> Option<Return> {
    let header = &document["rma"];
    let at = time(&header["CreatedDate"]).or(raw.version)?;
    Some(Return {
        key: RecordKey::new(reference(header)?),
        id: raw.id.clone(),
        order: None,
        counterpart: None,
        shipment: None,
        status: if parts(header).is_empty() { ReturnStatus::Announced } else { ReturnStatus::Received },
        created_at: at,
        received_at: None,
        updated_at: changed(header).unwrap_or(at),
        warehouse: None,
        disposition: Disposition::Restock,
        reason: None,
        comment: None,
        lines: lines(header, &Value::Null, None, None)?,
    })
}
