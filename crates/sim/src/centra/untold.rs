//! What happens in the shop behind everybody's back: no event, no webhook, only what it leaves in the documents.
//!
//! All of it goes through the journal as [`Entry::Untold`], so that it is there after a restart.

use jiff::Timestamp;

use super::Centra;
use super::life;
use super::returns::Returned;
use super::shipments::{Deed, Info, Shipment};
use super::state::{Change, Entry, State, Status};
use super::stock::{Figure, Figures, Sale};
use crate::data::{Address, LineKind};
use crate::wrong::{Dice, Done};

/// An order of the shop that is not under way: nobody holds it, and nothing is planned for it.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    /// Its place in the order of placing.
    pub(crate) order: u32,
    /// What people call it.
    pub(crate) number: String,
    /// Index of its market.
    pub(crate) market: usize,
    /// Whether its prices contain the tax.
    pub(crate) tax_included: bool,
    /// When it was placed.
    pub(crate) created: Timestamp,
    /// Whether anything came back or was paid back.
    pub(crate) gave_back: bool,
}

fn units(lines: &[(i32, i32)]) -> i32 {
    lines.iter().map(|(_, units)| units).sum()
}

fn told(state: &State, shipment: &Shipment) -> String {
    format!("{}-{}", state.number(shipment.order), shipment.nth)
}

fn done(record: &'static str, id: String, detail: String) -> Option<Done> {
    Some(Done { system: "centra", record, id: Some(id), detail, ..Done::default() })
}

impl Centra {
    /// When it is here.
    pub(crate) fn now(&self) -> Timestamp {
        self.0.mischief.now()
    }

    /// The time zone of the instance.
    pub(crate) fn zone(&self) -> &jiff::tz::TimeZone {
        &self.0.zone
    }

    /// The orders that are not under way, in the order of placing.
    pub(crate) fn families(&self) -> Vec<Family> {
        let inner = &self.0;
        let state = inner.read();
        let mut busy = if inner.options.returns { inner.people().orders(&state) } else { Default::default() };
        busy.extend(inner.edits().keys().map(|(_, order, _)| *order));
        let family = |order: u32| {
            let life = state.life(order);
            let stands = matches!(life.status, Status::Confirmed | Status::Processing | Status::Shipped);
            if !stands || life.on_hold || life.waiting_for_payment || busy.contains(&order) {
                return None;
            }
            let made = state.base(order);
            Some(Family {
                order,
                number: made.number.to_string(),
                market: made.market,
                tax_included: made.tax_included,
                created: state.created(order),
                gave_back: state.returns.of(order).next().is_some() || state.returns.paid_of(order).next().is_some(),
            })
        };
        (0..state.placed()).filter_map(family).collect()
    }

    /// A shipment that left a warehouse is not in the shop any more.
    pub(crate) fn lose_shipment(&self, order: u32) -> anyhow::Result<Option<Done>> {
        let mut state = self.0.write();
        let free = |shipment: &&Shipment| {
            let used = |one: &Returned| one.made.shipment == shipment.id;
            shipment.shipped_at.is_some() && !state.returns.of(order).any(used)
        };
        let Some(shipment) = state.shipments.of(order).filter(free).last().cloned() else { return Ok(None) };
        let number = told(&state, &shipment);
        state.record_untold(Entry::ShipmentGone { id: shipment.id })?;
        let tracking = shipment.info.tracking.as_deref().unwrap_or("none");
        let units = units(&shipment.lines);
        let detail = format!("shipment {number} ({units} units, tracking number {tracking}) stood in the shop → it does not");
        Ok(done("shipment", shipment.id.to_string(), detail))
    }

    /// A shipment gets another tracking number.
    pub(crate) fn swap_tracking(&self, order: u32, dice: &mut Dice) -> anyhow::Result<Option<Done>> {
        let mut state = self.0.write();
        let fits = |shipment: &&Shipment| shipment.shipped_at.is_some() && shipment.info.tracking.is_some();
        let Some(shipment) = state.shipments.of(order).find(fits).cloned() else { return Ok(None) };
        let was = shipment.info.tracking.clone().unwrap_or_default();
        let mut is = String::with_capacity(was.len());
        for letter in was.chars() {
            is.push(if letter.is_ascii_digit() { char::from(b'0' + u8::try_from(dice.below(10)).unwrap_or(0)) } else { letter });
        }
        if is == was {
            is.push('7');
        }
        let info = Info { tracking: Some(is.clone()), ..Info::default() };
        let deed = Box::new(Deed { info: Some(info), ..Deed::default() });
        let at = self.now().as_millisecond();
        let number = told(&state, &shipment);
        state.record_untold(Entry::Shipment { id: shipment.id, order, at, deed })?;
        Ok(done("shipment", shipment.id.to_string(), format!("tracking number of shipment {number}: {was} → {is}")))
    }

    /// A shipment is told a second time, with the same units.
    pub(crate) fn ship_twice(&self, order: u32) -> anyhow::Result<Option<Done>> {
        let mut state = self.0.write();
        let Some(shipment) = state.shipments.of(order).find(|one| one.shipped_at.is_some()).cloned() else { return Ok(None) };
        let id = state.shipments.next_id();
        let deed = Deed {
            lines: shipment.lines.clone(),
            info: Some(shipment.info.clone()),
            good_to_go: Some(true),
            paid: Some(true),
            shipped_at: shipment.shipped_at,
            ..Deed::default()
        };
        let (before, count) = (told(&state, &shipment), units(&shipment.lines));
        let at = self.now().as_millisecond();
        state.record_untold(Entry::Shipment { id, order, at, deed: Box::new(deed) })?;
        let number = state.shipments.get(id).map(|one| told(&state, one)).unwrap_or_default();
        let detail = format!("{count} units left once, with shipment {before} → twice, with shipment {number} as well");
        Ok(done("shipment", id.to_string(), detail))
    }

    /// The order is edited, and nobody is told: a unit is cancelled while it still can be, or the address is another.
    pub(crate) fn edit_untold(&self, order: u32, dice: &mut Dice) -> anyhow::Result<Option<Done>> {
        let mut state = self.0.write();
        let (sold, _) = state.order(order);
        let open = state.shipments.of(order).next().is_none() && sold.payments.iter().all(|paid| paid.entry_type != "CAPTURE");
        let several = sold.lines.iter().map(|line| line.ordered - line.cancelled).sum::<i32>() > 1;
        let whole = |line: &&crate::data::Line| line.kind == LineKind::Product && line.ordered > line.cancelled && line.unit > 0;
        let line = sold.lines.iter().find(whole).filter(|_| open && several && dice.below(2) == 0);
        let (change, detail) = match line {
            Some(line) => {
                let units = line.ordered - line.cancelled;
                let change = Change { cancel: vec![(line.id, 1)], ..Change::default() };
                (change, format!("units of line {} in the shop: {units} → {}", line.id, units - 1))
            }
            None => {
                let was = sold.shipping_address.address1.clone().unwrap_or_default();
                let is = format!("Umzugsweg {}", 1 + dice.below(200));
                let shipping = Some(Address { address1: Some(is.clone()), ..Address::default() });
                (Change { shipping, ..Change::default() }, format!("street of the delivery address in the shop: {was} → {is}"))
            }
        };
        let at = self.now().as_millisecond();
        state.record_untold(Entry::Changed { order, at, change: Box::new(change), planned: None })?;
        Ok(done("order", super::answer::order_id(state.number(order)), detail))
    }

    /// Somebody buys, and nobody is told, now or later. Answers the order's number with what was done.
    pub(crate) fn buy_untold(&self, dice: &mut Dice) -> anyhow::Result<Option<(String, Done)>> {
        let inner = &self.0;
        let mut state = inner.write();
        let (items, markets) = (state.catalogue.items().len(), state.catalogue.markets().len());
        let mut found = None;
        for _ in 0..200 {
            let item = u32::try_from(dice.below(items)).unwrap_or(0);
            let market = u32::try_from(dice.below(markets)).unwrap_or(0);
            let single = state.item(item).is_some_and(|item| item.components.is_empty());
            let there = state.ledger.cell(item, market).free() > 0 || !state.ledger.has_any();
            if single && there {
                found = Some((market, item));
                break;
            }
        }
        let extra = state.bought();
        let (Some((market, item)), Some(number)) = (found, state.catalogue.number_beyond(extra)) else { return Ok(None) };
        let sale = Sale { market, lines: vec![(item, 1)] };
        // Soon after the last order: it is no news that is still on its way.
        let last = state.last_placed_at();
        let at = last.saturating_add(1_000).min(self.now().as_millisecond()).max(last);
        let order = state.placed();
        state.record_untold(Entry::Bought { sale, at, fate: (false, false, false), act: None })?;
        // Nothing that is planned for such an order may tell of it after a restart.
        for plan in life::plans(&inner.mischief, state.source(order), || state.base(order)) {
            state.record_untold(Entry::Acted { order, act: plan.number })?;
        }
        let sold = state.order(order).0;
        let worth = crate::data::mills_fixed(sold.totals().grand, sold.currency.digits);
        let detail = format!("order {number} over {worth} {} was placed, and nobody was told", sold.currency.code);
        let sku = state.item(item).map(|item| item.sku.clone());
        let id = Some(super::answer::order_id(number));
        let done = Done { system: "centra", record: "order", id, sku, detail, ..Done::default() };
        Ok(Some((number.to_string(), done)))
    }

    /// The figures of an item in a warehouse, by their indexes.
    pub(crate) fn cell(&self, item: u32, warehouse: u32) -> Figures {
        let cell = self.0.read().ledger.cell(item, warehouse);
        Figures { physical: cell.physical, allocated: cell.allocated, free: cell.free(), demand: cell.demand }
    }

    /// Somebody writes physical figures, as (item, warehouse, units), and nobody is told.
    pub(crate) fn write_untold(&self, figures: &[(u32, u32, i64)], why: &str) -> anyhow::Result<()> {
        let figures =
            figures.iter().map(|(item, warehouse, physical)| Figure { warehouse: *warehouse, item: *item, physical: *physical });
        let (figures, at) = (figures.collect(), self.now().as_millisecond());
        self.0.write().record_untold(Entry::Stock { figures, at, why: why.to_owned(), planned: None })
    }

    /// The first sum of the stock ledger that does not hold.
    #[cfg(test)]
    pub(crate) fn ledger_broken(&self) -> Option<String> {
        self.0.read().ledger.broken()
    }
}
