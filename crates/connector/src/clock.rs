//! Time as something handed down, so that tests turn it.

use jiff::Timestamp;

/// Tells the time. The one implementation that reads the machine's clock is `flow::clock`.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The instant now.
    fn now(&self) -> Timestamp;
}

/// A clock that stands still until it is turned; for tests.
#[derive(Debug)]
pub struct ManualClock(std::sync::Mutex<Timestamp>);

impl ManualClock {
    /// Stands at `start`.
    pub fn at(start: Timestamp) -> Self {
        Self(std::sync::Mutex::new(start))
    }

    /// Turns it forward.
    pub fn advance(&self, by: std::time::Duration) {
        let mut now = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *now = now.checked_add(by).unwrap_or(*now);
    }

    /// Turns it to an instant.
    pub fn set(&self, at: Timestamp) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = at;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
