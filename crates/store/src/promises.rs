//! Orders that a warehouse has and that have not left whole: by when they should, and who owns it if they do not.
//!
//! A row begins when a warehouse's order passes the gate and ends when everything of it has left or the order is called
//! off. What has left is counted from the shipments whenever a row is looked at, never carried along.

use jiff::Timestamp;
use rusqlite::{Row, params};
use selvedge_model::{Brand, ExceptionId, FlowName, Money, RecordKey};

use crate::{
    Result, Tx, View,
    packing::{count, limit, micros, moment_maybe},
};

/// An order that a warehouse is given.
#[derive(Clone, Debug)]
pub struct NewPromise {
    /// Whose.
    pub brand: Brand,
    /// The flow that brings it there.
    pub flow: FlowName,
    /// Our key of the order.
    pub key: RecordKey,
    /// Units that the warehouse has to ship.
    pub ordered: u64,
    /// By when all of it is promised to have left.
    pub dispatch_by: Option<Timestamp>,
    /// What the order is worth.
    pub worth: Money,
}

/// An order at a warehouse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromiseRow {
    /// The flow that brought it there.
    pub flow: FlowName,
    /// Our key of the order.
    pub key: RecordKey,
    /// By when all of it is promised to have left.
    pub dispatch_by: Option<Timestamp>,
    /// Units that the warehouse has to ship.
    pub ordered: u64,
    /// Units of these that had left when it was last looked at.
    pub shipped: u64,
    /// Who owns that it is late or short.
    pub exception: Option<ExceptionId>,
    /// When it is looked at next.
    pub look_at: Option<Timestamp>,
}

macro_rules! select_promises {
    ($rest:literal) => {
        concat!("SELECT flow, key, dispatch_by, ordered, shipped, exception_id, look_at FROM promises ", $rest)
    };
}

fn promise_row(row: &Row<'_>) -> Result<PromiseRow> {
    Ok(PromiseRow {
        flow: FlowName(row.get(0)?),
        key: RecordKey(row.get(1)?),
        dispatch_by: moment_maybe(row.get(2)?)?,
        ordered: count(row.get(3)?),
        shipped: count(row.get(4)?),
        exception: row.get::<_, Option<i64>>(5)?.map(ExceptionId),
        look_at: moment_maybe(row.get(6)?)?,
    })
}

impl Tx<'_> {
    /// A warehouse has an order, or other units of it than before.
    pub fn promise(&self, new: &NewPromise, now: Timestamp) -> Result<()> {
        let sql = "INSERT INTO promises (brand, flow, key, dispatch_by, look_at, ordered, amount_minor, currency)
                   VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7)
                   ON CONFLICT (brand, flow, key) DO UPDATE SET dispatch_by = excluded.dispatch_by, look_at = ?8, ordered = excluded.ordered,
                     amount_minor = excluded.amount_minor, currency = excluded.currency";
        self.connection.prepare_cached(sql)?.execute(params![
            new.brand.as_str(),
            new.flow.as_str(),
            new.key.as_str(),
            new.dispatch_by.map(micros),
            i64::try_from(new.ordered).unwrap_or(i64::MAX),
            new.worth.minor(),
            new.worth.currency().code(),
            micros(now),
        ])?;
        Ok(())
    }

    /// Something is news about an order: whoever waits for it is looked at.
    pub fn promise_moved(&self, brand: &Brand, key: &RecordKey, now: Timestamp) -> Result<()> {
        for flow in self.promised_flows(brand)? {
            let sql = "UPDATE promises SET look_at = ?4 WHERE brand = ?1 AND flow = ?2 AND key = ?3";
            self.connection.prepare_cached(sql)?.execute(params![brand.as_str(), flow, key.as_str(), micros(now)])?;
        }
        Ok(())
    }

    /// Nothing more is to leave. Nothing happens when the row has moved since it was looked at: it is due again.
    pub fn promise_kept(&self, brand: &Brand, seen: &PromiseRow) -> Result<()> {
        let sql = "DELETE FROM promises WHERE brand = ?1 AND flow = ?2 AND key = ?3 AND ordered = ?4 AND look_at IS ?5";
        let ordered = i64::try_from(seen.ordered).unwrap_or(i64::MAX);
        let values = params![brand.as_str(), seen.flow.as_str(), seen.key.as_str(), ordered, seen.look_at.map(micros)];
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    /// What was seen when it was looked at: how many units have left, who owns it, and when it is looked at again. Nothing
    /// happens when the row has moved since.
    pub fn promise_seen(
        &self,
        brand: &Brand,
        seen: &PromiseRow,
        shipped: u64,
        exception: Option<ExceptionId>,
        look_at: Option<Timestamp>,
    ) -> Result<()> {
        let sql = "UPDATE promises SET shipped = ?4, exception_id = ?5, look_at = ?6
                   WHERE brand = ?1 AND flow = ?2 AND key = ?3 AND ordered = ?7 AND look_at IS ?8";
        self.connection.prepare_cached(sql)?.execute(params![
            brand.as_str(),
            seen.flow.as_str(),
            seen.key.as_str(),
            i64::try_from(shipped).unwrap_or(i64::MAX),
            exception.map(|id| id.0),
            look_at.map(micros),
            i64::try_from(seen.ordered).unwrap_or(i64::MAX),
            seen.look_at.map(micros),
        ])?;
        Ok(())
    }

    /// Looks at what an exception holds now.
    pub(crate) fn promises_look(&self, exception: ExceptionId, now: Timestamp) -> Result<u64> {
        let sql = "UPDATE promises SET look_at = ?2 WHERE exception_id = ?1";
        Ok(self.connection.prepare_cached(sql)?.execute(params![exception.0, micros(now)])? as u64)
    }

    /// Lets go what an exception holds: nobody waits for it any more.
    pub(crate) fn promises_drop(&self, exception: ExceptionId) -> Result<u64> {
        let sql = "DELETE FROM promises WHERE exception_id = ?1";
        Ok(self.connection.prepare_cached(sql)?.execute([exception.0])? as u64)
    }
}

impl View<'_> {
    /// The flows that brought something that has not left: few, and found by as many seeks.
    fn promised_flows(&self, brand: &Brand) -> Result<Vec<String>> {
        let mut statement = self.connection.prepare_cached("SELECT min(flow) FROM promises WHERE brand = ?1 AND flow > ?2")?;
        let (mut flows, mut last) = (Vec::new(), String::new());
        while let Some(flow) = statement.query_row([brand.as_str(), &last], |row| row.get::<_, Option<String>>(0))? {
            last.clone_from(&flow);
            flows.push(flow);
        }
        Ok(flows)
    }

    /// Orders that are to be looked at, the longest due first.
    pub fn promises_due(&self, brand: &Brand, now: Timestamp, limit_rows: usize) -> Result<Vec<PromiseRow>> {
        let sql =
            select_promises!("WHERE brand = ?1 AND look_at <= ?2 AND look_at IS NOT NULL ORDER BY look_at, flow, key LIMIT ?3");
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.query_and_then(params![brand.as_str(), micros(now), limit(limit_rows)], promise_row)?.collect()
    }

    /// Orders that an exception holds, the longest due first.
    pub fn promises_of(&self, exception: ExceptionId, limit_rows: usize) -> Result<Vec<PromiseRow>> {
        let sql = select_promises!("WHERE exception_id = ?1 ORDER BY dispatch_by, flow, key LIMIT ?2");
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.query_and_then(params![exception.0, limit(limit_rows)], promise_row)?.collect()
    }

    /// What warehouses have of an order and has not left.
    pub fn promises_of_order(&self, brand: &Brand, key: &RecordKey) -> Result<Vec<PromiseRow>> {
        let mut found = Vec::new();
        for flow in self.promised_flows(brand)? {
            let mut statement =
                self.connection.prepare_cached(select_promises!("WHERE brand = ?1 AND flow = ?2 AND key = ?3"))?;
            let rows = statement.query_and_then(params![brand.as_str(), flow, key.as_str()], promise_row)?;
            found.extend(rows.collect::<Result<Vec<_>>>()?);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use selvedge_model::{Currency, Problem};

    use super::*;
    use crate::samples::{at, brand, flow, memory};

    #[tokio::test]
    async fn a_promise_is_looked_at_when_due_and_when_something_moves() {
        let store = memory().await;
        store
            .write(|tx| {
                let eur = |minor| Money::from_minor(minor, Currency::from_code("EUR").unwrap());
                let (late, open) = (RecordKey::new("1"), RecordKey::new("2"));
                let new = |key: &RecordKey, ordered, dispatch_by, worth| NewPromise {
                    brand: brand(),
                    flow: flow(),
                    key: key.clone(),
                    ordered,
                    dispatch_by,
                    worth,
                };
                tx.promise(&new(&late, 3, Some(at(50)), eur(1_000)), at(1))?;
                tx.promise(&new(&open, 1, None, eur(500)), at(1))?;
                assert_eq!(tx.promises_due(&brand(), at(49), 10)?, []);
                let due = tx.promises_due(&brand(), at(50), 10)?;
                assert_eq!((due.len(), due[0].key.as_str(), due[0].ordered), (1, "1", 3));

                let problem = Problem::new("shipment.overdue", "", "late", "ask").cause("wms");
                let exception = tx.raise(&brand(), &flow(), &problem, at(50))?;
                tx.promise_seen(&brand(), &due[0], 2, Some(exception), Some(at(90)))?;
                assert_eq!(tx.promises_due(&brand(), at(60), 10)?, []);
                let row = tx.exception(exception)?;
                assert_eq!((row.count, row.money), (1, vec![eur(1_000)]));
                assert!(tx.close_empty(&brand(), at(61))?.is_empty(), "it holds an order");
                assert_eq!(tx.promises_of(exception, 10)?[0].shipped, 2);
                assert_eq!(tx.promises_of_order(&brand(), &late)?.len(), 1);

                // News of a shipment, and of one that nobody had promised a day for.
                tx.promise_moved(&brand(), &late, at(62))?;
                tx.promise_moved(&brand(), &open, at(62))?;
                assert_eq!(tx.promises_due(&brand(), at(62), 10)?.len(), 2);
                let stale = tx.promises_due(&brand(), at(62), 10)?;
                tx.promise(&new(&late, 4, Some(at(50)), eur(1_000)), at(63))?;
                tx.promise_kept(&brand(), &stale[0])?;
                let row = tx.promises_of_order(&brand(), &late)?.remove(0);
                assert_eq!(row.ordered, 4, "it moved since it was looked at");
                tx.promise_kept(&brand(), &row)?;
                assert_eq!(tx.close_empty(&brand(), at(63))?, [exception]);

                // A person looks again, then lets it go.
                tx.promise(&new(&late, 3, Some(at(50)), eur(1_000)), at(70))?;
                let row = tx.promises_of_order(&brand(), &late)?.remove(0);
                let exception = tx.raise(&brand(), &flow(), &problem, at(70))?;
                tx.promise_seen(&brand(), &row, 0, Some(exception), None)?;
                assert_eq!(tx.release(exception, None, at(71))?, 1);
                assert_eq!(tx.promises_due(&brand(), at(71), 10)?.len(), 2);
                assert_eq!(tx.dismiss(exception, "anna: it was lost", at(72))?, 1);
                assert_eq!(tx.promises_of_order(&brand(), &late)?, []);
                assert_eq!(tx.close_empty(&brand(), at(73))?, [exception]);
                Ok(())
            })
            .await
            .unwrap();
    }
}
