//! Whose books, and when their periods begin and end.
//!
//! A period is bounded by the midnights of the entity's own clock. Clocks are moved at midnight in more places than one would
//! think: a day may begin at one, or have two midnights. Each day has one first instant here, so that periods neither
//! overlap nor leave a hole.

use std::{collections::BTreeSet, fmt, str::FromStr};

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, Time},
    tz::{AmbiguousOffset, TimeZone},
};
use serde::{Deserialize, Serialize};

use crate::{moment::Interval, money::Currency};

/// A legal entity: whose books are closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity {
    /// Its name in the config.
    pub name: String,
    /// Whose clock decides to which period an instant belongs.
    pub zone: TimeZone,
    /// What its books are kept in.
    pub currency: Currency,
    /// The markets of the shop that sell for it, by id. None named: all of them.
    pub markets: BTreeSet<String>,
    /// The subsidiaries of the books that are it, by id. None named: all of them.
    pub subsidiaries: BTreeSet<String>,
    /// How its year is cut.
    pub calendar: Calendar,
}

/// How a year is cut into twelve periods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calendar {
    /// Months; the fiscal year begins with this one (1 to 12).
    Months {
        /// The first month of the fiscal year.
        first_month: i8,
    },
    /// Whole weeks, three periods a quarter.
    Weeks {
        /// The weeks of the three periods.
        weeks: Weeks,
        /// The first day of one fiscal year. Every other one begins on the same weekday, as near as can be to the same day of
        /// its year; a year that has 53 weeks so gives the last one to its last period.
        first_day: Date,
    },
}

/// The weeks of the three periods of a quarter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Weeks {
    /// Four, four, five.
    #[serde(rename = "4-4-5")]
    FourFourFive,
    /// Four, five, four.
    #[serde(rename = "4-5-4")]
    FourFiveFour,
    /// Five, four, four.
    #[serde(rename = "5-4-4")]
    FiveFourFour,
}

impl Weeks {
    const fn of_quarter(self) -> [i64; 3] {
        match self {
            Weeks::FourFourFive => [4, 4, 5],
            Weeks::FourFiveFour => [4, 5, 4],
            Weeks::FiveFourFour => [5, 4, 4],
        }
    }

    /// How many weeks lie before the period with this number, counted from 1.
    fn before(self, number: i8) -> i64 {
        let periods = usize::try_from(number.saturating_sub(1)).unwrap_or(0);
        self.of_quarter().into_iter().cycle().take(periods).sum()
    }

    /// The word in a config.
    pub const fn word(self) -> &'static str {
        match self {
            Weeks::FourFourFive => "4-4-5",
            Weeks::FourFiveFour => "4-5-4",
            Weeks::FiveFourFour => "5-4-4",
        }
    }
}

/// One period: a month (`2026-11`) or one of twelve of a year of weeks (`2026-P11`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Period {
    year: i16,
    number: i8,
    weeks: bool,
}

/// Why there is no such period.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// Not the name of a period.
    #[error("{0:?} is not a period; write a month as 2026-11, a period of a year of weeks as 2026-P11")]
    Name(String),
    /// A month where the year is cut in weeks, or the other way round.
    #[error("{period} is not a period of {entity}, whose year is cut in {cut}: its periods are called like {example}")]
    OtherCalendar {
        /// The period asked for.
        period: Period,
        /// Whose.
        entity: String,
        /// `months` or `weeks`.
        cut: &'static str,
        /// How they are called.
        example: &'static str,
    },
    /// Past what dates can hold.
    #[error("{0} lies outside the years that dates can hold")]
    OutOfRange(String),
}

impl Period {
    /// A calendar month.
    pub fn month(year: i16, month: i8) -> Option<Self> {
        ((1..=9998).contains(&year) && (1..=12).contains(&month)).then_some(Self { year, number: month, weeks: false })
    }

    /// A period of a year of weeks, counted from 1.
    pub fn of_weeks(year: i16, number: i8) -> Option<Self> {
        ((1..=9998).contains(&year) && (1..=12).contains(&number)).then_some(Self { year, number, weeks: true })
    }

    fn moved(self, by: i8) -> Option<Self> {
        let (year, number) = match self.number.checked_add(by)? {
            0 => (self.year.checked_sub(1)?, 12),
            13 => (self.year.checked_add(1)?, 1),
            number => (self.year, number),
        };
        if self.weeks { Self::of_weeks(year, number) } else { Self::month(year, number) }
    }

    /// The one after it.
    pub fn next(self) -> Option<Self> {
        self.moved(1)
    }

    /// The one before it.
    pub fn previous(self) -> Option<Self> {
        self.moved(-1)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{}{:02}", self.year, if self.weeks { "P" } else { "" }, self.number)
    }
}

impl FromStr for Period {
    type Err = CalendarError;
    fn from_str(text: &str) -> Result<Self, CalendarError> {
        let name = || CalendarError::Name(text.chars().take(40).collect());
        let digits = |part: &str, count: usize| {
            Some(part).filter(|part| part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit()))?.parse::<i16>().ok()
        };
        let (year, rest) = text.split_once('-').ok_or_else(name)?;
        let (weeks, number) = rest.strip_prefix('P').map_or((false, rest), |number| (true, number));
        let number = digits(number, 2).and_then(|number| i8::try_from(number).ok());
        let (year, number) = digits(year, 4).zip(number).ok_or_else(name)?;
        if weeks { Self::of_weeks(year, number) } else { Self::month(year, number) }.ok_or_else(name)
    }
}

impl TryFrom<String> for Period {
    type Error = CalendarError;
    fn try_from(text: String) -> Result<Self, CalendarError> {
        text.parse()
    }
}

impl From<Period> for String {
    fn from(period: Period) -> String {
        period.to_string()
    }
}

impl Entity {
    /// Whether documents of this market and this subsidiary are its own; what a document does not say does not speak against it.
    pub fn holds(&self, market: Option<&str>, subsidiary: Option<&str>) -> bool {
        let among = |named: &BTreeSet<String>, id: Option<&str>| named.is_empty() || id.is_none_or(|id| named.contains(id));
        among(&self.markets, market) && among(&self.subsidiaries, subsidiary)
    }

    /// The period that an instant belongs to.
    ///
    /// # Errors
    /// [`CalendarError::OutOfRange`].
    pub fn period_of(&self, at: Timestamp) -> Result<Period, CalendarError> {
        let period = self.period_of_day(self.zone.to_datetime(at).date())?;
        // Where a day has two midnights, the local date runs back for a while: the bounds decide.
        let bounds = self.bounds(period)?;
        let moved = if at < bounds.from {
            period.previous()
        } else if at >= bounds.to {
            period.next()
        } else {
            Some(period)
        };
        moved.ok_or_else(|| CalendarError::OutOfRange(at.to_string()))
    }

    /// The period that a day of the entity's clock belongs to.
    ///
    /// # Errors
    /// [`CalendarError::OutOfRange`].
    pub fn period_of_day(&self, day: Date) -> Result<Period, CalendarError> {
        let out = || CalendarError::OutOfRange(day.to_string());
        match self.calendar {
            Calendar::Months { .. } => Period::month(day.year(), day.month()).ok_or_else(out),
            Calendar::Weeks { weeks, first_day } => {
                let begins = |year: i16| year_begins(first_day, year).ok_or_else(out);
                let mut year = day.year();
                if day < begins(year)? {
                    year = year.checked_sub(1).ok_or_else(out)?;
                } else if day >= begins(year.checked_add(1).ok_or_else(out)?)? {
                    year = year.checked_add(1).ok_or_else(out)?;
                }
                let begin = begins(year)?;
                let whole_weeks = i64::from(day.since(begin).map_err(|_| out())?.get_days()).div_euclid(7);
                let number = (1..=12).rev().find(|number| weeks.before(*number) <= whole_weeks).unwrap_or(1);
                Period::of_weeks(year, number).ok_or_else(out)
            }
        }
    }

    /// Its first day, and the first day after it.
    ///
    /// # Errors
    /// [`CalendarError::OtherCalendar`], [`CalendarError::OutOfRange`].
    pub fn days(&self, period: Period) -> Result<(Date, Date), CalendarError> {
        let out = || CalendarError::OutOfRange(period.to_string());
        match self.calendar {
            Calendar::Months { .. } if period.weeks => Err(self.other(period, "months", "2026-11")),
            Calendar::Weeks { .. } if !period.weeks => Err(self.other(period, "weeks", "2026-P11")),
            Calendar::Months { .. } => {
                let first = |period: Period| Date::new(period.year, period.number, 1).map_err(|_| out());
                Ok((first(period)?, first(period.next().ok_or_else(out)?)?))
            }
            Calendar::Weeks { weeks, first_day } => {
                let begins = |period: Period| {
                    let days = weeks.before(period.number).checked_mul(7)?;
                    year_begins(first_day, period.year)?.checked_add(days.days()).ok()
                };
                let (from, to) = begins(period).zip(period.next().and_then(begins)).ok_or_else(out)?;
                Ok((from, to))
            }
        }
    }

    fn other(&self, period: Period, cut: &'static str, example: &'static str) -> CalendarError {
        CalendarError::OtherCalendar { period, entity: self.name.clone(), cut, example }
    }

    /// The instants that belong to it.
    ///
    /// # Errors
    /// As [`Entity::days`].
    pub fn bounds(&self, period: Period) -> Result<Interval, CalendarError> {
        let (first, after) = self.days(period)?;
        let begins = |day| begins(&self.zone, day).ok_or_else(|| CalendarError::OutOfRange(period.to_string()));
        Ok(Interval { from: begins(first)?, to: begins(after)? })
    }

    /// The fiscal year, by the calendar year in which it begins, and the number of the period in it.
    pub fn fiscal(&self, period: Period) -> (i16, i8) {
        match self.calendar {
            Calendar::Months { first_month } if period.number < first_month => {
                (period.year.saturating_sub(1), period.number.saturating_sub(first_month).saturating_add(13))
            }
            Calendar::Months { first_month } => (period.year, period.number.saturating_sub(first_month).saturating_add(1)),
            Calendar::Weeks { .. } => (period.year, period.number),
        }
    }
}

/// The first instant of a day.
///
/// Where midnight happens twice, it is the one after which the clock does not show the day before again.
fn begins(zone: &TimeZone, day: Date) -> Option<Timestamp> {
    let midnight = zone.to_ambiguous_timestamp(day.to_datetime(Time::midnight()));
    if let AmbiguousOffset::Fold { .. } = midnight.offset() {
        let second = midnight.later().ok()?;
        let just_before = zone.to_datetime(second.checked_sub(1.nanosecond()).ok()?).date();
        return if just_before < day { Some(second) } else { midnight.earlier().ok() };
    }
    // In a gap: the first instant that exists.
    match midnight.offset() {
        AmbiguousOffset::Gap { .. } => zone.following(midnight.earlier().ok()?).next().map(|change| change.timestamp()),
        _ => midnight.compatible().ok(),
    }
}

/// The first day of the fiscal year that belongs to a calendar year.
fn year_begins(first_day: Date, year: i16) -> Option<Date> {
    // A year that begins on 29 February begins around the 28th in others.
    let day = |day| Date::new(year, first_day.month(), day).ok();
    let anchor = day(first_day.day()).or_else(|| day(28))?;
    let ahead = i64::from(anchor.weekday().until(first_day.weekday()));
    let by = if ahead > 3 { ahead.checked_sub(7)? } else { ahead };
    anchor.checked_add(by.days()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn entity(zone: &str, calendar: Calendar) -> Entity {
        Entity {
            name: "nordvik".to_owned(),
            zone: TimeZone::get(zone).unwrap(),
            currency: Currency::from_code("SEK").unwrap(),
            markets: BTreeSet::new(),
            subsidiaries: BTreeSet::new(),
            calendar,
        }
    }

    const MONTHS: Calendar = Calendar::Months { first_month: 1 };

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn months_follow_the_local_midnight_through_the_year() {
        let stockholm = entity("Europe/Stockholm", MONTHS);
        let bounds = |entity: &Entity, name: &str| {
            let bounds = entity.bounds(name.parse().unwrap()).unwrap();
            (bounds.from.to_string(), bounds.to.to_string())
        };
        let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        assert_eq!(bounds(&stockholm, "2026-10"), pair("2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z"));
        assert_eq!(bounds(&stockholm, "2026-03"), pair("2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z"));
        assert_eq!(stockholm.period_of(at("2026-11-30T22:59:59Z")).unwrap().to_string(), "2026-11");
        assert_eq!(stockholm.period_of(at("2026-11-30T23:00:00Z")).unwrap().to_string(), "2026-12");
        // Quarters of an hour, and the far side of the date line.
        assert_eq!(bounds(&entity("Asia/Kathmandu", MONTHS), "2026-11").0, "2026-10-31T18:15:00Z");
        assert_eq!(bounds(&entity("Pacific/Kiritimati", MONTHS), "2026-11").0, "2026-10-31T10:00:00Z");
        assert_eq!(bounds(&entity("Pacific/Pago_Pago", MONTHS), "2026-11").0, "2026-11-01T11:00:00Z");
    }

    #[test]
    fn a_day_begins_once_whatever_the_clock_does_at_midnight() {
        let first = |zone: &str, day: &str| begins(&TimeZone::get(zone).unwrap(), day.parse().unwrap()).unwrap().to_string();
        // No midnight: the clock goes from 00:00 to 01:00.
        assert_eq!(first("America/Havana", "2026-03-08"), "2026-03-08T05:00:00Z");
        assert_eq!(first("Asia/Beirut", "2026-03-29"), "2026-03-28T22:00:00Z");
        // Two midnights of the same day: the first begins it.
        assert_eq!(first("America/Havana", "2026-11-01"), "2026-11-01T04:00:00Z");
        // One minute past midnight the clock showed 23:01 again, and it was the last day of a month.
        assert_eq!(first("America/St_Johns", "2009-11-01"), "2009-11-01T03:30:00Z");
        // A day that never was.
        assert_eq!(first("Pacific/Apia", "2011-12-30"), "2011-12-30T10:00:00Z");
        assert_eq!(first("Pacific/Apia", "2011-12-31"), "2011-12-30T10:00:00Z");
    }

    #[test]
    fn years_of_weeks() {
        // The retail calendar: from the Sunday nearest 1 February; its 2023 had 53 weeks.
        let retail =
            entity("America/New_York", Calendar::Weeks { weeks: Weeks::FourFiveFour, first_day: "2026-02-01".parse().unwrap() });
        for (year, first) in
            [(2022, "2022-01-30"), (2023, "2023-01-29"), (2024, "2024-02-04"), (2025, "2025-02-02"), (2026, "2026-02-01")]
        {
            let period = Period::of_weeks(year, 1).unwrap();
            assert_eq!(retail.days(period).unwrap().0.to_string(), first);
        }
        let days = |name: &str| {
            let (from, to) = retail.days(name.parse().unwrap()).unwrap();
            to.since(from).unwrap().get_days()
        };
        assert_eq!(["2026-P01", "2026-P02", "2026-P03", "2026-P12", "2023-P12"].map(days), [28, 35, 28, 28, 35]);
        assert_eq!(retail.period_of_day("2026-01-31".parse().unwrap()).unwrap().to_string(), "2025-P12");
        assert!(matches!(retail.days("2026-11".parse().unwrap()), Err(CalendarError::OtherCalendar { .. })));
        // A year that begins in the calendar year before.
        let early = entity("UTC", Calendar::Weeks { weeks: Weeks::FourFourFive, first_day: "2026-01-01".parse().unwrap() });
        assert_eq!(early.days(Period::of_weeks(2025, 1).unwrap()).unwrap().0.to_string(), "2025-01-02");
        assert_eq!(early.days(Period::of_weeks(2027, 1).unwrap()).unwrap().0.to_string(), "2026-12-31");
        assert_eq!(early.period_of_day("2026-12-31".parse().unwrap()).unwrap().to_string(), "2027-P01");
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in ["2026-11", "2026-P11", "0999-01"] {
            assert_eq!(name.parse::<Period>().unwrap().to_string(), name);
        }
        for name in ["", "2026", "2026-13", "2026-00", "2026-P13", "26-11", "2026-1", "2026-p11", "2026-11-01", "２０２６-11"]
        {
            assert!(name.parse::<Period>().is_err(), "{name}");
        }
    }

    #[test]
    fn the_fiscal_year_may_begin_anywhere() {
        let may = entity("UTC", Calendar::Months { first_month: 5 });
        let fiscal = |name: &str| may.fiscal(name.parse().unwrap());
        assert_eq!([fiscal("2026-05"), fiscal("2026-11"), fiscal("2027-04")], [(2026, 1), (2026, 7), (2026, 12)]);
    }

    proptest! {
        /// No hole, no overlap: whatever the zone and the calendar, an instant lies in the period it is said to belong to,
        /// and that one ends where the next begins.
        #[test]
        fn every_instant_belongs_to_one_period(
            second in 946_684_800_i64..2_208_988_800,
            zone in prop::sample::select(vec![
                "Europe/Stockholm", "America/St_Johns", "America/Havana", "Asia/Kathmandu", "Pacific/Apia", "Australia/Lord_Howe",
                "Asia/Beirut", "America/Sao_Paulo", "Africa/Cairo", "Pacific/Kiritimati", "UTC",
            ]),
            calendar in prop::sample::select(vec![
                MONTHS,
                Calendar::Weeks { weeks: Weeks::FourFourFive, first_day: Date::constant(2026, 1, 1) },
                Calendar::Weeks { weeks: Weeks::FourFiveFour, first_day: Date::constant(2026, 2, 1) },
                Calendar::Weeks { weeks: Weeks::FiveFourFour, first_day: Date::constant(2024, 2, 29) },
                Calendar::Weeks { weeks: Weeks::FourFourFive, first_day: Date::constant(2025, 12, 29) },
            ]),
        ) {
            let entity = entity(zone, calendar);
            let at = Timestamp::from_second(second).unwrap();
            let period = entity.period_of(at).unwrap();
            let bounds = entity.bounds(period).unwrap();
            prop_assert!(bounds.contains(at), "{at} {period} {bounds:?}");
            prop_assert_eq!(entity.bounds(period.next().unwrap()).unwrap().from, bounds.to);
            prop_assert!(bounds.from < bounds.to);
        }
    }
}
