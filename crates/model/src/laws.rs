//! What holds of money whatever the figures.

use proptest::prelude::*;
use rust_decimal::Decimal;

use crate::{
    Currency, Money, Rounding,
    share::allocate,
    tax::{TaxPolicy, TaxRule, Taxed},
};

const HALVES: [Rounding; 6] =
    [Rounding::HalfUp, Rounding::HalfDown, Rounding::HalfEven, Rounding::HalfOdd, Rounding::HalfCeil, Rounding::HalfFloor];

fn weights() -> impl Strategy<Value = Vec<Decimal>> {
    proptest::collection::vec((0_i64..100_000, 0_u32..4).prop_map(|(n, scale)| Decimal::new(n, scale)), 1..12)
        .prop_filter("something to share by", |weights| weights.iter().any(|w| !w.is_zero()))
}

proptest! {
    #[test]
    fn shares_add_up_and_none_is_a_unit_off(amount in -9_000_000_000_i64..9_000_000_000, weights in weights()) {
        let shares = allocate(amount, &weights).unwrap();
        prop_assert_eq!(shares.iter().sum::<i64>(), amount);
        let total: Decimal = weights.iter().copied().sum();
        for (share, weight) in shares.iter().zip(&weights) {
            let exact = Decimal::from(amount) * weight / total;
            let off = (Decimal::from(*share) - exact).abs();
            prop_assert!(off < Decimal::ONE, "{share} is not within one of {exact}");
            prop_assert!(!weight.is_zero() || *share == 0);
        }
        let mirrored: Vec<i64> = allocate(-amount, &weights).unwrap().iter().map(|share| -share).collect();
        prop_assert_eq!(mirrored, shares);
    }

    #[test]
    fn a_rounded_value_is_the_nearest_step(mantissa in -9_000_000_i64..9_000_000, scale in 0_u32..5, step in 1_i64..100) {
        let (value, step) = (Decimal::new(mantissa, scale), Decimal::new(step, 2));
        for mode in HALVES {
            let rounded = mode.to_step(value, step).unwrap();
            prop_assert!((rounded / step).fract().is_zero(), "{mode:?}: {rounded} is no multiple of {step}");
            prop_assert!((rounded - value).abs() * Decimal::TWO <= step, "{mode:?}: {rounded} is not the nearest to {value}");
        }
        let up = Rounding::Ceil.to_step(value, step).unwrap();
        let down = Rounding::Floor.to_step(value, step).unwrap();
        prop_assert!(down <= value && value <= up && up - down <= step);
        prop_assert_eq!(Rounding::Down.to_step(value, step).unwrap(), if mantissa < 0 { up } else { down });
        prop_assert_eq!(Rounding::Up.to_step(value, step).unwrap(), if mantissa < 0 { down } else { up });
    }

    #[test]
    fn net_and_tax_are_the_gross(lines in proptest::collection::vec((1_i64..500_000, 0_i64..2_700), 1..8), include: bool) {
        let lines: Vec<Taxed> = lines
            .iter()
            .map(|(amount, rate)| Taxed { amounts: vec![Decimal::new(*amount, 2)], rate: Decimal::new(*rate, 2) })
            .collect();
        let cent = Decimal::new(1, 2);
        let sums = |policy| TaxRule { policy, rounding: Rounding::HalfUp, unit: cent, prices_include_tax: include }.sums(&lines).unwrap();
        let by_line = sums(TaxPolicy::Line);
        for policy in [TaxPolicy::Unit, TaxPolicy::Line, TaxPolicy::Document, TaxPolicy::NetRoundedFirst] {
            let sums = sums(policy);
            prop_assert_eq!(sums.net + sums.tax, sums.gross);
            prop_assert!((sums.tax / cent).fract().is_zero());
            // Half a cent a line is the most that two policies can differ by, on either side.
            let apart = (sums.tax - by_line.tax).abs();
            prop_assert!(apart <= cent * Decimal::from(lines.len()), "{policy:?} is {apart} off");
        }
    }

    #[test]
    fn money_reads_back_as_it_was_written(minor: i64, code in proptest::sample::select(vec!["EUR", "JPY", "KWD", "SEK"])) {
        let money = Money::from_minor(minor, Currency::from_code(code).unwrap());
        let text = serde_json::to_string(&money).unwrap();
        prop_assert_eq!(serde_json::from_str::<Money>(&text).unwrap(), money);
        prop_assert_eq!(Money::exact(money.decimal(), money.currency()).unwrap(), money);
    }
}
