//! One row of a close: what stands on both sides about one thing, and what was made of it.
//!
//! A row is a *match*, not a document: an order split into two sales orders is one row with two targets, two orders that
//! were booked together are one row with two sources. So every document that was enumerated stands in exactly one row.

use std::fmt;

use jiff::{Timestamp, civil::Date};
use rust_decimal::Decimal;

use crate::{
    id::{ExceptionId, ExternalId, FlowName, RecordKey},
    money::{Currency, Money, MoneyError},
    records::Kind,
    statement::{Amounts, Entry},
};

/// At which rate an amount is taxed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rate {
    /// In percent.
    At(Decimal),
    /// The document does not say at which.
    Unstated,
    /// What the document's stated total says beyond its parts: rounding of the whole, charges that it does not break down.
    Document,
}

impl Rate {
    /// A rate in percent, however many zeros it is written with; `None` is unstated.
    pub fn of(percent: Option<Decimal>) -> Self {
        percent.map_or(Rate::Unstated, |percent| Rate::At(percent.normalize()))
    }

    /// Reads what [`fmt::Display`] writes.
    pub fn from_text(text: &str) -> Option<Self> {
        match text {
            "unstated" => Some(Rate::Unstated),
            "document" => Some(Rate::Document),
            percent => Decimal::from_str_exact(percent).ok().map(|percent| Rate::At(percent.normalize())),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rate::At(percent) => write!(f, "{percent}"),
            Rate::Unstated => f.write_str("unstated"),
            Rate::Document => f.write_str("document"),
        }
    }
}

/// What is taxed at one rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateAmount {
    /// The rate.
    pub rate: Rate,
    /// Without tax.
    pub net: Money,
    /// The tax.
    pub tax: Money,
}

/// What one side says.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Side {
    /// Units of all lines.
    pub units: i64,
    /// Of every amount below; none where the documents are about goods alone.
    pub currency: Option<Currency>,
    /// All its money by rate: goods, shipping and handling, less discounts. It sums to what the documents come to.
    pub rates: Vec<RateAmount>,
    /// How much of that is shipping and handling.
    pub shipping: Option<Money>,
    /// By how much it was reduced, above zero; contained in the rates already.
    pub discount: Option<Money>,
}

impl Side {
    /// What the documents come to, with tax; none without a currency.
    ///
    /// # Errors
    /// [`MoneyError`].
    pub fn gross(&self) -> Result<Option<Money>, MoneyError> {
        let Some(currency) = self.currency else { return Ok(None) };
        Money::sum(currency, self.rates.iter().flat_map(|amount| [amount.net, amount.tax])).map(Some)
    }

    /// What one document of a statement says.
    ///
    /// Where its stated totals and its parts disagree, the rest stands under [`Rate::Document`], so that the side comes to
    /// exactly what the document says of itself.
    ///
    /// # Errors
    /// [`MoneyError`].
    pub fn of(entry: &Entry) -> Result<Self, MoneyError> {
        let units = entry.lines.iter().filter(|line| !line.component).map(|line| line.quantity).fold(0_i64, i64::saturating_add);
        let mut side = Side { units, currency: entry.currency, ..Side::default() };
        let Some(currency) = entry.currency else { return Ok(side) };
        let zero = Money::zero(currency);
        for line in &entry.lines {
            if line.net.is_some() || line.tax.is_some() {
                side.put(Rate::of(line.rate), line.net.unwrap_or(zero), line.tax.unwrap_or(zero))?;
            }
        }
        for Amounts { net, tax, rate } in [entry.shipping, entry.handling].into_iter().flatten() {
            side.put(Rate::of(rate), net, tax)?;
            side.shipping = Some(side.shipping.unwrap_or(zero).plus(net)?.plus(tax)?);
        }
        if let Some(Amounts { net, tax, rate }) = entry.discount {
            side.put(Rate::of(rate), net.negated()?, tax.negated()?)?;
            side.discount = Some(net.plus(tax)?);
        }
        if let Some(totals) = entry.totals {
            let parts = |pick: fn(&RateAmount) -> Money| Money::sum(currency, side.rates.iter().map(pick));
            let net = totals.gross.minus(totals.tax)?.minus(parts(|amount| amount.net)?)?;
            let tax = totals.tax.minus(parts(|amount| amount.tax)?)?;
            // A document that breaks nothing down is not a rounding.
            let rate = if side.rates.is_empty() { Rate::Unstated } else { Rate::Document };
            side.put(rate, net, tax)?;
        }
        Ok(side)
    }

    /// Adds an amount to those of its rate.
    ///
    /// # Errors
    /// [`MoneyError::Mixed`] when it is not of this side's currency.
    pub fn put(&mut self, rate: Rate, net: Money, tax: Money) -> Result<(), MoneyError> {
        if net.is_zero() && tax.is_zero() {
            return Ok(());
        }
        let currency = *self.currency.get_or_insert(net.currency());
        let (net, tax) = (Money::zero(currency).plus(net)?, Money::zero(currency).plus(tax)?);
        match self.rates.iter_mut().find(|amount| amount.rate == rate) {
            Some(amount) => *amount = RateAmount { rate, net: amount.net.plus(net)?, tax: amount.tax.plus(tax)? },
            None => self.rates.push(RateAmount { rate, net, tax }),
        }
        Ok(())
    }

    /// Both together: several documents of one side in one row.
    ///
    /// # Errors
    /// [`MoneyError::Mixed`] when they are in two currencies.
    pub fn and(mut self, other: &Side) -> Result<Self, MoneyError> {
        self.units = self.units.saturating_add(other.units);
        self.currency = self.currency.or(other.currency);
        for amount in &other.rates {
            self.put(amount.rate, amount.net, amount.tax)?;
        }
        let sum = |a: Option<Money>, b: Option<Money>| match (a, b) {
            (Some(a), Some(b)) => a.plus(b).map(Some),
            (one, other) => Ok(one.or(other)),
        };
        self.shipping = sum(self.shipping, other.shipping)?;
        self.discount = sum(self.discount, other.discount)?;
        Ok(self)
    }
}

/// A difference that is accepted under a rule that was written down before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjustment {
    /// The rule: a tolerance, a rounding policy that reproduces the figure.
    pub rule: String,
    /// What it accepts: ours less theirs.
    pub money: Money,
}

/// A difference that somebody owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The exception that owns it.
    pub exception: Option<ExceptionId>,
    /// The cause, as reconciliation names it: `missing`, `tax_rounding` …
    pub cause: String,
    /// Who owns it: a team or a person. Without one, nobody signs.
    pub owner: Option<String>,
    /// Which difference it explains: ours less theirs, one amount for each currency; zero may be left out.
    pub money: Vec<Money>,
    /// When the difference was seen first.
    pub first_seen: Timestamp,
}

/// What was made of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Both sides say the same, or differ by what an adjustment accepts.
    Agreed(Option<Adjustment>),
    /// They differ, and somebody owns it.
    Open(Open),
    /// A named rule says that the other side is not to have it.
    Excluded {
        /// The rule.
        rule: String,
        /// Its version.
        version: String,
    },
    /// It is on its way, and expected by then.
    InFlight {
        /// Past this instant it counts as missing.
        until: Timestamp,
    },
}

impl Verdict {
    /// The word.
    pub const fn word(&self) -> &'static str {
        match self {
            Verdict::Agreed(_) => "agreed",
            Verdict::Open(_) => "open",
            Verdict::Excluded { .. } => "excluded",
            Verdict::InFlight { .. } => "in_flight",
        }
    }
}

/// One row of a close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseRow {
    /// Which reconciliation it belongs to: the flow's name.
    pub flow: FlowName,
    /// What it is about.
    pub kind: Kind,
    /// Our key; where there is none, the id of the one document there is.
    pub key: RecordKey,
    /// The order that it is about.
    pub order: Option<RecordKey>,
    /// The documents at the source. None: an orphan of the target.
    pub sources: Vec<ExternalId>,
    /// The documents at the target. None: missing, excluded or in flight.
    pub targets: Vec<ExternalId>,
    /// The instant that decides to which period it belongs: the source's, or the target's where that is all there is.
    pub at: Timestamp,
    /// The business day that the target's document states.
    pub on: Option<Date>,
    /// The market, by the source's id; empty where none is told.
    pub market: String,
    /// The subsidiary, by the target's id.
    pub subsidiary: Option<String>,
    /// What the sources say together.
    pub ours: Option<Side>,
    /// What the targets say together.
    pub theirs: Option<Side>,
    /// What was made of it.
    pub verdict: Verdict,
    /// A sentence for the reader: both values, the cut-off explained, the setting to change; may be empty.
    pub note: String,
}

impl CloseRow {
    /// Ours less theirs, with tax: one amount for each currency in which the sides differ.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`].
    pub fn difference(&self) -> Result<Vec<Money>, MoneyError> {
        let gross = |side: &Option<Side>| side.as_ref().map_or(Ok(None), Side::gross);
        let amounts = match (gross(&self.ours)?, gross(&self.theirs)?) {
            (Some(ours), Some(theirs)) if ours.currency() == theirs.currency() => vec![ours.minus(theirs)?],
            (ours, theirs) => ours.into_iter().chain(theirs.map(Money::negated).transpose()?).collect(),
        };
        Ok(amounts.into_iter().filter(|money| !money.is_zero()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{records::Totals, statement::EntryLine};

    fn eur(minor: i64) -> Money {
        Money::from_minor(minor, Currency::from_code("EUR").unwrap())
    }

    fn line(net: i64, tax: i64, rate: &str) -> EntryLine {
        EntryLine {
            sku: "1".into(),
            quantity: 2,
            unit: None,
            net: Some(eur(net)),
            tax: Some(eur(tax)),
            rate: Some(rate.parse().unwrap()),
            component: false,
        }
    }

    #[test]
    fn a_side_comes_to_exactly_what_its_document_says() {
        let entry = Entry {
            currency: Some(eur(0).currency()),
            lines: vec![line(8000, 2000, "25"), line(1000, 120, "12.0"), line(400, 100, "25.00")],
            shipping: Some(Amounts { net: eur(400), tax: eur(100), rate: Some(Decimal::from(25)) }),
            discount: Some(Amounts { net: eur(800), tax: eur(200), rate: None }),
            totals: Some(Totals { net: eur(9000), tax: eur(2121), gross: eur(11121) }),
            ..Entry::bare(Kind::Order, "1".into(), Timestamp::UNIX_EPOCH)
        };
        let side = Side::of(&entry).unwrap();
        let told: Vec<String> = side.rates.iter().map(|a| format!("{} {} {}", a.rate, a.net.minor(), a.tax.minor())).collect();
        assert_eq!(told, ["25 8800 2200", "12 1000 120", "unstated -800 -200", "document 0 1"]);
        assert_eq!((side.gross().unwrap(), side.units), (Some(eur(11121)), 6));
        assert_eq!((side.shipping, side.discount), (Some(eur(500)), Some(eur(1000))));
        let twice = side.clone().and(&side).unwrap();
        assert_eq!((twice.gross().unwrap(), twice.units, twice.rates.len()), (Some(eur(22242)), 12, 4));
    }

    #[test]
    fn rates_read_back() {
        for text in ["25", "12.5", "0", "unstated", "document"] {
            assert_eq!(Rate::from_text(text).unwrap().to_string(), text);
        }
        assert_eq!(Rate::from_text("25.00"), Some(Rate::At(Decimal::from(25))));
        assert_eq!(Rate::from_text("a quarter"), None);
    }
}
