//! What an item is beyond its names: barcode, weight, customs code, origin, price. All of it is the same in every world
//! that has the item, so that the shop and the warehouses behind it tell the same without asking each other.

use super::*;

/// (customs code, origin) of goods, as a brand's customs broker would hand them over. Codes have 6, 8 or 10 digits.
const CUSTOMS: &[(&str, &str)] = &[
    ("61091000", "PT"),
    ("61101130", "IT"),
    ("6203423500", "TR"),
    ("62052000", "LT"),
    ("62044200", "PT"),
    ("620193", "CN"),
    ("6104530000", "BD"),
    ("65050030", "SE"),
];

impl Item {
    fn dice(&self, what: &str) -> u64 {
        mix(hash_text(what) ^ hash_text(&self.product_number))
    }

    /// Harmonised System code of the product.
    pub fn hs_code(&self) -> &'static str {
        self.customs().0
    }

    /// Country of origin of the product, ISO 3166-1 alpha-2.
    pub fn origin(&self) -> &'static str {
        self.customs().1
    }

    fn customs(&self) -> (&'static str, &'static str) {
        let at = self.dice("customs") % u64::try_from(CUSTOMS.len()).unwrap_or(1);
        usize::try_from(at).ok().and_then(|at| CUSTOMS.get(at)).copied().unwrap_or(("610910", "PT"))
    }

    /// Weight of one unit of the product by itself, in grams: 80 to 1,475.
    fn own_weight(&self) -> u32 {
        80 + 5 * u32::try_from(self.dice("weight") % 280).unwrap_or(0)
    }
}

impl Catalogue {
    /// What a unit of the item at an index weighs, in grams; a bundle as much as its parts.
    pub fn weight_grams(&self, item: u32) -> u32 {
        let Some(known) = self.items.get(item as usize) else { return 0 };
        if known.components.is_empty() {
            return known.own_weight();
        }
        known.components.iter().map(|(part, units)| self.weight_grams(*part).saturating_mul(units.unsigned_abs())).sum()
    }

    /// The EAN-13 of the item at an index.
    pub fn barcode(&self, item: u32) -> Option<String> {
        self.items.get(item as usize).map(|_| ean(item + 1))
    }

    /// What a unit of an item costs in the price list of a market (both by index), in mills, tax as in the market; `None`
    /// where no price is set: of a folder's items that were never sold for money.
    pub fn price(&self, item: u32, market: usize) -> Option<i64> {
        let (known, market) = (self.items.get(item as usize)?, self.markets.get(market)?);
        match &self.source {
            Orders::Generated(_) => Some(generated::local_price(market.currency, known.euros)),
            Orders::Folder(folder) => folder.prices.get(item as usize).copied().filter(|mills| *mills > 0),
        }
    }
}

/// What each item cost when it was last sold for money, as whole coins; nought for the rest. `lines` are in the order of time.
pub(super) fn last_prices(items: usize, lines: &[DocLine], currency: Currency) -> Vec<i64> {
    let mut prices = vec![0; items];
    for line in lines {
        let mills = currency.round(i128::from(line.price), 1);
        if let Some(price) = prices.get_mut(line.item as usize).filter(|_| mills > 0) {
            *price = mills;
        }
    }
    prices
}

/// An EAN-13 made from a number.
pub fn ean(id: u32) -> String {
    let twelve = format!("7340{id:08}");
    let sum: u32 = twelve.bytes().zip([1, 3].into_iter().cycle()).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    format!("{twelve}{}", (10 - sum % 10) % 10)
}

#[cfg(test)]
mod tests {
    use super::{super::tests::sample, *};

    #[test]
    fn an_ean_has_its_check_digit() {
        for id in [1, 12_345, 99_999_999] {
            assert_eq!(ean(id).len(), 13);
            let sum: u32 = ean(id).bytes().zip([1, 3].into_iter().cycle()).map(|(d, w)| u32::from(d - b'0') * w).sum();
            assert_eq!(sum % 10, 0);
        }
    }

    #[test]
    fn every_item_is_known_well_enough_for_a_strict_warehouse() {
        for source in [Source::Generated { orders: 1 }, Source::Flash { skus: 300, orders: 1 }, sample()] {
            let catalogue = Catalogue::open(1, &source).unwrap();
            let mut barcodes = std::collections::HashSet::new();
            for (at, item) in (0..).zip(catalogue.items()) {
                assert!(catalogue.weight_grams(at) >= 80);
                assert!(matches!(item.hs_code().len(), 6 | 8 | 10) && item.hs_code().bytes().all(|b| b.is_ascii_digit()));
                assert!(item.origin().len() == 2);
                assert!(barcodes.insert(catalogue.barcode(at).unwrap()), "{}", item.sku);
            }
        }
    }

    #[test]
    fn what_a_line_costs_is_what_the_price_list_says() {
        let catalogue = Catalogue::open(3, &Source::Generated { orders: 200 }).unwrap();
        for order in (0..200).map(|index| catalogue.order(index)) {
            for line in order.lines.iter().filter(|line| !matches!(line.kind, LineKind::GiftCertificate)) {
                assert_eq!(catalogue.price(line.item.unwrap(), order.market), Some(line.unit_original));
            }
        }
        let folder = Catalogue::open(1, &sample()).unwrap();
        let priced = (0..).zip(folder.items()).filter(|(at, _)| folder.price(*at, 0).is_some()).count();
        assert!(priced > 0);
        assert!((0..).zip(folder.items()).filter_map(|(at, _)| folder.price(at, 0)).all(|mills| mills % 10 == 0));
        assert_eq!(folder.price(0, 1), None, "there is one market");
    }
}
