//! The shop as it stands when everything has been carried over for a while: orders of past days, what left, what came back.

use jiff::Timestamp;

use super::Centra;
use super::returns::{Amount, Cost, Made, Paid, Wish, make};
use super::shipments::{Deed, Info};
use super::state::{Entry, State, Status, moment};
use super::stock::{Figure, Goods};
use crate::data::{LineKind, Order};
use crate::incumbent::Habits;
use crate::wrong::Dice;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A parcel that left.
#[derive(Clone, Debug)]
pub(crate) struct SoldParcel {
    /// The shipment's number.
    pub(crate) number: String,
    /// (line id, units).
    pub(crate) lines: Vec<(i32, i32)>,
    pub(crate) tracking: String,
    pub(crate) left: Timestamp,
}

/// What came back and was paid back.
#[derive(Clone, Debug)]
pub(crate) struct SoldBack {
    /// Centra's id of the return.
    pub(crate) id: i32,
    /// (line id, units, worth as quoted and its tax).
    pub(crate) lines: Vec<(i32, i32, Amount)>,
    pub(crate) shipping: Amount,
    pub(crate) voucher: Amount,
    pub(crate) at: Timestamp,
    /// (mills, reference).
    pub(crate) paid: Vec<(i64, String)>,
}

/// An order with all that happened to it.
#[derive(Clone, Debug)]
pub(crate) struct Sold {
    pub(crate) order: Order,
    pub(crate) created: Timestamp,
    pub(crate) parcels: Vec<SoldParcel>,
    pub(crate) backs: Vec<SoldBack>,
}

/// How many orders are carried on under one lock.
const STEP: u32 = 500;

fn pickable(kind: LineKind) -> bool {
    matches!(kind, LineKind::Product | LineKind::BundleItem(_))
}

impl Centra {
    /// Places the catalogue's orders up to the given count, spread evenly over the past days, or when the data say. No webhook tells
    /// of them. Errors when the journal cannot be written.
    pub(crate) fn place_back(&self, upto: u32, days: u32) -> anyhow::Result<()> {
        let mut state = self.0.write();
        let total = state.catalogue.orders().min(upto);
        let now = self.now().as_millisecond();
        let (first, span) = (now - i64::from(days) * DAY, i64::from(days) * DAY - 2 * HOUR);
        let mut from = state.attempted();
        while from < total {
            let at = match state.catalogue.own_time(from) {
                Some(at) => at.as_millisecond(),
                None => first + span / i64::from(total.max(1)) * i64::from(from),
            };
            let at = at.min(now).max(state.last_placed_at());
            let entry = Entry::Placed { from, to: from + 1, at, twice: vec![], held: vec![], waiting: vec![], refused: vec![] };
            state.record_untold(entry)?;
            from += 1;
        }
        Ok(())
    }

    /// Lets leave and come back what would have by now, and tells of every order that stands. Errors as [`Centra::place_back`].
    pub(crate) fn carry_on(&self, habits: &Habits) -> anyhow::Result<Vec<Sold>> {
        let mut all = Vec::new();
        let mut from = 0;
        loop {
            // Others get their turn in between.
            let mut state = self.0.write();
            let to = state.placed().min(from + STEP);
            for index in from..to {
                let life = state.life(index);
                if life.status == Status::Cancelled || life.on_hold || life.waiting_for_payment {
                    continue;
                }
                if state.shipments.of(index).next().is_none() && habits.ships {
                    self.send_back(&mut state, index)?;
                    if habits.takes_back {
                        self.take_back(&mut state, index)?;
                    }
                }
                all.push(sold(&state, index));
            }
            if to == state.placed() {
                return Ok(all);
            }
            from = to;
        }
    }

    fn dice_of(state: &State, index: u32, question: &str) -> Dice {
        Dice::new(u64::from(state.number(index).unsigned_abs()), question)
    }

    /// What was ordered more than three days ago has left: in one parcel, or now and then in two.
    fn send_back(&self, state: &mut State, index: u32) -> anyhow::Result<()> {
        let now = self.now().as_millisecond();
        let placed = state.created(index).as_millisecond();
        if placed > now - 3 * DAY {
            return Ok(());
        }
        let mut dice = Self::dice_of(state, index, "leaves");
        let made = state.order(index).0;
        let open = made.lines.iter().filter(|line| pickable(line.kind)).map(|line| (line.id, state.unshipped(index, line)));
        let mut lines: Vec<(i32, i32)> = open.filter(|(_, units)| *units > 0).collect();
        if lines.is_empty() {
            return Ok(());
        }
        // A bundle leaves whole.
        let simple = made.lines.iter().all(|line| line.kind == LineKind::Product);
        let rest = if simple && lines.len() > 1 && dice.below(8) == 0 { lines.split_off(1) } else { Vec::new() };
        let mut left = placed;
        for lines in [lines, rest].into_iter().filter(|lines| !lines.is_empty()) {
            left += dice.between(4 * HOUR, 30 * HOUR);
            let taken = made.payments.iter().any(|payment| payment.entry_type == "CAPTURE");
            let amount = if taken { 0 } else { state.capture_amount(index, &lines) };
            let info = Info {
                carrier: Some("Parcel Post".to_owned()),
                packages: Some(1),
                tracking: Some(format!("PP{:010}", dice.below(10_000_000_000))),
                ..Info::default()
            };
            let deed = Deed {
                lines,
                info: Some(info),
                good_to_go: Some(true),
                captured: Some(amount),
                shipped_at: Some(left),
                ..Deed::default()
            };
            let id = state.shipments.next_id();
            state.record_untold(Entry::Shipment { id, order: index, at: left, deed: Box::new(deed) })?;
        }
        Ok(())
    }

    /// One order in eight that left a while ago came back, in part or whole, and was paid back.
    fn take_back(&self, state: &mut State, index: u32) -> anyhow::Result<()> {
        let mut dice = Self::dice_of(state, index, "comes back");
        let made = state.order(index).0;
        let now = self.now().as_millisecond();
        let Some(shipment) = state.shipments.of(index).next().cloned() else { return Ok(()) };
        let Some(left) = shipment.shipped_at.filter(|left| *left < now - 6 * DAY) else { return Ok(()) };
        // What a bundle's part or a gift card's share is worth is a matter of opinion.
        let simple = made.lines.iter().all(|line| line.kind == LineKind::Product)
            && made.payments.iter().all(|payment| payment.entry_type != "AUTH_GIFT_CARD");
        if !simple || dice.below(8) != 0 {
            return Ok(());
        }
        let whole = dice.below(3) == 0;
        let place = dice.below(shipment.lines.len());
        let each = shipment.lines.iter().map(|(_, units)| *units).enumerate();
        let lines: Vec<(usize, i32)> = each.filter(|(at, _)| whole || *at == place).collect();
        let created = left + dice.between(2 * DAY, 5 * DAY);
        let wish = Wish {
            order: index,
            shipment: shipment.id,
            lines,
            goods: Goods::Release,
            shipping: if whole { Cost::FromShipment } else { Cost::Nothing },
            handling: Cost::Nothing,
            voucher: Cost::FromShipment,
            cost: 0,
            comment: None,
            created,
            by: "AMS",
        };
        let Ok(back) = make(state, &wish) else { return Ok(()) };
        let amount = back.grand(made.tax_included);
        if amount <= 0 {
            return Ok(());
        }
        let id = state.returns.next_id();
        state.record_untold(Entry::Returned { id, at: created, made: Box::new(back), act: None })?;
        let at = created + 3 * HOUR;
        state.record_untold(Entry::ReturnMarked { id, at, completed: Some(true), deleted: false, act: None })?;
        let paid = Paid {
            id: state.returns.next_paid(),
            order: index,
            returned: Some(id),
            kind: "REFUND".to_owned(),
            status: "SUCCESS".to_owned(),
            method: made.payment_method.2.to_owned(),
            reference: format!("RF{:014X}", dice.roll() >> 8),
            amount,
            at: at + 10 * MINUTE,
            answers: None,
        };
        state.record_untold(Entry::Paid { entries: vec![paid], act: None })
    }

    /// Writes the shop's figures so that so many units are free, as (item, warehouse, units). Errors as [`Centra::place_back`].
    pub(crate) fn show_free(&self, free: &[(u32, u32, i64)]) -> anyhow::Result<()> {
        let mut state = self.0.write();
        let at = self.now().as_millisecond();
        // Units that become free go to those who wait: after the first round it is known how many that are.
        for _ in 0..3 {
            let figure = |(item, warehouse, units): &(u32, u32, i64)| {
                let cell = state.ledger.cell(*item, *warehouse);
                let physical = units.max(&0) + cell.allocated + if state.ledger.fill { cell.demand } else { 0 };
                (physical != cell.physical).then_some(Figure { warehouse: *warehouse, item: *item, physical })
            };
            let figures: Vec<Figure> = free.iter().filter_map(figure).collect();
            if figures.is_empty() {
                break;
            }
            state.record_untold(Entry::Stock { figures, at, why: "Carried over".to_owned(), planned: None })?;
        }
        Ok(())
    }
}

fn sold(state: &State, index: u32) -> Sold {
    let order = state.order(index).0;
    let parcel = |shipment: &super::shipments::Shipment| {
        Some(SoldParcel {
            number: format!("{}-{}", order.number, shipment.nth),
            lines: shipment.lines.clone(),
            tracking: shipment.info.tracking.clone().unwrap_or_default(),
            left: moment(shipment.shipped_at?),
        })
    };
    let back = |id: i32, made: &Made, issued: Option<i64>, paid: Vec<(i64, String)>| SoldBack {
        id,
        lines: made.lines.iter().map(|back| (back.line, back.units, back.worth)).collect(),
        shipping: made.shipping,
        voucher: made.voucher,
        // A credit is of the day on which the money went back.
        at: moment(issued.unwrap_or(made.created)),
        paid,
    };
    let returned = state.returns.of(index).filter(|one| one.completed);
    let backs = returned.map(|one| {
        let paid = || state.returns.paid_for(one).filter(|paid| paid.status == "SUCCESS");
        let issued = paid().map(|paid| paid.at).max();
        back(one.id, &one.made, issued, paid().map(|paid| (paid.amount, paid.reference.clone())).collect())
    });
    Sold {
        created: state.created(index),
        parcels: state.shipments.of(index).filter_map(parcel).collect(),
        backs: backs.collect(),
        order,
    }
}
