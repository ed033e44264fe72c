//! How taxes are rounded. Pure.
//!
//! Source: the vendor's help topics "Tax Rounding" for legacy nexuses (item line level, transaction level)
//! and "Nexus tax rounding preferences" for SuiteTax.

use serde::{Deserialize, Serialize};

use super::fixed::Fixed;

/// Where a tax is rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaxRounding {
    /// Each line by itself; the total is the sum.
    #[default]
    Line,
    /// Lines of one rate together; the difference goes to one line.
    Transaction,
}

/// The tax of each net line, all at one rate in percent, half away from zero at `digits` decimal places.
///
/// At transaction level the total is `round(sum x rate)`, and the difference to the sum of the rounded lines
/// goes to the line where it changes the tax by the smallest percentage, which is the one with the
/// largest tax; of equals, the last. `None` when a figure is too large.
pub(super) fn taxes(nets: &[Fixed], rate: Fixed, digits: u32, rounding: TaxRounding) -> Option<Vec<Fixed>> {
    let mut taxes = nets.iter().map(|net| net.percent(rate, digits)).collect::<Option<Vec<_>>>()?;
    if rounding == TaxRounding::Transaction {
        let total = Fixed::sum(nets.iter().copied())?.percent(rate, digits)?;
        let difference = total.minus(Fixed::sum(taxes.iter().copied())?)?;
        if !difference.is_zero()
            && let Some(largest) = taxes.iter_mut().max_by_key(|tax| tax.abs())
        {
            *largest = largest.plus(difference)?;
        }
    }
    Some(taxes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n(text: &str) -> Fixed {
        Fixed::parse(text).unwrap()
    }

    fn all(texts: &[&str]) -> Vec<Fixed> {
        texts.iter().map(|t| n(t)).collect()
    }

    #[test]
    fn the_vectors_of_the_two_levels() {
        for (nets, rate, line, transaction) in [
            (["9.99", "9.99", "9.99"], "25", ["2.50", "2.50", "2.50"], ["2.50", "2.50", "2.49"]),
            (["1.02", "20.02", "3.02"], "20", ["0.20", "4.00", "0.60"], ["0.20", "4.01", "0.60"]),
            (["19.95", "7.45", "7.45"], "19", ["3.79", "1.42", "1.42"], ["3.78", "1.42", "1.42"]),
            (["10.01", "33.33", "5.01"], "20", ["2.00", "6.67", "1.00"], ["2.00", "6.67", "1.00"]),
        ] {
            let nets = all(&nets);
            assert_eq!(taxes(&nets, n(rate), 2, TaxRounding::Line).unwrap(), all(&line));
            assert_eq!(taxes(&nets, n(rate), 2, TaxRounding::Transaction).unwrap(), all(&transaction));
        }
    }

    #[test]
    fn a_currency_without_decimals_rounds_to_whole_units() {
        assert_eq!(taxes(&all(&["1234"]), n("10"), 0, TaxRounding::Line).unwrap(), all(&["123"]));
        assert_eq!(taxes(&all(&["-1235"]), n("10"), 0, TaxRounding::Line).unwrap(), all(&["-124"]));
    }
}
