//! Recorded weeks played again: how often the watch cries for nothing, and how soon it tells of a feed that died.

use std::{io::Read, path::Path, time::Duration};

use jiff::{Timestamp, tz::TimeZone};

use super::*;

/// How often it looks, as the engine does but for the finest steps.
const STEP: Duration = Duration::from_secs(600);

/// What a replay came to.
#[derive(Debug, Default)]
struct Played {
    weeks: u64,
    alarms: Vec<(Timestamp, Verdict)>,
}

/// Every look from the third week on. An alarm lasts until the arrivals are back.
fn play(arrivals: &[Timestamp], calendar: &Calendar) -> Played {
    let mut history = History::default();
    arrivals.iter().for_each(|at| history.add(slot_of(*at), 1));
    let (first, end) = (arrivals[0], *arrivals.last().unwrap());
    let mut played = Played::default();
    let (mut now, mut open) = (first + Duration::from_secs(14 * 86_400), None);
    played.weeks = end.duration_since(now).unsigned_abs().as_secs() / (7 * 86_400);
    while now < end {
        let last = arrivals[arrivals.partition_point(|at| *at <= now).saturating_sub(1)];
        match open {
            Some(since) if is_back(&history, since, last, now, calendar) => open = None,
            Some(_) => {}
            None => {
                let verdict = judge(&history, last, now, calendar);
                if let Verdict::Silent(short) | Verdict::Few(short) = verdict {
                    played.alarms.push((now, verdict));
                    open = Some(short.since);
                }
            }
        }
        now += STEP;
    }
    played
}

/// How long after its death a feed is told of, and how many arrivals were missed by then; `None` within three days.
fn kill(arrivals: &[Timestamp], dead: Timestamp, calendar: &Calendar) -> Option<(u64, u64)> {
    let mut history = History::default();
    let before = &arrivals[..arrivals.partition_point(|at| *at < dead)];
    before.iter().for_each(|at| history.add(slot_of(*at), 1));
    let last = *before.last()?;
    // Every minute for an hour, then every ten.
    let looks = (0..60).chain((60..3 * 1_440).step_by(10));
    looks.into_iter().find_map(|minute: u64| {
        let now = dead + Duration::from_secs(60 * minute);
        match judge(&history, last, now, calendar) {
            Verdict::Silent(_) | Verdict::Few(_) => {
                let missed = arrivals.partition_point(|at| *at < now) - before.len();
                Some((minute, missed as u64))
            }
            _ => None,
        }
    })
}

fn median(mut numbers: Vec<u64>) -> u64 {
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).copied().unwrap_or_default()
}

fn draw(of: &str, number: u64) -> u64 {
    // SplitMix64: chance enough for a shop, and quick.
    let seed = of.bytes().fold(number, |seed, byte| seed.wrapping_mul(0x100_0000_01b3) ^ u64::from(byte));
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A shop of consumers: by the hour of the day and the day of the week, with good and bad days, by chance within each minute.
fn consumers(an_hour_at_peak: u64, weeks: u64, seed: &str) -> Vec<Timestamp> {
    // In percent of the peak.
    const HOURS: [u64; 24] = [18, 9, 5, 3, 3, 5, 12, 25, 40, 52, 60, 66, 70, 66, 62, 60, 62, 68, 76, 88, 98, 100, 80, 45];
    const DAYS: [u64; 7] = [100, 95, 92, 96, 90, 85, 110];
    let zone = TimeZone::get("Europe/Stockholm").unwrap();
    let start: Timestamp = "2026-01-05T00:00:00+01:00".parse().unwrap();
    let mut arrivals = Vec::new();
    for minute in 0..weeks * 7 * 1_440 {
        let at = start + Duration::from_secs(minute * 60);
        let local = at.to_zoned(zone.clone());
        let day = 80 + draw(&format!("{seed} day {}", local.date()), 0) % 41;
        let hour = HOURS[usize::try_from(local.hour()).unwrap()];
        let weekday = DAYS[usize::try_from(local.weekday().to_monday_zero_offset()).unwrap()];
        // Ten chances a minute, each with its tenth of the rate, in millionths.
        let chance = an_hour_at_peak * hour * weekday * day * 1_000_000 / (60 * 10 * 1_000_000);
        for part in 0..10 {
            if draw(seed, minute * 10 + part) % 1_000_000 < chance {
                arrivals.push(at + Duration::from_secs(part * 6));
            }
        }
    }
    arrivals
}

fn kills(arrivals: &[Timestamp], calendar: &Calendar, count: u64, hours: std::ops::Range<i8>) -> (Vec<u64>, Vec<u64>, u64) {
    let first = arrivals[0] + Duration::from_secs(21 * 86_400);
    let span = arrivals.last().unwrap().duration_since(first).unsigned_abs().as_secs() - 4 * 86_400;
    let (mut waits, mut missed, mut untold, mut number) = (Vec::new(), Vec::new(), 0, 0);
    while (waits.len() as u64 + untold) < count {
        let dead = first + Duration::from_secs(draw("kill", number) % span);
        number += 1;
        let local = dead.to_zoned(calendar.zone.clone());
        if hours.contains(&local.hour()) && !calendar.closed.contains(&local.date()) {
            match kill(arrivals, dead, calendar) {
                Some((wait, lost)) => {
                    waits.push(wait);
                    missed.push(lost);
                }
                None => untold += 1,
            }
        }
    }
    (waits, missed, untold)
}

#[test]
fn a_shop_of_consumers_is_quiet_for_a_season_and_its_death_is_told_within_minutes() {
    let calendar = Calendar { zone: TimeZone::get("Europe/Stockholm").unwrap(), closed: BTreeSet::new() };
    for (an_hour, told_within) in [(60, 60), (300, 15)] {
        let arrivals = consumers(an_hour, 10, &format!("shop {an_hour}"));
        let played = play(&arrivals, &calendar);
        let (waits, missed, untold) = kills(&arrivals, &calendar, 20, 9..22);
        let (wait, lost) = (median(waits), median(missed));
        println!(
            "consumers, {an_hour} an hour at peak: {} alarms in {} weeks; killed at daytime: told after {wait} min (median), {lost} missed, {untold} never",
            played.alarms.len(),
            played.weeks,
        );
        assert!(played.alarms.is_empty(), "{:?}", played.alarms);
        assert!(wait <= told_within && untold == 0, "{wait} min");
    }
}

/// The orders of a wholesaler that keeps office hours, is closed on Saturdays, and over holidays: the sample in this folder is
/// the autumn of the data (CC BY 4.0, UCI Online Retail).
fn wholesaler(lines: &str) -> Vec<Timestamp> {
    let zone = TimeZone::get("Europe/London").unwrap();
    let local = |text: &str| text.parse::<jiff::civil::DateTime>().unwrap().to_zoned(zone.clone()).unwrap().timestamp();
    let mut arrivals: Vec<Timestamp> = lines.lines().map(local).collect();
    arrivals.sort_unstable();
    arrivals
}

fn tell_wholesaler(arrivals: &[Timestamp], name: &str, closed: &[&str]) -> (u64, usize, u64, u64) {
    let zone = TimeZone::get("Europe/London").unwrap();
    let calendar = Calendar { zone: zone.clone(), closed: closed.iter().map(|date| date.parse().unwrap()).collect() };
    let played = play(arrivals, &calendar);
    let (waits, missed, untold) = kills(arrivals, &calendar, 30, 9..17);
    println!(
        "{name}: {} orders; {} alarms in {} weeks; killed at office hours: told after {} min (median), {} orders missed, {untold} not within three days",
        arrivals.len(),
        played.alarms.len(),
        played.weeks,
        median(waits.clone()),
        median(missed),
    );
    for (at, verdict) in &played.alarms {
        println!("  {} {verdict:?}", at.to_zoned(zone.clone()));
    }
    (played.weeks, played.alarms.len(), median(waits), untold)
}

#[test]
fn a_sample_of_real_orders() {
    let arrivals = wholesaler(include_str!("sample.txt"));
    let (_, alarms, wait, _) = tell_wholesaler(&arrivals, "sample of real orders", &[]);
    assert!(alarms <= 1, "{alarms}");
    assert!(wait <= 8 * 60, "{wait}");
}

/// When the wholesaler was closed: its stock-taking over Christmas, Easter, a wedding, and bank holidays.
const HOLIDAYS: [&str; 17] = [
    "2010-12-24",
    "2010-12-25",
    "2010-12-26",
    "2010-12-27",
    "2010-12-28",
    "2010-12-29",
    "2010-12-30",
    "2010-12-31",
    "2011-01-01",
    "2011-01-02",
    "2011-01-03",
    "2011-04-22",
    "2011-04-24",
    "2011-04-25",
    "2011-04-29",
    "2011-05-02",
    "2011-05-30",
];

#[test]
fn half_a_year_of_real_orders() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/data/online-retail/docs.csv.gz");
    let Ok(file) = std::fs::File::open(std::env::var_os("SELVEDGE_ORDERS").map_or(path, Into::into)) else { return };
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let sale = |line: &str| {
        let mut cells = line.split(',');
        let (_, kind, at) = (cells.next()?, cells.next()?, cells.next()?);
        (kind == "sale").then(|| at.replace(' ', "T"))
    };
    let lines: Vec<String> = text.lines().filter_map(sale).collect();
    let arrivals = wholesaler(&lines.join("\n"));
    // Without a word of the holidays, it is told of them.
    let (weeks, alarms, ..) = tell_wholesaler(&arrivals, "half a year of real orders", &[]);
    assert!(alarms as u64 * 3 <= weeks, "{alarms} in {weeks} weeks");
    let (weeks, alarms, wait, untold) = tell_wholesaler(&arrivals, "the same, the holidays named", &HOLIDAYS);
    assert!(alarms as u64 * 7 <= weeks && untold * 4 <= 30 && wait <= 8 * 60, "{alarms} in {weeks} weeks, {wait} min, {untold}");
}
