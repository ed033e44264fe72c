//! How far the mapping tables reach: what each answers, and what was asked of it and has no answer.

use std::collections::BTreeMap;

use jiff::Timestamp;
use selvedge_model::{Brand, ConnectionName, gate::preflight::Gap};
use selvedge_store::{
    Result, Store,
    desk::{DeskFilter, Shelf},
    mappings::MappedTable,
};
use serde::Serialize;

use super::Target;

/// Open exceptions about mappings that are added up.
const EXCEPTIONS_MAX: usize = 500;

/// One table of one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Coverage {
    /// For which target.
    pub connection: ConnectionName,
    /// Its name.
    pub table: String,
    /// The parts of its keys.
    pub parts: Vec<String>,
    /// Entries of its own.
    pub entries: u64,
    /// What stands for everything that has none.
    pub default: Option<String>,
    /// Entries of the target's own list, which answer by name.
    pub listed: u64,
    /// Values that can be sent and have no answer, by the last pre-flight.
    pub missing: u64,
    /// Those of them that orders of late carried.
    pub missing_of_late: u64,
    /// How many orders that was.
    pub orders_of_late: u64,
    /// Records that wait for an entry now.
    pub held: u64,
    /// Who changed it last, and when.
    pub changed: Option<(String, Timestamp)>,
}

impl Coverage {
    /// Whether something has no answer.
    pub fn lacks(&self) -> bool {
        self.missing > 0 || self.held > 0
    }
}

/// All tables that the targets ask, and those that have entries though nobody says that they are asked.
///
/// # Errors
/// The store's.
pub async fn coverage(store: &Store, brand: &Brand, targets: &[Target]) -> Result<Vec<Coverage>> {
    let (brand, targets) = (brand.clone(), targets.to_vec());
    store
        .read(move |view| {
            let tables = view.mapped_tables(&brand)?;
            let preflights = view.preflights(&brand)?;
            let mut held: BTreeMap<(ConnectionName, String), u64> = BTreeMap::new();
            for shelf in [Shelf::Open, Shelf::Snoozed] {
                let about = DeskFilter { rule: "mapping.".to_owned(), shelf, ..DeskFilter::default() };
                for one in view.desk(&brand, &about, None, EXCEPTIONS_MAX)?.rows {
                    let table = one.problem.cause.strip_prefix("mapping.").and_then(|rest| rest.split_once(':'));
                    let target = targets.iter().find(|target| target.flows.contains(&one.flow));
                    if let (Some((table, _)), Some(target)) = (table, target) {
                        *held.entry((target.name.clone(), table.to_owned())).or_default() += one.count;
                    }
                }
            }
            let mut names: Vec<(ConnectionName, String, Vec<String>)> = Vec::new();
            for target in &targets {
                for table in target.tables {
                    let parts = table.parts.iter().map(|part| (*part).to_owned()).collect();
                    names.push((target.name.clone(), table.name.to_owned(), parts));
                }
            }
            for row in &tables {
                if !names.iter().any(|(connection, table, _)| connection.as_str() == row.connection && *table == row.table) {
                    names.push((ConnectionName(row.connection.clone()), row.table.clone(), Vec::new()));
                }
            }
            let mut found = Vec::with_capacity(names.len());
            for (connection, table, parts) in names {
                let of = |one: &&MappedTable| one.connection == connection.as_str() && one.table == table;
                let stands = tables.iter().find(of);
                let gaps: Vec<&Gap> = preflights
                    .iter()
                    .filter(|one| one.to == connection)
                    .flat_map(|one| &one.gaps)
                    .filter(|gap| gap.table == table)
                    .collect();
                let of_late = gaps.iter().filter(|gap| gap.carried.orders > 0);
                found.push(Coverage {
                    entries: stands.map_or(0, |one| one.entries),
                    default: stands.and_then(|one| one.default.clone()),
                    listed: view.list_count(&connection, &table)?,
                    missing: gaps.len() as u64,
                    missing_of_late: of_late.clone().count() as u64,
                    orders_of_late: of_late.map(|gap| gap.carried.orders).sum(),
                    held: held.get(&(connection.clone(), table.clone())).copied().unwrap_or_default(),
                    changed: stands.map(|one| (one.by.clone(), one.at)),
                    connection,
                    table,
                    parts,
                });
            }
            Ok(found)
        })
        .await
}
