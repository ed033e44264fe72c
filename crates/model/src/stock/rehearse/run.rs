//! Plays one scenario.
//!
//! Nothing happens between two events, so nothing is computed there: at each order line it is worked out
//! which reading the shop's figure came from, and two sets of pointers walk to where the source was at that
//! reading and to where it truly is. Both only go forward, so a SKU costs time by its events and not by
//! its readings, of which a month has tens of thousands.

use rust_decimal::prelude::ToPrimitive;

use super::{
    super::{
        buffer::{self, Buffer, Rule},
        velocity,
    },
    Outcome, Quantity, Recording, Scenario, Staleness, Sync,
    recording::{Item, instant},
};

/// A recording and the room to play it in; nothing more is set aside while a SKU is played.
#[derive(Debug)]
pub struct Stage<'a> {
    recording: &'a Recording,
    /// Units of each line of the SKU at hand that were accepted.
    accepted: Vec<u32>,
    /// How old the figure was, for every line.
    ages: Vec<u64>,
    /// One bit an order: whether it was oversold.
    oversold: Vec<u64>,
}

impl<'a> Stage<'a> {
    /// Sets the room aside.
    pub fn new(recording: &'a Recording) -> Self {
        let orders = recording.order_count.unwrap_or(0) as usize;
        Self {
            recording,
            accepted: vec![0; recording.longest],
            ages: Vec::with_capacity(recording.order_at.len()),
            oversold: vec![0; orders.div_ceil(64)],
        }
    }

    /// Plays one scenario from the beginning.
    pub fn play(&mut self, scenario: &Scenario) -> Outcome {
        let recording = self.recording;
        let plan = Plan::new(scenario);
        let mut outcome = Outcome::default();
        self.ages.clear();
        self.oversold.fill(0);
        for item in &recording.items {
            let held = Held::of(&scenario.buffer, item, recording, scenario.window_ms());
            self.item(item, held, &plan, &mut outcome);
        }
        outcome.oversold_orders =
            recording.order_count.map(|_| self.oversold.iter().map(|bits| u64::from(bits.count_ones())).sum());
        outcome.staleness = staleness(&mut self.ages);
        outcome
    }

    fn item(&mut self, item: &Item, held: Held, plan: &Plan, outcome: &mut Outcome) {
        let recording = self.recording;
        let lines = Lines {
            at: &recording.order_at[item.orders.clone()],
            move_at: &recording.move_at[item.moves.clone()],
            delta: &recording.move_delta[item.moves.clone()],
        };
        let units = &recording.order_units[item.orders.clone()];
        let numbers = &recording.order_number[item.orders.clone()];
        let accepted = &mut self.accepted[..units.len()];
        accepted.fill(0);

        let mut truth = Truth::new(item.opening);
        let mut view = View::new(item.opening);
        let mut buffer = held.units(item.opening);
        // What the shop's figure was when it was last written, and what was sold since: only for a figure that overwrites.
        let (mut figure, mut since) = (item.opening - buffer, 0);
        let oversold_before = outcome.oversold;
        for (n, (&at, &wanted)) in lines.at.iter().zip(units).enumerate() {
            truth.walk(at, &lines, accepted, plan);
            let read = plan.read_by(at);
            if read != view.read {
                let changed = view.walk(read, &lines, accepted, plan);
                buffer = held.units(view.stated());
                if changed || plan.polls() {
                    (figure, since) = (view.stated() - buffer, 0);
                }
            }
            self.ages.push((at - read.max(0)).unsigned_abs());
            outcome.wanted += u64::from(wanted);
            let (line, wanted) = (u64::from(wanted), i64::from(wanted));
            let shown = if plan.aware { view.moved - truth.sold - buffer } else { figure - since };
            if !plan.shop_checks || shown >= wanted {
                let over = wanted - truth.there().clamp(0, wanted);
                if over > 0 {
                    outcome.oversold += over.unsigned_abs();
                    outcome.oversold_lines += 1;
                    let number = numbers[n] as usize;
                    if let Some(bits) = self.oversold.get_mut(number / 64) {
                        *bits |= 1 << (number % 64);
                    }
                }
                accepted[n] = units[n];
                outcome.sold += line;
                truth.sold += wanted;
                since += wanted;
            } else if truth.there() < wanted {
                outcome.lost_to_emptiness += line;
            } else if shown + buffer >= wanted {
                outcome.lost_to_buffer += line;
            } else {
                outcome.lost_to_staleness += line;
            }
        }
        truth.walk(recording.until, &lines, accepted, plan);
        view.walk(plan.read_by(recording.until), &lines, accepted, plan);

        outcome.oversold_skus += u64::from(outcome.oversold > oversold_before);
        outcome.sold_again += truth.sold_again;
        outcome.figures_written += view.written;
    }
}

/// The events of one SKU.
struct Lines<'a> {
    at: &'a [i64],
    move_at: &'a [i64],
    delta: &'a [i32],
}

/// What is truly there, and what the source believes.
struct Truth {
    /// The opening figure and every move until now.
    moved: i64,
    /// Units that the shop sold.
    sold: i64,
    /// Those of them that the source has taken in.
    taken_in: i64,
    next_move: usize,
    next_order: usize,
    sold_again: u64,
}

impl Truth {
    fn new(opening: i64) -> Self {
        Self { moved: opening, sold: 0, taken_in: 0, next_move: 0, next_order: 0, sold_again: 0 }
    }

    fn there(&self) -> i64 {
        self.moved - self.sold
    }

    /// Goes on to the end of this instant.
    fn walk(&mut self, until: i64, lines: &Lines<'_>, accepted: &[u32], plan: &Plan) {
        while let Some(&at) = lines.move_at.get(self.next_move).filter(|at| **at <= until) {
            let delta = i64::from(lines.delta[self.next_move]);
            self.next_move += 1;
            if delta < 0 {
                while lines.at.get(self.next_order).is_some_and(|order| order + plan.export <= at) {
                    self.taken_in += i64::from(accepted[self.next_order]);
                    self.next_order += 1;
                }
                // How far below nought it falls truly, and how far the source sees it fall: the rest was sold here first.
                let falls = |there: i64| (-(there + delta)).max(0) - (-there).max(0);
                self.sold_again += (falls(self.there()) - falls(self.moved - self.taken_in)).max(0).unsigned_abs();
            }
            self.moved += delta;
        }
    }
}

/// Where the source was at the reading that the shop's figure came from.
struct View {
    /// The instant of the reading; below nought: the shop still has the figure of the beginning.
    read: i64,
    /// The opening figure and the moves that the quantity shows by then.
    moved: i64,
    /// Units of the shop's own orders that the quantity no longer has by then.
    gone: i64,
    next_rise: usize,
    next_fall: usize,
    next_order: usize,
    /// Which writing the last change went into.
    written_at: i64,
    written: u64,
}

impl View {
    fn new(opening: i64) -> Self {
        Self { read: -1, moved: opening, gone: 0, next_rise: 0, next_fall: 0, next_order: 0, written_at: -1, written: 0 }
    }

    /// The figure that the source states.
    fn stated(&self) -> i64 {
        self.moved - self.gone
    }

    /// Goes on to a later reading; says whether the figure that the source states was touched.
    fn walk(&mut self, read: i64, lines: &Lines<'_>, accepted: &[u32], plan: &Plan) -> bool {
        self.read = read;
        let mut changed = false;
        loop {
            while lines.delta.get(self.next_rise).is_some_and(|delta| *delta <= 0) {
                self.next_rise += 1;
            }
            while lines.delta.get(self.next_fall).is_some_and(|delta| *delta >= 0) {
                self.next_fall += 1;
            }
            let rise = lines.move_at.get(self.next_rise).copied().unwrap_or(i64::MAX);
            let fall = lines.move_at.get(self.next_fall).map_or(i64::MAX, |at| at + plan.ship);
            let order = lines.at.get(self.next_order).map_or(i64::MAX, |at| at + plan.leave);
            let first = rise.min(fall).min(order);
            if first > read {
                return changed;
            }
            let counts = if first == rise {
                self.moved += i64::from(lines.delta[self.next_rise]);
                self.next_rise += 1;
                true
            } else if first == fall {
                self.moved += i64::from(lines.delta[self.next_fall]);
                self.next_fall += 1;
                true
            } else {
                let units = i64::from(accepted[self.next_order]);
                self.gone += units;
                self.next_order += 1;
                changed |= units > 0;
                units > 0 && !plan.aware
            };
            if counts {
                changed = true;
                let written_at = plan.written_at(first);
                self.written += u64::from(written_at != self.written_at);
                self.written_at = written_at;
            }
        }
    }
}

/// A scenario in signed milliseconds.
struct Plan {
    sync: Sync,
    interval: i64,
    phase: i64,
    latency: i64,
    write: i64,
    export: i64,
    /// From a promise until the quantity shows it.
    ship: i64,
    /// From an order in the shop until the quantity shows it.
    leave: i64,
    aware: bool,
    shop_checks: bool,
    /// Of a poll: when a reading is lost. Of a push: when nothing arrives. In order, and apart from each other.
    closed: Vec<(i64, i64)>,
}

impl Plan {
    fn new(scenario: &Scenario) -> Self {
        let (interval, phase, latency) = match scenario.sync {
            Sync::Poll { interval_ms, phase_ms } => (instant(interval_ms).max(1), instant(phase_ms), 0),
            Sync::Push { latency_ms } => (1, 0, instant(latency_ms)),
        };
        let write = instant(scenario.write_latency_ms);
        let export = instant(scenario.export_delay_ms).max(1);
        let ship = match scenario.quantity {
            Quantity::Available => 0,
            Quantity::OnHand => instant(scenario.ship_delay_ms),
        };
        // A reading is lost when the outage touches any of the time until its figure is written.
        let before = if matches!(scenario.sync, Sync::Poll { .. }) { write } else { 0 };
        let outages = scenario.outages.iter().filter(|(from, to)| from < to);
        let mut closed: Vec<(i64, i64)> = outages.map(|(from, to)| (instant(*from) - before, instant(*to))).collect();
        closed.sort_unstable();
        closed.dedup_by(|next, last| {
            let meets = next.0 <= last.1;
            if meets {
                last.1 = last.1.max(next.1);
            }
            meets
        });
        let (aware, shop_checks) = (scenario.aware, scenario.shop_checks);
        Self {
            sync: scenario.sync,
            interval,
            phase,
            latency,
            write,
            export,
            ship,
            leave: export + ship,
            aware,
            shop_checks,
            closed,
        }
    }

    fn polls(&self) -> bool {
        matches!(self.sync, Sync::Poll { .. })
    }

    fn closed_at(&self, moment: i64) -> Option<(i64, i64)> {
        let next = self.closed.partition_point(|(_, to)| *to <= moment);
        self.closed.get(next).copied().filter(|(from, _)| *from <= moment)
    }

    /// The reading that the shop's figure comes from at this instant; below nought: from none yet.
    fn read_by(&self, moment: i64) -> i64 {
        match self.sync {
            Sync::Push { .. } => {
                let arrived = self.closed_at(moment).map_or(moment, |(from, _)| from - 1);
                (arrived - self.latency - self.write).max(-1)
            }
            Sync::Poll { .. } => {
                let mut latest = moment - self.write;
                loop {
                    if latest < self.phase {
                        return -1;
                    }
                    let read = latest - (latest - self.phase) % self.interval;
                    match self.closed_at(read) {
                        Some((from, _)) => latest = from - 1,
                        None => return read,
                    }
                }
            }
        }
    }

    /// Which writing shows a change of this instant: changes of the same go together.
    fn written_at(&self, change: i64) -> i64 {
        match self.sync {
            Sync::Push { .. } => {
                let arrives = change + self.latency + self.write;
                self.closed_at(arrives).map_or(arrives, |(_, to)| to)
            }
            Sync::Poll { .. } => {
                let mut earliest = change;
                loop {
                    let late = (earliest - self.phase).max(0);
                    let read = self.phase + (late + self.interval - 1) / self.interval * self.interval;
                    match self.closed_at(read) {
                        Some((_, to)) => earliest = to,
                        None => return read,
                    }
                }
            }
        }
    }
}

/// What is held back of one SKU, as far as it can be worked out beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Units(i64),
    /// Millionths of what is stated.
    Share(i64),
}

impl Held {
    fn of(rules: &[Rule], item: &Item, recording: &Recording, window_ms: u64) -> Self {
        match buffer::winner(rules, &item.row).and_then(|index| rules.get(index)).map(|rule| rule.buffer) {
            None => Held::Units(0),
            Some(Buffer::Fixed(units)) => Held::Units(units.clamp(0, i64::MAX / 4)),
            Some(Buffer::Percent(percent)) => {
                let millionths = percent.checked_mul(10_000.into()).and_then(|share| share.ceil().to_i64());
                Held::Share(millionths.unwrap_or(SHARE).clamp(0, SHARE))
            }
            Some(Buffer::Velocity { quantile, least }) => {
                let units = velocity::quantile(quantile, &recording.prior, &item.row.demand, window_ms);
                Held::Units(units.max(least.clamp(0, i64::MAX / 4)))
            }
        }
    }

    fn units(self, stated: i64) -> i64 {
        match self {
            Held::Units(units) => units,
            Held::Share(share) => {
                let units = (i128::from(stated.max(0)) * i128::from(share) + i128::from(SHARE - 1)) / i128::from(SHARE);
                i64::try_from(units).unwrap_or(i64::MAX / 4)
            }
        }
    }
}

/// The whole, in millionths.
const SHARE: i64 = 1_000_000;

/// The ages in order of size are not needed, only which stand at two places.
fn staleness(ages: &mut [u64]) -> Option<Staleness> {
    let max_ms = ages.iter().copied().max()?;
    let mut at = |percent: usize| {
        let place = (ages.len() * percent).div_ceil(100).saturating_sub(1);
        *ages.select_nth_unstable(place).1
    };
    Some(Staleness { p50_ms: at(50), p99_ms: at(99), max_ms })
}
