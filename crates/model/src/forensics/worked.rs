//! What each policy makes of a document's tax: worked out once for the amounts, rounded in many ways.

use std::collections::BTreeMap;

use rust_decimal::{Decimal, RoundingStrategy, prelude::ToPrimitive};

use super::{
    document::{Document, Rating},
    policy::{Base, Policy, Shares},
};
use crate::{
    money::{Position, Rounding},
    share::allocate,
    tax::{self, TaxPolicy},
};

/// Decimal places of the price of a unit that comes from dividing.
const PRICE_PLACES: u32 = 8;

/// The tax figures of one side; none where it does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Figures {
    pub taxes: Vec<Option<i64>>,
    pub total: Option<i64>,
}

/// How one amount is taxed.
#[derive(Clone, Debug)]
struct Exact {
    line: Position,
    /// Of one unit at the price that is quoted; where none is, of its share of the line.
    unit: Position,
    /// Of one unit at its share of the line, a price of eight decimal places.
    share: Position,
    /// What is left without the tax, of an amount that includes it.
    net: Option<Position>,
    unrounded: Decimal,
}

/// The amounts of a document with their exact tax.
#[derive(Clone, Debug)]
pub(super) struct Worked {
    base: Base,
    amounts: Vec<i64>,
    signs: Vec<i64>,
    quantities: Vec<i64>,
    /// None where the tax is taken as told.
    exact: Vec<Option<Exact>>,
    given: Vec<i64>,
    groups: Vec<Group>,
    whole: Group,
    /// Whether what is told by line can be shared out: everything has one rate and one sign.
    shareable: bool,
    /// Whether each amount is in one of the groups at most.
    single: bool,
    /// Whether a unit's share of its line makes another tax than the price that is quoted.
    shares_differ: bool,
}

/// What is taxed together.
#[derive(Clone, Debug)]
struct Group {
    members: Vec<usize>,
    tax: Position,
}

impl Worked {
    /// The tax of these amounts (with or without their tax, as the base says) at these rates. What has no rate keeps `given`.
    pub fn of(document: &Document, base: Base, amounts: &[i64], ratings: &[Rating], given: &[i64]) -> Option<Self> {
        let included = base == Base::Gross;
        let mut exact = Vec::with_capacity(amounts.len());
        let mut groups: BTreeMap<Decimal, (Vec<usize>, Decimal)> = BTreeMap::new();
        let (mut shareable, mut single, mut shares_differ) = (true, true, false);
        // The price of a unit is kept to eight decimal places of the currency's whole unit, as systems do that divide.
        let places = PRICE_PLACES.saturating_sub(document.currency.minor_units().unwrap_or(0));
        for (index, ((item, amount), rating)) in document.items.iter().zip(amounts).zip(ratings).enumerate() {
            let signed = Decimal::from(item.sign().checked_mul(*amount)?);
            for (rate, share) in shares_of(rating, signed)? {
                let (members, sum) = groups.entry(rate).or_default();
                members.push(index);
                *sum = sum.checked_add(share)?;
            }
            shareable &= matches!(rating, Rating::One(_)) && item.sign() * amount.signum() >= 0;
            single &= !matches!(rating, Rating::Mixed(_));
            let quoted = (document.included == included).then_some(item.unit).flatten();
            let taxed = exact_of(*amount, item.quantity, quoted, rating, included, places)?;
            shares_differ |= taxed.as_ref().is_some_and(|taxed| taxed.unit != taxed.share);
            exact.push(taxed);
        }
        let mut all = Vec::with_capacity(groups.len());
        let mut whole = Decimal::ZERO;
        for (rate, (members, sum)) in groups {
            let tax = tax::exact(sum, rate, included).ok()?;
            whole = whole.checked_add(tax)?;
            all.push(Group { members, tax: Position::of(tax, Decimal::ONE).ok()? });
        }
        let everything = (0..amounts.len()).collect();
        Some(Self {
            base,
            amounts: amounts.to_vec(),
            signs: document.items.iter().map(super::document::Item::sign).collect(),
            quantities: document.items.iter().map(|item| item.quantity.saturating_abs().max(1)).collect(),
            exact,
            given: given.to_vec(),
            groups: all,
            whole: Group { members: everything, tax: Position::of(whole, Decimal::ONE).ok()? },
            shareable,
            single,
            shares_differ,
        })
    }

    /// Whether the policy gives these figures to the cent, every one that is told.
    pub fn reproduces(&self, policy: Policy, figures: &Figures) -> bool {
        let total = || self.total(policy) == figures.total;
        if figures.total.is_some() && once(policy) && !total() {
            return false;
        }
        if policy.shares == Shares::OfLine && !self.shares_differ {
            return false;
        }
        if is_shared(policy) && figures.taxes.iter().all(Option::is_none) {
            return false;
        }
        let parts = match is_shared(policy) {
            true => self
                .shared(policy, &figures.taxes)
                .is_some_and(|taxes| figures.taxes.iter().zip(&taxes).all(|(told, tax)| told.is_none_or(|told| told == *tax))),
            false => {
                figures.taxes.iter().enumerate().all(|(at, told)| told.is_none_or(|told| self.alone(at, policy) == Some(told)))
            }
        };
        parts && (figures.total.is_none() || once(policy) || total())
    }

    /// The tax of everything under the policy.
    pub fn total(&self, policy: Policy) -> Option<i64> {
        let given = || self.signs.iter().zip(&self.given).zip(&self.exact).filter(|(_, exact)| exact.is_none());
        let given = given().try_fold(0_i64, |sum, ((sign, tax), _)| sum.checked_add(sign * tax))?;
        match policy.scope {
            TaxPolicy::Document => {
                self.groups.iter().try_fold(given, |sum, group| sum.checked_add(whole(policy.rounding, group.tax)?))
            }
            TaxPolicy::Whole => given.checked_add(whole(policy.rounding, self.whole.tax)?),
            _ => self
                .signs
                .iter()
                .enumerate()
                .try_fold(0_i64, |sum, (at, sign)| sum.checked_add(sign.checked_mul(self.alone(at, policy)?)?)),
        }
    }

    /// The tax of one amount, rounded by itself.
    fn alone(&self, index: usize, policy: Policy) -> Option<i64> {
        let Some(exact) = self.exact.get(index)? else { return self.given.get(index).copied() };
        match policy.scope {
            TaxPolicy::Unit => {
                let unit = if policy.shares == Shares::OfLine { exact.share } else { exact.unit };
                whole(policy.rounding, unit)?.checked_mul(*self.quantities.get(index)?)
            }
            TaxPolicy::NetRoundedFirst => self.amounts.get(index)?.checked_sub(whole(policy.rounding, exact.net?)?),
            _ => whole(policy.rounding, exact.line),
        }
    }

    /// The tax of each amount where the sums are rounded and shared out; of several that may take a rest, the one that is told so.
    fn shared(&self, policy: Policy, told: &[Option<i64>]) -> Option<Vec<i64>> {
        if policy.shares == Shares::LargestTakesRest {
            return self.largest_takes_rest(policy, told);
        }
        if !self.shareable {
            return None;
        }
        let mut taxes: Vec<i64> = vec![0; self.amounts.len()];
        let groups = if policy.scope == TaxPolicy::Whole { std::slice::from_ref(&self.whole) } else { &self.groups };
        for group in groups {
            let sum = whole(policy.rounding, group.tax)?;
            for (member, tax) in group.members.iter().zip(self.shares(group, sum, policy)?) {
                *taxes.get_mut(*member)? = tax;
            }
        }
        Some(taxes)
    }

    fn largest_takes_rest(&self, policy: Policy, told: &[Option<i64>]) -> Option<Vec<i64>> {
        if !self.single {
            return None;
        }
        let mut taxes = (0..self.amounts.len()).map(|at| self.alone(at, policy)).collect::<Option<Vec<i64>>>()?;
        for group in &self.groups {
            let signed = |at: &usize| self.signs.get(*at)?.checked_mul(*taxes.get(*at)?);
            let parts = group.members.iter().try_fold(0_i64, |sum, at| sum.checked_add(signed(at)?))?;
            let rest = whole(policy.rounding, group.tax)?.checked_sub(parts)?;
            let size = |at: &usize| taxes.get(*at).map_or(0, |tax| tax.unsigned_abs());
            let most = group.members.iter().map(size).max()?;
            let other = |at: &&usize| told.get(**at).copied().flatten().is_some_and(|told| taxes.get(**at) != Some(&told));
            let mut largest = group.members.iter().filter(|at| size(at) == most);
            let at = *largest.clone().find(other).or_else(|| largest.next_back())?;
            let tax = taxes.get_mut(at)?;
            *tax = tax.checked_add(self.signs.get(at)?.checked_mul(rest)?)?;
        }
        Some(taxes)
    }

    fn shares(&self, group: &Group, sum: i64, policy: Policy) -> Option<Vec<i64>> {
        let unrounded = |index: &usize| self.exact.get(*index)?.as_ref().map(|exact| exact.unrounded);
        match policy.shares {
            Shares::LargestRemainder => {
                let weights =
                    group.members.iter().map(|index| unrounded(index).map(|tax| tax.abs())).collect::<Option<Vec<_>>>()?;
                match allocate(sum, &weights) {
                    Ok(shares) => Some(shares),
                    Err(_) if sum == 0 => Some(vec![0; group.members.len()]),
                    Err(_) => None,
                }
            }
            Shares::Running => {
                let (mut running, mut before) = (Decimal::ZERO, 0);
                let each = |index: &usize| {
                    running = running.checked_add(unrounded(index)?)?;
                    let after = policy.rounding.to_whole(running).to_i64()?;
                    let share = after - before;
                    before = after;
                    Some(share)
                };
                group.members.iter().map(each).collect()
            }
            Shares::Alone | Shares::OfLine | Shares::LargestTakesRest | Shares::LastTakesRest => {
                let mut shares = group.members.iter().map(|index| self.alone(*index, policy)).collect::<Option<Vec<_>>>()?;
                if shares.pop().is_some() {
                    let others = shares.iter().try_fold(0_i64, |all, share| all.checked_add(*share))?;
                    shares.push(sum.checked_sub(others)?);
                }
                Some(shares)
            }
        }
    }

    /// What everything comes to without tax under the policy.
    pub fn net(&self, policy: Policy) -> Option<i64> {
        let amounts =
            self.amounts.iter().zip(&self.signs).try_fold(0_i64, |sum, (amount, sign)| sum.checked_add(sign * amount))?;
        match self.base {
            Base::Net => Some(amounts),
            Base::Gross => amounts.checked_sub(self.total(policy)?),
        }
    }
}

fn once(policy: Policy) -> bool {
    matches!(policy.scope, TaxPolicy::Document | TaxPolicy::Whole)
}

fn is_shared(policy: Policy) -> bool {
    once(policy) && policy.shares != Shares::Alone
}

fn whole(rounding: Rounding, position: Position) -> Option<i64> {
    rounding.pick(position).to_i64()
}

/// An amount by the rates that it is taxed at.
pub(super) fn shares_of(rating: &Rating, amount: Decimal) -> Option<Vec<(Decimal, Decimal)>> {
    match rating {
        Rating::One(rate) => Some(vec![(*rate, amount)]),
        Rating::Given => Some(Vec::new()),
        Rating::Mixed(weights) => {
            let total = weights.iter().try_fold(Decimal::ZERO, |sum, (_, weight)| sum.checked_add(*weight))?;
            weights.iter().map(|(rate, weight)| Some((*rate, amount.checked_mul(*weight)?.checked_div(total)?))).collect()
        }
    }
}

/// The exact tax of one amount; the inner none where it has no rate.
fn exact_of(
    amount: i64,
    quantity: i64,
    quoted: Option<Decimal>,
    rating: &Rating,
    included: bool,
    places: u32,
) -> Option<Option<Exact>> {
    let parts = shares_of(rating, Decimal::from(amount))?;
    if parts.is_empty() {
        return Some(None);
    }
    let units = Decimal::from(quantity.saturating_abs().max(1));
    let (mut tax, mut net) = (Decimal::ZERO, None);
    for (rate, share) in &parts {
        tax = tax.checked_add(tax::exact(*share, *rate, included).ok()?)?;
    }
    let mut unit = tax.checked_div(units)?;
    let mut share = unit;
    if let [(rate, whole)] = parts.as_slice() {
        // The price that is quoted, where it makes the line; else what is left of the division of the line may blur a tie.
        let quoted = quoted.filter(|quoted| {
            let line = quoted.checked_mul(Decimal::from(quantity)).and_then(|line| line.checked_sub(*whole));
            line.is_some_and(|off| off.abs() < Decimal::ONE)
        });
        unit = match quoted {
            Some(quoted) => tax::exact(if amount < 0 { -quoted.abs() } else { quoted.abs() }, *rate, included).ok()?,
            None => {
                let base = if included { Decimal::ONE_HUNDRED.checked_add(*rate)? } else { Decimal::ONE_HUNDRED };
                whole.checked_mul(*rate)?.checked_div(base.checked_mul(units)?)?
            }
        };
        let price = whole.checked_div(units)?.round_dp_with_strategy(places, RoundingStrategy::MidpointAwayFromZero);
        share = tax::exact(price, *rate, included).ok()?;
        if included {
            net = Some(Position::of(tax::exact_net(*whole, *rate).ok()?, Decimal::ONE).ok()?);
        }
    }
    Some(Some(Exact {
        line: Position::of(tax, Decimal::ONE).ok()?,
        unit: Position::of(unit, Decimal::ONE).ok()?,
        share: Position::of(share, Decimal::ONE).ok()?,
        net,
        unrounded: tax,
    }))
}
