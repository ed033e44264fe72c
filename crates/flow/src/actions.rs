//! What a person may do. Page, API and command line all call these; each is audited.
//!
//! An admin can mark acts that take a second person. A marked act is not done but asked for
//! ([`StoreError::NeedsApproval`]), whoever calls, and done once when somebody else approves it, in the name of both.

use schemars::JsonSchema;
use std::sync::Arc;

use jiff::Timestamp;
use selvedge_connector::Clock;
use selvedge_model::{
    AnyRecord, ApprovalId, Brand, ConnectionName, ExceptionId, FlowName, ObligationId, PersonId,
    close::Period,
    edit::{self, Edit, EditField, one_line},
    obligation::{Event, State},
    owners::Owner,
    people::{Act, FourEyes, MapEntry},
};
use selvedge_store::{
    Result, Store, StoreError, Tx,
    closes::CloseSign,
    comparisons::Adopted,
    edits::EditedBy,
    events::EventKind,
    obligations::Step,
    people::approvals::{Approval, Decision},
    releases::Begun,
};

use crate::{engine::unless_moved, reconcile::Reconciler};

/// How many obligations one line of the audit trail names.
const NAMED_MAX: usize = 50;

/// Who acts. Reads as the name that the audit log has of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// As the audit log names them.
    pub name: String,
    /// The person who is signed in; `None` at the command line, and where the product acts by itself.
    pub person: Option<PersonId>,
}

impl From<&str> for Actor {
    fn from(name: &str) -> Self {
        Self::from(name.to_owned())
    }
}

impl From<String> for Actor {
    fn from(name: String) -> Self {
        Self { name, person: None }
    }
}

impl std::ops::Deref for Actor {
    type Target = str;
    fn deref(&self) -> &str {
        &self.name
    }
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

/// What a mapping that was set released.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct Mapped {
    /// So many went back to the gate.
    pub released: u64,
    /// So many follow by themselves when the first are confirmed.
    pub following: u64,
}

/// What an act came to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Done {
    /// So many went back to the gate, or were let go.
    Moved(u64),
    /// A release has begun that so many records belong to.
    Begun(Begun, u64),
    /// A mapping is set.
    Mapped(Mapped),
}

impl Done {
    /// How many records it moves, those that follow by themselves included.
    fn records(&self) -> u64 {
        match self {
            Done::Moved(count) | Done::Begun(_, count) => *count,
            Done::Mapped(mapped) => mapped.released + mapped.following,
        }
    }

    fn mapped(&self) -> Mapped {
        match self {
            Done::Mapped(mapped) => *mapped,
            other => Mapped { released: other.records(), following: 0 },
        }
    }
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
    /// Who acts.
    pub actor: Actor,
}

impl Actions {
    /// Sends everything that an exception holds back to the gate at once; how many.
    ///
    /// # Errors
    /// [`StoreError::NeedsApproval`] when it is marked; the store's.
    pub async fn release(&self, id: ExceptionId) -> Result<u64> {
        Ok(self.act(Act::Release { exception: id, at_once: true, records: 0, newest: None }).await?.records())
    }

    /// Sends one record of what an exception holds back to the gate. The engine watches it: when it is confirmed the rest
    /// follows by itself, and the first surprise stops it. With one record there is nothing to try first with.
    ///
    /// # Errors
    /// [`StoreError::NeedsApproval`] when it is marked; the store's.
    pub async fn release_stepwise(&self, id: ExceptionId) -> Result<Begun> {
        Ok(match self.act(Act::Release { exception: id, at_once: false, records: 0, newest: None }).await? {
            Done::Begun(begun, _) => begun,
            other => Begun::AtOnce(other.records()),
        })
    }

    /// Lets go what an exception holds, with a reason; how many.
    ///
    /// # Errors
    /// [`StoreError::NeedsApproval`] when it is marked; the store's.
    pub async fn dismiss(&self, id: ExceptionId, reason: &str) -> Result<u64> {
        Ok(self.act(Act::Dismiss { exception: id, reason: reason.to_owned(), records: 0, newest: None }).await?.records())
    }

    /// The same, for somebody who has seen it hold so many records, and this one as the newest: what was held since is not what they
    /// decided about.
    ///
    /// # Errors
    /// [`StoreError::Changed`] when it holds more by now, or a newer one; as [`Actions::dismiss`].
    pub async fn dismiss_seen(&self, id: ExceptionId, reason: &str, records: u64, newest: Option<ObligationId>) -> Result<u64> {
        Ok(self.act_as_seen(Act::Dismiss { exception: id, reason: reason.to_owned(), records, newest }).await?.records())
    }

    /// Sets (or with `None` removes) a mapping. Everything that waited for exactly this value goes back to the gate: one
    /// record first, where there are several, the rest when that one is confirmed. A new default (`*`) releases whatever the
    /// table holds.
    ///
    /// # Errors
    /// [`StoreError::NeedsApproval`] when it is marked; the store's.
    pub async fn map(&self, connection: &ConnectionName, table: &str, key: &str, value: Option<&str>) -> Result<Mapped> {
        let (table, key, value) = (table.to_owned(), key.to_owned(), value.map(str::to_owned));
        let act = Act::Map { connection: connection.clone(), table, key, value, before: None, records: 0 };
        Ok(self.act(act).await?.mapped())
    }

    /// The same, over what stands there as somebody has seen it; `None` for nothing.
    ///
    /// # Errors
    /// [`StoreError::Changed`] when it stands otherwise by now; as [`Actions::map`].
    pub async fn map_over(
        &self,
        connection: &ConnectionName,
        table: &str,
        key: &str,
        value: Option<&str>,
        before: Option<&str>,
    ) -> Result<Mapped> {
        let (table, key, value, before) = (table.to_owned(), key.to_owned(), value.map(str::to_owned), before.map(str::to_owned));
        Ok(self.act_as_seen(Act::Map { connection: connection.clone(), table, key, value, before, records: 0 }).await?.mapped())
    }

    /// Sets many mappings together, all or none, and releases what waited for them.
    ///
    /// # Errors
    /// It takes a second person, who is asked for all of them at once; the store's.
    pub async fn import(&self, entries: Vec<MapEntry>) -> Result<Mapped> {
        Ok(self.act(Act::Import { entries, before: Vec::new(), records: 0 }).await?.mapped())
    }

    /// The same, over what stands there as somebody has seen it, entry by entry.
    ///
    /// # Errors
    /// [`StoreError::Changed`] when one of them stands otherwise by now; nothing is set then.
    pub async fn import_over(&self, entries: Vec<MapEntry>, before: Vec<Option<String>>) -> Result<Mapped> {
        Ok(self.act_as_seen(Act::Import { entries, before, records: 0 }).await?.mapped())
    }

    async fn act(&self, act: Act) -> Result<Done> {
        self.act_if(act, |_, _, _| Ok(())).await
    }

    /// The same, unless what it is about stands otherwise by now than the act says.
    async fn act_as_seen(&self, act: Act) -> Result<Done> {
        self.act_if(act, as_it_was).await
    }

    /// Does an act that one person may do, or asks for one that takes two: in one transaction, so that no change of what is
    /// marked comes between.
    async fn act_if(&self, act: Act, stands: fn(&Tx<'_>, &Brand, &Act) -> Result<()>) -> Result<Done> {
        let (brand, actor, now) = (self.brand.clone(), self.actor.clone(), self.clock.now());
        let done = self.store.write(move |tx| {
            stands(tx, &brand, &act)?;
            let marked = tx.four_eyes(&brand)?;
            let work = || perform(tx, &brand, &actor, &act, now);
            // How many records it moves is known once it is done: then it is undone again.
            let done = tx.keep_if(work, |done| !marked.takes_two(&act, done.records()))?;
            if !marked.takes_two(&act, done.records()) {
                return Ok(Ok(done));
            }
            let act = as_it_stands(tx, &brand, act.clone().asked_for(done.records()))?;
            ask(tx, &brand, &actor, &act, now).map(Err)
        });
        done.await?.map_err(StoreError::NeedsApproval)
    }

    /// Gives an exception to an owner, with a note.
    pub async fn hand_over(&self, id: ExceptionId, to: &Owner, note: &str) -> Result<()> {
        let (brand, actor, now) = (self.brand.clone(), self.actor.clone(), self.clock.now());
        let (to, note) = (to.clone(), note.to_owned());
        self.store
            .write(move |tx| {
                ours(tx, &brand, id)?;
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
                ours(tx, &brand, id)?;
                tx.comment(id, &actor, &text, now)?;
                tx.audit(&brand, &actor, "exception.comment", &id.to_string(), &text, now)
            })
            .await
    }

    /// Snoozes an exception until an instant, for a reason. It wakes then, or at once when twice as many records hang on it.
    pub async fn snooze(&self, id: ExceptionId, until: Timestamp, reason: &str) -> Result<()> {
        let (brand, actor, now) = (self.brand.clone(), self.actor.clone(), self.clock.now());
        let reason = reason.to_owned();
        self.store
            .write(move |tx| {
                ours(tx, &brand, id)?;
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
                ours(tx, &brand, id)?;
                tx.wake(id, &actor, "woken", now)?;
                tx.audit(&brand, &actor, "exception.wake", &id.to_string(), "", now)
            })
            .await
    }

    /// Has both ends looked at again, before their time, of which an exception tells that they disagree.
    ///
    /// # Errors
    /// [`StoreError::Absent`] when these ends are not compared (any more).
    pub async fn look_again(&self, id: ExceptionId, pair: &str, reconciler: &Reconciler) -> Result<()> {
        let (brand, actor, now) = (self.brand.clone(), self.actor.clone(), self.clock.now());
        if !reconciler.pairs.iter().any(|one| one.name == pair) {
            return Err(StoreError::Absent(format!("the pair {pair}")));
        }
        let of = pair.to_owned();
        let oldest = self
            .store
            .write(move |tx| {
                ours(tx, &brand, id)?;
                tx.audit(&brand, &actor, "exception.look", &id.to_string(), &format!("{of} is looked at before its time"), now)?;
                tx.oldest_difference(id)
            })
            .await?;
        reconciler.ask(pair, oldest, id);
        Ok(())
    }

    /// Edits one order or shipment that an exception holds, and sends it back to the gate: the edits lie over what its source says, in
    /// every flow, until the source changes the same field. Both versions are kept. `seen`: what went in which field when somebody
    /// looked.
    ///
    /// # Errors
    /// [`StoreError::Absent`] when the exception does not hold it (any more), or it has no such field; [`StoreError::Changed`] when
    /// something else goes in a field by now than was seen.
    pub async fn edit(
        &self,
        id: ExceptionId,
        obligation: ObligationId,
        wanted: &[(EditField, Option<String>)],
        seen: &[(EditField, Option<String>)],
        reason: &str,
    ) -> Result<Vec<EditField>> {
        let (brand, actor, now) = (self.brand.clone(), self.actor.clone(), self.clock.now());
        let (wanted, seen, reason) = (wanted.to_vec(), seen.to_vec(), reason.to_owned());
        self.store
            .write(move |tx| {
                ours(tx, &brand, id)?;
                let row = tx.obligation(obligation)?;
                let record = tx.record(row.record)?.record;
                let kind = record.kind();
                if !matches!(record, AnyRecord::Order(_) | AnyRecord::Shipment(_)) || row.exception != Some(id) {
                    return Err(StoreError::Absent(format!("order or shipment {obligation} that {id} holds")));
                }
                let fields = EditField::of_record(&record);
                if let Some((field, _)) = wanted.iter().find(|(field, _)| !fields.contains(field)) {
                    return Err(StoreError::Absent(format!("field {} of {kind} {}", field.word(), row.key)));
                }
                let in_force = tx.edits_in_force(&brand, &row.key)?;
                let mut now_goes = record.clone();
                edit::lay_over(&mut now_goes, &in_force);
                let meant = |field: &EditField| wanted.iter().any(|(one, _)| one == field);
                if let Some((field, _)) =
                    seen.iter().find(|(field, went)| meant(field) && one_line(field.of(&now_goes)) != one_line(went.clone()))
                {
                    let goes = field.of(&now_goes).unwrap_or_else(|| "nothing".to_owned());
                    return Err(StoreError::Changed(format!("In {} of {kind} {} goes {goes} now.", field.name(), row.key)));
                }
                let changes: Vec<Edit> = wanted
                    .into_iter()
                    .filter(|(field, after)| field.of(&now_goes) != *after)
                    .map(|(field, after)| Edit::over(&record, field, after))
                    .collect();
                let fields: Vec<EditField> = changes.iter().map(|change| change.field).collect();
                if fields.is_empty() {
                    return Ok(fields);
                }
                let by = EditedBy { actor: &actor, reason: &reason, revision: row.revision };
                tx.edit(&brand, &row.key, &changes, &by, now)?;
                // The audit trail and the history say which fields; what stood and stands in them is kept with the order.
                let names = fields.iter().map(|field| field.name()).collect::<Vec<_>>().join(", ");
                let said = format!("{kind} {}: {names}: {reason}", row.key);
                tx.tell(obligation, "edit", "edited", &format!("{actor}: {names}: {reason}"), now)?;
                tx.tell_exception(id, EventKind::Edited, &actor, &said, now)?;
                tx.release_one(id, obligation, now)?;
                tx.audit(&brand, &actor, &format!("{}.edit", kind.word()), &row.key.0, &format!("{id}: {said}"), now)?;
                Ok(fields)
            })
            .await
    }

    /// Says yes to what somebody else asked for. It is done at once, in the name of both; how many records it releases or
    /// lets go. Signing is left to whoever asked, at the command line.
    ///
    /// # Errors
    /// [`StoreError::Forbidden`] when it is one's own, or one of the two may not do it; [`StoreError::Decided`] when it does not wait
    /// any more; [`StoreError::Changed`] when it would do something else by now; what the act itself returns.
    pub async fn approve(&self, id: ApprovalId) -> Result<u64> {
        let (brand, actor, now) = (self.brand.clone(), self.actor.clone(), self.clock.now());
        self.store
            .write(move |tx| {
                let asked = tx.approval(&brand, id, now)?;
                may_approve(tx, &brand, &actor, &asked)?;
                let signs = matches!(asked.act, Act::Sign { .. });
                tx.decide(&brand, id, if signs { Decision::Approved } else { Decision::Done }, &actor, now)?;
                // Looked at once it is known to wait still: what was done already does not stand as it did.
                as_it_was(tx, &brand, &asked.act).map_err(ask_anew)?;
                tx.audit(&brand, &actor, "approval.approve", &id.to_string(), &asked.act.says(), now)?;
                let both = Actor { name: format!("{}, approved by {actor}", asked.asked_by), person: asked.asker };
                if signs {
                    return Ok(0);
                }
                let moved = perform(tx, &brand, &both, &asked.act, now)?.records();
                no_more_than_asked_for(&asked.act, moved).map_err(ask_anew)?;
                Ok(moved)
            })
            .await
    }

    /// Says no to what was asked for, with a reason; whoever asked may take it back.
    ///
    /// # Errors
    /// [`StoreError::Forbidden`] when one may not do it oneself; [`StoreError::Decided`].
    pub async fn reject(&self, id: ApprovalId, reason: &str) -> Result<()> {
        let (brand, actor, now) = (self.brand.clone(), self.actor.clone(), self.clock.now());
        let reason = reason.to_owned();
        self.store
            .write(move |tx| {
                let asked = tx.approval(&brand, id, now)?;
                if !may(tx, &brand, actor.person, &asked.act)? {
                    return Err(forbidden(&asked.act));
                }
                tx.decide(&brand, id, Decision::Rejected(&reason), &actor, now)?;
                let detail = format!("{}: {reason}", asked.act.says());
                tx.audit(&brand, &actor, "approval.reject", &id.to_string(), &detail, now)
            })
            .await
    }

    /// Whether a period may be signed now: who approved it, where that takes a second person.
    ///
    /// # Errors
    /// [`StoreError::NeedsApproval`] when nobody has yet; it is asked for.
    pub async fn may_sign(&self, entity: &str, period: Period) -> Result<Option<String>> {
        let (brand, actor, now) = (self.brand.clone(), self.actor.clone(), self.clock.now());
        let act = Act::Sign { entity: entity.to_owned(), period };
        let asked = self.store.write(move |tx| {
            if !tx.four_eyes(&brand)?.close {
                return Ok(Ok(None));
            }
            match tx.approved(&brand, &act, &actor, now)? {
                Some(approval) => Ok(Ok(approval.decided_by)),
                None => ask(tx, &brand, &actor, &act, now).map(Err),
            }
        });
        asked.await?.map_err(StoreError::NeedsApproval)
    }

    /// Has obligations go through the gate once more, after a preview of what that changes; how many could. What is under way
    /// anyway, and what a newer revision took the place of, is left alone.
    pub async fn renew(&self, ids: &[ObligationId], why: &str) -> Result<u64> {
        let (brand, actor, now) = (self.brand.clone(), self.actor.clone(), self.clock.now());
        let (ids, why) = (ids.to_vec(), why.to_owned());
        self.store
            .write(move |tx| {
                let mut held = 0;
                for id in &ids {
                    held += u64::from(tx.obligation(*id)?.state == State::Held);
                }
                if let Some(most) = tx.four_eyes(&brand)?.release_over.filter(|most| held > *most) {
                    return Err(needs_two(held, most));
                }
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

    /// Keeps that a pack was signed.
    ///
    /// # Errors
    /// [`StoreError::SignedMeanwhile`] when it does not follow the last pack of its entity any more; [`StoreError::Forbidden`]
    /// when it takes a second person, and none has approved it.
    pub async fn sign_close(&self, sign: CloseSign) -> Result<()> {
        let (brand, actor, now) = (self.brand.clone(), self.actor.clone(), self.clock.now());
        self.store
            .write(move |tx| {
                if tx.four_eyes(&brand)?.close {
                    let act = Act::Sign { entity: sign.entity.clone(), period: sign.period };
                    let approval = tx.approved(&brand, &act, &actor, now)?.ok_or_else(|| {
                        StoreError::Forbidden("signing takes a second person, and nobody has approved it".to_owned())
                    })?;
                    tx.use_approval(&brand, approval.id, now)?;
                }
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
    /// [`StoreError::Absent`] when it was never signed; [`StoreError::NeedsApproval`] when signing takes two.
    pub async fn reopen_close(&self, entity: &str, period: Period, reason: &str) -> Result<()> {
        let act = Act::Restate { entity: entity.to_owned(), period, reason: reason.to_owned(), signed: None };
        self.act(act).await.map(|_| ())
    }

    /// Says which acts take a second person. To lift a mark takes two itself.
    ///
    /// # Errors
    /// [`StoreError::NeedsApproval`] when it lifts one.
    pub async fn mark(&self, marked: FourEyes) -> Result<()> {
        self.act(Act::Mark { marked, before: FourEyes::default() }).await.map(|_| ())
    }
}

/// The act with what stands now in the places that it changes, for whoever is to approve it.
fn as_it_stands(tx: &Tx<'_>, brand: &Brand, act: Act) -> Result<Act> {
    Ok(match act {
        Act::Map { connection, table, key, value, records, .. } => {
            let before = tx.mapping(brand, &connection, &table, &key)?;
            Act::Map { connection, table, key, value, before, records }
        }
        Act::Import { entries, records, .. } => {
            let stands = |entry: &MapEntry| tx.mapping(brand, &entry.connection, &entry.table, &entry.key);
            let before = entries.iter().map(stands).collect::<Result<_>>()?;
            Act::Import { entries, before, records }
        }
        Act::Mark { marked, .. } => Act::Mark { marked, before: tx.four_eyes(brand)? },
        Act::Release { exception, at_once, records, .. } => {
            Act::Release { exception, at_once, records, newest: tx.newest_held(exception)? }
        }
        Act::Dismiss { exception, reason, records, .. } => {
            Act::Dismiss { exception, reason, records, newest: tx.newest_held(exception)? }
        }
        Act::Restate { entity, period, reason, .. } => {
            let signed = signed(tx, brand, &entity, period)?;
            Act::Restate { entity, period, reason, signed }
        }
        other => other,
    })
}

/// What is done is what was decided: an exception that has grown since holds what nobody spoke of, and a mapping that was changed
/// since is somebody else's.
fn as_it_was(tx: &Tx<'_>, brand: &Brand, act: &Act) -> Result<()> {
    let stood = |connection: &ConnectionName, table: &str, key: &str, before: Option<&str>| {
        let stands = tx.mapping(brand, connection, table, key)?;
        if stands.as_deref() == before {
            return Ok(());
        }
        let (before, stands) = (before.unwrap_or("not set"), stands.as_deref().unwrap_or("not set"));
        Err(StoreError::Changed(format!("{table} {key} at {connection} was {before} when it was looked at and is {stands} now.")))
    };
    match act {
        Act::Map { connection, table, key, before, .. } => stood(connection, table, key, before.as_deref())?,
        Act::Import { entries, before, .. } => {
            let before = before.iter().map(Option::as_deref).chain(std::iter::repeat(None));
            for (entry, before) in entries.iter().zip(before) {
                stood(&entry.connection, &entry.table, &entry.key, before)?;
            }
        }
        Act::Mark { before, .. } => {
            let now = tx.four_eyes(brand)?;
            if now != *before {
                return Err(StoreError::Changed(format!("Two people are for {} now.", now.says())));
            }
        }
        Act::Restate { entity, period, signed: before, .. } => {
            if signed(tx, brand, entity, *period)? != *before {
                return Err(StoreError::Changed(format!("{period} of {entity} was signed anew since.")));
            }
        }
        Act::Release { .. } | Act::Dismiss { .. } | Act::Sign { .. } => {}
    }
    if let Act::Release { exception: id, records, newest, .. } | Act::Dismiss { exception: id, records, newest, .. } = act {
        ours(tx, brand, *id)?;
        let now_holds = tx.exception(*id)?.count;
        if now_holds > *records {
            return Err(StoreError::Changed(format!("{id} held {records} when it was looked at and holds {now_holds} now.")));
        }
        let newest_now = tx.newest_held(*id)?;
        if let Some((was, now)) = newest.zip(newest_now).filter(|(was, now)| now > was) {
            return Err(StoreError::Changed(format!("{id} holds {now} now; when it was looked at, {was} was the newest.")));
        }
    }
    Ok(())
}

/// The hash of the pack that stands for a period.
fn signed(tx: &Tx<'_>, brand: &Brand, entity: &str, period: Period) -> Result<Option<String>> {
    Ok(tx.close_signs(brand, entity)?.into_iter().rfind(|sign| sign.period == period).map(|sign| sign.hash))
}

/// A mapping releases what waits for it, whichever exceptions hold that: how much it is shows once it is done, and then it is
/// undone again.
fn no_more_than_asked_for(act: &Act, moved: u64) -> Result<()> {
    match act {
        Act::Map { records, .. } | Act::Import { records, .. } if moved > *records => {
            Err(StoreError::Changed(format!("It releases {moved} records now, {records} when it was asked for.")))
        }
        _ => Ok(()),
    }
}

/// What was asked for is not what would be done now.
fn ask_anew(error: StoreError) -> StoreError {
    match error {
        StoreError::Changed(how) => StoreError::Changed(format!("{how} Reject it, and have it asked for again.")),
        other => other,
    }
}

/// An id alone could be another brand's.
fn ours(tx: &Tx<'_>, brand: &Brand, id: ExceptionId) -> Result<()> {
    if tx.is_exception_of(brand, id)? { Ok(()) } else { Err(StoreError::Absent(id.to_string())) }
}

/// Does an act, whoever approved it.
fn perform(tx: &Tx<'_>, brand: &Brand, actor: &Actor, act: &Act, now: Timestamp) -> Result<Done> {
    if let Act::Release { exception: id, .. } | Act::Dismiss { exception: id, .. } = act {
        ours(tx, brand, *id)?;
    }
    match act {
        Act::Release { exception: id, at_once: true, .. } => {
            let count = tx.release(*id, None, now)?;
            let said = format!("{count} back to the gate");
            tx.tell_exception(*id, EventKind::Released, actor, &said, now)?;
            tx.audit(brand, actor, "exception.release", &id.to_string(), &said, now)?;
            Ok(Done::Moved(count))
        }
        Act::Release { exception: id, at_once: false, .. } => {
            let held = tx.exception(*id)?.count;
            let begun = tx.begin_release(*id, actor, now)?;
            let said = match &begun {
                Begun::Canary(obligation, key) => format!("{key} first ({obligation}), the rest when it is confirmed"),
                Begun::AtOnce(count) => format!("{count} back to the gate"),
                Begun::UnderWay => return Ok(Done::Begun(begun, 0)),
            };
            tx.audit(brand, actor, "exception.release", &id.to_string(), &said, now)?;
            Ok(Done::Begun(begun, held))
        }
        Act::Dismiss { exception: id, reason, .. } => {
            let count = tx.dismiss(*id, &format!("{actor}: {reason}"), now)?;
            let said = format!("{count} let go: {reason}");
            tx.tell_exception(*id, EventKind::Dismissed, actor, &said, now)?;
            tx.audit(brand, actor, "exception.dismiss", &id.to_string(), &said, now)?;
            Ok(Done::Moved(count))
        }
        Act::Map { connection, table, key, value, .. } => {
            Ok(Done::Mapped(map_one(tx, brand, actor, connection, (table, key, value.as_deref()), now)?))
        }
        Act::Import { entries, .. } => {
            let mut all = Mapped::default();
            for entry in entries {
                let what = (entry.table.as_str(), entry.key.as_str(), Some(entry.value.as_str()));
                let mapped = map_one(tx, brand, actor, &entry.connection, what, now)?;
                all.released += mapped.released;
                all.following += mapped.following;
            }
            Ok(Done::Mapped(all))
        }
        Act::Sign { .. } => Err(StoreError::Forbidden("a period is signed at the command line".to_owned())),
        Act::Restate { entity, period, reason, .. } => {
            tx.reopen_close(brand, entity, *period, actor, reason, now)?;
            tx.audit(brand, actor, "close.restate", &format!("{entity} {period}"), reason, now)?;
            Ok(Done::Moved(0))
        }
        Act::Mark { marked, .. } => {
            let before = tx.four_eyes(brand)?;
            tx.set_four_eyes(brand, marked)?;
            let detail = format!("{}, was {}", marked.says(), before.says());
            tx.audit(brand, actor, "people.four_eyes", "", &detail, now)?;
            Ok(Done::Moved(0))
        }
    }
}

/// Sets one mapping, or without a value removes it, and releases what waited for it.
fn map_one(
    tx: &Tx<'_>,
    brand: &Brand,
    actor: &Actor,
    connection: &ConnectionName,
    (table, key, value): (&str, &str, Option<&str>),
    now: Timestamp,
) -> Result<Mapped> {
    let before = tx.mapping(brand, connection, table, key)?;
    tx.map(brand, connection, table, key, value, actor, now)?;
    let detail = format!("{} at {connection}", value.unwrap_or("(removed)"));
    tx.audit(brand, actor, "mapping.set", &format!("{table} {key}"), &detail, now)?;
    let mut mapped = Mapped::default();
    let Some(value) = value else { return Ok(mapped) };
    let all = format!("mapping.{table}:");
    let one = format!("{all}{key}");
    let meant = tx.open_causes_at(brand, connection, if key == "*" { &all } else { &one })?;
    for (id, _, cause) in meant.into_iter().filter(|(_, _, cause)| key == "*" || *cause == one) {
        let asked = cause.strip_prefix(&all).unwrap_or_default();
        // What has an entry of its own does not ask for the default.
        if key == "*" && tx.mapping(brand, connection, table, asked)?.is_some() {
            continue;
        }
        let said = format!("{table} {asked} is {value} at {connection}");
        tx.tell_exception(id, EventKind::Mapped, actor, &said, now)?;
        // A first one that left with another value proves nothing of this one.
        if before.as_deref() != Some(value) {
            tx.end_release(id)?;
        }
        match tx.begin_release(id, actor, now)? {
            Begun::AtOnce(count) => mapped.released += count,
            Begun::Canary(..) => {
                mapped.released += 1;
                mapped.following += tx.exception(id)?.count;
            }
            // The same value again changes nothing of what is on its way.
            Begun::UnderWay => {}
        }
    }
    Ok(mapped)
}

fn ask(tx: &Tx<'_>, brand: &Brand, actor: &Actor, act: &Act, now: Timestamp) -> Result<ApprovalId> {
    let id = tx.ask(brand, act, actor.person, actor, now)?;
    tx.audit(brand, actor, "approval.ask", &id.to_string(), &act.says(), now)?;
    Ok(id)
}

/// Whether a person may do an act by what they are now.
fn may(tx: &Tx<'_>, brand: &Brand, person: Option<PersonId>, act: &Act) -> Result<bool> {
    person.map_or(Ok(false), |id| Ok(tx.person(brand, id)?.rights().has(act.right())))
}

/// So many held records at once are for two people.
pub(crate) fn needs_two(held: u64, most: u64) -> StoreError {
    StoreError::Forbidden(format!(
        "{held} of these are held, and a release of more than {most} takes a second person. Release them on the page of their exception."
    ))
}

fn forbidden(act: &Act) -> StoreError {
    StoreError::Forbidden(format!("That takes the right to {}.", act.right().says()))
}

/// Two people, both of whom may do it.
fn may_approve(tx: &Tx<'_>, brand: &Brand, second: &Actor, asked: &Approval) -> Result<()> {
    if !may(tx, brand, second.person, &asked.act)? {
        return Err(forbidden(&asked.act));
    }
    if asked.asker.is_some() && asked.asker == second.person {
        return Err(StoreError::Forbidden("Nobody approves what they asked for themselves: somebody else has to.".to_owned()));
    }
    // Who asked at the command line has the machine, and no roles.
    if asked.asker.is_some() && !may(tx, brand, asked.asker, &asked.act)? {
        return Err(StoreError::Forbidden(format!("{} may not do this any more. Reject it.", asked.asked_by)));
    }
    Ok(())
}
