//! The recording that the store has of its own days.

use std::collections::BTreeMap;

use jiff::Timestamp;
use selvedge_model::{AnyRecord, Brand, Kind, records::LineKind};
use selvedge_store::{
    Store, StoreError, View,
    stock::{LevelRow, MoveRow, Of},
};

use super::gather::{Gather, Material};

/// How many levels are read at a time.
const PAGE: usize = 5_000;
/// The least that figures can be drawn from.
const SHORT_MS: u64 = 7 * 86_400_000;

/// A recording, or the reasons why there is none.
pub type History = Result<Material, Vec<String>>;

/// The newest of what the store has, at most so many events. The places of a flow are added up, as
/// an order does not say from which of them it will be sent.
///
/// # Errors
/// The store's.
pub async fn history(store: &Store, of: Of, events_max: usize) -> Result<History, StoreError> {
    store.read(move |view| read(view, &of, events_max)).await
}

/// An order line as it was first asked for.
struct Line {
    at: Timestamp,
    order: String,
    sku: String,
    units: u32,
}

fn read(view: &View<'_>, of: &Of, events_max: usize) -> Result<History, StoreError> {
    let mut missing = Vec::new();
    let levels = levels(view, of)?;
    if levels.is_empty() {
        missing.push(format!("No stock was read yet by the flow {}.", of.flow));
    }
    // One more than fits says whether there are more.
    let mut moves = view.stock_moves(of, None, events_max.saturating_add(1))?;
    if moves.is_empty() {
        missing.push("No movement at the source was seen yet.".to_owned());
    }
    let watched = levels.values().map(|level| level.since).min();
    let mut from = watched.unwrap_or(Timestamp::MIN);
    let mut notes = Vec::new();
    let mut cut = moves.len() > events_max;
    if cut {
        moves.truncate(events_max);
        from = from.max(moves.iter().map(|each| each.at).min().unwrap_or(from));
    }
    let (lines, more) = lines(view, &of.brand, from, events_max)?;
    if more {
        cut = true;
        from = from.max(lines.iter().map(|line| line.at).min().unwrap_or(from));
    }
    if lines.is_empty() {
        missing.push("No order was captured while stock was watched.".to_owned());
    }
    if !missing.is_empty() {
        return Ok(Err(missing));
    }
    if lines.len() + moves.len() > events_max {
        cut = true;
        let mut times: Vec<Timestamp> = lines.iter().map(|line| line.at).chain(moves.iter().map(|each| each.at)).collect();
        times.sort_unstable();
        // What has the time of the first that is left out goes with it, so that no instant is cut in two.
        let last_out = times.get(times.len() - events_max - 1).copied().unwrap_or(from);
        from = from.max(times.into_iter().find(|at| *at > last_out).unwrap_or(last_out));
    }
    if cut {
        notes.push(format!("Only the newest {events_max} events are played."));
    }
    let mut material = match gathered(&levels, &lines, &moves, from, notes).finish() {
        Some(material) => material,
        None => return Ok(Err(vec!["Nothing is left of what was recorded.".to_owned()])),
    };
    if material.span.length_ms < SHORT_MS {
        let hours = material.span.length_ms / 3_600_000;
        material
            .notes
            .push(format!("The recording is only {hours} hours long; a week at least says something about other weeks."));
    }
    material.notes.push(
        "A movement is known by the reading that found it: what happened between two readings is dated to the later one."
            .to_owned(),
    );
    Ok(Ok(material))
}

/// What is left now of a SKU at all places, and since when all of them are watched.
struct Level {
    free: i64,
    since: Timestamp,
}

fn levels(view: &View<'_>, of: &Of) -> Result<BTreeMap<String, Level>, StoreError> {
    let mut levels: BTreeMap<String, Level> = BTreeMap::new();
    for place in view.stock_locations(of)? {
        let mut after = String::new();
        loop {
            let page = view.stock_levels_at(of, &place.location, &after, PAGE)?;
            let Some(last) = page.last() else { break };
            after = last.level.sku.as_str().to_owned();
            for LevelRow { level, known_since, .. } in page {
                let entry = levels.entry(level.sku.as_str().to_owned()).or_insert(Level { free: 0, since: known_since });
                entry.free = entry.free.saturating_add(level.free());
                entry.since = entry.since.max(known_since);
            }
        }
    }
    Ok(levels)
}

/// The lines of the newest orders placed since, as first captured; and whether there are more than fit.
fn lines(view: &View<'_>, brand: &Brand, from: Timestamp, lines_max: usize) -> Result<(Vec<Line>, bool), StoreError> {
    let mut lines = Vec::new();
    let newest = view.records(brand, Kind::Order, "", lines_max.saturating_add(1))?;
    let mut more = newest.len() > lines_max;
    for record in newest.into_iter().take(lines_max) {
        if lines.len() >= lines_max {
            more = true;
            break;
        }
        let first = view.revisions(brand, Kind::Order, &record.key)?.into_iter().find_map(|row| match row.record {
            AnyRecord::Order(order) => Some(order),
            _ => None,
        });
        let Some(order) = first.filter(|order| order.placed_at >= from) else { continue };
        // A bundle's units are in its items.
        let units = order.lines.iter().filter(|line| matches!(line.kind, LineKind::Product | LineKind::BundleItem));
        lines.extend(units.map(|line| Line {
            at: order.placed_at,
            order: order.number.as_str().to_owned(),
            sku: line.sku.as_str().to_owned(),
            units: line.quantity.saturating_add(line.cancelled),
        }));
    }
    Ok((lines, more))
}

fn gathered(levels: &BTreeMap<String, Level>, lines: &[Line], moves: &[MoveRow], from: Timestamp, notes: Vec<String>) -> Gather {
    let mut gather = Gather::default();
    gather.notes = notes;
    let mut moved: BTreeMap<&str, i64> = BTreeMap::new();
    let (mut unknown, mut unfit) = (0_u64, 0_u64);
    for each in moves {
        let sku = each.sku.as_str();
        if levels.get(sku).is_none_or(|level| each.at < from.max(level.since)) {
            continue;
        }
        let delta = each.after.saturating_sub(each.before);
        *moved.entry(sku).or_default() += delta;
        // What our own orders took is theirs, and played as such.
        match i32::try_from(delta.saturating_add(each.own)) {
            Ok(0) => {}
            Ok(delta) => gather.moved(each.at.as_millisecond(), sku, delta),
            Err(_) => unfit += 1,
        }
    }
    for (sku, level) in levels {
        gather.opening(sku, level.free.saturating_sub(moved.get(sku.as_str()).copied().unwrap_or(0)));
    }
    for line in lines {
        match levels.get(&line.sku) {
            _ if line.at < from || line.units == 0 => {}
            None => unknown += 1,
            Some(level) if line.at < level.since => {}
            Some(_) => gather.order(line.at.as_millisecond(), &line.order, &line.sku, line.units),
        }
    }
    if unknown > 0 {
        gather.notes.push(format!("{unknown} order lines are of SKUs that the source has not told of; they are left out."));
    }
    if unfit > 0 {
        gather.notes.push(format!("{unfit} movements are too large to be played; they are left out."));
    }
    gather
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use selvedge_model::{ExternalId, LocationId, Sku, StockLevel, stock::rehearse::Event};

    use super::*;
    use crate::pages::sample::{Fate, brand, empty, order, place, start};

    fn of() -> Of {
        Of { brand: brand(), flow: "stock".into() }
    }

    async fn level(store: &Store, units: i64, minute: u64) {
        let as_of = start() + Duration::from_secs(minute * 60);
        let level = StockLevel {
            sku: Sku::new("COAT-42"),
            location: LocationId::new("21"),
            item: ExternalId::new("i"),
            as_of,
            changed_at: None,
            on_hand: units,
            committed: 0,
            back_ordered: 0,
            pending_approval: 0,
            available: units.max(0),
            incoming: 0,
            active: true,
            unit_value: None,
            categories: Vec::new(),
        };
        let work = move |tx: &selvedge_store::Tx<'_>| {
            tx.stock_proven(&of(), &level.location, as_of, Some(1))?;
            tx.stock_level(&of(), &level, "poll", None, None, as_of)
        };
        store.write(work).await.unwrap();
    }

    #[tokio::test]
    async fn the_store_plays_its_own_days() {
        let (app, _) = empty().await;
        let missing = history(&app.store, of(), 100).await.unwrap().unwrap_err();
        assert_eq!(missing.len(), 3, "{missing:?}");
        // Watched from a day before the first order is placed; 9, then 6, then 8.
        let mut placed = order("1", "Åsa", 2);
        placed.placed_at = start() + Duration::from_secs(90);
        place(&app, placed.clone(), start(), Fate::Confirmed).await;
        let mut early = order("0", "Bo", 1);
        early.placed_at = start() - Duration::from_secs(60);
        place(&app, early, start(), Fate::Confirmed).await;
        for (units, minute) in [(9, 0), (6, 1), (8, 2)] {
            level(&app.store, units, minute).await;
        }
        let material = history(&app.store, of(), 100).await.unwrap().unwrap();
        let [item] = material.recorded.as_slice() else { panic!("{material:?}") };
        let wanted = Event::ShopOrder { units: 2, order: Some(0) };
        let mut events = item.events.clone();
        events.sort_by_key(|(at, _)| *at);
        let moved = |delta| Event::SourceMove { delta };
        assert_eq!((item.opening, events), (9, vec![(0, moved(-3)), (30_000, wanted), (60_000, moved(2))]));
        assert!(material.notes.iter().any(|note| note.contains("0 hours long")), "{:?}", material.notes);
        // The scarf is nowhere at the source.
        assert!(material.notes.iter().any(|note| note.starts_with("1 order lines are of SKUs")), "{:?}", material.notes);
        // One line too many for the bound: the oldest movement goes, and the opening is what it was then.
        let material = history(&app.store, of(), 3).await.unwrap().unwrap();
        assert_eq!(material.recorded[0].opening, 6);
        assert_eq!(material.recorded[0].events.len(), 2, "{material:?}");
        assert!(material.notes[0].contains("newest 3 events"));
    }
}
