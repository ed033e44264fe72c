//! A product with its stock entries → levels and kits. Pure; one odd row never costs the others.

use jiff::Timestamp;
use selvedge_connector::LevelPage;
use selvedge_model::{ExternalId, Kit, KitPart, LocationId, Problem, Sku, StockLevel};
use serde_json::Value;

use super::super::{
    decode::{text, time, whole},
    products::{decode::rows, is_kit, item_id, standing},
};

/// Adds what these places have of the sellables of a product that are wanted. Kits are left out: they have what their
/// parts make. So is a sellable without a SKU, which is nobody's stock, and one of which a place has no entry.
pub(super) fn levels(
    product: &Value,
    places: &[LocationId],
    as_of: Timestamp,
    wanted: impl Fn(&ExternalId) -> bool,
    read: &mut LevelPage,
) {
    let Some(of) = text(&product["id"]) else { return };
    for sellable in standing(product).filter(|sellable| !is_kit(sellable)) {
        let (Some(id), Some(sku)) = (text(&sellable["id"]), text(&sellable["sku_code"])) else { continue };
        let item = item_id(&of, &id);
        if !wanted(&item) {
            continue;
        }
        let active = product["deleted_at"].is_null();
        let Some(entries) = sellable["stock_entries"].as_array() else {
            read.unread.push((item, unreadable(&sku, "stock_entries", "no stock entries are told", REPORT)));
            continue;
        };
        for entry in entries {
            let place = text(&entry["warehouse_id"]).or_else(|| text(&entry["warehouse"]["id"]));
            let Some(place) = place.map(LocationId::new).filter(|place| places.contains(place)) else { continue };
            match level(entry, &sku, &item, place, active, as_of) {
                Ok(level) => read.levels.push(level),
                Err(problem) => read.unread.push((item.clone(), *problem)),
            }
        }
    }
}

const REPORT: &str = "Look at the item in Veeqo; if it looks right there, report this line.";

fn unreadable(sku: &str, path: &str, what: &str, remedy: &str) -> Problem {
    Problem::new("stock.unreadable", path, format!("{sku}: {what}"), remedy).value(sku)
}

fn level(
    entry: &Value,
    sku: &str,
    item: &ExternalId,
    place: LocationId,
    active: bool,
    as_of: Timestamp,
) -> Result<StockLevel, Box<Problem>> {
    if entry["infinite"] == true {
        let what = format!("warehouse {place} has it without end, so how many there are is not said");
        let remedy = "Take the tick off infinite stock in Veeqo and count it, or leave the item to itself.";
        return Err(Box::new(unreadable(sku, "infinite", &what, remedy)));
    }
    let units = |name: &str| {
        let what = format!("{name} in warehouse {place} is no whole number of units");
        whole(&entry[name]).ok_or_else(|| Box::new(unreadable(sku, name, &what, REPORT)))
    };
    let (physical, allocated, available) =
        (units("physical_stock_level")?, units("allocated_stock_level")?, units("available_stock_level")?);
    let coming = |name: &str| whole(&entry[name]).unwrap_or(0).max(0);
    Ok(StockLevel {
        sku: Sku::new(sku),
        location: place,
        item: item.clone(),
        as_of,
        changed_at: time(&entry["updated_at"]),
        on_hand: physical,
        // Where the figures do not fit together something else takes units, too: the smaller count is believed.
        committed: allocated.max(physical.saturating_sub(available)),
        back_ordered: 0,
        pending_approval: 0,
        available,
        incoming: coming("incoming_stock_level").saturating_add(coming("transit_incoming_stock_level")),
        active,
        unit_value: None,
        categories: Vec::new(),
    })
}

/// A kit with its parts; none when any of it cannot be read.
pub(super) fn kit(sellable: &Value, item: ExternalId, contents: &[Value]) -> Option<Kit> {
    let parts: Vec<KitPart> =
        rows(contents)?.into_iter().map(|(_, _, sku, units)| KitPart { sku: Sku::new(sku), units: i64::from(units) }).collect();
    let sku = Sku::new(text(&sellable["sku_code"])?);
    (!parts.is_empty()).then_some(Kit { sku, item, parts })
}
