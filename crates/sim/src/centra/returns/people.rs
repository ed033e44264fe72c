//! The shop's own people: some of what has left comes back, and they make the returns and pay the money back.
//!
//! What happens to an order depends on the seed and the order only. Every act is one line of the journal, so that a
//! world that is killed goes on where it was. When all orders have left and nothing is pending, all returns are made.

use std::collections::{BTreeMap, VecDeque};

use crate::data::{LineKind, Order};
use crate::mischief::Mischief;

use super::super::hooks::Notice;
use super::super::state::{Change, Entry, State, Status};
use super::super::stock::{Goods, Sale};
use super::write::{Cost, Way, Wish, captured, make, pay_back};
use super::{Made, Paid, Returned};

/// How many percent of the orders that have left get a return.
const RETURNED: f64 = 12.0;
/// The same for orders of which a gift card paid a part: they are rare, and their money goes back two ways.
const RETURNED_GIFTS: f64 = 40.0;
/// How many percent of the orders whose money was taken at once lose a unit before they leave.
const CANCELLED: f64 = 8.0;
/// How many percent of the refunds fail at first.
const REFUSED: f64 = 12.0;
/// How long a provider that answers later takes, in milliseconds.
const ANSWER_AFTER: i64 = 1_500;
/// The numbers of a story's acts begin here: below are edits of orders.
pub const FIRST: u8 = 20;
/// The same for the story of a cancelled unit.
const FIRST_CANCELLED: u8 = 60;
/// The most orders looked at in one step.
const STEP: usize = 2_000;

/// One thing that somebody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// A return of a part of a line.
    Part {
        goods: Fate,
        cost: bool,
    },
    /// A return of all that is left of a shipment, with what sending it had cost.
    Whole,
    Complete,
    Refund {
        store_credit: bool,
    },
    Delete,
    /// The shopper buys something else.
    Exchange,
    /// Money without goods.
    Goodwill,
    /// A unit that has not left is cancelled.
    Cancel,
    /// What was cancelled is paid back.
    RefundCancelled,
}

/// What becomes of the goods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Restock,
    WriteOff,
    /// They go to the last warehouse of the instance.
    Elsewhere,
}

type Story = VecDeque<(u8, i64, Act)>;

/// What is still to be done.
#[derive(Debug, Default)]
pub struct People {
    /// How far the orders that have left were looked at.
    left: usize,
    /// How far the placed orders were looked at.
    placed: u32,
    /// The next act of each story: when it is due, its order and the first number of the story.
    due: BTreeMap<(i64, u32, u8), Story>,
}

impl People {
    /// How much of it is pending.
    pub fn pending(&self, state: &State) -> usize {
        state.returns.left.len().saturating_sub(self.left) + self.due.len()
    }

    /// The orders about which they have still to do something, or to think.
    pub fn orders(&self, state: &State) -> std::collections::HashSet<u32> {
        let unseen = state.returns.left.iter().skip(self.left).copied();
        self.due.keys().map(|(_, order, _)| *order).chain(unseen).chain(self.placed..state.placed()).collect()
    }
}

fn story(mischief: &Mischief, source: u32, sold: impl Fn() -> Order) -> Story {
    let key = u64::from(source);
    let by_gift = || sold().payments.iter().any(|paid| paid.entry_type == "AUTH_GIFT_CARD");
    let among = |percent: f64| mischief.chance("comes back", key, percent);
    let returned = among(RETURNED) || (among(RETURNED_GIFTS) && by_gift());
    if !returned {
        return Story::new();
    }
    let plain = Act::Part { goods: Fate::Restock, cost: false };
    let refund = Act::Refund { store_credit: false };
    let acts = match mischief.pick("how it comes back", key, 100) {
        0..22 => vec![plain, Act::Complete, refund],
        22..34 => vec![plain, Act::Complete, refund, plain, Act::Complete, refund],
        34..42 => vec![Act::Part { goods: Fate::Restock, cost: true }, Act::Complete, refund],
        42..54 => vec![Act::Whole, Act::Complete, refund],
        54..64 => vec![plain, refund, Act::Complete],
        64..72 => vec![plain, Act::Complete, Act::Refund { store_credit: true }, Act::Exchange],
        72..79 => vec![plain, Act::Delete],
        79..87 => vec![Act::Goodwill],
        87..94 => vec![Act::Part { goods: Fate::WriteOff, cost: false }, refund, Act::Complete],
        _ => vec![Act::Part { goods: Fate::Elsewhere, cost: false }, Act::Complete, refund],
    };
    timed(mischief, key, FIRST, acts)
}

fn cancelled_story(mischief: &Mischief, source: u32) -> Story {
    let key = u64::from(source);
    if !mischief.chance("a unit is cancelled", key, CANCELLED) {
        return Story::new();
    }
    timed(mischief, key, FIRST_CANCELLED, vec![Act::Cancel, Act::RefundCancelled])
}

fn timed(mischief: &Mischief, key: u64, first: u8, acts: Vec<Act>) -> Story {
    let delay =
        |number: u8| 400 + i64::try_from(mischief.pick("return delay", key ^ (u64::from(number) << 40), 1_600)).unwrap_or(0);
    (first..).zip(acts).map(|(number, act)| (number, delay(number), act)).collect()
}

/// One step of the shop's people. Returns what is told by webhook.
/// Errors when the journal cannot be written.
pub fn live(state: &mut State, people: &mut People, mischief: &Mischief, now: i64) -> anyhow::Result<Vec<Notice>> {
    let enlist = |people: &mut People, state: &State, order: u32, mut story: Story| {
        while story.front().is_some_and(|(number, _, _)| state.is_done(order, *number)) {
            story.pop_front();
        }
        if let Some((number, after, _)) = story.front().copied() {
            people.due.insert((now + after, order, number), story);
        }
    };
    for _ in 0..STEP {
        let Some(order) = state.returns.left.get(people.left).copied() else { break };
        people.left += 1;
        enlist(people, state, order, story(mischief, state.source(order), || state.base(order)));
    }
    for order in people.placed..state.placed() {
        let story = cancelled_story(mischief, state.source(order));
        if !story.is_empty() && state.base(order).payments.iter().any(|paid| paid.entry_type == "CAPTURE") {
            enlist(people, state, order, story);
        }
    }
    people.placed = state.placed();
    let mut told = Vec::new();
    while let Some(entry) = people.due.first_entry().filter(|entry| entry.key().0 <= now) {
        let (due, order, number) = *entry.key();
        let mut story = entry.remove();
        let Some((_, _, act)) = story.front().copied() else { continue };
        let before = state.returns.next_id();
        if !perform(state, mischief, order, number, act, now)? {
            people.due.insert((due.max(now) + 300, order, number), story);
            continue;
        }
        story.pop_front();
        told.push(Notice { kind: "order", number: state.number(order), action: "update", at: now });
        let latest = state.returns.newest(order);
        if let Some(one) = latest.filter(|_| !matches!(act, Act::Goodwill | Act::Exchange | Act::Cancel | Act::RefundCancelled)) {
            let action = match act {
                Act::Delete => "delete",
                _ if one.id >= before => "insert",
                _ => "update",
            };
            told.push(Notice { kind: "return", number: one.id, action, at: now });
        }
        if let Some((number, after, _)) = story.front().copied() {
            people.due.insert((now + after, order, number), story);
        }
    }
    Ok(told)
}

/// The provider answers what it was asked long enough ago. Returns what is told by webhook.
/// Errors when the journal cannot be written.
pub fn settle(state: &mut State, mischief: &Mischief, now: i64, refuses: bool) -> anyhow::Result<Vec<Notice>> {
    let due: Vec<Paid> = state.returns.open().filter(|open| open.at + ANSWER_AFTER <= now).cloned().collect();
    let mut told = Vec::new();
    for request in due {
        let order = request.order;
        let failures = state.returns.paid_of(order).filter(|p| p.status == "FAILED" && p.returned == request.returned).count();
        let key = u64::from(request.id.unsigned_abs());
        let failed = refuses && failures == 0 && mischief.chance("the provider says no later", key, REFUSED);
        let (kind, status) = if failed { ("REFUND_FAILED", "FAILED") } else { ("REFUND", "SUCCESS") };
        let answer = Paid {
            id: state.returns.next_paid(),
            kind: kind.to_owned(),
            status: status.to_owned(),
            at: now,
            answers: Some(request.id),
            ..request
        };
        let returned = answer.returned;
        state.record(Entry::Paid { entries: vec![answer], act: None })?;
        told.push(Notice { kind: "order", number: state.number(order), action: "update", at: now });
        told.extend(returned.map(|number| Notice { kind: "return", number, action: "update", at: now }));
    }
    Ok(told)
}

/// Does one act. `false` when it has to wait.
fn perform(state: &mut State, mischief: &Mischief, order: u32, number: u8, act: Act, now: i64) -> anyhow::Result<bool> {
    let latest = state.returns.of(order).last().cloned();
    let mark = |one: &Returned, completed, deleted| {
        Some(Entry::ReturnMarked { id: one.id, at: now, completed, deleted, act: Some(number) })
    };
    let id = state.returns.next_id();
    let new = |made: Made| Entry::Returned { id, at: now, made: Box::new(made), act: Some(number) };
    let entry = match act {
        Act::Part { goods, cost } => part(state, mischief, order, number, goods, cost, now).map(new),
        Act::Whole => whole(state, mischief, order, number, now).map(new),
        Act::Complete => latest.filter(|one| !one.completed).and_then(|one| mark(&one, Some(true), false)),
        Act::Delete => latest.filter(|one| !one.completed).and_then(|one| mark(&one, None, true)),
        Act::Refund { store_credit } => match latest {
            Some(one) => return refund(state, mischief, &one, number, store_credit, now),
            None => None,
        },
        Act::Exchange => exchange(state, order, now, number),
        Act::Goodwill => {
            let sold = state.order(order).0;
            let taken = state.shipments.of(order).any(|shipment| captured(state, shipment.id));
            let amount = sold.currency.round(i128::from(sold.totals().grand) * 10, 100);
            let entries = pay_back(state, order, None, amount, now, Way::default());
            (taken && amount > 0).then_some(Entry::Paid { entries, act: Some((order, number)) })
        }
        Act::Cancel => cancel(state, order, number, now),
        Act::RefundCancelled => {
            let amount = cancelled_worth(&state.order(order).0);
            let entries = pay_back(state, order, None, amount, now, Way::default());
            (amount > 0).then_some(Entry::Paid { entries, act: Some((order, number)) })
        }
    };
    // What cannot be done (nothing is left of it) counts as done.
    state.record(entry.unwrap_or(Entry::Acted { order, act: number }))?;
    Ok(true)
}

/// (shipment, place, units left) of all that could come back.
fn left(state: &State, order: u32) -> Vec<(i32, usize, i32)> {
    let mut found = Vec::new();
    for shipment in state.shipments.of(order).filter(|one| one.shipped_at.is_some() && captured(state, one.id)) {
        for (place, (_, units)) in shipment.lines.iter().enumerate() {
            let left = units - state.returns.units_of(order, State::shipment_line_id(shipment, place));
            if left > 0 {
                found.push((shipment.id, place, left));
            }
        }
    }
    found
}

fn goods(state: &State, fate: Fate) -> Goods {
    match fate {
        Fate::Restock => Goods::Release,
        Fate::WriteOff => Goods::Remove,
        Fate::Elsewhere => Goods::Send(state.ledger.warehouses().saturating_sub(1)),
    }
}

fn part(state: &State, mischief: &Mischief, order: u32, number: u8, fate: Fate, cost: bool, now: i64) -> Option<Made> {
    let key = u64::from(state.source(order)) ^ (u64::from(number) << 40);
    let left = left(state, order);
    let pick = usize::try_from(mischief.pick("which comes back", key, left.len() as u64)).unwrap_or(0);
    let (shipment, place, units) = left.get(pick).copied()?;
    let units = 1 + i32::try_from(mischief.pick("how many come back", key, units.unsigned_abs().into())).unwrap_or(0);
    let sold = state.order(order).0;
    // A twentieth of what the unit had cost is kept back.
    let kept = if cost {
        let parcel = state.shipments.get(shipment)?;
        sold.currency.round(i128::from(state.back_worth(&sold, parcel, place, units).quoted) * 5, 100)
    } else {
        0
    };
    let wish = Wish {
        order,
        shipment,
        lines: vec![(place, units)],
        goods: goods(state, fate),
        shipping: Cost::Nothing,
        handling: Cost::Nothing,
        voucher: Cost::FromShipment,
        cost: kept,
        comment: (key % 3 == 0).then(|| "Too small".to_owned()),
        created: now,
        by: "AMS",
    };
    make(state, &wish).ok()
}

fn whole(state: &State, mischief: &Mischief, order: u32, number: u8, now: i64) -> Option<Made> {
    let key = u64::from(state.source(order)) ^ (u64::from(number) << 40);
    let left = left(state, order);
    let pick = usize::try_from(mischief.pick("which comes back whole", key, left.len() as u64)).unwrap_or(0);
    let (shipment, _, _) = left.get(pick).copied()?;
    let wish = Wish {
        order,
        shipment,
        lines: left.iter().filter(|(id, _, _)| *id == shipment).map(|(_, place, units)| (*place, *units)).collect(),
        goods: Goods::Release,
        shipping: Cost::FromShipment,
        handling: Cost::FromShipment,
        voucher: Cost::FromShipment,
        cost: 0,
        comment: None,
        created: now,
        by: "AMS",
    };
    make(state, &wish).ok()
}

/// Pays a return back, again where it failed; `false` while the provider has not answered.
fn refund(
    state: &mut State,
    mischief: &Mischief,
    one: &Returned,
    number: u8,
    store_credit: bool,
    now: i64,
) -> anyhow::Result<bool> {
    let order = one.made.order;
    if state.returns.open().any(|open| open.returned == Some(one.id)) {
        return Ok(false);
    }
    let amount = one.made.grand(state.order(order).0.tax_included);
    let given: i64 = state.returns.paid_for(one).filter(|paid| paid.counts()).map(|paid| paid.amount).sum();
    if given >= amount {
        state.record(Entry::Acted { order, act: number })?;
        return Ok(true);
    }
    let failed = state.returns.paid_for(one).any(|paid| paid.status == "FAILED");
    let refused = !failed && mischief.chance("the provider says no", u64::from(one.id.unsigned_abs()), REFUSED);
    let entries = pay_back(state, order, Some(one.id), amount - given, now, Way { store_credit, refused });
    state.record(Entry::Paid { entries, act: None })?;
    // It is looked at once more: only when the money has gone back is it done.
    Ok(false)
}

/// The shopper buys another item for what they got back.
fn exchange(state: &State, order: u32, now: i64, number: u8) -> Option<Entry> {
    let sold = state.base(order);
    let market = u32::try_from(sold.market).ok()?;
    let wanted = sold.lines.iter().find(|line| line.kind == LineKind::Product).and_then(|line| line.item)?;
    let items = u32::try_from(state.catalogue.items().len()).ok()?;
    // The next item that is no bundle and is there.
    let fits = |item: &u32| {
        state.item(*item).is_some_and(|found| found.components.is_empty()) && state.ledger.cell(*item, market).free() > 0
    };
    let item = (1..items.min(200)).map(|step| (wanted + step) % items).find(fits)?;
    state.catalogue.number_beyond(state.bought())?;
    let at = now.max(state.last_placed_at());
    let sale = Sale { market, lines: vec![(item, 1)] };
    Some(Entry::Bought { sale, at, fate: (false, false, false), act: Some((order, number)) })
}

/// One unit of a line of several that is in no shipment yet, or of one of several lines.
fn cancel(state: &State, order: u32, number: u8, now: i64) -> Option<Entry> {
    let (sold, life) = state.order(order);
    let open = matches!(life.status, Status::Confirmed | Status::Pending) && state.shipments.of(order).next().is_none();
    let several = sold.lines.iter().map(|line| line.ordered - line.cancelled).sum::<i32>() > 1;
    let shipped = |line: i32| state.ledger.share(line).is_some_and(|share| share.shipped > 0);
    let line = sold
        .lines
        .iter()
        .find(|line| line.kind == LineKind::Product && line.ordered > line.cancelled && line.unit > 0 && !shipped(line.id))?;
    let change = Change { cancel: vec![(line.id, 1)], ..Change::default() };
    (open && several).then_some(Entry::Changed { order, at: now, change: Box::new(change), planned: Some(number) })
}

/// What the cancelled units of an order had cost, with tax.
fn cancelled_worth(order: &Order) -> i64 {
    let worth = |line: &crate::data::Line| {
        let unit = crate::data::Taxed { quoted: line.unit, tax: order.tax_of(line.unit, line.rate) };
        order.with_tax(unit, true) * i64::from(line.cancelled)
    };
    order.lines.iter().filter(|line| !matches!(line.kind, LineKind::BundleItem(_))).map(worth).sum()
}
