//! What Veeqo says of a return → goods that came back, or are to. Pure, and it never fails.

use jiff::Timestamp;
use selvedge_connector::{Decoded, Raw};
use selvedge_model::{
    ExternalId, Problem, RecordKey, Return, Sku,
    records::{Named, ReturnLine, ReturnStatus, return_key},
};
use serde_json::Value;

use super::super::{
    decode::{text, time, whole},
    settings::Form,
};

/// Types by which units are taken off an order before they left: nothing comes back.
const BEFORE_SHIPPING: [&str; 2] = ["AllocatedItemsReturn", "UnallocatedItemsReturn"];

pub(super) fn brings_goods(one: &Value) -> bool {
    text(&one["type"]).is_none_or(|word| !BEFORE_SHIPPING.contains(&word.as_str()))
}

/// A return with what is needed of its order (`{"order": …, "return": …}`).
pub(super) fn returned(raw: &Raw, form: &Form) -> Decoded<Return> {
    let document: Value = serde_json::from_slice(&raw.body).unwrap_or_default();
    let mut problems = Vec::new();
    let record = read(&document, raw, form, &mut problems);
    if record.is_none() && problems.is_empty() {
        problems.push(Problem::new(
            "decode.unreadable",
            "",
            format!("return {} of Veeqo cannot be read", raw.id),
            "Look at the return in Veeqo; if the system has changed, update the connector.",
        ));
    }
    Decoded::of(record, problems)
}

fn read(document: &Value, raw: &Raw, form: &Form, problems: &mut Vec<Problem>) -> Option<Return> {
    let (order, one) = (&document["order"], &document["return"]);
    let (number, id) = (RecordKey::new(text(&order["number"])?), text(&one["id"])?);
    let called = text(&one["number"]).unwrap_or_else(|| id.clone());
    let mut wrong = |rule: &str, path: &str, value: &str, message: String, remedy: &str| {
        problems.push(Problem::new(rule, path, message, remedy).value(value).cause(value));
    };
    let word = |name: &str| text(&one[name]).unwrap_or_else(|| "none".to_owned());
    if word("type") != "ShippedItemsReturn" {
        let message = format!("return {called} of order {number} has the type {:?}, which is not known", word("type"));
        wrong(
            "return.type",
            "type",
            &word("type"),
            message,
            "See in Veeqo whether goods come back with it; book it by hand, then dismiss this.",
        );
    }
    let status = match word("status").as_str() {
        "returning" => ReturnStatus::Announced,
        "returned" => ReturnStatus::Received,
        other => {
            let message = format!("return {called} of order {number} has the status {other:?}, which is not known");
            wrong(
                "return.status",
                "status",
                other,
                message,
                "See in Veeqo whether the goods are there. It comes again when its status changes; book it by hand and dismiss this if it does not.",
            );
            ReturnStatus::Announced
        }
    };
    if order["merged_order"] == true {
        let message = format!("other orders were merged into order {number}, and return {called} may hold their goods, too");
        wrong(
            "return.merged",
            "lines",
            number.as_str(),
            message,
            "See in Veeqo whose goods came back, tell the shop by hand, then dismiss this.",
        );
    }
    let counted = if status == ReturnStatus::Received { "received_quantity" } else { "quantity" };
    let mut lines = Vec::new();
    for row in one["line_items"].as_array()? {
        let quantity = u32::try_from(whole(&row[counted])?).ok()?;
        let sku = text(&row["sku_code"]).or_else(|| text(&row["sellable"]["sku_code"]))?;
        if quantity > 0 {
            lines.push(ReturnLine {
                order: Some(number.clone()),
                order_line: None,
                sku: Sku::new(sku),
                quantity,
                condition: None,
                reason: text(&one["reason"]),
            });
        }
    }
    if lines.is_empty() {
        let message = format!("return {called} of order {number} counts nothing that came");
        wrong(
            "return.nothing",
            "lines",
            &called,
            message,
            "See in Veeqo whether anything is still to come. What is received later takes this one's place; dismiss this if nothing will.",
        );
    }
    let at = time(&one["created_at"]).or(raw.version).unwrap_or(Timestamp::UNIX_EPOCH);
    Some(Return {
        key: return_key(Some(number.as_str()), &form.connection, &id),
        id: ExternalId::new(id),
        order: Some(number),
        counterpart: None,
        shipment: None,
        status,
        created_at: at,
        // When it was received is not told.
        received_at: None,
        updated_at: raw.version.unwrap_or(at),
        // A warehouse is named, and has no id there.
        warehouse: text(&one["warehouse_name"]).map(|name| Named { id: name.clone(), name }),
        disposition: form.returned_goods,
        reason: text(&one["reason"]),
        comment: None,
        lines,
    })
}
