//! Two statements → what becomes of every document in them.
//!
//! Everything that both sides say of one order (and what is about no order, by itself) is a [`Family`]. A family is paired up, one
//! to one, one to many, many to one, and every document of the source gets one [`Verdict`]; what stands at the target without
//! a partner is told as well. So nothing is left over: the sums of the verdicts are the sums of the statements.
//!
//! Pairing goes by key. Where no key tells, likeness ([`suggest`]) says what *may* belong together and how sure that is; a
//! suggestion is told beside a difference and never makes it an agreement.
//!
//! Turned down: percentages as tolerance (a cent in ten thousand orders is a bug, and one per cent of a large order is a coat),
//! and reading what the flows remember (a path cannot prove itself). What the ledger knows is asked for one thing only: why
//! something that is not there is not there.

mod cents;
mod differ;
mod family;
pub mod habits;
mod laws;
mod root;
pub mod stock;
mod suggest;
mod tally;
mod why;
pub mod words;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    differ::compares,
    family::{Family, inside, partners, settle},
    root::Root,
    suggest::{Likeness, Loose, suggest},
    tally::{Sum, Tallies, Tally},
    why::Why,
};
use crate::{
    compare::Cause,
    id::{RecordKey, Sku},
    money::{Currency, Money},
    records::Kind,
    statement::Entry,
    tax::rates::RateBook,
};

/// A difference that is not counted as one: so many minor units of a currency, on every single amount and on the total alike. What
/// is tolerated is told all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tolerance(pub BTreeMap<Currency, i64>);

impl Tolerance {
    /// Whether an amount is within it.
    pub fn covers(&self, money: Money) -> bool {
        let minor = self.0.get(&money.currency()).copied().unwrap_or(0);
        money.minor().unsigned_abs() <= minor.unsigned_abs()
    }
}

/// On what terms two ends are compared.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The kinds that are compared.
    pub kinds: Vec<Kind>,
    /// What is tolerated.
    pub tolerance: Tolerance,
    /// How long something may be on its way before it is missing.
    pub allowance: Duration,
    /// How long after the source's document the target's may come into being before it is late.
    pub late_after: Duration,
    /// Documents before this are not told as late any more: what came late and agrees is history; `None` = all are.
    pub late_since: Option<Timestamp>,
    /// Markets (ids or names) that are nobody's business here.
    pub exclude_markets: Vec<String>,
    /// Kinds of which the target has documents of its own: what stands there alone is no difference.
    pub shared: Vec<Kind>,
    /// Whether the flows keep a buffer back, so that a shop may show less than there is.
    pub buffered: bool,
    /// Whether the target knows no bundles, only what they are made of.
    pub parts_only: bool,
    /// By how much less than there is is usually shown, where a buffer is kept and nobody says how large: learnt.
    pub short_most: Option<i64>,
    /// Units by item that the source of stock has not heard of, as orders of the shop do not stand there.
    pub unheard: BTreeMap<Sku, Unheard>,
    /// Units by item in orders of the shop that are on their way to the source of stock just now.
    pub in_transit: BTreeMap<Sku, i64>,
    /// Figures that were looked at twice and changed meanwhile, by the key of their family.
    pub moving: BTreeSet<String>,
    /// Items that the target does not list at all.
    pub unlisted: BTreeSet<Sku>,
    /// Rates of tax by country and day.
    pub rates: RateBook,
    /// What each side calls the same thing, told or learnt; empty while it is being learnt.
    pub words: words::Words,
}

/// Units of an item in orders of the shop that differ from what stands at the source of its stock. Nobody says in which place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unheard {
    /// Promised by the shop alone.
    pub promised: i64,
    /// Given up by the shop, and still promised at the source.
    pub freed: i64,
}

/// A named rule by which a document of the source need not stand at the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Called off, and it never stood at the target.
    CalledOff,
    /// Not final at the source yet: nothing is due for it.
    Pending,
    /// Internal: a sample, staff.
    Internal,
    /// It gives back what was cancelled before it left, and was never invoiced.
    NeverInvoiced,
    /// Of a market that the config leaves out.
    Market,
    /// A bundle, and the target knows its parts only.
    Bundle,
    /// Stock of an item that the target does not list: it is not sold there.
    Unlisted,
    /// The flow's own gate excluded it, by a rule that its obligation names.
    Gate,
    /// A named person dismissed it, with a reason.
    Dismissed,
}

impl Rule {
    /// Counts up when what it means changes: a verdict names the rule as it was.
    pub const VERSION: u32 = 1;

    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Rule::CalledOff => "called_off",
            Rule::Pending => "pending",
            Rule::Internal => "internal",
            Rule::NeverInvoiced => "never_invoiced",
            Rule::Market => "market",
            Rule::Bundle => "bundle",
            Rule::Unlisted => "unlisted",
            Rule::Gate => "gate",
            Rule::Dismissed => "dismissed",
        }
    }
}

/// What the ledger knows of a document, for one that has no partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owed {
    /// In which state its obligation is.
    pub state: crate::obligation::State,
    /// The exception that owns it, where one does.
    pub exception: Option<crate::id::ExceptionId>,
    /// What it last met with, or why it was let go.
    pub note: Option<String>,
    /// The flow that owes it.
    pub flow: crate::id::FlowName,
    /// When it came to rest; none while it is in flight.
    pub settled_at: Option<Timestamp>,
}

/// Asks the ledger, by kind and our key. Without flows it knows nothing.
pub type Ledger<'a> = &'a dyn Fn(Kind, &RecordKey) -> Option<Owed>;

/// What becomes of a document of the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// It stands at the target, and everything that both tell is the same (or tolerated).
    Agreed,
    /// Somebody has to look; the findings say at what.
    Open,
    /// It need not stand there.
    Excluded {
        /// By which rule.
        rule: Rule,
        /// Of which version.
        version: u32,
        /// What the rule went by, in words.
        why: String,
    },
    /// Not there yet, and need not be before then.
    InFlight {
        /// Until when.
        until: Timestamp,
    },
}

impl Verdict {
    /// The word.
    pub const fn word(&self) -> &'static str {
        match self {
            Verdict::Agreed => "agreed",
            Verdict::Open => "open",
            Verdict::Excluded { .. } => "excluded",
            Verdict::InFlight { .. } => "in_flight",
        }
    }
}

/// By what documents were paired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Both carry the same key.
    Key,
    /// Both are about the same order, and the same reference, tracking number or content tells them apart from its others.
    Content,
    /// One document of the source stands as several at the target, which come to the same.
    Split,
    /// Several documents of the source stand as one at the target, which comes to the same.
    Merged,
    /// Nothing was found.
    Alone,
}

impl How {
    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            How::Key => "key",
            How::Content => "content",
            How::Split => "split",
            How::Merged => "merged",
            How::Alone => "alone",
        }
    }
}

/// One thing on which the sides disagree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What kind of disagreement.
    pub cause: Cause,
    /// How it probably came about.
    pub why: Why,
    /// Where: `lines 1042-1 tax`, `totals`, empty for the document as a whole.
    pub path: String,
    /// What the source says.
    pub expected: Option<String>,
    /// What the target says.
    pub actual: Option<String>,
    /// How much money it moves (target minus source), where it moves any.
    pub money: Option<Money>,
    /// What was found, in a sentence.
    pub detail: String,
    /// What to do about it.
    pub fix: String,
}

/// Documents that belong together, and what became of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// Of the source; none for what stands at the target alone.
    pub ours: Vec<Entry>,
    /// Of the target.
    pub theirs: Vec<Entry>,
    /// By what they were paired.
    pub how: How,
    /// What becomes of each document of the source among them. [`Verdict::Open`] where there is none.
    pub verdict: Verdict,
    /// Why it is open.
    pub findings: Vec<Finding>,
    /// What differs within the tolerance, or is told and counts for nothing.
    pub tolerated: Vec<Finding>,
    /// The exception that owns it already, where the ledger says so.
    pub exception: Option<crate::id::ExceptionId>,
}

impl Match {
    /// Of which kind.
    pub fn kind(&self) -> Option<Kind> {
        self.ours.first().or(self.theirs.first()).map(|entry| entry.kind)
    }

    /// The first document of the source, or of the target where there is none.
    pub fn subject(&self) -> Option<&Entry> {
        self.ours.first().or(self.theirs.first())
    }

    /// The money at stake: what the findings move, or the whole document where there is no partner.
    pub fn at_stake(&self) -> Option<Money> {
        let most = self.findings.iter().filter_map(|finding| finding.money).max_by_key(|money| money.minor().unsigned_abs());
        most.or_else(|| if self.how == How::Alone { self.subject().and_then(Entry::gross) } else { None })
    }
}
