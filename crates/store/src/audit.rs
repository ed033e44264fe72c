//! Every act of a person, and every act that a policy does by itself, in a hash chain that can be verified offline.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use selvedge_model::Brand;

use crate::{
    Result, Tx, View,
    packing::{limit, micros, moment, short},
};

/// Who has acted where no person did: a policy of the config.
pub const POLICY: &str = "policy";
/// Longest text of an act, in characters.
const TEXT_CHARS_MAX: usize = 2_000;
/// What the first act of a brand is chained to.
const START: [u8; 32] = [0; 32];

/// One act.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AuditRow {
    /// Counted from 1.
    pub number: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What: `mapping.set`, `exception.release` …
    pub action: String,
    /// On what.
    pub subject: String,
    /// In a sentence.
    pub detail: String,
    /// BLAKE3 over the previous hash and this row, hex.
    pub hash: String,
}

/// BLAKE3 over the previous hash and the row: numbers as eight bytes, texts with their length
/// before them, so that no two rows read the same.
fn link(before: &[u8; 32], brand: &str, number: i64, at: i64, texts: [&str; 4]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(before);
    hasher.update(&number.to_le_bytes());
    hasher.update(&at.to_le_bytes());
    for text in std::iter::once(brand).chain(texts) {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

impl Tx<'_> {
    /// Adds an act.
    pub fn audit(&self, brand: &Brand, actor: &str, action: &str, subject: &str, detail: &str, at: Timestamp) -> Result<()> {
        let [actor, action, subject, detail] = [actor, action, subject, detail].map(|text| short(text, TEXT_CHARS_MAX));
        let sql = "SELECT number, hash FROM audit WHERE brand = ?1 ORDER BY number DESC LIMIT 1";
        let last = self.connection.prepare_cached(sql)?.query_row([brand.as_str()], |row| Ok((row.get(0)?, row.get(1)?)));
        let (number, before): (i64, [u8; 32]) = last.optional()?.unwrap_or((0, START));
        let (number, at) = (number + 1, micros(at));
        let hash = link(&before, brand.as_str(), number, at, [actor, action, subject, detail]);
        let sql =
            "INSERT INTO audit (brand, number, at, actor, action, subject, detail, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        self.connection.prepare_cached(sql)?.execute(params![
            brand.as_str(),
            number,
            at,
            actor,
            action,
            subject,
            detail,
            hash
        ])?;
        Ok(())
    }
}

impl View<'_> {
    /// The acts, newest first.
    pub fn audit_rows(&self, brand: &Brand, limit_rows: usize) -> Result<Vec<AuditRow>> {
        let sql = "SELECT number, at, actor, action, subject, detail, lower(hex(hash)) FROM audit WHERE brand = ?1 ORDER BY number DESC LIMIT ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.query_and_then(params![brand.as_str(), limit(limit_rows)], audit_row)?.collect()
    }

    /// The last act of a kind.
    pub fn audit_last(&self, brand: &Brand, action: &str) -> Result<Option<AuditRow>> {
        let sql = "SELECT number, at, actor, action, subject, detail, lower(hex(hash)) FROM audit WHERE brand = ?1 AND action = ?2 ORDER BY number DESC LIMIT 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.query_and_then(params![brand.as_str(), action], audit_row)?.next().transpose()
    }

    /// The acts after one, in the order in which they were done.
    pub fn audit_after(&self, brand: &Brand, number: i64, limit_rows: usize) -> Result<Vec<AuditRow>> {
        let sql = "SELECT number, at, actor, action, subject, detail, lower(hex(hash)) FROM audit WHERE brand = ?1 AND number > ?2 ORDER BY number LIMIT ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.query_and_then(params![brand.as_str(), number, limit(limit_rows)], audit_row)?.collect()
    }

    /// Recomputes the chain; the number of the first act that does not fit, if any. A chain that
    /// was cut off at its end still fits: keep the last hash elsewhere to notice that too.
    pub fn audit_broken_at(&self, brand: &Brand) -> Result<Option<i64>> {
        let sql =
            "SELECT number, at, actor, action, subject, detail, lower(hex(hash)) FROM audit WHERE brand = ?1 ORDER BY number";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([brand.as_str()])?;
        let mut chain = Chain::new(brand);
        while let Some(row) = rows.next()? {
            if !chain.takes(&audit_row(row)?) {
                return Ok(Some(chain.next));
            }
        }
        Ok(None)
    }
}

fn audit_row(row: &rusqlite::Row<'_>) -> Result<AuditRow> {
    Ok(AuditRow {
        number: row.get(0)?,
        at: moment(row.get(1)?)?,
        actor: row.get(2)?,
        action: row.get(3)?,
        subject: row.get(4)?,
        detail: row.get(5)?,
        hash: row.get(6)?,
    })
}

/// The chain computed again, act by act: with the rows of a store, or with those of a file far from any.
#[derive(Clone, Debug)]
pub struct Chain {
    brand: Brand,
    /// The number of the act that comes next.
    pub next: i64,
    before: [u8; 32],
}

impl Chain {
    /// A chain at its beginning.
    pub fn new(brand: &Brand) -> Self {
        Self { brand: brand.clone(), next: 1, before: START }
    }

    /// Whether this is the act that comes next, as it was written; then the chain goes on with it.
    pub fn takes(&mut self, row: &AuditRow) -> bool {
        let texts = [&row.actor, &row.action, &row.subject, &row.detail].map(String::as_str);
        let hash = link(&self.before, self.brand.as_str(), row.number, micros(row.at), texts);
        let same = row.number == self.next && blake3::Hash::from_bytes(hash).to_hex().as_str() == row.hash;
        if same {
            self.next += 1;
            self.before = hash;
        }
        same
    }
}

#[cfg(test)]
mod tests {
    use crate::samples::{at, brand, memory};

    #[tokio::test]
    async fn the_chain_shows_every_kind_of_tampering() {
        // Each as somebody with the file in hand could do it, triggers removed first.
        for (tampering, broken_at) in [
            ("UPDATE audit SET actor = 'nobody' WHERE brand = 'brand' AND number = 3", Some(3)),
            ("UPDATE audit SET at = at + 1 WHERE brand = 'brand' AND number = 2", Some(2)),
            ("DELETE FROM audit WHERE brand = 'brand' AND number = 2", Some(2)),
            // Moving letters from one column to the next leaves the text in a row the same.
            ("UPDATE audit SET actor = 'ann', action = 'amapping.set' WHERE brand = 'brand' AND number = 1", Some(1)),
            ("SELECT 1", None),
        ] {
            let store = memory().await;
            let found = store
                .write(move |tx| {
                    for n in 1..=4_i64 {
                        tx.audit(&brand(), "anna", "mapping.set", &format!("{n}"), "detail", at(n))?;
                    }
                    tx.audit(&"other".into(), "bo", "exception.release", "exc_1", "", at(9))?;
                    assert!(tx.connection.execute("UPDATE audit SET actor = 'x'", []).is_err());
                    assert!(tx.connection.execute("DELETE FROM audit", []).is_err());
                    tx.connection.execute_batch("DROP TRIGGER audit_is_not_changed; DROP TRIGGER audit_is_not_removed")?;
                    tx.connection.execute_batch(tampering)?;
                    assert_eq!(tx.audit_broken_at(&"other".into())?, None);
                    tx.audit_broken_at(&brand())
                })
                .await
                .unwrap();
            assert_eq!(found, broken_at, "{tampering}");
        }
    }

    #[tokio::test]
    async fn acts_are_listed_newest_first() {
        let store = memory().await;
        let rows = store
            .write(|tx| {
                tx.audit(&brand(), "anna", "mapping.set", "item sku=1", "98 at erp", at(1))?;
                tx.audit(&brand(), "bo", "exception.release", "exc_1", "3 back to the gate", at(2))?;
                tx.audit_rows(&brand(), 10)
            })
            .await
            .unwrap();
        assert_eq!(rows.iter().map(|row| (row.number, row.actor.as_str())).collect::<Vec<_>>(), [(2, "bo"), (1, "anna")]);
        assert_eq!(rows[0].hash.len(), 64);
        assert_ne!(rows[0].hash, rows[1].hash);
    }
}
