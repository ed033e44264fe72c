//! Stock by samples, by the property that nothing odd becomes a figure, and against a server in this process.

use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use proptest::prelude::*;
use selvedge_connector::{
    Connection, Connector, Cursor, Fault, Figure, FindingLevel, OpenContext, Priority, Secret, Secrets, Wanted,
    clock::ManualClock,
};
use selvedge_model::{ConnectionName, ExternalId, LocationId, Money, StockLevel};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::decode::{Read, Sizes, read};

fn as_of() -> Timestamp {
    "2026-11-23T10:00:00Z".parse().unwrap()
}

fn size(id: u32, sku: &str, stock: Value) -> Value {
    json!({
        "id": id, "SKU": sku, "isActive": true,
        "productVariant": {
            "status": "ACTIVE",
            "unitCost": { "value": 12.505, "currency": { "code": "SEK" } },
            "product": { "status": "ACTIVE", "folder": { "name": "Shirts" }, "collection": { "name": "AW26" } }
        },
        "stock": stock
    })
}

fn row(place: u32, physical: i64, free: i64) -> Value {
    json!({ "warehouse": { "id": place }, "physicalQuantity": physical, "freeToAllocateQuantity": free })
}

fn decode(sizes: &[Value], places: &[i32]) -> Read {
    let text = json!({ "productSizes": sizes }).to_string();
    read(&serde_json::from_str::<Sizes<'_>>(&text).unwrap(), places, as_of())
}

fn figures(level: &StockLevel) -> (&str, i64, i64, i64) {
    (level.location.as_str(), level.on_hand, level.committed, level.available)
}

#[test]
fn a_size_has_one_level_per_asked_warehouse() {
    let found = decode(&[size(17, " A-1 ", json!([row(2, 10, 7), row(9, 5, 5)]))], &[1, 2]);
    assert_eq!(found.unread, []);
    let levels = found.levels;
    assert_eq!(figures(&levels[0]), ("1", 0, 0, 0), "nothing is kept there yet, and it can be written");
    assert_eq!(figures(&levels[1]), ("2", 10, 3, 7));
    assert_eq!(levels.len(), 2, "a warehouse that was not asked for is not told");
    let level = &levels[1];
    assert_eq!((level.item.as_str(), level.sku.as_str(), level.as_of, level.changed_at), ("17", "A-1", as_of(), None));
    assert_eq!((level.back_ordered, level.incoming, level.active, level.free()), (0, 0, true, 7));
    assert_eq!(level.unit_value.map(Money::minor), Some(1251));
    assert_eq!(level.categories, ["Shirts", "AW26"]);
    assert_eq!(found.ends, Some((17, 17)));
}

#[test]
fn allocated_beyond_what_is_there_shows_as_less_than_nothing_free() {
    let level = decode(&[size(1, "A", json!([row(1, 2, -3)]))], &[1]).levels.remove(0);
    assert_eq!((level.on_hand, level.committed, level.available, level.free()), (2, 5, -3, -3));
}

#[test]
fn only_what_is_active_all_the_way_up_is_active() {
    let active = |pointer: &str, value: Value| {
        let mut size = size(1, "A", json!([]));
        *size.pointer_mut(pointer).unwrap() = value;
        decode(&[size], &[1]).levels[0].active
    };
    assert!(active("/isActive", json!(true)));
    assert!(!active("/isActive", json!(false)));
    assert!(!active("/productVariant/status", json!("INACTIVE")));
    assert!(!active("/productVariant/product/status", json!("CANCELLED")));
    assert!(active("/productVariant", Value::Null), "what is not said does not count");
}

#[test]
fn what_is_optional_may_be_missing() {
    let bare = json!({ "id": "5", "SKU": "A", "isActive": true, "stock": [
        { "physicalQuantity": 4, "freeToAllocateQuantity": 4 }
    ] });
    let found = decode(std::slice::from_ref(&bare), &[3]);
    let level = &found.levels[0];
    assert_eq!((figures(level), level.unit_value, level.categories.len()), (("3", 4, 0, 4), None, 0));
    // Of two warehouses the rows cannot be told apart.
    let found = decode(&[bare], &[3, 4]);
    assert!(found.levels.is_empty());
    assert_eq!(found.unread[0].1.path, "stock[0].warehouse");
}

#[test]
fn a_size_without_a_sku_is_left_out_and_counted() {
    let sizes = [size(1, "", json!([])), size(2, "  ", json!([])), json!({ "id": 3, "isActive": true, "stock": [] })];
    let found = decode(&sizes, &[1]);
    assert_eq!((found.levels.len(), found.unread.len(), found.left_out), (0, 0, 3));
    assert_eq!(found.ends, Some((1, 3)));
}

#[test]
fn an_odd_size_is_named_and_costs_the_others_nothing() {
    for (stock, path) in [
        (json!([row(1, -1, -1)]), "stock[0].physicalQuantity"),
        (json!([row(1, 3, 4)]), "stock[0].freeToAllocateQuantity"),
        (json!([row(1, 3, 3), row(1, 4, 4)]), "stock[1].warehouse"),
        (
            json!([{ "warehouse": { "id": 1 }, "physicalQuantity": 1.5, "freeToAllocateQuantity": 1 }]),
            "stock[0].physicalQuantity",
        ),
        (
            json!([{ "warehouse": { "id": 1 }, "physicalQuantity": "3", "freeToAllocateQuantity": 3 }]),
            "stock[0].physicalQuantity",
        ),
        (json!([{ "warehouse": { "id": 1 }, "physicalQuantity": 3 }]), "stock[0].freeToAllocateQuantity"),
        (json!([{ "warehouse": { "id": "x" }, "physicalQuantity": 3, "freeToAllocateQuantity": 3 }]), "stock[0].warehouse"),
        (Value::Null, "stock"),
    ] {
        let found = decode(&[size(7, "ODD", stock), size(8, "SOUND", json!([row(1, 1, 1)]))], &[1]);
        assert_eq!(found.levels.len(), 1, "{path}");
        let (item, problem) = &found.unread[0];
        assert_eq!((item.as_str(), problem.rule.as_str(), problem.path.as_str()), ("7", "stock.unreadable", path));
        assert!(!problem.message.is_empty() && !problem.remedy.is_empty());
    }
    let found = decode(&[json!([1]), json!({ "id": 9, "SKU": 4 }), json!({ "id": 10, "SKU": "A", "stock": [] })], &[1]);
    let unread: Vec<(&str, &str)> = found.unread.iter().map(|(item, problem)| (item.as_str(), problem.path.as_str())).collect();
    assert_eq!(unread, [("", "id"), ("9", "SKU"), ("10", "isActive")]);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-3..9_i64).prop_map(Value::from),
        "-?[0-9]{1,30}(\\.[0-9]{1,9})?(e[0-9]{1,3})?".prop_map(|text| serde_json::from_str(&text).unwrap_or(Value::Null)),
        "\\PC{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let names = vec![
            "id",
            "SKU",
            "isActive",
            "stock",
            "warehouse",
            "physicalQuantity",
            "freeToAllocateQuantity",
            "productVariant",
            "unitCost",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(names), inner), 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())),
        ]
    })
}

proptest! {
    /// Whatever comes, a size gives all of its levels, or one problem, or has no SKU; and no level has odd figures.
    #[test]
    fn every_size_is_accounted_for(sizes in prop::collection::vec(any_json(), 0..6)) {
        let found = decode(&sizes, &[1, 2]);
        prop_assert_eq!(found.levels.len() / 2 + found.unread.len() + found.left_out, sizes.len());
        prop_assert!(found.levels.iter().all(|l| l.on_hand >= 0 && l.committed >= 0 && l.available <= l.on_hand));
    }

    /// An odd quantity never becomes another quantity.
    #[test]
    fn an_odd_quantity_is_unread_or_itself(odd in any_json(), free in any::<bool>()) {
        let mut size = size(1, "A", json!([row(1, 5, 0)]));
        size["stock"][0][if free { "freeToAllocateQuantity" } else { "physicalQuantity" }] = odd.clone();
        let found = decode(&[size], &[1]);
        match found.levels.first() {
            Some(level) => prop_assert_eq!(odd.as_i64(), Some(if free { level.available } else { level.on_hand })),
            None => prop_assert_eq!(found.unread.len(), 1),
        }
    }
}

/// What a call asked: the operation's name and its variables.
#[derive(Clone, Debug)]
struct Asked {
    operation: String,
    query: String,
    variables: Value,
}

/// Status and body; no status drops the connection.
type Reply = Option<(u16, Value)>;

struct World {
    shop: Connection,
    asked: Arc<Mutex<Vec<Asked>>>,
    clock: Arc<ManualClock>,
}

impl World {
    /// What was asked, the reading of the limits apart.
    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().iter().filter(|a| a.operation != "RateLimits").cloned().collect()
    }
}

async fn world(settings: Value, answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> World {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut all = json!({ "base_url": format!("http://{}", listener.local_addr().unwrap()), "time_zone": "Europe/Stockholm" });
    for (name, value) in settings.as_object().unwrap() {
        all[name] = value.clone();
    }
    let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
    let (log, answer) = (Arc::clone(&asked), Arc::new(answer));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&log), Arc::clone(&answer)));
        }
    });
    let mut secrets = Secrets::default();
    secrets.set("token", Secret::new("t-hidden"));
    let name = ConnectionName::from("shop");
    let clock = Arc::new(ManualClock::at(as_of()));
    let context = OpenContext {
        name: &name,
        settings: &all,
        secrets: &secrets,
        clock: clock.clone(),
        read_only: false,
        reach: selvedge_connector::Reach::ANYWHERE,
    };
    World { shop: super::super::Centra.open(&context).unwrap(), asked, clock }
}

async fn serve(mut stream: TcpStream, log: Arc<Mutex<Vec<Asked>>>, answer: Arc<impl Fn(&Asked) -> Reply>) {
    let mut bytes = Vec::new();
    let body = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..at]).to_lowercase();
            let length: usize = head.lines().find_map(|l| l.strip_prefix("content-length: ")).unwrap().trim().parse().unwrap();
            if let Some(body) = bytes.get(at + 4..at + 4 + length) {
                break body.to_vec();
            }
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
    };
    let body: Value = serde_json::from_slice(&body).unwrap();
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    let asked = Asked { operation: text("operationName"), query: text("query"), variables: body["variables"].clone() };
    log.lock().unwrap().push(asked.clone());
    let reply =
        if asked.operation == "RateLimits" { Some((200, json!({ "data": { "rateLimits": [] } }))) } else { answer(&asked) };
    if let Some((status, body)) = reply {
        let body = body.to_string();
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
    }
}

fn data(data: Value) -> Reply {
    Some((
        200,
        json!({ "data": data, "extensions": { "complexity": 10, "permissionsUsed": ["ProductSize:read"], "appVersion": "v1.60.0" } }),
    ))
}

fn places(ids: &[&str]) -> Vec<LocationId> {
    ids.iter().map(|id| LocationId::from(*id)).collect()
}

fn taken(warnings: &Value) -> Reply {
    data(json!({ "setStock": { "userErrors": [], "userWarnings": warnings } }))
}

fn some_figures() -> Vec<Figure> {
    let figure = |item: &str, sku: &str, units| Figure { item: item.into(), sku: sku.into(), units };
    vec![figure("17", "A-1", 12), figure("18", "A-2", 0)]
}

#[tokio::test]
async fn everything_is_read_page_by_page_in_the_order_of_ids() {
    let world = world(json!({ "stock_page_size": 2 }), |asked| {
        let page = u32::try_from(asked.variables["page"].as_u64().unwrap()).unwrap();
        let ids = (1..=5_u32).skip((page as usize - 1) * 2).take(2);
        let sizes: Vec<Value> = ids.map(|id| size(id, &format!("S{id}"), json!([row(1, i64::from(id), 0)]))).collect();
        data(json!({ "productSizes": sizes }))
    })
    .await;
    let source = world.shop.stock_source.clone().unwrap();
    assert_eq!((source.items_max(), source.commit_lag().as_secs()), (2, 0));
    assert!(source.kits().await.unwrap().is_empty());
    for wanted in [Wanted::Everything, Wanted::Since(as_of())] {
        let (mut levels, mut page) = (Vec::new(), None);
        loop {
            world.clock.advance(std::time::Duration::from_secs(1));
            let got = source.levels(wanted, &places(&["1", "2"]), page.as_ref(), Priority::Stock).await.unwrap();
            levels.extend(got.levels);
            page = got.next;
            if page.is_none() {
                break;
            }
        }
        let skus: Vec<&str> = levels.iter().map(|l| l.sku.as_str()).collect();
        assert_eq!(skus, ["S1", "S1", "S2", "S2", "S3", "S3", "S4", "S4", "S5", "S5"]);
        assert!(levels[0].as_of > as_of() && levels[9].as_of > levels[0].as_of, "each page has an instant of its own");
    }
    let asked = &world.asked()[0];
    assert!(asked.query.contains("sort:[id_ASC]") && asked.query.contains("unitCost"), "{}", asked.query);
    assert!(!asked.query.contains("allocatedQuantity"));
    assert_eq!(asked.variables, json!({ "places": [1, 2], "placeCount": 2, "limit": 2, "page": 1 }));
}

#[tokio::test]
async fn some_sizes_are_read_by_their_ids_in_one_call() {
    let world = world(json!({ "stock_page_size": 2, "stock_details": false }), |asked| {
        let ids = asked.variables["ids"].as_array().unwrap().clone();
        let sizes: Vec<Value> =
            ids.iter().map(|id| size(u32::try_from(id.as_u64().unwrap()).unwrap(), "A", json!([row(1, 3, 3)]))).collect();
        data(json!({ "productSizes": sizes }))
    })
    .await;
    let source = world.shop.stock_source.clone().unwrap();
    let items = [ExternalId::new("17"), ExternalId::new("18"), ExternalId::new("../x")];
    let page = source.levels(Wanted::Items(&items), &places(&["1"]), None, Priority::Stock).await.unwrap();
    assert_eq!((page.levels.len(), page.next), (2, None));
    let asked = world.asked().remove(0);
    assert_eq!(asked.variables["ids"], json!([17, 18]));
    assert!(!asked.query.contains("unitCost") && !asked.query.contains("folder"), "not wanted: {}", asked.query);
    for (items, places) in [(&items[2..], places(&["1"])), (&items[..], Vec::new())] {
        assert!(source.levels(Wanted::Items(items), &places, None, Priority::Stock).await.unwrap().levels.is_empty());
    }
    assert_eq!(world.asked().len(), 1, "for nothing nothing is asked");
}

#[tokio::test]
async fn what_cannot_be_asked_is_not() {
    let world = world(json!({}), |_| data(json!({ "productSizes": [] }))).await;
    let source = world.shop.stock_source.clone().unwrap();
    for odd in ["main", "", "-1", "+1", "1.0", "99999999999"] {
        let fault = source.levels(Wanted::Everything, &places(&[odd]), None, Priority::Stock).await.unwrap_err();
        let Fault::Refused { problems, .. } = fault else { panic!("{odd}") };
        assert_eq!(problems[0].rule, "stock.place");
    }
    let odd = Cursor("next".to_owned());
    let fault = source.levels(Wanted::Everything, &places(&["1"]), Some(&odd), Priority::Stock).await.unwrap_err();
    assert!(matches!(fault, Fault::Unexpected { .. }));
    assert!(world.asked().is_empty());
}

#[tokio::test]
async fn an_instance_that_does_not_know_a_part_is_asked_again_without() {
    let world = world(json!({}), |asked| {
        if asked.query.contains("unitCost") {
            let message = "Cannot query field \"unitCost\" on type \"ProductVariant\".";
            return Some((400, json!({ "errors": [{ "message": message }] })));
        }
        data(json!({ "productSizes": [size(1, "A", json!([row(1, 3, 3)]))] }))
    })
    .await;
    let source = world.shop.stock_source.clone().unwrap();
    let ask = || source.levels(Wanted::Everything, &[], None, Priority::Stock);
    assert!(ask().await.unwrap().levels.is_empty());
    let places = places(&["1"]);
    let first = source.levels(Wanted::Everything, &places, None, Priority::Stock).await.unwrap_err();
    assert!(matches!(first, Fault::Transient { .. }), "{first:?}");
    let again = source.levels(Wanted::Everything, &places, None, Priority::Stock).await.unwrap();
    assert_eq!(again.levels.len(), 1);
}

#[tokio::test]
async fn figures_go_out_as_one_absolute_call_that_names_its_index() {
    let world = world(json!({ "stock_batch": 250 }), |_| {
        taken(&json!([{ "message": "lifted", "path": ["input", "productSizes", "1"] }]))
    })
    .await;
    let sink = world.shop.stock_sink.clone().unwrap();
    assert_eq!(sink.batch_max(), 250);
    let request = sink.encode(&LocationId::from("2"), &some_figures());
    assert_eq!(request.what, "set the stock of 2 sizes in warehouse 2");
    assert!(request.update.is_some(), "an absolute figure may be repeated");
    let receipt = sink.put(&request).await.unwrap();
    assert_eq!(receipt.warnings, ["lifted (input.productSizes.1)"]);
    let asked = world.asked().remove(0);
    assert!(asked.query.contains("stockQuantityType: PHYSICAL"), "{}", asked.query);
    assert!(!asked.query.contains("stockChanges"));
    let rows = json!([{ "productSize": { "id": 17 }, "quantity": 12 }, { "productSize": { "id": 18 }, "quantity": 0 }]);
    assert_eq!(asked.variables, json!({ "warehouse": 2, "description": "Selvedge", "productSizes": rows }));
    let stats = world.shop.traffic.stats();
    assert!(stats.calls.contains(&("stock", 1)), "{stats:?}");
}

#[tokio::test]
async fn a_size_without_an_id_of_centras_goes_by_its_sku() {
    let world = world(json!({}), |_| taken(&json!([]))).await;
    let sink = world.shop.stock_sink.clone().unwrap();
    let figure = Figure { item: ExternalId::new(""), sku: "A-1".into(), units: 1 };
    let request = sink.encode(&LocationId::from("2"), &[figure]);
    assert_eq!(request.body["productSizes"][0]["productSize"], json!({ "SKU": "A-1" }));
}

#[tokio::test]
async fn each_answer_to_a_write_means_one_thing() {
    let table: Vec<(&str, Reply)> = vec![
        (
            "refused",
            data(
                json!({ "setStock": { "userErrors": [{ "message": "Product size 18 is a bundle", "path": ["input", "productSizes", "1", "productSize"] }], "userWarnings": [] } }),
            ),
        ),
        ("unanswered", Some((500, json!({ "errors": [{ "message": "Internal server error" }] })))),
        ("unanswered", Some((499, json!({})))),
        ("unanswered", None),
        ("unanswered", Some((200, json!({ "errors": [{ "message": "Internal server error" }], "data": null })))),
        ("unauthorized", Some((403, json!({})))),
        (
            "unauthorized",
            Some((
                200,
                json!({ "errors": [{ "message": "You need StockChange:write permission", "extensions": { "category": "authorization" } }] }),
            )),
        ),
        ("throttled", Some((429, json!({})))),
        ("unexpected", Some((400, json!({ "errors": [{ "message": "Variable \"$productSizes\" is wrong" }] })))),
    ];
    for (word, reply) in table {
        let shown = format!("{reply:?}");
        let world = world(json!({}), move |_| reply.clone()).await;
        let sink = world.shop.stock_sink.clone().unwrap();
        let fault = sink.put(&sink.encode(&LocationId::from("2"), &some_figures())).await.unwrap_err();
        assert_eq!(fault.word(), word, "{shown}: {fault:?}");
        assert!(!format!("{fault:?} {fault}").contains("t-hidden"));
        if let Fault::Refused { problems, .. } = fault {
            assert_eq!((problems[0].rule.as_str(), problems[0].path.as_str()), ("stock.refused", "productSizes.1"));
            assert!(problems[0].message.contains("is a bundle"));
        }
    }
}

#[tokio::test]
async fn a_figure_that_centra_cannot_carry_never_leaves() {
    let world = world(json!({}), |_| taken(&json!([]))).await;
    let sink = world.shop.stock_sink.clone().unwrap();
    let mut figures = some_figures();
    figures[0].units = i64::from(i32::MAX) + 1;
    figures[1].units = -1;
    let fault = sink.put(&sink.encode(&LocationId::from("main"), &figures)).await.unwrap_err();
    let Fault::Refused { problems, .. } = fault else { panic!("{fault:?}") };
    let found: Vec<(&str, &str)> = problems.iter().map(|p| (p.rule.as_str(), p.path.as_str())).collect();
    assert_eq!(found, [("stock.place", "warehouse"), ("stock.figure", "productSizes.0"), ("stock.figure", "productSizes.1")]);
    assert!(world.asked().is_empty());
}

#[tokio::test]
async fn check_looks_at_the_warehouses_and_reads_once() {
    let warehouses = json!([
        { "id": 1, "name": "Main", "status": "ACTIVE", "stockMaster": "EXTERNAL" },
        { "id": 2, "name": "Shop", "status": "ACTIVE", "stockMaster": "CENTRA" }
    ]);
    let good = world(json!({}), move |asked| match asked.operation.as_str() {
        "Warehouses" => data(json!({ "warehouses": warehouses })),
        _ => data(json!({ "productSizes": [size(1, "A", json!([]))] })),
    })
    .await;
    let levels = |found: &[selvedge_connector::Finding]| found.iter().map(|f| f.level).collect::<Vec<_>>();
    let sink = good.shop.stock_sink.clone().unwrap();
    let found = sink.inspect(&places(&["1", "2"])).await;
    assert_eq!(levels(&found), [FindingLevel::Good, FindingLevel::Warning, FindingLevel::Good, FindingLevel::Good], "{found:#?}");
    assert_eq!(good.asked()[1].variables, json!({ "places": [1, 2], "placeCount": 2, "limit": 1, "page": 1 }));

    let denied =
        |message: &str| Some((200, json!({ "errors": [{ "message": message, "extensions": { "category": "authorization" } }] })));
    let closed = world(json!({}), move |asked| match asked.operation.as_str() {
        "Warehouses" => data(json!({ "warehouses": [] })),
        _ => denied("You need ProductSize.stock:read permission to access stock."),
    })
    .await;
    let found = closed.shop.stock_sink.clone().unwrap().inspect(&places(&["1"])).await;
    assert_eq!(levels(&found), [FindingLevel::Bad, FindingLevel::Bad], "{found:#?}");
    assert!(found[1].message.contains("ProductSize.stock:read") && found[1].setting.as_deref() == Some("token"));

    let closed = world(json!({}), move |_| denied("You need Warehouse:read permission.")).await;
    let found = closed.shop.stock_sink.clone().unwrap().inspect(&places(&["1"])).await;
    assert!(found.len() == 1 && found[0].message.contains("Warehouse:read"), "{found:#?}");
}
