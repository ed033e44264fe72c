//! What other routes would do with orders that were: per warehouse what it gets now and what it would get then.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Routed;
use crate::{
    id::{ExternalId, FlowName},
    money::Money,
    problem::Problem,
    records::Order,
};

/// What routing said of an order.
pub type Outcome = Result<Vec<Routed>, Vec<Problem>>;

/// What a warehouse gets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Orders of which it ships at least a line.
    pub orders: u64,
    /// Lines.
    pub lines: u64,
    /// Units.
    pub units: u64,
    /// What the lines are worth with their tax, by currency; charges are not among it.
    pub worth: BTreeMap<String, Money>,
}

/// What one set of routes does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Side {
    /// By the flow that brings orders to the warehouse.
    pub shares: BTreeMap<FlowName, Share>,
    /// Lines by the route that decided.
    pub routes: BTreeMap<String, u64>,
    /// Orders that several warehouses share.
    pub split: u64,
    /// Orders for which no route says who ships all of it: the gate would hold them.
    pub without: u64,
    /// The same by cause.
    pub causes: BTreeMap<String, u64>,
}

/// An order that would go elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// Its number.
    pub order: String,
    /// Its market.
    pub market: String,
    /// Where it is sent.
    pub country: String,
    /// Who ships it now; nobody, where no route fits.
    pub now: Vec<FlowName>,
    /// Who would.
    pub then: Vec<FlowName>,
    /// How many of its lines would be shipped by somebody else.
    pub lines: u64,
}

/// The whole comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DryRun {
    /// Orders looked at.
    pub orders: u64,
    /// Orders that cannot be taken apart into what is picked, so that no route is asked.
    pub unfit: u64,
    /// Orders of which nothing is picked.
    pub nothing: u64,
    /// The present routes.
    pub now: Side,
    /// The proposed ones.
    pub then: Side,
    /// Orders that would go elsewhere.
    pub moved: u64,
    /// The first of them.
    pub samples: Vec<Moved>,
}

fn by_line(outcome: &Outcome) -> BTreeMap<&ExternalId, &FlowName> {
    outcome.iter().flatten().map(|one| (&one.line, &one.flow)).collect()
}

impl Side {
    fn add(&mut self, pick: &Order, outcome: &Outcome) {
        let routed = match outcome {
            Ok(routed) => routed,
            Err(problems) => {
                self.without = self.without.saturating_add(1);
                let cause = problems.first().map_or_else(String::new, |problem| problem.value.clone().unwrap_or_default());
                *self.causes.entry(cause).or_default() += 1;
                return;
            }
        };
        let mut flows = BTreeSet::new();
        for one in routed {
            *self.routes.entry(one.route.clone()).or_default() += 1;
            let share = self.shares.entry(one.flow.clone()).or_default();
            if flows.insert(&one.flow) {
                share.orders = share.orders.saturating_add(1);
            }
            share.lines = share.lines.saturating_add(1);
            let Some(line) = pick.lines.iter().find(|line| line.id == one.line) else { continue };
            share.units = share.units.saturating_add(u64::from(line.quantity));
            let sum = share.worth.entry(pick.currency.code().to_owned()).or_insert(Money::zero(pick.currency));
            *sum = line.net.plus(line.tax).and_then(|worth| sum.plus(worth)).unwrap_or(*sum);
        }
        if flows.len() > 1 {
            self.split = self.split.saturating_add(1);
        }
    }
}

impl DryRun {
    /// One more order, as it is picked, and what both sets of routes say of it. At most `samples_max` that move are named.
    pub fn add(&mut self, pick: &Order, now: &Outcome, then: &Outcome, samples_max: usize) {
        self.orders = self.orders.saturating_add(1);
        self.now.add(pick, now);
        self.then.add(pick, then);
        let (before, after) = (by_line(now), by_line(then));
        let changed = pick.lines.iter().filter(|line| before.get(&line.id) != after.get(&line.id)).count() as u64;
        if changed == 0 {
            return;
        }
        self.moved = self.moved.saturating_add(1);
        if self.samples.len() < samples_max {
            let flows = |lines: &BTreeMap<&ExternalId, &FlowName>| {
                let flows: BTreeSet<FlowName> = lines.values().map(|flow| (*flow).clone()).collect();
                flows.into_iter().collect::<Vec<_>>()
            };
            let country = pick.shipping.as_ref().and_then(|address| address.country.clone()).unwrap_or_default();
            self.samples.push(Moved {
                order: pick.number.to_string(),
                market: pick.market.name.clone(),
                country,
                now: flows(&before),
                then: flows(&after),
                lines: changed,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{eur, line, order};

    fn routed(pairs: &[(&str, &str)]) -> Outcome {
        let one = |(line, flow): &(&str, &str)| Routed {
            line: ExternalId::new(*line),
            flow: FlowName::new(*flow),
            route: format!("to {flow}"),
        };
        Ok(pairs.iter().map(one).collect())
    }

    fn none() -> Outcome {
        Err(vec![Problem::new("route.none", "lines", "", "").value("market 1, SE")])
    }

    #[test]
    fn each_warehouse_has_its_share_and_each_move_is_counted_once() {
        // 1.25 and 2.50 with tax; three units.
        let pick = order(vec![line("1", "TEE", 2, 100), line("2", "BAG", 1, 200)]);
        let mut run = DryRun::default();
        run.add(&pick, &routed(&[("1", "a"), ("2", "a")]), &routed(&[("1", "a"), ("2", "a")]), 9);
        run.add(&pick, &routed(&[("1", "a"), ("2", "a")]), &routed(&[("1", "a"), ("2", "b")]), 9);
        run.add(&pick, &routed(&[("1", "a"), ("2", "a")]), &none(), 9);
        run.add(&pick, &none(), &none(), 9);
        assert_eq!((run.orders, run.moved), (4, 2));
        let a = FlowName::new("a");
        let share = |orders, lines, units, minor| Share { orders, lines, units, worth: [("EUR".to_owned(), eur(minor))].into() };
        assert_eq!(run.now.shares[&a], share(3, 6, 9, 1_125));
        assert_eq!(run.then.shares[&a], share(2, 3, 5, 500));
        assert_eq!(run.then.shares[&FlowName::new("b")], share(1, 1, 1, 250));
        assert_eq!((run.now.split, run.then.split, run.now.without, run.then.without), (0, 1, 1, 2));
        assert_eq!(run.then.causes["market 1, SE"], 2);
        assert_eq!(
            run.samples[0],
            Moved {
                order: "1001".into(),
                market: "Sweden".into(),
                country: "SE".into(),
                now: vec![a.clone()],
                then: vec![a.clone(), FlowName::new("b")],
                lines: 1,
            }
        );
        assert_eq!((run.samples[1].then.len(), run.samples[1].lines), (0, 2));
    }

    #[test]
    fn only_so_many_are_named_and_all_are_counted() {
        let pick = order(vec![line("1", "TEE", 1, 100)]);
        let mut run = DryRun::default();
        for _ in 0..5 {
            run.add(&pick, &routed(&[("1", "a")]), &routed(&[("1", "b")]), 2);
        }
        assert_eq!((run.moved, run.samples.len()), (5, 2));
    }
}
