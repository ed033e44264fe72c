//! What flows in shadow mode found at their targets, and what becomes of it when such a flow goes live.

use jiff::Timestamp;
use rusqlite::params;
use selvedge_model::{
    Brand, ConnectionName, ExternalId, FlowName, Kind, Money, ObligationId, RecordKey,
    obligation::{Event, State},
    replay::{Comparison, Verdict},
};

use crate::{
    Result, Tx, View,
    captures::kind_of,
    obligations::{ObligationRow, Step},
    packing::{limit, micros, moment, pack, unpack, unreadable},
    records::{from_json, json, money},
};

/// One record that was compared.
#[derive(Clone, Debug)]
pub struct ComparedRow {
    /// Its obligation.
    pub id: ObligationId,
    /// Of which kind.
    pub kind: Kind,
    /// Our key.
    pub key: RecordKey,
    /// What it is worth, where it is worth anything by itself.
    pub worth: Option<Money>,
    /// When it was looked at.
    pub at: Timestamp,
    /// What was found.
    pub comparison: Comparison,
}

/// What became of compared rows when their flow went live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Adopted {
    /// They stood as they should: tied to their documents, to be read back and confirmed.
    pub bound: u64,
    /// They stood otherwise or not at all: due.
    pub due: u64,
}

impl Tx<'_> {
    /// Notes what a flow in shadow mode found; the row is compared then.
    ///
    /// # Errors
    /// [`crate::StoreError::Move`] when another worker or a newer revision was quicker.
    pub fn compared(&self, id: ObligationId, found: &Comparison, note: &str, now: Timestamp) -> Result<()> {
        let step = Step { target: found.target.clone(), note: Some(note.to_owned()), ..Step::default() };
        self.step(id, Event::Compare, &step, now)?;
        let sql = "INSERT INTO comparisons (obligation_id, verdict, at, found_by, body) VALUES (?1, ?2, ?3, ?4, ?5)
                   ON CONFLICT (obligation_id) DO UPDATE SET verdict = excluded.verdict, at = excluded.at, found_by = excluded.found_by, body = excluded.body";
        let body = pack(&json(&found.differences)?);
        self.connection.prepare_cached(sql)?.execute(params![id.0, found.verdict.word(), micros(now), found.found_by, body])?;
        self.tell(id, "compare", found.verdict.word(), note, now)
    }

    /// The flow is live now: up to so many of its compared rows go on. What stood as it should is tied to its document and read
    /// back afresh; everything else goes through the gate, tied to what stands there so that it is changed and not made twice.
    pub fn adopt(
        &self,
        brand: &Brand,
        flow: &FlowName,
        to: &ConnectionName,
        limit_rows: usize,
        now: Timestamp,
    ) -> Result<Adopted> {
        let mut adopted = Adopted::default();
        for row in self.comparisons(brand, flow, ObligationId(0), limit_rows)? {
            if let Some(target) = &row.comparison.target {
                self.bind(brand, to, row.kind, &row.key, target, now)?;
            }
            let equal = row.comparison.verdict == Verdict::Equal && row.comparison.target.is_some();
            let (event, why) = match equal {
                true => (Event::Adopt, "it stood as it should when it was compared; it is read back once more"),
                false => (Event::Renew, "the flow is live now, and it does not stand as it should"),
            };
            let state = self.step(row.id, event, &Step::default(), now)?;
            self.tell(row.id, "adopt", state.word(), why, now)?;
            *(if equal { &mut adopted.bound } else { &mut adopted.due }) += 1;
        }
        Ok(adopted)
    }

    /// Enters what was captured for a flow while it was off, or before it was there: up to so many records, oldest first.
    /// Returns them as they stand in the ledger now; the caller says what becomes of them.
    pub fn catch_up(
        &self,
        brand: &Brand,
        side: &crate::obligations::FlowSide,
        after: selvedge_model::RecordId,
        limit_rows: usize,
        now: Timestamp,
    ) -> Result<Vec<ObligationRow>> {
        let sql = "SELECT r.id, r.key, r.revision, r.received_at FROM records r
                   WHERE r.brand = ?1 AND r.connection = ?2 AND r.kind = ?3 AND r.id > ?5 AND NOT EXISTS (
                     SELECT 1 FROM obligations o WHERE o.brand = r.brand AND o.flow = ?4 AND o.key = r.key AND o.revision = r.revision)
                   ORDER BY r.id LIMIT ?6";
        let mut statement = self.connection.prepare_cached(sql)?;
        let values =
            params![brand.as_str(), side.from.as_str(), side.kind.word(), side.flow.as_str(), after.0, limit(limit_rows)];
        let rows = statement.query_map(values, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
        let missing: Vec<(i64, String, u32, i64)> = rows.collect::<rusqlite::Result<_>>()?;
        let mut entered = Vec::with_capacity(missing.len());
        for (record, key, revision, received_at) in missing {
            let id = self.owe(
                &crate::obligations::NewObligation {
                    brand: brand.clone(),
                    flow: side.flow.clone(),
                    kind: side.kind,
                    key: RecordKey(key),
                    record: selvedge_model::RecordId(record),
                    revision,
                    captured_at: moment(received_at)?,
                },
                now,
            )?;
            entered.push(self.obligation(id)?);
        }
        Ok(entered)
    }
}

impl View<'_> {
    /// What a flow in shadow mode found, in the order of its obligations, after one: those that are compared now.
    pub fn comparisons(
        &self,
        brand: &Brand,
        flow: &FlowName,
        after: ObligationId,
        limit_rows: usize,
    ) -> Result<Vec<ComparedRow>> {
        let sql = "SELECT o.id, o.kind, o.key, o.amount_minor, o.currency, o.target, c.verdict, c.at, c.found_by, c.body
                   FROM obligations o JOIN comparisons c ON c.obligation_id = o.id
                   WHERE o.brand = ?1 AND o.flow = ?2 AND o.state = ?3 AND o.id > ?4 ORDER BY o.id LIMIT ?5";
        let mut statement = self.connection.prepare_cached(sql)?;
        let values = params![brand.as_str(), flow.as_str(), State::Compared.word(), after.0, limit(limit_rows)];
        let rows = statement.query_and_then(values, |row| {
            let (kind, currency, verdict): (String, Option<String>, String) = (row.get(1)?, row.get(4)?, row.get(6)?);
            let body = unpack("a comparison", row.get_ref(9)?.as_blob().map_err(rusqlite::Error::from)?)?;
            Ok(ComparedRow {
                id: ObligationId(row.get(0)?),
                kind: kind_of(&kind)?,
                key: RecordKey(row.get(2)?),
                worth: money(row.get(3)?, currency.as_deref())?,
                at: moment(row.get(7)?)?,
                comparison: Comparison {
                    verdict: Verdict::from_word(&verdict).ok_or_else(|| unreadable("a verdict", &verdict))?,
                    target: row.get::<_, Option<String>>(5)?.map(ExternalId),
                    found_by: row.get(8)?,
                    differences: from_json("a comparison", &body)?,
                },
            })
        })?;
        rows.collect()
    }

    /// Newest revisions that a rule keeps out of a flow, in the order of their obligations, after one; and what each is worth.
    pub fn left_out(
        &self,
        brand: &Brand,
        flow: &FlowName,
        note: &str,
        after: ObligationId,
        limit_rows: usize,
    ) -> Result<Vec<(ObligationId, RecordKey, Option<Money>)>> {
        let sql = "SELECT o.id, o.key, o.amount_minor, o.currency FROM obligations o JOIN records r ON r.id = o.record_id AND r.latest = 1
                   WHERE o.brand = ?1 AND o.flow = ?2 AND o.state = ?3 AND o.note = ?4 AND o.id > ?5 ORDER BY o.id LIMIT ?6";
        let mut statement = self.connection.prepare_cached(sql)?;
        let values = params![brand.as_str(), flow.as_str(), State::Excluded.word(), note, after.0, limit(limit_rows)];
        let rows = statement.query_and_then(values, |row| {
            let currency: Option<String> = row.get(3)?;
            Ok((ObligationId(row.get(0)?), RecordKey(row.get(1)?), money(row.get(2)?, currency.as_deref())?))
        })?;
        rows.collect()
    }

    /// How many rows of a flow are compared and were not adopted yet.
    pub fn compared_count(&self, brand: &Brand, flow: &FlowName) -> Result<u64> {
        let counts = self.state_counts(brand, flow)?;
        Ok(counts.iter().find(|(state, _)| *state == State::Compared).map_or(0, |(_, count)| *count))
    }
}

#[cfg(test)]
mod tests {
    use selvedge_model::RecordId;

    use super::*;
    use crate::{
        obligations::FlowSide,
        samples::{World, at, brand, connection, flow},
    };

    fn found(verdict: Verdict, target: Option<&str>) -> Comparison {
        Comparison { verdict, target: target.map(ExternalId::new), found_by: "our key".into(), differences: Vec::new() }
    }

    #[tokio::test]
    async fn what_was_compared_is_adopted_and_a_newer_revision_takes_its_place() {
        let world = World::new().await;
        let (same, other, old) = (world.order("1").await, world.order("2").await, world.order("3").await);
        world
            .tx(move |tx| {
                for (id, verdict, target) in
                    [(same, Verdict::Equal, Some("901")), (other, Verdict::Create, None), (old, Verdict::Change, Some("903"))]
                {
                    tx.step(id, Event::Clear, &Step::default(), at(100))?;
                    tx.compared(id, &found(verdict, target), "looked", at(101))?;
                    assert_eq!((tx.obligation(id)?.state, tx.obligation(id)?.attempts), (State::Compared, 0));
                }
                assert_eq!(tx.comparisons(&brand(), &flow(), same, 10)?.len(), 2);
                assert_eq!(tx.compared_count(&brand(), &flow())?, 3);
                Ok(())
            })
            .await;
        world.balanced().await;
        world.order("3").await;
        world
            .tx(move |tx| {
                assert_eq!(tx.obligation(old)?.state, State::Superseded);
                let adopted = tx.adopt(&brand(), &flow(), &connection("books"), 10, at(110))?;
                assert_eq!(adopted, Adopted { bound: 1, due: 1 });
                assert_eq!(tx.obligation(same)?.state, State::Delivered);
                assert_eq!(tx.obligation(other)?.state, State::Captured);
                let bound = tx.binding(&brand(), &connection("books"), Kind::Order, &"1".into())?;
                assert_eq!(bound, Some(ExternalId::new("901")));
                assert_eq!(tx.adopt(&brand(), &flow(), &connection("books"), 10, at(110))?, Adopted::default());
                Ok(())
            })
            .await;
        world.balanced().await;
    }

    #[tokio::test]
    async fn a_flow_that_was_off_is_given_what_came_meanwhile_once() {
        let world = World::new().await;
        world.order("1").await;
        world.order("1").await;
        world.order("2").await;
        world
            .tx(move |tx| {
                let side = FlowSide { flow: FlowName::from("late"), from: connection("shop"), kind: Kind::Order, off: false };
                let balance = |tx: &Tx<'_>| tx.balance(&brand(), std::slice::from_ref(&side), None).unwrap()[0].difference();
                assert_eq!(balance(tx), 3);
                let entered = tx.catch_up(&brand(), &side, RecordId(0), 2, at(200))?;
                let last = entered.last().unwrap().record;
                assert_eq!(tx.catch_up(&brand(), &side, last, 10, at(200))?.len(), 1);
                assert_eq!(balance(tx), 0);
                assert!(tx.catch_up(&brand(), &side, RecordId(0), 10, at(200))?.is_empty());
                let late = FlowName::from("late");
                assert_eq!(tx.state_counts(&brand(), &late)?, [(State::Captured, 2), (State::Superseded, 1)]);
                Ok(())
            })
            .await;
    }
}
