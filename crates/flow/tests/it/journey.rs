//! One record at a time, step by step.

use std::{sync::Arc, time::Duration};

use selvedge_flow::{Engine, actions::Actions};
use selvedge_model::{Brand, ConnectionName, Kind, RecordKey, gate::rules::OrderPolicy, obligation::State, records::OrderStatus};
use selvedge_store::Store;

use crate::fake::{Fake, order, start};

pub fn brand() -> Brand {
    Brand::from("nordvik")
}

pub async fn map_items(store: &Store, fake: &Fake, skus: &[u32]) -> u64 {
    let actions = Actions { store: store.clone(), brand: brand(), clock: fake.clock.clone(), actor: "test".into() };
    let mut released = 0;
    for n in skus {
        let mapped = actions
            .map(&ConnectionName::from("books"), "item", &format!("sku=SKU-{n}"), Some(&format!("item-{n}")))
            .await
            .unwrap();
        released += mapped.released + mapped.following;
    }
    released
}

pub async fn settle(engine: &Arc<Engine>, fake: &Fake) {
    for _ in 0..200 {
        engine.tick().await.unwrap();
        assert_balance(engine).await;
        fake.clock.advance(Duration::from_secs(2));
        if engine.settled().await.unwrap() && fake.quiet() {
            // Once more, so that what has settled is also tidied up.
            engine.tick().await.unwrap();
            return;
        }
    }
    panic!("it does not settle");
}

pub async fn assert_balance(engine: &Engine) {
    let sides = engine.flow_sides();
    let balances = engine.setup().store.read(move |view| view.balance(&brand(), &sides, None)).await.unwrap();
    for balance in balances {
        assert_eq!(balance.difference(), 0, "{balance:?}");
    }
}

async fn states(store: &Store, number: u32) -> Vec<State> {
    let key = RecordKey::new(number.to_string());
    let rows = store.read(move |view| view.obligations_of(&brand(), Kind::Order, &key)).await.unwrap();
    rows.into_iter().map(|row| row.state).collect()
}

#[tokio::test]
async fn what_no_flow_takes_is_left_out_of_the_queue_of_news() {
    let fake = Fake::new(1, 0);
    let store = Store::open("sqlite::memory:").await.unwrap();
    map_items(&store, &fake, &[0, 1, 2]).await;
    let engine = fake.engine(store.clone(), OrderPolicy::default()).await;
    fake.place(1, 1);
    settle(&engine, &fake).await;
    assert_eq!(states(&store, 1).await, [State::Confirmed]);
    let far = jiff::Timestamp::MAX;
    let (records, notices) = store
        .read(move |view| {
            let records = view.records(&brand(), Kind::Return, "", 10)?;
            Ok((records.len(), view.notices_due(&brand(), &ConnectionName::from("shop"), Kind::Return, far, 10)?.len()))
        })
        .await
        .unwrap();
    assert_eq!((records, notices), (0, 0), "nobody could decode it");
}

#[tokio::test]
async fn an_order_is_confirmed_once_and_an_edit_follows() {
    let fake = Fake::new(1, 0);
    let store = Store::open("sqlite::memory:").await.unwrap();
    map_items(&store, &fake, &[0, 1, 2]).await;
    let engine = fake.engine(store.clone(), OrderPolicy::default()).await;
    fake.place(1, 2);
    settle(&engine, &fake).await;
    assert_eq!(states(&store, 1).await, [State::Confirmed]);
    fake.change(1, |o| o.shipping.as_mut().unwrap().line1 = Some("Vägen 2".into()));
    settle(&engine, &fake).await;
    assert_eq!(states(&store, 1).await, [State::Confirmed, State::Confirmed]);
    let documents = fake.documents();
    assert_eq!(documents.len(), 1);
    assert_eq!(documents[0].shipping.as_ref().unwrap().line1.as_deref(), Some("Vägen 2"));
}

#[tokio::test]
async fn what_somebody_else_entered_is_adopted_where_the_target_guards_nothing() {
    let fake = Fake::new(1, 0);
    let store = Store::open("sqlite::memory:").await.unwrap();
    map_items(&store, &fake, &[0, 1, 2]).await;
    let engine = fake.engine(store.clone(), OrderPolicy::default()).await;
    fake.entered_by_hand(order(1, 5, start()));
    fake.place(1, 2);
    settle(&engine, &fake).await;
    assert_eq!(states(&store, 1).await, [State::Confirmed]);
    let documents = fake.documents();
    assert_eq!((documents.len(), documents[0].lines[0].quantity), (1, 2), "changed where it stood, not entered twice");
}

#[tokio::test]
async fn news_without_a_change_is_no_news() {
    let fake = Fake::new(1, 0);
    let store = Store::open("sqlite::memory:").await.unwrap();
    map_items(&store, &fake, &[0, 1, 2]).await;
    let engine = fake.engine(store.clone(), OrderPolicy::default()).await;
    fake.place(1, 2);
    settle(&engine, &fake).await;
    fake.change(1, |_| {});
    settle(&engine, &fake).await;
    assert_eq!(states(&store, 1).await, [State::Confirmed], "an echo made a revision");
}

#[tokio::test]
async fn one_unmapped_value_is_one_exception_and_mapping_it_releases_all() {
    let fake = Fake::new(1, 0);
    let store = Store::open("sqlite::memory:").await.unwrap();
    map_items(&store, &fake, &[1, 2]).await;
    let engine = fake.engine(store.clone(), OrderPolicy::default()).await;
    for number in [3, 6, 9, 10] {
        fake.place(number, 1);
    }
    settle(&engine, &fake).await;
    assert_eq!(fake.documents().len(), 1, "only the mapped one passes");
    let open = store.read(|view| view.exceptions(&brand(), false)).await.unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].count, 3);
    assert_eq!(open[0].problem.rule, "mapping.item");
    assert_eq!(open[0].money[0].to_string(), "375.00 SEK");
    assert_eq!(map_items(&store, &fake, &[0]).await, 3);
    settle(&engine, &fake).await;
    assert_eq!(fake.documents().len(), 4);
    assert!(
        store.read(|view| view.exceptions(&brand(), false)).await.unwrap().is_empty(),
        "it closes when what it held has settled"
    );
}

#[tokio::test]
async fn an_order_cancelled_before_hand_over_never_leaves() {
    let fake = Fake::new(1, 0);
    let store = Store::open("sqlite::memory:").await.unwrap();
    map_items(&store, &fake, &[0, 1, 2]).await;
    let engine = fake.engine(store.clone(), OrderPolicy::default()).await;
    fake.place(1, 1);
    fake.change(1, |o| o.status = OrderStatus::Cancelled);
    settle(&engine, &fake).await;
    assert!(fake.documents().is_empty());
    assert_eq!(states(&store, 1).await, [State::Excluded]);
}

#[tokio::test]
async fn what_reads_back_differently_is_held_with_both_values() {
    let fake = Fake::new(1, 0);
    let store = Store::open("sqlite::memory:").await.unwrap();
    map_items(&store, &fake, &[0, 1, 2]).await;
    let engine = fake.engine(store.clone(), OrderPolicy::default()).await;
    fake.place(1, 1);
    // The edit reaches the books, and somebody changes the quantity there before it is read back.
    settle(&engine, &fake).await;
    fake.tamper(1, |o| o.lines[0].quantity = 5);
    fake.change(1, |o| o.comment = Some("ring twice".into()));
    let before = fake.documents();
    assert_eq!(before[0].lines[0].quantity, 5);
    settle(&engine, &fake).await;
    assert_eq!(fake.documents()[0].lines[0].quantity, 1, "our revision is written whole");
    assert_eq!(states(&store, 1).await, [State::Confirmed, State::Confirmed]);
}

#[tokio::test]
async fn an_order_that_no_news_mentions_is_found_by_the_sweep() {
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
    let swept = engine.sweep_now().await.unwrap();
    assert_eq!(swept.found, 7);
    assert!(swept.through.is_some());
    settle(&engine, &fake).await;
    assert_eq!(fake.documents().len(), 7);
    assert_eq!(engine.sweep_now().await.unwrap().found, 0, "a second sweep finds nothing new");
}

#[tokio::test]
async fn a_held_order_can_be_dismissed_with_a_reason() {
    let fake = Fake::new(1, 0);
    let store = Store::open("sqlite::memory:").await.unwrap();
    map_items(&store, &fake, &[0, 1, 2]).await;
    let engine = fake.engine(store.clone(), OrderPolicy::default()).await;
    fake.place(1, 1);
    fake.change(1, |o| o.shipping.as_mut().unwrap().country = None);
    settle(&engine, &fake).await;
    assert_eq!(states(&store, 1).await.last(), Some(&State::Held));
    let open = store.read(|view| view.exceptions(&brand(), false)).await.unwrap();
    assert_eq!(open[0].problem.rule, "address.country");
    let actions = Actions { store: store.clone(), brand: brand(), clock: fake.clock.clone(), actor: "ada".into() };
    assert_eq!(actions.dismiss(open[0].id, "entered by hand").await.unwrap(), 1);
    settle(&engine, &fake).await;
    assert_eq!(states(&store, 1).await.last(), Some(&State::Dismissed));
    let audit = store.read(|view| view.audit_rows(&brand(), 10)).await.unwrap();
    assert!(audit.iter().any(|row| row.actor == "ada" && row.action == "exception.dismiss"));
    assert_eq!(store.read(|view| view.audit_broken_at(&brand())).await.unwrap(), None);
}

#[tokio::test]
async fn a_call_that_hangs_keeps_nobody_else_waiting() {
    let fake = Fake::new(1, 0);
    let store = Store::open("sqlite::memory:").await.unwrap();
    map_items(&store, &fake, &[0, 1, 2]).await;
    let engine = fake.engine(store.clone(), OrderPolicy::default()).await;
    fake.hang(1);
    fake.place(1, 1);
    let moving = tokio::spawn(Arc::clone(&engine).run(std::future::pending()));
    let patience = std::time::Instant::now();
    let mut placed = 1;
    while fake.documents().len() < 6 {
        assert!(patience.elapsed() < Duration::from_secs(30), "only {} of 6 arrive", fake.documents().len());
        // One after the other, so that each comes while the first still hangs.
        if fake.documents().len() + 1 == placed && placed < 7 {
            placed += 1;
            fake.place(placed as u32, 1);
        }
        fake.clock.advance(Duration::from_secs(2));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    moving.abort();
}

#[tokio::test]
async fn what_the_shop_stops_after_the_hand_over_is_an_exception_until_it_goes_on() {
    let fake = Fake::new(1, 0);
    let store = Store::open("sqlite::memory:").await.unwrap();
    map_items(&store, &fake, &[0, 1, 2]).await;
    let engine = fake.engine(store.clone(), OrderPolicy::default()).await;
    fake.place(1, 1);
    fake.place(2, 1);
    settle(&engine, &fake).await;
    fake.change(1, |o| o.holds = vec![selvedge_model::records::HoldReason::OnHold]);
    fake.change(2, |o| o.lines.clear());
    settle(&engine, &fake).await;
    let rules = |open: Vec<selvedge_store::exceptions::ExceptionRow>| {
        let mut rules: Vec<String> = open.into_iter().map(|one| one.problem.rule).collect();
        rules.sort();
        rules
    };
    let open = store.read(|view| view.exceptions(&brand(), false)).await.unwrap();
    assert_eq!(rules(open), ["lines.all_cancelled", "status.stopped"]);
    fake.change(1, |o| o.holds.clear());
    fake.change(2, |o| o.status = OrderStatus::Cancelled);
    settle(&engine, &fake).await;
    assert_eq!(rules(store.read(|view| view.exceptions(&brand(), false)).await.unwrap()), Vec::<String>::new());
    assert_eq!(states(&store, 1).await.last(), Some(&State::Confirmed));
    assert_eq!(states(&store, 2).await.last(), Some(&State::Confirmed));
}
