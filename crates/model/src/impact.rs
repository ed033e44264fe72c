//! How much hangs on an exception, and how soon: what the list of exceptions is ranked by.
//!
//! The score is a sum in one currency times a whole number:
//!
//! ```text
//! (money at risk + customers × their weight + records without a customer × theirs) × urgency
//! ```
//!
//! It ranks and is no forecast: nobody books it. What it is made of is shown beside it in figures. Amounts of several
//! currencies are added by the rates that the config gives for this purpose alone; one without a rate counts by its face
//! value, and that is said.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::money::{Currency, Money};

const HOUR: u64 = 3_600;

/// By how much an exception counts more, from so long before its deadline on; the nearest first.
const STEPS: [(Duration, u32); 4] = [
    (Duration::from_secs(HOUR), 6),
    (Duration::from_secs(4 * HOUR), 4),
    (Duration::from_secs(24 * HOUR), 3),
    (Duration::from_secs(72 * HOUR), 2),
];
/// Once the deadline is past.
const PAST: u32 = 8;
/// While it is far away, or where there is none.
const FAR: u32 = 1;

/// What happens at a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeadlineKind {
    /// An order was promised to have left by then.
    Dispatch,
    /// The last collection of a working day: what is ready later leaves a day later.
    Cutoff,
    /// Money that is only reserved can no longer be taken.
    Capture,
    /// A period of an entity ends, and its books are closed.
    MonthEnd,
}

impl DeadlineKind {
    /// All of them.
    pub const ALL: [DeadlineKind; 4] =
        [DeadlineKind::Dispatch, DeadlineKind::Cutoff, DeadlineKind::Capture, DeadlineKind::MonthEnd];

    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            DeadlineKind::Dispatch => "dispatch",
            DeadlineKind::Cutoff => "cutoff",
            DeadlineKind::Capture => "capture",
            DeadlineKind::MonthEnd => "month_end",
        }
    }

    /// What people read.
    pub const fn name(self) -> &'static str {
        match self {
            DeadlineKind::Dispatch => "promised dispatch",
            DeadlineKind::Cutoff => "cut-off",
            DeadlineKind::Capture => "capture expires",
            DeadlineKind::MonthEnd => "period ends",
        }
    }

    /// The kind with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// The next instant at which an exception costs more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Deadline {
    /// When.
    pub at: Timestamp,
    /// What happens then.
    pub kind: DeadlineKind,
}

/// What an exception reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Radius {
    /// Money of the records that it holds, one amount for each currency.
    pub money: Vec<Money>,
    /// People behind these records.
    pub customers: u64,
    /// Records that it holds.
    pub records: u64,
}

/// One scale for everything, from the config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scale {
    /// What everything is counted in.
    pub currency: Currency,
    /// What one unit of another currency is worth in it, for ranking only.
    pub rates: BTreeMap<Currency, Decimal>,
    /// What a customer who waits counts, in that currency.
    pub customer: Decimal,
    /// What a record without a customer counts (a figure of stock, a product), in that currency.
    pub record: Decimal,
}

impl Default for Scale {
    fn default() -> Self {
        Self { currency: Currency::EUR, rates: BTreeMap::new(), customer: Decimal::from(25), record: Decimal::from(5) }
    }
}

/// What an exception comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impact {
    /// By which exceptions are ranked: hundredths of the scale's currency times urgency.
    pub score: u64,
    /// By how much urgency multiplies.
    pub urgency: u32,
    /// Currencies that had no rate and count by their face value.
    pub unrated: Vec<Currency>,
    /// When urgency rises next; nothing more changes by time alone without it.
    pub rises_at: Option<Timestamp>,
}

/// How much a deadline multiplies, and when that changes.
fn urgency(deadline: Option<Deadline>, now: Timestamp) -> (u32, Option<Timestamp>) {
    let Some(Deadline { at, .. }) = deadline else { return (FAR, None) };
    if at <= now {
        return (PAST, None);
    }
    let begins = |before: Duration| at.checked_sub(before).unwrap_or(Timestamp::MIN);
    let mut next = at;
    for (before, factor) in STEPS {
        if begins(before) <= now {
            return (factor, Some(next));
        }
        next = begins(before);
    }
    (FAR, Some(next))
}

impl Impact {
    /// Works it out. Exact, and bounded: what does not fit any more counts as the most that does.
    pub fn of(radius: &Radius, deadline: Option<Deadline>, scale: &Scale, now: Timestamp) -> Self {
        let (mut sum, mut unrated) = (Decimal::ZERO, Vec::new());
        let mut add = |amount: Decimal, weight: Decimal| {
            let one = amount.abs().checked_mul(weight.abs()).unwrap_or(Decimal::MAX);
            sum = sum.checked_add(one).unwrap_or(Decimal::MAX);
        };
        for money in &radius.money {
            let rate =
                if money.currency() == scale.currency { Some(Decimal::ONE) } else { scale.rates.get(&money.currency()).copied() };
            if rate.is_none() && !unrated.contains(&money.currency()) {
                unrated.push(money.currency());
            }
            add(money.decimal(), rate.unwrap_or(Decimal::ONE));
        }
        add(Decimal::from(radius.customers), scale.customer);
        add(Decimal::from(radius.records.saturating_sub(radius.customers)), scale.record);
        let (urgency, rises_at) = urgency(deadline, now);
        let hundredths = sum.checked_mul(Decimal::ONE_HUNDRED).unwrap_or(Decimal::MAX).trunc();
        // What SQLite keeps is signed.
        let most = i64::MAX.unsigned_abs();
        let score = u64::try_from(hundredths).unwrap_or(most).saturating_mul(u64::from(urgency)).min(most);
        Self { score, urgency, unrated, rises_at }
    }

    /// The formula in figures: `18200.00 EUR + 214 customers × 25 EUR, × 4: cut-off in 2 h 10 min`.
    pub fn formula(&self, radius: &Radius, deadline: Option<Deadline>, scale: &Scale, now: Timestamp) -> String {
        let mut terms = Vec::new();
        for money in &radius.money {
            match scale.rates.get(&money.currency()).filter(|_| money.currency() != scale.currency) {
                Some(rate) => terms.push(format!("{money} × {rate}")),
                None => terms.push(money.to_string()),
            }
        }
        let counted = |count: u64, one: &str, many: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {many}") };
        if radius.customers > 0 {
            terms.push(format!("{} × {} {}", counted(radius.customers, "customer", "customers"), scale.customer, scale.currency));
        }
        let records = radius.records.saturating_sub(radius.customers);
        if records > 0 {
            let what = if radius.customers > 0 { ("further record", "further records") } else { ("record", "records") };
            terms.push(format!("{} × {} {}", counted(records, what.0, what.1), scale.record, scale.currency));
        }
        if terms.is_empty() {
            terms.push("nothing held".to_owned());
        }
        let mut text = terms.join(" + ");
        if let Some(deadline) = deadline {
            text.push_str(&format!(", × {}: {} {}", self.urgency, deadline.kind.name(), distance(deadline.at, now)));
        }
        if !self.unrated.is_empty() {
            let codes: Vec<&str> = self.unrated.iter().map(|currency| currency.code()).collect();
            text.push_str(&format!(" ({} without a rate: counted by face value)", codes.join(", ")));
        }
        text
    }
}

/// How far off an instant is: `in 2 h 10 min`, `3 d 4 h ago`.
pub fn distance(at: Timestamp, now: Timestamp) -> String {
    let minutes = at.duration_since(now).as_secs() / 60;
    let left = minutes.unsigned_abs();
    let (days, hours, rest) = (left / 1_440, left / 60 % 24, left % 60);
    let text = match (days, hours, rest) {
        (0, 0, 0) => return "now".to_owned(),
        (0, 0, rest) => format!("{rest} min"),
        (0, hours, 0) => format!("{hours} h"),
        (0, hours, rest) => format!("{hours} h {rest} min"),
        (days, 0, _) => format!("{days} d"),
        (days, hours, _) => format!("{days} d {hours} h"),
    };
    if minutes < 0 { format!("{text} ago") } else { format!("in {text}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn money(minor: i64, code: &str) -> Money {
        Money::from_minor(minor, Currency::from_code(code).unwrap())
    }

    fn scale() -> Scale {
        let sek = Currency::from_code("SEK").unwrap();
        Scale { rates: BTreeMap::from([(sek, "0.088".parse().unwrap())]), ..Scale::default() }
    }

    #[test]
    fn the_example_of_the_guide() {
        let radius = Radius { money: vec![money(1_820_000, "EUR")], customers: 214, records: 214 };
        let deadline = Deadline { at: at(7_800), kind: DeadlineKind::Cutoff };
        let impact = Impact::of(&radius, Some(deadline), &scale(), at(0));
        assert_eq!((impact.urgency, impact.score), (4, (1_820_000 + 214 * 2_500) * 4));
        let formula = impact.formula(&radius, Some(deadline), &scale(), at(0));
        assert_eq!(formula, "18200.00 EUR + 214 customers × 25 EUR, × 4: cut-off in 2 h 10 min");
    }

    #[test]
    fn currencies_count_by_their_rates_and_one_without_is_named() {
        let of = |money| Impact::of(&Radius { money: vec![money], customers: 0, records: 0 }, None, &scale(), at(0));
        assert_eq!(of(money(100_000, "SEK")).score, 8_800);
        assert_eq!(of(money(-100_000, "SEK")).score, 8_800, "a credit is money, too");
        let yen = of(money(1_000, "JPY"));
        assert_eq!((yen.score, yen.unrated.len()), (100_000, 1));
        let radius = Radius { money: vec![money(1_000, "JPY"), money(100, "SEK")], customers: 0, records: 3 };
        let formula = Impact::of(&radius, None, &scale(), at(0)).formula(&radius, None, &scale(), at(0));
        assert_eq!(formula, "1000 JPY + 1.00 SEK × 0.088 + 3 records × 5 EUR (JPY without a rate: counted by face value)");
    }

    #[test]
    fn urgency_rises_by_steps_that_are_told_before() {
        let deadline = Some(Deadline { at: at(400 * 3_600), kind: DeadlineKind::Dispatch });
        let mut seen = Vec::new();
        let mut now = at(0);
        loop {
            let (factor, next) = urgency(deadline, now);
            seen.push(factor);
            let Some(next) = next else { break };
            assert!(next > now);
            let before = next.checked_sub(Duration::from_micros(1)).unwrap();
            assert_eq!(urgency(deadline, before).0, factor, "nothing changes before it is said to");
            now = next;
        }
        assert_eq!(seen, [1, 2, 3, 4, 6, 8]);
    }

    #[test]
    fn distances_are_told_in_words() {
        for (seconds, text) in [
            (30, "now"),
            (60, "in 1 min"),
            (7_800, "in 2 h 10 min"),
            (7_200, "in 2 h"),
            (-90_000, "1 d 1 h ago"),
            (86_400 * 3, "in 3 d"),
        ] {
            assert_eq!(distance(at(seconds), at(0)), text);
        }
    }

    fn radii() -> impl Strategy<Value = Radius> {
        let amounts = proptest::collection::vec((any::<i64>(), prop_oneof!["EUR", "SEK", "JPY", "KWD"]), 0..5);
        (amounts, any::<u64>(), any::<u64>()).prop_map(|(amounts, customers, records)| Radius {
            money: amounts.into_iter().map(|(minor, code)| money(minor, &code)).collect(),
            customers,
            records,
        })
    }

    proptest! {
        #[test]
        fn more_never_ranks_lower(
            radius in radii(), more in any::<u32>(), minor in any::<i64>(), due in 0_i64..1_000_000, now in 0_i64..1_000_000, later in 0_i64..1_000_000,
        ) {
            let deadline = Some(Deadline { at: at(due), kind: DeadlineKind::Capture });
            let score = |radius: &Radius, deadline, now| Impact::of(radius, deadline, &scale(), at(now)).score;
            let base = score(&radius, deadline, now);
            prop_assert!(i64::try_from(base).is_ok());
            prop_assert!(score(&radius, deadline, now.saturating_add(later)) >= base, "less time");
            prop_assert!(score(&radius, None, now) <= base, "no deadline at all");
            let sooner = Some(Deadline { at: at(due.saturating_sub(later)), kind: DeadlineKind::Capture });
            prop_assert!(score(&radius, sooner, now) >= base, "a nearer deadline");
            let richer = Radius { money: radius.money.iter().copied().chain([money(minor, "SEK")]).collect(), ..radius.clone() };
            prop_assert!(score(&richer, deadline, now) >= base, "more money");
            let wider = Radius {
                customers: radius.customers.saturating_add(u64::from(more)),
                records: radius.records.saturating_add(u64::from(more)),
                ..radius.clone()
            };
            prop_assert!(score(&wider, deadline, now) >= base, "more customers");
        }
    }
}
