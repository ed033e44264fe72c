//! What holds of every explanation, whatever the document.

use jiff::Timestamp;
use proptest::prelude::*;
use rust_decimal::Decimal;

use super::{Base, Explanation, Finding, Of, Policy, Shares, explain};
use crate::{
    Currency, ExternalId, Kind, Money, Rounding, Sku,
    compare::Cause,
    records::{Named, TaxMode, Totals},
    statement::{Amounts, Entry, EntryLine, Facet},
    tax::{TaxPolicy, TaxRule, Taxed, rates::RateBook},
};

/// What a line is made of: units, the price of one in cents, the rate in tenths of a percent.
type Made = (i64, i64, i64);

pub(super) fn eur(minor: i64) -> Money {
    Money::from_minor(minor, Currency::from_code("EUR").unwrap())
}

fn minor(value: Decimal) -> i64 {
    use rust_decimal::prelude::ToPrimitive;
    (value * Decimal::ONE_HUNDRED).to_i64().unwrap()
}

/// The document as a tax rule makes it: lines rounded by themselves, the total by the rule.
pub(super) fn document(lines: &[Made], shipping: Option<(i64, i64)>, rule: TaxRule, quoted_with_tax: bool) -> Entry {
    let taxed = |quantity: i64, price: i64, rate: i64| Taxed {
        amounts: vec![Decimal::new(price, 2); usize::try_from(quantity).unwrap()],
        rate: Decimal::new(rate, 1),
    };
    let mut all: Vec<Taxed> = lines.iter().map(|(quantity, price, rate)| taxed(*quantity, *price, *rate)).collect();
    all.extend(shipping.map(|(price, rate)| taxed(1, price, rate)));
    let whole = rule.sums(&all).unwrap();
    let mut entry = Entry::bare(Kind::Order, ExternalId::new("1"), Timestamp::UNIX_EPOCH);
    entry.on = Some(jiff::civil::date(2026, 2, 3));
    entry.currency = Currency::from_code("EUR");
    entry.tax_mode = Some(if quoted_with_tax { TaxMode::Included } else { TaxMode::Added });
    for (index, ((quantity, price, rate), taxed)) in lines.iter().zip(&all).enumerate() {
        let own = rule.sums(std::slice::from_ref(taxed)).unwrap();
        entry.lines.push(EntryLine {
            sku: Sku::new(format!("S{index}")),
            quantity: *quantity,
            unit: (!quoted_with_tax).then(|| Decimal::new(*price, 2)),
            net: Some(eur(minor(own.net))),
            tax: Some(eur(minor(own.tax))),
            rate: Some(Decimal::new(*rate, 1)),
            component: false,
        });
    }
    if let (Some((_, rate)), Some(taxed)) = (shipping, all.last()) {
        let own = rule.sums(std::slice::from_ref(taxed)).unwrap();
        entry.shipping = Some(Amounts { net: eur(minor(own.net)), tax: eur(minor(own.tax)), rate: Some(Decimal::new(rate, 1)) });
    }
    entry.totals = Some(Totals { net: eur(minor(whole.net)), tax: eur(minor(whole.tax)), gross: eur(minor(whole.gross)) });
    entry.with(Facet::Country, Some(Named { id: "SE".into(), name: "SE".into() }))
}

pub(super) fn rule(policy: TaxPolicy, rounding: Rounding, prices_include_tax: bool) -> TaxRule {
    TaxRule { policy, rounding, unit: Decimal::new(1, 2), prices_include_tax }
}

/// The same without what it says of tax by line and rate.
pub(super) fn totals_only(mut entry: Entry) -> Entry {
    for line in &mut entry.lines {
        (line.tax, line.rate) = (None, None);
    }
    if let Some(shipping) = entry.shipping.as_mut() {
        shipping.rate = None;
    }
    entry
}

fn check(ours: &Entry, theirs: &Entry, policy: Policy) -> Result<(), TestCaseError> {
    let findings = explain(ours, theirs, &RateBook::default());
    if differ(ours, theirs) {
        prop_assert_eq!(findings.len(), 1, "{:#?}", findings);
        prop_assert_eq!(findings[0].cause, Cause::TaxRounding);
        let Explanation::Rounding { fits, ours } = &findings[0].explanation else {
            return Err(TestCaseError::fail(format!("{policy:?} is told as {findings:#?}")));
        };
        prop_assert!(fits.contains(&policy), "{policy:?} is not among {fits:#?}");
        prop_assert!(ours.is_some_and(|ours| !fits.contains(&ours)));
    } else {
        prop_assert_eq!(findings, []);
    }
    Ok(())
}

fn differ(ours: &Entry, theirs: &Entry) -> bool {
    let told = |entry: &Entry| entry.lines.iter().map(|line| (line.net, line.tax)).collect::<Vec<_>>();
    let lines = told(ours)
        .into_iter()
        .zip(told(theirs))
        .any(|((net, tax), (their_net, their_tax))| net != their_net || (their_tax.is_some() && tax != their_tax));
    let charge = |entry: &Entry| entry.shipping.map(|charge| (charge.net, charge.tax));
    lines || charge(ours) != charge(theirs) || ours.totals != theirs.totals
}

const SCOPES: [TaxPolicy; 4] = [TaxPolicy::Unit, TaxPolicy::Line, TaxPolicy::Document, TaxPolicy::Whole];
const ROUNDINGS: [Rounding; 5] = [Rounding::HalfUp, Rounding::HalfEven, Rounding::HalfDown, Rounding::Up, Rounding::Down];

fn made() -> impl Strategy<Value = Vec<Made>> {
    proptest::collection::vec((1_i64..6, 100_i64..30_000, proptest::sample::select(vec![250_i64, 120, 60, 255, 81])), 1..8)
}

fn shipping() -> impl Strategy<Value = Option<(i64, i64)>> {
    proptest::option::of((100_i64..2_000, proptest::sample::select(vec![250_i64, 120])))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_policy_of_the_target_is_among_the_fits(lines in made(), shipping in shipping(), included: bool) {
        let ours = document(&lines, shipping, rule(TaxPolicy::Line, Rounding::HalfUp, included), included);
        for scope in SCOPES {
            for rounding in ROUNDINGS {
                let base = if included { Base::Gross } else { Base::Net };
                let policy = Policy { of: Of::Tax, scope, rounding, base, shares: Shares::Alone };
                let theirs = document(&lines, shipping, rule(scope, rounding, included), included);
                check(&ours, &theirs, policy)?;
                // A target that keeps tax by document alone.
                if theirs.totals != ours.totals && (!included || scope == TaxPolicy::Line) {
                    check(&ours, &totals_only(theirs), policy)?;
                }
            }
        }
    }

    #[test]
    fn the_way_of_the_source_does_not_matter(lines in made(), ours in 0_usize..20, theirs in 0_usize..20) {
        let of = |at: usize| rule(SCOPES[at / 5], ROUNDINGS[at % 5], false);
        let (one, other) = (document(&lines, None, of(ours), false), document(&lines, None, of(theirs), false));
        let policy = Policy {
            of: Of::Tax, scope: SCOPES[theirs / 5], rounding: ROUNDINGS[theirs % 5], base: Base::Net, shares: Shares::Alone,
        };
        check(&one, &other, policy)?;
    }

    #[test]
    fn tax_worked_out_again_from_rounded_nets(lines in made(), at in 0_usize..20) {
        let ours = document(&lines, None, rule(TaxPolicy::Line, Rounding::HalfUp, true), true);
        let mut theirs = ours.clone();
        let rule = rule(SCOPES[at / 5], ROUNDINGS[at % 5], false);
        let taxed = |line: &EntryLine| {
            let (net, units) = (line.net.unwrap(), usize::try_from(line.quantity).unwrap());
            // A price that is no whole number of cents would be blurred here by the division.
            let by_unit = rule.policy == TaxPolicy::Unit && net.minor() % line.quantity == 0;
            let amounts = if by_unit { vec![eur(net.minor() / line.quantity).decimal(); units] } else { vec![net.decimal()] };
            (by_unit || rule.policy != TaxPolicy::Unit).then_some(Taxed { amounts, rate: line.rate.unwrap() })
        };
        let whole: Option<Vec<Taxed>> = ours.lines.iter().map(taxed).collect();
        prop_assume!(whole.is_some());
        let whole = whole.unwrap();
        for (line, taxed) in theirs.lines.iter_mut().zip(&whole) {
            line.tax = Some(eur(minor(rule.sums(std::slice::from_ref(taxed)).unwrap().tax)));
        }
        let tax = minor(rule.sums(&whole).unwrap().tax);
        let net = ours.totals.unwrap().net.minor();
        theirs.totals = Some(Totals { net: eur(net), tax: eur(tax), gross: eur(net + tax) });
        let policy = Policy { of: Of::Tax, scope: rule.policy, rounding: rule.rounding, base: Base::Net, shares: Shares::Alone };
        check(&ours, &theirs, policy)?;
    }

    #[test]
    fn a_cent_that_no_policy_gives_is_never_called_rounding(lines in made(), at in 0_usize..8, cents in prop_oneof![-40_i64..-1, 2_i64..40]) {
        let ours = document(&lines, None, rule(TaxPolicy::Line, Rounding::HalfUp, false), false);
        let mut theirs = ours.clone();
        let at = at % lines.len();
        let tax = theirs.lines[at].tax.unwrap();
        // Two steps and more off on one line, the others as they are: no rounding does that where a unit alone is taxed.
        let many = lines.iter().map(|line| line.0).max().unwrap_or(1);
        let off = cents * many;
        theirs.lines[at].tax = Some(eur(tax.minor() + off));
        let totals = ours.totals.unwrap();
        theirs.totals = Some(Totals { tax: eur(totals.tax.minor() + off), gross: eur(totals.gross.minor() + off), ..totals });
        let findings = explain(&ours, &theirs, &RateBook::default());
        prop_assert!(!findings.is_empty());
        prop_assert!(findings.iter().all(|finding| finding.cause != Cause::TaxRounding), "{findings:#?}");
        prop_assert!(findings.iter().all(|finding| !matches!(finding.explanation, Explanation::Rounding { .. })), "{findings:#?}");
    }

    #[test]
    fn an_edited_price_is_an_edit_and_its_tax_follows(lines in made(), at in 0_usize..8, off in prop_oneof![-90_i64..-20, 20_i64..900]) {
        let ours = document(&lines, Some((990, 250)), rule(TaxPolicy::Line, Rounding::HalfUp, false), false);
        let mut edited = lines.clone();
        let at = at % lines.len();
        edited[at].1 += off;
        let theirs = document(&edited, Some((990, 250)), rule(TaxPolicy::Line, Rounding::HalfUp, false), false);
        let findings = explain(&ours, &theirs, &RateBook::default());
        prop_assert_eq!(findings.len(), 1, "{:#?}", findings);
        prop_assert!(matches!(findings[0].explanation, Explanation::Price { .. }), "{:#?}", findings);
        prop_assert_eq!(&findings[0].paths[0], &format!("lines[{at}].net"));
        prop_assert_eq!(findings[0].actual.minor() - findings[0].expected.minor(), off * lines[at].0);
    }

    #[test]
    fn another_rate_is_named_and_never_called_rounding(
        lines in proptest::collection::vec((1_i64..6, 2_000_i64..30_000, Just(250_i64)), 1..8),
        rate in proptest::sample::select(vec![0_i64, 60, 120, 190, 200, 210, 220, 230, 255]),
        included: bool,
        told: bool,
        stated: bool,
    ) {
        let ours = document(&lines, Some((990, 250)), rule(TaxPolicy::Line, Rounding::HalfUp, included), included);
        let other: Vec<Made> = lines.iter().map(|(quantity, price, _)| (*quantity, *price, rate)).collect();
        let mut theirs = document(&other, Some((990, 250)), rule(TaxPolicy::Line, Rounding::HalfUp, included), included);
        if !stated {
            theirs.lines.iter_mut().for_each(|line| line.rate = None);
        }
        let theirs = if told || included { theirs } else { totals_only(theirs) };
        let findings = explain(&ours, &theirs, &RateBook::default());
        prop_assert_eq!(findings.len(), 1, "{:#?}", findings);
        prop_assert_eq!(findings[0].cause, Cause::TaxRate);
        let rates = |explanation: &Explanation| match explanation {
            Explanation::Rate { theirs, .. } => Some(*theirs),
            _ => None,
        };
        let named: Vec<Decimal> = std::iter::once(&findings[0].explanation).chain(&findings[0].also).filter_map(rates).collect();
        prop_assert!(named.contains(&Decimal::new(rate, 1).normalize()), "{rate}: {findings:#?}");
    }

    #[test]
    fn two_currencies_are_never_compared(lines in made()) {
        let ours = document(&lines, None, rule(TaxPolicy::Line, Rounding::HalfUp, false), false);
        let theirs = serde_json::to_string(&document(&lines, None, rule(TaxPolicy::Document, Rounding::Up, false), false)).unwrap();
        let theirs: Entry = serde_json::from_str(&theirs.replace("EUR", "SEK")).unwrap();
        prop_assert_eq!(explain(&ours, &theirs, &RateBook::default()), Vec::<Finding>::new());
        // A stray amount of another currency spoils the document as well.
        let mut stray = ours.clone();
        stray.lines[0].net = Some(Money::from_minor(1, Currency::from_code("SEK").unwrap()));
        prop_assert_eq!(explain(&ours, &stray, &RateBook::default()), Vec::<Finding>::new());
    }

    #[test]
    fn every_amount_that_differs_is_in_one_finding_and_no_other_is(
        lines in made(), edits in proptest::collection::vec((0_usize..8, any::<bool>(), -500_i64..500), 1..5)
    ) {
        let ours = document(&lines, Some((990, 250)), rule(TaxPolicy::Line, Rounding::HalfUp, false), false);
        let mut theirs = ours.clone();
        for (at, net, off) in edits {
            let at = at % lines.len();
            let line = &mut theirs.lines[at];
            let slot = if net { &mut line.net } else { &mut line.tax };
            *slot = slot.map(|money| eur(money.minor() + off));
        }
        let mut wanted: Vec<String> = Vec::new();
        for (index, (one, other)) in ours.lines.iter().zip(&theirs.lines).enumerate() {
            wanted.extend((one.net != other.net).then(|| format!("lines[{index}].net")));
            wanted.extend((one.tax != other.tax).then(|| format!("lines[{index}].tax")));
        }
        let mut paths: Vec<String> = explain(&ours, &theirs, &RateBook::default()).into_iter().flat_map(|f| f.paths).collect();
        paths.sort();
        wanted.sort();
        prop_assert_eq!(paths, wanted);
    }
}
