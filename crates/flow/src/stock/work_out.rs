//! From levels, orders and buffers to figures. Pure but for the look into the store.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use selvedge_model::{
    Kit, LocationId, Sku, StockLevel,
    stock::{
        availability::{self, NotTakenIn, Picture, Reserve},
        buffer,
        velocity::{Demand, Prior},
    },
};
use selvedge_store::{
    Result, View,
    stock::{FigureRow, Of, Shown, Terms},
};

use super::StockSetup;
use crate::backoff::before;

/// Everything that a figure depends on besides the store; it can move into a look.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub of: Of,
    /// Places of the source that feed each place of the target.
    pub feeds: BTreeMap<LocationId, Vec<LocationId>>,
    pub buffers: Vec<buffer::Rule>,
    pub prior: Prior,
    /// How long a figure shown may be wrong after a change, as measured.
    pub window_ms: u64,
    /// How long after an order was taken in the source's figures may not show it.
    pub commit_lag: Duration,
}

impl Plan {
    /// As the store alone shows it, for whoever looks and does not run the flow. `lag` is how long an order may be
    /// missing from the figures of the source.
    pub fn looked_up(view: &View<'_>, setup: &StockSetup, of: &Of, lag: Duration, now: Timestamp) -> Result<Self> {
        let mut feeds: BTreeMap<LocationId, Vec<LocationId>> = BTreeMap::new();
        for (location, place) in &setup.places {
            feeds.entry(place.clone()).or_default().push(location.clone());
        }
        let kept = view.stock_flow(of)?;
        Ok(Plan {
            of: of.clone(),
            buffers: in_places(&setup.buffers, &kept.draws, &feeds),
            feeds,
            prior: Prior::of_range(view.stock_demands(of, now)?.iter()),
            window_ms: kept.window_ms.unwrap_or_else(|| default_window_ms(setup)),
            commit_lag: lag,
        })
    }
}

/// The rules with the places of their markets looked up. A market of which nobody knows where it draws from may draw from all.
pub(crate) fn in_places(
    rules: &[buffer::Rule],
    draws: &BTreeMap<String, Vec<LocationId>>,
    feeds: &BTreeMap<LocationId, Vec<LocationId>>,
) -> Vec<buffer::Rule> {
    let placed = |rule: &buffer::Rule| {
        let mut rule = rule.clone();
        if let buffer::Selector::Market { name, places } = &mut rule.selector {
            match draws.get(name) {
                Some(drawn) => places.extend(drawn.iter().cloned()),
                None => places.extend(feeds.keys().cloned()),
            }
        }
        rule
    };
    rules.iter().map(placed).collect()
}

/// What came of one figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Worked {
    /// The source has not been read whole yet.
    NotReady,
    /// More was left at the source after the target was looked at: what the target let go of meanwhile may be
    /// in both. It has to be looked at again.
    LookAgain,
    /// The source does not keep the item.
    Left,
    /// The figure.
    Figure(Box<Figure>),
}

/// A figure that was worked out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Figure {
    /// Units to be kept at the target, every order taken off that is known.
    pub units: i64,
    /// The same, but for orders that came to be known after the target was looked at: it may have promised
    /// their units before or after. A figure in between is neither right nor wrong.
    pub units_at_most: i64,
    /// Free to sell.
    pub free: i64,
    /// How it came about.
    pub terms: Terms,
}

/// What the source has of a range of items at one place of the target.
pub(super) struct Supply {
    pub levels: Vec<StockLevel>,
    pub kits: Vec<Kit>,
    pub demand: BTreeMap<Sku, Demand>,
    pub as_of: Timestamp,
    /// As of when more was left of each item than before, for the last time.
    rose_at: BTreeMap<Sku, Timestamp>,
    /// The figures of parts of kits that are sold by themselves, too.
    parts: BTreeMap<Sku, FigureRow>,
}

/// Adds up the levels of the places that feed one place of the target.
fn sum(levels: Vec<(StockLevel, Timestamp)>) -> Option<StockLevel> {
    let mut levels = levels.into_iter();
    let (mut sum, as_of) = levels.next()?;
    sum.as_of = as_of;
    for (level, as_of) in levels {
        sum.on_hand = sum.on_hand.saturating_add(level.on_hand);
        sum.committed = sum.committed.saturating_add(level.committed);
        sum.back_ordered = sum.back_ordered.saturating_add(level.back_ordered);
        sum.pending_approval = sum.pending_approval.saturating_add(level.pending_approval);
        sum.available = sum.available.saturating_add(level.available);
        sum.incoming = sum.incoming.saturating_add(level.incoming);
        sum.active |= level.active;
        sum.as_of = sum.as_of.min(as_of);
        sum.location = LocationId(format!("{} and {}", sum.location, level.location));
    }
    Some(sum)
}

/// Everything about these items at a place; `None` while a place that feeds it was never read whole.
pub(super) fn supply(
    view: &View<'_>,
    plan: &Plan,
    place: &LocationId,
    skus: &BTreeSet<Sku>,
    now: Timestamp,
) -> Result<Option<Supply>> {
    let mut proven = BTreeMap::new();
    for location in plan.feeds.get(place).into_iter().flatten() {
        let Some(at) = view.stock_proven_at(&plan.of, location)? else { return Ok(None) };
        proven.insert(location.clone(), at);
    }
    let Some(as_of) = proven.values().min().copied() else { return Ok(None) };
    let mut kits: BTreeMap<Sku, Kit> = BTreeMap::new();
    if view.stock_has_kits(&plan.of)? {
        // A kit's parts may be in other kits, whose orders weigh on them, too.
        let mut look: Vec<Sku> = skus.iter().cloned().collect();
        while let Some(sku) = look.pop() {
            for kit in view.stock_kits(&plan.of, Some(&sku))? {
                if !kits.contains_key(&kit.sku) {
                    look.extend(kit.parts.iter().map(|part| part.sku.clone()));
                    kits.insert(kit.sku.clone(), kit);
                }
            }
        }
    }
    let mut parts = BTreeMap::new();
    for part in kits.values().flat_map(|kit| &kit.parts) {
        if let Some(figure) = view.stock_figure(&plan.of, place, &part.sku)? {
            parts.insert(part.sku.clone(), figure);
        }
    }
    let mut all: BTreeSet<Sku> = skus.clone();
    all.extend(kits.values().flat_map(|kit| kit.parts.iter().map(|part| part.sku.clone())));
    all.extend(kits.keys().cloned());
    let (mut levels, mut demand, mut rose_at) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    for sku in &all {
        let rows = view.stock_levels_of(&plan.of, sku, now)?;
        if rows.is_empty() {
            continue;
        }
        let mut here = Vec::new();
        for row in rows {
            let Some(at) = proven.get(&row.level.location) else { continue };
            let watched: &mut Demand = demand.entry(sku.clone()).or_default();
            watched.takings = watched.takings.saturating_add(row.demand.takings);
            watched.units = watched.units.saturating_add(row.demand.units);
            watched.squares = watched.squares.saturating_add(row.demand.squares);
            watched.watched_ms = watched.watched_ms.max(row.demand.watched_ms);
            let as_of = if row.doubted { row.level.as_of } else { row.level.as_of.max(*at) };
            let last: &mut Timestamp = rose_at.entry(sku.clone()).or_insert(row.rose_at);
            *last = row.rose_at.max(*last);
            here.push((row.level, as_of));
        }
        // Kept elsewhere but not here: there is none of it here.
        let none = || StockLevel {
            sku: sku.clone(),
            location: place.clone(),
            item: Default::default(),
            as_of,
            changed_at: None,
            on_hand: 0,
            committed: 0,
            back_ordered: 0,
            pending_approval: 0,
            available: 0,
            incoming: 0,
            active: true,
            unit_value: None,
            categories: Vec::new(),
        };
        levels.push(sum(here).unwrap_or_else(none));
    }
    Ok(Some(Supply { levels, kits: kits.into_values().collect(), demand, as_of, rose_at, parts }))
}

/// Units of orders that the source's figures do not show, for a place: those of the markets that draw from
/// it. An order whose market may draw from several places is taken off each of them until it is taken in.
pub(super) fn not_taken_in(
    view: &View<'_>,
    plan: &Plan,
    draws: &BTreeMap<String, Vec<LocationId>>,
    place: &LocationId,
    supply: &Supply,
    looked_at: Timestamp,
) -> Result<(NotTakenIn, NotTakenIn)> {
    let mut all = NotTakenIn { units: BTreeMap::new(), as_of: looked_at };
    let mut known_then = all.clone();
    let stated: BTreeMap<&Sku, Timestamp> = supply.levels.iter().map(|level| (&level.sku, level.as_of)).collect();
    let kits: BTreeMap<&Sku, &Kit> = supply.kits.iter().map(|kit| (&kit.sku, kit)).collect();
    let skus: BTreeSet<&Sku> = stated.keys().copied().chain(kits.keys().copied()).collect();
    for sku in skus {
        // A kit's orders are taken in when its parts show them.
        let as_of = match kits.get(sku) {
            Some(kit) => kit.parts.iter().filter_map(|part| stated.get(&part.sku)).min().copied().unwrap_or(supply.as_of),
            None => stated.get(sku).copied().unwrap_or(supply.as_of),
        };
        let (mut sum, mut sum_then) = (0_i64, 0_i64);
        for (market, units, units_then) in view.stock_not_taken_in(&plan.of, sku, before(as_of, plan.commit_lag), looked_at)? {
            if draws.get(&market).is_none_or(|places| places.contains(place)) {
                sum = sum.saturating_add(units);
                sum_then = sum_then.saturating_add(units_then);
            }
        }
        if sum != 0 {
            all.units.insert(sku.clone(), sum);
        }
        if sum_then != 0 {
            known_then.units.insert(sku.clone(), sum_then);
        }
    }
    Ok((all, known_then))
}

/// Works out these figures of one place, in their order. `shown` is what the target was seen to keep.
pub(crate) fn work_out(view: &View<'_>, plan: &Plan, rows: &[(FigureRow, Shown)], now: Timestamp) -> Result<Vec<Worked>> {
    let Some((first, _)) = rows.first() else { return Ok(Vec::new()) };
    let place = first.place.clone();
    let skus: BTreeSet<Sku> = rows.iter().map(|(row, _)| row.sku.clone()).collect();
    let Some(supply) = supply(view, plan, &place, &skus, now)? else { return Ok(vec![Worked::NotReady; rows.len()]) };
    let draws = view.stock_flow(&plan.of)?.draws;
    let looked_at = rows.iter().map(|(_, shown)| shown.at).min().unwrap_or(now);
    let (all, known_then) = not_taken_in(view, plan, &draws, &place, &supply, looked_at)?;
    let picture = Picture::new(&supply.levels, &supply.kits, supply.as_of);
    let by_sku: BTreeMap<&Sku, &FigureRow> = rows.iter().map(|(row, _)| (&row.sku, row)).collect();
    let reserve = |sku: &Sku, net: i64| reserve(plan, &place, by_sku.get(sku).copied(), &supply, sku, net);
    let parts: BTreeMap<&Sku, &Kit> = supply.kits.iter().map(|kit| (&kit.sku, kit)).collect();
    let rose_after = |sku: &Sku, at: Timestamp| supply.rose_at.get(sku).is_some_and(|rose| *rose >= at);
    let worked = rows.iter().map(|(row, shown)| {
        let of_parts = parts.get(&row.sku).is_some_and(|kit| kit.parts.iter().any(|part| rose_after(&part.sku, shown.at)));
        if of_parts || rose_after(&row.sku, shown.at) {
            return Worked::LookAgain;
        }
        let Some(terms) = picture.terms(&row.sku, &all, &reserve) else { return Worked::Left };
        let Some(at_most) = picture.terms(&row.sku, &known_then, &reserve) else { return Worked::Left };
        Worked::Figure(Box::new(Figure {
            units: terms.figure(shown.promised),
            units_at_most: at_most.figure(shown.promised),
            free: terms.free(),
            terms: kept(&terms),
        }))
    });
    Ok(worked.collect())
}

/// The terms as they are kept with a figure.
fn kept(terms: &availability::Terms) -> Terms {
    Terms {
        net: terms.net,
        as_of: terms.net_as_of,
        not_taken_in: terms.not_taken_in,
        buffer: terms.buffer,
        buffer_rule: terms.buffer_origin.clone(),
    }
}

pub(super) fn reserve(plan: &Plan, place: &LocationId, row: Option<&FigureRow>, supply: &Supply, sku: &Sku, net: i64) -> Reserve {
    // A part that the target does not sell by itself holds nothing back: the kit does.
    let Some(row) = row.or_else(|| supply.parts.get(sku)) else { return Reserve::default() };
    buffer::reserve(&plan.buffers, &buffer_row(plan, place, row, supply, sku, net), &plan.prior)
}

/// What a buffer may depend on. Orders are none of it; whoever wants to know what is on sale under it adds them.
pub(super) fn buffer_row(plan: &Plan, place: &LocationId, row: &FigureRow, supply: &Supply, sku: &Sku, net: i64) -> buffer::Row {
    buffer::Row {
        sku: sku.clone(),
        place: place.clone(),
        categories: row.categories.clone(),
        net,
        not_taken_in: 0,
        demand: supply.demand.get(sku).copied().unwrap_or_default(),
        window_ms: plan.window_ms,
        unit_value: row.value,
    }
}

/// What the window is taken for until it is measured: the slowest poll, and time to carry it over.
pub(crate) fn default_window_ms(setup: &StockSetup) -> u64 {
    u64::try_from(setup.pace.most.as_millis()).unwrap_or(u64::MAX).saturating_add(2_000)
}
