//! Stock over the wire: what is asked, page by page, and what each answer leads to.

use selvedge_connector::{Cursor, Fault, FindingLevel, Priority, StockSource, Wanted};
use selvedge_model::{ExternalId, LocationId, StockLevel};
use serde_json::{Value, json};

use super::calls::{Came, Reply, World, error, ok, world_with};

/// The query and its parameters.
fn asked(came: &Came) -> (String, Vec<String>) {
    let body: Value = serde_json::from_str(&came.body).unwrap();
    let parameters = body["params"].as_array().unwrap().iter().map(|p| p.as_str().unwrap().to_owned()).collect();
    (body["q"].as_str().unwrap().to_owned(), parameters)
}

/// Whether this asks for the sums of what waits for approval.
fn is_sum(came: &Came) -> bool {
    asked(came).0.contains("t.status = 'A'")
}

/// Nothing waits for approval; the rest as it says.
fn with_none_pending(answer: impl Fn(&Came) -> Reply + Send + Sync + 'static) -> impl Fn(&Came) -> Reply + Send + Sync + 'static {
    move |came| if is_sum(came) { ok(json!({ "items": [] })) } else { answer(came) }
}

/// The calls that ask for levels.
fn levels_came(world: &World) -> Vec<Came> {
    world.came().into_iter().filter(|came| !is_sum(came)).collect()
}

fn row(item: usize, location: usize) -> Value {
    json!({ "links": [], "item": item.to_string(), "location": location.to_string(), "itemid": format!("S-{item}"), "isinactive": "F",
        "itemtype": "InvtPart", "quantityonhand": "5", "quantitycommitted": "2", "quantityavailable": "3" })
}

fn places(ids: &[&str]) -> Vec<LocationId> {
    ids.iter().map(|id| LocationId::from(*id)).collect()
}

fn source(world: &World) -> std::sync::Arc<dyn StockSource> {
    world.connection.stock_source.clone().unwrap()
}

async fn all(world: &World, wanted: Wanted<'_>, places: &[LocationId]) -> Vec<StockLevel> {
    let (mut levels, mut page) = (Vec::new(), None);
    loop {
        world.clock.advance(std::time::Duration::from_secs(1));
        let got = source(world).levels(wanted, places, page.as_ref(), Priority::Stock).await.unwrap();
        assert_eq!(got.unread, []);
        levels.extend(got.levels);
        page = got.next;
        if page.is_none() {
            return levels;
        }
    }
}

/// 1,250 items at two locations, page by page after the key.
fn keyset(came: &Came) -> Reply {
    let (_, parameters) = asked(came);
    let key: (usize, usize) = (parameters[0].parse().unwrap(), parameters[2].parse().unwrap());
    assert_eq!(parameters[0], parameters[1]);
    let rows = (1..=1250).flat_map(|item| [(item, 31), (item, 32)]).filter(|at| *at > key);
    let rows: Vec<Value> = rows.take(1000).map(|(item, location)| row(item, location)).collect();
    ok(json!({ "hasMore": rows.len() == 1000, "items": rows }))
}

/// A thousand items at one location.
fn keyset_of_one(_: &Came) -> Reply {
    ok(json!({ "hasMore": false, "items": (1..=1000).map(|item| row(item, 31)).collect::<Vec<_>>() }))
}

#[tokio::test]
async fn everything_is_walked_by_item_and_location() {
    let world = world_with(false, json!({}), with_none_pending(keyset)).await;
    let places = places(&["32", "31", "31"]);
    let levels = all(&world, Wanted::Everything, &places).await;
    assert_eq!(levels.len(), 2500);
    assert!(levels.is_sorted_by_key(|l| (l.item.as_str().parse::<u32>().unwrap(), l.location.clone())));
    assert_eq!(levels[0].as_of, levels[2499].as_of, "pages are as of the sums that were read before the first");
    assert_eq!(world.came().len(), 4);
    let came = levels_came(&world);
    assert_eq!(came.len(), 3);
    assert_eq!(came[0].line, "POST /acct/services/rest/query/v1/suiteql?limit=1000&offset=0 HTTP/1.1");
    assert_eq!(came[0].header("prefer"), "transient");
    let (sql, parameters) = asked(&came[0]);
    assert_eq!(
        sql,
        "SELECT l.item, l.location, i.itemid, i.isinactive, i.itemtype, l.quantityonhand, l.quantitycommitted, l.quantityavailable, \
         l.quantityonorder, l.quantitybackordered, TO_CHAR(l.lastquantityavailablechange,'YYYY-MM-DD HH24:MI:SS') AS changed \
         FROM inventoryitemlocations l INNER JOIN item i ON i.id = l.item WHERE (l.item > ? OR (l.item = ? AND l.location > ?)) \
         AND l.location IN (31, 32) ORDER BY l.item, l.location"
    );
    assert_eq!(parameters, ["0", "0", "0"]);
    assert_eq!(asked(&came[1]).1, ["500", "500", "32"]);
    let stats = world.connection.traffic.stats();
    assert!(stats.calls.contains(&("stock", 4)), "{stats:?}");
}

#[tokio::test]
async fn some_items_are_asked_for_by_their_ids() {
    let world = world_with(
        false,
        json!({ "stock_table": "aggregate_item_location", "stock_changes": "none", "commit_lag_seconds": 90 }),
        with_none_pending(|_| ok(json!({ "items": [row(7, 31)] }))),
    )
    .await;
    let source = source(&world);
    assert_eq!((source.items_max(), source.commit_lag().as_secs()), (1000, 90));
    let items = ["7", "1 OR 1=1", "", "8", "7"].map(ExternalId::from);
    let page = source.levels(Wanted::Items(&items), &places(&["31"]), None, Priority::Stock).await.unwrap();
    let level = &page.levels[0];
    assert_eq!((level.on_hand, level.committed, level.back_ordered, level.free()), (5, 2, 0, 3));
    let (sum, _) = asked(&world.came()[0]);
    assert!(sum.contains("AND NVL(l.location, h.location) IN (31) AND NVL(m.item, l.item) IN (7, 8) GROUP BY"), "{sum}");
    let (sql, _) = asked(&levels_came(&world)[0]);
    assert!(sql.contains("FROM aggregateitemlocation l") && sql.contains("AND l.item IN (7, 8) ORDER BY"), "{sql}");
    assert!(!sql.contains("quantitybackordered") && !sql.contains("lastquantityavailablechange"), "{sql}");
    // Without a column of changes everything is read.
    source.levels(Wanted::Since("2026-02-03T09:00:00Z".parse().unwrap()), &places(&["31"]), None, Priority::Stock).await.unwrap();
    assert!(!asked(&levels_came(&world)[1]).0.contains("TO_TIMESTAMP"));
    for (items, places) in [(&items[1..3], places(&["31"])), (&items[..], Vec::new())] {
        assert!(source.levels(Wanted::Items(items), &places, None, Priority::Stock).await.unwrap().levels.is_empty());
    }
    assert_eq!(world.came().len(), 4, "for nothing nothing is asked");
    let thousand: Vec<ExternalId> = (1..=1000).map(|n| ExternalId::new(n.to_string())).collect();
    let world = world_with(false, json!({}), with_none_pending(keyset_of_one)).await;
    assert_eq!(all(&world, Wanted::Items(&thousand), &places(&["31"])).await.len(), 1000);
    assert_eq!(levels_came(&world).len(), 1, "of a thousand items at one location there is no second page");
    let many: Vec<ExternalId> = (0..1001).map(|n| ExternalId::new(n.to_string())).collect();
    assert!(source.levels(Wanted::Items(&many), &places(&["31"]), None, Priority::Stock).await.is_err());
}

#[tokio::test]
async fn what_changed_is_asked_for_in_the_zone_of_the_database() {
    let world = world_with(false, json!({}), |_| ok(json!({ "items": [] }))).await;

    for (since, local) in [
        ("2026-02-03T09:10:00.9Z", "2026-02-03 01:00:00"),
        ("2026-07-03T09:10:00Z", "2026-07-03 02:00:00"),
        ("2026-11-01T08:40:00Z", "2026-11-01 01:00:00"),
    ] {
        assert!(all(&world, Wanted::Since(since.parse().unwrap()), &places(&["31"])).await.is_empty());
        let (sql, parameters) = asked(world.came().last().unwrap());
        assert!(
            sql.contains("AND (l.lastquantityavailablechange >= TO_TIMESTAMP(?, 'YYYY-MM-DD HH24:MI:SS')) ORDER BY"),
            "{sql}"
        );
        assert_eq!(parameters, ["0", "0", "0", local]);
    }
}

fn sum(item: usize, location: usize, quantity: &str) -> Value {
    json!({ "item": item.to_string(), "location": location.to_string(), "quantity": quantity })
}

#[tokio::test]
async fn what_waits_for_approval_is_taken_off_and_never_missed() {
    let world = world_with(false, json!({}), |came| {
        if !is_sum(came) {
            return ok(json!({ "items": [row(7, 31), row(9, 31)] }));
        }
        let (sql, parameters) = asked(came);
        assert!(sql.contains("LEFT JOIN itemmember m ON m.parentitem = i.id AND i.itemtype = 'Kit'"), "{sql}");
        // Two pages of them.
        match parameters[0].as_str() {
            "0" => ok(json!({ "hasMore": true, "items": [sum(7, 31, "-2"), sum(8, 31, "-1")] })),
            key => {
                assert_eq!((key, parameters[2].as_str()), ("8", "31"));
                ok(json!({ "hasMore": false, "items": [sum(9, 31, "-.5"), sum(9, 32, "-5"), sum(10, 31, "0")] }))
            }
        }
    })
    .await;
    let levels = all(&world, Wanted::Since("2026-02-03T09:00:00Z".parse().unwrap()), &places(&["31"])).await;
    let said: Vec<_> = levels.iter().map(|level| (level.item.as_str(), level.pending_approval, level.free())).collect();
    assert_eq!(said, [("7", 2, 1), ("9", 1, 2)]);
    let (sql, _) = asked(&levels_came(&world)[0]);
    assert!(sql.contains("HH24:MI:SS') OR l.item IN (7, 8, 9)) ORDER BY"), "{sql}");
    let first = world.came().first().map(is_sum);
    assert_eq!(first, Some(true), "what is approved in between is in both, and never in neither");
}

#[tokio::test]
async fn an_order_that_is_rejected_is_read_once_more() {
    let pending = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let waits = std::sync::Arc::clone(&pending);
    let world = world_with(false, json!({}), move |came| match is_sum(came) {
        true if waits.load(std::sync::atomic::Ordering::SeqCst) => ok(json!({ "items": [sum(7, 31, "-2")] })),
        true => ok(json!({ "items": [] })),
        false => ok(json!({ "items": [row(7, 31)] })),
    })
    .await;
    let since = || Wanted::Since("2026-02-03T09:00:00Z".parse().unwrap());
    let mut asked_for = Vec::new();
    for waits in [true, false, false] {
        pending.store(waits, std::sync::atomic::Ordering::SeqCst);
        let levels = all(&world, since(), &places(&["31"])).await;
        assert_eq!(levels[0].pending_approval, if waits { 2 } else { 0 });
        asked_for.push(asked(levels_came(&world).last().unwrap()).0.contains("OR l.item IN (7)"));
    }
    assert_eq!(asked_for, [true, true, false], "no column tells that nobody waits any more");
}

#[tokio::test]
async fn where_only_days_are_told_the_whole_day_is_read() {
    let world = world_with(false, json!({ "stock_changes": "date" }), with_none_pending(|_| ok(json!({ "items": [] })))).await;
    assert!(all(&world, Wanted::Since("2026-02-03T19:00:00Z".parse().unwrap()), &places(&["31"])).await.is_empty());
    let (sql, parameters) = asked(&levels_came(&world)[0]);
    assert!(sql.contains("lastquantityavailablechange >= TO_TIMESTAMP"), "{sql}");
    assert_eq!(parameters[3], "2026-02-03 00:00:00");
}

#[tokio::test]
async fn check_knows_days_from_times_and_a_wrong_zone() {
    let finding = async |changed: [&'static str; 3], changes: &str| {
        let world = world_with(false, json!({ "stock_changes": changes }), move |came| {
            if !came.body.contains("inventoryitemlocations") {
                return ok(json!({ "items": [{ "id": "1" }] }));
            }
            let rows = (1..).zip(changed).map(|(item, changed)| {
                let mut row = row(item, 31);
                row["changed"] = json!(changed);
                row
            });
            ok(json!({ "items": rows.collect::<Vec<_>>() }))
        })
        .await;
        let found = world.connection.probe.clone().unwrap().check().await;
        let words = ["when stock changed", "stock changed in the future", "when its rows changed"];
        found
            .into_iter()
            .find(|f| words.iter().any(|word| f.message.contains(word)))
            .map(|f| (f.level, f.setting.unwrap_or_default()))
    };
    let days = ["2026-01-03 00:00:00", "2026-01-04 00:00:00", "2025-01-03 00:00:00"];
    let times = ["2026-01-03 00:00:00", "2026-01-04 10:11:12", "2025-01-03 00:00:00"];
    let ahead = ["2026-01-03 00:00:00", "2036-01-04 10:11:12", "2025-01-03 00:00:00"];
    assert_eq!(finding(days, "timestamp").await, Some((FindingLevel::Warning, "stock_changes".into())));
    assert_eq!(finding(days, "date").await, Some((FindingLevel::Good, String::new())));
    assert_eq!(finding(times, "timestamp").await, Some((FindingLevel::Good, String::new())));
    assert_eq!(finding(ahead, "timestamp").await, Some((FindingLevel::Warning, "query_time_zone".into())));
}

#[tokio::test]
async fn sums_are_read_again_when_they_are_old() {
    let world = world_with(false, json!({}), with_none_pending(keyset)).await;
    let source = source(&world);
    let places = places(&["31", "32"]);
    let mut page = None;
    let mut as_of = Vec::new();
    for wait in [1, 50, 61] {
        world.clock.advance(std::time::Duration::from_secs(wait));
        let got = source.levels(Wanted::Everything, &places, page.as_ref(), Priority::Stock).await.unwrap();
        as_of.push(got.levels[0].as_of);
        page = got.next;
    }
    assert!(as_of[0] == as_of[1] && as_of[1] < as_of[2], "{as_of:?}");
}

#[tokio::test]
async fn an_account_without_kits_is_asked_without_their_parts() {
    let world = world_with(false, json!({}), |came| match (is_sum(came), came.body.contains("itemmember")) {
        (true, true) => error(400, "INVALID_PARAMETER", "Record 'itemmember' was not found."),
        (true, false) => ok(json!({ "items": [sum(7, 31, "-2")] })),
        _ => ok(json!({ "items": [row(7, 31)] })),
    })
    .await;
    for calls in [3, 5] {
        let levels = all(&world, Wanted::Everything, &places(&["31"])).await;
        assert_eq!((levels[0].pending_approval, world.came().len()), (2, calls), "it is not tried again");
    }
    for odd in [json!({ "item": "7", "quantity": "1" }), sum(7, 31, "many")] {
        let world = world_with(false, json!({}), move |_| ok(json!({ "items": [odd] }))).await;
        let fault = source(&world).levels(Wanted::Everything, &places(&["31"]), None, Priority::Stock).await;
        assert!(matches!(fault, Err(Fault::Unexpected { .. })), "half a sum is none");
    }
}

#[tokio::test]
async fn what_cannot_be_asked_or_gone_on_with_is_named() {
    let world = world_with(
        false,
        json!({}),
        with_none_pending(|came| match asked(came).1[0].as_str() {
            "0" => ok(json!({ "hasMore": true, "items": [{ "itemid": "A" }] })),
            "5" => ok(json!({ "hasMore": true, "items": [row(5, 31)] })),
            _ => ok(json!({ "hasMore": true, "items": [] })),
        }),
    )
    .await;
    let source = source(&world);
    let levels = async |place: &str, page: Option<&str>| {
        let page = page.map(|text| Cursor(text.to_owned()));
        source.levels(Wanted::Everything, &places(&[place]), page.as_ref(), Priority::Stock).await.unwrap_err()
    };
    let Fault::Refused { problems, .. } = levels("main", None).await else { panic!() };
    assert_eq!(problems[0].rule, "stock.place");
    assert!(matches!(levels("31", Some("next")).await, Fault::Unexpected { .. }));
    assert!(world.came().is_empty());
    for page in [None, Some("5:31"), Some("6:31")] {
        assert!(matches!(levels("31", page).await, Fault::Unexpected { .. }), "{page:?}");
    }
}

#[tokio::test]
async fn each_answer_means_one_thing() {
    let table: [(&str, Reply); 8] = [
        ("throttled", error(429, "CONCURRENCY_LIMIT_EXCEEDED", "too many")),
        ("transient", (503, String::new(), "<html>maintenance</html>".into())),
        ("transient", (200, String::new(), "<html>login</html>".into())),
        ("transient", (0, String::new(), String::new())),
        ("unauthorized", error(401, "INVALID_LOGIN", "Invalid login attempt.")),
        ("unauthorized", error(403, "INSUFFICIENT_PERMISSION", "LIST_ITEM")),
        ("refused", error(400, "INVALID_PARAMETER", "Record 'inventoryitemlocations' was not found.")),
        ("unexpected", (400, String::new(), "{}".into())),
    ];
    for (word, reply) in table {
        let shown = format!("{reply:?}");
        let world = world_with(false, json!({}), move |_| reply.clone()).await;
        let fault = source(&world).levels(Wanted::Everything, &places(&["31"]), None, Priority::Stock).await.unwrap_err();
        assert_eq!(fault.word(), word, "{shown}: {fault:?}");
        assert!(!format!("{fault:?} {fault}").contains("hidden"));
    }
}

fn part(kit: usize, part: usize) -> Value {
    json!({ "parentitem": kit.to_string(), "item": part.to_string(), "kit": format!("K-{kit}"), "part": format!("P-{part}"), "quantity": "1" })
}

#[tokio::test]
async fn a_kit_that_a_page_cuts_is_read_whole() {
    // 400 kits of four parts: a page ends with the last part of the 250th kit, whether or not it has more.
    let world = world_with(false, json!({}), |came| {
        let (sql, parameters) = asked(came);
        assert!(sql.contains("k.itemtype = 'Kit'") && sql.ends_with("ORDER BY m.parentitem, m.item"), "{sql}");
        let from: usize = parameters[0].parse().unwrap();
        let rows = (1..=400).flat_map(|kit| (1..=4).map(move |n| (kit, n))).filter(|(kit, _)| *kit >= from);
        let rows: Vec<Value> = rows.take(1000).map(|(kit, n)| part(kit, n)).collect();
        ok(json!({ "hasMore": rows.len() == 1000, "items": rows }))
    })
    .await;
    let kits = source(&world).kits().await.unwrap();
    assert_eq!(kits.len(), 400);
    assert!(kits.iter().all(|kit| kit.parts.len() == 4));
    let from: Vec<String> = world.came().iter().map(|came| asked(came).1.remove(0)).collect();
    assert_eq!(from, ["0", "250"]);
}

#[tokio::test]
async fn no_kits_are_none_and_a_refusal_is_told() {
    for (reply, found) in [
        (error(400, "INVALID_PARAMETER", "Record 'itemmember' was not found."), None),
        (ok(json!({ "items": [] })), Some(0)),
        (error(403, "INSUFFICIENT_PERMISSION", "LIST_ITEM"), None),
        (error(429, "CONCURRENCY_LIMIT_EXCEEDED", "too many"), None),
    ] {
        let world = world_with(false, json!({}), move |_| reply.clone()).await;
        assert_eq!(source(&world).kits().await.ok().map(|kits| kits.len()), found);
    }
    let endless = world_with(false, json!({}), |_| {
        ok(json!({ "hasMore": true, "items": (0..1000).map(|n| part(7, n)).collect::<Vec<_>>() }))
    })
    .await;
    assert!(matches!(source(&endless).kits().await, Err(Fault::Unexpected { .. })));
    assert_eq!(endless.came().len(), 2);
}

#[tokio::test]
async fn check_tells_a_missing_table_from_a_missing_column() {
    let finding = async |answer: fn(&str) -> Reply| {
        let world = world_with(false, json!({}), move |came| {
            if came.body.contains("inventoryitemlocations") {
                answer(&came.body)
            } else {
                ok(json!({ "items": [{ "id": "1" }] }))
            }
        })
        .await;
        let found = world.connection.probe.clone().unwrap().check().await;
        let of_stock: Vec<_> = found.into_iter().filter(|f| f.message.contains("inventoryitemlocations")).collect();
        assert_eq!(of_stock.len(), 1, "{of_stock:#?}");
        (of_stock[0].level, of_stock[0].setting.clone().unwrap_or_default())
    };
    assert_eq!(finding(|_| ok(json!({ "items": [row(1, 31)] }))).await, (FindingLevel::Good, String::new()));
    assert_eq!(finding(|_| ok(json!({ "items": [] }))).await, (FindingLevel::Warning, "stock_table".into()));
    assert_eq!(finding(|_| error(400, "INVALID_PARAMETER", "not found")).await, (FindingLevel::Warning, "stock_table".into()));
    let column = finding(|body| {
        if body.contains("lastquantityavailablechange") {
            error(400, "INVALID_PARAMETER", "not found")
        } else {
            ok(json!({ "items": [row(1, 31)] }))
        }
    });
    assert_eq!(column.await, (FindingLevel::Warning, "stock_changes".into()));
}
