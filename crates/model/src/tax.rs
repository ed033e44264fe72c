//! Tax policies: the same lines give different cents under different rules, and each rule has a name.

pub mod rates;

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::money::{MoneyError, Rounding};

/// Where the rounding happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaxPolicy {
    /// The tax of each unit is rounded, then added up.
    Unit,
    /// The tax of each line is rounded, then added up.
    Line,
    /// The amounts of each rate are added up, then their tax is rounded once.
    Document,
    /// As `Line`, but of a price that includes its tax the net is rounded and the tax is the rest.
    NetRoundedFirst,
    /// The tax of the whole document is added up over all rates, then rounded once: the same as one weighted rate.
    Whole,
}

/// How tax is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaxRule {
    /// Where the rounding happens.
    pub policy: TaxPolicy,
    /// How.
    pub rounding: Rounding,
    /// The smallest step of an amount: 0.01, 0.05, 1.
    pub unit: Decimal,
    /// Whether the amounts contain their tax.
    pub prices_include_tax: bool,
}

/// What is taxed: the amounts of a line's units (or its one amount) and the rate in percent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taxed {
    /// Per unit, or one for the whole line.
    pub amounts: Vec<Decimal>,
    /// In percent: 25 means a quarter.
    pub rate: Decimal,
}

/// The sums of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaxSums {
    /// Without tax.
    pub net: Decimal,
    /// Tax.
    pub tax: Decimal,
    /// With tax.
    pub gross: Decimal,
}

impl TaxRule {
    /// The sums of a document. A credit mirrors its sale where the rounding does.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] when a figure does not fit, or a rate of -100 leaves nothing to divide by.
    pub fn sums(&self, lines: &[Taxed]) -> Result<TaxSums, MoneyError> {
        let (mut amount, mut tax) = (Decimal::ZERO, Decimal::ZERO);
        let mut by_rate: BTreeMap<Decimal, Decimal> = BTreeMap::new();
        for line in lines {
            let whole = line.amounts.iter().try_fold(Decimal::ZERO, |sum, unit| add(sum, *unit))?;
            amount = add(amount, whole)?;
            match self.policy {
                TaxPolicy::Unit => {
                    for unit in &line.amounts {
                        tax = add(tax, self.tax(*unit, line.rate)?)?;
                    }
                }
                TaxPolicy::Line | TaxPolicy::NetRoundedFirst => tax = add(tax, self.tax(whole, line.rate)?)?,
                TaxPolicy::Document | TaxPolicy::Whole => {
                    let group = by_rate.entry(line.rate.normalize()).or_default();
                    *group = add(*group, whole)?;
                }
            }
        }
        let mut unrounded = Decimal::ZERO;
        for (rate, whole) in by_rate {
            match self.policy {
                TaxPolicy::Whole => unrounded = add(unrounded, exact(whole, rate, self.prices_include_tax)?)?,
                _ => tax = add(tax, self.tax(whole, rate)?)?,
            }
        }
        tax = add(tax, self.rounding.to_step(unrounded, self.unit)?)?;
        let (net, gross) = if self.prices_include_tax {
            (amount.checked_sub(tax).ok_or(MoneyError::Overflow)?, amount)
        } else {
            (amount, add(amount, tax)?)
        };
        Ok(TaxSums { net, tax, gross })
    }

    /// The rounded tax of one amount.
    fn tax(&self, amount: Decimal, rate: Decimal) -> Result<Decimal, MoneyError> {
        if self.policy == TaxPolicy::NetRoundedFirst && self.prices_include_tax {
            let net = self.rounding.to_step(exact_net(amount, rate)?, self.unit)?;
            return amount.checked_sub(net).ok_or(MoneyError::Overflow);
        }
        self.rounding.to_step(exact(amount, rate, self.prices_include_tax)?, self.unit)
    }
}

/// The tax of an amount, unrounded; the rate is in percent.
///
/// # Errors
/// [`MoneyError::Overflow`] when a figure does not fit, or a rate of -100 leaves nothing to divide by.
pub fn exact(amount: Decimal, rate: Decimal, prices_include_tax: bool) -> Result<Decimal, MoneyError> {
    let base = if prices_include_tax { add(Decimal::ONE_HUNDRED, rate)? } else { Decimal::ONE_HUNDRED };
    // Multiplied first: an exact tie must not be blurred by the division.
    amount.checked_mul(rate).and_then(|product| product.checked_div(base)).ok_or(MoneyError::Overflow)
}

/// What an amount that includes its tax is without it, unrounded.
///
/// # Errors
/// As [`exact`].
pub fn exact_net(amount: Decimal, rate: Decimal) -> Result<Decimal, MoneyError> {
    let base = add(Decimal::ONE_HUNDRED, rate)?;
    amount.checked_mul(Decimal::ONE_HUNDRED).and_then(|product| product.checked_div(base)).ok_or(MoneyError::Overflow)
}

fn add(one: Decimal, other: Decimal) -> Result<Decimal, MoneyError> {
    one.checked_add(other).ok_or(MoneyError::Overflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn d(text: &str) -> Decimal {
        Decimal::from_str_exact(text).unwrap()
    }

    fn tax(policy: TaxPolicy, include: bool, lines: &[(&str, &str)]) -> Decimal {
        let rule = TaxRule { policy, rounding: Rounding::HalfUp, unit: d("0.01"), prices_include_tax: include };
        let lines: Vec<Taxed> = lines.iter().map(|(amount, rate)| Taxed { amounts: vec![d(amount)], rate: d(rate) }).collect();
        rule.sums(&lines).unwrap().tax
    }

    #[test]
    fn the_same_lines_give_other_cents_under_other_rules() {
        let lines = [("9.99", "25"), ("9.99", "25"), ("9.99", "25")];
        assert_eq!(tax(TaxPolicy::Line, false, &lines), d("7.50"));
        assert_eq!(tax(TaxPolicy::Document, false, &lines), d("7.49"));
        assert_eq!(tax(TaxPolicy::Line, true, &[("2.99", "4")]), d("0.12"));
        assert_eq!(tax(TaxPolicy::NetRoundedFirst, true, &[("2.99", "4")]), d("0.11"));
    }

    #[test]
    fn the_whole_document_is_rounded_once_over_all_its_rates() {
        let lines = [("0.10", "25"), ("0.10", "12"), ("0.10", "6")];
        assert_eq!(tax(TaxPolicy::Document, false, &lines), d("0.05"));
        assert_eq!(tax(TaxPolicy::Whole, false, &lines), d("0.04"));
    }

    #[test]
    fn a_credit_mirrors_its_sale() {
        for policy in [TaxPolicy::Unit, TaxPolicy::Line, TaxPolicy::Document] {
            let sale = tax(policy, false, &[("10.10", "19.6"), ("0.03", "20")]);
            let credit = tax(policy, false, &[("-10.10", "19.6"), ("-0.03", "20")]);
            assert_eq!(sale, -credit, "{policy:?}");
        }
    }
}
