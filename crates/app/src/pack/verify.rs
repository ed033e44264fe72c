//! Whether a pack is what was signed; offline, from its folder alone.
//!
//! Three questions, each on its own: are the bytes those that were sealed (hashes), do the rows follow each other (their chain),
//! and do the rows say what the balance and the manifest say (everything worked out again). What is wrong is named with file,
//! bytes and, in a file of lines, line and key.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use selvedge_model::close::{Against, CloseRow, Standing};
use serde::Serialize;

use super::{
    ADJUSTMENTS, BLOCKS, CHECKSUMS, CONTENTS, FILES, MANIFEST, OPEN_ITEMS, ROWS, TRIAL_BALANCE,
    cells::{cells, line},
    compare::{Comparing, Odd, first_difference},
    digest::{self, FileDigest, differences},
    manifest::{self, FORMAT, Manifest},
    rows, tables,
};

/// The largest manifest that is read.
const MANIFEST_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// A longer line is none of ours.
const LINE_BYTES_MAX: u64 = 1024 * 1024;
/// So many damaged lines are named one by one.
const LINES_NAMED_MAX: usize = 100;

/// Of a stretch whose hash does not fit.
const CHANGED: &str = "was changed after sealing";
/// Of a line without an end.
const NOT_WHOLE: &str = "the line is not whole";

/// Something that is not as it was sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// In which file.
    pub file: String,
    /// First byte, counted from 0.
    pub from: Option<u64>,
    /// First byte after it.
    pub to: Option<u64>,
    /// Which line, counted from 1.
    pub line: Option<u64>,
    /// What the line is about.
    pub key: Option<String>,
    /// What is wrong.
    pub message: String,
}

/// What is to be said of one pack.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Its folder.
    pub folder: PathBuf,
    /// What it says it is; none when that does not read.
    pub entity: Option<String>,
    /// Its period.
    pub period: Option<String>,
    /// Which restatement.
    pub restatement: Option<u32>,
    /// Its hash.
    pub hash: Option<String>,
    /// Rows that were worked out again.
    pub rows: u64,
    /// Everything that is wrong; nothing: it is whole.
    pub findings: Vec<Finding>,
    /// What could not be looked at.
    pub notes: Vec<String>,
    /// The manifest, when it is as it was sealed.
    #[serde(skip)]
    pub manifest: Option<Manifest>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn whole(&self) -> bool {
        self.findings.is_empty()
    }

    fn wrong(&mut self, file: &str, range: Option<(u64, u64)>, message: impl Into<String>) {
        self.findings.push(Finding {
            file: file.to_owned(),
            from: range.map(|(from, _)| from),
            to: range.map(|(_, to)| to),
            line: None,
            key: None,
            message: message.into(),
        });
    }

    fn has(&self, file: &str) -> bool {
        self.findings.iter().any(|finding| finding.file == file)
    }
}

/// Looks at one pack by itself.
///
/// # Errors
/// The folder cannot be read.
pub fn pack(folder: &Path) -> io::Result<Report> {
    let mut report = Report {
        folder: folder.to_owned(),
        entity: None,
        period: None,
        restatement: None,
        hash: None,
        rows: 0,
        findings: Vec::new(),
        notes: Vec::new(),
        manifest: None,
    };
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !FILES.contains(&name.as_str()) {
            report.wrong(&name, None, "is no file of a pack: it was added after sealing");
        }
    }
    for name in FILES {
        if !folder.join(name).is_file() {
            report.wrong(name, None, "is missing");
        }
    }
    match sealed_manifest(folder, &mut report)? {
        Some((manifest, text)) => {
            let sums = manifest::checksums(&manifest.files, &text, &manifest::blocks(text.as_bytes()));
            same_text(folder, CHECKSUMS, &sums, &mut report)?;
            let damaged = contents(folder, &manifest, &mut report)?;
            follow(folder, &manifest, &damaged, &mut report)?;
            report.entity = Some(manifest.entity.clone());
            report.period = Some(manifest.period.to_string());
            report.restatement = Some(manifest.restatement);
            report.hash = Some(manifest.hash.clone());
            report.manifest = Some(manifest);
        }
        None => by_checksums(folder, &mut report)?,
    }
    Ok(report)
}

/// The manifest, if it is as it was sealed.
fn sealed_manifest(folder: &Path, report: &mut Report) -> io::Result<Option<(Manifest, String)>> {
    let path = folder.join(MANIFEST);
    if !path.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    File::open(&path)?.take(MANIFEST_BYTES_MAX).read_to_end(&mut bytes)?;
    let end = bytes.len() as u64;
    let own = manifest::hashes(&bytes);
    if own.as_ref().is_none_or(|(stated, found)| stated != found) {
        let message = "was changed after sealing: its own hash does not fit";
        let pieces = changed_pieces(&bytes, &fs::read_to_string(folder.join(BLOCKS)).unwrap_or_default());
        if pieces.is_empty() {
            report.wrong(MANIFEST, Some((0, end)), message);
        }
        for piece in pieces {
            report.wrong(MANIFEST, Some(piece), message);
        }
        return Ok(None);
    }
    same_text(folder, BLOCKS, &manifest::blocks(&bytes), report)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let read: Manifest = match serde_json::from_str(&text) {
        Ok(read) => read,
        Err(error) => {
            report.wrong(MANIFEST, Some((0, end)), format!("does not read: {error}"));
            return Ok(None);
        }
    };
    if read.format != FORMAT {
        report.wrong(MANIFEST, Some((0, end)), format!("is of the format {:?}; this version reads {FORMAT:?}", read.format));
        return Ok(None);
    }
    if read.files.iter().map(|file| file.name.as_str()).ne(CONTENTS) {
        report.wrong(MANIFEST, Some((0, end)), "does not name the files of a pack");
        return Ok(None);
    }
    Ok(Some((read, text)))
}

/// The pieces of the manifest that are not as `manifest.blocks` says, neighbours together.
fn changed_pieces(bytes: &[u8], blocks: &str) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    let mut push = |from: usize, to: usize| match ranges.last_mut() {
        Some(last) if last.1 == from as u64 => last.1 = to as u64,
        _ => ranges.push((from as u64, to as u64)),
    };
    let mut end = 0;
    for stated in blocks.lines() {
        let mut words = stated.split(' ');
        let mut number = || words.next().and_then(|word| word.parse::<usize>().ok());
        let (Some(from), Some(to)) = (number(), number()) else { continue };
        end = end.max(to);
        let piece = bytes.get(from.min(bytes.len())..to.min(bytes.len()).max(from.min(bytes.len()))).unwrap_or_default();
        if piece.len() != to.saturating_sub(from) || words.next() != Some(digest::hash(piece).as_str()) {
            push(from, to);
        }
    }
    if end < bytes.len() && end > 0 {
        push(end, bytes.len());
    }
    ranges
}

/// A small file that has to say exactly this.
fn same_text(folder: &Path, name: &str, expected: &str, report: &mut Report) -> io::Result<()> {
    let path = folder.join(name);
    if !path.is_file() {
        return Ok(());
    }
    let mut found = Vec::new();
    File::open(&path)?.take(MANIFEST_BYTES_MAX).read_to_end(&mut found)?;
    if let Some((from, to)) = first_difference(&found, expected.as_bytes()) {
        report.wrong(name, Some((from, to)), "was changed after sealing: it does not fit the manifest");
        let before = found.iter().take(usize::try_from(from).unwrap_or(usize::MAX)).filter(|byte| **byte == b'\n').count() as u64;
        if let Some(finding) = report.findings.last_mut() {
            finding.line = Some(before.saturating_add(1));
        }
    }
    Ok(())
}

/// The files against the hashes in the manifest; the stretches that do not fit.
fn contents(folder: &Path, manifest: &Manifest, report: &mut Report) -> io::Result<Vec<(String, u64, u64)>> {
    let mut damaged = Vec::new();
    for stated in &manifest.files {
        let path = folder.join(&stated.name);
        if !path.is_file() {
            continue;
        }
        let found = digest::of_file(&path, &stated.name, stated.block_bytes.max(1))?;
        if found == *stated {
            continue;
        }
        for (from, to) in differences(stated, &found) {
            damaged.push((stated.name.clone(), from, to));
            report.wrong(&stated.name, Some((from, to)), changed(stated, &found));
            if stated.name.ends_with(".csv") {
                let (line, key) = line_at(&path, from)?;
                if let Some(finding) = report.findings.last_mut() {
                    (finding.line, finding.key) = (Some(line), key);
                }
            }
        }
    }
    Ok(damaged)
}

fn changed(stated: &FileDigest, found: &FileDigest) -> String {
    match stated.bytes.cmp(&found.bytes) {
        std::cmp::Ordering::Equal => CHANGED.to_owned(),
        std::cmp::Ordering::Less => {
            format!("{CHANGED}: it has {} bytes, {} were sealed", found.bytes, stated.bytes)
        }
        std::cmp::Ordering::Greater => {
            format!("{CHANGED}: only {} of {} bytes are there", found.bytes, stated.bytes)
        }
    }
}

/// The line that a byte lies in, and its key where it has one.
fn line_at(path: &Path, byte: u64) -> io::Result<(u64, Option<String>)> {
    let mut file = BufReader::new(File::open(path)?);
    let (mut at, mut number) = (0_u64, 0_u64);
    let mut place = None;
    loop {
        let mut bytes = Vec::new();
        let read = (&mut file).take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes)? as u64;
        if read == 0 {
            return Ok((number.max(1), None));
        }
        number = number.saturating_add(1);
        let record = cells(String::from_utf8_lossy(&bytes).trim_end()).unwrap_or_default();
        if number == 1 {
            place = record.iter().position(|name| name == "key" || name == "connection");
        }
        at = at.saturating_add(read);
        if at > byte {
            return Ok((number, place.filter(|_| number > 1).and_then(|place| record.get(place)).cloned()));
        }
    }
}

/// The rows: their chain, and everything that follows from them.
fn follow(folder: &Path, manifest: &Manifest, damaged: &[(String, u64, u64)], report: &mut Report) -> io::Result<()> {
    let path = folder.join(ROWS);
    if !path.is_file() {
        return Ok(());
    }
    let mut standing = Standing::new(manifest.bounds, manifest.signed_at);
    let open = |name: &str| Some(folder.join(name)).filter(|path| path.is_file()).map(|path| Comparing::new(&path)).transpose();
    let (mut open_items, mut adjustments) = (open(OPEN_ITEMS)?, open(ADJUSTMENTS)?);
    for (file, header) in
        [(&mut open_items, line(tables::OPEN_ITEM_COLUMNS)), (&mut adjustments, line(tables::ADJUSTMENT_COLUMNS))]
    {
        if let Some(file) = file {
            file.line(&header, "the header")?;
        }
    }
    let mut odd: Vec<(Odd, String)> = Vec::new();
    let last = chain(&path, &mut odd, |row| {
        standing.take(row).map_err(|error| format!("does not add up: {error}"))?;
        for (file, cells) in
            [(&mut open_items, tables::open_item(row).map(line)), (&mut adjustments, tables::adjustment(row).map(line))]
        {
            if let (Some(file), Some(cells)) = (file.as_mut(), cells) {
                file.line(&cells, row.key.as_str()).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    })?;
    for (odd, message) in odd.into_iter().take(LINES_NAMED_MAX) {
        exact(ROWS, odd, &message, damaged, report);
    }
    if report.has(ROWS) {
        report.notes.push("Counts and sums were not worked out again: rows.csv is not what was sealed.".to_owned());
        return Ok(());
    }
    report.rows = standing.rows;
    if last != manifest.last_row {
        report.wrong(ROWS, None, format!("ends with the hash {last}, the manifest says {}", manifest.last_row));
    }
    let message = "does not say what the rows say";
    for (name, file) in [(OPEN_ITEMS, open_items), (ADJUSTMENTS, adjustments)] {
        if let Some(odd) = file.map(Comparing::end).transpose()?.flatten() {
            exact(name, odd, message, damaged, report);
        }
    }
    if let Some(mut file) = open(TRIAL_BALANCE)? {
        file.line(&line(tables::TRIAL_BALANCE_COLUMNS), "the header")?;
        for (key, of) in standing.balance.lines() {
            if let Ok(cells) = tables::trial_balance(key, of) {
                file.line(
                    &line(cells),
                    &format!("{} {} market {} {} {}", key.flow, key.kind, key.market, key.currency, key.rate),
                )?;
            }
        }
        if let Some(odd) = file.end()? {
            exact(TRIAL_BALANCE, odd, message, damaged, report);
        }
    }
    totals(manifest, &standing, report);
    Ok(())
}

/// What the manifest says of the rows, worked out again.
fn totals(manifest: &Manifest, standing: &Standing, report: &mut Report) {
    for (what, stated, found) in [
        ("rows", manifest.rows, standing.rows),
        ("open items", manifest.open_items, standing.open),
        ("adjustments", manifest.adjustments, standing.adjusted),
    ] {
        if stated != found {
            report.wrong(MANIFEST, None, format!("says {stated} {what}; the rows have {found}"));
        }
    }
    if manifest.counts != manifest::counts(standing) {
        report.wrong(MANIFEST, None, "says other counts than the rows");
    }
    if manifest::sums(standing).map_or(true, |sums| sums != manifest.sums) {
        report.wrong(MANIFEST, None, "says other sums than the rows");
    }
    let enumerated: Option<Vec<_>> = manifest.read_whole.iter().map(manifest::ReadWhole::enumerated).collect();
    match enumerated.map(|enumerated| standing.against(&enumerated)) {
        Some(Ok(against)) => {
            for one in against.iter().map(Against::to_string) {
                report.wrong(MANIFEST, None, format!("this should not have been signed: {one}"));
            }
        }
        Some(Err(error)) => report.wrong(MANIFEST, None, format!("the sums are too large: {error}")),
        None => report.wrong(MANIFEST, None, "says that something was read at neither source nor target"),
    }
}

/// A damaged stretch becomes the line in it that is wrong; without a damaged stretch it is a finding of its own.
fn exact(file: &str, odd: Odd, message: &str, damaged: &[(String, u64, u64)], report: &mut Report) {
    let inside = |from: u64, to: u64| odd.from < to && from < odd.to.max(odd.from.saturating_add(1));
    let was_damaged = damaged.iter().any(|(name, from, to)| name == file && inside(*from, *to));
    // Each stretch is narrowed once; a second wrong line in it is a finding of its own.
    let same = report.findings.iter_mut().find(|finding| {
        let (from, to) = (finding.from.unwrap_or(0), finding.to.unwrap_or(0));
        was_damaged
            && finding.file == file
            && inside(from, to)
            && finding.message.starts_with(CHANGED)
            && !finding.message.contains("; ")
    });
    let key = Some(odd.key).filter(|key| !key.is_empty());
    match same {
        Some(finding) => {
            // Of a line that ends too soon, the missing rest is part of the damage.
            let end = finding.to.unwrap_or(u64::MAX);
            let to = if message == NOT_WHOLE { end } else { end.min(odd.to) };
            (finding.from, finding.to) = (finding.from.map(|from| from.max(odd.from)), Some(to));
            (finding.line, finding.key) = (Some(odd.line), key);
            finding.message = format!("{}; {message}", finding.message);
        }
        None => report.findings.push(Finding {
            file: file.to_owned(),
            from: Some(odd.from),
            to: Some(odd.to),
            line: Some(odd.line),
            key,
            message: message.to_owned(),
        }),
    }
}

/// Walks `rows.csv`: each line has to follow from the one before. Rows are handed on as long as all do. The last hash.
fn chain(path: &Path, odd: &mut Vec<(Odd, String)>, mut take: impl FnMut(&CloseRow) -> Result<(), String>) -> io::Result<String> {
    let mut file = BufReader::new(File::open(path)?);
    let (mut at, mut number) = (0_u64, 0_u64);
    // After a line that is wrong, the next may follow from what it says its hash is or from what its hash would be: only one
    // of the two was touched, and the next line is not to blame.
    let mut before = vec![rows::start()];
    loop {
        let mut bytes = Vec::new();
        let read = (&mut file).take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes)? as u64;
        if read == 0 {
            break;
        }
        number = number.saturating_add(1);
        let to = at.saturating_add(read);
        let mut wrong = |key: String, message: String| odd.push((Odd { from: at, to, line: number, key }, message));
        let text = std::str::from_utf8(&bytes).ok().and_then(|text| text.strip_suffix('\n'));
        let named =
            || cells(String::from_utf8_lossy(&bytes).trim_end()).and_then(|cells| cells.get(2).cloned()).unwrap_or_default();
        match text {
            None => {
                wrong(named(), NOT_WHOLE.to_owned());
                let stated = bytes.trim_ascii_end();
                let stated = stated.get(stated.len().saturating_sub(64)..).unwrap_or_default();
                before.push(String::from_utf8_lossy(stated).into_owned());
            }
            Some(text) if number == 1 => {
                if text != rows::header() {
                    wrong("the header".to_owned(), "the header is another".to_owned());
                }
            }
            Some(text) => {
                let comma = text.rfind(',').map_or(0, |comma| comma.saturating_add(1));
                let (body, hash) = text.split_at(comma);
                let links: Vec<String> = before.iter().map(|before| rows::link(before, body)).collect();
                if links.iter().any(|link| link == hash) {
                    before.clear();
                } else {
                    wrong(named(), "the line does not follow from the one before".to_owned());
                    before = links.into_iter().take(2).collect();
                }
                before.push(hash.to_owned());
                match rows::read(text) {
                    Err(column) => wrong(named(), format!("the line does not read: {column}")),
                    // Rows past a break are not what was sealed; nothing is worked out from them.
                    Ok(row) if odd.is_empty() => {
                        if let Err(message) = take(&row) {
                            odd.push((Odd { from: at, to, line: number, key: row.key.to_string() }, message));
                        }
                    }
                    Ok(_) => {}
                }
            }
        }
        at = to;
    }
    Ok(before.pop().unwrap_or_default())
}

/// Without a manifest to go by, `checksums.b3` still tells which other files are as they were.
fn by_checksums(folder: &Path, report: &mut Report) -> io::Result<()> {
    report.notes.push("The manifest is not what was sealed: the other files were held against checksums.b3 only.".to_owned());
    let sums = fs::read_to_string(folder.join(CHECKSUMS)).unwrap_or_default();
    for (hash, name) in sums.lines().filter_map(|line| line.split_once("  ")).filter(|(_, name)| *name != MANIFEST) {
        let path = folder.join(name);
        if FILES.contains(&name) && path.is_file() {
            let found = digest::of_file(&path, name, u64::from(u32::MAX))?;
            if found.blake3 != hash {
                report.wrong(name, Some((0, found.bytes)), "was changed after sealing: it does not fit checksums.b3");
            }
        }
    }
    Ok(())
}

/// Looks at packs, and at whether each follows the one before it: among those given, or beside it.
///
/// # Errors
/// A folder cannot be read.
pub fn packs(folders: &[PathBuf]) -> io::Result<Vec<Report>> {
    let mut reports = folders.iter().map(|folder| pack(folder)).collect::<io::Result<Vec<_>>>()?;
    let given: Vec<Manifest> = reports.iter().filter_map(|report| report.manifest.clone()).collect();
    for report in &mut reports {
        let Some(manifest) = report.manifest.clone() else { continue };
        let of_entity = |other: &Manifest| other.brand == manifest.brand && other.entity == manifest.entity;
        let mut known: Vec<Manifest> = given.iter().filter(|other| of_entity(other)).cloned().collect();
        known.extend(beside(&report.folder).into_iter().filter(of_entity));
        let before: Vec<&Manifest> =
            known.iter().filter(|other| other.sequence.checked_add(1) == Some(manifest.sequence)).collect();
        match &manifest.previous {
            None if manifest.sequence > 1 => {
                report.wrong(MANIFEST, None, format!("is number {} of its entity and names none before it", manifest.sequence));
            }
            None => {}
            Some(previous) if before.iter().any(|other| other.hash == previous.hash) => {}
            Some(previous) if before.is_empty() => report.notes.push(format!(
                "The pack before it ({}, hash {}) was not given and does not lie beside it, so that link was not looked at.",
                previous.period, previous.hash
            )),
            Some(previous) => {
                let found = before.first().map(|other| other.hash.clone()).unwrap_or_default();
                let message = format!(
                    "follows the pack {} of {}, but the pack before it has the hash {found}",
                    previous.hash, previous.period
                );
                report.wrong(MANIFEST, None, message);
            }
        }
        if let Some(restates) = &manifest.restates
            && let Some(first) = known
                .iter()
                .find(|other| other.period == manifest.period && other.restatement.checked_add(1) == Some(manifest.restatement))
            && first.hash != restates.hash
        {
            let message = format!("restates the pack {}, but that one has the hash {}", restates.hash, first.hash);
            report.wrong(MANIFEST, None, message);
        }
    }
    Ok(reports)
}

/// The manifests of the packs that lie beside one, as far as they fit their own hash.
fn beside(folder: &Path) -> Vec<Manifest> {
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let Some(entries) = folder.parent().and_then(|parent| fs::read_dir(parent).ok()) else { return Vec::new() };
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| *path != folder) {
        let Ok(file) = File::open(path.join(MANIFEST)) else { continue };
        let mut bytes = Vec::new();
        if file.take(MANIFEST_BYTES_MAX).read_to_end(&mut bytes).is_err() {
            continue;
        }
        if manifest::hashes(&bytes).is_some_and(|(stated, own)| stated == own) {
            found.extend(serde_json::from_slice::<Manifest>(&bytes).ok());
        }
    }
    found
}
