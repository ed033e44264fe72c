//! A shipment → an item fulfilment of the sales order. Pure.
//!
//! Every line of the order that could be fulfilled is named: what leaves with its units, the others with
//! `itemReceive: false`, as a line that is not named is taken with all that is open of it. A kit is fulfilled whole, by the
//! shipment that brings the last of its components; what has left of it before is held back until then.

use rust_decimal::Decimal;
use selvedge_connector::{Encoded, Raw, Request, Standing};
use selvedge_model::{
    ExternalId, Problem, Shipment, Sku,
    gate::{Lookup, Values},
    records::{ShipmentLine, ShipmentStatus},
};
use serde_json::{Map, Value};

use super::{
    super::{
        change::status_letter,
        encode::{RECORDS, add_absent, list},
        items::{decode::leaf, encode::item_lookup},
        plan,
        settings::{Document, Form, ShipmentSettings},
        wire,
    },
    PREFIX, decode,
};

/// The longest memo that is sent.
const MEMO_CHARS_MAX: usize = 999;
/// Types of lines that are never fulfilled.
const NO_GOODS: [&str; 8] = ["Discount", "Markup", "Subtotal", "Description", "EndGroup", "Payment", "ShipItem", "OthCharge"];

fn warehouse_lookup(shipment: &Shipment) -> Option<Lookup> {
    let warehouse = shipment.warehouse.as_ref().filter(|warehouse| !warehouse.id.is_empty())?;
    Some(Lookup::new("warehouse", &[("warehouse", &warehouse.id)], "warehouse").label(&warehouse.name).optional())
}

/// Every mapped value that a shipment needs: its items, as the order's lines are known by them where they carry no reference
/// of ours, and the place that it left from.
pub(crate) fn lookups(shipment: &Shipment) -> Vec<Lookup> {
    let lines = shipment.lines.iter().enumerate().filter(|(_, line)| shipment.bundle_of(line).is_none());
    let lines = lines.map(|(index, line)| item_lookup(line.sku.as_str(), format!("lines[{index}].sku")).optional());
    let bundles = shipment.bundles.iter().map(|bundle| item_lookup(bundle.sku.as_str(), "lines".to_owned()).optional());
    let mut lookups: Vec<Lookup> = lines.chain(bundles).chain(warehouse_lookup(shipment)).collect();
    let mut seen = std::collections::BTreeSet::new();
    lookups.retain(|lookup| seen.insert((lookup.table.clone(), lookup.key_text())));
    lookups
}

/// The request that makes a shipment stand.
pub(crate) fn shipment(
    shipment: &Shipment,
    values: &Values,
    there: Standing<'_>,
    form: &Form,
    settings: &ShipmentSettings,
) -> Result<Encoded, Vec<Problem>> {
    if form.document == Document::CashSale {
        return Err(vec![no_fulfilment(shipment)]);
    }
    match there.own {
        Some(raw) => go_on(shipment, values, raw, settings),
        None => {
            let order = there.needed.ok_or_else(|| vec![order_unread(shipment)])?;
            create(shipment, values, order, settings)
        }
    }
}

/// One line of the order, as far as it can be fulfilled.
struct OrderLine<'a> {
    row: &'a Value,
    number: &'a Value,
    remaining: Decimal,
    /// Units that leave now.
    now: u32,
}

impl OrderLine<'_> {
    fn open(&self) -> Decimal {
        self.remaining.checked_sub(Decimal::from(self.now)).unwrap_or_default()
    }
}

fn order_lines(document: &Value) -> Vec<OrderLine<'_>> {
    let rows = wire::rows(document, "item").iter();
    let goods = rows.filter(|row| {
        let kind = wire::id(row, "itemType").unwrap_or_default();
        !NO_GOODS.contains(&kind.as_str()) && !wire::truth(row, "isClosed")
    });
    goods
        .filter_map(|row| {
            let number = row.get("line").filter(|number| !number.is_null())?;
            let ordered = wire::decimal(row, "quantity").unwrap_or_default();
            // Picked and packed units are in fulfilments that stand already.
            let taken = ["quantityFulfilled", "quantityPicked", "quantityPacked"]
                .map(|name| wire::decimal(row, name).unwrap_or_default());
            let taken = taken.into_iter().max().unwrap_or_default();
            let remaining = ordered.checked_sub(taken).unwrap_or_default();
            (remaining > Decimal::ZERO).then_some(OrderLine { row, number, remaining, now: 0 })
        })
        .collect()
}

/// Takes units off the lines that sell this: the one with our reference, else those with the item, the first line first.
fn take(
    lines: &mut [OrderLine<'_>],
    document: &Value,
    order_line: Option<&ExternalId>,
    sku: &Sku,
    units: u32,
    values: &Values,
) -> Result<(), Missing> {
    let reference = order_line.map(|id| format!("{}{id}", plan::LINE));
    let item = values.get(&item_lookup(sku.as_str(), String::new())).map(str::to_owned);
    let referenced = |row: &Value| reference.is_some() && wire::id(row, "taxDetailsReference") == reference;
    let sells = |row: &Value| match &item {
        Some(item) => wire::id(row, "item").as_ref() == Some(item),
        None => wire::ref_name(row, "item").is_some_and(|name| leaf(&name) == sku.as_str()),
    };
    let rows = wire::rows(document, "item");
    let by_reference = rows.iter().any(referenced);
    if !by_reference && !rows.iter().any(sells) {
        return Err(Missing::NoLine);
    }
    let mut left = units;
    let fits = |row: &Value| if by_reference { referenced(row) } else { sells(row) };
    for line in lines.iter_mut().filter(|line| fits(line.row)) {
        let open = u32::try_from(line.open().trunc()).unwrap_or(0);
        let now = left.min(open);
        line.now = line.now.saturating_add(now);
        left -= now;
    }
    if left > 0 { Err(Missing::Units(left)) } else { Ok(()) }
}

enum Missing {
    /// The order there has no such line.
    NoLine,
    /// So many units are more than it still has open.
    Units(u32),
}

/// Whether anything of it is to be fulfilled. Parts of kits alone are not: the shipment that brings the last of them takes the
/// kits, and may have done so already, so that the order there has nothing left.
fn owes(shipment: &Shipment) -> bool {
    let plain = |line: &ShipmentLine| line.quantity > 0 && shipment.bundle_of(line).is_none();
    shipment.lines.iter().any(plain) || shipment.bundles.iter().any(|bundle| bundle.quantity > 0)
}

fn create(shipment: &Shipment, values: &Values, order: &Raw, settings: &ShipmentSettings) -> Result<Encoded, Vec<Problem>> {
    let document: Value = serde_json::from_slice(&order.body).map_err(|_| vec![order_unread(shipment)])?;
    if document.get("item").is_none_or(|list| !list.get("items").is_some_and(Value::is_array) || wire::truth(list, "hasMore")) {
        return Err(vec![order_unread(shipment)]);
    }
    if !owes(shipment) {
        return Ok(Encoded::Nothing);
    }
    match status_letter(&document) {
        Some('B' | 'D' | 'E') => {}
        letter => return Err(vec![order_state(shipment, order, letter)]),
    }
    let mut lines = order_lines(&document);
    let mut problems = Vec::new();
    let mut held_back = Vec::new();
    for (index, line) in shipment.lines.iter().enumerate() {
        match shipment.bundle_of(line) {
            Some(bundle) if bundle.quantity == 0 => held_back.push(format!("{} × {}", line.quantity, line.sku)),
            Some(_) => {}
            None => {
                if let Err(missing) = take(&mut lines, &document, line.order_line.as_ref(), &line.sku, line.quantity, values) {
                    problems.push(does_not_fit(shipment, order, &format!("lines[{index}]"), &line.sku, line.quantity, &missing));
                }
            }
        }
    }
    for bundle in shipment.bundles.iter().filter(|bundle| bundle.quantity > 0) {
        if let Err(missing) = take(&mut lines, &document, Some(&bundle.line), &bundle.sku, bundle.quantity, values) {
            problems.push(does_not_fit(shipment, order, "lines", &bundle.sku, bundle.quantity, &missing));
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let from = warehouse_lookup(shipment).and_then(|lookup| values.get(&lookup).map(str::to_owned));
    let rows = lines.iter().map(|line| fulfilment_line(line, &document, from.as_deref())).collect();
    let external_id = wire::external_id(PREFIX, shipment.key.as_str());
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
    put("externalId", Value::String(external_id));
    put("shipStatus", wire::reference(settings.status));
    if let Some(at) = shipment.shipped_at {
        put("tranDate", Value::String(at.to_zoned(settings.time_zone.clone()).date().to_string()));
    }
    let memo = format!("Shipment {} of order {}", shipment.id, shipment.order);
    put("memo", Value::String(wire::text_out(&memo).chars().take(MEMO_CHARS_MAX).collect()));
    put("item", list(rows));
    let packages = packages(shipment, settings);
    if !packages.is_empty() {
        put("package", list(packages));
    }
    add_absent(&mut body, &settings.fields);
    let waits = if held_back.is_empty() {
        String::new()
    } else {
        format!(", without {} of bundles that are not complete yet", held_back.join(", "))
    };
    Ok(Encoded::Put(Request {
        what: format!("fulfil shipment {} of order {}{waits}", shipment.id, shipment.order),
        method: "POST".to_owned(),
        path: format!("{RECORDS}/salesOrder/{}/!transform/itemFulfillment", order.id),
        body: Value::Object(body),
        update: None,
        unfinished: false,
    }))
}

fn fulfilment_line(line: &OrderLine<'_>, document: &Value, from: Option<&str>) -> Value {
    let mut map = Map::new();
    map.insert("orderLine".to_owned(), line.number.clone());
    if line.now == 0 {
        map.insert("itemReceive".to_owned(), Value::Bool(false));
        return Value::Object(map);
    }
    map.insert("itemReceive".to_owned(), Value::Bool(true));
    map.insert("quantity".to_owned(), Value::from(line.now));
    // An account with several locations wants one of each line: where it left from, else where the order takes it.
    let of_order = || wire::id(line.row, "location").or_else(|| wire::id(document, "location"));
    if let Some(location) = from.map(str::to_owned).or_else(of_order) {
        map.insert("location".to_owned(), wire::reference(&location));
    }
    Value::Object(map)
}

/// A package per tracking number.
fn packages(shipment: &Shipment, settings: &ShipmentSettings) -> Vec<Value> {
    let of = |number: &str| {
        let mut map = Map::new();
        map.insert("packageTrackingNumber".to_owned(), Value::String(number.to_owned()));
        let parcel = shipment.parcels.iter().find(|parcel| parcel.tracking.as_deref() == Some(number));
        let by =
            parcel.map(|parcel| [parcel.carrier.as_deref(), parcel.service.as_deref()].into_iter().flatten().collect::<Vec<_>>());
        if let Some(words) = by.filter(|words| !words.is_empty()) {
            map.insert("packageDescr".to_owned(), Value::String(wire::text_out(&words.join(" "))));
        }
        if !settings.package_weight.is_zero() {
            map.insert("packageWeight".to_owned(), wire::number(settings.package_weight));
        }
        Value::Object(map)
    };
    shipment.tracking().into_iter().map(of).collect()
}

/// What a fulfilment that stands still lacks: a tracking number that came late, or its status.
fn go_on(shipment: &Shipment, values: &Values, raw: &Raw, settings: &ShipmentSettings) -> Result<Encoded, Vec<Problem>> {
    let document: Value = serde_json::from_slice(&raw.body).unwrap_or_default();
    let there = decode::lines(&document, values).filter(|_| document.is_object()).ok_or_else(|| vec![unreadable(raw)])?;
    if shipment.status == ShipmentStatus::Cancelled {
        return Err(vec![taken_back(shipment, raw)]);
    }
    let sum = |lines: Vec<(&Sku, u32)>| {
        let mut units: std::collections::BTreeMap<String, u64> = std::collections::BTreeMap::new();
        for (sku, quantity) in lines {
            *units.entry(sku.to_string()).or_default() += u64::from(quantity);
        }
        units
    };
    let plain = shipment.lines.iter().filter(|line| shipment.bundle_of(line).is_none()).map(|line| (&line.sku, line.quantity));
    let whole = shipment.bundles.iter().filter(|b| b.quantity > 0).map(|bundle| (&bundle.sku, bundle.quantity));
    let ours = sum(plain.chain(whole).collect());
    let theirs = sum(there.iter().map(|line| (&line.sku, line.quantity)).collect());
    if ours != theirs {
        return Err(vec![other_lines(shipment, raw, &ours, &theirs)]);
    }
    let mut body = Map::new();
    let mut path = format!("{RECORDS}/itemFulfillment/{}", raw.id);
    let (mut wanted, mut numbers): (Vec<String>, Vec<String>) =
        (shipment.tracking().into_iter().map(str::to_owned).collect(), decode::tracking(&document));
    wanted.sort();
    numbers.sort();
    if wanted != numbers {
        body.insert("package".to_owned(), list(packages(shipment, settings)));
        // Packages have no key: without this they would be added.
        path.push_str("?replace=package");
    }
    let letter = wire::id(&document, "shipStatus").or_else(|| wire::id(&document, "status")).unwrap_or_default();
    if letter.as_str() < settings.status {
        body.insert("shipStatus".to_owned(), wire::reference(settings.status));
    }
    if body.is_empty() {
        return Ok(Encoded::Nothing);
    }
    Ok(Encoded::Put(Request {
        what: format!("change item fulfillment {} of order {}", raw.id, shipment.order),
        method: "PATCH".to_owned(),
        path,
        body: Value::Object(body),
        update: Some(raw.id.clone()),
        unfinished: false,
    }))
}

fn no_fulfilment(shipment: &Shipment) -> Problem {
    Problem::new(
        "shipment.no_fulfilment",
        "order",
        format!(
            "order {} stands in NetSuite as a cash sale, which hands its goods over at once: it has no fulfilment",
            shipment.order
        ),
        "Set document = \"sales_order\" for this connection, or take the flow of shipments into it out; then dismiss this with the reason.",
    )
}

fn order_unread(shipment: &Shipment) -> Problem {
    Problem::new(
        "decode.unreadable",
        "order",
        format!("the sales order of order {} there could not be read with all its lines", shipment.order),
        "Look at the document there; if it reads well, update the connector. Then release.",
    )
}

fn unreadable(raw: &Raw) -> Problem {
    Problem::new(
        "decode.unreadable",
        "",
        format!("item fulfillment {} there could not be read", raw.id),
        "Look at the document there; if it reads well, update the connector. Then release.",
    )
}

fn order_state(shipment: &Shipment, order: &Raw, letter: Option<char>) -> Problem {
    let (words, remedy) = match letter {
        Some('A') => ("waits for approval", "Approve it there, or set order_status = \"B\" for this connection; then release."),
        Some('C' | 'H') => (
            "is closed or cancelled",
            "Open its lines again there and release; or dismiss this with the reason, and see to the goods that left.",
        ),
        Some('F' | 'G') => (
            "has nothing left to be fulfilled",
            "See who fulfilled it (another integration, or somebody by hand). If these units are in it, dismiss this with the reason; otherwise mend it there and release.",
        ),
        _ => ("is in a state that we do not know", "Look at it there; then release."),
    };
    let shown = letter.map_or_else(|| "nothing".to_owned(), |letter| letter.to_string());
    Problem::new(
        "shipment.order_state",
        "order",
        format!("sales order {} of order {} {words}, and shipment {} is for it", order.id, shipment.order, shipment.id),
        remedy,
    )
    .value(&shown)
    .cause(format!("{shown},{}", shipment.order))
}

fn does_not_fit(shipment: &Shipment, order: &Raw, path: &str, sku: &Sku, units: u32, missing: &Missing) -> Problem {
    let (rule, message, remedy) = match missing {
        Missing::NoLine => (
            "shipment.line_absent",
            format!("{units} × {sku} left, and sales order {} there has no line of it", order.id),
            "Somebody changed the order there. Put the line back, or fulfil it by hand and dismiss this with the reason.",
        ),
        Missing::Units(over) => (
            "shipment.over_there",
            format!("{units} × {sku} left, which is {over} more than sales order {} there still has open", order.id),
            "See what fulfilled it already (another integration, or somebody by hand), or who closed or lowered the line. Mend it there and release; or dismiss this with the reason.",
        ),
    };
    Problem::new(rule, path, message, remedy).value(sku.as_str()).cause(shipment.key.as_str())
}

fn other_lines(
    shipment: &Shipment,
    raw: &Raw,
    ours: &std::collections::BTreeMap<String, u64>,
    theirs: &std::collections::BTreeMap<String, u64>,
) -> Problem {
    let told = |units: &std::collections::BTreeMap<String, u64>| {
        let each: Vec<String> = units.iter().map(|(sku, units)| format!("{units} × {sku}")).collect();
        if each.is_empty() { "nothing".to_owned() } else { each.join(", ") }
    };
    Problem::new(
        "shipment.differs",
        "lines",
        format!("the warehouse ships {}, and item fulfillment {} there has {}", told(ours), raw.id, told(theirs)),
        "Somebody changed one of the two, and the lines of a fulfillment are not changed from here. Mend it there, then release; or dismiss this with a reason.",
    )
    .cause(shipment.key.as_str())
}

fn taken_back(shipment: &Shipment, raw: &Raw) -> Problem {
    Problem::new(
        "shipment.cancelled",
        "status",
        format!(
            "the warehouse took shipment {} of order {} back, and it stands in NetSuite as item fulfillment {}",
            shipment.id, shipment.order, raw.id
        ),
        "If the goods came back or never left, delete the fulfillment there (or make a return of it), then dismiss this.",
    )
    .cause(shipment.key.as_str())
}
