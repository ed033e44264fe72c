//! The port by which people are told, and the sign of life for a monitor outside.

use async_trait::async_trait;
use selvedge_model::alert::{Event, Links, Message};

use crate::{fault::Fault, ports::Receipt};

/// Takes messages to people over one channel.
#[async_trait]
pub trait AlertSink: Send + Sync {
    /// Whether it has a way to say this. What it has no way for is not owed to it.
    fn takes(&self, _event: Event) -> bool {
        true
    }
    /// Whether it wants each alert in a message of its own, as it groups them itself.
    fn one_by_one(&self) -> bool {
        false
    }
    /// Sends it, once. The receipt's id is what the channel knows it by, and its warnings are what it said.
    ///
    /// No channel can be asked afterwards what it has. So after a lost answer it is sent again under the same id: people may read
    /// it twice, and never not at all.
    async fn put(&self, message: &Message, links: &Links) -> Result<Receipt, Fault>;
}

/// Tells a monitor outside that we are alive; when that ends, the monitor tells people.
#[async_trait]
pub trait Pulse: Send + Sync {
    /// One sign of life.
    async fn beat(&self) -> Result<(), Fault>;
}
