//! What each reading has proven to cover.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::params;
use selvedge_model::{Brand, ConnectionName, Interval, Kind};

use crate::{
    Result, Tx, View,
    packing::{count, limit, micros, moment, moment_maybe, signed},
};

/// How many proven readings are kept as a log, per connection, kind and way. What they cover is
/// kept for ever, merged.
const LOG_ROWS_MAX: i64 = 2_000;
/// The log is pruned now and then, not at each reading.
const PRUNE_EVERY: i64 = 64;

/// One proven interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenRow {
    /// Which way: `poll`, `sweep`.
    pub via: String,
    /// What it covered.
    pub interval: Interval,
    /// How many documents it saw.
    pub seen: u64,
    /// How many of them were news.
    pub news: u64,
    /// When it was proven.
    pub at: Timestamp,
}

/// A reading that is not whole yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadingRow {
    /// Which way: `poll`, `sweep`.
    pub via: String,
    /// What it will cover.
    pub interval: Interval,
    /// Where it goes on; opaque to everyone but the connector.
    pub cursor: String,
    /// How many documents it saw so far.
    pub seen: u64,
    /// How many of them were news.
    pub news: u64,
}

impl Tx<'_> {
    /// Records how far a reading has come; there is one per connection, kind and way.
    pub fn keep_reading(&self, brand: &Brand, connection: &ConnectionName, kind: Kind, row: &ReadingRow) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO readings (brand, connection, kind, via, from_at, to_at, cursor, seen, news)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let (from, to) = (micros(row.interval.from), micros(row.interval.to));
        let (seen, news) = (signed(row.seen), signed(row.news));
        let values = params![brand.as_str(), connection.as_str(), kind.word(), row.via, from, to, row.cursor, seen, news];
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    /// Gives up a reading: the next one begins at its first page.
    pub fn forget_reading(&self, brand: &Brand, connection: &ConnectionName, kind: Kind, via: &str) -> Result<()> {
        let sql = "DELETE FROM readings WHERE brand = ?1 AND connection = ?2 AND kind = ?3 AND via = ?4";
        self.connection.prepare_cached(sql)?.execute(params![brand.as_str(), connection.as_str(), kind.word(), via])?;
        Ok(())
    }

    /// Records that every page of this interval was read and kept, and ends the reading of that way.
    pub fn prove(&self, brand: &Brand, connection: &ConnectionName, kind: Kind, row: &ProvenRow) -> Result<()> {
        self.forget_reading(brand, connection, kind, &row.via)?;
        let (brand, connection, kind, via) = (brand.as_str(), connection.as_str(), kind.word(), row.via.as_str());
        let (mut from, mut to) = (micros(row.interval.from), micros(row.interval.to));
        let sql = "INSERT INTO proven (brand, connection, kind, via, from_at, to_at, seen, news, proven_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let values = params![brand, connection, kind, via, from, to, signed(row.seen), signed(row.news), micros(row.at)];
        self.connection.prepare_cached(sql)?.execute(values)?;
        if self.connection.last_insert_rowid() % PRUNE_EVERY == 0 {
            let sql = "DELETE FROM proven WHERE brand = ?1 AND connection = ?2 AND kind = ?3 AND via = ?4 AND id <= (
                         SELECT id FROM proven WHERE brand = ?1 AND connection = ?2 AND kind = ?3 AND via = ?4
                         ORDER BY id DESC LIMIT 1 OFFSET ?5)";
            self.connection.prepare_cached(sql)?.execute(params![brand, connection, kind, via, LOG_ROWS_MAX])?;
        }
        if from >= to {
            return Ok(());
        }
        // Merge with every stretch that it overlaps or touches; there are rarely more than one.
        let sql = "DELETE FROM coverage WHERE brand = ?1 AND connection = ?2 AND kind = ?3 AND via = ?4 AND from_at <= ?6 AND to_at >= ?5
                   RETURNING from_at, to_at";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut merged = statement.query(params![brand, connection, kind, via, from, to])?;
        while let Some(stretch) = merged.next()? {
            from = from.min(stretch.get(0)?);
            to = to.max(stretch.get(1)?);
        }
        let sql = "INSERT INTO coverage (brand, connection, kind, via, from_at, to_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        self.connection.prepare_cached(sql)?.execute(params![brand, connection, kind, via, from, to])?;
        Ok(())
    }
}

impl View<'_> {
    /// The reading of this way that is not whole yet.
    pub fn reading(&self, brand: &Brand, connection: &ConnectionName, kind: Kind, via: &str) -> Result<Option<ReadingRow>> {
        let sql = "SELECT from_at, to_at, cursor, seen, news FROM readings
                   WHERE brand = ?1 AND connection = ?2 AND kind = ?3 AND via = ?4";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![brand.as_str(), connection.as_str(), kind.word(), via])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        Ok(Some(ReadingRow {
            via: via.to_owned(),
            interval: Interval { from: moment(row.get(0)?)?, to: moment(row.get(1)?)? },
            cursor: row.get(2)?,
            seen: count(row.get(3)?),
            news: count(row.get(4)?),
        }))
    }

    /// The end of what is proven without a hole by this way, counted from the first proven interval.
    pub fn proven_until(&self, brand: &Brand, connection: &ConnectionName, kind: Kind, via: &str) -> Result<Option<Timestamp>> {
        let sql =
            "SELECT to_at FROM coverage WHERE brand = ?1 AND connection = ?2 AND kind = ?3 AND via = ?4 ORDER BY from_at LIMIT 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![brand.as_str(), connection.as_str(), kind.word(), via])?;
        rows.next()?.map(|row| moment(row.get(0)?)).transpose()
    }

    /// Stretches that lie between proven intervals, of polls and sweeps together, and are covered by none.
    pub fn holes(&self, brand: &Brand, connection: &ConnectionName, kind: Kind) -> Result<Vec<Interval>> {
        let sql = "SELECT from_at, to_at FROM coverage WHERE brand = ?1 AND connection = ?2 AND kind = ?3 AND via IN ('poll', 'sweep') ORDER BY from_at";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![brand.as_str(), connection.as_str(), kind.word()])?;
        let (mut holes, mut covered) = (Vec::new(), None::<i64>);
        while let Some(row) = rows.next()? {
            let (from, to): (i64, i64) = (row.get(0)?, row.get(1)?);
            if let Some(end) = covered.filter(|end| *end < from) {
                holes.push(Interval { from: moment(end)?, to: moment(from)? });
            }
            covered = Some(covered.map_or(to, |end| end.max(to)));
        }
        Ok(holes)
    }

    /// When a source was last swept at least as far back as its timer wants it. One that a person asked for over less does not count:
    /// what it left out would wait for two days.
    pub fn swept_at(
        &self,
        brand: &Brand,
        connection: &ConnectionName,
        kind: Kind,
        back: Duration,
        since: Timestamp,
    ) -> Result<Option<Timestamp>> {
        let sql = "SELECT max(proven_at) FROM proven WHERE brand = ?1 AND connection = ?2 AND kind = ?3 AND via = 'sweep'
                   AND from_at <= max(proven_at - ?4, ?5)";
        let back = i64::try_from(back.as_micros()).unwrap_or(i64::MAX);
        let values = params![brand.as_str(), connection.as_str(), kind.word(), back, micros(since)];
        moment_maybe(self.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0))?)
    }

    /// The last proven intervals of each way, at most `limit_rows` of each, newest first. Of each,
    /// so that polls every few seconds do not hide when the last sweep was.
    pub fn proven(&self, brand: &Brand, connection: &ConnectionName, kind: Kind, limit_rows: usize) -> Result<Vec<ProvenRow>> {
        let sql = "SELECT via, from_at, to_at, seen, news, proven_at, id FROM proven
                   WHERE brand = ?1 AND connection = ?2 AND kind = ?3 AND via = ?4 ORDER BY id DESC LIMIT ?5";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut all = Vec::new();
        for via in ["poll", "sweep"] {
            let values = params![brand.as_str(), connection.as_str(), kind.word(), via, limit(limit_rows)];
            let rows = statement.query_and_then(values, |row| {
                let interval = Interval { from: moment(row.get(1)?)?, to: moment(row.get(2)?)? };
                let (seen, news) = (count(row.get(3)?), count(row.get(4)?));
                let row_id: i64 = row.get(6)?;
                Ok((row_id, ProvenRow { via: row.get(0)?, interval, seen, news, at: moment(row.get(5)?)? }))
            })?;
            all.extend(rows.collect::<Result<Vec<_>>>()?);
        }
        all.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
        Ok(all.into_iter().map(|(_, row)| row).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::samples::{at, brand, connection, memory};

    fn row(via: &str, from: i64, to: i64) -> ProvenRow {
        ProvenRow { via: via.to_owned(), interval: Interval { from: at(from), to: at(to) }, seen: 1, news: 0, at: at(to) }
    }

    #[tokio::test]
    async fn a_sweep_is_seen_behind_many_polls() {
        let store = memory().await;
        store
            .write(|tx| {
                let shop = connection("shop");
                tx.prove(&brand(), &shop, Kind::Order, &row("sweep", 0, 10))?;
                for n in 0..50 {
                    tx.prove(&brand(), &shop, Kind::Order, &row("poll", n, n + 1))?;
                }
                let last = tx.proven(&brand(), &shop, Kind::Order, 3)?;
                assert_eq!(last, [row("poll", 49, 50), row("poll", 48, 49), row("poll", 47, 48), row("sweep", 0, 10)]);
                assert_eq!(tx.connection.query_row("SELECT count(*) FROM coverage", [], |row| row.get::<_, i64>(0))?, 2);
                Ok(())
            })
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn the_log_is_bounded_and_the_coverage_whole() {
        let store = memory().await;
        store
            .write(|tx| {
                let shop = connection("shop");
                let end = LOG_ROWS_MAX + 3 * PRUNE_EVERY;
                for n in 0..end {
                    tx.prove(&brand(), &shop, Kind::Order, &row("poll", n, n + 1))?;
                }
                let kept: i64 = tx.connection.query_row("SELECT count(*) FROM proven", [], |row| row.get(0))?;
                assert!((LOG_ROWS_MAX..=LOG_ROWS_MAX + PRUNE_EVERY).contains(&kept), "{kept}");
                assert_eq!(tx.proven_until(&brand(), &shop, Kind::Order, "poll")?, Some(at(end)));
                assert_eq!(tx.holes(&brand(), &shop, Kind::Order)?, []);
                Ok(())
            })
            .await
            .unwrap();
    }

    /// Second by second: what is covered, and what lies between.
    fn oracle(rows: &[(bool, i64, i64)]) -> (Option<i64>, Vec<(i64, i64)>) {
        let inside = |second: i64, polls_only: bool| {
            rows.iter().any(|(poll, from, to)| (*poll || !polls_only) && *from <= second && second < *to)
        };
        let first = rows.iter().filter(|(poll, from, to)| *poll && from < to).map(|(_, from, _)| *from).min();
        let until = first.map(|first| (first..).find(|second| !inside(*second, true)).unwrap());
        let covered: Vec<i64> = (0..60).filter(|second| inside(*second, false)).collect();
        let mut holes = Vec::new();
        for pair in covered.windows(2) {
            if pair[1] > pair[0] + 1 {
                holes.push((pair[0] + 1, pair[1]));
            }
        }
        (until, holes)
    }

    #[tokio::test]
    async fn a_reading_goes_on_until_it_is_proven() {
        let store = memory().await;
        let begun = |cursor: &str, seen| ReadingRow {
            via: "sweep".into(),
            interval: Interval { from: at(1), to: at(9) },
            cursor: cursor.into(),
            seen,
            news: 1,
        };
        let work = move |tx: &Tx<'_>| {
            assert_eq!(tx.reading(&brand(), &connection("shop"), Kind::Order, "sweep")?, None);
            tx.keep_reading(&brand(), &connection("shop"), Kind::Order, &begun("p2", 200))?;
            tx.keep_reading(&brand(), &connection("shop"), Kind::Order, &begun("p3", 400))?;
            assert_eq!(tx.reading(&brand(), &connection("shop"), Kind::Order, "sweep")?, Some(begun("p3", 400)));
            assert_eq!(tx.reading(&brand(), &connection("shop"), Kind::Order, "poll")?, None);
            tx.prove(&brand(), &connection("shop"), Kind::Order, &row("sweep", 1, 9))?;
            assert_eq!(tx.reading(&brand(), &connection("shop"), Kind::Order, "sweep")?, None);
            Ok(())
        };
        store.write(work).await.unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
        fn agrees_with_counting_seconds(rows in proptest::collection::vec((any::<bool>(), 0_i64..50, 0_i64..12), 0..14)) {
            let rows: Vec<_> = rows.into_iter().map(|(poll, from, length)| (poll, from, from + length)).collect();
            let (until, holes) = oracle(&rows);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let found = runtime.block_on(async {
                memory().await.write(move |tx| {
                    for (poll, from, to) in rows {
                        tx.prove(&brand(), &connection("shop"), Kind::Order, &row(if poll { "poll" } else { "sweep" }, from, to))?;
                    }
                    let until = tx.proven_until(&brand(), &connection("shop"), Kind::Order, "poll")?;
                    let holes = tx.holes(&brand(), &connection("shop"), Kind::Order)?;
                    Ok((until, holes))
                }).await.unwrap()
            });
            prop_assert_eq!(found.0, until.map(at));
            prop_assert_eq!(found.1, holes.into_iter().map(|(from, to)| Interval { from: at(from), to: at(to) }).collect::<Vec<_>>());
        }
    }
}
