//! The ports of a connection: what the flow may ask of a system.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use selvedge_model::{
    AnyRecord, ConnectionName, CreditNote, Customer, ExternalId, Interval, Kind, Kit, LocationId, Order, Problem, Product,
    Record, RecordKey, Refund, Return, Shipment, Sku, StockLevel,
    compare::Carries,
    gate::{
        Lookup, Values,
        preflight::{SourceValue, ValueList},
    },
    statement::Entry,
};
use serde_json::Value;

use crate::{
    alert::{AlertSink, Pulse},
    clock::Clock,
    event::EventSink,
    fault::Fault,
    reach::Reach,
    secret::Secrets,
    session::Traffic,
};

/// The bytes of one document as they came, before anyone tried to understand them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    /// Which kind of record it is said to be.
    pub kind: Kind,
    /// Their id of it.
    pub id: ExternalId,
    /// The *as of* that the system states for it (its last change), where it states one.
    pub version: Option<Timestamp>,
    /// The bytes.
    pub body: Bytes,
}

/// What decoding made of a raw document. Decoding never fails: what it cannot read is a problem.
#[derive(Clone, Debug)]
pub struct Decoded<R> {
    /// The record, where enough could be read to have one.
    pub record: Option<R>,
    /// What was found on the way.
    pub problems: Vec<Problem>,
    /// The system's words for values that the record itself does not carry (a subsidiary, a
    /// location), by table and key text, to be compared with what the gate resolved.
    pub values: Values,
    /// Records of other kinds that the same document tells: a return of a shop says what came back, what is credited for it
    /// and by which transactions it was paid. They are entered with it, and only by a source of truth.
    pub also: Vec<AnyRecord>,
}

impl<R> Decoded<R> {
    /// A record and what was found on the way, with nothing beside it.
    pub fn of(record: Option<R>, problems: Vec<Problem>) -> Self {
        Self { record, problems, values: Values::default(), also: Vec::new() }
    }
}

/// Where a listing goes on; opaque to everyone but the connector that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub String);

/// One page of full documents.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The documents.
    pub raws: Vec<Raw>,
    /// Where to go on; `None` on the last page.
    pub next: Option<Cursor>,
}

/// One line of a light enumeration: that it exists, and as of when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enumerated {
    /// Their id.
    pub id: ExternalId,
    /// Our key, where the listing tells it.
    pub key: Option<RecordKey>,
    /// Its last change, where the listing tells it.
    pub version: Option<Timestamp>,
}

/// One page of a light enumeration.
#[derive(Clone, Debug, Default)]
pub struct EnumeratedPage {
    /// The lines.
    pub items: Vec<Enumerated>,
    /// Where to go on; `None` on the last page.
    pub next: Option<Cursor>,
}

/// Reads records of one kind over one connection.
#[async_trait]
pub trait Source<R: Record>: Send + Sync {
    /// Pure: the canonical record out of the bytes. `words` are the target's ids that the gate
    /// resolved for this record (empty for a source of truth), so that ids read back as our keys.
    fn decode(&self, raw: &Raw, words: &Values) -> Decoded<R>;
    /// One page of the documents that changed in the interval.
    async fn list(&self, interval: &Interval, page: Option<&Cursor>) -> Result<Page, Fault>;
    /// One page of what exists in the interval, as light as the system allows.
    async fn enumerate(&self, interval: &Interval, page: Option<&Cursor>) -> Result<EnumeratedPage, Fault>;
    /// The documents with these ids as they stand now; one that is gone is left out of the answer.
    async fn fetch(&self, ids: &[ExternalId], priority: crate::Priority) -> Result<Vec<Raw>, Fault>;
    /// How many ids one `fetch` takes.
    fn fetch_max(&self) -> usize;
    /// Of which other kinds its documents tell records, too, see [`Decoded::also`].
    fn tells(&self) -> &'static [Kind] {
        &[]
    }
}

/// One effect at a target, ready to send: pure data, so that it can be shown, compared and kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `create order so_1042`: for logs, stories and people.
    pub what: String,
    /// HTTP method.
    pub method: String,
    /// Path and query below the connection's base.
    pub path: String,
    /// The document.
    pub body: Value,
    /// Whether the document exists already and this changes it. A change can be repeated, a
    /// creation is guarded by the key.
    pub update: Option<ExternalId>,
    /// Whether the record does not stand yet when this has taken effect: the document is read once
    /// more, and `encode` says what follows. A shipment that is made, paid and closed in three calls
    /// is three such requests, each decided on what stands.
    pub unfinished: bool,
}

/// What encoding decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encoded {
    /// Send this.
    Put(Request),
    /// The target stands as it should; confirm it.
    Nothing,
}

/// What a target answered to a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Their id of the document.
    pub id: Option<ExternalId>,
    /// What the system warned about (never silent: it goes into the story).
    pub warnings: Vec<String>,
}

/// A document found by our key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Their id.
    pub id: ExternalId,
}

/// What stands at the target when a record is encoded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standing<'a> {
    /// The record's own document.
    pub own: Option<&'a Raw>,
    /// The document that must stand first, where [`Sink::needs`] names one of another flow.
    pub needed: Option<&'a Raw>,
}

/// Puts records of one kind over one connection.
#[async_trait]
pub trait Sink<R: Record>: Send + Sync {
    /// Pure: every mapped value that `encode` will need.
    fn lookups(&self, record: &R) -> Vec<Lookup>;
    /// Pure: a record of another kind that must stand here first, with the table and key text under
    /// which `encode` expects its id among the values.
    fn needs(&self, record: &R) -> Option<Need>;
    /// Pure: the request that makes the record stand, or takes it a step nearer. A change that what
    /// stands there no longer takes is a problem.
    ///
    /// # Errors
    /// The problems for which it cannot be encoded or is no longer taken.
    fn encode(&self, record: &R, values: &Values, there: Standing<'_>) -> Result<Encoded, Vec<Problem>>;
    /// Looks for the record's document under *our* key: after a lost answer nobody knows theirs. (The
    /// whole record is given for systems that keep no key of ours with every document.)
    async fn find(&self, record: &R) -> Result<Option<Found>, Fault>;
    /// Looks for documents that somebody else may have made for this record, by what else names it there (the shop's order
    /// number in a field of its own): for a comparison that writes nothing. Empty where the system offers no such way.
    async fn find_alike(&self, _record: &R) -> Result<Vec<Found>, Fault> {
        Ok(Vec::new())
    }
    /// Sends the request, once.
    async fn put(&self, request: &Request) -> Result<Receipt, Fault>;
    /// Which fields the target carries, for the comparison.
    fn carries(&self) -> Carries;
    /// Whether what one creation makes stands finished. If not, a document that is found after a lost answer is
    /// looked at, and what is missing is sent, before it is read back.
    fn finishes_in_one(&self) -> bool {
        true
    }
    /// Whether it is looked for by our key before the *first* creation, too: for systems that guard nothing against a
    /// second document of one key, and in which others may have entered it. What stands is then adopted.
    fn looks_first(&self) -> bool {
        false
    }
}

/// A record that must stand at the target first.
#[derive(Clone, Debug)]
pub struct Need {
    /// Which.
    pub what: Needed,
    /// The table under which `encode` looks for its id.
    pub table: String,
    /// The key text under which it looks.
    pub key_text: String,
}

/// What must stand first.
#[derive(Clone, Debug)]
pub enum Needed {
    /// This record, which nothing else brings there; an obligation is made for it if there is none.
    Record(AnyRecord),
    /// The document of a record that another flow brings there.
    Document {
        /// Its kind.
        kind: Kind,
        /// Our key of it.
        key: RecordKey,
    },
}

/// Something that arrived without being asked for.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// A whole document.
    Document(Raw),
    /// Word that a document is new or has changed; it has to be fetched.
    Notice {
        /// Its kind.
        kind: Kind,
        /// Their id, as `Source::fetch` takes it.
        id: ExternalId,
    },
}

impl Arrival {
    /// Of which kind.
    pub fn kind(&self) -> Kind {
        match self {
            Arrival::Document(raw) => raw.kind,
            Arrival::Notice { kind, .. } => *kind,
        }
    }
}

/// One page of a queue of news.
#[derive(Clone, Debug, Default)]
pub struct FeedPage {
    /// What arrived, oldest first; news of kinds that we do not read are left out.
    pub arrivals: Vec<Arrival>,
    /// What to hand to [`Feed::acknowledge`] once all of it is durable here, also what was left out.
    pub receipts: Vec<String>,
    /// Whether the queue probably holds more.
    pub more: bool,
}

/// A queue of news that the system keeps for us until we acknowledge.
#[async_trait]
pub trait Feed: Send + Sync {
    /// Of which kinds it brings news; those of every other kind have to be listed.
    fn kinds(&self) -> &'static [Kind];
    /// The oldest news not yet acknowledged. `wanted` are the kinds that somebody takes: what is of another kind is left out, and
    /// need not be taken off the queue.
    async fn next(&self, wanted: &[Kind]) -> Result<FeedPage, Fault>;
    /// Tells the system that these are durable here. Never called before they are.
    async fn acknowledge(&self, receipts: &[String]) -> Result<(), Fault>;
}

/// An HTTP delivery as it came, before it is believed.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, byte for byte.
    pub body: Bytes,
    /// When it came.
    pub received_at: Timestamp,
}

impl Delivery {
    /// The first header of this name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// Webhooks.
pub trait Hooks: Send + Sync {
    /// Pure: proves the sender, then splits the delivery into arrivals.
    ///
    /// # Errors
    /// [`Fault::Forged`] when the sender is not proven, [`Fault::Refused`] when the body is unreadable.
    fn receive(&self, delivery: &Delivery) -> Result<Vec<Arrival>, Fault>;
}

/// One entry of a system's own list of values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListEntry {
    /// Their id: what a mapping maps to.
    pub id: String,
    /// The name by which an equal value of ours may find it (a SKU, a currency code); compared exactly.
    pub name: String,
    /// Whether it may be used.
    pub active: bool,
}

/// One page of a list.
#[derive(Clone, Debug, Default)]
pub struct ListPage {
    /// The entries.
    pub entries: Vec<ListEntry>,
    /// Where to go on; `None` on the last page.
    pub next: Option<Cursor>,
}

/// The system's own lists of values (items, subsidiaries, shipping items, tax codes …), by the
/// table names that its sinks' lookups use.
#[async_trait]
pub trait Lists: Send + Sync {
    /// The tables it can list.
    fn tables(&self) -> &'static [&'static str];
    /// One page of one table.
    async fn list(&self, table: &str, page: Option<&Cursor>) -> Result<ListPage, Fault>;
    /// Whether an id may stand for something although the list does not show it: one that the system has built in.
    fn is_built_in(&self, _table: &str, _id: &str) -> bool {
        false
    }
}

/// One page of values that orders can carry.
#[derive(Clone, Debug, Default)]
pub struct ValuesPage {
    /// The values.
    pub values: Vec<SourceValue>,
    /// Where to go on; `None` on the last page.
    pub next: Option<Cursor>,
}

/// What orders out of a system *can* carry: asked before the first order carries it.
#[async_trait]
pub trait SourceValues: Send + Sync {
    /// The lists that it tells.
    fn lists(&self) -> &'static [ValueList];
    /// One page of one list.
    async fn values(&self, list: ValueList, page: Option<&Cursor>) -> Result<ValuesPage, Fault>;
}

/// One page of stock levels.
#[derive(Clone, Debug, Default)]
pub struct LevelPage {
    /// What could be read, one row per item and place.
    pub levels: Vec<StockLevel>,
    /// Rows that could not be read: their item as far as it is known, and why.
    pub unread: Vec<(ExternalId, Problem)>,
    /// Where to go on; `None` on the last page.
    pub next: Option<Cursor>,
}

/// Which items are asked for.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    /// All of them.
    Everything,
    /// Those whose figures changed at or after this instant; everything, where the system does not tell.
    Since(Timestamp),
    /// These, by the system's ids; one that is not there is left out of the answer.
    Items(&'a [ExternalId]),
}

/// One page of a statement.
#[derive(Clone, Debug, Default)]
pub struct StatementPage {
    /// What stands there.
    pub entries: Vec<Entry>,
    /// Documents that are there and could not be read: which, and why.
    pub unread: Vec<(ExternalId, Problem)>,
    /// Where to go on; `None` on the last page.
    pub next: Option<Cursor>,
}

/// Tells what stands in a system, whole, in pages as large as it allows and with as few calls as it allows. It reads, and needs no
/// right to write.
#[async_trait]
pub trait Statements: Send + Sync {
    /// The kinds that it tells.
    fn kinds(&self) -> &'static [Kind];
    /// One page of every document of this kind that *came to be* in the interval, whoever made it, as it stands now: also those
    /// called off.
    async fn page(&self, kind: Kind, interval: &Interval, page: Option<&Cursor>) -> Result<StatementPage, Fault>;
}

/// Reads stock levels over one connection. Every level's `as_of` is the instant before its page was
/// asked for, by *our* clock.
#[async_trait]
pub trait StockSource: Send + Sync {
    /// One page of levels at these places. A system that has never kept an item at a place leaves the row out.
    async fn levels(
        &self,
        wanted: Wanted<'_>,
        places: &[LocationId],
        page: Option<&Cursor>,
        priority: crate::Priority,
    ) -> Result<LevelPage, Fault>;
    /// How many items one call of [`Wanted::Items`] takes.
    fn items_max(&self) -> usize;
    /// Items that are put together from others, all of them. Empty where the system has none.
    async fn kits(&self) -> Result<Vec<Kit>, Fault>;
    /// How long after an order was taken its units may still be missing from the figures.
    fn commit_lag(&self) -> std::time::Duration;
}

/// One figure to be written: the units that the system is to keep of an item, promised ones included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// The system's id of the item.
    pub item: ExternalId,
    /// Its SKU, for people.
    pub sku: Sku,
    /// Units; nought or above.
    pub units: i64,
}

/// Writes stock levels over one connection: absolute figures only, as a change that is repeated
/// after a lost answer would count twice.
#[async_trait]
pub trait StockSink: Send + Sync {
    /// How many figures one call takes.
    fn batch_max(&self) -> usize;
    /// Pure: the call that writes these figures at one place.
    fn encode(&self, place: &LocationId, figures: &[Figure]) -> Request;
    /// Sends it, once.
    async fn put(&self, request: &Request) -> Result<Receipt, Fault>;
    /// From which places each market's orders are promised, by the market's id. A market that is not
    /// there may draw from any.
    async fn draws(&self) -> Result<BTreeMap<String, Vec<LocationId>>, Fault>;
    /// What `check` wants to know of the places that a flow writes to: whether they exist, are active,
    /// and whether anything else may write to them.
    async fn inspect(&self, places: &[LocationId]) -> Vec<Finding>;
}

/// How a finding of `check` stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingLevel {
    /// As it should be.
    Good,
    /// Works, but someone should know.
    Warning,
    /// Will not work.
    Bad,
}

/// One line of `check`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How it stands.
    pub level: FindingLevel,
    /// The setting it hangs on, below the connection (`token`, `auth.certificate_id`), where there is one.
    pub setting: Option<String>,
    /// What was found.
    pub message: String,
    /// What to do; empty when good.
    pub remedy: String,
}

/// What `check` and `init` ask of a live connection: credentials, permissions, schema, clock, limits.
#[async_trait]
pub trait Probe: Send + Sync {
    /// Everything at once; a failed question is a finding, not an error.
    async fn check(&self) -> Vec<Finding>;
}

/// What one configured account offers. Absent means: not offered.
#[derive(Clone)]
pub struct Connection {
    /// The connector's name.
    pub system: &'static str,
    /// What is told of its calls.
    pub traffic: Arc<dyn Traffic>,
    /// Orders out of it.
    pub order_source: Option<Arc<dyn Source<Order>>>,
    /// Orders into it.
    pub order_sink: Option<Arc<dyn Sink<Order>>>,
    /// Customers out of it.
    pub customer_source: Option<Arc<dyn Source<Customer>>>,
    /// Customers into it.
    pub customer_sink: Option<Arc<dyn Sink<Customer>>>,
    /// Products out of it.
    pub product_source: Option<Arc<dyn Source<Product>>>,
    /// Products into it.
    pub product_sink: Option<Arc<dyn Sink<Product>>>,
    /// Shipments out of it.
    pub shipment_source: Option<Arc<dyn Source<Shipment>>>,
    /// Shipments into it.
    pub shipment_sink: Option<Arc<dyn Sink<Shipment>>>,
    /// Returns out of it. Where its documents also tell credit notes and refunds, those come with them.
    pub return_source: Option<Arc<dyn Source<Return>>>,
    /// Returns into it.
    pub return_sink: Option<Arc<dyn Sink<Return>>>,
    /// Credit notes out of it: as documents of their own, or read back.
    pub credit_note_source: Option<Arc<dyn Source<CreditNote>>>,
    /// Credit notes into it.
    pub credit_note_sink: Option<Arc<dyn Sink<CreditNote>>>,
    /// Refunds out of it: as documents of their own, or read back.
    pub refund_source: Option<Arc<dyn Source<Refund>>>,
    /// Refunds into it.
    pub refund_sink: Option<Arc<dyn Sink<Refund>>>,
    /// Its queue of news.
    pub feed: Option<Arc<dyn Feed>>,
    /// Its webhooks.
    pub hooks: Option<Arc<dyn Hooks>>,
    /// Its lists of values.
    pub lists: Option<Arc<dyn Lists>>,
    /// What orders out of it can carry.
    pub values: Option<Arc<dyn SourceValues>>,
    /// Stock out of it.
    pub stock_source: Option<Arc<dyn StockSource>>,
    /// Stock into it.
    pub stock_sink: Option<Arc<dyn StockSink>>,
    /// What stands there, read whole; where it is absent, its sources tell it ([`crate::statements`]).
    pub statements: Option<Arc<dyn Statements>>,
    /// Tells people.
    pub alert_sink: Option<Arc<dyn AlertSink>>,
    /// Tells other programs.
    pub event_sink: Option<Arc<dyn EventSink>>,
    /// Tells a monitor outside.
    pub pulse: Option<Arc<dyn Pulse>>,
    /// What `check` asks.
    pub probe: Option<Arc<dyn Probe>>,
}

impl Connection {
    /// The kinds whose documents tell records of this kind beside their own.
    pub fn told_with(&self, kind: Kind) -> Vec<Kind> {
        let orders = self.order_source.as_ref().map_or(&[][..], |source| source.tells());
        let returns = self.return_source.as_ref().map_or(&[][..], |source| source.tells());
        [(Kind::Order, orders), (Kind::Return, returns)]
            .into_iter()
            .filter(|(_, tells)| tells.contains(&kind))
            .map(|(of, _)| of)
            .collect()
    }

    /// An account that offers nothing yet.
    pub fn empty(system: &'static str, traffic: Arc<dyn Traffic>) -> Self {
        Self {
            system,
            traffic,
            order_source: None,
            order_sink: None,
            customer_source: None,
            customer_sink: None,
            product_source: None,
            product_sink: None,
            shipment_source: None,
            shipment_sink: None,
            return_source: None,
            return_sink: None,
            credit_note_source: None,
            credit_note_sink: None,
            refund_source: None,
            refund_sink: None,
            feed: None,
            hooks: None,
            lists: None,
            values: None,
            stock_source: None,
            stock_sink: None,
            statements: None,
            alert_sink: None,
            event_sink: None,
            pulse: None,
            probe: None,
        }
    }
}

/// A table of names that a person fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MappingTable {
    /// `shipping_item`.
    pub name: &'static str,
    /// The parts of its keys, in order: `market`, `method`.
    pub parts: &'static [&'static str],
}

/// What a connector is given to open a connection.
pub struct OpenContext<'a> {
    /// The connection's name in the config.
    pub name: &'a ConnectionName,
    /// The connection's settings, secrets taken out.
    pub settings: &'a Value,
    /// Its secrets, by the path of the setting.
    pub secrets: &'a Secrets,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Whether nothing may change at the other side: every write, and every acknowledgement of news, is refused before it
    /// leaves ([`Fault::read_only`]).
    pub read_only: bool,
    /// Where its calls may go.
    pub reach: Reach,
}

/// A setting that is missing, mistyped or unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingProblem {
    /// Path below the connection: `auth.client_id`.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

/// Our code for one system.
pub trait Connector: Send + Sync {
    /// The word in `system = "…"`.
    fn name(&self) -> &'static str;
    /// Whether orders come there to be picked: bundles arrive as their components, and only the lines
    /// that are shipped from there.
    fn picks(&self) -> bool {
        false
    }
    /// Which settings are secrets, as paths (`token`, `auth.private_key`): the config refuses them as plain text.
    fn secret_settings(&self) -> &'static [&'static str];
    /// The mapping tables that its sinks ask, each with the parts of its keys: what is set in another
    /// table, or under another key, nobody would ever read.
    fn mapping_tables(&self) -> &'static [MappingTable] {
        &[]
    }
    /// The settings it takes with a line of explanation each, for `init` and `config schema`: path → text.
    fn settings(&self) -> BTreeMap<&'static str, &'static str>;
    /// One configured account. No call is made.
    ///
    /// # Errors
    /// Every setting that is wrong, at once.
    fn open(&self, context: &OpenContext<'_>) -> Result<Connection, Vec<SettingProblem>>;
}
