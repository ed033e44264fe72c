//! What a person may do. Page, API and command line all call these; each is audited.

use std::sync::Arc;

use jiff::Timestamp;
use selvedge_connector::Clock;
use selvedge_model::{
    AnyRecord, Brand, ConnectionName, ExceptionId, FlowName, ObligationId,
    close::Period,
    edit::{self, Edit, EditField},
    obligation::{Event, State},
    owners::Owner,
};
use selvedge_store::{
    Result, Store, StoreError, closes::CloseSign, comparisons::Adopted, edits::EditedBy, events::EventKind, obligations::Step,
    releases::Begun,
};

use crate::engine::unless_moved;

/// How many obligations one line of the audit trail names.
const NAMED_MAX: usize = 50;

/// What a mapping that was set released.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Mapped {
    /// So many went back to the gate.
    pub released: u64,
    /// So many follow by themselves when the first are confirmed.
    pub following: u64,
}

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
    /// Sends everything that an exception holds back to the gate at once; how many.
    pub async fn release(&self, id: ExceptionId) -> Result<u64> {
        let (brand, actor, now) = (self.brand.clone(), self.actor.clone(), self.clock.now());
        self.store
            .write(move |tx| {
                let count = tx.release(id, None, now)?;
                let said = format!("{count} back to the gate");
                tx.tell_exception(id, EventKind::Released, &actor, &said, now)?;
                tx.audit(&brand, &actor, "exception.release", &id.to_string(), &said, now)?;
                Ok(count)
            })
            .await
    }

    /// Sends one record of what an exception holds back to the gate. The engine watches it: when it is confirmed the rest
    /// follows by itself, and the first surprise stops it. With one record there is nothing to try first with.
    pub async fn release_stepwise(&self, id: ExceptionId) -> Result<Begun> {
        let (brand, actor, now) = (self.brand.clone(), self.actor.clone(), self.clock.now());
        self.store
            .write(move |tx| {
                let begun = tx.begin_release(id, &actor, now)?;
                let said = match &begun {
                    Begun::Canary(obligation, key) => format!("{key} first ({obligation}), the rest when it is confirmed"),
                    Begun::AtOnce(count) => format!("{count} back to the gate"),
                    Begun::UnderWay => return Ok(begun),
                };
                tx.audit(&brand, &actor, "exception.release", &id.to_string(), &said, now)?;
                Ok(begun)
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
                let said = format!("{count} let go: {reason}");
                tx.tell_exception(id, EventKind::Dismissed, &actor, &said, now)?;
                tx.audit(&brand, &actor, "exception.dismiss", &id.to_string(), &said, now)?;
                Ok(count)
            })
            .await
    }

    /// Gives an exception to an owner, with a note.
    pub async fn hand_over(&self, id: ExceptionId, to: &Owner, note: &str) -> Result<()> {
        let (brand, actor, now) = (self.brand.clone(), self.actor.clone(), self.clock.now());
        let (to, note) = (to.clone(), note.to_owned());
        self.store
            .write(move |tx| {
                tx.hand_over(id, &to, &actor, &note, now)?;
                tx.audit(&brand, &actor, "exception.hand_over", &id.to_string(), &format!("to {to}: {note}"), now)
            })
            .await
    }

    /// Says something about an exception.
    pub async fn comment(&self, id: ExceptionId, text: &str) -> Result<()> {
        let (brand, actor, now) = (self.brand.clone(), self.actor.clone(), self.clock.now());
        let text = text.to_owned();
        self.store
            .write(move |tx| {
                tx.comment(id, &actor, &text, now)?;
                tx.audit(&brand, &actor, "exception.comment", &id.to_string(), &text, now)
            })
            .await
    }

    /// Snoozes an exception until an instant, for a reason. It wakes then, or at once when it holds twice as much.
    pub async fn snooze(&self, id: ExceptionId, until: Timestamp, reason: &str) -> Result<()> {
        let (brand, actor, now) = (self.brand.clone(), self.actor.clone(), self.clock.now());
        let reason = reason.to_owned();
        self.store
            .write(move |tx| {
                tx.snooze(id, until, &reason, &actor, now)?;
                tx.audit(&brand, &actor, "exception.snooze", &id.to_string(), &format!("until {until}: {reason}"), now)
            })
            .await
    }

    /// Puts an exception back among the others before its time.
    pub async fn wake(&self, id: ExceptionId) -> Result<()> {
        let (brand, actor, now) = (self.brand.clone(), self.actor.clone(), self.clock.now());
        self.store
            .write(move |tx| {
                tx.wake(id, &actor, "woken", now)?;
                tx.audit(&brand, &actor, "exception.wake", &id.to_string(), "", now)
            })
            .await
    }

    /// Edits one order that an exception holds, and sends it back to the gate: the edits lie over what its source says, in
    /// every flow, until the source changes the same field. Both versions are kept.
    ///
    /// # Errors
    /// [`StoreError::Absent`] when the exception does not hold this order (any more).
    pub async fn edit(
        &self,
        id: ExceptionId,
        obligation: ObligationId,
        wanted: &[(EditField, Option<String>)],
        reason: &str,
    ) -> Result<Vec<EditField>> {
        let (brand, actor, now) = (self.brand.clone(), self.actor.clone(), self.clock.now());
        let (wanted, reason) = (wanted.to_vec(), reason.to_owned());
        self.store
            .write(move |tx| {
                let row = tx.obligation(obligation)?;
                let record = tx.record(row.record)?.record;
                let (AnyRecord::Order(order), Some(true)) = (record, row.exception.map(|held_by| held_by == id)) else {
                    return Err(StoreError::Absent(format!("order {obligation} that {id} holds")));
                };
                let in_force = tx.edits_in_force(&brand, &row.key)?;
                let mut now_goes = (*order).clone();
                edit::lay_over(&mut now_goes, &in_force);
                let changes: Vec<Edit> = wanted
                    .into_iter()
                    .filter(|(field, after)| field.of(&now_goes) != *after)
                    .map(|(field, after)| Edit { field, before: field.of(&order), after })
                    .collect();
                let fields: Vec<EditField> = changes.iter().map(|change| change.field).collect();
                if fields.is_empty() {
                    return Ok(fields);
                }
                let by = EditedBy { actor: &actor, reason: &reason, revision: row.revision };
                tx.edit(&brand, &row.key, &changes, &by, now)?;
                // The audit trail and the history say which fields; what stood and stands in them is kept with the order.
                let names = fields.iter().map(|field| field.name()).collect::<Vec<_>>().join(", ");
                let said = format!("order {}: {names}: {reason}", row.key);
                tx.tell(obligation, "edit", "edited", &format!("{actor}: {names}: {reason}"), now)?;
                tx.tell_exception(id, EventKind::Edited, &actor, &said, now)?;
                tx.release_one(id, obligation, now)?;
                tx.audit(&brand, &actor, "order.edit", &row.key.0, &format!("{id}: {said}"), now)?;
                Ok(fields)
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

    /// Sets (or with `None` removes) a mapping. Everything that waited for exactly this value goes back to the gate: one
    /// record first, where there are several, the rest when that one is confirmed. A new default (`*`) releases whatever the
    /// table holds.
    pub async fn map(&self, connection: &ConnectionName, table: &str, key: &str, value: Option<&str>) -> Result<Mapped> {
        let (brand, actor, now) = (self.brand.clone(), self.actor.clone(), self.clock.now());
        let (connection, table, key) = (connection.clone(), table.to_owned(), key.to_owned());
        let value = value.map(str::to_owned);
        self.store
            .write(move |tx| {
                tx.map(&brand, &connection, &table, &key, value.as_deref(), &actor, now)?;
                let detail = format!("{} at {connection}", value.as_deref().unwrap_or("(removed)"));
                tx.audit(&brand, &actor, "mapping.set", &format!("{table} {key}"), &detail, now)?;
                let mut mapped = Mapped::default();
                if let Some(value) = &value {
                    let all = format!("mapping.{table}:");
                    let one = format!("{all}{key}");
                    let meant = tx.open_causes(&brand, if key == "*" { &all } else { &one })?;
                    for (id, _, cause) in meant.into_iter().filter(|(_, _, cause)| key == "*" || *cause == one) {
                        let asked = cause.strip_prefix(&all).unwrap_or_default();
                        tx.tell_exception(
                            id,
                            EventKind::Mapped,
                            &actor,
                            &format!("{table} {asked} is {value} at {connection}"),
                            now,
                        )?;
                        match tx.begin_release(id, &actor, now)? {
                            Begun::AtOnce(count) => mapped.released += count,
                            Begun::Canary(..) => {
                                mapped.released += 1;
                                mapped.following += tx.exception(id)?.count;
                            }
                            Begun::UnderWay => {}
                        }
                    }
                }
                Ok(mapped)
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
