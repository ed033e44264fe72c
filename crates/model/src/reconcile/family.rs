//! One family: everything that both sides say of one order is paired up, and each document of the source gets its verdict.

use std::time::Duration;

use super::{
    Finding, How, Ledger, Match, Owed, Rule, Terms, Verdict, Why,
    differ::{differ, is_change},
    laws,
};
use crate::{
    compare::Cause,
    id::RecordKey,
    moment::Interval,
    obligation::State,
    records::Kind,
    statement::{Entry, Stage},
};
use jiff::Timestamp;

/// What both sides say of one order, or of one thing that is about no order.
#[derive(Clone, Debug, Default)]
pub struct Family {
    /// The order, or the key of the thing.
    pub key: String,
    /// What the source says.
    pub ours: Vec<Entry>,
    /// What the target says.
    pub theirs: Vec<Entry>,
}

/// What becomes of a family in a window. Documents of the source that lie outside the window serve as partners and get no
/// verdict; what stands at the target alone is told when it came to be inside.
pub fn settle(family: &Family, window: &Interval, terms: &Terms, ledger: Ledger<'_>, now: Timestamp) -> Vec<Match> {
    let mut matches = Vec::new();
    for kind in &terms.kinds {
        let ours: Vec<&Entry> = family.ours.iter().filter(|entry| entry.kind == *kind).collect();
        let theirs: Vec<&Entry> = family.theirs.iter().filter(|entry| entry.kind == *kind).collect();
        if ours.is_empty() && theirs.is_empty() {
            continue;
        }
        if *kind == Kind::Stock {
            matches.extend(super::stock::judge(&ours, &theirs, terms, now));
            continue;
        }
        for pair in pair_up(*kind, ours, theirs, window) {
            matches.extend(judge(pair, family, window, terms, ledger, now));
        }
    }
    laws::hold(family, window, terms, &mut matches);
    matches
}

/// Documents of a window that are partners one to one, before anything is said of them: what words are learnt from.
pub fn partners<'a>(family: &'a Family, window: &Interval, kinds: &[Kind]) -> Vec<(&'a Entry, &'a Entry)> {
    let mut partners = Vec::new();
    for kind in kinds.iter().filter(|kind| **kind != Kind::Stock) {
        let of = |entries: &'a [Entry]| entries.iter().filter(|entry| entry.kind == *kind).collect::<Vec<_>>();
        for pair in pair_up(*kind, of(&family.ours), of(&family.theirs), window) {
            if let ([one], [other]) = (pair.ours.as_slice(), pair.theirs.as_slice())
                && inside(one, window)
            {
                partners.push((*one, *other));
            }
        }
    }
    partners
}

/// Whether a document counts in a window. Figures of stock and items are no events: they are looked at whole.
pub fn inside(entry: &Entry, window: &Interval) -> bool {
    matches!(entry.kind, Kind::Stock | Kind::Product) || window.contains(entry.at)
}

/// Documents that belong together, before anything is said of them.
struct Pair<'a> {
    ours: Vec<&'a Entry>,
    theirs: Vec<&'a Entry>,
    how: How,
    /// Further copies of the target's document.
    copies: Vec<&'a Entry>,
}

impl<'a> Pair<'a> {
    fn of(ours: &'a Entry, theirs: &'a Entry, how: How) -> Self {
        Self { ours: vec![ours], theirs: vec![theirs], how, copies: Vec::new() }
    }
}

/// Pairs the documents of one kind in one family.
fn pair_up<'a>(kind: Kind, mut ours: Vec<&'a Entry>, mut theirs: Vec<&'a Entry>, window: &Interval) -> Vec<Pair<'a>> {
    let mut pairs: Vec<Pair<'a>> = Vec::new();
    // What counts goes first: a copy that was called off is nobody's partner while one stands.
    theirs.sort_by_key(|entry| (entry.stage == Stage::Void, entry.at, entry.id.as_str().len()));
    by_key(&mut ours, &mut theirs, &mut pairs);
    if kind != Kind::Order {
        // What was never invoiced is expected nowhere: it comes after what is due, and what it is not like is not it.
        let (mut never, mut due): (Vec<&Entry>, Vec<&Entry>) = ours.into_iter().partition(|one| one.never_invoiced);
        by_content(&mut due, &mut theirs, &mut pairs);
        by_content(&mut never, &mut theirs, &mut pairs);
        // One left on each side are each other's; what differs is told.
        // What lies outside the window is partner to what says the same, and to nothing else: it would hide what is inside.
        if let ([one], [other]) = (due.as_slice(), theirs.as_slice())
            && inside(one, window) == inside(other, window)
        {
            pairs.push(Pair::of(one, other, How::Content));
            due.clear();
            theirs.clear();
        }
        merged(&mut due, &mut theirs, &mut pairs);
        ours = due;
        ours.extend(never);
    }
    pairs.extend(ours.into_iter().map(|one| Pair { ours: vec![one], theirs: Vec::new(), how: How::Alone, copies: Vec::new() }));
    pairs.extend(theirs.into_iter().map(|one| Pair { ours: Vec::new(), theirs: vec![one], how: How::Alone, copies: Vec::new() }));
    pairs
}

/// The same key on both sides: one partner, or several that come to the same, or copies.
fn by_key<'a>(ours: &mut Vec<&'a Entry>, theirs: &mut Vec<&'a Entry>, pairs: &mut Vec<Pair<'a>>) {
    ours.retain(|one| {
        let Some(key) = &one.key else { return true };
        let same: Vec<&'a Entry> = theirs.iter().copied().filter(|other| other.key.as_ref() == Some(key)).collect();
        if same.is_empty() {
            return true;
        }
        theirs.retain(|other| other.key.as_ref() != Some(key));
        let standing: Vec<&'a Entry> = same.iter().copied().filter(|other| other.stage != Stage::Void).collect();
        match standing.as_slice() {
            [] => pairs.push(Pair {
                ours: vec![one],
                theirs: same.into_iter().take(1).collect(),
                how: How::Key,
                copies: Vec::new(),
            }),
            [only] => pairs.push(Pair::of(one, only, How::Key)),
            several => {
                let whole = sum(several);
                if alike(one, &whole) {
                    pairs.push(Pair { ours: vec![one], theirs: several.to_vec(), how: How::Split, copies: Vec::new() });
                } else {
                    // The one that says the same, else the first; the others are copies.
                    let partner = several.iter().copied().find(|other| alike(one, other)).unwrap_or(several[0]);
                    let copies = several.iter().copied().filter(|other| !std::ptr::eq(*other, partner)).collect();
                    pairs.push(Pair { ours: vec![one], theirs: vec![partner], how: How::Key, copies });
                }
            }
        }
        false
    });
}

/// Within one order: the same transaction, a parcel with the same number, or the same units and amount.
fn by_content<'a>(ours: &mut Vec<&'a Entry>, theirs: &mut Vec<&'a Entry>, pairs: &mut Vec<Pair<'a>>) {
    let same: [fn(&Entry, &Entry) -> bool; 3] = [
        |one, other| one.reference.is_some() && one.reference == other.reference,
        |one, other| !one.tracking.is_empty() && one.tracking.iter().any(|number| other.tracking.contains(number)),
        |one, other| alike(one, other),
    ];
    for same in same {
        ours.retain(|one| match theirs.iter().position(|other| other.stage != Stage::Void && same(one, other)) {
            Some(at) => {
                pairs.push(Pair::of(one, theirs.remove(at), How::Content));
                false
            }
            None => true,
        });
    }
}

/// Several of ours that come to the same as one of theirs, or the other way round.
fn merged<'a>(ours: &mut Vec<&'a Entry>, theirs: &mut Vec<&'a Entry>, pairs: &mut Vec<Pair<'a>>) {
    if ours.len() > 1
        && let [other] = theirs.as_slice()
        && alike(&sum(ours), other)
    {
        pairs.push(Pair { ours: std::mem::take(ours), theirs: vec![other], how: How::Merged, copies: Vec::new() });
        theirs.clear();
    } else if theirs.len() > 1
        && let [one] = ours.as_slice()
        && alike(one, &sum(theirs))
    {
        pairs.push(Pair { ours: vec![one], theirs: std::mem::take(theirs), how: How::Split, copies: Vec::new() });
        ours.clear();
    }
}

/// Whether two documents are about the same units and the same money.
pub(super) fn alike(one: &Entry, other: &Entry) -> bool {
    let amounts = match (one.gross(), other.gross()) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    };
    amounts && (one.lines.is_empty() || other.lines.is_empty() || super::differ::same_units(one, other))
}

/// Several documents as one.
pub(super) fn sum(entries: &[&Entry]) -> Entry {
    let Some((first, rest)) = entries.split_first() else {
        return Entry::bare(Kind::Order, crate::id::ExternalId::new(""), Timestamp::UNIX_EPOCH);
    };
    let mut whole = (*first).clone();
    for entry in rest {
        whole.lines.extend(entry.lines.iter().cloned());
        whole.tracking.extend(entry.tracking.iter().cloned());
        whole.discount = super::differ::together(whole.discount, entry.discount);
        whole.shipping = super::differ::together(whole.shipping, entry.shipping);
        whole.handling = super::differ::together(whole.handling, entry.handling);
        whole.captured = match (whole.captured, entry.captured) {
            (Some(one), Some(other)) => one.plus(other).ok(),
            _ => None,
        };
        whole.totals = match (whole.totals, entry.totals) {
            (Some(one), Some(other)) => one
                .net
                .plus(other.net)
                .and_then(|net| Ok((net, one.tax.plus(other.tax)?, one.gross.plus(other.gross)?)))
                .ok()
                .map(|(net, tax, gross)| crate::records::Totals { net, tax, gross }),
            _ => None,
        };
        if entry.stage == Stage::Void || whole.currency != entry.currency {
            whole.totals = None;
        }
    }
    whole
}

/// The verdict of a pair, its copies apart.
fn judge(pair: Pair<'_>, family: &Family, window: &Interval, terms: &Terms, ledger: Ledger<'_>, now: Timestamp) -> Vec<Match> {
    let Pair { ours, theirs, how, copies } = pair;
    let inside = |entry: &Entry| inside(entry, window);
    let mut matches = Vec::new();
    let counts = ours.iter().any(|entry| inside(entry));
    match (ours.first(), theirs.first()) {
        (Some(_), _) if !counts => {}
        (Some(one), None) => matches.push(lonely(one, family, terms, ledger, now)),
        (None, Some(other)) => {
            if inside(other) && other.stage != Stage::Void {
                matches.extend(orphan(other, family, terms, now));
            }
        }
        (Some(one), Some(_)) => {
            let (ours_whole, theirs_whole) = (sum(&ours), sum(&theirs));
            let (mut findings, tolerated) = differ(&ours_whole, &theirs_whole, terms);
            // What changed a moment ago may still be on its way.
            let fresh = until(one.updated_at.unwrap_or(one.at), terms.allowance);
            let owed = one.key.as_ref().filter(|_| !findings.is_empty()).and_then(|key| ledger(one.kind, key));
            if let Some(Owed { state: State::Held, exception: Some(exception), flow, .. }) = &owed {
                // What the source says is at the gate, and somebody has to look at it there. That something stands there, and not or not
                // yet here, is such a thing; that the target has called it off is not.
                let is_news = ours_whole.stage != Stage::Standing;
                let is_owned = |finding: &&mut Finding| is_change(finding.why) || is_news && finding.cause == Cause::Status;
                for finding in findings.iter_mut().filter(is_owned) {
                    finding.why = Why::Held;
                    finding.fix = Why::Held.fix().to_owned();
                    finding.detail = format!("{}: what the source says is held by {exception} in {flow}", finding.detail);
                }
            }
            let ahead = until(theirs_whole.at, terms.allowance);
            let (fresh, under_way) = match findings.as_slice() {
                // The source may be about to say the same.
                [Finding { why: Why::Ahead, .. }] => (ahead, ahead > now),
                _ => {
                    let waits = match &owed {
                        Some(owed) => !owed.state.settled(),
                        None => one.updated_at > theirs_whole.updated_at,
                    };
                    (fresh, fresh > now && waits)
                }
            };
            let verdict = match findings.is_empty() {
                true => Verdict::Agreed,
                false if under_way => Verdict::InFlight { until: fresh },
                false => Verdict::Open,
            };
            let exception = owed.and_then(|owed| owed.exception);
            matches.push(Match {
                ours: ours.iter().map(|entry| (*entry).clone()).collect(),
                theirs: theirs.iter().map(|entry| (*entry).clone()).collect(),
                how,
                findings: if verdict == Verdict::Agreed || verdict == Verdict::Open { findings } else { Vec::new() },
                verdict,
                tolerated,
                exception,
            });
        }
        (None, None) => {}
    }
    if counts || copies.iter().any(|copy| inside(copy)) {
        matches.extend(copies.into_iter().map(|copy| duplicate(copy, theirs.first().copied(), family)));
    }
    matches
}

fn alone(ours: Option<&Entry>, theirs: Option<&Entry>, verdict: Verdict, findings: Vec<Finding>) -> Match {
    Match {
        ours: ours.cloned().into_iter().collect(),
        theirs: theirs.cloned().into_iter().collect(),
        how: How::Alone,
        verdict,
        findings,
        tolerated: Vec::new(),
        exception: None,
    }
}

pub(super) fn until(at: Timestamp, allowance: Duration) -> Timestamp {
    at.checked_add(allowance).unwrap_or(Timestamp::MAX)
}

/// What is at the source and not at the target.
fn lonely(one: &Entry, family: &Family, terms: &Terms, ledger: Ledger<'_>, now: Timestamp) -> Match {
    let excluded =
        |rule: Rule, why: String| alone(Some(one), None, Verdict::Excluded { rule, version: Rule::VERSION, why }, Vec::new());
    if one.stage == Stage::Void {
        return excluded(Rule::CalledOff, "called off at the source, and nothing stands at the target".to_owned());
    }
    if terms.parts_only && one.kind == Kind::Product && !one.lines.is_empty() {
        return excluded(Rule::Bundle, "put together from others, which stand there by themselves".to_owned());
    }
    if one.internal {
        return excluded(Rule::Internal, "internal at the source".to_owned());
    }
    if one.never_invoiced {
        return excluded(
            Rule::NeverInvoiced,
            "its units were cancelled before they left: the sale is smaller by them already".to_owned(),
        );
    }
    if let Some(market) = one.facets.get(&crate::statement::Facet::Market)
        && terms.exclude_markets.iter().any(|name| *name == market.id || *name == market.name)
    {
        return excluded(Rule::Market, format!("of market {}, which the config leaves out", market.name));
    }
    if one.stage == Stage::Pending {
        return excluded(Rule::Pending, "not final at the source yet".to_owned());
    }
    let owed = one.key.as_ref().and_then(|key| ledger(one.kind, key));
    let what = describe(one);
    let (why, detail, exception) = match &owed {
        Some(Owed { state: State::Excluded, note, flow, .. }) => {
            let note = note.clone().unwrap_or_default();
            return excluded(Rule::Gate, format!("excluded by the gate of {flow}: {note}"));
        }
        Some(Owed { state: State::Dismissed, note, .. }) => {
            return excluded(Rule::Dismissed, note.clone().unwrap_or_else(|| "dismissed".to_owned()));
        }
        Some(Owed { state: State::Held, exception, note, flow, .. }) => {
            let by = exception.map(|id| id.to_string()).unwrap_or_default();
            let note = note.as_deref().map(|note| format!(": {note}")).unwrap_or_default();
            (Why::Held, format!("{what} is held by {by} in {flow}{note}"), *exception)
        }
        owed => {
            let due = until(one.at.max(one.updated_at.filter(|_| owed.is_some()).unwrap_or(one.at)), terms.allowance);
            if due > now {
                return alone(Some(one), None, Verdict::InFlight { until: due }, Vec::new());
            }
            // It came to stand while the target was being read: the statement is older than the ledger.
            if let Some(settled_at) = owed.as_ref().and_then(|owed| owed.settled_at).filter(|settled_at| *settled_at > now) {
                return alone(Some(one), None, Verdict::InFlight { until: until(settled_at, terms.allowance) }, Vec::new());
            }
            match owed {
                Some(Owed { state: State::Confirmed, flow, .. }) => {
                    // What the rest of the family says tells more than that it is gone.
                    let why = match missing(one, family, String::new()).0 {
                        Why::NeverArrived | Why::ItemMissing => Why::Deleted,
                        other => other,
                    };
                    (why, format!("{what} stood at the target once, confirmed by {flow}, and is not there any more"), None)
                }
                Some(owed) if !owed.state.settled() => {
                    (Why::Stuck, format!("{what} is on its way in {} for longer than allowed", owed.flow), None)
                }
                _ => missing(one, family, what),
            }
        }
    };
    let finding = Finding {
        cause: Cause::Missing,
        why,
        path: String::new(),
        expected: Some(describe(one)),
        actual: None,
        money: one.gross().and_then(|gross| gross.negated().ok()),
        detail,
        fix: why.fix().to_owned(),
    };
    Match { exception, ..alone(Some(one), None, Verdict::Open, vec![finding]) }
}

/// Another document of the same side and kind that is about the same units.
fn twin(one: &Entry, other: &Entry) -> bool {
    one.kind == other.kind && one.id != other.id && other.stage == Stage::Standing && !one.lines.is_empty() && alike(one, other)
}

/// Why something is missing of which no ledger tells anything: what the rest of the family says.
fn missing(one: &Entry, family: &Family, what: String) -> (Why, String, Option<crate::id::ExceptionId>) {
    let there = |kind: Kind| family.theirs.iter().any(|entry| entry.kind == kind && entry.stage == Stage::Standing);
    let why = match one.kind {
        // The same units left once more, and the other side knows of one parcel.
        Kind::Shipment if family.ours.iter().any(|other| twin(one, other)) => Why::ShippedTwice,
        Kind::Shipment => Why::ShipmentMissing,
        Kind::Return if there(Kind::CreditNote) => Why::CreditWithoutGoods,
        Kind::CreditNote if there(Kind::Return) => Why::GoodsWithoutCredit,
        Kind::Refund if there(Kind::CreditNote) => Why::RefundMissing,
        Kind::Product => Why::ItemMissing,
        _ => Why::NeverArrived,
    };
    (why, format!("{what} is not at the target"), None)
}

/// Whether what stands at the target without a partner is told by nobody: the target's own, or so young that its source may have
/// been read before it came to be.
fn passes(other: &Entry, terms: &Terms, now: Timestamp) -> bool {
    other.kind == Kind::Product || terms.shared.contains(&other.kind) || until(other.at, terms.allowance) > now
}

/// Whether a document of the target is in no match for a reason: it passes, it belongs to what lies outside the window, or it shows
/// nothing of an item that nobody keeps.
pub(super) fn aside(other: &Entry, family: &Family, window: &Interval, terms: &Terms, now: Timestamp) -> bool {
    let outside = |entry: &Entry| {
        entry.kind == other.kind && !inside(entry, window) && (other.kind != Kind::Order || entry.key == other.key)
    };
    passes(other, terms, now)
        || family.ours.iter().any(outside)
        || other.kind == Kind::Stock && other.units.is_none_or(|units| units.available <= 0)
}

/// What stands at the target alone.
fn orphan(other: &Entry, family: &Family, terms: &Terms, now: Timestamp) -> Option<Match> {
    if passes(other, terms, now) {
        return None;
    }
    let twin =
        |entry: &&Entry| entry.kind == other.kind && entry.id != other.id && entry.stage != Stage::Void && alike(entry, other);
    let known = family.theirs.iter().find(twin);
    let why = match (other.kind, known) {
        (Kind::Shipment, Some(_)) => Why::ShippedTwice,
        (_, Some(_)) => Why::SentTwice,
        _ => Why::Foreign,
    };
    let (cause, detail) = match known {
        Some(twin) => (Cause::Duplicate, format!("{} says the same as {}", describe(other), name(twin))),
        None => (Cause::Orphan, format!("{} stands at the target, and the source does not know it", describe(other))),
    };
    let finding = Finding {
        cause,
        why,
        path: String::new(),
        expected: None,
        actual: Some(describe(other)),
        money: other.gross(),
        detail,
        fix: why.fix().to_owned(),
    };
    Some(alone(None, Some(other), Verdict::Open, vec![finding]))
}

/// A further copy.
fn duplicate(copy: &Entry, partner: Option<&Entry>, family: &Family) -> Match {
    let (first, gap) = match partner {
        Some(partner) => (name(partner), copy.at.duration_since(partner.at).as_secs()),
        None => (family.key.clone(), 0),
    };
    let finding = Finding {
        cause: Cause::Duplicate,
        why: if copy.kind == Kind::Shipment { Why::ShippedTwice } else { Why::SentTwice },
        path: String::new(),
        expected: None,
        actual: Some(describe(copy)),
        money: copy.gross(),
        detail: format!("{} is a second copy of {first}, made {gap} s after it", describe(copy)),
        fix: Why::SentTwice.fix().to_owned(),
    };
    alone(None, Some(copy), Verdict::Open, vec![finding])
}

/// `order 1042, 120.00 EUR`.
pub(super) fn describe(entry: &Entry) -> String {
    let money = entry.gross().map(|gross| format!(", {gross}")).unwrap_or_default();
    format!("{} {}{money}", entry.kind.word().replace('_', " "), name(entry))
}

/// How people know it.
pub(super) fn name(entry: &Entry) -> String {
    let key = entry.key.as_ref().map(RecordKey::as_str).filter(|key| !key.is_empty());
    entry.number.as_deref().or(key).unwrap_or(entry.id.as_str()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::{ExceptionId, ExternalId, FlowName, Sku},
        money::{Currency, Money},
        reconcile::{Tolerance, words::Words},
        records::Totals,
        statement::EntryLine,
    };

    fn eur(minor: i64) -> Money {
        Money::from_minor(minor, Currency::from_code("EUR").unwrap())
    }

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + minute * 60).unwrap()
    }

    fn entry(kind: Kind, id: &str, key: &str, minute: i64, units: i64) -> Entry {
        let line = EntryLine {
            sku: Sku::new("COAT"),
            quantity: units,
            unit: None,
            net: Some(eur(units * 1_000)),
            tax: Some(eur(units * 250)),
            rate: None,
            component: false,
        };
        let totals = Totals { net: eur(units * 1_000), tax: eur(units * 250), gross: eur(units * 1_250) };
        Entry {
            key: Some(RecordKey::new(key)),
            order: Some(RecordKey::new("1042")),
            currency: Some(eur(0).currency()),
            lines: vec![line],
            totals: Some(totals),
            ..Entry::bare(kind, ExternalId::new(id), at(minute))
        }
    }

    fn terms() -> Terms {
        Terms {
            kinds: vec![Kind::Order, Kind::Shipment, Kind::Return, Kind::CreditNote, Kind::Refund],
            tolerance: Tolerance::default(),
            allowance: Duration::from_secs(3_600),
            late_after: Duration::from_secs(6 * 3_600),
            late_since: None,
            exclude_markets: Vec::new(),
            shared: Vec::new(),
            buffered: false,
            parts_only: false,
            short_most: None,
            unheard: std::collections::BTreeMap::new(),
            in_transit: std::collections::BTreeMap::new(),
            moving: std::collections::BTreeSet::new(),
            unlisted: std::collections::BTreeSet::new(),
            rates: crate::tax::rates::RateBook::default(),
            words: Words::default(),
        }
    }

    fn told(ours: Vec<Entry>, theirs: Vec<Entry>) -> Vec<Match> {
        let family = Family { key: "1042".to_owned(), ours, theirs };
        settle(&family, &Interval { from: at(0), to: at(10_000) }, &terms(), &|_, _| None, at(20_000))
    }

    fn words(matches: &[Match]) -> Vec<(&'static str, Vec<&'static str>)> {
        matches.iter().map(|found| (found.verdict.word(), found.findings.iter().map(|f| f.why.word()).collect())).collect()
    }

    #[test]
    fn the_same_on_both_sides_is_agreed() {
        let matches = told(vec![entry(Kind::Order, "1", "1042", 5, 2)], vec![entry(Kind::Order, "9", "1042", 6, 2)]);
        assert_eq!(words(&matches), [("agreed", vec![])]);
        assert_eq!(matches[0].how, How::Key);
    }

    #[test]
    fn what_was_never_invoiced_is_not_missed_and_is_compared_where_it_was_booked_all_the_same() {
        let cancelled = |kind| Entry { never_invoiced: true, ..entry(kind, "1", "1042.shop.p1", 5, 2) };
        for kind in [Kind::CreditNote, Kind::Refund] {
            let lonely = told(vec![cancelled(kind)], vec![]);
            assert!(matches!(lonely[0].verdict, Verdict::Excluded { rule: Rule::NeverInvoiced, .. }), "{lonely:?}");
            assert_eq!(words(&told(vec![cancelled(kind)], vec![entry(kind, "9", "1042.shop.p1", 6, 2)])), [("agreed", vec![])]);
            let other = told(vec![cancelled(kind)], vec![entry(kind, "9", "1042.shop.p1", 6, 3)]);
            assert_eq!(other[0].verdict, Verdict::Open);
            // It is no partner of whatever else is left: neither of somebody's own, nor in the place of the one that is due.
            let foreign = told(vec![cancelled(kind)], vec![entry(kind, "9", "x", 6, 3)]);
            assert_eq!(words(&foreign), [("excluded", vec![]), ("open", vec!["foreign"])]);
            let due = entry(kind, "2", "1042.shop.r1", 5, 4);
            let both = told(vec![cancelled(kind), due], vec![entry(kind, "9", "x", 6, 5)]);
            assert_eq!((both.len(), both[0].how, both[1].verdict.word()), (2, How::Content, "excluded"));
            // What is due is first to be known by its amount; what is left over may be the other, booked by somebody without a key.
            let due = || entry(kind, "2", "1042.shop.r1", 5, 2);
            let same = told(vec![cancelled(kind), due()], vec![entry(kind, "9", "x", 6, 2)]);
            assert_eq!(words(&same), [("agreed", vec![]), ("excluded", vec![])]);
            let booked = told(vec![cancelled(kind), due()], vec![entry(kind, "9", "x", 6, 2), entry(kind, "10", "y", 7, 2)]);
            assert_eq!(words(&booked), [("agreed", vec![]), ("agreed", vec![])]);
        }
    }

    #[test]
    fn what_is_missing_says_why_as_far_as_anybody_knows() {
        let ours = || vec![entry(Kind::Order, "1", "1042", 5, 2)];
        assert_eq!(words(&told(ours(), vec![])), [("open", vec!["never_arrived"])]);
        let family = Family { key: "1042".to_owned(), ours: ours(), theirs: vec![] };
        let window = Interval { from: at(0), to: at(10_000) };
        let settled = |state: State, now: i64| {
            let owed = Owed {
                state,
                exception: Some(ExceptionId(3)),
                note: Some("rule x".to_owned()),
                flow: FlowName::new("orders"),
                settled_at: None,
            };
            settle(&family, &window, &terms(), &move |_, _| Some(owed.clone()), at(now))
        };
        assert_eq!(words(&settled(State::Confirmed, 20_000)), [("open", vec!["deleted"])]);
        assert_eq!(words(&settled(State::Held, 6)), [("open", vec!["held"])]);
        assert_eq!(settled(State::Held, 6)[0].exception, Some(ExceptionId(3)));
        assert_eq!(words(&settled(State::Cleared, 20_000)), [("open", vec!["stuck"])]);
        assert_eq!(words(&settled(State::Excluded, 20_000)), [("excluded", vec![])]);
        assert_eq!(words(&settled(State::Dismissed, 20_000)), [("excluded", vec![])]);
        assert_eq!(settled(State::Cleared, 30)[0].verdict, Verdict::InFlight { until: at(65) });
    }

    #[test]
    fn a_change_that_an_exception_holds_is_that_exceptions() {
        // One more came back than was announced: the gate holds it, and the books keep what they had.
        let came = entry(Kind::Return, "1", "1042.depot.7", 5, 2);
        let family =
            Family { key: "1042".to_owned(), ours: vec![came], theirs: vec![entry(Kind::Return, "9", "1042.shop.7", 6, 1)] };
        let window = Interval { from: at(0), to: at(10_000) };
        let told = |state: State| {
            let owed = Owed {
                state,
                exception: Some(ExceptionId(3)),
                note: Some("return.over".to_owned()),
                flow: FlowName::new("receipts"),
                settled_at: None,
            };
            settle(&family, &window, &terms(), &move |_, _| Some(owed.clone()), at(20_000))
        };
        let held = told(State::Held);
        assert_eq!(words(&held), [("open", vec!["held"])]);
        assert_eq!((held[0].exception, held[0].findings[0].expected.as_deref()), (Some(ExceptionId(3)), Some("2")));
        assert!(held[0].findings[0].detail.contains("exc_3 in receipts"), "{}", held[0].findings[0].detail);
        assert_eq!(words(&told(State::Confirmed)), [("open", vec!["other_units"])], "nothing holds it: somebody else changed it");
    }

    #[test]
    fn where_it_stands_is_the_exceptions_too_while_one_holds_it() {
        // The warehouse tells of an empty parcel, which the gate holds; the shop's people had completed the return without looking.
        let empty = Entry { stage: Stage::Pending, lines: Vec::new(), ..entry(Kind::Return, "1", "1042.depot.7", 5, 1) };
        let done = entry(Kind::Return, "9", "1042.shop.7", 6, 1);
        let called_off = Entry { stage: Stage::Void, ..done.clone() };
        let told = |ours: &Entry, theirs: &Entry, state: State| {
            let family = Family { key: "1042".to_owned(), ours: vec![ours.clone()], theirs: vec![theirs.clone()] };
            let window = Interval { from: at(0), to: at(10_000) };
            let owed =
                Owed { state, exception: Some(ExceptionId(3)), note: None, flow: FlowName::new("receipts"), settled_at: None };
            let matches = settle(&family, &window, &terms(), &move |_, _| Some(owed.clone()), at(20_000));
            let whys = words(&matches)[0].1.clone();
            (whys, matches[0].exception)
        };
        assert_eq!(told(&empty, &done, State::Held), (vec!["held"], Some(ExceptionId(3))));
        assert_eq!(told(&empty, &done, State::Confirmed).0, ["ahead"], "nothing holds it");
        assert_eq!(told(&called_off, &done, State::Held).0, ["held"]);
        assert_eq!(told(&called_off, &done, State::Confirmed).0, ["cancelled_once"]);
        // What the target did by itself is nothing that the source says.
        assert_eq!(told(&done, &called_off, State::Held).0, ["cancelled_once"]);
        assert_eq!(told(&done, &empty, State::Held).0, ["credit_without_goods"]);
        let lower = Entry { lines: vec![EntryLine { sku: Sku::new("coat"), ..done.lines[0].clone() }], ..done.clone() };
        assert_eq!(told(&done, &lower, State::Held).0, ["sku_case"]);
    }

    #[test]
    fn a_second_copy_is_a_duplicate_and_a_part_is_a_split() {
        let whole = entry(Kind::Order, "1", "1042", 5, 3);
        let copies =
            told(vec![whole.clone()], vec![entry(Kind::Order, "9", "1042", 6, 3), entry(Kind::Order, "10", "1042", 8, 3)]);
        assert_eq!(words(&copies), [("agreed", vec![]), ("open", vec!["sent_twice"])]);
        let parts = told(vec![whole], vec![entry(Kind::Order, "9", "1042", 6, 1), entry(Kind::Order, "10", "1042", 8, 2)]);
        assert_eq!(words(&parts), [("agreed", vec![])]);
        assert_eq!(parts[0].how, How::Split);
    }

    #[test]
    fn several_credits_that_come_to_one_are_merged() {
        let ours = vec![entry(Kind::CreditNote, "1", "a", 5, 1), entry(Kind::CreditNote, "2", "b", 6, 2)];
        let matches = told(ours, vec![entry(Kind::CreditNote, "9", "x", 8, 3)]);
        assert_eq!((matches.len(), matches[0].how, matches[0].verdict.word()), (1, How::Merged, "agreed"));
        assert_eq!(matches[0].ours.len(), 2);
    }

    #[test]
    fn outside_the_window_a_document_is_a_partner_and_nothing_else() {
        let matches = told(vec![entry(Kind::Order, "1", "1042", -5, 2)], vec![entry(Kind::Order, "9", "1042", 6, 2)]);
        assert!(matches.is_empty(), "{matches:?}");
        let matches = told(vec![entry(Kind::Order, "1", "1042", 9_999, 2)], vec![entry(Kind::Order, "9", "1042", 10_001, 2)]);
        assert_eq!(words(&matches), [("agreed", vec![])]);
    }

    #[test]
    fn what_lies_outside_the_window_hides_nothing_inside() {
        // A refund of before that never arrived, and another one inside that nobody owes.
        let ours = vec![entry(Kind::Refund, "1", "a", -5, 1)];
        let theirs = vec![entry(Kind::Refund, "9", "x", 8, 3)];
        assert_eq!(words(&told(ours, theirs)), [("open", vec!["foreign"])]);
        // What says the same across the border is one.
        let ours = vec![entry(Kind::Refund, "1", "a", -5, 1)];
        assert!(told(ours, vec![entry(Kind::Refund, "9", "x", 8, 1)]).is_empty());
    }

    #[test]
    fn what_came_to_stand_while_the_target_was_read_is_in_flight() {
        let family = Family { key: "1042".to_owned(), ours: vec![entry(Kind::Order, "1", "1042", 5, 2)], theirs: vec![] };
        let window = Interval { from: at(0), to: at(10_000) };
        let owed = |settled_at| Owed {
            state: State::Confirmed,
            exception: None,
            note: None,
            flow: FlowName::new("orders"),
            settled_at: Some(at(settled_at)),
        };
        let verdict =
            |settled_at| settle(&family, &window, &terms(), &move |_, _| Some(owed(settled_at)), at(500))[0].verdict.clone();
        assert_eq!(verdict(501), Verdict::InFlight { until: at(561) });
        assert_eq!(verdict(499), Verdict::Open);
    }

    #[test]
    fn what_counts_there_before_it_does_here_has_its_time_and_is_then_told() {
        let pending = Entry { stage: Stage::Pending, ..entry(Kind::Order, "1", "1042", 5, 2) };
        let family =
            Family { key: "1042".to_owned(), ours: vec![pending], theirs: vec![entry(Kind::Order, "9", "1042", 400, 2)] };
        let window = Interval { from: at(0), to: at(10_000) };
        let verdict = |now: i64| settle(&family, &window, &terms(), &|_, _| None, at(now))[0].verdict.clone();
        assert_eq!((verdict(459), verdict(460)), (Verdict::InFlight { until: at(460) }, Verdict::Open));
    }

    #[test]
    fn everything_at_either_end_is_accounted_for_and_what_is_left_over_shows() {
        let here = |id: &str, minute| entry(Kind::Order, id, id, minute, 2);
        let ours = vec![here("1", 5), here("2", 6), here("3", -5)];
        let theirs = vec![
            entry(Kind::Order, "91", "1", 6, 2),
            entry(Kind::Order, "92", "1", 7, 2),
            entry(Kind::Order, "93", "3", 1, 2),
            entry(Kind::Order, "94", "x", 8, 2),
            entry(Kind::Order, "95", "y", 9_999, 2),
        ];
        let family = Family { key: "1042".to_owned(), ours, theirs };
        let (window, terms, now) = (Interval { from: at(0), to: at(10_000) }, terms(), at(10_010));
        let matches = settle(&family, &window, &terms, &|_, _| None, now);
        let tally = |family: &Family, matches: &[Match]| {
            let mut tallies = crate::reconcile::Tallies::default();
            tallies.add(family, matches, &window, &terms, now);
            let tally = tallies.of(Kind::Order);
            tally.read = 8;
            tally.clone()
        };
        let whole = tally(&family, &matches);
        assert!(whole.meets() && whole.left_over() == 0, "{whole:?}");
        let figures =
            (whole.told.count, whole.there.count, whole.there_paired.count, whole.alone_there.count, whole.there_aside.count);
        assert_eq!(figures, (2, 5, 1, 2, 2));
        // Without any one verdict the sentence does not hold, at whichever end it is missing.
        for gone in 0..matches.len() {
            let mut fewer = matches.clone();
            fewer.remove(gone);
            let short = tally(&family, &fewer);
            // The partner of what lies outside the window, and what was made a moment ago, are accounted for without a verdict.
            assert!(!short.meets() && short.left_over() == 1, "{gone}: {short:?}");
        }
        let unseen = Family { theirs: family.theirs[..4].to_vec(), ..family.clone() };
        assert!(!tally(&unseen, &matches).meets(), "a document that was read and never came by");
    }

    #[test]
    fn nothing_more_is_given_back_than_was_sold() {
        let sale = entry(Kind::Order, "1", "1042", 5, 2);
        let there = entry(Kind::Order, "9", "1042", 6, 2);
        let credit = |id: &str, units| entry(Kind::CreditNote, id, "c", 9, units);
        let over = told(vec![sale.clone(), credit("2", 2)], vec![there.clone(), credit("8", 3)]);
        assert_eq!(words(&over), [("agreed", vec![]), ("open", vec!["over_credit"])]);
        let even = told(vec![sale, credit("2", 2)], vec![there, credit("8", 2)]);
        assert_eq!(words(&even), [("agreed", vec![]), ("agreed", vec![])]);
    }
}
