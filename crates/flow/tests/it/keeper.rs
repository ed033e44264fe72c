//! Two systems in memory for records of any kind: one that tells of records, one that keeps what it is given, and lets
//! somebody else change it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use selvedge_connector::{
    Clock, Cursor, Decoded, Encoded, Enumerated, EnumeratedPage, Fault, Found, Need, Page, Priority, Raw, Receipt, Request, Sink,
    Source, Standing, clock::ManualClock,
};
use selvedge_flow::{CaptureSetup, FlowSetup, ShipmentPolicy};
use selvedge_model::{
    ConnectionName, ExternalId, FlowName, Interval, Kind, Problem, Record, RecordKey,
    compare::Carries,
    gate::{Lookup, Values},
};

use crate::fake::start;

/// A system that keeps records: by their id, with the moment of their last change.
pub struct Keeper<R> {
    pub clock: Arc<ManualClock>,
    pub carries: Carries,
    pub kept: Arc<Mutex<BTreeMap<String, (R, Timestamp)>>>,
    pub writes: Arc<Mutex<u32>>,
    /// In percent: how many writes fail, half of them after they have taken effect. By a seed.
    pub trouble: Arc<Mutex<Trouble>>,
}

/// What goes wrong.
#[derive(Default)]
pub struct Trouble {
    pub percent: u64,
    pub seed: u64,
}

impl Trouble {
    /// A number below `below`, always the same ones for a seed.
    pub fn draw(&mut self, below: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) % below
    }
}

impl<R: Clone> Clone for Keeper<R> {
    fn clone(&self) -> Self {
        Self {
            clock: self.clock.clone(),
            carries: self.carries,
            kept: Arc::clone(&self.kept),
            writes: Arc::clone(&self.writes),
            trouble: Arc::clone(&self.trouble),
        }
    }
}

impl<R: Record> Keeper<R> {
    pub fn new(clock: &Arc<ManualClock>, carries: Carries) -> Self {
        Self { clock: clock.clone(), carries, kept: Arc::default(), writes: Arc::default(), trouble: Arc::default() }
    }

    /// Puts a record there under an id, as somebody who is not us.
    pub fn set(&self, id: &str, record: R) {
        self.kept.lock().unwrap().insert(id.to_owned(), (record, self.clock.now()));
    }

    pub fn change(&self, id: &str, change: impl FnOnce(&mut R)) {
        let mut kept = self.kept.lock().unwrap();
        let (record, at) = kept.get_mut(id).unwrap();
        change(record);
        *at = self.clock.now();
    }

    pub fn records(&self) -> Vec<R> {
        self.kept.lock().unwrap().values().map(|(record, _)| record.clone()).collect()
    }

    pub fn writes(&self) -> u32 {
        *self.writes.lock().unwrap()
    }

    fn raw(&self, id: &str) -> Option<Raw> {
        let kept = self.kept.lock().unwrap();
        let (record, at) = kept.get(id)?;
        Some(Raw { kind: R::KIND, id: ExternalId::new(id), version: Some(*at), body: serde_json::to_vec(record).unwrap().into() })
    }

    fn changed(&self, interval: &Interval) -> Vec<String> {
        let kept = self.kept.lock().unwrap();
        kept.iter().filter(|(_, (_, at))| interval.from <= *at && *at <= interval.to).map(|(id, _)| id.clone()).collect()
    }
}

#[async_trait]
impl<R: Record> Source<R> for Keeper<R> {
    fn decode(&self, raw: &Raw, _words: &Values) -> Decoded<R> {
        Decoded::of(serde_json::from_slice(&raw.body).ok(), Vec::new())
    }
    /// One record a page, so that going on is tested, too.
    async fn list(&self, interval: &Interval, page: Option<&Cursor>) -> Result<Page, Fault> {
        let ids = self.changed(interval);
        let at: usize = page.map_or(0, |cursor| cursor.0.parse().unwrap());
        let raws = ids.get(at).and_then(|id| self.raw(id)).into_iter().collect();
        Ok(Page { raws, next: (at + 1 < ids.len()).then(|| Cursor((at + 1).to_string())) })
    }
    async fn enumerate(&self, interval: &Interval, _page: Option<&Cursor>) -> Result<EnumeratedPage, Fault> {
        let items = self.changed(interval).into_iter().filter_map(|id| self.raw(&id));
        let item = |raw: Raw| Enumerated { id: raw.id, key: None, version: raw.version };
        Ok(EnumeratedPage { items: items.map(item).collect(), next: None })
    }
    async fn fetch(&self, ids: &[ExternalId], _priority: Priority) -> Result<Vec<Raw>, Fault> {
        Ok(ids.iter().filter_map(|id| self.raw(id.as_str())).collect())
    }
    fn fetch_max(&self) -> usize {
        5
    }
}

#[async_trait]
impl<R: Record> Sink<R> for Keeper<R> {
    fn lookups(&self, _record: &R) -> Vec<Lookup> {
        Vec::new()
    }
    fn needs(&self, _record: &R) -> Option<Need> {
        None
    }
    fn encode(&self, record: &R, _values: &Values, there: Standing<'_>) -> Result<Encoded, Vec<Problem>> {
        let body = serde_json::to_value(record).unwrap();
        if there.own.is_some_and(|own| serde_json::from_slice::<serde_json::Value>(&own.body).unwrap() == body) {
            return Ok(Encoded::Nothing);
        }
        Ok(Encoded::Put(Request {
            what: format!("write {}", record.key()),
            method: "PUT".to_owned(),
            path: record.key().0,
            body,
            update: there.own.map(|own| own.id.clone()),
            unfinished: false,
        }))
    }
    async fn find(&self, record: &R) -> Result<Option<Found>, Fault> {
        let id = format!("i-{}", record.key());
        Ok(self.kept.lock().unwrap().contains_key(&id).then(|| Found { id: ExternalId::new(&id) }))
    }
    async fn put(&self, request: &Request) -> Result<Receipt, Fault> {
        let id = request.update.clone().unwrap_or_else(|| ExternalId::new(format!("i-{}", request.path)));
        let record: R = serde_json::from_value(request.body.clone()).unwrap();
        let fate = {
            let mut trouble = self.trouble.lock().unwrap();
            if trouble.percent > 0 { (trouble.draw(100) < trouble.percent).then(|| trouble.draw(3)) } else { None }
        };
        let what = request.what.clone();
        match fate {
            Some(0) => return Err(Fault::Transient { what, source: None }),
            Some(1) => return Err(Fault::Unanswered { what, source: None }),
            _ => {}
        }
        self.kept.lock().unwrap().insert(id.0.clone(), (record, self.clock.now()));
        *self.writes.lock().unwrap() += 1;
        if fate.is_some() {
            return Err(Fault::Unanswered { what, source: None });
        }
        Ok(Receipt { id: Some(id), warnings: Vec::new() })
    }
    fn carries(&self) -> Carries {
        self.carries
    }
}

/// Everything that changes is listed each second.
pub fn capture(from: &str, kind: Kind) -> CaptureSetup {
    CaptureSetup {
        from: ConnectionName::from(from),
        kind,
        since: start(),
        feed_every: None,
        poll_every: Some(Duration::from_secs(1)),
        poll_overlap: Duration::from_secs(60),
        poll_lag: Duration::ZERO,
        sweep_every: None,
        sweep_back: Duration::from_secs(86_400),
        notice_grace: Duration::from_secs(5),
    }
}

pub fn flow(name: &str, kind: Kind, from: &str, to: &str) -> FlowSetup {
    FlowSetup {
        name: FlowName::from(name),
        kind,
        from: ConnectionName::from(from),
        to: ConnectionName::from(to),
        mode: Default::default(),
        policy: Default::default(),
        preparation: Default::default(),
        shipments: ShipmentPolicy::default(),
        credits: selvedge_flow::CreditPolicy::default(),
        products: Default::default(),
        watch_every: None,
        parallel: 2,
        unanswered_wait: Duration::from_secs(5),
        retries_max: 10,
        backoff_first: Duration::from_secs(1),
        backoff_max: Duration::from_secs(30),
    }
}

/// Our key of a record with this text.
pub fn key(text: &str) -> RecordKey {
    RecordKey::new(text)
}
