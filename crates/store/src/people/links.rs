//! Links that are good once and not for long: to name the first admin, or to set a person's password.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use selvedge_model::{Brand, PersonId};

use super::Proof;
use crate::{Result, Tx, View, packing::micros};

/// How long a set-up link is good.
pub const SETUP_FOR: Duration = Duration::from_secs(3600);
/// How long an invitation, or a link to a new password, is good.
pub const INVITATION_FOR: Duration = Duration::from_secs(72 * 3600);

/// What a link is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// Whoever opens it names the first admin of a brand.
    Setup(Brand),
    /// This person sets a password.
    Password(PersonId),
}

impl View<'_> {
    /// What a link is for, if it is good. It stays good: a mail program that looks at it uses nothing up.
    pub fn link(&self, shown: &Proof, now: Timestamp) -> Result<Option<Link>> {
        let sql = "SELECT person, brand FROM links WHERE hash = ?1 AND expires_at > ?2";
        let found = self.connection.prepare_cached(sql)?.query_row(params![shown.hash(), micros(now)], |row| {
            Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<String>>(1)?))
        });
        Ok(found.optional()?.and_then(|(person, brand)| {
            person.map(|id| Link::Password(PersonId(id))).or_else(|| Some(Link::Setup(Brand(brand?))))
        }))
    }
}

impl Tx<'_> {
    /// Makes a link; any other for the same purpose is good no more.
    pub fn make_link(&self, link: Link, now: Timestamp) -> Result<Proof> {
        let (person, brand, lasts) = match link {
            Link::Setup(brand) => (None, Some(brand.0), SETUP_FOR),
            Link::Password(id) => (Some(id.0), None, INVITATION_FOR),
        };
        self.connection
            .prepare_cached("DELETE FROM links WHERE person IS ?1 AND brand IS ?3 OR expires_at <= ?2")?
            .execute(params![person, micros(now), brand])?;
        let proof = Proof::fresh();
        let lasts = i64::try_from(lasts.as_micros()).unwrap_or(0);
        let sql = "INSERT INTO links (hash, person, brand, expires_at) VALUES (?1, ?2, ?3, ?4)";
        let until = micros(now).saturating_add(lasts);
        self.connection.prepare_cached(sql)?.execute(params![proof.hash(), person, brand, until])?;
        Ok(proof)
    }

    /// Uses a link up; what it was for, if it was good. Only one of many who try at once gets it.
    pub fn use_link(&self, shown: &Proof, now: Timestamp) -> Result<Option<Link>> {
        let link = self.link(shown, now)?;
        self.connection.prepare_cached("DELETE FROM links WHERE hash = ?1")?.execute([shown.hash()])?;
        Ok(link)
    }
}
