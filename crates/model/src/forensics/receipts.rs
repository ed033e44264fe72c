//! Goods receipts against what was ordered, and the costs on top of an order against what they usually are.
//!
//! What was ordered and what is on the shelf differ for reasons that are no error: less came, or some of it was sent back. Each is
//! named, so that what is left is one. Prices of purchases may be finer than the currency, so they are decimals with a step.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::money::Rounding;

/// One line of a purchase, in units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Asked for.
    pub ordered: Decimal,
    /// Came.
    pub received: Decimal,
    /// Of these, sent back.
    pub rejected: Decimal,
    /// Put on the shelf.
    pub stocked: Decimal,
}

/// Why the shelf has another number than was ordered. Units are above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptGap {
    /// So many did not come: short received.
    ShortReceived(Decimal),
    /// So many more came.
    OverReceived(Decimal),
    /// So many came and were sent back.
    Rejected(Decimal),
    /// So many are on the shelf that were not received, or were rejected.
    TooManyStocked(Decimal),
    /// So many were received, not rejected, and are not on the shelf.
    NotStocked(Decimal),
}

impl ReceiptGap {
    /// The words for it.
    pub const fn words(self) -> &'static str {
        match self {
            ReceiptGap::ShortReceived(_) => "short received",
            ReceiptGap::OverReceived(_) => "over received",
            ReceiptGap::Rejected(_) => "rejected",
            ReceiptGap::TooManyStocked(_) => "stocked, not received",
            ReceiptGap::NotStocked(_) => "received, not stocked",
        }
    }
}

/// Every reason that the shelf has another number than was ordered; they add up to the difference.
pub fn receipt(line: &Receipt) -> Vec<ReceiptGap> {
    let above = |one: Decimal, other: Decimal| one.checked_sub(other).filter(|gap| *gap > Decimal::ZERO);
    let kept = line.received.checked_sub(line.rejected).unwrap_or(line.received);
    [
        above(line.ordered, line.received).map(ReceiptGap::ShortReceived),
        above(line.received, line.ordered).map(ReceiptGap::OverReceived),
        above(line.rejected, Decimal::ZERO).map(ReceiptGap::Rejected),
        above(line.stocked, kept).map(ReceiptGap::TooManyStocked),
        above(kept, line.stocked).map(ReceiptGap::NotStocked),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The sums of a purchase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purchase {
    /// What each line costs.
    pub lines: Vec<Decimal>,
    /// What they cost together, as stated.
    pub subtotal: Decimal,
    /// Tax, as stated.
    pub tax: Decimal,
    /// Freight, as stated.
    pub freight: Decimal,
    /// All of it, as stated.
    pub total: Decimal,
}

/// What tax and freight usually are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usual {
    /// Tax, in percent of the goods.
    pub tax: Decimal,
    /// Freight, in percent of the goods.
    pub freight: Decimal,
    /// The smallest step of an amount.
    pub step: Decimal,
    /// How amounts are rounded to it.
    pub rounding: Rounding,
}

/// A sum of a purchase that is another than it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CostGap {
    /// The lines do not make the subtotal; what they make.
    Subtotal(Decimal),
    /// Tax is another share of the goods: so many percent, where one short rate gives it.
    Tax(Option<Decimal>),
    /// Freight is another share of the goods: so many percent, where one short rate gives it.
    Freight(Option<Decimal>),
    /// Goods, tax and freight do not make the total; what they make.
    Total(Decimal),
}

/// Every sum that is another than it should be.
pub fn costs(purchase: &Purchase, usual: &Usual) -> Vec<CostGap> {
    let sum = |amounts: &[Decimal]| amounts.iter().try_fold(Decimal::ZERO, |sum, amount| sum.checked_add(*amount));
    let lines = sum(&purchase.lines).filter(|lines| *lines != purchase.subtotal).map(CostGap::Subtotal);
    let share = |stated: Decimal, rate: Decimal| {
        (at(purchase.subtotal, rate, usual) != Some(stated)).then(|| short_rate(purchase.subtotal, stated, usual))
    };
    let total = sum(&[purchase.subtotal, purchase.tax, purchase.freight]);
    [
        lines,
        share(purchase.tax, usual.tax).map(CostGap::Tax),
        share(purchase.freight, usual.freight).map(CostGap::Freight),
        total.filter(|total| *total != purchase.total).map(CostGap::Total),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn at(amount: Decimal, percent: Decimal, usual: &Usual) -> Option<Decimal> {
    let exact = crate::tax::exact(amount, percent, false).ok()?;
    usual.rounding.to_step(exact, usual.step).ok()
}

/// The rate with the fewest decimals (two at most) that gives the amount exactly.
fn short_rate(of: Decimal, amount: Decimal, usual: &Usual) -> Option<Decimal> {
    let percent = amount.checked_mul(Decimal::ONE_HUNDRED)?.checked_div(of)?;
    let gives = |rate: &Decimal| at(of, *rate, usual) == Some(amount);
    (0..=2).map(|places| percent.round_dp(places).normalize()).find(gives)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn d(text: &str) -> Decimal {
        Decimal::from_str_exact(text).unwrap()
    }

    fn gaps(ordered: &str, received: &str, rejected: &str, stocked: &str) -> Vec<&'static str> {
        let line = Receipt { ordered: d(ordered), received: d(received), rejected: d(rejected), stocked: d(stocked) };
        receipt(&line).into_iter().map(ReceiptGap::words).collect()
    }

    #[test]
    fn each_gap_has_its_name_and_they_add_up() {
        assert_eq!(gaps("4", "4.00", ".00", "4.00"), Vec::<&str>::new());
        assert_eq!(gaps("4", "3.00", ".00", "3.00"), ["short received"]);
        assert_eq!(gaps("4", "4", "1", "3"), ["rejected"]);
        assert_eq!(gaps("4", "3", "2", "1"), ["short received", "rejected"]);
        assert_eq!(gaps("4", "5", "0", "5"), ["over received"]);
        assert_eq!(gaps("4", "4", "1", "4"), ["rejected", "stocked, not received"]);
        assert_eq!(gaps("4", "4", "0", "2"), ["received, not stocked"]);
    }

    #[test]
    fn costs_are_a_usual_share_of_the_goods() {
        let usual = Usual { tax: d("8"), freight: d("2.5"), step: d("0.0001"), rounding: Rounding::HalfUp };
        let right = Purchase {
            lines: vec![d("135.3600"), d("136.7415")],
            subtotal: d("272.1015"),
            tax: d("21.7681"),
            freight: d("6.8025"),
            total: d("300.6721"),
        };
        assert_eq!(costs(&right, &usual), []);
        let cheap = Purchase { freight: d("5.4420"), total: d("299.3116"), ..right.clone() };
        assert_eq!(costs(&cheap, &usual), [CostGap::Freight(Some(d("2")))]);
        let wrong = Purchase { subtotal: d("272.1016"), total: d("1"), ..right };
        assert_eq!(costs(&wrong, &usual), [CostGap::Subtotal(d("272.1015")), CostGap::Total(d("300.6722"))]);
    }
}
