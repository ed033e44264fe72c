//! Returned goods → an inventory adjustment, where the account keeps no return authorizations; and back. Pure.
//!
//! Only goods that are there and are kept move anything: what is announced has not come, and what is written off was taken off
//! the shelf when it was sold.

use jiff::Timestamp;
use selvedge_connector::{Decoded, Encoded, Raw, Request, Standing};
use selvedge_model::{
    Problem, RecordKey, Return, Sku,
    compare::{Carries, compare},
    gate::Values,
    records::{Disposition, ReturnLine, ReturnStatus},
};
use serde_json::{Map, Value};

use super::{
    super::{
        decode::{moment_of, parse, problem},
        encode::{MEMO_CHARS_MAX, RECORDS, bounded, list},
        items::{decode::leaf, encode::item_lookup},
        settings::{Form, ReturnSettings},
        shipments::decode::units,
        wire,
    },
    authorization::{location_lookup, needed_order, order_of, received_on},
    period,
};

/// What our external ids begin with.
pub(crate) const PREFIX: &str = "ia_";

/// The request that puts returned goods on the shelf.
pub(crate) fn encode(
    ret: &Return,
    values: &Values,
    there: Standing<'_>,
    form: &Form,
    settings: &ReturnSettings,
) -> Result<Encoded, Vec<Problem>> {
    let kept = ret.status == ReturnStatus::Received && ret.disposition != Disposition::WriteOff;
    match (there.own, kept) {
        (None, false) => Ok(Encoded::Nothing),
        (None, true) => create(ret, values, there.needed, form, settings),
        (Some(raw), _) => stands(ret, values, raw, kept),
    }
}

fn create(
    ret: &Return,
    values: &Values,
    needed: Option<&Raw>,
    form: &Form,
    settings: &ReturnSettings,
) -> Result<Encoded, Vec<Problem>> {
    let key = order_of(ret).map(RecordKey::as_str).unwrap_or_default();
    let (_, order) = needed_order(needed, key)?;
    let what = format!("the adjustment for return {}", ret.id);
    let day =
        period::day(received_on(ret, settings), "received_at", &what, values, settings).map_err(|problem| vec![*problem])?;
    let mut problems = Vec::new();
    let mut rows = Vec::new();
    for (index, line) in ret.lines.iter().enumerate() {
        let lookup = item_lookup(line.sku.as_str(), format!("lines[{index}].sku"));
        let Some(item) = values.get(&lookup) else {
            problems.push(lookup.missing());
            continue;
        };
        let sold = wire::rows(&order, "item").iter().find(|row| wire::id(row, "item").as_deref() == Some(item));
        if sold.is_some_and(|row| wire::id(row, "itemType").as_deref() == Some("Kit")) {
            problems.push(kit(ret, index, &line.sku));
            continue;
        }
        let place = values.get(&location_lookup(ret)).map(str::to_owned);
        let place = place.or_else(|| wire::id(sold?, "location")).or_else(|| wire::id(&order, "location"));
        let Some(place) = place.or_else(|| form.default_location.clone()) else {
            problems.push(location_lookup(ret).missing());
            continue;
        };
        let mut map = Map::new();
        map.insert("item".to_owned(), wire::reference(item));
        map.insert("location".to_owned(), wire::reference(&place));
        map.insert("adjustQtyBy".to_owned(), Value::from(line.quantity));
        rows.push(Value::Object(map));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
    put("externalId", Value::String(wire::external_id(PREFIX, ret.key.as_str())));
    if form.one_world
        && let Some(subsidiary) = wire::id(&order, "subsidiary")
    {
        put("subsidiary", wire::reference(&subsidiary));
    }
    put("account", wire::reference(settings.account.as_deref().unwrap_or_default()));
    put("tranDate", Value::String(day.posted.to_string()));
    let memo = format!("{}Return {} of order {key}", day.note("received"), ret.id);
    put("memo", Value::String(bounded(&memo, MEMO_CHARS_MAX)));
    put("inventory", list(rows));
    Ok(Encoded::Put(Request {
        what: format!("adjust the stock for return {} of order {key}", ret.id),
        method: "POST".to_owned(),
        path: format!("{RECORDS}/inventoryAdjustment"),
        body: Value::Object(body),
        update: None,
        unfinished: false,
    }))
}

fn kit(ret: &Return, index: usize, sku: &Sku) -> Problem {
    Problem::new(
        "return.kit_adjustment",
        format!("lines[{index}].sku"),
        format!("{sku} of return {} is a kit, which keeps no stock of its own, and an adjustment cannot take it apart", ret.id),
        "Set returns.goods = \"authorization\" for this connection, or adjust its parts by hand there; then dismiss this with the reason.",
    )
    .value(sku.as_str())
    .cause(sku.as_str())
}

fn stands(ret: &Return, values: &Values, raw: &Raw, kept: bool) -> Result<Encoded, Vec<Problem>> {
    let decoded = decode(raw, values);
    let Some(there) = decoded.record else { return Err(decoded.problems) };
    if kept && compare(&ret.clone().into(), &there.into(), Carries::default()).is_empty() {
        return Ok(Encoded::Nothing);
    }
    Err(vec![
        Problem::new(
            "return.differs",
            "lines",
            format!("return {} changed after inventory adjustment {} had put its goods on the shelf", ret.id, raw.id),
            "Adjust what differs by hand there, then dismiss this with the reason; or mend the return at its source.",
        )
        .cause(ret.key.as_str()),
    ])
}

/// An adjustment of ours as the return that it was made for.
pub(crate) fn decode(raw: &Raw, words: &Values) -> Decoded<Return> {
    let none = |problem: Problem| Decoded::of(None, vec![problem]);
    let document = match parse(raw) {
        Ok(document) => document,
        Err(problem) => return none(*problem),
    };
    let external = wire::text(&document, "externalId");
    let Some(key) = external.as_deref().and_then(|id| wire::key_of_external_id(PREFIX, id)) else {
        return none(problem("key", "the inventory adjustment does not carry our external id"));
    };
    let line = |row: &Value| {
        let item = wire::id(row, "item")?;
        let sku = words.name_of("item", &item).or_else(|| wire::ref_name(row, "item").map(|name| leaf(&name)))?;
        let quantity = units(row, "adjustQtyBy")?;
        Some(ReturnLine { order: None, order_line: None, sku: Sku::new(sku), quantity, condition: None, reason: None })
    };
    let Some(lines) = wire::rows(&document, "inventory").iter().map(line).collect::<Option<Vec<_>>>() else {
        return none(problem("lines", "a line is not so many units of an item that come"));
    };
    let values = Values::default();
    let record = Return {
        key: RecordKey::new(key),
        id: raw.id.clone(),
        order: None,
        counterpart: None,
        shipment: None,
        status: ReturnStatus::Received,
        created_at: moment_of(&document, "createdDate").unwrap_or(Timestamp::UNIX_EPOCH),
        received_at: None,
        updated_at: moment_of(&document, "lastModifiedDate").or(raw.version).unwrap_or(Timestamp::UNIX_EPOCH),
        warehouse: None,
        disposition: Disposition::Restock,
        reason: None,
        comment: wire::text(&document, "memo").map(|text| wire::text_in(&text)),
        lines,
    };
    Decoded { record: Some(record), problems: Vec::new(), values, also: Vec::new() }
}
