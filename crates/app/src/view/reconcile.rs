//! Whether both ends agree: per pair the last look and its sentence of completeness, the differences by cause, and each of them.

use jiff::Timestamp;
use selvedge_flow::reconcile::PairSetup;
use selvedge_model::{
    Brand, ConnectionName, DifferenceId, ExceptionId, Kind, Money, ReconciliationId,
    compare::Cause,
    reconcile::{
        Sum, Tally, Why,
        habits::{Habit, Told},
    },
    team::Team,
};
use selvedge_store::{
    Result, Store, StoreError,
    differences::{CauseRow, DifferenceRow, Wanted},
    reconciliations::ReconciliationRow,
};
use serde::Serialize;

/// How many differences a list has at most.
pub const DIFFERENCES_MAX: usize = 1_000;
/// Looks that are shown of a pair.
const LOOKS_MAX: usize = 30;

/// Documents and their money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SumView {
    /// Documents.
    pub count: u64,
    /// Their gross amounts, per currency: `18200.00 EUR`.
    pub money: Vec<String>,
}

impl From<&Sum> for SumView {
    fn from(sum: &Sum) -> Self {
        let text = |(currency, minor): (&selvedge_model::Currency, &i128)| match i64::try_from(*minor) {
            Ok(minor) => Money::from_minor(minor, *currency).to_string(),
            Err(_) => format!("{minor} minor units of {currency}"),
        };
        Self { count: sum.count, money: sum.money.iter().map(text).collect() }
    }
}

/// The sentence of completeness of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TallyView {
    /// Of which kind.
    pub kind: String,
    /// What the sources told in the window.
    pub told: SumView,
    /// It stands at the target, and both say the same.
    pub agreed: SumView,
    /// Somebody has to look.
    pub open: SumView,
    /// By rule: it need not stand there.
    pub excluded: Vec<(String, SumView)>,
    /// It need not be there yet.
    pub in_flight: SumView,
    /// What stands at the target alone, or more than once.
    pub alone_there: SumView,
    /// What the target told in the window.
    pub there: SumView,
    /// Differences within the tolerance.
    pub tolerated: u64,
    /// Documents that could not be read.
    pub unread: u64,
    /// Documents that no flow ever captured, where one should.
    pub uncaptured: u64,
    /// Whether the sentence is true: what was told is agreed + open + excluded + in flight, in documents and in money.
    pub meets: bool,
}

impl TallyView {
    fn of(kind: &str, tally: &Tally) -> Self {
        Self {
            kind: kind.to_owned(),
            told: (&tally.told).into(),
            agreed: (&tally.agreed).into(),
            open: (&tally.open).into(),
            excluded: tally.excluded.iter().map(|(rule, sum)| (rule.clone(), sum.into())).collect(),
            in_flight: (&tally.in_flight).into(),
            alone_there: (&tally.alone_there).into(),
            there: (&tally.there).into(),
            tolerated: tally.tolerated,
            unread: tally.unread,
            uncaptured: tally.uncaptured,
            meets: tally.meets(),
        }
    }
}

/// One look at both ends.
#[derive(Clone, Debug, Serialize)]
pub struct LookView {
    /// Its id.
    pub id: ReconciliationId,
    /// Of which pair.
    pub pair: String,
    /// Why it was made.
    pub via: String,
    /// The window: from.
    pub from: Timestamp,
    /// The window: to.
    pub to: Timestamp,
    /// When it began.
    pub started_at: Timestamp,
    /// When it was done.
    pub finished_at: Option<Timestamp>,
    /// Differences that it found; never changed later.
    pub red: u64,
    /// Whether counts and sums met.
    pub balanced: Option<bool>,
    /// Per kind.
    pub kinds: Vec<TallyView>,
    /// Ways of working that show in it.
    pub habits: Vec<Habit>,
}

impl LookView {
    fn of(row: ReconciliationRow) -> Result<Self> {
        let told: Told = match &row.told {
            None => Told::default(),
            Some(bytes) => serde_json::from_slice(bytes)
                .map_err(|error| StoreError::Unreadable { what: row.id.to_string(), why: error.to_string() })?,
        };
        Ok(Self {
            id: row.id,
            pair: row.pair,
            via: row.via,
            from: row.window.from,
            to: row.window.to,
            started_at: row.started_at,
            finished_at: row.finished_at,
            red: row.red,
            balanced: row.balanced,
            kinds: told.tallies.0.iter().map(|(kind, tally)| TallyView::of(kind, tally)).collect(),
            habits: told.habits,
        })
    }
}

/// Two ends, and how they stand.
#[derive(Clone, Debug, Serialize)]
pub struct PairView {
    /// Its name.
    pub name: String,
    /// Whose records they are.
    pub sources: Vec<ConnectionName>,
    /// Where they have to stand.
    pub target: ConnectionName,
    /// What is compared.
    pub kinds: Vec<Kind>,
    /// The last look that is done.
    pub last: Option<LookView>,
    /// Whether one is under way.
    pub under_way: bool,
    /// Open differences.
    pub open: u64,
    /// The newest looks, whether they found something or not.
    pub looks: Vec<LookView>,
}

/// Differences of one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CauseView {
    /// Between which two ends.
    pub pair: String,
    /// Of which kind of document.
    pub kind: Kind,
    /// What kind of disagreement.
    pub cause: Cause,
    /// How it probably came about.
    pub why: Why,
    /// The same in words.
    pub title: String,
    /// What to do.
    pub fix: String,
    /// How many.
    pub count: u64,
    /// Of how many documents.
    pub documents: u64,
    /// What is at stake, per currency.
    pub stake: Vec<String>,
    /// When the first of them was seen.
    pub first_seen_at: Timestamp,
}

impl From<CauseRow> for CauseView {
    fn from(row: CauseRow) -> Self {
        Self {
            pair: row.pair,
            kind: row.kind,
            cause: row.cause,
            why: row.why,
            title: row.why.title().to_owned(),
            fix: row.why.fix().to_owned(),
            count: row.count,
            documents: row.documents,
            stake: row.stake.iter().map(ToString::to_string).collect(),
            first_seen_at: row.first_seen_at,
        }
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DifferenceView {
    /// Its id.
    pub id: DifferenceId,
    /// Between which two ends.
    pub pair: String,
    /// Of which kind of document.
    pub kind: Kind,
    /// Our key; the target's id behind a `~` where only the target has it.
    pub subject: String,
    /// The order; empty where it is about none.
    pub order: String,
    /// What kind of disagreement.
    pub cause: Cause,
    /// How it probably came about.
    pub why: Why,
    /// Where in the document.
    pub path: String,
    /// What the source says.
    pub expected: Option<String>,
    /// What the target says.
    pub actual: Option<String>,
    /// What it moves: target minus source.
    pub money: Option<Money>,
    /// What is at stake.
    pub stake: Option<Money>,
    /// The source's document.
    pub source_id: Option<String>,
    /// The target's documents.
    pub target_id: Option<String>,
    /// When the document came to be.
    pub at: Timestamp,
    /// Who owns it.
    pub team: Team,
    /// The exception that groups it with others.
    pub exception: Option<ExceptionId>,
    /// In a sentence.
    pub detail: String,
    /// What to do.
    pub fix: String,
    /// What may belong to it.
    pub suggestion: Option<String>,
    /// When it was first seen.
    pub first_seen_at: Timestamp,
    /// By which look.
    pub first_run: ReconciliationId,
    /// When it was last seen.
    pub last_seen_at: Timestamp,
    /// When and why it was closed.
    pub closed: Option<(Timestamp, String)>,
}

impl From<DifferenceRow> for DifferenceView {
    fn from(row: DifferenceRow) -> Self {
        let found = row.found;
        Self {
            id: row.id,
            pair: row.pair,
            kind: found.kind,
            subject: found.subject,
            order: if found.family.starts_with('~') { String::new() } else { found.family },
            cause: found.cause,
            why: found.why,
            path: found.path,
            expected: found.expected,
            actual: found.actual,
            money: found.money,
            stake: found.stake,
            source_id: found.source_id,
            target_id: found.target_id,
            at: found.at,
            team: found.team,
            exception: found.exception,
            detail: found.detail,
            fix: found.fix,
            suggestion: row.suggestion,
            first_seen_at: row.first_seen_at,
            first_run: row.first_run,
            last_seen_at: row.last_seen_at,
            closed: row.closed,
        }
    }
}

/// Every pair and how it stands.
///
/// # Errors
/// The store's.
pub async fn pairs(store: &Store, brand: &Brand, pairs: &[PairSetup]) -> Result<Vec<PairView>> {
    let (brand, pairs) = (brand.clone(), pairs.to_vec());
    store
        .read(move |view| {
            let causes = view.difference_causes(&brand)?;
            let mut shown = Vec::new();
            for pair in pairs {
                let looks = view.reconciliations(&brand, Some(&pair.name), LOOKS_MAX)?;
                let under_way = looks.iter().any(|look| look.finished_at.is_none());
                let mut looks = looks.into_iter().map(LookView::of).collect::<Result<Vec<_>>>()?;
                let last = looks.iter().find(|look| look.finished_at.is_some()).cloned();
                for look in &mut looks {
                    // Only the last one is told in full.
                    look.kinds.clear();
                    look.habits.clear();
                }
                let open = causes.iter().filter(|row| row.pair == pair.name).map(|row| row.count).sum();
                let PairSetup { name, sources, target, kinds, .. } = pair;
                shown.push(PairView { name, sources, target, kinds, last, under_way, open, looks });
            }
            Ok(shown)
        })
        .await
}

/// One look.
///
/// # Errors
/// The store's.
pub async fn look(store: &Store, brand: &Brand, id: ReconciliationId) -> Result<Option<LookView>> {
    let brand = brand.clone();
    store.read(move |view| view.reconciliation(&brand, id)?.map(LookView::of).transpose()).await
}

/// Open differences by cause.
///
/// # Errors
/// The store's.
pub async fn causes(store: &Store, brand: &Brand) -> Result<Vec<CauseView>> {
    let brand = brand.clone();
    store.read(move |view| Ok(view.difference_causes(&brand)?.into_iter().map(CauseView::from).collect())).await
}

/// The differences that are asked for.
///
/// # Errors
/// The store's.
pub async fn differences(store: &Store, brand: &Brand, wanted: &Wanted) -> Result<Vec<DifferenceView>> {
    let (brand, wanted) = (brand.clone(), wanted.clone());
    store.read(move |view| Ok(view.differences(&brand, &wanted)?.into_iter().map(DifferenceView::from).collect())).await
}

/// One difference.
///
/// # Errors
/// The store's.
pub async fn difference(store: &Store, brand: &Brand, id: DifferenceId) -> Result<Option<DifferenceView>> {
    let brand = brand.clone();
    store.read(move |view| Ok(view.difference(&brand, id)?.map(DifferenceView::from))).await
}
