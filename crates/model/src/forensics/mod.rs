//! Cent forensics: why an amount at the target is another than at the source, and which setting makes it so.
//!
//! Both sides are worked out again from the same lines, under every policy of rounding, rate, spread and price that systems
//! are known to have. An explanation counts only when it gives *their* figures to the cent, and those of the whole
//! document: a single cent fits too many stories. What gives our own figures as well cannot be the reason. Several that fit are
//! all named, the most usual first; only what none explains is called an error.
//!
//! The order of the questions is the order of the files: are amounts only somewhere else ([`moved`]), are prices others
//! ([`prices`]), is tax another ([`taxes`]); the sums follow from these or are asked about last.

mod document;
mod explanation;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod misrounded;
mod moved;
mod policy;
mod prices;
pub mod receipts;
pub mod stock;
mod taxes;
#[cfg(test)]
mod tests;
mod worked;

use serde::{Deserialize, Serialize};

pub use explanation::{Explanation, KnownRate, PriceChange, ShippingTax, Spread};
pub use policy::{Base, Of, Policy, Shares};

use self::document::{Document, Part};
use crate::{compare::Cause, money::Money, statement::Entry, tax::rates::RateBook};

/// Why some amounts of a document differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What kind of disagreement.
    pub cause: Cause,
    /// Every amount that it explains: `lines[2].tax`, `shipping.net`, `totals.gross`; lines by their place on our side, what only
    /// theirs has as `theirs.lines[3].net`.
    pub paths: Vec<String>,
    /// What we say: the sum of the nets that differ, or of the taxes where only these do, or the total where no part does.
    pub expected: Money,
    /// What the target says of the same.
    pub actual: Money,
    /// Why.
    pub explanation: Explanation,
    /// Other explanations that give the same figures to the cent.
    pub also: Vec<Explanation>,
}

/// Explains every amount that differs between the source's document and the target's: line nets, line taxes, discount,
/// charges and totals. One finding a reason. Nothing where the two have not one and the same currency, or nothing differs.
///
/// What one side does not tell is not compared; where the target keeps no tax by line, its totals are explained.
pub fn explain(ours: &Entry, theirs: &Entry, book: &RateBook) -> Vec<Finding> {
    let Some(mut case) = Case::open(ours, theirs, book) else { return Vec::new() };
    if case.agrees() {
        return Vec::new();
    }
    moved::settle(&mut case);
    // A net that moved because its tax did, the price with tax being the same, is the tax's affair.
    let moved_with_tax = case.open_nets().all(|index| case.same_gross(index)) && taxes::settle(&mut case);
    let before = case.found.len();
    prices::settle(&mut case);
    // Asked once already, with the same prices, the taxes would answer the same.
    let asked_anew = case.found.len() > before;
    if !(moved_with_tax || asked_anew && taxes::settle(&mut case)) {
        taxes::by_item(&mut case);
    }
    case.sums();
    case.findings()
}

/// A reason and what it explains, by the items' places.
#[derive(Clone, Debug)]
struct Found {
    cause: Cause,
    explanation: Explanation,
    also: Vec<Explanation>,
    nets: Vec<usize>,
    taxes: Vec<usize>,
    sums: Vec<Sum>,
}

impl Found {
    fn new(cause: Cause, explanation: Explanation) -> Self {
        Self { cause, explanation, also: Vec::new(), nets: Vec::new(), taxes: Vec::new(), sums: Vec::new() }
    }

    fn nets(self, nets: Vec<usize>) -> Self {
        Self { nets, ..self }
    }

    fn taxes(self, taxes: Vec<usize>) -> Self {
        Self { taxes, ..self }
    }
}

/// A sum of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sum {
    Net,
    Tax,
    Gross,
}

impl Sum {
    const fn path(self) -> &'static str {
        match self {
            Sum::Net => "totals.net",
            Sum::Tax => "totals.tax",
            Sum::Gross => "totals.gross",
        }
    }
}

/// A document on the way to its explanation.
struct Case<'a> {
    document: Document,
    book: &'a RateBook,
    /// Each amount without tax as it counts on their side: as told, or ours where they do not say.
    assumed: Vec<i64>,
    found: Vec<Found>,
}

impl<'a> Case<'a> {
    fn open(ours: &Entry, theirs: &Entry, book: &'a RateBook) -> Option<Self> {
        let document = Document::of(ours, theirs, book)?;
        let assumed = document.items.iter().map(|item| item.theirs.net.or(item.ours.net).unwrap_or(0)).collect();
        Some(Self { document, book, assumed, found: Vec::new() })
    }

    fn agrees(&self) -> bool {
        let parts = self.document.items.iter().all(|item| !item.net_differs() && !item.tax_differs());
        parts && Sum::ALL.iter().all(|sum| !self.sum_differs(*sum))
    }

    fn sum_differs(&self, sum: Sum) -> bool {
        self.sum_of(sum).is_some_and(|(ours, theirs)| ours != theirs)
    }

    /// Ours and theirs, where both are told.
    fn sum_of(&self, sum: Sum) -> Option<(i64, i64)> {
        let (ours, theirs) = (self.document.ours?, self.document.theirs?);
        Some(match sum {
            Sum::Net => (ours.net, theirs.net),
            Sum::Tax => (ours.tax, theirs.tax),
            Sum::Gross => (ours.gross, theirs.gross),
        })
    }

    /// Nets that differ and that nothing explains yet.
    fn open_nets(&self) -> impl Iterator<Item = usize> {
        let differs = |(index, item): &(usize, &document::Item)| {
            item.net_differs() && !self.found.iter().any(|found| found.nets.contains(index))
        };
        self.document.items.iter().enumerate().filter(differs).map(|(index, _)| index)
    }

    /// Taxes that differ and that nothing explains yet.
    fn open_taxes(&self) -> impl Iterator<Item = usize> {
        let differs = |(index, item): &(usize, &document::Item)| {
            item.tax_differs() && !self.found.iter().any(|found| found.taxes.contains(index))
        };
        self.document.items.iter().enumerate().filter(differs).map(|(index, _)| index)
    }

    /// Whether an amount with its tax is the same on both sides; where they tell no tax, whether it may be.
    fn same_gross(&self, index: usize) -> bool {
        self.document.items.get(index).is_some_and(|item| match (item.theirs.net, item.theirs.tax, item.ours.net) {
            (Some(net), Some(tax), Some(_)) => net.checked_add(tax) == Some(item.our_gross()),
            (Some(net), None, Some(ours)) => self.document.included && net.abs_diff(ours) <= item.quantity.unsigned_abs().max(1),
            _ => true,
        })
    }

    /// The sum of the nets as they count on their side.
    fn assumed_net(&self) -> Option<i64> {
        let signed = self.document.items.iter().zip(&self.assumed).map(|(item, net)| item.sign().checked_mul(*net));
        signed.into_iter().try_fold(0_i64, |sum, net| sum.checked_add(net?))
    }

    /// Whether our parts make our total: only then a total says something about parts.
    fn adds_up(&self) -> bool {
        let sum = self.document.items.iter().try_fold(0_i64, |sum, item| sum.checked_add(item.sign() * item.our_net()));
        self.document.ours.is_none_or(|sums| sum == Some(sums.net))
    }

    /// Sums that differ: with what they follow from, or by themselves.
    fn sums(&mut self) {
        for sum in Sum::ALL {
            if !self.sum_differs(sum) || self.found.iter().any(|found| found.sums.contains(&sum)) {
                continue;
            }
            let follows = match sum {
                Sum::Net => self.follows_from_parts(),
                // What tax is told by item has been asked about; a sum of it follows.
                Sum::Tax => self.tax_follows(),
                Sum::Gross => self.document.theirs.is_some_and(|sums| sums.net.checked_add(sums.tax) == Some(sums.gross)),
            };
            let bearer = if follows { self.bearer(sum) } else { None };
            match bearer.and_then(|bearer| self.found.get_mut(bearer)) {
                Some(found) => found.sums.push(sum),
                None => {
                    let cents = self.sum_of(sum).map_or(0, |(ours, theirs)| ours.abs_diff(theirs));
                    let cause = match sum {
                        Sum::Tax if cents > 1 => Cause::TaxRate,
                        Sum::Tax => Cause::TaxRounding,
                        _ => Cause::Price,
                    };
                    let mut found = Found::new(cause, Explanation::Unexplained);
                    found.sums.push(sum);
                    self.found.push(found);
                }
            }
        }
    }

    /// Whether their total without tax is the sum of their parts.
    fn follows_from_parts(&self) -> bool {
        self.document.theirs.is_some_and(|theirs| self.assumed_net() == Some(theirs.net))
    }

    fn tax_follows(&self) -> bool {
        let Some(theirs) = self.document.theirs else { return false };
        let told = |item: &document::Item| item.theirs.tax.or(item.ours.tax).unwrap_or(0).checked_mul(item.sign());
        self.document.items.iter().try_fold(0_i64, |sum, item| sum.checked_add(told(item)?)) == Some(theirs.tax)
    }

    /// The finding that a sum follows from: of those about such amounts the one that moves most.
    fn bearer(&self, sum: Sum) -> Option<usize> {
        let about = |found: &Found| match sum {
            Sum::Net => !found.nets.is_empty(),
            Sum::Tax => !found.taxes.is_empty() || found.sums.contains(&Sum::Tax),
            Sum::Gross => true,
        };
        let moved = |found: &Found| self.amounts(found).map_or(0, |(ours, theirs)| ours.abs_diff(theirs));
        let best = |all: bool| {
            self.found
                .iter()
                .enumerate()
                .filter(|(_, found)| (all || about(found)) && found.explanation != Explanation::Unexplained)
                .max_by_key(|(index, found)| (moved(found), std::cmp::Reverse(*index)))
                .map(|(index, _)| index)
        };
        best(false).or_else(|| best(true)).or_else(|| self.found.iter().position(about))
    }

    /// What either side says of the amounts of a finding.
    fn amounts(&self, found: &Found) -> Option<(i64, i64)> {
        let items = &self.document.items;
        let sum = |indices: &[usize], of: &dyn Fn(&document::Item) -> Option<(i64, i64)>| {
            indices.iter().try_fold((0_i64, 0_i64), |(ours, theirs), index| {
                let (one, other) = of(items.get(*index)?)?;
                Some((ours.checked_add(one)?, theirs.checked_add(other)?))
            })
        };
        // The discount comes off what the lines are; with both in one sum nothing would seem to move.
        let parts: Vec<usize> =
            found.nets.iter().copied().filter(|at| items.get(*at).is_some_and(document::Item::is_line)).collect();
        let nets = if parts.is_empty() { &found.nets } else { &parts };
        let about_tax = matches!(found.cause, Cause::TaxRate | Cause::TaxRounding) && !found.taxes.is_empty();
        if !nets.is_empty() && !about_tax {
            return sum(nets, &|item| Some((item.our_net(), item.theirs.net.unwrap_or(0))));
        }
        if !found.taxes.is_empty() {
            return sum(&found.taxes, &|item| Some((item.ours.tax.unwrap_or(0), item.theirs.tax.unwrap_or(0))));
        }
        let lead = [Sum::Tax, Sum::Net, Sum::Gross].into_iter().find(|sum| found.sums.contains(sum))?;
        self.sum_of(lead)
    }

    fn findings(self) -> Vec<Finding> {
        let mut findings = Vec::with_capacity(self.found.len());
        for found in &self.found {
            let Some((expected, actual)) = self.amounts(found) else { continue };
            let path = |index: &usize, field: &str| self.document.items.get(*index).map(|item| format!("{}.{field}", item.path));
            let mut indices: Vec<usize> = found.nets.iter().chain(&found.taxes).copied().collect();
            indices.sort_unstable();
            indices.dedup();
            let mut paths = Vec::new();
            for index in &indices {
                paths.extend(found.nets.contains(index).then(|| path(index, "net")).flatten());
                paths.extend(found.taxes.contains(index).then(|| path(index, "tax")).flatten());
            }
            let sums = Sum::ALL.iter().filter(|sum| found.sums.contains(sum));
            paths.extend(sums.map(|sum| sum.path().to_owned()));
            findings.push(Finding {
                cause: found.cause,
                paths,
                expected: Money::from_minor(expected, self.document.currency),
                actual: Money::from_minor(actual, self.document.currency),
                explanation: found.explanation.clone(),
                also: found.also.clone(),
            });
        }
        findings
    }
}

impl Sum {
    const ALL: [Sum; 3] = [Sum::Net, Sum::Tax, Sum::Gross];
}

/// Under which word a part's own amount is looked at.
fn cause_of(part: Part) -> Cause {
    match part {
        Part::Line => Cause::Price,
        Part::Missing => Cause::Missing,
        Part::Extra => Cause::Orphan,
        Part::Discount => Cause::Discount,
        Part::Shipping | Part::Handling => Cause::Shipping,
    }
}
