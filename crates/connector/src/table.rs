//! Delimited files as partners really write them, read into rows that are either whole or named as wrong.
//!
//! One bad row is set aside and told with its number and line, the others are kept; what makes the *file*
//! doubtful (an encoding that does not fit, a column named twice, a size past all measure) refuses it as a
//! whole. No byte is dropped in silence: a row is in `rows`, or in `problems`, or the file is refused.
//!
//! Cells stay as they are written, blanks and leading zeros included; [`crate::cell`] reads them.

use std::collections::BTreeSet;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use selvedge_model::written::is_blank;

/// How a partner writes its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// What parts the cells; `None`: found out from the first rows, among `,` `;` tab and `|`.
    pub delimiter: Option<u8>,
    /// What quotes mean.
    pub quotes: Quotes,
    /// What bytes are that carry no mark of their encoding and are not UTF-8; `None`: such a file is refused.
    pub charset: Option<Charset>,
    /// Whether the first row names the columns. Without a header rows may be of any width.
    pub header: bool,
    /// The largest file that is read.
    pub limits: Limits,
}

impl Default for Dialect {
    fn default() -> Self {
        Self { delimiter: None, quotes: Quotes::Doubled, charset: None, header: true, limits: Limits::default() }
    }
}

/// What quotes mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quotes {
    /// A cell in quotes may hold anything; a quote in it is doubled (RFC 4180).
    Doubled,
    /// The same, and a quote behind a backslash is one, too.
    Backslash,
    /// A quote is a character like any other.
    None,
}

/// An encoding by its usual name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charset(&'static Encoding);

impl Charset {
    /// `windows-1252`, `iso-8859-1` (read as the former, which contains it), `utf-16le`, `shift_jis` …
    pub fn from_label(label: &str) -> Option<Self> {
        Encoding::for_label(label.as_bytes()).map(Self)
    }

    /// The name.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// A text in this encoding; nothing when it has a character that the encoding has not.
    pub fn encode(self, text: &str) -> Option<Vec<u8>> {
        // It writes no UTF-16, which nobody asks for in files to a partner.
        let (bytes, written, missing) = self.0.encode(text);
        (!missing && written == self.0).then(|| bytes.into_owned())
    }

    /// The text of bytes in this encoding; nothing when they are none.
    pub fn decode(self, bytes: &[u8]) -> Option<String> {
        self.0.decode_without_bom_handling_and_without_replacement(bytes).map(|text| text.into_owned())
    }
}

/// The largest file that is read; more is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file.
    pub bytes_max: usize,
    /// Rows, the header not counted.
    pub rows_max: usize,
    /// Cells of a row.
    pub columns_max: usize,
    /// Bytes of a cell. A quote that is never closed makes a cell of the rest of the file.
    pub cell_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes_max: 64 << 20, rows_max: 500_000, columns_max: 500, cell_bytes_max: 64 << 10 }
    }
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The names of the columns without outer blanks; empty for a file without a header.
    pub header: Vec<String>,
    /// The rows that are whole.
    pub rows: Vec<Row>,
    /// The rows that are not, and what else was noticed.
    pub problems: Vec<RowProblem>,
    /// What parts the cells.
    pub delimiter: u8,
    /// How the file was encoded.
    pub charset: Charset,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Which record of the file, the header included: the first is 1.
    pub number: u64,
    /// The line that it begins on: the first is 1. A cell with line ends in it takes several.
    pub line: u64,
    /// The cells as they are written.
    pub cells: Vec<String>,
}

impl Row {
    /// The cell of a column; empty past the end.
    pub fn cell(&self, column: usize) -> &str {
        self.cells.get(column).map_or("", String::as_str)
    }

    /// Whether there is nothing in it, as where a spreadsheet ends or a section begins (`;;;;`).
    pub fn is_blank(&self) -> bool {
        self.cells.iter().all(|cell| cell.chars().all(is_blank))
    }
}

/// A row that was set aside, unless its fault says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowProblem {
    /// Which record of the file.
    pub number: u64,
    /// The line that it begins on.
    pub line: u64,
    /// What is wrong.
    pub fault: RowFault,
    /// How it is written, shortened to 200 characters.
    pub raw: String,
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowFault {
    /// Other cells than the header has; empty ones too many at the end are forgiven.
    #[error("{found} cells instead of {expected}")]
    Width {
        /// Cells of the header.
        expected: usize,
        /// Cells of the row.
        found: usize,
    },
    /// Something follows a closing quote.
    #[error("a cell goes on after its closing quote")]
    AfterQuote,
    /// A quote that is never closed: the rest of the file is in this row.
    #[error("a quote is opened and never closed")]
    Unclosed,
    /// A quote within a cell that has none around it: it is taken as a character, and *the row is kept*.
    #[error("a quote stands within a cell that has none around it")]
    Stray,
    /// A cell past the limit.
    #[error("a cell of {0} bytes")]
    Long(usize),
}

/// Why a whole file is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// Larger than the limit.
    #[error("the file has more than {max} {what}")]
    TooLarge {
        /// Bytes, rows or cells.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// The bytes are not text of this encoding.
    #[error("the file is not text in {0}; state the encoding it is written in")]
    Encoding(&'static str),
    /// The header names a column twice, so nobody can say which is meant.
    #[error("the header names the column {0:?} twice")]
    TwiceInHeader(String),
    /// A first row without any name.
    #[error("the header names no column")]
    NoHeader,
    /// The reader gave up.
    #[error("the file cannot be read: {0}")]
    Unreadable(String),
}

impl Table {
    /// Reads a file.
    ///
    /// # Errors
    /// [`TableError`] for what refuses the file as a whole.
    pub fn read(bytes: &[u8], dialect: &Dialect) -> Result<Self, TableError> {
        let limits = dialect.limits;
        if bytes.len() > limits.bytes_max {
            return Err(TableError::TooLarge { what: "bytes", max: limits.bytes_max });
        }
        let (text, charset) = decode(bytes, dialect.charset)?;
        let text = without_end_mark(&text);
        let delimiter = dialect.delimiter.unwrap_or_else(|| sniff(text, dialect.quotes));
        let mut table = Self { header: Vec::new(), rows: Vec::new(), problems: Vec::new(), delimiter, charset };

        let mut reader = reader(text, delimiter, dialect.quotes);
        let mut record = csv::StringRecord::new();
        let mut place = Place { text, byte: 0, line: 1 };
        let mut number = 0;
        while reader.read_record(&mut record).map_err(|error| TableError::Unreadable(error.to_string()))? {
            number += 1;
            let (line, raw) = place.next(reader.position().byte());
            if record.len() > limits.columns_max {
                return Err(TableError::TooLarge { what: "cells in a row", max: limits.columns_max });
            }
            if dialect.header && number == 1 {
                table.header = header(&record)?;
                continue;
            }
            if table.rows.len() + table.problems.len() >= limits.rows_max {
                return Err(TableError::TooLarge { what: "rows", max: limits.rows_max });
            }
            let mut cells: Vec<String> = record.iter().map(str::to_owned).collect();
            let fault = fault(raw, &mut cells, &table.header, delimiter, dialect);
            if let Some(fault) = &fault {
                let raw = raw.chars().take(200).collect();
                table.problems.push(RowProblem { number, line, fault: fault.clone(), raw });
            }
            if fault.is_none_or(|fault| fault == RowFault::Stray) {
                table.rows.push(Row { number, line, cells });
            }
        }
        Ok(table)
    }

    /// The first column that has one of these names, letter case and blanks aside.
    pub fn column(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|name| {
            let name = folded(name);
            self.header.iter().position(|column| !name.is_empty() && folded(column) == name)
        })
    }
}

/// The cells of a line of fixed widths, counted in characters; the last takes what is left. Blanks that pad
/// them are still there.
pub fn fixed_width(line: &str, widths: &[usize]) -> Vec<String> {
    let mut characters = line.chars();
    let mut cells: Vec<String> = widths.iter().map(|width| characters.by_ref().take(*width).collect()).collect();
    if let Some(last) = cells.last_mut() {
        last.extend(characters);
    }
    cells
}

/// A mark at the beginning says what it is; else what reads as UTF-8 is that; else it is what was stated.
fn decode(bytes: &[u8], stated: Option<Charset>) -> Result<(String, Charset), TableError> {
    let (encoding, bytes) = match Encoding::for_bom(bytes) {
        Some((encoding, mark)) => (encoding, bytes.get(mark..).unwrap_or_default()),
        None if bytes.contains(&0) => (without_mark(bytes).ok_or(TableError::Encoding("UTF-8"))?, bytes),
        None if std::str::from_utf8(bytes).is_ok() => (UTF_8, bytes),
        None => (stated.map_or(UTF_8, |charset| charset.0), bytes),
    };
    match encoding.decode_without_bom_handling_and_without_replacement(bytes) {
        Some(text) => Ok((text.into_owned(), Charset(encoding))),
        None => Err(TableError::Encoding(encoding.name())),
    }
}

/// Text of 16 bits a character without a mark has a zero in every other byte of what is plain ASCII.
fn without_mark(bytes: &[u8]) -> Option<&'static Encoding> {
    let zeros = |from: usize| bytes.iter().skip(from).step_by(2).filter(|b| **b == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    let most = bytes.len() / 4;
    (even == 0 && odd > most).then_some(UTF_16LE).or_else(|| (odd == 0 && even > most).then_some(UTF_16BE))
}

/// The text before a Ctrl-Z, with which old systems end a file.
fn without_end_mark(text: &str) -> &str {
    text.trim_end_matches(['\r', '\n']).strip_suffix('\u{1a}').map_or(text, |text| text.trim_end_matches('\u{1a}'))
}

fn reader(text: &str, delimiter: u8, quotes: Quotes) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .quoting(quotes != Quotes::None)
        .escape((quotes == Quotes::Backslash).then_some(b'\\'))
        .from_reader(text.as_bytes())
}

/// How many rows are looked at to find the delimiter.
const SNIFFED_ROWS: usize = 20;

/// The delimiter by which most of the first rows are as wide as the very first, and wider than one cell; the
/// wider the better. A comma when nothing parts anything.
fn sniff(text: &str, quotes: Quotes) -> u8 {
    let mut best = ((0, 0), b',');
    for delimiter in *b",;\t|" {
        let widths: Vec<usize> =
            reader(text, delimiter, quotes).records().take(SNIFFED_ROWS).map_while(Result::ok).map(|row| row.len()).collect();
        let first = widths.first().copied().unwrap_or(0);
        let alike = widths.iter().filter(|width| **width == first).count();
        if first > 1 && (alike, first) > best.0 {
            best = ((alike, first), delimiter);
        }
    }
    best.1
}

/// Walks through the text beside the reader, to know how each record is written and on which line.
struct Place<'a> {
    text: &'a str,
    byte: usize,
    line: u64,
}

impl<'a> Place<'a> {
    /// The line and the text of the record that ends before this byte.
    fn next(&mut self, end: u64) -> (u64, &'a str) {
        let end = usize::try_from(end).unwrap_or(usize::MAX).min(self.text.len());
        let raw = self.text.get(self.byte..end).unwrap_or_default();
        self.byte = end;
        // Line ends before it belong to the record before, or to empty lines.
        let record = raw.trim_start_matches(['\r', '\n']);
        let (before, _) = raw.split_at(raw.len() - record.len());
        self.line += line_ends(before);
        let line = self.line;
        self.line += line_ends(record);
        // The reader stops within a CRLF: its LF comes with the next record and is no line end of its own.
        if record.ends_with('\r') && self.text.get(end..).is_some_and(|rest| rest.starts_with('\n')) {
            self.line -= 1;
        }
        (line, record.trim_end_matches(['\r', '\n']))
    }
}

/// Line ends: LF, CR, or CRLF for one.
fn line_ends(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let ends = (0..bytes.len()).filter(|at| match bytes.get(*at) {
        Some(b'\n') => true,
        Some(b'\r') => bytes.get(at + 1) != Some(&b'\n'),
        _ => false,
    });
    ends.count().try_into().unwrap_or(u64::MAX)
}

/// The names of the columns. A spreadsheet leaves empty ones at the end; a name that stands twice names nothing.
fn header(record: &csv::StringRecord) -> Result<Vec<String>, TableError> {
    let mut names: Vec<String> = record.iter().map(|name| name.trim_matches(is_blank).to_owned()).collect();
    while names.last().is_some_and(String::is_empty) {
        names.pop();
    }
    if names.is_empty() {
        return Err(TableError::NoHeader);
    }
    let mut seen = BTreeSet::new();
    match names.iter().find(|name| !name.is_empty() && !seen.insert(folded(name))) {
        Some(twice) => Err(TableError::TwiceInHeader(twice.clone())),
        None => Ok(names),
    }
}

/// A name without what does not matter in it.
fn folded(name: &str) -> String {
    name.chars().filter(|c| !is_blank(*c)).flat_map(char::to_lowercase).collect()
}

/// What is wrong with a row, if anything; cells that are empty and too many are cut off.
fn fault(raw: &str, cells: &mut Vec<String>, header: &[String], delimiter: u8, dialect: &Dialect) -> Option<RowFault> {
    if let Some(long) = cells.iter().map(String::len).find(|length| *length > dialect.limits.cell_bytes_max) {
        return Some(RowFault::Long(long));
    }
    let quotes = quote_fault(raw, delimiter, dialect.quotes);
    if quotes.as_ref().is_some_and(|fault| *fault != RowFault::Stray) {
        return quotes;
    }
    if dialect.header {
        let found = cells.len();
        while cells.len() > header.len() && cells.last().is_some_and(|cell| cell.chars().all(is_blank)) {
            cells.pop();
        }
        if cells.len() != header.len() {
            return Some(RowFault::Width { expected: header.len(), found });
        }
    }
    quotes
}

/// What is wrong with the quotes of a row as it is written: the reader itself takes everything.
fn quote_fault(raw: &str, delimiter: u8, quotes: Quotes) -> Option<RowFault> {
    if quotes == Quotes::None {
        return None;
    }
    let mut stray = None;
    let mut bytes = raw.bytes().peekable();
    while bytes.peek().is_some() {
        if bytes.next_if_eq(&b'"').is_some() {
            loop {
                match bytes.next() {
                    None => return Some(RowFault::Unclosed),
                    Some(b'\\') if quotes == Quotes::Backslash => {
                        bytes.next();
                    }
                    Some(b'"') if bytes.next_if_eq(&b'"').is_none() => break,
                    Some(_) => {}
                }
            }
            if bytes.next().is_some_and(|next| next != delimiter) {
                return Some(RowFault::AfterQuote);
            }
        } else {
            for b in bytes.by_ref().take_while(|b| *b != delimiter) {
                if b == b'"' {
                    stray = Some(RowFault::Stray);
                }
            }
        }
    }
    stray
}

#[cfg(test)]
mod tests;
