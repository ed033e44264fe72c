//! Repair: what the ledger can settle becomes an obligation again, by the ordinary journey and within limits.
//!
//! Nothing is written to a target from here. What never arrived, or arrived in an older state, is made news again: a notice, which
//! the engine answers by fetching the document and taking it through gate, delivery and read-back like any other. What stood there and
//! is gone goes back to the gate; it is looked for by our key before anything is sent. Everything else stays what it is, an
//! exception that a person decides.

use selvedge_model::{
    ExternalId, Kind, Money, RecordKey,
    compare::Cause,
    obligation::{Event, State},
    reconcile::Why,
};
use selvedge_store::{
    Result, StoreError, Tx,
    differences::{DifferenceRow, Wanted},
    obligations::Step,
};

use super::PairSetup;
use crate::actions::Actions;

/// Differences that are looked at for one plan.
const PLAN_MAX: usize = 100_000;

/// How much one repair may do.
#[derive(Clone, Debug)]
pub struct Limits {
    /// At most so many records.
    pub records: usize,
    /// At most so much money, per currency; a currency that is not named has no limit.
    pub money: Vec<Money>,
}

/// What the ledger does with one difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Its document is news again: it is fetched and delivered.
    Deliver,
    /// It goes back to the gate, and is sent again once nothing of it is found.
    Restore,
}

/// What a repair would do.
#[derive(Clone, Debug, Default)]
pub struct RepairPlan {
    /// Which differences, and how each is settled.
    pub repairs: Vec<(DifferenceRow, Repair)>,
    /// Money of their documents, per currency.
    pub money: Vec<Money>,
    /// Left for a later repair, as the limits are reached.
    pub left: u64,
    /// Left to a person: nothing that the ledger knows settles them.
    pub exceptions: u64,
}

fn repair_of(row: &DifferenceRow, pair: &PairSetup) -> Option<Repair> {
    let owed = pair.flows.iter().any(|(kind, _)| *kind == row.found.kind);
    // Money documents come with the return that tells them.
    let own = matches!(row.found.kind, Kind::Order | Kind::Shipment | Kind::Return);
    match row.found.why {
        Why::NeverArrived | Why::ShipmentMissing | Why::Stale if owed && own && row.found.source_id.is_some() => {
            Some(Repair::Deliver)
        }
        Why::Deleted | Why::GoodsWithoutCredit | Why::CreditWithoutGoods | Why::RefundMissing
            if owed && row.found.cause == Cause::Missing =>
        {
            Some(Repair::Restore)
        }
        _ => None,
    }
}

impl Actions {
    /// What a repair of a pair would do: the most money first, up to the limits.
    ///
    /// # Errors
    /// The store's.
    pub async fn plan_repair(&self, pair: &PairSetup, limits: &Limits) -> Result<RepairPlan> {
        let wanted = Wanted { pair: Some(pair.name.clone()), most: PLAN_MAX, ..Wanted::default() };
        let brand = self.brand.clone();
        let rows = self.store.read(move |view| view.differences(&brand, &wanted)).await?;
        let mut plan = RepairPlan::default();
        let mut documents: std::collections::BTreeSet<(Kind, String)> = std::collections::BTreeSet::new();
        for row in rows {
            let Some(repair) = repair_of(&row, pair) else {
                plan.exceptions += 1;
                continue;
            };
            if !documents.insert((row.found.kind, row.found.subject.clone())) {
                continue;
            }
            let with = |money: Money| {
                let before = plan.money.iter().find(|sum| sum.currency() == money.currency());
                before.map_or(Ok(money), |sum| sum.plus(money))
            };
            let sum = row.found.stake.map(with).transpose().ok().flatten();
            let over = sum.is_some_and(|sum| {
                limits.money.iter().any(|limit| limit.currency() == sum.currency() && sum.minor() > limit.minor())
            });
            if plan.repairs.len() >= limits.records || over {
                plan.left += 1;
                continue;
            }
            if let Some(sum) = sum {
                plan.money.retain(|money| money.currency() != sum.currency());
                plan.money.push(sum);
            }
            plan.repairs.push((row, repair));
        }
        Ok(plan)
    }

    /// Does what a plan says; how many records are on their way now. Each is audited.
    ///
    /// # Errors
    /// The store's; then nothing of it was done.
    pub async fn repair(&self, pair: &PairSetup, plan: RepairPlan) -> Result<u64> {
        let (brand, actor, now, pair) = (self.brand.clone(), self.actor.clone(), self.clock.now(), pair.clone());
        self.store
            .write(move |tx| {
                let mut done = 0;
                for (row, repair) in &plan.repairs {
                    let said = match repair {
                        // What stood there once goes by the gate, whatever it is called.
                        _ if restore(tx, &brand, &pair, row, now)? => "sent back to the gate",
                        Repair::Deliver => {
                            let source = row.found.source.as_ref().or(pair.sources.first());
                            let Some(source) = source else { continue };
                            for id in row.found.source_id.iter().flat_map(|ids| ids.split(", ")) {
                                tx.notice(&brand, source, row.found.kind, &ExternalId::new(id), now)?;
                            }
                            "made news again"
                        }
                        Repair::Restore => continue,
                    };
                    let subject = format!("{} {}", row.found.kind.word(), row.found.subject);
                    tx.audit(&brand, &actor, "reconcile.repair", &subject, &format!("{}: {said}", row.id), now)?;
                    done += 1;
                }
                Ok(done)
            })
            .await
    }
}

/// Sends what stood there and is gone back to the gate; whether it could be.
fn restore(
    tx: &Tx<'_>,
    brand: &selvedge_model::Brand,
    pair: &PairSetup,
    row: &DifferenceRow,
    now: jiff::Timestamp,
) -> Result<bool> {
    let key = RecordKey::new(&row.found.subject);
    let flows = pair.flows.iter().filter(|(kind, _)| *kind == row.found.kind);
    if row.found.cause != Cause::Missing {
        return Ok(false);
    }
    for (_, flow) in flows {
        let Some(owed) = tx.obligation_latest(brand, flow, &key)?.filter(|owed| owed.state == State::Confirmed) else { continue };
        let Some(exception) = row.found.exception else { return Err(StoreError::Absent(format!("the exception of {}", row.id))) };
        let step = Step { exception: Some(exception), ..Step::default() };
        tx.step(owed.id, Event::Drift, &step, now)?;
        tx.unbind(brand, &pair.target, row.found.kind, &key)?;
        tx.step(owed.id, Event::Release, &Step::default(), now)?;
        tx.tell(owed.id, "repair", "captured", &format!("{}: it is gone from {}; sent again", row.id, pair.target), now)?;
        return Ok(true);
    }
    Ok(false)
}
