//! `[silence]`: how what does not arrive is told.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{civil::Date, tz::TimeZone};
use schemars::JsonSchema;
use selvedge_flow::SilenceSetup;
use selvedge_model::ConnectionName;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Config,
    words::{Span, did_you_mean, short},
};

/// What should have arrived and did not is an exception, once two weeks have taught what is usual.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SilenceSettings {
    /// Whether it is watched. Default: true.
    pub watch: bool,
    /// Whose clock decides which hours are alike. Default: the time zone of the connection that records come from, where it says one; else UTC.
    #[schemars(extend("format" = "time_zone"))]
    pub zone: Option<String>,
    /// Days on which nothing is expected, as ["2026-12-25"].
    pub closed: Vec<String>,
    /// Connections that are not watched.
    pub unwatched: Vec<String>,
    /// How often it is looked. Default: 1m.
    pub every: Span,
    /// How long after a start nothing is said, because what came meanwhile has to be read first. Default: 10m.
    pub after_start: Span,
}

impl Default for SilenceSettings {
    fn default() -> Self {
        let SilenceSetup { every, after_start, .. } = SilenceSetup::default();
        let (closed, unwatched) = (Vec::new(), Vec::new());
        Self { watch: true, zone: None, closed, unwatched, every: Span(every), after_start: Span(after_start) }
    }
}

impl SilenceSettings {
    /// What is wrong: setting, message, remedy.
    pub fn faults(&self, connections: &[String]) -> Vec<(String, String, String)> {
        let mut faults = Vec::new();
        for day in self.closed.iter().filter(|day| day.parse::<Date>().is_err()) {
            faults.push(("closed".to_owned(), format!("{:?} is no date", short(day)), "Write it as \"2026-12-25\".".to_owned()));
        }
        for name in self.unwatched.iter().filter(|name| !connections.contains(name)) {
            let remedy = did_you_mean(name, connections.iter().map(String::as_str), "Name one of [connections].");
            faults.push(("unwatched".to_owned(), format!("there is no connection {:?}", short(name)), remedy));
        }
        faults
    }
}

impl Config {
    /// How the engine watches; nothing where it does not.
    pub fn silence(&self) -> Option<SilenceSetup> {
        let zone_of = |name: &str| TimeZone::get(name).ok();
        let zones: BTreeMap<ConnectionName, TimeZone> = match &self.silence.zone {
            Some(_) => BTreeMap::new(),
            None => self
                .connections
                .iter()
                .filter_map(|(name, one)| Some((name.clone(), zone_of(one.settings.get("time_zone").and_then(Value::as_str)?)?)))
                .collect(),
        };
        let closed: BTreeSet<Date> = self.silence.closed.iter().filter_map(|day| day.parse().ok()).collect();
        self.silence.watch.then(|| SilenceSetup {
            zones,
            zone: self.silence.zone.as_deref().and_then(zone_of).unwrap_or(TimeZone::UTC),
            closed,
            unwatched: self.silence.unwatched.iter().map(ConnectionName::new).collect(),
            every: self.silence.every.0,
            after_start: self.silence.after_start.0,
        })
    }
}
