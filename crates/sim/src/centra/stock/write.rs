//! Writing stock: `setStock` and `changeStock`, what they refuse and what they change.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::super::filter::list;
use super::super::mutate::{Outcome, Remark};
use super::super::state::{Entry, State};
use super::{BelowAllocated, Figure, Goods, WrongRows};

/// One row of an input: which size, how many units, and where it stands in the input.
struct Row {
    item: u32,
    units: i64,
    path: String,
}

/// The rows of an input, with what is wrong in it.
#[derive(Default)]
struct Rows {
    good: Vec<Row>,
    wrong: Vec<Remark>,
    twice: Vec<Remark>,
}

/// Whose numbers and ids an input means.
struct Names<'a> {
    state: &'a State,
    queue: &'a str,
}

/// The one key of a reference that is given, with its value.
fn only_key(reference: &Value) -> Option<(&str, &Value)> {
    let mut keys = reference.as_object()?.iter().filter(|(_, value)| !value.is_null());
    match (keys.next(), keys.next()) {
        (Some((key, value)), None) => Some((key, value)),
        _ => None,
    }
}

const ONE_KEY: &str = "Exactly one field of the reference must be given.";

impl Names<'_> {
    /// An id, by itself or behind an external one of this integration.
    fn id(&self, kind: &str, key: &str, value: &Value) -> Option<i32> {
        let id = match key {
            "externalId" => self.state.queues.get(self.queue)?.internal(kind, value.as_str()?)?,
            _ => value.as_i64()?,
        };
        i32::try_from(id).ok()
    }

    /// The index of a warehouse.
    fn warehouse(&self, reference: &Value) -> Result<u32, String> {
        let (key, value) = only_key(reference).ok_or(ONE_KEY)?;
        let id = self.id("Warehouse", key, value);
        let at = self.state.catalogue.markets().iter().position(|market| Some(market.id) == id);
        at.and_then(|at| u32::try_from(at).ok()).ok_or_else(|| "Could not find the warehouse.".to_owned())
    }

    /// The item of a `ProductSizeInput`.
    fn size(&self, reference: &Value) -> Result<u32, String> {
        let (key, value) = only_key(reference).ok_or(ONE_KEY)?;
        let count = self.state.item_count() as usize;
        let text = value.as_str().unwrap_or("");
        let by_sku = || self.state.shelf.sku(text).map_or_else(Vec::new, |item| vec![item]);
        let by_ean = || self.state.shelf.by_ean(text, count);
        let by_upc = || self.state.shelf.by_upc(text);
        let found = match key {
            "id" => {
                let at = value.as_i64().and_then(|id| u32::try_from(id.checked_sub(1)?).ok());
                at.filter(|at| (*at as usize) < count).into_iter().collect()
            }
            "SKU" => by_sku(),
            "EAN" => by_ean(),
            // SKU, then EAN, then UPC; but not ids.
            "any" => [by_sku(), by_ean()].into_iter().find(|found| !found.is_empty()).unwrap_or_else(by_upc),
            _ => by_upc(),
        };
        match found.as_slice() {
            [one] if self.is_bundle(*one) => Err("Stock cannot be set on a bundle.".to_owned()),
            [one] => Ok(*one),
            [] => Err(format!("Could not find the product size {value}.")),
            _ => Err(format!("More than one product size matches {value}.")),
        }
    }

    fn is_bundle(&self, item: u32) -> bool {
        self.state.item(item).is_some_and(|item| !item.components.is_empty())
    }

    /// The item of a size of a variant.
    fn size_of_variant(&self, variant: &Value, size: &Value) -> Result<u32, String> {
        let (key, value) = only_key(variant).ok_or(ONE_KEY)?;
        let id = self.id("ProductVariant", key, value).ok_or("Could not find the product variant.")?;
        let mut items = self.state.shelf.of_variant(id).peekable();
        items.peek().ok_or("Could not find the product variant.")?;
        let (key, value) = only_key(size).ok_or(ONE_KEY)?;
        let name = |item: u32| self.state.item(item).map(|item| item.size_name.as_str());
        let wanted = self.id("Size", key, value);
        let found = items.find(|item| match key {
            "name" => name(*item) == value.as_str(),
            _ => wanted.is_some() && name(*item).and_then(|name| self.state.shelf.size_id(name)) == wanted,
        });
        let found = found.ok_or("The variant has no such size.")?;
        if self.is_bundle(found) { Err("Stock cannot be set on a bundle.".to_owned()) } else { Ok(found) }
    }

    /// All rows of an input in both of its forms. `sizes` and `units` are what the inner fields are called.
    fn rows(&self, input: &Value, sizes: &str, units: &str, least: i64) -> Rows {
        let mut rows = Rows::default();
        let mut seen = HashSet::new();
        let mut take = |found: Result<u32, String>, row: &Value, path: String, what: &str| match found {
            Err(message) => rows.wrong.push(Remark::new(message, &format!("{path}.{what}"))),
            Ok(item) if !seen.insert(item) => {
                rows.twice.push(Remark::new("The product size is given more than once, skipped.", &format!("{path}.{what}")));
            }
            Ok(item) => match row.get(units).and_then(Value::as_i64) {
                Some(number) if number >= least => rows.good.push(Row { item, units: number, path }),
                _ => rows.wrong.push(Remark::new(format!("{units} must be at least {least}."), &format!("{path}.{units}"))),
            },
        };
        for (at, variant) in list(input, "productVariants").unwrap_or_default().iter().enumerate() {
            for (place, row) in list(variant, sizes).unwrap_or_default().iter().enumerate() {
                let null = Value::Null;
                let found =
                    self.size_of_variant(variant.get("productVariant").unwrap_or(&null), row.get("size").unwrap_or(&null));
                take(found, row, format!("input.productVariants.{at}.{sizes}.{place}"), "size");
            }
        }
        for (at, row) in list(input, "productSizes").unwrap_or_default().iter().enumerate() {
            let found = self.size(row.get("productSize").unwrap_or(&Value::Null));
            take(found, row, format!("input.productSizes.{at}"), "productSize");
        }
        rows
    }
}

fn count(input: &Value, sizes: &str) -> usize {
    let variants = list(input, "productVariants").unwrap_or_default();
    let in_variants: usize = variants.iter().map(|variant| list(variant, sizes).unwrap_or_default().len()).sum();
    in_variants + list(input, "productSizes").unwrap_or_default().len()
}

/// What is wrong with an input as a whole; the first thing found.
fn refused(input: &Value, sizes: &str, rows_max: usize) -> Option<Remark> {
    if input.get("description").and_then(Value::as_str).is_none_or(|text| text.trim().is_empty()) {
        return Some(Remark::new("A description is required.", "input.description"));
    }
    match count(input, sizes) {
        0 => Some(Remark::new("Give at least one product variant or product size.", "input")),
        rows if rows > rows_max => Some(Remark::new(format!("{rows} rows are too many: at most {rows_max}."), "input")),
        _ => None,
    }
}

fn description(input: &Value) -> String {
    input.get("description").and_then(Value::as_str).unwrap_or("").to_owned()
}

/// Journals the figures, if the wrong rows let it come to that.
fn apply(state: &mut State, figures: Vec<Figure>, rows: Rows, why: String, now: i64) -> anyhow::Result<Outcome> {
    let refused = !rows.wrong.is_empty() && state.rules.wrong_rows == WrongRows::RefuseAll;
    let mut outcome = Outcome::remarked(rows.wrong, rows.twice);
    if refused {
        return Ok(outcome);
    }
    // Rows that change nothing need no place in the journal.
    let moves = |figure: &Figure| state.ledger.cell(figure.item, figure.warehouse).physical != figure.physical;
    let figures: Vec<Figure> = figures.into_iter().filter(moves).collect();
    if !figures.is_empty() {
        let before = state.ledger.last_change();
        state.record(Entry::Stock { figures, at: now, why, planned: None })?;
        outcome.stock_changes = (before + 1..=state.ledger.last_change()).collect();
    }
    Ok(outcome)
}

/// `setStock`: the physical units of sizes in one warehouse. What units cost is taken and ignored.
/// `Err` only when the journal cannot be written.
pub fn set_stock(state: &mut State, input: &Value, queue: &str, now: i64) -> anyhow::Result<Outcome> {
    let names = Names { state, queue };
    if let Some(remark) = refused(input, "sizeStockLevels", state.rules.rows_max) {
        return Ok(Outcome::failed(remark));
    }
    if input.get("stockQuantityType").and_then(Value::as_str) != Some("PHYSICAL") {
        return Ok(Outcome::failed(Remark::new("Only PHYSICAL is simulated.", "input.stockQuantityType")));
    }
    let warehouse = match names.warehouse(input.get("warehouse").unwrap_or(&Value::Null)) {
        Ok(warehouse) => warehouse,
        Err(message) => return Ok(Outcome::failed(Remark::new(message, "input.warehouse"))),
    };
    let mut rows = names.rows(input, "sizeStockLevels", "quantity", 0);
    let mut figures = Vec::new();
    for Row { item, units, path } in std::mem::take(&mut rows.good) {
        let allocated = state.ledger.cell(item, warehouse).allocated;
        if units < allocated && state.rules.below_allocated == BelowAllocated::Refuse {
            rows.wrong.push(Remark::new(format!("{allocated} units are allocated."), &format!("{path}.quantity")));
            continue;
        }
        figures.push(Figure { warehouse, item, physical: units.max(allocated) });
    }
    let applied = u64::try_from(figures.len()).unwrap_or(0);
    let refused = !rows.wrong.is_empty() && state.rules.wrong_rows == WrongRows::RefuseAll;
    state.set_stock_rows += if refused { 0 } else { applied };
    apply(state, figures, rows, description(input), now)
}

/// `changeStock`: units into a warehouse, out of one, or from one to another.
/// `Err` only when the journal cannot be written.
pub fn change_stock(state: &mut State, input: &Value, queue: &str, now: i64) -> anyhow::Result<Outcome> {
    let names = Names { state, queue };
    if let Some(remark) = refused(input, "sizeChanges", state.rules.rows_max) {
        return Ok(Outcome::failed(remark));
    }
    let mut ends: [Option<u32>; 2] = [None, None];
    for (end, key) in ends.iter_mut().zip(["outFromWarehouse", "intoWarehouse"]) {
        match input.get(key).filter(|given| !given.is_null()).map(|given| names.warehouse(given)) {
            None => {}
            Some(Ok(warehouse)) => *end = Some(warehouse),
            Some(Err(message)) => return Ok(Outcome::failed(Remark::new(message, &format!("input.{key}")))),
        }
    }
    let [from, to] = ends;
    if from == to {
        // Both the same, or neither.
        return Ok(Outcome::failed(Remark::new(
            "Give a warehouse to take from, one to bring into, or two different ones.",
            "input",
        )));
    }
    // That only whole units above nought can be moved, and only free ones taken away, is inferred.
    let mut rows = names.rows(input, "sizeChanges", "deliveredQuantity", 1);
    let mut figures: HashMap<(u32, u32), Figure> = HashMap::new();
    for Row { item, units, path } in std::mem::take(&mut rows.good) {
        let moved = |warehouse: u32, units: i64| {
            let cell = state.ledger.cell(item, warehouse);
            let physical = cell.physical + units;
            let fits = physical >= cell.allocated && physical <= i64::from(i32::MAX);
            fits.then_some(Figure { warehouse, item, physical })
        };
        let made: Option<Vec<Figure>> = [from.map(|from| (from, -units)), to.map(|to| (to, units))]
            .into_iter()
            .flatten()
            .map(|(warehouse, units)| moved(warehouse, units))
            .collect();
        match made {
            Some(made) => figures.extend(made.into_iter().map(|figure| ((figure.warehouse, figure.item), figure))),
            None => rows.wrong.push(Remark::new("There are not so many free units.", &format!("{path}.deliveredQuantity"))),
        }
    }
    let mut figures: Vec<Figure> = figures.into_values().collect();
    figures.sort_unstable_by_key(|figure| (figure.item, figure.warehouse));
    apply(state, figures, rows, description(input), now)
}

/// What a `StockPolicyActionInput` wants to become of the units: exactly one of its keys.
pub fn policy_action(state: &State, action: &Value, queue: &str) -> Result<Goods, String> {
    let empty = Map::new();
    let given =
        action.as_object().unwrap_or(&empty).iter().filter(|(_, value)| !value.is_null() && **value != Value::Bool(false));
    match given.collect::<Vec<_>>().as_slice() {
        [(key, _)] if key.as_str() == "releaseItemsBackToWarehouse" => Ok(Goods::Release),
        [(key, _)] if key.as_str() == "removeItemsFromStock" => Ok(Goods::Remove),
        [(_, warehouse)] => Names { state, queue }.warehouse(warehouse).map(Goods::Send),
        _ => Err(ONE_KEY.to_owned()),
    }
}
