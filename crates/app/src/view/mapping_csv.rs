//! Mappings as CSV: what is written out, and what a file that comes in would change.

use std::{borrow::Cow, collections::BTreeMap};

use schemars::JsonSchema;
use selvedge_model::{Brand, ConnectionName, people::MapEntry};
use selvedge_store::{Result, Store, mappings::MappingRow};
use serde::Serialize;

use super::{MappingWanted, Target};

/// The columns of an import and an export.
const COLUMNS: [&str; 4] = ["connection", "table", "key", "value"];

/// One entry that an import would set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Change {
    /// What it would be.
    #[serde(flatten)]
    pub entry: MapEntry,
    /// What it is; nothing if it is new.
    pub before: Option<String>,
}

/// What an import would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Foreseen {
    /// What it would set, in the order of the file.
    pub changes: Vec<Change>,
    /// How many rows are as they stand.
    pub same: usize,
}

/// What entries would change.
///
/// # Errors
/// The store's.
pub async fn foresee(store: &Store, brand: &Brand, entries: Vec<MapEntry>) -> Result<Foreseen> {
    let brand = brand.clone();
    let stands = store.read(move |view| view.mappings(&brand)).await?;
    let stands: BTreeMap<(String, String, String), String> =
        stands.into_iter().map(|row| ((row.connection, row.table, row.key), row.value)).collect();
    let mut foreseen = Foreseen::default();
    for entry in entries {
        let before = stands.get(&(entry.connection.0.clone(), entry.table.clone(), entry.key.clone()));
        if before == Some(&entry.value) {
            foreseen.same += 1;
        } else {
            foreseen.changes.push(Change { before: before.cloned(), entry });
        }
    }
    Ok(foreseen)
}

/// The wanted mapping, if it makes sense. A blank at the end of a key is kept: some SKUs end in one.
///
/// # Errors
/// What is wrong, in a sentence.
pub fn checked(wanted: MappingWanted, targets: &[Target]) -> std::result::Result<MappingWanted, String> {
    let key = wanted.key.trim_start().to_owned();
    let checked = wanted.checked(targets)?;
    Ok(MappingWanted { key, ..checked })
}

/// Reads an import whole; every bad row with its line if any is bad.
///
/// # Errors
/// Each bad row's line, and why.
pub fn read_csv(text: &[u8], targets: &[Target]) -> std::result::Result<Vec<MapEntry>, Vec<(u64, String)>> {
    // Spreadsheets put a mark in front, and in half of Europe write semicolons.
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let delimiter = if first.contains(&b';') && !first.contains(&b',') { b';' } else { b',' };
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text);
    let header: Vec<String> = match reader.headers() {
        Ok(header) => header.iter().map(|name| name.trim().to_lowercase()).collect(),
        Err(error) => return Err(vec![(1, format!("the header cannot be read: {error}"))]),
    };
    let places = COLUMNS.map(|column| header.iter().position(|name| name == column));
    let [Some(connection), Some(table), Some(key), Some(value)] = places else {
        return Err(vec![(1, format!("the first line must name the columns {}", COLUMNS.join(",")))]);
    };
    let (mut rows, mut bad, mut seen) = (Vec::new(), Vec::new(), BTreeMap::new());
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                bad.push((error.position().map_or(0, csv::Position::line), "is not UTF-8 text or not CSV".to_owned()));
                continue;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != header.len() {
            bad.push((
                line,
                format!(
                    "has {} where the header has {}; a value with a {} in it stands in quotes",
                    plural(record.len(), "field"),
                    header.len(),
                    if delimiter == b',' { "comma" } else { "semicolon" }
                ),
            ));
            continue;
        }
        let field = |place: usize| bare(record.get(place).unwrap_or_default()).to_owned();
        let wanted = MappingWanted {
            connection: ConnectionName(field(connection)),
            table: field(table),
            key: field(key),
            value: Some(field(value)),
            seen: None,
        };
        match checked(wanted, targets) {
            Err(why) => bad.push((line, why)),
            Ok(MappingWanted { connection, table, key, value, .. }) => {
                let entry = MapEntry { connection, table, key, value: value.unwrap_or_default() };
                if let Some(first) = seen.insert((entry.connection.clone(), entry.table.clone(), entry.key.clone()), line) {
                    bad.push((line, format!("{} {} stands on line {first} already", entry.table, entry.key)));
                }
                rows.push(entry);
            }
        }
    }
    if bad.is_empty() { Ok(rows) } else { Err(bad) }
}

/// All as CSV.
///
/// # Errors
/// None that a text in memory could have.
pub fn write_csv(rows: &[MappingRow]) -> std::result::Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS)?;
    for row in rows {
        writer.write_record([&*row.connection, &row.table, &guarded(&row.key), &guarded(&row.value)])?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

/// Whether a spreadsheet would reckon with a text, or took it for one that was guarded.
fn reckons(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(['=', '+', '-', '@', '\t'])
}

/// A text that no spreadsheet reckons with.
fn guarded(text: &str) -> Cow<'_, str> {
    if reckons(text) { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

/// The same without what [`guarded`] put in front.
fn bare(text: &str) -> &str {
    text.strip_prefix('\'').filter(|rest| reckons(rest)).unwrap_or(text)
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use selvedge_connector::clock::ManualClock;
    use selvedge_flow::actions::Actions;
    use selvedge_model::gate::mapping::key_text;
    use selvedge_store::Store;

    use super::*;

    fn targets() -> Vec<Target> {
        vec![Target::new("erp".into(), "books")]
    }

    #[tokio::test]
    async fn what_is_exported_imports_the_same() {
        let naughty = [
            "plain",
            "a,b",
            "a=b",
            "100%",
            "\"quoted\"",
            "=1+1",
            "-5",
            "@SUM(1)",
            "'=1+1",
            "''+1",
            "'quoted'",
            "ends in a blank ",
            "漢字 🎁",
            "null",
            "';--",
            "\u{202e}",
            "%2C",
            ";",
        ];
        let store = Store::open("sqlite::memory:").await.unwrap();
        let actions = Actions {
            store: store.clone(),
            brand: "b".into(),
            clock: Arc::new(ManualClock::at(jiff::Timestamp::UNIX_EPOCH)),
            actor: "anna".into(),
        };
        for text in naughty {
            let key = key_text(&[("market".to_owned(), "2".to_owned()), ("sku".to_owned(), text.to_owned())]);
            let value = text.trim();
            actions.map(&"erp".into(), "item", &key, Some(value)).await.unwrap();
        }
        let rows = store.read(|view| view.mappings(&"b".into())).await.unwrap();
        assert_eq!(rows.len(), naughty.len());
        let written = write_csv(&rows).unwrap();
        let text = String::from_utf8(written.clone()).unwrap();
        assert!(text.contains("'=1+1") && text.contains(",'-5\n") && !text.contains(",=") && !text.contains(",-"), "{text}");
        let read = read_csv(&written, &targets()).unwrap();
        let as_rows = |one: &MapEntry| (one.connection.0.clone(), one.table.clone(), one.key.clone(), one.value.clone());
        let expected: Vec<_> =
            rows.iter().map(|row| (row.connection.clone(), row.table.clone(), row.key.clone(), row.value.clone())).collect();
        assert_eq!(read.iter().map(as_rows).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn every_bad_row_is_named_with_its_line() {
        let text = "connection,table,key,value\nerp,item,sku=1,98\nwms,item,sku=2,99\nerp,Item,sku=3,1\nerp,item,sku4,1\nerp,item,sku=5,\nerp,item,sku=1,97\nerp,item,a=1,b=2,7\n";
        let bad = read_csv(text.as_bytes(), &targets()).unwrap_err();
        assert_eq!(bad.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [3, 4, 5, 6, 7, 8], "{bad:#?}");
        assert!(bad[4].1.contains("line 2"), "{bad:#?}");
        assert!(bad[5].1.contains("quotes"), "{bad:#?}");
    }

    #[test]
    fn spreadsheets_are_understood() {
        let text = "\u{feff}Table;Key;Value;Connection\r\nitem;\"market=2,method=x\";98;erp\r\n";
        let read = read_csv(text.as_bytes(), &targets()).unwrap();
        assert_eq!((read[0].key.as_str(), read[0].value.as_str()), ("market=2,method=x", "98"));
        for text in ["", "table,key\n", "\u{0}\u{1}"] {
            assert_eq!(read_csv(text.as_bytes(), &targets()).unwrap_err()[0].0, 1, "{text:?}");
        }
        assert!(read_csv(b"connection,table,key,value\nerp,item,sku=\xff,1\n", &targets()).is_err());
        assert!(read_csv("connection,table,key,value\nerp,item,sku=1,caf\u{fffd}\n".as_bytes(), &targets()).is_err());
        let open = b"connection,table,key,value\nerp,item,sku=1,\"98\nerp,item,sku=2,99\nerp,item,sku=3,97\n";
        assert_eq!(read_csv(open, &targets()).unwrap_err()[0].0, 2, "a quote that is not closed takes no rows with it");
        assert!(read_csv(b"connection,table,key,value\n", &targets()).unwrap().is_empty());
    }
}
