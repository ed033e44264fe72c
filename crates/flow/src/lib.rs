//! The journey of one record; its verbs are the files.
//!
//! ```text
//!  feed ────┐
//!  webhook ─┤
//!  poll  ───┼► capture ──► gate ──────► deliver ──────► confirm
//!  sweep ───┘  raw,        cleared or    one request,    read back,
//!              record,     held ─┐       one effect      equal?
//!              obligation        ▼           │              │
//!                            exceptions ◄────┴──────────────┘
//! ```
//!
//! Each verb takes rows that are due, does one thing, and moves them in the transaction that
//! records what happened. Nothing is done in direct reaction to the outside: a webhook is stored
//! and answered, the journey works at its own pace. [`Engine::tick`] does each verb once, which is
//! how tests step it; [`Engine::run`] does the same until told to stop.

pub mod actions;
pub mod alerts;
mod backoff;
mod capture;
pub mod clock;
mod confirm;
mod credits;
mod deliver;
pub mod desk;
mod engine;
mod gate;
mod halves;
mod lists;
mod pauses;
mod ports;
mod preflight;
mod prepare;
pub mod preview;
pub mod privacy;
mod products;
mod promises;
mod pulse;
mod reading;
pub mod reconcile;
mod redeliver;
mod replay;
mod returns;
mod routes;
pub mod shadow;
mod silence;
mod spans;
pub mod stock;
mod trouble;
mod webhooks;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use selvedge_connector::{Clock, Connection};
use selvedge_model::{
    Brand, ConnectionName, FlowName, Kind, Mode,
    gate::{products::ProductPolicy, rules::OrderPolicy},
};
use selvedge_store::Store;

pub use selvedge_model::credit::{CreditAmounts, CreditPolicy, LinkRule};

pub use alerts::{AlertSetup, Channel};
pub use desk::DeskSetup;
pub use engine::{Accepted, Engine, Miswired, TickReport};
pub use preflight::PreflightSetup;
pub use prepare::{PickSetup, Preparation, ShipmentPolicy, WithoutTracking};
pub use pulse::{PulseSetup, PulseState};
pub use reading::Swept;
pub use redeliver::{PATIENCE, Patience, Plan, Redelivered, Redelivering, Surprise};
pub use replay::{Before, Foreseen, Replay, Replayed, Trial};
pub use routes::RouteTrial;
pub use silence::SilenceSetup;
pub use stock::{Foreign, StockSetup};
pub use webhooks::WebhookSetup;

/// How records of one kind are captured from one connection.
#[derive(Clone, Debug)]
pub struct CaptureSetup {
    /// From where.
    pub from: ConnectionName,
    /// Which kind.
    pub kind: Kind,
    /// Nothing older than this is captured.
    pub since: Timestamp,
    /// How often the queue of news is read when nothing is heard; `None` = not at all.
    pub feed_every: Option<Duration>,
    /// How often changed documents are listed; `None` = not at all.
    pub poll_every: Option<Duration>,
    /// How far each poll reaches back into what is proven.
    pub poll_overlap: Duration,
    /// How far behind now a poll stays, for documents that become visible late.
    pub poll_lag: Duration,
    /// How often everything of the last `sweep_back` is enumerated and compared with what was captured; `None` = not at all.
    pub sweep_every: Option<Duration>,
    /// How far back a sweep looks.
    pub sweep_back: Duration,
    /// How long a webhook's notice waits for the queue of news to bring the document itself, before it is fetched.
    pub notice_grace: Duration,
}

/// One flow: records of one kind, from one connection to another.
#[derive(Clone, Debug)]
pub struct FlowSetup {
    /// Its name.
    pub name: FlowName,
    /// Of which kind.
    pub kind: Kind,
    /// From.
    pub from: ConnectionName,
    /// To.
    pub to: ConnectionName,
    /// Whether it writes.
    pub mode: Mode,
    /// What the gate demands of orders.
    pub policy: OrderPolicy,
    /// What becomes of a record before it goes to its target.
    pub preparation: Preparation,
    /// What the gate demands of shipments.
    pub shipments: ShipmentPolicy,
    /// What the gate demands of credit notes.
    pub credits: CreditPolicy,
    /// What the gate demands of products, and whose their fields are there.
    pub products: ProductPolicy,
    /// How often changes that somebody made at the target are looked for, for products; `None` = not at all.
    pub watch_every: Option<Duration>,
    /// Writes and read-backs under way at once.
    pub parallel: usize,
    /// How long a look by our key that found nothing waits before it looks again and a lost write may be repeated.
    pub unanswered_wait: Duration,
    /// How many times in a row a step may fail for a passing reason before a person is asked.
    pub retries_max: u32,
    /// The first back-off; each further one is twice as long, with jitter.
    pub backoff_first: Duration,
    /// The longest back-off.
    pub backoff_max: Duration,
}

/// Everything an engine is made of: one brand.
pub struct Setup {
    /// Whose.
    pub brand: Brand,
    /// Where it is kept.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The seed of jitter.
    pub seed: u64,
    /// The configured accounts.
    pub connections: BTreeMap<ConnectionName, Connection>,
    /// What is captured.
    pub captures: Vec<CaptureSetup>,
    /// What flows.
    pub flows: Vec<FlowSetup>,
    /// Whose stock is shown where.
    pub stocks: Vec<StockSetup>,
    /// How often the targets' lists of values are read again.
    pub lists_every: Duration,
    /// When the mappings are looked through every night; `None` = not at all.
    pub preflight: Option<PreflightSetup>,
    /// How long one half of a return may be without the other.
    pub halves: HalvesSetup,
    /// Which two ends must agree.
    pub pairs: Vec<reconcile::PairSetup>,
    /// How exceptions are ranked, owned and mended.
    pub desk: DeskSetup,
    /// How silence is told; `None` = not at all.
    pub silence: Option<SilenceSetup>,
    /// Whom alerts go to.
    pub alerts: AlertSetup,
    /// Which programs are told of events.
    pub webhooks: Vec<WebhookSetup>,
}

/// How long one half of a return may be without the other, before somebody owns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HalvesSetup {
    /// From the credit to the goods.
    pub goods_within: Duration,
    /// From the goods to the credit.
    pub money_within: Duration,
    /// From the credit to the money.
    pub refund_within: Duration,
}

impl Default for HalvesSetup {
    fn default() -> Self {
        const DAY: u64 = 86_400;
        Self {
            goods_within: Duration::from_secs(21 * DAY),
            money_within: Duration::from_secs(5 * DAY),
            refund_within: Duration::from_secs(5 * DAY),
        }
    }
}
