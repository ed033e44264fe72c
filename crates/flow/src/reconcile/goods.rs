//! Stock and items in the form of statements: what a place has, and what is sold at all.

use jiff::Timestamp;
use selvedge_connector::{Connection, Cursor, Fault, Priority, StatementPage, Wanted};
use selvedge_model::{ExternalId, Interval, LocationId, gate::Values, statement::Entry};
use selvedge_store::statements::End;

use super::PairSetup;

/// The table in which a system lists its items.
const ITEMS: &str = "item";

/// Whether a connection tells which items it has.
pub(super) fn tells_items(connection: &Connection) -> bool {
    connection.lists.as_ref().is_some_and(|lists| lists.tables().contains(&ITEMS)) || connection.product_source.is_some()
}

/// One page of what places have. The source's places go by the names of the target's that they feed.
pub(super) async fn stock(
    connection: &Connection,
    pair: &PairSetup,
    end: End,
    wanted: Wanted<'_>,
    page: Option<&Cursor>,
) -> Result<Option<StatementPage>, Fault> {
    let Some(source) = &connection.stock_source else { return Ok(None) };
    let mut places: Vec<LocationId> = match end {
        End::Source => pair.places.keys().cloned().collect(),
        End::Target => pair.places.values().cloned().collect(),
    };
    places.dedup();
    let found = source.levels(wanted, &places, page, Priority::Sweeps).await?;
    let mut told = StatementPage { unread: found.unread, next: found.next, ..StatementPage::default() };
    for level in &found.levels {
        let place = match end {
            End::Source => pair.places.get(&level.location).unwrap_or(&level.location),
            End::Target => &level.location,
        };
        let mut entry = Entry::of_stock(level, place.as_str());
        // One item lies in several places that feed the same one.
        entry.id = ExternalId::new(format!("{}@{}", level.item, level.location));
        told.entries.push(entry);
    }
    Ok(Some(told))
}

/// One page of what is sold. A system that lists its items costs one call a page; of another the documents are read.
pub(super) async fn items(
    connection: &Connection,
    read: &Interval,
    page: Option<&Cursor>,
    now: Timestamp,
) -> Result<Option<StatementPage>, Fault> {
    if let Some(lists) = connection.lists.as_ref().filter(|lists| lists.tables().contains(&ITEMS)) {
        let found = lists.list(ITEMS, page).await?;
        let entry =
            |entry: selvedge_connector::ListEntry| Entry::of_item(&entry.name, ExternalId::new(entry.id), entry.active, &[], now);
        let entries = found.entries.into_iter().filter(|entry| !entry.name.is_empty()).map(entry).collect();
        return Ok(Some(StatementPage { entries, next: found.next, ..StatementPage::default() }));
    }
    let Some(source) = &connection.product_source else { return Ok(None) };
    let ever = Interval { from: Timestamp::UNIX_EPOCH, to: read.to };
    let found = source.list(&ever, page).await?;
    let mut told = StatementPage { next: found.next, ..StatementPage::default() };
    for raw in &found.raws {
        let decoded = source.decode(raw, &Values::default());
        match (decoded.record, decoded.problems.into_iter().next()) {
            (Some(product), _) => {
                told.entries.push(Entry::of_item(product.sku.as_str(), product.id.clone(), product.active, &product.recipe, now))
            }
            (None, Some(problem)) => told.unread.push((raw.id.clone(), problem)),
            (None, None) => {}
        }
    }
    Ok(Some(told))
}
