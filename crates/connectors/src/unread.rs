//! One document that a system refuses to show, so that it does not stop those beside it.

use selvedge_connector::Fault;
use selvedge_model::Problem;

/// Why one document is not shown, in the system's words; none for a fault that says nothing about this document, as the
/// next one would meet it, too.
pub(crate) fn reason(fault: &Fault) -> Option<String> {
    match fault {
        Fault::Refused { problems, .. } => Some(problems.first().map_or_else(|| fault.to_string(), |p| p.message.clone())),
        Fault::Unexpected { detail, .. } => Some(detail.clone()),
        _ => None,
    }
}

/// What holds the document.
pub(crate) fn problem(system: &str, order: &str, reason: &str) -> Problem {
    Problem::new(
        "shipment.unread",
        "",
        format!("what left of order {order} cannot be read from {system}: {reason}"),
        format!(
            "Look at the order in {system}. Once it can be read, the nightly sweep brings what left by itself; then dismiss this."
        ),
    )
    .cause(order)
}
