//! Whether both ends agree: per pair the last look and its sentence of completeness, the differences by cause, and each of them.

use jiff::Timestamp;
use schemars::JsonSchema;
use selvedge_flow::reconcile::PairSetup;
use selvedge_model::{
    Brand, ConnectionName, DifferenceId, ExceptionId, Kind, Money, ReconciliationId, RecordKey,
    compare::Cause,
    reconcile::{
        Root, Sum, Tally, Why,
        habits::{Habit, Told},
    },
    team::Team,
};
use selvedge_store::{
    Result, Store, StoreError,
    differences::{CauseRow, DifferenceRow, Place, Wanted},
    reconciliations::ReconciliationRow,
};
use serde::{Deserialize, Serialize};

use super::ExceptionView;

/// How many differences a list has at most.
pub const DIFFERENCES_MAX: usize = 1_000;
/// How many a list has unless it is asked for more.
const DIFFERENCES: usize = 100;
/// Looks that are shown of a pair; as many again that found something.
const LOOKS_MAX: usize = 30;

/// Documents and their money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
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
    /// Documents that were read and are in none of these figures: a fault of ours, and the sentence does not hold.
    pub left_over: u64,
    /// Whether the sentence is true: what was told is agreed + open + excluded + in flight, and what stands there is paired, alone or
    /// aside, in documents and in money.
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
            left_over: tally.left_over(),
            meets: tally.meets(),
        }
    }
}

/// One look at both ends.
#[derive(Clone, Debug, Serialize, JsonSchema)]
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
#[derive(Clone, Debug, Serialize, JsonSchema)]
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
    /// The newest looks, and the newest of those that found something, newest first.
    pub looks: Vec<LookView>,
}

/// Whether both ends of every pair agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Agreement {
    /// Pairs.
    pub pairs: usize,
    /// Pairs that were never read whole.
    pub never: Vec<String>,
    /// Pairs of which the last look did not meet: its window stays open.
    pub short: Vec<String>,
    /// When the pair was read that was read longest ago.
    pub since: Option<Timestamp>,
    /// Open differences.
    pub open: u64,
    /// What is at stake with them, per currency.
    pub stake: Vec<String>,
}

impl Agreement {
    /// Whether nothing stands against it.
    pub fn agrees(&self) -> bool {
        self.never.is_empty() && self.short.is_empty() && self.open == 0
    }
}

/// Differences of one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
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
    /// Which of the sources has it.
    pub source: Option<ConnectionName>,
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
        // Figures and items stand beside no order.
        let goods = matches!(found.kind, Kind::Stock | Kind::Product);
        Self {
            id: row.id,
            pair: row.pair,
            kind: found.kind,
            subject: found.subject,
            order: if found.family.starts_with('~') || goods { String::new() } else { found.family },
            cause: found.cause,
            why: found.why,
            path: found.path,
            expected: found.expected,
            actual: found.actual,
            money: found.money,
            stake: found.stake,
            source: found.source,
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
                let mut rows = view.reconciliations(&brand, Some(&pair.name), LOOKS_MAX)?;
                let under_way = rows.iter().any(|look| look.finished_at.is_none());
                rows.extend(view.reconciliations_red(&brand, &pair.name, LOOKS_MAX)?);
                rows.sort_by_key(|row| std::cmp::Reverse(row.id));
                rows.dedup_by_key(|row| row.id);
                // One that was broken off and not gone on with has told nothing.
                rows.retain(|row| row.finished_at.is_none() || row.told.is_some());
                let mut looks = rows.into_iter().map(LookView::of).collect::<Result<Vec<_>>>()?;
                let last = match looks.iter().find(|look| look.finished_at.is_some()) {
                    Some(look) => Some(look.clone()),
                    None => view.last_reconciliation(&brand, &pair.name, None)?.map(LookView::of).transpose()?,
                };
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

/// Whether both ends agree, of all pairs.
///
/// # Errors
/// The store's.
pub async fn agreement(store: &Store, brand: &Brand, pairs: &[PairSetup]) -> Result<Agreement> {
    let (brand, names) = (brand.clone(), pairs.iter().map(|pair| pair.name.clone()).collect::<Vec<_>>());
    store
        .read(move |view| {
            let (mut never, mut short, mut since) = (Vec::new(), Vec::new(), None::<Timestamp>);
            for name in &names {
                match view.last_reconciliation(&brand, name, None)? {
                    None => never.push(name.clone()),
                    Some(row) => {
                        since = since.into_iter().chain(row.finished_at).min();
                        if row.balanced != Some(true) {
                            short.push(name.clone());
                        }
                    }
                }
            }
            let causes = view.difference_causes(&brand)?;
            let stake: Vec<String> = causes.iter().flat_map(|row| &row.stake).map(ToString::to_string).collect();
            let open = causes.iter().map(|row| row.count).sum();
            Ok(Agreement { pairs: names.len(), never, short, since, open, stake: super::total(&stake) })
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

/// The differences that are asked for, and where the next page begins, if there may be more.
///
/// # Errors
/// The store's.
pub async fn differences(store: &Store, brand: &Brand, wanted: &Wanted) -> Result<(Vec<DifferenceView>, Option<Place>)> {
    let (brand, wanted) = (brand.clone(), wanted.clone());
    store
        .read(move |view| {
            let rows = view.differences(&brand, &wanted)?;
            let next = rows.last().map(Place::of).filter(|_| rows.len() == wanted.most);
            Ok((rows.into_iter().map(DifferenceView::from).collect(), next))
        })
        .await
}

/// One difference.
///
/// # Errors
/// The store's.
pub async fn difference(store: &Store, brand: &Brand, id: DifferenceId) -> Result<Option<DifferenceView>> {
    let brand = brand.clone();
    store.read(move |view| Ok(view.difference(&brand, id)?.map(DifferenceView::from))).await
}

/// Whether a record was ever captured under this key, so that it has a page.
///
/// # Errors
/// The store's.
pub async fn knows(store: &Store, brand: &Brand, kind: Kind, key: &str) -> Result<bool> {
    let (brand, key) = (brand.clone(), RecordKey::new(key));
    store.read(move |view| view.is_captured(&brand, kind, &key)).await
}

/// Which differences are asked for, in the words of an address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Filter {
    /// Of one pair.
    pub pair: String,
    /// Of one kind of document.
    pub kind: String,
    /// Of one kind of disagreement.
    pub cause: String,
    /// That came about like this.
    pub why: String,
    /// Of one order.
    pub order: String,
    /// Closed ones, too: `yes`.
    pub all: String,
    /// The `next` of the page before.
    pub after: String,
    /// At most so many.
    pub limit: String,
}

impl Filter {
    /// What is asked for; an empty word asks for nothing. `pairs` are the pairs that there are.
    ///
    /// # Errors
    /// What is wrong, in a sentence, with what there is.
    pub fn wanted(&self, pairs: &[PairSetup]) -> std::result::Result<Wanted, String> {
        let pair = asked(&self.pair).map(str::to_owned);
        if let Some(name) = &pair
            && !pairs.iter().any(|pair| pair.name == *name)
        {
            let names: Vec<&str> = pairs.iter().map(|pair| pair.name.as_str()).collect();
            return Err(match names.is_empty() {
                true => "There is no pair: no two ends are compared.".to_owned(),
                false => format!("There is no pair of this name. The pairs are {}.", names.join(", ")),
            });
        }
        let kind = asked(&self.kind).map(|word| {
            let known = || Kind::ALL.iter().map(|kind| kind.word()).collect::<Vec<_>>().join(", ");
            Kind::from_word(word).ok_or_else(|| format!("There is no kind of this name. The kinds are {}.", known()))
        });
        let why = asked(&self.why).map(|word| {
            let known = || Why::ALL.iter().map(|why| why.word()).collect::<Vec<_>>().join(", ");
            let found = Why::ALL.iter().copied().find(|why| why.word() == word);
            found.ok_or_else(|| format!("Nothing comes about in this way. The ways are {}.", known()))
        });
        let closed = match self.all.trim() {
            "" | "no" | "false" => false,
            "yes" | "true" => true,
            _ => return Err("Closed differences are listed, too, with all=yes, and left out with all=no.".to_owned()),
        };
        let most = match asked(&self.limit) {
            None => DIFFERENCES,
            Some(text) => match text.parse() {
                Ok(limit @ 1..=DIFFERENCES_MAX) => limit,
                _ => return Err(format!("The limit is a number from 1 to {DIFFERENCES_MAX}.")),
            },
        };
        Ok(Wanted {
            pair,
            kind: kind.transpose()?,
            cause: asked(&self.cause).map(cause_of).transpose()?,
            why: why.transpose()?,
            family: asked(&self.order).map(str::to_owned),
            closed,
            after: asked(&self.after).map(str::parse).transpose()?,
            most,
        })
    }
}

fn asked(word: &str) -> Option<&str> {
    Some(word.trim()).filter(|word| !word.is_empty())
}

/// The word of a kind of disagreement.
pub fn cause_word(cause: Cause) -> String {
    match serde_json::to_value(cause) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

fn cause_of(word: &str) -> std::result::Result<Cause, String> {
    serde_json::from_value(serde_json::Value::String(word.to_owned()))
        .map_err(|error| format!("There is no such cause: {error}."))
}

/// The differences that an exception of reconciliation groups; `None` for any other exception.
pub fn grouped_by(exception: &ExceptionView) -> Option<Filter> {
    let Root { pair, kind, rule, why } = Root::parse(&exception.cause)?;
    let cause = rule.strip_prefix("reconcile.")?.to_owned();
    Some(Filter { pair, kind: kind.word().to_owned(), cause, why, ..Filter::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(pair: &str, kind: &str, why: &str) -> Filter {
        Filter { pair: pair.to_owned(), kind: kind.to_owned(), why: why.to_owned(), ..Filter::default() }
    }

    #[test]
    fn words_that_are_none_are_refused_with_those_that_are() {
        assert_eq!(Filter::default().wanted(&[]).map(|wanted| (wanted.most, wanted.closed)), Ok((DIFFERENCES, false)));
        let wanted = filter("", " credit_note ", "over_credit").wanted(&[]).unwrap();
        assert_eq!((wanted.kind, wanted.why), (Some(Kind::CreditNote), Some(Why::OverCredit)));
        for (filter, says) in [
            (filter("nowhere", "", ""), "no two ends are compared"),
            (filter("", "parcel", ""), "order, "),
            (filter("", "", "magic"), "never_arrived"),
            (Filter { cause: "magic".to_owned(), ..Filter::default() }, "tax_rounding"),
            (Filter { all: "perhaps".to_owned(), ..Filter::default() }, "all=yes"),
            (Filter { limit: "0".to_owned(), ..Filter::default() }, "from 1 to 1000"),
            (Filter { limit: "many".to_owned(), ..Filter::default() }, "from 1 to 1000"),
        ] {
            let refused = filter.wanted(&[]).unwrap_err();
            assert!(refused.contains(says), "{refused}");
        }
    }

    #[test]
    fn the_words_of_causes_are_read_as_they_are_written() {
        for cause in [Cause::Missing, Cause::TaxRounding, Cause::Status] {
            assert_eq!(cause_of(&cause_word(cause)), Ok(cause));
        }
    }
}
