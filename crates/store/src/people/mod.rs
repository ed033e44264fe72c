//! People: who they are and what they may do. How they come in is in the files beside this one.
//!
//! People are of the store, their roles of a brand. What proves somebody is kept as a hash; the text itself is given out once.

pub mod approvals;
pub mod links;
pub mod logins;
mod proof;
pub mod sessions;
pub mod tokens;

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use selvedge_model::{
    Brand, PersonId,
    people::{Email, Rights, Role},
};

pub use self::proof::Proof;
use crate::{
    Result, StoreError, Tx, View,
    packing::{limit, micros, moment, moment_maybe, unreadable},
    sealed::SealingKey,
};

/// People that a page lists; an installation has tens.
const LISTED_MAX: i64 = 1_000;
/// Recovery codes that a person has at once.
pub const RECOVERY_CODES: usize = 10;

/// One person at one brand.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Person {
    /// Who.
    pub id: PersonId,
    /// How they are known.
    pub email: Email,
    /// As others read it.
    pub name: String,
    /// What they are to the brand that was asked about; empty: nothing.
    pub roles: BTreeSet<Role>,
    /// Whether a password is set.
    pub has_password: bool,
    /// Whether an authenticator app is asked at log-in.
    pub has_totp: bool,
    /// Who vouches for them by single sign-on.
    pub issuer: Option<String>,
    /// When they were added.
    pub made_at: Timestamp,
    /// Since when they may not sign in any more.
    pub disabled_at: Option<Timestamp>,
}

impl Person {
    /// What they may do at the brand: nothing once they are disabled.
    pub fn rights(&self) -> Rights {
        if self.disabled_at.is_some() { Rights::default() } else { Rights::of(&self.roles) }
    }
}

const PERSON: &str =
    "SELECT p.id, p.email, p.name, p.password IS NOT NULL, p.totp_step IS NOT NULL, p.issuer, p.made_at, p.disabled_at,
    (SELECT group_concat(r.role, ' ') FROM person_roles r WHERE r.person = p.id AND r.brand = ?1) FROM people p";

/// Whom a brand sees.
const SEEN: &str = "(EXISTS (SELECT 1 FROM person_roles s WHERE s.person = p.id AND s.brand = ?1)
    OR NOT EXISTS (SELECT 1 FROM person_roles s WHERE s.person = p.id))";

fn person(row: &Row<'_>) -> Result<Person> {
    let email: String = row.get(1)?;
    let roles: Option<String> = row.get(8)?;
    Ok(Person {
        id: PersonId(row.get(0)?),
        email: email.parse().map_err(|error| unreadable("an e-mail address", error))?,
        name: row.get(2)?,
        has_password: row.get(3)?,
        has_totp: row.get(4)?,
        issuer: row.get(5)?,
        made_at: moment(row.get(6)?)?,
        disabled_at: moment_maybe(row.get(7)?)?,
        roles: roles.unwrap_or_default().split_whitespace().filter_map(Role::from_word).collect(),
    })
}

impl View<'_> {
    /// Everybody whom a brand sees, by e-mail address: who has a role there, and who has none anywhere yet.
    pub fn people(&self, brand: &Brand) -> Result<Vec<Person>> {
        let mut statement = self.connection.prepare_cached(&format!("{PERSON} WHERE {SEEN} ORDER BY p.email LIMIT ?2"))?;
        statement.query_and_then(params![brand.as_str(), LISTED_MAX], person)?.collect()
    }

    /// The same in the order in which they came, so many after one of them.
    pub fn people_after(&self, brand: &Brand, after: Option<PersonId>, limit_rows: usize) -> Result<Vec<Person>> {
        let sql = format!("{PERSON} WHERE {SEEN} AND p.id > ?2 ORDER BY p.id LIMIT ?3");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let values = params![brand.as_str(), after.map_or(0, |id| id.0), limit(limit_rows)];
        statement.query_and_then(values, person)?.collect()
    }

    /// One person, with what they are to a brand.
    pub fn person(&self, brand: &Brand, id: PersonId) -> Result<Person> {
        self.one(brand, &format!("{PERSON} WHERE p.id = ?2"), id.0)?.ok_or_else(|| StoreError::Absent(format!("person {id}")))
    }

    /// The same, if the brand sees them.
    pub fn person_seen_by(&self, brand: &Brand, id: PersonId) -> Result<Person> {
        let found = self.one(brand, &format!("{PERSON} WHERE {SEEN} AND p.id = ?2"), id.0)?;
        found.ok_or_else(|| StoreError::Absent(format!("person {id}")))
    }

    /// Whether no other brand has given this person a role.
    pub fn is_of_brand_alone(&self, id: PersonId, brand: &Brand) -> Result<bool> {
        let sql = "SELECT NOT EXISTS (SELECT 1 FROM person_roles WHERE person = ?1 AND brand <> ?2)";
        Ok(self.connection.prepare_cached(sql)?.query_row(params![id.0, brand.as_str()], |row| row.get(0))?)
    }

    /// The one with this e-mail address.
    pub fn person_by_email(&self, brand: &Brand, email: &Email) -> Result<Option<Person>> {
        self.one(brand, &format!("{PERSON} WHERE p.email = ?2"), email.as_str())
    }

    /// The one whom an issuer of single sign-on calls so.
    pub fn person_by_subject(&self, brand: &Brand, issuer: &str, subject: &str) -> Result<Option<Person>> {
        let sql = format!("{PERSON} WHERE p.issuer = ?2 AND p.subject = ?3");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query_and_then(params![brand.as_str(), issuer, subject], person)?;
        rows.next().transpose()
    }

    fn one(&self, brand: &Brand, sql: &str, key: impl rusqlite::ToSql) -> Result<Option<Person>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query_and_then(params![brand.as_str(), key], person)?;
        rows.next().transpose()
    }

    /// Whether a brand has an admin who can sign in. While it has none, a set-up link may make one.
    pub fn has_admin(&self, brand: &Brand) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM people p JOIN person_roles r ON r.person = p.id
                   WHERE r.brand = ?1 AND r.role = 'admin' AND p.disabled_at IS NULL AND (p.password IS NOT NULL OR p.issuer IS NOT NULL))";
        Ok(self.connection.prepare_cached(sql)?.query_row([brand.as_str()], |row| row.get(0))?)
    }

    /// The hash of a person's password, if one is set.
    pub fn password_of(&self, id: PersonId) -> Result<Option<String>> {
        let sql = "SELECT password FROM people WHERE id = ?1";
        Ok(self.connection.prepare_cached(sql)?.query_row([id.0], |row| row.get(0)).optional()?.flatten())
    }

    /// The secret of a person's authenticator app and the step last used (`None` until it has proven itself).
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] when it was sealed with another key.
    pub fn totp_of(&self, id: PersonId, key: &SealingKey) -> Result<Option<(Vec<u8>, Option<i64>)>> {
        let sql = "SELECT totp, totp_step FROM people WHERE id = ?1 AND totp IS NOT NULL";
        let found = self.connection.prepare_cached(sql)?.query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?)));
        let Some((seal, step)): Option<(Vec<u8>, Option<i64>)> = found.optional()? else { return Ok(None) };
        Ok(Some((key.open(&seal, bound(id).as_bytes(), "the secret of an authenticator app")?, step)))
    }

    /// How many recovery codes are left.
    pub fn recovery_codes_left(&self, id: PersonId) -> Result<u64> {
        let sql = "SELECT count(*) FROM recovery_codes WHERE person = ?1";
        Ok(self.connection.prepare_cached(sql)?.query_row([id.0], |row| row.get(0)).map(crate::packing::count)?)
    }
}

/// What a seal of an authenticator's secret is bound to: copied to another person's row it does not open.
fn bound(id: PersonId) -> String {
    format!("totp of {id}")
}

impl Tx<'_> {
    /// Adds a person without any way to sign in.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when somebody has this e-mail address.
    pub fn add_person(&self, email: &Email, name: &str, at: Timestamp) -> Result<PersonId> {
        let sql = "INSERT INTO people (email, name, made_at) VALUES (?1, ?2, ?3) ON CONFLICT (email) DO NOTHING";
        if self.connection.prepare_cached(sql)?.execute(params![email.as_str(), name, micros(at)])? == 0 {
            return Err(StoreError::Taken(format!("the e-mail address {email}")));
        }
        Ok(PersonId(self.connection.last_insert_rowid()))
    }

    /// Sets what a person is to a brand; nothing else they were to it stays. Who becomes somebody here is so by no link that was made
    /// before: whoever made it, at another brand, has no say here.
    pub fn set_roles(&self, id: PersonId, brand: &Brand, roles: &BTreeSet<Role>) -> Result<()> {
        let sql = "SELECT EXISTS (SELECT 1 FROM person_roles WHERE person = ?1 AND brand = ?2)";
        let known: bool = self.connection.prepare_cached(sql)?.query_row(params![id.0, brand.as_str()], |row| row.get(0))?;
        if !known && !roles.is_empty() {
            self.connection.prepare_cached("DELETE FROM links WHERE person = ?1")?.execute([id.0])?;
        }
        self.connection
            .prepare_cached("DELETE FROM person_roles WHERE person = ?1 AND brand = ?2")?
            .execute(params![id.0, brand.as_str()])?;
        let mut insert = self.connection.prepare_cached("INSERT INTO person_roles (person, brand, role) VALUES (?1, ?2, ?3)")?;
        for role in roles {
            insert.execute(params![id.0, brand.as_str(), role.word()])?;
        }
        Ok(())
    }

    /// Sets the hash of a person's password.
    pub fn set_password(&self, id: PersonId, hash: &str) -> Result<()> {
        self.change("UPDATE people SET password = ?2 WHERE id = ?1", id, hash)
    }

    /// Ties a person to what an issuer of single sign-on calls them.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when somebody else is tied to it.
    pub fn set_subject(&self, id: PersonId, issuer: &str, subject: &str) -> Result<()> {
        let sql = "UPDATE OR IGNORE people SET issuer = ?2, subject = ?3 WHERE id = ?1";
        if self.connection.prepare_cached(sql)?.execute(params![id.0, issuer, subject])? == 0 {
            return Err(StoreError::Taken(format!("the account {subject} at {issuer}")));
        }
        Ok(())
    }

    /// Nobody vouches for a person any more.
    pub fn clear_subject(&self, id: PersonId) -> Result<()> {
        self.change("UPDATE people SET issuer = ?2, subject = NULL WHERE id = ?1", id, rusqlite::types::Null)
    }

    /// Lets a person sign in, or not any more. Whoever may not is signed out everywhere.
    pub fn set_disabled(&self, id: PersonId, since: Option<Timestamp>) -> Result<()> {
        self.change("UPDATE people SET disabled_at = ?2 WHERE id = ?1", id, since.map(micros))?;
        if since.is_some() {
            self.revoke_sessions(id, None)?;
            self.connection.prepare_cached("DELETE FROM links WHERE person = ?1")?.execute([id.0])?;
        }
        Ok(())
    }

    /// Keeps the secret of an authenticator app that has not proven itself yet, in the place of any other.
    pub fn set_totp(&self, id: PersonId, secret: &[u8], key: &SealingKey) -> Result<()> {
        let seal = key.shut(secret, bound(id).as_bytes())?;
        self.change("UPDATE people SET totp = ?2, totp_step = NULL WHERE id = ?1", id, seal)
    }

    /// Seals the secrets of all authenticator apps under another key; how many.
    pub(crate) fn reseal_totp(&self, old: &SealingKey, new: &SealingKey) -> Result<u64> {
        let sql = "SELECT id, totp FROM people WHERE totp IS NOT NULL";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let seals: Vec<(i64, Vec<u8>)> = rows.collect::<rusqlite::Result<_>>()?;
        for (id, seal) in &seals {
            let bound = bound(PersonId(*id));
            let secret = old.open(seal, bound.as_bytes(), "the secret of an authenticator app")?;
            let seal = new.shut(&secret, bound.as_bytes())?;
            self.connection.prepare_cached("UPDATE people SET totp = ?2 WHERE id = ?1")?.execute(params![id, seal])?;
        }
        Ok(seals.len() as u64)
    }

    /// A code of this step was used: it and all before it are used up. Whether it was the first to use it.
    pub fn use_totp_step(&self, id: PersonId, step: i64) -> Result<bool> {
        let sql = "UPDATE people SET totp_step = ?2 WHERE id = ?1 AND totp IS NOT NULL AND (totp_step IS NULL OR totp_step < ?2)";
        Ok(self.connection.prepare_cached(sql)?.execute(params![id.0, step])? > 0)
    }

    /// Takes the authenticator app and the recovery codes from a person.
    pub fn remove_totp(&self, id: PersonId) -> Result<()> {
        self.connection.prepare_cached("DELETE FROM recovery_codes WHERE person = ?1")?.execute([id.0])?;
        self.change("UPDATE people SET totp = NULL, totp_step = NULL WHERE id = ?1", id, rusqlite::types::Null)
    }

    /// Gives a person recovery codes in the place of those before; the codes, to be shown once.
    pub fn renew_recovery_codes(&self, id: PersonId) -> Result<Vec<String>> {
        self.connection.prepare_cached("DELETE FROM recovery_codes WHERE person = ?1")?.execute([id.0])?;
        let mut insert = self.connection.prepare_cached("INSERT INTO recovery_codes (person, hash) VALUES (?1, ?2)")?;
        let codes: Vec<String> = std::iter::repeat_with(proof::recovery_code).take(RECOVERY_CODES).collect();
        for code in &codes {
            insert.execute(params![id.0, proof::recovery_hash(code)])?;
        }
        Ok(codes)
    }

    /// Whether this is one of a person's recovery codes; it is used up.
    pub fn use_recovery_code(&self, id: PersonId, typed: &str) -> Result<bool> {
        let sql = "DELETE FROM recovery_codes WHERE person = ?1 AND hash = ?2";
        Ok(self.connection.prepare_cached(sql)?.execute(params![id.0, proof::recovery_hash(typed)])? > 0)
    }

    fn change(&self, sql: &str, id: PersonId, value: impl rusqlite::ToSql) -> Result<()> {
        // Statements with one parameter leave the second unused.
        let mut statement = self.connection.prepare_cached(sql)?;
        let changed = if statement.parameter_count() == 1 {
            statement.execute([id.0])?
        } else {
            statement.execute(params![id.0, value])?
        };
        if changed == 0 { Err(StoreError::Absent(format!("person {id}"))) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
