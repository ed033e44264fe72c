//! Customers into the account, and read back.

use async_trait::async_trait;
use selvedge_connector::{
    Cursor, Decoded, Encoded, Enumerated, EnumeratedPage, Fault, Found, Need, Page, Priority, Raw, Receipt, Request, Sink,
    Source, Standing,
};
use selvedge_model::{
    Customer, ExternalId, Interval, Kind, Problem, RecordKey,
    compare::Carries,
    gate::{Lookup, Values},
};

use super::{
    client::Client,
    decode, encode,
    orders::{fetch, find, put},
    settings::Form,
    suiteql, wire,
};

/// Documents of one page of `list`: each is a call of its own.
const LIST_PAGE: usize = 25;

/// Both ports.
pub(crate) struct Customers {
    pub client: Client,
    pub form: Form,
}

impl Customers {
    async fn page(&self, page: Option<&Cursor>, limit: usize) -> Result<EnumeratedPage, Fault> {
        let last = page.map_or("0", |cursor| cursor.0.as_str());
        let sql = "SELECT id, externalid FROM customer WHERE id > ? ORDER BY id";
        let rows = suiteql::query(&self.client, "list customers", sql, &[last], limit, Priority::Sweeps).await?;
        let full = rows.more || rows.rows.len() >= limit;
        let next = rows.rows.last().and_then(|row| row.get("id")).filter(|_| full).map(|id| Cursor(id.clone()));
        let ours = rows.rows.iter().filter_map(|row| {
            let key = wire::key_of_external_id(encode::CUSTOMER_PREFIX, row.get("externalid")?)?;
            Some(Enumerated { id: ExternalId::new(row.get("id")?), key: Some(RecordKey::new(key)), version: None })
        });
        Ok(EnumeratedPage { items: ours.collect(), next })
    }
}

#[async_trait]
impl Sink<Customer> for Customers {
    fn lookups(&self, customer: &Customer) -> Vec<Lookup> {
        encode::customer_lookups(customer, &self.form)
    }

    fn needs(&self, _customer: &Customer) -> Option<Need> {
        None
    }

    fn encode(&self, customer: &Customer, values: &Values, there: Standing<'_>) -> Result<Encoded, Vec<Problem>> {
        encode::customer(customer, values, there.own, &self.form)
    }

    async fn find(&self, record: &Customer) -> Result<Option<Found>, Fault> {
        let key = &record.key;
        let external_id = wire::external_id(encode::CUSTOMER_PREFIX, key.as_str());
        find(&self.client, "SELECT id FROM customer WHERE externalid = ?", &external_id).await
    }

    async fn put(&self, request: &Request) -> Result<Receipt, Fault> {
        put(&self.client, request).await
    }

    fn carries(&self) -> Carries {
        Carries { customer: true, ..Carries::default() }
    }
}

#[async_trait]
impl Source<Customer> for Customers {
    fn decode(&self, raw: &Raw, words: &Values) -> Decoded<Customer> {
        decode::customer(raw, words, &self.form)
    }

    /// Customers carry no change date that the service lets one query safely: every page is of all of ours.
    async fn list(&self, _interval: &Interval, page: Option<&Cursor>) -> Result<Page, Fault> {
        let found = self.page(page, LIST_PAGE).await?;
        let mut raws = Vec::new();
        for item in &found.items {
            raws.extend(fetch(&self.client, Kind::Customer, "customer", &item.id, Priority::Sweeps).await?);
        }
        Ok(Page { raws, next: found.next })
    }

    async fn enumerate(&self, _interval: &Interval, page: Option<&Cursor>) -> Result<EnumeratedPage, Fault> {
        self.page(page, suiteql::PAGE).await
    }

    async fn fetch(&self, ids: &[ExternalId], priority: Priority) -> Result<Vec<Raw>, Fault> {
        let mut raws = Vec::new();
        for id in ids {
            raws.extend(fetch(&self.client, Kind::Customer, "customer", id, priority).await?);
        }
        Ok(raws)
    }

    fn fetch_max(&self) -> usize {
        1
    }
}
