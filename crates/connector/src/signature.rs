//! Proof of who sent a delivery: HMAC over the raw bytes, compared in constant time.

use std::time::Duration;

use base64::{
    Engine as _,
    engine::{
        DecodePaddingMode,
        general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD},
    },
};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Keys are found with and without their padding.
const KEY_BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// HMAC-SHA256 of `data` under `key` (RFC 2104; a key of any length).
pub fn hmac_sha256(key: &[u8], data: &[u8]) -> [u8; 32] {
    // HMAC takes a key of any length; the arm for a refused one is never taken.
    match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mut mac) => {
            mac.update(data);
            mac.finalize().into_bytes().into()
        }
        Err(_) => [0; 32],
    }
}

/// Whether two byte strings are equal, in a time that does not tell where they differ.
pub fn same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

/// Whether `moment` lies within the tolerance of now, before or after: an old delivery may be a replay.
fn is_fresh(moment: i64, now: Timestamp, tolerance: Duration) -> bool {
    moment.abs_diff(now.as_second()) <= tolerance.as_secs()
}

/// Verifies a header of the form `t=<unix seconds>,v1=<hex>` where v1 is the HMAC-SHA256 of
/// `t.<raw body>` under the endpoint's secret (as Centra's Webhook plugin signs; several `v1` may be
/// given, any one counts).
///
/// # Errors
/// Which check failed, in words that tell nothing about the secret.
pub fn verify_timestamped_hex(
    header: &str,
    secret: &str,
    body: &[u8],
    now: Timestamp,
    tolerance: Duration,
) -> Result<(), &'static str> {
    let mut moment = None;
    let mut signatures = Vec::new();
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", value)) => moment = Some(value.trim()),
            Some(("v1", value)) => signatures.push(value.trim()),
            _ => {}
        }
    }
    let moment = moment.ok_or("the signature header has no timestamp")?;
    let seconds: i64 = moment.parse().map_err(|_| "the timestamp of the signature is not a number")?;
    let mut signed = moment.as_bytes().to_vec();
    signed.push(b'.');
    signed.extend_from_slice(body);
    let expected = hmac_sha256(secret.as_bytes(), &signed);
    let mut fits = false;
    for signature in signatures {
        // Every one is looked at, so that the time tells nothing.
        fits |= hex::decode(signature).is_ok_and(|given| same(&given, &expected));
    }
    if !fits {
        return Err("the signature does not fit the body");
    }
    // Age comes last: only a genuine signature may learn that it is too old.
    if !is_fresh(seconds, now, tolerance) {
        return Err("the signature is too old or from the future");
    }
    Ok(())
}

/// Verifies a delivery signed by the Standard Webhooks scheme: HMAC-SHA256 over `id.timestamp.body`,
/// the key base64 after `whsec_` (the prefix may be missing), several signatures separated by
/// blanks, of which any `v1` counts. Header names are compared without regard to case.
///
/// # Errors
/// Which check failed.
pub fn verify_standard_webhook(
    secret: &str,
    headers: &[(String, String)],
    body: &[u8],
    now: Timestamp,
    tolerance: Duration,
) -> Result<(), &'static str> {
    let header = |name: &str| {
        headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    };
    let id = header("webhook-id").ok_or("the header webhook-id is missing")?;
    let moment = header("webhook-timestamp").ok_or("the header webhook-timestamp is missing")?;
    let given = header("webhook-signature").ok_or("the header webhook-signature is missing")?;
    let seconds: i64 = moment.parse().map_err(|_| "the header webhook-timestamp is not a number")?;
    let expected = hmac_of_standard_webhook(secret, id, moment, body).ok_or("the secret is not base64")?;
    let mut fits = false;
    for signature in given.split(' ') {
        if let Some(("v1", text)) = signature.split_once(',') {
            fits |= STANDARD.decode(text).is_ok_and(|bytes| same(&bytes, &expected));
        }
    }
    if !fits {
        return Err("no signature fits the body");
    }
    if !is_fresh(seconds, now, tolerance) {
        return Err("the timestamp is too old or from the future");
    }
    Ok(())
}

/// Signs a delivery by the Standard Webhooks scheme: one entry of the header `webhook-signature`. `None` where the secret is not
/// base64 of 24 to 64 bytes.
pub fn sign_standard_webhook(secret: &str, id: &str, moment: &str, body: &[u8]) -> Option<String> {
    let key = KEY_BASE64.decode(secret.strip_prefix("whsec_").unwrap_or(secret)).ok()?;
    let mac = hmac_of_standard_webhook(secret, id, moment, body).filter(|_| (24..=64).contains(&key.len()))?;
    Some(format!("v1,{}", STANDARD.encode(mac)))
}

fn hmac_of_standard_webhook(secret: &str, id: &str, moment: &str, body: &[u8]) -> Option<[u8; 32]> {
    let key = KEY_BASE64.decode(secret.strip_prefix("whsec_").unwrap_or(secret)).ok()?;
    let mut signed = format!("{id}.{moment}.").into_bytes();
    signed.extend_from_slice(body);
    Some(hmac_sha256(&key, &signed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    const TOLERANCE: Duration = Duration::from_secs(300);

    #[test]
    fn the_published_vectors_of_the_timestamped_scheme() {
        for (secret, t, body, v1) in [
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
        ] {
            let header = format!("t={t}, v1={v1}");
            let verify =
                |secret: &str, body: &str, now| verify_timestamped_hex(&header, secret, body.as_bytes(), at(now), TOLERANCE);
            assert_eq!(verify(secret, body, t + 300), Ok(()));
            assert!(verify(secret, body, t + 301).is_err(), "a replay");
            assert!(verify("other", body, t).is_err());
            assert!(
                verify(secret, &body.replace('+', "%20"), t).is_err() || !body.contains('+'),
                "another spelling of the same text"
            );
            assert!(verify(secret, &format!("{body}x"), t).is_err());
        }
        assert!(verify_timestamped_hex("v1=00", "s", b"", at(0), TOLERANCE).is_err());
        assert!(verify_timestamped_hex("t=1", "s", b"", at(1), TOLERANCE).is_err());
        assert!(verify_timestamped_hex("", "s", b"", at(1), TOLERANCE).is_err());
    }

    #[test]
    fn hmac_of_rfc_4231() {
        let mac = hmac_sha256(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(hex::encode(mac), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
