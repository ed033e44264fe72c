//! Messages: what is owed to a channel.

use jiff::Timestamp;
use rusqlite::{Row, params};
use schemars::JsonSchema;
use selvedge_model::{
    AlertId, Brand, ExceptionId, MessageId,
    alert::{ChannelName, Event, Message},
    obligation::{self, State, next},
};

use crate::{
    Result, StoreError, Tx, View,
    packing::{count, limit, micros, moment, moment_maybe, pack, short, unpack, unreadable},
};

/// Longest note and receipt, in characters.
const NOTE_CHARS_MAX: usize = 1_000;

/// One message that is owed.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// Over which channel.
    pub channel: ChannelName,
    /// By which route; empty for a test.
    pub route: String,
    /// By which step of it.
    pub step: usize,
    /// What it says; its id is given to it here.
    pub message: Message,
    /// Of which alerts it tells, those that it does not name included.
    pub alerts: Vec<AlertId>,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRow {
    /// Its row.
    pub id: MessageId,
    /// Over which channel.
    pub channel: ChannelName,
    /// By which route; empty for a test.
    pub route: String,
    /// By which step of it.
    pub step: usize,
    /// Where it stands.
    pub state: State,
    /// When it was decided on.
    pub created_at: Timestamp,
    /// When it settled.
    pub settled_at: Option<Timestamp>,
    /// How often it was sent.
    pub attempts: u32,
    /// How often in a row that did not come through.
    pub retries: u32,
    /// What holds it.
    pub exception: Option<ExceptionId>,
    /// By what the channel knows it.
    pub receipt: Option<String>,
    /// What the channel answered, or why it is where it is.
    pub note: Option<String>,
    /// What it says.
    pub message: Message,
}

/// What else a move says.
#[derive(Clone, Debug, Default)]
pub struct MessageStep {
    /// When it is looked at next; at once, where nothing is said.
    pub due_at: Option<Timestamp>,
    /// What the channel answered, or why.
    pub note: Option<String>,
    /// By what the channel knows it.
    pub receipt: Option<String>,
    /// What holds it.
    pub exception: Option<ExceptionId>,
}

/// How many messages of a channel stand where. They add up to all that were owed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct ChannelCount {
    /// The channel.
    pub channel: ChannelName,
    /// All.
    pub owed: u64,
    /// The channel took them.
    pub confirmed: u64,
    /// On their way.
    pub in_flight: u64,
    /// An exception holds them.
    pub held: u64,
    /// There was nothing to tell any more.
    pub excluded: u64,
    /// A newer message took their place.
    pub superseded: u64,
}

macro_rules! select_messages {
    ($rest:literal) => {
        concat!(
            "SELECT m.id, m.channel, m.route, m.step, m.state, m.created_at, m.settled_at, m.attempts, m.retries, m.exception_id, ",
            "m.receipt, m.note, m.body FROM alert_messages m ",
            $rest
        )
    };
}

fn message_row(row: &Row<'_>) -> Result<MessageRow> {
    let state: String = row.get(4)?;
    let body = unpack("a message", row.get_ref(12)?.as_blob().map_err(rusqlite::Error::from)?)?;
    let message: Message = serde_json::from_slice(&body).map_err(|e| unreadable("a message", e))?;
    let id = MessageId(row.get(0)?);
    Ok(MessageRow {
        id,
        channel: ChannelName(row.get(1)?),
        route: row.get(2)?,
        step: usize::try_from(row.get::<_, i64>(3)?).unwrap_or_default(),
        state: State::from_word(&state).ok_or_else(|| unreadable("a state", &state))?,
        created_at: moment(row.get(5)?)?,
        settled_at: moment_maybe(row.get(6)?)?,
        attempts: row.get(7)?,
        retries: row.get(8)?,
        exception: row.get::<_, Option<i64>>(9)?.map(ExceptionId),
        receipt: row.get(10)?,
        note: row.get(11)?,
        message: Message { id, ..message },
    })
}

impl Tx<'_> {
    /// A message is owed.
    pub fn owe_message(&self, brand: &Brand, new: &NewMessage, now: Timestamp) -> Result<MessageId> {
        let body = serde_json::to_vec(&new.message).map_err(|e| unreadable("a message", e))?;
        let sql = "INSERT INTO alert_messages (brand, channel, event, route, step, state, due_at, created_at, body)
                   VALUES (?1, ?2, ?3, ?4, ?5, 'captured', ?6, ?6, ?7)";
        self.connection.prepare_cached(sql)?.execute(params![
            brand.as_str(),
            new.channel.as_str(),
            new.message.event.word(),
            new.route,
            limit(new.step),
            micros(now),
            pack(&body),
        ])?;
        let id = MessageId(self.connection.last_insert_rowid());
        let mut statement =
            self.connection.prepare_cached("INSERT OR IGNORE INTO alert_items (alert_id, message_id) VALUES (?1, ?2)")?;
        for alert in &new.alerts {
            statement.execute(params![alert.0, id.0])?;
        }
        Ok(id)
    }

    /// Moves a message by the table of moves.
    ///
    /// # Errors
    /// [`StoreError::Moved`] when it cannot happen to it there: another worker was quicker.
    pub fn step_message(&self, id: MessageId, event: obligation::Event, change: &MessageStep, now: Timestamp) -> Result<State> {
        let sql = "SELECT state FROM alert_messages WHERE id = ?1";
        let word: String = self.connection.prepare_cached(sql)?.query_row([id.0], |row| row.get(0))?;
        let from = State::from_word(&word).ok_or_else(|| unreadable("a state", &word))?;
        let to = next(from, event).ok_or_else(|| StoreError::Moved(id.to_string()))?;
        let sql = "UPDATE alert_messages SET state = ?2, due_at = ?3, settled_at = ?4, attempts = attempts + ?5,
                     retries = CASE ?6 WHEN 0 THEN 0 WHEN 1 THEN retries ELSE retries + 1 END, note = coalesce(?7, note),
                     receipt = coalesce(?8, receipt), exception_id = ?9 WHERE id = ?1 AND state = ?10";
        let moved = self.connection.prepare_cached(sql)?.execute(params![
            id.0,
            to.word(),
            to.in_flight().then(|| micros(change.due_at.unwrap_or(now))),
            to.settled().then(|| micros(now)),
            i64::from(event == obligation::Event::Claim),
            match event {
                obligation::Event::Claim | obligation::Event::LoseAnswer | obligation::Event::FindNothing => 1,
                obligation::Event::Postpone => 2,
                _ => 0,
            },
            change.note.as_deref().map(|note| short(note, NOTE_CHARS_MAX)),
            change.receipt.as_deref().map(|receipt| short(receipt, NOTE_CHARS_MAX)),
            change.exception.filter(|_| to == State::Held).map(|id| id.0),
            word,
        ])?;
        if moved == 0 { Err(StoreError::Moved(id.to_string())) } else { Ok(to) }
    }

    /// After a start: messages that were being sent when the process ended are unanswered.
    pub fn recover_messages(&self, brand: &Brand, now: Timestamp) -> Result<usize> {
        let ids = self.ids("SELECT id FROM alert_messages WHERE brand = ?1 AND state = 'sending'", brand.as_str())?;
        for id in &ids {
            let note = Some("the process ended while it was being sent".to_owned());
            self.step_message(*id, obligation::Event::LoseAnswer, &MessageStep { note, ..MessageStep::default() }, now)?;
        }
        Ok(ids.len())
    }

    /// A channel works again: what is held for it goes back before the gate. How many.
    pub fn release_messages(&self, brand: &Brand, channel: &ChannelName, now: Timestamp) -> Result<usize> {
        let sql = "SELECT id FROM alert_messages WHERE brand = ?1 AND channel = ?2 AND state = 'held' ORDER BY id LIMIT 1000";
        let mut statement = self.connection.prepare_cached(sql)?;
        let ids = statement.query_map([brand.as_str(), channel.as_str()], |row| row.get(0).map(MessageId))?;
        let ids = ids.collect::<rusqlite::Result<Vec<_>>>()?;
        for id in &ids {
            self.step_message(*id, obligation::Event::Release, &MessageStep::default(), now)?;
        }
        Ok(ids.len())
    }

    /// What a message tells of reached nobody: the routes look at once for the next step.
    pub fn message_unreached(&self, id: MessageId, now: Timestamp) -> Result<()> {
        let sql = "UPDATE alerts SET unreached = 1, due_at = ?2 WHERE resolved_at IS NULL AND acknowledged_at IS NULL AND last_told_at IS NOT NULL
                     AND id IN (SELECT alert_id FROM alert_items WHERE message_id = ?1)";
        self.connection.prepare_cached(sql)?.execute(params![id.0, micros(now)])?;
        Ok(())
    }

    /// The gate of a message: why it has nothing to tell any more, as a named rule, or which newer one took its place.
    pub fn gate_message(&self, row: &MessageRow) -> Result<Option<(obligation::Event, String)>> {
        let sql = "SELECT min(n.id) FROM alert_messages n WHERE n.channel = ?2 AND n.id > ?1 AND n.event <> 'test' AND ?3
                     AND EXISTS (SELECT 1 FROM alert_items i WHERE i.message_id = ?1)
                     AND NOT EXISTS (SELECT 1 FROM alert_items i WHERE i.message_id = ?1 AND NOT EXISTS
                       (SELECT 1 FROM alert_items j WHERE j.message_id = n.id AND j.alert_id = i.alert_id))
                     AND n.event IN ('opened', 'escalated', 'repeated', 'digest')";
        let asks = row.message.event.asks() || row.message.event == Event::Digest;
        let newer: Option<i64> = self
            .connection
            .prepare_cached(sql)?
            .query_row(params![row.id.0, row.channel.as_str(), asks], |found| found.get(0))?;
        if let Some(newer) = newer {
            return Ok(Some((obligation::Event::Supersede, format!("{} says the same, newer", MessageId(newer)))));
        }
        let alerts = self.alerts_of(row.id)?;
        let exclude = |why: &str| Ok(Some((obligation::Event::Exclude, why.to_owned())));
        match row.message.event {
            Event::Test => Ok(None),
            Event::Resolved | Event::Acknowledged => {
                let sql = "SELECT EXISTS (SELECT 1 FROM alert_items i JOIN alert_items t ON t.alert_id = i.alert_id
                             JOIN alert_messages m ON m.id = t.message_id
                             WHERE i.message_id = ?1 AND m.channel = ?2 AND m.id < ?1 AND m.attempts > 0
                               AND m.event IN ('opened', 'escalated', 'repeated', 'digest'))";
                let told: bool = self
                    .connection
                    .prepare_cached(sql)?
                    .query_row(params![row.id.0, row.channel.as_str()], |found| found.get(0))?;
                if told { Ok(None) } else { exclude("alert.untold version 1: nobody was told of it here") }
            }
            _ => {
                for alert in alerts {
                    if self.is_pressing(alert)? {
                        return Ok(None);
                    }
                }
                exclude("alert.over version 1: all of it is over or looked after")
            }
        }
    }

    fn ids(&self, sql: &str, brand: &str) -> Result<Vec<MessageId>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let ids = statement.query_map([brand], |row| row.get(0).map(MessageId))?;
        Ok(ids.collect::<rusqlite::Result<_>>()?)
    }
}

impl View<'_> {
    /// Messages of a channel that are due in a state, oldest first. One waits while an older one of the same alert is on its way.
    pub fn messages_due(
        &self,
        brand: &Brand,
        channel: &ChannelName,
        state: State,
        now: Timestamp,
        limit_rows: usize,
    ) -> Result<Vec<MessageRow>> {
        let sql = select_messages!(
            "WHERE m.brand = ?1 AND m.channel = ?2 AND m.state = ?3 AND m.due_at <= ?4 AND m.settled_at IS NULL AND NOT EXISTS (
               SELECT 1 FROM alert_items i JOIN alert_items o ON o.alert_id = i.alert_id AND o.message_id < i.message_id
               JOIN alert_messages older ON older.id = o.message_id
               WHERE i.message_id = m.id AND older.channel = m.channel AND older.settled_at IS NULL)
             ORDER BY m.due_at, m.id LIMIT ?5"
        );
        let mut statement = self.connection.prepare_cached(sql)?;
        let values = params![brand.as_str(), channel.as_str(), state.word(), micros(now), limit(limit_rows)];
        statement.query_and_then(values, message_row)?.collect()
    }

    /// Channels with messages on their way.
    pub fn channels_due(&self, brand: &Brand, now: Timestamp) -> Result<Vec<ChannelName>> {
        let sql = "SELECT DISTINCT channel FROM alert_messages WHERE brand = ?1 AND due_at <= ?2 AND settled_at IS NULL ORDER BY channel";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(params![brand.as_str(), micros(now)], |row| row.get(0).map(ChannelName))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// One message.
    pub fn message(&self, id: MessageId) -> Result<MessageRow> {
        let mut statement = self.connection.prepare_cached(select_messages!("WHERE m.id = ?1"))?;
        let mut rows = statement.query([id.0])?;
        rows.next()?.map(message_row).unwrap_or_else(|| Err(StoreError::Absent(id.to_string())))
    }

    /// The newest messages.
    pub fn messages(&self, brand: &Brand, limit_rows: usize) -> Result<Vec<MessageRow>> {
        let mut statement = self.connection.prepare_cached(select_messages!("WHERE m.brand = ?1 ORDER BY m.id DESC LIMIT ?2"))?;
        statement.query_and_then(params![brand.as_str(), limit(limit_rows)], message_row)?.collect()
    }

    /// The messages that tell of an alert, oldest first.
    pub fn messages_of(&self, alert: AlertId, limit_rows: usize) -> Result<Vec<MessageRow>> {
        let sql = select_messages!("JOIN alert_items i ON i.message_id = m.id WHERE i.alert_id = ?1 ORDER BY m.id LIMIT ?2");
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.query_and_then(params![alert.0, limit(limit_rows)], message_row)?.collect()
    }

    /// The alerts that a message tells of.
    pub fn alerts_of(&self, message: MessageId) -> Result<Vec<AlertId>> {
        let sql = "SELECT alert_id FROM alert_items WHERE message_id = ?1 ORDER BY alert_id";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([message.0], |row| row.get(0).map(AlertId))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The balance of each channel: what was owed is confirmed, on its way, held, excluded or superseded.
    pub fn channel_counts(&self, brand: &Brand) -> Result<Vec<ChannelCount>> {
        let sql = "SELECT channel, count(*), sum(state = 'confirmed'), sum(settled_at IS NULL), sum(state = 'held'),
                     sum(state = 'excluded'), sum(state IN ('superseded', 'dismissed'))
                   FROM alert_messages WHERE brand = ?1 GROUP BY channel ORDER BY channel";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([brand.as_str()], |row| {
            Ok(ChannelCount {
                channel: ChannelName(row.get(0)?),
                owed: row.get(1).map(count)?,
                confirmed: row.get(2).map(count)?,
                in_flight: row.get(3).map(count)?,
                held: row.get(4).map(count)?,
                excluded: row.get(5).map(count)?,
                superseded: row.get(6).map(count)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
