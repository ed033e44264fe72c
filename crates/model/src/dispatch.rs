//! By when an order is promised to have left: a time of day, some working days after it was placed.
//!
//! Warehouses work by their own calendar: what is ordered after the last collection counts as ordered the next working
//! day, and nothing leaves on a holiday. All of it is local time; the instant that comes out is right through a change of
//! the clocks.

use std::collections::BTreeSet;

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, Time, Weekday},
    tz::TimeZone,
};

use crate::records::Order;

/// One promise; a condition that is empty always fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    /// Ids or names of markets.
    pub markets: Vec<String>,
    /// Ids or names of shipping methods.
    pub methods: Vec<String>,
    /// Destination countries.
    pub countries: Vec<String>,
    /// What is placed from then on counts as placed the next working day.
    pub cutoff: Time,
    /// Working days after that day; none means the same day.
    pub days: u32,
    /// By what time of that day.
    pub by: Time,
}

/// When a warehouse works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// Whose time of day it is.
    pub zone: TimeZone,
    /// Days of the week on which nothing leaves.
    pub rest: Vec<Weekday>,
    /// Days on which nothing leaves.
    pub holidays: BTreeSet<Date>,
}

impl Default for Calendar {
    fn default() -> Self {
        Self { zone: TimeZone::UTC, rest: Vec::new(), holidays: BTreeSet::new() }
    }
}

/// Years of holidays could follow each other; then there is no promise.
const DAYS_MAX: u32 = 400;

impl Calendar {
    fn works_on(&self, day: Date) -> bool {
        !self.rest.contains(&day.weekday()) && !self.holidays.contains(&day)
    }

    /// The day itself or the first working day after it, and then so many further ones.
    fn working_day(&self, from: Date, further: u32) -> Option<Date> {
        let (mut day, mut left) = (from, further);
        for _ in 0..DAYS_MAX {
            if self.works_on(day) {
                if left == 0 {
                    return Some(day);
                }
                left -= 1;
            }
            day = day.checked_add(1.day()).ok()?;
        }
        None
    }
}

impl Promise {
    fn fits(&self, order: &Order) -> bool {
        let named = |wanted: &[String], of: &crate::records::Named| {
            wanted.is_empty() || wanted.iter().any(|word| *word == of.id || *word == of.name)
        };
        let country = order.shipping.as_ref().and_then(|address| address.country.as_deref()).unwrap_or_default();
        named(&self.markets, &order.market)
            && order.shipping_method.as_ref().map_or(self.methods.is_empty(), |method| named(&self.methods, method))
            && (self.countries.is_empty() || self.countries.iter().any(|wanted| wanted == country))
    }

    /// By when what was placed then has to leave.
    fn due(&self, placed_at: Timestamp, calendar: &Calendar) -> Option<Timestamp> {
        let placed = placed_at.to_zoned(calendar.zone.clone());
        let counts = if calendar.works_on(placed.date()) && placed.time() >= self.cutoff {
            placed.date().checked_add(1.day()).ok()?
        } else {
            placed.date()
        };
        let day = calendar.working_day(counts, self.days)?;
        // A time that the clocks skip is read as the one just after.
        day.to_datetime(self.by).to_zoned(calendar.zone.clone()).ok().map(|at| at.timestamp())
    }
}

/// By when an order is promised to have left: what its source says, else the first promise that fits.
pub fn dispatch_by(order: &Order, promises: &[Promise], calendar: &Calendar) -> Option<Timestamp> {
    let promised = || promises.iter().find(|promise| promise.fits(order))?.due(order.placed_at, calendar);
    order.dispatch_by.or_else(promised)
}

/// The next last collection that an order could make: what is ready later counts as placed the next working day. None where
/// no promise fits or the whole day counts.
pub fn next_cutoff(order: &Order, promises: &[Promise], calendar: &Calendar, now: Timestamp) -> Option<Timestamp> {
    let promise = promises.iter().find(|promise| promise.fits(order)).filter(|promise| promise.cutoff < Time::MAX)?;
    let today = now.to_zoned(calendar.zone.clone()).date();
    let cutoff = |day: Date| day.to_datetime(promise.cutoff).to_zoned(calendar.zone.clone()).ok().map(|at| at.timestamp());
    let first = calendar.working_day(today, 0)?;
    match cutoff(first)? {
        at if at > now => Some(at),
        _ => cutoff(calendar.working_day(first.checked_add(1.day()).ok()?, 0)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{line, order};

    fn promise(days: u32) -> Promise {
        let time = |hour| Time::constant(hour, 0, 0, 0);
        Promise { markets: vec![], methods: vec![], countries: vec![], cutoff: time(14), days, by: time(18) }
    }

    fn calendar() -> Calendar {
        Calendar {
            zone: TimeZone::get("Europe/Stockholm").unwrap(),
            rest: vec![Weekday::Saturday, Weekday::Sunday],
            holidays: ["2026-04-03", "2026-04-06"].into_iter().map(|day| day.parse().unwrap()).collect(),
        }
    }

    /// Placed (local, with its offset) → due (UTC).
    #[test]
    fn working_days_cut_offs_holidays_and_the_change_of_clocks() {
        let cases = [
            // A Tuesday, before and after the last collection.
            ("2026-02-03T13:59:59+01:00", 0, "2026-02-03T17:00:00Z"),
            ("2026-02-03T14:00:00+01:00", 0, "2026-02-04T17:00:00Z"),
            ("2026-02-03T14:00:00+01:00", 1, "2026-02-05T17:00:00Z"),
            // A Friday afternoon counts as Monday.
            ("2026-02-06T20:00:00+01:00", 0, "2026-02-09T17:00:00Z"),
            // Saturday late is Monday, not Tuesday: nobody missed a collection.
            ("2026-02-07T20:00:00+01:00", 0, "2026-02-09T17:00:00Z"),
            // Good Friday to Easter Monday.
            ("2026-04-02T15:00:00+02:00", 0, "2026-04-07T16:00:00Z"),
            ("2026-04-02T09:00:00+02:00", 1, "2026-04-07T16:00:00Z"),
            // The clocks go forward on the Sunday between.
            ("2026-03-27T15:00:00+01:00", 0, "2026-03-30T16:00:00Z"),
            // Its UTC day is the day before.
            ("2026-02-04T00:30:00+01:00", 0, "2026-02-04T17:00:00Z"),
        ];
        for (placed, days, due) in cases {
            let order = Order { placed_at: placed.parse().unwrap(), ..order(vec![line("1", "A", 1, 100)]) };
            let by = dispatch_by(&order, &[promise(days)], &calendar());
            assert_eq!(by, Some(due.parse().unwrap()), "{placed} and {days} days");
        }
    }

    /// Now (local, with its offset) → the next collection (UTC).
    #[test]
    fn the_next_collection_is_one_of_a_working_day() {
        let order = order(vec![line("1", "A", 1, 100)]);
        for (now, due) in [
            ("2026-02-03T13:59:59+01:00", "2026-02-03T13:00:00Z"),
            ("2026-02-03T14:00:00+01:00", "2026-02-04T13:00:00Z"),
            // A Friday afternoon, a Saturday, and the change of clocks.
            ("2026-02-06T20:00:00+01:00", "2026-02-09T13:00:00Z"),
            ("2026-02-07T09:00:00+01:00", "2026-02-09T13:00:00Z"),
            ("2026-03-27T15:00:00+01:00", "2026-03-30T12:00:00Z"),
        ] {
            let next = next_cutoff(&order, &[promise(1)], &calendar(), now.parse().unwrap());
            assert_eq!(next, Some(due.parse().unwrap()), "{now}");
        }
        let whole_day = Promise { cutoff: Time::MAX, ..promise(1) };
        assert_eq!(next_cutoff(&order, &[whole_day], &calendar(), order.placed_at), None);
        assert_eq!(next_cutoff(&order, &[], &calendar(), order.placed_at), None);
    }

    #[test]
    fn the_first_promise_that_fits_counts_and_the_source_goes_before() {
        let mut order = order(vec![line("1", "A", 1, 100)]);
        let express = Promise { methods: vec!["Express".into()], ..promise(0) };
        let norway = Promise { countries: vec!["NO".into()], ..promise(5) };
        let sweden = Promise { markets: vec!["Sweden".into()], ..promise(2) };
        let promises = [express, norway, sweden];
        let by = |order: &Order| dispatch_by(order, &promises, &calendar()).unwrap();
        assert_eq!(by(&order), "2026-02-05T17:00:00Z".parse().unwrap());
        order.shipping_method.as_mut().unwrap().name = "Express".into();
        assert_eq!(by(&order), "2026-02-03T17:00:00Z".parse().unwrap());
        order.dispatch_by = Some(order.placed_at);
        assert_eq!(by(&order), order.placed_at);
        order.dispatch_by = None;
        assert_eq!(dispatch_by(&order, &[], &calendar()), None);
        let never = Calendar { rest: (1..=7).map(|n| Weekday::from_monday_one_offset(n).unwrap()).collect(), ..calendar() };
        assert_eq!(dispatch_by(&order, &promises, &never), None);
    }
}
