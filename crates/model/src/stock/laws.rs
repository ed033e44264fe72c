//! What holds of stock whatever the figures.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;
use rust_decimal::Decimal;

use super::{
    guard,
    pace::{Pace, Seen, State},
    velocity::{QUANTILE_MAX, quantile},
    *,
};
use crate::{
    ExternalId, LocationId, Sku,
    records::{Kit, KitPart, StockLevel},
};

const SKUS: [&str; 4] = ["A", "B", "C", "D"];

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn level(sku: &str, (on_hand, committed, back_ordered, active): (i64, i64, i64, bool)) -> StockLevel {
    StockLevel {
        sku: Sku::new(sku),
        location: LocationId::new("7"),
        item: ExternalId::new(sku),
        as_of: at(100),
        changed_at: None,
        on_hand,
        committed,
        back_ordered,
        pending_approval: 0,
        available: on_hand.saturating_sub(committed).max(0),
        incoming: 0,
        active,
        unit_value: None,
        categories: Vec::new(),
    }
}

fn levels() -> impl Strategy<Value = Vec<StockLevel>> {
    proptest::collection::vec((-50_i64..500, 0_i64..100, 0_i64..50, proptest::bool::weighted(0.9)), SKUS.len())
        .prop_map(|rows| rows.into_iter().zip(SKUS).map(|(row, sku)| level(sku, row)).collect())
}

/// Kits K0, K1 … of some of the items.
fn kits() -> impl Strategy<Value = Vec<Kit>> {
    proptest::collection::vec(proptest::collection::vec((0..SKUS.len(), 1_i64..5), 1..4), 0..4).prop_map(|kits| {
        let parts =
            |parts: Vec<(usize, i64)>| parts.into_iter().map(|(n, units)| KitPart { sku: Sku::new(SKUS[n]), units }).collect();
        let kit = |(n, made_of)| Kit { sku: Sku::new(format!("K{n}")), item: ExternalId::new("k"), parts: parts(made_of) };
        kits.into_iter().enumerate().map(kit).collect()
    })
}

fn orders() -> impl Strategy<Value = NotTakenIn> {
    let sku = proptest::sample::select(vec!["A", "B", "C", "D", "K0", "K1", "K2"]);
    proptest::collection::btree_map(sku, 0_i64..40, 0..6)
        .prop_map(|units| NotTakenIn { units: units.into_iter().map(|(sku, n)| (Sku::new(sku), n)).collect(), as_of: at(200) })
}

proptest! {
    #[test]
    fn free_never_exceeds_net_and_the_figure_never_falls_below_what_is_allocated(
        levels in levels(), kits in kits(), orders in orders(), buffer in 0_i64..30, allocated in 0_i64..100,
    ) {
        let reserve = |_: &Sku, _: i64| Reserve { units: buffer, origin: String::new() };
        let picture = Picture::new(&levels, &kits, at(90));
        for sku in levels.iter().map(|l| &l.sku).chain(kits.iter().map(|k| &k.sku)) {
            let terms = picture.terms(sku, &orders, &reserve).unwrap();
            prop_assert!(terms.free() <= terms.net);
            prop_assert!(terms.figure(allocated) >= allocated && terms.figure(allocated) >= 0);
            prop_assert!(terms.free() <= 0 || terms.figure(allocated) == terms.free() + allocated);
            let explained = terms.explain(Some((allocated, at(300))));
            prop_assert_eq!(explained.sum(), terms.figure(allocated));
            prop_assert_eq!(explained.lines.last().unwrap().units, terms.figure(allocated));
            prop_assert_eq!(terms.explain(None).sum(), terms.free());
        }
    }

    #[test]
    fn a_kit_can_be_made_as_often_as_it_says_and_no_oftener(levels in levels(), kits in kits(), orders in orders()) {
        let picture = Picture::new(&levels, &kits, at(90));
        let none = |_: &Sku, _: i64| Reserve::default();
        for kit in &kits {
            let made = picture.terms(&kit.sku, &orders, &none).unwrap().free();
            let mut needed: BTreeMap<&Sku, i64> = BTreeMap::new();
            for part in &kit.parts {
                *needed.entry(&part.sku).or_default() += part.units;
            }
            let enough = |times: i64| needed.iter().all(|(sku, units)| units * times <= picture.terms(sku, &orders, &none).unwrap().free());
            prop_assert!(enough(made) && !enough(made + 1), "{made} of {kit:?}");
        }
    }

    #[test]
    fn an_order_of_a_kit_weighs_as_orders_of_its_parts(levels in levels(), kits in kits(), orders in orders(), more in 1_i64..20) {
        let none = |_: &Sku, _: i64| Reserve::default();
        let picture = Picture::new(&levels, &kits, at(90));
        let Some(kit) = kits.first() else { return Ok(()) };
        let (mut as_kit, mut as_parts) = (orders.clone(), orders);
        *as_kit.units.entry(kit.sku.clone()).or_default() += more;
        for part in &kit.parts {
            *as_parts.units.entry(part.sku.clone()).or_default() += more * part.units;
        }
        for sku in levels.iter().map(|l| &l.sku).chain(kits.iter().map(|k| &k.sku)) {
            let free = |orders| picture.terms(sku, orders, &none).unwrap().free();
            prop_assert_eq!(free(&as_kit), free(&as_parts));
        }
    }
}

const HOUR: u64 = 3_600_000;

/// A prior and what was seen of one SKU: so many takings of units up to six.
fn history() -> impl Strategy<Value = (Prior, Demand)> {
    let sizes = proptest::collection::vec(1_i64..7, 0..40);
    (0.05_f64..3.0, 3.6e6_f64..7.2e8, 1_u64..500, sizes).prop_map(|(shape, watched_ms, watched, sizes)| {
        let mut demand = Demand { watched_ms: watched * HOUR, ..Demand::default() };
        sizes.iter().for_each(|units| demand.drop(*units, 0));
        let prior = Prior { shape, watched_ms, mean: 1.5, mean_square: 4.0 };
        (prior, demand)
    })
}

proptest! {
    #[test]
    fn the_velocity_buffer_grows_with_quantile_window_and_rate(
        (prior, demand) in history(), share in 1_i64..999, more_share in 0_i64..500, window in 0_u64..500, more in 0_u64..500, takings in 0_u64..50,
    ) {
        let (low, high) = (Decimal::new(share, 3), Decimal::new((share + more_share).min(999), 3));
        let (short, long) = (window * HOUR / 10, (window + more) * HOUR / 10);
        let least = quantile(low, &prior, &demand, short);
        prop_assert!((0..=QUANTILE_MAX).contains(&least));
        prop_assert!(quantile(high, &prior, &demand, short) >= least);
        prop_assert!(quantile(low, &prior, &demand, long) >= least);
        // The same takings in less time.
        let hurried = Demand { watched_ms: demand.watched_ms / 2, ..demand };
        prop_assert!(quantile(low, &prior, &hurried, short) >= least);
        // More takings of one unit each, all being such.
        let prior = Prior { mean: 1.0, mean_square: 1.0, ..prior };
        let singles = |takings| Demand { takings, units: takings, squares: takings, watched_ms: demand.watched_ms };
        prop_assert!(quantile(low, &prior, &singles(demand.takings + takings), short) >= quantile(low, &prior, &singles(demand.takings), short));
    }

    #[test]
    fn other_rules_take_off_sale_what_they_hold_back(
        nets in proptest::collection::vec((-20_i64..200, 0_i64..20), 1..20), from in 0_i64..40, to in 0_i64..40, percent in 0_i64..120,
    ) {
        let rows: Vec<buffer::Row> = nets.iter().enumerate().map(|(n, (net, not_taken_in))| buffer::Row {
            sku: Sku::new(n.to_string()), place: LocationId::new("7"), categories: Vec::new(), net: *net, not_taken_in: *not_taken_in,
            demand: Demand::default(), window_ms: 0, unit_value: None,
        }).collect();
        let fixed = |units| vec![Rule { selector: Selector::Default, buffer: Buffer::Fixed(units) }];
        let there = dry_run(&fixed(from), &fixed(to), &rows, &Prior::STILL);
        let back = dry_run(&fixed(to), &fixed(from), &rows, &Prior::STILL);
        prop_assert_eq!((there.off_sale, there.onto_sale), (back.onto_sale, back.off_sale));
        let against = if to >= from { there.onto_sale } else { there.off_sale };
        prop_assert_eq!(against, 0);
        prop_assert_eq!(dry_run(&fixed(from), &fixed(from), &rows, &Prior::STILL).changes.len(), 0);
        let share = Buffer::Percent(Decimal::from(percent));
        for row in &rows {
            let units = share.units(row, &Prior::STILL);
            let net = row.net.max(0);
            prop_assert!(0 <= units && units <= net);
            prop_assert!(units * 100 >= net * percent.min(100) && (units - 1) * 100 < net * percent.min(100));
        }
    }
}

/// Rows of a reading: free before, free after, value of a unit (nought: not known).
fn reading() -> impl Strategy<Value = Vec<(i64, i64, i64)>> {
    proptest::collection::vec((-5_i64..50, -5_i64..50, 0_i64..500), 1..60)
}

fn judged(
    rows: &[(i64, i64, i64)],
    rules: &guard::Rules,
    after: impl Fn(&(i64, i64, i64)) -> Option<i64>,
    explained: i64,
) -> guard::Verdict {
    let eur = crate::Currency::from_code("EUR").unwrap();
    let value = |minor: i64| (minor > 0).then(|| crate::Money::from_minor(minor, eur));
    let sku = Sku::new("A");
    let mut before = guard::Before::default();
    rows.iter().for_each(|row| before.add(row.0, value(row.2)));
    let reading = guard::Reading { whole: true, as_of: at(0), now: at(0) };
    let rows = rows.iter().map(|row| guard::Row {
        sku: &sku,
        before: Some(row.0),
        after: after(row),
        explained,
        unit_value: value(row.2),
    });
    guard::judge(rules, &before, reading, rows)
}

proptest! {
    #[test]
    fn an_unchanged_reading_is_never_suspicious(rows in reading(), own in 0_i64..60) {
        let strict = guard::Rules {
            empty: true, truncated_share: Some(Decimal::ZERO), zeroed_share: Some(Decimal::ZERO), moved_units_share: Some(Decimal::ZERO),
            moved_value_share: Some(Decimal::ZERO), stale_after: Some(std::time::Duration::ZERO), least_rows: 0,
        };
        prop_assert_eq!(judged(&rows, &strict, |row| Some(row.0), 0), guard::Verdict::Fine);
        // Nor is one from which the shop's own orders are gone, whether the source has them or not.
        prop_assert_eq!(judged(&rows, &strict, |row| Some(row.0 - own.min(row.0.max(0))), own), guard::Verdict::Fine);
        prop_assert_eq!(judged(&rows, &strict, |row| Some(row.0), own), guard::Verdict::Fine);
        // The least that moves is too much for limits of nought.
        let moved = |row: &(i64, i64, i64)| if row.0 > 0 { Some(row.0 - 1) } else { Some(row.0) };
        prop_assert_eq!(judged(&rows, &strict, moved, 0) == guard::Verdict::Fine, rows.iter().all(|row| row.0 <= 0));
    }

    #[test]
    fn what_is_suspicious_is_over_its_limit_and_lesser_limits_find_more(rows in reading(), limit in 0_i64..100, more in 0_i64..100) {
        let rules = |hundredths: i64| {
            let limit = Some(Decimal::new(hundredths, 2));
            let shares = guard::Rules { truncated_share: limit, zeroed_share: limit, moved_units_share: limit, ..guard::Rules::default() };
            guard::Rules { moved_value_share: limit, least_rows: 3, ..shares }
        };
        let found = |hundredths| match judged(&rows, &rules(hundredths), |row| Some(row.1).filter(|after| *after > -4), 0) {
            guard::Verdict::Fine => Vec::new(),
            guard::Verdict::Suspicious(found) => found,
        };
        for finding in found(limit) {
            prop_assert!(finding.share > finding.limit && finding.rows >= 3 || finding.matter == guard::Matter::Empty);
            prop_assert!(finding.preview.len() <= guard::PREVIEW_MAX);
        }
        let matters = |found: Vec<guard::Finding>| found.into_iter().map(|finding| finding.matter).collect::<Vec<_>>();
        let strict = matters(found(limit));
        prop_assert!(matters(found(limit + more)).iter().all(|matter| strict.contains(matter)));
    }
}

proptest! {
    #[test]
    fn a_pause_stays_within_its_bounds_and_errs_on_the_side_of_the_source(
        (least, peak, most, cap) in (1_u64..100, 0_u64..500, 0_u64..5_000, 0_u64..9_000),
        readings in proptest::collection::vec((0_u64..3, 0_u64..3, 0_u32..6, 0_u64..900, any::<bool>()), 1..60),
    ) {
        let ms = std::time::Duration::from_millis;
        let pace = Pace {
            least: ms(least), peak_most: ms(least + peak), most: ms(least + peak + most), throttled_most: ms(least + peak + most + cap),
            answers: 2, peaks: Vec::new(),
        };
        prop_assert_eq!(pace.fault(), None);
        let mut state = pace.start();
        for (changes, hot, fate, took, in_peak) in readings {
            let seen = Seen { changes: changes + hot, hot_changes: hot, throttled: fate == 0, failed: fate == 1, took: ms(took) };
            let before: State = state;
            let (pause, next) = pace.next(before, seen, in_peak);
            let longest = if seen.throttled { pace.throttled_most } else { pace.most };
            prop_assert!(pace.least <= pause && pause <= longest);
            prop_assert_eq!(pause, next.pause);
            if seen.throttled {
                prop_assert!(pause > before.pause || pause == pace.throttled_most);
            } else if seen.failed {
                prop_assert!(pause > before.pause || pause == pace.most);
            } else {
                prop_assert!(pause >= (ms(took) * 2).min(pace.most));
                if in_peak && before.held_off.is_zero() {
                    prop_assert!(pause <= pace.peak_most.max(ms(took) * 2));
                }
                // The same reading with more to see, or in a peak, is never followed by a longer pause.
                let hotter = Seen { changes: seen.changes + 1, hot_changes: seen.hot_changes + 1, ..seen };
                prop_assert!(pace.next(before, hotter, in_peak).0 <= pause && pace.next(before, seen, true).0 <= pause);
            }
            state = next;
        }
        // Left alone, it comes to rest at the longest pause.
        for _ in 0..120 {
            state = pace.next(state, Seen::default(), false).1;
        }
        prop_assert_eq!(state.pause, pace.most);
    }
}
