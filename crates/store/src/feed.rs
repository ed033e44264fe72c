//! Reads the feed of events out of the rows that stand anyway; see [`selvedge_model::feed`].

use jiff::Timestamp;
use rusqlite::params;
use selvedge_model::{
    Brand, ExceptionId, ObligationId,
    feed::{ActTold, Event, ExceptionTold, Place, RecordTold, Stream, Told},
};

use crate::{
    Result, Tx, View,
    obligations::state_of,
    packing::{limit, micros, moment},
    records::money,
};

/// An id that no other event has, not even one that was given the same row after an older copy was put back.
fn id_of(stream: Stream, row: i64, at: Timestamp) -> String {
    format!("{}-{row}-{}", stream.prefix(), micros(at))
}

impl View<'_> {
    /// What happened after a place, in the stream's own order, each with its place.
    pub fn feed(&self, brand: &Brand, after: Place, limit_rows: usize) -> Result<Vec<(Place, Event)>> {
        match after.stream {
            Stream::Exceptions => self.feed_of_exceptions(brand, after.id, limit_rows),
            Stream::Acts => self.feed_of_acts(brand, after.id, limit_rows),
            Stream::Records => self.feed_of_records(brand, after.id, limit_rows),
        }
    }

    /// The end of a stream: whoever begins here is told only of what happens from now on.
    pub fn feed_end(&self, brand: &Brand, stream: Stream) -> Result<Place> {
        let sql = match stream {
            Stream::Exceptions => "SELECT coalesce(max(id), 0) FROM exception_events WHERE brand = ?1",
            Stream::Acts => "SELECT coalesce(max(number), 0) FROM audit WHERE brand = ?1",
            Stream::Records => "SELECT coalesce(max(id), 0) FROM settlings WHERE brand = ?1",
        };
        Ok(Place { stream, id: self.connection.prepare_cached(sql)?.query_row([brand.as_str()], |row| row.get(0))? })
    }

    fn feed_of_exceptions(&self, brand: &Brand, after: i64, limit_rows: usize) -> Result<Vec<(Place, Event)>> {
        let lines = self.exception_events_after(brand, after, limit_rows)?;
        let told = lines.into_iter().map(|line| {
            let row = self.exception(line.exception)?;
            let event = Event {
                id: id_of(Stream::Exceptions, line.id, line.at),
                kind: format!("exception.{}", line.kind.word()),
                at: line.at,
                data: Told::Exception(Box::new(ExceptionTold {
                    exception: line.exception,
                    actor: line.actor,
                    detail: line.detail,
                    flow: row.flow,
                    rule: row.problem.rule,
                    message: row.problem.message,
                    remedy: row.problem.remedy,
                    team: row.owner.team,
                    person: row.owner.person,
                    open: row.open,
                    held: row.count,
                    money: row.money,
                })),
            };
            Ok((Place { stream: Stream::Exceptions, id: line.id }, event))
        });
        told.collect()
    }

    fn feed_of_acts(&self, brand: &Brand, after: i64, limit_rows: usize) -> Result<Vec<(Place, Event)>> {
        let acts = self.audit_after(brand, after, limit_rows)?.into_iter().map(|row| {
            let event = Event {
                id: id_of(Stream::Acts, row.number, row.at),
                kind: format!("act.{}", row.action),
                at: row.at,
                data: Told::Act(ActTold {
                    number: row.number,
                    actor: row.actor,
                    action: row.action,
                    subject: row.subject,
                    detail: row.detail,
                    hash: row.hash,
                }),
            };
            (Place { stream: Stream::Acts, id: row.number }, event)
        });
        Ok(acts.collect())
    }

    fn feed_of_records(&self, brand: &Brand, after: i64, limit_rows: usize) -> Result<Vec<(Place, Event)>> {
        let sql = "SELECT s.id, s.at, s.obligation_id, s.state, s.exception_id, o.amount_minor, o.currency
                   FROM settlings s JOIN obligations o ON o.id = s.obligation_id
                   WHERE s.brand = ?1 AND s.id > ?2 ORDER BY s.id LIMIT ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![brand.as_str(), after, limit(limit_rows)])?;
        let mut told = Vec::new();
        while let Some(row) = rows.next()? {
            let (id, at) = (row.get(0)?, moment(row.get(1)?)?);
            let (state, currency): (String, Option<String>) = (row.get(3)?, row.get(6)?);
            let state = state_of(&state)?;
            let owed = self.obligation(ObligationId(row.get(2)?))?;
            let event = Event {
                id: id_of(Stream::Records, id, at),
                kind: format!("record.{}", state.word()),
                at,
                data: Told::Record(Box::new(RecordTold {
                    obligation: owed.id,
                    flow: owed.flow,
                    kind: owed.kind,
                    key: owed.key,
                    revision: owed.revision,
                    state,
                    target: owed.target,
                    exception: row.get::<_, Option<i64>>(4)?.map(ExceptionId),
                    // What it says now is about where it stands now.
                    note: owed.note.filter(|_| owed.state == state),
                    amount: money(row.get(5)?, currency.as_deref())?,
                })),
            };
            told.push((Place { stream: Stream::Records, id }, event));
        }
        Ok(told)
    }
}

impl Tx<'_> {
    /// Forgets where records came to rest before an instant, the oldest first; how many.
    pub fn forget_settlings(&self, brand: &Brand, before: Timestamp, limit_rows: usize) -> Result<u64> {
        let sql = "DELETE FROM settlings WHERE id IN
                       (SELECT id FROM (SELECT id, at FROM settlings WHERE brand = ?1 ORDER BY id LIMIT ?3) WHERE at < ?2)";
        Ok(self.connection.prepare_cached(sql)?.execute(params![brand.as_str(), micros(before), limit(limit_rows)])? as u64)
    }
}

#[cfg(test)]
mod tests {
    use selvedge_model::{
        Problem,
        obligation::{Event as Move, State},
    };

    use super::*;
    use crate::{
        Store,
        events::EventKind,
        obligations::Step,
        samples::{World, at, brand, flow, memory},
    };

    async fn read(store: &Store, after: Place) -> Vec<(Place, Event)> {
        store.read(move |view| view.feed(&brand(), after, 100)).await.unwrap()
    }

    fn kinds(events: &[(Place, Event)]) -> Vec<&str> {
        events.iter().map(|(_, event)| event.kind.as_str()).collect()
    }

    #[tokio::test]
    async fn each_stream_goes_on_after_its_place_and_tells_each_event_under_one_id() {
        let store = memory().await;
        store
            .write(|tx| {
                let problem = Problem::new("connection.credentials", "", "refused", "Renew them.").cause("shop");
                let id = tx.raise_standing(&brand(), &flow(), &problem, at(1))?;
                tx.tell_exception(id, EventKind::Commented, "ada", "I see to it", at(2))?;
                tx.raise_standing(&"other".into(), &flow(), &problem, at(3))?;
                tx.audit(&brand(), "ada", "mapping.set", "erp", "one", at(4))?;
                tx.audit(&brand(), "ada", "mapping.remove", "erp", "two", at(5))
            })
            .await
            .unwrap();
        let told = read(&store, Place::beginning(Stream::Exceptions)).await;
        assert_eq!(kinds(&told), ["exception.opened", "exception.commented"]);
        assert_eq!(read(&store, told[0].0).await, told[1..], "the same event, whoever asks again");
        let Told::Exception(one) = &told[1].1.data else { panic!("{told:?}") };
        assert_eq!((one.actor.as_str(), one.rule.as_str(), one.open, one.held), ("ada", "connection.credentials", true, 0));
        let acts = read(&store, Place::beginning(Stream::Acts)).await;
        assert_eq!(kinds(&acts), ["act.mapping.set", "act.mapping.remove"]);
        assert_eq!(acts[1].1.id, "act-2-5000000");
        for (stream, last) in [(Stream::Exceptions, told[1].0), (Stream::Acts, acts[1].0)] {
            let end = store.read(move |view| view.feed_end(&brand(), stream)).await.unwrap();
            assert_eq!(end, last);
            assert!(read(&store, end).await.is_empty());
        }
    }

    #[tokio::test]
    async fn a_record_is_told_each_time_that_it_comes_to_rest_whatever_the_clock_says() {
        let world = World::new().await;
        let (first, second) = (world.order("1").await, world.order("2").await);
        let end = world.store.read(|view| view.feed_end(&brand(), Stream::Records)).await.unwrap();
        // The second is held, released and let go; a clock that is set back changes nothing of the order.
        world
            .store
            .write(move |tx| {
                let problem = Problem::new("mapping.item", "", "no entry", "Add it.").cause("sku=1");
                let held = tx.raise_standing(&brand(), &flow(), &problem, at(200))?;
                tx.step(second, Move::Hold, &Step { exception: Some(held), ..Step::default() }, at(200))?;
                tx.release(held, None, at(210))?;
                tx.step(first, Move::Exclude, &Step::default(), at(150))?;
                tx.step(second, Move::Exclude, &Step { note: Some("not ours".to_owned()), ..Step::default() }, at(160))
            })
            .await
            .unwrap();
        let told = read(&world.store, end).await;
        assert_eq!(kinds(&told), ["record.held", "record.excluded", "record.excluded"]);
        let data = |place: usize| match &told[place].1.data {
            Told::Record(one) => one.clone(),
            other => panic!("{other:?}"),
        };
        let (held, last) = (data(0), data(2));
        assert_eq!((held.obligation, held.key.as_str(), held.state), (second, "2", State::Held));
        assert!(held.exception.is_some() && held.note.is_none(), "{held:?}");
        assert_eq!((last.obligation, last.note.as_deref(), last.exception), (second, Some("not ours"), None));
        assert_eq!(last.amount.map(|money| money.minor()), Some(200));
        assert_eq!(read(&world.store, told[0].0).await, told[1..]);
        let ids: std::collections::BTreeSet<&str> = told.iter().map(|(_, event)| event.id.as_str()).collect();
        assert_eq!(ids.len(), 3);
        // What is too old goes, and no number is given again.
        assert_eq!(world.store.write(|tx| tx.forget_settlings(&brand(), at(155), 10)).await.unwrap(), 1);
        assert_eq!(world.store.write(|tx| tx.forget_settlings(&brand(), at(500), 10)).await.unwrap(), 2);
        assert!(read(&world.store, end).await.is_empty());
        world.store.write(move |tx| tx.begin_webhook(&brand(), "bi", &[Stream::Records], at(600))).await.unwrap();
        let third = world.order("3").await;
        world.store.write(move |tx| tx.step(third, Move::Exclude, &Step::default(), at(610))).await.unwrap();
        let new = read(&world.store, end).await;
        assert!(new.len() == 1 && new[0].0 > told[2].0, "{new:?}");
    }
}
