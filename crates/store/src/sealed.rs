//! Secrets at rest: sealed with AES-256-GCM-SIV under a key that is not in the database.

use selvedge_model::Brand;

use crate::{Result, Tx, View};

/// The key that seals secrets: 32 bytes that live outside the database.
pub struct SealingKey(#[allow(dead_code)] [u8; 32]);

impl SealingKey {
    /// From base64 of 32 bytes.
    pub fn from_base64(_text: &str) -> Option<Self> {
        todo!("helper")
    }

    /// A fresh one, and its base64 text.
    pub fn generate() -> (Self, String) {
        todo!("helper")
    }
}

impl Tx<'_> {
    /// Seals a secret under its name; the name is bound into the seal.
    pub fn seal(&self, _brand: &Brand, _name: &str, _plain: &str, _key: &SealingKey) -> Result<()> {
        todo!("helper")
    }
}

impl View<'_> {
    /// Opens a secret; `None` when there is none of this name.
    ///
    /// # Errors
    /// [`crate::StoreError::Unreadable`] when the key is not the one it was sealed with.
    pub fn unseal(&self, _brand: &Brand, _name: &str, _key: &SealingKey) -> Result<Option<String>> {
        todo!("helper")
    }

    /// The names of all secrets.
    pub fn sealed_names(&self, _brand: &Brand) -> Result<Vec<String>> {
        todo!("helper")
    }
}
