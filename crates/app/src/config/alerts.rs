//! `[alerts]`: who is told of exceptions, over which channels and when.

use std::{collections::BTreeMap, time::Duration};

use jiff::{civil::Time, tz::TimeZone};
use schemars::JsonSchema;
use selvedge_model::{
    Money,
    alert::{ChannelName, Digest, Quiet, Route, Severity, Step, Thresholds},
    team::Team,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    stock::Day,
    words::{DayTime, Pace, Span, did_you_mean, short},
};

/// Who is told of exceptions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AlertSettings {
    /// The channels, by a name of your choice: [alerts.channels.ops] with kind = "mail", "slack", "teams", "pagerduty" or "webhook".
    #[schemars(extend("propertyNames" = { "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$" }))]
    pub channels: BTreeMap<String, Map<String, Value>>,
    /// Who is told of what, tried in this order; the first that takes an alert has it: [[alerts.routes]].
    pub routes: Vec<AlertRouteSettings>,
    /// From where on an exception is worse than a warning.
    pub severity: SeveritySettings,
}

/// How bad an exception is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Badness {
    /// Somebody should know.
    #[default]
    Info,
    /// A few records wait.
    Warning,
    /// Many records or much money wait, or something waits for long.
    Error,
    /// Nothing moves any more, or very much waits.
    Critical,
}

impl From<Badness> for Severity {
    fn from(badness: Badness) -> Self {
        match badness {
            Badness::Info => Severity::Info,
            Badness::Warning => Severity::Warning,
            Badness::Error => Severity::Error,
            Badness::Critical => Severity::Critical,
        }
    }
}

/// Who is told of what. A condition that is left out always fits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AlertRouteSettings {
    /// What people call it. Default: route-1, route-2 …
    pub name: String,
    /// What is at least as bad as this: info, warning, error or critical. Default: info, everything.
    pub severity: Badness,
    /// What these teams own: operations, finance, customer_experience, engineering.
    pub teams: Vec<String>,
    /// What rules with these beginnings found, as ["stock.", "source.silent"].
    pub rules: Vec<String>,
    /// The channels that are told first.
    pub channels: Vec<String>,
    /// Who is told next while nobody acknowledges: [{ after = "10m", channels = ["oncall"] }], in this order.
    pub escalate: Vec<EscalationSettings>,
    /// How long after the last step it is told again while nobody acknowledges, or "off". Default: off.
    pub repeat: Pace,
    /// For how long what opens is gathered into one message. Default: 1m.
    pub group: Span,
    /// When nobody is told: { from = "22:00", to = "07:00", days = ["sat", "sun"], zone = "Europe/Stockholm", except = "critical" }.
    pub quiet: QuietSettings,
    /// Told once a day or a week instead of at once: { at = "08:00", day = "mon", zone = "Europe/Stockholm" }.
    pub digest: DigestSettings,
}

impl Default for AlertRouteSettings {
    fn default() -> Self {
        Self {
            name: String::new(),
            severity: Badness::Info,
            teams: Vec::new(),
            rules: Vec::new(),
            channels: Vec::new(),
            escalate: Vec::new(),
            repeat: Pace(None),
            group: Span::seconds(60),
            quiet: QuietSettings::default(),
            digest: DigestSettings::default(),
        }
    }
}

/// One further step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EscalationSettings {
    /// How long after the first message, without acknowledgement. Default: 10m.
    pub after: Span,
    /// The channels that are told.
    pub channels: Vec<String>,
}

impl Default for EscalationSettings {
    fn default() -> Self {
        Self { after: Span::seconds(600), channels: Vec::new() }
    }
}

/// When nobody is told. What opens meanwhile is told afterwards, together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QuietSettings {
    /// From this local time, as "22:00". Default: off.
    pub from: DayTime,
    /// To this local time; before from, it is on the next day. Default: off.
    pub to: DayTime,
    /// Days that are quiet as a whole, as ["sat", "sun"].
    pub days: Vec<Day>,
    /// Whose clock, as "Europe/Stockholm". Default: UTC.
    #[schemars(extend("format" = "time_zone"))]
    pub zone: Option<String>,
    /// What is at least as bad as this is told all the same. Default: critical.
    pub except: Badness,
}

impl Default for QuietSettings {
    fn default() -> Self {
        Self { from: DayTime(None), to: DayTime(None), days: Vec::new(), zone: None, except: Badness::Critical }
    }
}

/// When a digest is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DigestSettings {
    /// At this local time, as "08:00". Default: off.
    pub at: DayTime,
    /// On this day of the week. Default: every day.
    pub day: Option<Day>,
    /// Whose clock, as "Europe/Stockholm". Default: UTC.
    #[schemars(extend("format" = "time_zone"))]
    pub zone: Option<String>,
}

impl Default for DigestSettings {
    fn default() -> Self {
        Self { at: DayTime(None), day: None, zone: None }
    }
}

/// From where on an exception is worse than a warning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SeveritySettings {
    /// So many records that it holds, or where it holds none, that wait behind it or differ, make it an error. Default: 10.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub error_records: u64,
    /// So many make it critical. Default: 100.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub critical_records: u64,
    /// So much money makes it an error, an amount per currency: ["1000 EUR"].
    pub error_money: Vec<String>,
    /// So much makes it critical: ["10000 EUR"].
    pub critical_money: Vec<String>,
    /// Open for so long, it is an error. Default: 24h.
    pub error_after: Span,
    /// With less than this to its nearest deadline, or past it, it is an error, or "off". Default: 2h.
    pub error_before: Pace,
    /// Rules that are critical from the start, by the beginning of their names. Default: ["connection.credentials", "connection.down", "source.silent"].
    pub critical_rules: Vec<String>,
    /// Rules that are information only, while little is held.
    pub info_rules: Vec<String>,
}

impl Default for SeveritySettings {
    fn default() -> Self {
        let usual = Thresholds::default();
        Self {
            error_records: usual.error_records,
            critical_records: usual.critical_records,
            error_money: Vec::new(),
            critical_money: Vec::new(),
            error_after: Span(usual.error_after),
            error_before: Pace(usual.error_before),
            critical_rules: usual.critical_rules,
            info_rules: usual.info_rules,
        }
    }
}

fn zone_of(name: Option<&String>) -> TimeZone {
    name.and_then(|name| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC)
}

impl AlertRouteSettings {
    fn route(&self, index: usize) -> Route {
        let channels = |names: &[String]| names.iter().map(|name| ChannelName(name.clone())).collect();
        let first = Step { after: Duration::ZERO, channels: channels(&self.channels) };
        let further = self.escalate.iter().map(|step| Step { after: step.after.0, channels: channels(&step.channels) });
        let quiet = &self.quiet;
        let hours = quiet.from.0.zip(quiet.to.0).unwrap_or((Time::midnight(), Time::midnight()));
        Route {
            name: self.named(index),
            severity: self.severity.into(),
            teams: self.teams.iter().filter_map(|word| Team::from_word(word)).collect(),
            rules: self.rules.clone(),
            steps: std::iter::once(first).chain(further).collect(),
            repeat: self.repeat.0,
            group: self.group.0,
            quiet: (hours.0 != hours.1 || !quiet.days.is_empty()).then(|| Quiet {
                from: hours.0,
                to: hours.1,
                days: quiet.days.iter().map(|day| day.weekday()).collect(),
                zone: zone_of(quiet.zone.as_ref()),
                except: quiet.except.into(),
            }),
            digest: self.digest.at.0.map(|at| Digest {
                at,
                day: self.digest.day.map(Day::weekday),
                zone: zone_of(self.digest.zone.as_ref()),
            }),
        }
    }

    fn named(&self, index: usize) -> String {
        if self.name.trim().is_empty() { format!("route-{}", index + 1) } else { self.name.trim().to_owned() }
    }

    /// Every channel that it names, with the setting that names it.
    fn named_channels(&self) -> impl Iterator<Item = (String, &String)> {
        let first = self.channels.iter().map(|name| ("channels".to_owned(), name));
        let further = self
            .escalate
            .iter()
            .enumerate()
            .flat_map(|(index, step)| step.channels.iter().map(move |name| (format!("escalate[{index}].channels"), name)));
        first.chain(further)
    }
}

impl AlertSettings {
    /// The routes, in the order of the file.
    pub fn routes(&self) -> Vec<Route> {
        self.routes.iter().enumerate().map(|(index, route)| route.route(index)).collect()
    }

    /// From where on an exception is worse than a warning.
    pub fn thresholds(&self) -> Thresholds {
        let amounts = |texts: &[String]| texts.iter().filter_map(|text| Money::parse(text)).collect();
        Thresholds {
            error_records: self.severity.error_records,
            critical_records: self.severity.critical_records,
            error_money: amounts(&self.severity.error_money),
            critical_money: amounts(&self.severity.critical_money),
            error_after: self.severity.error_after.0,
            error_before: self.severity.error_before.0,
            critical_rules: self.severity.critical_rules.clone(),
            info_rules: self.severity.info_rules.clone(),
        }
    }

    /// What is wrong: setting, message, remedy.
    pub fn faults(&self) -> Vec<(String, String, String)> {
        let mut faults = Vec::new();
        let mut wrong = |path: String, message: String, remedy: &str| faults.push((path, message, remedy.to_owned()));
        for (path, texts) in
            [("severity.error_money", &self.severity.error_money), ("severity.critical_money", &self.severity.critical_money)]
        {
            for text in texts.iter().filter(|text| Money::parse(text).is_none()) {
                wrong(path.to_owned(), format!("{:?} is no amount", short(text)), "Write it as \"1000 EUR\".");
            }
        }
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        for (index, route) in self.routes.iter().enumerate() {
            let at = |setting: &str| format!("routes[{index}].{setting}");
            if let Some(first) = names.insert(route.named(index), index) {
                let message = format!("is the name of the route {} already", first + 1);
                wrong(at("name"), message, "Give each a name of its own.");
            }
            if route.channels.is_empty() {
                wrong(at("channels"), "names nobody to tell".to_owned(), "Name one or more of [alerts.channels].");
            }
            for (step, escalation) in route.escalate.iter().enumerate().filter(|(_, step)| step.channels.is_empty()) {
                let message = format!("nobody is told after {}", escalation.after);
                wrong(at(&format!("escalate[{step}].channels")), message, "Name one or more of [alerts.channels].");
            }
            for pair in route.escalate.windows(2) {
                if let [one, next] = pair
                    && next.after <= one.after
                {
                    let message = format!("{} does not follow {}", next.after, one.after);
                    wrong(at("escalate"), message, "Write the steps in the order of their times.");
                }
            }
            for (setting, name) in route.named_channels().filter(|(_, name)| !self.channels.contains_key(*name)) {
                let remedy = did_you_mean(name, self.channels.keys().map(String::as_str), "Add it as [alerts.channels.NAME].");
                wrong(at(&setting), format!("there is no channel {:?}", short(name)), &remedy);
            }
            for word in route.teams.iter().filter(|word| Team::from_word(word).is_none()) {
                let remedy = did_you_mean(word, Team::ALL.map(Team::word), "Name one of the teams.");
                wrong(at("teams"), format!("there is no team {:?}", short(word)), &remedy);
            }
            if route.quiet.from.0.is_some() != route.quiet.to.0.is_some() {
                wrong(at("quiet"), "has one end only".to_owned(), "Write from and to, as \"22:00\" and \"07:00\".");
            }
            if route.digest.at.0.is_some() && !route.escalate.is_empty() {
                let remedy = "Give what must be answered soon a route of its own, before this one.";
                wrong(at("escalate"), "a digest is never escalated".to_owned(), remedy);
            }
        }
        if self.routes.is_empty() && !self.channels.is_empty() {
            wrong(
                "routes".to_owned(),
                "no route leads to a channel, so nobody is told of anything".to_owned(),
                "Add [[alerts.routes]] with channels.",
            );
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Level, read_text};
    use super::*;

    const HEAD: &str = "brand = \"nordvik\"\n[connections.shop]\nsystem = \"centra\"\n[connections.erp]\nsystem = \"netsuite\"\n[flows.orders]\nfrom = \"shop\"\nto = \"erp\"\n";

    fn wrong(text: &str) -> Vec<(String, String)> {
        let (_, problems) = read_text(Path::new("selvedge.toml"), &format!("{HEAD}{text}"));
        let bad = problems.into_iter().filter(|p| {
            p.level == Level::Bad
                && (p.path.starts_with("alerts") || p.path.starts_with("heartbeat") || p.path.starts_with("silence"))
        });
        bad.map(|problem| (problem.path, problem.message)).collect()
    }

    #[test]
    fn a_whole_example_reads() {
        let text = r#"
[silence]
closed = ["2026-12-25"]
[heartbeat]
url = { env = "BEAT" }
every = "30s"
[alerts.channels.ops]
kind = "slack"
url = { env = "OPS" }
[alerts.channels.oncall]
kind = "pagerduty"
routing_key = { env = "PD" }
[alerts.channels.local]
kind = "webhook"
allow_private = true
url = { env = "W" }
secret = { env = "S" }
[alerts.severity]
critical_money = ["10000 EUR"]
error_before = "off"
[[alerts.routes]]
severity = "error"
channels = ["ops"]
escalate = [{ after = "10m", channels = ["oncall"] }, { after = "30m", channels = ["local"] }]
repeat = "4h"
quiet = { from = "22:00", to = "07:00", days = ["sun"], zone = "Europe/Stockholm" }
[[alerts.routes]]
name = "rest"
channels = ["ops"]
digest = { at = "08:00", day = "mon" }
"#;
        assert_eq!(wrong(text), []);
        let (config, _) = read_text(Path::new("selvedge.toml"), &format!("{HEAD}{text}"));
        assert_eq!(config.channels.len(), 3);
        assert!(config.channels[&ChannelName::from("local")].reach.allow_private);
        let routes = config.alerts.routes();
        assert_eq!(
            (routes[0].name.as_str(), routes[0].steps.len(), routes[0].repeat),
            ("route-1", 3, Some(Duration::from_secs(14_400)))
        );
        assert_eq!(routes[0].quiet.as_ref().unwrap().except, Severity::Critical);
        assert!(routes[1].digest.is_some() && routes[1].quiet.is_none());
        let thresholds = config.alerts.thresholds();
        assert_eq!((thresholds.critical_money, thresholds.error_before), (vec![Money::parse("10000 EUR").unwrap()], None));
        assert_eq!(AlertSettings::default().thresholds().error_before, Some(Duration::from_secs(7_200)));
        assert_eq!(config.heartbeat.unwrap().references.len(), 1);
    }

    #[test]
    fn every_mistake_is_named_at_its_place() {
        for (text, path, message) in [
            (
                "[alerts.channels.ops]\nkind = \"slak\"\n[[alerts.routes]]\nchannels = [\"ops\"]",
                "alerts.channels.ops.kind",
                "no kind of channel",
            ),
            ("[alerts.channels.ops]\n[[alerts.routes]]\nchannels = [\"ops\"]", "alerts.channels.ops.kind", "is missing"),
            (
                "[alerts.channels.ops]\nkind = \"slack\"\nurl = \"https://hooks.slack.com/x\"\n[[alerts.routes]]\nchannels = [\"ops\"]",
                "alerts.channels.ops.url",
                "must not stand",
            ),
            ("[[alerts.routes]]\nchannels = [\"opps\"]", "alerts.routes[0].channels", "no channel"),
            ("[[alerts.routes]]\nchannels = []", "alerts.routes[0].channels", "nobody"),
            ("[[alerts.routes]]\nteams = [\"fin\"]", "alerts.routes[0].teams", "no team"),
            ("[[alerts.routes]]\nquiet = { from = \"22:00\" }", "alerts.routes[0].quiet", "one end"),
            (
                "[[alerts.routes]]\nescalate = [{ after = \"10m\", channels = [\"a\"] }, { after = \"5m\", channels = [\"a\"] }]",
                "alerts.routes[0].escalate",
                "follow",
            ),
            ("[[alerts.routes]]\nname = \"a\"\n[[alerts.routes]]\nname = \"a\"", "alerts.routes[1].name", "already"),
            ("[alerts.severity]\nerror_money = [\"1000\"]", "alerts.severity.error_money", "no amount"),
            ("[alerts.channels.ops]\nkind = \"slack\"\nurl = { env = \"X\" }", "alerts.routes", "no route"),
            ("[silence]\nclosed = [\"christmas\"]", "silence.closed", "no date"),
            ("[silence]\nunwatched = [\"shp\"]", "silence.unwatched", "no connection"),
            ("[heartbeat]\nurl = { env = \"X\" }\nevery = \"soon\"", "heartbeat.every", "stretch of time"),
        ] {
            let found = wrong(text);
            assert!(found.iter().any(|(at, what)| at == path && what.contains(message)), "{text}: {found:?}");
        }
    }
}
