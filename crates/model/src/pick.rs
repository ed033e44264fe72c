//! The pick order: an order as a warehouse can work it.
//!
//! A warehouse picks items. So a bundle becomes its components, a gift certificate is left out, and
//! what reduces the order as a whole is spread over its lines, because most warehouses know a price
//! per line and nothing else. Every split is by largest remainder (`crate::bundle`, `crate::share`): the parts
//! sum to the whole to the smallest unit, and of equal remainders the earlier part gets the unit.
//!
//! The components of a bundle are those that the order itself names: what was sold, whatever the
//! catalogue says today. Only an order that names none is taken apart by the product's recipe. Either
//! way each component line carries the version of the recipe.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;

use crate::{
    bundle::{Amounts, BundleError, Component, Recipe},
    id::{ExternalId, Sku},
    money::{Money, MoneyError},
    problem::Problem,
    records::{Charge, LineKind, Order, OrderLine, RecipePart, TaxLine, Totals},
};

/// What the catalogue says about one item, as far as it says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Good {
    /// Weight of one unit.
    pub weight_grams: Option<u32>,
    /// What one unit costs by itself, in the order's currency: how a bundle's price is shared.
    pub price: Option<Decimal>,
    /// What it is made of, for a bundle.
    pub recipe: Vec<RecipePart>,
    /// Groups that it belongs to.
    pub collections: Vec<String>,
}

/// The catalogue, as far as an order needs it.
pub type Goods = BTreeMap<Sku, Good>;

/// The order as a warehouse can work it: all of it, or only the lines in `mine` (components of
/// bundles by their own line ids). The shipping and handling charges go with the part that has the
/// first line, so that they are charged once.
///
/// # Errors
/// What it cannot be taken apart for, all at once.
pub fn pick_order(order: &Order, goods: &Goods, mine: Option<&BTreeSet<ExternalId>>) -> Result<Order, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut lines = components(order, goods, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    spread_discounts(order, &mut lines).map_err(|e| vec![unsplittable(order, &e)])?;
    let first = lines.first().map(|line| line.id.clone());
    if let Some(mine) = mine {
        lines.retain(|line| mine.contains(&line.id));
    }
    let charged = mine.is_none() || lines.first().map(|line| &line.id) == first.as_ref();
    let charge = |charge: &Charge| if charged { charge.clone() } else { Charge::none(order.currency) };
    let mut pick = Order {
        lines,
        discounts: Vec::new(),
        shipping_charge: charge(&order.shipping_charge),
        handling_charge: charge(&order.handling_charge),
        weight_grams: None,
        ..order.clone()
    };
    pick.weight_grams = weight(&pick, goods);
    pick.totals = totals(&pick).map_err(|e| vec![unsplittable(order, &e)])?;
    Ok(pick)
}

/// The lines that a warehouse can pick, with amounts that sum to the priced lines of the order.
fn components(order: &Order, goods: &Goods, problems: &mut Vec<Problem>) -> Vec<OrderLine> {
    let mut lines = Vec::with_capacity(order.lines.len());
    for (index, line) in order.lines.iter().enumerate() {
        match line.kind {
            LineKind::Product => lines.push(line.clone()),
            // Nothing of it lies on a shelf.
            LineKind::GiftCertificate => {}
            // They come with their bundle.
            LineKind::BundleItem => {
                let known = |id: &ExternalId| order.lines.iter().any(|other| other.kind == LineKind::Bundle && other.id == *id);
                if !line.bundle.as_ref().is_some_and(known) {
                    problems.push(orphan(line, index));
                }
            }
            LineKind::Bundle => match taken_apart(order, line, goods) {
                Ok(parts) => lines.extend(parts),
                Err(problem) => problems.push(problem(index)),
            },
        }
    }
    lines
}

type ProblemAt = Box<dyn Fn(usize) -> Problem>;

fn taken_apart(order: &Order, bundle: &OrderLine, goods: &Goods) -> Result<Vec<OrderLine>, ProblemAt> {
    let of_bundle = |line: &&OrderLine| line.kind == LineKind::BundleItem && line.bundle.as_ref() == Some(&bundle.id);
    let mut parts: Vec<OrderLine> = order.lines.iter().filter(of_bundle).cloned().collect();
    if parts.is_empty() {
        parts = by_recipe(bundle, goods);
    }
    if parts.is_empty() || parts.iter().any(|part| part.quantity == 0) {
        let (sku, id) = (bundle.sku.clone(), bundle.id.clone());
        return Err(Box::new(move |index| {
            Problem::new(
                "bundle.recipe",
                format!("lines[{index}]"),
                format!("nothing says of which items the bundle {sku} (line {id}) is made"),
                "Give the bundle its components in the shop; the next revision of the product or the order lets this one go on.",
            )
            .value(sku.as_str())
            .cause(sku.as_str())
        }));
    }
    let Ok((version, shares)) = shared(bundle, &parts, goods) else {
        let sku = bundle.sku.clone();
        return Err(Box::new(move |index| {
            Problem::new(
                "bundle.amounts",
                format!("lines[{index}]"),
                format!("the price of the bundle {sku} cannot be shared over its components"),
                "Mend the price in the shop.",
            )
            .cause(sku.as_str())
        }));
    };
    for (part, amounts) in parts.iter_mut().zip(shares) {
        part.unit_net = amounts.net.decimal() / Decimal::from(part.quantity);
        part.net = amounts.net;
        part.tax = amounts.tax;
        part.taxes = amounts.taxes;
        part.kind = LineKind::Product;
        part.bundle = Some(bundle.id.clone());
        part.recipe = Some(version.clone());
    }
    Ok(parts)
}

/// What one component line has of its bundle.
struct Share {
    net: Money,
    tax: Money,
    taxes: Vec<TaxLine>,
}

/// The recipe's version, and the amounts of each component line. Lines of one item share what the item has by units.
fn shared(bundle: &OrderLine, parts: &[OrderLine], goods: &Goods) -> Result<(String, Vec<Share>), BundleError> {
    let divides = parts.iter().all(|part| bundle.quantity > 0 && part.quantity.is_multiple_of(bundle.quantity));
    // A shopper may have chosen freely: then the recipe is that of all of them together.
    let bundles = if divides { bundle.quantity } else { 1 };
    let component =
        |(part, weight): (&OrderLine, Decimal)| Component { sku: part.sku.clone(), units: part.quantity / bundles, weight };
    let recipe = Recipe::new(parts.iter().zip(weights(parts, goods)).map(component))?;
    let whole = recipe.split(&Amounts::of(bundle)?, bundles)?;
    let mut shares: Vec<Option<Share>> = parts.iter().map(|_| None).collect();
    for share in whole {
        let of_item: Vec<usize> =
            (0..parts.len()).filter(|at| parts.get(*at).is_some_and(|part| part.sku == share.sku)).collect();
        let units: Vec<Decimal> =
            of_item.iter().filter_map(|at| parts.get(*at)).map(|part| Decimal::from(part.quantity)).collect();
        let nets = share.amounts.net.allocate(&units)?;
        let mut taxes: Vec<Vec<TaxLine>> = vec![Vec::new(); units.len()];
        for tax in &share.amounts.taxes {
            for (of_line, amount) in taxes.iter_mut().zip(tax.amount.allocate(&units)?) {
                of_line.push(TaxLine { amount, ..tax.clone() });
            }
        }
        for ((at, net), taxes) in of_item.into_iter().zip(nets).zip(taxes) {
            let tax = Money::sum(net.currency(), taxes.iter().map(|tax| tax.amount))?;
            if let Some(slot) = shares.get_mut(at) {
                *slot = Some(Share { net, tax, taxes });
            }
        }
    }
    let shares: Option<Vec<Share>> = shares.into_iter().collect();
    Ok((recipe.version(), shares.ok_or(BundleError::Empty)?))
}

/// Component lines for a bundle whose order names none.
fn by_recipe(bundle: &OrderLine, goods: &Goods) -> Vec<OrderLine> {
    let recipe = goods.get(&bundle.sku).map(|good| good.recipe.as_slice()).unwrap_or_default();
    let part = |(index, part): (usize, &RecipePart)| OrderLine {
        id: ExternalId::new(format!("{}.{}", bundle.id, index + 1)),
        sku: part.sku.clone(),
        quantity: part.units.saturating_mul(bundle.quantity),
        cancelled: part.units.saturating_mul(bundle.cancelled),
        name: bundle.name.clone(),
        net: Money::zero(bundle.net.currency()),
        ..bundle.clone()
    };
    recipe.iter().enumerate().map(part).collect()
}

/// By what the amounts of a bundle are shared: what the order says each component is worth, else its
/// list price times its units, else its units.
fn weights(parts: &[OrderLine], goods: &Goods) -> Vec<Decimal> {
    let stated: Vec<Decimal> = parts.iter().map(|part| part.net.decimal().max(Decimal::ZERO)).collect();
    if stated.iter().any(|weight| !weight.is_zero()) {
        return stated;
    }
    let listed = |part: &OrderLine| {
        let price = goods.get(&part.sku).and_then(|good| good.price).filter(|price| *price > Decimal::ZERO)?;
        price.checked_mul(Decimal::from(part.quantity))
    };
    let listed: Option<Vec<Decimal>> = parts.iter().map(listed).collect();
    listed.unwrap_or_else(|| parts.iter().map(|part| Decimal::from(part.quantity)).collect())
}

/// Takes what reduces the order as a whole off its lines. What a gift card or store credit paid is
/// no reduction and stays out.
fn spread_discounts(order: &Order, lines: &mut [OrderLine]) -> Result<(), MoneyError> {
    for discount in order.discounts.iter().filter(|discount| !discount.tender) {
        let by_net: Vec<Decimal> = lines.iter().map(|line| line.net.decimal().max(Decimal::ZERO)).collect();
        if by_net.iter().all(Decimal::is_zero) {
            continue;
        }
        let by_tax: Vec<Decimal> = lines.iter().map(|line| line.tax.decimal().max(Decimal::ZERO)).collect();
        let by_tax = if by_tax.iter().all(Decimal::is_zero) { &by_net } else { &by_tax };
        let (nets, taxes) = (discount.net.allocate(&by_net)?, discount.tax.allocate(by_tax)?);
        for ((line, net), tax) in lines.iter_mut().zip(nets).zip(taxes) {
            line.net = line.net.minus(net)?;
            line.tax = line.tax.minus(tax)?;
            if line.quantity > 0 {
                line.unit_net = line.net.decimal() / Decimal::from(line.quantity);
            }
            let weights: Vec<Decimal> = line.taxes.iter().map(|t| t.amount.decimal().abs()).collect();
            // A line of a cent may have a rate and no tax: nothing is taken off it.
            if !tax.is_zero() && !weights.is_empty() {
                for (of_rate, part) in line.taxes.iter_mut().zip(tax.allocate(&weights)?) {
                    of_rate.amount = of_rate.amount.minus(part)?;
                }
            }
        }
    }
    Ok(())
}

fn weight(order: &Order, goods: &Goods) -> Option<u64> {
    order.lines.iter().try_fold(0_u64, |sum, line| {
        let grams = goods.get(&line.sku)?.weight_grams?;
        sum.checked_add(u64::from(grams).checked_mul(u64::from(line.quantity))?)
    })
}

fn totals(order: &Order) -> Result<Totals, MoneyError> {
    let charges = [&order.shipping_charge, &order.handling_charge];
    let nets = order.lines.iter().map(|line| line.net).chain(charges.iter().map(|charge| charge.net));
    let net = Money::sum(order.currency, nets)?;
    let taxes = order.lines.iter().map(|line| line.tax).chain(charges.iter().map(|charge| charge.tax));
    let tax = Money::sum(order.currency, taxes)?;
    Ok(Totals { net, tax, gross: net.plus(tax)? })
}

fn orphan(line: &OrderLine, index: usize) -> Problem {
    Problem::new(
        "bundle.orphan",
        format!("lines[{index}]"),
        format!("{} belongs to a bundle that the order does not have", line.sku),
        "Mend the order in the shop; the edited order takes the place of this one.",
    )
    .value(line.sku.as_str())
}

fn unsplittable(order: &Order, why: &MoneyError) -> Problem {
    Problem::new(
        "bundle.amounts",
        "lines",
        format!("the amounts of order {} cannot be shared over its lines: {why}", order.number),
        "Mend the amounts in the shop; the edited order takes the place of this one.",
    )
    .cause(order.number.as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        records::Discount,
        samples::{bundle, eur, line, order},
    };

    fn sums(order: &Order) -> (Money, Money) {
        let sum = |amounts: Vec<Money>| Money::sum(order.currency, amounts).unwrap();
        let priced: Vec<&OrderLine> = order.priced_lines().collect();
        (sum(priced.iter().map(|line| line.net).collect()), sum(priced.iter().map(|line| line.tax).collect()))
    }

    #[test]
    fn a_bundle_becomes_its_components_and_a_gift_certificate_nothing() {
        let gift = OrderLine { kind: LineKind::GiftCertificate, ..line("3", "GIFT", 1, 5_000) };
        let lines = [bundle("1", 2, 10_001, &[("A", 1), ("B", 2)]), vec![line("2", "C", 1, 700), gift]].concat();
        let pick = pick_order(&order(lines), &Goods::new(), None).unwrap();
        let told: Vec<(&str, &str, u32)> =
            pick.lines.iter().map(|line| (line.id.as_str(), line.sku.as_str(), line.quantity)).collect();
        assert_eq!(told, [("1-0", "A", 2), ("1-1", "B", 4), ("2", "C", 1)]);
        assert!(pick.lines.iter().all(|line| line.kind == LineKind::Product));
        let (first, second) = (pick.lines[0].recipe.clone().unwrap(), pick.lines[1].recipe.clone().unwrap());
        assert_eq!(first, second, "both carry the version of one recipe");
        assert_eq!(pick.lines[0].net.plus(pick.lines[1].net).unwrap(), eur(10_001));
        assert_eq!(pick.totals.net, eur(10_701));
    }

    #[test]
    fn the_recipe_of_the_catalogue_serves_where_the_order_names_none() {
        let lonely: Vec<OrderLine> = bundle("1", 3, 9_000, &[("A", 1)]).into_iter().take(1).collect();
        let refused = pick_order(&order(lonely.clone()), &Goods::new(), None).unwrap_err();
        assert_eq!(refused[0].rule, "bundle.recipe");
        let recipe = vec![RecipePart { sku: Sku::new("X"), units: 2 }, RecipePart { sku: Sku::new("Y"), units: 1 }];
        let goods = Goods::from([(Sku::new("SET-1"), Good { recipe, ..Good::default() })]);
        let pick = pick_order(&order(lonely), &goods, None).unwrap();
        let told: Vec<(&str, u32)> = pick.lines.iter().map(|line| (line.sku.as_str(), line.quantity)).collect();
        assert_eq!(told, [("X", 6), ("Y", 3)]);
    }

    #[test]
    fn each_warehouse_gets_its_lines_and_one_of_them_the_charges() {
        let mut whole = order(vec![line("1", "A", 1, 100), line("2", "B", 1, 200)]);
        whole.shipping_charge.net = eur(50);
        let part = |id: &str| pick_order(&whole, &Goods::new(), Some(&[ExternalId::new(id)].into())).unwrap();
        let (first, second) = (part("1"), part("2"));
        assert_eq!((first.totals.net, second.totals.net), (eur(150), eur(200)));
    }

    #[test]
    fn the_weight_is_known_once_every_item_says_its_own() {
        let heavy = |grams| Good { weight_grams: Some(grams), ..Good::default() };
        let mut goods = Goods::from([(Sku::new("A"), heavy(200))]);
        let both = order(vec![line("1", "A", 3, 100), line("2", "B", 1, 200)]);
        assert_eq!(pick_order(&both, &goods, None).unwrap().weight_grams, None);
        goods.insert(Sku::new("B"), heavy(1_000));
        assert_eq!(pick_order(&both, &goods, None).unwrap().weight_grams, Some(1_600));
    }

    proptest! {
        /// Whatever is sold: what a warehouse is told sums to what the shop sold, less what reduces the order.
        #[test]
        fn amounts_of_components_sum_to_the_order(
            bundles in prop::collection::vec((1_u32..5, 0_i64..200_000, prop::collection::vec(1_u32..4, 1..5)), 1..4),
            singles in prop::collection::vec((1_u32..5, 0_i64..100_000), 0..4),
            off in 0_i64..5_000,
        ) {
            let names = ["A", "B", "C", "D", "E"];
            let mut lines = Vec::new();
            for (at, (count, net, parts)) in bundles.iter().enumerate() {
                let parts: Vec<(&str, u32)> = parts.iter().enumerate().map(|(n, units)| (names[n % 3], *units)).collect();
                lines.extend(bundle(&format!("b{at}"), *count, *net, &parts));
            }
            lines.extend(singles.iter().enumerate().map(|(at, (units, net))| line(&format!("s{at}"), names[at], *units, *net)));
            let mut sold = order(lines);
            let (net, tax) = sums(&sold);
            let off = eur(off.min(net.minor()));
            let off_tax = eur((off.minor() / 4).min(tax.minor()));
            if !off.is_zero() {
                sold.discounts.push(Discount { name: "x".into(), tender: false, net: off, tax: off_tax, rate: None });
            }
            let pick = pick_order(&sold, &Goods::new(), None).unwrap();
            let (picked_net, picked_tax) = sums(&pick);
            prop_assert_eq!(picked_net, net.minus(off).unwrap());
            prop_assert_eq!(picked_tax, tax.minus(off_tax).unwrap());
            for line in &pick.lines {
                let explained = Money::sum(pick.currency, line.taxes.iter().map(|t| t.amount)).unwrap();
                prop_assert_eq!(explained, line.tax, "the tax lines of {} explain its tax", line.id);
                prop_assert!(!line.net.is_negative());
            }
            let units = |order: &Order| -> u64 {
                order.lines.iter().filter(|l| l.kind != LineKind::Bundle).map(|l| u64::from(l.quantity)).sum()
            };
            prop_assert_eq!(units(&pick), units(&sold));
        }
    }
}
