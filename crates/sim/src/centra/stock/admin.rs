//! What a scenario may do and see that no integration can: buy, hand over, edit the shelf, look into the ledger.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::hooks::Notice;
use super::super::state::{Entry, State};
use super::super::{Centra, life};
use super::ledger::wants;
use super::{Figure, Opening, Overselling, Rules, Sale, StockOptions, WrongRows};
use crate::mischief::{Mischief, Profile};

/// A size in a warehouse, in units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// On the shelf.
    pub physical: i64,
    /// Of these, promised to orders.
    pub allocated: i64,
    /// Of these, free.
    pub free: i64,
    /// Ordered and not allocated.
    pub demand: i64,
}

/// What was not sold because something was missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostSales {
    /// Orders.
    pub orders: u64,
    /// By SKU, the units that these orders asked for of what did not suffice.
    pub units: BTreeMap<String, u64>,
}

/// How often stock was written since this start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockCounts {
    /// `setStock` fields run, refused ones included.
    pub set_calls: u64,
    /// Rows that they applied, whether or not they changed anything.
    pub set_rows: u64,
}

/// Why an order was not placed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Something is missing, and the instance does not oversell: a lost sale.
    #[error("not enough of {}", .0.join(", "))]
    Missing(Vec<String>),
    /// There is no such market or size, or the units are not above nought.
    #[error("{0}")]
    Unknown(String),
    /// The journal cannot be written.
    #[error("the journal cannot be written")]
    Journal(#[source] anyhow::Error),
}

/// The options that are in force in this world.
pub fn rules(options: &StockOptions, mischief: &Mischief) -> Rules {
    let refuses = mischief.profile() != Profile::None && mischief.chance("wrong rows refuse all", 0, 50.0);
    Rules {
        below_allocated: options.below_allocated,
        wrong_rows: options.wrong_rows.unwrap_or(if refuses { WrongRows::RefuseAll } else { WrongRows::ApplyRest }),
        rows_max: options.rows_max,
        blank_rows: options.blank_rows,
        odd_eans: mischief.profile() == Profile::Hostile,
    }
}

/// The figures that a new instance starts with; none for bundles.
pub fn opening(state: &State, opening: &Opening) -> Vec<Figure> {
    let single = |item: u32| state.item(item).is_some_and(|item| item.components.is_empty());
    match opening {
        Opening::Nothing => Vec::new(),
        Opening::Each(units) => state
            .items()
            .filter(|(item, _)| single(*item))
            .flat_map(|(item, _)| {
                let physical = i64::from(*units).max(0);
                (0..state.ledger.warehouses()).map(move |warehouse| Figure { warehouse, item, physical })
            })
            .collect(),
        Opening::Given(rows) => rows
            .iter()
            .filter_map(|(sku, market, units)| {
                let item = state.shelf.sku(sku).filter(|item| single(*item))?;
                Some(Figure { warehouse: warehouse(state, *market)?, item, physical: i64::from(*units).max(0) })
            })
            .collect(),
    }
}

/// The index of the warehouse of a market.
fn warehouse(state: &State, market: i32) -> Option<u32> {
    u32::try_from(state.catalogue.markets().iter().position(|known| known.id == market)?).ok()
}

/// Those of the catalogue's orders `from..to` that are not covered, each after those before it took theirs.
pub fn uncovered(state: &State, from: u32, to: u32) -> Vec<u32> {
    let mut taken: HashMap<(u32, u32), i64> = HashMap::new();
    let mut refused = Vec::new();
    for source in from..to {
        let made = state.catalogue.order(source);
        let at = u32::try_from(made.market).unwrap_or(0);
        if state.ledger.missing(at, wants(&made), &taken).is_empty() {
            for want in wants(&made) {
                *taken.entry((want.item, at)).or_default() += i64::from(want.units);
            }
        } else {
            refused.push(source);
        }
    }
    refused
}

impl Centra {
    /// Somebody buys, by market id and SKU, at `at` (not before the last order): places an order that is not in the
    /// catalogue and returns its number. It is an order like any other from then on, with events, webhooks and edits.
    pub fn try_buy(&self, market: i32, lines: &[(&str, i32)], at: Timestamp) -> Result<i32, Refused> {
        let inner = &self.0;
        let mut state = inner.write();
        let at = at.as_millisecond().max(state.last_placed_at());
        let at_market = warehouse(&state, market).ok_or_else(|| Refused::Unknown(format!("there is no market {market}")))?;
        let mut found = Vec::new();
        for (sku, units) in lines {
            match state.shelf.sku(sku) {
                Some(item) if *units > 0 && *units <= 1_000_000 => found.push((item, *units)),
                Some(_) => return Err(Refused::Unknown(format!("{units} units of {sku} cannot be bought"))),
                None => return Err(Refused::Unknown(format!("there is no {sku}"))),
            }
        }
        let sale = Sale { market: at_market, lines: found };
        if !(1..1_000).contains(&sale.line_count(&state.catalogue)) {
            return Err(Refused::Unknown("an order has 1 to 999 lines".to_owned()));
        }
        let extra = state.bought();
        let number = state.catalogue.number_beyond(extra).ok_or_else(|| Refused::Unknown("no number is left".to_owned()))?;
        let source = state.catalogue.orders().saturating_add(extra);
        if inner.options.stock.overselling == Overselling::Standard {
            let wants = sale.wants(&state.catalogue, source);
            let missing = state.ledger.missing(at_market, wants.into_iter(), &HashMap::new());
            if !missing.is_empty() {
                state.record(Entry::Missed { sale, at }).map_err(Refused::Journal)?;
                return Err(Refused::Missing(missing.iter().map(|(item, _)| sku(&state, *item)).collect()));
            }
        }
        let first = state.placed();
        state
            .record(Entry::Bought { sale, at, fate: life::fate(&inner.mischief, source), act: None })
            .map_err(Refused::Journal)?;
        let planned = life::pending(&state, &inner.mischief, first, state.placed());
        inner.edits().extend(planned.into_iter().map(|(due, order, planned)| ((due, order, planned.number), planned)));
        inner.hooks.tell([Notice { kind: "order", number, action: "insert", at }]);
        Ok(number)
    }

    /// Units of an order line leave the warehouse: physical and allocated go down. That is all that it does; the shipment
    /// and the order's status are not simulated yet. `false` when not so many units are allocated to the line.
    /// Errors when the journal cannot be written.
    pub fn complete_shipment(&self, line: i32, units: i32) -> anyhow::Result<bool> {
        let mut state = self.0.write();
        if units < 1 || state.ledger.share(line).is_none_or(|share| share.allocated < units) {
            return Ok(false);
        }
        let at = self.0.mischief.now().as_millisecond();
        state.record(Entry::Shipped { line, units, at })?;
        Ok(true)
    }

    /// Somebody writes a physical figure behind the integration's back, lifted to what is allocated.
    /// `false` when there is no such size or market, or it is a bundle. Errors when the journal cannot be written.
    pub fn foreign_stock_edit(&self, sku: &str, market: i32, physical: i64) -> anyhow::Result<bool> {
        let mut state = self.0.write();
        let single = |item: &u32| state.item(*item).is_some_and(|item| item.components.is_empty());
        let (Some(item), Some(warehouse)) = (state.shelf.sku(sku).filter(single), warehouse(&state, market)) else {
            return Ok(false);
        };
        let at = self.0.mischief.now().as_millisecond();
        let physical = physical.clamp(state.ledger.cell(item, warehouse).allocated, i64::from(i32::MAX));
        let figures = vec![Figure { warehouse, item, physical }];
        state.record(Entry::Stock { figures, at, why: "Corrected in AMS".to_owned(), planned: None })?;
        Ok(true)
    }

    /// Every size in every warehouse: `sku,warehouse,physical,allocated,free,demand`, sorted by SKU and warehouse (told by
    /// its id). Bundles have no row.
    pub fn stock_csv(&self) -> String {
        let state = self.0.read();
        let mut items: Vec<(&str, u32)> =
            state.items().filter(|(_, item)| item.components.is_empty()).map(|(at, item)| (item.sku.as_str(), at)).collect();
        items.sort_unstable();
        let mut warehouses: Vec<(i32, u32)> = state.catalogue.markets().iter().map(|market| market.id).zip(0..).collect();
        warehouses.sort_unstable();
        let mut out = String::from("sku,warehouse,physical,allocated,free,demand\n");
        for (sku, item) in items {
            // No SKU has a line break; one with a comma or a quote is quoted.
            let plain = !sku.contains([',', '"']);
            let text = if plain { sku.to_owned() } else { format!("\"{}\"", sku.replace('"', "\"\"")) };
            for (id, at) in &warehouses {
                let cell = state.ledger.cell(item, *at);
                let _ = writeln!(out, "{text},{id},{},{},{},{}", cell.physical, cell.allocated, cell.free(), cell.demand);
            }
        }
        out
    }

    /// A size in the warehouse of a market. `None` when there is no such size or market.
    pub fn stock_of(&self, sku: &str, market: i32) -> Option<Figures> {
        let state = self.0.read();
        let cell = state.ledger.cell(state.shelf.sku(sku)?, warehouse(&state, market)?);
        Some(Figures { physical: cell.physical, allocated: cell.allocated, free: cell.free(), demand: cell.demand })
    }

    /// Units ordered and not allocated, over everything.
    pub fn oversold(&self) -> i64 {
        self.0.read().ledger.demand()
    }

    /// What was not sold because something was missing.
    pub fn lost_sales(&self) -> LostSales {
        let state = self.0.read();
        let (orders, units) = state.ledger.lost();
        LostSales { orders, units: units.iter().map(|(item, units)| (sku(&state, *item), *units)).collect() }
    }

    /// How often stock was written since this start.
    pub fn stock_counts(&self) -> StockCounts {
        StockCounts { set_calls: self.0.set_stock_calls.load(Ordering::Relaxed), set_rows: self.0.read().set_stock_rows }
    }
}

fn sku(state: &State, item: u32) -> String {
    state.item(item).map_or_else(String::new, |item| item.sku.clone())
}
