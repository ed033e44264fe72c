//! How improbable so few arrivals are, in bits: n bits are once in 2^n.
//!
//! Counts of shops spread wider than a Poisson law allows, as good and bad days move all hours together. The negative binomial
//! has a second figure for that, its *shape*: the relative spread beside the plain one is 1/sqrt(shape). With a whole shape it
//! needs nothing but logarithms of whole numbers, and these are taken in fixed point.

/// Fractional bits of a logarithm.
const FRACTION: u32 = 20;
/// Counts above this are scaled down together, which makes the evidence weaker and never stronger.
const COUNT_MAX: u64 = 4_096;
/// The most alike that weeks are believed to be: 18 percent beside what chance does.
const SHAPE_MAX: u64 = 32;

/// log2 of a whole number, in fixed point (20 fractional bits); of nought as of one.
fn log2(number: u64) -> i64 {
    let number = number.max(1);
    let whole = number.ilog2();
    // In [1, 2) with 62 fractional bits; squaring doubles its logarithm, one bit a time.
    let mut rest = u128::from(number) << 62_u32.saturating_sub(whole);
    if whole == 63 {
        rest = u128::from(number) >> 1;
    }
    let mut log = i64::from(whole);
    for _ in 0..FRACTION {
        rest = (rest * rest) >> 62;
        log <<= 1;
        if rest >= 1 << 63 {
            log |= 1;
            rest >>= 1;
        }
    }
    log
}

/// At least how improbable it is that no more than `got` come where `expected_milli` thousandths are expected, in whole bits.
/// Nought where it is not improbable.
///
/// ```
/// use selvedge_model::silence::odds::bits;
/// // Nothing where 31 are usual, from weeks that are much alike.
/// assert_eq!(bits(31_000, 0, 32), 31);
/// // Nothing where two are usual happens all the time.
/// assert_eq!(bits(2_000, 0, 32), 2);
/// // Half of 20 is a slow hour.
/// assert!(bits(20_000, 10, 32) < 8);
/// ```
pub fn bits(expected_milli: u64, got: u64, shape: u64) -> u32 {
    let scale = (expected_milli / 1_000).div_ceil(COUNT_MAX).max(1);
    let (expected, got, shape) = (expected_milli / scale, got.div_ceil(scale), shape.clamp(1, SHAPE_MAX));
    if got.saturating_mul(1_000) >= expected {
        return 0;
    }
    let all = log2(shape * 1_000 + expected);
    let share = log2(expected) - all;
    let mut log = i64::try_from(shape).unwrap_or(1) * (log2(shape * 1_000) - all);
    let mut highest = log;
    for count in 1..=got {
        log += log2(count - 1 + shape) - log2(count) + share;
        highest = highest.max(log);
    }
    // Two bounds of the tail, of which the better one counts: so many terms of at most the highest, and a sum that falls at
    // least as fast as a geometric one with the ratio of its first two terms.
    let mut tail = highest + log2(got + 1);
    let (of, ratio) = ((got + shape - 1).saturating_mul(expected), got.saturating_mul(shape * 1_000 + expected));
    if ratio < of {
        tail = tail.min(log - (log2(of - ratio) - log2(of)));
    }
    u32::try_from((-tail) >> FRACTION).unwrap_or(0)
}

/// The shape that the counts of some weeks (in thousandths) have around what is usual of them.
pub fn shape(weeks_milli: &[u64], usual_milli: u64) -> u64 {
    let count = u128::try_from(weeks_milli.len()).unwrap_or(1).max(1);
    let usual = u128::from(usual_milli);
    let squares = weeks_milli.iter().map(|week| u128::from(week.abs_diff(usual_milli)).pow(2));
    let spread = squares.fold(0_u128, u128::saturating_add) / count;
    // Of the variance (in millionths), what chance does by itself is the mean.
    match spread.checked_sub(usual * 1_000) {
        Some(beside @ 1..) => u64::try_from(usual * usual / beside).unwrap_or(SHAPE_MAX).clamp(1, SHAPE_MAX),
        _ => SHAPE_MAX,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn logarithms_of_whole_numbers() {
        for (number, log) in [(1, 0), (2, 1 << 20), (1 << 40, 40 << 20), (u64::MAX, (64 << 20) - 1)] {
            assert!((log2(number) - log).abs() <= 1, "{number}");
        }
        // 2^(1585/1000) is a little more than 3.
        assert!((log2(3) - 1_661_953).abs() <= 2, "{}", log2(3));
    }

    #[test]
    fn tails_that_were_worked_out_by_hand() {
        // (k / (k + λ))^k: (32/63)^32 = 2^-31.3; (2/12)^2 = 2^-5.17.
        assert_eq!(bits(31_000, 0, 32), 31);
        assert_eq!(bits(10_000, 0, 2), 5);
        // Shape 1 is the geometric law: P(X <= 3) with mean 30 is 1 - (30/31)^4 = 0.123 = 2^-3.02. The bound may be weaker.
        assert!((1..=3).contains(&bits(30_000, 3, 1)));
    }

    proptest! {
        #[test]
        fn fewer_arrivals_are_never_less_improbable(expected in 1_u64..400_000, got in 0_u64..500, shape in 1_u64..40) {
            // But for the last digit of a logarithm.
            prop_assert!(bits(expected, got, shape) + 1 >= bits(expected, got + 1, shape));
        }

        #[test]
        fn more_expected_is_never_less_improbable(expected in 1_u64..4_000_000, more in 0_u64..60_000, shape in 1_u64..40) {
            prop_assert!(bits(expected + more, 0, shape) + 1 >= bits(expected, 0, shape));
        }

        #[test]
        fn weeks_that_differ_make_silence_less_improbable(expected in 1_u64..4_000_000, shape in 1_u64..32) {
            prop_assert!(bits(expected, 0, shape + 1) + 1 >= bits(expected, 0, shape));
        }

        #[test]
        fn any_weeks_have_a_shape(weeks in proptest::collection::vec(any::<u64>(), 0..9), usual in any::<u64>()) {
            prop_assert!((1..=SHAPE_MAX).contains(&shape(&weeks, usual)));
        }
    }
}
