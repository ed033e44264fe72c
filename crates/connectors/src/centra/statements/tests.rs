//! Whole statements of the simulated shop, over real HTTP and a connection that only reads.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use selvedge_connector::{
    Connection, Connector, Cursor, Fault, OpenContext, Secret, Secrets, Source, clock::ManualClock, statements,
};
use selvedge_model::{
    AnyRecord, ConnectionName, Interval, Kind, Record,
    gate::Values,
    statement::{Entry, Stage},
};
use selvedge_sim::{
    centra::{
        Centra as Simulated, Options,
        limits::Plan,
        stock::{Opening, StockOptions},
    },
    data::{Catalogue, Source as Data},
    mischief::{Mischief, Profile},
    wire,
};
use serde_json::{Value, json};

use super::{super::Centra, *};

const KINDS: [Kind; 5] = [Kind::Order, Kind::Shipment, Kind::Return, Kind::CreditNote, Kind::Refund];

struct Shop {
    centra: Simulated,
    connection: Connection,
}

/// The stand-in lives by the wall clock.
#[allow(clippy::disallowed_methods, reason = "the stand-in dates what happens by the wall clock")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn always() -> Interval {
    Interval { from: Timestamp::UNIX_EPOCH, to: Timestamp::from_second(now().as_second() + 3_600).unwrap() }
}

/// A shop of which everything has left and some has come back.
async fn shop(orders: u64, profile: Profile, settings: Value) -> Shop {
    let stock = StockOptions { opening: Opening::Each(5_000), ..StockOptions::default() };
    let options = Options { plan: Plan::Enterprise, stock, returns: true, ..Options::default() };
    let catalogue = Arc::new(Catalogue::open(7, &Data::Generated { orders }).unwrap());
    let centra = Simulated::open(7, "test", catalogue, Mischief::new(7, profile, "centra"), options, None).unwrap();
    let url = Box::leak(Box::new(wire::serve(centra.router()).await.unwrap())).url();
    centra.place_all().unwrap();
    centra.fast_forward(Duration::from_secs(8)).unwrap();
    centra.send_all().unwrap();
    centra.fast_forward(Duration::from_secs(40)).unwrap();
    let mut all = json!({ "base_url": url, "time_zone": "Europe/Stockholm", "returns": true });
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let mut secrets = Secrets::default();
    secrets.set("token", Secret::new(centra.token()));
    let name = ConnectionName::new("shop");
    let clock = Arc::new(ManualClock::at(Timestamp::from_second(now().as_second() + 600).unwrap()));
    let context = OpenContext {
        name: &name,
        settings: &all,
        secrets: &secrets,
        clock,
        read_only: true,
        reach: selvedge_connector::Reach::ANYWHERE,
    };
    let connection = Centra.open(&context).unwrap_or_else(|problems| panic!("{problems:?}"));
    Shop { centra, connection }
}

/// Every page, going on from the cursor after a fault; how many faults there were.
async fn all(connection: &Connection, kind: Kind, interval: Interval) -> (Vec<Entry>, usize) {
    let (mut entries, mut page, mut faults) = (Vec::new(), None::<Cursor>, 0);
    loop {
        match statements::page(connection, kind, &interval, page.as_ref()).await {
            Ok(read) => {
                let read = read.unwrap();
                assert_eq!(read.unread, [], "{kind}");
                entries.extend(read.entries);
                match read.next {
                    Some(next) => page = Some(next),
                    None => return (entries, faults),
                }
            }
            Err(fault @ (Fault::Transient { .. } | Fault::Throttled { .. } | Fault::Unexpected { .. })) => {
                faults += 1;
                assert!(faults < 500, "{fault:?}");
            }
            Err(fault) => panic!("{fault:?}"),
        }
    }
}

/// Each under its id; none twice.
fn by_id(entries: Vec<Entry>) -> BTreeMap<String, Entry> {
    let count = entries.len();
    let found: BTreeMap<String, Entry> = entries.into_iter().map(|entry| (entry.id.to_string(), entry)).collect();
    assert_eq!(found.len(), count, "one is told twice");
    found
}

/// What the flow's own path tells: list, decode.
async fn listed<R: Record>(source: &dyn Source<R>, each: &mut impl FnMut(&Value, R, Vec<AnyRecord>)) {
    let mut page = None::<Cursor>;
    loop {
        let read = source.list(&always(), page.as_ref()).await.unwrap();
        for raw in read.raws {
            let decoded = source.decode(&raw, &Values::default());
            each(&serde_json::from_slice(&raw.body).unwrap(), decoded.record.unwrap(), decoded.also);
        }
        match read.next {
            Some(next) => page = Some(next),
            None => return,
        }
    }
}

fn add(found: &mut BTreeMap<Kind, BTreeMap<String, Entry>>, entry: Entry) {
    found.entry(entry.kind).or_default().insert(entry.id.to_string(), entry);
}

fn add_money(found: &mut BTreeMap<Kind, BTreeMap<String, Entry>>, also: Vec<AnyRecord>) {
    // A credit note comes before what pays it.
    let mut cancelled = BTreeSet::new();
    for record in also {
        match record {
            AnyRecord::CreditNote(credit) => {
                cancelled.extend((credit.reason == CreditReason::Cancellation).then(|| credit.key.clone()));
                add(found, Entry::from(&*credit));
            }
            AnyRecord::Refund(refund) => {
                let never_invoiced = cancelled.contains(&refund.credit_note);
                add(found, Entry { never_invoiced, ..Entry::from(&*refund) });
            }
            other => panic!("{other:?}"),
        }
    }
}

fn without_reading(mut entry: Entry) -> Entry {
    // A return says nowhere when it changed: it is as of when it was read.
    entry.updated_at = None;
    entry
}

#[tokio::test]
async fn a_statement_is_what_the_documents_tell_one_by_one() {
    let shop = shop(700, Profile::None, json!({})).await;
    let mut expected = BTreeMap::new();
    let connection = &shop.connection;
    listed(connection.order_source.as_deref().unwrap(), &mut |_, order, also| {
        add(&mut expected, Entry::from(&order));
        add_money(&mut expected, also);
    })
    .await;
    listed(connection.return_source.as_deref().unwrap(), &mut |_, returned, also| {
        add(&mut expected, Entry::from(&returned));
        add_money(&mut expected, also);
    })
    .await;
    let mut page = None;
    // Shipments are listed without when they were made.
    let source = connection.shipment_source.as_deref().unwrap();
    loop {
        let read = source.list(&always(), page.as_ref()).await.unwrap();
        for raw in read.raws {
            let shipment = source.decode(&raw, &Values::default()).record.unwrap();
            add(&mut expected, Entry::from(&shipment));
        }
        page = read.next;
        if page.is_none() {
            break;
        }
    }

    let is_never_invoiced = |kind: Kind| expected[&kind].values().any(|entry| entry.never_invoiced);
    assert!(is_never_invoiced(Kind::CreditNote) && is_never_invoiced(Kind::Refund), "nothing was cancelled before it left");
    let before = shop.centra.calls();
    let mut documents = 0;
    for kind in KINDS {
        let told = by_id(all(connection, kind, always()).await.0);
        documents += told.len();
        let expected = expected.remove(&kind).unwrap_or_default();
        assert!(expected.len() > 20, "{kind}: {}", expected.len());
        assert_eq!(told.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{kind}");
        for (id, entry) in told {
            let mut wanted = expected[&id].clone();
            if kind == Kind::Shipment {
                wanted.at = entry.at;
            }
            assert_eq!(without_reading(entry), without_reading(wanted), "{kind} {id}");
        }
    }
    let calls = shop.centra.calls() - before;
    // Two lists are read for credit notes, and the same two for refunds.
    assert!(calls <= 45, "{calls} calls for {documents} documents");
}

#[tokio::test]
async fn windows_share_out_everything_and_repeat_nothing() {
    let shop = shop(400, Profile::None, json!({})).await;
    for kind in KINDS {
        let whole = by_id(all(&shop.connection, kind, always()).await.0);
        // Windows begin and end at instants at which documents were made.
        let mut cuts: Vec<Timestamp> = whole.values().map(|entry| entry.at).collect();
        cuts.sort();
        let mut bounds = vec![always().from];
        bounds.extend([cuts[cuts.len() / 3], cuts[cuts.len() / 2], always().to]);
        let mut parts = Vec::new();
        for pair in bounds.windows(2) {
            let window = Interval { from: pair[0], to: pair[1] };
            let part = all(&shop.connection, kind, window).await.0;
            assert!(part.iter().all(|entry| window.contains(entry.at)), "{kind}");
            parts.extend(part);
        }
        assert_eq!(by_id(parts), whole, "{kind}");
    }
}

#[tokio::test]
async fn a_statement_goes_on_where_a_fault_stopped_it() {
    let shop = shop(300, Profile::Hostile, json!({ "page_size": 20 })).await;
    let (orders, met) = all(&shop.connection, Kind::Order, always()).await;
    let documents = shop.centra.documents_csv();
    let placed: BTreeSet<String> =
        documents.lines().skip(1).filter_map(|line| Some(line.split(',').next()?.to_owned())).collect();
    assert_eq!(by_id(orders).into_keys().collect::<BTreeSet<_>>(), placed);
    let (shipments, more) = all(&shop.connection, Kind::Shipment, always()).await;
    let expected: BTreeSet<String> = shop.centra.shipments().into_iter().map(|shipment| shipment.id).collect();
    assert_eq!(
        by_id(shipments).into_values().filter_map(|entry| Some(entry.key?.to_string())).collect::<BTreeSet<_>>(),
        expected
    );
    let faults = met + more;
    assert!(faults > 0, "nothing was tried");
}

#[tokio::test]
async fn what_was_called_off_is_told_as_such() {
    let shop = shop(300, Profile::None, json!({})).await;
    let (orders, _) = all(&shop.connection, Kind::Order, always()).await;
    let cancelled = orders.iter().find(|entry| entry.stage == Stage::Void);
    let standing = orders.iter().find(|entry| entry.stage != Stage::Void).unwrap();
    assert!(standing.totals.is_some() && !standing.lines.is_empty() && standing.key == standing.order);
    assert!(cancelled.is_none_or(|entry| entry.order.is_some()));
}

#[test]
fn a_page_takes_its_share_of_the_complexity_and_less_when_it_takes_too_long() {
    let size = Size::starting(50);
    assert_eq!(size.rows(Some(250_000)), 50, "nothing is known yet");
    size.row.store(200, Ordering::Relaxed);
    assert_eq!(size.rows(Some(250_000)), 200);
    size.row.store(1_000, Ordering::Relaxed);
    assert_eq!(size.rows(Some(250_000)), 62);
    size.row.store(100_000, Ordering::Relaxed);
    assert_eq!(size.rows(Some(250_000)), PAGE_MIN);
    let size = Size::starting(100);
    let slow = Fault::Transient { what: String::new(), source: None };
    size.learn(100, Err(&slow));
    assert_eq!(size.rows(None), 50);
    for _ in 0..9 {
        size.learn(50, Err(&slow));
    }
    assert_eq!(size.rows(None), PAGE_MIN);
}
