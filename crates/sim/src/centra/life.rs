//! What happens in the shop by itself: orders are placed, holds end, somebody edits behind our back.

use crate::data::{Address, LineKind, Order};
use crate::mischief::{Mischief, Profile};

use super::state::{Change, Entry, State, Status};
use super::stock::wants;

/// An edit that will be made some time after the order was placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Which of the order's edits.
    pub number: u8,
    /// How long after placing, in milliseconds.
    pub after: i64,
    /// What is done.
    pub deed: Deed,
}

/// What a planned edit does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// It changes the order.
    Order(Box<Change>),
    /// Somebody corrects the stock of an item that the order wants, by so many units.
    Stock {
        /// Index of the item.
        item: u32,
        /// Index of the warehouse.
        warehouse: u32,
        /// Units more, or fewer.
        units: i64,
    },
}

/// The most orders placed in one step, so that one journal entry stays small.
pub const STEP: u32 = 1_000;

/// How many percent of the orders meet something, by profile.
struct Shares {
    twice: f64,
    held: f64,
    waiting: f64,
    touched: f64,
    line_cancelled: f64,
    cancelled: f64,
    stock_edited: f64,
}

fn shares(profile: Profile) -> Option<Shares> {
    match profile {
        Profile::None => None,
        Profile::Rough => Some(Shares {
            twice: 2.0,
            held: 0.5,
            waiting: 0.5,
            touched: 2.0,
            line_cancelled: 0.0,
            cancelled: 0.0,
            stock_edited: 0.0,
        }),
        Profile::Hostile => Some(Shares {
            twice: 10.0,
            held: 2.0,
            waiting: 2.0,
            touched: 8.0,
            line_cancelled: 3.0,
            cancelled: 2.0,
            stock_edited: 0.3,
        }),
    }
}

/// Whether an order's event is queued twice, it starts on hold, it waits for its payment. `source` is its index in the
/// catalogue, or beyond its end.
pub fn fate(mischief: &Mischief, source: u32) -> (bool, bool, bool) {
    let of = |what: &str, percent: f64| mischief.chance(what, u64::from(source), percent);
    shares(mischief.profile()).map_or((false, false, false), |shares| {
        (of("event twice", shares.twice), of("held", shares.held), of("waiting", shares.waiting))
    })
}

/// The entry that places orders `from..to` of the catalogue, except those that are `refused`.
pub fn placing(mischief: &Mischief, from: u32, to: u32, at: i64, refused: Vec<u32>) -> Entry {
    let (mut twice, mut held, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    for source in from..to {
        let (again, on_hold, unpaid) = fate(mischief, source);
        twice.extend(again.then_some(source));
        held.extend(on_hold.then_some(source));
        waiting.extend(unpaid.then_some(source));
    }
    Entry::Placed { from, to, at, twice, held, waiting, refused }
}

/// The edits that await a placed order. They depend on the seed and the order only. `source` is its index in the
/// catalogue, or beyond its end; `make` makes it as it was placed.
pub fn plans(mischief: &Mischief, source: u32, make: impl Fn() -> Order) -> Vec<Planned> {
    let Some(shares) = shares(mischief.profile()) else {
        return Vec::new();
    };
    let key = u64::from(source);
    let delay = |what: &str, least: i64, span: u64| least + i64::try_from(mischief.pick(what, key, span)).unwrap_or(0);
    let mut plans = Vec::new();
    let (held, waiting) = (mischief.chance("held", key, shares.held), mischief.chance("waiting", key, shares.waiting));
    if held || waiting {
        plans.push(Planned {
            number: 0,
            after: delay("release", 2_000, 4_000),
            deed: Deed::Order(Box::new(Change {
                on_hold: held.then_some(false),
                waiting_for_payment: waiting.then_some(false),
                ..Change::default()
            })),
        });
    }
    if mischief.chance("touched", key, shares.touched) {
        let mut change = Change::default();
        match mischief.pick("touch", key, 3) {
            0 => {
                change.shipping = Some(Address { phone: Some(format!("+46 8 555 {:03}", key % 1_000)), ..Address::default() });
            }
            1 => {
                change.shipping =
                    Some(Address { address2: Some(format!("c/o Efterträdare, våning {}", key % 9)), ..Address::default() });
            }
            _ => change.comment = Some("Changed my mind: please wrap it ✨".to_owned()),
        }
        plans.push(Planned { number: 1, after: delay("touch delay", 1_000, 9_000), deed: Deed::Order(Box::new(change)) });
    }
    if mischief.chance("line cancelled", key, shares.line_cancelled) {
        let made = make();
        let units: i32 = made.lines.iter().map(|line| line.ordered).sum();
        let line = made.lines.iter().find(|line| line.kind == LineKind::Product);
        if let Some(line) = line
            && units > 1
        {
            plans.push(Planned {
                number: 2,
                after: delay("line cancelled delay", 1_000, 14_000),
                deed: Deed::Order(Box::new(Change { cancel: vec![(line.id, 1)], ..Change::default() })),
            });
        }
    }
    if mischief.chance("cancelled", key, shares.cancelled) {
        // What was captured cannot be cancelled; it would have to come back as a return.
        let captured = make().payments.iter().any(|payment| payment.entry_type == "CAPTURE");
        if !captured {
            plans.push(Planned {
                number: 3,
                after: delay("cancelled delay", 1_000, 14_000),
                deed: Deed::Order(Box::new(Change { status: Some(Status::Cancelled), ..Change::default() })),
            });
        }
    }
    if mischief.chance("stock edited", key, shares.stock_edited) {
        let made = make();
        // A count of the shelf that found 1 to 4 units too few or too many.
        let pick = i64::try_from(mischief.pick("stock edit", key, 8)).unwrap_or(0);
        let units = if pick < 4 { pick - 4 } else { pick - 3 };
        if let Some(want) = wants(&made).next() {
            let warehouse = u32::try_from(made.market).unwrap_or(0);
            plans.push(Planned {
                number: 4,
                after: delay("stock edit delay", 1_000, 14_000),
                deed: Deed::Stock { item: want.item, warehouse, units },
            });
        }
    }
    plans
}

/// All edits not yet made in orders `from..to`, as (due in milliseconds since 1970, order, edit).
pub fn pending(state: &State, mischief: &Mischief, from: u32, to: u32) -> Vec<(i64, u32, Planned)> {
    let mut found = Vec::new();
    if mischief.profile() == Profile::None {
        return found;
    }
    for order in from..to {
        for plan in plans(mischief, state.source(order), || state.base(order)) {
            if !state.is_done(order, plan.number) {
                found.push((state.life(order).placed + plan.after, order, plan));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Catalogue, Source};

    fn change(plan: &Planned) -> Change {
        match &plan.deed {
            Deed::Order(change) => (**change).clone(),
            Deed::Stock { .. } => Change::default(),
        }
    }

    #[test]
    fn rough_edits_touch_no_money_and_holds_always_end() {
        let catalogue = Catalogue::open(9, &Source::Generated { orders: 5_000 }).unwrap();
        let mischief = Mischief::new(9, Profile::Rough, "centra");
        let Entry::Placed { held, waiting, .. } = placing(&mischief, 0, 5_000, 0, Vec::new()) else {
            panic!("placing places");
        };
        assert!(!held.is_empty() && !waiting.is_empty());
        let mut touched = 0;
        for order in 0..5_000 {
            let plans = plans(&mischief, order, || catalogue.order(order));
            for plan in &plans {
                assert!(matches!(plan.deed, Deed::Order(_)), "nobody but Centra and us touches the stock");
                assert!(change(plan).cancel.is_empty() && change(plan).status.is_none());
                touched += usize::from(plan.number == 1);
            }
            assert_eq!(held.contains(&order), plans.iter().any(|p| change(p).on_hold == Some(false)));
            assert_eq!(waiting.contains(&order), plans.iter().any(|p| change(p).waiting_for_payment == Some(false)));
        }
        assert!((60..140).contains(&touched), "{touched}");
    }

    #[test]
    fn hostile_edits_cancel_but_never_what_was_captured() {
        let catalogue = Catalogue::open(9, &Source::Generated { orders: 2_000 }).unwrap();
        let mischief = Mischief::new(9, Profile::Hostile, "centra");
        let (mut cancelled, mut counted) = (0, 0);
        for order in 0..2_000 {
            for plan in plans(&mischief, order, || catalogue.order(order)) {
                counted += usize::from(matches!(plan.deed, Deed::Stock { .. }));
                if change(&plan).status == Some(Status::Cancelled) {
                    cancelled += 1;
                    let made = catalogue.order(order);
                    assert!(made.payments.iter().all(|p| p.entry_type != "CAPTURE"));
                }
            }
        }
        assert!(cancelled > 10);
        assert!((1..20).contains(&counted), "{counted}");
    }
}
