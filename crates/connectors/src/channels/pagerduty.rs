//! PagerDuty, by the Events API v2: one event for each alert, which it groups and escalates itself.
//!
//! The same `dedup_key` makes a repetition the same incident, so a message that is sent twice is read once; `acknowledge` and
//! `resolve` name it again. An event is answered 202; a summary may have 1,024 characters and an event 512 KB.
//! <https://developer.pagerduty.com/docs/events-api-v2/overview/>

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use selvedge_connector::{
    AlertSink, Answer, Budget, Connection, Connector, Fault, OpenContext, Receipt, Secret, Session, SettingProblem,
    settings::{Explained, Reader},
};
use selvedge_model::alert::{
    Event, Item, Links, Message, Severity,
    text::{subject, words},
};
use serde_json::{Map, Value, json};

use super::{Post, cut, receipt, refused, session};

const SETTINGS: Explained = &[
    ("routing_key", "The integration key of a service with an Events API v2 integration; it is a secret."),
    ("base_url", "Where events go. Default: https://events.pagerduty.com; in the EU https://events.eu.pagerduty.com"),
];
/// The longest summary.
const SUMMARY_CHARS_MAX: usize = 1_024;

/// PagerDuty.
#[derive(Debug)]
pub struct PagerDuty;

impl Connector for PagerDuty {
    fn name(&self) -> &'static str {
        "pagerduty"
    }

    fn secret_settings(&self) -> &'static [&'static str] {
        &["routing_key"]
    }

    fn settings(&self) -> BTreeMap<&'static str, &'static str> {
        SETTINGS.iter().copied().collect()
    }

    fn open(&self, context: &OpenContext<'_>) -> Result<Connection, Vec<SettingProblem>> {
        let mut reader = Reader::new(context, SETTINGS);
        let key = reader.secret("routing_key");
        let base = reader.address("base_url", Some("https://events.pagerduty.com"));
        let (key, base) = reader.finish(key.zip(base))?;
        let session = session(context, Budget::default());
        let url = Secret::new(format!("{base}/v2/enqueue"));
        let sink = Arc::new(Sink { session: Arc::clone(&session), url, key });
        Ok(Connection { alert_sink: Some(sink), ..Connection::empty(self.name(), session) })
    }
}

struct Sink {
    session: Arc<Session>,
    url: Secret,
    key: Secret,
}

#[async_trait]
impl AlertSink for Sink {
    fn one_by_one(&self) -> bool {
        true
    }

    async fn put(&self, message: &Message, links: &Links) -> Result<Receipt, Fault> {
        let answer = self.send(message, action(message.event), links).await?;
        if message.event == Event::Test {
            // A trial leaves nothing open.
            self.send(message, "resolve", links).await?;
        }
        let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let key = dedup_key(message);
        // The proof that it was taken as what it is.
        match told.get("dedup_key").and_then(Value::as_str) {
            Some(known) if known == key => Ok(receipt(Some(key), &answer)),
            _ => Err(refused(format!("tell {}", message.id), "the answer does not name the event that was sent".to_owned())),
        }
    }
}

impl Sink {
    async fn send(&self, message: &Message, action: &'static str, links: &Links) -> Result<Answer, Fault> {
        let mut event = encode(message, action, links);
        event.insert("routing_key".to_owned(), json!(self.key.reveal()));
        let post = Post {
            what: format!("{action} {} over pagerduty", message.id),
            url: &self.url,
            headers: Vec::new(),
            body: Value::Object(event).to_string().into_bytes(),
            costs: Vec::new(),
        };
        post.send(&self.session).await
    }
}

fn action(event: Event) -> &'static str {
    match event {
        Event::Opened | Event::Escalated | Event::Repeated | Event::Digest | Event::Test => "trigger",
        Event::Acknowledged => "acknowledge",
        Event::Resolved => "resolve",
    }
}

/// The same for all that is said of one alert.
fn dedup_key(message: &Message) -> String {
    match message.items.first() {
        Some(item) => format!("selvedge/{}/{}", message.brand, item.alert),
        None => format!("selvedge/{}/{}", message.brand, message.id),
    }
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}

/// The event, without the key of the service.
fn encode(message: &Message, action: &'static str, links: &Links) -> Map<String, Value> {
    let mut event =
        Map::from_iter([("event_action".to_owned(), json!(action)), ("dedup_key".to_owned(), json!(dedup_key(message)))]);
    if action != "trigger" {
        return event;
    }
    let words = words(message, links);
    let item: Option<&Item> = message.items.first();
    let mut details = Map::new();
    if let Some(first) = words.paragraphs.first() {
        details.extend(first.facts.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
    }
    details.insert("Message".to_owned(), json!(message.id.to_string()));
    let mut payload = Map::from_iter([
        ("summary".to_owned(), json!(cut(&subject(message), SUMMARY_CHARS_MAX))),
        ("source".to_owned(), json!(message.brand)),
        ("severity".to_owned(), json!(severity(message.severity))),
        ("timestamp".to_owned(), json!(message.at.to_string())),
        ("custom_details".to_owned(), Value::Object(details)),
    ]);
    if let Some(item) = item {
        payload.insert("class".to_owned(), json!(item.rule));
        payload.insert("group".to_owned(), json!(item.team.word()));
        if !item.flow.is_empty() {
            payload.insert("component".to_owned(), json!(item.flow));
        }
    }
    event.insert("payload".to_owned(), Value::Object(payload));
    event.insert("client".to_owned(), json!("Selvedge"));
    if let Some(url) = links.alerts() {
        event.insert("client_url".to_owned(), json!(url));
    }
    let mut told: Vec<Value> = Vec::new();
    told.extend(words.paragraphs.iter().filter_map(|one| one.url.as_ref()).map(|url| json!({ "href": url, "text": "Open it" })));
    told.extend(
        links.acknowledge.as_ref().filter(|_| message.event.asks()).map(|url| json!({ "href": url, "text": "Acknowledge" })),
    );
    event.insert("links".to_owned(), json!(told));
    event
}

#[cfg(test)]
mod tests {
    use super::super::samples::{links, opened};
    use super::*;

    #[test]
    fn the_bytes_of_an_event() {
        let event = Value::Object(encode(&opened(), "trigger", &links()));
        assert_eq!(
            event.to_string(),
            concat!(
                r#"{"client":"Selvedge","client_url":"https://desk.example/alerts","dedup_key":"selvedge/nordvik/alr_7","event_action":"trigger","#,
                r#""links":[{"href":"https://desk.example/exceptions/exc_3","text":"Open it"},{"href":"https://desk.example/alerts/ack/abc","text":"Acknowledge"}],"#,
                r#""payload":{"class":"mapping.shipping_item","component":"orders","custom_details":{"Flow":"orders","Message":"msg_12","Owner":"Engineering","#,
                r#""Rule":"mapping.shipping_item","Since":"2026-03-02 09:00 UTC","What to do":"Add it under Mappings."},"group":"engineering","severity":"critical","#,
                r#""source":"nordvik","summary":"[critical] 214 records held: shipping method 'express' has no entry (18,200.00 EUR)","timestamp":"2026-03-02T09:01:00Z"}}"#
            )
        );
        let mut over = opened();
        over.event = Event::Resolved;
        assert_eq!(
            Value::Object(encode(&over, action(over.event), &links())).to_string(),
            r#"{"dedup_key":"selvedge/nordvik/alr_7","event_action":"resolve"}"#
        );
    }
}
