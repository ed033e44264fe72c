//! Other programs are told what happened: each event, in order, under one id, whatever becomes of the receiver or of us.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use selvedge_connector::{Clock as _, EventSink, Fault, Receipt};
use selvedge_flow::{Engine, Setup, WebhookSetup};
use selvedge_model::{Brand, Problem, feed::Event, gate::rules::OrderPolicy};
use selvedge_store::Store;

use crate::{
    fake::Fake,
    journey::{brand, map_items},
};

/// A program that keeps what it is told.
#[derive(Default)]
struct Receiver {
    heard: Mutex<Vec<Event>>,
    faults: Mutex<VecDeque<Fault>>,
}

#[async_trait]
impl EventSink for Receiver {
    async fn tell(&self, of: &Brand, event: &Event) -> Result<Receipt, Fault> {
        assert_eq!(*of, brand());
        if let Some(fault) = self.faults.lock().unwrap().pop_front() {
            // A lost answer: it was heard.
            if matches!(fault, Fault::Unanswered { .. }) {
                self.heard.lock().unwrap().push(event.clone());
            }
            return Err(fault);
        }
        self.heard.lock().unwrap().push(event.clone());
        Ok(Receipt { id: None, warnings: Vec::new() })
    }
}

impl Receiver {
    fn heard(&self) -> Vec<Event> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }

    fn kinds(&self) -> Vec<String> {
        self.heard().into_iter().map(|event| event.kind).collect()
    }

    fn fail(&self, times: usize) {
        let fault = || Fault::Transient { what: "tell".to_owned(), source: None };
        self.faults.lock().unwrap().extend(std::iter::repeat_with(fault).take(times));
    }
}

struct World {
    fake: Fake,
    store: Store,
    receiver: Arc<Receiver>,
    engine: Engine,
}

impl World {
    async fn new(events: &[&str]) -> Self {
        let (fake, store) = (Fake::new(1, 0), Store::open("sqlite::memory:").await.unwrap());
        let receiver = Arc::new(Receiver::default());
        let engine = Engine::new(Self::setup(&fake, &store, &receiver, events)).unwrap();
        Self { fake, store, receiver, engine }
    }

    fn setup(fake: &Fake, store: &Store, receiver: &Arc<Receiver>, events: &[&str]) -> Setup {
        let events = events.iter().map(|text| text.parse().unwrap()).collect();
        let webhook = WebhookSetup { name: "bi".to_owned(), sink: Arc::<Receiver>::clone(receiver), events };
        Setup { webhooks: vec![webhook], ..fake.setup(store.clone(), OrderPolicy::default()) }
    }

    /// Ends the process, and starts it with these.
    async fn restart(self, events: &[&str]) -> Self {
        let engine = Engine::new(Self::setup(&self.fake, &self.store, &self.receiver, events)).unwrap();
        Self { engine, ..self }
    }

    async fn seconds(&self, count: u64) {
        for _ in 0..count.div_ceil(5) {
            self.fake.clock.advance(Duration::from_secs(5));
            self.engine.tick().await.unwrap();
        }
    }

    async fn raise(&self, detail: &str) {
        let (problem, now) =
            (Problem::new("mapping.item", "", format!("{detail} has no entry"), "Add it.").cause(detail), self.fake.clock.now());
        self.store.write(move |tx| tx.raise_standing(&brand(), &"orders".into(), &problem, now)).await.unwrap();
    }

    async fn open_rules(&self) -> Vec<String> {
        let rows = self.store.read(|view| view.exceptions(&brand(), false)).await.unwrap();
        rows.into_iter().map(|row| row.problem.rule).collect()
    }
}

#[tokio::test]
async fn what_happened_before_is_not_told_and_what_happens_is_told_once_in_order() {
    let world = World::new(&["exception.*"]).await;
    world.raise("early").await;
    world.seconds(5).await;
    assert!(world.receiver.heard().is_empty(), "it begins at the end of the feed");
    for detail in ["a", "b", "c"] {
        world.raise(detail).await;
    }
    world.seconds(10).await;
    let heard = world.receiver.heard();
    let said: Vec<&str> = heard.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(said, ["exception.opened"; 3]);
    let mut ids: Vec<&str> = heard.iter().map(|event| event.id.as_str()).collect();
    assert!(ids.is_sorted(), "{ids:?}");
    ids.dedup();
    assert_eq!(ids.len(), 3);
    // A start does not tell them again, and what was written meanwhile is told.
    world.raise("while it was down").await;
    let world = world.restart(&["exception.*"]).await;
    world.seconds(10).await;
    assert_eq!(world.receiver.kinds(), ["exception.opened"]);
}

#[tokio::test]
async fn a_record_is_told_when_it_comes_to_rest_and_only_what_was_asked_for_is() {
    let world = World::new(&["record.confirmed", "act.mapping.*"]).await;
    map_items(&world.store, &world.fake, &[0, 1, 2]).await;
    world.seconds(5).await;
    world.receiver.heard();
    world.fake.place(1042, 1);
    world.fake.place(1043, 2);
    world.raise("nobody asked for this").await;
    world.seconds(120).await;
    let heard = world.receiver.heard();
    assert!(!heard.is_empty());
    assert!(heard.iter().all(|event| event.kind == "record.confirmed"), "{heard:?}");
    let told = serde_json::to_value(&heard).unwrap();
    let keys: Vec<&str> = told.as_array().unwrap().iter().map(|one| one["data"]["key"].as_str().unwrap()).collect();
    assert!(keys.contains(&"1042") && keys.contains(&"1043"), "{keys:?}");
}

#[tokio::test]
async fn one_that_is_not_taken_holds_those_behind_it_and_is_an_exception_until_it_is() {
    let world = World::new(&["exception.*"]).await;
    world.seconds(5).await;
    world.receiver.fail(2);
    world.raise("a").await;
    world.raise("b").await;
    world.seconds(5).await;
    assert!(world.receiver.heard().is_empty());
    assert_eq!(world.open_rules().await.len(), 2, "twice is nobody's trouble yet");
    world.seconds(20).await;
    assert_eq!(world.receiver.kinds(), ["exception.opened"; 2], "in order, and none is lost");

    world.receiver.fail(6);
    world.raise("c").await;
    world.seconds(5 + 5 + 10 + 20 + 40 + 10).await;
    assert!(world.open_rules().await.contains(&"webhook.undelivered".to_owned()));
    assert!(world.receiver.heard().is_empty());
    // A start does not make it forgotten.
    let world = world.restart(&["exception.*"]).await;
    world.seconds(300).await;
    // What was told of itself, too: it opened, and it closed.
    assert_eq!(world.receiver.kinds(), ["exception.opened", "exception.opened", "exception.closed"]);
    assert!(!world.open_rules().await.contains(&"webhook.undelivered".to_owned()));
    let row = world.store.read(|view| view.webhook(&brand(), "bi")).await.unwrap().unwrap();
    assert_eq!((row.tries, row.said.as_str()), (0, ""));
}

#[tokio::test]
async fn a_lost_answer_tells_the_same_event_again_under_its_id() {
    let world = World::new(&["*"]).await;
    world.seconds(5).await;
    world.receiver.faults.lock().unwrap().push_back(Fault::Unanswered { what: "tell".to_owned(), source: None });
    world.raise("a").await;
    world.seconds(30).await;
    let heard = world.receiver.heard();
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[0], heard[1]);
}

#[tokio::test]
async fn what_is_wanted_later_begins_later() {
    let world = World::new(&["exception.opened"]).await;
    world.seconds(5).await;
    map_items(&world.store, &world.fake, &[0]).await;
    let world = world.restart(&["*"]).await;
    world.seconds(5).await;
    assert!(world.receiver.heard().is_empty(), "acts before it was asked for them");
    let now = world.fake.clock.now();
    world
        .store
        .write(move |tx| tx.audit(&brand(), "ada", "mapping.set", "erp", "call +46 70 123 45 67 or ada@example.com", now))
        .await
        .unwrap();
    world.seconds(10).await;
    let heard = world.receiver.heard();
    assert_eq!(heard.len(), 1);
    let text = serde_json::to_string(&heard).unwrap();
    assert!(!text.contains("ada@example.com"), "what tells who somebody is does not leave: {text}");
}
