//! Flows that a person has paused, and sources that a person has swept again.
//!
//! The flow of customers that comes with a flow of orders rests and goes on with it: nobody who pauses orders wants their
//! customers written meanwhile.
//!
//! A paused flow goes on being told of everything: what comes is captured and goes through its gate, and waits cleared. Nothing
//! is written (or, in shadow mode, looked for) until it is resumed. What was being written when it was paused is finished, and a
//! write whose answer was lost is looked for. Paused is a row of the store, so it outlives the process, and whoever serves the
//! page pauses the engine of another process, too.

use jiff::Timestamp;
use selvedge_model::{Brand, ConnectionName, FlowName, Interval, Kind, obligation::State};
use selvedge_store::{Result, View, flows::Pause, intervals::ReadingRow, obligations::ObligationRow};

use crate::{actions::Actions, engine::Engine};

/// The way of reading that a sweep is kept under.
pub(crate) const SWEEP: &str = "sweep";

/// Cleared rows of a flow that are due; none while it is paused.
pub(crate) fn due(view: &View<'_>, brand: &Brand, flow: &FlowName, now: Timestamp, limit: usize) -> Result<Vec<ObligationRow>> {
    match view.flow_rests(brand, flow)? {
        Some(_) => Ok(Vec::new()),
        None => view.due(brand, flow, State::Cleared, now, limit),
    }
}

impl Engine {
    /// Whether a person has paused a flow.
    pub(crate) async fn flow_is_paused(&self, flow: &FlowName) -> Result<bool> {
        let (brand, flow) = (self.brand().clone(), flow.clone());
        Ok(self.store().read(move |view| view.flow_rests(&brand, &flow)).await?.is_some())
    }
}

impl Actions {
    /// Pauses a flow for a reason; whether it was not paused before.
    ///
    /// # Errors
    /// The store's.
    pub async fn pause(&self, flow: &FlowName, reason: &str) -> Result<bool> {
        let (brand, actor, now) = (self.brand.clone(), self.actor.clone(), self.clock.now());
        let (flow, reason) = (flow.clone(), reason.to_owned());
        self.store
            .write(move |tx| {
                let news = tx.pause_flow(&brand, &flow, &actor, &reason, now)?;
                if news {
                    tx.audit(&brand, &actor, "flow.pause", flow.as_str(), &reason, now)?;
                }
                Ok(news)
            })
            .await
    }

    /// Resumes a flow; the pause that ended, if it was paused.
    ///
    /// # Errors
    /// The store's.
    pub async fn resume(&self, flow: &FlowName, reason: &str) -> Result<Option<Pause>> {
        let (brand, actor, now) = (self.brand.clone(), self.actor.clone(), self.clock.now());
        let (flow, reason) = (flow.clone(), reason.to_owned());
        self.store
            .write(move |tx| {
                let pause = tx.resume_flow(&brand, &flow)?;
                if let Some(pause) = &pause {
                    let since = format!("paused by {} since {}: {}", pause.by, pause.at, pause.reason);
                    let said = if reason.is_empty() { since } else { format!("{reason} ({since})") };
                    tx.audit(&brand, &actor, "flow.resume", flow.as_str(), &said, now)?;
                }
                Ok(pause)
            })
            .await
    }

    /// Has a source enumerated over an interval once more, beside its timer: what no other way brought is fetched, and nothing
    /// is written there. A sweep that is under way begins anew and covers both. What it will cover.
    ///
    /// # Errors
    /// The store's.
    pub async fn sweep_again(&self, from: &ConnectionName, kind: Kind, interval: Interval) -> Result<Interval> {
        let (brand, actor, now) = (self.brand.clone(), self.actor.clone(), self.clock.now());
        let from = from.clone();
        self.store
            .write(move |tx| {
                let begun = tx.reading(&brand, &from, kind, SWEEP)?.map(|row| row.interval);
                let covers = begun
                    .map_or(interval, |begun| Interval { from: begun.from.min(interval.from), to: begun.to.max(interval.to) });
                // No place to go on from: it begins with the first page.
                let row = ReadingRow { via: SWEEP.to_owned(), interval: covers, cursor: String::new(), seen: 0, news: 0 };
                tx.keep_reading(&brand, &from, kind, &row)?;
                let said = format!("{kind} from {} to {}", covers.from, covers.to);
                tx.audit(&brand, &actor, "source.sweep", from.as_str(), &said, now)?;
                Ok(covers)
            })
            .await
    }
}
