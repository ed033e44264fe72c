//! Goods and money belong together: one half without the other past its deadline is somebody's case.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::{
    money::Money,
    records::{CreditNote, CreditStatus, PaymentStatus, Refund, Return, ReturnStatus},
};

/// How long one half may be without the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// From the credit to the goods.
    pub goods_within: Duration,
    /// From the goods to the credit.
    pub money_within: Duration,
    /// From the credit to the money.
    pub refund_within: Duration,
}

/// What is known of one return, at its source.
#[derive(Clone, Copy, Debug, Default)]
pub struct Halves<'a> {
    /// The goods.
    pub goods: Option<&'a Return>,
    /// The credit.
    pub credit: Option<&'a CreditNote>,
    /// The transactions that pay it.
    pub refunds: &'a [Refund],
    /// Whether the source tells transactions at all.
    pub tells_refunds: bool,
}

/// Which half is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Goods are there, and nothing was credited for them.
    Credit,
    /// It was credited, and the goods are not there.
    Goods,
    /// It was credited, and not (all) paid back.
    Refund,
    /// Money went back, and the credit was taken back.
    CreditOfRefund,
}

/// What a look shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is missing, or nothing is owed.
    Whole,
    /// Something is missing and not yet due.
    Waits {
        /// Until when.
        until: Timestamp,
    },
    /// Something is missing past its deadline.
    Broken {
        /// What.
        missing: Missing,
        /// How much money hangs on it.
        money: Option<Money>,
    },
}

/// Whether both halves are there.
pub fn judge(halves: Halves<'_>, deadlines: &Deadlines, now: Timestamp) -> Verdict {
    let issued = halves.credit.filter(|credit| credit.status == CreditStatus::Issued);
    let gross = halves.credit.map(|credit| credit.totals.gross);
    let paid = paid(halves.refunds);
    let has_paid = paid.is_some_and(|paid| paid.minor() > 0);
    if issued.is_none() && has_paid && halves.credit.is_some_and(|credit| credit.status == CreditStatus::Void) {
        return Verdict::Broken { missing: Missing::CreditOfRefund, money: paid };
    }
    let mut next: Option<Timestamp> = None;
    let mut due = |since: Timestamp, within: Duration, missing: Missing, money: Option<Money>| {
        let until =
            SignedDuration::try_from(within).ok().and_then(|within| since.checked_add(within).ok()).unwrap_or(Timestamp::MAX);
        if until <= now {
            return Some(Verdict::Broken { missing, money });
        }
        next = Some(next.map_or(until, |earlier| earlier.min(until)));
        None
    };
    let received = halves.goods.filter(|goods| goods.status == ReturnStatus::Received);
    if let (Some(goods), None) = (received, issued) {
        let since = goods.received_at.unwrap_or(goods.updated_at);
        if let Some(broken) = due(since, deadlines.money_within, Missing::Credit, gross) {
            return broken;
        }
    }
    if let Some(credit) = issued {
        if credit.of_return.is_some() && received.is_none() {
            let cancelled = halves.goods.is_some_and(|goods| goods.status == ReturnStatus::Cancelled);
            let within = if cancelled { Duration::ZERO } else { deadlines.goods_within };
            if let Some(broken) = due(credit.issued_at, within, Missing::Goods, gross) {
                return broken;
            }
        }
        let open = paid.map_or(Ok(credit.totals.gross), |paid| credit.totals.gross.minus(paid));
        if halves.tells_refunds
            && open.as_ref().is_ok_and(|open| open.minor() > 0)
            && let Some(broken) = due(credit.issued_at, deadlines.refund_within, Missing::Refund, open.ok())
        {
            return broken;
        }
    }
    next.map_or(Verdict::Whole, |until| Verdict::Waits { until })
}

/// The money that has gone back; `None` where none has, or currencies mix.
fn paid(refunds: &[Refund]) -> Option<Money> {
    let done: Vec<Money> = refunds.iter().filter(|one| one.status == PaymentStatus::Success).map(|one| one.amount).collect();
    Money::sum(done.first()?.currency(), done).ok()
}
