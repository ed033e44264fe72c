//! `[dispatch]`: by when orders are promised to have left their warehouse.

use jiff::{
    civil::{Date, Time},
    tz::TimeZone,
};
use schemars::JsonSchema;
use selvedge_model::dispatch::{Calendar, Promise};
use serde::{Deserialize, Serialize};

use super::{stock::Day, words::short};

/// By when orders are promised to have left; an order that is late is an exception.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DispatchSettings {
    /// Whose local time it is, as Europe/Stockholm. Default: UTC.
    pub time_zone: String,
    /// Days of the week on which nothing leaves. Default: ["sat", "sun"].
    pub rest_days: Vec<Day>,
    /// Days on which nothing leaves, as ["2026-12-25"].
    pub holidays: Vec<String>,
    /// The promises; the first that fits an order counts.
    pub promises: Vec<PromiseSettings>,
}

impl Default for DispatchSettings {
    fn default() -> Self {
        Self { time_zone: "UTC".to_owned(), rest_days: vec![Day::Sat, Day::Sun], holidays: Vec::new(), promises: Vec::new() }
    }
}

/// One promise. A condition that is left out always fits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PromiseSettings {
    /// Ids or names of markets.
    pub markets: Vec<String>,
    /// Ids or names of shipping methods.
    pub methods: Vec<String>,
    /// Destination countries, as ["SE", "NO"].
    pub countries: Vec<String>,
    /// An order placed from this local time on counts as placed the next working day. Default: 24:00, the whole day counts.
    pub cutoff: String,
    /// How many working days after that day; 0 = the same day. Default: 1.
    #[schemars(range(min = 0, max = 60))]
    pub days: u32,
    /// By which local time of that day it has to have left. Default: 24:00, the end of the day.
    pub by: String,
}

impl Default for PromiseSettings {
    fn default() -> Self {
        Self {
            markets: Vec::new(),
            methods: Vec::new(),
            countries: Vec::new(),
            cutoff: "24:00".to_owned(),
            days: 1,
            by: "24:00".to_owned(),
        }
    }
}

/// A time of day; the end of the day is its last moment.
fn time(text: &str) -> Option<Time> {
    if text.trim() == "24:00" { Some(Time::MAX) } else { text.trim().parse().ok() }
}

impl DispatchSettings {
    /// When the warehouses work.
    pub fn calendar(&self) -> Calendar {
        Calendar {
            zone: TimeZone::get(&self.time_zone).unwrap_or(TimeZone::UTC),
            rest: self.rest_days.iter().map(|day| day.weekday()).collect(),
            holidays: self.holidays.iter().filter_map(|day| day.parse::<Date>().ok()).collect(),
        }
    }

    /// The promises, in the order of the file.
    pub fn promises(&self) -> Vec<Promise> {
        let promise = |settings: &PromiseSettings| {
            Some(Promise {
                markets: settings.markets.clone(),
                methods: settings.methods.clone(),
                countries: settings.countries.clone(),
                cutoff: time(&settings.cutoff)?,
                days: settings.days,
                by: time(&settings.by)?,
            })
        };
        self.promises.iter().filter_map(promise).collect()
    }

    /// Everything that is wrong with it by itself: the setting below it, what, and what to do.
    pub fn faults(&self) -> Vec<(String, String, String)> {
        let mut faults = Vec::new();
        let mut wrong = |path: String, message: String, remedy: &str| faults.push((path, message, remedy.to_owned()));
        if TimeZone::get(&self.time_zone).is_err() {
            let message = format!("{:?} is not a time zone", short(&self.time_zone));
            wrong("time_zone".into(), message, "Write its IANA name: \"Europe/Stockholm\".");
        }
        if (0..7).all(|at| self.rest_days.iter().any(|day| day.weekday().to_monday_zero_offset() == at)) {
            wrong("rest_days".into(), "leaves no day to work on".into(), "Take a day out.");
        }
        for (index, day) in self.holidays.iter().enumerate() {
            if day.parse::<Date>().is_err() {
                let message = format!("{:?} is not a day", short(day));
                wrong(format!("holidays[{index}]"), message, "Write it as \"2026-12-25\".");
            }
        }
        for (index, promise) in self.promises.iter().enumerate() {
            for (setting, text) in [("cutoff", &promise.cutoff), ("by", &promise.by)] {
                if time(text).is_none() {
                    let message = format!("{:?} is not a time of day", short(text));
                    wrong(format!("promises[{index}].{setting}"), message, "Write it as \"14:00\".");
                }
            }
            for (at, country) in promise.countries.iter().enumerate() {
                if country.len() != 2 || !country.bytes().all(|b| b.is_ascii_uppercase()) {
                    let message = format!("{:?} is not a country code", short(country));
                    wrong(format!("promises[{index}].countries[{at}]"), message, "Write its two capital letters: \"SE\".");
                }
            }
        }
        faults
    }
}
