//! The sign of life for a monitor outside: sent only while the engine works and the store answers, so that its end means something.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use selvedge_connector::Pulse;
use selvedge_store::Result;

use crate::{
    backoff::{after, before},
    engine::Engine,
};

/// How long ago the last housekeeping may be: it runs every second, and writes.
const ALIVE: Duration = Duration::from_secs(60);

/// Where signs of life go.
#[derive(Clone)]
pub struct PulseSetup {
    /// To whom.
    pub pulse: Arc<dyn Pulse>,
    /// How often.
    pub every: Duration,
}

/// How the signs of life go.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct PulseState {
    /// When the next one is due.
    #[serde(skip)]
    pub(crate) next: Option<Timestamp>,
    /// When the last one was taken.
    pub taken_at: Option<Timestamp>,
    /// Why the last one was not, if it was not.
    pub failed: Option<String>,
}

impl Engine {
    /// Whether it has kept house within the last minute, as it does every second while it works.
    pub fn works(&self) -> bool {
        let kept_house = *self.kept_house.lock().unwrap_or_else(PoisonError::into_inner);
        kept_house.is_some_and(|at| at >= before(self.now(), ALIVE))
    }

    /// Sends a sign of life when one is due; whether it did. A monitor that does not take it is logged and shown, and nothing else:
    /// it tells people by itself when none comes.
    pub(crate) async fn beat(&self) -> Result<usize> {
        let Some(setup) = self.setup().alerts.pulse.clone() else { return Ok(0) };
        let now = self.now();
        let works = self.works();
        {
            let mut state = self.pulse.lock().unwrap_or_else(PoisonError::into_inner);
            if !works || state.next.is_some_and(|next| next > now) {
                return Ok(0);
            }
            state.next = Some(after(now, setup.every));
        }
        let brand = self.brand().clone();
        self.store().read(move |view| view.next_due(&brand)).await?;
        let result = setup.pulse.beat().await;
        let mut state = self.pulse.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(()) => {
                state.taken_at = Some(now);
                state.failed = None;
            }
            Err(fault) => {
                let why = match std::error::Error::source(&fault) {
                    Some(source) => format!("{fault}: {source}"),
                    None => fault.to_string(),
                };
                if state.failed.is_none() {
                    tracing::warn!(%why, "the monitor did not take the sign of life; it is sent again");
                }
                state.failed = Some(why);
            }
        }
        Ok(0)
    }

    /// How the signs of life go; nothing where none are sent.
    pub fn pulse_state(&self) -> Option<PulseState> {
        self.setup().alerts.pulse.as_ref()?;
        Some(self.pulse.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}
