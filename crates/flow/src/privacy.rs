//! Forgetting a person on request, and what is old by itself.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use selvedge_connector::Clock;
use selvedge_model::{
    Brand,
    privacy::{Sought, unmistakable},
};
use selvedge_store::{
    Result, Store, Tx, View,
    audit::POLICY,
    privacy::{Erased, Person, TEXTS, Texts, Traces},
    retention::ExpiredPeople,
};

use crate::{actions::Actions, backoff::after};

/// Rows looked through in one look at the store.
const LOOKED_AT: usize = 5_000;
/// Rows whose content goes in one write: few enough that nobody waits long for the writer.
const ROWS: usize = 200;
/// Records whose people are looked for in other texts at once: all of those are looked through for them.
const PEOPLE: usize = 2_000;
/// How far the feed of records reaches back.
const FEED_KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// How often what is old is looked for.
const EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long it rests between two writes, and after the store refused.
const REST: Duration = Duration::from_millis(100);
const REST_AFTER_TROUBLE: Duration = Duration::from_secs(60);
/// Orders that one line of the audit trail names.
const NAMED_MAX: usize = 50;

impl Actions {
    /// Erases what is kept of a person; what, and what is still open and would be erased with it unless `open_too`: then
    /// nothing was done.
    ///
    /// # Errors
    /// The store's.
    pub async fn erase_person(&self, person: Person, open_too: bool) -> Result<std::result::Result<Erased, Traces>> {
        let mut erased = Erased::default();
        loop {
            let (brand, asked) = (self.brand.clone(), person.clone());
            let traces = self.store.read(move |view| view.traces(&brand, &asked)).await?;
            if !traces.open.is_empty() && !open_too {
                return Ok(Err(traces));
            }
            if erased == Erased::default() && !traces.records.is_empty() {
                self.begin_to_erase(&traces).await?;
            }
            erased = erased.and(self.erase_elsewhere(&traces).await?);
            if let Some(rest) = self.erase_records(&person, traces, open_too).await? {
                // Until it is folded, the log still holds what the pages said before.
                self.store.fold().await?;
                return Ok(Ok(erased.and(rest)));
            }
        }
    }

    /// Tells the audit trail that it begins: what goes first is gone, too, when the rest is broken off.
    async fn begin_to_erase(&self, traces: &Traces) -> Result<()> {
        let (brand, actor, now, orders) = (self.brand.clone(), self.actor.clone(), self.clock.now(), named(traces));
        let detail = format!("begun: {} records of {} orders", traces.records.len(), traces.orders.len());
        self.store.write(move |tx| tx.audit(&brand, &actor, "privacy.erase", &orders, &detail, now)).await
    }

    /// Takes the names out of what was written about anything, and the bytes out of webhook deliveries.
    async fn erase_elsewhere(&self, traces: &Traces) -> Result<Erased> {
        // What names them elsewhere goes first, a few rows at a time: broken off and asked for again, the records still tell the names.
        let (now, mut erased) = (self.clock.now(), Erased::default());
        erased.texts = erase_texts(&self.store, &self.brand, &TEXTS, &Sought::of(&unmistakable(&traces.words))).await?;
        let mut after = Some(0);
        while let Some(from) = after {
            let (brand, words) = (self.brand.clone(), traces.words.clone());
            let (ids, next) = self.store.read(move |view| view.deliveries_naming(&brand, &words, from, LOOKED_AT)).await?;
            after = next;
            for some in ids.chunks(ROWS) {
                let ids = some.to_vec();
                erased.webhooks += self.store.write(move |tx| tx.erase_deliveries(&ids, now)).await?;
            }
        }
        Ok(erased)
    }

    /// Erases the records themselves; nothing where more has come while the rest was searched, or is on its way now.
    async fn erase_records(&self, person: &Person, traces: Traces, open_too: bool) -> Result<Option<Erased>> {
        let (brand, actor, now, person) = (self.brand.clone(), self.actor.clone(), self.clock.now(), person.clone());
        self.store
            .write(move |tx| {
                let there = tx.traces(&brand, &person)?;
                if there.records != traces.records || !there.open.is_empty() && !open_too {
                    return Ok(None);
                }
                let erased = tx.erase_person(&brand, &traces, now)?;
                let orders = named(&traces);
                let detail =
                    format!("{} records, {} documents of {} orders", erased.records, erased.documents, traces.orders.len());
                tx.audit(&brand, &actor, "privacy.erase", &orders, &detail, now)?;
                Ok(Some(erased))
            })
            .await
    }
}

/// The first of a person's orders, for a line of the audit trail.
fn named(traces: &Traces) -> String {
    traces.orders.iter().take(NAMED_MAX).map(|key| key.as_str()).collect::<Vec<_>>().join(", ")
}

/// Takes these words out of what was written about anything; how many texts. All of it is looked through, a few rows at a time.
async fn erase_texts(store: &Store, brand: &Brand, all: &[Texts], sought: &Sought) -> Result<u64> {
    let sought = Arc::new(sought.clone());
    let mut erased = 0;
    for texts in all.iter().copied() {
        let mut after = Some(0);
        while let Some(from) = after {
            let (brand, words) = (brand.clone(), Arc::clone(&sought));
            let look = move |view: &View<'_>| view.texts_naming(&brand, texts, &words, from, LOOKED_AT);
            let (ids, next) = store.read(look).await?;
            after = next;
            for some in ids.chunks(ROWS) {
                let (ids, words) = (some.to_vec(), Arc::clone(&sought));
                erased += store.write(move |tx| tx.erase_texts(texts, &ids, &words)).await?;
            }
        }
    }
    Ok(erased)
}

/// For how long content is kept; `None` = for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Documents as they came from the systems.
    pub documents: Option<Duration>,
    /// Webhook deliveries as they came.
    pub webhooks: Option<Duration>,
    /// What tells who somebody is: in records and their stories, and in what was written about anything and is settled.
    pub people: Option<Duration>,
}

/// Lets content go whose time is over, once a day.
pub struct Keeper {
    store: Store,
    brand: Brand,
    clock: Arc<dyn Clock>,
    retention: Retention,
    state: Mutex<Progress>,
}

/// Where a night's work stands.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    next: Option<Timestamp>,
    erased: Erased,
    /// Whether the audit trail knows that it has begun: its tally is kept in memory, and lost with the process.
    told: bool,
}

impl Keeper {
    /// The keeper of a brand's store.
    pub fn new(store: Store, brand: Brand, clock: Arc<dyn Clock>, retention: Retention) -> Self {
        Self { store, brand, clock, retention, state: Mutex::default() }
    }

    fn locked(&self) -> MutexGuard<'_, Progress> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A step of it; how many rows lost their content. Nought means that it is done for today.
    ///
    /// # Errors
    /// The store's.
    pub async fn turn(&self) -> Result<u64> {
        let now = self.clock.now();
        let progress = *self.locked();
        if progress.next.is_some_and(|next| next > now) {
            return Ok(0);
        }
        let (brand, retention) = (self.brand.clone(), self.retention);
        let step = move |tx: &Tx<'_>| {
            let (erased, forgotten) = expire(tx, &brand, retention, now)?;
            let tells = !progress.told && erased != Erased::default();
            if tells {
                tell_beginning(tx, &brand, now)?;
            }
            Ok((erased, forgotten, tells))
        };
        let (erased, forgotten, tells) = self.store.write(step).await?;
        self.locked().told |= tells;
        let erased = erased.and(self.expire_people(now).await?);
        let all = progress.erased.and(erased);
        let rows = erased.records + erased.documents + erased.webhooks + forgotten;
        if rows == 0 {
            if all != Erased::default() {
                self.note(all, now).await?;
                self.store.fold().await?;
            }
            *self.locked() = Progress { next: Some(after(now, EVERY)), ..Progress::default() };
        } else {
            let mut progress = self.locked();
            (progress.next, progress.erased) = (None, all);
        }
        Ok(rows)
    }

    /// Forgets the people in a few records that are too old, and what is settled of what was written about them. That goes first:
    /// broken off, the records still tell the names.
    async fn expire_people(&self, now: Timestamp) -> Result<Erased> {
        let Some(before) = self.retention.people.and_then(|kept| now.checked_sub(kept).ok()) else {
            return Ok(Erased::default());
        };
        let brand = self.brand.clone();
        let expired = self.store.read(move |view| view.expired_people(&brand, before, PEOPLE)).await?;
        let mut erased = Erased::default();
        if expired.records.is_empty() {
            return Ok(erased);
        }
        if !self.locked().told {
            let brand = self.brand.clone();
            self.store.write(move |tx| tell_beginning(tx, &brand, now)).await?;
            self.locked().told = true;
        }
        if !expired.sought.is_empty() {
            erased.texts = erase_texts(&self.store, &self.brand, &TEXTS.map(Texts::only_settled), &expired.sought).await?;
        }
        for some in expired.records.chunks(ROWS) {
            let (brand, some) = (self.brand.clone(), ExpiredPeople { records: some.to_vec(), sought: expired.sought.clone() });
            erased = erased.and(self.store.write(move |tx| tx.expire_people(&brand, &some, now)).await?);
        }
        let (brand, sought) = (self.brand.clone(), expired.sought);
        erased.texts += self.store.write(move |tx| tx.erase_checks(&brand, &sought)).await?;
        Ok(erased)
    }

    async fn note(&self, erased: Erased, now: Timestamp) -> Result<()> {
        let brand = self.brand.clone();
        let detail = format!(
            "{} documents, {} webhook deliveries and the people in {} records and {} texts were older than what [retention] keeps",
            erased.documents, erased.webhooks, erased.records, erased.texts
        );
        self.store.write(move |tx| tx.audit(&brand, POLICY, "retention.erase", "", &detail, now)).await
    }

    /// Goes on until `stop` resolves.
    pub async fn run(&self, stop: impl Future<Output = ()> + Send) {
        let mut stop = std::pin::pin!(stop);
        loop {
            let rest = match self.turn().await {
                Ok(0) => EVERY.min(Duration::from_secs(15 * 60)),
                Ok(_) => REST,
                Err(error) => {
                    tracing::error!(%error, "what is too old could not be erased; it is tried again shortly");
                    REST_AFTER_TROUBLE
                }
            };
            tokio::select! {
                () = &mut stop => return,
                () = tokio::time::sleep(rest) => {}
            }
        }
    }
}

/// Tells the audit trail before the night's work is done: how much it was is told at its end.
fn tell_beginning(tx: &Tx<'_>, brand: &Brand, now: Timestamp) -> Result<()> {
    tx.audit(brand, POLICY, "retention.erase", "", "begun: content that is older than what [retention] keeps", now)
}

/// A few rows of each kind but people; what was erased of them, and how many were forgotten as a whole.
fn expire(tx: &Tx<'_>, brand: &Brand, retention: Retention, now: Timestamp) -> Result<(Erased, u64)> {
    let before = |kept: Option<Duration>| kept.and_then(|kept| now.checked_sub(kept).ok());
    let mut erased = Erased::default();
    let settled_before = now.checked_sub(FEED_KEPT).unwrap_or(Timestamp::MIN);
    let forgotten = tx.forget_requests(brand, now, ROWS)? + tx.forget_settlings(brand, settled_before, ROWS)?;
    if let Some(before) = before(retention.documents) {
        erased.documents = tx.expire_documents(brand, before, ROWS, now)?;
    }
    if let Some(before) = before(retention.webhooks) {
        erased.webhooks = tx.expire_webhooks(brand, before, ROWS, now)?;
    }
    Ok((erased, forgotten))
}

#[cfg(test)]
mod tests {
    use selvedge_connector::clock::ManualClock;
    use selvedge_model::{
        AnyRecord, Currency, Kind, Problem,
        records::{Customer, Named},
    };
    use selvedge_store::{
        captures::{Arrived, NewCapture},
        records::NewRecord,
    };

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    #[tokio::test]
    async fn people_go_from_what_was_written_about_them_and_is_closed_too() {
        let store = Store::open("sqlite::memory:").await.unwrap();
        let start: Timestamp = "2026-11-30T00:00:00Z".parse().unwrap();
        let clock = Arc::new(ManualClock::at(start));
        let named = |text: &str| Named { id: "1".into(), name: text.into() };
        let ada = Customer {
            key: "7-1".into(),
            id: "7".into(),
            email: Some("Ada@Example.com".to_owned()),
            first_name: Some("Ada".to_owned()),
            last_name: Some("Lovelace".to_owned()),
            company: None,
            market: named("Sweden"),
            store: named("Web"),
            currency: Currency::from_code("SEK").unwrap(),
        };
        let problem = |what: &str| {
            let message = format!("ADA@example.com is no address of Ada Lovelace ({what})");
            Problem::new("address.email", "email", message, "Mend it.").value("ada@example.com").cause(what)
        };
        let (closed, open) = (problem("closed"), problem("open"));
        store
            .write(move |tx| {
                let new = NewRecord {
                    brand: "a".into(),
                    connection: "shop".into(),
                    capture: None,
                    record: AnyRecord::Customer(Box::new(ada)),
                    problems: Vec::new(),
                    version: None,
                    received_at: start,
                };
                tx.put_record(&new)?;
                for problem in [&closed, &open] {
                    tx.raise_standing(&"a".into(), &"customers".into(), problem, start)?;
                }
                tx.settle_standing(&"a".into(), &closed.cause, "it is well again", start)
            })
            .await
            .unwrap();
        let keeper =
            Keeper::new(store.clone(), "a".into(), clock.clone(), Retention { people: Some(3 * DAY), ..Retention::default() });
        clock.advance(3 * DAY + Duration::from_secs(1));
        assert_eq!((keeper.turn().await.unwrap(), keeper.turn().await.unwrap()), (1, 0));
        let rows = store.read(|view| view.exceptions(&"a".into(), true)).await.unwrap();
        let said = |open: bool| rows.iter().find(|row| row.open == open).map(|row| row.problem.clone()).unwrap();
        assert_eq!(said(false).message, "[erased] is no address of [erased] (closed)");
        assert_eq!(said(false).value.as_deref(), Some("[erased]"));
        assert!(said(true).message.contains("Ada Lovelace"), "whoever decides on it has to read it");
        let acts = store.read(|view| view.audit_rows(&"a".into(), 9)).await.unwrap();
        assert_eq!(acts.len(), 2);
        assert!(acts[0].detail.contains("the people in 1 records and"), "{}", acts[0].detail);
        assert!(acts[1].detail.starts_with("begun: "), "{}", acts[1].detail);
    }

    #[tokio::test]
    async fn what_is_old_goes_once_a_day_and_is_told() {
        let store = Store::open("sqlite::memory:").await.unwrap();
        let start: Timestamp = "2026-11-30T00:00:00Z".parse().unwrap();
        let clock = Arc::new(ManualClock::at(start));
        let came = |id: &'static str, at: Timestamp| {
            let store = store.clone();
            async move {
                let body = format!("body of {id}").into_bytes();
                let capture = NewCapture {
                    brand: "a".into(),
                    connection: "shop".into(),
                    kind: Kind::Order,
                    external_id: id.into(),
                    version: None,
                    body,
                    via: "feed",
                    asked_at: Some(at),
                    received_at: at,
                };
                let keep = move |tx: &Tx<'_>| match tx.capture(&capture)? {
                    Arrived::New(id) => tx.capture_decoded(id),
                    other => panic!("{other:?}"),
                };
                store.write(keep).await.unwrap();
            }
        };
        came("1", start).await;
        came("2", start + 2 * DAY).await;
        let retention = Retention { documents: Some(3 * DAY), ..Retention::default() };
        let keeper = Keeper::new(store.clone(), "a".into(), clock.clone(), retention);
        assert_eq!(keeper.turn().await.unwrap(), 0, "nothing is old yet");
        clock.advance(3 * DAY + Duration::from_secs(1));
        assert_eq!((keeper.turn().await.unwrap(), keeper.turn().await.unwrap()), (1, 0));
        clock.advance(DAY - Duration::from_secs(1));
        assert_eq!(keeper.turn().await.unwrap(), 0, "it has been looked at today");
        clock.advance(DAY + Duration::from_secs(1));
        assert_eq!((keeper.turn().await.unwrap(), keeper.turn().await.unwrap()), (1, 0));
        let acts = store.read(|view| view.audit_rows(&"a".into(), 9)).await.unwrap();
        assert_eq!(acts.len(), 4, "a look that found nothing is no act");
        for (act, begins) in acts.iter().zip(["1 documents", "begun", "1 documents", "begun"]) {
            assert_eq!((act.actor.as_str(), act.action.as_str()), ("policy", "retention.erase"));
            assert!(act.detail.starts_with(begins), "{}", act.detail);
        }
        // Without a limit nothing ever goes.
        clock.advance(1_000 * DAY);
        came("3", start).await;
        let keeper = Keeper::new(store, "a".into(), clock, Retention::default());
        assert_eq!(keeper.turn().await.unwrap(), 0);
    }
}
