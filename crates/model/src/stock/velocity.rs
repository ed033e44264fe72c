//! How many units other channels may take while the shop's figure is out of date.
//!
//! # The model
//! Takings of a SKU by other channels come as a Poisson stream whose rate nobody knows. What the whole
//! range does is the prior (a gamma distribution, as if so many takings had been seen in so long a
//! time), what the SKU did makes it a posterior, and the number of takings in a window is then
//! negative binomial. A SKU that was never seen moving borrows from the range; one that was seen a lot
//! stands by itself.
//!
//! A taking is often more than one unit. The sum over such takings has no closed form, so it is
//! replaced by the negative binomial with the same mean and variance; for takings of one unit each that
//! is the exact answer. Mean and mean square of a taking's units are shrunk to those of the range in
//! the same way. **What that leaves out:** takings are taken to come independently of each other and at a
//! rate that holds still, so a sale that begins tomorrow is not foreseen; and two moments do not tell
//! where a sum of large takings really ends. For takings all of one size the match errs upwards (by the
//! dozen, in the tests: 50 units where 36 would do); for a few huge ones among many small, it may err
//! downwards.

#![allow(clippy::float_arithmetic, reason = "probabilities; units enter and leave as whole numbers")]

use rust_decimal::{Decimal, prelude::ToPrimitive};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// No quantile is looked for beyond this many units.
pub const QUANTILE_MAX: i64 = 10_000;

/// The bounds between which a fitted prior's weight stays: below, one taking would say everything; above, none would say anything.
const SHAPE: (f64, f64) = (0.05, 1_000.0);

/// What other channels took of one SKU while it was watched: drops at the source that the shop's own
/// orders do not explain. Only those can make the shop's figure wrong; its own sales it subtracts itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Demand {
    /// How often something was taken.
    pub takings: u64,
    /// Units taken.
    pub units: u64,
    /// Sum of the squares of the units of each taking.
    pub squares: u64,
    /// How long it was watched, in milliseconds.
    pub watched_ms: u64,
}

impl Demand {
    /// Counts a drop of so many units at the source, of which the shop's own orders explain some.
    pub fn drop(&mut self, units: i64, own: i64) {
        let taken = u64::try_from(units.max(0).saturating_sub(own.max(0))).unwrap_or(0);
        if taken > 0 {
            self.takings = self.takings.saturating_add(1);
            self.units = self.units.saturating_add(taken);
            self.squares = self.squares.saturating_add(taken.saturating_mul(taken));
        }
    }
}

/// What is expected of a SKU before it is watched, as if `shape` takings had been seen in `watched_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prior {
    /// Takings as if seen; not whole. The weight of the range against what the SKU itself did.
    pub shape: f64,
    /// In how many milliseconds; `shape / watched_ms` is the rate.
    pub watched_ms: f64,
    /// Mean units of a taking; at least one.
    pub mean: f64,
    /// Mean of their squares; at least the mean.
    pub mean_square: f64,
}

impl Prior {
    /// A range in which nothing is ever taken by others.
    pub const STILL: Self = Self { shape: 0.0, watched_ms: 1.0, mean: 1.0, mean_square: 1.0 };

    /// The prior that a range gives: its mean rate, and a shape by how much more the counts of its SKUs
    /// differ than chance alone would make them (method of moments).
    pub fn of_range<'a>(demands: impl Iterator<Item = &'a Demand> + Clone) -> Self {
        let sum = |what: fn(&Demand) -> u64| demands.clone().map(|demand| what(demand) as f64).sum::<f64>();
        let (takings, watched) = (sum(|d| d.takings), sum(|d| d.watched_ms));
        if takings <= 0.0 || watched <= 0.0 {
            return Self::STILL;
        }
        let rate = takings / watched;
        let mut excess = 0.0;
        let mut squares = 0.0;
        for demand in demands.clone() {
            let expected = rate * demand.watched_ms as f64;
            let off = demand.takings as f64 - expected;
            excess += off * off - expected;
            squares += expected * expected;
        }
        let shape = if excess > 0.0 { squares / excess } else { f64::INFINITY }.clamp(SHAPE.0, SHAPE.1);
        Self { shape, watched_ms: shape / rate, mean: sum(|d| d.units) / takings, mean_square: sum(|d| d.squares) / takings }
    }
}

/// The least number of units that other channels stay within, in a window of so many milliseconds, with
/// this probability. A quantile of nought or less gives nought, of one or more the bound [`QUANTILE_MAX`].
pub fn quantile(quantile: Decimal, prior: &Prior, demand: &Demand, window_ms: u64) -> i64 {
    let quantile = quantile.to_f64().unwrap_or(1.0);
    match expected(prior, demand, window_ms) {
        Some((shape, chance)) => at_quantile(quantile, shape, chance),
        None => 0,
    }
}

/// The negative binomial of the units taken in a window: its shape and the chance that ends it. `None`
/// when nothing is expected at all.
fn expected(prior: &Prior, demand: &Demand, window_ms: u64) -> Option<(f64, f64)> {
    let window = window_ms as f64;
    let shape = prior.shape + demand.takings as f64;
    let watched = prior.watched_ms + demand.watched_ms as f64;
    let units = prior.shape * prior.mean + demand.units as f64;
    let squares = prior.shape * prior.mean_square + demand.squares as f64;
    // Asked this way round, so that what is no number expects nothing.
    let sound = window > 0.0 && units > 0.0 && watched > 0.0 && shape > 0.0 && squares.is_finite();
    if !sound {
        return None;
    }
    // Mean m = w·units/T and variance v = w·squares/T + m²/shape of the sum; the shape is then m²/(v - m), the chance m/v.
    let beyond_units = ((squares - units) * watched / (window * units * units)).max(0.0);
    let chance = units / (squares.max(units) + window * units * units / (watched * shape));
    Some((1.0 / (beyond_units + 1.0 / shape), chance))
}

/// Adds up the chances of 0, 1, 2 … units until there are enough of them. In logarithms, as the chance
/// of nought may be too small to be held.
fn at_quantile(quantile: f64, shape: f64, chance: f64) -> i64 {
    if quantile <= 0.0 {
        return 0;
    }
    let mut log = shape * chance.ln();
    let other = (-chance).ln_1p();
    let mut sum = 0.0;
    for units in 0..QUANTILE_MAX {
        sum += log.exp();
        if sum >= quantile {
            return units;
        }
        let units = units as f64;
        log += ((units + shape) / (units + 1.0)).ln() + other;
    }
    QUANTILE_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn prior(shape: f64, hours: f64) -> Prior {
        Prior { shape, watched_ms: hours * HOUR as f64, mean: 1.0, mean_square: 1.0 }
    }

    fn singles(takings: u64, hours: u64) -> Demand {
        Demand { takings, units: takings, squares: takings, watched_ms: hours * HOUR }
    }

    fn share(thousandths: i64) -> Decimal {
        Decimal::new(thousandths, 3)
    }

    #[test]
    fn takings_of_one_unit_give_the_exact_negative_binomial() {
        // Shape 1 in 1 hour, nothing seen: geometric. P(N <= n) = 1 - (w / (w + 1))^(n + 1); for w = 1 h: 1/2, 3/4, 7/8 …
        for (thousandths, units) in [(500, 0), (501, 1), (750, 1), (751, 2), (875, 2), (990, 6), (999, 9)] {
            assert_eq!(quantile(share(thousandths), &prior(1.0, 1.0), &Demand::default(), HOUR), units, "{thousandths}");
        }
        // Shape 3 in 3 hours with one hour's window: p = 3/4; chances 27/64, 81/256, 81/512 …: sums .4219 .7383 .8965 .9624
        for (thousandths, units) in [(421, 0), (422, 1), (738, 1), (739, 2), (896, 2), (897, 3), (962, 3), (963, 4)] {
            assert_eq!(quantile(share(thousandths), &prior(1.0, 1.0), &singles(2, 2), HOUR), units, "{thousandths}");
        }
    }

    #[test]
    fn with_much_seen_it_is_poisson() {
        // A rate of 2 an hour, known well: P(N <= 4) = .9473, P(N <= 5) = .9834, P(N <= 6) = .9955.
        let demand = singles(2_000_000, 1_000_000);
        for (thousandths, units) in [(947, 4), (948, 5), (983, 5), (984, 6), (995, 6), (996, 7)] {
            assert_eq!(quantile(share(thousandths), &prior(1.0, 1.0), &demand, HOUR), units, "{thousandths}");
        }
    }

    #[test]
    fn takings_of_many_units_spread_wider_around_the_same_mean() {
        // The same 1,000 units in 1,000 hours, singly and by the dozen.
        let (single, dozens) =
            (singles(1_000, 1_000), Demand { takings: 83, units: 996, squares: 11_952, watched_ms: 1_000 * HOUR });
        let of = |demand| quantile(share(990), &prior(0.1, 1.0), demand, 10 * HOUR);
        assert_eq!(of(&single), 18);
        // By the dozen, P(at most 3 of them | .83 expected) = .9906, so 36 units would do: the matched one errs upwards.
        assert_eq!(of(&dozens), 50);
    }

    #[test]
    fn mean_and_variance_are_the_compound_ones() {
        let demand = Demand { takings: 4, units: 10, squares: 30, watched_ms: 3 * HOUR };
        let prior = Prior { shape: 2.0, watched_ms: 2.0 * HOUR as f64, mean: 1.5, mean_square: 3.0 };
        // Posterior: shape 6 in 5 hours; units 13, squares 36, by taking 13/6 and 6. Window 2 h: N has mean 12/5 and variance
        // 12/5 (1 + 2/5); the sum has mean 26/5 and variance 12/5 (6 - 169/36) + 12/5 · 7/5 · 169/36 = 18.9066…
        let (shape, chance) = expected(&prior, &demand, 2 * HOUR).unwrap();
        let mean = shape * (1.0 - chance) / chance;
        assert!((mean - 5.2).abs() < 1e-9, "{mean}");
        let variance = mean / chance;
        let stated = 2.4 * (6.0 - 169.0 / 36.0) + 2.4 * 1.4 * 169.0 / 36.0;
        assert!((variance - stated).abs() < 1e-9, "{variance} is not {stated}");
    }

    #[test]
    fn nothing_expected_and_everything_expected_are_bounded() {
        assert_eq!(quantile(share(999), &Prior::STILL, &Demand::default(), HOUR), 0);
        assert_eq!(quantile(share(999), &prior(1.0, 1.0), &Demand::default(), 0), 0);
        assert_eq!(quantile(share(0), &prior(1.0, 1.0), &singles(50, 1), HOUR), 0);
        assert_eq!(quantile(share(1_000), &prior(1.0, 1.0), &singles(50, 1), HOUR), QUANTILE_MAX);
        assert_eq!(quantile(share(500), &prior(1.0, 1.0), &singles(90_000, 1), HOUR), QUANTILE_MAX);
        let nonsense = Prior { shape: f64::NAN, watched_ms: f64::NAN, mean: f64::NAN, mean_square: f64::NAN };
        assert_eq!(quantile(share(999), &nonsense, &singles(1, 1), HOUR), 0);
        let most = Demand { takings: u64::MAX, units: u64::MAX, squares: u64::MAX, watched_ms: u64::MAX };
        assert!((0..=QUANTILE_MAX).contains(&quantile(share(999), &prior(1.0, 1.0), &most, u64::MAX)));
    }

    #[test]
    fn only_what_own_orders_do_not_explain_is_counted() {
        let mut demand = Demand::default();
        for (units, own) in [(5, 2), (2, 2), (1, 3), (-4, 0), (1, 0)] {
            demand.drop(units, own);
        }
        assert_eq!((demand.takings, demand.units, demand.squares), (2, 4, 10));
    }

    #[test]
    fn the_range_gives_its_rate_and_how_much_its_skus_differ() {
        let alike: Vec<Demand> = (0..100).map(|_| singles(10, 10)).collect();
        let prior = Prior::of_range(alike.iter());
        assert!((prior.shape / prior.watched_ms * HOUR as f64 - 1.0).abs() < 1e-9);
        assert_eq!(prior.shape, SHAPE.1);
        // Half take nothing, half 20: mean 10, variance 100, of which chance explains 10; 10²/90 is the shape.
        let apart: Vec<Demand> = (0..100).map(|n| singles(if n % 2 == 0 { 0 } else { 20 }, 10)).collect();
        let prior = Prior::of_range(apart.iter());
        assert!((prior.shape - 100.0 / 90.0).abs() < 1e-9, "{}", prior.shape);
        assert!((prior.shape / prior.watched_ms * HOUR as f64 - 1.0).abs() < 1e-9);
        // One in ten thousand takes everything: more uneven than a prior may be.
        let uneven: Vec<Demand> = (0..10_000).map(|n| singles(if n == 0 { 10_000 } else { 0 }, 10)).collect();
        assert_eq!(Prior::of_range(uneven.iter()).shape, SHAPE.0);
        let bulk = [Demand { takings: 2, units: 6, squares: 20, watched_ms: HOUR }];
        let prior = Prior::of_range(bulk.iter());
        assert_eq!((prior.mean, prior.mean_square), (3.0, 10.0));
        assert_eq!(Prior::of_range([].iter()), Prior::STILL);
    }
}
