//! Stand-ins for the systems, over real HTTP; a world to step.
//!
//! This crate knows no crate of ours: it speaks only the vendors' wire formats, written from the
//! vendors' papers a second time, so that a misreading in a connector is caught and not mirrored.

pub mod centra;
pub mod channels;
pub mod data;
pub mod incumbent;
pub mod journal;
pub mod linnworks;
pub mod mischief;
pub mod netsuite;
pub mod shelf;
pub mod threepl;
pub mod veeqo;
pub mod wire;
pub mod world;
pub mod wrong;
