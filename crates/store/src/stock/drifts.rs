//! Differences that nothing under way explained.

use jiff::Timestamp;
use rusqlite::{Row, params};
use schemars::JsonSchema;
use selvedge_model::{ExceptionId, LocationId, Sku};

use super::Of;
use crate::{
    Result, Tx, View,
    packing::{count, limit, micros, moment, moment_maybe},
};

/// How many are kept.
const DRIFTS_MAX: i64 = 200_000;

/// A difference to note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDrift {
    /// Where.
    pub place: LocationId,
    /// Of what.
    pub sku: Sku,
    /// Its cause, in a word.
    pub cause: &'static str,
    /// Units that should have stood there.
    pub expected: i64,
    /// Units that did.
    pub shown: i64,
}

/// A difference.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct DriftRow {
    /// Its row: the newer, the higher.
    pub id: i64,
    /// Where.
    pub place: LocationId,
    /// Of what.
    pub sku: Sku,
    /// When it was found.
    pub found_at: Timestamp,
    /// Its cause, in a word.
    pub cause: String,
    /// Units that should have stood there.
    pub expected: i64,
    /// Units that did.
    pub shown: i64,
    /// The exception that it belongs to.
    pub exception: ExceptionId,
    /// When both sides were equal again.
    pub settled_at: Option<Timestamp>,
}

macro_rules! select_drifts {
    ($rest:literal) => {
        concat!("SELECT place, sku, found_at, cause, expected, shown, exception_id, settled_at, id FROM stock_drifts ", $rest)
    };
}

fn drift_row(row: &Row<'_>) -> Result<DriftRow> {
    Ok(DriftRow {
        id: row.get(8)?,
        place: LocationId(row.get(0)?),
        sku: Sku(row.get(1)?),
        found_at: moment(row.get(2)?)?,
        cause: row.get(3)?,
        expected: row.get(4)?,
        shown: row.get(5)?,
        exception: ExceptionId(row.get(6)?),
        settled_at: moment_maybe(row.get(7)?)?,
    })
}

impl Tx<'_> {
    /// Notes a difference; whether it is news: one that is noted already is not noted twice.
    pub fn stock_drift(&self, of: &Of, new: &NewDrift, exception: ExceptionId, now: Timestamp) -> Result<bool> {
        let sql = "INSERT INTO stock_drifts (brand, flow, place, sku, found_at, cause, expected, shown, exception_id)
                   SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 WHERE NOT EXISTS (
                     SELECT 1 FROM stock_drifts WHERE brand = ?1 AND flow = ?2 AND place = ?3 AND sku = ?4 AND settled_at IS NULL)";
        let done = self.connection.prepare_cached(sql)?.execute(params![
            of.brand.as_str(),
            of.flow.as_str(),
            new.place.as_str(),
            new.sku.as_str(),
            micros(now),
            new.cause,
            new.expected,
            new.shown,
            exception.0,
        ])?;
        if done > 0 {
            let oldest = self.connection.last_insert_rowid() - DRIFTS_MAX;
            self.connection.prepare_cached("DELETE FROM stock_drifts WHERE id <= ?1")?.execute([oldest])?;
        }
        Ok(done > 0)
    }
}

impl Tx<'_> {
    /// Differences that are all settled need nobody any more: their exceptions close by themselves.
    pub fn stock_settle_drifts(&self, brand: &selvedge_model::Brand, now: Timestamp) -> Result<()> {
        let sql = "SELECT cause FROM exceptions e WHERE brand = ?1 AND open = 1 AND standing = 1
                   AND EXISTS (SELECT 1 FROM stock_drifts d WHERE d.exception_id = e.id)
                   AND NOT EXISTS (SELECT 1 FROM stock_drifts d WHERE d.exception_id = e.id AND d.settled_at IS NULL)";
        let mut statement = self.connection.prepare_cached(sql)?;
        let causes = statement.query_map([brand.as_str()], |row| row.get::<_, String>(0))?;
        for cause in causes.collect::<rusqlite::Result<Vec<_>>>()? {
            self.settle_standing(brand, &cause, "both sides were read and are equal again", now)?;
        }
        Ok(())
    }
}

impl View<'_> {
    /// How many differences of an exception are not settled, and how many there were.
    pub fn stock_drift_counts(&self, exception: ExceptionId) -> Result<(u64, u64)> {
        let sql = "SELECT count(*) FILTER (WHERE settled_at IS NULL), count(*) FROM stock_drifts WHERE exception_id = ?1";
        let (open, all): (i64, i64) =
            self.connection.prepare_cached(sql)?.query_row([exception.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok((count(open), count(all)))
    }

    /// The newest differences: of one exception, or of a flow.
    ///
    /// With `before`, those that are older than this one.
    pub fn stock_drifts(
        &self,
        of: &Of,
        exception: Option<ExceptionId>,
        before: Option<i64>,
        limit_rows: usize,
    ) -> Result<Vec<DriftRow>> {
        let sql = select_drifts!(
            "WHERE brand = ?1 AND flow = ?2 AND (?3 IS NULL OR exception_id = ?3) AND id < ?5 ORDER BY id DESC LIMIT ?4"
        );
        let mut statement = self.connection.prepare_cached(sql)?;
        let before = before.unwrap_or(i64::MAX);
        let values = params![of.brand.as_str(), of.flow.as_str(), exception.map(|id| id.0), limit(limit_rows), before];
        statement.query_and_then(values, drift_row)?.collect()
    }

    /// The differences of an item at a place that are not settled.
    pub fn stock_drifts_of(&self, of: &Of, place: &LocationId, sku: &Sku) -> Result<Vec<DriftRow>> {
        let sql =
            select_drifts!("WHERE brand = ?1 AND flow = ?2 AND place = ?3 AND sku = ?4 AND settled_at IS NULL ORDER BY id DESC");
        let mut statement = self.connection.prepare_cached(sql)?;
        let values = [of.brand.as_str(), of.flow.as_str(), place.as_str(), sku.as_str()];
        statement.query_and_then(values, drift_row)?.collect()
    }
}
