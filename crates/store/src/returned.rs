//! What belongs to a return, for whoever looks at one: who gives parts of what back, and who owns that a half is missing.

use rusqlite::{OptionalExtension, params};
use selvedge_model::{Brand, ConnectionName, ExceptionId, RecordKey};

use crate::{Result, View, parts::PartsOf};

/// How many records that give parts of one thing back are read at most.
const CLAIMANTS_MAX: i64 = 500;

impl View<'_> {
    /// The records of a kind that give parts of this order (or of this credit note) back at a target, by key.
    pub fn claimants(&self, of: &PartsOf, owner: &RecordKey) -> Result<Vec<RecordKey>> {
        let sql =
            "SELECT DISTINCT key FROM parts WHERE brand = ?1 AND at = ?2 AND kind = ?3 AND owner = ?4 ORDER BY key LIMIT ?5";
        let mut statement = self.connection.prepare_cached(sql)?;
        let values = params![of.brand.as_str(), of.at.as_str(), of.kind.word(), owner.as_str(), CLAIMANTS_MAX];
        let rows = statement.query_map(values, |row| row.get(0).map(RecordKey))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The exception that owns that a half of a return is missing, where one does.
    pub fn half_missing(&self, brand: &Brand, connection: &ConnectionName, key: &RecordKey) -> Result<Option<ExceptionId>> {
        let sql = "SELECT exception_id FROM halves WHERE brand = ?1 AND connection = ?2 AND key = ?3";
        let values = [brand.as_str(), connection.as_str(), key.as_str()];
        let found: Option<Option<i64>> = self.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0)).optional()?;
        Ok(found.flatten().map(ExceptionId))
    }
}

#[cfg(test)]
mod tests {
    use selvedge_model::{Currency, ExternalId, Kind, Money, Problem, credit::whole::Portion};

    use super::*;
    use crate::{
        parts::{Claim, PartRow, WholeRow},
        samples::{at, brand, connection, flow, memory},
    };

    #[tokio::test]
    async fn an_order_knows_who_gives_parts_of_it_back() {
        let store = memory().await;
        store
            .write(|tx| {
                let zero = Money::zero(Currency::from_code("EUR").unwrap());
                let amount = |units| Portion { units, net: zero, tax: zero };
                let of = PartsOf { brand: brand(), at: connection("books"), kind: Kind::CreditNote };
                for key in ["b", "a"] {
                    let row = |line: &str| (RecordKey::new("1001"), ExternalId::new(line));
                    let wholes = ["1", "2"].map(row).into_iter();
                    let wholes =
                        wholes.map(|(owner, line)| WholeRow { owner, line, whole: amount(4), taken: amount(0), stated: false });
                    let parts = ["1", "2"].map(row).into_iter().map(|(owner, line)| PartRow {
                        owner,
                        line,
                        place: 0,
                        portion: amount(1),
                    });
                    let claim =
                        Claim { of: of.clone(), key: key.into(), flow: flow(), wholes: wholes.collect(), parts: parts.collect() };
                    assert!(tx.claim_parts(&claim)?);
                }
                assert_eq!(tx.claimants(&of, &"1001".into())?, ["a".into(), "b".into()]);
                assert!(tx.claimants(&PartsOf { kind: Kind::Return, ..of }, &"1001".into())?.is_empty());
                Ok(())
            })
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_return_knows_who_owns_its_missing_half() {
        let store = memory().await;
        store
            .write(|tx| {
                let (shop, key) = (connection("shop"), RecordKey::new("1.shop.5"));
                tx.halves_moved(&brand(), &shop, &key, at(1))?;
                assert_eq!(tx.half_missing(&brand(), &shop, &key)?, None);
                let seen = tx.halves_due(&brand(), at(2), 1)?.remove(0);
                let id = tx.raise_standing(&brand(), &flow(), &Problem::new("return.goods_missing", "", "m", "r"), at(2))?;
                tx.halves_seen(&brand(), &seen, Some(id), None, None)?;
                assert_eq!(tx.half_missing(&brand(), &shop, &key)?, Some(id));
                Ok(())
            })
            .await
            .unwrap();
    }
}
