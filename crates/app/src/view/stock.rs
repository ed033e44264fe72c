//! Stock as people see it: how fresh, where the figures stand, and why one is what it is.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use schemars::JsonSchema;
use selvedge_flow::{StockSetup, stock::Explained};
use selvedge_model::{
    Brand, ExceptionId, LocationId, Sku,
    stock::{DryRun, Rule},
};
use selvedge_store::{
    Result, Store, View,
    stock::{DriftRow, FigureRow, FigureState, Freshness, MoveRow, Of, StockBalance},
};
use serde::Serialize;

/// Movements shown of one item.
const MOVES_SHOWN: usize = 50;

/// One warehouse of one stock flow.
#[derive(Clone, Debug, Serialize, JsonSchema)]
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
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Item {
    /// The flow.
    pub flow: String,
    /// The SKU.
    pub sku: Sku,
    /// At each warehouse.
    pub warehouses: Vec<Explained>,
    /// The last movements at the source, newest first.
    pub moves: Vec<MoveRow>,
    /// What keeps it from being right: exceptions that hold a figure or a level of it, or that tell of a drift.
    pub snags: Vec<Snag>,
}

/// Why an exception is about an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Snag {
    /// The exception.
    pub exception: ExceptionId,
    /// What it does.
    pub what: SnagKind,
    /// Where: the shop's warehouse, or the source's place of a level.
    pub place: LocationId,
    /// The units in question: held, kept back or found.
    pub units: i64,
    /// Since when, or as of when.
    pub at: Timestamp,
}

/// What an exception does to an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SnagKind {
    /// It holds the figure: nothing is written.
    FigureHeld,
    /// It keeps a level of the source back.
    LevelKeptBack,
    /// It tells of units that nobody of us put there.
    Drift,
}

pub(super) fn of(brand: &Brand, stock: &StockSetup) -> Of {
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
                let warehouses: BTreeSet<&LocationId> = setup.places.values().collect();
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

/// Figures with their flows, warehouse by warehouse, by SKU.
///
/// # Errors
/// The store's.
pub async fn figures(store: &Store, brand: &Brand, stocks: &[StockSetup], wanted: Wanted) -> Result<Vec<(String, FigureRow)>> {
    let stocks: Vec<(Of, StockSetup)> = stocks.iter().map(|stock| (of(brand, stock), stock.clone())).collect();
    store
        .read(move |view| {
            let mut found = Vec::new();
            for (of, setup) in &stocks {
                let warehouses: BTreeSet<&LocationId> = setup.places.values().collect();
                for place in warehouses.into_iter().filter(|place| wanted.warehouse.as_ref().is_none_or(|only| only == *place)) {
                    let rows = view.stock_figures(of, place, wanted.state, &wanted.search, &wanted.after, wanted.limit)?;
                    found.extend(rows.into_iter().map(|row| (of.flow.0.clone(), row)));
                }
            }
            Ok(found)
        })
        .await
}

/// A page of the list of figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Figures with their flows, by SKU, flow and warehouse; of each SKU all of them or none.
    pub figures: Vec<(String, FigureRow)>,
    /// After which SKU the next page begins, if there is one.
    pub next: Option<Sku>,
}

/// Figures of all flows and warehouses by SKU, at most `limit` (more only if one SKU alone has more).
///
/// # Errors
/// The store's.
pub async fn listed(store: &Store, brand: &Brand, stocks: &[StockSetup], wanted: Wanted) -> Result<Listed> {
    let limit = wanted.limit;
    // One more of each, to know whether there is more: then the first `limit` and one of all are right.
    let found = figures(store, brand, stocks, Wanted { limit: limit.saturating_add(1), ..wanted }).await?;
    Ok(cut(found, limit))
}

/// The page that ends before a SKU that does not fit as a whole, so that the next one can begin after a SKU.
fn cut(mut figures: Vec<(String, FigureRow)>, limit: usize) -> Listed {
    figures.sort_by(|(one, a), (other, b)| (&a.sku, one, &a.place).cmp(&(&b.sku, other, &b.place)));
    let Some((_, over)) = figures.get(limit) else { return Listed { figures, next: None } };
    let over = over.sku.clone();
    let whole = figures.partition_point(|(_, row)| row.sku < over);
    let end = if whole > 0 { whole } else { figures.partition_point(|(_, row)| row.sku <= over) };
    let more = end < figures.len();
    figures.truncate(end);
    let next = figures.last().filter(|_| more).map(|(_, row)| row.sku.clone());
    Listed { figures, next }
}

/// The state that a text names; none for an empty one.
///
/// # Errors
/// It names none: what it may be, in a sentence.
pub fn state(text: &str) -> std::result::Result<Option<FigureState>, String> {
    match text.trim() {
        "" => Ok(None),
        word => FigureState::ALL.into_iter().find(|state| state.word() == word).map(Some).ok_or_else(|| {
            let all: Vec<&str> = FigureState::ALL.into_iter().map(FigureState::word).collect();
            format!("There is no state of stock by that name. A state is one of {}.", all.join(", "))
        }),
    }
}

/// The warehouse that a text names; none for an empty one.
///
/// # Errors
/// No flow writes to it: to which they do, in a sentence.
pub fn warehouse(text: &str, stocks: &[StockSetup]) -> std::result::Result<Option<LocationId>, String> {
    let known: BTreeSet<&LocationId> = stocks.iter().flat_map(|stock| stock.places.values()).collect();
    match text.trim() {
        "" => Ok(None),
        id => known.iter().find(|known| known.as_str() == id).map(|known| Some((*known).clone())).ok_or_else(|| {
            let all: Vec<&str> = known.iter().map(|known| known.as_str()).collect();
            format!("No stock flow writes to that warehouse. Those that are written to: {}.", all.join(", "))
        }),
    }
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
                    let snags = snags(view, of, setup, &warehouses, &sku)?;
                    found.push(Item { flow: of.flow.0.clone(), sku: sku.clone(), warehouses, moves, snags });
                }
            }
            Ok(found)
        })
        .await
}

/// The exceptions that are about an item.
fn snags(view: &View<'_>, of: &Of, setup: &StockSetup, warehouses: &[Explained], sku: &Sku) -> Result<Vec<Snag>> {
    let mut snags = Vec::new();
    for Explained { figure, .. } in warehouses {
        let place = &figure.place;
        if let Some(exception) = figure.exception {
            let (units, at) = figure.sent.unwrap_or((figure.shown.units, figure.shown.at));
            let at = figure.stale_since.unwrap_or(at);
            snags.push(Snag { exception, what: SnagKind::FigureHeld, place: place.clone(), units, at });
        }
        for drift in view.stock_drifts_of(of, place, sku)? {
            snags.push(Snag {
                exception: drift.exception,
                what: SnagKind::Drift,
                place: place.clone(),
                units: drift.shown,
                at: drift.found_at,
            });
        }
    }
    for location in setup.places.keys() {
        if let Some(held) = view.stock_held_level(of, location, sku)? {
            snags.push(Snag {
                exception: held.exception,
                what: SnagKind::LevelKeptBack,
                place: location.clone(),
                units: held.level.free(),
                at: held.level.as_of,
            });
        }
    }
    Ok(snags)
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

/// Other buffers for a stock flow.
#[derive(Clone, Debug)]
pub struct Proposed {
    /// The flow as it is.
    pub setup: StockSetup,
    /// How long an order may be missing from the figures of its source.
    pub lag: Duration,
    /// The rules that would take the place of its own.
    pub rules: Vec<Rule>,
}

/// What other buffers would change, flow by flow.
///
/// # Errors
/// The store's.
pub async fn dry_runs(store: &Store, brand: &Brand, asked: Vec<Proposed>, now: Timestamp) -> Result<Vec<(String, DryRun)>> {
    let brand = brand.clone();
    store
        .read(move |view| {
            let mut runs = Vec::with_capacity(asked.len());
            for Proposed { setup, lag, rules } in &asked {
                let run = selvedge_flow::stock::dry_run(view, setup, &of(&brand, setup), *lag, rules, now)?;
                runs.push((setup.name.0.clone(), run));
            }
            Ok(runs)
        })
        .await
}

/// The newest differences that nothing under way explained.
///
/// # Errors
/// The store's.
pub async fn drifts(
    store: &Store,
    brand: &Brand,
    stocks: &[StockSetup],
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<DriftRow>> {
    let stocks: Vec<Of> = stocks.iter().map(|stock| of(brand, stock)).collect();
    store
        .read(move |view| {
            let mut found = Vec::new();
            for of in &stocks {
                found.extend(view.stock_drifts(of, None, before, limit)?);
            }
            found.sort_by_key(|row| std::cmp::Reverse(row.id));
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
        Term::Committed => "promised at the source, in stock",
        Term::BackOrdered => "promised at the source, not in stock",
        Term::PendingApproval => "ordered at the source, not approved yet",
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
