//! `Retry-After` in every form that the vendors use.

use std::time::Duration;

use jiff::Timestamp;

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// So long.
    For(Duration),
    /// Longer than we are ready to wait: wait our longest.
    Cap,
    /// It says nothing usable: our own back-off.
    Default,
}

/// Within this distance from now a bare number is a moment in seconds since 1970, as Centra's API
/// documents it, and not a number of seconds.
const EPOCH_NEAR_SECONDS: i64 = 86_400;

/// Reads the header's value: delay-seconds and the three HTTP-dates of RFC 9110, and a moment in
/// seconds since 1970 when it lies within a day of now.
pub fn parse(header: Option<&str>, now: Timestamp, cap: Duration) -> Wait {
    let Some(text) = header.map(|text| text.trim_matches([' ', '\t'])).filter(|text| !text.is_empty()) else {
        return Wait::Default;
    };
    if text.bytes().all(|b| b.is_ascii_digit()) {
        let Ok(number) = text.parse::<i64>() else { return Wait::Cap };
        if (number - now.as_second()).abs() <= EPOCH_NEAR_SECONDS {
            return until(Timestamp::from_second(number).ok(), now, cap);
        }
        return bounded(Duration::from_secs(number.unsigned_abs()), cap);
    }
    match moment(text) {
        Some(moment) => until(Some(moment), now, cap),
        None => Wait::Default,
    }
}

/// Reads an HTTP-date of RFC 9110, in any of its three forms.
pub fn moment(text: &str) -> Option<Timestamp> {
    httpdate::parse_http_date(text).ok().and_then(|moment| Timestamp::try_from(moment).ok())
}

fn until(moment: Option<Timestamp>, now: Timestamp, cap: Duration) -> Wait {
    match moment {
        // A moment gone by is no wait at all.
        Some(moment) => bounded(Duration::try_from(moment.duration_since(now)).unwrap_or(Duration::ZERO), cap),
        None => Wait::Default,
    }
}

fn bounded(wait: Duration, cap: Duration) -> Wait {
    if wait > cap { Wait::Cap } else { Wait::For(wait) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_a_vendor_uses() {
        let now: Timestamp = "2026-01-15T12:00:00Z".parse().unwrap();
        let read = |text| parse(Some(text), now, Duration::from_secs(3_600));
        let seconds = |n| Wait::For(Duration::from_secs(n));
        for (text, wait) in [
            ("120", seconds(120)),
            ("0", seconds(0)),
            (" 7 ", seconds(7)),
            ("Thu, 15 Jan 2026 12:02:00 GMT", seconds(120)),
            ("Thursday, 15-Jan-26 12:02:00 GMT", seconds(120)),
            ("Thu Jan 15 12:02:00 2026", seconds(120)),
            ("Thu, 15 Jan 2026 11:00:00 GMT", seconds(0)),
            ("1768478520", seconds(120)),
            ("3601", Wait::Cap),
            ("99999999999999999999999999", Wait::Cap),
            ("Fri, 15 Jan 2027 12:02:00 GMT", Wait::Cap),
            ("-5", Wait::Default),
            ("+5", Wait::Default),
            ("1.5", Wait::Default),
            ("", Wait::Default),
            ("soon", Wait::Default),
            ("2026-01-15T12:02:00Z", Wait::Default),
        ] {
            assert_eq!(read(text), wait, "{text:?}");
        }
        assert_eq!(parse(None, now, Duration::from_secs(60)), Wait::Default);
    }
}
