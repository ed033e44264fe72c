//! What release and dismiss do to what an exception holds, in words.

use super::super::{Done, words::plural};
use crate::view::{ExceptionView, StockRows};

/// What release and dismiss do to what an exception holds, in words.
pub(in crate::pages) struct Words {
    /// One of what it holds, and several.
    one: &'static str,
    many: &'static str,
    /// What either does, said before.
    pub(super) release: &'static str,
    pub(super) dismiss: &'static str,
    /// What either did, said after the number.
    released: &'static str,
    dismissed: &'static str,
}

impl Words {
    /// Of returns of which one half is missing.
    pub(super) const OF_RETURNS: Words = Words {
        one: "return",
        many: "returns",
        release: "Looks at the returns once more. What has come meanwhile goes from the list; this happens by itself, too.",
        dismiss: "Nobody waits for the missing half any more. Nothing is booked by it, neither goods nor money.",
        released: " looked at again.",
        dismissed: " let go: nobody waits for the missing half any more.",
    };

    pub(in crate::pages) fn of(exception: &ExceptionView) -> Self {
        match exception.rule.as_str() {
            "stock.guard" => Self {
                one: "reading",
                many: "readings",
                release: "It is true: the readings take effect at once, and the shop follows. Of an item that was read again since, the newer reading stands.",
                dismiss: "It is not true: the readings are dropped, and what was known before stays in force. This stays open until a later \
                          reading of the whole place is believed; one that says the same is kept back again.",
                released: ", in force with the next turn; the shop follows.",
                dismissed: " dropped. What was known before stays in force.",
            },
            rule if rule.starts_with("stock.") => Self {
                one: "figure",
                many: "figures",
                release: "The figures are worked out anew from what is known now, written, and read back. What does not come out is held again.",
                dismiss: "What the shop shows now is left. Ours is worked out and written again when the item moves at the source, or when \
                          somebody changes the shop's figure once more.",
                released: ", to be worked out anew and written.",
                dismissed: ", left as the shop shows it.",
            },
            "shipment.overdue" | "shipment.short" => Self {
                one: "order",
                many: "orders",
                release: "Looks at the orders once more. What has left meanwhile goes from the list; this happens by itself, too.",
                dismiss: "Nobody waits for these orders any more. Nothing is cancelled by it, neither in the shop nor at the warehouse.",
                released: " looked at again.",
                dismissed: " let go: nobody waits for them any more.",
            },
            "shipment.no_tracking" => Self {
                one: "record",
                many: "records",
                release: "Tells the shop that the parcels left, without a number: the shopper cannot follow them, and a number that comes later is not taken.",
                dismiss: "The shop is not told that these parcels left, and the money of these goods is not taken.",
                released: " went back to the gate, to be told without a number.",
                dismissed: " let go: the shop is not told of them.",
            },
            _ => Self {
                one: "record",
                many: "records",
                release: "Sends what it holds back to the gate. If the cause is still there, it is held again.",
                dismiss: "Lets go of what it holds: it will not be sent.",
                released: " went back to the gate.",
                dismissed: " let go.",
            },
        }
    }

    /// What an act has done, after it.
    pub(super) fn done(&self, done: &Done) -> Option<String> {
        let released = done.released.map(|count| format!("Released: {}{}", self.counted(count), self.released));
        released.or_else(|| done.dismissed.map(|count| format!("Dismissed: {}{}", self.counted(count), self.dismissed)))
    }

    /// Whether a release can go step by step: only records can.
    pub(super) fn steps(&self) -> bool {
        self.one == "record"
    }

    /// How many of what it holds.
    pub(in crate::pages) fn counted(&self, count: u64) -> String {
        plural(count, self.one, self.many)
    }

    /// Where the reason of a dismissal is kept: a record has a story, a row of stock has none.
    pub(super) fn reason_kept(&self) -> &'static str {
        if self.one == "record" { "The reason is kept with every record." } else { "The reason is kept in the audit trail." }
    }
}

/// What is counted of an exception that holds nothing.
pub(super) fn behind(exception: &ExceptionView) -> &'static str {
    if exception.rule.starts_with("reconcile.") { "At stake" } else { "Waits behind it" }
}

/// What brings it back before its time when it is snoozed; nothing does where no records are counted.
pub(super) fn sooner(exception: &ExceptionView) -> Option<&'static str> {
    match &exception.behind {
        _ if exception.count > 0 => Some("when it holds twice as much"),
        Some(behind) if behind.records > 0 && exception.rule.starts_with("reconcile.") => {
            Some("when twice as many records differ")
        }
        Some(behind) if behind.records > 0 => Some("when twice as many records wait behind it"),
        _ => None,
    }
}

/// When trouble that stands by itself, and holds nothing, is over.
pub(super) fn closes_alone(exception: &ExceptionView) -> Option<&'static str> {
    let (area, _) = exception.rule.split_once('.')?;
    match area {
        _ if exception.count > 0 => None,
        "connection" => Some("the first call comes through"),
        "source" if matches!(exception.rule.as_str(), "source.silent" | "source.few") => Some("as much comes as should"),
        "alert" => Some("the first message arrives"),
        "webhook" => Some("the first event is taken"),
        _ => None,
    }
}

/// Why there is nothing to decide about an exception of stock, if there is nothing.
pub(super) fn settled(exception: &ExceptionView, rows: &StockRows) -> Option<&'static str> {
    if exception.count > 0 && exception.count == rows.moved.released {
        return Some("Released. The readings take effect with the next turn; then this closes by itself.");
    }
    if exception.count > 0 {
        return None;
    }
    Some(match exception.rule.as_str() {
        "stock.guard" => "Nothing is kept back now. This closes by itself when a later reading of the whole place is believed.",
        "stock.drift" => {
            "Nothing is held, so there is nothing to release or to dismiss. This closes by itself when both sides were read and are equal."
        }
        "stock.not_taken" => "Nothing is held now. This closes by itself when the figures were read back and are right.",
        _ => "Nothing is held, so there is nothing to release or to dismiss: mend what is named above.",
    })
}
