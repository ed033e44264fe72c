//! What the warehouse knows. Every change is journalled as the whole of what changed.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::bail;
use serde::{Deserialize, Serialize};

use crate::journal::Journal;

use super::files::{Announcement, Arrival, Order};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    World { identity: String },
    Order(Box<Order>),
    Announcement(Box<Announcement>),
    Arrival(Box<Arrival>),
    File(u64),
}

/// Everything.
#[derive(Debug)]
pub struct State {
    /// By the file that brought it.
    pub orders: BTreeMap<String, Order>,
    /// By the shop's number of the return.
    pub announcements: BTreeMap<String, Announcement>,
    /// By what brought them about.
    pub arrivals: BTreeMap<String, Arrival>,
    files: u64,
    journal: Journal,
    starts: u64,
}

impl State {
    /// Opens what is kept in `path`, or something new that keeps nothing.
    pub fn open(identity: &str, path: Option<&Path>) -> anyhow::Result<State> {
        let mut state = State {
            orders: BTreeMap::new(),
            announcements: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            files: 0,
            journal: Journal::memory(),
            starts: 0,
        };
        if let Some(path) = path {
            let journal = Journal::open_with(path, |line| {
                match serde_json::from_value(line)? {
                    Entry::World { identity: kept } if kept != identity => bail!("this is the journal of another world: {kept}"),
                    Entry::World { .. } => state.starts += 1,
                    Entry::Order(order) => drop(state.orders.insert(order.file.clone(), *order)),
                    Entry::Announcement(one) => drop(state.announcements.insert(one.reference.clone(), *one)),
                    Entry::Arrival(one) => drop(state.arrivals.insert(one.cause.clone(), *one)),
                    Entry::File(number) => state.files = number,
                }
                Ok(())
            })?;
            state.journal = journal;
        }
        state.journal.append(&Entry::World { identity: identity.to_owned() })?;
        Ok(state)
    }

    /// How often it was started before.
    pub fn starts(&self) -> u64 {
        self.starts
    }

    /// The number of the next file; it is used up by [`State::take_file`], once the file stands.
    pub fn next_file(&self) -> u64 {
        self.files + 1
    }

    /// A file with this number stands.
    pub fn take_file(&mut self, number: u64) -> anyhow::Result<()> {
        self.journal.append(&Entry::File(number))?;
        self.files = number;
        Ok(())
    }

    /// Keeps an order as it now stands.
    pub fn put(&mut self, order: Order) -> anyhow::Result<()> {
        self.journal.append(&Entry::Order(Box::new(order.clone())))?;
        self.orders.insert(order.file.clone(), order);
        Ok(())
    }

    /// Keeps an announced return as it now stands.
    pub fn put_announcement(&mut self, one: Announcement) -> anyhow::Result<()> {
        self.journal.append(&Entry::Announcement(Box::new(one.clone())))?;
        self.announcements.insert(one.reference.clone(), one);
        Ok(())
    }

    /// Keeps what came back.
    pub fn put_arrival(&mut self, one: Arrival) -> anyhow::Result<()> {
        self.journal.append(&Entry::Arrival(Box::new(one.clone())))?;
        self.arrivals.insert(one.cause.clone(), one);
        Ok(())
    }
}
