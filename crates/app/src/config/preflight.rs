//! `[preflight]`: when every value that the shop can send is put through the mappings.

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use selvedge_flow::PreflightSetup;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Config, words::DayTime};
use selvedge_model::ConnectionName;

/// When every value that a shop can send is looked up in the mappings and lists of the targets, before an order carries it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PreflightSettings {
    /// At this time of the local clock every night, as "03:00"; "off" for never (preflight = "off" says the same). Default: 03:00.
    pub at: DayTime,
    /// Whose clock, as "Europe/Stockholm". Default: the time zone of the connection that the first flow of orders comes from, where it says one; else UTC.
    #[schemars(extend("format" = "time_zone"))]
    pub zone: Option<String>,
}

impl Default for PreflightSettings {
    fn default() -> Self {
        Self { at: DayTime(jiff::civil::Time::new(3, 0, 0, 0).ok()), zone: None }
    }
}

impl Config {
    /// When the engine looks; never, where it is off or no orders flow.
    pub fn preflight(&self) -> Option<PreflightSetup> {
        let at = self.preflight.at.0?;
        let first = self.flows.values().find(|flow| flow.kind == super::FlowKind::Order)?;
        let of_shop = || {
            let from = self.connections.get(&ConnectionName::new(&first.from))?;
            from.settings.get("time_zone").and_then(Value::as_str)
        };
        let zone = self.preflight.zone.as_deref().or_else(of_shop).and_then(|name| TimeZone::get(name).ok());
        Some(PreflightSetup { at, zone: zone.unwrap_or(TimeZone::UTC) })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Level, read_text};

    fn read(line: &str, zone: &str) -> (Option<(String, String)>, Vec<String>) {
        let text = format!(
            "brand = \"nordvik\"\n{line}\n[connections.shop]\nsystem = \"centra\"\n{zone}\n[connections.erp]\nsystem = \"netsuite\"\n[flows.orders]\nfrom = \"shop\"\nto = \"erp\"\n"
        );
        let (config, problems) = read_text(Path::new("selvedge.toml"), &text);
        let told = config.preflight().map(|setup| (setup.at.to_string(), setup.zone.iana_name().unwrap_or_default().to_owned()));
        let wrong = problems.into_iter().filter(|p| p.level == Level::Bad && p.path.starts_with("preflight"));
        (told, wrong.map(|problem| problem.path).collect())
    }

    #[test]
    fn it_is_at_three_at_night_where_the_shop_is() {
        let at = |time: &str, zone: &str| Some((time.to_owned(), zone.to_owned()));
        assert_eq!(read("", ""), (at("03:00:00", "UTC"), vec![]));
        assert_eq!(read("", "time_zone = \"Europe/Stockholm\""), (at("03:00:00", "Europe/Stockholm"), vec![]));
        let own = "preflight = { at = \"04:30\", zone = \"Asia/Tokyo\" }";
        assert_eq!(read(own, "time_zone = \"Europe/Stockholm\""), (at("04:30:00", "Asia/Tokyo"), vec![]));
        for off in ["preflight = \"off\"", "preflight.at = \"off\""] {
            assert_eq!(read(off, ""), (None, vec![]), "{off}");
        }
    }

    #[test]
    fn what_is_no_time_and_no_zone_is_named() {
        assert_eq!(read("preflight.at = \"3 am\"", "").1, ["preflight.at"]);
        assert_eq!(read("preflight.zone = \"Stockholm\"", "").1, ["preflight.zone"]);
        assert_eq!(read("preflight = 3", "").1, ["preflight"]);
        assert_eq!(read("preflight = \"on\"", "").1, ["preflight"]);
    }
}
