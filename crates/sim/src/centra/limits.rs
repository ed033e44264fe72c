//! Centra's rate limits: six token buckets, refilled steadily, shared by every token of the instance.

use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A plan: how much may be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Plan {
    /// The default plan of a real instance.
    Growth,
    /// The next one.
    Enhanced,
    /// The next one.
    HighVolume,
    /// The largest real one.
    Enterprise,
    /// Ten times the largest, so that demos and benches meet other limits first.
    #[default]
    Ample,
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "growth" => Ok(Self::Growth),
            "enhanced" => Ok(Self::Enhanced),
            "high_volume" => Ok(Self::HighVolume),
            "enterprise" => Ok(Self::Enterprise),
            "ample" => Ok(Self::Ample),
            other => Err(format!("unknown plan {other:?}: use growth, enhanced, high_volume, enterprise or ample")),
        }
    }
}

/// What a bucket counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Requests.
    Requests,
    /// Mutation fields.
    Mutations,
    /// Complexity.
    Complexity,
}

impl Plan {
    /// Quotas of (kind, 10 s, 1 h), as published by Centra.
    fn quotas(self) -> [(Kind, u64, u64); 3] {
        let (requests, mutations, complexity) = match self {
            Self::Growth => ((60, 5_000), (20, 1_800), (250_000, 30_000_000)),
            Self::Enhanced => ((150, 20_000), (50, 4_500), (900_000, 90_000_000)),
            Self::HighVolume => ((450, 40_000), (150, 7_000), (1_800_000, 180_000_000)),
            Self::Enterprise => ((1_500, 85_000), (500, 25_000), (4_000_000, 400_000_000)),
            Self::Ample => ((15_000, 850_000), (5_000, 250_000), (40_000_000, 2_000_000_000)),
        };
        [
            (Kind::Requests, requests.0, requests.1),
            (Kind::Mutations, mutations.0, mutations.1),
            (Kind::Complexity, complexity.0, complexity.1),
        ]
    }
}

/// One bucket. Counts in parts of `PART`, so that a steady refill stays exact.
#[derive(Debug)]
struct Bucket {
    kind: Kind,
    seconds: u64,
    quota: u64,
    /// Left, in parts.
    left: u128,
}

/// Parts per token: an hour in milliseconds, so that one millisecond refills `quota * PART / window` parts exactly.
const PART: u128 = 3_600_000;

impl Bucket {
    fn full(&self) -> u128 {
        u128::from(self.quota) * PART
    }

    /// Parts refilled per millisecond.
    fn refill(&self) -> u128 {
        self.full() / (u128::from(self.seconds) * 1_000)
    }
}

/// One row of the `rateLimits` query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// `RateLimitType`.
    pub kind: &'static str,
    /// `RateLimitInterval`.
    pub interval: &'static str,
    /// Tokens of a full bucket.
    pub quota: u64,
    /// Tokens left.
    pub left: u64,
}

/// All buckets of an instance.
#[derive(Debug)]
pub struct Limits {
    state: Mutex<(i64, Vec<Bucket>)>,
}

impl Limits {
    /// Full buckets for a plan.
    pub fn new(plan: Plan, now: Timestamp) -> Limits {
        let buckets = plan
            .quotas()
            .into_iter()
            .flat_map(|(kind, short, long)| [(kind, 10, short), (kind, 3_600, long)])
            .map(|(kind, seconds, quota)| Bucket { kind, seconds, quota, left: u128::from(quota) * PART })
            .collect();
        Limits { state: Mutex::new((now.as_millisecond(), buckets)) }
    }

    fn refilled<T>(&self, now: Timestamp, then: impl FnOnce(&mut Vec<Bucket>) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, buckets) = &mut *state;
        let passed = u128::try_from(now.as_millisecond() - *last).unwrap_or(0);
        *last = now.as_millisecond().max(*last);
        for bucket in buckets.iter_mut() {
            bucket.left = (bucket.left + passed * bucket.refill()).min(bucket.full());
        }
        then(buckets)
    }

    /// Takes one request with so many mutations and so much complexity, from all buckets or from none.
    /// `Err` is the number of seconds (at least 1) after which it would fit.
    pub fn take(&self, now: Timestamp, mutations: u64, complexity: u64) -> Result<(), u32> {
        let need = |kind: Kind| {
            let tokens = match kind {
                Kind::Requests => 1,
                Kind::Mutations => mutations,
                Kind::Complexity => complexity,
            };
            u128::from(tokens) * PART
        };
        self.refilled(now, |buckets| {
            let wait = buckets
                .iter()
                .map(|bucket| {
                    // What is larger than the bucket can only wait until it is full.
                    let short = need(bucket.kind).min(bucket.full()).saturating_sub(bucket.left);
                    short.div_ceil(bucket.refill().max(1)).div_ceil(1_000)
                })
                .max()
                .unwrap_or(0);
            if wait > 0 {
                return Err(u32::try_from(wait).unwrap_or(3_600));
            }
            for bucket in buckets {
                bucket.left = bucket.left.saturating_sub(need(bucket.kind));
            }
            Ok(())
        })
    }

    /// How the buckets stand.
    pub fn rows(&self, now: Timestamp) -> Vec<Row> {
        self.refilled(now, |buckets| {
            buckets
                .iter()
                .map(|bucket| Row {
                    kind: match bucket.kind {
                        Kind::Requests => "REQUEST_COUNT",
                        Kind::Mutations => "MUTATION_COUNT",
                        Kind::Complexity => "QUERY_COMPLEXITY",
                    },
                    interval: if bucket.seconds == 10 { "TEN_SECONDS" } else { "ONE_HOUR" },
                    quota: bucket.quota,
                    left: u64::try_from(bucket.left / PART).unwrap_or(0),
                })
                .collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    fn at(millis: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_millis(1_000_000 + millis)
    }

    #[test]
    fn refuses_when_empty_and_refills_steadily() {
        let limits = Limits::new(Plan::Growth, at(0));
        for _ in 0..20 {
            limits.take(at(0), 1, 10).unwrap();
        }
        // 20 mutations in 10 s: the next token is there after half a second.
        assert_eq!(limits.take(at(0), 1, 10), Err(1));
        assert_eq!(limits.take(at(499), 1, 10), Err(1));
        limits.take(at(500), 1, 10).unwrap();
        // Queries still pass: only mutations are used up.
        limits.take(at(500), 0, 10).unwrap();
        let rows = limits.rows(at(500));
        assert_eq!(rows.len(), 6);
        let mutations = rows.iter().find(|r| r.kind == "MUTATION_COUNT" && r.interval == "TEN_SECONDS").unwrap();
        assert_eq!((mutations.quota, mutations.left), (20, 0));
    }

    #[test]
    fn an_empty_hour_says_how_long_to_wait() {
        let limits = Limits::new(Plan::Growth, at(0));
        let mut now = 0;
        let mut taken = 0;
        let wait = loop {
            match limits.take(at(now), 1, 10) {
                Ok(()) => taken += 1,
                Err(wait) if wait > 1 => break wait,
                Err(_) => now += 500,
            }
        };
        assert!((1_800..4_000).contains(&taken), "{taken}");
        assert_eq!(wait, 2);
    }

    #[test]
    fn quotas_fit_an_int() {
        for plan in [Plan::Growth, Plan::Enhanced, Plan::HighVolume, Plan::Enterprise, Plan::Ample] {
            for row in Limits::new(plan, at(0)).rows(at(0)) {
                assert!(i32::try_from(row.quota).is_ok());
            }
        }
    }
}
