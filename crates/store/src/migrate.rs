//! The schema: numbered files, applied in order, each in one transaction with its number.

use std::path::Path;

use rusqlite::Connection;

use crate::{Result, StoreError, packing::unreadable};

/// In order; the position is the version that a file leads to. A published file is never changed.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/sqlite/0001_start.sql"),
    include_str!("../migrations/sqlite/0002_stock.sql"),
    include_str!("../migrations/sqlite/0003_statistics.sql"),
    include_str!("../migrations/sqlite/0004_catalogue.sql"),
    include_str!("../migrations/sqlite/0005_preflight.sql"),
    include_str!("../migrations/sqlite/0006_returns.sql"),
    include_str!("../migrations/sqlite/0007_statements.sql"),
    include_str!("../migrations/sqlite/0008_closes.sql"),
    include_str!("../migrations/sqlite/0009_people.sql"),
    include_str!("../migrations/sqlite/0010_desk.sql"),
    include_str!("../migrations/sqlite/0011_alerts.sql"),
    include_str!("../migrations/sqlite/0012_trust.sql"),
    include_str!("../migrations/sqlite/0013_checks.sql"),
    include_str!("../migrations/sqlite/0014_search.sql"),
    include_str!("../migrations/sqlite/0015_api.sql"),
    include_str!("../migrations/sqlite/0016_pauses.sql"),
    include_str!("../migrations/sqlite/0017_erasing.sql"),
    include_str!("../migrations/sqlite/0018_looked_again.sql"),
    include_str!("../migrations/sqlite/0019_counts.sql"),
    include_str!("../migrations/sqlite/0020_parcels.sql"),
    include_str!("../migrations/sqlite/0021_targets.sql"),
    include_str!("../migrations/sqlite/0022_links.sql"),
    include_str!("../migrations/sqlite/0023_rank.sql"),
    include_str!("../migrations/sqlite/0024_differences_by_cause.sql"),
];

/// Marks the file as ours (`file` and other tools show it): "Slvg".
const APPLICATION_ID: i32 = 0x536C_7667;

/// Brings the schema up to this version's.
pub(crate) fn migrate(connection: &Connection, path: &Path) -> Result<()> {
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    if version(connection)? == known {
        return Ok(());
    }
    // Under the write lock, and asked again there: another process may be doing the same.
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let done = apply(connection, path, known);
    connection.execute_batch(if done.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    done
}

fn apply(connection: &Connection, path: &Path, known: u32) -> Result<()> {
    let found = version(connection)?;
    if found > known {
        return Err(StoreError::Newer { path: path.to_owned(), found, known });
    }
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables > 0 && application != APPLICATION_ID {
        return Err(unreadable(&path.display().to_string(), "it is the database of another program"));
    }
    // The first file has changed since it was first tried out; nobody has released it.
    let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'comparisons'";
    if found > 0 && connection.query_row(sql, [], |row| row.get::<_, i64>(0))? == 0 {
        return Err(unreadable(
            &path.display().to_string(),
            "it was made by a version before the first release: begin with a new file",
        ));
    }
    let skip = usize::try_from(found).unwrap_or(usize::MAX);
    for (number, sql) in (1_u32..).zip(MIGRATIONS).skip(skip) {
        connection.execute_batch(sql)?;
        connection.pragma_update(None, "user_version", number)?;
    }
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    Ok(())
}

/// The schema of a file that is only looked at.
pub(crate) fn known_version(connection: &Connection, path: &Path) -> Result<u32> {
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    match version(connection)? {
        _ if application != APPLICATION_ID => Err(unreadable(&path.display().to_string(), "it is no store")),
        found if found > known => Err(StoreError::Newer { path: path.to_owned(), found, known }),
        found => Ok(found),
    }
}

fn version(connection: &Connection) -> Result<u32> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_file_and_a_strange_file_are_left_alone() {
        let newer = Connection::open_in_memory().unwrap();
        migrate(&newer, Path::new("x.db")).unwrap();
        newer.pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(migrate(&newer, Path::new("x.db")), Err(StoreError::Newer { found: 99, known: 24, .. })));

        let strange = Connection::open_in_memory().unwrap();
        strange.execute_batch("CREATE TABLE theirs (a)").unwrap();
        assert!(matches!(migrate(&strange, Path::new("x.db")), Err(StoreError::Unreadable { .. })));
        assert_eq!(version(&strange).unwrap(), 0);
    }

    #[test]
    fn a_second_run_changes_nothing() {
        let connection = Connection::open_in_memory().unwrap();
        migrate(&connection, Path::new("x.db")).unwrap();
        let before: i64 = connection.pragma_query_value(None, "schema_version", |row| row.get(0)).unwrap();
        migrate(&connection, Path::new("x.db")).unwrap();
        let after: i64 = connection.pragma_query_value(None, "schema_version", |row| row.get(0)).unwrap();
        assert_eq!(before, after);
    }

    #[test]
    fn lookups_go_by_what_narrows() {
        let connection = Connection::open_in_memory().unwrap();
        migrate(&connection, Path::new("x.db")).unwrap();
        let of_flow = "brand = 'b' AND flow = 'f'";
        for (query, by) in [
            ("list_entries WHERE connection = 'c' AND tbl = 't' AND name = 'n' ORDER BY active DESC, id", "list_entries_by_name"),
            ("list_entries WHERE connection = 'c' AND tbl = 't' AND id = 'i'", "PRIMARY KEY (connection=? AND tbl=? AND id=?)"),
            (&format!("stock_demand WHERE {of_flow} AND sku = 's' GROUP BY market"), "stock_demand_by_sku"),
            (&format!("stock_demand WHERE {of_flow} AND key = 'k'"), "PRIMARY KEY (brand=? AND flow=? AND key=?)"),
            (&format!("stock_levels WHERE {of_flow} AND sku = 's'"), "stock_levels_by_sku"),
            (&format!("stock_levels WHERE {of_flow} AND location = 'l' AND sku = 's'"), "PRIMARY KEY"),
            (&format!("stock_figures WHERE {of_flow} AND sku = 's'"), "stock_figures_by_sku"),
            (
                &format!("stock_figures WHERE {of_flow} AND state = 'due' AND due_at <= 1 AND due_at IS NOT NULL"),
                "stock_figures_due",
            ),
            ("bindings WHERE brand = 'b' AND connection = 'c' AND kind = 'k' AND external_id = 'e'", "bindings_by_external"),
            ("product_marks WHERE brand = 'b' AND connection = 'c' AND item = 'i'", "product_marks_by_item"),
            (
                "product_marks WHERE brand = 'b' AND connection = 'c' AND mark = 'alike' AND value = 'v' AND item <> 'i'",
                "PRIMARY KEY (brand=? AND connection=? AND mark=? AND value=?)",
            ),
            ("promises WHERE brand = 'b' AND look_at <= 1 AND look_at IS NOT NULL", "promises_due"),
            ("promises WHERE exception_id = 1", "promises_by_exception"),
            ("alerts WHERE brand = 'b' AND due_at <= 1 AND due_at IS NOT NULL", "alerts_due"),
            ("alerts WHERE exception_id = 1 AND resolved_at IS NULL", "alerts_by_exception"),
            (
                "alert_messages WHERE brand = 'b' AND channel = 'c' AND state = 'cleared' AND due_at <= 1 AND settled_at IS NULL",
                "alert_messages_due",
            ),
            ("alert_messages WHERE brand = 'b' AND channel = 'c' AND state = 'held' ORDER BY id", "alert_messages_held"),
            ("arrivals WHERE brand = 'b' AND connection = 'c' AND kind = 'k' AND slot >= 1", "PRIMARY KEY"),
            (&format!("stock_kits WHERE {of_flow} AND part = 'p'"), "stock_kits_by_part"),
            (
                &format!("stock_drifts WHERE {of_flow} AND place = 'p' AND sku = 's' AND settled_at IS NULL"),
                "stock_drifts_by_row",
            ),
        ] {
            let plan: String =
                connection.query_row(&format!("EXPLAIN QUERY PLAN SELECT * FROM {query}"), [], |row| row.get("detail")).unwrap();
            assert!(plan.starts_with("SEARCH") && plan.contains(by), "{query}: {plan}");
        }
    }

    #[test]
    fn every_statistic_is_of_an_index_and_says_as_much_as_it_has_columns() {
        let connection = Connection::open_in_memory().unwrap();
        migrate(&connection, Path::new("x.db")).unwrap();
        let mut stats = connection.prepare("SELECT tbl, idx, stat FROM sqlite_stat1").unwrap();
        let stats = stats.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        let stats: Vec<(String, String, String)> = stats.collect::<rusqlite::Result<_>>().unwrap();
        for (table, index, stat) in &stats {
            let sql = "SELECT count(*) FROM pragma_index_list(?1) l, pragma_index_info(l.name) WHERE l.name = ?2 OR (l.origin = 'pk' AND ?1 = ?2)";
            let columns: i64 = connection.query_row(sql, [table, index], |row| row.get(0)).unwrap();
            assert_eq!(stat.split(' ').count(), usize::try_from(columns).unwrap() + 1, "{index}: {stat}");
        }
        // A table is judged by all its indexes or by none.
        let sql = "SELECT count(*) FROM pragma_index_list(?1)";
        for (table, ..) in &stats {
            let indexes: i64 = connection.query_row(sql, [table], |row| row.get(0)).unwrap();
            assert_eq!(stats.iter().filter(|(of, ..)| of == table).count(), usize::try_from(indexes).unwrap(), "{table}");
        }
    }

    #[test]
    fn what_came_and_settled_before_it_was_counted_is_counted() {
        let connection = Connection::open_in_memory().unwrap();
        for file in &MIGRATIONS[..18] {
            connection.execute_batch(file).unwrap();
        }
        connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        for (number, brand, state) in [(1, "a", "confirmed"), (2, "a", "held"), (3, "a", "captured"), (4, "b", "confirmed")] {
            let record = "INSERT INTO records (brand, connection, kind, key, revision, latest, form, received_at, digest, who, search, body)
                          VALUES (?2, 'shop', 'order', ?1, 1, 1, 'order', 0, zeroblob(32), '', '', x'')";
            connection.execute(record, rusqlite::params![number, brand]).unwrap();
            let settled = (state != "captured").then_some(0);
            let due = settled.is_none().then_some(0);
            let obligation = "INSERT INTO obligations (brand, flow, kind, key, revision, record_id, state, due_at, captured_at, settled_at, exception_id)
                              VALUES (?2, 'f', 'order', ?1, 1, ?1, ?3, ?4, 0, ?5, 1)";
            connection.execute(obligation, rusqlite::params![number, brand, state, due, settled]).unwrap();
        }
        connection.execute_batch(MIGRATIONS[18]).unwrap();
        let counts = |sql: &str| {
            let mut statement = connection.prepare(sql).unwrap();
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
            rows.collect::<rusqlite::Result<Vec<(String, String, i64)>>>().unwrap()
        };
        let row = |brand: &str, of: &str, number| (brand.to_owned(), of.to_owned(), number);
        assert_eq!(counts("SELECT brand, connection, number FROM record_counts"), [row("a", "shop", 3), row("b", "shop", 1)]);
        assert_eq!(
            counts("SELECT brand, state, number FROM settled_counts"),
            [row("a", "confirmed", 1), row("a", "held", 1), row("b", "confirmed", 1)]
        );
    }

    #[test]
    fn the_words_of_the_schema_are_the_words_of_the_model() {
        use selvedge_model::obligation::State;
        let connection = Connection::open_in_memory().unwrap();
        migrate(&connection, Path::new("x.db")).unwrap();
        connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        for (revision, state) in (1_i64..).zip(State::ALL) {
            for settled in [false, true] {
                let done = connection.execute(
                    "INSERT INTO obligations (brand, flow, kind, key, revision, record_id, state, due_at, captured_at, settled_at, exception_id)
                     VALUES ('b', 'f', 'order', 'k', ?1, 1, ?2, ?3, 0, ?4, 1)",
                    rusqlite::params![revision, state.word(), (!settled).then_some(0), settled.then_some(0)],
                );
                assert_eq!(done.is_ok(), settled == state.settled(), "{state:?} {settled}: {done:?}");
            }
        }
    }
}
