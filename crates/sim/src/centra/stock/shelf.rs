//! Finding a size: by SKU, EAN, variant, product or size name, without walking through all of them.

use std::collections::HashMap;

use crate::data::{Catalogue, Item, ean};
use crate::mischief::{hash_text, mix};

const FOLDERS: [&str; 7] = ["Tops", "Knitwear", "Denim", "Shirts", "Dresses", "Outerwear", "Accessories"];
const COLLECTIONS: [&str; 3] = ["AW26", "SS27", "Carry-over"];

/// Look-ups over the items of the catalogue. SKUs are told apart byte by byte.
#[derive(Debug)]
pub struct Shelf {
    by_sku: HashMap<String, u32>,
    size_ids: HashMap<String, i32>,
    /// (variant, item), sorted.
    variants: Vec<(i32, u32)>,
    /// (product, item), sorted.
    products: Vec<(i32, u32)>,
    /// Whether some sizes have no EAN and some the EAN of their neighbour.
    pub odd_eans: bool,
    /// EANs that somebody wrote.
    eans: HashMap<u32, Option<String>>,
    /// UPCs that somebody wrote; no size has one at first.
    upcs: HashMap<u32, String>,
}

impl Shelf {
    /// Reads the catalogue once.
    pub fn new(catalogue: &Catalogue) -> Shelf {
        let items = || (0_u32..).zip(catalogue.items());
        let mut size_ids = HashMap::new();
        for (at, item) in items() {
            // One size per name: the first item that has it.
            size_ids.entry(item.size_name.clone()).or_insert_with(|| i32::try_from(at).unwrap_or(0).saturating_add(1));
        }
        let sorted = |id: fn(&Item) -> i32| {
            let mut pairs: Vec<(i32, u32)> = items().map(|(at, item)| (id(item), at)).collect();
            pairs.sort_unstable();
            pairs
        };
        Shelf {
            by_sku: items().map(|(at, item)| (item.sku.clone(), at)).collect(),
            size_ids,
            variants: sorted(|item| item.variant),
            products: sorted(|item| item.product),
            odd_eans: false,
            eans: HashMap::new(),
            upcs: HashMap::new(),
        }
    }

    /// Takes a size in that was made later, at an index beyond all known ones.
    pub fn add(&mut self, at: u32, item: &Item, ean: Option<String>) {
        self.by_sku.entry(item.sku.clone()).or_insert(at);
        self.size_ids.entry(item.size_name.clone()).or_insert_with(|| i32::try_from(at).unwrap_or(0).saturating_add(1));
        for (pairs, id) in [(&mut self.variants, item.variant), (&mut self.products, item.product)] {
            let place = pairs.partition_point(|pair| *pair < (id, at));
            pairs.insert(place, (id, at));
        }
        self.set_ean(at, ean);
    }

    /// Writes an EAN; an empty one is none.
    pub fn set_ean(&mut self, item: u32, ean: Option<String>) {
        self.eans.insert(item, ean.filter(|ean| !ean.is_empty()));
    }

    /// Writes a UPC; an empty one is none.
    pub fn set_upc(&mut self, item: u32, upc: Option<String>) {
        match upc.filter(|upc| !upc.is_empty()) {
            Some(upc) => self.upcs.insert(item, upc),
            None => self.upcs.remove(&item),
        };
    }

    /// The UPC of an item.
    pub fn upc(&self, item: u32) -> Option<&str> {
        self.upcs.get(&item).map(String::as_str)
    }

    /// The items with this UPC, by id.
    pub fn by_upc(&self, text: &str) -> Vec<u32> {
        let mut found: Vec<u32> = self.upcs.iter().filter(|(_, upc)| *upc == text).map(|(item, _)| *item).collect();
        found.sort_unstable();
        found
    }

    /// The ids of all products, each once, upwards.
    pub fn product_ids(&self) -> impl Iterator<Item = i32> + '_ {
        firsts(&self.products)
    }

    /// The ids of all variants, each once, upwards.
    pub fn variant_ids(&self) -> impl Iterator<Item = i32> + '_ {
        firsts(&self.variants)
    }

    /// The item with this SKU.
    pub fn sku(&self, sku: &str) -> Option<u32> {
        self.by_sku.get(sku).copied()
    }

    /// The id of a size name.
    pub fn size_id(&self, name: &str) -> Option<i32> {
        self.size_ids.get(name).copied()
    }

    /// The items of a variant, in the order of their sizes.
    pub fn of_variant(&self, id: i32) -> impl Iterator<Item = u32> + '_ {
        group(&self.variants, id)
    }

    /// The items of a product, by variant and size.
    pub fn of_product(&self, id: i32) -> impl Iterator<Item = u32> + '_ {
        group(&self.products, id)
    }

    /// The EAN of an item. Where EANs are odd, every 97th has none and every 89th its predecessor's.
    pub fn ean(&self, item: u32) -> Option<String> {
        if let Some(written) = self.eans.get(&item) {
            return written.clone();
        }
        let id = item + 1;
        match self.odd_eans {
            true if id.is_multiple_of(97) => None,
            true if id.is_multiple_of(89) => Some(ean(id - 1)),
            _ => Some(ean(id)),
        }
    }

    /// The items with this EAN, of `count` items, by id: nobody sees to it that there is but one.
    pub fn by_ean(&self, text: &str, count: usize) -> Vec<u32> {
        let id = text.strip_prefix("7340").and_then(|rest| rest.get(..rest.len().checked_sub(1)?)?.parse::<u32>().ok());
        let near = id.into_iter().flat_map(|id| [id.wrapping_sub(1), id]).filter(|at| !self.eans.contains_key(at));
        let mut found: Vec<u32> = near.chain(self.eans.keys().copied()).collect();
        found.retain(|at| (*at as usize) < count && self.ean(*at).as_deref() == Some(text));
        found.sort_unstable();
        found
    }
}

fn firsts(pairs: &[(i32, u32)]) -> impl Iterator<Item = i32> + '_ {
    let mut last = None;
    pairs.iter().map(|(id, _)| *id).filter(move |id| last.replace(*id) != Some(*id))
}

fn group(pairs: &[(i32, u32)], id: i32) -> impl Iterator<Item = u32> + '_ {
    let from = pairs.partition_point(|(known, _)| *known < id);
    pairs.get(from..).unwrap_or(&[]).iter().take_while(move |(known, _)| *known == id).map(|(_, item)| *item)
}

/// What a unit of a variant costs, in mills of a euro: 2 to 82 euro, the same in every world; `None` for one in 41.
pub fn unit_cost(item: &Item) -> Option<i64> {
    let dice = mix(hash_text("unit cost") ^ u64::from(item.variant.unsigned_abs()));
    (!dice.is_multiple_of(41)).then(|| 2_000 + i64::try_from(dice % 8_000).unwrap_or(0) * 10)
}

/// The folder of a product: (id, name).
pub fn folder(item: &Item) -> (i32, &'static str) {
    pick(&FOLDERS, item.product)
}

/// The collection of a product: (id, name).
pub fn collection(item: &Item) -> (i32, &'static str) {
    pick(&COLLECTIONS, item.product)
}

fn pick(names: &[&'static str], product: i32) -> (i32, &'static str) {
    let at = product.unsigned_abs() as usize % names.len().max(1);
    (i32::try_from(at).unwrap_or(0) + 1, names.get(at).copied().unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Source;

    #[test]
    fn every_item_is_found_by_what_it_shows() {
        let catalogue = Catalogue::open(1, &Source::Generated { orders: 1 }).unwrap();
        let mut shelf = Shelf::new(&catalogue);
        let count = catalogue.items().len();
        for odd in [false, true] {
            shelf.odd_eans = odd;
            let (mut none, mut two) = (0, 0);
            for (at, item) in (0..).zip(catalogue.items()) {
                assert_eq!(shelf.sku(&item.sku), Some(at));
                assert!(shelf.of_variant(item.variant).any(|other| other == at));
                assert!(shelf.of_product(item.product).any(|other| other == at));
                match shelf.ean(at) {
                    None => none += 1,
                    Some(ean) => {
                        let found = shelf.by_ean(&ean, count);
                        assert!(found.contains(&at));
                        two += usize::from(found.len() == 2);
                    }
                }
            }
            assert_eq!((none > 0, two > 0), (odd, odd));
        }
        assert_eq!(shelf.by_ean("7340", count), Vec::<u32>::new());
        assert_eq!(shelf.by_ean("nonsense", count), Vec::<u32>::new());
        assert_eq!(shelf.sku("nonsense"), None);
        let missing = catalogue.items().iter().filter(|item| unit_cost(item).is_none()).count();
        assert!(missing > 0 && missing * 10 < count, "{missing}");
    }
}
