//! Two documents that belong together: on what they disagree.
//!
//! What one side does not tell is not compared. A disagreement that follows from another is not told twice: with other units
//! the amounts differ by themselves.

use std::collections::BTreeMap;

use jiff::tz::{Offset, TimeZone};

use super::{Finding, Terms, Why, cents::cents};
use crate::{
    compare::Cause,
    id::Sku,
    money::Money,
    records::Kind,
    statement::{Amounts, Entry, Facet, Stage},
};

/// On what they disagree; and what is within the tolerance.
pub(super) fn differ(ours: &Entry, theirs: &Entry, terms: &Terms) -> (Vec<Finding>, Vec<Finding>) {
    if ours.stage == Stage::Void && theirs.stage == Stage::Void {
        return (Vec::new(), Vec::new());
    }
    if let Some(finding) = stages(ours, theirs) {
        return (vec![finding], Vec::new());
    }
    let mut found = Vec::new();
    let mut tolerated = Vec::new();
    let same_currency = currencies(ours, theirs, &mut found);
    let before = found.len();
    items(ours, theirs, &mut found);
    if same_currency && found.len() == before {
        for finding in cents(ours, theirs, terms) {
            let within = finding.money.is_some_and(|money| terms.tolerance.covers(money));
            if within { tolerated.push(finding) } else { found.push(finding) }
        }
    }
    head(ours, theirs, terms, &mut found);
    found.extend(terms.words.deviations(ours, theirs));
    // Whoever changed it last decides what the change was.
    if is_stale(ours, theirs) {
        for finding in &mut found {
            if matches!(
                finding.why,
                Why::OtherUnits | Why::EditedAmount | Why::EditedTax | Why::EditedHead | Why::OtherSku | Why::Unexplained
            ) {
                finding.why = Why::Stale;
                finding.fix = Why::Stale.fix().to_owned();
            }
        }
    }
    (found, tolerated)
}

/// The source changed after the target did.
fn is_stale(ours: &Entry, theirs: &Entry) -> bool {
    matches!((ours.updated_at, theirs.updated_at), (Some(one), Some(other)) if one > other)
}

fn plain(cause: Cause, why: Why, path: &str, expected: &str, actual: &str, detail: String) -> Finding {
    Finding {
        cause,
        why,
        path: path.to_owned(),
        expected: Some(expected.to_owned()),
        actual: Some(actual.to_owned()),
        money: None,
        detail,
        fix: why.fix().to_owned(),
    }
}

/// Whether one counts and the other does not.
fn stages(ours: &Entry, theirs: &Entry) -> Option<Finding> {
    let word = |stage: Stage| match stage {
        Stage::Void => "cancelled",
        Stage::Pending => "not done yet",
        Stage::Standing => "standing",
    };
    let told = |why: Why, detail: &str| {
        let mut finding = plain(Cause::Status, why, "status", word(ours.stage), word(theirs.stage), detail.to_owned());
        finding.money =
            if ours.stage == Stage::Void { theirs.gross() } else { ours.gross().and_then(|gross| gross.negated().ok()) };
        Some(finding)
    };
    match (ours.stage, theirs.stage) {
        (Stage::Void, Stage::Standing) => told(Why::CancelledOnce, "called off at the source, and it counts at the target"),
        (Stage::Standing, Stage::Void) => told(Why::CancelledOnce, "it counts at the source, and is called off at the target"),
        // An order that waits for approval is there; goods and money that wait are not.
        (Stage::Standing, Stage::Pending) if ours.kind == Kind::Return => {
            told(Why::CreditWithoutGoods, "received at the source, and no receipt is booked at the target")
        }
        (Stage::Standing, Stage::Pending) if ours.kind == Kind::Shipment => {
            told(Why::ShipmentMissing, "left at the source, and not sent at the target")
        }
        _ => None,
    }
}

/// Whether both are in one currency; amounts of two never meet.
fn currencies(ours: &Entry, theirs: &Entry, found: &mut Vec<Finding>) -> bool {
    let (Some(one), Some(other)) = (ours.currency, theirs.currency) else { return true };
    if one == other {
        return true;
    }
    let figures = |entry: &Entry| entry.gross().map(Money::decimal);
    let detail = if figures(ours) == figures(theirs) {
        format!("the figures of {one} stand there as {other}")
    } else {
        format!("sold in {one}, booked in {other}")
    };
    let mut finding = plain(Cause::Currency, Why::WrongCurrency, "currency", one.code(), other.code(), detail);
    finding.money = ours.gross().and_then(|gross| gross.negated().ok());
    found.push(finding);
    false
}

/// Units by item; components apart.
fn units(entry: &Entry, components: bool) -> BTreeMap<&Sku, i64> {
    let mut units: BTreeMap<&Sku, i64> = BTreeMap::new();
    for line in entry.lines.iter().filter(|line| components || !line.component) {
        let sum = units.entry(&line.sku).or_default();
        *sum = sum.saturating_add(line.quantity);
    }
    units.retain(|_, quantity| *quantity != 0);
    units
}

/// Whether both have the same units of the same items; a bundle may stand as its components.
pub(super) fn same_units(ours: &Entry, theirs: &Entry) -> bool {
    let there = units(theirs, false);
    if units(ours, false) == there {
        return true;
    }
    taken_apart(ours, theirs) || taken_apart(theirs, ours)
}

/// Whether one side has the parts of what the other has whole.
fn taken_apart(whole: &Entry, parts: &Entry) -> bool {
    let there = units(parts, false);
    let has_components = whole.lines.iter().any(|line| line.component);
    let mut apart = units(whole, true);
    apart.retain(|sku, _| there.contains_key(sku));
    let components_are_there = whole.lines.iter().filter(|line| line.component).all(|line| there.contains_key(&line.sku));
    has_components && components_are_there && apart == there
}

/// Items and units.
fn items(ours: &Entry, theirs: &Entry, found: &mut Vec<Finding>) {
    if ours.lines.is_empty() || theirs.lines.is_empty() || same_units(ours, theirs) {
        return;
    }
    let (here, there) = (units(ours, false), units(theirs, false));
    let money = match (ours.gross(), theirs.gross()) {
        (Some(one), Some(other)) => other.minus(one).ok().filter(|money| !money.is_zero()),
        _ => None,
    };
    let mut gone: Vec<(&Sku, i64)> =
        here.iter().filter(|(sku, _)| !there.contains_key(*sku)).map(|(sku, n)| (*sku, *n)).collect();
    let mut come: Vec<(&Sku, i64)> =
        there.iter().filter(|(sku, _)| !here.contains_key(*sku)).map(|(sku, n)| (*sku, *n)).collect();
    let case = |one: &Sku, other: &Sku| one.as_str().trim().eq_ignore_ascii_case(other.as_str().trim());
    let first = found.len();
    for by_case in [true, false] {
        gone.retain(|(sku, quantity)| {
            let fits = |(other, n): &(&Sku, i64)| if by_case { case(sku, other) } else { n == quantity };
            let Some(at) = come.iter().position(fits) else { return true };
            let (other, _) = come.remove(at);
            let (why, detail) = if by_case {
                (Why::SkuCase, format!("{other} stands for {sku}: another item, as SKUs are compared exactly"))
            } else {
                (Why::OtherSku, format!("{other} stands for {sku}"))
            };
            found.push(plain(Cause::Sku, why, &format!("lines {sku}"), sku.as_str(), other.as_str(), detail));
            false
        });
    }
    for (sku, quantity) in &gone {
        let detail = format!("the line of {quantity} × {sku} is not there");
        found.push(plain(Cause::Quantity, Why::OtherUnits, &format!("lines {sku}"), &quantity.to_string(), "0", detail));
    }
    for (sku, quantity) in &come {
        let detail = format!("a line of {quantity} × {sku} that the source does not have");
        found.push(plain(Cause::Quantity, Why::OtherUnits, &format!("lines {sku}"), "0", &quantity.to_string(), detail));
    }
    for (sku, quantity) in &here {
        let Some(other) = there.get(sku).filter(|other| *other != quantity) else { continue };
        let detail = format!("{other} instead of {quantity} × {sku}");
        found.push(plain(
            Cause::Quantity,
            Why::OtherUnits,
            &format!("lines {sku}"),
            &quantity.to_string(),
            &other.to_string(),
            detail,
        ));
    }
    // What the document as a whole moves is told once.
    if let Some(finding) = found.get_mut(first) {
        finding.money = money;
    }
}

/// What stands above the lines.
fn head(ours: &Entry, theirs: &Entry, terms: &Terms, found: &mut Vec<Finding>) {
    days(ours, theirs, found);
    let late = theirs.at.duration_since(ours.at);
    if ours.kind == Kind::Order && late.unsigned_abs() > terms.late_after && late.is_positive() {
        let detail = format!("it came into being {} after the source's", spell(late.unsigned_abs()));
        found.push(plain(Cause::Timing, Why::Late, "created", &ours.at.to_string(), &theirs.at.to_string(), detail));
    }
    if let (Some(one), Some(other), Kind::Order) = (&ours.buyer, &theirs.buyer, ours.kind)
        && one != other
    {
        let detail = "another e-mail of the buyer".to_owned();
        found.push(plain(Cause::Party, Why::EditedHead, "buyer", one, other, detail));
    }
    if let (Some(one), Some(other)) = (ours.facets.get(&Facet::Country), theirs.facets.get(&Facet::Country))
        && one.id != other.id
    {
        let detail = format!("it goes to {} there, and to {} here", other.id, one.id);
        found.push(plain(Cause::Party, Why::EditedHead, "country", &one.id, &other.id, detail));
    }
    if let (Some(one), Some(other)) = (&ours.address, &theirs.address)
        && one != other
        && found.iter().all(|finding| finding.path != "country")
    {
        found.push(plain(Cause::Party, Why::EditedHead, "address", one, other, "it goes to another address there".to_owned()));
    }
    if !ours.tracking.is_empty() && !theirs.tracking.is_empty() {
        let set = |entry: &Entry| {
            let mut numbers: Vec<String> = entry.tracking.iter().map(|number| number.trim().to_uppercase()).collect();
            numbers.sort();
            numbers.dedup();
            numbers
        };
        let (one, other) = (set(ours), set(theirs));
        if one != other {
            let detail = format!("the shopper is told {}, and the parcel has {}", other.join(", "), one.join(", "));
            found.push(plain(Cause::Party, Why::WrongTracking, "tracking", &one.join(", "), &other.join(", "), detail));
        }
    }
    if let (Some(one), Some(other)) = (&ours.reference, &theirs.reference)
        && one != other
    {
        let detail = "another reference".to_owned();
        found.push(plain(Cause::Party, Why::EditedHead, "reference", one, other, detail));
    }
}

/// Whether both are booked on the same day, and which clock gives the other one.
fn days(ours: &Entry, theirs: &Entry, found: &mut Vec<Finding>) {
    let (Some(one), Some(other)) = (ours.on, theirs.on) else { return };
    if one == other {
        return;
    }
    let zones = [("UTC", 0), ("Pacific time", -8), ("Pacific summer time", -7), ("Eastern time", -5), ("China's time", 8)];
    let zone = zones.into_iter().find(|(_, hours)| {
        let offset = Offset::from_hours(*hours).unwrap_or(Offset::UTC);
        ours.at.to_zoned(TimeZone::fixed(offset)).date() == other
    });
    let (why, detail) = match zone {
        Some((zone, _)) => {
            (Why::DayShifted, format!("at {} it was {other} by {zone}, and {one} where the source keeps its books", ours.at))
        }
        None => (Why::OtherDay, format!("no time zone in use gives {other} for {}", ours.at)),
    };
    let mut finding = plain(Cause::Timing, why, "day", &one.to_string(), &other.to_string(), detail);
    if one.first_of_month() != other.first_of_month() {
        finding.money = theirs.gross();
        finding.detail.push_str("; it moves into another month");
    }
    found.push(finding);
}

/// A stretch of time as people say it.
pub(super) fn spell(span: std::time::Duration) -> String {
    let minutes = span.as_secs() / 60;
    match minutes {
        0 => format!("{} s", span.as_secs()),
        1..=119 => format!("{minutes} min"),
        _ => format!("{} h {} min", minutes / 60, minutes % 60),
    }
}

/// Amounts of several documents.
pub(super) fn together(one: Option<Amounts>, other: Option<Amounts>) -> Option<Amounts> {
    match (one, other) {
        (Some(one), Some(other)) => {
            let (net, tax) = (one.net.plus(other.net).ok()?, one.tax.plus(other.tax).ok()?);
            Some(Amounts { net, tax, rate: one.rate.filter(|rate| other.rate == Some(*rate)) })
        }
        (one, other) => one.or(other),
    }
}
