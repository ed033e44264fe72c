//! Whether a text is well formed: RFC 3339 dates and times, ISO 8601 durations, UUIDs, URIs.
//!
//! Grammar only, byte by byte: what a library would kindly read as something else is what these are for.

/// Whether `text` is well formed as `format`: `date-time`, `date`, `time`, `duration`, `uuid` or `uri`.
/// `None` for a format that we do not know.
pub fn is_well_formed(format: &str, text: &str) -> Option<bool> {
    Some(match format {
        "date-time" => is_date_time(text),
        "date" => date(text).is_some(),
        "time" => time(text).is_some(),
        "duration" => is_duration(text),
        "uuid" => is_uuid(text),
        "uri" => is_uri(text),
        _ => return None,
    })
}

/// A number of exactly so many ASCII digits.
fn digits(text: &str, count: usize) -> Option<u32> {
    (text.len() == count && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

fn is_date_time(text: &str) -> bool {
    // RFC 3339 5.6: the T may be in lower case; a blank is only for readers.
    text.split_once(['T', 't']).is_some_and(|(day, clock)| date(day).is_some() && time(clock).is_some())
}

fn date(text: &str) -> Option<()> {
    let mut parts = text.split('-');
    let (year, month, day) = (digits(parts.next()?, 4)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    (parts.next().is_none() && (1..=days).contains(&day)).then_some(())
}

fn time(text: &str) -> Option<()> {
    let at = text.find(['Z', 'z', '+', '-'])?;
    let (clock, offset) = text.split_at_checked(at)?;
    let (clock, fraction) = clock.split_once('.').map_or((clock, None), |(clock, fraction)| (clock, Some(fraction)));
    if fraction.is_some_and(|f| f.is_empty() || !f.bytes().all(|b| b.is_ascii_digit())) {
        return None;
    }
    let mut parts = clock.split(':');
    let (hour, minute, second) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let east = offset_minutes(offset)?;
    // A leap second is inserted at 23:59:60 UTC and nowhere else.
    let utc = (i32::try_from(hour * 60 + minute).ok()? - east).rem_euclid(24 * 60);
    (second < 60 || utc == 23 * 60 + 59).then_some(())
}

fn offset_minutes(offset: &str) -> Option<i32> {
    if offset.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, rest) = match offset.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    (hours <= 23 && minutes <= 59).then(|| i32::try_from(hours * 60 + minutes).map(|m| sign * m).ok()).flatten()
}

/// RFC 3339 appendix A: units in order and without a gap, weeks alone.
fn is_duration(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('P') else { return false };
    let (days, clock) = match rest.split_once('T') {
        Some((days, clock)) => (days, Some(clock)),
        None => (rest, None),
    };
    if clock.is_none() && matches!(units(days, "W"), Some(1)) {
        return true;
    }
    let days = units(days, "YMD");
    match clock {
        None => days.is_some_and(|count| count > 0),
        Some(clock) => days.is_some() && units(clock, "HMS").is_some_and(|count| count > 0),
    }
}

/// How many `<digits><unit>` the text is made of, the units from `order`, each following directly on the one before.
fn units(text: &str, order: &str) -> Option<usize> {
    let (mut rest, mut last, mut count) = (text, None, 0);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit()).filter(|end| *end > 0)?;
        let unit = rest.get(end..)?.chars().next()?;
        let place = order.find(unit)?;
        // A unit may be left out at either end, but not between two others.
        if last.is_some_and(|last| place != last + 1) {
            return None;
        }
        last = Some(place);
        count += 1;
        rest = rest.get(end + unit.len_utf8()..)?;
    }
    Some(count)
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]) && groups.iter().all(|g| g.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// RFC 3986 3: a scheme, then a hierarchical part, a query and a fragment. No relative references, no
/// characters that must be encoded.
fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let mut letters = scheme.bytes();
    if !letters.next().is_some_and(|b| b.is_ascii_alphabetic())
        || !letters.all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    {
        return false;
    }
    let (rest, fragment) = rest.split_once('#').map_or((rest, ""), |(rest, fragment)| (rest, fragment));
    let (path, query) = rest.split_once('?').map_or((rest, ""), |(path, query)| (path, query));
    if !made_of(fragment, b":@/?") || !made_of(query, b":@/?") {
        return false;
    }
    match path.strip_prefix("//") {
        Some(rest) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            is_authority(authority) && made_of(path, b":@/")
        }
        None => made_of(path, b":@/"),
    }
}

/// Unreserved characters, sub-delimiters, percent-encoded bytes, and what else is allowed.
fn made_of(text: &str, also: &[u8]) -> bool {
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        let good = match b {
            b'%' => bytes.next().is_some_and(|b| b.is_ascii_hexdigit()) && bytes.next().is_some_and(|b| b.is_ascii_hexdigit()),
            b => b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&b) || also.contains(&b),
        };
        if !good {
            return false;
        }
    }
    true
}

fn is_authority(text: &str) -> bool {
    let (user, host) = text.rsplit_once('@').map_or(("", text), |(user, host)| (user, host));
    if !made_of(user, b":") {
        return false;
    }
    let (host, port) = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, after)) => {
                return is_ip_literal(address) && (after.is_empty() || after.strip_prefix(':').is_some_and(is_port));
            }
            None => return false,
        },
        None => host.split_once(':').map_or((host, ""), |(host, port)| (host, port)),
    };
    made_of(host, b"") && is_port(port)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

fn is_ip_literal(text: &str) -> bool {
    if let Some(future) = text.strip_prefix(['v', 'V']) {
        return future.split_once('.').is_some_and(|(version, rest)| {
            !version.is_empty()
                && version.bytes().all(|b| b.is_ascii_hexdigit())
                && !rest.is_empty()
                && !rest.contains('%')
                && made_of(rest, b":")
        });
    }
    text.parse::<std::net::Ipv6Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_formed_and_not() {
        for (format, good, bad) in [
            (
                "date-time",
                &["1963-06-19T08:30:06.283185Z", "1963-06-19t08:30:06z", "1998-12-31T23:59:60Z", "1998-12-31T15:59:60.123-08:00"]
                    [..],
                &[
                    "1990-02-31T15:59:59Z",
                    "1990-12-31T15:59:59-24:00",
                    "1998-12-31T23:58:60Z",
                    "2013-350T01:01:01",
                    "1963-06-19 08:30:06Z",
                    "1963-06-19T08:30:06",
                    "1963-06-1৪T00:00:00Z",
                ][..],
            ),
            ("date", &["2020-02-29"], &["2021-02-29", "2020-2-29", "20200229", "2020-02-29 ", "1900-02-29", "2020-13-01"]),
            (
                "time",
                &["08:30:06Z", "23:59:60Z", "01:29:60+01:30", "12:00:00.5z"],
                &["08:30:06", "24:00:00Z", "22:59:60Z", "12:00:00.Z", "12:00:00+24:00", "12:00Z", "01:02:03Z+00:30"],
            ),
            (
                "duration",
                &["P4DT12H30M5S", "P4Y", "PT0S", "P1M", "PT1M", "P2W", "PT36H"],
                &["", "P", "PT", "P1", "PT1D", "P2D1Y", "P1D2H", "P1YT", "P1Y2W", "P1Y1D", "PT1H1S", "p1d", "P০Y", "4DT1H"],
            ),
            (
                "uuid",
                &["2EB8AA08-aa98-11ea-b4aa-73b441d16380"],
                &[
                    "2eb8aa08-aa98-11ea-b4aa73b441d16380",
                    "2eb8aa08-aa98-11ea-b4aa-73b441d1638",
                    "2eb8aa08aa9811eab4aa73b441d16380",
                    "zeb8aa08-aa98-11ea-b4aa-73b441d16380",
                ],
            ),
            (
                "uri",
                &[
                    "http://foo.bar/?baz=qux#quux",
                    "urn:oasis:names:x",
                    "mailto:a@b.c",
                    "http://[2001:db8::7]:80/a",
                    "http://-.~_!$&'()*+,;=:%40:80%2f::::::@example.com",
                    "tel:+1-816-555-1212",
                    "http:",
                    "ldap://[v1.a:b]/",
                ],
                &[
                    "//foo.bar",
                    "/abc",
                    "abc",
                    "\\\\share",
                    "http:// shouldfail.com",
                    ":// should fail",
                    "bar,baz:/",
                    "http://a/%zz",
                    "http://a/<b>",
                    "http://[::1",
                    "http://a b",
                    "http://ex.com/ä",
                    "1http://a",
                    "http://a:b:c/",
                    "http://a/[x]",
                ],
            ),
        ] {
            for text in good {
                assert_eq!(is_well_formed(format, text), Some(true), "{format} {text:?}");
            }
            for text in bad {
                assert_eq!(is_well_formed(format, text), Some(false), "{format} {text:?}");
            }
        }
        assert_eq!(is_well_formed("email", "a@b"), None);
    }
}
