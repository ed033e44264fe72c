//! Another tax: following from another price, rounded in another way, of another rate, or of shipping and discounts taxed otherwise.
//!
//! Each is a hypothesis: rates for every amount. One that gives all their figures under a policy that gives ours too is the
//! only thing that differs between the two sides, so these are asked first.

use std::collections::BTreeMap;

use jiff::civil::Date;
use rust_decimal::{Decimal, prelude::ToPrimitive};

use super::{
    Case, Found, Sum,
    document::{Item, Part, Rating},
    explanation::{Explanation, KnownRate, ShippingTax, Spread},
    policy::{Base, Policy, of_tax, roundings},
    worked::{Figures, Worked, shares_of},
};
use crate::{
    compare::Cause,
    money::Rounding,
    share::allocate,
    tax::{self, rates::RateBook},
};

/// Explains the taxes that are open, and the nets that moved with them. Says whether nothing is left; if something is, nothing was
/// explained.
pub(super) fn settle(case: &mut Case<'_>) -> bool {
    if case.open_nets().next().is_none() && case.open_taxes().next().is_none() && !case.sum_differs(Sum::Tax) {
        return true;
    }
    if case.document.theirs.is_none() && case.document.items.iter().all(|item| item.theirs.tax.is_none()) {
        return case.open_nets().next().is_none();
    }
    let ratings: Vec<Rating> = case.document.items.iter().map(|item| item.rating.clone()).collect();
    let same = Hypothesis { ratings, given: BTreeMap::new(), reasons: Vec::new() };
    let ours = ours_too(case, &same.ratings);
    let theirs = same.fits(case);
    if !case.found.is_empty() && theirs.iter().any(|policy| ours.contains(policy)) {
        follow(case);
        return true;
    }
    if stated(case, &same).is_some_and(|stated| stated.apply(case, &ours)) {
        return true;
    }
    let fits: Vec<Policy> = theirs.into_iter().filter(|policy| !ours.contains(policy)).collect();
    if !fits.is_empty() {
        let also = own_rates(case, &same).into_iter().filter(|rates| rates.fits(case).iter().any(|fit| ours.contains(fit)));
        let also: Vec<Explanation> = also.flat_map(|rates| rates.reasons).map(|reason| reason.explanation).collect();
        rounding(case, fits, &ours, also);
        return true;
    }
    charges(case, &same).into_iter().chain(after_tax(case, &same)).chain(rates(case, &same)).any(|one| one.apply(case, &ours))
}

/// Why a tax may be another, and of which amounts.
#[derive(Clone, Debug)]
struct Reason {
    cause: Cause,
    explanation: Explanation,
    items: Vec<usize>,
}

/// Rates for every amount.
#[derive(Clone, Debug)]
struct Hypothesis {
    ratings: Vec<Rating>,
    /// Taxes that no rate gives.
    given: BTreeMap<usize, i64>,
    reasons: Vec<Reason>,
}

impl Hypothesis {
    /// The policies under which their figures come out, the most usual first.
    fn fits(&self, case: &Case<'_>) -> Vec<Policy> {
        let document = &case.document;
        let mut fits = Vec::new();
        let told: Vec<Option<i64>> = document.items.iter().map(|item| item.theirs.tax).collect();
        let figures = Figures { taxes: told, total: document.theirs.map(|sums| sums.tax) };
        let given: Vec<i64> = document
            .items
            .iter()
            .enumerate()
            .map(|(at, item)| self.given.get(&at).copied().or(item.theirs.tax).or(item.ours.tax).unwrap_or(0))
            .collect();
        let net_total = document.theirs.filter(|_| case.adds_up() && !case.found.iter().any(|f| f.sums.contains(&Sum::Net)));
        for base in bases(case) {
            let Some(amounts) = case.amounts_at_theirs(base) else { continue };
            if base == Base::Net && net_total.is_some_and(|sums| case.assumed_net() != Some(sums.net)) {
                continue;
            }
            let Some(worked) = Worked::of(document, base, &amounts, &self.ratings, &given) else { continue };
            let fit = |policy: &Policy| {
                worked.reproduces(*policy, &figures)
                    && (base == Base::Net || net_total.is_none_or(|sums| worked.net(*policy) == Some(sums.net)))
            };
            fits.extend(of_tax(base, document.negative()).filter(fit));
        }
        fits.extend(self.fits_where_nets_stand(case, &figures, &given));
        fits
    }

    /// The policies that give their taxes out of what *we* have with tax, where their nets are ours all the same: a tax that was
    /// worked out so and laid beside prices that nobody touched, so that what they come to with tax moves.
    fn fits_where_nets_stand(&self, case: &Case<'_>, figures: &Figures, given: &[i64]) -> Vec<Policy> {
        let document = &case.document;
        // Of a charge of nought they may say nothing.
        let told = document.items.iter().all(|item| item.theirs.tax.is_some() || item.our_gross() == 0);
        let moved = case.found.iter().any(|found| !found.nets.is_empty()) || case.open_nets().next().is_some();
        let net_stands = document.theirs.is_none_or(|sums| case.assumed_net() == Some(sums.net));
        // With the same amounts with tax on both sides it was asked already.
        let asked = (0..document.items.len()).all(|at| case.same_gross(at));
        if !self.reasons.is_empty() || !told || moved || !net_stands || asked {
            return Vec::new();
        }
        let amounts: Vec<i64> = document.items.iter().map(Item::our_gross).collect();
        let Some(worked) = Worked::of(document, Base::Gross, &amounts, &self.ratings, given) else { return Vec::new() };
        of_tax(Base::Gross, document.negative()).filter(|policy| worked.reproduces(*policy, figures)).collect()
    }

    /// Takes it for the truth if it gives their figures: under a policy of ours, else together with another one.
    fn apply(self, case: &mut Case<'_>, ours: &[Policy]) -> bool {
        let theirs = case.document.theirs.map(|sums| sums.tax).or_else(|| told_tax(case));
        if theirs.is_some_and(|tax| !plausible(case, &self, tax)) {
            return false;
        }
        let fits = self.fits(case);
        if fits.is_empty() {
            return false;
        }
        let like_ours = fits.iter().any(|policy| ours.contains(policy));
        let (open_nets, open_taxes): (Vec<usize>, Vec<usize>) = (case.open_nets().collect(), case.open_taxes().collect());
        let named: Vec<usize> = self.reasons.iter().flat_map(|reason| reason.items.iter().copied()).collect();
        let first = case.found.len();
        for reason in self.reasons {
            let of = |open: &[usize]| open.iter().copied().filter(|at| reason.items.contains(at)).collect::<Vec<_>>();
            case.found.push(Found::new(reason.cause, reason.explanation).nets(of(&open_nets)).taxes(of(&open_taxes)));
        }
        let rest = |open: Vec<usize>| open.into_iter().filter(|at| !named.contains(at)).collect::<Vec<_>>();
        let (nets, taxes) = (rest(open_nets), rest(open_taxes));
        if !like_ours && (!nets.is_empty() || !taxes.is_empty()) {
            let explanation = Explanation::Rounding { fits, ours: ours.first().copied() };
            case.found.push(Found::new(Cause::TaxRounding, explanation).nets(nets).taxes(taxes));
        } else if let Some(found) = case.found.get_mut(first) {
            found.nets.extend(nets);
            found.taxes.extend(taxes);
        }
        if let Some(found) = case.found.get(first..).and_then(|new| new.iter().max_by_key(|found| moved(case, found))) {
            let explanation = found.explanation.clone();
            claim_sums(case, &explanation);
        }
        true
    }
}

fn moved(case: &Case<'_>, found: &Found) -> u64 {
    case.amounts(found).map_or(0, |(ours, theirs)| ours.abs_diff(theirs))
}

/// The total of tax, and that of nets where its parts do not make it, follow from this explanation.
fn claim_sums(case: &mut Case<'_>, explanation: &Explanation) {
    let taken: Vec<Sum> = case.found.iter().flat_map(|found| found.sums.iter().copied()).collect();
    // With a price that changed, their total of nets may be the sum of their parts: then it follows from the price.
    let by_price = |found: &Found| !found.nets.is_empty() && !matches!(found.cause, Cause::TaxRate | Cause::TaxRounding);
    let parts_make_it = case.document.theirs.is_some_and(|sums| case.assumed_net() == Some(sums.net));
    let mut sums: Vec<Sum> = Vec::new();
    if case.sum_differs(Sum::Net) && !taken.contains(&Sum::Net) && !(parts_make_it && case.found.iter().any(by_price)) {
        sums.push(Sum::Net);
    }
    if case.sum_differs(Sum::Tax) && !taken.contains(&Sum::Tax) {
        sums.push(Sum::Tax);
    }
    if let Some(found) = case.found.iter_mut().rev().find(|found| found.explanation == *explanation) {
        found.sums.extend(sums);
    }
}

/// Prices with or without tax, first as the document quotes them.
fn bases(case: &Case<'_>) -> [Base; 2] {
    if case.document.included { [Base::Gross, Base::Net] } else { [Base::Net, Base::Gross] }
}

impl Case<'_> {
    /// What is taxed at their side, if its prices can be taken so: without tax as they count, or with it as both sides agree.
    fn amounts_at_theirs(&self, base: Base) -> Option<Vec<i64>> {
        let claimed = |at: usize| self.found.iter().any(|found| found.nets.contains(&at));
        match base {
            Base::Net => self.open_nets().next().is_none().then(|| self.assumed.clone()),
            Base::Gross => self
                .document
                .items
                .iter()
                .enumerate()
                .map(|(at, item)| {
                    if claimed(at) {
                        let net = item.theirs.net?;
                        // A changed price of which no tax is told has what its rate makes of it.
                        let made =
                            || Rounding::HalfUp.to_whole(tax::exact(Decimal::from(net), item.rate()?, false).ok()?).to_i64();
                        net.checked_add(item.theirs.tax.or_else(made)?)
                    } else {
                        self.same_gross(at).then(|| item.our_gross())
                    }
                })
                .collect(),
        }
    }
}

/// The policies that give our own figures, the most usual first.
fn ours_too(case: &Case<'_>, ratings: &[Rating]) -> Vec<Policy> {
    let document = &case.document;
    let told: Vec<Option<i64>> = document.items.iter().map(|item| item.ours.tax).collect();
    let figures = Figures { taxes: told.clone(), total: document.ours.map(|sums| sums.tax) };
    let given: Vec<i64> = told.into_iter().map(|tax| tax.unwrap_or(0)).collect();
    let mut fits = Vec::new();
    for base in bases(case) {
        let amount = |item: &Item| if base == Base::Net { item.our_net() } else { item.our_gross() };
        let amounts: Vec<i64> = document.items.iter().map(amount).collect();
        if let Some(worked) = Worked::of(document, base, &amounts, ratings, &given) {
            fits.extend(of_tax(base, document.negative()).filter(|policy| worked.reproduces(*policy, &figures)));
        }
    }
    fits
}

/// The taxes are what our own way gives for their prices: they follow from what is found already.
fn follow(case: &mut Case<'_>) {
    let open: Vec<usize> = case.open_taxes().collect();
    let largest = (0..case.found.len())
        .max_by_key(|at| (case.found.get(*at).map_or(0, |found| moved(case, found)), std::cmp::Reverse(*at)));
    for at in open {
        let bearer = case.found.iter().position(|found| found.nets.contains(&at)).or(largest);
        if let Some(found) = bearer.and_then(|bearer| case.found.get_mut(bearer)) {
            found.taxes.push(at);
        }
    }
    if case.sum_differs(Sum::Tax)
        && let Some(found) = largest.and_then(|at| case.found.get_mut(at))
    {
        found.sums.push(Sum::Tax);
    }
}

fn rounding(case: &mut Case<'_>, fits: Vec<Policy>, ours: &[Policy], also: Vec<Explanation>) {
    let explanation = Explanation::Rounding { fits, ours: ours.first().copied() };
    let mut found = Found::new(Cause::TaxRounding, explanation.clone());
    found.also = also;
    let found = found.nets(case.open_nets().collect()).taxes(case.open_taxes().collect());
    case.found.push(found);
    claim_sums(case, &explanation);
}

/// The rates that their side states, where they are others.
fn stated(case: &Case<'_>, same: &Hypothesis) -> Option<Hypothesis> {
    let mut one = same.clone();
    let mut changed: BTreeMap<(Decimal, Decimal), Vec<usize>> = BTreeMap::new();
    for (at, item) in case.document.items.iter().enumerate() {
        let (Some(ours), Some(theirs)) = (item.rate(), item.stated) else { continue };
        if ours != theirs && (item.tax_differs() || item.theirs.tax.is_none()) {
            *one.ratings.get_mut(at)? = Rating::One(theirs);
            changed.entry((ours, theirs)).or_default().push(at);
        }
    }
    one.reasons = changed.into_iter().map(|((ours, theirs), items)| rate_reason(case, ours, theirs, items)).collect();
    (!one.reasons.is_empty()).then_some(one)
}

fn rate_reason(case: &Case<'_>, ours: Decimal, theirs: Decimal, items: Vec<usize>) -> Reason {
    let known = known(case.book, case.document.country.as_deref(), case.document.on, ours, theirs);
    Reason { cause: Cause::TaxRate, explanation: Explanation::Rate { ours, theirs, known }, items }
}

/// What is known of a rate that stands in the place of ours.
fn known(book: &RateBook, country: Option<&str>, on: Date, ours: Decimal, theirs: Decimal) -> Option<KnownRate> {
    if theirs.is_zero() {
        return Some(KnownRate::Zero);
    }
    if let Some(country) = country {
        let in_force = book.rate(country, on);
        if in_force == Some(theirs) && in_force != Some(ours) {
            return Some(KnownRate::InForce);
        }
        let changes = book.changes(country);
        let later = changes.iter().find(|change| change.since > on && change.percent == theirs);
        // A rate ended on the eve of the next one.
        let ended = changes.windows(2).rev().find_map(|two| match two {
            [one, next] if one.percent == theirs && next.since <= on => next.since.yesterday().ok(),
            _ => None,
        });
        match (ended, later) {
            (Some(until), _) => return Some(KnownRate::OldRate { until }),
            (None, Some(later)) => return Some(KnownRate::NewRate { since: later.since }),
            (None, None) => {}
        }
        if book.reduced(country).contains(&theirs) {
            return Some(KnownRate::Reduced);
        }
    }
    let here = country.map(|country| country.trim().to_ascii_uppercase());
    let others = book.countries().into_iter().filter(|other| Some(other) != here.as_ref());
    let countries: Vec<String> = others.filter(|other| book.rate(other, on) == Some(theirs)).collect();
    (!countries.is_empty()).then_some(KnownRate::OtherCountry { countries })
}

/// The rates of the goods with what they weigh, most of the goods first.
fn goods(case: &Case<'_>) -> Vec<(Decimal, i64)> {
    let mut weights: BTreeMap<Decimal, i64> = BTreeMap::new();
    for (item, net) in case.document.items.iter().zip(&case.assumed).filter(|(item, _)| item.is_line()) {
        if let Some(rate) = item.rate() {
            let weight = weights.entry(rate).or_default();
            *weight = weight.saturating_add(*net);
        }
    }
    let mut all: Vec<(Decimal, i64)> = weights.into_iter().collect();
    all.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
    all
}

/// Ways in which a charge may be taxed, with the rate (or the tax) that each gives.
fn ways(case: &Case<'_>, at: usize) -> Vec<(ShippingTax, Rating, Option<i64>)> {
    let goods = goods(case);
    let mut all: Vec<(ShippingTax, Rating, Option<i64>)> = Vec::new();
    let one = |rate: Option<Decimal>| rate.map(Rating::One);
    let weights: Vec<(Decimal, Decimal)> = goods.iter().map(|(rate, weight)| (*rate, Decimal::from((*weight).max(0)))).collect();
    let weighed = goods.len() > 1 && weights.iter().any(|(_, weight)| !weight.is_zero());
    let simple = [
        (ShippingTax::MainRate, one(goods.first().map(|(rate, _)| *rate))),
        (ShippingTax::Zero, Some(Rating::One(Decimal::ZERO))),
        (ShippingTax::WeightedAverage, weighed.then(|| Rating::Mixed(weights.clone()))),
        (ShippingTax::HighestRate, one(goods.iter().map(|(rate, _)| *rate).max())),
        (ShippingTax::LowestRate, one(goods.iter().map(|(rate, _)| *rate).min())),
    ];
    for (how, rating) in simple {
        let Some(rating) = rating else { continue };
        if !all.iter().any(|(_, known, _)| *known == rating) {
            all.push((how, rating, None));
        }
    }
    if let (true, Some(net)) = (weighed, case.assumed.get(at)) {
        for split in split(*net, &weights) {
            all.push((ShippingTax::SplitByRate, Rating::Given, Some(split)));
        }
    }
    all
}

/// The tax of a charge that is split over the rates, each share rounded.
fn split(net: i64, weights: &[(Decimal, Decimal)]) -> Vec<i64> {
    let parts: Vec<Decimal> = weights.iter().map(|(_, weight)| *weight).collect();
    let Ok(shares) = allocate(net, &parts) else { return Vec::new() };
    let total = |rounding: Rounding| {
        shares.iter().zip(weights).try_fold(0_i64, |sum, (share, (rate, _))| {
            let exact = tax::exact(Decimal::from(*share), *rate, false).ok()?;
            sum.checked_add(rounding.to_whole(exact).to_i64()?)
        })
    };
    let mut all: Vec<i64> = roundings(false).filter_map(total).collect();
    all.dedup();
    all
}

/// Shipping and handling taxed in another way.
fn charges(case: &Case<'_>, same: &Hypothesis) -> Vec<Hypothesis> {
    let mut all = Vec::new();
    for (at, item) in case.document.items.iter().enumerate() {
        let charge = matches!(item.part, Part::Shipping | Part::Handling);
        if !charge || !(item.tax_differs() || item.theirs.tax.is_none()) || case.assumed.get(at) == Some(&0) {
            continue;
        }
        for (how, rating, given) in ways(case, at) {
            if rating == item.rating {
                continue;
            }
            let mut one = same.clone();
            if let Some(slot) = one.ratings.get_mut(at) {
                *slot = rating;
            }
            one.given.extend(given.map(|tax| (at, tax)));
            one.reasons =
                vec![Reason { cause: Cause::Shipping, explanation: Explanation::ShippingTaxed { how }, items: vec![at] }];
            all.push(one);
        }
    }
    all
}

/// A discount that is taken off after tax, so that the full price is taxed.
fn after_tax(case: &Case<'_>, same: &Hypothesis) -> Option<Hypothesis> {
    let at = case.document.items.iter().position(|item| item.part == Part::Discount)?;
    let mut one = same.clone();
    *one.ratings.get_mut(at)? = Rating::One(Decimal::ZERO);
    let explanation = Explanation::DiscountSpread { how: Spread::AfterTax };
    one.reasons = vec![Reason { cause: Cause::Discount, explanation, items: vec![at] }];
    Some(one)
}

/// Rates that may stand in the place of one: of the country at another time, none, reduced, then of other countries.
fn candidates(case: &Case<'_>) -> Vec<Decimal> {
    let mut all = own_candidates(case);
    for other in case.book.countries() {
        all.extend(case.book.rate(&other, case.document.on));
    }
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|rate| seen.insert(*rate));
    all
}

fn own_candidates(case: &Case<'_>) -> Vec<Decimal> {
    let mut all = Vec::new();
    if let Some(country) = &case.document.country {
        all.extend(case.book.changes(country).into_iter().rev().map(|change| change.percent));
        all.push(Decimal::ZERO);
        all.extend(case.book.reduced(country));
    } else {
        all.push(Decimal::ZERO);
    }
    all
}

/// Another rate in the place of one of ours, everywhere: in lines and charges, or in lines alone.
fn rates(case: &Case<'_>, same: &Hypothesis) -> Vec<Hypothesis> {
    swapped(case, same, &candidates(case))
}

fn own_rates(case: &Case<'_>, same: &Hypothesis) -> Vec<Hypothesis> {
    swapped(case, same, &own_candidates(case))
}

fn swapped(case: &Case<'_>, same: &Hypothesis, candidates: &[Decimal]) -> Vec<Hypothesis> {
    let mut ours: Vec<Decimal> = goods(case).into_iter().map(|(rate, _)| rate).collect();
    ours.dedup();
    let mut all = Vec::new();
    for theirs in candidates {
        for lines_alone in [false, true] {
            let mut replaced: Vec<Vec<Decimal>> = ours.iter().map(|rate| vec![*rate]).collect();
            if ours.len() > 1 {
                replaced.push(ours.clone());
            }
            for from in replaced {
                all.extend(swap(case, same, &from, *theirs, lines_alone));
            }
        }
    }
    all
}

/// Every one of `from` becomes `to`; none where nothing changes, or where the tax it makes is plainly another than theirs.
fn swap(case: &Case<'_>, same: &Hypothesis, from: &[Decimal], to: Decimal, lines_alone: bool) -> Option<Hypothesis> {
    let mut one = same.clone();
    let mut changed: BTreeMap<Decimal, Vec<usize>> = BTreeMap::new();
    for (at, item) in case.document.items.iter().enumerate() {
        if lines_alone && !item.is_line() {
            continue;
        }
        let rating = match &item.rating {
            Rating::One(rate) if from.contains(rate) && *rate != to => {
                changed.entry(*rate).or_default().push(at);
                Rating::One(to)
            }
            Rating::Mixed(weights) => {
                let swap = |(rate, weight): &(Decimal, Decimal)| (if from.contains(rate) { to } else { *rate }, *weight);
                Rating::Mixed(weights.iter().map(swap).collect())
            }
            _ => continue,
        };
        *one.ratings.get_mut(at)? = rating;
    }
    let theirs = case.document.theirs.map(|sums| sums.tax).or_else(|| told_tax(case))?;
    if changed.is_empty() || !plausible(case, &one, theirs) {
        return None;
    }
    // A rate that moves a cent is no evidence of anything.
    let ours = case.document.ours.map(|sums| sums.tax).or_else(|| our_tax(case))?;
    if ours.abs_diff(theirs) < 2 {
        return None;
    }
    one.reasons = changed.into_iter().map(|(ours, items)| rate_reason(case, ours, to, items)).collect();
    Some(one)
}

fn told_tax(case: &Case<'_>) -> Option<i64> {
    case.document.items.iter().try_fold(0_i64, |sum, item| sum.checked_add(item.sign() * item.theirs.tax.or(item.ours.tax)?))
}

fn our_tax(case: &Case<'_>) -> Option<i64> {
    case.document.items.iter().try_fold(0_i64, |sum, item| sum.checked_add(item.sign() * item.ours.tax?))
}

/// Whether a hypothesis comes to this tax to within what rounding can move, from prices with or without tax: it saves the exact work.
fn plausible(case: &Case<'_>, one: &Hypothesis, tax: i64) -> bool {
    let units = case.document.items.iter().fold(2_u64, |sum, item| sum.saturating_add(item.quantity.unsigned_abs().max(1)));
    bases(case).into_iter().any(|base| rough(case, one, base).is_some_and(|rough| rough.abs_diff(tax) <= units))
}

fn rough(case: &Case<'_>, one: &Hypothesis, base: Base) -> Option<i64> {
    let amounts = case.amounts_at_theirs(base)?;
    let mut sum = Decimal::ZERO;
    for (at, ((item, amount), rating)) in case.document.items.iter().zip(&amounts).zip(&one.ratings).enumerate() {
        if *rating == Rating::Given {
            let tax = one.given.get(&at).copied().or(item.theirs.tax).or(item.ours.tax).unwrap_or(0);
            sum = sum.checked_add(Decimal::from(item.sign().checked_mul(tax)?))?;
        }
        for (rate, share) in shares_of(rating, Decimal::from(item.sign().checked_mul(*amount)?))? {
            sum = sum.checked_add(tax::exact(share, rate, base == Base::Gross).ok()?)?;
        }
    }
    sum.round().to_i64()
}

/// What no hypothesis of the whole explains, amount by amount: its own reason where one gives it to the cent, else none.
pub(super) fn by_item(case: &mut Case<'_>) {
    let open: Vec<usize> = case.open_taxes().collect();
    for at in open {
        let Some(item) = case.document.items.get(at) else { continue };
        let Some(told) = item.theirs.tax else { continue };
        let net = case.assumed.get(at).copied().unwrap_or(0);
        let claimed =
            case.found.iter().position(|found| found.nets.contains(&at) && found.explanation != Explanation::Unexplained);
        if let Some(found) = claimed
            && item.rate().is_some_and(|rate| gives(item, net, rate, told))
        {
            if let Some(found) = case.found.get_mut(found) {
                found.taxes.push(at);
            }
            continue;
        }
        let (cause, explanation) = reason(case, at, item, net, told);
        let same = |found: &&mut Found| found.explanation == explanation && explanation != Explanation::Unexplained;
        match case.found.iter_mut().find(same) {
            Some(found) => found.taxes.push(at),
            None => case.found.push(Found::new(cause, explanation).taxes(vec![at])),
        }
    }
}

fn reason(case: &Case<'_>, at: usize, item: &Item, net: i64, told: i64) -> (Cause, Explanation) {
    let cents = item.ours.tax.unwrap_or(0).abs_diff(told);
    let ours = item.rate();
    let other = |rate: &Decimal| Some(*rate) != ours && gives(item, net, *rate, told);
    if let (Some(ours), Some(theirs)) = (ours, item.stated.filter(other)) {
        let reason = rate_reason(case, ours, theirs, vec![at]);
        return (reason.cause, reason.explanation);
    }
    if matches!(item.part, Part::Shipping | Part::Handling) {
        let fits = |(_, rating, given): &(ShippingTax, Rating, Option<i64>)| match (rating, given) {
            (_, Some(given)) => *given == told,
            (Rating::One(rate), None) => other(rate),
            _ => false,
        };
        if let Some((how, ..)) = ways(case, at).into_iter().find(fits) {
            return (Cause::Shipping, Explanation::ShippingTaxed { how });
        }
    }
    if item.part == Part::Discount && told == 0 {
        return (Cause::Discount, Explanation::DiscountSpread { how: Spread::AfterTax });
    }
    // Of one line alone the country's own rates are plausible, and only where they move more than rounding does.
    if let (Some(ours), true) = (ours, cents > 1)
        && let Some(theirs) = own_candidates(case).into_iter().find(|rate| other(rate))
    {
        let reason = rate_reason(case, ours, theirs, vec![at]);
        return (reason.cause, reason.explanation);
    }
    (if cents > 1 { Cause::TaxRate } else { Cause::TaxRounding }, Explanation::Unexplained)
}

/// Whether a rate gives this tax for one line, rounded as a whole or unit by unit.
fn gives(item: &Item, net: i64, rate: Decimal, told: i64) -> bool {
    let amounts = [(net, false), (net.saturating_add(told), true)];
    let units = item.their_quantity.saturating_abs().max(1);
    amounts.into_iter().filter(|(amount, included)| !included || *amount == item.our_gross()).any(|(amount, included)| {
        let Ok(exact) = tax::exact(Decimal::from(amount), rate, included) else { return false };
        let unit = exact.checked_div(Decimal::from(units));
        roundings(amount < 0).any(|rounding| {
            let whole = rounding.to_whole(exact).to_i64();
            let by_unit = unit.and_then(|unit| rounding.to_whole(unit).to_i64()).and_then(|unit| unit.checked_mul(units));
            whole == Some(told) || by_unit == Some(told)
        })
    })
}
