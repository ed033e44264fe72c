//! Silence: whether what arrives is as much as history says should have.
//!
//! Arrivals are counted per quarter of an hour ([`History`]). A stretch of time is compared with the same stretch of the local
//! week in the weeks before: the clock of the source decides, so a change of its clock moves nothing. What was usual is the
//! median of those weeks, less where the days just before ran below their own usual (a holiday, a quiet season, the days after a
//! campaign). How improbable it is that so few came is told in bits, by the tail of a negative binomial whose spread is learnt
//! from the same weeks ([`odds`]). It is an exception when it is improbable enough *and* almost none of those weeks was as
//! quiet: so a stretch that never had many cannot alarm, whatever the model says.
//!
//! Everything is integer arithmetic, so the same history gives the same verdict everywhere.

mod history;
pub mod odds;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, time::Duration};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

pub use history::{History, SLOT, slot_of};

/// How many weeks are looked back on.
pub const WEEKS: u8 = 8;
/// How many weeks have to be known before anything is said.
const WEEKS_MIN: usize = 2;
/// How improbable silence must be, in bits: once in a quarter of a million stretches.
const SILENT_BITS: u32 = 18;
/// The same for a drop, which is judged over several windows at once.
const FEW_BITS: u32 = 16;
/// The windows over which a drop is judged.
const WINDOWS: [Duration; 3] = [Duration::from_secs(3_600), Duration::from_secs(2 * 3_600), Duration::from_secs(4 * 3_600)];
/// The longest silence that is looked back on: what began before is told as this long.
const SILENCE_MAX: Duration = Duration::from_secs(72 * 3_600);
/// The stretch before the one that is judged, by which the level of these days is told.
const LEVEL_OVER: Duration = Duration::from_secs(72 * 3_600);
/// Fewer expected arrivals than this say nothing of a level.
const LEVEL_MILLI_MIN: u64 = 20_000;
/// The lowest level that is believed, in thousandths: below it is no quiet season, but trouble.
const LEVEL_MILLE_MIN: u64 = 125;
/// The windows over which arrivals are seen to be as expected again, shortest first.
const RECOVERY: [Duration; 6] = [
    Duration::from_secs(900),
    Duration::from_secs(1_800),
    Duration::from_secs(3_600),
    Duration::from_secs(4 * 3_600),
    Duration::from_secs(24 * 3_600),
    Duration::from_secs(72 * 3_600),
];
/// How many arrivals a window must expect before it proves that they are back.
const RECOVERY_MILLI_MIN: u64 = 6_000;

/// What is told of a stretch in which too little came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortfall {
    /// Since when.
    pub since: Timestamp,
    /// How many should have come since.
    pub expected: u64,
    /// How many came.
    pub got: u64,
}

/// What the arrivals look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Fewer than two weeks are known; nothing can be said yet.
    Learning,
    /// As it should be, as far as so few arrivals can tell.
    Usual,
    /// Nothing came any more.
    Silent(Shortfall),
    /// Far fewer came than should have.
    Few(Shortfall),
}

/// Whose clock it is, and on which of its days nothing is expected.
#[derive(Clone, Debug)]
pub struct Calendar {
    /// Whose clock.
    pub zone: TimeZone,
    /// Holidays: nothing is expected on them.
    pub closed: BTreeSet<Date>,
}

impl Calendar {
    /// When the last closed day before an instant ended; the instant itself on a closed day.
    fn open_since(&self, at: Timestamp) -> Timestamp {
        let today = at.to_zoned(self.zone.clone()).date();
        if self.closed.contains(&today) {
            return at;
        }
        let last = self.closed.range(..today).next_back().and_then(|date| date.tomorrow().ok());
        last.and_then(|date| date.to_zoned(self.zone.clone()).ok()).map_or(Timestamp::MIN, |start| start.timestamp())
    }
}

/// Judges the arrivals of one series up to `until`, the instant up to which they are known to be complete. `last` is when the
/// last one came.
pub fn judge(history: &History, last: Timestamp, until: Timestamp, calendar: &Calendar) -> Verdict {
    let zone = &calendar.zone;
    if history.weeks_known(until, zone, WEEKS) < WEEKS_MIN {
        return Verdict::Learning;
    }
    let open_since = calendar.open_since(until);
    let since = last.max(until - SILENCE_MAX).max(open_since);
    if let Some(short) = shortfall(history, since, until, 0, zone, SILENT_BITS) {
        return Verdict::Silent(short);
    }
    for window in WINDOWS {
        let from = (until - window).max(open_since);
        let found = shortfall(history, from, until, history.came_milli(from, until), zone, FEW_BITS);
        // Less than half: anything else is business.
        if let Some(short) = found.filter(|short| short.got.saturating_mul(2) < short.expected) {
            return Verdict::Few(short);
        }
    }
    Verdict::Usual
}

/// Whether arrivals that were short since an instant are as expected again: in the shortest window after it that expects enough of
/// them to tell, at least half came.
pub fn is_back(history: &History, since: Timestamp, last: Timestamp, until: Timestamp, calendar: &Calendar) -> bool {
    // What came in the slot in which the trouble began may have come before it.
    let begin = since + Duration::from_secs(SLOT.unsigned_abs());
    for window in RECOVERY {
        let from = (until - window).max(begin);
        let Some(usual) = usual(history, from, until, &calendar.zone) else { return false };
        if usual.expected_milli >= RECOVERY_MILLI_MIN {
            return history.came_milli(from, until).saturating_mul(2) >= usual.expected_milli;
        }
    }
    judge(history, last, until, calendar) == Verdict::Usual
}

/// How many should come from `from` to `to`, to the thousandth; `None` while nothing can be said.
pub fn expected_milli(history: &History, from: Timestamp, to: Timestamp, zone: &TimeZone) -> Option<u64> {
    usual(history, from, to, zone).map(|usual| usual.expected_milli)
}

/// What is usual of a stretch.
struct Usual {
    expected_milli: u64,
    /// How alike the weeks are: the shape of the distribution.
    shape: u64,
    /// What an unusually quiet week had.
    quiet_milli: u64,
}

impl Usual {
    /// Too little, improbable enough, and less than an unusually quiet week had.
    fn is_short(&self, got_milli: u64, bits_min: u32) -> bool {
        got_milli < self.quiet_milli && odds::bits(self.expected_milli, got_milli.div_ceil(1_000), self.shape) >= bits_min
    }

    fn at_level(self, mille: u64) -> Self {
        let scaled = |milli: u64| milli.saturating_mul(mille) / 1_000;
        Self { expected_milli: scaled(self.expected_milli), quiet_milli: scaled(self.quiet_milli), ..self }
    }
}

fn usual(history: &History, from: Timestamp, to: Timestamp, zone: &TimeZone) -> Option<Usual> {
    weeks_usual(history, from, to, zone).map(|usual| usual.at_level(level_mille(history, from, zone)))
}

/// What the weeks before say, at their own level.
fn weeks_usual(history: &History, from: Timestamp, to: Timestamp, zone: &TimeZone) -> Option<Usual> {
    let mut weeks = history.same_stretch(from, to, zone, WEEKS);
    if weeks.len() < WEEKS_MIN {
        return None;
    }
    weeks.sort_unstable();
    // One week of four or more may have been a holiday, or silent itself.
    let quiet = weeks.get(usize::from(weeks.len() >= 4)).copied().unwrap_or_default();
    let middle = weeks.get(weeks.len().saturating_sub(1) / 2).copied().unwrap_or_default();
    Some(Usual { expected_milli: middle, shape: odds::shape(&weeks, middle), quiet_milli: quiet })
}

/// How the days before an instant ran against their own usual, in thousandths; never above 1,000.
fn level_mille(history: &History, before: Timestamp, zone: &TimeZone) -> u64 {
    let mut weeks = history.same_stretch(before - LEVEL_OVER, before, zone, WEEKS);
    weeks.sort_unstable();
    match weeks.get(weeks.len().saturating_sub(1) / 2) {
        Some(usual) if *usual >= LEVEL_MILLI_MIN => {
            let got = history.milli(before - LEVEL_OVER, before);
            (got.saturating_mul(1_000) / usual).clamp(LEVEL_MILLE_MIN, 1_000)
        }
        _ => 1_000,
    }
}

/// (What came since the last arrival is nothing; the slot that it fell in cannot tell that.)
fn shortfall(
    history: &History,
    from: Timestamp,
    to: Timestamp,
    got_milli: u64,
    zone: &TimeZone,
    bits_min: u32,
) -> Option<Shortfall> {
    let usual = weeks_usual(history, from, to, zone).filter(|usual| usual.is_short(got_milli, bits_min))?;
    // The level only makes it weaker; it is asked for where it matters.
    let usual = usual.at_level(level_mille(history, from, zone));
    usual.is_short(got_milli, bits_min).then(|| Shortfall {
        since: from,
        expected: usual.expected_milli / 1_000,
        got: got_milli.div_ceil(1_000),
    })
}
