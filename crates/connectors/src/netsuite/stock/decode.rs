//! Rows → levels and kits. Pure; one odd row never costs the others.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use selvedge_model::{ExternalId, Kit, KitPart, LocationId, Problem, Rounding, Sku, StockLevel, moment};

use super::{super::suiteql::Row, pending::Pending};

const REPORT: &str = "Look at the item in NetSuite, under Inventory; if it looks right there, report this line.";

/// Types of items of which no stock is kept.
const UNSTOCKED: [&str; 10] =
    ["NonInvtPart", "Service", "OthCharge", "Discount", "Markup", "Subtotal", "Description", "Payment", "GiftCert", "DwnLdItem"];

/// What a page of rows says.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub levels: Vec<StockLevel>,
    pub unread: Vec<(ExternalId, Problem)>,
}

/// Reads a page of rows. The levels are as of the sums, which were read before the rows.
pub(crate) fn levels(rows: &[Row], pending: &Pending, zone: &TimeZone) -> Read {
    let mut read = Read::default();
    for row in rows {
        // What a kit could be put together of is reckoned from its parts.
        if text(row, "itemtype") == Some("Kit") {
            continue;
        }
        match level(row, pending, zone) {
            Ok(level) => read.levels.push(level),
            Err(problem) => read.unread.push((ExternalId::new(text(row, "item").unwrap_or_default()), *problem)),
        }
    }
    read
}

/// A column that says something.
fn text<'a>(row: &'a Row, column: &str) -> Option<&'a str> {
    row.get(column).map(|text| text.trim()).filter(|text| !text.is_empty())
}

fn unreadable(row: &Row, column: &str, message: &str) -> Box<Problem> {
    let problem = Problem::new("stock.unreadable", column, message, REPORT).cause(column);
    Box::new(match row.get(column) {
        Some(value) => problem.value(value),
        None => problem,
    })
}

fn level(row: &Row, pending: &Pending, zone: &TimeZone) -> Result<StockLevel, Box<Problem>> {
    let id = |column: &str| {
        let id = text(row, column).filter(|id| super::digits(id));
        id.ok_or_else(|| unreadable(row, column, "a row of stock does not tell what or where it is about"))
    };
    let (item, location) = (id("item")?, id("location")?);
    let sku = sku(row, "itemid").ok_or_else(|| unreadable(row, "itemid", "the item has no name, which is its SKU"))?;
    // A part of a unit cannot be sold, and a unit of which a part is promised cannot either.
    let down = |column: &str| units(row, column, Rounding::Floor);
    let up = |column: &str| units(row, column, Rounding::Ceil);
    Ok(StockLevel {
        sku,
        location: LocationId::new(location),
        item: ExternalId::new(item),
        // What happens from there on may be missing from the figures.
        as_of: pending.at,
        // In the hour that repeats the earlier instant.
        changed_at: text(row, "changed").and_then(|text| moment::in_zone(text, zone).ok()),
        on_hand: down("quantityonhand")?,
        committed: up("quantitycommitted")?,
        back_ordered: up("quantitybackordered")?,
        pending_approval: pending.of(item, location),
        available: down("quantityavailable")?,
        incoming: down("quantityonorder")?,
        active: text(row, "isinactive") != Some("T"),
        unit_value: None,
        categories: Vec::new(),
    })
}

/// The item's own name: a sub-item is shown as `PARENT : CHILD` (inferred).
fn sku(row: &Row, column: &str) -> Option<Sku> {
    let name = text(row, column)?;
    let own = name.rsplit(" : ").next().unwrap_or(name).trim();
    (!own.is_empty()).then(|| Sku::new(own))
}

/// Whole units of a column; one that is null is nought.
fn units(row: &Row, column: &str, rounding: Rounding) -> Result<i64, Box<Problem>> {
    let Some(text) = text(row, column) else {
        return Ok(0);
    };
    let number = decimal(text).and_then(|number| i64::try_from(rounding.to_whole(number)).ok());
    number.ok_or_else(|| unreadable(row, column, "a quantity is no number"))
}

/// A number as the database prints it: `12`, `12.0`, `.5`, `1E3`.
pub(super) fn decimal(text: &str) -> Option<Decimal> {
    if text.contains(['e', 'E']) {
        Decimal::from_scientific(text).ok()
    } else {
        Decimal::from_str_exact(text).ok().or_else(|| text.parse().ok())
    }
}

/// Reads the parts of kits, whole kits only.
pub(crate) fn kits(rows: &[Row]) -> Vec<Kit> {
    let mut kits: BTreeMap<&str, Option<Kit>> = BTreeMap::new();
    for row in rows {
        let Some(item) = text(row, "parentitem") else {
            tracing::warn!("a part of a kit does not tell its kit");
            continue;
        };
        let kit = kits
            .entry(item)
            .or_insert_with(|| sku(row, "kit").map(|sku| Kit { sku, item: ExternalId::new(item), parts: Vec::new() }));
        // What is not kept in stock keeps nothing from being sold: a gift box that nobody counts, a service.
        if text(row, "parttype").is_some_and(|kind| UNSTOCKED.contains(&kind)) {
            continue;
        }
        let added = match (kit.as_mut(), part(row)) {
            (Some(kit), Some(part)) => add(kit, part),
            _ => false,
        };
        if !added && kit.take().is_some() {
            tracing::warn!(kit = item, "a kit has a part that cannot be read; it is left out");
        }
    }
    kits.into_values().flatten().collect()
}

/// A part; of a fraction a whole unit is needed.
fn part(row: &Row) -> Option<KitPart> {
    let units = units(row, "quantity", Rounding::Ceil).ok().filter(|units| *units >= 1)?;
    Some(KitPart { sku: sku(row, "part")?, units })
}

/// A part that stands in a kit twice is needed as often as both say.
fn add(kit: &mut Kit, part: KitPart) -> bool {
    match kit.parts.iter_mut().find(|known| known.sku == part.sku) {
        Some(known) => known.units.checked_add(part.units).map(|units| known.units = units).is_some(),
        None => {
            kit.parts.push(part);
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(pairs: &[(&str, &str)]) -> Row {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn sound(more: &[(&str, &str)]) -> Row {
        let mut row =
            row(&[("item", "1001"), ("location", "31"), ("itemid", "A-1"), ("isinactive", "F"), ("itemtype", "InvtPart")]);
        row.extend(self::row(more));
        row
    }

    fn read(rows: &[Row]) -> Read {
        let units = [(("1001".to_owned(), "32".to_owned()), 4)].into();
        let pending = Pending { at: "2026-11-23T10:00:00Z".parse().unwrap(), units };
        levels(rows, &pending, &TimeZone::get("America/Los_Angeles").unwrap())
    }

    fn one(more: &[(&str, &str)]) -> StockLevel {
        let mut read = read(&[sound(more)]);
        assert_eq!(read.unread, []);
        read.levels.remove(0)
    }

    #[test]
    fn a_row_is_a_level() {
        let level = one(&[
            ("quantityonhand", "12"),
            ("quantitycommitted", "3.0"),
            ("quantitybackordered", "1"),
            ("quantityavailable", "9"),
            ("quantityonorder", "40"),
            ("changed", "2026-11-22 23:30:00"),
        ]);
        assert_eq!((level.item.as_str(), level.location.as_str(), level.sku.as_str()), ("1001", "31", "A-1"));
        assert_eq!((level.on_hand, level.committed, level.back_ordered, level.available, level.incoming), (12, 3, 1, 9, 40));
        assert_eq!((level.free(), level.active), (8, true));
        assert_eq!(level.as_of.to_string(), "2026-11-23T10:00:00Z");
        let waiting = one(&[("location", "32"), ("quantityonhand", "3")]);
        assert_eq!((waiting.pending_approval, waiting.free()), (4, -1));
        assert_eq!(level.changed_at.unwrap().to_string(), "2026-11-23T07:30:00Z");
        assert_eq!((level.unit_value, level.categories.len()), (None, 0));
    }

    #[test]
    fn null_is_nought_and_an_inactive_item_is_told() {
        let level = one(&[("isinactive", "T"), ("quantityonhand", ""), ("changed", "yesterday")]);
        assert_eq!((level.on_hand, level.committed, level.available, level.free()), (0, 0, 0, 0));
        assert_eq!((level.active, level.changed_at), (false, None));
    }

    #[test]
    fn of_a_fraction_nothing_is_sold() {
        for (text, there, promised) in [
            ("12.0", 12, 12),
            ("3.5", 3, 4),
            (".5", 0, 1),
            ("-.5", -1, 0),
            ("-2", -2, -2),
            ("-2.25", -3, -2),
            ("1E3", 1000, 1000),
            ("9999999999", 9_999_999_999, 9_999_999_999),
        ] {
            let level = one(&[("quantityonhand", text), ("quantitycommitted", text)]);
            assert_eq!((level.on_hand, level.committed), (there, promised), "{text}");
        }
    }

    #[test]
    fn the_hour_that_repeats_is_read_as_the_earlier_instant() {
        assert_eq!(one(&[("changed", "2026-11-01 01:30:00")]).changed_at.unwrap().to_string(), "2026-11-01T08:30:00Z");
    }

    #[test]
    fn a_sub_item_goes_by_its_own_name() {
        for (name, sku) in [("SHIRT : SHIRT-M", "SHIRT-M"), ("A : B : C", "C"), ("A:B", "A:B"), (" 15056bl ", "15056bl")] {
            assert_eq!(one(&[("itemid", name)]).sku.as_str(), sku);
        }
    }

    #[test]
    fn an_odd_row_is_named_and_costs_the_others_nothing() {
        for (column, odd) in [
            ("item", "x"),
            ("location", ""),
            ("itemid", "  "),
            ("quantityonhand", "many"),
            ("quantitycommitted", "1,5"),
            ("quantityavailable", "99999999999999999999999999999999999999999999"),
            ("quantityonorder", "1E300"),
        ] {
            let read = read(&[sound(&[(column, odd)]), sound(&[("itemid", "B")])]);
            assert_eq!((read.levels.len(), read.unread.len()), (1, 1), "{column}");
            let (item, problem) = &read.unread[0];
            assert_eq!((problem.rule.as_str(), problem.path.as_str()), ("stock.unreadable", column));
            assert_eq!(item.as_str(), if column == "item" { "x" } else { "1001" });
        }
        assert!(read(&[sound(&[("itemtype", "Kit")])]).levels.is_empty());
    }

    #[test]
    fn kits_are_read_whole_or_not_at_all() {
        let part = |kit: &str, part: &str, quantity: &str| {
            row(&[("parentitem", kit), ("item", "1"), ("kit", &format!("SET : K-{kit}")), ("part", part), ("quantity", quantity)])
        };
        let mut unstocked = part("10", "BOX", "1");
        unstocked.insert("parttype".to_owned(), "NonInvtPart".to_owned());
        let found = kits(&[
            part("7", "P : A", "1"),
            part("7", "B", "2.0"),
            part("7", "A", "1"),
            part("8", "A", "0"),
            part("8", "B", "1"),
            part("9", "A", "1"),
            part("9", "", "1"),
            part("9", "C", "1"),
            part("10", "A", ".5"),
            // A box that nobody counts keeps no kit from being sold; a part that cannot be seen does.
            unstocked,
            row(&[("parentitem", "11"), ("item", "1"), ("kit", "K-11"), ("quantity", "1")]),
            part("11", "A", "1"),
            row(&[("item", "1")]),
        ]);
        let kit = |item: &str, parts: &[(&str, i64)]| Kit {
            sku: Sku::new(format!("K-{item}")),
            item: item.into(),
            parts: parts.iter().map(|(sku, units)| KitPart { sku: (*sku).into(), units: *units }).collect(),
        };
        assert_eq!(found, [kit("10", &[("A", 1)]), kit("7", &[("A", 2), ("B", 2)])]);
    }

    proptest! {
        /// Whatever the columns hold, a row is a level or a problem, and an odd figure is never another figure.
        #[test]
        fn every_row_is_accounted_for(
            rows in prop::collection::vec(prop::collection::btree_map(
                prop::sample::select(vec!["item", "location", "itemid", "isinactive", "quantityonhand", "quantitycommitted", "quantityavailable", "changed", "parentitem", "kit", "part", "quantity"]),
                prop_oneof!["\\PC{0,8}", "-?[0-9]{1,30}(\\.[0-9]{0,30})?(E-?[0-9]{1,4})?"], 0..10), 0..5)
        ) {
            let rows: Vec<Row> = rows.into_iter().map(|row| row.into_iter().map(|(n, v)| (n.to_owned(), v)).collect()).collect();
            let found = read(&rows);
            prop_assert_eq!(found.levels.len() + found.unread.len(), rows.len());
            prop_assert!(kits(&rows).iter().all(|kit| kit.parts.iter().all(|part| part.units >= 1)));
        }

        #[test]
        fn a_whole_number_is_itself(units in -9_999_999_999_i64..=9_999_999_999, zeros in 0..4_usize) {
            let text = if zeros == 0 { units.to_string() } else { format!("{units}.{}", "0".repeat(zeros)) };
            let level = one(&[("quantityonhand", text.as_str()), ("quantitycommitted", text.as_str())]);
            prop_assert_eq!((level.on_hand, level.committed), (units, units));
        }
    }
}
