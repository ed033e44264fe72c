//! Trouble with a connection as a whole: one exception for it, not one per row, closed by the
//! first call that comes through again.
//!
//! Credentials that are refused are told at once. A system that is not reached, or serves nothing, is given some time
//! (`DeskSetup::down_after`): most of that passes by itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::PoisonError,
    time::Duration,
};

use selvedge_connector::{Fares, Fault};
use selvedge_model::{ConnectionName, FlowName, Problem};
use selvedge_store::{Result, Tx};

use crate::{
    backoff::after,
    engine::{Engine, PAUSE_UNAUTHORIZED},
};

/// The longest reason that is kept, in characters.
const WHY_CHARS_MAX: usize = 400;

/// Everything that a fault says, its root included.
pub(crate) fn said_by(fault: &Fault) -> String {
    let mut said = match fault {
        Fault::Refused { problems, .. } => {
            problems.iter().map(|problem| format!("{}. {}", problem.message, problem.remedy)).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    };
    let mut source = std::error::Error::source(fault);
    while let Some(error) = source {
        said = format!("{said}: {error}");
        source = error.source();
    }
    said.chars().take(WHY_CHARS_MAX).collect()
}

/// So many calls in a row must have failed: one that was the last for a while proves nothing.
const DOWN_CALLS_MIN: u32 = 3;

/// What is told of a system that is not reached.
pub const DOWN: &str = "connection.down";

/// What a fault says about the connection rather than about the row.
fn problem_of(connection: &ConnectionName, fault: &Fault) -> Option<Problem> {
    match fault {
        Fault::Unauthorized { detail, .. } => Some(
            Problem::new(
                "connection.credentials",
                format!("connections.{connection}"),
                format!("{connection} refuses our credentials or permissions: {detail}"),
                "Renew the credentials where the config says that they are kept, then start Selvedge again; or grant the permission at the system. See that it is well: selvedge check. Everything that waits goes on by itself.",
            )
            .cause(connection.as_str()),
        ),
        _ => None,
    }
}

/// A system that has not answered for so long.
fn is_down(connection: &ConnectionName, since: Duration) -> Problem {
    let minutes = since.as_secs() / 60;
    let long = if minutes < 2 { "a while".to_owned() } else { format!("{minutes} minutes") };
    Problem::new(
        DOWN,
        format!("connections.{connection}"),
        format!("{connection} is not reached or serves nothing: no call has come through for {long}"),
        "See the vendor's status page, and whether this machine reaches it: selvedge check. Nothing is lost: what is due waits, and this closes with the first call that comes through.",
    )
    .cause(connection.as_str())
}

impl Engine {
    /// Closes trouble with connections that are configured no more: no call of theirs will come through.
    pub(crate) async fn settle_unconfigured(&self) -> Result<()> {
        let (brand, now) = (self.brand().clone(), self.now());
        let known: BTreeSet<String> = self.setup().connections.keys().map(|name| name.0.clone()).collect();
        self.store()
            .write(move |tx| {
                for row in tx.exceptions(&brand, false)? {
                    let problem = &row.problem;
                    let about = problem.cause.strip_prefix(&problem.rule).and_then(|rest| rest.strip_prefix(':'));
                    let ours = matches!(problem.rule.as_str(), DOWN | "connection.credentials");
                    if ours && about.is_some_and(|name| !known.contains(name)) {
                        tx.settle_standing(&brand, &problem.cause, "the connection is configured no more", now)?;
                    }
                }
                Ok(())
            })
            .await
    }

    /// Tells of systems that are down, and of those that are back; how many.
    pub(crate) async fn watch_connections(&self) -> Result<usize> {
        let down_after = self.setup().desk.down_after;
        let mut news: BTreeMap<ConnectionName, Option<Duration>> = BTreeMap::new();
        {
            let mut told = self.down.lock().unwrap_or_else(PoisonError::into_inner);
            for (name, connection) in &self.setup().connections {
                let is_down = match connection.traffic.fares() {
                    Fares::Untried => continue,
                    Fares::Well => None,
                    Fares::Failing { since, calls } if since >= down_after && calls >= DOWN_CALLS_MIN => Some(since),
                    Fares::Failing { .. } => continue,
                };
                // The first time in this process, too: an earlier one may have told of trouble.
                if told.insert(name.clone(), is_down.is_some()) != Some(is_down.is_some()) {
                    news.insert(name.clone(), is_down);
                }
            }
        }
        let (brand, now, count) = (self.brand().clone(), self.now(), news.len());
        if count == 0 {
            return Ok(0);
        }
        let names: Vec<ConnectionName> = news.keys().cloned().collect();
        let write = move |tx: &Tx<'_>| {
            for (connection, down) in &news {
                match down {
                    Some(since) => {
                        tx.raise_standing_anew(&brand, &FlowName::default(), &is_down(connection, *since), now)?;
                    }
                    None => tx.settle_standing(&brand, &format!("{DOWN}:{connection}"), "the system answers again", now)?,
                }
            }
            Ok(())
        };
        if let Err(error) = self.store().write(write).await {
            // It was not told after all: the next look tells it.
            self.down.lock().unwrap_or_else(PoisonError::into_inner).retain(|name, _| !names.contains(name));
            return Err(error);
        }
        Ok(count)
    }

    /// Whether the connection takes no calls: its credentials were refused, it was not reached several
    /// times in a row, or it asked for a pause. What is claimed meanwhile would only come back unsent.
    pub(crate) fn paused(&self, connection: &ConnectionName) -> bool {
        if self.setup().connections.get(connection).is_some_and(|c| c.traffic.rests().is_some()) {
            return true;
        }
        let now = self.now();
        self.locked_pauses().get(connection).is_some_and(|until| *until > now)
    }

    /// Notes what a fault says about a whole connection.
    pub(crate) async fn note_trouble(&self, connection: &ConnectionName, fault: &Fault) -> Result<()> {
        let Some(problem) = problem_of(connection, fault) else { return Ok(()) };
        let now = self.now();
        self.let_in.lock().unwrap_or_else(PoisonError::into_inner).remove(connection);
        self.locked_pauses().insert(connection.clone(), after(now, PAUSE_UNAUTHORIZED));
        let brand = self.brand().clone();
        self.store().write(move |tx| tx.raise_standing(&brand, &FlowName::default(), &problem, now).map(|_| ())).await
    }

    /// Notes that a connection answers again.
    pub(crate) async fn note_well(&self, connection: &ConnectionName) -> Result<()> {
        let paused = self.locked_pauses().remove(connection).is_some();
        // The first time in this process, too: new credentials came with a start, and an earlier process told of the old ones.
        let first = !self.let_in.lock().unwrap_or_else(PoisonError::into_inner).contains(connection);
        if !paused && !first {
            return Ok(());
        }
        let (brand, now) = (self.brand().clone(), self.now());
        let cause = format!("connection.credentials:{connection}");
        self.store().write(move |tx| tx.settle_standing(&brand, &cause, "the connection answers again", now)).await?;
        self.let_in.lock().unwrap_or_else(PoisonError::into_inner).insert(connection.clone());
        Ok(())
    }
}
