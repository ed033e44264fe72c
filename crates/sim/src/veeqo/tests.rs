//! The stand-in over real HTTP.

use serde_json::{Value, json};

use super::*;
use crate::mischief::Profile;
use crate::wire::{self, Server};

struct Desk {
    veeqo: Veeqo,
    server: Server,
    client: reqwest::Client,
}

#[allow(clippy::disallowed_methods, reason = "tests talk to the stand-in directly")]
fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn items() -> Vec<Item> {
    let item = |sku: &str, main: i64, north: i64| Item {
        sku: sku.into(),
        title: sku.into(),
        stock: [("Main".to_owned(), main), ("North".to_owned(), north)].into(),
        ..Item::default()
    };
    vec![item("TEE", 5, 5), item("CAP", 0, 3)]
}

impl Desk {
    async fn open(options: Options) -> Desk {
        let mischief = Mischief::new(7, Profile::None, "veeqo");
        let veeqo = Veeqo::open(7, "test", items(), mischief, options, None).unwrap();
        let server = wire::serve(veeqo.router()).await.unwrap();
        Desk { veeqo, server, client: client() }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value, Option<String>) {
        let mut request =
            self.client.request(method, format!("{}{path}", self.server.url())).header("x-api-key", self.veeqo.access().api_key);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let pages = answer.headers().get("x-total-pages-count").map(|value| value.to_str().unwrap().to_owned());
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default(), pages)
    }

    async fn create(&self, number: &str, lines: &[(u64, i64)]) -> Value {
        let (status, answer, _) = self.ask(Method::POST, "/orders", Some(order(number, lines))).await;
        assert_eq!(status, 201, "{answer}");
        answer
    }
}

fn order(number: &str, lines: &[(u64, i64)]) -> Value {
    let line = |(sellable, units): &(u64, i64)| json!({"sellable_id": sellable, "quantity": units, "price_per_unit": "8.00", "tax_rate": "0.25", "taxless_discount_per_unit": "0.00"});
    json!({"order": {"channel_id": 501, "number": number, "send_notification_email": false, "delivery_method_id": 77,
        "customer_attributes": {"email": "t@example.test", "billing_address_attributes": {"country": "SE"}},
        "deliver_to_attributes": {"country": "SE"}, "line_items_attributes": lines.iter().map(line).collect::<Vec<_>>(),
        "delivery_cost": "4.00", "total_tax": "2.00", "payment_attributes": {"payment_type": "credit_card", "reference_number": "p"}}})
}

#[tokio::test]
async fn nothing_guards_against_a_second_order_and_the_search_is_fuzzy() {
    let desk = Desk::open(Options { search_lag: 0, ..Options::default() }).await;
    desk.create("1042", &[(9_001, 1)]).await;
    desk.create("1042", &[(9_001, 1)]).await;
    desk.create("10420", &[(9_001, 1)]).await;
    let (_, found, _) = desk.ask(Method::GET, "/orders?query=1042", None).await;
    assert_eq!(found.as_array().unwrap().len(), 3);
    desk.veeqo.meddle_cancel("10420").unwrap();
    let (_, found, _) = desk.ask(Method::GET, "/orders?query=1042", None).await;
    assert_eq!(found.as_array().unwrap().len(), 2, "cancelled ones are left out");
    let (_, found, _) = desk.ask(Method::GET, "/orders?query=1042&status=cancelled", None).await;
    assert_eq!(found.as_array().unwrap().len(), 1);
    assert_eq!(desk.veeqo.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn an_order_is_allocated_over_the_warehouses_and_its_status_is_the_least_advanced() {
    let desk = Desk::open(Options::default()).await;
    let made = desk.create("1", &[(9_001, 7), (9_002, 4)]).await;
    assert_eq!(made["status"], "awaiting_stock", "one cap is missing");
    let units: Vec<i64> =
        made["allocations"].as_array().unwrap().iter().map(|a| a["line_items"][0]["quantity"].as_i64().unwrap()).collect();
    assert_eq!(units, [5, 2]);
    let made = desk.create("2", &[(9_001, 3)]).await;
    assert_eq!(made["status"], "awaiting_fulfillment");
    while !desk.veeqo.is_done() {
        desk.veeqo.step().unwrap();
    }
    let (_, shown, _) = desk.ask(Method::GET, &format!("/orders/{}", made["id"]), None).await;
    assert_eq!(shown["status"], "shipped");
    assert_eq!(desk.veeqo.shipments().len(), 3);
    assert!(desk.veeqo.shipments().iter().all(|shipment| shipment.tracking[0].starts_with("RB")));
}

#[tokio::test]
async fn unknown_ids_are_not_found_and_unknown_members_are_remembered() {
    let desk = Desk::open(Options::default()).await;
    let (status, ..) = desk.ask(Method::POST, "/orders", Some(order("1", &[(7, 1)]))).await;
    assert_eq!(status, 404);
    let mut odd = order("1", &[(9_001, 1)]);
    odd["order"]["currency"] = json!("SEK");
    assert_eq!(desk.ask(Method::POST, "/orders", Some(odd)).await.0, 400);
    assert_eq!(desk.ask(Method::DELETE, "/orders/1", None).await.0, 404);
    assert_eq!(desk.veeqo.violations().len(), 2, "{:?}", desk.veeqo.violations());
}

#[tokio::test]
async fn lists_have_twelve_rows_unless_asked_and_say_how_many_pages() {
    let desk = Desk::open(Options::default()).await;
    for number in 0..13 {
        desk.create(&number.to_string(), &[(9_001, 1)]).await;
    }
    let (_, rows, pages) = desk.ask(Method::GET, "/orders", None).await;
    assert_eq!((rows.as_array().unwrap().len(), pages.as_deref()), (12, Some("2")));
    let (_, rows, pages) = desk.ask(Method::GET, "/orders?page=2&page_size=10", None).await;
    assert_eq!((rows.as_array().unwrap().len(), pages.as_deref()), (3, Some("2")));
}

#[tokio::test]
async fn the_bucket_is_full_after_a_hundred() {
    let desk = Desk::open(Options { limits: true, ..Options::default() }).await;
    let mut throttled = 0;
    for _ in 0..130 {
        throttled += u32::from(desk.ask(Method::GET, "/channels", None).await.0 == 429);
    }
    assert!((10..=30).contains(&throttled), "{throttled}");
}

#[tokio::test]
async fn a_wrong_key_and_unpaid_invoices_look_alike() {
    let desk = Desk::open(Options { unpaid: true, ..Options::default() }).await;
    assert_eq!(desk.ask(Method::GET, "/channels", None).await.0, 401);
}

fn variant(sku: &str) -> Value {
    json!({ "title": "", "price": "8.00", "sku_code": sku, "upc_code": "4006381333931", "weight_grams": 180 })
}

fn product(sku: &str) -> Value {
    json!({ "product": { "title": format!("Product {sku}"), "product_variants_attributes": [variant(sku)] } })
}

#[tokio::test]
async fn products_are_strict_about_their_members_and_about_nothing_else() {
    let desk = Desk::open(Options { search_lag: 0, ..Options::default() }).await;
    let (status, made, _) = desk.ask(Method::POST, "/products", Some(product("COAT"))).await;
    assert_eq!((status, &made["sellables"][0]["sku_code"]), (201, &json!("COAT")), "{made}");
    assert_eq!(desk.ask(Method::POST, "/products", Some(product("COAT"))).await.0, 201, "nothing guards against a double");
    let (_, found, _) = desk.ask(Method::GET, "/products?query=coa", None).await;
    assert_eq!(found.as_array().unwrap().len(), 2);
    assert_eq!(desk.ask(Method::GET, "/products?query=co", None).await.0, 400, "three letters at least");
    assert_eq!(desk.veeqo.violations(), Vec::<String>::new());

    let (path, id) = (format!("/products/{}", made["id"]), made["sellables"][0]["id"].clone());
    let change = json!({ "product": { "product_variants_attributes": [{ "id": id, "title": "M", "weight_grams": 9 }] } });
    let (status, changed, _) = desk.ask(Method::PUT, &path, Some(change)).await;
    let own = &changed["sellables"][0];
    assert_eq!((status, &own["title"], &own["weight_grams"]), (200, &json!("M"), &json!(180)), "a weight is fixed for good");
    let mut odd = product("HAT");
    odd["product"]["colour"] = json!("red");
    assert_eq!(desk.ask(Method::POST, "/products", Some(odd.clone())).await.0, 500);
    assert_eq!(desk.ask(Method::PUT, &path, Some(odd)).await.0, 500);
    let stranger = json!({ "product": { "product_variants_attributes": [{ "id": 9_001, "title": "M" }] } });
    assert_eq!(desk.ask(Method::PUT, &path, Some(stranger)).await.0, 404);
    let another = json!({ "product": { "product_variants_attributes": [variant("X")] } });
    assert_eq!(desk.ask(Method::PUT, &path, Some(another)).await.0, 500, "how a variant is added is not documented");
    let nameless = json!({ "product": { "product_variants_attributes": [variant("X")] } });
    assert_eq!(desk.ask(Method::POST, "/products", Some(nameless)).await.0, 400);
    desk.veeqo.meddle_delete("TEE").unwrap();
    let (_, rows, _) = desk.ask(Method::GET, "/products?page_size=100", None).await;
    assert_eq!(rows.as_array().unwrap().len(), 3, "what was deleted is not listed");
    assert!(desk.ask(Method::GET, "/sellables/9001", None).await.1["deleted_at"].is_string());
}

#[tokio::test]
async fn the_search_learns_of_a_product_some_time_later() {
    let desk = Desk::open(Options { search_lag: 3_600_000, ..Options::default() }).await;
    desk.ask(Method::POST, "/products", Some(product("COAT"))).await;
    let found = async |path: &str| desk.ask(Method::GET, path, None).await.1.as_array().unwrap().len();
    assert_eq!((found("/products?query=COAT").await, found("/products?query=TEE").await), (0, 1));
    assert_eq!(found("/products?page_size=100").await, 3);
}

#[tokio::test]
async fn a_kit_has_what_its_parts_make_and_takes_them_when_it_leaves() {
    let desk = Desk::open(Options::default()).await;
    desk.ask(Method::POST, "/products", Some(product("SET"))).await;
    let kit = json!({ "product_variant_id": 9_003, "contents": [
        { "product_variant_id": 9_001, "quantity": 2 }, { "product_variant_id": 9_002, "quantity": 1 },
    ] });
    assert_eq!(desk.ask(Method::POST, "/kits", Some(kit.clone())).await.0, 201);
    assert_eq!(desk.ask(Method::POST, "/kits", Some(kit)).await.0, 404, "it is no variant any more");
    let entry =
        async |id: u64, at: u64| desk.ask(Method::GET, &format!("/sellables/{id}/warehouses/{at}/stock_entry"), None).await.1;
    let available = async |id: u64, at: u64| entry(id, at).await["available_stock_level"].as_i64().unwrap();
    assert_eq!((available(9_003, 1).await, available(9_003, 2).await), (0, 2), "no cap in the one, two tees a set in the other");
    desk.create("1", &[(9_003, 2)]).await;
    assert_eq!((available(9_001, 2).await, available(9_002, 2).await, available(9_003, 2).await), (1, 1, 0));
    while !desk.veeqo.is_done() {
        desk.veeqo.step().unwrap();
    }
    assert_eq!(entry(9_001, 2).await["physical_stock_level"], 1);
    let level = json!({ "stock_entry": { "physical_stock_level": 7, "infinite": false } });
    assert_eq!(desk.ask(Method::PUT, "/sellables/9003/warehouses/1/stock_entry", Some(level.clone())).await.0, 500);
    assert_eq!(desk.ask(Method::PUT, "/sellables/9001/warehouses/7/stock_entry", Some(level)).await.0, 404);
    let row = json!({ "kit_content": { "product_variant_id": 9_001, "quantity": 5 } });
    let (_, rows, _) = desk.ask(Method::GET, "/kits/9003/kit_contents", None).await;
    let path = format!("/kits/9003/kit_contents/{}", rows[0]["id"]);
    assert_eq!(desk.ask(Method::PUT, &path, Some(row)).await.1["quantity"], 5);
}

#[test]
fn a_restart_forgets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let mischief = Mischief::new(7, Profile::None, "veeqo");
        Veeqo::open(7, "w", items(), mischief, Options::default(), Some(folder.path())).unwrap()
    };
    let before = {
        let veeqo = open();
        requests::answer(&veeqo.0, &Method::POST, "/orders", &[], &order("1", &[(9_001, 2)])).unwrap();
        requests::answer(&veeqo.0, &Method::POST, "/products", &[], &product("COAT")).unwrap();
        (veeqo.orders(), veeqo.shelves())
    };
    assert_eq!((before.0.len(), before.1.len()), (1, 3));
    let after = open();
    assert_eq!((after.orders(), after.shelves()), before);
}

#[tokio::test]
async fn some_orders_come_back_where_it_is_asked_for_and_it_ends() {
    for (returns, some) in [(true, true), (false, false)] {
        let desk = Desk::open(Options { returns, search_lag: 0, ..Options::default() }).await;
        let sellable = |veeqo: &Veeqo| *veeqo.0.state().sellables.keys().next().unwrap();
        let tee = sellable(&desk.veeqo);
        {
            let mut state = desk.veeqo.0.state();
            let mut stocked = state.sellables.get(&tee).cloned().unwrap();
            stocked.stock.insert("Main".to_owned(), 1_000);
            state.put_sellable(tee, stocked).unwrap();
        }
        for number in 0..60 {
            desk.create(&format!("3{number:03}"), &[(tee, 2)]).await;
        }
        let mut turns = 0_u64;
        while !desk.veeqo.is_done() {
            desk.veeqo.step().unwrap();
            turns += 1;
            assert!(turns < 10_000_000, "it comes to an end");
        }
        let (_, orders, _) = desk.ask(Method::GET, "/orders?page_size=100&page=1", None).await;
        let back: Vec<&Value> =
            orders.as_array().unwrap().iter().flat_map(|order| order["returns"].as_array().unwrap()).collect();
        assert_eq!(!back.is_empty(), some, "{back:?}");
        assert!(back.iter().all(|one| one["status"] == "returned" && one["type"] == "ShippedItemsReturn"));
    }
}
