//! Every verb once; `run` is `tick` until told to stop.

use selvedge_connector::Delivery;
use selvedge_model::ConnectionName;
use selvedge_store::Result;

use crate::Setup;

/// What one tick did, per verb.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TickReport {
    /// Documents captured.
    pub captured: usize,
    /// Rows that passed through the gate, whatever it said.
    pub gated: usize,
    /// Rows delivered or looked for.
    pub delivered: usize,
    /// Rows read back.
    pub confirmed: usize,
}

/// What became of a webhook delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Durable now. Answer 200.
    Kept,
    /// Durable already. Answer 200.
    Duplicate,
    /// The sender is not proven. Answer 401.
    Forged(String),
    /// It is unreadable. Answer 400.
    Unreadable(String),
    /// There is no such connection, or it takes no webhooks. Answer 404.
    Unknown,
}

/// The engine of one brand.
pub struct Engine {
    #[allow(dead_code)]
    setup: Setup,
}

impl Engine {
    /// Puts it together; nothing moves yet.
    pub fn new(setup: Setup) -> Self {
        Self { setup }
    }

    /// What it is made of.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Takes one webhook delivery: proves the sender, makes it durable, and only then returns.
    pub async fn accept(&self, _connection: &ConnectionName, _delivery: &Delivery) -> Result<Accepted> {
        todo!()
    }

    /// Every verb once.
    pub async fn tick(&self) -> Result<TickReport> {
        todo!()
    }

    /// Works until `stop` resolves, then finishes what is under way.
    pub async fn run(&self, _stop: impl Future<Output = ()> + Send) -> Result<()> {
        todo!()
    }
}
