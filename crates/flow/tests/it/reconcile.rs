//! Looks at two ends that live in memory: random worlds, faults, crashes, and what becomes of a difference.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use selvedge_connector::{Connection, Cursor, Fault, Session, SessionConfig, StatementPage, Statements, clock::ManualClock};
use selvedge_flow::{
    Engine,
    actions::Actions,
    reconcile::{Limits, Looked, PairSetup, Reconciler, Repair},
};
use selvedge_model::{
    ConnectionName, Currency, DifferenceId, ExternalId, FlowName, Interval, Kind, Money, Order, Problem, ReconciliationId,
    RecordKey, Sku,
    gate::rules::OrderPolicy,
    obligation::State,
    reconcile::{Sum, Tally, Tolerance, Why, habits::Told},
    records::Totals,
    statement::{Entry, EntryLine, Stage},
};
use selvedge_store::{
    Store,
    differences::{DifferenceRow, Wanted},
};

use crate::{
    fake::{Fake, start},
    journey::{assert_balance, brand, map_items},
};

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

/// What happens to an order on its way, and what a look has to say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Arrived,
    InTwoParts,
    ArrivedBeforeTheWindow,
    CalledOffAtBoth,
    CalledOffInTime,
    StaffOrder,
    NotConfirmed,
    JustPlaced,
    BeforeTheWindow,
    Lost,
    Doubled,
    Dearer,
    MoreUnits,
    Late,
    CalledOffHere,
    CalledOffThere,
    EnteredByHand,
}

const FATES: [Fate; 17] = [
    Fate::Arrived,
    Fate::InTwoParts,
    Fate::ArrivedBeforeTheWindow,
    Fate::CalledOffAtBoth,
    Fate::CalledOffInTime,
    Fate::StaffOrder,
    Fate::NotConfirmed,
    Fate::JustPlaced,
    Fate::BeforeTheWindow,
    Fate::Lost,
    Fate::Doubled,
    Fate::Dearer,
    Fate::MoreUnits,
    Fate::Late,
    Fate::CalledOffHere,
    Fate::CalledOffThere,
    Fate::EnteredByHand,
];

/// What has to come out.
#[derive(Default)]
struct Expected {
    agreed: Sum,
    open: Sum,
    excluded: BTreeMap<String, Sum>,
    in_flight: Sum,
    alone_there: Sum,
    /// Subject and reason of each difference; no reason where several would do.
    differences: BTreeMap<String, Option<Why>>,
}

fn world(fates: &[(Fate, i64)]) -> (Vec<Entry>, Vec<Entry>, Expected) {
    let (mut shop, mut books, mut expected) = (Vec::new(), Vec::new(), Expected::default());
    for (at_, (fate, units)) in fates.iter().enumerate() {
        let number = 100 + u32::try_from(at_).unwrap();
        let placed = DAY + i64::from(number) * 900;
        let mut ours = document(number, *units, placed);
        let id = format!("N{number}");
        let same = there(&ours, &id, 60);
        let key = number.to_string();
        let wrong = |expected: &mut Expected, why: Option<Why>| {
            expected.differences.insert(number.to_string(), why);
        };
        match fate {
            Fate::Arrived => {
                books.push(same);
                expected.agreed.add(&ours);
            }
            Fate::InTwoParts => {
                ours = document(number, *units + 1, placed);
                books.push(there(&document(number, *units, placed), &id, 60));
                books.push(there(&document(number, 1, placed), &format!("{id}B"), 90));
                expected.agreed.add(&ours);
            }
            Fate::ArrivedBeforeTheWindow => {
                ours.at = at(5);
                books.push(there(&ours, &id, -30));
                expected.agreed.add(&ours);
            }
            Fate::CalledOffAtBoth => {
                ours.stage = Stage::Void;
                books.push(Entry { stage: Stage::Void, ..same });
                expected.agreed.add(&ours);
            }
            Fate::CalledOffInTime => {
                ours.stage = Stage::Void;
                expected.excluded.entry("called_off v1".to_owned()).or_default().add(&ours);
            }
            Fate::StaffOrder => {
                ours.internal = true;
                expected.excluded.entry("internal v1".to_owned()).or_default().add(&ours);
            }
            Fate::NotConfirmed => {
                ours.stage = Stage::Pending;
                expected.excluded.entry("pending v1".to_owned()).or_default().add(&ours);
            }
            Fate::JustPlaced => {
                ours.at = at(10 * DAY - 600);
                expected.in_flight.add(&ours);
            }
            Fate::BeforeTheWindow => ours.at = at(-HOUR),
            Fate::Lost => {
                expected.open.add(&ours);
                wrong(&mut expected, Some(Why::NeverArrived));
            }
            Fate::Doubled => {
                books.push(same.clone());
                let copy = there(&same, &format!("{id}B"), 62);
                expected.agreed.add(&ours);
                expected.alone_there.add(&copy);
                expected.differences.insert(format!("~{id}B"), Some(Why::SentTwice));
                books.push(copy);
            }
            Fate::Dearer => {
                books.push(dearer(&same, 777));
                expected.open.add(&ours);
                wrong(&mut expected, None);
            }
            Fate::MoreUnits => {
                books.push(there(&document(number, *units + 2, placed), &id, 60));
                expected.open.add(&ours);
                wrong(&mut expected, Some(Why::OtherUnits));
            }
            Fate::Late => {
                books.push(there(&ours, &id, 7 * HOUR));
                expected.open.add(&ours);
                wrong(&mut expected, Some(Why::Late));
            }
            Fate::CalledOffHere => {
                ours.stage = Stage::Void;
                books.push(same);
                expected.open.add(&ours);
                wrong(&mut expected, Some(Why::CancelledOnce));
            }
            Fate::CalledOffThere => {
                books.push(Entry { stage: Stage::Void, ..same });
                expected.open.add(&ours);
                wrong(&mut expected, Some(Why::CancelledOnce));
            }
            Fate::EnteredByHand => {
                expected.alone_there.add(&same);
                expected.differences.insert(format!("~{id}"), Some(Why::Foreign));
                books.push(Entry { key: Some(RecordKey::new(format!("by-hand-{key}"))), ..same });
                // The source knows nothing of it.
                continue;
            }
        }
        shop.push(ours);
    }
    (shop, books, expected)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn everything_told_has_one_verdict_and_everything_wrong_is_a_difference(
        fates in proptest::collection::vec((proptest::sample::select(FATES.as_slice()), 1_i64..9), 1..40)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (shop, books, expected) = world(&fates);
            let store = memory().await;
            let id = Ends::of(&shop, &books).look(&store, &whole()).await;
            let (told, red, balanced) = told(&store, id).await;
            let mut tally = told.tallies.0.get("order").cloned().unwrap_or_default();
            let inside: Sum = shop.iter().filter(|entry| whole().contains(entry.at)).fold(Sum::default(), |mut sum, entry| {
                sum.add(entry);
                sum
            });
            assert!(balanced && tally.meets(), "{tally:?}");
            assert!(tally.told.meets(&inside), "{tally:?}");
            tally.there = Sum::default();
            assert_eq!(tally, Tally {
                told: inside,
                agreed: expected.agreed,
                open: expected.open,
                excluded: expected.excluded,
                in_flight: expected.in_flight,
                alone_there: expected.alone_there,
                ..Tally::default()
            });
            let found = differences(&store, true).await;
            let subjects: BTreeSet<&str> = found.iter().map(|row| row.found.subject.as_str()).collect();
            assert_eq!(subjects, expected.differences.keys().map(String::as_str).collect(), "no more and no less");
            for row in &found {
                if let Some(why) = expected.differences[&row.found.subject] {
                    assert_eq!(row.found.why, why, "{row:?}");
                }
                assert!(row.found.exception.is_some() && row.closed.is_none(), "{row:?}");
            }
            assert_eq!(red, found.len() as u64);
        });
    }
}

/// One of each kind, so that there are several pages on each side and differences to write down.
fn every_fate() -> (Vec<Entry>, Vec<Entry>) {
    let fates: Vec<(Fate, i64)> = FATES.iter().map(|fate| (*fate, 2)).collect();
    let (shop, books, _) = world(&fates);
    (shop, books)
}

/// Everything that a look leaves behind, but for the ids of rows.
async fn left(store: &Store, id: ReconciliationId) -> (String, u64, bool, Vec<String>) {
    let (told, red, balanced) = told(store, id).await;
    let rows = differences(store, true).await.into_iter().map(|row| {
        assert_eq!((row.first_run, row.last_run), (id, id));
        format!("{:?}", (row.found, row.suggestion, row.closed))
    });
    (serde_json::to_string(&told).unwrap(), red, balanced, rows.collect())
}

#[tokio::test]
async fn a_look_that_a_fault_breaks_off_goes_on_where_it_stood() {
    let (shop, books) = every_fate();
    let unbroken = Ends::of(&shop, &books);
    let store = memory().await;
    let expected = left(&store, unbroken.look(&store, &whole()).await).await;
    assert!(expected.1 > 5 && unbroken.shop.calls() > 3 && unbroken.books.calls() > 3);
    for (fails_at_books, calls) in [(true, unbroken.books.calls()), (false, unbroken.shop.calls())] {
        for call in 1..=calls {
            let ends = Ends::of(&shop, &books);
            let end = if fails_at_books { &ends.books } else { &ends.shop };
            end.0.lock().unwrap().fails_at = Some(call);
            let store = memory().await;
            let reconciler = ends.reconciler(&store, pair());
            let broken = reconciler.look(&reconciler.pairs[0], "demand", &whole()).await.unwrap();
            assert!(broken.unwrap_err().contains("shop and books"), "it says between whom");
            assert!(differences(&store, true).await.is_empty(), "half a statement finds nothing");
            let id = ends.look(&store, &whole()).await;
            assert_eq!(left(&store, id).await, expected, "call {call}");
            let read_again = (ends.shop.calls() - unbroken.shop.calls()) + (ends.books.calls() - unbroken.books.calls());
            assert_eq!(read_again, 1, "only the page that did not come is asked for again");
        }
    }
}

#[tokio::test]
async fn a_look_that_a_crash_breaks_off_comes_to_the_same_end() {
    let (shop, books) = every_fate();
    let unbroken = memory().await;
    let expected = left(&unbroken, Ends::of(&shop, &books).look(&unbroken, &whole()).await).await;
    let folder = tempfile::tempdir().unwrap();
    let open = async |file: &Path| Store::open(file.to_str().unwrap()).await.unwrap();
    for writes in 0.. {
        let file = folder.path().join(format!("{writes}.db"));
        let ends = Ends::of(&shop, &books);
        let store = open(&file).await;
        store.die_after(writes);
        let reconciler = ends.reconciler(&store, pair());
        let survived = reconciler.look(&reconciler.pairs[0], "demand", &whole()).await.is_ok();
        drop((reconciler, store));
        let store = open(&file).await;
        let last = store.read(|view| view.last_reconciliation(&brand(), "shop-books", None)).await.unwrap();
        // Killed between the last write and its answer, it is done, and nobody has to look again.
        let id = match last {
            Some(row) => row.id,
            None => ends.look(&store, &whole()).await,
        };
        assert_eq!(left(&store, id).await, expected, "killed after {writes} writes");
        let looks = store.read(|view| view.reconciliations(&brand(), None, 10)).await.unwrap();
        assert_eq!(looks.len(), 1, "it went on, and did not begin anew");
        if survived {
            assert!(writes > 8, "{writes} writes are hardly a look");
            return;
        }
    }
}

#[tokio::test]
async fn a_look_that_broke_off_while_it_was_judged_blocks_no_other() {
    let (shop, books) = every_fate();
    let folder = tempfile::tempdir().unwrap();
    let mut named = 0;
    for writes in 1.. {
        let file = folder.path().join(format!("{writes}.db"));
        let ends = Ends::of(&shop, &books);
        let store = Store::open(file.to_str().unwrap()).await.unwrap();
        store.die_after(writes);
        let reconciler = ends.reconciler(&store, pair());
        let survived = reconciler.look(&reconciler.pairs[0], "demand", &whole()).await.is_ok();
        drop((reconciler, store));
        let store = Store::open(file.to_str().unwrap()).await.unwrap();
        // Differences that name the broken look may stand already.
        named += differences(&store, false).await.len();
        let other = Interval { from: at(DAY), to: at(10 * DAY) };
        let id = ends.look(&store, &other).await;
        assert!(told(&store, id).await.2, "killed after {writes} writes");
        if survived {
            assert!(named > 0, "it never broke off while it was judged");
            return;
        }
    }
}

#[tokio::test]
async fn a_difference_is_closed_by_agreement_alone_and_comes_again_as_another() {
    let ours = document(1042, 2, 5 * DAY);
    let same = there(&ours, "N1", 60);
    let ends = Ends::of(std::slice::from_ref(&ours), &[dearer(&same, 500)]);
    let store = memory().await;
    let red = ends.look(&store, &whole()).await;
    let first = differences(&store, false).await;
    assert_eq!(first.len(), 1, "{first:?}");
    let open = |rows: &[DifferenceRow]| rows.iter().map(|row| row.id).collect::<Vec<DifferenceId>>();

    // Mended, and looked at elsewhere.
    ends.books.say(std::slice::from_ref(&same));
    ends.look(&store, &Interval { from: at(6 * DAY), to: at(10 * DAY) }).await;
    assert_eq!(open(&differences(&store, false).await), [first[0].id], "a window without it proves nothing");

    // Not mended, and on its way once more: nobody has seen it agree.
    ends.books.say(&[dearer(&same, 500)]);
    ends.shop.say(&[Entry { updated_at: Some(at(10 * DAY - 60)), ..ours.clone() }]);
    ends.look(&store, &whole()).await;
    assert_eq!(open(&differences(&store, false).await), [first[0].id], "in flight is not agreed");

    // There, and not to be read: nobody has seen it agree.
    ends.shop.say(&[]);
    ends.shop.0.lock().unwrap().unread = vec![ours.id.clone()];
    let unread = ends.look(&store, &whole()).await;
    assert!(!told(&store, unread).await.2, "the window stays open");
    assert!(open(&differences(&store, false).await).contains(&first[0].id), "what cannot be read proves nothing");
    ends.shop.0.lock().unwrap().unread.clear();

    ends.shop.say(std::slice::from_ref(&ours));
    ends.books.say(std::slice::from_ref(&same));
    let green = ends.look(&store, &whole()).await;
    assert!(differences(&store, false).await.is_empty());
    let closed = differences(&store, true).await.into_iter().find(|row| row.id == first[0].id).unwrap();
    assert!(closed.closed.unwrap().1.contains(&green.to_string()), "it names the look that saw it");
    assert_eq!((told(&store, red).await.1, told(&store, green).await.1), (1, 0), "a green look makes no red one green");

    ends.books.say(&[dearer(&same, 500)]);
    let again = ends.look(&store, &whole()).await;
    let anew = differences(&store, false).await;
    assert_eq!((anew.len(), anew[0].first_run), (1, again));
    assert_ne!(anew[0].id, first[0].id, "a new row beside the old one");
    assert!(differences(&store, true).await.len() >= 2);
}

#[tokio::test]
async fn a_turn_looks_when_it_is_time_and_tells_what_could_not_be_read() {
    let (shop, books) = every_fate();
    let ends = Ends::of(&shop, &books);
    let store = memory().await;
    let timed = PairSetup { every: Some(Duration::from_secs(86_400)), ..pair() };
    let reconciler = ends.reconciler(&store, timed);
    let looks = async || store.read(|view| view.reconciliations(&brand(), None, 10)).await.unwrap();

    ends.shop.0.lock().unwrap().fails_at = Some(2);
    let mut last = Looked::UnderWay;
    while last == Looked::UnderWay {
        last = reconciler.turn().await.unwrap();
    }
    assert!(matches!(last, Looked::Failed(_)), "{last:?}");
    let broken = looks().await;
    assert_eq!((broken.len(), broken[0].finished_at, broken[0].balanced), (1, None, None), "it is not done");
    assert_eq!(reconciler.turn().await.unwrap(), Looked::Idle, "it rests after a fault");

    ends.clock.advance(Duration::from_secs(30));
    last = Looked::UnderWay;
    while last == Looked::UnderWay {
        last = reconciler.turn().await.unwrap();
    }
    assert_eq!(last, Looked::Done(broken[0].id), "the same look, over the same window");
    let calls = ends.shop.calls() + ends.books.calls();
    for _ in 0..3 {
        assert_eq!(reconciler.turn().await.unwrap(), Looked::Idle);
        ends.clock.advance(Duration::from_secs(8 * 3_600 - 1));
    }
    assert_eq!(ends.shop.calls() + ends.books.calls(), calls, "nothing is asked before it is time");
    ends.clock.advance(Duration::from_secs(3));
    assert_eq!(reconciler.turn().await.unwrap(), Looked::UnderWay);
    assert_eq!(looks().await.len(), 2);

    // An end that never comes to an end proves nothing.
    ends.books.0.lock().unwrap().turns_in_circles = true;
    let endless = reconciler.look(&reconciler.pairs[0], "demand", &whole()).await.unwrap();
    assert!(endless.unwrap_err().contains("the next page is this page"));
}

/// The books of the ordinary world as a statement.
struct Books(Fake);

#[async_trait]
impl Statements for Books {
    fn kinds(&self) -> &'static [Kind] {
        &[Kind::Order]
    }

    async fn page(&self, _kind: Kind, interval: &Interval, _page: Option<&Cursor>) -> Result<StatementPage, Fault> {
        let world = self.0.world.lock().unwrap();
        let entry = |(id, order): (&u32, &Order)| Entry { id: ExternalId::new(id.to_string()), ..Entry::from(order) };
        let entries = world.documents.iter().map(entry).filter(|entry| interval.contains(entry.at)).collect();
        Ok(StatementPage { entries, ..StatementPage::default() })
    }
}

/// An engine with its pair, and what a person may do beside it.
struct Running {
    fake: Fake,
    store: Store,
    engine: Arc<Engine>,
    actions: Actions,
    pair: PairSetup,
}

impl Running {
    async fn new() -> Self {
        let fake = Fake::new(5, 0);
        let store = memory().await;
        map_items(&store, &fake, &[0, 1, 2]).await;
        let pair = PairSetup { flows: vec![(Kind::Order, FlowName::from("orders"))], ..pair() };
        let mut setup = fake.setup(store.clone(), OrderPolicy::default());
        setup.connections.get_mut(&ConnectionName::from("books")).unwrap().statements = Some(Arc::new(Books(fake.clone())));
        setup.pairs = vec![pair.clone()];
        let engine = Arc::new(Engine::new(setup).unwrap());
        let actions = Actions { store: store.clone(), brand: brand(), clock: fake.clock.clone(), actor: "anna".into() };
        Self { fake, store, engine, actions, pair }
    }

    async fn settle(&self) {
        for turn in 0..200 {
            self.engine.tick().await.unwrap();
            assert_balance(&self.engine).await;
            self.fake.clock.advance(Duration::from_secs(2));
            // A notice is given its time before its document is fetched.
            if turn > 10 && self.engine.settled().await.unwrap() && self.fake.quiet() {
                return;
            }
        }
        panic!("it does not settle");
    }

    /// Looks once everything has had its time; a look writes nothing.
    async fn look(&self) -> (Tally, Vec<DifferenceRow>) {
        self.fake.clock.advance(Duration::from_secs(2 * 3_600));
        let now = selvedge_connector::Clock::now(self.fake.clock.as_ref());
        let window = Interval { from: at(-HOUR), to: now };
        self.fake.read_only(true);
        let before = self.fake.documents();
        let reconciler = &self.engine.reconciler;
        let id = reconciler.look(&reconciler.pairs[0], "demand", &window).await.unwrap().unwrap();
        assert_eq!(self.fake.documents(), before);
        self.fake.read_only(false);
        let (told, ..) = told(&self.store, id).await;
        (told.tallies.0["order"].clone(), differences(&self.store, false).await)
    }

    fn copies(&self, number: u32) -> usize {
        let key = RecordKey::new(number.to_string());
        self.fake.documents().iter().filter(|document| document.number == key).count()
    }

    fn lose(&self, number: u32) {
        let key = RecordKey::new(number.to_string());
        self.fake.world.lock().unwrap().documents.retain(|_, document| document.number != key);
    }

    async fn state(&self, number: u32) -> Option<State> {
        let key = RecordKey::new(number.to_string());
        let rows = self.store.read(move |view| view.obligations_of(&brand(), Kind::Order, &key)).await.unwrap();
        rows.last().map(|row| row.state)
    }
}

fn words(found: &[DifferenceRow]) -> BTreeMap<&str, &'static str> {
    found.iter().map(|row| (row.found.subject.as_str(), row.found.why.word())).collect()
}

fn everything() -> Limits {
    Limits { records: 100, money: Vec::new() }
}

#[tokio::test]
async fn what_never_arrived_was_deleted_or_is_stale_is_delivered_again_and_the_rest_is_a_persons() {
    let world = Running::new().await;
    for number in 2..=5 {
        world.fake.place(number, 2);
    }
    world.settle().await;
    // No news came of the first and of the last change of the third; the second was deleted, the fourth changed there.
    world.fake.place_silently(1, 4);
    world.fake.clock.advance(Duration::from_secs(60));
    let now = selvedge_connector::Clock::now(world.fake.clock.as_ref());
    {
        let mut shop = world.fake.world.lock().unwrap();
        shop.orders.insert(3, crate::fake::order(3, 7, now));
    }
    world.lose(2);
    world.fake.tamper(4, |document| document.lines[0].sku = Sku::new("HAT"));
    let (tally, found) = world.look().await;
    let expected = [("1", "never_arrived"), ("2", "deleted"), ("3", "stale"), ("4", "other_sku")];
    assert_eq!(words(&found), BTreeMap::from(expected), "{found:?}");
    assert!(tally.meets() && tally.uncaptured == 1 && tally.agreed.count == 1, "{tally:?}");

    let plan = world.actions.plan_repair(&world.pair, &everything()).await.unwrap();
    let planned: BTreeMap<&str, Repair> = plan.repairs.iter().map(|(row, how)| (row.found.subject.as_str(), *how)).collect();
    assert_eq!(planned, BTreeMap::from([("1", Repair::Deliver), ("2", Repair::Restore), ("3", Repair::Deliver)]));
    assert_eq!((plan.exceptions, plan.left), (1, 0));
    assert_eq!(world.state(1).await, None, "a plan does nothing");
    assert_eq!(world.state(2).await, Some(State::Confirmed), "a plan does nothing");

    assert_eq!(world.actions.repair(&world.pair, plan).await.unwrap(), 3);
    assert_eq!(world.state(2).await, Some(State::Captured), "back before the gate");
    let due = world.store.read(|view| view.notices_due(&brand(), &ConnectionName::from("shop"), Kind::Order, Timestamp::MAX, 10));
    assert_eq!(due.await.unwrap().len(), 2, "news of what never arrived, and of what is stale");
    let acts = world.store.read(|view| view.audit_rows(&brand(), 100)).await.unwrap();
    assert_eq!(acts.iter().filter(|act| act.action == "reconcile.repair").count(), 3, "each is somebody's act");

    world.settle().await;
    for number in 1..=5 {
        assert_eq!((world.copies(number), world.state(number).await), (1, Some(State::Confirmed)), "order {number}");
    }
    let (tally, found) = world.look().await;
    assert_eq!(words(&found), BTreeMap::from([("4", "other_sku")]));
    assert!(tally.meets() && tally.uncaptured == 0 && tally.agreed.count == 4, "{tally:?}");
    let again = world.actions.plan_repair(&world.pair, &everything()).await.unwrap();
    assert!(again.repairs.is_empty() && again.exceptions == 1);
}

#[tokio::test]
async fn a_document_that_came_back_before_its_repair_is_not_made_twice() {
    let world = Running::new().await;
    world.fake.place(2, 2);
    world.settle().await;
    let kept = world.fake.documents();
    world.lose(2);
    let (_, found) = world.look().await;
    assert_eq!(words(&found), BTreeMap::from([("2", "deleted")]));
    let plan = world.actions.plan_repair(&world.pair, &everything()).await.unwrap();
    // Somebody undeletes it between the preview and the repair.
    world.fake.world.lock().unwrap().documents.insert(7, kept[0].clone());
    assert_eq!(world.actions.repair(&world.pair, plan).await.unwrap(), 1);
    world.settle().await;
    assert_eq!((world.copies(2), world.state(2).await), (1, Some(State::Confirmed)));
}

#[tokio::test]
async fn a_repair_keeps_to_its_limits() {
    let world = Running::new().await;
    // 250, 500 and 1,250 SEK.
    for (number, units) in [(1, 2), (2, 4), (3, 10)] {
        world.fake.place_silently(number, units);
    }
    let (_, found) = world.look().await;
    assert_eq!(found.len(), 3);
    let sek = |minor: i64| Money::from_minor(minor, Currency::from_code("SEK").unwrap());
    let planned = async |records: usize, money: Vec<Money>| {
        let plan = world.actions.plan_repair(&world.pair, &Limits { records, money }).await.unwrap();
        let subjects: Vec<String> = plan.repairs.iter().map(|(row, _)| row.found.subject.clone()).collect();
        (subjects.join(" "), plan.money, plan.left)
    };
    assert_eq!(planned(2, Vec::new()).await, ("3 2".to_owned(), vec![sek(175_000)], 1), "the most money first");
    assert_eq!(planned(9, vec![sek(75_000)]).await, ("2 1".to_owned(), vec![sek(75_000)], 1), "as much as fits");
    assert_eq!(planned(9, vec![sek(74_999)]).await, ("2".to_owned(), vec![sek(50_000)], 2));
    assert_eq!(planned(0, Vec::new()).await, (String::new(), Vec::new(), 3));
    let eur = Money::from_minor(1, Currency::from_code("EUR").unwrap());
    assert_eq!(planned(9, vec![eur]).await.2, 0, "a limit in one currency limits no other");
}
