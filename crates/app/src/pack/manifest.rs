//! `manifest.json`: what was signed. It holds the hash of everything else, of the pack before, and of itself.
//!
//! Its own hash is BLAKE3 over the file with the 64 letters of that hash written as zeros. A hash alone says that something
//! was changed, not where, so `manifest.blocks` beside it has the hashes of its pieces.

use std::collections::BTreeMap;

use selvedge_model::{
    FlowName, Kind, Money, MoneyError,
    close::{Counted, Counts, End, Entity, Enumerated, Period, Standing},
    moment::Interval,
};
use serde::{Deserialize, Serialize};

use super::{
    BLOCKS, MANIFEST,
    digest::{FileDigest, hash},
};

/// How packs of this version say what they are. Another layout gets another number.
pub const FORMAT: &str = "selvedge close pack 1";
/// Bytes of a piece of the manifest.
pub const PIECE_BYTES: usize = 256;
/// The last line of a manifest holds its hash.
const HASH_KEY: &str = "\n  \"hash\": \"";
const NO_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The pack before this one in the chain of its entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Previous {
    /// Of which period.
    pub period: Period,
    /// Which restatement of it; 0 is the first.
    pub restatement: u32,
    /// The hash of its manifest.
    pub hash: String,
}

/// What a restatement restates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restates {
    /// The hash of the pack that it restates; that one stays as it is.
    pub hash: String,
    /// Why, in a sentence.
    pub reason: String,
}

/// How many, by what was made of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ByVerdict {
    agreed: u64,
    open: u64,
    excluded: u64,
    in_flight: u64,
    total: u64,
}

impl From<Counted> for ByVerdict {
    fn from(of: Counted) -> Self {
        Self { agreed: of.agreed, open: of.open, excluded: of.excluded, in_flight: of.in_flight, total: of.total() }
    }
}

/// The counts of one flow and kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowCounts {
    flow: FlowName,
    kind: Kind,
    rows: ByVerdict,
    source_documents: ByVerdict,
    target_documents: ByVerdict,
    our_units: i64,
    their_units: i64,
}

/// The sums of one flow, kind and currency, with tax.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowSums {
    /// The flow.
    pub flow: FlowName,
    /// The kind.
    pub kind: Kind,
    /// What the sources come to.
    pub ours: Money,
    /// What the targets come to.
    pub theirs: Money,
    /// Ours less theirs.
    pub difference: Money,
    /// Of which open items explain.
    pub open: Money,
    /// Of which a rule accepts.
    pub adjusted: Money,
    /// Of which a rule excludes.
    pub excluded: Money,
    /// Of which is on its way.
    pub in_flight: Money,
    /// Of which nothing explains: zero in every sealed pack.
    pub unexplained: Money,
}

/// What was read at one end, as the manifest tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadWhole {
    flow: FlowName,
    kind: Kind,
    end: String,
    documents: u64,
    sums: Vec<Money>,
}

impl From<&Enumerated> for ReadWhole {
    fn from(of: &Enumerated) -> Self {
        Self {
            flow: of.flow.clone(),
            kind: of.kind,
            end: of.end.word().to_owned(),
            documents: of.documents,
            sums: of.sums.clone(),
        }
    }
}

impl ReadWhole {
    /// The same for the model.
    pub fn enumerated(&self) -> Option<Enumerated> {
        Some(Enumerated {
            flow: self.flow.clone(),
            kind: self.kind,
            end: End::from_word(&self.end)?,
            documents: self.documents,
            sums: self.sums.clone(),
        })
    }
}

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    /// Whose.
    pub brand: String,
    /// Of which entity.
    pub entity: String,
    /// Of which period.
    pub period: Period,
    /// The instants that belong to it.
    pub bounds: Interval,
    /// By whose clock.
    pub time_zone: String,
    /// What the entity's books are kept in.
    pub currency: String,
    /// Counted from 1 through all packs of the entity.
    pub sequence: u32,
    /// 0 for the first close of the period.
    pub restatement: u32,
    /// What it restates.
    pub restates: Option<Restates>,
    /// The pack before it; none for the first of the entity.
    pub previous: Option<Previous>,
    /// Who signed.
    pub signed_by: String,
    /// When.
    pub signed_at: jiff::Timestamp,
    /// All rows.
    pub rows: u64,
    /// Open items; the signer saw as many.
    pub open_items: u64,
    /// Differences accepted under a rule.
    pub adjustments: u64,
    /// The hash of the last line of `rows.csv`.
    pub last_row: String,
    /// Counts by flow and kind.
    pub counts: Vec<FlowCounts>,
    /// Sums by flow, kind and currency.
    pub sums: Vec<FlowSums>,
    /// What was read at both ends.
    pub read_whole: Vec<ReadWhole>,
    /// The other files.
    pub files: Vec<FileDigest>,
    /// BLAKE3 over this file with these 64 letters written as zeros.
    pub hash: String,
}

impl Manifest {
    /// Its text, with its hash worked out and put in.
    ///
    /// # Errors
    /// It does not become JSON.
    pub fn seal(&mut self) -> Result<String, serde_json::Error> {
        NO_HASH.clone_into(&mut self.hash);
        let text = self.text()?;
        self.hash = hash(text.as_bytes());
        self.text()
    }

    fn text(&self) -> Result<String, serde_json::Error> {
        Ok(format!("{}\n", serde_json::to_string_pretty(self)?))
    }
}

/// The counts of a period as the manifest tells them.
pub fn counts(standing: &Standing) -> Vec<FlowCounts> {
    let told = |(flow, kind, counts): (&FlowName, Kind, &Counts)| FlowCounts {
        flow: flow.clone(),
        kind,
        rows: counts.rows.into(),
        source_documents: counts.sources.into(),
        target_documents: counts.targets.into(),
        our_units: counts.ours_units,
        their_units: counts.theirs_units,
    };
    standing.balance.counts().map(told).collect()
}

/// The sums of a period as the manifest tells them.
///
/// # Errors
/// [`MoneyError::Overflow`].
pub fn sums(standing: &Standing) -> Result<Vec<FlowSums>, MoneyError> {
    let sums: BTreeMap<_, _> = standing.balance.sums()?;
    let told = |((flow, kind, _), line): ((FlowName, Kind, _), selvedge_model::close::Line)| {
        Ok(FlowSums {
            flow,
            kind,
            ours: line.ours.gross()?,
            theirs: line.theirs.gross()?,
            difference: line.difference()?.gross()?,
            open: line.open.gross()?,
            adjusted: line.adjusted.gross()?,
            excluded: line.excluded.gross()?,
            in_flight: line.in_flight.gross()?,
            unexplained: line.unexplained.gross()?,
        })
    };
    sums.into_iter().map(told).collect()
}

/// The hash that a manifest states of itself, and the one that it has; `None` when it states none.
pub fn hashes(bytes: &[u8]) -> Option<(String, String)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let at = text.rfind(HASH_KEY)?.checked_add(HASH_KEY.len())?;
    let end = at.checked_add(NO_HASH.len())?;
    let stated = text.get(at..end)?;
    let zeroed = format!("{}{NO_HASH}{}", text.get(..at)?, text.get(end..)?);
    Some((stated.to_owned(), hash(zeroed.as_bytes())))
}

/// `manifest.blocks`: from, to and hash of each piece of the manifest.
pub fn blocks(manifest: &[u8]) -> String {
    let mut from = 0_usize;
    let mut text = String::new();
    for piece in manifest.chunks(PIECE_BYTES) {
        let to = from.saturating_add(piece.len());
        text.push_str(&format!("{from} {to} {}\n", hash(piece)));
        from = to;
    }
    text
}

/// `checksums.b3`: all other files.
pub fn checksums(files: &[FileDigest], manifest: &str, blocks: &str) -> String {
    let own = [(hash(manifest.as_bytes()), MANIFEST), (hash(blocks.as_bytes()), BLOCKS)];
    let files = files.iter().map(|file| (file.blake3.clone(), file.name.as_str()));
    files.chain(own).map(|(hash, name)| format!("{hash}  {name}\n")).collect()
}

/// The folder that a pack is sealed in.
pub fn folder(entity: &Entity, period: Period, restatement: u32) -> String {
    let again = if restatement == 0 { String::new() } else { format!("-r{restatement}") };
    format!("{}-{period}{again}", entity.name)
}
