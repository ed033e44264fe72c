//! `[returns]`: how long one half of a return may be without the other.

use schemars::JsonSchema;
use selvedge_flow::HalvesSetup;
use serde::{Deserialize, Serialize};

use super::words::Span;

/// How long one half of a return may be without the other, before somebody owns it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReturnSettings {
    /// From the credit to the goods. Default: 21d.
    pub goods_within: Span,
    /// From the goods to the credit. Default: 5d.
    pub money_within: Span,
    /// From the credit to the money, where its source tells of transactions. Default: 5d.
    pub refund_within: Span,
}

impl Default for ReturnSettings {
    fn default() -> Self {
        let HalvesSetup { goods_within, money_within, refund_within } = HalvesSetup::default();
        Self { goods_within: Span(goods_within), money_within: Span(money_within), refund_within: Span(refund_within) }
    }
}

impl From<&ReturnSettings> for HalvesSetup {
    fn from(settings: &ReturnSettings) -> Self {
        Self {
            goods_within: settings.goods_within.0,
            money_within: settings.money_within.0,
            refund_within: settings.refund_within.0,
        }
    }
}
