//! The shop floor: stock moves at the source of truth without an order, in step with the orders that are placed.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use crate::centra::Centra;
use crate::data::{Catalogue, FloorEvent};
use crate::netsuite::{NetSuite, seed_ids};

/// The location that keeps what a market sells, by its internal id. The rule is the one that a mapping would be made by: the
/// first place of the first subsidiary, the root left out, that keeps its books in the market's currency; else of the
/// first one below the root.
pub(super) fn location(currency: &str) -> String {
    let ids = seed_ids();
    let mut below = ids.subsidiaries.iter().skip(1);
    let subsidiary = below.clone().find(|(.., books)| books == currency).or_else(|| below.next());
    let place = subsidiary.and_then(|(id, ..)| ids.locations.iter().find(|(_, _, of)| of == id));
    place.map(|(id, ..)| id.clone()).unwrap_or_default()
}

/// What moves stock by itself.
#[derive(Clone)]
pub(crate) struct Floor {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) centra: Centra,
    pub(crate) netsuite: Arc<NetSuite>,
    /// The location of each of the catalogue's markets.
    pub(crate) locations: Vec<String>,
    /// Made-up events per second, where the data have none.
    pub(super) pace: Option<f64>,
}

/// The most events in one step, so that others get their turn.
const STEP: u32 = 500;

impl Floor {
    /// Events of the data that did not happen yet.
    pub(super) fn pending(&self) -> u64 {
        let all = u64::try_from(self.catalogue.floor_events().len()).unwrap_or(u64::MAX);
        all.saturating_sub(u64::from(self.netsuite.events_played()))
    }

    /// Lives until nothing more can happen, or it is dropped.
    pub(super) async fn live(self) {
        let mut clock = tokio::time::interval(Duration::from_millis(20));
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let begin = self.netsuite.events_played();
        let mut since = None;
        loop {
            clock.tick().await;
            match self.step(begin, &mut since) {
                Ok(false) => {}
                Ok(true) => return,
                Err(fault) => {
                    tracing::error!(%fault, "the shop floor stands still");
                    return;
                }
            }
        }
    }

    /// Lets happen what is due. Answers whether that was all there will ever be.
    fn step(&self, begin: u32, since: &mut Option<Instant>) -> anyhow::Result<bool> {
        let progress = self.centra.progress();
        let placed = u32::try_from(progress.orders_attempted).unwrap_or(u32::MAX);
        let played = self.netsuite.events_played();
        let events = self.catalogue.floor_events();
        if events.is_empty() {
            if placed > 0 && !progress.placing_done {
                let elapsed = since.get_or_insert_with(Instant::now).elapsed();
                let due = self.pace.map_or(begin, |pace| begin.saturating_add(happened(pace, elapsed)));
                for number in played..due.min(played.saturating_add(STEP)) {
                    self.play(number, &self.capped(self.catalogue.made_up_event(number)))?;
                }
            }
            return Ok(progress.placing_done || self.pace.is_none());
        }
        let due = self.catalogue.floor_events_due(placed, progress.placing_done);
        let due = due.min(played.saturating_add(STEP));
        // What happened long ago happened; in a sale that is made up, nobody carries out what is promised.
        let made_up = self.catalogue.rhythm(0, Duration::ZERO).is_some();
        for (number, event) in (0..due).zip(events).skip(usize::try_from(played)?) {
            if made_up { self.play(number, &self.capped(event.clone()))? } else { self.play(number, event)? }
        }
        Ok(usize::try_from(due)? >= events.len())
    }

    fn play(&self, number: u32, event: &FloorEvent) -> anyhow::Result<()> {
        let moves: Vec<(&str, &str, i64)> = event
            .moves
            .iter()
            .filter_map(|(item, market, units)| {
                let sku = self.catalogue.items().get(usize::try_from(*item).ok()?)?.sku.as_str();
                Some((sku, self.locations.get(*market)?.as_str(), *units))
            })
            .collect();
        self.netsuite.play_event(number, &moves, &event.why).map(|_| ())
    }

    /// Nobody carries out of the shop what is not there, or is promised to somebody else.
    fn capped(&self, mut event: FloorEvent) -> FloorEvent {
        for (item, market, units) in &mut event.moves {
            let item = usize::try_from(*item).ok().and_then(|item| self.catalogue.items().get(item));
            let level = item.zip(self.locations.get(*market)).and_then(|(item, place)| self.netsuite.level(&item.sku, place));
            *units = (*units).max(level.map_or(0, |level| level.net().max(0).saturating_neg()));
        }
        event.moves.retain(|(_, _, units)| *units != 0);
        event
    }
}

/// How many events happened after so long at so many a second.
#[allow(
    clippy::float_arithmetic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a pace is no money; the cast saturates"
)]
fn happened(pace: f64, elapsed: Duration) -> u32 {
    (pace * elapsed.as_secs_f64()) as u32
}
