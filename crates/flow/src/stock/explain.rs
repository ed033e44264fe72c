//! Why the target shows what it shows of an item, from what is known now.

use schemars::JsonSchema;
use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use selvedge_model::{
    Sku, StockLevel,
    stock::{availability::Picture, explain::Explained as Lines, velocity::Demand},
};
use selvedge_store::{
    Result, View,
    stock::{DemandRow, FigureRow, Of},
};

use super::{
    StockSetup,
    work_out::{Plan, not_taken_in, reserve, supply},
};
use crate::backoff::before;

/// Why a place of the target shows what it shows of an item.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct Explained {
    /// The figure as it stands in the store.
    pub figure: FigureRow,
    /// What the source states, place by place: the level, and which way and when it came.
    pub levels: Vec<(StockLevel, String)>,
    /// Until when the places of the source are known.
    pub proven_at: Option<Timestamp>,
    /// The terms as they are now, line by line; none while the source is not known, or does not keep the item.
    pub lines: Option<Lines>,
    /// The orders behind the term of the same name, at most a hundred.
    pub orders: Vec<DemandRow>,
    /// How many units other channels took lately, and how long it was watched.
    pub demand: Demand,
    /// How long a figure shown may be wrong after a change, as measured, in milliseconds.
    pub window_ms: u64,
}

/// Explains an item at every place of the target, from what is known now.
///
/// # Errors
/// The store's.
pub fn explain(view: &View<'_>, setup: &StockSetup, of: &Of, lag: Duration, sku: &Sku, now: Timestamp) -> Result<Vec<Explained>> {
    const ORDERS_MAX: usize = 100;
    let plan = Plan::looked_up(view, setup, of, lag, now)?;
    let draws = view.stock_flow(of)?.draws;
    let mut explained = Vec::new();
    for figure in view.stock_figures_of(of, sku)? {
        let skus = BTreeSet::from([sku.clone()]);
        let supply = supply(view, &plan, &figure.place, &skus, now)?;
        let here = plan.feeds.get(&figure.place).cloned().unwrap_or_default();
        let levels = view
            .stock_levels_of(of, sku, now)?
            .into_iter()
            .filter(|row| here.contains(&row.level.location))
            .map(|row| (row.level, row.via))
            .collect();
        let (mut lines, mut demand) = (None, Demand::default());
        if let Some(supply) = &supply {
            let (all, _) = not_taken_in(view, &plan, &draws, &figure.place, supply, now)?;
            let picture = Picture::new(&supply.levels, &supply.kits, supply.as_of);
            let place = figure.place.clone();
            let reserve = |part: &Sku, net: i64| {
                let row = (part == sku).then_some(&figure);
                reserve(&plan, &place, row, supply, part, net)
            };
            lines = picture.terms(sku, &all, &reserve).map(|terms| terms.explain(Some((figure.shown.promised, figure.shown.at))));
            demand = supply.demand.get(sku).copied().unwrap_or_default();
        }
        let as_of = supply.as_ref().map(|supply| supply.as_of);
        let drawn = |market: &str| draws.get(market).is_none_or(|places| places.contains(&figure.place));
        let orders = match as_of {
            Some(as_of) => view.stock_orders_not_taken_in(of, sku, before(as_of, lag), ORDERS_MAX)?,
            None => Vec::new(),
        };
        let orders = orders.into_iter().filter(|row| drawn(&row.market)).collect();
        explained.push(Explained { figure, levels, proven_at: as_of, lines, orders, demand, window_ms: plan.window_ms });
    }
    Ok(explained)
}
