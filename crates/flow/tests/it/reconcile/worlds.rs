//! Random worlds of orders and what happened to them on their way; looks that a fault or a crash breaks off.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use proptest::prelude::*;
use selvedge_model::{
    reconcile::{Sum, Tally, Why},
    statement::Stage,
};

use super::*;

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
            let read = Interval { from: at(-2 * DAY), to: at(12 * DAY) };
            let read = shop.iter().chain(&books).filter(|entry| read.contains(entry.at)).count() as u64;
            assert_eq!((tally.read, tally.seen), (read, read));
            tally = Tally { there: Sum::default(), there_paired: Sum::default(), there_aside: Sum::default(), read: 0, seen: 0, ..tally };
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
pub(super) fn every_fate() -> (Vec<Entry>, Vec<Entry>) {
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
