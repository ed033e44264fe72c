//! `[flows.NAME.credits]`: what becomes of a credit that names no sale, and what its lines are worth.

use schemars::JsonSchema;
use selvedge_flow::{CreditAmounts, CreditPolicy, LinkRule};
use serde::{Deserialize, Serialize};

use super::words::Span;

/// What becomes of a credit that names no sale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// It is held, with the best candidates shown.
    #[default]
    Never,
    /// It is linked to what the same buyer bought before of the same item: at the same unit price first, the oldest
    /// first, split where needed. What no sale explains is held all the same.
    OldestFirst,
}

/// What the lines of a credit are worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Amounts {
    /// What they were sold for, at the tax of the sale. A source that states another amount by more than rounding is held.
    #[default]
    AsSold,
    /// What the source of the credit states: it sets its own prices and tax. Only units are held against the sale.
    AsStated,
}

/// For a flow of credit notes: which sale they give back, and for how much.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CreditSettings {
    /// What becomes of a credit that names no sale: never (it is held, with the best candidates shown) or oldest_first (linked to what
    /// the same buyer bought of the same item, at the same price first, the oldest first). Default: never.
    pub link: Link,
    /// What its lines are worth: as_sold (at the price and tax of the sale) or as_stated (at those of its source). Default: as_sold.
    pub amounts: Amounts,
    /// How long a credit waits for a sale that nobody has told of yet, before a person is asked. Default: 15m.
    pub patience: Span,
}

impl Default for CreditSettings {
    fn default() -> Self {
        Self { link: Link::Never, amounts: Amounts::AsSold, patience: Span(CreditPolicy::default().patience) }
    }
}

impl From<&CreditSettings> for CreditPolicy {
    fn from(settings: &CreditSettings) -> Self {
        Self {
            link: match settings.link {
                Link::Never => LinkRule::Never,
                Link::OldestFirst => LinkRule::OldestFirst,
            },
            amounts: match settings.amounts {
                Amounts::AsSold => CreditAmounts::AsSold,
                Amounts::AsStated => CreditAmounts::AsStated,
            },
            patience: settings.patience.0,
        }
    }
}
