//! Stock: what the source has left becomes what the target shows.
//!
//! ```text
//!  push ─────┐
//!  poll ─────┼► read ──► levels ──► due ──► look ──► news ──► write ──► read back
//!  snapshot ─┘  guard    (source)  figures (target)  of orders
//! ```
//!
//! Stock is a state and not a queue of documents, so it has a journey of its own. `read.rs` keeps the
//! levels of the source as new as its limits allow; `write.rs` works the figures of the target out of
//! them, in batches: it looks what stands there, waits until every order that the target had promised by
//! then is known, works the figure out (`work_out.rs`), writes it, and reads it back. `demand.rs` counts
//! what orders want that the source has not taken in yet.

pub(crate) mod demand;
mod dry_run;
mod explain;
mod read;
mod trouble;
mod work_out;
pub(crate) mod write;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use selvedge_connector::{StockSink, StockSource};
use selvedge_model::{
    Brand, ConnectionName, FlowName, LocationId,
    stock::{buffer, guard, pace, velocity::Prior},
};
use selvedge_store::{Store, stock::Of};

pub use dry_run::dry_run;
pub use explain::{Explained, explain};

use crate::{Setup, engine::Miswired};

/// How many measured times are kept per flow.
const MEASURED_MAX: usize = 4_096;

/// What to do with a figure at the target that somebody else changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Foreign {
    /// Write ours again, and tell.
    #[default]
    Revert,
    /// Leave it until a person has decided.
    Ask,
}

/// One stock flow.
#[derive(Clone, Debug)]
pub struct StockSetup {
    /// Its name.
    pub name: FlowName,
    /// The source of truth.
    pub from: ConnectionName,
    /// Where the figures are shown.
    pub to: ConnectionName,
    /// Which place of the target is fed by which of the source: the source's, then the target's.
    pub places: BTreeMap<LocationId, LocationId>,
    /// How often changes are asked for.
    pub pace: pace::Pace,
    /// How far each poll reaches back into what is proven.
    pub poll_overlap: Duration,
    /// How often each place of the source is read whole.
    pub snapshot_every: Duration,
    /// How often everything that the target shows is read back.
    pub read_back_every: Duration,
    /// What is kept back.
    pub buffers: Vec<buffer::Rule>,
    /// What a reading may move before a person has to look.
    pub guard: guard::Rules,
    /// How long a write whose answer was lost may still come in.
    pub settle_wait: Duration,
    /// How often a write may fail to come out before a person is asked.
    pub attempts_max: u32,
    /// What to do with a foreign change.
    pub foreign: Foreign,
}

/// A stock flow with its ends.
pub(crate) struct Stock {
    pub setup: StockSetup,
    pub of: Of,
    pub source: Arc<dyn StockSource>,
    pub target: Arc<dyn StockSource>,
    pub sink: Arc<dyn StockSink>,
    /// Places of the source that feed each place of the target.
    pub feeds: BTreeMap<LocationId, Vec<LocationId>>,
    memory: Mutex<Memory>,
    cycle: tokio::sync::Mutex<Option<write::Cycle>>,
    reading: tokio::sync::Mutex<read::Snapshot>,
}

/// What is worth keeping only while the process lives.
#[derive(Default)]
pub(crate) struct Memory {
    pub pace: Option<pace::State>,
    pub next_poll: Option<Timestamp>,
    pub next_snapshot: Option<Timestamp>,
    pub next_write: Option<Timestamp>,
    pub next_read_back: Option<Timestamp>,
    pub next_structure: Option<Timestamp>,
    /// Until when a place is not read whole again, as a person has to look at the last time first.
    pub suspicious_until: BTreeMap<LocationId, Timestamp>,
    /// How each call of the flow fares; absent: not made yet.
    pub ways: BTreeMap<&'static str, trouble::Way>,
    /// Batches written since the last page of a read-back.
    pub batches: u32,
    /// How long the last figures that were wrong had been wrong, in milliseconds.
    pub wrong_ms: VecDeque<u64>,
    /// Rates over the whole range, and until when they may be used.
    pub rates: Option<(Prior, Timestamp)>,
    /// Places whose source is known.
    pub ready: BTreeSet<LocationId>,
    /// Sums over the range of each place of the source, and until when they may be used.
    pub ranges: BTreeMap<LocationId, (guard::Before, Timestamp)>,
}

impl Memory {
    fn measured(list: &mut VecDeque<u64>, ms: u64) {
        if list.len() >= MEASURED_MAX {
            list.pop_front();
        }
        list.push_back(ms);
    }
}

/// The percentile of a list of times; none of an empty one.
pub(crate) fn percentile(list: &VecDeque<u64>, percent: usize) -> Option<u64> {
    let mut sorted: Vec<u64> = list.iter().copied().collect();
    sorted.sort_unstable();
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied()
}

impl Stock {
    pub fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a batch or a reading is under way.
    pub async fn is_busy(&self) -> bool {
        let read = self.reading.try_lock().map_or(true, |reading| reading.is_under_way());
        read || self.cycle.try_lock().map_or(true, |cycle| cycle.is_some())
    }

    /// Everything is to be read whole, and read back. What is under way began too early to prove anything, and is dropped:
    /// its end would pass for the proof that was asked for.
    pub async fn prove_anew(&self, store: &Store) -> selvedge_store::Result<()> {
        let (mut reading, _cycle) = (self.reading.lock().await, self.cycle.lock().await);
        *reading = read::Snapshot::default();
        let of = self.of.clone();
        store.write(move |tx| tx.stock_forget_proofs(&of)).await?;
        let mut memory = self.memory();
        (memory.next_poll, memory.next_snapshot, memory.next_read_back) = (None, None, None);
        Ok(())
    }

    /// The places of the source.
    pub fn locations(&self) -> Vec<LocationId> {
        self.setup.places.keys().cloned().collect()
    }

    /// The places of the target.
    pub fn targets(&self) -> Vec<LocationId> {
        self.feeds.keys().cloned().collect()
    }
}

/// Puts a stock flow together.
pub(crate) fn wire(setup: &Setup, stock: &StockSetup) -> Result<Stock, Miswired> {
    let wrong = |why: String| Miswired { what: format!("stock {}", stock.name), why };
    let end = |name: &ConnectionName| setup.connections.get(name).ok_or_else(|| wrong(format!("there is no connection {name}")));
    let (from, to) = (end(&stock.from)?, end(&stock.to)?);
    let source = from.stock_source.clone().ok_or_else(|| wrong(format!("{} has no stock to tell", stock.from)))?;
    let target = to.stock_source.clone().ok_or_else(|| wrong(format!("stock at {} cannot be read back", stock.to)))?;
    let sink = to.stock_sink.clone().ok_or_else(|| wrong(format!("{} takes no stock", stock.to)))?;
    let mut feeds: BTreeMap<LocationId, Vec<LocationId>> = BTreeMap::new();
    for (location, place) in &stock.places {
        feeds.entry(place.clone()).or_default().push(location.clone());
    }
    Ok(Stock {
        of: Of { brand: brand(setup), flow: stock.name.clone() },
        setup: stock.clone(),
        source,
        target,
        sink,
        feeds,
        memory: Mutex::default(),
        cycle: tokio::sync::Mutex::default(),
        reading: tokio::sync::Mutex::default(),
    })
}

fn brand(setup: &Setup) -> Brand {
    setup.brand.clone()
}
