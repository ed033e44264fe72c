//! What holds of stock whatever the figures.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
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
