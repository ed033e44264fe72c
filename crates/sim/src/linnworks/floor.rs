//! The warehouse behind it: picks what is open, whole or in parts, and hands it to carriers.
//!
//! What happens to an order depends on the seed and its number alone, and one step does one thing to each order.

use crate::mischief::{Mischief, mix};

use super::Options;
use super::state::{Line, Order, State, uuid_of};

/// The most orders that one step touches.
const STEP_MAX: usize = 200;

/// One step. Returns how many things happened. `tells`: whether somebody enters tracking numbers.
pub fn step(state: &mut State, mischief: &Mischief, options: &Options, tells: bool, now: i64) -> anyhow::Result<usize> {
    let due: Vec<i64> = state
        .orders
        .values()
        .filter(|order| order.is_open() && !is_short(order, mischief, options) || tells && !order.tracking_later.is_empty())
        .filter(|order| order.updated < now)
        .map(|order| order.number)
        .take(STEP_MAX)
        .collect();
    let mut done = 0;
    for number in due {
        let Some(order) = state.orders.get(&number).cloned() else { continue };
        done += 1;
        if !order.tracking_later.is_empty() {
            let mut told = order;
            told.tracking = std::mem::take(&mut told.tracking_later);
            told.updated = now;
            state.put(told)?;
        } else if wants_split(&order, mischief) {
            split(state, order, now)?;
        } else {
            process(state, order, mischief, options, tells, now)?;
        }
    }
    Ok(done)
}

/// Whether nobody ever picks this part.
fn is_short(order: &Order, mischief: &Mischief, options: &Options) -> bool {
    order.split && mischief.pick("short", number(order), 1_000) < u64::from(options.short_share)
}

fn number(order: &Order) -> u64 {
    order.number.unsigned_abs()
}

fn wants_split(order: &Order, mischief: &Mischief) -> bool {
    let units: i64 = order.lines.iter().map(|line| line.quantity).sum();
    !order.split && units > 1 && mischief.pick("split", number(order), 5) == 0
}

/// A unit of the last line becomes an order of its own, with the same reference.
pub fn split(state: &mut State, mut order: Order, now: i64) -> anyhow::Result<()> {
    let fresh = state.next_number();
    let Some(last) = order.lines.last_mut() else { return Ok(()) };
    let part = Line { quantity: 1, row: uuid_of("row", mix(fresh.unsigned_abs())), ..last.clone() };
    last.quantity -= 1;
    order.lines.retain(|line| line.quantity > 0);
    order.split = true;
    order.updated = now;
    let other = Order {
        id: uuid_of("order", fresh.unsigned_abs()),
        number: fresh,
        lines: vec![part],
        // It waits for its turn.
        updated: now,
        ..order.clone()
    };
    state.put(order)?;
    state.put(other)
}

fn process(
    state: &mut State,
    mut order: Order,
    mischief: &Mischief,
    options: &Options,
    tells: bool,
    now: i64,
) -> anyhow::Result<()> {
    for line in order.lines.iter().filter(|line| !line.unlinked) {
        take(state, &line.sku, line.quantity, &order.location)?;
    }
    let parcels = if mischief.pick("parcels", number(&order), 8) == 0 { 2 } else { 1 };
    let wrong = mischief.pick("bad tracking", number(&order), 1_000) < u64::from(options.bad_tracking_share);
    let numbers: Vec<String> = (0..parcels).map(|nth| s10(number(&order) * 4 + nth, wrong)).collect();
    match mischief.pick("late tracking", number(&order), 10) {
        _ if !tells => order.tracking_later = numbers,
        0 => order.tracking_later = numbers,
        _ => order.tracking = numbers,
    }
    order.vendor = "Royal Mail".to_owned();
    order.processed = Some(now);
    order.updated = now;
    state.put(order)
}

/// Takes units off a level; of a composite, off its parts.
fn take(state: &mut State, sku: &str, units: i64, location: &str) -> anyhow::Result<()> {
    let Some(mut stocked) = state.items.get(sku).cloned() else { return Ok(()) };
    if stocked.item.parts.is_empty() {
        *stocked.item.stock.entry(location.to_owned()).or_default() -= units;
        return state.put_item(stocked);
    }
    for (part, each) in stocked.item.parts {
        take(state, &part, units * i64::from(each), location)?;
    }
    Ok(())
}

/// A number of the posts' common form, with its check digit right or off by one.
pub fn s10(number: u64, wrong: bool) -> String {
    let eight = format!("{:08}", mix(number) % 100_000_000);
    let sum: u64 = eight.bytes().zip([8, 6, 4, 2, 3, 5, 9, 7]).map(|(digit, weight)| u64::from(digit - b'0') * weight).sum();
    let check = match 11 - sum % 11 {
        10 => 0,
        11 => 5,
        other => other,
    };
    let check = if wrong { (check + 1) % 10 } else { check };
    format!("RB{eight}{check}GB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tracking_number_has_its_check_digit() {
        // RB 12345678 5 GB is the papers' own example.
        let sum: u64 = "12345678".bytes().zip([8, 6, 4, 2, 3, 5, 9, 7]).map(|(d, w)| u64::from(d - b'0') * w).sum();
        assert_eq!(11 - sum % 11, 5);
        assert_eq!(s10(7, false).len(), 13);
        assert_ne!(s10(7, false), s10(7, true));
    }
}
