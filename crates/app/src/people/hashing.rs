//! Passwords as hashes: Argon2id, off the threads that answer, and only so many at once.

use std::{sync::Arc, time::Duration};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Passwords hashed at once. Each takes 19 MiB and some tens of milliseconds of one processor.
const AT_ONCE: usize = 2;
/// How long somebody waits for a turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// The hash of no password. Whoever names an account that is not there waits as long as for one that is.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGlzIGhlcmU$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Room for hashing.
pub(crate) struct Hashing(Arc<Semaphore>);

impl Default for Hashing {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

/// A turn to hash.
pub(crate) struct Turn(OwnedSemaphorePermit);

/// Too many passwords are being looked at.
#[derive(Debug)]
pub(crate) struct Busy;

impl Hashing {
    /// Waits for a turn.
    pub(crate) async fn turn(&self) -> Result<Turn, Busy> {
        match tokio::time::timeout(PATIENCE, Arc::clone(&self.0).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Turn(permit)),
            _ => Err(Busy),
        }
    }

    /// The hash of a new password.
    pub(crate) async fn hash(&self, password: &str) -> Result<String, Busy> {
        let turn = self.turn().await?;
        let password = password.to_owned();
        let work = move || {
            let hash = Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string());
            drop(turn);
            hash
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(hash)) => Ok(hash),
            other => {
                tracing::error!(why = ?other.map(|hash| hash.map(|_| ())), "a password could not be hashed");
                Err(Busy)
            }
        }
    }
}

impl Turn {
    /// Whether a password is the one that was hashed. Without a hash it is not, and takes as long to find out.
    pub(crate) async fn verify(&self, password: &str, hash: Option<String>) -> bool {
        let password = password.to_owned();
        let there = hash.is_some();
        let hash = hash.unwrap_or_else(|| NOBODY.to_owned());
        let work = move || {
            PasswordHash::new(&hash).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
        };
        // A turn is kept by whoever asked, until what follows from the answer is on disk.
        let _ = &self.0;
        tokio::task::spawn_blocking(work).await.unwrap_or(false) && there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_fits_and_nobody_costs_as_much_as_somebody() {
        let hashing = Hashing::default();
        let hash = hashing.hash("correct horse battery").await.unwrap();
        assert_ne!(hash, hashing.hash("correct horse battery").await.unwrap(), "salted");
        let turn = hashing.turn().await.unwrap();
        assert!(turn.verify("correct horse battery", Some(hash.clone())).await);
        assert!(!turn.verify("correct horse batterz", Some(hash.clone())).await);
        assert!(!turn.verify("", Some("no hash".to_owned())).await);
        assert!(!turn.verify("correct horse battery", None).await);
        // The same work, told from the parameters rather than from a clock.
        let cost = |text: &str| text.split('$').take(4).collect::<Vec<_>>().join("$");
        assert_eq!(cost(NOBODY), cost(&hash));
        let nobody = PasswordHash::new(NOBODY).unwrap();
        assert_eq!(nobody.hash.unwrap().as_bytes().len(), PasswordHash::new(&hash).unwrap().hash.unwrap().as_bytes().len());
    }
}
