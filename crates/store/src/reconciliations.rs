//! Looks at both ends: which, over which window, and what came of each. A row that is finished is never changed: a later
//! agreement does not erase an earlier difference.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use selvedge_model::{Brand, ConnectionName, FlowName, Interval, Kind, ReconciliationId, RecordKey, reconcile::Owed};

use crate::{
    Result, Tx, View,
    packing::{limit, micros, moment, moment_maybe, pack, signed, unpack, unreadable},
};

/// One look at both ends of a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReconciliationRow {
    /// Its row.
    pub id: ReconciliationId,
    /// Which two ends.
    pub pair: String,
    /// The connections whose records they are.
    pub sources: Vec<ConnectionName>,
    /// The connection in which they have to stand.
    pub target: ConnectionName,
    /// `timer`, `far`, `demand`, `audit`, or the period that it is for.
    pub via: String,
    /// Every document of the source that came to be in it gets a verdict.
    pub window: Interval,
    /// Both ends are read over this: partners may lie outside the window.
    pub read: Interval,
    /// When it began.
    pub started_at: Timestamp,
    /// When it was done; none while it is being read.
    pub finished_at: Option<Timestamp>,
    /// Differences that it found.
    pub red: u64,
    /// Whether counts and sums met; none while it is being read.
    pub balanced: Option<bool>,
    /// The tallies, as JSON.
    pub told: Option<Vec<u8>>,
}

/// A look that is to be made.
#[derive(Clone, Debug)]
pub struct NewReconciliation {
    /// Which two ends.
    pub pair: String,
    /// The sources.
    pub sources: Vec<ConnectionName>,
    /// The target.
    pub target: ConnectionName,
    /// Why it is made.
    pub via: String,
    /// The window.
    pub window: Interval,
    /// What is read.
    pub read: Interval,
}

macro_rules! select_reconciliations {
    ($rest:literal) => {
        concat!(
            "SELECT id, pair, sources, target, via, from_at, to_at, back_at, until_at, started_at, finished_at, red, balanced, told ",
            "FROM reconciliations ",
            $rest
        )
    };
}

fn row_of(row: &Row<'_>) -> Result<ReconciliationRow> {
    let told: Option<Vec<u8>> = row.get(13)?;
    Ok(ReconciliationRow {
        id: ReconciliationId(row.get(0)?),
        pair: row.get(1)?,
        sources: row.get::<_, String>(2)?.split(',').map(ConnectionName::new).collect(),
        target: ConnectionName::new(row.get::<_, String>(3)?),
        via: row.get(4)?,
        window: Interval { from: moment(row.get(5)?)?, to: moment(row.get(6)?)? },
        read: Interval { from: moment(row.get(7)?)?, to: moment(row.get(8)?)? },
        started_at: moment(row.get(9)?)?,
        finished_at: moment_maybe(row.get(10)?)?,
        red: crate::packing::count(row.get(11)?),
        balanced: row.get(12)?,
        told: told.map(|bytes| unpack("a reconciliation", &bytes)).transpose()?,
    })
}

impl Tx<'_> {
    /// Begins a look; its statements are read page by page.
    pub fn begin_reconciliation(&self, brand: &Brand, new: &NewReconciliation, now: Timestamp) -> Result<ReconciliationId> {
        let sql = "INSERT INTO reconciliations (brand, pair, sources, target, via, from_at, to_at, back_at, until_at, started_at)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        self.connection.prepare_cached(sql)?.execute(params![
            brand.as_str(),
            new.pair,
            new.sources.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(","),
            new.target.as_str(),
            new.via,
            micros(new.window.from),
            micros(new.window.to),
            micros(new.read.from),
            micros(new.read.to),
            micros(now),
        ])?;
        Ok(ReconciliationId(self.connection.last_insert_rowid()))
    }

    /// It is done: what it came to. What stood there is kept for the newest look of this pair that was made for the same
    /// reason, and forgotten for older ones.
    pub fn finish_reconciliation(
        &self,
        brand: &Brand,
        id: ReconciliationId,
        told: &[u8],
        red: u64,
        balanced: bool,
        now: Timestamp,
    ) -> Result<()> {
        let sql = "UPDATE reconciliations SET finished_at = ?2, told = ?3, red = ?4, balanced = ?5 WHERE id = ?1 AND finished_at IS NULL";
        let changed =
            self.connection.prepare_cached(sql)?.execute(params![id.0, micros(now), pack(told), signed(red), balanced])?;
        if changed != 1 {
            return Err(unreadable("a reconciliation", format!("{id} is done already")));
        }
        let sql = "DELETE FROM statement_entries WHERE run_id IN (
                     SELECT old.id FROM reconciliations old JOIN reconciliations new
                       ON new.brand = old.brand AND new.pair = old.pair AND new.via = old.via
                     WHERE new.id = ?1 AND old.brand = ?2 AND old.id < ?1)";
        self.connection.prepare_cached(sql)?.execute(params![id.0, brand.as_str()])?;
        Ok(())
    }

    /// A look that nobody goes on with: what it had read is forgotten. That it was begun is not: differences may name it.
    pub fn drop_reconciliation(&self, id: ReconciliationId, now: Timestamp) -> Result<()> {
        for sql in ["DELETE FROM statement_entries WHERE run_id = ?1", "DELETE FROM statements WHERE run_id = ?1"] {
            self.connection.prepare_cached(sql)?.execute([id.0])?;
        }
        let sql = "UPDATE reconciliations SET finished_at = ?2, balanced = 0 WHERE id = ?1 AND finished_at IS NULL";
        self.connection.prepare_cached(sql)?.execute(params![id.0, micros(now)])?;
        Ok(())
    }
}

impl View<'_> {
    /// The look at this pair that is under way, for this reason.
    pub fn reconciliation_under_way(&self, brand: &Brand, pair: &str, via: &str) -> Result<Option<ReconciliationRow>> {
        let sql = select_reconciliations!(
            "WHERE brand = ?1 AND pair = ?2 AND via = ?3 AND finished_at IS NULL ORDER BY id DESC LIMIT 1"
        );
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![brand.as_str(), pair, via])?;
        rows.next()?.map(row_of).transpose()
    }

    /// The newest that is done, of this pair; one that was broken off is none.
    pub fn last_reconciliation(&self, brand: &Brand, pair: &str, via: Option<&str>) -> Result<Option<ReconciliationRow>> {
        let sql = select_reconciliations!(
            "WHERE brand = ?1 AND pair = ?2 AND told IS NOT NULL AND (?3 IS NULL OR via = ?3) ORDER BY id DESC LIMIT 1"
        );
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![brand.as_str(), pair, via])?;
        rows.next()?.map(row_of).transpose()
    }

    /// The oldest that is done, of this pair, for this reason.
    pub fn first_reconciliation(&self, brand: &Brand, pair: &str, via: &str) -> Result<Option<ReconciliationRow>> {
        let sql = select_reconciliations!("WHERE brand = ?1 AND pair = ?2 AND told IS NOT NULL AND via = ?3 ORDER BY id LIMIT 1");
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![brand.as_str(), pair, via])?;
        rows.next()?.map(row_of).transpose()
    }

    /// One of them.
    pub fn reconciliation(&self, brand: &Brand, id: ReconciliationId) -> Result<Option<ReconciliationRow>> {
        let sql = select_reconciliations!("WHERE brand = ?1 AND id = ?2");
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![brand.as_str(), id.0])?;
        rows.next()?.map(row_of).transpose()
    }

    /// The newest, whether done or not; of one pair or of all.
    pub fn reconciliations(&self, brand: &Brand, pair: Option<&str>, most: usize) -> Result<Vec<ReconciliationRow>> {
        let sql = select_reconciliations!("WHERE brand = ?1 AND (?2 IS NULL OR pair = ?2) ORDER BY id DESC LIMIT ?3");
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![brand.as_str(), pair, limit(most)])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(row_of(row)?);
        }
        Ok(found)
    }

    /// The newest of a pair that found something, or did not meet.
    pub fn reconciliations_red(&self, brand: &Brand, pair: &str, most: usize) -> Result<Vec<ReconciliationRow>> {
        let sql = select_reconciliations!(
            "WHERE brand = ?1 AND pair = ?2 AND finished_at IS NOT NULL AND (red > 0 OR balanced = 0) ORDER BY id DESC LIMIT ?3"
        );
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![brand.as_str(), pair, limit(most)])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(row_of(row)?);
        }
        Ok(found)
    }

    /// What the ledger knows of a record: the obligation of its newest revision in one of these flows, the least settled first.
    pub fn owed_now(&self, brand: &Brand, flows: &[FlowName], key: &RecordKey) -> Result<Option<Owed>> {
        let sql = "SELECT state, exception_id, note, settled_at FROM obligations WHERE brand = ?1 AND flow = ?2 AND key = ?3 ORDER BY revision DESC LIMIT 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut best: Option<Owed> = None;
        for flow in flows {
            let row = statement
                .query_row(params![brand.as_str(), flow.as_str(), key.as_str()], |row| {
                    Ok((row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?, row.get::<_, Option<String>>(2)?, row.get(3)?))
                })
                .optional()?;
            let Some((state, exception, note, settled_at)) = row else { continue };
            let state = selvedge_model::obligation::State::from_word(&state).ok_or_else(|| unreadable("a state", &state))?;
            let owed = Owed {
                state,
                exception: exception.map(selvedge_model::ExceptionId),
                note,
                flow: flow.clone(),
                settled_at: moment_maybe(settled_at)?,
            };
            if best.as_ref().is_none_or(|best| best.state.settled() && !owed.state.settled()) {
                best = Some(owed);
            }
        }
        Ok(best)
    }

    /// Whether this kind of record was ever captured from a connection under this key.
    pub fn is_captured(&self, brand: &Brand, kind: Kind, key: &RecordKey) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM records WHERE brand = ?1 AND kind = ?2 AND key = ?3)";
        Ok(self
            .connection
            .prepare_cached(sql)?
            .query_row(params![brand.as_str(), kind.word(), key.as_str()], |row| row.get(0))?)
    }
}
