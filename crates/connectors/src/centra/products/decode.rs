//! A product size of Centra → the canonical product. Pure, and it never fails: what cannot be read is a problem with the
//! place, the value and the remedy, and the rest is read all the same.
//!
//! - *The SKU* is `SKU` (product, variant and size number joined by Centra), else `EAN`, as on the lines of orders, so that
//!   both name the same thing. Any part of it may be empty, and nobody sees to it that the whole is unique: two sizes of a
//!   product with one SKU are held, as neither could be told from the other anywhere else.
//! - *Weights* are decimals of kilograms or pounds, and become whole grams, half up. Nought is not stated.
//! - *A fixed bundle* names variants, not sizes: the part is the size of that variant that is called as the bundle's own size,
//!   or its only one (inferred). A flexible bundle is put together by the shopper and has no recipe.
//! - *What was not asked for is not owned*: an instance that does not tell prices or bundles must not empty them elsewhere.

use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::{Decimal, RoundingStrategy};
use selvedge_connector::Decoded;
use selvedge_model::{
    Currency, ExternalId, Problem, Product, Sku, moment,
    records::{Named, Price, ProductField, ProductFields, RecipePart},
};
use serde_json::Value;

use super::super::{
    decode::{decimal, without_noise},
    wire::id_text,
};

const MEND: &str = "Mend it in Centra (AMS: Catalog > Products); the product is then read again by itself.";
const CHECK: &str = "Run `selvedge check`: it names what this Centra instance does otherwise than documented.";

/// Where the product of a size stands in the document, and its variant.
const VARIANT: &str = "productVariant";
const STYLE: &str = "productVariant.product";

/// Grams of one pound, exactly.
const POUND: Decimal = Decimal::from_parts(45_359_237, 0, 0, false, 5);

/// The product in these bytes. `zone` is the instance's, for a time that comes without an offset.
pub fn decode_product(body: &[u8], zone: &TimeZone) -> Decoded<Product> {
    let mut notes = Notes(Vec::new());
    let record = match serde_json::from_slice::<Value>(body) {
        Ok(document @ Value::Object(_)) => product(&document, zone, &mut notes),
        Ok(other) => {
            notes.add("decode.product.json", "", "the document is no JSON object", CHECK, &other);
            None
        }
        Err(error) => {
            let problem = Problem::new("decode.product.json", "", format!("the document is no JSON: {error}"), CHECK);
            notes.0.push(problem.value(String::from_utf8_lossy(body.get(..200).unwrap_or(body))));
            None
        }
    };
    Decoded::of(record, notes.0)
}

/// What a size goes by: its SKU, else its EAN.
pub fn sku_of(size: &Value) -> Option<&str> {
    let text = |name: &str| size.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    text("SKU").or_else(|| text("EAN"))
}

/// The last change of a size, of its variant, its product and its bundle, as far as they are told.
pub fn dates(size: &Value) -> impl Iterator<Item = (&'static str, &Value)> {
    ["updatedAt", "productVariant.updatedAt", "productVariant.product.updatedAt", "productVariant.product.bundle.updatedAt"]
        .into_iter()
        .map(|path| (path, at(size, path)))
        .filter(|(_, date)| !date.is_null())
}

/// The value at a dotted path; null when there is none.
fn at<'v>(document: &'v Value, path: &str) -> &'v Value {
    static NULL: Value = Value::Null;
    path.split('.').try_fold(document, |value, name| value.get(name)).unwrap_or(&NULL)
}

/// What was found on the way.
struct Notes(Vec<Problem>);

impl Notes {
    fn add(&mut self, rule: &str, path: &str, message: impl Into<String>, remedy: &str, value: &Value) {
        let problem = Problem::new(rule, path, message, remedy);
        self.0.push(if value.is_null() { problem } else { problem.value(shown(value)) });
    }

    /// A field of the wrong type or missing; one exception per field, not per product.
    fn odd(&mut self, path: &str, value: &Value, wanted: &str) {
        let field: String = path.chars().filter(|c| !c.is_ascii_digit()).collect();
        let what = if value.is_null() { "is missing" } else { "is something else" };
        let problem = Problem::new("decode.product.field", path, format!("{path} should be {wanted} and {what}"), CHECK);
        let problem = if value.is_null() { problem } else { problem.value(shown(value)) };
        self.0.push(problem.cause(field));
    }

    /// A text that may be missing; blank ones are.
    fn text(&mut self, document: &Value, path: &str) -> Option<String> {
        match at(document, path) {
            Value::Null => None,
            Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            odd => {
                self.odd(path, odd, "a text");
                None
            }
        }
    }

    /// Whether a status is the one under which things are sold; one that nobody knows is a problem, and is not.
    fn active(&mut self, path: &str, value: &Value) -> bool {
        match value.as_str() {
            Some("ACTIVE") => true,
            Some("INACTIVE" | "CANCELLED") => false,
            _ if value.is_null() => {
                self.odd(path, value, "a status");
                false
            }
            _ => {
                let said = shown(value);
                let message = format!("{said:?} is no status that we know");
                let problem = Problem::new("decode.product.status", path, message, CHECK).value(said.clone());
                self.0.push(problem.cause(said.chars().take(40).collect::<String>()));
                false
            }
        }
    }

    fn list<'v>(&mut self, path: &str, value: &'v Value) -> &'v [Value] {
        match value {
            Value::Array(items) => items,
            Value::Null => &[],
            odd => {
                self.odd(path, odd, "a list");
                &[]
            }
        }
    }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn product(document: &Value, zone: &TimeZone, notes: &mut Notes) -> Option<Product> {
    let id = id_text(&document["id"]);
    if id.is_none() {
        notes.odd("id", &document["id"], "an id");
    }
    let sku = sku(document, notes);
    let updated_at = updated_at(document, zone, notes);
    let (id, sku, updated_at) = (id?, sku?, updated_at?);
    let style = at(document, STYLE);
    if !style.is_object() {
        // What hangs on it is not missing one by one.
        let path = if at(document, VARIANT).is_object() { STYLE } else { VARIANT };
        notes.odd(path, at(document, path), "the product that the size is of");
        return Some(nameless(id, sku, updated_at));
    }
    let owned = owned(document);
    let name = notes.text(document, "productVariant.product.name");
    if name.is_none() && at(style, "name").is_null() {
        notes.odd("productVariant.product.name", &Value::Null, "a name");
    }
    let number = notes.text(document, "productVariant.product.productNumber");
    let variant = variant(document, notes);
    let size = notes.text(document, "size.name").filter(|name| !is_only_size(name));
    Some(Product {
        name: full_name(name.as_deref(), variant.as_ref(), size.as_deref()).unwrap_or_else(|| sku.to_string()),
        id: ExternalId::new(id),
        updated_at,
        style: named(number, name).unwrap_or_default(),
        variant,
        size,
        active: active(document, notes),
        barcode: notes.text(document, "EAN").or_else(|| notes.text(document, "UPC")),
        weight_grams: weight(document, notes),
        hs_code: hs_code(document, notes),
        origin: origin(document, notes),
        brand: notes.text(document, "productVariant.product.brand.name"),
        collections: collections(document, notes),
        prices: prices(document, notes),
        recipe: recipe(document, notes),
        owned,
        sku,
    })
}

/// A size of which no more than its SKU could be read.
fn nameless(id: String, sku: Sku, updated_at: Timestamp) -> Product {
    Product {
        name: sku.to_string(),
        id: ExternalId::new(id),
        updated_at,
        style: Named::default(),
        variant: None,
        size: None,
        active: false,
        barcode: None,
        weight_grams: None,
        hs_code: None,
        origin: None,
        brand: None,
        collections: Vec::new(),
        prices: Vec::new(),
        recipe: Vec::new(),
        owned: ProductFields::ALL,
        sku,
    }
}

fn sku(document: &Value, notes: &mut Notes) -> Option<Sku> {
    for field in ["SKU", "EAN"] {
        // Said once more when it is read: as a barcode it may stay, as a key it may not.
        if !matches!(&document[field], Value::Null | Value::String(_)) {
            notes.odd(field, &document[field], "a text");
            return None;
        }
    }
    let Some(sku) = sku_of(document) else {
        notes.add(
            "product.sku",
            "SKU",
            "the size has neither a SKU nor an EAN, so nothing else can name it",
            "Give the product, its variant or the size a number, or the size an EAN, in AMS.",
            &document["SKU"],
        );
        return None;
    };
    let own = &document["id"];
    let variants = at(document, "productVariant.product.variants").as_array().into_iter().flatten();
    let sizes = variants.flat_map(|variant| variant["productSizes"].as_array().into_iter().flatten());
    let twins: Vec<String> =
        sizes.filter(|size| &size["id"] != own && sku_of(size) == Some(sku)).filter_map(|size| id_text(&size["id"])).collect();
    if !twins.is_empty() {
        let problem = Problem::new(
            "product.sku_shared",
            "SKU",
            format!("the SKU {sku:?} is also that of size {} of the same product", twins.join(" and ")),
            "Give each variant and each size a number of its own in AMS: nothing behind the shop can tell them apart.",
        );
        notes.0.push(problem.value(sku).cause(sku));
    }
    Some(Sku::new(sku))
}

/// The latest change of any level.
fn updated_at(document: &Value, zone: &TimeZone, notes: &mut Notes) -> Option<Timestamp> {
    let mut latest = None;
    for (path, date) in dates(document) {
        match date.as_str().map(|text| moment::in_zone(text.trim(), zone)) {
            Some(Ok(instant)) => latest = latest.max(Some(instant)),
            Some(Err(error)) => notes.add("decode.product.date", path, error.to_string(), CHECK, date),
            None => notes.odd(path, date, "a date"),
        }
    }
    if latest.is_none() && document["updatedAt"].is_null() {
        notes.add("decode.product.date", "updatedAt", "the size does not say when it was last changed", CHECK, &Value::Null);
    }
    latest
}

/// Everything but what the instance was not asked for, or did not know.
fn owned(document: &Value) -> ProductFields {
    let told = |of: &str, name: &str| at(document, of).get(name).is_some();
    let mut owned = ProductFields::ALL;
    if !told(VARIANT, "prices") {
        owned = owned.without(ProductFields::of(&[ProductField::Price]));
    }
    if !told(STYLE, "bundle") {
        owned = owned.without(ProductFields::of(&[ProductField::Recipe]));
    }
    owned
}

/// Number and name, each standing in for the other.
fn named(number: Option<String>, name: Option<String>) -> Option<Named> {
    let id = number.clone().or_else(|| name.clone())?;
    Some(Named { name: name.or(number).unwrap_or_else(|| id.clone()), id })
}

fn variant(document: &Value, notes: &mut Notes) -> Option<Named> {
    named(notes.text(document, "productVariant.variantNumber"), notes.text(document, "productVariant.name"))
}

/// What Centra's guides call the only size of a chart; its name may be null as well.
fn is_only_size(name: &str) -> bool {
    name.eq_ignore_ascii_case("one size")
}

/// Style, variant and size in one; a variant that only repeats the style's name says nothing.
fn full_name(style: Option<&str>, variant: Option<&Named>, size: Option<&str>) -> Option<String> {
    let variant = variant.map(|variant| variant.name.as_str()).filter(|name| Some(*name) != style);
    let parts: Vec<&str> = [style, variant, size].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// Whether the size, its variant and its product are all there to be sold.
fn active(document: &Value, notes: &mut Notes) -> bool {
    let own = document["isActive"].as_bool();
    if own.is_none() {
        notes.odd("isActive", &document["isActive"], "true or false");
    }
    let levels = ["productVariant.status", "productVariant.product.status"];
    let levels = levels.map(|path| notes.active(path, at(document, path)));
    own.unwrap_or(false) && levels.into_iter().all(|level| level)
}

/// Whole grams, half up: the size's own weight, else the product's.
fn weight(document: &Value, notes: &mut Notes) -> Option<u32> {
    ["weight", "productVariant.product.weight"].into_iter().find_map(|path| {
        let weight = at(document, path);
        if weight.is_null() {
            return None;
        }
        match grams(weight) {
            Ok(grams) => Some(grams).filter(|grams| *grams > 0),
            Err(why) => {
                notes.add("product.weight", path, why, MEND, weight);
                None
            }
        }
    })
}

fn grams(weight: &Value) -> Result<u32, String> {
    let value = match &weight["value"] {
        Value::Number(number) => decimal(&number.to_string()),
        _ => None,
    };
    let value = value.ok_or("the weight is no number")?;
    let unit = match weight["unit"].as_str() {
        Some("KILOGRAMS") => Decimal::ONE_THOUSAND,
        Some("POUNDS") => POUND,
        _ => return Err(format!("{} is no unit of weight that we know", weight["unit"])),
    };
    if value.is_sign_negative() && !value.is_zero() {
        return Err("the weight is below nought".to_owned());
    }
    let grams = value.checked_mul(unit).map(|grams| grams.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero));
    grams.and_then(|grams| u32::try_from(grams).ok()).ok_or_else(|| "the weight is more than anybody could lift".to_owned())
}

/// Six to ten digits. Centra does not look at it, so that it may come with points or blanks, or be something else.
fn hs_code(document: &Value, notes: &mut Notes) -> Option<String> {
    let path = "productVariant.product.harmonizedCommodityCode";
    let given = notes.text(document, path)?;
    let code: String = given.chars().filter(|c| !matches!(c, '.' | ' ' | '-')).collect();
    if (6..=10).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_digit()) {
        return Some(code);
    }
    let message = format!("{given:?} is no customs code: it should have six to ten digits");
    notes.0.push(Problem::new("product.hs_code", path, message, MEND).value(given.clone()).cause(given));
    None
}

fn origin(document: &Value, notes: &mut Notes) -> Option<String> {
    let path = "productVariant.product.countryOfOrigin";
    let country = at(document, path);
    if country.is_null() {
        return None;
    }
    let code = country["code"].as_str().map(str::trim).unwrap_or_default();
    if code.len() == 2 && code.bytes().all(|b| b.is_ascii_alphabetic()) {
        return Some(code.to_ascii_uppercase());
    }
    let message = format!("{code:?} is no country code of two letters");
    notes.add("product.origin", path, message, MEND, country);
    None
}

fn collections(document: &Value, notes: &mut Notes) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for group in ["productVariant.product.collection.name", "productVariant.product.folder.name"] {
        names.extend(notes.text(document, group).filter(|name| !names.contains(name)));
    }
    names
}

/// The prices of the lists that are in use. A bundle's are its own; those of one without a fixed price are none.
fn prices(document: &Value, notes: &mut Notes) -> Vec<Price> {
    let of_variant = "productVariant.prices";
    let of_bundle = "productVariant.product.bundlePrices.prices";
    let flexible = at(document, "productVariant.product.bundle.type").as_str() == Some("FLEXIBLE");
    let path = if at(document, of_bundle).as_array().is_some_and(|prices| !prices.is_empty()) { of_bundle } else { of_variant };
    if flexible {
        return Vec::new();
    }
    let mut prices: Vec<Price> = Vec::new();
    for (index, row) in notes.list(path, at(document, path)).iter().enumerate() {
        let here = format!("{path}[{index}]");
        // No price is set in this list.
        if row["price"].is_null() && row.is_object() {
            continue;
        }
        let list = &row["pricelist"];
        if !notes.active(&format!("{here}.pricelist.status"), &list["status"]) {
            continue;
        }
        let Some(id) = id_text(&list["id"]) else {
            notes.odd(&format!("{here}.pricelist.id"), &list["id"], "an id");
            continue;
        };
        let name = list["name"].as_str().map(str::trim).filter(|name| !name.is_empty()).unwrap_or(&id).to_owned();
        let code = row["price"]["currency"]["code"].as_str().unwrap_or_default();
        let currency = Currency::from_code(code).filter(|currency| currency.minor_units().is_some());
        let value = match &row["price"]["value"] {
            Value::Number(number) => decimal(&number.to_string()),
            _ => None,
        };
        let amount = currency.zip(value).and_then(|(currency, value)| without_noise(value, currency));
        let Some(amount) = amount.filter(|amount| amount.minor() >= 0) else {
            let message = format!("the price in the list {name:?} is no amount in whole minor units of a currency");
            notes.add("product.price", &here, message, MEND, &row["price"]);
            continue;
        };
        prices.push(Price { list: Named { id, name }, market: None, amount });
    }
    prices
}

/// What a fixed bundle is made of; empty for anything else.
fn recipe(document: &Value, notes: &mut Notes) -> Vec<RecipePart> {
    let path = "productVariant.product.bundle";
    let (style, bundle) = (at(document, STYLE), at(document, path));
    let is_bundle = style["isBundle"].as_bool();
    if is_bundle.is_none() {
        notes.odd("productVariant.product.isBundle", &style["isBundle"], "true or false");
    }
    if bundle.is_null() {
        if is_bundle == Some(true) {
            notes.add(
                "product.recipe",
                path,
                "what the bundle is made of is not told",
                "Give the token the permission Bundle:read; if it has it, run `selvedge check`.",
                &Value::Null,
            );
        }
        return Vec::new();
    }
    match bundle["type"].as_str() {
        Some("FIXED") => {}
        Some("FLEXIBLE") => return Vec::new(),
        _ => {
            let said = shown(&bundle["type"]);
            let message = format!("{said:?} is no type of bundle that we know");
            let problem = Problem::new("decode.product.status", format!("{path}.type"), message, CHECK).value(said.clone());
            notes.0.push(problem.cause(said.chars().take(40).collect::<String>()));
            return Vec::new();
        }
    }
    let sections = notes.list(&format!("{path}.sections"), &bundle["sections"]);
    let mut parts: Vec<RecipePart> = Vec::new();
    let read = if sections.is_empty() { Err(("sections".to_owned(), "it has no sections")) } else { Ok(()) };
    let read = read.and_then(|()| {
        for (index, section) in sections.iter().enumerate() {
            let (sku, units) = part(section, &document["size"]).map_err(|why| (format!("sections[{index}]"), why))?;
            match parts.iter_mut().find(|part| part.sku.as_str() == sku) {
                Some(part) => part.units = part.units.saturating_add(units),
                None => parts.push(RecipePart { sku: Sku::new(sku), units }),
            }
        }
        Ok(())
    });
    if let Err((place, why)) = read {
        let message = format!("what the bundle is made of cannot be told: {why}");
        notes.add("product.recipe", &format!("{path}.{place}"), message, MEND, at(bundle, "sections"));
        return Vec::new();
    }
    parts
}

/// SKU and units of what a section of a fixed bundle puts into it.
fn part<'v>(section: &'v Value, size: &Value) -> Result<(&'v str, u32), &'static str> {
    let units = section["quantity"].as_u64().and_then(|units| u32::try_from(units).ok()).filter(|units| *units > 0);
    let units = units.ok_or("a section has no quantity of one or more")?;
    let [variant] = section["productVariants"].as_array().map_or(&[][..], Vec::as_slice) else {
        return Err("a section of a fixed bundle should have one variant");
    };
    let sizes = variant["productSizes"].as_array().map_or(&[][..], Vec::as_slice);
    let same = |field: &str| {
        let wanted = id_text(&size[field])?;
        let mut found = sizes.iter().filter(|other| id_text(&other["size"][field]).as_ref() == Some(&wanted));
        found.next().filter(|_| found.next().is_none())
    };
    let only = || if let [only] = sizes { Some(only) } else { None };
    let found = same("id").or_else(|| same("name")).or_else(only).ok_or("a variant in it does not come in the bundle's size")?;
    Ok((sku_of(found).ok_or("a size in it has no SKU")?, units))
}
