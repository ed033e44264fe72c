//! Amounts that differ, with the reason that forensics finds.

use super::{Finding, Terms, Why};
use crate::{
    compare::Cause,
    forensics::{self, Explanation, KnownRate, PriceChange, explain},
    statement::Entry,
};

/// Every amount on which two documents of one currency disagree, one finding a reason, and whether it is within the tolerance.
pub(super) fn cents(ours: &Entry, theirs: &Entry, terms: &Terms) -> Vec<(Finding, bool)> {
    explain(ours, theirs, &terms.rates).into_iter().map(|found| (finding(&found), is_tolerated(&found, terms))).collect()
}

/// A sum in which amounts cancel out says nothing of them: of several amounts only cents that a rule of rounding moves are tolerated.
fn is_tolerated(found: &forensics::Finding, terms: &Terms) -> bool {
    let Ok(money) = found.actual.minus(found.expected) else { return false };
    let parts = found.paths.iter().filter(|path| !path.starts_with("totals")).count();
    let rounded = matches!(found.explanation, Explanation::Rounding { .. });
    let allows = terms.tolerance.0.get(&money.currency()).is_some_and(|minor| *minor > 0);
    allows && terms.tolerance.covers(money) && (rounded || parts <= 1 && !money.is_zero())
}

fn finding(found: &forensics::Finding) -> Finding {
    let why = why(&found.explanation, found.cause);
    let mut detail = found.explanation.told();
    for other in &found.also {
        detail.push_str(" Or: ");
        detail.push_str(&other.told());
    }
    Finding {
        cause: found.cause,
        why,
        path: paths(&found.paths),
        expected: Some(found.expected.to_string()),
        actual: Some(found.actual.to_string()),
        money: found.actual.minus(found.expected).ok(),
        detail,
        fix: found.explanation.remedy(),
    }
}

/// The first paths, and how many more.
fn paths(paths: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = paths.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match paths.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn why(explanation: &Explanation, cause: Cause) -> Why {
    match explanation {
        Explanation::Rounding { .. } => Why::Rounding,
        Explanation::Rate { known: Some(KnownRate::OldRate { .. } | KnownRate::NewRate { .. }), .. } => Why::OldRate,
        Explanation::Rate { .. } => Why::WrongRate,
        Explanation::DiscountSpread { .. } => Why::DiscountSpread,
        Explanation::ShippingTaxed { .. } => Why::ShippingTaxed,
        Explanation::Price { how: PriceChange::Edited } => Why::EditedAmount,
        Explanation::Price { how: PriceChange::PerUnitRounded { .. } } => Why::Rounding,
        Explanation::Price { .. } => Why::Misread,
        Explanation::Quantity { .. } | Explanation::OneSided => Why::OtherUnits,
        Explanation::Unexplained if matches!(cause, Cause::TaxRate | Cause::TaxRounding) => Why::EditedTax,
        Explanation::Unexplained => Why::Unexplained,
    }
}
