//! Which quantity of the source stands at the target: on hand sent as available, another place counted in, goods that are still on their way.
//!
//! One item proves nothing: figures are small and often equal. A fit that is what available is too is no evidence, and what is
//! said is said of many items ([`vote`]).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::records::StockLevel;

/// Items that must agree before a quantity is named.
const VOTES_MIN: usize = 3;
/// Of ten items on which a quantity differs from available, so many must show it.
const OF_TEN_MIN: usize = 9;

/// What a source states of one item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceQuantities {
    /// What is right to show: free to sell at the places that count.
    pub available: i64,
    /// Physically there, promised units included.
    pub on_hand: i64,
    /// Promised to orders and there.
    pub committed: i64,
    /// Promised to orders and not there.
    pub back_ordered: i64,
    /// Asked for by orders that nobody has approved yet.
    pub pending_approval: i64,
    /// Ordered from suppliers.
    pub on_order: i64,
    /// On the way between places.
    pub in_transit: i64,
    /// Kept back.
    pub buffer: i64,
    /// Available at every place, those that do not count included.
    pub available_everywhere: i64,
    /// Physically at every place.
    pub on_hand_everywhere: i64,
}

impl From<&StockLevel> for SourceQuantities {
    /// Of one place: it is taken for the only one, and nothing is kept back.
    fn from(level: &StockLevel) -> Self {
        Self {
            available: level.free(),
            on_hand: level.on_hand,
            committed: level.committed,
            back_ordered: level.back_ordered,
            pending_approval: level.pending_approval,
            on_order: level.incoming,
            in_transit: 0,
            buffer: 0,
            available_everywhere: level.free(),
            on_hand_everywhere: level.on_hand,
        }
    }
}

/// A quantity that may be shown in the place of what is available, the likeliest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Physical units: what is promised is sold again.
    OnHand,
    /// Physical units less what is promised: without back orders, approvals and buffer.
    OnHandLessCommitted,
    /// Available before the buffer is kept back.
    WithoutBuffer,
    /// Available and what suppliers still have to bring.
    WithOnOrder,
    /// Physical units and what suppliers still have to bring.
    OnHandWithOnOrder,
    /// Physical units and what is on the way between places.
    OnHandWithInTransit,
    /// Available and what is on the way between places.
    WithInTransit,
    /// Available at every place.
    AvailableEverywhere,
    /// Physical units at every place.
    OnHandEverywhere,
    /// Available less what is promised: promises are taken off twice.
    CommittedTwice,
    /// What is promised.
    Committed,
    /// Available, with nought in the place of what is below it.
    LiftedToNought,
}

impl Quantity {
    /// All of them.
    pub const ALL: [Quantity; 12] = [
        Quantity::OnHand,
        Quantity::OnHandLessCommitted,
        Quantity::WithoutBuffer,
        Quantity::WithOnOrder,
        Quantity::OnHandWithOnOrder,
        Quantity::OnHandWithInTransit,
        Quantity::WithInTransit,
        Quantity::AvailableEverywhere,
        Quantity::OnHandEverywhere,
        Quantity::CommittedTwice,
        Quantity::Committed,
        Quantity::LiftedToNought,
    ];

    /// What it comes to of one item.
    pub fn of(self, source: &SourceQuantities) -> i64 {
        let available = source.available;
        match self {
            Quantity::OnHand => source.on_hand,
            Quantity::OnHandLessCommitted => source.on_hand.saturating_sub(source.committed),
            Quantity::WithoutBuffer => available.saturating_add(source.buffer),
            Quantity::WithOnOrder => available.saturating_add(source.on_order),
            Quantity::OnHandWithOnOrder => source.on_hand.saturating_add(source.on_order),
            Quantity::OnHandWithInTransit => source.on_hand.saturating_add(source.in_transit),
            Quantity::WithInTransit => available.saturating_add(source.in_transit),
            Quantity::AvailableEverywhere => source.available_everywhere,
            Quantity::OnHandEverywhere => source.on_hand_everywhere,
            Quantity::CommittedTwice => available.saturating_sub(source.committed),
            Quantity::Committed => source.committed,
            Quantity::LiftedToNought => available.max(0),
        }
    }

    /// Whether it is another figure than available, and than the simpler quantity that it is made of: else it says nothing.
    fn tells(self, source: &SourceQuantities) -> bool {
        let figure = self.of(source);
        let simpler = match self {
            Quantity::OnHandLessCommitted
            | Quantity::OnHandWithOnOrder
            | Quantity::OnHandWithInTransit
            | Quantity::OnHandEverywhere => source.on_hand,
            _ => source.available,
        };
        figure != source.available && figure != simpler
    }

    /// What happened, in a sentence.
    pub const fn told(self) -> &'static str {
        match self {
            Quantity::OnHand => "On hand is sent as available: promised units are sold again.",
            Quantity::OnHandLessCommitted => "Back orders, unapproved orders or the buffer are not taken off.",
            Quantity::WithoutBuffer => "The buffer is not kept back.",
            Quantity::WithOnOrder => "Goods that suppliers still have to bring are sent as available.",
            Quantity::OnHandWithOnOrder => "On hand and goods that suppliers still have to bring are sent as available.",
            Quantity::OnHandWithInTransit => "On hand and goods on the way between places are sent as available.",
            Quantity::WithInTransit => "Goods on the way between places are sent as available.",
            Quantity::AvailableEverywhere => "Places that do not sell here are counted in.",
            Quantity::OnHandEverywhere => "On hand of every place is sent as available.",
            Quantity::CommittedTwice => "Promised units are taken off twice.",
            Quantity::Committed => "Promised units are sent as available.",
            Quantity::LiftedToNought => "What is oversold is shown as nought.",
        }
    }
}

/// Which quantities of the source are the figure shown at the target. Nothing where available itself is, and none that is what
/// available is: neither tells anything.
pub fn which_quantity(source: &SourceQuantities, shown: i64) -> Vec<Quantity> {
    if shown == source.available {
        return Vec::new();
    }
    Quantity::ALL.into_iter().filter(|quantity| quantity.tells(source) && quantity.of(source) == shown).collect()
}

/// What many items say together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Items that were looked at.
    pub items: usize,
    /// Of these, items that show what is available.
    pub right: usize,
    /// Items on which a quantity tells something (it is neither available nor a simpler quantity) and is what is shown.
    pub shown: BTreeMap<Quantity, usize>,
    /// Items on which a quantity tells something.
    pub telling: BTreeMap<Quantity, usize>,
    /// The quantities that nearly every telling item shows, the one that explains most items first; of equal ones the likeliest.
    pub decided: Vec<Quantity>,
}

/// Decides over many items which quantity is sent in the place of what is available: the one that at least three items show, and nine
/// of ten of those on which it differs from available.
pub fn vote<'a>(many: impl IntoIterator<Item = (&'a SourceQuantities, i64)>) -> Vote {
    let mut vote = Vote::default();
    for (source, shown) in many {
        vote.items += 1;
        vote.right += usize::from(shown == source.available);
        for quantity in Quantity::ALL.into_iter().filter(|quantity| quantity.tells(source)) {
            *vote.telling.entry(quantity).or_default() += 1;
        }
        for quantity in which_quantity(source, shown) {
            *vote.shown.entry(quantity).or_default() += 1;
        }
    }
    let shows = |quantity: &Quantity| vote.shown.get(quantity).copied().unwrap_or(0);
    let nearly_all = |quantity: &Quantity| {
        let telling = vote.telling.get(quantity).copied().unwrap_or(0);
        shows(quantity) >= VOTES_MIN && shows(quantity).saturating_mul(10) >= telling.saturating_mul(OF_TEN_MIN)
    };
    let mut decided: Vec<Quantity> = Quantity::ALL.into_iter().filter(nearly_all).collect();
    decided.sort_by_key(|quantity| (std::cmp::Reverse(shows(quantity)), *quantity));
    vote.decided = decided;
    vote
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn item(on_hand: i64, committed: i64, back_ordered: i64, on_order: i64) -> SourceQuantities {
        let available = on_hand - committed - back_ordered;
        SourceQuantities {
            available,
            on_hand,
            committed,
            back_ordered,
            on_order,
            available_everywhere: available + 7,
            on_hand_everywhere: on_hand + 9,
            ..SourceQuantities::default()
        }
    }

    #[test]
    fn a_fit_that_is_available_too_says_nothing() {
        assert_eq!(which_quantity(&item(5, 0, 0, 0), 5), []);
        assert_eq!(which_quantity(&item(5, 2, 0, 4), 5), [Quantity::OnHand]);
        assert_eq!(which_quantity(&item(5, 2, 0, 4), 7), [Quantity::WithOnOrder]);
        assert_eq!(which_quantity(&item(5, 2, 1, 4), 3), [Quantity::OnHandLessCommitted]);
        assert_eq!(which_quantity(&item(5, 2, 0, 4), 99), []);
        assert_eq!(which_quantity(&item(1, 1, 3, 0), 0), [Quantity::OnHandLessCommitted, Quantity::LiftedToNought]);
    }

    #[test]
    fn a_single_item_decides_nothing() {
        let one = item(5, 2, 0, 4);
        assert_eq!(vote([(&one, 5)]).decided, []);
        assert_eq!(vote([(&one, 5), (&one, 5)]).decided, []);
        let three = vote([(&one, 5), (&one, 5), (&one, 5)]);
        assert_eq!((three.decided, three.right), (vec![Quantity::OnHand], 0));
    }

    proptest! {
        #[test]
        fn what_is_sent_is_named_whatever_the_stock(
            stock in proptest::collection::vec((0_i64..50, 1_i64..9, 0_i64..4, 1_i64..40), 5..60), at in 0_usize..11
        ) {
            let quantity = Quantity::ALL[at];
            let items: Vec<SourceQuantities> = stock.iter().map(|(there, committed, back, order)| {
                SourceQuantities { buffer: 2, in_transit: 3, ..item(*there, *committed, *back, *order) }
            }).collect();
            let vote = vote(items.iter().map(|item| (item, quantity.of(item))));
            if vote.telling.get(&quantity).copied().unwrap_or(0) >= VOTES_MIN {
                prop_assert!(vote.decided.contains(&quantity), "{quantity:?}: {vote:?}");
            }
            // A quantity that is seldom what is shown is not accused.
            for other in &vote.decided {
                let same = items.iter().filter(|item| other.of(item) == quantity.of(item) && other.tells(item)).count();
                prop_assert!(same * 10 >= vote.telling[other] * OF_TEN_MIN);
            }
        }

        #[test]
        fn what_is_right_accuses_nobody(stock in proptest::collection::vec((0_i64..50, 0_i64..9, 0_i64..4, 0_i64..40), 5..60)) {
            let items: Vec<SourceQuantities> = stock.iter().map(|(a, b, c, d)| item(*a, *b, *c, *d)).collect();
            let vote = vote(items.iter().map(|item| (item, item.available)));
            prop_assert_eq!((vote.decided.len(), vote.right), (0, items.len()));
        }
    }
}
