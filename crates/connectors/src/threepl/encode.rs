//! A pick order → the file that the warehouse takes, or the next step of handing it over. Pure.
//!
//! A file is handed over in two steps, each written down before the next is taken: first it stands whole in a folder of
//! ours, with a copy that stays; then it is renamed into the partner's. So nothing half-written is ever seen there, and
//! after a lost answer the staged file tells whether the rename has happened.

use selvedge_connector::{Encoded, Request, picking, table::Quotes};
use selvedge_model::{
    Order, Problem,
    gate::{Lookup, Values},
    records::{Address, OrderLine, OrderStatus},
};
use serde_json::{Value, json};

use super::{
    decode::{HANDED_OVER, There},
    message::FileKind,
    settings::{Form, Format},
    x12,
};
use crate::handed_over::{self, SERVICE, Text};

/// The longest texts that the segments of a 940 hold (fact sheet 4.2).
const X12_LIMITS: [(&str, usize); 8] = [
    ("ship_name", 60),
    ("ship_address1", 55),
    ("ship_address2", 55),
    ("ship_city", 30),
    ("ship_postcode", 15),
    ("order_ref", 22),
    ("sku", 48),
    ("order_line_id", 30),
];

pub(super) fn lookups(order: &Order, form: &Form) -> Vec<Lookup> {
    if order.status == OrderStatus::Cancelled {
        return Vec::new();
    }
    vec![picking::shipping_service(order, &form.weight_bands)]
}

fn text(text: Option<&str>) -> String {
    text.map(str::trim).unwrap_or_default().to_owned()
}

fn name(address: &Address) -> String {
    let parts = [text(address.first_name.as_deref()), text(address.last_name.as_deref())];
    let name: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    if name.is_empty() { text(address.attention.as_deref().or(address.company.as_deref())) } else { name.join(" ") }
}

/// What an order file says of a line, under our name of the column.
fn field(column: &str, order: &Order, line: &OrderLine, number: usize, service: &str, form: &Form) -> String {
    let to = order.shipping.as_ref();
    let of = |pick: fn(&Address) -> Option<&str>| text(to.and_then(pick));
    match column {
        "order_ref" => order.number.to_string(),
        "order_line_id" => line.id.to_string(),
        "line_no" => number.to_string(),
        "sku" => line.sku.to_string(),
        "quantity" => line.quantity.to_string(),
        "order_date" => order.placed_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "ship_by_date" => order.dispatch_by.map(|at| at.strftime("%Y-%m-%d").to_string()).unwrap_or_default(),
        "service_code" => service.to_owned(),
        "ship_name" => to.map(name).unwrap_or_default(),
        "ship_company" => of(|address| address.company.as_deref()),
        "ship_address1" => of(|address| address.line1.as_deref()),
        "ship_address2" => of(|address| address.line2.as_deref()),
        "ship_postcode" => of(|address| address.postcode.as_deref()),
        "ship_city" => of(|address| address.city.as_deref()),
        "ship_state" => of(|address| address.state.as_deref()),
        "ship_country" => of(|address| address.country.as_deref()),
        "ship_phone" => of(|address| address.phone.as_deref()),
        "ship_email" => of(|address| address.email.as_deref()),
        "currency" => order.currency.code().to_owned(),
        // For customs, rounded for people: the books are elsewhere.
        "unit_value" => {
            let units = rust_decimal::Decimal::from(line.quantity.max(1));
            let value = (line.net.decimal() + line.tax.decimal()) / units;
            let places = order.currency.minor_units().unwrap_or(2);
            let value = value.round_dp_with_strategy(places, rust_decimal::RoundingStrategy::MidpointAwayFromZero);
            value.to_string().replace('.', &form.numbers.decimal.to_string())
        }
        "gift_message" => text(order.comment.as_deref()),
        "bundle_line_id" => line.bundle.as_ref().map(ToString::to_string).unwrap_or_default(),
        "warehouse" => form.warehouse.clone(),
        "total_units" => order.lines.iter().map(|line| u64::from(line.quantity)).sum::<u64>().to_string(),
        _ => String::new(),
    }
}

/// A cell as the partner reads it.
pub(super) fn cell(text: &str, form: &Form) -> String {
    let delimiter = char::from(form.delimiter);
    match form.dialect.quotes {
        // There is no way to write what parts cells or rows: a blank stands for it.
        Quotes::None => text.chars().map(|c| if c == delimiter || c.is_control() { ' ' } else { c }).collect(),
        quotes if text.contains(['"', '\n', '\r', '\\']) || text.contains(delimiter) => {
            let inner = match quotes {
                Quotes::Backslash => text.replace('\\', "\\\\").replace('"', "\\\""),
                _ => text.replace('"', "\"\""),
            };
            format!("\"{inner}\"")
        }
        _ => text.to_owned(),
    }
}

fn csv(order: &Order, service: &str, form: &Form) -> String {
    let delimiter = char::from(form.delimiter).to_string();
    let mut out = String::new();
    if form.dialect.header {
        let names: Vec<String> = form.order_columns.iter().map(|(_, theirs)| cell(theirs, form)).collect();
        out.push_str(&names.join(&delimiter));
        out.push_str("\r\n");
    }
    for (at, line) in order.lines.iter().enumerate() {
        let cells: Vec<String> =
            form.order_columns.iter().map(|(ours, _)| cell(&field(ours, order, line, at + 1, service, form), form)).collect();
        out.push_str(&cells.join(&delimiter));
        out.push_str("\r\n");
    }
    out
}

/// The segments of a 940 between ST and SE.
fn warehouse_order(order: &Order, service: &str, cancels: bool, form: &Form) -> Vec<Vec<String>> {
    let of = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
    let number = order.number.as_str();
    let any = order.lines.first();
    let say = |column: &str| any.map(|line| field(column, order, line, 1, service, form)).unwrap_or_default();
    let mut out = vec![of(&["W05", if cancels { "F" } else { "N" }, number, number])];
    out.push(of(&["N1", "ST", &say("ship_name")]));
    out.push(of(&["N3", &say("ship_address1"), &say("ship_address2")]));
    // A state of more than two characters has no place in the segment; addresses outside America need none.
    let state = Some(say("ship_state")).filter(|state| state.chars().count() <= 2).unwrap_or_default();
    out.push(of(&["N4", &say("ship_city"), &state, &say("ship_postcode"), &say("ship_country")]));
    let (phone, mail) = (say("ship_phone"), say("ship_email"));
    let mut contact = of(&["PER", "IC", &say("ship_name")]);
    for (code, value) in [("TE", &phone), ("EM", &mail)] {
        if !value.is_empty() {
            contact.extend(of(&[code, value]));
        }
    }
    if contact.len() > 3 {
        out.push(contact);
    }
    out.push(of(&["N1", "WH", &form.warehouse, "91", &form.warehouse]));
    if let Some(by) = order.dispatch_by {
        out.push(of(&["G62", "10", &by.strftime("%Y%m%d").to_string()]));
    }
    let comment: Vec<char> = say("gift_message").chars().collect();
    out.extend(comment.chunks(80).map(|piece| of(&["NTE", "GEN", &piece.iter().collect::<String>()])));
    out.push(of(&["W66", "PP", "U", "", "", service]));
    for (at, line) in order.lines.iter().enumerate() {
        out.push(of(&["LX", &(at + 1).to_string()]));
        out.push(of(&["W01", &line.quantity.to_string(), "EA", "", "SK", line.sku.as_str()]));
        out.push(of(&["N9", "LI", line.id.as_str()]));
    }
    out.push(of(&["W76", &say("total_units")]));
    out
}

/// What does not fit into a 940: cutting an address would send a parcel astray.
fn too_long(order: &Order, service: &str, form: &Form) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (column, longest) in X12_LIMITS {
        let texts = order.lines.iter().map(|line| field(column, order, line, 1, service, form));
        if let Some(text) = texts.into_iter().find(|text| text.chars().count() > longest) {
            problems.push(
                Problem::new(
                    "pick.too_long",
                    column,
                    format!(
                        "{column} of order {} has {} characters, and the warehouse's 940 takes {longest}: {text}",
                        order.number,
                        text.chars().count()
                    ),
                    "Shorten it in the shop; the order comes again by itself. Nothing is cut without being asked.",
                )
                .cause(order.number.as_str()),
            );
        }
    }
    problems
}

/// The file of an order, or of its cancellation.
fn document(order: &Order, values: &Values, cancels: bool, form: &Form) -> Result<Value, Vec<Problem>> {
    let lookup = picking::shipping_service(order, &form.weight_bands);
    let service = match values.by_key(&lookup.table, &lookup.key_text()) {
        Some(service) => service.to_owned(),
        None if cancels => String::new(),
        None => return Err(vec![lookup.missing()]),
    };
    match form.format {
        Format::Csv => {
            let text = csv(order, &service, form);
            if let Some(charset) = form.dialect.charset
                && charset.encode(&text).is_none()
            {
                return Err(vec![
                    Problem::new(
                        "pick.characters",
                        "shipping",
                        format!("order {} has characters that {} cannot write", order.number, charset.name()),
                        "Ask the partner for UTF-8, or write the address in letters that they have; nothing is replaced unasked.",
                    )
                    .cause(order.number.as_str()),
                ]);
            }
            Ok(json!({ "text": text }))
        }
        Format::X12 => {
            let problems = too_long(order, &service, form);
            if !problems.is_empty() {
                return Err(problems);
            }
            Ok(json!({ "segments": warehouse_order(order, &service, cancels, form) }))
        }
    }
}

/// A file, staged: it has no effect at the partner yet.
fn stage(order: &Order, kind: FileKind, mut body: Value, there: Option<&There>) -> Request {
    let cancels = kind == FileKind::Cancellation;
    body["kind"] = json!(kind);
    body["order"] = json!(order.number.as_str());
    let what = if cancels { "write the cancellation of order" } else { "write the file of order" };
    Request {
        what: format!("{what} {}", order.number),
        method: "STAGE".to_owned(),
        path: order.number.to_string(),
        body,
        update: there.filter(|_| cancels).map(|there| there.id.clone()),
        unfinished: true,
    }
}

/// The staged file, handed over.
fn release(order: &Order, file: &str, there: &There) -> Request {
    Request {
        what: format!("hand over {file} of order {}", order.number),
        method: "RENAME".to_owned(),
        path: file.to_owned(),
        body: Value::Null,
        update: Some(there.id.clone()),
        unfinished: false,
    }
}

const CHANGED_REMEDY: &str =
    "Ask the warehouse whether it can still change the order; dismiss this when it is settled with them.";

/// What the file that was handed over says of where the order goes and how, and what a new one would say.
fn texts(order: &Order, values: &Values, there: &There, form: &Form) -> Vec<Text> {
    let lookup = picking::shipping_service(order, &form.weight_bands);
    let service = values.by_key(&lookup.table, &lookup.key_text());
    let Some(line) = order.lines.first() else { return Vec::new() };
    let of = |(name, column): (&'static str, &'static str)| {
        let now = field(column, order, line, 1, service.unwrap_or_default(), form);
        let now = match form.format {
            Format::X12 => x12::written(&now),
            Format::Csv if form.dialect.quotes == Quotes::None => cell(&now, form),
            Format::Csv => now,
        };
        Text::new(name, now, there.texts.get(column).cloned())
    };
    HANDED_OVER.into_iter().filter(|(name, _)| *name != SERVICE || service.is_some()).map(of).collect()
}

/// What makes a pick order stand, or the next step to it.
pub(super) fn order(order: &Order, values: &Values, there: Option<&There>, form: &Form) -> Result<Encoded, Vec<Problem>> {
    let new = |there| Ok(Encoded::Put(stage(order, FileKind::Order, document(order, values, false, form)?, there)));
    let Some(there) = there else { return new(None) };
    if let Some(file) = &there.staged {
        return Ok(Encoded::Put(release(order, file, there)));
    }
    if order.status == OrderStatus::Cancelled {
        return if there.cancelled {
            Ok(Encoded::Nothing)
        } else {
            Ok(Encoded::Put(stage(order, FileKind::Cancellation, document(order, values, true, form)?, Some(there))))
        };
    }
    if there.rejected {
        return new(None);
    }
    let mut wanted: std::collections::BTreeMap<String, u64> = std::collections::BTreeMap::new();
    for line in &order.lines {
        *wanted.entry(line.sku.to_string()).or_default() += u64::from(line.quantity);
    }
    if wanted == there.units && !there.cancelled {
        let warehouse = format!("the warehouse's file {}", there.id);
        handed_over::changed(&order.number, &warehouse, &texts(order, values, there, form), CHANGED_REMEDY)?;
        return Ok(Encoded::Nothing);
    }
    let told: Vec<String> = order.lines.iter().map(|line| format!("{} × {}", line.quantity, line.sku)).collect();
    Err(vec![
        Problem::new(
            "pick.changed",
            "lines",
            format!(
                "order {} is now {}, and the warehouse was sent something else ({})",
                order.number,
                told.join(", "),
                there.id
            ),
            CHANGED_REMEDY,
        )
        .cause(order.number.as_str()),
    ])
}
