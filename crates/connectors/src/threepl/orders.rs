//! Pick orders to the warehouse, file by file, and what became of them.

use std::sync::Arc;

use async_trait::async_trait;
use selvedge_connector::{
    Cursor, Decoded, Encoded, Enumerated, EnumeratedPage, Fault, Found, Need, Page, Priority, Raw, Receipt, Request, Sink,
    Source, Standing,
};
use selvedge_model::{
    ExternalId, Interval, Kind, Order, Problem,
    compare::Carries,
    gate::{Lookup, Values},
};

use super::{
    decode, encode,
    exchange::{Exchange, order_of},
    message::FileKind,
    outbox::Outbox,
};

/// The port.
pub(super) struct Orders {
    outbox: Outbox,
}

impl Orders {
    pub fn new(exchange: &Arc<Exchange>) -> Self {
        Self {
            outbox: Outbox {
                exchange: Arc::clone(exchange),
                kind: Kind::Order,
                files: (FileKind::Order, FileKind::Cancellation),
                set: ("OW", "940"),
                unacknowledged: "pick.unacknowledged",
            },
        }
    }
}

#[async_trait]
impl Source<Order> for Orders {
    fn decode(&self, raw: &Raw, _words: &Values) -> Decoded<Order> {
        decode::order(raw, &self.outbox.exchange.form)
    }

    async fn list(&self, interval: &Interval, page: Option<&Cursor>) -> Result<Page, Fault> {
        let items = self.enumerate(interval, page).await?.items;
        let ids: Vec<ExternalId> = items.into_iter().map(|item| item.id).collect();
        Ok(Page { raws: self.fetch(&ids, Priority::Sweeps).await?, next: None })
    }

    /// What waits in the partner's folder. What they have taken cannot be enumerated: their answers and shipments tell of it.
    async fn enumerate(&self, _interval: &Interval, _page: Option<&Cursor>) -> Result<EnumeratedPage, Fault> {
        let form = &self.outbox.exchange.form;
        let entries = self.outbox.exchange.list(&form.folders.orders, Priority::Sweeps).await?.unwrap_or_default();
        let prefix = format!("{}_", form.prefix(FileKind::Order));
        let ours = entries.into_iter().filter(|entry| entry.name.starts_with(&prefix));
        let item = |entry: selvedge_sftp::Entry| Enumerated {
            id: ExternalId::new(&entry.name),
            key: order_of(&entry.name).map(selvedge_model::RecordKey::new),
            version: jiff::Timestamp::from_second(entry.modified).ok(),
        };
        Ok(EnumeratedPage { items: ours.map(item).collect(), next: None })
    }

    async fn fetch(&self, ids: &[ExternalId], priority: Priority) -> Result<Vec<Raw>, Fault> {
        self.outbox.fetch(ids, priority).await
    }

    fn fetch_max(&self) -> usize {
        1
    }
}

#[async_trait]
impl Sink<Order> for Orders {
    fn lookups(&self, order: &Order) -> Vec<Lookup> {
        encode::lookups(order, &self.outbox.exchange.form)
    }

    fn needs(&self, _order: &Order) -> Option<Need> {
        None
    }

    fn encode(&self, order: &Order, values: &Values, there: Standing<'_>) -> Result<Encoded, Vec<Problem>> {
        let own = match there.own {
            Some(raw) => Some(decode::there(raw, &self.outbox.exchange.form).ok_or_else(|| {
                vec![Problem::new(
                    "decode.unreadable",
                    "",
                    format!("the copy of {} cannot be read", raw.id),
                    "Look at it in the folder of sent files; ask the warehouse what they have, then dismiss or release.",
                )]
            })?),
            None => None,
        };
        encode::order(order, values, own.as_ref(), &self.outbox.exchange.form)
    }

    async fn find(&self, record: &Order) -> Result<Option<Found>, Fault> {
        self.outbox.find(record.number.as_str()).await
    }

    async fn put(&self, request: &Request) -> Result<Receipt, Fault> {
        self.outbox.put(request).await
    }

    fn carries(&self) -> Carries {
        Carries { status: true, ..Carries::default() }
    }

    fn finishes_in_one(&self) -> bool {
        false
    }
}
