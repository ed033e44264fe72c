//! Time-based one-time passwords (RFC 6238): six digits of HMAC-SHA1 over the half-minute, as every authenticator app knows them.

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha1::Sha1;

/// How long a code stands.
const STEP_SECONDS: i64 = 30;
/// Clocks may differ by so many steps, before and after.
const DRIFT_STEPS: i64 = 1;
/// Codes have six digits.
const MODULUS: u32 = 1_000_000;
/// The length of a secret: as long as what SHA-1 makes of it (RFC 4226).
pub const SECRET_BYTES: usize = 20;

/// The step that an instant lies in.
pub fn step_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(STEP_SECONDS)
}

/// The code of a step.
pub fn code(secret: &[u8], step: i64) -> u32 {
    // HMAC takes a key of any length; the arm for a refused one is never taken.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret) else { return MODULUS };
    mac.update(&step.to_be_bytes());
    let hash: [u8; 20] = mac.finalize().into_bytes().into();
    let start = usize::from(hash.last().copied().unwrap_or(0) & 0x0f);
    let four = hash.iter().skip(start).take(4).fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte));
    (four & 0x7fff_ffff) % MODULUS
}

/// The step whose code was typed, if it is near now and later than the last one used: a code serves once.
pub fn proven_step(secret: &[u8], typed: &str, at: Timestamp, last: Option<i64>) -> Option<i64> {
    let digits: String = typed.chars().filter(|c| !c.is_whitespace()).collect();
    if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let typed: u32 = digits.parse().ok()?;
    let now = step_of(at);
    // All are worked out, so that the time does not tell which one was near.
    let steps = (now - DRIFT_STEPS..=now + DRIFT_STEPS).map(|step| (step, code(secret, step)));
    let fitting = steps.fold(None, |found, (step, code)| if code == typed { Some(step) } else { found });
    fitting.filter(|step| last.is_none_or(|last| *step > last))
}

/// Base32 (RFC 4648) without padding: what people type into an app.
pub fn base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::with_capacity(bytes.len() * 8 / 5 + 1);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in bytes {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(letter(LETTERS, held >> bits));
            held &= (1 << bits) - 1;
        }
    }
    if bits > 0 {
        text.push(letter(LETTERS, held << (5 - bits)));
    }
    text
}

fn letter(letters: &[u8; 32], value: u32) -> char {
    letters.get(usize::try_from(value & 31).unwrap_or(0)).map_or('A', |byte| char::from(*byte))
}

/// The address that an authenticator app reads out of a QR code.
pub fn otpauth(secret: &[u8], issuer: &str, account: &str) -> String {
    let (issuer, account) = (percent(issuer), percent(account));
    format!("otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits=6&period=30", base32(secret))
}

fn percent(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_vectors_of_the_standard() {
        // RFC 6238, appendix B, SHA-1; the last six of its eight digits.
        let secret = b"12345678901234567890";
        for (second, expected) in [
            (59, 287_082),
            (1_111_111_109, 81_804),
            (1_111_111_111, 50_471),
            (1_234_567_890, 5_924),
            (2_000_000_000, 279_037),
            (20_000_000_000, 353_130),
        ] {
            let at = Timestamp::from_second(second).unwrap();
            assert_eq!(code(secret, step_of(at)), expected, "{second}");
        }
        // RFC 4226, appendix D.
        let codes: Vec<u32> = (0..10).map(|step| code(secret, step)).collect();
        assert_eq!(codes, [755_224, 287_082, 359_152, 969_429, 338_314, 254_676, 287_922, 162_583, 399_871, 520_489]);
    }

    #[test]
    fn a_code_serves_once_and_only_near_its_time() {
        let secret = b"12345678901234567890";
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        assert_eq!(proven_step(secret, "287 082", at(59), None), Some(1));
        assert_eq!(proven_step(secret, "287082", at(89), None), Some(1), "one step late");
        assert_eq!(proven_step(secret, "287082", at(120), None), None, "too late");
        assert_eq!(proven_step(secret, "287082", at(59), Some(1)), None, "used");
        assert_eq!(proven_step(secret, "287082", at(59), Some(0)), Some(1));
        for wrong in ["", "287081", "28708", "2870820", "+28708", "２８７０８２", "abcdef"] {
            assert_eq!(proven_step(secret, wrong, at(59), None), None, "{wrong}");
        }
    }

    #[test]
    fn base32_of_the_standard() {
        for (plain, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(plain.as_bytes()), text);
        }
        assert_eq!(
            otpauth(b"foobar", "Selvedge nord", "a@b.c"),
            "otpauth://totp/Selvedge%20nord:a%40b.c?secret=MZXW6YTBOI&issuer=Selvedge%20nord&algorithm=SHA1&digits=6&period=30"
        );
    }

    proptest! {
        #[test]
        fn a_code_is_never_taken_twice(secret in proptest::collection::vec(any::<u8>(), 20), second in 0_i64..4_000_000_000) {
            let at = Timestamp::from_second(second).unwrap();
            let typed = format!("{:06}", code(&secret, step_of(at)));
            let step = proven_step(&secret, &typed, at, None).unwrap();
            for later in [0, 29, 60, 3_000] {
                prop_assert!(proven_step(&secret, &typed, Timestamp::from_second(second + later).unwrap(), Some(step)).is_none_or(|again| again > step));
            }
        }
    }
}
