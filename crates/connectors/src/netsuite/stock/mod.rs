//! Stock out of the account, by SuiteQL: what each location keeps of each item, and what kits are made of.
//!
//! Availability is a page of rows per thousand items and locations; the record service would be a call per item.
//! `available` is cut at nought by NetSuite, so on hand, committed and back ordered are read beside it, and what waits
//! for approval before them.

pub(crate) mod decode;
pub(crate) mod pending;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use selvedge_connector::{Clock, Cursor, Fault, LevelPage, Priority, StockSource, Wanted};
use selvedge_model::{ExternalId, Kit, LocationId, Problem};

use super::{
    client::Client,
    settings::{Changes, StockSettings},
    suiteql::{PAGE, Rows, query, query_or_refusal},
};

/// Items that one call asks for by id, and locations: the most values that SuiteQL takes in one `IN`.
const IN_MAX: usize = 1000;
/// How much further back than asked changes are looked for: a stamp can be older than the moment at which it shows.
const REACH_BACK: SignedDuration = SignedDuration::from_mins(10);
/// Pages of kits before it is taken for a circle: a million parts.
const KIT_PAGES_MAX: usize = 1000;

/// The port.
pub(crate) struct Stock {
    pub client: Client,
    pub settings: StockSettings,
    /// The zone in which the database prints and compares timestamps.
    pub zone: TimeZone,
    pub clock: Arc<dyn Clock>,
    /// The last sums of what waits for approval.
    pub pending: pending::Kept,
}

/// Where stock is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    /// `inventoryItemLocations`: tells what is back ordered.
    InventoryItemLocations,
    /// `aggregateItemLocation`: does not, so what is oversold does not show.
    AggregateItemLocation,
}

impl Table {
    /// Its name in queries.
    pub fn name(self) -> &'static str {
        match self {
            Table::InventoryItemLocations => "inventoryitemlocations",
            Table::AggregateItemLocation => "aggregateitemlocation",
        }
    }

    /// The column of what is back ordered, with the comma before it.
    fn back_ordered(self) -> &'static str {
        match self {
            Table::InventoryItemLocations => ", l.quantitybackordered",
            Table::AggregateItemLocation => "",
        }
    }
}

/// One page of rows after a key, in a total order of both its parts: without one rows repeat or vanish between pages.
pub(crate) fn levels_sql(settings: &StockSettings, also: &str) -> String {
    let changed = match settings.changes {
        Changes::ByTime | Changes::ByDay => ", TO_CHAR(l.lastquantityavailablechange,'YYYY-MM-DD HH24:MI:SS') AS changed",
        Changes::Untold => "",
    };
    format!(
        "SELECT l.item, l.location, i.itemid, i.isinactive, i.itemtype, l.quantityonhand, l.quantitycommitted, l.quantityavailable, \
         l.quantityonorder{}{changed} FROM {} l INNER JOIN item i ON i.id = l.item WHERE (l.item > ? OR (l.item = ? AND l.location > ?)){also} \
         ORDER BY l.item, l.location",
        settings.table.back_ordered(),
        settings.table.name()
    )
}

/// The wall clock from which everything that happened since an instant is found.
///
/// The database compares local times. When the clocks go back an hour repeats, and what happens in its second
/// half bears earlier times than what happened just before: so the earliest local time that any instant from `since` on
/// has is what counts. At most that hour is read twice.
pub(crate) fn earliest_local(since: Timestamp, zone: &TimeZone) -> DateTime {
    let local = zone.to_datetime(since);
    // Clocks never go back by a day; a change further on cannot reach here.
    let soon = since.checked_add(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MAX);
    let changes = zone.following(since).take(4).map(|change| change.timestamp()).take_while(|at| *at <= soon);
    changes.map(|at| zone.to_datetime(at)).fold(local, DateTime::min)
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.len() <= 18 && text.bytes().all(|b| b.is_ascii_digit())
}

/// The item and location of the last row of the page before.
fn key_of<'a>(what: &str, page: Option<&'a Cursor>) -> Result<(&'a str, &'a str), Fault> {
    let Some(Cursor(text)) = page else {
        return Ok(("0", "0"));
    };
    text.split_once(':')
        .filter(|(item, location)| digits(item) && digits(location))
        .ok_or_else(|| Fault::Unexpected { what: what.to_owned(), detail: "the cursor is not one of a page of stock".to_owned() })
}

/// A list of ids that are numbers, for an `IN`.
fn list<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    let mut ids: Vec<&str> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    ids.join(", ")
}

fn place_problem(place: &str) -> Problem {
    Problem::new(
        "stock.place",
        "location",
        format!("{place:?} is not the id of a location"),
        "Write the internal id of the location (Setup > Company > Locations) in the flow's config.",
    )
    .value(place)
    .cause(place)
}

/// Where the next page begins.
fn next(what: &str, rows: &Rows, page: Option<&Cursor>) -> Result<Option<Cursor>, Fault> {
    if !rows.more && rows.rows.len() < PAGE {
        return Ok(None);
    }
    let unexpected = |detail: &str| Fault::Unexpected { what: what.to_owned(), detail: detail.to_owned() };
    let last = rows.rows.last().ok_or_else(|| unexpected("there is more, but this page is empty"))?;
    let part = |name: &str| last.get(name).filter(|id| digits(id));
    let (Some(item), Some(location)) = (part("item"), part("location")) else {
        return Err(unexpected("the last row of a full page does not tell its item and location"));
    };
    let end = Cursor(format!("{item}:{location}"));
    // The same key again would go round for ever.
    if Some(&end) == page { Err(unexpected("the next page is this page")) } else { Ok(Some(end)) }
}

#[async_trait]
impl StockSource for Stock {
    /// Two calls; one for each further page. An item that was never kept at a location has no row, and so no level. The SKU is the item's name
    /// (`itemid`), of a sub-item the part after its parent's.
    async fn levels(
        &self,
        wanted: Wanted<'_>,
        places: &[LocationId],
        page: Option<&Cursor>,
        priority: Priority,
    ) -> Result<LevelPage, Fault> {
        let what = match wanted {
            Wanted::Everything => "read all stock".to_owned(),
            Wanted::Since(since) => format!("read the stock changed since {}", since.strftime("%Y-%m-%dT%H:%M:%SZ")),
            Wanted::Items(items) => format!("read the stock of {} items", items.len()),
        };
        let problems: Vec<Problem> =
            places.iter().filter(|place| !digits(place.as_str())).map(|place| place_problem(place.as_str())).collect();
        if !problems.is_empty() {
            return Err(Fault::Refused { what, problems });
        }
        let unexpected = |detail: String| Fault::Unexpected { what: what.clone(), detail };
        if places.len() > IN_MAX {
            return Err(unexpected(format!("{} locations in one query, more than {IN_MAX}", places.len())));
        }
        let (item, location) = key_of(&what, page)?;
        if places.is_empty() {
            return Ok(LevelPage::default());
        }
        let places_list = list(places.iter().map(LocationId::as_str));
        let mut also = format!(" AND l.location IN ({places_list})");
        let mut parameters = vec![item.to_owned(), item.to_owned(), location.to_owned()];
        // The most rows that there can be, where that is known.
        let mut rows_max = usize::MAX;
        let mut items_list = None;
        if let Wanted::Items(items) = wanted {
            // An id that is no number is none of NetSuite's; there is nothing to be had for it.
            let ids: Vec<&str> = items.iter().map(ExternalId::as_str).filter(|id| digits(id)).collect();
            if ids.len() > IN_MAX {
                return Err(unexpected(format!("{} items in one query, more than {IN_MAX}", ids.len())));
            }
            if ids.is_empty() {
                return Ok(LevelPage::default());
            }
            rows_max = ids.len().saturating_mul(places.len());
            let ids = list(ids.into_iter());
            also.push_str(&format!(" AND l.item IN ({ids})"));
            items_list = Some(ids);
        }
        let pending = self.pending(&what, &places_list, items_list.as_deref(), page.is_some(), priority).await?;
        if let Wanted::Since(since) = wanted
            && self.settings.changes != Changes::Untold
        {
            let or_items = self.or_waiting(&pending);
            also.push_str(&format!(" AND (l.lastquantityavailablechange >= TO_TIMESTAMP(?, 'YYYY-MM-DD HH24:MI:SS'){or_items})"));
            // Stamps may come in late, by a job's transaction or another clock.
            let since = since.checked_sub(REACH_BACK).unwrap_or(Timestamp::MIN);
            let local = earliest_local(since, &self.zone);
            let local = if self.settings.changes == Changes::ByDay { local.date().into() } else { local };
            // Kept by the second: printing cuts the rest off, which is downwards.
            parameters.push(local.strftime("%Y-%m-%d %H:%M:%S").to_string());
        }
        let sql = levels_sql(&self.settings, &also);
        let parameters: Vec<&str> = parameters.iter().map(String::as_str).collect();
        let rows = query(&self.client, &what, &sql, &parameters, PAGE, priority).await?;
        let next = if rows.rows.len() >= rows_max { None } else { next(&what, &rows, page)? };
        if matches!(wanted, Wanted::Since(_)) && next.is_none() {
            self.waiting_read(&pending);
        }
        let read = decode::levels(&rows.rows, &pending, &self.zone);
        Ok(LevelPage { levels: read.levels, unread: read.unread, next })
    }

    fn items_max(&self) -> usize {
        IN_MAX
    }

    /// One call per thousand parts; refused by accounts without the feature, which have no such table (inferred). A kit is read whole or not at all: one whose parts cannot be read is left out
    /// and logged, as half a kit would show more stock than there is.
    async fn kits(&self) -> Result<Vec<Kit>, Fault> {
        let what = "read the parts of kits";
        // The key of a part within its kit is not documented, so pages are cut between kits.
        // A part that the role may not see has no row in `item`: its kit must not lose it unseen.
        let sql = "SELECT m.parentitem, m.item, m.quantity, k.itemid AS kit, i.itemid AS part, i.itemtype AS parttype FROM itemmember m \
                   INNER JOIN item k ON k.id = m.parentitem LEFT JOIN item i ON i.id = m.item \
                   WHERE k.itemtype = 'Kit' AND m.parentitem >= ? ORDER BY m.parentitem, m.item";
        let mut kits = Vec::new();
        let mut from = "0".to_owned();
        for _ in 0..KIT_PAGES_MAX {
            let mut rows = match query_or_refusal(&self.client, what, sql, &[&from], PAGE, Priority::Stock).await? {
                Ok(rows) => rows,
                Err((_, fault)) => return Err(fault),
            };
            let full = rows.more || rows.rows.len() >= PAGE;
            let last = rows.rows.last().and_then(|row| row.get("parentitem")).cloned();
            if !full {
                kits.extend(decode::kits(&rows.rows));
                self.kits_are_told();
                return Ok(kits);
            }
            // The last kit may go on on the next page.
            let last = last.filter(|last| digits(last) && *last != from).ok_or_else(|| Fault::Unexpected {
                what: what.to_owned(),
                detail: "a kit fills a whole page, or a row does not tell its kit".to_owned(),
            })?;
            rows.rows.retain(|row| row.get("parentitem") != Some(&last));
            kits.extend(decode::kits(&rows.rows));
            from = last;
        }
        Err(Fault::Unexpected { what: what.to_owned(), detail: format!("more than {KIT_PAGES_MAX} pages of parts") })
    }

    fn commit_lag(&self) -> Duration {
        self.settings.commit_lag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pacific() -> TimeZone {
        TimeZone::get("America/Los_Angeles").unwrap()
    }

    /// The clocks of Los Angeles go back on 2026-11-01 at 09:00Z, from 02:00 to 01:00.
    #[test]
    fn in_the_hour_that_repeats_the_earlier_wall_clock_counts() {
        let local = |text: &str| earliest_local(text.parse().unwrap(), &pacific()).to_string();
        // A day ahead it is already known that 01:00 comes again, but that is later than now.
        assert_eq!(local("2026-10-31T12:00:00Z"), "2026-10-31T05:00:00");
        assert_eq!(local("2026-11-01T07:50:00Z"), "2026-11-01T00:50:00");
        // First pass: what happens at 01:05 of the second pass must be found, too.
        assert_eq!(local("2026-11-01T08:30:00Z"), "2026-11-01T01:00:00");
        // Second pass: nothing later bears an earlier time.
        assert_eq!(local("2026-11-01T09:30:00Z"), "2026-11-01T01:30:00");
        assert_eq!(local("2026-11-01T10:30:00Z"), "2026-11-01T02:30:00");
        // In spring an hour is skipped, and nothing repeats.
        assert_eq!(local("2026-03-08T09:30:00Z"), "2026-03-08T01:30:00");
        assert_eq!(local("2026-03-08T10:30:00Z"), "2026-03-08T03:30:00");
    }

    #[test]
    fn nothing_that_happens_later_bears_an_earlier_wall_clock() {
        for zone in ["America/Los_Angeles", "Europe/Stockholm", "Australia/Lord_Howe", "Etc/UTC"] {
            let zone = TimeZone::get(zone).unwrap();
            let start: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
            for quarter in 0..(24 * 4 * 300_i64) {
                let since = start.checked_add(SignedDuration::from_mins(quarter * 15)).unwrap();
                let bound = earliest_local(since, &zone);
                for later in [0, 1, 15, 30, 59, 60, 61, 90, 119, 120, 180] {
                    let at = since.checked_add(SignedDuration::from_mins(later)).unwrap();
                    assert!(bound <= zone.to_datetime(at), "{since} {at}");
                }
            }
        }
    }

    #[test]
    fn only_our_own_cursors_are_taken() {
        let of = |text: &str| key_of("x", Some(&Cursor(text.to_owned()))).is_ok();
        assert!(of("10:31") && key_of("x", None).is_ok());
        for odd in ["", "10", ":", "10:", "1 OR 1=1:2", "10:31:2", "-1:2", "9999999999999999999:1"] {
            assert!(!of(odd), "{odd}");
        }
    }
}
