//! The ledger: per (size, warehouse) what is there, what is promised and what is wanted in vain; per line its share of it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::data::{LineKind, Order};

use super::Figure;

/// What becomes of units that an order gives back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goods {
    /// They are free again where they lie.
    #[default]
    Release,
    /// They are gone: damaged or lost.
    Remove,
    /// They go to the warehouse at this index.
    Send(u32),
}

/// One size in one warehouse, in units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// On the shelf.
    pub physical: i64,
    /// Of these, promised to orders.
    pub allocated: i64,
    /// Ordered and not allocated.
    pub demand: i64,
    /// The line of the last stock change that brought units: its id and how many.
    pub delivery: (i32, i64),
}

impl Cell {
    /// Free to allocate. Never below nought.
    pub fn free(&self) -> i64 {
        self.physical - self.allocated
    }

    /// Whether nothing ever happened here that can still be seen.
    pub fn is_blank(&self) -> bool {
        *self == Cell::default()
    }
}

/// How an order line stands with the stock, in units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    order: u32,
    spot: u32,
    /// Promised to it.
    pub allocated: i32,
    /// Wanted in vain so far.
    pub waiting: i32,
    /// Sent.
    pub shipped: i32,
}

/// One line of a stock change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Centra's id.
    pub id: i32,
    /// By how much the physical units changed; below nought when they became fewer.
    pub units: i64,
    /// Free to allocate when the change was done.
    pub free: i64,
}

/// A stock change: what one mutation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockChange {
    /// Centra's id.
    pub id: i32,
    /// Why, in the words of whoever did it.
    pub description: String,
    /// The rows that changed something.
    pub lines: Vec<Delivered>,
}

/// A unit of work that an order line asks of the warehouse of its market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// The line's id.
    pub line: i32,
    /// Index of the item.
    pub item: u32,
    /// Units.
    pub units: i32,
}

/// What an order wants: its products and the parts of its bundles; not the bundles themselves, nor gift certificates.
pub fn wants(order: &Order) -> impl Iterator<Item = Want> + '_ {
    order.lines.iter().filter_map(|line| match line.kind {
        LineKind::Product | LineKind::BundleItem(_) => Some(Want { line: line.id, item: line.item?, units: line.ordered.max(0) }),
        LineKind::Bundle | LineKind::GiftCertificate => None,
    })
}

/// The most stock changes that can still be read; older ones are forgotten.
const CHANGES_MAX: usize = 1_000;

/// The ledger of the instance.
#[derive(Debug)]
pub struct Ledger {
    warehouses: u32,
    cells: Vec<Cell>,
    shares: HashMap<i32, Share>,
    /// Lines with waiting units by spot, oldest order first.
    waiting: HashMap<u32, BTreeSet<(u32, i32)>>,
    changes: VecDeque<StockChange>,
    last_change: i32,
    last_line: i32,
    demand: i64,
    lost_orders: u64,
    lost_units: BTreeMap<u32, u64>,
    /// Whether units that become free go to those who wait.
    pub fill: bool,
}

impl Ledger {
    /// Whether any warehouse keeps anything.
    pub fn has_any(&self) -> bool {
        self.cells.iter().any(|cell| cell.physical > 0)
    }

    /// An empty ledger of so many items in so many warehouses.
    pub fn new(items: usize, warehouses: usize) -> Ledger {
        Ledger {
            warehouses: u32::try_from(warehouses).unwrap_or(u32::MAX),
            cells: vec![Cell::default(); items.saturating_mul(warehouses)],
            shares: HashMap::new(),
            waiting: HashMap::new(),
            changes: VecDeque::new(),
            last_change: 0,
            last_line: 0,
            demand: 0,
            lost_orders: 0,
            lost_units: BTreeMap::new(),
            fill: true,
        }
    }

    fn spot(&self, item: u32, warehouse: u32) -> u32 {
        item.saturating_mul(self.warehouses).saturating_add(warehouse)
    }

    fn at(&self, spot: u32) -> Cell {
        self.cells.get(spot as usize).copied().unwrap_or_default()
    }

    fn at_mut(&mut self, spot: u32, change: impl FnOnce(&mut Cell)) {
        if let Some(cell) = self.cells.get_mut(spot as usize) {
            self.demand -= cell.demand;
            change(cell);
            self.demand += cell.demand;
        }
    }

    /// Makes room for one more item, at the end.
    pub fn grow(&mut self) {
        let room = self.cells.len().saturating_add(self.warehouses as usize);
        self.cells.resize(room, Cell::default());
    }

    /// How many warehouses there are.
    pub fn warehouses(&self) -> u32 {
        self.warehouses
    }

    /// A size in a warehouse; noughts where there is none.
    pub fn cell(&self, item: u32, warehouse: u32) -> Cell {
        if warehouse < self.warehouses { self.at(self.spot(item, warehouse)) } else { Cell::default() }
    }

    /// How a line stands; `None` when it wants nothing (any more) and nothing of it was sent.
    pub fn share(&self, line: i32) -> Option<Share> {
        self.shares.get(&line).copied()
    }

    /// The warehouse that a line takes from.
    pub fn warehouse_of(&self, share: &Share) -> u32 {
        share.spot.checked_rem(self.warehouses).unwrap_or(0)
    }

    /// Demand over everything, in units.
    pub fn demand(&self) -> i64 {
        self.demand
    }

    /// The id of the last stock change.
    pub fn last_change(&self) -> i32 {
        self.last_change
    }

    /// A stock change that is not yet forgotten.
    pub fn change(&self, id: i32) -> Option<&StockChange> {
        self.changes.binary_search_by_key(&id, |change| change.id).ok().and_then(|at| self.changes.get(at))
    }

    /// The orders not placed because something was missing, and by item the units that they asked for of what was missing.
    pub fn lost(&self) -> (u64, &BTreeMap<u32, u64>) {
        (self.lost_orders, &self.lost_units)
    }

    /// What is missing for an order, as (item, units asked for): all items of which it wants more than is free, after
    /// `taken` (units by item) is taken away too.
    pub fn missing(
        &self,
        warehouse: u32,
        wants: impl Iterator<Item = Want>,
        taken: &HashMap<(u32, u32), i64>,
    ) -> Vec<(u32, i64)> {
        let mut asked: BTreeMap<u32, i64> = BTreeMap::new();
        for want in wants {
            *asked.entry(want.item).or_default() += i64::from(want.units);
        }
        let free = |item| self.cell(item, warehouse).free() - taken.get(&(item, warehouse)).copied().unwrap_or(0);
        asked.into_iter().filter(|(item, units)| *units > free(*item)).collect()
    }

    /// Counts an order that is not placed.
    pub fn lose(&mut self, warehouse: u32, wants: impl Iterator<Item = Want>) {
        self.lost_orders += 1;
        for (item, units) in self.missing(warehouse, wants, &HashMap::new()) {
            *self.lost_units.entry(item).or_default() += units.unsigned_abs();
        }
    }

    /// An order is placed: each line takes what is free and waits for the rest.
    pub fn place(&mut self, order: u32, warehouse: u32, wants: impl Iterator<Item = Want>) {
        for want in wants {
            let spot = self.spot(want.item, warehouse);
            let free = self.at(spot).free();
            let taken = i32::try_from(free).unwrap_or(i32::MAX).min(want.units);
            let waiting = want.units - taken;
            self.at_mut(spot, |cell| {
                cell.allocated += i64::from(taken);
                cell.demand += i64::from(waiting);
            });
            if waiting > 0 {
                self.waiting.entry(spot).or_default().insert((order, want.line));
            }
            if want.units > 0 {
                self.shares.insert(want.line, Share { order, spot, allocated: taken, waiting, shipped: 0 });
            }
        }
    }

    /// A line gives units back. What waits is given up first, so that a cancellation frees as little as it must (inferred).
    pub fn cancel(&mut self, line: i32, units: i32, goods: Goods) {
        let Some(share) = self.shares.get_mut(&line) else {
            return;
        };
        let in_vain = units.min(share.waiting);
        let back = (units - in_vain).min(share.allocated);
        share.waiting -= in_vain;
        share.allocated -= back;
        let share = *share;
        if share.waiting == 0 {
            self.waits_no_more(share, line);
        }
        if share.allocated == 0 && share.waiting == 0 && share.shipped == 0 {
            self.shares.remove(&line);
        }
        let back = i64::from(back);
        self.at_mut(share.spot, |cell| {
            cell.demand -= i64::from(in_vain);
            cell.allocated -= back;
            if goods != Goods::Release {
                cell.physical -= back;
            }
        });
        if let Goods::Send(warehouse) = goods
            && warehouse < self.warehouses
        {
            let there = share.spot - self.warehouse_of(&share) + warehouse;
            self.at_mut(there, |cell| cell.physical += back);
            self.fill_waiting(there);
        }
        self.fill_waiting(share.spot);
    }

    /// Units of a line are handed over: physical and allocated go down. `false`, and nothing is done, when not so many
    /// are allocated to it.
    pub fn ship(&mut self, line: i32, units: i32) -> bool {
        let Some(share) = self.shares.get_mut(&line).filter(|share| units > 0 && units <= share.allocated) else {
            return false;
        };
        share.allocated -= units;
        share.shipped += units;
        let spot = share.spot;
        self.at_mut(spot, |cell| {
            cell.physical -= i64::from(units);
            cell.allocated -= i64::from(units);
        });
        true
    }

    /// Units of a line leave with a shipment: what is allocated to it first, then what it waits for in vain, which was
    /// never on this shelf.
    pub fn send(&mut self, line: i32, units: i32) {
        let Some(share) = self.shares.get_mut(&line) else { return };
        let kept = units.min(share.allocated);
        let in_vain = (units - kept).min(share.waiting);
        share.allocated -= kept;
        share.waiting -= in_vain;
        share.shipped += units;
        let share = *share;
        if share.waiting == 0 {
            self.waits_no_more(share, line);
        }
        self.at_mut(share.spot, |cell| {
            cell.physical -= i64::from(kept);
            cell.allocated -= i64::from(kept);
            cell.demand -= i64::from(in_vain);
        });
    }

    /// Units of a line have not left after all: they lie on the shelf, promised to the line.
    pub fn unsend(&mut self, line: i32, units: i32) {
        let Some(share) = self.shares.get_mut(&line) else { return };
        let units = units.min(share.shipped);
        share.shipped -= units;
        share.allocated += units;
        let spot = share.spot;
        self.at_mut(spot, |cell| {
            cell.physical += i64::from(units);
            cell.allocated += i64::from(units);
        });
    }

    /// Units of a line that had left come back: to its own shelf, to another, or to none.
    pub fn take_back(&mut self, line: i32, units: i32, goods: Goods) {
        let Some(there) = self.goes_to(line, goods) else { return };
        self.at_mut(there, |cell| cell.physical += i64::from(units));
        self.fill_waiting(there);
    }

    /// Units that had come back do not lie there after all; what is promised meanwhile stays.
    pub fn take_away(&mut self, line: i32, units: i32, goods: Goods) {
        let Some(there) = self.goes_to(line, goods) else { return };
        self.at_mut(there, |cell| cell.physical = (cell.physical - i64::from(units)).max(cell.allocated));
    }

    fn goes_to(&self, line: i32, goods: Goods) -> Option<u32> {
        let share = self.shares.get(&line)?;
        match goods {
            Goods::Remove => None,
            Goods::Release => Some(share.spot),
            Goods::Send(warehouse) if warehouse < self.warehouses => Some(share.spot - self.warehouse_of(share) + warehouse),
            Goods::Send(_) => None,
        }
    }

    /// Writes physical figures, never below what is allocated. Returns the change's id; `None` when nothing changed.
    pub fn write(&mut self, figures: &[Figure], description: &str) -> Option<i32> {
        let mut lines = Vec::new();
        for figure in figures {
            let spot = self.spot(figure.item, figure.warehouse);
            let before = self.at(spot);
            let units = figure.physical.max(before.allocated) - before.physical;
            if units == 0 || figure.warehouse >= self.warehouses || spot as usize >= self.cells.len() {
                continue;
            }
            self.last_line += 1;
            let id = self.last_line;
            self.at_mut(spot, |cell| {
                cell.physical += units;
                if units > 0 {
                    cell.delivery = (id, units);
                }
            });
            self.fill_waiting(spot);
            lines.push(Delivered { id, units, free: self.at(spot).free() });
        }
        if lines.is_empty() {
            return None;
        }
        self.last_change += 1;
        if self.changes.len() >= CHANGES_MAX {
            self.changes.pop_front();
        }
        self.changes.push_back(StockChange { id: self.last_change, description: description.to_owned(), lines });
        Some(self.last_change)
    }

    /// Gives free units to those who wait, oldest order first.
    fn fill_waiting(&mut self, spot: u32) {
        if !self.fill {
            return;
        }
        loop {
            let free = i32::try_from(self.at(spot).free()).unwrap_or(i32::MAX);
            let first = self.waiting.get(&spot).and_then(|lines| lines.first().copied());
            let (true, Some((_, line))) = (free > 0, first) else {
                return;
            };
            let Some(share) = self.shares.get_mut(&line) else {
                return;
            };
            let given = free.min(share.waiting);
            share.waiting -= given;
            share.allocated += given;
            let share = *share;
            if share.waiting == 0 {
                self.waits_no_more(share, line);
            }
            self.at_mut(spot, |cell| {
                cell.allocated += i64::from(given);
                cell.demand -= i64::from(given);
            });
        }
    }

    fn waits_no_more(&mut self, share: Share, line: i32) {
        if let Some(lines) = self.waiting.get_mut(&share.spot) {
            lines.remove(&(share.order, line));
            if lines.is_empty() {
                self.waiting.remove(&share.spot);
            }
        }
    }

    /// From now on units that become free go to those who wait, or not.
    pub fn set_fill(&mut self, fill: bool) {
        self.fill = fill;
        let spots: Vec<u32> = self.waiting.keys().copied().collect();
        for spot in spots {
            self.fill_waiting(spot);
        }
    }

    /// Every sum of the ledger that must hold at any instant. Returns the first that does not.
    #[cfg(test)]
    pub fn broken(&self) -> Option<String> {
        let mut sums: HashMap<u32, (i64, i64)> = HashMap::new();
        for (line, share) in &self.shares {
            let sum = sums.entry(share.spot).or_default();
            sum.0 += i64::from(share.allocated);
            sum.1 += i64::from(share.waiting);
            let waits = self.waiting.get(&share.spot).is_some_and(|lines| lines.contains(&(share.order, *line)));
            if waits != (share.waiting > 0) || share.allocated < 0 || share.waiting < 0 || share.shipped < 0 {
                return Some(format!("line {line}: {share:?}, in the queue: {waits}"));
            }
        }
        let mut demand = 0;
        for (spot, cell) in (0_u32..).zip(&self.cells) {
            let (allocated, waiting) = sums.remove(&spot).unwrap_or_default();
            demand += cell.demand;
            let filled = !self.fill || cell.free() == 0 || cell.demand == 0;
            if cell.physical != cell.free() + cell.allocated
                || cell.free() < 0
                || cell.allocated != allocated
                || cell.demand != waiting
                || !filled
            {
                return Some(format!("spot {spot}: {cell:?}, lines have {allocated} and wait for {waiting}"));
            }
        }
        (demand != self.demand).then(|| format!("demand is {demand}, kept is {}", self.demand))
    }
}
