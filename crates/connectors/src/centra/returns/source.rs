//! Returns out of Centra: by windows of their making, and by how they stand.
//!
//! No list can be asked for what changed. So a reading goes through three: what was made in the stretch of time that is
//! asked for; everything that is not completed, however old; and what was made in the last `return_watch_days`, whatever it
//! is. Of the last two only states are asked for, 200 a page, and only returns in a state that was not seen before are read
//! whole. What is in none of the lists any more, and was there before, is asked for by its id, and is gone if that finds
//! nothing.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use selvedge_connector::{Cursor, Decoded, Enumerated, EnumeratedPage, Fault, Page, Priority, Raw, Source};
use selvedge_model::{ExternalId, Interval, Kind, Return, gate::Values};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{
    super::{
        graphql::{Api, Reply},
        operations::{self, Operation},
        orders::instant,
        settings::Settings,
        wire::id_text,
    },
    Form, Memory, ReturnSettings,
    decode::decode_return,
    memory::{Listed, market_of},
};

/// Returns read whole in one call.
const PAGE: u32 = 50;
/// States in one call: the most that Centra gives.
const STATES_PAGE: u32 = 200;
/// How many returns that are in no list any more are asked for after one reading.
const VANISHED_MAX: usize = 500;

/// The returns of one instance.
#[derive(Debug)]
pub struct Returns {
    pub(super) api: Arc<Api>,
    pub(super) form: Arc<Form>,
    pub(super) settings: ReturnSettings,
    pub(super) memory: Arc<Memory>,
    scope: Scope,
}

/// The stores and markets whose returns are read. They cannot be asked for by them.
#[derive(Clone, Debug)]
pub struct Scope {
    stores: Vec<u32>,
    markets: Vec<u32>,
}

impl Scope {
    /// As the settings say.
    pub fn of(settings: &Settings) -> Scope {
        Scope { stores: settings.stores.clone(), markets: settings.markets.clone() }
    }

    /// Whether this return is ours. One that does not tell its store or market is.
    pub fn has(&self, document: &Value) -> bool {
        let holds = |wanted: &[u32], at: &Value| {
            wanted.is_empty() || id_text(&at["id"]).is_none_or(|id| wanted.iter().any(|one| one.to_string() == id))
        };
        holds(&self.stores, &document["store"]) && holds(&self.markets, market_of(document))
    }
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    returns: Vec<&'a RawValue>,
}

/// Which of the lists a reading is at, and at which page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Made(u32),
    Pending(u32),
    Watched(u32),
    Vanished,
}

impl Place {
    fn read(cursor: Option<&Cursor>) -> Place {
        let Some(Cursor(text)) = cursor else { return Place::Made(1) };
        let page = text.get(1..).and_then(|page| page.parse().ok()).unwrap_or(1);
        match text.get(..1) {
            Some("p") => Place::Pending(page),
            Some("w") => Place::Watched(page),
            Some("v") => Place::Vanished,
            _ => Place::Made(page),
        }
    }

    fn text(self) -> String {
        match self {
            Place::Made(page) => format!("m{page}"),
            Place::Pending(page) => format!("p{page}"),
            Place::Watched(page) => format!("w{page}"),
            Place::Vanished => "v".to_owned(),
        }
    }

    /// Where it goes on: the next page of a full one, else the next list.
    fn next(self, full: bool) -> Option<Place> {
        match self {
            Place::Made(page) if full => Some(Place::Made(page.saturating_add(1))),
            Place::Made(_) => Some(Place::Pending(1)),
            Place::Pending(page) if full => Some(Place::Pending(page.saturating_add(1))),
            Place::Pending(_) => Some(Place::Watched(1)),
            Place::Watched(page) if full => Some(Place::Watched(page.saturating_add(1))),
            Place::Watched(_) => Some(Place::Vanished),
            Place::Vanished => None,
        }
    }
}

impl Returns {
    /// For one instance.
    pub fn new(api: Arc<Api>, settings: &Settings, form: Arc<Form>, memory: Arc<Memory>) -> Self {
        Self { api, form, settings: settings.returns.clone(), memory, scope: Scope::of(settings) }
    }

    /// Whole returns.
    pub(super) async fn read(
        &self,
        operation: &'static Operation,
        variables: Value,
        what: &str,
        priority: Priority,
    ) -> Result<Vec<(Raw, Value)>, Fault> {
        let asked_at = self.api.now();
        let reply = self.api.ask(operation, variables, what, priority).await?;
        Ok(self.whole(&reply, asked_at)?.0)
    }

    /// The returns of an answer that are ours, and how many there were.
    fn whole(&self, reply: &Reply, asked_at: Timestamp) -> Result<(Vec<(Raw, Value)>, usize), Fault> {
        let list: List<'_> = reply.read()?;
        let count = list.returns.len();
        let read = list.returns.into_iter().filter_map(|node| {
            let document: Value = serde_json::from_str(node.get()).unwrap_or_default();
            self.scope.has(&document).then(|| (self.memory.raw(node, reply.bytes_of(node), asked_at, None), document))
        });
        Ok((read.collect(), count))
    }

    /// One page of states, and whether it was full.
    async fn states(&self, place: Place, interval: &Interval, priority: Priority) -> Result<(Vec<Listed>, bool), Fault> {
        let asked_at = self.api.now();
        let made = |from: Timestamp, to: Timestamp, page: u32| json!({ "from": instant(from, false), "to": instant(to, true), "limit": STATES_PAGE, "page": page });
        let (operation, variables, what) = match place {
            Place::Made(page) => {
                (&operations::RETURN_STATES_CREATED, made(interval.from, interval.to, page), "enumerate new returns")
            }
            Place::Pending(page) => (
                &operations::RETURN_STATES_PENDING,
                json!({ "limit": STATES_PAGE, "page": page }),
                "look at returns that are not completed",
            ),
            Place::Watched(page) => {
                (&operations::RETURN_STATES_CREATED, made(self.watched_from(), self.api.now(), page), "look at recent returns")
            }
            Place::Vanished => return Ok((Vec::new(), false)),
        };
        let reply = self.api.ask(operation, variables, what, priority).await?;
        let list: List<'_> = reply.read()?;
        let full = list.returns.len() >= usize::try_from(STATES_PAGE).unwrap_or(usize::MAX);
        let rows = list.returns.iter().filter_map(|node| {
            let document: Value = serde_json::from_str(node.get()).unwrap_or_default();
            if self.scope.has(&document) { self.memory.note(&document, asked_at) } else { None }
        });
        Ok((rows.collect(), full))
    }

    fn watched_from(&self) -> Timestamp {
        let back = SignedDuration::from_hours(i64::from(self.settings.watch_days).saturating_mul(24));
        self.api.now().checked_sub(back).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Those with these ids that are there, and word of those that were there before and are gone.
    async fn by_ids(&self, ids: &[i64], priority: Priority) -> Result<Vec<Raw>, Fault> {
        let (mut raws, mut gone) = (Vec::new(), Vec::new());
        for ids in ids.chunks(self.fetch_max().max(1)) {
            let what = match ids {
                [one] => format!("fetch return {one}"),
                many => format!("fetch {} returns", many.len()),
            };
            let asked_at = self.api.now();
            let variables = json!({ "limit": ids.len(), "ids": ids });
            let reply = self.api.ask(&operations::RETURNS_BY_ID, variables, &what, priority).await?;
            let list: List<'_> = reply.read()?;
            let there: Vec<String> = list
                .returns
                .iter()
                .filter_map(|node| id_text(&serde_json::from_str::<Value>(node.get()).unwrap_or_default()["id"]))
                .collect();
            raws.extend(self.whole(&reply, asked_at)?.0.into_iter().map(|(raw, _)| raw));
            let missing = ids.iter().filter(|id| !there.contains(&id.to_string()));
            for id in missing {
                raws.extend(self.memory.missed(*id, asked_at));
                gone.push(*id);
            }
        }
        self.memory.handed(ids.iter().copied());
        self.memory.buried(gone);
        Ok(raws)
    }
}

#[async_trait]
impl Source<Return> for Returns {
    fn decode(&self, raw: &Raw, _words: &Values) -> Decoded<Return> {
        decode_return(&raw.body, raw.version, &self.form)
    }

    async fn list(&self, interval: &Interval, page: Option<&Cursor>) -> Result<Page, Fault> {
        let place = Place::read(page);
        let (raws, full) = match place {
            Place::Made(number) => {
                if number == 1 {
                    self.memory.begin();
                }
                let variables = json!({
                    "from": instant(interval.from, false), "to": instant(interval.to, true), "limit": PAGE, "page": number,
                });
                let asked_at = self.api.now();
                let reply = self.api.ask(&operations::RETURNS_CREATED, variables, "list new returns", Priority::Returns).await?;
                let (read, count) = self.whole(&reply, asked_at)?;
                let full = count >= usize::try_from(PAGE).unwrap_or(usize::MAX);
                self.memory.handed(read.iter().filter_map(|(raw, _)| raw.id.as_str().parse().ok()));
                (read.into_iter().map(|(raw, _)| raw).collect(), full)
            }
            Place::Vanished => {
                let ids = self.memory.vanished(self.watched_from(), VANISHED_MAX);
                (self.by_ids(&ids, Priority::Returns).await?, false)
            }
            Place::Pending(_) | Place::Watched(_) => {
                let (rows, full) = self.states(place, interval, Priority::Returns).await?;
                let news: Vec<i64> = rows.iter().filter(|row| row.is_news).map(|row| row.id).collect();
                (self.by_ids(&news, Priority::Returns).await?, full)
            }
        };
        Ok(Page { raws, next: place.next(full).map(|place| Cursor(place.text())) })
    }

    async fn enumerate(&self, interval: &Interval, page: Option<&Cursor>) -> Result<EnumeratedPage, Fault> {
        let place = Place::read(page);
        if place == Place::Made(1) {
            self.memory.begin();
        }
        let id = |id: i64| ExternalId::new(id.to_string());
        let (items, full) = if place == Place::Vanished {
            let now = self.api.now();
            let ids = self.memory.vanished(self.watched_from(), VANISHED_MAX);
            (ids.into_iter().map(|one| Enumerated { id: id(one), key: None, version: Some(now) }).collect(), false)
        } else {
            let (rows, full) = self.states(place, interval, Priority::Sweeps).await?;
            let item = |row: Listed| Enumerated {
                key: row.order.map(|order| self.form.key(order.as_str(), &row.id.to_string())),
                id: id(row.id),
                version: Some(row.since),
            };
            (rows.into_iter().map(item).collect(), full)
        };
        Ok(EnumeratedPage { items, next: place.next(full).map(|place| Cursor(place.text())) })
    }

    async fn fetch(&self, ids: &[ExternalId], priority: Priority) -> Result<Vec<Raw>, Fault> {
        let ids: Vec<i64> = ids.iter().filter_map(|id| id.as_str().parse().ok()).collect();
        self.by_ids(&ids, priority.max(Priority::Returns)).await
    }

    fn fetch_max(&self) -> usize {
        usize::try_from(PAGE).unwrap_or(1)
    }

    fn tells(&self) -> &'static [Kind] {
        &[Kind::CreditNote, Kind::Refund]
    }
}
