//! The port: which sizes changed, that they exist, and how they stand now.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::{Timestamp, tz::TimeZone};
use selvedge_connector::{Cursor, Decoded, Enumerated, EnumeratedPage, Fault, Page, Priority, Raw, Source};
use selvedge_model::{ExternalId, Interval, Kind, Product, RecordKey, gate::Values, moment};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{
    super::{
        graphql::{Api, Reply},
        operations::{self, Operation},
        orders::{fnv, instant},
        settings::Settings,
        wire::id_text,
    },
    decode::{dates, decode_product, sku_of},
};

/// The most products or variants per page, each with all of its sizes.
const GROUP_PAGE_MAX: u32 = 20;
/// The same when no more than ids and dates are asked for.
const LIGHT_GROUP_PAGE: u32 = 50;
/// Sizes per page of an enumeration: the most that Centra gives.
const LIGHT_PAGE: u32 = 200;

/// Reads the products of one instance.
///
/// A reading goes first through the sizes that changed, then through the products and variants that did, as neither dates
/// its sizes. Pages are numbered, in the order of ids, over a window without an end: a row that changes meanwhile stays in
/// it, so that none is passed over; one may show twice. What is *deleted* meanwhile moves the rest up by one, which the
/// next sweep finds.
#[derive(Debug)]
pub struct ProductSource {
    api: Arc<Api>,
    zone: TimeZone,
    page_size: u32,
}

impl ProductSource {
    /// For one instance.
    pub fn new(api: Arc<Api>, settings: &Settings) -> Self {
        Self { api, zone: settings.zones.instance.clone(), page_size: settings.product_page_size }
    }

    async fn ask(&self, operation: &'static Operation, place: Place, limit: u32, window: &Interval) -> Result<Reply, Fault> {
        let variables = json!({ "from": instant(window.from, false), "limit": limit, "page": place.page });
        self.api.ask(operation, variables, place.what(), place.priority).await
    }
}

/// `productSizes`, one by one, so that an odd one does not take the page with it.
#[derive(Debug, Deserialize)]
struct Sizes<'a> {
    #[serde(rename = "productSizes", borrow)]
    sizes: Vec<&'a RawValue>,
}

/// `products` and `productVariants`.
#[derive(Debug, Deserialize)]
struct Groups<'a> {
    #[serde(borrow)]
    products: Vec<Group<'a>>,
    /// Absent where the instance cannot list them.
    #[serde(rename = "productVariants", default, borrow)]
    variants: Vec<Variant<'a>>,
}

#[derive(Debug, Deserialize)]
struct Group<'a> {
    #[serde(default)]
    id: Value,
    #[serde(default, borrow)]
    variants: Vec<Variant<'a>>,
}

#[derive(Debug, Deserialize)]
struct Variant<'a> {
    #[serde(default)]
    id: Value,
    #[serde(rename = "productSizes", default, borrow)]
    sizes: Vec<&'a RawValue>,
}

/// Which list is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Sizes,
    Groups,
}

/// How far a reading is: the list, the number of the page, and the last ids of the page before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    phase: Phase,
    page: u32,
    before: [i64; 2],
    priority: Priority,
}

impl Place {
    /// `s:2:400:0`.
    fn read(cursor: Option<&Cursor>, priority: Priority) -> Result<Place, Fault> {
        let Some(Cursor(text)) = cursor else { return Ok(Place { phase: Phase::Sizes, page: 1, before: [0, 0], priority }) };
        let parts: Vec<&str> = text.split(':').collect();
        let place = match parts.as_slice() {
            [phase @ ("s" | "g"), page, one, other] => {
                let phase = if *phase == "s" { Phase::Sizes } else { Phase::Groups };
                page.parse().ok().zip(one.parse().ok()).zip(other.parse().ok()).map(|((page, one), other)| Place {
                    phase,
                    page,
                    before: [one, other],
                    priority,
                })
            }
            _ => None,
        };
        let detail = || "the cursor is not one of a page of products".to_owned();
        place
            .filter(|place| place.page > 0)
            .ok_or_else(|| Fault::Unexpected { what: "list products".to_owned(), detail: detail() })
    }

    fn what(self) -> &'static str {
        match self.phase {
            Phase::Sizes => "list changed product sizes",
            Phase::Groups => "list changed products and variants",
        }
    }

    /// Where to go on after a page of these rows of the one list, or of both side by side.
    fn next(self, limit: u32, lists: [&[Value]; 2]) -> Result<Option<Cursor>, Fault> {
        let mut ends = self.before;
        let mut full = false;
        for (rows, end) in lists.into_iter().zip(&mut ends) {
            let last = rows.iter().rev().find_map(|id| id_text(id)?.parse::<i64>().ok());
            if usize::try_from(limit).is_ok_and(|limit| rows.len() >= limit) {
                full = true;
                // Rows that come in between may show some again; a page that only repeats would be read for ever.
                let last = last.filter(|last| *last > *end).ok_or_else(|| Fault::Unexpected {
                    what: self.what().to_owned(),
                    detail: "a page does not go on in the order of its ids".to_owned(),
                })?;
                *end = last;
            }
        }
        let (word, page) = match (self.phase, full) {
            (Phase::Sizes, true) => ("s", self.page.saturating_add(1)),
            (Phase::Groups, true) => ("g", self.page.saturating_add(1)),
            (Phase::Sizes, false) => return Ok(Some(Cursor("g:1:0:0".to_owned()))),
            (Phase::Groups, false) => return Ok(None),
        };
        Ok(Some(Cursor(format!("{word}:{page}:{}:{}", ends[0], ends[1]))))
    }
}

/// What a size says about itself.
struct Seen {
    document: Value,
}

impl Seen {
    fn of(node: &RawValue) -> Self {
        Self { document: serde_json::from_str(node.get()).unwrap_or_default() }
    }

    /// Its id; a size that does not even tell that keeps a stand-in, so that it is captured and held and not lost.
    fn id(&self, node: &RawValue) -> ExternalId {
        let stand_in = || format!("unreadable-{:016x}", fnv(node.get().as_bytes()));
        ExternalId::new(id_text(&self.document["id"]).unwrap_or_else(stand_in))
    }

    /// The latest change of any of its levels.
    fn version(&self) -> Option<Timestamp> {
        dates(&self.document).filter_map(|(_, date)| moment::with_offset(date.as_str()?).ok()).max()
    }

    /// Whether the sizes that changed in the interval, which were read before, have it already.
    fn is_listed(&self, interval: &Interval) -> bool {
        self.document["updatedAt"]
            .as_str()
            .and_then(|date| moment::with_offset(date).ok())
            .is_some_and(|at| interval.contains(at))
    }
}

fn raw(seen: &Seen, node: &RawValue, body: Bytes) -> Raw {
    Raw { kind: Kind::Product, id: seen.id(node), version: seen.version(), body }
}

/// The sizes of a page of groups, each once, without those that were read as sizes already.
fn sizes_of<'a>(groups: &Groups<'a>, interval: &Interval) -> Vec<(Seen, &'a RawValue)> {
    let of_products = groups.products.iter().flat_map(|group| &group.variants);
    let nodes = of_products.chain(&groups.variants).flat_map(|variant| variant.sizes.iter().copied());
    let mut taken = BTreeSet::new();
    nodes
        .map(|node| (Seen::of(node), node))
        .filter(|(seen, node)| !seen.is_listed(interval) && taken.insert(seen.id(node)))
        .collect()
}

fn ids(groups: &Groups<'_>) -> [Vec<Value>; 2] {
    let products = groups.products.iter().map(|group| group.id.clone()).collect();
    [products, groups.variants.iter().map(|variant| variant.id.clone()).collect()]
}

#[async_trait]
impl Source<Product> for ProductSource {
    fn decode(&self, raw: &Raw, _words: &Values) -> Decoded<Product> {
        decode_product(&raw.body, &self.zone)
    }

    async fn list(&self, interval: &Interval, page: Option<&Cursor>) -> Result<Page, Fault> {
        let place = Place::read(page, Priority::Products)?;
        match place.phase {
            Phase::Sizes => {
                let reply = self.ask(&operations::PRODUCTS_CHANGED, place, self.page_size, interval).await?;
                let sizes: Sizes<'_> = reply.read()?;
                let seen: Vec<Seen> = sizes.sizes.iter().map(|node| Seen::of(node)).collect();
                let ids: Vec<Value> = seen.iter().map(|seen| seen.document["id"].clone()).collect();
                let next = place.next(self.page_size, [&ids, &[]])?;
                let raws = seen.iter().zip(sizes.sizes).map(|(seen, node)| raw(seen, node, reply.bytes_of(node))).collect();
                Ok(Page { raws, next })
            }
            Phase::Groups => {
                let limit = (self.page_size / 10).clamp(1, GROUP_PAGE_MAX);
                let reply = self.ask(&operations::PRODUCT_GROUPS_CHANGED, place, limit, interval).await?;
                let groups: Groups<'_> = reply.read()?;
                let [products, variants] = ids(&groups);
                let next = place.next(limit, [&products, &variants])?;
                let found = sizes_of(&groups, interval);
                Ok(Page { raws: found.iter().map(|(seen, node)| raw(seen, node, reply.bytes_of(node))).collect(), next })
            }
        }
    }

    async fn enumerate(&self, interval: &Interval, page: Option<&Cursor>) -> Result<EnumeratedPage, Fault> {
        let place = Place::read(page, Priority::Sweeps)?;
        let line = |seen: &Seen, node: &RawValue| Enumerated {
            id: seen.id(node),
            key: sku_of(&seen.document).map(RecordKey::new),
            version: seen.version(),
        };
        match place.phase {
            Phase::Sizes => {
                let reply = self.ask(&operations::PRODUCTS_ENUMERATED, place, LIGHT_PAGE, interval).await?;
                let sizes: Sizes<'_> = reply.read()?;
                let seen: Vec<Seen> = sizes.sizes.iter().map(|node| Seen::of(node)).collect();
                let ids: Vec<Value> = seen.iter().map(|seen| seen.document["id"].clone()).collect();
                let next = place.next(LIGHT_PAGE, [&ids, &[]])?;
                Ok(EnumeratedPage { items: seen.iter().zip(sizes.sizes).map(|(seen, node)| line(seen, node)).collect(), next })
            }
            Phase::Groups => {
                let reply = self.ask(&operations::PRODUCT_GROUPS_ENUMERATED, place, LIGHT_GROUP_PAGE, interval).await?;
                let groups: Groups<'_> = reply.read()?;
                let [products, variants] = ids(&groups);
                let next = place.next(LIGHT_GROUP_PAGE, [&products, &variants])?;
                let found = sizes_of(&groups, interval);
                Ok(EnumeratedPage { items: found.iter().map(|(seen, node)| line(seen, node)).collect(), next })
            }
        }
    }

    async fn fetch(&self, ids: &[ExternalId], priority: Priority) -> Result<Vec<Raw>, Fault> {
        // An id that is no number is none of Centra's; there is nothing to be had for it.
        let numbers: BTreeSet<i32> = ids.iter().filter_map(|id| id.as_str().parse().ok()).filter(|id| *id > 0).collect();
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        let variables = json!({ "ids": numbers, "limit": numbers.len() });
        let what = format!("fetch {} product sizes", numbers.len());
        let reply = self.api.ask(&operations::PRODUCTS_BY_ID, variables, &what, priority).await?;
        let sizes: Sizes<'_> = reply.read()?;
        Ok(sizes.sizes.into_iter().map(|node| raw(&Seen::of(node), node, reply.bytes_of(node))).collect())
    }

    fn fetch_max(&self) -> usize {
        usize::try_from(self.page_size).unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Place {
        Place::read(Some(&Cursor(text.to_owned())), Priority::Products).unwrap()
    }

    fn ids(ids: &[i64]) -> Vec<Value> {
        ids.iter().map(|id| json!(id)).collect()
    }

    #[test]
    fn a_reading_goes_through_sizes_then_groups_then_ends() {
        let start = Place::read(None, Priority::Products).unwrap();
        let next = |place: Place, rows: &[i64], others: &[i64]| {
            place.next(2, [&ids(rows), &ids(others)]).unwrap().map(|Cursor(text)| text)
        };
        assert_eq!(next(start, &[3, 7], &[]).as_deref(), Some("s:2:7:0"));
        assert_eq!(next(at("s:2:7:0"), &[9], &[]).as_deref(), Some("g:1:0:0"));
        assert_eq!(next(at("g:1:0:0"), &[1, 2], &[5]).as_deref(), Some("g:2:2:0"), "one list is through, the other goes on");
        assert_eq!(next(at("g:2:2:0"), &[], &[6, 8]).as_deref(), Some("g:3:2:8"));
        assert_eq!(next(at("g:3:2:8"), &[], &[9]), None);
        assert_eq!(next(start, &[], &[]).as_deref(), Some("g:1:0:0"));
    }

    #[test]
    fn a_page_that_only_repeats_is_refused_and_one_that_repeats_a_row_is_not() {
        let next = |rows: &[i64]| at("s:2:7:0").next(2, [&ids(rows), &[]]);
        assert!(next(&[7, 9]).is_ok(), "a row came in before it");
        assert!(next(&[3, 7]).is_err());
        assert!(at("s:2:7:0").next(2, [&[Value::Null, Value::Null], &[]]).is_err());
    }

    #[test]
    fn only_our_own_cursors_are_taken() {
        for odd in ["", "s", "s:1:0", "x:1:0:0", "s:0:0:0", "s:x:0:0", "s:1:0:0:0", "g:1::0"] {
            assert!(Place::read(Some(&Cursor(odd.to_owned())), Priority::Products).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_size_that_was_read_as_a_size_is_not_read_again_as_one_of_a_product() {
        let text = r#"{"products":[{"id":1,"variants":[{"productSizes":[
            {"id":11,"updatedAt":"2026-02-03T10:00:00+00:00"},{"id":12,"updatedAt":"2026-02-01T10:00:00+00:00"},{"id":13}]}]}],
            "productVariants":[{"id":5,"productSizes":[{"id":12},{"id":14,"updatedAt":"2026-02-09T10:00:00+00:00"}]}]}"#;
        let interval = Interval { from: "2026-02-02T00:00:00Z".parse().unwrap(), to: "2026-02-04T00:00:00Z".parse().unwrap() };
        let groups: Groups<'_> = serde_json::from_str(text).unwrap();
        let found: Vec<String> = sizes_of(&groups, &interval).iter().map(|(seen, node)| seen.id(node).to_string()).collect();
        assert_eq!(found, ["12", "13", "14"], "14 changed after the interval, so the sizes may not have had it");
    }
}
