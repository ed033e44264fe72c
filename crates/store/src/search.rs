//! Finding records by what people quote: a number, a name, an e-mail address, a SKU, a tracking number.
//!
//! Every word of a record's newest revision, and of what people put in its place, is a row, and so is every word of what belongs to
//! an order, for the order. A search takes the records that have, for each of its words, a word that begins like it.

use std::collections::BTreeSet;

use rusqlite::params;
use selvedge_model::{AnyRecord, Brand, Kind, RecordId, RecordKey, edit::lay_over};

use crate::{
    Result, Tx, View,
    packing::{limit, short},
    records::search_text,
};

/// Longest word, in characters; more of it is not looked at.
const WORD_CHARS_MAX: usize = 100;
/// How many words of one search are looked at.
const TERMS_MAX: usize = 8;
/// A word that so many records have, or fewer, is rare: they are looked up by it. A SKU that sells well is not.
const RARE_MAX: usize = 5_000;
/// Where every word of a search is frequent, so many records are looked at in one go, the newest first.
const LOOKED_MAX: usize = 5_000;

/// What a search comes to.
pub(crate) enum Search {
    /// It has no words: everything is wanted.
    All,
    /// All records that are found.
    Found(Vec<RecordKey>),
    /// Too many have each of these words: the records themselves are gone through.
    Frequent(Vec<String>),
}

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
    /// The words of a record that is the newest of its key now, as its source tells it and as people edited it. The one before was
    /// about this order, where there was one.
    pub(crate) fn index_words(&self, brand: &Brand, record: &AnyRecord, order_before: Option<&str>) -> Result<()> {
        let (kind, key, said) = (record.kind(), record.key(), said(record));
        let mut fresh = words(&search_text(record));
        // A number that somebody put in is quoted like one that the source gave.
        let edits = self.edits_in_force(brand, &key)?;
        if !edits.is_empty() {
            let mut edited = record.clone();
            lay_over(&mut edited, &edits);
            fresh.extend(words(&search_text(&edited)));
        }
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
    /// The records of a kind that have, for each word of the search, a word that begins like it.
    pub(crate) fn search(&self, brand: &Brand, kind: Kind, search: &str) -> Result<Search> {
        let search = search.trim().to_lowercase();
        let terms: Vec<&str> = search.split_whitespace().take(TERMS_MAX).map(|term| short(term, WORD_CHARS_MAX)).collect();
        if terms.is_empty() {
            return Ok(Search::All);
        }
        let found = self.search_terms(brand, kind, terms)?;
        // What is long is printed, and read out, in groups: a tracking number is one word all the same.
        let whole: String = search.chars().filter(|c| !c.is_whitespace()).collect();
        let nothing_yet = match &found {
            Search::Found(keys) => keys.is_empty(),
            Search::Frequent(_) => true,
            Search::All => false,
        };
        if whole == search || !nothing_yet {
            return Ok(found);
        }
        match self.search_terms(brand, kind, vec![short(&whole, WORD_CHARS_MAX)])? {
            Search::Found(keys) if !keys.is_empty() => Ok(Search::Found(keys)),
            _ => Ok(found),
        }
    }

    fn search_terms(&self, brand: &Brand, kind: Kind, mut terms: Vec<&str>) -> Result<Search> {
        // The longest is likely to be the rarest.
        terms.sort_by_key(|term| std::cmp::Reverse(term.chars().count()));
        let sql = "SELECT DISTINCT key FROM search_words WHERE brand = ?1 AND kind = ?2 AND word >= ?3 AND word < ?4 LIMIT ?5";
        let mut statement = self.connection.prepare_cached(sql)?;
        for (place, term) in terms.iter().enumerate() {
            let values = params![brand.as_str(), kind.word(), term, after(term), limit(RARE_MAX + 1)];
            let keys = statement.query_map(values, |row| row.get(0).map(RecordKey))?.collect::<rusqlite::Result<Vec<_>>>()?;
            if keys.len() <= RARE_MAX {
                let others: Vec<&str> = terms.iter().enumerate().filter(|(at, _)| *at != place).map(|(_, term)| *term).collect();
                let mut found = Vec::new();
                for key in keys {
                    if self.has_words(brand, kind, &key, &others)? {
                        found.push(key);
                    }
                }
                return Ok(Search::Found(found));
            }
        }
        Ok(Search::Frequent(terms.into_iter().map(str::to_owned).collect()))
    }

    /// Whether a record has, for each of these, a word that begins like it. Its words are few: its own, and those of what belongs to it.
    fn has_words(&self, brand: &Brand, kind: Kind, key: &RecordKey, terms: &[impl AsRef<str>]) -> Result<bool> {
        let sql =
            "SELECT EXISTS (SELECT 1 FROM search_words WHERE brand = ?1 AND kind = ?2 AND key = ?3 AND word >= ?4 AND word < ?5)";
        let mut statement = self.connection.prepare_cached(sql)?;
        for term in terms.iter().map(AsRef::as_ref) {
            let has: bool =
                statement.query_row(params![brand.as_str(), kind.word(), key.as_str(), term, after(term)], |row| row.get(0))?;
            if !has {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Goes through the newest records of a kind that are older than this one, for those that have all these words: at most so many.
    /// Where it stopped before it came to the end of all records.
    pub(crate) fn go_through(
        &self,
        brand: &Brand,
        kind: Kind,
        terms: &[String],
        before: Option<RecordId>,
        limit_rows: usize,
    ) -> Result<(Vec<RecordKey>, Option<RecordId>)> {
        let sql =
            "SELECT id, key FROM records WHERE brand = ?1 AND kind = ?2 AND latest = 1 AND id < ?3 ORDER BY id DESC LIMIT ?4";
        let mut statement = self.connection.prepare_cached(sql)?;
        let values = params![brand.as_str(), kind.word(), before.map_or(i64::MAX, |id| id.0), limit(LOOKED_MAX)];
        let mut rows = statement.query(values)?;
        let (mut found, mut looked, mut last) = (Vec::new(), 0, None);
        while let Some(row) = rows.next()? {
            (looked, last) = (looked + 1, Some(RecordId(row.get(0)?)));
            let key = RecordKey(row.get(1)?);
            if self.has_words(brand, kind, &key, terms)? {
                found.push(key);
                if found.len() >= limit_rows {
                    return Ok((found, last));
                }
            }
        }
        Ok((found, last.filter(|_| looked >= LOOKED_MAX)))
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
        edit::{Edit, EditField},
        records::{Address, Parcel, ShipmentStatus},
    };

    use super::*;
    use crate::edits::EditedBy;
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
                    ("RB 705 236 325 GB", vec!["1001"]),
                    ("rb705 maria", vec![]),
                    ("71053", vec!["1002", "1001"]),
                    ("berg", vec!["1002"]),
                    ("%", vec![]),
                    ("  ", vec!["1002", "1001"]),
                ] {
                    assert_eq!(found(search), keys, "{search:?}");
                }
                // A number that somebody put in finds the order, until the source gives another.
                let tracking = EditField::from_word("tracking").unwrap();
                let parcel = AnyRecord::from(shipment("1001", "RB705236325GB"));
                let edit = |after: &str| Edit::over(&parcel, tracking, Some(after.to_owned()));
                let (key, by) = (parcel.key(), EditedBy { actor: "anna", reason: "label", revision: 1 });
                tx.edit(&brand(), &key, &[edit("AB1")], &by, at(3))?;
                tx.edit(&brand(), &key, &[edit("RR123456785SE")], &by, at(3))?;
                assert_eq!((found("rr123456785se"), found("rb705236325gb")), (vec!["1001".to_owned()], vec!["1001".to_owned()]));
                assert_eq!(found("ab1"), Vec::<String>::new());
                tx.end_edits(&brand(), &key, &[tracking], "over", at(4))?;
                assert_eq!((found("rr123456785se"), found("rb705236325gb")), (Vec::new(), vec!["1001".to_owned()]));
                tx.edit(&brand(), &key, &[edit("RR123456785SE")], &by, at(5))?;
                let moved = Edit::over(
                    &of("1002", "Åsa Maria", "Berg", "maria@example.com").into(),
                    EditField::Email,
                    Some("m@b.example".to_owned()),
                );
                tx.edit(&brand(), &"1002".into(), &[moved], &by, at(5))?;
                assert_eq!(found("m@b.example"), ["1002"]);
                // A newer revision says other words, and what the old one said finds nothing any more; nor does what lay over it.
                tx.put_record(&new_record(shipment("1001", "JJD000390"), 4))?;
                tx.put_record(&new_record(of("1002", "Maria", "Falk", "maria@example.com"), 5))?;
                let found = |search: &str| tx.records(&brand(), Kind::Order, search, 10).unwrap().len();
                assert_eq!((found("rb705236325gb"), found("jjd000390"), found("berg"), found("falk")), (0, 1, 0, 1));
                assert_eq!(found("rr123456785se"), 0);
                assert!(tx.records(&"other".into(), Kind::Order, "1001", 10)?.is_empty());
                Ok(())
            })
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn of_what_very_many_have_the_newest_are_found_and_none_is_lost() {
        let store = memory().await;
        store
            .write(|tx| {
                // One word that nobody else has, and one shopper far back among very many of the same SKU and first name.
                tx.put_record(&new_record(of("0500", "Åsa", "Öberg", "asa@example.com"), 1))?;
                tx.put_record(&new_record(of("0501", "Åsa", "Falk", "falk@example.com"), 1))?;
                let sql = "INSERT INTO records (brand, connection, kind, key, revision, latest, form, order_key, received_at,
                             amount_minor, currency, digest, who, search, body)
                           WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
                           SELECT brand, connection, kind, 100000 + i, 1, 1, form, 100000 + i, received_at, amount_minor, currency,
                             randomblob(32), who, search, body FROM n, records WHERE key = '0500';
                           INSERT INTO search_words (brand, kind, word, key, said)
                           WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
                           SELECT s.brand, s.kind, s.word, 100000 + i, 'order ' || (100000 + i) FROM n, search_words s
                           WHERE s.key = '0500' AND s.word IN ('åsa', '71053')";
                tx.connection.execute_batch(sql)?;
                let found = |search: &str| {
                    let (mut keys, mut before, mut looks) = (Vec::<String>::new(), None, 0);
                    loop {
                        let listed = tx.records_before(&brand(), Kind::Order, search, before, 100).unwrap();
                        keys.extend(listed.lines.into_iter().map(|line| line.key.0));
                        looks += 1;
                        before = listed.next;
                        if before.is_none() || looks == 200 {
                            return (keys, looks);
                        }
                    }
                };
                let (all, _) = found("71053");
                assert_eq!((all.len(), all[0].as_str(), all[12_001].as_str()), (12_002, "112000", "0500"));
                assert!(all.windows(2).all(|two| two[0].len() > two[1].len() || two[0] > two[1]), "the newest first");
                assert_eq!(found("71053 falk").0, ["0501"], "a rare word finds it at once");
                assert_eq!(found("öberg 71053"), (vec!["0500".to_owned()], 1));
                // Frequent each by itself: nothing in the newest 5,000, and where to go on.
                tx.connection.execute("DELETE FROM search_words WHERE word = 'åsa' AND key > '106000' AND kind = 'order'", [])?;
                let first = tx.records_before(&brand(), Kind::Order, "åsa 71053", None, 100)?;
                assert!(first.lines.is_empty() && first.next.is_some());
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
