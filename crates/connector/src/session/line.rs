//! Who may call next: budget windows, slots, pauses and the breaker of one connection.
//!
//! Everything is decided on one small state under one lock, in whole numbers, and handed out to the
//! most urgent waiter first, first come first served among equals. Nobody polls: the head of the line
//! sleeps until the moment at which it may go, everybody else until called. Whoever changes the
//! state calls [`Line::serve`], which sets the head's alarm anew: no wake-up is lost.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{Budget, Priority, SessionConfig};

/// Tokens are counted in millionths, so that refilling needs no fractions.
const MICRO: i128 = 1_000_000;
/// Of what the platform grants, this much is ours to spend: others share it.
const SHARE_PERCENT: i128 = 90;
/// Slots are counted in thousandths, so that they can grow slowly.
const MILLI: usize = 1_000;

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
        self.tokens = self.tokens.saturating_add(gained);
        if self.tokens >= self.room() {
            self.tokens = self.room();
            self.filled_at = now;
        } else {
            // Only the time that made whole millionths is used up: a slow bucket that is looked at often fills, too.
            let used = (gained.saturating_mul(span) + self.room() - 1) / self.room();
            self.filled_at += Duration::from_micros(u64::try_from(used).unwrap_or(0));
        }
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
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
    },
    /// One call is trying.
    Trying,
}

/// A place in the line: the more urgent first, then the earlier.
type Key = (Priority, u64);

struct Waiter {
    costs: Vec<(&'static str, u32)>,
    call: oneshot::Sender<Result<Permit, Shut>>,
    /// Rung when the moment at which the head may go has changed.
    alarm: Arc<Notify>,
}

struct State {
    waiting: BTreeMap<Key, Waiter>,
    arrivals: u64,
    under_way: usize,
    slots_milli: usize,
    paused_until: Option<Instant>,
    throttled_in_row: u32,
    throttled_at: Option<Instant>,
    breaker: Breaker,
    buckets: Vec<Bucket>,
    /// Who looks again, and when.
    alarm: Option<(Key, Instant)>,
}

/// Why a call cannot wait, or cannot wait any longer.
#[derive(Debug)]
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
pub(super) struct Permit {
    line: Option<Arc<Line>>,
    since: Instant,
    trial: bool,
}

impl Permit {
    /// When the call was let through.
    pub(super) fn since(&self) -> Instant {
        self.since
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(line) = self.line.take() else { return };
        let mut state = line.lock();
        state.under_way = state.under_way.saturating_sub(1);
        if self.trial && matches!(state.breaker, Breaker::Trying) {
            // The trial was given up without an outcome: the next call tries.
            state.breaker = Breaker::Open { until: Instant::now() };
        }
        line.serve(&mut state);
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
                throttled_at: None,
                breaker: Breaker::Closed { failures: 0 },
                buckets: Vec::new(),
                alarm: None,
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
        let alarm = Arc::new(Notify::new());
        let key = {
            let mut state = self.lock();
            if let Some(shut) = self.shut(&state) {
                return Err(shut);
            }
            state.arrivals += 1;
            let key = (priority, state.arrivals);
            state.waiting.insert(key, Waiter { costs, call, alarm: Arc::clone(&alarm) });
            self.serve(&mut state);
            key
        };
        // Leaves the line if this future is dropped while it waits.
        let place = Place { line: self, key };
        loop {
            let moment = self.lock().alarm.filter(|(whose, _)| *whose == key).map(|(_, moment)| moment);
            tokio::select! {
                biased;
                outcome = &mut called => {
                    std::mem::forget(place);
                    // The sender goes only with the place in the line, which is ours.
                    return outcome.unwrap_or(Err(Shut::Broken(self.breaker_pause)));
                }
                () = alarm.notified() => {}
                () = tokio::time::sleep_until(moment.unwrap_or_else(Instant::now)), if moment.is_some() => {
                    let mut state = self.lock();
                    state.alarm = state.alarm.filter(|(whose, _)| *whose != key);
                    self.serve(&mut state);
                }
            }
        }
    }

    /// Why a call that comes now could not even wait.
    fn shut(&self, state: &State) -> Option<Shut> {
        let now = Instant::now();
        if let Breaker::Open { until } = state.breaker
            && until > now
        {
            return Some(Shut::Broken(until - now));
        }
        let left = state.paused_until.and_then(|until| until.checked_duration_since(now))?;
        (left > self.wait_inside_max).then_some(Shut::Paused(left))
    }

    /// How long every call is sent back, if it is.
    pub(super) fn rests(&self) -> Option<Duration> {
        self.shut(&self.lock()).map(|shut| match shut {
            Shut::Broken(left) | Shut::Paused(left) => left,
        })
    }

    /// Calls whoever may go, and sets the alarm of the one who has to wait for a moment.
    fn serve(self: &Arc<Self>, state: &mut State) {
        let moment = self.call_next(state);
        let Some(((key, waiter), moment)) = state.waiting.first_key_value().zip(moment) else { return };
        // An alarm that rings too early is set again when it rings.
        if state.alarm.is_none_or(|(whose, at)| whose != *key || at > moment) {
            state.alarm = Some((*key, moment));
            waiter.alarm.notify_one();
        }
    }

    /// Calls whoever may go; the moment at which the head of the line may, if it has to wait for one.
    fn call_next(self: &Arc<Self>, state: &mut State) -> Option<Instant> {
        let now = Instant::now();
        for bucket in &mut state.buckets {
            bucket.refill(now);
        }
        loop {
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
            let permit = Permit { line: Some(Arc::clone(self)), since: now, trial };
            if let Err(Ok(mut permit)) = waiter.call.send(Ok(permit)) {
                // Gone meanwhile; its permit must not take the lock that we hold.
                permit.line = None;
                continue;
            }
            for (name, cost) in &waiter.costs {
                for bucket in state.buckets.iter_mut().filter(|b| b.name == *name) {
                    bucket.tokens -= i128::from(*cost) * MICRO;
                }
            }
            state.under_way += 1;
            if trial {
                state.breaker = Breaker::Trying;
            }
        }
    }

    /// A call, let through at `since`, came back with an answer that is none of the connection's troubles.
    pub(super) fn came_through(self: &Arc<Self>, since: Instant) {
        let mut state = self.lock();
        state.breaker = Breaker::Closed { failures: 0 };
        // A call that left before the last 429 says nothing about what is allowed since.
        if state.throttled_at.is_none_or(|at| since >= at) {
            state.throttled_in_row = 0;
            // One slot more when as many calls came through as there are slots: halved at once, widened one by one.
            let gained = MILLI * MILLI / state.slots_milli.max(MILLI);
            state.slots_milli = (state.slots_milli + gained).min(self.slots_max * MILLI);
        }
        self.serve(&mut state);
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

    /// A call, let through at `since`, was limited: how many times in a row that makes. Calls that
    /// were under way together are limited together and count once. `narrow`: halve the slots, too.
    pub(super) fn throttled(&self, since: Instant, narrow: bool) -> u32 {
        let mut state = self.lock();
        state.breaker = Breaker::Closed { failures: 0 };
        if state.throttled_at.is_none_or(|at| since >= at) {
            state.throttled_in_row = state.throttled_in_row.saturating_add(1);
            if narrow {
                state.slots_milli = (state.slots_milli / 2).max(MILLI);
            }
        }
        state.throttled_at = Some(Instant::now());
        state.throttled_in_row
    }

    /// Lets nothing through for so long; whoever waits already is sent back if that is longer than a call waits inside.
    pub(super) fn pause(&self, pause: Duration) {
        let mut state = self.lock();
        let until = Instant::now() + pause;
        if state.paused_until.is_none_or(|already| until > already) {
            state.paused_until = Some(until);
        }
        if pause > self.wait_inside_max {
            for (_, waiter) in std::mem::take(&mut state.waiting) {
                let _ = waiter.call.send(Err(Shut::Paused(pause)));
            }
        }
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
        self.serve(&mut state);
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
    key: Key,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.line.lock();
        state.waiting.remove(&self.key);
        self.line.serve(&mut state);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use proptest::prelude::*;
    use tokio::task::JoinSet;

    use super::*;
    use crate::session::BudgetWindow;

    fn line(slots: usize, windows: &[(&'static str, u64, u64)]) -> Arc<Line> {
        let windows = windows
            .iter()
            .map(|(name, quota, seconds)| BudgetWindow { name, quota: *quota, per: Duration::from_secs(*seconds) })
            .collect();
        Line::new(&SessionConfig { concurrency_max: slots, budget: Budget { windows }, ..SessionConfig::named("test") })
    }

    async fn enter(line: &Arc<Line>, priority: Priority) -> Permit {
        line.enter(priority, vec![("requests", 1)]).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_slot_given_back_while_the_budget_is_spent_wakes_the_next_in_time() {
        // The waiter saw no free slot; when it gets one, the budget is what it has to wait for.
        let line = line(1, &[("requests", 1, 10)]);
        let first = enter(&line, Priority::Orders).await;
        let started = Instant::now();
        let waiting = tokio::spawn({
            let line = line.clone();
            async move { enter(&line, Priority::Orders).await.since() }
        });
        tokio::task::yield_now().await;
        drop(first);
        let since = waiting.await.unwrap();
        let waited = since - started;
        assert!(waited >= Duration::from_secs(9) && waited <= Duration::from_secs(11), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_urgent_newcomer_goes_before_those_who_wait_for_the_budget() {
        let line = line(4, &[("requests", 1, 10)]);
        drop(enter(&line, Priority::Orders).await);
        let order = Arc::<Mutex<Vec<&'static str>>>::default();
        let mut calls = JoinSet::new();
        for priority in [Priority::Sweeps, Priority::Sweeps, Priority::Stock, Priority::Control] {
            let (line, order) = (line.clone(), order.clone());
            calls.spawn(async move {
                let _permit = enter(&line, priority).await;
                order.lock().unwrap().push(priority.word());
            });
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        while calls.join_next().await.is_some() {}
        assert_eq!(*order.lock().unwrap(), ["control", "stock", "sweeps", "sweeps"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_window_fills_however_often_it_is_looked_at() {
        let line = line(1, &[("requests", 1, 3_600)]);
        drop(enter(&line, Priority::Orders).await);
        let (started, mut stats) = (Instant::now(), super::super::SessionStats::default());
        while started.elapsed() < Duration::from_secs(2) {
            tokio::time::sleep(Duration::from_millis(1)).await;
            line.read(&mut stats);
        }
        let tokens = line.lock().buckets[0].tokens;
        // 2 seconds of an hour in millionths: 555.
        assert!((500..=560).contains(&tokens), "{tokens}");
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_were_limited_together_count_once() {
        let line = line(8, &[]);
        let mut permits = Vec::new();
        for _ in 0..4 {
            permits.push(enter(&line, Priority::Orders).await);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        let counts: Vec<u32> = permits.iter().map(|permit| line.throttled(permit.since(), true)).collect();
        assert_eq!(counts, [1, 1, 1, 1]);
        assert_eq!(line.lock().slots_milli, 4 * MILLI, "halved once, not four times");
        line.came_through(permits[0].since());
        assert_eq!(line.lock().throttled_in_row, 1, "an older answer proves nothing");
        tokio::time::sleep(Duration::from_millis(1)).await;
        drop(permits);
        let later = enter(&line, Priority::Orders).await;
        assert_eq!(line.throttled(later.since(), false), 2);
        assert_eq!(line.lock().slots_milli, 4 * MILLI, "a platform that says how long to wait keeps its slots");
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_pause_sends_the_waiting_back_and_a_short_one_does_not() {
        let line = line(1, &[]);
        let busy = enter(&line, Priority::Orders).await;
        let wait = |line: &Arc<Line>| {
            tokio::spawn({
                let line = line.clone();
                async move { line.enter(Priority::Orders, Vec::new()).await.map(|_| Instant::now()) }
            })
        };
        let waiting = wait(&line);
        tokio::task::yield_now().await;
        line.pause(Duration::from_secs(60));
        assert!(matches!(waiting.await.unwrap(), Err(Shut::Paused(_))));
        tokio::time::sleep(Duration::from_secs(61)).await;
        drop(busy);
        line.pause(Duration::from_secs(1));
        let started = Instant::now();
        assert!(wait(&line).await.unwrap().unwrap() - started >= Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_open_breaker_lets_one_try_at_a_time() {
        let line = line(4, &[]);
        for _ in 0..8 {
            let _permit = enter(&line, Priority::Orders).await;
            line.failed();
        }
        assert!(matches!(line.enter(Priority::Orders, Vec::new()).await, Err(Shut::Broken(_))));
        tokio::time::sleep(Duration::from_secs(6)).await;
        let trial = enter(&line, Priority::Orders).await;
        let second = tokio::time::timeout(Duration::from_secs(60), enter(&line, Priority::Orders)).await;
        assert!(second.is_err(), "a second call went while the first was trying");
        // Given up without an outcome: the next one tries.
        drop(trial);
        let trial = tokio::time::timeout(Duration::from_secs(1), enter(&line, Priority::Orders)).await.unwrap();
        line.came_through(trial.since());
        drop(tokio::time::timeout(Duration::from_secs(1), enter(&line, Priority::Orders)).await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_platform_tells_wakes_those_who_wait() {
        let line = line(1, &[("requests", 1, 3_600)]);
        drop(enter(&line, Priority::Orders).await);
        let waiting = tokio::spawn({
            let line = line.clone();
            async move { drop(enter(&line, Priority::Orders).await) }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!waiting.is_finished());
        let window = BudgetWindow { name: "requests", quota: 100, per: Duration::from_secs(10) };
        line.learn(&Budget { windows: vec![window] }, &[10]);
        tokio::time::timeout(Duration::from_millis(10), waiting).await.unwrap().unwrap();
    }

    /// One caller of the property below.
    #[derive(Clone, Debug)]
    struct Caller {
        arrives_ms: u64,
        lasts_ms: u64,
        priority: usize,
        mutates: bool,
        gives_up_ms: Option<u64>,
    }

    fn caller() -> impl Strategy<Value = Caller> {
        (0..5_000_u64, 0..400_u64, 0..Priority::ALL.len(), any::<bool>(), proptest::option::weighted(0.2, 0..3_000_u64)).prop_map(
            |(arrives_ms, lasts_ms, priority, mutates, gives_up_ms)| Caller {
                arrives_ms,
                lasts_ms,
                priority,
                mutates,
                gives_up_ms,
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever comes and goes: nobody waits for ever, the slots and the windows hold.
        #[test]
        fn nobody_is_forgotten_and_no_limit_is_passed(callers in proptest::collection::vec(caller(), 1..60), slots in 1..5_usize) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async move {
                let line = line(slots, &[("requests", 20, 10), ("requests", 100, 120), ("mutations", 5, 10)]);
                let (now, peak) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
                let sent = Arc::<Mutex<Vec<(Instant, bool)>>>::default();
                let mut calls = JoinSet::new();
                for caller in callers {
                    let (line, now, peak, sent) = (line.clone(), now.clone(), peak.clone(), sent.clone());
                    calls.spawn(async move {
                        tokio::time::sleep(Duration::from_millis(caller.arrives_ms)).await;
                        let mut costs = vec![("requests", 1)];
                        costs.extend(caller.mutates.then_some(("mutations", 1)));
                        let entering = line.enter(Priority::ALL[caller.priority], costs);
                        let permit = match caller.gives_up_ms {
                            Some(ms) => tokio::time::timeout(Duration::from_millis(ms), entering).await.ok(),
                            None => Some(entering.await),
                        };
                        let Some(permit) = permit else { return };
                        let permit = permit.unwrap();
                        sent.lock().unwrap().push((permit.since(), caller.mutates));
                        peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        tokio::time::sleep(Duration::from_millis(caller.lasts_ms)).await;
                        now.fetch_sub(1, Ordering::SeqCst);
                        drop(permit);
                    });
                }
                let all = async { while let Some(done) = calls.join_next().await { done.unwrap() } };
                tokio::time::timeout(Duration::from_secs(600), all).await.expect("somebody waits for ever");
                assert!(peak.load(Ordering::SeqCst) <= slots);
                let state = line.lock();
                assert_eq!((state.under_way, state.waiting.len()), (0, 0));
                let sent = sent.lock().unwrap();
                // A full bucket and what flows into it meanwhile: never more than that in any stretch of time.
                for (counts, quota, seconds) in [(false, 20_u128, 10_u128), (false, 100, 120), (true, 5, 10)] {
                    let mut moments: Vec<Instant> = sent.iter().filter(|(_, mutates)| !counts || *mutates).map(|(at, _)| *at).collect();
                    moments.sort();
                    for (first, from) in moments.iter().enumerate() {
                        for (last, to) in moments.iter().enumerate().skip(first) {
                            let room = quota * 900_000;
                            let allowed = room + room * (*to - *from).as_micros() / (seconds * 1_000_000) + 1_000;
                            assert!((last - first + 1) as u128 * 1_000_000 <= allowed, "{} in {:?}, allowed {allowed}", last - first + 1, *to - *from);
                        }
                    }
                }
            });
        }
    }
}
