//! What must hold before anything is written: declared rules and mapped values.
//!
//! `rules` looks at the record alone; `mapping` asks for every value that the target names
//! differently. Together they give a [`Verdict`]. No write happens before it says [`Verdict::Cleared`].

pub mod mapping;
pub mod preflight;
pub mod products;
pub mod rules;

use serde::{Deserialize, Serialize};

pub use mapping::{Lookup, Values};

use crate::{id::RecordKey, problem::Problem, records::Kind};

/// What the gate decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Everything holds; these are the target's words for the record's values.
    Cleared(Values),
    /// Something does not; the reasons, each with its remedy.
    Held(Vec<Problem>),
    /// A named rule says that this record does not belong in this flow.
    Excluded {
        /// The rule, `area.rule`.
        rule: String,
        /// Its version: a rule that changes its mind gets a new one.
        version: u32,
        /// Why, in a sentence.
        reason: String,
    },
    /// Another record must stand at the target first.
    Waits {
        /// Its kind.
        kind: Kind,
        /// Its key.
        key: RecordKey,
    },
}
