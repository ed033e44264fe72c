//! A flash sale: many orders in bursts for a few items that are soon sold out, and a busy shop floor meanwhile.

use super::generated::{Dice, line_id, local_price};
use super::stock::Shelves;
use super::*;

/// The sale.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flash {
    skus: u32,
    orders: u32,
}

/// Orders in each second of a burst; then it begins again.
const BURST: [u64; 10] = [50, 50, 35, 20, 10, 5, 5, 10, 20, 35];
/// Orders in one burst.
const BURST_ORDERS: u64 = 240;
/// How long a burst takes, in milliseconds.
const BURST_TIME: u64 = 10_000;
/// Events on the shop floor in a second.
const FLOOR_PACE: u64 = 3;

/// How wanted an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// One item in a hundred, four lines in ten.
    Hot,
    /// One item in ten, three lines in ten.
    Warm,
    /// The rest.
    Cold,
}

impl Flash {
    /// How many orders are placed in the first so many milliseconds.
    fn due(self, millis: u64) -> u32 {
        let (bursts, rest) = (millis / BURST_TIME, millis % BURST_TIME);
        let mut due = bursts.saturating_mul(BURST_ORDERS);
        for (second, orders) in (0_u64..).zip(BURST) {
            due += orders * rest.saturating_sub(second * 1_000).min(1_000) / 1_000;
        }
        u32::try_from(due).unwrap_or(u32::MAX).min(self.orders)
    }

    /// The first millisecond at which so many orders are placed.
    fn reached(self, orders: u32) -> u64 {
        let bursts = u64::from(orders.min(self.orders)) / BURST_ORDERS;
        let mut low = bursts * BURST_TIME;
        let mut high = low + BURST_TIME;
        while low < high {
            let middle = low.midpoint(high);
            if self.due(middle) < orders.min(self.orders) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The numbers of hot and of warm items; hot ones come first.
    fn groups(self) -> (u32, u32) {
        let hot = (self.skus / 100).max(1);
        (hot, (self.skus / 10).min(self.skus - hot))
    }

    fn wanted(self, item: u32) -> Wanted {
        let (hot, warm) = self.groups();
        match item {
            item if item < hot => Wanted::Hot,
            item if item < hot + warm => Wanted::Warm,
            _ => Wanted::Cold,
        }
    }

    fn pick(self, dice: &mut Dice) -> u32 {
        let (hot, warm) = self.groups();
        let (from, count) = match dice.below(10) {
            0..4 => (0, hot),
            4..7 => (hot, warm),
            _ => (hot + warm, self.skus - hot - warm),
        };
        if count == 0 {
            return u32::try_from(dice.below(self.skus as usize)).unwrap_or(0);
        }
        from + u32::try_from(dice.below(count as usize)).unwrap_or(0)
    }

    /// What there is at first, and what happens on the floor over the same seconds.
    pub(super) fn shelves(self, seed: u64) -> Shelves {
        let (hot, warm) = self.groups();
        // An order takes three units on average.
        let asked = |share: i64, items: u32| 3 * i64::from(self.orders) * share / 10 / i64::from(items.max(1));
        let mut shelves = Shelves::default();
        let mut left: Vec<i64> = Vec::with_capacity(self.skus as usize);
        for item in 0..self.skus {
            let mut dice = Dice::new(seed, hash_text("opening"), u64::from(item));
            let quantity = match self.wanted(item) {
                // Less than half of what will be asked for.
                Wanted::Hot => 3 + asked(4, hot) * (20 + dice.units(30)) / 100,
                Wanted::Warm => 2 + asked(3, warm) + dice.units(10),
                Wanted::Cold => 3 + dice.units(20),
            };
            shelves.opening.push(Opening { item, market: 0, quantity });
            left.push(quantity);
        }
        let end = self.reached(self.orders);
        for number in 0..end * FLOOR_PACE / 1_000 {
            let mut dice = Dice::new(seed, hash_text("floor"), number);
            let item = self.pick(&mut dice);
            let Some(there) = left.get_mut(item as usize) else {
                continue;
            };
            // Nobody carries out of the shop what is not there, whatever was promised on the web.
            let sold = (1 + dice.units(2)).min(*there);
            let (why, units) =
                if dice.percent(75) && sold > 0 { ("sold over the counter", -sold) } else { ("delivery", 3 + dice.units(10)) };
            *there += units;
            let after = self.due(number * 1_000 / FLOOR_PACE);
            shelves.events.push(FloorEvent { after, why: why.to_owned(), moves: vec![(item, 0, units)] });
        }
        shelves
    }
}

impl Catalogue {
    /// A catalogue of a flash sale. Errors when it has no items, or more than a hundred thousand.
    pub(super) fn flash(seed: u64, skus: u32, orders: u64) -> anyhow::Result<Catalogue> {
        if !(1..=100_000).contains(&skus) {
            bail!("{skus} SKUs: a flash sale has 1 to 100000");
        }
        let flash = Flash { skus, orders: u32::try_from(orders)? };
        let mut catalogue = Self::generated(seed, orders);
        catalogue.markets.truncate(1);
        catalogue.bundles.clear();
        catalogue.singles = skus;
        catalogue.items = (1..)
            .zip(0..skus)
            .map(|(id, at)| {
                let sku = format!("FL{:05}", at + 1);
                let mut dice = Dice::new(seed, hash_text("flash item"), u64::from(at));
                Item {
                    product_number: sku.clone(),
                    variant_number: String::new(),
                    size_number: String::new(),
                    product_name: format!("Drop No {}", at + 1),
                    variant_name: String::new(),
                    size_name: ONE_SIZE.to_owned(),
                    product: id,
                    variant: id,
                    euros: 20 + dice.units(180),
                    components: Vec::new(),
                    tax: TaxGroup::Standard,
                    sku,
                }
            })
            .collect();
        catalogue.shelves = flash.shelves(seed);
        catalogue.flash = Some(flash);
        Ok(catalogue)
    }

    /// How many orders are placed `elapsed` after the moment at which `from` of them were, where the data have a rhythm of their
    /// own (a flash sale: bursts of up to 50 a second).
    pub fn rhythm(&self, from: u32, elapsed: std::time::Duration) -> Option<u32> {
        let flash = self.flash?;
        let elapsed = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        Some(flash.due(flash.reached(from).saturating_add(elapsed)))
    }

    /// One to three lines of one or two units.
    pub(super) fn flash_lines(&self, flash: Flash, index: u32, order: &mut Order, rate: i64) {
        let mut dice = Dice::new(self.seed, hash_text("flash lines"), u64::from(index));
        for _ in 0..=dice.below(3) {
            let at = flash.pick(&mut dice);
            let Some(item) = self.items.get(at as usize).filter(|_| order.lines.iter().all(|line| line.item != Some(at))) else {
                continue;
            };
            let unit = local_price(order.currency, item.euros);
            order.lines.push(Line {
                id: line_id(index, order.lines.len()),
                kind: LineKind::Product,
                item: Some(at),
                ordered: 1 + i32::from(dice.percent(50)),
                cancelled: 0,
                unit_original: unit,
                unit,
                rate,
                comment: None,
            });
        }
    }
}
