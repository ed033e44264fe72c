//! A sign of life to a monitor outside, as healthchecks.io, Cronitor and their like take it: a plain request to an address of our own.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use selvedge_connector::{
    Budget, Call, Connection, Connector, Effect, Fault, OpenContext, Priority, Pulse, Secret, Session, SettingProblem,
    settings::{Explained, Reader},
};

use super::{session, taken};

const SETTINGS: Explained = &[
    ("url", "The address that the monitor gave for this check, https://…; it is a secret: who knows it can say that we live."),
    ("method", "get or post. Default: get."),
    ("every", "How often, as \"1m\". Tell the monitor the same, and some grace. Default: 1m."),
];

/// The sign of life.
#[derive(Debug)]
pub struct Heartbeat;

impl Connector for Heartbeat {
    fn name(&self) -> &'static str {
        "heartbeat"
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
        let method = reader.word("method", &[("get", "GET"), ("post", "POST")]);
        let (url, method) = reader.finish(url.zip(method))?;
        let session = session(context, Budget::default());
        let sink = Arc::new(Sink { session: Arc::clone(&session), url, method });
        Ok(Connection { pulse: Some(sink), ..Connection::empty(self.name(), session) })
    }
}

struct Sink {
    session: Arc<Session>,
    url: Secret,
    method: &'static str,
}

#[async_trait]
impl Pulse for Sink {
    async fn beat(&self) -> Result<(), Fault> {
        let call = Call {
            what: "heartbeat".to_owned(),
            method: self.method,
            url: self.url.reveal().to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
            effect: Effect::Read,
            priority: Priority::Control,
            costs: Vec::new(),
        };
        let answer = tokio::time::timeout(Duration::from_secs(10), self.session.send(call)).await;
        let answer = answer.unwrap_or_else(|_| Err(Fault::Transient { what: "heartbeat".to_owned(), source: None }))?;
        taken("heartbeat".to_owned(), answer).map(|_| ())
    }
}
