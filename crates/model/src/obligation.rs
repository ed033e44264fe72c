//! The life of a debt: its states, and the one table of moves.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where an obligation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Captured; the gate has not looked yet, or has to look again.
    Captured,
    /// Past the gate; may be delivered.
    Cleared,
    /// The intention to write is on disk; a write may or may not have left. After a crash this
    /// reads as `Unanswered`.
    Sending,
    /// A write left and no answer came: nothing is sent again before a look by our key.
    Unanswered,
    /// The target took it; not yet read back.
    Delivered,
    /// Read back and equal.
    Confirmed,
    /// Looked for at the target and compared, and nothing was written: a flow in shadow mode is done with it.
    Compared,
    /// An exception owns it.
    Held,
    /// A newer revision took its place.
    Superseded,
    /// A named rule keeps it out.
    Excluded,
    /// A named person let it go, with a reason.
    Dismissed,
}

impl State {
    /// All of them, in the order in which pages and reports show them.
    pub const ALL: [State; 11] = [
        State::Captured,
        State::Cleared,
        State::Sending,
        State::Unanswered,
        State::Delivered,
        State::Confirmed,
        State::Compared,
        State::Held,
        State::Superseded,
        State::Excluded,
        State::Dismissed,
    ];

    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            State::Captured => "captured",
            State::Cleared => "cleared",
            State::Sending => "sending",
            State::Unanswered => "unanswered",
            State::Delivered => "delivered",
            State::Confirmed => "confirmed",
            State::Compared => "compared",
            State::Held => "held",
            State::Superseded => "superseded",
            State::Excluded => "excluded",
            State::Dismissed => "dismissed",
        }
    }

    /// The state with this word.
    pub fn from_word(word: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.word() == word)
    }

    /// Whether a verb of the journey still has work with it.
    pub const fn in_flight(self) -> bool {
        matches!(self, State::Captured | State::Cleared | State::Sending | State::Unanswered | State::Delivered)
    }

    /// Whether nothing happens to it any more unless a person or a newer revision acts.
    pub const fn settled(self) -> bool {
        !self.in_flight()
    }

    /// Whether a document of this revision may already stand at the target.
    pub const fn may_stand(self) -> bool {
        matches!(self, State::Sending | State::Unanswered | State::Delivered | State::Confirmed)
    }
}

/// What can happen to an obligation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The gate found everything in order.
    Clear,
    /// The gate, a refusal or a difference: an exception takes it.
    Hold,
    /// A named rule keeps it out.
    Exclude,
    /// A worker claims it and notes that it is about to write.
    Claim,
    /// The target took the write, or the document was found under our key.
    Answer,
    /// The target took the write (or what it made was found), and what stands there needs another one.
    Advance,
    /// No write left (connection refused, throttled before the target took it): try again later.
    Postpone,
    /// A write left and no answer came.
    LoseAnswer,
    /// A look by our key found nothing, twice, some seconds apart: it may be sent again.
    FindNothing,
    /// Read back and equal.
    Confirm,
    /// A flow in shadow mode has looked for it, read it and compared; nothing was written.
    Compare,
    /// The flow is live now, and what was compared stood as it should: it is ours to confirm.
    Adopt,
    /// A person has it go through the gate once more, after a preview of what that changes.
    Renew,
    /// It was confirmed, and the target was found changed since: an exception takes it.
    Drift,
    /// An exception was settled: back to the gate.
    Release,
    /// A person lets it go.
    Dismiss,
    /// A newer revision arrived.
    Supersede,
}

impl Event {
    /// All of them.
    pub const ALL: [Event; 17] = [
        Event::Clear,
        Event::Hold,
        Event::Exclude,
        Event::Claim,
        Event::Answer,
        Event::Advance,
        Event::Postpone,
        Event::LoseAnswer,
        Event::FindNothing,
        Event::Confirm,
        Event::Compare,
        Event::Adopt,
        Event::Renew,
        Event::Drift,
        Event::Release,
        Event::Dismiss,
        Event::Supersede,
    ];
}

/// The table of moves: which state follows, or `None` where the event cannot happen.
///
/// ```
/// use selvedge_model::obligation::{Event, State, next};
/// assert_eq!(next(State::Captured, Event::Clear), Some(State::Cleared));
/// // Nothing is sent that the gate has not cleared.
/// assert_eq!(next(State::Captured, Event::Claim), None);
/// // What a flow in shadow mode compares was never claimed, so never sent.
/// assert_eq!(next(State::Sending, Event::Compare), None);
/// // A lost answer is never followed by a blind second write.
/// assert_eq!(next(State::Unanswered, Event::Claim), None);
/// ```
pub const fn next(state: State, event: Event) -> Option<State> {
    use Event as E;
    use State as S;
    match (state, event) {
        (S::Captured, E::Clear) => Some(S::Cleared),
        // A cancelled order that turns out never to have stood at the target is excluded while it is being sent.
        (S::Captured | S::Sending, E::Exclude) => Some(S::Excluded),
        (S::Cleared, E::Claim) => Some(S::Sending),
        (S::Sending | S::Unanswered, E::Answer) => Some(S::Delivered),
        (S::Sending, E::Postpone | E::Advance) | (S::Unanswered, E::FindNothing | E::Advance) => Some(S::Cleared),
        (S::Sending, E::LoseAnswer) => Some(S::Unanswered),
        (S::Delivered, E::Confirm) => Some(S::Confirmed),
        // From cleared and not from sending: what is compared was never about to be written.
        (S::Cleared, E::Compare) => Some(S::Compared),
        // Read back afresh before it is called confirmed: what was compared then says nothing of now.
        (S::Compared, E::Adopt) => Some(S::Delivered),
        (S::Confirmed | S::Compared | S::Excluded, E::Renew) => Some(S::Captured),
        (S::Captured | S::Cleared | S::Sending | S::Unanswered | S::Delivered, E::Hold) => Some(S::Held),
        (S::Confirmed, E::Drift) => Some(S::Held),
        (S::Held, E::Release) => Some(S::Captured),
        (S::Held, E::Dismiss) => Some(S::Dismissed),
        // Only what certainly has no write under way gives way to a newer revision; the others settle first.
        (S::Captured | S::Cleared | S::Held | S::Compared, E::Supersede) => Some(S::Superseded),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_settled_state_moves_only_by_a_person_a_newer_revision_or_a_change_at_the_target() {
        for state in State::ALL.into_iter().filter(|s| s.settled()) {
            for event in Event::ALL {
                let allowed = match state {
                    State::Held => matches!(event, Event::Release | Event::Dismiss | Event::Supersede),
                    State::Confirmed => matches!(event, Event::Drift | Event::Renew),
                    State::Compared => matches!(event, Event::Adopt | Event::Renew | Event::Supersede),
                    State::Excluded => event == Event::Renew,
                    _ => false,
                };
                assert_eq!(next(state, event).is_some(), allowed, "{state:?} {event:?}");
            }
        }
    }

    #[test]
    fn every_state_in_flight_can_reach_confirmed_and_held() {
        for start in State::ALL.into_iter().filter(|s| s.in_flight()) {
            let mut reached = vec![start];
            let mut index = 0;
            while let Some(state) = reached.get(index).copied() {
                for event in Event::ALL {
                    if let Some(to) = next(state, event).filter(|to| !reached.contains(to)) {
                        reached.push(to);
                    }
                }
                index += 1;
            }
            assert!(reached.contains(&State::Confirmed), "{start:?}");
            assert!(reached.contains(&State::Held), "{start:?}");
        }
    }

    #[test]
    fn what_was_compared_comes_from_cleared_and_leaves_by_a_person_or_a_newer_revision() {
        for state in State::ALL {
            for event in Event::ALL {
                if next(state, event) == Some(State::Compared) {
                    assert_eq!((state, event), (State::Cleared, Event::Compare));
                }
            }
        }
        // An agreement that we did not bring about is never called confirmed without another look.
        assert_eq!(next(State::Compared, Event::Confirm), None);
        assert_eq!(next(State::Compared, Event::Claim), None);
    }

    #[test]
    fn sending_is_reached_from_cleared_only() {
        for state in State::ALL {
            for event in Event::ALL {
                if next(state, event) == Some(State::Sending) {
                    assert_eq!((state, event), (State::Cleared, Event::Claim));
                }
            }
        }
    }
}
