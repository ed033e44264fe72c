//! E-mail, by SMTP with submission: EHLO, STARTTLS (or TLS from the start), AUTH, one message to all receivers.
//!
//! The message's `Message-ID` is the same each time it is sent. What the server answers to the end of the data is the proof. The
//! server's address is looked up and judged here ([`selvedge_connector::Reach`]), and exactly that one is connected to; the
//! certificate is held against the name.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Tokio1Executor,
    message::{Mailbox, SinglePart, header},
    transport::smtp::{
        authentication::Credentials,
        client::{Tls, TlsParameters},
    },
};
use selvedge_connector::{
    AlertSink, Budget, Connection, Connector, Fault, OpenContext, Reach, Receipt, Refusal, Secret, SettingProblem,
    settings::{Explained, Reader},
};
use selvedge_model::{
    ExternalId, Problem,
    alert::{
        Links, Message,
        text::{plain_text, words},
    },
};
use serde_json::Value;

use super::{SAID_CHARS_MAX, TIMEOUT, refused, session};

const SETTINGS: Explained = &[
    ("host", "The mail server that takes messages, as \"smtp.example.com\"."),
    ("port", "Its port. Default: 587, or 465 with tls = \"tls\"."),
    ("tls", "starttls, tls (from the start) or none. Default: starttls."),
    ("user", "The name to log in with, if it wants one."),
    ("password", "The password to log in with; it is a secret."),
    ("from", "The sender, as \"alerts@example.com\" or \"Selvedge <alerts@example.com>\"."),
    ("to", "The receivers, as [\"ops@example.com\"]."),
];
/// The most receivers of one channel.
const RECEIVERS_MAX: usize = 50;

/// E-mail.
#[derive(Debug)]
pub struct Mail;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Security {
    StartTls,
    Tls,
    None,
}

impl Connector for Mail {
    fn name(&self) -> &'static str {
        "mail"
    }

    fn secret_settings(&self) -> &'static [&'static str] {
        &["password"]
    }

    fn settings(&self) -> BTreeMap<&'static str, &'static str> {
        SETTINGS.iter().copied().collect()
    }

    fn open(&self, context: &OpenContext<'_>) -> Result<Connection, Vec<SettingProblem>> {
        let mut reader = Reader::new(context, SETTINGS);
        let host = reader.required("host");
        let words = [("starttls", Security::StartTls), ("tls", Security::Tls), ("none", Security::None)];
        let security = reader.word("tls", &words).unwrap_or(Security::StartTls);
        let port = reader.number("port", if security == Security::Tls { 465 } else { 587 }, 1..=65_535);
        let user = reader.get("user").is_some().then(|| reader.text("user")).flatten();
        let password = reader.maybe_secret("password");
        if user.is_some() != password.is_some() {
            reader.wrong(
                "password",
                "a name to log in with and its password belong together",
                "Write both of user and password, or none.",
            );
        }
        let from = reader.required("from").and_then(|text| mailbox(&mut reader, "from", &text));
        let to = receivers(&mut reader);
        let scheme = if security == Security::None { "http" } else { "https" };
        let allowed = host.as_ref().is_none_or(|host| reader.may_reach("host", &format!("{scheme}://{host}")));
        let made = host.zip(from).filter(|_| allowed).map(|(host, from)| Sink {
            host,
            port: u16::try_from(port).unwrap_or(587),
            security,
            login: user.zip(password),
            from,
            to,
            reach: context.reach,
        });
        let sink = reader.finish(made)?;
        // Mail goes over a connection of its own; the session only tells that nothing was counted.
        let session = session(context, Budget::default());
        Ok(Connection { alert_sink: Some(Arc::new(sink)), ..Connection::empty(self.name(), session) })
    }
}

fn mailbox(reader: &mut Reader<'_>, path: &str, text: &str) -> Option<Mailbox> {
    let found = text.parse().ok();
    if found.is_none() {
        reader.wrong(path, "is no e-mail address", "Write it as \"name@example.com\" or \"Name <name@example.com>\".");
    }
    found
}

fn receivers(reader: &mut Reader<'_>) -> Vec<Mailbox> {
    let texts: Vec<String> = match reader.get("to") {
        Some(Value::Array(list)) => list.iter().map(|one| one.as_str().unwrap_or_default().to_owned()).collect(),
        Some(Value::String(one)) => vec![one.clone()],
        _ => Vec::new(),
    };
    if texts.is_empty() || texts.len() > RECEIVERS_MAX {
        reader.wrong("to", format!("must name 1 to {RECEIVERS_MAX} receivers"), "Write them as [\"ops@example.com\"].");
    }
    texts.iter().filter_map(|text| mailbox(reader, "to", text)).collect()
}

struct Sink {
    host: String,
    port: u16,
    security: Security,
    login: Option<(String, Secret)>,
    from: Mailbox,
    to: Vec<Mailbox>,
    reach: Reach,
}

#[async_trait]
impl AlertSink for Sink {
    async fn put(&self, message: &Message, links: &Links) -> Result<Receipt, Fault> {
        let what = format!("tell {} by mail", message.id);
        let document = encode(message, links, &self.from, &self.to).map_err(|why| refused(what.clone(), why))?;
        let transport = self.transport(&what).await?;
        match transport.send(document).await {
            Ok(answer) => {
                let said: String = answer.message().collect::<Vec<_>>().join(" ").chars().take(SAID_CHARS_MAX).collect();
                Ok(Receipt {
                    id: Some(ExternalId::new(message_id(message, &self.from))),
                    warnings: vec![format!("{} {said}", answer.code())],
                })
            }
            Err(error) => Err(sorted(what, error)),
        }
    }
}

impl Sink {
    async fn transport(&self, what: &str) -> Result<AsyncSmtpTransport<Tokio1Executor>, Fault> {
        let found = tokio::time::timeout(TIMEOUT, self.reach.resolve(&self.host, self.port)).await;
        let lost = |why: String| Fault::Transient { what: what.to_owned(), source: Some(why.into()) };
        let address = match found {
            Err(_) => return Err(lost(format!("{} was not found in time", self.host))),
            Ok(Ok(addresses)) => {
                addresses.into_iter().next().ok_or_else(|| lost(format!("{} stands for no address", self.host)))?
            }
            Ok(Err(error)) => match error.downcast::<Refusal>() {
                Ok(refusal) => {
                    let problem = Problem::new("connection.reach", "", refusal.to_string(), refusal.remedy());
                    return Err(Fault::Refused { what: what.to_owned(), problems: vec![problem] });
                }
                Err(error) => return Err(lost(format!("{}: {error}", self.host))),
            },
        };
        let parameters = || TlsParameters::new(self.host.clone()).map_err(|error| lost(error.to_string()));
        let tls = match self.security {
            Security::StartTls => Tls::Required(parameters()?),
            Security::Tls => Tls::Wrapper(parameters()?),
            Security::None => Tls::None,
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address.ip().to_string())
            .port(self.port)
            .tls(tls)
            .timeout(Some(TIMEOUT));
        if let Some((user, password)) = &self.login {
            builder = builder.credentials(Credentials::new(user.clone(), password.reveal().to_owned()));
        }
        Ok(builder.build())
    }
}

/// What an error of the conversation means.
fn sorted(what: String, error: lettre::transport::smtp::Error) -> Fault {
    let mut said = error.to_string();
    if let Some(source) = std::error::Error::source(&error) {
        said = format!("{said}: {source}");
    }
    if error.is_permanent() {
        return refused(what, format!("the mail server refuses: {}", said.chars().take(SAID_CHARS_MAX).collect::<String>()));
    }
    // A server that asks to come back, or a connection that did not come about, took nothing. Anything else may have been taken.
    if error.is_transient() || error.is_tls() || said.contains("Connection error") {
        return Fault::Transient { what, source: Some(said.into()) };
    }
    Fault::Unanswered { what, source: Some(said.into()) }
}

fn message_id(message: &Message, from: &Mailbox) -> String {
    format!("<{}.{}.selvedge@{}>", message.id, message.brand, from.email.domain())
}

/// `Auto-Submitted: auto-generated`: nobody's holiday notice answers it.
#[derive(Clone)]
struct AutoSubmitted;

impl header::Header for AutoSubmitted {
    fn name() -> header::HeaderName {
        header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> header::HeaderValue {
        header::HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// The document of a message.
fn encode(message: &Message, links: &Links, from: &Mailbox, to: &[Mailbox]) -> Result<lettre::Message, String> {
    let words = words(message, links);
    let mut builder = lettre::Message::builder()
        .from(from.clone())
        .date(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(message.at.as_second().unsigned_abs()))
        .message_id(Some(message_id(message, from)))
        .subject(words.subject.clone())
        .header(AutoSubmitted);
    for receiver in to {
        builder = builder.to(receiver.clone());
    }
    builder.singlepart(SinglePart::plain(plain_text(&words))).map_err(|error| format!("the message cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::super::samples::{links, opened};
    use super::*;

    #[test]
    fn the_bytes_of_a_message() {
        let from = "Selvedge <alerts@nordvik.example>".parse().unwrap();
        let to = ["ops@nordvik.example".parse().unwrap(), "Anna Ö <anna@nordvik.example>".parse().unwrap()];
        let mut message = opened();
        message.items[0].message = "method 'expreß' has no entry".to_owned();
        let bytes = encode(&message, &links(), &from, &to).unwrap().formatted();
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "From: Selvedge <alerts@nordvik.example>\r\n\
             Date: Mon, 02 Mar 2026 09:01:00 +0000\r\n\
             Message-ID: <msg_12.nordvik.selvedge@nordvik.example>\r\n\
             Subject: [critical] 214 records held: method =?utf-8?b?J2V4cHJlw58n?= has no\r\n entry (18,200.00 EUR)\r\n\
             Auto-Submitted: auto-generated\r\n\
             To: ops@nordvik.example, =?utf-8?b?QW5uYSDDlg==?= <anna@nordvik.example>\r\n\
             MIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: quoted-printable\r\n\
             \r\n\
             214 records held: method 'expre=C3=9F' has no entry (18,200.00 EUR)\r\n\
             \x20 Rule: mapping.shipping_item\r\n\
             \x20 Flow: orders\r\n\
             \x20 Owner: Engineering\r\n\
             \x20 Since: 2026-03-02 09:00 UTC\r\n\
             \x20 What to do: Add it under Mappings.\r\n\
             \x20 https://desk.example/exceptions/exc_3\r\n\
             \r\n\
             Acknowledge, so that nobody else is told: https://desk.example/alerts/ack/a=\r\n\
             bc\r\n\
             All alerts: https://desk.example/alerts\r\n\
             nordvik =C2=B7 msg_12\r\n\r\n"
        );
    }
}
