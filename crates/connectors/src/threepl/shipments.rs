//! What the partner shipped, as its files tell it.

use std::sync::Arc;

use async_trait::async_trait;
use selvedge_connector::{Cursor, Decoded, Enumerated, EnumeratedPage, Fault, Page, Priority, Raw, Source};
use selvedge_model::{ExternalId, Interval, Kind, Shipment, gate::Values};

use super::{decode, exchange::Exchange, news};

/// The port.
pub(super) struct Shipments {
    pub exchange: Arc<Exchange>,
}

#[async_trait]
impl Source<Shipment> for Shipments {
    fn decode(&self, raw: &Raw, _words: &Values) -> Decoded<Shipment> {
        decode::shipment(raw, &self.exchange.form)
    }

    async fn list(&self, interval: &Interval, _page: Option<&Cursor>) -> Result<Page, Fault> {
        news::list(&self.exchange, interval, Kind::Shipment).await
    }

    async fn enumerate(&self, interval: &Interval, page: Option<&Cursor>) -> Result<EnumeratedPage, Fault> {
        let page = self.list(interval, page).await?;
        let item = |raw: Raw| Enumerated { id: raw.id, key: None, version: raw.version };
        Ok(EnumeratedPage { items: page.raws.into_iter().map(item).collect(), next: None })
    }

    async fn fetch(&self, ids: &[ExternalId], priority: Priority) -> Result<Vec<Raw>, Fault> {
        news::fetch(&self.exchange, ids, Kind::Shipment, priority).await
    }

    fn fetch_max(&self) -> usize {
        news::FETCH_MAX
    }
}
