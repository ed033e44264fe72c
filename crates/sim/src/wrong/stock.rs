//! Figures of the shop that somebody wrote.

use std::collections::HashSet;

use super::{Done, Kind, Run};
use crate::netsuite::Level;

/// The most SKUs whose figures one wrongness of on-hand writes, and the fewest.
const SKUS: (usize, usize) = (4, 2);

/// A size in a warehouse, with the source's figures.
struct Spot {
    item: u32,
    warehouse: u32,
    level: Level,
}

pub(super) fn figures(run: &mut Run<'_>) -> anyhow::Result<()> {
    let (on_hand, foreign) = (run.wish.of(Kind::OnHand), run.wish.of(Kind::ForeignStock));
    if on_hand == 0 && foreign == 0 {
        return Ok(());
    }
    let mut spots = spots(run);
    run.dice("spots").shuffle(&mut spots);
    let missing = as_on_hand(run, &mut spots, on_hand)?;
    run.short(Kind::OnHand, missing);
    let missing = strays(run, &mut spots, foreign)?;
    run.short(Kind::ForeignStock, missing);
    Ok(())
}

/// What nobody wrote to before. What is kept at one place is shown in the first market of that place.
fn spots(run: &Run<'_>) -> Vec<Spot> {
    let scene = run.scene;
    let written = run.made.iter().flat_map(|one| one.sku.iter().chain(&one.skus).map(move |sku| (sku.clone(), one.warehouse)));
    let written: HashSet<(String, Option<i32>)> = written.collect();
    let netsuite = scene.netsuite.behind();
    let mut spots = Vec::new();
    for (warehouse, market) in (0..).zip(scene.catalogue.markets()) {
        let Some(location) = scene.locations.get(warehouse as usize) else { continue };
        if scene.locations.iter().position(|one| one == location) != Some(warehouse as usize) {
            continue;
        }
        for (item, found) in (0..).zip(scene.catalogue.items()).filter(|(_, found)| found.components.is_empty()) {
            if written.contains(&(found.sku.clone(), Some(market.id))) {
                continue;
            }
            if let Some(level) = netsuite.level(&found.sku, location) {
                spots.push(Spot { item, warehouse, level });
            }
        }
    }
    spots
}

fn sku(run: &Run<'_>, spot: &Spot) -> String {
    run.scene.catalogue.items().get(spot.item as usize).map(|item| item.sku.clone()).unwrap_or_default()
}

/// Writes figures and notes them. `before` and `after` are free units.
fn write(run: &mut Run<'_>, kind: Kind, rows: Vec<(Spot, i64, i64, i64)>, words: &str) -> anyhow::Result<()> {
    let Some(warehouse) = rows.first().map(|(spot, ..)| spot.warehouse) else { return Ok(()) };
    let figures: Vec<(u32, u32, i64)> = rows.iter().map(|(spot, physical, ..)| (spot.item, spot.warehouse, *physical)).collect();
    run.scene.centra.write_untold(&figures, "")?;
    let skus: Vec<String> = rows.iter().map(|(spot, ..)| sku(run, spot)).collect();
    let each: Vec<String> = rows.iter().zip(&skus).map(|((_, _, was, is), sku)| format!("{sku} {was} → {is}")).collect();
    let detail = format!("{words}: {}", each.join(", "));
    let done = Done { system: "centra", record: "stock", sku: skus.first().cloned(), detail, ..Done::default() };
    let market = run.scene.catalogue.markets().get(warehouse as usize).map(|market| market.id);
    run.note_several(kind, None, done, |one| {
        one.warehouse = market;
        if skus.len() > 1 {
            one.skus = skus;
        }
    })
}

/// What is free in the shop becomes what is on hand at the source, for several SKUs of one warehouse at a time.
fn as_on_hand(run: &mut Run<'_>, spots: &mut Vec<Spot>, mut wanted: u64) -> anyhow::Result<u64> {
    let mut tried = HashSet::new();
    while wanted > 0 {
        let open = spots.iter().map(|spot| spot.warehouse).find(|warehouse| !tried.contains(warehouse));
        let Some(warehouse) = open else { break };
        let mut places = Vec::new();
        for (at, spot) in spots.iter().enumerate().filter(|(_, spot)| spot.warehouse == warehouse) {
            let cell = run.scene.centra.cell(spot.item, spot.warehouse);
            let physical = spot.level.on_hand.saturating_add(cell.allocated);
            let differs = spot.level.on_hand != spot.level.available && physical != cell.physical;
            if differs && spot.level.on_hand >= 0 && cell.demand == 0 {
                places.push((at, physical, cell.free));
            }
            if places.len() == SKUS.0 {
                break;
            }
        }
        if places.len() < SKUS.1 {
            tried.insert(warehouse);
            continue;
        }
        let mut rows = Vec::new();
        // From the back, so that places stay what they are.
        for (at, physical, free) in places.into_iter().rev() {
            let spot = spots.remove(at);
            let is = spot.level.on_hand;
            rows.push((spot, physical, free, is));
        }
        write(run, Kind::OnHand, rows, "free units in the shop, from what is available to what is on hand")?;
        wanted -= 1;
    }
    Ok(wanted)
}

/// A figure that nobody can explain.
fn strays(run: &mut Run<'_>, spots: &mut Vec<Spot>, mut wanted: u64) -> anyhow::Result<u64> {
    let mut dice = run.dice("ForeignStock");
    while wanted > 0 {
        let Some(spot) = spots.pop() else { break };
        let cell = run.scene.centra.cell(spot.item, spot.warehouse);
        if cell.demand > 0 {
            continue;
        }
        let (more, fewer) = (dice.between(7, 60), dice.between(3, 40));
        // Below what is promised nothing can be written.
        let by = if dice.below(2) == 0 && cell.free > fewer { -fewer } else { more };
        // What happens to be on hand would look like somebody who sends that.
        let by = if cell.free + by == spot.level.on_hand { by + 61 } else { by };
        let rows = vec![(spot, cell.physical + by, cell.free, cell.free + by)];
        write(run, Kind::ForeignStock, rows, "free units in the shop, written by somebody")?;
        wanted -= 1;
    }
    Ok(wanted)
}
