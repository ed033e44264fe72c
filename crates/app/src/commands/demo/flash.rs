//! A flash sale in other hands: what polls that know nothing of orders on their way would have oversold, on the
//! same seed. Played, not run: [`crate::rehearse`].

use std::time::Duration;

use anyhow::Context;
use selvedge_sim::data::{Catalogue, Source};

use crate::{
    config::words::Span,
    rehearse::{self, Asked, Gather, Material, Played},
};

/// How finely the moments of orders are told apart, in milliseconds.
const TICK_MS: u64 = 10;
/// How often others ask, in seconds.
const INTERVALS: [u64; 2] = [60, 600];
/// How long an order takes to the source in others' hands: the next of their polls that run each minute.
const EXPORT_DELAY: Span = Span::seconds(60);

/// What other ways would have made of the sale.
///
/// # Errors
/// A sale that the simulators do not have.
pub fn others(seed: u64, skus: u32, orders: u64) -> anyhow::Result<Vec<Played>> {
    let material = recording(seed, skus, orders)?.context("a sale without orders: nothing can be compared")?;
    let asked =
        Asked { intervals: INTERVALS.map(Span::seconds).to_vec(), naive: true, export_delay: EXPORT_DELAY, ..Asked::default() };
    Ok(rehearse::play(material, &asked, || ())?.scenarios)
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
        let played = others(5, 2_000, 6_000).unwrap();
        let oversold: Vec<(&str, u64)> = played.iter().map(|played| (played.name.as_str(), played.outcome.oversold)).collect();
        let of = |name: &str| oversold.iter().find(|(named, _)| named.starts_with(name)).map(|(_, units)| *units).unwrap();
        let (available, on_hand) = (of("naive, available every 1m"), of("naive, on hand every 1m"));
        assert!(available > 0 && on_hand > available, "{oversold:?}");
        assert!(of("naive, available every 10m") > 0, "{oversold:?}");
    }

    #[test]
    fn a_sale_without_orders_says_so() {
        assert!(others(5, 20, 0).unwrap_err().to_string().contains("without orders"));
    }
}
