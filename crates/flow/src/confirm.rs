//! 4 · Confirm: read back, compare, and only then call it done. A 200 is not a confirmation.

use std::collections::{HashSet, VecDeque};

use futures_util::stream::{FuturesUnordered, StreamExt};
use selvedge_connector::{Fault, Noted, Priority, watched};
use selvedge_model::{
    AnyRecord, Kind, Problem,
    compare::{Cause, Difference, compare},
    gate::Values,
    obligation::{Event, State},
};
use selvedge_store::{
    Result,
    obligations::{ObligationRow, Step},
    parts::{Claim, PartsOf},
};

use tracing::Instrument;

use crate::{
    backoff::next_try,
    deliver::evidence,
    engine::{Engine, Flow, unless_moved},
    gate::hold,
    spans,
};

/// Rows read back in one batch, per slot.
const BATCH_PER_SLOT: usize = 8;
/// Reads that found nothing or nothing readable, before a person is asked.
const READS_MAX: u32 = 4;

/// What reading back showed.
enum Seen {
    Equal,
    Different(Vec<Difference>),
    Missing,
    Unreadable(Vec<Problem>),
}

impl Engine {
    /// Reads back every delivered row that is due; returns how many.
    pub(crate) async fn confirm(&self, flow: &Flow) -> Result<usize> {
        let parallel = flow.setup.parallel.max(1);
        let mut under_way = FuturesUnordered::new();
        // Rows being read, and those that wait for a slot.
        let (mut taken, mut waiting) = (HashSet::new(), VecDeque::new());
        let (mut done, mut dry) = (0, false);
        loop {
            if !dry && waiting.is_empty() && !self.is_stopping() && !self.paused(&flow.setup.to) {
                let (brand, name, now) = (self.brand().clone(), flow.setup.name.clone(), self.now());
                let limit = parallel * BATCH_PER_SLOT + taken.len();
                let rows = self.store().read(move |view| view.due(&brand, &name, State::Delivered, now, limit)).await?;
                waiting.extend(rows.into_iter().filter(|row| taken.insert(row.id)));
                dry = waiting.is_empty();
            }
            while under_way.len() < parallel
                && let Some(row) = waiting.pop_front()
            {
                let span = spans::of_row("confirm", &flow.setup, &row);
                under_way.push(async { (row.id, self.confirm_one(flow, row).await) }.instrument(span));
            }
            // As in deliver: one read that hangs must not keep the other slots empty.
            let finished = tokio::select! {
                finished = under_way.next() => finished,
                () = self.more_to_confirm(), if !self.is_stopping() => {
                    dry = false;
                    continue;
                }
            };
            let Some((id, result)) = finished else { return Ok(done) };
            result?;
            taken.remove(&id);
            done += 1;
        }
    }

    async fn confirm_one(&self, flow: &Flow, row: ObligationRow) -> Result<()> {
        let Some(target) = row.target.clone() else {
            // Delivered rows carry their target; one without would be found again by our key.
            return self.read_again(flow, &row, "it has no id there").await;
        };
        let (read, noted) = watched(flow.mirror.fetch(std::slice::from_ref(&target), Priority::Orders)).await;
        let raws = match read {
            Ok(raws) => raws,
            Err(fault) => {
                self.note_trouble(&flow.setup.to, &fault).await?;
                return self.fault(flow, &row, fault, noted).await;
            }
        };
        let owed = row.clone();
        let expected = self.store().read(move |view| view.owed(&owed)).await?;
        let seen = match raws.first() {
            None => Seen::Missing,
            Some(raw) => {
                let actual = flow.mirror.decode(raw, &row.values);
                match actual.record {
                    None => Seen::Unreadable(actual.problems),
                    Some(record) => {
                        let mut differences = compare(&expected, &record, flow.sink.carries());
                        differences.extend(other_values(&row.values, &actual.values));
                        if differences.is_empty() { Seen::Equal } else { Seen::Different(differences) }
                    }
                }
            }
        };
        self.settle(flow, row, &expected, seen, noted).await
    }

    async fn settle(
        &self,
        flow: &Flow,
        row: ObligationRow,
        expected: &AnyRecord,
        seen: Seen,
        noted: Option<Noted>,
    ) -> Result<()> {
        let problems = match seen {
            Seen::Equal => {
                let (id, now) = (row.id, self.now());
                // What was taken back, and is seen taken back, gives nothing back any more.
                let freed = (expected.is_cancelled() && matches!(row.kind, Kind::Return | Kind::CreditNote)).then(|| Claim {
                    of: PartsOf { brand: self.brand().clone(), at: flow.setup.to.clone(), kind: row.kind },
                    key: row.key.clone(),
                    flow: row.flow.clone(),
                    wholes: Vec::new(),
                    parts: Vec::new(),
                });
                return self
                    .store()
                    .write(move |tx| {
                        if let Some(freed) = &freed {
                            tx.claim_parts(freed)?;
                        }
                        let moved = tx
                            .step(id, Event::Confirm, &Step::default(), now)
                            .and_then(|_| tx.tell(id, "confirm", "confirmed", "read back and equal", now));
                        unless_moved(moved).map(|_| ())
                    })
                    .await;
            }
            Seen::Different(differences) => vec![difference_problem(flow, expected, &differences)],
            Seen::Missing if row.retries < READS_MAX => return self.read_again(flow, &row, "not visible there yet").await,
            Seen::Missing => vec![Problem::new(
                "confirm.missing",
                "",
                format!("{} took it and does not show it", flow.setup.to),
                "Look for it there. Release looks by our key and sends it again only if it is not there.",
            )],
            Seen::Unreadable(_) if row.retries < READS_MAX => {
                return self.read_again(flow, &row, "what stands there could not be read").await;
            }
            Seen::Unreadable(problems) if problems.is_empty() => vec![Problem::new(
                "confirm.unreadable",
                "",
                format!("what stands at {} could not be read", flow.setup.to),
                "Look at the document there; if the system has changed, update the connector, then release.",
            )],
            Seen::Unreadable(problems) => problems,
        };
        self.hold_with_evidence(flow, &row, problems, noted).await
    }

    async fn hold_with_evidence(
        &self,
        flow: &Flow,
        row: &ObligationRow,
        problems: Vec<Problem>,
        noted: Option<Noted>,
    ) -> Result<()> {
        let (brand, name, id, now) = (self.brand().clone(), flow.setup.name.clone(), row.id, self.now());
        let evidence = noted.and_then(evidence);
        self.store()
            .write(move |tx| {
                if let Some(evidence) = &evidence {
                    tx.keep_exchange(id, evidence, now)?;
                }
                unless_moved(hold(tx, &brand, &name, id, "confirm", &problems, now)).map(|_| ())
            })
            .await
    }

    async fn read_again(&self, flow: &Flow, row: &ObligationRow, why: &str) -> Result<()> {
        let now = self.now();
        let (id, due_at, why) = (row.id, next_try(&flow.setup, self.setup().seed, row.id, row.retries, now), why.to_owned());
        self.store().write(move |tx| unless_moved(tx.postpone(id, due_at, Some(&why))).map(|_| ())).await
    }

    async fn fault(&self, flow: &Flow, row: &ObligationRow, fault: Fault, noted: Option<Noted>) -> Result<()> {
        match fault {
            // It is the reading that is refused, not the document.
            Fault::Refused { problems, .. } => self.hold_with_evidence(flow, row, problems, noted).await,
            other => self.read_again(flow, row, &other.to_string()).await,
        }
    }
}

/// Mapped values that read back as something else.
pub(crate) fn other_values(expected: &Values, actual: &Values) -> Vec<Difference> {
    actual
        .iter()
        .filter_map(|(table, key, value)| {
            let wanted = expected.by_key(table, key)?;
            (wanted != value).then(|| Difference {
                cause: Cause::Mapping,
                path: format!("{table} {key}"),
                expected: Some(wanted.to_owned()),
                actual: Some(value.to_owned()),
                money: None,
            })
        })
        .collect()
}

fn difference_problem(flow: &Flow, expected: &AnyRecord, differences: &[Difference]) -> Problem {
    let said: Vec<String> = differences
        .iter()
        .take(10)
        .map(|d| {
            let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
            format!("{}: {} here, {} there", d.path, side(&d.expected), side(&d.actual))
        })
        .collect();
    let more = differences.len().saturating_sub(said.len());
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let cause = differences.first().map_or(Cause::Missing, |d| d.cause);
    let word = serde_json::to_value(cause).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
    let path = differences.first().map(|d| d.path.clone()).unwrap_or_default();
    Problem::new(
        &format!("confirm.{word}"),
        path,
        format!("{} {} stands at {} differently: {}{more}", expected.kind(), expected.key(), flow.setup.to, said.join("; ")),
        "Find out who changed it there. Release writes our figures again if the target still takes them; dismiss keeps theirs.",
    )
    .cause(flow.setup.to.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_values_that_the_target_reports_are_compared() {
        let (mut ours, mut theirs) = (Values::default(), Values::default());
        ours.set("subsidiary", "market=1", "2");
        ours.set("location", "market=1", "6");
        theirs.set("subsidiary", "market=1", "3");
        theirs.set("terms", "x=1", "9");
        let found = other_values(&ours, &theirs);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].actual.as_deref(), Some("3"));
    }
}
