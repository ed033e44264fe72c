//! One account's calls: address, credentials, headers, one renewal; answers sorted into results and faults.

use std::sync::Arc;

use bytes::Bytes;
use selvedge_connector::{Answer, Call, Effect, Fault, Priority, Session, session::HeaderText};
use serde_json::Value;

use super::{
    auth::Auth,
    errors::{self, Asked},
};

/// A way into one account.
#[derive(Clone)]
pub(crate) struct Client {
    pub session: Arc<Session>,
    auth: Arc<Auth>,
    base_url: Arc<str>,
}

/// One call below the base.
pub(crate) struct Ask<'a> {
    /// For logs and faults.
    pub what: String,
    pub method: &'static str,
    /// Path and query.
    pub path: &'a str,
    pub headers: Vec<(&'static str, &'static str)>,
    pub body: Option<&'a Value>,
    pub effect: Effect,
    pub priority: Priority,
}

impl<'a> Ask<'a> {
    /// A read of one address.
    pub fn get(what: impl Into<String>, path: &'a str, priority: Priority) -> Self {
        Self {
            what: what.into(),
            method: "GET",
            path,
            headers: vec![("accept", "application/json")],
            body: None,
            effect: Effect::Read,
            priority,
        }
    }
}

impl Client {
    pub fn new(session: Arc<Session>, auth: Auth, base_url: &str) -> Self {
        Self { session, auth: Arc::new(auth), base_url: base_url.into() }
    }

    /// The answer, of any status but a 401 that one renewal has mended.
    pub async fn ask(&self, ask: &Ask<'_>) -> Result<Answer, Fault> {
        self.session.permits(ask.effect, &ask.what)?;
        let url = format!("{}{}", self.base_url, ask.path);
        let body: Bytes = match ask.body {
            Some(body) => serde_json::to_vec(body)
                .map_err(|why| Fault::Unexpected {
                    what: ask.what.clone(),
                    detail: format!("the document could not be written: {why}"),
                })?
                .into(),
            None => Bytes::new(),
        };
        let mut renewed = false;
        loop {
            let authorization = self.auth.header(&self.session, ask.method, &url).await?;
            let mut headers: Vec<(&'static str, HeaderText)> = vec![("authorization", HeaderText::Hidden(authorization.clone()))];
            if ask.body.is_some() {
                headers.push(("content-type", HeaderText::Plain("application/json".to_owned())));
            }
            headers.extend(ask.headers.iter().map(|(name, value)| (*name, HeaderText::Plain((*value).to_owned()))));
            let call = Call {
                what: ask.what.clone(),
                method: ask.method,
                url: url.clone(),
                headers,
                body: body.clone(),
                effect: ask.effect,
                priority: ask.priority,
                costs: Vec::new(),
            };
            let answer = self.session.send(call).await?;
            // Nothing has happened behind a 401, so a write may go again, too.
            if answer.status == 401 && !renewed && self.auth.refused(&authorization).await {
                renewed = true;
                continue;
            }
            return Ok(answer);
        }
    }

    /// The answer if it is a success, else the fault that it is.
    pub async fn succeed(&self, ask: &Ask<'_>) -> Result<Answer, Fault> {
        let answer = self.ask(ask).await?;
        if (200..300).contains(&answer.status) { Ok(answer) } else { Err(fault(ask, &answer)) }
    }

    /// A successful answer's JSON.
    pub async fn json(&self, ask: &Ask<'_>) -> Result<Value, Fault> {
        let answer = self.succeed(ask).await?;
        json_of(ask, &answer)
    }
}

/// The fault that an answer is.
pub(crate) fn fault(ask: &Ask<'_>, answer: &Answer) -> Fault {
    errors::fault(
        &Asked {
            what: &ask.what,
            effect: ask.effect,
            sent: ask.body,
            creates: ask.effect == Effect::Write && ask.method == "POST",
        },
        answer,
    )
}

/// An answer's JSON object; a page instead of one is maintenance or a wrong host.
pub(crate) fn json_of(ask: &Ask<'_>, answer: &Answer) -> Result<Value, Fault> {
    match serde_json::from_slice::<Value>(&answer.body) {
        Ok(value) if value.is_object() => Ok(value),
        _ => Err(Fault::Transient { what: ask.what.clone(), source: Some("the answer is not a JSON object".into()) }),
    }
}
