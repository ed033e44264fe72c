//! Who may call next: budget windows, slots, pauses and the breaker of one connection.
//!
//! Everything is decided on one small state under one lock, in whole numbers, and handed out to the
//! most urgent waiter first, first come first served among equals. Nobody polls: a waiter sleeps
//! until it is called or until the moment at which the head of the line may go.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use super::{Budget, Priority, SessionConfig};

/// Tokens are counted in millionths, so that refilling needs no fractions.
const MICRO: i128 = 1_000_000;
/// Of what the platform grants, this much is ours to spend: others share it.
const SHARE_PERCENT: i128 = 90;
/// Slots are counted in thousandths, so that they can grow slowly.
const MILLI: usize = 1_000;
/// How much a call that came through widens the slots again.
const WIDEN_MILLI: usize = 50;

/// One window of the budget as it stands.
struct Bucket {
    name: &'static str,
    quota: u64,
    per: Duration,
    /// Below zero after a cost that was known only afterwards.
    tokens: i128,
    filled_at: Instant,
}

impl Bucket {
    fn room(&self) -> i128 {
        // At least one call must fit, however small the quota.
        (i128::from(self.quota) * MICRO * SHARE_PERCENT / 100).max(MICRO)
    }

    fn refill(&mut self, now: Instant) {
        let gone = i128::try_from(now.saturating_duration_since(self.filled_at).as_micros()).unwrap_or(i128::MAX);
        let span = i128::try_from(self.per.as_micros()).unwrap_or(i128::MAX).max(1);
        let gained = self.room().saturating_mul(gone) / span;
        self.tokens = self.tokens.saturating_add(gained).min(self.room());
        self.filled_at = now;
    }

    /// How long until `cost` fits; nothing if it fits now. A cost past the whole room waits for a full bucket.
    fn wait(&self, cost: u64) -> Option<Duration> {
        let missing = (i128::from(cost) * MICRO).min(self.room()) - self.tokens;
        if missing <= 0 {
            return None;
        }
        let span = i128::try_from(self.per.as_micros()).unwrap_or(i128::MAX);
        let micros = missing.saturating_mul(span) / self.room() + 1;
        Some(Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)))
    }
}

enum Breaker {
    Closed { failures: u32 },
    Open { until: Instant },
    /// One call is trying.
    Trying,
}

struct Waiter {
    costs: Vec<(&'static str, u32)>,
    call: oneshot::Sender<Permit>,
}

struct State {
    waiting: BTreeMap<(Priority, u64), Waiter>,
    arrivals: u64,
    under_way: usize,
    slots_milli: usize,
    paused_until: Option<Instant>,
    throttled_in_row: u32,
    breaker: Breaker,
    buckets: Vec<Bucket>,
}

/// Why a call cannot even wait.
pub(super) enum Shut {
    /// The breaker is open; try again after this.
    Broken(Duration),
    /// The platform asked for a pause longer than a call should wait inside.
    Paused(Duration),
}

/// The line of one connection.
pub(super) struct Line {
    state: Mutex<State>,
    slots_max: usize,
    breaker_failures: u32,
    breaker_pause: Duration,
    wait_inside_max: Duration,
}

/// The right to make one call; given back when dropped.
pub(super) struct Permit(Option<Arc<Line>>);

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(line) = self.0.take() else { return };
        let mut state = line.lock();
        state.under_way = state.under_way.saturating_sub(1);
        if matches!(state.breaker, Breaker::Trying) {
            // The trial was given up without an outcome: the next call tries.
            state.breaker = Breaker::Open { until: Instant::now() };
        }
        line.call_next(&mut state);
    }
}

impl Line {
    pub(super) fn new(config: &SessionConfig) -> Arc<Self> {
        let slots_max = config.concurrency_max.max(1);
        let line = Arc::new(Self {
            state: Mutex::new(State {
                waiting: BTreeMap::new(),
                arrivals: 0,
                under_way: 0,
                slots_milli: slots_max * MILLI,
                paused_until: None,
                throttled_in_row: 0,
                breaker: Breaker::Closed { failures: 0 },
                buckets: Vec::new(),
            }),
            slots_max,
            breaker_failures: config.breaker_failures.max(1),
            breaker_pause: config.breaker_pause,
            wait_inside_max: config.wait_inside_max,
        });
        line.learn(&config.budget, &[]);
        line
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the right to call.
    pub(super) async fn enter(self: &Arc<Self>, priority: Priority, costs: Vec<(&'static str, u32)>) -> Result<Permit, Shut> {
        let (call, mut called) = oneshot::channel();
        let (key, mut next) = {
            let mut state = self.lock();
            let now = Instant::now();
            if let Breaker::Open { until } = state.breaker
                && until > now
            {
                return Err(Shut::Broken(until - now));
            }
            if let Some(left) = state.paused_until.and_then(|until| until.checked_duration_since(now)).filter(|left| *left > self.wait_inside_max) {
                return Err(Shut::Paused(left));
            }
            state.arrivals += 1;
            let key = (priority, state.arrivals);
            state.waiting.insert(key, Waiter { costs, call });
            (key, self.call_next(&mut state))
        };
        // Leaves the line if this future is dropped while it waits.
        let place = Place { line: self, key };
        loop {
            let moment = next.unwrap_or_else(|| Instant::now() + Duration::from_secs(3_600));
            tokio::select! {
                biased;
                permit = &mut called => {
                    std::mem::forget(place);
                    // The sender goes only with the place in the line, which is ours.
                    return permit.map_err(|_| Shut::Broken(self.breaker_pause));
                }
                () = tokio::time::sleep_until(moment) => next = self.call_next(&mut self.lock()),
            }
        }
    }

    /// Calls whoever may go; the moment at which the head of the line may, if it has to wait for one.
    fn call_next(self: &Arc<Self>, state: &mut State) -> Option<Instant> {
        loop {
            let now = Instant::now();
            for bucket in &mut state.buckets {
                bucket.refill(now);
            }
            let (&key, waiter) = state.waiting.first_key_value()?;
            if let Some(until) = state.paused_until.filter(|until| *until > now) {
                return Some(until);
            }
            let trial = match state.breaker {
                Breaker::Closed { .. } => false,
                Breaker::Open { until } if until > now => return Some(until),
                Breaker::Open { .. } => true,
                Breaker::Trying => return None,
            };
            if state.under_way >= (state.slots_milli / MILLI).max(1) {
                return None;
            }
            let cost = |name: &str| waiter.costs.iter().filter(|(n, _)| *n == name).map(|(_, c)| u64::from(*c)).sum::<u64>();
            if let Some(wait) = state.buckets.iter().filter_map(|b| b.wait(cost(b.name))).max() {
                return Some(now + wait);
            }
            let waiter = state.waiting.remove(&key)?;
            for (name, cost) in &waiter.costs {
                for bucket in state.buckets.iter_mut().filter(|b| b.name == *name) {
                    bucket.tokens -= i128::from(*cost) * MICRO;
                }
            }
            state.under_way += 1;
            if trial {
                state.breaker = Breaker::Trying;
            }
            if let Err(mut permit) = waiter.call.send(Permit(Some(Arc::clone(self)))) {
                // Gone meanwhile; its permit must not take the lock that we hold.
                permit.0 = None;
                state.under_way = state.under_way.saturating_sub(1);
                if trial {
                    state.breaker = Breaker::Open { until: now };
                }
            }
        }
    }

    /// A call came back with an answer that is none of the connection's troubles.
    pub(super) fn came_through(self: &Arc<Self>) {
        let mut state = self.lock();
        state.breaker = Breaker::Closed { failures: 0 };
        state.throttled_in_row = 0;
        state.slots_milli = (state.slots_milli + WIDEN_MILLI).min(self.slots_max * MILLI);
        self.call_next(&mut state);
    }

    /// A call did not come back, or came back with a server error.
    pub(super) fn failed(self: &Arc<Self>) {
        let mut state = self.lock();
        let open = Breaker::Open { until: Instant::now() + self.breaker_pause };
        state.breaker = match state.breaker {
            Breaker::Closed { failures } if failures + 1 < self.breaker_failures => Breaker::Closed { failures: failures + 1 },
            _ => open,
        };
    }

    /// How many times in a row the platform has limited us, this time included.
    pub(super) fn throttled(self: &Arc<Self>) -> u32 {
        let mut state = self.lock();
        state.breaker = Breaker::Closed { failures: 0 };
        state.throttled_in_row = state.throttled_in_row.saturating_add(1);
        state.slots_milli = (state.slots_milli / 2).max(MILLI);
        state.throttled_in_row
    }

    /// Lets nothing through for so long.
    pub(super) fn pause(&self, pause: Duration) {
        let mut state = self.lock();
        let until = Instant::now() + pause;
        state.paused_until = Some(state.paused_until.map_or(until, |already| already.max(until)));
    }

    pub(super) fn learn(self: &Arc<Self>, budget: &Budget, used: &[u64]) {
        let mut state = self.lock();
        let now = Instant::now();
        state.buckets = budget
            .windows
            .iter()
            .enumerate()
            .map(|(at, window)| {
                let mut bucket = Bucket { name: window.name, quota: window.quota, per: window.per, tokens: 0, filled_at: now };
                let used = i128::from(used.get(at).copied().unwrap_or(0)) * MICRO;
                bucket.tokens = bucket.room() - used;
                bucket
            })
            .collect();
        self.call_next(&mut state);
    }

    pub(super) fn charge(&self, name: &str, cost: u64) {
        let mut state = self.lock();
        for bucket in state.buckets.iter_mut().filter(|b| b.name == name) {
            bucket.tokens -= i128::from(cost) * MICRO;
        }
    }

    pub(super) fn read(&self, into: &mut super::SessionStats) {
        let mut state = self.lock();
        let now = Instant::now();
        into.under_way = state.under_way;
        into.waiting = state.waiting.len();
        into.breaker_open = !matches!(state.breaker, Breaker::Closed { .. });
        into.paused = state.paused_until.is_some_and(|until| until > now);
        for bucket in &mut state.buckets {
            bucket.refill(now);
            let used = u64::try_from((bucket.room() - bucket.tokens).max(0) / MICRO).unwrap_or(u64::MAX);
            into.windows.push((bucket.name.to_owned(), bucket.per.as_secs(), bucket.quota, used));
        }
    }
}

struct Place<'a> {
    line: &'a Arc<Line>,
    key: (Priority, u64),
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.line.lock();
        state.waiting.remove(&self.key);
        self.line.call_next(&mut state);
    }
}
