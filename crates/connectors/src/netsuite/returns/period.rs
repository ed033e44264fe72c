//! Accounting periods: whether a day takes documents that post, and which day does instead. Pure.

use std::collections::BTreeMap;

use jiff::{ToSpan, civil::Date};
use selvedge_connector::ListEntry;
use selvedge_model::{
    Problem,
    gate::{Lookup, Values},
};
use serde_json::Value;

use super::super::{
    settings::{ClosedPeriod, ReturnSettings},
    suiteql::Row,
    wire,
};

/// The table of months that take no documents.
pub(crate) const TABLE: &str = "posting_day";
/// The months with their flags, without the quarters, years and adjustment periods that span them.
pub(crate) const SQL: &str = "SELECT id, TO_CHAR(startdate,'YYYY-MM-DD') AS s, TO_CHAR(enddate,'YYYY-MM-DD') AS e, closed, alllocked, arlocked \
     FROM accountingperiod WHERE isquarter = 'F' AND isyear = 'F' AND isadjust = 'F' AND id > ? ORDER BY id";
/// Words between the day of a document and the day that it was posted on.
const POSTED: &str = ", posted on ";

fn month(day: Date) -> String {
    day.strftime("%Y-%m").to_string()
}

/// Asks whether the month of a day is closed; it goes on without an answer where it is open.
pub(crate) fn lookup(day: Date, path: &str) -> Lookup {
    Lookup::new(TABLE, &[("month", &month(day))], path).same_name().optional()
}

/// The day of a document, and the day that it is posted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Day {
    on: Date,
    /// `tranDate`.
    pub posted: Date,
}

impl Day {
    /// What the memo begins with where the two differ: `credited on 2026-02-10, posted on 2026-03-01: period closed. `
    pub fn note(self, done: &str) -> String {
        if self.on == self.posted {
            String::new()
        } else {
            format!("{done} on {}{POSTED}{}: period closed. ", self.on, self.posted)
        }
    }
}

/// The day that a document may be posted on.
///
/// # Errors
/// Where its period is closed and nobody has allowed another day.
pub(crate) fn day(on: Date, path: &str, what: &str, values: &Values, settings: &ReturnSettings) -> Result<Day, Box<Problem>> {
    let Some(answer) = values.get(&lookup(on, path)) else { return Ok(Day { on, posted: on }) };
    let instead = answer.get(..10).and_then(|text| text.parse::<Date>().ok()).filter(|day| *day > on);
    match (settings.closed_period, instead) {
        (ClosedPeriod::NextOpen, Some(posted)) => Ok(Day { on, posted }),
        (policy, instead) => {
            let remedy = match (policy, instead) {
                (ClosedPeriod::Hold, Some(next)) => format!(
                    "Let finance open the period, then release; or let documents go into the next open one, {next}, by returns.closed_period = \"next_open\", then release."
                ),
                _ => "No later period is open either: let finance open one, then release.".to_owned(),
            };
            let message =
                format!("the accounting period of {on} is closed or locked in NetSuite, and {what} would be posted into it");
            Err(Box::new(Problem::new("period.closed", path, message, remedy).value(on.to_string()).cause(month(on))))
        }
    }
}

/// The day that a document is of: its own, unless its memo says that it was moved from another.
pub(crate) fn told(document: &Value, posted: Date) -> Date {
    let memo = wire::text(document, "memo").unwrap_or_default();
    let Some((before, after)) = memo.split_once(POSTED) else { return posted };
    let there = after.get(..10).and_then(|text| text.parse::<Date>().ok());
    let from = before.len().checked_sub(10).and_then(|at| before.get(at..)).and_then(|text| text.parse::<Date>().ok());
    from.filter(|_| there == Some(posted)).unwrap_or(posted)
}

/// The day of a document there.
pub(crate) fn tran_date(document: &Value) -> Option<Date> {
    let text = wire::text(document, "tranDate")?;
    text.get(..10).unwrap_or(&text).parse().ok()
}

struct Period {
    start: Date,
    end: Date,
    open: bool,
}

fn period(row: &Row) -> Option<Period> {
    let day = |name: &str| row.get(name).and_then(|text| text.parse::<Date>().ok());
    let set = |name: &str| row.get(name).is_some_and(|flag| flag == "T");
    Some(Period { start: day("s")?, end: day("e")?, open: !(set("closed") || set("alllocked") || set("arlocked")) })
}

/// Each month of which no day is in an open period: its name, and the first day of the next open period. The day stands first in
/// the id, and the month after it, as an id stands for one entry.
pub(crate) fn posting_days(rows: &[Row]) -> Vec<ListEntry> {
    let mut periods: Vec<Period> = rows.iter().filter_map(period).collect();
    periods.sort_by_key(|period| (period.start, period.end));
    let mut months: BTreeMap<Date, bool> = BTreeMap::new();
    for period in &periods {
        let mut first = period.start.first_of_month();
        while first <= period.end {
            *months.entry(first).or_default() |= period.open;
            match first.checked_add(1.month()) {
                Ok(next) => first = next,
                Err(_) => break,
            }
        }
    }
    let closed = months.into_iter().filter(|(_, open)| !open);
    closed
        .map(|(first, _)| {
            let next = periods.iter().find(|period| period.open && period.start > first);
            let day = next.map_or_else(|| "none".to_owned(), |period| period.start.to_string());
            let name = month(first);
            ListEntry { id: format!("{day} for {name}"), name, active: true }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(start: &str, end: &str, flag: &str) -> Row {
        let mut row: Row = [("s", start), ("e", end)].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        if !flag.is_empty() {
            row.insert(flag.to_owned(), "T".to_owned());
        }
        row
    }

    #[test]
    fn a_closed_month_goes_to_the_next_open_period() {
        let rows = [
            row("2026-01-01", "2026-01-31", "closed"),
            row("2026-02-01", "2026-02-28", "arlocked"),
            row("2026-03-01", "2026-03-31", ""),
            row("2026-04-01", "2026-04-30", "alllocked"),
        ];
        let told: Vec<(String, String)> = posting_days(&rows).into_iter().map(|entry| (entry.name, entry.id)).collect();
        let pair = |name: &str, id: &str| (name.to_owned(), id.to_owned());
        assert_eq!(
            told,
            [
                pair("2026-01", "2026-03-01 for 2026-01"),
                pair("2026-02", "2026-03-01 for 2026-02"),
                pair("2026-04", "none for 2026-04")
            ]
        );
        // Periods of four and five weeks: a month is closed when all of its days are.
        let weeks = [row("2026-01-05", "2026-02-01", "closed"), row("2026-02-02", "2026-03-01", "")];
        assert_eq!(posting_days(&weeks).len(), 1);
        assert!(posting_days(&[Row::new(), row("x", "y", "closed"), row("9999-12-01", "9999-12-31", "closed")]).len() <= 1);
    }

    #[test]
    fn the_policy_decides_and_the_memo_tells_both_days() {
        let on: Date = "2026-02-10".parse().unwrap();
        let mut values = Values::default();
        let mut settings = ReturnSettings::default();
        assert_eq!(day(on, "issued_on", "a credit", &values, &settings).unwrap().note("credited"), "");
        values.set(TABLE, "month=2026-02", "2026-03-01 for 2026-02");
        let held = day(on, "issued_on", "a credit", &values, &settings).unwrap_err();
        assert_eq!((held.rule.as_str(), held.value.as_deref()), ("period.closed", Some("2026-02-10")));
        assert!(held.remedy.contains("2026-03-01"), "{}", held.remedy);
        settings.closed_period = ClosedPeriod::NextOpen;
        let moved = day(on, "issued_on", "a credit", &values, &settings).unwrap();
        let memo = moved.note("credited");
        assert_eq!(memo, "credited on 2026-02-10, posted on 2026-03-01: period closed. ");
        let document = json!({"memo": format!("{memo}Credit R1 [screened]"), "tranDate": "2026-03-01"});
        assert_eq!(told(&document, moved.posted), on);
        assert_eq!(told(&json!({ "memo": memo }), on), on, "another day there is not explained by it");
        assert_eq!(told(&json!({"memo": "\u{e9}, posted on 2026-03-01"}), moved.posted), moved.posted);
        values.set(TABLE, "month=2026-02", "none for 2026-02");
        assert!(day(on, "issued_on", "a credit", &values, &settings).is_err());
    }
}
