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
        for (finding, within) in cents(ours, theirs, terms) {
            if within { tolerated.push(finding) } else { found.push(finding) }
        }
        found.extend(captured(ours, theirs, terms));
    }
    head(ours, theirs, terms, &mut found);
    found.extend(terms.words.deviations(ours, theirs));
    // Whoever changed it last decides what the change was.
    if is_stale(ours, theirs) {
        for finding in found.iter_mut().filter(|finding| is_change(finding.why)) {
            finding.why = Why::Stale;
            finding.fix = Why::Stale.fix().to_owned();
        }
    }
    (found, tolerated)
}

/// Whether a change at the source that has not come through looks like this.
pub(super) const fn is_change(why: Why) -> bool {
    matches!(
        why,
        Why::OtherUnits | Why::EditedAmount | Why::EditedTax | Why::EditedHead | Why::OtherSku | Why::Unexplained | Why::Stale
    )
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
            if theirs.stage == Stage::Standing { theirs.gross() } else { ours.gross().and_then(|gross| gross.negated().ok()) };
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
        (Stage::Pending, Stage::Standing) => told(Why::Ahead, "not final at the source yet, and it counts at the target"),
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
    // One of two lines of an item may have gone over to another case of it.
    let mut explained: Vec<&Sku> = Vec::new();
    come.retain(|(other, n)| {
        let of = |(sku, quantity): &(&&Sku, &i64)| {
            case(sku, other) && there.get(**sku).copied().unwrap_or(0).saturating_add(*n) == **quantity
        };
        let Some((sku, _)) = here.iter().find(of) else { return true };
        explained.push(sku);
        let detail = format!("{n} × {other} stand for {sku}: another item, as SKUs are compared exactly");
        found.push(plain(Cause::Sku, Why::SkuCase, &format!("lines {sku}"), sku.as_str(), other.as_str(), detail));
        false
    });
    for (sku, quantity) in &gone {
        let detail = format!("the line of {quantity} × {sku} is not there");
        found.push(plain(Cause::Quantity, Why::OtherUnits, &format!("lines {sku}"), &quantity.to_string(), "0", detail));
    }
    for (sku, quantity) in &come {
        let detail = format!("a line of {quantity} × {sku} that the source does not have");
        found.push(plain(Cause::Quantity, Why::OtherUnits, &format!("lines {sku}"), "0", &quantity.to_string(), detail));
    }
    for (sku, quantity) in &here {
        let Some(other) = there.get(sku).filter(|other| *other != quantity && !explained.contains(sku)) else { continue };
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

/// Whether both sides tell what a finding at this path is about. What a look could not compare it has not seen agree either.
pub fn compares(path: &str, ours: &Entry, theirs: &Entry) -> bool {
    let both = |facet: Facet| ours.facets.contains_key(&facet) && theirs.facets.contains_key(&facet);
    let told = |told: fn(&Entry) -> bool| told(ours) && told(theirs);
    match path {
        "buyer" => told(|entry| entry.buyer.is_some()),
        "address" => told(|entry| entry.address.is_some()),
        "country" => both(Facet::Country),
        "tracking" => told(|entry| !entry.tracking.is_empty()),
        "reference" => told(|entry| entry.reference.is_some()),
        "captured" => told(|entry| entry.captured.is_some()),
        // The source has another word for it.
        "entity" | "method" | "place" => Facet::ALL.iter().any(|facet| facet.word() == path && theirs.facets.contains_key(facet)),
        path if path.starts_with("lines") && (path.contains("tax") || path.contains("rate")) => {
            told(|entry| entry.lines.iter().all(|line| line.tax.is_some()))
        }
        _ => true,
    }
}

/// Money taken. What is not taken yet is not due at the target: less than the document comes to is not compared.
fn captured(ours: &Entry, theirs: &Entry, terms: &Terms) -> Option<Finding> {
    let (one, other) = (ours.captured.filter(|money| !money.is_zero())?, theirs.captured?);
    let (sold, booked) = (ours.gross()?, theirs.gross()?);
    // Where the documents themselves come to something else, that is told already.
    if one.minus(sold).ok()?.is_negative() || sold != booked {
        return None;
    }
    let money = other.minus(one).ok().filter(|money| !money.is_zero() && !terms.tolerance.covers(*money))?;
    let detail = format!("{one} was captured, and {other} stands there as taken");
    let finding = plain(Cause::Price, Why::CapturedOther, "captured", &one.to_string(), &other.to_string(), detail);
    Some(Finding { money: Some(money), ..finding })
}

/// What stands above the lines.
fn head(ours: &Entry, theirs: &Entry, terms: &Terms, found: &mut Vec<Finding>) {
    days(ours, theirs, found);
    let late = theirs.at.duration_since(ours.at);
    let asked = terms.late_since.is_none_or(|since| ours.at >= since);
    if asked && ours.kind == Kind::Order && late.unsigned_abs() > terms.late_after && late.is_positive() {
        let detail = format!("it came into being {} after the source's", spell(late.unsigned_abs()));
        found.push(plain(Cause::Timing, Why::Late, "created", &ours.at.to_string(), &theirs.at.to_string(), detail));
    }
    if let (Some(one), Some(other), Kind::Order) = (&ours.buyer, &theirs.buyer, ours.kind)
        && one != other
    {
        let detail = "another e-mail of the buyer".to_owned();
        found.push(plain(Cause::Party, Why::EditedHead, "buyer", &masked(one), &masked(other), detail));
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
        found.push(plain(
            Cause::Party,
            Why::EditedHead,
            "address",
            &masked(one),
            &masked(other),
            "it goes to another address there".to_owned(),
        ));
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

/// So much of what belongs to a person that two values can be told apart: reports are passed on.
fn masked(text: &str) -> String {
    let (name, rest) = text.split_once('@').map_or((text, String::new()), |(name, host)| (name, format!("@{host}")));
    // Of a short name two letters at either end would be all of it.
    let shown = if name.chars().count() > 7 { 2 } else { 1 };
    let first: String = name.chars().take(shown).collect();
    let last: String = name.chars().skip(name.chars().count().saturating_sub(shown)).collect();
    format!("{first}…{last}{rest}")
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::{
        id::ExternalId,
        money::Currency,
        reconcile::{Tolerance, words::Words},
        records::Totals,
        statement::EntryLine,
    };

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn money(minor: i64) -> Money {
        Money::from_minor(minor, Currency::from_code("EUR").unwrap())
    }

    fn line(sku: &str, quantity: i64) -> EntryLine {
        EntryLine {
            sku: Sku::new(sku),
            quantity,
            unit: None,
            net: Some(money(quantity * 1_000)),
            tax: Some(money(quantity * 250)),
            rate: None,
            component: false,
        }
    }

    fn order(lines: &[(&str, i64)]) -> Entry {
        let units: i64 = lines.iter().map(|(_, quantity)| quantity).sum();
        Entry {
            currency: Currency::from_code("EUR"),
            lines: lines.iter().map(|(sku, quantity)| line(sku, *quantity)).collect(),
            totals: Some(Totals { net: money(units * 1_000), tax: money(units * 250), gross: money(units * 1_250) }),
            on: Some(jiff::civil::date(2026, 11, 30)),
            ..Entry::bare(Kind::Order, ExternalId::new("1"), at("2026-11-30T22:30:00Z"))
        }
    }

    fn terms(tolerance: i64) -> Terms {
        Terms {
            kinds: vec![Kind::Order],
            tolerance: Tolerance(BTreeMap::from([(Currency::from_code("EUR").unwrap(), tolerance)])),
            allowance: Duration::from_secs(3_600),
            late_after: Duration::from_secs(6 * 3_600),
            late_since: None,
            exclude_markets: Vec::new(),
            shared: Vec::new(),
            parts_only: false,
            short_most: None,
            buffered: false,
            unheard: BTreeMap::new(),
            in_transit: BTreeMap::new(),
            moving: std::collections::BTreeSet::new(),
            unlisted: std::collections::BTreeSet::new(),
            rates: crate::tax::rates::RateBook::default(),
            words: Words::default(),
        }
    }

    fn found(ours: &Entry, theirs: &Entry) -> Vec<Finding> {
        differ(ours, theirs, &terms(0)).0
    }

    fn told(ours: &Entry, theirs: &Entry) -> Vec<(Cause, Why, String)> {
        found(ours, theirs).into_iter().map(|finding| (finding.cause, finding.why, finding.path)).collect()
    }

    #[test]
    fn another_item_is_told_from_another_case_and_another_number() {
        let ours = order(&[("COAT-M", 2), ("HAT", 1)]);
        let sku = |why| vec![(Cause::Sku, why, "lines COAT-M".to_owned())];
        assert!(told(&ours, &order(&[("HAT", 1), ("COAT-M", 2)])).is_empty(), "in whatever order");
        assert!(told(&ours, &order(&[("COAT-M", 1), ("COAT-M", 1), ("HAT", 1)])).is_empty(), "in whatever parts");
        assert_eq!(told(&ours, &order(&[("coat-m", 2), ("HAT", 1)])), sku(Why::SkuCase));
        assert_eq!(told(&ours, &order(&[("COAT-M", 1), ("coat-m", 1), ("HAT", 1)])), sku(Why::SkuCase), "one of two lines");
        assert_eq!(told(&ours, &order(&[("COAT-L", 2), ("HAT", 1)])), sku(Why::OtherSku));
        let units = |path: &str| (Cause::Quantity, Why::OtherUnits, path.to_owned());
        assert_eq!(told(&ours, &order(&[("COAT-M", 3), ("HAT", 1)])), [units("lines COAT-M")]);
        assert_eq!(told(&ours, &order(&[("COAT-M", 2)])), [units("lines HAT")]);
        assert_eq!(told(&ours, &order(&[("COAT-L", 5), ("HAT", 1)])), [units("lines COAT-M"), units("lines COAT-L")]);
        // What the whole moves is told once.
        let moved = found(&ours, &order(&[("COAT-L", 5), ("HAT", 1)]));
        assert_eq!(moved.iter().map(|finding| finding.money).collect::<Vec<_>>(), [Some(money(3_750)), None]);
        let silent = Entry { lines: Vec::new(), ..order(&[("COAT-M", 2), ("HAT", 1)]) };
        assert!(told(&ours, &silent).is_empty(), "what one side does not tell is not compared");
    }

    #[test]
    fn a_bundle_may_stand_as_its_components() {
        let mut bundle = order(&[("SET", 1)]);
        for part in ["CUP", "PLATE"] {
            bundle.lines.push(EntryLine { component: true, net: None, tax: None, ..line(part, 1) });
        }
        assert!(same_units(&bundle, &order(&[("SET", 1)])));
        assert!(same_units(&bundle, &order(&[("CUP", 1), ("PLATE", 1)])));
        assert!(!same_units(&bundle, &order(&[("CUP", 1)])), "half of it is not there");
        assert!(!same_units(&bundle, &order(&[("CUP", 1), ("PLATE", 2)])));
    }

    #[test]
    fn amounts_that_cancel_out_are_not_tolerated() {
        let ours = order(&[("COAT", 10), ("SHIRT", 8)]);
        let mut theirs = ours.clone();
        for (line, net, tax) in [(0, 15_000, 3_750), (1, 3_000, 750)] {
            theirs.lines[line].net = Some(money(net));
            theirs.lines[line].tax = Some(money(tax));
        }
        for tolerance in [0, 1, 100] {
            let (open, _) = differ(&ours, &theirs, &terms(tolerance));
            assert!(!open.is_empty(), "50.00 more and 50.00 less is no agreement, with a tolerance of {tolerance}");
        }
    }

    #[test]
    fn what_belongs_to_a_person_is_masked_and_still_told_apart() {
        let with = |buyer: &str| Entry { buyer: Some(buyer.to_owned()), ..order(&[("COAT", 1)]) };
        let found = found(&with("annika.berg@example.com"), &with("typo@example.com"));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].expected.as_deref(), Some("an…rg@example.com"));
        assert_eq!(found[0].actual.as_deref(), Some("t…o@example.com"));
    }

    #[test]
    fn a_tolerance_holds_for_a_cent_and_is_told() {
        let ours = order(&[("COAT", 1)]);
        let mut theirs = ours.clone();
        theirs.lines[0].tax = Some(money(251));
        theirs.totals = Some(Totals { net: money(1_000), tax: money(251), gross: money(1_251) });
        let (open, tolerated) = differ(&ours, &theirs, &terms(0));
        assert_eq!((open.len(), tolerated.len()), (1, 0), "{open:?}");
        let (open, tolerated) = differ(&ours, &theirs, &terms(1));
        assert_eq!((open.len(), tolerated.len()), (0, 1));
        // In another currency the same figure is no cent's difference.
        let crowns = Entry { currency: Currency::from_code("SEK"), ..theirs };
        let (open, _) = differ(&ours, &crowns, &terms(1_000));
        assert_eq!((open.len(), open[0].why), (1, Why::WrongCurrency));
    }

    #[test]
    fn a_day_is_another_zones_or_nobodys() {
        let ours = order(&[("COAT", 1)]);
        let on = |month, day| Entry { on: Some(jiff::civil::date(2026, month, day)), ..ours.clone() };
        // 22:30 UTC is 06:30 of the next day in China.
        let shifted = found(&ours, &on(12, 1));
        assert_eq!((shifted.len(), shifted[0].why, shifted[0].money), (1, Why::DayShifted, ours.gross()), "another month");
        assert!(shifted[0].detail.contains("China"), "{}", shifted[0].detail);
        let other = found(&ours, &on(11, 27));
        assert_eq!((other.len(), other[0].why, other[0].money), (1, Why::OtherDay, None), "the same month");
    }

    #[test]
    fn late_is_after_the_allowance_and_never_before_its_time() {
        let ours = order(&[("COAT", 1)]);
        let after = |seconds: i64| {
            let at = ours.at.checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap();
            told(&ours, &Entry { at, ..ours.clone() })
        };
        assert!(after(6 * 3_600).is_empty());
        assert_eq!(after(6 * 3_600 + 1), [(Cause::Timing, Why::Late, "created".to_owned())]);
        assert!(after(-7 * 3_600).is_empty(), "made before its source it is not late");
    }

    #[test]
    fn who_changed_it_last_decides_what_the_change_was() {
        let at = |hour: i64| Some(at("2026-12-01T00:00:00Z").checked_add(jiff::SignedDuration::from_hours(hour)).unwrap());
        let ours = Entry { updated_at: at(5), buyer: Some("a@example.com".to_owned()), ..order(&[("COAT", 1)]) };
        let theirs = |hour| Entry { updated_at: at(hour), buyer: Some("b@example.com".to_owned()), ..ours.clone() };
        assert_eq!(told(&ours, &theirs(6)), [(Cause::Party, Why::EditedHead, "buyer".to_owned())]);
        assert_eq!(told(&ours, &theirs(4)), [(Cause::Party, Why::Stale, "buyer".to_owned())]);
        assert_eq!(told(&ours, &theirs(5))[0].1, Why::EditedHead, "at the same time nobody was behind");
    }

    #[test]
    fn what_counts_at_one_side_only_is_told_with_its_money_and_alone() {
        let ours = order(&[("COAT", 2)]);
        let void = Entry { stage: Stage::Void, ..order(&[("HAT", 9)]) };
        let one = found(&ours, &void);
        assert_eq!((one.len(), one[0].why, one[0].money), (1, Why::CancelledOnce, Some(money(-2_500))));
        let other = found(&void, &ours);
        assert_eq!((other.len(), other[0].why, other[0].money), (1, Why::CancelledOnce, Some(money(2_500))));
        assert!(found(&void, &Entry { stage: Stage::Void, ..ours.clone() }).is_empty(), "nothing of it counts");
        let waits = Entry { stage: Stage::Pending, ..ours.clone() };
        let ahead = found(&waits, &ours);
        assert_eq!((ahead.len(), ahead[0].why, ahead[0].money), (1, Why::Ahead, Some(money(2_500))));
        assert!(found(&ours, &waits).is_empty(), "an order that waits for approval is there");
        for (kind, why) in [(Kind::Return, Why::CreditWithoutGoods), (Kind::Shipment, Why::ShipmentMissing)] {
            let (ours, waits) = (Entry { kind, ..ours.clone() }, Entry { kind, ..waits.clone() });
            assert_eq!(told(&ours, &waits), [(Cause::Status, why, "status".to_owned())]);
        }
    }

    #[test]
    fn another_sum_that_was_captured_is_told_and_what_is_not_captured_yet_is_not() {
        let took = |minor: i64| Entry { captured: Some(money(minor)), ..order(&[("COAT", 2)]) };
        let one = found(&took(2_500), &took(2_400));
        assert_eq!((one.len(), one[0].why, one[0].money), (1, Why::CapturedOther, Some(money(-100))));
        assert!(found(&took(2_500), &took(2_500)).is_empty() && found(&took(0), &took(2_500)).is_empty());
        assert!(found(&took(2_400), &took(2_500)).is_empty(), "the rest is not taken yet");
        assert!(found(&took(2_500), &order(&[("COAT", 2)])).is_empty(), "what one side does not tell is not compared");
        assert!(differ(&took(2_500), &took(2_501), &terms(1)).0.is_empty(), "within the tolerance");
    }

    #[test]
    fn what_one_side_does_not_tell_is_not_compared() {
        let bare = order(&[("COAT", 1)]);
        let whole = Entry {
            buyer: Some("a@b.c".to_owned()),
            address: Some("X".to_owned()),
            tracking: vec!["1".to_owned()],
            reference: Some("r".to_owned()),
            captured: Some(money(1)),
            ..bare.clone()
        };
        let named = |word: &str| Some(crate::records::Named { id: word.to_owned(), name: word.to_owned() });
        let whole = [Facet::Country, Facet::Entity, Facet::Method, Facet::Place]
            .into_iter()
            .fold(whole, |entry, facet| entry.with(facet, named("x")));
        for path in ["buyer", "address", "tracking", "reference", "captured", "country", "entity", "method", "place"] {
            assert!(compares(path, &whole, &whole) && !compares(path, &whole, &bare), "{path}");
        }
        let mut untaxed = bare.clone();
        untaxed.lines[0].tax = None;
        assert!(compares("lines COAT tax", &bare, &bare) && !compares("lines COAT tax", &bare, &untaxed));
        assert!(compares("lines COAT net", &bare, &untaxed) && compares("totals tax", &bare, &untaxed));
    }

    #[test]
    fn a_parcel_is_known_by_its_number_whatever_its_case() {
        let parcel = |numbers: &[&str]| Entry {
            kind: Kind::Shipment,
            tracking: numbers.iter().map(ToString::to_string).collect(),
            ..order(&[("COAT", 1)])
        };
        assert!(told(&parcel(&["JD1", "JD2"]), &parcel(&["jd2 ", "JD1", "JD1"])).is_empty());
        assert!(told(&parcel(&["JD1"]), &parcel(&[])).is_empty());
        assert_eq!(told(&parcel(&["JD1"]), &parcel(&["JD3"])), [(Cause::Party, Why::WrongTracking, "tracking".to_owned())]);
        assert_eq!(told(&parcel(&["JD1", "JD2"]), &parcel(&["JD1"])).len(), 1, "one parcel of two");
    }
}
