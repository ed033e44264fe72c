//! Trouble with a connection as a whole: one exception for it, not one per row, closed by the
//! first call that comes through again.

use selvedge_connector::Fault;
use selvedge_model::{ConnectionName, FlowName, Problem};
use selvedge_store::Result;

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

/// What a fault says about the connection rather than about the row.
fn problem_of(connection: &ConnectionName, fault: &Fault) -> Option<Problem> {
    match fault {
        Fault::Unauthorized { detail, .. } => Some(
            Problem::new(
                "connection.credentials",
                format!("connections.{connection}"),
                format!("{connection} refuses our credentials or permissions: {detail}"),
                "Renew the credentials or grant the permission, then see that it is well: selvedge check. Everything that waits goes on by itself.",
            )
            .cause(connection.as_str()),
        ),
        _ => None,
    }
}

impl Engine {
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
        self.locked_pauses().insert(connection.clone(), after(now, PAUSE_UNAUTHORIZED));
        let brand = self.brand().clone();
        self.store().write(move |tx| tx.raise_standing(&brand, &FlowName::default(), &problem, now).map(|_| ())).await
    }

    /// Notes that a connection answers again.
    pub(crate) async fn note_well(&self, connection: &ConnectionName) -> Result<()> {
        if self.locked_pauses().remove(connection).is_none() {
            return Ok(());
        }
        let (brand, now) = (self.brand().clone(), self.now());
        let cause = format!("connection.credentials:{connection}");
        self.store().write(move |tx| tx.settle_standing(&brand, &cause, "the connection answers again", now)).await
    }
}
