//! How bad an exception is, by what hangs on it.

use std::time::Duration;

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Money;

/// How bad. Later is worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Somebody should know.
    Info,
    /// A few records wait.
    Warning,
    /// Many records or much money wait, or something waits for long.
    Error,
    /// Nothing moves any more, or very much waits.
    Critical,
}

impl Severity {
    /// All of them, the mildest first.
    pub const ALL: [Severity; 4] = [Severity::Info, Severity::Warning, Severity::Error, Severity::Critical];

    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
            Severity::Critical => "critical",
        }
    }

    /// The severity with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.word() == word)
    }
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// From where on an exception is worse than a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// So many records make it an error.
    pub error_records: u64,
    /// So many make it critical.
    pub critical_records: u64,
    /// So much money of one currency makes it an error.
    pub error_money: Vec<Money>,
    /// So much makes it critical.
    pub critical_money: Vec<Money>,
    /// Open for so long, it is an error.
    pub error_after: Duration,
    /// With less than this to its nearest deadline, or past it, it is an error; deadlines change nothing without it.
    pub error_before: Option<Duration>,
    /// Rules whose exceptions are critical from the start, by the beginning of their names.
    pub critical_rules: Vec<String>,
    /// Rules whose exceptions are information only.
    pub info_rules: Vec<String>,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            error_records: 10,
            critical_records: 100,
            error_money: Vec::new(),
            critical_money: Vec::new(),
            error_after: Duration::from_secs(24 * 3_600),
            error_before: Some(Duration::from_secs(2 * 3_600)),
            critical_rules: ["connection.credentials", "connection.down", "source.silent"].map(str::to_owned).to_vec(),
            info_rules: Vec::new(),
        }
    }
}

/// What hangs on an exception, for how long it has been open, and how much time is left.
#[derive(Clone, Copy, Debug)]
pub struct Weight<'a> {
    /// By which rule.
    pub rule: &'a str,
    /// Records that it holds, or where it holds none, that wait behind it or differ.
    pub records: u64,
    /// What they are worth, per currency.
    pub money: &'a [Money],
    /// How long it has been open.
    pub open_for: Duration,
    /// How far off its nearest deadline is, if it has one; less than nothing once that is past.
    pub due_in: Option<SignedDuration>,
}

impl Thresholds {
    /// How bad it is.
    ///
    /// ```
    /// use selvedge_model::alert::{Severity, Thresholds, severity::Weight};
    /// let weight = |rule, records| Weight { rule, records, money: &[], open_for: std::time::Duration::ZERO, due_in: None };
    /// let usual = Thresholds::default();
    /// assert_eq!(usual.severity(&weight("mapping.item", 3)), Severity::Warning);
    /// assert_eq!(usual.severity(&weight("mapping.item", 214)), Severity::Critical);
    /// assert_eq!(usual.severity(&weight("source.silent", 0)), Severity::Critical);
    /// ```
    pub fn severity(&self, weight: &Weight<'_>) -> Severity {
        let named = |rules: &[String]| rules.iter().any(|rule| weight.rule.starts_with(rule.as_str()));
        let worth = |limits: &[Money]| {
            let reached =
                |limit: &Money| weight.money.iter().any(|m| m.currency() == limit.currency() && m.minor() >= limit.minor());
            limits.iter().any(reached)
        };
        let presses = |before: Duration| {
            let before = SignedDuration::try_from(before).unwrap_or(SignedDuration::MAX);
            weight.due_in.is_some_and(|left| left < before)
        };
        if named(&self.critical_rules) || weight.records >= self.critical_records || worth(&self.critical_money) {
            Severity::Critical
        } else if named(&self.info_rules) {
            Severity::Info
        } else if weight.records >= self.error_records
            || worth(&self.error_money)
            || weight.open_for >= self.error_after
            || self.error_before.is_some_and(presses)
        {
            Severity::Error
        } else {
            Severity::Warning
        }
    }
}
