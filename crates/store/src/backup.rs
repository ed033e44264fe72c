//! A copy of the store while it is in use, and whether a copy is whole.

use std::{collections::BTreeMap, path::Path};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};
use selvedge_model::Brand;
use serde::{Deserialize, Serialize};

use crate::{Result, Store, StoreError, View, keep_private, packing::count, prepare};

/// How many faults of a damaged file are named.
const FAULTS_MAX: usize = 20;

/// Running counts that do not agree with the rows that they count.
const MISCOUNTED: &str = "
SELECT brand || ': records of ' || connection || ', ' || kind, sum(counted), sum(there) FROM (
    SELECT brand, connection, kind, number AS counted, 0 AS there FROM record_counts
    UNION ALL SELECT brand, connection, kind, 0, count(*) FROM records GROUP BY 1, 2, 3)
GROUP BY brand, connection, kind HAVING sum(counted) <> sum(there)
UNION ALL
SELECT brand || ': obligations of ' || flow || ', ' || state, sum(counted), sum(there) FROM (
    SELECT brand, flow, state, number AS counted, 0 AS there FROM settled_counts
    UNION ALL SELECT brand, flow, state, 0, count(*) FROM obligations WHERE settled_at IS NOT NULL GROUP BY 1, 2, 3)
GROUP BY brand, flow, state HAVING sum(counted) <> sum(there)";

/// Both kinds of running counts, made anew from the rows.
const COUNTED_ANEW: &str = "
BEGIN IMMEDIATE;
DELETE FROM record_counts;
INSERT INTO record_counts (brand, connection, kind, number) SELECT brand, connection, kind, count(*) FROM records GROUP BY 1, 2, 3;
DELETE FROM settled_counts;
INSERT INTO settled_counts (brand, flow, state, number)
SELECT brand, flow, state, count(*) FROM obligations WHERE settled_at IS NOT NULL GROUP BY 1, 2, 3;
COMMIT";

/// What was found in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    /// The schema.
    pub schema: u32,
    /// What the database says is wrong with its pages and its references; empty when it is whole.
    pub faults: Vec<String>,
    /// Running counts that do not agree with the rows that they count. Nothing is lost by it: a restore counts anew.
    #[serde(default)]
    pub miscounted: Vec<String>,
    /// The audit trail of each brand.
    pub trails: BTreeMap<String, Trail>,
    /// How many rows there are of what must not be lost.
    pub rows: BTreeMap<String, u64>,
}

/// One brand's audit trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trail {
    /// How many acts it has.
    pub acts: i64,
    /// When the last was.
    pub last_at: Option<Timestamp>,
    /// The hash of the last one; empty when there is none.
    pub last_hash: String,
    /// The first act that does not fit.
    pub broken_at: Option<i64>,
}

impl Inspection {
    /// Whether nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.faults.is_empty() && self.trails.values().all(|trail| trail.broken_at.is_none())
    }
}

impl Store {
    /// Copies the store as it is at one instant into a new file that only its owner may read, while everybody goes on working.
    ///
    /// # Errors
    /// The database's: the file is there already and not empty, its folder is not, the disk is full.
    pub async fn back_up(&self, to: &Path) -> Result<()> {
        let (from, to) = (self.inner._place.path.clone(), to.to_owned());
        let copy = move || {
            let connection =
                Connection::open_with_flags(&from, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
            prepare(&connection)?;
            keep_private(&to);
            let name = to.to_str().ok_or_else(|| StoreError::Url(to.display().to_string()))?;
            // What is there already and is not empty is refused, and left as it is.
            let empty = std::fs::metadata(&to).is_ok_and(|about| about.len() == 0);
            let made = connection.execute("VACUUM INTO ?1", [name]);
            if made.is_err() && empty {
                // Half a copy would stand in the way of the next one.
                let _ = std::fs::remove_file(&to);
            }
            made?;
            Ok(())
        };
        tokio::task::spawn_blocking(copy).await.map_err(|_| StoreError::Closed)?
    }
}

/// Reads a file through and through: every page, every reference, every running count, every audit trail. It is not changed.
///
/// # Errors
/// The database's, when it cannot be read at all; [`StoreError::Newer`].
pub async fn inspect(path: &Path) -> Result<Inspection> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || look_through(&path)).await.map_err(|_| StoreError::Closed)?
}

/// Counts anew what is known from running counts, in a file of this version's schema.
///
/// # Errors
/// The database's.
pub async fn count_anew(path: &Path) -> Result<()> {
    let path = path.to_owned();
    let count = move || {
        let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        prepare(&connection)?;
        Ok(connection.execute_batch(COUNTED_ANEW)?)
    };
    tokio::task::spawn_blocking(count).await.map_err(|_| StoreError::Closed)?
}

fn look_through(path: &Path) -> Result<Inspection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    prepare(&connection)?;
    let schema = crate::migrate::known_version(&connection, path)?;
    let mut faults: Vec<String> = connection
        .prepare(&format!("PRAGMA integrity_check({FAULTS_MAX})"))?
        .query_map([], |row| row.get::<_, String>(0))?
        .collect::<rusqlite::Result<_>>()?;
    faults.retain(|fault| fault != "ok");
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()?
        && faults.len() < FAULTS_MAX
    {
        let (table, other): (String, String) = (row.get(0)?, row.get(2)?);
        faults.push(format!("a row of {table} refers to one of {other} that is not there"));
    }
    drop(rows);
    let mut miscounted = Vec::new();
    let counts = "SELECT count(*) FROM sqlite_schema WHERE name = 'settled_counts'";
    if faults.is_empty() && connection.query_row(counts, [], |row| row.get::<_, bool>(0))? {
        let said = |row: &rusqlite::Row<'_>| {
            let (what, counted, there): (String, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(format!("{what}: {counted} are counted and {there} are there"))
        };
        miscounted = connection.prepare(MISCOUNTED)?.query_map([], said)?.take(FAULTS_MAX).collect::<rusqlite::Result<_>>()?;
    }
    let view = View { connection: &connection };
    let mut trails = BTreeMap::new();
    let brands: Vec<String> = connection
        .prepare("SELECT DISTINCT brand FROM audit ORDER BY brand")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for name in brands {
        let brand = Brand(name.clone());
        let last = view.audit_rows(&brand, 1)?.pop();
        let trail = Trail {
            acts: last.as_ref().map_or(0, |row| row.number),
            last_at: last.as_ref().map(|row| row.at),
            last_hash: last.map(|row| row.hash).unwrap_or_default(),
            broken_at: view.audit_broken_at(&brand)?,
        };
        trails.insert(name, trail);
    }
    let mut kept = BTreeMap::new();
    for table in ["captures", "records", "obligations", "exceptions", "mappings", "sealed", "audit"] {
        let rows: i64 = connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
        kept.insert(table.to_owned(), count(rows));
    }
    Ok(Inspection { schema, faults, miscounted, trails, rows: kept })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{at, brand, connection};

    #[tokio::test]
    async fn a_copy_made_while_others_write_is_whole_and_a_damaged_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (folder.path().join("a.db"), folder.path().join("copy.db"));
        let store = Store::open(path.to_str().unwrap()).await.unwrap();
        store.write(|tx| tx.audit(&brand(), "anna", "mapping.set", "item sku=1", "98 at erp", at(1))).await.unwrap();
        let writing = tokio::spawn({
            let store = store.clone();
            async move {
                for _ in 0..200 {
                    store.write(|tx| tx.add_calls(&brand(), &connection("shop"), "orders", 1)).await.unwrap();
                }
            }
        });
        store.back_up(&copy).await.unwrap();
        writing.await.unwrap();
        let found = inspect(&copy).await.unwrap();
        assert!(found.is_whole(), "{found:?}");
        assert_eq!((found.trails["brand"].acts, found.rows["audit"]), (1, 1));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
        }
        // What is there is never written over.
        assert!(store.back_up(&copy).await.is_err());
        // It opens as a store, with what was in it.
        let again = Store::open(copy.to_str().unwrap()).await.unwrap();
        assert_eq!(again.read(|view| view.audit_rows(&brand(), 9)).await.unwrap().len(), 1);
        drop(again);

        // An act that somebody altered in the copy is found, and so is a page that does not read.
        let altered = folder.path().join("altered.db");
        store.back_up(&altered).await.unwrap();
        let direct = Connection::open(&altered).unwrap();
        direct.execute_batch("DROP TRIGGER audit_is_not_changed; UPDATE audit SET actor = 'bo'").unwrap();
        drop(direct);
        let found = inspect(&altered).await.unwrap();
        assert_eq!((found.is_whole(), found.trails["brand"].broken_at), (false, Some(1)));
        // Rows that are gone without their counts are told, and counted anew; nothing that is there is lost by it.
        let robbed = folder.path().join("robbed.db");
        store.back_up(&robbed).await.unwrap();
        let direct = Connection::open(&robbed).unwrap();
        direct
            .execute_batch(
                "INSERT INTO settled_counts VALUES ('brand', 'orders', 'confirmed', 2);
                 INSERT INTO record_counts VALUES ('brand', 'shop', 'order', 1)",
            )
            .unwrap();
        drop(direct);
        let found = inspect(&robbed).await.unwrap();
        let told = [
            "brand: records of shop, order: 1 are counted and 0 are there",
            "brand: obligations of orders, confirmed: 2 are counted and 0 are there",
        ];
        assert_eq!((found.is_whole(), found.miscounted.as_slice()), (true, told.map(str::to_owned).as_slice()));
        count_anew(&robbed).await.unwrap();
        assert_eq!(inspect(&robbed).await.unwrap().miscounted, [""; 0]);
        let mut bytes = std::fs::read(&altered).unwrap();
        let middle = bytes.len() / 2;
        bytes.iter_mut().skip(middle).take(8_192).for_each(|byte| *byte ^= 0x5a);
        std::fs::write(&altered, bytes).unwrap();
        assert!(inspect(&altered).await.map_or(true, |found| !found.faults.is_empty()));
        std::fs::write(&altered, "no database").unwrap();
        assert!(inspect(&altered).await.is_err());
        assert!(inspect(&folder.path().join("none.db")).await.is_err());
    }
}
