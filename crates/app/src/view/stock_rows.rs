//! The rows that an exception of stock is about, so that whoever decides sees what would move.

use jiff::Timestamp;
use schemars::JsonSchema;
use selvedge_flow::StockSetup;
use selvedge_model::{Brand, LocationId, Money, Sku};
use selvedge_store::{
    Result, Store, View,
    stock::{DriftRow, FigureRow, FigureState, HeldLevel, Of},
};
use serde::Serialize;

use super::{ExceptionView, total};

/// Rows of each kind that are shown.
const SHOWN_MAX: usize = 100;
/// Rows kept back that are looked through and added up.
const ADDED_MAX: usize = 10_000;
/// Figures left alone that are looked through for those that show units.
const LEFT_MAX: usize = 2_000;

/// A level of the source that is kept back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LevelKept {
    /// Of what.
    pub sku: Sku,
    /// Where, by the source's id.
    pub place: LocationId,
    /// The shop's warehouse that it feeds; none when it feeds none any more.
    pub warehouse: Option<LocationId>,
    /// Units left by the level in force; none when the source was not known before.
    pub in_force: Option<i64>,
    /// Units left by the level that is kept back.
    pub kept_back: i64,
    /// What shoppers can buy now; none when the shop does not list it.
    pub free: Option<i64>,
    /// What the units are worth that would come or go, where that is known.
    pub value: Option<Money>,
    /// As of when it was read.
    pub as_of: Timestamp,
    /// Whether a person has let it through already, and it takes effect next.
    pub released: bool,
}

impl LevelKept {
    /// Units before: by the level in force or, before the source was known, as shoppers see it.
    pub fn before(&self) -> Option<i64> {
        self.in_force.or(self.free)
    }

    /// Units that would come, or go.
    pub fn change(&self) -> i64 {
        self.kept_back.saturating_sub(self.before().unwrap_or(0))
    }
}

/// What all levels that are kept back would move together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Moved {
    /// Rows that were added up.
    pub rows: u64,
    /// Whether these are all; if not, there are more than were added up.
    pub whole: bool,
    /// Items that would be sold out.
    pub sold_out: u64,
    /// Units that would go.
    pub units_less: i64,
    /// Units that would come.
    pub units_more: i64,
    /// What the units are worth that would go, an amount per currency.
    pub value_less: Vec<String>,
    /// Rows that a person has let through already.
    pub released: u64,
}

/// The rows that an exception of stock is about: what it keeps back, holds or tells of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StockRows {
    /// Levels of the source that are kept back, what moves most first; at most 100.
    pub levels: Vec<LevelKept>,
    /// What all of these would move.
    pub moved: Moved,
    /// Figures of the shop that are held or meant, at most 100.
    pub figures: Vec<FigureRow>,
    /// Figures that were changed behind our back, newest first; at most 100.
    pub drifts: Vec<DriftRow>,
    /// How many of these are not settled, and how many there were.
    pub drift_counts: (u64, u64),
}

/// The rows that an exception is about; `None` when it is not about stock.
///
/// # Errors
/// The store's.
pub async fn stock_rows(
    store: &Store,
    brand: &Brand,
    stocks: &[StockSetup],
    exception: &ExceptionView,
) -> Result<Option<StockRows>> {
    if !exception.rule.starts_with("stock.") {
        return Ok(None);
    }
    let (brand, exception) = (brand.clone(), exception.clone());
    let setup = stocks.iter().find(|stock| stock.name == exception.flow).cloned();
    store.read(move |view| rows_of(view, &brand, setup.as_ref(), &exception).map(Some)).await
}

fn rows_of(view: &View<'_>, brand: &Brand, setup: Option<&StockSetup>, exception: &ExceptionView) -> Result<StockRows> {
    let of = Of { brand: brand.clone(), flow: exception.flow.clone() };
    let mut levels = Vec::new();
    for held in view.stock_held_levels(exception.id, ADDED_MAX)? {
        levels.push(level_kept(view, &of, setup, held)?);
    }
    let moved = moved(&levels);
    // By what it is worth where that is known, then by units.
    levels.sort_by_key(|row| {
        let worth = row.value.map_or(0, |value| value.minor().unsigned_abs());
        std::cmp::Reverse((worth, row.change().unsigned_abs()))
    });
    levels.truncate(SHOWN_MAX);
    Ok(StockRows {
        levels,
        moved,
        figures: figures(view, &of, exception)?,
        drifts: view.stock_drifts(&of, Some(exception.id), None, SHOWN_MAX)?,
        drift_counts: view.stock_drift_counts(exception.id)?,
    })
}

fn level_kept(view: &View<'_>, of: &Of, setup: Option<&StockSetup>, held: HeldLevel) -> Result<LevelKept> {
    let HeldLevel { level, in_force, accepted, .. } = held;
    let warehouse = setup.and_then(|setup| setup.places.get(&level.location).cloned());
    let figure = match &warehouse {
        Some(warehouse) => view.stock_figure(of, warehouse, &level.sku)?,
        None => None,
    };
    let worth = figure.as_ref().and_then(|figure| figure.value).or(level.unit_value);
    let mut row = LevelKept {
        kept_back: level.free(),
        sku: level.sku,
        place: level.location,
        warehouse,
        in_force,
        free: figure.map(|figure| figure.shown.free()),
        value: None,
        as_of: level.as_of,
        released: accepted,
    };
    // Units below nought are promised and not there: nothing of worth comes or goes with them.
    let change = row.kept_back.max(0).saturating_sub(row.before().unwrap_or(0).max(0));
    row.value = worth.and_then(|each| Some(Money::from_minor(each.minor().checked_mul(change)?, each.currency())));
    Ok(row)
}

fn moved(levels: &[LevelKept]) -> Moved {
    let (mut moved, mut less) = (Moved { whole: levels.len() < ADDED_MAX, ..Moved::default() }, Vec::new());
    for row in levels {
        moved.rows += 1;
        moved.released += u64::from(row.released);
        moved.sold_out += u64::from(row.kept_back <= 0 && row.before().is_some_and(|before| before > 0));
        match row.change() {
            change @ ..0 => moved.units_less = moved.units_less.saturating_add(change.saturating_neg()),
            change => moved.units_more = moved.units_more.saturating_add(change),
        }
        less.extend(
            row.value.filter(|value| value.is_negative()).and_then(|value| value.abs().ok()).map(|value| value.to_string()),
        );
    }
    moved.value_less = total(&less);
    moved
}

/// The figures that an exception holds or, where it holds none, those that it speaks of.
fn figures(view: &View<'_>, of: &Of, exception: &ExceptionView) -> Result<Vec<FigureRow>> {
    match (exception.rule.as_str(), &exception.value, exception.cause.strip_prefix("stock.no_source:")) {
        ("stock.no_source", _, Some(place)) => {
            let left = view.stock_figures(of, &LocationId::new(place), Some(FigureState::Left), "", "", LEFT_MAX)?;
            Ok(left.into_iter().filter(|row| row.shown.units > 0).take(SHOWN_MAX).collect())
        }
        ("stock.duplicate_sku", Some(sku), _) => view.stock_figures_of(of, &Sku::new(sku)),
        _ => view.stock_held_figures(exception.id, SHOWN_MAX),
    }
}
