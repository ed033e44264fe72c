//! The stand-in over real HTTP.

use serde_json::{Value, json};

use super::*;
use crate::mischief::Profile;
use crate::wire::{self, Server};

struct Desk {
    linnworks: Linnworks,
    server: Server,
    client: reqwest::Client,
    token: String,
}

#[allow(clippy::disallowed_methods, reason = "tests talk to the stand-in directly")]
fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn items() -> Vec<Item> {
    let item = |sku: &str, units: i64| Item {
        sku: sku.into(),
        title: sku.into(),
        stock: [("Default".to_owned(), units)].into(),
        ..Item::default()
    };
    let set = Item { parts: vec![("TEE".into(), 2), ("CAP".into(), 1)], ..item("SET", 0) };
    vec![item("TEE", 10), item("CAP", 3), set]
}

impl Desk {
    async fn open(options: Options) -> Desk {
        let mischief = Mischief::new(7, Profile::None, "linnworks");
        let linnworks = Linnworks::open(7, "test", items(), mischief, options, None).unwrap();
        let server = wire::serve(linnworks.router()).await.unwrap();
        let mut desk = Desk { linnworks, server, client: client(), token: String::new() };
        desk.token = desk.log_in().await["Token"].as_str().unwrap().to_owned();
        desk
    }

    async fn log_in(&self) -> Value {
        let access = self.linnworks.access();
        let body = json!({"ApplicationId": access.application_id, "ApplicationSecret": access.application_secret, "Token": access.token});
        let (status, answer) = self.post("Auth/AuthorizeByApplication", body).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    async fn post(&self, method: &str, body: Value) -> (u16, Value) {
        let request = self.client.post(format!("{}/api/{method}", self.server.url())).header("authorization", &self.token);
        let answer = request.header("content-type", "application/json").body(body.to_string()).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let request = self.client.get(format!("{}/{path}", self.server.url())).header("authorization", &self.token);
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
    }

    async fn create(&self, orders: Vec<Value>) -> Value {
        let (status, answer) = self.post("Orders/CreateOrders", json!({"orders": orders, "location": "Default"})).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }
}

fn order(reference: &str, lines: &[(&str, i64)]) -> Value {
    let item = |(nth, (sku, units)): (usize, &(&str, i64))| {
        json!({"ItemNumber": format!("l{nth}"), "ChannelSKU": sku, "ItemTitle": sku, "Qty": units, "PricePerUnit": 10.5, "TaxRate": 25,
               "TaxCostInclusive": true, "UseChannelTax": true, "LineDiscount": 0, "IsService": false})
    };
    json!({"Source": "S", "SubSource": "x", "ReferenceNumber": reference, "ReceivedDate": "2026-02-03T09:10:00Z",
           "DispatchBy": "2026-02-04T09:10:00Z", "PaymentStatus": "Paid", "Currency": "SEK", "AutomaticallyLinkBySKU": true,
           "PostalServiceName": "Royal Mail Tracked 48", "DeliveryAddress": {"MatchCountryCode": "SE", "PostCode": "11122"},
           "OrderItems": lines.iter().enumerate().map(item).collect::<Vec<_>>()})
}

#[tokio::test]
async fn a_paid_order_is_saved_once_and_skipped_without_a_word() {
    let desk = Desk::open(Options::default()).await;
    assert_eq!(desk.create(vec![order("1", &[("TEE", 1)])]).await.as_array().unwrap().len(), 1);
    assert_eq!(desk.create(vec![order("1", &[("TEE", 5)])]).await, json!([]));
    let both = desk.create(vec![order("1", &[("TEE", 1)]), order("2", &[("TEE", 1)])]).await;
    assert_eq!(both.as_array().unwrap().len(), 1, "no telling by position");
    let mut twins = order("3", &[("TEE", 1), ("CAP", 1)]);
    twins["OrderItems"][1]["ItemNumber"] = json!("l0");
    assert_eq!(desk.create(vec![twins]).await, json!([]), "one line number twice");
    let (_, found) = desk.get("api/Orders/GetOrderDetailsByReferenceId?ReferenceId=1").await;
    assert_eq!(found[0]["Items"][0]["Quantity"], 1);
    assert_eq!(desk.linnworks.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn what_the_specification_does_not_allow_is_refused_and_remembered() {
    let desk = Desk::open(Options::default()).await;
    let mut odd = order("1", &[("TEE", 1)]);
    odd["referencenumber"] = json!("1");
    let (status, _) = desk.post("Orders/CreateOrders", json!({"orders": [odd], "location": "Default"})).await;
    assert_eq!(status, 400);
    let (status, _) = desk.get("api/Orders/CreateOrders").await;
    assert_eq!(status, 405);
    assert_eq!(desk.linnworks.violations().len(), 2, "{:?}", desk.linnworks.violations());
}

#[tokio::test]
async fn sessions_end_and_a_bare_token_is_asked_for() {
    let mut desk = Desk::open(Options { ttl: 0, ..Options::default() }).await;
    assert_eq!(desk.get("api/Inventory/GetStockLocations").await.0, 401);
    desk.token = format!("Bearer {}", desk.token);
    assert_eq!(desk.get("api/Inventory/GetStockLocations").await.0, 401);
    let (status, _) = desk.post("Auth/AuthorizeByApplication", json!({"ApplicationId": "x"})).await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn stock_is_reserved_when_an_order_comes_and_gone_when_it_left() {
    let desk = Desk::open(Options::default()).await;
    let level = async |sku: &str| {
        let body = json!({"keyword": "", "loadCompositeParents": true, "loadVariationParents": false, "entriesPerPage": 200,
                          "pageNumber": 1, "dataRequirements": ["StockLevels"], "searchTypes": ["SKU"]});
        let (_, rows) = desk.post("Stock/GetStockItemsFull", body).await;
        let row = rows.as_array().unwrap().iter().find(|row| row["ItemNumber"] == sku).unwrap().clone();
        let level = &row["StockLevels"][0];
        (level["StockLevel"].as_i64().unwrap(), level["InOrders"].as_i64().unwrap(), level["Available"].as_i64().unwrap())
    };
    assert_eq!(level("SET").await, (3, 0, 3));
    desk.create(vec![order("1", &[("TEE", 4), ("NOPE", 1)])]).await;
    assert_eq!(level("TEE").await, (10, 4, 6));
    let (_, found) = desk.get("api/Orders/GetOrderDetailsByReferenceId?ReferenceId=1").await;
    assert_eq!((&found[0]["Items"][1]["IsUnlinked"], &found[0]["Items"][1]["SKU"]), (&json!(true), &Value::Null));
    while desk.linnworks.step().unwrap() > 0 || !desk.linnworks.is_done() {
        std::thread::yield_now();
    }
    assert_eq!(level("TEE").await, (6, 0, 6));
    let (_, set) = desk
        .post(
            "Stock/SetStockLevel",
            json!({"stockLevels": [{"SKU": "TEE", "LocationId": location_id(0), "Level": 20}], "changeSource": "t"}),
        )
        .await;
    assert_eq!(set[0]["StockLevel"], 20);
    let past = json!({"keyword": "", "loadCompositeParents": true, "loadVariationParents": false, "entriesPerPage": 200,
                      "pageNumber": 2, "dataRequirements": [], "searchTypes": ["SKU"]});
    assert_eq!(desk.post("Stock/GetStockItemsFull", past).await.0, 400, "no empty list past the end");
}

#[tokio::test]
async fn everything_that_was_ordered_leaves_in_parts_with_one_reference() {
    let desk = Desk::open(Options::default()).await;
    for number in 0..60 {
        desk.create(vec![order(&number.to_string(), &[("TEE", 2), ("CAP", 1)])]).await;
    }
    let mut steps = 0;
    while !desk.linnworks.is_done() {
        desk.linnworks.step().unwrap();
        steps += 1;
        assert!(steps < 1_000_000);
    }
    let shipments = desk.linnworks.shipments();
    assert!(shipments.len() > 60, "some are split");
    for number in 0..60 {
        let mine = shipments.iter().filter(|shipment| shipment.doc == number.to_string());
        let units: i64 = mine.flat_map(|shipment| &shipment.lines).map(|(_, units)| units).sum();
        assert_eq!(units, 3);
    }
    assert!(shipments.iter().all(|shipment| !shipment.tracking.is_empty()));
    let mut seen = 0;
    let mut token = String::new();
    loop {
        let (_, page) =
            desk.get(&format!("v2/orders?fromDate=2020-01-01T00:00:00Z&includeProcessed=true&entriesPerPage=7{token}")).await;
        seen += page["ProcessedOrders"].as_array().unwrap().len();
        match page["NextSearchToken"].as_str() {
            Some(next) => token = format!("&searchToken={next}"),
            None => break,
        }
    }
    assert_eq!(seen, shipments.len());
    let two = shipments.iter().find(|shipment| shipment.tracking.len() == 2).unwrap();
    let id = desk.linnworks.0.state().orders[&two.id.parse::<i64>().unwrap()].id.clone();
    let (_, rows) = desk.get(&format!("api/ProcessedOrders/GetPackageSplit?pkOrderId={id}")).await;
    assert_eq!(rows.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn the_limit_of_a_method_is_kept() {
    let desk = Desk::open(Options { limits: true, ..Options::default() }).await;
    let mut throttled = 0;
    for _ in 0..160 {
        throttled += u32::from(desk.get("api/PostalServices/GetPostalServices").await.0 == 429);
    }
    assert_eq!(throttled, 10);
    assert_eq!(desk.get("api/Inventory/GetStockLocations").await.0, 200, "another method has its own");
}

#[tokio::test]
async fn a_sku_means_one_item_whatever_its_case_and_archived_or_not() {
    let desk = Desk::open(Options::default()).await;
    let add = async |sku: &str| {
        let item = json!({"StockItemId": "6f0c1a52-0000-4000-8000-000000000001", "ItemNumber": sku, "ItemTitle": sku});
        desk.post("Inventory/AddInventoryItem", json!({"inventoryItem": item})).await.0
    };
    assert_eq!((add("tee").await, add("COAT").await, add("COAT").await), (400, 204, 400));
    let types =
        async |sku: &str| desk.post("Stock/GetStockItemTypeInfo", json!({"SKUS": [sku]})).await.1["StockItemInfo"].clone();
    let coat = types("coat").await;
    assert_eq!((&coat[0]["StockItemId"], &coat[0]["SKU"]), (&json!("6f0c1a52-0000-4000-8000-000000000001"), &json!("COAT")));
    let archive = json!({"parameters": {"InventoryItemIds": [coat[0]["StockItemId"]], "SelectedRegions": []}});
    assert_eq!(desk.post("Inventory/ArchiveInventoryItems", archive).await.0, 204);
    assert_eq!(types("COAT").await[0]["IsArchived"], true);
    let (_, ids) = desk.post("Inventory/GetStockItemIdsBySKU", json!({"request": {"SKUS": ["COAT", "cap"]}})).await;
    assert_eq!(ids["Items"].as_array().unwrap().len(), 1, "{ids}");
    assert_eq!(desk.get("api/Inventory/GetInventoryItemsCount").await.1, 3);
    assert_eq!(desk.linnworks.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn an_update_empties_what_it_does_not_tell_and_a_field_leaves_the_rest() {
    let desk = Desk::open(Options { title_chars_max: 5, ..Options::default() }).await;
    desk.linnworks.meddle_item("TEE", |item| (item.barcode, item.weight_grams) = (Some("7".into()), Some(9))).unwrap();
    let tee = || desk.linnworks.items().into_iter().find(|shown| shown.item.sku == "TEE").unwrap();
    let field = async |name: &str, value: &str| {
        let body = json!({"inventoryItemId": tee().id, "fieldName": name, "fieldValue": value});
        desk.post("Inventory/UpdateInventoryItemField", body).await.0
    };
    assert_eq!((field("Title", "A longer title").await, field("Weight", "x").await, field("Title", "").await), (200, 400, 400));
    assert_eq!((tee().item.title.as_str(), tee().item.barcode.as_deref()), ("A lon", Some("7")), "cut off without a word");
    let whole = json!({"inventoryItem": {"StockItemId": tee().id, "ItemNumber": "TEE", "ItemTitle": "Tee", "Weight": 12}});
    assert_eq!(desk.post("Inventory/UpdateInventoryItem", whole).await.0, 204);
    assert_eq!((tee().item.barcode, tee().item.weight_grams), (None, Some(12)));
    assert_eq!(desk.linnworks.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_composite_takes_plain_items_and_reserves_them() {
    let desk = Desk::open(Options::default()).await;
    let id = |sku: &str| desk.linnworks.items().into_iter().find(|shown| shown.item.sku == sku).unwrap().id;
    let compose = async |parent: &str, part: &str, units: i64| {
        let row = json!({"StockItemId": id(parent), "LinkedStockItemId": id(part), "SKU": part, "Quantity": units});
        desk.post("Inventory/CreateInventoryItemCompositions", json!({"inventoryItemCompositions": [row]})).await.0
    };
    assert_eq!((compose("CAP", "SET", 1).await, compose("SET", "TEE", 1).await, compose("SET", "SET", 1).await), (400, 400, 400));
    desk.create(vec![order("1", &[("SET", 1)])]).await;
    let (_, rows) = desk.post("Stock/GetStockLevel_Batch", json!({"request": {"StockItemIds": [id("TEE"), id("CAP")]}})).await;
    let promised: Vec<i64> =
        rows.as_array().unwrap().iter().map(|row| row["StockItemLevels"][0]["InOrders"].as_i64().unwrap()).collect();
    assert_eq!(promised, [2, 1]);
    desk.linnworks.meddle_order("1", Deed::Lock).unwrap();
    let (_, rows) = desk.post("Stock/GetStockLevel_Batch", json!({"request": {"StockItemIds": [id("TEE")]}})).await;
    assert_eq!(rows[0]["StockItemLevels"][0]["InOrders"], 0, "a locked order reserves nothing");
    let (_, made_of) = desk
        .post("Inventory/GetInventoryItemsCompositionByIds", json!({"request": {"InventoryItemIds": [id("SET"), id("CAP")]}}))
        .await;
    let made_of = made_of["InventoryItemsCompositionByIds"].as_object().unwrap();
    assert_eq!((made_of.len(), made_of[&id("SET")].as_array().unwrap().len()), (1, 2));
}

#[tokio::test]
async fn levels_are_set_or_moved_by_one_body_and_in_bulk_each_row_has_its_error() {
    let desk = Desk::open(Options::default()).await;
    let one = |sku: &str| json!({"stockLevels": [{"SKU": sku, "LocationId": location_id(0), "Level": 4}], "changeSource": "t"});
    for _ in 0..2 {
        assert_eq!(desk.post("Stock/SetStockLevel", one("TEE")).await.1[0]["StockLevel"], 4);
    }
    assert_eq!(desk.post("Stock/UpdateStockLevelsBySKU", one("TEE")).await.1[0]["StockLevel"], 8, "it adds");
    assert_eq!(desk.post("Stock/SetStockLevel", one("SET")).await, (200, json!([])), "passed over without a word");
    assert_eq!(desk.post("Stock/SetStockLevel", one("NOPE")).await.0, 400);
    let row = |sku: &str, nth: i64| json!({"SKU": sku, "StockLocationName": "Default", "StockLevel": 1, "RowIndex": nth});
    let (status, answer) =
        desk.post("Stock/UpdateStockLevelsBulk", json!({"Items": [row("CAP", 0), row("SET", 1), row("NOPE", 2)]})).await;
    let errors: Vec<usize> =
        answer["Items"].as_array().unwrap().iter().map(|row| row["Errors"].as_array().unwrap().len()).collect();
    assert_eq!((status, errors), (200, vec![0, 1, 1]));
    assert_eq!(desk.linnworks.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn what_may_not_be_called_or_is_asked_strangely_is_refused() {
    let desk = Desk::open(Options { denied: vec!["Inventory/GetStockLocations".into()], ..Options::default() }).await;
    assert_eq!(desk.get("api/Inventory/GetStockLocations").await.0, 401);
    assert_eq!(desk.get("api/PostalServices/GetPostalServices").await.0, 200);
    assert_eq!(desk.linnworks.violations(), Vec::<String>::new());
    let token = "6f0c1a52-0000-4000-8000-000000000001";
    assert_eq!(desk.get(&format!("v2/orders?fromDate=2020-01-01T00:00:00Z&searchToken={token}")).await.0, 400);
    assert_eq!(desk.get("v2/orders?fromDate=2020-01-01T00:00:00Z&searchToken=7_8").await.0, 400);
    assert_eq!(desk.get("api/ProcessedOrders/GetPackageSplit?orderId=1").await.0, 400);
    assert_eq!(desk.linnworks.violations().len(), 2, "{:?}", desk.linnworks.violations());
}

#[test]
fn a_restart_forgets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let mischief = Mischief::new(7, Profile::None, "linnworks");
        Linnworks::open(7, "w", items(), mischief, Options::default(), Some(folder.path())).unwrap()
    };
    let before = {
        let linnworks = open();
        let body = json!({"orders": [order("1", &[("TEE", 2)])], "location": "Default"});
        let asked = Asked { query: vec![], body: &body };
        orders::create(&linnworks.0, &asked).unwrap();
        linnworks.orders()
    };
    assert_eq!(before.len(), 1);
    assert_eq!(open().orders(), before);
    let mischief = Mischief::new(7, Profile::None, "linnworks");
    assert!(Linnworks::open(7, "other", items(), mischief, Options::default(), Some(folder.path())).is_err());
}
