//! A credit that names no sale is linked to what its buyer bought.
//!
//! The rule is explicit and never a guess: the same buyer, the same item, bought before the credit; at the same unit
//! price first, the oldest first, split where one line has not enough left. What is missing then is not explained.

use jiff::Timestamp;
use rust_decimal::Decimal;

use crate::{
    id::{ExternalId, RecordKey, Sku},
    records::{CreditKind, CreditLine},
};

/// A line of a sale that has units left to give back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The order.
    pub order: RecordKey,
    /// Its line.
    pub line: ExternalId,
    /// When it was bought.
    pub placed_at: Timestamp,
    /// Full SKU.
    pub sku: Sku,
    /// What one unit cost, without tax.
    pub unit_net: Decimal,
    /// Units that nothing has given back yet.
    pub left: u32,
}

/// Units of one line of a sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    /// The order.
    pub order: RecordKey,
    /// Its line.
    pub line: ExternalId,
    /// Units.
    pub units: u32,
}

/// What was found for one line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The lines of sales, in the order in which they were taken.
    pub links: Vec<Linked>,
    /// Units that no sale explains.
    pub missing: u32,
}

/// Takes units off the candidates for one line of a credit that was issued at this instant. Candidates that are older go
/// first whatever order they are given in; what is bought later than the credit is never one.
pub fn take(line: &CreditLine, issued_at: Timestamp, candidates: &mut [Candidate]) -> Found {
    let mut found = Found { links: Vec::new(), missing: line.quantity };
    if line.kind != CreditKind::Goods {
        return found;
    }
    let mut order: Vec<usize> = (0..candidates.len())
        .filter(|at| candidates.get(*at).is_some_and(|one| one.sku == line.sku && one.placed_at <= issued_at))
        .collect();
    // The sort is stable: lines of one order stay in the order's order.
    order.sort_by_key(|at| candidates.get(*at).map(|one| (one.unit_net != line.unit_net, one.placed_at, one.order.clone())));
    for at in order {
        let Some(one) = candidates.get_mut(at).filter(|one| one.left > 0 && found.missing > 0) else { continue };
        let units = one.left.min(found.missing);
        one.left -= units;
        found.missing -= units;
        found.links.push(Linked { order: one.order.clone(), line: one.line.clone(), units });
    }
    found
}

/// What a person may look at for a line that is not explained: the sales that come nearest, the likeliest first. The same
/// item bought at whatever time (also what was given back already), the same item in other letters next.
pub fn nearest<'a>(line: &CreditLine, candidates: &'a [Candidate], at_most: usize) -> Vec<&'a Candidate> {
    let lower = line.sku.as_str().to_lowercase();
    let mut near: Vec<&Candidate> = candidates.iter().filter(|one| one.sku.as_str().to_lowercase() == lower).collect();
    near.sort_by_key(|one| (one.sku != line.sku, one.left == 0, one.unit_net != line.unit_net, one.placed_at));
    near.truncate(at_most);
    near
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::eur;

    fn at(day: i8) -> Timestamp {
        jiff::civil::date(2026, 1, day).to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp()
    }

    fn bought(order: &str, day: i8, sku: &str, price: i64, left: u32) -> Candidate {
        Candidate {
            order: RecordKey::new(order),
            line: ExternalId::new(format!("{order}-1")),
            placed_at: at(day),
            sku: Sku::new(sku),
            unit_net: Decimal::new(price, 2),
            left,
        }
    }

    fn credit(sku: &str, price: i64, quantity: u32) -> CreditLine {
        CreditLine {
            id: ExternalId::new("1"),
            kind: CreditKind::Goods,
            sold: Vec::new(),
            sku: Sku::new(sku),
            name: String::new(),
            quantity,
            unit_net: Decimal::new(price, 2),
            net: eur(price * i64::from(quantity)),
            tax: eur(0),
            taxes: Vec::new(),
        }
    }

    fn links(line: &CreditLine, candidates: &mut [Candidate]) -> (Vec<(String, u32)>, u32) {
        let found = take(line, at(20), candidates);
        (found.links.into_iter().map(|one| (one.order.to_string(), one.units)).collect(), found.missing)
    }

    fn pairs(pairs: &[(&str, u32)]) -> Vec<(String, u32)> {
        pairs.iter().map(|(order, units)| ((*order).to_owned(), *units)).collect()
    }

    #[test]
    fn the_same_price_goes_before_an_older_sale() {
        let mut sales = [bought("A", 1, "X", 500, 2), bought("C", 3, "X", 400, 2), bought("B", 2, "X", 400, 1)];
        assert_eq!(links(&credit("X", 400, 4), &mut sales), (pairs(&[("B", 1), ("C", 2), ("A", 1)]), 0));
        assert_eq!(links(&credit("X", 400, 2), &mut sales), (pairs(&[("A", 1)]), 1), "what was taken is gone");
    }

    #[test]
    fn another_item_or_a_later_sale_explains_nothing() {
        let mut sales = [bought("A", 21, "X", 400, 5), bought("B", 1, "x", 400, 5)];
        assert_eq!(links(&credit("X", 400, 1), &mut sales), (Vec::new(), 1));
        let fee = CreditLine { kind: CreditKind::Other, ..credit("x", 400, 1) };
        assert_eq!(links(&fee, &mut sales), (Vec::new(), 1));
    }

    #[test]
    fn the_nearest_are_shown_likeliest_first() {
        let sales =
            [bought("A", 1, "x", 400, 5), bought("B", 2, "X", 300, 5), bought("C", 3, "X", 400, 0), bought("D", 4, "Y", 400, 5)];
        let near: Vec<&str> = nearest(&credit("X", 400, 1), &sales, 9).into_iter().map(|one| one.order.as_str()).collect();
        assert_eq!(near, ["B", "C", "A"]);
    }
}
