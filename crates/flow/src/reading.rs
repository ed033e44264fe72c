//! 1 · Capture, by reading: polls list what changed, sweeps enumerate everything and fetch what every
//! other way missed.
//!
//! A reading covers an interval page by page and writes down how far it has come, so that neither a
//! fault nor a crash makes it begin anew; when it is whole, the interval is proven, and the next one
//! begins inside it. It takes a few pages a turn: the queue of news does not wait for a sweep.

use std::time::Duration;

use jiff::Timestamp;
use selvedge_connector::{Arrival, Cursor, Fault, Priority};
use selvedge_model::{Brand, ConnectionName, ExternalId, Interval};
use selvedge_store::{
    Result, Tx,
    intervals::{ProvenRow, ReadingRow},
};

use crate::{
    backoff::{after, before},
    capture::due,
    engine::{Engine, Side},
    pauses::SWEEP,
};

/// Pages that one turn reads.
const PAGES_PER_TURN: usize = 4;
/// How often it is looked whether a person has asked for a sweep.
const ASKED_EVERY: Duration = Duration::from_secs(2);

/// How a page is read.
#[derive(Clone, Copy)]
enum Way {
    /// Every document, whole.
    List,
    /// Ids and dates; only what was missed is fetched.
    Enumerate,
}

/// What one turn came to.
enum Turn {
    /// The interval is proven; documents that came in this turn.
    Whole(usize, ProvenRow),
    /// There are more pages; documents that came in this turn.
    UnderWay(usize),
    /// A call did not come through: documents that came before it, and how long this way rests.
    Failed(usize, Duration),
}

/// What a page brought.
struct Seen {
    documents: u64,
    news: usize,
    next: Option<Cursor>,
}

/// What a sweep found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Documents that nothing else had brought.
    pub found: u64,
    /// Until when everything was read; none if a call did not come through.
    pub through: Option<Timestamp>,
}

impl Engine {
    pub(crate) async fn poll(&self, side: &Side) -> Result<usize> {
        let Some(every) = side.setup.poll_every else { return Ok(0) };
        if !due(self.rhythm(side).poll, self.now()) {
            return Ok(0);
        }
        let (brand, from, kind) = (self.brand().clone(), side.setup.from.clone(), side.setup.kind);
        let proven = self.store().read(move |view| view.proven_until(&brand, &from, kind, "poll")).await?;
        let interval = Interval {
            from: proven.map_or(side.setup.since, |until| before(until, side.setup.poll_overlap).max(side.setup.since)),
            to: before(self.now(), side.setup.poll_lag),
        };
        // Beside a queue of news most of it is known already: a light look finds what is not.
        let beside_feed = side.is_fed();
        let way = if beside_feed { Way::Enumerate } else { Way::List };
        let (came, rest) = match self.turn(side, "poll", way, interval).await? {
            Turn::Whole(came, row) => {
                if !beside_feed {
                    self.heard_until(&side.setup.from, &[side.setup.kind], row.interval.to);
                }
                (came, every)
            }
            Turn::UnderWay(came) => (came, Duration::ZERO),
            Turn::Failed(came, rest) => (came, rest),
        };
        self.set_rhythm(side, |r| r.poll = Some(after(self.now(), rest)));
        Ok(came)
    }

    /// Enumerates everything of the last `sweep_back`, independent of all other ways in, when it is time; or what a person asked for.
    pub(crate) async fn sweep(&self, side: &Side) -> Result<usize> {
        if !due(self.rhythm(side).sweep, self.now()) {
            return Ok(0);
        }
        let (brand, from, kind) = (self.brand().clone(), side.setup.from.clone(), side.setup.kind);
        let (back, since) = (side.setup.sweep_back, side.setup.since);
        let (begun, last) = self
            .store()
            .read(move |view| {
                Ok((view.reading(&brand, &from, kind, SWEEP)?.is_some(), view.swept_at(&brand, &from, kind, back, since)?))
            })
            .await?;
        let is_time = side.setup.sweep_every.is_some_and(|every| last.is_none_or(|at| after(at, every) <= self.now()));
        if !begun && !is_time {
            self.set_rhythm(side, |r| r.sweep = Some(after(self.now(), ASKED_EVERY)));
            return Ok(0);
        }
        let (came, rest) = match self.turn(side, SWEEP, Way::Enumerate, self.sweep_interval(side)).await? {
            Turn::Whole(came, _) => (came, ASKED_EVERY),
            Turn::UnderWay(came) => (came, Duration::ZERO),
            Turn::Failed(came, rest) => (came, rest),
        };
        self.set_rhythm(side, |r| r.sweep = Some(after(self.now(), rest)));
        Ok(came)
    }

    /// Sweeps every side now, or finishes the sweep that is under way.
    ///
    /// # Errors
    /// The store's.
    pub async fn sweep_now(&self) -> Result<Swept> {
        let mut swept = Swept { found: 0, through: Some(Timestamp::MAX) };
        for side in &self.sides {
            loop {
                match self.turn(side, SWEEP, Way::Enumerate, self.sweep_interval(side)).await? {
                    Turn::Whole(_, row) => {
                        swept.found += row.news;
                        swept.through = swept.through.map(|through| through.min(row.interval.to));
                        break;
                    }
                    Turn::UnderWay(_) => {}
                    Turn::Failed(..) => {
                        swept.through = None;
                        break;
                    }
                }
            }
        }
        Ok(swept)
    }

    fn sweep_interval(&self, side: &Side) -> Interval {
        let now = self.now();
        Interval { from: before(now, side.setup.sweep_back).max(side.setup.since), to: before(now, side.setup.poll_lag) }
    }

    /// A few pages of the reading that is under way, or of a new one over `fresh`.
    async fn turn(&self, side: &Side, via: &'static str, way: Way, fresh: Interval) -> Result<Turn> {
        // Two at once would read the same pages twice.
        let _one_at_a_time = self.reading.lock().await;
        let (brand, from, kind) = (self.brand().clone(), side.setup.from.clone(), side.setup.kind);
        let begun = self.store().read(move |view| view.reading(&brand, &from, kind, via)).await?;
        // A person may ask for a wider one meanwhile: only what still stands as it was read is gone on with.
        let mut stood = begun.as_ref().map(|row| (row.interval, row.cursor.clone()));
        let (interval, mut cursor, mut seen, mut news) = match begun {
            Some(row) => (row.interval, Some(Cursor(row.cursor)).filter(|cursor| !cursor.0.is_empty()), row.seen, row.news),
            None => (fresh, None, 0, 0),
        };
        let mut came = 0;
        for _ in 0..PAGES_PER_TURN {
            let page = if interval.to <= interval.from {
                Ok(Seen { documents: 0, news: 0, next: None })
            } else {
                self.read_page(side, via, way, &interval, cursor.as_ref()).await?
            };
            let page = match page {
                Ok(page) => page,
                Err(fault) => {
                    let passes = matches!(fault, Fault::Transient { .. } | Fault::Throttled { .. } | Fault::Unauthorized { .. });
                    if !passes && stood.is_some() {
                        // The place or the interval itself may be what is refused: the next reading begins at its first page.
                        let ended =
                            move |tx: &Tx<'_>, brand: &Brand, from: &ConnectionName| tx.forget_reading(brand, from, kind, via);
                        if self.if_it_stands(side, via, &stood, ended).await? {
                            tracing::warn!(connection = %side.setup.from, %kind, way = via, from = %interval.from, to = %interval.to, detail = %fault, "a reading that had begun was refused and is given up");
                        }
                    }
                    return Ok(Turn::Failed(came, self.reading_failed(side, via, &fault).await?));
                }
            };
            self.note_well(&side.setup.from).await?;
            seen += page.documents;
            news += page.news as u64;
            came += page.news;
            match page.next {
                Some(next) => {
                    let row = ReadingRow { via: via.to_owned(), interval, cursor: next.0.clone(), seen, news };
                    let kept = move |tx: &Tx<'_>, brand: &Brand, from: &ConnectionName| tx.keep_reading(brand, from, kind, &row);
                    if !self.if_it_stands(side, via, &stood, kept).await? {
                        return Ok(Turn::UnderWay(came));
                    }
                    stood = Some((interval, next.0.clone()));
                    cursor = Some(next);
                }
                None => {
                    let row = ProvenRow { via: via.to_owned(), interval, seen, news, at: self.now() };
                    let proven = row.clone();
                    let proves = interval.from < interval.to;
                    let whole = move |tx: &Tx<'_>, brand: &Brand, from: &ConnectionName| {
                        // Of no time there is nothing to prove, and nothing to go on with.
                        if proves { tx.prove(brand, from, kind, &proven) } else { tx.forget_reading(brand, from, kind, via) }
                    };
                    let is_news = proves || stood.is_some();
                    if is_news && !self.if_it_stands(side, via, &stood, whole).await? {
                        return Ok(Turn::UnderWay(came));
                    }
                    return Ok(Turn::Whole(came, row));
                }
            }
        }
        Ok(Turn::UnderWay(came))
    }

    /// Writes what became of a reading, unless it is another one by now: whether it was written.
    async fn if_it_stands(
        &self,
        side: &Side,
        via: &'static str,
        stood: &Option<(Interval, String)>,
        then: impl FnOnce(&Tx<'_>, &Brand, &ConnectionName) -> Result<()> + Send + 'static,
    ) -> Result<bool> {
        let (brand, from, kind) = (self.brand().clone(), side.setup.from.clone(), side.setup.kind);
        let stood = stood.clone();
        self.store()
            .write(move |tx| {
                let stands = tx.reading(&brand, &from, kind, via)?.map(|row| (row.interval, row.cursor));
                if stands != stood {
                    return Ok(false);
                }
                then(tx, &brand, &from)?;
                Ok(true)
            })
            .await
    }

    async fn read_page(
        &self,
        side: &Side,
        via: &'static str,
        way: Way,
        interval: &Interval,
        cursor: Option<&Cursor>,
    ) -> Result<std::result::Result<Seen, Fault>> {
        let (documents, news, next) = match way {
            Way::List => {
                let asked_at = self.now();
                let page = match side.source.list(interval, cursor).await {
                    Ok(page) => page,
                    Err(fault) => return Ok(Err(fault)),
                };
                let documents = page.raws.len();
                (
                    documents,
                    self.keep(side, via, asked_at, page.raws.into_iter().map(Arrival::Document).collect()).await?,
                    page.next,
                )
            }
            Way::Enumerate => {
                let page = match side.source.enumerate(interval, cursor).await {
                    Ok(page) => page,
                    Err(fault) => return Ok(Err(fault)),
                };
                let documents = page.items.len();
                let (brand, from, kind) = (self.brand().clone(), side.setup.from.clone(), side.setup.kind);
                let ids: Vec<ExternalId> = page.items.iter().map(|item| item.id.clone()).collect();
                let known = self.store().read(move |view| view.captured_versions(&brand, &from, kind, &ids)).await?;
                let missed = page.items.into_iter().zip(known).filter(|(item, known)| match known {
                    None => true,
                    Some(Some(known)) => item.version.is_some_and(|version| version > *known),
                    Some(None) => false,
                });
                let missed: Vec<ExternalId> = missed.map(|(item, _)| item.id).collect();
                let mut news = 0;
                for ids in missed.chunks(side.source.fetch_max().max(1)) {
                    let asked_at = self.now();
                    match side.source.fetch(ids, Priority::Sweeps).await {
                        Ok(raws) => {
                            news += self.keep(side, via, asked_at, raws.into_iter().map(Arrival::Document).collect()).await?
                        }
                        Err(fault) => return Ok(Err(fault)),
                    }
                }
                (documents, news, page.next)
            }
        };
        if next.is_some() && next.as_ref() == cursor {
            // It would be read for ever, and counting it as the last page would prove what nobody read.
            let detail = "the next page is this page".to_owned();
            return Ok(Err(Fault::Unexpected { what: format!("{via} of {}", side.setup.from), detail }));
        }
        Ok(Ok(Seen { documents: documents as u64, news, next }))
    }
}
