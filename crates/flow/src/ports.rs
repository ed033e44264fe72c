//! Kinds stay at the rim: sources and sinks of any kind in one erased form, so that the journey
//! is compiled once and not once per kind.

use std::sync::Arc;

use async_trait::async_trait;
use selvedge_connector::{
    Connection, Cursor, Decoded, Encoded, EnumeratedPage, Fault, Found, Need, Page, Priority, Raw, Receipt, Request, Sink,
    Source, Standing,
};
use selvedge_model::{
    AnyRecord, ExternalId, Interval, Kind, Problem, Record,
    compare::Carries,
    gate::{Lookup, Values},
};

/// A [`Source`] of whatever kind.
#[async_trait]
pub trait AnySource: Send + Sync {
    fn decode(&self, raw: &Raw, words: &Values) -> Decoded<AnyRecord>;
    async fn list(&self, interval: &Interval, page: Option<&Cursor>) -> Result<Page, Fault>;
    async fn enumerate(&self, interval: &Interval, page: Option<&Cursor>) -> Result<EnumeratedPage, Fault>;
    async fn fetch(&self, ids: &[ExternalId], priority: Priority) -> Result<Vec<Raw>, Fault>;
    fn fetch_max(&self) -> usize;
}

/// A [`Sink`] of whatever kind, as far as it only looks. Handing it a record of another kind is answered with a problem.
#[async_trait]
pub trait AnySink: Send + Sync {
    fn lookups(&self, record: &AnyRecord) -> Vec<Lookup>;
    fn needs(&self, record: &AnyRecord) -> Option<Need>;
    fn encode(&self, record: &AnyRecord, values: &Values, there: Standing<'_>) -> Result<Encoded, Vec<Problem>>;
    async fn find(&self, record: &AnyRecord) -> Result<Option<Found>, Fault>;
    async fn find_alike(&self, record: &AnyRecord) -> Result<Vec<Found>, Fault>;
    fn carries(&self) -> Carries;
    fn finishes_in_one(&self) -> bool;
    fn looks_first(&self) -> bool;
}

/// The half of a [`Sink`] that writes. Only a live flow is given one: what has none cannot write, whatever it does.
#[async_trait]
pub trait AnyWriter: Send + Sync {
    async fn put(&self, request: &Request) -> Result<Receipt, Fault>;
}

struct ErasedSource<R: Record>(Arc<dyn Source<R>>);
struct ErasedSink<R: Record>(Arc<dyn Sink<R>>);

#[async_trait]
impl<R: Record> AnySource for ErasedSource<R> {
    fn decode(&self, raw: &Raw, words: &Values) -> Decoded<AnyRecord> {
        let Decoded { record, problems, values, also } = self.0.decode(raw, words);
        Decoded { record: record.map(Into::into), problems, values, also }
    }
    async fn list(&self, interval: &Interval, page: Option<&Cursor>) -> Result<Page, Fault> {
        self.0.list(interval, page).await
    }
    async fn enumerate(&self, interval: &Interval, page: Option<&Cursor>) -> Result<EnumeratedPage, Fault> {
        self.0.enumerate(interval, page).await
    }
    async fn fetch(&self, ids: &[ExternalId], priority: Priority) -> Result<Vec<Raw>, Fault> {
        self.0.fetch(ids, priority).await
    }
    fn fetch_max(&self) -> usize {
        self.0.fetch_max()
    }
}

fn of_kind<R: Record>(record: &AnyRecord) -> Option<R> {
    R::from_any(record.clone())
}

#[async_trait]
impl<R: Record> AnySink for ErasedSink<R> {
    fn lookups(&self, record: &AnyRecord) -> Vec<Lookup> {
        of_kind(record).map(|record| self.0.lookups(&record)).unwrap_or_default()
    }
    fn needs(&self, record: &AnyRecord) -> Option<Need> {
        of_kind(record).and_then(|record| self.0.needs(&record))
    }
    fn encode(&self, record: &AnyRecord, values: &Values, there: Standing<'_>) -> Result<Encoded, Vec<Problem>> {
        match of_kind(record) {
            Some(record) => self.0.encode(&record, values, there),
            None => Err(vec![Problem::new(
                "decode.unreadable",
                "",
                format!("this document could not be read as {}", R::KIND),
                "Mend it at its source; the new revision takes its place.",
            )]),
        }
    }
    async fn find(&self, record: &AnyRecord) -> Result<Option<Found>, Fault> {
        match of_kind(record) {
            Some(record) => self.0.find(&record).await,
            // What could not be read never left.
            None => Ok(None),
        }
    }
    async fn find_alike(&self, record: &AnyRecord) -> Result<Vec<Found>, Fault> {
        match of_kind(record) {
            Some(record) => self.0.find_alike(&record).await,
            None => Ok(Vec::new()),
        }
    }
    fn carries(&self) -> Carries {
        self.0.carries()
    }
    fn finishes_in_one(&self) -> bool {
        self.0.finishes_in_one()
    }
    fn looks_first(&self) -> bool {
        self.0.looks_first()
    }
}

#[async_trait]
impl<R: Record> AnyWriter for ErasedSink<R> {
    async fn put(&self, request: &Request) -> Result<Receipt, Fault> {
        self.0.put(request).await
    }
}

/// Records of `kind` out of a connection, if it offers them.
pub fn source(connection: &Connection, kind: Kind) -> Option<Arc<dyn AnySource>> {
    match kind {
        Kind::Order => Some(Arc::new(ErasedSource(connection.order_source.clone()?))),
        Kind::Customer => Some(Arc::new(ErasedSource(connection.customer_source.clone()?))),
        Kind::Product => Some(Arc::new(ErasedSource(connection.product_source.clone()?))),
        Kind::Shipment => Some(Arc::new(ErasedSource(connection.shipment_source.clone()?))),
        Kind::Return => Some(Arc::new(ErasedSource(connection.return_source.clone()?))),
        Kind::CreditNote => Some(Arc::new(ErasedSource(connection.credit_note_source.clone()?))),
        Kind::Refund => Some(Arc::new(ErasedSource(connection.refund_source.clone()?))),
        // Stock does not travel record by record: see `stock`.
        Kind::Stock => None,
    }
}

/// Both halves of a sink.
pub struct Ends {
    /// The one that looks.
    pub looks: Arc<dyn AnySink>,
    /// The one that writes.
    pub writes: Arc<dyn AnyWriter>,
}

fn ends<R: Record>(sink: Arc<dyn Sink<R>>) -> Ends {
    Ends { looks: Arc::new(ErasedSink(Arc::clone(&sink))), writes: Arc::new(ErasedSink(sink)) }
}

/// Records of `kind` into a connection, if it takes them.
pub fn sink(connection: &Connection, kind: Kind) -> Option<Ends> {
    match kind {
        Kind::Order => connection.order_sink.clone().map(ends),
        Kind::Customer => connection.customer_sink.clone().map(ends),
        Kind::Product => connection.product_sink.clone().map(ends),
        Kind::Shipment => connection.shipment_sink.clone().map(ends),
        Kind::Return => connection.return_sink.clone().map(ends),
        Kind::CreditNote => connection.credit_note_sink.clone().map(ends),
        Kind::Refund => connection.refund_sink.clone().map(ends),
        Kind::Stock => None,
    }
}
