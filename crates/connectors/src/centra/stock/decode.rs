//! Sizes as `StockLevels` brings them → levels. Pure; one odd size never costs the others.

use std::collections::BTreeMap;

use jiff::Timestamp;
use selvedge_model::{Currency, ExternalId, LocationId, Money, Problem, Rounding, Sku, StockLevel};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::super::{decode::decimal, wire::id_text};

const REPORT: &str =
    "Look the size up in AMS; if it looks right there, report this line: the instance answers otherwise than Centra documents.";

/// `productSizes`.
#[derive(Debug, Deserialize)]
pub(super) struct Sizes<'a> {
    /// One by one, so that an odd one does not take the page with it.
    #[serde(rename = "productSizes", borrow)]
    pub sizes: Vec<&'a RawValue>,
}

/// What a page of sizes says.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// One per size and asked place, also where nothing is kept yet.
    pub levels: Vec<StockLevel>,
    /// Sizes that could not be read.
    pub unread: Vec<(ExternalId, Problem)>,
    /// Sizes without a SKU: nothing else can name them, so they are nobody's stock. Sizes of bundles: their stock is that
    /// of their components and cannot be set (Centra answers "Stock cannot be set on a bundle").
    pub left_out: usize,
    /// The ids of the first and the last size, by which pages are known apart.
    pub ends: Option<(i64, i64)>,
}

/// Reads a page of sizes, asked for at these places.
pub(super) fn read(sizes: &Sizes<'_>, places: &[i32], as_of: Timestamp) -> Read {
    let mut read = Read::default();
    for text in &sizes.sizes {
        let size: Value = serde_json::from_str(text.get()).unwrap_or_default();
        let id = id_text(&size["id"]);
        if let Some(number) = id.as_deref().and_then(|id| id.parse::<i64>().ok()) {
            read.ends = Some((read.ends.map_or(number, |(first, _)| first), number));
        }
        match one(&size, id.as_deref(), places, as_of) {
            Ok(Some(levels)) => read.levels.extend(levels),
            Ok(None) => read.left_out += 1,
            Err(problem) => read.unread.push((ExternalId::new(id.unwrap_or_default()), *problem)),
        }
    }
    read
}

fn unreadable(path: impl Into<String>, value: &Value, message: impl Into<String>) -> Box<Problem> {
    let path = path.into();
    let detail: String = path.chars().filter(|c| !c.is_ascii_digit()).collect();
    let problem = Problem::new("stock.unreadable", path, message, REPORT).cause(detail);
    let shown = || value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Box::new(if value.is_null() { problem } else { problem.value(shown()) })
}

/// The levels of one size; `None` for a size that nobody keeps stock of.
fn one(size: &Value, id: Option<&str>, places: &[i32], as_of: Timestamp) -> Result<Option<Vec<StockLevel>>, Box<Problem>> {
    let id = id.ok_or_else(|| unreadable("id", &size["id"], "a size does not tell its id"))?;
    let sku = match &size["SKU"] {
        Value::Null => return Ok(None),
        Value::String(sku) if sku.trim().is_empty() => return Ok(None),
        // As order lines are read, so that both name the same thing.
        Value::String(sku) => sku.trim(),
        odd => return Err(unreadable("SKU", odd, "the SKU of a size is no text")),
    };
    if size["productVariant"]["product"]["isBundle"] == Value::Bool(true) {
        return Ok(None);
    }
    let active = active(size)?;
    let mut kept = quantities(size, places)?;
    let (unit_value, categories) = (unit_value(size), categories(size));
    let levels = places.iter().map(|place| {
        let (physical, free, waiting) = kept.remove(place).unwrap_or_default();
        StockLevel {
            sku: Sku::new(sku),
            location: LocationId::new(place.to_string()),
            item: ExternalId::new(id),
            as_of,
            changed_at: None,
            on_hand: physical,
            committed: physical.saturating_sub(free),
            back_ordered: waiting,
            pending_approval: 0,
            available: free,
            incoming: 0,
            active,
            unit_value,
            categories: categories.clone(),
        }
    });
    Ok(Some(levels.collect()))
}

/// Whether the size, its variant and its product are all there to be sold.
fn active(size: &Value) -> Result<bool, Box<Problem>> {
    let own = size["isActive"]
        .as_bool()
        .ok_or_else(|| unreadable("isActive", &size["isActive"], "whether a size is active is not said"))?;
    let variant = &size["productVariant"];
    let status = |of: &Value| of["status"].as_str().is_none_or(|status| status == "ACTIVE");
    Ok(own && status(variant) && status(&variant["product"]))
}

/// Units of one size in one warehouse: physical, free to allocate, wanted by orders that wait.
type Kept = (i64, i64, i64);

/// Physical, free to allocate, and wanted by orders that wait (nought where that was not asked for), by warehouse.
fn quantities(size: &Value, places: &[i32]) -> Result<BTreeMap<i32, Kept>, Box<Problem>> {
    let rows = size["stock"].as_array().ok_or_else(|| unreadable("stock", &size["stock"], "the stock of a size is no list"))?;
    let mut kept = BTreeMap::new();
    for (index, row) in rows.iter().enumerate() {
        let at = |field: &str| format!("stock[{index}].{field}");
        let place = match (&row["warehouse"]["id"], places) {
            // The instance does not say, and only one was asked for.
            (Value::Null, [only]) => *only,
            (id, _) => id_text(id)
                .and_then(|id| super::number(&id))
                .ok_or_else(|| unreadable(at("warehouse"), id, "of which warehouse a stock row is cannot be told"))?,
        };
        if !places.contains(&place) {
            continue;
        }
        let quantity = |field: &str| {
            let value = &row[field];
            value.as_i64().ok_or_else(|| unreadable(at(field), value, format!("{field} is no whole number of units")))
        };
        let (physical, free) = (quantity("physicalQuantity")?, quantity("freeToAllocateQuantity")?);
        if physical < 0 {
            return Err(unreadable(at("physicalQuantity"), &row["physicalQuantity"], "less than nothing is on the shelf"));
        }
        // Free to allocate is what is not allocated of the physical quantity.
        if free > physical {
            let message = format!("more is free to allocate than is there ({free} of {physical})");
            return Err(unreadable(at("freeToAllocateQuantity"), &row["freeToAllocateQuantity"], message));
        }
        let waiting = if row["demandQuantity"].is_null() { 0 } else { quantity("demandQuantity")?.max(0) };
        if kept.insert(place, (physical, free, waiting)).is_some() {
            return Err(unreadable(at("warehouse"), &Value::from(place), "a warehouse has two stock rows of one size"));
        }
    }
    Ok(kept)
}

/// Cost of one unit. An estimate of what is at stake: one that cannot be read is none, and finer ones are rounded half up.
fn unit_value(size: &Value) -> Option<Money> {
    let cost = &size["productVariant"]["unitCost"];
    let currency = Currency::from_code(cost["currency"]["code"].as_str()?)?;
    let value = match &cost["value"] {
        Value::Number(number) => decimal(&number.to_string())?,
        _ => return None,
    };
    Money::rounded(value, currency, Rounding::HalfUp).ok().filter(|money| money.minor() >= 0)
}

fn categories(size: &Value) -> Vec<String> {
    let product = &size["productVariant"]["product"];
    let mut names: Vec<String> = Vec::new();
    for group in ["folder", "collection"] {
        let name = product[group]["name"].as_str().map(str::trim).unwrap_or_default();
        if !name.is_empty() && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}
