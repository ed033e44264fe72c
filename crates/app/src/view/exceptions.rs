//! What somebody has to decide.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rust_decimal::Decimal;
use schemars::JsonSchema;
use selvedge_model::{
    Brand, ConnectionName, ExceptionId, FlowName, Kind, Money, ObligationId, Problem, RecordKey,
    impact::{Deadline, Impact, Radius, Scale},
    owners::Owner,
    people::MapEntry,
    team::Team,
};
use selvedge_store::{
    Result, Store, View,
    exceptions::{ExceptionRow, Releasing, Snooze},
    halves::HalvesRow,
    promises::PromiseRow,
};
use serde::Serialize;

use super::{Ends, MappingWanted, Target};

/// How many records an exception is shown to hold; the count beside it is the whole truth.
const HELD_SHOWN_MAX: usize = 100;
/// The longest reason, in characters.
const REASON_CHARS_MAX: usize = 500;

/// One exception.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ExceptionView {
    /// Its row.
    pub id: ExceptionId,
    /// In which flow; empty for one about a connection.
    pub flow: FlowName,
    /// By which rule it was found.
    pub rule: String,
    /// The team that owns it.
    pub team: Team,
    /// Who in that team; none while it is the whole team's.
    pub person: Option<String>,
    /// By what it is ranked, in whole units of the desk's currency times urgency.
    pub impact: u64,
    /// People behind what it holds.
    pub customers: u64,
    /// What waits behind it: of trouble with a connection, which holds nothing itself.
    pub behind: Option<BehindView>,
    /// When it costs more, and why.
    pub deadline: Option<Deadline>,
    /// Until when it is snoozed, and why.
    pub snoozed: Option<Snooze>,
    /// How far a release of it is that goes step by step.
    pub releasing: Option<Releasing>,
    /// Where in the record.
    pub path: String,
    /// What stood there.
    pub value: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
    /// Whether anyone has to look.
    pub open: bool,
    /// How many records it holds now.
    pub count: u64,
    /// How much money it holds, an amount per currency.
    pub money: Vec<String>,
    /// When it was first met.
    pub first_seen_at: Timestamp,
    /// When it was last met.
    pub last_seen_at: Timestamp,
    /// When and why it closed.
    pub closed: Option<String>,
    /// The root cause that groups it.
    pub cause: String,
    /// The money as amounts, for the formula.
    #[serde(skip)]
    pub amounts: Vec<Money>,
}

/// What waits behind an exception.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct BehindView {
    /// Records on their way there.
    pub records: u64,
    /// People behind these.
    pub customers: u64,
    /// What they are worth, an amount per currency.
    pub money: Vec<String>,
    /// The same, for the formula.
    #[serde(skip)]
    pub radius: Radius,
}

impl From<Radius> for BehindView {
    fn from(radius: Radius) -> Self {
        Self {
            records: radius.records,
            customers: radius.customers,
            money: radius.money.iter().map(Money::to_string).collect(),
            radius,
        }
    }
}

/// What JSON readers take of a whole number.
const JSON_MAX: u64 = (1 << 53) - 1;

impl ExceptionView {
    /// What it comes to, in figures: the formula by which it is ranked.
    pub fn formula(&self, scale: &Scale, now: Timestamp) -> String {
        let held = || Radius { money: self.amounts.clone(), customers: self.customers, records: self.count };
        let radius = self.behind.as_ref().map_or_else(held, |behind| behind.radius.clone());
        Impact::of(&radius, self.deadline, scale, now).formula(&radius, self.deadline, scale, now)
    }

    /// Who owns it.
    pub fn owner(&self) -> Owner {
        Owner { team: self.team, person: self.person.clone() }
    }
}

impl From<ExceptionRow> for ExceptionView {
    fn from(row: ExceptionRow) -> Self {
        let Problem { rule, path, value, message, remedy, cause } = row.problem;
        Self {
            id: row.id,
            flow: row.flow,
            team: row.owner.team,
            person: row.owner.person,
            impact: (row.impact / 100).min(JSON_MAX),
            customers: row.customers,
            behind: row.behind.map(BehindView::from),
            deadline: row.deadline,
            snoozed: row.snoozed,
            releasing: row.releasing,
            rule,
            path,
            value,
            message,
            remedy,
            open: row.open,
            count: row.count,
            money: row.money.iter().map(Money::to_string).collect(),
            amounts: row.money,
            first_seen_at: row.first_seen_at,
            last_seen_at: row.last_seen_at,
            closed: row.closed,
            cause,
        }
    }
}

/// How many open exceptions need somebody now.
///
/// # Errors
/// The store's.
pub async fn open_count(store: &Store, brand: &Brand) -> Result<usize> {
    let brand = brand.clone();
    store.read(move |view| view.desk_count(&brand)).await.map(|count| usize::try_from(count).unwrap_or(usize::MAX))
}

/// The open exceptions whose cause begins like this.
///
/// # Errors
/// The store's.
pub async fn by_cause(store: &Store, brand: &Brand, prefix: &str) -> Result<Vec<ExceptionView>> {
    let (brand, prefix) = (brand.clone(), prefix.to_owned());
    store
        .read(move |view| {
            let found = view.open_causes(&brand, &prefix)?;
            found.into_iter().map(|(id, ..)| view.exception(id).map(ExceptionView::from)).collect()
        })
        .await
}

/// The team that is asked for by its word; none for an empty one.
///
/// # Errors
/// What is wrong, in a sentence.
pub fn team(word: &str) -> std::result::Result<Option<Team>, String> {
    let word = word.trim();
    if word.is_empty() {
        return Ok(None);
    }
    let words = || Team::ALL.map(Team::word).join(", ");
    Team::from_word(word).map(Some).ok_or_else(|| format!("There is no team of this name. The teams are {}.", words()))
}

/// The connection that an exception's flow leads to, or that it is about by its cause.
pub fn connection_of(flow: &FlowName, cause: &str, ends: &[Ends]) -> Option<String> {
    if flow.as_str().is_empty() {
        return cause.rsplit_once(':').map(|(_, name)| name.to_owned());
    }
    ends.iter().find(|ends| ends.flow == *flow).map(|ends| ends.to.0.clone())
}

/// Amounts added up per currency. They come as the store writes them: `18200.00 EUR`; one that
/// does not read so, or that no longer fits, is listed by itself rather than lost.
pub fn total<'a>(amounts: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let (mut sums, mut others) = (BTreeMap::<&str, Decimal>::new(), Vec::new());
    for text in amounts {
        let read = text.split_once(' ').and_then(|(amount, currency)| Some((amount.parse::<Decimal>().ok()?, currency)));
        let added = read.and_then(|(amount, currency)| {
            Some((sums.get(currency).copied().unwrap_or_default().checked_add(amount)?, currency))
        });
        match added {
            Some((sum, currency)) => {
                sums.insert(currency, sum);
            }
            None => others.push(text.clone()),
        }
    }
    sums.into_iter().map(|(currency, sum)| format!("{sum} {currency}")).chain(others).collect()
}

/// A record that an exception holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HeldView {
    /// Its obligation.
    pub obligation: ObligationId,
    /// Of which kind.
    pub kind: Kind,
    /// Our key.
    pub key: RecordKey,
    /// The obligation on whose account it is held, and with which it goes.
    pub waits_for: Option<ObligationId>,
}

/// An order that has not left a warehouse whole, of which an exception tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LateView {
    /// The order's number.
    pub order: RecordKey,
    /// By when all of it was promised to have left.
    pub dispatch_by: Option<Timestamp>,
    /// Units that the warehouse has to ship.
    pub ordered: u64,
    /// Units of these that have left.
    pub shipped: u64,
}

/// The mapping that would settle an exception.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MappingAsked {
    /// For which target; `None` when the flow is not configured any more.
    pub connection: Option<ConnectionName>,
    /// Which table.
    pub table: String,
    /// Which key.
    pub key: String,
    /// What stands there now, which the target does not have or not any more; `None` for nothing.
    pub stands: Option<String>,
}

impl MappingAsked {
    /// The entry that answers it with this value, if it makes sense.
    ///
    /// # Errors
    /// What is wrong, in a sentence.
    pub fn answered(
        self,
        connection: Option<ConnectionName>,
        value: &str,
        known: &[Target],
    ) -> std::result::Result<MapEntry, String> {
        let connection = self.connection.or(connection).unwrap_or_default();
        let wanted = MappingWanted { connection, table: self.table, key: self.key, value: Some(value.to_owned()), seen: None };
        let MappingWanted { connection, table, key, value, .. } = wanted.checked(known)?;
        Ok(MapEntry { connection, table, key, value: value.unwrap_or_default() })
    }
}

/// One exception with what it holds.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ExceptionDetail {
    /// The exception.
    #[serde(flatten)]
    pub exception: ExceptionView,
    /// What it holds, oldest first; at most 100 of them.
    pub holds: Vec<HeldView>,
    /// The newest of all that it holds.
    pub newest: Option<ObligationId>,
    /// Orders that it tells of and that have not left whole, the longest due first; at most 100 of them.
    pub late: Vec<LateView>,
    /// Returns of which one half is missing past its deadline; at most 100 of them.
    pub returns: Vec<HalfView>,
    /// The mapping that would settle it, if one would.
    pub mapping: Option<MappingAsked>,
}

/// A return of which one half is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HalfView {
    /// Our key.
    pub key: RecordKey,
    /// Who tells of it.
    pub connection: ConnectionName,
    /// The money that hangs on it.
    pub money: Option<Money>,
}

/// One exception; `None` when there is no such exception.
///
/// # Errors
/// The store's.
pub async fn exception(store: &Store, brand: &Brand, ends: &[Ends], id: ExceptionId) -> Result<Option<ExceptionDetail>> {
    let (brand, ends) = (brand.clone(), ends.to_vec());
    store
        .read(move |view| {
            if !view.is_exception_of(&brand, id)? {
                return Ok(None);
            }
            let exception = ExceptionView::from(view.exception(id)?);
            let mut holds = Vec::new();
            for (obligation, key) in view.held_by(id, HELD_SHOWN_MAX)? {
                let row = view.obligation(obligation)?;
                holds.push(HeldView { obligation, kind: row.kind, key: RecordKey(key), waits_for: row.waits_for });
            }
            let late = |row: PromiseRow| LateView {
                order: row.key,
                dispatch_by: row.dispatch_by,
                ordered: row.ordered,
                shipped: row.shipped,
            };
            let late = view.promises_of(id, HELD_SHOWN_MAX)?.into_iter().map(late).collect();
            let half = |row: HalvesRow| HalfView { key: row.key, connection: row.connection, money: row.money };
            let returns = view.halves_of(id, HELD_SHOWN_MAX)?.into_iter().map(half).collect();
            let mapping = mapping_asked(view, &brand, &exception, &ends)?;
            let newest = view.newest_held(id)?;
            Ok(Some(ExceptionDetail { exception, holds, newest, late, returns, mapping }))
        })
        .await
}

fn mapping_asked(view: &View<'_>, brand: &Brand, exception: &ExceptionView, ends: &[Ends]) -> Result<Option<MappingAsked>> {
    let Some(table) = exception.rule.strip_prefix("mapping.") else { return Ok(None) };
    let key = exception.cause.strip_prefix(&exception.rule).and_then(|rest| rest.strip_prefix(':'));
    let Some(key) = key else { return Ok(None) };
    let connection = ends.iter().find(|ends| ends.flow == exception.flow).map(|ends| ends.to.clone());
    let stands = connection.as_ref().map(|at| view.mapping(brand, at, table, key)).transpose()?.flatten();
    Ok(Some(MappingAsked { connection, table: table.to_owned(), key: key.to_owned(), stands }))
}

/// The reason for letting go of what an exception holds, trimmed, if it is one.
///
/// # Errors
/// What is wrong, in a sentence.
pub fn reason(text: &str) -> std::result::Result<String, String> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err("Give a reason: it is kept with every record that is let go.".to_owned()),
        1..=REASON_CHARS_MAX => Ok(text.to_owned()),
        _ => Err(format!("A reason has at most {REASON_CHARS_MAX} characters.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(amounts: &[&str]) -> Vec<String> {
        amounts.iter().map(|amount| (*amount).to_owned()).collect()
    }

    #[test]
    fn money_adds_up_per_currency_and_nothing_is_lost() {
        assert_eq!(total(&text(&["1.10 EUR", "2.90 EUR", "7 JPY", "odd"])), ["4.00 EUR", "7 JPY", "odd"]);
        let largest = format!("{} EUR", Decimal::MAX);
        assert_eq!(total(&text(&[&largest, "1 EUR"])), [largest.as_str(), "1 EUR"]);
        assert!(total(&[]).is_empty());
    }
}
