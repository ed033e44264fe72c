//! What units are worth, currency by currency: amounts of two currencies are never added.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::money::{Currency, Money};

/// Sums of money, one a currency. A sum that would not fit stands at the largest amount there is:
/// this is for judging and for showing, not for accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worth(BTreeMap<Currency, Money>);

impl Worth {
    /// Adds so many units at this value each.
    pub fn add(&mut self, units: i64, unit_value: Money) {
        let sum = self.0.entry(unit_value.currency()).or_insert(Money::zero(unit_value.currency()));
        *sum = Money::from_minor(sum.minor().saturating_add(times(units, unit_value).minor()), unit_value.currency());
    }

    /// The sum in one currency; nothing when there is none.
    pub fn of(&self, currency: Currency) -> Money {
        self.0.get(&currency).copied().unwrap_or(Money::zero(currency))
    }

    /// Every sum, by currency.
    pub fn sums(&self) -> impl Iterator<Item = Money> + '_ {
        self.0.values().copied()
    }

    /// Whether nothing with a value was added.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// So many units at this value each; stands still at the largest amount there is.
pub(super) fn times(units: i64, unit_value: Money) -> Money {
    Money::from_minor(units.saturating_mul(unit_value.minor()), unit_value.currency())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_each_currency_by_itself_and_stands_still_at_the_end() {
        let (eur, sek) = (Currency::from_code("EUR").unwrap(), Currency::from_code("SEK").unwrap());
        let mut worth = Worth::default();
        assert!(worth.is_empty());
        worth.add(3, Money::from_minor(250, eur));
        worth.add(2, Money::from_minor(100, sek));
        worth.add(-1, Money::from_minor(50, eur));
        assert_eq!(worth.of(eur).minor(), 700);
        assert_eq!(worth.of(sek).minor(), 200);
        assert_eq!(worth.sums().count(), 2);
        worth.add(i64::MAX, Money::from_minor(2, eur));
        assert_eq!(worth.of(eur).minor(), i64::MAX);
    }
}
