//! What comes back: returns as return authorizations with their item receipts (or as inventory adjustments), credit notes as
//! credit memos, refunds as customer refunds; and read back.
//!
//! Each document carries our key as its external id, so that one whose answer was lost is found and a second one is refused.
//! An item receipt is a step of its authorization and is never looked for: the authorization says what it received.

pub(crate) mod adjustment;
pub(crate) mod authorization;
pub(crate) mod credit_memo;
pub(crate) mod period;
pub(crate) mod refund;

use async_trait::async_trait;
use jiff::{Timestamp, civil::DateTime};
use selvedge_connector::{
    Cursor, Decoded, Encoded, Enumerated, EnumeratedPage, Fault, Found, Need, Needed, Page, Priority, Raw, Receipt, Request,
    Sink, Source, Standing,
};
use selvedge_model::{
    CreditNote, ExternalId, Interval, Kind, Problem, RecordKey, Refund, Return,
    compare::Carries,
    gate::{Lookup, Values},
};

use super::{
    client::Client,
    orders::{fetch, find, put},
    settings::{Document, Form, Goods, ReturnSettings},
    shipments::{ORDER, order_key_text},
    suiteql, wire,
};

/// Documents of one page of `list`: each is a call of its own.
const LIST_PAGE: usize = 25;

/// All six ports.
pub(crate) struct Returns {
    pub client: Client,
    pub form: Form,
    pub settings: ReturnSettings,
}

/// One type of transaction that is ours.
#[derive(Clone, Copy)]
struct Shelf {
    kind: Kind,
    /// The record's name in addresses.
    record: &'static str,
    /// The transaction's type in queries.
    query_type: &'static str,
    /// What our external ids begin with.
    prefix: &'static str,
}

const AUTHORIZATIONS: Shelf =
    Shelf { kind: Kind::Return, record: "returnAuthorization", query_type: "RtnAuth", prefix: authorization::PREFIX };
const ADJUSTMENTS: Shelf =
    Shelf { kind: Kind::Return, record: "inventoryAdjustment", query_type: "InvAdjst", prefix: adjustment::PREFIX };
const MEMOS: Shelf = Shelf { kind: Kind::CreditNote, record: "creditMemo", query_type: "CustCred", prefix: credit_memo::PREFIX };
const REFUNDS: Shelf = Shelf { kind: Kind::Refund, record: "customerRefund", query_type: "CustRfnd", prefix: refund::PREFIX };

/// Cash sales hand over and are paid at once; what comes back of them takes another way.
fn no_cash_sale(what: &str, hint: &str) -> Problem {
    Problem::new(
        "credit.cash_sale",
        "",
        format!("orders stand in NetSuite as cash sales here, and a {what} of one is not written"),
        format!("{hint}Set document = \"sales_order\" for this connection, or book it by hand there; then dismiss this with the reason."),
    )
    .cause("cash_sale")
}

fn order_unread(order: &str) -> Problem {
    Problem::new(
        "decode.unreadable",
        "order",
        format!("the sales order of order {order} there could not be read with all its lines"),
        "Look at the document there; if it reads well, update the connector. Then release.",
    )
}

impl Returns {
    fn goods(&self) -> Shelf {
        match self.settings.goods {
            Goods::Authorization => AUTHORIZATIONS,
            Goods::Adjustment => ADJUSTMENTS,
        }
    }

    /// One page of our documents in an interval, by the column that counts.
    async fn page(
        &self,
        shelf: Shelf,
        column: &str,
        interval: &Interval,
        page: Option<&Cursor>,
        limit: usize,
    ) -> Result<EnumeratedPage, Fault> {
        let zone = &self.form.query_time_zone;
        let text = |moment: Timestamp| moment.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
        let sql = format!(
            "SELECT id, externalid, TO_CHAR(lastmodifieddate,'YYYY-MM-DD HH24:MI:SS') AS lm FROM transaction WHERE type = '{}' AND id > ? \
             AND {column} >= TO_TIMESTAMP(?, 'YYYY-MM-DD HH24:MI:SS') AND {column} <= TO_TIMESTAMP(?, 'YYYY-MM-DD HH24:MI:SS') ORDER BY id",
            shelf.query_type
        );
        let last = page.map_or("0", |cursor| cursor.0.as_str());
        let parameters = [last, &text(interval.from), &text(interval.to)];
        let what = format!("list {}s", shelf.kind.word());
        let rows = suiteql::query(&self.client, &what, &sql, &parameters, limit, Priority::Sweeps).await?;
        let full = rows.more || rows.rows.len() >= limit;
        let next = rows.rows.last().and_then(|row| row.get("id")).filter(|_| full).map(|id| Cursor(id.clone()));
        let items = rows.rows.iter().filter_map(|row| {
            // The account's own are nobody's business here.
            let key = wire::key_of_external_id(shelf.prefix, row.get("externalid")?)?;
            let version = row.get("lm").and_then(|text| text.parse::<DateTime>().ok());
            let version = version.and_then(|local| zone.to_timestamp(local).ok());
            Some(Enumerated { id: ExternalId::new(row.get("id")?), key: Some(RecordKey::new(key)), version })
        });
        Ok(EnumeratedPage { items: items.collect(), next })
    }

    async fn documents(&self, shelf: Shelf, interval: &Interval, page: Option<&Cursor>) -> Result<Page, Fault> {
        let found = self.page(shelf, "lastmodifieddate", interval, page, LIST_PAGE).await?;
        let ids: Vec<ExternalId> = found.items.into_iter().map(|item| item.id).collect();
        Ok(Page { raws: self.read(shelf, &ids, Priority::Sweeps).await?, next: found.next })
    }

    async fn read(&self, shelf: Shelf, ids: &[ExternalId], priority: Priority) -> Result<Vec<Raw>, Fault> {
        let mut raws = Vec::new();
        for id in ids {
            raws.extend(fetch(&self.client, shelf.kind, shelf.record, id, priority).await?);
        }
        Ok(raws)
    }

    async fn look(&self, shelf: Shelf, key: &RecordKey) -> Result<Option<Found>, Fault> {
        let sql = format!("SELECT id FROM transaction WHERE externalid = ? AND type = '{}'", shelf.query_type);
        find(&self.client, &sql, &wire::external_id(shelf.prefix, key.as_str())).await
    }
}

#[async_trait]
impl Sink<Return> for Returns {
    fn lookups(&self, ret: &Return) -> Vec<Lookup> {
        authorization::lookups(ret, &self.settings)
    }

    fn needs(&self, ret: &Return) -> Option<Need> {
        let order = authorization::order_of(ret).filter(|_| self.form.document == Document::SalesOrder)?;
        Some(Need {
            what: Needed::Document { kind: Kind::Order, key: order.clone() },
            table: ORDER.to_owned(),
            key_text: order_key_text(order),
        })
    }

    fn encode(&self, ret: &Return, values: &Values, there: Standing<'_>) -> Result<Encoded, Vec<Problem>> {
        match self.settings.goods {
            _ if self.form.document == Document::CashSale => Err(vec![no_cash_sale("return", "")]),
            Goods::Authorization => authorization::encode(ret, values, there, &self.form, &self.settings),
            Goods::Adjustment => adjustment::encode(ret, values, there, &self.form, &self.settings),
        }
    }

    async fn find(&self, record: &Return) -> Result<Option<Found>, Fault> {
        self.look(self.goods(), &record.key).await
    }

    async fn put(&self, request: &Request) -> Result<Receipt, Fault> {
        put(&self.client, request).await
    }

    fn carries(&self) -> Carries {
        // Kits come back whole as kits where all of their parts do.
        Carries { status: true, bundles: true, ..Carries::default() }
    }

    fn finishes_in_one(&self) -> bool {
        // An authorization that stands may still have to be received.
        self.settings.goods == Goods::Adjustment
    }
}

#[async_trait]
impl Source<Return> for Returns {
    fn decode(&self, raw: &Raw, words: &Values) -> Decoded<Return> {
        match self.settings.goods {
            Goods::Authorization => authorization::decode(raw, words),
            Goods::Adjustment => adjustment::decode(raw, words),
        }
    }

    async fn list(&self, interval: &Interval, page: Option<&Cursor>) -> Result<Page, Fault> {
        self.documents(self.goods(), interval, page).await
    }

    async fn enumerate(&self, interval: &Interval, page: Option<&Cursor>) -> Result<EnumeratedPage, Fault> {
        self.page(self.goods(), "createddate", interval, page, suiteql::PAGE).await
    }

    async fn fetch(&self, ids: &[ExternalId], priority: Priority) -> Result<Vec<Raw>, Fault> {
        self.read(self.goods(), ids, priority.max(Priority::Returns)).await
    }

    fn fetch_max(&self) -> usize {
        1
    }
}

#[async_trait]
impl Sink<CreditNote> for Returns {
    fn lookups(&self, note: &CreditNote) -> Vec<Lookup> {
        credit_memo::lookups(note, &self.form)
    }

    fn needs(&self, note: &CreditNote) -> Option<Need> {
        credit_memo::needs(note, &self.form, &self.settings)
    }

    fn encode(&self, note: &CreditNote, values: &Values, there: Standing<'_>) -> Result<Encoded, Vec<Problem>> {
        credit_memo::encode(note, values, there, &self.form, &self.settings)
    }

    async fn find(&self, record: &CreditNote) -> Result<Option<Found>, Fault> {
        self.look(MEMOS, &record.key).await
    }

    async fn put(&self, request: &Request) -> Result<Receipt, Fault> {
        put(&self.client, request).await
    }

    fn carries(&self) -> Carries {
        credit_memo::carries(&self.form)
    }
}

#[async_trait]
impl Source<CreditNote> for Returns {
    fn decode(&self, raw: &Raw, words: &Values) -> Decoded<CreditNote> {
        credit_memo::decode(raw, words, &self.form)
    }

    async fn list(&self, interval: &Interval, page: Option<&Cursor>) -> Result<Page, Fault> {
        self.documents(MEMOS, interval, page).await
    }

    async fn enumerate(&self, interval: &Interval, page: Option<&Cursor>) -> Result<EnumeratedPage, Fault> {
        self.page(MEMOS, "createddate", interval, page, suiteql::PAGE).await
    }

    async fn fetch(&self, ids: &[ExternalId], priority: Priority) -> Result<Vec<Raw>, Fault> {
        self.read(MEMOS, ids, priority.max(Priority::Returns)).await
    }

    fn fetch_max(&self) -> usize {
        1
    }
}

#[async_trait]
impl Sink<Refund> for Returns {
    fn lookups(&self, refund: &Refund) -> Vec<Lookup> {
        refund::lookups(refund)
    }

    fn needs(&self, refund: &Refund) -> Option<Need> {
        refund::needs(refund, &self.form)
    }

    fn encode(&self, refund: &Refund, values: &Values, there: Standing<'_>) -> Result<Encoded, Vec<Problem>> {
        refund::encode(refund, values, there, &self.form, &self.settings)
    }

    async fn find(&self, record: &Refund) -> Result<Option<Found>, Fault> {
        self.look(REFUNDS, &record.key).await
    }

    async fn put(&self, request: &Request) -> Result<Receipt, Fault> {
        put(&self.client, request).await
    }

    fn carries(&self) -> Carries {
        refund::carries(&self.settings)
    }
}

#[async_trait]
impl Source<Refund> for Returns {
    fn decode(&self, raw: &Raw, words: &Values) -> Decoded<Refund> {
        refund::decode(raw, words, &self.settings)
    }

    async fn list(&self, interval: &Interval, page: Option<&Cursor>) -> Result<Page, Fault> {
        self.documents(REFUNDS, interval, page).await
    }

    async fn enumerate(&self, interval: &Interval, page: Option<&Cursor>) -> Result<EnumeratedPage, Fault> {
        self.page(REFUNDS, "createddate", interval, page, suiteql::PAGE).await
    }

    async fn fetch(&self, ids: &[ExternalId], priority: Priority) -> Result<Vec<Raw>, Fault> {
        self.read(REFUNDS, ids, priority.max(Priority::Returns)).await
    }

    fn fetch_max(&self) -> usize {
        1
    }
}
