//! The laws of stock in the store.

use std::collections::BTreeMap;

use proptest::prelude::*;
use selvedge_model::{ExternalId, FlowName, LocationId, Problem, Sku, StockLevel};

use super::{Claim, FigureState, Merged, Of, Shown, Terms, Wanted};
use crate::{
    Result, Store, Tx,
    samples::{at, brand, memory},
};

fn of() -> Of {
    Of { brand: brand(), flow: FlowName::from("stock") }
}

fn shelf() -> LocationId {
    LocationId::new("21")
}

fn window() -> LocationId {
    LocationId::new("9")
}

fn level(sku: &str, units: i64, as_of: i64) -> StockLevel {
    StockLevel {
        sku: Sku::new(sku),
        location: shelf(),
        item: ExternalId::new(format!("i-{sku}")),
        as_of: at(as_of),
        changed_at: None,
        on_hand: units,
        committed: 0,
        back_ordered: 0,
        pending_approval: 0,
        available: units.max(0),
        incoming: 0,
        active: true,
        unit_value: None,
        categories: vec!["Coats".to_owned()],
    }
}

fn listed(sku: &str, units: i64, as_of: i64) -> StockLevel {
    StockLevel { location: window(), item: ExternalId::new(format!("s-{sku}")), ..level(sku, units, as_of) }
}

fn claim(sku: &str, version: i64, units: i64, as_of: i64) -> Claim {
    let terms = Terms { net: units, as_of: at(as_of), not_taken_in: 0, buffer: 0, buffer_rule: "no rule".to_owned() };
    Claim { place: window(), sku: Sku::new(sku), version, units, terms, shown: Shown { units: 0, promised: 0, at: at(as_of) } }
}

async fn tx<T: Send + 'static>(store: &Store, work: impl FnOnce(&Tx<'_>) -> Result<T> + Send + 'static) -> T {
    store.write(work).await.unwrap()
}

fn merge(tx: &Tx<'_>, level: &StockLevel) -> Result<Merged> {
    tx.stock_level(&of(), level, "poll", None, Some(&window()), level.as_of)
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

#[tokio::test]
async fn an_older_level_never_takes_the_place_of_a_newer_one() {
    let store = memory().await;
    tx(&store, |tx| {
        assert_eq!(merge(tx, &level("a", 5, 100))?, Merged::News(None));
        assert_eq!(merge(tx, &level("a", 9, 99))?, Merged::Stale);
        assert_eq!(merge(tx, &level("a", 5, 101))?, Merged::Same);
        assert_eq!(merge(tx, &level("a", 4, 102))?, Merged::News(Some(5)));
        let row = tx.stock_level_of(&of(), &shelf(), &Sku::new("a"), at(102))?.unwrap();
        assert_eq!((row.level.on_hand, row.level.as_of, row.demand.units), (4, at(102), 1));
        assert_eq!(tx.stock_moves(&of(), None, 10)?.len(), 1);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_figure_that_moved_meanwhile_stays_due_and_an_older_one_is_not_sent() {
    let store = memory().await;
    tx(&store, |tx| {
        tx.stock_listed(&of(), &listed("a", 0, 100), 1)?;
        merge(tx, &level("a", 5, 101))?;
        let due = tx.stock_due(&of(), at(200), 10)?;
        assert_eq!(
            (due.len(), due[0].state, due[0].why.as_str(), due[0].categories.as_slice()),
            (1, FigureState::Due, "moved", &["Coats".to_owned()][..])
        );
        let version = due[0].version;
        // Worked out from another version: left out.
        assert!(tx.stock_claim(&of(), &[claim("a", version - 1, 5, 101)], at(110))?.is_empty());
        assert_eq!(tx.stock_claim(&of(), &[claim("a", version, 5, 101)], at(110))?, [0]);
        assert!(tx.stock_due(&of(), at(200), 10)?.is_empty());
        merge(tx, &level("a", 3, 111))?;
        // Equal for the version that was sent, but not for what came since.
        assert_eq!(tx.stock_agree(&of(), &[claim("a", version, 5, 101)], at(112))?, [None]);
        let due = tx.stock_due(&of(), at(200), 10)?;
        assert_eq!((due.len(), due[0].stale_since), (1, Some(at(100))));
        // An older level than the one behind the figure that was sent is never written after it.
        assert!(tx.stock_claim(&of(), &[claim("a", due[0].version, 7, 99)], at(113))?.is_empty());
        assert_eq!(tx.stock_claim(&of(), &[claim("a", due[0].version, 3, 111)], at(113))?, [0]);
        assert_eq!(tx.stock_agree(&of(), &[claim("a", due[0].version, 3, 111)], at(114))?, [Some(at(100))]);
        assert!(tx.stock_due(&of(), at(900), 10)?.is_empty());
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn after_a_crash_a_figure_is_looked_at_until_its_write_can_no_longer_come_in() {
    let store = memory().await;
    tx(&store, |tx| {
        tx.stock_listed(&of(), &listed("a", 0, 100), 1)?;
        let version = tx.stock_due(&of(), at(200), 10)?[0].version;
        tx.stock_claim(&of(), &[claim("a", version, 5, 101)], at(110))?;
        assert_eq!(tx.stock_recover(&of(), at(120), at(300))?, 1);
        let agree = |now: i64| -> Result<bool> {
            let row = tx.stock_figure(&of(), &window(), &Sku::new("a"))?.unwrap();
            tx.stock_agree(&of(), &[claim("a", row.version, 5, now)], at(now))?;
            Ok(tx.stock_figure(&of(), &window(), &Sku::new("a"))?.unwrap().state == FigureState::Agreed)
        };
        // What stands there now may be overwritten yet.
        assert_eq!(tx.stock_due(&of(), at(120), 10)?.len(), 1);
        assert!(!agree(121)?);
        assert!(tx.stock_due(&of(), at(299), 10)?.is_empty());
        // News of the source need not wait for that.
        tx.stock_level(&of(), &level("a", 4, 130), "poll", None, Some(&window()), at(130))?;
        assert_eq!(tx.stock_due(&of(), at(131), 10)?.len(), 1);
        assert!(!agree(132)?);
        assert_eq!(tx.stock_due(&of(), at(300), 10)?.len(), 1);
        assert!(agree(300)?);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn what_an_exception_holds_is_counted_let_through_and_dropped() {
    let store = memory().await;
    tx(&store, |tx| {
        let flow = of().flow;
        let problem = Problem::new("stock.guard", "", "empty", "look").cause("21");
        let held = tx.raise_standing(&brand(), &flow, &problem, at(1))?;
        merge(tx, &level("a", 5, 100))?;
        tx.stock_hold_level(&of(), &level("a", 0, 101), held)?;
        tx.stock_hold_level(&of(), &level("b", 0, 101), held)?;
        assert_eq!(tx.exception(held)?.count, 2);
        assert_eq!(tx.stock_held_levels(held, 10)?[0].in_force, Some(5));
        let row = tx.stock_held_level(&of(), &shelf(), &Sku::new("b"))?.unwrap();
        assert_eq!((row.in_force, row.exception, row.accepted), (None, held, false));
        assert_eq!(tx.stock_held_level(&of(), &window(), &Sku::new("b"))?, None);
        assert!(tx.stock_accepted_levels(&of(), 10)?.is_empty());
        // A newer reading of one of them takes its place.
        merge(tx, &level("a", 4, 102))?;
        assert_eq!(tx.exception(held)?.count, 1);
        assert_eq!(tx.release(held, None, at(103))?, 1);
        assert_eq!(tx.stock_accepted_levels(&of(), 10)?.len(), 1);
        assert!(tx.stock_held_level(&of(), &shelf(), &Sku::new("b"))?.unwrap().accepted);
        tx.stock_hold_level(&of(), &level("c", 0, 105), held)?;
        assert!(tx.close_empty(&brand(), at(106))?.is_empty());
        assert_eq!(tx.dismiss(held, "anna: a broken feed", at(107))?, 2);
        assert_eq!(tx.exception(held)?.count, 0);
        Ok(())
    })
    .await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// What is not taken in, against counting it order by order.
    #[test]
    fn demand_is_what_orders_want_and_the_source_does_not_show(
        acts in proptest::collection::vec((0_u8..4, 0_i64..5, 0_u8..3), 1..60),
        looks in proptest::collection::vec((0_i64..80, 0_i64..80), 5),
    ) {
        run(async move {
            let store = memory().await;
            tx(&store, move |tx| {
                let sku = Sku::new("a");
                // Per order: (when, wanted) and (when, taken).
                let mut wants: BTreeMap<String, Vec<(i64, i64)>> = BTreeMap::new();
                let mut takes: BTreeMap<String, Vec<(i64, i64)>> = BTreeMap::new();
                for (now, (order, units, what)) in (1_i64..).zip(acts) {
                    let key = order.to_string();
                    let wanted = wants.get(&key).and_then(|all| all.last()).map_or(0, |(_, units)| *units);
                    if what < 2 {
                        let all: Wanted = [(sku.clone(), units)].into();
                        tx.stock_wants(&of(), &key.as_str().into(), "1", &all, &Wanted::new(), at(now))?;
                        wants.entry(key).or_default().push((now, units));
                    } else if wanted > 0 {
                        tx.stock_taken_in(&of(), &key.as_str().into(), &[(sku.clone(), wanted)].into(), at(now))?;
                        let last = takes.get(&key).and_then(|all| all.last()).map_or(0, |(_, units)| *units);
                        if last != wanted {
                            takes.entry(key).or_default().push((now, wanted));
                        }
                    }
                }
                for (as_of, looked) in looks {
                    let mut least = 0;
                    for (key, all) in &wants {
                        let now_wanted = all.last().map_or(0, |(_, units)| *units);
                        let taken = takes.get(key).and_then(|all| all.iter().rev().find(|(when, _)| *when < as_of)).map_or(0, |(_, u)| *u);
                        least += (now_wanted - taken.min(now_wanted)).max(0);
                    }
                    let counted: i64 =
                        tx.stock_not_taken_in(&of(), &sku, at(as_of), at(looked))?.iter().map(|(_, units, _)| *units).sum();
                    // Never less than what is really missing: less would sell a unit twice.
                    assert!(counted >= least, "counted {counted}, missing {least} as of {as_of}");
                }
                // When everything was taken in and seen, nothing is left.
                for key in wants.keys() {
                    let wanted = wants[key].last().map_or(0, |(_, units)| *units);
                    tx.stock_taken_in(&of(), &key.as_str().into(), &[(sku.clone(), wanted)].into(), at(900))?;
                }
                let left: i64 = tx.stock_not_taken_in(&of(), &sku, at(901), at(1_000))?.iter().map(|(_, units, _)| *units).sum();
                assert_eq!(left, 0);
                tx.stock_demand_shown(&of(), at(2_000), at(2_000))?;
                assert!(!tx.stock_counts(&of(), &"0".into())?);
                Ok(())
            })
            .await;
        });
    }

    /// Every figure listed is in exactly one state, and has what its state needs.
    #[test]
    fn figures_are_the_sum_of_their_states(acts in proptest::collection::vec((0_u8..4, 0_u8..7, 0_i64..9), 1..80)) {
        run(async move {
            let store = memory().await;
            tx(&store, move |tx| {
                let exception = tx.raise(&brand(), &of().flow, &Problem::new("stock.not_taken", "", "no", "look"), at(1))?;
                for (now, (sku, what, units)) in (100_i64..).zip(acts) {
                    let sku = format!("s{sku}");
                    let row = tx.stock_figure(&of(), &window(), &Sku::new(sku.clone()))?;
                    let version = row.as_ref().map_or(1, |row| row.version);
                    match what {
                        0 => tx.stock_listed(&of(), &listed(&sku, units, now), 1)?,
                        1 => drop(merge(tx, &level(&sku, units, now))?),
                        2 => drop(tx.stock_claim(&of(), &[claim(&sku, version, units, now)], at(now))?),
                        3 => drop(tx.stock_agree(&of(), &[claim(&sku, version, units, now)], at(now))?),
                        4 => tx.stock_hold(&of(), &window(), &Sku::new(sku), exception)?,
                        5 => drop(tx.release(exception, None, at(now))?),
                        _ => tx.stock_leave(&of(), &window(), &Sku::new(sku), version, Shown { units, promised: 2, at: at(now) })?,
                    }
                    let figures = tx.stock_figures(&of(), &window(), None, "", "", 100)?;
                    for balance in tx.stock_balance(&of())? {
                        assert_eq!(balance.listed, figures.len() as u64);
                        assert_eq!(balance.listed, balance.agreed + balance.in_flight + balance.held + balance.left);
                        let free: i64 = figures.iter().map(|row| (row.shown.units - row.shown.promised).max(0)).sum();
                        assert_eq!(balance.free_units, free);
                    }
                    for row in figures {
                        assert_eq!(row.due_at.is_some(), matches!(row.state, FigureState::Due | FigureState::Sending));
                        assert!(row.state != FigureState::Held || row.exception.is_some());
                        assert!(row.state != FigureState::Agreed || row.stale_since.is_none());
                    }
                }
                Ok(())
            })
            .await;
        });
    }

    /// The ages of figures, against sorting them all.
    #[test]
    fn freshness_is_what_sorting_all_ages_gives(stale in proptest::collection::vec(proptest::option::of(0_i64..100), 1..30)) {
        run(async move {
            let store = memory().await;
            tx(&store, move |tx| {
                let (now, proven) = (at(200), at(150));
                let mut ages = Vec::new();
                for (n, since) in stale.iter().enumerate() {
                    let sku = format!("s{n:02}");
                    tx.stock_listed(&of(), &listed(&sku, 0, 100), 1)?;
                    let row = tx.stock_figure(&of(), &window(), &Sku::new(sku.clone()))?.unwrap();
                    tx.stock_agree(&of(), &[claim(&sku, row.version, 0, 150)], at(150))?;
                    match since {
                        Some(since) => {
                            tx.stock_level(&of(), &level(&sku, 5, 160), "poll", None, Some(&window()), at(100 + since))?;
                            ages.push(u64::try_from((100 - since) * 1_000).unwrap());
                        }
                        None => ages.push(50_000),
                    }
                }
                ages.sort_unstable();
                let at_percent = |percent: usize| ages[(ages.len() * percent).div_ceil(100).saturating_sub(1)];
                let found = tx.stock_freshness(&of(), &window(), Some(proven), now)?;
                assert_eq!((found.p50_ms, found.p99_ms, found.max_ms), (at_percent(50), at_percent(99), at_percent(100)));
                assert_eq!(found.figures, ages.len() as u64);
                Ok(())
            })
            .await;
        });
    }
}
