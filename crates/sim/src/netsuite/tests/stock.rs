//! Stock: what orders and movements do to it, what SuiteQL tells of it, what the script posts.

use tokio::sync::mpsc;

use super::*;

const SWEDEN: u32 = 21;
const STORE: u32 = 22;

/// Of 1001 five at the warehouse and one in the store, of 1002 three, of 1003 none; 1004 was never kept anywhere; 1005 is a
/// kit of two 1001 and one 1002.
fn goods() -> Goods {
    let mut items = seeds();
    items.push(ItemSeed { sku: "SET".into(), name: "Set".into() });
    let opening = |item, location, quantity| OpeningStock { item, location, quantity };
    Goods {
        items,
        kits: vec![KitSeed { item: 4, parts: vec![(0, 2), (1, 1)] }],
        opening: vec![opening(0, SWEDEN, 5), opening(0, STORE, 1), opening(1, SWEDEN, 3), opening(2, SWEDEN, 0)],
    }
}

async fn shop(options: Options) -> NetSuite {
    kept(options, None).await
}

async fn kept(options: Options, journal: Option<PathBuf>) -> NetSuite {
    build(options, goods(), Arc::new(Mischief::new(7, Profile::None, "netsuite")), journal).await.unwrap()
}

/// An order of lines (item, units, place; 0 for the place of the order).
fn wants(external: &str, lines: &[(u32, u32, u32)]) -> Value {
    let lines: Vec<Value> = lines
        .iter()
        .map(|(item, units, place)| {
            let mut line = json!({"item": {"id": item.to_string()}, "quantity": units, "price": {"id": "-1"}, "rate": 10});
            if *place != 0 {
                line["location"] = json!({"id": place.to_string()});
            }
            line
        })
        .collect();
    json!({
        "externalId": external,
        "entity": {"id": guest_customer_id("2", "SEK").unwrap()},
        "subsidiary": {"id": "2"},
        "orderStatus": "B",
        "location": {"id": SWEDEN.to_string()},
        "item": {"items": lines},
    })
}

/// (on hand, committed, back ordered, available).
fn figures(ns: &NetSuite, sku: &str, place: u32) -> (i64, i64, i64, i64) {
    let level = ns.level(sku, &place.to_string()).unwrap();
    assert_eq!(level.net(), level.on_hand - level.committed - level.back_ordered);
    (level.on_hand, level.committed, level.back_ordered, level.available)
}

async fn patch(ns: &NetSuite, external: &str, body: Value) {
    let reply = send(ns, "PATCH", &format!("/record/v1/salesOrder/eid:{external}"), STRICT, body).await;
    assert_eq!(reply.status, 204, "{}", reply.body);
}

/// (committed, back ordered, fulfilled) of each line, and the status.
async fn lines(ns: &NetSuite, external: &str) -> (Vec<(Fixed, Fixed, Fixed)>, String) {
    let path = format!("/record/v1/salesOrder/eid:{external}?expandSubResources=true");
    let body = send(ns, "GET", &path, &[], Value::Null).await.body;
    let lines = body["item"]["items"].as_array().unwrap();
    let of = |line: &Value, name: &str| dec(&line[name]);
    (
        lines
            .iter()
            .map(|line| (of(line, "quantityCommitted"), of(line, "quantityBackOrdered"), of(line, "quantityFulfilled")))
            .collect(),
        body["orderStatus"]["id"].as_str().unwrap().to_owned(),
    )
}

fn whole(figures: &[(i64, i64, i64)]) -> Vec<(Fixed, Fixed, Fixed)> {
    figures.iter().map(|(a, b, c)| (Fixed::whole(*a), Fixed::whole(*b), Fixed::whole(*c))).collect()
}

#[tokio::test]
async fn approved_orders_commit_what_is_there_and_the_rest_is_back_ordered() {
    let ns = shop(Options::default()).await;
    assert_eq!(figures(&ns, "1000BLK-S", SWEDEN), (5, 0, 0, 5));
    create(&ns, wants("so_1", &[(1001, 3, 0)])).await;
    create(&ns, wants("so_2", &[(1001, 4, 0), (1001, 1, STORE), (1002, 3, 0)])).await;
    assert_eq!(figures(&ns, "1000BLK-S", SWEDEN), (5, 5, 2, 0));
    assert_eq!(figures(&ns, "1000BLK-S", STORE), (1, 1, 0, 0));
    assert_eq!(lines(&ns, "so_1").await.0, whole(&[(3, 0, 0)]));
    assert_eq!(lines(&ns, "so_2").await.0, whole(&[(2, 2, 0), (1, 0, 0), (3, 0, 0)]));
    assert_eq!(ns.stock_csv(), "sku,qty\n1000BLK-S,-2\n15056BL,0\n15056bl,0\n");

    // Who is not approved asks for nothing; who has no place neither.
    let mut pending = wants("so_3", &[(1002, 2, 0)]);
    pending["orderStatus"] = json!("A");
    create(&ns, pending).await;
    let mut nowhere = wants("so_4", &[(1002, 2, 0)]);
    nowhere.as_object_mut().unwrap().remove("location");
    create(&ns, nowhere).await;
    assert_eq!(figures(&ns, "15056BL", SWEDEN), (3, 3, 0, 0));
    patch(&ns, "so_3", json!({"orderStatus": "B"})).await;
    assert_eq!(figures(&ns, "15056BL", SWEDEN), (3, 3, 2, 0));
    assert_eq!(lines(&ns, "so_3").await.0, whole(&[(0, 2, 0)]), "who asked first is served first");

    patch(&ns, "so_2", json!({"item": {"items": [{"line": 7, "quantity": 1}]}})).await;
    assert_eq!(figures(&ns, "15056BL", SWEDEN), (3, 3, 0, 0));
    assert_eq!(lines(&ns, "so_3").await.0, whole(&[(2, 0, 0)]), "what becomes free goes to who waits");
    patch(&ns, "so_2", json!({"item": {"items": [{"line": 1, "isClosed": true}]}})).await;
    assert_eq!(figures(&ns, "1000BLK-S", SWEDEN), (5, 3, 0, 2));
    patch(&ns, "so_1", json!({"location": {"id": STORE.to_string()}})).await;
    assert_eq!(figures(&ns, "1000BLK-S", SWEDEN), (5, 0, 0, 5));
    assert_eq!(figures(&ns, "1000BLK-S", STORE), (1, 1, 3, 0));
    patch(&ns, "so_1", json!({"item": {"items": [{"line": 1, "location": {"id": SWEDEN.to_string()}}]}})).await;
    assert_eq!(figures(&ns, "1000BLK-S", SWEDEN), (5, 3, 0, 2));
    for gone in ["so_1", "so_2", "so_3", "so_4"] {
        let reply = send(&ns, "DELETE", &format!("/record/v1/salesOrder/eid:{gone}"), &[], Value::Null).await;
        assert_eq!(reply.status, 204);
    }
    assert_eq!(ns.stock_csv(), "sku,qty\n1000BLK-S,6\n15056BL,3\n15056bl,0\n");

    // What was never kept at a place is back ordered there, without a row.
    create(&ns, wants("so_5", &[(1004, 2, 0)])).await;
    assert_eq!(lines(&ns, "so_5").await.0, whole(&[(0, 2, 0)]));
    assert_eq!(ns.level("TOTE", "21"), None);

    // A cash sale takes its units at once.
    let mut sale = wants("cs_1", &[(1001, 2, 0)]);
    sale.as_object_mut().unwrap().remove("orderStatus");
    assert_eq!(send(&ns, "POST", "/record/v1/cashSale", STRICT, sale).await.status, 204);
    assert_eq!(figures(&ns, "1000BLK-S", SWEDEN), (3, 0, 0, 3));
}

#[tokio::test]
async fn a_kit_asks_for_its_parts() {
    let ns = shop(Options::default()).await;
    create(&ns, wants("so_1", &[(1005, 3, 0)])).await;
    assert_eq!(figures(&ns, "1000BLK-S", SWEDEN), (5, 5, 1, 0));
    assert_eq!(figures(&ns, "15056BL", SWEDEN), (3, 3, 0, 0));
    assert_eq!(lines(&ns, "so_1").await.0, whole(&[(2, 1, 0)]), "one short part stops a kit");
    assert_eq!(ns.level("SET", "21"), None, "a kit keeps no stock");
    let reply = sql(
        &ns,
        "",
        "SELECT k.itemid kit, k.itemtype, p.itemid part, m.quantity FROM itemmember m JOIN item k ON k.id = m.parentitem \
         JOIN item p ON p.id = m.item ORDER BY p.id",
        json!([]),
    )
    .await;
    let row =
        |part: &str, quantity: &str| json!({"links": [], "kit": "SET", "itemtype": "Kit", "part": part, "quantity": quantity});
    assert_eq!(*reply.items(), [row("1000BLK-S", "2"), row("15056BL", "1")]);
    assert_eq!(sql(&ns, "", "SELECT item FROM itemmember WHERE parentitem = 1001", json!([])).await.items().len(), 0);
    assert_eq!(send(&ns, "GET", "/record/v1/kitItem/1005", &[], Value::Null).await.body["itemId"], json!("SET"));

    assert!(ns.fulfil("so_1").unwrap());
    assert_eq!(figures(&ns, "1000BLK-S", SWEDEN), (1, 1, 1, 0));
    assert_eq!(figures(&ns, "15056BL", SWEDEN), (1, 1, 0, 0));
    assert_eq!(lines(&ns, "so_1").await, (whole(&[(0, 1, 2)]), "D".into()));
    ns.move_stock("1000BLK-S", "21", 4, "delivery", Entered::AsTransaction).unwrap();
    assert!(ns.fulfil("so_1").unwrap());
    assert!(!ns.fulfil("so_1").unwrap());
    assert_eq!(lines(&ns, "so_1").await, (whole(&[(0, 0, 3)]), "F".into()));
    assert_eq!(figures(&ns, "1000BLK-S", SWEDEN), (3, 0, 0, 3));
    let reply = send(&ns, "DELETE", "/record/v1/salesOrder/eid:so_1", &[], Value::Null).await;
    assert_eq!(reply.status, 400, "what was handed over cannot be undone here");
}

#[tokio::test]
async fn suiteql_tells_rows_by_item_and_place() {
    let ns = shop(Options { session_zone: "Europe/Stockholm".into(), ..Options::default() }).await;
    create(&ns, wants("so_1", &[(1001, 7, 0)])).await;
    ns.move_stock("1000BLK-S", "22", -1, "counter", Entered::AsTransaction).unwrap();
    let reply = sql(
        &ns,
        "",
        "SELECT a.item, a.location, a.quantityonhand, a.quantityavailable, a.quantitycommitted, a.quantitybackordered, \
         a.quantityonorder, a.quantityintransit, a.lastquantityavailablechange, i.itemid, BUILTIN.DF(a.location) place FROM inventoryItemLocations a JOIN item i ON i.id = a.item \
         WHERE a.location IN (?, '22') AND i.isinactive = 'F' AND a.item > ? ORDER BY a.item, a.location",
        json!(["21", 1000]),
    )
    .await;
    let today = {
        let now = ns.account.zone.to_datetime(ns.account.mischief.now());
        format!("{}/{}/{}", now.month(), now.day(), now.year())
    };
    let expected = json!([
        {"links": [], "item": "1001", "location": "21", "quantityonhand": "5", "quantityavailable": "0", "quantitycommitted": "5",
         "quantitybackordered": "2", "lastquantityavailablechange": today, "itemid": "1000BLK-S", "place": "Sweden Warehouse"},
        {"links": [], "item": "1001", "location": "22", "quantityonhand": "0", "quantityavailable": "0", "quantitycommitted": "0",
         "quantitybackordered": "0", "lastquantityavailablechange": today, "itemid": "1000BLK-S", "place": "Stockholm Store"},
        {"links": [], "item": "1002", "location": "21", "quantityonhand": "3", "quantityavailable": "3", "quantitycommitted": "0",
         "quantitybackordered": "0", "lastquantityavailablechange": "1/1/2010", "itemid": "15056BL", "place": "Sweden Warehouse"},
        // Its availability never changed: NULL is left out.
        {"links": [], "item": "1003", "location": "21", "quantityonhand": "0", "quantityavailable": "0", "quantitycommitted": "0",
         "quantitybackordered": "0", "itemid": "15056bl", "place": "Sweden Warehouse"},
    ]);
    assert_eq!(json!(reply.items()), expected);

    for (query, params, items) in [
        ("SELECT item FROM aggregateItemLocation WHERE location = ? ORDER BY item", json!(["21"]), "1001 1002 1003"),
        (
            "SELECT a.item FROM item i JOIN aggregateItemLocation a ON a.item = i.id WHERE i.itemid = ? ORDER BY a.location",
            json!(["1000BLK-S"]),
            "1001 1001",
        ),
        (
            "SELECT item FROM aggregateItemLocation WHERE item IN (1003, '1002') AND location IN (21, 22) ORDER BY item DESC",
            json!([]),
            "1003 1002",
        ),
        ("SELECT item FROM aggregateItemLocation WHERE item > 1001 AND item <> 1003", json!([]), "1002"),
        ("SELECT item FROM aggregateItemLocation WHERE location = ? ORDER BY item", json!(["77"]), ""),
        ("SELECT item FROM aggregateItemLocation WHERE location = ?", json!([null]), ""),
        (
            "SELECT item FROM aggregateItemLocation WHERE quantityavailable > 0 AND quantityonorder IS NULL ORDER BY item",
            json!([]),
            "1002",
        ),
        (
            "SELECT item FROM aggregateItemLocation WHERE lastquantityavailablechange >= TO_DATE('2011-01-01', 'YYYY-MM-DD') ORDER BY location",
            json!([]),
            "1001 1001",
        ),
        (
            "SELECT item FROM aggregateItemLocation WHERE TO_TIMESTAMP(?, 'YYYY-MM-DD HH24:MI:SS') <= lastquantityavailablechange AND location = 21 ORDER BY item",
            json!(["2010-01-01 01:00:00"]),
            "1001 1002",
        ),
        (
            "SELECT item FROM aggregateItemLocation WHERE lastquantityavailablechange > TO_TIMESTAMP(?, 'YYYY-MM-DD HH24:MI:SS') AND location = 21 ORDER BY item",
            json!(["2010-01-01 01:00:00"]),
            "1001",
        ),
        (
            "SELECT i.id item FROM item i LEFT JOIN aggregateItemLocation a ON a.item = i.id AND a.location = 22 WHERE a.item IS NULL AND i.id > 1000 ORDER BY i.id",
            json!([]),
            "1002 1003 1004 1005",
        ),
    ] {
        let reply = sql(&ns, "", query, params).await;
        let found: Vec<&str> = reply.items().iter().map(|row| row["item"].as_str().unwrap()).collect();
        assert_eq!(found.join(" "), items, "{query}");
    }
    let shown =
        "SELECT TO_CHAR(lastquantityavailablechange, 'YYYY-MM-DD HH24:MI:SS') at FROM aggregateItemLocation WHERE item = 1002";
    assert_eq!(sql(&ns, "", shown, json!([])).await.items()[0]["at"], json!("2010-01-01 01:00:00"), "in the session's zone");
    let page =
        sql(&ns, "?limit=2", "SELECT item FROM aggregateItemLocation WHERE location = 21 AND item > 0 ORDER BY item", json!([]))
            .await;
    assert_eq!((page.body["hasMore"].clone(), page.body["totalResults"].clone()), (json!(true), json!(3)));
    assert_eq!(sql(&ns, "", "SELECT quantitybackordered FROM aggregateItemLocation", json!([])).await.status, 400);

    let plain = shop(Options { stock_change_time: false, ..Options::default() }).await;
    let refused = sql(&plain, "", "SELECT item, lastquantityavailablechange FROM inventoryItemLocations", json!([])).await;
    assert_eq!(refused.status, 400);
    let text = refused.body.to_string();
    assert!(text.contains("Unknown identifier 'lastquantityavailablechange'"), "{text}");
    let all = sql(&plain, "", "SELECT * FROM inventoryItemLocations WHERE item = 1002", json!([])).await;
    assert!(all.items()[0].get("lastquantityavailablechange").is_none());
}

#[tokio::test]
async fn back_orders_do_not_move_the_time_of_the_last_change() {
    let ns = shop(Options::default()).await;
    create(&ns, wants("so_1", &[(1003, 1, 0)])).await;
    let query = "SELECT item FROM aggregateItemLocation WHERE item = 1003 AND lastquantityavailablechange IS NULL";
    assert_eq!(sql(&ns, "", query, json!([])).await.items().len(), 1);
    assert_eq!(figures(&ns, "15056bl", SWEDEN), (0, 0, 1, 0));
}

#[tokio::test]
async fn commitment_and_parcels_may_come_later() {
    let ns = shop(Options { commit_delay_ms: 3_600_000, ..Options::default() }).await;
    create(&ns, wants("so_1", &[(1001, 3, 0)])).await;
    create(&ns, wants("so_2", &[(1002, 2, 0)])).await;
    patch(&ns, "so_1", json!({"item": {"items": [{"line": 1, "quantity": 4}]}})).await;
    assert_eq!(figures(&ns, "1000BLK-S", SWEDEN), (5, 0, 0, 5));
    assert_eq!(lines(&ns, "so_1").await.0, whole(&[(0, 0, 0)]));
    let reply = send(&ns, "DELETE", "/record/v1/salesOrder/eid:so_2", &[], Value::Null).await;
    assert_eq!(reply.status, 204);
    let later = ns.account.mischief.now().as_millisecond() + 3_600_000;
    ns.account.state().settle(later).unwrap();
    assert_eq!(figures(&ns, "1000BLK-S", SWEDEN), (5, 4, 0, 1));
    assert_eq!(figures(&ns, "15056BL", SWEDEN), (3, 0, 0, 3));
    assert_eq!(lines(&ns, "so_1").await.0, whole(&[(4, 0, 0)]));
    patch(&ns, "so_1", json!({"item": {"items": [{"line": 1, "quantity": 1}]}})).await;
    assert_eq!(figures(&ns, "1000BLK-S", SWEDEN), (5, 4, 0, 1), "the old commitment stands till then");
    ns.account.state().settle(later + 3_600_000).unwrap();
    assert_eq!(figures(&ns, "1000BLK-S", SWEDEN), (5, 1, 0, 4));

    let ns = shop(Options { fulfil_after_ms: Some(3_600_000), ..Options::default() }).await;
    create(&ns, wants("so_1", &[(1001, 7, 0)])).await;
    let later = ns.account.mischief.now().as_millisecond() + 3_600_000;
    ns.account.state().settle(later).unwrap();
    assert_eq!(figures(&ns, "1000BLK-S", SWEDEN), (0, 0, 2, 0));
    ns.move_stock("1000BLK-S", "21", 3, "delivery", Entered::AsTransaction).unwrap();
    assert_eq!(figures(&ns, "1000BLK-S", SWEDEN), (3, 2, 0, 1));
    ns.account.state().settle(later + 3_600_000).unwrap();
    assert_eq!(figures(&ns, "1000BLK-S", SWEDEN), (1, 0, 0, 1));
    assert_eq!(lines(&ns, "so_1").await, (whole(&[(0, 0, 7)]), "F".into()));
    assert_eq!(ns.account.state().next_due(), None);
}

#[tokio::test]
async fn stock_is_there_again_after_a_restart_and_each_event_happens_once() {
    let folder = std::env::temp_dir().join(format!("sim-stock-{}", uuid::Uuid::new_v4()));
    let path = folder.join("ns.jsonl");
    let all = "SELECT item, location, quantityonhand, quantitycommitted, quantitybackordered, \
               TO_CHAR(lastquantityavailablechange, 'YYYY-MM-DD HH24:MI:SS') at FROM inventoryItemLocations ORDER BY item, location";
    let before = {
        let ns = kept(Options::default(), Some(path.clone())).await;
        create(&ns, wants("so_1", &[(1001, 3, 0), (1005, 1, 0)])).await;
        create(&ns, wants("so_2", &[(1001, 1, 0)])).await;
        create(&ns, wants("so_3", &[(1002, 1, 0)])).await;
        assert_eq!(send(&ns, "DELETE", "/record/v1/salesOrder/eid:so_2", &[], Value::Null).await.status, 204);
        assert!(ns.fulfil("so_1").unwrap());
        assert!(ns.play_event(0, &[("TOTE", "31", 5), ("15056BL", "21", -1)], "found").unwrap());
        assert!(!ns.play_event(0, &[("TOTE", "31", 5)], "found").unwrap());
        assert!(!ns.play_event(2, &[("TOTE", "31", 5)], "too early").unwrap());
        ns.move_stock("15056bl", "21", -4, "broken", Entered::ByImport).unwrap();
        assert!(ns.move_stock("SET", "21", 1, "a kit", Entered::ByImport).is_err());
        assert!(ns.move_stock("TOTE", "99", 1, "no place", Entered::ByImport).is_err());
        (ns.stock_csv(), sql(&ns, "", all, json!([])).await.body)
    };
    assert_eq!(before.0, "sku,qty\n1000BLK-S,1\n15056BL,0\n15056bl,-4\nTOTE,5\n");
    let ns = kept(Options::default(), Some(path)).await;
    assert_eq!((ns.stock_csv(), sql(&ns, "", all, json!([])).await.body), before);
    assert_eq!(ns.events_played(), 1);
    assert!(!ns.play_event(0, &[("TOTE", "31", 5)], "found").unwrap());
    assert!(ns.play_event(1, &[("TOTE", "31", -5)], "sold").unwrap());
    assert_eq!(figures(&ns, "TOTE", 31), (0, 0, 0, 0));
    drop(ns);
    std::fs::remove_dir_all(folder).unwrap();
}

/// A receiver that answers with these statuses, the last of them for ever, and hands over (signature, body).
async fn receiver(statuses: Vec<u16>) -> (crate::wire::Server, mpsc::UnboundedReceiver<(String, String)>) {
    let (told, hears) = mpsc::unbounded_channel();
    let count = Arc::new(AtomicUsize::new(0));
    let router = Router::new().fallback(move |headers: HeaderMap, body: String| {
        let (told, count, statuses) = (told.clone(), Arc::clone(&count), statuses.clone());
        async move {
            let at = count.fetch_add(1, Ordering::Relaxed).min(statuses.len() - 1);
            let signature = headers.get("x-selvedge-signature").unwrap().to_str().unwrap().to_owned();
            told.send((signature, body)).unwrap();
            StatusCode::from_u16(statuses[at]).unwrap()
        }
    });
    (crate::wire::serve(router).await.unwrap(), hears)
}

async fn next(hears: &mut mpsc::UnboundedReceiver<(String, String)>) -> (String, Value) {
    let (signature, body) = tokio::time::timeout(Duration::from_secs(10), hears.recv()).await.unwrap().unwrap();
    (signature, serde_json::from_str(&body).unwrap())
}

#[tokio::test]
async fn the_script_posts_what_moved() {
    let ns = shop(Options::default()).await;
    ns.move_stock("15056BL", "21", 1, "before anybody listens", Entered::AsTransaction).unwrap();
    let (server, mut hears) = receiver(vec![200, 500, 200]).await;
    ns.aim_pushes(Some(PushTarget { url: server.url(), secret: "s3cret".into() }));
    ns.move_stock("15056BL", "21", 1, "an import", Entered::ByImport).unwrap();
    for sku in ["TOTE", "1000BLK-S", "TOTE"] {
        ns.move_stock(sku, "21", 1, "delivery", Entered::AsTransaction).unwrap();
    }
    let (signature, body) = next(&mut hears).await;
    assert!(signature.starts_with("t=") && signature.contains(",v1="), "{signature}");
    assert!(body["sent_at"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    assert_eq!(body["stock"], json!([{"item": "1001", "location": "21"}, {"item": "1004", "location": "21"}]));

    // An order that changes what is promised is told, one that does not is not; a failed call is made again.
    create(&ns, wants("so_1", &[(1001, 1, 0), (1005, 1, 0)])).await;
    let expected = json!([{"item": "1001", "location": "21"}, {"item": "1002", "location": "21"}]);
    for _ in 0..2 {
        assert_eq!(next(&mut hears).await.1["stock"], expected);
    }
    patch(&ns, "so_1", json!({"memo": "no news"})).await;
    patch(&ns, "so_1", json!({"item": {"items": [{"line": 1, "isClosed": true}]}})).await;
    assert_eq!(next(&mut hears).await.1["stock"], json!([{"item": "1001", "location": "21"}]));
    ns.aim_pushes(None);
    ns.move_stock("TOTE", "21", 1, "nobody listens", Entered::AsTransaction).unwrap();
    assert!(hears.try_recv().is_err());
    server.stop().await;
}
