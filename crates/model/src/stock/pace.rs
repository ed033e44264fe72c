//! How long to wait before the source is asked again.
//!
//! Quicker while SKUs move for which it matters, slower when nothing does, much slower when the source
//! asks for it. After a refusal the pace that was refused stays out of reach for a few readings, so that
//! a peak does not drive straight back into it.

use std::time::Duration;

use jiff::{
    Timestamp, ToSpan,
    civil::{Time, Weekday},
    tz::TimeZone,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Shorter than this is no pause.
const PAUSE_MIN: Duration = Duration::from_millis(1);

/// A time of day on some days of the week at which sales are expected.
///
/// It is read off a wall clock in its zone, so it begins and ends at the same local time all year: when
/// the clocks go back an hour inside it, it lasts an hour longer, and when they go forward, an hour less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peak {
    /// The days on which it begins; empty: every day.
    pub days: Vec<Weekday>,
    /// Begins at this local time, which is inside.
    pub from: Time,
    /// Ends before this local time; at or before `from`, it is that of the next day.
    pub to: Time,
    /// Whose local time.
    pub zone: TimeZone,
}

impl Peak {
    /// Whether the instant lies inside.
    pub fn contains(&self, moment: Timestamp) -> bool {
        let local = moment.to_zoned(self.zone.clone()).datetime();
        let (day, time) = (local.date(), local.time());
        let begins = |day: Weekday| self.days.is_empty() || self.days.contains(&day);
        if self.from < self.to {
            return begins(day.weekday()) && self.from <= time && time < self.to;
        }
        let began_yesterday = || day.checked_sub(1.day()).is_ok_and(|yesterday| begins(yesterday.weekday()));
        self.from <= time && begins(day.weekday()) || time < self.to && began_yesterday()
    }
}

/// The bounds of a pace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The shortest pause.
    pub least: Duration,
    /// The longest pause of a source that answers.
    pub most: Duration,
    /// The longest pause in a peak window.
    pub peak_most: Duration,
    /// The longest pause after a refusal for asking too often.
    pub throttled_most: Duration,
    /// No pause is shorter than so many times what the last answer took, as far as `most` lets it.
    pub answers: u32,
    /// When sales are expected.
    pub peaks: Vec<Peak>,
}

/// What is kept from one reading to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct State {
    /// The pause that was last asked for.
    pub pause: Duration,
    /// No pause is shorter than this for now: what is left of a refusal.
    pub held_off: Duration,
}

/// How a reading went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// SKUs whose figure changed.
    pub changes: u64,
    /// Those of them that are scarce or move quickly.
    pub hot_changes: u64,
    /// The source refused because it is asked too often.
    pub throttled: bool,
    /// There was no answer, or none of use.
    pub failed: bool,
    /// How long it took to answer.
    pub took: Duration,
}

impl Pace {
    /// Where to begin: at the longest pause.
    pub fn start(&self) -> State {
        State { pause: self.bounds().1, held_off: Duration::ZERO }
    }

    /// Whether the instant lies in a peak window.
    pub fn in_peak(&self, moment: Timestamp) -> bool {
        self.peaks.iter().any(|peak| peak.contains(moment))
    }

    /// What is wrong with the bounds, in a sentence. [`Pace::next`] puts wrong bounds into an order of its own.
    pub fn fault(&self) -> Option<&'static str> {
        if self.least < PAUSE_MIN {
            Some("the shortest pause must be above nought")
        } else if self.least > self.peak_most || self.peak_most > self.most {
            Some("the pauses must grow: the shortest, the longest in a peak, the longest")
        } else if self.most > self.throttled_most {
            Some("the longest pause after a refusal must not be shorter than the longest pause")
        } else {
            None
        }
    }

    /// How long to wait from the end of this reading to the next, and what to keep.
    pub fn next(&self, state: State, seen: Seen, in_peak: bool) -> (Duration, State) {
        let (least, most, throttled_most) = self.bounds();
        let twice = state.pause.max(least).saturating_mul(2);
        if seen.throttled {
            let pause = twice.max(state.held_off).min(throttled_most);
            return (pause, State { pause, held_off: pause });
        }
        if seen.failed {
            let pause = twice.min(most);
            return (pause, State { pause, ..state });
        }
        let wanted = if seen.hot_changes > 0 {
            state.pause / 2
        } else if seen.changes > 0 {
            state.pause
        } else {
            state.pause.saturating_add(state.pause / 4)
        };
        let bound = if in_peak { self.peak_most.clamp(least, most) } else { most };
        let held_off = state.held_off - state.held_off / 4;
        let slowest_of = held_off.max(seen.took.saturating_mul(self.answers));
        let pause = wanted.clamp(least, bound).max(slowest_of).min(most);
        // What is left of a refusal below the shortest pause holds nothing off.
        (pause, State { pause, held_off: if held_off > least { held_off } else { Duration::ZERO } })
    }

    fn bounds(&self) -> (Duration, Duration, Duration) {
        let least = self.least.max(PAUSE_MIN);
        let most = self.most.max(least);
        (least, most, self.throttled_most.max(most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn pace() -> Pace {
        Pace { least: secs(10), most: secs(600), peak_most: secs(60), throttled_most: secs(3_600), answers: 3, peaks: Vec::new() }
    }

    fn state(pause: u64) -> State {
        State { pause: secs(pause), held_off: Duration::ZERO }
    }

    #[test]
    fn each_way_a_reading_goes_has_its_pause() {
        let quiet = Seen::default();
        let hot = Seen { changes: 3, hot_changes: 1, ..quiet };
        let cold = Seen { changes: 3, ..quiet };
        let one = Seen { changes: 1, ..quiet };
        let throttled = Seen { throttled: true, ..hot };
        let failed = Seen { failed: true, ..hot };
        let slow = Seen { took: secs(50), ..hot };
        let very_slow = Seen { took: secs(1_000), ..hot };
        let table = [
            (100, quiet, false, 125),
            (500, quiet, false, 600),
            (100, hot, false, 50),
            (15, hot, false, 10),
            (100, cold, false, 100),
            (100, quiet, true, 60),
            (40, quiet, true, 50),
            (100, one, false, 100),
            (100, hot, true, 50),
            (100, throttled, false, 200),
            (100, throttled, true, 200),
            (2_000, throttled, false, 3_600),
            (100, failed, true, 200),
            (500, failed, false, 600),
            (5, failed, false, 20),
            (100, slow, false, 150),
            (100, slow, true, 150),
            (100, very_slow, true, 600),
            (3_600, hot, false, 600),
        ];
        for (pause, seen, in_peak, next) in table {
            assert_eq!(pace().next(state(pause), seen, in_peak).0, secs(next), "{pause} {seen:?} {in_peak}");
        }
        assert_eq!(pace().start(), state(600));
    }

    #[test]
    fn a_refusal_is_remembered_for_a_while() {
        let hot = Seen { hot_changes: 1, ..Seen::default() };
        let (pause, mut state) = pace().next(state(20), Seen { throttled: true, ..hot }, true);
        assert_eq!(pause, secs(40));
        let mut pauses = Vec::new();
        for _ in 0..7 {
            let (pause, next) = pace().next(state, hot, true);
            pauses.push(pause.as_millis());
            state = next;
        }
        assert_eq!(pauses, [30_000, 22_500, 16_875, 12_656, 10_000, 10_000, 10_000]);
        assert_eq!(state.held_off, Duration::ZERO);
        // A failure in between does not forget it, and the next refusal does not fall back behind it.
        let held = State { pause: secs(20), held_off: secs(300) };
        assert_eq!(pace().next(held, Seen { failed: true, ..hot }, true).1.held_off, secs(300));
        assert_eq!(pace().next(held, Seen { throttled: true, ..hot }, true).0, secs(300));
    }

    #[test]
    fn bounds_that_make_no_sense_are_told_and_do_no_harm() {
        assert_eq!(pace().fault(), None);
        type Case = fn(&mut Pace);
        let cases: [Case; 4] = [
            |p| p.least = Duration::ZERO,
            |p| p.peak_most = secs(9),
            |p| p.peak_most = secs(601),
            |p| p.throttled_most = secs(599),
        ];
        for change in cases {
            let mut pace = pace();
            change(&mut pace);
            assert!(pace.fault().is_some());
            pace.next(state(0), Seen { hot_changes: 1, ..Seen::default() }, true);
        }
        let none =
            Pace { least: secs(0), most: secs(0), peak_most: secs(0), throttled_most: secs(0), answers: 0, peaks: Vec::new() };
        assert_eq!(none.next(state(0), Seen::default(), true).0, PAUSE_MIN);
        let long = State { pause: Duration::MAX, held_off: Duration::MAX };
        assert_eq!(pace().next(long, Seen { took: Duration::MAX, ..Seen::default() }, false).0, secs(600));
        assert_eq!(pace().next(long, Seen { throttled: true, ..Seen::default() }, false).0, secs(3_600));
    }

    fn peak(days: &[Weekday], from: (i8, i8), to: (i8, i8), zone: &str) -> Peak {
        let time = |(hour, minute)| jiff::civil::time(hour, minute, 0, 0);
        Peak { days: days.to_vec(), from: time(from), to: time(to), zone: TimeZone::get(zone).unwrap() }
    }

    /// Minutes of a span that lie inside.
    fn minutes(peak: &Peak, from: &str, to: &str) -> i64 {
        let (from, to): (Timestamp, Timestamp) = (from.parse().unwrap(), to.parse().unwrap());
        let inside = |minute: i64| peak.contains(Timestamp::from_second(from.as_second() + minute * 60).unwrap());
        (0..(to.as_second() - from.as_second()) / 60).filter(|minute| inside(*minute)).count() as i64
    }

    #[test]
    fn a_peak_keeps_to_the_wall_clock_through_the_change_of_the_clocks() {
        // 2026: forward on 29 March at 02:00, back on 25 October at 03:00.
        let evening = peak(&[], (20, 0), (22, 0), "Europe/Stockholm");
        for (moment, inside) in [
            ("2026-03-28T19:00:00Z", true),
            ("2026-03-28T18:59:59Z", false),
            ("2026-03-28T20:59:59Z", true),
            ("2026-03-28T21:00:00Z", false),
            ("2026-03-29T18:00:00Z", true),
            ("2026-03-29T20:00:00Z", false),
            ("2026-10-24T18:00:00Z", true),
            ("2026-10-25T18:00:00Z", false),
            ("2026-10-25T19:00:00Z", true),
        ] {
            assert_eq!(evening.contains(moment.parse().unwrap()), inside, "{moment}");
        }
        let night = peak(&[], (1, 0), (4, 0), "Europe/Stockholm");
        assert_eq!(minutes(&night, "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z"), 120);
        assert_eq!(minutes(&night, "2026-06-28T12:00:00Z", "2026-06-29T12:00:00Z"), 180);
        assert_eq!(minutes(&night, "2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z"), 240);
        let never_that_day = peak(&[], (2, 0), (3, 0), "Europe/Stockholm");
        assert_eq!(minutes(&never_that_day, "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z"), 0);
    }

    #[test]
    fn a_peak_over_midnight_belongs_to_the_day_on_which_it_begins() {
        let friday = peak(&[Weekday::Friday], (22, 0), (2, 0), "America/New_York");
        // 27 November 2026 is a Friday; New York is five hours behind.
        assert_eq!(minutes(&friday, "2026-11-23T05:00:00Z", "2026-11-30T05:00:00Z"), 240);
        for (moment, inside) in [
            ("2026-11-28T02:59:00Z", false),
            ("2026-11-28T03:00:00Z", true),
            ("2026-11-28T05:00:00Z", true),
            ("2026-11-28T06:59:00Z", true),
            ("2026-11-28T07:00:00Z", false),
            ("2026-11-27T05:30:00Z", false),
            ("2026-11-29T03:30:00Z", false),
        ] {
            assert_eq!(friday.contains(moment.parse().unwrap()), inside, "{moment}");
        }
        let all_day = peak(&[Weekday::Friday], (9, 0), (9, 0), "UTC");
        assert_eq!(minutes(&all_day, "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"), 24 * 60);
        let whole_friday = peak(&[Weekday::Friday], (0, 0), (0, 0), "UTC");
        assert_eq!(minutes(&whole_friday, "2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z"), 24 * 60);
        assert_eq!(minutes(&whole_friday, "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"), 24 * 60);
        let mut paced = pace();
        paced.peaks = vec![all_day, friday];
        assert!(paced.in_peak("2026-11-28T06:59:00Z".parse().unwrap()));
        assert!(!paced.in_peak("2026-11-29T06:59:00Z".parse().unwrap()));
    }
}
