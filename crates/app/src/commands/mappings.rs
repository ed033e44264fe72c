//! `selvedge mappings`: what the targets call things.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    path::{Path, PathBuf},
};

use clap::Subcommand;
use futures_util::{StreamExt, TryStreamExt, stream};
use selvedge_model::ConnectionName;
use selvedge_store::{
    Store,
    mappings::{MappingRow, MappingSet},
};
use serde_json::json;

use super::{
    About,
    out::{Complaint, Done, EXIT_FAILED, Failure, clean, counted, failed, moment, unclear},
};
use crate::{
    config::Config,
    view::{self, MappingWanted, Target},
};

/// The columns of an import and an export.
const COLUMNS: [&str; 4] = ["connection", "table", "key", "value"];
/// The largest import.
const IMPORT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Changes under way at once; they share one commit.
const AT_ONCE: usize = 64;

/// List, set, import and export what the targets call things.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A key is written name=value, several joined by commas; * is the table's default. Inside a value write %25 for %, %2C for a comma, %3D for =.\n\nExamples:\n  selvedge mappings set shipping_item market=2,method=express 1205\n  selvedge mappings set tax_code country=SE,rate=25 22\n  selvedge mappings export mappings.csv\n  selvedge mappings import mappings.csv"
)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Args)]
struct Entry {
    /// The table, as shipping_item.
    table: String,
    /// The key, as market=2,method=express; * is the table's default.
    key: String,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// What is set
    List {
        /// Only this table.
        #[arg(long)]
        table: Option<String>,
        /// Only this connection.
        #[arg(long)]
        connection: Option<String>,
    },
    /// Set one; everything that waited for it goes back to the gate
    Set {
        #[command(flatten)]
        entry: Entry,
        /// The target's id.
        #[arg(allow_negative_numbers = true)]
        id: String,
        /// For which target. [default: the only one]
        #[arg(long)]
        connection: Option<String>,
    },
    /// Take one out
    Unset {
        #[command(flatten)]
        entry: Entry,
        /// For which target. [default: the only one]
        #[arg(long)]
        connection: Option<String>,
    },
    /// Who changed what and when, the newest first
    History,
    /// Set all of a CSV file (connection,table,key,value): nothing is set unless every row is right
    Import {
        /// The file; - is standard input.
        file: PathBuf,
    },
    /// Write all as CSV
    Export {
        /// The file; standard output without it or as -. An existing file is not overwritten.
        file: Option<PathBuf>,
    },
}

/// Runs it.
///
/// # Errors
/// The store's; a mapping that makes no sense.
pub async fn run(about: &About, args: Args) -> Done {
    let config = about.config()?;
    let out = about.out;
    match args.act {
        Act::List { table, connection } => {
            let rows = view::mappings(&about.store_to_read(&config).await?, &config.brand).await?.mappings;
            let wanted = |row: &MappingRow| {
                table.as_ref().is_none_or(|table| *table == row.table)
                    && connection.as_ref().is_none_or(|name| *name == row.connection)
            };
            let rows: Vec<MappingRow> = rows.into_iter().filter(wanted).collect();
            if out.json {
                out.json(&rows)?;
            } else {
                out.table(
                    ["CONNECTION", "TABLE", "KEY", "ID", "SET BY", "WHEN"],
                    rows.into_iter().map(|row| [row.connection, row.table, row.key, row.value, row.by, moment(row.at)]),
                )?;
            }
        }
        Act::History => {
            let rows = view::mappings(&about.store_to_read(&config).await?, &config.brand).await?.history;
            if out.json {
                out.json(&rows)?;
            } else {
                let shown = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
                out.table(
                    ["WHEN", "WHO", "ENTRY", "BEFORE", "AFTER"],
                    rows.into_iter().map(|row| [moment(row.at), row.by, row.entry, shown(row.before), shown(row.after)]),
                )?;
            }
        }
        Act::Set { entry, id, connection } => set(about, &config, entry, connection, Some(id)).await?,
        Act::Unset { entry, connection } => set(about, &config, entry, connection, None).await?,
        Act::Import { file } => import(about, &config, &file).await?,
        Act::Export { file } => {
            let rows = view::mappings(&about.store_to_read(&config).await?, &config.brand).await?.mappings;
            let text = write_csv(&rows)
                .map_err(|error| failed(format!("the mappings cannot be written as CSV: {error}"), "Nothing was written.", ""))?;
            match file.filter(|file| file != Path::new("-")) {
                // As import reads standard input from `-`, so export writes standard output.
                None => std::io::stdout().lock().write_all(&text)?,
                Some(path) => {
                    let written = std::fs::OpenOptions::new()
                        .write(true)
                        .create_new(true)
                        .open(&path)
                        .and_then(|mut file| file.write_all(&text));
                    written.map_err(|error| {
                        failed(
                            format!("{} cannot be written: {error}", path.display()),
                            "Nothing was overwritten.",
                            "Name a file that does not exist, in a folder that does.",
                        )
                    })?;
                    out.say(format!("{} written to {}.", counted(rows.len() as u64, "mapping"), path.display()))?;
                }
            }
        }
    }
    Ok(0)
}

/// Of several connections the one that keeps this table already, where it is only one; else all of them.
async fn keeping(
    store: &Store,
    config: &Config,
    targets: &[ConnectionName],
    table: &str,
) -> Result<Vec<ConnectionName>, Failure> {
    let brand = config.brand.clone();
    let rows = store.read(move |view| view.mappings(&brand)).await?;
    let keeps = |name: &&ConnectionName| rows.iter().any(|row| row.table == table && row.connection == name.as_str());
    let keeping: Vec<ConnectionName> = targets.iter().filter(keeps).cloned().collect();
    Ok(if keeping.len() == 1 { keeping } else { targets.to_vec() })
}

async fn set(
    about: &About,
    config: &Config,
    entry: Entry,
    connection: Option<String>,
    value: Option<String>,
) -> Result<(), Failure> {
    let store = about.store(config).await?;
    let targets = match (&connection, config.targets()) {
        (None, several) if several.len() > 1 => keeping(&store, config, &several, &entry.table).await?,
        (_, all) => all,
    };
    let connection = match (connection, targets.as_slice()) {
        (Some(name), _) => ConnectionName(name),
        (None, [only]) => only.clone(),
        (None, several) => {
            let names = several.iter().map(ConnectionName::as_str).collect::<Vec<_>>().join(", ");
            return Err(unclear(
                "records flow to several connections, so it is not clear which one is meant",
                format!("Add --connection with one of: {names}"),
            ));
        }
    };
    let wanted = checked(MappingWanted { connection, table: entry.table, key: entry.key, value }, &config.mapping_targets())
        .map_err(|why| unclear(why, "See selvedge mappings --help."))?;
    let mapped =
        about.actions(config, &store).map(&wanted.connection, &wanted.table, &wanted.key, wanted.value.as_deref()).await?;
    if about.out.json {
        return about.out.json(&mapped);
    }
    let done = if wanted.value.is_some() { "Set" } else { "Taken out" };
    let waited = match (mapped.released, mapped.following) {
        (0, _) => String::new(),
        (released, 0) => format!(" {} that waited for it went back to the gate.", counted(released, "record")),
        (released, following) => {
            let first = counted(released, "record");
            format!(" {first} that waited for it went back to the gate first; {following} more follow when that is confirmed.")
        }
    };
    about.out.say(format!("{done}: {} {} at {}.{waited}", wanted.table, clean(&wanted.key), wanted.connection))
}

/// The wanted mapping, if it makes sense. A blank at the end of a key is kept: some SKUs end in one.
fn checked(wanted: MappingWanted, targets: &[Target]) -> Result<MappingWanted, String> {
    let key = wanted.key.trim_start().to_owned();
    let checked = wanted.checked(targets)?;
    Ok(MappingWanted { key, ..checked })
}

async fn import(about: &About, config: &Config, file: &Path) -> Result<(), Failure> {
    let rows = read_rows(file, &config.mapping_targets(), "Nothing was changed.")?;
    let store = about.store(config).await?;
    let before: BTreeMap<(String, String, String), String> = view::mappings(&store, &config.brand)
        .await?
        .mappings
        .into_iter()
        .map(|row| ((row.connection, row.table, row.key), row.value))
        .collect();
    let brand = config.brand.clone();
    if store.read(move |view| view.four_eyes(&brand)).await?.map {
        return Err(failed(
            "changes of mappings take a second person here",
            "Nothing was changed.",
            "Set them one by one with selvedge mappings set, which asks for each; or an admin takes the mark off under People for as long as the import takes.",
        ));
    }
    let all = rows.len();
    let news: Vec<MappingWanted> = rows
        .into_iter()
        .filter(|row| before.get(&(row.connection.0.clone(), row.table.clone(), row.key.clone())) != row.value.as_ref())
        .collect();
    let set = news.len();
    let actions = about.actions(config, &store);
    let bar = about.out.progress(set as u64, "mappings");
    let released: u64 = stream::iter(news)
        .map(|row| {
            let actions = &actions;
            async move { actions.map(&row.connection, &row.table, &row.key, row.value.as_deref()).await }
        })
        .buffer_unordered(AT_ONCE)
        .inspect_ok(|_| bar.inc(1))
        .try_fold(0, |sum: u64, mapped| async move { Ok(sum.saturating_add(mapped.released).saturating_add(mapped.following)) })
        .await
        .map_err(|error| {
            failed(
                format!("the store refuses: {error}"),
                "Some of the mappings may be set.",
                "Import the file again: what is set already is left alone.",
            )
        })?;
    bar.finish_and_clear();
    if about.out.json {
        return about.out.json(&json!({ "rows": all, "set": set, "released": released }));
    }
    about.out.say(format!(
        "{} set, {} as before. {} went back to the gate.",
        counted(set as u64, "mapping"),
        all - set,
        counted(released, "record")
    ))
}

/// A set of mappings that is not in force, out of a file as export writes it.
///
/// # Errors
/// It cannot be read; every bad row.
pub(super) fn read_set(file: &Path, targets: &[Target]) -> Result<MappingSet, Failure> {
    let rows = read_rows(file, targets, "Nothing was compared.")?;
    let row = |row: MappingWanted| Some(((row.connection.0, row.table, row.key), row.value?));
    Ok(MappingSet(rows.into_iter().filter_map(row).collect()))
}

/// The rows of a file.
fn read_rows(file: &Path, targets: &[Target], effect: &str) -> Result<Vec<MappingWanted>, Failure> {
    let name = if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() };
    let mut text = Vec::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(IMPORT_BYTES_MAX + 1).read_to_end(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(IMPORT_BYTES_MAX + 1).read_to_end(&mut text))
    };
    let read = read.map_err(|error| {
        failed(format!("{name} cannot be read: {error}"), effect, "Name a CSV file with the columns connection,table,key,value.")
    })?;
    if read as u64 > IMPORT_BYTES_MAX {
        return Err(failed(format!("{name} is larger than 64 MiB"), effect, "Give it in parts."));
    }
    read_csv(&text, targets).map_err(|bad| {
        let lines: Vec<String> = bad.iter().map(|(line, why)| format!("{name}:{line}: {}", clean(why))).collect();
        Failure::Said(Complaint {
            what: format!("{name} has {}\n{}", counted(bad.len() as u64, "bad row"), lines.join("\n")),
            effect: effect.to_owned(),
            next: "Mend them and give the file again.".to_owned(),
            exit: EXIT_FAILED,
        })
    })
}

/// Reads an import whole; every bad row with its line if any is bad.
fn read_csv(text: &[u8], targets: &[Target]) -> Result<Vec<MappingWanted>, Vec<(u64, String)>> {
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
                    counted(record.len() as u64, "field"),
                    header.len(),
                    if delimiter == b',' { "comma" } else { "semicolon" }
                ),
            ));
            continue;
        }
        let field = |place: usize| record.get(place).unwrap_or_default().to_owned();
        let wanted = MappingWanted {
            connection: ConnectionName(field(connection)),
            table: field(table),
            key: field(key),
            value: Some(field(value)),
        };
        match checked(wanted, targets) {
            Err(why) => bad.push((line, why)),
            Ok(row) => {
                if let Some(first) = seen.insert((row.connection.clone(), row.table.clone(), row.key.clone()), line) {
                    bad.push((line, format!("{} {} stands on line {first} already", row.table, row.key)));
                }
                rows.push(row);
            }
        }
    }
    if bad.is_empty() { Ok(rows) } else { Err(bad) }
}

/// All as CSV.
fn write_csv(rows: &[MappingRow]) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS)?;
    for row in rows {
        writer.write_record([&row.connection, &row.table, &row.key, &row.value])?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
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
            "new\nline",
            "cr\r\nlf",
            "=1+1",
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
        let rows = view::mappings(&store, &"b".into()).await.unwrap().mappings;
        assert_eq!(rows.len(), naughty.len());
        let read = read_csv(&write_csv(&rows).unwrap(), &targets()).unwrap();
        let as_rows = |wanted: &MappingWanted| {
            (wanted.connection.0.clone(), wanted.table.clone(), wanted.key.clone(), wanted.value.clone().unwrap())
        };
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
        assert_eq!((read[0].key.as_str(), read[0].value.as_deref()), ("market=2,method=x", Some("98")));
        for text in ["", "table,key\n", "\u{0}\u{1}"] {
            assert_eq!(read_csv(text.as_bytes(), &targets()).unwrap_err()[0].0, 1, "{text:?}");
        }
        assert!(read_csv(b"connection,table,key,value\nerp,item,sku=\xff,1\n", &targets()).is_err());
        assert!(read_csv(b"connection,table,key,value\n", &targets()).unwrap().is_empty());
    }
}
