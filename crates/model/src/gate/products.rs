//! The declared checks on a product, and whose each of its fields is at a target.
//!
//! A shop is lenient with its catalogue, and what stands behind it is not: a warehouse scans barcodes, customs ask for
//! codes, and two SKUs that look alike are picked for one another. What a field's owner is not, is nobody's business here:
//! a field that belongs to the target is neither checked, written nor compared.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    barcode::is_gtin,
    id::Sku,
    problem::Problem,
    records::{Product, ProductField, ProductFields},
    written::is_scientific,
};

/// What becomes of a change that somebody made at the target to a field that the source owns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangedElsewhere {
    /// The source's value is written again.
    #[default]
    Revert,
    /// Theirs stands until the source's own value changes.
    Accept,
    /// Nobody looks.
    Ignore,
}

/// What a brand demands of products on their way to one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductPolicy {
    /// The fields that the source is the master of at this target.
    pub owned: ProductFields,
    /// The fields without which the target cannot use an item.
    pub required: ProductFields,
    /// What becomes of changes made there, by field; what is not named is reverted.
    pub changed_elsewhere: BTreeMap<ProductField, ChangedElsewhere>,
    /// SKUs that are meant to look like another one.
    pub alike_allowed: BTreeSet<Sku>,
}

impl Default for ProductPolicy {
    fn default() -> Self {
        Self {
            owned: ProductFields::ALL,
            required: ProductFields::NONE,
            changed_elsewhere: BTreeMap::new(),
            alike_allowed: BTreeSet::new(),
        }
    }
}

impl ProductPolicy {
    /// What becomes of a change of this field.
    pub fn on_change(&self, field: ProductField) -> ChangedElsewhere {
        self.changed_elsewhere.get(&field).copied().unwrap_or_default()
    }
}

/// Another active item of the same source that shares something with this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Twin {
    /// Their SKUs are easily taken for one another, or are the same.
    Alike {
        /// Its SKU.
        sku: Sku,
        /// The source's id of it.
        item: String,
    },
    /// It has the same barcode.
    Barcode {
        /// Its SKU.
        sku: Sku,
    },
}

/// Everything for which a product may not pass, at once; empty when it may.
pub fn check_product(product: &Product, policy: &ProductPolicy, twins: &[Twin]) -> Vec<Problem> {
    let mut problems = Vec::new();
    check_sku(product, policy, twins, &mut problems);
    check_barcode(product, policy, twins, &mut problems);
    check_texts(product, policy, &mut problems);
    check_recipe(product, policy, &mut problems);
    for field in ProductField::ALL.into_iter().filter(|field| policy.required.has(*field) && policy.owned.has(*field)) {
        if is_missing(product, field) {
            problems.push(
                Problem::new(
                    "product.missing",
                    field.word(),
                    format!("{} has no {}, and the target needs it", product.sku, name_of(field)),
                    "Add it to the product in the shop; the next revision passes by itself.",
                )
                .cause(field.word()),
            );
        }
    }
    problems
}

fn check_sku(product: &Product, policy: &ProductPolicy, twins: &[Twin], problems: &mut Vec<Problem>) {
    let sku = product.sku.as_str();
    if sku.trim().is_empty() || sku.chars().any(char::is_control) {
        problems.push(
            Problem::new(
                "product.sku",
                "sku",
                format!("item {} has {sku:?} for a SKU", product.id),
                "Give it a SKU of letters and digits in the shop.",
            )
            .value(sku),
        );
    } else if sku.trim() != sku {
        problems.push(
            Problem::new(
                "product.sku",
                "sku",
                format!("there are blanks around the SKU {sku:?}, which other systems cut off"),
                "Take them away in the shop.",
            )
            .value(sku),
        );
    }
    for twin in twins {
        let Twin::Alike { sku: other, item } = twin else { continue };
        if *other == product.sku {
            problems.push(
                Problem::new(
                    "product.sku_twice",
                    "sku",
                    format!("two items of the shop have the SKU {sku}: {} and {item}", product.id),
                    "Give one of them another SKU in the shop, or deactivate it.",
                )
                .value(sku)
                .cause(crate::written::lookalike_key(sku)),
            );
        } else if !policy.alike_allowed.contains(&product.sku) && !policy.alike_allowed.contains(other) {
            problems.push(
                Problem::new(
                    "product.alike",
                    "sku",
                    format!("{sku:?} and {:?} differ only in case, blanks or letters that look alike", other.as_str()),
                    "Rename one of them in the shop, or name it in alike_allowed of the flow if both are meant.",
                )
                .value(sku)
                .cause(crate::written::lookalike_key(sku)),
            );
        }
    }
}

fn check_barcode(product: &Product, policy: &ProductPolicy, twins: &[Twin], problems: &mut Vec<Problem>) {
    let Some(barcode) = product.barcode.as_deref().map(str::trim).filter(|code| !code.is_empty()) else { return };
    if !policy.owned.has(ProductField::Barcode) {
        return;
    }
    if !is_gtin(barcode) {
        let why = if is_scientific(barcode) {
            "is a number that a spreadsheet has rounded"
        } else if barcode.bytes().all(|b| b.is_ascii_digit()) && matches!(barcode.len(), 8 | 12 | 13 | 14) {
            "has a wrong check digit"
        } else {
            "is no EAN, UPC or GTIN of 8, 12, 13 or 14 digits"
        };
        problems.push(
            Problem::new(
                "product.barcode",
                "barcode",
                format!("the barcode {barcode} of {} {why}", product.sku),
                "Correct it in the shop; the next revision passes by itself.",
            )
            .value(barcode),
        );
    }
    for twin in twins {
        if let Twin::Barcode { sku } = twin {
            problems.push(
                Problem::new(
                    "product.barcode_twice",
                    "barcode",
                    format!("{} and {sku} have the same barcode {barcode}: a scanner cannot tell them apart", product.sku),
                    "Give one of them its own barcode in the shop.",
                )
                .value(barcode)
                .cause(barcode),
            );
        }
    }
}

fn check_texts(product: &Product, policy: &ProductPolicy, problems: &mut Vec<Problem>) {
    let remedy = "Correct it in the shop; the next revision passes by itself.";
    let mut wrong = |rule: &str, field: ProductField, value: &str, message: String| {
        problems.push(Problem::new(rule, field.word(), message, remedy).value(value));
    };
    let sku = &product.sku;
    if policy.owned.has(ProductField::Name) && product.name.trim().is_empty() {
        wrong("product.name", ProductField::Name, "", format!("{sku} has no name"));
    }
    if let Some(code) = product.hs_code.as_deref().filter(|_| policy.owned.has(ProductField::HsCode)) {
        let digits = code.chars().filter(|c| !matches!(c, '.' | ' ')).collect::<String>();
        if !(6..=10).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
            wrong(
                "product.hs_code",
                ProductField::HsCode,
                code,
                format!("{code:?} of {sku} is no tariff code of 6 to 10 digits"),
            );
        }
    }
    if let Some(country) = product.origin.as_deref().filter(|_| policy.owned.has(ProductField::Origin))
        && !(country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase()))
    {
        wrong("product.origin", ProductField::Origin, country, format!("{country:?} of {sku} is no ISO 3166-1 alpha-2 country"));
    }
    for price in product.prices.iter().filter(|price| policy.owned.has(ProductField::Price) && price.amount.minor() < 0) {
        let message = format!("the price of {sku} in {} is below nought", price.list.name);
        wrong("product.price", ProductField::Price, &price.amount.to_string(), message);
    }
}

fn check_recipe(product: &Product, policy: &ProductPolicy, problems: &mut Vec<Problem>) {
    if !policy.owned.has(ProductField::Recipe) {
        return;
    }
    let broken = product.recipe.iter().find(|part| part.units == 0 || part.sku == product.sku || part.sku.as_str().is_empty());
    if let Some(part) = broken {
        problems.push(
            Problem::new(
                "product.recipe",
                "recipe",
                format!("{} cannot be made of {} × {:?}", product.sku, part.units, part.sku.as_str()),
                "Correct the bundle in the shop; the next revision passes by itself.",
            )
            .cause(product.sku.as_str()),
        );
    }
}

fn is_missing(product: &Product, field: ProductField) -> bool {
    let blank = |text: &Option<String>| text.as_deref().is_none_or(|text| text.trim().is_empty());
    match field {
        ProductField::Name => product.name.trim().is_empty(),
        ProductField::Barcode => blank(&product.barcode),
        ProductField::Weight => product.weight_grams.is_none_or(|grams| grams == 0),
        ProductField::HsCode => blank(&product.hs_code),
        ProductField::Origin => blank(&product.origin),
        ProductField::Price => product.prices.is_empty(),
        // Always said, and not every item is a bundle.
        ProductField::Active | ProductField::Recipe => false,
    }
}

fn name_of(field: ProductField) -> &'static str {
    match field {
        ProductField::HsCode => "HS code",
        ProductField::Origin => "country of origin",
        other => other.word(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        records::{Price, RecipePart},
        samples::{eur, product},
    };

    fn rules(product: &Product, policy: &ProductPolicy, twins: &[Twin]) -> Vec<(String, String)> {
        check_product(product, policy, twins).into_iter().map(|problem| (problem.rule, problem.path)).collect()
    }

    /// One row per rule: what is wrong with a good product, and what is said about it.
    #[test]
    fn each_rule_names_itself_and_the_place() {
        type Case = (fn(&mut Product), &'static str, &'static str);
        let cases: &[Case] = &[
            (|p| p.sku = Sku::new(" "), "product.sku", "sku"),
            (|p| p.sku = Sku::new("A\u{7}B"), "product.sku", "sku"),
            (|p| p.sku = Sku::new("COAT-M "), "product.sku", "sku"),
            (|p| p.barcode = Some("4006381333932".into()), "product.barcode", "barcode"),
            (|p| p.barcode = Some("4.00638E+12".into()), "product.barcode", "barcode"),
            (|p| p.barcode = Some("none".into()), "product.barcode", "barcode"),
            (|p| p.name = "  ".into(), "product.name", "name"),
            (|p| p.hs_code = Some("62".into()), "product.hs_code", "hs_code"),
            (|p| p.hs_code = Some("6202.AB".into()), "product.hs_code", "hs_code"),
            (|p| p.origin = Some("Portugal".into()), "product.origin", "origin"),
            (|p| p.origin = Some("pt".into()), "product.origin", "origin"),
            (|p| p.prices[0].amount = eur(-1), "product.price", "price"),
            (|p| p.recipe = vec![RecipePart { sku: Sku::new("X"), units: 0 }], "product.recipe", "recipe"),
            (|p| p.recipe = vec![RecipePart { sku: Sku::new("COAT-M"), units: 1 }], "product.recipe", "recipe"),
        ];
        assert_eq!(rules(&product("COAT-M"), &ProductPolicy::default(), &[]), []);
        for (number, (spoil, rule, path)) in cases.iter().enumerate() {
            let mut spoilt = product("COAT-M");
            spoil(&mut spoilt);
            assert_eq!(
                rules(&spoilt, &ProductPolicy::default(), &[]),
                [((*rule).to_owned(), (*path).to_owned())],
                "case {number}"
            );
        }
    }

    #[test]
    fn what_the_target_needs_must_be_there_and_what_is_its_own_is_not_looked_at() {
        let bare = Product {
            barcode: None,
            weight_grams: Some(0),
            hs_code: Some(" ".into()),
            origin: None,
            prices: Vec::<Price>::new(),
            ..product("COAT-M")
        };
        let strict = ProductPolicy { required: ProductFields::ALL, ..ProductPolicy::default() };
        let missing: Vec<String> = check_product(&bare, &strict, &[]).into_iter().map(|problem| problem.cause).collect();
        assert_eq!(
            missing,
            [
                "product.hs_code",
                "product.missing:barcode",
                "product.missing:weight",
                "product.missing:hs_code",
                "product.missing:origin",
                "product.missing:price"
            ]
        );
        let theirs = ProductPolicy { owned: ProductFields::NONE, ..strict };
        assert_eq!(rules(&bare, &theirs, &[]), []);
    }

    #[test]
    fn twins_are_told_apart_or_held() {
        let alike = |sku: &str| Twin::Alike { sku: Sku::new(sku), item: "9".into() };
        let one = |twin: Twin, policy: &ProductPolicy| -> Vec<String> {
            check_product(&product("15056BL"), policy, &[twin]).into_iter().map(|problem| problem.cause).collect()
        };
        let policy = ProductPolicy::default();
        assert_eq!(one(alike("15056bl"), &policy), ["product.alike:15056BL"]);
        assert_eq!(one(alike("15056BL"), &policy), ["product.sku_twice:15056BL"]);
        assert_eq!(one(Twin::Barcode { sku: Sku::new("X") }, &policy), ["product.barcode_twice:4006381333931"]);
        for meant in ["15056bl", "15056BL"] {
            let policy = ProductPolicy { alike_allowed: [Sku::new(meant)].into(), ..ProductPolicy::default() };
            assert_eq!(one(alike("15056bl"), &policy), [] as [&str; 0]);
            assert_eq!(one(alike("15056BL"), &policy).len(), 1, "the same SKU twice is never meant");
        }
    }
}
