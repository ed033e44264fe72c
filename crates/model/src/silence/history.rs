//! How many arrived in each quarter of an hour.

use std::collections::BTreeMap;

use jiff::{Span, Timestamp, ToSpan, tz::TimeZone};

/// The length of a slot in seconds: every zone's clock differs from UTC by whole quarters of an hour.
pub const SLOT: i64 = 900;

/// The slot that an instant falls in: its beginning, in seconds of the Unix clock.
pub fn slot_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(SLOT) * SLOT
}

/// Arrivals of one series by slot. What is not there is nought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    slots: BTreeMap<i64, u64>,
}

impl History {
    /// Adds arrivals to a slot.
    pub fn add(&mut self, slot: i64, count: u64) {
        let kept = self.slots.entry(slot).or_default();
        *kept = kept.saturating_add(count);
    }

    /// Adds all of another series.
    pub fn join(&mut self, other: &History) {
        other.slots.iter().for_each(|(slot, count)| self.add(*slot, *count));
    }

    /// The same without what came at or after an instant.
    #[must_use]
    pub fn before(&self, at: Timestamp) -> Self {
        Self { slots: self.slots.range(..slot_of(at)).map(|(slot, count)| (*slot, *count)).collect() }
    }

    /// When the first one came, to the slot.
    pub fn first(&self) -> Option<Timestamp> {
        self.slots.keys().next().and_then(|slot| Timestamp::from_second(*slot).ok())
    }

    /// How many came from `from` to `to`, in thousandths: of a slot that is not whole, its share.
    pub fn milli(&self, from: Timestamp, to: Timestamp) -> u64 {
        let (from, to) = (from.as_second(), to.as_second());
        if from >= to {
            return 0;
        }
        let mut seconds: u64 = 0;
        for (slot, count) in self.slots.range(from - SLOT + 1..to) {
            let share = (slot + SLOT).min(to) - (*slot).max(from);
            seconds = seconds.saturating_add(count.saturating_mul(share.unsigned_abs()));
        }
        seconds.saturating_mul(1_000) / SLOT.unsigned_abs()
    }

    /// How many came from `from` until now, in thousandths. All that came in the slot that is still running came before now, so its
    /// share is that of what has run of it.
    pub fn came_milli(&self, from: Timestamp, now: Timestamp) -> u64 {
        let (from, now) = (from.as_second(), now.as_second());
        if from >= now {
            return 0;
        }
        let mut milli: u64 = 0;
        for (slot, count) in self.slots.range(from - SLOT + 1..now) {
            let end = (slot + SLOT).min(now);
            let (share, whole) = (end - (*slot).max(from), (end - slot).max(1));
            milli = milli.saturating_add(count.saturating_mul(1_000).saturating_mul(share.unsigned_abs()) / whole.unsigned_abs());
        }
        milli
    }

    /// How many came in the same stretch of the local week in each of the weeks before that are known whole, in thousandths.
    pub fn same_stretch(&self, from: Timestamp, to: Timestamp, zone: &TimeZone, weeks: u8) -> Vec<u64> {
        let Some(first) = self.first() else { return Vec::new() };
        (1..=weeks)
            .filter_map(|back| {
                let (from, to) = (weeks_before(from, back, zone)?, weeks_before(to, back, zone)?);
                (from >= first).then(|| self.milli(from, to))
            })
            .collect()
    }

    /// How many whole weeks before an instant are known, at most `weeks`.
    pub fn weeks_known(&self, until: Timestamp, zone: &TimeZone, weeks: u8) -> usize {
        let Some(first) = self.first() else { return 0 };
        (1..=weeks).take_while(|back| weeks_before(until, *back, zone).is_some_and(|at| at >= first)).count()
    }
}

/// The same time of the local clock so many weeks earlier.
fn weeks_before(at: Timestamp, weeks: u8, zone: &TimeZone) -> Option<Timestamp> {
    let back: Span = i64::from(weeks).weeks();
    at.to_zoned(zone.clone()).checked_sub(back).ok().map(|then| then.timestamp())
}
