//! How a connection's calls fare: whether anything comes through at all, and for how long nothing has.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::SessionStats;

/// How a connection's calls fare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fares {
    /// Nothing was tried yet.
    #[default]
    Untried,
    /// The last call was answered.
    Well,
    /// So many calls in a row were not answered, or not served.
    Failing {
        /// The first of them was so long ago.
        since: Duration,
        /// How many.
        calls: u32,
    },
}

#[derive(Debug, Default)]
enum Kept {
    #[default]
    Untried,
    Well,
    Failing {
        since: Instant,
        calls: u32,
    },
}

/// What happened last, for whoever asks how a connection does.
#[derive(Debug, Default)]
struct Last {
    answered: Option<(Timestamp, Option<u16>)>,
    failed: Option<(Timestamp, String)>,
}

/// Keeps how the calls of one connection fare, and what happened last.
#[derive(Debug, Default)]
pub struct Faring {
    kept: Mutex<Kept>,
    last: Mutex<Last>,
}

impl Faring {
    /// A call was answered, whatever the answer said.
    pub fn answered(&self) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Kept::Well;
    }

    /// Notes when an answer came that served, and its status where the system speaks HTTP.
    pub fn note_answer(&self, at: Timestamp, status: Option<u16>) {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).answered = Some((at, status));
    }

    /// Notes when a call came to nothing, and how.
    pub fn note_failure(&self, at: Timestamp, how: String) {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).failed = Some((at, how));
    }

    /// Tells what happened last.
    pub fn tell(&self, stats: &mut SessionStats) {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        stats.answered_at = last.answered.map(|(at, _)| at);
        stats.answered = last.answered.and_then(|(_, status)| status);
        (stats.failed_at, stats.failed) = last.failed.clone().unzip();
    }

    /// A call was not answered, or not served.
    pub fn failed(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = match *kept {
            Kept::Failing { since, calls } => Kept::Failing { since, calls: calls.saturating_add(1) },
            Kept::Untried | Kept::Well => Kept::Failing { since: Instant::now(), calls: 1 },
        };
    }

    /// How they fare now.
    pub fn now(&self) -> Fares {
        match *self.kept.lock().unwrap_or_else(PoisonError::into_inner) {
            Kept::Untried => Fares::Untried,
            Kept::Well => Fares::Well,
            Kept::Failing { since, calls } => Fares::Failing { since: since.elapsed(), calls },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_fails_counts_from_the_first_failure_until_an_answer() {
        let faring = Faring::default();
        assert_eq!(faring.now(), Fares::Untried);
        faring.failed();
        tokio::time::advance(Duration::from_secs(40)).await;
        faring.failed();
        assert_eq!(faring.now(), Fares::Failing { since: Duration::from_secs(40), calls: 2 });
        faring.answered();
        assert_eq!(faring.now(), Fares::Well);
        faring.failed();
        assert_eq!(faring.now(), Fares::Failing { since: Duration::ZERO, calls: 1 });
    }
}
