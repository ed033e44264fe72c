//! How a connection's calls fare: whether anything comes through at all, and for how long nothing has.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

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

/// Keeps how the calls of one connection fare.
#[derive(Debug, Default)]
pub struct Faring(Mutex<Kept>);

impl Faring {
    /// A call was answered, whatever the answer said.
    pub fn answered(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Kept::Well;
    }

    /// A call was not answered, or not served.
    pub fn failed(&self) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = match *kept {
            Kept::Failing { since, calls } => Kept::Failing { since, calls: calls.saturating_add(1) },
            Kept::Untried | Kept::Well => Kept::Failing { since: Instant::now(), calls: 1 },
        };
    }

    /// How they fare now.
    pub fn now(&self) -> Fares {
        match *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
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
