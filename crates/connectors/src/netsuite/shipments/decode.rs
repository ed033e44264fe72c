//! An item fulfilment → a shipment. Pure, and it never fails: what cannot be read is a problem.

use jiff::Timestamp;
use rust_decimal::Decimal;
use selvedge_connector::{Decoded, Raw};
use selvedge_model::{
    ExternalId, Problem, RecordKey, Shipment, Sku,
    gate::Values,
    moment,
    records::{Named, Parcel, ShipmentLine, ShipmentStatus},
};
use serde_json::Value;

use super::{
    super::{items::decode::leaf, wire},
    ORDER, PREFIX,
};

/// The lists of packages, by whose labels they were made, and what each calls the number.
const PACKAGES: [(&str, &str); 4] = [
    ("package", "packageTrackingNumber"),
    ("packageUps", "packageTrackingNumberUps"),
    ("packageFedex", "packageTrackingNumberFedEx"),
    ("packageUsps", "packageTrackingNumberUsps"),
];

fn problem(path: &str, message: impl Into<String>) -> Problem {
    Problem::new(
        "decode.field",
        path,
        message,
        "Look at the item fulfillment there; if it reads well, update the connector. Then release.",
    )
}

/// Tracking numbers, in the order of the packages.
pub(crate) fn tracking(document: &Value) -> Vec<String> {
    let numbers = |(list, name): (&str, &str)| -> Vec<String> {
        let rows = wire::rows(document, list).iter();
        rows.filter_map(|row| wire::text(row, name)).map(|number| number.trim().to_owned()).collect()
    };
    PACKAGES.into_iter().flat_map(numbers).collect()
}

/// Units of a row.
pub(crate) fn units(row: &Value, name: &str) -> Option<u32> {
    let quantity = wire::decimal(row, name)?.normalize();
    u32::try_from(quantity).ok().filter(|whole| Decimal::from(*whole) == quantity)
}

/// The lines that left, kits as kits: `None` where one is not whole units of an item.
pub(crate) fn lines(document: &Value, words: &Values) -> Option<Vec<ShipmentLine>> {
    let gone = wire::rows(document, "item").iter().filter(|row| {
        let left_out = row.get("itemReceive").is_some_and(|flag| !flag.is_null()) && !wire::truth(row, "itemReceive");
        // The parts of a kit follow it, and are counted with it.
        !left_out && wire::id(row, "kitMemberOf").is_none_or(|line| line == "0")
    });
    let line = |row: &Value| {
        let item = wire::id(row, "item")?;
        let sku = words.name_of("item", &item).or_else(|| wire::ref_name(row, "item").map(|name| leaf(&name)))?;
        Some(ShipmentLine { order_line: None, sku: Sku::new(sku), quantity: units(row, "quantity")? })
    };
    gone.map(line).filter(|line| line.as_ref().is_none_or(|line| line.quantity > 0)).collect()
}

/// Whose it is: the order that the gate resolved, else what our key says.
fn order(document: &Value, key: Option<&str>, words: &Values) -> Option<String> {
    let by_words = wire::id(document, "createdFrom").and_then(|id| words.name_of(ORDER, &id));
    by_words.or_else(|| {
        // Order, connection and shipment; a number with dots in it cannot be told apart.
        let parts: Vec<&str> = key?.split('.').collect();
        (parts.len() == 3).then(|| parts.first().map(|order| (*order).to_owned()))?
    })
}

/// An item fulfilment as our shipment.
pub(crate) fn shipment(raw: &Raw, words: &Values) -> Decoded<Shipment> {
    let none = |problem: Problem| Decoded::of(None, vec![problem]);
    let Some(document) = serde_json::from_slice::<Value>(&raw.body).ok().filter(Value::is_object) else {
        return none(Problem::new(
            "decode.unreadable",
            "",
            format!("item fulfillment {} there is not a JSON object", raw.id),
            "Look at the document there; then release.",
        ));
    };
    if document.get("item").is_none_or(|list| !list.get("items").is_some_and(Value::is_array) || wire::truth(list, "hasMore")) {
        return none(problem("lines", "the document does not show all its lines"));
    }
    let external = wire::text(&document, "externalId");
    let key = external.as_deref().and_then(|id| wire::key_of_external_id(PREFIX, id));
    let Some(order) = order(&document, key.as_deref(), words) else {
        return none(problem("order", "which order of ours it is for cannot be told"));
    };
    let Some(lines) = lines(&document, words) else {
        return none(problem("lines", "a line is not so many units of an item"));
    };
    let letter = wire::id(&document, "shipStatus").or_else(|| wire::id(&document, "status"));
    let status = match letter.as_deref() {
        Some("A" | "B") => ShipmentStatus::Open,
        Some("C") => ShipmentStatus::Shipped,
        other => return none(problem("status", "the status is none that we know").value(other.unwrap_or("nothing"))),
    };
    let at = |name: &str| wire::text(&document, name).and_then(|text| moment::with_offset(&text).ok());
    let numbers = tracking(&document);
    let parcels = numbers.into_iter().map(|number| Parcel { tracking: Some(number), ..Parcel::default() }).collect();
    let mut values = Values::default();
    for (_, key, _) in words.iter().filter(|(table, ..)| *table == ORDER) {
        values.set(ORDER, key, wire::id(&document, "createdFrom").unwrap_or_else(|| "nothing".to_owned()));
    }
    let record = Shipment {
        key: RecordKey::new(key.unwrap_or_else(|| format!("{order}.{}", raw.id))),
        id: ExternalId::new(raw.id.as_str()),
        order: RecordKey::new(order),
        status,
        // The day alone is kept.
        shipped_at: None,
        updated_at: at("lastModifiedDate").or(raw.version).unwrap_or(Timestamp::UNIX_EPOCH),
        warehouse: wire::rows(&document, "item").iter().find_map(|row| {
            Some(Named { id: wire::id(row, "location")?, name: wire::ref_name(row, "location").unwrap_or_default() })
        }),
        lines,
        short: Vec::new(),
        parcels,
        captured: None,
        bundles: Vec::new(),
    };
    Decoded { record: Some(record), problems: Vec::new(), values, also: Vec::new() }
}
