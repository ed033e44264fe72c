//! Why a document stands in one period here and in another there.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::calendar::{CalendarError, Entity, Period};

/// The day on which the other side books a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booked {
    /// Who books it: the name of the connection.
    pub by: String,
    /// The day that its document states.
    pub day: Date,
    /// The zone of that side's clock, where it is known.
    pub zone: Option<TimeZone>,
}

/// To which periods a document belongs, and why in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutOff {
    /// Where it belongs.
    pub period: Period,
    /// Where the other side has it, when it says a day.
    pub theirs: Option<Period>,
    /// The same in a sentence.
    pub words: String,
}

impl CutOff {
    /// Whether the two sides have it in different periods.
    pub fn shifted(&self) -> bool {
        self.theirs.is_some_and(|theirs| theirs != self.period)
    }
}

/// Explains to which period an instant belongs, and, where the other side books it on a day of another one, by what.
///
/// # Errors
/// [`CalendarError::OutOfRange`].
pub fn explain_cut_off(entity: &Entity, at: Timestamp, booked: Option<&Booked>) -> Result<CutOff, CalendarError> {
    let period = entity.period_of(at)?;
    let theirs = booked.map(|booked| entity.period_of_day(booked.day)).transpose()?;
    let local = |zone: &TimeZone| zone.to_datetime(at);
    let city = |zone: &TimeZone| {
        let name = zone.iana_name().unwrap_or("its own zone");
        name.rsplit('/').next().unwrap_or(name).replace('_', " ")
    };
    let here = local(&entity.zone);
    let mut words = format!("placed {} {} in {}", here.date(), here.strftime("%H:%M"), city(&entity.zone));
    let utc = local(&TimeZone::UTC);
    if utc != here {
        let day = if utc.date() == here.date() { String::new() } else { format!("{} ", utc.date()) };
        words.push_str(&format!(" ({day}{} UTC)", utc.strftime("%H:%M")));
    }
    words.push_str(&format!(": belongs to {period}"));
    if let (Some(booked), Some(theirs)) = (booked, theirs) {
        words.push_str(&format!("; {} books it on {}", booked.by, booked.day));
        if theirs == period {
            words.push_str(", the same period");
        } else {
            let fits = |zone: &TimeZone| zone.to_datetime(at).date() == booked.day;
            // What is known of the other side's clock comes first; UTC is what most of them fall back to.
            let utc = TimeZone::UTC;
            let cause = [booked.zone.as_ref(), Some(&utc)].into_iter().flatten().find(|zone| fits(zone));
            words.push_str(&format!(", in {theirs}: "));
            words.push_str(&match cause {
                Some(zone) if zone.to_offset(at).is_zero() => "period shifted by time zone UTC".to_owned(),
                Some(zone) => {
                    format!("period shifted by time zone {} ({})", signed(zone.to_offset(at).seconds()), city(zone))
                }
                None => match nearest_offset(at, booked.day) {
                    Some(hours) if hours < 0 => {
                        format!(
                            "period shifted by time zone: that day was not over yet at {} or further west",
                            signed(hours.saturating_mul(3600))
                        )
                    }
                    Some(hours) => {
                        format!(
                            "period shifted by time zone: that day had begun at {} or further east",
                            signed(hours.saturating_mul(3600))
                        )
                    }
                    None => "no time zone explains that day; it was booked later, earlier or by hand".to_owned(),
                },
            });
        }
    }
    Ok(CutOff { period, theirs, words })
}

fn signed(seconds: i32) -> String {
    let minutes = seconds.unsigned_abs().div_euclid(60);
    let sign = if seconds < 0 { '-' } else { '+' };
    format!("UTC{sign}{}:{:02}", minutes.div_euclid(60), minutes.rem_euclid(60))
}

/// The whole-hour offset nearest to UTC under which the instant lies on this day, if any clock on earth is that far.
fn nearest_offset(at: Timestamp, day: Date) -> Option<i32> {
    let mut hours: Vec<i8> = (-12..=14).collect();
    hours.sort_by_key(|hour| hour.unsigned_abs());
    let fits = |hour: &i8| jiff::tz::Offset::from_hours(*hour).is_ok_and(|offset| offset.to_datetime(at).date() == day);
    hours.into_iter().find(fits).map(i32::from)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{Currency, close::Calendar};

    fn told(zone: &str, at: &str, booked: Option<(&str, Option<&str>)>) -> CutOff {
        let entity = Entity {
            name: "nordvik".to_owned(),
            zone: TimeZone::get(zone).unwrap(),
            currency: Currency::from_code("SEK").unwrap(),
            markets: BTreeSet::new(),
            subsidiaries: BTreeSet::new(),
            calendar: Calendar::Months { first_month: 1 },
        };
        let booked = booked.map(|(day, zone)| Booked {
            by: "erp".to_owned(),
            day: day.parse().unwrap(),
            zone: zone.map(|zone| TimeZone::get(zone).unwrap()),
        });
        explain_cut_off(&entity, at.parse().unwrap(), booked.as_ref()).unwrap()
    }

    #[test]
    fn a_minute_to_midnight_is_explained() {
        for (zone, at, booked, shifted, words) in [
            (
                "Europe/Stockholm",
                "2026-11-30T22:59:00Z",
                None,
                false,
                "placed 2026-11-30 23:59 in Stockholm (22:59 UTC): belongs to 2026-11",
            ),
            (
                "Europe/Stockholm",
                "2026-11-30T22:59:00Z",
                Some(("2026-12-01", Some("Asia/Tokyo"))),
                true,
                "placed 2026-11-30 23:59 in Stockholm (22:59 UTC): belongs to 2026-11; erp books it on 2026-12-01, in 2026-12: period shifted by time zone UTC+9:00 (Tokyo)",
            ),
            (
                "Europe/Stockholm",
                "2026-11-30T23:30:00Z",
                Some(("2026-11-30", None)),
                true,
                "placed 2026-12-01 00:30 in Stockholm (2026-11-30 23:30 UTC): belongs to 2026-12; erp books it on 2026-11-30, in 2026-11: period shifted by time zone UTC",
            ),
            (
                "Europe/Stockholm",
                "2026-11-30T22:59:00Z",
                Some(("2026-12-01", None)),
                true,
                "placed 2026-11-30 23:59 in Stockholm (22:59 UTC): belongs to 2026-11; erp books it on 2026-12-01, in 2026-12: period shifted by time zone: that day had begun at UTC+2:00 or further east",
            ),
            (
                "UTC",
                "2026-11-20T12:00:00Z",
                Some(("2026-12-04", None)),
                true,
                "placed 2026-11-20 12:00 in UTC: belongs to 2026-11; erp books it on 2026-12-04, in 2026-12: no time zone explains that day; it was booked later, earlier or by hand",
            ),
            (
                "UTC",
                "2026-11-20T12:00:00Z",
                Some(("2026-11-21", None)),
                false,
                "placed 2026-11-20 12:00 in UTC: belongs to 2026-11; erp books it on 2026-11-21, the same period",
            ),
        ] {
            let cut_off = told(zone, at, booked);
            assert_eq!((cut_off.words.as_str(), cut_off.shifted()), (words, shifted));
        }
    }
}
