//! An item → a product. Pure, and it never fails: what cannot be read is a problem.

use jiff::Timestamp;
use rust_decimal::Decimal;
use selvedge_connector::{Decoded, Raw};
use selvedge_model::{
    Currency, ExternalId, Money, Problem, Product, Sku,
    gate::Values,
    moment,
    records::{Named, Price, ProductFields, RecipePart},
};
use serde_json::Value;

use super::super::{
    settings::{ItemSettings, WeightUnit},
    wire,
};

/// The name of an item without those of its parents: `CHILD` of `PARENT : CHILD` (inferred, as for stock).
pub(crate) fn leaf(name: &str) -> String {
    name.rsplit(" : ").next().unwrap_or(name).to_owned()
}

fn problem(rule: &str, path: &str, message: impl Into<String>) -> Problem {
    Problem::new(rule, path, message, "Look at the item there; if it reads well, update the connector. Then release.")
}

/// An item as it stands there.
pub(crate) struct There {
    pub document: Value,
}

impl There {
    /// # Errors
    /// When it is no document at all, or one of which not everything is shown.
    pub fn read(raw: &Raw) -> Result<Self, Box<Problem>> {
        let unreadable =
            |why: &str| Box::new(problem("decode.unreadable", "", format!("item {} there could not be read: {why}", raw.id)));
        let document: Value = serde_json::from_slice(&raw.body).map_err(|_| unreadable("it is not JSON"))?;
        if !document.is_object() {
            return Err(unreadable("it is not an object"));
        }
        for name in ["price", "member"] {
            if document.get(name).is_some_and(|list| wire::truth(list, "hasMore")) {
                return Err(unreadable(&format!("its list {name} has more than one page")));
            }
        }
        if wire::text(&document, "itemId").is_none() {
            return Err(unreadable("it has no name"));
        }
        Ok(Self { document })
    }

    pub fn name(&self) -> String {
        wire::text(&self.document, "itemId").unwrap_or_default()
    }

    pub fn sku(&self) -> String {
        leaf(&self.name())
    }

    pub fn active(&self) -> bool {
        !wire::truth(&self.document, "isInactive")
    }

    pub fn item_type(&self) -> String {
        wire::id(&self.document, "itemType").unwrap_or_else(|| "unknown".to_owned())
    }

    pub fn is_kit(&self) -> bool {
        self.item_type() == "Kit" || self.document.get("member").is_some_and(|list| list.get("items").is_some())
    }

    /// The record type, as its own link names it; else that of its type.
    pub fn record(&self) -> String {
        let links = self.document.get("links").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let own = links.iter().find(|link| wire::text(link, "rel").as_deref() == Some("self"));
        let named = own.and_then(|link| wire::text(link, "href")).and_then(|href| {
            let (_, rest) = href.split_once("/record/v1/")?;
            let record = rest.split('/').next()?;
            (!record.is_empty() && record.chars().all(|c| c.is_ascii_alphanumeric())).then(|| record.to_owned())
        });
        named.unwrap_or_else(|| if self.is_kit() { "kitItem" } else { "inventoryItem" }.to_owned())
    }

    /// What it weighs; none where it says nothing, or nothing that we understand.
    pub fn grams(&self) -> Option<Decimal> {
        let weight = wire::decimal(&self.document, "weight")?;
        let unit = WeightUnit::of_id(&wire::id(&self.document, "weightUnit")?)?;
        // No weight is written as nought, too.
        weight.checked_mul(unit.grams()).map(|grams| grams.normalize()).filter(|grams| !grams.is_zero())
    }

    /// The price from the first unit on.
    pub fn price(&self, level: &str, currency: &str) -> Option<Decimal> {
        self.prices().find(|(l, c, _)| l == level && c == currency).map(|(_, _, amount)| amount)
    }

    fn prices(&self) -> impl Iterator<Item = (String, String, Decimal)> {
        wire::rows(&self.document, "price").iter().filter_map(|row| {
            let breaks = row.get("quantity").map(|quantity| match quantity {
                Value::Object(_) => wire::decimal(quantity, "value"),
                _ => wire::decimal(row, "quantity"),
            });
            if breaks.flatten().is_some_and(|from| !from.is_zero()) {
                return None;
            }
            Some((wire::id(row, "priceLevel")?, wire::id(row, "currencyPage")?, wire::decimal(row, "price")?))
        })
    }

    /// The parts of a kit as (item, units), sorted; a part that is not whole units has none of them.
    pub fn parts(&self) -> Vec<(String, u64)> {
        let mut parts: Vec<(String, u64)> = wire::rows(&self.document, "member")
            .iter()
            .filter_map(|row| Some((wire::id(row, "item")?, u64::from(units(row).unwrap_or(0)))))
            .collect();
        parts.sort();
        parts
    }
}

fn units(row: &Value) -> Option<u32> {
    let quantity = wire::decimal(row, "quantity").unwrap_or(Decimal::ONE).normalize();
    u32::try_from(quantity).ok().filter(|whole| Decimal::from(*whole) == quantity && *whole > 0)
}

/// The price lists that are mapped to a level: several may be, each with a currency of its own.
fn lists_of(words: &Values, level: &str) -> Vec<String> {
    let of_level = words.iter().filter(|(table, _, value)| *table == "price_level" && *value == level);
    let name = |key: &str| Some(key.strip_prefix("list=")?.replace("%3D", "=").replace("%2C", ",").replace("%25", "%"));
    of_level.filter_map(|(_, key, _)| name(key)).collect()
}

/// An item as our product. Style, variant and size are not kept there.
pub(crate) fn product(raw: &Raw, words: &Values, settings: &ItemSettings) -> Decoded<Product> {
    let there = match There::read(raw) {
        Ok(there) => there,
        Err(problem) => return Decoded::of(None, vec![*problem]),
    };
    let document = &there.document;
    let text = |name: &str| wire::text(document, name).map(|text| wire::text_in(&text));
    let mut problems = Vec::new();
    let mut recipe = Vec::new();
    for (index, row) in wire::rows(document, "member").iter().enumerate() {
        let item = wire::id(row, "item").unwrap_or_default();
        let sku = words.name_of("item", &item).or_else(|| wire::ref_name(row, "item").map(|name| leaf(&name)));
        match (sku, units(row)) {
            (Some(sku), Some(units)) => recipe.push(RecipePart { sku: Sku::new(sku), units }),
            _ => problems.push(
                problem(
                    "decode.field",
                    &format!("recipe[{index}]"),
                    format!("part {item} of the kit is not so many units of an item"),
                )
                .value(row.to_string()),
            ),
        }
    }
    let weight_grams = match there.grams() {
        None if wire::decimal(document, "weight").is_some_and(|weight| !weight.is_zero()) => {
            let unit = wire::id(document, "weightUnit").unwrap_or_else(|| "none".to_owned());
            problems.push(problem("decode.field", "weight", "the unit of the weight is not known").value(unit));
            None
        }
        None => None,
        Some(grams) => match u32::try_from(grams) {
            Ok(whole) if Decimal::from(whole) == grams => Some(whole),
            // Somebody weighed it in ounces: it is not what we say, and is shown rounded.
            _ => grams.round().try_into().ok(),
        },
    };
    let mut prices = Vec::new();
    for (level, currency, amount) in there.prices() {
        let lists = lists_of(words, &level);
        let Some(code) = words.name_of("currency", &currency).filter(|_| !lists.is_empty()) else { continue };
        let money = Currency::from_code(&code).and_then(|currency| Money::exact(amount, currency).ok());
        match money {
            Some(amount) => prices.extend(lists.into_iter().map(|list| Price {
                list: Named { name: list.clone(), id: list },
                market: None,
                amount,
            })),
            None => problems.push(
                problem("decode.field", "prices", format!("the price of level {level} is finer than its currency"))
                    .value(amount.to_string()),
            ),
        }
    }
    let name = if settings.name_field == "itemId" { Some(there.sku()) } else { text(&settings.name_field) };
    let updated_at = wire::text(document, "lastModifiedDate").and_then(|text| moment::with_offset(&text).ok());
    let record = Product {
        sku: Sku::new(there.sku()),
        id: ExternalId::new(raw.id.as_str()),
        updated_at: updated_at.or(raw.version).unwrap_or(Timestamp::UNIX_EPOCH),
        name: name.unwrap_or_default(),
        style: Named::default(),
        variant: None,
        size: None,
        active: there.active(),
        barcode: text("upcCode"),
        weight_grams,
        hs_code: text(&settings.hs_code_field),
        origin: wire::id(document, "countryOfManufacture"),
        brand: None,
        collections: Vec::new(),
        prices,
        recipe,
        owned: ProductFields::ALL,
    };
    let record = problems.is_empty().then_some(record);
    Decoded::of(record, problems)
}
