//! What stands in Centra, whole: orders, shipments, returns, and what was credited and paid back, a page of full documents a
//! call, by when they were made.
//!
//! Orders, shipments and returns are found by their own `createdAt`, which never changes, so that every one of them is in
//! exactly one window. A credit note and a refund have no list of their own: a return tells them, or an order does where
//! money went back for no return. They come to be later than what tells them. So for a window of theirs two lists are read:
//! returns made in the window or in the `return_watch_days` before it, and orders that changed since the window began
//! (that a refund changes its order is inferred); what was credited and paid in the window is told.

mod place;

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use selvedge_connector::{Cursor, Fault, Priority, Raw, Session, Source as _, StatementPage, Statements as Port};
use selvedge_model::{
    AnyRecord, CreditNote, ExternalId, Interval, Kind, Problem, Refund, gate::Values, moment, records::CreditReason,
    statement::Entry,
};
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

use self::place::{Keyed, Place};
use super::{
    decode::decode_order,
    graphql::{Api, Reply},
    operations::{self, Operation},
    orders::{instant, next, raw_order, scope},
    returns::{Form, Scope, decode_return},
    settings::Settings,
    shipments::Shipments,
    wire::{OrderConnection, id_text},
};

/// The most rows that Centra gives in one page.
const PAGE_MAX: u32 = 200;
/// The fewest that are asked for, however dear they are.
const PAGE_MIN: u32 = 10;
/// Which part of ten seconds' complexity one page may take: the flows share it.
const SHARE: u64 = 4;
/// How often a page size is halved at most.
const HALVED_MAX: u32 = 4;
/// Pages in a row that came through before a halved size is doubled again.
const CALM: u32 = 10;

/// How many rows a page of one list has.
#[derive(Debug)]
struct Size {
    /// What one row took of the complexity bucket, as last told; none before the first page.
    row: AtomicU64,
    first: u32,
    /// How often it was halved since pages took too long.
    halved: AtomicU32,
    calm: AtomicU32,
}

impl Size {
    fn starting(first: u32) -> Self {
        Self { row: AtomicU64::new(0), first, halved: AtomicU32::new(0), calm: AtomicU32::new(0) }
    }

    /// How many rows to ask for where ten seconds hold this much complexity.
    fn rows(&self, quota: Option<u64>) -> u32 {
        let affordable = match (self.row.load(Ordering::Relaxed), quota) {
            (0, _) | (_, None) => u64::from(self.first),
            (row, Some(quota)) => quota / SHARE / row,
        };
        let rows = u32::try_from(affordable).unwrap_or(PAGE_MAX).min(PAGE_MAX);
        (rows >> self.halved.load(Ordering::Relaxed)).max(PAGE_MIN)
    }

    /// Learns from a page of so many rows that was asked for.
    fn learn(&self, asked: u32, outcome: Result<&Reply, &Fault>) {
        match outcome {
            Ok(reply) => {
                if let Some(complexity) = reply.extensions.complexity {
                    self.row.store(complexity.div_ceil(u64::from(asked.max(1))).max(1), Ordering::Relaxed);
                }
                if self.calm.fetch_add(1, Ordering::Relaxed) >= CALM {
                    self.calm.store(0, Ordering::Relaxed);
                    let halved = self.halved.load(Ordering::Relaxed);
                    self.halved.store(halved.saturating_sub(1), Ordering::Relaxed);
                }
            }
            // A page that takes too long is answered 499, or not at all.
            Err(Fault::Transient { .. } | Fault::Throttled { .. }) => {
                self.calm.store(0, Ordering::Relaxed);
                let halved = self.halved.load(Ordering::Relaxed);
                self.halved.store(halved.saturating_add(1).min(HALVED_MAX), Ordering::Relaxed);
            }
            Err(_) => {}
        }
    }
}

/// The statements of one instance.
#[derive(Debug)]
pub struct Statements {
    api: Arc<Api>,
    session: Arc<Session>,
    settings: Settings,
    shipments: Arc<Shipments>,
    /// How returns are read, where they are.
    returns: Option<Arc<Form>>,
    scope: Map<String, Value>,
    of_returns: Scope,
    orders_size: Size,
    shipments_size: Size,
    returns_size: Size,
}

#[derive(Deserialize)]
struct ShipmentList<'a> {
    #[serde(borrow)]
    shipments: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct ReturnList<'a> {
    #[serde(borrow)]
    returns: Vec<&'a RawValue>,
}

/// What a document says about itself before it is decoded.
#[derive(Default, Deserialize)]
struct Head {
    #[serde(default)]
    id: Value,
    #[serde(default, rename = "createdAt")]
    created_at: Value,
}

impl Head {
    fn of(node: &RawValue) -> Self {
        serde_json::from_str(node.get()).unwrap_or_default()
    }

    fn created(&self) -> Option<Timestamp> {
        moment::with_offset(self.created_at.as_str()?).ok()
    }

    fn id(&self) -> String {
        id_text(&self.id).unwrap_or_else(|| "unreadable".to_owned())
    }
}

fn unread(problems: Vec<Problem>) -> Problem {
    problems.into_iter().next().unwrap_or_else(|| {
        Problem::new(
            "statement.unread",
            "",
            "the document could not be read",
            "Run `selvedge check`: it names what this Centra instance does otherwise than documented.",
        )
    })
}

/// The records of one kind beside a document's own.
fn told(also: &[AnyRecord], kind: Kind) -> impl Iterator<Item = Entry> {
    // A refund says which credit note it pays, and that one says what for.
    let never_invoiced = |refund: &Refund| {
        let pays = |credit: &&CreditNote| credit.key == refund.credit_note;
        let credits =
            also.iter().filter_map(|record| if let AnyRecord::CreditNote(credit) = record { Some(&**credit) } else { None });
        credits.filter(pays).any(|credit| credit.reason == CreditReason::Cancellation)
    };
    also.iter().filter_map(move |record| match (kind, record) {
        (Kind::CreditNote, AnyRecord::CreditNote(credit)) => Some(Entry::from(&**credit)),
        (Kind::Refund, AnyRecord::Refund(refund)) => {
            Some(Entry { never_invoiced: never_invoiced(refund), ..Entry::from(&**refund) })
        }
        _ => None,
    })
}

impl Statements {
    /// For one instance.
    pub fn new(
        api: Arc<Api>,
        session: Arc<Session>,
        settings: &Settings,
        shipments: Arc<Shipments>,
        returns: Option<Arc<Form>>,
    ) -> Self {
        Self {
            api,
            session,
            shipments,
            returns,
            scope: scope(settings),
            of_returns: Scope::of(settings),
            orders_size: Size::starting(settings.page_size),
            shipments_size: Size::starting(settings.page_size),
            returns_size: Size::starting(settings.page_size),
            settings: settings.clone(),
        }
    }

    /// How much complexity ten seconds hold, as far as it is known.
    fn quota(&self) -> Option<u64> {
        let windows = self.session.stats().windows;
        windows.into_iter().find(|(name, seconds, ..)| name == "complexity" && *seconds == 10).map(|(_, _, quota, _)| quota)
    }

    async fn ask(
        &self,
        operation: &'static Operation,
        variables: Map<String, Value>,
        what: &str,
        size: &Size,
        asked: u32,
    ) -> Result<Reply, Fault> {
        let outcome = self.api.ask(operation, Value::Object(variables), what, Priority::Sweeps).await;
        size.learn(asked, outcome.as_ref());
        outcome
    }

    fn window(interval: &Interval) -> Map<String, Value> {
        let mut variables = Map::new();
        variables.insert("from".to_owned(), json!(instant(interval.from, false)));
        variables.insert("to".to_owned(), json!(instant(interval.to, true)));
        variables
    }

    /// One page of orders; each with when it was made, as it says.
    async fn orders(
        &self,
        operation: &'static Operation,
        interval: &Interval,
        after: Option<&Cursor>,
    ) -> Result<(Vec<(Option<Timestamp>, Raw)>, Option<Cursor>), Fault> {
        let what = "state orders";
        let rows = self.orders_size.rows(self.quota());
        let mut variables = Self::window(interval);
        variables.extend(self.scope.clone());
        variables.insert("first".to_owned(), json!(rows));
        if let Some(Cursor(after)) = after {
            variables.insert("after".to_owned(), json!(after));
        }
        let reply = self.ask(operation, variables, what, &self.orders_size, rows).await?;
        let connection = reply.read::<OrderConnection<'_>>()?.connection;
        let next = next(what, &connection, after)?;
        let read = |node: &RawValue| (Head::of(node).created(), raw_order(node, reply.bytes_of(node), None));
        Ok((connection.edges.iter().map(|edge| read(edge.node)).collect(), next))
    }

    /// One page of a list that is keyed by when its documents were made.
    async fn keyed(
        &self,
        kind: Kind,
        interval: &Interval,
        place: Option<&Place>,
    ) -> Result<(Vec<(Head, Bytes)>, Option<Place>), Fault> {
        let (operation, size, what) = match kind {
            Kind::Shipment => (&operations::SHIPMENTS_STATED, &self.shipments_size, "state shipments"),
            _ => (&operations::RETURNS_STATED, &self.returns_size, "state returns"),
        };
        let place = place.cloned().unwrap_or_else(|| Place::first(interval.from));
        let rows = place.rows().unwrap_or_else(|| size.rows(self.quota()));
        let mut variables = Self::window(&Interval { from: place.from(), to: interval.to });
        variables.insert("limit".to_owned(), json!(rows));
        variables.insert("page".to_owned(), json!(place.page()));
        if let Some(stores) = self.scope.get("stores").filter(|_| kind == Kind::Shipment) {
            variables.insert("stores".to_owned(), stores.clone());
        }
        let reply = self.ask(operation, variables, what, size, rows).await?;
        let nodes = match kind {
            Kind::Shipment => reply.read::<ShipmentList<'_>>()?.shipments,
            _ => reply.read::<ReturnList<'_>>()?.returns,
        };
        let all: Vec<(Head, Bytes)> = nodes.into_iter().map(|node| (Head::of(node), reply.bytes_of(node))).collect();
        let keys: Vec<Keyed> = all.iter().map(|(head, _)| Keyed { id: head.id(), made: head.created() }).collect();
        let next = place.after(&keys, rows);
        Ok((all.into_iter().filter(|(head, _)| !place.has_seen(&head.id())).collect(), next))
    }

    async fn order_page(&self, interval: &Interval, page: Option<&Cursor>) -> Result<StatementPage, Fault> {
        let (raws, next) = self.orders(&operations::ORDERS_STATED, interval, page).await?;
        let mut told = StatementPage { next, ..StatementPage::default() };
        for (made, raw) in raws {
            let decoded = decode_order(&raw.body, &self.settings.zones, None);
            match decoded.record {
                Some(order) => {
                    let entry = Entry::from(&order);
                    let at = made.unwrap_or(entry.at);
                    told.entries.extend(interval.contains(at).then_some(Entry { at, ..entry }));
                }
                None => told.unread.push((raw.id, unread(decoded.problems))),
            }
        }
        Ok(told)
    }

    async fn shipment_page(&self, interval: &Interval, page: Option<&Cursor>) -> Result<StatementPage, Fault> {
        let place = page.and_then(Place::read);
        let (documents, next) = self.keyed(Kind::Shipment, interval, place.as_ref()).await?;
        let mut told = StatementPage { next: next.map(|place| place.cursor()), ..StatementPage::default() };
        for (head, body) in documents {
            let id = ExternalId::new(head.id());
            let raw = Raw { kind: Kind::Shipment, id: id.clone(), version: None, body };
            let decoded = self.shipments.decode(&raw, &Values::default());
            match (decoded.record, head.created()) {
                (Some(shipment), Some(at)) => {
                    told.entries.extend(interval.contains(at).then(|| Entry { at, ..Entry::from(&shipment) }));
                }
                (None, _) => told.unread.push((id, unread(decoded.problems))),
                (Some(_), None) => told.unread.push((id, undated("shipment"))),
            }
        }
        Ok(told)
    }

    async fn return_page(&self, form: &Form, interval: &Interval, page: Option<&Cursor>) -> Result<StatementPage, Fault> {
        let place = page.and_then(Place::read);
        let (documents, next) = self.keyed(Kind::Return, interval, place.as_ref()).await?;
        let mut told = StatementPage { next: next.map(|place| place.cursor()), ..StatementPage::default() };
        for (head, body) in self.ours(documents) {
            let decoded = decode_return(&body, None, form);
            match decoded.record {
                Some(returned) => told.entries.extend(Some(Entry::from(&returned)).filter(|entry| interval.contains(entry.at))),
                None => told.unread.push((ExternalId::new(head.id()), unread(decoded.problems))),
            }
        }
        Ok(told)
    }

    /// Credit notes or refunds: out of returns first, then out of orders.
    async fn money_page(
        &self,
        kind: Kind,
        form: &Form,
        interval: &Interval,
        page: Option<&Cursor>,
    ) -> Result<StatementPage, Fault> {
        const ORDERS: &str = "orders/";
        let of_orders = page.and_then(|Cursor(text)| text.strip_prefix(ORDERS));
        let mut found = StatementPage::default();
        if let Some(after) = of_orders {
            let after = Some(Cursor(after.to_owned())).filter(|Cursor(after)| !after.is_empty());
            let far = self.api.now().checked_add(SignedDuration::from_hours(24)).unwrap_or(interval.to);
            let since = Interval { from: interval.from, to: far.max(interval.to) };
            let (raws, next) = self.orders(&operations::ORDERS_CHANGED, &since, after.as_ref()).await?;
            found.next = next.map(|Cursor(after)| Cursor(format!("{ORDERS}{after}")));
            for (_, raw) in raws {
                let decoded = decode_order(&raw.body, &self.settings.zones, Some(form));
                if decoded.record.is_none() {
                    found.unread.push((raw.id, unread(decoded.problems)));
                }
                found.entries.extend(told(&decoded.also, kind));
            }
        } else {
            let watched = SignedDuration::from_hours(i64::from(self.settings.returns.watch_days).saturating_mul(24));
            let from = interval.from.checked_sub(watched).unwrap_or(Timestamp::UNIX_EPOCH);
            let place = page.and_then(Place::read);
            let (documents, next) = self.keyed(Kind::Return, &Interval { from, to: interval.to }, place.as_ref()).await?;
            found.next = Some(next.map_or_else(|| Cursor(ORDERS.to_owned()), |place| place.cursor()));
            for (head, body) in self.ours(documents) {
                let decoded = decode_return(&body, None, form);
                let credited = decoded.also.iter().any(|record| matches!(record, AnyRecord::CreditNote(_)));
                // Without its credit note it could not be read far enough to tell money.
                if decoded.record.is_none() || !credited && !decoded.problems.is_empty() {
                    found.unread.push((ExternalId::new(head.id()), unread(decoded.problems)));
                }
                found.entries.extend(told(&decoded.also, kind));
            }
        }
        found.entries.retain(|entry| interval.contains(entry.at));
        Ok(found)
    }

    /// Returns of the stores and markets that are read.
    fn ours(&self, documents: Vec<(Head, Bytes)>) -> impl Iterator<Item = (Head, Bytes)> {
        documents.into_iter().filter(|(_, body)| self.of_returns.has(&serde_json::from_slice::<Value>(body).unwrap_or_default()))
    }
}

fn undated(what: &str) -> Problem {
    let message = format!("the {what} does not say when it was made");
    Problem::new("statement.undated", "createdAt", message, "Look at it in the shop's admin; then read the statement again.")
}

#[async_trait]
impl Port for Statements {
    fn kinds(&self) -> &'static [Kind] {
        match self.returns {
            Some(_) => &[Kind::Order, Kind::Shipment, Kind::Return, Kind::CreditNote, Kind::Refund],
            None => &[Kind::Order, Kind::Shipment],
        }
    }

    async fn page(&self, kind: Kind, interval: &Interval, page: Option<&Cursor>) -> Result<StatementPage, Fault> {
        match (kind, &self.returns) {
            (Kind::Order, _) => self.order_page(interval, page).await,
            (Kind::Shipment, _) => self.shipment_page(interval, page).await,
            (Kind::Return, Some(form)) => self.return_page(form, interval, page).await,
            (Kind::CreditNote | Kind::Refund, Some(form)) => self.money_page(kind, form, interval, page).await,
            _ => Ok(StatementPage::default()),
        }
    }
}

#[cfg(test)]
mod tests;
