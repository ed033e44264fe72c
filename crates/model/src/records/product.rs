//! The product: one stock item with what its style and variant say about it.
//!
//! One record is one SKU, because that is what every system behind a shop keeps: an ERP its items, a
//! warehouse its stock. Style and variant are on it, so a system that groups them can.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    id::{ExternalId, Sku},
    money::Money,
    records::Named,
};

/// A price of a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// The price list.
    pub list: Named,
    /// The market, where the price is for one only.
    pub market: Option<Named>,
    /// The price itself.
    pub amount: Money,
}

/// One component of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipePart {
    /// Which item.
    pub sku: Sku,
    /// Units of it in one bundle; at least one.
    pub units: u32,
}

/// A field of a product that one system is the master of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProductField {
    /// What people read.
    Name,
    /// EAN or UPC.
    Barcode,
    /// Weight in grams.
    Weight,
    /// Customs tariff code.
    HsCode,
    /// Country of origin.
    Origin,
    /// Whether it may be sold.
    Active,
    /// Prices.
    Price,
    /// Of which components a bundle is made.
    Recipe,
}

impl ProductField {
    /// All of them.
    pub const ALL: [ProductField; 8] = [
        ProductField::Name,
        ProductField::Barcode,
        ProductField::Weight,
        ProductField::HsCode,
        ProductField::Origin,
        ProductField::Active,
        ProductField::Price,
        ProductField::Recipe,
    ];

    /// The word: also the path of a difference.
    pub const fn word(self) -> &'static str {
        match self {
            ProductField::Name => "name",
            ProductField::Barcode => "barcode",
            ProductField::Weight => "weight",
            ProductField::HsCode => "hs_code",
            ProductField::Origin => "origin",
            ProductField::Active => "active",
            ProductField::Price => "price",
            ProductField::Recipe => "recipe",
        }
    }

    /// The field with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.word() == word)
    }
}

/// A set of fields of a product.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductFields(u16);

impl ProductFields {
    /// None.
    pub const NONE: Self = Self(0);
    /// Every one.
    pub const ALL: Self = Self::of(&ProductField::ALL);

    /// These.
    pub const fn of(fields: &[ProductField]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < fields.len() {
            bits |= 1 << fields[at] as u16;
            at += 1;
        }
        Self(bits)
    }

    /// Whether a field is among them.
    pub const fn has(self, field: ProductField) -> bool {
        self.0 & (1 << field as u16) != 0
    }

    /// Those that are in both.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// The same without those.
    #[must_use]
    pub const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }
}

/// One stock item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// Full SKU: our key.
    pub sku: Sku,
    /// The source's id of the item.
    pub id: ExternalId,
    /// When the source last changed it; the *as of* of this revision.
    pub updated_at: Timestamp,
    /// Style, variant and size in one: what people read.
    pub name: String,
    /// The style: its number and name.
    pub style: Named,
    /// The variant, usually a colour: its number and name.
    pub variant: Option<Named>,
    /// The size, where there is more than one.
    pub size: Option<String>,
    /// Whether it may be sold.
    pub active: bool,
    /// EAN or UPC, as given.
    pub barcode: Option<String>,
    /// Weight of one unit in grams.
    pub weight_grams: Option<u32>,
    /// Harmonised System code: digits, 6 to 10.
    pub hs_code: Option<String>,
    /// Country of origin, ISO 3166-1 alpha-2, upper case.
    pub origin: Option<String>,
    /// Brand.
    pub brand: Option<String>,
    /// Collections, folder, category.
    pub collections: Vec<String>,
    /// Prices by list and market.
    pub prices: Vec<Price>,
    /// What a bundle is made of; empty for anything else.
    pub recipe: Vec<RecipePart>,
    /// The fields that the source is the master of where this goes; the others are the target's own, neither written nor
    /// compared. All of them until the gate has made it ready for a target.
    #[serde(default = "all_fields")]
    pub owned: ProductFields,
}

fn all_fields() -> ProductFields {
    ProductFields::ALL
}

impl Product {
    /// Whether it is put together from others when it is sold.
    pub fn is_bundle(&self) -> bool {
        !self.recipe.is_empty()
    }

    /// The same with another's value of a field. Of prices, only those of lists that both have.
    #[must_use]
    pub fn with(mut self, field: ProductField, other: &Self) -> Self {
        match field {
            ProductField::Name => self.name.clone_from(&other.name),
            ProductField::Barcode => self.barcode.clone_from(&other.barcode),
            ProductField::Weight => self.weight_grams = other.weight_grams,
            ProductField::HsCode => self.hs_code.clone_from(&other.hs_code),
            ProductField::Origin => self.origin.clone_from(&other.origin),
            ProductField::Active => self.active = other.active,
            ProductField::Price => {
                for price in &mut self.prices {
                    if let Some(theirs) = other.prices.iter().find(|theirs| theirs.list.id == price.list.id) {
                        price.amount = theirs.amount;
                    }
                }
            }
            ProductField::Recipe => self.recipe.clone_from(&other.recipe),
        }
        self
    }

    /// Whether two say the same of a field.
    pub fn agrees(&self, field: ProductField, other: &Self) -> bool {
        match field {
            ProductField::Name => self.name == other.name,
            ProductField::Barcode => self.barcode == other.barcode,
            ProductField::Weight => self.weight_grams == other.weight_grams,
            ProductField::HsCode => self.hs_code == other.hs_code,
            ProductField::Origin => self.origin == other.origin,
            ProductField::Active => self.active == other.active,
            ProductField::Price => self.prices == other.prices,
            ProductField::Recipe => self.recipe == other.recipe,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{eur, product};

    #[test]
    fn one_field_of_another_is_that_field_alone() {
        let ours = product("A");
        let mut theirs = Product { name: "x".into(), barcode: None, weight_grams: Some(1), hs_code: None, ..ours.clone() };
        theirs = Product { origin: None, active: false, recipe: vec![RecipePart { sku: "B".into(), units: 2 }], ..theirs };
        theirs.prices[0].amount = eur(1);
        for field in ProductField::ALL {
            let mixed = ours.clone().with(field, &theirs);
            for other in ProductField::ALL {
                assert_eq!(mixed.agrees(other, &theirs), other == field, "{field:?} {other:?}");
                assert_eq!(mixed.agrees(other, &ours), other != field, "{field:?} {other:?}");
            }
        }
    }

    #[test]
    fn a_set_of_fields_has_what_it_was_made_of() {
        let set = ProductFields::of(&[ProductField::Name, ProductField::Recipe]);
        let has: Vec<ProductField> = ProductField::ALL.into_iter().filter(|field| set.has(*field)).collect();
        assert_eq!(has, [ProductField::Name, ProductField::Recipe]);
        assert_eq!(set.without(ProductFields::of(&[ProductField::Name])), ProductFields::of(&[ProductField::Recipe]));
    }

    #[test]
    fn a_field_is_found_by_its_word() {
        for field in ProductField::ALL {
            assert_eq!(ProductField::from_word(field.word()), Some(field));
        }
    }
}
