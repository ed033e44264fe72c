//! A TOML text as values that remember their lines.

use std::{collections::BTreeMap, ops::Range, str::FromStr};

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
        self.0.keys().filter_map(|known| known.strip_prefix(&prefix)).filter(|rest| !rest.contains(['.', '['])).map(str::to_owned).collect()
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

/// Reads a text. Never fails: what cannot be read is among the mistakes.
pub fn read(text: &str) -> Document {
    let (table, errors) = DeTable::parse_recoverable(text);
    let starts: Vec<usize> = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let line_at = |offset: usize| starts.partition_point(|start| *start <= offset).max(1);
    let mut reading = Reading { lines: Lines::default(), line_at: &line_at };
    let value = reading.table(table.get_ref(), "");
    let line_of = |span: Option<Range<usize>>| span.map_or(1, |span| line_at(span.start));
    let mut mistakes: Vec<(usize, String)> = errors.iter().map(|error| (line_of(error.span()), error.message().trim().replace('\n', "; "))).collect();
    mistakes.sort();
    // One slip of the hand is often several mistakes of the grammar; the first on a line tells it best.
    mistakes.dedup_by_key(|(line, _)| *line);
    Document { value, lines: reading.lines, mistakes }
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
            DeValue::Float(number) => Number::from_str(number.as_str().trim_start_matches('+')).map_or_else(|_| Value::String(number.as_str().to_owned()), Value::Number),
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
        for (path, line) in [("a", 1), ("b", 3), ("b.c", 3), ("b.c.d", 4), ("b.c.d[0]", 5), ("b.c.d[1].e", 6), ("b.c.f.g", 8), ("b.c.d[1].absent", 6), ("b.x", 3), ("x.y", 1)] {
            assert_eq!(document.lines.of(path), line, "{path}");
        }
        assert_eq!(serde_json::to_string(&document.value).unwrap(), r#"{"a":1,"b":{"c":{"d":["x",{"e":12.10}],"f.g":31}}}"#);
    }

    #[test]
    fn probe() {
        for text in ["lonely\n[f]\nfrom = \"shop\n to = 1\n", "a = 1\na = 2\n[f]\nfrom = \"shop\n to = 1\n", "lonely\na = 1\na = 2\nb = 5s\n", "a = 5s\na = \"x\nb = 6s\n"] {
            let (t, e) = DeTable::parse_recoverable(text);
            println!("{text:?}\n   {:?}\n   {:?}", e.iter().map(|e| (e.span(), e.message().to_owned())).collect::<Vec<_>>(), read(text).value);
            let _ = t;
        }
    }

    #[test]
    fn a_mistake_in_the_grammar_leaves_the_rest_readable() {
        let document = read("brand = \"a\"\nbrand = \"b\"\nlonely\n[flows.orders]\nfrom = \"shop\n to = \"erp\"\n");
        let lines: Vec<usize> = document.mistakes.iter().map(|(line, _)| *line).collect();
        assert!(lines.contains(&2) && lines.contains(&3) && lines.contains(&5), "{:?}", document.mistakes);
        assert!(document.value.contains_key("flows"));
    }
}
