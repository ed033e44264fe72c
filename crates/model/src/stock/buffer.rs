//! How many units are held back from sale, and by which rule.
//!
//! The most specific rule wins: SKU, category, market, warehouse, default. Two rules of the same rank
//! that hold for the same row are a mistake of the configuration; until it is mended the earlier wins.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    availability::Reserve,
    velocity::{self, Demand, Prior},
    worth::Worth,
};
use crate::{
    id::{LocationId, Sku},
    money::{Money, Rounding},
};

/// How many units are held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Buffer {
    /// Always so many.
    Fixed(i64),
    /// So many in a hundred of what is left at the source, rounded up. None of nothing.
    Percent(Decimal),
    /// As many as other channels take, with this probability, while the shop's figure is out of date.
    Velocity {
        /// The probability; between nought and one.
        quantile: Decimal,
        /// But never fewer than these.
        least: i64,
    },
}

/// What a rule holds for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selector {
    /// One SKU.
    Sku(Sku),
    /// Every item of a group, by its name at the source.
    Category(String),
    /// Every warehouse that a market sells from; whoever reads the configuration has looked them up.
    Market {
        /// The market, for people.
        name: String,
        /// Its warehouses.
        places: BTreeSet<LocationId>,
    },
    /// One warehouse.
    Warehouse(LocationId),
    /// Everything that no other rule holds for.
    Default,
}

impl Selector {
    /// The more specific, the lower.
    fn rank(&self) -> u8 {
        match self {
            Selector::Sku(_) => 0,
            Selector::Category(_) => 1,
            Selector::Market { .. } => 2,
            Selector::Warehouse(_) => 3,
            Selector::Default => 4,
        }
    }

    fn holds(&self, row: &Row) -> bool {
        match self {
            Selector::Sku(sku) => *sku == row.sku,
            Selector::Category(name) => row.categories.contains(name),
            Selector::Market { places, .. } => places.contains(&row.place),
            Selector::Warehouse(place) => *place == row.place,
            Selector::Default => true,
        }
    }

    /// Whether two rules of one rank hold for the same rows whatever the stock is.
    fn overlaps(&self, other: &Selector) -> bool {
        match (self, other) {
            (Selector::Market { places: ours, .. }, Selector::Market { places: theirs, .. }) => !ours.is_disjoint(theirs),
            _ => self == other,
        }
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Selector::Sku(sku) => write!(f, "SKU {sku}"),
            Selector::Category(name) => write!(f, "category {name}"),
            Selector::Market { name, .. } => write!(f, "market {name}"),
            Selector::Warehouse(place) => write!(f, "warehouse {place}"),
            Selector::Default => f.write_str("everything else"),
        }
    }
}

impl std::fmt::Display for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Buffer::Fixed(units) => write!(f, "{units} units"),
            Buffer::Percent(percent) => write!(f, "{percent} % of net"),
            Buffer::Velocity { quantile, least } => {
                write!(f, "what others take in the window with probability {quantile}, at least {least}")
            }
        }
    }
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// What it holds for.
    pub selector: Selector,
    /// What it holds back.
    pub buffer: Buffer,
}

/// Two rules of the same rank that hold for the same rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ambiguity {
    /// Place in the list of the rule that wins.
    pub first: usize,
    /// Place in the list of the rule that is not heard.
    pub second: usize,
    /// A SKU that both hold for, where only the stock shows that they meet.
    pub example: Option<Sku>,
}

/// What a buffer may depend on, for one SKU at one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The SKU.
    pub sku: Sku,
    /// The place.
    pub place: LocationId,
    /// The groups that the item belongs to.
    pub categories: Vec<String>,
    /// What is left at the source; signed.
    pub net: i64,
    /// Units of shop orders that the source had not taken in.
    pub not_taken_in: i64,
    /// What other channels took while it was watched.
    pub demand: Demand,
    /// For how long the shop's figure is out of date at worst, as measured, in milliseconds.
    pub window_ms: u64,
    /// What one unit is worth, where that is known.
    pub unit_value: Option<Money>,
}

impl Row {
    fn on_sale(&self, buffer: i64) -> i64 {
        self.net.saturating_sub(self.not_taken_in.max(0)).saturating_sub(buffer).max(0)
    }
}

impl Buffer {
    /// Units held back of this row.
    pub fn units(&self, row: &Row, prior: &Prior) -> i64 {
        match self {
            Buffer::Fixed(units) => (*units).max(0),
            Buffer::Percent(percent) => percent_of(*percent, row.net),
            Buffer::Velocity { quantile, least } => {
                velocity::quantile(*quantile, prior, &row.demand, row.window_ms).max((*least).max(0))
            }
        }
    }

    /// What is wrong with it, in a sentence.
    pub fn fault(&self) -> Option<String> {
        let hundred = Decimal::ONE_HUNDRED;
        match self {
            Buffer::Fixed(units) if *units < 0 => Some(format!("{units} units cannot be held back")),
            Buffer::Percent(percent) if *percent < Decimal::ZERO || *percent > hundred => {
                Some(format!("{percent} is not between 0 and 100 percent"))
            }
            Buffer::Velocity { quantile, .. } if *quantile <= Decimal::ZERO || *quantile >= Decimal::ONE => {
                Some(format!("{quantile} is not between 0 and 1, both left out"))
            }
            Buffer::Velocity { least, .. } if *least < 0 => Some(format!("{least} units cannot be held back")),
            _ => None,
        }
    }
}

/// So many in a hundred of what is there, rounded up; all of it when the sum does not fit.
pub(super) fn percent_of(percent: Decimal, net: i64) -> i64 {
    let net = net.max(0);
    let percent = percent.clamp(Decimal::ZERO, Decimal::ONE_HUNDRED);
    let share = Decimal::from(net).checked_mul(percent).and_then(|d| d.checked_div(Decimal::ONE_HUNDRED));
    share.and_then(|d| i64::try_from(Rounding::Ceil.to_whole(d)).ok()).unwrap_or(net)
}

/// The place in the list of the rule that wins for a row.
pub fn winner(rules: &[Rule], row: &Row) -> Option<usize> {
    let holding = rules.iter().enumerate().filter(|(_, rule)| rule.selector.holds(row));
    // `min_by_key` takes the first of several, which is the earlier rule.
    holding.min_by_key(|(_, rule)| rule.selector.rank()).map(|(index, _)| index)
}

/// What the rules hold back of a row, and in whose name. Nothing when no rule holds for it.
pub fn reserve(rules: &[Rule], row: &Row, prior: &Prior) -> Reserve {
    match winner(rules, row).and_then(|index| rules.get(index)) {
        Some(rule) => Reserve { units: rule.buffer.units(row, prior), origin: format!("{}: {}", rule.selector, rule.buffer) },
        None => Reserve { units: 0, origin: "no rule".to_owned() },
    }
}

/// Every pair of rules of the same rank of which the later is not heard. `rows` may be empty: then only
/// what the rules alone show is found, and not that an item belongs to two groups with a rule each.
pub fn ambiguous(rules: &[Rule], rows: &[Row]) -> Vec<Ambiguity> {
    let mut found: BTreeMap<(usize, usize), Option<Sku>> = BTreeMap::new();
    for (second, later) in rules.iter().enumerate() {
        for (first, earlier) in rules.iter().enumerate().take(second) {
            if earlier.selector.overlaps(&later.selector) {
                found.insert((first, second), None);
            }
        }
    }
    // Only groups can meet in a row without meeting in the configuration.
    let groups: Vec<usize> = (0..rules.len()).filter(|n| matches!(rules[*n].selector, Selector::Category(_))).collect();
    for row in rows {
        let mut holding = groups.iter().copied().filter(|n| rules[*n].selector.holds(row));
        if let Some(first) = holding.next() {
            for second in holding {
                found.entry((first, second)).or_insert_with(|| Some(row.sku.clone()));
            }
        }
    }
    found.into_iter().map(|((first, second), example)| Ambiguity { first, second, example }).collect()
}

/// What other rules would change for one SKU at one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The SKU.
    pub sku: Sku,
    /// The place.
    pub place: LocationId,
    /// What is held back now, and why.
    pub from: Reserve,
    /// What would be.
    pub to: Reserve,
    /// Units on sale now.
    pub on_sale_from: i64,
    /// Units that would be.
    pub on_sale_to: i64,
}

/// What other rules would change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DryRun {
    /// The rows of which another number of units would be held back, in the order of the rows.
    pub changes: Vec<Change>,
    /// Rows looked at.
    pub rows: u64,
    /// Units taken off sale.
    pub off_sale: i64,
    /// Units put on sale.
    pub onto_sale: i64,
    /// What the units taken off sale are worth, where that is known.
    pub off_sale_worth: Worth,
    /// What the units put on sale are worth, where that is known.
    pub onto_sale_worth: Worth,
    /// Rows whose last units would go off sale.
    pub sold_out: u64,
}

/// What would change if `proposed` took the place of `current`.
pub fn dry_run(current: &[Rule], proposed: &[Rule], rows: &[Row], prior: &Prior) -> DryRun {
    let mut run = DryRun::default();
    for row in rows {
        run.rows += 1;
        let (from, to) = (reserve(current, row, prior), reserve(proposed, row, prior));
        if from.units == to.units {
            continue;
        }
        let (before, after) = (row.on_sale(from.units), row.on_sale(to.units));
        let off = before.saturating_sub(after);
        if off > 0 {
            run.off_sale = run.off_sale.saturating_add(off);
            if let Some(value) = row.unit_value {
                run.off_sale_worth.add(off, value);
            }
        } else if off < 0 {
            run.onto_sale = run.onto_sale.saturating_sub(off);
            if let Some(value) = row.unit_value {
                run.onto_sale_worth.add(off.saturating_neg(), value);
            }
        }
        run.sold_out += u64::from(before > 0 && after == 0);
        let (sku, place) = (row.sku.clone(), row.place.clone());
        run.changes.push(Change { sku, place, from, to, on_sale_from: before, on_sale_to: after });
    }
    run
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Currency;

    fn row(sku: &str, place: &str, categories: &[&str], net: i64) -> Row {
        Row {
            sku: Sku::new(sku),
            place: LocationId::new(place),
            categories: categories.iter().map(|c| (*c).to_owned()).collect(),
            net,
            not_taken_in: 0,
            demand: Demand::default(),
            window_ms: 0,
            unit_value: None,
        }
    }

    fn market(name: &str, places: &[&str]) -> Selector {
        Selector::Market { name: name.to_owned(), places: places.iter().map(|p| LocationId::new(*p)).collect() }
    }

    fn rule(selector: Selector, units: i64) -> Rule {
        Rule { selector, buffer: Buffer::Fixed(units) }
    }

    fn everything() -> Vec<Rule> {
        vec![
            rule(Selector::Default, 1),
            rule(Selector::Warehouse(LocationId::new("7")), 2),
            rule(market("SE", &["7", "8"]), 3),
            rule(Selector::Category("coats".to_owned()), 4),
            rule(Selector::Sku(Sku::new("A")), 5),
        ]
    }

    #[test]
    fn the_most_specific_rule_wins_wherever_it_stands() {
        let table = [
            (row("A", "7", &["coats"], 9), 5),
            (row("B", "7", &["hats", "coats"], 9), 4),
            (row("B", "7", &["hats"], 9), 3),
            (row("B", "8", &[], 9), 3),
            (row("B", "9", &[], 9), 1),
            (row("a", "9", &[], 9), 1),
        ];
        let mut turned = everything();
        turned.reverse();
        for (row, units) in table {
            assert_eq!(reserve(&everything(), &row, &Prior::STILL).units, units, "{row:?}");
            assert_eq!(reserve(&turned, &row, &Prior::STILL).units, units, "{row:?}");
        }
        let without_market: Vec<Rule> =
            everything().into_iter().filter(|r| !matches!(r.selector, Selector::Market { .. })).collect();
        assert_eq!(reserve(&without_market, &row("B", "7", &[], 9), &Prior::STILL).units, 2);
        assert_eq!(
            reserve(&everything(), &row("A", "7", &[], 9), &Prior::STILL),
            Reserve { units: 5, origin: "SKU A: 5 units".to_owned() }
        );
        assert_eq!(reserve(&[], &row("A", "7", &[], 9), &Prior::STILL).units, 0);
    }

    #[test]
    fn a_share_is_rounded_up_and_none_of_nothing() {
        for (percent, net, units) in [
            ("10", 100, 10),
            ("10", 101, 11),
            ("0.5", 1, 1),
            ("0", 100, 0),
            ("10", 0, 0),
            ("10", -5, 0),
            ("100", 7, 7),
            ("250", 7, 7),
        ] {
            let buffer = Buffer::Percent(percent.parse().unwrap());
            assert_eq!(buffer.units(&row("A", "7", &[], net), &Prior::STILL), units, "{percent} % of {net}");
        }
        assert_eq!(percent_of(Decimal::ONE_HUNDRED, i64::MAX), i64::MAX);
    }

    #[test]
    fn velocity_has_a_least_and_grows_with_the_window() {
        let prior = Prior { shape: 1.0, watched_ms: 1_000.0, mean: 1.0, mean_square: 1.0 };
        let buffer = Buffer::Velocity { quantile: Decimal::new(99, 2), least: 2 };
        let mut row = row("A", "7", &[], 9);
        assert_eq!(buffer.units(&row, &prior), 2);
        row.window_ms = 1_000;
        assert_eq!(buffer.units(&row, &prior), 6);
        assert_eq!(Buffer::Fixed(-3).units(&row, &prior), 0);
    }

    #[test]
    fn rules_that_silence_each_other_are_found() {
        let mut rules = everything();
        assert_eq!(ambiguous(&rules, &[row("A", "7", &["coats"], 1)]), []);
        rules.push(rule(market("NO", &["8"]), 6));
        rules.push(rule(market("US", &["11"]), 6));
        rules.push(rule(Selector::Category("sale".to_owned()), 7));
        rules.push(rule(Selector::Default, 8));
        let both = row("X", "7", &["sale", "coats"], 1);
        let found = ambiguous(&rules, &[row("Y", "7", &["sale"], 1), both.clone(), row("Z", "7", &["sale", "coats"], 1)]);
        let pair = |first, second, example: Option<&str>| Ambiguity { first, second, example: example.map(Sku::from) };
        assert_eq!(found, [pair(0, 8, None), pair(2, 5, None), pair(3, 7, Some("X"))]);
        assert_eq!(winner(&rules, &both), Some(3), "the earlier wins");
    }

    #[test]
    fn faults_are_told() {
        let velocity = |thousandths, least| Buffer::Velocity { quantile: Decimal::new(thousandths, 3), least };
        for good in [
            Buffer::Fixed(0),
            Buffer::Percent(Decimal::ZERO),
            Buffer::Percent(Decimal::ONE_HUNDRED),
            velocity(999, 0),
            velocity(1, 5),
        ] {
            assert_eq!(good.fault(), None, "{good:?}");
        }
        let over = Buffer::Percent(Decimal::new(10_001, 2));
        for bad in
            [Buffer::Fixed(-1), Buffer::Percent(Decimal::new(-1, 2)), over, velocity(0, 0), velocity(1_000, 0), velocity(990, -1)]
        {
            assert!(bad.fault().is_some(), "{bad:?}");
        }
    }

    #[test]
    fn a_dry_run_counts_what_leaves_the_shop() {
        let eur = Currency::from_code("EUR").unwrap();
        let current = [rule(Selector::Default, 2), rule(Selector::Sku(Sku::new("C")), 4)];
        let proposed = [rule(Selector::Default, 5), rule(Selector::Sku(Sku::new("C")), 1), rule(Selector::Sku(Sku::new("S")), 2)];
        let mut rows = [
            row("A", "7", &[], 10), // 8 → 5
            row("B", "7", &[], 3),  // 1 → 0: sold out
            row("C", "7", &[], 10), // 6 → 9
            row("D", "7", &[], 4),  // not taken in 3: 0 → 0
            row("S", "7", &[], 10), // the same number by another rule
        ];
        rows[3].not_taken_in = 3;
        rows[0].unit_value = Some(Money::from_minor(1_000, eur));
        rows[2].unit_value = Some(Money::from_minor(100, eur));
        let run = dry_run(&current, &proposed, &rows, &Prior::STILL);
        assert_eq!((run.rows, run.off_sale, run.onto_sale, run.sold_out), (5, 4, 3, 1));
        assert_eq!((run.off_sale_worth.of(eur).minor(), run.onto_sale_worth.of(eur).minor()), (3_000, 300));
        let said: Vec<_> =
            run.changes.iter().map(|c| (c.sku.as_str(), c.from.units, c.to.units, c.on_sale_from, c.on_sale_to)).collect();
        assert_eq!(said, [("A", 2, 5, 8, 5), ("B", 2, 5, 1, 0), ("C", 4, 1, 6, 9), ("D", 2, 5, 0, 0)]);
    }
}
