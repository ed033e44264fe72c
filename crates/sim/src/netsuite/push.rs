//! The installed script: NetSuite has no webhooks, so a script in the customer's account posts what moved.
//!
//! The vendor's user event scripts run after a transaction was saved: they know that something about an item at a place
//! changed, not what is available now, and where orders are committed later they run before that. They do not run for
//! CSV imports where the deployment leaves those out. The form of the call is the script's own, ours:
//! `{"sent_at":"<UTC>","stock":[{"item":"1001","location":"31"}]}`, at most [`BATCH`] items, with the header
//! `X-Selvedge-Signature: t=<seconds>,v1=<hex HMAC-SHA256 of "t.body">`.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::Sha256;
use tokio::sync::{Notify, Semaphore};

use crate::mischief::{Mischief, Profile};

/// Where the script posts to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushTarget {
    /// An http address.
    pub url: String,
    /// What it signs with.
    pub secret: String,
}

/// The most items in one call.
const BATCH: usize = 100;
/// What moves within so short a time goes in one call.
pub(super) const GATHER: Duration = Duration::from_millis(5);

/// Item and place.
type Pair = (u32, u32);

/// The script.
#[derive(Debug)]
pub(super) struct Pushes {
    target: Mutex<Option<PushTarget>>,
    waiting: Mutex<BTreeSet<Pair>>,
    /// Something waits, or is due earlier than before.
    pub(super) wake: Notify,
    client: reqwest::Client,
    lanes: Semaphore,
    under_way: AtomicU64,
    calls: AtomicU64,
    mischief: Arc<Mischief>,
}

impl Pushes {
    /// A script that posts nowhere yet. Errors when no HTTP client can be made.
    pub(super) fn new(mischief: Arc<Mischief>) -> anyhow::Result<Pushes> {
        // The receiver is on this machine and speaks plain http.
        #[allow(clippy::disallowed_methods, reason = "a stand-in for the outside has no session")]
        let client = {
            let _ = rustls::crypto::ring::default_provider().install_default();
            reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?
        };
        Ok(Pushes {
            target: Mutex::default(),
            waiting: Mutex::default(),
            wake: Notify::new(),
            client,
            lanes: Semaphore::new(4),
            under_way: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            mischief,
        })
    }

    fn target(&self) -> MutexGuard<'_, Option<PushTarget>> {
        self.target.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeSet<Pair>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets where it posts to from now on; `None` turns it off.
    pub(super) fn aim(&self, target: Option<PushTarget>) {
        *self.target() = target;
    }

    /// Takes what moved, to be told soon. Without a target it is forgotten.
    pub(super) fn tell(&self, pairs: BTreeSet<Pair>) {
        if !pairs.is_empty() && self.target().is_some() {
            self.waiting().extend(pairs);
        }
    }

    /// Items not yet sent, and calls under way.
    pub(super) fn pending(&self) -> u64 {
        let waiting = self.waiting().len();
        u64::try_from(waiting).unwrap_or(u64::MAX).saturating_add(self.under_way.load(Ordering::Relaxed))
    }

    /// Sends what waits, in batches; each in a task of its own, so that a late one is overtaken.
    pub(super) fn send(self: &Arc<Self>) {
        let pairs: Vec<Pair> = std::mem::take(&mut *self.waiting()).into_iter().collect();
        let Some(target) = self.target().clone() else {
            return;
        };
        for batch in pairs.chunks(BATCH) {
            let number = self.calls.fetch_add(1, Ordering::Relaxed);
            // As often as with the webhooks of the other side.
            let (lost, late, twice) = match self.mischief.profile() {
                Profile::None => (0.0, 0.0, 0.0),
                Profile::Rough => (3.0, 4.0, 4.0),
                Profile::Hostile => (15.0, 15.0, 15.0),
            };
            if self.mischief.chance("push lost", number, lost) {
                continue;
            }
            let late = self.mischief.chance("push late", number, late);
            let delay = if late { 500 + self.mischief.pick("push delay", number, 2_500) } else { 0 };
            let copies = 1 + u32::from(self.mischief.chance("push twice", number, twice));
            let body = body(batch, self.mischief.now());
            for copy in 1..=copies {
                self.under_way.fetch_add(1, Ordering::Relaxed);
                let (script, target, body) = (Arc::clone(self), target.clone(), body.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(delay) * copy).await;
                    script.deliver(&target, &body).await;
                    script.under_way.fetch_sub(1, Ordering::Relaxed);
                });
            }
        }
    }

    /// Posts one call; tries once more when it fails, and then drops it.
    async fn deliver(&self, target: &PushTarget, body: &str) {
        for attempt in 0..2 {
            if attempt > 0 {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            let Ok(_lane) = self.lanes.acquire().await else {
                return;
            };
            let signature = sign(&target.secret, self.mischief.now().as_second(), body);
            let answer = self
                .client
                .post(&target.url)
                .header("Content-Type", "application/json")
                .header("X-Selvedge-Signature", signature)
                .body(body.to_owned())
                .send()
                .await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
        }
        tracing::warn!(url = %target.url, "a stock push was dropped");
    }
}

/// The signature header of a raw body sent at `t` (seconds since 1970).
fn sign(secret: &str, t: i64, body: &str) -> String {
    // A key of any length is fine for HMAC.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(format!("{t}.{body}").as_bytes());
    format!("t={t},v1={}", hex::encode(mac.finalize().into_bytes()))
}

/// The raw body of a batch.
fn body(batch: &[Pair], now: Timestamp) -> String {
    let stock: Vec<_> =
        batch.iter().map(|(item, location)| json!({"item": item.to_string(), "location": location.to_string()})).collect();
    json!({"sent_at": format!("{now:.3}"), "stock": stock}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many calls come of each of so many pushes of one item: none, one or two.
    fn calls(profile: Profile, pushes: u32) -> Vec<u64> {
        let script = Arc::new(Pushes::new(Arc::new(Mischief::new(3, profile, "netsuite"))).unwrap());
        script.aim(Some(PushTarget { url: "http://127.0.0.1:9".to_owned(), secret: String::new() }));
        let mut under_way = 0;
        (0..pushes)
            .map(|item| {
                script.tell(BTreeSet::from([(item, 21)]));
                script.send();
                let before = std::mem::replace(&mut under_way, script.pending());
                under_way - before
            })
            .collect()
    }

    #[tokio::test]
    async fn some_pushes_are_lost_and_some_come_twice_always_the_same() {
        let hostile = calls(Profile::Hostile, 400);
        assert_eq!(hostile, calls(Profile::Hostile, 400));
        for often in [0, 2] {
            let count = hostile.iter().filter(|calls| **calls == often).count();
            assert!((30..90).contains(&count), "{often}: {count}");
        }
        assert_eq!(calls(Profile::None, 50), [1; 50]);
    }

    #[tokio::test]
    async fn a_call_holds_a_hundred_items_at_most() {
        let script = Arc::new(Pushes::new(Arc::new(Mischief::new(3, Profile::None, "netsuite"))).unwrap());
        script.tell(BTreeSet::from([(1, 21)]));
        assert_eq!(script.pending(), 0, "nobody listens");
        script.aim(Some(PushTarget { url: "http://127.0.0.1:9".to_owned(), secret: String::new() }));
        script.tell((0..201).map(|item| (item, 21)).collect());
        assert_eq!(script.pending(), 201);
        script.send();
        assert_eq!(script.pending(), 3);
    }

    #[test]
    fn a_batch_is_signed_json() {
        let now: Timestamp = "2026-11-23T10:00:00.5Z".parse().unwrap();
        let body = body(&[(1_001, 31), (1_002, 31)], now);
        assert_eq!(
            body,
            r#"{"sent_at":"2026-11-23T10:00:00.500Z","stock":[{"item":"1001","location":"31"},{"item":"1002","location":"31"}]}"#
        );
        // Computed with `printf '1700000000.{}' | openssl dgst -sha256 -hmac secret`.
        let signed = "t=1700000000,v1=b8569b78799ff9e3cbff0fc2d63a33a2b57f3282abd07c37ae5e8e7d79a5f163";
        assert_eq!(sign("secret", 1_700_000_000, "{}"), signed);
    }
}
