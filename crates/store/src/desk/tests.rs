use selvedge_model::{
    Problem,
    impact::{DeadlineKind, Impact, Scale},
    obligation::{Event, State},
};

use super::*;
use crate::{
    obligations::Step,
    samples::{World, at, brand, flow},
};

fn unmapped(value: &str) -> Problem {
    Problem::new("mapping.shipping_item", "shipping_method", "has no entry", "add it").cause(value)
}

impl World {
    async fn held(&self, keys: &[&str], problem: Problem) -> ExceptionId {
        let mut ids = Vec::new();
        for key in keys {
            ids.push(self.order(key).await);
        }
        self.tx(move |tx| {
            let exception = tx.raise(&brand(), &flow(), &problem, at(110))?;
            for id in ids {
                tx.step(id, Event::Hold, &Step { exception: Some(exception), ..Step::default() }, at(110))?;
            }
            Ok(exception)
        })
        .await
    }
}

/// Weighs everything that is due, as the engine does; which were.
fn weigh_all(tx: &Tx<'_>, second: i64) -> Result<Vec<ExceptionId>> {
    let due = tx.to_weigh(&brand(), at(second), 100)?;
    for id in &due {
        tx.begin_weighing(*id)?;
        let radius = tx.radius(*id)?;
        let deadline = Some(Deadline { at: at(100_000), kind: DeadlineKind::Capture });
        let impact = Impact::of(&radius, deadline, &Scale::default(), at(second));
        let owner = Owner { team: Team::Engineering, person: None };
        tx.weigh(
            *id,
            &Weighed { radius, behind: false, deadline, impact: impact.score, again_at: impact.rises_at, owner },
            at(second),
        )?;
    }
    Ok(due)
}

fn ids(page: &DeskPage) -> Vec<ExceptionId> {
    page.rows.iter().map(|row| row.id).collect()
}

#[tokio::test]
async fn what_moves_is_weighed_again_and_nothing_else_is() {
    let world = World::new().await;
    let one = world.held(&["1", "2"], unmapped("method=x")).await;
    let other = world.held(&["3"], unmapped("method=y")).await;
    world
        .tx(move |tx| {
            assert_eq!(weigh_all(tx, 120)?, [one, other]);
            assert!(weigh_all(tx, 121)?.is_empty());
            let row = tx.exception(one)?;
            // Both orders are of one shopper.
            assert_eq!((row.count, row.customers, row.money.len()), (2, 1, 1));
            assert_eq!(row.deadline.unwrap().kind, DeadlineKind::Capture);
            // Time alone: the deadline comes nearer.
            assert_eq!(weigh_all(tx, 100_000 - 24 * 3_600 + 1)?, [one, other]);
            assert!(tx.exception(one)?.impact > row.impact);
            tx.release(one, Some(1), at(50_000))?;
            assert_eq!(tx.exception(one)?.count, 1, "what has moved is counted before it is weighed");
            assert_eq!(weigh_all(tx, 50_001)?, [one]);
            // It moves while it is being weighed.
            tx.release(other, Some(1), at(50_002))?;
            tx.begin_weighing(other)?;
            let radius = tx.radius(other)?;
            let row = tx.due(&brand(), &flow(), State::Captured, at(50_002), 10)?.pop().unwrap();
            tx.step(row.id, Event::Hold, &Step { exception: Some(other), ..Step::default() }, at(50_003))?;
            let owner = Owner { team: Team::Finance, person: None };
            tx.weigh(other, &Weighed { radius, behind: false, deadline: None, impact: 0, again_at: None, owner }, at(50_003))?;
            assert_eq!(tx.to_weigh(&brand(), at(50_004), 10)?, [other]);
            Ok(())
        })
        .await;
}

#[tokio::test]
async fn whoever_sees_first_that_everything_has_settled_closes_it() {
    let world = World::new().await;
    let one = world.held(&["1"], unmapped("method=x")).await;
    world
        .tx(move |tx| {
            tx.release(one, None, at(120))?;
            weigh_all(tx, 121)?;
            assert!(tx.exception(one)?.open, "it is on its way, nothing is proven");
            assert!(tx.close_empty(&brand(), at(121))?.is_empty());
            let row = tx.due(&brand(), &flow(), State::Captured, at(122), 10)?.pop().unwrap();
            for event in [Event::Clear, Event::Claim, Event::Answer, Event::Confirm] {
                tx.step(row.id, event, &Step::default(), at(122))?;
            }
            weigh_all(tx, 123)?;
            assert!(!tx.exception(one)?.open);
            assert!(tx.close_empty(&brand(), at(124))?.is_empty(), "it is closed once");
            Ok(())
        })
        .await;
}

#[tokio::test]
async fn the_desk_is_ranked_filtered_and_paged() {
    let world = World::new().await;
    let small = world.held(&["1"], unmapped("method=x")).await;
    let large = world.held(&["9"], unmapped("method=y")).await;
    let credit = world.held(&["4"], Problem::new("credit.unlinked", "", "nobody knows", "link it").cause("z")).await;
    world
        .tx(move |tx| {
            weigh_all(tx, 120)?;
            tx.hand_over(credit, &Owner { team: Team::Finance, person: Some("Åsa".into()) }, "anna", "yours", at(121))?;
            let all = DeskFilter::default();
            let page = tx.desk(&brand(), &all, None, 10)?;
            assert_eq!((ids(&page), page.next), (vec![large, credit, small], None));
            let first = tx.desk(&brand(), &all, None, 2)?;
            assert_eq!(ids(&first), [large, credit]);
            let next = first.next.unwrap().to_string().parse().unwrap();
            let second = tx.desk(&brand(), &all, Some(next), 2)?;
            assert_eq!((ids(&second), second.next), (vec![small], None));

            let of = |filter: DeskFilter| Ok::<_, crate::StoreError>(ids(&tx.desk(&brand(), &filter, None, 10)?));
            assert_eq!(of(DeskFilter { team: Some(Team::Finance), ..all.clone() })?, [credit]);
            assert_eq!(of(DeskFilter { person: Some(vec!["Åsa".to_owned()]), ..all.clone() })?, [credit]);
            assert_eq!(of(DeskFilter { rule: "mapping.".into(), ..all.clone() })?, [large, small]);
            assert_eq!(of(DeskFilter { text: "NOBODY".into(), ..all.clone() })?, [credit]);
            assert_eq!(of(DeskFilter { flows: Some(vec![]), ..all.clone() })?, []);
            assert_eq!(of(DeskFilter { flows: Some(vec![flow()]), text: "=y".into(), ..all.clone() })?, [large]);
            assert_eq!(tx.desk_count(&brand())?, 3);
            let totals = tx.desk_totals(&brand())?;
            assert_eq!((totals.open, totals.records), (3, 3));
            assert_eq!(totals.money.iter().map(Money::to_string).collect::<Vec<_>>(), ["14.00 EUR"]);
            // Who was given it by a person keeps it.
            tx.release(credit, None, at(130))?;
            weigh_all(tx, 131)?;
            assert_eq!(tx.exception(credit)?.owner.to_string(), "Åsa (Finance)");
            let said: Vec<_> =
                tx.exception_events(credit, 10)?.into_iter().map(|event| (event.kind, event.actor, event.detail)).collect();
            assert!(said.contains(&(EventKind::HandedOver, "anna".into(), "to Åsa (Finance): yours".into())), "{said:?}");
            Ok(())
        })
        .await;
}

#[tokio::test]
async fn what_is_snoozed_is_listed_apart_and_wakes_by_time_or_by_growth() {
    let world = World::new().await;
    let one = world.held(&["1", "2"], unmapped("method=x")).await;
    let more = [world.order("3").await, world.order("4").await];
    world
        .tx(move |tx| {
            weigh_all(tx, 120)?;
            tx.snooze(one, at(500), "the carrier answers on Monday", "anna", at(121))?;
            let shelf = |shelf| {
                Ok::<_, crate::StoreError>(ids(&tx.desk(&brand(), &DeskFilter { shelf, ..DeskFilter::default() }, None, 10)?))
            };
            assert_eq!((shelf(Shelf::Open)?, shelf(Shelf::Snoozed)?), (vec![], vec![one]));
            assert_eq!((tx.desk_count(&brand())?, tx.desk_totals(&brand())?.snoozed), (0, 1));
            assert_eq!(tx.exception(one)?.snoozed.unwrap().why, "the carrier answers on Monday");
            assert!(tx.to_wake(&brand(), at(499))?.is_empty());
            assert_eq!(tx.to_wake(&brand(), at(500))?, [one]);
            tx.wake(one, "", "its time has come", at(500))?;
            assert_eq!(shelf(Shelf::Open)?, [one]);

            tx.snooze(one, at(900), "later", "anna", at(501))?;
            tx.step(more[0], Event::Hold, &Step { exception: Some(one), ..Step::default() }, at(502))?;
            weigh_all(tx, 502)?;
            assert!(tx.exception(one)?.snoozed.is_some(), "three are not twice as many as two");
            tx.step(more[1], Event::Hold, &Step { exception: Some(one), ..Step::default() }, at(503))?;
            weigh_all(tx, 503)?;
            assert_eq!(tx.exception(one)?.snoozed, None);
            let last = tx.exception_events(one, 1)?.remove(0);
            assert_eq!((last.kind, last.detail.as_str()), (EventKind::Woke, "it holds 4 now, 2 when it was snoozed"));

            tx.snooze(one, at(900), "later", "anna", at(504))?;
            tx.dismiss(one, "anna: samples", at(505))?;
            assert_eq!(tx.close_empty(&brand(), at(506))?, [one]);
            assert_eq!((shelf(Shelf::Snoozed)?, shelf(Shelf::Closed)?), (vec![], vec![one]));
            assert!(tx.snooze(one, at(900), "closed", "anna", at(507)).is_err());
            Ok(())
        })
        .await;
}

#[tokio::test]
async fn trouble_with_a_connection_counts_what_waits_behind_it_and_holds_nothing() {
    let world = World::new().await;
    world.order("3").await;
    let held = world.held(&["4"], unmapped("method=x")).await;
    world
        .tx(move |tx| {
            let problem = Problem::new("connection.credentials", "connections.erp", "refused", "renew").cause("erp");
            let id = tx.raise_standing(&brand(), &FlowName::default(), &problem, at(110))?;
            let radius = tx.under_way(&brand(), &flow())?;
            assert_eq!((radius.records, radius.customers, radius.money[0].to_string().as_str()), (1, 1, "3.00 EUR"));
            tx.begin_weighing(id)?;
            let owner = Owner { team: Team::Engineering, person: None };
            tx.weigh(
                id,
                &Weighed { radius: radius.clone(), behind: true, deadline: None, impact: 9_000, again_at: None, owner },
                at(111),
            )?;
            weigh_all(tx, 112)?;
            let row = tx.exception(id)?;
            assert_eq!((row.count, row.money.len(), row.behind, row.impact), (0, 0, Some(radius), 9_000));
            assert_eq!(ids(&tx.desk(&brand(), &DeskFilter::default(), None, 10)?), [id, held]);
            assert_eq!(tx.desk_totals(&brand())?.records, 1, "what waits is not held");
            Ok(())
        })
        .await;
}

#[tokio::test]
async fn what_waits_behind_it_or_differs_is_told_and_wakes_when_it_doubles() {
    World::new()
        .await
        .tx(|tx| {
            let problem = Problem::new("connection.down", "connections.erp", "not reached", "wait").cause("erp");
            let id = tx.raise_standing(&brand(), &FlowName::default(), &problem, at(110))?;
            let weigh = |records, second| {
                tx.begin_weighing(id)?;
                let radius = Radius { records, ..Radius::default() };
                let owner = Owner { team: Team::Engineering, person: None };
                let found = Weighed { radius, behind: true, deadline: None, impact: 0, again_at: None, owner };
                tx.weigh(id, &found, at(second))
            };
            let told = || {
                let last = tx.exception_events(id, 1)?.remove(0);
                Ok::<_, crate::StoreError>((last.kind, last.detail))
            };
            weigh(0, 111)?;
            assert!(tx.exception(id)?.open, "it is settled by whoever raised it");
            tx.snooze(id, at(900), "they know", "anna", at(112))?;
            weigh(9, 113)?;
            assert!(tx.exception(id)?.snoozed.is_some(), "a queue is empty at one moment and not at the next");
            weigh(10, 114)?;
            assert_eq!(tx.exception(id)?.snoozed, None);
            assert_eq!(told()?, (EventKind::Woke, "10 are at stake now, 0 when it was snoozed".to_owned()));
            tx.snooze(id, at(900), "they know", "anna", at(115))?;
            weigh(19, 116)?;
            assert!(tx.exception(id)?.snoozed.is_some());
            weigh(20, 117)?;
            assert_eq!(told()?, (EventKind::Woke, "20 are at stake now, 10 when it was snoozed".to_owned()));
            weigh(400, 118)?;
            assert_eq!(told()?, (EventKind::Grew, "400 are at stake now, 19 before".to_owned()));
            Ok(())
        })
        .await;
}

#[tokio::test]
async fn a_root_cause_ranks_by_all_that_hangs_on_it() {
    World::new()
        .await
        .tx(|tx| {
            let targets = [("orders", "erp"), ("returns", "erp"), ("picks", "depot")].map(|(flow, to)| (flow.into(), to.into()));
            tx.keep_flow_targets(&brand(), &targets)?;
            let owner = || Owner { team: Team::Engineering, person: None };
            let raise = |flow: &str, cause: &str, impact: u64| {
                let problem = Problem::new("mapping.item", "", "no entry", "Add it.").cause(cause);
                let id = tx.raise_standing(&brand(), &flow.into(), &problem, at(1)).unwrap();
                let radius = Radius::default();
                tx.begin_weighing(id).unwrap();
                let found = Weighed { radius, behind: false, deadline: None, impact, again_at: None, owner: owner() };
                tx.weigh(id, &found, at(2)).unwrap();
                id
            };
            let (alone, elsewhere) = (raise("orders", "b", 90), raise("picks", "a", 80));
            let (first, second) = (raise("orders", "a", 60), raise("returns", "a", 50));
            let listed = || {
                let (mut all, mut after) = (Vec::new(), None);
                loop {
                    let page = tx.desk(&brand(), &DeskFilter::default(), after, 1).unwrap();
                    all.extend(page.rows.iter().map(|row| row.id));
                    match page.next {
                        Some(next) => after = Some(next.to_string().parse().unwrap()),
                        None => return all,
                    }
                }
            };
            assert_eq!(listed(), [first, second, alone, elsewhere], "60 and 50 at one target are 110");
            tx.snooze(second, at(900), "later", "anna", at(3))?;
            assert_eq!(listed(), [alone, elsewhere, first]);
            tx.wake(second, "anna", "now", at(4))?;
            assert_eq!(listed(), [first, second, alone, elsewhere]);
            tx.settle_standing(&brand(), "mapping.item:a", "mapped", at(5))?;
            assert_eq!(listed(), [alone]);
            assert!("9.9".parse::<Cursor>().is_err() && "1.2.3.4".parse::<Cursor>().is_err());
            Ok(())
        })
        .await;
}

#[tokio::test]
async fn lists_are_stretches_of_an_index_however_many_there_are() {
    World::new()
        .await
        .tx(|tx| {
            for (query, index) in [
                (
                    "open = 1 AND snoozed_until IS NULL AND (rank, impact, id) < (9, 9, 9) ORDER BY rank DESC, impact DESC, id DESC LIMIT 9",
                    "exceptions_ranked",
                ),
                (
                    "open = 1 AND snoozed_until IS NOT NULL AND (snoozed_until, id) > (9, 9) ORDER BY snoozed_until, id LIMIT 9",
                    "exceptions_snoozed",
                ),
                ("open = 0 AND (closed_at, id) < (9, 9) ORDER BY closed_at DESC, id DESC LIMIT 9", "exceptions_closed"),
                ("open = 1 AND cause >= 'a' AND cause < 'b' ORDER BY cause LIMIT 9", "exceptions_by_cause"),
                ("open = 1 AND weigh_at IS NOT NULL AND weigh_at <= 9 ORDER BY weigh_at LIMIT 9", "exceptions_to_weigh"),
                ("open = 1 AND weigh_at IS NOT NULL AND weigh_at <= 1 AND standing = 0", "exceptions_to_weigh"),
                ("release_stage IS NOT NULL ORDER BY id", "exceptions_releasing"),
            ] {
                let sql = format!("EXPLAIN QUERY PLAN SELECT * FROM exceptions WHERE brand = 'b' AND {query}");
                let mut statement = tx.connection.prepare(&sql)?;
                let plan =
                    statement.query_map([], |row| row.get("detail"))?.collect::<rusqlite::Result<Vec<String>>>()?.join("; ");
                assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{query}: {plan}");
            }
            Ok(())
        })
        .await;
}
