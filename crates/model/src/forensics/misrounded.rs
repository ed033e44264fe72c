//! Taxes that a target works out by another policy beside nets that it was given: each is called rounding, and nothing else is.
//!
//! Their figures are made by arithmetic of this file alone, in whole steps of 10^-8 as accounts keep them.

use jiff::Timestamp;
use proptest::prelude::*;
use rust_decimal::Decimal;

use super::{Explanation, Finding, explain, laws::eur};
use crate::{
    Currency, ExternalId, Kind, Sku,
    compare::Cause,
    records::{Named, TaxMode, Totals},
    statement::{Amounts, Entry, EntryLine, Facet},
    tax::rates::RateBook,
};

const ONE: i128 = 100_000_000;
const CENT: i128 = 1_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Unit,
    Document,
    HalfEven,
    Down,
    OtherBase,
}

const WRONG: [Way; 5] = [Way::Unit, Way::Document, Way::HalfEven, Way::Down, Way::OtherBase];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    Up,
    Even,
    Down,
}

fn divide(n: i128, d: i128, half: Half) -> i128 {
    let (whole, rest) = (n / d, (n % d).abs());
    let up = match half {
        Half::Up => 2 * rest >= d,
        Half::Even => 2 * rest > d || 2 * rest == d && whole % 2 != 0,
        Half::Down => false,
    };
    if up { whole + n.signum() } else { whole }
}

/// The tax of an amount in steps, in cents. The rate is in thousandths of a percent.
fn tax(steps: i128, rate: i64, inside: bool, half: Half) -> i64 {
    let base = if inside { 100_000 + i128::from(rate) } else { 100_000 };
    i64::try_from(divide(steps * i128::from(rate), base * CENT, half)).unwrap()
}

/// One amount with its tax, in cents; below nought for what comes off.
#[derive(Clone, Debug)]
struct Taxed {
    units: i64,
    net: i64,
    tax: i64,
    rate: i64,
}

impl Taxed {
    /// Of a price in cents as it is quoted.
    fn of(units: i64, quoted: i64, rate: i64, included: bool) -> Self {
        let tax = tax(i128::from(quoted) * CENT, rate, included, Half::Up);
        Self { units, net: if included { quoted - tax } else { quoted }, tax, rate }
    }
}

/// The taxes as a target makes them, in their order.
fn worked_out(all: &[Taxed], way: Way, inside: bool) -> Vec<i64> {
    let inside = if way == Way::OtherBase { !inside } else { inside };
    let base = |one: &Taxed| i128::from(if inside { one.net + one.tax } else { one.net }) * CENT;
    let each = |one: &Taxed| match way {
        Way::OtherBase | Way::Document => tax(base(one), one.rate, inside, Half::Up),
        Way::HalfEven => tax(base(one), one.rate, inside, Half::Even),
        Way::Down => tax(base(one), one.rate, inside, Half::Down),
        Way::Unit => {
            let unit = divide(base(one) * ONE, i128::from(one.units) * ONE, Half::Up);
            tax(unit, one.rate, inside, Half::Up) * one.units
        }
    };
    let mut taxes: Vec<i64> = all.iter().map(each).collect();
    if way == Way::Document {
        let rates: std::collections::BTreeSet<i64> = all.iter().map(|one| one.rate).collect();
        for rate in rates {
            let places: Vec<usize> = (0..all.len()).filter(|at| all[*at].rate == rate).collect();
            let whole = tax(places.iter().map(|at| base(&all[*at])).sum(), rate, inside, Half::Up);
            let parts: i64 = places.iter().map(|at| taxes[*at]).sum();
            let largest = places.into_iter().max_by_key(|at| taxes[*at].abs()).unwrap();
            taxes[largest] += whole - parts;
        }
    }
    taxes
}

/// An order: lines of units and what they come to as quoted, with a rate; then discount, shipping and handling as quoted.
#[derive(Clone, Debug)]
struct Made {
    included: bool,
    lines: Vec<(i64, i64, i64)>,
    discount: i64,
    shipping: i64,
    handling: i64,
}

impl Made {
    /// Lines, handling, discount, shipping: as such a document has them.
    fn taxed(&self) -> Vec<Taxed> {
        let most = self.lines.iter().map(|line| line.2).max().unwrap();
        let line = |(units, quoted, rate): &(i64, i64, i64)| Taxed::of(*units, *quoted, *rate, self.included);
        let beside = [self.handling, -self.discount, self.shipping];
        self.lines.iter().map(line).chain(beside.map(|quoted| Taxed::of(1, quoted, most, self.included))).collect()
    }

    /// As the shop's side tells it.
    fn ours(&self, all: &[Taxed]) -> Entry {
        let mut entry = told(all, self.lines.len());
        entry.tax_mode = Some(if self.included { TaxMode::Included } else { TaxMode::Added });
        for (line, one) in entry.lines.iter_mut().zip(all) {
            let quoted = if self.included { one.net + one.tax } else { one.net };
            // Without tax a price is kept to the cent, and the line may be a few cents less.
            let exact = quoted % one.units == 0 || !self.included;
            line.unit = exact.then(|| Decimal::new((quoted + one.units - 1) / one.units, 2));
        }
        if let Some(discount) = entry.discount.as_mut() {
            discount.rate = None;
        }
        let none = |rate: i64| Some(Amounts { net: eur(0), tax: eur(0), rate: Some(Decimal::new(rate, 3)) });
        let most = all.last().unwrap().rate;
        entry.shipping = entry.shipping.or(none(most));
        entry.handling = entry.handling.or(none(most));
        entry
    }

    /// As the books tell it, with these taxes.
    fn theirs(&self, all: &[Taxed], taxes: &[i64]) -> Entry {
        let all: Vec<Taxed> = all.iter().zip(taxes).map(|(one, tax)| Taxed { tax: *tax, ..one.clone() }).collect();
        let mut entry = told(&all, self.lines.len());
        entry.tax_mode = Some(TaxMode::Added);
        for (line, one) in entry.lines.iter_mut().zip(&all) {
            line.unit = Some((Decimal::new(one.net, 2) / Decimal::from(one.units)).round_dp(8));
        }
        entry
    }
}

fn told(all: &[Taxed], lines: usize) -> Entry {
    let mut entry = Entry::bare(Kind::Order, ExternalId::new("1"), Timestamp::UNIX_EPOCH);
    entry.on = Some(jiff::civil::date(2026, 2, 3));
    entry.currency = Currency::from_code("EUR");
    for (index, one) in all.iter().take(lines).enumerate() {
        entry.lines.push(EntryLine {
            sku: Sku::new(format!("S{index}")),
            quantity: one.units,
            unit: None,
            net: Some(eur(one.net)),
            tax: Some(eur(one.tax)),
            rate: Some(Decimal::new(one.rate, 3)),
            component: false,
        });
    }
    let beside = |at: usize, sign: i64| {
        let one = &all[lines + at];
        let rate = Some(Decimal::new(one.rate, 3));
        (one.net != 0).then(|| Amounts { net: eur(sign * one.net), tax: eur(sign * one.tax), rate })
    };
    (entry.handling, entry.discount, entry.shipping) = (beside(0, 1), beside(1, -1), beside(2, 1));
    let (net, tax) = (all.iter().map(|one| one.net).sum::<i64>(), all.iter().map(|one| one.tax).sum::<i64>());
    entry.totals = Some(Totals { net: eur(net), tax: eur(tax), gross: eur(net + tax) });
    entry.with(Facet::Country, Some(Named { id: "SE".into(), name: "SE".into() }))
}

fn made() -> impl Strategy<Value = Made> {
    let rates = proptest::sample::select(vec![
        vec![25_000_i64],
        vec![8_250],
        vec![19_000],
        vec![21_000],
        vec![25_000, 12_000],
        vec![19_000, 7_000],
        vec![20_000, 5_500],
        vec![8_250, 6_000],
    ]);
    let line = (1_i64..=6, 100_i64..30_000, any::<prop::sample::Index>(), 0_i64..4);
    (rates, proptest::collection::vec(line, 1..=5), any::<bool>(), 0_i64..2_000, 0_i64..2_000, 0_i64..400).prop_map(
        |(rates, lines, included, discount, shipping, handling)| Made {
            included,
            lines: lines
                .into_iter()
                .map(|(units, price, rate, off)| {
                    (units, units * price - if off == 3 { units / 2 } else { 0 }, rates[rate.index(rates.len())])
                })
                .collect(),
            // Half of them have none.
            discount: if discount % 2 == 0 { 0 } else { discount.min(90) },
            shipping: if shipping % 2 == 0 { 0 } else { shipping },
            handling: if handling % 2 == 0 { 0 } else { handling },
        },
    )
}

fn is_rounding(finding: &Finding) -> bool {
    finding.cause == Cause::TaxRounding && matches!(finding.explanation, Explanation::Rounding { .. })
}

/// Of one cent that nothing explains the cause is that of a rounding: no reason is told.
fn is_told_as_rounding(finding: &Finding) -> bool {
    matches!(finding.explanation, Explanation::Rounding { .. })
}

/// Whether each of these is what whole steps of a unit or a line may be, from either base.
fn within_reach(one: &Taxed, told: i64) -> bool {
    [(one.net, 0), (one.net + one.tax, one.rate)].into_iter().any(|(base, inside)| {
        let unit = Decimal::from(base) * Decimal::from(one.rate) / Decimal::from(100_000 + inside) / Decimal::from(one.units);
        let slack = Decimal::new(1, 1);
        let units = Decimal::from(one.units);
        ((unit - slack).floor() * units..=(unit + slack).ceil() * units).contains(&Decimal::from(told))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_policy_beside_nets_that_stand_is_rounding(made in made()) {
        let all = made.taxed();
        let ours = made.ours(&all);
        let right: Vec<i64> = all.iter().map(|one| one.tax).collect();
        for way in WRONG {
            for inside in [false, true] {
                let taxes = worked_out(&all, way, inside);
                let theirs = made.theirs(&all, &taxes);
                let findings = explain(&ours, &theirs, &RateBook::default());
                if taxes == right {
                    prop_assert_eq!(findings, [], "{:?}, inside {}", way, inside);
                } else {
                    prop_assert!(
                        findings.len() == 1 && is_rounding(&findings[0]),
                        "{way:?}, inside {inside}: {right:?} -> {taxes:?}\n{findings:#?}"
                    );
                    prop_assert!(findings[0].paths.iter().any(|path| path.ends_with("tax")));
                }
            }
        }
    }

    #[test]
    fn a_tax_edited_by_some_euros_is_never_rounding(made in made(), at: prop::sample::Index, by in 203_i64..897) {
        let all = made.taxed();
        let taxed: Vec<usize> = (0..all.len()).filter(|at| all[*at].tax != 0).collect();
        prop_assume!(!taxed.is_empty());
        let mut taxes: Vec<i64> = all.iter().map(|one| one.tax).collect();
        let at = taxed[at.index(taxed.len())];
        taxes[at] += by * taxes[at].signum();
        let findings = explain(&made.ours(&all), &made.theirs(&all, &taxes), &RateBook::default());
        prop_assert!(!findings.is_empty());
        prop_assert!(!findings.iter().any(|finding| is_told_as_rounding(finding) || finding.cause == Cause::TaxRounding), "{at} by {by}: {findings:#?}");
    }

    #[test]
    fn a_cent_that_no_policy_gives_is_never_rounding(made in made()) {
        let all = made.taxed();
        let ours = made.ours(&all);
        for (at, by) in (0..made.lines.len() - 1).flat_map(|at| [(at, -1), (at, 1)]) {
            let mut taxes: Vec<i64> = all.iter().map(|one| one.tax).collect();
            taxes[at] += by;
            // Who takes a rest may take any: the last or the largest of a rate.
            let alike = |one: &&Taxed| one.rate == all[at].rate;
            let takes_rest = !all[at + 1..made.lines.len()].iter().any(|one| alike(&one))
                || all.iter().filter(alike).all(|one| one.tax.abs() <= all[at].tax.abs() + 1);
            if takes_rest || within_reach(&all[at], taxes[at]) {
                continue;
            }
            let findings = explain(&ours, &made.theirs(&all, &taxes), &RateBook::default());
            prop_assert!(!findings.is_empty());
            prop_assert!(!findings.iter().any(is_told_as_rounding), "{findings:#?}");
        }
    }

    /// Where no tax is between two cents no policy has anything to round.
    #[test]
    fn a_cent_off_what_is_exact_is_never_rounding(
        lines in proptest::collection::vec((1_i64..=6, 1_i64..3_000), 1..=5),
        shipping in 0_i64..200,
        included: bool,
        at: prop::sample::Index,
        more: bool,
    ) {
        // At 25 % a price of whole multiples of 20 cents is exact with and without tax.
        let lines = lines.into_iter().map(|(units, price)| (units, units * price * 20, 25_000)).collect();
        let made = Made { included, lines, discount: 20, shipping: shipping * 20, handling: 40 };
        let all = made.taxed();
        let mut taxes: Vec<i64> = all.iter().map(|one| one.tax).collect();
        taxes[at.index(made.lines.len())] += if more { 1 } else { -1 };
        let findings = explain(&made.ours(&all), &made.theirs(&all, &taxes), &RateBook::default());
        prop_assert!(!findings.is_empty());
        prop_assert!(!findings.iter().any(is_told_as_rounding), "{findings:#?}");
    }
}

#[test]
fn twenty_lines_with_a_discount_take_little_time() {
    let lines = (0..20).map(|at| (1 + at % 6, 1_037 + 731 * at, [25_000, 12_000][usize::from(at % 3 == 0)])).collect();
    let made = Made { included: true, lines, discount: 89, shipping: 990, handling: 150 };
    let all = made.taxed();
    let ours = made.ours(&all);
    let mut edited: Vec<i64> = all.iter().map(|one| one.tax).collect();
    edited[7] += 437;
    let book = RateBook::default();
    for taxes in [worked_out(&all, Way::Down, true), worked_out(&all, Way::Unit, false), edited] {
        let theirs = made.theirs(&all, &taxes);
        let best = (0..20).map(|_| {
            let start = std::time::Instant::now();
            assert!(!explain(&ours, &theirs, &book).is_empty());
            start.elapsed()
        });
        let best = best.min().unwrap();
        println!("{best:?}");
        // Without optimisation, on a machine that is shared: the aim is one millisecond.
        assert!(best < std::time::Duration::from_millis(60), "{best:?}");
    }
}
