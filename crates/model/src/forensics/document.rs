//! Two entries as one list of amounts, each with what either side says of it.
//!
//! Amounts are whole minor units here, and exact figures are decimals of them: a document has one currency, so one step.

use std::collections::BTreeMap;

use jiff::{civil::Date, tz::TimeZone};
use rust_decimal::Decimal;

use crate::{
    money::{Currency, Money},
    records::TaxMode,
    statement::{Amounts, Entry, EntryLine, Facet},
    tax::{self, rates::RateBook},
};

/// What an amount is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A line that both sides have.
    Line,
    /// A line of ours alone.
    Missing,
    /// A line of theirs alone.
    Extra,
    /// The reduction of the whole; it comes off.
    Discount,
    /// Shipping.
    Shipping,
    /// Handling.
    Handling,
}

/// What one side says, in minor units; none where it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Side {
    pub net: Option<i64>,
    pub tax: Option<i64>,
}

/// By which rate something is taxed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rating {
    /// One rate, in percent.
    One(Decimal),
    /// As the lines are: rates with the amounts (without tax) that weigh them.
    Mixed(Vec<(Decimal, Decimal)>),
    /// Nobody can say: the tax is taken as it is told.
    Given,
}

/// One amount of the document.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub path: String,
    pub part: Part,
    pub quantity: i64,
    pub their_quantity: i64,
    /// The quoted price of a unit in minor units, unrounded: ours, or theirs where we have none.
    pub unit: Option<Decimal>,
    /// The same as theirs tells it.
    pub their_unit: Option<Decimal>,
    pub rating: Rating,
    /// The rate that theirs states.
    pub stated: Option<Decimal>,
    pub ours: Side,
    pub theirs: Side,
}

impl Item {
    /// 1, or -1 for what comes off.
    pub fn sign(&self) -> i64 {
        if self.part == Part::Discount { -1 } else { 1 }
    }

    pub fn is_line(&self) -> bool {
        matches!(self.part, Part::Line | Part::Missing | Part::Extra)
    }

    pub fn our_net(&self) -> i64 {
        self.ours.net.unwrap_or(0)
    }

    /// What ours comes to with tax.
    pub fn our_gross(&self) -> i64 {
        self.our_net().saturating_add(self.ours.tax.unwrap_or(0))
    }

    pub fn net_differs(&self) -> bool {
        matches!((self.ours.net, self.theirs.net), (Some(one), Some(other)) if one != other)
    }

    pub fn tax_differs(&self) -> bool {
        matches!((self.ours.tax, self.theirs.tax), (Some(one), Some(other)) if one != other)
    }

    pub fn rate(&self) -> Option<Decimal> {
        match &self.rating {
            Rating::One(rate) => Some(*rate),
            _ => None,
        }
    }
}

/// The sums as stated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sums {
    pub net: i64,
    pub tax: i64,
    pub gross: i64,
}

/// Both sides of a document.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub currency: Currency,
    /// Whether prices are quoted with their tax.
    pub included: bool,
    pub country: Option<String>,
    pub on: Date,
    pub items: Vec<Item>,
    pub ours: Option<Sums>,
    pub theirs: Option<Sums>,
}

/// Reads amounts of one currency; another one is remembered and spoils the whole.
struct Reader {
    currency: Currency,
    mixed: bool,
}

impl Reader {
    fn minor(&mut self, money: Money) -> i64 {
        self.mixed |= money.currency() != self.currency;
        money.minor()
    }

    fn side(&mut self, amounts: Option<Amounts>) -> Side {
        amounts
            .map_or_else(Side::default, |amounts| Side { net: Some(self.minor(amounts.net)), tax: Some(self.minor(amounts.tax)) })
    }

    fn line(&mut self, line: &EntryLine) -> Side {
        Side { net: line.net.map(|money| self.minor(money)), tax: line.tax.map(|money| self.minor(money)) }
    }
}

impl Document {
    /// None when the two have not one and the same currency.
    pub fn of(ours: &Entry, theirs: &Entry, book: &RateBook) -> Option<Self> {
        let stated = |entry: &Entry| entry.currency.or_else(|| entry.totals.map(|totals| totals.gross.currency()));
        let currency = stated(ours).or_else(|| stated(theirs))?;
        if [stated(ours), stated(theirs)].into_iter().flatten().any(|other| other != currency) {
            return None;
        }
        let mut reader = Reader { currency, mixed: false };
        let mut items = lines(ours, theirs, &mut reader);
        // A system that keeps tax by document says nought of its charges.
        let by_document = !theirs.lines.is_empty() && theirs.lines.iter().all(|line| line.tax.is_none());
        let untold = |amounts: &Amounts| by_document && amounts.tax.is_zero() && amounts.rate.is_none();
        for (part, path, one, other) in [
            (Part::Discount, "discount", ours.discount, theirs.discount),
            (Part::Shipping, "shipping", ours.shipping, theirs.shipping),
            (Part::Handling, "handling", ours.handling, theirs.handling),
        ] {
            if one.is_some() || other.is_some() {
                items.push(Item {
                    path: path.to_owned(),
                    part,
                    quantity: 1,
                    their_quantity: 1,
                    unit: None,
                    their_unit: None,
                    rating: one.and_then(|one| one.rate).map_or(Rating::Given, |rate| Rating::One(rate.normalize())),
                    stated: other.and_then(|other| other.rate).map(|rate| rate.normalize()),
                    ours: reader.side(one),
                    theirs: match other.filter(untold) {
                        Some(amounts) => Side { tax: None, ..reader.side(Some(amounts)) },
                        None => reader.side(other),
                    },
                });
            }
        }
        let mut sums = |entry: &Entry| {
            entry.totals.map(|totals| Sums {
                net: reader.minor(totals.net),
                tax: reader.minor(totals.tax),
                gross: reader.minor(totals.gross),
            })
        };
        let (our_sums, their_sums) = (sums(ours), sums(theirs));
        if reader.mixed {
            return None;
        }
        let country =
            [ours, theirs].into_iter().find_map(|entry| entry.facets.get(&Facet::Country)).map(|named| named.id.clone());
        let on = ours.on.or(theirs.on).unwrap_or_else(|| ours.at.to_zoned(TimeZone::UTC).date());
        let mut document = Document {
            currency,
            included: ours.tax_mode.or(theirs.tax_mode) == Some(TaxMode::Included),
            country,
            on,
            items,
            ours: our_sums,
            theirs: their_sums,
        };
        document.rate(book);
        Some(document)
    }

    /// Whether some amount is below nought.
    pub fn negative(&self) -> bool {
        self.items.iter().any(|item| item.our_net() < 0 || item.theirs.net.unwrap_or(0) < 0 || item.part == Part::Discount)
    }

    /// The rate of what states none: of a line the one that its tax comes from, of a charge that of the lines.
    fn rate(&mut self, book: &RateBook) {
        let mut usual: Vec<Decimal> = self.items.iter().filter_map(Item::rate).collect();
        if let Some(country) = &self.country {
            usual.extend(book.rate(country, self.on));
            usual.extend(book.reduced(country));
            usual.extend(book.changes(country).into_iter().rev().map(|change| change.percent));
        }
        usual.extend(book.countries().iter().filter_map(|country| book.rate(country, self.on)));
        for item in self.items.iter_mut().filter(|item| item.is_line() && item.rating == Rating::Given) {
            item.rating = found(item, &usual);
        }
        let mut weights: BTreeMap<Decimal, Decimal> = BTreeMap::new();
        for item in self.items.iter().filter(|item| item.is_line()) {
            if let Some(rate) = item.rate() {
                let weight = weights.entry(rate).or_default();
                *weight = weight.checked_add(Decimal::from(item.our_net().max(0))).unwrap_or(*weight);
            }
        }
        weights.retain(|_, weight| !weight.is_zero());
        let mixed: Vec<(Decimal, Decimal)> = weights.into_iter().collect();
        for item in self.items.iter_mut().filter(|item| item.rating == Rating::Given) {
            // Of what we state no rate, the one that they state is as good as any that gives our tax. Half a step of a tax that was
            // taken out of an amount is half a step of it with its own tax beside the net.
            let half = |rate: Decimal| Decimal::ONE_HUNDRED.checked_add(rate)?.checked_div(Decimal::from(200));
            let stated = item.stated.filter(|rate| off(item, *rate) <= half(*rate) && item.ours.tax.is_some());
            if let Some(rate) = stated {
                item.rating = Rating::One(rate);
                continue;
            }
            item.rating = match mixed.as_slice() {
                [] => found(item, &usual),
                [(rate, _)] if gives(item, *rate) => Rating::One(*rate),
                [_] => found(item, &usual),
                _ if mixed_gives(item, &mixed) => Rating::Mixed(mixed.clone()),
                _ => found(item, &usual),
            };
        }
    }
}

/// How far our tax is from what a rate gives.
fn off(item: &Item, rate: Decimal) -> Option<Decimal> {
    let exact = tax::exact(Decimal::from(item.ours.net?), rate, false).ok()?;
    exact.checked_sub(Decimal::from(item.ours.tax?)).map(|off| off.abs())
}

/// Whether a rate gives our tax to within what rounding can move: rounded unit by unit, half a step a unit.
fn gives(item: &Item, rate: Decimal) -> bool {
    off(item, rate).is_some_and(|off| off <= Decimal::from(item.quantity.saturating_abs().max(1)))
}

fn mixed_gives(item: &Item, weights: &[(Decimal, Decimal)]) -> bool {
    let (Some(net), Some(tax)) = (item.ours.net, item.ours.tax) else { return true };
    let exact = weights.iter().try_fold(Decimal::ZERO, |sum, (_, weight)| sum.checked_add(*weight)).and_then(|total| {
        weights.iter().try_fold(Decimal::ZERO, |sum, (rate, weight)| {
            let share = Decimal::from(net).checked_mul(*weight)?.checked_div(total)?;
            sum.checked_add(tax::exact(share, *rate, false).ok()?)
        })
    });
    exact.and_then(|exact| exact.checked_sub(Decimal::from(tax))).is_some_and(|off| off.abs() <= Decimal::ONE)
}

fn found(item: &Item, usual: &[Decimal]) -> Rating {
    match (item.ours.net, item.ours.tax) {
        (Some(net), Some(0)) if net != 0 => Rating::One(Decimal::ZERO),
        (None, None) | (Some(0), Some(0)) => item.stated.map_or(Rating::Given, Rating::One),
        _ => {
            // What gives the tax exactly goes before what gives it to within rounding.
            let exact = usual.iter().find(|rate| off(item, **rate).is_some_and(|off| off <= Decimal::new(5, 1)));
            let rate = exact.or_else(|| usual.iter().find(|rate| gives(item, **rate)));
            rate.map_or(Rating::Given, |rate| Rating::One(*rate))
        }
    }
}

/// Lines paired by content: systems reorder and renumber, and some take the lines of one item together.
fn lines(ours: &Entry, theirs: &Entry, reader: &mut Reader) -> Vec<Item> {
    let priced = |entry: &Entry| -> Vec<(usize, EntryLine)> {
        entry.lines.iter().cloned().enumerate().filter(|(_, line)| !line.component).collect()
    };
    let (mut one, mut other) = (priced(ours), priced(theirs));
    // Where the two quote prices in one way, theirs stands in for one that we do not tell.
    let alike = ours.tax_mode == theirs.tax_mode;
    // A side that tells no lines says nothing about them.
    let told = !other.is_empty();
    together(&mut one, &mut other);
    let rounds: [fn(&EntryLine, &EntryLine) -> bool; 5] = [
        |a, b| a.sku == b.sku && a.quantity == b.quantity && a.net == b.net && a.tax == b.tax,
        |a, b| a.sku == b.sku && a.quantity == b.quantity && a.net == b.net,
        |a, b| a.sku == b.sku && a.quantity == b.quantity,
        |a, b| a.sku == b.sku,
        |a, b| a.quantity == b.quantity && a.net == b.net,
    ];
    let mut pairs: Vec<Option<EntryLine>> = vec![None; one.len()];
    for fits in rounds {
        for (pair, (_, line)) in pairs.iter_mut().zip(&one).filter(|(pair, _)| pair.is_none()) {
            *pair = other.iter().position(|(_, theirs)| fits(line, theirs)).map(|at| other.remove(at).1);
        }
    }
    let mut items: Vec<Item> = one
        .iter()
        .zip(pairs)
        .map(|((index, line), pair)| {
            let part = if pair.is_some() || !told { Part::Line } else { Part::Missing };
            let nothing = if told { Side { net: Some(0), tax: Some(0) } } else { Side::default() };
            let their_unit = pair.as_ref().and_then(|pair| pair.unit).and_then(|unit| minor(unit, reader.currency));
            Item {
                path: format!("lines[{index}]"),
                part,
                quantity: line.quantity,
                their_quantity: pair.as_ref().map_or(line.quantity, |pair| pair.quantity),
                unit: line.unit.and_then(|unit| minor(unit, reader.currency)).or(their_unit.filter(|_| alike)),
                their_unit,
                rating: line.rate.map_or(Rating::Given, |rate| Rating::One(rate.normalize())),
                stated: pair.as_ref().and_then(|pair| pair.rate).map(|rate| rate.normalize()),
                ours: reader.line(line),
                theirs: pair.as_ref().map_or(nothing, |pair| reader.line(pair)),
            }
        })
        .collect();
    for (index, line) in other {
        let theirs = reader.line(&line);
        items.push(Item {
            path: format!("theirs.lines[{index}]"),
            part: Part::Extra,
            quantity: line.quantity,
            their_quantity: line.quantity,
            unit: line.unit.and_then(|unit| minor(unit, reader.currency)),
            their_unit: None,
            rating: Rating::Given,
            stated: line.rate.map(|rate| rate.normalize()),
            ours: Side { net: Some(0), tax: Some(0) },
            theirs,
        });
    }
    items
}

fn minor(price: Decimal, currency: Currency) -> Option<Decimal> {
    price.checked_mul(Decimal::from(10_u64.pow(currency.minor_units().unwrap_or(0))))
}

/// Takes the lines of an item together on both sides where one has more of them than the other, for as many units.
fn together(one: &mut Vec<(usize, EntryLine)>, other: &mut Vec<(usize, EntryLine)>) {
    let count = |lines: &[(usize, EntryLine)]| {
        let mut count: BTreeMap<String, (usize, i64)> = BTreeMap::new();
        for (_, line) in lines {
            let (lines, units) = count.entry(line.sku.to_string()).or_default();
            *lines += 1;
            *units = units.saturating_add(line.quantity);
        }
        count
    };
    let (ours, theirs) = (count(one), count(other));
    for (sku, (lines, units)) in ours {
        if theirs.get(&sku).is_some_and(|(there, same)| *there != lines && *same == units) {
            merge(one, &sku);
            merge(other, &sku);
        }
    }
}

fn merge(lines: &mut Vec<(usize, EntryLine)>, sku: &str) {
    let sum = |one: Option<Money>, other: Option<Money>| one.zip(other).and_then(|(one, other)| one.plus(other).ok());
    let mut merged: Option<(usize, EntryLine)> = None;
    for (index, line) in lines.extract_if(.., |(_, line)| line.sku.as_str() == sku) {
        merged = Some(match merged {
            None => (index, line),
            Some((first, whole)) => (
                first,
                EntryLine {
                    quantity: whole.quantity.saturating_add(line.quantity),
                    unit: whole.unit.filter(|_| whole.unit == line.unit),
                    net: sum(whole.net, line.net),
                    tax: sum(whole.tax, line.tax),
                    rate: whole.rate.filter(|_| whole.rate == line.rate),
                    ..whole
                },
            ),
        });
    }
    if let Some((first, whole)) = merged {
        let at = lines.iter().position(|(index, _)| *index > first).unwrap_or(lines.len());
        lines.insert(at, (first, whole));
    }
}
