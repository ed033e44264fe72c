//! What would have happened: recorded days, played again under other settings.
//!
//! The recording says what was wanted in the shop, and how the source moved *apart from the shop's own
//! orders* (other channels, deliveries, counts). What is truly there is the opening figure, plus those
//! moves, less what the shop accepted. The shop sees none of that: it has the figure that was last
//! written, less what it sold since. It accepts a line when that figure suffices.
//!
//! # What is simplified
//! - A line is accepted whole or not at all, and nobody comes back later.
//! - The other channels do what they did, whatever the shop sells.
//! - Figures are right when the recording begins, and no promise is open at the source.
//! - What happens at the source in the same millisecond as an order happens before it.
//! - On hand falls a fixed time after a promise; a rise shows at once.
//! - A velocity buffer knows the takings of the whole recording, those that are still to come included:
//!   it does a little better here than it would have.
//!
//! # What may surprise
//! With lines of several units, or with deliveries, a larger buffer or a better figure can now and then oversell
//! *more*: it refuses a line early, keeps the units, and a later line takes them at a moment when the figure is
//! out of date. For lines of one unit, a figure that minds the shop's own orders, and fixed buffers, more
//! buffer never oversells more; the laws prove that, and no more than that.

mod recording;
mod run;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use recording::{Event, Recorded, Recording, RecordingError};
pub use run::Stage;

use super::buffer::Rule;

/// The longest time that anything may take, in milliseconds; more is cut to it. Some three thousand years.
const TIME_MAX: u64 = 100_000_000_000_000;

/// What is read at the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// What is left when every promise is kept.
    Available,
    /// What is physically there: a promise does not show before its units are shipped.
    OnHand,
}

/// How news of the source reaches the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sync {
    /// It is asked again and again.
    Poll {
        /// From one reading to the next; at least one.
        interval_ms: u64,
        /// When the first one is, counted from the beginning of the recording.
        phase_ms: u64,
    },
    /// It tells every change.
    Push {
        /// From the change to the reading of it.
        latency_ms: u64,
    },
}

/// One way to run things.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scenario {
    /// What is read at the source.
    pub quantity: Quantity,
    /// How news of it reach us.
    pub sync: Sync,
    /// From the reading to the moment when the shop has the figure.
    pub write_latency_ms: u64,
    /// From an order in the shop until the source has taken it in; at least one.
    pub export_delay_ms: u64,
    /// From the promise at the source until its units leave the shelf; only on hand depends on it.
    pub ship_delay_ms: u64,
    /// Whether a figure minds the shop's own orders that the source does not show yet. One that does not
    /// overwrites the shop's figure with the source's and puts units back that are sold. A naive poll
    /// overwrites each time, a naive push with each change.
    pub aware: bool,
    /// Whether the shop refuses what its figure does not cover.
    pub shop_checks: bool,
    /// What is held back.
    pub buffer: Vec<Rule>,
    /// When nothing goes through: from (included) to (excluded). A reading that begins or is written then is lost,
    /// and what was to be pushed arrives at the end.
    pub outages: Vec<(u64, u64)>,
}

impl Scenario {
    /// The longest that a figure is out of date while nothing fails.
    pub fn window_ms(&self) -> u64 {
        let read = match self.sync {
            Sync::Poll { interval_ms, .. } => interval_ms.max(1),
            Sync::Push { latency_ms } => latency_ms,
        };
        read.saturating_add(self.write_latency_ms)
    }
}

/// How old the figures were that orders met: the time since the reading that they came from. Sampled at
/// every order line that the recording has, whether it was accepted or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Staleness {
    /// Half of the lines met a figure no older.
    pub p50_ms: u64,
    /// 99 of a hundred did.
    pub p99_ms: u64,
    /// All did.
    pub max_ms: u64,
}

/// What would have happened. All figures are units unless they say something else;
/// `wanted = sold + lost_to_buffer + lost_to_staleness + lost_to_emptiness`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// Wanted in the shop.
    pub wanted: u64,
    /// Accepted by the shop.
    pub sold: u64,
    /// Accepted by the shop beyond what was truly there.
    pub oversold: u64,
    /// Sold by the shop first and by another channel again, as the source did not know of the shop's
    /// order yet. No buffer of the shop prevents these; a quicker export does.
    pub sold_again: u64,
    /// SKUs of which something was oversold.
    pub oversold_skus: u64,
    /// Lines that were oversold.
    pub oversold_lines: u64,
    /// Orders with such a line; `None` when the recording does not say which lines belong together.
    pub oversold_orders: Option<u64>,
    /// Refused though truly there, because of the buffer.
    pub lost_to_buffer: u64,
    /// Refused though truly there, because the figure did not show it yet.
    pub lost_to_staleness: u64,
    /// Refused, and truly not there.
    pub lost_to_emptiness: u64,
    /// How old the figures were; `None` without an order.
    pub staleness: Option<Staleness>,
    /// Figures written: one for each reading, and SKU, that found the source moved. Moves that cancel out
    /// between two readings count as moved; the shop's own orders count where the figure does not mind them.
    pub figures_written: u64,
}

/// Plays one scenario. For many, [`rehearse_all`] or a [`Stage`].
pub fn rehearse(recording: &Recording, scenario: &Scenario) -> Outcome {
    Stage::new(recording).play(scenario)
}

/// Plays many, in their order.
pub fn rehearse_all(recording: &Recording, scenarios: &[Scenario]) -> Vec<Outcome> {
    let mut stage = Stage::new(recording);
    scenarios.iter().map(|scenario| stage.play(scenario)).collect()
}

/// Every combination of these, the rest as in `base`; an empty list stands for what `base` has. As many as the
/// lengths multiplied: whoever lets people type them in bounds them first.
pub fn grid(base: &Scenario, quantities: &[Quantity], syncs: &[Sync], aware: &[bool], buffers: &[Vec<Rule>]) -> Vec<Scenario> {
    fn or<'a, T>(given: &'a [T], base: &'a T) -> &'a [T] {
        if given.is_empty() { std::slice::from_ref(base) } else { given }
    }
    let mut scenarios = Vec::new();
    for quantity in or(quantities, &base.quantity) {
        for sync in or(syncs, &base.sync) {
            for aware in or(aware, &base.aware) {
                for buffer in or(buffers, &base.buffer) {
                    let (quantity, sync, aware, buffer) = (*quantity, *sync, *aware, buffer.clone());
                    scenarios.push(Scenario { quantity, sync, aware, buffer, ..base.clone() });
                }
            }
        }
    }
    scenarios
}
