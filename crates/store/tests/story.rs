//! One story through the whole of the store: an order arrives, is held, released, sent, lost sight
//! of in a crash, found, confirmed, changed, and accounted for.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use jiff::Timestamp;
use selvedge_model::{
    AnyRecord, Brand, ConnectionName, FlowName, Interval, Kind, ObligationId, Order, Problem,
    gate::{Lookup, Values},
    obligation::{Event, State},
};
use selvedge_store::{
    Result, Store, Tx,
    captures::{Arrived, NewCapture},
    intervals::ProvenRow,
    mappings::MappingAnswer,
    obligations::{FlowSide, NewObligation, Step},
    records::{NewRecord, Recorded},
    sealed::SealingKey,
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn brand() -> Brand {
    "brand".into()
}

fn shop() -> ConnectionName {
    "shop".into()
}

fn erp() -> ConnectionName {
    "erp".into()
}

fn flow() -> FlowName {
    "orders".into()
}

fn side() -> FlowSide {
    FlowSide { flow: flow(), from: shop(), kind: Kind::Order, off: false }
}

/// An order as its canonical JSON has it.
fn order(number: &str, status: &str, amount: &str) -> Order {
    let money = |amount: &str| format!(r#"{{"amount":"{amount}","currency":"EUR"}}"#);
    let none = format!(r#"{{"net":{0},"tax":{0},"rate":null}}"#, money("0.00"));
    let line = format!(
        r#"{{"id":"1","kind":"product","bundle":null,"sku":"15056BL","name":"Parasol","quantity":2,"cancelled":0,
            "unit_net":"4.5","net":{0},"tax":{1},"taxes":[{{"name":"VAT","rate":"25","amount":{1}}}]}}"#,
        money(amount),
        money("0.00")
    );
    let text = format!(
        r#"{{"number":"{number}","id":"abc","placed_at":"2026-02-03T10:00:00Z","updated_at":"2026-02-03T10:00:00Z","placed_on":"2026-02-03",
            "status":"{status}","holds":[],"internal":false,"currency":"EUR","tax_mode":"included","store":{{"id":"1","name":"Retail"}},
            "market":{{"id":"2","name":"Sweden"}},"customer":null,"billing":null,"shipping":null,"lines":[{line}],"discounts":[],
            "shipping_method":null,"shipping_charge":{none},"handling_charge":{none},"payment_method":null,"payments":[],
            "totals":{{"net":{0},"tax":{1},"gross":{0}}},"comment":null}}"#,
        money(amount),
        money("0.00")
    );
    serde_json::from_str(&text).unwrap()
}

/// What the flow does with what arrives: keep, decode, record, owe; all of it or nothing.
fn arrive(tx: &Tx<'_>, body: &str, order: &Order, second: i64) -> Result<ObligationId> {
    let new = NewCapture {
        brand: brand(),
        connection: shop(),
        kind: Kind::Order,
        external_id: order.number.as_str().into(),
        version: Some(at(second)),
        body: body.as_bytes().to_vec(),
        via: "poll",
        asked_at: Some(at(second)),
        received_at: at(second),
    };
    assert!(matches!(tx.capture(&new)?, Arrived::New(_)));
    let capture = tx.captures_due(&brand(), 1)?.remove(0);
    let new = NewRecord {
        brand: brand(),
        connection: capture.connection,
        capture: Some(capture.id),
        record: order.clone().into(),
        problems: Vec::new(),
        version: capture.version,
        received_at: capture.received_at,
    };
    let Recorded::Revision(record, revision) = tx.put_record(&new)? else { panic!("no news") };
    tx.capture_decoded(capture.id)?;
    let new = NewObligation {
        brand: brand(),
        flow: flow(),
        kind: Kind::Order,
        key: order.number.clone(),
        record,
        revision,
        captured_at: at(second),
    };
    let id = tx.owe(&new, at(second))?;
    tx.tell(id, "capture", "captured", "from shop", at(second))?;
    Ok(id)
}

async fn balanced(store: &Store) {
    let balance = store.read(|view| view.balance(&brand(), &[side()], None)).await.unwrap();
    assert_eq!(balance[0].difference(), 0, "{balance:?}");
}

#[tokio::test]
async fn the_story_of_an_order() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("store.db").display());
    let store = Store::open(&url).await.unwrap();
    let (key, key_text) = SealingKey::generate();

    // It arrives; a second one as well.
    let first = order("SE-1042", "confirmed", "9.00");
    let (one, two) = store
        .write({
            let first = first.clone();
            move |tx| {
                tx.seal(&brand(), "erp.token", "s3cret", &key)?;
                let row = ProvenRow {
                    via: "poll".into(),
                    interval: Interval { from: at(0), to: at(10) },
                    seen: 2,
                    news: 2,
                    at: at(10),
                };
                tx.prove(&brand(), &shop(), Kind::Order, &row)?;
                Ok((arrive(tx, "raw 1", &first, 5)?, arrive(tx, "raw 2", &order("SE-1043", "confirmed", "20.00"), 6)?))
            }
        })
        .await
        .unwrap();
    balanced(&store).await;

    // The gate misses a value: one exception holds both.
    let lookup = Lookup::new("item", &[("sku", "15056BL")], "lines[0].sku").same_name();
    let exception = store
        .write({
            let lookup = lookup.clone();
            move |tx| {
                assert_eq!(tx.answer(&brand(), &erp(), &lookup)?, MappingAnswer::Nothing);
                let mut exception = None;
                for row in tx.due(&brand(), &flow(), State::Captured, at(11), 10)? {
                    let raised = tx.raise(&brand(), &flow(), &lookup.missing(), at(11))?;
                    tx.step(row.id, Event::Hold, &Step { exception: Some(raised), ..Step::default() }, at(11))?;
                    exception = Some(raised);
                }
                Ok(exception.unwrap())
            }
        })
        .await
        .unwrap();
    let shown = store.read(move |view| view.exception(exception)).await.unwrap();
    assert_eq!((shown.count, shown.money[0].to_string().as_str()), (2, "29.00 EUR"));
    balanced(&store).await;

    // A person adds the mapping, and it goes on.
    store
        .write(move |tx| {
            tx.map(&brand(), &erp(), "item", &lookup.key_text(), Some("98"), "anna", at(20))?;
            assert_eq!(tx.release(exception, None, at(20))?, 2);
            tx.audit(&brand(), "anna", "mapping.set", "item sku=15056BL", "98", at(20))?;
            assert_eq!(tx.answer(&brand(), &erp(), &lookup)?, MappingAnswer::Is("98".into()));
            let mut values = Values::default();
            values.set("item", lookup.key_text(), "98");
            for row in tx.due(&brand(), &flow(), State::Captured, at(20), 10)? {
                tx.step(row.id, Event::Clear, &Step { values: Some(values.clone()), ..Step::default() }, at(21))?;
            }
            assert_eq!(tx.claim(&brand(), &flow(), at(22), 10)?.len(), 2);
            tx.step(two, Event::Answer, &Step { target: Some("902".into()), ..Step::default() }, at(23))?;
            Ok(())
        })
        .await
        .unwrap();

    // The process dies while the first is being sent.
    drop(store);
    let store = Store::open(&url).await.unwrap();
    balanced(&store).await;
    store
        .write(move |tx| {
            assert_eq!(tx.recover(&brand(), at(30))?, 1);
            let row = tx.due(&brand(), &flow(), State::Unanswered, at(30), 10)?.remove(0);
            assert_eq!((row.id, row.attempts), (one, 1));
            // The look by our key finds it.
            tx.step(one, Event::Answer, &Step { target: Some("901".into()), ..Step::default() }, at(31))?;
            for (id, target) in [(one, "901"), (two, "902")] {
                let row = tx.obligation(id)?;
                tx.bind(&brand(), &erp(), Kind::Order, &row.key, &target.into(), at(32))?;
                tx.step(id, Event::Confirm, &Step::default(), at(32))?;
                tx.tell(id, "confirm", "confirmed", "read back and equal", at(32))?;
            }
            assert_eq!(tx.close_empty(&brand(), at(33))?, [exception]);
            Ok(())
        })
        .await
        .unwrap();
    balanced(&store).await;

    // It is cancelled later, and that is owed as well.
    let cancelled = order("SE-1042", "cancelled", "9.00");
    let three = store.write(move |tx| arrive(tx, "raw 3", &cancelled, 40)).await.unwrap();
    store
        .read(move |view| {
            let of = view.obligations_of(&brand(), Kind::Order, &"SE-1042".into())?;
            assert_eq!(
                of.iter().map(|row| (row.id, row.state)).collect::<Vec<_>>(),
                [(one, State::Confirmed), (three, State::Captured)]
            );
            assert_eq!(view.binding(&brand(), &erp(), Kind::Order, &"SE-1042".into())?, Some("901".into()));
            let revisions = view.revisions(&brand(), Kind::Order, &"SE-1042".into())?;
            assert_eq!(revisions[0].record, AnyRecord::from(first));
            assert_eq!(view.capture_body(revisions[1].capture.unwrap())?, b"raw 3");
            let verbs: Vec<_> = view.story(one)?.into_iter().map(|line| format!("{} {}", line.verb, line.outcome)).collect();
            assert_eq!(verbs, ["capture captured", "release captured", "deliver unanswered", "confirm confirmed"]);
            assert_eq!(view.records(&brand(), Kind::Order, "15056bl", 10)?.len(), 2);
            assert_eq!(view.audit_broken_at(&brand())?, None);
            assert_eq!(
                view.unseal(&brand(), "erp.token", &SealingKey::from_base64(&key_text).unwrap())?.as_deref(),
                Some("s3cret")
            );
            let balance = view.balance(&brand(), &[side()], Some(Interval { from: at(0), to: at(10) }))?;
            assert_eq!((balance[0].captured, balance[0].confirmed), (2, 2));
            Ok(())
        })
        .await
        .unwrap();
    balanced(&store).await;
}

/// By hand: `ORDERS=100000 cargo test -p selvedge-store --test story -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, not a check"]
async fn many_orders() {
    const BATCH: usize = 100;
    let orders = std::env::var("ORDERS").ok().and_then(|orders| orders.parse().ok()).unwrap_or(10_000);
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("store.db").to_str().unwrap()).await.unwrap();
    let lap = |what: &str, since: std::time::Instant| {
        let peak = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let peak = peak.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default().to_owned();
        println!("{what:<40} {:>8.2?}   {peak}", since.elapsed());
    };
    let started = std::time::Instant::now();
    for batch in 0..orders / BATCH {
        store
            .write(move |tx| {
                for n in 0..BATCH {
                    let order = order(&format!("SE-{}", batch * BATCH + n), "confirmed", "9.00");
                    let body = serde_json::to_string(&order).unwrap();
                    arrive(tx, &body, &order, 5)?;
                }
                Ok(())
            })
            .await
            .unwrap();
    }
    lap("captured, recorded, owed", started);
    let started = std::time::Instant::now();
    let mut values = Values::default();
    values.set("item", "sku=15056BL", "98");
    for (from, event) in [(State::Captured, Event::Clear), (State::Delivered, Event::Confirm)] {
        loop {
            let values = values.clone();
            let moved = store
                .write(move |tx| {
                    let rows = tx.due(&brand(), &flow(), from, at(100), BATCH)?;
                    for row in &rows {
                        tx.step(row.id, event, &Step { values: Some(values.clone()), ..Step::default() }, at(100))?;
                        tx.tell(row.id, "gate", "moved", "", at(100))?;
                    }
                    for row in tx.claim(&brand(), &flow(), at(100), BATCH)? {
                        tx.step(row.id, Event::Answer, &Step { target: Some("901".into()), ..Step::default() }, at(100))?;
                        tx.tell(row.id, "deliver", "delivered", "", at(100))?;
                    }
                    Ok(rows.len())
                })
                .await
                .unwrap();
            if moved == 0 {
                break;
            }
        }
        lap(event_name(event), started);
    }
    let started = std::time::Instant::now();
    balanced(&store).await;
    lap("balance", started);
    let started = std::time::Instant::now();
    store.read(|view| view.latency(&brand(), &flow(), 50_000)).await.unwrap();
    lap("latency", started);
    let started = std::time::Instant::now();
    for _ in 0..1_000 {
        store
            .read(|view| {
                assert!(view.due(&brand(), &flow(), State::Captured, at(999), 100)?.is_empty());
                view.next_due(&brand())
            })
            .await
            .unwrap();
    }
    lap("1,000 times: is anything due?", started);
    let started = std::time::Instant::now();
    store.read(|view| view.records(&brand(), Kind::Order, "nothing like it", 50)).await.unwrap();
    lap("a search that finds nothing", started);
    let started = std::time::Instant::now();
    for batch in 0..orders / BATCH {
        store
            .write(move |tx| {
                let exception = tx.raise(&brand(), &flow(), &Problem::new("a.b", "", "m", "r"), at(200))?;
                for n in batch * BATCH..(batch + 1) * BATCH {
                    let order = order(&format!("SE-{n}"), "shipped", "9.00");
                    let id = arrive(tx, &format!("again {n}"), &order, 200)?;
                    tx.step(id, Event::Hold, &Step { exception: Some(exception), ..Step::default() }, at(200))?;
                }
                Ok(())
            })
            .await
            .unwrap();
    }
    lap("changed, all held", started);
    let started = std::time::Instant::now();
    let held = store.read(|view| view.exceptions(&brand(), false)).await.unwrap();
    let exception = held[0].id;
    lap("exceptions with money", started);
    let started = std::time::Instant::now();
    store.write(move |tx| tx.release(exception, None, at(201))).await.unwrap();
    lap("all released at once", started);
    // Small writes by many at once: what the groups are for.
    let started = std::time::Instant::now();
    let mut writes = tokio::task::JoinSet::new();
    for n in 0..64 {
        let store = store.clone();
        writes.spawn(async move {
            for _ in 0..250 {
                store.write(move |tx| tx.add_calls(&brand(), &erp(), &format!("p{n}"), 1)).await.unwrap();
            }
        });
    }
    writes.join_all().await;
    lap("16,000 small writes of 64 callers", started);
}

fn event_name(event: Event) -> &'static str {
    match event {
        Event::Clear => "cleared, claimed, answered",
        _ => "confirmed",
    }
}

/// Several futures in one task: while the task waits for one, nobody polls the others.
#[tokio::test]
async fn nobody_waits_for_a_caller_that_is_not_polled() {
    let store = Store::open("sqlite::memory:").await.unwrap();
    let mut idle: Vec<_> = (0..40)
        .map(|_| {
            let store = store.clone();
            Box::pin(async move {
                store.read(|view| view.audit_broken_at(&brand())).await.unwrap();
                store.write(|tx| tx.add_calls(&brand(), &erp(), "orders", 1)).await.unwrap();
            })
        })
        .collect();
    for future in &mut idle {
        let mut look = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(std::future::Future::poll(future.as_mut(), &mut look).is_pending());
    }
    let read = store.read(|view| view.audit_broken_at(&brand()));
    tokio::time::timeout(std::time::Duration::from_secs(20), read).await.expect("the read has its turn").unwrap();
}
