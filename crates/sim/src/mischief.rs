//! Faults: which request goes wrong, and how. Decided by (seed, system, counter), so a run can be replayed.

use std::future::Future;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

/// How much goes wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Nothing goes wrong.
    #[default]
    None,
    /// Every fault at a few percent.
    Rough,
    /// Every fault at 5 to 10 percent, and worse edits behind our back.
    Hostile,
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::None),
            "rough" => Ok(Self::Rough),
            "hostile" => Ok(Self::Hostile),
            other => Err(format!("unknown fault profile {other:?}: use none, rough or hostile")),
        }
    }
}

impl Profile {
    /// The name that [`FromStr`] takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Rough => "rough",
            Self::Hostile => "hostile",
        }
    }
}

/// The form in which a throttled answer says when to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfterForm {
    /// No header at all.
    None,
    /// A number of seconds from now: at least this many.
    Seconds(u32),
    /// An HTTP date.
    HttpDate,
    /// Seconds since 1970.
    EpochSeconds,
}

impl RetryAfterForm {
    /// The header's text for an answer given at `now` whose earliest retry is `wait` seconds later.
    /// `None` when the form has no header.
    pub fn header(self, now: Timestamp, wait: u32) -> Option<String> {
        let then = now.checked_add(SignedDuration::from_secs(i64::from(wait)));
        match (self, then) {
            (Self::None, _) | (_, Err(_)) => None,
            (Self::Seconds(seconds), _) => Some(seconds.max(wait).to_string()),
            (Self::EpochSeconds, Ok(then)) => Some(then.as_second().to_string()),
            (Self::HttpDate, Ok(then)) => {
                Some(then.to_zoned(jiff::tz::TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
            }
        }
    }
}

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Refused with 429; nothing happened.
    Throttle {
        /// How the answer says when to come back.
        retry_after: RetryAfterForm,
    },
    /// 500; nothing happened.
    ServerErrorBefore,
    /// It was done, and then answered with 500.
    ServerErrorAfter,
    /// It was done, and the connection died before a byte of the answer.
    LoseAnswerAfter,
    /// The vendor's own error body at status 200; nothing happened.
    ErrorIn200,
    /// It was done; the answer stops in the middle of its promised length.
    TruncateBody,
    /// The connection died before anything happened.
    DropBefore,
}

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    /// How long the whole exchange is held up.
    pub latency: Duration,
    /// What goes wrong.
    pub fault: Fault,
}

impl Fate {
    /// Nothing goes wrong.
    pub const GOOD: Fate = Fate { latency: Duration::ZERO, fault: Fault::None };
}

/// Decides faults. Deterministic in (seed, system, number of the request).
#[derive(Debug)]
pub struct Mischief {
    seed: u64,
    system: u64,
    run: u64,
    profile: Profile,
    fixed_latency: Duration,
    forms: [RetryAfterForm; 4],
    requests: AtomicU64,
}

/// Every form there is.
const ALL_FORMS: [RetryAfterForm; 4] =
    [RetryAfterForm::None, RetryAfterForm::Seconds(1), RetryAfterForm::HttpDate, RetryAfterForm::EpochSeconds];

/// A well-mixed 64-bit hash of a 64-bit value (SplitMix64's finaliser).
pub fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// FNV-1a of a text, to tell systems and questions apart.
pub fn hash_text(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Parts of a million per fault: (throttle, 500 before, 500 after, lost answer, error in 200, truncated, dropped before).
const ROUGH: [u64; 7] = [30_000, 15_000, 15_000, 20_000, 15_000, 10_000, 15_000];
const HOSTILE: [u64; 7] = [80_000, 60_000, 60_000, 70_000, 50_000, 50_000, 60_000];

impl Mischief {
    /// Mischief for one system of a world with this seed.
    pub fn new(seed: u64, profile: Profile, system: &'static str) -> Mischief {
        Mischief {
            seed,
            system: hash_text(system),
            run: 0,
            profile,
            fixed_latency: Duration::ZERO,
            forms: ALL_FORMS,
            requests: AtomicU64::new(0),
        }
    }

    /// The forms of `Retry-After` on its 429s, each as often as it is named; all of them equally often if not said.
    pub fn retry_after(mut self, forms: [RetryAfterForm; 4]) -> Self {
        self.forms = forms;
        self
    }

    /// Adds a fixed latency to every answer, for benches.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.fixed_latency = latency;
        self
    }

    /// Says which start of a kept world this is, so that a restart does not repeat the same faults
    /// on its first requests for ever. Changes [`Mischief::next`] only.
    pub fn run(mut self, run: u64) -> Self {
        self.run = run;
        self
    }

    /// The profile in force.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    fn roll(&self, salt: u64, key: u64) -> u64 {
        mix(mix(mix(self.seed) ^ self.system).wrapping_add(mix(salt)) ^ key)
    }

    /// What becomes of the next request. `write` says whether it changes anything; a write loses its
    /// answer at the full rate, a read at a third of it (a lost read is only a retry).
    pub fn next(&self, write: bool) -> Fate {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let (table, longest) = match self.profile {
            Profile::None => {
                return Fate { latency: self.fixed_latency, fault: Fault::None };
            }
            Profile::Rough => (ROUGH, 20_000),
            Profile::Hostile => (HOSTILE, 100_000),
        };
        let dice = self.roll(self.run.wrapping_mul(2).wrapping_add(1), number);
        let latency = self.fixed_latency + Duration::from_micros(mix(dice ^ 1) % (longest + 1));
        let [first, second, third, fourth] = self.forms;
        let form = match mix(dice ^ 2) % 4 {
            0 => first,
            1 => second,
            2 => third,
            _ => fourth,
        };
        let faults = [
            Fault::Throttle { retry_after: form },
            Fault::ServerErrorBefore,
            Fault::ServerErrorAfter,
            Fault::LoseAnswerAfter,
            Fault::ErrorIn200,
            Fault::TruncateBody,
            Fault::DropBefore,
        ];
        let mut left = dice % 1_000_000;
        for (fault, share) in faults.into_iter().zip(table) {
            let share = match fault {
                Fault::ServerErrorAfter | Fault::LoseAnswerAfter if !write => share / 3,
                _ => share,
            };
            if left < share {
                return Fate { latency, fault };
            }
            left -= share;
        }
        Fate { latency, fault: Fault::None }
    }

    /// By how much this system's clock is off; the same for the whole run.
    pub fn clock_skew(&self) -> SignedDuration {
        let most: i64 = match self.profile {
            Profile::None => return SignedDuration::ZERO,
            Profile::Rough => 2_000,
            Profile::Hostile => 60_000,
        };
        let span = u64::try_from(2 * most + 1).unwrap_or(1);
        let offset = i64::try_from(self.roll(hash_text("clock"), 0) % span).unwrap_or(0);
        SignedDuration::from_millis(offset - most)
    }

    /// This system's clock: the machine's, plus the skew.
    #[allow(clippy::disallowed_methods, reason = "a stand-in has a clock of its own, off by its own skew")]
    pub fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        now.checked_add(self.clock_skew()).unwrap_or(now)
    }

    /// Whether `what` happens to `key`, in so many percent of the keys. The same answer each time it is asked.
    #[allow(clippy::float_arithmetic, reason = "a chance is no money")]
    pub fn chance(&self, what: &str, key: u64, percent: f64) -> bool {
        let parts = f64::from(u32::try_from(self.roll(hash_text(what), key) % 1_000_000).unwrap_or(0));
        parts < percent * 10_000.0
    }

    /// A deterministic number in `0..below` for (`what`, `key`); 0 when `below` is 0.
    pub fn pick(&self, what: &str, key: u64, below: u64) -> u64 {
        self.roll(hash_text(what), key).checked_rem(below).unwrap_or(0)
    }
}

/// How one vendor words its errors.
pub trait Tongue {
    /// The 429 of this vendor; `retry_after` is the header's text, if there is to be one.
    fn throttled(&self, retry_after: Option<String>) -> Response;
    /// The 500 of this vendor.
    fn server_error(&self) -> Response;
    /// This vendor's way of saying "it failed" at status 200.
    fn error_in_200(&self) -> Response;
}

/// Marks an answer whose connection must die before a byte of it is sent (see [`crate::wire`]).
#[derive(Clone, Copy, Debug)]
pub struct Severed;

/// Answers one request under its fate. `effect` does the work and makes the true answer; it is run at
/// most once, and not at all where the fault strikes first.
pub async fn answer(
    fate: Fate,
    now: Timestamp,
    tongue: &(impl Tongue + ?Sized),
    effect: impl Future<Output = Response>,
) -> Response {
    let half = fate.latency / 2;
    if !half.is_zero() {
        tokio::time::sleep(half).await;
    }
    let mut response = match fate.fault {
        Fault::None => effect.await,
        Fault::Throttle { retry_after } => tongue.throttled(retry_after.header(now, 1)),
        Fault::ServerErrorBefore => tongue.server_error(),
        Fault::ServerErrorAfter => {
            effect.await;
            tongue.server_error()
        }
        Fault::LoseAnswerAfter => {
            effect.await;
            severed()
        }
        Fault::ErrorIn200 => tongue.error_in_200(),
        Fault::TruncateBody => truncated(effect.await).await,
        Fault::DropBefore => severed(),
    };
    if !half.is_zero() {
        tokio::time::sleep(half).await;
    }
    // Every answer is dated by the clock of the one who gives it.
    if let Some(date) = RetryAfterForm::HttpDate.header(now, 0).and_then(|date| HeaderValue::from_str(&date).ok()) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

/// An answer that never arrives. Served through [`crate::wire::serve`] the connection is reset before
/// the first byte; served by anything else the body breaks at once.
pub fn severed() -> Response {
    let broken = futures_util::stream::once(async { Err::<Bytes, std::io::Error>(std::io::ErrorKind::ConnectionReset.into()) });
    let mut response = Response::new(Body::from_stream(broken));
    response.extensions_mut().insert(Severed);
    response
}

/// The same answer with its full length promised and only the first half sent.
/// An answer without a body is severed instead.
pub async fn truncated(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(whole) = axum::body::to_bytes(body, 64 << 20).await else {
        return severed();
    };
    if whole.is_empty() {
        return severed();
    }
    let half = whole.slice(..whole.len() / 2);
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
    let pieces = futures_util::stream::iter([Ok(half), Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))]);
    Response::from_parts(parts, Body::from_stream(pieces))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(seed: u64, profile: Profile, count: usize) -> Vec<Fate> {
        let mischief = Mischief::new(seed, profile, "x");
        (0..count).map(|n| mischief.next(n % 2 == 0)).collect()
    }

    #[test]
    fn is_replayable_and_depends_on_seed_and_run() {
        assert_eq!(fates(7, Profile::Rough, 500), fates(7, Profile::Rough, 500));
        assert_ne!(fates(7, Profile::Rough, 500), fates(8, Profile::Rough, 500));
        let again = Mischief::new(7, Profile::Rough, "x").run(1);
        let again: Vec<Fate> = (0..500).map(|n| again.next(n % 2 == 0)).collect();
        assert_ne!(fates(7, Profile::Rough, 500), again);
    }

    #[test]
    fn every_fault_comes_at_its_rate() {
        for (profile, low, high) in [(Profile::Rough, 0.004, 0.045), (Profile::Hostile, 0.03, 0.16)] {
            let all = fates(3, profile, 40_000);
            let share = |wanted: fn(&Fault) -> bool| all.iter().filter(|f| wanted(&f.fault)).count() as f64 / all.len() as f64;
            for (name, got) in [
                ("throttle", share(|f| matches!(f, Fault::Throttle { .. }))),
                ("before", share(|f| *f == Fault::ServerErrorBefore)),
                ("after", share(|f| *f == Fault::ServerErrorAfter)),
                ("lose", share(|f| *f == Fault::LoseAnswerAfter)),
                ("200", share(|f| *f == Fault::ErrorIn200)),
                ("truncate", share(|f| *f == Fault::TruncateBody)),
                ("drop", share(|f| *f == Fault::DropBefore)),
            ] {
                assert!(got > low && got < high, "{profile:?} {name} {got}");
            }
        }
        assert!(fates(3, Profile::None, 1000).iter().all(|f| *f == Fate::GOOD));
    }

    #[test]
    fn a_chance_is_near_its_percentage() {
        let mischief = Mischief::new(1, Profile::Rough, "centra");
        let hits = (0..100_000).filter(|k| mischief.chance("edit", *k, 2.0)).count();
        assert!((1_800..2_200).contains(&hits), "{hits}");
        assert_eq!(mischief.clock_skew(), mischief.clock_skew());
        assert!(mischief.clock_skew().abs() <= SignedDuration::from_secs(2));
        assert_eq!(Mischief::new(1, Profile::None, "c").clock_skew(), SignedDuration::ZERO);
    }

    #[test]
    fn retry_after_is_written_in_each_form() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        assert_eq!(RetryAfterForm::None.header(now, 9), None);
        assert_eq!(RetryAfterForm::Seconds(3).header(now, 9).unwrap(), "9");
        assert_eq!(RetryAfterForm::HttpDate.header(now, 10).unwrap(), "Fri, 02 Jan 2026 03:04:15 GMT");
        assert_eq!(RetryAfterForm::EpochSeconds.header(now, 0).unwrap(), "1767323045");
    }
}
