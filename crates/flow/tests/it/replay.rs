//! Recorded documents under other rules and other mappings.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use selvedge_flow::{Before, Engine, Replay, Replayed, Trial, actions::Actions};
use selvedge_model::{
    ConnectionName, Currency, ExceptionId, Kind, ObligationId, RecordKey,
    gate::rules::OrderPolicy,
    obligation::State,
    replay::{Effect, tally::ReplayTally},
};
use selvedge_store::{Store, mappings::MappingSet};

use crate::{
    fake::{Fake, start},
    journey::{assert_balance, brand, map_items},
};

async fn settle(engine: &Arc<Engine>, fake: &Fake) {
    for _ in 0..200 {
        engine.tick().await.unwrap();
        assert_balance(engine).await;
        fake.clock.advance(Duration::from_secs(2));
        if engine.settled().await.unwrap() && fake.quiet() {
            return;
        }
    }
    panic!("it does not settle");
}

/// A world in which sixty orders were delivered, one in three for each of three items.
async fn world(skus: &[u32]) -> (Fake, Store, Arc<Engine>) {
    let fake = Fake::new(1, 0);
    let store = Store::open("sqlite::memory:").await.unwrap();
    map_items(&store, &fake, skus).await;
    let run = fake.engine(store.clone(), OrderPolicy::default()).await;
    for number in 1..=60 {
        fake.place(number, 1 + number % 4);
    }
    settle(&run, &fake).await;
    (fake, store, run)
}

async fn mappings(store: &Store) -> MappingSet {
    let rows = store.read(|view| view.mappings(&brand())).await.unwrap();
    MappingSet(rows.into_iter().map(|row| ((row.connection, row.table, row.key), row.value)).collect())
}

async fn replay(store: &Store, replay: &Replay) -> Vec<Replayed> {
    let mut all = Vec::new();
    assert_eq!(replay.each(store, usize::MAX, |one| all.push(one)).await.unwrap(), None);
    all
}

fn trial(engine: &Arc<Engine>, mappings: Option<MappingSet>) -> Trial {
    Trial { engine: Arc::clone(engine), mappings: mappings.map(Arc::new) }
}

fn tally(replayed: Vec<Replayed>) -> ReplayTally {
    let mut tally = ReplayTally::default();
    for one in replayed {
        tally.add(one.flow.as_str(), one.key.as_str(), one.worth, one.effect, 100);
    }
    tally
}

async fn written(store: &Store) -> (u64, u64) {
    let key = |n: u32| RecordKey::new(n.to_string());
    let mut lines = 0;
    for number in 1..=60 {
        let key = key(number);
        lines += store
            .read(move |view| {
                let rows = view.obligations_of(&brand(), Kind::Order, &key)?;
                rows.iter().map(|row| Ok(view.story(row.id)?.len() as u64)).sum::<selvedge_store::Result<u64>>()
            })
            .await
            .unwrap();
    }
    let audited = store.read(|view| Ok(view.audit_rows(&brand(), 1_000)?.len() as u64)).await.unwrap();
    (lines, audited)
}

#[tokio::test]
async fn a_changed_mapping_shows_exactly_the_orders_and_fields_concerned_and_no_call_leaves() {
    let (fake, store, run) = world(&[0, 1, 2]).await;
    fake.silent(true);
    let before = written(&store).await;
    let mut other = mappings(&store).await;
    let entry = |n: u32| ("books".to_owned(), "item".to_owned(), format!("sku=SKU-{n}"));
    other.0.insert(entry(1), "item-9".to_owned());
    let setup =
        |mappings| Replay { before: Before::Rules(trial(&run, None)), after: trial(&run, mappings), since: start(), flow: None };
    let replayed = replay(&store, &setup(Some(other.clone()))).await;
    assert_eq!(replayed.len(), 60);
    for one in &replayed {
        let number: u32 = one.key.0.parse().unwrap();
        match &one.effect {
            Effect::Changed { fields } => {
                assert_eq!(number % 3, 1);
                assert_eq!(fields.len(), 1, "{fields:?}");
                assert_eq!(fields[0].path, "item sku=SKU-1");
                assert_eq!((fields[0].before.as_deref(), fields[0].after.as_deref()), (Some("item-1"), Some("item-9")));
            }
            effect => assert_eq!((number % 3 != 1, effect), (true, &Effect::Same), "{number}"),
        }
    }
    // One is taken out: its orders would be held, for that reason.
    other.0.remove(&entry(2));
    let all = tally(replay(&store, &setup(Some(other))).await);
    assert_eq!((all.records, all.changed, all.newly_held, all.same), (60, 20, 20, 20));
    assert_eq!(all.held_for.top(), [("mapping.item:sku=SKU-2", 20)]);
    assert!(tally(replay(&store, &setup(None)).await).is_identical());
    assert_eq!(written(&store).await, before, "a replay writes nothing");
}

#[tokio::test]
async fn other_rules_show_what_they_hold_and_what_they_let_pass() {
    let (fake, store, run) = world(&[0, 1]).await;
    fake.silent(true);
    let euros = OrderPolicy { currencies: vec![Currency::from_code("EUR").unwrap()], ..OrderPolicy::default() };
    let strict = fake.engine(store.clone(), euros).await;
    let mut mapped = mappings(&store).await;
    mapped.0.insert(("books".to_owned(), "item".to_owned(), "sku=SKU-2".to_owned()), "item-2".to_owned());
    let held = Replay { before: Before::Rules(trial(&run, None)), after: trial(&strict, None), since: start(), flow: None };
    let held = tally(replay(&store, &held).await);
    assert_eq!((held.newly_held, held.otherwise), (40, 20), "forty went; twenty would be held for another reason");
    assert_eq!(held.money_newly_held.iter().count(), 1);
    let passing =
        Replay { before: Before::Rules(trial(&run, None)), after: trial(&run, Some(mapped)), since: start(), flow: None };
    let passing = tally(replay(&store, &passing).await);
    assert_eq!((passing.newly_passing, passing.same), (20, 40));
    assert_eq!(passing.were_held_for.top(), [("mapping.item:sku=SKU-2", 20)]);
}

#[tokio::test]
async fn what_was_delivered_under_an_older_mapping_is_found_and_delivered_again() {
    let (fake, store, run) = world(&[0, 1, 2]).await;
    let actions = Actions { store: store.clone(), brand: brand(), clock: fake.clock.clone(), actor: "anna".into() };
    actions.map(&ConnectionName::from("books"), "item", "sku=SKU-1", Some("item-9")).await.unwrap();
    let again = Replay { before: Before::Delivered, after: trial(&run, None), since: start(), flow: None };
    let changed: Vec<Replayed> =
        replay(&store, &again).await.into_iter().filter(|one| matches!(one.effect, Effect::Changed { .. })).collect();
    assert_eq!(changed.len(), 20);
    let ids: Vec<_> = changed.iter().filter_map(|one| one.obligation).collect();
    assert_eq!(actions.renew(&ids[..5], "replay, canary").await.unwrap(), 5);
    assert_eq!(actions.renew(&ids[..5], "replay, canary").await.unwrap(), 0, "what is under way is left alone");
    settle(&run, &fake).await;
    let counts: BTreeMap<State, u64> =
        store.read(|view| view.state_counts(&brand(), &"orders".into())).await.unwrap().into_iter().collect();
    assert_eq!(counts, BTreeMap::from([(State::Confirmed, 60)]));
    // Those are right now; the others are still to be done.
    let left = replay(&store, &again).await.into_iter().filter(|one| one.effect != Effect::Same).count();
    assert_eq!(left, 15);
}

#[tokio::test]
async fn delivering_again_goes_on_while_all_is_well_and_stops_at_the_first_surprise() {
    let (fake, store, run) = world(&[0, 1, 2]).await;
    let actions = Actions { store: store.clone(), brand: brand(), clock: fake.clock.clone(), actor: "anna".into() };
    let books = ConnectionName::from("books");
    actions.map(&books, "item", "sku=SKU-1", Some("item-9")).await.unwrap();
    let again = Replay { before: Before::Delivered, after: trial(&run, None), since: start(), flow: None };
    let changed = async || {
        let all = replay(&store, &again).await;
        all.into_iter()
            .filter(|one| one.effect != Effect::Same && one.passes)
            .filter_map(|one| one.obligation)
            .collect::<Vec<_>>()
    };
    let deliver = async |ids: &[ObligationId]| {
        let mut going = actions.redeliver(ids, 5, "new items").await.unwrap();
        while going.step(&actions).await.unwrap() {
            run.tick().await.unwrap();
            fake.clock.advance(Duration::from_secs(2));
        }
        going.done
    };
    let ids = changed().await;
    let done = deliver(&ids).await;
    assert_eq!((done.renewed, done.confirmed, done.left, done.went_well()), (20, 20, 0, true));
    assert!(changed().await.is_empty());
    // The mapping is taken out between the preview and the delivery: the canary is held, and nobody follows it.
    actions.map(&books, "item", "sku=SKU-2", Some("item-8")).await.unwrap();
    let ids = changed().await;
    assert_eq!(ids.len(), 20);
    actions.map(&books, "item", "sku=SKU-2", None).await.unwrap();
    let done = deliver(&ids).await;
    assert_eq!((done.renewed, done.confirmed, done.left, done.surprises.len()), (5, 0, 15, 5));
    assert!(!done.went_well());
    assert!(done.surprises.iter().all(|surprise| surprise.state == State::Held), "{done:?}");
    // Nobody waits for ever for an engine that does not run.
    actions.map(&books, "item", "sku=SKU-2", Some("item-8")).await.unwrap();
    let mut going = actions.redeliver(&ids[5..], 5, "new items").await.unwrap();
    assert!(going.step(&actions).await.unwrap() && going.step(&actions).await.unwrap());
    assert_eq!((going.done.renewed, going.done.waiting, going.done.left), (5, 5, 10));
}

#[tokio::test]
async fn many_held_records_are_not_released_in_parts_where_that_takes_two_people() {
    let (fake, store, run) = world(&[0, 1]).await;
    let actions = Actions { store: store.clone(), brand: brand(), clock: fake.clock.clone(), actor: "anna".into() };
    let held = |view: &selvedge_store::View<'_>| view.held_ids(ExceptionId(1), 100);
    let ids = store.read(held).await.unwrap();
    assert!(ids.len() > 15, "{}", ids.len());
    let most = ids.len() as u64 - 1;
    let marked = selvedge_model::people::FourEyes { release_over: Some(most), ..Default::default() };
    store.write(move |tx| tx.set_four_eyes(&brand(), &marked)).await.unwrap();
    let refused = actions.redeliver(&ids, 5, "all of them").await.unwrap_err().to_string();
    assert!(refused.contains("takes a second person"), "{refused}");
    assert_eq!(store.read(held).await.unwrap(), ids, "not even the first few");
    assert!(actions.redeliver(&ids[1..], 5, "one less").await.is_ok());
    drop(run);
}
