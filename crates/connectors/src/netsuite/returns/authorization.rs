//! A return → a return authorization, and an item receipt of it once the goods are there; and back. Pure.
//!
//! An authorization is made from the sales order where all of it is of one order that has left that far there; otherwise it stands
//! alone with the order's customer: goods of several orders, parts of a kit, orders that are not fulfilled there. Whether the goods
//! were received is read off the authorization itself, so that a receipt whose answer was lost is never made twice.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, civil::Date};
use rust_decimal::Decimal;
use selvedge_connector::{Decoded, Encoded, Raw, Request, Standing};
use selvedge_model::{
    ExternalId, Problem, RecordKey, Return, Sku,
    compare::{Carries, compare},
    gate::{Lookup, Values},
    records::{Disposition, ReturnLine, ReturnStatus},
};
use serde_json::{Map, Value};

use super::{
    super::{
        change::status_letter,
        decode::{moment_of, parse, problem},
        encode::{MEMO_CHARS_MAX, RECORDS, add_absent, bounded, list},
        items::{decode::leaf, encode::item_lookup},
        plan,
        settings::{Document, Form, ReturnSettings, Tax},
        shipments::{ORDER, decode::units},
        wire,
    },
    no_cash_sale, order_unread, period,
};

/// What our external ids of authorizations begin with.
pub(crate) const PREFIX: &str = "ra_";
/// And those of their receipts.
const RECEIPT_PREFIX: &str = "ir_";
/// Begins the reference of a line whose authorization is of several orders: order and line follow.
const SEVERAL: char = 'M';

/// The order whose document lends its head.
pub(crate) fn order_of(ret: &Return) -> Option<&RecordKey> {
    ret.order.as_ref().or_else(|| ret.lines.iter().find_map(|line| line.order.as_ref()))
}

/// Where goods in this condition go from this warehouse.
pub(crate) fn location_lookup(ret: &Return) -> Lookup {
    let (id, name) = ret.warehouse.as_ref().map_or(("", ""), |warehouse| (warehouse.id.as_str(), warehouse.name.as_str()));
    let word = ret.disposition.word();
    let label = if name.is_empty() { id } else { name };
    Lookup::new("return_location", &[("warehouse", id), ("disposition", word)], "warehouse")
        .label(format!("{word} at {label}"))
        .optional()
}

/// The day that the goods came, where the brand keeps its books.
pub(crate) fn received_on(ret: &Return, settings: &ReturnSettings) -> Date {
    ret.received_at.unwrap_or(ret.updated_at).to_zoned(settings.time_zone.clone()).date()
}

/// Every mapped value that a return needs.
pub(crate) fn lookups(ret: &Return, settings: &ReturnSettings) -> Vec<Lookup> {
    let items = ret.lines.iter().enumerate();
    let mut lookups: Vec<Lookup> =
        items.map(|(index, line)| item_lookup(line.sku.as_str(), format!("lines[{index}].sku"))).collect();
    lookups.push(location_lookup(ret));
    if ret.status == ReturnStatus::Received {
        lookups.push(period::lookup(received_on(ret, settings), "received_at"));
    }
    let mut seen = BTreeSet::new();
    lookups.retain(|lookup| seen.insert((lookup.table.clone(), lookup.key_text())));
    lookups
}

/// The request that makes a return stand, or takes it a step nearer.
pub(crate) fn encode(
    ret: &Return,
    values: &Values,
    there: Standing<'_>,
    form: &Form,
    settings: &ReturnSettings,
) -> Result<Encoded, Vec<Problem>> {
    if form.document == Document::CashSale {
        return Err(vec![no_cash_sale("return", "")]);
    }
    match there.own {
        Some(raw) => go_on(ret, values, raw, settings),
        None if ret.status == ReturnStatus::Cancelled => Ok(Encoded::Nothing),
        None => create(ret, values, there.needed, form, settings),
    }
}

/// Stands before the number of a second line for one line of a sale.
const AGAIN: char = '#';

/// Units of one line of an order that come back.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    order: Option<RecordKey>,
    line: Option<ExternalId>,
    sku: Sku,
    quantity: u32,
}

/// What comes back, by line of an order; `apart`: each line of the return by itself, so that each line of its credit has one of its own.
fn wanted(ret: &Return, apart: bool) -> Vec<Wanted> {
    let mut all: Vec<Wanted> = Vec::new();
    for line in &ret.lines {
        let order = line.order.clone().or_else(|| ret.order.clone());
        let same = |known: &&mut Wanted| known.order == order && known.line == line.order_line && known.sku == line.sku;
        match all.iter_mut().find(same).filter(|_| !apart) {
            Some(known) => known.quantity = known.quantity.saturating_add(line.quantity),
            None => all.push(Wanted { order, line: line.order_line.clone(), sku: line.sku.clone(), quantity: line.quantity }),
        }
    }
    all
}

/// How a line of an authorization is known again; none for a line that nobody knows.
pub(crate) fn reference(order: Option<&RecordKey>, line: Option<&ExternalId>, one_order: bool) -> Option<String> {
    let line = line?;
    match order.filter(|_| !one_order) {
        None => Some(format!("{}{line}", plan::LINE)),
        Some(order) => Some(format!("{SEVERAL}{order}/{}", line.as_str().replace('/', "%2F"))),
    }
}

/// Order and line that a reference tells.
fn told(reference: &str) -> (Option<RecordKey>, Option<ExternalId>) {
    let again = |nth: &str| !nth.is_empty() && nth.bytes().all(|byte| byte.is_ascii_digit());
    let reference = reference.rsplit_once(AGAIN).filter(|(_, nth)| again(nth)).map_or(reference, |(line, _)| line);
    if let Some(line) = reference.strip_prefix(plan::LINE).filter(|line| !line.is_empty()) {
        return (None, Some(ExternalId::new(line)));
    }
    match reference.strip_prefix(SEVERAL).and_then(|rest| rest.rsplit_once('/')) {
        Some((order, line)) => (Some(RecordKey::new(order)), Some(ExternalId::new(line.replace("%2F", "/")))),
        None => (None, None),
    }
}

fn sells(row: &Value, item: Option<&str>, sku: &Sku) -> bool {
    match item {
        Some(item) => wire::id(row, "item").as_deref() == Some(item),
        None => wire::ref_name(row, "item").is_some_and(|name| leaf(&name) == sku.as_str()),
    }
}

/// The order's row that each wanted line is of; each row once.
fn rows_of<'a>(document: &'a Value, all: &[Wanted], values: &Values) -> Vec<Option<&'a Value>> {
    let rows = wire::rows(document, "item");
    let ours = |row: &Value| wire::id(row, "taxDetailsReference").is_some_and(|text| text.starts_with(plan::LINE));
    // With references of ours, a line without one is none of the order's: a part of a kit.
    let referenced = rows.iter().any(ours);
    let mut free: Vec<&Value> = rows.iter().collect();
    let mut take = |wanted: &Wanted| {
        let reference = reference(None, wanted.line.as_ref(), true).filter(|_| referenced);
        let item = values.get(&item_lookup(wanted.sku.as_str(), String::new()));
        let fits = |row: &&Value| match &reference {
            Some(reference) => wire::id(row, "taxDetailsReference").as_ref() == Some(reference),
            None => sells(row, item, &wanted.sku) && left(row) >= Decimal::from(wanted.quantity),
        };
        let at = free.iter().position(fits)?;
        Some(free.remove(at))
    };
    all.iter().map(&mut take).collect()
}

/// Units of an order's row that have left.
fn left(row: &Value) -> Decimal {
    wire::decimal(row, "quantityFulfilled").unwrap_or_default()
}

fn create(
    ret: &Return,
    values: &Values,
    needed: Option<&Raw>,
    form: &Form,
    settings: &ReturnSettings,
) -> Result<Encoded, Vec<Problem>> {
    let key = order_of(ret).map(RecordKey::as_str).unwrap_or_default();
    let (raw, order) = needed_order(needed, key)?;
    let mut all = wanted(ret, false);
    if all.is_empty() {
        return Err(vec![problem("lines", format!("return {} has no lines", ret.id))]);
    }
    let of_one = all.iter().all(|line| line.order.as_ref().is_none_or(|order| order.as_str() == key));
    let mut rows = if of_one { rows_of(&order, &all, values) } else { all.iter().map(|_| None).collect() };
    let fits = |(row, line): (&Option<&Value>, &Wanted)| row.is_some_and(|row| left(row) >= Decimal::from(line.quantity));
    let made_from_order = rows.iter().zip(&all).all(fits);
    if !made_from_order {
        // One that stands alone may name a line of the sale more than once.
        all = wanted(ret, true);
        rows = if of_one { rows_of(&order, &all, values) } else { all.iter().map(|_| None).collect() };
    }
    let mut missing = Vec::new();
    let mut lines = Vec::new();
    for (at, (row, wanted)) in rows.iter().zip(&all).enumerate() {
        let lookup = item_lookup(wanted.sku.as_str(), "lines".to_owned());
        let Some(item) = values.get(&lookup) else {
            missing.push(lookup.missing());
            continue;
        };
        let same = |other: &&Wanted| other.order == wanted.order && other.line == wanted.line;
        let before = all.iter().take(at).filter(same).count();
        lines.push(line(wanted, *row, item, made_from_order, reference_of(wanted, of_one, before), form));
    }
    if !missing.is_empty() {
        return Err(missing);
    }
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
    put("externalId", Value::String(wire::external_id(PREFIX, ret.key.as_str())));
    put("orderStatus", Value::String(settings.status.to_owned()));
    let day = ret.created_at.to_zoned(settings.time_zone.clone()).date();
    put("tranDate", Value::String(day.to_string()));
    put("otherRefNum", Value::String(ret.id.to_string()));
    put("memo", Value::String(bounded(&memo(ret, key), MEMO_CHARS_MAX)));
    if !made_from_order {
        head(&order, form, &mut body);
    }
    body.insert("item".to_owned(), list(lines));
    add_absent(&mut body, &settings.fields);
    let path = if made_from_order {
        // Lines that are not named would be taken, too.
        format!("{RECORDS}/salesOrder/{}/!transform/returnAuthorization?replace=item", raw.id)
    } else {
        format!("{RECORDS}/returnAuthorization")
    };
    Ok(Encoded::Put(Request {
        what: format!("authorize return {} of order {key}", ret.id),
        method: "POST".to_owned(),
        path,
        body: Value::Object(body),
        update: None,
        // What has arrived is received with the next step.
        unfinished: ret.status == ReturnStatus::Received,
    }))
}

/// The order's document with all its lines.
pub(crate) fn needed_order<'a>(needed: Option<&'a Raw>, key: &str) -> Result<(&'a Raw, Value), Vec<Problem>> {
    let unread = || vec![order_unread(key)];
    let raw = needed.ok_or_else(unread)?;
    let document: Value = serde_json::from_slice(&raw.body).map_err(|_| unread())?;
    let whole =
        document.get("item").is_some_and(|list| list.get("items").is_some_and(Value::is_array) && !wire::truth(list, "hasMore"));
    if whole { Ok((raw, document)) } else { Err(unread()) }
}

/// The members that a document of its own takes over from the order's.
pub(crate) fn head(order: &Value, form: &Form, body: &mut Map<String, Value>) {
    let mut members = vec!["entity", "currency"];
    if form.one_world {
        members.push("subsidiary");
    }
    for name in members {
        if let Some(id) = wire::id(order, name) {
            body.insert(name.to_owned(), wire::reference(&id));
        }
    }
    if let Some(location) = wire::id(order, "location").or_else(|| form.default_location.clone()) {
        body.insert("location".to_owned(), wire::reference(&location));
    }
}

/// One line. Its price says what was sold, as far as the order's line is known; the money is in the credit memo.
/// The reference of a line, unique in its document: the second of one line of the sale says so.
fn reference_of(wanted: &Wanted, of_one: bool, before: usize) -> Option<String> {
    let reference = reference(wanted.order.as_ref(), wanted.line.as_ref(), of_one)?;
    Some(if before == 0 { reference } else { format!("{reference}{AGAIN}{}", before + 1) })
}

fn line(wanted: &Wanted, row: Option<&Value>, item: &str, from_order: bool, reference: Option<String>, form: &Form) -> Value {
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| drop(map.insert(name.to_owned(), value));
    if let Some(number) = row.filter(|_| from_order).and_then(|row| row.get("line")) {
        put("orderLine", number.clone());
    }
    put("item", wire::reference(item));
    put("quantity", Value::from(wanted.quantity));
    put("price", wire::reference(&form.price_level));
    let whole = |row: &&Value| wire::decimal(row, "quantity") == Some(Decimal::from(wanted.quantity));
    let amount = row.filter(whole).and_then(|row| wire::decimal(row, "amount"));
    match (amount, row.and_then(|row| wire::decimal(row, "rate"))) {
        (Some(amount), _) => put("amount", wire::number(amount)),
        (None, Some(rate)) => put("rate", wire::number(rate)),
        (None, None) => put("amount", wire::number(Decimal::ZERO)),
    }
    if let Some(location) = row.and_then(|row| wire::id(row, "location")) {
        put("location", wire::reference(&location));
    }
    if form.tax == Tax::Suite
        && let Some(reference) = reference
    {
        put("taxDetailsReference", Value::String(reference));
    }
    add_absent(&mut map, &form.line_fields);
    Value::Object(map)
}

fn memo(ret: &Return, order: &str) -> String {
    let reason = ret.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("Return {} of order {order}{reason}", ret.id)
}

/// What an authorization that stands still lacks.
fn go_on(ret: &Return, values: &Values, raw: &Raw, settings: &ReturnSettings) -> Result<Encoded, Vec<Problem>> {
    let document = parse(raw).map_err(|problem| vec![*problem])?;
    let rows = wire::rows(&document, "item");
    let received = |row: &Value| wire::decimal(row, "quantityReceived").unwrap_or_default();
    let decoded = decode(raw, values);
    let Some(stands) = decoded.record else { return Err(decoded.problems) };
    if ret.status == ReturnStatus::Cancelled {
        return match stands.status {
            ReturnStatus::Cancelled => Ok(Encoded::Nothing),
            _ if rows.iter().any(|row| received(row) > Decimal::ZERO) => Err(vec![taken_back(ret, raw)]),
            _ => close(ret, raw, rows),
        };
    }
    if stands.status == ReturnStatus::Cancelled {
        return Err(vec![state(
            ret,
            raw,
            "is closed or cancelled",
            "Open its lines again there and release; or dismiss this with the reason.",
        )]);
    }
    let differences = compare(&ret.clone().into(), &stands.into(), Carries::default());
    if !differences.is_empty() {
        let told: Vec<String> = differences
            .iter()
            .map(|d| {
                format!(
                    "{}: {} there {}",
                    d.path,
                    d.expected.as_deref().unwrap_or("nothing"),
                    d.actual.as_deref().unwrap_or("nothing")
                )
            })
            .collect();
        return Err(vec![
            Problem::new(
                "return.differs",
                "lines",
                format!("return {} is not what return authorization {} there says: {}", ret.id, raw.id, told.join("; ")),
                "Somebody changed one of the two, and the lines of an authorization are not changed from here. Mend it there, then release; or dismiss this with a reason.",
            )
            .cause(ret.key.as_str()),
        ]);
    }
    if ret.status != ReturnStatus::Received {
        return Ok(Encoded::Nothing);
    }
    let open: Vec<(&Value, Decimal)> = rows
        .iter()
        .filter(|row| !wire::truth(row, "isClosed"))
        .map(|row| (row, wire::decimal(row, "quantity").unwrap_or_default().checked_sub(received(row)).unwrap_or_default()))
        .filter(|(_, open)| *open > Decimal::ZERO)
        .collect();
    if open.is_empty() {
        return Ok(Encoded::Nothing);
    }
    if status_letter(&document) == Some('A') {
        let remedy = "Approve it there, or set returns.status = \"B\" for this connection; then release.";
        return Err(vec![state(ret, raw, "waits for approval", remedy)]);
    }
    receive(ret, values, raw, &document, &open, settings)
}

fn close(ret: &Return, raw: &Raw, rows: &[Value]) -> Result<Encoded, Vec<Problem>> {
    let closed = |row: &Value| {
        let mut map = Map::new();
        map.insert("line".to_owned(), row.get("line").cloned().unwrap_or_default());
        map.insert("isClosed".to_owned(), Value::Bool(true));
        Value::Object(map)
    };
    let mut body = Map::new();
    body.insert("item".to_owned(), list(rows.iter().map(closed).collect()));
    Ok(Encoded::Put(Request {
        what: format!("close return authorization {} of return {}, which was taken back", raw.id, ret.id),
        method: "PATCH".to_owned(),
        path: format!("{RECORDS}/returnAuthorization/{}", raw.id),
        body: Value::Object(body),
        update: Some(raw.id.clone()),
        unfinished: false,
    }))
}

/// The item receipt of what has not been received. It is a change of the authorization: a lost answer is settled by looking at it.
fn receive(
    ret: &Return,
    values: &Values,
    raw: &Raw,
    document: &Value,
    open: &[(&Value, Decimal)],
    settings: &ReturnSettings,
) -> Result<Encoded, Vec<Problem>> {
    let what = format!("the receipt of return {}", ret.id);
    let day =
        period::day(received_on(ret, settings), "received_at", &what, values, settings).map_err(|problem| vec![*problem])?;
    let mapped = values.get(&location_lookup(ret)).map(str::to_owned);
    // Goods that are gone stay off the shelf: at a place of their own where there is one, else by the flag.
    let flagged = ret.disposition == Disposition::WriteOff && mapped.is_none();
    let row = |(row, open): &(&Value, Decimal)| {
        let mut map = Map::new();
        let mut put = |name: &str, value: Value| drop(map.insert(name.to_owned(), value));
        put("orderLine", row.get("line").cloned().unwrap_or_default());
        put("itemReceive", Value::Bool(true));
        put("quantity", wire::number(open.normalize()));
        let place = mapped.clone().or_else(|| wire::id(row, "location")).or_else(|| wire::id(document, "location"));
        if let Some(place) = place {
            put("location", wire::reference(&place));
        }
        if flagged {
            put(&settings.restock_field, Value::Bool(false));
        }
        Value::Object(map)
    };
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
    put("externalId", Value::String(wire::external_id(RECEIPT_PREFIX, ret.key.as_str())));
    put("tranDate", Value::String(day.posted.to_string()));
    let memo = format!("{}Return {}, {}", day.note("received"), ret.id, ret.disposition.word().replace('_', " "));
    put("memo", Value::String(bounded(&memo, MEMO_CHARS_MAX)));
    put("item", list(open.iter().map(row).collect()));
    Ok(Encoded::Put(Request {
        what: format!("receive return {} by return authorization {}", ret.id, raw.id),
        method: "POST".to_owned(),
        path: format!("{RECORDS}/returnAuthorization/{}/!transform/itemReceipt", raw.id),
        body: Value::Object(body),
        update: Some(raw.id.clone()),
        unfinished: false,
    }))
}

fn state(ret: &Return, raw: &Raw, words: &str, remedy: &str) -> Problem {
    Problem::new(
        "return.authorization_state",
        "status",
        format!("return authorization {} of return {} {words}", raw.id, ret.id),
        remedy,
    )
    .cause(words)
}

fn taken_back(ret: &Return, raw: &Raw) -> Problem {
    Problem::new(
        "return.cancelled",
        "status",
        format!("return {} was taken back, and goods of it were received by return authorization {} there", ret.id, raw.id),
        "See where the goods are. If they did not come, delete the item receipt there and release; otherwise dismiss this with the reason.",
    )
    .cause(ret.key.as_str())
}

/// An authorization as our return.
pub(crate) fn decode(raw: &Raw, words: &Values) -> Decoded<Return> {
    let none = |problem: Problem| Decoded::of(None, vec![problem]);
    let document = match parse(raw) {
        Ok(document) => document,
        Err(problem) => return none(*problem),
    };
    if document.get("item").is_none_or(|list| !list.get("items").is_some_and(Value::is_array) || wire::truth(list, "hasMore")) {
        return none(problem("lines", "the document does not show all its lines"));
    }
    let external = wire::text(&document, "externalId");
    let Some(key) = external.as_deref().and_then(|id| wire::key_of_external_id(PREFIX, id)) else {
        return none(problem("key", "the return authorization does not carry our external id"));
    };
    let rows = wire::rows(&document, "item");
    let quantity = |row: &Value, name: &str| wire::decimal(row, name).unwrap_or_default();
    let came = rows.iter().any(|row| quantity(row, "quantityReceived") > Decimal::ZERO);
    let all_closed = !rows.is_empty() && rows.iter().all(|row| wire::truth(row, "isClosed"));
    let cancelled = !came && (all_closed || matches!(status_letter(&document), Some('C' | 'H')));
    let counted = || {
        rows.iter().filter(|row| cancelled || !wire::truth(row, "isClosed") || quantity(row, "quantityReceived") > Decimal::ZERO)
    };
    let arrived = counted().all(|row| quantity(row, "quantityReceived") >= quantity(row, "quantity"));
    let status = match (cancelled, came && arrived) {
        (true, _) => ReturnStatus::Cancelled,
        (false, true) => ReturnStatus::Received,
        (false, false) => ReturnStatus::Announced,
    };
    let line = |row: &Value| {
        let item = wire::id(row, "item")?;
        let sku = words.name_of("item", &item).or_else(|| wire::ref_name(row, "item").map(|name| leaf(&name)))?;
        let (order, order_line) = wire::id(row, "taxDetailsReference").map_or((None, None), |text| told(&text));
        let quantity = units(row, "quantity")?;
        Some(ReturnLine { order, order_line, sku: Sku::new(sku), quantity, condition: None, reason: None })
    };
    let Some(lines) = counted().map(line).collect::<Option<Vec<_>>>() else {
        return none(problem("lines", "a line is not so many units of an item"));
    };
    let from = wire::id(&document, "createdFrom");
    let mut values = Values::default();
    for (_, key, _) in words.iter().filter(|(table, ..)| *table == ORDER) {
        // One that stands alone was made from nothing.
        if let Some(from) = &from {
            values.set(ORDER, key, from);
        }
    }
    let record = Return {
        key: RecordKey::new(key),
        id: raw.id.clone(),
        order: from.and_then(|from| words.name_of(ORDER, &from)).map(RecordKey::new),
        counterpart: None,
        shipment: None,
        status,
        created_at: moment_of(&document, "createdDate").unwrap_or(Timestamp::UNIX_EPOCH),
        received_at: None,
        updated_at: moment_of(&document, "lastModifiedDate").or(raw.version).unwrap_or(Timestamp::UNIX_EPOCH),
        warehouse: None,
        // Kept with the receipts alone.
        disposition: Disposition::Restock,
        reason: None,
        comment: wire::text(&document, "memo").map(|text| wire::text_in(&text)),
        lines,
    };
    Decoded { record: Some(record), problems: Vec::new(), values, also: Vec::new() }
}

/// A row of an authorization of which units can still be credited.
#[derive(Debug)]
pub(crate) struct Creditable<'a> {
    pub row: &'a Value,
    pub number: &'a Value,
    pub open: u32,
    pub received: u32,
}

/// What can still be credited of an authorization, line by line.
pub(crate) fn creditable(document: &Value) -> Vec<Creditable<'_>> {
    let whole = |value: Decimal| u32::try_from(value.trunc()).unwrap_or(0);
    let number = |row: &Value, name: &str| wire::decimal(row, name).unwrap_or_default();
    let rows = wire::rows(document, "item").iter().filter(|row| !wire::truth(row, "isClosed"));
    rows.filter_map(|row| {
        let billed = number(row, "quantityBilled");
        Some(Creditable {
            row,
            number: row.get("line").filter(|number| !number.is_null())?,
            open: whole(number(row, "quantity").checked_sub(billed)?),
            received: whole(number(row, "quantityReceived").checked_sub(billed)?),
        })
    })
    .collect()
}

/// Whether a row of an authorization is of these units of an order's line; by the item where neither side knows the line.
pub(crate) fn is_of(row: &Value, order: Option<&RecordKey>, line: Option<&ExternalId>, item: Option<&str>, sku: &Sku) -> bool {
    let (their_order, their_line) = wire::id(row, "taxDetailsReference").map_or((None, None), |text| told(&text));
    match (&their_line, line) {
        (Some(theirs), Some(ours)) => {
            theirs == ours && their_order.as_ref().zip(order).is_none_or(|(theirs, ours)| theirs == ours)
        }
        _ => sells(row, item, sku),
    }
}

/// Units per line there, for whoever has to look.
pub(crate) fn shown(document: &Value) -> String {
    let mut units: BTreeMap<String, Decimal> = BTreeMap::new();
    for one in creditable(document) {
        let name = wire::ref_name(one.row, "item").unwrap_or_else(|| "an item".to_owned());
        let sum = units.entry(name).or_default();
        *sum = sum.checked_add(Decimal::from(one.open)).unwrap_or(*sum);
    }
    let each: Vec<String> = units.iter().map(|(name, units)| format!("{units} × {name}")).collect();
    if each.is_empty() { "nothing".to_owned() } else { each.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_line_for_one_line_of_a_sale_has_a_reference_of_its_own_and_is_told_the_same() {
        let wanted =
            Wanted { order: Some(RecordKey::new("536397")), line: Some("59393".into()), sku: Sku::new("35004B"), quantity: 2 };
        for of_one in [true, false] {
            let references: Vec<String> = (0..3).map(|before| reference_of(&wanted, of_one, before).unwrap()).collect();
            assert_eq!(references.iter().collect::<BTreeSet<_>>().len(), 3, "{references:?}");
            let first = told(&references[0]);
            assert_eq!(first.1.as_ref().map(ExternalId::as_str), Some("59393"));
            assert!(references.iter().all(|reference| told(reference) == first), "{references:?}");
        }
        assert_eq!(told("L12#x").1.unwrap().as_str(), "12#x", "only a number of ours is taken off");
    }
}
