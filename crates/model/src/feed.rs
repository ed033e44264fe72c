//! The feed of events that other programs are told of, over outgoing webhooks and by the API.
//!
//! An event is a row that stands anyway (a line of an exception's history, an act of the audit trail, an obligation that came to
//! rest), read in the order in which it was written. So nothing that happened is missing from the feed, and a receiver that was away
//! for a week goes on where it stopped.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ExceptionId, ExternalId, FlowName, Kind, Money, ObligationId, RecordKey, obligation::State, team::Team};

/// One of the rows that events are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// What became of exceptions.
    Exceptions,
    /// What people did: the audit trail.
    Acts,
    /// Where records came to rest.
    Records,
}

impl Stream {
    /// All of them.
    pub const ALL: [Stream; 3] = [Stream::Exceptions, Stream::Acts, Stream::Records];

    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Stream::Exceptions => "exceptions",
            Stream::Acts => "acts",
            Stream::Records => "records",
        }
    }

    /// How the types of its events begin.
    pub const fn prefix(self) -> &'static str {
        match self {
            Stream::Exceptions => "exception",
            Stream::Acts => "act",
            Stream::Records => "record",
        }
    }
}

/// Where a reader of a stream stands: behind this event. Written as `records.41`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Of which stream.
    pub stream: Stream,
    /// Behind which of its rows; nought is the beginning.
    pub id: i64,
}

impl Place {
    /// Before everything.
    pub const fn beginning(stream: Stream) -> Self {
        Self { stream, id: 0 }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.stream.word(), self.id)
    }
}

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let (word, id) = text.split_once('.')?;
            let stream = Stream::ALL.into_iter().find(|stream| stream.word() == word)?;
            id.parse().ok().filter(|id| *id >= 0).map(|id| Self { stream, id })
        };
        read().ok_or_else(|| "This place in the feed does not read; begin again without one.".to_owned())
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Event {
    /// The same each time it is told, and of no other: its row and its time, as `act-7-1772442000000000`. (Rows are counted anew after
    /// an older copy was put back.)
    pub id: String,
    /// What: `exception.opened`, `act.mapping.set`, `record.confirmed`; `webhook.test` when somebody tries it.
    #[serde(rename = "type")]
    pub kind: String,
    /// When.
    pub at: Timestamp,
    /// Of what.
    pub data: Told,
}

/// What an event tells.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Told {
    /// Of an exception.
    Exception(Box<ExceptionTold>),
    /// Of an act.
    Act(ActTold),
    /// Of a record.
    Record(Box<RecordTold>),
    /// Of nothing: somebody tries whether a webhook works.
    Test(TestTold),
}

/// What became of an exception, and how that stands when it is told.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ExceptionTold {
    /// Which.
    pub exception: ExceptionId,
    /// Who did it; empty for what Selvedge did by itself.
    pub actor: String,
    /// In a sentence.
    pub detail: String,
    /// In which flow; empty where it is about a connection.
    pub flow: FlowName,
    /// The rule that found it.
    pub rule: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
    /// Whose team's it is.
    pub team: Team,
    /// Whose, where it is somebody's.
    pub person: Option<String>,
    /// Whether it is open now.
    pub open: bool,
    /// How many records it holds now.
    pub held: u64,
    /// The money that it holds now, an amount for each currency.
    pub money: Vec<Money>,
}

/// What somebody did.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ActTold {
    /// Its number in the audit trail, counted from 1.
    pub number: i64,
    /// Who.
    pub actor: String,
    /// What: `mapping.set`, `exception.release` …
    pub action: String,
    /// On what.
    pub subject: String,
    /// In a sentence.
    pub detail: String,
    /// The link of the chain that it is.
    pub hash: String,
}

/// What is told when somebody tries a webhook.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct TestTold {
    /// Who tries it.
    pub actor: String,
    /// Which webhook, by its name in the config.
    pub webhook: String,
}

/// Where a revision of a record came to rest.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct RecordTold {
    /// The obligation.
    pub obligation: ObligationId,
    /// In which flow.
    pub flow: FlowName,
    /// What kind of record.
    pub kind: Kind,
    /// Our key.
    pub key: RecordKey,
    /// Which revision of it.
    pub revision: u32,
    /// Where it stands.
    pub state: State,
    /// The target's id of the document.
    pub target: Option<ExternalId>,
    /// The exception that holds it.
    pub exception: Option<ExceptionId>,
    /// Why it is excluded or dismissed.
    pub note: Option<String>,
    /// What it is worth.
    pub amount: Option<Money>,
}

/// Whether an act is about who comes in and how: it names people, and where from they come. It is told to whoever may see to
/// people, and leaves over no webhook.
pub fn is_about_accounts(action: &str) -> bool {
    let area = action.split_once('.').map_or(action, |(area, _)| area);
    matches!(area, "login" | "logout" | "people" | "password" | "totp" | "token" | "session" | "sso" | "setup" | "invitation")
}

/// Which events somebody wants: `*`, `exception.*`, `act.mapping.*`, `record.held`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Whether it takes events of this type.
    pub fn takes(&self, kind: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(start) => kind.starts_with(start),
            None => kind == self.0,
        }
    }

    /// Whether it may take any event of a stream.
    pub fn reads(&self, stream: Stream) -> bool {
        self.0 == "*" || self.0.split('.').next() == Some(stream.prefix())
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Pattern {
    type Err = String;

    /// Reads one; else why it is none.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let known = Stream::ALL.map(|stream| format!("{:?}", format!("{}.*", stream.prefix()))).join(", ");
        if text == "*" {
            return Ok(Self(text.to_owned()));
        }
        let fits = text.len() <= 100
            && text.split_once('.').is_some_and(|(first, rest)| {
                let word = |word: &str| {
                    !word.is_empty()
                        && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'))
                };
                let words = rest.strip_suffix(".*").unwrap_or(rest);
                Stream::ALL.iter().any(|stream| stream.prefix() == first) && (rest == "*" || words.split('.').all(word))
            });
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("Write {known}, \"*\" for all, or a type such as \"record.held\"."))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_what_it_says() {
        let takes = |pattern: &str, kind: &str| pattern.parse::<Pattern>().unwrap().takes(kind);
        assert!(takes("*", "act.mapping.set") && takes("exception.*", "exception.opened"));
        assert!(takes("act.mapping.*", "act.mapping.set") && takes("record.held", "record.held"));
        assert!(
            !takes("record.held", "record.held2") && !takes("act.mapping.*", "act.mappings") && !takes("exception.*", "act.x")
        );
        assert!("act.exception.*".parse::<Pattern>().unwrap().reads(Stream::Acts));
        assert!(!"act.exception.*".parse::<Pattern>().unwrap().reads(Stream::Exceptions));
        assert!(Stream::ALL.into_iter().all(|stream| "*".parse::<Pattern>().unwrap().reads(stream)));
        for wrong in ["", "exception", "exceptions.*", "order.*", "record.", "record.*.x", "record.h*", "**", "Record.held", ".*"]
        {
            assert!(wrong.parse::<Pattern>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_place_reads_as_it_was_written() {
        for stream in Stream::ALL {
            for place in [Place::beginning(stream), Place { stream, id: i64::MAX }] {
                assert_eq!(place.to_string().parse(), Ok(place));
            }
        }
        for wrong in ["", "7", "records.", ".7", "records.x", "records.1.2", "records.-1", "orders.1"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }
}
