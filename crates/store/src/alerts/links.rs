//! Links by which a message is acknowledged without a log-in. Only what they hash to is kept.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use selvedge_model::{Brand, MessageId};

use crate::{Result, Tx, View, packing::micros};

fn hash(token: &str) -> [u8; 32] {
    *blake3::hash(token.as_bytes()).as_bytes()
}

impl Tx<'_> {
    /// A link leaves with a message.
    pub fn add_alert_link(&self, message: MessageId, token: &str, expires_at: Timestamp) -> Result<()> {
        let sql = "INSERT OR IGNORE INTO alert_links (hash, message_id, expires_at) VALUES (?1, ?2, ?3)";
        self.connection.prepare_cached(sql)?.execute(params![hash(token), message.0, micros(expires_at)])?;
        Ok(())
    }

    /// Uses a link up: which message it acknowledges, unless it is none of ours, was used or has expired.
    pub fn use_alert_link(&self, brand: &Brand, token: &str, now: Timestamp) -> Result<Option<MessageId>> {
        let Some(message) = self.alert_link(brand, token, now)? else { return Ok(None) };
        // The others that left with the same message are used up with it.
        let sql = "UPDATE alert_links SET used_at = ?2 WHERE message_id = ?1 AND used_at IS NULL";
        self.connection.prepare_cached(sql)?.execute(params![message.0, micros(now)])?;
        Ok(Some(message))
    }
}

impl View<'_> {
    /// Which message a link would acknowledge.
    pub fn alert_link(&self, brand: &Brand, token: &str, now: Timestamp) -> Result<Option<MessageId>> {
        let sql = "SELECT l.message_id FROM alert_links l JOIN alert_messages m ON m.id = l.message_id
                   WHERE l.hash = ?1 AND m.brand = ?2 AND l.used_at IS NULL AND l.expires_at > ?3";
        let values = params![hash(token), brand.as_str(), micros(now)];
        Ok(self.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0).map(MessageId)).optional()?)
    }
}
