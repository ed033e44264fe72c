//! One connection's HTTP: pace, limits, breaker, size bounds, redaction, counting.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{clock::Clock, fault::Fault, secret::Secret};

/// What is spent first when calls are scarce. Earlier is more urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Credentials, acknowledgements: without them nothing else moves.
    Control,
    /// Orders and what they need: they secure the revenue.
    Orders,
    /// Stock.
    Stock,
    /// Shipments.
    Shipments,
    /// Returns and credits.
    Returns,
    /// Products.
    Products,
    /// Sweeps, reconciliation, lists.
    Sweeps,
}

/// Whether a call changes anything at the other side. It decides what a lost answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It only reads: a lost answer is [`Fault::Transient`].
    Read,
    /// It writes: a lost answer is [`Fault::Unanswered`].
    Write,
}

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// For logs and faults: `create order so_1042`.
    pub what: String,
    /// HTTP method.
    pub method: &'static str,
    /// Absolute URL.
    pub url: String,
    /// Headers, secrets among them marked by [`Secret`].
    pub headers: Vec<(&'static str, HeaderText)>,
    /// The body.
    pub body: Bytes,
    /// Reads or writes.
    pub effect: Effect,
    /// What it is spent on.
    pub priority: Priority,
    /// Which of the connection's budgets it draws on and how much, by window name: `[("requests", 1), ("mutations", 1)]`.
    pub costs: Vec<(&'static str, u32)>,
}

/// A header's value: plain, or a secret that no log shows.
#[derive(Clone, Debug)]
pub enum HeaderText {
    /// May be shown.
    Plain(String),
    /// May not.
    Hidden(Secret),
}

/// An HTTP answer of any status, body read whole and bounded. Connectors turn it into a result or a fault.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The first header of this name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// One limit of the platform: so much per so long, refilled at a constant rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetWindow {
    /// Which cost it counts: `requests`, `mutations`, `complexity`.
    pub name: &'static str,
    /// How much.
    pub quota: u64,
    /// Per how long.
    pub per: Duration,
}

/// What the platform grants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// The windows; a call waits until all of them have room for its costs.
    pub windows: Vec<BudgetWindow>,
}

/// How a session behaves.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// The connection's name, for logs and counters.
    pub name: String,
    /// Calls under way at once.
    pub concurrency_max: usize,
    /// How long one call may take before it counts as unanswered.
    pub timeout: Duration,
    /// The largest body that is read; a larger one is [`Fault::Unexpected`].
    pub body_bytes_max: usize,
    /// The longest wait that a `Retry-After` may ask for; a longer one is cut to it.
    pub retry_after_max: Duration,
    /// Failures in a row that open the breaker.
    pub breaker_failures: u32,
    /// How long the open breaker lets nothing through before it tries one call.
    pub breaker_pause: Duration,
    /// What the platform grants, until it tells otherwise.
    pub budget: Budget,
}

/// What a session has done, for pages, metrics and reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionStats {
    /// Calls sent, per priority word.
    pub calls: Vec<(&'static str, u64)>,
    /// Calls answered 429.
    pub throttled: u64,
    /// Calls that got no answer.
    pub lost: u64,
    /// Calls under way.
    pub under_way: usize,
    /// Calls waiting for room.
    pub waiting: usize,
    /// Per window: name, seconds it spans, quota, used now.
    pub windows: Vec<(String, u64, u64, u64)>,
    /// Whether the breaker is open.
    pub breaker_open: bool,
    /// Whether the connection pauses because the platform asked it to.
    pub paused: bool,
}

/// One connection's way out.
pub struct Session {
    #[allow(dead_code)]
    config: SessionConfig,
    #[allow(dead_code)]
    clock: Arc<dyn Clock>,
}

impl Session {
    /// Opens it; no call is made.
    pub fn new(config: SessionConfig, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { config, clock })
    }

    /// Sends one call when the budget, the slots and the breaker allow it, the most urgent first.
    ///
    /// # Errors
    /// [`Fault::Transient`] when it never reached the other side or was a read; [`Fault::Unanswered`]
    /// when a write's answer was lost (timeout, reset, truncated body); [`Fault::Throttled`] on 429
    /// (the session then pauses by itself); [`Fault::Unexpected`] on a body past the bound. Any other
    /// status is an [`Answer`].
    pub async fn send(&self, _call: Call) -> Result<Answer, Fault> {
        todo!("helper")
    }

    /// Takes over what the platform says it grants now, and how much of each window is used.
    pub fn learn(&self, _budget: Budget, _used: &[u64]) {
        todo!("helper")
    }

    /// Notes a cost that is only known after the call (a query's complexity).
    pub fn charge(&self, _window: &'static str, _cost: u64) {
        todo!("helper")
    }

    /// What it has done.
    pub fn stats(&self) -> SessionStats {
        todo!("helper")
    }
}
