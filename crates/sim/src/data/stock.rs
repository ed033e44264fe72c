//! Stock: what there is before anything happens, and what happens on the shop floor.
//!
//! A folder says it in `stock` (`opening` per SKU) and in its documents of the kinds `stock_adjustment` and `credit`: their
//! product lines are units that come and go at the source of truth, at the time of the document. So do those of a sale without a country, after it is
//! placed: no order of it can stand at the source, but its parcel left all the same, and somebody booked it out. Without `stock` nothing is kept anywhere.
//! All orders of a folder are of one market, and all of its stock is kept for that one; were there more, all stock would
//! still be at one place and every market would draw from it, for only then do the sums of the folder come out.
//! Generated worlds keep each single item for each market. Bundles and gift cards are never kept.

use super::generated::Dice;
use super::*;

/// Units of an item that are there for a market before anything happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Index into the catalogue's items.
    pub item: u32,
    /// Index into the catalogue's markets.
    pub market: usize,
    /// Units; nought says that it is kept, but not there.
    pub quantity: i64,
}

/// Something that happens on the shop floor: a sale over the counter, a delivery, a stock-take, a return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FloorEvent {
    /// It happens after so many orders, and before the next.
    pub after: u32,
    /// What it is.
    pub why: String,
    /// Units that come or, below nought, go, as (index of the item, index of the market, units).
    pub moves: Vec<(u32, usize, i64)>,
}

/// What is kept, and what happens to it.
#[derive(Debug, Default)]
pub(super) struct Shelves {
    pub(super) opening: Vec<Opening>,
    /// In the order in which they happen.
    pub(super) events: Vec<FloorEvent>,
}

impl Catalogue {
    /// What is there before anything happens.
    pub fn opening(&self) -> &[Opening] {
        &self.shelves.opening
    }

    /// What happens on the shop floor, in this order.
    pub fn floor_events(&self) -> &[FloorEvent] {
        &self.shelves.events
    }

    /// How many of the events have happened once so many orders are placed: those before the last of them, or, when
    /// all orders are `done`, all.
    pub fn floor_events_due(&self, placed: u32, done: bool) -> u32 {
        let events = &self.shelves.events;
        let due = if done { events.len() } else { events.partition_point(|event| event.after < placed) };
        u32::try_from(due).unwrap_or(u32::MAX)
    }

    /// A made-up event of a generated world: always the same one for a number. `after` says nothing in it.
    pub fn made_up_event(&self, number: u32) -> FloorEvent {
        let mut dice = Dice::new(self.seed, hash_text("floor"), u64::from(number));
        let item = u32::try_from(dice.below(self.singles as usize)).unwrap_or(0);
        let market = dice.below(self.markets.len());
        let (why, units) =
            if dice.percent(80) { ("sold over the counter", -1 - dice.units(2)) } else { ("delivery", 5 + dice.units(20)) };
        FloorEvent { after: 0, why: why.to_owned(), moves: vec![(item, market, units)] }
    }

    /// What a downstream system may keep as kits: bundles as (index of the item, parts with units per bundle).
    pub fn kits(&self) -> Vec<(u32, Vec<(u32, i32)>)> {
        let bundles = self.bundles.iter().filter_map(|at| Some((*at, self.items.get(*at as usize)?)));
        bundles.map(|(at, bundle)| (at, bundle.components.clone())).collect()
    }
}

/// What a folder says about stock. `docs` are the orders that are taken, sorted; `whole` says that these are all there are.
pub(super) fn of_folder(
    path: &Path,
    docs: &[Doc],
    whole: bool,
    mut item: impl FnMut(&str) -> anyhow::Result<u32>,
) -> anyhow::Result<Shelves> {
    let mut shelves = Shelves::default();
    if !["stock.csv.gz", "stock.csv"].iter().any(|name| path.join(name).exists()) {
        return Ok(shelves);
    }
    folder::each_row(path, "stock", ["sku", "opening"], |[sku, opening]| {
        let quantity = opening.parse().with_context(|| format!("opening {opening:?}"))?;
        shelves.opening.push(Opening { item: item(sku)?, market: 0, quantity });
        Ok(())
    })?;
    let london = TimeZone::get("Europe/London").context("the time zone database is missing")?;
    let mut events: Vec<(Timestamp, String, FloorEvent)> = Vec::new();
    folder::each_row(path, "docs", ["doc", "kind", "ts", "iso2"], |[doc, kind, ts, country]| {
        let homeless = kind == "sale" && country.is_empty();
        if homeless || matches!(kind, "stock_adjustment" | "credit") {
            let local: DateTime = ts.parse().with_context(|| format!("ts {ts:?}"))?;
            let at = london.to_timestamp(local)?;
            let before = docs.partition_point(|sale| (sale.created, sale.number.to_string().as_str()) < (at, doc));
            // What comes after the last order that is taken belongs to the orders that are not.
            if whole || before < docs.len() {
                let why = format!("{kind} {doc}");
                let after = u32::try_from(before)?.saturating_add(u32::from(homeless));
                events.push((at, doc.to_owned(), FloorEvent { after, why, moves: Vec::new() }));
            }
        }
        Ok(())
    })?;
    events.sort_by(|(at, doc, _), (other_at, other, _)| (at, doc).cmp(&(other_at, other)));
    let place_of: HashMap<String, usize> = events.iter().enumerate().map(|(at, (_, doc, _))| (doc.clone(), at)).collect();
    folder::each_row(path, "lines", ["doc", "sku", "line_type", "qty"], |[doc, sku, line_type, quantity]| {
        if line_type == "product"
            && let Some((_, _, event)) = place_of.get(doc).and_then(|at| events.get_mut(*at))
        {
            let units: i64 = quantity.parse().context("qty")?;
            // A sale says what leaves, a credit the same with units below nought; an adjustment says what the shelf gains.
            let gains = event.why.starts_with("stock_adjustment");
            event.moves.push((item(sku)?, 0, if gains { units } else { -units }));
        }
        Ok(())
    })?;
    shelves.events = events.into_iter().map(|(_, _, event)| event).filter(|event| !event.moves.is_empty()).collect();
    Ok(shelves)
}

/// What a generated world keeps: each single item for each market, a few of them scarce, a few not there.
pub(super) fn of_generated(seed: u64, singles: u32, markets: usize, orders: u64) -> Shelves {
    let mut shelves = Shelves::default();
    // More orders need more; it runs out in places all the same.
    let more = i64::try_from(orders / 200).unwrap_or(0);
    for item in 0..singles {
        for market in 0..markets {
            let key = u64::from(item) * 64 + u64::try_from(market).unwrap_or(0);
            let mut dice = Dice::new(seed, hash_text("opening"), key);
            let quantity = match dice.below(100) {
                0..5 => 0,
                5..15 => 1 + dice.units(5),
                _ => 20 + dice.units(180) + more,
            };
            shelves.opening.push(Opening { item, market, quantity });
        }
    }
    shelves
}
