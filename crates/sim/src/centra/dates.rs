//! PHP's date formats, as far as integrations use them.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The format every date field has by default.
pub const ISO: &str = "Y-m-d\\TH:i:sP";

/// Appends `at` in the zone, in a PHP date format. Letters that are not known here are written as they are.
pub fn push(out: &mut String, at: Timestamp, zone: &TimeZone, format: &str) {
    let local = zone.to_datetime(at);
    let offset = zone.to_offset(at).seconds();
    let sign = if offset < 0 { '-' } else { '+' };
    let (hours, minutes) = (offset.abs() / 3_600, offset.abs() / 60 % 60);
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        let _ = match letter {
            'Y' => write!(out, "{:04}", local.year()),
            'y' => write!(out, "{:02}", local.year() % 100),
            'm' => write!(out, "{:02}", local.month()),
            'n' => write!(out, "{}", local.month()),
            'd' => write!(out, "{:02}", local.day()),
            'j' => write!(out, "{}", local.day()),
            'H' => write!(out, "{:02}", local.hour()),
            'G' => write!(out, "{}", local.hour()),
            'i' => write!(out, "{:02}", local.minute()),
            's' => write!(out, "{:02}", local.second()),
            'u' => write!(out, "{:06}", local.subsec_nanosecond() / 1_000),
            'v' => write!(out, "{:03}", local.subsec_nanosecond() / 1_000_000),
            'U' => write!(out, "{}", at.as_second()),
            'P' => write!(out, "{sign}{hours:02}:{minutes:02}"),
            'O' => write!(out, "{sign}{hours:02}{minutes:02}"),
            'e' => write!(out, "{}", zone.iana_name().unwrap_or("UTC")),
            'c' => {
                push(out, at, zone, ISO);
                Ok(())
            }
            '\\' => {
                out.extend(letters.next());
                Ok(())
            }
            other => {
                out.push(other);
                Ok(())
            }
        };
    }
}

/// Reads a date given to a filter: with an offset, or bare in the instance's zone.
pub fn parse(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    let local: DateTime = text.parse().ok()?;
    zone.to_timestamp(local).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_offset_of_the_season() {
        let zone = TimeZone::get("Europe/Stockholm").unwrap();
        for (at, text) in [
            ("2026-01-15T12:00:00Z", "2026-01-15T13:00:00+01:00"),
            ("2026-07-15T12:00:00Z", "2026-07-15T14:00:00+02:00"),
            // The hour that comes twice.
            ("2026-10-25T00:30:00Z", "2026-10-25T02:30:00+02:00"),
            ("2026-10-25T01:30:00Z", "2026-10-25T02:30:00+01:00"),
        ] {
            let mut out = String::new();
            push(&mut out, at.parse().unwrap(), &zone, ISO);
            assert_eq!(out, text);
            assert_eq!(parse(text, &zone), Some(at.parse().unwrap()));
        }
        assert_eq!(parse("2021-10-23 00:00:00", &zone), Some("2021-10-22T22:00:00Z".parse().unwrap()));
        assert_eq!(parse("yesterday-ish", &zone), None);
    }
}
