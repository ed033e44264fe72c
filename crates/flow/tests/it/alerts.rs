//! People are told of exceptions, whatever happens to the channels; and of what does not arrive.
//!
//! `stakes.rs`: how bad something is; `hours.rs`: nights and digests.

mod hours;
mod stakes;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use jiff::{Timestamp, tz::TimeZone};
use selvedge_connector::{AlertSink, Clock, Fares, Fault, Pulse, Receipt, SessionStats, Traffic};
use selvedge_flow::{AlertSetup, Channel, Engine, PulseSetup, Setup, SilenceSetup, actions::Actions, alerts::deliver::Courier};
use selvedge_model::{
    AlertId, ConnectionName, Problem,
    alert::{ChannelName, Event, Links, Message, Route, Severity, Step},
    gate::rules::OrderPolicy,
    obligation::State,
};
use selvedge_store::{Store, alerts::MessageStep, records::NewRecord};

use crate::{
    fake::{Fake, order, start},
    journey::{brand, map_items},
};

/// A channel that keeps what it is told.
#[derive(Default)]
struct Ear {
    heard: Mutex<Vec<(Message, Links)>>,
    faults: Mutex<VecDeque<Fault>>,
    one_by_one: bool,
}

#[async_trait]
impl AlertSink for Ear {
    fn one_by_one(&self) -> bool {
        self.one_by_one
    }

    async fn put(&self, message: &Message, links: &Links) -> Result<Receipt, Fault> {
        match self.faults.lock().unwrap().pop_front() {
            // A lost answer: it was heard.
            Some(Fault::Unanswered { what, source }) => {
                self.heard.lock().unwrap().push((message.clone(), links.clone()));
                Err(Fault::Unanswered { what, source })
            }
            Some(fault) => Err(fault),
            None => {
                self.heard.lock().unwrap().push((message.clone(), links.clone()));
                Ok(Receipt { id: None, warnings: vec!["200 ok".to_owned()] })
            }
        }
    }
}

impl Ear {
    fn fail(&self, times: usize, fault: impl Fn() -> Fault) {
        self.faults.lock().unwrap().extend(std::iter::repeat_with(fault).take(times));
    }

    /// What was heard since the last time: why, and how many alerts.
    fn heard(&self) -> Vec<(Event, usize)> {
        std::mem::take(&mut *self.heard.lock().unwrap()).iter().map(|(message, _)| (message.event, message.items.len())).collect()
    }
}

fn transient() -> Fault {
    Fault::Transient { what: "tell".to_owned(), source: None }
}

struct Office {
    fake: Fake,
    store: Store,
    engine: Arc<Engine>,
    chat: Arc<Ear>,
    pager: Arc<Ear>,
}

impl Office {
    async fn new(change: impl FnOnce(&mut Setup)) -> Self {
        let (fake, store) = (Fake::new(1, 0), Store::open("sqlite::memory:").await.unwrap());
        let (chat, pager) = (Arc::new(Ear::default()), Arc::new(Ear { one_by_one: true, ..Ear::default() }));
        let engine = Self::engine(&fake, &store, &chat, &pager, change);
        Self { fake, store, engine, chat, pager }
    }

    fn engine(fake: &Fake, store: &Store, chat: &Arc<Ear>, pager: &Arc<Ear>, change: impl FnOnce(&mut Setup)) -> Arc<Engine> {
        let mut setup = fake.setup(store.clone(), OrderPolicy::default());
        let step = |after: u64, channel: &str| Step { after: Duration::from_secs(60 * after), channels: vec![channel.into()] };
        let channel = |ear: &Arc<Ear>| Channel { kind: "ear", sink: ear.clone() };
        setup.alerts = AlertSetup {
            channels: [("chat".into(), channel(chat)), ("pager".into(), channel(pager))].into(),
            routes: vec![Route {
                name: "all".to_owned(),
                severity: Severity::Info,
                teams: Vec::new(),
                rules: Vec::new(),
                steps: vec![step(0, "chat"), step(10, "pager")],
                repeat: Some(Duration::from_secs(3_600)),
                group: Duration::from_secs(60),
                quiet: None,
                digest: None,
            }],
            public_url: Some("https://desk.example".to_owned()),
            link_key: [7; 32],
            ..AlertSetup::default()
        };
        change(&mut setup);
        Arc::new(Engine::new(setup).unwrap())
    }

    async fn minutes(&self, count: u64) {
        for _ in 0..count * 6 {
            self.fake.clock.advance(Duration::from_secs(10));
            self.engine.tick().await.unwrap();
            self.balanced().await;
        }
    }

    async fn raise(&self, detail: &str) {
        let (problem, now) =
            (Problem::new("mapping.item", "", format!("{detail} has no entry"), "Add it.").cause(detail), self.fake.clock.now());
        self.store.write(move |tx| tx.raise_standing(&brand(), &"orders".into(), &problem, now)).await.unwrap();
    }

    async fn settle(&self, detail: &str) {
        let (cause, now) = (format!("mapping.item:{detail}"), self.fake.clock.now());
        self.store.write(move |tx| tx.settle_standing(&brand(), &cause, "it is mapped", now)).await.unwrap();
    }

    async fn balanced(&self) {
        for one in self.store.read(|view| view.channel_counts(&brand())).await.unwrap() {
            assert_eq!(one.owed, one.confirmed + one.in_flight + one.held + one.excluded + one.superseded, "{one:?}");
        }
    }

    async fn open_rules(&self) -> Vec<String> {
        let rows = self.store.read(|view| view.exceptions(&brand(), false)).await.unwrap();
        rows.into_iter().map(|row| row.problem.rule).collect()
    }

    fn actions(&self) -> Actions {
        Actions { store: self.store.clone(), brand: brand(), clock: self.fake.clock.clone(), actor: "anna".into() }
    }
}

#[tokio::test]
async fn what_opens_is_told_once_together_and_again_when_it_is_over() {
    let office = Office::new(|_| {}).await;
    office.raise("a").await;
    office.raise("b").await;
    office.minutes(3).await;
    assert_eq!(office.chat.heard(), [(Event::Opened, 2)], "one message for both");
    assert!(office.pager.heard().is_empty());
    office.settle("a").await;
    office.minutes(1).await;
    assert_eq!(office.chat.heard(), [(Event::Resolved, 1)]);
    // It comes back at once: what comes and goes is told once in a while.
    office.raise("a").await;
    office.minutes(5).await;
    assert_eq!(office.chat.heard(), []);
    office.settle("b").await;
    office.settle("a").await;
    office.minutes(20).await;
    assert_eq!(office.chat.heard(), [(Event::Resolved, 1)], "what was never told is not told to be over");
}

#[tokio::test]
async fn nobody_answers_so_the_next_is_told_until_somebody_does() {
    let office = Office::new(|_| {}).await;
    office.raise("a").await;
    office.raise("b").await;
    office.minutes(12).await;
    assert_eq!(office.chat.heard(), [(Event::Opened, 2)]);
    assert_eq!(office.pager.heard(), [(Event::Escalated, 1), (Event::Escalated, 1)], "a pager groups by itself");
    office.minutes(62).await;
    assert_eq!(office.pager.heard(), [(Event::Repeated, 1), (Event::Repeated, 1)]);
    assert_eq!(office.actions().acknowledge(&[AlertId(1)]).await.unwrap(), [AlertId(1)]);
    assert!(office.actions().acknowledge(&[AlertId(1)]).await.unwrap().is_empty(), "once is enough");
    office.minutes(1).await;
    assert_eq!(office.chat.heard(), [(Event::Acknowledged, 1)]);
    assert_eq!(office.pager.heard(), [(Event::Acknowledged, 1)]);
    office.minutes(62).await;
    assert_eq!(office.pager.heard(), [(Event::Repeated, 1)], "only the other");
    let audit = office.store.read(|view| view.audit_rows(&brand(), 5)).await.unwrap();
    assert_eq!(
        (audit[0].action.as_str(), audit[0].actor.as_str(), audit[0].subject.as_str()),
        ("alert.acknowledge", "anna", "alr_1")
    );
}

#[tokio::test]
async fn what_is_woken_early_is_told_at_once() {
    let office = Office::new(|_| {}).await;
    office.raise("a").await;
    let id = office.store.read(|view| view.exceptions(&brand(), false)).await.unwrap()[0].id;
    let until = office.fake.clock.now() + Duration::from_secs(86_400);
    office.actions().snooze(id, until, "nobody is in").await.unwrap();
    office.minutes(10).await;
    assert_eq!(office.chat.heard(), []);
    office.actions().wake(id).await.unwrap();
    office.minutes(1).await;
    assert_eq!(office.chat.heard(), [(Event::Opened, 1)]);
}

#[tokio::test]
async fn what_is_open_is_told_of_however_much_it_is() {
    let office = Office::new(|_| {}).await;
    let (now, many) = (office.fake.clock.now(), 10_050_u32);
    let raise = move |tx: &selvedge_store::Tx<'_>| {
        (0..many).try_for_each(|nth| {
            let problem = Problem::new("mapping.item", "", format!("{nth} has no entry"), "Add it.").cause(nth.to_string());
            tx.raise_standing(&brand(), &"orders".into(), &problem, now).map(|_| ())
        })
    };
    office.store.write(raise).await.unwrap();
    office.engine.tick().await.unwrap();
    let alerts = office.store.read(|view| view.open_alerts(&brand())).await.unwrap();
    assert_eq!(alerts.len(), many as usize);
}

#[tokio::test]
async fn a_link_takes_over_what_its_message_tells_of_once() {
    let office = Office::new(|_| {}).await;
    office.raise("a").await;
    office.minutes(2).await;
    let link = office.chat.heard.lock().unwrap()[0].1.acknowledge.clone().unwrap();
    let token = link.strip_prefix("https://desk.example/alerts/ack/").unwrap().to_owned();
    assert_eq!(office.actions().acknowledge_by_link("guessed").await.unwrap(), None);
    let (_, taken) = office.actions().acknowledge_by_link(&token).await.unwrap().unwrap();
    assert_eq!(taken, [AlertId(1)]);
    assert_eq!(office.actions().acknowledge_by_link(&token).await.unwrap(), None, "used up");
    office.minutes(15).await;
    assert!(office.pager.heard().is_empty(), "nobody else was told");
    let kept = office.store.read(|view| view.audit_rows(&brand(), 1)).await.unwrap();
    assert!(kept[0].actor.starts_with("anna (msg_1 over chat)"), "{}", kept[0].actor);
    assert!(!format!("{kept:?}").contains(&token));
}

#[tokio::test]
async fn a_channel_that_fails_is_passed_over_is_an_exception_and_tells_later_what_is_still_open() {
    let office = Office::new(|_| {}).await;
    office.chat.fail(5, transient);
    office.raise("a").await;
    office.minutes(5).await;
    assert!(office.chat.heard().is_empty());
    // Long before the ten minutes are over: the next step is told of it, and of the channel itself, which cannot tell of itself.
    let paged: Vec<String> =
        office.pager.heard.lock().unwrap().iter().map(|(message, _)| message.items[0].rule.clone()).collect();
    assert_eq!(paged, ["mapping.item", "alert.undelivered"]);
    assert!(office.open_rules().await.contains(&"alert.undelivered".to_owned()));
    office.pager.heard();
    // It works again: the first message that arrives closes the exception, and what it could not say is said if it still holds.
    office.raise("b").await;
    office.minutes(3).await;
    assert_eq!(office.chat.heard(), [(Event::Opened, 1), (Event::Opened, 1)]);
    assert!(!office.open_rules().await.contains(&"alert.undelivered".to_owned()));
    assert!(office.pager.heard().contains(&(Event::Resolved, 1)));
}

#[tokio::test]
async fn what_is_refused_is_not_tried_again_and_what_was_lost_is_sent_again_under_its_id() {
    let office = Office::new(|_| {}).await;
    office.chat.fail(1, || Fault::Unanswered { what: "tell".to_owned(), source: None });
    office.raise("a").await;
    office.minutes(2).await;
    let heard: Vec<_> = office.chat.heard.lock().unwrap().iter().map(|(message, _)| message.id).collect();
    assert_eq!(heard.len(), 2, "at least once");
    assert_eq!(heard[0], heard[1], "under one id");
    office.chat.heard();
    let problem = Problem::new("alert.refused", "", "the channel answered 404: no_service", "See whether it exists.");
    office.chat.fail(1, || Fault::Refused { what: "tell".to_owned(), problems: vec![problem.clone()] });
    office.raise("b").await;
    office.minutes(2).await;
    assert!(office.chat.heard().is_empty());
    let rows = office.store.read(|view| view.messages(&brand(), 10)).await.unwrap();
    let held = rows.iter().find(|row| row.state == State::Held).unwrap();
    assert!(held.note.as_ref().unwrap().contains("no_service") && held.attempts == 1, "{held:?}");
}

#[tokio::test]
async fn a_crash_while_sending_loses_nothing() {
    let office = Office::new(|_| {}).await;
    office.raise("a").await;
    // Everything up to the claim, by hand.
    office.engine.tick().await.unwrap();
    office.fake.clock.advance(Duration::from_secs(61));
    office.chat.fail(1, transient);
    office.engine.tick().await.unwrap();
    let now = office.fake.clock.now();
    office
        .store
        .write(move |tx| {
            let id = tx.messages(&brand(), 1)?[0].id;
            tx.step_message(id, selvedge_model::obligation::Event::Claim, &MessageStep::default(), now).map(|_| ())
        })
        .await
        .unwrap();
    let again = Office::engine(&office.fake, &office.store, &office.chat, &office.pager, |_| {});
    again.recover().await.unwrap();
    for _ in 0..5 {
        again.tick().await.unwrap();
        office.fake.clock.advance(Duration::from_secs(5));
    }
    assert_eq!(office.chat.heard(), [(Event::Opened, 1)]);
    office.balanced().await;
}

#[tokio::test]
async fn a_trial_goes_the_same_way_and_says_what_came_back() {
    let office = Office::new(|_| {}).await;
    let setup = office.engine.setup();
    let courier =
        Courier { brand: brand(), store: office.store.clone(), clock: office.fake.clock.clone(), setup: setup.alerts.clone() };
    office.pager.fail(1, transient);
    let names: Vec<ChannelName> = setup.alerts.channels.keys().cloned().collect();
    let rows = courier.test(&names).await.unwrap();
    assert_eq!(
        rows.iter().map(|row| (row.channel.as_str(), row.state)).collect::<Vec<_>>(),
        [("chat", State::Confirmed), ("pager", State::Excluded)]
    );
    assert_eq!(rows[0].note.as_deref(), Some("200 ok"));
    office.minutes(2).await;
    assert_eq!((office.chat.heard(), office.pager.heard()), (vec![(Event::Test, 0)], vec![]), "nobody sends it later");
}

/// A line whose calls fare as the test says.
#[derive(Default)]
struct Line(Mutex<Fares>);

impl Traffic for Line {
    fn stats(&self) -> SessionStats {
        SessionStats::default()
    }

    fn rests(&self) -> Option<Duration> {
        None
    }

    fn fares(&self) -> Fares {
        *self.0.lock().unwrap()
    }
}

#[tokio::test]
async fn a_system_that_is_down_for_long_is_told_and_the_first_call_that_comes_through_ends_it() {
    let line = Arc::new(Line::default());
    let on = |line: &Arc<Line>| {
        let line = line.clone();
        move |setup: &mut Setup| {
            setup.desk.down_after = Duration::from_secs(300);
            setup.connections.get_mut(&ConnectionName::from("books")).unwrap().traffic = line;
        }
    };
    let fares = |calls: u32, seconds: u64| {
        *line.0.lock().unwrap() = Fares::Failing { since: Duration::from_secs(seconds), calls };
    };
    let office = Office::new(on(&line)).await;
    office.minutes(1).await;
    fares(9, 299);
    office.minutes(1).await;
    fares(2, 900);
    office.minutes(1).await;
    assert_eq!(office.open_rules().await, [""; 0], "most of that passes by itself, and two calls prove nothing");
    fares(40, 300);
    office.minutes(3).await;
    assert_eq!(office.open_rules().await, ["connection.down"]);
    assert_eq!(office.chat.heard(), [(Event::Opened, 1)], "told once");
    let told = office.store.read(|view| view.exceptions(&brand(), false)).await.unwrap();
    assert!(
        told[0].problem.message.contains("books is not reached") && told[0].problem.message.contains("5 minutes"),
        "{told:?}"
    );

    // A start while it is down says nothing new; what comes through afterwards ends it all the same.
    *line.0.lock().unwrap() = Fares::Untried;
    let office = Office { engine: Office::engine(&office.fake, &office.store, &office.chat, &office.pager, on(&line)), ..office };
    office.minutes(1).await;
    assert_eq!(office.open_rules().await, ["connection.down"], "nothing was tried yet");
    *line.0.lock().unwrap() = Fares::Well;
    office.minutes(1).await;
    assert_eq!(office.open_rules().await, [""; 0]);
    assert_eq!(office.chat.heard(), [(Event::Resolved, 1)]);
}

/// Twenty orders an hour from nine to nine, for so many days before an instant.
async fn teach(store: &Store, until: Timestamp, days: u64) {
    let mut at = until - Duration::from_secs(days * 86_400);
    let mut moments = Vec::new();
    while at < until {
        if (9..21).contains(&at.to_zoned(TimeZone::UTC).hour()) {
            moments.push(at);
        }
        at += Duration::from_secs(180);
    }
    arrive(store, 1_000_000, &moments).await;
}

/// Orders that are placed and arrive at these moments.
async fn arrive(store: &Store, first: u32, moments: &[Timestamp]) {
    let new = |(number, at): (u32, &Timestamp)| {
        let mut order = order(number, 1, *at);
        order.placed_at = *at;
        NewRecord {
            brand: brand(),
            connection: "shop".into(),
            capture: None,
            record: order.into(),
            problems: Vec::new(),
            version: None,
            received_at: *at,
        }
    };
    let records: Vec<NewRecord> = (first..).zip(moments).map(new).collect();
    store.write(move |tx| records.iter().try_for_each(|record| tx.put_record(record).map(|_| ()))).await.unwrap();
}

/// Silence is watched, and the first feed of all is asked so rarely that nothing can be said of it for a day.
fn watched_beside_a_slow_one(setup: &mut selvedge_flow::Setup) {
    setup.silence = Some(SilenceSetup::default());
    let (shop, outlet) = (ConnectionName::from("shop"), ConnectionName::from("outlet"));
    setup.connections.insert(outlet.clone(), setup.connections[&shop].clone());
    let rarely = Some(Duration::from_secs(43_200));
    let slow =
        selvedge_flow::CaptureSetup { from: outlet.clone(), feed_every: None, poll_every: rarely, ..setup.captures[0].clone() };
    setup.captures.insert(0, slow);
    let flow = selvedge_flow::FlowSetup { name: "outlet".into(), from: outlet, ..setup.flows[0].clone() };
    setup.flows.push(flow);
}

#[tokio::test]
async fn a_feed_that_falls_silent_is_an_exception_and_closes_when_it_speaks_again() {
    let office = Office::new(watched_beside_a_slow_one).await;
    map_items(&office.store, &office.fake, &[0, 1, 2]).await;
    // At noon of the 29th day the shop's feed dies.
    let noon: Timestamp = "2026-03-04T12:00:00Z".parse().unwrap();
    teach(&office.store, noon, 28).await;
    office.fake.clock.advance(Duration::try_from(noon.duration_since(start())).unwrap());
    office.engine.tick().await.unwrap();
    let mut told_after = None;
    for minute in 0..180 {
        office.fake.clock.advance(Duration::from_secs(60));
        office.engine.tick().await.unwrap();
        if office.open_rules().await.contains(&"source.silent".to_owned()) {
            told_after = Some(minute);
            break;
        }
    }
    assert!(told_after.is_some_and(|minutes| (20..90).contains(&minutes)), "{told_after:?}");
    let row = office.store.read(|view| Ok(view.exceptions(&brand(), false)?.remove(0))).await.unwrap();
    assert!(
        row.problem.message.contains("shop should have brought") && row.problem.message.contains("since 2026-03-04 11:5"),
        "{}",
        row.problem.message
    );
    office.minutes(2).await;
    assert_eq!(office.chat.heard(), [(Event::Opened, 1)]);
    // A start does not make it forgotten, and nothing is said in the first minutes.
    let office = Office {
        engine: Office::engine(&office.fake, &office.store, &office.chat, &office.pager, watched_beside_a_slow_one),
        ..office
    };
    for number in 1..=60 {
        if number % 10 == 1 {
            assert!(number > 12 || office.open_rules().await.contains(&"source.silent".to_owned()), "{number}");
        }
        arrive(&office.store, 2_000_000 + number, &[office.fake.clock.now()]).await;
        office.fake.clock.advance(Duration::from_secs(45));
        office.engine.tick().await.unwrap();
    }
    assert!(!office.open_rules().await.contains(&"source.silent".to_owned()));
    office.minutes(1).await;
    assert!(office.chat.heard().contains(&(Event::Resolved, 1)));
}

#[derive(Default)]
struct Monitor {
    beats: Mutex<u32>,
    deaf: Mutex<bool>,
}

#[async_trait]
impl Pulse for Monitor {
    async fn beat(&self) -> Result<(), Fault> {
        if *self.deaf.lock().unwrap() {
            return Err(transient());
        }
        *self.beats.lock().unwrap() += 1;
        Ok(())
    }
}

#[tokio::test]
async fn signs_of_life_come_while_the_engine_works_and_their_trouble_is_nobodys_alert() {
    let monitor = Arc::new(Monitor::default());
    let pulse = PulseSetup { pulse: monitor.clone(), every: Duration::from_secs(60) };
    let office = Office::new(|setup| setup.alerts.pulse = Some(pulse)).await;
    office.minutes(5).await;
    assert!((4..=6).contains(&*monitor.beats.lock().unwrap()), "{}", monitor.beats.lock().unwrap());
    *monitor.deaf.lock().unwrap() = true;
    office.minutes(3).await;
    let state = office.engine.pulse_state().unwrap();
    assert!(state.failed.is_some() && state.taken_at.is_some());
    assert_eq!((office.open_rules().await, office.chat.heard()), (vec![], vec![]));
    *monitor.deaf.lock().unwrap() = false;
    office.minutes(2).await;
    assert_eq!(office.engine.pulse_state().unwrap().failed, None);
}
