//! What the ledger can settle is delivered again; the rest is a person's.

use selvedge_flow::{
    Engine,
    actions::Actions,
    reconcile::{Limits, Repair},
};
use selvedge_model::{FlowName, Order, gate::rules::OrderPolicy, obligation::State, reconcile::Tally};

use super::*;
use crate::{
    fake::Fake,
    journey::{assert_balance, map_items},
};

/// The books of the ordinary world as a statement.
struct Books(Fake);

#[async_trait]
impl Statements for Books {
    fn kinds(&self) -> &'static [Kind] {
        &[Kind::Order]
    }

    async fn page(&self, _kind: Kind, interval: &Interval, _page: Option<&Cursor>) -> Result<StatementPage, Fault> {
        let world = self.0.world.lock().unwrap();
        let entry = |(id, order): (&u32, &Order)| Entry { id: ExternalId::new(id.to_string()), ..Entry::from(order) };
        let entries = world.documents.iter().map(entry).filter(|entry| interval.contains(entry.at)).collect();
        Ok(StatementPage { entries, ..StatementPage::default() })
    }
}

/// An engine with its pair, and what a person may do beside it.
struct Running {
    fake: Fake,
    store: Store,
    engine: Arc<Engine>,
    actions: Actions,
    pair: PairSetup,
}

impl Running {
    async fn new() -> Self {
        let fake = Fake::new(5, 0);
        let store = memory().await;
        map_items(&store, &fake, &[0, 1, 2]).await;
        let pair = PairSetup { flows: vec![(Kind::Order, FlowName::from("orders"))], ..pair() };
        let mut setup = fake.setup(store.clone(), OrderPolicy::default());
        setup.connections.get_mut(&ConnectionName::from("books")).unwrap().statements = Some(Arc::new(Books(fake.clone())));
        setup.pairs = vec![pair.clone()];
        let engine = Arc::new(Engine::new(setup).unwrap());
        let actions = Actions { store: store.clone(), brand: brand(), clock: fake.clock.clone(), actor: "anna".into() };
        Self { fake, store, engine, actions, pair }
    }

    async fn settle(&self) {
        for turn in 0..200 {
            self.engine.tick().await.unwrap();
            assert_balance(&self.engine).await;
            self.fake.clock.advance(Duration::from_secs(2));
            // A notice is given its time before its document is fetched.
            if turn > 10 && self.engine.settled().await.unwrap() && self.fake.quiet() {
                return;
            }
        }
        panic!("it does not settle");
    }

    /// Looks once everything has had its time; a look writes nothing.
    async fn look(&self) -> (Tally, Vec<DifferenceRow>) {
        self.fake.clock.advance(Duration::from_secs(2 * 3_600));
        let now = selvedge_connector::Clock::now(self.fake.clock.as_ref());
        let window = Interval { from: at(-HOUR), to: now };
        self.fake.read_only(true);
        let before = self.fake.documents();
        let reconciler = &self.engine.reconciler;
        let id = reconciler.look(&reconciler.pairs[0], "demand", &window).await.unwrap().unwrap();
        assert_eq!(self.fake.documents(), before);
        self.fake.read_only(false);
        let (told, ..) = told(&self.store, id).await;
        (told.tallies.0["order"].clone(), differences(&self.store, false).await)
    }

    fn copies(&self, number: u32) -> usize {
        let key = RecordKey::new(number.to_string());
        self.fake.documents().iter().filter(|document| document.number == key).count()
    }

    fn lose(&self, number: u32) {
        let key = RecordKey::new(number.to_string());
        self.fake.world.lock().unwrap().documents.retain(|_, document| document.number != key);
    }

    async fn state(&self, number: u32) -> Option<State> {
        let key = RecordKey::new(number.to_string());
        let rows = self.store.read(move |view| view.obligations_of(&brand(), Kind::Order, &key)).await.unwrap();
        rows.last().map(|row| row.state)
    }
}

fn words(found: &[DifferenceRow]) -> BTreeMap<&str, &'static str> {
    found.iter().map(|row| (row.found.subject.as_str(), row.found.why.word())).collect()
}

fn everything() -> Limits {
    Limits { records: 100, money: Vec::new() }
}

#[tokio::test]
async fn what_never_arrived_was_deleted_or_is_stale_is_delivered_again_and_the_rest_is_a_persons() {
    let world = Running::new().await;
    for number in 2..=5 {
        world.fake.place(number, 2);
    }
    world.settle().await;
    // No news came of the first and of the last change of the third; the second was deleted, the fourth changed there.
    world.fake.place_silently(1, 4);
    world.fake.clock.advance(Duration::from_secs(60));
    let now = selvedge_connector::Clock::now(world.fake.clock.as_ref());
    {
        let mut shop = world.fake.world.lock().unwrap();
        shop.orders.insert(3, crate::fake::order(3, 7, now));
    }
    world.lose(2);
    world.fake.tamper(4, |document| document.lines[0].sku = Sku::new("HAT"));
    let (tally, found) = world.look().await;
    let expected = [("1", "never_arrived"), ("2", "deleted"), ("3", "stale"), ("4", "other_sku")];
    assert_eq!(words(&found), BTreeMap::from(expected), "{found:?}");
    assert!(tally.meets() && tally.uncaptured == 1 && tally.agreed.count == 1, "{tally:?}");

    let plan = world.actions.plan_repair(&world.pair, &everything()).await.unwrap();
    let planned: BTreeMap<&str, Repair> = plan.repairs.iter().map(|(row, how)| (row.found.subject.as_str(), *how)).collect();
    assert_eq!(planned, BTreeMap::from([("1", Repair::Deliver), ("2", Repair::Restore), ("3", Repair::Deliver)]));
    assert_eq!((plan.exceptions, plan.left), (1, 0));
    assert_eq!(world.state(1).await, None, "a plan does nothing");
    assert_eq!(world.state(2).await, Some(State::Confirmed), "a plan does nothing");

    assert_eq!(world.actions.repair(&world.pair, plan).await.unwrap(), 3);
    assert_eq!(world.state(2).await, Some(State::Captured), "back before the gate");
    let due = world.store.read(|view| view.notices_due(&brand(), &ConnectionName::from("shop"), Kind::Order, Timestamp::MAX, 10));
    assert_eq!(due.await.unwrap().len(), 2, "news of what never arrived, and of what is stale");
    let acts = world.store.read(|view| view.audit_rows(&brand(), 100)).await.unwrap();
    assert_eq!(acts.iter().filter(|act| act.action == "reconcile.repair").count(), 3, "each is somebody's act");

    world.settle().await;
    for number in 1..=5 {
        assert_eq!((world.copies(number), world.state(number).await), (1, Some(State::Confirmed)), "order {number}");
    }
    let (tally, found) = world.look().await;
    assert_eq!(words(&found), BTreeMap::from([("4", "other_sku")]));
    assert!(tally.meets() && tally.uncaptured == 0 && tally.agreed.count == 4, "{tally:?}");
    let again = world.actions.plan_repair(&world.pair, &everything()).await.unwrap();
    assert!(again.repairs.is_empty() && again.exceptions == 1);
}

#[tokio::test]
async fn a_document_that_came_back_before_its_repair_is_not_made_twice() {
    let world = Running::new().await;
    world.fake.place(2, 2);
    world.settle().await;
    let kept = world.fake.documents();
    world.lose(2);
    let (_, found) = world.look().await;
    assert_eq!(words(&found), BTreeMap::from([("2", "deleted")]));
    let plan = world.actions.plan_repair(&world.pair, &everything()).await.unwrap();
    // Somebody undeletes it between the preview and the repair.
    world.fake.world.lock().unwrap().documents.insert(7, kept[0].clone());
    assert_eq!(world.actions.repair(&world.pair, plan).await.unwrap(), 1);
    world.settle().await;
    assert_eq!((world.copies(2), world.state(2).await), (1, Some(State::Confirmed)));
}

#[tokio::test]
async fn a_repair_keeps_to_its_limits() {
    let world = Running::new().await;
    // 250, 500 and 1,250 SEK.
    for (number, units) in [(1, 2), (2, 4), (3, 10)] {
        world.fake.place_silently(number, units);
    }
    let (_, found) = world.look().await;
    assert_eq!(found.len(), 3);
    let sek = |minor: i64| Money::from_minor(minor, Currency::from_code("SEK").unwrap());
    let planned = async |records: usize, money: Vec<Money>| {
        let plan = world.actions.plan_repair(&world.pair, &Limits { records, money }).await.unwrap();
        let subjects: Vec<String> = plan.repairs.iter().map(|(row, _)| row.found.subject.clone()).collect();
        (subjects.join(" "), plan.money, plan.left)
    };
    assert_eq!(planned(2, Vec::new()).await, ("3 2".to_owned(), vec![sek(175_000)], 1), "the most money first");
    assert_eq!(planned(9, vec![sek(75_000)]).await, ("2 1".to_owned(), vec![sek(75_000)], 1), "as much as fits");
    assert_eq!(planned(9, vec![sek(74_999)]).await, ("2".to_owned(), vec![sek(50_000)], 2));
    assert_eq!(planned(0, Vec::new()).await, (String::new(), Vec::new(), 3));
    let eur = Money::from_minor(1, Currency::from_code("EUR").unwrap());
    assert_eq!(planned(9, vec![eur]).await.2, 0, "a limit in one currency limits no other");
}
