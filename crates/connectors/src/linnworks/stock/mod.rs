//! Stock out of the account and into it.
//!
//! A level is told per location: what is there, and what open orders have of it (parked ones count, locked ones do not).
//! The account does not tell which levels changed, as an order that comes moves no date: so what is asked for since an
//! instant is everything, two hundred items a call.

mod decode;
mod sink;

#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use selvedge_connector::{Cursor, Fault, LevelPage, Priority, StockSource, Wanted};
use selvedge_model::{Kit, LocationId, Problem};

use super::{client::Client, inventory};

pub(super) use sink::Sink;

/// Pages of items before it is taken for a circle: two million of them.
const PAGES_MAX: usize = 10_000;

/// The port.
pub(super) struct Levels {
    pub client: Client,
    pub commit_lag: Duration,
}

/// A location is known by its uuid; the default one has the nil uuid.
fn place_problem(place: &LocationId) -> Problem {
    Problem::new(
        "stock.place",
        "location",
        format!("{:?} is not the id of a location", place.as_str()),
        "Write the uuid of the location in the flow's config: selvedge check names them. That of the default location has noughts only.",
    )
    .value(place.as_str())
    .cause(place.as_str())
}

#[async_trait]
impl StockSource for Levels {
    async fn levels(
        &self,
        wanted: Wanted<'_>,
        places: &[LocationId],
        page: Option<&Cursor>,
        priority: Priority,
    ) -> Result<LevelPage, Fault> {
        let odd = places.iter().filter(|place| !inventory::is_id(place.as_str()));
        let problems: Vec<Problem> = odd.map(place_problem).collect();
        if !problems.is_empty() {
            return Err(Fault::Refused { what: "read stock".to_owned(), problems });
        }
        let as_of = self.client.now();
        let (rows, next) = match wanted {
            Wanted::Items(items) => {
                let ids = items.iter().map(|item| item.as_str().to_ascii_lowercase());
                let ids: Vec<String> = ids.filter(|id| inventory::is_id(id)).collect();
                (inventory::by_ids(&self.client, &ids, &["StockLevels"], priority).await?, None)
            }
            Wanted::Everything | Wanted::Since(_) => {
                let items = inventory::page(&self.client, page, &["StockLevels"], priority).await?;
                (items.rows, items.next)
            }
        };
        let (levels, unread) = decode::levels(&rows, places, as_of);
        Ok(LevelPage { levels, unread, next })
    }

    fn items_max(&self) -> usize {
        inventory::IDS_MAX
    }

    /// A composite counts as one at every location, also where it is kept with a level of its own.
    async fn kits(&self) -> Result<Vec<Kit>, Fault> {
        let (mut parents, mut page) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let items = inventory::page(&self.client, page.as_ref(), &[], Priority::Stock).await?;
            let composites = items.rows.iter().filter(|row| row["IsCompositeParent"].as_bool() == Some(true));
            parents.extend(composites.filter_map(|row| {
                let sku = row["ItemNumber"].as_str().map(str::trim).filter(|sku| !sku.is_empty())?;
                Some((inventory::id_of(&row["StockItemId"])?, sku.to_owned()))
            }));
            page = items.next;
            if page.is_none() {
                let ids: Vec<String> = parents.iter().map(|(id, _)| id.clone()).collect();
                let parts = inventory::compositions(&self.client, &ids, Priority::Stock).await?;
                return Ok(decode::kits(&parents, &parts));
            }
        }
        let detail = format!("more than {PAGES_MAX} pages of items");
        Err(Fault::Unexpected { what: "read composites".to_owned(), detail })
    }

    fn commit_lag(&self) -> Duration {
        self.commit_lag
    }
}
