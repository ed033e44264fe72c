//! Secrets at rest: sealed with AES-256-GCM-SIV under a key that is not in the database.
//!
//! A seal is one format byte, four bytes that name the key, twelve of nonce, and the ciphertext.
//! Brand and name are bound into it: a seal copied to another name does not open. SIV, because a
//! restored backup may repeat what a counter counted, and a repeated nonce must not break it.

use aes_gcm_siv::{
    Aes256GcmSiv, Nonce,
    aead::{Aead, KeyInit, Payload},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use rusqlite::{OptionalExtension, params};
use secrecy::{ExposeSecret, SecretBox};
use selvedge_model::Brand;

use crate::{Result, Tx, View, packing::unreadable};

const FORMAT: u8 = 1;
const KEY_ID_BYTES: usize = 4;
const NONCE_BYTES: usize = 12;

/// The key that seals secrets: 32 bytes that live outside the database.
pub struct SealingKey(SecretBox<[u8; 32]>);

impl SealingKey {
    /// From base64 of 32 bytes.
    pub fn from_base64(text: &str) -> Option<Self> {
        let bytes: [u8; 32] = STANDARD.decode(text.trim()).ok()?.try_into().ok()?;
        Some(Self(SecretBox::new(Box::new(bytes))))
    }

    /// A fresh one, and its base64 text.
    pub fn generate() -> (Self, String) {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes);
        (Self(SecretBox::new(Box::new(bytes))), STANDARD.encode(bytes))
    }

    fn cipher(&self) -> Aes256GcmSiv {
        Aes256GcmSiv::new(self.0.expose_secret().into())
    }

    /// Tells a wrong key from a damaged seal.
    fn id(&self) -> [u8; KEY_ID_BYTES] {
        let hash = blake3::derive_key("selvedge sealing key id v1", self.0.expose_secret());
        let mut id = [0; KEY_ID_BYTES];
        for (to, from) in id.iter_mut().zip(hash) {
            *to = from;
        }
        id
    }

    /// Seals bytes; they open only with what they are bound to.
    ///
    /// # Errors
    /// [`crate::StoreError::Unreadable`] when they are too long to seal.
    pub(crate) fn shut(&self, plain: &[u8], bound: &[u8]) -> Result<Vec<u8>> {
        let mut nonce = [0; NONCE_BYTES];
        rand::fill(&mut nonce);
        let payload = Payload { msg: plain, aad: bound };
        let sealed =
            self.cipher().encrypt(&Nonce::from(nonce), payload).map_err(|_| unreadable("a secret", "it is too long to seal"))?;
        Ok([&[FORMAT][..], &self.id(), &nonce, &sealed].concat())
    }

    /// Opens what was sealed; `what` is what it is called when it does not open.
    ///
    /// # Errors
    /// [`crate::StoreError::Unreadable`] when the key or what it is bound to is another, or the seal is damaged.
    pub(crate) fn open(&self, seal: &[u8], bound: &[u8], what: &str) -> Result<Vec<u8>> {
        let damaged = || unreadable(what, "the seal is damaged");
        let (format, rest) = seal.split_first().ok_or_else(damaged)?;
        if *format != FORMAT {
            return Err(unreadable(what, "it was sealed in a format that this version does not know"));
        }
        let (id, rest) = rest.split_first_chunk::<KEY_ID_BYTES>().ok_or_else(damaged)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>().ok_or_else(damaged)?;
        if *id != self.id() {
            return Err(unreadable(what, "it was sealed with another key"));
        }
        self.cipher().decrypt(&Nonce::from(*nonce), Payload { msg: sealed, aad: bound }).map_err(|_| damaged())
    }
}

impl PartialEq for SealingKey {
    /// By the names of the keys, which tell nothing of them.
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealingKey(…)")
    }
}

fn bound(brand: &Brand, name: &str) -> Vec<u8> {
    [brand.as_str().as_bytes(), b"\0", name.as_bytes()].concat()
}

impl Tx<'_> {
    /// Seals a secret under its name; the name is bound into the seal.
    pub fn seal(&self, brand: &Brand, name: &str, plain: &str, key: &SealingKey) -> Result<()> {
        let seal = key.shut(plain.as_bytes(), &bound(brand, name))?;
        let sql = "INSERT INTO sealed (brand, name, seal) VALUES (?1, ?2, ?3) ON CONFLICT (brand, name) DO UPDATE SET seal = excluded.seal";
        self.connection.prepare_cached(sql)?.execute(params![brand.as_str(), name, seal])?;
        Ok(())
    }
}

impl Tx<'_> {
    /// Opens every secret with one key and seals it under another, those of all brands and of people's authenticator apps, which
    /// every brand asks: all or none; how many.
    ///
    /// # Errors
    /// [`crate::StoreError::Unreadable`] when one of them does not open with the old key.
    pub fn reseal(&self, old: &SealingKey, new: &SealingKey) -> Result<u64> {
        self.overwriting(|| {
            let mut statement = self.connection.prepare_cached("SELECT brand, name FROM sealed ORDER BY brand, name")?;
            let rows = statement.query_map([], |row| Ok((Brand(row.get(0)?), row.get::<_, String>(1)?)))?;
            let sealed = rows.collect::<rusqlite::Result<Vec<_>>>()?;
            for (brand, name) in &sealed {
                if let Some(plain) = self.unseal(brand, name, old)? {
                    self.seal(brand, name, &plain, new)?;
                }
            }
            Ok(sealed.len() as u64 + self.reseal_totp(old, new)?)
        })
    }
}

impl View<'_> {
    /// Opens a secret; `None` when there is none of this name.
    ///
    /// # Errors
    /// [`crate::StoreError::Unreadable`] when the key is not the one it was sealed with.
    pub fn unseal(&self, brand: &Brand, name: &str, key: &SealingKey) -> Result<Option<String>> {
        let sql = "SELECT seal FROM sealed WHERE brand = ?1 AND name = ?2";
        let seal = self.connection.prepare_cached(sql)?.query_row([brand.as_str(), name], |row| row.get::<_, Vec<u8>>(0));
        seal.optional()?.map(|seal| open(&seal, brand, name, key)).transpose()
    }

    /// The names of all secrets.
    pub fn sealed_names(&self, brand: &Brand) -> Result<Vec<String>> {
        let mut statement = self.connection.prepare_cached("SELECT name FROM sealed WHERE brand = ?1 ORDER BY name")?;
        let rows = statement.query_map([brand.as_str()], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

fn open(seal: &[u8], brand: &Brand, name: &str, key: &SealingKey) -> Result<String> {
    let what = format!("the secret {name:?}");
    let plain = key.open(seal, &bound(brand, name), &what)?;
    String::from_utf8(plain).map_err(|_| unreadable(&what, "the seal is damaged"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        StoreError,
        samples::{brand, memory},
    };

    #[tokio::test]
    async fn only_the_right_key_and_name_open_it() {
        let store = memory().await;
        store
            .write(|tx| {
                let (key, text) = SealingKey::generate();
                let same = SealingKey::from_base64(&text).unwrap();
                tx.seal(&brand(), "erp.token", "s3cret", &key)?;
                assert_eq!(tx.unseal(&brand(), "erp.token", &same)?.as_deref(), Some("s3cret"));
                assert_eq!(tx.unseal(&brand(), "absent", &key)?, None);
                assert_eq!(tx.sealed_names(&brand())?, ["erp.token"]);

                let (other, _) = SealingKey::generate();
                let refused =
                    |done: Result<Option<String>>| assert!(matches!(done, Err(StoreError::Unreadable { .. })), "{done:?}");
                refused(tx.unseal(&brand(), "erp.token", &other));
                // A seal moved to another name or brand does not open.
                tx.connection.execute("INSERT INTO sealed SELECT brand, 'moved', seal FROM sealed", [])?;
                refused(tx.unseal(&brand(), "moved", &key));
                tx.connection
                    .execute("INSERT INTO sealed SELECT 'other', name, seal FROM sealed WHERE name = 'erp.token'", [])?;
                refused(tx.unseal(&"other".into(), "erp.token", &key));
                // Cut or changed anywhere, it does not open either.
                let seal: Vec<u8> =
                    tx.connection.query_row("SELECT seal FROM sealed WHERE name = 'erp.token'", [], |row| row.get(0))?;
                assert!(!seal.windows(6).any(|window| window == b"s3cret"));
                for index in 0..seal.len() {
                    let mut bent = seal.clone();
                    bent[index] ^= 1;
                    refused(open(&bent, &brand(), "erp.token", &key).map(Some));
                    refused(open(&seal[..index], &brand(), "erp.token", &key).map(Some));
                }
                // Sealed twice, it looks different each time.
                tx.seal(&brand(), "erp.token", "s3cret", &key)?;
                let again: Vec<u8> = tx.connection.query_row(
                    "SELECT seal FROM sealed WHERE name = 'erp.token' AND brand = ?1",
                    [brand().as_str()],
                    |row| row.get(0),
                )?;
                assert_ne!(seal, again);
                Ok(())
            })
            .await
            .unwrap();
        let store = crate::Store::open("sqlite::memory:").await.unwrap();
        store
            .write(|tx| {
                // All or none are sealed anew: with a key that does not open one of them, the others stay as they were.
                let (key, _) = SealingKey::generate();
                let (new, _) = SealingKey::generate();
                let another = "another".into();
                tx.seal(&brand(), "a", "one", &key)?;
                tx.seal(&another, "b", "two", &key)?;
                assert_eq!(tx.reseal(&key, &new)?, 2, "of every brand");
                assert_eq!(tx.unseal(&another, "b", &new)?.as_deref(), Some("two"));
                assert!(tx.unseal(&another, "b", &key).is_err() && tx.reseal(&key, &new).is_err());
                Ok(())
            })
            .await
            .unwrap();
        assert!(SealingKey::from_base64("c2hvcnQ=").is_none());
        assert!(SealingKey::from_base64("no base64!").is_none());
        assert_eq!(format!("{:?}", SealingKey::generate().0), "SealingKey(…)");
    }
}
