//! Finding records by what people quote: a number, a name, an e-mail address, a SKU, a tracking number.
//!
//! Every word of a record's newest revision is a row, and so is every word of what belongs to an order, for the order. A
//! search takes the records that have, for each of its words, a word that begins like it.

use std::collections::BTreeSet;

use rusqlite::params;
use selvedge_model::{AnyRecord, Brand, Kind, RecordKey};

use crate::{
    Result, Tx, View,
    packing::{limit, short},
    records::search_text,
};

/// Longest word, in characters; more of it is not looked at.
const WORD_CHARS_MAX: usize = 100;
/// How many words of one search are looked at.
const TERMS_MAX: usize = 8;
/// How many records are looked at that have a word which begins like the first one of a search: of a single letter there may
/// be a million.
const FOUND_MAX: usize = 5_000;

/// The words of a text that is put together line by line: each line, and each word of it.
fn words(text: &str) -> BTreeSet<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .flat_map(|line| std::iter::once(line).chain(line.split_whitespace()))
        .map(|word| short(word, WORD_CHARS_MAX).to_owned())
        .collect()
}

fn said(record: &AnyRecord) -> String {
    format!("{} {}", record.kind(), record.key())
}

impl Tx<'_> {
    /// The words of a record that is the newest of its key now; the one before was about this order, where there was one.
    pub(crate) fn index_words(&self, brand: &Brand, record: &AnyRecord, order_before: Option<&str>) -> Result<()> {
        let (kind, key, said) = (record.kind(), record.key(), said(record));
        let fresh = words(&search_text(record));
        // Most revisions say what the one before said.
        let sql = "SELECT word FROM search_words WHERE brand = ?1 AND kind = ?2 AND key = ?3 AND said = ?4";
        let mut statement = self.connection.prepare_cached(sql)?;
        let values = params![brand.as_str(), kind.word(), key.as_str(), said];
        let known = statement.query_map(values, |row| row.get(0))?.collect::<rusqlite::Result<BTreeSet<String>>>()?;
        let order_now = record.order().map(RecordKey::as_str);
        let same_order = order_before.is_none_or(|before| order_now == Some(before));
        if known == fresh && same_order {
            return Ok(());
        }
        if let Some(before) = order_before.filter(|_| !same_order) {
            let sql = "DELETE FROM search_words WHERE brand = ?1 AND kind = ?2 AND key = ?3 AND said = ?4";
            self.connection.prepare_cached(sql)?.execute(params![brand.as_str(), Kind::Order.word(), before, said])?;
        }
        let order = record.order().filter(|_| kind != Kind::Order).map(|order| (Kind::Order, order.clone()));
        let places: Vec<(Kind, RecordKey)> = std::iter::once((kind, key)).chain(order).collect();
        for (kind, key) in &places {
            let sql = "DELETE FROM search_words WHERE brand = ?1 AND kind = ?2 AND key = ?3 AND said = ?4";
            self.connection.prepare_cached(sql)?.execute(params![brand.as_str(), kind.word(), key.as_str(), said])?;
        }
        let sql = "INSERT INTO search_words (brand, kind, word, key, said) VALUES (?1, ?2, ?3, ?4, ?5)";
        let mut statement = self.connection.prepare_cached(sql)?;
        for word in &fresh {
            for (kind, key) in &places {
                statement.execute(params![brand.as_str(), kind.word(), word, key.as_str(), said])?;
            }
        }
        Ok(())
    }
}

impl View<'_> {
    /// Keys of the records of a kind that have, for each word of the search, a word that begins like it; `None` where the
    /// search has no words. At most 5,000 are looked at.
    pub(crate) fn found(&self, brand: &Brand, kind: Kind, search: &str) -> Result<Option<Vec<RecordKey>>> {
        let search = search.trim().to_lowercase();
        let mut terms: Vec<&str> = search.split_whitespace().take(TERMS_MAX).map(|term| short(term, WORD_CHARS_MAX)).collect();
        // The longest tells most apart.
        terms.sort_by_key(|term| std::cmp::Reverse(term.chars().count()));
        let Some((first, others)) = terms.split_first() else { return Ok(None) };
        let sql = "SELECT DISTINCT key FROM search_words WHERE brand = ?1 AND kind = ?2 AND word >= ?3 AND word < ?4 LIMIT ?5";
        let mut statement = self.connection.prepare_cached(sql)?;
        let values = params![brand.as_str(), kind.word(), first, after(first), limit(FOUND_MAX)];
        let found = statement.query_map(values, |row| row.get(0).map(RecordKey))?.collect::<rusqlite::Result<Vec<_>>>()?;
        if others.is_empty() {
            return Ok(Some(found));
        }
        // Of each candidate the words are few: of the record itself, and of what belongs to it.
        let sql =
            "SELECT EXISTS (SELECT 1 FROM search_words WHERE brand = ?1 AND kind = ?2 AND key = ?3 AND word >= ?4 AND word < ?5)";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut all = Vec::new();
        'candidates: for key in found {
            for term in others {
                let has: bool = statement
                    .query_row(params![brand.as_str(), kind.word(), key.as_str(), term, after(term)], |row| row.get(0))?;
                if !has {
                    continue 'candidates;
                }
            }
            all.push(key);
        }
        Ok(Some(all))
    }
}

/// The first text after all that begin like this.
fn after(term: &str) -> String {
    format!("{term}\u{10FFFF}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use selvedge_model::{
        Order, Shipment,
        records::{Address, Parcel, ShipmentStatus},
    };

    use super::*;
    use crate::samples::{at, brand, memory, new_record, order};

    fn of(number: &str, first: &str, last: &str, email: &str) -> Order {
        let some = |text: &str| Some(text.to_owned());
        let shipping = Address { first_name: some(first), last_name: some(last), email: some(email), ..Address::default() };
        Order { customer: None, shipping: Some(shipping), ..order(number, 100) }
    }

    fn shipment(number: &str, tracking: &str) -> Shipment {
        Shipment {
            key: format!("{number}.depot.1").as_str().into(),
            id: "1".into(),
            order: number.into(),
            status: ShipmentStatus::Shipped,
            shipped_at: None,
            updated_at: at(1),
            warehouse: None,
            lines: Vec::new(),
            short: Vec::new(),
            parcels: vec![Parcel { tracking: Some(tracking.to_owned()), ..Parcel::default() }],
            captured: None,
            bundles: Vec::new(),
        }
    }

    #[tokio::test]
    async fn an_order_is_found_by_whatever_its_shopper_can_quote() {
        let store = memory().await;
        store
            .write(|tx| {
                tx.put_record(&new_record(of("1001", "Åsa", "Öberg", "asa@example.com"), 1))?;
                tx.put_record(&new_record(of("1002", "Åsa Maria", "Berg", "maria@example.com"), 2))?;
                tx.put_record(&new_record(shipment("1001", "RB705236325GB"), 3))?;
                let found = |search: &str| {
                    let lines = tx.records(&brand(), Kind::Order, search, 10).unwrap();
                    lines.into_iter().map(|line| line.key.0).collect::<Vec<_>>()
                };
                for (search, keys) in [
                    ("1001", vec!["1001"]),
                    ("100", vec!["1002", "1001"]),
                    ("Åsa", vec!["1002", "1001"]),
                    ("öberg åsa", vec!["1001"]),
                    ("maria b", vec!["1002"]),
                    ("asa@example.com", vec!["1001"]),
                    ("rb705236325gb", vec!["1001"]),
                    ("rb705 öberg", vec!["1001"]),
                    ("rb705 maria", vec![]),
                    ("71053", vec!["1002", "1001"]),
                    ("berg", vec!["1002"]),
                    ("%", vec![]),
                    ("  ", vec!["1002", "1001"]),
                ] {
                    assert_eq!(found(search), keys, "{search:?}");
                }
                // A newer revision says other words, and what the old one said finds nothing any more.
                tx.put_record(&new_record(shipment("1001", "JJD000390"), 4))?;
                tx.put_record(&new_record(of("1002", "Maria", "Falk", "maria@example.com"), 5))?;
                let found = |search: &str| tx.records(&brand(), Kind::Order, search, 10).unwrap().len();
                assert_eq!((found("rb705236325gb"), found("jjd000390"), found("berg"), found("falk")), (0, 1, 0, 1));
                assert!(tx.records(&"other".into(), Kind::Order, "1001", 10)?.is_empty());
                Ok(())
            })
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn what_was_there_before_words_were_kept_is_found_too() {
        let store = memory().await;
        store
            .write(|tx| {
                tx.put_record(&new_record(of("1001", "Åsa", "Öberg", "asa@example.com"), 1))?;
                tx.put_record(&new_record(shipment("1001", "RB705236325GB"), 3))?;
                let all = |tx: &Tx<'_>| -> Vec<String> {
                    let sql = "SELECT kind || '|' || word || '|' || key || '|' || said FROM search_words ORDER BY 1";
                    tx.connection
                        .prepare(sql)
                        .unwrap()
                        .query_map([], |row| row.get::<_, String>(0))
                        .unwrap()
                        .map(|row| row.unwrap())
                        .collect()
                };
                let kept = all(tx);
                assert!(kept.len() > 8, "{kept:?}");
                let sql = include_str!("../migrations/sqlite/0014_search.sql");
                let insert = sql.split("INSERT OR IGNORE").nth(1).unwrap().split("ANALYZE").next().unwrap();
                tx.connection.execute_batch(&format!("DELETE FROM search_words; INSERT OR IGNORE{insert}"))?;
                assert_eq!(all(tx), kept);
                Ok(())
            })
            .await
            .unwrap();
    }

    proptest! {
            #[test]
            fn every_beginning_of_a_word_comes_before_what_is_after_it(word in ".{1,20}", length in 1_usize..20) {
                let term: String = word.chars().take(length).collect();
                prop_assert!(term.as_str() <= word.as_str());
    let last = word.contains('\u{10FFFF}');
                prop_assert!(last || word < after(&term), "{}", word);
            }
        }
}
