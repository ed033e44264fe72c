//! What is spent of the platforms' budgets.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use selvedge_connector::{Connection, SessionStats};
use selvedge_model::{Brand, ConnectionName, Kind, obligation::State};
use selvedge_store::{Result, Store, View};
use serde::Serialize;

use super::Ends;

/// A connection as the running engine sees it.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its name.
    pub connection: ConnectionName,
    /// The connector's name.
    pub system: &'static str,
    /// What its session has done since the start.
    pub stats: SessionStats,
}

impl Line {
    /// As it stands now.
    pub fn of(name: &ConnectionName, connection: &Connection) -> Self {
        Self { connection: name.clone(), system: connection.system, stats: connection.traffic.stats() }
    }
}

/// Calls spent on one purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PurposeCalls {
    /// What for.
    pub purpose: String,
    /// How many.
    pub calls: u64,
}

/// One limit of a platform and how much of it is used now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WindowView {
    /// What it counts.
    pub name: String,
    /// Over how many seconds.
    pub seconds: u64,
    /// How much is granted.
    pub quota: u64,
    /// How much is used now.
    pub used: u64,
}

/// What one connection has spent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ConnectionCalls {
    /// The connection.
    pub connection: ConnectionName,
    /// The connector's name, when the engine runs.
    pub system: Option<&'static str>,
    /// Calls ever.
    pub calls: u64,
    /// Calls per confirmed order, two decimals.
    pub per_order: Option<String>,
    /// By purpose.
    pub purposes: Vec<PurposeCalls>,
    /// The platform's limits.
    pub windows: Vec<WindowView>,
    /// Calls answered "too many", since the start.
    pub throttled: u64,
    /// Calls that got no answer, since the start.
    pub lost: u64,
    /// Calls under way.
    pub under_way: usize,
    /// Calls waiting for room.
    pub waiting: usize,
    /// Whether the connection rests after failures in a row.
    pub breaker_open: bool,
    /// Whether the platform asked for a pause.
    pub paused: bool,
}

/// What is spent of the scarce thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CallsView {
    /// Orders confirmed, counted once per flow that confirmed them.
    pub orders: u64,
    /// Calls on all connections per confirmed order, two decimals; `None` before the first.
    pub per_order: Option<String>,
    /// Per connection.
    pub connections: Vec<ConnectionCalls>,
}

/// Calls spent. `lines` is what the running engine sees; empty where none runs.
///
/// # Errors
/// The store's.
pub async fn calls(store: &Store, brand: &Brand, ends: &[Ends], lines: Vec<Line>) -> Result<CallsView> {
    let (brand, ends) = (brand.clone(), ends.to_vec());
    store.read(move |view| calls_in(view, &brand, &ends, lines)).await
}

pub(super) fn calls_in(view: &View<'_>, brand: &Brand, ends: &[Ends], lines: Vec<Line>) -> Result<CallsView> {
    let mut orders = 0_u64;
    for ends in ends.iter().filter(|ends| ends.kind == Kind::Order) {
        let counts = view.state_counts(brand, &ends.flow)?;
        orders += counts.into_iter().find(|(state, _)| *state == State::Confirmed).map_or(0, |(_, count)| count);
    }
    let mut spent = BTreeMap::<String, Vec<PurposeCalls>>::new();
    for (connection, purpose, calls) in view.calls(brand)? {
        spent.entry(connection).or_default().push(PurposeCalls { purpose, calls });
    }
    let mut lines: BTreeMap<String, Line> = lines.into_iter().map(|line| (line.connection.0.clone(), line)).collect();
    let mut names: Vec<String> = spent.keys().chain(lines.keys()).cloned().collect();
    names.sort_unstable();
    names.dedup();
    let mut all = 0_u64;
    let mut connections = Vec::with_capacity(names.len());
    for name in names {
        let purposes = spent.remove(&name).unwrap_or_default();
        let calls = purposes.iter().map(|purpose| purpose.calls).sum::<u64>();
        all += calls;
        let line = lines.remove(&name);
        let system = line.as_ref().map(|line| line.system);
        let stats = line.map(|line| line.stats).unwrap_or_default();
        let windows = stats.windows.into_iter().map(|(name, seconds, quota, used)| WindowView { name, seconds, quota, used });
        connections.push(ConnectionCalls {
            connection: ConnectionName(name),
            system,
            calls,
            per_order: per(calls, orders),
            purposes,
            windows: windows.collect(),
            throttled: stats.throttled,
            lost: stats.lost,
            under_way: stats.under_way,
            waiting: stats.waiting,
            breaker_open: stats.breaker_open,
            paused: stats.paused,
        });
    }
    Ok(CallsView { orders, per_order: per(all, orders), connections })
}

/// So much per so many, two decimals, half up; `None` for none.
fn per(calls: u64, orders: u64) -> Option<String> {
    let (calls, orders) = (u128::from(calls), u128::from(orders));
    let hundredths = (calls * 100 + orders / 2).checked_div(orders)?;
    Some(format!("{}.{:02}", hundredths / 100, hundredths % 100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_much_per_so_many() {
        assert_eq!(per(7, 0), None);
        assert_eq!(per(7, 2).unwrap(), "3.50");
        assert_eq!(per(2, 3).unwrap(), "0.67");
        assert_eq!(per(u64::MAX, 1).unwrap(), format!("{}.00", u64::MAX));
    }
}
