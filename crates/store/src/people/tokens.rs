//! Tokens of the API.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use selvedge_model::{
    Brand, PersonId, TokenId,
    people::{Right, Rights},
};

use super::{Person, Proof};
use crate::{
    Result, StoreError, Tx, View,
    packing::{micros, moment, moment_maybe},
};

/// Tokens of one person.
const TOKENS_MAX: i64 = 50;
/// Uses are kept to the minute.
const USED_EVERY: Duration = Duration::from_secs(60);

/// One token, without what proves it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Token {
    /// Which.
    pub id: TokenId,
    /// In whose name it acts.
    pub person: PersonId,
    /// What it is called.
    pub name: String,
    /// What it may do at most.
    pub scopes: Rights,
    /// When it was made.
    pub made_at: Timestamp,
    /// Until when it is good.
    pub expires_at: Timestamp,
    /// When it was last used, to the minute.
    pub used_at: Option<Timestamp>,
}

fn token(row: &Row<'_>) -> Result<Token> {
    let scopes: String = row.get(3)?;
    Ok(Token {
        id: TokenId(row.get(0)?),
        person: PersonId(row.get(1)?),
        name: row.get(2)?,
        scopes: scopes.split_whitespace().filter_map(Right::from_word).collect(),
        made_at: moment(row.get(4)?)?,
        expires_at: moment(row.get(5)?)?,
        used_at: moment_maybe(row.get(6)?)?,
    })
}

const TOKEN: &str = "SELECT id, person, name, scopes, made_at, expires_at, used_at FROM api_tokens";

impl View<'_> {
    /// The token that somebody shows, if it is good at this brand, and its person.
    pub fn token(&self, brand: &Brand, shown: &Proof, now: Timestamp) -> Result<Option<(Token, Person)>> {
        let sql = format!("{TOKEN} WHERE hash = ?1 AND brand = ?2 AND expires_at > ?3");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let found = statement.query_and_then(params![shown.hash(), brand.as_str(), micros(now)], token)?.next().transpose()?;
        let Some(token) = found else { return Ok(None) };
        let person = self.person(brand, token.person)?;
        Ok(person.disabled_at.is_none().then_some((token, person)))
    }

    /// A person's tokens at a brand, newest first.
    pub fn tokens(&self, brand: &Brand, person: PersonId) -> Result<Vec<Token>> {
        let mut statement =
            self.connection.prepare_cached(&format!("{TOKEN} WHERE person = ?1 AND brand = ?2 ORDER BY id DESC"))?;
        statement.query_and_then(params![person.0, brand.as_str()], token)?.collect()
    }
}

impl Token {
    /// Whether a use at this instant is worth noting.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        self.used_at.is_none_or(|used| now.duration_since(used).unsigned_abs() >= USED_EVERY)
    }
}

impl Tx<'_> {
    /// Makes a token; what proves it, to be shown once.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when the person has as many as anybody may.
    pub fn make_token(
        &self,
        brand: &Brand,
        person: PersonId,
        name: &str,
        scopes: &Rights,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<(TokenId, Proof)> {
        let sql = "SELECT count(*) FROM api_tokens WHERE person = ?1";
        let count: i64 = self.connection.prepare_cached(sql)?.query_row([person.0], |row| row.get(0))?;
        if count >= TOKENS_MAX {
            return Err(StoreError::Taken(format!("every one of the {TOKENS_MAX} tokens that a person may have")));
        }
        let proof = Proof::fresh();
        let sql =
            "INSERT INTO api_tokens (brand, person, name, hash, scopes, made_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        self.connection.prepare_cached(sql)?.execute(params![
            brand.as_str(),
            person.0,
            name,
            proof.hash(),
            scopes.words(),
            micros(now),
            micros(expires_at)
        ])?;
        Ok((TokenId(self.connection.last_insert_rowid()), proof))
    }

    /// Notes that a token was used.
    pub fn use_token(&self, id: TokenId, now: Timestamp) -> Result<()> {
        self.connection
            .prepare_cached("UPDATE api_tokens SET used_at = ?2 WHERE id = ?1")?
            .execute(params![id.0, micros(now)])?;
        Ok(())
    }

    /// Ends every token of a person, at all brands; how many.
    pub fn revoke_tokens(&self, person: PersonId) -> Result<u64> {
        Ok(self.connection.prepare_cached("DELETE FROM api_tokens WHERE person = ?1")?.execute([person.0])? as u64)
    }

    /// Ends a token of a person; its name, if there was one.
    pub fn revoke_token(&self, brand: &Brand, person: PersonId, id: TokenId) -> Result<Option<String>> {
        let sql = "DELETE FROM api_tokens WHERE id = ?1 AND person = ?2 AND brand = ?3 RETURNING name";
        let values = params![id.0, person.0, brand.as_str()];
        Ok(self.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0)).optional()?)
    }
}
