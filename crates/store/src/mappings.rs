//! Mapping tables, who changed what, and the targets' own lists.

use schemars::JsonSchema;
use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use selvedge_model::{Brand, ConnectionName, gate::Lookup, people::MapEntry};

use crate::{
    Result, Tx, View,
    packing::{count, limit, micros, moment, moment_maybe},
};

/// The key whose entry answers whatever has none of its own.
const DEFAULT_KEY: &str = "*";
/// How many entries of one name are named in an answer.
const SAME_NAME_MAX: i64 = 20;

/// One mapped value.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct MappingRow {
    /// For which target.
    pub connection: String,
    /// Which table.
    pub table: String,
    /// Compound key as text: `market=2,method=express`; a part may stand as `*` for any value, and the
    /// entry with the fewest stars answers. `*` alone is the table's default: it answers whatever has
    /// no entry of its own; a table without one means "must exist".
    pub key: String,
    /// The target's id.
    pub value: String,
    /// Who set it.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// Mappings that are not in force: another set, to be tried. By connection, table and key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MappingSet(pub BTreeMap<(String, String, String), String>);

/// A mapping table that has entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedTable {
    /// For which target.
    pub connection: String,
    /// Its name.
    pub table: String,
    /// How many entries it has, its default not counted.
    pub entries: u64,
    /// What stands for everything that has no entry of its own.
    pub default: Option<String>,
    /// Who set the last of its entries.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// Which entries are looked for; an empty text stands for any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MappingFilter {
    /// For one target.
    pub connection: String,
    /// Of one table.
    pub table: String,
    /// With this text in ours or theirs, large and small letters alike.
    pub text: String,
    /// Those behind this one: connection, table, key.
    pub after: Option<(String, String, String)>,
}

/// One change of a mapping.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct MappingChange {
    /// Counted up.
    pub id: i64,
    /// For which target.
    pub connection: String,
    /// Which table.
    pub table: String,
    /// Which key.
    pub key: String,
    /// The entry as `table key`.
    pub entry: String,
    /// Before; `None` when it is new.
    pub before: Option<String>,
    /// After; `None` when it was removed.
    pub after: Option<String>,
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// How a lookup was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MappingAnswer {
    /// By a mapping (its own entry or the table's default), or by an active list entry of exactly this name.
    Is(String),
    /// Several active list entries have this name.
    Ambiguous(Vec<String>),
    /// The one list entry of this name is inactive.
    Inactive(String),
    /// By nothing.
    Nothing,
}

fn mapping_row(row: &rusqlite::Row<'_>) -> Result<MappingRow> {
    Ok(MappingRow {
        connection: row.get(0)?,
        table: row.get(1)?,
        key: row.get(2)?,
        value: row.get(3)?,
        by: row.get(4)?,
        at: moment(row.get(5)?)?,
    })
}

impl Tx<'_> {
    /// Sets (or with `None` removes) a mapping and keeps the change; setting what is set is no change.
    #[expect(clippy::too_many_arguments, reason = "each is a column, and a struct would only repeat their names")]
    pub fn map(
        &self,
        brand: &Brand,
        connection: &ConnectionName,
        table: &str,
        key: &str,
        value: Option<&str>,
        by: &str,
        at: Timestamp,
    ) -> Result<()> {
        let (brand, connection, at) = (brand.as_str(), connection.as_str(), micros(at));
        let before = self.mapped(brand, connection, table, key)?;
        if before.as_deref() == value {
            return Ok(());
        }
        match value {
            Some(value) => {
                let sql = "INSERT INTO mappings (brand, connection, tbl, key, value, set_by, set_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                           ON CONFLICT (brand, connection, tbl, key) DO UPDATE SET value = excluded.value, set_by = excluded.set_by, set_at = excluded.set_at";
                self.connection.prepare_cached(sql)?.execute(params![brand, connection, table, key, value, by, at])?;
            }
            None => {
                let sql = "DELETE FROM mappings WHERE brand = ?1 AND connection = ?2 AND tbl = ?3 AND key = ?4";
                self.connection.prepare_cached(sql)?.execute(params![brand, connection, table, key])?;
            }
        }
        let sql = "INSERT INTO mapping_changes (brand, connection, tbl, key, before, after, set_by, set_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        self.connection.prepare_cached(sql)?.execute(params![brand, connection, table, key, before, value, by, at])?;
        Ok(())
    }

    /// Adds a page of a target's list: (id, name, active). `generation` marks the pass.
    pub fn list_entries(
        &self,
        connection: &ConnectionName,
        table: &str,
        entries: &[(String, String, bool)],
        generation: i64,
    ) -> Result<()> {
        let sql = "INSERT INTO list_entries (connection, tbl, id, name, active, generation) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                   ON CONFLICT (connection, tbl, id) DO UPDATE SET name = excluded.name, active = excluded.active, generation = excluded.generation";
        let mut statement = self.connection.prepare_cached(sql)?;
        for (id, name, active) in entries {
            statement.execute(params![connection.as_str(), table, id, name, active, generation])?;
        }
        Ok(())
    }

    /// Ends a pass over a list: entries of older passes are gone at the target.
    pub fn list_complete(&self, connection: &ConnectionName, table: &str, generation: i64, at: Timestamp) -> Result<()> {
        let sql = "DELETE FROM list_entries WHERE connection = ?1 AND tbl = ?2 AND generation <> ?3";
        self.connection.prepare_cached(sql)?.execute(params![connection.as_str(), table, generation])?;
        let sql = "INSERT INTO lists (connection, tbl, generation, read_at) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT (connection, tbl) DO UPDATE SET generation = excluded.generation, read_at = excluded.read_at";
        self.connection.prepare_cached(sql)?.execute(params![connection.as_str(), table, generation, micros(at)])?;
        Ok(())
    }
}

impl View<'_> {
    fn mapped(&self, brand: &str, connection: &str, table: &str, key: &str) -> Result<Option<String>> {
        let sql = "SELECT value FROM mappings WHERE brand = ?1 AND connection = ?2 AND tbl = ?3 AND key = ?4";
        Ok(self.connection.prepare_cached(sql)?.query_row([brand, connection, table, key], |row| row.get(0)).optional()?)
    }

    /// What stands in one place of a table.
    pub fn mapping(&self, brand: &Brand, connection: &ConnectionName, table: &str, key: &str) -> Result<Option<String>> {
        self.mapped(brand.as_str(), connection.as_str(), table, key)
    }

    /// Answers a lookup: own entry, then (if the lookup allows) the target's entry of the same name, then the table's default `*`.
    /// Names compare byte for byte; only a key of one part has a name to compare.
    pub fn answer(&self, brand: &Brand, connection: &ConnectionName, lookup: &Lookup) -> Result<MappingAnswer> {
        Ok(self.answer_by(brand, connection, lookup)?.0)
    }

    /// The same, with the key of the mapping that answers, where one does.
    pub fn answer_by(
        &self,
        brand: &Brand,
        connection: &ConnectionName,
        lookup: &Lookup,
    ) -> Result<(MappingAnswer, Option<String>)> {
        self.answer_with(connection, lookup, &|key| self.mapped(brand.as_str(), connection.as_str(), &lookup.table, key))
    }

    /// The same out of another set of mappings; the targets' own lists are those that were read.
    pub fn answer_among(&self, set: &MappingSet, connection: &ConnectionName, lookup: &Lookup) -> Result<MappingAnswer> {
        let mapped = |key: &str| {
            let key = (connection.as_str().to_owned(), lookup.table.clone(), key.to_owned());
            Ok(set.0.get(&key).cloned())
        };
        Ok(self.answer_with(connection, lookup, &mapped)?.0)
    }

    fn answer_with(
        &self,
        connection: &ConnectionName,
        lookup: &Lookup,
        value_of: &dyn Fn(&str) -> Result<Option<String>>,
    ) -> Result<(MappingAnswer, Option<String>)> {
        let mapped = |key: String| -> Result<Option<(MappingAnswer, Option<String>)>> {
            let value = value_of(&key)?;
            Ok(value.map(|value| (MappingAnswer::Is(value), Some(key))))
        };
        if let Some(answer) = mapped(lookup.key_text())? {
            return Ok(answer);
        }
        if lookup.same_name
            && let [(_, name)] = lookup.key.as_slice()
        {
            let answer = self.of_same_name(connection, &lookup.table, name)?;
            if answer != MappingAnswer::Nothing {
                return Ok((answer, None));
            }
        }
        for key in lookup.wider_keys() {
            if let Some(answer) = mapped(key)? {
                return Ok(answer);
            }
        }
        Ok(mapped(DEFAULT_KEY.to_owned())?.unwrap_or((MappingAnswer::Nothing, None)))
    }

    fn of_same_name(&self, connection: &ConnectionName, table: &str, name: &str) -> Result<MappingAnswer> {
        let sql = "SELECT id, active FROM list_entries WHERE connection = ?1 AND tbl = ?2 AND name = ?3 ORDER BY active DESC, id LIMIT ?4";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement
            .query_map(params![connection.as_str(), table, name, SAME_NAME_MAX], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let (mut active, mut inactive) = (Vec::new(), Vec::new());
        for row in rows {
            let (id, is_active): (String, bool) = row?;
            if is_active { &mut active } else { &mut inactive }.push(id);
        }
        Ok(match (active.len(), inactive.into_iter().next()) {
            (0, None) => MappingAnswer::Nothing,
            (0, Some(id)) => MappingAnswer::Inactive(id),
            (1, _) => active.pop().map_or(MappingAnswer::Nothing, MappingAnswer::Is),
            _ => MappingAnswer::Ambiguous(active),
        })
    }

    /// All mappings of a brand.
    pub fn mappings(&self, brand: &Brand) -> Result<Vec<MappingRow>> {
        let sql =
            "SELECT connection, tbl, key, value, set_by, set_at FROM mappings WHERE brand = ?1 ORDER BY connection, tbl, key";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_and_then([brand.as_str()], mapping_row)?;
        rows.collect()
    }

    /// The tables that have entries, by connection and name.
    pub fn mapped_tables(&self, brand: &Brand) -> Result<Vec<MappedTable>> {
        // Beside one max(), the other columns are those of the row that has it.
        let sql = "SELECT connection, tbl, count(*) - sum(key = '*'), set_by, max(set_at) FROM mappings WHERE brand = ?1
                   GROUP BY connection, tbl ORDER BY connection, tbl";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_and_then([brand.as_str()], |row| {
            let (connection, table): (String, String) = (row.get(0)?, row.get(1)?);
            let default = self.mapped(brand.as_str(), &connection, &table, DEFAULT_KEY)?;
            Ok(MappedTable { connection, table, entries: count(row.get(2)?), default, by: row.get(3)?, at: moment(row.get(4)?)? })
        })?;
        rows.collect()
    }

    /// The first entries of one table by key, its default left out.
    pub fn mappings_of(
        &self,
        brand: &Brand,
        connection: &ConnectionName,
        table: &str,
        limit_rows: usize,
    ) -> Result<Vec<MappingRow>> {
        let sql = "SELECT connection, tbl, key, value, set_by, set_at FROM mappings
                   WHERE brand = ?1 AND connection = ?2 AND tbl = ?3 AND key <> '*' ORDER BY key LIMIT ?4";
        let mut statement = self.connection.prepare_cached(sql)?;
        let of = params![brand.as_str(), connection.as_str(), table, limit(limit_rows)];
        let rows = statement.query_and_then(of, mapping_row)?;
        rows.collect()
    }

    /// Entries that a filter takes by connection, table and key, so many left out at the beginning, at most so many; and how many it
    /// takes in all.
    pub fn mappings_page(
        &self,
        brand: &Brand,
        filter: &MappingFilter,
        skip: usize,
        limit_rows: usize,
    ) -> Result<(Vec<MappingRow>, usize)> {
        let sql = "SELECT connection, tbl, key, value, set_by, set_at FROM mappings
                   WHERE brand = ?1 AND (?2 = '' OR connection = ?2) AND (?3 = '' OR tbl = ?3) AND (connection, tbl, key) > (?4, ?5, ?6)
                   ORDER BY connection, tbl, key";
        let text = filter.text.trim().to_lowercase();
        let (connection, table, key) = filter.after.clone().unwrap_or_default();
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![brand.as_str(), filter.connection, filter.table, connection, table, key])?;
        let (mut page, mut taken) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let has = |column| -> Result<bool> {
                Ok(row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?.to_lowercase().contains(&text))
            };
            if text.is_empty() || has(2)? || has(3)? {
                if taken >= skip && page.len() < limit_rows {
                    page.push(mapping_row(row)?);
                }
                taken += 1;
            }
        }
        Ok((page, taken))
    }

    /// The mappings in force, with these entries set.
    pub fn mappings_with(&self, brand: &Brand, entries: impl IntoIterator<Item = MapEntry>) -> Result<MappingSet> {
        let in_force = self.mappings(brand)?.into_iter().map(|row| ((row.connection, row.table, row.key), row.value));
        let mut set = MappingSet(in_force.collect());
        set.0.extend(entries.into_iter().map(|entry| ((entry.connection.0, entry.table, entry.key), entry.value)));
        Ok(set)
    }

    /// The changes, newest first.
    pub fn mapping_history(&self, brand: &Brand, limit_rows: usize) -> Result<Vec<MappingChange>> {
        self.mapping_changes(brand, [""; 3], None, limit_rows)
    }

    /// The changes of a connection, a table and a key, newest first, where an empty text stands for any; those before one of them.
    pub fn mapping_changes(
        &self,
        brand: &Brand,
        [connection, table, key]: [&str; 3],
        before: Option<i64>,
        limit_rows: usize,
    ) -> Result<Vec<MappingChange>> {
        let sql = "SELECT id, connection, tbl, key, before, after, set_by, set_at FROM mapping_changes
                   WHERE brand = ?1 AND id < ?2 AND (?3 = '' OR connection = ?3) AND (?4 = '' OR tbl = ?4) AND (?5 = '' OR key = ?5)
                   ORDER BY id DESC LIMIT ?6";
        let mut statement = self.connection.prepare_cached(sql)?;
        let values = params![brand.as_str(), before.unwrap_or(i64::MAX), connection, table, key, limit(limit_rows)];
        let rows = statement.query_and_then(values, |row| {
            let (table, key): (String, String) = (row.get(2)?, row.get(3)?);
            Ok(MappingChange {
                id: row.get(0)?,
                connection: row.get(1)?,
                entry: format!("{table} {key}"),
                table,
                key,
                before: row.get(4)?,
                after: row.get(5)?,
                by: row.get(6)?,
                at: moment(row.get(7)?)?,
            })
        })?;
        rows.collect()
    }

    /// When a list was last read whole.
    pub fn list_read_at(&self, connection: &ConnectionName, table: &str) -> Result<Option<Timestamp>> {
        let sql = "SELECT read_at FROM lists WHERE connection = ?1 AND tbl = ?2";
        let read_at =
            self.connection.prepare_cached(sql)?.query_row([connection.as_str(), table], |row| row.get(0)).optional()?;
        moment_maybe(read_at)
    }

    /// Whether an entry of a list may be used, by its id; `None` when the list does not have it.
    pub fn list_has(&self, connection: &ConnectionName, table: &str, id: &str) -> Result<Option<bool>> {
        let sql = "SELECT active FROM list_entries WHERE connection = ?1 AND tbl = ?2 AND id = ?3";
        Ok(self.connection.prepare_cached(sql)?.query_row([connection.as_str(), table, id], |row| row.get(0)).optional()?)
    }

    /// The entries of a list that may be used, as (id, name); at most so many.
    pub fn list_names(&self, connection: &ConnectionName, table: &str, limit_rows: usize) -> Result<Vec<(String, String)>> {
        let sql = "SELECT id, name FROM list_entries WHERE connection = ?1 AND tbl = ?2 AND active = 1 ORDER BY id LIMIT ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows =
            statement.query_map(params![connection.as_str(), table, limit(limit_rows)], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// How many entries a list holds.
    pub fn list_count(&self, connection: &ConnectionName, table: &str) -> Result<u64> {
        let sql = "SELECT count(*) FROM list_entries WHERE connection = ?1 AND tbl = ?2";
        Ok(self.connection.prepare_cached(sql)?.query_row([connection.as_str(), table], |row| row.get(0).map(count))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{at, brand, connection, memory};

    fn entry(id: &str, name: &str, active: bool) -> (String, String, bool) {
        (id.to_owned(), name.to_owned(), active)
    }

    #[tokio::test]
    async fn own_entry_then_same_name_then_default() {
        let store = memory().await;
        store
            .write(|tx| {
                let erp = connection("erp");
                let list = [
                    entry("10", "15056BL", true),
                    entry("11", "15056bl", true),
                    entry("12", "DOUBLE", true),
                    entry("13", "DOUBLE", true),
                    entry("14", "DOUBLE", false),
                    entry("15", "OLD", false),
                    entry("16", "RENEWED", false),
                    entry("17", "RENEWED", true),
                ];
                tx.list_entries(&erp, "item", &list, 1)?;
                tx.list_complete(&erp, "item", 1, at(5))?;
                let ask = |sku: &str| {
                    tx.answer(&brand(), &erp, &Lookup::new("item", &[("sku", sku)], "lines[0].sku").same_name()).unwrap()
                };
                let is = |id: &str| MappingAnswer::Is(id.to_owned());
                assert_eq!(ask("15056BL"), is("10"));
                assert_eq!(ask("15056bl"), is("11"));
                assert_eq!(ask("15056Bl"), MappingAnswer::Nothing);
                assert_eq!(ask("DOUBLE"), MappingAnswer::Ambiguous(vec!["12".into(), "13".into()]));
                assert_eq!(ask("OLD"), MappingAnswer::Inactive("15".into()));
                assert_eq!(ask("RENEWED"), is("17"));

                tx.map(&brand(), &erp, "item", "*", Some("99"), "anna", at(6))?;
                assert_eq!(ask("unknown"), is("99"));
                let by =
                    |sku: &str| tx.answer_by(&brand(), &erp, &Lookup::new("item", &[("sku", sku)], "").same_name()).unwrap().1;
                assert_eq!((by("unknown").as_deref(), by("15056BL")), (Some("*"), None));
                assert_eq!(tx.list_has(&erp, "item", "10")?, Some(true));
                assert_eq!((tx.list_has(&erp, "item", "15")?, tx.list_has(&erp, "item", "98")?), (Some(false), None));
                assert_eq!(tx.list_names(&erp, "item", 2)?, [("10".into(), "15056BL".into()), ("11".into(), "15056bl".into())]);
                assert_eq!(tx.list_names(&erp, "item", 99)?.len(), 5, "what may not be used is no suggestion");
                // A doubtful name is asked about, not papered over by the default.
                assert_eq!(ask("OLD"), MappingAnswer::Inactive("15".into()));
                tx.map(&brand(), &erp, "item", "sku=DOUBLE", Some("13"), "anna", at(7))?;
                assert_eq!(ask("DOUBLE"), is("13"));
                // Another brand has its own mappings; a lookup by mapping only never sees the list.
                assert_eq!(tx.answer(&"other".into(), &erp, &Lookup::new("item", &[("sku", "x")], ""))?, MappingAnswer::Nothing);
                assert_eq!(tx.answer(&brand(), &erp, &Lookup::new("item", &[("sku", "15056BL")], ""))?, is("99"));
                Ok(())
            })
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_pass_replaces_the_list_when_it_is_complete() {
        let store = memory().await;
        store
            .write(|tx| {
                let erp = connection("erp");
                assert_eq!(tx.list_read_at(&erp, "item")?, None);
                tx.list_entries(&erp, "item", &[entry("1", "a", true), entry("2", "b", true)], 1)?;
                tx.list_complete(&erp, "item", 1, at(1))?;
                tx.list_entries(&erp, "currency", &[entry("1", "EUR", true)], 1)?;
                // The next pass is under way: nothing is gone yet.
                tx.list_entries(&erp, "item", &[entry("2", "renamed", false)], 2)?;
                assert_eq!((tx.list_count(&erp, "item")?, tx.list_read_at(&erp, "item")?), (2, Some(at(1))));
                tx.list_complete(&erp, "item", 2, at(9))?;
                assert_eq!((tx.list_count(&erp, "item")?, tx.list_read_at(&erp, "item")?), (1, Some(at(9))));
                assert_eq!(tx.list_count(&erp, "currency")?, 1);
                Ok(())
            })
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn entries_are_counted_and_found_in_pages() {
        let store = memory().await;
        store
            .write(|tx| {
                let (erp, wms) = (connection("erp"), connection("wms"));
                for (to, table, key, value, by, when) in [
                    (&erp, "carrier", "*", "9", "anna", 1),
                    (&erp, "item", "sku=Ärmel", "1", "bo", 7),
                    (&erp, "item", "sku=b", "2", "anna", 3),
                    (&erp, "item", "*", "3", "anna", 4),
                    (&wms, "item", "sku=b", "ÄB", "anna", 5),
                ] {
                    tx.map(&brand(), to, table, key, Some(value), by, at(when))?;
                }
                let table = |connection: &str, table: &str, entries, default: Option<&str>, by: &str, when| MappedTable {
                    connection: connection.to_owned(),
                    table: table.to_owned(),
                    entries,
                    default: default.map(str::to_owned),
                    by: by.to_owned(),
                    at: at(when),
                };
                assert_eq!(
                    tx.mapped_tables(&brand())?,
                    [
                        table("erp", "carrier", 0, Some("9"), "anna", 1),
                        table("erp", "item", 2, Some("3"), "bo", 7),
                        table("wms", "item", 1, None, "anna", 5)
                    ]
                );
                assert_eq!(tx.mapped_tables(&"other".into())?, []);
                let keys = |rows: Vec<MappingRow>| rows.into_iter().map(|row| row.key).collect::<Vec<_>>();
                assert_eq!(keys(tx.mappings_of(&brand(), &erp, "item", 9)?), ["sku=b", "sku=Ärmel"]);
                assert_eq!(keys(tx.mappings_of(&brand(), &erp, "item", 1)?), ["sku=b"]);
                assert_eq!(keys(tx.mappings_of(&brand(), &erp, "carrier", 9)?), [""; 0], "a default is no entry of its own");

                let page = |filter: MappingFilter, skip, limit| {
                    let (rows, taken) = tx.mappings_page(&brand(), &filter, skip, limit).unwrap();
                    let rows: Vec<String> =
                        rows.into_iter().map(|row| format!("{} {} {}", row.connection, row.table, row.key)).collect();
                    (rows.join(", "), taken)
                };
                let all = MappingFilter::default;
                assert_eq!(tx.mappings_page(&brand(), &all(), 0, 9)?.0, tx.mappings(&brand())?);
                assert_eq!(page(all(), 1, 2), ("erp item *, erp item sku=b".to_owned(), 5));
                assert_eq!(page(all(), 7, 2), (String::new(), 5));
                assert_eq!(page(MappingFilter { connection: "wms".to_owned(), ..all() }, 0, 9), ("wms item sku=b".to_owned(), 1));
                assert_eq!(page(MappingFilter { table: "carrier".to_owned(), ..all() }, 0, 9), ("erp carrier *".to_owned(), 1));
                let text = MappingFilter { text: " ä ".to_owned(), ..all() };
                assert_eq!(page(text, 0, 9), ("erp item sku=Ärmel, wms item sku=b".to_owned(), 2), "in ours, in theirs");
                let after = Some(("erp".to_owned(), "item".to_owned(), "sku=b".to_owned()));
                assert_eq!(page(MappingFilter { after, ..all() }, 0, 1), ("erp item sku=Ärmel".to_owned(), 2));
                Ok(())
            })
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn each_change_is_kept() {
        let store = memory().await;
        store
            .write(|tx| {
                let erp = connection("erp");
                let set = |value, when| tx.map(&brand(), &erp, "location", "market=2", value, "anna", at(when)).unwrap();
                set(Some("7"), 1);
                set(Some("7"), 2);
                set(Some("8"), 3);
                set(None, 4);
                set(None, 5);
                let history = tx.mapping_history(&brand(), 10)?;
                let changes: Vec<_> = history.iter().map(|c| (c.before.as_deref(), c.after.as_deref(), c.at)).collect();
                assert_eq!(changes, [(Some("8"), None, at(4)), (Some("7"), Some("8"), at(3)), (None, Some("7"), at(1))]);
                assert_eq!(history[0].entry, "location market=2");
                let of = |what: [&str; 3], before| tx.mapping_changes(&brand(), what, before, 10).unwrap().len();
                assert_eq!(
                    (of(["erp", "", ""], None), of(["", "item", ""], None), of(["", "location", "market=2"], None)),
                    (3, 0, 3)
                );
                assert_eq!(of([""; 3], Some(history[1].id)), 1, "those before one of them");
                assert_eq!(tx.mappings(&brand())?, []);
                set(Some("9"), 6);
                assert_eq!(tx.mappings(&brand())?[0].value, "9");
                Ok(())
            })
            .await
            .unwrap();
    }
}
