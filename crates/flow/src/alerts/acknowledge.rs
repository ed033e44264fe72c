//! Somebody looks after it: nobody else is told any more, and whoever was told is told so.

use selvedge_model::{AlertId, MessageId, alert::Event};
use selvedge_store::{Result, Tx};

use super::tell_told;
use crate::actions::Actions;

impl Actions {
    /// Takes alerts over; returns those that nobody looked after until now.
    pub async fn acknowledge(&self, ids: &[AlertId]) -> Result<Vec<AlertId>> {
        let (actions, ids) = (self.clone(), ids.to_vec());
        self.store.write(move |tx| actions.take_over(tx, &ids)).await
    }

    /// Takes over what the message of a link tells of, and uses the link up. Nothing where the link opens nothing.
    pub async fn acknowledge_by_link(&self, token: &str) -> Result<Option<(MessageId, Vec<AlertId>)>> {
        let (actions, token) = (self.clone(), token.to_owned());
        self.store
            .write(move |tx| {
                let now = actions.clock.now();
                let Some(message) = tx.use_alert_link(&actions.brand, &token, now)? else { return Ok(None) };
                let row = tx.message(message)?;
                let actor = format!("{} ({message} over {})", actions.actor, row.channel);
                let actions = Actions { actor: actor.into(), ..actions };
                let taken = actions.take_over(tx, &tx.alerts_of(message)?)?;
                Ok(Some((message, taken)))
            })
            .await
    }

    fn take_over(&self, tx: &Tx<'_>, ids: &[AlertId]) -> Result<Vec<AlertId>> {
        let now = self.clock.now();
        let taken = tx.acknowledge_alerts(&self.brand, ids, &self.actor, now)?;
        if taken.is_empty() {
            return Ok(taken);
        }
        let named: Vec<String> = taken.iter().map(ToString::to_string).collect();
        tx.audit(&self.brand, &self.actor, "alert.acknowledge", &named.join(", "), "looks after it", now)?;
        let rows = taken.iter().map(|id| tx.alert(&self.brand, *id)).collect::<Result<Vec<_>>>()?;
        let rows: Vec<_> = rows.iter().collect();
        tell_told(tx, &self.brand, Event::Acknowledged, Some(&self.actor), &rows, now)?;
        Ok(taken)
    }
}
