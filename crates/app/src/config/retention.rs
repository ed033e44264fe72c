//! `[retention]`: for how long content is kept. That something was there, and its digest, is kept for ever.

use schemars::JsonSchema;
use selvedge_flow::privacy::Retention;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::words::Pace;

/// Thirteen months: a year that can be compared with the same season of the one before.
const KEPT: Duration = Duration::from_secs(396 * 86_400);

/// For how long content is kept: "396d", or "off" for ever. What is in flight or held is kept however old it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionSettings {
    /// Documents as they came from the systems: what a replay runs over. Default: 396d.
    pub documents: Pace,
    /// Webhook deliveries as they came. Default: 396d.
    pub webhooks: Pace,
    /// Names, addresses and what else tells who somebody is, in records and their stories. Default: 396d.
    pub people: Pace,
}

impl Default for RetentionSettings {
    fn default() -> Self {
        Self { documents: Pace(Some(KEPT)), webhooks: Pace(Some(KEPT)), people: Pace(Some(KEPT)) }
    }
}

impl From<RetentionSettings> for Retention {
    fn from(settings: RetentionSettings) -> Self {
        Self { documents: settings.documents.0, webhooks: settings.webhooks.0, people: settings.people.0 }
    }
}
