//! What traces tell of the journey: which verb worked on which record, and the calls that it made.

use selvedge_store::obligations::ObligationRow;
use tracing::Span;

use crate::FlowSetup;

/// One verb on one row.
pub(crate) fn of_row(verb: &'static str, flow: &FlowSetup, row: &ObligationRow) -> Span {
    tracing::debug_span!(
        "record",
        otel.name = verb,
        flow = %flow.name,
        kind = %row.kind,
        key = %row.key,
        revision = row.revision,
        obligation = %row.id,
    )
}

/// One verb on so many rows at once.
pub(crate) fn of_batch(verb: &'static str, of: &str, rows: usize) -> Span {
    tracing::debug_span!("records", otel.name = verb, of, rows)
}
