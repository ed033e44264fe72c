//! What files say, whatever they are written in: rows of texts under neutral names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a file is about; its name tells, or its content where it says so itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FileKind {
    Shipment,
    Stock,
    Receipt,
    Return,
    Answer,
    Order,
    Cancellation,
}

impl FileKind {
    pub const ALL: [Self; 7] =
        [Self::Shipment, Self::Stock, Self::Receipt, Self::Return, Self::Answer, Self::Order, Self::Cancellation];

    /// The setting that says how their names begin, and how they begin without it.
    pub fn setting(self) -> (&'static str, &'static str) {
        match self {
            Self::Shipment => ("names.shipment", "shp"),
            Self::Stock => ("names.stock", "inv"),
            Self::Receipt => ("names.receipt", "rcv"),
            Self::Return => ("names.return", "ret"),
            Self::Answer => ("names.answer", "ack"),
            Self::Order => ("names.order", "ord"),
            Self::Cancellation => ("names.cancellation", "can"),
        }
    }
}

/// Where a line stands at the warehouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineState {
    /// What the row counts has left.
    Shipped,
    /// What is missing follows.
    Backordered,
    /// What is missing never comes.
    Cancelled,
    /// Less than ordered has left, and nothing is said of the rest.
    Short,
}

impl LineState {
    /// Our words, and those that mean nothing else anywhere.
    pub fn from_word(word: &str) -> Option<Self> {
        match word.trim().to_lowercase().as_str() {
            "" | "shipped" | "complete" | "dispatched" | "despatched" => Some(Self::Shipped),
            "backordered" | "backorder" | "back_ordered" => Some(Self::Backordered),
            "cancelled" | "canceled" => Some(Self::Cancelled),
            "short" | "partial" | "partially_shipped" => Some(Self::Short),
            _ => None,
        }
    }
}

/// Texts under neutral names; what is not there was not said.
pub(super) type Fields = BTreeMap<String, String>;

/// One row of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row {
    /// Which of the file, the first is 1.
    pub number: u64,
    /// What it says.
    pub fields: Fields,
    /// Why it cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

impl Row {
    /// What it says under a name; nothing where it says nothing.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
    }
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Contents {
    pub kind: FileKind,
    pub rows: Vec<Row>,
    /// What the partner is told of it in a 997; nothing for other formats.
    pub acknowledgement: Option<Vec<Vec<String>>>,
}

/// Why nothing of a file is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It ends before its end: it may be half written, and is looked at again.
    Unfinished(String),
    /// It is wrong as a whole.
    Refused(String),
}

/// What the partner said of one of our files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answer {
    /// `accepted`, `partial`, `rejected`, or the partner's own word.
    pub status: String,
    /// What it complains of.
    pub messages: Vec<String>,
}

impl Answer {
    pub fn is_good(&self) -> bool {
        matches!(self.status.as_str(), "accepted" | "accepted_with_errors")
    }

    /// Nothing of the file was taken.
    pub fn is_rejected(&self) -> bool {
        self.status == "rejected"
    }
}
