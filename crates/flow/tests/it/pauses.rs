//! Flows that a person pauses, and sources that a person has swept again.

use std::{sync::Arc, time::Duration};

use selvedge_flow::{Engine, actions::Actions};
use selvedge_model::{FlowName, Interval, Kind, gate::rules::OrderPolicy, obligation::State};
use selvedge_store::Store;

use crate::{
    fake::{Fake, start},
    journey::{assert_balance, brand, map_items, settle},
};

async fn ticks(engine: &Arc<Engine>, fake: &Fake, count: usize) {
    for _ in 0..count {
        engine.tick().await.unwrap();
        assert_balance(engine).await;
        fake.clock.advance(Duration::from_secs(2));
    }
}

async fn count(store: &Store, state: State) -> u64 {
    let counts = store.read(|view| view.state_counts(&brand(), &"orders".into())).await.unwrap();
    counts.into_iter().find(|(known, _)| *known == state).map_or(0, |(_, count)| count)
}

#[tokio::test]
async fn a_paused_flow_captures_and_gates_and_delivers_nothing_until_it_is_resumed() {
    let fake = Fake::new(1, 0);
    let store = Store::open("sqlite::memory:").await.unwrap();
    map_items(&store, &fake, &[0, 1, 2]).await;
    let engine = fake.engine(store.clone(), OrderPolicy::default()).await;
    let actions = Actions { store: store.clone(), brand: brand(), clock: fake.clock.clone(), actor: "ada".into() };
    let orders = FlowName::from("orders");
    fake.place(1, 1);
    settle(&engine, &fake).await;
    assert!(actions.pause(&orders, "the books are being closed").await.unwrap());
    assert!(!actions.pause(&orders, "once more").await.unwrap());
    for number in 2..=6 {
        fake.place(number, 1);
    }
    ticks(&engine, &fake, 20).await;
    assert_eq!((fake.documents().len(), count(&store, State::Cleared).await), (1, 5), "all of it waits behind the gate");

    // It outlives the process.
    drop(engine);
    let engine = fake.engine(store.clone(), OrderPolicy::default()).await;
    engine.recover().await.unwrap();
    ticks(&engine, &fake, 20).await;
    assert_eq!(fake.documents().len(), 1);

    let pause = actions.resume(&orders, "").await.unwrap().unwrap();
    assert_eq!((pause.by.as_str(), pause.reason.as_str()), ("ada", "the books are being closed"));
    assert_eq!(actions.resume(&orders, "").await.unwrap(), None);
    settle(&engine, &fake).await;
    assert_eq!(fake.documents().len(), 6);
    let audit = store.read(|view| view.audit_rows(&brand(), 10)).await.unwrap();
    let acts: Vec<&str> = audit.iter().map(|row| row.action.as_str()).filter(|act| act.starts_with("flow.")).collect();
    assert_eq!(acts.len(), 2, "each once: {acts:?}");
}

#[tokio::test]
async fn a_paused_flow_of_stock_writes_no_figure() {
    let fake = Fake::new(1, 0).with_stock(5);
    let store = Store::open("sqlite::memory:").await.unwrap();
    let setup = fake.setup(store.clone(), OrderPolicy::default());
    let stock = setup.stocks[0].name.clone();
    let actions = Actions { store: store.clone(), brand: brand(), clock: fake.clock.clone(), actor: "ada".into() };
    actions.pause(&stock, "counting the shelves").await.unwrap();
    let engine = Arc::new(Engine::new(setup).unwrap());
    ticks(&engine, &fake, 30).await;
    assert_eq!(fake.window("SKU-2"), 0, "the shelf is read, and the window stays as it is");
    actions.resume(&stock, "counted").await.unwrap();
    ticks(&engine, &fake, 30).await;
    assert_eq!(fake.window("SKU-2"), 5);
}

#[tokio::test]
async fn a_sweep_that_a_person_asks_for_finds_what_no_news_mentioned_though_no_timer_runs() {
    let fake = Fake::new(1, 0);
    let store = Store::open("sqlite::memory:").await.unwrap();
    map_items(&store, &fake, &[0, 1, 2]).await;
    let engine = fake.engine(store.clone(), OrderPolicy::default()).await;
    for number in 1..=7 {
        fake.place_silently(number, 1);
    }
    fake.clock.advance(Duration::from_secs(10));
    settle(&engine, &fake).await;
    assert!(fake.documents().is_empty());
    let actions = Actions { store: store.clone(), brand: brand(), clock: fake.clock.clone(), actor: "ada".into() };
    let now = engine.setup().clock.now();
    let asked = Interval { from: start(), to: now };
    assert_eq!(actions.sweep_again(&"shop".into(), Kind::Order, asked).await.unwrap(), asked);
    // Asked for once more before it has begun: one sweep covers both.
    let narrow = Interval { from: now - Duration::from_secs(1), to: now + Duration::from_secs(1) };
    let both = actions.sweep_again(&"shop".into(), Kind::Order, narrow).await.unwrap();
    assert_eq!(both, Interval { from: asked.from, to: narrow.to });
    ticks(&engine, &fake, 4).await;
    settle(&engine, &fake).await;
    assert_eq!(fake.documents().len(), 7);
    let proven = store.read(|view| view.proven(&brand(), &"shop".into(), Kind::Order, 5)).await.unwrap();
    let swept: Vec<_> = proven.iter().filter(|row| row.via == "sweep").collect();
    assert_eq!((swept.len(), swept[0].interval, swept[0].news), (1, both, 7));
}

#[tokio::test]
async fn a_narrow_sweep_that_a_person_asks_for_does_not_stand_in_for_the_timers() {
    let fake = Fake::new(1, 0);
    let store = Store::open("sqlite::memory:").await.unwrap();
    let mut setup = fake.setup(store.clone(), OrderPolicy::default());
    setup.captures[0].sweep_every = Some(Duration::from_secs(3_600));
    let engine = Arc::new(Engine::new(setup).unwrap());
    let actions = Actions { store: store.clone(), brand: brand(), clock: fake.clock.clone(), actor: "ada".into() };
    let sweeps = async || {
        let proven = store.read(|view| view.proven(&brand(), &"shop".into(), Kind::Order, 9)).await.unwrap();
        proven.iter().filter(|row| row.via == "sweep").map(|row| row.interval.from).collect::<Vec<_>>()
    };
    fake.clock.advance(Duration::from_secs(10));
    ticks(&engine, &fake, 4).await;
    assert_eq!(sweeps().await, [start()]);
    fake.clock.advance(Duration::from_secs(3_000));
    let now = engine.setup().clock.now();
    let narrow = Interval { from: now - Duration::from_secs(60), to: now };
    actions.sweep_again(&"shop".into(), Kind::Order, narrow).await.unwrap();
    ticks(&engine, &fake, 10).await;
    assert_eq!(sweeps().await, [narrow.from, start()]);
    fake.clock.advance(Duration::from_secs(700));
    ticks(&engine, &fake, 10).await;
    assert_eq!(sweeps().await, [start(), narrow.from, start()], "an hour after the first, the timer's own");
}

#[tokio::test]
async fn a_sweep_that_is_asked_for_while_a_page_is_read_is_swept_whole() {
    let fake = Fake::new(1, 0);
    let store = Store::open("sqlite::memory:").await.unwrap();
    map_items(&store, &fake, &[0, 1, 2]).await;
    let engine = fake.engine(store.clone(), OrderPolicy::default()).await;
    for number in 1..=5 {
        fake.place_silently(number, 1);
    }
    fake.clock.advance(Duration::from_secs(10));
    let actions = Actions { store: store.clone(), brand: brand(), clock: fake.clock.clone(), actor: "ada".into() };
    let now = engine.setup().clock.now();
    // The narrow one, of the last seconds, holds nothing; it is proven by its first page.
    let narrow = Interval { from: now - Duration::from_secs(2), to: now };
    actions.sweep_again(&"shop".into(), Kind::Order, narrow).await.unwrap();
    let (told, go) = fake.stops_at_a_page();
    let turn = tokio::spawn({
        let engine = engine.clone();
        async move { engine.tick().await }
    });
    told.await.unwrap();
    let wide = Interval { from: start(), to: now };
    assert_eq!(actions.sweep_again(&"shop".into(), Kind::Order, wide).await.unwrap(), wide);
    go.send(()).unwrap();
    turn.await.unwrap().unwrap();
    ticks(&engine, &fake, 4).await;
    settle(&engine, &fake).await;
    let proven = store.read(|view| view.proven(&brand(), &"shop".into(), Kind::Order, 5)).await.unwrap();
    assert_eq!(proven.iter().map(|row| row.interval).collect::<Vec<_>>(), [wide]);
    assert_eq!(fake.documents().len(), 5);
}

/// The answer of a slow system holds what was there when it was asked. Word of a change that comes while it is under way is not
/// answered by it, though it arrives later: nothing else would bring the change, as it has the date of what was read.
#[tokio::test]
async fn word_of_a_change_is_not_answered_by_what_was_read_before_it() {
    let fake = Fake::new(1, 0);
    let store = Store::open("sqlite::memory:").await.unwrap();
    map_items(&store, &fake, &[0, 1, 2]).await;
    let engine = fake.engine(store.clone(), OrderPolicy::default()).await;
    fake.place_silently(1, 1);
    fake.clock.advance(Duration::from_secs(10));
    let actions = Actions { store: store.clone(), brand: brand(), clock: fake.clock.clone(), actor: "ada".into() };
    let now = engine.setup().clock.now();
    actions.sweep_again(&"shop".into(), Kind::Order, Interval { from: start(), to: now }).await.unwrap();
    let (told, go) = fake.stops_at_an_answer();
    let turn = tokio::spawn({
        let engine = engine.clone();
        async move { engine.tick().await }
    });
    told.await.unwrap();
    fake.change_at_once(1, |order| order.comment = Some("leave it at the door".to_owned()));
    fake.clock.advance(Duration::from_secs(1));
    let heard = engine.setup().clock.now();
    store.write(move |tx| tx.notice(&brand(), &"shop".into(), Kind::Order, &"1".into(), heard)).await.unwrap();
    fake.clock.advance(Duration::from_secs(1));
    go.send(()).unwrap();
    turn.await.unwrap().unwrap();
    for _ in 0..3 {
        fake.clock.advance(Duration::from_secs(10));
        ticks(&engine, &fake, 4).await;
    }
    let order = store.read(|view| view.latest(&brand(), Kind::Order, &"1".into())).await.unwrap().unwrap();
    let selvedge_model::AnyRecord::Order(order) = order.record else { panic!("an order") };
    assert_eq!(order.comment.as_deref(), Some("leave it at the door"));
}

#[tokio::test]
async fn a_sweep_that_is_refused_on_its_first_page_is_given_up() {
    let fake = Fake::new(1, 0);
    let store = Store::open("sqlite::memory:").await.unwrap();
    let engine = fake.engine(store.clone(), OrderPolicy::default()).await;
    let actions = Actions { store: store.clone(), brand: brand(), clock: fake.clock.clone(), actor: "ada".into() };
    fake.clock.advance(Duration::from_secs(10));
    let asked = Interval { from: start(), to: engine.setup().clock.now() };
    actions.sweep_again(&"shop".into(), Kind::Order, asked).await.unwrap();
    fake.refuses_pages(true);
    ticks(&engine, &fake, 2).await;
    let begun = store.read(|view| view.reading(&brand(), &"shop".into(), Kind::Order, "sweep")).await.unwrap();
    assert_eq!(begun, None, "it would stand in the way of every other sweep");
}

#[tokio::test]
async fn customers_rest_and_go_on_with_their_orders() {
    let store = Store::open("sqlite::memory:").await.unwrap();
    let actions = Actions { store: store.clone(), brand: brand(), clock: Fake::new(1, 0).clock.clone(), actor: "ada".into() };
    let (orders, rests) = (FlowName::from("orders"), async || {
        store.read(|view| view.flow_rests(&brand(), &FlowName::from("orders").customers())).await.unwrap().map(|pause| pause.flow)
    });
    assert_eq!(rests().await, None);
    actions.pause(&orders, "the books are being closed").await.unwrap();
    assert_eq!(rests().await, Some(orders.clone()));
    actions.resume(&orders, "").await.unwrap();
    assert_eq!(rests().await, None);
}
