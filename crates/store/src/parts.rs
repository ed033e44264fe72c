//! What is given back, and of what: lines of orders in goods and in credits, credit notes in refunds.
//!
//! A record that gives something back claims its parts before it leaves; the claim and the sum of all claims change in one
//! transaction, and the table itself refuses a sum that is more than the whole.

use rusqlite::{Row, params};
use selvedge_model::{
    Brand, ConnectionName, Currency, ExceptionId, ExternalId, FlowName, Kind, Money, RecordKey, credit::whole::Portion,
};

use crate::{Result, Tx, View, packing::unreadable};

/// Whose parts, at which target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartsOf {
    /// Whose.
    pub brand: Brand,
    /// The target where they stand.
    pub at: ConnectionName,
    /// Of which kind the parts are: return, credit note or refund.
    pub kind: Kind,
}

/// One part of one whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartRow {
    /// Our key of the order, or of the credit note.
    pub owner: RecordKey,
    /// The source's id of its line; a word with a colon for what is no line.
    pub line: ExternalId,
    /// Which line of the record that gives it back, counted from 0.
    pub place: usize,
    /// How much.
    pub portion: Portion,
}

/// A whole and what is taken of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WholeRow {
    /// Our key of the order, or of the credit note.
    pub owner: RecordKey,
    /// The source's id of its line.
    pub line: ExternalId,
    /// All there is.
    pub whole: Portion,
    /// The sum of its parts.
    pub taken: Portion,
    /// Whether the source of the parts sets their money itself, so that only units are held against the whole.
    pub stated: bool,
}

/// What one record claims: every whole that it touches as it stands now, and its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Of which kind, at which target.
    pub of: PartsOf,
    /// The record.
    pub key: RecordKey,
    /// The flow that brings it there.
    pub flow: FlowName,
    /// The wholes; what is taken of them is not looked at.
    pub wholes: Vec<WholeRow>,
    /// The parts; none lets everything go that it claimed before.
    pub parts: Vec<PartRow>,
}

fn portion(row: &Row<'_>, first: usize, currency: Currency) -> rusqlite::Result<Portion> {
    let units: i64 = row.get(first)?;
    Ok(Portion {
        units: u32::try_from(units).unwrap_or(u32::MAX),
        net: Money::from_minor(row.get(first + 1)?, currency),
        tax: Money::from_minor(row.get(first + 2)?, currency),
    })
}

fn currency(row: &Row<'_>, column: usize) -> Result<Currency> {
    let code: String = row.get(column)?;
    Currency::from_code(&code).ok_or_else(|| unreadable("a currency", code))
}

impl View<'_> {
    /// What is known of the wholes of one owner.
    pub fn wholes(&self, of: &PartsOf, owner: &RecordKey) -> Result<Vec<WholeRow>> {
        let sql = "SELECT line, currency, units, net_minor, tax_minor, taken_units, taken_net, taken_tax, stated FROM wholes
                   WHERE brand = ?1 AND at = ?2 AND kind = ?3 AND owner = ?4 ORDER BY line";
        let mut statement = self.connection.prepare_cached(sql)?;
        let values = params![of.brand.as_str(), of.at.as_str(), of.kind.word(), owner.as_str()];
        let rows = statement.query_and_then(values, |row| {
            let currency = currency(row, 1)?;
            Ok(WholeRow {
                owner: owner.clone(),
                line: ExternalId(row.get(0)?),
                whole: portion(row, 2, currency)?,
                taken: portion(row, 5, currency)?,
                stated: row.get::<_, i64>(8)? == 1,
            })
        })?;
        rows.collect()
    }

    /// What one record claims.
    pub fn parts(&self, of: &PartsOf, key: &RecordKey) -> Result<Vec<PartRow>> {
        let sql = "SELECT p.owner, p.line, p.place, w.currency, p.units, p.net_minor, p.tax_minor FROM parts p
                   JOIN wholes w ON w.brand = p.brand AND w.at = p.at AND w.kind = p.kind AND w.owner = p.owner AND w.line = p.line
                   WHERE p.brand = ?1 AND p.at = ?2 AND p.kind = ?3 AND p.key = ?4 ORDER BY p.place, p.owner, p.line";
        let mut statement = self.connection.prepare_cached(sql)?;
        let values = params![of.brand.as_str(), of.at.as_str(), of.kind.word(), key.as_str()];
        let rows = statement.query_and_then(values, |row| {
            let place: i64 = row.get(2)?;
            Ok(PartRow {
                owner: RecordKey(row.get(0)?),
                line: ExternalId(row.get(1)?),
                place: usize::try_from(place).unwrap_or(0),
                portion: portion(row, 4, currency(row, 3)?)?,
            })
        })?;
        rows.collect()
    }

    /// The orders of a buyer that a shop has told us of.
    pub fn bought(&self, brand: &Brand, connection: &ConnectionName, buyer: &str) -> Result<Vec<RecordKey>> {
        let sql = "SELECT order_key FROM bought WHERE brand = ?1 AND connection = ?2 AND buyer = ?3 ORDER BY order_key";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([brand.as_str(), connection.as_str(), buyer], |row| row.get(0).map(RecordKey))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

impl Tx<'_> {
    /// A buyer has bought something.
    pub fn buy(&self, brand: &Brand, connection: &ConnectionName, buyer: &str, order: &RecordKey) -> Result<()> {
        let sql = "INSERT INTO bought (brand, connection, buyer, order_key) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
        self.connection.prepare_cached(sql)?.execute([brand.as_str(), connection.as_str(), buyer, order.as_str()])?;
        Ok(())
    }

    /// Puts a record's parts in the place of what it claimed before. False, and nothing changed, when a whole has less left
    /// than that: somebody else claimed it meanwhile.
    pub fn claim_parts(&self, claim: &Claim) -> Result<bool> {
        self.connection.execute_batch("SAVEPOINT claim")?;
        let claimed = self.claim_in_place(claim);
        match claimed {
            Ok(()) => {
                self.connection.execute_batch("RELEASE claim")?;
                Ok(true)
            }
            Err(error) => {
                self.connection.execute_batch("ROLLBACK TO claim; RELEASE claim")?;
                let refused = |error: &crate::StoreError| {
                    matches!(error, crate::StoreError::Database(database)
                        if database.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation))
                };
                if refused(&error) { Ok(false) } else { Err(error) }
            }
        }
    }

    fn claim_in_place(&self, claim: &Claim) -> Result<()> {
        let (brand, at, kind, key) = (claim.of.brand.as_str(), claim.of.at.as_str(), claim.of.kind.word(), claim.key.as_str());
        for old in self.parts(&claim.of, &claim.key)? {
            self.take(claim, &old, -1)?;
        }
        let sql = "DELETE FROM parts WHERE brand = ?1 AND at = ?2 AND kind = ?3 AND key = ?4";
        self.connection.prepare_cached(sql)?.execute([brand, at, kind, key])?;
        let sql = "INSERT INTO wholes (brand, at, kind, owner, line, currency, units, net_minor, tax_minor, stated)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                   ON CONFLICT (brand, at, kind, owner, line) DO UPDATE SET units = excluded.units, net_minor = excluded.net_minor,
                     tax_minor = excluded.tax_minor, stated = max(stated, excluded.stated)";
        let mut statement = self.connection.prepare_cached(sql)?;
        for one in &claim.wholes {
            statement.execute(params![
                brand,
                at,
                kind,
                one.owner.as_str(),
                one.line.as_str(),
                one.whole.net.currency().code(),
                one.whole.units,
                one.whole.net.minor(),
                one.whole.tax.minor(),
                i64::from(one.stated),
            ])?;
        }
        let sql = "INSERT INTO parts (brand, at, kind, key, owner, line, place, units, net_minor, tax_minor, flow)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        let mut statement = self.connection.prepare_cached(sql)?;
        for part in &claim.parts {
            statement.execute(params![
                brand,
                at,
                kind,
                key,
                part.owner.as_str(),
                part.line.as_str(),
                i64::try_from(part.place).unwrap_or(i64::MAX),
                part.portion.units,
                part.portion.net.minor(),
                part.portion.tax.minor(),
                claim.flow.as_str(),
            ])?;
            self.take(claim, part, 1)?;
        }
        Ok(())
    }

    /// Lets go what records claimed that an exception holds and that never left: a person is about to let them go.
    pub(crate) fn parts_let_go(&self, exception: ExceptionId) -> Result<()> {
        let sql = "SELECT DISTINCT p.brand, p.at, p.kind, p.key, p.flow FROM obligations o
                   JOIN parts p ON p.brand = o.brand AND p.kind = o.kind AND p.key = o.key AND p.flow = o.flow
                   WHERE o.exception_id = ?1 AND o.state = 'held' AND o.kind IN ('return', 'credit_note', 'refund')
                     AND NOT EXISTS (SELECT 1 FROM bindings b WHERE b.brand = o.brand AND b.kind = o.kind AND b.key = o.key AND b.connection = p.at)
                     AND NOT EXISTS (SELECT 1 FROM obligations s WHERE s.brand = o.brand AND s.flow = o.flow AND s.key = o.key
                                       AND (s.target IS NOT NULL OR s.attempts > 0))";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_and_then([exception.0], |row| {
            let kind: String = row.get(2)?;
            Ok(Claim {
                of: PartsOf {
                    brand: Brand(row.get(0)?),
                    at: ConnectionName(row.get(1)?),
                    kind: Kind::from_word(&kind).ok_or_else(|| unreadable("a kind", kind))?,
                },
                key: RecordKey(row.get(3)?),
                flow: FlowName(row.get(4)?),
                wholes: Vec::new(),
                parts: Vec::new(),
            })
        })?;
        for claim in rows.collect::<Result<Vec<_>>>()? {
            self.claim_parts(&claim)?;
        }
        Ok(())
    }

    fn take(&self, claim: &Claim, part: &PartRow, sign: i64) -> Result<()> {
        let sql = "UPDATE wholes SET taken_units = taken_units + ?6 * ?7, taken_net = taken_net + ?6 * ?8, taken_tax = taken_tax + ?6 * ?9
                   WHERE brand = ?1 AND at = ?2 AND kind = ?3 AND owner = ?4 AND line = ?5";
        self.connection.prepare_cached(sql)?.execute(params![
            claim.of.brand.as_str(),
            claim.of.at.as_str(),
            claim.of.kind.word(),
            part.owner.as_str(),
            part.line.as_str(),
            sign,
            part.portion.units,
            part.portion.net.minor(),
            part.portion.tax.minor(),
        ])?;
        Ok(())
    }
}

/// Wholes whose sum is not that of their parts: none, ever.
#[cfg(test)]
pub(crate) fn out_of_balance(tx: &Tx<'_>) -> Result<i64> {
    let sql = "SELECT count(*) FROM wholes w WHERE (taken_units, taken_net, taken_tax) IS NOT (
                 SELECT coalesce(sum(units), 0), coalesce(sum(net_minor), 0), coalesce(sum(tax_minor), 0) FROM parts p
                 WHERE p.brand = w.brand AND p.at = w.at AND p.kind = w.kind AND p.owner = w.owner AND p.line = w.line)";
    Ok(tx.connection.query_row(sql, [], |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::samples::{brand, connection, memory};

    fn eur(minor: i64) -> Money {
        Money::from_minor(minor, Currency::from_code("EUR").unwrap())
    }

    fn amount(units: u32, net: i64, tax: i64) -> Portion {
        Portion { units, net: eur(net), tax: eur(tax) }
    }

    fn claim(key: &str, stated: bool, parts: &[(&str, u32, i64, i64)]) -> Claim {
        let owner = RecordKey::new("1001");
        let whole = |(line, ..): &(&str, u32, i64, i64)| WholeRow {
            owner: owner.clone(),
            line: (*line).into(),
            whole: amount(3, 1000, 250),
            taken: amount(0, 0, 0),
            stated,
        };
        let part = |(place, (line, units, net, tax)): (usize, &(&str, u32, i64, i64))| PartRow {
            owner: owner.clone(),
            line: (*line).into(),
            place,
            portion: amount(*units, *net, *tax),
        };
        Claim {
            of: PartsOf { brand: brand(), at: connection("books"), kind: Kind::CreditNote },
            key: RecordKey::new(key),
            flow: "credits".into(),
            wholes: parts.iter().map(whole).collect(),
            parts: parts.iter().enumerate().map(part).collect(),
        }
    }

    #[tokio::test]
    async fn no_more_is_given_back_than_there_is() {
        let store = memory().await;
        store
            .write(|tx| {
                let of = claim("a", false, &[]).of;
                assert!(tx.claim_parts(&claim("a", false, &[("1", 2, 667, 167)]))?);
                assert!(!tx.claim_parts(&claim("b", false, &[("1", 2, 1, 1)]))?, "units");
                assert!(!tx.claim_parts(&claim("b", false, &[("1", 1, 334, 1)]))?, "net");
                assert!(!tx.claim_parts(&claim("b", false, &[("1", 1, 333, 84)]))?, "tax");
                assert!(tx.claim_parts(&claim("b", false, &[("1", 1, 333, 83), ("2", 1, 1, 1)]))?);
                // A refused claim changes nothing, not even what it claimed before.
                assert!(!tx.claim_parts(&claim("b", false, &[("2", 3, 1, 1), ("1", 2, 1, 1)]))?);
                assert_eq!(tx.parts(&of, &"b".into())?.len(), 2);
                assert_eq!(tx.wholes(&of, &"1001".into())?[0].taken, amount(3, 1000, 250));
                // Let go, and another may have it.
                assert!(tx.claim_parts(&claim("a", false, &[]))?);
                assert_eq!(tx.wholes(&of, &"1001".into())?[0].taken, amount(1, 333, 83));
                assert!(tx.claim_parts(&claim("c", false, &[("1", 2, 667, 167)]))?);
                // A source that sets its own prices is held to units alone.
                assert!(tx.claim_parts(&claim("d", true, &[("2", 2, 5000, 900)]))?);
                assert!(!tx.claim_parts(&claim("e", true, &[("2", 1, 1, 0)]))?);
                assert_eq!(out_of_balance(tx)?, 0);
                Ok(())
            })
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn another_target_has_wholes_of_its_own() {
        let store = memory().await;
        store
            .write(|tx| {
                assert!(tx.claim_parts(&claim("a", false, &[("1", 3, 1000, 250)]))?);
                let mut elsewhere = claim("a", false, &[("1", 3, 1000, 250)]);
                elsewhere.of.at = connection("other");
                assert!(tx.claim_parts(&elsewhere)?);
                elsewhere.of.kind = Kind::Return;
                assert!(tx.claim_parts(&elsewhere)?);
                assert_eq!(out_of_balance(tx)?, 0);
                Ok(())
            })
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_buyer_has_their_orders() {
        let store = memory().await;
        store
            .write(|tx| {
                for (buyer, order) in [("7", "2"), ("7", "1"), ("7", "2"), ("8", "3")] {
                    tx.buy(&brand(), &connection("shop"), buyer, &order.into())?;
                }
                assert_eq!(tx.bought(&brand(), &connection("shop"), "7")?, ["1".into(), "2".into()]);
                assert!(tx.bought(&brand(), &connection("elsewhere"), "7")?.is_empty());
                Ok(())
            })
            .await
            .unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// Whatever is claimed, changed and let go in whatever order, the sums are those of the parts and within the whole.
        #[test]
        fn sums_are_those_of_the_parts(
            steps in prop::collection::vec((0_usize..4, prop::collection::vec((0_usize..3, 0_u32..4, -10_i64..600, -10_i64..200), 0..3)), 1..30),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let store = memory().await;
                store.write(move |tx| {
                    let lines = ["1", "2", ":shipping"];
                    for (key, parts) in steps {
                        let parts: Vec<(&str, u32, i64, i64)> = parts.into_iter().map(|(line, units, net, tax)| (lines[line], units, net, tax)).collect();
                        let of = claim("", false, &[]).of;
                        let before = tx.parts(&of, &RecordKey::new(key.to_string()))?;
                        let done = tx.claim_parts(&claim(&key.to_string(), false, &parts))?;
                        let after = tx.parts(&of, &RecordKey::new(key.to_string()))?;
                        if done { assert_eq!(after.len(), parts.len()); } else { assert_eq!(after, before); }
                        assert_eq!(out_of_balance(tx)?, 0);
                        for whole in tx.wholes(&of, &"1001".into())? {
                            assert!(whole.taken.units <= 3 && whole.taken.net.minor() <= 1000 && whole.taken.tax.minor() <= 250);
                        }
                    }
                    Ok(())
                }).await.unwrap();
            });
        }
    }
}
