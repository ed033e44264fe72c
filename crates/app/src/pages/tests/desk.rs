//! The desk: one card for a root cause, what a snooze promises, the number of a parcel put in by hand.

use std::time::Duration;

use axum::http::StatusCode;
use selvedge_flow::DeskSetup;
use selvedge_model::{
    Currency, ExceptionId, FlowName, Kind, Money, Problem, Shipment,
    edit::Editable,
    impact::{Deadline, DeadlineKind, Radius},
    obligation::Event,
    owners::Owner,
    records::{Parcel, ShipmentStatus, shipment_key},
    team::Team,
};
use selvedge_store::{
    Tx,
    desk::Weighed,
    obligations::{NewObligation, Step},
    records::{NewRecord, Recorded},
};

use super::{
    super::{sample::brand, words::amounts},
    *,
};

/// Keeps what an exception is to come to.
fn weigh(tx: &Tx<'_>, id: ExceptionId, radius: Radius, behind: bool, deadline: Option<Deadline>, impact: u64) {
    let owner = Owner { team: Team::Engineering, person: None };
    tx.begin_weighing(id).unwrap();
    tx.weigh(id, &Weighed { radius, behind, deadline, impact, again_at: None, owner }, start()).unwrap();
}

#[tokio::test]
async fn one_root_cause_is_one_card_with_all_that_hangs_on_it_wherever_it_ranks() {
    let (app, _) = returned().await;
    let first = place(&app, order("1003", "Cy", 1), start(), Fate::Unmapped).await.unwrap();
    let sek = Currency::from_code("SEK").unwrap();
    let (second, money) = app
        .store
        .write(move |tx| {
            let row = tx.exception(first)?;
            let held = row.money[0];
            weigh(tx, first, Radius { money: row.money, customers: 1, records: 1 }, false, None, u64::MAX >> 1);
            let twin = tx.raise_standing(&brand(), &"returns".into(), &row.problem, start())?;
            let seven = Money::from_minor(700, sek);
            let deadline = Deadline { at: start() + Duration::from_secs(3 * 86_400), kind: DeadlineKind::Cutoff };
            weigh(tx, twin, Radius { money: vec![seven], customers: 2, records: 3 }, false, Some(deadline), 0);
            // The same cause at home nowhere: another root cause.
            let apart = tx.raise_standing(&brand(), &"elsewhere".into(), &row.problem, start())?;
            weigh(tx, apart, Radius { money: vec![seven], customers: 90, records: 90 }, false, None, 1);
            Ok((twin, held.plus(seven).unwrap()))
        })
        .await
        .unwrap();
    let page = get(&app, "/exceptions?rule=mapping.&limit=1").await.text;
    for says in [
        "4 records held",
        &amounts(&[money.to_string()]),
        "3 customers",
        "cut-off",
        "Ranked by all of them together; orders: ",
        "In returns",
    ] {
        assert!(page.contains(says), "{says}: {page}");
    }
    let (mut pages, mut next) = (vec![page.clone()], page);
    while let Some(rest) = next.split("id=\"next\" href=\"").nth(1) {
        next = get(&app, &rest.split('"').next().unwrap().replace("&amp;", "&")).await.text;
        pages.push(next.clone());
    }
    let all = pages.concat();
    assert_eq!(all.matches("4 records held").count(), 1, "it has one card");
    assert_eq!(all.matches("90 records held").count(), 1);
    let pointer = format!("counted with <a href=\"/exceptions/{first}\">{first}</a> further up");
    assert!(all.contains(&pointer) && all.contains(&format!("<a href=\"/exceptions/{second}\">")), "{all}");
    // Somebody who asks for the other flow alone sees the same sums.
    let narrowed = get(&app, "/exceptions?flow=returns&rule=mapping.").await.text;
    assert!(narrowed.contains("4 records held") && narrowed.contains("together; returns: "), "{narrowed}");
}

#[tokio::test]
async fn a_snooze_promises_what_will_be() {
    let (app, held) = busy().await;
    let (none, some) = app
        .store
        .write(|tx| {
            let raise = |name: &str| {
                let problem = Problem::new("connection.down", "connections.books", "not reached", "Wait.").cause(name);
                tx.raise_standing(&brand(), &FlowName::default(), &problem, start())
            };
            let (none, some) = (raise("shop")?, raise("books")?);
            weigh(tx, none, Radius::default(), true, None, 0);
            weigh(tx, some, Radius { records: 7, ..Radius::default() }, true, None, 0);
            Ok((none, some))
        })
        .await
        .unwrap();
    for (id, says) in [
        (held.clone(), "listed apart until then, and comes back at once when it holds twice as much."),
        (some.to_string(), "listed apart until then, and comes back at once when twice as many records wait behind it."),
        (none.to_string(), "listed apart until then."),
    ] {
        let page = get(&app, &format!("/exceptions/{id}")).await.text;
        assert!(page.contains(says), "{says}: {page}");
    }
    let done = form(&app, &format!("/exceptions/{none}/snooze"), "until=4h&reason=they+know").await;
    let said = get(&app, done.header("location")).await.text;
    assert!(said.contains("Snoozed. It comes back when its time has come."), "{said}");
}

#[tokio::test]
async fn the_numbers_of_parcels_are_put_in_by_hand_where_that_is_allowed() {
    let desk = DeskSetup { editable: vec![Editable::Tracking], ..DeskSetup::default() };
    let (app, _) = super::super::sample::with_desk(desk).await;
    let of_an_order = place(&app, order("1002", "Bo", 1), start(), Fate::Unmapped).await.unwrap();
    assert!(!get(&app, &format!("/exceptions/{of_an_order}")).await.text.contains("and retry it"), "of orders nothing");
    let key = shipment_key("1002", "depot", "a");
    let shipment = Shipment {
        key: key.clone(),
        id: "a".into(),
        order: "1002".into(),
        status: ShipmentStatus::Shipped,
        shipped_at: None,
        updated_at: start(),
        warehouse: None,
        lines: Vec::new(),
        short: Vec::new(),
        parcels: vec![Parcel::default(), Parcel::default()],
        captured: None,
        bundles: Vec::new(),
    };
    let held = move |tx: &Tx<'_>| {
        let new = NewRecord {
            brand: brand(),
            connection: "shop".into(),
            capture: None,
            version: None,
            record: shipment.into(),
            problems: Vec::new(),
            received_at: start(),
        };
        let Recorded::Revision(record, revision) = tx.put_record(&new)? else { panic!("it is new") };
        let flow = FlowName::from("orders");
        let owed = NewObligation {
            brand: brand(),
            flow: flow.clone(),
            kind: Kind::Shipment,
            key,
            record,
            revision,
            captured_at: start(),
        };
        let id = tx.owe(&owed, start())?;
        let problem = Problem::new("shipment.no_tracking", "parcels", "no tracking number", "Put it in.").cause("depot");
        let exception = tx.raise(&brand(), &flow, &problem, start())?;
        tx.step(id, Event::Hold, &Step { exception: Some(exception), ..Step::default() }, start())?;
        Ok((exception, id))
    };
    let (exception, obligation) = app.store.write(held).await.unwrap();
    let page = get(&app, &format!("/exceptions/{exception}")).await.text;
    assert!(page.contains("Edit shipment 1002.depot.a and retry it") && page.contains("Tracking number of parcel 1"), "{page}");
    assert!(
        page.contains("Carrier of parcel 2") && page.contains("name=\"tracking_2\"") && !page.contains("tracking_3"),
        "{page}"
    );
    assert!(page.contains("the numbers of all its parcels at once"), "{page}");
    assert!(!page.contains("name=\"postcode\""), "{page}");
    let path = format!("/exceptions/{exception}/edit");
    let refused = form(&app, &path, &format!("obligation={obligation}&postcode=1&reason=x")).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
    let done =
        form(&app, &path, &format!("obligation={obligation}&tracking=+RR123456785SE&carrier=&tracking_2=CD2&reason=the+labels"))
            .await;
    assert_eq!(done.header("location"), format!("/exceptions/{exception}?done=edited"), "{}", done.text);
    let acts = app.store.read(|view| view.audit_rows(&brand(), 1)).await.unwrap();
    assert_eq!((acts[0].action.as_str(), acts[0].subject.as_str()), ("shipment.edit", "1002.depot.a"));
    let edits = app.store.read(|view| view.edits_in_force(&brand(), &shipment_key("1002", "depot", "a"))).await.unwrap();
    let put: Vec<_> = edits.iter().map(|edit| (edit.field.word(), edit.after.as_deref())).collect();
    assert_eq!(put, [("tracking".to_owned(), Some("RR123456785SE")), ("tracking_2".to_owned(), Some("CD2"))]);
}
