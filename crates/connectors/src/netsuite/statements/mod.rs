//! What stands in the account, whole: orders, credit memos, customer refunds, return authorizations and item fulfilments, some
//! hundred documents a page, whoever made them: the calls grow with the pages and rows, not with the documents.
//!
//! `query` is how they are asked for, `hidden` what an account keeps to itself, `order` of which order each is, `entry` what its
//! rows say (the last three pure).

mod entry;
mod hidden;
mod order;
mod query;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use selvedge_connector::{Cursor, Fault, Priority, StatementPage, Statements as Port};
use selvedge_model::{ExternalId, Interval, Kind, Problem, RecordKey};
use tokio::sync::OnceCell;

use self::{
    entry::{Document, Member, Members, Reading, ShippingItems, moment},
    hidden::Hidden,
    order::Origins,
    query::Heads,
};
use super::{
    client::Client,
    orders,
    returns::{authorization, credit_memo, refund},
    settings::{Form, Goods, ReturnSettings, StatementSettings, Tax},
    shipments,
    suiteql::{self, Row, Rows},
    wire,
};

/// How much is read at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pages {
    /// Documents of one page.
    pub documents: usize,
    /// Rows of one query.
    pub rows: usize,
}

impl Default for Pages {
    fn default() -> Self {
        Self { documents: 500, rows: suiteql::PAGE }
    }
}

/// The port.
pub(crate) struct Statements {
    pub client: Client,
    pub form: Form,
    pub returns: ReturnSettings,
    pub settings: StatementSettings,
    pub pages: Pages,
    shipping_items: OnceCell<ShippingItems>,
}

/// One type of transaction.
#[derive(Clone, Copy)]
struct Shelf {
    query_type: &'static str,
    prefix: &'static str,
}

fn unread(message: &str) -> Problem {
    Problem::new("statement.unread", "", message, "Look at the document in NetSuite; then read the statement again.")
}

impl Statements {
    pub fn new(client: Client, form: Form, returns: ReturnSettings, settings: StatementSettings, pages: Pages) -> Self {
        Self { client, form, returns, settings, pages, shipping_items: OnceCell::new() }
    }

    fn shelf(&self, kind: Kind) -> Option<Shelf> {
        let shelf = |query_type, prefix| Some(Shelf { query_type, prefix });
        match kind {
            Kind::Order => shelf(self.form.document.query_type(), self.form.document.prefix()),
            Kind::CreditNote => shelf("CustCred", credit_memo::PREFIX),
            Kind::Refund => shelf("CustRfnd", refund::PREFIX),
            Kind::Return if self.returns.goods == Goods::Authorization => shelf("RtnAuth", authorization::PREFIX),
            Kind::Shipment => shelf("ItemShip", shipments::PREFIX),
            _ => None,
        }
    }

    /// The heads of a page. What the account refuses on the first page of a statement, that statement goes without; a refusal
    /// after that is one, as half a statement with buyers and half without would compare neither.
    async fn heads(
        &self,
        kind: Kind,
        shelf: Shelf,
        interval: &Interval,
        after: Option<&str>,
        hidden: &mut Hidden,
    ) -> Result<Rows, Fault> {
        let reference = self.returns.reference_field.as_deref().filter(|field| field.starts_with("cust"));
        let zone = &self.form.query_time_zone;
        loop {
            let heads = Heads {
                query_type: shelf.query_type,
                one_world: self.form.one_world,
                priced: matches!(kind, Kind::Order | Kind::CreditNote),
                hidden: *hidden,
                settings: &self.settings,
                reference: reference.filter(|_| kind == Kind::Refund),
            };
            match heads.read(&self.client, interval, zone, after.unwrap_or("0"), self.pages.documents).await? {
                Ok(rows) => return Ok(rows),
                Err(fault) if after.is_some() || !heads.priced => return Err(fault),
                Err(fault) => match hidden.without(&fault.to_string()) {
                    Some(what) => {
                        tracing::warn!(what, %fault, "the account or the role does not show it; the statement goes without");
                    }
                    None => return Err(fault),
                },
            }
        }
    }

    async fn shipping_items(&self) -> Result<&ShippingItems, Fault> {
        let read = || async {
            let rows = query::shipping_items(&self.client, self.pages.rows).await?;
            let named = |row: &Row| Some((row.get("id")?.clone(), row.get("itemid").cloned().unwrap_or_default()));
            Ok(rows.iter().filter_map(named).collect())
        };
        self.shipping_items.get_or_try_init(read).await
    }

    /// Of which orders these documents are, by their ids.
    async fn orders(
        &self,
        kind: Kind,
        shelf: Shelf,
        documents: &BTreeMap<String, Document>,
    ) -> Result<BTreeMap<String, RecordKey>, Fault> {
        let mut orders = BTreeMap::new();
        if kind == Kind::Order {
            let numbered =
                documents.iter().filter_map(|(id, document)| Some((id.clone(), order::number(&document.head, &self.settings)?)));
            return Ok(numbered.collect());
        }
        let mut from: BTreeMap<String, String> = BTreeMap::new();
        let mut unlinked = Vec::new();
        for (id, document) in documents {
            let key = document.head.get("externalid").and_then(|external| wire::key_of_external_id(shelf.prefix, external));
            if let Some(order) = key.as_deref().and_then(order::of_key) {
                orders.insert(id.clone(), order);
            } else if let Some(before) = document.lines.iter().find_map(|line| line.get("createdfrom")) {
                from.insert(id.clone(), before.clone());
            } else {
                unlinked.push(id.clone());
            }
        }
        if kind == Kind::Refund {
            for row in query::links(&self.client, self.pages.rows, &unlinked).await? {
                if let (Some(id), Some(before)) = (row.get("nextdoc"), row.get("previousdoc")) {
                    // Of several memos the first: each is of an order of its own, and the refund cannot be told apart.
                    from.entry(id.clone()).or_insert_with(|| before.clone());
                }
            }
        }
        let mut origins = Origins::default();
        let mut wanted: BTreeSet<String> = from.values().cloned().collect();
        for _ in 0..=order::STEPS {
            wanted.retain(|id| !origins.has(id));
            if wanted.is_empty() {
                break;
            }
            let ids: Vec<String> = wanted.into_iter().collect();
            wanted = origins.learn(query::origins(&self.client, self.pages.rows, &ids, &self.settings).await?);
        }
        for (id, document) in documents {
            if !orders.contains_key(id) {
                let found = from.get(id).and_then(|before| origins.order(before, &self.settings));
                if let Some(order) = found.or_else(|| order::named(&document.head, &self.settings)) {
                    orders.insert(id.clone(), order);
                }
            }
        }
        Ok(orders)
    }

    /// These documents with their lines and taxes.
    async fn documents(&self, kind: Kind, heads: Vec<Row>, hidden: &mut Hidden) -> Result<BTreeMap<String, Document>, Fault> {
        let mut documents: BTreeMap<String, Document> = BTreeMap::new();
        for head in heads {
            if let Some(id) = head.get("id").cloned() {
                documents.insert(id, Document { head, ..Document::default() });
            }
        }
        let ids: Vec<String> = documents.keys().cloned().collect();
        for line in query::lines(&self.client, self.pages.rows, &ids).await? {
            if let Some(document) = line.get("transaction").and_then(|id| documents.get_mut(id)) {
                document.lines.push(line);
            }
        }
        let asks = self.form.tax == Tax::Suite && matches!(kind, Kind::Order | Kind::CreditNote);
        if asks && !ids.is_empty() && hidden.taxes != Some(true) {
            let taxes = match query::taxes(&self.client, self.pages.rows, &ids).await? {
                Ok(taxes) => taxes,
                Err(fault) if hidden.taxes == Some(false) => return Err(fault),
                Err(fault) => {
                    tracing::warn!(%fault, "the account does not show the tax of lines; the statement goes without");
                    hidden.taxes = Some(true);
                    return Ok(documents);
                }
            };
            hidden.taxes = Some(false);
            documents.values_mut().for_each(|document| document.taxes = Some(Vec::new()));
            for tax in taxes {
                if let Some(document) = tax.get("transaction").and_then(|id| documents.get_mut(id)) {
                    document.taxes.get_or_insert_default().push(tax);
                }
            }
        }
        Ok(documents)
    }

    /// The tracking numbers of a fulfilment: no query tells them, so each costs a call.
    async fn tracking(&self, id: &ExternalId) -> Result<Vec<String>, Fault> {
        let raw = orders::fetch(&self.client, Kind::Shipment, "itemFulfillment", id, Priority::Sweeps).await?;
        let document = raw.and_then(|raw| serde_json::from_slice(&raw.body).ok());
        Ok(document.map(|document| shipments::decode::tracking(&document)).unwrap_or_default())
    }

    /// Which items are parts of which kits, of the kits that left.
    async fn members(&self, documents: &BTreeMap<String, Document>) -> Result<Members, Fault> {
        let lines = documents.values().flat_map(|document| &document.lines);
        let kits: BTreeSet<String> = lines
            .filter(|line| line.get("itemtype").is_some_and(|kind| kind == "Kit"))
            .filter_map(|line| line.get("item").cloned())
            .collect();
        let kits: Vec<String> = kits.into_iter().collect();
        let rows = query::members(&self.client, self.pages.rows, &kits).await?;
        let mut members = Members::default();
        for row in &rows {
            if let (Some(kit), Some(member)) = (row.get("parentitem"), Member::read(row)) {
                members.entry(kit.clone()).or_default().push(member);
            }
        }
        Ok(members)
    }
}

#[async_trait]
impl Port for Statements {
    fn kinds(&self) -> &'static [Kind] {
        match self.returns.goods {
            Goods::Authorization => &[Kind::Order, Kind::Shipment, Kind::Return, Kind::CreditNote, Kind::Refund],
            Goods::Adjustment => &[Kind::Order, Kind::Shipment, Kind::CreditNote, Kind::Refund],
        }
    }

    async fn page(&self, kind: Kind, interval: &Interval, page: Option<&Cursor>) -> Result<StatementPage, Fault> {
        let Some(shelf) = self.shelf(kind) else { return Ok(StatementPage::default()) };
        let (after, mut hidden) = page.map(hidden::read).unzip();
        let hidden = hidden.get_or_insert_default();
        let rows = self.heads(kind, shelf, interval, after, hidden).await?;
        let full = rows.more || rows.rows.len() >= self.pages.documents;
        let last = rows.rows.last().and_then(|row| row.get("id")).filter(|id| full && Some(id.as_str()) != after).cloned();
        let zone = &self.form.query_time_zone;
        // One whose time cannot be read is not dropped silently.
        let within = |head: &Row| moment(head, "cd", zone).is_none_or(|at| interval.contains(at));
        let heads: Vec<Row> = rows.rows.into_iter().filter(|head| within(head)).collect();
        let documents = self.documents(kind, heads, hidden).await?;
        let mut told = StatementPage { next: last.map(|id| hidden.cursor(&id)), ..StatementPage::default() };
        let mut orders = self.orders(kind, shelf, &documents).await?;
        let members = if kind == Kind::Shipment { self.members(&documents).await? } else { Members::default() };
        let none = ShippingItems::new();
        let priced = matches!(kind, Kind::Order | Kind::CreditNote) && !documents.is_empty();
        let shipping_items = if priced { self.shipping_items().await? } else { &none };
        let reading = Reading { kind, zone, shipping_items, members: &members, prefix: shelf.prefix };
        for (id, document) in &documents {
            if document.lines.is_empty() {
                told.unread.push((ExternalId::new(id), unread("the document shows no lines to this role")));
                continue;
            }
            match reading.entry(document, orders.remove(id)) {
                Ok(mut entry) => {
                    if kind == Kind::Shipment && self.settings.tracking {
                        entry.tracking = self.tracking(&entry.id).await?;
                    }
                    told.entries.push(entry);
                }
                Err(problem) => told.unread.push((ExternalId::new(id), *problem)),
            }
        }
        Ok(told)
    }
}
