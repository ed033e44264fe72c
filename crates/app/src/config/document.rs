//! A TOML text as values that remember their lines.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use serde_json::{Map, Number, Value};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// A TOML text as JSON, with the line of everything in it, and what is wrong with its grammar.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// What was read; with mistakes in the grammar, what could be read.
    pub value: Map<String, Value>,
    /// Where it stands.
    pub lines: Lines,
    /// Mistakes in the grammar: line and what is wrong.
    pub mistakes: Vec<(usize, String)>,
    /// The last words of the keys that were lost to the mistakes.
    pub lost: BTreeSet<String>,
}

/// The line of each key, by its path: `connections.shop.token`, `flows.orders.policy.currencies[0]`.
/// Keys with a dot in them are taken as they are; paths are only looked up, never taken apart.
#[derive(Clone, Debug, Default)]
pub struct Lines(BTreeMap<String, usize>);

impl Lines {
    /// The line of a path, or of the nearest thing around it that stands in the file; the first line otherwise.
    pub fn of(&self, path: &str) -> usize {
        let mut path = path;
        loop {
            if let Some(line) = self.0.get(path) {
                return *line;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = path.get(..end).unwrap_or_default(),
                None => return 1,
            }
        }
    }

    /// The names directly below a table, also of what could not be read.
    pub fn below(&self, path: &str) -> Vec<String> {
        let prefix = format!("{path}.");
        self.0
            .keys()
            .filter_map(|known| known.strip_prefix(&prefix))
            .filter(|rest| !rest.contains(['.', '[']))
            .map(str::to_owned)
            .collect()
    }

    /// Whether exactly this stands in the file.
    pub fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }
}

/// `a.b`, or `b` at the top.
pub fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Mistakes in the grammar that are looked for; a file with more is no config.
const MISTAKES_MAX: usize = 50;

/// Reads a text. Never fails: what cannot be read is among the mistakes.
///
/// After a mistake the grammar cannot tell where sense begins again, so only the first one counts: its lines
/// are blanked and the rest is read anew, until it reads.
pub fn read(text: &str) -> Document {
    let mut lines: Vec<String> = text.split('\n').map(|line| line.trim_end_matches('\r').to_owned()).collect();
    let (mut mistakes, mut lost) = (Vec::new(), BTreeSet::new());
    loop {
        let whole = lines.join("\n");
        let starts: Vec<usize> = std::iter::once(0).chain(whole.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let line_at = |offset: usize| starts.partition_point(|start| *start <= offset).max(1);
        let (table, errors) = DeTable::parse_recoverable(&whole);
        let first = errors.iter().min_by_key(|error| error.span().map_or(0, |span| span.start));
        let Some(first) = first.filter(|_| mistakes.len() < MISTAKES_MAX) else {
            let mut reading = Reading { lines: Lines::default(), line_at: &line_at };
            let value = reading.table(table.get_ref(), "");
            return Document { value, lines: reading.lines, mistakes, lost };
        };
        let at = line_at(first.span().map_or(0, |span| span.start)) - 1;
        let (line, message) = blank(&mut lines, at, first.message(), &mut lost);
        mistakes.push((line + 1, message));
        mistakes.sort();
    }
}

/// Takes the first mistake out of the text: whose line it is, and what to say about it.
fn blank(lines: &mut [String], at: usize, message: &str, lost: &mut BTreeSet<String>) -> (usize, String) {
    let mut told = message.trim().replace('\n', "; ");
    let get = |lines: &[String], at: usize| lines.get(at).map(|line| line.trim().to_owned()).unwrap_or_default();
    let begins = |line: &str| key_of(line).is_some() || line.starts_with('[');
    let (mut from, mut to, mut whose) = (at, at, at);
    let line = get(lines, at);
    if line.starts_with('[') && key_of(&line).is_none() {
        let name = line.trim_matches(['[', ']', ' ']).to_owned();
        if message.contains("duplicate") {
            told = format!("[{name}] stands twice");
            while to + 1 < lines.len() && !get(lines, to + 1).starts_with('[') {
                to += 1;
            }
        } else if !name.is_empty()
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
            && line != format!("[{name}]")
        {
            // What the bracket was meant to be is plain, and what follows belongs below it.
            if let Some(line) = lines.get_mut(at) {
                *line = format!("[{name}]");
            }
            return (at, told);
        }
    } else if message.contains("array")
        || message.contains("between")
        || message.contains("inline table")
        || message.contains("multi-line")
    {
        // The value began on this line or above; it is taken out as far as it reaches.
        let opens = |line: &str| key_of(line).is_some() && line.contains(['[', '{', '"', '\'']);
        if let Some(start) = (0..=at).rev().find(|number| opens(&get(lines, *number))) {
            from = start;
            let end = (start + 1..lines.len())
                .find(|number| begins(&get(lines, *number)) || get(lines, *number).starts_with([']', '}']));
            match end {
                Some(end) if !begins(&get(lines, end)) => to = end.max(at),
                Some(end) => {
                    (to, whose) = (end - 1, start);
                    "what is opened here is not closed, or a comma is missing".clone_into(&mut told);
                }
                None => {
                    (to, whose) = (lines.len() - 1, start);
                    "what is opened here is not closed".clone_into(&mut told);
                }
            }
        }
    }
    for line in lines.get_mut(from..=to).unwrap_or_default() {
        let name = key_of(line.trim()).map_or_else(|| line.trim().to_owned(), str::to_owned);
        lost.extend(name.rsplit('.').next().map(|last| last.trim_matches(['"', '\'', ' ']).to_owned()));
        line.clear();
    }
    (whose, told)
}

/// The key of a line `key = …`, if it is one.
fn key_of(line: &str) -> Option<&str> {
    let key = line.split_once('=')?.0.trim();
    (!key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "._-\"'".contains(c))).then_some(key)
}

struct Reading<'a> {
    lines: Lines,
    line_at: &'a dyn Fn(usize) -> usize,
}

impl Reading<'_> {
    fn table(&mut self, table: &DeTable<'_>, path: &str) -> Map<String, Value> {
        let mut read = Map::new();
        for (key, value) in table {
            let path = below(path, key.get_ref());
            self.lines.0.insert(path.clone(), (self.line_at)(key.span().start));
            let value = self.value(value, &path);
            read.insert(key.get_ref().to_string(), value);
        }
        read
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, path: &str) -> Value {
        match value.get_ref() {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Integer(number) => whole(number.as_str(), number.radix()),
            // Digit for digit: what is money must not pass through a binary float.
            DeValue::Float(number) => Number::from_str(number.as_str().trim_start_matches('+'))
                .map_or_else(|_| Value::String(number.as_str().to_owned()), Value::Number),
            DeValue::Boolean(truth) => Value::Bool(*truth),
            DeValue::Datetime(moment) => Value::String(moment.to_string()),
            DeValue::Array(items) => {
                let read = |(index, item): (usize, &Spanned<DeValue<'_>>)| {
                    let path = format!("{path}[{index}]");
                    self.lines.0.insert(path.clone(), (self.line_at)(item.span().start));
                    self.value(item, &path)
                };
                Value::Array(items.iter().enumerate().map(read).collect())
            }
            DeValue::Table(table) => Value::Object(self.table(table, path)),
        }
    }
}

fn whole(digits: &str, radix: u32) -> Value {
    let number = i64::from_str_radix(digits, radix).map(Number::from).ok();
    number.map_or_else(|| Value::String(digits.to_owned()), Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_remembers_its_line() {
        let document = read("a = 1\n\n[b.c]\nd = [\n  \"x\",\n  { e = 12.10 },\n]\n\"f.g\" = 0x1F\n");
        assert!(document.mistakes.is_empty(), "{:?}", document.mistakes);
        for (path, line) in [
            ("a", 1),
            ("b", 3),
            ("b.c", 3),
            ("b.c.d", 4),
            ("b.c.d[0]", 5),
            ("b.c.d[1].e", 6),
            ("b.c.f.g", 8),
            ("b.c.d[1].absent", 6),
            ("b.x", 3),
            ("x.y", 1),
        ] {
            assert_eq!(document.lines.of(path), line, "{path}");
        }
        assert_eq!(serde_json::to_string(&document.value).unwrap(), r#"{"a":1,"b":{"c":{"d":["x",{"e":12.10}],"f.g":31}}}"#);
    }

    #[test]
    fn a_mistake_in_the_grammar_leaves_the_rest_readable() {
        // Text, the lines of the mistakes, and what can still be read.
        for (text, lines, left) in [
            (
                "brand = \"a\"\nbrand = \"b\"\nlonely\n[f]\nx = \"shop\n y = \"erp\"\n",
                vec![2, 3, 5],
                r#"{"brand":"a","f":{"y":"erp"}}"#,
            ),
            ("a = [1, 2\nb = 3\n[t]\nc = 1\n", vec![1], r#"{"b":3,"t":{"c":1}}"#),
            ("a = [\n  \"x\"\n  \"y\",\n]\nb = 3\n", vec![3], r#"{"b":3}"#),
            ("a = {b = 1\nc = 2\n", vec![1], r#"{"c":2}"#),
            ("a = tru\nb = 5s\nc = 1\n", vec![1, 2], r#"{"c":1}"#),
            ("[x\na = 1\n[y]]\nb = 2\n", vec![1, 3], r#"{"x":{"a":1},"y":{"b":2}}"#),
            ("[x]\na = 1\n[x]\na = 2\nb = 2\n[z]\nc = 3\n", vec![3], r#"{"x":{"a":1},"z":{"c":3}}"#),
            ("a = \nb = 1\n= 5\n", vec![1, 3], r#"{"b":1}"#),
            ("\u{0}\u{1}", vec![1], "{}"),
            ("a = \"\"\"never\nclosed\n", vec![1], "{}"),
        ] {
            let document = read(text);
            assert_eq!(
                document.mistakes.iter().map(|(line, _)| *line).collect::<Vec<_>>(),
                lines,
                "{text:?} {:?}",
                document.mistakes
            );
            assert_eq!(serde_json::to_string(&document.value).unwrap(), left, "{text:?}");
        }
        assert!(read("from = shop\n").lost.contains("from"));
    }

    #[test]
    fn any_text_is_read_to_an_end() {
        for seed in 0..400_u32 {
            let pieces = ["a", "=", "[", "]", "{", "}", "\"", "\n", "'''", "\"\"\"", ",", "1", ".", "#", " ", "\r\n", "[[", "é"];
            let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
            let text: String = (0..40)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    pieces[(state >> 16) as usize % pieces.len()]
                })
                .collect();
            let document = read(&text);
            assert!(document.mistakes.len() <= MISTAKES_MAX, "{text:?}");
        }
    }
}
