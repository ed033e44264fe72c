//! A record changed after its document stood: what differs becomes the smallest change, and what
//! the document no longer takes becomes a problem. Pure.

use rust_decimal::Decimal;
use selvedge_connector::{Encoded, Raw, Request};
use selvedge_model::{Order, Problem};
use serde_json::{Map, Value};

use super::{
    encode::{Desired, RECORDS, add_absent, insert_lists, list},
    settings::{Document, Form, Tax},
    wire,
};

/// The members of an address that are ours to set; one that we do not have is emptied there.
const ADDRESS_MEMBERS: [&str; 9] = ["addressee", "attention", "addr1", "addr2", "city", "state", "zip", "country", "addrPhone"];
/// Members that may change whatever became of the document: they move no money and no goods.
const SOFT_MEMBERS: [&str; 3] = ["otherRefNum", "email", "memo"];

fn read(raw: &Raw) -> Result<Value, Vec<Problem>> {
    let unreadable = |why: &str| {
        vec![Problem::new(
            "decode.unreadable",
            "",
            format!("the document {} there could not be read: {why}", raw.id),
            "Look at the document there; if it reads well, update the connector. Then release.",
        )]
    };
    let value: Value = serde_json::from_slice(&raw.body).map_err(|_| unreadable("it is not JSON"))?;
    let lines = value
        .get("item")
        .filter(|item| item.get("items").is_some_and(Value::is_array))
        .ok_or_else(|| unreadable("it has no lines"))?;
    if wire::truth(lines, "hasMore") {
        return Err(unreadable("it has more lines than one page"));
    }
    Ok(value)
}

/// The letter of the document's status (A … H).
pub(crate) fn status_letter(document: &Value) -> Option<char> {
    let id = wire::id(document, "status").filter(|s| s.len() == 1).or_else(|| wire::id(document, "orderStatus"))?;
    let mut letters = id.chars();
    letters.next().filter(|_| letters.next().is_none()).map(|c| c.to_ascii_uppercase())
}

fn status_words(letter: Option<char>) -> &'static str {
    match letter {
        Some('A') => "pending approval",
        Some('B') => "pending fulfillment",
        Some('C') => "cancelled",
        Some('D') => "partially fulfilled",
        Some('E') => "partially fulfilled and pending billing",
        Some('F') => "pending billing",
        Some('G') => "billed",
        Some('H') => "closed",
        _ => "in an unknown state",
    }
}

/// Whether something has left or was billed.
pub(crate) fn is_under_way(document: &Value) -> bool {
    let moved = |line: &Value, name: &str| wire::decimal(line, name).is_some_and(|n| n > Decimal::ZERO);
    matches!(status_letter(document), Some('D' | 'E' | 'F' | 'G'))
        || wire::rows(document, "item").iter().any(|line| moved(line, "quantityFulfilled") || moved(line, "quantityBilled"))
}

/// Whether it will not be delivered: cancelled, or every line closed before anything left.
pub(crate) fn is_cancelled(document: &Value) -> bool {
    let lines = wire::rows(document, "item");
    let all_closed = !lines.is_empty() && lines.iter().all(|line| wire::truth(line, "isClosed"));
    match status_letter(document) {
        Some('C') => true,
        Some('H') => !is_under_way(document),
        _ => all_closed && !is_under_way(document),
    }
}

/// The request that closes the document of a cancelled order.
///
/// # Errors
/// Where it is too late for that.
pub(crate) fn cancel(order: &Order, raw: &Raw, form: &Form) -> Result<Encoded, Vec<Problem>> {
    let document = read(raw)?;
    let refuse = |why: &str| {
        Err(vec![
            Problem::new(
                "target.not_cancellable",
                "status",
                format!("order {} was cancelled, and the {} {} there {why}", order.number, form.document.words(), raw.id),
                "Undo there what has happened (return, refund), then dismiss this with the reason.",
            )
            .value(status_words(status_letter(&document))),
        ])
    };
    if form.document == Document::CashSale {
        return refuse("is booked already");
    }
    if is_cancelled(&document) {
        return Ok(Encoded::Nothing);
    }
    if is_under_way(&document) {
        return refuse(&format!("is {}", status_words(status_letter(&document))));
    }
    let mut lines = Vec::new();
    for line in wire::rows(&document, "item") {
        let Some(number) = line.get("line").filter(|n| !n.is_null()) else {
            return refuse("has a line without its number");
        };
        let mut map = Map::new();
        map.insert("line".to_owned(), number.clone());
        map.insert("isClosed".to_owned(), Value::Bool(true));
        lines.push(Value::Object(map));
    }
    if lines.is_empty() {
        return refuse("has no lines to close");
    }
    let mut body = Map::new();
    body.insert("item".to_owned(), list(lines));
    // Merged, not replaced: every line carries its number, so that none is added and no other field is touched.
    Ok(Encoded::Put(Request {
        what: format!("close {} {} of cancelled order {}", form.document.words(), raw.id, order.number),
        method: "PATCH".to_owned(),
        path: format!("{RECORDS}/{}/{}", form.document.record(), raw.id),
        body: Value::Object(body),
        update: Some(raw.id.clone()),
        unfinished: false,
    }))
}

/// The request that brings the document to where it should stand, if it does not stand there.
///
/// # Errors
/// Where the document no longer takes what differs.
pub(crate) fn change(order: &Order, desired: Desired, raw: &Raw, form: &Form) -> Result<Encoded, Vec<Problem>> {
    let document = read(raw)?;
    let mut body = Map::new();
    let mut problems = Vec::new();
    for (name, wanted) in &desired.head {
        let wanted = if name.ends_with("Address") { with_emptied(wanted, document.get(name)) } else { wanted.clone() };
        if is_only_linked(document.get(name)) || wire::says(document.get(name), &wanted) {
            continue;
        }
        if matches!(name.as_str(), "subsidiary" | "currency") {
            problems.push(fixed(order, raw, name, form));
        }
        body.insert(name.clone(), wanted);
    }
    // The two belong together, or the account's rate tables recompute the cost.
    for (name, other) in [("shipMethod", "shippingCost"), ("shippingCost", "shipMethod")] {
        if body.contains_key(name)
            && let Some(value) = desired.head.get(other)
        {
            body.insert(other.to_owned(), value.clone());
        }
    }
    let existing = wire::rows(&document, "item");
    let matched = match_lines(&desired.lines, existing);
    let lines_stand = existing.len() == desired.lines.len()
        && matched
            .iter()
            .zip(&desired.lines)
            .all(|(at, line)| at.and_then(|at| existing.get(at)).is_some_and(|there| line_says(there, line)));
    let taxes_stand = form.tax != Tax::Suite || tax_lines_stand(&desired, &document, &matched, existing);
    let mut path = format!("{RECORDS}/{}/{}", form.document.record(), raw.id);
    if !(lines_stand && taxes_stand) {
        let lines = matched.iter().zip(desired.lines).map(|(at, mut line)| {
            match at.and_then(|at| existing.get(at)?.get("line")).filter(|n| !n.is_null()) {
                Some(number) => drop(line.insert("line".to_owned(), number.clone())),
                None => add_absent(&mut line, &form.line_fields),
            }
            Value::Object(line)
        });
        insert_lists(&mut body, lines.collect(), desired.tax_lines, form);
        path.push_str(if form.tax == Tax::Suite { "?replace=item,taxDetails" } else { "?replace=item" });
    }
    if body.is_empty() {
        return Ok(Encoded::Nothing);
    }
    let soft = |name: &String| SOFT_MEMBERS.contains(&name.as_str()) || form.payment_reference_field.as_ref() == Some(name);
    let past_change = is_under_way(&document) || matches!(status_letter(&document), Some('C' | 'H'));
    if past_change && form.document == Document::SalesOrder && !body.keys().all(soft) {
        problems.push(not_changeable(order, raw, &document, &body, form));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Encoded::Put(Request {
        what: format!("change {} {} of order {}", form.document.words(), raw.id, order.number),
        method: "PATCH".to_owned(),
        path,
        body: Value::Object(body),
        update: Some(raw.id.clone()),
        unfinished: false,
    }))
}

fn not_changeable(order: &Order, raw: &Raw, document: &Value, body: &Map<String, Value>, form: &Form) -> Problem {
    let state = status_words(status_letter(document));
    let names: Vec<&str> = body.keys().map(String::as_str).filter(|n| *n != "taxDetailsOverride").collect();
    Problem::new(
        "target.not_changeable",
        "",
        format!(
            "order {} changed after the {} {} there was {state}; it would change {}",
            order.number,
            form.document.words(),
            raw.id,
            names.join(", ")
        ),
        "Make the change there by hand where it still can be made (or by a return), then dismiss this with the reason.",
    )
    .value(state)
    .cause(state)
}

fn fixed(order: &Order, raw: &Raw, name: &str, form: &Form) -> Problem {
    Problem::new(
        "target.not_changeable",
        if name == "subsidiary" { "market" } else { "currency" },
        format!("the {name} of the {} {} there cannot be changed any more, and order {} now asks for another", form.document.words(), raw.id, order.number),
        "If the mapping was changed by mistake, change it back and release. Otherwise close the document there, make a new one by hand, and dismiss this.",
    )
    .cause(name)
}

/// A subrecord that the answer names without its content says nothing.
fn is_only_linked(value: Option<&Value>) -> bool {
    value.and_then(Value::as_object).is_some_and(|map| map.len() == 1 && map.contains_key("links"))
}

/// The address with every member of ours that it does not fill and that is filled there, emptied.
fn with_emptied(wanted: &Value, actual: Option<&Value>) -> Value {
    let mut map = wanted.as_object().cloned().unwrap_or_default();
    for name in ADDRESS_MEMBERS {
        let filled = actual.is_some_and(|actual| wire::id(actual, name).is_some());
        if filled && !map.contains_key(name) {
            map.insert(name.to_owned(), Value::Null);
        }
    }
    Value::Object(map)
}

/// For each wanted line the place of the line that it is there: by our reference, else by what it sells.
fn match_lines(wanted: &[Map<String, Value>], existing: &[Value]) -> Vec<Option<usize>> {
    let mut matched: Vec<Option<usize>> = vec![None; wanted.len()];
    let mut free: Vec<usize> = (0..existing.len()).collect();
    let rounds: [&[&str]; 4] = [&["taxDetailsReference"], &["item", "quantity", "amount"], &["item", "quantity"], &["item"]];
    for members in rounds {
        for (place, line) in matched.iter_mut().zip(wanted).filter(|(place, _)| place.is_none()) {
            let fits = |at: &usize| {
                members.iter().all(|name| match (*name, line.get(*name)) {
                    (_, Some(value)) => existing.get(*at).is_some_and(|there| wire::says(there.get(*name), value)),
                    // A discount has no quantity; a line without a reference cannot be known by it.
                    (name, None) => name == "quantity",
                })
            };
            if let Some(found) = free.iter().position(fits) {
                *place = Some(free.remove(found));
            }
        }
    }
    matched
}

/// Whether the line there sells the same for the same.
fn line_says(there: &Value, line: &Map<String, Value>) -> bool {
    ["item", "quantity", "amount", "taxCode"]
        .iter()
        .all(|name| line.get(*name).is_none_or(|value| wire::says(there.get(*name), value)))
}

/// Whether the tax lines there are the wanted ones, in whatever order, also if the references were renamed.
fn tax_lines_stand(desired: &Desired, document: &Value, matched: &[Option<usize>], existing: &[Value]) -> bool {
    let there = wire::rows(document, "taxDetails");
    if there.len() != desired.tax_lines.len() {
        return false;
    }
    let renamed = |reference: String| -> String {
        let at =
            desired.lines.iter().position(|line| line.get("taxDetailsReference").and_then(Value::as_str) == Some(&reference));
        let place = at.and_then(|at| matched.get(at).copied().flatten());
        place.and_then(|at| wire::id(existing.get(at)?, "taxDetailsReference")).unwrap_or(reference)
    };
    let mut free: Vec<&Value> = there.iter().collect();
    desired.tax_lines.iter().all(|wanted| {
        let reference = wire::id(wanted, "taxDetailsReference").map(&renamed);
        let fits = |there: &&Value| {
            wire::id(there, "taxDetailsReference") == reference
                && ["taxCode", "taxBasis", "taxRate", "taxAmount"].iter().all(|name| {
                    wanted.get(*name).is_some_and(|value| match *name {
                        "taxRate" => wire::decimal(there, "taxRate") == wire::decimal(wanted, "taxRate"),
                        _ => wire::says(there.get(*name), value),
                    })
                })
        };
        free.iter().position(fits).map(|at| free.remove(at)).is_some()
    })
}
