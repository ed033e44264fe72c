//! Taxes that somebody or something works out another way. What is worked out is pure.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use super::super::NetSuite;
use super::super::fixed::{Fixed, Rounding};
use super::super::records::country_of;
use super::super::seed;
use super::super::state::{SHIPPING, TaxLine, Tran};
use super::Behind;
use crate::wrong::{Dice, Done};

/// How a document's taxes are worked out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Each line by itself, half up, as it should be.
    Line,
    /// Each unit by itself, times the units.
    Unit,
    /// All lines of a rate together.
    Document,
    /// Each line, half to even.
    HalfEven,
    /// Each line, what is below a coin is dropped.
    Down,
    /// Each line, from the amount with tax where it should be from the one without, or the other way round.
    OtherBase,
}

const WRONG: [Policy; 5] = [Policy::Unit, Policy::Document, Policy::HalfEven, Policy::Down, Policy::OtherBase];

impl Policy {
    fn words(self, inside: bool) -> String {
        let of = |inside| if inside { "the amounts with tax" } else { "the amounts without tax" };
        match self {
            Policy::Line => format!("rounded per line, of {}", of(inside)),
            Policy::Unit => format!("rounded per unit, of {}", of(inside)),
            Policy::Document => format!("rounded per document and rate, of {}", of(inside)),
            Policy::HalfEven => format!("rounded half to even, of {}", of(inside)),
            Policy::Down => format!("cut off below the smallest coin, of {}", of(inside)),
            Policy::OtherBase => format!("worked out of {}", of(!inside)),
        }
    }
}

/// The rates that were in force before: country, rate now, rate before, and the last day of that.
const BEFORE: &[(&str, i64, i64, &str)] = &[
    ("CH", 8_100, 7_700, "2023-12-31"),
    ("CZ", 21_000, 20_000, "2012-12-31"),
    ("CY", 19_000, 18_000, "2014-01-12"),
    ("DE", 19_000, 16_000, "2020-12-31"),
    ("DE", 7_000, 5_000, "2020-12-31"),
    ("ES", 21_000, 18_000, "2012-08-31"),
    ("FR", 20_000, 19_600, "2013-12-31"),
    ("GB", 20_000, 17_500, "2011-01-03"),
    ("GR", 24_000, 23_000, "2016-05-31"),
    ("HU", 27_000, 25_000, "2011-12-31"),
    ("IE", 23_000, 21_000, "2021-02-28"),
    ("IT", 22_000, 21_000, "2013-09-30"),
    ("JP", 10_000, 8_000, "2019-09-30"),
    ("LT", 21_000, 19_000, "2009-08-31"),
    ("NL", 21_000, 19_000, "2012-09-30"),
    ("NO", 25_000, 24_000, "2004-12-31"),
    ("PL", 23_000, 22_000, "2010-12-31"),
];

/// How near to a change of the rate a document counts as of those days, in days.
const NEAR_DAYS: i32 = 60;

fn units(tran: &Tran, tax: &TaxLine) -> Fixed {
    let line = tran.lines.iter().find(|line| line.number == tax.line && tax.line != SHIPPING);
    line.map(|line| line.quantity).filter(|quantity| *quantity > Fixed::ZERO).unwrap_or(Fixed::whole(1))
}

/// The taxes of a document as a policy makes them, in their order. `inside`: prices contain the tax. `None` when a figure is too large.
pub(crate) fn worked_out(tran: &Tran, policy: Policy, inside: bool) -> Option<Vec<Fixed>> {
    let digits = tran.digits();
    let inside = if policy == Policy::OtherBase { !inside } else { inside };
    let base = |tax: &TaxLine| if inside { tax.basis.plus(tax.amount) } else { Some(tax.basis) };
    let line = |tax: &TaxLine, rounding| base(tax)?.tax(tax.rate, inside, digits, rounding);
    let each = |tax: &TaxLine| match policy {
        Policy::Line | Policy::OtherBase | Policy::Document => line(tax, Rounding::HalfUp),
        Policy::HalfEven => line(tax, Rounding::HalfEven),
        Policy::Down => line(tax, Rounding::Down),
        Policy::Unit => {
            let units = units(tran, tax);
            base(tax)?.over(units)?.tax(tax.rate, inside, digits, Rounding::HalfUp)?.times(units, digits)
        }
    };
    let mut taxes = tran.taxes.iter().map(each).collect::<Option<Vec<Fixed>>>()?;
    if policy == Policy::Document {
        let mut by_rate: BTreeMap<Fixed, Vec<usize>> = BTreeMap::new();
        for (place, tax) in tran.taxes.iter().enumerate() {
            by_rate.entry(tax.rate).or_default().push(place);
        }
        for (rate, places) in by_rate {
            let bases = places.iter().map(|at| tran.taxes.get(*at).and_then(base)).collect::<Option<Vec<Fixed>>>()?;
            let whole = Fixed::sum(bases)?.tax(rate, inside, digits, Rounding::HalfUp)?;
            let parts = Fixed::sum(places.iter().filter_map(|at| taxes.get(*at).copied()))?;
            let largest = places.into_iter().max_by_key(|at| taxes.get(*at).map(|tax| tax.abs()));
            if let Some(tax) = largest.and_then(|at| taxes.get_mut(at)) {
                *tax = tax.plus(whole.minus(parts)?)?;
            }
        }
    }
    Some(taxes)
}

/// The taxes under a policy where they sum to another figure than what stands. `strict`: what stands is the right way of working it out,
/// and no other wrong way comes to the same.
fn misrounded(tran: &Tran, policy: Policy, inside: bool, strict: bool) -> Option<Vec<Fixed>> {
    let sum = |taxes: &[Fixed]| Fixed::sum(taxes.iter().copied());
    let stands: Vec<Fixed> = tran.taxes.iter().map(|tax| tax.amount).collect();
    let wrong = worked_out(tran, policy, inside)?;
    if sum(&wrong)? == sum(&stands)? {
        return None;
    }
    if strict {
        let same =
            |other: &Policy| *other != policy && worked_out(tran, *other, inside).is_some_and(|taxes| sum(&taxes) == sum(&wrong));
        if worked_out(tran, Policy::Line, inside)? != stands || WRONG.iter().any(same) {
            return None;
        }
    }
    Some(wrong)
}

/// The rate before, and what is known of it.
fn rate_before(country: &str, rate: i64) -> (i64, Option<&'static str>) {
    match BEFORE.iter().find(|(known, now, ..)| *known == country && *now == rate) {
        Some((.., before, last)) => (*before, Some(last)),
        None => ((rate - 1_000).max(rate / 2), None),
    }
}

fn thousandths(rate: Fixed) -> i64 {
    rate.times(Fixed::whole(1_000), 0).map_or(0, Fixed::units)
}

impl NetSuite {
    /// The taxes of an order's document get the code of another rate. `None` where it does not stand once, or has no tax.
    /// Errors when the journal cannot be written.
    pub fn retax(&self, number: &str) -> anyhow::Result<Option<String>> {
        let mut behind = self.behind();
        let Some(tran) = behind.sale(number).cloned() else { return Ok(None) };
        let done = behind.old_rate(number, false, false)?;
        if done.is_some() {
            self.account.rightly.lock().unwrap_or_else(PoisonError::into_inner).insert(number.to_owned(), tran);
        }
        Ok(done.map(|done| done.detail))
    }

    /// What [`NetSuite::retax`] did is set right. Answers whether there was anything. Errors when the journal cannot be written.
    pub fn tax_right(&self, number: &str) -> anyhow::Result<bool> {
        let tran = self.account.rightly.lock().unwrap_or_else(PoisonError::into_inner).remove(number);
        let Some(tran) = tran else { return Ok(false) };
        self.behind().put(tran)?;
        Ok(true)
    }
}

impl Behind<'_> {
    /// The taxes of an order's document are rounded another way. `pass`: 0 where no other way comes to the same; then what will do.
    pub(crate) fn misround(&mut self, number: &str, policy: Policy, inside: bool, pass: usize) -> anyhow::Result<Option<Done>> {
        let Some(mut tran) = self.sale(number).cloned() else { return Ok(None) };
        // Of amounts without tax a half coin is common; of those with tax it is rare.
        let found = match (policy, pass) {
            (_, 0) => misrounded(&tran, policy, inside, true).map(|wrong| (inside, wrong)),
            (Policy::HalfEven, 1) => misrounded(&tran, policy, !inside, true).map(|wrong| (!inside, wrong)),
            (Policy::HalfEven, _) => [inside, !inside].into_iter().find_map(|way| {
                let by_half = worked_out(&tran, policy, way) != worked_out(&tran, Policy::Line, way);
                misrounded(&tran, policy, way, false).filter(|_| by_half).map(|wrong| (way, wrong))
            }),
            _ => misrounded(&tran, policy, inside, false).map(|wrong| (inside, wrong)),
        };
        let Some((inside, wrong)) = found else { return Ok(None) };
        let was = tran.totals().tax;
        for (tax, amount) in tran.taxes.iter_mut().zip(wrong) {
            tax.amount = amount;
        }
        let detail = format!("tax {} → {}, {}", was.text(2), tran.totals().tax.text(2), policy.words(inside));
        let done = self.done(&tran, detail);
        self.put(tran)?;
        Ok(done)
    }

    /// One tax of an order's document is another by a few coins that no rounding makes.
    pub(crate) fn edit_tax(&mut self, number: &str, dice: &mut Dice) -> anyhow::Result<Option<Done>> {
        let Some(mut tran) = self.sale(number).cloned() else { return Ok(None) };
        let places: Vec<usize> =
            (0..tran.taxes.len()).filter(|at| tran.taxes.get(*at).is_some_and(|t| !t.amount.is_zero())).collect();
        let digits = tran.digits();
        // A few euros' worth, roughly.
        let worth = match seed::currency(tran.currency).map_or("", |currency| currency.symbol) {
            "SEK" | "NOK" | "DKK" => 100,
            _ => 10,
        };
        let by = if digits == 0 { Fixed::whole(dice.between(200, 900)) } else { Fixed::mills(worth * dice.between(203, 897)) };
        let Some(tax) = dice.of(&places).and_then(|at| tran.taxes.get_mut(*at)) else { return Ok(None) };
        let was = tax.amount;
        // Towards more, so that a small tax does not change its sign.
        tax.amount = if was.is_negative() { was.minus(by) } else { was.plus(by) }.unwrap_or(was);
        let line = if tax.line == SHIPPING { "shipping".to_owned() } else { format!("line {}", tax.line) };
        let detail = format!("tax of {line}: {} → {}", was.text(2), tax.amount.text(2));
        let done = self.done(&tran, detail);
        self.put(tran)?;
        Ok(done)
    }

    /// An order's document is taxed at the rate that its country had before. `near`: only a document of the days in which the rate changed.
    pub(crate) fn old_rate(&mut self, number: &str, known: bool, near: bool) -> anyhow::Result<Option<Done>> {
        let Some(mut tran) = self.sale(number).cloned() else { return Ok(None) };
        let country = country_of(tran.ship_to.as_deref()).to_owned();
        let rate = tran.taxes.iter().filter(|tax| !tax.amount.is_zero()).map(|tax| thousandths(tax.rate)).max().unwrap_or(0);
        if rate == 0 || country.is_empty() {
            return Ok(None);
        }
        let (before, last) = rate_before(&country, rate);
        let day: Option<jiff::civil::Date> = last.and_then(|last| last.parse().ok());
        let days = |day: jiff::civil::Date| tran.date.since(day).map_or(i32::MAX, |span| span.get_days());
        let is_near = day.is_some_and(|day| (1..=NEAR_DAYS).contains(&days(day)));
        if (known && last.is_none()) || (near && !is_near) {
            return Ok(None);
        }
        let (digits, was) = (tran.digits(), tran.totals().tax);
        let text = crate::data::mills_text;
        for tax in tran.taxes.iter_mut().filter(|tax| thousandths(tax.rate) == rate) {
            let Some(amount) = tax.basis.tax(Fixed::mills(before), false, digits, Rounding::HalfUp) else { return Ok(None) };
            (tax.rate, tax.amount) = (Fixed::mills(before), amount);
            tax.code = seed::tax_code_id(&country, &text(before)).parse().unwrap_or(tax.code);
        }
        let is = tran.totals().tax;
        if is == was {
            return Ok(None);
        }
        let why = match last {
            Some(last) => format!("the rate of {country} until {last}"),
            None => format!("a rate that {country} might have had"),
        };
        let detail = format!("tax rate {} % → {} % ({why}), tax {} → {}", text(rate), text(before), was.text(2), is.text(2));
        let done = self.done(&tran, detail);
        self.put(tran)?;
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::state::{Kind, Line};
    use super::*;

    fn n(text: &str) -> Fixed {
        Fixed::parse(text).unwrap()
    }

    /// Lines of (units, net, tax) at one rate.
    fn document(rate: &str, lines: &[(i64, &str, &str)]) -> Tran {
        let mut tran = Tran::new(Kind::SalesOrder, jiff::civil::date(2026, 2, 3), 0);
        tran.currency = 4;
        for (number, (units, net, tax)) in (1..).zip(lines) {
            tran.lines.push(Line { number, quantity: Fixed::whole(*units), amount: n(net), ..Line::default() });
            tran.taxes.push(TaxLine {
                line: number,
                reference: Default::default(),
                code: 0,
                basis: n(net),
                rate: n(rate),
                amount: n(tax),
            });
        }
        tran
    }

    fn sum(tran: &Tran, policy: Policy, inside: bool) -> Fixed {
        Fixed::sum(worked_out(tran, policy, inside).unwrap()).unwrap()
    }

    #[test]
    fn each_policy_comes_to_its_own_figure() {
        // 3 units at 3.33 without tax at 19 %: 1.90 per line; 0.63 a unit.
        let tran = document("19", &[(3, "9.99", "1.90"), (1, "0.50", "0.10"), (1, "19.95", "3.79")]);
        assert_eq!(sum(&tran, Policy::Line, false), n("5.79"));
        assert_eq!(sum(&tran, Policy::Unit, false), n("5.78"));
        assert_eq!(sum(&tran, Policy::Document, false), n("5.78"), "30.44 at 19 % is 5.7836");
        assert_eq!(sum(&tran, Policy::Down, false), n("5.77"));
        // Of 119 with tax inside 19 is the tax, whatever was rounded.
        let gross = document("19", &[(1, "100", "19")]);
        assert_eq!(sum(&gross, Policy::Line, true), n("19"));
        let tie = document("25", &[(1, "0.50", "0.13")]);
        assert_eq!((sum(&tie, Policy::HalfEven, false), sum(&tie, Policy::Line, false)), (n("0.12"), n("0.13")));
        // 9.92 + 0.08 at 19 %... the tax in 11.90 is 1.90; of 9.98 without tax it is 1.90, of 9.99 it is 1.90.
        let base = document("25", &[(1, "3.26", "0.81")]);
        assert_eq!((sum(&base, Policy::Line, true), sum(&base, Policy::OtherBase, true)), (n("0.81"), n("0.82")));
    }

    #[test]
    fn only_another_figure_counts_and_strictly_only_one_that_no_other_way_makes() {
        let even = document("25", &[(1, "100", "25")]);
        for policy in WRONG {
            assert_eq!(misrounded(&even, policy, false, false), None, "{policy:?}");
        }
        let tran = document("19", &[(3, "9.99", "1.90"), (1, "0.50", "0.10"), (1, "19.95", "3.79")]);
        assert!(misrounded(&tran, Policy::Unit, false, false).is_some());
        assert_eq!(misrounded(&tran, Policy::Unit, false, true), None, "per document it is the same");
        assert!(misrounded(&tran, Policy::Down, false, true).is_some());
    }

    #[test]
    fn the_rate_before_is_the_one_of_the_country_or_said_to_be_made_up() {
        assert_eq!(rate_before("DE", 19_000), (16_000, Some("2020-12-31")));
        assert_eq!(rate_before("GB", 20_000), (17_500, Some("2011-01-03")));
        assert_eq!(rate_before("SE", 25_000), (24_000, None));
        assert!(BEFORE.iter().all(|(.., last)| last.parse::<jiff::civil::Date>().is_ok()));
    }
}
