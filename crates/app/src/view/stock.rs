//! Stock as people see it: how fresh, where the figures stand, and why one is what it is.

use std::time::Duration;

use jiff::Timestamp;
use selvedge_flow::{StockSetup, stock::Explained};
use selvedge_model::{Brand, LocationId, Sku};
use selvedge_store::{
    Result, Store,
    stock::{DriftRow, FigureRow, FigureState, Freshness, MoveRow, Of, StockBalance},
};
use serde::Serialize;

/// Movements shown of one item.
const MOVES_SHOWN: usize = 50;

/// One warehouse of one stock flow.
#[derive(Clone, Debug, Serialize)]
pub struct Warehouse {
    /// The flow.
    pub flow: String,
    /// The warehouse, by its id at the shop.
    pub warehouse: LocationId,
    /// Where the figures stand: listed = agreed + in flight + held + left.
    pub balance: StockBalance,
    /// How old the figures shown are.
    pub freshness: Freshness,
    /// Until when all places that feed it are known.
    pub proven_at: Option<Timestamp>,
    /// When the last of them was read whole.
    pub snapshot_at: Option<Timestamp>,
    /// When everything was last read back.
    pub read_back_at: Option<Timestamp>,
    /// Measured: for how many milliseconds a figure shown may be wrong after a change.
    pub window_ms: Option<u64>,
}

/// One item, explained.
#[derive(Clone, Debug, Serialize)]
pub struct Item {
    /// The flow.
    pub flow: String,
    /// The SKU.
    pub sku: Sku,
    /// At each warehouse.
    pub warehouses: Vec<Explained>,
    /// The last movements at the source, newest first.
    pub moves: Vec<MoveRow>,
}

fn of(brand: &Brand, stock: &StockSetup) -> Of {
    Of { brand: brand.clone(), flow: stock.name.clone() }
}

/// Every warehouse of every stock flow.
///
/// # Errors
/// The store's.
pub async fn status(store: &Store, brand: &Brand, stocks: &[StockSetup], now: Timestamp) -> Result<Vec<Warehouse>> {
    let stocks: Vec<(Of, StockSetup)> = stocks.iter().map(|stock| (of(brand, stock), stock.clone())).collect();
    store
        .read(move |view| {
            let mut found = Vec::new();
            for (of, setup) in &stocks {
                let kept = view.stock_flow(of)?;
                let read = view.stock_locations(of)?;
                let balances = view.stock_balance(of)?;
                let mut warehouses: Vec<&LocationId> = setup.places.values().collect();
                warehouses.sort();
                warehouses.dedup();
                for warehouse in warehouses {
                    let feeds = setup.places.iter().filter(|(_, to)| *to == warehouse).map(|(from, _)| from);
                    let rows: Vec<_> = feeds.map(|from| read.iter().find(|row| row.location == *from)).collect();
                    let oldest = |what: fn(&selvedge_store::stock::LocationRow) -> Option<Timestamp>| {
                        let all: Option<Vec<Timestamp>> = rows.iter().map(|row| row.and_then(what)).collect();
                        all.and_then(|all| all.into_iter().min())
                    };
                    let proven_at = oldest(|row| row.proven_at);
                    let empty =
                        || StockBalance { flow: of.flow.0.clone(), place: warehouse.0.clone(), ..StockBalance::default() };
                    found.push(Warehouse {
                        flow: of.flow.0.clone(),
                        warehouse: warehouse.clone(),
                        balance: balances.iter().find(|b| b.place == warehouse.0).cloned().unwrap_or_else(empty),
                        freshness: view.stock_freshness(of, warehouse, proven_at, now)?,
                        proven_at,
                        snapshot_at: oldest(|row| row.snapshot_at),
                        read_back_at: kept.read_back_at,
                        window_ms: kept.window_ms,
                    });
                }
            }
            Ok(found)
        })
        .await
}

/// Which figures are wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Of this warehouse only.
    pub warehouse: Option<LocationId>,
    /// In this state only.
    pub state: Option<FigureState>,
    /// With this text in the SKU.
    pub search: String,
    /// After this SKU.
    pub after: String,
    /// At most so many of each warehouse.
    pub limit: usize,
}

/// Figures, warehouse by warehouse, by SKU.
///
/// # Errors
/// The store's.
pub async fn figures(store: &Store, brand: &Brand, stocks: &[StockSetup], wanted: Wanted) -> Result<Vec<(String, FigureRow)>> {
    let stocks: Vec<(Of, StockSetup)> = stocks.iter().map(|stock| (of(brand, stock), stock.clone())).collect();
    store
        .read(move |view| {
            let mut found = Vec::new();
            for (of, setup) in &stocks {
                let mut warehouses: Vec<&LocationId> = setup.places.values().collect();
                warehouses.sort();
                warehouses.dedup();
                for place in warehouses.into_iter().filter(|place| wanted.warehouse.as_ref().is_none_or(|only| only == *place)) {
                    let rows = view.stock_figures(of, place, wanted.state, &wanted.search, &wanted.after, wanted.limit)?;
                    found.extend(rows.into_iter().map(|row| (of.flow.0.clone(), row)));
                }
            }
            Ok(found)
        })
        .await
}

/// One item in every flow that shows it, explained. `lag` is how long an order may be missing from the figures of
/// a flow's source.
///
/// # Errors
/// The store's.
pub async fn item(
    store: &Store,
    brand: &Brand,
    stocks: &[(StockSetup, Duration)],
    sku: &Sku,
    now: Timestamp,
) -> Result<Vec<Item>> {
    let stocks: Vec<(Of, StockSetup, Duration)> =
        stocks.iter().map(|(stock, lag)| (of(brand, stock), stock.clone(), *lag)).collect();
    let sku = sku.clone();
    store
        .read(move |view| {
            let mut found = Vec::new();
            for (of, setup, lag) in &stocks {
                let warehouses = selvedge_flow::stock::explain(view, setup, of, *lag, &sku, now)?;
                if !warehouses.is_empty() {
                    let moves = view.stock_moves(of, Some(&sku), MOVES_SHOWN)?;
                    found.push(Item { flow: of.flow.0.clone(), sku: sku.clone(), warehouses, moves });
                }
            }
            Ok(found)
        })
        .await
}

/// The same for a running engine, whose connections know their lag.
///
/// # Errors
/// The store's.
pub async fn item_of(engine: &selvedge_flow::Engine, sku: &Sku, now: Timestamp) -> Result<Vec<Item>> {
    let setup = engine.setup();
    let lag = |stock: &StockSetup| {
        setup.connections.get(&stock.from).and_then(|from| from.stock_source.as_ref()).map_or(Duration::ZERO, |s| s.commit_lag())
    };
    let stocks: Vec<(StockSetup, Duration)> = setup.stocks.iter().map(|stock| (stock.clone(), lag(stock))).collect();
    item(&setup.store, &setup.brand, &stocks, sku, now).await
}

/// The newest differences that nothing under way explained.
///
/// # Errors
/// The store's.
pub async fn drifts(store: &Store, brand: &Brand, stocks: &[StockSetup], limit: usize) -> Result<Vec<DriftRow>> {
    let stocks: Vec<Of> = stocks.iter().map(|stock| of(brand, stock)).collect();
    store
        .read(move |view| {
            let mut found = Vec::new();
            for of in &stocks {
                found.extend(view.stock_drifts(of, None, limit)?);
            }
            found.sort_by_key(|row| std::cmp::Reverse(row.found_at));
            found.truncate(limit);
            Ok(found)
        })
        .await
}

/// A term in the words of people.
pub fn term(term: selvedge_model::stock::Term) -> &'static str {
    use selvedge_model::stock::Term;
    match term {
        Term::OnHand => "on hand at the source",
        Term::Committed => "promised there, and there",
        Term::BackOrdered => "promised there, and not there",
        Term::PendingApproval => "ordered there, not approved yet",
        Term::Net => "= left at the source",
        Term::NotTakenIn => "orders that the source has not taken in",
        Term::ThroughKits => "the same, as parts of kits",
        Term::Buffer => "kept back",
        Term::NotForSale => "not for sale",
        Term::Free => "= free to sell",
        Term::LiftedToNought => "no figure is below nought",
        Term::Allocated => "promised by the shop itself",
        Term::Figure => "= the figure written",
    }
}

/// Milliseconds in the words of people.
pub fn age(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..120_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        120_000..7_200_000 => format!("{} min", ms / 60_000),
        _ => format!("{} h", ms / 3_600_000),
    }
}
