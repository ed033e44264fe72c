//! `[entities.NAME]`: the legal entities whose months are closed.

use std::collections::BTreeSet;

use jiff::{civil::Date, tz::TimeZone};
use schemars::JsonSchema;
use selvedge_model::{
    Currency,
    close::{Calendar, Entity, Weeks},
};
use serde::{Deserialize, Serialize};

use super::Config;

/// How a year is cut into twelve periods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CalendarWord {
    /// Calendar months, called 2026-11.
    #[default]
    #[serde(rename = "months")]
    Months,
    /// Weeks: four, four, five a quarter; periods are called 2026-P11.
    #[serde(rename = "4-4-5")]
    FourFourFive,
    /// Weeks: four, five, four.
    #[serde(rename = "4-5-4")]
    FourFiveFour,
    /// Weeks: five, four, four.
    #[serde(rename = "5-4-4")]
    FiveFourFour,
}

/// A legal entity: whose books are closed at the end of a period.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EntitySettings {
    /// Whose clock decides to which period an order belongs, as "Europe/Stockholm". There is no default: a close without it would be a guess.
    #[schemars(extend("format" = "time_zone"))]
    pub time_zone: String,
    /// What its books are kept in, as "SEK".
    #[schemars(extend("format" = "currency"))]
    pub currency: String,
    /// The markets of the shop that sell for it, by id. Default: [], which means all.
    pub markets: Vec<String>,
    /// The subsidiaries of the books that are it, by id. Default: [], which means all.
    pub subsidiaries: Vec<String>,
    /// How its year is cut: months, 4-4-5, 4-5-4 or 5-4-4. Default: months.
    pub calendar: CalendarWord,
    /// The first month of the fiscal year, for a calendar of months. Default: 1.
    #[schemars(range(min = 1, max = 12))]
    pub first_month: Option<i8>,
    /// The first day of one fiscal year, as "2026-02-01", for a calendar of weeks. Every other one begins on the same weekday, nearest to that day.
    pub first_day: Option<String>,
}

type Fault = (String, String, String);

impl EntitySettings {
    fn calendar(&self) -> Result<Calendar, Fault> {
        let weeks = match self.calendar {
            CalendarWord::Months => return Ok(Calendar::Months { first_month: self.first_month.unwrap_or(1) }),
            CalendarWord::FourFourFive => Weeks::FourFourFive,
            CalendarWord::FourFiveFour => Weeks::FourFiveFour,
            CalendarWord::FiveFourFour => Weeks::FiveFourFour,
        };
        let remedy = "Write the first day of a fiscal year: first_day = \"2026-02-01\".".to_owned();
        match self.first_day.as_deref().map(str::parse::<Date>) {
            Some(Ok(first_day)) => Ok(Calendar::Weeks { weeks, first_day }),
            Some(Err(_)) => Err(("first_day".to_owned(), "is not a day".to_owned(), remedy)),
            None => Err(("first_day".to_owned(), "is missing, and a year of weeks has to begin somewhere".to_owned(), remedy)),
        }
    }

    /// The entity of this name; or everything that is wrong with it: the setting below it, what, and what to do.
    pub fn entity(&self, name: &str) -> Result<Entity, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut wrong = |setting: &str, message: String, remedy: &str| {
            faults.push((setting.to_owned(), message, remedy.to_owned()));
        };
        let zone = TimeZone::get(&self.time_zone).ok();
        let zone_remedy =
            "Write the IANA name of the zone in which the entity's books are kept: time_zone = \"Europe/Stockholm\".";
        if self.time_zone.is_empty() {
            wrong(
                "time_zone",
                "is missing: without it nobody can say to which month an order at midnight belongs".into(),
                zone_remedy,
            );
        } else if zone.is_none() {
            wrong("time_zone", format!("{:?} is not a time zone", super::words::short(&self.time_zone)), zone_remedy);
        }
        let currency = Currency::from_code(&self.currency);
        if currency.is_none() {
            wrong(
                "currency",
                "is missing, or is no currency of ISO 4217".into(),
                "Write the currency of the books: currency = \"SEK\".",
            );
        }
        match (self.calendar, self.first_month, &self.first_day) {
            (CalendarWord::Months, _, Some(_)) => {
                wrong("first_day", "is for a calendar of weeks".into(), "Take it out, or write calendar = \"4-4-5\".");
            }
            (CalendarWord::Months, ..) | (_, None, _) => {}
            _ => wrong("first_month", "is for a calendar of months".into(), "Take it out; first_day says where the year begins."),
        }
        let calendar = self.calendar();
        if let Err(fault) = &calendar {
            faults.push(fault.clone());
        }
        let ids = |ids: &[String]| ids.iter().map(|id| id.trim().to_owned()).filter(|id| !id.is_empty()).collect::<BTreeSet<_>>();
        match (zone, currency, calendar, faults.is_empty()) {
            (Some(zone), Some(currency), Ok(calendar), true) => Ok(Entity {
                name: name.to_owned(),
                zone,
                currency,
                markets: ids(&self.markets),
                subsidiaries: ids(&self.subsidiaries),
                calendar,
            }),
            _ => Err(faults),
        }
    }
}

impl Config {
    /// The entities by name. What is wrong with one has been named when the file was read.
    pub fn entities(&self) -> Vec<Entity> {
        self.entities.iter().filter_map(|(name, settings)| settings.entity(name).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Level, read_text};

    fn read(entities: &str) -> (Vec<String>, Vec<(String, Option<usize>)>) {
        let text = format!(
            "brand = \"nordvik\"\n[connections.shop]\nsystem = \"centra\"\n[connections.erp]\nsystem = \"netsuite\"\n[flows.orders]\nfrom = \"shop\"\nto = \"erp\"\n{entities}"
        );
        let (config, problems) = read_text(Path::new("selvedge.toml"), &text);
        let told =
            config.entities().into_iter().map(|entity| format!("{} {:?} {:?}", entity.name, entity.calendar, entity.markets));
        let wrong = problems.into_iter().filter(|p| p.level == Level::Bad && p.path.starts_with("entities"));
        (told.collect(), wrong.map(|problem| (problem.path, problem.line)).collect())
    }

    #[test]
    fn entities_are_read() {
        assert_eq!(read(""), (vec![], vec![]));
        let two = "[entities.ab]\ntime_zone = \"Europe/Stockholm\"\ncurrency = \"SEK\"\nmarkets = [\"1\", \"2\"]\nfirst_month = 5\n[entities.inc]\ntime_zone = \"America/New_York\"\ncurrency = \"USD\"\nmarkets = [\"3\"]\ncalendar = \"4-5-4\"\nfirst_day = \"2026-02-01\"\n";
        let (told, wrong) = read(two);
        assert_eq!(wrong, vec![]);
        assert_eq!(
            told,
            ["ab Months { first_month: 5 } {\"1\", \"2\"}", "inc Weeks { weeks: FourFiveFour, first_day: 2026-02-01 } {\"3\"}"]
        );
    }

    #[test]
    fn what_is_missing_or_wrong_is_named_with_its_line() {
        for (text, path) in [
            ("[entities.ab]\ncurrency = \"SEK\"\n", "entities.ab.time_zone"),
            ("[entities.ab]\ntime_zone = \"Stockholm\"\ncurrency = \"SEK\"\n", "entities.ab.time_zone"),
            ("[entities.ab]\ntime_zone = \"UTC\"\n", "entities.ab.currency"),
            ("[entities.ab]\ntime_zone = \"UTC\"\ncurrency = \"SEK\"\ncalendar = \"4-4-5\"\n", "entities.ab.first_day"),
            ("[entities.ab]\ntime_zone = \"UTC\"\ncurrency = \"SEK\"\nfirst_day = \"2026-01-01\"\n", "entities.ab.first_day"),
            ("[entities.ab]\ntime_zone = \"UTC\"\ncurrency = \"SEK\"\nfirst_month = 13\n", "entities.ab.first_month"),
            (
                "[entities.a]\ntime_zone = \"UTC\"\ncurrency = \"SEK\"\nmarkets = [\"1\"]\n[entities.b]\ntime_zone = \"UTC\"\ncurrency = \"SEK\"\nmarkets = [\"1\"]\n",
                "entities.b.markets",
            ),
            (
                "[entities.a]\ntime_zone = \"UTC\"\ncurrency = \"SEK\"\n[entities.b]\ntime_zone = \"UTC\"\ncurrency = \"SEK\"\nmarkets = [\"1\"]\n",
                "entities.b.markets",
            ),
        ] {
            let (_, wrong) = read(text);
            assert_eq!(wrong.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), [path], "{text}");
            assert!(wrong[0].1.is_some_and(|line| line > 7), "{text}: {wrong:?}");
        }
    }
}
