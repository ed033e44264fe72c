//! Levels out of Centra.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use selvedge_connector::{Cursor, Fault, LevelPage, Priority, StockSource, Wanted};
use selvedge_model::{Kit, LocationId};
use serde_json::json;

use super::{
    super::{graphql::Api, operations, settings::Settings},
    decode::{self, Read, Sizes},
};

/// Reads what the warehouses of one instance keep.
///
/// Sizes are paged by number in the order of their ids. New sizes get higher ids, so none is missed while
/// pages are read; a size that is *deleted* meanwhile moves the rest up by one, and one size shows again only in the
/// next full reading.
#[derive(Debug)]
pub struct Source {
    api: Arc<Api>,
    page_size: u32,
}

impl Source {
    /// For one instance.
    pub fn new(api: Arc<Api>, settings: &Settings) -> Self {
        Self { api, page_size: settings.stock_page_size }
    }
}

/// The number of a page and the last id of the page before it: `3:400`.
fn page_of(cursor: Option<&Cursor>) -> Option<(u32, i64)> {
    let Some(Cursor(text)) = cursor else {
        return Some((1, 0));
    };
    let (page, last) = text.split_once(':')?;
    Some((page.parse().ok().filter(|page| *page > 1)?, last.parse().ok()?))
}

/// Where the next page is, if there is one.
fn next(what: &str, read: &Read, full: bool, page: (u32, i64)) -> Result<Option<Cursor>, Fault> {
    let unexpected = |detail: &str| Fault::Unexpected { what: what.to_owned(), detail: detail.to_owned() };
    let (number, before) = page;
    match read.ends {
        // Pages that do not go on would be read for ever.
        Some((first, last)) if first <= before || last < first => {
            Err(unexpected("a page of sizes is not in the order of their ids"))
        }
        Some((_, last)) if full => Ok(Some(Cursor(format!("{}:{last}", number.saturating_add(1))))),
        None if full => Err(unexpected("no size of a whole page tells its id")),
        _ => Ok(None),
    }
}

#[async_trait]
impl StockSource for Source {
    /// One call. A size that has no row at an asked warehouse gives a level of noughts, as it can be written.
    /// [`Wanted::Since`] gives everything: that a size's `updatedAt` moves with its stock is nowhere documented.
    async fn levels(
        &self,
        wanted: Wanted<'_>,
        places: &[LocationId],
        page: Option<&Cursor>,
        priority: Priority,
    ) -> Result<LevelPage, Fault> {
        let what = match wanted {
            Wanted::Items(items) => format!("read the stock of {} sizes", items.len()),
            Wanted::Everything | Wanted::Since(_) => "read the stock of all sizes".to_owned(),
        };
        let places = super::warehouses(&what, places)?;
        let (number, before) = page_of(page).ok_or_else(|| Fault::Unexpected {
            what: what.clone(),
            detail: "the cursor is not one of a page of sizes".to_owned(),
        })?;
        let mut variables = json!({ "places": places, "placeCount": places.len(), "limit": self.page_size, "page": number });
        // Of so many items there is no second page.
        let mut all_at_once = false;
        if let Wanted::Items(items) = wanted {
            // An id that is no number is none of Centra's; there is nothing to be had for it.
            let ids: Vec<i32> = items.iter().filter_map(|id| super::number(id.as_str())).collect();
            if ids.is_empty() {
                return Ok(LevelPage::default());
            }
            all_at_once = ids.len() <= self.items_max();
            variables["ids"] = json!(ids);
        }
        if places.is_empty() {
            return Ok(LevelPage::default());
        }
        // Before anything is waited for: what happens from here on may be missing from the figures.
        let as_of = self.api.now();
        let reply = self.api.ask(&operations::STOCK_LEVELS, variables, &what, priority).await?;
        let sizes: Sizes<'_> = reply.read()?;
        let read = decode::read(&sizes, &places, as_of);
        if read.left_out > 0 {
            tracing::info!(sizes = read.left_out, page = number, "sizes without a SKU and bundles are left out of stock");
        }
        let full = sizes.sizes.len() >= self.items_max() && !all_at_once;
        let next = next(&what, &read, full, (number, before))?;
        Ok(LevelPage { levels: read.levels, unread: read.unread, next })
    }

    fn items_max(&self) -> usize {
        usize::try_from(self.page_size).unwrap_or(1)
    }

    /// None: what a bundle is made of is documented for writing only.
    async fn kits(&self) -> Result<Vec<Kit>, Fault> {
        Ok(Vec::new())
    }

    /// None: Centra allocates when the order is placed.
    fn commit_lag(&self) -> Duration {
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_does_not_go_on_is_refused() {
        let read = |ends| Read { ends, ..Read::default() };
        assert_eq!(next("x", &read(Some((401, 600))), true, (3, 400)).unwrap(), Some(Cursor("4:600".into())));
        assert_eq!(next("x", &read(Some((401, 410))), false, (3, 400)).unwrap(), None);
        assert_eq!(next("x", &read(None), false, (3, 400)).unwrap(), None);
        assert!(next("x", &read(Some((201, 400))), true, (3, 400)).is_err());
        assert!(next("x", &read(None), true, (1, 0)).is_err());
    }

    #[test]
    fn only_our_own_cursors_are_taken() {
        let of = |text: &str| page_of(Some(&Cursor(text.to_owned())));
        assert_eq!((page_of(None), of("2:17")), (Some((1, 0)), Some((2, 17))));
        for odd in ["", "2", "1:0", "0:5", "x:1", "2:", ":", "99999999999:1"] {
            assert_eq!(of(odd), None, "{odd}");
        }
    }
}
