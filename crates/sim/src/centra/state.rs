//! What the stand-in knows: which orders are placed, what changed in them, who listens, what is mapped.
//!
//! Every change is an [`Entry`] that is journalled and then applied; opening the journal applies the
//! same entries again. An order itself is never stored: the catalogue makes it anew from its index.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use anyhow::bail;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::data::{Address, Catalogue, LineKind, Order};
use crate::journal::Journal;

use super::returns::{Made, Paid, Returns};
use super::shipments::{Deed, Shipments};
use super::stock::{Figure, Goods, Ledger, Rules, Sale, Shelf, wants};
use super::wares::{ItemEdit, Wares};

/// `OrderStatus`, as far as it is lived through here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Placed.
    Pending,
    /// May be picked.
    Confirmed,
    /// Something of it is in a shipment, and not everything has left.
    Processing,
    /// Everything has left.
    Shipped,
    /// Final.
    Cancelled,
}

impl Status {
    /// The value of the enum.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Confirmed => "CONFIRMED",
            Self::Processing => "PROCESSING",
            Self::Shipped => "SHIPPED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

/// A change of one order. What is `None` stays as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Change {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_hold: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_for_payment: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub internal: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shipping: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub billing: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub internal_comment: Option<String>,
    /// (line id, units) cancelled and released back to the warehouse.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cancel: Vec<(i32, i32)>,
    /// (line id, units) cancelled and removed from stock.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub discard: Vec<(i32, i32)>,
    /// What becomes of the units when the whole order is cancelled; released if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goods: Option<Goods>,
}

/// Where one order differs from the one the catalogue makes.
#[derive(Clone, Debug)]
pub struct Life {
    /// Its status.
    pub status: Status,
    /// On hold.
    pub on_hold: bool,
    /// Waiting for its payment.
    pub waiting_for_payment: bool,
    /// Locked against the shop's staff.
    pub locked: bool,
    /// Internal.
    pub internal: bool,
    /// When it was placed, in milliseconds since 1970.
    pub placed: i64,
    /// When it changed last, in milliseconds since 1970.
    pub updated: i64,
    /// The staff's remark.
    pub internal_comment: Option<String>,
    shipping: Address,
    billing: Address,
    comment: Option<String>,
    cancelled: Vec<(i32, i32)>,
}

/// What happened; the journal's lines.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// Whose journal this is, and that a process began to write it.
    World {
        /// Seed and source of the world.
        identity: String,
    },
    /// Orders `from..to` of the catalogue were placed.
    Placed {
        from: u32,
        to: u32,
        /// Milliseconds since 1970.
        at: i64,
        /// Those of them whose event is queued twice.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        twice: Vec<u32>,
        /// Those of them that start on hold.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        held: Vec<u32>,
        /// Those of them that wait for their payment.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        waiting: Vec<u32>,
        /// Those of them that were not placed after all, because something was missing.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        refused: Vec<u32>,
    },
    /// An order that is not in the catalogue was placed.
    Bought {
        sale: Sale,
        at: i64,
        /// Whether its event is queued twice, it starts on hold, it waits for its payment.
        #[serde(default)]
        fate: (bool, bool, bool),
        /// Of which order's story this was an act, and which.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        act: Option<(u32, u8)>,
    },
    /// An order that is not in the catalogue was not placed, because something was missing.
    Missed { sale: Sale, at: i64 },
    /// Physical figures were written.
    Stock {
        figures: Vec<Figure>,
        at: i64,
        /// The description that was given.
        why: String,
        /// Of which order this was a planned edit, and which.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        planned: Option<(u32, u8)>,
    },
    /// Units of a line were handed over.
    Shipped { line: i32, units: i32, at: i64 },
    /// A shipment was made or changed.
    Shipment { id: i32, order: u32, at: i64, deed: Box<Deed> },
    /// A return was made.
    Returned {
        id: i32,
        at: i64,
        made: Box<Made>,
        /// Which act of its order's story this was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        act: Option<u8>,
    },
    /// A return was completed, or opened again, or deleted.
    ReturnMarked {
        id: i32,
        at: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        completed: Option<bool>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        deleted: bool,
        /// Which act of its order's story this was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        act: Option<u8>,
    },
    /// Money went back, or was to.
    Paid {
        entries: Vec<Paid>,
        /// Of which order's story this was an act, and which.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        act: Option<(u32, u8)>,
    },
    /// An act of an order's story came to nothing, or is done.
    Acted { order: u32, act: u8 },
    /// Somebody changed an item of the catalogue, told by its index.
    Ware { item: u32, edit: ItemEdit, at: i64 },
    /// From here on, units that become free go to those who wait, or do not.
    Fill { on: bool },
    /// An order changed. Orders are counted as they were placed.
    Changed {
        order: u32,
        at: i64,
        change: Box<Change>,
        /// Which of the planned edits this was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        planned: Option<u8>,
    },
    /// The provider says that money did not go back after all.
    Reversed {
        /// The entry of the payment history.
        id: i32,
        /// When it said so.
        at: i64,
    },
    /// The API token expired, and another one was made.
    TokenSpent {},
    /// An integration wants events of these kinds.
    Listen { queue: String, object: String, changes: Vec<String>, at: i64 },
    /// An integration wants them no more.
    Unlisten { queue: String, object: String, changes: Vec<String> },
    /// Events were confirmed; ranges, both ends in.
    Confirmed { queue: String, ids: Vec<(i32, i32)> },
    /// An external id was set.
    Mapped { queue: String, kind: String, internal: i64, external: String },
    /// An external id was taken away.
    Unmapped { queue: String, kind: String, internal: i64 },
    /// A shipment is not there any more, or never came; its units are promised to the order as before.
    ShipmentGone { id: i32 },
    /// Something of which no event tells.
    Untold(Box<Entry>),
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The order at this index.
    Order(u32),
    /// The stock change with this id.
    StockChange(i32),
    /// The shipment with this id.
    Shipment(i32),
    /// The return with this id.
    Return(i32),
    /// The entry of the payment history with this id.
    Payment(i32),
    /// The product with this id.
    Product(i32),
    /// The variant with this id.
    Variant(i32),
    /// The size at this index.
    Size(u32),
    /// The price with this id.
    Price(i32),
}

impl Subject {
    /// `EventObjectType`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Order(_) => "Order",
            Self::StockChange(_) => "StockChange",
            Self::Shipment(_) => "Shipment",
            Self::Return(_) => "Return",
            Self::Payment(_) => "PaymentHistoryEntry",
            Self::Product(_) => "Product",
            Self::Variant(_) => "ProductVariant",
            Self::Size(_) => "ProductSize",
            Self::Price(_) => "Price",
        }
    }
}

/// What an event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// What it is about.
    pub subject: Subject,
    /// `CREATED`, `UPDATED` or `COMPLETED`.
    pub change: &'static str,
    /// Milliseconds since 1970.
    pub at: i64,
}

/// A listener's wishes.
#[derive(Clone, Debug, Default)]
pub struct Listener {
    /// The kinds of change it wants.
    pub changes: BTreeSet<String>,
    /// Milliseconds since 1970.
    pub created: i64,
    /// Milliseconds since 1970.
    pub updated: i64,
}

/// One integration's own things.
#[derive(Debug, Default)]
pub struct Queue {
    /// Listeners by object type.
    pub listeners: BTreeMap<String, Listener>,
    /// Unconfirmed events, oldest first.
    pub events: BTreeMap<i32, Event>,
    last_event: i32,
    /// (kind, internal id) to (entry id, external id).
    pub by_internal: BTreeMap<(String, i64), (i64, String)>,
    by_external: HashMap<(String, String), i64>,
    last_entry: i64,
}

impl Queue {
    /// Queues an event, if somebody listens for it.
    fn tell(&mut self, event: Event) {
        let listener = self.listeners.get(event.subject.name());
        if listener.is_some_and(|listener| listener.changes.contains(event.change)) {
            self.last_event += 1;
            self.events.insert(self.last_event, event);
        }
    }

    /// The internal id behind an external one.
    pub fn internal(&self, kind: &str, external: &str) -> Option<i64> {
        self.by_external.get(&(kind.to_owned(), external.to_owned())).copied()
    }

    /// The external id of an internal one.
    pub fn external(&self, kind: &str, internal: i64) -> Option<&str> {
        self.by_internal.get(&(kind.to_owned(), internal)).map(|(_, external)| external.as_str())
    }

    fn unmap(&mut self, kind: &str, internal: i64) {
        if let Some((_, external)) = self.by_internal.remove(&(kind.to_owned(), internal)) {
            self.by_external.remove(&(kind.to_owned(), external));
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Batch {
    from: u32,
    to: u32,
    at: i64,
}

/// By what a list of orders is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// The order of placing: by id, creation or order date.
    Placed,
    /// The number.
    Number,
    /// The last change, to the second; ties by placing.
    Updated,
}

/// Where an order stands in a sort: compare within one [`Sort`] only.
pub type Key = (i64, u32);

/// The state of the instance.
#[derive(Debug)]
pub struct State {
    /// The items and orders of the world.
    pub catalogue: Arc<Catalogue>,
    /// Integrations by name.
    pub queues: BTreeMap<String, Queue>,
    /// The stock.
    pub ledger: Ledger,
    /// What leaves.
    pub shipments: Shipments,
    /// What comes back.
    pub returns: Returns,
    /// Look-ups over the items.
    pub shelf: Shelf,
    /// What was changed in the catalogue.
    pub wares: Wares,
    /// How stock is written.
    pub rules: Rules,
    /// Rows that `setStock` applied since this start.
    pub set_stock_rows: u64,
    /// API tokens that have expired.
    pub tokens_spent: u32,
    journal: Journal,
    /// What stands behind each placed order, in the order of placing: an index into the catalogue, or beyond its end into `sales`.
    sources: Vec<u32>,
    sales: Vec<Sale>,
    by_number: BTreeMap<i32, u32>,
    attempted: u32,
    batches: Vec<Batch>,
    lives: HashMap<u32, Life>,
    by_update: BTreeSet<Key>,
    done: HashSet<(u32, u8)>,
    autoconfirm: bool,
    starts: u64,
    /// While this holds, nobody is told what happens.
    hushed: bool,
}

impl State {
    /// Opens the state kept under `folder`, or a new one that is kept nowhere.
    /// Errors when the journal is broken, or belongs to another world.
    pub fn open(
        catalogue: Arc<Catalogue>,
        identity: &str,
        autoconfirm: bool,
        folder: Option<&std::path::Path>,
    ) -> anyhow::Result<State> {
        let mut state = State {
            ledger: Ledger::new(catalogue.items().len(), catalogue.markets().len()),
            shipments: Shipments::default(),
            returns: Returns::default(),
            shelf: Shelf::new(&catalogue),
            wares: Wares::default(),
            rules: Rules::default(),
            set_stock_rows: 0,
            tokens_spent: 0,
            sources: Vec::new(),
            sales: Vec::new(),
            by_number: BTreeMap::new(),
            attempted: 0,
            catalogue,
            queues: BTreeMap::new(),
            journal: Journal::memory(),
            batches: Vec::new(),
            lives: HashMap::new(),
            by_update: BTreeSet::new(),
            done: HashSet::new(),
            autoconfirm,
            starts: 0,
            hushed: false,
        };
        if let Some(folder) = folder {
            let path = folder.join("centra.jsonl");
            state.journal = Journal::open_with(&path, |line| {
                let entry: Entry = serde_json::from_value(line)?;
                if let Entry::World { identity: kept } = &entry {
                    if kept != identity {
                        bail!("this is the journal of another world: it has {kept}, wanted is {identity}");
                    }
                    state.starts += 1;
                }
                state.apply(entry);
                Ok(())
            })?;
        }
        state.record(Entry::World { identity: identity.to_owned() })?;
        Ok(state)
    }

    /// How often this world was started before.
    pub fn starts(&self) -> u64 {
        self.starts
    }

    /// As [`State::record`], but no event tells of it.
    pub fn record_untold(&mut self, entry: Entry) -> anyhow::Result<()> {
        self.record(Entry::Untold(Box::new(entry)))
    }

    /// Journals an entry and applies it. When it cannot be journalled it is not applied.
    pub fn record(&mut self, entry: Entry) -> anyhow::Result<()> {
        self.journal.append(&entry)?;
        self.apply(entry);
        Ok(())
    }

    fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::World { .. } => {}
            Entry::Placed { from, to, at, twice, held, waiting, refused } => {
                let first = self.placed();
                let mut again = Vec::new();
                let (mut on_hold, mut unpaid) = (Vec::new(), Vec::new());
                for source in from..to {
                    let made = self.catalogue.order(source);
                    let warehouse = u32::try_from(made.market).unwrap_or(0);
                    if refused.binary_search(&source).is_ok() {
                        self.ledger.lose(warehouse, wants(&made));
                        continue;
                    }
                    let order = self.enter(source, made.number);
                    self.ledger.place(order, warehouse, wants(&made));
                    let of = |list: &[u32]| list.binary_search(&source).is_ok().then_some(order);
                    again.extend(of(&twice));
                    on_hold.extend(of(&held));
                    unpaid.extend(of(&waiting));
                }
                self.attempted = to;
                self.place(first, at, &again, &on_hold, &unpaid);
            }
            Entry::Bought { sale, at, fate: (twice, held, waiting), act } => {
                self.done.extend(act);
                let first = self.placed();
                let extra = u32::try_from(self.sales.len()).unwrap_or(u32::MAX);
                let source = self.catalogue.orders().saturating_add(extra);
                let wants = sale.wants(&self.catalogue, source);
                let order = self.enter(source, self.catalogue.number_beyond(extra).unwrap_or(0));
                self.ledger.place(order, sale.market, wants.into_iter());
                self.sales.push(sale);
                let of = |flag: bool| if flag { vec![order] } else { Vec::new() };
                self.place(first, at, &of(twice), &of(held), &of(waiting));
            }
            Entry::Missed { sale, at: _ } => {
                let wants = sale.wants(&self.catalogue, self.catalogue.orders());
                self.ledger.lose(sale.market, wants.into_iter());
            }
            Entry::Stock { figures, at, why, planned } => {
                self.done.extend(planned);
                if let Some(id) = self.ledger.write(&figures, &why) {
                    self.tell(Event { subject: Subject::StockChange(id), change: "CREATED", at });
                }
            }
            Entry::Shipped { line, units, at: _ } => {
                self.ledger.ship(line, units);
            }
            Entry::Shipment { id, order, at, deed } => {
                let is_new = self.shipments.get(id).is_none();
                let gone = self.shipments.apply(id, order, at, *deed);
                for (line, units) in &gone {
                    self.ledger.send(*line, *units);
                }
                self.settle_status(order, at);
                let change = if is_new { "CREATED" } else { "UPDATED" };
                self.tell(Event { subject: Subject::Shipment(id), change, at });
                if !gone.is_empty() {
                    self.tell(Event { subject: Subject::Shipment(id), change: "COMPLETED", at });
                }
                self.tell(Event { subject: Subject::Order(order), change: "UPDATED", at });
            }
            Entry::Returned { id, at, made, act } => {
                let (order, shipment) = (made.order, made.shipment);
                self.done.extend(act.map(|act| (order, act)));
                for back in &made.lines {
                    self.ledger.take_back(back.line, back.units, made.goods);
                }
                self.returns.add(id, *made);
                self.touch(order, at);
                for (subject, change) in [
                    (Subject::Return(id), "CREATED"),
                    (Subject::Shipment(shipment), "DEPENDENT_DATA_CHANGED"),
                    (Subject::Order(order), "UPDATED"),
                ] {
                    self.tell(Event { subject, change, at });
                }
            }
            Entry::ReturnMarked { id, at, completed, deleted, act } => {
                let Some(one) = self.returns.get(id).cloned() else { return };
                let order = one.made.order;
                self.done.extend(act.map(|act| (order, act)));
                if deleted {
                    for back in &one.made.lines {
                        self.ledger.take_away(back.line, back.units, one.made.goods);
                    }
                }
                self.returns.mark(id, completed, deleted);
                self.tell(Event { subject: Subject::Return(id), change: if deleted { "DELETED" } else { "UPDATED" }, at });
                if completed == Some(true) {
                    self.tell(Event { subject: Subject::Return(id), change: "COMPLETED", at });
                }
                self.touch(order, at);
                self.tell(Event { subject: Subject::Order(order), change: "UPDATED", at });
            }
            Entry::Paid { entries, act } => {
                self.done.extend(act);
                for paid in entries {
                    let (id, order, returned, at) = (paid.id, paid.order, paid.returned, paid.at);
                    self.returns.pay(paid);
                    self.touch(order, at);
                    self.tell(Event { subject: Subject::Payment(id), change: "CREATED", at });
                    if let Some(returned) = returned {
                        self.tell(Event { subject: Subject::Return(returned), change: "DEPENDENT_DATA_CHANGED", at });
                    }
                    self.tell(Event { subject: Subject::Order(order), change: "UPDATED", at });
                }
            }
            Entry::Reversed { id, at } => {
                let Some((order, returned)) = self.returns.reverse(id) else { return };
                self.touch(order, at);
                self.tell(Event { subject: Subject::Payment(id), change: "UPDATED", at });
                if let Some(returned) = returned {
                    self.tell(Event { subject: Subject::Return(returned), change: "DEPENDENT_DATA_CHANGED", at });
                }
                self.tell(Event { subject: Subject::Order(order), change: "UPDATED", at });
            }
            Entry::TokenSpent {} => self.tokens_spent += 1,
            Entry::Acted { order, act } => drop(self.done.insert((order, act))),
            Entry::Ware { item, edit, at } => self.edit_wares(item, edit, at),
            Entry::Fill { on } => self.ledger.set_fill(on),
            Entry::Changed { order, at, change, planned } => {
                self.change(order, at, *change);
                self.done.extend(planned.map(|planned| (order, planned)));
                self.tell(Event { subject: Subject::Order(order), change: "UPDATED", at });
            }
            Entry::Listen { queue, object, changes, at } => {
                let listener = self.queues.entry(queue).or_default().listeners.entry(object).or_default();
                if listener.changes.is_empty() {
                    listener.created = at;
                }
                listener.updated = at;
                listener.changes.extend(changes);
            }
            Entry::Unlisten { queue, object, changes } => {
                let Some(queue) = self.queues.get_mut(&queue) else {
                    return;
                };
                if let Some(listener) = queue.listeners.get_mut(&object) {
                    listener.changes.retain(|change| !changes.contains(change));
                    if listener.changes.is_empty() {
                        queue.listeners.remove(&object);
                    }
                }
                queue
                    .events
                    .retain(|_, event| event.subject.name() != object || !changes.iter().any(|change| change == event.change));
            }
            Entry::Confirmed { queue, ids } => {
                if let Some(queue) = self.queues.get_mut(&queue) {
                    for (first, last) in ids {
                        let gone: Vec<i32> = queue.events.range(first..=last).map(|(id, _)| *id).collect();
                        for id in gone {
                            queue.events.remove(&id);
                        }
                    }
                }
            }
            Entry::Mapped { queue, kind, internal, external } => {
                let queue = self.queues.entry(queue).or_default();
                // A collision on either side is overwritten, not refused.
                if let Some(other) = queue.internal(&kind, &external) {
                    queue.unmap(&kind, other);
                }
                queue.unmap(&kind, internal);
                queue.last_entry += 1;
                queue.by_external.insert((kind.clone(), external.clone()), internal);
                queue.by_internal.insert((kind, internal), (queue.last_entry, external));
            }
            Entry::Unmapped { queue, kind, internal } => {
                if let Some(queue) = self.queues.get_mut(&queue) {
                    queue.unmap(&kind, internal);
                }
            }
            Entry::ShipmentGone { id } => self.lose_shipment(id),
            Entry::Untold(entry) => {
                self.hushed = true;
                self.apply(*entry);
                self.hushed = false;
            }
        }
    }

    /// Takes a shipment out. A deletion leaves nothing: the order is dated as before.
    fn lose_shipment(&mut self, id: i32) {
        let Some(shipment) = self.shipments.remove(id) else { return };
        if shipment.shipped_at.is_some() {
            for (line, units) in &shipment.lines {
                self.ledger.unsend(*line, *units);
            }
        }
        for queue in self.queues.values_mut() {
            queue.unmap("Shipment", i64::from(id));
        }
        let fresh = self.fresh_life(shipment.order).status;
        let status = self.status_by_shipments(shipment.order).unwrap_or(fresh);
        let life = self.life_mut(shipment.order);
        if life.status != Status::Cancelled {
            life.status = status;
        }
    }

    pub(super) fn tell(&mut self, event: Event) {
        if self.hushed {
            return;
        }
        self.queues.values_mut().for_each(|queue| queue.tell(event));
    }

    /// Takes an order into the list of the placed ones; returns its index there.
    fn enter(&mut self, source: u32, number: i32) -> u32 {
        let order = u32::try_from(self.sources.len()).unwrap_or(u32::MAX);
        self.sources.push(source);
        self.by_number.insert(number, order);
        order
    }

    /// The orders from `first` on were just entered.
    fn place(&mut self, first: u32, at: i64, twice: &[u32], held: &[u32], waiting: &[u32]) {
        let to = u32::try_from(self.sources.len()).unwrap_or(u32::MAX);
        if first == to {
            return;
        }
        self.batches.push(Batch { from: first, to, at });
        held.iter().for_each(|order| self.life_mut(*order).on_hold = true);
        waiting.iter().for_each(|order| self.life_mut(*order).waiting_for_payment = true);
        if self.hushed {
            return;
        }
        for queue in self.queues.values_mut() {
            for order in (first..to).chain(twice.iter().copied()) {
                queue.tell(Event { subject: Subject::Order(order), change: "CREATED", at });
            }
        }
    }

    fn life_mut(&mut self, order: u32) -> &mut Life {
        let fresh = self.fresh_life(order);
        let key = (fresh.updated.div_euclid(1_000), order);
        self.lives.entry(order).or_insert_with(|| {
            self.by_update.insert(key);
            fresh
        })
    }

    fn fresh_life(&self, order: u32) -> Life {
        let placed = self.placed_at(order);
        Life {
            status: if self.autoconfirm { Status::Confirmed } else { Status::Pending },
            on_hold: false,
            waiting_for_payment: false,
            locked: false,
            internal: false,
            placed,
            updated: placed,
            internal_comment: None,
            shipping: Address::default(),
            billing: Address::default(),
            comment: None,
            cancelled: Vec::new(),
        }
    }

    /// Dates a change of an order that is told elsewhere.
    fn touch(&mut self, order: u32, at: i64) {
        let life = self.life_mut(order);
        let before = (life.updated.div_euclid(1_000), order);
        life.updated = at.max(life.updated);
        let after = (life.updated.div_euclid(1_000), order);
        self.by_update.remove(&before);
        self.by_update.insert(after);
    }

    /// An order with shipments is processing, or shipped.
    fn settle_status(&mut self, order: u32, at: i64) {
        let status = self.status_by_shipments(order);
        if status == Some(Status::Shipped) && matches!(self.life(order).status, Status::Confirmed | Status::Processing) {
            self.returns.left.push(order);
        }
        let life = self.life_mut(order);
        let before = (life.updated.div_euclid(1_000), order);
        life.updated = at.max(life.updated);
        let after = (life.updated.div_euclid(1_000), order);
        if let Some(status) = status.filter(|_| life.status != Status::Cancelled) {
            life.status = status;
        }
        self.by_update.remove(&before);
        self.by_update.insert(after);
    }

    fn change(&mut self, order: u32, at: i64, change: Change) {
        if change.status == Some(Status::Cancelled) && self.life(order).status != Status::Cancelled {
            let goods = change.goods.unwrap_or_default();
            for line in self.base(order).lines {
                self.ledger.cancel(line.id, i32::MAX, goods);
            }
        }
        for (lines, goods) in [(&change.cancel, Goods::Release), (&change.discard, Goods::Remove)] {
            self.cancel_lines(order, lines, goods);
        }
        let life = self.life_mut(order);
        let before = (life.updated.div_euclid(1_000), order);
        life.updated = at.max(life.updated);
        let after = (life.updated.div_euclid(1_000), order);
        life.status = change.status.unwrap_or(life.status);
        life.on_hold = change.on_hold.unwrap_or(life.on_hold);
        life.waiting_for_payment = change.waiting_for_payment.unwrap_or(life.waiting_for_payment);
        life.locked = change.locked.unwrap_or(life.locked);
        life.internal = change.internal.unwrap_or(life.internal);
        if change.internal_comment.is_some() {
            life.internal_comment = change.internal_comment;
        }
        if change.comment.is_some() {
            life.comment = change.comment;
        }
        for (mine, new) in [(&mut life.shipping, change.shipping), (&mut life.billing, change.billing)] {
            if let Some(new) = new {
                overlay(mine, &new);
            }
        }
        self.by_update.remove(&before);
        self.by_update.insert(after);
        if self.shipments.of(order).next().is_some() {
            self.settle_status(order, at);
        }
    }

    /// Cancels units of lines; the parts of a bundle go with it.
    fn cancel_lines(&mut self, order: u32, lines: &[(i32, i32)], goods: Goods) {
        if lines.is_empty() {
            return;
        }
        let before = self.order(order).0;
        let life = self.life_mut(order);
        for (line, units) in lines {
            match life.cancelled.iter_mut().find(|(known, _)| known == line) {
                Some((_, sum)) => *sum += units,
                None => life.cancelled.push((*line, *units)),
            }
        }
        for (old, new) in before.lines.iter().zip(self.order(order).0.lines) {
            if new.cancelled > old.cancelled {
                self.ledger.cancel(new.id, new.cancelled - old.cancelled, goods);
            }
        }
    }

    /// How many orders are placed: those with an index below it.
    pub fn placed(&self) -> u32 {
        self.batches.last().map_or(0, |batch| batch.to)
    }

    /// How many orders of the catalogue were placed, or refused because something was missing.
    pub fn attempted(&self) -> u32 {
        self.attempted
    }

    /// How many orders were placed that are not in the catalogue.
    pub fn bought(&self) -> u32 {
        u32::try_from(self.sales.len()).unwrap_or(u32::MAX)
    }

    /// What the chances of an order go by: its index in the catalogue, or beyond its end.
    pub fn source(&self, order: u32) -> u32 {
        self.sources.get(order as usize).copied().unwrap_or(u32::MAX)
    }

    /// The order as it was placed.
    pub fn base(&self, order: u32) -> Order {
        let source = self.source(order);
        match source.checked_sub(self.catalogue.orders()).and_then(|extra| Some((extra, self.sales.get(extra as usize)?))) {
            Some((extra, sale)) => sale.order(&self.catalogue, extra),
            None => self.catalogue.order(source),
        }
    }

    /// The number of an order.
    pub fn number(&self, order: u32) -> i32 {
        let source = self.source(order);
        match source.checked_sub(self.catalogue.orders()) {
            Some(extra) => self.catalogue.number_beyond(extra).unwrap_or(0),
            None => self.catalogue.number(source),
        }
    }

    /// Takes the rules of stock that are in force from now on.
    /// Errors when the journal cannot be written.
    pub fn adopt(&mut self, rules: Rules, fill: bool) -> anyhow::Result<()> {
        self.rules = rules;
        self.shelf.odd_eans = rules.odd_eans;
        if self.ledger.fill != fill {
            self.record(Entry::Fill { on: fill })?;
        }
        Ok(())
    }

    /// When the last batch was placed, in milliseconds since 1970.
    pub fn last_placed_at(&self) -> i64 {
        self.batches.last().map_or(0, |batch| batch.at)
    }

    fn placed_at(&self, order: u32) -> i64 {
        let at = self.batches.partition_point(|batch| batch.to <= order);
        self.batches.get(at).map_or(0, |batch| batch.at)
    }

    /// Whether a planned edit was made.
    pub fn is_done(&self, order: u32, planned: u8) -> bool {
        self.done.contains(&(order, planned))
    }

    /// How many planned edits were made.
    pub fn edits_done(&self) -> usize {
        self.done.iter().filter(|(_, number)| *number < super::returns::FIRST_ACT).count()
    }

    /// How an order stands now.
    pub fn life(&self, order: u32) -> Life {
        match self.lives.get(&order) {
            Some(life) => life.clone(),
            None => self.fresh_life(order),
        }
    }

    /// An order as it is now, with its life.
    pub fn order(&self, index: u32) -> (Order, Life) {
        let life = self.life(index);
        let mut order = self.base(index);
        overlay(&mut order.shipping_address, &life.shipping);
        overlay(&mut order.billing_address, &life.billing);
        if let Some(comment) = &life.comment {
            order.comment.clone_from(comment);
        }
        for (id, units) in &life.cancelled {
            let Some(at) = order.lines.iter().position(|line| line.id == *id) else {
                continue;
            };
            cancel(&mut order, at, *units);
        }
        (order, life)
    }

    /// The placed order with this number.
    pub fn find(&self, number: i64) -> Option<u32> {
        self.by_number.get(&i32::try_from(number).ok()?).copied()
    }

    /// When the order was created: as the data say, else when it was placed.
    pub fn created(&self, order: u32) -> Timestamp {
        let own = Some(self.source(order)).filter(|source| *source < self.catalogue.orders());
        own.and_then(|source| self.catalogue.own_time(source)).unwrap_or_else(|| moment(self.placed_at(order)))
    }

    /// Where an order stands in a sort.
    pub fn key(&self, sort: Sort, order: u32) -> Key {
        match sort {
            Sort::Placed => (0, order),
            Sort::Number => (i64::from(self.number(order)), order),
            Sort::Updated => (self.updated_second(order), order),
        }
    }

    /// By when an order was last placed or changed: the end of that second.
    pub fn last_change(&self) -> Option<Timestamp> {
        let last = self.walk(Sort::Updated, true, None).next()?;
        Timestamp::from_second(self.updated_second(last) + 1).ok()
    }

    fn updated_second(&self, order: u32) -> i64 {
        self.lives.get(&order).map_or_else(|| self.placed_at(order), |life| life.updated).div_euclid(1_000)
    }

    /// The placed orders beyond `after` in a sort, upwards or downwards.
    pub fn walk(&self, sort: Sort, down: bool, after: Option<Key>) -> Box<dyn Iterator<Item = u32> + '_> {
        let placed = self.placed();
        match sort {
            Sort::Placed => {
                let (mut low, mut high) = (0, placed);
                match (after, down) {
                    (Some((_, order)), false) => low = order.saturating_add(1),
                    (Some((_, order)), true) => high = order.min(placed),
                    (None, _) => {}
                }
                direction(low..high.max(low), down)
            }
            Sort::Number => {
                let number = after.map(|(number, _)| i32::try_from(number).unwrap_or(i32::MAX));
                let bounds = match (number, down) {
                    (Some(number), false) => (std::ops::Bound::Excluded(number), std::ops::Bound::Unbounded),
                    (Some(number), true) => (std::ops::Bound::Unbounded, std::ops::Bound::Excluded(number)),
                    (None, _) => (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded),
                };
                let found = self.by_number.range(bounds).map(|(_, order)| *order);
                if down { Box::new(found.rev()) } else { Box::new(found) }
            }
            Sort::Updated => {
                // Untouched orders are sorted by placing; touched ones have an index of their own.
                let split = |key: Key| {
                    let batch = self.batches.partition_point(|batch| batch.at.div_euclid(1_000) < key.0);
                    let start = self.batches.get(batch).map_or(placed, |batch| batch.from);
                    let end = self.batches.partition_point(|batch| batch.at.div_euclid(1_000) <= key.0);
                    let end = self.batches.get(end).map_or(placed, |batch| batch.from);
                    (start, end)
                };
                let (mut low, mut high) = (0, placed);
                let bounds = match (after, down) {
                    (Some(key), false) => {
                        let (start, end) = split(key);
                        low = key.1.saturating_add(1).clamp(start, end);
                        (std::ops::Bound::Excluded(key), std::ops::Bound::Unbounded)
                    }
                    (Some(key), true) => {
                        let (start, end) = split(key);
                        high = key.1.clamp(start, end);
                        (std::ops::Bound::Unbounded, std::ops::Bound::Excluded(key))
                    }
                    (None, _) => (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded),
                };
                let untouched = direction(low..high.max(low), down)
                    .filter(|order| !self.lives.contains_key(order))
                    .map(|order| (self.updated_second(order), order));
                let touched = self.by_update.range(bounds).copied();
                let touched: Box<dyn Iterator<Item = Key>> = if down { Box::new(touched.rev()) } else { Box::new(touched) };
                Box::new(Merge { left: untouched.peekable(), right: touched.peekable(), down })
            }
        }
    }
}

fn direction(range: std::ops::Range<u32>, down: bool) -> Box<dyn Iterator<Item = u32>> {
    if down { Box::new(range.rev()) } else { Box::new(range) }
}

struct Merge<L: Iterator<Item = Key>, R: Iterator<Item = Key>> {
    left: std::iter::Peekable<L>,
    right: std::iter::Peekable<R>,
    down: bool,
}

impl<L: Iterator<Item = Key>, R: Iterator<Item = Key>> Iterator for Merge<L, R> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let from_left = match (self.left.peek(), self.right.peek()) {
            (Some(left), Some(right)) => (left < right) != self.down,
            (left, _) => left.is_some(),
        };
        let key = if from_left { self.left.next() } else { self.right.next() };
        key.map(|(_, order)| order)
    }
}

/// Milliseconds since 1970 as a point in time.
pub fn moment(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Cancels units of a line; a bundle's items go with it.
fn cancel(order: &mut Order, at: usize, units: i32) {
    let Some(line) = order.lines.get_mut(at) else {
        return;
    };
    line.cancelled = (line.cancelled + units).min(line.ordered);
    let (share, of) = (line.cancelled, line.ordered.max(1));
    for item in &mut order.lines {
        if item.kind == LineKind::BundleItem(at) {
            item.cancelled = item.ordered / of * share;
        }
    }
}

fn overlay(mine: &mut Address, new: &Address) {
    let pairs = [
        (&mut mine.first_name, &new.first_name),
        (&mut mine.last_name, &new.last_name),
        (&mut mine.company, &new.company),
        (&mut mine.attention, &new.attention),
        (&mut mine.address1, &new.address1),
        (&mut mine.address2, &new.address2),
        (&mut mine.city, &new.city),
        (&mut mine.zip, &new.zip),
        (&mut mine.state, &new.state),
        (&mut mine.email, &new.email),
        (&mut mine.phone, &new.phone),
        (&mut mine.cell_phone, &new.cell_phone),
    ];
    for (mine, new) in pairs {
        if new.is_some() {
            mine.clone_from(new);
        }
    }
}

/// Ids as ranges, both ends in.
pub fn ranges(mut ids: Vec<i32>) -> Vec<(i32, i32)> {
    ids.sort_unstable();
    let mut ranges: Vec<(i32, i32)> = Vec::new();
    for id in ids {
        match ranges.last_mut() {
            Some((_, last)) if id <= last.saturating_add(1) => *last = id.max(*last),
            _ => ranges.push((id, id)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Source;

    fn catalogue() -> Arc<Catalogue> {
        Arc::new(Catalogue::open(5, &Source::Generated { orders: 300 }).unwrap())
    }

    fn place(state: &mut State, from: u32, to: u32, at: i64) {
        state.record(Entry::Placed { from, to, at, twice: vec![from], held: vec![], waiting: vec![], refused: vec![] }).unwrap();
    }

    fn listen(state: &mut State) {
        state
            .record(Entry::Listen {
                queue: "q".into(),
                object: "Order".into(),
                changes: vec!["CREATED".into(), "UPDATED".into()],
                at: 1,
            })
            .unwrap();
    }

    fn touch(state: &mut State, order: u32, at: i64) {
        let change = Change { comment: Some(format!("touched {at}")), ..Change::default() };
        state.record(Entry::Changed { order, at, change: Box::new(change), planned: Some(1) }).unwrap();
    }

    #[test]
    fn walks_are_sorted_complete_and_resume_anywhere() {
        let mut state = State::open(catalogue(), "x", true, None).unwrap();
        for (from, to, at) in [(0, 10, 1_000), (10, 50, 1_900), (50, 100, 2_500), (100, 200, 9_000)] {
            place(&mut state, from, to, at);
        }
        for (order, at) in [(3, 2_600), (99, 9_500), (120, 9_100), (7, 30_000), (3, 9_000), (199, 9_001)] {
            touch(&mut state, order, at);
        }
        for sort in [Sort::Placed, Sort::Number, Sort::Updated] {
            let up: Vec<u32> = state.walk(sort, false, None).collect();
            let mut down: Vec<u32> = state.walk(sort, true, None).collect();
            down.reverse();
            assert_eq!(up, down, "{sort:?}");
            assert_eq!(up.len(), 200);
            let keys: Vec<Key> = up.iter().map(|order| state.key(sort, *order)).collect();
            assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "{sort:?}");
            for at in 0..200 {
                let rest: Vec<u32> = state.walk(sort, false, Some(keys[at])).collect();
                assert_eq!(rest, up[at + 1..], "{sort:?} after {at}");
                let mut before: Vec<u32> = state.walk(sort, true, Some(keys[at])).collect();
                before.reverse();
                assert_eq!(before, up[..at], "{sort:?} before {at}");
            }
        }
    }

    #[test]
    fn events_come_again_until_they_are_confirmed() {
        let mut state = State::open(catalogue(), "x", true, None).unwrap();
        place(&mut state, 0, 2, 10);
        listen(&mut state);
        assert!(state.queues["q"].events.is_empty(), "nothing before the listener");
        place(&mut state, 2, 5, 20);
        touch(&mut state, 2, 30);
        let ids: Vec<i32> = state.queues["q"].events.keys().copied().collect();
        assert_eq!(ids.len(), 5, "three, one of them twice, and an update");
        state.record(Entry::Confirmed { queue: "q".into(), ids: ranges(vec![ids[1], ids[0], ids[0], 999]) }).unwrap();
        assert_eq!(state.queues["q"].events.len(), 3);
        state.record(Entry::Unlisten { queue: "q".into(), object: "Order".into(), changes: vec!["CREATED".into()] }).unwrap();
        let left: Vec<&str> = state.queues["q"].events.values().map(|e| e.change).collect();
        assert_eq!(left, ["UPDATED"]);
    }

    #[test]
    fn a_reopened_journal_is_the_same_world() {
        let folder = std::env::temp_dir().join(format!("sim-centra-{}", uuid::Uuid::new_v4()));
        {
            let mut state = State::open(catalogue(), "x", true, Some(&folder)).unwrap();
            listen(&mut state);
            state
                .record(Entry::Placed {
                    from: 0,
                    to: 100,
                    at: 5_000,
                    twice: vec![4],
                    held: vec![9],
                    waiting: vec![],
                    refused: vec![],
                })
                .unwrap();
            let line = state.catalogue.order(3).lines[0].id;
            let change = Change {
                cancel: vec![(line, 1)],
                shipping: Some(Address { phone: Some("+46 8 1".into()), ..Address::default() }),
                ..Change::default()
            };
            state.record(Entry::Changed { order: 3, at: 8_000, change: Box::new(change), planned: Some(2) }).unwrap();
            state.record(Entry::Confirmed { queue: "q".into(), ids: vec![(1, 50)] }).unwrap();
            for (internal, external) in [(7, "a"), (8, "a"), (8, "b")] {
                state
                    .record(Entry::Mapped { queue: "q".into(), kind: "Order".into(), internal, external: external.into() })
                    .unwrap();
            }
        }
        let state = State::open(catalogue(), "x", true, Some(&folder)).unwrap();
        assert_eq!(state.starts(), 1);
        assert_eq!(state.placed(), 100);
        assert!(state.life(9).on_hold);
        let (order, life) = state.order(3);
        assert_eq!(life.updated, 8_000);
        assert_eq!(order.lines[0].cancelled, 1);
        assert_eq!(order.shipping_address.phone.as_deref(), Some("+46 8 1"));
        assert!(state.is_done(3, 2) && !state.is_done(3, 1));
        let queue = &state.queues["q"];
        assert_eq!(queue.events.len(), 52);
        assert_eq!(queue.internal("Order", "a"), None);
        assert_eq!(queue.internal("Order", "b"), Some(8));
        assert_eq!(queue.external("Order", 7), None);
        drop(state);
        assert!(State::open(catalogue(), "y", true, Some(&folder)).is_err());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
