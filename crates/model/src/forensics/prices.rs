//! Another price: rounded in another place, of another quantity, edited, or taken for something that it is not.

use rust_decimal::{Decimal, prelude::ToPrimitive};

use super::{
    Case, Found, Sum, cause_of,
    document::{Item, Part},
    explanation::{Explanation, PriceChange},
    policy::{Base, Of, Policy, Shares, roundings},
};
use crate::{
    compare::Cause,
    money::{Position, Rounding},
    tax::{self, TaxPolicy},
};

/// Explains the nets that are still open, and a total of nets that is not the sum of its parts.
pub(super) fn settle(case: &mut Case<'_>) {
    by_policy(case);
    let open: Vec<usize> = case.open_nets().collect();
    for at in open {
        let Some(item) = case.document.items.get(at) else { continue };
        let mut explanations = changes(item, case.document.included).into_iter();
        let Some(explanation) = explanations.next() else { continue };
        let also: Vec<Explanation> = explanations.collect();
        let cause = match explanation {
            Explanation::Quantity { .. } => Cause::Quantity,
            _ => cause_of(item.part),
        };
        let same = |found: &&mut Found| found.cause == cause && found.explanation == explanation && found.also == also;
        match case.found.iter_mut().find(same) {
            Some(found) => found.nets.push(at),
            None => {
                let mut found = Found::new(cause, explanation).nets(vec![at]);
                found.also = also;
                case.found.push(found);
            }
        }
    }
}

/// The exact price of a line, and of one unit of it, where each lies between two steps.
struct Exact {
    line: Position,
    unit: Position,
    whole: Decimal,
    quantity: i64,
}

/// Prices of the same lines, rounded in another place or another way.
fn by_policy(case: &mut Case<'_>) {
    let items = &case.document.items;
    let lines: Vec<usize> =
        items.iter().enumerate().filter(|(_, item)| item.part == Part::Line).map(|(index, _)| index).collect();
    let open: Vec<usize> = case.open_nets().filter(|at| lines.contains(at)).collect();
    // With lines that others have claimed, what is left is no document of its own.
    if case.found.iter().any(|found| found.sums.contains(&Sum::Net) || found.nets.iter().any(|at| lines.contains(at))) {
        return;
    }
    let their_total = case.document.theirs.filter(|_| case.adds_up_by_price()).map(|sums| sums.net);
    // Where one side's total is not the sum of its lines, it was rounded in another place.
    let total_open =
        their_total.is_some() && case.sum_differs(Sum::Net) && (case.assumed_net() != their_total || !case.adds_up());
    if open.is_empty() && !total_open {
        return;
    }
    let each: Option<Vec<Exact>> =
        lines.iter().map(|at| items.get(*at).and_then(|item| exact(item, case.document.included))).collect();
    let Some(each) = each else { return };
    let charges = |net: &dyn Fn(usize, &Item) -> i64| {
        let others = items.iter().enumerate().filter(|(index, _)| !lines.contains(index));
        others.map(|(index, item)| item.sign() * net(index, item)).try_fold(0_i64, i64::checked_add)
    };
    let told = |side: &dyn Fn(&Item) -> Option<i64>| -> Vec<Option<i64>> {
        lines.iter().map(|at| items.get(*at).and_then(side)).collect()
    };
    let (ours, theirs) = (told(&|item| item.ours.net), told(&|item| item.theirs.net));
    let (Some(our_charges), Some(their_charges)) =
        (charges(&|_, item| item.our_net()), charges(&|at, _| case.assumed.get(at).copied().unwrap_or(0)))
    else {
        return;
    };
    let base = if case.document.included { Base::Gross } else { Base::Net };
    let negative = case.document.negative();
    let mut all = Vec::new();
    for rounding in roundings(negative) {
        for scope in [TaxPolicy::Line, TaxPolicy::Document, TaxPolicy::Unit] {
            all.push(Policy { of: Of::Price, scope, rounding, base, shares: Shares::Alone });
        }
    }
    let gives = |policy: &Policy, lines: &[Option<i64>], charges: i64, total: Option<i64>| {
        rounded(&each, *policy).is_some_and(|(nets, sum)| {
            lines.iter().zip(nets).all(|(told, net)| told.is_none_or(|told| told == net))
                && total.is_none_or(|total| sum.checked_add(charges) == Some(total))
        })
    };
    let our_total = case.document.ours.map(|sums| sums.net);
    let ours_too: Vec<Policy> = all.iter().copied().filter(|policy| gives(policy, &ours, our_charges, our_total)).collect();
    let fits: Vec<Policy> = all
        .into_iter()
        .filter(|policy| !ours_too.contains(policy) && gives(policy, &theirs, their_charges, their_total))
        .collect();
    if fits.is_empty() {
        return;
    }
    let explanation = if fits.iter().all(|policy| policy.scope == TaxPolicy::Unit) {
        Explanation::Price { how: PriceChange::PerUnitRounded { roundings: fits.iter().map(|policy| policy.rounding).collect() } }
    } else {
        Explanation::Rounding { fits, ours: ours_too.first().copied() }
    };
    let mut found = Found::new(Cause::Price, explanation).nets(open);
    if case.sum_differs(Sum::Net) {
        found.sums.push(Sum::Net);
    }
    case.found.push(found);
}

impl Case<'_> {
    /// Whether our total is the sum of our lines, or of their exact prices to within half a step a line.
    fn adds_up_by_price(&self) -> bool {
        let parts = self.document.items.iter().try_fold(0_i64, |sum, item| sum.checked_add(item.sign() * item.our_net()));
        let units = self.document.items.iter().fold(1_u64, |sum, item| sum.saturating_add(item.quantity.unsigned_abs()));
        match (self.document.ours, parts) {
            (Some(sums), Some(parts)) => sums.net.abs_diff(parts) <= units,
            _ => false,
        }
    }
}

fn exact(item: &Item, included: bool) -> Option<Exact> {
    let quantity = item.quantity.saturating_abs().max(1);
    let told = if included { item.our_gross() } else { item.our_net() };
    let quoted = item.unit.and_then(|unit| unit.checked_mul(Decimal::from(item.quantity)));
    // A quoted price that does not make the line is the price before a reduction.
    let quoted =
        quoted.filter(|line| line.checked_sub(Decimal::from(told)).is_some_and(|off| off.abs() <= Decimal::from(quantity)));
    let price = quoted.unwrap_or_else(|| Decimal::from(told));
    let whole = if included { tax::exact_net(price, item.rate()?).ok()? } else { price };
    let unit = whole.checked_div(Decimal::from(quantity))?;
    Some(Exact { line: Position::of(whole, Decimal::ONE).ok()?, unit: Position::of(unit, Decimal::ONE).ok()?, whole, quantity })
}

/// The nets of the lines, and their sum, under a policy.
fn rounded(each: &[Exact], policy: Policy) -> Option<(Vec<i64>, i64)> {
    let net = |exact: &Exact| match policy.scope {
        TaxPolicy::Unit => policy.rounding.pick(exact.unit).to_i64()?.checked_mul(exact.quantity),
        _ => policy.rounding.pick(exact.line).to_i64(),
    };
    let nets = each.iter().map(net).collect::<Option<Vec<i64>>>()?;
    let sum = match policy.scope {
        TaxPolicy::Document => {
            let whole = each.iter().try_fold(Decimal::ZERO, |sum, exact| sum.checked_add(exact.whole))?;
            policy.rounding.to_whole(whole).to_i64()?
        }
        _ => nets.iter().try_fold(0_i64, |sum, net| sum.checked_add(*net))?,
    };
    Some((nets, sum))
}

/// What can have become of one amount, the likeliest first.
fn changes(item: &Item, included: bool) -> Vec<Explanation> {
    let (Some(ours), Some(theirs)) = (item.ours.net, item.theirs.net) else { return Vec::new() };
    let mut all = Vec::new();
    if item.quantity != item.their_quantity && of_units(item, ours, included).contains(&Some(theirs)) {
        return vec![Explanation::Quantity { ours: item.quantity, theirs: item.their_quantity }];
    }
    let mut price = |how: PriceChange| all.push(Explanation::Price { how });
    if ours != 0 && theirs == -ours {
        price(PriceChange::SignFlipped);
    }
    let tax = item.ours.tax.unwrap_or(0);
    if tax != 0 && Some(theirs) == ours.checked_add(tax) {
        price(PriceChange::GrossAsNet);
    }
    for times in [100_u32, 1000, 10] {
        if ours != 0 && ours.checked_mul(i64::from(times)) == Some(theirs) {
            price(PriceChange::ScaledUp(times));
        }
        if theirs != 0 && theirs.checked_mul(i64::from(times)) == Some(ours) {
            price(PriceChange::ScaledDown(times));
        }
    }
    let quantity = Decimal::from(item.quantity.saturating_abs().max(1));
    let whole = |value: Option<Decimal>, rounding: Rounding| value.and_then(|value| rounding.to_whole(value).to_i64());
    let share = Decimal::from(ours).checked_div(quantity);
    if quantity > Decimal::ONE {
        let unit = item.unit.filter(|_| !included);
        if [unit, share].into_iter().any(|unit| roundings(false).any(|rounding| whole(unit, rounding) == Some(theirs))) {
            price(PriceChange::UnitForLine);
        }
        if ours.checked_mul(item.quantity) == Some(theirs) {
            price(PriceChange::LineForUnit);
        }
        let times = |unit: i64| unit.checked_mul(item.quantity.saturating_abs());
        let per_unit: Vec<Rounding> = roundings(false)
            .filter(|rounding| [unit, share].into_iter().any(|unit| whole(unit, *rounding).and_then(times) == Some(theirs)))
            .collect();
        if !per_unit.is_empty() {
            price(PriceChange::PerUnitRounded { roundings: per_unit });
        }
    }
    if let Some(rate) = item.rate().filter(|rate| !rate.is_zero()) {
        let net = tax::exact_net(Decimal::from(ours), rate).ok();
        if roundings(false).any(|rounding| whole(net, rounding) == Some(theirs)) {
            price(PriceChange::NetAsGross);
        }
    }
    if !all.is_empty() {
        return all;
    }
    // A few cents are no price that somebody chose, unless their own price of a unit says so.
    let chosen = item.their_unit.and_then(|unit| unit.checked_mul(Decimal::from(item.their_quantity)));
    let chosen = !included && item.their_unit != item.unit && chosen == Some(Decimal::from(theirs));
    if chosen || ours.abs_diff(theirs) > item.quantity.unsigned_abs().max(1) {
        vec![Explanation::Price { how: PriceChange::Edited }]
    } else {
        vec![Explanation::Unexplained]
    }
}

/// What their number of units costs at our price.
fn of_units(item: &Item, ours: i64, included: bool) -> Vec<Option<i64>> {
    let units = Decimal::from(item.their_quantity);
    let share = Decimal::from(ours).checked_mul(units).and_then(|all| all.checked_div(Decimal::from(item.quantity)));
    let quoted = item.unit.filter(|_| !included).and_then(|unit| unit.checked_mul(units));
    let mut all = Vec::new();
    for exact in [share, quoted].into_iter().flatten() {
        all.extend(roundings(false).map(|rounding| rounding.to_whole(exact).to_i64()));
    }
    all
}
