//! A file against what it should say, line by line, without holding either.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

/// A longer line is none of ours; it is compared as far as this.
const LINE_BYTES_MAX: u64 = 1024 * 1024;

/// Where a file says something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Odd {
    /// First byte that is not as it should be.
    pub from: u64,
    /// First byte after the line.
    pub to: u64,
    /// Which line, counted from 1.
    pub line: u64,
    /// What the line is about.
    pub key: String,
}

/// Reads a file beside what it should say. The first difference counts.
pub struct Comparing {
    file: BufReader<File>,
    at: u64,
    line: u64,
    odd: Option<Odd>,
}

impl Comparing {
    /// From its beginning.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn new(path: &Path) -> std::io::Result<Self> {
        Ok(Self { file: BufReader::new(File::open(path)?), at: 0, line: 0, odd: None })
    }

    /// The next line should say this, and is about `key`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn line(&mut self, expected: &str, key: &str) -> std::io::Result<()> {
        if self.odd.is_some() {
            return Ok(());
        }
        let mut found = Vec::new();
        (&mut self.file).take(LINE_BYTES_MAX).read_until(b'\n', &mut found)?;
        self.line = self.line.saturating_add(1);
        let wanted = expected.bytes().chain([b'\n']);
        if !found.iter().copied().eq(wanted.clone()) {
            let same = found.iter().copied().zip(wanted).take_while(|(one, other)| one == other).count();
            let end = found.len().max(expected.len().saturating_add(1));
            let offset = |bytes: usize| self.at.saturating_add(bytes as u64);
            self.odd = Some(Odd { from: offset(same), to: offset(end), line: self.line, key: key.to_owned() });
        }
        self.at = self.at.saturating_add(found.len() as u64);
        Ok(())
    }

    /// Nothing should follow.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn end(mut self) -> std::io::Result<Option<Odd>> {
        if self.odd.is_none() {
            let rest = std::io::copy(&mut self.file, &mut std::io::sink())?;
            if rest > 0 {
                let line = self.line.saturating_add(1);
                self.odd = Some(Odd { from: self.at, to: self.at.saturating_add(rest), line, key: String::new() });
            }
        }
        Ok(self.odd)
    }
}

/// Where two texts differ first, from (included) to (excluded); `None` when they do not.
pub fn first_difference(found: &[u8], expected: &[u8]) -> Option<(u64, u64)> {
    if found == expected {
        return None;
    }
    let from = found.iter().zip(expected).take_while(|(one, other)| one == other).count();
    let tail = |text: &[u8]| text.get(from..).map(|rest| rest.to_vec()).unwrap_or_default();
    // What is the same from behind is not part of it, as long as both still have something left.
    let (one, other) = (tail(found), tail(expected));
    let same = one.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count();
    let to = found.len().saturating_sub(same).max(from.saturating_add(1));
    Some((from as u64, to as u64))
}
