//! What holds whatever happens: random things are done to the debts of a few records, and after
//! each of them the laws are looked at.

use std::collections::BTreeMap;

use proptest::prelude::*;
use selvedge_model::{
    ExceptionId, Interval, Kind, ObligationId, Problem,
    obligation::{Event, State, next},
};

use crate::{
    Result, StoreError, Tx,
    obligations::{FlowSide, ObligationRow, Step},
    samples::{at, brand, connection, enter, flow, memory},
};

const KEYS: [&str; 4] = ["1", "2", "3", "4"];
const CAUSES: [&str; 2] = ["mapping.item:sku=1", "address.country"];

#[derive(Clone, Debug)]
enum Act {
    /// A new revision arrives.
    Enter(usize),
    /// Something happens to the row with this place among all rows, if it can.
    Step(usize, Event),
    /// A row is to wait for another.
    Wait(usize, usize),
    Claim(usize),
    Release(usize, Option<usize>),
    Dismiss(usize),
    Recover,
    CloseEmpty,
}

fn acts() -> impl Strategy<Value = Act> {
    let event = proptest::sample::select(Event::ALL.as_slice());
    prop_oneof![
        4 => (0..KEYS.len()).prop_map(Act::Enter),
        12 => (0_usize..40, event).prop_map(|(row, event)| Act::Step(row, event)),
        3 => (0_usize..40, 0_usize..40).prop_map(|(row, other)| Act::Wait(row, other)),
        4 => (1_usize..4).prop_map(Act::Claim),
        2 => (0..CAUSES.len(), proptest::option::of(0_usize..3)).prop_map(|(cause, limit)| Act::Release(cause, limit)),
        1 => (0..CAUSES.len()).prop_map(Act::Dismiss),
        1 => Just(Act::Recover),
        1 => Just(Act::CloseEmpty),
    ]
}

/// What was claimed, to see that it never went back.
#[derive(Default)]
struct Watch {
    last_claimed: BTreeMap<String, u32>,
}

impl Watch {
    fn saw_claim(&mut self, row: &ObligationRow) {
        let last = self.last_claimed.entry(row.key.0.clone()).or_default();
        assert!(row.revision >= *last, "revision {} of {} was sent after {last}", row.revision, row.key);
        *last = row.revision;
    }
}

fn exception(tx: &Tx<'_>, cause: usize) -> Result<ExceptionId> {
    let mut problem = Problem::new("a.rule", "path", "message", "remedy");
    problem.cause = CAUSES[cause % CAUSES.len()].to_owned();
    tx.raise(&brand(), &flow(), &problem, at(100))
}

fn rows(tx: &Tx<'_>) -> Vec<ObligationRow> {
    KEYS.iter().flat_map(|key| tx.obligations_of(&brand(), Kind::Order, &(*key).into()).unwrap()).collect()
}

fn nth(rows: &[ObligationRow], place: usize) -> Option<&ObligationRow> {
    rows.get(place.checked_rem(rows.len())?)
}

fn act(tx: &Tx<'_>, act: &Act, watch: &mut Watch) -> Result<()> {
    let all = rows(tx);
    match act {
        Act::Enter(key) => enter(tx, KEYS[*key]).map(|_| ()),
        Act::Step(place, event) => {
            let Some(row) = nth(&all, *place) else {
                return Ok(());
            };
            // A claim out of turn is what `claim` guards against, so only it claims here.
            if *event == Event::Claim {
                return Ok(());
            }
            let exception = if matches!(event, Event::Hold | Event::Drift) { Some(exception(tx, *place)?) } else { None };
            match (tx.step(row.id, *event, &Step { exception, ..Step::default() }, at(200)), next(row.state, *event)) {
                (Ok(to), Some(expected)) => {
                    assert!(to == expected || to == State::Superseded, "{to:?}")
                }
                (Err(StoreError::Move { state, .. }), None) => assert_eq!(state, row.state),
                (done, expected) => panic!("{done:?} where {expected:?} was expected"),
            }
            Ok(())
        }
        Act::Wait(place, other) => {
            let (Some(row), Some(other)) = (nth(&all, *place), nth(&all, *other)) else {
                return Ok(());
            };
            match tx.wait_for(row.id, other.id) {
                Ok(()) => assert!(matches!(row.state, State::Captured | State::Cleared)),
                Err(StoreError::Move { .. }) => {
                    assert!(!matches!(row.state, State::Captured | State::Cleared))
                }
                Err(StoreError::Unreadable { .. }) => {}
                Err(other) => return Err(other),
            }
            Ok(())
        }
        Act::Claim(limit) => {
            for row in tx.claim(&brand(), &flow(), at(200), *limit)? {
                watch.saw_claim(&row);
            }
            Ok(())
        }
        Act::Release(cause, limit) => {
            let (id, held) = (exception(tx, *cause)?, all.iter().filter(|row| row.state == State::Held).count());
            assert!(tx.release(id, *limit, at(200))? <= held as u64);
            Ok(())
        }
        Act::Dismiss(cause) => {
            let id = exception(tx, *cause)?;
            let held = tx.exception(id)?.count;
            assert_eq!(tx.dismiss(id, "anna: let go", at(200))?, held);
            Ok(())
        }
        Act::Recover => {
            let sending = all.iter().filter(|row| row.state == State::Sending).count();
            assert_eq!(tx.recover(&brand(), at(200))?, sending as u64);
            Ok(())
        }
        Act::CloseEmpty => tx.close_empty(&brand(), at(200)).map(|_| ()),
    }
}

fn laws(tx: &Tx<'_>) -> Result<()> {
    let side = FlowSide { flow: flow(), from: connection("shop"), kind: Kind::Order, off: false };
    let balance = tx.balance(&brand(), std::slice::from_ref(&side), None)?;
    assert_eq!(balance[0].difference(), 0, "{balance:?}");
    let ever = Interval { from: at(0), to: at(1_000_000) };
    assert_eq!(tx.balance(&brand(), &[side], Some(ever))?, balance, "running counts are those of the rows");
    let all = rows(tx);
    let of = |id: ObligationId| all.iter().find(|row| row.id == id).unwrap();
    let mut held = BTreeMap::<ExceptionId, u64>::new();
    for row in &all {
        let same = || all.iter().filter(|other| other.key == row.key);
        let writing = |state| matches!(state, State::Sending | State::Unanswered);
        assert!(same().filter(|other| writing(other.state)).count() <= 1, "two writes under way for {}", row.key);
        if next(row.state, Event::Supersede).is_some() {
            assert!(same().all(|other| other.revision <= row.revision), "{} could be written over a newer revision", row.id);
        }
        assert_eq!(row.settled_at.is_some(), row.state.settled());
        assert_eq!(row.exception.is_some(), row.state == State::Held);
        if let Some(id) = row.exception {
            *held.entry(id).or_default() += 1;
        }
        match row.waits_for.map(of) {
            None => {}
            Some(other) if row.state == State::Held => {
                assert_eq!(
                    (other.state, other.exception),
                    (State::Held, row.exception),
                    "{} is held on account of {}",
                    row.id,
                    other.id
                );
            }
            Some(other) => {
                assert!(row.state.in_flight() && other.state.in_flight(), "{} waits for {} for ever", row.id, other.id)
            }
        }
    }
    for row in tx.exceptions(&brand(), true)? {
        assert_eq!(row.count, held.get(&row.id).copied().unwrap_or(0));
        assert!(row.open || row.count == 0, "{} holds something and is closed", row.id);
    }
    Ok(())
}

/// Everything is released and goes well from here: then everything settles, and all exceptions close.
fn settles(tx: &Tx<'_>, watch: &mut Watch) -> Result<()> {
    for _ in 0..40 {
        for cause in 0..CAUSES.len() {
            tx.release(exception(tx, cause)?, None, at(300))?;
        }
        let step = |state, event| -> Result<()> {
            for row in tx.due(&brand(), &flow(), state, at(300), 100)? {
                tx.step(row.id, event, &Step::default(), at(300))?;
            }
            Ok(())
        };
        step(State::Captured, Event::Clear)?;
        for row in tx.claim(&brand(), &flow(), at(300), 100)? {
            watch.saw_claim(&row);
        }
        step(State::Sending, Event::Answer)?;
        step(State::Unanswered, Event::Answer)?;
        step(State::Delivered, Event::Confirm)?;
        laws(tx)?;
    }
    let left: Vec<_> = rows(tx).into_iter().filter(|row| row.state.in_flight() || row.state == State::Held).collect();
    assert!(left.is_empty(), "{left:#?}");
    assert_eq!(tx.next_due(&brand())?, None);
    tx.close_empty(&brand(), at(300))?;
    assert!(tx.exceptions(&brand(), false)?.is_empty());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn the_laws_hold_whatever_happens(script in proptest::collection::vec(acts(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let done = runtime.block_on(async {
            memory().await.write(move |tx| {
                let mut watch = Watch::default();
                for one in &script {
                    act(tx, one, &mut watch)?;
                    laws(tx)?;
                }
                settles(tx, &mut watch)
            }).await
        });
        prop_assert!(done.is_ok(), "{:?}", done);
    }
}
