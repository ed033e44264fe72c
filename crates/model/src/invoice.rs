//! The sums of an invoice or a credit note whose tax is worked out once per category and rate, as EN 16931 has it.
//!
//! A line's net is rounded to the currency's minor unit, half away from zero, before anything is added up; the tax of each
//! group of lines, allowances and charges is rounded once. A credit note is worked out like the invoice that it takes back.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::money::{Currency, MoneyError, Rounding};

/// Something that comes on top or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extra {
    /// Whether it comes on top; else it comes off.
    pub charge: bool,
    /// How much, without tax.
    pub amount: Decimal,
}

impl Extra {
    fn signed(self) -> Decimal {
        if self.charge { self.amount } else { -self.amount }
    }
}

/// How something is taxed: what is alike here is taxed together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaxKind {
    /// The category in the seller's words, as `S`, `Z`, `E`.
    pub category: String,
    /// In percent: 25 means a quarter.
    pub rate: Decimal,
}

impl TaxKind {
    fn normalized(&self) -> Self {
        Self { category: self.category.clone(), rate: self.rate.normalize() }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvoiceLine {
    /// Units; below zero where they are taken back.
    pub quantity: Decimal,
    /// What `per` units cost without tax.
    pub price: Decimal,
    /// For how many units the price is; above zero.
    pub per: Decimal,
    /// What comes on top of the line, or off.
    pub extras: Vec<Extra>,
    /// How it is taxed.
    pub tax: TaxKind,
}

/// An invoice or a credit note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoice {
    /// What it is in.
    pub currency: Currency,
    /// Its lines.
    pub lines: Vec<InvoiceLine>,
    /// What comes on top of the whole, or off.
    pub extras: Vec<(Extra, TaxKind)>,
    /// What was paid before.
    pub prepaid: Decimal,
    /// What the sum to be paid is rounded by.
    pub rounding: Decimal,
}

/// Its sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvoiceSums {
    /// Without tax.
    pub net: Decimal,
    /// Tax.
    pub tax: Decimal,
    /// With tax.
    pub gross: Decimal,
    /// What is left to be paid.
    pub payable: Decimal,
}

impl Invoice {
    /// The sums.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] when a figure does not fit, or a price is for no units.
    pub fn sums(&self) -> Result<InvoiceSums, MoneyError> {
        let step = Decimal::new(1, self.currency.minor_units().unwrap_or(0));
        let mut groups: BTreeMap<TaxKind, Decimal> = BTreeMap::new();
        let mut enter = |tax: &TaxKind, amount: Decimal| {
            let base = groups.entry(tax.normalized()).or_default();
            *base = plus(*base, amount)?;
            Ok(())
        };
        for line in &self.lines {
            enter(&line.tax, line.net(step)?)?;
        }
        for (extra, tax) in &self.extras {
            enter(tax, Rounding::HalfUp.to_step(extra.signed(), step)?)?;
        }
        let (mut net, mut tax) = (Decimal::ZERO, Decimal::ZERO);
        for (kind, base) in groups {
            net = plus(net, base)?;
            let exact = times(base, kind.rate)?.checked_div(Decimal::ONE_HUNDRED).ok_or(MoneyError::Overflow)?;
            tax = plus(tax, Rounding::HalfUp.to_step(exact, step)?)?;
        }
        let gross = plus(net, tax)?;
        let payable = plus(plus(gross, -self.prepaid)?, self.rounding)?;
        Ok(InvoiceSums { net, tax, gross, payable })
    }
}

impl InvoiceLine {
    /// The line without tax, rounded to the step.
    fn net(&self, step: Decimal) -> Result<Decimal, MoneyError> {
        if self.per <= Decimal::ZERO {
            return Err(MoneyError::Overflow);
        }
        // Multiplied first: an exact tie must not be blurred by the division.
        let price = times(self.quantity, self.price)?.checked_div(self.per).ok_or(MoneyError::Overflow)?;
        let whole = self.extras.iter().try_fold(price, |sum, extra| plus(sum, extra.signed()))?;
        Rounding::HalfUp.to_step(whole, step)
    }
}

fn plus(one: Decimal, other: Decimal) -> Result<Decimal, MoneyError> {
    one.checked_add(other).ok_or(MoneyError::Overflow)
}

fn times(one: Decimal, other: Decimal) -> Result<Decimal, MoneyError> {
    one.checked_mul(other).ok_or(MoneyError::Overflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn d(text: &str) -> Decimal {
        Decimal::from_str_exact(text).unwrap()
    }

    fn line(quantity: &str, price: &str, per: &str, category: &str, rate: &str) -> InvoiceLine {
        let tax = TaxKind { category: category.to_owned(), rate: d(rate) };
        InvoiceLine { quantity: d(quantity), price: d(price), per: d(per), extras: Vec::new(), tax }
    }

    fn invoice(currency: &str, lines: Vec<InvoiceLine>) -> Invoice {
        let currency = Currency::from_code(currency).unwrap();
        Invoice { currency, lines, extras: Vec::new(), prepaid: Decimal::ZERO, rounding: Decimal::ZERO }
    }

    #[test]
    fn lines_are_rounded_and_tax_is_worked_out_once_per_category_and_rate() {
        // 3 x 0.333 = 0.999; each line is 1.00 alone, and their tax is a quarter of 3.00.
        let whole = invoice(
            "EUR",
            vec![line("3", "0.333", "1", "S", "25"), line("3", "0.333", "1", "S", "25.0"), line("3", "0.333", "1", "S", "25.00")],
        );
        let sums = whole.sums().unwrap();
        assert_eq!((sums.net, sums.tax, sums.gross, sums.payable), (d("3"), d("0.75"), d("3.75"), d("3.75")));
        // The same rate in two categories is rounded twice.
        let apart = invoice("EUR", vec![line("1", "0.10", "1", "S", "25"), line("1", "0.10", "1", "Z", "25")]).sums().unwrap();
        assert_eq!((apart.net, apart.tax), (d("0.20"), d("0.06")));
        let together = invoice("EUR", vec![line("1", "0.10", "1", "S", "25"), line("1", "0.10", "1", "S", "25")]).sums().unwrap();
        assert_eq!(together.tax, d("0.05"));
    }

    #[test]
    fn a_price_may_be_for_many_units_and_a_currency_may_have_no_cents() {
        assert_eq!(invoice("EUR", vec![line("10", "200", "2", "E", "0")]).sums().unwrap().net, d("1000"));
        assert_eq!(invoice("EUR", vec![line("1", "10", "3", "E", "0")]).sums().unwrap().net, d("3.33"));
        let yen = invoice("JPY", vec![line("1", "105", "1", "S", "10")]).sums().unwrap();
        assert_eq!((yen.tax, yen.gross), (d("11"), d("116")));
        assert!(invoice("EUR", vec![line("1", "1", "0", "S", "25")]).sums().is_err());
        assert!(invoice("EUR", vec![line("79228162514264337593543950335", "2", "1", "S", "25")]).sums().is_err());
    }

    #[test]
    fn what_comes_on_top_and_off_is_taxed_and_what_was_paid_is_not() {
        let mut whole = invoice("EUR", vec![line("10", "410", "1", "S", "25")]);
        whole.lines[0].extras = vec![Extra { charge: true, amount: d("1") }, Extra { charge: false, amount: d("101") }];
        let tax = TaxKind { category: "S".to_owned(), rate: d("25") };
        whole.extras =
            vec![(Extra { charge: true, amount: d("200") }, tax.clone()), (Extra { charge: false, amount: d("100") }, tax)];
        whole.prepaid = d("1000");
        whole.rounding = d("0.25");
        let sums = whole.sums().unwrap();
        assert_eq!((sums.net, sums.tax, sums.gross, sums.payable), (d("4100"), d("1025"), d("5125"), d("4125.25")));
        // Taken back, it is the same below zero.
        whole.lines[0].quantity = d("-10");
        whole.lines[0]
            .extras
            .iter_mut()
            .chain(whole.extras.iter_mut().map(|(extra, _)| extra))
            .for_each(|extra| extra.amount = -extra.amount);
        let back = whole.sums().unwrap();
        assert_eq!((back.net, back.tax), (-sums.net, -sums.tax));
    }
}
