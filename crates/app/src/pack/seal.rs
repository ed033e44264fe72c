//! Sealing: rows in, a folder out, or nothing at all.
//!
//! Everything is written to a temporary folder beside the place and on disk before it gets its name; a folder that has the
//! name already is left alone. What stands against signing is known only after the last row, and then nothing is left behind.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use selvedge_model::{
    Brand, MoneyError,
    close::{Against, CloseRow, Entity, Enumerated, Evidence, Period, Standing},
    moment::Interval,
};

use super::{
    ADJUSTMENTS, BLOCKS, CHECKSUMS, CONTENTS, EVIDENCE, MANIFEST, OPEN_ITEMS, PAGE, ROWS, SHEETS, TRIAL_BALANCE,
    cells::line,
    digest, manifest,
    manifest::{Manifest, Previous, Restates},
    page, rows, sheets, tables,
};

/// So many open items and adjustments are shown in the spreadsheet; the files beside it have all.
pub const SHOWN_MAX: usize = 20_000;

/// The rows of a period, one at a time.
pub type Rows = Box<dyn Iterator<Item = anyhow::Result<CloseRow>> + Send>;

/// What is sealed.
pub struct Input {
    /// The statements that were read.
    pub evidence: Vec<Evidence>,
    /// What was read at both ends, counted where it was read.
    pub enumerated: Vec<Enumerated>,
    /// The rows.
    pub rows: Rows,
}

/// Under which heading.
#[derive(Clone, Debug)]
pub struct Heading {
    /// Whose.
    pub brand: Brand,
    /// Of which entity.
    pub entity: Entity,
    /// Of which period.
    pub period: Period,
    /// The instants that belong to it.
    pub bounds: Interval,
    /// Counted from 1 through all packs of the entity.
    pub sequence: u32,
    /// 0 for the first close of the period.
    pub restatement: u32,
    /// What it restates.
    pub restates: Option<Restates>,
    /// The pack before it.
    pub previous: Option<Previous>,
    /// Who signs.
    pub signed_by: String,
    /// When.
    pub signed_at: Timestamp,
    /// How many open items the signer has seen: all of them, or nothing is signed.
    pub open_seen: u64,
}

/// What the spreadsheet and the page tell.
pub struct Told<'a> {
    /// The heading.
    pub heading: &'a Heading,
    /// Counts, sums and the trial balance.
    pub standing: &'a Standing,
    /// The first open items.
    pub open_items: Vec<[String; 16]>,
    /// The first adjustments.
    pub adjustments: Vec<[String; 11]>,
    /// What was read.
    pub evidence: &'a [Evidence],
    /// The hash of the last line of `rows.csv`.
    pub last_row: String,
}

/// A pack that was sealed.
#[derive(Debug)]
pub struct Sealed {
    /// Where.
    pub folder: PathBuf,
    /// What was signed.
    pub manifest: Manifest,
}

/// Why nothing was sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// A sealed pack is never overwritten.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// What does not add up.
    #[error("the period cannot be signed: {} things stand against it", against.len())]
    Against {
        /// What stands against it.
        against: Vec<Against>,
        /// How many rows there were.
        rows: u64,
        /// How many of them open.
        open: u64,
    },
    /// Somebody signs what they have not seen.
    #[error("{found} items are open, and the signer has seen {seen}")]
    OpenSeen {
        /// What the signer says.
        seen: u64,
        /// What there is.
        found: u64,
    },
    /// Amounts too large to add up, or in one side of a row in two currencies.
    #[error("the amounts of {row} cannot be added up: {error}")]
    Money {
        /// Which row.
        row: String,
        /// Why.
        error: MoneyError,
    },
    /// The rows could not be had.
    #[error("the rows break off: {0:#}")]
    Rows(anyhow::Error),
    /// The spreadsheet refuses.
    #[error("the spreadsheet cannot be written: {0}")]
    Sheets(#[from] rust_xlsxwriter::XlsxError),
    /// The disk refuses.
    #[error("{} cannot be written: {error}", path.display())]
    Disk {
        /// What.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The manifest does not become text.
    #[error("the manifest cannot be written: {0}")]
    Manifest(#[from] serde_json::Error),
}

/// A folder that goes again unless it is kept.
struct Temporary(Option<PathBuf>);

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(folder) = &self.0
            && let Err(error) = fs::remove_dir_all(folder)
        {
            tracing::warn!(folder = %folder.display(), %error, "a pack that was not sealed could not be removed");
        }
    }
}

/// A file of lines, and how it is ended.
struct Lines {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Lines {
    fn new(folder: &Path, name: &str, header: &str) -> Result<Self, SealError> {
        let path = folder.join(name);
        let file = File::create_new(&path).map_err(|error| SealError::Disk { path: path.clone(), error })?;
        let mut lines = Self { path, file: BufWriter::new(file) };
        lines.line(header)?;
        Ok(lines)
    }

    fn line(&mut self, line: &str) -> Result<(), SealError> {
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.write_all(b"\n"));
        written.map_err(|error| SealError::Disk { path: self.path.clone(), error })
    }

    fn end(mut self) -> Result<(), SealError> {
        self.file
            .flush()
            .and_then(|()| self.file.get_ref().sync_all())
            .map_err(|error| SealError::Disk { path: self.path, error })
    }
}

fn money(row: &CloseRow) -> impl Fn(MoneyError) -> SealError {
    let row = format!("{} {}", row.kind, row.key);
    move |error| SealError::Money { row: row.clone(), error }
}

fn of_sums(error: MoneyError) -> SealError {
    SealError::Money { row: "the period".to_owned(), error }
}

/// Seals a period below `out`.
///
/// # Errors
/// [`SealError`]; then `out` is as it was.
pub fn seal(out: &Path, heading: &Heading, input: Input) -> Result<Sealed, SealError> {
    let disk = |path: &Path| {
        let path = path.to_owned();
        move |error| SealError::Disk { path, error }
    };
    let name = manifest::folder(&heading.entity, heading.period, heading.restatement);
    let place = out.join(&name);
    if place.symlink_metadata().is_ok() {
        return Err(SealError::Exists(place));
    }
    fs::create_dir_all(out).map_err(disk(out))?;
    let mut luck = [0; 6];
    rand::fill(&mut luck);
    let luck: String = luck.iter().map(|byte| format!("{byte:02x}")).collect();
    let folder = out.join(format!(".sealing-{name}-{luck}"));
    fs::create_dir(&folder).map_err(disk(&folder))?;
    let mut temporary = Temporary(Some(folder.clone()));

    let (standing, open_items, adjustments, last_row) = write_rows(&folder, heading, input.rows)?;
    let against = standing.against(&input.enumerated).map_err(of_sums)?;
    if !against.is_empty() {
        return Err(SealError::Against { against, rows: standing.rows, open: standing.open });
    }
    if standing.open != heading.open_seen {
        return Err(SealError::OpenSeen { seen: heading.open_seen, found: standing.open });
    }
    let mut balance = Lines::new(&folder, TRIAL_BALANCE, &line(tables::TRIAL_BALANCE_COLUMNS))?;
    for (key, of) in standing.balance.lines() {
        balance.line(&line(tables::trial_balance(key, of).map_err(of_sums)?))?;
    }
    balance.end()?;
    let mut evidence = Lines::new(&folder, EVIDENCE, &line(tables::EVIDENCE_COLUMNS))?;
    for one in &input.evidence {
        evidence.line(&tables::evidence(one))?;
    }
    evidence.end()?;
    let told = Told { heading, standing: &standing, open_items, adjustments, evidence: &input.evidence, last_row };
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        let write = || {
            let mut file = File::create_new(&path)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().map_err(disk(&path))
    };
    put(SHEETS, &sheets::workbook(&told)?)?;
    put(PAGE, page::shown(&told).map_err(of_sums)?.as_bytes())?;

    let mut files = Vec::new();
    for name in CONTENTS {
        let path = folder.join(name);
        let bytes = fs::metadata(&path).map_err(disk(&path))?.len();
        files.push(digest::of_file(&path, name, digest::block_bytes(bytes)).map_err(disk(&path))?);
    }
    let mut sealed = manifest_of(heading, &told, &input.enumerated, files)?;
    let text = sealed.seal()?;
    let blocks = manifest::blocks(text.as_bytes());
    put(MANIFEST, text.as_bytes())?;
    put(BLOCKS, blocks.as_bytes())?;
    put(CHECKSUMS, manifest::checksums(&sealed.files, &text, &blocks).as_bytes())?;

    sync_folder(&folder).map_err(disk(&folder))?;
    if place.symlink_metadata().is_ok() {
        return Err(SealError::Exists(place));
    }
    fs::rename(&folder, &place).map_err(disk(&place))?;
    temporary.0 = None;
    sync_folder(out).map_err(disk(out))?;
    Ok(Sealed { folder: place, manifest: sealed })
}

type Written = (Standing, Vec<[String; 16]>, Vec<[String; 11]>, String);

/// Streams the rows into the files that follow them.
fn write_rows(folder: &Path, heading: &Heading, source: Rows) -> Result<Written, SealError> {
    let mut standing = Standing::new(heading.bounds, heading.signed_at);
    let mut all = Lines::new(folder, ROWS, &rows::header())?;
    let mut open = Lines::new(folder, OPEN_ITEMS, &line(tables::OPEN_ITEM_COLUMNS))?;
    let mut adjusted = Lines::new(folder, ADJUSTMENTS, &line(tables::ADJUSTMENT_COLUMNS))?;
    let (mut open_items, mut adjustments) = (Vec::new(), Vec::new());
    let mut hash = rows::start();
    for row in source {
        let row = row.map_err(SealError::Rows)?;
        standing.take(&row).map_err(money(&row))?;
        let mut text = rows::write(&row);
        hash = rows::link(&hash, &text);
        text.push_str(&hash);
        all.line(&text)?;
        if let Some(cells) = tables::open_item(&row) {
            open.line(&line(&cells))?;
            if open_items.len() < SHOWN_MAX {
                open_items.push(cells);
            }
        }
        if let Some(cells) = tables::adjustment(&row) {
            adjusted.line(&line(&cells))?;
            if adjustments.len() < SHOWN_MAX {
                adjustments.push(cells);
            }
        }
    }
    for lines in [all, open, adjusted] {
        lines.end()?;
    }
    Ok((standing, open_items, adjustments, hash))
}

fn manifest_of(
    heading: &Heading,
    told: &Told<'_>,
    enumerated: &[Enumerated],
    files: Vec<digest::FileDigest>,
) -> Result<Manifest, SealError> {
    Ok(Manifest {
        format: manifest::FORMAT.to_owned(),
        brand: heading.brand.to_string(),
        entity: heading.entity.name.clone(),
        period: heading.period,
        bounds: heading.bounds,
        time_zone: heading.entity.zone.iana_name().unwrap_or_default().to_owned(),
        currency: heading.entity.currency.code().to_owned(),
        sequence: heading.sequence,
        restatement: heading.restatement,
        restates: heading.restates.clone(),
        previous: heading.previous.clone(),
        signed_by: heading.signed_by.clone(),
        signed_at: heading.signed_at,
        rows: told.standing.rows,
        open_items: told.standing.open,
        adjustments: told.standing.adjusted,
        last_row: told.last_row.clone(),
        counts: manifest::counts(told.standing),
        sums: manifest::sums(told.standing).map_err(of_sums)?,
        read_whole: enumerated.iter().map(Into::into).collect(),
        files,
        hash: String::new(),
    })
}

/// A name that is not on disk is not there after a power cut.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
