//! The port by which other programs are told of events.

use async_trait::async_trait;
use selvedge_model::{Brand, feed::Event};

use crate::{fault::Fault, ports::Receipt};

/// Takes events to a program.
#[async_trait]
pub trait EventSink: Send + Sync {
    /// Sends one, once; that it was answered with a success is the proof. An event that is sent again goes under the same id.
    async fn tell(&self, brand: &Brand, event: &Event) -> Result<Receipt, Fault>;
}
