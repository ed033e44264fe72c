//! Reconciliation: both ends are read whole, independent of the way in which data was moved, and every document gets a verdict.
//!
//! ```text
//!  source ──► statement ─┐
//!                        ├► families, merged ──► learn words ──► settle ──► tallies, differences, exceptions
//!  target ──► statement ─┘
//! ```
//!
//! `read.rs` reads one page at a time and keeps it together with how far it has come, so that a look goes on after a crash where
//! it stood; `goods.rs` tells stock and items in the same form; `again.rs` looks twice at figures that differ; `settle.rs` walks over what was read, family by family; `repair.rs`
//! makes obligations of what the ledger can settle.
//!
//! A [`Reconciler`] needs connections that can be read and a store, and no flow: beside somebody else's integration it is all of
//! audit mode. What a ledger knows is asked only for what has no partner.

mod again;
mod goods;
mod read;
mod repair;
mod settle;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use selvedge_connector::{Clock, Connection, Fault, statements};
use selvedge_model::{
    Brand, ConnectionName, ExceptionId, FlowName, Interval, Kind, LocationId, ReconciliationId,
    reconcile::{Terms, Tolerance, words::Words},
};
use selvedge_store::{
    Result, Store,
    events::EventKind,
    reconciliations::{NewReconciliation, ReconciliationRow},
};

pub use self::{
    repair::{Limits, Repair, RepairPlan},
    settle::walk,
};
use crate::backoff::{after, before};

/// How long a pair rests after a call did not come through.
const TROUBLE_REST: Duration = Duration::from_secs(30);

/// A look that takes longer, and does not go far back, is begun anew: what it read first is too old to be held against what it reads last.
const LOOK_MOST: Duration = Duration::from_secs(2 * 86_400);

/// The looks of a timer: the usual one, and the one that goes far back.
const TIMER: &str = "timer";
const FAR: &str = "far";
/// The look that a person asked for before its time: always a new one, as something was mended since the last.
const ASKED: &str = "asked";

/// Whether a look is made by a timer.
fn is_timed(via: &str) -> bool {
    matches!(via, TIMER | FAR)
}

/// How far the window of a look on demand may have moved since it was broken off, and it is still the same.
const RESUMED_WITHIN: Duration = Duration::from_secs(6 * 3_600);

/// Two ends that must agree.
#[derive(Clone, Debug)]
pub struct PairSetup {
    /// Its name.
    pub name: String,
    /// The connections whose records they are: one, or all the warehouses that ship for one shop.
    pub sources: Vec<ConnectionName>,
    /// The connection in which they have to stand.
    pub target: ConnectionName,
    /// Of which kinds.
    pub kinds: Vec<Kind>,
    /// Which place of the target is fed by which of the source, where stock is compared.
    pub places: BTreeMap<LocationId, LocationId>,
    /// Kinds of which the target has documents of its own.
    pub shared: Vec<Kind>,
    /// The flow that shows the stock, where one of ours does: whose buffers are known.
    pub stock_flow: Option<FlowName>,
    /// Whether the target knows no bundles, only what they are made of.
    pub parts_only: bool,
    /// Whether the flows keep a buffer back.
    pub buffered: bool,
    /// How often it is looked at; `None` = on demand only.
    pub every: Option<Duration>,
    /// How far back the window of a timer reaches.
    pub back: Duration,
    /// How often it is looked at far back; `None` = never. What is settled long after it came to be is judged then.
    pub far_every: Option<Duration>,
    /// How far back that reaches.
    pub far_back: Duration,
    /// How far before and after the window partners are looked for.
    pub around: Duration,
    /// What is tolerated.
    pub tolerance: Tolerance,
    /// How long something may be on its way.
    pub allowance: Duration,
    /// How long after the source's the target's document may come to be before it is late.
    pub late_after: Duration,
    /// Markets that are nobody's business here.
    pub exclude_markets: Vec<String>,
    /// The flows that owe something between these ends, by kind: whose ledger is asked.
    pub flows: Vec<(Kind, FlowName)>,
}

impl PairSetup {
    /// The sources, as people read them.
    pub fn named_sources(&self) -> String {
        self.sources.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }

    fn terms(&self, words: Words) -> Terms {
        Terms {
            kinds: self.kinds.clone(),
            tolerance: self.tolerance.clone(),
            allowance: self.allowance,
            late_after: self.late_after,
            late_since: None,
            exclude_markets: self.exclude_markets.clone(),
            shared: self.shared.clone(),
            buffered: self.buffered,
            parts_only: self.parts_only,
            short_most: None,
            unheard: BTreeMap::new(),
            in_transit: BTreeMap::new(),
            moving: BTreeSet::new(),
            unlisted: BTreeSet::new(),
            words,
            rates: selvedge_model::tax::rates::RateBook::default(),
        }
    }
}

/// What one turn came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Looked {
    /// Nothing is due.
    Idle,
    /// There is more to read.
    UnderWay,
    /// It is done.
    Done(ReconciliationId),
    /// A call did not come through: which, and how it was answered. What was read stays read.
    Failed(String),
}

/// A look that a person asked for.
#[derive(Clone, Debug)]
struct Asked {
    window: Interval,
    /// For the sake of these, which are told how it went.
    exceptions: BTreeSet<ExceptionId>,
}

/// Looks at both ends of every pair.
pub struct Reconciler {
    pub(crate) brand: Brand,
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) connections: BTreeMap<ConnectionName, Connection>,
    /// What is compared.
    pub pairs: Vec<PairSetup>,
    rests: Mutex<HashMap<(String, &'static str), Timestamp>>,
    /// Pairs that a person has asked to be looked at.
    asked: Mutex<BTreeMap<String, Asked>>,
    one_at_a_time: tokio::sync::Mutex<()>,
}

impl Reconciler {
    /// Puts it together; nothing is read yet. Kinds that an end cannot tell are left out of its pair.
    pub fn new(
        brand: Brand,
        store: Store,
        clock: Arc<dyn Clock>,
        connections: BTreeMap<ConnectionName, Connection>,
        mut pairs: Vec<PairSetup>,
    ) -> Self {
        for pair in &mut pairs {
            let told = |name: &ConnectionName, kind: Kind| {
                connections.get(name).is_some_and(|connection| match kind {
                    Kind::Stock => connection.stock_source.is_some() && !pair.places.is_empty(),
                    Kind::Product => goods::tells_items(connection),
                    kind => statements::tells(connection, kind),
                })
            };
            let both = |kind: &Kind| pair.sources.iter().any(|source| told(source, *kind)) && told(&pair.target, *kind);
            let kinds = pair.kinds.iter().copied().filter(both).collect();
            pair.kinds = kinds;
        }
        pairs.retain(|pair| !pair.kinds.is_empty());
        // What orders lack explains figures of stock: orders go first.
        pairs.sort_by_key(|pair| pair.kinds.contains(&Kind::Stock));
        Self {
            brand,
            store,
            clock,
            connections,
            pairs,
            rests: Mutex::default(),
            asked: Mutex::default(),
            one_at_a_time: tokio::sync::Mutex::default(),
        }
    }

    /// A few pages, or the verdicts, of whatever pair is due.
    ///
    /// # Errors
    /// The store's.
    pub async fn turn(&self) -> Result<Looked> {
        let now = self.clock.now();
        if let Some((pair, window)) = self.asked_for() {
            let looked = self.step(pair, ASKED, &window).await?;
            // One that does not come through is not tried again by itself: whoever asked sees it open and asks again.
            let how = match &looked {
                Looked::Done(_) => "Both ends were read, and were not seen to agree.".to_owned(),
                Looked::Failed(why) => {
                    format!("Both ends could not be read: {why}. Nothing was compared; ask again when that is mended.")
                }
                Looked::Idle | Looked::UnderWay => return Ok(looked),
            };
            // Asked for again meanwhile, for something that may have been mended after it was read: that look is still to come.
            let asked = {
                let mut all = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
                let is_this = all.get(&pair.name).is_some_and(|asked| asked.window == window);
                is_this.then(|| all.remove(&pair.name)).flatten()
            };
            if let Some(asked) = asked {
                self.tell(asked.exceptions, how).await?;
            }
            return Ok(looked);
        }
        // Nothing waits for a look that goes far back.
        let usual = self.pairs.iter().map(|pair| (pair, TIMER));
        for (pair, via) in usual.chain(self.pairs.iter().map(|pair| (pair, FAR))) {
            let (every, back) = if via == TIMER { (pair.every, pair.back) } else { (pair.far_every, pair.far_back) };
            // Figures have no past.
            let figures = pair.kinds.iter().all(|kind| matches!(kind, Kind::Stock | Kind::Product));
            let Some(every) = every.filter(|_| via == TIMER || !figures) else { continue };
            let rests = self.rests.lock().unwrap_or_else(PoisonError::into_inner).get(&(pair.name.clone(), via)).copied();
            if rests.is_some_and(|until| until > now) {
                continue;
            }
            let (brand, name) = (self.brand.clone(), pair.name.clone());
            let (under_way, last) = self
                .store
                .read(move |view| {
                    let last = view.last_reconciliation(&brand, &name, Some(via))?;
                    // The first far look comes when it is due after the first usual one: what was before us is another's work.
                    let last = if via == FAR && last.is_none() { view.first_reconciliation(&brand, &name, TIMER)? } else { last };
                    Ok((view.reconciliation_under_way(&brand, &name, via)?, last))
                })
                .await?;
            if via == FAR && last.is_none() && under_way.is_none() {
                continue;
            }
            let due = last.as_ref().and_then(|row| row.finished_at).map_or(now, |at| after(at, every));
            if under_way.is_none() && due > now {
                self.rest(pair, via, due);
                continue;
            }
            let window = Interval { from: before(now, back), to: now };
            let looked = self.step(pair, via, &window).await?;
            if let Looked::Failed(_) = looked {
                self.rest(pair, via, after(now, TROUBLE_REST));
            }
            return Ok(looked);
        }
        Ok(Looked::Idle)
    }

    /// Tells exceptions how the look went that was asked for their sake. One that closed by it says so itself.
    async fn tell(&self, exceptions: BTreeSet<ExceptionId>, how: String) -> Result<()> {
        let now = self.clock.now();
        self.store
            .write(move |tx| {
                for id in exceptions {
                    if tx.exception(id)?.open {
                        tx.tell_exception(id, EventKind::LookedAgain, "", &how, now)?;
                    }
                }
                Ok(())
            })
            .await
    }

    /// Has a pair looked at before its time, for the sake of an exception: over the window of its timer, and back to what is to be
    /// seen again. Whether there is such a pair.
    pub fn ask(&self, pair: &str, oldest: Option<Timestamp>, exception: ExceptionId) -> bool {
        let Some(pair) = self.pairs.iter().find(|one| one.name == pair) else { return false };
        let now = self.clock.now();
        let usual = before(now, pair.back);
        let mut window = fine(&Interval { from: oldest.map_or(usual, |at| at.min(usual)), to: now });
        let mut all = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let mut exceptions = BTreeSet::from([exception]);
        if let Some(before) = all.remove(&pair.name) {
            exceptions.extend(before.exceptions);
            window.from = window.from.min(before.window.from);
        }
        all.insert(pair.name.clone(), Asked { window, exceptions });
        true
    }

    /// Whether a look that somebody asked for is still to come.
    pub fn is_asked(&self, pair: &str) -> bool {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).contains_key(pair)
    }

    fn asked_for(&self) -> Option<(&PairSetup, Interval)> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        self.pairs.iter().find_map(|pair| Some((pair, asked.get(&pair.name)?.window)))
    }

    /// Calls made so far, per connection.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        let calls = |connection: &Connection| connection.traffic.stats().calls.iter().map(|(_, count)| count).sum();
        self.connections.iter().map(|(name, connection)| (name.to_string(), calls(connection))).collect()
    }

    /// Where it keeps what it found.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Whose it is.
    pub fn brand(&self) -> &Brand {
        &self.brand
    }

    fn rest(&self, pair: &PairSetup, via: &'static str, until: Timestamp) {
        self.rests.lock().unwrap_or_else(PoisonError::into_inner).insert((pair.name.clone(), via), until);
    }

    /// Looks at one pair over a window, from beginning to end; a look for the same reason that was broken off goes on.
    ///
    /// # Errors
    /// The store's.
    pub async fn look(
        &self,
        pair: &PairSetup,
        via: &str,
        window: &Interval,
    ) -> Result<std::result::Result<ReconciliationId, String>> {
        let window = fine(window);
        loop {
            match self.step(pair, via, &window).await? {
                Looked::Done(id) => return Ok(Ok(id)),
                Looked::Failed(why) => return Ok(Err(why)),
                Looked::UnderWay | Looked::Idle => {}
            }
        }
    }

    /// One step of a look: a page, or the verdicts when everything was read.
    async fn step(&self, pair: &PairSetup, via: &str, window: &Interval) -> Result<Looked> {
        // Two at once would read the same pages twice.
        let _one_at_a_time = self.one_at_a_time.lock().await;
        let run = self.under_way(pair, via, window).await?;
        match self.read(pair, &run).await? {
            Err(fault) => Ok(Looked::Failed(told(pair, &fault))),
            Ok(false) => Ok(Looked::UnderWay),
            Ok(true) => {
                let settled = self.settle(pair, &run).await?;
                Ok(settled.map_or_else(|fault| Looked::Failed(told(pair, &fault)), |()| Looked::Done(run.id)))
            }
        }
    }

    /// The look that is under way, or a new one.
    async fn under_way(&self, pair: &PairSetup, via: &str, window: &Interval) -> Result<ReconciliationRow> {
        let now = self.clock.now();
        let (brand, name, reason) = (self.brand.clone(), pair.name.clone(), via.to_owned());
        let begun = self.store.read(move |view| view.reconciliation_under_way(&brand, &name, &reason)).await?;
        match begun {
            // The window of a timer moves on while it is read; that of a period does not.
            Some(row)
                if (via == FAR || after(row.started_at, LOOK_MOST) > now)
                    && (is_timed(via) || is_same(&row.window, window, via)) =>
            {
                return Ok(row);
            }
            Some(row) => self.store.write(move |tx| tx.drop_reconciliation(row.id, now)).await?,
            None => {}
        }
        let new = NewReconciliation {
            pair: pair.name.clone(),
            sources: pair.sources.clone(),
            target: pair.target.clone(),
            via: via.to_owned(),
            window: *window,
            read: Interval { from: before(window.from, pair.around), to: after(window.to, pair.around) },
        };
        let brand = self.brand.clone();
        let id = self.store.write(move |tx| tx.begin_reconciliation(&brand, &new, now)).await?;
        let brand = self.brand.clone();
        let row = self.store.read(move |view| view.reconciliation(&brand, id)).await?;
        row.ok_or_else(|| selvedge_store::StoreError::Absent(id.to_string()))
    }
}

/// As finely as the store keeps it: a window that is never found again would be begun for ever.
fn fine(window: &Interval) -> Interval {
    let fine = |at: Timestamp| Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at);
    Interval { from: fine(window.from), to: fine(window.to) }
}

/// Whether a look that was broken off is gone on with: the window of a period is exact, that of a look on demand moves with the clock.
fn is_same(begun: &Interval, wanted: &Interval, via: &str) -> bool {
    let near = |one: Timestamp, other: Timestamp| one.duration_since(other).unsigned_abs() <= RESUMED_WITHIN;
    let moves = matches!(via, "demand" | "audit");
    begun == wanted || moves && near(begun.from, wanted.from) && near(begun.to, wanted.to)
}

fn told(pair: &PairSetup, fault: &Fault) -> String {
    format!("{} and {}: {fault}", pair.named_sources(), pair.target)
}
