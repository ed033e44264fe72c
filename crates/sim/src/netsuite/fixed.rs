//! Exact numbers with eight decimal places in eight bytes.

use serde::{Deserialize, Serialize};

/// A decimal number in units of 10^-8; at most about 92 billion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Fixed(i64);

const PLACES: u32 = 8;
const ONE: i64 = 100_000_000;

/// `n / d`, half away from zero. The denominator is above zero.
fn divide(n: i128, d: i128) -> i128 {
    let whole = (2 * n.abs() + d) / (2 * d);
    if n < 0 { -whole } else { whole }
}

/// How a figure between two coins is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rounding {
    /// Half away from zero.
    HalfUp,
    /// Half to the even coin.
    HalfEven,
    /// Towards zero.
    Down,
}

/// `n / d` by a rounding. The denominator is above zero.
fn round_by(n: i128, d: i128, rounding: Rounding) -> i128 {
    let (whole, rest) = (n / d, (n % d).abs());
    let up = match rounding {
        Rounding::HalfUp => return divide(n, d),
        Rounding::Down => false,
        Rounding::HalfEven => 2 * rest > d || (2 * rest == d && whole % 2 != 0),
    };
    if up { whole + n.signum() } else { whole }
}

/// How many units of 10^-8 the smallest coin of a currency with so many decimal places has.
fn step(digits: u32) -> i128 {
    10_i128.pow(PLACES.saturating_sub(digits))
}

impl Fixed {
    /// Nought.
    pub(super) const ZERO: Fixed = Fixed(0);

    /// A whole number.
    pub(super) const fn whole(number: i64) -> Fixed {
        Fixed(number.saturating_mul(ONE))
    }

    /// Thousandths of one.
    pub(super) const fn mills(thousandths: i64) -> Fixed {
        Fixed(thousandths.saturating_mul(ONE / 1_000))
    }

    /// The tax at a rate in percent: on top of an amount, or, `inside`, contained in it. Rounded once. `None` when too large.
    pub(super) fn tax(self, rate: Fixed, inside: bool, digits: u32, rounding: Rounding) -> Option<Fixed> {
        let step = step(digits);
        let hundred = 100 * i128::from(ONE);
        let base = if inside { hundred + i128::from(rate.0) } else { hundred };
        let exact = i128::from(self.0) * i128::from(rate.0);
        (base > 0).then(|| Self::from_wide(round_by(exact, base * step, rounding) * step)).flatten()
    }

    /// Parses decimal text, also with an exponent. More than eight decimal places are rounded half away
    /// from zero. `None` when it is no number or too large.
    pub(super) fn parse(text: &str) -> Option<Fixed> {
        if text.contains(['e', 'E']) {
            let plain = rust_decimal::Decimal::from_scientific(text).ok()?;
            return Self::parse(&plain.to_string());
        }
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() && fraction.is_empty() || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let mut number = if whole.is_empty() { 0 } else { whole.parse::<i64>().ok()?.checked_mul(ONE)? };
        let mut unit = ONE / 10;
        for byte in fraction.bytes().take(8) {
            number = number.checked_add(i64::from(byte - b'0') * unit)?;
            unit /= 10;
        }
        if fraction.as_bytes().get(8).is_some_and(|b| *b >= b'5') {
            number = number.checked_add(1)?;
        }
        Some(Fixed(if negative { -number } else { number }))
    }

    fn from_wide(number: i128) -> Option<Fixed> {
        i64::try_from(number).ok().map(Fixed)
    }

    /// Rounds half away from zero.
    pub(super) fn round(self, digits: u32) -> Fixed {
        let step = step(digits);
        Self::from_wide(divide(i128::from(self.0), step) * step).unwrap_or(self)
    }

    /// `self * other`, rounded half away from zero once.
    pub(super) fn times(self, other: Fixed, digits: u32) -> Option<Fixed> {
        let step = step(digits);
        let exact = i128::from(self.0) * i128::from(other.0);
        Self::from_wide(divide(exact, i128::from(ONE) * step) * step)
    }

    /// So many percent of it, rounded half away from zero once.
    pub(super) fn percent(self, rate: Fixed, digits: u32) -> Option<Fixed> {
        let step = step(digits);
        let exact = i128::from(self.0) * i128::from(rate.0);
        Self::from_wide(divide(exact, 100 * i128::from(ONE) * step) * step)
    }

    /// The net part of a gross amount at a rate in percent, rounded half away from zero.
    pub(super) fn net_of_gross(self, rate: Fixed, digits: u32) -> Option<Fixed> {
        let step = step(digits);
        let base = i128::from(rate.0) + 100 * i128::from(ONE);
        if base <= 0 {
            return None;
        }
        let exact = i128::from(self.0) * 100 * i128::from(ONE);
        Self::from_wide(divide(exact, base * step) * step)
    }

    /// `self / by` to eight decimal places. `None` when dividing by nought.
    pub(super) fn over(self, by: Fixed) -> Option<Fixed> {
        let (n, d) = match by.0.cmp(&0) {
            std::cmp::Ordering::Equal => return None,
            std::cmp::Ordering::Less => (-i128::from(self.0), -i128::from(by.0)),
            std::cmp::Ordering::Greater => (i128::from(self.0), i128::from(by.0)),
        };
        Self::from_wide(divide(n * i128::from(ONE), d))
    }

    /// The sum; `None` when too large.
    pub(super) fn plus(self, other: Fixed) -> Option<Fixed> {
        self.0.checked_add(other.0).map(Fixed)
    }

    /// The difference; `None` when too large.
    pub(super) fn minus(self, other: Fixed) -> Option<Fixed> {
        self.0.checked_sub(other.0).map(Fixed)
    }

    /// The sum of many; `None` when too large.
    pub(super) fn sum(all: impl IntoIterator<Item = Fixed>) -> Option<Fixed> {
        all.into_iter().try_fold(Fixed::ZERO, Fixed::plus)
    }

    /// The whole number below or at it.
    pub(super) fn floor(self) -> Fixed {
        Fixed(self.0.div_euclid(ONE).saturating_mul(ONE))
    }

    /// The whole part, towards nought.
    pub(super) fn units(self) -> i64 {
        self.0 / ONE
    }

    /// The other sign.
    pub(super) fn negated(self) -> Fixed {
        Fixed(self.0.saturating_neg())
    }

    /// Without its sign.
    pub(super) fn abs(self) -> Fixed {
        Fixed(self.0.saturating_abs())
    }

    /// Whether it is nought.
    pub(super) fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Whether it is below nought.
    pub(super) fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Appends it as decimal text with at least so many decimal places and no needless ones.
    pub(super) fn write(self, out: &mut String, least: usize) {
        use std::fmt::Write as _;
        if self.0 < 0 {
            out.push('-');
        }
        let (whole, rest) = (self.0.unsigned_abs() / 100_000_000, self.0.unsigned_abs() % 100_000_000);
        let _ = write!(out, "{whole}");
        if rest == 0 && least == 0 {
            return;
        }
        let start = out.len();
        let _ = write!(out, ".{rest:08}");
        while out.len() - start - 1 > least && out.ends_with('0') {
            out.pop();
        }
    }

    /// Decimal text with at least so many decimal places.
    pub(super) fn text(self, least: usize) -> String {
        let mut out = String::new();
        self.write(&mut out, least);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_prints() {
        for (text, least, expected) in [
            ("0", 0, "0"),
            ("-0.5", 0, "-0.5"),
            ("159.20", 0, "159.2"),
            ("159.2", 2, "159.20"),
            ("200", 1, "200.0"),
            ("1e2", 0, "100"),
            ("2.5E-1", 0, "0.25"),
            ("0.000000005", 0, "0.00000001"),
            ("90000000000", 0, "90000000000"),
        ] {
            assert_eq!(Fixed::parse(text).unwrap().text(least), expected, "{text}");
        }
        for text in ["", ".", "-", "1,0", "x", "99999999999999", "1.2.3"] {
            assert_eq!(Fixed::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_tax_is_rounded_in_each_of_three_ways() {
        let n = |t| Fixed::parse(t).unwrap();
        for (amount, rate, inside, up, even, down) in [
            ("0.50", "25", false, "0.13", "0.12", "0.12"),
            ("1.50", "25", false, "0.38", "0.38", "0.37"),
            ("-0.50", "25", false, "-0.13", "-0.12", "-0.12"),
            ("10.03", "25", false, "2.51", "2.51", "2.50"),
            ("1.23", "20", true, "0.21", "0.2", "0.2"),
            ("-119.05", "19", true, "-19.01", "-19.01", "-19"),
        ] {
            let tax = |rounding| n(amount).tax(n(rate), inside, 2, rounding).unwrap();
            assert_eq!(tax(Rounding::HalfUp), n(up), "{amount}");
            assert_eq!(tax(Rounding::HalfEven), n(even), "{amount}");
            assert_eq!(tax(Rounding::Down), n(down), "{amount}");
        }
        assert_eq!(Fixed::mills(1_250), n("1.25"));
    }

    #[test]
    fn rounds_half_away_from_zero() {
        let n = |t| Fixed::parse(t).unwrap();
        assert_eq!(n("1.005").round(2), n("1.01"));
        assert_eq!(n("-1.005").round(2), n("-1.01"));
        assert_eq!(n("33.333333").times(n("3"), 2).unwrap(), n("100.00"));
        assert_eq!(n("9.99").percent(n("25"), 2).unwrap(), n("2.50"));
        assert_eq!(n("125").net_of_gross(n("25"), 2).unwrap(), n("100"));
        assert_eq!(n("100").over(n("3")).unwrap(), n("33.33333333"));
        assert_eq!(n("100").over(n("-3")).unwrap(), n("-33.33333333"));
        assert_eq!(n("1").over(Fixed::ZERO), None);
    }
}
