//! Any receiver, by a signed webhook as <https://www.standardwebhooks.com> describes it: people's alerts, and events for programs.
//!
//! `webhook-id` is the same each time a message is sent, so a receiver can tell a repetition; `webhook-signature` has one signature
//! for each secret, so that a secret can be changed without a gap.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;
use selvedge_connector::{
    AlertSink, Budget, Clock, Connection, Connector, EventSink, Fault, OpenContext, Receipt, Secret, Session, SettingProblem,
    session::HeaderText,
    settings::{Explained, Reader},
    signature::sign_standard_webhook,
};
use selvedge_model::{
    Brand,
    alert::{Item, Links, Message, text::subject},
    feed::Event,
};
use serde_json::{Value, json};

use super::{Post, receipt, session};

const SETTINGS: Explained = &[
    ("url", "Where messages are posted, https://…; it is a secret where it carries a key."),
    ("secret", "What they are signed with: whsec_ and 24 to 64 bytes in base64."),
    ("previous_secret", "The secret before this one, while receivers change over: both sign."),
];

/// A signed webhook.
#[derive(Debug)]
pub struct Webhook;

impl Connector for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn secret_settings(&self) -> &'static [&'static str] {
        &["url", "secret", "previous_secret"]
    }

    fn settings(&self) -> BTreeMap<&'static str, &'static str> {
        SETTINGS.iter().copied().collect()
    }

    fn open(&self, context: &OpenContext<'_>) -> Result<Connection, Vec<SettingProblem>> {
        let mut reader = Reader::new(context, SETTINGS);
        let url = reader.secret_address("url");
        let secret = reader.secret("secret");
        let secrets: Vec<(&str, Secret)> = secret
            .into_iter()
            .map(|one| ("secret", one))
            .chain(reader.maybe_secret("previous_secret").map(|one| ("previous_secret", one)))
            .collect();
        for (path, secret) in &secrets {
            if sign_standard_webhook(secret.reveal(), "", "", b"").is_none() {
                reader.wrong(
                    path,
                    "is no secret of a webhook",
                    "Write whsec_ and 24 to 64 bytes in base64: openssl rand -base64 32",
                );
            }
        }
        let secrets = secrets.into_iter().map(|(_, secret)| secret).collect();
        let url = reader.finish(url)?;
        let session = session(context, Budget::default());
        let sink = Arc::new(Sink { session: Arc::clone(&session), clock: Arc::clone(&context.clock), url, secrets });
        Ok(Connection {
            alert_sink: Some(Arc::<Sink>::clone(&sink)),
            event_sink: Some(sink),
            ..Connection::empty(self.name(), session)
        })
    }
}

struct Sink {
    session: Arc<Session>,
    clock: Arc<dyn Clock>,
    url: Secret,
    secrets: Vec<Secret>,
}

impl Sink {
    async fn send(&self, what: String, id: String, document: &Value) -> Result<Receipt, Fault> {
        let body = document.to_string().into_bytes();
        let headers = signed(&self.secrets, &id, self.clock.now(), &body);
        let post = Post { what, url: &self.url, headers, body, costs: Vec::new() };
        let answer = post.send(&self.session).await?;
        Ok(receipt(Some(id), &answer))
    }
}

#[async_trait]
impl AlertSink for Sink {
    async fn put(&self, message: &Message, links: &Links) -> Result<Receipt, Fault> {
        let what = format!("tell {} over a webhook", message.id);
        self.send(what, format!("{}_{}", message.brand, message.id), &encode(message, links)).await
    }
}

#[async_trait]
impl EventSink for Sink {
    async fn tell(&self, brand: &Brand, event: &Event) -> Result<Receipt, Fault> {
        let what = format!("tell {} over a webhook", event.id);
        self.send(what, format!("{brand}_{}", event.id), &encode_event(brand, event)).await
    }
}

fn signed(secrets: &[Secret], id: &str, now: Timestamp, body: &[u8]) -> Vec<(&'static str, HeaderText)> {
    let moment = now.as_second().to_string();
    let signatures: Vec<String> =
        secrets.iter().filter_map(|secret| sign_standard_webhook(secret.reveal(), id, &moment, body)).collect();
    vec![
        ("webhook-id", HeaderText::Plain(id.to_owned())),
        ("webhook-timestamp", HeaderText::Plain(moment)),
        ("webhook-signature", HeaderText::Plain(signatures.join(" "))),
    ]
}

/// The document of an event.
fn encode_event(brand: &Brand, event: &Event) -> Value {
    json!({ "type": event.kind, "timestamp": event.at, "brand": brand, "data": event.data })
}

/// The document of a message.
fn encode(message: &Message, links: &Links) -> Value {
    let item = |item: &Item| {
        json!({
            "alert": item.alert.to_string(),
            "exception": item.exception.to_string(),
            "severity": item.severity.word(),
            "rule": item.rule,
            "flow": item.flow,
            "team": item.team.word(),
            "message": item.message,
            "remedy": item.remedy,
            "held": item.held,
            "behind": item.behind,
            "money": item.money,
            "since": item.since.to_string(),
            "resolved": item.resolved,
            "url": links.exception(item.exception),
        })
    };
    json!({
        "type": format!("alert.{}", message.event.word()),
        "timestamp": message.at.to_string(),
        "data": {
            "message": message.id.to_string(),
            "brand": message.brand,
            "severity": message.severity.word(),
            "subject": subject(message),
            "acknowledged_by": message.by,
            "acknowledge_url": links.acknowledge.as_ref().filter(|_| message.event.asks()),
            "alerts": message.items.iter().map(item).collect::<Vec<_>>(),
            "more": message.more,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::samples::{links, opened};
    use super::*;

    #[test]
    fn the_bytes_of_a_message() {
        assert_eq!(
            encode(&opened(), &links()).to_string(),
            concat!(
                r#"{"data":{"acknowledge_url":"https://desk.example/alerts/ack/abc","acknowledged_by":null,"alerts":[{"alert":"alr_7","behind":0,"exception":"exc_3","flow":"orders","held":214,"#,
                r#""message":"shipping method 'express' has no entry","money":["18200.00 EUR"],"remedy":"Add it under Mappings.","resolved":null,"rule":"mapping.shipping_item","#,
                r#""severity":"critical","since":"2026-03-02T09:00:00Z","team":"engineering","url":"https://desk.example/exceptions/exc_3"}],"brand":"nordvik","message":"msg_12","more":0,"#,
                r#""severity":"critical","subject":"[critical] 214 records held: shipping method 'express' has no entry (18,200.00 EUR)"},"timestamp":"2026-03-02T09:01:00Z","type":"alert.opened"}"#
            )
        );
    }

    #[test]
    fn the_bytes_of_an_event() {
        let event = Event {
            id: "act-7".to_owned(),
            kind: "act.mapping.set".to_owned(),
            at: "2026-03-02T09:01:00Z".parse().unwrap(),
            data: selvedge_model::feed::Told::Act(selvedge_model::feed::ActTold {
                number: 7,
                actor: "ada".to_owned(),
                action: "mapping.set".to_owned(),
                subject: "books".to_owned(),
                detail: "express is 417".to_owned(),
                hash: "00ff".to_owned(),
            }),
        };
        assert_eq!(
            encode_event(&"nordvik".into(), &event).to_string(),
            concat!(
                r#"{"brand":"nordvik","data":{"action":"mapping.set","actor":"ada","detail":"express is 417","hash":"00ff","number":7,"#,
                r#""subject":"books"},"timestamp":"2026-03-02T09:01:00Z","type":"act.mapping.set"}"#
            )
        );
    }

    #[test]
    fn every_secret_signs() {
        let secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2Vjb25kIHNlY3JldCBvZiBhIHdlYmhvb2s="].map(Secret::new);
        let now: Timestamp = "2021-02-25T15:02:10Z".parse().unwrap();
        let headers = signed(&secrets, "msg_p5jXN8AQM9LWM0D4loKWxEk", now, br#"{"test": 2432232314}"#);
        let shown: Vec<String> = headers
            .iter()
            .map(|(name, text)| match text {
                HeaderText::Plain(text) => format!("{name}: {text}"),
                HeaderText::Hidden(_) => panic!("{name} is no secret"),
            })
            .collect();
        // Worked out with another implementation of HMAC.
        assert_eq!(shown[..2], ["webhook-id: msg_p5jXN8AQM9LWM0D4loKWxEk", "webhook-timestamp: 1614265330"]);
        assert!(shown[2].starts_with("webhook-signature: v1,M04OjfrIllUQVh7F6qzV64l0HX5jtzZ3ZYON+pgbpLA= v1,"), "{}", shown[2]);
        // Our own verifier takes either.
        let headers: Vec<(String, String)> =
            shown.iter().map(|line| line.split_once(": ").unwrap()).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        for secret in &secrets {
            let tolerance = std::time::Duration::from_secs(300);
            let verified = selvedge_connector::signature::verify_standard_webhook(
                secret.reveal(),
                &headers,
                br#"{"test": 2432232314}"#,
                now,
                tolerance,
            );
            assert_eq!(verified, Ok(()));
        }
    }
}
