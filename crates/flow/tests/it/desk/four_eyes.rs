//! Mappings that release much and so take two people: what is approved is what was asked for.

use selvedge_connector::Clock;
use selvedge_flow::actions::Actor;
use selvedge_model::{
    ApprovalId, PersonId,
    people::{Email, FourEyes, MapEntry, Role},
};
use selvedge_store::StoreError;

use super::*;

const SECOND: &str = "bo@example.com";

impl World {
    /// More than two records released take a second person.
    async fn marked(&self) -> PersonId {
        let now = self.fake.clock.now();
        let bo = move |tx: &selvedge_store::Tx<'_>| {
            tx.set_four_eyes(&brand(), &FourEyes { release_over: Some(2), ..FourEyes::default() })?;
            let email: Email = SECOND.parse().unwrap();
            let id = tx.add_person(&email, "Bo", now)?;
            tx.set_roles(id, &brand(), &[Role::Engineer].into())?;
            Ok(id)
        };
        self.store.write(bo).await.unwrap()
    }

    /// Asks for the entry of the table of items that is missing.
    async fn ask(&self, value: &str) -> ApprovalId {
        match self.actions().map(&ConnectionName::from("books"), "item", "sku=SKU-0", Some(value)).await {
            Err(StoreError::NeedsApproval(id)) => id,
            other => panic!("{other:?}"),
        }
    }

    async fn ask_together(&self, value: &str) -> ApprovalId {
        let entry = |key: &str, value: &str| MapEntry {
            connection: "books".into(),
            table: "item".to_owned(),
            key: key.to_owned(),
            value: value.to_owned(),
        };
        match self.actions().import(vec![entry("sku=NEW", "item-new"), entry("sku=SKU-0", value)]).await {
            Err(StoreError::NeedsApproval(id)) => id,
            other => panic!("{other:?}"),
        }
    }

    /// What a second person reads of it.
    async fn says(&self, id: ApprovalId) -> String {
        let now = self.fake.clock.now();
        self.store.read(move |view| view.approval(&brand(), id, now)).await.unwrap().act.says()
    }

    async fn approve(&self, id: ApprovalId, by: PersonId) -> Result<u64, String> {
        let actor = Actor { name: SECOND.to_owned(), person: Some(by) };
        Actions { actor, ..self.actions() }.approve(id).await.map_err(|error| error.to_string())
    }

    /// Sets the entry without anybody's say, in the store.
    async fn stands(&self, value: Option<&'static str>) {
        let now = self.fake.clock.now();
        let set = move |tx: &selvedge_store::Tx<'_>| {
            tx.map(&brand(), &ConnectionName::from("books"), "item", "sku=SKU-0", value, "cy", now)
        };
        self.store.write(set).await.unwrap();
    }
}

#[tokio::test]
async fn a_mapping_says_what_it_releases_and_releases_no_more_than_was_asked_for() {
    let world = World::holding(memory().await, &[3, 6, 9]).await;
    let bo = world.marked().await;
    let asked = [world.ask("item-0").await, world.ask_together("item-0").await];
    assert_eq!(world.says(asked[0]).await, "set the mapping item sku=SKU-0 to item-0 at books, which releases 3 records");
    assert_eq!(
        world.says(asked[1]).await,
        "set 2 mappings together, which releases 3 records: item sku=NEW to item-new at books, item sku=SKU-0 to item-0 at books"
    );
    // Meanwhile it grows.
    world.fake.place(12, 1);
    settle(&world.engine, &world.fake).await;
    for id in asked {
        let refused = world.approve(id, bo).await.unwrap_err();
        assert!(refused.contains("It releases 4 records now, 3 when it was asked for"), "{refused}");
    }
    assert_eq!(world.counts(State::Held).await, 4, "nothing of it was done");
    assert!(world.store.read(|view| view.mappings(&brand())).await.unwrap().iter().all(|row| row.key != "sku=SKU-0"));
    // Asked for anew, it is done.
    let again = world.ask("item-0").await;
    assert_eq!(world.approve(again, bo).await, Ok(4));
    settle(&world.engine, &world.fake).await;
    assert_eq!(world.counts(State::Confirmed).await, 4);
}

#[tokio::test]
async fn a_mapping_that_was_changed_since_is_not_overwritten_unseen() {
    let world = World::holding(memory().await, &[3, 6, 9]).await;
    let bo = world.marked().await;
    world.stands(Some("item-9")).await;
    let asked = [world.ask("item-0").await, world.ask_together("item-0").await];
    let says = world.says(asked[0]).await;
    assert!(says.starts_with("set the mapping item sku=SKU-0 to item-0 at books in place of item-9"), "{says}");
    for now_stands in [Some("item-7"), None] {
        world.stands(now_stands).await;
        for id in asked {
            let refused = world.approve(id, bo).await.unwrap_err();
            assert!(refused.contains("item sku=SKU-0 at books was item-9 when it was looked at"), "{refused}");
        }
    }
    assert_eq!(world.counts(State::Held).await, 3);
    // As it was, it is what was meant.
    world.stands(Some("item-9")).await;
    assert_eq!(world.approve(asked[0], bo).await, Ok(3));
}
