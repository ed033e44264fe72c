//! What was sold, taken apart: by line, by shipment, by unit.

use crate::data::{Currency, Line, LineKind, Order, Taxed};

use super::super::shipments::Shipment;
use super::super::state::State;

/// The share of `part` of `of`, to the coin; all of it is the whole.
fn share(currency: Currency, whole: i64, part: i64, of: i64) -> i64 {
    if part >= of { whole } else { currency.round(i128::from(whole) * i128::from(part), i128::from(of.max(1))) }
}

/// The share of the stretch from `before` to `before + part` of `of`: stretches that cover it sum to the whole.
pub fn stretch(currency: Currency, whole: Taxed, before: i64, part: i64, of: i64) -> Taxed {
    let one = |whole| share(currency, whole, before + part, of) - share(currency, whole, before, of);
    Taxed { quoted: one(whole.quoted), tax: one(whole.tax) }
}

fn less(one: Taxed, other: Taxed) -> Taxed {
    Taxed { quoted: one.quoted - other.quoted, tax: one.tax - other.tax }
}

fn sum(all: impl Iterator<Item = (i64, i64)>) -> Taxed {
    all.fold(Taxed::default(), |sum, (quoted, tax)| Taxed { quoted: sum.quoted + quoted, tax: sum.tax + tax })
}

/// What a line was sold for. An item of a bundle has its share of the bundle's price.
pub fn line(order: &Order, line: &Line) -> Taxed {
    let LineKind::BundleItem(place) = line.kind else { return order.line_value(line) };
    let Some(bundle) = order.lines.get(place) else { return Taxed::default() };
    let weight = |item: &Line| item.unit.max(1) * i64::from(item.ordered - item.cancelled);
    let items = || order.lines.iter().filter(|other| other.kind == line.kind);
    let before = items().take_while(|other| other.id != line.id).map(weight).sum();
    stretch(order.currency, order.line_value(bundle), before, weight(line), items().map(weight).sum())
}

impl State {
    /// The id of a shipment's line.
    pub fn shipment_line_id(shipment: &Shipment, place: usize) -> i32 {
        shipment.id.saturating_mul(1_000).saturating_add(i32::try_from(place + 1).unwrap_or(999))
    }

    /// What the units in one line of a shipment were sold for.
    pub fn shipment_line_worth(&self, order: &Order, shipment: &Shipment, place: usize) -> Taxed {
        let Some((id, units)) = shipment.lines.get(place).copied() else { return Taxed::default() };
        let Some(sold) = order.lines.iter().find(|line| line.id == id) else { return Taxed::default() };
        let earlier = self.shipments.of(shipment.order).filter(|other| other.nth < shipment.nth).flat_map(|other| &other.lines);
        let earlier = earlier.chain(shipment.lines.iter().take(place)).filter(|(line, _)| *line == id);
        let before: i32 = earlier.map(|(_, units)| units).sum();
        let of = sold.ordered - sold.cancelled;
        stretch(order.currency, line(order, sold), before.into(), units.into(), of.into())
    }

    fn shipment_goods(&self, order: &Order, shipment: &Shipment) -> Taxed {
        let lines = (0..shipment.lines.len()).map(|place| self.shipment_line_worth(order, shipment, place));
        sum(lines.map(|worth| (worth.quoted, worth.tax)))
    }

    /// Shipping and handling of a shipment: the first carries the order's.
    pub fn shipment_charges(&self, order: &Order, shipment: &Shipment) -> (Taxed, Taxed) {
        if shipment.nth == 1 { (order.shipping, order.handling) } else { Default::default() }
    }

    /// The share of the order's reductions that a shipment has, by its goods.
    pub fn shipment_voucher(&self, order: &Order, shipment: &Shipment) -> Taxed {
        let whole = sum(order.discounts.iter().map(|discount| (discount.amount.quoted, discount.amount.tax)));
        let before = self.shipments.of(shipment.order).filter(|other| other.nth < shipment.nth);
        let before: i64 = before.map(|other| self.shipment_goods(order, other).quoted).sum();
        let here = self.shipment_goods(order, shipment).quoted;
        // A gift certificate never ships; what a reduction took off it goes with the rest.
        let shipped = |line: &&Line| matches!(line.kind, LineKind::Product | LineKind::BundleItem(_));
        let of = order.lines.iter().filter(shipped).map(|sold| line(order, sold).quoted).sum();
        stretch(order.currency, whole, before, here, of)
    }

    /// What of shipping, handling and reductions no return of this shipment has taken.
    pub fn charges_left(&self, order: &Order, shipment: &Shipment) -> [Taxed; 3] {
        let (shipping, handling) = self.shipment_charges(order, shipment);
        let taken = |of: fn(&super::Made) -> super::Amount| {
            sum(self.returns.of_shipment(shipment.order, shipment.id).map(|one| of(&one.made)))
        };
        [
            less(shipping, taken(|made| made.shipping)),
            less(handling, taken(|made| made.handling)),
            less(self.shipment_voucher(order, shipment), taken(|made| made.voucher)),
        ]
    }

    /// What `units` of a shipment's line are worth: the last of them have the rest of it.
    pub fn back_worth(&self, order: &Order, shipment: &Shipment, place: usize, units: i32) -> Taxed {
        let id = State::shipment_line_id(shipment, place);
        let all = shipment.lines.get(place).map_or(0, |(_, units)| *units);
        let whole = self.shipment_line_worth(order, shipment, place);
        let back = || self.returns.of(shipment.order).flat_map(|one| &one.made.lines).filter(|back| back.shipment_line == id);
        let gone: i32 = back().map(|back| back.units).sum();
        let left = less(whole, sum(back().map(|back| back.worth)));
        if gone + units >= all {
            return left;
        }
        let part = stretch(order.currency, whole, gone.into(), units.into(), all.into());
        Taxed { quoted: part.quoted.min(left.quoted), tax: part.tax.min(left.tax) }
    }

    /// The share of the reductions that goods of a shipment have, of what is left of it; the last goods have all of that.
    pub fn back_voucher(&self, order: &Order, shipment: &Shipment, quoted: i64) -> Taxed {
        let [_, _, left] = self.charges_left(order, shipment);
        let goods = self.shipment_goods(order, shipment).quoted;
        let gone: i64 = self.returns.of_shipment(shipment.order, shipment.id).map(|one| one.made.goods_worth().quoted).sum();
        if gone + quoted >= goods {
            return left;
        }
        let part = stretch(order.currency, self.shipment_voucher(order, shipment), gone, quoted, goods);
        Taxed { quoted: part.quoted.min(left.quoted), tax: part.tax.min(left.tax) }
    }
}
