//! What may take two people: the acts, and which of them an admin has marked.

use serde::{Deserialize, Serialize};

use super::Right;
use crate::{ConnectionName, ExceptionId, ObligationId, close::Period};

/// One entry of a mapping table, to be set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MapEntry {
    /// At which target.
    pub connection: ConnectionName,
    /// Which table.
    pub table: String,
    /// What we call it.
    pub key: String,
    /// What the target calls it.
    pub value: String,
}

impl std::fmt::Display for MapEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} to {} at {}", self.table, self.key, self.value, self.connection)
    }
}

/// Entries that the words of an import name.
const NAMED_MAX: usize = 3;

/// An act that waits for a second person: everything that is needed to do it later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "act", rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// Set a mapping, or without a value remove it.
    Map {
        /// At which target.
        connection: ConnectionName,
        /// Which table.
        table: String,
        /// What we call it.
        key: String,
        /// What the target calls it.
        value: Option<String>,
        /// What stood there when it was asked for: what was set since was not meant to be overwritten.
        #[serde(default)]
        before: Option<String>,
        /// How many records it released when it was asked for: what waits since was not meant.
        #[serde(default)]
        records: u64,
    },
    /// Set many mappings together, as a file says.
    Import {
        /// Which.
        entries: Vec<MapEntry>,
        /// What stood in the place of each when it was asked for, in the same order.
        #[serde(default)]
        before: Vec<Option<String>>,
        /// How many records it released when it was asked for: what waits since was not meant.
        #[serde(default)]
        records: u64,
    },
    /// Send what an exception holds back to the gate.
    Release {
        /// Which.
        exception: ExceptionId,
        /// All of it at once, and not one record first.
        at_once: bool,
        /// How many records it moved when it was asked for: what has grown since was not meant.
        records: u64,
        /// The newest of what it held then: what came since, in place of others, was not meant either.
        #[serde(default)]
        newest: Option<ObligationId>,
    },
    /// Let go what an exception holds.
    Dismiss {
        /// Which.
        exception: ExceptionId,
        /// Why.
        reason: String,
        /// How many records it moved when it was asked for: what has grown since was not meant.
        records: u64,
        /// The newest of what it held then: what came since, in place of others, was not meant either.
        #[serde(default)]
        newest: Option<ObligationId>,
    },
    /// Sign a period.
    Sign {
        /// Whose books.
        entity: String,
        /// Which period.
        period: Period,
    },
    /// Open a restatement of a period that was signed.
    Restate {
        /// Whose books.
        entity: String,
        /// Which period.
        period: Period,
        /// What came late.
        reason: String,
        /// The hash of the pack that it restates, as it was signed when this was asked for.
        #[serde(default)]
        signed: Option<String>,
    },
    /// Say anew which acts take a second person, where something that did no longer does.
    Mark {
        /// What does from then on.
        marked: FourEyes,
        /// What did when it was asked for.
        before: FourEyes,
    },
}

impl Act {
    /// What whoever asks for it, and whoever approves it, must be allowed to do.
    pub const fn right(&self) -> Right {
        match self {
            Act::Map { .. } | Act::Import { .. } => Right::Map,
            Act::Release { .. } | Act::Dismiss { .. } => Right::Act,
            Act::Sign { .. } | Act::Restate { .. } => Right::Close,
            Act::Mark { .. } => Right::People,
        }
    }

    /// The same, asked for when it moved so many records.
    #[must_use]
    pub fn asked_for(mut self, moved: u64) -> Self {
        match &mut self {
            Act::Map { records, .. }
            | Act::Import { records, .. }
            | Act::Release { records, .. }
            | Act::Dismiss { records, .. } => *records = moved,
            Act::Sign { .. } | Act::Restate { .. } | Act::Mark { .. } => {}
        }
        self
    }

    /// The act in words, for the list of approvals and the audit log.
    pub fn says(&self) -> String {
        match self {
            Act::Map { connection, table, key, value: Some(value), before, records } => {
                let before = before.as_ref().map(|before| format!(" in place of {before}")).unwrap_or_default();
                format!("set the mapping {table} {key} to {value} at {connection}{before}{}", releasing(*records))
            }
            Act::Map { connection, table, key, value: None, before, .. } => {
                let before = before.as_ref().map(|before| format!(", which is {before}")).unwrap_or_default();
                format!("remove the mapping {table} {key} at {connection}{before}")
            }
            Act::Import { entries, records, .. } => {
                let named: Vec<String> = entries.iter().take(NAMED_MAX).map(ToString::to_string).collect();
                let more = entries.len().saturating_sub(named.len());
                let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
                format!("set {} mappings together{}: {}{rest}", entries.len(), releasing(*records), named.join(", "))
            }
            Act::Release { exception, at_once, records, .. } => {
                let how = if *at_once { "all at once" } else { "one record first" };
                format!("release what {exception} holds, {records} records, {how}")
            }
            Act::Dismiss { exception, reason, records, .. } => {
                format!("dismiss what {exception} holds, {records} records: {reason}")
            }
            Act::Sign { entity, period } => format!("sign {period} of {entity}"),
            Act::Restate { entity, period, reason, .. } => format!("open a restatement of {period} of {entity}: {reason}"),
            Act::Mark { marked, before } => format!("have two people for {}, which now is {}", marked.says(), before.says()),
        }
    }
}

/// What a mapping lets go, in words; nothing where nothing waits for it.
fn releasing(records: u64) -> String {
    match records {
        0 => String::new(),
        1 => ", which releases 1 record".to_owned(),
        many => format!(", which releases {many} records"),
    }
}

/// Which acts take a second person at a brand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FourEyes {
    /// Every change of a mapping.
    pub map: bool,
    /// Releasing more than so many records at once, by a mapping, too.
    pub release_over: Option<u64>,
    /// Every dismissal.
    pub dismiss: bool,
    /// Signing a period, and opening a restatement of one.
    pub close: bool,
}

impl FourEyes {
    /// Whether an act that sends `released` records back to the gate takes a second person.
    pub fn takes_two(&self, act: &Act, released: u64) -> bool {
        let marked = match act {
            Act::Map { .. } | Act::Import { .. } => self.map,
            Act::Release { .. } => false,
            Act::Dismiss { .. } => self.dismiss,
            Act::Sign { .. } | Act::Restate { .. } => self.close,
            Act::Mark { marked, .. } => self.loosened_by(marked),
        };
        marked || self.release_over.is_some_and(|most| released > most)
    }

    /// Whether something that takes two would take one.
    fn loosened_by(&self, next: &FourEyes) -> bool {
        let more = |most: u64| next.release_over.is_none_or(|next| next > most);
        self.map && !next.map || self.dismiss && !next.dismiss || self.close && !next.close || self.release_over.is_some_and(more)
    }

    /// What is marked, in words.
    pub fn says(&self) -> String {
        let mut words = Vec::new();
        words.extend(self.map.then(|| "changes of mappings".to_owned()));
        words.extend(self.release_over.map(|most| format!("releases of more than {most} records")));
        words.extend(self.dismiss.then(|| "dismissals".to_owned()));
        words.extend(self.close.then(|| "signing a period or restating it".to_owned()));
        if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(value: Option<&str>) -> Act {
        let (table, key, value) = ("item".to_owned(), "sku=1".to_owned(), value.map(str::to_owned));
        Act::Map { connection: "erp".into(), table, key, value, before: None, records: 0 }
    }

    #[test]
    fn only_what_is_marked_waits_and_a_mapping_is_no_way_round_the_limit_of_releases() {
        let release = Act::Release { exception: ExceptionId(1), at_once: true, records: 0, newest: None };
        assert!(!FourEyes::default().takes_two(&release, u64::MAX));
        let some = FourEyes { release_over: Some(100), ..FourEyes::default() };
        assert_eq!((some.takes_two(&release, 100), some.takes_two(&release, 101)), (false, true));
        assert_eq!((some.takes_two(&map(Some("1")), 0), some.takes_two(&map(Some("1")), 101)), (false, true));
        let all = FourEyes { map: true, release_over: Some(0), dismiss: true, close: true };
        let sign = Act::Sign { entity: "se".into(), period: "2026-11".parse().unwrap() };
        let restate =
            Act::Restate { entity: "se".into(), period: "2026-11".parse().unwrap(), reason: "late".into(), signed: None };
        for act in
            [map(None), Act::Dismiss { exception: ExceptionId(1), reason: "x".into(), records: 1, newest: None }, sign, restate]
        {
            assert_eq!((all.takes_two(&act, 0), FourEyes::default().takes_two(&act, 0)), (true, false), "{act:?}");
        }
    }

    #[test]
    fn to_lift_a_mark_takes_two_and_to_set_one_does_not() {
        let all = FourEyes { map: true, release_over: Some(10), dismiss: true, close: true };
        let to = |marked: FourEyes| Act::Mark { marked, before: all };
        for looser in [
            FourEyes { map: false, ..all },
            FourEyes { dismiss: false, ..all },
            FourEyes { close: false, ..all },
            FourEyes { release_over: None, ..all },
            FourEyes { release_over: Some(11), ..all },
        ] {
            assert!(all.takes_two(&to(looser), 0), "{looser:?}");
            assert!(!looser.takes_two(&to(all), 0), "{looser:?}");
        }
        assert!(!all.takes_two(&to(FourEyes { release_over: Some(9), ..all }), 0));
    }

    #[test]
    fn a_mapping_says_what_stood_there_and_what_it_releases() {
        for (value, before, records, says) in [
            (Some("7"), None, 0, "set the mapping item sku=1 to 7 at erp"),
            (Some("7"), Some("9"), 1, "set the mapping item sku=1 to 7 at erp in place of 9, which releases 1 record"),
            (Some("7"), None, 5_000, "set the mapping item sku=1 to 7 at erp, which releases 5000 records"),
            (None, Some("9"), 0, "remove the mapping item sku=1 at erp, which is 9"),
        ] {
            let Act::Map { connection, table, key, value, .. } = map(value) else { continue };
            let act = Act::Map { connection, table, key, value, before: before.map(str::to_owned), records: 0 };
            assert_eq!(act.asked_for(records).says(), says);
        }
    }

    #[test]
    fn an_act_is_kept_as_it_was_asked_for() {
        let entry = |key: &str| MapEntry { connection: "erp".into(), table: "item".into(), key: key.into(), value: "1".into() };
        let entries = ["sku=1", "sku=2", "sku=3", "sku=4"].map(entry).to_vec();
        let import = Act::Import { entries, before: vec![None, Some("2".to_owned()), None, None], records: 0 };
        assert_eq!(
            import.says(),
            "set 4 mappings together: item sku=1 to 1 at erp, item sku=2 to 1 at erp, item sku=3 to 1 at erp and 1 more"
        );
        assert!(FourEyes { map: true, ..FourEyes::default() }.takes_two(&import, 0) && import.right() == Right::Map);
        for act in [import, map(Some("9\"8")), map(None), Act::Sign { entity: "se".into(), period: "2026-P11".parse().unwrap() }]
        {
            let text = serde_json::to_string(&act).unwrap();
            assert_eq!(serde_json::from_str::<Act>(&text).unwrap(), act, "{text}");
        }
        // What was asked for before it was kept what stands and what is released.
        let older = r#"{"act":"map","connection":"erp","table":"item","key":"sku=1","value":"1"}"#;
        assert_eq!(serde_json::from_str::<Act>(older).unwrap(), map(Some("1")));
        assert!(serde_json::from_str::<Act>(r#"{"act":"release","exception":"exc_1","more":1}"#).is_err());
    }
}
