//! A sale of which something is given back: what others gave back, what this credit does, and what each part is worth. Pure.

use std::collections::BTreeMap;

use selvedge_model::{
    CreditNote, ExternalId, Money, MoneyError, Order, Problem,
    credit::{
        CreditAmounts,
        settle::{Misfit, settle, settle_component, taxes_of},
        whole::{Portion, Sold, parts_of},
    },
    records::{Charge, CreditKind, CreditLine, Discount, LineKind, SoldPart, TaxLine, Totals},
};

use super::problems::misfit;

/// What of an order is no line: its charges, its reductions, and all of it.
pub(super) const SHIPPING: &str = ":shipping";
pub(super) const HANDLING: &str = ":handling";
pub(super) const DISCOUNTS: &str = ":discounts";
pub(super) const TOTAL: &str = ":total";

/// An order of which something is given back.
pub(super) struct Sale {
    pub(super) order: Order,
    pub(super) sold: Vec<Sold>,
    /// What other records gave back, by line.
    pub(super) taken: BTreeMap<ExternalId, Portion>,
    /// What this one gives back so far, by line.
    pub(super) now: BTreeMap<ExternalId, Portion>,
    /// The wholes that this one touches.
    pub(super) wholes: BTreeMap<ExternalId, Portion>,
}

impl Sale {
    pub(super) fn none(&self) -> Portion {
        Portion::none(self.order.currency)
    }

    /// What was given back of a line, by others and by this one so far.
    pub(super) fn taken(&self, line: &ExternalId) -> std::result::Result<Portion, MoneyError> {
        let of = |side: &BTreeMap<ExternalId, Portion>| side.get(line).copied().unwrap_or_else(|| self.none());
        of(&self.taken).plus(of(&self.now))
    }

    pub(super) fn take(&mut self, line: &ExternalId, whole: Portion, part: Portion) -> std::result::Result<(), MoneyError> {
        let before = self.now.get(line).copied().unwrap_or_else(|| self.none());
        self.now.insert(line.clone(), before.plus(part)?);
        self.wholes.insert(line.clone(), whole);
        Ok(())
    }

    pub(super) fn sold(&self, line: &ExternalId) -> Option<&Sold> {
        self.sold.iter().find(|one| one.line == *line)
    }

    /// A bundle with all units of its components counted.
    pub(super) fn bundle(&self, line: &ExternalId) -> Option<Portion> {
        let bundle = self.order.lines.iter().find(|one| one.id == *line && one.kind == LineKind::Bundle)?;
        let units = parts_of(&self.order, line).map(|part| part.quantity).sum();
        Some(Portion { units, net: bundle.net, tax: bundle.tax })
    }

    /// Whether every unit of the order is given back with what this one takes.
    pub(super) fn is_all_back(&self) -> bool {
        self.sold.iter().all(|one| self.taken(&one.line).is_ok_and(|taken| taken.units >= one.whole.units))
    }
}

/// Net and tax in one sum.
pub(super) fn together(portion: Portion) -> std::result::Result<Portion, MoneyError> {
    Ok(Portion { units: portion.units, net: portion.gross()?, tax: Money::zero(portion.net.currency()) })
}

/// What is given back of one line of a sale.
pub(super) struct Given {
    pub(super) part: Portion,
    pub(super) taxes: Vec<TaxLine>,
    /// What is claimed for it, by line.
    pub(super) claims: Vec<(ExternalId, Portion)>,
}

/// Takes units of a line off a sale; `Err(None)` when the sale has no such line.
pub(super) fn give_back(
    sale: &mut Sale,
    line: &ExternalId,
    units: u32,
    stated: Option<(Money, Money)>,
    amounts: CreditAmounts,
) -> std::result::Result<Vec<Given>, Option<Misfit>> {
    let money = |error: MoneyError| Some(Misfit::Money(error));
    let is_bundle =
        sale.order.lines.iter().any(|one| one.id == *line && one.kind == LineKind::Bundle) && sale.sold(line).is_none();
    if is_bundle {
        return whole_bundle(sale, line, units, stated, amounts);
    }
    let one = sale.sold(line).cloned().ok_or(None)?;
    let taken = sale.taken(line).map_err(money)?;
    match &one.bundle {
        None => {
            let part = settle(one.whole, taken, units, stated, amounts)?;
            sale.take(line, one.whole, part).map_err(money)?;
            Ok(vec![Given { part, taxes: taxes_of(&one, part.tax).map_err(money)?, claims: vec![(line.clone(), part)] }])
        }
        Some(bundle) => {
            let of_bundle = sale.bundle(bundle).ok_or(None)?;
            let of_units = |portion: Portion| Portion { units: portion.units, ..sale.none() };
            let (share, units_alone) = (one.whole, of_units(one.whole));
            let taken_of_bundle = sale.taken(bundle).map_err(money)?;
            let part = settle_component(share, taken.units, of_bundle, taken_of_bundle, units, stated, amounts)?;
            let part_alone = of_units(part);
            sale.take(line, units_alone, part_alone).map_err(money)?;
            sale.take(bundle, of_bundle, part).map_err(money)?;
            let claims = vec![(line.clone(), part_alone), (bundle.clone(), part)];
            Ok(vec![Given { part, taxes: taxes_of(&one, part.tax).map_err(money)?, claims }])
        }
    }
}

/// Whole bundles: so many units of each of their components.
pub(super) fn whole_bundle(
    sale: &mut Sale,
    line: &ExternalId,
    bundles: u32,
    stated: Option<(Money, Money)>,
    amounts: CreditAmounts,
) -> std::result::Result<Vec<Given>, Option<Misfit>> {
    let money = |error: MoneyError| Some(Misfit::Money(error));
    let of = sale.order.lines.iter().find(|one| one.id == *line).map_or(0, |one| one.quantity);
    let parts: Vec<(ExternalId, u32)> = parts_of(&sale.order, line).map(|part| (part.id.clone(), part.quantity)).collect();
    if bundles > of {
        return Err(Some(Misfit::Units { wanted: bundles, left: of, sold: of }));
    }
    let mut given = Vec::new();
    let mut sum = Portion::none(sale.order.currency);
    for (part, quantity) in parts {
        let product = u64::from(quantity) * u64::from(bundles);
        if of == 0 || !product.is_multiple_of(u64::from(of)) {
            return Err(Some(Misfit::Units { wanted: bundles, left: of, sold: of }));
        }
        let units = u32::try_from(product / u64::from(of)).map_err(|_| money(MoneyError::Overflow))?;
        for one in give_back(sale, &part, units, None, amounts)? {
            sum = sum.plus(one.part).map_err(money)?;
            given.push(one);
        }
    }
    if let (CreditAmounts::AsStated, Some((net, tax)), Some(first)) = (amounts, stated, given.first_mut()) {
        // The source sets the price of the whole: what it is more or less than was paid goes with the first component.
        let more = Portion { units: 0, net: net.minus(sum.net).map_err(money)?, tax: tax.minus(sum.tax).map_err(money)? };
        first.part = first.part.plus(more).map_err(money)?;
        if let Some((_, of_bundle)) = first.claims.last_mut() {
            *of_bundle = of_bundle.plus(more).map_err(money)?;
        }
    } else if let Some((net, tax)) = stated {
        let off = |one: Money, other: Money| one.minus(other).map(|difference| difference.minor().saturating_abs());
        let cents = i64::try_from(given.len()).unwrap_or(i64::MAX);
        if off(net, sum.net).map_err(money)? > cents || off(tax, sum.tax).map_err(money)? > cents {
            return Err(Some(Misfit::Amount { stated_net: net, stated_tax: tax, net: sum.net, tax: sum.tax }));
        }
    }
    Ok(given)
}

pub(super) fn add_taxes(taxes: &mut Vec<TaxLine>, more: Vec<TaxLine>) -> std::result::Result<(), MoneyError> {
    for one in more {
        match taxes.iter_mut().find(|known| known.name == one.name && known.rate == one.rate) {
            Some(known) => known.amount = known.amount.plus(one.amount)?,
            None => taxes.push(one),
        }
    }
    Ok(())
}

/// What the order's reductions take off a credit; with the last units all that is left of them.
pub(super) fn reductions(
    sale: &Sale,
    credit: &CreditNote,
    given: &mut [Discount],
    strict: bool,
) -> std::result::Result<Option<(Portion, Portion)>, Box<Problem>> {
    let currency = sale.order.currency;
    let sum = |discounts: &[Discount]| {
        Ok::<_, MoneyError>(Portion {
            units: 0,
            net: Money::sum(currency, discounts.iter().map(|one| one.net))?,
            tax: Money::sum(currency, discounts.iter().map(|one| one.tax))?,
        })
    };
    let wrong = |error: MoneyError| {
        Box::new(misfit(credit, "discounts".to_owned(), &sale.order.number, "a reduction", &Misfit::Money(error)))
    };
    // What a gift card paid is a tender and comes back as one.
    let reduced: Vec<Discount> = sale.order.discounts.iter().filter(|one| !one.tender).cloned().collect();
    let whole = sum(&reduced).map_err(wrong)?;
    let mut part = sum(given).map_err(wrong)?;
    if part == sale.none() && whole == sale.none() {
        return Ok(None);
    }
    let left = whole.minus(sale.taken(&ExternalId::new(DISCOUNTS)).map_err(wrong)?).map_err(wrong)?;
    let off = |one: Money, other: Money| one.minus(other).map(|difference| difference.minor());
    let (net_off, tax_off) = (off(part.net, left.net).map_err(wrong)?, off(part.tax, left.tax).map_err(wrong)?);
    let is_all_back = sale.is_all_back();
    let fits = if is_all_back { net_off.abs() <= 1 && tax_off.abs() <= 1 } else { net_off <= 0 && tax_off <= 0 };
    if strict && !fits {
        return Err(Box::new(
            Problem::new(
                "credit.discount",
                "discounts",
                format!(
                    "credit {} takes {} and {} tax off for the reductions of order {}, of which {} and {} tax are left{}",
                    credit.number,
                    part.net,
                    part.tax,
                    sale.order.number,
                    left.net,
                    left.tax,
                    if is_all_back { "; it gives the last units back, so all of them should come off" } else { "" }
                ),
                "Mend the credit at its source, or set amounts = \"as_stated\" for this flow; then release.",
            )
            .value(part.net.to_string())
            .cause(credit.key.as_str()),
        ));
    }
    // The last takes the remainder: a cent, on the first of them.
    if strict
        && is_all_back
        && part != left
        && let Some(first) = given.first_mut()
    {
        first.net = first.net.plus(left.net.minus(part.net).map_err(wrong)?).map_err(wrong)?;
        first.tax = first.tax.plus(left.tax.minus(part.tax).map_err(wrong)?).map_err(wrong)?;
        part = left;
    }
    Ok(Some((whole, part)))
}

/// What a credit gives back of an order in all.
pub(super) fn totals_of(
    credit: &CreditNote,
    sale: &Sale,
    shipping: &Charge,
    handling: &Charge,
    discounts: &[Discount],
) -> std::result::Result<Portion, MoneyError> {
    let mut all = sale.none();
    let counted = |line: &ExternalId| sale.sold(line).is_none_or(|one| one.bundle.is_none());
    for (_, part) in sale.now.iter().filter(|(line, _)| counted(line) && !line.as_str().starts_with(':')) {
        all = all.plus(Portion { units: 0, ..*part })?;
    }
    for charge in [shipping, handling, &credit.goodwill] {
        all = all.plus(Portion { units: 0, net: charge.net, tax: charge.tax })?;
    }
    for one in discounts {
        all = all.minus(Portion { units: 0, net: one.net, tax: one.tax })?;
    }
    // What is kept back may be given back later.
    all.minus(Portion { units: 0, net: credit.fee.net, tax: credit.fee.tax })
}

pub(super) fn totals(credit: &CreditNote) -> std::result::Result<Totals, MoneyError> {
    let lines = |of: fn(&CreditLine) -> Money| Money::sum(credit.currency, credit.lines.iter().map(of));
    let sum = |lines: Money, charge: fn(&Charge) -> Money, discount: fn(&Discount) -> Money| {
        let charges = [&credit.shipping, &credit.handling, &credit.goodwill].map(charge);
        let off = Money::sum(credit.currency, credit.discounts.iter().map(discount))?.plus(charge(&credit.fee))?;
        lines.plus(Money::sum(credit.currency, charges)?)?.minus(off)
    };
    let net = sum(lines(|line| line.net)?, |charge| charge.net, |discount| discount.net)?;
    let tax = sum(lines(|line| line.tax)?, |charge| charge.tax, |discount| discount.tax)?;
    Ok(Totals { net, tax, gross: net.plus(tax)? })
}

/// Components that make whole bundles become these bundles, for a target that keeps a bundle as one line.
pub(super) fn whole_bundles(lines: &mut Vec<CreditLine>, sale: &Sale) -> std::result::Result<(), MoneyError> {
    for bundle in sale.order.lines.iter().filter(|line| line.kind == LineKind::Bundle) {
        let parts: Vec<(&ExternalId, u32)> = parts_of(&sale.order, &bundle.id).map(|part| (&part.id, part.quantity)).collect();
        let of_bundle = |line: &CreditLine| matches!(line.sold.as_slice(), [part] if part.order == sale.order.number && parts.iter().any(|(id, _)| **id == part.line));
        let units = |id: &ExternalId| -> u32 {
            lines
                .iter()
                .filter(|line| of_bundle(line))
                .flat_map(|line| &line.sold)
                .filter(|part| part.line == *id)
                .map(|part| part.quantity)
                .sum()
        };
        let Some((first, quantity)) = parts.first() else { continue };
        let product = u64::from(units(first)) * u64::from(bundle.quantity);
        if *quantity == 0 || product == 0 || !product.is_multiple_of(u64::from(*quantity)) {
            continue;
        }
        let bundles = product / u64::from(*quantity);
        let is_whole = parts
            .iter()
            .all(|(id, quantity)| u64::from(units(id)) * u64::from(bundle.quantity) == bundles * u64::from(*quantity));
        let Some(bundles) = is_whole.then(|| u32::try_from(bundles).ok()).flatten() else { continue };
        let at = lines.iter().position(of_bundle).unwrap_or(0);
        let (mut net, mut tax, mut taxes) = (Money::zero(sale.order.currency), Money::zero(sale.order.currency), Vec::new());
        for line in lines.iter().filter(|line| of_bundle(line)) {
            net = net.plus(line.net)?;
            tax = tax.plus(line.tax)?;
            add_taxes(&mut taxes, line.taxes.clone())?;
        }
        let whole = CreditLine {
            id: bundle.id.clone(),
            kind: CreditKind::Goods,
            sold: vec![SoldPart { order: sale.order.number.clone(), line: bundle.id.clone(), quantity: bundles, net, tax }],
            sku: bundle.sku.clone(),
            name: bundle.name.clone(),
            quantity: bundles,
            unit_net: bundle.unit_net,
            net,
            tax,
            taxes,
        };
        let kept: Vec<bool> = lines.iter().map(|line| !of_bundle(line)).collect();
        let mut keeps = kept.iter();
        lines.retain(|_| *keeps.next().unwrap_or(&true));
        lines.insert(at.min(lines.len()), whole);
    }
    Ok(())
}
