//! What there is to give back of an order: each line that carries a price, a bundle by its components.
//!
//! A component of a bundle carries no price of its own. Its share of the bundle's price is fixed here by what the
//! components cost by themselves (else by their units), so that all components together are worth the bundle to the cent,
//! and so that the bundle may come back in pieces.

use rust_decimal::Decimal;

use crate::{
    id::{ExternalId, Sku},
    money::{Money, MoneyError},
    pick::Goods,
    records::{LineKind, Order, OrderLine, TaxLine},
};

/// Units and money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portion {
    /// Units.
    pub units: u32,
    /// Without tax.
    pub net: Money,
    /// Tax.
    pub tax: Money,
}

impl Portion {
    /// Nothing of something in this currency.
    pub fn none(currency: crate::money::Currency) -> Self {
        Self { units: 0, net: Money::zero(currency), tax: Money::zero(currency) }
    }

    /// Both together.
    ///
    /// # Errors
    /// [`MoneyError::Mixed`], [`MoneyError::Overflow`].
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        Ok(Self {
            units: self.units.checked_add(other.units).ok_or(MoneyError::Overflow)?,
            net: self.net.plus(other.net)?,
            tax: self.tax.plus(other.tax)?,
        })
    }

    /// What is left when the other is taken off.
    ///
    /// # Errors
    /// [`MoneyError::Mixed`], [`MoneyError::Overflow`]; [`MoneyError::Units`] when it has not as many units.
    pub fn minus(self, other: Self) -> Result<Self, MoneyError> {
        let units = self.units.checked_sub(other.units);
        let wrong = MoneyError::Units { of_units: self.units, before: 0, now: other.units };
        Ok(Self { units: units.ok_or(wrong)?, net: self.net.minus(other.net)?, tax: self.tax.minus(other.tax)? })
    }

    /// With tax.
    ///
    /// # Errors
    /// [`MoneyError::Mixed`], [`MoneyError::Overflow`].
    pub fn gross(self) -> Result<Money, MoneyError> {
        self.net.plus(self.tax)
    }
}

/// A line of which units can be given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sold {
    /// The source's id of the line.
    pub line: ExternalId,
    /// Full SKU.
    pub sku: Sku,
    /// Name at order time.
    pub name: String,
    /// Price of one unit without tax; may be finer than a cent.
    pub unit_net: Decimal,
    /// All of it.
    pub whole: Portion,
    /// The taxes it is made of.
    pub taxes: Vec<TaxLine>,
    /// The bundle's line, for a component.
    pub bundle: Option<ExternalId>,
}

/// Everything of an order that can be given back. `goods` says what components cost by themselves.
///
/// # Errors
/// [`MoneyError`], when an amount does not fit.
pub fn sold(order: &Order, goods: &Goods) -> Result<Vec<Sold>, MoneyError> {
    let mut all = Vec::new();
    for line in &order.lines {
        match line.kind {
            LineKind::Product | LineKind::GiftCertificate => all.push(Sold {
                line: line.id.clone(),
                sku: line.sku.clone(),
                name: line.name.clone(),
                unit_net: line.unit_net,
                whole: Portion { units: line.quantity, net: line.net, tax: line.tax },
                taxes: line.taxes.clone(),
                bundle: None,
            }),
            LineKind::Bundle => all.extend(components(order, line, goods)?),
            LineKind::BundleItem => {}
        }
    }
    Ok(all)
}

/// The order's lines of a bundle's components.
pub fn parts_of<'a>(order: &'a Order, bundle: &'a ExternalId) -> impl Iterator<Item = &'a OrderLine> {
    order.lines.iter().filter(move |line| line.kind == LineKind::BundleItem && line.bundle.as_ref() == Some(bundle))
}

fn components(order: &Order, bundle: &OrderLine, goods: &Goods) -> Result<Vec<Sold>, MoneyError> {
    let parts: Vec<&OrderLine> = parts_of(order, &bundle.id).filter(|part| part.quantity > 0).collect();
    if parts.is_empty() {
        // Nobody said what it is made of: it comes back whole.
        return Ok(vec![Sold {
            line: bundle.id.clone(),
            sku: bundle.sku.clone(),
            name: bundle.name.clone(),
            unit_net: bundle.unit_net,
            whole: Portion { units: bundle.quantity, net: bundle.net, tax: bundle.tax },
            taxes: bundle.taxes.clone(),
            bundle: None,
        }]);
    }
    let price = |part: &&OrderLine| goods.get(&part.sku).and_then(|good| good.price).filter(|price| *price > Decimal::ZERO);
    let prices: Option<Vec<Decimal>> = parts.iter().map(price).collect();
    let weights: Vec<Decimal> = parts
        .iter()
        .enumerate()
        .map(|(at, part)| {
            let each = prices.as_ref().and_then(|prices| prices.get(at)).copied().unwrap_or(Decimal::ONE);
            each.checked_mul(Decimal::from(part.quantity)).ok_or(MoneyError::Overflow)
        })
        .collect::<Result<_, _>>()?;
    let nets = bundle.net.allocate(&weights)?;
    let taxes: Vec<Vec<Money>> = bundle.taxes.iter().map(|tax| tax.amount.allocate(&weights)).collect::<Result<_, _>>()?;
    let mut sold = Vec::new();
    for (at, (part, net)) in parts.iter().zip(nets).enumerate() {
        let of_part = |(tax, shares): (&TaxLine, &Vec<Money>)| {
            shares.get(at).map(|amount| TaxLine { name: tax.name.clone(), rate: tax.rate, amount: *amount })
        };
        let taxes: Vec<TaxLine> = bundle.taxes.iter().zip(&taxes).filter_map(of_part).collect();
        let tax = Money::sum(net.currency(), taxes.iter().map(|tax| tax.amount))?;
        sold.push(Sold {
            line: part.id.clone(),
            sku: part.sku.clone(),
            name: part.name.clone(),
            unit_net: net.decimal().checked_div(Decimal::from(part.quantity)).unwrap_or_default(),
            whole: Portion { units: part.quantity, net, tax },
            taxes,
            bundle: Some(bundle.id.clone()),
        });
    }
    Ok(sold)
}
