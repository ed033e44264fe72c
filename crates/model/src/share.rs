//! Sharing an amount out so that nothing is lost and nothing is made: by weight, and unit by unit.
//!
//! By weight the largest remainder decides, ties go to the earlier. Unit by unit the *running* sum is
//! rounded and a part is the difference of two running sums: then the parts of any sequence of partial
//! shipments or returns add up to the whole, and the last one takes what the others left.

use rust_decimal::Decimal;

use crate::money::{Money, MoneyError};

/// The largest sum of weights: twice and once more of it still fits into 128 bits.
const TOTAL_MAX: u128 = 1 << 126;

/// Shares `amount` whole units out by weight, by largest remainder: each share is the exact one
/// rounded towards zero, and the units left over go one each to the largest remainders, the
/// earlier first. The shares add up, a zero weight gets nothing, and each share is within one
/// unit of the exact one. A negative amount mirrors its positive twin.
///
/// # Errors
/// [`MoneyError::Weights`]; [`MoneyError::Overflow`] when the weights are too far apart to be counted in one unit.
pub fn allocate(amount: i64, weights: &[Decimal]) -> Result<Vec<i64>, MoneyError> {
    let weights = whole_weights(weights)?;
    let total = weights.iter().try_fold(0_u128, |sum, w| sum.checked_add(*w)).ok_or(MoneyError::Overflow)?;
    if total == 0 {
        return Err(MoneyError::Weights);
    }
    if total > TOTAL_MAX {
        return Err(MoneyError::Overflow);
    }
    let size = amount.unsigned_abs();
    let mut left = size;
    let mut shares = Vec::with_capacity(weights.len());
    let mut remainders = Vec::with_capacity(weights.len());
    for (index, weight) in weights.iter().enumerate() {
        let (share, remainder) = multiply_then_divide(size, *weight, total);
        left -= share;
        shares.push(share);
        remainders.push((remainder, index));
    }
    remainders.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    for (_, index) in remainders.into_iter().take(usize::try_from(left).map_err(|_| MoneyError::Overflow)?) {
        if let Some(share) = shares.get_mut(index) {
            *share += 1;
        }
    }
    let signed = |share: u64| if amount < 0 { 0_i64.checked_sub_unsigned(share) } else { 0_i64.checked_add_unsigned(share) };
    shares.into_iter().map(|share| signed(share).ok_or(MoneyError::Overflow)).collect()
}

/// `size * weight / total`, rounded down, and the remainder. `weight` is at most `total`, so the quotient is at most `size`.
fn multiply_then_divide(size: u64, weight: u128, total: u128) -> (u64, u128) {
    let (mut quotient, mut remainder) = (0_u128, 0_u128);
    match u128::from(size).checked_mul(weight) {
        Some(product) => (quotient, remainder) = (product / total, product % total),
        // The product of a large amount and a weight of many digits fits no integer: bit by bit, from the highest.
        None => {
            for bit in (0..u64::BITS).rev() {
                quotient *= 2;
                remainder *= 2;
                if (size >> bit) & 1 == 1 {
                    remainder += weight;
                }
                quotient += remainder / total;
                remainder %= total;
            }
        }
    }
    (u64::try_from(quotient).unwrap_or(size), remainder)
}

/// The weights as whole numbers of the same proportions.
fn whole_weights(weights: &[Decimal]) -> Result<Vec<u128>, MoneyError> {
    if weights.iter().any(|w| w.is_sign_negative() && !w.is_zero()) {
        return Err(MoneyError::Weights);
    }
    let weights: Vec<Decimal> = weights.iter().map(|w| w.normalize()).collect();
    let scale = weights.iter().map(Decimal::scale).max().unwrap_or(0);
    weights
        .iter()
        .map(|w| {
            let factor = 10_u128.checked_pow(scale - w.scale()).ok_or(MoneyError::Overflow)?;
            w.mantissa().unsigned_abs().checked_mul(factor).ok_or(MoneyError::Overflow)
        })
        .collect()
}

impl Money {
    /// Shares the amount out by weight, as [`allocate`] does; the shares add up to it exactly.
    ///
    /// # Errors
    /// [`MoneyError::Weights`], [`MoneyError::Overflow`].
    pub fn allocate(self, weights: &[Decimal]) -> Result<Vec<Money>, MoneyError> {
        let shares = allocate(self.minor(), weights)?;
        Ok(shares.into_iter().map(|minor| Money::from_minor(minor, self.currency())).collect())
    }
}

/// Shares an amount out by units, as [`allocate`] does.
///
/// # Errors
/// [`MoneyError::Weights`] when there are no units at all, [`MoneyError::Overflow`].
pub fn by_units(amount: Money, units: &[u32]) -> Result<Vec<Money>, MoneyError> {
    amount.allocate(&units.iter().map(|units| Decimal::from(*units)).collect::<Vec<_>>())
}

/// What `now` units are worth of a line of `of_units` that is worth `total`, when `before` units went
/// already: the running sum after them less the running sum before, each rounded to the cent (half away
/// from zero). Any sequence of parts adds up to the whole, and none has the other sign.
///
/// # Errors
/// [`MoneyError::Units`] when the line has no such units.
pub fn part(total: Money, of_units: u32, before: u32, now: u32) -> Result<Money, MoneyError> {
    let wrong = MoneyError::Units { of_units, before, now };
    let after = match before.checked_add(now) {
        Some(after) if of_units > 0 && after <= of_units => after,
        _ => return Err(wrong),
    };
    let running = |units: u32| {
        let doubled = i128::from(total.minor()) * i128::from(units) * 2;
        let half = i128::from(of_units) * doubled.signum();
        (doubled + half) / (i128::from(of_units) * 2)
    };
    let minor = i64::try_from(running(after) - running(before)).map_err(|_| MoneyError::Overflow)?;
    Ok(Money::from_minor(minor, total.currency()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Currency;

    #[test]
    fn shares_mirror_when_the_sign_turns() {
        let weights = [Decimal::from(1), Decimal::from(1), Decimal::from(1)];
        assert_eq!(allocate(100, &weights).unwrap(), [34, 33, 33]);
        assert_eq!(allocate(-100, &weights).unwrap(), [-34, -33, -33]);
        assert!(allocate(1, &[Decimal::ZERO]).is_err());
        assert!(allocate(1, &[]).is_err());
        assert!(allocate(1, &[Decimal::from(-1), Decimal::from(2)]).is_err());
    }

    #[test]
    fn the_largest_amounts_by_the_longest_weights() {
        let third = Decimal::from_str_exact("0.3333333333333333333333333333").unwrap();
        let shares = allocate(i64::MAX, &[third, third, third]).unwrap();
        assert_eq!(shares, [3_074_457_345_618_258_603, 3_074_457_345_618_258_602, 3_074_457_345_618_258_602]);
        assert_eq!(allocate(i64::MIN, &[Decimal::ONE]).unwrap(), [i64::MIN]);
        // Too large for the product: the long way gives what the short one gives of the same proportions.
        let (quotient, remainder) = multiply_then_divide(1_000_003, 2, 3);
        assert_eq!(multiply_then_divide(1_000_003, 1 << 125, 3 << 124), (quotient, remainder << 124));
    }

    #[test]
    fn parts_of_a_line_in_any_steps() {
        let eur = |minor| Money::from_minor(minor, Currency::from_code("EUR").unwrap());
        let parts = |total, steps: &[u32]| {
            let mut before = 0;
            let of_units = steps.iter().sum();
            steps
                .iter()
                .map(|now| {
                    let part = part(eur(total), of_units, before, *now).unwrap();
                    before += now;
                    part.minor()
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(parts(1000, &[1, 1, 1]), [333, 334, 333]);
        assert_eq!(parts(1000, &[2, 1]), [667, 333]);
        assert_eq!(parts(-1000, &[1, 1, 1]), [-333, -334, -333]);
        assert_eq!(parts(1, &[1, 0, 1]), [1, 0, 0]);
        for (of_units, before, now) in [(0, 0, 0), (3, 2, 2), (3, 4, 0), (3, u32::MAX, 1)] {
            assert!(matches!(part(eur(9), of_units, before, now), Err(MoneyError::Units { .. })));
        }
    }
}
