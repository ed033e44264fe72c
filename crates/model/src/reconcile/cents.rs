//! Amounts that differ, with the reason that forensics finds.

use super::{Finding, Terms, Why};
use crate::{compare::Cause, money::Money, statement::Entry};

/// Every amount on which two documents of one currency disagree.
pub(super) fn cents(ours: &Entry, theirs: &Entry, _terms: &Terms) -> Vec<Finding> {
    let mut found = Vec::new();
    if let (Some(one), Some(other)) = (ours.totals, theirs.totals) {
        for (cause, why, path, one, other) in [
            (Cause::Price, Why::EditedAmount, "totals.net", one.net, other.net),
            (Cause::TaxRounding, Why::EditedTax, "totals.tax", one.tax, other.tax),
        ] {
            if one != other {
                found.push(amount(cause, why, path, one, other, String::new()));
            }
        }
    }
    found
}

fn amount(cause: Cause, why: Why, path: &str, ours: Money, theirs: Money, detail: String) -> Finding {
    Finding {
        cause,
        why,
        path: path.to_owned(),
        expected: Some(ours.to_string()),
        actual: Some(theirs.to_string()),
        money: theirs.minus(ours).ok(),
        detail,
        fix: why.fix().to_owned(),
    }
}
