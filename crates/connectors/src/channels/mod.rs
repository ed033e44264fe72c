//! The channels over which people are told, and the monitor outside that is told that we live.
//!
//! Each is opened like a connection and offers one port. What a message says is decided in `selvedge_model::alert::text`; a channel
//! puts these words into its own form, and nothing else. No channel can be asked what it has, so its answer is the proof.

pub mod heartbeat;
pub mod mail;
pub mod pagerduty;
#[cfg(test)]
mod samples;
pub mod slack;
pub mod teams;
#[cfg(test)]
mod tests;
pub mod webhook;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use selvedge_connector::{
    Answer, Budget, Call, Connector, Effect, Fault, OpenContext, Priority, Receipt, Secret, Session, SessionConfig, redact,
    session::HeaderText,
};
use selvedge_model::{ExternalId, Problem};

/// Every kind of channel.
pub const CHANNELS: &[&dyn Connector] = &[&mail::Mail, &pagerduty::PagerDuty, &slack::Slack, &teams::Teams, &webhook::Webhook];

/// What programs are told over.
pub const WEBHOOK: &dyn Connector = &webhook::Webhook;

/// The sign of life.
pub const HEARTBEAT: &dyn Connector = &heartbeat::Heartbeat;

/// The kind of channel with this name.
pub fn by_name(name: &str) -> Option<&'static dyn Connector> {
    CHANNELS.iter().copied().find(|channel| channel.name() == name)
}

/// How long a channel may take to answer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The largest answer that is read: a word or a short document.
const BODY_BYTES_MAX: usize = 64 << 10;
/// The longest pause that a channel may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);
/// How much of an answer is repeated to people, in characters.
const SAID_CHARS_MAX: usize = 200;

fn session(context: &OpenContext<'_>, budget: Budget) -> Arc<Session> {
    let config = SessionConfig {
        concurrency_max: 1,
        timeout: TIMEOUT,
        body_bytes_max: BODY_BYTES_MAX,
        retry_after_max: RETRY_AFTER_MAX,
        budget,
        read_only: context.read_only,
        reach: context.reach,
        ..SessionConfig::named(context.name.as_str())
    };
    Session::new(config, Arc::clone(&context.clock))
}

/// One message, ready to leave.
struct Post<'a> {
    what: String,
    url: &'a Secret,
    headers: Vec<(&'static str, HeaderText)>,
    body: Vec<u8>,
    costs: Vec<(&'static str, u32)>,
}

impl Post<'_> {
    /// Sends it, once. Anything but a success is a fault.
    async fn send(self, session: &Session) -> Result<Answer, Fault> {
        let mut headers = vec![("content-type", HeaderText::Plain("application/json".to_owned()))];
        headers.extend(self.headers);
        let call = Call {
            what: self.what.clone(),
            method: "POST",
            url: self.url.reveal().to_owned(),
            headers,
            body: Bytes::from(self.body),
            effect: Effect::Write,
            priority: Priority::Control,
            costs: self.costs,
        };
        let answer = session.send(call).await?;
        taken(self.what, answer)
    }
}

/// What an answer means: taken, try again later, or refused for good.
fn taken(what: String, answer: Answer) -> Result<Answer, Fault> {
    match answer.status {
        200..=299 => Ok(answer),
        408 | 425 | 500..=599 => {
            let source = Some(format!("the channel answered {}: {}", answer.status, said(&answer)).into());
            Err(Fault::Transient { what, source })
        }
        status => Err(refused(what, format!("the channel answered {status}: {}", said(&answer)))),
    }
}

fn refused(what: String, message: String) -> Fault {
    let remedy = "See whether its address and its key are right and whether it still exists, then try it: selvedge alerts test, or selvedge webhooks test.";
    Fault::Refused { what, problems: vec![Problem::new("alert.refused", "", message, remedy)] }
}

/// What an answer says, on one line and bounded.
fn said(answer: &Answer) -> String {
    if answer.body.trim_ascii().is_empty() { String::new() } else { redact::excerpt(&answer.body, SAID_CHARS_MAX) }
}

fn receipt(id: Option<String>, answer: &Answer) -> Receipt {
    let said = said(answer);
    let words = if said.is_empty() { answer.status.to_string() } else { format!("{} {said}", answer.status) };
    Receipt { id: id.map(ExternalId::new), warnings: vec![words] }
}

fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    text.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect()
}
