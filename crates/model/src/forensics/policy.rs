//! A policy of rounding: where, how, and of what. Each has a name in plain words and the setting that makes it.

use serde::{Deserialize, Serialize};

use crate::{money::Rounding, tax::TaxPolicy};

/// Which figures are rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// Tax.
    Tax,
    /// Prices: what units cost without tax.
    Price,
}

/// What the rate is applied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Base {
    /// Prices without tax; tax comes on top.
    Net,
    /// Prices with tax; tax is taken out.
    Gross,
}

/// How a figure of one line follows: from the sum of many that is rounded once, or from the line itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shares {
    /// Each is rounded by itself; they need not add up.
    Alone,
    /// The sum is shared out by weight, the cents left over go to the largest remainders.
    LargestRemainder,
    /// The running sum is rounded, a line is the difference of two.
    Running,
    /// Each is rounded by itself, the last takes the rest.
    LastTakesRest,
    /// Each is rounded by itself, the one with the most tax takes the rest: of lines, charges and discounts of a rate together.
    LargestTakesRest,
    /// Of a scope that rounds each unit: a unit costs its share of the line, to eight decimal places, whatever is quoted.
    OfLine,
}

/// One way to round a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Policy {
    /// Which figures.
    pub of: Of,
    /// Where.
    pub scope: TaxPolicy,
    /// How.
    pub rounding: Rounding,
    /// From which prices.
    pub base: Base,
    /// What lines are told; of a scope that rounds each line, `Alone`, of one that rounds each unit, that or `OfLine`.
    pub shares: Shares,
}

impl Policy {
    /// What it does: "tax rounded once per document and rate, half-even, from net prices".
    pub fn name(self) -> String {
        let what = match self.of {
            Of::Tax => "tax",
            Of::Price => "prices",
        };
        let from = match self.base {
            Base::Net => "net",
            Base::Gross => "gross",
        };
        let scope = match (self.of, self.scope) {
            (_, TaxPolicy::Unit) => "rounded per unit",
            (_, TaxPolicy::Line) => "rounded per line",
            (_, TaxPolicy::NetRoundedFirst) => "left over per line once the net is rounded",
            (Of::Tax, TaxPolicy::Document) => "rounded once per document and rate",
            (Of::Price, TaxPolicy::Document) | (_, TaxPolicy::Whole) => "rounded once per document",
        };
        let shares = match self.shares {
            Shares::Alone => "",
            Shares::LargestRemainder => ", shared out to the lines by largest remainder",
            Shares::Running => ", told by line as the running sum",
            Shares::LastTakesRest => ", the last line taking the rest",
            Shares::LargestTakesRest => ", the amount with the most tax taking the rest",
            Shares::OfLine => ", a unit being its share of the line",
        };
        format!("{what} {scope}, {}, from {from} prices{shares}", self.rounding.words())
    }

    /// The setting that makes it: "Round tax per line, half-up".
    pub fn setting(self) -> String {
        let what = match self.of {
            Of::Tax => "Round tax",
            Of::Price => "Round prices",
        };
        let scope = match (self.of, self.scope) {
            (_, TaxPolicy::Unit) => "per unit",
            (_, TaxPolicy::Line) => "per line",
            (_, TaxPolicy::NetRoundedFirst) => "per line by rounding the net first",
            (Of::Tax, TaxPolicy::Document) => "once per document and rate",
            (Of::Price, TaxPolicy::Document) | (_, TaxPolicy::Whole) => "once per document",
        };
        let base = match self.base {
            Base::Net => "",
            Base::Gross => ", prices with tax",
        };
        format!("{what} {scope}, {}{base}", self.rounding.words())
    }
}

/// Ways to round a positive amount, the most usual first.
const ROUNDINGS: [Rounding; 5] = [Rounding::HalfUp, Rounding::HalfEven, Rounding::Down, Rounding::Up, Rounding::HalfDown];

/// Ways that differ from those below nought alone.
const SIGNED: [Rounding; 4] = [Rounding::HalfCeil, Rounding::HalfFloor, Rounding::Ceil, Rounding::Floor];

/// Every way to round, the most usual first.
pub(super) fn roundings(negative: bool) -> impl Iterator<Item = Rounding> {
    ROUNDINGS.into_iter().chain(SIGNED.into_iter().filter(move |_| negative))
}

/// Where tax may be rounded and what lines are told then, the most usual first.
const SCOPES: [(TaxPolicy, Shares); 13] = [
    (TaxPolicy::Line, Shares::Alone),
    (TaxPolicy::Document, Shares::Alone),
    (TaxPolicy::Unit, Shares::Alone),
    (TaxPolicy::Unit, Shares::OfLine),
    (TaxPolicy::NetRoundedFirst, Shares::Alone),
    (TaxPolicy::Document, Shares::LargestRemainder),
    (TaxPolicy::Document, Shares::Running),
    (TaxPolicy::Document, Shares::LastTakesRest),
    (TaxPolicy::Document, Shares::LargestTakesRest),
    (TaxPolicy::Whole, Shares::Alone),
    (TaxPolicy::Whole, Shares::LargestRemainder),
    (TaxPolicy::Whole, Shares::Running),
    (TaxPolicy::Whole, Shares::LastTakesRest),
];

/// Every policy for tax from prices of this base, the most usual first.
pub(super) fn of_tax(base: Base, negative: bool) -> impl Iterator<Item = Policy> {
    roundings(negative)
        .flat_map(move |rounding| SCOPES.map(|(scope, shares)| Policy { of: Of::Tax, scope, rounding, base, shares }))
        .filter(|policy| policy.base == Base::Gross || policy.scope != TaxPolicy::NetRoundedFirst)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_policy_is_named_in_plain_words() {
        let policy = Policy {
            of: Of::Tax,
            scope: TaxPolicy::Document,
            rounding: Rounding::HalfEven,
            base: Base::Net,
            shares: Shares::Alone,
        };
        assert_eq!(policy.name(), "tax rounded once per document and rate, half-even, from net prices");
        let line = Policy { scope: TaxPolicy::Line, rounding: Rounding::HalfUp, ..policy };
        assert_eq!(line.setting(), "Round tax per line, half-up");
        let unit = Policy { of: Of::Price, scope: TaxPolicy::Unit, rounding: Rounding::Down, ..policy };
        assert_eq!(unit.name(), "prices rounded per unit, truncating, from net prices");
    }

    #[test]
    fn no_two_policies_have_one_name() {
        let all: Vec<Policy> = of_tax(Base::Net, true).chain(of_tax(Base::Gross, true)).collect();
        let names: BTreeSet<String> = all.iter().map(|policy| policy.name()).collect();
        assert_eq!(names.len(), all.len());
        assert_eq!(all.first().map(|policy| policy.setting()).as_deref(), Some("Round tax per line, half-up"));
    }
}
