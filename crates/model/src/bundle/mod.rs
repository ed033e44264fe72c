//! Bundles: one thing sold, several things picked. What the whole costs is shared out over its
//! components, and what left the warehouse as components is put together again, both to the cent and
//! to the unit.
//!
//! A system that knows bundles gets the whole, one that does not gets components with their shares.
//! Which components a bundle had when it was sold is part of the sale: keep [`Recipe::version`] with
//! it, as an edited bundle would otherwise rewrite the past.
//!
//! How many of a bundle the free components give is asked of [`crate::stock::Picture`], which knows
//! what else wants them; [`Recipe::kit`] is the recipe in its words.

#[cfg(test)]
mod laws;

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{
    id::{ExternalId, Sku},
    money::{Money, MoneyError},
    records::{Kit, KitPart, OrderLine, TaxLine},
    share::part,
};

/// One component of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// Which item.
    pub sku: Sku,
    /// Units of it in one bundle.
    pub units: u32,
    /// What it weighs when the price is shared out: its list price times its units. It takes part in
    /// proportions only, so any currency will do if it is the same for all.
    pub weight: Decimal,
}

impl Component {
    /// A component that weighs its list price times its units.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`].
    pub fn priced(sku: Sku, units: u32, list_price: Decimal) -> Result<Self, MoneyError> {
        let weight = list_price.checked_mul(Decimal::from(units)).ok_or(MoneyError::Overflow)?;
        Ok(Self { sku, units, weight })
    }
}

/// Why a recipe is none, or a bundle cannot be shared out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Nothing in it.
    #[error("a bundle without components cannot be taken apart")]
    Empty,
    /// No units of a component: what belongs to the bundle and what does not must be plain.
    #[error("component {0} has no units")]
    NoUnits(Sku),
    /// A weight below zero.
    #[error("component {0} has a weight below zero")]
    Weight(Sku),
    /// No bundles to share over.
    #[error("the line has no bundles")]
    NoBundles,
    /// More units than can be counted.
    #[error("there are more units of component {0} than can be counted")]
    TooMany(Sku),
    /// An amount that cannot be made.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// What one bundle is made of: each item once, by SKU, whatever the order in which it was stated. The
/// same bundle listed in another order is shared out into the same cents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Component>", into = "Vec<Component>")]
pub struct Recipe {
    components: Vec<Component>,
}

impl TryFrom<Vec<Component>> for Recipe {
    type Error = BundleError;
    fn try_from(components: Vec<Component>) -> Result<Self, BundleError> {
        Self::new(components)
    }
}

impl From<Recipe> for Vec<Component> {
    fn from(recipe: Recipe) -> Self {
        recipe.components
    }
}

impl Recipe {
    /// The recipe of these components; of one that is stated twice, units and weights are added up.
    ///
    /// # Errors
    /// [`BundleError`] for no components, no units or a negative weight.
    pub fn new(components: impl IntoIterator<Item = Component>) -> Result<Self, BundleError> {
        let mut by_sku: BTreeMap<Sku, Component> = BTreeMap::new();
        for component in components {
            if component.units == 0 {
                return Err(BundleError::NoUnits(component.sku));
            }
            if component.weight.is_sign_negative() && !component.weight.is_zero() {
                return Err(BundleError::Weight(component.sku));
            }
            match by_sku.get_mut(&component.sku) {
                None => {
                    by_sku.insert(component.sku.clone(), component);
                }
                Some(known) => {
                    known.units =
                        known.units.checked_add(component.units).ok_or_else(|| BundleError::TooMany(component.sku.clone()))?;
                    known.weight = known.weight.checked_add(component.weight).ok_or(MoneyError::Overflow)?;
                }
            }
        }
        if by_sku.is_empty() {
            return Err(BundleError::Empty);
        }
        Ok(Self { components: by_sku.into_values().collect() })
    }

    /// The components by SKU.
    pub fn components(&self) -> &[Component] {
        &self.components
    }

    /// A short fingerprint of the content, 16 hexadecimal digits: the same for the same components in
    /// any order, another as soon as a SKU, a unit or a weight is another. A new list price is a new
    /// version, too: it shares out other cents.
    pub fn version(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for Component { sku, units, weight } in &self.components {
            for text in [sku.as_str(), &units.to_string(), &weight.normalize().to_string()] {
                // With its length before it, no text runs into the next.
                hasher.update(&(text.len() as u64).to_le_bytes());
                hasher.update(text.as_bytes());
            }
        }
        hasher.finalize().to_hex().chars().take(16).collect()
    }

    /// The recipe as a kit of the stock side.
    pub fn kit(&self, sku: Sku, item: ExternalId) -> Kit {
        let part = |component: &Component| KitPart { sku: component.sku.clone(), units: i64::from(component.units) };
        Kit { sku, item, parts: self.components.iter().map(part).collect() }
    }

    /// Shares what a line of `bundles` bundles costs out over the components, by their weights, or by
    /// their units when no component weighs anything. Largest remainder; on a tie the earlier SKU gets
    /// the cent. Net, discount and each tax line add up to those of the whole.
    ///
    /// # Errors
    /// [`BundleError::NoBundles`], [`BundleError::TooMany`], [`MoneyError::Overflow`].
    pub fn split(&self, whole: &Amounts, bundles: u32) -> Result<Vec<Share>, BundleError> {
        if bundles == 0 {
            return Err(BundleError::NoBundles);
        }
        let weighs = self.components.iter().any(|component| !component.weight.is_zero());
        let weight = |component: &Component| if weighs { component.weight } else { Decimal::from(component.units) };
        let weights: Vec<Decimal> = self.components.iter().map(weight).collect();

        let mut shares = Vec::with_capacity(self.components.len());
        let amounts = whole.net.allocate(&weights)?.into_iter().zip(whole.discount.allocate(&weights)?);
        for (component, (net, discount)) in self.components.iter().zip(amounts) {
            let units = component.units.checked_mul(bundles).ok_or_else(|| BundleError::TooMany(component.sku.clone()))?;
            let amounts = Amounts { net, discount, taxes: Vec::with_capacity(whole.taxes.len()) };
            shares.push(Share { sku: component.sku.clone(), units, amounts });
        }
        for tax in &whole.taxes {
            for (share, amount) in shares.iter_mut().zip(tax.amount.allocate(&weights)?) {
                share.amounts.taxes.push(TaxLine { amount, ..tax.clone() });
            }
        }
        Ok(shares)
    }
}

/// What a line costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amounts {
    /// Without tax, after discounts.
    pub net: Money,
    /// What discounts took off before that; zero where nobody says.
    pub discount: Money,
    /// The tax, by what it is made of.
    pub taxes: Vec<TaxLine>,
}

impl Amounts {
    /// What an order line costs. Tax that its tax lines do not explain is one more tax line, without a name.
    ///
    /// # Errors
    /// [`MoneyError::Mixed`], [`MoneyError::Overflow`].
    pub fn of(line: &OrderLine) -> Result<Self, MoneyError> {
        let currency = line.net.currency();
        let explained = Money::sum(currency, line.taxes.iter().map(|tax| tax.amount))?;
        let rest = line.tax.minus(explained)?;
        let mut taxes = line.taxes.clone();
        if !rest.is_zero() {
            taxes.push(TaxLine { name: String::new(), rate: Decimal::ZERO, amount: rest });
        }
        Ok(Self { net: line.net, discount: Money::zero(currency), taxes })
    }

    /// Without tax, before discounts.
    ///
    /// # Errors
    /// [`MoneyError::Mixed`], [`MoneyError::Overflow`].
    pub fn price(&self) -> Result<Money, MoneyError> {
        self.net.plus(self.discount)
    }

    /// All its tax.
    ///
    /// # Errors
    /// [`MoneyError::Mixed`], [`MoneyError::Overflow`].
    pub fn tax(&self) -> Result<Money, MoneyError> {
        Money::sum(self.net.currency(), self.taxes.iter().map(|tax| tax.amount))
    }

    /// What `now` of its `of_units` units cost after `before` others, each amount by [`part`]: for
    /// partial shipments and partial returns.
    ///
    /// # Errors
    /// [`MoneyError::Units`], [`MoneyError::Overflow`].
    pub fn part(&self, of_units: u32, before: u32, now: u32) -> Result<Self, MoneyError> {
        let of = |amount| part(amount, of_units, before, now);
        let tax = |tax: &TaxLine| Ok(TaxLine { amount: of(tax.amount)?, ..tax.clone() });
        Ok(Self {
            net: of(self.net)?,
            discount: of(self.discount)?,
            taxes: self.taxes.iter().map(tax).collect::<Result<_, MoneyError>>()?,
        })
    }
}

/// What one component has of a line of bundles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Which item.
    pub sku: Sku,
    /// Units of it in all bundles of the line.
    pub units: u32,
    /// What these units cost together.
    pub amounts: Amounts,
}

/// What component units make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// Whole bundles.
    pub whole: u64,
    /// What is left over, by SKU; nothing is listed with nought.
    pub rest: Vec<(Sku, u64)>,
}

/// How many whole bundles these component units make, and what is left over. Units of a SKU that is
/// listed twice add up; what is no component is left over.
pub fn join(recipe: &Recipe, units: &[(Sku, u32)]) -> Joined {
    let mut left = counted(units);
    let whole = take(recipe, u64::MAX, &mut left);
    Joined { whole, rest: listed(left) }
}

/// The same for several open lines of bundles that may share components, where the units say only
/// which item they are: each line takes as many whole bundles as it still wants, the first line first.
/// Returns the whole bundles of each line and what is left over.
pub fn join_each(open: &[(&Recipe, u32)], units: &[(Sku, u32)]) -> (Vec<u64>, Vec<(Sku, u64)>) {
    let mut left = counted(units);
    let whole = open.iter().map(|(recipe, wanted)| take(recipe, u64::from(*wanted), &mut left)).collect();
    (whole, listed(left))
}

fn counted(units: &[(Sku, u32)]) -> BTreeMap<Sku, u64> {
    let mut counted = BTreeMap::new();
    for (sku, units) in units {
        let sum = counted.entry(sku.clone()).or_insert(0_u64);
        *sum = sum.saturating_add(u64::from(*units));
    }
    counted
}

fn listed(left: BTreeMap<Sku, u64>) -> Vec<(Sku, u64)> {
    left.into_iter().filter(|(_, units)| *units > 0).collect()
}

/// Takes the components of as many bundles as there are, at most `wanted`.
fn take(recipe: &Recipe, wanted: u64, left: &mut BTreeMap<Sku, u64>) -> u64 {
    let gives = |component: &Component| left.get(&component.sku).copied().unwrap_or(0) / u64::from(component.units);
    let whole = recipe.components.iter().map(gives).min().unwrap_or(0).min(wanted);
    for component in &recipe.components {
        if let Some(units) = left.get_mut(&component.sku) {
            *units -= whole * u64::from(component.units);
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Currency,
        id::LocationId,
        records::StockLevel,
        stock::{NotTakenIn, Picture, Reserve},
    };

    fn eur(minor: i64) -> Money {
        Money::from_minor(minor, Currency::from_code("EUR").unwrap())
    }

    fn component(sku: &str, units: u32, weight: &str) -> Component {
        Component { sku: Sku::new(sku), units, weight: Decimal::from_str_exact(weight).unwrap() }
    }

    fn recipe(components: &[(&str, u32, &str)]) -> Recipe {
        Recipe::new(components.iter().map(|(sku, units, weight)| component(sku, *units, weight))).unwrap()
    }

    fn amounts(net: i64, discount: i64, taxes: &[i64]) -> Amounts {
        let tax = |(index, minor): (usize, &i64)| TaxLine {
            name: format!("tax {index}"),
            rate: Decimal::from(25),
            amount: eur(*minor),
        };
        Amounts { net: eur(net), discount: eur(discount), taxes: taxes.iter().enumerate().map(tax).collect() }
    }

    fn units(of: &[(&str, u32)]) -> Vec<(Sku, u32)> {
        of.iter().map(|(sku, units)| (Sku::new(*sku), *units)).collect()
    }

    #[test]
    fn a_bundle_is_shared_out_by_list_price() {
        // 100.00 off 120.00 for a shirt of 79.90 and two pairs of socks of 19.95 each.
        let recipe = recipe(&[("SHIRT", 1, "79.90"), ("SOCKS", 2, "39.90")]);
        let shares = recipe.split(&amounts(10_000, 2_000, &[2_500]), 1).unwrap();
        let told: Vec<_> = shares
            .iter()
            .map(|share| {
                let amounts = &share.amounts;
                (share.sku.as_str(), share.units, amounts.net.minor(), amounts.discount.minor(), amounts.taxes[0].amount.minor())
            })
            .collect();
        assert_eq!(told, [("SHIRT", 1, 6_669, 1_334, 1_667), ("SOCKS", 2, 3_331, 666, 833)]);
    }

    #[test]
    fn without_prices_units_decide_and_ties_go_to_the_earlier_sku() {
        let nets = |recipe: &Recipe, net| {
            let shares = recipe.split(&amounts(net, 0, &[]), 2).unwrap();
            shares.iter().map(|share| (share.sku.to_string(), share.amounts.net.minor())).collect::<Vec<_>>()
        };
        assert_eq!(nets(&recipe(&[("B", 3, "0"), ("A", 1, "0.00")]), 1000), [("A".into(), 250), ("B".into(), 750)]);
        assert_eq!(nets(&recipe(&[("B", 1, "9"), ("A", 1, "9")]), 101), [("A".into(), 51), ("B".into(), 50)]);
        assert_eq!(nets(&recipe(&[("GIFT", 1, "0"), ("A", 1, "9")]), 101), [("A".into(), 101), ("GIFT".into(), 0)]);
    }

    #[test]
    fn what_is_no_recipe() {
        assert_eq!(Recipe::new([]), Err(BundleError::Empty));
        assert_eq!(Recipe::new([component("A", 0, "1")]), Err(BundleError::NoUnits("A".into())));
        assert_eq!(Recipe::new([component("A", 1, "-1")]), Err(BundleError::Weight("A".into())));
        assert_eq!(Recipe::new([component("A", u32::MAX, "1"), component("A", 1, "1")]), Err(BundleError::TooMany("A".into())));
        let recipe = recipe(&[("A", 2, "1")]);
        assert_eq!(recipe.split(&amounts(1, 0, &[]), 0), Err(BundleError::NoBundles));
        assert_eq!(recipe.split(&amounts(1, 0, &[]), u32::MAX), Err(BundleError::TooMany("A".into())));
        assert!(serde_json::from_str::<Recipe>(r#"[{"sku":"A","units":0,"weight":"1"}]"#).is_err());
    }

    #[test]
    fn the_version_is_the_content() {
        let one = recipe(&[("A", 1, "9.90"), ("B", 2, "5")]);
        assert_eq!(one.version(), recipe(&[("B", 2, "5.0"), ("A", 1, "9.9")]).version());
        assert_eq!(one.version(), recipe(&[("B", 1, "2"), ("A", 1, "9.9"), ("B", 1, "3")]).version(), "stated twice, added up");
        assert_eq!(one.version(), "a635a4b031c008da", "it is kept on disk: it must not change by itself");
        for other in
            [recipe(&[("A", 1, "9.90"), ("B", 3, "5")]), recipe(&[("A", 1, "9.91"), ("B", 2, "5")]), recipe(&[("A", 1, "9.90")])]
        {
            assert_ne!(one.version(), other.version());
        }
    }

    #[test]
    fn components_make_bundles_again() {
        let recipe = recipe(&[("A", 1, "1"), ("B", 2, "1")]);
        let joined = |of: &[(&str, u32)]| join(&recipe, &units(of));
        assert_eq!(joined(&[("A", 3), ("B", 5)]), Joined { whole: 2, rest: vec![("A".into(), 1), ("B".into(), 1)] });
        assert_eq!(joined(&[("B", 1), ("A", 1), ("B", 1), ("Z", 4)]), Joined { whole: 1, rest: vec![("Z".into(), 4)] });
        assert_eq!(joined(&[("B", 9)]), Joined { whole: 0, rest: vec![("B".into(), 9)] });
        assert_eq!(joined(&[]), Joined { whole: 0, rest: vec![] });
    }

    #[test]
    fn lines_that_share_a_component_are_served_in_turn() {
        let (one, other) = (recipe(&[("A", 1, "1"), ("B", 1, "1")]), recipe(&[("A", 1, "1"), ("C", 1, "1")]));
        let (whole, rest) = join_each(&[(&one, 2), (&other, 5)], &units(&[("A", 4), ("B", 3), ("C", 4)]));
        assert_eq!(whole, [2, 2]);
        assert_eq!(rest, [("B".into(), 1), ("C".into(), 2)]);
    }

    #[test]
    fn tax_that_is_not_explained_is_not_lost() {
        let taxes = amounts(0, 0, &[100, 20]).taxes;
        let line = OrderLine {
            id: ExternalId::new("1"),
            kind: crate::records::LineKind::Bundle,
            bundle: None,
            recipe: None,
            sku: Sku::new("K"),
            name: String::new(),
            quantity: 1,
            cancelled: 0,
            unit_net: Decimal::from(5),
            net: eur(500),
            tax: eur(121),
            taxes,
        };
        let of = Amounts::of(&line).unwrap();
        assert_eq!((of.net, of.tax().unwrap(), of.taxes.len()), (eur(500), eur(121), 3));
    }

    #[test]
    fn the_stock_side_says_how_many_the_free_components_give() {
        let level = |sku: &str, on_hand| StockLevel {
            sku: Sku::new(sku),
            location: LocationId::new("7"),
            item: ExternalId::new("1"),
            as_of: jiff::Timestamp::UNIX_EPOCH,
            changed_at: None,
            on_hand,
            committed: 0,
            back_ordered: 0,
            pending_approval: 0,
            available: on_hand,
            incoming: 0,
            active: true,
            unit_value: None,
            categories: Vec::new(),
        };
        let recipe = recipe(&[("A", 1, "1"), ("B", 2, "1")]);
        let (levels, kits) = ([level("A", 9), level("B", 7)], [recipe.kit(Sku::new("K"), ExternalId::new("900"))]);
        let orders = NotTakenIn { units: BTreeMap::new(), as_of: jiff::Timestamp::UNIX_EPOCH };
        let picture = Picture::new(&levels, &kits, jiff::Timestamp::UNIX_EPOCH);
        let terms = picture.terms(&Sku::new("K"), &orders, &|_, _| Reserve::default()).unwrap();
        assert_eq!(terms.free().unsigned_abs(), join(&recipe, &units(&[("A", 9), ("B", 7)])).whole);
    }
}
