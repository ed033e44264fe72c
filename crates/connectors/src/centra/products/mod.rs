//! Products out of Centra: one record per size, because the size is what a warehouse keeps.
//!
//! `decode` reads one (pure), `source` lists, enumerates and fetches them.
//!
//! A size says little by itself: its name, weight and customs data are the product's, its price the variant's. Each of
//! the three levels has a date of change of its own, and a change of one does not date the others, so all three are looked
//! at, and the latest is the *as of* of the record. A price has no date at all: what changed about it is told by the queue
//! of events alone (`product_events`).

mod decode;
mod source;

#[cfg(test)]
mod tests;

pub use source::ProductSource;
