//! Alerts: what people are told of exceptions, when, and over which channel. Pure: the flow brings the clock and the rows.
//!
//! An *alert* is one open exception that a route takes; it ends when the exception closes. A *message* is what leaves over one
//! channel, and tells of one or several alerts. Which route, which step of it and when is [`policy`]; what the message says is
//! [`text`]. A message is owed like any record: it goes through the same states (`crate::obligation`).

pub mod policy;
pub mod severity;
#[cfg(test)]
mod tests;
pub mod text;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use policy::{Digest, Due, Plan, Quiet, Route, Standing, Step};
pub use severity::{Severity, Thresholds};

use crate::{AlertId, ExceptionId, MessageId, team::Team};

/// One channel, by its name in the config.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ChannelName(pub String);

impl ChannelName {
    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ChannelName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for ChannelName {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// Why a message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Something opened, or became worse than was told.
    Opened,
    /// Nobody acknowledged it in time, so the next step is told.
    Escalated,
    /// It is still open and nobody acknowledged it.
    Repeated,
    /// What is open, once a day or a week.
    Digest,
    /// Somebody looks after it.
    Acknowledged,
    /// It is over.
    Resolved,
    /// Somebody tries whether the channel works.
    Test,
}

impl Event {
    /// All of them.
    pub const ALL: [Event; 7] =
        [Event::Opened, Event::Escalated, Event::Repeated, Event::Digest, Event::Acknowledged, Event::Resolved, Event::Test];

    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Event::Opened => "opened",
            Event::Escalated => "escalated",
            Event::Repeated => "repeated",
            Event::Digest => "digest",
            Event::Acknowledged => "acknowledged",
            Event::Resolved => "resolved",
            Event::Test => "test",
        }
    }

    /// The event with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.word() == word)
    }

    /// Whether it asks somebody to do something: then it says how to acknowledge.
    pub const fn asks(self) -> bool {
        matches!(self, Event::Opened | Event::Escalated | Event::Repeated)
    }
}

/// What an alert is about, as far as it is told. No personal data: see [`text::plain`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The alert.
    pub alert: AlertId,
    /// The exception.
    pub exception: ExceptionId,
    /// How bad it is.
    pub severity: Severity,
    /// By which rule.
    pub rule: String,
    /// In which flow; empty for one about a connection.
    pub flow: String,
    /// Whose it is.
    pub team: Team,
    /// What is wrong, in a sentence.
    pub message: String,
    /// What to do.
    pub remedy: String,
    /// How many records it holds.
    pub held: u64,
    /// How many wait behind it or differ, where it holds none.
    #[serde(default)]
    pub behind: u64,
    /// What they are worth, per currency: `18200.00 EUR`.
    pub money: Vec<String>,
    /// Since when.
    pub since: Timestamp,
    /// When and why it was over.
    pub resolved: Option<String>,
}

/// One message to one channel: what an alert sink makes its own document of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Which. The same each time it is sent, so that a receiver can tell a repetition.
    pub id: MessageId,
    /// Whose.
    pub brand: String,
    /// Why.
    pub event: Event,
    /// How bad the worst of it is.
    pub severity: Severity,
    /// Who acknowledged it, for [`Event::Acknowledged`].
    pub by: Option<String>,
    /// What it tells of, the worst first; at most [`text::ITEMS_MAX`].
    pub items: Vec<Item>,
    /// How many more there are.
    pub more: u64,
    /// When it was decided on.
    pub at: Timestamp,
}

/// Addresses in a message; none where the server's own address is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// The server's own address, without a slash at the end.
    pub base: Option<String>,
    /// Where it is acknowledged without a log-in. Whoever opens it sees a page with a button.
    pub acknowledge: Option<String>,
}

impl Links {
    /// The page of an exception.
    pub fn exception(&self, id: ExceptionId) -> Option<String> {
        self.base.as_ref().map(|base| format!("{base}/exceptions/{id}"))
    }

    /// The page of all alerts.
    pub fn alerts(&self) -> Option<String> {
        self.base.as_ref().map(|base| format!("{base}/alerts"))
    }
}
