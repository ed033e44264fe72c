//! What files say, whatever they are written in: rows of texts under neutral names.

use std::collections::BTreeMap;

use selvedge_model::records::Disposition;
use serde::{Deserialize, Serialize};

/// What a file is about; its name tells, or its content where it says so itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FileKind {
    Shipment,
    Stock,
    Receipt,
    Return,
    Credit,
    Answer,
    Order,
    Cancellation,
    /// Goods of ours that will come back to them.
    Announcement,
    /// They will not, after all.
    Withdrawal,
}

impl FileKind {
    pub const ALL: [Self; 10] = [
        Self::Shipment,
        Self::Stock,
        Self::Receipt,
        Self::Return,
        Self::Credit,
        Self::Answer,
        Self::Order,
        Self::Cancellation,
        Self::Announcement,
        Self::Withdrawal,
    ];
    /// Those that the partner puts down for us.
    pub const NEWS: [Self; 6] = [Self::Shipment, Self::Stock, Self::Receipt, Self::Return, Self::Credit, Self::Answer];

    /// The setting that says how their names begin, and how they begin without it.
    pub fn setting(self) -> (&'static str, &'static str) {
        match self {
            Self::Shipment => ("names.shipment", "shp"),
            Self::Stock => ("names.stock", "inv"),
            Self::Receipt => ("names.receipt", "rcv"),
            Self::Return => ("names.return", "ret"),
            Self::Credit => ("names.credit", "crd"),
            Self::Answer => ("names.answer", "ack"),
            Self::Order => ("names.order", "ord"),
            Self::Cancellation => ("names.cancellation", "can"),
            Self::Announcement => ("names.announcement", "rma"),
            Self::Withdrawal => ("names.withdrawal", "rmc"),
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

/// What each word of a partner for returned goods means, unless a person says otherwise: what is met in practice (fact sheet
/// 3.4), and the conditions of a line of a 944 (element 412). A code that says only whether a return was allowed is none of them.
pub(super) const DISPOSITIONS: [(&str, Disposition); 24] = [
    ("restock", Disposition::Restock),
    ("restocked", Disposition::Restock),
    ("resell", Disposition::Restock),
    ("hold", Disposition::Quarantine),
    ("quarantine", Disposition::Quarantine),
    ("qc", Disposition::Quarantine),
    ("inspect", Disposition::Quarantine),
    ("refurbish", Disposition::Quarantine),
    ("return_to_sender", Disposition::Quarantine),
    ("write_off", Disposition::WriteOff),
    ("scrap", Disposition::WriteOff),
    ("scrapped", Disposition::WriteOff),
    ("dispose", Disposition::WriteOff),
    ("disposed", Disposition::WriteOff),
    ("donate", Disposition::WriteOff),
    ("recycle", Disposition::WriteOff),
    ("di", Disposition::WriteOff),
    ("07", Disposition::Restock),
    ("01", Disposition::Quarantine),
    ("04", Disposition::Quarantine),
    ("05", Disposition::Quarantine),
    ("08", Disposition::Quarantine),
    ("09", Disposition::Quarantine),
    ("10", Disposition::WriteOff),
];

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
