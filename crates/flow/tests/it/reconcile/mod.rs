//! Looks at two ends that live in memory.
//!
//! `worlds.rs`: random worlds, faults, crashes; `closing.rs`: what becomes of a difference; `stock.rs`: figures; `repair.rs`: an engine
//! beside its looks.

mod closing;
mod repair;
mod stock;
mod worlds;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use selvedge_connector::{Connection, Cursor, Fault, Session, SessionConfig, StatementPage, Statements, clock::ManualClock};
use selvedge_flow::reconcile::{PairSetup, Reconciler};
use selvedge_model::{
    ConnectionName, Currency, ExternalId, Interval, Kind, Money, Problem, ReconciliationId, RecordKey, Sku,
    reconcile::{Tolerance, habits::Told},
    records::Totals,
    statement::{Entry, EntryLine},
};
use selvedge_store::{
    Store,
    differences::{DifferenceRow, Wanted},
};

use crate::{fake::start, journey::brand};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const PAGE: usize = 3;

fn at(second: i64) -> Timestamp {
    start().checked_add(SignedDuration::from_secs(second)).unwrap()
}

/// One end: it says what stands there and knows no way to change it.
#[derive(Clone, Default)]
struct End(Arc<Mutex<Said>>);

#[derive(Default)]
struct Said {
    entries: Vec<Entry>,
    unread: Vec<ExternalId>,
    calls: u32,
    /// The call that does not come through.
    fails_at: Option<u32>,
    /// Each page says that it goes on where it began.
    turns_in_circles: bool,
}

impl End {
    fn of(entries: &[Entry]) -> Self {
        let end = Self::default();
        end.say(entries);
        end
    }

    fn say(&self, entries: &[Entry]) {
        self.0.lock().unwrap().entries = entries.to_vec();
    }

    fn calls(&self) -> u32 {
        self.0.lock().unwrap().calls
    }
}

#[async_trait]
impl Statements for End {
    fn kinds(&self) -> &'static [Kind] {
        &[Kind::Order]
    }

    async fn page(&self, kind: Kind, interval: &Interval, page: Option<&Cursor>) -> Result<StatementPage, Fault> {
        let mut said = self.0.lock().unwrap();
        said.calls += 1;
        if said.fails_at == Some(said.calls) {
            return Err(Fault::Transient { what: "read the statement".to_owned(), source: None });
        }
        let begin: usize = page.map_or(0, |cursor| cursor.0.parse().unwrap());
        let all: Vec<&Entry> = said.entries.iter().filter(|e| e.kind == kind && interval.contains(e.at)).collect();
        let entries = all.iter().skip(begin).take(PAGE).map(|entry| (*entry).clone()).collect();
        let unread = said.unread.iter().filter(|_| begin == 0);
        let unread = unread.map(|id| (id.clone(), Problem::new("statement.unread", "", "no sense in it", "See it."))).collect();
        let next = match said.turns_in_circles {
            true => Some(Cursor(begin.to_string())),
            false => (begin + PAGE < all.len()).then(|| Cursor((begin + PAGE).to_string())),
        };
        Ok(StatementPage { entries, unread, next })
    }
}

fn pair() -> PairSetup {
    PairSetup {
        name: "shop-books".to_owned(),
        sources: vec![ConnectionName::from("shop")],
        target: ConnectionName::from("books"),
        kinds: vec![Kind::Order],
        places: BTreeMap::new(),
        shared: Vec::new(),
        stock_flow: None,
        parts_only: false,
        buffered: false,
        every: None,
        back: Duration::from_secs(7 * 86_400),
        far_every: None,
        far_back: Duration::from_secs(90 * 86_400),
        around: Duration::from_secs(2 * 86_400),
        tolerance: Tolerance::default(),
        allowance: Duration::from_secs(3_600),
        late_after: Duration::from_secs(6 * 3_600),
        exclude_markets: Vec::new(),
        flows: Vec::new(),
    }
}

/// Both ends and the clock by which they are looked at.
struct Ends {
    shop: End,
    books: End,
    clock: Arc<ManualClock>,
}

impl Ends {
    /// What both say, ten days after it began.
    fn of(shop: &[Entry], books: &[Entry]) -> Self {
        Self { shop: End::of(shop), books: End::of(books), clock: Arc::new(ManualClock::at(at(10 * DAY))) }
    }

    fn reconciler(&self, store: &Store, pair: PairSetup) -> Reconciler {
        let end = |name: &'static str, end: &End| {
            let session = Session::new(SessionConfig::named(name), self.clock.clone());
            let connection = Connection { statements: Some(Arc::new(end.clone())), ..Connection::empty(name, session) };
            (ConnectionName::from(name), connection)
        };
        let connections = BTreeMap::from([end("shop", &self.shop), end("books", &self.books)]);
        Reconciler::new(brand(), store.clone(), self.clock.clone(), connections, vec![pair])
    }

    async fn look(&self, store: &Store, window: &Interval) -> ReconciliationId {
        let reconciler = self.reconciler(store, pair());
        reconciler.look(&reconciler.pairs[0], "demand", window).await.unwrap().unwrap()
    }
}

fn whole() -> Interval {
    Interval { from: at(0), to: at(10 * DAY) }
}

async fn memory() -> Store {
    Store::open("sqlite::memory:").await.unwrap()
}

/// What a look came to.
async fn told(store: &Store, id: ReconciliationId) -> (Told, u64, bool) {
    let row = store.read(move |view| view.reconciliation(&brand(), id)).await.unwrap().unwrap();
    (serde_json::from_slice(&row.told.unwrap()).unwrap(), row.red, row.balanced.unwrap())
}

async fn differences(store: &Store, closed: bool) -> Vec<DifferenceRow> {
    let wanted = Wanted { closed, most: 10_000, ..Wanted::default() };
    let mut rows = store.read(move |view| view.differences(&brand(), &wanted)).await.unwrap();
    rows.sort_by_key(|row| row.id.0);
    rows
}

fn document(number: u32, units: i64, second: i64) -> Entry {
    let currency = Currency::from_code(if number.is_multiple_of(2) { "EUR" } else { "SEK" }).unwrap();
    let money = |minor: i64| Money::from_minor(minor, currency);
    let (net, tax) = (money(units * 10_000), money(units * 2_500));
    let line = EntryLine {
        sku: Sku::new("COAT"),
        quantity: units,
        unit: None,
        net: Some(net),
        tax: Some(tax),
        rate: None,
        component: false,
    };
    Entry {
        key: Some(RecordKey::new(number.to_string())),
        order: Some(RecordKey::new(number.to_string())),
        currency: Some(currency),
        lines: vec![line],
        totals: Some(Totals { net, tax, gross: net.plus(tax).unwrap() }),
        ..Entry::bare(Kind::Order, ExternalId::new(number.to_string()), at(second))
    }
}

/// The same at the target, under an id of its own.
fn there(entry: &Entry, id: &str, later: i64) -> Entry {
    let at = entry.at.checked_add(SignedDuration::from_secs(later)).unwrap();
    Entry { id: ExternalId::new(id), at, ..entry.clone() }
}

fn dearer(entry: &Entry, minor: i64) -> Entry {
    let mut entry = entry.clone();
    let more = Money::from_minor(minor, entry.currency.unwrap());
    let totals = entry.totals.unwrap();
    entry.lines[0].net = entry.lines[0].net.map(|net| net.plus(more).unwrap());
    entry.totals = Some(Totals { net: totals.net.plus(more).unwrap(), tax: totals.tax, gross: totals.gross.plus(more).unwrap() });
    entry
}
