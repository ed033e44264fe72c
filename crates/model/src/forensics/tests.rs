//! One case of each explanation, and the speed of the worst.

use std::time::{Duration, Instant};

use rust_decimal::Decimal;

use super::{
    Explanation, Finding, KnownRate, PriceChange, ShippingTax, Spread, explain,
    laws::{document, eur, rule, totals_only},
};
use crate::{
    Rounding,
    compare::Cause,
    records::Totals,
    statement::{Amounts, Entry, EntryLine, Facet},
    tax::{TaxPolicy, rates::RateBook},
};

/// Units, the price of one in cents, the rate in tenths of a percent.
const LINES: [(i64, i64, i64); 3] = [(2, 4_995, 250), (1, 12_900, 250), (3, 1_999, 120)];

fn order() -> Entry {
    document(&LINES, Some((900, 250)), rule(TaxPolicy::Line, Rounding::HalfUp, false), false)
}

/// The totals again from the parts, as they are now.
fn summed(mut entry: Entry) -> Entry {
    let parts = [entry.shipping, entry.handling].into_iter().flatten().map(|part| (part.net.minor(), part.tax.minor()));
    let lines = entry.lines.iter().map(|line| (line.net.unwrap().minor(), line.tax.map_or(0, |tax| tax.minor())));
    let (mut net, mut tax) = parts.chain(lines).fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
    if let Some(discount) = entry.discount {
        net -= discount.net.minor();
        tax -= discount.tax.minor();
    }
    entry.totals = Some(Totals { net: eur(net), tax: eur(tax), gross: eur(net + tax) });
    entry
}

fn found(ours: &Entry, theirs: &Entry) -> Vec<Finding> {
    explain(ours, theirs, &RateBook::default())
}

fn only(ours: &Entry, theirs: &Entry) -> Finding {
    let mut findings = found(ours, theirs);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    findings.remove(0)
}

fn taxed(line: &mut EntryLine, net: i64) {
    let tax = Rounding::HalfUp.to_whole(Decimal::from(net) * line.rate.unwrap() / Decimal::ONE_HUNDRED);
    line.net = Some(eur(net));
    line.tax = Some(eur(i64::try_from(tax).unwrap()));
}

#[test]
fn nothing_differs_nothing_is_found() {
    assert_eq!(found(&order(), &order()), []);
    let mut reordered = order();
    reordered.lines.reverse();
    assert_eq!(found(&order(), &reordered), []);
    assert_eq!(found(&order(), &totals_only(order())), []);
}

#[test]
fn twelve_lines_off_by_a_cent_are_one_finding() {
    let lines: Vec<(i64, i64, i64)> = (0..12).map(|_| (1, 999, 250)).collect();
    let ours = document(&lines, None, rule(TaxPolicy::Line, Rounding::HalfUp, false), false);
    let theirs = document(&lines, None, rule(TaxPolicy::Line, Rounding::Down, false), false);
    let finding = only(&ours, &theirs);
    assert_eq!((finding.cause, finding.paths.len()), (Cause::TaxRounding, 14));
    assert_eq!((finding.expected, finding.actual), (eur(3_000), eur(2_988)));
    let Explanation::Rounding { fits, ours } = &finding.explanation else { panic!("{finding:#?}") };
    assert_eq!(fits[0].name(), "tax rounded per line, truncating, from net prices");
    assert_eq!(ours.unwrap().setting(), "Round tax per line, half-up");
    assert_eq!(finding.explanation.remedy(), "Set the target to our way: Round tax per line, half-up.");
}

#[test]
fn a_rate_of_another_day_is_told_with_its_days() {
    let german = |rate, on: &str| {
        let mut entry =
            document(&[(1, 10_000, rate), (2, 2_500, rate)], None, rule(TaxPolicy::Line, Rounding::HalfUp, false), false);
        entry.facets.get_mut(&Facet::Country).unwrap().id = "DE".into();
        entry.on = Some(on.parse().unwrap());
        entry.lines.iter_mut().for_each(|line| line.rate = None);
        entry
    };
    for (ours, theirs, on, known) in [
        (160, 190, "2020-07-02", KnownRate::OldRate { until: jiff::civil::date(2020, 6, 30) }),
        (190, 160, "2020-06-29", KnownRate::NewRate { since: jiff::civil::date(2020, 7, 1) }),
        (190, 160, "2020-07-02", KnownRate::InForce),
        (190, 160, "2021-01-02", KnownRate::OldRate { until: jiff::civil::date(2020, 12, 31) }),
        (190, 70, "2026-01-02", KnownRate::Reduced),
        (190, 0, "2026-01-02", KnownRate::Zero),
        (190, 255, "2026-01-02", KnownRate::OtherCountry { countries: vec!["FI".into()] }),
    ] {
        let finding = only(&german(ours, on), &german(theirs, on));
        assert_eq!(finding.cause, Cause::TaxRate);
        let Explanation::Rate { known: told, .. } = finding.explanation else { panic!("{finding:#?}") };
        assert_eq!(told, Some(known), "{ours} {theirs} {on}");
    }
}

#[test]
fn a_discount_in_other_places() {
    let mut ours = order();
    ours.discount = Some(Amounts { net: eur(3_000), tax: eur(698), rate: None });
    let ours = summed(ours);
    let spread = |off: [i64; 3]| {
        let mut theirs = order();
        for (line, off) in theirs.lines.iter_mut().zip(off) {
            taxed(line, line.net.unwrap().minor() - off);
        }
        summed(theirs)
    };
    let full = [9_990, 12_900, 5_997];
    assert_eq!(full.iter().sum::<i64>(), 28_887);
    for (off, how) in [
        ([1_037, 1_340, 623], Spread::ByNet),
        ([1_065, 1_376, 559], Spread::Otherwise),
        ([1_000, 1_000, 1_000], Spread::Evenly),
        ([1_000, 500, 1_500], Spread::PerUnit),
        ([3_000, 0, 0], Spread::FirstLine),
        ([0, 0, 3_000], Spread::LastLine),
        ([0, 3_000, 0], Spread::DearestLine),
    ] {
        let findings = found(&ours, &spread(off));
        let how = Explanation::DiscountSpread { how };
        assert!(findings.iter().any(|f| f.explanation == how && f.cause == Cause::Discount), "{how:?}: {findings:#?}");
        assert!(findings.iter().all(|f| f.explanation != Explanation::Unexplained), "{how:?}: {findings:#?}");
    }
    // The other way round, as a line of its own, with its tax taken off the net, and after tax.
    let back = found(&spread([1_037, 1_340, 623]), &ours);
    assert!(back.iter().any(|f| f.explanation == Explanation::DiscountSpread { how: Spread::OnDocument }), "{back:#?}");
    let mut own = order();
    own.lines.push(EntryLine {
        sku: crate::Sku::new("DISCOUNT"),
        quantity: 1,
        net: Some(eur(-3_000)),
        tax: Some(eur(-698)),
        ..own.lines[0].clone()
    });
    own.lines[3].rate = None;
    let finding = found(&ours, &summed(own));
    assert_eq!(finding[0].explanation, Explanation::DiscountSpread { how: Spread::OwnLine }, "{finding:#?}");
    let mut gross = ours.clone();
    gross.discount = Some(Amounts { net: eur(3_698), tax: eur(698), rate: None });
    let finding = only(&ours, &summed(gross));
    assert_eq!(finding.explanation, Explanation::DiscountSpread { how: Spread::GrossFromNet });
    let mut after = ours.clone();
    after.discount = Some(Amounts { net: eur(3_000), tax: eur(0), rate: None });
    let finding = only(&ours, &summed(after));
    assert_eq!(finding.explanation, Explanation::DiscountSpread { how: Spread::AfterTax });
}

#[test]
fn shipping_taxed_in_other_ways() {
    let ours = order();
    // Goods: 22,890 at 25 %, 5,997 at 12 %; the average of 9.00 is 2.007.
    let mut untaxed = order();
    untaxed.shipping = Some(Amounts { net: eur(900), tax: eur(0), rate: None });
    let untaxed = summed(untaxed);
    for (ours, tax, how) in [
        (&ours, 0, ShippingTax::Zero),
        (&ours, 108, ShippingTax::LowestRate),
        (&ours, 201, ShippingTax::WeightedAverage),
        (&untaxed, 225, ShippingTax::MainRate),
    ] {
        let mut theirs = ours.clone();
        theirs.shipping = Some(Amounts { net: eur(900), tax: eur(tax), rate: None });
        let theirs = summed(theirs);
        for theirs in [theirs.clone(), totals_only(theirs)] {
            let finding = only(ours, &theirs);
            assert_eq!(finding.explanation, Explanation::ShippingTaxed { how }, "{finding:#?}");
            assert_eq!(finding.cause, Cause::Shipping);
        }
    }
    let mut inside = order();
    inside.shipping = None;
    let net = inside.lines[0].net.unwrap().minor() + 900;
    taxed(&mut inside.lines[0], net);
    let finding = only(&ours, &summed(inside));
    assert_eq!(finding.explanation, Explanation::ShippingTaxed { how: ShippingTax::InLine });
}

#[test]
fn prices_that_became_something_else() {
    let ours = order();
    for (at, net, how) in [
        (0, 12_488, PriceChange::GrossAsNet),
        (0, -9_990, PriceChange::SignFlipped),
        (0, 999_000, PriceChange::ScaledUp(100)),
        (1, 129, PriceChange::ScaledDown(100)),
        (0, 4_995, PriceChange::UnitForLine),
        (2, 17_991, PriceChange::LineForUnit),
        (1, 13_400, PriceChange::Edited),
        (1, 10_320, PriceChange::NetAsGross),
    ] {
        let mut theirs = order();
        taxed(&mut theirs.lines[at], net);
        let finding = only(&ours, &summed(theirs));
        assert_eq!(finding.explanation, Explanation::Price { how }, "{finding:#?}");
        assert_eq!(finding.paths[0], format!("lines[{at}].net"));
    }
    let mut more = order();
    more.lines[0].quantity = 3;
    taxed(&mut more.lines[0], 14_985);
    let finding = only(&ours, &summed(more));
    assert_eq!((finding.cause, &finding.explanation), (Cause::Quantity, &Explanation::Quantity { ours: 2, theirs: 3 }));
    let mut missing = order();
    missing.lines.pop();
    let finding = only(&ours, &summed(missing));
    assert_eq!((finding.cause, finding.explanation), (Cause::Missing, Explanation::OneSided));
}

#[test]
fn a_price_of_a_unit_that_is_rounded_before_it_is_multiplied() {
    let mut ours = document(&[(12, 100, 250)], None, rule(TaxPolicy::Line, Rounding::HalfUp, false), false);
    ours.lines[0].unit = Some(Decimal::new(8_333, 4));
    taxed(&mut ours.lines[0], 1_000);
    let ours = summed(ours);
    let mut theirs = ours.clone();
    taxed(&mut theirs.lines[0], 996);
    let finding = only(&ours, &summed(theirs));
    let Explanation::Price { how: PriceChange::PerUnitRounded { roundings } } = &finding.explanation else {
        panic!("{finding:#?}")
    };
    assert_eq!(roundings[0], Rounding::HalfUp);
    assert_eq!(finding.paths, ["lines[0].net", "lines[0].tax", "totals.net", "totals.tax", "totals.gross"]);
}

#[test]
fn a_single_cent_on_one_line_of_many_is_an_error() {
    let mut theirs = order();
    theirs.lines[1].tax = Some(eur(theirs.lines[1].tax.unwrap().minor() + 1));
    let finding = only(&order(), &summed(theirs));
    assert_eq!(finding.explanation, Explanation::Unexplained);
    assert_eq!(finding.paths, ["lines[1].tax", "totals.tax", "totals.gross"]);
    let mut total = order();
    let totals = total.totals.unwrap();
    total.totals = Some(Totals { gross: eur(totals.gross.minor() + 7), ..totals });
    let finding = only(&order(), &total);
    assert_eq!((finding.explanation, finding.paths), (Explanation::Unexplained, vec!["totals.gross".to_owned()]));
}

#[test]
fn lines_that_the_target_takes_together_are_no_difference() {
    let ours = document(&[(1, 1_000, 250), (2, 1_000, 250)], None, rule(TaxPolicy::Line, Rounding::HalfUp, false), false);
    let mut ours = ours;
    ours.lines[1].sku = ours.lines[0].sku.clone();
    let mut theirs = ours.clone();
    theirs.lines.pop();
    theirs.lines[0].quantity = 3;
    taxed(&mut theirs.lines[0], 3_000);
    assert_eq!(found(&ours, &theirs), []);
}

/// A document of the shop: prices with tax, a discount of the whole, shipping; tax rounded per line.
fn shop() -> Entry {
    let mut entry = document(
        &[(2, 4_997, 250), (1, 12_903, 250), (3, 1_999, 250)],
        Some((993, 250)),
        rule(TaxPolicy::Line, Rounding::HalfUp, true),
        true,
    );
    entry.discount = Some(Amounts { net: eur(2_288), tax: eur(572), rate: None });
    summed(entry)
}

/// The same at a target that quotes prices without tax and tells tax by document alone.
fn books(mut entry: Entry, tax: i64) -> Entry {
    entry.tax_mode = Some(crate::records::TaxMode::Added);
    for line in &mut entry.lines {
        line.unit = Some((line.net.unwrap().decimal() / Decimal::from(line.quantity)).round_dp(8));
        (line.tax, line.rate) = (None, None);
    }
    for charge in [&mut entry.shipping, &mut entry.discount].into_iter().flatten() {
        (charge.tax, charge.rate) = (eur(0), None);
    }
    let net = entry.totals.unwrap().net.minor();
    entry.totals = Some(Totals { net: eur(net), tax: eur(tax), gross: eur(net + tax) });
    entry
}

#[test]
fn a_target_that_tells_tax_by_document_alone() {
    let ours = shop();
    let totals = ours.totals.unwrap();
    assert_eq!(found(&ours, &books(ours.clone(), totals.tax.minor())), []);
    // Worked out again from the rounded nets, once.
    let exact = Decimal::from(totals.net.minor()) / Decimal::from(4);
    let once = i64::try_from(Rounding::HalfUp.to_whole(exact)).unwrap();
    assert_ne!(once, totals.tax.minor(), "the case must differ");
    let finding = only(&ours, &books(ours.clone(), once));
    let Explanation::Rounding { fits, .. } = &finding.explanation else { panic!("{finding:#?}") };
    assert!(fits.iter().any(|fit| fit.name() == "tax rounded once per document and rate, half-up, from net prices"), "{fits:#?}");
    assert_eq!(finding.paths, ["totals.tax", "totals.gross"]);
    // No tax at all, and that of another country.
    let finding = only(&ours, &books(ours.clone(), 0));
    assert!(
        matches!(&finding.explanation, Explanation::Rate { theirs, known: Some(KnownRate::Zero), .. } if theirs.is_zero()),
        "{finding:#?}"
    );
    let german = i64::try_from(Rounding::HalfUp.to_whole(Decimal::from(totals.net.minor()) * Decimal::new(19, 2))).unwrap();
    let finding = only(&ours, &books(ours.clone(), german));
    assert!(matches!(&finding.explanation, Explanation::Rate { theirs, .. } if *theirs == Decimal::from(19)), "{finding:#?}");
    // The discount taken off after tax.
    let finding = only(&ours, &books(ours.clone(), totals.tax.minor() + 572));
    assert_eq!(finding.explanation, Explanation::DiscountSpread { how: Spread::AfterTax }, "{finding:#?}");
    // Shipping not taxed.
    let finding = only(&ours, &books(ours.clone(), totals.tax.minor() - ours.shipping.unwrap().tax.minor()));
    assert_eq!(finding.explanation, Explanation::ShippingTaxed { how: ShippingTax::Zero }, "{finding:#?}");
    // One line edited by a person there: its tax follows.
    let mut edited = books(ours.clone(), 0);
    let net = edited.lines[1].net.unwrap().minor() - 1_000;
    edited.lines[1].net = Some(eur(net));
    edited.lines[1].unit = Some(eur(net).decimal());
    let all = totals.net.minor() - 1_000;
    let tax = totals.tax.minor() - 250;
    edited.totals = Some(Totals { net: eur(all), tax: eur(tax), gross: eur(all + tax) });
    let finding = only(&ours, &edited);
    assert_eq!(finding.explanation, Explanation::Price { how: PriceChange::Edited }, "{finding:#?}");
    assert_eq!(finding.paths, ["lines[1].net", "totals.net", "totals.tax", "totals.gross"]);
    // The discount spread over the lines.
    let mut spread = ours.clone();
    spread.discount = None;
    let nets: Vec<i64> = ours.lines.iter().map(|line| line.net.unwrap().minor()).collect();
    let weights: Vec<Decimal> = nets.iter().map(|net| Decimal::from(*net)).collect();
    for (line, off) in spread.lines.iter_mut().zip(crate::share::allocate(2_288, &weights).unwrap()) {
        line.net = Some(eur(line.net.unwrap().minor() - off));
    }
    let finding = only(&ours, &books(spread, totals.tax.minor()));
    assert_eq!(finding.explanation, Explanation::DiscountSpread { how: Spread::ByNet }, "{finding:#?}");
}

#[test]
fn amounts_that_are_not_in_cents() {
    // Yen have no minor unit; taken for one that has, they are a hundred times too large.
    let yen = |minor: i64| crate::Money::from_minor(minor, crate::Currency::from_code("JPY").unwrap());
    let mut ours = Entry::bare(crate::Kind::Order, crate::ExternalId::new("1"), jiff::Timestamp::UNIX_EPOCH);
    ours.currency = crate::Currency::from_code("JPY");
    ours.lines = vec![EntryLine {
        sku: crate::Sku::new("A"),
        quantity: 1,
        unit: None,
        net: Some(yen(8_930)),
        tax: Some(yen(893)),
        rate: Some(Decimal::TEN),
        component: false,
    }];
    ours.totals = Some(Totals { net: yen(8_930), tax: yen(893), gross: yen(9_823) });
    let mut theirs = ours.clone();
    theirs.lines[0].net = Some(yen(893_000));
    theirs.lines[0].tax = Some(yen(89_300));
    theirs.totals = Some(Totals { net: yen(893_000), tax: yen(89_300), gross: yen(982_300) });
    let finding = only(&ours, &theirs);
    assert_eq!(finding.explanation, Explanation::Price { how: PriceChange::ScaledUp(100) });
}

#[test]
fn a_credit_or_a_refund_of_which_totals_alone_are_told() {
    let mut ours = order();
    ours.lines.clear();
    ours.shipping = None;
    let mut theirs = ours.clone();
    let totals = ours.totals.unwrap();
    theirs.totals = Some(Totals { net: eur(totals.net.minor() - 500), gross: eur(totals.gross.minor() - 500), ..totals });
    let finding = only(&ours, &theirs);
    assert_eq!(
        (finding.explanation, finding.paths),
        (Explanation::Unexplained, vec!["totals.net".to_owned(), "totals.gross".to_owned()])
    );
}

#[test]
fn twenty_lines_take_little_time() {
    let lines: Vec<(i64, i64, i64)> =
        (0..20).map(|at| (1 + at % 3, 1_037 + 731 * at, [250, 120, 60][usize::try_from(at % 3).unwrap()])).collect();
    let ours = document(&lines, Some((990, 250)), rule(TaxPolicy::Line, Rounding::HalfUp, false), false);
    let mut off = ours.clone();
    off.lines[7].tax = Some(eur(off.lines[7].tax.unwrap().minor() + 3));
    let book = RateBook::default();
    let cases = [
        document(&lines, Some((990, 250)), rule(TaxPolicy::Document, Rounding::HalfEven, false), false),
        document(&lines, Some((990, 0)), rule(TaxPolicy::Line, Rounding::HalfUp, false), false),
        summed(off),
    ];
    for theirs in &cases {
        let best = (0..20).map(|_| {
            let start = Instant::now();
            assert!(!explain(&ours, theirs, &book).is_empty());
            start.elapsed()
        });
        let best = best.min().unwrap();
        println!("{best:?}");
        // Without optimisation, on a machine that is shared: the aim is one millisecond.
        assert!(best < Duration::from_millis(60), "{best:?}");
    }
}
