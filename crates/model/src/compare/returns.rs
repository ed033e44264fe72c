//! Returns, credit notes and refunds → typed differences.

use std::collections::BTreeMap;

use super::{Carries, Cause, Found, compare_lines, compare_sums};
use crate::records::{CreditNote, CreditStatus, Refund, Return, ReturnStatus};

/// Units are compared per line of the order where both sides name lines, else per item.
pub(super) fn goods(expected: &Return, actual: &Return, carries: Carries, found: &mut Found) {
    if let (Some(ours), Some(theirs)) = (&expected.order, &actual.order) {
        found.text(Cause::Party, "order", ours.as_str(), theirs.as_str());
    }
    if carries.status && expected.status != actual.status {
        found.text(Cause::Status, "status", expected.status.word(), actual.status.word());
    }
    if expected.status == ReturnStatus::Cancelled && actual.status == ReturnStatus::Cancelled {
        return;
    }
    if carries.disposition && expected.disposition != actual.disposition {
        found.text(Cause::Status, "disposition", expected.disposition.word(), actual.disposition.word());
    }
    let by_line = [expected, actual].iter().all(|one| one.lines.iter().all(|line| line.order_line.is_some()));
    let units = |one: &Return| {
        let mut units: BTreeMap<String, u64> = BTreeMap::new();
        for line in &one.lines {
            let key = match &line.order_line {
                Some(id) if by_line => format!("line {id}"),
                _ => line.sku.to_string(),
            };
            *units.entry(key).or_default() += u64::from(line.quantity);
        }
        units
    };
    let (ours, theirs) = (units(expected), units(actual));
    for key in ours.keys().chain(theirs.keys().filter(|key| !ours.contains_key(*key))) {
        let of = |side: &BTreeMap<String, u64>| side.get(key).copied();
        found.value(Cause::Quantity, &format!("lines {key}"), of(&ours), of(&theirs));
    }
}

pub(super) fn credit(expected: &CreditNote, actual: &CreditNote, carries: Carries, found: &mut Found) {
    let (void, there) = (expected.status == CreditStatus::Void, actual.status == CreditStatus::Void);
    if carries.status && void != there {
        found.text(Cause::Status, "status", expected.status.word(), actual.status.word());
    }
    if void && there {
        return;
    }
    if expected.currency != actual.currency {
        found.text(Cause::Currency, "currency", expected.currency.code(), actual.currency.code());
        return;
    }
    let (ours, theirs) = (expected.as_order(), actual.as_order());
    compare_lines(&ours, &theirs, carries, found);
    found.money(Cause::Price, "fee.net", expected.fee.net, actual.fee.net);
    found.money(Cause::Price, "goodwill.net", expected.goodwill.net, actual.goodwill.net);
    if carries.line_tax {
        found.money(Cause::TaxRounding, "fee.tax", expected.fee.tax, actual.fee.tax);
        found.money(Cause::TaxRounding, "goodwill.tax", expected.goodwill.tax, actual.goodwill.tax);
    }
    compare_sums(&ours, &theirs, carries, found);
    if carries.placed_on {
        found.text(Cause::Timing, "issued_on", &expected.issued_on.to_string(), &actual.issued_on.to_string());
    }
}

pub(super) fn refund(expected: &Refund, actual: &Refund, carries: Carries, found: &mut Found) {
    if expected.amount.currency() != actual.amount.currency() {
        found.text(Cause::Currency, "currency", expected.amount.currency().code(), actual.amount.currency().code());
        return;
    }
    found.money(Cause::Price, "amount", expected.amount, actual.amount);
    if carries.reference {
        found.optional("reference", expected.reference.as_ref(), actual.reference.as_ref());
    }
    if carries.placed_on {
        found.text(Cause::Timing, "on", &expected.on.to_string(), &actual.on.to_string());
    }
}
