//! Where a list goes on that is sorted by when its documents were made, and has no cursor of its own.
//!
//! The next page begins at the second of the last document, and leaves out those of that second that were told. Nothing that
//! is deleted meanwhile moves another document out of sight, as it would with page numbers; those are used only where more
//! documents were made in one second than a page holds.

use jiff::Timestamp;
use selvedge_connector::Cursor;

/// Key of one row of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Keyed {
    pub id: String,
    /// None where it does not say.
    pub made: Option<Timestamp>,
}

/// A place in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Seconds since 1970: rows from here on.
    second: i64,
    page: u32,
    /// Rows a page had while page numbers are counted: another size would count otherwise.
    rows: u32,
    /// Those of that second that were told.
    seen: Vec<String>,
}

impl Place {
    /// Where it begins.
    pub fn first(from: Timestamp) -> Self {
        Self { second: from.as_second(), page: 1, rows: 0, seen: Vec::new() }
    }

    /// The first instant that is asked for.
    pub fn from(&self) -> Timestamp {
        Timestamp::from_second(self.second).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The page counted from there.
    pub fn page(&self) -> u32 {
        self.page
    }

    /// How many rows the page must have, where that is settled.
    pub fn rows(&self) -> Option<u32> {
        (self.page > 1).then_some(self.rows)
    }

    /// Whether this document was told on a page before.
    pub fn has_seen(&self, id: &str) -> bool {
        self.seen.iter().any(|seen| seen == id)
    }

    /// Where it goes on after a page of these rows, of which so many were asked for; none after the last.
    pub fn after(&self, page: &[Keyed], asked: u32) -> Option<Place> {
        let last = page.last().filter(|_| page.len() >= usize::try_from(asked).unwrap_or(usize::MAX))?;
        let second = last.made.map_or(self.second, |made| made.as_second()).max(self.second);
        let mut seen = if second == self.second { self.seen.clone() } else { Vec::new() };
        let of_it = page.iter().filter(|row| row.made.is_none_or(|made| made.as_second() == second));
        seen.extend(of_it.map(|row| row.id.clone()).filter(|id| !self.has_seen(id)));
        let stands_still = second == self.second;
        Some(Place { second, page: if stands_still { self.page.saturating_add(1) } else { 1 }, rows: asked, seen })
    }

    /// As a cursor.
    pub fn cursor(&self) -> Cursor {
        Cursor(format!("{}/{}/{}/{}", self.second, self.page, self.rows, self.seen.join(",")))
    }

    /// Out of a cursor; none for one that is none of these.
    pub fn read(cursor: &Cursor) -> Option<Place> {
        let mut parts = cursor.0.splitn(4, '/');
        let (second, page, rows) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let seen = parts.next()?.split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect();
        Some(Place { second, page, rows, seen })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads a list as it is asked for; after some pages a document is deleted.
    fn read_all(mut list: Vec<(i64, u32)>, sizes: &[u32], deletions: &[usize]) -> (Vec<u32>, Vec<u32>) {
        list.sort();
        let (mut place, mut told, mut gone) = (Place::first(Timestamp::from_second(0).unwrap()), Vec::new(), Vec::new());
        for turn in 0.. {
            let rows = place.rows().unwrap_or_else(|| sizes[turn % sizes.len()]);
            let skip = usize::try_from(rows * (place.page() - 1)).unwrap();
            let from = place.from().as_second();
            let page: Vec<Keyed> = list
                .iter()
                .filter(|(second, _)| *second >= from)
                .skip(skip)
                .take(usize::try_from(rows).unwrap())
                .map(|(second, id)| Keyed { id: id.to_string(), made: Timestamp::from_second(*second).ok() })
                .collect();
            let news = page.iter().filter(|row| !place.has_seen(&row.id));
            told.extend(news.map(|row| row.id.parse::<u32>().unwrap()));
            let Some(next) = place.after(&page, rows) else { return (told, gone) };
            place = Place::read(&next.cursor()).unwrap();
            assert_eq!(place, next);
            if let Some(at) = deletions.get(turn).filter(|_| next.page() == 1 && !list.is_empty()) {
                gone.push(list.remove(at % list.len()).1);
            }
        }
        unreachable!()
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_told_twice_whatever_is_deleted_meanwhile(
            seconds in prop::collection::vec(0_i64..12, 0..60),
            sizes in prop::collection::vec(1_u32..9, 1..4),
            deletions in prop::collection::vec(0_usize..60, 0..10),
        ) {
            let list: Vec<(i64, u32)> = seconds.into_iter().zip(0..).collect();
            let all: Vec<u32> = list.iter().map(|(_, id)| *id).collect();
            let (mut told, gone) = read_all(list, &sizes, &deletions);
            told.sort();
            let mut once = told.clone();
            once.dedup();
            prop_assert_eq!(&once, &told, "told twice");
            for id in all {
                prop_assert!(told.contains(&id) || gone.contains(&id), "{} is lost", id);
            }
        }
    }
}
