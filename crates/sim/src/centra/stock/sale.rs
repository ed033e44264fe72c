//! Orders that are not in the catalogue: somebody bought just this, just now.

use serde::{Deserialize, Serialize};

use crate::data::{Catalogue, Discount, Line, LineKind, Order, Payment};

use super::ledger::Want;
use super::shelf;

/// What was bought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sale {
    /// Index of the market.
    pub market: u32,
    /// (index of the item, units).
    pub lines: Vec<(u32, i32)>,
}

impl Sale {
    /// The units that it takes from the warehouse; the ids of the lines are those it will have as the order at `index`.
    pub fn wants(&self, catalogue: &Catalogue, index: u32) -> Vec<Want> {
        let mut wants = Vec::new();
        let mut place = 0;
        let mut want = |item: u32, units: i32, sold: bool| {
            if sold {
                wants.push(Want { line: Catalogue::line_id(index, place), item, units });
            }
            place += 1;
        };
        for (at, units) in &self.lines {
            let parts = components(catalogue, *at);
            want(*at, *units, parts.is_empty());
            for (part, each) in parts {
                want(*part, each * units, true);
            }
        }
        wants
    }

    /// How many lines the order has, the parts of bundles counted.
    pub fn line_count(&self, catalogue: &Catalogue) -> usize {
        self.lines.iter().map(|(at, _)| 1 + components(catalogue, *at).len()).sum()
    }

    /// The order as it stands in Centra, at `extra` beyond the catalogue's own. It borrows the shopper, the address and
    /// the way of sending from one of the catalogue's orders in the same market; each unit costs two and a half times
    /// what it costs the shop.
    pub fn order(&self, catalogue: &Catalogue, extra: u32) -> Order {
        let index = catalogue.orders().saturating_add(extra);
        let mut order = self.template(catalogue, extra);
        let market = self.market as usize;
        if let Some(found) = catalogue.markets().get(market) {
            order.currency = found.currency;
            order.tax_included = found.tax_included;
        }
        order.market = market;
        order.number = catalogue.number_beyond(extra).unwrap_or(0);
        order.created = None;
        order.discounts = Vec::<Discount>::new();
        order.comment = String::new();
        order.lines = Vec::new();
        for (at, units) in &self.lines {
            let parts = components(catalogue, *at);
            let bundle = order.lines.len();
            let price = |item: u32| price(catalogue, &order, item);
            let whole = if parts.is_empty() {
                price(*at)
            } else {
                parts.iter().map(|(part, each)| price(*part) * i64::from(*each)).sum()
            };
            let kind = if parts.is_empty() { LineKind::Product } else { LineKind::Bundle };
            let mut made = vec![(kind, *at, *units, whole)];
            made.extend(parts.iter().map(|(part, each)| (LineKind::BundleItem(bundle), *part, each * units, price(*part))));
            for (kind, item, ordered, unit) in made {
                order.lines.push(Line {
                    id: Catalogue::line_id(index, order.lines.len()),
                    kind,
                    item: Some(item),
                    ordered,
                    cancelled: 0,
                    unit_original: unit,
                    unit,
                    rate: order.rate,
                    comment: None,
                });
            }
        }
        let id = i32::try_from(index).unwrap_or(0) * 8 + 1;
        let amount = order.totals().grand;
        order.payments = vec![Payment { id, entry_type: "AUTH", reference: format!("SALE{index:012}"), amount }];
        order
    }

    fn template(&self, catalogue: &Catalogue, extra: u32) -> Order {
        // A generated order can be made for any index; a folder's must be there.
        let span = if catalogue.has_own_times() { catalogue.orders().max(1) } else { catalogue.orders().max(500) };
        let at = |step: u32| catalogue.order(extra.wrapping_mul(7).wrapping_add(step) % span);
        (0..200).map(at).find(|order| order.market == self.market as usize).unwrap_or_else(|| at(0))
    }
}

fn components(catalogue: &Catalogue, item: u32) -> &[(u32, i32)] {
    catalogue.items().get(item as usize).map_or(&[], |item| &item.components)
}

fn price(catalogue: &Catalogue, order: &Order, item: u32) -> i64 {
    let cost = catalogue.items().get(item as usize).and_then(shelf::unit_cost).unwrap_or(10_000);
    let worth = match order.currency.code {
        "SEK" => 11,
        "JPY" => 160,
        _ => 1,
    };
    order.currency.round(i128::from(cost) * 5 * worth, 2)
}
