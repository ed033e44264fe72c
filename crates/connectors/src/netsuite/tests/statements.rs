//! Whole statements against the stand-in, over a connection that only reads.

use std::collections::BTreeMap;

use selvedge_connector::{Connection, Cursor, Priority, Standing, statements};
use selvedge_model::{
    Interval, RecordKey,
    statement::{Entry, Facet, Stage},
};
use selvedge_sim::netsuite::Options;

use super::{
    super::statements::Pages,
    calls,
    returns::{credit, fitted, goods, paid},
    shipments::{Put, ready},
    stand_in::{Stand, as_guest, stand},
    *,
};

fn ever() -> Interval {
    Interval { from: "2020-01-01T00:00:00Z".parse().unwrap(), to: "2099-01-01T00:00:00Z".parse().unwrap() }
}

async fn all_in(connection: &Connection, kind: Kind, interval: Interval) -> Vec<Entry> {
    let (mut entries, mut page) = (Vec::new(), None::<Cursor>);
    loop {
        let read = statements::page(connection, kind, &interval, page.as_ref()).await.unwrap().unwrap();
        assert_eq!(read.unread, [], "{kind}");
        entries.extend(read.entries);
        match read.next {
            Some(next) => page = Some(next),
            None => return entries,
        }
    }
}

async fn all(connection: &Connection, kind: Kind) -> Vec<Entry> {
    all_in(connection, kind, ever()).await
}

/// Item → units, of what stands for itself.
fn units(entry: &Entry) -> BTreeMap<String, i64> {
    let mut units = BTreeMap::new();
    for line in entry.lines.iter().filter(|line| !line.component) {
        *units.entry(line.sku.to_string()).or_default() += line.quantity;
    }
    units
}

/// What a sale says, whoever tells it: (key, currency, totals, shipping, item, units, net, tax).
type Told = (
    Option<RecordKey>,
    Option<Currency>,
    Option<Totals>,
    Option<(Money, Money)>,
    Vec<(String, i64, Option<Money>, Option<Money>)>,
);

fn told(entry: &Entry) -> Told {
    let mut lines: Vec<_> = entry.lines.iter().map(|line| (line.sku.to_string(), line.quantity, line.net, line.tax)).collect();
    lines.sort_by_key(|line| (line.0.clone(), line.1));
    let shipping = entry.shipping.map(|amounts| (amounts.net, amounts.tax)).filter(|(net, _)| !net.is_zero());
    (entry.key.clone(), entry.currency, entry.totals, shipping, lines)
}

/// A sales order that somebody else made: no external id of ours.
async fn by_others(stand: &Stand, order: &Order, change: Value) -> ExternalId {
    let values = stand.words(order).await;
    let sink = stand.connection.order_sink.as_ref().unwrap();
    let Ok(Encoded::Put(mut request)) = sink.encode(order, &values, Standing::default()) else { panic!() };
    let body = request.body.as_object_mut().unwrap();
    body.remove("externalId");
    body.extend(change.as_object().unwrap().clone());
    sink.put(&request).await.unwrap().id.unwrap()
}

/// Documents of ours and of others, of every kind.
async fn world() -> (Stand, Vec<Order>, CreditNote, Refund) {
    let stand = fitted(Options::default(), json!({})).await;
    let (se, us, de) = (as_guest(order_se()), order_us(), order_de());
    let sold = stand.sold(&se, true).await;
    stand.sold(&us, false).await;
    let shipped = stand.sold(&de, false).await;
    let line = de.lines.iter().find(|line| line.kind == LineKind::Product).unwrap();
    let left = ready(&de, "s1", &[(line.sku.as_str(), 1)], &mut Default::default());
    assert!(matches!(stand.ship(&left, &shipped, None).await, Put::Done(_)));
    let lines = [("1042", "9001", "SHIRT-WHITE-M", 2), ("1042", "9002", "SOCK-BLK", 1)];
    let announced = goods("1042", "r1", ReturnStatus::Announced, &lines);
    let ra = stand.bring(&announced, Some(&sold), None).await.unwrap().unwrap();
    let ra = stand.bring(&goods("1042", "r1", ReturnStatus::Received, &lines), Some(&sold), Some(&ra)).await.unwrap().unwrap();
    let note = credit(&se, "r1", true, &[("9001", 1, "159.20", "39.80")]);
    let cm = stand.bring(&note, Some(&ra), None).await.unwrap().unwrap();
    let refund = paid(&note, "p1", Tender::Payment, "100.00");
    stand.bring(&refund, Some(&cm), None).await.unwrap().unwrap();
    let mut theirs = as_guest(order_se());
    theirs.number = "1050".into();
    by_others(&stand, &theirs, json!({ "otherRefNum": "PW-1050", "memo": "1050" })).await;
    by_others(&stand, &theirs, json!({ "externalId": "PW-77", "otherRefNum": "x" })).await;
    (stand, vec![se, us, de], note, refund)
}

#[tokio::test]
async fn a_statement_tells_what_was_brought_and_what_others_made() {
    let (stand, orders, note, refund) = world().await;
    let reading = stand.again.reading(json!({ "statements": { "strip": "PW-" } }), Pages::default());
    let entries = all(&reading, Kind::Order).await;
    assert_eq!(entries.len(), 5);
    for order in &orders {
        let entry = entries.iter().find(|entry| entry.key.as_ref() == Some(&order.number)).unwrap();
        // To the cent, line by line, as the shop says it.
        let ours = told(&Entry::from(order));
        let theirs = told(entry);
        assert_eq!((theirs.0, theirs.1, theirs.2, theirs.3), (ours.0, ours.1, ours.2, ours.3), "{}", order.number);
        for line in ours.4 {
            assert!(theirs.4.contains(&line), "{}: {line:?} is not in {:?}", order.number, theirs.4);
        }
        assert_eq!(entry.on, Some(order.placed_on));
        let country = order.shipping.as_ref().and_then(|address| address.country.clone());
        assert_eq!(entry.facets.get(&Facet::Country).map(|named| named.id.clone()), country);
        assert_eq!(entry.facets[&Facet::Entity].id, "2");
        // A method that costs nothing leaves no line, and is told by the document's head.
        assert_eq!(entry.facets.contains_key(&Facet::Method), order.shipping_method.is_some(), "{:?}", entry.facets);
        // And as the document read by itself says it.
        let raw = stand.read(&entry.id).await;
        let alone = stand.connection.order_source.as_ref().unwrap().decode(&raw, &stand.words(order).await).record.unwrap();
        let alone = Entry::from(&alone);
        assert_eq!((&entry.key, entry.currency, entry.totals, entry.at), (&alone.key, alone.currency, alone.totals, alone.at));
    }
    let keys: Vec<&str> = entries.iter().filter_map(|entry| entry.key.as_ref()).map(RecordKey::as_str).collect();
    assert!(keys.contains(&"1050") && keys.contains(&"x"), "{keys:?}");

    let shipments = all(&reading, Kind::Shipment).await;
    assert_eq!(shipments.len(), 1, "an order that was fulfilled by hand has no paper here");
    let shipment = &shipments[0];
    assert_eq!(shipment.order.as_ref(), Some(&orders[2].number));
    assert_eq!((shipment.stage, shipment.lines[0].quantity), (Stage::Standing, 1));

    let returns = all(&reading, Kind::Return).await;
    assert_eq!((returns.len(), returns[0].stage), (1, Stage::Standing));
    assert_eq!(returns[0].order.as_ref().map(RecordKey::as_str), Some("1042"));
    assert_eq!(units(&returns[0]), BTreeMap::from([("SHIRT-WHITE-M".to_owned(), 2), ("SOCK-BLK".to_owned(), 1)]));

    let credits = all(&reading, Kind::CreditNote).await;
    assert_eq!(credits.len(), 1);
    assert_eq!(told(&credits[0]), told(&Entry::from(&note)));
    assert_eq!(credits[0].order.as_ref().map(RecordKey::as_str), Some("1042"));
    let refunds = all(&reading, Kind::Refund).await;
    assert_eq!(refunds.len(), 1);
    assert_eq!((&refunds[0].key, refunds[0].gross()), (&Some(refund.key.clone()), Some(money("100.00", "SEK"))));
    assert_eq!(refunds[0].order.as_ref().map(RecordKey::as_str), Some("1042"));
}

#[tokio::test]
async fn pages_of_any_size_tell_the_same_and_a_cursor_goes_on_in_another_process() {
    let (stand, ..) = world().await;
    let whole = stand.again.reading(json!({}), Pages::default());
    for kind in [Kind::Order, Kind::Shipment, Kind::Return, Kind::CreditNote, Kind::Refund] {
        let expected = all(&whole, kind).await;
        for (documents, rows) in [(1, 1), (1, 2), (2, 3), (3, 1), (4, 7), (5, 1000)] {
            let (mut found, mut page) = (Vec::new(), None::<Cursor>);
            loop {
                // Each page by a connection of its own.
                let reading = stand.again.reading(json!({}), Pages { documents, rows });
                let read = statements::page(&reading, kind, &ever(), page.as_ref()).await.unwrap().unwrap();
                assert!(read.entries.len() <= documents);
                found.extend(read.entries);
                page = read.next;
                if page.is_none() {
                    break;
                }
            }
            assert_eq!(found, expected, "{kind}, {documents} documents and {rows} rows at once");
        }
    }
}

#[tokio::test]
async fn windows_share_out_every_document() {
    let (stand, ..) = world().await;
    let reading = stand.again.reading(json!({}), Pages { documents: 2, rows: 1000 });
    let whole = all(&reading, Kind::Order).await;
    let cut = whole[whole.len() / 2].at;
    let before = all_in(&reading, Kind::Order, Interval { to: cut, ..ever() }).await;
    let after = all_in(&reading, Kind::Order, Interval { from: cut, ..ever() }).await;
    assert!(before.iter().all(|entry| entry.at < cut) && after.iter().all(|entry| entry.at >= cut) && !after.is_empty());
    assert_eq!(before.into_iter().chain(after).collect::<Vec<_>>(), whole);
}

#[tokio::test]
async fn the_calls_for_a_statement_do_not_grow_with_its_documents() {
    let stand = stand(Options::default(), json!({})).await;
    let order = as_guest(order_se());
    let values = stand.words(&order).await;
    let sink = stand.connection.order_sink.clone().unwrap();
    for number in 0..120 {
        let order = Order { number: format!("{}", 2000 + number).as_str().into(), ..order.clone() };
        let Ok(Encoded::Put(request)) = sink.encode(&order, &values, Standing::default()) else { panic!() };
        sink.put(&request).await.unwrap();
    }
    let reading = stand.again.reading(json!({}), Pages::default());
    let before = stand.account.calls();
    let entries = all(&reading, Kind::Order).await;
    let calls = stand.account.calls() - before;
    assert_eq!(entries.len(), 120);
    // Heads, lines, taxes, shipping items; a token.
    assert!(calls <= 6, "{calls}");
}

#[tokio::test]
async fn the_shops_number_is_where_the_settings_say() {
    let (stand, ..) = world().await;
    let keys = async |settings: Value| {
        let reading = stand.again.reading(json!({ "statements": settings }), Pages::default());
        let mut keys: Vec<String> = all(&reading, Kind::Order)
            .await
            .into_iter()
            .map(|entry| entry.key.map_or_else(String::new, |key| key.to_string()))
            .collect();
        keys.retain(|key| !["1042", "1043", "1044"].contains(&key.as_str()) && !key.starts_with("10") || key == "1050");
        keys
    };
    assert!(keys(json!({})).await.contains(&"PW-1050".to_owned()));
    assert!(keys(json!({ "order_key": "externalid", "strip": "PW-" })).await.contains(&"77".to_owned()));
    assert!(keys(json!({ "order_key": "memo" })).await.contains(&"1050".to_owned()));
    assert!(keys(json!({ "order_key": "tranid" })).await.iter().any(|key| key.starts_with("SO")));
}

#[tokio::test]
async fn cash_sales_are_told_where_orders_become_them() {
    let stand = stand(Options::default(), json!({ "document": "cash_sale" })).await;
    let order = as_guest(order_se());
    stand.deliver(&order, &stand.words(&order).await, None).await;
    let entries = all(&stand.connection, Kind::Order).await;
    assert_eq!((entries.len(), entries[0].stage), (1, Stage::Standing));
    assert_eq!(told(&entries[0]).2, Some(order.totals));
    assert_eq!(entries[0].captured, Some(order.totals.gross), "a cash sale is its own payment");
    let source = stand.connection.order_source.as_ref().unwrap();
    assert_eq!(source.fetch(&[entries[0].id.clone()], Priority::Sweeps).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_role_that_sees_no_buyers_still_gets_its_statement_and_one_that_sees_nothing_is_told() {
    let asks = |came: &calls::Came, text: &str| came.body.contains(text);
    let head = json!({
        "items": [{"id": "7", "status": "B", "cd": "2026-02-03 01:00:00", "lm": "2026-02-03 01:00:00", "foreigntotal": "0",
        "symbol": "EUR", "otherrefnum": "1042"}], "hasMore": false,
    });
    let world = calls::world_with(false, json!({ "tax": "none" }), move |came| {
        let refused = json!({ "title": "Bad Request", "status": 400, "o:errorDetails": [{ "detail": "Record 'customer' was not found.", "o:errorCode": "INVALID_PARAMETER" }] });
        match came {
            came if asks(came, "JOIN customer") => (400, String::new(), refused.to_string()),
            came if asks(came, "FROM transaction t") => (200, String::new(), head.to_string()),
            came if asks(came, "FROM transactionline") => {
                let lines = json!({ "items": [{"transaction": "7", "id": "0", "mainline": "T"}], "hasMore": false });
                (200, String::new(), lines.to_string())
            }
            _ => (200, String::new(), json!({ "items": [], "hasMore": false }).to_string()),
        }
    })
    .await;
    for _ in 0..2 {
        let entries = all(&world.connection, Kind::Order).await;
        assert_eq!((entries.len(), entries[0].buyer.as_ref()), (1, None));
        assert_eq!(entries[0].key.as_ref().map(RecordKey::as_str), Some("1042"));
    }
    let refused = world.came().iter().filter(|came| came.body.contains("JOIN customer")).count();
    assert_eq!(refused, 2, "each statement asks once: a permission that is granted counts at once");
    let closed = calls::world_with(false, json!({}), |_| (403, String::new(), "{}".to_owned())).await;
    assert!(statements::page(&closed.connection, Kind::Order, &ever(), None).await.is_err());
}

#[tokio::test]
async fn what_one_page_shows_every_page_of_the_statement_shows_or_it_is_told() {
    let shows = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let shown = std::sync::Arc::clone(&shows);
    let head = |id: u32, method: bool| {
        json!({"id": id.to_string(), "status": "B", "cd": "2026-02-03 01:00:00", "lm": "2026-02-03 01:00:00",
        "foreigntotal": "0", "symbol": "EUR", "otherrefnum": "1042", "email": "a@b.c", "shipmethod": method.then_some("31")})
    };
    let world = calls::world_with(false, json!({ "tax": "suitetax" }), move |came| {
        let asks = |text: &str| came.body.contains(text);
        let refused = json!({ "title": "Bad Request", "status": 400, "o:errorDetails": [{ "detail": "Search error: Field 'shipmethod' for record 'transaction' was not found." }] });
        let rows = |rows: Value, more: bool| (200, String::new(), json!({ "items": rows, "hasMore": more }).to_string());
        match shown.load(std::sync::atomic::Ordering::SeqCst) {
            false if asks("t.shipmethod") || asks("transactiontaxdetail") => (400, String::new(), refused.to_string()),
            _ if asks("FROM transaction t") && asks("\"0\"") => rows(json!([head(7, asks("t.shipmethod"))]), true),
            _ if asks("FROM transaction t") => rows(json!([head(8, asks("t.shipmethod"))]), false),
            _ if asks("FROM transactionline") => rows(json!([{"transaction": "7", "id": "0", "mainline": "T"}, {"transaction": "8", "id": "0", "mainline": "T"}]), false),
            _ => rows(json!([]), false),
        }
    })
    .await;
    let page = async |page: Option<&Cursor>| statements::page(&world.connection, Kind::Order, &ever(), page).await;
    let first = page(None).await.unwrap().unwrap();
    assert_eq!((first.entries[0].buyer.as_deref(), first.entries[0].facets.get(&Facet::Method)), (Some("a@b.c"), None));
    // It is granted meanwhile: this statement goes without to its end.
    shows.store(true, std::sync::atomic::Ordering::SeqCst);
    let second = page(first.next.as_ref()).await.unwrap().unwrap();
    assert_eq!(second.entries[0].facets.get(&Facet::Method), None);
    assert!(second.entries[0].lines.iter().all(|line| line.tax.is_none()));
    // The next one has it; and taken away again in the middle of it, it is no statement.
    let first = page(None).await.unwrap().unwrap();
    assert_eq!(first.entries[0].facets[&Facet::Method].id, "31");
    shows.store(false, std::sync::atomic::Ordering::SeqCst);
    assert!(page(first.next.as_ref()).await.is_err());
}
