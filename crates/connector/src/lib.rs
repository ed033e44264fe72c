//! The contract between the flow and the systems.
//!
//! A [`Connector`] is our code for one system. [`Connector::open`] turns one configured account
//! into a [`Connection`]: a set of optional ports. What a system does not offer is absent, never
//! an empty implementation, so `check` can print what is there and the flow cannot call what is not.
//!
//! Per kind of record there is a [`Source`] (lists, fetches, decodes) and a [`Sink`] (asks for
//! mapped values, encodes, finds by *our* key, puts). Per connection there may be a [`Feed`] (a queue
//! of news), [`Hooks`] (signed webhooks), an [`AlertSink`] (tells people), an [`EventSink`] (tells other programs), [`Lists`] (the system's own lists of values), [`SourceValues`] (what its orders can carry) and a [`Probe`]
//! (what `check` asks). Decoding and encoding are pure; every talking function is one call and one
//! effect, without retries: those belong to the flow.
//!
//! ```no_run
//! # use selvedge_connector::*;
//! # use selvedge_model::*;
//! # async fn example(shop: Connection, erp: Connection, interval: Interval) -> Result<(), Fault> {
//! let (Some(source), Some(sink)) = (shop.order_source, erp.order_sink) else { return Ok(()) };
//! let page = source.list(&interval, None).await?;
//! for raw in &page.raws {
//!     let decoded = source.decode(raw, &gate::Values::default());
//!     let Some(order) = decoded.record else { continue }; // its problems say why
//!     let mut values = gate::Values::default(); // the gate fills these from `sink.lookups(&order)`
//!     if let Ok(Encoded::Put(request)) = sink.encode(&order, &values, Standing::default()) {
//!         let receipt = sink.put(&request).await?;
//!     }
//! }
//! # Ok(()) }
//! ```

pub mod alert;
pub mod cell;
pub mod clock;
pub mod event;
pub mod exchange;
pub mod fault;
pub mod format;
pub mod jws;
pub mod oauth1;
pub mod picking;
pub mod ports;
pub mod reach;
pub mod redact;
pub mod retry_after;
pub mod secret;
pub mod session;
pub mod settings;
pub mod signature;
pub mod statements;
pub mod table;

pub use alert::{AlertSink, Pulse};
pub use clock::Clock;
pub use event::EventSink;
pub use exchange::{Exchange, Noted, watched};
pub use fault::Fault;
pub use ports::{
    Arrival, Connection, Connector, Cursor, Decoded, Delivery, Encoded, Enumerated, EnumeratedPage, Feed, FeedPage, Figure,
    Finding, FindingLevel, Found, Hooks, LevelPage, ListEntry, ListPage, Lists, MappingTable, Need, Needed, OpenContext, Page,
    Probe, Raw, Receipt, Request, SettingProblem, Sink, Source, SourceValues, Standing, StatementPage, Statements, StockSink,
    StockSource, ValuesPage, Wanted,
};
pub use reach::{Reach, Refusal};
pub use secret::{Secret, Secrets};
pub use session::{
    Answer, Budget, BudgetWindow, Call, Effect, Fares, Limit, Priority, Session, SessionConfig, SessionStats, Traffic,
};
