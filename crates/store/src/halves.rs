//! Returns whose halves are watched: when each is looked at next, and who owns that one is missing.

use jiff::Timestamp;
use rusqlite::{Row, params};
use selvedge_model::{Brand, ConnectionName, ExceptionId, Money, RecordKey};

use crate::{
    Result, Tx, View,
    packing::{limit, micros, moment_maybe},
    records::money,
};

/// A return that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HalvesRow {
    /// Who tells of it.
    pub connection: ConnectionName,
    /// Our key of its credit note, and of the return where there is one.
    pub key: RecordKey,
    /// When it is looked at next.
    pub look_at: Option<Timestamp>,
    /// Who owns that a half is missing.
    pub exception: Option<ExceptionId>,
    /// The money that hangs on it.
    pub money: Option<Money>,
}

fn halves_row(row: &Row<'_>) -> Result<HalvesRow> {
    Ok(HalvesRow {
        connection: ConnectionName(row.get(0)?),
        key: RecordKey(row.get(1)?),
        look_at: moment_maybe(row.get(2)?)?,
        exception: row.get::<_, Option<i64>>(3)?.map(ExceptionId),
        money: money(row.get(4)?, row.get::<_, Option<String>>(5)?.as_deref())?,
    })
}

impl Tx<'_> {
    /// One of its halves is news: it is looked at now. One that a person let go stays so.
    pub fn halves_moved(&self, brand: &Brand, connection: &ConnectionName, key: &RecordKey, now: Timestamp) -> Result<()> {
        let sql = "INSERT INTO halves (brand, connection, key, look_at) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT (brand, connection, key) DO UPDATE SET look_at = ?4 WHERE let_go = 0";
        self.connection.prepare_cached(sql)?.execute(params![brand.as_str(), connection.as_str(), key.as_str(), micros(now)])?;
        Ok(())
    }

    /// What a look showed: who owns it, what hangs on it, and when it is looked at again. Nothing happens when the row has
    /// moved since.
    pub fn halves_seen(
        &self,
        brand: &Brand,
        seen: &HalvesRow,
        exception: Option<ExceptionId>,
        money: Option<Money>,
        look_at: Option<Timestamp>,
    ) -> Result<()> {
        let sql = "UPDATE halves SET exception_id = ?4, amount_minor = ?5, currency = ?6, look_at = ?7
                   WHERE brand = ?1 AND connection = ?2 AND key = ?3 AND look_at IS ?8";
        self.connection.prepare_cached(sql)?.execute(params![
            brand.as_str(),
            seen.connection.as_str(),
            seen.key.as_str(),
            exception.map(|id| id.0),
            money.map(Money::minor),
            money.map(|money| money.currency().code()),
            look_at.map(micros),
            seen.look_at.map(micros),
        ])?;
        Ok(())
    }

    /// Looks at what an exception holds now.
    pub(crate) fn halves_look(&self, exception: ExceptionId, now: Timestamp) -> Result<u64> {
        let sql = "UPDATE halves SET look_at = ?2 WHERE exception_id = ?1";
        Ok(self.connection.prepare_cached(sql)?.execute(params![exception.0, micros(now)])? as u64)
    }

    /// Lets go what an exception holds: nothing more will come, a person says.
    pub(crate) fn halves_let_go(&self, exception: ExceptionId) -> Result<u64> {
        let sql = "UPDATE halves SET let_go = 1, look_at = NULL, exception_id = NULL WHERE exception_id = ?1";
        Ok(self.connection.prepare_cached(sql)?.execute([exception.0])? as u64)
    }
}

impl View<'_> {
    /// Returns that are to be looked at, the longest due first.
    pub fn halves_due(&self, brand: &Brand, now: Timestamp, limit_rows: usize) -> Result<Vec<HalvesRow>> {
        let sql = "SELECT connection, key, look_at, exception_id, amount_minor, currency FROM halves
                   WHERE brand = ?1 AND look_at <= ?2 AND look_at IS NOT NULL ORDER BY look_at, key LIMIT ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.query_and_then(params![brand.as_str(), micros(now), limit(limit_rows)], halves_row)?.collect()
    }

    /// Returns that an exception holds.
    pub fn halves_of(&self, exception: ExceptionId, limit_rows: usize) -> Result<Vec<HalvesRow>> {
        let sql = "SELECT connection, key, look_at, exception_id, amount_minor, currency FROM halves WHERE exception_id = ?1 ORDER BY key LIMIT ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.query_and_then(params![exception.0, limit(limit_rows)], halves_row)?.collect()
    }
}

#[cfg(test)]
mod tests {
    use selvedge_model::{Currency, Problem};

    use super::*;
    use crate::samples::{at, brand, connection, flow, memory};

    #[tokio::test]
    async fn a_half_is_looked_at_when_due_and_when_something_moves() {
        let store = memory().await;
        store
            .write(|tx| {
                let (shop, key) = (connection("shop"), RecordKey::new("1.shop.5"));
                tx.halves_moved(&brand(), &shop, &key, at(1))?;
                let row = tx.halves_due(&brand(), at(1), 9)?.remove(0);
                let money = Money::from_minor(1_250, Currency::from_code("EUR").unwrap());
                let exception = tx.raise(&brand(), &flow(), &Problem::new("return.no_credit", "", "m", "r"), at(2))?;
                tx.halves_seen(&brand(), &row, Some(exception), Some(money), Some(at(90)))?;
                tx.halves_seen(&brand(), &row, None, None, None)?;
                assert_eq!(tx.halves_of(exception, 9)?.len(), 1, "it moved since it was looked at");
                let held = tx.exception(exception)?;
                assert_eq!((held.count, held.money[0].to_string().as_str()), (1, "12.50 EUR"));
                assert!(tx.close_empty(&brand(), at(3))?.is_empty());
                assert!(tx.halves_due(&brand(), at(3), 9)?.is_empty());
                assert_eq!(tx.release(exception, None, at(4))?, 1);
                assert_eq!(tx.halves_due(&brand(), at(4), 9)?.len(), 1);
                assert_eq!(tx.dismiss(exception, "anna: it was lost", at(5))?, 1);
                assert_eq!(tx.close_empty(&brand(), at(6))?, [exception]);
                tx.halves_moved(&brand(), &shop, &key, at(7))?;
                assert!(tx.halves_due(&brand(), at(9), 9)?.is_empty(), "what was let go stays so");
                Ok(())
            })
            .await
            .unwrap();
    }
}
