//! Messages through the states of every obligation: gate, claim, send, sort the answer.
//!
//! The claim is the intention on disk. No channel can be asked afterwards what it has, so what was lost is sent again, under the same
//! id: at least once, and where the channel knows the id (an event of a pager, a webhook's receiver) exactly once. For the same
//! reason what a channel answers is the proof: taken is confirmed.

use std::{sync::Arc, time::Duration};

use futures_util::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;
use selvedge_connector::{Clock, Fault, Receipt};
use selvedge_model::{
    Brand, FlowName, MessageId,
    alert::{ChannelName, Event as Why, Links, Message, Severity},
    obligation::{Event, State},
};
use selvedge_store::{
    Result, Store, StoreError, Tx,
    alerts::{MessageRow, MessageStep, NewMessage},
};

use super::{AlertSetup, Channel, LINK_FOR, exceptions_by_id, message_of, undelivered};
use crate::{backoff::after, engine::Engine, trouble::said_by};

/// Messages of one channel sent in one turn.
const BATCH: usize = 20;
/// The first wait after a passing fault; each further one is twice as long.
const BACKOFF_FIRST: Duration = Duration::from_secs(5);
const BACKOFF_MAX: Duration = Duration::from_secs(300);
/// How often in a row a message may not come through before the channel is an exception, and the next step is told.
const TRIES_MAX: u32 = 4;
/// How long after a lost answer a message is sent again.
const LOST_WAIT: Duration = Duration::from_secs(5);

/// What is needed to send messages of one brand: the engine's own, or a command's.
#[derive(Clone)]
pub struct Courier {
    /// Whose.
    pub brand: Brand,
    /// Where messages are kept.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where they go.
    pub setup: AlertSetup,
}

impl Engine {
    /// Sends what is due, all channels side by side; how many messages moved.
    pub(crate) async fn deliver_messages(&self) -> Result<usize> {
        let courier = Courier {
            brand: self.brand().clone(),
            store: self.store().clone(),
            clock: Arc::clone(&self.setup().clock),
            setup: self.setup().alerts.clone(),
        };
        let (brand, now) = (courier.brand.clone(), self.now());
        let due = self.store().read(move |view| view.channels_due(&brand, now)).await?;
        let mut under_way: FuturesUnordered<_> = due.iter().map(|channel| courier.channel(channel)).collect();
        let mut moved = 0;
        while let Some(result) = under_way.next().await {
            moved += result?;
        }
        Ok(moved)
    }
}

impl Courier {
    /// Tries a channel, or all: a test message to each goes the way of every message. What became of them.
    ///
    /// # Errors
    /// The store's.
    pub async fn test(&self, channels: &[ChannelName]) -> Result<Vec<MessageRow>> {
        let mut rows = Vec::new();
        for name in channels {
            let (brand, name, now) = (self.brand.clone(), name.clone(), self.clock.now());
            let message = Message {
                id: MessageId(0),
                brand: brand.0.clone(),
                event: Why::Test,
                severity: Severity::Info,
                by: None,
                items: Vec::new(),
                more: 0,
                at: now,
            };
            let new = NewMessage { channel: name.clone(), route: String::new(), step: 0, message, alerts: Vec::new() };
            // Claimed in the same transaction: an engine that runs beside this does not send it, too.
            let row = self
                .store
                .write(move |tx| {
                    let id = tx.owe_message(&brand, &new, now)?;
                    tx.step_message(id, Event::Clear, &MessageStep::default(), now)?;
                    tx.step_message(id, Event::Claim, &MessageStep::default(), now)?;
                    tx.message(id)
                })
                .await?;
            let id = row.id;
            if let Some(channel) = self.setup.channels.get(&name) {
                self.send(channel, row, Links { base: self.setup.public_url.clone(), acknowledge: None }).await?;
            }
            // Somebody waits for the answer: it is not tried again later.
            let now = self.clock.now();
            self.store.write(move |tx| give_up(tx, id, now)).await?;
            rows.push(self.store.read(move |view| view.message(id)).await?);
        }
        Ok(rows)
    }

    /// One channel's messages, one after another: people read them in order.
    async fn channel(&self, name: &ChannelName) -> Result<usize> {
        let Some(channel) = self.setup.channels.get(name) else { return self.strand(name).await };
        let mut moved = self.gate(name, channel).await?;
        for _ in 0..BATCH {
            let (brand, name, now) = (self.brand.clone(), name.clone(), self.clock.now());
            let due = self.store.read(move |view| view.messages_due(&brand, &name, State::Cleared, now, 1)).await?;
            let Some(row) = due.into_iter().next() else { break };
            let Some((row, links)) = self.claim(row).await? else { continue };
            let came_through = self.send(channel, row, links).await?;
            moved += 1;
            if !came_through {
                break;
            }
        }
        Ok(moved)
    }

    /// What was lost goes again; what is new is looked at: whether there is still something to tell.
    async fn gate(&self, name: &ChannelName, channel: &Channel) -> Result<usize> {
        let (brand, name, now) = (self.brand.clone(), name.clone(), self.clock.now());
        let one_by_one = channel.sink.one_by_one();
        let sink = Arc::clone(&channel.sink);
        let (probe, probe_name) = (brand.clone(), name.clone());
        let (lost, new) = self
            .store
            .read(move |view| {
                let lost = view.messages_due(&probe, &probe_name, State::Unanswered, now, BATCH)?;
                Ok((lost, view.messages_due(&probe, &probe_name, State::Captured, now, BATCH)?))
            })
            .await?;
        let count = lost.len() + new.len();
        if count == 0 {
            return Ok(0);
        }
        self.store
            .write(move |tx| {
                for row in &lost {
                    let note = Some("no answer came; it is sent again under the same id".to_owned());
                    unless_moved(tx.step_message(
                        row.id,
                        Event::FindNothing,
                        &MessageStep { note, ..MessageStep::default() },
                        now,
                    ))?;
                }
                for row in &new {
                    let alerts = tx.alerts_of(row.id)?;
                    let (event, note) = if let Some((event, why)) = tx.gate_message(row)? {
                        (event, Some(why))
                    } else if !sink.takes(row.message.event) {
                        let why =
                            format!("alert.not_taken version 1: the channel has no way to say {}", row.message.event.word());
                        (Event::Exclude, Some(why))
                    } else if one_by_one && alerts.len() > 1 {
                        split(tx, &brand, row, &alerts, now)?;
                        (Event::Exclude, Some("alert.one_by_one version 1: each alert has a message of its own".to_owned()))
                    } else {
                        (Event::Clear, None)
                    };
                    unless_moved(tx.step_message(row.id, event, &MessageStep { note, ..MessageStep::default() }, now))?;
                }
                Ok(count)
            })
            .await
    }

    /// A channel that is configured no more takes nothing.
    async fn strand(&self, name: &ChannelName) -> Result<usize> {
        let (brand, name, now) = (self.brand.clone(), name.clone(), self.clock.now());
        self.store
            .write(move |tx| {
                let mut rows = Vec::new();
                for state in [State::Captured, State::Cleared, State::Unanswered] {
                    rows.extend(tx.messages_due(&brand, &name, state, now, BATCH)?);
                }
                for row in &rows {
                    let note = Some("alert.no_channel version 1: there is no such channel any more".to_owned());
                    let step = |event, note: &Option<String>| {
                        tx.step_message(row.id, event, &MessageStep { note: note.clone(), ..MessageStep::default() }, now)
                    };
                    if row.state == State::Unanswered {
                        step(Event::FindNothing, &note)?;
                    }
                    if row.state != State::Captured {
                        step(Event::Claim, &note)?;
                    }
                    step(Event::Exclude, &note)?;
                    tx.message_unreached(row.id, now)?;
                }
                Ok(rows.len())
            })
            .await
    }

    /// Notes that it is about to leave, with the link that leaves with it.
    async fn claim(&self, row: MessageRow) -> Result<Option<(MessageRow, Links)>> {
        let now = self.clock.now();
        let token = self.setup.public_url.as_ref().filter(|_| row.message.event.asks()).map(|_| self.token(&row));
        let acknowledge =
            token.as_ref().zip(self.setup.public_url.as_ref()).map(|(token, base)| format!("{base}/alerts/ack/{token}"));
        let links = Links { base: self.setup.public_url.clone(), acknowledge };
        let id = row.id;
        let claimed = self
            .store
            .write(move |tx| {
                if unless_moved(tx.step_message(id, Event::Claim, &MessageStep::default(), now))?.is_none() {
                    return Ok(None);
                }
                if let Some(token) = &token {
                    tx.add_alert_link(id, token, after(now, LINK_FOR))?;
                }
                tx.message(id).map(Some)
            })
            .await?;
        Ok(claimed.map(|row| (row, links)))
    }

    /// What nobody can guess, and what is the same for no two attempts.
    fn token(&self, row: &MessageRow) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.setup.link_key);
        hasher.update(self.brand.0.as_bytes()).update(&[0]).update(&row.id.0.to_le_bytes()).update(&row.attempts.to_le_bytes());
        hasher.finalize().to_hex().chars().take(40).collect()
    }

    /// Sends one that is claimed, and writes down what came back; whether it came through.
    async fn send(&self, channel: &Channel, row: MessageRow, links: Links) -> Result<bool> {
        let result = channel.sink.put(&row.message, &links).await;
        let came_through = result.is_ok();
        match &result {
            Ok(_) => tracing::debug!(channel = %row.channel, message = %row.id, "told"),
            Err(fault) => {
                tracing::warn!(channel = %row.channel, message = %row.id, fault = fault.word(), detail = %said_by(fault), "a message did not arrive")
            }
        }
        let (brand, now) = (self.brand.clone(), self.clock.now());
        self.store.write(move |tx| record(tx, &brand, &row, result, now)).await?;
        Ok(came_through)
    }
}

/// The same as messages of one alert each.
fn split(tx: &Tx<'_>, brand: &Brand, row: &MessageRow, alerts: &[selvedge_model::AlertId], now: Timestamp) -> Result<()> {
    for id in alerts {
        let alert = tx.alert(brand, *id)?;
        let rows = exceptions_by_id(tx, [alert.exception])?;
        let Some(exception) = rows.get(&alert.exception) else { continue };
        let message = message_of(brand, row.message.event, row.message.by.as_deref(), &[(&alert, exception)], row.message.at);
        let new =
            NewMessage { channel: row.channel.clone(), route: row.route.clone(), step: row.step, message, alerts: vec![*id] };
        tx.owe_message(brand, &new, now)?;
    }
    Ok(())
}

/// Writes down what came of sending.
fn record(
    tx: &Tx<'_>,
    brand: &Brand,
    row: &MessageRow,
    result: std::result::Result<Receipt, Fault>,
    now: Timestamp,
) -> Result<()> {
    let note = |text: String| MessageStep { note: Some(text), ..MessageStep::default() };
    let moved = match result {
        Ok(receipt) => {
            let step = MessageStep {
                receipt: receipt.id.map(|id| id.0),
                note: Some(receipt.warnings.join("; ")).filter(|said| !said.is_empty()),
                ..MessageStep::default()
            };
            let done = tx.step_message(row.id, Event::Answer, &step, now).and_then(|_| {
                // Nobody can ask the channel again: that it took the message is the proof.
                tx.step_message(row.id, Event::Confirm, &MessageStep::default(), now)
            });
            well(tx, brand, &row.channel, now)?;
            done
        }
        Err(fault) => {
            let said = said_by(&fault);
            match fault {
                Fault::Refused { .. } | Fault::Exists { .. } => hold(tx, brand, row, &said, now),
                Fault::Unanswered { .. } | Fault::Unexpected { .. } if row.attempts <= TRIES_MAX => {
                    let step = MessageStep { due_at: Some(after(now, LOST_WAIT)), ..note(said) };
                    tx.step_message(row.id, Event::LoseAnswer, &step, now)
                }
                Fault::Throttled { wait: Some(wait), .. } if row.attempts <= TRIES_MAX.saturating_mul(4) => {
                    let step = MessageStep { due_at: Some(after(now, wait)), ..note(said) };
                    tx.step_message(row.id, Event::Postpone, &step, now)
                }
                _ if row.attempts <= TRIES_MAX => {
                    let wait =
                        BACKOFF_FIRST.saturating_mul(2_u32.saturating_pow(row.attempts.saturating_sub(1))).min(BACKOFF_MAX);
                    let step = MessageStep { due_at: Some(after(now, wait)), ..note(said) };
                    tx.step_message(row.id, Event::Postpone, &step, now)
                }
                _ => hold(tx, brand, row, &said, now),
            }
        }
    };
    unless_moved(moved).map(|_| ())
}

/// The channel is an exception of its own, and whoever waits for this message is told by the next step.
fn hold(tx: &Tx<'_>, brand: &Brand, row: &MessageRow, said: &str, now: Timestamp) -> Result<State> {
    let problem = undelivered(&row.channel, said);
    let exception = tx.raise_standing_anew(brand, &FlowName::default(), &problem, now)?;
    let step = MessageStep { exception: Some(exception), note: Some(said.to_owned()), ..MessageStep::default() };
    let state = tx.step_message(row.id, Event::Hold, &step, now)?;
    tx.message_unreached(row.id, now)?;
    Ok(state)
}

/// The channel works: its exception closes, and what it held goes before the gate again.
fn well(tx: &Tx<'_>, brand: &Brand, channel: &ChannelName, now: Timestamp) -> Result<()> {
    let cause = undelivered(channel, "").cause;
    if tx.exceptions_by_cause(brand, &cause)?.is_empty() {
        return Ok(());
    }
    tx.settle_standing(brand, &cause, "a message arrived", now)?;
    tx.release_messages(brand, channel, now).map(|_| ())
}

/// A test that has not arrived is not sent by anybody later.
fn give_up(tx: &Tx<'_>, id: MessageId, now: Timestamp) -> Result<()> {
    let step = MessageStep::default();
    match tx.message(id)?.state {
        State::Sending => tx.step_message(id, Event::Exclude, &step, now)?,
        State::Cleared => {
            tx.step_message(id, Event::Claim, &step, now)?;
            tx.step_message(id, Event::Exclude, &step, now)?
        }
        State::Unanswered => {
            tx.step_message(id, Event::FindNothing, &step, now)?;
            tx.step_message(id, Event::Claim, &step, now)?;
            tx.step_message(id, Event::Exclude, &step, now)?
        }
        State::Held => tx.step_message(id, Event::Dismiss, &step, now)?,
        other => other,
    };
    Ok(())
}

/// What another worker moved first is none of our business any more.
fn unless_moved<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(StoreError::Moved(_)) => Ok(None),
        Err(other) => Err(other),
    }
}
