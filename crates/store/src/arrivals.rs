//! How many records arrive, by quarter of an hour: what silence is told by.
//!
//! The table is kept as records are entered, so nobody ever scans the records for it. What is counted is the first revision of a
//! record. It counts at the time at which it reached us; a document whose own time lies further back than [`LATE`] is history
//! (a first capture, a sweep, what came after an outage) and counts at its own time: it teaches, and is no burst.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use selvedge_model::{
    AnyRecord, Brand, ConnectionName, Kind,
    silence::{History, SLOT, slot_of},
};

use crate::{
    Result, Tx, View,
    packing::{count, micros, moment, short},
};

/// What is older than this when it comes is history.
pub const LATE: Duration = Duration::from_secs(6 * 3_600);
/// How far back arrivals are kept: the weeks that are looked back on, and some days.
const KEPT: Duration = Duration::from_secs(70 * 86_400);
/// How many markets of one feed are counted apart; further ones count as none.
const MARKETS_MAX: i64 = 64;
/// The longest name of a market.
const MARKET_CHARS_MAX: usize = 60;
/// Microseconds of a second.
const SECOND: i64 = 1_000_000;

/// One series of arrivals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    /// By slot.
    pub history: History,
    /// When the last one came.
    pub last: Option<Timestamp>,
}

/// The market of a record and the time that it states itself, for kinds whose arrivals are counted.
fn counted(record: &AnyRecord) -> Option<(&str, Option<Timestamp>)> {
    match record {
        AnyRecord::Order(order) => Some((order.market.id.as_str(), Some(order.placed_at))),
        AnyRecord::Shipment(shipment) => Some(("", shipment.shipped_at.or(Some(shipment.updated_at)))),
        AnyRecord::Return(returned) => Some(("", Some(returned.created_at))),
        AnyRecord::CreditNote(credit) => Some(("", Some(credit.issued_at))),
        _ => None,
    }
}

impl Tx<'_> {
    /// Counts the first revision of a record.
    pub(crate) fn count_arrival(
        &self,
        brand: &Brand,
        connection: &ConnectionName,
        record: &AnyRecord,
        received_at: Timestamp,
    ) -> Result<()> {
        let Some((market, stated)) = counted(record) else { return Ok(()) };
        let late = |own: &Timestamp| received_at.checked_sub(LATE).is_ok_and(|bound| *own < bound);
        let at = stated.filter(late).unwrap_or(received_at);
        if received_at.checked_sub(KEPT).is_ok_and(|oldest| at < oldest) {
            return Ok(());
        }
        let kind = record.kind();
        let market = self.counted_market(brand, connection, kind, short(market, MARKET_CHARS_MAX))?;
        let sql = "INSERT INTO arrivals (brand, connection, kind, slot, market, count) VALUES (?1, ?2, ?3, ?4, ?5, 1)
                   ON CONFLICT (brand, connection, kind, slot, market) DO UPDATE SET count = count + 1";
        let (brand, connection) = (brand.as_str(), connection.as_str());
        self.connection.prepare_cached(sql)?.execute(params![brand, connection, kind.word(), slot_of(at) * SECOND, market])?;
        let sql = "INSERT INTO last_arrivals (brand, connection, kind, market, at) VALUES (?1, ?2, ?3, ?4, ?5)
                   ON CONFLICT (brand, connection, kind, market) DO UPDATE SET at = max(at, excluded.at)";
        self.connection.prepare_cached(sql)?.execute(params![brand, connection, kind.word(), market, micros(at)])?;
        Ok(())
    }

    /// The market under which it counts: none, once too many are known.
    fn counted_market<'a>(&self, brand: &Brand, connection: &ConnectionName, kind: Kind, market: &'a str) -> Result<&'a str> {
        let values = params![brand.as_str(), connection.as_str(), kind.word(), market];
        let sql = "SELECT 1 FROM last_arrivals WHERE brand = ?1 AND connection = ?2 AND kind = ?3 AND market = ?4";
        if self.connection.prepare_cached(sql)?.query_row(values, |_| Ok(())).optional()?.is_some() {
            return Ok(market);
        }
        let sql = "SELECT count(*) FROM last_arrivals WHERE brand = ?1 AND connection = ?2 AND kind = ?3";
        let known: i64 = self
            .connection
            .prepare_cached(sql)?
            .query_row(params![brand.as_str(), connection.as_str(), kind.word()], |row| row.get(0))?;
        Ok(if known < MARKETS_MAX { market } else { "" })
    }

    /// Forgets arrivals of a feed that nobody looks back on any more, and markets from which nothing came since.
    pub fn forget_arrivals(&self, brand: &Brand, connection: &ConnectionName, kind: Kind, now: Timestamp) -> Result<()> {
        let Ok(oldest) = now.checked_sub(KEPT) else { return Ok(()) };
        let values = params![brand.as_str(), connection.as_str(), kind.word(), micros(oldest)];
        let sql = "DELETE FROM arrivals WHERE brand = ?1 AND connection = ?2 AND kind = ?3 AND slot < ?4";
        self.connection.prepare_cached(sql)?.execute(values)?;
        let sql = "DELETE FROM last_arrivals WHERE brand = ?1 AND connection = ?2 AND kind = ?3 AND at < ?4";
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }
}

impl View<'_> {
    /// What arrived over a feed from an instant on, by market.
    pub fn arrivals(
        &self,
        brand: &Brand,
        connection: &ConnectionName,
        kind: Kind,
        from: Timestamp,
    ) -> Result<BTreeMap<String, Series>> {
        let mut series: BTreeMap<String, Series> = BTreeMap::new();
        let sql = "SELECT market, at FROM last_arrivals WHERE brand = ?1 AND connection = ?2 AND kind = ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![brand.as_str(), connection.as_str(), kind.word()])?;
        while let Some(row) = rows.next()? {
            series.entry(row.get(0)?).or_default().last = Some(moment(row.get(1)?)?);
        }
        let sql = "SELECT market, slot, count FROM arrivals WHERE brand = ?1 AND connection = ?2 AND kind = ?3 AND slot >= ?4";
        let mut statement = self.connection.prepare_cached(sql)?;
        let from = (slot_of(from) - SLOT) * SECOND;
        let mut rows = statement.query(params![brand.as_str(), connection.as_str(), kind.word(), from])?;
        while let Some(row) = rows.next()? {
            let (market, slot): (String, i64) = (row.get(0)?, row.get(1)?);
            series.entry(market).or_default().history.add(slot / SECOND, count(row.get(2)?));
        }
        Ok(series)
    }
}

#[cfg(test)]
mod tests {
    use selvedge_model::{CaptureId, Kind};

    use super::*;
    use crate::{
        records::NewRecord,
        samples::{World, at, brand, connection, memory, order},
    };

    const DAY: i64 = 86_400;

    fn new(key: &str, market: &str, placed_at: Timestamp, received_at: Timestamp) -> NewRecord {
        let mut order = order(key, 100);
        order.market.id = market.to_owned();
        order.placed_at = placed_at;
        NewRecord {
            brand: brand(),
            connection: connection("shop"),
            capture: None::<CaptureId>,
            record: order.into(),
            problems: Vec::new(),
            version: None,
            received_at,
        }
    }

    #[tokio::test]
    async fn what_arrives_is_counted_once_and_what_is_old_counts_where_it_belongs() {
        let store = memory().await;
        store
            .write(|tx| {
                let now = at(30 * DAY + 450);
                tx.put_record(&new("1", "2", at(30 * DAY + 400), now))?;
                tx.put_record(&new("2", "2", at(30 * DAY), now))?;
                // Again, and changed: it has arrived before.
                tx.put_record(&new("2", "2", at(30 * DAY), now))?;
                tx.put_record(&new("2", "3", at(30 * DAY), now))?;
                tx.put_record(&new("3", "3", at(30 * DAY), now))?;
                // Placed a week ago and read today for the first time.
                tx.put_record(&new("4", "2", at(23 * DAY), now))?;
                let series = tx.arrivals(&brand(), &connection("shop"), Kind::Order, at(0))?;
                let of = |market: &str, from, to| series[market].history.milli(at(from), at(to)) / 1_000;
                assert_eq!(series.keys().map(String::as_str).collect::<Vec<_>>(), ["2", "3"]);
                assert_eq!((of("2", 30 * DAY, 31 * DAY), of("2", 23 * DAY, 24 * DAY)), (2, 1));
                assert_eq!(of("3", 30 * DAY, 31 * DAY), 1);
                assert_eq!(series["2"].last, Some(now));
                assert!(tx.arrivals(&brand(), &connection("shop"), Kind::Shipment, at(0))?.is_empty());
                Ok(())
            })
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn the_table_stays_small() {
        let world = World::new().await;
        world
            .tx(|tx| {
                for market in 0..80 {
                    let now = at(100 * DAY);
                    tx.put_record(&new(&format!("m{market}"), &market.to_string(), now, now))?;
                }
                let series = tx.arrivals(&brand(), &connection("shop"), Kind::Order, at(0))?;
                assert_eq!(series.len(), 65, "64 markets, and all others together");
                assert_eq!(series[""].history.milli(at(99 * DAY), at(101 * DAY)), 16_000);
                // Older than anybody looks back.
                tx.put_record(&new("old", "2", at(10 * DAY), at(100 * DAY)))?;
                assert_eq!(
                    tx.arrivals(&brand(), &connection("shop"), Kind::Order, at(0))?["2"].history.milli(at(0), at(99 * DAY)),
                    0
                );
                tx.forget_arrivals(&brand(), &connection("shop"), Kind::Order, at(171 * DAY))?;
                assert!(tx.arrivals(&brand(), &connection("shop"), Kind::Order, at(0))?.is_empty());
                Ok(())
            })
            .await;
    }
}
