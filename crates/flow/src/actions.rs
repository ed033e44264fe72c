//! What a person may do. Page, API and command line all call these; each is audited.

use std::sync::Arc;

use selvedge_connector::Clock;
use selvedge_model::{
    Brand, ConnectionName, ExceptionId, FlowName, ObligationId,
    close::Period,
    obligation::{Event, State},
};
use selvedge_store::{Result, Store, closes::CloseSign, comparisons::Adopted, obligations::Step};

use crate::engine::unless_moved;

/// How many obligations one line of the audit trail names.
const NAMED_MAX: usize = 50;

/// Acts in the name of one person, for one brand.
#[derive(Clone)]
pub struct Actions {
    /// Where.
    pub store: Store,
    /// Whose.
    pub brand: Brand,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who acts, as the audit trail names them.
    pub actor: String,
}

impl Actions {
    /// Sends what an exception holds back to the gate; how many.
    pub async fn release(&self, id: ExceptionId) -> Result<u64> {
        let (brand, actor, now) = (self.brand.clone(), self.actor.clone(), self.clock.now());
        self.store
            .write(move |tx| {
                let count = tx.release(id, None, now)?;
                tx.audit(&brand, &actor, "exception.release", &id.to_string(), &format!("{count} back to the gate"), now)?;
                Ok(count)
            })
            .await
    }

    /// Lets go what an exception holds, with a reason; how many.
    pub async fn dismiss(&self, id: ExceptionId, reason: &str) -> Result<u64> {
        let (brand, actor, now) = (self.brand.clone(), self.actor.clone(), self.clock.now());
        let reason = reason.to_owned();
        self.store
            .write(move |tx| {
                let count = tx.dismiss(id, &format!("{actor}: {reason}"), now)?;
                tx.audit(&brand, &actor, "exception.dismiss", &id.to_string(), &format!("{count} let go: {reason}"), now)?;
                Ok(count)
            })
            .await
    }

    /// Has obligations go through the gate once more, after a preview of what that changes; how many could. What is under way
    /// anyway, and what a newer revision took the place of, is left alone.
    pub async fn renew(&self, ids: &[ObligationId], why: &str) -> Result<u64> {
        let (brand, actor, now) = (self.brand.clone(), self.actor.clone(), self.clock.now());
        let (ids, why) = (ids.to_vec(), why.to_owned());
        self.store
            .write(move |tx| {
                let mut renewed = Vec::new();
                for id in ids {
                    let event = if tx.obligation(id)?.state == State::Held { Event::Release } else { Event::Renew };
                    if let Some(state) = unless_moved(tx.step(id, event, &Step::default(), now))? {
                        tx.tell(id, "renew", state.word(), &format!("{actor}: {why}"), now)?;
                        renewed.push(id.to_string());
                    }
                }
                let count = renewed.len() as u64;
                let named = renewed.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
                tx.audit(&brand, &actor, "obligation.renew", &named, &format!("{count} back to the gate: {why}"), now)?;
                Ok(count)
            })
            .await
    }

    /// A flow is live now that was in shadow mode: what it compared goes on, up to so many records. What stood as it should
    /// is tied to its document and read back; everything else is due.
    pub async fn adopt(&self, flow: &FlowName, to: &ConnectionName, limit: usize) -> Result<Adopted> {
        let (brand, actor, now) = (self.brand.clone(), self.actor.clone(), self.clock.now());
        let (flow, to) = (flow.clone(), to.clone());
        self.store
            .write(move |tx| {
                let adopted = tx.adopt(&brand, &flow, &to, limit, now)?;
                if adopted != Adopted::default() {
                    let detail = format!("{} tied to what stands at {to}, {} due", adopted.bound, adopted.due);
                    tx.audit(&brand, &actor, "flow.adopt", flow.as_str(), &detail, now)?;
                }
                Ok(adopted)
            })
            .await
    }

    /// Sets (or with `None` removes) a mapping, and sends everything that waited for exactly this
    /// value back to the gate; how many. A new default (`*`) releases whatever the table holds.
    pub async fn map(&self, connection: &ConnectionName, table: &str, key: &str, value: Option<&str>) -> Result<u64> {
        let (brand, actor, now) = (self.brand.clone(), self.actor.clone(), self.clock.now());
        let (connection, table, key) = (connection.clone(), table.to_owned(), key.to_owned());
        let value = value.map(str::to_owned);
        self.store
            .write(move |tx| {
                tx.map(&brand, &connection, &table, &key, value.as_deref(), &actor, now)?;
                let detail = format!("{} at {connection}", value.as_deref().unwrap_or("(removed)"));
                tx.audit(&brand, &actor, "mapping.set", &format!("{table} {key}"), &detail, now)?;
                let mut released = 0;
                if value.is_some() {
                    let prefix = format!("mapping.{table}:");
                    for exception in tx.exceptions(&brand, false)? {
                        let cause = &exception.problem.cause;
                        let meant = if key == "*" { cause.starts_with(&prefix) } else { *cause == format!("{prefix}{key}") };
                        if meant {
                            released += tx.release(exception.id, None, now)?;
                        }
                    }
                }
                Ok(released)
            })
            .await
    }

    /// Keeps that a pack was signed.
    ///
    /// # Errors
    /// [`selvedge_store::StoreError::SignedMeanwhile`] when it does not follow the last pack of its entity any more.
    pub async fn sign_close(&self, sign: CloseSign) -> Result<()> {
        let (brand, actor, now) = (self.brand.clone(), self.actor.clone(), self.clock.now());
        self.store
            .write(move |tx| {
                tx.add_close_sign(&brand, &sign)?;
                let subject = format!("{} {}", sign.entity, sign.period);
                let detail = format!(
                    "pack {}, number {}, restatement {}: {} rows, {} open",
                    sign.hash, sign.sequence, sign.restatement, sign.rows, sign.open_items
                );
                tx.audit(&brand, &actor, "close.sign", &subject, &detail, now)
            })
            .await
    }

    /// Opens a restatement of a period that was signed.
    ///
    /// # Errors
    /// [`selvedge_store::StoreError::Absent`] when it was never signed.
    pub async fn reopen_close(&self, entity: &str, period: Period, reason: &str) -> Result<()> {
        let (brand, actor, now) = (self.brand.clone(), self.actor.clone(), self.clock.now());
        let (entity, reason) = (entity.to_owned(), reason.to_owned());
        self.store
            .write(move |tx| {
                tx.reopen_close(&brand, &entity, period, &actor, &reason, now)?;
                tx.audit(&brand, &actor, "close.restate", &format!("{entity} {period}"), &reason, now)
            })
            .await
    }
}
