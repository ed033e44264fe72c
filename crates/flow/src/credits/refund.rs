//! 2 · Gate, for the transactions by which money went back: which credit they pay, and no more than that.

use selvedge_model::{
    AnyRecord, ExternalId, Kind, Money, Refund,
    credit::whole::Portion,
    records::{CreditReason, PaymentStatus},
};
use selvedge_store::{
    Result,
    obligations::ObligationRow,
    parts::{Claim, PartRow, WholeRow},
    records::RecordRow,
};

use super::{
    patience,
    problems::{no_credit, over, taken_back},
};
use crate::{
    FlowSetup,
    prepare::{Bench, ORDER_LOOK, Prepared, Ready},
};

/// What is paid back of a credit note.
const PAID: &str = ":paid";

impl Bench<'_> {
    pub(crate) fn refund(&self, row: &ObligationRow, record: &RecordRow, refund: &Refund, setup: &FlowSetup) -> Result<Prepared> {
        let excluded = |rule, reason: String| Prepared::Excluded { rule, version: 1, reason, routed: Vec::new() };
        match refund.status {
            PaymentStatus::Success => {}
            PaymentStatus::Pending => {
                return Ok(excluded("refund.pending", "the provider has not said yet whether it went through".to_owned()));
            }
            // One that had succeeded and stands there: only people can undo a payment.
            PaymentStatus::Failed => {
                return Ok(match self.last_prepared(row)? {
                    Some(_) => Prepared::Unfit(vec![taken_back(refund)]),
                    None => Prepared::AsItIs,
                });
            }
        }
        let Some(credit) = self.view.latest(self.brand, Kind::CreditNote, &refund.credit_note)? else {
            return Ok(if record.received_at.duration_until(self.now) < patience(setup) {
                Prepared::Later { after: ORDER_LOOK, why: format!("credit note {} is not known yet", refund.credit_note) }
            } else {
                Prepared::Unfit(vec![no_credit(refund)])
            });
        };
        let AnyRecord::CreditNote(credit) = credit.record else {
            return Ok(Prepared::Later {
                after: ORDER_LOOK,
                why: format!("credit note {} cannot be read yet", refund.credit_note),
            });
        };
        if credit.reason == CreditReason::Cancellation {
            return Ok(match self.last_prepared(row)? {
                Some(_) => Prepared::Unfit(vec![taken_back(refund)]),
                None => excluded("refund.never_invoiced", "it pays back what was cancelled before it was invoiced".to_owned()),
            });
        }
        if credit.currency != refund.amount.currency() {
            return Ok(Prepared::Unfit(vec![over(refund, &credit, credit.totals.gross)]));
        }
        let of = self.parts_of(Kind::Refund);
        let zero = Money::zero(credit.currency);
        let line = ExternalId::new(PAID);
        let whole = Portion { units: 0, net: credit.totals.gross, tax: zero };
        let known = self.view.wholes(&of, &refund.credit_note)?;
        let taken = known.iter().find(|one| one.line == line).map_or(zero, |one| one.taken.net);
        let own = self.view.parts(&of, &row.key)?;
        let own = Money::sum(credit.currency, own.iter().map(|part| part.portion.net));
        let left = own.and_then(|own| whole.net.minus(taken)?.plus(own));
        match left {
            Ok(left) if refund.amount.minor() <= left.minor() => {}
            left => return Ok(Prepared::Unfit(vec![over(refund, &credit, left.unwrap_or(zero))])),
        }
        let part = Portion { units: 0, net: refund.amount, tax: zero };
        let owner = refund.credit_note.clone();
        let claim = Claim {
            of,
            key: row.key.clone(),
            flow: self.flow.clone(),
            wholes: vec![WholeRow {
                owner: owner.clone(),
                line: line.clone(),
                whole,
                taken: Portion::none(credit.currency),
                stated: false,
            }],
            parts: vec![PartRow { owner, line, place: 0, portion: part }],
        };
        let first = vec![(Kind::CreditNote, refund.credit_note.clone())];
        Ok(Prepared::As(Box::new(Ready { claim: Some(claim), first, ..Ready::of(refund.clone()) })))
    }
}
