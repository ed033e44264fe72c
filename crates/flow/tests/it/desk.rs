//! The desk: canaries, surprises, crashes between; what is snoozed; edits; what an exception comes to.
//!
//! `deadlines.rs`: when it costs more; `four_eyes.rs`: what two people do with it.

mod deadlines;
mod four_eyes;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use selvedge_connector::Connection;
use selvedge_flow::{DeskSetup, Engine, actions::Actions};
use selvedge_model::{
    ConnectionName, Currency, ExceptionId, ExternalId, FlowName, Kind, Money, ObligationId, RecordKey,
    edit::{EditField, Editable},
    gate::rules::OrderPolicy,
    impact::DeadlineKind,
    obligation::State,
    owners::OwnerRule,
    people::MapEntry,
    records::{Payment, PaymentKind, PaymentStatus},
    team::Team,
};
use selvedge_store::{Store, StoreError, events::EventKind, exceptions::ExceptionRow, releases::Begun};

use crate::{
    fake::{Fake, start},
    journey::{brand, map_items, settle},
    preflight::Told,
};

/// Orders of one item that is not mapped, held by one exception.
struct World {
    fake: Fake,
    store: Store,
    engine: Arc<Engine>,
    exception: ExceptionId,
}

impl World {
    async fn holding(store: Store, numbers: &[u32]) -> World {
        Self::with(store, numbers, DeskSetup::default(), OrderPolicy::default(), &[1, 2], |_| {}).await
    }

    async fn with(
        store: Store,
        numbers: &[u32],
        desk: DeskSetup,
        policy: OrderPolicy,
        mapped: &[u32],
        change: impl Fn(&mut selvedge_model::Order),
    ) -> World {
        let fake = Fake::new(1, 0);
        map_items(&store, &fake, mapped).await;
        let engine = Arc::new(Engine::new(selvedge_flow::Setup { desk, ..fake.setup(store.clone(), policy) }).unwrap());
        for number in numbers {
            fake.place(*number, 1);
            fake.change(*number, &change);
        }
        settle(&engine, &fake).await;
        let open = store.read(|view| view.exceptions(&brand(), false)).await.unwrap();
        World { fake, store, engine, exception: open[0].id }
    }

    fn actions(&self) -> Actions {
        Actions { store: self.store.clone(), brand: brand(), clock: self.fake.clock.clone(), actor: "anna".into() }
    }

    async fn row(&self) -> ExceptionRow {
        let id = self.exception;
        self.store.read(move |view| view.exception(id)).await.unwrap()
    }

    async fn events(&self) -> Vec<EventKind> {
        let id = self.exception;
        self.store.read(move |view| view.exception_events(id, 100)).await.unwrap().into_iter().map(|event| event.kind).collect()
    }

    async fn counts(&self, state: State) -> u64 {
        let counts = self.store.read(|view| view.state_counts(&brand(), &FlowName::from("orders"))).await.unwrap();
        counts.into_iter().find(|(known, _)| *known == state).map_or(0, |(_, count)| count)
    }

    async fn tick(&self) {
        self.engine.tick().await.unwrap();
        self.fake.clock.advance(Duration::from_secs(2));
    }
}

async fn memory() -> Store {
    Store::open("sqlite::memory:").await.unwrap()
}

#[tokio::test]
async fn one_goes_first_and_the_rest_follows_when_it_is_confirmed() {
    let world = World::holding(memory().await, &[3, 6, 9, 12]).await;
    let mapped = world.actions().map(&ConnectionName::from("books"), "item", "sku=SKU-0", Some("item-0")).await.unwrap();
    assert_eq!((mapped.released, mapped.following), (1, 3));
    assert_eq!(world.actions().release_stepwise(world.exception).await.unwrap(), Begun::UnderWay);
    while world.counts(State::Confirmed).await == 0 {
        assert_eq!(world.counts(State::Held).await, 3, "nobody follows before the first is proven");
        assert!(!world.engine.settled().await.unwrap());
        world.tick().await;
    }
    settle(&world.engine, &world.fake).await;
    assert_eq!((world.counts(State::Confirmed).await, world.fake.documents().len()), (4, 4));
    use EventKind::{CanaryPassed, CanarySent, Closed, Mapped, Opened, Released};
    assert_eq!(world.events().await, [Opened, Mapped, CanarySent, CanaryPassed, Released, Closed]);
    assert!(!world.row().await.open);
    // Who let the rest follow is told: not anna, but the first one that came through.
    let acts = world.store.read(|view| view.audit_after(&brand(), 0, 100)).await.unwrap();
    let followed = acts.iter().filter(|act| act.actor == "policy").collect::<Vec<_>>();
    let [followed] = followed.as_slice() else { panic!("{acts:?}") };
    assert_eq!((followed.action.as_str(), followed.subject.as_str()), ("exception.release", "exc_1"));
    assert_eq!(followed.detail, "3 more back to the gate: nothing that went before was held");
}

#[tokio::test]
async fn a_surprise_stops_the_release_and_the_rest_stays_held() {
    let world = World::holding(memory().await, &[3, 6, 9]).await;
    let books = ConnectionName::from("books");
    world.actions().map(&books, "item", "sku=SKU-0", Some("item-0")).await.unwrap();
    // Somebody takes the mapping out again before the gate has looked.
    world.actions().map(&books, "item", "sku=SKU-0", None).await.unwrap();
    settle(&world.engine, &world.fake).await;
    assert_eq!((world.counts(State::Held).await, world.fake.documents().len()), (3, 0));
    assert_eq!(world.events().await.last(), Some(&EventKind::Surprise));
    assert_eq!(world.row().await.releasing, None);
    // A person who knows better releases all at once, and the fix holds this time.
    world.actions().map(&books, "item", "sku=SKU-0", Some("item-0")).await.unwrap();
    assert!(world.actions().release(world.exception).await.unwrap() > 0);
    settle(&world.engine, &world.fake).await;
    assert_eq!(world.counts(State::Confirmed).await, 3);
}

#[tokio::test]
async fn a_release_goes_on_where_a_crash_left_it() {
    for writes in 0..16 {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        let world = World::holding(Store::open(&path).await.unwrap(), &[3, 6, 9, 12]).await;
        world.actions().map(&ConnectionName::from("books"), "item", "sku=SKU-0", Some("item-0")).await.unwrap();
        world.store.die_after(writes);
        while world.engine.tick().await.is_ok() {
            world.fake.clock.advance(Duration::from_secs(2));
        }
        let store = Store::open(&path).await.unwrap();
        let engine = world.fake.engine(store.clone(), OrderPolicy::default()).await;
        engine.recover().await.unwrap();
        settle(&engine, &world.fake).await;
        let after = World { store, engine, ..world };
        assert_eq!((after.counts(State::Confirmed).await, after.fake.documents().len()), (4, 4), "killed after {writes}");
        let events = after.events().await;
        assert_eq!(events.iter().filter(|kind| **kind == EventKind::CanaryPassed).count(), 1, "{events:?}");
        assert!(!after.row().await.open);
    }
}

#[tokio::test]
async fn what_is_snoozed_wakes_when_its_time_comes() {
    let world = World::holding(memory().await, &[3]).await;
    let until = selvedge_connector::Clock::now(&*world.fake.clock).checked_add(Duration::from_secs(600)).unwrap();
    world.actions().snooze(world.exception, until, "the list comes on Monday").await.unwrap();
    world.tick().await;
    assert_eq!(world.row().await.snoozed.unwrap().until, until);
    // Twice as many wake it before its time.
    world.fake.place(6, 1);
    settle(&world.engine, &world.fake).await;
    assert_eq!(world.row().await.snoozed, None);
    world.actions().snooze(world.exception, until, "the list comes on Monday").await.unwrap();
    world.fake.clock.advance(Duration::from_secs(600));
    world.tick().await;
    assert_eq!(world.row().await.snoozed, None);
    use EventKind::{Opened, Snoozed, Woke};
    assert_eq!(world.events().await, [Opened, Snoozed, Woke, Snoozed, Woke]);
    let acts = world.store.read(|view| view.audit_rows(&brand(), 2)).await.unwrap();
    assert!(acts.iter().any(|act| act.action == "exception.snooze" && act.actor == "anna"));
}

#[tokio::test]
async fn an_edit_goes_to_the_target_and_ends_when_the_source_says_something_else() {
    let policy = OrderPolicy { address_fields: vec!["postcode".into()], ..OrderPolicy::default() };
    let desk = DeskSetup { editable: vec![Editable::Address], ..DeskSetup::default() };
    let no_postcode = |order: &mut selvedge_model::Order| order.shipping.as_mut().unwrap().postcode = None;
    let world = World::with(memory().await, &[1], desk, policy, &[0, 1, 2], no_postcode).await;
    assert_eq!(world.row().await.problem.rule, "address.postcode");
    let id = world.exception;
    let held = world.store.read(move |view| view.held_ids(id, 1)).await.unwrap()[0];
    let wanted = [(EditField::Postcode, Some("111 22".to_owned())), (EditField::City, Some("Stockholm".to_owned()))];
    // Somebody whose page is older than what goes now does not put that back.
    let older: Vec<_> = wanted.iter().map(|(field, _)| (*field, Some("as it was".to_owned()))).collect();
    let refused = world.actions().edit(world.exception, held, &wanted, &older, "from an older page").await.unwrap_err();
    assert!(matches!(&refused, StoreError::Changed(how) if how.contains("goes ")), "{refused}");
    let changed = world.actions().edit(world.exception, held, &wanted, &[], "the shopper wrote it to us").await.unwrap();
    assert_eq!(changed, [EditField::Postcode], "what is the same already is no edit");
    assert!(world.actions().edit(world.exception, held, &wanted, &[], "twice").await.is_err(), "it is not held any more");
    settle(&world.engine, &world.fake).await;
    let postcode = |world: &World| world.fake.documents()[0].shipping.as_ref().unwrap().postcode.clone();
    assert_eq!((world.counts(State::Confirmed).await, postcode(&world).as_deref()), (1, Some("111 22")));
    // The source itself still says nothing, and both versions are there to be seen.
    let key = RecordKey::new("1");
    let edits = world.store.read(move |view| view.edits_of(&brand(), &key)).await.unwrap();
    assert_eq!((edits.len(), edits[0].edit.before.clone(), edits[0].actor.as_str()), (1, None, "anna"));

    // News of another field: the edit still lies over it.
    world.fake.change(1, |order| order.shipping.as_mut().unwrap().line1 = Some("Vägen 2".into()));
    settle(&world.engine, &world.fake).await;
    assert_eq!(postcode(&world).as_deref(), Some("111 22"));
    assert_eq!(world.fake.documents()[0].shipping.as_ref().unwrap().line1.as_deref(), Some("Vägen 2"));
    // News of this field: the source has the last word, and that is said.
    world.fake.change(1, |order| order.shipping.as_mut().unwrap().postcode = Some("333 44".into()));
    settle(&world.engine, &world.fake).await;
    assert_eq!(postcode(&world).as_deref(), Some("333 44"));
    let key = RecordKey::new("1");
    let (edits, said) = world
        .store
        .read(move |view| {
            let newest = view.obligations_of(&brand(), Kind::Order, &key)?.pop().unwrap();
            Ok((view.edits_of(&brand(), &key)?, view.story(newest.id)?))
        })
        .await
        .unwrap();
    assert!(edits[0].ended_why.as_deref().unwrap().contains("of the source says something else"), "{edits:?}");
    assert!(said.iter().any(|line| line.verb == "edit" && line.detail.starts_with("Postcode")), "{said:?}");
    let documents = world.fake.documents();
    assert_eq!((documents.len(), documents[0].lines[0].quantity), (1, 1));
}

#[tokio::test]
async fn it_is_weighed_with_its_deadline_and_given_to_its_owner() {
    let day = Duration::from_secs(86_400);
    let reserved = |order: &mut selvedge_model::Order| {
        order.payments = vec![Payment {
            id: ExternalId::new("p1"),
            kind: PaymentKind::Authorisation,
            status: PaymentStatus::Success,
            reference: None,
            method: None,
            amount: order.totals.gross,
            at: start(),
        }];
    };
    let owners = vec![OwnerRule {
        market: Some("Sweden".into()),
        rule: Some("mapping.".into()),
        team: Some(Team::Operations),
        person: Some("Bo".into()),
        ..OwnerRule::default()
    }];
    let desk = DeskSetup { capture_expiry: day * 2, owners, ..DeskSetup::default() };
    let world = World::with(memory().await, &[3, 6], desk, OrderPolicy::default(), &[1, 2], reserved).await;
    let row = world.row().await;
    assert_eq!((row.count, row.customers, row.owner.to_string().as_str()), (2, 1, "Bo (Operations)"));
    let sek = Currency::from_code("SEK").unwrap();
    assert_eq!(row.money, [Money::from_minor(25_000, sek)]);
    let deadline = row.deadline.unwrap();
    assert_eq!((deadline.kind, deadline.at), (DeadlineKind::Capture, start().checked_add(day * 2).unwrap()));
    // 250 SEK by their face value, one customer, a further record; two days to go: twice.
    assert_eq!(row.impact, (25_000 + 2_500 + 500) * 2);
    world.fake.clock.advance(day * 3);
    world.tick().await;
    assert_eq!(world.row().await.impact, (25_000 + 2_500 + 500) * 8, "time alone raises it");
}

#[tokio::test]
async fn a_preview_says_what_the_gate_would_say_and_writes_nothing() {
    let world = World::holding(memory().await, &[3, 6, 9]).await;
    let preview = world.engine.preview(world.exception, None).await.unwrap();
    assert_eq!((preview.records, preview.asked, preview.passes), (3, 3, 0));
    assert_eq!((preview.held.len(), preview.held[0].records, preview.held[0].cause.as_str()), (1, 3, "mapping.item:sku=SKU-0"));
    assert_eq!(preview.canary.as_ref().unwrap().key.as_str(), "3");
    // With the mapping that it asks for, before anybody sets it: each value says what it would do.
    let with = |value: &str| {
        let value = value.to_owned();
        Some(MapEntry { connection: "books".into(), table: "item".into(), key: "sku=SKU-0".into(), value })
    };
    let foreseen = world.engine.preview(world.exception, with("item-0")).await.unwrap();
    assert_eq!((foreseen.passes, foreseen.held.len()), (3, 0));
    let still = world.engine.preview(world.exception, None).await.unwrap();
    assert_eq!(still, preview, "nothing was set");
    let at: Timestamp = start();
    let set = move |tx: &selvedge_store::Tx<'_>| {
        tx.map(&brand(), &ConnectionName::from("books"), "item", "sku=SKU-0", Some("item-0"), "anna", at)
    };
    world.store.write(set).await.unwrap();
    let preview = world.engine.preview(world.exception, None).await.unwrap();
    assert_eq!((preview.passes, preview.held.len()), (3, 0));
    assert_eq!(world.counts(State::Held).await, 3);
    assert!(world.engine.preview(ExceptionId(99), None).await.is_err());
}

#[tokio::test]
async fn a_mapping_of_one_target_lets_nothing_go_that_waits_for_another() {
    let (fake, store) = (Fake::new(1, 0), memory().await);
    map_items(&store, &fake, &[1, 2]).await;
    let (books, depot) = (ConnectionName::from("books"), ConnectionName::from("depot"));
    let mut setup = fake.setup(store.clone(), OrderPolicy::default());
    let second = setup.connections[&books].clone();
    setup.connections.insert(depot.clone(), Connection { lists: Some(Told::listing(("item-0", "SKU-0", true))), ..second });
    setup.flows.push(selvedge_flow::FlowSetup { name: "picks".into(), to: depot.clone(), ..setup.flows[0].clone() });
    let engine = Arc::new(Engine::new(setup).unwrap());
    engine.recover().await.unwrap();
    fake.place(3, 1);
    engine.tick().await.unwrap();
    let held = || async {
        let rows = store.read(|view| view.exceptions(&brand(), false)).await.unwrap();
        rows.iter().filter(|row| row.count > 0).map(|row| row.flow.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(held().await, ["orders", "picks"]);
    // What a list has answers only those who asked that list.
    let open = store.read(|view| view.open_causes(&brand(), "mapping.")).await.unwrap();
    let of = |flow: &str| open.iter().find(|(_, known, _)| known.as_str() == flow).unwrap().0;
    let released = |id: ExceptionId| {
        let store = &store;
        async move {
            let events = store.read(move |view| view.exception_events(id, 100)).await.unwrap();
            events.iter().filter(|event| event.kind == EventKind::Released).count()
        }
    };
    let (at_books, at_depot) = (of("orders"), of("picks"));
    engine.reread_lists().await.unwrap();
    assert_eq!((released(at_books).await, released(at_depot).await), (0, 1));
    engine.tick().await.unwrap();
    assert_eq!(held().await, ["orders", "picks"]);
    let actions = Actions { store: store.clone(), brand: brand(), clock: fake.clock.clone(), actor: "anna".into() };
    let mapped = actions.map(&depot, "item", "sku=SKU-0", Some("item-0")).await.unwrap();
    assert_eq!((mapped.released, mapped.following), (1, 0));
    assert_eq!(held().await, ["orders"], "the books do not know it yet");
}

#[tokio::test]
async fn nobody_lets_go_or_overwrites_what_they_have_not_seen() {
    let world = World::holding(memory().await, &[3, 6]).await;
    world.fake.place(9, 1);
    settle(&world.engine, &world.fake).await;
    let changed = |result: selvedge_store::Result<u64>| match result {
        Err(StoreError::Changed(how)) => how,
        other => panic!("{other:?}"),
    };
    let older = world.actions().dismiss_seen(world.exception, "samples", 2, None).await;
    assert_eq!(changed(older), "exc_1 held 2 when it was looked at and holds 3 now.");
    let books = ConnectionName::from("books");
    let over = async |seen| {
        let mapped = world.actions().map_over(&books, "item", "sku=SKU-1", Some("item-0"), seen).await;
        mapped.map(|mapped| mapped.released)
    };
    assert_eq!(changed(over(None).await), "item sku=SKU-1 at books was not set when it was looked at and is item-1 now.");
    assert_eq!(over(Some("item-1")).await.unwrap(), 0);
    assert_eq!(world.counts(State::Held).await, 3);
    // As many, and others: the newest tells.
    let newest = world.store.read(|view| view.newest_held(ExceptionId(1))).await.unwrap().unwrap();
    let older = world.actions().dismiss_seen(world.exception, "samples", 3, Some(ObligationId(newest.0 - 1))).await;
    assert!(changed(older).contains("holds obl_"));
    assert_eq!(world.actions().dismiss_seen(world.exception, "samples", 3, Some(newest)).await.unwrap(), 3);
}

#[tokio::test]
async fn a_mapping_that_is_put_right_sends_a_first_one_anew() {
    let world = World::holding(memory().await, &[3, 6, 9]).await;
    let books = ConnectionName::from("books");
    world.actions().map(&books, "item", "sku=SKU-0", Some("item-9")).await.unwrap();
    let put_right = world.actions().map(&books, "item", "sku=SKU-0", Some("item-0")).await.unwrap();
    assert_eq!((put_right.released, put_right.following), (1, 1), "the first one left with the wrong value");
    let again = world.actions().map(&books, "item", "sku=SKU-0", Some("item-0")).await.unwrap();
    assert_eq!((again.released, again.following), (0, 0), "the same value changes nothing of what is on its way");
    // Nor does a default, which is for what has no entry of its own.
    let default = world.actions().map(&books, "item", "*", Some("item-0")).await.unwrap();
    assert_eq!((default.released, default.following), (0, 0));
    assert!(world.row().await.releasing.is_some());
    settle(&world.engine, &world.fake).await;
    assert_eq!((world.counts(State::Confirmed).await, world.fake.documents().len()), (3, 3));
}
