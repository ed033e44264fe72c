//! Centra's webhook plugin: batches of notices as a signed form, dropped when nobody takes them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::Sha256;
use tokio::sync::Semaphore;

use crate::mischief::{Mischief, Profile};

/// Where webhooks go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookTarget {
    /// An http address.
    pub url: String,
    /// The endpoint's secret.
    pub secret: String,
}

/// One change of one order or return.
#[derive(Clone, Copy, Debug)]
pub struct Notice {
    /// `order` or `return`.
    pub kind: &'static str,
    /// The order's number, or the return's id.
    pub number: i32,
    /// `insert`, `update` or `delete`.
    pub action: &'static str,
    /// When, in milliseconds since 1970.
    pub at: i64,
}

/// The signature header of a raw body sent at `t` (seconds since 1970): HMAC-SHA256 over `t.body`.
pub fn sign(secret: &str, t: i64, body: &str) -> String {
    // A key of any length is fine for HMAC.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(t.to_string().as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    format!("t={t},v1={}", hex::encode(mac.finalize().into_bytes()))
}

/// The raw body of a batch. Dates are bare local time of the instance, as Centra sends them.
pub fn body(notices: &[Notice], zone: &TimeZone) -> String {
    let events: Vec<_> = notices
        .iter()
        .map(|notice| {
            let date = jiff::Timestamp::from_millisecond(notice.at)
                .map(|at| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S.%6f").to_string())
                .unwrap_or_default();
            json!({"type": notice.kind, "action": notice.action, "date": date, "id": notice.number})
        })
        .collect();
    let payload = json!({ "events": events }).to_string();
    let encoded = percent_encoding::utf8_percent_encode(&payload, percent_encoding::NON_ALPHANUMERIC);
    format!("payload={encoded}")
}

/// The webhook plugin.
#[derive(Debug)]
pub struct Hooks {
    target: Mutex<Option<WebhookTarget>>,
    waiting: Mutex<Vec<Notice>>,
    under_way: std::sync::atomic::AtomicU64,
    batches: std::sync::atomic::AtomicU64,
    client: reqwest::Client,
    lanes: Arc<Semaphore>,
    retries: u32,
}

/// The most notices in one call.
const BATCH: usize = 100;

impl Hooks {
    /// A plugin that tries `retries` times more when a call fails (Centra: 0 to 3).
    /// Errors when no HTTP client can be made.
    pub fn new(target: Option<WebhookTarget>, retries: u32) -> anyhow::Result<Hooks> {
        // The receiver is on this machine and speaks plain http.
        #[allow(clippy::disallowed_methods, reason = "a stand-in for the outside has no session")]
        let client = {
            let _ = rustls::crypto::ring::default_provider().install_default();
            reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?
        };
        Ok(Hooks {
            target: Mutex::new(target),
            waiting: Mutex::new(Vec::new()),
            under_way: Default::default(),
            batches: Default::default(),
            client,
            lanes: Arc::new(Semaphore::new(4)),
            retries,
        })
    }

    /// Sets where webhooks go from now on; `None` turns them off.
    pub fn aim(&self, target: Option<WebhookTarget>) {
        *self.target.lock().unwrap_or_else(PoisonError::into_inner) = target;
    }

    /// Takes notices to be sent soon. Without a target they are forgotten.
    pub fn tell(&self, notices: impl IntoIterator<Item = Notice>) {
        if self.target.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
            return;
        }
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).extend(notices);
    }

    /// Notices not yet sent, and calls under way.
    pub fn pending(&self) -> u64 {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).len();
        u64::try_from(waiting).unwrap_or(u64::MAX) + self.under_way.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Sends what waits, in batches; each in a task of its own, so that a late one is overtaken.
    pub fn send(self: &Arc<Self>, mischief: &Arc<Mischief>, zone: &TimeZone) {
        use std::sync::atomic::Ordering::Relaxed;
        let target = self.target.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let notices = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(target) = target else {
            return;
        };
        for batch in notices.chunks(BATCH) {
            let number = self.batches.fetch_add(1, Relaxed);
            let (lost, late, twice) = match mischief.profile() {
                Profile::None => (false, false, false),
                Profile::Rough => (
                    mischief.chance("webhook lost", number, 3.0),
                    mischief.chance("webhook late", number, 4.0),
                    mischief.chance("webhook twice", number, 4.0),
                ),
                Profile::Hostile => (
                    mischief.chance("webhook lost", number, 15.0),
                    mischief.chance("webhook late", number, 15.0),
                    mischief.chance("webhook twice", number, 15.0),
                ),
            };
            if lost {
                continue;
            }
            let body = body(batch, zone);
            let delay = Duration::from_millis(if late { 500 + mischief.pick("webhook delay", number, 2_500) } else { 0 });
            for copy in 0..=u32::from(twice) {
                self.under_way.fetch_add(1, Relaxed);
                let (hooks, target, body) = (Arc::clone(self), target.clone(), body.clone());
                let mischief = Arc::clone(mischief);
                tokio::spawn(async move {
                    tokio::time::sleep(delay * (copy + 1)).await;
                    hooks.deliver(&target, &body, &mischief).await;
                    hooks.under_way.fetch_sub(1, Relaxed);
                });
            }
        }
    }

    async fn deliver(&self, target: &WebhookTarget, body: &str, mischief: &Mischief) {
        for attempt in 0..=self.retries {
            if attempt > 0 {
                tokio::time::sleep(Duration::from_secs(1 << attempt.min(4))).await;
            }
            let Ok(_lane) = self.lanes.acquire().await else {
                return;
            };
            let signature = sign(&target.secret, mischief.now().as_second(), body);
            let answer = self
                .client
                .post(&target.url)
                .header("Content-Type", "application/x-www-form-urlencoded")
                .header("X-Centra-Signature", signature)
                .body(body.to_owned())
                .send()
                .await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
        }
        tracing::debug!(url = %target.url, "a webhook was dropped");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_as_the_published_examples() {
        let cases = [
            (
                "test123",
                12_345_678,
                "payload=%7B%22x%22%3A%22test%22%7D",
                "0b9cd84f5d583e5e1aadfb9f160aa8080b51d5b85ff85808d6b75bdac356c549",
            ),
            (
                "s3cr3t-Key",
                1_700_000_000,
                "payload=%7B%22events%22%3A%5B%7B%22type%22%3A%22order%22%2C%22action%22%3A%22insert%22%2C%22date%22%3A%222023-11-14+22%3A13%3A20.000000%22%2C%22id%22%3A1001%7D%5D%7D",
                "69a584136857caf826ff80d09c91bdca7c237e0790770206af809b447067b0bc",
            ),
        ];
        for (secret, t, body, v1) in cases {
            assert_eq!(sign(secret, t, body), format!("t={t},v1={v1}"));
        }
    }

    #[test]
    fn a_batch_is_a_form_with_bare_local_dates() {
        let zone = TimeZone::get("Europe/Stockholm").unwrap();
        let notice = Notice { kind: "order", number: 1001, action: "insert", at: 1_700_000_000_123 };
        let body = body(&[notice], &zone);
        let encoded = body.strip_prefix("payload=").unwrap();
        let text = percent_encoding::percent_decode_str(encoded).decode_utf8().unwrap();
        let payload: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            payload,
            json!({"events": [{"type": "order", "action": "insert", "date": "2023-11-14 23:13:20.123000", "id": 1001}]})
        );
    }
}
