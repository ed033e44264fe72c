//! On what two ends disagree. A row is closed by the look that saw it agree and is never removed; when it comes again, it is a
//! new row beside the old one.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use selvedge_model::{
    Brand, ConnectionName, DifferenceId, ExceptionId, ExternalId, Interval, Kind, Money, ReconciliationId, compare::Cause,
    reconcile::Why, team::Team,
};

use crate::{
    Result, Tx, View,
    packing::{count, limit, micros, moment, moment_maybe, short, unreadable},
    records::money,
    statements::End,
};

/// Longest sentences that are kept, in characters.
const TEXT_CHARS_MAX: usize = 1_000;

/// One difference as a look found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDifference {
    /// Of which kind of document.
    pub kind: Kind,
    /// Our key; the target's id behind a `~` where only the target has it.
    pub subject: String,
    /// The order.
    pub family: String,
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
    /// What is at stake; in the currency of `money` where both are there.
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
    /// What groups it with others of its root cause.
    pub exception: Option<ExceptionId>,
    /// In a sentence.
    pub detail: String,
    /// What to do.
    pub fix: String,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DifferenceRow {
    /// Its row.
    pub id: DifferenceId,
    /// Between which two ends.
    pub pair: String,
    /// What was found.
    pub found: NewDifference,
    /// What may belong to it, and how sure that is.
    pub suggestion: Option<String>,
    /// When it was first seen, and by which look.
    pub first_seen_at: Timestamp,
    /// By which look first.
    pub first_run: ReconciliationId,
    /// When it was last seen.
    pub last_seen_at: Timestamp,
    /// By which look last.
    pub last_run: ReconciliationId,
    /// When and on what evidence it was closed.
    pub closed: Option<(Timestamp, String)>,
}

/// Which differences are asked for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Of one pair.
    pub pair: Option<String>,
    /// Of one kind of document.
    pub kind: Option<Kind>,
    /// Of one kind of disagreement.
    pub cause: Option<Cause>,
    /// That came about like this.
    pub why: Option<Why>,
    /// Of one order.
    pub family: Option<String>,
    /// Closed ones, too.
    pub closed: bool,
    /// Those that come after this one.
    pub after: Option<Place>,
    /// At most so many, what is at stake most first.
    pub most: usize,
}

/// Where a difference stands in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    closed: bool,
    stake: i64,
    id: i64,
}

impl Place {
    /// Of a row.
    pub fn of(row: &DifferenceRow) -> Self {
        Self { closed: row.closed.is_some(), stake: row.found.stake.map_or(0, |money| money.minor()), id: row.id.0 }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", u8::from(self.closed), self.stake, self.id)
    }
}

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let read = || {
            let mut parts = text.split('.');
            let closed = match parts.next()? {
                "0" => false,
                "1" => true,
                _ => return None,
            };
            let place = Self { closed, stake: parts.next()?.parse().ok()?, id: parts.next()?.parse().ok()? };
            parts.next().is_none().then_some(place)
        };
        read().ok_or_else(|| "This page of the list does not read; begin again with the first.".to_owned())
    }
}

/// How many differences have one cause, and what is at stake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CauseRow {
    /// Between which two ends.
    pub pair: String,
    /// Of which kind of document.
    pub kind: Kind,
    /// What kind of disagreement.
    pub cause: Cause,
    /// How it probably came about.
    pub why: Why,
    /// How many.
    pub count: u64,
    /// Of how many documents.
    pub documents: u64,
    /// What is at stake, per currency.
    pub stake: Vec<Money>,
    /// When the first of them was seen.
    pub first_seen_at: Timestamp,
}

fn word_of<T: serde::Serialize>(value: T) -> Result<String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        _ => Err(unreadable("a word", "it is no word")),
    }
}

fn of_word<T: serde::de::DeserializeOwned>(what: &str, word: &str) -> Result<T> {
    serde_json::from_value(serde_json::Value::String(word.to_owned())).map_err(|_| unreadable(what, word))
}

macro_rules! select_differences {
    ($rest:literal) => {
        concat!(
            "SELECT id, pair, kind, subject, family, cause, why, path, expected, actual, money_minor, stake_minor, currency, source_id, ",
            "target_id, at, team, exception_id, detail, fix, suggestion, first_seen_at, first_run, last_seen_at, last_run, closed_at, ",
            "closed_why, source FROM differences ",
            $rest
        )
    };
}

fn row_of(row: &Row<'_>) -> Result<DifferenceRow> {
    let (kind, cause, why, team): (String, String, String, String) = (row.get(2)?, row.get(5)?, row.get(6)?, row.get(16)?);
    let currency: Option<String> = row.get(12)?;
    let closed_at = moment_maybe(row.get(25)?)?;
    let closed_why: Option<String> = row.get(26)?;
    Ok(DifferenceRow {
        id: DifferenceId(row.get(0)?),
        pair: row.get(1)?,
        found: NewDifference {
            kind: Kind::from_word(&kind).ok_or_else(|| unreadable("a kind", &kind))?,
            subject: row.get(3)?,
            family: row.get(4)?,
            cause: of_word("a cause", &cause)?,
            why: of_word("a reason", &why)?,
            path: row.get(7)?,
            expected: row.get(8)?,
            actual: row.get(9)?,
            money: money(row.get(10)?, currency.as_deref())?,
            stake: money(row.get(11)?, currency.as_deref())?,
            source: row.get::<_, Option<String>>(27)?.map(ConnectionName::new),
            source_id: row.get(13)?,
            target_id: row.get(14)?,
            at: moment(row.get(15)?)?,
            team: Team::from_word(&team).ok_or_else(|| unreadable("a team", &team))?,
            exception: row.get::<_, Option<i64>>(17)?.map(ExceptionId),
            detail: row.get(18)?,
            fix: row.get(19)?,
        },
        suggestion: row.get(20)?,
        first_seen_at: moment(row.get(21)?)?,
        first_run: ReconciliationId(row.get(22)?),
        last_seen_at: moment(row.get(23)?)?,
        last_run: ReconciliationId(row.get(24)?),
        closed: closed_at.zip(closed_why),
    })
}

impl Tx<'_> {
    /// Notes a difference: the open row of the same disagreement is seen again, else there is a new one. Whether it is new is told.
    pub fn note_difference(
        &self,
        brand: &Brand,
        pair: &str,
        run: ReconciliationId,
        new: &NewDifference,
        now: Timestamp,
    ) -> Result<(DifferenceId, bool)> {
        let (cause, why) = (word_of(new.cause)?, word_of(new.why)?);
        let currency = new.money.or(new.stake).map(|money| money.currency());
        let minor = |money: Option<Money>| money.filter(|money| Some(money.currency()) == currency).map(Money::minor);
        let (money_minor, stake_minor) = (minor(new.money), minor(new.stake));
        let text = |text: &Option<String>| text.as_deref().map(|text| short(text, TEXT_CHARS_MAX).to_owned());
        let sql = "UPDATE differences SET why = ?7, expected = ?8, actual = ?9, money_minor = ?10, stake_minor = ?11, currency = ?12,
                     source_id = ?13, target_id = ?14, team = ?15, exception_id = ?16, detail = ?17, fix = ?18, last_seen_at = ?19, last_run = ?20,
                     source = ?21
                   WHERE brand = ?1 AND pair = ?2 AND kind = ?3 AND subject = ?4 AND cause = ?5 AND path = ?6 AND closed_at IS NULL
                   RETURNING id";
        let id = self
            .connection
            .prepare_cached(sql)?
            .query_row(
                params![
                    brand.as_str(),
                    pair,
                    new.kind.word(),
                    new.subject,
                    cause,
                    new.path,
                    why,
                    text(&new.expected),
                    text(&new.actual),
                    money_minor,
                    stake_minor,
                    currency.map(|currency| currency.code()),
                    new.source_id,
                    new.target_id,
                    new.team.word(),
                    new.exception.map(|id| id.0),
                    short(&new.detail, TEXT_CHARS_MAX),
                    short(&new.fix, TEXT_CHARS_MAX),
                    micros(now),
                    run.0,
                    new.source.as_ref().map(ConnectionName::as_str),
                ],
                |row| row.get(0),
            )
            .optional()?;
        if let Some(id) = id {
            return Ok((DifferenceId(id), false));
        }
        let sql = "INSERT INTO differences (brand, pair, kind, subject, family, cause, why, path, expected, actual, money_minor,
                     stake_minor, currency, source_id, target_id, at, team, exception_id, detail, fix, first_seen_at, first_run, last_seen_at,
                     last_run, source) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20,
                     ?21, ?22, ?21, ?22, ?23)";
        self.connection.prepare_cached(sql)?.execute(params![
            brand.as_str(),
            pair,
            new.kind.word(),
            new.subject,
            new.family,
            cause,
            why,
            new.path,
            text(&new.expected),
            text(&new.actual),
            money_minor,
            stake_minor,
            currency.map(|currency| currency.code()),
            new.source_id,
            new.target_id,
            micros(new.at),
            new.team.word(),
            new.exception.map(|id| id.0),
            short(&new.detail, TEXT_CHARS_MAX),
            short(&new.fix, TEXT_CHARS_MAX),
            micros(now),
            run.0,
            new.source.as_ref().map(ConnectionName::as_str),
        ])?;
        Ok((DifferenceId(self.connection.last_insert_rowid()), true))
    }

    /// A document of the source is on its way: what differs on it was neither seen again nor seen agreed, so this look closes
    /// none of it.
    pub fn keep_differences(&self, brand: &Brand, pair: &str, run: ReconciliationId, kind: Kind, subject: &str) -> Result<()> {
        let sql = "UPDATE differences SET last_run = ?5
                   WHERE brand = ?1 AND pair = ?2 AND kind = ?3 AND subject = ?4 AND closed_at IS NULL";
        self.connection.prepare_cached(sql)?.execute(params![brand.as_str(), pair, kind.word(), subject, run.0])?;
        Ok(())
    }

    /// A document is there and could not be read: what differs on it may well stand, so this look closes none of it.
    pub fn keep_differences_unread(
        &self,
        brand: &Brand,
        pair: &str,
        run: ReconciliationId,
        kind: Kind,
        end: End,
        id: &ExternalId,
    ) -> Result<()> {
        // Several documents of one difference are kept as a list.
        let sql = "UPDATE differences SET last_run = ?4
                   WHERE brand = ?1 AND pair = ?2 AND kind = ?3 AND closed_at IS NULL
                     AND instr(', ' || CASE WHEN ?5 THEN source_id ELSE target_id END || ', ', ', ' || ?6 || ', ') > 0";
        let source = end == End::Source;
        self.connection.prepare_cached(sql)?.execute(params![brand.as_str(), pair, kind.word(), run.0, source, id.as_str()])?;
        Ok(())
    }

    /// Differences that this look covered and did not see any more, and that it is about to close.
    pub fn differences_unseen(
        &self,
        brand: &Brand,
        pair: &str,
        window: &Interval,
        run: ReconciliationId,
    ) -> Result<Vec<DifferenceRow>> {
        let sql = select_differences!(
            "WHERE brand = ?1 AND pair = ?2 AND closed_at IS NULL AND at >= ?3 AND at < ?4 AND last_run < ?5 ORDER BY id"
        );
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![brand.as_str(), pair, micros(window.from), micros(window.to), run.0])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(row_of(row)?);
        }
        Ok(found)
    }

    /// One difference was not compared: this look closes it as little as it saw it.
    pub fn keep_difference(&self, id: DifferenceId, run: ReconciliationId) -> Result<()> {
        let sql = "UPDATE differences SET last_run = ?2 WHERE id = ?1 AND closed_at IS NULL";
        self.connection.prepare_cached(sql)?.execute(params![id.0, run.0])?;
        Ok(())
    }

    /// What came late and stands at both ends is told for so long and no longer; how many were closed.
    pub fn close_late(&self, brand: &Brand, pair: &str, before: Timestamp, now: Timestamp) -> Result<u64> {
        let sql = "UPDATE differences SET closed_at = ?5, closed_why = 'it came late and stood at both ends when it was seen last: told for as long as the timer looks back'
                   WHERE brand = ?1 AND pair = ?2 AND why = ?3 AND at < ?4 AND closed_at IS NULL";
        let closed = self.connection.prepare_cached(sql)?.execute(params![
            brand.as_str(),
            pair,
            word_of(Why::Late)?,
            micros(before),
            micros(now)
        ])?;
        Ok(closed as u64)
    }

    /// Closes what this look covered and did not see any more; how many.
    pub fn close_differences(
        &self,
        brand: &Brand,
        pair: &str,
        kinds: &[Kind],
        window: &Interval,
        run: ReconciliationId,
        now: Timestamp,
    ) -> Result<u64> {
        // What is told of the document in other words now has not come to agree.
        let sql = "UPDATE differences AS gone SET closed_at = ?6, closed_why = CASE WHEN EXISTS (
                       SELECT 1 FROM differences other WHERE other.brand = ?1 AND other.pair = ?2 AND other.kind = ?8
                         AND other.family = gone.family AND other.closed_at IS NULL AND other.last_run = ?5
                     ) THEN ?9 ELSE ?7 END
                   WHERE brand = ?1 AND pair = ?2 AND closed_at IS NULL AND at >= ?3 AND at < ?4 AND last_run < ?5 AND kind = ?8";
        let mut closed = 0;
        for kind in kinds {
            closed += self.connection.prepare_cached(sql)?.execute(params![
                brand.as_str(),
                pair,
                micros(window.from),
                micros(window.to),
                run.0,
                micros(now),
                format!("both ends agreed when {run} looked"),
                kind.word(),
                format!("{run} told it otherwise: see what is open on the same document"),
            ])? as u64;
        }
        Ok(closed)
    }

    /// What may belong to a difference.
    pub fn suggest_difference(&self, id: DifferenceId, suggestion: Option<&str>) -> Result<()> {
        let sql = "UPDATE differences SET suggestion = ?2 WHERE id = ?1";
        self.connection.prepare_cached(sql)?.execute(params![id.0, suggestion.map(|text| short(text, TEXT_CHARS_MAX))])?;
        Ok(())
    }
}

impl View<'_> {
    /// The differences that are asked for.
    pub fn differences(&self, brand: &Brand, wanted: &Wanted) -> Result<Vec<DifferenceRow>> {
        // Apart, so that what is open is found by the indexes of open rows, however many are closed.
        let sql = if wanted.closed {
            select_differences!(
                "WHERE brand = ?1 AND (?2 IS NULL OR pair = ?2) AND (?3 IS NULL OR kind = ?3)
                   AND (?4 IS NULL OR cause = ?4) AND (?5 IS NULL OR why = ?5) AND (?6 IS NULL OR family = ?6)
                   AND (?8 IS NULL OR (closed_at IS NOT NULL, -coalesce(stake_minor, 0), id) > (?8, -?9, ?10))
                 ORDER BY closed_at IS NOT NULL, coalesce(stake_minor, 0) DESC, id LIMIT ?7"
            )
        } else {
            select_differences!(
                "WHERE brand = ?1 AND closed_at IS NULL AND (?2 IS NULL OR pair = ?2) AND (?3 IS NULL OR kind = ?3)
                   AND (?4 IS NULL OR cause = ?4) AND (?5 IS NULL OR why = ?5) AND (?6 IS NULL OR family = ?6)
                   AND (?8 IS NULL OR (0, -coalesce(stake_minor, 0), id) > (?8, -?9, ?10))
                 ORDER BY coalesce(stake_minor, 0) DESC, id LIMIT ?7"
            )
        };
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![
            brand.as_str(),
            wanted.pair,
            wanted.kind.map(Kind::word),
            wanted.cause.map(word_of).transpose()?,
            wanted.why.map(word_of).transpose()?,
            wanted.family,
            limit(wanted.most),
            wanted.after.map(|place| place.closed),
            wanted.after.map(|place| place.stake),
            wanted.after.map(|place| place.id),
        ])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(row_of(row)?);
        }
        Ok(found)
    }

    /// Everything that was ever found about one order: what is open first, then the newest.
    pub fn differences_of(&self, brand: &Brand, family: &str, most: usize) -> Result<Vec<DifferenceRow>> {
        let sql = select_differences!(
            "WHERE brand = ?1 AND family = ?2 ORDER BY closed_at IS NOT NULL, coalesce(stake_minor, 0) DESC, id DESC LIMIT ?3"
        );
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![brand.as_str(), family, limit(most)])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(row_of(row)?);
        }
        Ok(found)
    }

    /// One difference.
    pub fn difference(&self, brand: &Brand, id: DifferenceId) -> Result<Option<DifferenceRow>> {
        let sql = select_differences!("WHERE brand = ?1 AND id = ?2");
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![brand.as_str(), id.0])?;
        rows.next()?.map(row_of).transpose()
    }

    /// Open differences by cause, the most first.
    pub fn difference_causes(&self, brand: &Brand) -> Result<Vec<CauseRow>> {
        let sql = "SELECT pair, kind, cause, why, count(*), count(DISTINCT subject), sum(stake_minor), currency, min(first_seen_at)
                   FROM differences WHERE brand = ?1 AND closed_at IS NULL GROUP BY pair, kind, cause, why, currency ORDER BY 5 DESC";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([brand.as_str()])?;
        let mut found: Vec<CauseRow> = Vec::new();
        while let Some(row) = rows.next()? {
            let (kind, cause, why): (String, String, String) = (row.get(1)?, row.get(2)?, row.get(3)?);
            let currency: Option<String> = row.get(7)?;
            let next = CauseRow {
                pair: row.get(0)?,
                kind: Kind::from_word(&kind).ok_or_else(|| unreadable("a kind", &kind))?,
                cause: of_word("a cause", &cause)?,
                why: of_word("a reason", &why)?,
                count: count(row.get(4)?),
                documents: count(row.get(5)?),
                stake: money(row.get(6)?, currency.as_deref())?.into_iter().collect(),
                first_seen_at: moment(row.get(8)?)?,
            };
            let same = |row: &&mut CauseRow| {
                row.pair == next.pair && row.kind == next.kind && row.cause == next.cause && row.why == next.why
            };
            match found.iter_mut().find(same) {
                Some(known) => {
                    known.count += next.count;
                    known.documents += next.documents;
                    known.stake.extend(next.stake);
                    known.first_seen_at = known.first_seen_at.min(next.first_seen_at);
                }
                None => found.push(next),
            }
        }
        found.sort_by_key(|row| std::cmp::Reverse(row.count));
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
