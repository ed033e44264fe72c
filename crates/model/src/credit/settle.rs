//! What the units of a credit line are worth.
//!
//! As sold: a part is its share of the line's running sum, so that parts add up to the whole however they are cut, and the
//! part that takes the last units takes all that is left. A source that states another amount by no more than its own
//! rounding is believed for every part but the last; by more, it is a misfit. As stated: the source sets the amount, and
//! only units are held against the sale.

use super::{
    CreditAmounts,
    whole::{Portion, Sold},
};
use crate::{
    money::{Money, MoneyError},
    records::TaxLine,
    share::part,
};

/// Why units cannot be given back for what is stated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// The sale has not so many units left.
    #[error("{wanted} units are to be given back, and {left} of {sold} are left")]
    Units {
        /// Wanted.
        wanted: u32,
        /// Left.
        left: u32,
        /// Sold.
        sold: u32,
    },
    /// The source states another amount than the units were sold for.
    #[error("{stated_net} and {stated_tax} tax are stated, {net} and {tax} tax were paid for these units")]
    Amount {
        /// Stated, without tax.
        stated_net: Money,
        /// Stated tax.
        stated_tax: Money,
        /// What they were sold for, without tax.
        net: Money,
        /// What tax was paid for them.
        tax: Money,
    },
    /// An amount does not fit.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// What `units` of a line are worth when `taken` was given back before. `stated` is what the source says.
///
/// # Errors
/// [`Misfit`].
pub fn settle(
    whole: Portion,
    taken: Portion,
    units: u32,
    stated: Option<(Money, Money)>,
    amounts: CreditAmounts,
) -> Result<Portion, Misfit> {
    let left = whole.units.saturating_sub(taken.units);
    if units > left || units == 0 {
        return Err(Misfit::Units { wanted: units, left, sold: whole.units });
    }
    if let (CreditAmounts::AsStated, Some((net, tax))) = (amounts, stated) {
        return Ok(Portion { units, net, tax });
    }
    let rest = (whole.net.minus(taken.net)?, whole.tax.minus(taken.tax)?);
    let is_last = units == left;
    let (net, tax) = if is_last {
        rest
    } else {
        let running = |total| part(total, whole.units, taken.units, units);
        // What was given back before may have been a cent more than its share; no part takes more than is left.
        (at_most(running(whole.net)?, rest.0), at_most(running(whole.tax)?, rest.1))
    };
    let Some((stated_net, stated_tax)) = stated else { return Ok(Portion { units, net, tax }) };
    let off = |one: Money, other: Money| one.minus(other).map(|difference| difference.minor().saturating_abs() > 1);
    if off(stated_net, net)? || off(stated_tax, tax)? {
        return Err(Misfit::Amount { stated_net, stated_tax, net, tax });
    }
    // Its own rounding: believed while it leaves enough for the rest.
    let believed = !is_last && at_most(stated_net, rest.0) == stated_net && at_most(stated_tax, rest.1) == stated_tax;
    Ok(if believed { Portion { units, net: stated_net, tax: stated_tax } } else { Portion { units, net, tax } })
}

/// What `units` of a component of a bundle are worth. Units are held against the component (`share` is all of it with its
/// share of the bundle's price), money against the bundle: whatever share a source gives a component, all of them together
/// are worth the bundle, and the last unit of the last component takes what is left of it. `taken` is what was given back
/// of the component, `of_bundle` and `taken_of_bundle` the bundle with all units of its components counted.
///
/// # Errors
/// [`Misfit`].
pub fn settle_component(
    share: Portion,
    taken: u32,
    of_bundle: Portion,
    taken_of_bundle: Portion,
    units: u32,
    stated: Option<(Money, Money)>,
    amounts: CreditAmounts,
) -> Result<Portion, Misfit> {
    let left = share.units.saturating_sub(taken);
    if units > left || units == 0 {
        return Err(Misfit::Units { wanted: units, left, sold: share.units });
    }
    // A source that knows no price of a component states nought.
    let stated = stated.filter(|(net, tax)| !net.is_zero() || !tax.is_zero());
    if let (CreditAmounts::AsStated, Some((net, tax))) = (amounts, stated) {
        return Ok(Portion { units, net, tax });
    }
    let rest = (of_bundle.net.minus(taken_of_bundle.net)?, of_bundle.tax.minus(taken_of_bundle.tax)?);
    let is_last = of_bundle.units.saturating_sub(taken_of_bundle.units) == units;
    let Some((stated_net, stated_tax)) = stated else {
        let running = |total| part(total, share.units, taken, units);
        let (net, tax) =
            if is_last { rest } else { (at_most(running(share.net)?, rest.0), at_most(running(share.tax)?, rest.1)) };
        return Ok(Portion { units, net, tax });
    };
    let off = |one: Money, other: Money| one.minus(other).map(|difference| difference.minor());
    let over = off(stated_net, rest.0)? > 1 || off(stated_tax, rest.1)? > 1;
    let short = is_last && (off(stated_net, rest.0)? < -1 || off(stated_tax, rest.1)? < -1);
    if over || short {
        return Err(Misfit::Amount { stated_net, stated_tax, net: rest.0, tax: rest.1 });
    }
    let (net, tax) = if is_last { rest } else { (at_most(stated_net, rest.0), at_most(stated_tax, rest.1)) };
    Ok(Portion { units, net, tax })
}

fn at_most(amount: Money, limit: Money) -> Money {
    if amount.minor() > limit.minor() { limit } else { amount }
}

/// The tax of a part by rate, as the sale was taxed: shares that add up to it.
///
/// # Errors
/// [`MoneyError`].
pub fn taxes_of(sold: &Sold, tax: Money) -> Result<Vec<TaxLine>, MoneyError> {
    if sold.taxes.is_empty() {
        return Ok(Vec::new());
    }
    let weights: Vec<_> = sold.taxes.iter().map(|one| rust_decimal::Decimal::from(one.amount.minor().saturating_abs())).collect();
    let shares = match tax.allocate(&weights) {
        Ok(shares) => shares,
        // Untaxed so far: by rate then, and all on the first where no rate says anything either.
        Err(_) => {
            let rates: Vec<_> = sold.taxes.iter().map(|one| one.rate.abs()).collect();
            tax.allocate(&rates).or_else(|_| {
                let first = (0..sold.taxes.len()).map(|at| rust_decimal::Decimal::from(u8::from(at == 0))).collect::<Vec<_>>();
                tax.allocate(&first)
            })?
        }
    };
    Ok(sold.taxes.iter().zip(shares).map(|(one, amount)| TaxLine { name: one.name.clone(), rate: one.rate, amount }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::eur;

    fn portion(units: u32, net: i64, tax: i64) -> Portion {
        Portion { units, net: eur(net), tax: eur(tax) }
    }

    #[test]
    fn the_last_part_takes_the_remainder() {
        let whole = portion(3, 1000, 250);
        let settled = |taken, units, stated: Option<(i64, i64)>| {
            let stated = stated.map(|(net, tax)| (eur(net), eur(tax)));
            settle(whole, taken, units, stated, CreditAmounts::AsSold).map(|one| (one.net.minor(), one.tax.minor()))
        };
        assert_eq!(settled(portion(0, 0, 0), 1, None), Ok((333, 83)));
        assert_eq!(settled(portion(0, 0, 0), 1, Some((334, 84))), Ok((334, 84)), "its own rounding");
        assert_eq!(settled(portion(2, 668, 168), 1, Some((333, 83))), Ok((332, 82)), "the last is what is left");
        assert_eq!(settled(portion(2, 1000, 250), 1, None), Ok((0, 0)));
        assert!(matches!(settled(portion(0, 0, 0), 1, Some((400, 100))), Err(Misfit::Amount { .. })));
        assert!(matches!(settled(portion(0, 0, 0), 1, Some((333, 90))), Err(Misfit::Amount { .. })));
        assert_eq!(settled(portion(2, 0, 0), 2, None), Err(Misfit::Units { wanted: 2, left: 1, sold: 3 }));
        assert!(settled(portion(0, 0, 0), 0, None).is_err());
    }

    #[test]
    fn what_is_stated_stands_where_it_may() {
        let settled = settle(portion(3, 1000, 250), portion(1, 900, 0), 2, Some((eur(900), eur(1))), CreditAmounts::AsStated);
        assert_eq!(settled, Ok(portion(2, 900, 1)));
        assert!(settle(portion(3, 1000, 250), portion(2, 0, 0), 2, Some((eur(1), eur(1))), CreditAmounts::AsStated).is_err());
    }
}
