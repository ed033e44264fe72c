//! Attribution: which lines of the order a shipment's units belong to.
//!
//! Some warehouses give our line id back, some only a SKU. Units of a SKU belong to the oldest line that
//! still wants some; units of a bundle's own SKU belong to its components. No line ever gets more than
//! was ordered: what is too much is a problem, and nothing of the shipment goes on until a person has
//! looked.

use std::collections::BTreeMap;

use crate::{
    id::{ExternalId, Sku},
    problem::Problem,
    records::{LineKind, Order, OrderLine, Shipment, ShipmentLine},
};

/// Units per line of the order that other shipments took already.
pub type Taken = BTreeMap<ExternalId, u32>;

/// The lines of a shipment, each with its line of the order; the same line at most once.
///
/// # Errors
/// Everything that does not fit the order.
pub fn attribute(order: &Order, taken: &Taken, shipment: &Shipment) -> Result<Vec<ShipmentLine>, Vec<Problem>> {
    let mut left: BTreeMap<&ExternalId, u32> = shippable(order)
        .map(|line| (&line.id, line.quantity.saturating_sub(taken.get(&line.id).copied().unwrap_or(0))))
        .collect();
    let mut given: Vec<(&OrderLine, u32)> = Vec::new();
    let mut problems = Vec::new();
    // Lines that name theirs come first, or a SKU could take what another line asks for by its id.
    let named = shipment.lines.iter().enumerate().filter(|(_, line)| line.order_line.is_some());
    let others = shipment.lines.iter().enumerate().filter(|(_, line)| line.order_line.is_none());
    for (index, line) in named.chain(others) {
        match candidates(order, line) {
            Err(unknown) => problems.push(unknown(index, order, shipment)),
            Ok(candidates) => {
                for (sku, units, lines) in candidates {
                    let mut wanted = units;
                    for of_order in lines {
                        let Some(open) = left.get_mut(&of_order.id) else { continue };
                        let now = wanted.min(*open);
                        if now > 0 {
                            *open -= now;
                            wanted -= now;
                            given.push((of_order, now));
                        }
                    }
                    if wanted > 0 {
                        problems.push(too_many(index, order, shipment, &sku, wanted));
                    }
                }
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut lines: Vec<ShipmentLine> = Vec::new();
    // In the order's own order, so that the same shipment always reads the same.
    for of_order in shippable(order) {
        let quantity: u32 = given.iter().filter(|(line, _)| line.id == of_order.id).map(|(_, units)| *units).sum();
        if quantity > 0 {
            lines.push(ShipmentLine { order_line: Some(of_order.id.clone()), sku: of_order.sku.clone(), quantity });
        }
    }
    Ok(lines)
}

/// The lines of which units can leave a warehouse.
pub fn shippable(order: &Order) -> impl Iterator<Item = &OrderLine> {
    order.lines.iter().filter(|line| matches!(line.kind, LineKind::Product | LineKind::BundleItem))
}

/// Units that the order still wants, by line: what was ordered less what was shipped.
pub fn outstanding(order: &Order, taken: &Taken) -> Vec<(ExternalId, Sku, u32)> {
    shippable(order)
        .filter_map(|line| {
            let open = line.quantity.saturating_sub(taken.get(&line.id).copied().unwrap_or(0));
            (open > 0).then(|| (line.id.clone(), line.sku.clone(), open))
        })
        .collect()
}

type Unknown = fn(usize, &Order, &Shipment) -> Problem;
/// A SKU, how many units of it, and the lines that may take them, the oldest first.
type Candidates<'a> = Vec<(Sku, u32, Vec<&'a OrderLine>)>;

fn candidates<'a>(order: &'a Order, line: &ShipmentLine) -> Result<Candidates<'a>, Unknown> {
    if let Some(id) = &line.order_line {
        let of_order = order.lines.iter().find(|other| other.id == *id).ok_or(unknown_line as Unknown)?;
        if of_order.kind == LineKind::Bundle {
            return bundle_units(order, of_order, line.quantity);
        }
        // Another item under the line's own id is a substitution: never guessed.
        if of_order.sku != line.sku {
            return Err(substituted);
        }
        return Ok(vec![(line.sku.clone(), line.quantity, vec![of_order])]);
    }
    let same: Vec<&OrderLine> = shippable(order).filter(|other| other.sku == line.sku).collect();
    if !same.is_empty() {
        return Ok(vec![(line.sku.clone(), line.quantity, same)]);
    }
    match order.lines.iter().find(|other| other.kind == LineKind::Bundle && other.sku == line.sku) {
        Some(bundle) => bundle_units(order, bundle, line.quantity),
        None => Err(unknown_sku),
    }
}

/// What so many bundles are in units of their components.
fn bundle_units<'a>(order: &'a Order, bundle: &OrderLine, bundles: u32) -> Result<Candidates<'a>, Unknown> {
    let parts = order.lines.iter().filter(|line| line.kind == LineKind::BundleItem && line.bundle.as_ref() == Some(&bundle.id));
    let mut found = Vec::new();
    for part in parts {
        let divides =
            bundle.quantity > 0 && (u64::from(part.quantity) * u64::from(bundles)).is_multiple_of(bundle.quantity.into());
        if !divides {
            return Err(unknown_sku);
        }
        let units = u64::from(part.quantity) * u64::from(bundles) / u64::from(bundle.quantity);
        found.push((part.sku.clone(), u32::try_from(units).unwrap_or(u32::MAX), vec![part]));
    }
    if found.is_empty() { Err(unknown_sku) } else { Ok(found) }
}

const LOOK: &str = "Compare the shipment at the warehouse with the order. If the warehouse mends it, its next message takes the \
                    place of this one; dismiss this with a reason if the units did leave and nothing more is to follow.";

fn told(index: usize, shipment: &Shipment) -> (String, String) {
    let line = shipment.lines.get(index);
    (format!("lines[{index}]"), line.map(|line| format!("{} × {}", line.quantity, line.sku)).unwrap_or_default())
}

fn unknown_line(index: usize, order: &Order, shipment: &Shipment) -> Problem {
    let (path, what) = told(index, shipment);
    let id = shipment.lines.get(index).and_then(|line| line.order_line.as_ref()).map(ToString::to_string).unwrap_or_default();
    Problem::new("shipment.line_unknown", path, format!("order {} has no line {id} ({what})", order.number), LOOK)
        .value(id)
        .cause(shipment.key.as_str())
}

fn unknown_sku(index: usize, order: &Order, shipment: &Shipment) -> Problem {
    let (path, what) = told(index, shipment);
    Problem::new("shipment.sku_unknown", path, format!("{what} was shipped and is not in order {}", order.number), LOOK)
        .value(what)
        .cause(shipment.key.as_str())
}

fn substituted(index: usize, order: &Order, shipment: &Shipment) -> Problem {
    let (path, what) = told(index, shipment);
    Problem::new("shipment.substituted", path, format!("{what} was shipped for another item of order {}", order.number), LOOK)
        .value(what)
        .cause(shipment.key.as_str())
}

fn too_many(index: usize, order: &Order, shipment: &Shipment, sku: &Sku, units: u32) -> Problem {
    let (path, _) = told(index, shipment);
    Problem::new(
        "shipment.over",
        path,
        format!("{units} units of {sku} more were shipped than order {} still wants", order.number),
        LOOK,
    )
    .value(sku.as_str())
    .cause(shipment.key.as_str())
}
