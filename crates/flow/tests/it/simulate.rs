//! Random orders × random mischief × crashes after any write, by seed; then the invariants.
//!
//! `SELVEDGE_SEED=17 cargo test -p selvedge-flow --test it simulate` replays one.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use selvedge_flow::Engine;
use selvedge_model::{Order, gate::rules::OrderPolicy, obligation::State, records::OrderStatus};
use selvedge_store::Store;

use crate::{
    fake::Fake,
    journey::{assert_balance, brand, map_items},
};

const SEEDS: u64 = 10;
const STEPS: u32 = 60;

#[tokio::test]
async fn whatever_happens_every_order_stands_once_as_it_is_now() {
    let seeds = match std::env::var("SELVEDGE_SEED") {
        Ok(seed) => vec![seed.parse().expect("SELVEDGE_SEED is a number")],
        Err(_) => (0..SEEDS).collect::<Vec<u64>>(),
    };
    for seed in seeds {
        let run = tokio::spawn(simulate(seed)).await;
        if let Err(error) = run {
            panic!("seed {seed} failed: {error}\nreplay: SELVEDGE_SEED={seed} cargo test -p selvedge-flow --test it simulate");
        }
    }
}

struct Run {
    fake: Fake,
    file: std::path::PathBuf,
    engine: Arc<Engine>,
}

impl Run {
    /// Ends the process, as far as the store and the engine are concerned, and starts it again.
    async fn crash(&mut self) {
        let store = Store::open(self.file.to_str().unwrap()).await.unwrap();
        self.engine = self.fake.engine(store, OrderPolicy::default()).await;
        self.engine.recover().await.unwrap();
    }

    /// One tick; a store that "dies" in the middle is a crash.
    async fn tick(&mut self) {
        if self.engine.tick().await.is_err() {
            self.crash().await;
        }
        assert_balance(&self.engine).await;
    }
}

async fn simulate(seed: u64) {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::new(seed, 25);
    let file = folder.path().join("s.db");
    let store = Store::open(file.to_str().unwrap()).await.unwrap();
    map_items(&store, &fake, &[0, 1, 2]).await;
    let engine = fake.engine(store, OrderPolicy::default()).await;
    let mut run = Run { fake: fake.clone(), file, engine };
    let mut placed = 0;
    for _ in 0..STEPS {
        match fake.draw(10) {
            0..=3 => {
                placed += 1;
                fake.place(placed, 1 + fake.draw(4));
            }
            4 | 5 if placed > 0 => {
                let units = 1 + fake.draw(4);
                fake.change(1 + fake.draw(placed), |o| resize(o, units));
            }
            6 if placed > 0 => fake.change(1 + fake.draw(placed), |o| o.status = OrderStatus::Cancelled),
            7 => run.engine.setup().store.die_after(u64::from(fake.draw(12))),
            _ => fake.clock.advance(Duration::from_secs(u64::from(fake.draw(20)))),
        }
        run.tick().await;
    }
    fake.behave();
    run.crash().await;
    for _ in 0..400 {
        run.tick().await;
        fake.clock.advance(Duration::from_secs(5));
        if run.engine.settled().await.unwrap() && fake.quiet() {
            break;
        }
    }
    check(&run).await;
}

fn resize(order: &mut Order, units: u32) {
    let fresh = crate::fake::order(order.number.0.parse().unwrap(), units, order.updated_at);
    *order = Order { status: order.status, ..fresh };
}

async fn check(run: &Run) {
    let mut documents: BTreeMap<String, Vec<Order>> = BTreeMap::new();
    for document in run.fake.documents() {
        documents.entry(document.number.0.clone()).or_default().push(document);
    }
    for order in run.fake.orders() {
        let stands = documents.remove(&order.number.0).unwrap_or_default();
        assert!(stands.len() <= 1, "order {} stands {} times", order.number, stands.len());
        match stands.first() {
            Some(document) => {
                let same = Order { updated_at: document.updated_at, ..order.clone() };
                assert_eq!(*document, same, "order {} stands differently", order.number);
            }
            None => assert_eq!(order.status, OrderStatus::Cancelled, "order {} is missing", order.number),
        }
    }
    assert!(documents.is_empty(), "documents that nobody owes: {documents:?}");
    let (store, flow) = (run.engine.setup().store.clone(), run.engine.setup().flows[0].name.clone());
    let counts = store.read(move |view| view.state_counts(&brand(), &flow)).await.unwrap();
    for (state, count) in counts {
        assert!(state.settled() && state != State::Held || count == 0, "{count} rows are left in {state:?}");
    }
}
