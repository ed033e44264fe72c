use proptest::prelude::*;
use serde_json::{Value, json};

use super::{tally::*, *};
use crate::{money::Currency, samples};

fn sold() -> crate::Order {
    samples::order(vec![samples::line("1", "A", 1, 10_000)])
}

fn goes(values: &[(&str, &str)], request: Value) -> Outcome {
    let mut all = Values::default();
    values.iter().for_each(|(sku, id)| all.set("item", format!("sku={sku}"), *id));
    Outcome::Goes { record: Box::new(sold().into()), values: all, request: Some(request) }
}

#[test]
fn a_changed_mapping_is_named_in_the_values_and_in_the_request() {
    let line = |id: &str| json!({"item": {"items": [{"item": {"id": id}, "quantity": 1}]}});
    let (before, after) = (goes(&[("A", "1")], line("1")), goes(&[("A", "2")], line("2")));
    let Effect::Changed { fields } = compare(&before, &after) else { panic!() };
    let paths: Vec<&str> = fields.iter().map(|field| field.path.as_str()).collect();
    assert_eq!(paths, ["item sku=A", "request.item.items[0].item.id"]);
    assert_eq!(compare(&before, &before), Effect::Same);
}

#[test]
fn money_that_moves_is_summed_by_currency() {
    let sek = Currency::from_code("SEK").unwrap();
    let was = sold();
    let mut is = was.clone();
    is.lines[0].net = is.lines[0].net.plus(Money::from_minor(150, was.currency)).unwrap();
    let of =
        |order: &crate::Order| Outcome::Goes { record: Box::new(order.clone().into()), values: Values::default(), request: None };
    let effect = compare(&of(&was), &of(&is));
    let mut tally = ReplayTally::default();
    tally.add("orders", "1", Some(was.totals.gross), effect.clone(), 10);
    tally.add("orders", "2", Some(was.totals.gross), effect, 10);
    tally.add("orders", "3", None, Effect::Same, 10);
    assert_eq!(tally.money_moved.iter().collect::<Vec<_>>(), [Money::from_minor(300, was.currency)]);
    assert_eq!((tally.records, tally.changed, tally.same, tally.examples.len()), (3, 2, 1, 2));
    let fields = tally.fields.top();
    assert_eq!((fields[0].0, fields[0].1.records), ("lines[].net", 2));
    assert!(!tally.is_identical());
    let mut sums = Sums::default();
    sums.add(Money::from_minor(i64::MAX, sek));
    sums.add(Money::from_minor(1, sek));
    assert_eq!(sums.iter().next(), Some(Money::from_minor(i64::MAX, sek)), "a sum past what fits stands still");
}

#[test]
fn held_and_passing_are_told_with_their_reasons() {
    let held = Outcome::Held { problems: vec![Problem::new("mapping.item", "", "", "").cause("sku=A")] };
    let other = Outcome::Held { problems: vec![Problem::new("address.city", "", "", "")] };
    let mut tally = ReplayTally::default();
    tally.add("f", "1", None, compare(&goes(&[], json!({})), &held), 9);
    tally.add("f", "2", None, compare(&held, &goes(&[], json!({}))), 9);
    tally.add("f", "3", None, compare(&held, &other), 9);
    assert_eq!((tally.newly_held, tally.newly_passing, tally.otherwise), (1, 1, 1));
    assert_eq!(tally.held_for.top(), [("mapping.item:sku=A", 1)]);
    assert_eq!(tally.were_held_for.top(), [("mapping.item:sku=A", 1)]);
}

#[test]
fn what_stands_otherwise_counts_and_what_is_equal_leaves_no_example() {
    let comparison = |verdict| Comparison { verdict, target: None, found_by: String::new(), differences: Vec::new() };
    let mut tally = ShadowTally::default();
    for verdict in Verdict::ALL {
        assert_eq!(Verdict::from_word(verdict.word()), Some(verdict));
        tally.add("1", Some(sold().totals.gross), &comparison(verdict), 1);
    }
    assert_eq!((tally.equal, tally.change, tally.create, tally.examples.len()), (1, 1, 1, 1));
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![any::<i32>().prop_map(Value::from), "[a-c]{0,2}".prop_map(Value::from), Just(Value::Null)];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-c]", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn documents_differ_in_a_leaf_exactly_when_they_differ(a in value(), b in value()) {
        let changes = changed_json("", &a, &b);
        // An object without members has no leaf to name.
        prop_assert!(a != b || changes.is_empty());
        prop_assert_eq!(changed_json("", &b, &a).len(), changes.len());
        for change in changes {
            prop_assert!(change.before != change.after, "{:?}", change);
        }
    }
}
