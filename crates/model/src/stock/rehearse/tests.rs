//! The quick way against a slow and plain one, and what holds of every scenario.

use std::collections::BTreeSet;

use proptest::prelude::*;
use rust_decimal::Decimal;

use super::{super::buffer::*, *};
use crate::id::{LocationId, Sku};

fn fixed(units: i64) -> Vec<Rule> {
    vec![Rule { selector: Selector::Default, buffer: Buffer::Fixed(units) }]
}

fn item(sku: &str, opening: i64, events: &[(u64, Event)]) -> Recorded {
    let (sku, place) = (Sku::new(sku), LocationId::new("7"));
    Recorded { sku, place, categories: Vec::new(), opening, events: events.to_vec() }
}

fn order(at: u64, units: u32) -> (u64, Event) {
    (at, Event::ShopOrder { units, order: None })
}

fn numbered(at: u64, units: u32, number: u32) -> (u64, Event) {
    (at, Event::ShopOrder { units, order: Some(number) })
}

fn moved(at: u64, delta: i32) -> (u64, Event) {
    (at, Event::SourceMove { delta })
}

/// Polled every 100 ms from 100 on; no delay, no buffer.
fn polled() -> Scenario {
    Scenario {
        quantity: Quantity::Available,
        sync: Sync::Poll { interval_ms: 100, phase_ms: 100 },
        write_latency_ms: 0,
        export_delay_ms: 1,
        ship_delay_ms: 0,
        aware: true,
        shop_checks: true,
        buffer: Vec::new(),
        outages: Vec::new(),
    }
}

fn play(events: &[(u64, Event)], opening: i64, scenario: &Scenario) -> Outcome {
    rehearse(&Recording::new(vec![item("A", opening, events)], 1_000).unwrap(), scenario)
}

#[test]
fn a_move_that_the_shop_has_not_seen_is_oversold() {
    // Another channel takes the last two at 150; the shop learns of it at 200.
    let events = [moved(150, -2), numbered(160, 1, 0), numbered(170, 2, 1), numbered(180, 1, 2), numbered(250, 1, 3)];
    let outcome = play(&events, 2, &polled());
    assert_eq!((outcome.wanted, outcome.sold, outcome.oversold, outcome.lost_to_emptiness), (5, 2, 2, 3));
    assert_eq!((outcome.oversold_skus, outcome.oversold_lines, outcome.oversold_orders), (1, 2, Some(2)));
    assert_eq!(outcome.figures_written, 1);
    assert_eq!(outcome.staleness, Some(Staleness { p50_ms: 60, p99_ms: 80, max_ms: 80 }));
    // One of two is there: half of the line is oversold.
    assert_eq!(play(&[moved(150, -1), order(160, 2)], 2, &polled()).oversold, 1);
    let late_numbers: Vec<_> = (0..66).map(|n| numbered(160, 1, n)).chain([moved(150, -66), numbered(160, 1, 63)]).collect();
    assert_eq!(play(&late_numbers, 67, &polled()).oversold_orders, Some(65), "an order counts once, however many lines");
    // Lines without an order: nobody can say how many orders that makes.
    assert_eq!(play(&[moved(150, -1), order(160, 2)], 2, &polled()).oversold_orders, None);
}

#[test]
fn a_refusal_has_its_reason() {
    let lost = |events: &[(u64, Event)], opening, buffer| {
        let outcome = play(events, opening, &Scenario { buffer: fixed(buffer), ..polled() });
        (outcome.lost_to_buffer, outcome.lost_to_staleness, outcome.lost_to_emptiness)
    };
    assert_eq!(lost(&[order(10, 2)], 3, 2), (2, 0, 0));
    assert_eq!(lost(&[moved(5, 4), order(10, 2)], 0, 0), (0, 2, 0));
    assert_eq!(lost(&[moved(5, 4), order(10, 2)], 1, 1), (0, 2, 0));
    assert_eq!(lost(&[moved(5, 4), order(100, 2)], 0, 0), (0, 0, 0));
    assert_eq!(lost(&[order(10, 2)], 1, 0), (0, 0, 2));
    let share = |percent: i64| vec![Rule { selector: Selector::Default, buffer: Buffer::Percent(Decimal::new(percent, 1)) }];
    // 10.1 % of 10 are two; of 9, after a taking, one.
    let outcome = play(&[order(10, 9), moved(20, -1), order(110, 8)], 10, &Scenario { buffer: share(101), ..polled() });
    assert_eq!((outcome.sold, outcome.lost_to_buffer), (8, 9));
}

#[test]
fn a_velocity_buffer_has_its_least_here_too() {
    let buffer =
        |least| vec![Rule { selector: Selector::Default, buffer: Buffer::Velocity { quantile: Decimal::new(9, 1), least } }];
    let sold = |least| play(&[order(10, 1), order(20, 1)], 2, &Scenario { buffer: buffer(least), ..polled() }).sold;
    assert_eq!((sold(-1), sold(0), sold(1), sold(2)), (2, 2, 1, 0));
}

#[test]
fn a_naive_poll_puts_sold_units_back_until_the_source_knows() {
    let events = [order(50, 1), order(150, 1), order(250, 1), order(350, 1)];
    let of = |aware, export_delay_ms| play(&events, 1, &Scenario { aware, export_delay_ms, ..polled() }).oversold;
    assert_eq!(of(true, 500), 0);
    assert_eq!(of(false, 1), 0);
    assert_eq!(of(false, 50), 0, "in time for the reading at 100");
    assert_eq!(of(false, 51), 1);
    assert_eq!(of(false, 500), 3);
}

#[test]
fn what_the_source_sells_again_is_told_apart() {
    // The shop sells the last one at 50; the source knows at 150; another channel sells it at 149, or at 150.
    let of = |at, delta| {
        let outcome = play(&[order(50, 1), moved(at, delta)], 1, &Scenario { export_delay_ms: 100, ..polled() });
        (outcome.oversold, outcome.sold_again)
    };
    assert_eq!(of(149, -1), (0, 1));
    assert_eq!(of(150, -1), (0, 0));
    assert_eq!(of(149, -3), (0, 1), "the other two the source never had");
}

#[test]
fn on_hand_sells_what_is_promised() {
    let events = [moved(10, -2), order(150, 1), order(450, 1)];
    let of = |quantity, ship_delay_ms| {
        let outcome = play(&events, 2, &Scenario { quantity, ship_delay_ms, ..polled() });
        (outcome.oversold, outcome.lost_to_emptiness)
    };
    assert_eq!(of(Quantity::Available, 300), (0, 2));
    assert_eq!(of(Quantity::OnHand, 300), (1, 1));
    assert_eq!(of(Quantity::OnHand, 90), (0, 2));
    assert_eq!(of(Quantity::OnHand, 900), (2, 0));
}

#[test]
fn a_shop_that_does_not_check_sells_everything() {
    let outcome = play(&[order(50, 3)], 1, &Scenario { shop_checks: false, ..polled() });
    assert_eq!((outcome.sold, outcome.oversold), (3, 2));
}

#[test]
fn what_cannot_be_played_is_refused() {
    let refused = |item: Recorded, until| Recording::new(vec![item], until).unwrap_err();
    assert_eq!(refused(item("A", 0, &[order(11, 1)]), 10), RecordingError::AfterEnd(Sku::new("A")));
    assert_eq!(refused(item("A", 0, &[]), u64::MAX), RecordingError::AfterEnd(Sku::new("A")));
    assert_eq!(refused(item("A", i64::MIN, &[]), 10), RecordingError::Opening(Sku::new("A")));
    assert!(Recording::new(vec![item("A", 1_000_000_000_000_000, &[])], 10).is_ok());
    assert_eq!(refused(item("A", 0, &[numbered(1, 1, 1)]), 10), RecordingError::OrderNumber(1));
    let recording = Recording::new(vec![item("A", 0, &[moved(9, 1), order(3, 1)])], 10).unwrap();
    assert_eq!(recording.size(), (1, 1, 1));
    assert_eq!(rehearse(&recording, &polled()).lost_to_emptiness, 1, "events are put in order");
    // The longest times there are do not overflow.
    let longest = Scenario {
        quantity: Quantity::OnHand,
        sync: Sync::Poll { interval_ms: u64::MAX, phase_ms: u64::MAX },
        write_latency_ms: u64::MAX,
        export_delay_ms: u64::MAX,
        ship_delay_ms: u64::MAX,
        buffer: fixed(i64::MAX),
        outages: vec![(0, u64::MAX), (9, 3)],
        ..polled()
    };
    rehearse(&recording, &longest);
    rehearse(&recording, &Scenario { sync: Sync::Push { latency_ms: u64::MAX }, ..longest });
}

#[test]
fn a_grid_has_every_combination() {
    let syncs = [Sync::Push { latency_ms: 5 }, Sync::Poll { interval_ms: 9, phase_ms: 0 }];
    let grid = grid(&polled(), &[], &syncs, &[true, false], &[fixed(0), fixed(1), fixed(2)]);
    assert_eq!(grid.len(), 12);
    assert!(grid.iter().all(|scenario| scenario.quantity == Quantity::Available));
    for (n, scenario) in grid.iter().enumerate() {
        assert!(!grid[..n].contains(scenario));
    }
    let recording = Recording::new(vec![item("A", 5, &[order(1, 1), moved(2, -5), order(3, 5)])], 10).unwrap();
    let together = rehearse_all(&recording, &grid);
    let one_by_one: Vec<Outcome> = grid.iter().map(|scenario| rehearse(&recording, scenario)).collect();
    assert_eq!(together, one_by_one, "nothing is left on the stage");
}

/// One SKU, millisecond by millisecond, as it is told in words.
fn slowly(recorded: &Recorded, until: u64, scenario: &Scenario) -> Outcome {
    let mut outcome = Outcome::default();
    let share = |stated: i64| match scenario.buffer.first().map(|rule| rule.buffer) {
        Some(Buffer::Fixed(units)) => units,
        Some(Buffer::Percent(percent)) => percent_of(percent, stated),
        _ => 0,
    };
    let leave = scenario.export_delay_ms.max(1) + if scenario.quantity == Quantity::OnHand { scenario.ship_delay_ms } else { 0 };
    let ship = if scenario.quantity == Quantity::OnHand { scenario.ship_delay_ms } else { 0 };
    let out = |t: u64| scenario.outages.iter().any(|(from, to)| (*from..*to).contains(&t));
    let moves: Vec<(u64, i64)> = (recorded.events.iter())
        .filter_map(|(at, event)| if let Event::SourceMove { delta } = event { Some((*at, i64::from(*delta))) } else { None })
        .collect();
    let (mut truth, mut belief, mut sold) = (recorded.opening, recorded.opening, 0);
    let mut visible = recorded.opening;
    let mut gone = 0;
    let mut accepted: Vec<(u64, i64)> = Vec::new();
    let mut buffer = share(visible);
    let mut shown = visible - buffer;
    // Arrives at; visible and stated when it was read; whether it counts as written.
    let mut queue: Vec<(u64, i64, i64, bool)> = Vec::new();
    let mut news = false;
    let mut last_read: Option<u64> = None;
    let mut ages = Vec::new();
    for t in 0..=until {
        // The source takes in what is due, and moves.
        belief -=
            accepted.iter().filter(|(at, _)| at + scenario.export_delay_ms.max(1) == t).map(|(_, units)| units).sum::<i64>();
        for (_, delta) in moves.iter().filter(|(at, _)| *at == t) {
            let depth = |there: i64| (-there).max(0);
            let (truly, seen) = (depth(truth + delta) - depth(truth), depth(belief + delta) - depth(belief));
            outcome.sold_again += (truly - seen).max(0).unsigned_abs();
            truth += delta;
            belief += delta;
        }
        let mut touched = false;
        for (at, delta) in &moves {
            if *delta > 0 && *at == t || *delta < 0 && at + ship == t {
                visible += delta;
                (touched, news) = (true, true);
            }
        }
        for (_, units) in accepted.iter().filter(|(at, units)| at + leave == t && *units > 0) {
            gone += units;
            touched = true;
            news |= !scenario.aware;
        }
        // It is read.
        match scenario.sync {
            Sync::Poll { interval_ms, phase_ms } => {
                let lost = || (t..=t + scenario.write_latency_ms).any(out);
                if t >= phase_ms && (t - phase_ms) % interval_ms == 0 && !lost() {
                    queue.push((t + scenario.write_latency_ms, visible, visible - gone, news));
                    news = false;
                }
            }
            Sync::Push { latency_ms } => {
                if touched {
                    queue.push((t + latency_ms + scenario.write_latency_ms, visible, visible - gone, news));
                    news = false;
                }
            }
        }
        // It arrives.
        let push = matches!(scenario.sync, Sync::Push { .. });
        let mut written = false;
        if !push || !out(t) {
            while let Some((at, visible, stated, counts)) = queue.first().copied().filter(|(at, ..)| *at <= t) {
                queue.remove(0);
                buffer = share(stated);
                shown = if scenario.aware { visible - sold - buffer } else { stated - buffer };
                written |= counts;
                last_read = Some(at - scenario.write_latency_ms);
            }
        }
        outcome.figures_written += u64::from(written);
        // The shop sells.
        for (_, event) in recorded.events.iter().filter(|(at, _)| *at == t) {
            let Event::ShopOrder { units, .. } = event else { continue };
            let read = match scenario.sync {
                Sync::Poll { .. } => last_read.unwrap_or(0),
                Sync::Push { latency_ms } => (0..=t)
                    .rev()
                    .find(|t| !out(*t))
                    .map_or(0, |alive| alive.saturating_sub(latency_ms + scenario.write_latency_ms)),
            };
            ages.push(t - read);
            let units = i64::from(*units);
            outcome.wanted += units.unsigned_abs();
            if !scenario.shop_checks || shown >= units {
                let there = truth.clamp(0, units);
                outcome.oversold += (units - there).unsigned_abs();
                outcome.oversold_lines += u64::from(units > there);
                outcome.sold += units.unsigned_abs();
                truth -= units;
                shown -= units;
                sold += units;
                accepted.push((t, units));
            } else if truth < units {
                outcome.lost_to_emptiness += units.unsigned_abs();
            } else if shown + buffer >= units {
                outcome.lost_to_buffer += units.unsigned_abs();
            } else {
                outcome.lost_to_staleness += units.unsigned_abs();
            }
        }
    }
    outcome.oversold_skus = u64::from(outcome.oversold > 0);
    ages.sort_unstable();
    let at = |percent: usize| ages[(ages.len() * percent).div_ceil(100) - 1];
    outcome.staleness = (!ages.is_empty()).then(|| Staleness { p50_ms: at(50), p99_ms: at(99), max_ms: ages[ages.len() - 1] });
    outcome
}

const UNTIL: u64 = 120;

fn events(units: std::ops::Range<u32>, delta: std::ops::Range<i32>) -> impl Strategy<Value = Vec<(u64, Event)>> {
    let event = prop_oneof![
        units.prop_map(|units| Event::ShopOrder { units, order: None }),
        delta.prop_map(|delta| Event::SourceMove { delta })
    ];
    proptest::collection::vec((0..=UNTIL, event), 0..60)
}

fn recorded(units: std::ops::Range<u32>, delta: std::ops::Range<i32>) -> impl Strategy<Value = Recorded> {
    (-3_i64..25, events(units, delta)).prop_map(|(opening, events)| item("A", opening, &events))
}

fn syncs() -> impl Strategy<Value = Sync> {
    prop_oneof![
        (1_u64..50, 0_u64..50).prop_map(|(interval_ms, phase_ms)| Sync::Poll { interval_ms, phase_ms }),
        (0_u64..20).prop_map(|latency_ms| Sync::Push { latency_ms }),
    ]
}

fn buffers() -> impl Strategy<Value = Vec<Rule>> {
    let share = |percent| vec![Rule { selector: Selector::Default, buffer: Buffer::Percent(Decimal::from(percent)) }];
    prop_oneof![(0_i64..5).prop_map(fixed), (0_i64..60).prop_map(share)]
}

fn scenarios() -> impl Strategy<Value = Scenario> {
    let outages = proptest::collection::vec((0_u64..UNTIL, 0_u64..30), 0..4);
    let outages = outages.prop_map(|list| list.into_iter().map(|(from, long)| (from, from + long)).collect());
    let quantity = prop_oneof![Just(Quantity::Available), Just(Quantity::OnHand)];
    let delays = (0_u64..15, 0_u64..40, 0_u64..40);
    (quantity, syncs(), delays, any::<bool>(), proptest::bool::weighted(0.8), buffers(), outages).prop_map(
        |(quantity, sync, (write_latency_ms, export_delay_ms, ship_delay_ms), aware, shop_checks, buffer, outages)| Scenario {
            quantity,
            sync,
            write_latency_ms,
            export_delay_ms,
            ship_delay_ms,
            aware,
            shop_checks,
            buffer,
            outages,
        },
    )
}

fn quickly(recorded: &Recorded, scenario: &Scenario) -> Outcome {
    Outcome { oversold_orders: None, ..rehearse(&Recording::new(vec![recorded.clone()], UNTIL).unwrap(), scenario) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_quick_way_is_the_plain_one(recorded in recorded(0..6, -6..8), scenario in scenarios()) {
        prop_assert_eq!(quickly(&recorded, &scenario), slowly(&recorded, UNTIL, &scenario));
    }
}

proptest! {
    #[test]
    fn every_unit_wanted_is_sold_or_lost(recorded in recorded(0..6, -6..8), scenario in scenarios()) {
        let outcome = quickly(&recorded, &scenario);
        let lost = outcome.lost_to_buffer + outcome.lost_to_staleness + outcome.lost_to_emptiness;
        prop_assert_eq!(outcome.wanted, outcome.sold + lost);
        prop_assert!(outcome.oversold <= outcome.sold && outcome.oversold_lines <= outcome.oversold);
    }

    #[test]
    fn skus_do_not_know_of_each_other(
        one in recorded(0..6, -6..8), other in recorded(0..6, -6..8), scenario in scenarios(),
    ) {
        let both = rehearse(&Recording::new(vec![one.clone(), other.clone()], UNTIL).unwrap(), &scenario);
        let (one, other) = (quickly(&one, &scenario), quickly(&other, &scenario));
        prop_assert_eq!(both.sold, one.sold + other.sold);
        prop_assert_eq!(both.oversold, one.oversold + other.oversold);
        prop_assert_eq!(both.sold_again, one.sold_again + other.sold_again);
        prop_assert_eq!(both.oversold_skus, one.oversold_skus + other.oversold_skus);
        prop_assert_eq!(both.figures_written, one.figures_written + other.figures_written);
    }

    #[test]
    fn a_figure_without_delay_that_minds_own_orders_never_oversells(
        recorded in recorded(0..6, -6..8), export_delay_ms in 0_u64..200, buffer in buffers(),
    ) {
        let now = Scenario { sync: Sync::Push { latency_ms: 0 }, export_delay_ms, buffer, ..polled() };
        let outcome = quickly(&recorded, &now);
        prop_assert_eq!((outcome.oversold, outcome.lost_to_staleness), (0, 0));
    }

    #[test]
    fn without_moves_a_figure_that_minds_own_orders_never_oversells(recorded in recorded(0..6, 0..1), scenario in scenarios()) {
        prop_assert_eq!(quickly(&recorded, &Scenario { aware: true, shop_checks: true, ..scenario }).oversold, 0);
    }

    #[test]
    fn more_buffer_never_oversells_more(recorded in recorded(1..2, -6..8), scenario in scenarios(), less in 0_i64..6, more in 0_i64..6) {
        let of = |units| quickly(&recorded, &Scenario { aware: true, shop_checks: true, buffer: fixed(units), ..scenario.clone() });
        let (low, high) = (of(less), of(less + more));
        prop_assert!(high.oversold <= low.oversold && high.sold <= low.sold);
        prop_assert_eq!(of(1_000).sold, 0);
    }

    #[test]
    fn on_hand_oversells_at_least_as_much_as_available(recorded in recorded(1..2, -6..1), scenario in scenarios(), units in 0_i64..4) {
        let of = |quantity| {
            quickly(&recorded, &Scenario { quantity, aware: true, shop_checks: true, buffer: fixed(units), ..scenario.clone() }).oversold
        };
        prop_assert!(of(Quantity::OnHand) >= of(Quantity::Available));
    }

    #[test]
    fn an_outage_of_the_whole_time_is_a_snapshot(recorded in recorded(0..6, -6..8), scenario in scenarios()) {
        let outage = quickly(&recorded, &Scenario { outages: vec![(0, UNTIL + 1)], ..scenario.clone() });
        let never = Sync::Poll { interval_ms: 1, phase_ms: UNTIL + 1 };
        let snapshot = quickly(&recorded, &Scenario { sync: never, outages: Vec::new(), aware: true, ..scenario.clone() });
        let naive = quickly(&recorded, &Scenario { sync: never, outages: Vec::new(), aware: false, ..scenario });
        prop_assert_eq!(&outage, &snapshot);
        prop_assert_eq!(&naive, &snapshot);
    }
}

#[test]
fn a_velocity_buffer_knows_the_window_of_its_scenario() {
    // One is taken every ten milliseconds, so about ten in a window of a hundred.
    let takings: Vec<(u64, Event)> = (0..100).map(|n| moved(n * 10 + 5, -1)).collect();
    let wants: Vec<(u64, Event)> = (0..100).map(|n| order(n * 10 + 9, 1)).collect();
    let events = [takings, wants].concat();
    let velocity = |thousandths| {
        let buffer = Buffer::Velocity { quantile: Decimal::new(thousandths, 3), least: 0 };
        play(&events, 115, &Scenario { buffer: vec![Rule { selector: Selector::Default, buffer }], ..polled() })
    };
    let (none, some, nearly_all) = (play(&events, 115, &polled()), velocity(100), velocity(999));
    assert!(none.oversold > some.oversold && some.oversold > 0, "{} {}", none.oversold, some.oversold);
    assert_eq!(nearly_all.oversold, 0);
    assert!(nearly_all.lost_to_buffer > some.lost_to_buffer);
    let distinct: BTreeSet<u64> = [&none, &some, &nearly_all].into_iter().map(|outcome| outcome.sold).collect();
    assert_eq!(distinct.len(), 3);
}

/// Run with `cargo test --release -p selvedge-model -- --ignored --nocapture scenarios_a_minute`.
#[test]
#[ignore = "prints how quick it is; says something in a release build only"]
#[allow(clippy::disallowed_methods, clippy::float_arithmetic, reason = "measures")]
fn scenarios_a_minute() {
    const MONTH: u64 = 30 * 24 * 3_600_000;
    for lines in [20_000_u64, 2_000_000] {
        let mut seed = 7_u64;
        let mut chance = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        let mut recorded: Vec<Recorded> = (0..2_000).map(|n| item(&n.to_string(), 40, &[])).collect();
        for n in 0..lines {
            let event = match chance(2) {
                0 => Event::ShopOrder { units: 1 + chance(2) as u32, order: Some(n as u32) },
                _ if chance(20) == 0 => Event::SourceMove { delta: 25 },
                _ => Event::SourceMove { delta: -1 },
            };
            recorded[(chance(2_000) * chance(2_000) / 2_000) as usize].events.push((chance(MONTH), event));
        }
        let recording = Recording::new(recorded, MONTH).unwrap();
        let minute = 60_000;
        let syncs: Vec<Sync> = (1..=25).map(|n| Sync::Poll { interval_ms: n * minute, phase_ms: 7_000 }).collect();
        let buffers =
            [Buffer::Fixed(2), Buffer::Percent(Decimal::from(5)), Buffer::Velocity { quantile: Decimal::new(99, 2), least: 0 }];
        let buffers = buffers.map(|buffer| vec![Rule { selector: Selector::Default, buffer }]);
        let base = Scenario {
            write_latency_ms: 4_000,
            export_delay_ms: 2 * minute,
            ship_delay_ms: 24 * 60 * minute,
            outages: vec![(MONTH / 2, MONTH / 2 + 180 * minute)],
            ..polled()
        };
        let grid = grid(&base, &[Quantity::Available, Quantity::OnHand], &syncs, &[true, false], &buffers);
        let begun = std::time::Instant::now();
        let outcomes = rehearse_all(&recording, &grid);
        let took = begun.elapsed().as_secs_f64();
        println!(
            "{:?}: {} scenarios in {took:.2} s, {:.0} a minute",
            recording.size(),
            grid.len(),
            grid.len() as f64 / took * 60.0
        );
        println!("  first {:?}\n  last {:?}", outcomes[0], outcomes[outcomes.len() - 1]);
    }
}
