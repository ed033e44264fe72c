//! Units of orders that the source's figures do not show yet.
//!
//! A figure as of an instant shows what was taken in before it; of what happened in that very instant,
//! nobody can say, so it counts as not shown.

use schemars::JsonSchema;
use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::params;
use selvedge_model::{Brand, ExceptionId, FlowName, RecordKey, Sku};

use super::Of;
use crate::{
    Result, Tx, View,
    packing::{limit, micros, moment_maybe},
};

/// What an order wants, by SKU.
pub type Wanted = BTreeMap<Sku, i64>;

/// What is not taken in of one order.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct DemandRow {
    /// Which order.
    pub key: RecordKey,
    /// The market that it was placed in.
    pub market: String,
    /// Units that the source's figures do not show.
    pub units: i64,
    /// When the source took some of it, where it did.
    pub taken_at: Option<Timestamp>,
}

/// Units not shown by figures as of ?4, of what was wanted at ?5 or is since; `market` is left to the caller.
macro_rules! not_taken_in {
    () => {
        "max(0, CASE WHEN lowered_at >= ?5 THEN max(wanted, wanted_before) ELSE wanted END - CASE WHEN taken_at IS NOT NULL AND taken_at < ?4 THEN taken ELSE taken_before END)"
    };
}

impl Tx<'_> {
    /// What the newest revision of an order wants; nothing, when it is cancelled. One that has left wants it until the source took it.
    /// `taken` is what the source has taken of an earlier revision, for an order that is not counted yet.
    /// Returns what it wants less of than before.
    pub fn stock_wants(
        &self,
        of: &Of,
        key: &RecordKey,
        market: &str,
        wanted: &Wanted,
        taken: &Wanted,
        now: Timestamp,
    ) -> Result<Vec<Sku>> {
        let (brand, flow, key, now) = (of.brand.as_str(), of.flow.as_str(), key.as_str(), micros(now));
        let mut statement = self
            .connection
            .prepare_cached("SELECT sku, wanted FROM stock_demand WHERE brand = ?1 AND flow = ?2 AND key = ?3 AND wanted > 0")?;
        let before = statement.query_map([brand, flow, key], |row| Ok((Sku(row.get(0)?), row.get::<_, i64>(1)?)))?;
        let before: Wanted = before.collect::<rusqlite::Result<_>>()?;
        let sql = "UPDATE stock_demand SET wanted = ?5, wanted_before = wanted, lowered_at = ?6
                   WHERE brand = ?1 AND flow = ?2 AND key = ?3 AND sku = ?4";
        let mut lower = self.connection.prepare_cached(sql)?;
        let mut lowered = Vec::new();
        for (sku, units) in &before {
            let units_now = wanted.get(sku).copied().unwrap_or(0).max(0);
            if units_now < *units {
                lower.execute(params![brand, flow, key, sku.as_str(), units_now, now])?;
                lowered.push(sku.clone());
            }
        }
        let sql = "INSERT INTO stock_demand (brand, flow, key, sku, market, wanted, taken_before, taken, seen_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8)
                   ON CONFLICT (brand, flow, key, sku) DO UPDATE SET market = excluded.market, wanted = excluded.wanted,
                     seen_at = CASE WHEN excluded.wanted > wanted THEN excluded.seen_at ELSE seen_at END";
        let mut raise = self.connection.prepare_cached(sql)?;
        for (sku, units) in wanted.iter().filter(|(_, units)| **units > 0) {
            let taken = taken.get(sku).copied().unwrap_or(0);
            raise.execute(params![brand, flow, key, sku.as_str(), market, units, taken, now])?;
        }
        Ok(lowered)
    }

    /// The source has taken in these units of an order.
    pub fn stock_taken_in(&self, of: &Of, key: &RecordKey, units: &Wanted, at: Timestamp) -> Result<()> {
        let (brand, flow, key) = (of.brand.as_str(), of.flow.as_str(), key.as_str());
        let sql =
            "UPDATE stock_demand SET taken_before = min(taken_before, taken, ?5), took = ?5 - taken, taken = ?5, taken_at = ?6
                   WHERE brand = ?1 AND flow = ?2 AND key = ?3 AND sku = ?4 AND taken <> ?5";
        let mut statement = self.connection.prepare_cached(sql)?;
        for (sku, units) in units {
            statement.execute(params![brand, flow, key, sku.as_str(), units, micros(at)])?;
        }
        // What it held of the order before and does not any more, it has let go of.
        let sql = "SELECT sku FROM stock_demand WHERE brand = ?1 AND flow = ?2 AND key = ?3 AND taken > 0";
        let mut held = self.connection.prepare_cached(sql)?;
        let held = held.query_map([brand, flow, key], |row| row.get(0).map(Sku))?.collect::<rusqlite::Result<Vec<_>>>()?;
        for sku in held.iter().filter(|sku| !units.contains_key(*sku)) {
            statement.execute(params![brand, flow, key, sku.as_str(), 0, micros(at)])?;
        }
        Ok(())
    }

    /// An order is not counted any more, though it stands in the shop: the source will never hear of it from us.
    pub fn stock_count_no_more(&self, of: &Of, key: &RecordKey, now: Timestamp) -> Result<()> {
        let sql = "UPDATE stock_demand SET wanted = 0, wanted_before = wanted, lowered_at = ?4
                   WHERE brand = ?1 AND flow = ?2 AND key = ?3 AND wanted > 0 RETURNING sku";
        let mut statement = self.connection.prepare_cached(sql)?;
        let values = params![of.brand.as_str(), of.flow.as_str(), key.as_str(), micros(now)];
        let skus = statement.query_map(values, |row| row.get(0).map(Sku))?.collect::<rusqlite::Result<Vec<_>>>()?;
        for sku in &skus {
            self.stock_due_if_taken_off(of, sku, now)?;
        }
        self.stock_due_through_kits(of, skus.iter(), now)
    }

    /// The same, of all orders that an exception holds.
    pub(crate) fn stock_count_held_no_more(&self, exception: ExceptionId, now: Timestamp) -> Result<()> {
        let sql = "SELECT DISTINCT d.brand, d.flow, d.key FROM obligations o JOIN stock_flows f ON f.brand = o.brand
                     JOIN stock_demand d ON d.brand = o.brand AND d.flow = f.flow AND d.key = o.key
                   WHERE o.exception_id = ?1 AND o.state = 'held' AND o.kind = 'order'";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([exception.0], |row| {
            Ok((Of { brand: Brand(row.get(0)?), flow: FlowName(row.get(1)?) }, RecordKey(row.get(2)?)))
        })?;
        for (of, key) in rows.collect::<rusqlite::Result<Vec<_>>>()? {
            self.stock_count_no_more(&of, &key, now)?;
        }
        Ok(())
    }

    /// Forgets what was counted for other flows than these: nobody counts for them any more, and one that comes back
    /// has to begin anew.
    pub fn stock_stop_counting(&self, brand: &Brand, flows: &[FlowName]) -> Result<()> {
        let mut known =
            self.connection.prepare_cached("SELECT flow FROM stock_flows WHERE brand = ?1 AND demand_since IS NOT NULL")?;
        let known = known.query_map([brand.as_str()], |row| row.get(0).map(FlowName))?.collect::<rusqlite::Result<Vec<_>>>()?;
        for flow in known.iter().filter(|flow| !flows.contains(flow)) {
            let of = [brand.as_str(), flow.as_str()];
            self.connection.prepare_cached("DELETE FROM stock_demand WHERE brand = ?1 AND flow = ?2")?.execute(of)?;
            let sql = "UPDATE stock_flows SET demand_since = NULL WHERE brand = ?1 AND flow = ?2";
            self.connection.prepare_cached(sql)?.execute(of)?;
        }
        Ok(())
    }

    /// Forgets what figures as of `as_of` show in full, but for items with a doubted level; returns how many rows. The figures that were worked out with
    /// them taken off are due again: they may have been taken off twice, as the source took them before we knew of it.
    pub fn stock_demand_shown(&self, of: &Of, as_of: Timestamp, now: Timestamp) -> Result<u64> {
        let values = params![of.brand.as_str(), of.flow.as_str(), micros(as_of)];
        let sql = "DELETE FROM stock_demand WHERE brand = ?1 AND flow = ?2 AND taken_at < ?3 AND wanted <= taken AND sku NOT IN (
                     SELECT sku FROM stock_levels WHERE brand = ?1 AND flow = ?2 AND doubted = 1
                     UNION SELECT k.sku FROM stock_levels l JOIN stock_kits k ON k.brand = l.brand AND k.flow = l.flow AND k.part = l.sku
                     WHERE l.brand = ?1 AND l.flow = ?2 AND l.doubted = 1) RETURNING sku";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut skus = statement.query_map(values, |row| row.get(0).map(Sku))?.collect::<rusqlite::Result<Vec<_>>>()?;
        let sql = "DELETE FROM stock_demand WHERE brand = ?1 AND flow = ?2 AND wanted = 0 AND lowered_at < ?3";
        let gone = self.connection.prepare_cached(sql)?.execute(values)?;
        let count = skus.len() + gone;
        skus.sort_unstable();
        skus.dedup();
        if !skus.is_empty() && self.stock_has_kits(of)? {
            // Through kits an order weighs on other items than its own.
            self.stock_due_where_taken_off(of, now)?;
        } else {
            for sku in &skus {
                self.stock_due_if_taken_off(of, sku, now)?;
            }
        }
        Ok(count as u64)
    }
}
impl View<'_> {
    /// Whether anything of an order is counted.
    pub fn stock_counts(&self, of: &Of, key: &RecordKey) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM stock_demand WHERE brand = ?1 AND flow = ?2 AND key = ?3)";
        let values = [of.brand.as_str(), of.flow.as_str(), key.as_str()];
        Ok(self.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0))?)
    }

    /// Per market, the units of an item that figures as of `as_of` do not show: all that is known, and
    /// what of it was known before `known_by`.
    pub fn stock_not_taken_in(
        &self,
        of: &Of,
        sku: &Sku,
        as_of: Timestamp,
        known_by: Timestamp,
    ) -> Result<Vec<(String, i64, i64)>> {
        let sql = concat!(
            "SELECT market, sum(",
            not_taken_in!(),
            "), sum(CASE WHEN seen_at < ?5 THEN ",
            not_taken_in!(),
            " ELSE 0 END) FROM stock_demand WHERE brand = ?1 AND flow = ?2 AND sku = ?3 GROUP BY market"
        );
        let mut statement = self.connection.prepare_cached(sql)?;
        let values = params![of.brand.as_str(), of.flow.as_str(), sku.as_str(), micros(as_of), micros(known_by)];
        let rows = statement.query_map(values, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The same, order by order, the oldest key first.
    pub fn stock_orders_not_taken_in(&self, of: &Of, sku: &Sku, as_of: Timestamp, limit_rows: usize) -> Result<Vec<DemandRow>> {
        let sql = concat!(
            "SELECT key, market, ",
            not_taken_in!(),
            " AS units, taken_at FROM stock_demand WHERE brand = ?1 AND flow = ?2 AND sku = ?3 AND units > 0 ORDER BY key LIMIT ?6"
        );
        let mut statement = self.connection.prepare_cached(sql)?;
        let never = i64::MAX;
        let values = params![of.brand.as_str(), of.flow.as_str(), sku.as_str(), micros(as_of), never, limit(limit_rows)];
        let rows = statement.query_and_then(values, |row| {
            Ok(DemandRow {
                key: RecordKey(row.get(0)?),
                market: row.get(1)?,
                units: row.get(2)?,
                taken_at: moment_maybe(row.get(3)?)?,
            })
        })?;
        rows.collect()
    }

    /// Units that the source took of our orders from one instant on and before another.
    pub fn stock_own_units(&self, of: &Of, sku: &Sku, after: Timestamp, until: Timestamp) -> Result<i64> {
        let sql = "SELECT coalesce(sum(max(0, took)), 0) FROM stock_demand
                   WHERE brand = ?1 AND flow = ?2 AND sku = ?3 AND taken_at >= ?4 AND taken_at < ?5";
        let values = params![of.brand.as_str(), of.flow.as_str(), sku.as_str(), micros(after), micros(until)];
        Ok(self.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0))?)
    }
}
