//! Products on their way, and what happens to them where they went.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use selvedge_connector::{Connection, Session, SessionConfig, clock::ManualClock};
use selvedge_flow::{Engine, FlowSetup, Setup, actions::Actions};
use selvedge_model::{
    Brand, ConnectionName, FlowName, Kind, Product, Sku,
    compare::Carries,
    gate::products::{ChangedElsewhere, ProductPolicy},
    obligation::State,
    records::{Named, ProductField, ProductFields},
};
use selvedge_store::Store;

use crate::{
    fake::start,
    journey::{assert_balance, brand},
    keeper::{Keeper, capture, flow, key},
};

fn product(sku: &str) -> Product {
    Product {
        sku: Sku::new(sku),
        id: format!("item-{sku}").as_str().into(),
        updated_at: start(),
        name: format!("Coat {sku}"),
        style: Named { id: "COAT".into(), name: "Coat".into() },
        variant: None,
        size: None,
        active: true,
        barcode: None,
        weight_grams: Some(900),
        hs_code: None,
        origin: None,
        brand: None,
        collections: Vec::new(),
        prices: Vec::new(),
        recipe: Vec::new(),
        owned: ProductFields::ALL,
    }
}

struct World {
    clock: Arc<ManualClock>,
    shop: Keeper<Product>,
    books: Keeper<Product>,
    store: Store,
    engine: Arc<Engine>,
}

async fn world(policy: ProductPolicy) -> World {
    let clock = Arc::new(ManualClock::at(start()));
    let carries = Carries { product: ProductFields::ALL, ..Carries::default() };
    let (shop, books) = (Keeper::<Product>::new(&clock, carries), Keeper::<Product>::new(&clock, carries));
    let session = |name: &str| Session::new(SessionConfig::named(name), clock.clone());
    let of_shop = Connection { product_source: Some(Arc::new(shop.clone())), ..Connection::empty("shop", session("shop")) };
    let of_books = Connection {
        product_source: Some(Arc::new(books.clone())),
        product_sink: Some(Arc::new(books.clone())),
        ..Connection::empty("books", session("books"))
    };
    let store = Store::open("sqlite::memory:").await.unwrap();
    let setup = Setup {
        brand: Brand::from("nordvik"),
        store: store.clone(),
        clock: clock.clone(),
        seed: 1,
        connections: BTreeMap::from([(ConnectionName::from("shop"), of_shop), (ConnectionName::from("books"), of_books)]),
        captures: vec![capture("shop", Kind::Product)],
        flows: vec![FlowSetup {
            products: policy,
            watch_every: Some(Duration::from_secs(60)),
            ..flow("items", Kind::Product, "shop", "books")
        }],
        stocks: Vec::new(),
        lists_every: Duration::from_secs(600),
        preflight: None,
        halves: selvedge_flow::HalvesSetup::default(),
        pairs: Vec::new(),
        desk: selvedge_flow::DeskSetup::default(),
        silence: None,
        alerts: selvedge_flow::AlertSetup::default(),
        webhooks: Vec::new(),
    };
    World { clock, shop, books, store, engine: Arc::new(Engine::new(setup).unwrap()) }
}

impl World {
    /// Ten minutes of the engine's work.
    async fn work(&self) {
        for _ in 0..120 {
            self.engine.tick().await.unwrap();
            assert_balance(&self.engine).await;
            self.clock.advance(Duration::from_secs(5));
        }
        assert!(self.engine.settled().await.unwrap());
    }

    /// State, and the outcomes in the story, of the newest obligation of an item.
    async fn story(&self, sku: &str) -> (State, Vec<(String, String)>) {
        let key = key(sku);
        self.store
            .read(move |view| {
                let row = view.obligation_latest(&brand(), &FlowName::from("items"), &key)?.unwrap();
                let story = view.story(row.id)?.into_iter().map(|line| (line.outcome, line.detail)).collect();
                Ok((row.state, story))
            })
            .await
            .unwrap()
    }

    /// Who did what on what, and what the audit trail says of it; the oldest first.
    async fn acts(&self) -> Vec<(String, String)> {
        let rows = self.store.read(|view| view.audit_after(&brand(), 0, 100)).await.unwrap();
        rows.into_iter().map(|act| (format!("{} {} {}", act.actor, act.action, act.subject), act.detail)).collect()
    }

    async fn open(&self) -> Vec<(String, u64)> {
        let rows = self.store.read(|view| view.exceptions(&brand(), false)).await.unwrap();
        rows.into_iter().map(|row| (row.problem.cause, row.count)).collect()
    }

    fn there(&self, sku: &str) -> Option<Product> {
        self.books.records().into_iter().find(|product| product.sku.as_str() == sku)
    }
}

#[tokio::test]
async fn an_item_is_made_changed_and_taken_off_sale_and_one_that_is_not_sold_is_never_made() {
    let world = world(ProductPolicy::default()).await;
    world.shop.set("a", product("A"));
    world.shop.set("old", Product { active: false, ..product("OLD") });
    world.work().await;
    assert_eq!(world.books.records().len(), 1);
    assert_eq!(world.story("OLD").await.0, State::Excluded);
    world.shop.change("a", |a| a.name = "Coat, long".into());
    world.work().await;
    assert_eq!(world.there("A").unwrap().name, "Coat, long");
    // Whatever is wrong with it: it must go off sale.
    world.shop.change("a", |a| (a.active, a.barcode) = (false, Some("12".into())));
    world.work().await;
    assert!(!world.there("A").unwrap().active);
    assert_eq!(world.story("A").await.0, State::Confirmed);
    assert_eq!(world.open().await, []);
}

#[tokio::test]
async fn what_the_target_needs_is_asked_for_and_its_own_fields_are_left_alone() {
    let policy = ProductPolicy {
        owned: ProductFields::ALL.without(ProductFields::of(&[ProductField::Name])),
        required: ProductFields::of(&[ProductField::HsCode]),
        ..ProductPolicy::default()
    };
    let world = world(policy).await;
    world.shop.set("a", product("A"));
    world.work().await;
    assert_eq!(world.open().await, [("product.missing:hs_code".to_owned(), 1)]);
    world.shop.change("a", |a| a.hs_code = Some("6202.40".into()));
    world.work().await;
    assert_eq!((world.open().await, world.story("A").await.0), (Vec::new(), State::Confirmed));
    let writes = world.books.writes();
    world.books.change("i-A", |a| a.name = "their name".into());
    world.work().await;
    assert_eq!(world.books.writes(), writes, "the name is theirs");
    assert_eq!(world.there("A").unwrap().name, "their name");
}

#[tokio::test]
async fn twins_are_held_until_one_of_them_is_mended() {
    let world = world(ProductPolicy::default()).await;
    let coded = |sku: &str| Product { barcode: Some("4006381333931".into()), ..product(sku) };
    world.shop.set("a", coded("A"));
    world.shop.set("b", coded("B"));
    world.shop.set("bl", product("15056BL"));
    world.shop.set("bl2", product("15056bl"));
    world.work().await;
    assert_eq!(world.books.records().len(), 0);
    assert_eq!(world.open().await, [("product.barcode_twice:4006381333931".into(), 2), ("product.alike:15056BL".into(), 2)]);
    world.shop.change("b", |b| b.barcode = Some("5012345678900".into()));
    world.shop.change("bl2", |b| b.active = false);
    world.work().await;
    let there: Vec<String> = world.books.records().into_iter().map(|product| product.sku.0).collect();
    assert_eq!(there, ["15056BL", "A", "B"]);
    assert_eq!(world.open().await, [], "it closes on evidence");
}

#[tokio::test]
async fn two_items_of_one_sku_are_never_mixed() {
    let world = world(ProductPolicy::default()).await;
    world.shop.set("a", product("A"));
    world.work().await;
    world.shop.set("b", Product { id: "another".into(), name: "Shirt".into(), ..product("A") });
    world.work().await;
    assert_eq!(world.there("A").unwrap().name, "Coat A");
    assert_eq!(world.open().await, [("product.sku_twice:A".to_owned(), 1)]);
    // The remedy: the other one goes off sale, and ours stays on.
    world.shop.change("b", |b| b.active = false);
    world.work().await;
    let there = world.there("A").unwrap();
    assert_eq!((there.name.as_str(), there.active, world.open().await), ("Coat A", true, Vec::new()));
}

#[tokio::test]
async fn an_item_with_a_new_sku_is_sold_no_more_under_the_old_one() {
    let world = world(ProductPolicy::default()).await;
    world.shop.set("a", product("A"));
    world.work().await;
    world.shop.change("a", |a| a.sku = Sku::new("A-2"));
    world.work().await;
    assert_eq!((world.there("A").unwrap().active, world.there("A-2").unwrap().active), (false, true));
    assert_eq!(world.open().await, []);
}

#[tokio::test]
async fn a_change_made_elsewhere_is_told_with_both_values_and_written_back() {
    let world = world(ProductPolicy::default()).await;
    world.shop.set("a", product("A"));
    world.shop.set("b", product("B"));
    world.work().await;
    world.books.change("i-A", |a| (a.name, a.weight_grams) = ("Mantel".into(), Some(1)));
    world.work().await;
    assert_eq!(world.there("A").unwrap(), Product { owned: ProductFields::ALL, ..product("A") });
    let (state, story) = world.story("A").await;
    assert_eq!(state, State::Confirmed);
    let held = story.iter().find(|(outcome, _)| outcome == "held").unwrap();
    assert_eq!(held.1, "name: Coat A in the shop, Mantel there; weight: 900 in the shop, 1 there");
    assert!(story.iter().any(|(outcome, _)| outcome == "reverted"));
    let all = world.store.read(|view| view.exceptions(&brand(), true)).await.unwrap();
    assert_eq!((all.len(), all[0].open, all[0].problem.value.as_deref()), (1, false, Some("Mantel")));
    let said = format!("{}: name: Coat A in the shop, Mantel there; weight: 900 in the shop, 1 there", all[0].id);
    assert_eq!(world.acts().await, [("policy product.revert items A".to_owned(), said)]);
    assert_eq!(world.story("B").await.1.iter().filter(|(outcome, _)| outcome == "reverted").count(), 0);
}

#[tokio::test]
async fn what_is_accepted_stands_until_the_shop_changes_it() {
    let on_change =
        BTreeMap::from([(ProductField::Name, ChangedElsewhere::Accept), (ProductField::Weight, ChangedElsewhere::Ignore)]);
    let world = world(ProductPolicy { changed_elsewhere: on_change, ..ProductPolicy::default() }).await;
    world.shop.set("a", product("A"));
    world.work().await;
    world.books.change("i-A", |a| (a.name, a.weight_grams) = ("Mantel".into(), Some(1)));
    world.work().await;
    let there = world.there("A").unwrap();
    assert_eq!((there.name.as_str(), world.story("A").await.0), ("Mantel", State::Confirmed));
    assert!(world.story("A").await.1.iter().any(|(outcome, _)| outcome == "accepted"));
    assert_eq!(world.open().await, []);
    let acts = world.acts().await;
    assert_eq!(acts.len(), 1, "{acts:?}");
    assert_eq!(acts[0].0, "policy product.accept items A");
    assert!(acts[0].1.ends_with(": name: Coat A in the shop, Mantel there"), "{acts:?}");
    // Another field changes in the shop: the accepted one stays.
    world.shop.change("a", |a| a.origin = Some("PT".into()));
    world.work().await;
    assert_eq!(world.there("A").unwrap().name, "Mantel");
    // The field itself changes in the shop: that counts, and so it does when it changes back.
    for name in ["Coat, long", "Coat A"] {
        world.shop.change("a", |a| a.name = name.into());
        world.work().await;
        assert_eq!(world.there("A").unwrap().name, name);
    }
}

#[tokio::test]
async fn of_one_change_each_field_is_settled_and_audited_by_its_own_policy() {
    let on_change = BTreeMap::from([(ProductField::Name, ChangedElsewhere::Accept)]);
    let world = world(ProductPolicy { changed_elsewhere: on_change, ..ProductPolicy::default() }).await;
    world.shop.set("a", product("A"));
    world.work().await;
    world.books.change("i-A", |a| (a.name, a.weight_grams) = ("Mantel".into(), Some(1)));
    world.work().await;
    let there = world.there("A").unwrap();
    assert_eq!((there.name.as_str(), there.weight_grams), ("Mantel", Some(900)));
    let acts = world.acts().await;
    let [(accepted, kept), (reverted, written)] = acts.as_slice() else { panic!("{acts:?}") };
    assert_eq!((accepted.as_str(), reverted.as_str()), ("policy product.accept items A", "policy product.revert items A"));
    assert!(kept.ends_with("name: Coat A in the shop, Mantel there") && !kept.contains("weight"), "{kept}");
    assert!(written.ends_with("weight: 900 in the shop, 1 there") && !written.contains("name"), "{written}");
}

#[tokio::test]
async fn what_is_only_ignored_is_left_alone() {
    let on_change = BTreeMap::from([(ProductField::Weight, ChangedElsewhere::Ignore)]);
    let world = world(ProductPolicy { changed_elsewhere: on_change, ..ProductPolicy::default() }).await;
    world.shop.set("a", product("A"));
    world.work().await;
    let writes = world.books.writes();
    world.books.change("i-A", |a| a.weight_grams = Some(1));
    world.work().await;
    assert_eq!((world.books.writes(), world.there("A").unwrap().weight_grams), (writes, Some(1)));
    assert!(world.store.read(|view| view.exceptions(&brand(), true)).await.unwrap().is_empty());
}

#[tokio::test]
async fn whoever_writes_against_us_is_not_fought_for_ever() {
    let world = world(ProductPolicy::default()).await;
    world.shop.set("a", product("A"));
    world.work().await;
    for round in 0..4 {
        assert_eq!(world.open().await, [], "round {round}");
        world.books.change("i-A", |a| a.name = "Mantel".into());
        world.work().await;
    }
    assert_eq!(world.there("A").unwrap().name, "Mantel", "a person is asked");
    assert_eq!(world.open().await, [("product.changed_elsewhere:A".to_owned(), 1)]);
    assert_eq!(world.acts().await.len(), 3, "what a person is asked about no policy has decided");
    let id = world.store.read(|view| view.exceptions(&brand(), false)).await.unwrap()[0].id;
    let actions = Actions { store: world.store.clone(), brand: brand(), clock: world.clock.clone(), actor: "anna".into() };
    actions.release(id).await.unwrap();
    world.work().await;
    assert_eq!((world.there("A").unwrap().name.as_str(), world.open().await), ("Coat A", Vec::new()));
}
