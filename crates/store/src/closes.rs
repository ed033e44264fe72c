//! Where the periods of an entity stand: what each look at them found, what was signed, what was opened again.
//!
//! Nothing here is ever changed. A period's state is read off what was added: signed with no reopening after it, signed and
//! reopened, signed once more. So the red of the first of the month is still there when the fifth is green.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use selvedge_model::{Brand, close::Period};

use crate::{
    Result, StoreError, Tx, View,
    packing::{count, micros, moment, short, signed, unreadable},
};

/// Longest text of a reason or a finding, in characters.
const TEXT_CHARS_MAX: usize = 2_000;
/// So many findings of one look are kept: a period that does not add up at all has one for each line.
const AGAINST_MAX: usize = 200;

/// Where a period stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseState {
    /// Never signed.
    Open,
    /// Signed, and nothing came after.
    Signed,
    /// Signed, and something came late: it waits for a restatement.
    Reopened,
    /// Signed more than once, and nothing came after.
    Restated,
}

impl CloseState {
    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            CloseState::Open => "open",
            CloseState::Signed => "signed",
            CloseState::Reopened => "reopened",
            CloseState::Restated => "restated",
        }
    }
}

/// One look at a period.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct CloseVerdict {
    /// Counted from 1 per period.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// Who looked.
    pub actor: String,
    /// How many rows there were.
    pub rows: u64,
    /// How many of them open.
    pub open_items: u64,
    /// What stood against signing; nothing: it might have been signed.
    pub against: Vec<String>,
}

/// One pack that was signed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct CloseSign {
    /// Whose books.
    pub entity: String,
    /// Of which period.
    pub period: Period,
    /// Counted from 1 through all packs of the entity.
    pub sequence: u32,
    /// 0 for the first close of the period.
    pub restatement: u32,
    /// Who.
    pub signed_by: String,
    /// When.
    pub signed_at: Timestamp,
    /// Where the pack was sealed.
    pub folder: String,
    /// The hash of its manifest.
    pub hash: String,
    /// The hash of the pack before it; none for the first of the entity.
    pub previous: Option<String>,
    /// How many rows.
    pub rows: u64,
    /// How many of them open.
    pub open_items: u64,
}

/// What opened a restatement.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Reopening {
    /// Counted from 1 per period.
    pub number: u64,
    /// Which close of the period it came after.
    pub restatement: u32,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// Why, in a sentence.
    pub reason: String,
}

const SIGN_COLUMNS: &str =
    "entity, period, sequence, restatement, signed_by, signed_at, folder, hash, previous, rows, open_items";

fn period(text: String) -> Result<Period> {
    text.parse().map_err(|error| unreadable("a period", error))
}

fn sign(row: &Row<'_>) -> Result<CloseSign> {
    Ok(CloseSign {
        entity: row.get(0)?,
        period: period(row.get(1)?)?,
        sequence: row.get(2)?,
        restatement: row.get(3)?,
        signed_by: row.get(4)?,
        signed_at: moment(row.get(5)?)?,
        folder: row.get(6)?,
        hash: row.get(7)?,
        previous: row.get(8)?,
        rows: count(row.get(9)?),
        open_items: count(row.get(10)?),
    })
}

impl Tx<'_> {
    /// Keeps what a look at a period found.
    #[expect(clippy::too_many_arguments, reason = "a row's columns, written once")]
    pub fn add_close_verdict(
        &self,
        brand: &Brand,
        entity: &str,
        period: Period,
        actor: &str,
        rows: u64,
        open_items: u64,
        against: &[String],
        at: Timestamp,
    ) -> Result<()> {
        let kept: Vec<&str> = against.iter().take(AGAINST_MAX).map(|text| short(text, TEXT_CHARS_MAX)).collect();
        let kept = serde_json::to_string(&kept).map_err(|error| unreadable("a verdict", error))?;
        let sql = "INSERT INTO close_verdicts (brand, entity, period, number, at, actor, rows, open_items, against)
                   VALUES (?1, ?2, ?3, 1 + (SELECT coalesce(max(number), 0) FROM close_verdicts
                           WHERE brand = ?1 AND entity = ?2 AND period = ?3), ?4, ?5, ?6, ?7, ?8)";
        self.connection.prepare_cached(sql)?.execute(params![
            brand.as_str(),
            entity,
            period.to_string(),
            micros(at),
            actor,
            signed(rows),
            signed(open_items),
            kept
        ])?;
        Ok(())
    }

    /// Keeps that a pack was signed.
    ///
    /// # Errors
    /// [`StoreError::SignedMeanwhile`] when it does not follow the last pack of its entity, or its period stands signed already.
    pub fn add_close_sign(&self, brand: &Brand, new: &CloseSign) -> Result<()> {
        let last = self.last_close_sign(brand, &new.entity)?;
        let follows = last.as_ref().map_or(0, |last| last.sequence).checked_add(1) == Some(new.sequence)
            && last.map(|last| last.hash) == new.previous;
        let of_period = self.close_signs(brand, &new.entity)?.into_iter().filter(|sign| sign.period == new.period).count();
        if !follows || usize::try_from(new.restatement) != Ok(of_period) {
            return Err(StoreError::SignedMeanwhile(format!("{} {}", new.entity, new.period)));
        }
        if of_period > 0 && self.close_state(brand, &new.entity, new.period)? != CloseState::Reopened {
            return Err(StoreError::SignedMeanwhile(format!("{} {}", new.entity, new.period)));
        }
        let sql =
            format!("INSERT INTO close_signs (brand, {SIGN_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)");
        self.connection.prepare_cached(&sql)?.execute(params![
            brand.as_str(),
            new.entity,
            new.period.to_string(),
            new.sequence,
            new.restatement,
            new.signed_by,
            micros(new.signed_at),
            new.folder,
            new.hash,
            new.previous,
            signed(new.rows),
            signed(new.open_items)
        ])?;
        Ok(())
    }

    /// Opens a restatement of a period that was signed. One that is open already only gets a further reason.
    ///
    /// # Errors
    /// [`StoreError::Absent`] when it was never signed: then there is nothing to restate.
    pub fn reopen_close(
        &self,
        brand: &Brand,
        entity: &str,
        period: Period,
        actor: &str,
        reason: &str,
        at: Timestamp,
    ) -> Result<()> {
        let last = self.close_signs(brand, entity)?.into_iter().rfind(|sign| sign.period == period);
        let last = last.ok_or_else(|| StoreError::Absent(format!("signed close of {entity} {period}")))?;
        let sql = "INSERT INTO close_reopenings (brand, entity, period, number, restatement, at, actor, reason)
                   VALUES (?1, ?2, ?3, 1 + (SELECT coalesce(max(number), 0) FROM close_reopenings
                           WHERE brand = ?1 AND entity = ?2 AND period = ?3), ?4, ?5, ?6, ?7)";
        self.connection.prepare_cached(sql)?.execute(params![
            brand.as_str(),
            entity,
            period.to_string(),
            last.restatement,
            micros(at),
            actor,
            short(reason, TEXT_CHARS_MAX)
        ])?;
        Ok(())
    }
}

impl View<'_> {
    /// All packs of an entity, in the order in which they were signed.
    pub fn close_signs(&self, brand: &Brand, entity: &str) -> Result<Vec<CloseSign>> {
        let sql = format!("SELECT {SIGN_COLUMNS} FROM close_signs WHERE brand = ?1 AND entity = ?2 ORDER BY sequence");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_and_then(params![brand.as_str(), entity], sign)?;
        rows.collect()
    }

    /// The last pack of an entity.
    pub fn last_close_sign(&self, brand: &Brand, entity: &str) -> Result<Option<CloseSign>> {
        let sql =
            format!("SELECT {SIGN_COLUMNS} FROM close_signs WHERE brand = ?1 AND entity = ?2 ORDER BY sequence DESC LIMIT 1");
        let mut statement = self.connection.prepare_cached(&sql)?;
        statement.query_row(params![brand.as_str(), entity], |row| Ok(sign(row))).optional()?.transpose()
    }

    /// Where a period stands.
    pub fn close_state(&self, brand: &Brand, entity: &str, period: Period) -> Result<CloseState> {
        let Some(last) = self.close_signs(brand, entity)?.into_iter().rfind(|sign| sign.period == period) else {
            return Ok(CloseState::Open);
        };
        let after = self.close_reopenings(brand, entity, period)?;
        Ok(match last.restatement {
            of if after.iter().any(|reopening| reopening.restatement == of) => CloseState::Reopened,
            0 => CloseState::Signed,
            _ => CloseState::Restated,
        })
    }

    /// What each look at a period found, oldest first.
    pub fn close_verdicts(&self, brand: &Brand, entity: &str, period: Period) -> Result<Vec<CloseVerdict>> {
        let sql = "SELECT number, at, actor, rows, open_items, against FROM close_verdicts
                   WHERE brand = ?1 AND entity = ?2 AND period = ?3 ORDER BY number";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_and_then(params![brand.as_str(), entity, period.to_string()], |row| {
            let against: String = row.get(5)?;
            Ok(CloseVerdict {
                number: count(row.get(0)?),
                at: moment(row.get(1)?)?,
                actor: row.get(2)?,
                rows: count(row.get(3)?),
                open_items: count(row.get(4)?),
                against: serde_json::from_str(&against).map_err(|error| unreadable("a verdict", error))?,
            })
        })?;
        rows.collect()
    }

    /// What opened restatements of a period, oldest first.
    pub fn close_reopenings(&self, brand: &Brand, entity: &str, period: Period) -> Result<Vec<Reopening>> {
        let sql = "SELECT number, restatement, at, actor, reason FROM close_reopenings
                   WHERE brand = ?1 AND entity = ?2 AND period = ?3 ORDER BY number";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_and_then(params![brand.as_str(), entity, period.to_string()], |row| {
            Ok(Reopening {
                number: count(row.get(0)?),
                restatement: row.get(1)?,
                at: moment(row.get(2)?)?,
                actor: row.get(3)?,
                reason: row.get(4)?,
            })
        })?;
        rows.collect()
    }

    /// All periods of an entity of which anything is known, oldest first.
    pub fn close_periods(&self, brand: &Brand, entity: &str) -> Result<Vec<Period>> {
        let sql = "SELECT period FROM close_verdicts WHERE brand = ?1 AND entity = ?2
                   UNION SELECT period FROM close_signs WHERE brand = ?1 AND entity = ?2 ORDER BY 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_and_then(params![brand.as_str(), entity], |row| period(row.get(0)?))?;
        rows.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{at, brand, memory};

    const ENTITY: &str = "nordvik";

    fn month(name: &str) -> Period {
        name.parse().unwrap()
    }

    fn hash(letter: char) -> String {
        letter.to_string().repeat(64)
    }

    fn new(sequence: u32, name: &str, restatement: u32, previous: Option<char>, own: char) -> CloseSign {
        CloseSign {
            entity: ENTITY.to_owned(),
            period: month(name),
            sequence,
            restatement,
            signed_by: "anna".to_owned(),
            signed_at: at(i64::from(sequence)),
            folder: format!("packs/{ENTITY}-{name}"),
            hash: hash(own),
            previous: previous.map(hash),
            rows: 10,
            open_items: 1,
        }
    }

    #[tokio::test]
    async fn a_late_item_opens_a_restatement_and_rewrites_nothing() {
        let store = memory().await;
        let november = month("2026-11");
        store
            .write(move |tx| {
                let state = || tx.close_state(&brand(), ENTITY, november).unwrap();
                assert_eq!(state(), CloseState::Open);
                assert!(matches!(tx.reopen_close(&brand(), ENTITY, november, "bo", "late", at(1)), Err(StoreError::Absent(_))));
                tx.add_close_sign(&brand(), &new(1, "2026-11", 0, None, 'a'))?;
                assert_eq!(state(), CloseState::Signed);
                // Nobody restates what nothing came after.
                let early = tx.add_close_sign(&brand(), &new(2, "2026-11", 1, Some('a'), 'b'));
                assert!(matches!(early, Err(StoreError::SignedMeanwhile(_))));
                tx.add_close_sign(&brand(), &new(2, "2026-12", 0, Some('a'), 'b'))?;
                tx.reopen_close(&brand(), ENTITY, november, "bo", "SE-31 came late", at(5))?;
                tx.reopen_close(&brand(), ENTITY, november, "bo", "SE-32 came late", at(6))?;
                assert_eq!(state(), CloseState::Reopened);
                tx.add_close_sign(&brand(), &new(3, "2026-11", 1, Some('b'), 'c'))?;
                assert_eq!(state(), CloseState::Restated);
                let signs = tx.close_signs(&brand(), ENTITY)?;
                assert_eq!(
                    signs,
                    [new(1, "2026-11", 0, None, 'a'), new(2, "2026-12", 0, Some('a'), 'b'), new(3, "2026-11", 1, Some('b'), 'c')]
                );
                let reasons: Vec<_> =
                    tx.close_reopenings(&brand(), ENTITY, november)?.into_iter().map(|r| (r.number, r.reason)).collect();
                assert_eq!(reasons, [(1, "SE-31 came late".to_owned()), (2, "SE-32 came late".to_owned())]);
                for table in ["close_signs", "close_verdicts", "close_reopenings"] {
                    tx.add_close_verdict(&brand(), ENTITY, november, "anna", 1, 0, &[], at(1))?;
                    assert!(tx.connection.execute(&format!("UPDATE {table} SET brand = 'x'"), []).is_err());
                    assert!(tx.connection.execute(&format!("DELETE FROM {table}"), []).is_err());
                }
                Ok(())
            })
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn the_chain_has_one_end() {
        let store = memory().await;
        store
            .write(|tx| {
                tx.add_close_sign(&brand(), &new(1, "2026-11", 0, None, 'a'))?;
                for wrong in [
                    new(1, "2026-12", 0, None, 'b'),
                    new(2, "2026-12", 0, Some('x'), 'b'),
                    new(3, "2026-12", 0, Some('a'), 'b'),
                    new(2, "2026-12", 1, Some('a'), 'b'),
                    new(2, "2026-11", 0, Some('a'), 'b'),
                ] {
                    assert!(matches!(tx.add_close_sign(&brand(), &wrong), Err(StoreError::SignedMeanwhile(_))), "{wrong:?}");
                }
                tx.add_close_sign(&brand(), &new(2, "2026-12", 0, Some('a'), 'b'))?;
                // Another entity has a chain of its own.
                tx.add_close_sign(&brand(), &CloseSign { entity: "other".to_owned(), ..new(1, "2026-11", 0, None, 'c') })
            })
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_green_look_does_not_erase_a_red_one() {
        let store = memory().await;
        let november = month("2026-11");
        let seen = store
            .write(move |tx| {
                let red = ["orders: 5 documents were read, the rows account for 4".to_owned()];
                tx.add_close_verdict(&brand(), ENTITY, november, "anna", 4, 0, &red, at(1))?;
                tx.add_close_verdict(&brand(), ENTITY, november, "anna", 5, 1, &[], at(2))?;
                assert_eq!(tx.close_periods(&brand(), ENTITY)?, [november]);
                tx.close_verdicts(&brand(), ENTITY, november)
            })
            .await
            .unwrap();
        let told: Vec<_> = seen.iter().map(|v| (v.number, v.rows, v.open_items, v.against.len())).collect();
        assert_eq!(told, [(1, 4, 0, 1), (2, 5, 1, 0)]);
    }
}
