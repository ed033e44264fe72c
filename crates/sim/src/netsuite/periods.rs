//! Accounting periods: months with their quarters and years, some of them closed or locked.
//!
//! Source: the vendor's record reference for the flags of `accountingPeriod`, and its help on what they stop: in a closed
//! period nobody posts, in one that is locked for receivables nobody posts what touches them but a role that may override.
//! Choices where it is silent (inferred): periods are calendar months; each year ends with an adjustment period of one day.

use std::collections::BTreeMap;

use jiff::civil::{Date, date};
use serde::{Deserialize, Serialize};

use super::Options;

/// Year and month.
pub(super) type Month = (i16, i8);

/// The flags of a period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Flags {
    pub(super) closed: bool,
    pub(super) ar_locked: bool,
}

/// The flags that were set, by month.
pub(super) type Periods = BTreeMap<Month, Flags>;

/// The first and the last year that has periods.
const YEARS: std::ops::RangeInclusive<i16> = 2009..=2032;

/// What kind of period it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    Year,
    Quarter,
    Month,
    Adjustment,
}

/// One period.
#[derive(Clone, Debug)]
pub(super) struct Period {
    pub(super) id: u32,
    pub(super) name: String,
    pub(super) start: Date,
    pub(super) end: Date,
    pub(super) span: Span,
    pub(super) flags: Flags,
}

const NAMES: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The flags of the month of a day.
pub(super) fn flags(options: &Options, periods: &Periods, day: Date) -> Flags {
    let set = periods.get(&(day.year(), day.month())).copied();
    let before = options.closed_before.is_some_and(|open_from| day < open_from);
    let flags = set.unwrap_or_default();
    Flags { closed: flags.closed || before, ..flags }
}

/// Why nothing that posts may be dated so.
pub(super) fn refusal(options: &Options, periods: &Periods, day: Date) -> Option<String> {
    let flags = flags(options, periods, day);
    if flags.closed {
        return Some(format!("The accounting period of {day} is closed."));
    }
    flags.ar_locked.then(|| format!("The accounting period of {day} is locked for accounts receivable."))
}

/// All periods, by rising id.
pub(super) fn all(options: &Options, periods: &Periods) -> Vec<Period> {
    let mut list: Vec<Period> = Vec::new();
    let mut put = |name: String, start: Date, end: Date, span: Span, flags: Flags| {
        let id = 100 + u32::try_from(list.len()).unwrap_or(0);
        list.push(Period { id, name, start, end, span, flags });
    };
    for year in YEARS {
        let of = |month: usize| i8::try_from(month + 1).unwrap_or(1);
        put(format!("FY {year}"), date(year, 1, 1), date(year, 12, 31), Span::Year, Flags::default());
        for (at, name) in NAMES.iter().enumerate() {
            let start = date(year, of(at), 1);
            if at % 3 == 0 {
                let end = date(year, of(at + 2), 1).last_of_month();
                put(format!("Q{} {year}", at / 3 + 1), start, end, Span::Quarter, Flags::default());
            }
            // A month is closed as a whole; its last day says so.
            let flags = flags(options, periods, start.last_of_month());
            put(format!("{name} {year}"), start, start.last_of_month(), Span::Month, flags);
        }
        let last = date(year, 12, 31);
        put(format!("Adjust {year}"), last, last, Span::Adjustment, Flags::default());
    }
    list
}
