//! What must hold inside one family of the target, whatever the source says: no more shipped, given back or paid back than was sold.

use std::collections::BTreeMap;

use super::{Family, Finding, How, Match, Terms, Verdict, Why, family::describe};
use crate::{
    compare::Cause,
    id::Sku,
    moment::Interval,
    money::Money,
    records::Kind,
    statement::{Entry, Stage},
};

/// Adds what is broken, and calls by its name what a single document could not tell.
pub(super) fn hold(family: &Family, window: &Interval, terms: &Terms, matches: &mut Vec<Match>) {
    let standing = |kind: Kind| -> Vec<&Entry> {
        family.theirs.iter().filter(|entry| entry.kind == kind && entry.stage == Stage::Standing).collect()
    };
    parcels(family, matches);
    // The sale by the source: at the target it may be what is wrong.
    let sale = family.ours.iter().find(|entry| entry.kind == Kind::Order && entry.stage != Stage::Void);
    let Some(sale) = sale else { return };
    for (kind, why) in [(Kind::CreditNote, Why::OverCredit), (Kind::Shipment, Why::ShippedTwice)] {
        if !terms.kinds.contains(&kind) {
            continue;
        }
        let documents = standing(kind);
        let Some(last) = documents.iter().max_by_key(|entry| entry.at).filter(|entry| window.contains(entry.at)) else {
            continue;
        };
        let units = too_many(sale, &documents);
        let money =
            if kind == Kind::CreditNote { too_much(sale, &documents).or_else(|| too_dear(sale, &documents)) } else { None };
        if units.is_none() && money.is_none() {
            continue;
        }
        let mine = |found: &Match| found.kind() == Some(kind) && found.verdict == Verdict::Open;
        let several = matches.iter().any(mine);
        for found in matches.iter_mut().filter(|found| mine(found)) {
            for finding in &mut found.findings {
                if matches!(
                    finding.cause,
                    Cause::Price | Cause::Quantity | Cause::Orphan | Cause::Duplicate | Cause::TaxRounding | Cause::TaxRate
                ) {
                    finding.why = why;
                    finding.fix = why.fix().to_owned();
                }
            }
        }
        if !several {
            let detail = match (&units, money) {
                (Some((sku, sold, there)), _) => format!("{there} × {sku} of {sold} sold, with {}", describe(last)),
                (None, Some(over)) => format!("{over} more than was sold, with {}", describe(last)),
                (None, None) => String::new(),
            };
            let finding = Finding {
                cause: if units.is_some() { Cause::Quantity } else { Cause::Price },
                why,
                path: "order".to_owned(),
                expected: sale.gross().map(|gross| gross.to_string()),
                actual: None,
                money,
                detail,
                fix: why.fix().to_owned(),
            };
            matches.push(Match {
                ours: Vec::new(),
                theirs: vec![(*last).clone()],
                how: How::Alone,
                verdict: Verdict::Open,
                findings: vec![finding],
                tolerated: Vec::new(),
                exception: None,
            });
        }
    }
}

/// What a bundle is made of may leave in several parcels, and the bundle be told with the last of them: then no parcel says the same,
/// and all of them together do.
fn parcels(family: &Family, matches: &mut [Match]) {
    let about_units = |finding: &Finding| matches!(finding.cause, Cause::Sku | Cause::Quantity);
    let mine =
        |found: &Match| found.kind() == Some(Kind::Shipment) && !found.ours.is_empty() && found.findings.iter().any(about_units);
    if !matches.iter().any(mine) {
        return;
    }
    let left = |entries: &'_ [Entry]| -> Vec<Entry> {
        entries.iter().filter(|entry| entry.kind == Kind::Shipment && entry.stage == Stage::Standing).cloned().collect()
    };
    let (ours, theirs) = (left(&family.ours), left(&family.theirs));
    let whole = |entries: &[Entry]| super::family::sum(&entries.iter().collect::<Vec<_>>());
    if ours.len() + theirs.len() < 3
        || ours.is_empty()
        || theirs.is_empty()
        || !super::differ::same_units(&whole(&ours), &whole(&theirs))
    {
        return;
    }
    for found in matches.iter_mut().filter(|found| found.kind() == Some(Kind::Shipment) && found.verdict == Verdict::Open) {
        // A parcel that completes no bundle has no document of its own.
        found.findings.retain(|finding| !about_units(finding) && finding.cause != Cause::Missing);
        if found.findings.is_empty() {
            found.verdict = Verdict::Agreed;
            found.how = How::Merged;
        }
    }
}

/// An item of which more units are in these documents than were sold: which, how many sold, how many there.
fn too_many(sale: &Entry, documents: &[&Entry]) -> Option<(Sku, i64, i64)> {
    let mut units: BTreeMap<&Sku, i64> = BTreeMap::new();
    for line in documents.iter().flat_map(|entry| &entry.lines) {
        let sum = units.entry(&line.sku).or_default();
        *sum = sum.saturating_add(line.quantity);
    }
    units.into_iter().find_map(|(sku, there)| {
        let sold = sale.lines.iter().filter(|line| line.sku == *sku).map(|line| line.quantity).fold(0_i64, i64::saturating_add);
        // An item that was not sold at all is another matter: a fee, a component.
        (sold > 0 && there > sold).then(|| (sku.clone(), sold, there))
    })
}

/// By how much more was given back for one item than all of it was sold for.
fn too_dear(sale: &Entry, documents: &[&Entry]) -> Option<Money> {
    let currency = sale.currency?;
    let sum = |lines: &mut dyn Iterator<Item = &crate::statement::EntryLine>, sku: &Sku| {
        Money::sum(currency, lines.filter(|line| line.sku == *sku).filter_map(|line| line.net)).ok()
    };
    let given = || documents.iter().flat_map(|entry| &entry.lines);
    given().find_map(|line| {
        let sold = sum(&mut sale.lines.iter(), &line.sku).filter(|sold| !sold.is_zero())?;
        let over = sum(&mut given(), &line.sku)?.minus(sold).ok()?;
        // Taken apart from its tax, a credit may come out a cent from its sale.
        let units =
            sale.lines.iter().filter(|sold| sold.sku == line.sku).map(|sold| sold.quantity).fold(1_i64, i64::saturating_add);
        (over.minor() > units).then_some(over)
    })
}

/// By how much more was given back than was sold.
fn too_much(sale: &Entry, documents: &[&Entry]) -> Option<Money> {
    let sold = sale.gross()?;
    let given = Money::sum(sold.currency(), documents.iter().filter_map(|entry| entry.gross())).ok()?;
    given.minus(sold).ok().filter(|over| over.minor() > 0)
}
