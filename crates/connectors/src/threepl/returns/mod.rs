//! Goods that come back to the warehouse: what the shop expects is announced, and what arrived is read.

pub(super) mod decode;
pub(super) mod encode;

use std::sync::Arc;

use async_trait::async_trait;
use selvedge_connector::{
    Cursor, Decoded, Encoded, Enumerated, EnumeratedPage, Fault, Found, Need, Page, Priority, Raw, Receipt, Request, Sink,
    Source, Standing,
};
use selvedge_model::{
    ExternalId, Interval, Kind, Problem, Return,
    compare::Carries,
    gate::{Lookup, Values},
};

use super::{exchange::Exchange, message::FileKind, news, outbox::Outbox};

/// The port.
pub(super) struct Returns {
    outbox: Outbox,
}

impl Returns {
    pub fn new(exchange: &Arc<Exchange>) -> Self {
        Self {
            outbox: Outbox {
                exchange: Arc::clone(exchange),
                kind: Kind::Return,
                files: (FileKind::Announcement, FileKind::Withdrawal),
                set: ("AN", "180"),
                unacknowledged: "return.unacknowledged",
            },
        }
    }
}

/// Whether a document is a part of a file of theirs: a file of ours is named without a place in it.
fn is_theirs(id: &ExternalId) -> bool {
    id.as_str().contains('#')
}

#[async_trait]
impl Source<Return> for Returns {
    fn decode(&self, raw: &Raw, _words: &Values) -> Decoded<Return> {
        let form = &self.outbox.exchange.form;
        if is_theirs(&raw.id) { decode::receipt(raw, form) } else { decode::announcement(raw, form) }
    }

    async fn list(&self, interval: &Interval, _page: Option<&Cursor>) -> Result<Page, Fault> {
        news::list(&self.outbox.exchange, interval, Kind::Return).await
    }

    /// What they told. What was announced to them is no news to anybody.
    async fn enumerate(&self, interval: &Interval, page: Option<&Cursor>) -> Result<EnumeratedPage, Fault> {
        let page = self.list(interval, page).await?;
        let item = |raw: Raw| Enumerated { id: raw.id, key: None, version: raw.version };
        Ok(EnumeratedPage { items: page.raws.into_iter().map(item).collect(), next: None })
    }

    async fn fetch(&self, ids: &[ExternalId], priority: Priority) -> Result<Vec<Raw>, Fault> {
        let (theirs, ours): (Vec<ExternalId>, Vec<ExternalId>) = ids.iter().cloned().partition(is_theirs);
        let mut raws = self.outbox.fetch(&ours, priority).await?;
        if !theirs.is_empty() {
            raws.extend(news::fetch(&self.outbox.exchange, &theirs, Kind::Return, priority).await?);
        }
        Ok(raws)
    }

    fn fetch_max(&self) -> usize {
        news::FETCH_MAX
    }
}

#[async_trait]
impl Sink<Return> for Returns {
    fn lookups(&self, _record: &Return) -> Vec<Lookup> {
        Vec::new()
    }

    fn needs(&self, _record: &Return) -> Option<Need> {
        None
    }

    fn encode(&self, record: &Return, _values: &Values, there: Standing<'_>) -> Result<Encoded, Vec<Problem>> {
        let form = &self.outbox.exchange.form;
        let own = match there.own {
            Some(raw) => Some(decode::there(raw, form).ok_or_else(|| vec![decode::unreadable(raw, form)])?),
            None => None,
        };
        encode::announcement(record, own.as_ref(), form)
    }

    async fn find(&self, record: &Return) -> Result<Option<Found>, Fault> {
        self.outbox.find(record.key.as_str()).await
    }

    async fn put(&self, request: &Request) -> Result<Receipt, Fault> {
        self.outbox.put(request).await
    }

    /// Lines and units. Whether the goods are there is the warehouse's to say, in a receipt of its own.
    fn carries(&self) -> Carries {
        Carries::default()
    }

    fn finishes_in_one(&self) -> bool {
        false
    }
}
