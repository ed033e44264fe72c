//! Mapped values: what we call a thing and what the target calls it.
//!
//! A sink says which lookups a record needs; the gate answers them from the brand's mapping
//! tables, then from the target's own lists. A lookup without an answer is a problem whose cause
//! is the lookup itself, so one unmapped value is one exception however many records need it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::problem::Problem;

/// One question: in `table`, what stands for `key`?
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lookup {
    /// The table: `item`, `subsidiary`, `shipping_item`, `tax_code`, `payment_method`, `currency` …
    pub table: String,
    /// The compound key as `name=value` pairs in the table's order: `[("market","2"),("method","express")]`.
    pub key: Vec<(String, String)>,
    /// Where in the record the value came from, for the person who has to map it.
    pub path: String,
    /// What people call the value, where that differs from the key (`Sweden` for `market=2`).
    pub label: Option<String>,
    /// Whether an entry of the target's own list whose name *equals* the value may answer
    /// (SKU to item, currency code to currency). Never a similar one.
    pub same_name: bool,
    /// Whether the record may go on without an answer.
    pub optional: bool,
}

impl Lookup {
    /// A lookup that must be answered, by a mapping only.
    pub fn new(table: &str, key: &[(&str, &str)], path: impl Into<String>) -> Self {
        Self {
            table: table.to_owned(),
            key: key.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            path: path.into(),
            label: None,
            same_name: false,
            optional: false,
        }
    }

    /// The same, with what people call the value.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// The same; an entry of the target's list with an equal name may answer.
    #[must_use]
    pub fn same_name(mut self) -> Self {
        self.same_name = true;
        self
    }

    /// The same; the record may go on without an answer.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// The key as one text: `market=2,method=express`. See [`key_text`].
    pub fn key_text(&self) -> String {
        key_text(&self.key)
    }

    /// Wider keys that may answer for a compound key, the narrowest first: some of its parts stand as `*`,
    /// and of as many stars those further to the right come first. All stars is the table's default
    /// and not among them.
    pub fn wider_keys(&self) -> Vec<String> {
        let parts = self.key.len();
        if !(2..=6).contains(&parts) {
            return Vec::new();
        }
        let mut masks: Vec<u32> = (1..(1_u32 << parts) - 1).collect();
        // Bit n stands for the part n counted from the right.
        masks.sort_by_key(|mask| (mask.count_ones(), *mask));
        let key = |mask: u32| {
            let starred: Vec<(String, String)> = self
                .key
                .iter()
                .rev()
                .enumerate()
                .map(|(at, (name, value))| (name.clone(), if mask & (1 << at) != 0 { "*".to_owned() } else { value.clone() }))
                .rev()
                .collect();
            key_text(&starred)
        };
        masks.into_iter().map(key).collect()
    }

    /// The problem that a lookup without an answer is.
    pub fn missing(&self) -> Problem {
        let key = self.key_text();
        let shown = self.label.as_deref().map_or_else(|| key.clone(), |label| format!("{label} ({key})"));
        Problem::new(
            &format!("mapping.{}", self.table),
            self.path.clone(),
            format!("{shown} has no entry in the mapping table {}", self.table),
            if self.same_name {
                format!(
                    "Create it at the target under exactly this name, or map it: selvedge mappings set {} '{key}' ID",
                    self.table
                )
            } else {
                format!("Map it, and everything it holds is released: selvedge mappings set {} '{key}' ID", self.table)
            },
        )
        .value(shown)
        .cause(key)
    }
}

/// A compound key as one text: `name=value` joined by commas, in the table's order; `%`, `,` and `=`
/// inside a value are written `%25`, `%2C`, `%3D`.
pub fn key_text(key: &[(String, String)]) -> String {
    let part = |text: &str| text.replace('%', "%25").replace(',', "%2C").replace('=', "%3D");
    key.iter().map(|(name, value)| format!("{}={}", part(name), part(value))).collect::<Vec<_>>().join(",")
}

/// The answers: per table and key text, the target's id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Values(BTreeMap<String, BTreeMap<String, String>>);

impl Values {
    /// Notes an answer.
    pub fn set(&mut self, table: &str, key_text: impl Into<String>, value: impl Into<String>) {
        self.0.entry(table.to_owned()).or_default().insert(key_text.into(), value.into());
    }

    /// The answer to a lookup.
    pub fn get(&self, lookup: &Lookup) -> Option<&str> {
        self.by_key(&lookup.table, &lookup.key_text())
    }

    /// The answer for a table and a key text.
    pub fn by_key(&self, table: &str, key_text: &str) -> Option<&str> {
        self.0.get(table)?.get(key_text).map(String::as_str)
    }

    /// The answer for a table and a key of one part.
    pub fn one(&self, table: &str, name: &str, value: &str) -> Option<&str> {
        self.by_key(table, &key_text(&[(name.to_owned(), value.to_owned())]))
    }

    /// The way back: the first key text in `table` that stands for `value`. Two keys that were
    /// mapped to one value read back as the first of them.
    pub fn key_of(&self, table: &str, value: &str) -> Option<&str> {
        self.0.get(table)?.iter().find(|(_, v)| *v == value).map(|(k, _)| k.as_str())
    }

    /// The way back for keys of one part: the value of that part, unescaped.
    pub fn name_of(&self, table: &str, value: &str) -> Option<String> {
        let (_, text) = self.key_of(table, value)?.split_once('=')?;
        Some(text.replace("%3D", "=").replace("%2C", ",").replace("%25", "%"))
    }

    /// All answers: table, key text, value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.0.iter().flat_map(|(table, entries)| entries.iter().map(move |(k, v)| (table.as_str(), k.as_str(), v.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_in_a_value_cannot_forge_another_key() {
        let one = key_text(&[("method".into(), "a,market=2".into())]);
        let two = key_text(&[("method".into(), "a".into()), ("market".into(), "2".into())]);
        assert_ne!(one, two);
        let mut values = Values::default();
        values.set("item", key_text(&[("sku".into(), "A=1,%2C".into())]), "98");
        assert_eq!(values.name_of("item", "98").as_deref(), Some("A=1,%2C"));
    }

    #[test]
    fn the_narrowest_key_is_asked_first_and_never_all_stars() {
        let lookup = Lookup::new("service", &[("market", "1"), ("method", "x"), ("weight", "any")], "");
        let keys = lookup.wider_keys();
        assert_eq!(keys[0], "market=1,method=x,weight=*");
        assert_eq!(keys[1], "market=1,method=*,weight=any");
        assert_eq!(keys.last().map(String::as_str), Some("market=*,method=*,weight=any"));
        assert_eq!(keys.len(), 6);
        assert!(Lookup::new("item", &[("sku", "A")], "").wider_keys().is_empty());
    }

    #[test]
    fn one_unmapped_value_is_one_cause() {
        let at = |path: &str| Lookup::new("shipping_item", &[("market", "2"), ("method", "x")], path).missing();
        assert_eq!(at("shipping_method").cause, at("elsewhere").cause);
    }
}
