//! Who is at the door, how they prove it, and what they may do here.
//!
//! Every request passes [`guard`], which looks up what its route needs in one table ([`routes`]) and refuses what is not in it.
//! Whoever passes is a [`Who`], and acts in their own name.

pub(crate) mod cookie;
pub(crate) mod guard;
pub(crate) mod hashing;
pub(crate) mod login;
pub(crate) mod manage;
pub(crate) mod origin;
pub(crate) mod routes;
pub mod sso;

use std::{net::IpAddr, sync::Arc};

use jiff::Timestamp;
use selvedge_model::{
    Brand,
    people::{Email, Role},
};
use selvedge_store::{
    Result, Store,
    people::{Proof, links::Link},
    sealed::SealingKey,
};

pub(crate) use self::guard::{Who, may};
use self::hashing::Hashing;

/// How the door is set up.
#[derive(Default)]
pub struct Door {
    /// Seals the secrets of authenticator apps; without it nobody can use one.
    pub key: Option<Arc<SealingKey>>,
    /// The address that people type, if it is configured: `https://desk.example.com`.
    pub url: Option<String>,
    /// Reverse proxies, who are believed about whom they speak for.
    pub proxies: Vec<IpAddr>,
    /// Whether the metrics are read by whoever reaches them.
    pub metrics_open: bool,
    /// Single sign-on, if it is configured.
    pub sso: Option<sso::Sso>,
    /// The hash of the link that the demo has printed: it signs in whoever opens it.
    pub demo: Option<[u8; 32]>,
    /// Room for hashing passwords.
    pub(crate) hashing: Hashing,
}

impl Door {
    /// Whether browsers reach us by TLS, so that the cookie must never travel without it.
    pub(crate) fn is_secure(&self) -> bool {
        self.url.as_deref().is_some_and(|url| url.starts_with("https://"))
    }
}

/// A link by which the first admin is named, if there is none yet; any before it is good no more.
///
/// # Errors
/// The store's.
pub async fn setup_link(store: &Store, brand: &Brand, by: &str, now: Timestamp) -> Result<Option<Proof>> {
    let (brand, by) = (brand.clone(), by.to_owned());
    store
        .write(move |tx| {
            if tx.has_admin(&brand)? {
                return Ok(None);
            }
            let link = tx.make_link(Link::Setup(brand.clone()), now)?;
            tx.audit(&brand, &by, "people.setup", "", "a link to name the first admin, good for an hour", now)?;
            Ok(Some(link))
        })
        .await
}

/// The admin of a demo, who signs in by the link that the demo prints and has no password.
///
/// # Errors
/// The store's.
pub async fn demo_admin(store: &Store, brand: &Brand, now: Timestamp) -> Result<()> {
    let brand = brand.clone();
    store
        .write(move |tx| {
            let Ok(email) = DEMO.parse::<Email>() else { return Ok(()) };
            if tx.person_by_email(&brand, &email)?.is_none() {
                let id = tx.add_person(&email, "Demo", now)?;
                tx.set_roles(id, &brand, &[Role::Admin].into())?;
            }
            Ok(())
        })
        .await
}

/// By which the admin of a demo is known.
pub(crate) const DEMO: &str = "demo@selvedge.example";
