//! The counter of the desk: credits are handed over in step with the orders that are placed.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::centra::Centra;
use crate::data::CreditFile;
use crate::threepl::Desk;

/// Puts files down at the desk.
#[derive(Clone)]
pub(super) struct Counter {
    pub(super) desk: Desk,
    /// In the order in which they are put down.
    pub(super) files: Arc<Vec<CreditFile>>,
    pub(super) centra: Centra,
}

impl Counter {
    /// Files that were not put down yet.
    pub(super) fn pending(&self) -> u64 {
        u64::try_from(self.files.len().saturating_sub(self.desk.dropped())).unwrap_or(u64::MAX)
    }

    /// Lives until all files are put down, or it is dropped.
    pub(super) async fn live(self) {
        let mut clock = tokio::time::interval(Duration::from_millis(50));
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.pending() > 0 {
            clock.tick().await;
            if let Err(fault) = self.step() {
                tracing::error!(%fault, "the desk hands nothing over any more");
                return;
            }
        }
    }

    /// Puts down, in order, what is due: a credit is handed over once all orders before it are placed.
    fn step(&self) -> anyhow::Result<()> {
        let progress = self.centra.progress();
        for file in self.files.iter() {
            if u64::from(file.after) > progress.orders_attempted && !progress.placing_done {
                break;
            }
            self.desk.drop(&file.name, &file.text)?;
        }
        Ok(())
    }
}
