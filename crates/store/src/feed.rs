//! Reads the feed of events out of the rows that stand anyway; see [`selvedge_model::feed`].

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::params;
use selvedge_model::{
    Brand,
    feed::{ActTold, Event, ExceptionTold, Place, RecordTold, Stream, Told},
};

use crate::{
    Result, View,
    packing::{limit, micros, moment},
    records::money,
};

/// What settled is told so much later: whoever wrote at the same time may have taken the time a little earlier.
const LAG: Duration = Duration::from_secs(5);

impl View<'_> {
    /// What happened after a place, in the stream's own order, each with its place.
    pub fn feed(
        &self,
        brand: &Brand,
        stream: Stream,
        after: Place,
        now: Timestamp,
        limit_rows: usize,
    ) -> Result<Vec<(Place, Event)>> {
        match stream {
            Stream::Exceptions => self.feed_of_exceptions(brand, after, limit_rows),
            Stream::Acts => self.feed_of_acts(brand, after, limit_rows),
            Stream::Records => self.feed_of_records(brand, after, now, limit_rows),
        }
    }

    /// The end of a stream: whoever begins here is told only of what happens from now on.
    pub fn feed_end(&self, brand: &Brand, stream: Stream, now: Timestamp) -> Result<Place> {
        let last = |sql: &str| -> Result<i64> {
            Ok(self.connection.prepare_cached(sql)?.query_row([brand.as_str()], |row| row.get(0))?)
        };
        Ok(match stream {
            Stream::Exceptions => {
                Place { at: 0, id: last("SELECT coalesce(max(id), 0) FROM exception_events WHERE brand = ?1")? }
            }
            Stream::Acts => Place { at: 0, id: last("SELECT coalesce(max(number), 0) FROM audit WHERE brand = ?1")? },
            Stream::Records => Place { at: micros(now), id: 0 },
        })
    }

    fn feed_of_exceptions(&self, brand: &Brand, after: Place, limit_rows: usize) -> Result<Vec<(Place, Event)>> {
        let lines = self.exception_events_after(brand, after.id, limit_rows)?;
        let told = lines.into_iter().map(|line| {
            let row = self.exception(line.exception)?;
            let event = Event {
                id: format!("exception-{}", line.id),
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
            Ok((Place { at: 0, id: line.id }, event))
        });
        told.collect()
    }

    fn feed_of_acts(&self, brand: &Brand, after: Place, limit_rows: usize) -> Result<Vec<(Place, Event)>> {
        let acts = self.audit_after(brand, after.id, limit_rows)?.into_iter().map(|row| {
            let event = Event {
                id: format!("act-{}", row.number),
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
            (Place { at: 0, id: row.number }, event)
        });
        Ok(acts.collect())
    }

    fn feed_of_records(&self, brand: &Brand, after: Place, now: Timestamp, limit_rows: usize) -> Result<Vec<(Place, Event)>> {
        let sql = "SELECT id, settled_at, amount_minor, currency FROM obligations INDEXED BY obligations_by_settling
                   WHERE brand = ?1 AND settled_at IS NOT NULL AND (settled_at, id) > (?2, ?3) AND settled_at <= ?4
                   ORDER BY settled_at, id LIMIT ?5";
        let until = now - jiff::SignedDuration::try_from(LAG).unwrap_or_default();
        let mut statement = self.connection.prepare_cached(sql)?;
        let values = params![brand.as_str(), after.at, after.id, micros(until), limit(limit_rows)];
        let found = statement.query_and_then(values, |row| {
            let currency: Option<String> = row.get(3)?;
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, money(row.get(2)?, currency.as_deref())?))
        });
        let found = found?.collect::<Result<Vec<_>>>()?;
        let told = found.into_iter().map(|(id, settled_at, amount)| {
            let row = self.obligation(selvedge_model::ObligationId(id))?;
            let event = Event {
                id: format!("record-{id}-{settled_at}"),
                kind: format!("record.{}", row.state.word()),
                at: moment(settled_at)?,
                data: Told::Record(Box::new(RecordTold {
                    obligation: row.id,
                    flow: row.flow,
                    kind: row.kind,
                    key: row.key,
                    revision: row.revision,
                    state: row.state,
                    target: row.target,
                    exception: row.exception,
                    note: row.note,
                    amount,
                })),
            };
            Ok((Place { at: settled_at, id }, event))
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use selvedge_model::{Problem, obligation::Event as Move};

    use super::*;
    use crate::{
        Store,
        events::EventKind,
        samples::{World, at, brand, flow, memory},
    };

    async fn read(store: &Store, stream: Stream, after: Place, second: i64) -> Vec<(Place, Event)> {
        store.read(move |view| view.feed(&brand(), stream, after, at(second), 100)).await.unwrap()
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
        let told = read(&store, Stream::Exceptions, Place::default(), 10).await;
        assert_eq!(kinds(&told), ["exception.opened", "exception.commented"]);
        assert_eq!(read(&store, Stream::Exceptions, told[0].0, 10).await, told[1..], "the same event, whoever asks again");
        let Told::Exception(one) = &told[1].1.data else { panic!("{told:?}") };
        assert_eq!((one.actor.as_str(), one.rule.as_str(), one.open, one.held), ("ada", "connection.credentials", true, 0));
        let acts = read(&store, Stream::Acts, Place::default(), 10).await;
        assert_eq!(kinds(&acts), ["act.mapping.set", "act.mapping.remove"]);
        assert_eq!(acts[1].1.id, "act-2");
        for (stream, last) in [(Stream::Exceptions, told[1].0), (Stream::Acts, acts[1].0)] {
            let end = store.read(move |view| view.feed_end(&brand(), stream, at(10))).await.unwrap();
            assert_eq!(end, last);
            assert!(read(&store, stream, end, 10).await.is_empty());
        }
    }

    #[tokio::test]
    async fn a_record_is_told_each_time_that_it_comes_to_rest_in_the_order_of_time() {
        let world = World::new().await;
        let first = world.order("1").await;
        let second = world.order("2").await;
        let end = world.store.read(|view| view.feed_end(&brand(), Stream::Records, at(100))).await.unwrap();
        // The second settles first; what settled just now is not told yet.
        for (id, second) in [(second, 200), (first, 201)] {
            world
                .store
                .write(move |tx| tx.step(id, Move::Exclude, &crate::obligations::Step::default(), at(second)))
                .await
                .unwrap();
        }
        assert!(read(&world.store, Stream::Records, end, 204).await.is_empty());
        assert_eq!(read(&world.store, Stream::Records, end, 205).await.len(), 1);
        let told = read(&world.store, Stream::Records, end, 300).await;
        assert_eq!(kinds(&told), ["record.excluded", "record.excluded"]);
        let Told::Record(one) = &told[0].1.data else { panic!("{told:?}") };
        assert_eq!((one.obligation, one.key.as_str(), one.amount.map(|money| money.minor())), (second, "2", Some(200)));
        assert_eq!(told[0].1.id, format!("record-{}-200000000", second.0));
        assert_eq!(read(&world.store, Stream::Records, told[0].0, 300).await, told[1..]);
        let plan: Vec<String> = world
            .store
            .read(|view| {
                let sql = "EXPLAIN QUERY PLAN SELECT id FROM obligations INDEXED BY obligations_by_settling
                           WHERE brand = 'brand' AND settled_at IS NOT NULL AND (settled_at, id) > (1, 1) AND settled_at <= 9
                           ORDER BY settled_at, id LIMIT 5";
                let mut statement = view.connection.prepare(sql)?;
                let rows = statement.query_map([], |row| row.get(3))?.collect::<rusqlite::Result<_>>()?;
                Ok(rows)
            })
            .await
            .unwrap();
        assert!(plan.iter().all(|line| line.contains("SEARCH") && !line.contains("TEMP B-TREE")), "{plan:?}");
    }
}
