//! What each place of the target shows of each item, and what is owed to it.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use schemars::JsonSchema;
use selvedge_model::{ExceptionId, ExternalId, LocationId, Money, Sku, StockLevel};

use super::Of;
use crate::{
    Result, Tx, View,
    packing::{count, limit, micros, moment, moment_maybe, short, unreadable},
    records::{from_json, json, money},
};

/// Longest text of a rule.
const RULE_CHARS_MAX: usize = 200;

/// Where a figure stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FigureState {
    /// It has to be looked at.
    Due,
    /// A write may be under way.
    Sending,
    /// Read back and right.
    Agreed,
    /// An exception owns it.
    Held,
    /// The source does not keep the item: it is left alone.
    Left,
}

impl FigureState {
    /// All of them.
    pub const ALL: [FigureState; 5] =
        [FigureState::Due, FigureState::Sending, FigureState::Agreed, FigureState::Held, FigureState::Left];

    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            FigureState::Due => "due",
            FigureState::Sending => "sending",
            FigureState::Agreed => "agreed",
            FigureState::Held => "held",
            FigureState::Left => "left",
        }
    }

    fn from_word(word: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word).ok_or_else(|| unreadable("a state of stock", word))
    }
}

/// What the target was seen to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct Shown {
    /// Units, promised ones included.
    pub units: i64,
    /// How many of them it has promised.
    pub promised: i64,
    /// When that was.
    pub at: Timestamp,
}

impl Shown {
    /// What a shopper can buy.
    pub fn free(&self) -> i64 {
        self.units.saturating_sub(self.promised)
    }
}

/// The terms of a figure.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct Terms {
    /// What the source had left.
    pub net: i64,
    /// As of when.
    pub as_of: Timestamp,
    /// Units of orders that it had not taken in.
    pub not_taken_in: i64,
    /// Units kept back.
    pub buffer: i64,
    /// By which rule.
    pub buffer_rule: String,
}

/// One figure.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct FigureRow {
    /// The target's place.
    pub place: LocationId,
    /// Which item.
    pub sku: Sku,
    /// The target's id of it.
    pub item: ExternalId,
    /// Whether it may be sold.
    pub active: bool,
    /// What a unit is worth.
    pub value: Option<Money>,
    /// Groups that it belongs to.
    pub categories: Vec<String>,
    /// Where it stands.
    pub state: FigureState,
    /// What made it due last: `moved`, `listed`, `buffer`, `read_back`.
    pub why: String,
    /// Grows each time it becomes due.
    pub version: i64,
    /// When it is looked at.
    pub due_at: Option<Timestamp>,
    /// Since when the figure shown may be wrong.
    pub stale_since: Option<Timestamp>,
    /// What was last read back.
    pub shown: Shown,
    /// What was last written, and when.
    pub sent: Option<(i64, Timestamp)>,
    /// Until when a write whose answer was lost may still come in.
    pub unsure_until: Option<Timestamp>,
    /// The terms of the figure last worked out.
    pub terms: Option<Terms>,
    /// Writes in a row that did not come out.
    pub attempts: u32,
    /// What holds it.
    pub exception: Option<ExceptionId>,
}

/// A figure that is about to be written, or that was found right as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Where.
    pub place: LocationId,
    /// Of what.
    pub sku: Sku,
    /// The version that it was worked out from.
    pub version: i64,
    /// The figure.
    pub units: i64,
    /// How it came about.
    pub terms: Terms,
    /// What stood there.
    pub shown: Shown,
}

/// The figures of a flow, by where they stand. Counted from the figures listed: every one is in one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct StockBalance {
    /// In which flow.
    pub flow: String,
    /// At which place of the target.
    pub place: String,
    /// How many the target lists.
    pub listed: u64,
    /// Read back and right.
    pub agreed: u64,
    /// On their way.
    pub in_flight: u64,
    /// Exceptions own them.
    pub held: u64,
    /// The source does not keep the item.
    pub left: u64,
    /// Units that shoppers can buy.
    pub free_units: i64,
}

macro_rules! select_figures {
    ($rest:literal) => {
        concat!(
            "SELECT place, sku, item, active, value_minor, value_currency, categories, state, why, version, due_at, stale_since, ",
            "shown_units, shown_promised, shown_at, sent_units, sent_at, as_of, net, not_taken_in, buffer, buffer_rule, attempts, ",
            "exception_id, unsure_until FROM stock_figures ",
            $rest
        )
    };
}

fn figure_row(row: &Row<'_>) -> Result<FigureRow> {
    let categories: String = row.get(6)?;
    let state: String = row.get(7)?;
    let as_of = moment_maybe(row.get(17)?)?;
    let terms = match (as_of, row.get::<_, Option<i64>>(18)?) {
        (Some(as_of), Some(net)) => Some(Terms {
            net,
            as_of,
            not_taken_in: row.get::<_, Option<i64>>(19)?.unwrap_or(0),
            buffer: row.get::<_, Option<i64>>(20)?.unwrap_or(0),
            buffer_rule: row.get::<_, Option<String>>(21)?.unwrap_or_default(),
        }),
        _ => None,
    };
    let sent_at = moment_maybe(row.get(16)?)?;
    Ok(FigureRow {
        place: LocationId(row.get(0)?),
        sku: Sku(row.get(1)?),
        item: ExternalId(row.get(2)?),
        active: row.get(3)?,
        value: money(row.get(4)?, row.get::<_, Option<String>>(5)?.as_deref())?,
        categories: from_json("the groups of an item", categories.as_bytes())?,
        state: FigureState::from_word(&state)?,
        why: row.get(8)?,
        version: row.get(9)?,
        due_at: moment_maybe(row.get(10)?)?,
        stale_since: moment_maybe(row.get(11)?)?,
        shown: Shown { units: row.get(12)?, promised: row.get(13)?, at: moment(row.get(14)?)? },
        sent: row.get::<_, Option<i64>>(15)?.zip(sent_at),
        terms,
        attempts: row.get(22)?,
        exception: row.get::<_, Option<i64>>(23)?.map(ExceptionId),
        unsure_until: moment_maybe(row.get(24)?)?,
    })
}

macro_rules! taken_off_due {
    () => {
        "UPDATE stock_figures SET state = CASE state WHEN 'agreed' THEN 'due' ELSE state END,
           rank = CASE state WHEN 'agreed' THEN 1 ELSE rank END, why = 'orders', version = version + 1, due_at = coalesce(due_at, ?3)
         WHERE brand = ?1 AND flow = ?2 AND (state IN ('due', 'sending') OR (state = 'agreed' AND not_taken_in > 0))"
    };
}

impl Tx<'_> {
    /// Notes that the target lists an item at a place; a new one is due at once.
    pub fn stock_listed(&self, of: &Of, level: &StockLevel, pass: i64) -> Result<()> {
        let value = level.unit_value;
        let categories = String::from_utf8(json(&level.categories)?).map_err(|e| unreadable("the groups of an item", e))?;
        let at = micros(level.as_of);
        let sql = "INSERT INTO stock_figures (brand, flow, place, sku, item, active, value_minor, value_currency, categories, state, rank,
                     why, due_at, stale_since, shown_units, shown_promised, shown_at, seen_pass)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'due', 1, 'listed', ?10, ?10, ?11, ?12, ?10, ?13)
                   ON CONFLICT (brand, flow, place, sku) DO UPDATE SET item = excluded.item, active = excluded.active,
                     value_minor = excluded.value_minor, value_currency = excluded.value_currency, categories = excluded.categories,
                     seen_pass = excluded.seen_pass";
        self.connection.prepare_cached(sql)?.execute(params![
            of.brand.as_str(),
            of.flow.as_str(),
            level.location.as_str(),
            level.sku.as_str(),
            level.item.as_str(),
            level.active,
            value.map(Money::minor),
            value.map(|value| value.currency().code()),
            categories,
            at,
            level.on_hand,
            level.committed.saturating_add(level.back_ordered),
            pass,
        ])?;
        Ok(())
    }

    /// Forgets the items that two whole read-backs in a row did not mention; returns how many. One alone may miss an
    /// item: where the target pages by number, what is deleted meanwhile shifts the rest.
    pub fn stock_unlisted(&self, of: &Of, pass: i64) -> Result<u64> {
        let sql = "DELETE FROM stock_figures WHERE brand = ?1 AND flow = ?2 AND seen_pass < ?3 - 1";
        Ok(self.connection.prepare_cached(sql)?.execute(params![of.brand.as_str(), of.flow.as_str(), pass])? as u64)
    }

    /// Notes that the target lists an item of which it could not be read how much there is.
    pub fn stock_listed_unread(&self, of: &Of, item: &ExternalId, pass: i64) -> Result<()> {
        let sql = "UPDATE stock_figures SET seen_pass = ?4 WHERE brand = ?1 AND flow = ?2 AND item = ?3";
        let values = params![of.brand.as_str(), of.flow.as_str(), item.as_str(), pass];
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    /// The target was asked for these and does not know them. The next whole read-back forgets them, unless it
    /// mentions them; until then they are looked at again at `due_at`.
    pub fn stock_not_there(&self, of: &Of, rows: &[(LocationId, Sku)], due_at: Timestamp) -> Result<()> {
        let sql = "UPDATE stock_figures SET state = 'due', due_at = ?5, seen_pass = -1
                   WHERE brand = ?1 AND flow = ?2 AND place = ?3 AND sku = ?4 AND state IN ('due', 'sending')";
        let mut statement = self.connection.prepare_cached(sql)?;
        for (place, sku) in rows {
            statement.execute(params![of.brand.as_str(), of.flow.as_str(), place.as_str(), sku.as_str(), micros(due_at)])?;
        }
        Ok(())
    }

    /// Makes one figure due; nothing happens if the target does not list the item. One that did not come
    /// out keeps its time.
    pub(super) fn stock_make_due(
        &self,
        of: &Of,
        place: &LocationId,
        sku: &Sku,
        why: &str,
        rank: i64,
        wrong_since: Timestamp,
    ) -> Result<()> {
        let sql = "UPDATE stock_figures SET state = CASE state WHEN 'sending' THEN 'sending' ELSE 'due' END,
                     rank = min(?6, CASE WHEN due_at IS NULL THEN ?6 ELSE rank END), why = ?5, version = version + 1,
                     due_at = CASE WHEN state = 'sending' OR attempts > 0 THEN coalesce(due_at, ?7)
                       ELSE min(coalesce(due_at, ?7), ?7) END,
                     stale_since = min(coalesce(stale_since, ?7), ?7)
                   WHERE brand = ?1 AND flow = ?2 AND place = ?3 AND sku = ?4";
        self.connection.prepare_cached(sql)?.execute(params![
            of.brand.as_str(),
            of.flow.as_str(),
            place.as_str(),
            sku.as_str(),
            why,
            rank,
            micros(wrong_since),
        ])?;
        Ok(())
    }

    /// Makes one figure due again, whatever it was agreed on.
    pub fn stock_due_again(&self, of: &Of, place: &LocationId, sku: &Sku, now: Timestamp) -> Result<()> {
        self.stock_make_due(of, place, sku, "read_back", 0, now)
    }

    /// Orders want fewer of an item: where more was promised than there is, what they let go of shows as for
    /// sale, and is not. Makes such figures due.
    pub fn stock_let_go_of(&self, of: &Of, sku: &Sku, now: Timestamp) -> Result<()> {
        let sql = "SELECT place FROM stock_figures WHERE brand = ?1 AND flow = ?2 AND sku = ?3
                   AND (state = 'sending' OR net - coalesce(not_taken_in, 0) - coalesce(buffer, 0) < 0)";
        let mut statement = self.connection.prepare_cached(sql)?;
        let places =
            statement.query_map([of.brand.as_str(), of.flow.as_str(), sku.as_str()], |row| row.get(0).map(LocationId))?;
        for place in places.collect::<rusqlite::Result<Vec<_>>>()? {
            self.stock_make_due(of, &place, sku, "orders", 0, now)?;
        }
        Ok(())
    }

    /// Makes all figures due that were worked out with orders taken off, or that are being worked out.
    pub(super) fn stock_due_where_taken_off(&self, of: &Of, now: Timestamp) -> Result<()> {
        self.connection.prepare_cached(taken_off_due!())?.execute(params![of.brand.as_str(), of.flow.as_str(), micros(now)])?;
        Ok(())
    }

    /// The same, of one item.
    pub(super) fn stock_due_if_taken_off(&self, of: &Of, sku: &Sku, now: Timestamp) -> Result<()> {
        let sql = concat!(taken_off_due!(), " AND sku = ?4");
        let values = params![of.brand.as_str(), of.flow.as_str(), micros(now), sku.as_str()];
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    /// Notes what a read-back saw of figures that are right.
    pub fn stock_seen_right(&self, of: &Of, claims: &[Claim]) -> Result<()> {
        let sql = "UPDATE stock_figures SET shown_units = ?6, shown_promised = ?7, shown_at = ?8, net = ?9, not_taken_in = ?10,
                     buffer = ?11, buffer_rule = ?12, as_of = max(coalesce(as_of, ?13), ?13)
                   WHERE brand = ?1 AND flow = ?2 AND place = ?3 AND sku = ?4 AND version = ?5 AND state = 'agreed'";
        let mut statement = self.connection.prepare_cached(sql)?;
        for Claim { place, sku, version, units: _, terms, shown } in claims {
            statement.execute(params![
                of.brand.as_str(),
                of.flow.as_str(),
                place.as_str(),
                sku.as_str(),
                version,
                shown.units,
                shown.promised,
                micros(shown.at),
                terms.net,
                terms.not_taken_in,
                terms.buffer,
                short(&terms.buffer_rule, RULE_CHARS_MAX),
                micros(terms.as_of),
            ])?;
        }
        Ok(())
    }

    /// Makes every figure of a place due: its buffers may have changed, or its source is known at last.
    pub fn stock_all_due(&self, of: &Of, place: &LocationId, why: &str, now: Timestamp) -> Result<u64> {
        let sql = "UPDATE stock_figures SET state = 'due', rank = 1, why = ?4, version = version + 1, due_at = ?5
                   WHERE brand = ?1 AND flow = ?2 AND place = ?3 AND state IN ('agreed', 'left')";
        let values = params![of.brand.as_str(), of.flow.as_str(), place.as_str(), why, micros(now)];
        Ok(self.connection.prepare_cached(sql)?.execute(values)? as u64)
    }

    /// Notes that these figures are about to be written. Left out are those that changed meanwhile and those
    /// behind which a newer level already stands, unless they only take units off sale (a level may come to be doubted);
    /// the rest is returned, by their position.
    pub fn stock_claim(&self, of: &Of, claims: &[Claim], now: Timestamp) -> Result<Vec<usize>> {
        let sql = "UPDATE stock_figures SET state = 'sending', due_at = ?6, sent_units = ?7, sent_at = ?6, as_of = max(coalesce(as_of, ?8), ?8), net = ?9,
                     not_taken_in = ?10, buffer = ?11, buffer_rule = ?12, shown_units = ?13, shown_promised = ?14, shown_at = ?15,
                     attempts = attempts + 1
                   WHERE brand = ?1 AND flow = ?2 AND place = ?3 AND sku = ?4 AND version = ?5 AND state = 'due'
                     AND (as_of IS NULL OR as_of <= ?8 OR ?7 < ?13)";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut claimed = Vec::with_capacity(claims.len());
        for (index, claim) in claims.iter().enumerate() {
            let Claim { place, sku, version, units, terms, shown } = claim;
            let done = statement.execute(params![
                of.brand.as_str(),
                of.flow.as_str(),
                place.as_str(),
                sku.as_str(),
                version,
                micros(now),
                units,
                micros(terms.as_of),
                terms.net,
                terms.not_taken_in,
                terms.buffer,
                short(&terms.buffer_rule, RULE_CHARS_MAX),
                shown.units,
                shown.promised,
                micros(shown.at),
            ])?;
            if done > 0 {
                claimed.push(index);
            }
        }
        Ok(claimed)
    }

    /// Both sides are equal: what was worked out is what stands there, with or without a write. A figure that
    /// became due again meanwhile stays due, and one over which a lost write may still come in is looked at again when
    /// none can. Returns since when each may have been wrong, where it was.
    pub fn stock_agree(&self, of: &Of, claims: &[Claim], now: Timestamp) -> Result<Vec<Option<Timestamp>>> {
        let sql = "UPDATE stock_figures SET
                     state = CASE WHEN version = ?5 AND coalesce(unsure_until, 0) <= ?6 THEN 'agreed' ELSE 'due' END,
                     due_at = CASE WHEN version <> ?5 THEN ?6 WHEN unsure_until > ?6 THEN unsure_until END,
                     unsure_until = CASE WHEN unsure_until > ?6 THEN unsure_until END,
                     stale_since = CASE WHEN version = ?5 THEN NULL ELSE stale_since END,
                     as_of = max(coalesce(as_of, ?7), ?7), net = ?8, not_taken_in = ?9, buffer = ?10, buffer_rule = ?11,
                     shown_units = ?12, shown_promised = ?13, shown_at = ?14, attempts = 0, exception_id = NULL
                   WHERE brand = ?1 AND flow = ?2 AND place = ?3 AND sku = ?4 AND state IN ('due', 'sending')
                   RETURNING version = ?5 AND state = 'agreed'";
        let mut look = self
            .connection
            .prepare_cached("SELECT stale_since FROM stock_figures WHERE brand = ?1 AND flow = ?2 AND place = ?3 AND sku = ?4")?;
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut settle = self.connection.prepare_cached(
            "UPDATE stock_drifts SET settled_at = ?5 WHERE brand = ?1 AND flow = ?2 AND place = ?3 AND sku = ?4 AND settled_at IS NULL",
        )?;
        let mut wrong = Vec::with_capacity(claims.len());
        for Claim { place, sku, version, units: _, terms, shown } in claims {
            let row = [of.brand.as_str(), of.flow.as_str(), place.as_str(), sku.as_str()];
            // It may have been taken off the list meanwhile.
            let stale: Option<i64> = look.query_row(row, |row| row.get(0)).optional()?.flatten();
            let mut rows = statement.query(params![
                row[0],
                row[1],
                row[2],
                row[3],
                version,
                micros(now),
                micros(terms.as_of),
                terms.net,
                terms.not_taken_in,
                terms.buffer,
                short(&terms.buffer_rule, RULE_CHARS_MAX),
                shown.units,
                shown.promised,
                micros(shown.at),
            ])?;
            let agreed: bool = rows.next()?.map(|row| row.get(0)).transpose()?.unwrap_or(false);
            drop(rows);
            if agreed {
                settle.execute(params![row[0], row[1], row[2], row[3], micros(now)])?;
            }
            wrong.push(if agreed { moment_maybe(stale)? } else { None });
        }
        Ok(wrong)
    }

    /// Looks at these figures again at `due_at`; the write, if there was one, did not come out.
    pub fn stock_again(&self, of: &Of, rows: &[(LocationId, Sku)], due_at: Timestamp) -> Result<()> {
        let sql = "UPDATE stock_figures SET state = 'due', due_at = ?5
                   WHERE brand = ?1 AND flow = ?2 AND place = ?3 AND sku = ?4 AND state IN ('due', 'sending')";
        let mut statement = self.connection.prepare_cached(sql)?;
        for (place, sku) in rows {
            statement.execute(params![of.brand.as_str(), of.flow.as_str(), place.as_str(), sku.as_str(), micros(due_at)])?;
        }
        Ok(())
    }

    /// Nobody knows whether these were written: they are looked at again at `due_at`, and once more when nothing of it
    /// can come in any more.
    pub fn stock_unsure(&self, of: &Of, rows: &[(LocationId, Sku)], due_at: Timestamp, until: Timestamp) -> Result<()> {
        let sql = "UPDATE stock_figures SET unsure_until = max(coalesce(unsure_until, ?5), ?5)
                   WHERE brand = ?1 AND flow = ?2 AND place = ?3 AND sku = ?4";
        let mut statement = self.connection.prepare_cached(sql)?;
        for (place, sku) in rows {
            statement.execute(params![of.brand.as_str(), of.flow.as_str(), place.as_str(), sku.as_str(), micros(until)])?;
        }
        self.stock_again(of, rows, due_at)
    }

    /// Gives a figure to an exception.
    pub fn stock_hold(&self, of: &Of, place: &LocationId, sku: &Sku, exception: ExceptionId) -> Result<()> {
        let sql = "UPDATE stock_figures SET state = 'held', due_at = NULL, exception_id = ?5
                   WHERE brand = ?1 AND flow = ?2 AND place = ?3 AND sku = ?4 AND state IN ('due', 'sending')";
        let values = params![of.brand.as_str(), of.flow.as_str(), place.as_str(), sku.as_str(), exception.0];
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    /// Leaves a figure alone: the source does not keep the item.
    pub fn stock_leave(&self, of: &Of, place: &LocationId, sku: &Sku, version: i64, shown: Shown) -> Result<()> {
        let sql = "UPDATE stock_figures SET state = 'left', due_at = NULL, stale_since = NULL, shown_units = ?6, shown_promised = ?7, shown_at = ?8
                   WHERE brand = ?1 AND flow = ?2 AND place = ?3 AND sku = ?4 AND version = ?5 AND state = 'due'";
        let values = params![
            of.brand.as_str(),
            of.flow.as_str(),
            place.as_str(),
            sku.as_str(),
            version,
            shown.units,
            shown.promised,
            micros(shown.at)
        ];
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    /// Sends what an exception holds back to be worked out again; returns how many.
    pub fn stock_release(&self, exception: ExceptionId, now: Timestamp) -> Result<u64> {
        let sql = "UPDATE stock_figures SET state = 'due', due_at = ?2, attempts = 0, version = version + 1
                   WHERE exception_id = ?1 AND state = 'held'";
        Ok(self.connection.prepare_cached(sql)?.execute(params![exception.0, micros(now)])? as u64)
    }

    /// A person lets go what an exception holds: it is left as it stands until its source moves again.
    pub(crate) fn stock_let_go(&self, exception: ExceptionId, now: Timestamp) -> Result<u64> {
        let sql =
            "UPDATE stock_figures SET state = 'left', why = 'dismissed', due_at = NULL, exception_id = NULL, stale_since = ?2
                   WHERE exception_id = ?1 AND state = 'held'";
        Ok(self.connection.prepare_cached(sql)?.execute(params![exception.0, micros(now)])? as u64)
    }

    /// After a crash: a write may have been under way, and its answer is lost. Looked at again now, and once more when
    /// nothing of it can still be on its way. Returns how many.
    pub fn stock_recover(&self, of: &Of, now: Timestamp, until: Timestamp) -> Result<u64> {
        let sql = "UPDATE stock_figures SET state = 'due', due_at = ?3, unsure_until = ?4, version = version + 1
                   WHERE brand = ?1 AND flow = ?2 AND state = 'sending'";
        let values = params![of.brand.as_str(), of.flow.as_str(), micros(now), micros(until)];
        Ok(self.connection.prepare_cached(sql)?.execute(values)? as u64)
    }
}

impl View<'_> {
    /// Figures that are due, most urgent first, all of the place of the first.
    pub fn stock_due(&self, of: &Of, now: Timestamp, limit_rows: usize) -> Result<Vec<FigureRow>> {
        let sql = "SELECT place FROM stock_figures WHERE brand = ?1 AND flow = ?2 AND state = 'due' AND due_at <= ?3
                   ORDER BY rank, due_at LIMIT 1";
        let mut first = self.connection.prepare_cached(sql)?;
        let mut rows = first.query(params![of.brand.as_str(), of.flow.as_str(), micros(now)])?;
        let Some(row) = rows.next()? else { return Ok(Vec::new()) };
        let place: String = row.get(0)?;
        drop(rows);
        let sql = select_figures!(
            "WHERE brand = ?1 AND flow = ?2 AND state = 'due' AND due_at <= ?3 AND place = ?4 ORDER BY rank, due_at LIMIT ?5"
        );
        let mut statement = self.connection.prepare_cached(sql)?;
        let values = params![of.brand.as_str(), of.flow.as_str(), micros(now), place, limit(limit_rows)];
        statement.query_and_then(values, figure_row)?.collect()
    }

    /// When the next figure falls due, if any will.
    pub fn stock_next_due(&self, of: &Of) -> Result<Option<Timestamp>> {
        let sql = "SELECT min(due_at) FROM stock_figures WHERE brand = ?1 AND flow = ?2 AND due_at IS NOT NULL";
        let due: Option<i64> =
            self.connection.prepare_cached(sql)?.query_row([of.brand.as_str(), of.flow.as_str()], |row| row.get(0))?;
        moment_maybe(due)
    }

    /// One figure.
    pub fn stock_figure(&self, of: &Of, place: &LocationId, sku: &Sku) -> Result<Option<FigureRow>> {
        let sql = select_figures!("WHERE brand = ?1 AND flow = ?2 AND place = ?3 AND sku = ?4");
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([of.brand.as_str(), of.flow.as_str(), place.as_str(), sku.as_str()])?;
        rows.next()?.map(figure_row).transpose()
    }

    /// Whether an item was seen in this read-back already, under whichever id.
    pub fn stock_seen_in(&self, of: &Of, level: &StockLevel, pass: i64) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM stock_figures
                   WHERE brand = ?1 AND flow = ?2 AND place = ?3 AND sku = ?4 AND seen_pass = ?5)";
        let values = params![of.brand.as_str(), of.flow.as_str(), level.location.as_str(), level.sku.as_str(), pass];
        Ok(self.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0))?)
    }

    /// The figures of an item at every place.
    pub fn stock_figures_of(&self, of: &Of, sku: &Sku) -> Result<Vec<FigureRow>> {
        let sql = select_figures!("WHERE brand = ?1 AND flow = ?2 AND sku = ?3 ORDER BY place");
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.query_and_then([of.brand.as_str(), of.flow.as_str(), sku.as_str()], figure_row)?.collect()
    }

    /// Figures at a place by SKU, after a SKU; of one state, if asked, and with a text in the SKU, if asked.
    pub fn stock_figures(
        &self,
        of: &Of,
        place: &LocationId,
        state: Option<FigureState>,
        search: &str,
        after: &str,
        limit_rows: usize,
    ) -> Result<Vec<FigureRow>> {
        let sql = select_figures!(
            "WHERE brand = ?1 AND flow = ?2 AND place = ?3 AND sku > ?4 AND (?5 IS NULL OR state = ?5)
             AND (?6 = '' OR instr(lower(sku), ?6) > 0) ORDER BY sku LIMIT ?7"
        );
        let mut statement = self.connection.prepare_cached(sql)?;
        let values = params![
            of.brand.as_str(),
            of.flow.as_str(),
            place.as_str(),
            after,
            state.map(FigureState::word),
            search.trim().to_lowercase(),
            limit(limit_rows)
        ];
        statement.query_and_then(values, figure_row)?.collect()
    }

    /// Whether a place shows units of items that the source does not know.
    pub fn stock_shows_left(&self, of: &Of, place: &LocationId) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM stock_figures
                   WHERE brand = ?1 AND flow = ?2 AND place = ?3 AND state = 'left' AND shown_units > 0)";
        let place = [of.brand.as_str(), of.flow.as_str(), place.as_str()];
        Ok(self.connection.prepare_cached(sql)?.query_row(place, |row| row.get(0))?)
    }

    /// The places of a flow's target with where their figures stand.
    pub fn stock_balance(&self, of: &Of) -> Result<Vec<StockBalance>> {
        let sql = "SELECT place, state, count(*), sum(max(0, shown_units - shown_promised)) FROM stock_figures
                   WHERE brand = ?1 AND flow = ?2 GROUP BY place, state ORDER BY place";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([of.brand.as_str(), of.flow.as_str()])?;
        let mut balances: Vec<StockBalance> = Vec::new();
        while let Some(row) = rows.next()? {
            let (place, state, number): (String, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if balances.last().is_none_or(|last| last.place != place) {
                balances.push(StockBalance { flow: of.flow.0.clone(), place, ..StockBalance::default() });
            }
            let Some(balance) = balances.last_mut() else { continue };
            let number = count(number);
            balance.listed += number;
            balance.free_units = balance.free_units.saturating_add(row.get(3)?);
            *match FigureState::from_word(&state)? {
                FigureState::Due | FigureState::Sending => &mut balance.in_flight,
                FigureState::Agreed => &mut balance.agreed,
                FigureState::Held => &mut balance.held,
                FigureState::Left => &mut balance.left,
            } += number;
        }
        Ok(balances)
    }

    /// What an exception holds, at most so many.
    pub fn stock_held_figures(&self, exception: ExceptionId, limit_rows: usize) -> Result<Vec<FigureRow>> {
        let sql = select_figures!("WHERE exception_id = ?1 ORDER BY place, sku LIMIT ?2");
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.query_and_then(params![exception.0, limit(limit_rows)], figure_row)?.collect()
    }
}
