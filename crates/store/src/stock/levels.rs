//! What the source states of each item at each place.

use schemars::JsonSchema;
use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use selvedge_model::{
    ExceptionId, ExternalId, LocationId, Sku, StockLevel,
    stock::{guard::Before, velocity::Demand},
};

use super::Of;
use crate::{
    Result, Tx, View,
    packing::{limit, micros, moment, moment_maybe, pack, unpack},
    records::{from_json, json, money},
};

/// In how long what other channels took counts for half.
const HALF_LIFE_MICROS: i64 = 6 * 60 * 60 * 1_000_000;
/// How many movements of a flow are kept.
const MOVES_MAX: i64 = 1_000_000;
/// They are pruned now and then, not at each movement.
const PRUNE_EVERY: i64 = 4_096;

/// A level with its history in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelRow {
    /// The level.
    pub level: StockLevel,
    /// Which way it came: `snapshot`, `poll`, `push`.
    pub via: String,
    /// What other channels took of it while it was watched, faded to the instant of the question.
    pub demand: Demand,
    /// Since when the item is watched here.
    pub known_since: Timestamp,
    /// As of when more was left than before, for the last time.
    pub rose_at: Timestamp,
    /// Whether a later reading of it was kept back: then it is not proven beyond its own *as of*.
    pub doubted: bool,
}

/// What became of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merged {
    /// The figures are new; what was left before, where the item was known.
    News(Option<i64>),
    /// They are what they were.
    Same,
    /// Older than what is known: kept out.
    Stale,
}

/// One movement at the source.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct MoveRow {
    /// Where.
    pub location: LocationId,
    /// Of what.
    pub sku: Sku,
    /// As of when.
    pub at: Timestamp,
    /// What was left before.
    pub before: i64,
    /// What was left after.
    pub after: i64,
    /// Units of it that our orders took.
    pub own: i64,
    /// Which way it came.
    pub via: String,
}

/// A level that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldLevel {
    /// The level as it came.
    pub level: StockLevel,
    /// What is left by the level in force; none when the item was not known.
    pub in_force: Option<i64>,
    /// What keeps it back.
    pub exception: ExceptionId,
    /// A person has let it through; it takes effect with the next reading.
    pub accepted: bool,
}

macro_rules! select_levels {
    ($rest:literal) => {
        concat!(
            "SELECT sku, location, item, on_hand, committed, back_ordered, available, incoming, active, as_of, changed_at, via, ",
            "takings, taken_units, taken_squares, faded_at, known_since, rose_at, doubted, pending_approval FROM stock_levels ",
            $rest
        )
    };
}

/// Levels that are proven until ?3 at the latest, and no further.
macro_rules! doubt {
    () => {
        "UPDATE stock_levels SET doubted = 1, as_of = max(as_of, min(?3, coalesce((SELECT p.proven_at FROM stock_locations p
           WHERE p.brand = ?1 AND p.flow = ?2 AND p.location = stock_levels.location), as_of)))
         WHERE brand = ?1 AND flow = ?2 AND doubted = 0"
    };
}

macro_rules! select_held {
    ($rest:literal) => {
        concat!(
            "SELECT h.level, l.on_hand - l.committed - l.back_ordered - l.pending_approval, h.exception_id, h.accepted FROM stock_held_levels h ",
            "LEFT JOIN stock_levels l ON l.brand = h.brand AND l.flow = h.flow AND l.location = h.location AND l.sku = h.sku ",
            $rest
        )
    };
}

fn held_level(row: &Row<'_>) -> Result<HeldLevel> {
    let packed = unpack("a held level", row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?)?;
    Ok(HeldLevel {
        level: from_json("a held level", &packed)?,
        in_force: row.get(1)?,
        exception: ExceptionId(row.get(2)?),
        accepted: row.get(3)?,
    })
}

/// What is left of a fading sum after so long.
#[allow(
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a rate that fades is no count of units; the cast saturates"
)]
fn faded(sum: i64, micros: i64) -> i64 {
    if sum == 0 || micros <= 0 {
        return sum;
    }
    (sum as f64 * (-(micros as f64) / HALF_LIFE_MICROS as f64).exp2()).round() as i64
}

/// For how many milliseconds something was watched, when what is long ago counts for less.
#[allow(
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a time that fades is no instant; the cast saturates"
)]
fn watched_ms(micros: i64) -> u64 {
    let halves = micros.max(0) as f64 / HALF_LIFE_MICROS as f64;
    (HALF_LIFE_MICROS as f64 / std::f64::consts::LN_2 * (1.0 - (-halves).exp2()) / 1_000.0) as u64
}

/// Thousandths as a count; a part counts as a whole, as too much is the safe side.
fn whole(thousandths: i64) -> u64 {
    crate::packing::count(thousandths).div_ceil(1_000)
}

fn demand(sums: [i64; 3], faded_at: i64, known_since: i64, now: i64) -> Demand {
    let [takings, units, squares] = sums.map(|sum| whole(faded(sum, now.saturating_sub(faded_at))));
    Demand { takings, units, squares, watched_ms: watched_ms(now.saturating_sub(known_since)) }
}

fn level_row(row: &Row<'_>, now: i64) -> Result<LevelRow> {
    let since: i64 = row.get(16)?;
    Ok(LevelRow {
        level: StockLevel {
            sku: Sku(row.get(0)?),
            location: LocationId(row.get(1)?),
            item: ExternalId(row.get(2)?),
            on_hand: row.get(3)?,
            committed: row.get(4)?,
            back_ordered: row.get(5)?,
            pending_approval: row.get(19)?,
            available: row.get(6)?,
            incoming: row.get(7)?,
            active: row.get(8)?,
            as_of: moment(row.get(9)?)?,
            changed_at: moment_maybe(row.get(10)?)?,
            unit_value: None,
            categories: Vec::new(),
        },
        via: row.get(11)?,
        demand: demand([row.get(12)?, row.get(13)?, row.get(14)?], row.get(15)?, since, now),
        known_since: moment(since)?,
        rose_at: moment(row.get(17)?)?,
        doubted: row.get(18)?,
    })
}

impl Tx<'_> {
    /// Takes a level into force, unless a newer one is, and makes the figures due that follow from it:
    /// those of `place` for the item itself and for what is put together from it. `proven_at` is until when the place was
    /// known without it: what our orders took since explains a part of the change. Orders that show earlier, or later, than
    /// we hear that they were taken in count as taken by others: too much is the safe side. The figure shown may be
    /// wrong since `wrong_since`.
    pub fn stock_level(
        &self,
        of: &Of,
        level: &StockLevel,
        via: &str,
        proven_at: Option<Timestamp>,
        place: Option<&LocationId>,
        wrong_since: Timestamp,
    ) -> Result<Merged> {
        let (brand, flow, location, sku) = (of.brand.as_str(), of.flow.as_str(), level.location.as_str(), level.sku.as_str());
        let at = micros(level.as_of);
        let sql = "SELECT on_hand, committed, back_ordered, available, incoming, active, item, as_of, takings, taken_units, taken_squares,
                     faded_at, known_since, rose_at, doubted, pending_approval FROM stock_levels WHERE brand = ?1 AND flow = ?2 AND location = ?3 AND sku = ?4";
        let known = self
            .connection
            .prepare_cached(sql)?
            .query_row([brand, flow, location, sku], |row| {
                let figures: [i64; 6] = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(15)?, row.get(3)?, row.get(4)?];
                let sums: [i64; 3] = [row.get(8)?, row.get(9)?, row.get(10)?];
                let times: (i64, i64, i64) = (row.get(11)?, row.get(12)?, row.get(13)?);
                let (active, item, as_of, doubted): (bool, String, i64, bool) =
                    (row.get(5)?, row.get(6)?, row.get(7)?, row.get(14)?);
                Ok((figures, active, item, (as_of, doubted), sums, times))
            })
            .optional()?;
        let figures =
            [level.on_hand, level.committed, level.back_ordered, level.pending_approval, level.available, level.incoming];
        let (mut before, mut own, mut sums, mut was_active) = (None::<i64>, 0, [0_i64; 3], None);
        let (mut known_since, mut rose_at, mut was_doubted) = (at, at, false);
        if let Some((old, active, item, (as_of, doubted), old_sums, (faded_at, since, rose))) = known {
            if at < as_of {
                return Ok(Merged::Stale);
            }
            if old == figures && active == level.active && item == level.item.as_str() && !doubted {
                return Ok(Merged::Same);
            }
            let [on_hand, committed, back_ordered, pending_approval, ..] = old;
            let promised = committed.saturating_add(back_ordered).saturating_add(pending_approval);
            before = Some(on_hand.saturating_sub(promised));
            was_doubted = doubted;
            let known_at = proven_at.filter(|_| !doubted).map_or(as_of, |at| micros(at).max(as_of));
            own = self.stock_own_units(of, &level.sku, moment(known_at)?, level.as_of)?;
            sums = old_sums.map(|sum| faded(sum, at.saturating_sub(faded_at)));
            (known_since, was_active) = (since, Some(active));
            if before.is_some_and(|before| level.free() <= before) {
                rose_at = rose;
            }
        }
        let fall = before.map_or(0, |before| before.saturating_sub(level.free()).max(0));
        let taken = fall.saturating_sub(own).max(0);
        if taken > 0 {
            let [takings, units, squares] = sums;
            sums = [
                takings.saturating_add(1_000),
                units.saturating_add(taken.saturating_mul(1_000)),
                squares.saturating_add(taken.saturating_mul(taken).saturating_mul(1_000)),
            ];
        }
        let [takings, units, squares] = sums;
        let sql =
            "INSERT OR REPLACE INTO stock_levels (brand, flow, location, sku, item, on_hand, committed, back_ordered, available,
                     incoming, active, as_of, changed_at, via, takings, taken_units, taken_squares, faded_at, known_since, rose_at, pending_approval)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?12, ?18, ?19, ?20)";
        self.connection.prepare_cached(sql)?.execute(params![
            brand,
            flow,
            location,
            sku,
            level.item.as_str(),
            level.on_hand,
            level.committed,
            level.back_ordered,
            level.available,
            level.incoming,
            level.active,
            at,
            level.changed_at.map(micros),
            via,
            takings,
            units,
            squares,
            known_since,
            rose_at,
            level.pending_approval,
        ])?;
        if let Some(before) = before.filter(|before| *before != level.free()) {
            let sql = "INSERT INTO stock_moves (brand, flow, location, sku, at, before, after, own, via) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
            let values = params![brand, flow, location, sku, at, before, level.free(), own, via];
            self.connection.prepare_cached(sql)?.execute(values)?;
            let last = self.connection.last_insert_rowid();
            if last % PRUNE_EVERY == 0 {
                self.connection.prepare_cached("DELETE FROM stock_moves WHERE id <= ?1")?.execute([last - MOVES_MAX])?;
            }
        }
        let sql = "DELETE FROM stock_held_levels WHERE brand = ?1 AND flow = ?2 AND location = ?3 AND sku = ?4 AND as_of <= ?5";
        self.connection.prepare_cached(sql)?.execute(params![brand, flow, location, sku, at])?;
        if let Some(place) = place
            && (before != Some(level.free()) || was_active != Some(level.active) || was_doubted)
        {
            // What others took is more urgent than what was taken off already.
            let rank = i64::from(taken == 0 && before.is_some_and(|before| level.free() < before));
            self.stock_due_for(of, place, &level.sku, rank, wrong_since)?;
        }
        Ok(Merged::News(before))
    }

    /// Makes the figures of an item and of what is put together from it due.
    fn stock_due_for(&self, of: &Of, place: &LocationId, sku: &Sku, rank: i64, wrong_since: Timestamp) -> Result<()> {
        self.stock_make_due(of, place, sku, "moved", rank, wrong_since)?;
        let mut statement =
            self.connection.prepare_cached("SELECT sku FROM stock_kits WHERE brand = ?1 AND flow = ?2 AND part = ?3")?;
        let (mut seen, mut look) = (BTreeSet::new(), vec![sku.clone()]);
        while let Some(part) = look.pop() {
            let kits = statement.query_map([of.brand.as_str(), of.flow.as_str(), part.as_str()], |row| row.get(0).map(Sku))?;
            for kit in kits.collect::<rusqlite::Result<Vec<_>>>()? {
                self.stock_make_due(of, place, &kit, "moved", rank, wrong_since)?;
                if seen.insert(kit.clone()) {
                    look.push(kit);
                }
            }
        }
        Ok(())
    }

    /// Orders want these items: what shares parts with them shows fewer. Makes it due.
    pub fn stock_due_through_kits<'a>(&self, of: &Of, skus: impl Iterator<Item = &'a Sku>, now: Timestamp) -> Result<()> {
        if !self.stock_has_kits(of)? {
            return Ok(());
        }
        let (mut seen, mut look) = (BTreeSet::new(), skus.cloned().collect::<Vec<_>>());
        let own: BTreeSet<Sku> = look.iter().cloned().collect();
        while let Some(sku) = look.pop() {
            for kit in self.stock_kits(of, Some(&sku))? {
                look.extend(
                    kit.parts.iter().map(|part| &part.sku).chain([&kit.sku]).filter(|sku| seen.insert((*sku).clone())).cloned(),
                );
            }
        }
        for sku in seen.difference(&own) {
            for figure in self.stock_figures_of(of, sku)? {
                self.stock_make_due(of, &figure.place, sku, "orders", 0, now)?;
            }
        }
        Ok(())
    }

    /// A reading had these items and could not be read: what is in force of them is proven only until `at`.
    pub fn stock_doubt_items(&self, of: &Of, items: &[ExternalId], at: Timestamp) -> Result<()> {
        let sql = concat!(doubt!(), " AND item = ?4");
        let mut statement = self.connection.prepare_cached(sql)?;
        for item in items {
            statement.execute(params![of.brand.as_str(), of.flow.as_str(), micros(at), item.as_str()])?;
        }
        Ok(())
    }

    /// Keeps a level back until a person has looked at it; a newer one of the same item takes its place.
    pub fn stock_hold_level(&self, of: &Of, level: &StockLevel, exception: ExceptionId) -> Result<()> {
        let sql = "INSERT INTO stock_held_levels (brand, flow, location, sku, level, as_of, exception_id)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                   ON CONFLICT (brand, flow, location, sku) DO UPDATE
                   SET level = excluded.level, as_of = excluded.as_of, exception_id = excluded.exception_id, accepted = 0
                   WHERE excluded.as_of >= stock_held_levels.as_of";
        self.connection.prepare_cached(sql)?.execute(params![
            of.brand.as_str(),
            of.flow.as_str(),
            level.location.as_str(),
            level.sku.as_str(),
            pack(&json(level)?),
            micros(level.as_of),
            exception.0,
        ])?;
        // Until now the level in force was proven; from here on only a reading that is believed can tell.
        let sql = concat!(doubt!(), " AND location = ?4 AND sku = ?5");
        let (brand, flow) = (of.brand.as_str(), of.flow.as_str());
        let values = params![brand, flow, micros(level.as_of), level.location.as_str(), level.sku.as_str()];
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    /// A person lets through what an exception keeps back; returns how many rows.
    pub fn stock_accept(&self, exception: ExceptionId) -> Result<u64> {
        let sql = "UPDATE stock_held_levels SET accepted = 1 WHERE exception_id = ?1 AND accepted = 0";
        Ok(self.connection.prepare_cached(sql)?.execute([exception.0])? as u64)
    }

    /// Forgets one row that was kept back.
    pub fn stock_forget_held(&self, of: &Of, location: &LocationId, sku: &Sku) -> Result<()> {
        let sql = "DELETE FROM stock_held_levels WHERE brand = ?1 AND flow = ?2 AND location = ?3 AND sku = ?4";
        let values = [of.brand.as_str(), of.flow.as_str(), location.as_str(), sku.as_str()];
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    /// Forgets what was kept back of a place.
    pub fn stock_forget_held_at(&self, of: &Of, location: &LocationId) -> Result<()> {
        let sql = "DELETE FROM stock_held_levels WHERE brand = ?1 AND flow = ?2 AND location = ?3";
        self.connection.prepare_cached(sql)?.execute([of.brand.as_str(), of.flow.as_str(), location.as_str()])?;
        Ok(())
    }

    /// Forgets what an exception keeps back; returns how many rows.
    pub fn stock_drop_held(&self, exception: ExceptionId) -> Result<u64> {
        let sql = "DELETE FROM stock_held_levels WHERE exception_id = ?1";
        Ok(self.connection.prepare_cached(sql)?.execute([exception.0])? as u64)
    }
}

impl View<'_> {
    /// The level in force of an item at a place, with its rates faded to `now`.
    pub fn stock_level_of(&self, of: &Of, location: &LocationId, sku: &Sku, now: Timestamp) -> Result<Option<LevelRow>> {
        let sql = select_levels!("WHERE brand = ?1 AND flow = ?2 AND location = ?3 AND sku = ?4");
        let values = [of.brand.as_str(), of.flow.as_str(), location.as_str(), sku.as_str()];
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(values)?;
        rows.next()?.map(|row| level_row(row, micros(now))).transpose()
    }

    /// Whether a level says anything else than the one in force.
    pub fn stock_level_is_news(&self, of: &Of, level: &StockLevel) -> Result<bool> {
        let sql = "SELECT NOT EXISTS (SELECT 1 FROM stock_levels WHERE brand = ?1 AND flow = ?2 AND location = ?3 AND sku = ?4
                     AND (as_of > ?5 OR (on_hand = ?6 AND committed = ?7 AND back_ordered = ?8 AND available = ?9 AND incoming = ?10
                          AND active = ?11 AND item = ?12 AND pending_approval = ?13 AND doubted = 0)))";
        let values = params![
            of.brand.as_str(),
            of.flow.as_str(),
            level.location.as_str(),
            level.sku.as_str(),
            micros(level.as_of),
            level.on_hand,
            level.committed,
            level.back_ordered,
            level.available,
            level.incoming,
            level.active,
            level.item.as_str(),
            level.pending_approval,
        ];
        Ok(self.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0))?)
    }

    /// The levels of an item at every place.
    pub fn stock_levels_of(&self, of: &Of, sku: &Sku, now: Timestamp) -> Result<Vec<LevelRow>> {
        let sql = select_levels!("WHERE brand = ?1 AND flow = ?2 AND sku = ?3 ORDER BY location");
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows =
            statement.query_and_then([of.brand.as_str(), of.flow.as_str(), sku.as_str()], |row| level_row(row, micros(now)))?;
        rows.collect()
    }

    /// SKU and source's id of the items at a place whose level is older than `before`, after a SKU, in order:
    /// what a whole reading that began then did not mention.
    pub fn stock_levels_at(&self, of: &Of, location: &LocationId, after: &str, limit_rows: usize) -> Result<Vec<LevelRow>> {
        let sql = select_levels!("WHERE brand = ?1 AND flow = ?2 AND location = ?3 AND sku > ?4 ORDER BY sku LIMIT ?5");
        let values = params![of.brand.as_str(), of.flow.as_str(), location.as_str(), after, limit(limit_rows)];
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_and_then(values, |row| level_row(row, 0))?;
        rows.collect()
    }

    /// The range of a place of the source as it is in force; before it was read, as the target shows it.
    pub fn stock_range(&self, of: &Of, location: &LocationId, place: &LocationId) -> Result<Before> {
        let known = self.stock_proven_at(of, location)?.is_some();
        let sql = if known {
            "SELECT l.on_hand - l.committed - l.back_ordered - l.pending_approval, f.value_minor, f.value_currency FROM stock_levels l
             LEFT JOIN stock_figures f ON f.brand = l.brand AND f.flow = l.flow AND f.place = ?4 AND f.sku = l.sku
             WHERE l.brand = ?1 AND l.flow = ?2 AND l.location = ?3"
        } else {
            "SELECT shown_units - shown_promised, value_minor, value_currency FROM stock_figures
             WHERE brand = ?1 AND flow = ?2 AND place = ?4 AND ?3 = ?3"
        };
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([of.brand.as_str(), of.flow.as_str(), location.as_str(), place.as_str()])?;
        let mut range = Before::default();
        while let Some(row) = rows.next()? {
            range.add(row.get(0)?, money(row.get(1)?, row.get::<_, Option<String>>(2)?.as_deref())?);
        }
        Ok(range)
    }

    /// How many items are known at a place.
    pub fn stock_level_count(&self, of: &Of, location: &LocationId) -> Result<u64> {
        let sql = "SELECT count(*) FROM stock_levels WHERE brand = ?1 AND flow = ?2 AND location = ?3";
        let values = [of.brand.as_str(), of.flow.as_str(), location.as_str()];
        let count: i64 = self.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0))?;
        Ok(crate::packing::count(count))
    }

    /// What other channels took of every item of a flow, faded to `now`.
    pub fn stock_demands(&self, of: &Of, now: Timestamp) -> Result<Vec<Demand>> {
        let sql =
            "SELECT takings, taken_units, taken_squares, faded_at, known_since FROM stock_levels WHERE brand = ?1 AND flow = ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([of.brand.as_str(), of.flow.as_str()], |row| {
            Ok(demand([row.get(0)?, row.get(1)?, row.get(2)?], row.get(3)?, row.get(4)?, micros(now)))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The last movements, of one item or of all, newest first.
    pub fn stock_moves(&self, of: &Of, sku: Option<&Sku>, limit_rows: usize) -> Result<Vec<MoveRow>> {
        let sql = "SELECT location, sku, at, before, after, own, via FROM stock_moves
                   WHERE brand = ?1 AND flow = ?2 AND (?3 IS NULL OR sku = ?3) ORDER BY id DESC LIMIT ?4";
        let values = params![of.brand.as_str(), of.flow.as_str(), sku.map(Sku::as_str), limit(limit_rows)];
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_and_then(values, |row| {
            Ok(MoveRow {
                location: LocationId(row.get(0)?),
                sku: Sku(row.get(1)?),
                at: moment(row.get(2)?)?,
                before: row.get(3)?,
                after: row.get(4)?,
                own: row.get(5)?,
                via: row.get(6)?,
            })
        })?;
        rows.collect()
    }

    /// What an exception keeps back, by SKU.
    pub fn stock_held_levels(&self, exception: ExceptionId, limit_rows: usize) -> Result<Vec<HeldLevel>> {
        let sql = select_held!("WHERE h.exception_id = ?1 ORDER BY h.sku LIMIT ?2");
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.query_and_then(params![exception.0, limit(limit_rows)], held_level)?.collect()
    }

    /// What is kept back of an item at a place.
    pub fn stock_held_level(&self, of: &Of, location: &LocationId, sku: &Sku) -> Result<Option<HeldLevel>> {
        let sql = select_held!("WHERE h.brand = ?1 AND h.flow = ?2 AND h.location = ?3 AND h.sku = ?4");
        let mut statement = self.connection.prepare_cached(sql)?;
        let values = [of.brand.as_str(), of.flow.as_str(), location.as_str(), sku.as_str()];
        let mut rows = statement.query(values)?;
        rows.next()?.map(held_level).transpose()
    }

    /// What people have let through, at most so many rows.
    pub fn stock_accepted_levels(&self, of: &Of, limit_rows: usize) -> Result<Vec<StockLevel>> {
        let sql = "SELECT level FROM stock_held_levels WHERE brand = ?1 AND flow = ?2 AND accepted = 1 LIMIT ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_and_then(params![of.brand.as_str(), of.flow.as_str(), limit(limit_rows)], |row| {
            let packed = unpack("a held level", row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?)?;
            from_json("a held level", &packed)
        })?;
        rows.collect()
    }

    /// How many rows of a place are kept back.
    pub fn stock_held_at(&self, of: &Of, location: &LocationId) -> Result<u64> {
        let sql = "SELECT count(*) FROM stock_held_levels WHERE brand = ?1 AND flow = ?2 AND location = ?3";
        let values = [of.brand.as_str(), of.flow.as_str(), location.as_str()];
        let count: i64 = self.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0))?;
        Ok(crate::packing::count(count))
    }

    /// How many rows an exception keeps back.
    pub fn stock_held_count(&self, exception: ExceptionId) -> Result<u64> {
        let sql = "SELECT count(*) FROM stock_held_levels WHERE exception_id = ?1";
        let count: Option<i64> = self.connection.prepare_cached(sql)?.query_row([exception.0], |row| row.get(0)).optional()?;
        Ok(count.map_or(0, crate::packing::count))
    }
}
