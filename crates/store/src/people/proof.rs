//! What proves somebody: random texts that are given out once and kept as hashes.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// Random bytes in a proof: nobody guesses it, so one plain hash is enough to keep it by.
const BYTES: usize = 32;
/// Random bytes in a recovery code, which people type: 80 bits.
const RECOVERY_BYTES: usize = 10;
/// Texts longer than this are none of ours, and are not even hashed.
const TEXT_BYTES_MAX: usize = 64;

/// The text of a cookie, a token or a link. It has no debug form that shows it.
pub struct Proof(String);

impl Proof {
    /// A new one.
    pub fn fresh() -> Self {
        let mut bytes = [0; BYTES];
        rand::fill(&mut bytes);
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// What somebody shows; `None` when it cannot be one of ours.
    pub fn shown(text: &str) -> Option<Self> {
        let fits = text.len() <= TEXT_BYTES_MAX && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        (fits && !text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// The text, to be given out.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// What is kept of it. The store looks it up by this, so the time that a look takes tells nothing about the text.
    pub fn hash(&self) -> [u8; 32] {
        *blake3::hash(self.0.as_bytes()).as_bytes()
    }
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proof(…)")
    }
}

/// A recovery code as it is shown: four groups of four letters and digits.
pub(super) fn recovery_code() -> String {
    let mut bytes = [0; RECOVERY_BYTES];
    rand::fill(&mut bytes);
    let text = selvedge_model::people::base32(&bytes).to_lowercase();
    text.as_bytes().chunks(4).map(|group| String::from_utf8_lossy(group).into_owned()).collect::<Vec<_>>().join("-")
}

/// Its hash, however it was typed.
pub(super) fn recovery_hash(typed: &str) -> [u8; 32] {
    let letters: String = typed.chars().filter(char::is_ascii_alphanumeric).take(TEXT_BYTES_MAX).collect();
    blake3::derive_key("selvedge recovery code v1", letters.to_lowercase().as_bytes())
}
