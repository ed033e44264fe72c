//! What there is to see, as values: pages, API and command line show the same ones and add no
//! logic of their own.
//!
//! Each function is one consistent look at the store. What only the running engine knows (how
//! much of a budget is used this second) is handed in as [`Line`]s, so that the command line can
//! ask the same questions of a store that nobody is running.

pub mod alerts;
mod calls;
pub mod case;
mod causes;
pub mod connections;
pub mod coverage;
pub mod desk;
mod exceptions;
pub mod flows;
pub mod handbook;
mod ledgers;
pub mod mapping_csv;
mod mappings;
mod orders;
mod parcels;
mod preflight;
pub mod reconcile;
pub mod rehearse;
pub mod replay;
mod returns;
pub mod settings;
mod shadow;
pub mod stock;
mod stock_rows;
pub mod webhooks;

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use selvedge_flow::{FlowSetup, StockSetup};
use selvedge_model::{Brand, ConnectionName, FlowName, Interval, Kind, Mode};
use selvedge_store::{
    Result, Store,
    desk::DeskFilter,
    flows::Pause,
    obligations::{Balance, FlowSide},
    stock::{Of, StockBalance},
};
use serde::Serialize;

pub use calls::{CallsView, ConnectionCalls, Line, calls};
pub use causes::{ExceptionGroup, desk_by_cause};
pub use exceptions::{
    ExceptionDetail, ExceptionView, HalfView, HeldView, LateView, MappingAsked, by_cause, connection_of, exception, open_count,
    reason, team, total,
};
pub use flows::{FlowView, flows};
pub use ledgers::{became, document};
pub use mappings::{EntriesWanted, MappingWanted, Target, entries, mappings};
pub use orders::{ORDERS_MAX, ObligationView, OrderLine, OrderStory, RevisionView, Standing, order_story, orders};
pub use parcels::{ShipmentView, Whereabouts};
pub use preflight::{GapView, PreflightView};
pub use returns::{GoodsHalf, Halves, MoneyHalf, RETURNS_MAX, ReturnLine, ReturnStory, return_story, returns};
pub use shadow::{ShadowView, shadow};
pub use stock_rows::{LevelKept, Moved, StockRows, stock_rows};

/// Hours of the chart of today.
const HOURS_OF_TODAY: usize = 48;
/// Exceptions shown of today.
const EXCEPTIONS_OF_TODAY: usize = 5;

/// The two ends of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The flow.
    pub flow: FlowName,
    /// Of which kind.
    pub kind: Kind,
    /// From.
    pub from: ConnectionName,
    /// To.
    pub to: ConnectionName,
    /// Whether it writes.
    pub mode: Mode,
}

impl From<&FlowSetup> for Ends {
    fn from(setup: &FlowSetup) -> Self {
        Self { flow: setup.name.clone(), kind: setup.kind, from: setup.from.clone(), to: setup.to.clone(), mode: setup.mode }
    }
}

impl From<&StockSetup> for Ends {
    fn from(setup: &StockSetup) -> Self {
        Self { flow: setup.name.clone(), kind: Kind::Stock, from: setup.from.clone(), to: setup.to.clone(), mode: Mode::Live }
    }
}

impl Ends {
    pub(crate) fn side(&self) -> FlowSide {
        FlowSide { flow: self.flow.clone(), from: self.from.clone(), kind: self.kind, off: self.mode == Mode::Off }
    }
}

/// The equation of one flow, and whether it comes out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct BalanceView {
    /// Its terms.
    #[serde(flatten)]
    pub terms: Balance,
    /// Captured minus the sum of the rest: zero, or something was lost or made up.
    pub difference: i64,
    /// Whether the difference is zero.
    pub balanced: bool,
}

impl From<Balance> for BalanceView {
    fn from(terms: Balance) -> Self {
        let difference = terms.difference();
        let shown = i64::try_from(difference).unwrap_or(if difference < 0 { i64::MIN } else { i64::MAX });
        Self { terms, difference: shown, balanced: difference == 0 }
    }
}

/// The equation per flow, over what was captured in the window (everything if `None`).
///
/// # Errors
/// The store's.
pub async fn balance(store: &Store, brand: &Brand, ends: &[Ends], window: Option<Interval>) -> Result<Vec<BalanceView>> {
    let (brand, sides) = (brand.clone(), ends.iter().map(Ends::side).collect::<Vec<_>>());
    let balances = store.read(move |view| view.balance(&brand, &sides, window)).await?;
    Ok(balances.into_iter().map(BalanceView::from).collect())
}

/// What changes when anything moves: few numbers, cheap to ask for once a second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pulse {
    /// Per flow, the rows per state that any are in.
    pub flows: BTreeMap<String, BTreeMap<&'static str, u64>>,
    /// Flows that a person has paused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paused: Vec<FlowName>,
    /// Open exceptions.
    pub exceptions: usize,
    /// Per stock flow and warehouse, where the figures stand.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stock: Vec<StockBalance>,
}

/// The pulse.
///
/// # Errors
/// The store's.
pub async fn pulse(store: &Store, brand: &Brand, ends: &[Ends], stocks: &[StockSetup]) -> Result<Pulse> {
    let (brand, ends) = (brand.clone(), ends.to_vec());
    let stocks: Vec<Of> = stocks.iter().map(|stock| stock::of(&brand, stock)).collect();
    store
        .read(move |view| {
            let mut flows = BTreeMap::new();
            for ends in &ends {
                let counts = view.state_counts(&brand, &ends.flow)?;
                flows.insert(ends.flow.0.clone(), counts.into_iter().map(|(state, count)| (state.word(), count)).collect());
            }
            let mut stock = Vec::new();
            for of in &stocks {
                stock.extend(view.stock_balance(of)?);
            }
            let exceptions = usize::try_from(view.desk_count(&brand)?).unwrap_or(usize::MAX);
            let paused = view.flow_pauses(&brand)?.into_iter().map(|pause| pause.flow).collect();
            Ok(Pulse { flows, paused, exceptions, stock })
        })
        .await
}

/// Today at a glance.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Today {
    /// The flows.
    pub flows: Vec<FlowView>,
    /// Confirmations (or comparisons) of orders in each of the last hours, one per flow and revision, oldest first; the last hour is not
    /// over.
    pub hours: Vec<u64>,
    /// The open exceptions of the highest impact; a few of them.
    pub exceptions: Vec<ExceptionView>,
    /// How many open exceptions there are.
    pub open: u64,
    /// How many more are snoozed.
    pub snoozed: u64,
    /// Records held.
    pub held: u64,
    /// Money held, an amount per currency.
    pub money: Vec<String>,
    /// Flows that a person has paused, those of stock among them.
    pub paused: Vec<Pause>,
    /// Calls spent.
    pub calls: CallsView,
    /// The newest orders.
    pub newest: Vec<OrderLine>,
}

/// Today at a glance, as one consistent look.
///
/// # Errors
/// The store's.
pub async fn today(store: &Store, brand: &Brand, ends: &[Ends], lines: Vec<Line>, now: Timestamp) -> Result<Today> {
    let (brand, ends) = (brand.clone(), ends.to_vec());
    store
        .read(move |view| {
            let flows = ends.iter().map(|ends| flows::flow(view, &brand, ends, now)).collect::<Result<Vec<_>>>()?;
            let first = view.desk(&brand, &DeskFilter::default(), None, EXCEPTIONS_OF_TODAY)?;
            let totals = view.desk_totals(&brand)?;
            let order_ends: Vec<Ends> = ends.iter().filter(|ends| ends.kind == Kind::Order).cloned().collect();
            let newest = view.records(&brand, Kind::Order, "", 10)?;
            let mut hours = vec![0_u64; HOURS_OF_TODAY];
            for ends in &order_ends {
                let of_flow = view.done_per_hour(&brand, &ends.flow, now, HOURS_OF_TODAY)?;
                hours.iter_mut().zip(of_flow).for_each(|(sum, count)| *sum += count);
            }
            Ok(Today {
                hours,
                exceptions: first.rows.into_iter().map(ExceptionView::from).collect(),
                open: totals.open,
                snoozed: totals.snoozed,
                held: totals.records,
                money: totals.money.iter().map(ToString::to_string).collect(),
                paused: view.flow_pauses(&brand)?,
                calls: calls::calls_in(view, &brand, &ends, lines)?,
                newest: newest
                    .into_iter()
                    .map(|line| orders::order_line(view, &brand, &order_ends, line))
                    .collect::<Result<_>>()?,
                flows,
            })
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_past_what_json_readers_take_is_cut_and_still_shows() {
        let balance = BalanceView::from(Balance { captured: u64::MAX, ..Balance::default() });
        assert_eq!((balance.difference, balance.balanced), (i64::MAX, false));
        let balance = BalanceView::from(Balance { captured: 2, confirmed: 2, ..Balance::default() });
        assert!(balance.balanced);
    }
}
