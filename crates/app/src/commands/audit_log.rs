//! `selvedge audit-log`: what people did, in a hash chain.

use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use clap::Subcommand;
use selvedge_model::Brand;
use selvedge_store::audit::{AuditRow, Chain};
use serde_json::json;

use super::{
    About,
    out::{Done, EXIT_FAILED, clean, failed, moment},
};

/// List what people did, and verify that the list is whole.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// The newest acts first
    List {
        /// How many at most.
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Write all acts into a file, one a line, to be kept elsewhere and verified there
    Export {
        /// The file, which must not be there yet.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Compute the chain again; exits with 1 if an act was changed or taken out
    Verify {
        /// A file that export wrote: then neither config nor store is looked at. Without it, the store's acts.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        /// What was kept elsewhere of an act, as NUMBER:HASH: shows whether acts were cut off at the end, or all written anew.
        #[arg(long, value_name = "NUMBER:HASH", value_parser = anchor)]
        anchor: Vec<(i64, String)>,
    },
}

fn anchor(text: &str) -> Result<(i64, String), String> {
    let wrong = || format!("{text:?} is no anchor; write it like 812:3f5a…, the number of an act and its whole hash");
    let (number, hash) = text.split_once(':').ok_or_else(wrong)?;
    let hash = hash.trim().to_ascii_lowercase();
    let number = number.trim().parse().map_err(|_| wrong())?;
    if hash.len() == 64 && hash.chars().all(|c| c.is_ascii_hexdigit()) { Ok((number, hash)) } else { Err(wrong()) }
}

/// Acts read at once.
const PAGE: usize = 1_000;
/// The longest line of a file of acts: four texts of 2,000 characters, each up to six bytes when written as JSON.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// The first line of a file of acts: whose they are.
#[derive(serde::Serialize, serde::Deserialize)]
struct Head {
    format: String,
    brand: Brand,
}

const FORMAT: &str = "selvedge audit log 1";

/// What became of a chain that was computed again.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
struct Verdict {
    whole: bool,
    broken_at: Option<i64>,
    /// Anchors that are not in the chain as they were kept.
    lost: Vec<i64>,
    acts: i64,
    last_hash: String,
}

/// The chain as it is computed, with what is looked for in it.
struct Verifier {
    chain: Chain,
    anchors: Vec<(i64, String)>,
    last: String,
    broken_at: Option<i64>,
}

impl Verifier {
    fn new(brand: &Brand, anchors: Vec<(i64, String)>) -> Self {
        Self { chain: Chain::new(brand), anchors, last: String::new(), broken_at: None }
    }

    /// Whether it is worth going on.
    fn takes(&mut self, row: &AuditRow) -> bool {
        if !self.chain.takes(row) {
            self.broken_at = Some(self.chain.next);
            return false;
        }
        self.anchors.retain(|(number, hash)| !(*number == row.number && *hash == row.hash));
        self.last.clone_from(&row.hash);
        true
    }

    fn verdict(self) -> Verdict {
        let lost: Vec<i64> = self.anchors.into_iter().map(|(number, _)| number).collect();
        Verdict {
            whole: self.broken_at.is_none() && lost.is_empty(),
            broken_at: self.broken_at,
            lost,
            acts: self.chain.next - 1,
            last_hash: self.last,
        }
    }
}

/// Runs it.
///
/// # Errors
/// The store's; a file that does not read.
pub async fn run(about: &About, args: Args) -> Done {
    match args.act {
        Act::List { limit } => list(about, limit).await,
        Act::Export { file } => export(about, &file).await,
        Act::Verify { file: Some(file), anchor } => {
            let verdict = verify_file(&file, anchor).map_err(|why| {
                failed(
                    format!("{}: {why}", file.display()),
                    "Nothing was verified.",
                    "Name a file that selvedge audit-log export has written.",
                )
            })?;
            tell(about, &verdict)
        }
        Act::Verify { file: None, anchor } => {
            let config = about.config()?;
            let store = about.store_to_read(&config).await?;
            let brand = config.brand.clone();
            let verdict = store
                .read(move |view| {
                    let mut verifier = Verifier::new(&brand, anchor);
                    let mut after = 0;
                    loop {
                        let rows = view.audit_after(&brand, after, PAGE)?;
                        let Some(last) = rows.last().map(|row| row.number) else { break };
                        if !rows.iter().all(|row| verifier.takes(row)) {
                            break;
                        }
                        after = last;
                    }
                    Ok(verifier.verdict())
                })
                .await?;
            tell(about, &verdict)
        }
    }
}

async fn list(about: &About, limit: usize) -> Done {
    let config = about.config()?;
    let store = about.store_to_read(&config).await?;
    let (out, brand) = (about.out, config.brand.clone());
    let rows = store.read(move |view| view.audit_rows(&brand, limit)).await?;
    if out.json {
        out.json(&rows)?;
    } else {
        out.table(
            ["NO", "WHEN", "WHO", "DID", "TO", "DETAIL"],
            rows.into_iter().map(|row| [row.number.to_string(), moment(row.at), row.actor, row.action, row.subject, row.detail]),
        )?;
    }
    Ok(0)
}

async fn export(about: &About, file: &Path) -> Done {
    let config = about.config()?;
    let store = about.store_to_read(&config).await?;
    let wrong = |error: std::io::Error| {
        failed(
            format!("{} cannot be written: {error}", file.display()),
            "Nothing was overwritten; what was begun is not whole.",
            "Name a file that does not exist, in a folder that does and has room.",
        )
    };
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut written = BufWriter::new(options.open(file).map_err(wrong)?);
    let head = Head { format: FORMAT.to_owned(), brand: config.brand.clone() };
    writeln!(written, "{}", serde_json::to_string(&head)?).map_err(wrong)?;
    let (mut after, mut last) = (0, String::new());
    loop {
        let brand = config.brand.clone();
        let rows = store.read(move |view| view.audit_after(&brand, after, PAGE)).await?;
        let Some(end) = rows.last() else { break };
        (after, last) = (end.number, end.hash.clone());
        for row in &rows {
            writeln!(written, "{}", serde_json::to_string(row)?).map_err(wrong)?;
        }
    }
    written.into_inner().map_err(std::io::IntoInnerError::into_error).and_then(|file| file.sync_all()).map_err(wrong)?;
    if about.out.json {
        about.out.json(&json!({ "file": file, "acts": after, "last_hash": last }))?;
    } else {
        about.out.say(format!("{after} acts are in {}. Anchor of the last: {after}:{last}", file.display()))?;
    }
    Ok(0)
}

/// What is in a file, without a store.
fn verify_file(path: &Path, anchors: Vec<(i64, String)>) -> Result<Verdict, String> {
    let mut lines = BufReader::new(File::open(path).map_err(|error| error.to_string())?);
    let mut next = |number: u64| -> Result<Option<String>, String> {
        let mut line = String::new();
        let read = (&mut lines).take(LINE_BYTES_MAX).read_line(&mut line).map_err(|error| format!("line {number}: {error}"))?;
        if read as u64 == LINE_BYTES_MAX {
            return Err(format!("line {number} is longer than any act"));
        }
        Ok((read > 0).then_some(line))
    };
    let head: Head = serde_json::from_str(&next(1)?.unwrap_or_default())
        .map_err(|_| "its first line does not say whose acts these are".to_owned())?;
    if head.format != FORMAT {
        return Err(format!("it is of another form: {}", clean(&head.format)));
    }
    let mut verifier = Verifier::new(&head.brand, anchors);
    let mut number = 2;
    while let Some(line) = next(number)? {
        // A line that does not read was changed as much as one that reads otherwise.
        let Ok(row) = serde_json::from_str::<AuditRow>(&line) else {
            verifier.broken_at = Some(verifier.chain.next);
            break;
        };
        if !verifier.takes(&row) {
            break;
        }
        number += 1;
    }
    Ok(verifier.verdict())
}

fn tell(about: &About, verdict: &Verdict) -> Done {
    if about.out.json {
        about.out.json(verdict)?;
    } else {
        match verdict.broken_at {
            None => about.out.line(format!(
                "The chain of {} acts is whole. {}",
                verdict.acts,
                if verdict.acts == 0 { "There is none yet.".to_owned() } else { format!("Keep this anchor elsewhere: {}:{}\nIt shows later (verify --anchor) whether acts were cut off or written anew.", verdict.acts, verdict.last_hash) },
            ))?,
            Some(number) => about.out.line(format!("The chain breaks at act {number}: it or the one before was changed or taken out after it was written."))?,
        }
        for number in &verdict.lost {
            about.out.line(format!(
                "Act {number} is not there as it was kept elsewhere: acts were cut off at the end, or the chain was written anew."
            ))?;
        }
    }
    Ok(if verdict.whole { 0 } else { EXIT_FAILED })
}

#[cfg(test)]
mod tests {
    use selvedge_store::Store;

    use super::*;

    async fn exported(folder: &Path) -> (PathBuf, Vec<AuditRow>) {
        let store = Store::open("sqlite::memory:").await.unwrap();
        let brand = Brand::from("a");
        let rows = store
            .write(move |tx| {
                for n in 1..=5 {
                    let at = jiff::Timestamp::from_microsecond(1_700_000_000_123_456 + n).unwrap();
                    tx.audit(&brand, "anna \"<b>\"", "mapping.set", &format!("item sku={n}"), "98 at erp\n", at)?;
                }
                tx.audit_after(&brand, 0, 10)
            })
            .await
            .unwrap();
        let file = folder.join("acts.jsonl");
        let head = serde_json::to_string(&Head { format: FORMAT.to_owned(), brand: Brand::from("a") }).unwrap();
        let lines = std::iter::once(head).chain(rows.iter().map(|row| serde_json::to_string(row).unwrap()));
        std::fs::write(&file, lines.collect::<Vec<_>>().join("\n")).unwrap();
        (file, rows)
    }

    #[tokio::test]
    async fn a_file_of_acts_is_verified_without_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let (file, rows) = exported(folder.path()).await;
        let verdict = verify_file(&file, vec![(3, rows[2].hash.clone())]).unwrap();
        assert_eq!((verdict.whole, verdict.acts, &verdict.last_hash), (true, 5, &rows[4].hash));

        let text = std::fs::read_to_string(&file).unwrap();
        let altered = |change: &dyn Fn(Vec<&str>) -> String, anchors: Vec<(i64, String)>| {
            let path = folder.path().join("altered.jsonl");
            std::fs::write(&path, change(text.lines().collect())).unwrap();
            let verdict = verify_file(&path, anchors).unwrap();
            (verdict.whole, verdict.broken_at, verdict.lost)
        };
        let join = |lines: Vec<&str>| lines.join("\n");
        // One byte anywhere in an act.
        for line in 1..=5 {
            let change = |lines: Vec<&str>| {
                let mut lines: Vec<String> = lines.into_iter().map(str::to_owned).collect();
                lines[line] = lines[line].replacen("erp", "erq", 1);
                lines.join("\n")
            };
            assert_eq!(altered(&change, Vec::new()), (false, Some(line as i64), vec![]), "line {line}");
        }
        // One taken out, two changed places, one cut short.
        assert_eq!(
            altered(
                &|mut lines| {
                    lines.remove(3);
                    join(lines)
                },
                Vec::new()
            ),
            (false, Some(3), vec![])
        );
        assert_eq!(
            altered(
                &|mut lines| {
                    lines.swap(2, 3);
                    join(lines)
                },
                Vec::new()
            ),
            (false, Some(2), vec![])
        );
        assert_eq!(
            altered(
                &|lines| {
                    let text = join(lines);
                    text[..text.len() - 9].to_owned()
                },
                Vec::new()
            ),
            (false, Some(5), vec![])
        );
        // Cut off at the end it still fits; what was kept elsewhere shows it.
        let cut = |mut lines: Vec<&str>| {
            lines.pop();
            join(lines)
        };
        assert_eq!(altered(&cut, Vec::new()), (true, None, vec![]));
        assert_eq!(altered(&cut, vec![(5, rows[4].hash.clone())]), (false, None, vec![5]));
        assert!(verify_file(&folder.path().join("none"), Vec::new()).is_err());
        std::fs::write(&file, "{}").unwrap();
        assert!(verify_file(&file, Vec::new()).is_err());
    }

    #[test]
    fn anchors_read_as_they_are_printed() {
        let hash = "ab".repeat(32);
        assert_eq!(anchor(&format!("12:{}", hash.to_uppercase())).unwrap(), (12, hash));
        for wrong in ["", "12", "x:ab", "12:ab", "12:zz"] {
            assert!(anchor(wrong).is_err(), "{wrong}");
        }
    }
}
