//! What a person sees: lines, tables and JSON on standard output, complaints on standard error.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
};

use comfy_table::{Table, presets};
use jiff::Timestamp;
use selvedge_store::StoreError;
use serde::Serialize;

use crate::config::{ConfigProblem, Level};

/// The command could not do what was asked.
pub const EXIT_FAILED: u8 = 1;
/// The command was not understood, or the config is wrong.
pub const EXIT_USAGE: u8 = 2;

/// Why a command ended before its time.
#[derive(Debug)]
pub enum Failure {
    /// Something went wrong.
    Said(Complaint),
    /// The config is wrong: every mistake.
    Config(Vec<ConfigProblem>),
    /// What we wrote to has gone away; nobody is left to tell.
    Unheard,
}

/// What happened, what it affects, what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// What happened.
    pub what: String,
    /// What it affects; may be empty.
    pub effect: String,
    /// What to do next; may be empty.
    pub next: String,
    /// The process's exit code.
    pub exit: u8,
}

/// A failure that a person can do something about.
pub fn failed(what: impl Into<String>, effect: impl Into<String>, next: impl Into<String>) -> Failure {
    Failure::Said(Complaint { what: what.into(), effect: effect.into(), next: next.into(), exit: EXIT_FAILED })
}

/// A command that does not make sense.
pub fn unclear(what: impl Into<String>, next: impl Into<String>) -> Failure {
    Failure::Said(Complaint { what: what.into(), effect: "Nothing was changed.".to_owned(), next: next.into(), exit: EXIT_USAGE })
}

impl Failure {
    /// The process's exit code.
    pub fn exit(&self) -> u8 {
        match self {
            Failure::Said(complaint) => complaint.exit,
            Failure::Config(_) => EXIT_USAGE,
            Failure::Unheard => 0,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Said(Complaint { what, effect, next, .. }) => {
                write!(f, "selvedge: {what}")?;
                for line in [effect, next].into_iter().filter(|line| !line.is_empty()) {
                    write!(f, "\n  {line}")?;
                }
                Ok(())
            }
            Failure::Config(problems) => {
                for problem in problems {
                    writeln!(f, "{}{problem}", if problem.level == Level::Warning { "warning: " } else { "" })?;
                }
                let bad = problems.iter().filter(|problem| problem.level == Level::Bad).count();
                write!(f, "selvedge: the config has {}; nothing was started or changed.", counted(bad as u64, "mistake"))
            }
            Failure::Unheard => Ok(()),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Failure::Unheard } else { failed(error.to_string(), "", "") }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Absent(what) => {
                failed(format!("there is no {what}"), "Nothing was changed.", "See the list for what there is.")
            }
            StoreError::NeedsApproval(id) => failed(
                format!("it takes a second person, and was asked for as {id}"),
                "Nothing is done yet.",
                "Somebody else who may do it approves it on the page, under Approvals.",
            ),
            why @ (StoreError::Forbidden(_) | StoreError::Changed(_) | StoreError::Taken(_) | StoreError::Decided { .. }) => {
                failed(why.to_string(), "Nothing was changed.", "")
            }
            other => failed(
                format!("the store refuses: {other}"),
                "Nothing was changed.",
                "Try again; if it persists, see whether the disk is full or the file damaged.",
            ),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        failed(format!("{error:#}"), "", "")
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        if error.io_error_kind() == Some(io::ErrorKind::BrokenPipe) {
            Failure::Unheard
        } else {
            failed(error.to_string(), "", "")
        }
    }
}

/// What a command ends with: an exit code, or why it could not go on.
pub type Done = Result<u8, Failure>;

/// Standard output.
#[derive(Clone, Copy, Debug)]
pub struct Out {
    /// JSON instead of text.
    pub json: bool,
    /// Only what was asked for.
    pub quiet: bool,
    colour: bool,
}

/// How a word is painted on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    Good,
    Warning,
    Bad,
    Strong,
    Faint,
}

impl Out {
    /// Colours only where they show, and not where somebody does not want them.
    pub fn new(json: bool, quiet: bool) -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { json, quiet, colour: io::stdout().is_terminal() && !unwanted }
    }

    /// One line.
    ///
    /// # Errors
    /// [`Failure::Unheard`] when nobody listens.
    pub fn line(&self, text: impl fmt::Display) -> Result<(), Failure> {
        Ok(writeln!(io::stdout().lock(), "{text}")?)
    }

    /// A line for company: not when quiet, not beside JSON.
    ///
    /// # Errors
    /// [`Failure::Unheard`] when nobody listens.
    pub fn say(&self, text: impl fmt::Display) -> Result<(), Failure> {
        if self.quiet || self.json { Ok(()) } else { self.line(text) }
    }

    /// A value as JSON.
    ///
    /// # Errors
    /// [`Failure::Unheard`] when nobody listens.
    pub fn json(&self, value: &impl Serialize) -> Result<(), Failure> {
        let mut stdout = io::BufWriter::new(io::stdout().lock());
        serde_json::to_writer_pretty(&mut stdout, value)?;
        writeln!(stdout)?;
        Ok(stdout.flush()?)
    }

    /// A table. What stands in its cells is data: it is shown, never obeyed.
    ///
    /// # Errors
    /// [`Failure::Unheard`] when nobody listens.
    pub fn table<const N: usize>(&self, header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> Result<(), Failure> {
        self.line(table(header, rows))
    }

    /// A word in colour, on a terminal.
    pub fn paint(&self, paint: Paint, text: impl fmt::Display) -> String {
        let code = match paint {
            Paint::Good => "32",
            Paint::Warning => "33",
            Paint::Bad => "31",
            Paint::Strong => "1",
            Paint::Faint => "2",
        };
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_string() }
    }

    /// A bar for long work; it shows only on a terminal.
    pub fn progress(&self, length: u64, what: &'static str) -> indicatif::ProgressBar {
        if self.quiet || self.json || !io::stderr().is_terminal() {
            return indicatif::ProgressBar::hidden();
        }
        let style = indicatif::ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} {eta}")
            .unwrap_or_else(|_| indicatif::ProgressStyle::default_bar());
        indicatif::ProgressBar::new(length).with_style(style).with_message(what)
    }
}

fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header);
    for row in rows {
        table.add_row(row.map(|cell| clean(&cell)));
    }
    table.trim_fmt()
}

/// Data as it may be shown on a terminal: what would move the cursor or change colours is written out.
pub fn clean(text: &str) -> String {
    let harmless = |c: char| !c.is_control() && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.chars().all(harmless) {
        return text.to_owned();
    }
    text.chars().map(|c| if harmless(c) { c.to_string() } else { c.escape_default().to_string() }).collect()
}

/// At most so many characters.
pub fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    text.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect()
}

/// A moment as people read it, in UTC.
pub fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// `1 record`, `2 records`.
pub fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_cannot_command_the_terminal() {
        assert_eq!(clean("plain å 漢 🎁"), "plain å 漢 🎁");
        for text in ["\u{1b}[31mred", "a\rb", "bell\u{7}", "right\u{202e}left", "two\nlines"] {
            let shown = clean(text);
            assert!(!shown.contains(['\u{1b}', '\r', '\u{7}', '\u{202e}', '\n']), "{shown:?}");
        }
        let shown = table(["A", "B"], [["x\u{1b}[2J".to_owned(), "y".to_owned()]]);
        assert!(!shown.contains('\u{1b}'));
    }

    #[test]
    fn counting() {
        assert_eq!((counted(1, "order").as_str(), counted(0, "order").as_str()), ("1 order", "0 orders"));
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("åäö", 3), "åäö");
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(failure.exit(), 0);
        assert!(failure.to_string().is_empty());
    }
}
