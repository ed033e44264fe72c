//! The trial balance: both sides summed by flow, kind, market, currency and tax rate, and what explains the difference.
//!
//! On every line, to the minor unit and for net and tax each:
//!
//! ```text
//! ours - theirs = open + adjusted + excluded + in flight + unexplained
//! ```
//!
//! What a row does not claim to explain is unexplained; there is no line that takes up a rest. Amounts of two currencies never
//! meet: a row whose sides are in two stands on two lines.

use std::collections::BTreeMap;

use super::row::{CloseRow, Rate, Side, Verdict};
use crate::{
    id::FlowName,
    money::{Currency, Money, MoneyError},
    records::Kind,
};

/// What a line of the trial balance is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineKey {
    /// The flow.
    pub flow: FlowName,
    /// The kind of document.
    pub kind: Kind,
    /// The market.
    pub market: String,
    /// The currency of every amount of the line.
    pub currency: Currency,
    /// The tax rate.
    pub rate: Rate,
}

/// Net and tax.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetTax {
    /// Without tax.
    pub net: Money,
    /// The tax.
    pub tax: Money,
}

impl NetTax {
    /// Nothing.
    pub const fn zero(currency: Currency) -> Self {
        Self { net: Money::zero(currency), tax: Money::zero(currency) }
    }

    /// With tax.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`].
    pub fn gross(self) -> Result<Money, MoneyError> {
        self.net.plus(self.tax)
    }

    /// Whether both are nothing.
    pub const fn is_zero(self) -> bool {
        self.net.is_zero() && self.tax.is_zero()
    }

    /// The sum.
    ///
    /// # Errors
    /// [`MoneyError`].
    pub fn plus(self, other: NetTax) -> Result<Self, MoneyError> {
        Ok(Self { net: self.net.plus(other.net)?, tax: self.tax.plus(other.tax)? })
    }

    /// The difference.
    ///
    /// # Errors
    /// [`MoneyError`].
    pub fn minus(self, other: NetTax) -> Result<Self, MoneyError> {
        Ok(Self { net: self.net.minus(other.net)?, tax: self.tax.minus(other.tax)? })
    }
}

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Rows in which our side has an amount at this rate.
    pub ours_rows: u64,
    /// What the sources say.
    pub ours: NetTax,
    /// Rows in which their side has one.
    pub theirs_rows: u64,
    /// What the targets say.
    pub theirs: NetTax,
    /// Explained by open items.
    pub open: NetTax,
    /// Accepted under a rule.
    pub adjusted: NetTax,
    /// Excluded by a rule.
    pub excluded: NetTax,
    /// On its way.
    pub in_flight: NetTax,
    /// Explained by nothing. Not zero: nobody signs.
    pub unexplained: NetTax,
}

impl Line {
    const fn zero(currency: Currency) -> Self {
        let zero = NetTax::zero(currency);
        Self {
            ours_rows: 0,
            ours: zero,
            theirs_rows: 0,
            theirs: zero,
            open: zero,
            adjusted: zero,
            excluded: zero,
            in_flight: zero,
            unexplained: zero,
        }
    }

    /// Ours less theirs.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`].
    pub fn difference(&self) -> Result<NetTax, MoneyError> {
        self.ours.minus(self.theirs)
    }

    fn share(&mut self, verdict: &Verdict) -> &mut NetTax {
        match verdict {
            Verdict::Agreed(None) => &mut self.unexplained,
            Verdict::Agreed(Some(_)) => &mut self.adjusted,
            Verdict::Open(_) => &mut self.open,
            Verdict::Excluded { .. } => &mut self.excluded,
            Verdict::InFlight { .. } => &mut self.in_flight,
        }
    }

    fn plus(&self, other: &Line) -> Result<Line, MoneyError> {
        Ok(Line {
            ours_rows: self.ours_rows.saturating_add(other.ours_rows),
            ours: self.ours.plus(other.ours)?,
            theirs_rows: self.theirs_rows.saturating_add(other.theirs_rows),
            theirs: self.theirs.plus(other.theirs)?,
            open: self.open.plus(other.open)?,
            adjusted: self.adjusted.plus(other.adjusted)?,
            excluded: self.excluded.plus(other.excluded)?,
            in_flight: self.in_flight.plus(other.in_flight)?,
            unexplained: self.unexplained.plus(other.unexplained)?,
        })
    }
}

/// So many, by what was made of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Agreed.
    pub agreed: u64,
    /// Open.
    pub open: u64,
    /// Excluded.
    pub excluded: u64,
    /// In flight.
    pub in_flight: u64,
}

impl Counted {
    /// All of them.
    pub const fn total(&self) -> u64 {
        self.agreed.saturating_add(self.open).saturating_add(self.excluded).saturating_add(self.in_flight)
    }

    fn add(&mut self, verdict: &Verdict, count: usize) {
        let place = match verdict {
            Verdict::Agreed(_) => &mut self.agreed,
            Verdict::Open(_) => &mut self.open,
            Verdict::Excluded { .. } => &mut self.excluded,
            Verdict::InFlight { .. } => &mut self.in_flight,
        };
        *place = place.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    }
}

/// The counts of one flow and kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows.
    pub rows: Counted,
    /// Documents at the source.
    pub sources: Counted,
    /// Documents at the target.
    pub targets: Counted,
    /// Units at the source.
    pub ours_units: i64,
    /// Units at the target.
    pub theirs_units: i64,
}

/// The trial balance of one period.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrialBalance {
    lines: BTreeMap<LineKey, Line>,
    counts: BTreeMap<(FlowName, Kind), Counts>,
}

impl TrialBalance {
    /// Takes a row in.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] past what 64 bits hold, [`MoneyError::Mixed`] when a side is in several currencies; then
    /// the balance is good for nothing any more.
    pub fn add(&mut self, row: &CloseRow) -> Result<(), MoneyError> {
        let counts = self.counts.entry((row.flow.clone(), row.kind)).or_default();
        counts.rows.add(&row.verdict, 1);
        counts.sources.add(&row.verdict, row.sources.len());
        counts.targets.add(&row.verdict, row.targets.len());
        let units = |side: &Option<Side>| side.as_ref().map_or(0, |side| side.units);
        counts.ours_units = counts.ours_units.saturating_add(units(&row.ours));
        counts.theirs_units = counts.theirs_units.saturating_add(units(&row.theirs));
        for amount in row.ours.iter().flat_map(|side| &side.rates) {
            let line = self.line(row, amount.net.currency(), amount.rate);
            let amount = NetTax { net: amount.net, tax: amount.tax };
            line.ours_rows = line.ours_rows.saturating_add(1);
            line.ours = line.ours.plus(amount)?;
            let share = line.share(&row.verdict);
            *share = share.plus(amount)?;
        }
        for amount in row.theirs.iter().flat_map(|side| &side.rates) {
            let line = self.line(row, amount.net.currency(), amount.rate);
            let amount = NetTax { net: amount.net, tax: amount.tax };
            line.theirs_rows = line.theirs_rows.saturating_add(1);
            line.theirs = line.theirs.plus(amount)?;
            let share = line.share(&row.verdict);
            *share = share.minus(amount)?;
        }
        self.hold_to_claim(row)
    }

    /// A row explains no more and no less than it says it does: the rest is unexplained.
    fn hold_to_claim(&mut self, row: &CloseRow) -> Result<(), MoneyError> {
        let claimed: &[Money] = match &row.verdict {
            Verdict::Open(open) => &open.money,
            Verdict::Agreed(Some(adjustment)) => std::slice::from_ref(&adjustment.money),
            _ => return Ok(()),
        };
        let mut rest: BTreeMap<Currency, Money> = BTreeMap::new();
        let negated: Vec<Money> = claimed.iter().map(|money| money.negated()).collect::<Result<_, _>>()?;
        for money in row.difference()?.into_iter().chain(negated) {
            let sum = rest.entry(money.currency()).or_insert(Money::zero(money.currency()));
            *sum = sum.plus(money)?;
        }
        for (currency, rest) in rest.into_iter().filter(|(_, rest)| !rest.is_zero()) {
            let side = |side: &Option<Side>| {
                side.iter()
                    .flat_map(|side| &side.rates)
                    .find(|amount| amount.net.currency() == currency)
                    .map(|amount| amount.rate)
            };
            let rate = side(&row.ours).or_else(|| side(&row.theirs)).unwrap_or(Rate::Document);
            let rest = NetTax { net: rest, tax: Money::zero(currency) };
            let line = self.line(row, currency, rate);
            let share = line.share(&row.verdict);
            *share = share.minus(rest)?;
            line.unexplained = line.unexplained.plus(rest)?;
        }
        Ok(())
    }

    fn line(&mut self, row: &CloseRow, currency: Currency, rate: Rate) -> &mut Line {
        let key = LineKey { flow: row.flow.clone(), kind: row.kind, market: row.market.clone(), currency, rate };
        self.lines.entry(key).or_insert(Line::zero(currency))
    }

    /// The lines in order.
    pub fn lines(&self) -> impl Iterator<Item = (&LineKey, &Line)> {
        self.lines.iter()
    }

    /// The counts by flow and kind.
    pub fn counts(&self) -> impl Iterator<Item = (&FlowName, Kind, &Counts)> {
        self.counts.iter().map(|((flow, kind), counts)| (flow, *kind, counts))
    }

    /// The counts of one flow and kind; none were taken in: all zero.
    pub fn counts_of(&self, flow: &FlowName, kind: Kind) -> Counts {
        self.counts.get(&(flow.clone(), kind)).copied().unwrap_or_default()
    }

    /// The lines summed by flow, kind and currency.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`].
    pub fn sums(&self) -> Result<BTreeMap<(FlowName, Kind, Currency), Line>, MoneyError> {
        let mut sums: BTreeMap<(FlowName, Kind, Currency), Line> = BTreeMap::new();
        for (key, line) in &self.lines {
            let sum = sums.entry((key.flow.clone(), key.kind, key.currency)).or_insert(Line::zero(key.currency));
            *sum = sum.plus(line)?;
        }
        Ok(sums)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::close::row::{Adjustment, Open};

    pub(crate) fn money(minor: i64, code: &str) -> Money {
        Money::from_minor(minor, Currency::from_code(code).unwrap())
    }

    pub(crate) fn side(rates: &[(&str, i64, i64)], code: &str) -> Side {
        let mut side = Side { units: 1, currency: Currency::from_code(code), ..Side::default() };
        for (rate, net, tax) in rates {
            side.put(Rate::from_text(rate).unwrap(), money(*net, code), money(*tax, code)).unwrap();
        }
        side
    }

    pub(crate) fn open(amounts: &[Money]) -> Verdict {
        Verdict::Open(Open {
            exception: None,
            cause: "tax_rounding".to_owned(),
            owner: Some("finance".to_owned()),
            money: amounts.to_vec(),
            first_seen: Timestamp::UNIX_EPOCH,
        })
    }

    pub(crate) fn row(key: &str, ours: Option<Side>, theirs: Option<Side>, verdict: Verdict) -> CloseRow {
        CloseRow {
            flow: "orders".into(),
            kind: Kind::Order,
            key: key.into(),
            order: Some(key.into()),
            sources: ours.iter().map(|_| key.into()).collect(),
            targets: theirs.iter().map(|_| format!("t{key}").as_str().into()).collect(),
            at: "2026-11-10T10:00:00Z".parse().unwrap(),
            on: None,
            market: "2".to_owned(),
            subsidiary: None,
            ours,
            theirs,
            verdict,
            note: String::new(),
        }
    }

    fn told(balance: &TrialBalance) -> Vec<String> {
        let told = |(key, line): (&LineKey, &Line)| {
            let two = |amount: NetTax| format!("{}/{}", amount.net.minor(), amount.tax.minor());
            format!(
                "{} {} open {} adjusted {} unexplained {}",
                key.currency,
                key.rate,
                two(line.open),
                two(line.adjusted),
                two(line.unexplained)
            )
        };
        balance.lines().map(told).collect()
    }

    fn of(rows: &[CloseRow]) -> TrialBalance {
        let mut balance = TrialBalance::default();
        for row in rows {
            balance.add(row).unwrap();
        }
        balance
    }

    #[test]
    fn an_open_item_explains_what_it_says_and_no_cent_more() {
        let (ours, theirs) = (side(&[("25", 8000, 2000)], "SEK"), side(&[("25", 8000, 1999)], "SEK"));
        for (claim, line) in [
            (1, "SEK 25 open 0/1 adjusted 0/0 unexplained 0/0"),
            (2, "SEK 25 open 1/1 adjusted 0/0 unexplained -1/0"),
            (0, "SEK 25 open -1/1 adjusted 0/0 unexplained 1/0"),
        ] {
            let balance = of(&[row("1", Some(ours.clone()), Some(theirs.clone()), open(&[money(claim, "SEK")]))]);
            assert_eq!(told(&balance), [line], "{claim}");
        }
    }

    #[test]
    fn agreement_with_a_difference_is_unexplained_unless_a_rule_accepts_it() {
        let pair =
            |verdict| row("1", Some(side(&[("25", 8000, 2000)], "SEK")), Some(side(&[("25", 8001, 1998)], "SEK")), verdict);
        assert_eq!(told(&of(&[pair(Verdict::Agreed(None))])), ["SEK 25 open 0/0 adjusted 0/0 unexplained -1/2"]);
        let adjustment = Adjustment { rule: "tolerance SEK 2".to_owned(), money: money(1, "SEK") };
        assert_eq!(told(&of(&[pair(Verdict::Agreed(Some(adjustment)))])), ["SEK 25 open 0/0 adjusted -1/2 unexplained 0/0"]);
    }

    #[test]
    fn the_same_total_at_other_rates_is_no_agreement() {
        let balance = of(&[row(
            "1",
            Some(side(&[("25", 8000, 2000)], "SEK")),
            Some(side(&[("12", 8929, 1071)], "SEK")),
            Verdict::Agreed(None),
        )]);
        assert_eq!(
            told(&balance),
            ["SEK 12 open 0/0 adjusted 0/0 unexplained -8929/-1071", "SEK 25 open 0/0 adjusted 0/0 unexplained 8000/2000"]
        );
    }

    #[test]
    fn sides_in_two_currencies_stand_on_two_lines() {
        let (ours, theirs) = (side(&[("25", 8000, 2000)], "SEK"), side(&[("25", 800, 200)], "EUR"));
        let balance = of(&[row("1", Some(ours), Some(theirs), open(&[money(10000, "SEK"), money(-1000, "EUR")]))]);
        assert_eq!(
            told(&balance),
            ["EUR 25 open -800/-200 adjusted 0/0 unexplained 0/0", "SEK 25 open 8000/2000 adjusted 0/0 unexplained 0/0"]
        );
    }

    pub(crate) fn any_side() -> impl Strategy<Value = Option<Side>> {
        let rate = prop::sample::select(vec!["25", "12", "6", "0", "unstated", "document"]);
        let amounts = prop::collection::vec((rate, -9_999_i64..99_999, -99_i64..9_999), 0..4);
        prop::option::of((amounts, prop::sample::select(vec!["SEK", "EUR", "JPY"])).prop_map(|(rates, code)| side(&rates, code)))
    }

    pub(crate) fn any_row() -> impl Strategy<Value = CloseRow> {
        (any_side(), any_side(), 0..5_u8, -3_i64..3, "[a-z0-9]{1,6}").prop_map(|(ours, theirs, kind, off, key)| {
            let currency = ours.as_ref().or(theirs.as_ref()).and_then(|side| side.currency).map_or("SEK", Currency::code);
            let verdict = match kind {
                0 => Verdict::Agreed(None),
                1 => Verdict::Agreed(Some(Adjustment { rule: "tolerance".to_owned(), money: money(off, currency) })),
                2 => Verdict::Excluded { rule: "internal".to_owned(), version: "1".to_owned() },
                3 => Verdict::InFlight { until: Timestamp::UNIX_EPOCH },
                _ => open(&[money(off, currency)]),
            };
            row(&key, ours, theirs, verdict)
        })
    }

    proptest! {
        /// The equation of the module, on every line.
        #[test]
        fn every_difference_is_explained_or_unexplained(rows in prop::collection::vec(any_row(), 0..20)) {
            let balance = of(&rows);
            for (key, line) in balance.lines() {
                let parts = [line.open, line.adjusted, line.excluded, line.in_flight, line.unexplained];
                let sum = parts.into_iter().try_fold(NetTax::zero(key.currency), NetTax::plus).unwrap();
                prop_assert_eq!(line.difference().unwrap(), sum, "{:?}", key);
            }
            // And what open items say is what the balance says they explain.
            for ((.., currency), sum) in balance.sums().unwrap() {
                let claimed = rows.iter().filter_map(|row| match &row.verdict {
                    Verdict::Open(open) => Some(&open.money),
                    _ => None,
                });
                let claimed = Money::sum(currency, claimed.flatten().copied().filter(|money| money.currency() == currency)).unwrap();
                prop_assert_eq!(sum.open.gross().unwrap(), claimed);
            }
            let counted: u64 = balance.counts().map(|(_, _, counts)| counts.rows.total()).sum();
            prop_assert_eq!(counted, rows.len() as u64);
        }
    }
}
