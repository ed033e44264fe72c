//! Amounts that are the same and stand elsewhere: a discount spread over lines, shipping inside a line, lines that one side has.

use rust_decimal::{Decimal, prelude::ToPrimitive};

use super::{
    Case, Found, cause_of,
    document::{Item, Part},
    explanation::{Explanation, ShippingTax, Spread},
};
use crate::{compare::Cause, money::Rounding, share::allocate, tax};

/// Explains what only moved.
pub(super) fn settle(case: &mut Case<'_>) {
    discount(case);
    shipping(case);
    one_sided(case);
}

fn places(case: &Case<'_>, wanted: impl Fn(&Item) -> bool) -> Vec<usize> {
    case.document.items.iter().enumerate().filter(|(_, item)| wanted(item)).map(|(index, _)| index).collect()
}

/// A discount that the two sides tell in other places, with the same sum.
fn discount(case: &mut Case<'_>) {
    let items = &case.document.items;
    let lines = places(case, |item| item.part == Part::Line && item.theirs.net.is_some() && item.ours.net.is_some());
    let whole = items.iter().position(|item| item.part == Part::Discount);
    let (ours, theirs) = match whole.and_then(|at| items.get(at)) {
        Some(item) => (item.ours.net.unwrap_or(0), item.theirs.net),
        None => (0, None),
    };
    if let (Some(at), Some(theirs)) = (whole, theirs)
        && let Some(item) = items.get(at)
        && item.ours.tax.is_some_and(|tax| tax != 0)
        && theirs == item.our_gross()
    {
        case.found.push(spread(Spread::GrossFromNet).nets(vec![at]));
        return;
    }
    // A line of its own, below nought.
    let own = places(case, |item| item.part == Part::Extra && ours > 0 && item.theirs.net == Some(-ours));
    if let (Some(at), Some(line), 0) = (whole, own.first(), theirs.unwrap_or(0)) {
        move_out(case, at);
        case.found.push(spread(Spread::OwnLine).nets(vec![at, *line]));
        return;
    }
    let net = |at: &usize| items.get(*at).map_or((0, 0), |item| (item.our_net(), item.theirs.net.unwrap_or(0)));
    let (our_lines, their_lines): (Vec<i64>, Vec<i64>) = lines.iter().map(net).unzip();
    if our_lines == their_lines || lines.is_empty() {
        return;
    }
    let total = |nets: &[i64]| nets.iter().try_fold(0_i64, |sum, net| sum.checked_add(*net));
    let (Some(our_total), Some(their_total)) = (total(&our_lines), total(&their_lines)) else { return };
    let differ: Vec<usize> = lines.iter().copied().filter(|at| items.get(*at).is_some_and(Item::net_differs)).collect();
    let taken_off = our_total.checked_sub(their_total);
    if taken_off == Some(ours - theirs.unwrap_or(0)) && taken_off != Some(0) {
        let Some(moved) = taken_off else { return };
        let (how, also) = if moved > 0 {
            let mut fits = spreads(case, &lines, &our_lines, moved, &their_lines);
            if fits.is_empty() && within(&our_lines, &their_lines) {
                fits.push(Spread::Otherwise);
            }
            match fits.split_first() {
                Some((how, also)) => (*how, also.to_vec()),
                None => return,
            }
        } else if within(&their_lines, &our_lines) {
            (Spread::OnDocument, Vec::new())
        } else {
            return;
        };
        let mut nets = differ;
        if let Some(at) = whole {
            if theirs.is_none() {
                move_out(case, at);
            }
            nets.push(at);
        }
        let mut found = spread(how).nets(nets);
        found.also = also.into_iter().map(|how| Explanation::DiscountSpread { how }).collect();
        case.found.push(found);
        return;
    }
    // Reduced by line on both sides, by the same sum and other rules.
    let full: Option<Vec<i64>> = lines.iter().map(|at| items.get(*at).and_then(|item| full_price(case, item))).collect();
    if our_total == their_total
        && let Some(full) = full
        && let Some(moved) = total(&full).and_then(|full| full.checked_sub(our_total)).filter(|moved| *moved > 0)
    {
        let mut fits = spreads(case, &lines, &full, moved, &their_lines);
        fits.retain(|how| !spread_by(case, &lines, &full, moved, *how).contains(&our_lines));
        if fits.is_empty() && within(&full, &their_lines) {
            fits.push(Spread::Otherwise);
        }
        if let Some((how, also)) = fits.split_first() {
            let mut found = spread(*how).nets(differ);
            found.also = also.iter().map(|how| Explanation::DiscountSpread { how: *how }).collect();
            case.found.push(found);
        }
    }
}

fn spread(how: Spread) -> Found {
    Found::new(Cause::Discount, Explanation::DiscountSpread { how })
}

/// Whether each of the reduced prices has the sign of the full one and is no larger.
fn within(full: &[i64], reduced: &[i64]) -> bool {
    full.iter().zip(reduced).all(|(full, reduced)| (0..=*full).contains(reduced))
}

/// What they do not tell stands in the lines: it counts for nothing by itself.
fn move_out(case: &mut Case<'_>, at: usize) {
    if let Some(assumed) = case.assumed.get_mut(at) {
        *assumed = 0;
    }
    if let Some(item) = case.document.items.get_mut(at) {
        item.theirs.net = Some(0);
        item.theirs.tax = item.theirs.tax.or(Some(0));
    }
}

/// The price of a line before it was reduced, without tax, where the price of a unit is told.
fn full_price(case: &Case<'_>, item: &Item) -> Option<i64> {
    let quoted = item.unit?.checked_mul(Decimal::from(item.quantity))?;
    let net = if case.document.included { tax::exact_net(quoted, item.rate()?).ok()? } else { quoted };
    Rounding::HalfUp.to_whole(net).to_i64()
}

const HOWS: [Spread; 7] =
    [Spread::ByNet, Spread::ByGross, Spread::Evenly, Spread::PerUnit, Spread::DearestLine, Spread::LastLine, Spread::FirstLine];

/// The rules by which so much off these prices leaves what they have.
fn spreads(case: &Case<'_>, lines: &[usize], full: &[i64], off: i64, theirs: &[i64]) -> Vec<Spread> {
    HOWS.into_iter().filter(|how| spread_by(case, lines, full, off, *how).iter().any(|nets| nets == theirs)).collect()
}

/// What the lines come to when so much is taken off by a rule, for every way of placing the cents that are left over.
fn spread_by(case: &Case<'_>, lines: &[usize], full: &[i64], off: i64, how: Spread) -> Vec<Vec<i64>> {
    let item = |at: &usize| case.document.items.get(*at);
    let only = |place: Option<usize>| -> Vec<Decimal> {
        (0..full.len()).map(|index| if Some(index) == place { Decimal::ONE } else { Decimal::ZERO }).collect()
    };
    let weights: Option<Vec<Decimal>> = match how {
        Spread::ByNet => Some(full.iter().map(|net| Decimal::from(*net)).collect()),
        Spread::ByGross => lines
            .iter()
            .zip(full)
            .map(|(at, net)| {
                let rate = Decimal::ONE_HUNDRED.checked_add(item(at)?.rate()?)?;
                Decimal::from(*net).checked_mul(rate)
            })
            .collect(),
        Spread::Evenly => Some(vec![Decimal::ONE; full.len()]),
        Spread::PerUnit => lines.iter().map(|at| Some(Decimal::from(item(at)?.quantity.saturating_abs()))).collect(),
        Spread::FirstLine => Some(only(Some(0))),
        Spread::LastLine => Some(only(full.len().checked_sub(1))),
        Spread::DearestLine => Some(only(
            full.iter().enumerate().max_by_key(|(index, net)| (**net, std::cmp::Reverse(*index))).map(|(index, _)| index),
        )),
        _ => None,
    };
    let Some(weights) = weights else { return Vec::new() };
    shares(off, &weights)
        .into_iter()
        .filter_map(|shares| full.iter().zip(shares).map(|(net, share)| net.checked_sub(share)).collect())
        .collect()
}

/// An amount shared out by weight, with the cents that are left over in every usual place.
fn shares(amount: i64, weights: &[Decimal]) -> Vec<Vec<i64>> {
    let mut all: Vec<Vec<i64>> = allocate(amount, weights).into_iter().collect();
    let Some(total) = weights.iter().try_fold(Decimal::ZERO, |sum, weight| sum.checked_add(*weight)).filter(|sum| !sum.is_zero())
    else {
        return all;
    };
    let exact = |weight: &Decimal| Decimal::from(amount).checked_mul(*weight).and_then(|product| product.checked_div(total));
    for rounding in [Rounding::HalfUp, Rounding::Down, Rounding::HalfEven] {
        let each: Option<Vec<i64>> = weights.iter().map(|weight| rounding.to_whole(exact(weight)?).to_i64()).collect();
        let Some(each) = each else { continue };
        let Some(rest) = each.iter().try_fold(amount, |rest, share| rest.checked_sub(*share)) else { continue };
        let weighty: Vec<usize> =
            weights.iter().enumerate().filter(|(_, weight)| !weight.is_zero()).map(|(index, _)| index).collect();
        let dearest = weights.iter().enumerate().max_by_key(|(index, weight)| (**weight, std::cmp::Reverse(*index)));
        for place in [weighty.last().copied(), weighty.first().copied(), dearest.map(|(index, _)| index)].into_iter().flatten() {
            let mut shares = each.clone();
            if let Some(share) = shares.get_mut(place) {
                *share = share.saturating_add(rest);
            }
            all.push(shares);
        }
    }
    let mut running = (Decimal::ZERO, 0_i64);
    let by_running_sum = weights.iter().map(|weight| {
        running.0 = running.0.checked_add(exact(weight)?)?;
        let after = Rounding::HalfUp.to_whole(running.0).to_i64()?;
        let share = after.checked_sub(running.1);
        running.1 = after;
        share
    });
    all.extend(by_running_sum.collect::<Option<Vec<i64>>>());
    all
}

/// Shipping that they have inside a line, or as one.
fn shipping(case: &mut Case<'_>) {
    for charge in places(case, |item| matches!(item.part, Part::Shipping | Part::Handling)) {
        let Some(item) = case.document.items.get(charge) else { continue };
        let net = item.our_net();
        if net == 0 || item.theirs.net.unwrap_or(0) != 0 {
            continue;
        }
        let claimed = |at: &usize| case.found.iter().any(|found| found.nets.contains(at));
        let has = |item: &Item| match item.part {
            Part::Extra => item.theirs.net == Some(net),
            Part::Line => item.theirs.net == item.our_net().checked_add(net) && item.theirs.net.is_some(),
            _ => false,
        };
        let Some(line) = places(case, has).into_iter().find(|at| !claimed(at)) else { continue };
        move_out(case, charge);
        case.found
            .push(Found::new(Cause::Shipping, Explanation::ShippingTaxed { how: ShippingTax::InLine }).nets(vec![charge, line]));
    }
}

/// Lines that one side alone has, and that nothing has claimed.
fn one_sided(case: &mut Case<'_>) {
    for at in places(case, |item| matches!(item.part, Part::Missing | Part::Extra) && item.net_differs()) {
        if case.found.iter().any(|found| found.nets.contains(&at)) {
            continue;
        }
        let part = case.document.items.get(at).map_or(Part::Extra, |item| item.part);
        case.found.push(Found::new(cause_of(part), Explanation::OneSided).nets(vec![at]));
    }
}
