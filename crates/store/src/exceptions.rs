//! Exceptions: one per root cause, with what it holds.

use jiff::Timestamp;
use selvedge_model::{Brand, ExceptionId, FlowName, ObligationId, Problem};

use crate::{Result, Tx, View};

/// One exception.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ExceptionRow {
    /// Its row.
    pub id: ExceptionId,
    /// In which flow; empty for one about a connection.
    pub flow: FlowName,
    /// The first problem met: rule, path, value, message, remedy, cause.
    pub problem: Problem,
    /// Open, or closed.
    pub open: bool,
    /// How many obligations it holds now.
    pub count: u64,
    /// When it was first met.
    pub first_seen_at: Timestamp,
    /// When it was last met.
    pub last_seen_at: Timestamp,
    /// When and why it closed.
    pub closed: Option<String>,
    /// Money held, as text per currency: `18200.00 EUR`.
    pub money: Vec<String>,
}

impl Tx<'_> {
    /// The open exception for this root cause in this flow, made if there is none (a closed one
    /// with the same cause is opened again with its history).
    pub fn raise(&self, _brand: &Brand, _flow: &FlowName, _problem: &Problem, _now: Timestamp) -> Result<ExceptionId> {
        todo!("helper")
    }

    /// Sends everything it holds back to the gate; returns how many. The exception closes when the
    /// last of them has settled elsewhere, so here only if it held nothing.
    pub fn release(&self, _id: ExceptionId, _limit: Option<usize>, _now: Timestamp) -> Result<u64> {
        todo!("helper")
    }

    /// Lets everything it holds go, with a reason; returns how many.
    pub fn dismiss(&self, _id: ExceptionId, _reason: &str, _now: Timestamp) -> Result<u64> {
        todo!("helper")
    }

    /// Closes the open exceptions of a flow that hold nothing any more; returns them.
    pub fn close_empty(&self, _brand: &Brand, _now: Timestamp) -> Result<Vec<ExceptionId>> {
        todo!("helper")
    }
}

impl View<'_> {
    /// Exceptions, the ones that hold most first; open ones only unless `all`.
    pub fn exceptions(&self, _brand: &Brand, _all: bool) -> Result<Vec<ExceptionRow>> {
        todo!("helper")
    }

    /// One exception.
    pub fn exception(&self, _id: ExceptionId) -> Result<ExceptionRow> {
        todo!("helper")
    }

    /// The open exceptions with this cause, whatever the flow.
    pub fn exceptions_by_cause(&self, _brand: &Brand, _cause: &str) -> Result<Vec<ExceptionId>> {
        todo!("helper")
    }

    /// What it holds, oldest first.
    pub fn held_by(&self, _id: ExceptionId, _limit: usize) -> Result<Vec<(ObligationId, String)>> {
        todo!("helper")
    }
}
