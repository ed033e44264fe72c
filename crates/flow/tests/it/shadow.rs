//! A flow that only compares, beside an integration that writes.

use std::{sync::Arc, time::Duration};

use selvedge_flow::{Engine, Setup, actions::Actions};
use selvedge_model::{
    ConnectionName, FlowName, Kind, Mode, ObligationId, Order, RecordKey,
    compare::Cause,
    gate::rules::OrderPolicy,
    obligation::State,
    records::OrderStatus,
    replay::{Comparison, Verdict},
};
use selvedge_store::{Store, obligations::ObligationRow};

use crate::{
    fake::{Fake, order},
    journey::{assert_balance, brand, map_items},
};

fn flow() -> FlowName {
    FlowName::from("orders")
}

fn engine(fake: &Fake, store: &Store, mode: Mode) -> Arc<Engine> {
    let mut setup: Setup = fake.setup(store.clone(), OrderPolicy::default());
    setup.flows[0].mode = mode;
    Arc::new(Engine::new(setup).unwrap())
}

async fn settle(engine: &Arc<Engine>, fake: &Fake) {
    for _ in 0..300 {
        engine.tick().await.unwrap();
        assert_balance(engine).await;
        fake.clock.advance(Duration::from_secs(5));
        if engine.settled().await.unwrap() && fake.quiet() {
            return;
        }
    }
    panic!("it does not settle");
}

async fn rows(store: &Store, number: u32) -> Vec<ObligationRow> {
    let key = RecordKey::new(number.to_string());
    store.read(move |view| view.obligations_of(&brand(), Kind::Order, &key)).await.unwrap()
}

async fn found(store: &Store) -> Vec<(String, Comparison)> {
    let rows = store.read(move |view| view.comparisons(&brand(), &flow(), ObligationId(0), 10_000)).await.unwrap();
    rows.into_iter().map(|row| (row.key.0, row.comparison)).collect()
}

/// Random orders, edits, cancellations, faults and crashes; beside it another integration enters what it likes.
#[tokio::test]
async fn whatever_happens_nothing_is_written_and_what_is_found_is_what_stands() {
    for seed in 0..8 {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("s.db");
        let open = async || Store::open(file.to_str().unwrap()).await.unwrap();
        let fake = Fake::new(seed, 25);
        fake.read_only(true);
        let mut store = open().await;
        // One item in three has no mapping: what a live flow would hold is held.
        map_items(&store, &fake, &[0, 1]).await;
        let mut run = engine(&fake, &store, Mode::Shadow);
        let (mut placed, mut entered) = (0, 0);
        for _ in 0..60 {
            match fake.draw(10) {
                0..=3 => {
                    placed += 1;
                    fake.place(placed, 1 + fake.draw(4));
                    let now = run.setup().clock.now();
                    match fake.draw(4) {
                        0 => {}
                        1 => fake.entered_by_another(order(placed, 9, now)),
                        _ => fake.entered_by_another(fake.orders().pop().unwrap()),
                    }
                    entered += 1;
                }
                4 if placed > 0 => fake.change(1 + fake.draw(placed), |o| o.status = OrderStatus::Cancelled),
                5 if placed > 0 => {
                    let line = format!("Gatan {}", fake.draw(9));
                    fake.change(1 + fake.draw(placed), |o| o.shipping.as_mut().unwrap().line1 = Some(line));
                }
                6 => store.die_after(u64::from(fake.draw(12))),
                _ => fake.clock.advance(Duration::from_secs(u64::from(fake.draw(20)))),
            }
            if run.tick().await.is_err() {
                store = open().await;
                run = engine(&fake, &store, Mode::Shadow);
                run.recover().await.unwrap();
            }
            assert_balance(&run).await;
        }
        assert!(entered > 5);
        fake.behave();
        store = open().await;
        run = engine(&fake, &store, Mode::Shadow);
        run.recover().await.unwrap();
        settle(&run, &fake).await;
        let found: std::collections::BTreeMap<String, Comparison> = found(&store).await.into_iter().collect();
        let documents = fake.documents();
        for placed in fake.orders() {
            let number: u32 = placed.number.0.parse().unwrap();
            let newest = rows(&store, number).await.pop().unwrap();
            assert_eq!(newest.attempts, 0, "a shadow flow claims nothing");
            if number % 3 == 2 && placed.status != OrderStatus::Cancelled {
                assert_eq!(newest.state, State::Held, "seed {seed}: {number} has an unmapped item");
                continue;
            }
            if newest.state == State::Held {
                // Cancelled, and its item unmapped.
                continue;
            }
            assert_eq!(newest.state, State::Compared, "seed {seed}: {number}");
            // What was compared when the newest revision came may have been entered since only if nothing changed.
            let there = documents.iter().find(|d| d.number == placed.number);
            let same = |d: &Order| Order { updated_at: placed.updated_at, ..d.clone() } == placed;
            let cancelled = placed.status == OrderStatus::Cancelled;
            let expected = match there {
                None if cancelled => Verdict::Equal,
                None => Verdict::Create,
                Some(d) if same(d) || cancelled && d.status == OrderStatus::Cancelled => Verdict::Equal,
                Some(_) => Verdict::Change,
            };
            let comparison = &found[&placed.number.0];
            assert_eq!(comparison.verdict, expected, "seed {seed}: {number} {comparison:?}");
        }
    }
}

#[tokio::test]
async fn fields_money_and_doubles_are_named() {
    let fake = Fake::new(1, 0);
    fake.read_only(true);
    let store = Store::open("sqlite::memory:").await.unwrap();
    map_items(&store, &fake, &[0, 1, 2]).await;
    let run = engine(&fake, &store, Mode::Shadow);
    for number in 1..=4 {
        fake.place(number, 2);
    }
    let orders = fake.orders();
    fake.entered_by_another(orders[0].clone());
    fake.entered_by_another(order(2, 3, orders[1].updated_at));
    fake.entered_by_another(orders[2].clone());
    fake.entered_by_another(orders[2].clone());
    settle(&run, &fake).await;
    let found = found(&store).await;
    let verdicts: Vec<Verdict> = found.iter().map(|(_, c)| c.verdict).collect();
    assert_eq!(verdicts, [Verdict::Equal, Verdict::Change, Verdict::Change, Verdict::Create]);
    let money = found[1].1.differences.iter().find(|d| d.path == "lines[0].net").unwrap().money.unwrap();
    assert_eq!(money.minor(), 10_000, "theirs minus ours");
    assert_eq!(found[2].1.differences[0].cause, Cause::Duplicate);
    assert_eq!(found[0].1.found_by, "what the shop calls it");
}

#[tokio::test]
async fn going_live_confirms_what_stands_and_writes_only_the_rest() {
    let fake = Fake::new(1, 0);
    fake.read_only(true);
    let store = Store::open("sqlite::memory:").await.unwrap();
    map_items(&store, &fake, &[0, 1, 2]).await;
    let run = engine(&fake, &store, Mode::Shadow);
    for number in 1..=4 {
        fake.place(number, 2);
    }
    let orders = fake.orders();
    fake.entered_by_another(orders[0].clone());
    fake.entered_by_another(order(2, 3, orders[1].updated_at));
    fake.entered_by_another(orders[3].clone());
    settle(&run, &fake).await;
    drop(run);
    fake.read_only(false);
    let run = engine(&fake, &store, Mode::Live);
    run.recover().await.unwrap();
    run.tick().await.unwrap();
    assert_eq!(fake.documents().len(), 3, "a live flow does not take up by itself what it compared");
    // A new revision of what it saw is a change of that document, not a second one.
    fake.change(4, |o| o.shipping.as_mut().unwrap().line1 = Some("Vägen 2".into()));
    settle(&run, &fake).await;
    assert_eq!(fake.documents().len(), 3);
    let actions = Actions { store: store.clone(), brand: brand(), clock: fake.clock.clone(), actor: "anna".into() };
    let adopted = actions.adopt(&flow(), &ConnectionName::from("books"), 100).await.unwrap();
    assert_eq!((adopted.bound, adopted.due), (1, 2));
    settle(&run, &fake).await;
    for number in 1..=4 {
        assert_eq!(rows(&store, number).await.pop().unwrap().state, State::Confirmed, "{number}");
    }
    let documents = fake.documents();
    assert_eq!(documents.len(), 4, "three stood, one was missing");
    assert!(documents.iter().all(|d| d.lines[0].quantity == 2));
}

#[tokio::test]
async fn what_came_while_a_flow_was_off_is_left_out_by_name_or_compared() {
    let fake = Fake::new(1, 0);
    let store = Store::open("sqlite::memory:").await.unwrap();
    map_items(&store, &fake, &[0, 1, 2]).await;
    // Two flows from one shop: one is off.
    let setup = |second: Mode| {
        let mut setup: Setup = fake.setup(store.clone(), OrderPolicy::default());
        let mut other = setup.flows[0].clone();
        (other.name, other.mode) = (FlowName::from("second"), second);
        setup.flows.push(other);
        setup.flows[0].mode = Mode::Shadow;
        setup
    };
    let run = Arc::new(Engine::new(setup(Mode::Off)).unwrap());
    fake.place(1, 1);
    settle(&run, &fake).await;
    assert_eq!(rows(&store, 1).await.len(), 1, "a flow that is off owes nothing");
    let run = Arc::new(Engine::new(setup(Mode::Live)).unwrap());
    run.recover().await.unwrap();
    assert_balance(&run).await;
    settle(&run, &fake).await;
    let left_out = rows(&store, 1).await.pop().unwrap();
    assert_eq!((left_out.flow.as_str(), left_out.state), ("second", State::Excluded));
    assert!(left_out.note.unwrap().starts_with("flow.missed version 1"));
    assert!(fake.documents().is_empty());
    let actions = Actions { store: store.clone(), brand: brand(), clock: fake.clock.clone(), actor: "anna".into() };
    assert_eq!(actions.renew(&[left_out.id], "it is wanted after all").await.unwrap(), 1);
    settle(&run, &fake).await;
    assert_eq!(fake.documents().len(), 1);
}
