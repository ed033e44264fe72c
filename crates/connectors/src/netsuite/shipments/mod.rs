//! Shipments into the account as item fulfilments of the sales order, and read back.
//!
//! A fulfilment is made by transforming the order; our key of the shipment is its external id, so that one that was made and
//! whose answer was lost is found, and a second one is refused.

pub(crate) mod decode;
pub(crate) mod encode;

use async_trait::async_trait;
use jiff::{Timestamp, civil::DateTime};
use selvedge_connector::{
    Cursor, Decoded, Encoded, Enumerated, EnumeratedPage, Fault, Found, Need, Needed, Page, Priority, Raw, Receipt, Request,
    Sink, Source, Standing,
};
use selvedge_model::{
    ExternalId, Interval, Kind, Problem, RecordKey, Shipment,
    compare::Carries,
    gate::{Lookup, Values},
};

use super::{
    client::Client,
    orders::{fetch, find, put},
    settings::{Document, Form, ShipmentSettings},
    suiteql, wire,
};

/// Fulfilments of one page of `list`: each is a call of its own.
const LIST_PAGE: usize = 25;
/// What our external ids begin with: they are unique over all transactions, so the type is in them.
pub(crate) const PREFIX: &str = "if_";
/// The table under which the order's id stands among the values.
pub(crate) const ORDER: &str = "order";
/// The record.
const RECORD: &str = "itemFulfillment";

/// Both ports.
pub(crate) struct Shipments {
    pub client: Client,
    pub form: Form,
    pub settings: ShipmentSettings,
}

/// The key text under which the id of a shipment's order stands.
pub(crate) fn order_key_text(order: &RecordKey) -> String {
    selvedge_model::gate::mapping::key_text(&[(ORDER.to_owned(), order.to_string())])
}

impl Shipments {
    /// One page of our fulfilments in an interval, by the column that counts.
    async fn page(
        &self,
        column: &str,
        interval: &Interval,
        page: Option<&Cursor>,
        limit: usize,
    ) -> Result<EnumeratedPage, Fault> {
        let zone = &self.form.query_time_zone;
        let text = |moment: Timestamp| moment.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
        let sql = format!(
            "SELECT id, externalid, TO_CHAR(lastmodifieddate,'YYYY-MM-DD HH24:MI:SS') AS lm FROM transaction WHERE type = 'ItemShip' AND id > ? \
             AND {column} >= TO_TIMESTAMP(?, 'YYYY-MM-DD HH24:MI:SS') AND {column} <= TO_TIMESTAMP(?, 'YYYY-MM-DD HH24:MI:SS') ORDER BY id"
        );
        let last = page.map_or("0", |cursor| cursor.0.as_str());
        let parameters = [last, &text(interval.from), &text(interval.to)];
        let rows = suiteql::query(&self.client, "list fulfilments", &sql, &parameters, limit, Priority::Sweeps).await?;
        let full = rows.more || rows.rows.len() >= limit;
        let next = rows.rows.last().and_then(|row| row.get("id")).filter(|_| full).map(|id| Cursor(id.clone()));
        let items = rows.rows.iter().filter_map(|row| {
            // The account's own are nobody's business here.
            let key = wire::key_of_external_id(PREFIX, row.get("externalid")?)?;
            let version = row.get("lm").and_then(|text| text.parse::<DateTime>().ok());
            let version = version.and_then(|local| zone.to_timestamp(local).ok());
            Some(Enumerated { id: ExternalId::new(row.get("id")?), key: Some(RecordKey::new(key)), version })
        });
        Ok(EnumeratedPage { items: items.collect(), next })
    }

    async fn read(&self, ids: &[ExternalId], priority: Priority) -> Result<Vec<Raw>, Fault> {
        let mut raws = Vec::new();
        for id in ids {
            raws.extend(fetch(&self.client, Kind::Shipment, RECORD, id, priority).await?);
        }
        Ok(raws)
    }
}

#[async_trait]
impl Sink<Shipment> for Shipments {
    fn lookups(&self, shipment: &Shipment) -> Vec<Lookup> {
        encode::lookups(shipment)
    }

    fn needs(&self, shipment: &Shipment) -> Option<Need> {
        // A cash sale has handed its goods over already; `encode` says so.
        (self.form.document == Document::SalesOrder).then(|| Need {
            what: Needed::Document { kind: Kind::Order, key: shipment.order.clone() },
            table: ORDER.to_owned(),
            key_text: order_key_text(&shipment.order),
        })
    }

    fn encode(&self, shipment: &Shipment, values: &Values, there: Standing<'_>) -> Result<Encoded, Vec<Problem>> {
        encode::shipment(shipment, values, there, &self.form, &self.settings)
    }

    async fn find(&self, record: &Shipment) -> Result<Option<Found>, Fault> {
        let external_id = wire::external_id(PREFIX, record.key.as_str());
        find(&self.client, "SELECT id FROM transaction WHERE externalid = ? AND type = 'ItemShip'", &external_id).await
    }

    async fn put(&self, request: &Request) -> Result<Receipt, Fault> {
        put(&self.client, request).await
    }

    fn carries(&self) -> Carries {
        // Picked or packed, it has not left as far as NetSuite goes.
        Carries { status: self.settings.status == "C", tracking: true, bundles: true, ..Carries::default() }
    }
}

#[async_trait]
impl Source<Shipment> for Shipments {
    fn decode(&self, raw: &Raw, words: &Values) -> Decoded<Shipment> {
        decode::shipment(raw, words)
    }

    async fn list(&self, interval: &Interval, page: Option<&Cursor>) -> Result<Page, Fault> {
        let found = self.page("lastmodifieddate", interval, page, LIST_PAGE).await?;
        let ids: Vec<ExternalId> = found.items.into_iter().map(|item| item.id).collect();
        Ok(Page { raws: self.read(&ids, Priority::Sweeps).await?, next: found.next })
    }

    async fn enumerate(&self, interval: &Interval, page: Option<&Cursor>) -> Result<EnumeratedPage, Fault> {
        self.page("createddate", interval, page, suiteql::PAGE).await
    }

    async fn fetch(&self, ids: &[ExternalId], priority: Priority) -> Result<Vec<Raw>, Fault> {
        self.read(ids, priority.max(Priority::Shipments)).await
    }

    fn fetch_max(&self) -> usize {
        1
    }
}
