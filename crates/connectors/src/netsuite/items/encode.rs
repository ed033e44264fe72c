//! A product → an inventory item, or a kit for a bundle. Pure.

use rust_decimal::Decimal;
use selvedge_connector::{Encoded, Raw, Request};
use selvedge_model::{
    Problem, Product,
    gate::{Lookup, Values},
    records::{Price, ProductField},
};
use serde_json::{Map, Value};

use super::{
    super::{
        encode::{RECORDS, add_absent, list},
        settings::{Form, ItemSettings, Tax},
        wire,
    },
    PREFIX,
    decode::{self, There},
};

fn level_lookup(price: &Price, path: String) -> Lookup {
    Lookup::new("price_level", &[("list", &price.list.id)], path).label(&price.list.name).optional()
}

fn currency_lookup(price: &Price, path: String) -> Lookup {
    Lookup::new("currency", &[("code", price.amount.currency().code())], path).same_name().optional()
}

pub(crate) fn item_lookup(sku: &str, path: String) -> Lookup {
    Lookup::new("item", &[("sku", sku)], path).same_name()
}

/// Every mapped value that a product needs: the items that a bundle is made of; and the levels and currencies of its prices, as
/// far as they are mapped.
pub(crate) fn lookups(product: &Product) -> Vec<Lookup> {
    let mut lookups: Vec<Lookup> = Vec::new();
    for (index, part) in product.recipe.iter().enumerate() {
        lookups.push(item_lookup(part.sku.as_str(), format!("recipe[{index}].sku")));
    }
    if product.owned.has(ProductField::Price) {
        for (index, price) in product.prices.iter().enumerate() {
            lookups.push(level_lookup(price, format!("prices[{index}].list")));
            lookups.push(currency_lookup(price, format!("prices[{index}].amount")));
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    lookups.retain(|lookup| seen.insert((lookup.table.clone(), lookup.key_text())));
    lookups
}

/// One cell of the price matrix that we fill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub level: String,
    pub currency: String,
    pub amount: Decimal,
}

/// The prices of the lists that are mapped. A list that is not mapped is not written.
fn cells(product: &Product, values: &Values, problems: &mut Vec<Problem>) -> Vec<Cell> {
    let mut cells: Vec<Cell> = Vec::new();
    for (index, price) in product.prices.iter().enumerate() {
        let path = format!("prices[{index}]");
        let Some(level) = values.get(&level_lookup(price, String::new())) else { continue };
        let currency = currency_lookup(price, format!("{path}.amount"));
        let Some(currency) = values.get(&currency) else {
            problems.push(currency.missing());
            continue;
        };
        let cell = Cell { level: level.to_owned(), currency: currency.to_owned(), amount: price.amount.decimal() };
        match cells.iter().find(|known| known.level == cell.level && known.currency == cell.currency) {
            None => cells.push(cell),
            Some(known) if known.amount == cell.amount => {}
            Some(known) => problems.push(
                Problem::new(
                    "product.price_ambiguous",
                    path,
                    format!(
                        "price level {} takes one price in {}, and the product has {} and {}",
                        known.level,
                        price.amount.currency().code(),
                        known.amount,
                        cell.amount
                    ),
                    "Map each price list to a level of its own (a price per market needs a list per market), or take one out of the mapping; then release.",
                )
                .value(price.amount.to_string())
                .cause(format!("{},{}", known.level, price.list.id)),
            ),
        }
    }
    cells
}

fn price_row(cell: &Cell) -> Value {
    let mut map = Map::new();
    map.insert("currencyPage".to_owned(), wire::reference(&cell.currency));
    map.insert("priceLevel".to_owned(), wire::reference(&cell.level));
    // From the first unit on.
    let mut quantity = Map::new();
    quantity.insert("value".to_owned(), Value::from(0));
    map.insert("quantity".to_owned(), Value::Object(quantity));
    map.insert("price".to_owned(), wire::number(cell.amount));
    Value::Object(map)
}

/// The parts of a kit, each once, as (item, units), with the lookups that have no answer.
fn parts(product: &Product, values: &Values, problems: &mut Vec<Problem>) -> Vec<(String, u64)> {
    let mut parts: Vec<(String, u64)> = Vec::new();
    for (index, part) in product.recipe.iter().enumerate() {
        let lookup = item_lookup(part.sku.as_str(), format!("recipe[{index}].sku"));
        match values.get(&lookup) {
            None => problems.push(lookup.missing()),
            Some(id) => match parts.iter_mut().find(|(known, _)| known == id) {
                Some((_, units)) => *units = units.saturating_add(u64::from(part.units)),
                None => parts.push((id.to_owned(), u64::from(part.units))),
            },
        }
    }
    parts
}

fn member_row(item: &str, units: u64) -> Value {
    let mut map = Map::new();
    map.insert("item".to_owned(), wire::reference(item));
    map.insert("quantity".to_owned(), Value::from(units));
    Value::Object(map)
}

/// The request that makes a product stand.
pub(crate) fn product(
    product: &Product,
    values: &Values,
    existing: Option<&Raw>,
    form: &Form,
    settings: &ItemSettings,
) -> Result<Encoded, Vec<Problem>> {
    match existing {
        None => create(product, values, form, settings),
        Some(raw) => change(product, values, raw, settings),
    }
}

/// The plain fields that the source is the master of; `Null` for one that it leaves empty.
fn fields(product: &Product, settings: &ItemSettings) -> Vec<(String, Value)> {
    let text = |value: Option<&str>| match value.map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) => Value::String(wire::text_out(text)),
        None => Value::Null,
    };
    let mut fields = Vec::new();
    let mut put = |field: ProductField, name: &str, value: Value| {
        if product.owned.has(field) {
            fields.push((name.to_owned(), value));
        }
    };
    put(ProductField::Name, &settings.name_field, text(Some(&product.name)));
    put(ProductField::Barcode, "upcCode", text(product.barcode.as_deref()));
    put(ProductField::HsCode, &settings.hs_code_field, text(product.hs_code.as_deref()));
    let origin = product.origin.as_deref().map(str::trim).filter(|code| !code.is_empty());
    put(ProductField::Origin, "countryOfManufacture", origin.map_or(Value::Null, wire::reference));
    fields
}

/// Weight and its unit, as the account is to keep them.
fn weight(grams: u32, settings: &ItemSettings) -> [(String, Value); 2] {
    let (unit, weight) = settings.weight_unit.of_grams(grams);
    [("weight".to_owned(), wire::number(weight)), ("weightUnit".to_owned(), wire::reference(unit))]
}

fn create(product: &Product, values: &Values, form: &Form, settings: &ItemSettings) -> Result<Encoded, Vec<Problem>> {
    let mut problems = Vec::new();
    let external_id = wire::external_id(PREFIX, product.sku.as_str());
    let kit = product.is_bundle();
    let mut body = Map::new();
    body.insert("externalId".to_owned(), Value::String(external_id));
    body.insert("itemId".to_owned(), Value::String(product.sku.to_string()));
    body.extend(fields(product, settings).into_iter().filter(|(_, value)| !value.is_null()));
    if let Some(grams) = product.weight_grams.filter(|_| product.owned.has(ProductField::Weight)) {
        body.extend(weight(grams, settings));
    }
    if product.owned.has(ProductField::Active) && !product.active {
        body.insert("isInactive".to_owned(), Value::Bool(true));
    }
    if product.owned.has(ProductField::Price) {
        let rows: Vec<Value> = cells(product, values, &mut problems).iter().map(price_row).collect();
        if !rows.is_empty() {
            body.insert("price".to_owned(), list(rows));
        }
    }
    if kit {
        // A kit is nothing without its parts, whoever is the master of them later.
        let rows = parts(product, values, &mut problems).iter().map(|(item, units)| member_row(item, *units)).collect();
        body.insert("member".to_owned(), list(rows));
    }
    let mut need = |setting: &'static str, value: &Option<String>, field: &str| match value.as_deref() {
        None => problems.push(setting_missing(product, setting)),
        Some("default") => {}
        Some(id) => drop(body.insert(field.to_owned(), wire::reference(id))),
    };
    if form.tax != Tax::None {
        need("items.tax_schedule", &settings.tax_schedule, "taxSchedule");
    }
    need("items.income_account", &settings.income_account, "incomeAccount");
    if !kit {
        need("items.cogs_account", &settings.cogs_account, "cogsAccount");
        need("items.asset_account", &settings.asset_account, "assetAccount");
        if settings.units_type.is_some() {
            need("items.units_type", &settings.units_type, "unitsType");
        }
    }
    if form.one_world {
        if settings.subsidiaries.is_empty() {
            problems.push(setting_missing(product, "items.subsidiary"));
        }
        body.insert("subsidiary".to_owned(), list(settings.subsidiaries.iter().map(|id| wire::reference(id)).collect()));
        if settings.include_children {
            body.insert("includeChildren".to_owned(), Value::Bool(true));
        }
    }
    if let Some(custom_form) = &settings.custom_form {
        body.insert("customForm".to_owned(), wire::reference(custom_form));
    }
    add_absent(&mut body, &settings.fields);
    if !problems.is_empty() {
        return Err(problems);
    }
    let record = if kit { "kitItem" } else { "inventoryItem" };
    Ok(Encoded::Put(Request {
        what: format!("create {} {}", if kit { "kit" } else { "item" }, product.sku),
        method: "POST".to_owned(),
        path: format!("{RECORDS}/{record}"),
        body: Value::Object(body),
        update: None,
        // What is found under its name instead is brought in line by the next call.
        unfinished: true,
    }))
}

fn setting_missing(product: &Product, setting: &'static str) -> Problem {
    Problem::new(
        "product.setting",
        "",
        format!("item {} does not stand there, and no item can be made without the setting {setting}", product.sku),
        format!(
            "Set {setting} of this connection (selvedge config schema says what it is), or make the item there by hand; then release."
        ),
    )
    .value(setting)
    .cause(setting)
}

fn change(product: &Product, values: &Values, raw: &Raw, settings: &ItemSettings) -> Result<Encoded, Vec<Problem>> {
    let there = There::read(raw).map_err(|problem| vec![*problem])?;
    let mut problems = Vec::new();
    let owns = |field: ProductField| product.owned.has(field);
    if there.sku() != product.sku.as_str() {
        problems.push(renamed(product, raw, &there));
    }
    let mut body = Map::new();
    for (name, wanted) in fields(product, settings) {
        if !wire::says(there.document.get(&name), &wanted) {
            body.insert(name, wanted);
        }
    }
    if owns(ProductField::Weight) && there.grams() != product.weight_grams.map(Decimal::from) {
        match product.weight_grams {
            Some(grams) => body.extend(weight(grams, settings)),
            None => drop(body.insert("weight".to_owned(), Value::Null)),
        }
    }
    if owns(ProductField::Active) && there.active() != product.active {
        body.insert("isInactive".to_owned(), Value::Bool(!product.active));
    }
    if owns(ProductField::Price) {
        let rows: Vec<Value> = cells(product, values, &mut problems)
            .iter()
            .filter(|cell| there.price(&cell.level, &cell.currency) != Some(cell.amount))
            .map(price_row)
            .collect();
        if !rows.is_empty() {
            // Merged by currency, level and quantity: other cells stay.
            body.insert("price".to_owned(), list(rows));
        }
    }
    let mut path = format!("{RECORDS}/{}/{}", there.record(), raw.id);
    if owns(ProductField::Recipe) {
        if product.is_bundle() != there.is_kit() {
            problems.push(other_type(product, raw, &there));
        } else if product.is_bundle() {
            let mut wanted = parts(product, values, &mut problems);
            wanted.sort();
            if wanted != there.parts() {
                body.insert("member".to_owned(), list(wanted.iter().map(|(item, units)| member_row(item, *units)).collect()));
                path.push_str("?replace=member");
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    if body.is_empty() {
        return Ok(Encoded::Nothing);
    }
    Ok(Encoded::Put(Request {
        what: format!("change item {} ({})", product.sku, body.keys().map(String::as_str).collect::<Vec<_>>().join(", ")),
        method: "PATCH".to_owned(),
        path,
        body: Value::Object(body),
        update: Some(raw.id.clone()),
        unfinished: false,
    }))
}

fn renamed(product: &Product, raw: &Raw, there: &There) -> Problem {
    Problem::new(
        "product.renamed",
        "sku",
        format!("item {} stands for {} and is called {:?} there", raw.id, product.sku, decode::leaf(&there.name())),
        "Orders and stock go by the name. Give it back its name there and release; if it is another item now, take our external id off it there, then release.",
    )
    .value(there.name())
    .cause(product.sku.as_str())
}

fn other_type(product: &Product, raw: &Raw, there: &There) -> Problem {
    let (ours, remedy) = if product.is_bundle() {
        (
            "a bundle",
            "Rename the item there and release: a kit is made beside it. Or leave the recipe to NetSuite (owned fields of the flow).",
        )
    } else {
        (
            "no bundle",
            "Rename the kit there and release: an item is made beside it. Or leave the recipe to NetSuite (owned fields of the flow).",
        )
    };
    Problem::new(
        "product.type",
        "recipe",
        format!(
            "{} is {ours}, and item {} there is of the type {}, which cannot be changed",
            product.sku,
            raw.id,
            there.item_type()
        ),
        remedy,
    )
    .value(there.item_type())
    .cause(product.sku.as_str())
}
