//! The stock: how much of an item a place keeps, what is promised of it, and who waits for it.
//!
//! Source: the vendor's help topics on inventory levels. On hand is what is there, promised units included. Committed
//! is what approved, unfulfilled orders ask for as far as it is there; the rest is back ordered. Available is on hand
//! less committed, never below nought. A kit keeps no stock of its own: selling one asks for its parts.
//!
//! Choices where the vendor's papers are silent (inferred):
//! * Who asks first is served first, by the internal id of the order.
//! * A kit line is committed as far as all its parts are; the sums of a part count every claim on it.
//! * `lastquantityavailablechange` moves with every movement, and with orders when *available* changed: an order that
//!   is back ordered altogether does not move it.
//! * An order without a place asks nowhere. A cash sale takes its units from the place when it is saved.
//!
//! Sums are kept, never searched for, so that an account of 100,000 items at five places stays quick.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::fixed::Fixed;
use super::seed::{Item, ItemKind, Items};
use super::state::{Kind, Line, Tran};

/// One item at one place.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    pub(super) on_hand: Fixed,
    /// What approved, unfulfilled orders ask for.
    demand: Fixed,
    /// When it last changed, in seconds since 1970; 0 for never.
    pub(super) changed: i64,
    /// Whether the item was ever kept here. Without that there is no row.
    kept: bool,
    /// Who asks for how much: (order, line).
    claims: BTreeMap<(u32, u32), Fixed>,
}

impl Shelf {
    /// Promised and there.
    pub(super) fn committed(&self) -> Fixed {
        self.demand.min(self.on_hand).max(Fixed::ZERO)
    }

    /// Promised and not there.
    pub(super) fn back_ordered(&self) -> Fixed {
        self.demand.minus(self.committed()).unwrap_or_default()
    }

    /// On hand less committed, never below nought.
    pub(super) fn available(&self) -> Fixed {
        self.on_hand.minus(self.committed()).unwrap_or_default().max(Fixed::ZERO)
    }

    /// On hand less all that is promised; below nought when more is promised than is there.
    pub(super) fn net(&self) -> Fixed {
        self.on_hand.minus(self.demand).unwrap_or_default()
    }

    /// How much of a claim is there, after those who came before.
    fn served(&self, order: u32, line: u32) -> Fixed {
        let Some(claim) = self.claims.get(&(order, line)) else {
            return Fixed::ZERO;
        };
        if self.demand <= self.on_hand {
            return *claim;
        }
        let before = Fixed::sum(self.claims.range(..(order, line)).map(|(_, units)| *units));
        let left = before.and_then(|before| self.on_hand.minus(before)).unwrap_or_default();
        left.max(Fixed::ZERO).min(*claim)
    }

    fn claim(&mut self, order: u32, line: u32, units: Fixed) {
        if units.is_zero() {
            return;
        }
        grow(&mut self.demand, units);
        let claim = self.claims.entry((order, line)).or_default();
        grow(claim, units);
        if claim.is_zero() {
            self.claims.remove(&(order, line));
        }
    }
}

fn grow(sum: &mut Fixed, by: Fixed) {
    *sum = sum.plus(by).unwrap_or(*sum);
}

/// What one line of a document does to one item at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Pull {
    item: u32,
    location: u32,
    line: u32,
    /// Asked for and not handed over.
    open: Fixed,
    /// Gone from the shelf.
    taken: Fixed,
}

/// Which shelves a reader wants; all of them unless said otherwise.
#[derive(Debug, Default)]
pub(super) struct Slice {
    /// Only these items.
    pub(super) items: Option<BTreeSet<u32>>,
    /// Only items from this id on.
    pub(super) from: u32,
    /// Only these places.
    pub(super) locations: Option<BTreeSet<u32>>,
    /// Only what changed at or after this second since 1970.
    pub(super) since: Option<i64>,
}

impl Slice {
    fn wants(&self, item: u32, location: u32) -> bool {
        item >= self.from
            && self.items.as_ref().is_none_or(|items| items.contains(&item))
            && self.locations.as_ref().is_none_or(|locations| locations.contains(&location))
    }
}

/// All shelves of the account.
#[derive(Debug)]
pub(super) struct Stock {
    /// What there is.
    pub(super) items: Items,
    /// By item, then place.
    shelves: BTreeMap<(u32, u32), Shelf>,
    /// (second, item, place) of every shelf that ever changed.
    by_change: BTreeSet<(i64, u32, u32)>,
    /// How long after an order was saved it is committed, in milliseconds.
    delay: i64,
    /// Whether a credit memo without a return puts its items on the shelf.
    memo_moves: bool,
    /// What saved orders that are not committed yet asked for before.
    uncommitted: HashMap<u32, Vec<Pull>>,
    /// When they are due, in milliseconds since 1970.
    queue: VecDeque<(i64, u32)>,
    /// Items and places of movements and saved orders that nobody was told of yet.
    touched: BTreeSet<(u32, u32)>,
}

impl Stock {
    /// Empty shelves. `delay` is how many milliseconds after an order was saved it is committed.
    pub(super) fn new(items: Items, delay: i64) -> Stock {
        Stock {
            items,
            shelves: BTreeMap::new(),
            by_change: BTreeSet::new(),
            delay,
            memo_moves: true,
            uncommitted: HashMap::new(),
            queue: VecDeque::new(),
            touched: BTreeSet::new(),
        }
    }

    /// Says whether a credit memo without a return puts its items on the shelf.
    pub(super) fn moved_by_memos(mut self, moved: bool) -> Stock {
        self.memo_moves = moved;
        self
    }

    /// What was there before anything happened, since `at` (seconds since 1970). Without units it never changed.
    pub(super) fn open(&mut self, item: u32, location: u32, units: Fixed, at: i64) {
        let shelf = self.shelves.entry((item, location)).or_default();
        shelf.kept = true;
        grow(&mut shelf.on_hand, units);
        if !units.is_zero() {
            self.stamp((item, location), at);
        }
    }

    /// Units come or go at a place. `told` says whether a script hears of it.
    pub(super) fn shift(&mut self, item: u32, location: u32, delta: Fixed, at: i64, told: bool) {
        let shelf = self.shelves.entry((item, location)).or_default();
        shelf.kept = true;
        grow(&mut shelf.on_hand, delta);
        self.stamp((item, location), at);
        if told {
            self.touched.insert((item, location));
        }
    }

    fn stamp(&mut self, key: (u32, u32), at: i64) {
        if let Some(shelf) = self.shelves.get_mut(&key)
            && shelf.changed < at
        {
            self.by_change.remove(&(shelf.changed, key.0, key.1));
            shelf.changed = at;
            self.by_change.insert((at, key.0, key.1));
        }
    }

    /// The row of an item at a place, if it was ever kept there.
    pub(super) fn get(&self, item: u32, location: u32) -> Option<&Shelf> {
        self.shelves.get(&(item, location)).filter(|shelf| shelf.kept)
    }

    /// The rows of a slice as (item, place, row), by item, then place.
    pub(super) fn scan<'a, E>(
        &'a self,
        slice: &Slice,
        each: &mut impl FnMut(u32, u32, &'a Shelf) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Some(since) = slice.since {
            let mut keys: Vec<(u32, u32)> = self
                .by_change
                .range((since, 0, 0)..)
                .map(|(_, item, location)| (*item, *location))
                .filter(|(item, location)| slice.wants(*item, *location))
                .collect();
            keys.sort_unstable();
            return keys.into_iter().try_for_each(|(item, location)| match self.get(item, location) {
                Some(shelf) => each(item, location, shelf),
                None => Ok(()),
            });
        }
        let mut all = |from: u32, to: u32| {
            self.shelves
                .range((from, 0)..=(to, u32::MAX))
                .filter(|((item, location), shelf)| shelf.kept && slice.wants(*item, *location))
                .try_for_each(|((item, location), shelf)| each(*item, *location, shelf))
        };
        match &slice.items {
            Some(items) => items.iter().try_for_each(|item| all(*item, *item)),
            None => all(slice.from, u32::MAX),
        }
    }

    /// What a document asks for and takes, by item, place and line.
    fn pulls(&self, tran: &Tran) -> Vec<Pull> {
        let mut pulls: Vec<Pull> = Vec::with_capacity(tran.lines.len());
        let sale = tran.kind == Kind::CashSale;
        for line in &tran.lines {
            let place = place(tran, line);
            if sale {
                self.spread(&mut pulls, line.item, place, line.number, Fixed::ZERO, line.quantity);
            } else if tran.kind == Kind::Credit {
                // What was made from an authorization comes by its receipt.
                if self.memo_moves && line.source == 0 && tran.status().0 != "V" {
                    self.spread(&mut pulls, line.item, place, line.number, Fixed::ZERO, line.quantity.negated());
                }
            } else if tran.kind == Kind::SalesOrder && tran.approved {
                self.spread(&mut pulls, line.item, place, line.number, open(tran, line), Fixed::ZERO);
            }
        }
        for gone in &tran.shipped {
            if gone.parts.is_empty() {
                self.spread(&mut pulls, gone.item, gone.location, gone.line, Fixed::ZERO, gone.quantity);
            }
            // What a kit was made of when it left stays, whatever it is made of now.
            for (part, per) in gone.parts.iter().filter(|_| gone.location != 0) {
                let taken = gone.quantity.times(*per, 8).unwrap_or_default();
                pulls.push(Pull { item: *part, location: gone.location, line: gone.line, open: Fixed::ZERO, taken });
            }
        }
        pulls.sort_unstable();
        pulls.dedup_by(|next, kept| {
            let same = (next.item, next.location, next.line) == (kept.item, kept.location, kept.line);
            if same {
                grow(&mut kept.open, next.open);
                grow(&mut kept.taken, next.taken);
            }
            same
        });
        pulls
    }

    /// Adds what a line pulls: the item, or the parts of the kit.
    fn spread(&self, pulls: &mut Vec<Pull>, item: u32, location: u32, line: u32, open: Fixed, taken: Fixed) {
        if location == 0 || (open.is_zero() && taken.is_zero()) {
            return;
        }
        for (part, per) in self.parts(item) {
            let times = |units: Fixed| units.times(per, 8).unwrap_or_default();
            pulls.push(Pull { item: part, location, line, open: times(open), taken: times(taken) });
        }
    }

    /// What is asked for when an item is sold, with units per unit: itself, its parts, or nothing.
    pub(super) fn parts(&self, item: u32) -> Vec<(u32, Fixed)> {
        match self.items.get(item).map(|found| found.kind) {
            Some(ItemKind::Inventory) => vec![(item, Fixed::whole(1))],
            Some(ItemKind::Kit) => {
                self.items.members(item).iter().map(|member| (member.item, Fixed::whole(member.quantity))).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Takes in an item, new or changed, at `at` (milliseconds since 1970). What open orders ask for follows the new parts of a
    /// kit, as the vendor reads them when it is handed over.
    pub(super) fn put_item(&mut self, item: Item, members: Option<&[(u32, i64)]>, trans: &BTreeMap<u32, Box<Tran>>, at: i64) {
        let id = item.id;
        let uses = |tran: &Tran| tran.lines.iter().any(|line| line.item == id) && !self.uncommitted.contains_key(&tran.id);
        let before: Vec<(u32, Vec<Pull>)> = match members {
            Some(_) => trans.values().filter(|tran| uses(tran)).map(|tran| (tran.id, self.pulls(tran))).collect(),
            None => Vec::new(),
        };
        self.items.put(item, members);
        for (id, was) in before {
            if let Some(tran) = trans.get(&id) {
                let is = self.pulls(tran);
                self.post(id, &was, &is, at.div_euclid(1_000));
            }
        }
    }

    /// A document was saved, changed or deleted at `at`, in milliseconds since 1970. With `later`, an order is
    /// committed after the account's delay only.
    pub(super) fn save(&mut self, id: u32, old: Option<&Tran>, new: Option<&Tran>, at: i64, later: bool) {
        let pulls = |tran: Option<&Tran>| tran.map_or_else(Vec::new, |tran| self.pulls(tran));
        let (was, is) = (pulls(old), pulls(new));
        let order = new.is_some_and(|tran| tran.kind == Kind::SalesOrder);
        if was != is {
            let changed = was.iter().filter(|pull| is.binary_search(pull).is_err());
            let changed = changed.chain(is.iter().filter(|pull| was.binary_search(pull).is_err()));
            self.touched.extend(changed.map(|pull| (pull.item, pull.location)));
            if later && order && self.delay > 0 {
                self.uncommitted.entry(id).or_insert(was);
                self.queue.push_back((at.saturating_add(self.delay), id));
                return;
            }
        }
        if later && order && self.uncommitted.contains_key(&id) {
            return;
        }
        let was = self.uncommitted.remove(&id).unwrap_or(was);
        self.post(id, &was, &is, at.div_euclid(1_000));
    }

    /// Commits the orders that are due by `now` (milliseconds since 1970), as they stand now.
    pub(super) fn settle(&mut self, now: i64, trans: &BTreeMap<u32, Box<Tran>>) {
        while let Some((due, id)) = self.queue.front().copied()
            && due <= now
        {
            self.queue.pop_front();
            if let Some(was) = self.uncommitted.remove(&id) {
                let is = trans.get(&id).map_or_else(Vec::new, |tran| self.pulls(tran));
                self.post(id, &was, &is, due.div_euclid(1_000));
            }
        }
    }

    /// When the next order is committed, in milliseconds since 1970.
    pub(super) fn next_due(&self) -> Option<i64> {
        self.queue.front().map(|(due, _)| *due)
    }

    fn post(&mut self, id: u32, was: &[Pull], is: &[Pull], at: i64) {
        if was == is {
            return;
        }
        let gone = was.iter().filter(|pull| is.binary_search(pull).is_err());
        let fresh = is.iter().filter(|pull| was.binary_search(pull).is_err());
        let changes: Vec<(&Pull, bool)> = gone.map(|pull| (pull, false)).chain(fresh.map(|pull| (pull, true))).collect();
        let mut before: BTreeMap<(u32, u32), Fixed> = BTreeMap::new();
        for (pull, comes) in changes {
            let key = (pull.item, pull.location);
            let shelf = self.shelves.entry(key).or_default();
            before.entry(key).or_insert_with(|| shelf.available());
            let (open, taken) = if comes { (pull.open, pull.taken.negated()) } else { (pull.open.negated(), pull.taken) };
            shelf.claim(id, pull.line, open);
            if !taken.is_zero() {
                shelf.kept = true;
                grow(&mut shelf.on_hand, taken);
            }
        }
        for (key, before) in before {
            if self.shelves.get(&key).is_some_and(|shelf| shelf.available() != before) {
                self.stamp(key, at);
            }
        }
    }

    /// How much of a line is committed, and how much is back ordered.
    pub(super) fn line(&self, tran: &Tran, line: &Line) -> (Fixed, Fixed) {
        let place = place(tran, line);
        let parts = self.parts(line.item);
        let claims = |part: u32| self.shelves.get(&(part, place)).and_then(|s| s.claims.get(&(tran.id, line.number)));
        if parts.is_empty() || parts.iter().any(|(part, _)| claims(*part).is_none()) {
            return (Fixed::ZERO, Fixed::ZERO);
        }
        let asked = open(tran, line);
        let there = |part: u32, per: Fixed| {
            let served = self.shelves.get(&(part, place)).map_or(Fixed::ZERO, |s| s.served(tran.id, line.number));
            if per == Fixed::whole(1) { served } else { served.over(per).unwrap_or_default().floor() }
        };
        let committed = parts.iter().map(|(part, per)| there(*part, *per)).min().unwrap_or_default().min(asked);
        (committed, asked.minus(committed).unwrap_or_default())
    }

    /// Whether nothing that is kept on shelves is left to be handed over.
    pub(super) fn is_fulfilled(&self, tran: &Tran) -> bool {
        !tran.shipped.is_empty() && tran.lines.iter().all(|line| open(tran, line).is_zero() || self.parts(line.item).is_empty())
    }

    /// Items and places that moved since the last call, for a script to tell.
    pub(super) fn take_touched(&mut self) -> BTreeSet<(u32, u32)> {
        std::mem::take(&mut self.touched)
    }

    /// Units that are asked for beyond what is there, of what is kept at all.
    pub(super) fn oversold(&self) -> u64 {
        let short = |shelf: &Shelf| u64::try_from(shelf.net().units().saturating_neg()).unwrap_or(0);
        self.shelves.values().filter(|shelf| shelf.kept).map(short).sum()
    }

    /// `sku,qty`: what is left of each item that has a row, over all places, when every promise is kept; by SKU.
    pub(super) fn csv(&self) -> String {
        let mut sums: BTreeMap<&str, Fixed> = BTreeMap::new();
        for ((item, _), shelf) in self.shelves.iter().filter(|(_, shelf)| shelf.kept) {
            if let Some(item) = self.items.get(*item) {
                grow(sums.entry(&item.sku).or_default(), shelf.net());
            }
        }
        let mut out = csv::Writer::from_writer(Vec::new());
        let written = out
            .write_record(["sku", "qty"])
            .and_then(|()| sums.iter().try_for_each(|(sku, qty)| out.write_record([*sku, &qty.text(0)])));
        match (written, out.into_inner()) {
            (Ok(()), Ok(bytes)) => String::from_utf8(bytes).unwrap_or_default(),
            _ => String::new(),
        }
    }
}

/// Where a line is taken from; 0 for nowhere.
pub(super) fn place(tran: &Tran, line: &Line) -> u32 {
    if line.location == 0 { tran.location } else { line.location }
}

/// What a line still asks for.
pub(super) fn open(tran: &Tran, line: &Line) -> Fixed {
    if line.closed {
        return Fixed::ZERO;
    }
    line.quantity.minus(shipped(tran, line.number)).unwrap_or_default().max(Fixed::ZERO)
}

/// What of a line was handed over.
pub(super) fn shipped(tran: &Tran, line: u32) -> Fixed {
    Fixed::sum(tran.shipped.iter().filter(|gone| gone.line == line).map(|gone| gone.quantity)).unwrap_or_default()
}
