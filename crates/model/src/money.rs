//! Exact amounts with a currency; rounding only by a named policy.
//!
//! An amount is a whole number of minor units. A *price* per unit may be finer than that and is a
//! plain [`Decimal`]; it becomes an amount through [`Money::rounded`] and nowhere else. Decimal's
//! own operators panic on overflow and round silently past 28 digits, so only the checked ones
//! are used, here and in `tax`.

use std::fmt;

use rust_decimal::{Decimal, RoundingStrategy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A currency of ISO 4217.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// The euro.
    pub const EUR: Currency = Currency(iso_currency::Currency::EUR);

    /// The currency with this three-letter code, upper case.
    pub fn from_code(code: &str) -> Option<Self> {
        iso_currency::Currency::from_code(code).map(Self)
    }

    /// The three letters.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// Decimals of the minor unit: 2 for EUR, 0 for JPY, 3 for KWD. `None` for units of account
    /// such as gold, which have no minor unit.
    pub fn minor_units(self) -> Option<u32> {
        self.0.exponent().map(u32::from)
    }

    fn exponent(self) -> u32 {
        self.minor_units().unwrap_or(0)
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl PartialOrd for Currency {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Currency {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.code().cmp(other.code())
    }
}

impl TryFrom<String> for Currency {
    type Error = MoneyError;
    fn try_from(code: String) -> Result<Self, MoneyError> {
        Self::from_code(&code).ok_or(MoneyError::UnknownCurrency(code))
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> String {
        currency.code().to_owned()
    }
}

/// Why an amount could not be made or combined.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not a code of ISO 4217.
    #[error("{0:?} is not a currency of ISO 4217")]
    UnknownCurrency(String),
    /// Amounts of two currencies never meet.
    #[error("{0} and {1} cannot be added: the currencies differ")]
    Mixed(Currency, Currency),
    /// Finer than the currency's minor unit, where an exact amount was wanted.
    #[error("{0} {1} is finer than the currency's minor unit")]
    TooFine(Decimal, Currency),
    /// Past what 64 bits of minor units hold.
    #[error("the amount is too large to hold")]
    Overflow,
    /// Weights that share out nothing: none, all zero, or one negative.
    #[error("the weights cannot share out an amount: they must not be negative, and one must be above zero")]
    Weights,
    /// Units that the line does not have.
    #[error("units {before} to {before}+{now} are not among the {of_units} of the line")]
    Units {
        /// Units of the whole line.
        of_units: u32,
        /// Units that went before.
        before: u32,
        /// Units asked for.
        now: u32,
    },
}

/// How a value that lies between two steps becomes one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// Ties away from zero. What tax offices mean by "commercial".
    HalfUp,
    /// Ties towards zero.
    HalfDown,
    /// Ties to the even step ("banker's").
    HalfEven,
    /// Ties to the odd step.
    HalfOdd,
    /// Ties towards plus infinity.
    HalfCeil,
    /// Ties towards minus infinity.
    HalfFloor,
    /// Away from zero, always.
    Up,
    /// Towards zero, always (truncating).
    Down,
    /// Towards plus infinity, always.
    Ceil,
    /// Towards minus infinity, always.
    Floor,
}

impl Rounding {
    /// The words for it.
    pub const fn words(self) -> &'static str {
        match self {
            Rounding::HalfUp => "half-up",
            Rounding::HalfDown => "half-down",
            Rounding::HalfEven => "half-even",
            Rounding::HalfOdd => "half-odd",
            Rounding::HalfCeil => "half towards plus infinity",
            Rounding::HalfFloor => "half towards minus infinity",
            Rounding::Up => "always up",
            Rounding::Down => "truncating",
            Rounding::Ceil => "always towards plus infinity",
            Rounding::Floor => "always towards minus infinity",
        }
    }
}

/// Where a value lies among the steps that it may be rounded to: all that any rounding has to know of it.
///
/// Found once and rounded in many ways, it saves the exact arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position(Decimal);

impl Position {
    /// Where `value` lies among the multiples of `unit`.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] when the quotient does not fit, or `unit` is not above zero.
    pub fn of(value: Decimal, unit: Decimal) -> Result<Self, MoneyError> {
        if unit <= Decimal::ZERO {
            return Err(MoneyError::Overflow);
        }
        // A quotient of more digits than fit would be rounded by the division already; whole steps and a remainder are exact.
        let rest = value.checked_rem(unit).ok_or(MoneyError::Overflow)?;
        let whole = value.checked_sub(rest).and_then(|whole| whole.checked_div(unit)).ok_or(MoneyError::Overflow)?;
        let part = match rest.abs().checked_mul(Decimal::TWO).map(|twice| twice.cmp(&unit)) {
            _ if rest.is_zero() => Decimal::ZERO,
            Some(std::cmp::Ordering::Less) => Decimal::new(25, 2),
            Some(std::cmp::Ordering::Equal) => Decimal::new(50, 2),
            _ => Decimal::new(75, 2),
        };
        let steps = if value.is_sign_negative() { whole.checked_sub(part) } else { whole.checked_add(part) };
        steps.map(Self).ok_or(MoneyError::Overflow)
    }
}

impl Rounding {
    /// Rounds `value` to a multiple of `unit` (0.01, 0.05, 1, 100 …).
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] when the quotient does not fit, or `unit` is not above zero.
    pub fn to_step(self, value: Decimal, unit: Decimal) -> Result<Decimal, MoneyError> {
        let steps = self.pick(Position::of(value, unit)?);
        steps.checked_mul(unit).map(|d| d.normalize()).ok_or(MoneyError::Overflow)
    }

    /// The whole number of steps that a value becomes.
    pub fn pick(self, position: Position) -> Decimal {
        self.to_whole(position.0)
    }

    /// Rounds to a whole number.
    pub fn to_whole(self, value: Decimal) -> Decimal {
        let strategy = match self {
            Rounding::HalfUp => RoundingStrategy::MidpointAwayFromZero,
            Rounding::HalfDown => RoundingStrategy::MidpointTowardZero,
            Rounding::HalfEven => RoundingStrategy::MidpointNearestEven,
            Rounding::Up => RoundingStrategy::AwayFromZero,
            Rounding::Down => RoundingStrategy::ToZero,
            Rounding::Ceil => RoundingStrategy::ToPositiveInfinity,
            Rounding::Floor => RoundingStrategy::ToNegativeInfinity,
            Rounding::HalfCeil if value.is_sign_negative() => RoundingStrategy::MidpointTowardZero,
            Rounding::HalfCeil => RoundingStrategy::MidpointAwayFromZero,
            Rounding::HalfFloor if value.is_sign_negative() => RoundingStrategy::MidpointAwayFromZero,
            Rounding::HalfFloor => RoundingStrategy::MidpointTowardZero,
            Rounding::HalfOdd => return half_odd(value),
        };
        value.round_dp_with_strategy(0, strategy)
    }
}

fn half_odd(value: Decimal) -> Decimal {
    let even = value.round_dp_with_strategy(0, RoundingStrategy::MidpointNearestEven);
    let distance = value.checked_sub(even).unwrap_or_default();
    // Only a tie lies exactly half a step from the even neighbour; there the odd one is the other side.
    if distance == Decimal::new(5, 1) {
        even.checked_add(Decimal::ONE).unwrap_or(even)
    } else if distance == Decimal::new(-5, 1) {
        even.checked_sub(Decimal::ONE).unwrap_or(even)
    } else {
        even
    }
}

/// An exact amount: whole minor units of one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "MoneyText", into = "MoneyText")]
pub struct Money {
    minor: i64,
    currency: Currency,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct MoneyText {
    amount: String,
    currency: Currency,
}

impl TryFrom<MoneyText> for Money {
    type Error = MoneyError;
    fn try_from(text: MoneyText) -> Result<Self, MoneyError> {
        let value = Decimal::from_str_exact(&text.amount).map_err(|_| MoneyError::Overflow)?;
        Money::exact(value, text.currency)
    }
}

impl From<Money> for MoneyText {
    fn from(money: Money) -> Self {
        MoneyText { amount: money.decimal().to_string(), currency: money.currency }
    }
}

impl Money {
    /// So many minor units: `from_minor(1234, EUR)` is 12.34 EUR.
    pub const fn from_minor(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Nothing, in this currency.
    pub const fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    /// The amount that is exactly `value`.
    ///
    /// # Errors
    /// [`MoneyError::TooFine`] when `value` has more decimals than the currency; rounding is never silent.
    pub fn exact(value: Decimal, currency: Currency) -> Result<Self, MoneyError> {
        let money = Self::rounded(value, currency, Rounding::Down)?;
        if money.decimal() == value { Ok(money) } else { Err(MoneyError::TooFine(value, currency)) }
    }

    /// The amount nearest to `value` under a named rounding.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`].
    pub fn rounded(value: Decimal, currency: Currency, rounding: Rounding) -> Result<Self, MoneyError> {
        let scale = Decimal::from(10_u64.pow(currency.exponent()));
        let minor = rounding.to_whole(value.checked_mul(scale).ok_or(MoneyError::Overflow)?);
        let minor = i64::try_from(minor).map_err(|_| MoneyError::Overflow)?;
        Ok(Self { minor, currency })
    }

    /// The amount that its own text says: `18200.00 EUR`. `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let (value, currency) = text.trim().split_once(' ')?;
        Self::exact(Decimal::from_str_exact(value).ok()?, Currency::from_code(currency.trim())?).ok()
    }

    /// Whole minor units.
    pub const fn minor(self) -> i64 {
        self.minor
    }

    /// Of which currency.
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// The amount as a decimal with the currency's number of places: `12.30`.
    pub fn decimal(self) -> Decimal {
        Decimal::new(self.minor, self.currency.exponent())
    }

    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.minor == 0
    }

    /// Whether it is below zero.
    pub const fn is_negative(self) -> bool {
        self.minor < 0
    }

    /// The sum.
    ///
    /// # Errors
    /// [`MoneyError::Mixed`], [`MoneyError::Overflow`].
    pub fn plus(self, other: Money) -> Result<Money, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::Mixed(self.currency, other.currency));
        }
        let minor = self.minor.checked_add(other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Money { minor, ..self })
    }

    /// The difference.
    ///
    /// # Errors
    /// [`MoneyError::Mixed`], [`MoneyError::Overflow`].
    pub fn minus(self, other: Money) -> Result<Money, MoneyError> {
        self.plus(other.negated()?)
    }

    /// The same amount with the other sign.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] for the one amount that has no opposite.
    pub fn negated(self) -> Result<Money, MoneyError> {
        Ok(Money { minor: self.minor.checked_neg().ok_or(MoneyError::Overflow)?, ..self })
    }

    /// The amount without its sign.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`].
    pub fn abs(self) -> Result<Money, MoneyError> {
        if self.is_negative() { self.negated() } else { Ok(self) }
    }

    /// The sum of many; zero of `currency` for none.
    ///
    /// # Errors
    /// [`MoneyError::Mixed`], [`MoneyError::Overflow`].
    pub fn sum(currency: Currency, amounts: impl IntoIterator<Item = Money>) -> Result<Money, MoneyError> {
        amounts.into_iter().try_fold(Money::zero(currency), Money::plus)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.decimal(), self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eur(minor: i64) -> Money {
        Money::from_minor(minor, Currency::from_code("EUR").unwrap())
    }

    #[test]
    fn an_amount_reads_its_own_text() {
        for amount in [eur(0), eur(-1_820_000), eur(5), Money::from_minor(12, Currency::from_code("JPY").unwrap())] {
            assert_eq!(Money::parse(&amount.to_string()), Some(amount));
        }
        assert_eq!(Money::parse("10000 EUR"), Some(eur(1_000_000)));
        for text in ["", "EUR", "1.001 EUR", "1,000 EUR", "1 XXXX", "1EUR"] {
            assert_eq!(Money::parse(text), None, "{text}");
        }
    }

    #[test]
    fn exact_refuses_what_it_would_have_to_round() {
        let eur = Currency::from_code("EUR").unwrap();
        assert_eq!(Money::exact(Decimal::new(1230, 2), eur).unwrap().minor(), 1230);
        assert!(matches!(Money::exact(Decimal::new(12305, 3), eur), Err(MoneyError::TooFine(..))));
        let jpy = Currency::from_code("JPY").unwrap();
        assert!(Money::exact(Decimal::new(15, 1), jpy).is_err());
    }

    #[test]
    fn a_value_next_to_a_tie_is_no_tie_however_many_digits_it_has() {
        let d = |text| Decimal::from_str_exact(text).unwrap();
        for (value, unit, rounded) in [
            ("70000000000000000003.49999999", "7", "70000000000000000000"),
            ("-70000000000000000003.49999999", "7", "-70000000000000000000"),
            ("50000000000000000002.49999999", "5", "50000000000000000000"),
            ("50000000000000000002.50000000", "5", "50000000000000000005"),
            ("0.075", "0.05", "0.1"),
            ("-0.075", "0.05", "-0.1"),
            ("0.10", "0.05", "0.1"),
        ] {
            assert_eq!(Rounding::HalfUp.to_step(d(value), d(unit)).unwrap(), d(rounded), "{value} to {unit}");
        }
    }

    #[test]
    fn currencies_never_meet() {
        let sek = Money::zero(Currency::from_code("SEK").unwrap());
        assert!(matches!(eur(1).plus(sek), Err(MoneyError::Mixed(..))));
    }

    #[test]
    fn text_form_round_trips_to_the_cent() {
        let text = serde_json::to_string(&eur(-1205)).unwrap();
        assert_eq!(text, r#"{"amount":"-12.05","currency":"EUR"}"#);
        assert_eq!(serde_json::from_str::<Money>(&text).unwrap(), eur(-1205));
    }
}
