//! The stock of the instance: one warehouse per market, and in each a ledger of every size.
//!
//! The rule of the ledger is `physical = free to allocate + allocated`; what orders want beyond that is demand. An order
//! takes what is free when it is placed, and what a shopper took an integration never learns from `setStock`: it writes
//! the physical figure, and Centra subtracts its own allocations.
//!
//! Centra's papers leave much of this open. Each such point is an option here or says that it is inferred.

mod admin;
mod ledger;
mod read;
mod sale;
mod shelf;
mod write;

use serde::{Deserialize, Serialize};

pub use admin::{Figures, LostSales, Refused, StockCounts, opening, rules, uncovered};
pub use ledger::{Goods, Ledger, wants};
pub use sale::Sale;
pub use shelf::{Shelf, collection, folder, unit_cost};
pub use write::{change_stock, policy_action, set_stock};

/// What the warehouses hold before the first order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Opening {
    /// Nothing: an integration brings the figures.
    #[default]
    Nothing,
    /// So many units of every size in every warehouse.
    Each(i32),
    /// Units by (SKU, market's id); nothing of the rest. What names no size or no market is left out.
    Given(Vec<(String, i32, i32)>),
}

/// The store's setting "overselling prevention".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overselling {
    /// No check: what is not there becomes demand. Orders that happened long ago are always placed.
    #[default]
    Off,
    /// Checked when the payment begins: an order that is not covered to the last unit is not placed.
    Standard,
}

/// What `setStock` does with a figure below what is allocated. Centra's papers say it of another API only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BelowAllocated {
    /// It is lifted to the allocated units, and nobody is told.
    #[default]
    Lift,
    /// The row is an error.
    Refuse,
}

/// What a mutation of stock does when some of its rows are wrong. Not documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongRows {
    /// Nothing is applied.
    RefuseAll,
    /// The good rows are applied; the wrong ones come back as user errors.
    ApplyRest,
}

/// How the instance treats stock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockOptions {
    /// What is there at first.
    pub opening: Opening,
    /// Whether shoppers can buy what is not there.
    pub overselling: Overselling,
    /// Whether waiting demand is allocated, oldest order first, as soon as units become free. Our reading: Centra's
    /// papers only say that allocation happens when an order is placed, "else on demand".
    pub fill_waiting: bool,
    /// What becomes of a figure below what is allocated.
    pub below_allocated: BelowAllocated,
    /// What becomes of a call of which some rows are wrong. `None`: the good rows are applied where nothing goes wrong,
    /// and under mischief the seed decides for the whole instance.
    pub wrong_rows: Option<WrongRows>,
    /// The most rows of one `setStock` or `changeStock`. Centra has not published its cap.
    pub rows_max: usize,
    /// Whether no order is placed before any warehouse has any stock: a shop opens when it is filled.
    pub waits_for_stock: bool,
    /// Whether a size shows a row of noughts in a warehouse that it was never in. Not documented.
    pub blank_rows: bool,
}

impl Default for StockOptions {
    fn default() -> StockOptions {
        StockOptions {
            opening: Opening::Nothing,
            overselling: Overselling::Off,
            fill_waiting: true,
            below_allocated: BelowAllocated::Lift,
            wrong_rows: None,
            rows_max: 500,
            waits_for_stock: false,
            blank_rows: true,
        }
    }
}

/// The options as they are in force, with nothing left to the seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// See [`StockOptions::below_allocated`].
    pub below_allocated: BelowAllocated,
    /// See [`StockOptions::wrong_rows`].
    pub wrong_rows: WrongRows,
    /// See [`StockOptions::rows_max`].
    pub rows_max: usize,
    /// See [`StockOptions::blank_rows`].
    pub blank_rows: bool,
    /// Whether some sizes have no EAN and some the EAN of their neighbour, as happens in real catalogues.
    pub odd_eans: bool,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            below_allocated: BelowAllocated::Lift,
            wrong_rows: WrongRows::ApplyRest,
            rows_max: 500,
            blank_rows: true,
            odd_eans: false,
        }
    }
}

/// One figure that is written: a size in a warehouse and its new physical units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u32, u32, i64)", into = "(u32, u32, i64)")]
pub struct Figure {
    /// Index of the warehouse.
    pub warehouse: u32,
    /// Index of the item.
    pub item: u32,
    /// Units.
    pub physical: i64,
}

impl From<(u32, u32, i64)> for Figure {
    fn from((warehouse, item, physical): (u32, u32, i64)) -> Figure {
        Figure { warehouse, item, physical }
    }
}

impl From<Figure> for (u32, u32, i64) {
    fn from(figure: Figure) -> (u32, u32, i64) {
        (figure.warehouse, figure.item, figure.physical)
    }
}
