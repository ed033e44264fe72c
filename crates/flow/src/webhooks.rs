//! Outgoing webhooks: other programs are told what happened, in order, at least once.
//!
//! What is owed to a webhook is not kept anywhere: it is every event of the feed behind the place where the webhook stands
//! ([`selvedge_model::feed`]). The place moves when an event was taken, so a crash between the two tells that event twice, under the
//! same id, and none is left out. Each webhook has a loop of its own: a receiver that takes its time is waited for by nobody else. An event that is not taken is waited for: those behind it would reach the receiver in an order that
//! never was.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use selvedge_connector::{EventSink, Fault, Receipt};
use selvedge_model::{
    Brand, FlowName, Problem,
    alert::text::plain,
    feed::{Event, Pattern, Place, Stream, TestTold, Told, is_about_accounts},
};
use selvedge_store::{Result, webhooks::WebhookRow};

use crate::{backoff::after, engine::Engine, trouble::said_by};

/// Events of one stream that are read, and told, in one turn.
const BATCH: usize = 100;
/// How long after the last time it is written down how far a webhook was told.
const NOTED_EVERY: Duration = Duration::from_secs(1);
/// The first wait after one was not taken; each further one is twice as long.
const BACKOFF_FIRST: Duration = Duration::from_secs(5);
const BACKOFF_MAX: Duration = Duration::from_secs(600);
/// How often in a row before somebody is told.
const TRIES_MAX: u32 = 5;

/// What is told of a webhook that does not take its events.
pub const UNDELIVERED: &str = "webhook.undelivered";

/// One webhook.
#[derive(Clone)]
pub struct WebhookSetup {
    /// Its name in the config.
    pub name: String,
    /// Where events go.
    pub sink: Arc<dyn EventSink>,
    /// Which.
    pub events: Vec<Pattern>,
}

impl WebhookSetup {
    /// The streams that it is told of.
    pub fn streams(&self) -> Vec<Stream> {
        Stream::ALL.into_iter().filter(|stream| self.events.iter().any(|pattern| pattern.reads(*stream))).collect()
    }

    /// Tries it: sends an event that tells nothing, now. The receipt's warnings are what was answered.
    ///
    /// # Errors
    /// It was not taken: why, in a sentence.
    pub async fn test(&self, brand: &Brand, actor: &str, now: Timestamp) -> std::result::Result<Receipt, String> {
        let event = Event {
            id: format!("test-{}", now.as_microsecond()),
            kind: "webhook.test".to_owned(),
            at: now,
            data: Told::Test(TestTold { actor: actor.to_owned(), webhook: self.name.clone() }),
        };
        self.sink.tell(brand, &event).await.map_err(|fault| said_by(&fault))
    }

    fn wants(&self, event: &Event) -> bool {
        let leaves = !matches!(&event.data, Told::Act(act) if is_about_accounts(&act.action));
        leaves && self.events.iter().any(|pattern| pattern.takes(&event.kind))
    }
}

/// How far one was told of a stream since that was last written down.
#[derive(Default)]
struct Progress {
    place: Option<Place>,
    taken: u64,
    missed: Option<Fault>,
}

impl Engine {
    /// Forgets the webhooks that are configured no more, and closes what was open on them.
    pub(crate) async fn keep_webhooks(&self) -> Result<()> {
        let (brand, now) = (self.brand().clone(), self.now());
        let configured = self.setup().webhooks.iter().map(|one| (one.name.clone(), one.streams())).collect();
        self.store()
            .write(move |tx| {
                for name in tx.keep_webhooks(&brand, &configured)? {
                    tx.settle_standing(&brand, &undelivered(&name, "").cause, "the webhook is configured no more", now)?;
                }
                Ok(())
            })
            .await
    }

    /// Tells a webhook what happened since; how many events were taken.
    pub(crate) async fn tell_webhook(&self, index: usize) -> Result<usize> {
        let Some(webhook) = self.setup().webhooks.get(index) else { return Ok(0) };
        let row = self.webhook_row(webhook).await?;
        if row.due_at > self.now() {
            return Ok(0);
        }
        let mut taken = 0;
        for stream in webhook.streams() {
            let place = row.places.get(&stream).copied().unwrap_or(Place::beginning(stream));
            match self.tell_stream(webhook, place, &row, &mut taken).await? {
                true => {}
                false => break,
            }
        }
        Ok(taken)
    }

    /// Where it stands; one that is new, or wants more than before, begins now.
    async fn webhook_row(&self, webhook: &WebhookSetup) -> Result<WebhookRow> {
        let (brand, name, streams, now) = (self.brand().clone(), webhook.name.clone(), webhook.streams(), self.now());
        let (of, called) = (brand.clone(), name.clone());
        let known = self.store().read(move |view| view.webhook(&of, &called)).await?;
        match known.filter(|row| streams.iter().all(|stream| row.places.contains_key(stream))) {
            Some(row) => Ok(row),
            None => {
                self.store()
                    .write(move |tx| {
                        tx.begin_webhook(&brand, &name, &streams, now)?;
                        tx.webhook(&brand, &name)?.ok_or_else(|| selvedge_store::StoreError::Absent(name.clone()))
                    })
                    .await
            }
        }
    }

    /// Tells what comes next of one stream, as far as it is taken and until the end is asked for; whether all of it was.
    async fn tell_stream(&self, webhook: &WebhookSetup, place: Place, row: &WebhookRow, taken: &mut usize) -> Result<bool> {
        let brand = self.brand().clone();
        let events = self.store().read(move |view| view.feed(&brand, place, BATCH)).await?;
        let mut told = Progress::default();
        let mut noted_at = self.now();
        for (place, event) in events {
            if self.is_stopping() {
                break;
            }
            if webhook.wants(&event) {
                match webhook.sink.tell(self.brand(), &outgoing(event)).await {
                    Ok(_) => {
                        told.taken += 1;
                        *taken += 1;
                    }
                    Err(fault) => {
                        told.missed = Some(fault);
                        break;
                    }
                }
            }
            told.place = Some(place);
            // What a slow receiver took is not told again after an end that comes before the batch's.
            if self.now() >= after(noted_at, NOTED_EVERY) {
                self.note(webhook, row, std::mem::take(&mut told)).await?;
                noted_at = self.now();
            }
        }
        let came_through = told.missed.is_none();
        if told.place.is_some() || !came_through {
            self.note(webhook, row, told).await?;
        }
        Ok(came_through && !self.is_stopping())
    }

    /// Writes down how far it was told, and what it said.
    async fn note(&self, webhook: &WebhookSetup, row: &WebhookRow, told: Progress) -> Result<()> {
        let (brand, name, now) = (self.brand().clone(), webhook.name.clone(), self.now());
        // Those that it took before one that it did not take break the row of failures.
        let before = if told.taken > 0 { 0 } else { row.tries };
        self.store()
            .write(move |tx| {
                if let Some(place) = told.place {
                    tx.move_webhook(&brand, &name, place)?;
                }
                if told.taken > 0 {
                    tx.webhook_took(&brand, &name, told.taken, now)?;
                    tx.settle_standing(&brand, &undelivered(&name, "").cause, "an event was taken", now)?;
                }
                if let Some(fault) = &told.missed {
                    let said = said_by(fault);
                    tx.webhook_missed(&brand, &name, &said, again(before, fault, now))?;
                    if before.saturating_add(1) >= TRIES_MAX {
                        tx.raise_standing_anew(&brand, &FlowName::default(), &undelivered(&name, &said), now)?;
                    }
                }
                Ok(())
            })
            .await
    }
}

/// When it is tried again after so many failures.
fn again(before: u32, fault: &Fault, now: Timestamp) -> Timestamp {
    let doubled = BACKOFF_FIRST.saturating_mul(2_u32.saturating_pow(before.min(20))).min(BACKOFF_MAX);
    match fault {
        Fault::Throttled { wait: Some(wait), .. } => after(now, (*wait).max(doubled)),
        _ => after(now, doubled),
    }
}

/// The trouble with a webhook.
fn undelivered(name: &str, why: &str) -> Problem {
    Problem::new(
        UNDELIVERED,
        format!("webhooks.{name}"),
        format!("events over the webhook {name} are not taken: {why}"),
        format!(
            "Mend the receiver: it answers every event with a status of 200 to 299, what it has no use for, too. Then try it: \
             selvedge webhooks test {name}. Nothing is lost: its events wait in their order, and this closes with the first that is taken."
        ),
    )
    .value(name)
    .cause(name)
}

/// An event as it may leave the house: what looks like an e-mail address or a telephone number is blanked, and of rules about
/// addresses and customers only the rule is named.
fn outgoing(mut event: Event) -> Event {
    let blank = |text: &mut String| *text = plain("", text);
    match &mut event.data {
        Told::Exception(told) => {
            for text in [&mut told.message, &mut told.detail, &mut told.remedy] {
                *text = plain(&told.rule, text);
            }
            blank(&mut told.actor);
            told.person.iter_mut().for_each(blank);
        }
        Told::Act(told) => [&mut told.actor, &mut told.subject, &mut told.detail].into_iter().for_each(blank),
        Told::Record(told) => told.note.iter_mut().for_each(blank),
        Told::Test(_) => {}
    }
    event
}
