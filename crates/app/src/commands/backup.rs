//! `selvedge backup`: a copy of the store that is proven to be whole, and the way back from it.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use jiff::Timestamp;
use selvedge_store::backup::{Inspection, count_anew, inspect};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    About, actor,
    out::{Done, EXIT_FAILED, Failure, counted, failed, moment},
};
use crate::wiring;

/// What the note beside a copy begins with.
const FORMAT: &str = "selvedge backup 1";

/// Copy the store while it is in use, prove that the copy is whole, and put one back.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The key that seals stored secrets is not in a copy: keep it elsewhere, or the secrets are lost.\nA copy holds names and addresses, and those of people who were erased after it was made: let copies expire.\n\nExamples:\n  selvedge backup make /backups/2026-11-30.db\n  selvedge backup verify /backups/2026-11-30.db\n  selvedge backup restore /backups/2026-11-30.db"
)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Copy the store into a new file, with a note beside it of what is in it
    Make {
        /// The file, which must not be there yet.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Read a copy through: every byte against its note, every page, every reference, every audit trail; needs no config
    Verify {
        /// The copy.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Verify a copy and put it where the config says that the store is
    Restore {
        /// The copy.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// If there is a store already, move it aside first; it is not deleted.
        #[arg(long)]
        replace: bool,
    },
}

/// What stands beside a copy, in a file of the same name with `.json` behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    format: String,
    made_at: Timestamp,
    version: String,
    bytes: u64,
    blake3: String,
    found: Inspection,
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Runs it.
///
/// # Errors
/// A file that cannot be read or written; a copy that is not whole; a store that is in use.
pub async fn run(about: &About, args: Args) -> Done {
    match args.act {
        Act::Make { file } => make(about, &file).await,
        Act::Verify { file } => verify(about, &file).await,
        Act::Restore { file, replace } => restore(about, &file, replace).await,
    }
}

async fn make(about: &About, file: &Path) -> Done {
    let config = about.config()?;
    let store = about.store_to_read(&config).await?;
    let note_file = beside(file, ".json");
    if file.exists() || note_file.exists() {
        return Err(failed(
            format!("{} is there already", file.display()),
            "No copy was made, nothing was overwritten.",
            "Name a file that does not exist, in a folder that does.",
        ));
    }
    store.back_up(file).await.map_err(|error| {
        failed(
            format!("the copy {} could not be made: {error}", file.display()),
            "The store itself is as it was.",
            "See whether the folder exists, may be written to and has room for a second store.",
        )
    })?;
    // A copy is one only when it was read back.
    let found = look(file).await?;
    let (bytes, blake3) = digest(file).map_err(|error| unreadable(file, &error))?;
    let note = Note {
        format: FORMAT.to_owned(),
        made_at: about.clock.now(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        bytes,
        blake3,
        found,
    };
    let text = format!("{}\n", serde_json::to_string_pretty(&note)?);
    crate::config::secrets::write_private(&note_file, &text).map_err(|error| unreadable(&note_file, &error))?;
    let (brand, at, name) = (config.brand.clone(), about.clock.now(), file.display().to_string());
    let kept = note.blake3.clone();
    store
        .write(move |tx| tx.audit(&brand, &actor(), "store.backup", &name, &format!("{bytes} bytes, BLAKE3 {kept}"), at))
        .await?;
    say(about, file, &note.found, Some(&note))
}

async fn verify(about: &About, file: &Path) -> Done {
    let (found, note) = checked(file).await?;
    say(about, file, &found, note.as_ref())
}

async fn restore(about: &About, file: &Path, replace: bool) -> Done {
    let config = about.config()?;
    let (found, note) = checked(file).await?;
    if !found.is_whole() {
        return say(about, file, &found, note.as_ref());
    }
    let Some(place) = wiring::file_of(&config.store_url).map(Path::to_path_buf) else {
        return Err(failed(
            format!("{} is kept nowhere, so nothing can be put there", config.store_url),
            "Nothing was restored.",
            "Name a file in [store] url.",
        ));
    };
    let _lock = wiring::lock(&config.store_url, std::time::Duration::ZERO).await.map_err(|error| {
        failed(error.to_string(), "Nothing was restored: the store is in use.", "Stop selvedge first, then restore again.")
    })?;
    if place.exists() && !replace {
        return Err(failed(
            format!("there is a store at {} already", place.display()),
            "Nothing was restored, nothing was overwritten.",
            "Add --replace: the store that is there is moved aside, not deleted.",
        ));
    }
    // The copy lies beside the place, whole and proven, before what stands there is touched.
    let fresh = beside(&place, ".restoring");
    let _ = std::fs::remove_file(&fresh);
    copy_private(file, &fresh).map_err(|error| unreadable(&fresh, &error))?;
    let (_, blake3) = digest(&fresh).map_err(|error| unreadable(&fresh, &error))?;
    let (_, wanted) = digest(file).map_err(|error| unreadable(file, &error))?;
    if blake3 != wanted {
        let _ = std::fs::remove_file(&fresh);
        return Err(failed(
            format!("{} does not hold what was copied into it", fresh.display()),
            format!("{} was not touched.", place.display()),
            "See whether the disk is full or failing, then restore again.",
        ));
    }
    // A log of the old store that lies on beside the new one would be played onto it: it goes aside with its store, or alone.
    let name = beside(&place, &format!(".before-{}", about.clock.now().strftime("%Y%m%dT%H%M%SZ")));
    let moved = move_store(&place, &name).map_err(|error| unreadable(&place, &error))?;
    if let Err(error) = std::fs::rename(&fresh, &place) {
        let back = move_store(&name, &place);
        return Err(failed(
            format!("the copy could not be put at {}: {error}", place.display()),
            match back {
                Ok(_) => "What was there stands there again.".to_owned(),
                Err(_) => format!("What was there lies at {}.", name.display()),
            },
            "See who may write to the folder, then restore again.",
        ));
    }
    let aside = moved.then_some(name);
    // Opened once: an older schema is brought up to this version's here, and not at an hour when nobody looks.
    let store = about.store(&config).await?;
    count_anew(&place).await?;
    let (brand, at, name) = (config.brand.clone(), about.clock.now(), file.display().to_string());
    store.write(move |tx| tx.audit(&brand, &actor(), "store.restore", &name, &format!("BLAKE3 {blake3}"), at)).await?;
    store.fold().await?;
    if about.out.json {
        about.out.json(&json!({ "restored": place, "aside": aside, "found": found }))?;
    } else {
        tell(about, &found)?;
        if let Some(aside) = aside {
            about.out.say(format!("What was there before is now {}.", aside.display()))?;
        }
        about.out.say(format!(
            "Restored to {}. Start selvedge, then run selvedge reconcile now: what was moved since the copy was made is found by key and confirmed, not sent twice.\nPeople who were erased since then are in it again: erase them once more. Passwords, roles, sessions and tokens are those of then: revoke again what was revoked since (selvedge people list).",
            place.display()
        ))?;
    }
    Ok(0)
}

/// What is in a copy; its note, where there is one, was held against it.
async fn checked(file: &Path) -> Result<(Inspection, Option<Note>), Failure> {
    let note_file = beside(file, ".json");
    let note = match std::fs::read_to_string(&note_file) {
        Ok(text) => {
            let note: Note = serde_json::from_str(&text).map_err(|error| unreadable(&note_file, &error))?;
            if note.format != FORMAT {
                return Err(failed(
                    format!("{} is of another form: {}", note_file.display(), super::out::clean(&note.format)),
                    "The copy was not looked at.",
                    "Use the version of selvedge that made it.",
                ));
            }
            Some(note)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(unreadable(&note_file, &error)),
    };
    if let Some(note) = &note {
        let (bytes, blake3) = digest(file).map_err(|error| unreadable(file, &error))?;
        if (bytes, &blake3) != (note.bytes, &note.blake3) {
            return Err(failed(
                format!(
                    "{} is not the file that its note was written for: {bytes} bytes with BLAKE3 {blake3}, noted were {} with {}",
                    file.display(),
                    note.bytes,
                    note.blake3
                ),
                "It was altered or cut off after it was made; nothing was restored from it.",
                "Take an older copy.",
            ));
        }
    }
    Ok((look(file).await?, note))
}

async fn look(file: &Path) -> Result<Inspection, Failure> {
    inspect(file).await.map_err(|error| {
        failed(
            format!("{} does not read as a store: {error}", file.display()),
            "Nothing was restored from it.",
            "Name a file that selvedge backup make has made, or take an older copy.",
        )
    })
}

fn unreadable(file: &Path, error: &dyn std::fmt::Display) -> Failure {
    failed(
        format!("{}: {error}", file.display()),
        "It was not finished.",
        "See whether it exists, who may read and write it, and whether the disk is full.",
    )
}

/// Bytes and BLAKE3 of a file.
fn digest(file: &Path) -> std::io::Result<(u64, String)> {
    let mut hasher = blake3::Hasher::new();
    let bytes = std::io::copy(&mut std::fs::File::open(file)?, &mut hasher)?;
    Ok((bytes, hasher.finalize().to_hex().to_string()))
}

/// The store's file, and its log if it was not folded; whether there was any of them.
fn move_store(from: &Path, to: &Path) -> std::io::Result<bool> {
    let mut moved = false;
    for ending in ["", "-wal", "-shm"] {
        match std::fs::rename(beside(from, ending), beside(to, ending)) {
            Ok(()) => moved = true,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(moved)
}

fn copy_private(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(to)?;
    std::io::copy(&mut std::fs::File::open(from)?, &mut file)?;
    file.sync_all()
}

fn say(about: &About, file: &Path, found: &Inspection, note: Option<&Note>) -> Done {
    let exit = if found.is_whole() { 0 } else { EXIT_FAILED };
    if about.out.json {
        about.out.json(&json!({ "file": file, "whole": found.is_whole(), "note": note, "found": found }))?;
        return Ok(exit);
    }
    match note {
        Some(note) => about.out.say(format!(
            "{}, made {}: {} bytes, BLAKE3 {}",
            file.display(),
            moment(note.made_at),
            note.bytes,
            note.blake3
        ))?,
        None => about
            .out
            .say(format!("{}: there is no note beside it, so only what is inside was held against itself.", file.display()))?,
    }
    tell(about, found)?;
    Ok(exit)
}

fn tell(about: &About, found: &Inspection) -> Result<(), Failure> {
    for fault in &found.faults {
        about.out.line(format!("damaged: {}", super::out::clean(fault)))?;
    }
    for count in &found.miscounted {
        about.out.line(format!("counted wrong: {}; nothing is lost, and a restore counts anew.", super::out::clean(count)))?;
    }
    for (brand, trail) in &found.trails {
        let brand = super::out::clean(brand);
        about.out.line(match trail.broken_at {
            Some(number) => {
                format!("{brand}: the audit trail breaks at act {number}: it or the one before was changed or taken out.")
            }
            None => format!(
                "{brand}: an audit trail of {}, whole; last hash {}",
                counted(u64::try_from(trail.acts).unwrap_or(0), "act"),
                trail.last_hash
            ),
        })?;
    }
    let rows = found.rows.iter().map(|(table, rows)| format!("{rows} {table}")).collect::<Vec<_>>().join(", ");
    about.out.say(rows)?;
    if found.is_whole() { about.out.say("Every page and every reference is whole.") } else { Ok(()) }
}
