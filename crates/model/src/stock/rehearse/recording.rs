//! Recorded days, in a form that is quick to play.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{
    super::{
        buffer,
        velocity::{Demand, Prior},
    },
    TIME_MAX,
};
use crate::id::{LocationId, Sku};

/// No recording has more events. With units of 32 bits, no sum of so many can overflow.
const EVENTS_MAX: usize = 1 << 30;

/// No opening figure is further from nought.
const OPENING_MAX: u64 = 1_000_000_000_000_000;

/// Something that happened to one SKU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// An order line in the shop, accepted then or not.
    ShopOrder {
        /// Units wanted.
        units: u32,
        /// Which order it belongs to, by a number that counts up from nought over the recording.
        order: Option<u32>,
    },
    /// The source's figure moved, apart from the shop's own orders.
    SourceMove {
        /// By so many units.
        delta: i32,
    },
}

/// What happened to one SKU at one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// The SKU.
    pub sku: Sku,
    /// The place.
    pub place: LocationId,
    /// The groups that it belongs to, for the buffer rules.
    pub categories: Vec<String>,
    /// Units truly there when it begins.
    pub opening: i64,
    /// What happened, and how many milliseconds after the beginning. Put in order by time; what has the same
    /// time keeps its order.
    pub events: Vec<(u64, Event)>,
}

/// Why a recording cannot be played.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordingError {
    /// More events than can be held.
    #[error("a recording has at most {EVENTS_MAX} events")]
    TooLong,
    /// An event after the end, or an end past all reason.
    #[error("an event of {0} lies after the end of the recording, or the end is too far")]
    AfterEnd(Sku),
    /// An opening figure that no sum can begin with.
    #[error("the opening figure of {0} is too large")]
    Opening(Sku),
    /// Orders must be numbered without large gaps.
    #[error("order {0} has a number beyond the number of events; count orders up from nought")]
    OrderNumber(u32),
}

/// One SKU: where its orders and moves lie, and what buffers depend on.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub opening: i64,
    pub orders: Range<usize>,
    pub moves: Range<usize>,
    pub row: buffer::Row,
}

/// Recorded days.
#[derive(Clone, Debug)]
pub struct Recording {
    pub(super) items: Vec<Item>,
    pub(super) order_at: Vec<i64>,
    pub(super) order_units: Vec<u32>,
    /// The number of the order; [`u32::MAX`]: not known.
    pub(super) order_number: Vec<u32>,
    pub(super) move_at: Vec<i64>,
    pub(super) move_delta: Vec<i32>,
    pub(super) until: i64,
    /// How many orders there may be; `None` when a line's order is not known.
    pub(super) order_count: Option<u32>,
    pub(super) longest: usize,
    pub(super) prior: Prior,
}

impl Recording {
    /// Makes it ready; `until_ms`: its length.
    ///
    /// # Errors
    /// [`RecordingError`].
    pub fn new(recorded: Vec<Recorded>, until_ms: u64) -> Result<Self, RecordingError> {
        let count: usize = recorded.iter().map(|item| item.events.len()).sum();
        if count > EVENTS_MAX {
            return Err(RecordingError::TooLong);
        }
        let mut recording = Self {
            items: Vec::with_capacity(recorded.len()),
            order_at: Vec::new(),
            order_units: Vec::new(),
            order_number: Vec::new(),
            move_at: Vec::new(),
            move_delta: Vec::new(),
            until: instant(until_ms),
            order_count: Some(0),
            longest: 0,
            prior: Prior::STILL,
        };
        for item in recorded {
            recording.add(item, until_ms, count)?;
        }
        recording.prior = Prior::of_range(recording.items.iter().map(|item| &item.row.demand));
        Ok(recording)
    }

    /// How many SKUs, order lines and moves it has.
    pub fn size(&self) -> (usize, usize, usize) {
        (self.items.len(), self.order_at.len(), self.move_at.len())
    }

    fn add(&mut self, mut item: Recorded, until_ms: u64, count: usize) -> Result<(), RecordingError> {
        if item.opening.unsigned_abs() > OPENING_MAX {
            return Err(RecordingError::Opening(item.sku));
        }
        item.events.sort_by_key(|(at, _)| *at);
        if until_ms > TIME_MAX || item.events.last().is_some_and(|(at, _)| *at > until_ms) {
            return Err(RecordingError::AfterEnd(item.sku));
        }
        let (orders, moves) = (self.order_at.len(), self.move_at.len());
        let mut demand = Demand { watched_ms: until_ms, ..Demand::default() };
        for (at, event) in item.events {
            match event {
                Event::ShopOrder { units, order } => {
                    if let Some(number) = order.filter(|number| *number as usize >= count) {
                        return Err(RecordingError::OrderNumber(number));
                    }
                    self.order_count = self.order_count.zip(order).map(|(count, number)| count.max(number + 1));
                    self.order_at.push(instant(at));
                    self.order_units.push(units);
                    self.order_number.push(order.unwrap_or(u32::MAX));
                }
                Event::SourceMove { delta } => {
                    demand.drop(i64::from(delta).saturating_neg(), 0);
                    self.move_at.push(instant(at));
                    self.move_delta.push(delta);
                }
            }
        }
        self.longest = self.longest.max(self.order_at.len() - orders);
        let row = buffer::Row {
            sku: item.sku,
            place: item.place,
            categories: item.categories,
            net: item.opening,
            not_taken_in: 0,
            demand,
            window_ms: 0,
            unit_value: None,
        };
        let (orders, moves) = (orders..self.order_at.len(), moves..self.move_at.len());
        self.items.push(Item { opening: item.opening, orders, moves, row });
        Ok(())
    }
}

/// Milliseconds as a signed number; what is too long is cut.
pub(super) fn instant(ms: u64) -> i64 {
    i64::try_from(ms.min(TIME_MAX)).unwrap_or(i64::MAX)
}
