//! What happens once a day at a time of the local clock.

use jiff::{Timestamp, civil, tz::TimeZone};

/// The last instant, not after `now`, at which it was due. On the night that skips the time it is due as long after midnight as
/// on any other (02:30 falls on 03:30 of the new clock); on the night that has it twice, the first time only.
pub fn last_due(at: civil::Time, zone: &TimeZone, now: Timestamp) -> Option<Timestamp> {
    let today = now.to_zoned(zone.clone()).date();
    // Two days back, too: a time zone may leave a whole day out.
    [Ok(today), today.yesterday(), today.yesterday().and_then(civil::Date::yesterday)]
        .into_iter()
        .filter_map(|date| zone.to_ambiguous_zoned(date.ok()?.to_datetime(at)).compatible().ok())
        .map(|due| due.timestamp())
        .find(|due| *due <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(at: &str, zone: &str, now: &str) -> String {
        last_due(at.parse().unwrap(), &TimeZone::get(zone).unwrap(), now.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn the_hour_is_the_local_clocks_in_summer_and_in_winter() {
        assert_eq!(due("03:00", "Europe/Stockholm", "2026-01-15T12:00:00Z"), "2026-01-15T02:00:00Z");
        assert_eq!(due("03:00", "Europe/Stockholm", "2026-07-15T12:00:00Z"), "2026-07-15T01:00:00Z");
        assert_eq!(due("03:00", "Europe/Stockholm", "2026-07-15T00:59:59Z"), "2026-07-14T01:00:00Z");
        assert_eq!(due("03:00", "UTC", "2026-07-15T03:00:00Z"), "2026-07-15T03:00:00Z");
        assert_eq!(due("23:30", "America/New_York", "2026-01-15T12:00:00Z"), "2026-01-15T04:30:00Z");
    }

    #[test]
    fn the_night_that_skips_the_hour_has_it_once() {
        // 29 March 2026: 02:00 becomes 03:00 in Stockholm.
        assert_eq!(due("02:30", "Europe/Stockholm", "2026-03-29T01:29:59Z"), "2026-03-28T01:30:00Z");
        assert_eq!(due("02:30", "Europe/Stockholm", "2026-03-29T01:30:00Z"), "2026-03-29T01:30:00Z");
        assert_eq!(due("02:30", "Europe/Stockholm", "2026-03-30T00:30:00Z"), "2026-03-30T00:30:00Z");
    }

    #[test]
    fn the_night_that_has_the_hour_twice_has_it_once() {
        // 25 October 2026: 03:00 becomes 02:00 in Stockholm, so that 02:30 comes at 00:30 and at 01:30 UTC.
        for now in ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T12:00:00Z"] {
            assert_eq!(due("02:30", "Europe/Stockholm", now), "2026-10-25T00:30:00Z", "{now}");
        }
        assert_eq!(due("02:30", "Europe/Stockholm", "2026-10-26T01:30:00Z"), "2026-10-26T01:30:00Z");
    }

    #[test]
    fn every_night_of_two_years_has_it_exactly_once() {
        let (at, zone) = ("02:30".parse().unwrap(), TimeZone::get("Europe/Stockholm").unwrap());
        let mut now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let mut nights = std::collections::BTreeSet::new();
        while now < "2028-01-01T12:00:00Z".parse().unwrap() {
            nights.insert(last_due(at, &zone, now).unwrap());
            now += std::time::Duration::from_secs(900);
        }
        // From the first of January 2026 to the first of January 2028, both with their night.
        assert_eq!(nights.len(), 731);
    }

    #[test]
    fn a_day_that_never_was_is_stepped_over() {
        // Samoa went from 29 to 31 December 2011.
        assert_eq!(due("12:00", "Pacific/Apia", "2011-12-30T10:30:00Z"), "2011-12-29T22:00:00Z");
    }
}
