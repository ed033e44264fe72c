//! Standard rates of value added tax by country and day, and the reduced ones that exist beside them.
//!
//! A rate is of the day of supply, not of the day of booking. The table is compiled in, because a wrong rate has to be
//! told from a wrong cent even where nobody has configured anything; what it lacks is added with [`RateBook::with`].
//! It was put together from commerceguys/tax (MIT), ibericode/vat-rates (MIT) and kdeldycke/vat-rates (BSD-2-Clause); where
//! one of them lacks a change that the others have, the other two decided.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, date};
use rust_decimal::Decimal;

/// From a day on, so many tenths of a percent.
type Since = (i16, i8, i8, i64);

/// One country: its standard rates, oldest first, and the reduced ones of any time since 2010, in tenths of a percent.
struct Country {
    code: &'static str,
    standard: &'static [Since],
    reduced: &'static [i64],
}

const fn of(code: &'static str, standard: &'static [Since], reduced: &'static [i64]) -> Country {
    Country { code, standard, reduced }
}

/// The European Union, the United Kingdom, Switzerland, Norway and Iceland, complete from 2010-01-01 on.
const TABLE: &[Country] = &[
    of("AT", &[(1984, 1, 1, 200)], &[100, 130, 50]),
    of("BE", &[(1996, 1, 1, 210)], &[60, 120]),
    of("BG", &[(1999, 1, 1, 200)], &[90, 70]),
    of("CH", &[(2001, 1, 1, 76), (2011, 1, 1, 80), (2018, 1, 1, 77), (2024, 1, 1, 81)], &[26, 38, 25, 37, 24, 36]),
    of("CY", &[(2003, 1, 1, 150), (2012, 3, 1, 170), (2013, 1, 14, 180), (2014, 1, 13, 190)], &[50, 90, 80, 30]),
    of("CZ", &[(2004, 5, 1, 190), (2010, 1, 1, 200), (2013, 1, 1, 210)], &[120, 150, 100, 140]),
    of("DE", &[(2007, 1, 1, 190), (2020, 7, 1, 160), (2021, 1, 1, 190)], &[70, 50]),
    of("DK", &[(1992, 1, 1, 250)], &[]),
    of("EE", &[(2009, 7, 1, 200), (2024, 1, 1, 220), (2025, 7, 1, 240)], &[90, 130, 50]),
    of("ES", &[(1995, 1, 1, 160), (2010, 7, 1, 180), (2012, 9, 1, 210)], &[100, 40, 80, 70]),
    of("FI", &[(1994, 6, 1, 220), (2010, 7, 1, 230), (2013, 1, 1, 240), (2024, 9, 1, 255)], &[140, 100, 135, 130, 90]),
    of("FR", &[(2000, 4, 1, 196), (2014, 1, 1, 200)], &[55, 100, 21, 70]),
    of("GB", &[(2008, 12, 1, 150), (2010, 1, 1, 175), (2011, 1, 4, 200)], &[50]),
    of("GR", &[(2005, 4, 1, 190), (2010, 3, 15, 210), (2010, 7, 1, 230), (2016, 6, 1, 240)], &[130, 60, 65, 110, 55]),
    of("HR", &[(2009, 8, 1, 230), (2012, 3, 1, 250)], &[130, 50, 100]),
    of("HU", &[(2009, 7, 1, 250), (2012, 1, 1, 270)], &[50, 180]),
    of("IE", &[(2010, 1, 1, 210), (2012, 1, 1, 230), (2020, 9, 1, 210), (2021, 3, 1, 230)], &[135, 90, 48]),
    of("IS", &[(2010, 1, 1, 255), (2015, 1, 1, 240)], &[110, 70]),
    of("IT", &[(1997, 10, 1, 200), (2011, 9, 17, 210), (2013, 10, 1, 220)], &[100, 40, 50]),
    of("LT", &[(2009, 9, 1, 210)], &[90, 50, 120]),
    of("LU", &[(1992, 1, 1, 150), (2015, 1, 1, 170), (2023, 1, 1, 160), (2024, 1, 1, 170)], &[80, 30, 140, 120, 60, 70, 130]),
    of("LV", &[(2009, 1, 1, 210), (2011, 1, 1, 220), (2012, 7, 1, 210)], &[120, 50, 100]),
    of("MT", &[(2004, 1, 1, 180)], &[50, 70]),
    of("NL", &[(2001, 1, 1, 190), (2012, 10, 1, 210)], &[90, 60]),
    of("NO", &[(2005, 1, 1, 250)], &[150, 120, 140, 80]),
    of("PL", &[(1993, 1, 8, 220), (2011, 1, 1, 230)], &[80, 50, 70, 30]),
    of("PT", &[(2008, 7, 1, 200), (2010, 7, 1, 210), (2011, 1, 1, 230)], &[60, 130]),
    of("RO", &[(2000, 1, 1, 190), (2010, 7, 1, 240), (2016, 1, 1, 200), (2017, 1, 1, 190), (2025, 8, 1, 210)], &[110, 90, 50]),
    of("SE", &[(1990, 7, 1, 250)], &[120, 60]),
    of("SI", &[(2002, 1, 1, 200), (2013, 7, 1, 220)], &[95, 50, 85]),
    of("SK", &[(2004, 1, 1, 190), (2011, 1, 1, 200), (2025, 1, 1, 230)], &[190, 50, 100]),
];

/// Codes in use for a country that is listed under another, and places that have a neighbour's tax.
const ALIASES: &[(&str, &str)] = &[("UK", "GB"), ("EL", "GR"), ("IM", "GB"), ("MC", "FR"), ("LI", "CH")];

/// A rate and the first day on which it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// The first day.
    pub since: Date,
    /// In percent: 25 means a quarter.
    pub percent: Decimal,
}

/// Which rate a country has on a day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RateBook {
    added: BTreeMap<String, BTreeMap<Date, Decimal>>,
    reduced: BTreeMap<String, BTreeSet<Decimal>>,
}

impl RateBook {
    /// The same with a standard rate more; of two with one first day the added one holds.
    #[must_use]
    pub fn with(mut self, country: &str, since: Date, percent: Decimal) -> Self {
        self.added.entry(listed_as(country)).or_default().insert(since, percent.normalize());
        self
    }

    /// The same with a reduced rate more.
    #[must_use]
    pub fn with_reduced(mut self, country: &str, percent: Decimal) -> Self {
        self.reduced.entry(listed_as(country)).or_default().insert(percent.normalize());
        self
    }

    /// The standard rate of a country (ISO 3166-1 alpha-2) on a day, in percent; none where it is not known.
    pub fn rate(&self, country: &str, on: Date) -> Option<Decimal> {
        self.changes(country).iter().rev().find(|change| change.since <= on).map(|change| change.percent)
    }

    /// Every standard rate of a country that is known, oldest first.
    pub fn changes(&self, country: &str) -> Vec<Change> {
        let code = listed_as(country);
        let mut all: BTreeMap<Date, Decimal> = BTreeMap::new();
        for (year, month, day, tenths) in TABLE.iter().filter(|one| one.code == code).flat_map(|one| one.standard) {
            all.insert(date(*year, *month, *day), percent(*tenths));
        }
        all.extend(self.added.get(&code).into_iter().flatten().map(|(since, percent)| (*since, *percent)));
        all.into_iter().map(|(since, percent)| Change { since, percent }).collect()
    }

    /// The reduced rates that a country has or had, in percent, none of them zero.
    pub fn reduced(&self, country: &str) -> Vec<Decimal> {
        let code = listed_as(country);
        let table = TABLE.iter().filter(|one| one.code == code).flat_map(|one| one.reduced).map(|tenths| percent(*tenths));
        let mut all: Vec<Decimal> = table.collect();
        for more in self.reduced.get(&code).into_iter().flatten() {
            if !all.contains(more) {
                all.push(*more);
            }
        }
        all
    }

    /// The countries of which a rate is known, by code.
    pub fn countries(&self) -> BTreeSet<String> {
        TABLE.iter().map(|one| one.code.to_owned()).chain(self.added.keys().cloned()).collect()
    }
}

fn percent(tenths: i64) -> Decimal {
    Decimal::new(tenths, 1).normalize()
}

fn listed_as(country: &str) -> String {
    let code = country.trim().to_ascii_uppercase();
    ALIASES.iter().find(|(alias, _)| *alias == code).map_or(code, |(_, listed)| (*listed).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(country: &str, day: &str) -> Option<String> {
        RateBook::default().rate(country, day.parse().unwrap()).map(|percent| percent.to_string())
    }

    #[test]
    fn a_rate_holds_from_its_first_day_to_the_eve_of_the_next() {
        for (country, day, percent) in [
            ("DE", "2020-06-30", "19"),
            ("DE", "2020-07-01", "16"),
            ("DE", "2020-12-31", "16"),
            ("DE", "2021-01-01", "19"),
            ("GB", "2011-01-03", "17.5"),
            ("GB", "2011-01-04", "20"),
            ("PL", "2010-12-31", "22"),
            ("PL", "2011-01-01", "23"),
            ("PT", "2010-12-31", "21"),
            ("PT", "2011-01-01", "23"),
            ("FI", "2024-08-31", "24"),
            ("FI", "2024-09-01", "25.5"),
            ("CH", "2023-12-31", "7.7"),
            ("CH", "2024-01-01", "8.1"),
            ("IE", "2020-09-01", "21"),
            ("IE", "2021-03-01", "23"),
            ("EE", "2025-07-01", "24"),
            ("RO", "2025-07-31", "19"),
            ("RO", "2025-08-01", "21"),
            ("SK", "2025-01-01", "23"),
            ("LU", "2023-06-01", "16"),
            ("NO", "2026-01-15", "25"),
            (" el ", "2026-01-15", "24"),
            ("UK", "2026-01-15", "20"),
        ] {
            assert_eq!(on(country, day).as_deref(), Some(percent), "{country} {day}");
        }
        assert_eq!(on("US", "2026-01-15"), None);
        assert_eq!(on("DE", "1999-01-01"), None);
    }

    #[test]
    fn every_country_has_its_rates_in_order_and_one_since_2010() {
        let book = RateBook::default();
        for country in book.countries() {
            let changes = book.changes(&country);
            let listed = TABLE.iter().find(|one| one.code == country).unwrap().standard.len();
            assert_eq!(changes.len(), listed, "{country}: two rates on one day");
            assert!(changes.windows(2).all(|two| two[0].percent != two[1].percent), "{country}: a change that changes nothing");
            assert!(changes.iter().all(|change| change.percent > Decimal::ONE && change.percent < Decimal::from(28)));
            assert!(book.rate(&country, date(2010, 1, 1)).is_some(), "{country}");
            assert!(book.reduced(&country).iter().all(|reduced| *reduced < Decimal::from(20)));
        }
        assert_eq!(book.countries().len(), 31);
    }

    #[test]
    fn what_the_table_lacks_is_added() {
        let book =
            RateBook::default().with("de", date(2030, 1, 1), Decimal::new(200, 1)).with("jp", date(2019, 10, 1), Decimal::TEN);
        assert_eq!(book.rate("DE", date(2029, 12, 31)), Some(Decimal::from(19)));
        assert_eq!(book.rate("DE", date(2030, 1, 1)).map(|p| p.to_string()).as_deref(), Some("20"));
        assert_eq!(book.rate("JP", date(2026, 1, 1)), Some(Decimal::TEN));
        assert_eq!(book.with_reduced("JP", Decimal::from(8)).reduced("JP"), [Decimal::from(8)]);
    }
}
