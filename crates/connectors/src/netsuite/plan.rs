//! What one order becomes as a document: its lines in order, and the tax of each part with the
//! rate it falls under. Pure; `lookups` asks for the values of a plan, `encode` writes it down.

use rust_decimal::Decimal;
use selvedge_model::{
    Money, Order, Problem,
    gate::Lookup,
    records::{Charge, OrderLine},
};

use super::settings::{Form, ShippingForm, Tax};

/// References of the lines' tax: how a line is known again when it is read back.
pub(crate) const LINE: char = 'L';
pub(crate) const DISCOUNT: char = 'D';
pub(crate) const GIFT_CARD: char = 'G';
pub(crate) const HANDLING: &str = "H1";
pub(crate) const FEE: &str = "F1";
pub(crate) const GOODWILL: &str = "W1";

/// One line of the document.
#[derive(Clone, Debug)]
pub(crate) struct PlanLine {
    /// `L<line id>`, `D1`, `G1`, `H1`: unique in the document.
    pub reference: String,
    /// Which item it is.
    pub item: Lookup,
    /// Units; a discount has none.
    pub quantity: Option<u32>,
    /// Without tax; below zero for a discount.
    pub amount: Money,
    /// What people read.
    pub description: String,
    /// Its taxes.
    pub taxes: Vec<TaxPart>,
}

/// One tax on one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TaxPart {
    /// In percent.
    pub rate: Decimal,
    /// What it is taken from.
    pub basis: Money,
    /// The tax.
    pub amount: Money,
}

/// The document, before ids.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// Lines, in the order's order: goods, handling, shipping where it is a line, discounts, gift cards.
    pub lines: Vec<PlanLine>,
    /// The taxes of a shipping charge that is not a line.
    pub shipping_taxes: Vec<TaxPart>,
}

/// The country that decides the tax: where it is sent, else where it is billed.
pub(crate) fn tax_country(order: &Order) -> &str {
    let shipping = order.shipping.as_ref().filter(|a| a.country.is_some());
    shipping.or(order.billing.as_ref()).and_then(|a| a.country.as_deref()).unwrap_or("")
}

/// A rate as the mapping table writes it: `25`, `12.5`.
pub(crate) fn rate_text(rate: Decimal) -> String {
    rate.normalize().to_string()
}

/// Makes the plan; what does not add up is a problem.
pub(crate) fn plan(order: &Order, form: &Form) -> (Plan, Vec<Problem>) {
    let mut plan = Plan::default();
    let mut problems = Vec::new();
    let taxed = form.tax != Tax::None;
    for (index, line) in order.lines.iter().enumerate().filter(|(_, l)| l.kind != selvedge_model::records::LineKind::BundleItem) {
        let taxes = if taxed { line_taxes(line, index, &mut problems) } else { Vec::new() };
        plan.lines.push(PlanLine {
            reference: format!("{LINE}{}", line.id),
            item: Lookup::new("item", &[("sku", line.sku.as_str())], format!("lines[{index}].sku")).same_name(),
            quantity: Some(line.quantity),
            amount: line.net,
            description: line.name.clone(),
            taxes,
        });
    }
    let mix = Mix::of(order);
    let mut spread = |charge: &Charge, path: &str| {
        if !taxed {
            return Vec::new();
        }
        mix.spread(charge.net, charge.tax, charge.rate, path).unwrap_or_else(|problem| {
            problems.push(*problem);
            Vec::new()
        })
    };
    if !order.handling_charge.net.is_zero() {
        plan.lines.push(PlanLine {
            reference: HANDLING.to_owned(),
            item: Lookup::new("charge_item", &[("kind", "handling")], "handling_charge"),
            quantity: Some(1),
            amount: order.handling_charge.net,
            description: "Handling".to_owned(),
            taxes: spread(&order.handling_charge, "handling_charge.tax"),
        });
    }
    let shipping_taxes = spread(&order.shipping_charge, "shipping_charge.tax");
    match form.shipping {
        ShippingForm::Header => plan.shipping_taxes = shipping_taxes,
        ShippingForm::Line if order.shipping_charge.net.is_zero() => {}
        ShippingForm::Line => plan.lines.push(PlanLine {
            reference: form.shipping_tax_reference.clone(),
            item: Lookup::new("charge_item", &[("kind", "shipping")], "shipping_charge"),
            quantity: Some(1),
            amount: order.shipping_charge.net,
            description: order.shipping_method.as_ref().map_or_else(|| "Shipping".to_owned(), |m| m.name.clone()),
            taxes: shipping_taxes,
        }),
    }
    discounts(order, taxed, &mix, &mut plan, &mut problems);
    if form.tax == Tax::Legacy {
        for line in &mut plan.lines {
            line.taxes = combined(&line.taxes);
        }
        plan.shipping_taxes = combined(&plan.shipping_taxes);
    }
    (plan, problems)
}

/// The taxes of a charge that has no place in an order, as far as this form shows them: what is kept back for a return, what is given
/// for no goods.
pub(crate) fn charge_taxes(order: &Order, charge: &Charge, form: &Form, path: &str) -> Result<Vec<TaxPart>, Box<Problem>> {
    let parts = match form.tax {
        Tax::None => Vec::new(),
        _ => Mix::of(order).spread(charge.net, charge.tax, charge.rate, path)?,
    };
    Ok(if form.tax == Tax::Legacy { combined(&parts) } else { parts })
}

fn discounts(order: &Order, taxed: bool, mix: &Mix, plan: &mut Plan, problems: &mut Vec<Problem>) {
    for tender in [false, true] {
        for (count, (index, discount)) in order.discounts.iter().enumerate().filter(|(_, d)| d.tender == tender).enumerate() {
            let path = format!("discounts[{index}]");
            let parts = if taxed {
                mix.spread(discount.net, discount.tax, discount.rate, &format!("{path}.tax"))
            } else {
                Ok(Vec::new())
            };
            let made = parts.and_then(|parts| {
                Ok((negated(&parts).ok_or_else(|| too_large(&path))?, discount.net.negated().map_err(|_| too_large(&path))?))
            });
            match made {
                Err(problem) => problems.push(*problem),
                Ok((taxes, amount)) => plan.lines.push(PlanLine {
                    reference: format!("{}{}", if tender { GIFT_CARD } else { DISCOUNT }, count + 1),
                    item: Lookup::new("discount_item", &[("kind", if tender { "gift_card" } else { "discount" })], path),
                    quantity: None,
                    amount,
                    description: discount.name.clone(),
                    taxes,
                }),
            }
        }
    }
}

pub(crate) fn too_large(path: &str) -> Box<Problem> {
    Box::new(Problem::new("totals.sum", path, "the amount is too large to hold", "Mend the amount at its source."))
}

pub(crate) fn negated(parts: &[TaxPart]) -> Option<Vec<TaxPart>> {
    parts
        .iter()
        .map(|part| Some(TaxPart { rate: part.rate, basis: part.basis.negated().ok()?, amount: part.amount.negated().ok()? }))
        .collect()
}

/// One code per line is all that legacy tax takes: the rates are added up.
fn combined(parts: &[TaxPart]) -> Vec<TaxPart> {
    let Some(first) = parts.first() else {
        return Vec::new();
    };
    let one_basis = parts.iter().all(|part| part.basis == first.basis);
    let total = Money::sum(first.amount.currency(), parts.iter().map(|p| p.amount));
    let rate = parts.iter().try_fold(Decimal::ZERO, |sum, p| sum.checked_add(p.rate));
    match (one_basis, total, rate) {
        (true, Ok(amount), Some(rate)) => vec![TaxPart { rate, basis: first.basis, amount }],
        // Parts of different goods: the largest speaks for all; the sum is judged when it is read back.
        _ => parts.iter().max_by_key(|p| p.basis.minor().saturating_abs()).cloned().into_iter().collect(),
    }
}

fn line_taxes(line: &OrderLine, index: usize, problems: &mut Vec<Problem>) -> Vec<TaxPart> {
    let stated = Money::sum(line.tax.currency(), line.taxes.iter().map(|t| t.amount));
    if !stated.is_ok_and(|sum| sum == line.tax) {
        problems.push(
            Problem::new(
                "lines.tax",
                format!("lines[{index}].taxes"),
                format!("the taxes of line {} do not add up to its tax of {}", line.id, line.tax),
                "Mend the tax of the line at its source; the target takes every tax with its rate.",
            )
            .value(line.tax.to_string()),
        );
        return Vec::new();
    }
    line.taxes.iter().map(|tax| TaxPart { rate: tax.rate, basis: line.net, amount: tax.amount }).collect()
}

/// What taxes the goods of an order fall under: for the parts that follow the goods.
struct Mix(Vec<Profile>);

struct Profile {
    rates: Vec<Decimal>,
    net: Decimal,
}

impl Profile {
    fn rate(&self) -> Decimal {
        self.rates.iter().try_fold(Decimal::ZERO, |sum, rate| sum.checked_add(*rate)).unwrap_or_default()
    }
}

impl Mix {
    fn of(order: &Order) -> Self {
        let mut profiles: Vec<Profile> = Vec::new();
        for line in order.priced_lines().filter(|line| line.net.minor() > 0) {
            let rates: Vec<Decimal> = line.taxes.iter().map(|t| t.rate.normalize()).collect();
            let net = Decimal::from(line.net.minor());
            match profiles.iter_mut().find(|p| p.rates == rates) {
                Some(profile) => profile.net = profile.net.checked_add(net).unwrap_or(profile.net),
                None => profiles.push(Profile { rates, net }),
            }
        }
        Mix(profiles)
    }

    /// The taxes of an amount that has no lines of its own: shipping, handling, an order discount.
    ///
    /// Its own rate decides where it has one that explains its tax; a charge that was taxed at the
    /// weighted average of the goods, and a discount without a rate, are shared out over the rates of
    /// the goods by their value. The shares add up to the cent.
    fn spread(&self, net: Money, tax: Money, rate: Option<Decimal>, path: &str) -> Result<Vec<TaxPart>, Box<Problem>> {
        if tax.is_zero() {
            return Ok(Vec::new());
        }
        let taxed: Vec<&Profile> = self.0.iter().filter(|p| !p.rate().is_zero()).collect();
        if let Some(rate) = rate {
            if let Some(profile) = taxed.iter().find(|p| p.rate() == rate) {
                return share(net, tax, profile).ok_or_else(|| too_large(path));
            }
            let inside = self.0.len() > 1
                && self.0.iter().map(Profile::rate).min().is_some_and(|min| min < rate)
                && self.0.iter().map(Profile::rate).max().is_some_and(|max| rate < max);
            if !inside {
                return Ok(vec![TaxPart { rate, basis: net, amount: tax }]);
            }
        } else if let [only] = taxed.iter().filter(|p| explains(p.rate(), net, tax)).collect::<Vec<_>>()[..] {
            return share(net, tax, only).ok_or_else(|| too_large(path));
        }
        match taxed[..] {
            [] => Err(Box::new(
                Problem::new(
                    "lines.tax",
                    path,
                    format!("there is tax of {tax} here, and no line of the order says at which rate"),
                    "Mend the tax at its source; the target takes every tax with its rate.",
                )
                .value(tax.to_string()),
            )),
            [only] if self.0.len() == 1 => share(net, tax, only).ok_or_else(|| too_large(path)),
            _ => self.over_all(net, tax).ok_or_else(|| too_large(path)),
        }
    }

    fn over_all(&self, net: Money, tax: Money) -> Option<Vec<TaxPart>> {
        let weights: Vec<Decimal> = self.0.iter().map(|p| p.net).collect();
        let bases = net.allocate(&weights).ok()?;
        let by_rate: Vec<Decimal> = self
            .0
            .iter()
            .zip(&bases)
            .map(|(p, basis)| Decimal::from(basis.minor()).abs().checked_mul(p.rate()))
            .collect::<Option<_>>()?;
        let taxes = tax.allocate(&by_rate).or_else(|_| {
            // The bases round to nothing: by the value of the taxed goods then.
            let weights: Vec<Decimal> = self.0.iter().map(|p| if p.rate().is_zero() { Decimal::ZERO } else { p.net }).collect();
            tax.allocate(&weights)
        });
        let mut parts = Vec::new();
        for ((profile, basis), tax) in self.0.iter().zip(bases).zip(taxes.ok()?) {
            if !tax.is_zero() {
                parts.extend(share(basis, tax, profile)?);
            }
        }
        Some(parts)
    }
}

/// One amount under one set of rates: all take from the same basis, the tax is shared by rate.
fn share(net: Money, tax: Money, profile: &Profile) -> Option<Vec<TaxPart>> {
    let amounts = tax.allocate(&profile.rates).ok()?;
    Some(profile.rates.iter().zip(amounts).map(|(rate, amount)| TaxPart { rate: *rate, basis: net, amount }).collect())
}

/// Whether the tax is what the rate makes of the net amount, to one minor unit.
fn explains(rate: Decimal, net: Money, tax: Money) -> bool {
    let exact = net.decimal().checked_mul(rate).and_then(|x| x.checked_div(Decimal::ONE_HUNDRED));
    let unit = Decimal::new(1, tax.decimal().scale());
    exact.and_then(|exact| exact.checked_sub(tax.decimal())).is_some_and(|distance| distance.abs() <= unit)
}
