//! Whether a reading of stock may take effect, judged before it does.
//!
//! Feeds break in a few ways that look like facts: an empty answer, half an answer, a column that is
//! nought, a column in the wrong unit. Each would be written to the shop in minutes. So a reading is
//! compared with the last one that took effect, and what would move more than a stated share of the
//! range waits for a person.
//!
//! A share is of the whole range, also when only what changed was read: the rows of such a reading have
//! all changed by nature. It is judged only when enough rows are concerned: of five items, three may
//! sell out in an hour.

use std::{cmp::Ordering, collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::worth::{Worth, times};
use crate::{
    id::Sku,
    money::{Currency, Money},
};

/// Rows that a finding shows.
pub const PREVIEW_MAX: usize = 20;

/// When a reading waits. A limit that is left out is not judged; a share is from 0 to 1, and more than
/// the limit is too much.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Whether a whole reading without a row waits.
    pub empty: bool,
    /// Share of the rows that a whole reading may lack.
    pub truncated_share: Option<Decimal>,
    /// Share of the rows on sale that may go off sale at once.
    pub zeroed_share: Option<Decimal>,
    /// Share of the units on sale that may move, up or down.
    pub moved_units_share: Option<Decimal>,
    /// Share of the value on sale that may move, up or down; by currency.
    pub moved_value_share: Option<Decimal>,
    /// The age beyond which a reading waits.
    pub stale_after: Option<Duration>,
    /// A share is judged only when so many rows are concerned.
    pub least_rows: u64,
}

impl Default for Rules {
    /// An empty reading, a tenth of the rows missing, a fifth sold out, or half of the units or of the value moved.
    fn default() -> Self {
        Self {
            empty: true,
            truncated_share: Some(Decimal::new(1, 1)),
            zeroed_share: Some(Decimal::new(2, 1)),
            moved_units_share: Some(Decimal::new(5, 1)),
            moved_value_share: Some(Decimal::new(5, 1)),
            stale_after: None,
            least_rows: 20,
        }
    }
}

/// The range as the last reading that took effect left it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Rows.
    pub rows: u64,
    /// Rows with units on sale.
    pub on_sale: u64,
    /// Units on sale.
    pub units: i64,
    /// What these are worth, as far as that is known.
    pub worth: Worth,
}

impl Before {
    /// Counts one row.
    pub fn add(&mut self, free: i64, unit_value: Option<Money>) {
        let units = free.max(0);
        self.rows += 1;
        self.on_sale += u64::from(units > 0);
        self.units = self.units.saturating_add(units);
        if let Some(value) = unit_value {
            self.worth.add(units, value);
        }
    }
}

/// What is judged besides the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Whether it is said to hold the whole range. Only then can a row be missing.
    pub whole: bool,
    /// Everything until this instant is in it.
    pub as_of: Timestamp,
    /// The instant of the judgement.
    pub now: Timestamp,
}

/// One row: of the reading, or of the range before a whole reading that lacks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// The SKU.
    pub sku: &'a Sku,
    /// Free to sell as it took effect last; `None`: new.
    pub before: Option<i64>,
    /// Free to sell as the reading would have it; `None`: the reading lacks the row.
    pub after: Option<i64>,
    /// Up to so many units fewer are explained by the shop's own orders since.
    pub explained: i64,
    /// What one unit is worth, where that is known. A row without counts for its units only.
    pub unit_value: Option<Money>,
}

/// What is the matter with a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Matter {
    /// A whole reading without a row, where there were some.
    Empty,
    /// A whole reading that lacks too many rows.
    Truncated,
    /// Too many rows would go off sale.
    Zeroed,
    /// Too many units would move.
    MovedUnits,
    /// Too much value would move; one finding a currency.
    MovedValue,
    /// Too old.
    Stale,
}

/// One row that a finding shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Shown {
    /// The SKU.
    pub sku: Sku,
    /// Free before.
    pub before: Option<i64>,
    /// Free after.
    pub after: Option<i64>,
    /// Units that moved without an explanation.
    pub units: i64,
    /// What these are worth.
    pub worth: Option<Money>,
}

/// Why a reading waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What is the matter.
    pub matter: Matter,
    /// Rows concerned.
    pub rows: u64,
    /// Units concerned.
    pub units: i64,
    /// What these are worth, as far as that is known.
    pub worth: Worth,
    /// The currency that was judged, for [`Matter::MovedValue`].
    pub currency: Option<Currency>,
    /// The share that was judged; of a stale reading, its age in seconds.
    pub share: Decimal,
    /// The limit that it passed, in the same unit.
    pub limit: Decimal,
    /// The rows with the most value, then with the most units; at most [`PREVIEW_MAX`]. Amounts of
    /// several currencies are put in order by their figures: this is a preview and no judgement.
    pub preview: Vec<Shown>,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let percent = |share: Decimal| share.saturating_mul(Decimal::ONE_HUNDRED).round_dp(1).normalize();
        let (share, limit) = (percent(self.share), percent(self.limit));
        let (rows, units) = (self.rows, self.units);
        match self.matter {
            Matter::Empty => write!(f, "it is empty, where {rows} items with {units} units stood")?,
            Matter::Truncated => write!(f, "it lacks {rows} items with {units} units ({share} %, the limit is {limit} %)")?,
            Matter::Zeroed => write!(f, "{rows} items with {units} units would go off sale ({share} %, the limit is {limit} %)")?,
            Matter::MovedUnits => write!(f, "{units} units would move ({share} %, the limit is {limit} %)")?,
            Matter::MovedValue => write!(f, "too much value would move ({share} %, the limit is {limit} %)")?,
            Matter::Stale => return write!(f, "it is {} s old, the limit is {} s", self.share, self.limit),
        }
        let sums: Vec<String> = self.worth.sums().map(|sum| sum.to_string()).collect();
        if !sums.is_empty() {
            write!(f, ", worth {}", sums.join(" and "))?;
        }
        let units = |units: Option<i64>| units.map_or_else(|| "none".to_owned(), |units| units.to_string());
        let first: Vec<String> =
            self.preview.iter().take(5).map(|row| format!("{} {} to {}", row.sku, units(row.before), units(row.after))).collect();
        if first.is_empty() { Ok(()) } else { write!(f, "; first {}", first.join(", ")) }
    }
}

/// The judgement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It may take effect.
    Fine,
    /// A person should look first.
    Suspicious(Vec<Finding>),
}

/// Rows of one kind, summed up, with the largest of them.
#[derive(Default)]
struct Pile {
    rows: u64,
    units: i64,
    worth: Worth,
    preview: Vec<Shown>,
}

impl Pile {
    fn add(&mut self, row: &Row<'_>, units: i64) {
        let worth = row.unit_value.map(|value| times(units, value));
        self.rows += 1;
        self.units = self.units.saturating_add(units);
        if let Some(worth) = worth {
            self.worth.add(1, worth);
        }
        // In order at any time, and never longer than what is shown.
        let before = |shown: &Shown| larger(shown.worth, shown.units, worth, units) != Ordering::Less;
        let place = self.preview.partition_point(before);
        if place < PREVIEW_MAX {
            self.preview.truncate(PREVIEW_MAX - 1);
            let (before, after) = (row.before, row.after);
            self.preview.insert(place, Shown { sku: row.sku.clone(), before, after, units, worth });
        }
    }

    fn finding(self, matter: Matter, share: Decimal, limit: Decimal) -> Finding {
        let Pile { rows, units, worth, preview } = self;
        Finding { matter, rows, units, worth, currency: None, share, limit, preview }
    }
}

fn larger(worth: Option<Money>, units: i64, other_worth: Option<Money>, other_units: i64) -> Ordering {
    worth.map(Money::decimal).cmp(&other_worth.map(Money::decimal)).then(units.cmp(&other_units))
}

/// Judges a reading before it takes effect. For a whole reading `rows` has every row that stood before
/// or stands in it; otherwise, what was read.
pub fn judge<'a>(rules: &Rules, before: &Before, reading: Reading, rows: impl IntoIterator<Item = Row<'a>>) -> Verdict {
    let (mut missing, mut zeroed, mut moved) = (Pile::default(), Pile::default(), Pile::default());
    let mut valued: BTreeMap<Currency, Pile> = BTreeMap::new();
    let mut read: u64 = 0;
    for row in rows {
        let stood = row.before.unwrap_or(0).max(0);
        let Some(after) = row.after else {
            if row.before.is_some() {
                missing.add(&row, stood);
            }
            continue;
        };
        read += 1;
        let after = after.max(0);
        let explained = row.explained.max(0);
        // The source may have taken the shop's orders in or not: anything between is explained.
        let least = stood.saturating_sub(explained).max(0);
        let units = if after < least { least - after } else { after.saturating_sub(stood).max(0) };
        if units == 0 {
            continue;
        }
        if after == 0 {
            zeroed.add(&row, units);
        }
        moved.add(&row, units);
        if let Some(value) = row.unit_value {
            valued.entry(value.currency()).or_default().add(&row, units);
        }
    }

    let mut found = Vec::new();
    if rules.empty && reading.whole && read == 0 && before.rows > 0 {
        let all = Pile { rows: before.rows, units: before.units, worth: before.worth.clone(), preview: missing.preview };
        found.push(all.finding(Matter::Empty, Decimal::ONE, Decimal::ONE));
    } else if reading.whole {
        let share = share(missing.rows.into(), before.rows.into());
        found.extend(too_much(rules, missing, Matter::Truncated, share, rules.truncated_share));
    }
    let share_zeroed = share(zeroed.rows.into(), before.on_sale.into());
    found.extend(too_much(rules, zeroed, Matter::Zeroed, share_zeroed, rules.zeroed_share));
    let share_moved = share(moved.units.into(), before.units.into());
    found.extend(too_much(rules, moved, Matter::MovedUnits, share_moved, rules.moved_units_share));
    for (currency, pile) in valued {
        let share = share(pile.worth.of(currency).minor().into(), before.worth.of(currency).minor().into());
        let finding = too_much(rules, pile, Matter::MovedValue, share, rules.moved_value_share);
        found.extend(finding.map(|finding| Finding { currency: Some(currency), ..finding }));
    }
    found.extend(stale(rules, reading));
    if found.is_empty() { Verdict::Fine } else { Verdict::Suspicious(found) }
}

/// The share, where there is a whole. What comes to an empty shop is no share of it.
fn share(part: i128, whole: i128) -> Option<Decimal> {
    if whole <= 0 {
        return None;
    }
    Decimal::try_from_i128_with_scale(part, 0).ok()?.checked_div(Decimal::try_from_i128_with_scale(whole, 0).ok()?)
}

fn too_much(rules: &Rules, pile: Pile, matter: Matter, share: Option<Decimal>, limit: Option<Decimal>) -> Option<Finding> {
    let (share, limit) = (share?, limit?);
    (pile.rows > 0 && pile.rows >= rules.least_rows && share > limit).then(|| pile.finding(matter, share, limit))
}

fn stale(rules: &Rules, reading: Reading) -> Option<Finding> {
    let limit = rules.stale_after?;
    let age = reading.now.duration_since(reading.as_of);
    let over = Duration::try_from(age).is_ok_and(|age| age > limit);
    over.then(|| Pile::default().finding(Matter::Stale, Decimal::from(age.as_secs()), Decimal::from(limit.as_secs())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn reading(whole: bool) -> Reading {
        Reading { whole, as_of: at(1_000), now: at(1_060) }
    }

    fn eur(minor: i64) -> Option<Money> {
        Some(Money::from_minor(minor, Currency::from_code("EUR").unwrap()))
    }

    fn rules() -> Rules {
        Rules { least_rows: 2, ..Rules::default() }
    }

    type Figures = (Option<i64>, Option<i64>, i64, Option<Money>);
    type Kept = (Sku, Option<i64>, Option<i64>, i64, Option<Money>);

    fn kept(rows: &[Figures]) -> Vec<Kept> {
        rows.iter()
            .enumerate()
            .map(|(n, (before, after, own, value))| (Sku::new(n.to_string()), *before, *after, *own, *value))
            .collect()
    }

    fn run(rules: &Rules, reading: Reading, rows: &[Kept]) -> Vec<Finding> {
        let mut before = Before::default();
        rows.iter().filter_map(|row| Some((row.1?, row.4))).for_each(|(free, value)| before.add(free, value));
        run_before(rules, &before, reading, rows)
    }

    fn run_before(rules: &Rules, before: &Before, reading: Reading, rows: &[Kept]) -> Vec<Finding> {
        let rows = rows.iter().map(|(sku, before, after, explained, unit_value)| Row {
            sku,
            before: *before,
            after: *after,
            explained: *explained,
            unit_value: *unit_value,
        });
        match judge(rules, before, reading, rows) {
            Verdict::Fine => Vec::new(),
            Verdict::Suspicious(found) => found,
        }
    }

    fn matters(found: &[Finding]) -> Vec<Matter> {
        found.iter().map(|finding| finding.matter).collect()
    }

    #[test]
    fn an_empty_reading_is_empty_only_when_it_should_be_whole() {
        let rows = kept(&[(Some(5), None, 0, eur(100)), (Some(-2), None, 0, None), (Some(3), None, 0, None)]);
        let found = run(&rules(), reading(true), &rows);
        assert_eq!(matters(&found), [Matter::Empty]);
        assert_eq!((found[0].rows, found[0].units, found[0].preview.len()), (3, 8, 3));
        assert_eq!(found[0].preview[0].sku.as_str(), "0");
        assert_eq!(run(&rules(), reading(false), &[]), []);
        assert_eq!(run(&rules(), reading(true), &[]), [], "there was nothing before");
        assert_eq!(matters(&run(&rules(), reading(true), &rows[..1])), [Matter::Empty], "the only one is gone");
        let mut careless = rules();
        careless.empty = false;
        assert_eq!(matters(&run(&careless, reading(true), &rows)), [Matter::Truncated]);
    }

    #[test]
    fn a_reading_that_lacks_more_than_its_share_is_truncated() {
        // Two of twenty are a tenth and may be missing; three may not. New rows do not make up for them.
        let mut rows = vec![(Some(5), Some(5), 0, None); 18];
        rows.extend([(Some(5), None, 0, None); 2]);
        rows.extend([(None, Some(1), 0, None), (None, None, 0, None)]);
        assert_eq!(run(&rules(), reading(true), &kept(&rows)), []);
        rows[0].1 = None;
        let found = run(&rules(), reading(true), &kept(&rows));
        assert_eq!(matters(&found), [Matter::Truncated]);
        assert_eq!(
            (found[0].rows, found[0].units, found[0].share, found[0].limit),
            (3, 15, Decimal::new(15, 2), Decimal::new(1, 1))
        );
        assert_eq!(run(&rules(), reading(false), &kept(&rows)), []);
    }

    #[test]
    fn rows_that_go_off_sale_are_counted_unless_own_orders_explain_it() {
        let mut rows = vec![(Some(1), Some(1), 0, None); 8];
        // Four rows of twelve: sold in the shop; explained in part; gone; gone.
        rows.extend([
            (Some(2), Some(0), 2, None),
            (Some(2), Some(0), 1, None),
            (Some(1), Some(-4), 0, None),
            (Some(1), Some(0), 0, None),
        ]);
        rows.extend([(Some(0), Some(0), 0, None), (Some(-1), Some(-9), 0, None)]);
        let found = run(&rules(), reading(true), &kept(&rows));
        assert_eq!(matters(&found), [Matter::Zeroed]);
        assert_eq!((found[0].rows, found[0].units, found[0].share), (3, 3, Decimal::new(25, 2)));
        rows[9].2 = 2;
        assert_eq!(run(&rules(), reading(true), &kept(&rows)), [], "two of twelve are less than a fifth");
    }

    #[test]
    fn units_and_value_are_judged_against_the_range_each_currency_by_itself() {
        let sek = Some(Money::from_minor(1_000, Currency::from_code("SEK").unwrap()));
        let rows = kept(&[
            (Some(10), Some(90), 0, eur(100)), // a box for a piece
            (Some(10), Some(25), 3, eur(100)),
            (Some(100), Some(99), 0, sek),
            (Some(100), Some(95), 3, sek),
            (Some(100), Some(100), 9, None),
            (Some(100), Some(91), 9, None),
        ]);
        let found = run(&rules(), reading(false), &rows);
        assert_eq!(matters(&found), [Matter::MovedValue]);
        let finding = &found[0];
        assert_eq!(finding.currency.map(Currency::code), Some("EUR"));
        assert_eq!((finding.rows, finding.units), (2, 95));
        assert_eq!((finding.share, finding.limit), (Decimal::new(475, 2), Decimal::new(5, 1)));
        assert_eq!(finding.worth.sums().collect::<Vec<_>>(), [eur(9_500).unwrap()]);

        let mut tight = rules();
        tight.moved_units_share = Some(Decimal::new(2, 1));
        let found = run(&tight, reading(false), &rows);
        assert_eq!(matters(&found), [Matter::MovedUnits, Matter::MovedValue]);
        // 80 + 15 + 1 + 2 of 420.
        assert_eq!((found[0].rows, found[0].units, found[0].share.round_dp(4)), (4, 98, Decimal::new(2333, 4)));
        assert_eq!(found[0].preview.iter().map(|s| s.sku.as_str()).collect::<Vec<_>>(), ["0", "3", "1", "2"]);
        tight.moved_units_share = Some(Decimal::new(98, 0) / Decimal::new(420, 0));
        assert_eq!(matters(&run(&tight, reading(false), &rows)), [Matter::MovedValue], "the limit itself may be reached");
    }

    #[test]
    fn a_few_rows_and_a_share_of_nothing_are_not_judged() {
        let rows = kept(&[(Some(10), Some(0), 0, eur(100)), (Some(10), Some(0), 0, eur(100)), (Some(1), Some(1), 0, None)]);
        assert_eq!(matters(&run(&rules(), reading(true), &rows)), [Matter::Zeroed, Matter::MovedUnits, Matter::MovedValue]);
        let careful = Rules { least_rows: 3, ..rules() };
        assert_eq!(run(&careful, reading(true), &rows), []);
        let unlimited = Rules { zeroed_share: None, moved_units_share: None, moved_value_share: None, ..rules() };
        assert_eq!(run(&unlimited, reading(true), &rows), []);
        let first_delivery = kept(&[(Some(0), Some(500), 0, eur(1)), (None, Some(500), 0, eur(1)), (Some(-3), Some(9), 0, None)]);
        assert_eq!(run(&rules(), reading(true), &first_delivery), []);
        assert_eq!(
            run_before(&Rules { least_rows: 0, ..rules() }, &Before { rows: 9, ..Before::default() }, reading(false), &[]),
            []
        );
    }

    #[test]
    fn age_is_judged_by_itself() {
        let mut rules = rules();
        rules.stale_after = Some(Duration::from_secs(60));
        assert_eq!(run(&rules, reading(false), &[]), []);
        rules.stale_after = Some(Duration::from_secs(59));
        let found = run(&rules, reading(false), &[]);
        assert_eq!((found[0].matter, found[0].share, found[0].limit), (Matter::Stale, Decimal::from(60), Decimal::from(59)));
        let early = Reading { whole: false, as_of: at(1_000), now: at(0) };
        assert_eq!(run(&rules, early, &[]), []);
    }

    #[test]
    fn the_preview_has_the_largest_by_value_and_then_by_units() {
        let rows: Vec<_> = (0..60_i64).map(|n| (Some(100), Some(0), n, (n % 2 == 0).then(|| eur(n + 1)).flatten())).collect();
        let found = run(&rules(), reading(false), &kept(&rows));
        let preview = &found[0].preview;
        assert_eq!(preview.len(), PREVIEW_MAX);
        let worth = |row: &i64| (100 - row) * (row + 1);
        let mut expected: Vec<i64> = (0..60).filter(|n| n % 2 == 0).collect();
        expected.sort_by_key(|row| -worth(row));
        assert_eq!(preview.iter().map(|s| s.sku.as_str().parse().unwrap()).collect::<Vec<i64>>(), expected[..PREVIEW_MAX]);

        let bare: Vec<_> = (0..30_i64).map(|n| (Some(n + 1), Some(0), 0, (n == 0).then(|| eur(1)).flatten())).collect();
        let found = run(&rules(), reading(false), &kept(&bare));
        let shown: Vec<i64> = found[0].preview.iter().map(|s| s.units).collect();
        assert_eq!(shown, [vec![1], (12..=30).rev().collect()].concat(), "what has a value stands first");
    }
}
