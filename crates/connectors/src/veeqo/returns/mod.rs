//! Goods that come back: what an order says of its returns. Veeqo documents no way to make one from outside.

mod decode;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use selvedge_connector::{Cursor, Decoded, Enumerated, EnumeratedPage, Fault, Page, Priority, Raw, Source};
use selvedge_model::{ExternalId, Interval, Kind, Return, gate::Values};
use serde_json::{Value, json};

use super::{
    client::{Ask, Client},
    decode::{text, time},
    orders::{instant, ours},
    settings::Form,
};

/// The port.
pub(super) struct Returns {
    pub client: Client,
    pub form: Arc<Form>,
}

/// The returns of an order that bring goods back. The vendor samples show one alone as well as a list.
fn raws(order: &Value) -> Vec<Raw> {
    let returns = match &order["returns"] {
        Value::Array(list) => list.as_slice(),
        one @ Value::Object(_) => std::slice::from_ref(one),
        _ => &[],
    };
    let about = json!({ "number": order["number"], "id": order["id"], "merged_order": order["merged_order"] });
    let raw = |one: &Value| {
        // An order is fetched, and its returns with it: both ids are needed to find one again.
        let id = ExternalId::new(format!("{}/{}", text(&order["id"])?, text(&one["id"])?));
        let version = [&order["updated_at"], &one["updated_at"], &one["created_at"]].into_iter().filter_map(time).max();
        let body = json!({ "order": about, "return": one }).to_string().into_bytes().into();
        Some(Raw { kind: Kind::Return, id, version, body })
    };
    returns.iter().filter(|one| decode::brings_goods(one)).filter_map(raw).collect()
}

impl Returns {
    async fn changed(
        &self,
        interval: &Interval,
        page: Option<&Cursor>,
        by: &str,
        priority: Priority,
    ) -> Result<(Vec<Raw>, Option<Cursor>), Fault> {
        let from = instant(interval.from);
        let (rows, next) = ours(&self.client, &self.form, "list returned orders", (by, from.as_str()), page, priority).await?;
        Ok((rows.iter().flat_map(raws).collect(), next))
    }
}

#[async_trait]
impl Source<Return> for Returns {
    fn decode(&self, raw: &Raw, _words: &Values) -> Decoded<Return> {
        decode::returned(raw, &self.form)
    }

    async fn list(&self, interval: &Interval, page: Option<&Cursor>) -> Result<Page, Fault> {
        let (raws, next) = self.changed(interval, page, "updated_at_min", Priority::Returns).await?;
        Ok(Page { raws, next })
    }

    /// By creation of the order: that a return moves its order's last change is not documented, so everything young is looked at.
    async fn enumerate(&self, interval: &Interval, page: Option<&Cursor>) -> Result<EnumeratedPage, Fault> {
        let (raws, next) = self.changed(interval, page, "created_at_min", Priority::Sweeps).await?;
        let item = |raw: Raw| Enumerated { id: raw.id, key: None, version: raw.version };
        Ok(EnumeratedPage { items: raws.into_iter().map(item).collect(), next })
    }

    async fn fetch(&self, ids: &[ExternalId], priority: Priority) -> Result<Vec<Raw>, Fault> {
        let mut found = Vec::new();
        for id in ids {
            let Some((order, _)) = id.as_str().split_once('/') else { continue };
            let ask = Ask::get(format!("read order {order}"), format!("/orders/{order}"), priority.max(Priority::Returns));
            let order = self.client.json(&ask).await?.unwrap_or_default();
            found.extend(raws(&order).into_iter().filter(|raw| raw.id == *id));
        }
        Ok(found)
    }

    fn fetch_max(&self) -> usize {
        1
    }
}
