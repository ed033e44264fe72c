//! The journey against systems that live in memory: seeded, stepped, crashed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod fake;
mod journey;
mod preflight;
mod simulate;
mod stock;
