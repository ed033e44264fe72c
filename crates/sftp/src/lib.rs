//! SFTP, both ends: the client that talks to a partner, and a server over a folder for stand-ins and tests.
//!
//! The only crate that knows the SSH libraries. A server is known by the fingerprint of its key, stated by a
//! person; whoever answers with another key is refused before a credential is sent.

mod client;
mod server;

#[cfg(test)]
mod tests;

pub use client::{Entry, Login, Remote, Sftp, SftpFault};
pub use server::{Fate, Gate, Operation, Served, Server};
