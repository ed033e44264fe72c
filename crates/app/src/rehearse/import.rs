//! Recordings out of files. A bad row is named and left out; the rest goes on.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use csv::{ErrorKind, Position, StringRecord};
use flate2::read::MultiGzDecoder;
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

use super::gather::{Gather, Material};

/// No file has more bytes, unpacked.
const BYTES_MAX: u64 = 2 << 30;
/// No recording has more rows.
const ROWS_MAX: usize = 20_000_000;

/// Why nothing could be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file cannot be read.
    #[error("{file} cannot be read: {error}")]
    Read {
        /// Which.
        file: String,
        /// Why.
        error: io::Error,
    },
    /// A column is missing, so that no row can be understood.
    #[error("{file} has no column {column:?}; it needs {wanted}")]
    Column {
        /// Which file.
        file: String,
        /// Which column.
        column: &'static str,
        /// All that are needed.
        wanted: String,
    },
    /// More rows than can be held.
    #[error("{0} brings the recording past {ROWS_MAX} rows")]
    TooLong(String),
    /// No row could be used.
    #[error("there is not one event to play; {0} rows were left out, the first: {1}")]
    Nothing(u64, String),
}

/// Three plain files.
#[derive(Clone, Debug)]
pub struct Files {
    /// `time,order,sku,units`: what was wanted in the shop.
    pub orders: PathBuf,
    /// `time,sku,units`: how the source moved apart from the shop's orders, signed.
    pub movements: Option<PathBuf>,
    /// `sku,units`: what was there when it begins.
    pub opening: PathBuf,
    /// What a time without an offset means.
    pub zone: Option<TimeZone>,
}

impl Files {
    /// Reads them.
    ///
    /// # Errors
    /// [`ImportError`].
    pub fn read(&self) -> Result<Material, ImportError> {
        let mut gather = Gather::default();
        let mut clock = Times::new(self.zone.clone());
        opening(&self.opening, ["sku", "units"], &mut gather)?;
        rows(&self.orders, ["time", "order", "sku", "units"], &mut gather, |gather, [time, order, sku, units]| {
            let at = clock.read(time)?;
            let units = wanted(units)?;
            gather.order(at, filled("order", order)?, filled("sku", sku)?, units);
            Ok(())
        })?;
        if let Some(movements) = &self.movements {
            rows(movements, ["time", "sku", "units"], &mut gather, |gather, [time, sku, units]| {
                let at = clock.read(time)?;
                gather.moved(at, filled("sku", sku)?, number(units)?);
                Ok(())
            })?;
        } else {
            gather.notes.push("No movements were given: nobody but the shop takes or brings anything.".to_owned());
        }
        finish(gather)
    }
}

/// The set of a shop in Great Britain, whose times are local: `docs.csv`, `lines.csv` and `stock.csv`, each
/// plain or with `.gz`. Sales are shop orders; write-offs and credits are movements.
///
/// # Errors
/// [`ImportError`].
pub fn online_retail(folder: &Path) -> Result<Material, ImportError> {
    let file = |name: &str| {
        let plain = folder.join(name);
        if plain.exists() { plain } else { folder.join(format!("{name}.gz")) }
    };
    let mut gather = Gather::default();
    let mut clock = Times::new(TimeZone::get("Europe/London").ok());
    opening(&file("stock.csv"), ["sku", "opening"], &mut gather)?;
    let mut docs: HashMap<String, (What, i64)> = HashMap::new();
    rows(&file("docs.csv"), ["doc", "kind", "ts"], &mut gather, |_, [doc, kind, time]| {
        let what = match kind {
            "sale" => What::Sale,
            "credit" | "stock_adjustment" => What::Movement { turned: kind == "credit" },
            "ledger_adjustment" => What::Ledger,
            other => return Err(format!("{} is no kind of document", shown(other))),
        };
        let at = clock.read(time)?;
        if docs.insert(filled("doc", doc)?.to_owned(), (what, at)).is_some() {
            return Err(format!("document {} stands there twice", shown(doc)));
        }
        Ok(())
    })?;
    let columns = ["doc", "sku", "line_type", "qty"];
    let mut others: u64 = 0;
    rows(&file("lines.csv"), columns, &mut gather, |gather, [doc, sku, kind, units]| {
        let Some((what, at)) = docs.get(doc) else {
            return Err(format!("document {} is not among the documents", shown(doc)));
        };
        if kind != "product" {
            others += 1;
            return Ok(());
        }
        let sku = filled("sku", sku)?;
        match what {
            What::Sale => gather.order(*at, doc, sku, wanted(units)?),
            // A credit's units are negative and come back; a write-off's are as the stock moved.
            What::Movement { turned } => {
                let units = number(units)?;
                let units = if *turned { units.checked_neg().ok_or("the units do not fit")? } else { units };
                gather.moved(*at, sku, units);
            }
            What::Ledger => others += 1,
        }
        Ok(())
    })?;
    if others > 0 {
        gather.notes.push(format!("{others} lines are no products (shipping, fees, samples …) and move nothing."));
    }
    gather.notes.push(
        "Opening figures are the least with which nothing ran out, so the last units of every SKU were sold: buffers look dearer \
         here than in a shop with stock to spare. Sales are what was sold, not what was wanted."
            .to_owned(),
    );
    gather.notes.push("Times are whole minutes: what happens within one cannot be told apart by any scenario.".to_owned());
    finish(gather)
}

/// What a document is to the stock.
enum What {
    Sale,
    Movement { turned: bool },
    Ledger,
}

fn finish(gather: Gather) -> Result<Material, ImportError> {
    let (count, first) = gather.left_out();
    gather.finish().ok_or(ImportError::Nothing(count, first))
}

fn opening(file: &Path, columns: [&'static str; 2], gather: &mut Gather) -> Result<(), ImportError> {
    rows(file, columns, gather, |gather, [sku, units]| {
        let units: i64 = units.trim().parse().map_err(|_| format!("{} is no whole number", shown(units)))?;
        if units.unsigned_abs() > 1_000_000_000_000 {
            return Err(format!("{units} units are more than anybody has"));
        }
        if gather.opening(filled("sku", sku)?, units) { Ok(()) } else { Err(format!("SKU {} was opened already", shown(sku))) }
    })
}

/// Every row of a file, with the columns that are asked for.
fn rows<const N: usize>(
    path: &Path,
    columns: [&'static str; N],
    gather: &mut Gather,
    mut each: impl FnMut(&mut Gather, [&str; N]) -> Result<(), String>,
) -> Result<(), ImportError> {
    let file = path.display().to_string();
    let read = |error| ImportError::Read { file: file.clone(), error };
    let opened = File::open(path).map_err(read)?;
    let packed = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gz"));
    let plain: Box<dyn Read> = if packed { Box::new(MultiGzDecoder::new(opened)) } else { Box::new(opened) };
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(Bounded { inner: plain, left: BYTES_MAX });
    let header = reader.headers().map_err(|error| read(error.into()))?.clone();
    let mut places = [0; N];
    for (place, column) in places.iter_mut().zip(columns) {
        // A spreadsheet puts an invisible mark before the first name.
        let found = header.iter().position(|name| name.trim_start_matches('\u{feff}').trim() == column);
        *place = found.ok_or_else(|| ImportError::Column { file: file.clone(), column, wanted: columns.join(", ") })?;
    }
    let mut row = StringRecord::new();
    let mut count = 0;
    loop {
        match reader.read_record(&mut row) {
            Ok(false) => return Ok(()),
            Ok(true) => {}
            Err(error) => {
                let line = error.position().map_or(0, Position::line);
                match error.into_kind() {
                    ErrorKind::Io(error) => return Err(read(error)),
                    _ => gather.bad(&file, line, "it is not UTF-8 text"),
                }
                continue;
            }
        }
        count += 1;
        if count > ROWS_MAX || gather.len() >= ROWS_MAX {
            return Err(ImportError::TooLong(file));
        }
        let line = row.position().map_or(0, Position::line);
        let missing = places.iter().position(|place| row.get(*place).is_none());
        let outcome = match missing {
            Some(which) => Err(format!("it has no {}", columns[which])),
            None => each(gather, places.map(|place| row.get(place).unwrap_or_default())),
        };
        if let Err(why) = outcome {
            gather.bad(&file, line, why);
        }
    }
}

/// A reader that gives up at a bound instead of cutting off in silence.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        let count = u64::try_from(read).unwrap_or(u64::MAX);
        self.left =
            self.left.checked_sub(count).ok_or_else(|| io::Error::other(format!("it is larger than {BYTES_MAX} bytes")))?;
        Ok(read)
    }
}

fn shown(text: &str) -> String {
    let cut: String = text.chars().take(60).collect();
    format!("{cut:?}")
}

fn filled<'a>(column: &str, text: &'a str) -> Result<&'a str, String> {
    match text.len() {
        0 => Err(format!("its {column} is empty")),
        1..=500 => Ok(text),
        _ => Err(format!("its {column} is longer than 500 bytes")),
    }
}

fn number(text: &str) -> Result<i32, String> {
    text.trim().parse().map_err(|_| format!("{} is no whole number of units", shown(text)))
}

fn wanted(text: &str) -> Result<u32, String> {
    let units = number(text)?;
    u32::try_from(units).ok().filter(|units| *units > 0).ok_or_else(|| format!("an order line of {units} units"))
}

/// Reads times; many rows in a row have the same one.
struct Times {
    zone: Option<TimeZone>,
    last: (String, i64),
}

impl Times {
    fn new(zone: Option<TimeZone>) -> Self {
        Self { zone, last: (String::new(), 0) }
    }

    /// Milliseconds since 1970. An hour that the clocks repeat is its first, one that they skip moves on.
    fn read(&mut self, text: &str) -> Result<i64, String> {
        let text = text.trim();
        if !text.is_empty() && self.last.0 == text {
            return Ok(self.last.1);
        }
        let at = if let Ok(at) = text.parse::<Timestamp>() {
            at
        } else {
            let local: DateTime = text.parse().map_err(|_| format!("{} is no time", shown(text)))?;
            let zone = self.zone.clone().ok_or_else(|| format!("{} has no offset; say --time-zone", shown(text)))?;
            local.to_zoned(zone).map_err(|error| format!("{}: {error}", shown(text)))?.timestamp()
        };
        self.last = (text.to_owned(), at.as_millisecond());
        Ok(at.as_millisecond())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use selvedge_model::stock::rehearse::Event;

    use super::{
        super::{Asked, BufferAsked, play},
        *,
    };
    use crate::config::words::Span;

    fn files(orders: &str, movements: &str, opening: &str, zone: Option<&str>) -> (tempfile::TempDir, Files) {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let files = Files {
            orders: write("orders.csv", orders),
            movements: Some(write("movements.csv", movements)),
            opening: write("opening.csv", opening),
            zone: zone.map(|zone| TimeZone::get(zone).unwrap()),
        };
        (folder, files)
    }

    #[test]
    fn bad_rows_are_named_and_the_rest_goes_on() {
        let (_folder, files) = files(
            "\u{feff}units,sku,time,order\n1,a,2026-03-29 00:59:59,1\n0,a,2026-03-29T02:00:00,2\n1,a,yesterday,3\n1,A,2026-03-29T01:00:00Z,1\n1\nx,a,2026-03-29 03:00,4\n1,,2026-03-29 03:00,5\n",
            "time,sku,units\n2026-03-29T00:00:00Z,a,-5\n2026-03-29T00:00:00Z,a,5000000000\n",
            "sku,units\na,3\na,4\n",
            Some("Europe/London"),
        );
        let material = files.read().unwrap();
        let found: Vec<(String, u64, &str)> = material
            .bad
            .iter()
            .map(|bad| (bad.file.rsplit('/').next().unwrap().to_owned(), bad.line, bad.why.as_str()))
            .collect();
        let expected = [
            ("opening.csv", 3, "SKU \"a\" was opened already"),
            ("orders.csv", 3, "an order line of 0 units"),
            ("orders.csv", 4, "\"yesterday\" is no time"),
            ("orders.csv", 6, "it has no time"),
            ("orders.csv", 7, "\"x\" is no whole number of units"),
            ("orders.csv", 8, "its sku is empty"),
            ("movements.csv", 3, "\"5000000000\" is no whole number of units"),
        ];
        assert_eq!(found, expected.map(|(file, line, why)| (file.to_owned(), line, why)));
        assert_eq!(material.bad_rows, 7);
        // SKUs differ by case; the last second before the clocks went forward.
        assert_eq!((material.span.skus, material.span.lines, material.span.moves), (2, 2, 1));
        assert!(
            material
                .recorded
                .iter()
                .any(|item| item.events.contains(&(3_599_000, Event::ShopOrder { units: 1, order: Some(0) })))
        );
        assert_eq!(material.notes, ["1 SKUs have no opening figure; they begin with nothing."]);
    }

    #[test]
    fn a_file_that_cannot_be_understood_is_said() {
        let orders = "time,order,sku,units\n2026-01-01 00:00,1,a,1\n";
        let (_folder, mut files) = files(orders, "time,sku,units\n", "sku,units\na,1\n", None);
        let nothing = files.read().unwrap_err().to_string();
        assert!(
            nothing.contains("1 rows were left out") && nothing.contains("orders.csv, line 2") && nothing.contains("--time-zone"),
            "{nothing}"
        );
        files.opening = files.orders.clone();
        let units = fs::write(&files.orders, "time,order,sku\n");
        units.unwrap();
        assert!(files.read().unwrap_err().to_string().contains("has no column \"units\""));
        files.opening = files.orders.with_file_name("nowhere.csv");
        assert!(matches!(files.read(), Err(ImportError::Read { .. })));
    }

    #[test]
    fn a_recording_worked_by_hand() {
        // Four there. At 10:00 another channel takes three; at 10:02 the shop is asked for two, at 10:40 for one, at 10:50 for one.
        // Told at once, the shop has 1 at 10:02: the two are refused (empty), the one is sold, the last refused (empty).
        // Polled every 30 min, first at 9:45 + 15 min = 10:00: it sees 1 as well. Every hour, first at 10:15, it sells the
        // two of which one is there, and then knows -1.
        let (_folder, files) = files(
            "time,order,sku,units\n2026-01-01T09:45:00Z,0,other,1\n2026-01-01T10:02:00Z,1,a,2\n2026-01-01T10:40:00Z,2,a,1\n2026-01-01T10:50:00Z,3,a,1\n",
            "time,sku,units\n2026-01-01T10:00:00Z,a,-3\n",
            "sku,units\na,4\nother,1\n",
            None,
        );
        let asked = Asked {
            intervals: vec![Span::seconds(1_800), Span::seconds(3_600)],
            buffers: vec![BufferAsked(None)],
            ..Asked::default()
        };
        let rehearsal = play(files.read().unwrap(), &asked, || {}).unwrap();
        let got: Vec<(&str, u64, u64, u64, u64)> = rehearsal
            .scenarios
            .iter()
            .map(|played| {
                let outcome = &played.outcome;
                (played.name.as_str(), outcome.sold, outcome.oversold, outcome.oversold_lines, outcome.lost_to_emptiness)
            })
            .collect();
        assert_eq!(got[0], ("ours, no buffer", 2, 0, 0, 3));
        // Deaf from 10:02 (the first of the busiest hour is 9:45): what was pushed at 10:00 arrives at 10:45.
        assert_eq!(got[1], ("ours, no buffer, 1h outage", 4, 2, 2, 1));
        assert_eq!(got[2], ("ours, polling every 30m, no buffer", 2, 0, 0, 3));
        assert_eq!(got[3], ("ours, polling every 1h, no buffer", 3, 1, 1, 2));
    }

    #[test]
    fn real_days_when_they_are_there() {
        let folders = ["../../../shared", "../../../../shared"]
            .map(|shared| Path::new(env!("CARGO_MANIFEST_DIR")).join(shared).join("data/online-retail"));
        let Some(folder) = folders.into_iter().find(|folder| folder.exists()) else {
            return;
        };
        let material = online_retail(&folder).unwrap();
        assert_eq!((material.bad_rows, material.span.skus), (0, 3_500), "{:?}", material.bad);
        let events = material.span.lines + material.span.moves;
        assert_eq!(events, 207_784, "every product line");
        let rehearsal = play(material, &Asked::default(), || {}).unwrap();
        let oversold = |name: &str| {
            let found = rehearsal.scenarios.iter().find(|played| played.name == name);
            found.unwrap_or_else(|| panic!("no {name}")).outcome.oversold
        };
        for ours in ["ours, buffer by velocity 0.9999, least 2", "ours, buffer 2", "ours, no buffer"] {
            assert!(oversold(ours) <= oversold("naive, available every 10m, no buffer"), "{ours}");
        }
    }
}
