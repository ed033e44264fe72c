//! Microsoft Teams, by a workflow "When a Teams webhook request is received".
//!
//! The connectors of old (and their message cards) are retired; a workflow takes a message with one Adaptive Card and answers 202. The
//! address carries its own key in the query. A message may have 28 KB.
//! <https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using>

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use selvedge_connector::{
    AlertSink, Budget, Connection, Connector, Fault, OpenContext, Receipt, Secret, Session, SettingProblem,
    settings::{Explained, Reader},
};
use selvedge_model::alert::{
    Event, Links, Message, Severity,
    text::{Paragraph, words},
};
use serde_json::{Map, Value, json};

use super::{Post, cut, receipt, session};

const SETTINGS: Explained =
    &[("url", "The address that the workflow \"When a Teams webhook request is received\" shows; it is a secret.")];
/// What a message may have, less a reserve.
const BYTES_MAX: usize = 26_000;
/// The longest text of one fact.
const FACT_CHARS_MAX: usize = 500;

/// Teams.
#[derive(Debug)]
pub struct Teams;

impl Connector for Teams {
    fn name(&self) -> &'static str {
        "teams"
    }

    fn secret_settings(&self) -> &'static [&'static str] {
        &["url"]
    }

    fn settings(&self) -> BTreeMap<&'static str, &'static str> {
        SETTINGS.iter().copied().collect()
    }

    fn open(&self, context: &OpenContext<'_>) -> Result<Connection, Vec<SettingProblem>> {
        let mut reader = Reader::new(context, SETTINGS);
        let url = reader.secret_address("url");
        let url = reader.finish(url)?;
        let session = session(context, Budget::default());
        let sink = Arc::new(Sink { session: Arc::clone(&session), url });
        Ok(Connection { alert_sink: Some(sink), ..Connection::empty(self.name(), session) })
    }
}

struct Sink {
    session: Arc<Session>,
    url: Secret,
}

#[async_trait]
impl AlertSink for Sink {
    async fn put(&self, message: &Message, links: &Links) -> Result<Receipt, Fault> {
        let post = Post {
            what: format!("tell {} over {}", message.id, "teams"),
            url: &self.url,
            headers: Vec::new(),
            body: encode(message, links).to_string().into_bytes(),
            costs: Vec::new(),
        };
        let answer = post.send(&self.session).await?;
        Ok(receipt(None, &answer))
    }
}

/// Text blocks read Markdown: what stands in brackets must not become a link that we did not make.
fn escape(text: &str) -> String {
    text.replace('[', "\\[")
}

fn block(text: &str, more: &[(&str, Value)]) -> Value {
    let mut block = Map::from_iter([
        ("type".to_owned(), json!("TextBlock")),
        ("wrap".to_owned(), json!(true)),
        ("text".to_owned(), json!(escape(text))),
    ]);
    block.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    Value::Object(block)
}

fn colour(message: &Message) -> &'static str {
    match (message.event, message.severity) {
        (Event::Resolved | Event::Acknowledged, _) => "Good",
        (Event::Test | Event::Digest, _) => "Default",
        (_, Severity::Error | Severity::Critical) => "Attention",
        (_, Severity::Warning) => "Warning",
        (_, Severity::Info) => "Default",
    }
}

/// The document of a message: as many alerts as fit into it.
fn encode(message: &Message, links: &Links) -> Value {
    let mut message = message.clone();
    loop {
        let document = whole(&message, links);
        if message.items.len() < 2 || document.to_string().len() <= BYTES_MAX {
            return document;
        }
        message.items.pop();
        message.more = message.more.saturating_add(1);
    }
}

fn whole(message: &Message, links: &Links) -> Value {
    let words = words(message, links);
    let mut body =
        vec![block(&words.subject, &[("size", json!("Medium")), ("weight", json!("Bolder")), ("color", json!(colour(message)))])];
    if !words.lead.is_empty() {
        body.push(block(&words.lead, &[]));
    }
    for paragraph in &words.paragraphs {
        body.extend(told(paragraph));
    }
    // Links are buttons here.
    let tail = words.tail.iter().filter(|line| !line.contains("://"));
    body.extend(tail.map(|line| block(line, &[("isSubtle", json!(true)), ("size", json!("Small"))])));
    let open = |title: &str, url: &String| json!({ "type": "Action.OpenUrl", "title": title, "url": url });
    let mut actions: Vec<Value> = Vec::new();
    actions.extend(message.event.asks().then_some(()).and(links.acknowledge.as_ref()).map(|url| open("Acknowledge", url)));
    actions.extend(words.paragraphs.first().and_then(|first| first.url.as_ref()).map(|url| open("Open it", url)));
    actions.extend(links.alerts().as_ref().map(|url| open("All alerts", url)));
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "msteams": { "width": "Full" },
                "body": body,
                "actions": actions,
            },
        }],
    })
}

fn told(paragraph: &Paragraph) -> Vec<Value> {
    let fact = |(name, value): &(&str, String)| json!({ "title": name, "value": escape(&cut(value, FACT_CHARS_MAX)) });
    let facts: Vec<Value> = paragraph.facts.iter().map(fact).collect();
    vec![
        block(&cut(&paragraph.title, FACT_CHARS_MAX), &[("separator", json!(true))]),
        json!({ "type": "FactSet", "facts": facts }),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::samples::{links, opened};
    use super::*;

    #[test]
    fn the_bytes_of_a_message() {
        let document = encode(&opened(), &links());
        let card = &document["attachments"][0]["content"];
        assert_eq!(document["type"], "message");
        assert_eq!(document["attachments"][0]["contentType"], "application/vnd.microsoft.card.adaptive");
        assert_eq!(
            card.to_string(),
            concat!(
                r#"{"$schema":"http://adaptivecards.io/schemas/adaptive-card.json","actions":["#,
                r#"{"title":"Acknowledge","type":"Action.OpenUrl","url":"https://desk.example/alerts/ack/abc"},"#,
                r#"{"title":"Open it","type":"Action.OpenUrl","url":"https://desk.example/exceptions/exc_3"},"#,
                r#"{"title":"All alerts","type":"Action.OpenUrl","url":"https://desk.example/alerts"}],"#,
                r#""body":[{"color":"Attention","size":"Medium","text":"\\[critical] 214 records held: shipping method 'express' has no entry (18,200.00 EUR)","type":"TextBlock","weight":"Bolder","wrap":true},"#,
                r#"{"separator":true,"text":"214 records held: shipping method 'express' has no entry (18,200.00 EUR)","type":"TextBlock","wrap":true},"#,
                r#"{"facts":[{"title":"Rule","value":"mapping.shipping_item"},{"title":"Flow","value":"orders"},{"title":"Owner","value":"Engineering"},{"title":"Since","value":"2026-03-02 09:00 UTC"},{"title":"What to do","value":"Add it under Mappings."}],"type":"FactSet"},"#,
                r#"{"isSubtle":true,"size":"Small","text":"nordvik · msg_12","type":"TextBlock","wrap":true}],"#,
                r#""msteams":{"width":"Full"},"type":"AdaptiveCard","version":"1.4"}"#
            )
        );
    }

    #[test]
    fn as_many_alerts_as_fit() {
        let mut message = opened();
        let item = message.items.remove(0);
        message.items = vec![selvedge_model::alert::Item { remedy: "ä".repeat(2_000), ..item }; 20];
        let text = encode(&message, &links()).to_string();
        assert!(text.len() <= BYTES_MAX, "{}", text.len());
        assert!(text.contains(" more."), "what was left out is counted");
    }
}
