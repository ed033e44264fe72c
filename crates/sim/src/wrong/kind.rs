//! The kinds of wrongness; the word is the kind.

use serde::{Deserialize, Serialize};

/// A kind of wrongness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The sales order is gone.
    Deleted,
    /// The sales order stands twice.
    Doubled,
    /// Country, e-mail, reference or shipping method is another.
    EditedHeader,
    /// Quantity or amount of a line is another.
    EditedLine,
    /// A tax is another, by more than a rounding.
    EditedTax,
    /// A line is of an item whose name differs in case.
    SkuCase,
    /// Another company's document.
    Subsidiary,
    /// The same figures in another currency.
    Currency,
    /// Tax rounded per unit.
    RoundUnit,
    /// Tax rounded per document.
    RoundDocument,
    /// Tax rounded half to even.
    RoundHalfEven,
    /// Tax cut off.
    RoundDown,
    /// Tax worked out of the amounts with tax instead of those without, or the other way round.
    RoundGross,
    /// Taxed at the rate before.
    OldRate,
    /// A shipment that left is not in the shop.
    MissingShipment,
    /// Another tracking number in the shop.
    Tracking,
    /// The same units left twice.
    ShippedTwice,
    /// A credit whose goods were never received.
    CreditWithoutGoods,
    /// Goods that were received and never credited.
    GoodsWithoutCredit,
    /// More is credited than was sold.
    OverCredit,
    /// A credit that was not paid back.
    RefundMissing,
    /// A credit that was paid back twice.
    RefundDoubled,
    /// The shop shows what is on hand instead of what is available.
    OnHand,
    /// Somebody else wrote a figure into the shop.
    ForeignStock,
    /// The document came many hours after the order.
    Late,
    /// An order of which nobody was told.
    LostEvent,
    /// An edit of which nobody was told.
    StaleEdit,
    /// For a while, all documents of a market got another shipping method.
    MappingMidway,
    /// The document has the day of another zone.
    DayShifted,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 29] = [
        Kind::Deleted,
        Kind::Doubled,
        Kind::EditedHeader,
        Kind::EditedLine,
        Kind::EditedTax,
        Kind::SkuCase,
        Kind::Subsidiary,
        Kind::Currency,
        Kind::RoundUnit,
        Kind::RoundDocument,
        Kind::RoundHalfEven,
        Kind::RoundDown,
        Kind::RoundGross,
        Kind::OldRate,
        Kind::MissingShipment,
        Kind::Tracking,
        Kind::ShippedTwice,
        Kind::CreditWithoutGoods,
        Kind::GoodsWithoutCredit,
        Kind::OverCredit,
        Kind::RefundMissing,
        Kind::RefundDoubled,
        Kind::OnHand,
        Kind::ForeignStock,
        Kind::Late,
        Kind::LostEvent,
        Kind::StaleEdit,
        Kind::MappingMidway,
        Kind::DayShifted,
    ];

    /// Whether it wants an order of which something came back.
    pub(super) fn of_returns(self) -> bool {
        matches!(
            self,
            Kind::CreditWithoutGoods | Kind::GoodsWithoutCredit | Kind::OverCredit | Kind::RefundMissing | Kind::RefundDoubled
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_listed_once_and_has_a_word() {
        let mut words: Vec<String> = Kind::ALL.iter().map(|kind| serde_json::to_string(kind).unwrap()).collect();
        assert_eq!((words[0].as_str(), words[10].as_str()), ("\"deleted\"", "\"round_half_even\""));
        words.sort();
        words.dedup();
        assert_eq!(words.len(), Kind::ALL.len());
    }
}
