//! The built binary, as its users run it. One test binary, because linking is the dear part.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod alerts;
mod barriers;
mod conform;
mod credits;
mod demo;
mod detection;
mod live;
mod page;
mod people;
mod products;
mod replay;
mod returns;
mod shadow;
mod stock;
mod stock_page;
mod traces;
mod trust;
mod walks;
mod warehouse;
mod webhooks;
mod world;
