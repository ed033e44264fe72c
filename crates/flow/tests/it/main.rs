//! The journey against systems that live in memory: seeded, stepped, crashed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod alerts;
mod desk;
mod fake;
mod journey;
mod keeper;
mod pauses;
mod preflight;
mod products;
mod promises;
mod reconcile;
mod replay;
mod returns;
mod shadow;
mod simulate;
mod stock;
mod warehouses;
mod webhooks;
