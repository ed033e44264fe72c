//! Events as they come in, put together into what can be played.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use selvedge_model::{
    LocationId, Sku,
    stock::rehearse::{Event, Recorded},
};
use serde::Serialize;

/// How many bad rows are named one by one; the rest is only counted.
const NAMED_MAX: usize = 1_000;

/// A row that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BadRow {
    /// In which file.
    pub file: String,
    /// On which line, the header being the first.
    pub line: u64,
    /// Why.
    pub why: String,
}

impl std::fmt::Display for BadRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, line {}: {}", self.file, self.line, self.why)
    }
}

/// How much a recording holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    /// The first event.
    pub from: Timestamp,
    /// The last event.
    pub until: Timestamp,
    /// From the one to the other, in milliseconds.
    pub length_ms: u64,
    /// SKUs.
    pub skus: u64,
    /// Order lines.
    pub lines: u64,
    /// Movements apart from the shop's own orders.
    pub moves: u64,
}

/// A recording with what is known about it.
#[derive(Clone, Debug)]
pub struct Material {
    /// What can be played.
    pub recorded: Vec<Recorded>,
    /// How much it is.
    pub span: Span,
    /// What has to be known about it.
    pub notes: Vec<String>,
    /// Rows that were left out.
    pub bad_rows: u64,
    /// The first of them.
    pub bad: Vec<BadRow>,
}

impl Material {
    /// When a stretch of this length has the most order lines, in milliseconds from the beginning; the first of several.
    pub fn busiest(&self, length_ms: u64) -> u64 {
        let lines = self.recorded.iter().flat_map(|item| &item.events);
        let mut at: Vec<u64> = lines.filter(|(_, event)| matches!(event, Event::ShopOrder { .. })).map(|(at, _)| *at).collect();
        at.sort_unstable();
        let (mut best, mut most, mut end) = (0, 0, 0);
        for (start, from) in at.iter().enumerate() {
            while at.get(end).is_some_and(|at| *at < from.saturating_add(length_ms)) {
                end += 1;
            }
            if end.saturating_sub(start) > most {
                (best, most) = (*from, end - start);
            }
        }
        best
    }
}

/// One SKU as it comes in; times in milliseconds since 1970.
#[derive(Debug, Default)]
struct Item {
    opening: Option<i64>,
    events: Vec<(i64, Event)>,
}

/// Takes events in any order.
#[derive(Debug, Default)]
pub struct Gather {
    items: BTreeMap<String, Item>,
    orders: HashMap<String, u32>,
    events: usize,
    /// What has to be known.
    pub notes: Vec<String>,
    bad_rows: u64,
    bad: Vec<BadRow>,
}

impl Gather {
    fn item(&mut self, sku: &str) -> &mut Item {
        // Looked up first: the key is only copied for a SKU that is new.
        if !self.items.contains_key(sku) {
            self.items.insert(sku.to_owned(), Item::default());
        }
        self.items.entry(sku.to_owned()).or_default()
    }

    /// What is there when it begins; false if that was said already.
    pub fn opening(&mut self, sku: &str, units: i64) -> bool {
        let item = self.item(sku);
        let new = item.opening.is_none();
        item.opening.get_or_insert(units);
        new
    }

    /// A line of an order in the shop.
    pub fn order(&mut self, at_ms: i64, order: &str, sku: &str, units: u32) {
        let next = u32::try_from(self.orders.len()).unwrap_or(u32::MAX);
        let number = match self.orders.get(order) {
            Some(number) => *number,
            None => *self.orders.entry(order.to_owned()).or_insert(next),
        };
        self.item(sku).events.push((at_ms, Event::ShopOrder { units, order: Some(number) }));
        self.events += 1;
    }

    /// A movement apart from the shop's own orders.
    pub fn moved(&mut self, at_ms: i64, sku: &str, delta: i32) {
        self.item(sku).events.push((at_ms, Event::SourceMove { delta }));
        self.events += 1;
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.events
    }

    /// A row that is left out.
    pub fn bad(&mut self, file: &str, line: u64, why: impl Into<String>) {
        self.bad_rows += 1;
        if self.bad.len() < NAMED_MAX {
            self.bad.push(BadRow { file: file.to_owned(), line, why: why.into() });
        }
    }

    /// How many rows were left out, and the first.
    pub fn left_out(&self) -> (u64, String) {
        (self.bad_rows, self.bad.first().map_or_else(|| "none".to_owned(), ToString::to_string))
    }

    /// What it comes to; none without an event. SKUs with no opening figure begin with nought, and a note says so.
    pub fn finish(mut self) -> Option<Material> {
        let times = || self.items.values().flat_map(|item| &item.events).map(|(at, _)| *at);
        let (first, last) = (times().min()?, times().max()?);
        let unopened = self.items.values().filter(|item| item.opening.is_none()).count();
        if unopened > 0 {
            self.notes.push(format!("{unopened} SKUs have no opening figure; they begin with nothing."));
        }
        let (mut lines, mut moves) = (0, 0);
        let mut recorded = Vec::with_capacity(self.items.len());
        for (sku, item) in self.items {
            let events: Vec<(u64, Event)> =
                item.events.into_iter().map(|(at, event)| (at.saturating_sub(first).unsigned_abs(), event)).collect();
            let own = events.iter().filter(|(_, event)| matches!(event, Event::ShopOrder { .. })).count();
            lines += own;
            moves += events.len() - own;
            recorded.push(Recorded {
                sku: Sku(sku),
                place: LocationId::new("all"),
                categories: Vec::new(),
                opening: item.opening.unwrap_or(0),
                events,
            });
        }
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let span = Span {
            from: Timestamp::from_millisecond(first).ok()?,
            until: Timestamp::from_millisecond(last).ok()?,
            length_ms: last.saturating_sub(first).unsigned_abs(),
            skus: count(recorded.len()),
            lines: count(lines),
            moves: count(moves),
        };
        Some(Material { recorded, span, notes: self.notes, bad_rows: self.bad_rows, bad: self.bad })
    }
}
