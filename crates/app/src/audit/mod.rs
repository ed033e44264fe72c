//! Audit mode: two ends that somebody else keeps in step are read whole and compared, with credentials that only read.
//!
//! It is reconciliation without flows. No ledger is asked, nothing is written at either end, no agent is installed and no queue is
//! acknowledged: every connection is opened read-only, and a call that would change something does not leave. What comes out is a
//! report, for people (`page`) and for programs.

mod page;
mod report;

use std::{path::Path, sync::Arc};

use jiff::Timestamp;
use selvedge_connector::Clock;
use selvedge_flow::reconcile::{PairSetup, Reconciler};
use selvedge_model::{Brand, Interval};
use selvedge_store::Store;

pub use self::report::Report;
use crate::{
    config::{Config, ConfigProblem, Level, secrets::Environment},
    wiring::{self, Access},
};

/// An audit that can begin.
pub struct Audit {
    reconciler: Reconciler,
    store: Store,
    brand: Brand,
    clock: Arc<dyn Clock>,
}

impl Audit {
    /// Opens both ends read-only. What it finds is kept in `store_url`, and not in the store of the config.
    ///
    /// # Errors
    /// Everything that is wrong with the config.
    pub async fn open(
        config: &Config,
        found: Vec<ConfigProblem>,
        environment: &Environment,
        key_file: Option<&Path>,
        clock: Arc<dyn Clock>,
        store_url: &str,
    ) -> Result<Self, Vec<ConfigProblem>> {
        let mut config = config.clone();
        if !wiring::is_there(&config.store_url) {
            // Only secrets are read from the config's store; where there is none, none is made.
            "sqlite::memory:".clone_into(&mut config.store_url);
        }
        let opened = wiring::assemble(&config, found, environment, key_file, &clock, Access::ReadOnly).await;
        let mut problems = opened.problems;
        let pairs: Vec<PairSetup> = config
            .pairs()
            .into_iter()
            .map(|pair| PairSetup { flows: Vec::new(), stock_flow: None, every: None, far_every: None, ..pair })
            .collect();
        let store = match Store::open(store_url).await {
            Ok(store) => Some(store),
            Err(error) => {
                let remedy = wiring::store_remedy(&error, store_url);
                problems.push(config.problem(Level::Bad, "", format!("{store_url} cannot be opened: {error}"), remedy));
                None
            }
        };
        let bad = problems.iter().any(|problem| problem.level == Level::Bad);
        let Some(store) = store.filter(|_| !bad) else { return Err(problems) };
        let reconciler = Reconciler::new(config.brand.clone(), store.clone(), Arc::clone(&clock), opened.connections, pairs);
        if reconciler.pairs.is_empty() {
            let remedy = "Name one under [reconcile.pairs.NAME]: from, to and kinds; or the flows of which it is made.";
            problems.push(config.problem(Level::Bad, "reconcile", "there are no two ends to compare".to_owned(), remedy));
            return Err(problems);
        }
        Ok(Self { reconciler, store, brand: config.brand, clock })
    }

    /// Where it keeps what it found.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Reads both ends of every pair over a window and says what it found.
    ///
    /// # Errors
    /// The store's. An end that could not be read whole is in the report.
    pub async fn run(&self, window: &Interval) -> selvedge_store::Result<Report> {
        let began: Timestamp = self.clock.now();
        let (mut looks, mut unread) = (Vec::new(), Vec::new());
        for pair in &self.reconciler.pairs {
            match self.reconciler.look(pair, "audit", window).await? {
                Ok(id) => looks.extend(crate::view::reconcile::look(&self.store, &self.brand, id).await?),
                Err(why) => unread.push((pair.name.clone(), why)),
            }
        }
        let calls = self.reconciler.calls();
        report::gather(&self.store, &self.brand, &self.reconciler.pairs, looks, unread, calls, window, began, self.clock.now())
            .await
    }
}
