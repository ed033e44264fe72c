//! The nearest deadline of what an exception holds, and what becomes of it when it is past.

use std::collections::BTreeSet;

use jiff::{civil::Time, tz::TimeZone};
use selvedge_connector::{Connection, Session, SessionConfig};
use selvedge_flow::{FlowSetup, PickSetup, Preparation, Setup};
use selvedge_model::{
    close::{Calendar, Entity},
    dispatch::Promise,
};

use super::*;

/// One deadline, and the one that follows once it is past.
struct Case {
    what: &'static str,
    desk: DeskSetup,
    /// Whether a warehouse is brought the same orders.
    warehouse: bool,
    promised: Option<&'static str>,
    first: Option<(DeadlineKind, &'static str)>,
    then: Option<(DeadlineKind, &'static str)>,
}

fn promise(cutoff: Time, days: u32) -> Promise {
    let by = Time::constant(18, 0, 0, 0);
    Promise { markets: Vec::new(), methods: Vec::new(), countries: Vec::new(), cutoff, days, by }
}

fn cases() -> Vec<Case> {
    let noon = Time::constant(12, 0, 0, 0);
    let promising = |promise| DeskSetup { promises: vec![promise], ..DeskSetup::default() };
    let entity = Entity {
        name: "nordvik".to_owned(),
        zone: TimeZone::get("Europe/Stockholm").unwrap(),
        currency: Currency::from_code("SEK").unwrap(),
        markets: BTreeSet::new(),
        subsidiaries: BTreeSet::new(),
        calendar: Calendar::Months { first_month: 1 },
    };
    let of = |team| OwnerRule { team: Some(team), ..OwnerRule::default() };
    let closing = |team| DeskSetup { entities: vec![entity.clone()], owners: vec![of(team)], ..DeskSetup::default() };
    use DeadlineKind::{Cutoff, Dispatch, MonthEnd};
    let case = |what, desk| Case { what, desk, warehouse: false, promised: None, first: None, then: None };
    // It begins on a Tuesday, 3 February 2026, at nine.
    vec![
        Case {
            first: Some((Cutoff, "2026-02-03T12:00:00Z")),
            then: Some((Cutoff, "2026-02-04T12:00:00Z")),
            ..case("the next collection, and then that of the next day", promising(promise(noon, 3)))
        },
        Case {
            first: Some((Dispatch, "2026-02-03T18:00:00Z")),
            then: Some((Dispatch, "2026-02-03T18:00:00Z")),
            ..case("what was promised stays promised", promising(promise(Time::MAX, 0)))
        },
        Case {
            promised: Some("2026-02-03T10:30:00Z"),
            first: Some((Dispatch, "2026-02-03T10:30:00Z")),
            then: Some((Dispatch, "2026-02-03T10:30:00Z")),
            ..case("what the shop itself promises", promising(promise(noon, 3)))
        },
        Case {
            first: Some((MonthEnd, "2026-02-28T23:00:00Z")),
            then: Some((MonthEnd, "2026-03-31T22:00:00Z")),
            ..case("the end of the month there, and then of the next", closing(Team::Finance))
        },
        case("a month that ends is nothing to others", closing(Team::Operations)),
        Case { warehouse: true, ..case("goods leave though the books wait", promising(promise(noon, 3))) },
    ]
}

/// A flow that brings a warehouse the orders of the shop.
fn with_warehouse(setup: &mut Setup, fake: &Fake) {
    let session = Session::new(SessionConfig::named("wms"), fake.clock.clone());
    let books = setup.connections[&ConnectionName::from("books")].clone();
    let (order_source, order_sink) = (books.order_source, books.order_sink);
    setup.connections.insert("wms".into(), Connection { order_source, order_sink, ..Connection::empty("wms", session) });
    let preparation = Preparation::Pick(PickSetup::default());
    setup.flows.push(FlowSetup { name: "picks".into(), to: "wms".into(), preparation, ..setup.flows[0].clone() });
}

#[tokio::test]
async fn each_kind_of_deadline_counts_where_it_does_and_a_new_one_follows_what_is_past() {
    for case in cases() {
        let (fake, store) = (Fake::new(1, 0), memory().await);
        let mut setup = Setup { desk: case.desk.clone(), ..fake.setup(store.clone(), OrderPolicy::default()) };
        if case.warehouse {
            with_warehouse(&mut setup, &fake);
        }
        let engine = Arc::new(Engine::new(setup).unwrap());
        fake.place(3, 1);
        fake.change(3, |order| order.dispatch_by = case.promised.map(|at| at.parse().unwrap()));
        settle(&engine, &fake).await;
        let deadline = |flow: &'static str| {
            let store = store.clone();
            async move {
                let rows = store.read(|view| view.exceptions(&brand(), false)).await.unwrap();
                let row = rows.into_iter().find(|row| row.flow == FlowName::from(flow)).unwrap();
                (row.deadline.map(|deadline| (deadline.kind, deadline.at.to_string())), row.impact)
            }
        };
        let wanted = |one: Option<(DeadlineKind, &str)>| one.map(|(kind, at)| (kind, at.to_owned()));
        let (first, before) = deadline("orders").await;
        assert_eq!(first, wanted(case.first), "{}", case.what);
        if case.warehouse {
            let (of_picks, _) = deadline("picks").await;
            assert_eq!(of_picks, wanted(Some((DeadlineKind::Cutoff, "2026-02-03T12:00:00Z"))), "{}", case.what);
        }
        let Some((_, at)) = case.first else { continue };
        fake.clock.set(at.parse::<Timestamp>().unwrap() + Duration::from_secs(1));
        engine.tick().await.unwrap();
        let (then, after) = deadline("orders").await;
        assert_eq!(then, wanted(case.then), "{}", case.what);
        if case.then == case.first {
            assert!(after > before, "{}: what is past presses more, {before} and {after}", case.what);
        }
    }
}
