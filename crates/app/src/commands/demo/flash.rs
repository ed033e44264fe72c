//! A flash sale in other hands: what polls that know nothing of orders on their way would have oversold, on the
//! same seed. Played, not run: [`crate::rehearse`].

use std::time::Duration;

use anyhow::Context;
use selvedge_model::stock::rehearse::{Scenario, Sync};
use selvedge_sim::data::{Catalogue, Source};
use serde::Serialize;

use crate::{
    config::words::Span,
    rehearse::{self, Asked, Gather, Material, Named},
};

/// How finely the moments of orders are told apart, in milliseconds.
const TICK_MS: u64 = 10;
/// How often others ask, in seconds.
const INTERVALS: [u64; 2] = [60, 600];
/// How long an order takes to the source in others' hands: the next of their polls that run each minute.
const EXPORT_DELAY: Span = Span::seconds(60);

/// A sale begins when it begins, and not when a poll is due: so many moments between two polls are played.
const BEGINNINGS: u64 = 20;

/// What another way would have oversold, in units, over all moments between two of its polls at which the sale may begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Other {
    /// The way, in words.
    pub name: String,
    /// At the best moment.
    pub oversold_least: u64,
    /// The mean, rounded down.
    pub oversold_mean: u64,
    /// At the worst moment.
    pub oversold_most: u64,
}

/// What other ways would have made of the sale.
///
/// # Errors
/// A sale that the simulators do not have.
pub fn others(seed: u64, skus: u32, orders: u64) -> anyhow::Result<Vec<Other>> {
    let material = recording(seed, skus, orders)?.context("a sale without orders: nothing can be compared")?;
    let asked =
        Asked { intervals: INTERVALS.map(Span::seconds).to_vec(), naive: true, export_delay: EXPORT_DELAY, ..Asked::default() };
    let ways = rehearse::scenarios(&asked, |_| 0);
    let played = rehearse::play_all(material, ways.iter().flat_map(beginnings).collect(), || ())?.scenarios;
    Ok(ways
        .into_iter()
        .filter_map(|way| {
            let oversold: Vec<u64> =
                played.iter().filter(|played| played.name == way.name).map(|played| played.outcome.oversold).collect();
            Some(Other {
                oversold_least: *oversold.iter().min()?,
                oversold_mean: oversold.iter().sum::<u64>() / BEGINNINGS,
                oversold_most: *oversold.iter().max()?,
                name: way.name,
            })
        })
        .collect())
}

/// The same way with its first poll at each of the moments.
fn beginnings(way: &Named) -> Vec<Named> {
    let Sync::Poll { interval_ms, .. } = way.scenario.sync else { return vec![way.clone()] };
    let first_polls = (0..BEGINNINGS).map(|at| interval_ms * at / BEGINNINGS);
    let begun = |phase_ms| Named {
        name: way.name.clone(),
        scenario: Scenario { sync: Sync::Poll { interval_ms, phase_ms }, ..way.scenario.clone() },
    };
    first_polls.map(begun).collect()
}

/// What is wanted in the sale and what moves on the floor.
fn recording(seed: u64, skus: u32, orders: u64) -> anyhow::Result<Option<Material>> {
    let catalogue = Catalogue::open(seed, &Source::Flash { skus, orders })?;
    let sku = |item: u32| catalogue.items().get(item as usize).map(|item| item.sku.as_str()).unwrap_or_default();
    let mut gather = Gather::default();
    let mut openings = vec![0_i64; skus as usize];
    for opening in catalogue.opening() {
        if let Some(units) = openings.get_mut(opening.item as usize) {
            *units = units.saturating_add(opening.quantity);
        }
    }
    for (item, units) in (0_u32..).zip(openings) {
        gather.opening(sku(item), units);
    }
    let mut wanted_at: Vec<i64> = Vec::new();
    let mut ms = 0_u64;
    while wanted_at.len() < catalogue.orders() as usize {
        let due = catalogue.rhythm(0, Duration::from_millis(ms)).context("a sale has a rhythm")?;
        wanted_at.resize(wanted_at.len().max(due as usize), i64::try_from(ms)?);
        ms += TICK_MS;
    }
    for (number, at) in (0_u32..).zip(&wanted_at) {
        for line in catalogue.order(number).lines {
            if let Some(item) = line.item {
                gather.order(*at, &number.to_string(), sku(item), u32::try_from(line.ordered)?);
            }
        }
    }
    for event in catalogue.floor_events() {
        let at = wanted_at.get(event.after as usize).copied().unwrap_or(i64::try_from(ms)?);
        for (item, _, units) in &event.moves {
            gather.moved(at, sku(*item), i32::try_from(*units)?);
        }
    }
    Ok(gather.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_oversell_and_the_wrong_quantity_oversells_most() {
        let others = others(5, 2_000, 6_000).unwrap();
        let of = |name: &str| others.iter().find(|other| other.name.starts_with(name)).unwrap();
        let (available, on_hand) = (of("naive, available every 1m"), of("naive, on hand every 1m"));
        assert!(available.oversold_least > 0 && on_hand.oversold_mean > available.oversold_mean, "{others:?}");
        for other in &others {
            assert!(other.oversold_least <= other.oversold_mean && other.oversold_mean <= other.oversold_most, "{other:?}");
        }
        // A poll of ten minutes misses the sale, or puts back what was sold: it depends on when.
        let slow = of("naive, available every 10m");
        assert!(0 < slow.oversold_least && slow.oversold_least < slow.oversold_most, "{others:?}");
    }

    #[test]
    fn a_sale_without_orders_says_so() {
        assert!(others(5, 20, 0).unwrap_err().to_string().contains("without orders"));
    }
}
