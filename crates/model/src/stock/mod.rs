//! Stock: what may be sold of an item, and what may go wrong on the way to the shop.
//!
//! Reading order: what is free to sell and how that is explained; how much is held back; whether a
//! reading may take effect; what it means when the shop shows something else; how often to ask; and
//! what would have happened under other settings.

pub mod availability;
pub mod buffer;
pub mod drift;
pub mod explain;
pub mod guard;
#[cfg(test)]
mod laws;
pub mod pace;
pub mod rehearse;
pub mod velocity;
pub mod worth;

pub use availability::{Basis, NotTakenIn, Picture, Reserve, Terms, terms};
pub use buffer::{Buffer, DryRun, Rule, Selector, dry_run};
pub use explain::{Explained, Line, Term};
pub use velocity::{Demand, Prior};
pub use worth::Worth;
