//! What a call came back with instead of an answer, named after what the flow does next.

use std::time::Duration;

use selvedge_model::{ExternalId, Problem};

use crate::redact;

/// The rule of what a connection that only reads refuses.
pub const READ_ONLY: &str = "connection.read_only";

/// A call without a usable answer. A 200 with an error in its body is one of these, too.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Nothing happened at the other side, and trying again later makes sense. The flow waits, longer each time.
    #[error("{what}: not reached or not served; it will be tried again")]
    Transient {
        /// Which call.
        what: String,
        /// Why.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The system asks for less. The flow slows the connection, not the row; nothing happened there.
    #[error("{what}: the system limits us")]
    Throttled {
        /// Which call.
        what: String,
        /// How long it wants us to wait, where it says.
        wait: Option<Duration>,
    },
    /// The credentials are refused, also after one renewal. The flow pauses the connection; one
    /// exception for it, not one per row.
    #[error("{what}: the system refuses our credentials: {detail}")]
    Unauthorized {
        /// Which call.
        what: String,
        /// What it said.
        detail: String,
    },
    /// The system understood and refuses. The flow holds the row with the system's own words per field; as a text, which may be
    /// logged, it is told without whom they reach.
    #[error("{what}: refused: {}", redact::sentence(&first_message(.problems)))]
    Refused {
        /// Which call.
        what: String,
        /// At least one.
        problems: Vec<Problem>,
    },
    /// The document stands there already. The flow binds it and goes on to confirm.
    #[error("{what}: it exists already")]
    Exists {
        /// Which call.
        what: String,
        /// Its id there, where the answer names it.
        id: Option<ExternalId>,
    },
    /// A write left and nobody knows what became of it. The flow never sends again before `find` has looked.
    #[error("{what}: no answer; it may or may not have taken effect")]
    Unanswered {
        /// Which call.
        what: String,
        /// Why.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// It stands there, and the other side has not said yet whether it takes it. The flow asks again later.
    #[error("{what}: not answered yet")]
    Pending {
        /// What waits for an answer.
        what: String,
    },
    /// A delivery that its sender did not sign, or signed too long ago. Answered 401, and counted.
    #[error("the delivery is not proven to come from its sender: {reason}")]
    Forged {
        /// Which check failed.
        reason: String,
    },
    /// An answer that fits nothing. The flow holds the row and keeps the raw answer.
    #[error("{what}: an answer that we do not understand: {detail}")]
    Unexpected {
        /// Which call.
        what: String,
        /// What was odd, with an excerpt that is redacted ([`crate::redact::excerpt`]): faults stand in logs.
        detail: String,
    },
}

fn first_message(problems: &[Problem]) -> String {
    match problems {
        [] => "no reason given".to_owned(),
        [only] => only.message.clone(),
        [first, rest @ ..] => format!("{} (and {} more)", first.message, rest.len()),
    }
}

impl Fault {
    /// A write over a connection that was opened to read only. Nothing has left.
    pub fn read_only(connection: &str, what: &str) -> Fault {
        let message = format!("the connection {connection} was opened to read only, so nothing was sent: {what}");
        let remedy = "Nothing has changed there. To write over this connection, run its flow live instead.";
        Fault::Refused { what: what.to_owned(), problems: vec![Problem::new(READ_ONLY, "", message, remedy)] }
    }

    /// Whether it is [`Fault::read_only`].
    pub fn is_read_only(&self) -> bool {
        matches!(self, Fault::Refused { problems, .. } if problems.iter().any(|problem| problem.rule == READ_ONLY))
    }

    /// The word under which it is counted and shown.
    pub fn word(&self) -> &'static str {
        match self {
            Fault::Transient { .. } => "transient",
            Fault::Throttled { .. } => "throttled",
            Fault::Unauthorized { .. } => "unauthorized",
            Fault::Refused { .. } => "refused",
            Fault::Exists { .. } => "exists",
            Fault::Unanswered { .. } => "unanswered",
            Fault::Pending { .. } => "pending",
            Fault::Forged { .. } => "forged",
            Fault::Unexpected { .. } => "unexpected",
        }
    }
}
