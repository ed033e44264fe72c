//! Credits: which sale they give back, for how much, and whether both halves are there.
//!
//! - [`link`]: a credit that names no sale is linked to what its buyer bought.
//! - [`whole`]: what there is to give back of an order, line by line; a bundle by its components.
//! - [`settle`]: what the units of a credit line are worth: parts that sum to the whole, the last takes the remainder.
//! - [`halves`]: goods and money belong together; one without the other is somebody's case.

pub mod halves;
#[cfg(test)]
mod laws;
pub mod link;
pub mod settle;
pub mod whole;

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What becomes of a credit that names no sale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkRule {
    /// It is held, with the best candidates shown.
    #[default]
    Never,
    /// It is linked to what the same buyer bought before of the same item: at the same unit price first, the oldest
    /// first, split where needed. What no sale explains is held all the same.
    OldestFirst,
}

/// What the lines of a credit are worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreditAmounts {
    /// What they were sold for, at the tax of the sale; a source that states another amount by more than rounding is held.
    #[default]
    AsSold,
    /// What the source of the credit states: it sets its own prices and tax. Only units are held against the sale.
    AsStated,
}

/// What the gate demands of credit notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreditPolicy {
    /// What becomes of a credit that names no sale.
    pub link: LinkRule,
    /// What its lines are worth.
    pub amounts: CreditAmounts,
    /// How long a credit waits for a sale that nobody has told of yet, before a person is asked.
    pub patience: Duration,
}

impl Default for CreditPolicy {
    fn default() -> Self {
        Self { link: LinkRule::Never, amounts: CreditAmounts::AsSold, patience: Duration::from_secs(15 * 60) }
    }
}
