//! Credit notes as files: a desk of customer service, or a portal for returns, hands over what it has credited.

pub(super) mod decode;

use std::sync::Arc;

use async_trait::async_trait;
use selvedge_connector::{Cursor, Decoded, Enumerated, EnumeratedPage, Fault, Page, Priority, Raw, Source};
use selvedge_model::{CreditNote, ExternalId, Interval, Kind, gate::Values};

use super::{exchange::Exchange, news};

/// The port.
pub(super) struct Credits {
    pub exchange: Arc<Exchange>,
}

#[async_trait]
impl Source<CreditNote> for Credits {
    fn decode(&self, raw: &Raw, _words: &Values) -> Decoded<CreditNote> {
        decode::credit(raw, &self.exchange.form)
    }

    async fn list(&self, interval: &Interval, _page: Option<&Cursor>) -> Result<Page, Fault> {
        news::list(&self.exchange, interval, Kind::CreditNote).await
    }

    async fn enumerate(&self, interval: &Interval, page: Option<&Cursor>) -> Result<EnumeratedPage, Fault> {
        let page = self.list(interval, page).await?;
        let item = |raw: Raw| {
            let key =
                raw.id.as_str().split_once('#').map(|(_, key)| key).filter(|key| *key != "whole" && !key.starts_with("row "));
            Enumerated { key: key.map(selvedge_model::RecordKey::new), id: raw.id.clone(), version: raw.version }
        };
        Ok(EnumeratedPage { items: page.raws.into_iter().map(item).collect(), next: None })
    }

    async fn fetch(&self, ids: &[ExternalId], priority: Priority) -> Result<Vec<Raw>, Fault> {
        news::fetch(&self.exchange, ids, Kind::CreditNote, priority).await
    }

    fn fetch_max(&self) -> usize {
        news::FETCH_MAX
    }
}
