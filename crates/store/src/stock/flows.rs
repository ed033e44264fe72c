//! What a stock flow remembers as a whole: how far it has read, how fresh it is, what kits there are.

use schemars::JsonSchema;
use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use selvedge_model::{ExternalId, Kit, KitPart, LocationId, Sku};

use super::Of;
use crate::{
    Result, Tx, View,
    packing::{count, micros, moment, moment_maybe, signed},
    records::{from_json, json},
};

/// What a flow remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StockFlowRow {
    /// Since when orders not taken in are counted.
    pub demand_since: Option<Timestamp>,
    /// When everything was last read back.
    pub read_back_at: Option<Timestamp>,
    /// Number of the read-back under way, or of the last one.
    pub pass: i64,
    /// Where it goes on.
    pub cursor: Option<String>,
    /// When the kits were last read.
    pub kits_at: Option<Timestamp>,
    /// From which places of the target each market draws.
    pub draws: BTreeMap<String, Vec<LocationId>>,
    /// Measured: for how many milliseconds a figure shown may be wrong after a change.
    pub window_ms: Option<u64>,
}

/// How far a place of the source was read.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LocationRow {
    /// The place.
    pub location: LocationId,
    /// As of when every level that is not newer is right.
    pub proven_at: Option<Timestamp>,
    /// When it was last read whole.
    pub snapshot_at: Option<Timestamp>,
    /// How many items it then had.
    pub rows: u64,
}

/// How old the figures are that a place of the target shows.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct Freshness {
    /// The place.
    pub place: LocationId,
    /// Half of the figures are at most so old, in milliseconds.
    pub p50_ms: u64,
    /// Ninety-nine of a hundred.
    pub p99_ms: u64,
    /// All of them.
    pub max_ms: u64,
    /// How many figures there are.
    pub figures: u64,
}

impl Tx<'_> {
    /// Notes what a flow has to remember.
    pub fn stock_keep_flow(&self, of: &Of, row: &StockFlowRow) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO stock_flows (brand, flow, demand_since, read_back_at, pass, cursor, kits_at, draws, window_ms)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let draws = String::from_utf8(json(&row.draws)?).unwrap_or_default();
        self.connection.prepare_cached(sql)?.execute(params![
            of.brand.as_str(),
            of.flow.as_str(),
            row.demand_since.map(micros),
            row.read_back_at.map(micros),
            row.pass,
            row.cursor,
            row.kits_at.map(micros),
            draws,
            row.window_ms.map(signed),
        ])?;
        Ok(())
    }

    /// Notes until when a place of the source is known, and, after a whole snapshot, how many items it has.
    pub fn stock_proven(&self, of: &Of, location: &LocationId, at: Timestamp, snapshot_rows: Option<u64>) -> Result<()> {
        let sql = "INSERT INTO stock_locations (brand, flow, location, proven_at, snapshot_at, rows)
                   VALUES (?1, ?2, ?3, CASE WHEN ?5 IS NULL THEN NULL ELSE ?4 END, CASE WHEN ?5 IS NULL THEN NULL ELSE ?4 END, coalesce(?5, 0))
                   ON CONFLICT (brand, flow, location) DO UPDATE SET
                     proven_at = CASE WHEN ?5 IS NOT NULL OR proven_at IS NOT NULL THEN max(coalesce(proven_at, ?4), ?4) END,
                     snapshot_at = CASE WHEN ?5 IS NULL THEN snapshot_at ELSE ?4 END, rows = coalesce(?5, rows)";
        let values = params![of.brand.as_str(), of.flow.as_str(), location.as_str(), micros(at), snapshot_rows.map(signed)];
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    /// Forgets when everything was last read whole and read back, so that both are due. What is proven stays.
    pub fn stock_forget_proofs(&self, of: &Of) -> Result<()> {
        let flow = [of.brand.as_str(), of.flow.as_str()];
        let sql = "UPDATE stock_locations SET snapshot_at = NULL WHERE brand = ?1 AND flow = ?2";
        self.connection.prepare_cached(sql)?.execute(flow)?;
        self.connection
            .prepare_cached("UPDATE stock_flows SET read_back_at = NULL WHERE brand = ?1 AND flow = ?2")?
            .execute(flow)?;
        self.stock_read_back_anew(of)
    }

    /// The read-back under way begins anew. It keeps its number: items are gone after two whole ones without them.
    pub fn stock_read_back_anew(&self, of: &Of) -> Result<()> {
        let sql = "UPDATE stock_flows SET cursor = NULL, pass = pass - 1 WHERE brand = ?1 AND flow = ?2 AND cursor IS NOT NULL";
        self.connection.prepare_cached(sql)?.execute([of.brand.as_str(), of.flow.as_str()])?;
        Ok(())
    }

    /// Puts these kits in the place of all that were known; returns whether that changes anything.
    pub fn stock_keep_kits(&self, of: &Of, kits: &[Kit]) -> Result<bool> {
        let (brand, flow) = (of.brand.as_str(), of.flow.as_str());
        let before = self.stock_kits(of, None)?;
        self.connection.prepare_cached("DELETE FROM stock_kits WHERE brand = ?1 AND flow = ?2")?.execute([brand, flow])?;
        let sql = "INSERT OR REPLACE INTO stock_kits (brand, flow, sku, part, units) VALUES (?1, ?2, ?3, ?4, ?5)";
        let mut statement = self.connection.prepare_cached(sql)?;
        for kit in kits {
            for part in &kit.parts {
                statement.execute(params![brand, flow, kit.sku.as_str(), part.sku.as_str(), part.units.max(1)])?;
            }
        }
        Ok(self.stock_kits(of, None)? != before)
    }
}

impl View<'_> {
    /// What a flow remembers; nothing, for a new one.
    pub fn stock_flow(&self, of: &Of) -> Result<StockFlowRow> {
        let sql = "SELECT demand_since, read_back_at, pass, cursor, kits_at, draws, window_ms FROM stock_flows
                   WHERE brand = ?1 AND flow = ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([of.brand.as_str(), of.flow.as_str()])?;
        let Some(row) = rows.next()? else { return Ok(StockFlowRow::default()) };
        let draws: String = row.get(5)?;
        Ok(StockFlowRow {
            demand_since: moment_maybe(row.get(0)?)?,
            read_back_at: moment_maybe(row.get(1)?)?,
            pass: row.get(2)?,
            cursor: row.get(3)?,
            kits_at: moment_maybe(row.get(4)?)?,
            draws: from_json("where markets draw from", draws.as_bytes())?,
            window_ms: row.get::<_, Option<i64>>(6)?.map(count),
        })
    }

    /// How far each place of the source was read.
    pub fn stock_locations(&self, of: &Of) -> Result<Vec<LocationRow>> {
        let sql =
            "SELECT location, proven_at, snapshot_at, rows FROM stock_locations WHERE brand = ?1 AND flow = ?2 ORDER BY location";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_and_then([of.brand.as_str(), of.flow.as_str()], |row| {
            Ok(LocationRow {
                location: LocationId(row.get(0)?),
                proven_at: moment_maybe(row.get(1)?)?,
                snapshot_at: moment_maybe(row.get(2)?)?,
                rows: count(row.get(3)?),
            })
        })?;
        rows.collect()
    }

    /// Until when a place of the source is known.
    pub fn stock_proven_at(&self, of: &Of, location: &LocationId) -> Result<Option<Timestamp>> {
        let sql = "SELECT proven_at FROM stock_locations WHERE brand = ?1 AND flow = ?2 AND location = ?3";
        let values = [of.brand.as_str(), of.flow.as_str(), location.as_str()];
        let at: Option<Option<i64>> = self.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0)).optional()?;
        moment_maybe(at.flatten())
    }

    /// Whether a flow has any kits.
    pub fn stock_has_kits(&self, of: &Of) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM stock_kits WHERE brand = ?1 AND flow = ?2)";
        Ok(self.connection.prepare_cached(sql)?.query_row([of.brand.as_str(), of.flow.as_str()], |row| row.get(0))?)
    }

    /// The kits of a flow that sell this item or are made of it; all, for none.
    pub fn stock_kits(&self, of: &Of, touching: Option<&Sku>) -> Result<Vec<Kit>> {
        let sql = "SELECT sku, part, units FROM stock_kits WHERE brand = ?1 AND flow = ?2
                   AND (?3 IS NULL OR sku = ?3 OR sku IN (SELECT sku FROM stock_kits WHERE brand = ?1 AND flow = ?2 AND part = ?3))
                   ORDER BY sku, part";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![of.brand.as_str(), of.flow.as_str(), touching.map(Sku::as_str)])?;
        let mut kits: Vec<Kit> = Vec::new();
        while let Some(row) = rows.next()? {
            let sku = Sku(row.get(0)?);
            if kits.last().is_none_or(|last| last.sku != sku) {
                kits.push(Kit { sku, item: ExternalId::default(), parts: Vec::new() });
            }
            if let Some(kit) = kits.last_mut() {
                kit.parts.push(KitPart { sku: Sku(row.get(1)?), units: row.get(2)? });
            }
        }
        Ok(kits)
    }

    /// How old the figures are that a place of the target shows: a figure that is right is as old as the last
    /// proof of its source, one that is being seen to is as old as the last moment when it was right.
    pub fn stock_freshness(
        &self,
        of: &Of,
        place: &LocationId,
        proven_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Freshness> {
        let sql = "SELECT state, stale_since FROM stock_figures
                   WHERE brand = ?1 AND flow = ?2 AND place = ?3 AND state IN ('due', 'sending', 'held') ORDER BY stale_since";
        let mut statement = self.connection.prepare_cached(sql)?;
        let values = [of.brand.as_str(), of.flow.as_str(), place.as_str()];
        let age = |since: Timestamp| u64::try_from(now.as_millisecond() - since.as_millisecond()).unwrap_or(0);
        let sure = proven_at.map(age);
        let mut rows = statement.query(values)?;
        let mut ages = Vec::new();
        while let Some(row) = rows.next()? {
            let since: Option<i64> = row.get(1)?;
            // Due for a look without a doubt about it: as old as any that is right.
            ages.push(match since {
                Some(since) => Some(age(moment(since)?)),
                None => sure,
            });
        }
        drop(rows);
        let mut ages: Vec<u64> = ages.into_iter().flatten().collect();
        ages.sort_unstable();
        let sql = "SELECT count(*) FROM stock_figures WHERE brand = ?1 AND flow = ?2 AND place = ?3 AND state = 'agreed'";
        let agreed: i64 = self.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0))?;
        let agreed = if sure.is_some() { count(agreed) } else { 0 };
        let figures = agreed + ages.len() as u64;
        let at = |percent: u64| {
            // Position among all figures, the sure ones standing together in between.
            let position = (figures * percent).div_ceil(100).saturating_sub(1);
            let sure = sure.unwrap_or(0);
            let below = ages.partition_point(|age| *age < sure) as u64;
            let index = if position < below {
                position
            } else if position < below + agreed {
                return sure;
            } else {
                position - agreed
            };
            usize::try_from(index).ok().and_then(|index| ages.get(index)).copied().unwrap_or(sure)
        };
        let (p50_ms, p99_ms, max_ms) = if figures == 0 { (0, 0, 0) } else { (at(50), at(99), at(100)) };
        Ok(Freshness { place: place.clone(), p50_ms, p99_ms, max_ms, figures })
    }
}
