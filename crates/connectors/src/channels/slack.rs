//! Slack, by an incoming webhook: one address for one channel of a workspace.
//!
//! A JSON document with `text` (what notifications show) and `blocks`; the answer is `ok`. In text `&`, `<` and `>` are escaped, so
//! that nothing in it becomes a link or calls everybody. One message a second; more is answered 429 with `Retry-After`.
//! <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use selvedge_connector::{
    AlertSink, Budget, BudgetWindow, Connection, Connector, Fault, OpenContext, Receipt, Secret, Session, SettingProblem,
    settings::{Explained, Reader},
};
use selvedge_model::alert::{
    Links, Message,
    text::{Paragraph, words},
};
use serde_json::{Value, json};

use super::{Post, cut, receipt, session};

const SETTINGS: Explained =
    &[("url", "The address of the incoming webhook, https://hooks.slack.com/services/…; it is a secret.")];
/// The longest text of a section.
const SECTION_CHARS_MAX: usize = 3_000;

/// Slack.
#[derive(Debug)]
pub struct Slack;

impl Connector for Slack {
    fn name(&self) -> &'static str {
        "slack"
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
        let one_a_second = BudgetWindow { name: "messages", quota: 1, per: Duration::from_secs(1) };
        let session = session(context, Budget { windows: vec![one_a_second] });
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
            what: format!("tell {} over {}", message.id, "slack"),
            url: &self.url,
            headers: Vec::new(),
            body: encode(message, links).to_string().into_bytes(),
            costs: vec![("messages", 1)],
        };
        let answer = post.send(&self.session).await?;
        Ok(receipt(None, &answer))
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The document of a message.
fn encode(message: &Message, links: &Links) -> Value {
    let words = words(message, links);
    let section =
        |text: String| json!({ "type": "section", "text": { "type": "mrkdwn", "text": cut(&text, SECTION_CHARS_MAX) } });
    let subject = escape(&words.subject);
    let mut blocks = vec![section(format!("*{subject}*"))];
    if !words.lead.is_empty() {
        blocks.push(section(escape(&words.lead)));
    }
    blocks.extend(words.paragraphs.iter().map(|one| section(paragraph(one))));
    let tail: Vec<Value> =
        words.tail.iter().map(|line| json!({ "type": "mrkdwn", "text": cut(&escape(line), SECTION_CHARS_MAX) })).collect();
    blocks.push(json!({ "type": "context", "elements": tail }));
    json!({ "text": subject, "blocks": blocks })
}

fn paragraph(paragraph: &Paragraph) -> String {
    let mut text = escape(&paragraph.title);
    for (name, value) in &paragraph.facts {
        text.push_str(&format!("\n{name}: {}", escape(value)));
    }
    if let Some(url) = &paragraph.url {
        text.push_str(&format!("\n<{}|Open it>", escape(url)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::samples::{links, opened};
    use super::*;

    #[test]
    fn the_bytes_of_a_message() {
        let mut message = opened();
        message.items[0].message = "method <express> & <!channel> has no entry".to_owned();
        assert_eq!(
            encode(&message, &links()).to_string(),
            concat!(
                r#"{"blocks":["#,
                r#"{"text":{"text":"*[critical] 214 records held: method &lt;express&gt; &amp; &lt;!channel&gt; has no entry (18,200.00 EUR)*","type":"mrkdwn"},"type":"section"},"#,
                r#"{"text":{"text":"214 records held: method &lt;express&gt; &amp; &lt;!channel&gt; has no entry (18,200.00 EUR)\nRule: mapping.shipping_item\nFlow: orders\nOwner: Engineering\nSince: 2026-03-02 09:00 UTC\nWhat to do: Add it under Mappings.\n<https://desk.example/exceptions/exc_3|Open it>","type":"mrkdwn"},"type":"section"},"#,
                r#"{"elements":[{"text":"Acknowledge, so that nobody else is told: https://desk.example/alerts/ack/abc","type":"mrkdwn"},{"text":"All alerts: https://desk.example/alerts","type":"mrkdwn"},{"text":"nordvik · msg_12","type":"mrkdwn"}],"type":"context"}],"#,
                r#""text":"[critical] 214 records held: method &lt;express&gt; &amp; &lt;!channel&gt; has no entry (18,200.00 EUR)"}"#
            )
        );
    }

    #[test]
    fn the_largest_message_keeps_within_the_limits() {
        let mut message = opened();
        let item = message.items.remove(0);
        message.items = vec![selvedge_model::alert::Item { remedy: "&".repeat(2_000), ..item }; 20];
        let document = encode(&message, &links());
        let blocks = document["blocks"].as_array().unwrap();
        assert!(blocks.len() <= 50);
        assert!(blocks.iter().all(|block| block["text"]["text"].as_str().is_none_or(|text| text.chars().count() <= 3_000)));
    }
}
