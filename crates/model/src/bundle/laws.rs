//! What holds of bundles whatever they are made of and whatever they cost.

use proptest::{prelude::*, sample::Index};

use super::*;
use crate::{
    Currency, Rounding,
    tax::{TaxPolicy, TaxRule, Taxed},
};

fn eur(minor: i64) -> Money {
    Money::from_minor(minor, Currency::from_code("EUR").unwrap())
}

/// A few SKUs only, so that components occur twice and in several bundles.
fn components() -> impl Strategy<Value = Vec<Component>> {
    let component = (0_u32..6, 1_u32..5, 0_i64..30_000).prop_map(|(sku, units, weight)| Component {
        sku: Sku::new(format!("S{sku}")),
        units,
        weight: Decimal::new(weight, 2),
    });
    let free = (0_u32..6, 1_u32..5).prop_map(|(sku, units)| Component {
        sku: Sku::new(format!("S{sku}")),
        units,
        weight: Decimal::ZERO,
    });
    proptest::collection::vec(prop_oneof![4 => component, 1 => free], 1..7)
}

/// What a line costs: units at a price, a discount, and tax at up to three rates, rounded by the line.
fn amounts() -> impl Strategy<Value = Amounts> {
    let rates = proptest::collection::vec(0_i64..2_700, 0..4);
    (0_i64..500_000, 0_i64..=100, rates).prop_map(|(price, off_percent, rates)| {
        let discount = price * off_percent / 100;
        let net = eur(price - discount);
        let tax = |rate: i64| {
            let rate = Decimal::new(rate, 2);
            let rule = TaxRule {
                policy: TaxPolicy::Line,
                rounding: Rounding::HalfUp,
                unit: Decimal::new(1, 2),
                prices_include_tax: false,
            };
            let tax = rule.sums(&[Taxed { amounts: vec![net.decimal()], rate }]).unwrap().tax;
            TaxLine { name: rate.to_string(), rate, amount: Money::exact(tax, net.currency()).unwrap() }
        };
        Amounts { net, discount: eur(discount), taxes: rates.into_iter().map(tax).collect() }
    })
}

fn all(amounts: &Amounts) -> Vec<Money> {
    [amounts.net, amounts.discount].into_iter().chain(amounts.taxes.iter().map(|tax| tax.amount)).collect()
}

/// The sums of net, discount and each tax line.
fn sums<'a>(many: impl IntoIterator<Item = &'a Amounts>) -> Vec<Money> {
    let mut sums: Vec<Money> = Vec::new();
    for amounts in many.into_iter().map(all) {
        if sums.is_empty() {
            sums = amounts;
        } else {
            sums = sums.into_iter().zip(amounts).map(|(sum, amount)| sum.plus(amount).unwrap()).collect();
        }
    }
    sums
}

/// The same amounts in steps: how many units go in each.
fn in_steps(whole: &Amounts, of_units: u32, cuts: &[Index]) -> Vec<Amounts> {
    let mut ends: Vec<u32> = cuts.iter().map(|cut| u32::try_from(cut.index(of_units as usize + 1)).unwrap()).collect();
    ends.push(of_units);
    ends.sort_unstable();
    let mut before = 0;
    ends.into_iter()
        .map(|end| {
            let part = whole.part(of_units, before, end - before).unwrap();
            before = end;
            part
        })
        .collect()
}

proptest! {
    #[test]
    fn shares_add_up_to_the_cent(components in components(), whole in amounts(), bundles in 1_u32..40) {
        let recipe = Recipe::new(components.clone()).unwrap();
        let shares = recipe.split(&whole, bundles).unwrap();
        prop_assert_eq!(sums(shares.iter().map(|share| &share.amounts)), all(&whole));
        for share in &shares {
            prop_assert!(all(&share.amounts).iter().all(|amount| !amount.is_negative()), "{share:?}");
            prop_assert_eq!(share.amounts.price().unwrap().minus(share.amounts.discount).unwrap(), share.amounts.net);
        }
        let units: u32 = components.iter().map(|component| component.units).sum();
        prop_assert_eq!(shares.iter().map(|share| share.units).sum::<u32>(), units * bundles);
    }

    #[test]
    fn the_order_of_the_components_changes_nothing(components in components(), whole in amounts(), turn: Index) {
        let recipe = Recipe::new(components.clone()).unwrap();
        let mut turned = components;
        let by = turn.index(turned.len());
        turned.rotate_left(by);
        turned.reverse();
        let other = Recipe::new(turned).unwrap();
        prop_assert_eq!(recipe.version(), other.version());
        prop_assert_eq!(recipe.split(&whole, 3).unwrap(), other.split(&whole, 3).unwrap());
    }

    #[test]
    fn partial_shipments_and_returns_add_up(
        components in components(),
        whole in amounts(),
        bundles in 1_u32..10,
        shipped: Vec<Index>,
        returned: Vec<Index>,
    ) {
        let recipe = Recipe::new(components).unwrap();
        let mut parts = Vec::new();
        for share in recipe.split(&whole, bundles).unwrap() {
            let steps = in_steps(&share.amounts, share.units, &shipped);
            prop_assert!(steps.iter().flat_map(all).all(|amount| !amount.is_negative()));
            // All that was shipped comes back, in other steps: what is paid back is what was paid.
            let back = in_steps(&share.amounts, share.units, &returned);
            prop_assert_eq!(sums(&back), all(&share.amounts));
            parts.extend(steps);
        }
        prop_assert_eq!(sums(&parts), all(&whole));
        // Bundle by bundle, too.
        prop_assert_eq!(sums(&in_steps(&whole, bundles, &shipped)), all(&whole));
    }

    #[test]
    fn a_part_is_within_a_cent_of_the_exact_one(total in -5_000_000_i64..5_000_000, before in 0_u32..50, now in 0_u32..50, after in 1_u32..50) {
        let of_units = before + now + after;
        let part = part(eur(total), of_units, before, now).unwrap();
        let exact = eur(total).decimal() * Decimal::from(now) / Decimal::from(of_units);
        prop_assert!((part.decimal() - exact).abs() <= Decimal::new(1, 2), "{part} of {exact}");
        let mirrored = super::part(eur(-total), of_units, before, now).unwrap();
        prop_assert_eq!(mirrored, part.negated().unwrap());
    }

    #[test]
    fn what_is_taken_apart_is_put_together_again(
        components in components(),
        bundles in 1_u32..40,
        extra in proptest::collection::vec((0_u32..9, 0_u32..20), 0..5),
        turn: Index,
    ) {
        let recipe = Recipe::new(components).unwrap();
        let nothing = Amounts { net: eur(0), discount: eur(0), taxes: Vec::new() };
        let taken: Vec<(Sku, u32)> =
            recipe.split(&nothing, bundles).unwrap().into_iter().map(|share| (share.sku, share.units)).collect();
        prop_assert_eq!(join(&recipe, &taken), Joined { whole: u64::from(bundles), rest: Vec::new() });

        // With more beside it, no unit is lost either, in whatever order they are told.
        let mut units = taken;
        units.extend(extra.into_iter().map(|(sku, units)| (Sku::new(format!("S{sku}")), units)));
        let joined = join(&recipe, &units);
        prop_assert!(joined.whole >= u64::from(bundles));
        let in_one: u64 = recipe.components().iter().map(|component| u64::from(component.units)).sum();
        let left: u64 = joined.rest.iter().map(|(_, units)| units).sum();
        prop_assert_eq!(joined.whole * in_one + left, units.iter().map(|(_, units)| u64::from(*units)).sum::<u64>());
        let by = turn.index(units.len());
        units.rotate_left(by);
        prop_assert_eq!(join(&recipe, &units), joined);
    }

    #[test]
    fn lines_that_share_components_lose_nothing(one in components(), other in components(), wanted in 0_u32..5, units in proptest::collection::vec((0_u32..6, 0_u32..30), 0..8)) {
        let (one, other) = (Recipe::new(one).unwrap(), Recipe::new(other).unwrap());
        let units: Vec<(Sku, u32)> = units.into_iter().map(|(sku, units)| (Sku::new(format!("S{sku}")), units)).collect();
        let (whole, rest) = join_each(&[(&one, wanted), (&other, wanted)], &units);
        prop_assert!(whole.iter().all(|whole| *whole <= u64::from(wanted)));
        let mut back = counted(&[]);
        for (recipe, whole) in [&one, &other].into_iter().zip(&whole) {
            for component in recipe.components() {
                *back.entry(component.sku.clone()).or_default() += whole * u64::from(component.units);
            }
        }
        for (sku, units) in rest {
            *back.entry(sku).or_default() += units;
        }
        prop_assert_eq!(listed(back), listed(counted(&units)));
    }
}
