//! The source's levels, kept as new as its limits allow.
//!
//! Three ways in, one way on. A push only says which items moved: they are read at once. A poll asks for
//! what changed since what is proven, reaching a little into it. A snapshot reads one place whole, finds
//! what neither brought, and is the only way that says that an item is gone. All calls of a flow follow
//! each other, so a level that was read earlier never comes in after one that was read later.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use selvedge_connector::{Cursor, Fault, LevelPage, Priority, Wanted};
use selvedge_model::{
    ExternalId, Interval, Kind, LocationId, Problem, Sku, StockLevel,
    stock::{guard, pace},
};
use selvedge_store::{
    Result,
    intervals::ProvenRow,
    stock::{Merged, Of},
};

use super::Stock;
use crate::{
    backoff::{after, before},
    engine::Engine,
};

/// Pages of a snapshot that one turn reads: pushes do not wait for a snapshot.
const PAGES_PER_TURN: usize = 4;
/// Levels merged in one transaction.
const MERGE_BATCH: usize = 500;
/// Levels read in one question to the store.
const LOOK_BATCH: usize = 2_000;
/// Pages of one poll; more has changed than a poll is for, and a snapshot will tell.
const POLL_PAGES_MAX: usize = 200;
/// How often kits, and where markets draw from, are read again.
const STRUCTURE_EVERY: Duration = Duration::from_secs(3600);
/// How soon they are asked for again when that failed.
const STRUCTURE_AGAIN: Duration = Duration::from_secs(10);
/// An item with no more units than this that moves is worth a quicker poll.
const SCARCE: i64 = 50;
/// How long a way in rests after a fault.
const REST_AFTER_FAULT: Duration = Duration::from_secs(2);
/// How long the sums over the range of a place are used before they are added up again.
const RANGE_FOR: Duration = Duration::from_secs(60);
/// How soon a place is read whole again after a suspicious snapshot.
const SUSPICIOUS_AGAIN: Duration = Duration::from_secs(600);

/// How far a snapshot of one place has come.
#[derive(Default)]
pub(crate) struct Snapshot {
    place: Option<LocationId>,
    began: Option<Timestamp>,
    cursor: Option<Cursor>,
    levels: Vec<StockLevel>,
    /// Items that it had and that could not be read.
    unread: BTreeSet<ExternalId>,
}

impl Snapshot {
    /// Whether a place is being read.
    pub fn is_under_way(&self) -> bool {
        self.place.is_some()
    }
}

/// Which way a reading came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Via {
    Push,
    Poll,
    Snapshot,
}

impl Via {
    const fn word(self) -> &'static str {
        match self {
            Via::Push => "push",
            Via::Poll => "poll",
            Via::Snapshot => "snapshot",
        }
    }
}

impl Engine {
    /// Every way in that is due, once. Returns how many levels were news.
    pub(crate) async fn read_stock(&self, stock: &Stock) -> Result<usize> {
        if self.paused(&stock.setup.from) {
            return Ok(0);
        }
        let mut snapshot = stock.reading.lock().await;
        let mut news = self.take_accepted(stock).await?;
        news += self.read_pushed(stock).await?;
        news += self.poll_stock(stock).await?;
        self.read_structure(stock).await?;
        news += self.snapshot(stock, &mut snapshot).await?;
        if news > 0 {
            self.wake_stock();
        }
        Ok(news)
    }

    /// When a way in of this flow falls due, as far as it is known.
    pub(crate) fn stock_reading_due(&self, stock: &Stock) -> Option<Timestamp> {
        let memory = stock.memory();
        memory.next_poll.into_iter().chain(memory.next_snapshot).min()
    }

    async fn reading_stock_failed(&self, stock: &Stock, way: &'static str, fault: &Fault) -> Result<Duration> {
        tracing::info!(flow = %stock.setup.name, way, fault = fault.word(), detail = %fault, "stock could not be read; it will be repeated");
        self.stock_goes_badly(stock, way, &stock.setup.from, fault).await?;
        Ok(match fault {
            Fault::Throttled { wait: Some(wait), .. } => *wait,
            _ => REST_AFTER_FAULT,
        })
    }

    /// The items that a push told of.
    async fn read_pushed(&self, stock: &Stock) -> Result<usize> {
        let (brand, from, most) = (self.brand().clone(), stock.setup.from.clone(), stock.source.items_max());
        let notices = self.store().read(move |view| view.notices_of(&brand, &from, Kind::Stock, most)).await?;
        // Before the first snapshot of a place there is nothing that a push could change there.
        let ready: Vec<LocationId> = stock.memory().ready.iter().cloned().collect();
        if notices.is_empty() || ready.is_empty() {
            return Ok(0);
        }
        let items: Vec<ExternalId> = notices.iter().map(|notice| notice.external_id.clone()).collect();
        let wanted = Wanted::Items(&items);
        let page = match self.levels(stock, wanted, &ready, None, Priority::Stock).await? {
            Ok(page) => page,
            Err(_) => return Ok(0),
        };
        let heard = notices.iter().map(|notice| notice.heard_at).min();
        let news = self.take_in(stock, page.levels, Via::Push, heard).await?;
        let rows: Vec<i64> = notices.iter().map(|notice| notice.id).collect();
        self.store().write(move |tx| tx.notices_done(&rows)).await?;
        Ok(news)
    }

    /// One call, with its faults and its unreadable rows seen to.
    async fn levels(
        &self,
        stock: &Stock,
        wanted: Wanted<'_>,
        places: &[LocationId],
        page: Option<&Cursor>,
        priority: Priority,
    ) -> Result<std::result::Result<LevelPage, Duration>> {
        let way = match wanted {
            Wanted::Everything => "levels",
            Wanted::Since(_) => "changes",
            Wanted::Items(_) => "items",
        };
        match stock.source.levels(wanted, places, page, priority).await {
            Ok(page) => {
                self.note_well(&stock.setup.from).await?;
                self.stock_goes_well(stock, way).await?;
                self.tell_unread(stock, &stock.setup.from, &page).await?;
                if !page.unread.is_empty() {
                    // Nothing proves them from here on, until they can be read.
                    let (of, now) = (stock.of.clone(), self.now());
                    let items: Vec<ExternalId> = page.unread.iter().map(|(item, _)| item.clone()).collect();
                    self.store().write(move |tx| tx.stock_doubt_items(&of, &items, now)).await?;
                }
                Ok(Ok(page))
            }
            Err(fault) => Ok(Err(self.reading_stock_failed(stock, way, &fault).await?)),
        }
    }

    /// Rows that could not be read are one exception per item.
    pub(crate) async fn tell_unread(&self, stock: &Stock, at: &selvedge_model::ConnectionName, page: &LevelPage) -> Result<()> {
        if page.unread.is_empty() {
            return Ok(());
        }
        let (brand, flow, now) = (self.brand().clone(), stock.setup.name.clone(), self.now());
        let problems: Vec<Problem> =
            page.unread.iter().map(|(item, problem)| problem.clone().cause(format!("{at}:{item}"))).collect();
        self.store()
            .write(move |tx| {
                for problem in &problems {
                    tx.raise_standing(&brand, &flow, problem, now)?;
                }
                Ok(())
            })
            .await
    }

    /// What changed since what is proven.
    async fn poll_stock(&self, stock: &Stock) -> Result<usize> {
        let now = self.now();
        if stock.memory().next_poll.is_some_and(|at| at > now) {
            return Ok(0);
        }
        let of = stock.of.clone();
        let proven = self.store().read(move |view| view.stock_locations(&of)).await?;
        let known: BTreeMap<&LocationId, Timestamp> =
            proven.iter().filter_map(|row| Some((&row.location, row.proven_at?))).collect();
        let places: Vec<LocationId> = stock.locations().into_iter().filter(|place| known.contains_key(place)).collect();
        let Some(since) = places.iter().filter_map(|place| known.get(place)).min() else {
            // Nothing is known yet: the first snapshots come first.
            return Ok(0);
        };
        let from = before(*since, stock.setup.poll_overlap);
        let (mut cursor, mut levels) = (None, Vec::new());
        for _ in 0..POLL_PAGES_MAX {
            match self.levels(stock, Wanted::Since(from), &places, cursor.as_ref(), Priority::Stock).await? {
                Ok(page) => {
                    levels.extend(page.levels);
                    cursor = page.next;
                    if cursor.is_none() {
                        break;
                    }
                }
                Err(rest) => {
                    let throttled = rest > REST_AFTER_FAULT;
                    self.poll_next(stock, pace::Seen { throttled, failed: !throttled, ..pace::Seen::default() }, Some(rest));
                    return Ok(0);
                }
            }
        }
        let whole = cursor.is_none();
        let took = Duration::try_from(self.now().duration_since(now)).unwrap_or_default();
        let hot = levels.iter().filter(|level| level.free() <= SCARCE && level.changed_at.is_none_or(|at| at > *since)).count();
        let news = self.take_in(stock, levels, Via::Poll, Some(*since)).await?;
        if whole {
            let (of, brand, connection) = (stock.of.clone(), self.brand().clone(), stock.setup.from.clone());
            let interval = Interval { from, to: now };
            self.store()
                .write(move |tx| {
                    for place in &places {
                        tx.stock_proven(&of, place, now, None)?;
                    }
                    let row = ProvenRow { via: "poll".to_owned(), interval, seen: news as u64, news: news as u64, at: now };
                    tx.prove(&brand, &connection, Kind::Stock, &row)
                })
                .await?;
            self.forget_shown_demand(stock).await?;
        }
        let hot_changes = hot.min(news) as u64;
        self.poll_next(stock, pace::Seen { changes: news as u64, hot_changes, took, ..pace::Seen::default() }, None);
        Ok(news)
    }

    /// When the next poll is due.
    fn poll_next(&self, stock: &Stock, seen: pace::Seen, at_least: Option<Duration>) {
        let now = self.now();
        let mut memory = stock.memory();
        let pace = &stock.setup.pace;
        let (wait, state) = pace.next(memory.pace.unwrap_or_else(|| pace.start()), seen, pace.in_peak(now));
        memory.pace = Some(state);
        memory.next_poll = Some(after(now, wait.max(at_least.unwrap_or_default())));
    }

    /// Kits, and from which places the target's markets draw.
    async fn read_structure(&self, stock: &Stock) -> Result<()> {
        let of = stock.of.clone();
        let row = self.store().read(move |view| view.stock_flow(&of)).await?;
        let now = self.now();
        let rests = stock.memory().next_structure.is_some_and(|at| at > now);
        if rests || row.kits_at.is_some_and(|at| after(at, STRUCTURE_EVERY) > now) || self.paused(&stock.setup.to) {
            return Ok(());
        }
        stock.memory().next_structure = Some(after(now, STRUCTURE_AGAIN));
        let kits = match stock.source.kits().await {
            // Rows that a role may not see are left out without a word: kits that are gone all at once are not believed.
            Ok(kits) if kits.is_empty() && self.has_kits(stock).await? => {
                tracing::warn!(flow = %stock.setup.name, "the source tells of no kits any more; those that are known stay");
                None
            }
            Ok(kits) => Some(kits),
            // A system without kits has nothing to ask for; one that had some is not believed so easily.
            Err(fault @ (Fault::Refused { .. } | Fault::Unexpected { .. })) => {
                if self.has_kits(stock).await? {
                    return self.reading_stock_failed(stock, "kits", &fault).await.map(|_| ());
                }
                tracing::warn!(flow = %stock.setup.name, detail = %fault, "no kits are told; if there are any, they have no stock");
                Some(Vec::new())
            }
            Err(fault) => return self.reading_stock_failed(stock, "kits", &fault).await.map(|_| ()),
        };
        self.stock_goes_well(stock, "kits").await?;
        // What sells a kit must not wait for the other side.
        let (of, targets) = (stock.of.clone(), stock.targets());
        self.store()
            .write(move |tx| {
                if let Some(kits) = kits
                    && tx.stock_keep_kits(&of, &kits)?
                {
                    for place in &targets {
                        tx.stock_all_due(&of, place, "listed", now)?;
                    }
                }
                Ok(())
            })
            .await?;
        let draws = match stock.sink.draws().await {
            Ok(draws) => {
                self.stock_goes_well(stock, "draws").await?;
                draws
            }
            Err(fault) => return self.stock_goes_badly(stock, "draws", &stock.setup.to, &fault).await,
        };
        let of = stock.of.clone();
        self.store()
            .write(move |tx| {
                let mut row = tx.stock_flow(&of)?;
                row.kits_at = Some(now);
                row.draws = draws;
                tx.stock_keep_flow(&of, &row)
            })
            .await
    }

    async fn has_kits(&self, stock: &Stock) -> Result<bool> {
        let of = stock.of.clone();
        self.store().read(move |view| view.stock_has_kits(&of)).await
    }

    /// A few pages of the snapshot that is due.
    async fn snapshot(&self, stock: &Stock, snapshot: &mut Snapshot) -> Result<usize> {
        let now = self.now();
        if snapshot.place.is_none() {
            if stock.memory().next_snapshot.is_some_and(|at| at > now) {
                return Ok(0);
            }
            let of = stock.of.clone();
            let known = self.store().read(move |view| view.stock_locations(&of)).await?;
            let last = |place: &LocationId| known.iter().find(|row| row.location == *place).and_then(|row| row.snapshot_at);
            {
                let mut memory = stock.memory();
                memory.ready = known.iter().filter(|row| row.proven_at.is_some()).map(|row| row.location.clone()).collect();
            }
            // One that a person has to look at first is read again in a while, and keeps no other from its turn.
            let again = stock.memory().suspicious_until.clone();
            let due_at = |place: &LocationId| {
                let next = last(place).map(|at| after(at, stock.setup.snapshot_every));
                next.into_iter().chain(again.get(place).copied()).max()
            };
            let due = stock.locations().into_iter().map(|place| (due_at(&place), place)).min();
            let Some((at, place)) = due else { return Ok(0) };
            if let Some(at) = at.filter(|at| *at > now) {
                stock.memory().next_snapshot = Some(at);
                return Ok(0);
            }
            *snapshot = Snapshot { place: Some(place), began: Some(now), ..Snapshot::default() };
        }
        let (Some(place), Some(began)) = (snapshot.place.clone(), snapshot.began) else { return Ok(0) };
        for _ in 0..PAGES_PER_TURN {
            let only = std::slice::from_ref(&place);
            let page = match self.levels(stock, Wanted::Everything, only, snapshot.cursor.as_ref(), Priority::Stock).await? {
                Ok(page) => page,
                Err(rest) => {
                    stock.memory().next_snapshot = Some(after(self.now(), rest));
                    return Ok(0);
                }
            };
            snapshot.levels.extend(page.levels);
            snapshot.unread.extend(page.unread.into_iter().map(|(item, _)| item));
            match page.next {
                Some(next) if snapshot.cursor.as_ref() != Some(&next) => snapshot.cursor = Some(next),
                _ => {
                    let read = std::mem::take(snapshot);
                    return self.snapshot_whole(stock, &place, began, read).await;
                }
            }
        }
        // More pages; other work gets a turn in between.
        Ok(1)
    }

    async fn snapshot_whole(
        &self,
        stock: &Stock,
        place: &LocationId,
        began: Timestamp,
        Snapshot { levels, unread, .. }: Snapshot,
    ) -> Result<usize> {
        let of = stock.of.clone();
        let rows = levels.len() as u64;
        let named: BTreeSet<&Sku> = levels.iter().map(|level| &level.sku).collect();
        let mut gone = Vec::new();
        let mut last = String::new();
        loop {
            let (of, location, from) = (of.clone(), place.clone(), last.clone());
            let known = self.store().read(move |view| view.stock_levels_at(&of, &location, &from, LOOK_BATCH)).await?;
            let Some(end) = known.last() else { break };
            last.clone_from(&end.level.sku.0);
            let named = |level: &StockLevel| named.contains(&level.sku) || unread.contains(&level.item);
            let missing = known.into_iter().filter(|row| !named(&row.level) && row.level.as_of < began);
            // An item that a place no longer mentions is not kept there any more.
            gone.extend(missing.filter(|row| row.level.on_hand != 0 || row.level.free() != 0).map(|row| StockLevel {
                as_of: began,
                on_hand: 0,
                committed: 0,
                back_ordered: 0,
                pending_approval: 0,
                available: 0,
                incoming: 0,
                changed_at: None,
                ..row.level
            }));
        }
        let taken = self.take_in_whole(stock, place, levels, gone, began).await?;
        let first = {
            let mut memory = stock.memory();
            memory.next_snapshot = None;
            taken.is_some() && memory.ready.insert(place.clone())
        };
        let Some(news) = taken else { return Ok(1) };
        let (place, target) = (place.clone(), stock.setup.places.get(place).cloned());
        let (places, from) = (stock.locations(), stock.setup.from.clone());
        self.store()
            .write(move |tx| {
                tx.stock_proven(&of, &place, began, Some(rows))?;
                // What was unreadable and was not since every place was read whole, is over.
                let read: BTreeMap<LocationId, Option<Timestamp>> =
                    tx.stock_locations(&of)?.into_iter().map(|row| (row.location, row.snapshot_at)).collect();
                let since = places.iter().map(|place| read.get(place).copied().flatten()).min().flatten();
                if let Some(since) = since {
                    let causes = format!("stock.unreadable:{from}:");
                    tx.settle_unseen(&of.brand, &of.flow, &causes, since, "everything was read whole without it", began)?;
                }
                if let Some(target) = target.filter(|_| first) {
                    tx.stock_all_due(&of, &target, "listed", began)?;
                }
                Ok(())
            })
            .await?;
        self.forget_shown_demand(stock).await?;
        // Another place may be due.
        Ok(news.max(1))
    }

    /// Takes a whole snapshot in if it is believed; `None` if a person has to look first.
    async fn take_in_whole(
        &self,
        stock: &Stock,
        place: &LocationId,
        levels: Vec<StockLevel>,
        gone: Vec<StockLevel>,
        began: Timestamp,
    ) -> Result<Option<usize>> {
        let verdict = self.judge(stock, place, &levels, Some((&gone, began))).await?;
        let mut all = levels;
        all.extend(gone);
        match verdict {
            guard::Verdict::Fine => {
                let cause = guard_cause(place);
                let (brand, of, at, now) = (self.brand().clone(), stock.of.clone(), place.clone(), self.now());
                self.store()
                    .write(move |tx| {
                        tx.settle_standing(&brand, &cause, "a later reading was believable", now)?;
                        tx.stock_forget_held_at(&of, &at)
                    })
                    .await?;
                self.merge(stock, all, Via::Snapshot, Some(began)).await.map(Some)
            }
            guard::Verdict::Suspicious(findings) => {
                self.hold_reading(stock, place, all, Via::Snapshot, &findings).await?;
                // Not proven, but read: the next one has its time.
                let again = after(self.now(), stock.setup.snapshot_every.min(SUSPICIOUS_AGAIN));
                stock.memory().suspicious_until.insert(place.clone(), again);
                Ok(None)
            }
        }
    }

    /// Takes in what a push or a poll brought, place by place.
    async fn take_in(&self, stock: &Stock, levels: Vec<StockLevel>, via: Via, wrong_since: Option<Timestamp>) -> Result<usize> {
        // Most of what a poll brings lies in its overlap and is known.
        let of = stock.of.clone();
        let levels = self
            .store()
            .read(move |view| {
                let mut news = Vec::new();
                for level in levels {
                    if view.stock_level_is_news(&of, &level)? {
                        news.push(level);
                    }
                }
                Ok(news)
            })
            .await?;
        let mut by_place: BTreeMap<LocationId, Vec<StockLevel>> = BTreeMap::new();
        for level in levels {
            by_place.entry(level.location.clone()).or_default().push(level);
        }
        let mut news = 0;
        for (place, levels) in by_place {
            match self.judge(stock, &place, &levels, None).await? {
                guard::Verdict::Fine => news += self.merge(stock, levels, via, wrong_since).await?,
                guard::Verdict::Suspicious(findings) => self.hold_reading(stock, &place, levels, via, &findings).await?,
            }
        }
        Ok(news)
    }

    /// What the guard says to a reading: of a part, or of everything, with the items that it lacks and when it began.
    async fn judge(
        &self,
        stock: &Stock,
        place: &LocationId,
        levels: &[StockLevel],
        whole: Option<(&[StockLevel], Timestamp)>,
    ) -> Result<guard::Verdict> {
        let Some(target) = stock.setup.places.get(place).cloned() else { return Ok(guard::Verdict::Fine) };
        let now = self.now();
        let known =
            stock.memory().ranges.get(place).filter(|(_, until)| *until > now && whole.is_none()).map(|(range, _)| range.clone());
        let before = match known {
            Some(range) => range,
            None => {
                let (of, location, target) = (stock.of.clone(), place.clone(), target.clone());
                let range = self.store().read(move |view| view.stock_range(&of, &location, &target)).await?;
                stock.memory().ranges.insert(place.clone(), (range.clone(), after(now, RANGE_FOR)));
                range
            }
        };
        let mut rows = Vec::with_capacity(levels.len());
        let lacking = whole.map_or(&[][..], |(gone, _)| gone);
        for (chunk, there) in levels.chunks(LOOK_BATCH).map(|c| (c, true)).chain(lacking.chunks(LOOK_BATCH).map(|c| (c, false))) {
            let (of, target) = (stock.of.clone(), target.clone());
            let chunk: Vec<(LocationId, Sku, i64, Option<selvedge_model::Money>, Timestamp)> = chunk
                .iter()
                .map(|level| (level.location.clone(), level.sku.clone(), level.free(), level.unit_value, level.as_of))
                .collect();
            let looked = self
                .store()
                .read(move |view| {
                    let mut rows = Vec::with_capacity(chunk.len());
                    for (location, sku, free, value, as_of) in chunk {
                        let known = view.stock_level_of(&of, &location, &sku, now)?;
                        let figure = view.stock_figure(&of, &target, &sku)?;
                        // Before the source is known, what the target shows is what would be moved.
                        let before = known.as_ref().map(|row| row.level.free()).or(figure.as_ref().map(|f| f.shown.free()));
                        let own = match &known {
                            Some(row) => view.stock_own_units(&of, &sku, row.level.as_of, as_of)?,
                            None => 0,
                        };
                        let value = figure.and_then(|figure| figure.value).or(value);
                        rows.push((sku, before, there.then_some(free), own, value));
                    }
                    Ok(rows)
                })
                .await?;
            rows.extend(looked);
        }
        let reading = guard::Reading {
            whole: whole.is_some(),
            as_of: whole.map(|(_, began)| began).or(levels.iter().map(|level| level.as_of).min()).unwrap_or(now),
            now,
        };
        let rows = rows.iter().map(|(sku, before, after, explained, unit_value)| guard::Row {
            sku,
            before: *before,
            after: *after,
            explained: *explained,
            unit_value: *unit_value,
        });
        Ok(guard::judge(&stock.setup.guard, &before, reading, rows))
    }

    /// Takes levels into force.
    async fn merge(&self, stock: &Stock, levels: Vec<StockLevel>, via: Via, wrong_since: Option<Timestamp>) -> Result<usize> {
        let mut news = 0;
        let mut levels = levels;
        while !levels.is_empty() {
            let rest = levels.split_off(levels.len().min(MERGE_BATCH));
            let chunk = std::mem::replace(&mut levels, rest);
            let (of, places, now) = (stock.of.clone(), stock.setup.places.clone(), self.now());
            news += self.store().write(move |tx| merge(tx, &of, &places, &chunk, via, wrong_since, now)).await?;
        }
        Ok(news)
    }

    /// Keeps a reading back and tells a person why.
    async fn hold_reading(
        &self,
        stock: &Stock,
        place: &LocationId,
        levels: Vec<StockLevel>,
        via: Via,
        findings: &[guard::Finding],
    ) -> Result<()> {
        let problem = suspicious(place, via, levels.len(), findings);
        tracing::warn!(flow = %stock.setup.name, %place, message = problem.message, "a reading of stock is kept back");
        let (brand, flow, of, now) = (self.brand().clone(), stock.setup.name.clone(), stock.of.clone(), self.now());
        let exception = self.store().write(move |tx| tx.raise_standing(&brand, &flow, &problem, now)).await?;
        for chunk in levels.chunks(MERGE_BATCH) {
            let (of, chunk) = (of.clone(), chunk.to_vec());
            self.store()
                .write(move |tx| {
                    for level in &chunk {
                        // What does not move is no news, held or not.
                        let known = tx.stock_level_of(&of, &level.location, &level.sku, level.as_of)?;
                        if known.is_none_or(|known| known.level.free() != level.free()) {
                            tx.stock_hold_level(&of, level, exception)?;
                        }
                    }
                    Ok(())
                })
                .await?;
        }
        Ok(())
    }

    /// What a person let through.
    async fn take_accepted(&self, stock: &Stock) -> Result<usize> {
        let mut taken = 0;
        // All of them, before another reading can take their place.
        loop {
            match self.take_accepted_batch(stock).await? {
                0 => return Ok(taken),
                count => taken += count,
            }
        }
    }

    async fn take_accepted_batch(&self, stock: &Stock) -> Result<usize> {
        let of = stock.of.clone();
        let levels = self.store().read(move |view| view.stock_accepted_levels(&of, MERGE_BATCH)).await?;
        if levels.is_empty() {
            return Ok(0);
        }
        let (of, places, now) = (stock.of.clone(), stock.setup.places.clone(), self.now());
        let count = levels.len();
        self.store()
            .write(move |tx| {
                let mut accepted: BTreeMap<LocationId, u64> = BTreeMap::new();
                for level in &levels {
                    *accepted.entry(level.location.clone()).or_default() += 1;
                }
                merge(tx, &of, &places, &levels, Via::Snapshot, None, now)?;
                // What is no news was not merged, and need not be kept any more either.
                for level in &levels {
                    tx.stock_forget_held(&of, &level.location, &level.sku)?;
                }
                for place in accepted.keys() {
                    if tx.stock_held_at(&of, place)? == 0 {
                        tx.settle_standing(&of.brand, &guard_cause(place), "a person let it through", now)?;
                        if tx.stock_proven_at(&of, place)?.is_none() {
                            let rows = tx.stock_level_count(&of, place)?;
                            let as_of = levels.iter().map(|level| level.as_of).min().unwrap_or(now);
                            tx.stock_proven(&of, place, as_of, Some(rows))?;
                            if let Some(target) = places.get(place) {
                                tx.stock_all_due(&of, target, "listed", now)?;
                            }
                        }
                    }
                }
                Ok(())
            })
            .await?;
        Ok(count)
    }

    /// Orders that every place of the source shows need not be counted any more.
    async fn forget_shown_demand(&self, stock: &Stock) -> Result<()> {
        let (of, places, lag, now) = (stock.of.clone(), stock.locations(), stock.source.commit_lag(), self.now());
        self.store()
            .write(move |tx| {
                let known = tx.stock_locations(&of)?;
                let proven = |place: &LocationId| known.iter().find(|row| row.location == *place).and_then(|row| row.proven_at);
                let all: Option<Vec<Timestamp>> = places.iter().map(proven).collect();
                if let Some(at) = all.and_then(|all| all.into_iter().min()) {
                    tx.stock_demand_shown(&of, before(at, lag), now)?;
                }
                Ok(())
            })
            .await
    }
}

/// The root cause of a suspicious reading of a place.
pub(crate) fn guard_cause(place: &LocationId) -> String {
    format!("stock.guard:{place}")
}

fn suspicious(place: &LocationId, via: Via, rows: usize, findings: &[guard::Finding]) -> Problem {
    let said: Vec<String> = findings.iter().map(ToString::to_string).collect();
    Problem::new(
        "stock.guard",
        format!("places.{place}"),
        format!("a {} of {rows} items at {place} is kept back: {}", via.word(), said.join("; ")),
        "See the rows below. Release this if it is true; otherwise dismiss it and see to the source. Everything else goes on.",
    )
    .cause(place.as_str())
}

#[allow(clippy::too_many_arguments, reason = "one reading has so many sides")]
fn merge(
    tx: &selvedge_store::Tx<'_>,
    of: &Of,
    places: &BTreeMap<LocationId, LocationId>,
    levels: &[StockLevel],
    via: Via,
    wrong_since: Option<Timestamp>,
    now: Timestamp,
) -> Result<usize> {
    let mut news = 0;
    let mut proven: BTreeMap<&LocationId, Option<Timestamp>> = BTreeMap::new();
    for level in levels {
        let at = match proven.get(&level.location) {
            Some(at) => *at,
            None => {
                let at = tx.stock_proven_at(of, &level.location)?;
                proven.insert(&level.location, at);
                at
            }
        };
        // Until it was proven, the figure was right; the source's own word on when it changed may be nearer.
        let since = level.changed_at.or(wrong_since).unwrap_or(now).max(at.unwrap_or(level.as_of)).min(now);
        let merged = tx.stock_level(of, level, via.word(), at, places.get(&level.location), since)?;
        news += usize::from(matches!(merged, Merged::News(_)));
    }
    Ok(news)
}
