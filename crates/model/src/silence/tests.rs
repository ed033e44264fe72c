//! What the watch must and must not say, on weeks that are made up.

use std::time::Duration;

use jiff::{Timestamp, ToSpan, civil, tz::TimeZone};
use proptest::prelude::*;

use super::*;

fn zone() -> TimeZone {
    TimeZone::get("Europe/Stockholm").unwrap()
}

fn calendar() -> Calendar {
    Calendar { zone: zone(), closed: BTreeSet::new() }
}

fn at(text: &str) -> Timestamp {
    let local: civil::DateTime = text.parse().unwrap();
    local.to_zoned(zone()).unwrap().timestamp()
}

fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

/// `weeks` weeks that end at `until`, with so many an hour from 8 to 20 local time and none at night.
fn shop(until: Timestamp, weeks: i64, an_hour: u64) -> History {
    let mut history = History::default();
    let mut now = until.to_zoned(zone()).checked_sub(weeks.weeks()).unwrap().timestamp();
    while now < until {
        let hour = now.to_zoned(zone()).hour();
        if (8..20).contains(&hour) {
            history.add(slot_of(now), an_hour.div_ceil(4));
        }
        now += minutes(15);
    }
    history
}

#[test]
fn a_dead_feed_at_daytime_is_told_within_minutes() {
    let dead = at("2026-05-12T09:40");
    let history = shop(dead, 6, 400);
    let told = (0..60).find_map(|minute| match judge(&history, dead, dead + minutes(minute), &calendar()) {
        Verdict::Silent(short) => Some((minute, short)),
        _ => None,
    });
    let (minute, short) = told.unwrap();
    assert!(minute <= 5, "{minute} minutes");
    assert_eq!((short.since, short.got), (dead, 0));
    assert!((16..40).contains(&short.expected), "{short:?}");
}

#[test]
fn a_quiet_night_and_what_never_had_many_are_not_told() {
    let evening = at("2026-05-12T20:00");
    let history = shop(evening, 8, 400);
    for hour in 0..12 {
        let now = evening + minutes(60 * hour);
        assert_eq!(judge(&history, evening, now, &calendar()), Verdict::Usual, "{hour}");
    }
    // Two an hour: half a day of silence is needed, and only a day that was never silent tells.
    let morning = at("2026-05-12T09:00");
    let few = shop(morning, 8, 4);
    assert_eq!(judge(&few, morning, morning + minutes(120), &calendar()), Verdict::Usual);
    assert!(matches!(judge(&few, morning, morning + minutes(11 * 60), &calendar()), Verdict::Silent(_)));
}

#[test]
fn less_than_two_weeks_know_nothing() {
    let now = at("2026-05-12T12:00");
    for (weeks, learning) in [(0, true), (1, true), (2, false)] {
        let history = shop(now, weeks, 400);
        let verdict = judge(&history, now, now + minutes(90), &calendar());
        assert_eq!(verdict == Verdict::Learning, learning, "{weeks}: {verdict:?}");
    }
    assert_eq!(judge(&History::default(), now, now, &calendar()), Verdict::Learning);
}

#[test]
fn a_drop_to_a_third_is_told_within_two_hours() {
    let start = at("2026-05-12T10:00");
    let mut history = shop(start, 8, 120);
    let mut told = None;
    for quarter in 0..16_u64 {
        let now = start + minutes(15 * (quarter + 1));
        history.add(slot_of(start + minutes(15 * quarter)), 10);
        if let Verdict::Few(short) = judge(&history, now, now, &calendar()) {
            told = Some((15 * (quarter + 1), short));
            break;
        }
    }
    let (after, short) = told.unwrap();
    assert!(after <= 120, "{after} minutes");
    assert!(short.got * 2 < short.expected, "{short:?}");
}

#[test]
fn a_holiday_among_the_weeks_makes_nothing_worse_and_a_second_one_is_no_surprise() {
    let now = at("2026-05-14T18:00");
    let holidays = |dates: &[&str]| {
        let mut without = History::default();
        let whole = shop(now, 8, 100);
        let day = |slot: i64| Timestamp::from_second(slot).unwrap().to_zoned(zone()).date().to_string();
        for slot in (slot_of(now - minutes(8 * 7 * 24 * 60 + 600))..slot_of(now)).step_by(usize::try_from(SLOT).unwrap()) {
            let start = Timestamp::from_second(slot).unwrap();
            let count = whole.milli(start, start + minutes(15)) / 1_000;
            if !dates.contains(&day(slot).as_str()) && count > 0 {
                without.add(slot, count);
            }
        }
        without
    };
    let last = at("2026-05-13T20:00");
    // Today nothing came all day. One such Thursday before is not enough to call it usual, two are.
    let one = holidays(&["2026-05-14", "2026-04-09"]);
    assert!(matches!(judge(&one, last, now, &calendar()), Verdict::Silent(_)));
    let two = holidays(&["2026-05-14", "2026-04-09", "2026-04-23"]);
    assert_eq!(judge(&two, last, now, &calendar()), Verdict::Usual);
}

#[test]
fn nothing_is_expected_of_a_day_that_is_said_to_be_closed() {
    let (last, now) = (at("2026-05-13T20:00"), at("2026-05-14T18:00"));
    let history = shop(last, 8, 100);
    assert!(matches!(judge(&history, last, now, &calendar()), Verdict::Silent(_)));
    let closed = Calendar { closed: ["2026-05-14".parse().unwrap()].into(), ..calendar() };
    assert_eq!(judge(&history, last, now, &closed), Verdict::Usual);
    // The day after begins anew.
    assert_eq!(judge(&history, last, at("2026-05-15T08:01"), &closed), Verdict::Usual);
    match judge(&history, last, at("2026-05-15T10:00"), &closed) {
        Verdict::Silent(short) => assert_eq!(short.since, at("2026-05-15T00:00")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn after_a_campaign_business_as_usual_is_no_drop() {
    let now = at("2026-05-12T12:00");
    let mut history = shop(now, 8, 60);
    // Last week ran at five times the usual.
    let mut slot = at("2026-05-04T08:00");
    while slot < at("2026-05-10T20:00") {
        if (8..20).contains(&slot.to_zoned(zone()).hour()) {
            history.add(slot_of(slot), 60);
        }
        slot += minutes(15);
    }
    assert_eq!(judge(&history, now, now, &calendar()), Verdict::Usual);
}

#[test]
fn the_clock_that_changes_moves_nothing() {
    // On 29 March 2026 the clock goes forward: the shop still opens at eight, which is an hour earlier in UTC.
    let now = at("2026-03-30T08:45");
    let history = shop(now, 8, 200);
    assert_eq!(expected_milli(&history, at("2026-03-30T07:00"), at("2026-03-30T08:00"), &zone()), Some(0));
    assert_eq!(expected_milli(&history, at("2026-03-30T08:00"), at("2026-03-30T08:45"), &zone()), Some(150_000));
    assert_eq!(
        judge(&history.before(at("2026-03-30T08:00")), at("2026-03-29T20:00"), at("2026-03-30T08:00"), &calendar()),
        Verdict::Usual
    );
}

#[test]
fn it_is_over_when_as_many_come_as_should() {
    let dead = at("2026-05-12T09:40");
    let mut history = shop(dead, 6, 400);
    let alive = at("2026-05-12T14:00");
    assert!(!is_back(&history, dead, dead, alive, &calendar()));
    // A trickle is no proof.
    history.add(slot_of(alive), 5);
    assert!(!is_back(&history, dead, alive, alive + minutes(15), &calendar()));
    history.add(slot_of(alive), 90);
    assert!(is_back(&history, dead, alive, alive + minutes(15), &calendar()));
    // At night nobody can tell, nor on a day on which little is expected.
    assert!(!is_back(&shop(dead, 6, 400), dead, dead, at("2026-05-13T02:00"), &calendar()));
}

proptest! {
    /// As much as in every week before is never too little, whatever the weeks are.
    #[test]
    fn a_week_like_the_others_is_usual(slots in proptest::collection::vec((0_i64..672, 1_u64..80), 0..120), minute in 0_u64..10_080) {
        let start: Timestamp = "2026-01-05T00:00:00Z".parse().unwrap();
        let mut history = History::default();
        for week in 0..9 {
            for (slot, count) in &slots {
                history.add(start.as_second() + (week * 672 + slot) * SLOT, *count);
            }
        }
        let now = start + minutes(8 * 10_080 + minute);
        // The last of a slot came at its end.
        let last = slots.iter().map(|(slot, _)| (start.as_second() + (8 * 672 + slot) * SLOT).min(now.as_second() - SLOT) + SLOT);
        let last = last.filter(|at| *at <= now.as_second()).max();
        let last = last.map_or(start + minutes(8 * 10_080), |slot| Timestamp::from_second(slot).unwrap());
        let verdict = judge(&history, last, now, &Calendar { zone: TimeZone::UTC, closed: BTreeSet::new() });
        prop_assert!(matches!(verdict, Verdict::Usual | Verdict::Learning), "{verdict:?}");
    }

    /// What is judged never depends on what comes later.
    #[test]
    fn the_future_says_nothing(counts in proptest::collection::vec(0_u64..50, 200..400), cut in 100_usize..190) {
        let start: Timestamp = "2026-01-05T00:00:00Z".parse().unwrap();
        let mut history = History::default();
        for (index, count) in counts.iter().enumerate() {
            history.add(start.as_second() + i64::try_from(index).unwrap() * SLOT * 16, *count);
        }
        let now = start + minutes(15 * 16 * cut as u64);
        let last = now - minutes(240);
        let utc = Calendar { zone: TimeZone::UTC, closed: BTreeSet::new() };
        prop_assert_eq!(judge(&history, last, now, &utc), judge(&history.before(now), last, now, &utc));
    }
}

#[test]
fn what_came_in_the_slot_that_is_running_came_before_now() {
    let start: Timestamp = "2026-03-02T09:00:00Z".parse().unwrap();
    let mut history = History::default();
    history.add(slot_of(start), 12);
    // Three minutes into the slot: all twelve have come, not a fifth of them.
    let now = start + std::time::Duration::from_secs(180);
    assert_eq!(history.came_milli(start, now), 12_000);
    assert_eq!(history.milli(start, now), 2_400);
    // Of what has run of it, the latter half; and a slot that is over counts as ever.
    assert_eq!(history.came_milli(start + std::time::Duration::from_secs(90), now), 6_000);
    let later = start + std::time::Duration::from_secs(1_800);
    assert_eq!(history.came_milli(start, later), history.milli(start, later));
    assert_eq!(history.came_milli(now, now), 0);
}
