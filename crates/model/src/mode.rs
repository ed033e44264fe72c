//! Whether a flow writes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a flow does with what it is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It delivers and confirms.
    #[default]
    Live,
    /// Everything up to the write, which never happens: it looks for the document at the target and compares.
    Shadow,
    /// It captures nothing and owes nothing.
    Off,
}

impl Mode {
    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Mode::Live => "live",
            Mode::Shadow => "shadow",
            Mode::Off => "off",
        }
    }
}
