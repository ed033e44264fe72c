//! What many differences together say of the way in which the data was moved: a poll that looks back exactly as far as it waits,
//! a retry that does not look first, a default that swallows every method.
//!
//! A habit is a guess with its evidence in figures. It explains differences; it never makes or unmakes one. Memory is bounded: of
//! moments a sample is kept.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Match, Sum, Tallies, Verdict, Why, differ::spell, words::Learning, words::Swallowed};
use crate::records::Kind;

/// Moments kept of each sort; past it every other one is.
const MOMENTS_MAX: usize = 20_000;
/// So many of a kind make a habit; fewer are accidents.
const LEAST: usize = 3;
/// Waits between two polls that integrations are set to, in seconds.
const POLLS: [i64; 8] = [60, 120, 300, 600, 900, 1_800, 3_600, 86_400];

/// Moments, thinned out evenly when there are too many.
#[derive(Clone, Debug)]
struct Sample {
    stride: u64,
    seen: u64,
    values: Vec<i64>,
}

impl Default for Sample {
    fn default() -> Self {
        Self { stride: 1, seen: 0, values: Vec::new() }
    }
}

impl Sample {
    fn add(&mut self, value: i64) {
        if self.seen.is_multiple_of(self.stride) {
            self.values.push(value);
        }
        self.seen += 1;
        if self.values.len() > MOMENTS_MAX {
            self.values = self.values.iter().copied().step_by(2).collect();
            self.stride *= 2;
        }
    }

    fn quantile(&self, percent: usize) -> Option<i64> {
        let mut sorted = self.values.clone();
        sorted.sort_unstable();
        sorted.get((sorted.len().saturating_sub(1)) * percent / 100).copied()
    }
}

/// One way of working, and what speaks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Habit {
    /// The word: `poll_window`, `retry_doubles`, `on_hand`, `default_service`, `rounding` …
    pub habit: String,
    /// What people read.
    pub title: String,
    /// What speaks for it, in figures.
    pub evidence: String,
    /// Documents that it explains.
    pub count: u64,
    /// What to change.
    pub fix: String,
    /// Some of the documents.
    pub examples: Vec<String>,
}

/// What a look came to: the sentence of completeness per kind, and the ways of working that show in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Per kind.
    pub tallies: Tallies,
    /// Ways of working.
    pub habits: Vec<Habit>,
}

/// Differences of one sort.
#[derive(Clone, Debug, Default)]
struct Sort {
    count: u64,
    sum: Sum,
    details: BTreeMap<String, u64>,
    examples: Vec<String>,
}

/// What is gathered on the way.
#[derive(Clone, Debug, Default)]
pub struct Habits {
    latency: Sample,
    arrived: Sample,
    missing: Sample,
    gaps: Sample,
    sorts: BTreeMap<Why, Sort>,
    swallowed: Vec<Swallowed>,
}

/// Different sentences kept of one sort; the usual ones come early.
const DETAILS_MAX: usize = 500;
const EXAMPLES_MAX: usize = 5;

impl Habits {
    /// Takes in what became of some documents.
    pub fn observe(&mut self, found: &Match) {
        if let (Some(ours), Some(theirs)) = (found.ours.first(), found.theirs.first())
            && ours.kind == Kind::Order
        {
            self.latency.add(theirs.at.duration_since(ours.at).as_secs());
            self.arrived.add(theirs.at.as_second());
        }
        if found.verdict != Verdict::Open {
            return;
        }
        let subject = found.subject();
        for finding in &found.findings {
            let sort = self.sorts.entry(finding.why).or_default();
            sort.count += 1;
            if let Some(subject) = subject {
                sort.sum.add(subject);
                if sort.examples.len() < EXAMPLES_MAX {
                    sort.examples.push(super::family::name(subject));
                }
            }
            if sort.details.len() < DETAILS_MAX || sort.details.contains_key(&finding.fix) {
                *sort.details.entry(finding.fix.clone()).or_default() += 1;
            }
            match (finding.why, subject) {
                (Why::NeverArrived, Some(subject)) if subject.kind == Kind::Order => self.missing.add(subject.at.as_second()),
                (Why::SentTwice, _) => {
                    if let Some(gap) = gap(&finding.detail) {
                        self.gaps.add(gap);
                    }
                }
                _ => {}
            }
        }
    }

    /// Takes in what the words say.
    pub fn swallowed(&mut self, learning: &Learning) {
        self.swallowed = learning.swallowed();
    }

    /// The ways of working that show, the most telling first.
    pub fn conclude(&self) -> Vec<Habit> {
        let mut habits: Vec<Habit> = Vec::new();
        habits.extend(self.poll_window());
        habits.extend(self.outage());
        habits.extend(self.retries());
        for one in &self.swallowed {
            habits.push(Habit {
                habit: "default_service".to_owned(),
                title: "One default shipping service for every method".to_owned(),
                evidence: format!("{} all come out as {}", one.ours.join(", "), one.theirs),
                count: one.count,
                fix: Why::DefaultService.fix().to_owned(),
                examples: Vec::new(),
            });
        }
        for (why, title) in [
            (Why::OnHand, "On hand is sent as available"),
            (Why::Rounding, "Tax is rounded by another rule"),
            (Why::DayShifted, "Days are counted in another time zone"),
            (Why::OldRate, "Tax by the rate of another day"),
            (Why::MappingChanged, "A mapping was changed midway"),
            (Why::SkuCase, "SKUs are compared without regard to case"),
            (Why::Late, "Documents arrive late"),
            (Why::Stale, "Changes after the first delivery are not followed"),
            (Why::Misread, "Amounts are misread"),
            (Why::DiscountSpread, "Discounts are spread differently"),
            (Why::ShippingTaxed, "Shipping is taxed differently"),
        ] {
            let Some(sort) = self.sorts.get(&why).filter(|sort| sort.count >= LEAST as u64) else { continue };
            let (fix, most) =
                sort.details.iter().max_by_key(|(_, count)| **count).map_or((why.fix(), 0), |(fix, count)| (fix, *count));
            let mut evidence = format!("{} times", sort.count);
            if most < sort.count && most > 1 {
                evidence.push_str(&format!(", {most} of them alike"));
            }
            if why == Why::Late
                && let (Some(usual), Some(slow)) = (self.latency.quantile(50), self.latency.quantile(99))
            {
                let told = |seconds: i64| spell(std::time::Duration::from_secs(seconds.unsigned_abs()));
                evidence.push_str(&format!("; half arrive within {}, 1 % take longer than {}", told(usual), told(slow)));
            }
            habits.push(Habit {
                habit: why.word().to_owned(),
                title: title.to_owned(),
                evidence,
                count: sort.count,
                fix: fix.to_owned(),
                examples: sort.examples.clone(),
            });
        }
        habits
    }

    /// Documents come in bursts, one each so many minutes, and what is missing lies just where two bursts meet.
    fn poll_window(&self) -> Option<Habit> {
        if self.missing.values.len() < LEAST || self.arrived.values.len() < 50 {
            return None;
        }
        let period = POLLS.into_iter().rev().find(|period| bunched(&self.arrived.values, *period).is_some())?;
        let phase = bunched(&self.arrived.values, period)?;
        let margin = (period / 10).max(5);
        let near = |at: &i64| {
            let from = (at - phase).rem_euclid(period);
            from <= margin || period - from <= margin
        };
        let at_edges = self.missing.values.iter().filter(|at| near(at)).count();
        // By chance a fifth of them would.
        if at_edges * 10 < self.missing.values.len() * 6 {
            return None;
        }
        let wait = spell(std::time::Duration::from_secs(period.unsigned_abs()));
        Some(Habit {
            habit: "poll_window".to_owned(),
            title: "A poll looks back exactly as far as it waits".to_owned(),
            evidence: format!(
                "orders arrive in bursts, one each {wait}; {at_edges} of {} that never arrived were placed within {margin} s of a burst",
                self.missing.values.len()
            ),
            count: self.missing.seen,
            fix: "Let each poll begin before the end of the last one that came through, and compare ids.".to_owned(),
            examples: self.sorts.get(&Why::NeverArrived).map(|sort| sort.examples.clone()).unwrap_or_default(),
        })
    }

    /// Nearly everything that is missing was placed in one short stretch.
    fn outage(&self) -> Option<Habit> {
        let mut missing = self.missing.values.clone();
        missing.sort_unstable();
        let (first, last) = (*missing.first()?, *missing.last()?);
        let mut all = self.arrived.values.clone();
        all.sort_unstable();
        let whole = all.last()?.checked_sub(*all.first()?)?;
        let kept = missing.len() * 9 / 10;
        if missing.len() < 10 || whole <= 0 {
            return None;
        }
        let shortest = missing
            .windows(kept.max(2))
            .min_by_key(|stretch| stretch.last().unwrap_or(&last) - stretch.first().unwrap_or(&first))?;
        let (from, to) = (*shortest.first()?, *shortest.last()?);
        ((to - from) * 20 < whole).then(|| Habit {
            habit: "outage".to_owned(),
            title: "Nothing was caught up after an outage".to_owned(),
            evidence: format!(
                "{kept} of {} that never arrived were placed between {} and {}",
                missing.len(),
                told(from),
                told(to)
            ),
            count: self.missing.seen,
            fix: "Read what was placed in this stretch again, and let each reading go on where the last one that came through ended."
                .to_owned(),
            examples: self.sorts.get(&Why::NeverArrived).map(|sort| sort.examples.clone()).unwrap_or_default(),
        })
    }

    /// Second copies follow their first within minutes.
    fn retries(&self) -> Option<Habit> {
        let sort = self.sorts.get(&Why::SentTwice)?;
        let soon = self.gaps.values.iter().filter(|gap| (0..=900).contains(*gap)).count();
        (soon >= LEAST && soon * 2 >= self.gaps.values.len()).then(|| Habit {
            habit: "retry_doubles".to_owned(),
            title: "What gets no answer is sent again without looking".to_owned(),
            evidence: format!(
                "{soon} of {} second copies were made within a quarter of an hour of the first, half of them within {}",
                self.gaps.values.len(),
                spell(std::time::Duration::from_secs(self.gaps.quantile(50).unwrap_or(0).unsigned_abs()))
            ),
            count: sort.count,
            fix: Why::SentTwice.fix().to_owned(),
            examples: sort.examples.clone(),
        })
    }
}

fn told(second: i64) -> String {
    Timestamp::from_second(second).map(|at| at.to_string()).unwrap_or_default()
}

/// The seconds in `… made 62 s after it`.
fn gap(detail: &str) -> Option<i64> {
    detail.rsplit_once(" s after it")?.0.rsplit_once(' ')?.1.parse().ok()
}

/// Where in a period nearly all of these moments lie, if they lie together: the middle of that stretch.
fn bunched(moments: &[i64], period: i64) -> Option<i64> {
    const PARTS: i64 = 20;
    let mut parts = [0_usize; PARTS as usize];
    for moment in moments {
        let part = moment.rem_euclid(period) * PARTS / period;
        if let Some(count) = usize::try_from(part).ok().and_then(|at| parts.get_mut(at)) {
            *count += 1;
        }
    }
    // Two neighbours hold nearly all: a burst may lie across the border of two parts.
    let (at, most) = (0..PARTS)
        .filter_map(|at| {
            let one = parts.get(usize::try_from(at).ok()?)?;
            let next = parts.get(usize::try_from((at + 1) % PARTS).ok()?)?;
            Some((at, one + next))
        })
        .max_by_key(|(_, count)| *count)?;
    (most * 10 >= moments.len() * 9).then(|| (at + 1) * period / PARTS)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        compare::Cause,
        id::ExternalId,
        reconcile::{Finding, How},
        statement::Entry,
    };

    fn order(id: i64, at: i64) -> Entry {
        Entry::bare(Kind::Order, ExternalId::new(id.to_string()), Timestamp::from_second(1_700_000_000 + at).unwrap())
    }

    fn found(ours: Option<Entry>, theirs: Option<Entry>, why: Option<Why>, detail: &str) -> Match {
        let finding = why.map(|why| Finding {
            cause: Cause::Missing,
            why,
            path: String::new(),
            expected: None,
            actual: None,
            money: None,
            detail: detail.to_owned(),
            fix: why.fix().to_owned(),
        });
        Match {
            ours: ours.into_iter().collect(),
            theirs: theirs.into_iter().collect(),
            how: How::Key,
            verdict: if finding.is_some() { Verdict::Open } else { Verdict::Agreed },
            findings: finding.into_iter().collect(),
            tolerated: Vec::new(),
            exception: None,
        }
    }

    fn words(habits: &Habits) -> Vec<String> {
        habits.conclude().into_iter().map(|habit| habit.habit).collect()
    }

    #[test]
    fn a_poll_that_looks_back_as_far_as_it_waits_shows_in_what_it_missed() {
        let mut habits = Habits::default();
        for at in (0..100_000).step_by(37) {
            // Polled each ten minutes: it arrives a few seconds after the next full one.
            let poll = (at / 600 + 1) * 600 + 4;
            habits.observe(&found(Some(order(at, at)), Some(order(at, poll)), None, ""));
        }
        assert!(words(&habits).is_empty(), "nothing is missing");
        for burst in [5, 40, 90, 130] {
            habits.observe(&found(Some(order(burst, burst * 600 - 2)), None, Some(Why::NeverArrived), ""));
        }
        assert_eq!(words(&habits), ["poll_window"]);
        // What is missing anywhere says nothing of polls.
        for at in [100_i64, 7_777, 22_222, 33_400, 44_777, 51_300, 60_250, 71_830, 88_020, 93_911] {
            habits.observe(&found(Some(order(at, at)), None, Some(Why::NeverArrived), ""));
        }
        assert!(!words(&habits).contains(&"poll_window".to_owned()), "{:?}", habits.conclude());
    }

    #[test]
    fn what_is_missing_in_one_stretch_is_an_outage() {
        let mut habits = Habits::default();
        for at in (0..1_000_000).step_by(500) {
            habits.observe(&found(Some(order(at, at)), Some(order(at, at + (at * 7) % 531)), None, ""));
        }
        for at in 0..30 {
            habits.observe(&found(Some(order(at, 400_000 + at * 61)), None, Some(Why::NeverArrived), ""));
        }
        assert_eq!(words(&habits), ["outage"]);
    }

    #[test]
    fn copies_that_follow_soon_are_retries() {
        let mut habits = Habits::default();
        for gap in [61, 62, 60, 7_000] {
            let detail = format!("order 7 is a second copy of order 6, made {gap} s after it");
            habits.observe(&found(None, Some(order(1, 5)), Some(Why::SentTwice), &detail));
        }
        let told = habits.conclude();
        assert_eq!(told[0].habit, "retry_doubles");
        assert!(told[0].evidence.starts_with("3 of 4"), "{}", told[0].evidence);
    }

    #[test]
    fn memory_is_bounded() {
        let mut sample = Sample::default();
        (0..1_000_000).for_each(|at| sample.add(at));
        assert!(sample.values.len() <= MOMENTS_MAX + 1);
        let half = sample.quantile(50).unwrap();
        assert!((400_000..600_000).contains(&half), "{half}");
        assert_eq!(spell(Duration::from_secs(600)), "10 min");
    }
}
