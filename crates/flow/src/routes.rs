//! Routes tried on past orders: nothing is written, nobody is asked.

use jiff::Timestamp;
use selvedge_model::{
    AnyRecord, Brand, ConnectionName, FlowName, Kind, RecordId, Sku,
    gate::rules::{self, OrderPolicy, Standing},
    pick::pick_order,
    records::OrderStatus,
    routing::{self, dry_run::DryRun},
};
use selvedge_store::{Result, View};

use crate::prepare::{Bench, PickSetup};

/// Orders tried in one look at the store.
const PAGE: usize = 500;

/// What is tried.
#[derive(Clone, Debug)]
pub struct RouteTrial {
    /// Whose.
    pub brand: Brand,
    /// Orders from here.
    pub from: ConnectionName,
    /// What an order must be like to be looked at.
    pub policy: OrderPolicy,
    /// The present routes.
    pub now: PickSetup,
    /// The proposed ones.
    pub then: PickSetup,
    /// Orders placed since.
    pub since: Timestamp,
    /// How many that move are named.
    pub samples_max: usize,
}

impl RouteTrial {
    /// Adds a page of past orders to a comparison, each as if it came now and nothing of it had been given to anybody; the row to
    /// go on from, where there is more. What is free on the shelves is what is known now, for each order alone.
    ///
    /// # Errors
    /// The store's.
    pub fn page(&self, view: &View<'_>, run: &mut DryRun, after: Option<RecordId>, at: Timestamp) -> Result<Option<RecordId>> {
        let (rows, next) = view.arrived_since(&self.brand, &self.from, Kind::Order, self.since, after, PAGE)?;
        let nobody = FlowName::default();
        let bench = Bench {
            view,
            brand: &self.brand,
            flow: &nobody,
            flows: &[],
            shops: &[],
            sources: &[],
            keeps_bundles: false,
            now: at,
        };
        for row in rows {
            let AnyRecord::Order(order) = row.record else { continue };
            let excluded = matches!(rules::check_order(&order, &self.policy, false), Standing::Excluded { .. });
            if order.placed_at < self.since || order.status == OrderStatus::Cancelled || excluded {
                continue;
            }
            let goods = bench.goods(&order)?;
            let pick = match pick_order(&order, &goods, None) {
                Ok(pick) if pick.lines.is_empty() => {
                    run.orders = run.orders.saturating_add(1);
                    run.nothing = run.nothing.saturating_add(1);
                    continue;
                }
                Ok(pick) => pick,
                Err(_) => {
                    run.orders = run.orders.saturating_add(1);
                    run.unfit = run.unfit.saturating_add(1);
                    continue;
                }
            };
            let outcome = |setup: &PickSetup| -> Result<_> {
                let shelves = bench.shelves(&pick, setup)?;
                let free = |flow: &FlowName, sku: &Sku| shelves.get(&(flow.clone(), sku.clone())).copied();
                Ok(routing::route(&pick, &setup.routes, &Default::default(), &goods, &free))
            };
            run.add(&pick, &outcome(&self.now)?, &outcome(&self.then)?, self.samples_max);
        }
        Ok(next)
    }
}
