//! The declared checks on a record by itself.

use serde::{Deserialize, Serialize};

use crate::{money::Currency, problem::Problem, records::Order};

/// What a brand demands of an order before it may pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrderPolicy {
    /// Whether an order that the shop has not confirmed may pass. Default: no, it waits.
    pub pending: bool,
    /// Whether an order without a successful authorisation, capture or tender for its total may pass. Default: yes.
    pub unpaid: bool,
    /// Currencies that may pass; empty means all.
    pub currencies: Vec<Currency>,
    /// Whether internal orders (samples, staff) pass too. Default: no, they are excluded.
    pub internal: bool,
    /// Address fields that must be there, besides the country, which always must:
    /// `first_name last_name line1 postcode city`. Default: `line1 city`.
    pub address_fields: Vec<String>,
    /// By how many minor units lines + tax + shipping - discounts may differ from the stated total. Default: 0.
    pub totals_tolerance_minor: i64,
}

impl Default for OrderPolicy {
    fn default() -> Self {
        Self {
            pending: false,
            unpaid: true,
            currencies: Vec::new(),
            internal: false,
            address_fields: vec!["line1".to_owned(), "city".to_owned()],
            totals_tolerance_minor: 0,
        }
    }
}

/// What the rules alone say about an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may pass, as far as the record alone tells.
    Fit,
    /// It may not.
    Unfit(Vec<Problem>),
    /// It does not belong in the flow. (Cancelled before anything was handed over, internal.)
    Excluded {
        /// The rule.
        rule: &'static str,
        /// Its version.
        version: u32,
        /// Why.
        reason: String,
    },
    /// Not yet: on hold, waiting for payment, not confirmed. The source will tell when that changes;
    /// until then it is in flight and not an exception.
    NotYet(String),
}

/// Checks an order by itself. `handed_over`: whether a document may already stand at the target.
pub fn check_order(_order: &Order, _policy: &OrderPolicy, _handed_over: bool) -> Standing {
    todo!("helper")
}
