//! What may belong together though no key says so: a sale that is missing and a document that nobody knows.
//!
//! A suggestion has a confidence and its reasons. It is told beside both differences, and a person decides.

use std::collections::BTreeMap;

use serde::Serialize;

use super::differ::same_units;
use crate::statement::Entry;

/// So many documents are looked at on each side at most; a month in which more are missing has another problem.
const LOOSE_MAX: usize = 20_000;
/// What is less sure is not told.
const PERCENT_LEAST: u8 = 50;

/// A document without a partner.
#[derive(Clone, Debug)]
pub struct Loose {
    /// Which difference tells of it.
    pub difference: i64,
    /// The document.
    pub entry: Entry,
}

/// That two may belong together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Likeness {
    /// The difference of the document of the source.
    pub ours: i64,
    /// The difference of the document of the target.
    pub theirs: i64,
    /// How sure it is, of a hundred.
    pub percent: u8,
    /// What speaks for it.
    pub reasons: Vec<&'static str>,
}

/// For each document of the source that has no partner, the likeliest of the target's; each is given once, the surest first.
pub fn suggest(ours: &[Loose], theirs: &[Loose]) -> Vec<Likeness> {
    let mut by_money: BTreeMap<_, Vec<&Loose>> = BTreeMap::new();
    let key = |entry: &Entry| (entry.kind, entry.gross().map(|gross| (gross.minor(), gross.currency())));
    for loose in theirs.iter().take(LOOSE_MAX) {
        by_money.entry(key(&loose.entry)).or_default().push(loose);
    }
    let mut found: Vec<Likeness> = Vec::new();
    for one in ours.iter().take(LOOSE_MAX) {
        // The same amount is asked for: without it everything is like everything.
        for other in by_money.get(&key(&one.entry)).into_iter().flatten() {
            let (percent, reasons) = likeness(&one.entry, &other.entry);
            if percent >= PERCENT_LEAST {
                found.push(Likeness { ours: one.difference, theirs: other.difference, percent, reasons });
            }
        }
    }
    found.sort_by(|a, b| b.percent.cmp(&a.percent).then(a.ours.cmp(&b.ours)).then(a.theirs.cmp(&b.theirs)));
    let (mut taken_ours, mut taken_theirs) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
    found.retain(|one| {
        let free = !taken_ours.contains(&one.ours) && !taken_theirs.contains(&one.theirs);
        if free {
            taken_ours.insert(one.ours);
            taken_theirs.insert(one.theirs);
        }
        free
    });
    found
}

/// How much speaks for two documents of the same amount being the same.
fn likeness(ours: &Entry, theirs: &Entry) -> (u8, Vec<&'static str>) {
    let (mut percent, mut reasons) = (0_u8, Vec::new());
    if ours.gross().is_some() {
        percent += 30;
        reasons.push("the same amount");
    }
    let hours = ours.at.duration_since(theirs.at).as_secs().unsigned_abs() / 3600;
    if hours < 24 {
        percent += 20;
        reasons.push("within a day");
    } else if hours > 24 * 7 {
        return (0, Vec::new());
    }
    if !ours.lines.is_empty() && !theirs.lines.is_empty() && same_units(ours, theirs) {
        percent += 30;
        reasons.push("the same items and units");
    }
    if ours.buyer.is_some() && ours.buyer == theirs.buyer {
        percent += 15;
        reasons.push("the same buyer");
    }
    (percent.min(95), reasons)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::{ExternalId, Sku},
        money::{Currency, Money},
        records::{Kind, Totals},
        statement::EntryLine,
    };
    use jiff::Timestamp;

    fn loose(difference: i64, hour: i64, minor: i64, sku: &str, buyer: Option<&str>) -> Loose {
        let money = |minor| Money::from_minor(minor, Currency::from_code("EUR").unwrap());
        let line = EntryLine { sku: Sku::new(sku), quantity: 1, unit: None, net: None, tax: None, rate: None, component: false };
        let at = Timestamp::from_second(1_700_000_000 + hour * 3_600).unwrap();
        let entry = Entry {
            buyer: buyer.map(str::to_owned),
            lines: vec![line],
            totals: Some(Totals { net: money(minor), tax: money(0), gross: money(minor) }),
            ..Entry::bare(Kind::Order, ExternalId::new(difference.to_string()), at)
        };
        Loose { difference, entry }
    }

    fn told(ours: &[Loose], theirs: &[Loose]) -> Vec<(i64, i64, u8)> {
        suggest(ours, theirs).into_iter().map(|one| (one.ours, one.theirs, one.percent)).collect()
    }

    #[test]
    fn the_more_speaks_for_it_the_surer_and_nothing_is_certain() {
        let ours = [loose(1, 0, 5_000, "COAT", Some("a@example.com"))];
        let one = |hour, sku: &str, buyer| told(&ours, &[loose(9, hour, 5_000, sku, buyer)]);
        assert_eq!(one(3, "COAT", Some("a@example.com")), [(1, 9, 95)]);
        assert_eq!(one(3, "COAT", Some("b@example.com")), [(1, 9, 80)]);
        assert_eq!(one(23, "COAT", None), [(1, 9, 80)]);
        assert_eq!(one(24, "COAT", None), [(1, 9, 60)], "another day says less");
        assert_eq!(one(3, "HAT", None), [(1, 9, 50)], "amount and day alone");
        assert!(one(30, "HAT", Some("a@example.com")).is_empty(), "45 of a hundred is not told");
        assert!(one(24 * 7 + 1, "COAT", Some("a@example.com")).is_empty(), "a week apart they are two");
        assert_eq!(one(-3, "COAT", None), one(3, "COAT", None), "which came first is no matter");
    }

    #[test]
    fn another_amount_currency_or_kind_is_another_document() {
        let ours = [loose(1, 0, 5_000, "COAT", None)];
        assert!(told(&ours, &[loose(9, 0, 5_001, "COAT", None)]).is_empty());
        let mut crowns = loose(9, 0, 5_000, "COAT", None);
        let sek = Money::from_minor(5_000, Currency::from_code("SEK").unwrap());
        crowns.entry.totals = Some(Totals { net: sek, tax: sek, gross: sek });
        assert!(told(&ours, &[crowns]).is_empty());
        let mut credit = loose(9, 0, 5_000, "COAT", None);
        credit.entry.kind = Kind::CreditNote;
        assert!(told(&ours, &[credit]).is_empty());
    }

    #[test]
    fn each_is_given_once_and_the_surest_goes_first() {
        let ours = [loose(1, 0, 5_000, "COAT", None), loose(2, 0, 5_000, "COAT", Some("a@example.com"))];
        let theirs = [loose(8, 0, 5_000, "COAT", Some("a@example.com")), loose(9, 0, 5_000, "HAT", None)];
        assert_eq!(told(&ours, &theirs), [(2, 8, 95), (1, 9, 50)]);
        assert_eq!(told(&ours, &theirs[..1]), [(2, 8, 95)], "the other finds nothing");
    }
}
