//! `[webhooks.NAME]`: which programs are told of events.

use std::collections::BTreeMap;

use selvedge_connectors::channels::WEBHOOK;
use selvedge_model::feed::Pattern;
use serde_json::{Map, Value, json};

use super::{ConnectionConfig, Reading, document::below, system_schema, words::short};

/// The setting that is ours and not the receiver's.
const EVENTS: &str = "events";

/// One program that is told of events.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    /// Where they go.
    pub connection: ConnectionConfig,
    /// Which.
    pub events: Vec<Pattern>,
}

impl Reading<'_> {
    pub(super) fn webhooks(&mut self, written: &BTreeMap<String, Map<String, Value>>) -> BTreeMap<String, WebhookConfig> {
        let mut webhooks = BTreeMap::new();
        for (name, settings) in written {
            let (path, mut settings) = (below("webhooks", name), settings.clone());
            let at = below(&path, EVENTS);
            let events = match settings.remove(EVENTS) {
                Some(Value::Array(texts)) if !texts.is_empty() => self.patterns(&at, &texts),
                _ => {
                    self.wrong(&at, "says nothing of which events", "Write events = [\"exception.*\"], or [\"*\"] for all.");
                    Vec::new()
                }
            };
            webhooks.insert(name.clone(), WebhookConfig { connection: self.opened(&path, WEBHOOK, settings), events });
        }
        webhooks
    }

    fn patterns(&mut self, at: &str, texts: &[Value]) -> Vec<Pattern> {
        let mut patterns = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            let written = text.as_str().unwrap_or_default();
            match written.parse() {
                Ok(pattern) => patterns.push(pattern),
                Err(remedy) => {
                    let message = format!("{:?} names no events", short(written));
                    self.wrong(&format!("{at}[{index}]"), message, remedy);
                }
            }
        }
        patterns
    }
}

/// What one may say, for people and editors.
pub(super) fn schema() -> Value {
    let mut schema = system_schema(WEBHOOK, None);
    let says = "Which events: \"exception.*\", \"act.*\", \"record.held\", or \"*\" for all.";
    schema["properties"][EVENTS] = json!({ "type": "array", "items": { "type": "string" }, "minItems": 1, "description": says });
    schema["required"] = json!([EVENTS]);
    schema
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{Level, read_text};

    const HEAD: &str = "brand = \"nordvik\"\n";

    fn said(text: &str) -> Vec<(String, String)> {
        let (_, problems) = read_text(Path::new("selvedge.toml"), &format!("{HEAD}{text}"));
        let bad = problems.into_iter().filter(|problem| problem.level == Level::Bad && problem.path.starts_with("webhooks"));
        bad.map(|problem| (problem.path, problem.message)).collect()
    }

    #[test]
    fn a_webhook_says_where_and_which() {
        let text = "[webhooks.bi]\nurl = { env = \"BI_URL\" }\nsecret = { env = \"BI_SECRET\" }\nevents = [\"exception.*\", \"record.held\"]\nallow_private = true\n";
        let (config, _) = read_text(Path::new("selvedge.toml"), &format!("{HEAD}{text}"));
        let one = &config.webhooks["bi"];
        assert_eq!(one.events.iter().map(ToString::to_string).collect::<Vec<_>>(), ["exception.*", "record.held"]);
        assert!(one.connection.reach.allow_private);
        assert_eq!(one.connection.references.len(), 2);
        assert!(said(text).is_empty(), "{:?}", said(text));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let refers = "url = { env = \"A\" }\nsecret = { env = \"B\" }\n";
        for (text, path, message) in [
            (format!("[webhooks.bi]\n{refers}"), "webhooks.bi.events", "says nothing"),
            (format!("[webhooks.bi]\n{refers}events = []"), "webhooks.bi.events", "says nothing"),
            (format!("[webhooks.bi]\n{refers}events = [\"orders.*\"]"), "webhooks.bi.events[0]", "names no events"),
            (format!("[webhooks.bi]\n{refers}events = [\"*\", 7]"), "webhooks.bi.events[1]", "names no events"),
            ("[webhooks.bi]\nurl = \"https://x.example\"\nevents = [\"*\"]".to_owned(), "webhooks.bi.url", "secret"),
        ] {
            let found = said(&text);
            assert!(found.iter().any(|(at, what)| at == path && what.contains(message)), "{text}: {found:?}");
        }
    }
}
