//! Somebody asks to be forgotten: nothing that names them is left in the file, and every proof stays valid.

use selvedge_model::{
    Currency, Money, Order, Problem,
    checklist::{Checklist, Seen},
    compare::Cause,
    obligation::Event,
    reconcile::Why,
    records::Address,
    statement::Entry,
    team::Team,
};

use super::*;
use crate::{
    Store,
    captures::{Arrived, NewCapture},
    checks::TickRow,
    differences::NewDifference,
    obligations::{NewObligation, Step},
    reconciliations::NewReconciliation,
    records::{NewRecord, Recorded},
    retention::ExpiredPeople,
    samples::{at, brand, connection, flow, new_record, order},
    statements::{End, StatementPage},
};

const EMAIL: &str = "Ada.Lovelace@example.com";
/// Whatever of it is found in the file, somebody could read.
const TELLING: [&str; 5] = ["ada.lovelace", "lovelace", "james's square", "7946 0001", "babbage"];

fn adas(number: &str, filler: &str) -> Order {
    let some = |text: &str| Some(text.to_owned());
    Order {
        shipping: Some(Address {
            first_name: some("Ada"),
            last_name: some("Lovelace"),
            line1: some("12 St James's Square"),
            email: some(EMAIL),
            phone: some("+44 20 7946 0001"),
            country: some("GB"),
            ..Address::default()
        }),
        customer: None,
        comment: Some(format!("for Mr Babbage {filler}")),
        ..order(number, 100)
    }
}

fn raw(number: &str, order: &Order) -> NewCapture {
    NewCapture {
        brand: brand(),
        connection: connection("shop"),
        kind: Kind::Order,
        external_id: number.into(),
        version: None,
        body: serde_json::to_vec(order).unwrap(),
        via: "feed",
        asked_at: Some(at(50)),
        received_at: at(50),
    }
}

fn enter(tx: &Tx<'_>, order: &Order) -> Result<(RecordId, ObligationId)> {
    let number = order.number.as_str();
    let Arrived::New(capture) = tx.capture(&raw(number, order))? else { panic!("no news") };
    tx.capture_decoded(capture)?;
    let new = NewRecord { capture: Some(capture), ..new_record(order.clone(), 100) };
    let Recorded::Revision(record, revision) = tx.put_record(&new)? else { panic!("no news") };
    let key = order.number.clone();
    let new = NewObligation { brand: brand(), flow: flow(), kind: Kind::Order, key, record, revision, captured_at: at(100) };
    Ok((record, tx.owe(&new, at(100))?))
}

fn settle(tx: &Tx<'_>, id: ObligationId) -> Result<()> {
    for event in [Event::Clear, Event::Claim, Event::Answer, Event::Confirm] {
        tx.step(id, event, &Step::default(), at(120))?;
    }
    Ok(())
}

/// Takes the words out of what was written about anything, a row at a time.
fn erase_elsewhere(tx: &Tx<'_>, words: &[String]) -> Result<u64> {
    let (sought, mut erased) = (Sought::of(&unmistakable(words)), 0);
    for texts in TEXTS {
        let mut after = Some(0);
        while let Some(from) = after {
            let (ids, next) = tx.texts_naming(&brand(), texts, &sought, from, 1)?;
            erased += tx.erase_texts(texts, &ids, &sought)?;
            after = next;
        }
    }
    Ok(erased)
}

/// Traces of an order in everything that tells of one.
fn tell(tx: &Tx<'_>, id: ObligationId, number: &str) -> Result<()> {
    tx.tell(id, "deliver", "refused", "no customer ADA.lovelace@example.com at 12 St James's Square", at(110))?;
    tx.delivery(&brand(), &connection("shop"), format!(r#"{{"order":"{number}","email":"{EMAIL}"}}"#).as_bytes(), at(50))?;
    tx.delivery(&brand(), &connection("shop"), br#"{"order":"9","email":"grace@example.com"}"#, at(50))?;
    let problem = Problem::new("address.email", "shipping.email", format!("{EMAIL} is no address"), "mend it").cause(EMAIL);
    tx.raise_standing(&brand(), &flow(), &Problem { value: Some(EMAIL.to_owned()), ..problem }, at(111))?;
    let edit = selvedge_model::edit::Edit {
        field: selvedge_model::edit::EditField::Email,
        before: Some(EMAIL.to_owned()),
        after: Some(format!("x{EMAIL}")),
        beside: None,
    };
    let by = crate::edits::EditedBy { actor: "anna", reason: "Lovelace asked for it", revision: 1 };
    tx.edit(&brand(), &number.into(), &[edit], &by, at(111))?;
    let new = NewReconciliation {
        pair: "a".to_owned(),
        sources: vec![connection("shop")],
        target: connection("books"),
        via: "demand".to_owned(),
        window: selvedge_model::Interval { from: at(0), to: at(99) },
        read: selvedge_model::Interval { from: at(0), to: at(99) },
    };
    let run = tx.begin_reconciliation(&brand(), &new, at(112))?;
    let mut entry = Entry::bare(Kind::Order, number.into(), at(50));
    entry.key = Some(number.into());
    entry.order = Some(number.into());
    entry.buyer = Some(EMAIL.to_lowercase());
    entry.address = Some("12 st james's square".to_owned());
    let page = StatementPage { entries: vec![entry], unread: Vec::new(), next: None };
    tx.keep_statement(run, End::Source, &connection("shop"), Kind::Order, &page)?;
    let difference = NewDifference {
        kind: Kind::Order,
        subject: number.to_owned(),
        family: number.to_owned(),
        cause: Cause::Party,
        why: Why::EditedAmount,
        path: "shipping".to_owned(),
        expected: Some("Ada Lovelace, 12 St James's Square".to_owned()),
        actual: Some("Ada Lovelace, 13 St James's Square".to_owned()),
        money: None,
        stake: Some(Money::from_minor(1, Currency::from_code("EUR").unwrap())),
        source: Some(connection("shop")),
        source_id: None,
        target_id: None,
        at: at(50),
        team: Team::Operations,
        exception: None,
        detail: "Lovelace lives elsewhere".to_owned(),
        fix: "ask".to_owned(),
    };
    tx.note_difference(&brand(), "a", run, &difference, at(113))?;
    let tick = TickRow {
        item: Checklist::Daily.checks().next().unwrap().id.to_owned(),
        at: at(114),
        actor: "anna".to_owned(),
        seen: Seen::Good,
        note: format!("called {EMAIL}"),
    };
    tx.tick(&brand(), Checklist::Daily, "2026-11-30", &tick)?;
    tx.sign_checks(&brand(), Checklist::Daily, "2026-11-30", "anna", &format!("{EMAIL} is looked after"), at(115))?;
    Ok(())
}

fn named_in(path: &std::path::Path) -> Vec<&'static str> {
    let text = String::from_utf8_lossy(&std::fs::read(path).unwrap()).to_lowercase();
    TELLING.into_iter().filter(|word| text.contains(word)).collect()
}

/// The same in everything that is packed.
fn named_in_bodies(view: &View<'_>) -> Vec<&'static str> {
    let sql = "SELECT body FROM captures UNION ALL SELECT body FROM deliveries UNION ALL SELECT body FROM records
               UNION ALL SELECT body FROM statement_entries UNION ALL SELECT prepared FROM obligations WHERE prepared IS NOT NULL";
    let mut statement = view.connection.prepare(sql).unwrap();
    let bodies = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let bodies = bodies.map(|body| unpack("a body", &body.unwrap()).unwrap());
    let text = bodies.map(|body| String::from_utf8(body).unwrap().to_lowercase()).collect::<String>();
    TELLING.into_iter().filter(|word| text.contains(word)).collect()
}

#[tokio::test]
async fn a_number_that_somebody_put_over_a_shipment_goes_with_its_order() {
    let world = crate::samples::World::new().await;
    world
        .tx(|tx| {
            let key = selvedge_model::records::shipment_key("1", "depot", "a");
            let shipment = selvedge_model::Shipment {
                key: key.clone(),
                id: "a".into(),
                order: "1".into(),
                status: selvedge_model::records::ShipmentStatus::Shipped,
                shipped_at: None,
                updated_at: at(50),
                warehouse: None,
                lines: Vec::new(),
                short: Vec::new(),
                parcels: Vec::new(),
                captured: None,
                bundles: Vec::new(),
            };
            tx.put_record(&new_record(shipment, 100))?;
            let field = selvedge_model::edit::EditField::Tracking(selvedge_model::edit::ParcelNumber::FIRST);
            let edit =
                |number: &str| selvedge_model::edit::Edit { field, before: None, after: Some(number.to_owned()), beside: None };
            let by = crate::edits::EditedBy { actor: "anna", reason: "from the label", revision: 1 };
            tx.edit(&brand(), &key, &[edit("RR123456785SE")], &by, at(111))?;
            let found = |number: &str| tx.records(&brand(), selvedge_model::Kind::Shipment, number, 10).map(|found| found.len());
            assert_eq!(found("rr123456785se")?, 1);
            let traces = tx.traces(&brand(), &Person::Order("1".into()))?;
            assert_eq!(traces.records.len(), 1);
            for id in &traces.records {
                tx.erase_record(*id, at(120))?;
            }
            assert_eq!(found("rr123456785se")?, 0);
            assert!(tx.edits_in_force(&brand(), &key)?.is_empty(), "it would put the number back");
            let left = tx.edits_of(&brand(), &key)?.remove(0);
            assert_eq!((left.edit.after, left.reason.as_str()), (None, ""));
            // Somebody puts a number in after that: asked for once more, it goes as well.
            tx.edit(&brand(), &key, &[edit("JJD000390")], &by, at(121))?;
            assert_eq!(found("jjd000390")?, 1);
            for id in traces.records {
                assert!(!tx.erase_record(id, at(122))?, "the record itself was erased before");
            }
            assert_eq!((found("jjd000390")?, tx.edits_in_force(&brand(), &key)?), (0, Vec::new()));
            Ok(())
        })
        .await;
}

#[tokio::test]
async fn nothing_that_names_somebody_is_left_in_the_file_and_every_proof_stays_valid() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let store = Store::open(path.to_str().unwrap()).await.unwrap();
    // One small enough to lie in the file as it is, one that is packed.
    let orders = [adas("1", ""), adas("2", &"x".repeat(2_000))];
    let (first, other) = (orders[0].clone(), Order { customer: None, ..order("3", 300) });
    let entered = store
        .write(move |tx| {
            tx.audit(&brand(), "anna", "mapping.set", "item sku=1", "98 at erp", at(1))?;
            let mut ids = Vec::new();
            for order in &orders {
                let (record, id) = enter(tx, order)?;
                settle(tx, id)?;
                ids.push((record, id));
            }
            tell(tx, ids[0].1, "1")?;
            enter(tx, &other)?;
            Ok(ids)
        })
        .await
        .unwrap();
    let digest = store.read(|view| view.checks_signed(&brand(), Checklist::Daily, "2026-11-30")).await.unwrap().unwrap().digest;
    store.fold().await.unwrap();
    assert_eq!(named_in(&path), ["ada.lovelace", "lovelace", "james's square"], "it is there to begin with");
    assert_eq!(store.read(|view| Ok(named_in_bodies(view))).await.unwrap(), TELLING, "what is packed, too");

    let person = Person::Email(EMAIL.to_uppercase());
    let traces = store.read(move |view| view.traces(&brand(), &person)).await.unwrap();
    assert_eq!(traces.orders.iter().map(RecordKey::as_str).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!((traces.records.len(), traces.open.len()), (2, 0));
    let (words, all) = (traces.words.clone(), traces.clone());
    let (ids, next) = store.read(move |view| view.deliveries_naming(&brand(), &words, 0, 10)).await.unwrap();
    assert_eq!((ids.len(), next), (1, None));
    let erased = store
        .write(move |tx| {
            let elsewhere = erase_elsewhere(tx, &traces.words)?;
            let webhooks = tx.erase_deliveries(&ids, at(200))?;
            Ok(tx.erase_person(&brand(), &traces, at(200))?.and(Erased { webhooks, texts: elsewhere, ..Erased::default() }))
        })
        .await
        .unwrap();
    assert_eq!(erased, Erased { records: 2, documents: 2, webhooks: 1, texts: 8 });
    store.fold().await.unwrap();
    assert_eq!(named_in(&path), Vec::<&str>::new());
    assert_eq!(store.read(|view| Ok(named_in_bodies(view))).await.unwrap(), Vec::<&str>::new());

    store
        .write(move |tx| {
            // Proofs: the chain, the equation, the sums; and the same document that comes again is no news.
            assert_eq!(tx.audit_broken_at(&brand())?, None);
            let row = tx.record(entered[0].0)?;
            let AnyRecord::Order(kept) = row.record else { panic!() };
            assert_eq!((kept.totals, &kept.lines), (first.totals, &first.lines));
            assert!(matches!(tx.capture(&raw("1", &first))?, Arrived::Same(_)));
            assert!(matches!(tx.put_record(&new_record(first.clone(), 300))?, Recorded::Same(_, 1)));
            // Nobody finds anything under that name any more; everybody else is found.
            assert!(tx.traces(&brand(), &Person::Email(EMAIL.to_owned()))?.records.is_empty());
            assert!(tx.records(&brand(), Kind::Order, "lovelace", 10)?.is_empty());
            assert_eq!(tx.records(&brand(), Kind::Order, "hopper", 10)?.len(), 1);
            assert_eq!(tx.records(&brand(), Kind::Order, "71053", 10)?.len(), 3, "what was sold is still found");
            let story = tx.story(entered[0].1)?;
            assert!(story.iter().any(|line| line.detail == "no customer [erased] at [erased]"), "{story:?}");
            // Once more is nothing.
            assert_eq!(erase_elsewhere(tx, &all.words)?, 0);
            assert_eq!(tx.erase_person(&brand(), &all, at(210))?, Erased::default());
            // What was signed of a checklist stays signed, with its digest.
            let signed = tx.checks_signed(&brand(), Checklist::Daily, "2026-11-30")?.unwrap();
            assert_eq!((signed.reason.as_str(), signed.digest), ("[erased] is looked after", digest));
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn what_is_still_on_its_way_is_named_and_one_order_is_no_other() {
    let store = crate::samples::memory().await;
    store
        .write(|tx| {
            let (_, first) = enter(tx, &adas("1", ""))?;
            let (record, second) = enter(tx, &adas("2", ""))?;
            settle(tx, second)?;
            let traces = tx.traces(&brand(), &Person::Order("2".into()))?;
            assert_eq!((traces.records.as_slice(), traces.open.as_slice()), ([record].as_slice(), [].as_slice()));
            let traces = tx.traces(&brand(), &Person::Email(EMAIL.to_owned()))?;
            assert_eq!(
                traces.open.iter().map(|open| (open.id, open.state)).collect::<Vec<_>>(),
                [(Some(first), State::Captured)]
            );
            // A part of an address is somebody else's address.
            assert!(tx.traces(&brand(), &Person::Email("lovelace@example.com".to_owned()))?.records.is_empty());
            assert!(tx.traces(&"other".into(), &Person::Email(EMAIL.to_owned()))?.records.is_empty());
            // A document that nobody has decoded yet may name them, too.
            settle(tx, first)?;
            assert!(tx.traces(&brand(), &Person::Order("1".into()))?.open.is_empty());
            tx.capture(&raw("1", &adas("1", "changed")))?;
            let open = tx.traces(&brand(), &Person::Order("1".into()))?.open;
            assert_eq!(open.iter().map(|open| (open.id, open.key.as_str())).collect::<Vec<_>>(), [(None, "1")]);
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn content_goes_when_its_time_is_over_and_what_is_not_settled_stays() {
    let store = crate::samples::memory().await;
    store
        .write(|tx| {
            let (record, settled) = enter(tx, &adas("1", ""))?;
            settle(tx, settled)?;
            tell(tx, settled, "1")?;
            let (waiting, _) = enter(tx, &adas("2", ""))?;
            tx.put_record(&new_record(crate::samples::product("COAT"), 90))?;
            let now = at(1_000);
            // Nothing is old enough yet.
            assert_eq!(tx.expire_documents(&brand(), at(50), 10, now)?, 0);
            assert_eq!(tx.expired_people(&brand(), at(100), 10)?, ExpiredPeople::default());
            assert_eq!(tx.expire_webhooks(&brand(), at(50), 10, now)?, 0);
            // So many at a time, and each once.
            assert_eq!((tx.expire_webhooks(&brand(), at(60), 1, now)?, tx.expire_webhooks(&brand(), at(60), 9, now)?), (1, 1));
            assert_eq!((tx.expire_documents(&brand(), at(60), 9, now)?, tx.expire_documents(&brand(), at(60), 9, now)?), (1, 0));
            let expired = tx.expired_people(&brand(), at(200), 9)?;
            assert_eq!(expired.records, [record], "one waits, one is a product");
            let erased = tx.expire_people(&brand(), &expired, now)?;
            assert_eq!((erased.records, tx.expire_people(&brand(), &expired, now)?), (1, Erased::default()));
            assert_eq!(tx.expired_people(&brand(), at(200), 9)?, ExpiredPeople::default());
            let shipping = |id| match tx.record(id).unwrap().record {
                AnyRecord::Order(order) => order.shipping.unwrap(),
                _ => panic!(),
            };
            assert_eq!(shipping(record).last_name, None);
            assert_eq!(shipping(waiting).last_name.as_deref(), Some("Lovelace"));
            assert!(tx.story(settled)?.iter().all(|line| !line.detail.contains("james")));
            // A replay runs over what is still there.
            let left = tx.captures_since(&brand(), None, at(0), CaptureId(0), 10)?;
            assert_eq!(left.iter().map(|row| row.external_id.as_str()).collect::<Vec<_>>(), ["2"]);
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn what_was_written_about_somebody_goes_with_what_is_too_old_of_them_and_what_is_open_stays() {
    let store = crate::samples::memory().await;
    store
        .write(|tx| {
            let (_, settled) = enter(tx, &adas("1", ""))?;
            settle(tx, settled)?;
            tell(tx, settled, "1")?;
            let differences = |tx: &Tx<'_>| -> Result<Vec<String>> {
                let mut statement = tx.connection.prepare("SELECT expected || actual || detail FROM differences")?;
                Ok(statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
            };
            let texts = |tx: &Tx<'_>| -> Result<String> {
                let mut all = String::new();
                for sql in [
                    "SELECT coalesce(value, '') || message || cause FROM exceptions",
                    "SELECT detail FROM exception_events",
                    "SELECT note FROM check_ticks",
                    "SELECT reason FROM check_signs",
                ] {
                    let mut statement = tx.connection.prepare(sql)?;
                    for text in statement.query_map([], |row| row.get::<_, String>(0))? {
                        all.push_str(&text?.to_lowercase());
                    }
                }
                Ok(all)
            };
            let erase = |tx: &Tx<'_>| -> Result<u64> {
                let expired = tx.expired_people(&brand(), at(200), 9)?;
                let mut erased = 0;
                for texts in TEXTS.map(Texts::only_settled) {
                    let (ids, _) = tx.texts_naming(&brand(), texts, &expired.sought, 0, 100)?;
                    erased += tx.erase_texts(texts, &ids, &expired.sought)?;
                }
                erased += tx.expire_people(&brand(), &expired, at(1_000))?.texts;
                Ok(erased + tx.erase_checks(&brand(), &expired.sought)?)
            };
            // A copy of everything, in which nothing was closed.
            tx.connection.execute_batch("SAVEPOINT open")?;
            erase(tx)?;
            assert!(texts(tx)?.contains("ada.lovelace"), "an open exception says what it is about");
            assert!(differences(tx)?[0].contains("Lovelace"), "and so does a difference that is open");
            tx.connection.execute_batch("ROLLBACK TO open; RELEASE open")?;
            tx.settle_standing(&brand(), &format!("address.email:{EMAIL}"), "it is well again", at(190))?;
            tx.connection.execute("UPDATE differences SET closed_at = 1, closed_why = 'agreed'", [])?;
            assert!(erase(tx)? >= 4);
            assert!(!texts(tx)?.contains("ada.lovelace"), "{}", texts(tx)?);
            let left = differences(tx)?;
            assert!(left.iter().all(|text| !text.contains("Lovelace") && !text.contains("James")), "{left:?}");
            Ok(())
        })
        .await
        .unwrap();
}
