//! `selvedge mappings`: what the targets call things.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    path::{Path, PathBuf},
};

use clap::Subcommand;
use futures_util::{StreamExt, TryStreamExt, stream};
use selvedge_model::{ConnectionName, people::MapEntry};
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
    view::{
        self, MappingWanted, Target,
        mapping_csv::{checked, read_csv, write_csv},
    },
};

/// How many changes are listed.
const HISTORY_MAX: usize = 100;
/// The largest import.
const IMPORT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Changes that a second person is asked for at once.
const ASKED_MAX: usize = 5_000;
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
            let rows = view::mappings(&about.store_to_read(&config).await?, &config.brand).await?;
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
            let brand = config.brand.clone();
            let store = about.store_to_read(&config).await?;
            let rows = store.read(move |view| view.mapping_history(&brand, HISTORY_MAX)).await?;
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
            let rows = view::mappings(&about.store_to_read(&config).await?, &config.brand).await?;
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
    let wanted =
        checked(MappingWanted { connection, table: entry.table, key: entry.key, value, seen: None }, &config.mapping_targets())
            .map_err(|why| unclear(why, "See selvedge mappings --help."))?;
    let mapped = wanted.set(&about.actions(config, &store)).await?;
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

async fn import(about: &About, config: &Config, file: &Path) -> Result<(), Failure> {
    let rows = read_rows(file, &config.mapping_targets(), "Nothing was changed.")?;
    let store = about.store(config).await?;
    let before: BTreeMap<(String, String, String), String> = view::mappings(&store, &config.brand)
        .await?
        .into_iter()
        .map(|row| ((row.connection, row.table, row.key), row.value))
        .collect();
    let brand = config.brand.clone();
    let marked = store.read(move |view| view.four_eyes(&brand)).await?.map;
    let all = rows.len();
    let news: Vec<MapEntry> = rows
        .into_iter()
        .filter(|row| before.get(&(row.connection.0.clone(), row.table.clone(), row.key.clone())) != Some(&row.value))
        .collect();
    let set = news.len();
    let actions = about.actions(config, &store);
    if marked && set > 0 {
        if set > ASKED_MAX {
            return Err(failed(
                format!("changes of mappings take a second person here, who is asked for at most {ASKED_MAX} at once"),
                "Nothing was changed.",
                "Import the file in parts.",
            ));
        }
        // It is asked for as a whole, and comes back as what waits.
        actions.import(news).await?;
        return Ok(());
    }
    let bar = about.out.progress(set as u64, "mappings");
    let released: u64 = stream::iter(news)
        .map(|row| {
            let actions = &actions;
            async move { actions.map(&row.connection, &row.table, &row.key, Some(&row.value)).await }
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
    Ok(MappingSet(rows.into_iter().map(|row| ((row.connection.0, row.table, row.key), row.value)).collect()))
}

/// The rows of a file.
fn read_rows(file: &Path, targets: &[Target], effect: &str) -> Result<Vec<MapEntry>, Failure> {
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
