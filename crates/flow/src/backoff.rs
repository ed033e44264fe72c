//! How long to wait before the same step is tried again.

use std::time::Duration;

use jiff::Timestamp;
use selvedge_model::ObligationId;

use crate::FlowSetup;

/// When a step that did not come through is tried again: twice as long each time, up to the
/// flow's longest, spread over the upper half of that time so that rows which failed together do
/// not return together. The spread is a function of seed, row and count, so that a run replays.
pub fn next_try(flow: &FlowSetup, seed: u64, id: ObligationId, retries: u32, now: Timestamp) -> Timestamp {
    after(now, spread(delay(flow.backoff_first, flow.backoff_max, retries), seed, id, retries))
}

/// `now` plus a wait, or the end of time.
pub fn after(now: Timestamp, wait: Duration) -> Timestamp {
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}

/// `now` minus a stretch, or the beginning of time.
pub fn before(now: Timestamp, stretch: Duration) -> Timestamp {
    now.checked_sub(stretch).unwrap_or(Timestamp::MIN)
}

fn delay(first: Duration, longest: Duration, retries: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(retries.min(20))).min(longest)
}

fn spread(delay: Duration, seed: u64, id: ObligationId, retries: u32) -> Duration {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes()).update(&id.0.to_le_bytes()).update(&retries.to_le_bytes());
    let [byte, ..] = *hasher.finalize().as_bytes();
    // Between one half and the whole, in steps of 1/510.
    delay.saturating_mul(255 + u32::from(byte)) / 510
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_the_longest() {
        let (first, longest) = (Duration::from_secs(1), Duration::from_secs(60));
        let delays: Vec<u64> = (0..8).map(|n| delay(first, longest, n).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(delay(first, longest, u32::MAX), longest);
    }

    #[test]
    fn rows_that_failed_together_do_not_return_together() {
        let waits: std::collections::BTreeSet<Duration> =
            (0..50).map(|id| spread(Duration::from_secs(10), 7, ObligationId(id), 3)).collect();
        assert!(waits.len() > 30, "{}", waits.len());
        assert!(waits.iter().all(|w| *w >= Duration::from_secs(5) && *w <= Duration::from_secs(10)));
    }
}
