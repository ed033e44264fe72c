//! `[flows.NAME.products]`: whose each field of a product is at a target, and what becomes of changes made there.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use selvedge_model::{
    Sku,
    gate::products::{ChangedElsewhere, ProductPolicy},
    records::{ProductField, ProductFields},
};
use serde::{Deserialize, Serialize};

use super::words::{Pace, Span};

/// A field of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    Name,
    Barcode,
    Weight,
    HsCode,
    Origin,
    Active,
    Price,
    Recipe,
}

impl From<Field> for ProductField {
    fn from(field: Field) -> Self {
        match field {
            Field::Name => ProductField::Name,
            Field::Barcode => ProductField::Barcode,
            Field::Weight => ProductField::Weight,
            Field::HsCode => ProductField::HsCode,
            Field::Origin => ProductField::Origin,
            Field::Active => ProductField::Active,
            Field::Price => ProductField::Price,
            Field::Recipe => ProductField::Recipe,
        }
    }
}

/// What becomes of a change that somebody makes at the target to a field of the shop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnChange {
    /// The shop's value is written again, and it is told.
    #[default]
    Revert,
    /// Theirs stands until the shop changes the field, and it is told.
    Accept,
    /// Nobody looks.
    Ignore,
}

/// For a flow of products: whose each field is, what must be there, and what becomes of changes made at the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProductSettings {
    /// Fields that belong to the target: they are neither written nor compared. Default: none, all are the shop's.
    pub theirs: Vec<Field>,
    /// Fields without which the target cannot use an item, as ["weight", "hs_code"]: what lacks one is held. Default: none.
    pub required: Vec<Field>,
    /// What becomes of changes made at the target, by field, as { name = "accept" }: revert, accept or ignore. Default: revert.
    pub changed_elsewhere: BTreeMap<Field, OnChange>,
    /// How often changes made at the target are looked for; off = never. Default: 15m.
    pub watch: Pace,
    /// SKUs that are meant to look like another one. Default: none.
    pub alike_allowed: Vec<String>,
}

impl Default for ProductSettings {
    fn default() -> Self {
        Self {
            theirs: Vec::new(),
            required: Vec::new(),
            changed_elsewhere: BTreeMap::new(),
            watch: Pace(Some(Span::seconds(900).0)),
            alike_allowed: Vec::new(),
        }
    }
}

impl From<&ProductSettings> for ProductPolicy {
    fn from(settings: &ProductSettings) -> Self {
        let fields = |fields: &[Field]| {
            let fields: Vec<ProductField> = fields.iter().copied().map(ProductField::from).collect();
            ProductFields::of(&fields)
        };
        let on_change = |(field, then): (&Field, &OnChange)| {
            let then = match then {
                OnChange::Revert => ChangedElsewhere::Revert,
                OnChange::Accept => ChangedElsewhere::Accept,
                OnChange::Ignore => ChangedElsewhere::Ignore,
            };
            (ProductField::from(*field), then)
        };
        Self {
            owned: ProductFields::ALL.without(fields(&settings.theirs)),
            required: fields(&settings.required),
            changed_elsewhere: settings.changed_elsewhere.iter().map(on_change).collect(),
            alike_allowed: settings.alike_allowed.iter().map(Sku::new).collect(),
        }
    }
}

impl ProductSettings {
    /// What is wrong with it by itself: the setting below it, what, and what to do.
    pub fn faults(&self) -> Vec<(String, String, String)> {
        let mut faults = Vec::new();
        for field in &self.theirs {
            let word = ProductField::from(*field).word();
            if self.required.contains(field) {
                let message = format!("asks for {word}, which theirs leaves to the target");
                faults.push(("required".to_owned(), message, "Take it out of one of the two.".to_owned()));
            }
            if self.changed_elsewhere.contains_key(field) {
                let message = format!("says what becomes of {word}, which theirs leaves to the target");
                faults.push((format!("changed_elsewhere.{word}"), message, "Take it out of one of the two.".to_owned()));
            }
        }
        faults
    }
}
