//! The last exchange with the target of a write that was not taken as it should: evidence for whoever looks into it.
//!
//! What comes in here is redacted and cut already (`connector::exchange`). It goes when the obligation settles.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use selvedge_model::ObligationId;

use crate::{
    Result, Tx, View,
    packing::{micros, moment, pack, unpack},
};

/// The largest that is kept, in bytes; a larger one is not kept at all, as half of it would not read.
const BYTES_MAX: usize = 256 * 1024;

/// What is kept of one obligation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangeRow {
    /// When it was answered, or was not.
    pub at: Timestamp,
    /// Request and answer as JSON.
    pub body: Vec<u8>,
}

impl Tx<'_> {
    /// Keeps the last exchange of an obligation, in place of the one before.
    pub fn keep_exchange(&self, id: ObligationId, body: &[u8], at: Timestamp) -> Result<()> {
        if body.len() > BYTES_MAX {
            return Ok(());
        }
        let sql = "INSERT INTO exchanges (obligation_id, at, body) VALUES (?1, ?2, ?3)
                   ON CONFLICT (obligation_id) DO UPDATE SET at = excluded.at, body = excluded.body";
        self.connection.prepare_cached(sql)?.execute(params![id.0, micros(at), pack(body)])?;
        Ok(())
    }
}

impl View<'_> {
    /// The last exchange of an obligation, where one is kept.
    pub fn exchange(&self, id: ObligationId) -> Result<Option<ExchangeRow>> {
        let sql = "SELECT at, body FROM exchanges WHERE obligation_id = ?1";
        let found: Option<(i64, Vec<u8>)> =
            self.connection.prepare_cached(sql)?.query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        found.map(|(at, body)| Ok(ExchangeRow { at: moment(at)?, body: unpack("an exchange", &body)? })).transpose()
    }
}

#[cfg(test)]
mod tests {
    use selvedge_model::{Problem, obligation::Event};

    use super::*;
    use crate::{
        obligations::Step,
        samples::{World, at, brand, flow},
    };

    #[tokio::test]
    async fn evidence_stays_while_the_row_is_held_and_goes_when_it_settles() {
        let world = World::new().await;
        let id = world.order("1").await;
        world
            .tx(move |tx| {
                let problem = Problem::new("target.refused", "", "no", "mend").cause("x");
                let exception = tx.raise(&brand(), &flow(), &problem, at(110))?;
                tx.step(id, Event::Clear, &Step::default(), at(110))?;
                tx.step(id, Event::Claim, &Step::default(), at(110))?;
                tx.keep_exchange(id, b"{\"first\":1}", at(110))?;
                tx.keep_exchange(id, b"{\"last\":2}", at(111))?;
                tx.step(id, Event::Hold, &Step { exception: Some(exception), ..Step::default() }, at(111))?;
                assert_eq!(tx.exchange(id)?, Some(ExchangeRow { at: at(111), body: b"{\"last\":2}".to_vec() }));
                tx.keep_exchange(id, &vec![b'x'; BYTES_MAX + 1], at(112))?;
                assert_eq!(tx.exchange(id)?.unwrap().at, at(111));
                tx.release(exception, None, at(113))?;
                assert!(tx.exchange(id)?.is_some(), "nothing is proven yet");
                for event in [Event::Clear, Event::Claim, Event::Answer, Event::Confirm] {
                    tx.step(id, event, &Step::default(), at(114))?;
                }
                assert_eq!(tx.exchange(id)?, None);
                Ok(())
            })
            .await;
    }
}
